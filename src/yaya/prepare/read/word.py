"""Word files (.docx): what a reader of the document sees, without headers and footers. ECMA-376, part 1, 17.

Tags are compared without their namespace, which differs in strict files.
"""

from __future__ import annotations

import posixpath
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from yaya.prepare.document import Broken, Document, ReadEvents, Unusable
from yaya.prepare.read.numbering import Numbering, attribute, child
from yaya.prepare.read.source_files import SourceFile
from yaya.prepare.read.zipped import local, member, parse_xml, unzipped

# Not shown: deleted and moved text, properties, field codes, comments, pronunciations.
UNSEEN = frozenset({
    "del", "moveFrom", "rPr", "pPr", "sdtPr", "tblPr", "trPr", "tcPr", "instrText", "delText", "delInstrText", "rt",
    "annotationRef", "sectPr", "txbxContent", "footnoteRef", "endnoteRef", "separator", "continuationSeparator",
})  # fmt: skip
CHARACTERS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "softHyphen": "", "ptab": "\t"}
MATHS = {"f": "/", "sSup": "^", "sSub": "_"}  # fraction, power, index
GREEK = dict(zip("ABCDEFGHIKLMNOPQRSTUWXYZabcdefghiklmnopqrstuwxyz",
                 "ΑΒΧΔΕΦΓΗΙΚΛΜΝΟΠΘΡΣΤΥΩΞΨΖαβχδεφγηικλμνοπθρστυωξψζ", strict=True))  # fmt: skip
SYMBOL = {0xA3: "≤", 0xB3: "≥", 0xB1: "±", 0xB4: "×", 0xB8: "÷", 0xB9: "≠", 0xBB: "≈", 0xB7: "•", 0xA5: "∞", 0xB0: "°",
          0xAE: "→", 0xAC: "←", 0xD6: "√", 0xE5: "∑", 0xF2: "∫"}  # fmt: skip
WINGDINGS = dict(zip(b"\xfc\xfb\xfe\xfd\xa8\x6f\xe0\xdf\xa7\x4a", "✓✗☑☒☐☐→←▪☺", strict=True))
DEEPEST = 200  # nested elements


def read_docx(file: SourceFile, events: ReadEvents) -> Iterator[Document]:
    """Yields paragraphs, lists, tables and text boxes in order, then notes. Unusable if damaged."""
    with unzipped(file, ".docx") as book:
        path = document_path(book)
        root = parse_xml(member(book, path), path)
        body = next((e for e in root.iter() if local(e) == "body"), None)
        if body is None:
            raise Unusable("damaged", "no document in it", "里面没有文档")
        folder = posixpath.dirname(path)
        parts = {name: optional(file, book, posixpath.join(folder, f"{name}.xml"), events) for name in PARTS}
    text = Text(Numbering(parts["numbering"], parts["styles"]))
    blocks = [*text.blocks(body), WordBlock("".join(text.goes_on)), *text.notes(parts)]
    yield Document(join(blocks), None, file.name, "")


PARTS = ("numbering", "styles", "footnotes", "endnotes")


def document_path(book: zipfile.ZipFile) -> str:
    """The document's path in the archive, which differs in templates and old files."""
    if "_rels/.rels" in book.namelist():
        for link in parse_xml(member(book, "_rels/.rels"), "_rels/.rels"):
            if (link.get("Type") or "").endswith("/officeDocument"):
                return (link.get("Target") or "").lstrip("/")
    return "word/document.xml"


def optional(file: SourceFile, book: zipfile.ZipFile, path: str, events: ReadEvents) -> ET.Element | None:
    """A part that is not essential; None if it is missing, or broken and therefore set aside."""
    try:
        return parse_xml(member(book, path), path) if path in book.namelist() else None
    except Unusable as problem:
        events.broken(Broken(file.name, path, problem))
        return None


