"""The first pass: read -> clean -> decontaminate -> fingerprints, chunk by chunk.

Reads:  the files of one chunk, or a range of the primer.
Does:   drops and changes documents by the filters, drops those that hold a question of an evaluation set.
Writes: clean documents, dropped ones, and arrays by which the second pass finds duplicates (handover.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import xxhash

from yaya.core.files import sync_files
from yaya.core.source_names import PRIMER
from yaya.prepare import lines, near
from yaya.prepare.chunks import Chunk
from yaya.prepare.clean.contamination import Known
from yaya.prepare.clean.filters import Cleaner, active
from yaya.prepare.clean.tokens import words_of_each
from yaya.prepare.document import Record
from yaya.prepare.handover import CLEAN, DROPPED
from yaya.prepare.ledger import Account, Ledger
from yaya.prepare.parquet import RowWriter
from yaya.prepare.read_step import ReadStep

TOGETHER = 100_000  # characters of documents whose words are computed together


def clean_chunk(chunk: Chunk) -> dict[str, Any]:
    """Carries one chunk from its sources into the hand-over. Returns the pass's ledger as JSON."""
    started = time.perf_counter()
    number, work = chunk.number, chunk.work
    with (
        RowWriter(work.chunk(number, "clean.parquet"), CLEAN) as clean,
        RowWriter(work.chunk(number, "dropped.parquet"), DROPPED) as dropped,
    ):
        told = CleanPass(chunk, dropped).run(clean)
    sync_files(work.folder.glob(f"{number:05}.*"))  # the returned ledger says that they are complete
    return told | {"seconds": round(time.perf_counter() - started, 3)}


class CleanPass:
    """The first steps on one chunk: each takes records and yields those that go on."""

    def __init__(self, chunk: Chunk, dropped: RowWriter):
        config = self.config = chunk.config
        self.chunk = chunk
        self.cleaner = Cleaner(active(config))
        self.ledger = Ledger(dropped, self.cleaner.accounts)
        self.known = Known.load(chunk.work.whole("contamination.npz")) if config.decontaminate else None
        if self.known is not None:
            self.ledger.accounts["contamination"] = Account()
        self.reading = ReadStep(chunk, self.ledger)

    def run(self, clean: RowWriter) -> dict[str, Any]:
        """Runs all steps and writes clean documents to `clean`. Returns the ledger as JSON."""
        fingerprints = Fingerprints(self.chunk)
        for batch in together(self.clean(self.reading.records())):
            if self.config.decontaminate or self.config.near_duplicates:
                find_words(batch)
            kept = list(self.decontaminate(batch))
            for record in kept:
                self.write(record, clean)
            fingerprints.add(kept)
        fingerprints.save()
        return self.ledger.told()

    def clean(self, records: Iterator[Record]) -> Iterator[Record]:
        """Applies the filters of clean/filters.py: changes records, drops some."""
        for record in records:
            outcome = self.cleaner.clean(record.document)
            if outcome.dropped_by:
                self.drop(record, outcome.dropped_by, outcome.reason)
                continue
            if outcome.changes:
                rarest = min(outcome.changes, key=lambda name: len(self.ledger.changes.get(name, ())))
                masked = not self.config.mask_personal  # else the text itself shows the placeholders
                self.ledger.show_change(rarest, record.document, outcome.changes[rarest], mask_after=masked)
                record.document = record.document.with_texts(outcome.texts)
            record.readings = outcome.readings
            yield record

    def decontaminate(self, batch: list[Record]) -> Iterator[Record]:
        """Drops documents that contain a question of an evaluation set. The primer holds out its own, so it passes."""
        if self.known is None:
            yield from batch
            return
        account = self.ledger.accounts["contamination"]
        own = [n for n, record in enumerate(batch) if record.document.source != PRIMER]
        started = time.perf_counter()
        found = self.known.find_in([np.concatenate(batch[n].words) for n in own]) if own else {}
        account.seconds += time.perf_counter() - started
        held = {own[n]: name for n, name in found.items()}
        for number, record in enumerate(batch):
            size = record.document.size
            account.book(size, None if number in held else size)
            if number in held:
                self.drop(record, "contamination", f"overlaps {held[number]}")
            else:
                yield record

    def write(self, record: Record, clean: RowWriter) -> None:
        """Writes a row of clean.parquet and gives the record its id."""
        document, characters = record.document, sum(map(len, record.document.texts))
        record.id = xxhash.xxh3_128_digest(document.content)
        self.ledger.lengths[str(characters.bit_length())] += 1
        self.ledger.sources[record.source]["clean"] += 1
        row = (record.id, document.text, document.messages, document.source, document.where, record.source)
        clean.add(row, characters)

    def drop(self, record: Record, step: str, why: str) -> None:
        """Drops a record, and counts it as judged unless it is empty."""
        self.ledger.drop(record, step, why)
        self.ledger.sources[record.source]["judged"] += step != "empty"


