"""Common Crawl: WARC files of web pages and WET files of their plain text.

Format: ISO 28500 (WARC 1.1): records of header lines, an empty line, Content-Length bytes, two line ends.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import IO

from yaya.prepare.document import Broken, Document, ReadEvents, Unusable
from yaya.prepare.read.html import html_to_text, main_text
from yaya.prepare.read.hub import skip
from yaya.prepare.read.readers import decode_page
from yaya.prepare.read.source_files import SourceFile, opening

LARGEST_RECORD = 32 << 20  # bytes; a larger one is set aside
LONGEST_HEADER = 1 << 16
START = re.compile(rb"WARC/\d\.\d\s*$")


def read_warc(file: SourceFile, events: ReadEvents, main: bool) -> Iterator[Document]:
    """Yields the main text of a WARC file's pages, or the documents of a WET file; `where` includes the address."""
    with opening(file, events, LARGEST_RECORD) as stream:  # damaged packed records are dropped as a whole
        for number, headers, body in records(file, stream, events):
            kind, address = headers.get("warc-type", ""), headers.get("warc-target-uri", "").strip("<>")
            where = f"record {number}" + (f" ({address})" if address else "")
            try:
                if kind == "conversion":
                    yield Document(body.decode("utf-8"), None, file.name, where)
                elif kind == "response" and address.startswith("http"):
                    text = page(body, main)
                    if text is not None:
                        yield Document(text, None, file.name, where)
            except UnicodeDecodeError as error:
                problem = Unusable("bad encoding", f"not UTF-8: {error.reason}", f"不是 UTF-8：{error.reason}")
                events.broken(Broken(file.name, where, problem, body[:300].decode("utf-8", "replace")))
            except Unusable as problem:
                events.broken(Broken(file.name, where, problem, body[:300].decode("utf-8", "replace")))


def records(file: SourceFile, stream: IO[bytes], events: ReadEvents) -> Iterator[tuple[int, dict[str, str], bytes]]:
    """Yields (number, headers in lower case, body) of each record. EOFError where the file is cut off."""
    number, lost = 0, False
    while True:
        line = stream.readline(LONGEST_HEADER)
        while line in (b"\r\n", b"\n") or (lost and line and not START.match(line)):
            line = stream.readline(LONGEST_HEADER)
        if not line:
            return
        number, lost = number + 1, False
        if not START.match(line):
            problem = Unusable("damaged", "no WARC record begins here", "这里不是 WARC 记录的开头")
            events.broken(Broken(file.name, f"record {number}", problem, line[:300].decode("utf-8", "replace")))
            lost = True  # until the next record begins
            continue
        headers: dict[str, str] = {}
        while (line := stream.readline(LONGEST_HEADER)) not in (b"\r\n", b"\n"):
            if not line:
                raise EOFError("the last record is cut off")
            name, _, value = line.decode("utf-8", "replace").partition(":")
            headers[name.strip().lower()] = value.strip()
        size = headers.get("content-length", "")
        if not re.fullmatch("[0-9]{1,18}", size):
            problem = Unusable("damaged", "a WARC record without its length", "WARC 记录缺少长度")
            events.broken(Broken(file.name, f"record {number}", problem))
            lost = True
            continue
        length = int(size)
        if length > LARGEST_RECORD:
            size = f"{length / 1e6:,.0f} MB"
            problem = Unusable("too large", f"a record of {size}", f"一条记录有 {size}")
            events.broken(Broken(file.name, headers.get("warc-target-uri", ""), problem))
            skip(stream, length)
            continue
        body = stream.read(length)
        if len(body) < length:
            raise EOFError("the last record is cut off")
        yield number, headers, body


def page(response: bytes, main: bool) -> str | None:
    """The text of an HTTP response with a web page; None for errors, pictures and the like."""
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
    """Joins a chunked body (RFC 9112, section 7.1); returns one that is not chunked after all unchanged."""
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
    """Unpacks a gzip or deflate body, up to LARGEST_RECORD bytes; Unusable where it is damaged."""
    if encoding not in ("gzip", "x-gzip", "deflate") or (encoding != "deflate" and body[:2] != b"\x1f\x8b"):
        return body
    for bits in (47, -15):
        try:
            return zlib.decompressobj(bits).decompress(body, LARGEST_RECORD)
        except zlib.error:
            continue
    raise Unusable("bad body", f"the {encoding} body cannot be unpacked", f"{encoding} 内容解不开")
