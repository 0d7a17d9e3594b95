"""Writes Parquet files of documents in row groups, and counts what is in them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from yaya.prepare.document import Message
from yaya.prepare.handover import MESSAGE

ROWS = 10_000
CHARACTERS = 8_000_000  # a row group of very long documents ends earlier

DOCUMENTS = pa.schema(
    [
        ("id", pa.string()),
        ("kind", pa.string()),
        ("text", pa.string()),
        ("messages", pa.list_(MESSAGE)),
        ("source", pa.string()),
        ("augmented", pa.string()),  # how a copy was changed; "" for originals
    ]
)


class RowWriter:
    """A Parquet file being written: rows that are added are written group by group."""

    def __init__(self, path: Path, schema: pa.Schema):
        self.schema = schema
        self.rows: list[tuple[Any, ...]] = []
        self.waiting = 0
        repeated = [name for name in ("kind", "source", "augmented", "reason") if name in schema.names]
        self.writer = pq.ParquetWriter(
            path, schema, compression="zstd", use_dictionary=repeated, write_statistics=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.flush()
        self.writer.close()

    def add(self, row: tuple[Any, ...], characters: int = 0) -> None:
        self.rows.append(row)
        self.waiting += characters
        if len(self.rows) >= ROWS or self.waiting >= CHARACTERS:
            self.flush()

    def flush(self) -> None:
        """Writes the rows so far as one row group."""
        if self.rows:
            self.writer.write_batch(self.batch())
        self.rows, self.waiting = [], 0

    def batch(self) -> pa.RecordBatch:
        columns = zip(zip(*self.rows, strict=True), self.schema, strict=True)
        arrays = [message_lists(c) if f.name == "messages" else pa.array(c, f.type) for c, f in columns]
        return pa.record_batch(arrays, schema=self.schema)


class SplitWriter(RowWriter):
    """A file of a split, with counts of documents, characters and bytes by kind."""

    def __init__(self, path: Path):
        super().__init__(path, DOCUMENTS)
        self.counts = {kind: Counter(documents=0, characters=0, bytes=0) for kind in ("text", "chat")}
        self.bytes = np.zeros(256, np.int64)

    def batch(self) -> pa.RecordBatch:
        """The rows as columns, counted."""
        batch = super().batch()
        kinds = [kind for _, kind, *_ in self.rows]
        self.count("text", kinds.count("text"), batch.column("text"))
        self.count("chat", kinds.count("chat"), batch.column("messages").values.field("content"))
        return batch

    def count(self, kind: str, documents: int, texts: pa.StringArray) -> None:
        """Adds to the counts; the histogram of bytes gives the characters too."""
        data = texts.buffers()[2]
        histogram = np.bincount(np.frombuffer(data, np.uint8), minlength=256) if data else np.zeros(256, np.int64)
        self.bytes += histogram
        size = int(histogram.sum())
        self.counts[kind].update(documents=documents, characters=size - int(histogram[0x80:0xC0].sum()), bytes=size)


def message_lists(chats: tuple[list[Message] | None, ...]) -> pa.ListArray:
    """The column of conversations, built flat: several times faster than from Python dicts."""
    ends, roles, contents = [0], [], []
    for chat in chats:
        for message in chat or ():
            roles.append(message["role"])
            contents.append(message["content"])
        ends.append(len(roles))
    values = pa.StructArray.from_arrays(
        [pa.array(roles, pa.string()), pa.array(contents, pa.string())], fields=list(MESSAGE)
    )
    missing = pa.array([chat is None for chat in chats])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values, type=pa.list_(MESSAGE), mask=missing)


def scripts(histogram: np.ndarray) -> dict[str, float]:
    """Shares of Han and Latin letters among all characters except white space, from counts of UTF-8 bytes.

    Han are the lead bytes E4..E9 (U+4000..U+9FFF); Latin ASCII's letters and the lead bytes C3..C9.
    """
    characters = int(histogram[:0x80].sum() + histogram[0xC0:].sum() - histogram[[9, 10, 13, 32]].sum())
    han = int(histogram[0xE4:0xEA].sum())
    latin = int(histogram[0x41:0x5B].sum() + histogram[0x61:0x7B].sum() + histogram[0xC3:0xCA].sum())
    shares = {"han": han, "latin": latin, "other": characters - han - latin}
    return {name: round(count / max(characters, 1), 4) for name, count in shares.items()}
