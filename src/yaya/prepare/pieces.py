"""The first pass: the input is cut into pieces, and each piece becomes clean documents on disk, with its accounts.

A piece knows by itself what to read and where to write, so it can be worked on by any process on any machine.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from yaya.core.files import sync_files
from yaya.prepare import lines, near
from yaya.prepare.clean.contamination import Known
from yaya.prepare.clean.filters import Account, Cleaner, Outcome, Texts, active
from yaya.prepare.clean.personal import mask_personal
from yaya.prepare.clean.tokens import words_of_each
from yaya.prepare.document import LEFT_OUT, PRIMER, Broken, Document, Report, place
from yaya.prepare.parquet import DROPPED, MESSAGE, Shard
from yaya.prepare.read.files import SourceFile
from yaya.prepare.read.sources import read_file
from yaya.prepare.settings import PrepareConfig

PIECE_BYTES = 16_000_000  # of input
SHOWN = 10  # examples of each filter
UNFINISHED = 8  # files of a preview that are kept open, for more of their documents
TOGETHER = 100_000  # characters of documents that are looked at together
SAMPLE = 300  # characters of a dropped document that are kept
AROUND = 80  # characters shown on both sides of a change
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


@dataclass(frozen=True)
class Piece:
    """Files (or parts of files) that are read one after another. `set` is the number of their source."""

    number: int
    folder: Path
    config: PrepareConfig
    files: tuple[SourceFile, ...] = ()
    sets: tuple[int, ...] = ()  # one for each file
    primer: tuple[int, int, int, int] = (0, 0, 0, 0)  # first and last story, first and last conversation
    primer_set: int = 0  # number of the primer as a source
    seed: int = 0
    limit: int = 0  # documents in all, for a preview; 0: all

    def path(self, name: str) -> Path:
        return self.folder / f"{self.number:05}.{name}"


def clean_piece(piece: Piece) -> dict[str, Any]:
    """Reads a piece and writes `.clean.parquet`, `.dropped.parquet`, `.ids.npy`, `.signatures.npy`, `.lines.npy`."""
    started = time.perf_counter()
    work = Work(piece)
    with (
        Shard(piece.path("clean.parquet"), CLEAN) as work.clean,
        Shard(piece.path("dropped.parquet"), DROPPED) as work.dropped,
    ):
        for document in work.documents():
            work.add(document)
        work.keep_waiting()
    result = work.close()
    sync_files(piece.folder.glob(f"{piece.number:05}.*"))  # what this gives back says that they are whole
    return result | {"seconds": round(time.perf_counter() - started, 3)}


class Work:
    """One piece under way."""

    clean: Shard
    dropped: Shard

    def __init__(self, piece: Piece):
        self.piece, config = piece, piece.config
        self.known = Known.load(piece.folder / "contamination.npz") if config.decontaminate else None
        self.cleaner = Cleaner(active(config))
        self.waiting: list[tuple[Document, Texts, int]] = []  # with the number of the source
        self.waiting_characters = 0
        self.looked_s = 0.0  # time for contamination
        self.sources: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self.reasons: Counter[str] = Counter()
        self.lengths: Counter[int] = Counter()
        self.remarks: list[tuple[str, str, str]] = []
        self.quarantined: list[dict[str, Any]] = []
        self.kinds: Counter[str] = Counter()  # of what is set aside
        self.problems: dict[int, dict[str, str]] = {}  # source -> the first of its records that cannot be used
        self.changes: dict[str, list[dict[str, str]]] = {}
        self.drops: dict[str, list[dict[str, str]]] = {}
        self.ids: list[bytes] = []
        self.signatures: list[np.ndarray] = []
        self.line_hashes: dict[int, list[np.ndarray]] = {}
        self.sets: list[int] = []
        self.chats: list[bool] = []
        self.sizes: list[int] = []
        self.at = 0  # the source that is being read

    def documents(self) -> Iterator[Document]:
        """What the piece holds; `at` is the number of the source."""
        found = [(n, self.of_file(file, n)) for file, n in zip(self.piece.files, self.piece.sets, strict=True)]
        first_story, last_story, first_talk, last_talk = self.piece.primer
        for span in ((first_story, last_story, 0, 0), (0, 0, first_talk, last_talk)):
            found += [(self.piece.primer_set, self.of_primer(*span))] if any(span) else []
        return spread(found, self.piece.limit) if self.piece.limit else chain.from_iterable(each for _, each in found)

    def of_primer(self, first_story: int, last_story: int, first_talk: int, last_talk: int) -> Iterator[Document]:
        from yaya import primer

        self.at = self.piece.primer_set
        for n in range(first_story, last_story):
            yield Document(primer.story(self.piece.seed, n), None, PRIMER, f"story {n}")
        for n in range(first_talk, last_talk):
            yield Document(None, primer.conversation(self.piece.seed, n), PRIMER, f"conversation {n}")

    def of_file(self, file: SourceFile, source: int) -> Iterator[Document]:
        report = Report(self.set_aside, lambda *remark: self.remarks.append(remark), self.leave_out)
        self.at = source
        for document in read_file(file, report, bool(self.piece.config.main_text)):
            yield document
            self.at = source  # in a preview other files may have come in between

    def counts(self) -> Counter[str]:
        return self.sources[self.at]

    def add(self, document: Document) -> None:
        """One document from outside."""
        counts = self.counts()
        counts["in"] += 1
        counts["bytes"] += document.size
        outcome = self.cleaner.clean(document)
        if outcome.dropped_by:
            self.drop(document, outcome)
            return
        if outcome.changed_by:
            self.show_change(document, outcome)
            document = document.with_texts(outcome.texts)
        self.waiting.append((document, outcome.readings, self.at))
        self.waiting_characters += sum(map(len, document.texts))
        if self.waiting_characters > TOGETHER:
            self.keep_waiting()

    def keep_waiting(self) -> None:
        """What is found by words is found for many documents together: for short ones that is much faster."""
        config, waiting = self.piece.config, self.waiting
        self.waiting, self.waiting_characters = [], 0
        if not waiting:
            return
        words = words_of(waiting) if config.decontaminate or config.near_duplicates else []
        held: dict[int, str] = {}
        if self.known is not None:
            own = [n for n, (document, _, _) in enumerate(waiting) if document.source != PRIMER]  # it holds out its own
            started = time.perf_counter()
            whole = [np.concatenate(words[n]) for n in own]
            held = {own[n]: name for n, name in self.known.find_in(whole).items()} if own else {}
            self.looked_s += time.perf_counter() - started
        signatures = None
        if config.near_duplicates:
            signatures = near.signatures(shingles_of([document for document, _, _ in waiting], words))
        for number, (document, _, self.at) in enumerate(waiting):
            if self.known is not None and not self.account_contamination(document, held.get(number)):
                continue
            self.keep(document, None if signatures is None else signatures[number])

    def account_contamination(self, document: Document, name: str | None) -> bool:
        """Whether the document stays, because it holds no question of an evaluation set."""
        account = self.cleaner.accounts.setdefault("contamination", Account())
        size = document.size
        account.documents_in += 1
        account.bytes_in += size
        if name is None:
            account.bytes_out += size
            return True
        account.dropped += 1
        account.removed += size
        self.drop(document, Outcome([], [], "contamination", f"overlaps {name}"))
        return False

    def keep(self, document: Document, signature: np.ndarray | None) -> None:
        """Writes what is clean, and what duplicates are found by."""
        config, characters = self.piece.config, sum(map(len, document.texts))
        self.counts()["clean"] += 1
        self.sets.append(self.at)
        self.chats.append(document.messages is not None)
        self.sizes.append(document.size)
        self.ids.append(xxhash.xxh3_128_digest(document.content))
        self.lengths[characters.bit_length()] += 1
        if signature is not None:
            self.signatures.append(signature)
        if config.repeated_lines:
            self.line_hashes.setdefault(self.at, []).append(lines.hashes_of(document, self.at))
        row = (self.ids[-1], document.text, document.messages, document.source, document.where, self.at)
        self.clean.add(row, characters)

    def drop(self, document: Document, outcome: Outcome) -> None:
        """Keeps the beginning of a dropped document, and some for the report. Personal data in it is masked."""
        text = mask_personal("\n".join(document.texts)[:SAMPLE])
        reason = f"{outcome.dropped_by}: {outcome.reason}"
        self.counts()["dropped"] += 1
        self.counts()["judged"] += outcome.dropped_by != "empty"
        self.reasons[reason] += 1
        self.dropped.add((document.source, document.where, reason, text), len(text))
        shown = self.drops.setdefault(outcome.dropped_by, [])
        if len(shown) < SHOWN:
            at = place(document.source, document.where)
            shown.append({"source": at, "reason": outcome.reason, "text": text})

    def leave_out(self, source: str, where: str, reason: str, sample: str = "") -> None:
        """A record that is no document, or nothing to learn."""
        self.counts().update({"in": 1, "dropped": 1})
        self.reasons[f"reading: {reason}"] += 1
        self.dropped.add((source, where, f"reading: {reason}", sample), len(sample))
        shown = self.drops.setdefault("reading", [])
        if sample and len(shown) < SHOWN:
            shown.append({"source": place(source, where), "reason": reason, "text": sample})

    def set_aside(self, broken: Broken) -> None:
        """A file or record that cannot be used, or holds nothing to learn."""
        sample, problem = mask_personal(broken.sample), broken.problem
        said = {"source": place(broken.source, broken.where), "kind": problem.kind, "en": problem.en, "zh": problem.zh}
        self.problems.setdefault(self.at, said)
        if problem.kind in LEFT_OUT:
            self.leave_out(broken.source, broken.where, problem.kind, sample)
            return
        self.counts().update({"in": 1, "quarantined": 1})
        self.kinds[problem.kind] += 1
        self.dropped.add((broken.source, broken.where, f"quarantined: {broken.reason}", sample), len(sample))
        if len(self.quarantined) < SHOWN:
            self.quarantined.append(said | {"text": sample})

    def show_change(self, document: Document, outcome: Outcome) -> None:
        """Keeps an example for the report, some for each filter."""
        rarest = min(outcome.changed_by, key=lambda name: len(self.changes.get(name, ())))
        shown = self.changes.setdefault(rarest, [])
        if len(shown) >= SHOWN:
            return
        before, after = around_change(*outcome.changes[rarest])
        if not self.piece.config.mask_personal:
            before, after = mask_personal(before), mask_personal(after)
        else:
            before = mask_personal(before)
        at = place(document.source, document.where)
        shown.append({"source": at, "filters": rarest, "before": before, "after": after})

    def close(self) -> dict[str, Any]:
        """The accounts, as JSON."""
        path = self.piece.path
        np.save(path("ids.npy"), np.frombuffer(b"".join(self.ids), np.uint8).reshape(-1, 16))
        if self.piece.config.near_duplicates:
            signatures = np.array(self.signatures, np.uint32).reshape(-1, near.HASHES)
            np.save(path("signatures.npy"), signatures)
            np.save(path("bands.npy"), np.ascontiguousarray(near.bands(signatures).T))
        for number, hashes in self.line_hashes.items():
            np.save(path(f"lines-{number}.npy"), np.concatenate(hashes))
        np.save(path("sets.npy"), np.array(self.sets, np.int32))
        np.save(path("chats.npy"), np.array(self.chats, bool))
        np.save(path("sizes.npy"), np.array(self.sizes, np.int64))
        if "contamination" in self.cleaner.accounts:
            self.cleaner.accounts["contamination"].seconds = self.looked_s
        return {
            "sources": {str(number): dict(counts) for number, counts in self.sources.items()},
            "filters": {name: asdict(account) for name, account in self.cleaner.accounts.items()},
            "reasons": dict(self.reasons),
            "lengths": {str(bits): count for bits, count in self.lengths.items()},
            "remarks": self.remarks,
            "quarantined": self.quarantined,
            "kinds": dict(self.kinds),
            "problems": {str(number): said for number, said in self.problems.items()},
            "changes": self.changes,
            "drops": self.drops,
        }


def spread(found: Sequence[tuple[int, Iterator[Document]]], limit: int) -> Iterator[Document]:
    """`limit` documents, as many of each source, and of each of its files; what one has not, those behind it give.

    found: (source, documents of one file), source by source. What the last ones have not, some before them give.
    """
    unfinished: deque[Iterator[Document]] = deque(maxlen=UNFINISHED)
    groups = [[each for _, each in group] for _, group in groupby(found, key=lambda pair: pair[0])]
    for number, group in enumerate(groups):
        of_group = math.ceil(limit / (len(groups) - number))
        for at, each in enumerate(group):
            wanted = math.ceil(of_group / (len(group) - at))
            taken = 0
            for document in islice(each, wanted):
                yield document
                taken += 1
            of_group, limit = of_group - taken, limit - taken
            if taken == wanted:
                unfinished.append(each)
    yield from islice(chain.from_iterable(reversed(unfinished)), limit)


def words_of(waiting: list[tuple[Document, Texts, int]]) -> list[list[np.ndarray]]:
    """Hashes of the words of each text of each document; what a filter has found already is taken over."""
    known = [
        readings[0].tokens.words if len(readings) == 1 and readings[0].has_tokens else None
        for _, readings, _ in waiting
    ]
    rest = [r.text for words, (_, readings, _) in zip(known, waiting, strict=True) if words is None for r in readings]
    found = iter(words_of_each(rest) if rest else ())
    return [
        list(islice(found, len(readings))) if words is None else [words]
        for words, (_, readings, _) in zip(known, waiting, strict=True)
    ]


def shingles_of(documents: list[Document], words: list[list[np.ndarray]]) -> list[np.ndarray]:
    """What near-duplicates are found by; a document without words, or one of the primer, is like none but its copies."""
    replies = [near.last_reply(document.messages) if document.messages else 0 for document in documents]
    found = near.shingles_of_each([each[last] for each, last in zip(words, replies, strict=True)])
    for n, (document, last) in enumerate(zip(documents, replies, strict=True)):
        if document.source == PRIMER or not len(found[n]):  # the primer's are alike on purpose
            found[n] = np.array([xxhash.xxh3_64_intdigest(document.content)], np.uint64)
        elif document.messages is not None:
            found[n] = near.of_reply(found[n], document.messages, last)
    return found


def around_change(before: str, after: str) -> tuple[str, str]:
    """Excerpts of both from a little before the first difference."""
    same = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    start = max(0, same - AROUND)
    lead = "…" if start else ""
    return lead + before[start : start + 2 * AROUND], lead + after[start : start + 2 * AROUND]
