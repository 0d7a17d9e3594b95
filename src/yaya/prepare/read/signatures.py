"""What a file really is, whatever its name: by its first bytes and its contents."""

from __future__ import annotations

import io
import zipfile

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Names of streams in Microsoft's compound files (MS-CFB, in UTF-16) -> what such a file is.
IN_OLE = {
    "EncryptedPackage": ("an Office file that needs a password", "需要密码的 Office 文件"),
    "WordDocument": ("an old Word file (.doc)", "旧版 Word 文件（.doc）"),
    "Workbook": ("an old Excel file (.xls)", "旧版 Excel 文件（.xls）"),
    "Book": ("an old Excel file (.xls)", "旧版 Excel 文件（.xls）"),
    "PowerPoint Document": ("an old PowerPoint file (.ppt)", "旧版 PowerPoint 文件（.ppt）"),
}
# The beginning of a member's name -> what such a zip file is.
IN_ZIP = {
    "word/": ("a Word file (.docx)", "Word 文件（.docx）"),
    "xl/": ("an Excel file (.xlsx)", "Excel 文件（.xlsx）"),
    "ppt/": ("a PowerPoint file (.pptx)", "PowerPoint 文件（.pptx）"),
    "META-INF/container.xml": ("an EPUB book (.epub)", "EPUB 电子书（.epub）"),
    "content.xml": ("an OpenDocument file (.odt or .ods)", "OpenDocument 文件（.odt 或 .ods）"),
}
BEGINNINGS = {
    b"%PDF-": ("a PDF file (.pdf)", "PDF 文件（.pdf）"),
    b"{\\rtf": ("an RTF file (.rtf)", "RTF 文件（.rtf）"),
    b"PAR1": ("a Parquet file (.parquet)", "Parquet 文件（.parquet）"),
    b"\x89PNG": ("a picture (PNG)", "图片（PNG）"),
    b"\xff\xd8\xff": ("a picture (JPEG)", "图片（JPEG）"),
    b"GIF8": ("a picture (GIF)", "图片（GIF）"),
    b"SQLite format 3": ("an SQLite database", "SQLite 数据库"),
    b"Rar!": ("a RAR archive", "RAR 压缩包"),
    b"7z\xbc\xaf": ("a 7z archive", "7z 压缩包"),
}
PAGE = (b"<!doctype html", b"<html", b"<?xml", b"<table", b"<head", b"<body")

READ = (".pdf", ".docx", ".xlsx", ".epub", ".parquet", ".html")


def kind_of(what: tuple[str, str]) -> str:
    """The kind of problem (a key of FIXES) with a file of another kind."""
    if what == IN_OLE["EncryptedPackage"]:
        return "password"
    if what in (*IN_OLE.values(), IN_ZIP["content.xml"], BEGINNINGS[b"{\\rtf"]):
        return "old format"
    return "other kind" if any(f"({ending})" in what[0] for ending in READ) else "binary"


def what_it_is(data: bytes) -> tuple[str, str] | None:
    """English and Chinese name of what the bytes are, None where that is unknown."""
    if data.startswith(OLE):
        return next((what for name, what in IN_OLE.items() if name.encode("utf-16-le") in data), None)
    if data.startswith(b"PK\x03\x04"):
        return in_zip(data)
    head = data[:1000].removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.lower().startswith(PAGE):
        return ("a web page (.html)", "网页（.html）") if b"html" in head.lower() else ("an XML file", "XML 文件")
    return next((what for start, what in BEGINNINGS.items() if head.startswith(start)), None)


def in_zip(data: bytes) -> tuple[str, str]:
    """What a zip file is, by the names of its members."""
    try:
        names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    except (zipfile.BadZipFile, ValueError, OSError):
        names = []
    found = (what for start, what in IN_ZIP.items() if any(name.startswith(start) for name in names))
    return next(found, ("a zip archive", "zip 压缩包"))
