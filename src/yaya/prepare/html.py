"""HTML -> visible text, without recursion, so that depth does not matter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

# fmt: off
UNSEEN = ["script", "style", "noscript", "template", "svg", "nav", "iframe", "select", "button", "textarea", "head"]
PARAGRAPHS = {
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "pre", "blockquote", "article", "section",
    "main", "figure", "hr",
}
LINES = {
    "div", "li", "dt", "dd", "tr", "header", "footer", "aside", "form", "fieldset", "address", "caption", "figcaption",
    "details", "summary", "option",
}
CELLS = {"td", "th"}
# Never counted as depth: these close by themselves, or hold no tags.
FLAT = {
    "p", "li", "dt", "dd", "tr", "td", "th", "option", "br", "hr", "img", "input", "meta", "link", "area", "base",
    "col", "embed", "source", "track", "wbr", "title", "script", "style", "textarea", "iframe", "html", "head", "body",
}
# fmt: on
MAX_DEPTH = 512  # as in Chrome; the parser needs time for every level at every tag

TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)(?:[^<>]*)>?")
SPACES = re.compile(r"[ \t\r\n\f\xa0]+")
Piece = tuple[str, str]  # "text", "pre" or "break", and what


def html_to_text(html: str) -> str:
    """Title, then what a browser shows; block elements become line breaks, entities are decoded."""
    tree = LexborHTMLParser(limit_depth(html))
    title_node = tree.css_first("title")
    title = SPACES.sub(" ", title_node.text() if title_node else "").strip()
    tree.strip_tags(UNSEEN)
    root = tree.body or tree.root
    body = join_pieces(pieces(root)) if root else ""
    if title and not body.startswith(title):
        body = f"{title}\n\n{body}"
    return body


def pieces(root: LexborNode) -> Iterator[Piece]:
    """Texts and line breaks in document order, walked along the tree's own links."""
    node: LexborNode | None = root
    inside_pre = 0
    while node is not None:
        tag = node.tag or "-"
        if tag == "-text":
            text = node.text_content or ""
            yield ("pre", text) if inside_pre else ("text", SPACES.sub(" ", text))
        elif not tag.startswith("-") and "hidden" not in node.attributes:
            yield ("break", break_at(tag))
            if node.child is not None:
                inside_pre += tag == "pre"
                node = node.child
                continue
        while node.next is None or node.mem_id == root.mem_id:  # up to the next one that has something beside it
            if node.mem_id == root.mem_id or node.parent is None:
                return
            node = node.parent
            inside_pre -= node.tag == "pre"
            yield ("break", break_at(node.tag or "-"))
        node = node.next


def break_at(tag: str) -> str:
    """What stands where this element begins or ends."""
    if tag in PARAGRAPHS:
        return "\n\n"
    return "\n" if tag in LINES else "\r" if tag == "br" else " " if tag in CELLS else ""


def join_pieces(found: Iterable[Piece]) -> str:
    """One text: no spaces around line breaks that elements made, no more than one blank line."""
    out: list[str] = []
    breaks, space = 0, False
    for kind, piece in found:
        if kind == "break":
            breaks = min(2, breaks + 1) if piece == "\r" else max(breaks, piece.count("\n"))
            space = space or piece == " "
            continue
        words = piece if kind == "pre" else piece.strip(" ")
        space = space or (kind == "text" and piece.startswith(" "))
        if words:
            if out:
                out.append("\n" * breaks or (" " if space else ""))
            out.append(words)
            breaks, space = 0, False
        space = space or (kind == "text" and piece.endswith(" "))
    return "".join(out).strip("\n ")


def space_for(tag: str) -> str:
    """What is left of a tag that is taken out."""
    return "\n" if tag in PARAGRAPHS or tag in LINES else ""


def limit_depth(html: str) -> str:
    """The same page without the tags that lie deeper than MAX_DEPTH; their text stays."""
    if html.count("<") <= MAX_DEPTH:
        return html
    depth = deepest = 0
    for match in TAG.finditer(html):
        if match[2].lower() not in FLAT:
            depth = max(0, depth - 1) if match[1] else depth + 1
            deepest = max(deepest, depth)
    if deepest <= MAX_DEPTH:
        return html
    depth = 0

    def shallow(match: re.Match[str]) -> str:
        nonlocal depth
        tag = match[2].lower()
        if tag in FLAT:
            return match[0]
        if match[1]:
            depth = max(0, depth - 1)
            return match[0] if depth < MAX_DEPTH else space_for(tag)
        depth += 1
        return match[0] if depth <= MAX_DEPTH else space_for(tag)

    return TAG.sub(shallow, html)
