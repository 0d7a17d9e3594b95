"""The third pass: each piece's clean documents, without duplicates and boilerplate, into the splits of the corpus."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import xxhash

from yaya.core.files import sync_files
from yaya.prepare import augment, lines, mixing
from yaya.prepare.augment import AugmentConfig
from yaya.prepare.clean.filters import Account
from yaya.prepare.clean.personal import mask_personal
from yaya.prepare.document import Document, place
from yaya.prepare.merge import EXACT
from yaya.prepare.parquet import DROPPED, DocumentShard, Shard
from yaya.prepare.pieces import SAMPLE, SHOWN, around_change
from yaya.prepare.split import Rule, boundary

SPLITS = ("train", "validation")
STEPS = ("duplicates", "near_duplicates", "repeated_lines", "mixing", "augment")
ROWS = 500  # documents in memory at once


@dataclass(frozen=True)
class Finish:
    """The work of one task: one piece's documents, the first of which has the number `start` in the whole."""

    number: int
    start: int
    folder: Path  # of the pieces
    out: Path
    rules: dict[str, Rule]
    names: dict[int, str]  # document that is kept -> where it stands, for the copies of it in this piece
    steps: tuple[str, ...]  # of STEPS, those that the config asks for
    epochs: dict[int, float]  # source -> how often it is read in training, where that is not once
    augment: AugmentConfig


def finish_piece(task: Finish) -> dict[str, Any]:
    """Writes `train-00000.parquet` and `validation-00000.parquet`, and to `dropped-00000.parquet` what was merged."""
    work = Finishing(task)
    for document, id, source, number in work.documents():
        work.add(document, id, source, number)
    result = work.close()
    sync_files(task.out.glob(f"*-{task.number:05}.parquet"))  # what this gives back says that they are whole
    return result


