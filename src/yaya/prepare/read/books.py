"""Books and office files: EPUB by itself, PDF and DOCX through libraries (the extra "data")."""

from __future__ import annotations

import io
import posixpath
import urllib.parse
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from typing import Any

from yaya.core.say import UserError
from yaya.prepare.document import Document, Report, Unusable
from yaya.prepare.read.files import LARGEST, SourceFile, read_bytes
from yaya.prepare.read.html import html_to_text
from yaya.prepare.read.readers import decode_page

LARGEST_MEMBER = 64 << 20  # bytes of one file inside, unpacked
CONTAINER = "META-INF/container.xml"


def read_epub(file: SourceFile, report: Report) -> Iterator[Document]:
    """A book's chapters in reading order, as one document. EPUB 3.3, W3C."""
    with unzipped(file) as book:
        container = parse_xml(member(book, CONTAINER))
        package = next((e.get("full-path") for e in container.iter() if e.tag.endswith("}rootfile")), None)
        if package is None:
            raise damaged("the book names no contents", "书里没有目录文件")
        tree = parse_xml(member(book, package))
        items = {e.get("id"): e for e in tree.iter() if e.tag.endswith("}item")}
        chapters = []
        for reference in (e for e in tree.iter() if e.tag.endswith("}itemref")):
            item = items.pop(reference.get("idref"), None)  # each only once, as the format wants it
            if item is None or "html" not in (item.get("media-type") or "") or "nav" in (item.get("properties") or ""):
                continue
            path = posixpath.normpath(
                posixpath.join(posixpath.dirname(package), urllib.parse.unquote(item.get("href") or ""))
            )
            chapters.append(html_to_text(decode_page(member(book, path))))
        yield Document("\n\n".join(chapter for chapter in chapters if chapter), None, file.name, "")


def read_docx(file: SourceFile, report: Report) -> Iterator[Document]:
    """Paragraphs and tables in order; a table's cells with bars between."""
    docx = library("docx", "python-docx")
    with unzipped(file) as book:  # says what is wrong with a file that is none
        for info in book.infolist():
            if info.file_size > LARGEST_MEMBER:
                raise too_large(info.filename)
    data = read_bytes(file)
    try:
        document = docx.Document(io.BytesIO(data))
    except Exception as error:  # the library raises what its XML library raises
        raise damaged(f"no readable Word document: {error}", f"不是可读的 Word 文档：{error}") from None
    parts = []
    for block in document.iter_inner_content():
        if hasattr(block, "rows"):
            parts.append("\n".join(" | ".join(cell.text.strip() for cell in row.cells) for row in block.rows))
        else:
            parts.append(block.text)
    yield Document("\n\n".join(part for part in parts if part.strip()), None, file.name, "")


def read_pdf(file: SourceFile, report: Report) -> Iterator[Document]:
    """The text layer, page by page; a scan without one is set aside."""
    pypdf = library("pypdf", "pypdf")
    data = read_bytes(file)
    try:
        pages = pypdf.PdfReader(io.BytesIO(data)).pages
        texts = [page.extract_text() or "" for page in pages]
    except Exception as error:  # damaged files raise almost anything
        raise damaged(f"no readable PDF: {error}", f"不是可读的 PDF：{error}") from None
    if not any(text.strip() for text in texts):
        raise Unusable("no text layer", "a scan without text", "扫描件，没有文字层")
    yield Document("\n\n".join(text.strip() for text in texts if text.strip()), None, file.name, "")


def library(module: str, package: str) -> Any:
    """An imported library of the extra."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(
            f'This kind of file needs {package}: pip install "yaya[data]"',
            f'读这种文件需要 {package}：pip install "yaya[data]"',
        ) from None


def unzipped(file: SourceFile) -> zipfile.ZipFile:
    """The archive; Unusable where it is none, or where its files are larger than anyone's book."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(read_bytes(file)))
        if sum(info.file_size for info in archive.infolist()) > LARGEST:
            raise Unusable("too large", f"unpacks to more than {LARGEST >> 20} MB", f"解压后超过 {LARGEST >> 20} MB")
        return archive
    except zipfile.BadZipFile as error:
        raise damaged(f"not a zip file inside: {error}", f"内部不是 zip 文件：{error}") from None


def member(book: zipfile.ZipFile, path: str) -> bytes:
    """One file inside, up to LARGEST_MEMBER bytes whatever the archive says of its size."""
    try:
        with book.open(path) as stream:
            data = stream.read(LARGEST_MEMBER + 1)
    except (KeyError, RuntimeError, zipfile.BadZipFile, OSError, EOFError) as error:
        raise damaged(f"{path} cannot be read: {error}", f"{path} 读不了：{error}") from None
    if len(data) > LARGEST_MEMBER:
        raise too_large(path)
    return data


def too_large(path: str) -> Unusable:
    size = f"{LARGEST_MEMBER >> 20} MB"
    return Unusable("too large", f"{path} unpacks to more than {size}", f"{path} 解压后超过 {size}")


def parse_xml(data: bytes) -> ET.Element:
    try:
        return ET.fromstring(data)
    except ET.ParseError as error:
        raise damaged(f"broken XML: {error}", f"XML 已损坏：{error}") from None


def damaged(en: str, zh: str) -> Unusable:
    return Unusable("damaged", en, zh)
