"""Books: EPUB by itself, PDF through pypdf (the extra "data"). A broken chapter or page costs no other."""

from __future__ import annotations

import io
import logging
import posixpath
import urllib.parse
import zipfile
from collections.abc import Iterator
from typing import Any

from yaya.prepare.document import Broken, Document, ReadEvents, Unusable
from yaya.prepare.read.html import html_to_text
from yaya.prepare.read.readers import decode_page
from yaya.prepare.read.signatures import what_it_is
from yaya.prepare.read.source_files import SourceFile, read_bytes
from yaya.prepare.read.zipped import library, local, member, other_kind, parse_xml, password, unzipped

CONTAINER = "META-INF/container.xml"
ENCRYPTION = "META-INF/encryption.xml"


def read_epub(file: SourceFile, events: ReadEvents) -> Iterator[Document]:
    """Yields a book as one document, its chapters in reading order; Unusable where none can be read. EPUB 3.3, W3C."""
    with unzipped(file, ".epub") as book:
        locked = locked_members(book)
        texts, problems = [], []
        for path in chapters(book, package_of(book)):
            try:
                if path in locked:
                    raise Unusable("locked", f"{path} is copy-protected", f"{path} 有版权保护")
                texts.append(html_to_text(decode_page(member(book, path))))
            except Unusable as problem:
                problems.append(Broken(file.name, f"chapter {path}", problem))
    if problems and not any(texts):
        raise problems[0].problem
    for broken in problems:
        events.broken(broken)
    yield Document("\n\n".join(text for text in texts if text), None, file.name, "")


def package_of(book: zipfile.ZipFile) -> str:
    """The path of the file that lists a book's contents; Unusable where there is none."""
    try:
        container = parse_xml(member(book, CONTAINER), CONTAINER)
        path = next((e.get("full-path") for e in container.iter() if e.tag.endswith("rootfile")), None)
    except Unusable:
        path = None
    path = path or next((name for name in book.namelist() if name.endswith(".opf")), None)
    if path is None:
        raise Unusable("damaged", "the book names no contents", "书里没有目录文件")
    return path


def chapters(book: zipfile.ZipFile, package: str) -> Iterator[str]:
    """Yields the paths of the chapters in order, each once, as the format demands."""
    tree = parse_xml(member(book, package), package)
    items = {e.get("id"): e for e in tree.iter() if local(e) == "item"}
    for reference in (e for e in tree.iter() if local(e) == "itemref"):
        item = items.pop(reference.get("idref"), None)
        if item is None or "html" not in (item.get("media-type") or "") or "nav" in (item.get("properties") or ""):
            continue
        href = urllib.parse.unquote(item.get("href") or "")
        yield posixpath.normpath(posixpath.join(posixpath.dirname(package), href))


def locked_members(book: zipfile.ZipFile) -> set[str]:
    """Paths that are encrypted: chapters in copy-protected books, at most fonts in others."""
    if ENCRYPTION not in book.namelist():
        return set()
    tree = parse_xml(member(book, ENCRYPTION), ENCRYPTION)
    return {urllib.parse.unquote(e.get("URI") or "") for e in tree.iter() if local(e) == "CipherReference"}


def read_pdf(file: SourceFile, events: ReadEvents) -> Iterator[Document]:
    """Yields the text layer as one document; Unusable for a scan without one. `events` learns of pages without text."""
    pypdf = library("pypdf", "pypdf", file)
    said = Heard()
    reader = open_pdf(pypdf, file)
    texts, problems, pictures = [], [], []
    count = len(reader.pages)
    if (wanted := pages_promised(reader)) > count:
        lost = Unusable(
            "damaged", f"pages are missing: {wanted - count} of {wanted}", f"{wanted} 页里缺了 {wanted - count} 页"
        )
        problems.append(Broken(file.name, "", lost))
    for number in range(count):
        try:
            said.clear()
            page = reader.pages[number]
            texts.append((page.extract_text() or "").strip())
            if not texts[-1] and said:
                raise ValueError(said[-1])
            if not texts[-1] and has_picture(page):
                pictures.append(number + 1)
        except Exception as error:  # damaged pages raise almost anything
            why = str(error).split("\n")[0][:200]
            problem = Unusable("damaged", f"this page cannot be read: {why}", f"这一页读不了：{why}")
            problems.append(Broken(file.name, f"page {number + 1}", problem))
    if not any(texts) and not problems:
        raise Unusable("no text layer", "a scan without text", "扫描件，没有文字层")
    for broken in problems:
        events.broken(broken)
    for page_number in pictures:
        events.left_out(file.name, f"page {page_number}", "a picture without text")
    if any(texts):
        yield Document("\n\n".join(text for text in texts if text), None, file.name, "")


def open_pdf(pypdf: Any, file: SourceFile) -> Any:
    """The library's reader of a PDF whose pages can be counted; Unusable for a locked, damaged or other file."""
    data = read_bytes(file)
    what = what_it_is(data)
    if what and "(.pdf)" not in what[0]:
        raise other_kind(what, ".pdf")
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise password("this PDF", "这个 PDF ")
        len(reader.pages)
    except Unusable:
        raise
    except pypdf.errors.DependencyError:
        library("cryptography", "cryptography", file)
        raise
    except Exception as error:  # damaged files raise almost anything
        raise Unusable("damaged", f"no readable PDF: {error}", f"不是可读的 PDF：{error}") from None
    return reader


class Heard(list[str]):
    """What pypdf logs: of a page with broken content it returns no text, and only logs why."""

    def __init__(self) -> None:
        super().__init__()
        logger, heard = logging.getLogger("pypdf"), logging.Handler()
        heard.emit = lambda record: self.append(record.getMessage())  # type: ignore[method-assign]
        logger.handlers, logger.propagate = [heard], False  # we report what matters


def pages_promised(reader: Any) -> int:
    """Number of pages that the file claims to have."""
    try:
        return int(reader.trailer["/Root"]["/Pages"]["/Count"])
    except Exception:  # damaged files raise almost anything
        return 0


def has_picture(page: Any) -> bool:
    """Whether a page shows a picture, as each page of a scan does."""
    objects = (page.get("/Resources") or {}).get("/XObject") or {}
    return any(objects[name].get_object().get("/Subtype") == "/Image" for name in objects)
