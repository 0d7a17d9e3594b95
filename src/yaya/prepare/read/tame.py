"""Simplifies web pages that would cost the parser minutes or all memory. Their text stays.

At every tag, the parser spends time on each open element; it reopens unclosed styles in every paragraph, and compares
each attribute with all earlier ones. Ordinary pages are returned unchanged.
"""

from __future__ import annotations

import re

MAX_DEPTH = 512  # as in Chrome
MAX_STYLES = 32  # open at once
LONG_TAG, MOST_ATTRIBUTES = 4000, 200
MOST_OPTIONS = 2000
# fmt: off
# Not counted as depth: these close by themselves, or contain no tags.
FLAT = {
    "p", "li", "dt", "dd", "tr", "td", "th", "tbody", "thead", "tfoot", "colgroup", "option", "br", "hr", "img", "image",
    "input", "meta", "link", "area", "base", "basefont", "bgsound", "col", "embed", "frame", "keygen", "param", "source",
    "track", "wbr", "html", "head", "body",
}
# Reopened in the next paragraph unless they were closed. A second `a` closes the first.
STYLES = {"b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u"}
INLINE = STYLES | {"a", "span"}
RAW = {"script", "style", "title", "textarea", "iframe", "xmp", "noembed", "noframes"}  # contain no tags
UNREAD = {"svg": re.compile(r"</svg\s*>", re.IGNORECASE)} | {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in RAW
}
# fmt: on
COMMENT_END = re.compile("--!?>")

NESTING = re.compile(rf"<(/?)(?!(?:{'|'.join(sorted(FLAT | RAW))})[\s/>])([a-zA-Z][^\s/>]*)", re.IGNORECASE)
STYLING = re.compile(rf"<(/?)({'|'.join(sorted(STYLES))})(?=[\s/>])", re.IGNORECASE)
TAG = re.compile(
    r"""<(?:!--|(/?)([a-zA-Z][^\s/>]*)(?:[^>=]++|=\s*(?:"[^"]*"|'[^']*')?)*+>?)"""
)  # quotes may contain a >
LONG = re.compile(rf"<([a-zA-Z][^\s/<>]*+)([^<>]{{{LONG_TAG},}}+)>?")
ATTRIBUTE = re.compile(r"""[^\s/=]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|\S*))?""")
OPTION = re.compile("</?option[^<>]*>?", re.IGNORECASE)


def tame(html: str) -> str:
    """Returns the page, or one with the same text that parses in linear time."""
    html = LONG.sub(few_attributes, html)
    if html.count("<") > MAX_STYLES and (is_deep(html, NESTING, MAX_DEPTH) or is_deep(html, STYLING, MAX_STYLES)):
        flat = Flat(html)
        html = "".join(flat.out) if flat.changed else html
    return OPTION.sub("\n", html) if len(OPTION.findall(html)) > 2 * MOST_OPTIONS else html


def few_attributes(tag: re.Match[str]) -> str:
    """Removes a tag's attributes if there are very many: most are text after a missing quotation mark."""
    return f"<{tag[1]}>" if len(ATTRIBUTE.findall(tag[2])) > MOST_ATTRIBUTES else tag[0]


def is_deep(html: str, tags: re.Pattern[str], most: int) -> bool:
    """Whether more than `most` elements may be open at once; an end tag counts only if it closes the last one."""
    stack: list[str] = []
    for closing, name in tags.findall(html):
        if not closing:
            stack.append(name)
            if len(stack) > most:
                return True
        elif stack and (stack[-1] == name or stack[-1].lower() == name.lower()):
            stack.pop()
    return False


class Flat:
    """Rewrites a page's tags: well nested, so that the parser never sees more open elements than are counted here."""

    def __init__(self, html: str) -> None:
        self.out: list[str] = []
        self.stack: list[tuple[str, bool]] = []  # name, and whether its tag was written
        self.open: dict[str, int] = {}
        self.written = self.styles = 0  # open elements, and styles among them
        self.changed = False
        self.owed: dict[str, int] = {}  # end tags still to come of elements that were closed early
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
        """Where a comment, a drawing or an element without tags ends; None for other elements."""
        pattern = COMMENT_END if name == "!--" else UNREAD.get(name)
        if pattern is None or name in self.unclosed:
            return None
        found = pattern.search(html, at - 2 if name == "!--" else at)  # <!--> is whole
        if found is None:
            self.unclosed.add(name)
        return found and found.end()

    def begin(self, name: str, tag: str) -> None:
        """Begins an element, without its tag if too many are open already."""
        fits = self.written < MAX_DEPTH and (name not in STYLES or self.styles < MAX_STYLES)
        self.stack.append((name, fits))
        self.open[name] = self.open.get(name, 0) + 1
        if fits:
            self.written += 1
            self.styles += name in STYLES
        self.changed = self.changed or not fits
        self.out.append(tag if fits else "" if name in INLINE else "\n")

    def close(self, name: str) -> None:
        """Ends an element and all that are open in it; drops an end tag without a beginning."""
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