class WordBlock(NamedTuple):
    """A paragraph or a table."""

    text: str
    close: bool = False  # no empty line before it, as between items of a list


def join(blocks: list[WordBlock]) -> str:
    """Blocks with an empty line between; items of a list only with a line break."""
    out: list[str] = []
    before_close = False
    for part in blocks:
        if part.text.strip():
            out += ["\n" if part.close and before_close else "\n\n", part.text] if out else [part.text]
            before_close = part.close
    return "".join(out)


class Text:
    """Reads a document. Keeps the counts of its lists, and which notes were referred to."""

    def __init__(self, numbering: Numbering):
        self.numbering = numbering
        self.noted: list[tuple[str, str]] = []  # kind of note, its number in the file
        self.fields: list[bool] = []  # for each open field: whether this is still its code
        self.goes_on: list[str] = []  # texts of paragraphs whose ends were deleted

    def blocks(self, element: Iterable[ET.Element], depth: int = 0) -> list[WordBlock]:
        """The paragraphs and tables within an element."""
        out: list[WordBlock] = []
        for part in element if depth < DEEPEST else ():
            name = local(part)
            if name == "p":
                out += self.paragraph(part, depth)
            elif name == "tbl":
                out += self.table_blocks(part, depth + 1)
            elif name == "AlternateContent":
                out += self.blocks(alternative(part), depth + 1)
            elif name not in UNSEEN and not is_placeholder(part):
                out += self.blocks(part, depth + 1)
        return out

    def paragraph(self, element: ET.Element, depth: int) -> list[WordBlock]:
        """A paragraph with its number, then the text boxes that are anchored to it."""
        boxes: list[ET.Element] = []
        self.goes_on += self.inline(element, boxes, depth)
        self.fields = [False] * len(self.fields)  # the code of a field ends with its paragraph
        properties = child(element, "pPr")
        text = ""
        if not any(child(child(properties, "rPr"), mark) is not None for mark in ("del", "moveFrom")):
            text = "".join(self.goes_on).strip()
            self.goes_on = []
        label, level = self.numbering.label(properties) if text else ("", -1)
        out = [WordBlock("  " * max(level, 0) + label + text, level >= 0)]
        for box in boxes:
            out += self.blocks(box, depth + 1)
        return out

    def inline(self, element: Iterable[ET.Element], boxes: list[ET.Element], depth: int) -> Iterator[str]:
        """The text of runs; text boxes go to `boxes`."""
        for part in element if depth < DEEPEST else ():
            name = local(part)
            if name == "fldChar":
                self.field(attribute(part, "fldCharType"))
            elif name == "txbxContent":
                boxes.append(part)
            elif name in UNSEEN or is_placeholder(part) or (name == "r" and is_hidden(part)):
                continue
            elif name == "AlternateContent":
                yield from self.inline(alternative(part), boxes, depth + 1)
            elif name == "t":
                yield "" if any(self.fields[:-1]) else part.text or ""  # fields within codes are not shown
            elif name == "sym":
                yield symbol(attribute(part, "font"), attribute(part, "char"))
            elif name in CHARACTERS:
                yield CHARACTERS[name]
            elif name in ("footnoteReference", "endnoteReference"):
                self.noted.append((name.removesuffix("Reference"), attribute(part, "id")))
                yield f"[{len(self.noted)}]"
            elif name in MATHS:
                sides = (side for side in part if local(side) != f"{name}Pr")
                yield MATHS[name].join("".join(self.inline(side, boxes, depth + 1)) for side in sides)
            else:
                yield from self.inline(part, boxes, depth + 1)

    def field(self, kind: str) -> None:
        """Tracks fields (a date, a link, a page number), which show their result, not their code. 17.16.18."""
        if kind == "begin" and len(self.fields) < DEEPEST:
            self.fields.append(True)
        elif kind == "separate" and self.fields:
            self.fields[-1] = False
        elif kind == "end" and self.fields:
            self.fields.pop()

    def notes(self, parts: dict[str, ET.Element | None]) -> list[WordBlock]:
        """The foot- and endnotes that were referred to, in that order."""
        found = {
            (kind, attribute(note, "id")): note
            for kind in ("footnote", "endnote")
            if (notes := parts[f"{kind}s"]) is not None
            for note in notes
            if local(note) == kind
        }
        out = []
        for number, place in enumerate(list(self.noted), 1):
            if place in found:
                text = " ".join(part.text.strip() for part in self.blocks(found.pop(place)) if part.text.strip())
                out.append(WordBlock(f"[{number}] {text}", close=True))
        return out

    def table_blocks(self, element: ET.Element, depth: int) -> list[WordBlock]:
        """A table as one block; a table that only frames paragraphs, as these paragraphs."""
        rows = [list(within(row, "tc")) for row in within(element, "tr")]
        if all(len(row) <= 1 for row in rows):
            return [each for row in rows for cell in row for each in self.blocks(cell, depth)]
        return [WordBlock(self.table(element, depth))]

    def table(self, element: ET.Element, depth: int, between: str = " | ", rows_between: str = "\n") -> str:
        """The rows of a table; a cell that is merged with the one above it is empty."""
        rows = []
        for row in within(element, "tr") if depth < DEEPEST else ():
            if child(child(row, "trPr"), "del") is None:
                cells = [self.cell(cell, depth) for cell in within(row, "tc")]
                if any(cells):
                    rows.append(between.join(cells).strip())
        return rows_between.join(rows)

    def cell(self, element: ET.Element, depth: int) -> str:
        """What a cell holds, in one line; a table within it has semicolons between its rows."""
        merged = child(child(element, "tcPr"), "vMerge")
        if merged is not None and attribute(merged, "val") != "restart":
            return ""
        parts: list[str] = []
        for part in element:
            if local(part) == "tbl":
                parts.append(self.table(part, depth + 1, ", ", "; "))
            else:
                parts += [block.text for block in self.blocks([part], depth + 1)]
        return " ".join(" ".join(part.split()) for part in parts if part.strip())


