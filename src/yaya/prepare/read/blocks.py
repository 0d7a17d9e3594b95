"""A web page as blocks: the runs of text between block elements, in order, as a browser lays them out.

The tree is walked along its own links, without recursion, so that depth does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from selectolax.lexbor import LexborHTMLParser, LexborNode

from yaya.prepare.read.tame import tame

# fmt: off
UNSEEN = {
    "rt", "rp", "rtc", "script", "style", "noscript", "template", "svg", "nav", "iframe", "select", "datalist", "textarea",
    "head", "audio", "video", "canvas", "object", "noframes",
}
PARAGRAPHS = {
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "menu", "dir", "table", "pre", "listing", "xmp", "plaintext",
    "blockquote", "article", "section", "main", "figure", "hr",
}
LINES = {
    "div", "li", "dt", "dd", "tr", "header", "footer", "aside", "form", "fieldset", "legend", "address", "caption",
    "figcaption", "details", "summary", "option", "center", "hgroup", "search", "dialog",
}
CELLS = {"td", "th"}
BLOCKS = PARAGRAPHS | LINES | CELLS | {"body"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
TITLES = HEADINGS | {"dt", "summary", "legend", "caption"}
PREFORMATTED = {"pre", "listing", "xmp", "plaintext"}
CODE = {"code", "tt", "samp", "kbd"}
# fmt: on
LONGEST_NAME = 300  # characters of id and class that count
WIDEST = 20  # columns that a cell may span
MOST_INDENTED = 10  # levels of nested lists that are indented

SPACES = re.compile(r"[ \t\r\n\f\xa0]+")
# Placeholders for the line end of <br> and for the indentation of code while other white space is collapsed.
LINE_END, INDENT = "\v", "\x1f"
AROUND_LINE_ENDS = re.compile(f"[ \u3000]*{LINE_END}[ \u3000]*")
# Content for screen readers, and things beside a text that are not part of it: line numbers, edit links.
UNREAD = re.compile(
    r"(?:^|[\s_-])(?:sr-only|(?:visually|visibility|is)-?hidden|screen-?reader(?:-text)?|d-none|offscreen|(?:print|visible)-"
    r"(?:only|print)|header-?link|anchor-?link|mw-editsection|linenos?|line-?numbers?|hljs-ln-n(?:umbers)?|blob-num)(?:$|\s)"
    r"|(?:^|\s)(?:hidden|hide)(?:$|\s)(?!.*:(?:block|flex|grid|inline|table))",
    re.IGNORECASE,
)
NO_DISPLAY = re.compile("display:none|visibility:hidden")
SWITCHES = {"aria-expanded", "data-toggle", "data-bs-toggle"}  # of links that open what follows
NOTE = re.compile(r"\[.{1,6}\]|[\d*†‡]{1,3}")
RAISED = dict(zip("0123456789+-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻", strict=True))


@dataclass(slots=True, eq=False)
class Element:
    """A block element, with the range of its blocks."""

    tag: str
    parent: Element | None
    depth: int
    name: str = ""  # id and class
    role: str = ""
    hidden: bool = False
    start: int = 0
    end: int = 0
    column: int = 0  # of a cell in its row, of an item in its list
    columns: int = 0  # so far
    lists: int = 0  # number of lists around it
    caption: Element | None = None  # the figure caption around it
    cell: Element | None = None  # the innermost cell around it

    @property
    def classes(self) -> str:
        """The attribute `class`."""
        return self.name.partition(" ")[2]

    @property
    def blocks(self) -> int:
        return self.end - self.start


@dataclass(slots=True, eq=False)
class Block:
    """A run of text, with what is known about its place."""

    text: str
    element: Element  # the innermost one
    gap: int  # line ends before it
    linked: int  # characters inside links
    pre: bool  # preformatted
    heading: str  # the tag of the heading around it
    mark: str  # the mark of the list item that begins with it


class Page:
    """The blocks of a page and their elements, in document order."""

    def __init__(self, html: str) -> None:
        self.tree = LexborHTMLParser(tame(html))
        self.blocks: list[Block] = []
        self.inside = Element("body", None, 0)
        self.elements = [self.inside]
        self.words: list[str] = []  # of the current block
        self.linked = self.gap = self.depth = 0
        self.link = self.pre = self.code = 0  # depth of the outermost one around here; 0: none
        self.quotes: list[int] = []  # depths of the quotations around here
        self.heading = ""
        root = self.tree.body or self.tree.root
        if root is not None:
            self.walk(root)
            self.flush()
            self.inside.end = len(self.blocks)

    def title(self) -> str:
        node = self.tree.css_first("title")
        return SPACES.sub(" ", node.text() if node else "").strip()

    def walk(self, root: LexborNode) -> None:
        """Reads all nodes below the root."""
        node = root.child
        while node is not None:
            tag = node.tag or "-"
            if tag == "-text":
                self.read(node.text_content or "")
            elif tag == "br":
                self.end_line()
            elif tag[0] != "-" and tag not in UNSEEN and self.enter(tag, node):
                child = node.child
                if child is not None:
                    node = child
                    continue
                self.leave()
            following = node.next
            while following is None:
                node = node.parent
                if node is None or node.mem_id == root.mem_id:
                    return
                self.leave()
                following = node.next
            node = following

    def read(self, text: str) -> None:
        """Reads a text node."""
        if not self.pre:
            if not self.words and text.isspace():
                return
            if self.code:
                text = text.replace("\xa0", INDENT)
        self.words.append(text)
        if self.link:
            self.linked += len(text.strip())

    def end_line(self) -> None:
        """Ends a line; two line ends in a row end the block."""
        if self.pre:
            self.words.append("\n")
        elif "".join(self.words[-2:]).rstrip(" \n\t\r\xa0").endswith(LINE_END):
            self.flush()
            self.gap = 2
        else:
            self.words.append(LINE_END)

    def enter(self, tag: str, node: LexborNode) -> bool:
        """Begins an element; returns False for one that is skipped."""
        attributes = node.attributes
        name, hidden, block = "", False, tag in BLOCKS
        if attributes:
            name = f"{attributes.get('id') or ''} {attributes.get('class') or ''}"[:LONGEST_NAME]
            style = attributes.get("style")
            style = "".join(style.lower().split()) if style else ""
            hidden = is_hidden(attributes, style) or (len(name) > 1 and is_unread(name))
            block = block or "display:block" in style
            if hidden and (self.pre or not block):
                return False
        if tag == "button" and self.inside.tag not in TITLES and not node.text().rstrip().endswith(("?", "？")):
            return False
        if (tag == "sup" and self.read_raised(node)) or (tag == "math" and self.read_formula(node)):
            return False
        self.depth += 1
        if block:
            if not self.pre:
                role = attributes.get("role") or ""
                self.begin(Element(tag, self.inside, self.depth, name, role, hidden), attributes)
            elif tag not in CELLS and "".join(self.words[-1:])[-1:] not in ("", "\n"):
                self.words.append("\n")  # code with an element for each line
        if tag == "a" and not self.link and is_link(attributes, self.inside.tag):
            self.link = self.depth
        elif tag in PREFORMATTED and not self.pre:
            self.pre = self.depth
        elif tag in CODE and not self.code:
            self.code = self.depth
        elif tag == "q":
            self.words.append("“")
            self.quotes.append(self.depth)
        return True

    def begin(self, element: Element, attributes: dict[str, str | None]) -> None:
        """Begins a block element."""
        self.flush()
        parent, tag = self.inside, element.tag
        if self.gap < 2:
            self.gap = 2 if tag in PARAGRAPHS else 1
        element.start = len(self.blocks)
        element.lists = parent.lists + (tag in ("ul", "ol", "menu", "dir"))
        element.caption = element if tag == "figcaption" else parent.caption
        element.cell = element if tag in CELLS else parent.cell
        if tag in CELLS:
            element.column = parent.columns
            parent.columns += min(WIDEST, number(attributes.get("colspan"), 1) or 1)
        elif tag == "li":
            parent.columns = element.column = number(attributes.get("value"), parent.columns + 1)
        elif tag == "ol":
            element.columns = number(attributes.get("start"), 1) - 1
        elif tag in HEADINGS:
            self.heading = tag
        self.elements.append(element)
        self.inside = element

    def leave(self) -> None:
        """Ends the innermost element."""
        element = self.inside
        if element.depth == self.depth and element.parent is not None:
            self.flush()
            if self.gap < 2:
                self.gap = 2 if element.tag in PARAGRAPHS else 1
            element.end = len(self.blocks)
            if element.tag in HEADINGS:
                self.heading = ""
            self.inside = element.parent
        if self.depth == self.link:
            self.link = 0
        elif self.depth == self.pre:
            self.pre = 0
        elif self.depth == self.code:
            self.code = 0
        elif self.quotes and self.quotes[-1] == self.depth:
            self.words.append("”")
            self.quotes.pop()
        self.depth -= 1

    def flush(self) -> None:
        """Ends a block."""
        if not self.words:
            return
        text = "".join(self.words)
        if self.pre:
            text = text.strip("\n").rstrip().replace("\xa0", " ")
        else:
            text = SPACES.sub(" ", text)
            if LINE_END in text:
                text = AROUND_LINE_ENDS.sub("\n", text)
            text = text.strip(" \n\u3000").replace(INDENT, " ")
        if text and not text.isspace():
            pre = self.pre > 0
            self.blocks.append(Block(text, self.inside, self.gap, self.linked, pre, self.heading, self.item_mark()))
            self.gap = 0
        self.words, self.linked = [], 0

    def item_mark(self) -> str:
        """What a browser puts before the first line of a list item: a number or a bullet."""
        item = self.inside
        if item.tag in ("p", "div") and item.parent is not None:
            item = item.parent
        if item.tag != "li" or item.start != len(self.blocks) or item.parent is None:
            return ""
        mark = f"{item.column}. " if item.parent.tag == "ol" else "- "
        return "  " * min(max(0, item.lists - 1), MOST_INDENTED) + mark

    def read_raised(self, node: LexborNode) -> bool:
        """Skips footnote marks, and writes raised numbers as superscripts (10⁶, not 106). False for other text."""
        text = node.text().strip()
        if NOTE.fullmatch(text) and (text[0] in "[*†‡" or self.link or node.css_first("a") is not None):
            return True
        if self.pre or text.strip("0123456789+-−"):
            return False
        self.words.append("".join(RAISED[char] for char in text))
        return True

    def read_formula(self, node: LexborNode) -> bool:
        """Reads a formula in TeX, as its author wrote it. False where the page does not include the TeX."""
        source = node.css_first('annotation[encoding="application/x-tex"]')
        tex = source.text() if source is not None else node.attributes.get("alttext")
        if tex:
            self.words.append(f"${' '.join(tex.split())}$")
        return bool(tex)


def number(value: str | None, default: int) -> int:
    return int(value) if value and value.isdecimal() and len(value) < 10 else default


def is_hidden(attributes: dict[str, str | None], style: str) -> bool:
    """Whether a browser hides it, or it is the mark of a footnote."""
    if "hidden" in attributes and attributes["hidden"] != "until-found":
        return True
    if attributes.get("aria-hidden") == "true" or attributes.get("role") == "doc-noteref":
        return True
    return bool(style and NO_DISPLAY.search(style))


@lru_cache(maxsize=4096)
def is_unread(name: str) -> bool:
    """Whether id and class say that it is not part of the text."""
    return bool(UNREAD.search(name))


def is_link(attributes: dict[str, str | None], inside: str) -> bool:
    """Whether it leads elsewhere: not an e-mail address, a switch, or a title's link to itself."""
    address = attributes.get("href")
    if not address or address == "#" or address.startswith(("javascript:", "mailto:", "tel:")):
        return False
    return SWITCHES.isdisjoint(attributes) and not (address.startswith("#") and inside in TITLES)


