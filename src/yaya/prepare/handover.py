"""What the passes leave for each other, in `work/` of the unfinished corpus. It is removed when the corpus is complete.

D documents of the whole input in order; d of one chunk. Chunks are numbered from 0, sources as `prepare.sources` has them.

| file                      | holds                                                          | written by | read by       |
|---------------------------|----------------------------------------------------------------|------------|---------------|
| contamination.npz         | runs of words of the evaluation sets                           | corpus     | clean         |
| 00000.clean.parquet       | clean documents: id, text, messages, source, where, set        | clean      | write, pages  |
| 00000.dropped.parquet     | what the first pass dropped: source, where, reason, sample     | clean      | write         |
| 00000.ids.npy             | (d, 16) uint8, xxh3 of the content                             | clean      | dedup, split  |
| 00000.sets.npy            | (d,) int32, number of the source                               | clean      | mix           |
| 00000.chats.npy           | (d,) bool, whether it is a conversation                        | clean      | split         |
| 00000.sizes.npy           | (d,) int64, bytes of its texts                                 | clean      | mix           |
| 00000.signatures.npy      | (d, 112) uint32, MinHash                                       | clean      | dedup         |
| 00000.bands.npy           | (14, d) uint64, its keys: equal ones meet                      | clean      | dedup         |
| 00000.lines-0.npy         | uint64, hashes of the lines of a source's texts                | clean      | dedup (lines) |
| exact.npy                 | (D,) int64, the first document with the same id                | dedup      | dedup         |
| band-00.npz               | pairs that meet in a band and are alike, and their Jaccard     | dedup      | dedup         |
| first.npy                 | (D,) int64, the document that is kept in place of each         | dedup      | write, pages  |
| likeness.npy              | (D,) float32, Jaccard with that; 2 where it is the same        | dedup      | write, pages  |
| repeated-0.npy            | sorted uint64, hashes of a source's boilerplate lines          | dedup      | write         |
| clean-00000.json, match-, finish- | the result of a finished task, which a resume skips    | executors  | corpus        |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
CLEAN = pa.schema(
    [
        ("id", pa.binary(16)),
        ("text", pa.string()),
        ("messages", pa.list_(MESSAGE)),
        ("source", pa.string()),
        ("where", pa.string()),
        ("set", pa.int32()),
    ]
)
DROPPED = pa.schema([("source", pa.string()), ("where", pa.string()), ("reason", pa.string()), ("sample", pa.string())])


@dataclass
class ChunkedArray:
    """An array spread over the chunks' files; rows are fetched by their number in the whole."""

    parts: list[np.ndarray]

    @property
    def starts(self) -> np.ndarray:
        """Number of the first row of each part, then the number of all rows."""
        return np.cumsum([0, *(len(part) for part in self.parts)])

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), *self.parts[0].shape[1:]), self.parts[0].dtype)
        part_of = np.searchsorted(self.starts, rows, side="right") - 1
        for number in np.unique(part_of):
            here = part_of == number
            out[here] = self.parts[number][rows[here] - self.starts[number]]
        return out

    def whole(self) -> np.ndarray:
        return np.concatenate(self.parts)


@dataclass(frozen=True)
class Handover:
    """The files in `folder`, by name. Any process on any machine that sees the folder may read and write them."""

    folder: Path

    def chunk(self, number: int, name: str) -> Path:
        """A file of one chunk, by its name in the table without the number: `clean.parquet`, `ids.npy`."""
        return self.folder / f"{number:05}.{name}"

    def whole(self, name: str) -> Path:
        """A file of the whole input, by its name in the table."""
        return self.folder / name

    def result(self, task: str, number: int) -> Path:
        """The file for the result of one task: clean, match or finish."""
        return self.folder / f"{task}-{number:05}.json"

    def load(self, name: str, chunks: int) -> ChunkedArray:
        """One array of all chunks, whose rows stay on disk until they are needed. name: ids, sets, chats ..."""
        return ChunkedArray([np.load(self.chunk(number, f"{name}.npy"), mmap_mode="r") for number in range(chunks)])

    def clean_rows(
        self, documents: np.ndarray, chunks: int, columns: Sequence[str] | None = None
    ) -> dict[int, dict[str, Any]]:
        """Number of a document -> its row of `clean.parquet`, for a few documents. columns: None for all."""
        out: dict[int, dict[str, Any]] = {}
        starts = self.load("ids", chunks).starts
        part_of = np.searchsorted(starts, documents, side="right") - 1
        for number in np.unique(part_of):
            table = pq.read_table(self.chunk(number, "clean.parquet"), columns=columns)
            here = documents[part_of == number]
            out |= zip(here.tolist(), table.take(here - starts[number]).to_pylist(), strict=True)
        return out
