"""Web pages that would take the parser minutes, or all memory, made harmless. What they say stays.

The parser needs time for every open element at every tag, opens all styles that were not closed again in every
paragraph, and compares each attribute with all before it. Ordinary pages come back as they are.
"""

from __future__ import annotations

import re

MAX_DEPTH = 512  # as in Chrome
MAX_STYLES = 32  # that are open at once
LONG_TAG, MOST_ATTRIBUTES = 4000, 200
MOST_OPTIONS = 2000
# fmt: off
# Never counted as depth: these close by themselves, or hold no tags.
FLAT = {
    "p", "li", "dt", "dd", "tr", "td", "th", "tbody", "thead", "tfoot", "colgroup", "option", "br", "hr", "img", "image",
    "input", "meta", "link", "area", "base", "basefont", "bgsound", "col", "embed", "frame", "keygen", "param", "source",
    "track", "wbr", "html", "head", "body",
}
# Opened again in the next paragraph where they were not closed. A second `a` closes the first.
STYLES = {"b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u"}
INLINE = STYLES | {"a", "span"}
RAW = {"script", "style", "title", "textarea", "iframe", "xmp", "noembed", "noframes"}  # hold no tags
UNREAD = {"svg": re.compile(r"</svg\s*>", re.IGNORECASE)} | {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in RAW
}
# fmt: on
COMMENT_END = re.compile("--!?>")

NESTING = re.compile(rf"<(/?)(?!(?:{'|'.join(sorted(FLAT | RAW))})[\s/>])([a-zA-Z][^\s/>]*)", re.IGNORECASE)
STYLING = re.compile(rf"<(/?)({'|'.join(sorted(STYLES))})(?=[\s/>])", re.IGNORECASE)
TAG = re.compile(r"""<(?:!--|(/?)([a-zA-Z][^\s/>]*)(?:[^>=]++|=\s*(?:"[^"]*"|'[^']*')?)*+>?)""")  # quotes may hold a >
LONG = re.compile(rf"<([a-zA-Z][^\s/<>]*+)([^<>]{{{LONG_TAG},}}+)>?")
ATTRIBUTE = re.compile(r"""[^\s/=]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|\S*))?""")
OPTION = re.compile("</?option[^<>]*>?", re.IGNORECASE)


def tame(html: str) -> str:
    """The same page, or what reads like it and takes a time in proportion to its length."""
    html = LONG.sub(few_attributes, html)
    if html.count("<") > MAX_STYLES and (is_deep(html, NESTING, MAX_DEPTH) or is_deep(html, STYLING, MAX_STYLES)):
        html = flattened(html)
    return OPTION.sub("\n", html) if len(OPTION.findall(html)) > 2 * MOST_OPTIONS else html


def few_attributes(tag: re.Match[str]) -> str:
    """A tag without its attributes if it has very many: mostly those are text behind a quotation mark that is missing."""
    return f"<{tag[1]}>" if len(ATTRIBUTE.findall(tag[2])) > MOST_ATTRIBUTES else tag[0]


def is_deep(html: str, tags: re.Pattern[str], most: int) -> bool:
    """Whether more than so many may be open at once; an end that does not belong to the last beginning is not believed."""
    stack: list[str] = []
    for closing, name in tags.findall(html):
        if not closing:
            stack.append(name)
            if len(stack) > most:
                return True
        elif stack and (stack[-1] == name or stack[-1].lower() == name.lower()):
            stack.pop()
    return False


def flattened(html: str) -> str:
    """The page well nested, without the tags that lie too deep; the page itself if it is so already."""
    flat = Flat(html)
    return "".join(flat.out) if flat.changed else html


class Flat:
    """Reads a page's tags and writes them so that the parser cannot see more open elements than are counted here."""

    def __init__(self, html: str) -> None:
        self.out: list[str] = []
        self.stack: list[tuple[str, bool]] = []  # name, and whether its tag was written
        self.open: dict[str, int] = {}
        self.written = self.styles = 0  # elements that are open, and those of them that are styles
        self.changed = False
        self.owed: dict[str, int] = {}  # ends that are still to come of elements that had to be ended before
        self.unclosed: set[str] = set()
        at = 0
        while tag := TAG.search(html, at):
            self.out.append(html[at : tag.start()])
            at = tag.end()
            name = (tag[2] or "!--").lower()
            end = None if tag[1] or tag[0].endswith("/>") else self.end_of(name, html, at)
            if end is not None:
                self.out.append(html[tag.start() : end] if name in RAW else "")
                at = end
            elif name in FLAT or name in RAW or name == "!--":
                self.out.append(tag[0])
            elif tag[1]:
                self.close(name)
            else:
                self.begin(name, tag[0])
        self.out.append(html[at:])

    def end_of(self, name: str, html: str, at: int) -> int | None:
        """Where a comment, a drawing or what holds no tags ends; None for other elements."""
        pattern = COMMENT_END if name == "!--" else UNREAD.get(name)
        if pattern is None or name in self.unclosed:
            return None
        found = pattern.search(html, at - 2 if name == "!--" else at)  # <!--> is whole
        if found is None:
            self.unclosed.add(name)
        return found and found.end()

    def begin(self, name: str, tag: str) -> None:
        """Begins an element; its tag is left out where too many are open already."""
        fits = self.written < MAX_DEPTH and (name not in STYLES or self.styles < MAX_STYLES)
        self.stack.append((name, fits))
        self.open[name] = self.open.get(name, 0) + 1
        if fits:
            self.written += 1
            self.styles += name in STYLES
        self.changed = self.changed or not fits
        self.out.append(tag if fits else "" if name in INLINE else "\n")

    def close(self, name: str) -> None:
        """Ends an element and all that are open in it; an end without a beginning goes."""
        if self.owed.get(name):
            self.owed[name] -= 1
            return
        if not self.open.get(name):
            self.changed = True
            return
        while True:
            last, was_written = self.stack.pop()
            self.open[last] -= 1
            if was_written:
                self.out.append(f"</{last}>")
                self.written -= 1
                self.styles -= last in STYLES
            if last == name:
                return
            self.changed = True
            if name in INLINE and last not in INLINE:  # <a><div></a></div>
                self.owed[last] = self.owed.get(last, 0) + 1
