"""All strings in a file of evaluation questions, whatever its shape: fields, cells, or the lines of a text."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from yaya.prepare.document import ReadEvents
from yaya.prepare.read.encodings import decode
from yaya.prepare.read.source_files import SourceFile, opening, read_bytes
from yaya.prepare.read.tables import csv_rows


def all_strings(file: SourceFile) -> list[str]:
    """All strings in a file; Unusable, ValueError or OSError where it cannot be read."""
    if file.kind == "parquet":
        with opening(file) as stream:
            return strings_in(pq.read_table(pa.BufferReader(stream.read())).to_pylist())
    if file.kind == "csv":
        silent = ReadEvents(lambda broken: None, lambda *remark: None, lambda *left_out: None)
        with opening(file) as stream:
            return [cell for row in csv_rows(file, stream, silent) for cell in row.cells]
    text = decode(read_bytes(file))
    if file.kind not in ("json", "lines"):
        return text.split("\n")
    try:
        return strings_in(orjson.loads(text))
    except orjson.JSONDecodeError:
        return [found for line in filter(None, text.split("\n")) for found in strings_in(orjson.loads(line))]


def strings_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [found for item in inner for found in strings_in(item)]
