"""One reader for each kind of file: file -> documents, lazily. What is broken goes to the report."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from yaya.core.say import UserError
from yaya.prepare.document import FIXES, LEFT_OUT, Broken, Document, Report, Unusable, place
from yaya.prepare.read.encodings import ENCODINGS, decode, encoding_of, is_damaged_utf8
from yaya.prepare.read.files import SourceFile, Unpacked, bytes_read, opening, read_bytes
from yaya.prepare.read.html import html_to_text, main_text
from yaya.prepare.read.keys import columns_of
from yaya.prepare.read.records import contents_of
from yaya.prepare.read.threads import dialogues, is_post

PARQUET_BATCH = 200  # rows in memory at once
BEGINNING = 100_000  # bytes that settle the encoding of JSON lines
LONG_TEXT = 16 << 20  # bytes of a text file from which on it is read as several documents
PART = 1 << 20  # bytes of each
LONGEST_LINE = 32 << 20  # bytes; a longer one is set aside
csv.field_size_limit(LONGEST_LINE)


def read_text(file: SourceFile, report: Report) -> Iterator[Document]:
    """The whole file as one document; a very long one in parts, cut at blank lines or at least at line ends."""
    with opening(file) as stream:
        data = stream.read(LONG_TEXT + 1)
        encoding = encoding_of(data[: data.rfind(b"\n") + 1] or data) if len(data) > LONG_TEXT else encoding_of(data)
        remark_encoding(file, encoding, report)
        if len(data) <= LONG_TEXT:
            yield Document(decode(data, encoding), None, file.name, "")
            return
        for number, part in enumerate(text_parts(data, stream, encoding), 1):
            yield Document(part, None, file.name, f"part {number}")


def text_parts(data: bytes, stream: IO[bytes], encoding: str) -> Iterator[str]:
    """The text in parts of about PART bytes."""
    tool = codecs.getincrementaldecoder(encoding)()
    text = ""
    while data:
        for at in range(0, len(data), PART):
            text += tool.decode(data[at : at + PART])
            if len(text) >= PART // 2:
                cut = text.rfind("\n\n") + 2 if "\n\n" in text else text.rfind("\n") + 1
                cut = cut or len(text)
                yield text[:cut]
                text = text[cut:]
        data = stream.read(PART)
    text += tool.decode(b"", final=True)
    if text:
        yield text


def read_html(file: SourceFile, report: Report, main: bool) -> Iterator[Document]:
    """A page: its main text, or all that a browser shows."""
    text = decode_page(read_bytes(file), "", lambda encoding: remark_encoding(file, encoding, report))
    yield Document(main_text(text) if main else html_to_text(text), None, file.name, "")


def decode_page(page: bytes, content_type: str = "", remark: Callable[[str], None] | None = None) -> str:
    """A page as UTF-8 if it is that, else in the charset that it or its HTTP header declares, else by what it reads like."""
    if page[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        declared = re.search(r"""charset=["']?([\w-]+)""", content_type + page[:2048].decode("latin-1"))
        for charset in ("utf-8-sig", declared[1] if declared else ""):
            with contextlib.suppress(UnicodeError, LookupError):
                return page.decode(charset)
    if is_damaged_utf8(page):
        return page.decode("utf-8", "replace")  # as browsers do: one broken byte is no reason to lose a page
    encoding = encoding_of(page)
    if remark is not None:
        remark(encoding)
    return decode(page, encoding)


def decode_file(file: SourceFile, data: bytes, report: Report) -> str:
    """The text, with a remark where it is no Unicode."""
    encoding = encoding_of(data)
    remark_encoding(file, encoding, report)
    return decode(data, encoding)


def remark_encoding(file: SourceFile, encoding: str | None, report: Report) -> None:
    """Counts a file that is not UTF-8."""
    name = ENCODINGS.get(encoding or "")
    if name:
        report.remark(
            f"read as {name}",
            f"{file.name}: read as {name}, because it is not UTF-8",
            f"{file.name}：不是 UTF-8，按 {name} 读取",
        )


