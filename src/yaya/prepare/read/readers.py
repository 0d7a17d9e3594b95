"""Readers for web pages, JSON and Parquet: file -> documents, lazily. `events` learns what is broken."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from yaya.core.messages import UserError
from yaya.prepare.document import FIXES, LEFT_OUT, Broken, Content, Document, ReadEvents, Unusable, place
from yaya.prepare.read import json_values
from yaya.prepare.read.encodings import BROKEN, LABELS, decode_kept, encoding_of, is_damaged_utf8, wide_encoding
from yaya.prepare.read.endoftext import stories, without_marks
from yaya.prepare.read.html import html_to_text, main_text
from yaya.prepare.read.hub import HubFile
from yaya.prepare.read.json_values import is_record, records_in, values
from yaya.prepare.read.keys import columns_of
from yaya.prepare.read.line_by_line import LONGEST_LINE, LineDecoder, first_lines, numbered_lines, remark_encoding
from yaya.prepare.read.records import contents_of
from yaya.prepare.read.source_files import SourceFile, Unpacked, opening, read_bytes
from yaya.prepare.read.threads import dialogues, is_post

PLAIN = rb"\n \u0041 +AGE- xn--a-ecp.ru"  # the same in every charset of web pages, but not in all that Python knows
PARQUET_BATCH = 200  # rows in memory at once


def read_html(file: SourceFile, events: ReadEvents, main: bool) -> Iterator[Document]:
    """Yields a page's main text, or all that a browser shows."""
    text = decode_page(read_bytes(file), "", lambda encoding: remark_encoding(file, encoding, events))
    yield Document(main_text(text) if main else html_to_text(text), None, file.name, "")


