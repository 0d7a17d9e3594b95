"""HTML -> text: all that a browser shows, or the main text alone.

Text is what is not a link, and not inside a menu, a footer or the like (`surroundings.py`), however short: recipes, dialogues
and poems have short lines. The main element is the one with most text and little else. Nearly all of it is kept; only on
pages of long paragraphs is a short line on its own left out.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import accumulate

from yaya.prepare.read import surroundings
from yaya.prepare.read.blocks import CELLS, Block, Element, Page, join

LONG = 70  # characters that make a block a text by itself
LABEL = 0.8  # weight of a character in a shorter block that does not end like a sentence
SENTENCE_ENDS = tuple('.!?:;…。！？：；”"’»)）')
SERIES = 3  # lines that are alike
MOST_RELATED = 0.6  # of the text: lists of other pages are not larger
TITLE_NEAR = 6  # blocks
CONTAINERS = {
    "body", "div", "section", "article", "main", "td", "th", "center", "form", "fieldset", "header", "footer", "aside",
    "details", "dialog",
}  # fmt: skip
LETTER = re.compile(r"[^\W\d_]")
LINE_NUMBERS = re.compile(r"\d+(?:\n\d+)*")
WIDE = re.compile(r"[\u1100-\u11ff\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]")


def html_to_text(html: str) -> str:
    """The title, then all that a browser shows."""
    page = Page(html)
    out = surroundings.taken_out(page, [len(block.text) for block in page.blocks], surroundings.hiding)
    title, body = page.title(), join(chosen(page.blocks, [not gone for gone in out]))
    return f"{title}\n\n{body}".strip() if title and not body.startswith(title) else body


def main_text(html: str) -> str:
    """The main text of a page with title, tables and code; little or nothing for a page of links."""
    page = Page(html)
    text = MainText(page)
    return join(chosen(page.blocks, text.keep)) if page.blocks else ""


def chosen(blocks: list[Block], keep: list[bool]) -> list[Block]:
    """The blocks that stay, each with the widest gap since the one before."""
    out: list[Block] = []
    gap = 0
    for block, stays in zip(blocks, keep, strict=True):
        gap = max(gap, block.gap)
        if stays:
            block.gap, gap = gap, 0
            out.append(block)
    return out


class MainText:
    """Decides which blocks of a page are its main text (`keep`)."""

    def __init__(self, page: Page) -> None:
        self.page, self.blocks = page, page.blocks
        self.sizes = [size_of(block) for block in self.blocks]
        self.values = [value_of(block, size) for block, size in zip(self.blocks, self.sizes, strict=True)]
        self.keep = [False] * len(self.blocks)
        self.around = surroundings.taken_out(page, self.values, surroundings.around)
        self.take(self.around)
        self.take(surroundings.teasers(page, self.values))
        self.beside = surroundings.taken_out(page, self.values, surroundings.beside, surroundings.BESIDE)
        self.main = self.main_element()
        self.inside = range(self.main.start, self.main.end)
        if any(self.values):
            self.keep_texts()
            self.keep_linked()
            self.keep_announced()
            self.keep_headings()
            self.keep_title()

    def take(self, out: list[bool]) -> None:
        for at, gone in enumerate(out):
            if gone:
                self.around[at], self.values[at] = True, 0.0

    def main_element(self) -> Element:
        """The element with most text and least else; one named like an article counts for more."""
        text = [0.0, *accumulate(0 if out else value for value, out in zip(self.values, self.beside, strict=True))]
        whole = [0, *accumulate(0 if out else size for size, out in zip(self.sizes, self.around, strict=True))]

        def worth(element: Element) -> tuple[float, int]:
            holds = whole[element.end] - whole[element.start]
            good = text[element.end] - text[element.start]
            named = 1.0 + 0.3 * (element.tag in ("article", "main")) + 0.15 * surroundings.is_content(element.name)
            return good * named * (0.4 + 0.6 * (good + 100) / (holds + 100)), -holds

        return max((element for element in self.page.elements if element.tag in CONTAINERS), key=worth)

    def keep_texts(self) -> None:
        """Keeps sentences, and short lines that are among them, in a series, or on a page of short lines."""
        blocks, values = self.blocks, self.values
        found = [at for at in self.inside if values[at] > 0 and not blocks[at].heading]
        sentences = [at for at in found if self.is_sentence(at)]
        holding = {blocks[at].element for at in sentences if values[at] >= LONG}
        beside_sentences = {blocks[at].element.parent for at in sentences}
        places = {place(blocks[at]) for at in sentences}
        alike = Counter(kind for at in found for kind in kinds(blocks[at]))
        short = sum(values[at] for at in found if values[at] < LONG) > 0.5 * sum(values[at] for at in found)
        for at in found:
            block, tag = blocks[at], blocks[at].element.tag
            if surroundings.RELATED.fullmatch(block.text) or is_line_numbers(block):
                continue
            if of_picture(block):
                self.keep[at] = self.is_sentence(at)
                continue
            if self.beside[at]:
                self.keep[at] = values[at] >= LONG
            elif block.pre or any(alike[kind] >= SERIES for kind in kinds(block)):
                self.keep[at] = True
            elif not LETTER.search(block.text):  # a date, a number of comments
                self.keep[at] = tag in CELLS or tag in ("li", "dd", "p")
            else:
                among = block.element in holding or place(block) in places
                among = among or (tag == "p" and block.element.parent in beside_sentences)
                self.keep[at] = short or among or self.is_sentence(at) or tag not in CONTAINERS | {"p"} or tag in CELLS

    def is_sentence(self, at: int) -> bool:
        return self.values[at] >= LONG or self.blocks[at].text.endswith(SENTENCE_ENDS)

    def keep_linked(self) -> None:
        """Keeps links in lists that are mostly text, and in rows with a cell that is kept."""
        rows: dict[Element, list[int]] = {}
        for at in self.inside:
            element = self.blocks[at].element
            if element.tag in ("p", "div") and element.parent is not None:
                element = element.parent
            if (element.tag in CELLS or element.tag == "li") and element.parent is not None and not self.around[at]:
                rows.setdefault(element.parent, []).append(at)
        for row, members in rows.items():
            if row.tag == "tr":
                text = any(self.keep[at] for at in members)
            else:
                linked = sum(self.blocks[at].linked for at in members)
                text = linked <= 0.5 * sum(len(self.blocks[at].text) for at in members)
            for at in members:
                self.keep[at] = self.keep[at] or text

    def keep_announced(self) -> None:
        """Keeps short lines between two sentences or after a colon."""
        for at in self.inside[1:-1]:
            before, block, after = self.blocks[at - 1 : at + 2]
            if self.keep[at] or not self.keep[at - 1] or self.values[at] == 0 or self.beside[at]:
                continue
            if block.heading or of_picture(block):
                continue
            between = before.element.parent is after.element.parent is block.element.parent
            between = between and self.keep[at + 1] and self.is_sentence(at - 1) and self.is_sentence(at + 1)
            self.keep[at] = between or before.text.endswith((":", "："))

    def keep_headings(self) -> None:
        """Keeps the headings of what is kept; drops sections whose heading announces other pages."""
        blocks, keep, inside = self.blocks, self.keep, self.inside
        headings = [at for at in inside if blocks[at].heading and not self.around[at]]
        text = [0.0, *accumulate(self.values)]
        whole = text[inside.stop] - text[inside.start]
        all_heads = sum(self.values[at] for at in headings) > 0.5 * whole  # all text of the page is in headings
        for at in reversed(headings):
            end = min(inside.stop, surroundings.section_end(blocks, at, self.main))
            keep[at] = any(keep[at + 1 : end]) or (all_heads and self.values[at] >= LONG)
            related = surroundings.RELATED.fullmatch(blocks[at].text) and any(
                map(surroundings.is_linked, blocks[at:end])
            )
            if related and text[end] - text[at] < MOST_RELATED * whole:
                keep[at:end] = [False] * (end - at)
        if not any(keep):
            for at in headings:
                keep[at] = self.values[at] > 0

    def keep_title(self) -> None:
        """Keeps the heading right before the main element if it is the page's title."""
        first = next((at for at in self.inside if self.keep[at]), None)
        if first is None or self.blocks[first].heading:
            return
        for at in range(self.main.start - 1, max(-1, self.main.start - 1 - TITLE_NEAR), -1):
            block = self.blocks[at]
            if block.heading in ("h1", "h2") and self.values[at] > 0 and block.text in self.page.title():
                self.keep[at] = True
                return