def read_json(file: SourceFile, report: Report) -> Iterator[Document]:
    """One record, a list of records, or one record per line: the first line tells which, not the name."""
    if not file.whole:
        yield from documents(file, parsed_lines(file, report), report)
        return
    with opening(file) as stream:
        first = stream.readline(LONGEST_LINE)
        more = stream.readline(LONGEST_LINE) + stream.readline(LONGEST_LINE)
    if first[:2] in (b"\xff\xfe", b"\xfe\xff"):
        first, _, more = (first + more).decode("utf-16", "ignore").encode().partition(b"\n")
    elif b"\0" in first + more and not first.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        encoding_of(first + more)  # says that this is binary
    if is_json_lines(first.removeprefix(b"\xef\xbb\xbf").strip(), more, file.kind):
        yield from documents(file, parsed_lines(file, report), report)
        return
    data = decode_file(file, read_bytes(file), report)
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
    if not many and not file.named and is_no_record(whole):
        report.remark(
            "config", f"{file.name}: no record of text or chat, skipped", f"{file.name}：不是文本或对话记录，跳过"
        )
        return  # a folder's settings file, not data
    numbered = ((f"record {n}", record) for n, record in enumerate(whole if many else [whole], 1))
    yield from documents(file, numbered, report)


def is_no_record(value: Any) -> bool:
    """Whether a value has nothing of a record of text or chat."""
    found = contents_of(value)[0]
    return isinstance(found, Unusable) and found.kind not in LEFT_OUT


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
    remark_encoding(file, encoding, report)
    with opening(file) as stream:
        for number, raw in numbered_lines(file, stream, report):
            line = raw.strip()
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line:
                continue
            where = f"line {number}"
            if number % 1000 == 0:
                report.inside(bytes_read(stream) - file.start)
            try:
                if encoding is None and not line.isascii():
                    encoding = encoding_of(line)
                    remark_encoding(file, encoding, report)
                yield where, parse(line, encoding)
            except Unusable as problem:
                report.broken(Broken(file.name, where, problem, line[:300].decode("utf-8", "replace")))


def beginning_encoding(file: SourceFile) -> str | None:
    """The encoding of whole lines at the beginning, `None` where that does not tell."""
    lines = b""
    with contextlib.suppress(OSError, EOFError, Unusable), opening(file) as stream:
        while len(lines) <= BEGINNING:
            line = stream.readline(BEGINNING)
            if not line:
                break
            lines += line
        lines = lines[: lines.rfind(b"\n") + 1] or lines
        return None if lines.isascii() or lines[:2] in (b"\xff\xfe", b"\xfe\xff") else encoding_of(lines)
    return None