def within(element: ET.Element, name: str, depth: int = 0) -> Iterator[ET.Element]:
    """Yields a table's rows or a row's cells, including those in content controls but not those of inner tables."""
    for part in element if depth < DEEPEST else ():
        if local(part) == name:
            yield part
        elif local(part) not in (*UNSEEN, "tbl", "tc", "tr") and not is_placeholder(part):
            yield from within(part, name, depth + 1)


def alternative(element: ET.Element) -> ET.Element:
    """The first alternative with content, of those that are written for different programs."""
    for part in element:
        if local(part) in ("Choice", "Fallback") and any(local(e) in ("t", "txbxContent") for e in part.iter()):
            return part
    return ET.Element("none")


def is_placeholder(element: ET.Element) -> bool:
    """Whether it is a content control that was not filled in: "Click here to enter text"."""
    return local(element) == "sdt" and child(child(element, "sdtPr"), "showingPlcHdr") is not None


def is_hidden(run: ET.Element) -> bool:
    hidden = child(child(run, "rPr"), "vanish")
    return hidden is not None and attribute(hidden, "val") not in ("0", "false", "off")


def symbol(font: str, code: str) -> str:
    """A character that looks like this one of a symbol font; "" if unknown."""
    try:
        number = int(code, 16)
    except ValueError:
        return ""
    number = number - 0xF000 if 0xF000 <= number <= 0xF0FF else number
    if font.lower() == "symbol":
        return SYMBOL.get(number, GREEK.get(chr(number), chr(number) if number < 0x80 else ""))
    if "wingdings" in font.lower() or "webdings" in font.lower():
        return WINGDINGS.get(number, "")
    return chr(number) if 0x20 <= number < 0x110000 and not 0xD800 <= number < 0xF900 else ""