class Finishing:
    """One piece under way."""

    def __init__(self, task: Finish):
        self.task = task
        self.first = np.load(task.folder / "first.npy", mmap_mode="r")
        self.likeness = np.load(task.folder / "likeness.npy", mmap_mode="r")
        self.shards = {split: DocumentShard(task.out / f"{split}-{task.number:05}.parquet") for split in SPLITS}
        self.dropped = Shard(task.out / f"dropped-{task.number:05}.parquet", DROPPED)
        self.copy_dropped()
        self.accounts = {name: Account() for name in task.steps}
        self.sources: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self.boilerplate: dict[int, np.ndarray] = {}
        self.reasons: Counter[str] = Counter()
        self.drops: dict[str, list[dict[str, str]]] = {}
        self.changes: dict[str, list[dict[str, str]]] = {}
        self.augmented: Counter[str] = Counter()

    def copy_dropped(self) -> None:
        """What the first pass dropped comes first."""
        file = pq.ParquetFile(self.task.folder / f"{self.task.number:05}.dropped.parquet")
        for batch in file.iter_batches(ROWS):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                self.dropped.add(row, len(row[-1]))

    def documents(self) -> Iterator[tuple[Document, bytes, int, int]]:
        """(document, id, number of its source, its number in the whole) of what the first pass kept."""
        number = self.task.start
        file = pq.ParquetFile(self.task.folder / f"{self.task.number:05}.clean.parquet")
        for batch in file.iter_batches(ROWS):
            for row in batch.to_pylist():
                yield Document(row["text"], row["messages"], row["source"], row["where"]), row["id"], row["set"], number
                number += 1

    def add(self, document: Document, id: bytes, source: int, number: int) -> None:
        counts = self.sources[source]
        size = document.size
        kept, likeness = int(self.first[number]), float(self.likeness[number])
        for name, here in (("duplicates", likeness == EXACT), ("near_duplicates", 0 < likeness < EXACT)):
            if name not in self.accounts:
                continue
            self.accounts[name].documents_in += 1
            self.accounts[name].bytes_in += size
            if here:
                self.accounts[name].dropped += 1
                self.accounts[name].removed += size
                counts["merged"] += 1
                what = "duplicate of" if likeness == EXACT else f"{likeness:.0%} like"
                self.drop(document, f"{name}: {what} {self.task.names[kept]}")
                return
            self.accounts[name].bytes_out += size
        if "repeated_lines" in self.accounts:
            cleaned = self.without_boilerplate(document, source, size)
            if cleaned is None:
                counts["dropped"] += 1
                self.reasons["repeated_lines: nothing else in it"] += 1
                self.drop(document, "repeated_lines: nothing else in it")
                return
            if cleaned is not document:
                document, id = cleaned, xxhash.xxh3_128_digest(cleaned.content)
        written = self.place(document, id, source, document.size)
        if written is None:
            counts["dropped"] += 1
            self.reasons["mixing: more than its share"] += 1
            self.drop(document, "mixing: more than its share")
            return
        counts["kept"] += 1
        counts["conversations"] += document.kind == "chat"
        counts["kept_bytes"] += written

    def without_boilerplate(self, document: Document, source: int, size: int) -> Document | None:
        """The document without its source's repeated lines; `None` where nothing is left."""
        account = self.accounts["repeated_lines"]
        account.documents_in += 1
        account.bytes_in += size
        if document.text is None:
            account.bytes_out += size
            return document
        if source not in self.boilerplate:
            self.boilerplate[source] = np.load(self.task.folder / f"repeated-{source}.npy")
        text = lines.without(document.text, source, self.boilerplate[source])
        if text == document.text:
            account.bytes_out += size
            return document
        if not text or text.isspace():
            account.dropped += 1
            account.removed += size
            return None
        left = len(text.encode())
        account.changed += 1
        account.removed += size - left
        account.bytes_out += left
        return document.with_texts([text])

    def place(self, document: Document, id: bytes, source: int, size: int) -> int | None:
        """Into its split, or its two parts into both; the bytes that were written, or `None` where it is not drawn."""
        rule = self.task.rules[document.kind]
        epochs = self.task.epochs.get(source, 1.0)
        text, cut = document.text or "", 0
        if rule.tail is not None:
            cut = boundary(len(text), rule.tail)
        whole, rest = mixing.times(id, epochs), 0.0  # times that it is read, and a part of it once more
        written = copied = 0
        if rule.tail is None and whole and rule.validates(id):  # only what is drawn, so that it has the same mixture
            written, whole = self.write("validation", document, id), 0
        if 0 < cut < len(text):
            held = text[cut : cut + round((len(text) - cut) * min(1.0, epochs))]
            written = self.write_part("validation", document, held) if held else 0
            document = document.with_texts([text[:cut]])
            id = xxhash.xxh3_128_digest(document.content)
        if rule.tail is not None:  # few documents: a part of each, not some of them
            whole, rest = int(epochs), epochs % 1
        for number in range(whole):
            written += self.write("train" if number == 0 else f"train-p{number + 1}", document, id)
        part = text[: round(len(document.text or "") * rest)]
        if part.strip():
            written += self.write_part("train" if whole == 0 else f"train-p{whole + 1}", document, part)
        if whole or part.strip():
            copied = self.augment(document, id)
        if "mixing" in self.accounts:
            account = self.accounts["mixing"]
            account.documents_in += 1
            account.bytes_in += size
            account.changed += written not in (0, size)
            account.dropped += not written
            account.added += max(0, written - size)
            account.removed += max(0, size - written)
            account.bytes_out += written
        if "augment" in self.accounts and written:
            self.accounts["augment"].documents_in += 1
            self.accounts["augment"].bytes_in += written
            self.accounts["augment"].changed += copied > 0
            self.accounts["augment"].added += copied
            self.accounts["augment"].bytes_out += written + copied
        return written + copied if written else None

    def augment(self, document: Document, id: bytes) -> int:
        """Writes the changed copies of a training document; their bytes."""
        written = 0
        for number, (method, copy) in enumerate(augment.copies(self.task.augment, document, id), 1):
            written += self.write(f"train-a{number}", copy, xxhash.xxh3_128_digest(copy.content), method)
            self.augmented[method] += 1
            shown = self.changes.setdefault("augment", [])
            if len(shown) < SHOWN:
                old, new = next((a, b) for a, b in zip(document.texts, copy.texts, strict=True) if a != b)
                before, after = (mask_personal(text) for text in around_change(old, new))
                at = place(document.source, document.where)
                shown.append({"source": at, "filters": f"augment_{method}", "before": before, "after": after})
        return written

    def write_part(self, split: str, document: Document, text: str) -> int:
        part = document.with_texts([text])
        return self.write(split, part, xxhash.xxh3_128_digest(part.content))

    def write(self, split: str, document: Document, id: bytes, method: str = "") -> int:
        """One row of `SPLIT-00000.parquet`; the bytes of its texts."""
        if split not in self.shards:
            self.shards[split] = DocumentShard(self.task.out / f"{split}-{self.task.number:05}.parquet")
        row = (id.hex(), document.kind, document.text, document.messages, document.source, method)
        self.shards[split].add(row, sum(map(len, document.texts)))
        return document.size

    def drop(self, document: Document, reason: str) -> None:
        sample = mask_personal("\n".join(document.texts)[:SAMPLE])
        self.dropped.add((document.source, document.where, reason, sample), len(sample))
        name, _, why = reason.partition(": ")
        shown = self.drops.setdefault(name, [])
        if len(shown) < SHOWN:
            shown.append({"source": place(document.source, document.where), "reason": why, "text": sample})

    def close(self) -> dict[str, Any]:
        """The accounts, as JSON."""
        for shard in (*self.shards.values(), self.dropped):
            shard.flush()
            shard.writer.close()
        splits: dict[str, dict[str, Counter[str]]] = {}
        for name, shard in self.shards.items():
            found = splits.setdefault(name.partition("-")[0], {kind: Counter() for kind in shard.counts})
            for kind, counts in shard.counts.items():
                found[kind].update(counts)
        return {
            "sources": {str(number): dict(counts) for number, counts in self.sources.items()},
            "reasons": dict(self.reasons),
            "drops": self.drops,
            "changes": self.changes,
            "augmented": dict(self.augmented),
            "filters": {name: vars(account) for name, account in self.accounts.items()},
            "splits": {split: {kind: dict(n) for kind, n in kinds.items()} for split, kinds in splits.items()},
            "bytes": np.sum([shard.bytes for shard in self.shards.values()], axis=0).tolist(),
        }
