"""The third pass: dedup -> split -> mix -> augment -> write, chunk by chunk, by what the second pass decided.

Reads:  the clean and the dropped documents of one chunk.
Does:   merges duplicates, removes boilerplate, divides, repeats and copies what is left.
Writes: `train-00000.parquet`, `validation-00000.parquet` (`train-p2-`, `train-a1-`: read again, changed copies) and
        `dropped-00000.parquet` with all that the first pass and this one dropped or merged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import xxhash

from yaya.core.files import sync_files
from yaya.prepare import augment, lines, mixing
from yaya.prepare.augment import AugmentConfig
from yaya.prepare.dedup import EXACT
from yaya.prepare.document import Document, Portion, Record
from yaya.prepare.handover import DROPPED, Handover
from yaya.prepare.ledger import Account, Ledger
from yaya.prepare.parquet import RowWriter, SplitWriter
from yaya.prepare.split import Rule

SPLITS = ("train", "validation")
STEPS = ("duplicates", "near_duplicates", "repeated_lines", "mixing", "augment")
ROWS = 500  # documents in memory at once


@dataclass(frozen=True)
class WriteTask:
    """The work of one task: the documents of one chunk, numbered from `start` in the whole."""

    number: int
    start: int
    work: Handover
    out: Path
    rules: dict[str, Rule]
    names: dict[int, str]  # kept document -> its place, for messages about its copies in this chunk
    steps: tuple[str, ...]  # the STEPS that the config asks for
    epochs: dict[int, float]  # source -> how often it is read in training, where that is not once
    augment: AugmentConfig


def write_chunk(task: WriteTask) -> dict[str, Any]:
    """Carries one chunk from the hand-over into the splits. Returns the pass's ledger as JSON."""
    with ExitStack() as files:
        run = WritePass(task, files)
        run.copy_dropped()
        for record in run.records():
            run.write(record)
    sync_files(task.out.glob(f"*-{task.number:05}.parquet"))  # the returned ledger says that they are complete
    return run.told()