def join(blocks: Iterable[Block]) -> str:
    """Joins blocks to one text: a row's cells on one line, items on their own, blank lines between paragraphs."""
    out: list[str] = []
    row: list[tuple[Element, Block]] = []
    for block in blocks:
        cell = block.element.cell if not block.pre else None
        if cell is None or cell.blocks > 1 or (row and cell.parent is not row[0][0].parent):
            write_row(row, out)
            row = []
        if cell is None or cell.blocks > 1:
            write(block, block.mark + block.text, out)
        else:
            row.append((cell, block))
    write_row(row, out)
    return "".join(out).rstrip()


def write_row(row: list[tuple[Element, Block]], out: list[str]) -> None:
    """Writes a row's cells on one line with bars between, also for empty cells; a single cell is a paragraph."""
    if not row:
        return
    text = row[0][1].text
    if len(row) > 1:
        text = text.replace("\n", " ")
        if row[0][0].column:
            text = "| " + text
        for (before, _), (cell, block) in pairwise(row):
            text += " |" * (cell.column - before.column) + " " + block.text.replace("\n", " ")
    write(row[0][1], text, out)


def write(block: Block, text: str, out: list[str]) -> None:
    """Adds the text of a block below what is there."""
    out.append("\n" * max(1, block.gap) + text if out else text)
