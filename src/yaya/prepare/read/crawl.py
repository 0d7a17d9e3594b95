"""Common Crawl: WARC files of web pages and WET files of their plain text.

Format: ISO 28500 (WARC 1.1): records of header lines, an empty line, Content-Length bytes, two line ends.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Iterator
from typing import IO

from yaya.prepare.document import Broken, Document, Report, Unusable
from yaya.prepare.read.files import SourceFile, bytes_read, opening
from yaya.prepare.read.html import html_to_text, main_text
from yaya.prepare.read.readers import decode_page

LARGEST_RECORD = 32 << 20  # bytes; a larger one is set aside
LONGEST_HEADER = 1 << 16


def read_warc(file: SourceFile, report: Report, main: bool) -> Iterator[Document]:
    """The pages of a WARC file as their main text, the documents of a WET file as they are; `where` is the address."""
    with opening(file) as stream:
        for number, (headers, body) in enumerate(records(file, stream, report), 1):
            kind, address = headers.get("warc-type", ""), headers.get("warc-target-uri", "").strip("<>")
            where = f"record {number}" + (f" ({address})" if address else "")
            if number % 100 == 0:
                report.inside(bytes_read(stream))
            try:
                if kind == "conversion":
                    yield Document(body.decode("utf-8"), None, file.name, where)
                elif kind == "response" and address.startswith("http"):
                    text = page(body, main)
                    if text is not None:
                        yield Document(text, None, file.name, where)
            except UnicodeDecodeError as error:
                problem = Unusable("bad encoding", f"not UTF-8: {error.reason}", f"不是 UTF-8：{error.reason}")
                report.broken(Broken(file.name, where, problem, body[:300].decode("utf-8", "replace")))
            except Unusable as problem:
                report.broken(Broken(file.name, where, problem, body[:300].decode("utf-8", "replace")))


def records(file: SourceFile, stream: IO[bytes], report: Report) -> Iterator[tuple[dict[str, str], bytes]]:
    """(headers in lower case, body) of each record. A file that stops in the middle raises EOFError."""
    for number in itertools.count(1):
        line = stream.readline(LONGEST_HEADER)
        while line in (b"\r\n", b"\n"):
            line = stream.readline(LONGEST_HEADER)
        if not line:
            return
        if not line.startswith(b"WARC/"):
            raise Unusable(
                "damaged",
                f"no WARC record where record {number:,} should begin",
                f"第 {number:,} 条 WARC 记录的开头不对",
            )
        headers: dict[str, str] = {}
        while (line := stream.readline(LONGEST_HEADER)) not in (b"\r\n", b"\n"):
            if not line:
                raise EOFError("the last record is cut off")
            name, _, value = line.decode("utf-8", "replace").partition(":")
            headers[name.strip().lower()] = value.strip()
        size = headers.get("content-length", "")
        if not re.fullmatch("[0-9]{1,18}", size):
            raise Unusable(
                "damaged", f"WARC record {number:,} without its length", f"第 {number:,} 条 WARC 记录缺少长度"
            )
        length = int(size)
        if length > LARGEST_RECORD:
            size = f"{length / 1e6:,.0f} MB"
            problem = Unusable("too large", f"a record of {size}", f"一条记录有 {size}")
            report.broken(Broken(file.name, headers.get("warc-target-uri", ""), problem))
            skip(stream, length)
            continue
        body = stream.read(length)
        if len(body) < length:
            raise EOFError("the last record is cut off")
        yield headers, body


def skip(stream: IO[bytes], length: int) -> None:
    """Passes over bytes without keeping them."""
    while length > 0:
        length -= len(stream.read(min(length, 1 << 20))) or length


def page(response: bytes, main: bool) -> str | None:
    """The text of an HTTP response with a web page; `None` for errors, pictures and the like."""
    head, _, body = response.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = lines[0].split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    content_type = headers.get("content-type", "text/html")
    if len(status) < 2 or status[1] != "200" or not re.search(r"html|text/plain", content_type):
        return None
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = dechunk(body)
    body = unpack(body, headers.get("content-encoding", "").lower())
    text = decode_page(body, content_type)
    if "text/plain" in content_type:
        return text
    return main_text(text) if main else html_to_text(text)


def dechunk(body: bytes) -> bytes:
    """Joins the chunks of RFC 9112, section 7.1; a body that is not chunked after all stays as it is."""
    out: list[bytes] = []
    at = 0
    while True:
        end = body.find(b"\r\n", at, at + 20)
        size = body[at:end].split(b";")[0].strip() if end > 0 else b""
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", size):
            return body
        length = int(size, 16)
        if not length:
            return b"".join(out)
        out.append(body[end + 2 : end + 2 + length])
        at = end + 2 + length + 2


def unpack(body: bytes, encoding: str) -> bytes:
    """A gzip or deflate body unpacked, up to LARGEST_RECORD bytes."""
    if encoding not in ("gzip", "x-gzip", "deflate") or (encoding != "deflate" and body[:2] != b"\x1f\x8b"):
        return body
    for bits in (47, -15):
        try:
            return zlib.decompressobj(bits).decompress(body, LARGEST_RECORD)
        except zlib.error:
            continue
    raise Unusable("damaged", f"the {encoding} body cannot be unpacked", f"{encoding} 内容解不开")
