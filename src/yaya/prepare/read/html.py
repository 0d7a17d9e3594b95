"""HTML -> text: all that a browser shows, or the main text alone. Without recursion, so that depth does not matter.

The main text is found in two steps. Blocks (paragraphs, headings, list items, cells) are judged by themselves: by their
length, by how much of them is links, and by whether an element around them says that it is a menu, a footer or the like
(after Kohlschütter et al., "Boilerplate detection using shallow text features", 2010). Then the element is chosen that
holds most of the good text with little else, and short blocks in it stay where good ones are near.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

# fmt: off
UNSEEN = ["rt", "rp", "script", "style", "noscript", "template", "svg", "nav", "iframe", "select", "button", "textarea", "head"]
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
MOST_AROUND = 128  # elements around a block that it knows of

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


# Main text

WORDS = "article|entry|post|story|blog|news|text|body|content|main|richtext|markdown|prose|detail"
CONTENT = re.compile(
    rf"(?:^|[\s_-])(?:{WORDS})(?:[_-]?(?:{WORDS}|inner|area|wrapper|html|page))?(?:$|[\s_-])", re.IGNORECASE
)
# Names of what surrounds a text, wherever it stands ...
NEVER_WORDS = (
    "nav|navbar|navigation|navi|menu|footer|sidebar|side-?bar|breadcrumbs?|comments?|comment-?list|respond|disqus"
    "|share|sharing|shares|social|related|recommend|recommended|recommendations|read-?more|promo|promotion|banner"
    "|ads?|advert|advertisement|advertising|anzeige|werbung|sponsor|sponsored|newsletter|subscribe|subscription|signup|sign-?up|login"
    "|third-party|cookies?|consent|gdpr|popup|modal|overlay|tags|tag-?cloud|tag-?list|author-?(?:box|bio|info|description)"
    "|pagination|pager|paging|toolbar|search|searchform|skip|skip-?link|mw-editsection|catlinks|siteSub|jump-?to-?nav|navbox"
)
# ... and of what does only outside of it.
OUTSIDE_WORDS = (
    "foot|aside|widgets?|teasers?|post-?meta|entry-?meta|byline|bio|copyright|legal|imprint|print|ratings?|votes?|toc|hidden"
    "|credits?|metadata|infobox|masthead|topbar|site-?header|page-?header|header"
)
PARTS = "list|links?|box|bar|block|wrapper|container|area|section|items?|info|buttons?|icons?|form|inner|top|bottom|right|left"


def names(words: str) -> re.Pattern[str]:
    """Class names and ids that are one of the words, perhaps with a prefix and a part: `c-share-buttons`."""
    return re.compile(rf"(?:^|[\s_])(?:[a-z0-9]+[_-]){{0,2}}(?:{words})(?:[_-](?:{PARTS}))?(?:$|[\s_])", re.IGNORECASE)


NEVER, OUTSIDE = names(NEVER_WORDS), names(OUTSIDE_WORDS)
AROUND_TAGS = {"nav", "aside", "footer", "form", "dialog", "menu"}
AROUND_ROLES = {
    "navigation",
    "complementary",
    "contentinfo",
    "search",
    "banner",
    "dialog",
    "menu",
    "menubar",
    "toolbar",
}
BLOCKS = PARAGRAPHS | LINES | CELLS | {"body"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
NEAR = 3  # blocks
LETTER = re.compile(r"[^\W\d_]")
NOTICE = re.compile(
    r"^(?:©|\(c\)|copyright\b)|all rights reserved|alle rechte vorbehalten|tous droits réservés|版权所有|版權所有",
    re.IGNORECASE,
)
SENTENCE_ENDS = tuple('.!?:;…。！？：；”"’»)）')
GOOD = 70  # characters from which on a block is text by itself
LINKED = 0.3  # share of a block's characters in links that spoils it
MOST = 0.4  # share of the page's text from which on an element is not what surrounds the text, whatever its name
WIDE = re.compile(r"[\u1100-\u11ff\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]")


@dataclass(slots=True)
class Block:
    """A run of text between two block elements, with what is known of its place."""

    text: str
    tag: str  # the nearest block element
    linked: int  # characters inside links
    path: tuple[int, ...]  # the elements that it lies in, outermost first
    within: tuple[int, ...]  # those of them that call themselves a menu, a footer, comments
    beside: tuple[int, ...]  # those that call themselves what may also be part of a text
    pre: bool = False
    size: int = 0  # characters; of scripts without spaces each counts three times
    around: bool = False  # inside what surrounds a text
    outside: bool = False  # inside what surrounds it, or is a part of it that does not matter
    good: bool = False


def main_text(html: str) -> str:
    """The main text of a page, with its title, its tables and its code; all visible text where none stands out."""
    tree = LexborHTMLParser(limit_depth(html))
    tree.strip_tags(UNSEEN)
    root = tree.body or tree.root
    if root is None:
        return ""
    found, labels = blocks(root)
    sizes: dict[int, int] = {}
    for block in found:
        block.size = len(block.text) + 2 * len(WIDE.findall(block.text))
        for element in block.path:
            sizes[element] = sizes.get(element, 0) + block.size
    whole = sum(block.size for block in found)
    for block in found:
        block.around = any(sizes[element] < MOST * whole for element in block.within)
        block.outside = block.around or any(sizes[element] < MOST * whole for element in block.beside)
        block.good = not block.around and block.size >= GOOD and block.linked <= LINKED * len(block.text)
    if not any(block.good for block in found):
        inside = [block for block in found if not block.outside and block.linked <= LINKED * len(block.text)]
        return join_blocks(inside) or html_to_text(html)
    chosen = main_element(found, labels)
    inside = [block for block in found if chosen in block.path]
    return join_blocks([block for block, keep in zip(inside, near_good(inside), strict=True) if keep])


def blocks(root: LexborNode) -> tuple[list[Block], dict[int, str]]:
    """The blocks of a page in order, and tag, id and class of each element that holds some."""
    out: list[Block] = []
    labels: dict[int, str] = {}
    path: list[int] = []
    tags: list[str] = []
    within: list[int] = []
    beside: list[int] = []
    links = pre = linked = depth = 0
    words: list[str] = []

    def flush() -> None:
        nonlocal linked, words
        text = "".join(words)
        text = text.strip("\n") if pre else SPACES.sub(" ", text).strip()
        if text:
            out.append(
                Block(text, tags[-1] if tags else "body", linked, tuple(path), tuple(within), tuple(beside), bool(pre))
            )
        words, linked = [], 0

    node: LexborNode | None = root
    while node is not None:
        tag = node.tag or "-"
        enter = False
        if tag == "-text":
            text = node.text_content or ""
            words.append(text)
            linked += len(text.strip()) if links else 0
        elif tag == "br":
            words.append("\n" if pre else " ")
            if not pre and len(words) > 1:
                flush()
        elif not tag.startswith("-"):
            attributes = node.attributes
            if (
                "hidden" not in attributes
                and attributes.get("aria-hidden") != "true"
                and "display:none" not in (attributes.get("style") or "").replace(" ", "")
            ):
                enter = node.child is not None
        if enter:
            if tag in BLOCKS:
                flush()
                depth += 1
            if tag in BLOCKS and depth <= MOST_AROUND:
                path.append(node.mem_id)
                tags.append(tag)
                name = CAMEL.sub("-", f"{attributes.get('id') or ''} {attributes.get('class') or ''}")
                labels[node.mem_id] = f"{tag} {name}"
                if tag not in ("body", "html", "main", "article"):
                    if (
                        tag in AROUND_TAGS
                        or attributes.get("role") in AROUND_ROLES
                        or (name != " " and NEVER.search(name))
                    ):
                        within.append(node.mem_id)
                    elif tag == "header" or (name != " " and OUTSIDE.search(name)):
                        beside.append(node.mem_id)
            links += tag == "a"
            pre += tag == "pre"
            node = node.child
            continue
        while node.next is None or node.mem_id == root.mem_id:
            if node.mem_id == root.mem_id or node.parent is None:
                flush()
                return out, labels
            node = node.parent
            tag = node.tag or "-"
            if tag in BLOCKS:
                flush()
                if depth <= MOST_AROUND:
                    for marked in (within, beside):
                        if marked and marked[-1] == path[-1]:
                            marked.pop()
                    path.pop()
                    tags.pop()
                depth -= 1
            links -= tag == "a"
            pre -= tag == "pre"
        node = node.next
    flush()
    return out, labels


def main_element(found: list[Block], labels: dict[int, str]) -> int:
    """The element with most good text for what else it holds; one that calls itself an article counts for more."""
    good: dict[int, int] = {}
    whole: dict[int, int] = {}
    for block in found:
        for _depth, element in enumerate(block.path):
            whole[element] = whole.get(element, 0) + (0 if block.outside else block.size)
            if block.good and not block.outside:
                good[element] = good.get(element, 0) + block.size
    if not good:
        return found[0].path[0] if found and found[0].path else 0
    most = max(good.values())

    def worth(element: int) -> tuple[float, int]:
        tag, _, name = labels[element].partition(" ")
        named = 1.0 + 0.3 * (tag in ("article", "main")) + 0.15 * bool(CONTENT.search(name))
        share = good[element] / most
        density = good[element] / max(1, whole[element])
        return share * named * (0.4 + 0.6 * density), -whole[element]

    return max(good, key=worth)


def near_good(inside: list[Block]) -> list[bool]:
    """Which blocks stay: good ones, and those that are short where good ones are near."""
    keep = [block.good for block in inside]
    for at, block in enumerate(inside):
        if block.tag == "figcaption" or NOTICE.search(block.text):
            keep[at] = False
            continue
        if keep[at] or block.outside or block.linked > LINKED * len(block.text):
            continue
        if not LETTER.search(block.text) and block.tag not in CELLS and not block.pre:
            continue  # a date, a number of comments
        before = any(inside[i].good for i in range(max(0, at - NEAR), at))
        after = any(inside[i].good for i in range(at + 1, min(len(inside), at + 1 + NEAR)))
        if block.tag in HEADINGS:
            keep[at] = after
        elif block.tag in CELLS or block.pre or block.tag in ("li", "dd", "dt"):
            keep[at] = True
        else:
            keep[at] = (before or after) and (block.tag in ("p", "blockquote") or block.text.endswith(SENTENCE_ENDS))
    return keep


def join_blocks(kept: list[Block]) -> str:
    """One text: cells of a row beside each other, items and lines below each other, paragraphs apart."""
    out: list[str] = []
    last: Block | None = None
    for block in kept:
        if last is not None:
            row = block.tag in CELLS and last.tag in CELLS and block.path[:-1] == last.path[:-1]
            tight = (block.tag in LINES and last.tag == block.tag) or (block.tag in CELLS and last.tag in CELLS)
            out.append(" | " if row else "\n" if tight else "\n\n")
        out.append(f"- {block.text}" if block.tag == "li" else block.text)
        last = block
    return "".join(out)
