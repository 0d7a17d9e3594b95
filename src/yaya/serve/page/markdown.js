// A small part of Markdown as DOM nodes: paragraphs, line breaks, headings, lists, code, bold.
// Text only ever enters through textContent, so nothing that a model or a user writes can become markup.

function element(name, className = "", ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** `code` and **bold** inside a line. */
function inline(text) {
  return text
    .split(/(`[^`\n]+`|\*\*[^*\n]+\*\*)/)
    .filter(Boolean)
    .map((part) => {
      if (part.length > 2 && part.startsWith("`") && part.endsWith("`")) return element("code", "", part.slice(1, -1));
      if (part.length > 4 && part.startsWith("**") && part.endsWith("**")) return element("strong", "", part.slice(2, -2));
      return part;
    });
}

const LIST_ITEM = /^\s{0,3}(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/;
const HEADING = /^#{1,6}\s+(.*)$/;
const FENCE = /^\s{0,3}```\s*(\S*)/;

/** Blocks outside of code fences: blank lines separate, list items gather. */
function textBlocks(lines) {
  const out = [];
  let open = null; // the paragraph or list that the next line may join
  for (const line of lines) {
    const item = line.match(LIST_ITEM);
    const heading = line.match(HEADING);
    if (!line.trim()) {
      open = null;
    } else if (heading) {
      out.push(element("h3", "", ...inline(heading[1])));
      open = null;
    } else if (item) {
      const kind = item[1] ? "OL" : "UL";
      if (open?.tagName !== kind) {
        out.push((open = element(kind)));
        if (item[1] && item[1] !== "1") open.start = Number(item[1]);
      }
      open.append(element("li", "", ...inline(item[2])));
    } else if (open?.tagName === "P") {
      open.append(element("br"), ...inline(line));
    } else {
      out.push((open = element("p", "", ...inline(line))));
    }
  }
  return out;
}

/** The text as a list of nodes. `copyButton(getText)` makes the button of a code block. */
export function render(text, copyButton) {
  const out = [];
  let lines = [];
  let code = null; // lines of the open fence, and its language
  const endText = () => {
    out.push(...textBlocks(lines));
    lines = [];
  };
  const endCode = () => {
    const body = code.lines.join("\n");
    const head = element("div", "code-head", element("span", "", code.language), copyButton(() => body));
    out.push(element("div", "code", head, element("pre", "", element("code", "", body))));
    code = null;
  };
  for (const line of text.split("\n")) {
    const fence = line.match(FENCE);
    if (code && fence) endCode();
    else if (code) code.lines.push(line);
    else if (fence) {
      endText();
      code = { language: fence[1], lines: [] };
    } else lines.push(line);
  }
  endText();
  if (code) endCode(); // still being written
  return out;
}