class Fingerprints:
    """What the second pass needs to know of each clean document: arrays with one row each, in order."""

    def __init__(self, chunk: Chunk):
        self.chunk, self.config = chunk, chunk.config
        self.rows: list[tuple[bytes, int, bool, int]] = []  # id, source, whether it is a conversation, bytes
        self.signatures: list[np.ndarray] = []
        self.lines: dict[int, list[np.ndarray]] = {}

    def add(self, records: list[Record]) -> None:
        """Adds records that have their ids and, for near-duplicates, their words."""
        if self.config.near_duplicates and records:
            self.signatures.append(near.signatures(shingles_of(records)))
        for record in records:
            document = record.document
            self.rows.append((record.id, record.source, document.messages is not None, document.size))
            if self.config.repeated_lines:
                self.lines.setdefault(record.source, []).append(lines.hashes_of(document, record.source))

    def save(self) -> None:
        """Writes the arrays of the chunk."""
        work, number = self.chunk.work, self.chunk.number
        ids, sources, chats, sizes = zip(*self.rows, strict=True) if self.rows else ((), (), (), ())
        np.save(work.chunk(number, "ids.npy"), np.frombuffer(b"".join(ids), np.uint8).reshape(-1, 16))
        np.save(work.chunk(number, "sets.npy"), np.array(sources, np.int32))
        np.save(work.chunk(number, "chats.npy"), np.array(chats, bool))
        np.save(work.chunk(number, "sizes.npy"), np.array(sizes, np.int64))
        if self.config.near_duplicates:
            signatures = np.concatenate([np.empty((0, near.HASHES), np.uint32), *self.signatures])
            np.save(work.chunk(number, "signatures.npy"), signatures)
            np.save(work.chunk(number, "bands.npy"), np.ascontiguousarray(near.bands(signatures).T))
        for source, hashes in self.lines.items():
            np.save(work.chunk(number, f"lines-{source}.npy"), np.concatenate(hashes))


def together(records: Iterator[Record]) -> Iterator[list[Record]]:
    """Yields batches of about TOGETHER characters: words of short documents are computed much faster in bulk."""
    batch: list[Record] = []
    characters = 0
    for record in records:
        batch.append(record)
        characters += sum(map(len, record.document.texts))
        if characters > TOGETHER:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def find_words(batch: list[Record]) -> None:
    """Sets `words` of each record: hashes of the words of each text. Reuses what a filter has computed already."""
    rest = []
    for record in batch:
        if len(record.readings) == 1 and record.readings[0].has_tokens:
            record.words = [record.readings[0].tokens.words]
        else:
            rest.append(record)
    texts = [reading.text for record in rest for reading in record.readings]
    found = iter(words_of_each(texts) if texts else ())
    for record in rest:
        record.words = list(islice(found, len(record.readings)))


def shingles_of(records: list[Record]) -> list[np.ndarray]:
    """The shingles for near-duplicates. A document without words, or of the primer, matches only exact copies."""
    replies = [near.last_reply(r.document.messages) if r.document.messages else 0 for r in records]
    found = near.shingles_of_each([record.words[last] for record, last in zip(records, replies, strict=True)])
    for n, (record, last) in enumerate(zip(records, replies, strict=True)):
        document = record.document
        if document.source == PRIMER or not len(found[n]):  # the primer's texts are alike on purpose
            found[n] = np.array([xxhash.xxh3_64_intdigest(document.content)], np.uint64)
        elif document.messages is not None:
            found[n] = near.of_reply(found[n], document.messages, last)
    return found
