// Markdown as DOM nodes: CommonMark 0.31's blocks, GitHub's tables, and formulas, which stay as they are.
// HTML, and links to definitions elsewhere in the text, stay text.
import { element, inline, unescape } from "./inline.js";

const MOST_NESTED = 16; // quotes and lists in one another: more do not fit on a phone, so deeper marks are text
const RULE = /^(?:(?:\*[ \t]*){3,}|(?:_[ \t]*){3,}|(?:-[ \t]*){3,})$/;
const FENCE = /^(?:(`{3,})([^`]*)|(~{3,})(.*))$/;
const MARKER = /^(?:([-+*])|(\d{1,9})([.)]))(?=[ \t]|$)/;
const FORMULAS = { $$: "$$", "\\[": "\\]" };

/** A cursor in a line. Tabs reach to the next multiple of four columns. */
class Line {
  constructor(text) {
    Object.assign(this, { text, at: 0, column: 0, pad: 0 }); // pad: what is left of a tab of which a part was taken
    this.end = text.trimEnd().length;
  }

  get blank() {
    return this.at >= this.end;
  }

  /** How many columns of blanks lie ahead. */
  get indent() {
    let columns = this.pad;
    for (let i = this.at; ; i++) {
      if (this.text[i] === " ") columns += 1;
      else if (this.text[i] === "\t") columns += 4 - ((this.column + columns) % 4);
      else return columns;
    }
  }

  /** What lies ahead, blanks included. */
  get rest() {
    return " ".repeat(this.pad) + this.text.slice(this.at);
  }

  /** What lies ahead after the blanks. */
  get body() {
    let i = this.at;
    while (this.text[i] === " " || this.text[i] === "\t") i++;
    return this.text.slice(i);
  }

  /** Takes `columns` of blanks, or as many as there are. */
  skip(columns) {
    for (; columns > 0; columns--) {
      if (!this.pad && this.text[this.at] === "\t") {
        this.pad = 4 - (this.column % 4);
        this.at += 1;
      } else if (!this.pad && this.text[this.at] === " ") {
        this.pad = 1;
        this.at += 1;
      }
      if (!this.pad) return;
      this.pad -= 1;
      this.column += 1;
    }
  }

  /** Takes all blanks and then `count` characters. */
  take(count) {
    this.skip(Infinity);
    this.at += count;
    this.column += count;
  }
}

/** Whether an open block goes on in this line. Takes what belongs to the block, not to what is inside it. */
const GOES_ON = {
  list: () => true,
  quote: (block, line) => takeQuoteMark(line),
  item(block, line) {
    const inside = line.blank ? block.children.length > 0 : line.indent >= block.width;
    if (inside) line.skip(block.width);
    return inside;
  },
  paragraph: (block, line) => !line.blank,
  table: (block, line) => !line.blank,
  fence(block, line) {
    const mark = line.body.trimEnd();
    block.ended = line.indent < 4 && mark.length >= block.length && mark === block.char.repeat(mark.length);
    line.skip(block.indent);
    return true;
  },
  formula(block, line) {
    block.ended = line.rest.trimEnd().endsWith(block.closer);
    return true;
  },
  code(block, line) {
    const inside = line.blank || line.indent >= 4;
    if (inside) line.skip(4);
    return inside;
  },
};

function takeQuoteMark(line) {
  if (line.indent > 3 || !line.body.startsWith(">")) return false;
  line.take(1);
  line.skip(1);
  return true;
}