def numbered_lines(file: SourceFile, stream: IO[bytes], report: Report) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, or of its part, as bytes; UTF-16 is turned into UTF-8 on the way. Endless ones are set aside."""
    if file.whole:
        first = stream.readline(LONGEST_LINE + 1)
        if first[:2] in (b"\xff\xfe", b"\xfe\xff"):
            yield from enumerate(decode(first + stream.read(), "utf-16").encode().split(b"\n"), 1)
            return
    else:
        stream.seek(file.start)
        first = stream.readline(LONGEST_LINE + 1)
    number, line = file.first, first
    while line:
        if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            size = len(line)
            while line and not line.endswith(b"\n"):
                line = stream.readline(LONGEST_LINE)
                size += len(line)
            problem = Unusable("too large", f"a line of {size / 1e6:,.0f} MB", f"这一行有 {size / 1e6:,.0f} MB")
            report.broken(Broken(file.name, f"line {number}", problem))
        else:
            yield number, line
        number += 1
        if file.stop and stream.tell() >= file.stop:
            return
        line = stream.readline(LONGEST_LINE + 1)


def parse(line: bytes, encoding: str | None) -> Any:
    """The record of one line."""
    text = decode(line, encoding).encode() if encoding in ENCODINGS else line
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
    with opening(file) as stream:
        table = pq.ParquetFile(
            pa.BufferReader(read_bytes(file)) if isinstance(stream, Unpacked) else pa.PythonFile(stream)
        )
        names = table.schema_arrow.names
        columns = None if is_post(dict.fromkeys(names)) else columns_of(names)
        groups = None if file.whole else list(range(file.start, file.stop))
        batches = table.iter_batches(PARQUET_BATCH, columns=columns, row_groups=groups)
        rows = (row for batch in batches for row in batch.to_pylist())
        yield from documents(file, ((f"row {n}", row) for n, row in enumerate(rows, file.first)), report)


def read_csv(file: SourceFile, report: Report) -> Iterator[Document]:
    """One record per row, named by the first row; commas, semicolons or tabs between."""
    with opening(file) as stream:
        beginning = stream.peek(BEGINNING)[:BEGINNING] if hasattr(stream, "peek") else b""  # type: ignore[attr-defined]
        encoding = encoding_of(beginning[: beginning.rfind(b"\n") + 1] or beginning)
        remark_encoding(file, encoding, report)
        head = beginning.decode(encoding, "replace").split("\n", 1)[0]
        mark = max("\t,;", key=head.count)
        lines = io.TextIOWrapper(stream, encoding, errors="strict", newline="")
        rows = csv.DictReader((line.replace("\0", "") for line in lines), delimiter=mark, strict=False)
        yield from documents(file, csv_rows(file, rows, report), report)
        lines.detach()


def csv_rows(file: SourceFile, rows: csv.DictReader[str], report: Report) -> Iterator[tuple[str, Any]]:
    """(where, record) of each row; where the file cannot be read on, the rest is set aside."""
    while True:
        try:
            row = next(rows, None)
        except (csv.Error, UnicodeDecodeError) as error:
            problem = Unusable("damaged", f"cannot be read from here on: {error}", f"从这里起读不了：{error}")
            report.broken(Broken(file.name, f"line {rows.line_num + 1}", problem))
            return
        if row is None:
            return
        yield f"line {rows.line_num}", {name: value for name, value in row.items() if isinstance(name, str)}


def documents(file: SourceFile, records: Iterable[tuple[str, Any]], report: Report) -> Iterator[Document]:
    """Documents of a file's records. A first record of unknown shape means that the whole file is of that shape.

    A file that the user named stops the run; of a folder it is set aside, and said.
    """
    understood = False
    records = iter(records)
    head = next(records, None)
    if head is None:
        return
    records = itertools.chain([head], records)
    if is_post(head[1]):
        yield from dialogues(file, records, report)
        return
    for where, record in records:
        for content in contents_of(record):
            if isinstance(content, Unusable):
                if content.kind == "unknown shape" and not understood:
                    at, fix = place(file.name, where), FIXES[content.kind]
                    said = f"{at}: {content.en}. {fix[0]}", f"{at}：{content.zh}。{fix[1]}"
                    if file.named:
                        raise UserError(*said)
                    report.remark(content.kind, *said)
                    report.broken(Broken(file.name, where, content, orjson.dumps(record, default=str).decode()[:300]))
                    return
                understood |= content.kind in LEFT_OUT
                sample = orjson.dumps(record, default=str).decode()[:300]
                report.broken(Broken(file.name, where, content, sample))
                continue
            understood = True
            is_text = isinstance(content, str)
            yield Document(content if is_text else None, None if is_text else content, file.name, where)  # type: ignore[arg-type]


def all_strings(file: SourceFile) -> list[str]:
    """Every string of a file of evaluation questions, whatever its shape: fields, cells, or the lines of a text."""
    if file.kind == "parquet":
        with opening(file) as stream:
            return strings_in(pq.read_table(pa.BufferReader(stream.read())).to_pylist())
    text = decode(read_bytes(file))
    if file.kind == "csv":
        return [
            cell
            for row in csv.reader(io.StringIO(text), delimiter="\t" if "\t" in text[:BEGINNING] else ",")
            for cell in row
        ]
    if file.kind not in ("json", "lines"):
        return text.split("\n")
    try:
        return strings_in(orjson.loads(text))
    except orjson.JSONDecodeError:
        return [found for line in filter(None, text.split("\n")) for found in strings_in(orjson.loads(line))]


def strings_in(value: Any) -> list[str]:
    """All strings within a JSON value."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [found for item in inner for found in strings_in(item)]
