// What stands inside a line of Markdown: code, emphasis, links, math. CommonMark 0.31, sections 2.4, 2.5 and 6.
// Text only ever enters through text nodes, so nothing that a model or a user writes can become markup.

const MOST_NESTED = 20; // elements in one another: a deeper tree is slow to lay out, and nobody reads it
const SCHEMES = ["https:", "http:", "mailto:"];
const SPECIAL = /[\\`*_$<&![\]\n]/g;
const ESCAPED = /\\([!-/:-@[-`{-~])/g;
const ENTITY = /&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|[A-Za-z][A-Za-z\d]{1,31});/g;
const AUTOLINK = /<((?:https?:\/\/|mailto:)[^\s<>]+)>/y;
const TAG = /<\/?[A-Za-z][\w-]*(?:\s+[\w:@.-]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'=<>`]+))?)*\s*\/?>/y;
const TARGET =
  /\(\s*(?:<([^<>\n]*)>|([^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)*))(?:\s+("[^"]*"|'[^']*'|\([^()]*\)))?\s*\)/y;
const SPACE = /^\s?$/u; // the ends of the text count as blanks
const PUNCTUATION = /[\p{P}\p{S}]/u;
// Chinese and Japanese put no blanks between words: a mark beside them stands as if a blank were there.
const CJK = /[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Hang}\u3000-\u303f\uff00-\uffef]/u;

export function element(name, className = "", ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

const entities = new Map();

/** `&lt;` -> `<`. The browser knows the names. */
function character(entity) {
  if (!entities.has(entity)) {
    entities.set(entity, new DOMParser().parseFromString(entity, "text/html").body.textContent);
  }
  return entities.get(entity);
}

export const unescape = (text) => text.replace(ESCAPED, "$1").replace(ENTITY, character);

/** The address, if following it is harmless. The browser reads it, so no disguise of `javascript:` gets through. */
function address(text) {
  try {
    const url = new URL(text);
    return SCHEMES.includes(url.protocol) ? url.href : null;
  } catch {
    return null; // a relative one would lead into this server
  }
}

function link(href, ...children) {
  const node = element("a", "", ...children);
  return Object.assign(node, { href, target: "_blank", rel: "noopener noreferrer" });
}

/** One line, or the lines of a paragraph, as a fragment of nodes. */
export function inline(text) {
  const tokens = new Scanner(text).scan();
  pairRuns(tokens);
  return draw(tokens);
}

/** Text -> tokens: strings, nodes, {open: node} and {close} of links, and runs of `*` or `_`. */
class Scanner {
  constructor(text) {
    Object.assign(this, { text, at: 0, tokens: [], brackets: [], missing: new Set(), ticks: null });
  }

  scan() {
    const { text, tokens } = this;
    while (this.at < text.length) {
      SPECIAL.lastIndex = this.at;
      const next = SPECIAL.exec(text)?.index ?? text.length;
      if (next > this.at) tokens.push(text.slice(this.at, next));
      this.at = next;
      if (next === text.length) break;
      const began = tokens.length;
      if (!this[HANDLERS[text[next]]]() && tokens.length === began) {
        tokens.push(text[next]);
        this.at = next + 1;
      }
    }
    return tokens;
  }

  /** Adds a token and goes on at `end`. */
  add(token, end) {
    this.tokens.push(token);
    this.at = end;
    return true;
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    return pattern.exec(this.text);
  }

  /** Keeps the text up to the next `closer` as it is. */
  verbatim(closer, from) {
    if (this.missing.has(closer)) return false;
    const end = this.text.indexOf(closer, from);
    if (end < 0) this.missing.add(closer); // else many openers would search the same text
    return end >= 0 && this.add(this.text.slice(this.at, end + closer.length), end + closer.length);
  }

  backslash() {
    const next = this.text[this.at + 1] ?? "";
    if (next === "\n") return this.add("", this.at + 1); // the line break follows
    if (next === "(" && this.verbatim("\\)", this.at + 2)) return true;
    if (next === "[" && this.verbatim("\\]", this.at + 2)) return true;
    return /[!-/:-@[-`{-~]/.test(next) && this.add(next, this.at + 2);
  }

  code() {
    const length = /^`+/.exec(this.text.slice(this.at))[0].length;
    const from = this.at + length;
    const end = this.closingTicks(length, from);
    if (end < 0) return this.add("`".repeat(length), from);
    let content = this.text.slice(from, end).replace(/\n/g, " ");
    if (/^ .* $/.test(content) && content.trim()) content = content.slice(1, -1);
    return this.add(element("code", "", content), end + length);
  }

  /** Where the next run of exactly so many backticks begins. */
  closingTicks(length, from) {
    if (!this.ticks) {
      this.ticks = new Map();
      for (const run of this.text.matchAll(/`+/g)) {
        if (!this.ticks.has(run[0].length)) this.ticks.set(run[0].length, []);
        this.ticks.get(run[0].length).push(run.index);
      }
      for (const places of this.ticks.values()) places.reverse();
    }
    const places = this.ticks.get(length) ?? [];
    while (places.length && places.at(-1) < from) places.pop();
    return places.at(-1) ?? -1;
  }

  /** `$x$` and `$$x$$` stay as they are. Money does not count: "$5 to $10", as pandoc tells them apart. */
  math() {
    const { text, at } = this;
    if (text[at + 1] === "$") return this.verbatim("$$", at + 2);
    const end = text.indexOf("$", at + 1);
    const isMath = end > 0 && /\S/.test(text[at + 1]) && /\S/.test(text[end - 1]) && !/\d/.test(text[end + 1] ?? "");
    return isMath && this.add(text.slice(at, end + 1), end + 1);
  }

  angle() {
    const auto = this.match(AUTOLINK);
    const href = auto && address(auto[1]);
    if (href) return this.add(link(href, auto[1]), AUTOLINK.lastIndex);
    const tag = this.match(TAG);
    return tag && this.add(tag[0], TAG.lastIndex);
  }

  entity() {
    const found = this.match(new RegExp(ENTITY, "y"));
    return found && this.add(character(found[0]), this.at + found[0].length);
  }

  run() {
    const char = this.text[this.at];
    let end = this.at;
    while (this.text[end] === char) end++;
    const before = /.?$/su.exec(this.text.slice(Math.max(0, this.at - 2), this.at))[0];
    const after = String.fromCodePoint(this.text.codePointAt(end) ?? 32);
    return this.add(newRun(char, end - this.at, before, after), end);
  }

  bang() {
    return this.text[this.at + 1] === "[" && this.opener("![");
  }

  opener(mark = "[") {
    this.brackets.push(this.tokens.length);
    return this.add(mark, this.at + mark.length);
  }

  closer() {
    const began = this.brackets.pop();
    if (began === undefined) return false;
    this.at += 1;
    const target = this.match(TARGET);
    this.at -= 1;
    const href = target && address(unescape(target[1] ?? target[2]));
    if (!href) return false;
    pairRuns(this.tokens, began);
    this.tokens[began] = { open: link(href) };
    if (target[3]) this.tokens[began].open.title = unescape(target[3].slice(1, -1));
    this.brackets = []; // no link in a link
    return this.add({ close: true }, TARGET.lastIndex);
  }

  lineBreak() {
    const last = this.tokens.length - 1;
    if (typeof this.tokens[last] === "string") this.tokens[last] = this.tokens[last].trimEnd();
    let end = this.at + 1;
    while (this.text[end] === " " || this.text[end] === "\t") end++;
    return this.add(element("br"), end);
  }
}

const HANDLERS = {
  "\\": "backslash",
  "`": "code",
  "*": "run",
  _: "run",
  $: "math",
  "<": "angle",
  "&": "entity",
  "!": "bang",
  "[": "opener",
  "]": "closer",
  "\n": "lineBreak",
};

/** A run of `*` or `_`, and whether emphasis may begin and end here. */
function newRun(char, count, before, after) {
  const [old, next] = [before, after].map((side) => ({
    blank: SPACE.test(side),
    mark: PUNCTUATION.test(side) && !CJK.test(side),
    cjk: CJK.test(side),
  }));
  const left = !next.blank && (!next.mark || old.blank || old.mark || old.cjk);
  const right = !old.blank && (!old.mark || next.blank || next.mark || next.cjk);
  const opens = left && (char === "*" || !right || old.mark);
  const closes = right && (char === "*" || !left || next.mark);
  return { char, count, left: count, opens, closes, begins: [], ends: [], done: false };
}

/** Whether emphasis may reach from one run to the other (CommonMark's rules 9 and 10: "a multiple of 3"). */
function fits(opener, closer) {
  if (opener.char !== closer.char) return false;
  const both = opener.closes || closer.opens;
  return !both || (opener.count + closer.count) % 3 !== 0 || (opener.count % 3 === 0 && closer.count % 3 === 0);
}

/** Finds which runs belong together, in the tokens from `from` on; what is left over of them is text. */
function pairRuns(tokens, from = 0) {
  const openers = [];
  const searched = new Map(); // kind of closer -> up to which token there is no opener for it
  for (let number = from; number < tokens.length; number++) {
    const run = tokens[number];
    if (!run.char || run.done) continue;
    run.done = true; // the text of a link is paired before the text around it
    const kind = `${run.char}${run.opens}${run.count % 3}`;
    while (run.closes && run.left > 0) {
      const stop = searched.get(kind) ?? -1;
      let place = openers.length - 1;
      while (place >= 0 && openers[place].number > stop && !fits(openers[place].run, run)) place--;
      if (place < 0 || openers[place].number <= stop) {
        searched.set(kind, number - 1);
        break;
      }
      const opener = openers[place].run;
      const used = opener.left > 1 && run.left > 1 ? 2 : 1;
      opener.left -= used;
      run.left -= used;
      opener.begins.push(used);
      run.ends.push(used);
      openers.length = opener.left ? place + 1 : place;
    }
    if (run.opens && run.left > 0) openers.push({ run, number });
  }
}

function draw(tokens) {
  const path = [document.createDocumentFragment()];
  let text = "";
  const flush = () => {
    if (text) path.at(-1).append(text);
    text = "";
  };
  const enter = (node) => {
    flush();
    if (path.length <= MOST_NESTED) path.at(-1).append(node);
    path.push(path.length <= MOST_NESTED ? node : path.at(-1));
  };
  const leave = () => {
    flush();
    path.pop();
  };
  for (const token of tokens) {
    if (typeof token === "string") text += token;
    else if (token.open) enter(token.open);
    else if (token.close) leave();
    else if (token.char) {
      token.ends.forEach(leave);
      text += token.char.repeat(token.left);
      token.begins.reverse().forEach((marks) => enter(element(marks === 2 ? "strong" : "em")));
    } else {
      flush();
      path.at(-1).append(token);
    }
  }
  flush();
  return path[0];
}