/** The block that begins here inside of `parent`, or nothing. `paragraph` is open, and the line may belong to it. */
function start(line, parent, paragraph, nested) {
  if (line.blank) return null;
  if (line.indent > 3) return paragraph ? null : startCode(line);
  const body = line.body;
  if (nested < MOST_NESTED && takeQuoteMark(line)) return { kind: "quote", children: [] };
  const heading = /^(#{1,6})(?:[ \t]|$)/.exec(body);
  if (heading) return { kind: "heading", level: heading[1].length, text: withoutClosing(body.slice(heading[1].length)) };
  const fence = FENCE.exec(body);
  if (fence) return startFence(line, fence[1] ?? fence[3], fence[2] ?? fence[4]);
  const formula = FORMULAS[body.trimEnd()];
  if (formula) return { kind: "formula", closer: formula, lines: [body.trimEnd()] };
  const under = parent.kind === "paragraph" && /^(?:(=+)|-+)[ \t]*$/.exec(body);
  if (under) return { kind: "heading", level: under[1] ? 1 : 2, replaces: parent };
  if (parent.kind === "paragraph" && isTable(parent.lines.at(-1), body)) {
    const align = cells(body).map((cell) => (cell.endsWith(":") ? (cell.startsWith(":") ? "center" : "right") : ""));
    return { kind: "table", align, rows: [], takesLastOf: parent };
  }
  if (RULE.test(body)) return { kind: "rule" };
  return nested < MOST_NESTED ? startItem(line, parent) : null;
}

function startCode(line) {
  line.skip(4);
  return { kind: "code", lines: [line.rest] };
}

function startFence(line, mark, info) {
  const language = unescape(info.trim().split(/\s/)[0]);
  return { kind: "fence", char: mark[0], length: mark.length, indent: line.indent, language, lines: [] };
}

function startItem(line, parent) {
  const marker = MARKER.exec(line.body);
  if (!marker) return null;
  const [mark, bullet, number, dot] = marker;
  const empty = line.body.trimEnd() === mark;
  // "The number of windows is\n14. The number of doors is 6." is no list.
  if (parent.kind === "paragraph" && (empty || (number && Number(number) !== 1))) return null;
  const indent = line.indent;
  line.take(mark.length);
  const gap = empty || line.indent > 4 ? 1 : line.indent;
  line.skip(gap);
  return { kind: "item", marker: bullet ?? dot, number, width: indent + mark.length + gap, children: [] };
}

/** The text of a heading without the #s at its end. */
function withoutClosing(text) {
  const whole = text.trim();
  let end = whole.length;
  while (whole[end - 1] === "#") end--;
  return end === 0 || /[ \t]/.test(whole[end - 1]) ? whole.slice(0, end).trimEnd() : whole;
}

/** `| a | b |` -> ["a", "b"] */
function cells(row) {
  const parts = row.trim().replace(/^\|/, "").split(/(?<!\\)\|/);
  if (parts.length > 1 && !parts.at(-1).trim()) parts.pop();
  return parts.map((part) => part.replaceAll("\\|", "|").trim());
}

/** Whether these two lines begin a table: the names of the columns, and a line such as `|---|:-:|`. */
function isTable(header, body) {
  if (!/^[-:| \t]+$/.test(body) || !`${header}${body}`.includes("|")) return false;
  const marks = cells(body);
  return marks.every((mark) => /^:?-+:?$/.test(mark)) && cells(header).length === marks.length;
}

/**
 * The tree of blocks: {kind, children} or {kind, lines}, the outermost ones with `from`, where in the text they begin.
 * `finished` of them stay whatever comes: the last line, which may go on, can still change the block that it meets.
 */
function parse(text) {
  const root = { kind: "root", children: [], finished: 0 };
  const open = [root]; // from the outermost block to the innermost
  const parts = text.split(/(\r\n?|\n)/); // lines, and the breaks between them
  for (let i = 0, at = 0, before = 0; i < parts.length; i += 2) {
    root.finished = Math.max(root.children.length - 1, 0);
    read(new Line(parts[i]), open);
    const last = root.children.at(-1);
    if (last) last.from ??= last.kind === "table" ? before : at; // a table's head is the line before
    before = at;
    at += parts[i].length + (parts[i + 1]?.length ?? 0);
  }
  return root;
}

function read(line, open) {
  let level = 1;
  while (level < open.length && GOES_ON[open[level].kind](open[level], line)) level++;
  const last = open.at(-1);
  if (level === open.length && last.lines && last.kind !== "paragraph") {
    if (!(last.kind === "fence" && last.ended)) last.lines.push(line.rest);
    if (last.ended) open.pop();
    return;
  }
  let paragraph = last.kind === "paragraph";
  for (;;) {
    const block = start(line, open[level - 1], paragraph, level);
    if (!block) break;
    open.length = level;
    add(open, block);
    if (!block.children) return;
    level = open.length;
    paragraph = false;
  }
  if (line.blank) open.length = level;
  else if (paragraph) last.lines.push(line.body); // the marks of quotes and lists around it may be missing: "lazy"
  else {
    open.length = level;
    if (open.at(-1).kind === "table") open.at(-1).rows.push(cells(line.rest));
    else add(open, { kind: "paragraph", lines: [line.body] });
  }
}

/** Puts a new block into the innermost one that can hold it. */
function add(open, block) {
  const before = block.replaces ?? block.takesLastOf;
  if (block.replaces) Object.assign(block, { text: before.lines.splice(0).join("\n").trimEnd(), from: before.from });
  if (block.takesLastOf) block.rows.push(cells(before.lines.pop()));
  while (!open.at(-1).children || (open.at(-1).kind === "list" && open.at(-1).marker !== block.marker)) open.pop();
  if (before && !before.lines.length) open.at(-1).children.pop();
  if (block.kind === "item" && open.at(-1).kind !== "list") {
    add(open, { kind: "list", marker: block.marker, number: block.number, children: [] });
  }
  open.at(-1).children.push(block);
  if (block.children || block.lines || block.rows) open.push(block);
}

/** The text as a fragment of nodes. `copyButton(getText)` makes the button of a code block. */
export function render(text, copyButton) {
  return fill(document.createDocumentFragment(), parse(text).children, copyButton);
}

/** A text that grows inside of `node`: what is finished is drawn once. */
export class Growing {
  constructor(node, copyButton) {
    Object.assign(this, { node, copyButton, finished: 0, from: 0 }); // blocks, and where the others begin
  }

  show(text) {
    const { children, finished } = parse(text.slice(this.from));
    while (this.node.childNodes.length > this.finished) this.node.lastChild.remove();
    fill(this.node, children, this.copyButton);
    this.finished += finished;
    this.from += children[finished]?.from ?? 0;
  }
}

function fill(node, blocks, copyButton) {
  for (const block of blocks) node.append(DRAW[block.kind](block, copyButton));
  return node;
}

const words = (paragraph) => inline(paragraph.lines.join("\n").trimEnd());

const DRAW = {
  quote: (block, copyButton) => fill(element("blockquote"), block.children, copyButton),
  list(block, copyButton) {
    const list = fill(element(block.number ? "ol" : "ul"), block.children, copyButton);
    if (block.number && Number(block.number) !== 1) list.start = Number(block.number);
    return list;
  },
  item(block, copyButton) {
    const [first, ...others] = block.children;
    if (first?.kind !== "paragraph") return fill(element("li"), block.children, copyButton);
    return fill(element("li", "", words(first)), others, copyButton);
  },
  paragraph: (block) => element("p", "", words(block)),
  heading: (block) => element(`h${Math.min(block.level + 2, 6)}`, "", inline(block.text)), // the page's own come first
  rule: () => element("hr"),
  formula: (block) => element("p", "formula", block.lines.join("\n")),
  table(block) {
    const row = (name, texts) => {
      const node = element("tr");
      texts.forEach((text, i) => node.append(element(name, block.align[i], inline(text))));
      const missing = block.align.length - texts.length;
      if (missing > 0) node.append(Object.assign(element(name, block.align[texts.length]), { colSpan: missing }));
      return node; // one cell for all that are missing: `|` in each line makes no table of thousands of cells
    };
    const body = element("tbody");
    for (const texts of block.rows.slice(1)) body.append(row("td", texts));
    return element("div", "table", element("table", "", element("thead", "", row("th", block.rows[0])), body));
  },
  code(block, copyButton) {
    while (!block.lines.at(-1).trim()) block.lines.pop(); // its first line is not blank
    return DRAW.fence(block, copyButton);
  },
  fence(block, copyButton) {
    const text = block.lines.join("\n");
    const head = element("div", "code-head", element("span", "", block.language ?? ""), copyButton(() => text));
    return element("div", "code", head, element("pre", "", element("code", "", text)));
  },
};