def decode_page(page: bytes, content_type: str = "", remark: Callable[[str], None] | None = None) -> str:
    """Decodes a page as UTF-8 if valid, else in its declared charset, else in the likeliest. Unusable if none fits."""
    if page[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        declared = re.search(r"""charset=["']?([\w-]+)""", content_type + page[:2048].decode("latin-1"))
        for charset in ("utf-8-sig", declared[1] if declared else ""):
            codec = LABELS.get(charset.lower(), charset)
            with contextlib.suppress(UnicodeError, LookupError):
                if PLAIN.decode(codec) == PLAIN.decode("ascii"):
                    return page.decode(codec)
    if is_damaged_utf8(page):
        return page.decode("utf-8", "replace")  # as browsers do: one broken byte should not cost the page
    encoding = encoding_of(page)
    if remark is not None:
        remark(encoding)
    return BROKEN.sub("\ufffd", decode_kept(page, encoding))


def read_json(file: SourceFile, events: ReadEvents) -> Iterator[Document]:
    """Reads one record, a list of records, or one record per line, by the first line and not the name."""
    if not file.whole:
        yield from documents(file, parsed_lines(file, events), events)
        return
    with opening(file) as stream:
        first = stream.readline(LONGEST_LINE)
        more = stream.readline(LONGEST_LINE) + stream.readline(LONGEST_LINE)
    wide = wide_encoding(first)
    if wide:
        first, _, more = (first + more).decode(wide, "ignore").lstrip("\ufeff").encode().partition(b"\n")
    elif b"\0" in first + more and not first.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        encoding_of(first + more)  # raises, because this is binary
    if is_json_lines(first.removeprefix(b"\xef\xbb\xbf").strip(), more, file.kind):
        yield from documents(file, parsed_lines(file, events), events)
        return
    data = read_bytes(file)
    encoding = encoding_of(data)
    remark_encoding(file, encoding, events)
    text = decode_kept(data, encoding)
    if text.strip():
        yield from documents(file, records_of(file, text, events), events)


def records_of(file: SourceFile, text: str, events: ReadEvents) -> Iterator[tuple[str, Any]]:
    """Yields (where, record) of a whole JSON text: a list, an object with records in it, or several in a row."""
    try:
        whole = orjson.loads(text)
    except orjson.JSONDecodeError:
        yield from good_values(file, text, events)
        return
    if isinstance(whole, list):
        yield from ((f"record {n}", record) for n, record in enumerate(whole, 1))
        return
    found = records_in(whole)
    if not file.named and found == [("", whole)] and not is_record(whole):
        events.remark(
            "config", f"{file.name}: skipped, no text or chat in it", f"{file.name}：里面没有文本或对话，已跳过"
        )
        return  # a settings file in a folder, not data
    for number, (name, record) in enumerate(found, 1):
        yield f"{name}, record {number}" if name else f"record {number}", record


def good_values(file: SourceFile, text: str, events: ReadEvents) -> Iterator[tuple[str, Any]]:
    """Yields (where, record) of what is readable in JSON that is broken or has NaN; sets the rest aside."""
    number = 0
    for found in values(text):
        if isinstance(found.value, Unusable):
            number += 1
            where = f"record {number} (line {found.line})"
            events.broken(Broken(file.name, where, found.value, found.sample))
            continue
        for name, record in records_in(found.value):
            number += 1
            yield f"{name}, record {number}" if name else f"record {number}", record


def is_json_lines(first: bytes, more: bytes, kind: str) -> bool:
    """Whether the file has a record per line, judged by its first lines."""
    if first == b"{" or first[:1] == b"[":
        return False
    if kind == "lines":
        return True
    for line in (first, first.decode("gb18030", "replace")):
        with contextlib.suppress(orjson.JSONDecodeError):
            return isinstance(orjson.loads(line), dict) and bool(more.strip())
    return False


def parsed_lines(file: SourceFile, events: ReadEvents) -> Iterator[tuple[str, Any]]:
    """Yields (where, record) for each good line; sets the others aside."""
    decoder = LineDecoder(file, events, first_lines(file))
    with opening(file, events) as stream:
        for number, raw in numbered_lines(file, stream, events):
            line = raw.strip()
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line:
                continue
            where = f"line {number}"
            try:
                yield where, parse(line, decoder)
            except Unusable as problem:
                events.broken(Broken(file.name, where, problem, line[:300].decode("utf-8", "replace")))


def parse(line: bytes, decoder: LineDecoder) -> Any:
    """The record of one line; Unusable where it is not JSON, or not valid in the file's encoding."""
    try:
        if decoder.encoding in ("", "utf-8"):
            return orjson.loads(line)
    except orjson.JSONDecodeError:
        pass
    return json_values.parse(decoder.decode(line))  # names the byte if that is the reason


def read_parquet(file: SourceFile, events: ReadEvents) -> Iterator[Document]:
    """Reads one record per row, and only the columns that matter. A damaged row group costs no other."""
    with opening(file) as stream:
        table = pq.ParquetFile(
            pa.BufferReader(read_bytes(file)) if isinstance(stream, Unpacked) else pa.PythonFile(stream)
        )
        yield from documents(file, parquet_rows(file, table, events), events)


def parquet_rows(file: SourceFile, table: pq.ParquetFile, events: ReadEvents) -> Iterator[tuple[str, Any]]:
    """Yields (where, record) of each row of the file or its part; OSError where a transfer fails."""
    names = table.schema_arrow.names
    columns = None if is_post(dict.fromkeys(names)) else columns_of(names)
    groups = range(table.num_row_groups) if file.whole else range(file.start, file.stop)
    number = file.first
    for group in groups:
        after = number + table.metadata.row_group(group).num_rows
        try:
            for batch in table.iter_batches(PARQUET_BATCH, columns=columns, row_groups=[group]):
                for row in batch.to_pylist():
                    yield f"row {number}", row
                    number += 1
        except (OSError, pa.ArrowException) as error:
            if isinstance(file.path, HubFile):
                raise  # it is the transfer
            why = str(error).split("\n")[0][:200]
            problem = Unusable("damaged", f"cannot be read: {why}", f"读不了：{why}")
            events.broken(Broken(file.name, f"rows {number} to {after - 1}", problem))
        number = after


def documents(file: SourceFile, records: Iterable[tuple[str, Any]], events: ReadEvents) -> Iterator[Document]:
    """Yields the documents of a file's records. If the first record has an unknown shape, so has the whole file.

    Then UserError for a file that the user named; a file from a folder is set aside with a remark.
    """
    understood = file.first > 1  # the first record of a later part says nothing about the whole
    records = iter(records)
    head = next(records, None)
    if head is None:
        return
    records = itertools.chain([head], records)
    if is_post(head[1]) and not understood:
        yield from dialogues(file, records, events)
        return
    for where, record in records:
        for content in contents_of(record):
            if not isinstance(content, Unusable):
                understood = True
                yield from divided(file, content, where)
                continue
            of_all = content.kind == "unknown shape" and not understood
            if of_all:
                at, fix = place(file.name, where), FIXES[content.kind]
                said = f"{at}: {content.en}. {fix[0]}", f"{at}：{content.zh}。{fix[1]}"
                if file.named:
                    raise UserError(*said)
                events.remark(content.kind, *said)
            events.broken(Broken(file.name, where, content, orjson.dumps(record, default=str).decode()[:300]))
            if of_all:
                return
            understood |= content.kind in LEFT_OUT


def divided(file: SourceFile, content: Content, where: str) -> Iterator[Document]:
    """Yields a conversation, a text, or the texts into which marks such as <|endoftext|> divide it."""
    if not isinstance(content, str):
        messages = [message | {"content": without_marks(message["content"])} for message in content]
        yield Document(None, messages, file.name, where)
        return
    found = list(stories(content))
    for number, (_, story) in enumerate(found, 1):
        yield Document(story, None, file.name, f"{where}, document {number}" if len(found) > 1 else where)