def size_of(block: Block) -> int:
    """Number of characters; in scripts without spaces each counts three times."""
    return len(block.text) + 2 * len(WIDE.findall(block.text))


def value_of(block: Block, size: int) -> float:
    """How much a block counts as text: nothing for links and notices."""
    if surroundings.is_linked(block) or (size < surroundings.NOTICE_SIZE and surroundings.NOTICE.search(block.text)):
        return 0.0
    return size if block.pre or size >= LONG or block.text.endswith(SENTENCE_ENDS) else LABEL * size


def is_line_numbers(block: Block) -> bool:
    """Whether it is a column of line numbers beside code."""
    cell = block.element.cell
    if not block.pre or cell is None or cell.blocks > 1 or cell.parent is None or cell.parent.blocks == 1:
        return False
    return bool(LINE_NUMBERS.fullmatch(block.text))


def of_picture(block: Block) -> bool:
    """Whether it is the caption of a picture, that is of a figure without other text."""
    caption = block.element.caption
    return caption is not None and caption.parent is not None and caption.parent.blocks == caption.blocks


def place(block: Block) -> tuple[str, str, Element | None]:
    """What blocks share that have the same role in the same element, with or without wrappers."""
    element = block.element
    while element.parent is not None and element.parent.parent is not None and element.parent.blocks == 1:
        element = element.parent
    return element.tag, element.classes, element.parent


def kinds(block: Block) -> list[tuple[str, str, Element | None]]:
    """What the lines of a series share: their place or their class."""
    element = block.element
    return [place(block)] + ([(element.tag, element.classes, None)] if element.classes else [])
