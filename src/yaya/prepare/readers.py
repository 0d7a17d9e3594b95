"""One reader for each kind of file: file -> documents, lazily. What is broken goes to the report."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from yaya.core.say import UserError
from yaya.prepare.document import FIXES, Broken, Document, Report, Unusable, place
from yaya.prepare.files import SourceFile, Unpacked, bytes_read, decode, encoding_of, open_file, read_bytes
from yaya.prepare.html import html_to_text
from yaya.prepare.records import contents_of, is_column

PARQUET_BATCH = 1000
BEGINNING = 100_000  # bytes that settle the encoding of JSON lines


def read_text(file: SourceFile, report: Report) -> Iterator[Document]:
    """The whole file as one document."""
    yield Document(decode_file(file, read_bytes(file.path), report), None, file.name, "")


def read_html(file: SourceFile, report: Report) -> Iterator[Document]:
    """The visible text of a page; a charset that the page declares is tried where it is not UTF-8."""
    data = read_bytes(file.path)
    yield Document(html_to_text(declared_text(data) or decode_file(file, data, report)), None, file.name, "")


def declared_text(page: bytes) -> str | None:
    """The page in the charset that it declares, where that fits and it is not UTF-8 anyway."""
    declared = re.search(rb"""charset=["']?([\w-]+)""", page[:2048])
    if not declared or page[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return None
    for charset in ("utf-8-sig", declared[1].decode()):
        with contextlib.suppress(UnicodeError, LookupError):
            return page.decode(charset)
    return None


def decode_file(file: SourceFile, data: bytes, report: Report) -> str:
    """The text, with a remark where it is no Unicode."""
    encoding = encoding_of(data)
    if encoding == "gb18030":
        remark_gb18030(file, report)
    return decode(data, encoding)


def remark_gb18030(file: SourceFile, report: Report) -> None:
    report.remark(
        "gb18030", f"{file.name}: read as GB18030, because it is not UTF-8", f"{file.name}：不是 UTF-8，按 GB18030 读取"
    )


def read_json(file: SourceFile, report: Report) -> Iterator[Document]:
    """One record, a list of records, or one record per line: the first line tells which, not the name."""
    with open_file(file.path) as stream:
        first = stream.readline()
        more = stream.readline() + stream.readline()
    if first[:2] in (b"\xff\xfe", b"\xfe\xff"):
        first, _, more = (first + more).decode("utf-16", "ignore").encode().partition(b"\n")
    elif b"\0" in first + more:
        encoding_of(first + more)  # says that this is binary
    if is_json_lines(first.removeprefix(b"\xef\xbb\xbf").strip(), more, file.kind):
        yield from documents(file, parsed_lines(file, report), report)
        return
    data = decode_file(file, read_bytes(file.path), report)
    if not data.strip():
        return
    try:
        whole = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        problem = Unusable("bad json", f"not JSON: {error}", f"不是合法的 JSON：{error}")
        report.broken(
            Broken(file.name, f"line {error.lineno}", problem, data[max(0, error.pos - 100) : error.pos + 100])
        )
        return
    many = isinstance(whole, list)
    if not many and not file.named and isinstance(contents_of(whole)[0], Unusable):
        report.remark(
            "config", f"{file.name}: no record of text or chat, skipped", f"{file.name}：不是文本或对话记录，跳过"
        )
        return  # a folder's settings file, not data
    numbered = ((f"record {n}", record) for n, record in enumerate(whole if many else [whole], 1))
    yield from documents(file, numbered, report)


def is_json_lines(first: bytes, more: bytes, kind: str) -> bool:
    """Whether the file goes on line by line, to judge by its first lines."""
    if first == b"{" or first[:1] == b"[":
        return False
    if kind == "lines":
        return True
    for line in (first, first.decode("gb18030", "replace")):
        with contextlib.suppress(orjson.JSONDecodeError):
            return isinstance(orjson.loads(line), dict) and bool(more.strip())
    return False


def parsed_lines(file: SourceFile, report: Report) -> Iterator[tuple[str, Any]]:
    """(where, record) for each good line. The beginning settles the encoding, else the first line beyond ASCII."""
    encoding = beginning_encoding(file)
    if encoding == "gb18030":
        remark_gb18030(file, report)
    with open_file(file.path) as stream:
        for number, raw in enumerate(unicode_lines(stream), 1):
            line = raw.strip()
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line:
                continue
            where = f"line {number}"
            if number % 1000 == 0:
                report.inside(bytes_read(stream))
            try:
                if encoding is None and not line.isascii():
                    encoding = encoding_of(line)
                    if encoding == "gb18030":
                        remark_gb18030(file, report)
                yield where, parse(line, encoding)
            except Unusable as problem:
                report.broken(Broken(file.name, where, problem, line[:300].decode("utf-8", "replace")))


def beginning_encoding(file: SourceFile) -> str | None:
    """The encoding of whole lines at the beginning, `None` where that does not tell."""
    lines = b""
    with contextlib.suppress(OSError, Unusable), open_file(file.path) as stream:
        for line in stream:
            lines += line
            if len(lines) > BEGINNING:
                break
        return None if lines.isascii() or lines[:2] in (b"\xff\xfe", b"\xfe\xff") else encoding_of(lines)
    return None


def unicode_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Lines as bytes; UTF-16 is turned into UTF-8 on the way."""
    first = stream.readline()
    if first[:2] in (b"\xff\xfe", b"\xfe\xff"):
        yield from decode(first + stream.read(), "utf-16").encode().split(b"\n")
        return
    yield first
    yield from stream


def parse(line: bytes, encoding: str | None) -> Any:
    """The record of one line."""
    text = line if encoding != "gb18030" else decode(line, encoding).encode()
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if b"NaN" in text or b"Infinity" in text:
            return parse_with_nan(text)
        decode(text, "utf-8")  # names the byte, where that is the reason
        raise Unusable("bad json", f"not JSON: {error}", f"不是合法的 JSON：{error}") from None


def parse_with_nan(text: bytes) -> Any:
    """Python's own JSON has NaN, which is in many records' metadata."""
    try:
        record = json.loads(text)
        orjson.dumps(record)  # refuses what cannot be written as UTF-8
        return record
    except (ValueError, RecursionError) as error:
        raise Unusable("bad json", f"not JSON: {error}", f"不是合法的 JSON：{error}") from None


def read_parquet(file: SourceFile, report: Report) -> Iterator[Document]:
    """One record per row; only the columns that matter are read."""
    with open_file(file.path) as stream:
        table = pq.ParquetFile(pa.BufferReader(stream.read()) if isinstance(stream, Unpacked) else str(file.path))
        names = [name for name in table.schema_arrow.names if is_column(name)]
        rows = (row for batch in table.iter_batches(PARQUET_BATCH, columns=names or None) for row in batch.to_pylist())
        yield from documents(file, ((f"row {n}", row) for n, row in enumerate(rows, 1)), report)


def documents(file: SourceFile, records: Iterable[tuple[str, Any]], report: Report) -> Iterator[Document]:
    """Documents of a file's records. A first record of unknown shape stops the run: the whole file is of that shape."""
    understood = False
    for where, record in records:
        for content in contents_of(record):
            if isinstance(content, Unusable):
                if content.kind == "unknown shape" and not understood:
                    at, fix = place(file.name, where), FIXES[content.kind]
                    raise UserError(f"{at}: {content.en}. {fix[0]}", f"{at}：{content.zh}。{fix[1]}")
                sample = orjson.dumps(record, default=str).decode()[:300]
                report.broken(Broken(file.name, where, content, sample))
                continue
            understood = True
            is_text = isinstance(content, str)
            yield Document(content if is_text else None, None if is_text else content, file.name, where)  # type: ignore[arg-type]