class WritePass:
    """The last steps on one chunk: each takes records and yields those that go on."""

    def __init__(self, task: WriteTask, files: ExitStack):
        self.task, self.files = task, files
        self.writers: dict[str, SplitWriter] = {}
        for split in SPLITS:
            self.writer(split)
        dropped = files.enter_context(RowWriter(task.out / f"dropped-{task.number:05}.parquet", DROPPED))
        self.accounts = {name: Account() for name in task.steps}
        self.ledger = Ledger(dropped, self.accounts)
        self.first = np.load(task.work.whole("first.npy"), mmap_mode="r")
        stop = task.start + len(np.load(task.work.chunk(task.number, "ids.npy"), mmap_mode="r"))
        self.likeness = np.load(task.work.whole("likeness.npy"), mmap_mode="r")[task.start : stop].tolist()

    def records(self) -> Iterator[Record]:
        """The chunk's records after all steps that the config asks for."""
        records = self.read()
        for step in ("duplicates", "near_duplicates"):
            records = self.merge(records, step) if step in self.accounts else records
        if "repeated_lines" in self.accounts:
            records = self.remove_repeated_lines(records)
        records = self.mix(self.split(records))
        return self.augment(records) if "augment" in self.accounts else records

    def read(self) -> Iterator[Record]:
        """The clean documents that the first pass wrote."""
        number = self.task.start
        for batch in pq.ParquetFile(self.task.work.chunk(self.task.number, "clean.parquet")).iter_batches(ROWS):
            for row in batch.to_pylist():
                document = Document(row["text"], row["messages"], row["source"], row["where"])
                yield Record(document, row["set"], row["id"], number)
                number += 1

    def merge(self, records: Iterator[Record], step: str) -> Iterator[Record]:
        """Drops copies of other documents. step: duplicates for exact copies, near_duplicates for similar ones."""
        account = self.accounts[step]
        for record in records:
            size, likeness = record.document.size, self.likeness[record.number - self.task.start]
            copy = likeness == EXACT if step == "duplicates" else 0 < likeness < EXACT
            account.book(size, None if copy else size)
            if copy:
                what = "duplicate of" if likeness == EXACT else f"{likeness:.0%} like"
                self.ledger.drop(record, step, f"{what} {self.task.names[int(self.first[record.number])]}", "merged")
            else:
                yield record

    def remove_repeated_lines(self, records: Iterator[Record]) -> Iterator[Record]:
        """Removes lines that occur in many texts of one source; drops a text that consists of such lines."""
        boilerplate: dict[int, np.ndarray] = {}
        for record in records:
            document, source = record.document, record.source
            if document.text is not None:
                if source not in boilerplate:
                    boilerplate[source] = np.load(self.task.work.whole(f"repeated-{source}.npy"))
                text = lines.without(document.text, source, boilerplate[source])
                if text != document.text and (not text or text.isspace()):
                    self.accounts["repeated_lines"].book(document.size, None)
                    self.ledger.drop(record, "repeated_lines", "nothing else in it")
                    continue
                if text != document.text:
                    record.document = document.with_texts([text])
                    record.id = xxhash.xxh3_128_digest(record.document.content)
            self.accounts["repeated_lines"].book(document.size, record.document.size)
            yield record

    def split(self, records: Iterator[Record]) -> Iterator[Record]:
        """Divides each record into portions for training and validation."""
        for record in records:
            record.portions = self.task.rules[record.document.kind].divide(record.document, record.id)
            yield record

    def mix(self, records: Iterator[Record]) -> Iterator[Record]:
        """Repeats or shortens portions by how often their source is read; drops a record if nothing of it is read."""
        account = self.accounts.get("mixing")
        for record in records:
            epochs = self.task.epochs.get(record.source, 1.0)
            record.portions = [read for portion in record.portions for read in mixing.drawn(portion, epochs)]
            written = record.bytes_written
            if account is not None:
                account.book(record.document.size, written or None)
            if written:
                yield record
            else:
                self.ledger.drop(record, "mixing", "more than its share")

    def augment(self, records: Iterator[Record]) -> Iterator[Record]:
        """Adds changed copies of the training portion."""
        for record in records:
            before = record.bytes_written
            trained = next((portion for portion in record.portions if portion.split == "train"), None)
            if trained is not None:
                record.portions = [*record.portions, *self.copies(trained.of or trained)]
            self.accounts["augment"].book(before, record.bytes_written)
            yield record

    def copies(self, portion: Portion) -> Iterator[Portion]:
        """Changed copies of one portion, each for a file of its own."""
        document = portion.document
        for number, (method, copy) in enumerate(augment.copies(self.task.augment, document, portion.id), 1):
            self.ledger.augmented[method] += 1
            changed = next((a, b) for a, b in zip(document.texts, copy.texts, strict=True) if a != b)
            self.ledger.show_change("augment", document, changed, f"augment_{method}")
            yield Portion(f"train-a{number}", copy, xxhash.xxh3_128_digest(copy.content), method=method)

    def write(self, record: Record) -> None:
        """Writes each portion of a record as a row of its split."""
        counts = self.ledger.sources[record.source]
        counts["kept"] += 1
        counts["conversations"] += record.document.kind == "chat"
        counts["kept_bytes"] += record.bytes_written
        for portion in record.portions:
            document = portion.document
            row = (portion.id.hex(), document.kind, document.text, document.messages, document.source, portion.method)
            self.writer(portion.split).add(row, sum(map(len, document.texts)))

    def writer(self, split: str) -> SplitWriter:
        """The file of a split, opened on first use."""
        if split not in self.writers:
            path = self.task.out / f"{split}-{self.task.number:05}.parquet"
            self.writers[split] = self.files.enter_context(SplitWriter(path))
        return self.writers[split]

    def copy_dropped(self) -> None:
        """Copies what the first pass dropped, ahead of what this one drops."""
        for batch in pq.ParquetFile(self.task.work.chunk(self.task.number, "dropped.parquet")).iter_batches(ROWS):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                self.ledger.write(*row)

    def told(self) -> dict[str, Any]:
        """The ledger as JSON, with the counts of all files. Call it when they are closed."""
        for name, writer in self.writers.items():
            self.ledger.add_split(name.partition("-")[0], writer.counts)
            self.ledger.bytes += writer.bytes
        return self.ledger.told()
