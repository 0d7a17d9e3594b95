"""The accounts of a pass: each step books what it did to records and bytes, and keeps examples for the report."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from yaya.prepare.clean.personal import mask_personal
from yaya.prepare.document import Document, Record, place
from yaya.prepare.parquet import RowWriter

SHOWN = 10  # examples of each step
SAMPLE = 300  # characters of a dropped document that are kept
READING = "reading"  # the step that books records without a document
AROUND = 80  # characters shown on both sides of a change
Examples = dict[str, list[dict[str, str]]]  # by step


@dataclass
class Account:
    """What one step did. Bytes balance: bytes_in + added = bytes_out + removed."""

    documents_in: int = 0
    changed: int = 0
    dropped: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    added: int = 0
    removed: int = 0
    seconds: float = 0.0

    def book(self, before: int, after: int | None) -> None:
        """Books a document that came in with `before` bytes and left with `after`; None: it was dropped."""
        self.documents_in += 1
        self.bytes_in += before
        self.bytes_out += after or 0
        if after != before:
            self.dropped += after is None
            self.changed += after is not None
            self.added += max(0, (after or 0) - before)
            self.removed += max(0, before - (after or 0))

    def add(self, values: dict[str, Any]) -> None:
        """Adds another account of the same step, given as JSON."""
        for name, value in values.items():
            setattr(self, name, getattr(self, name) + value)


@dataclass
class Ledger:
    """The accounts of one pass over one chunk; or, after `add`, the sum over passes and chunks."""

    dropped: RowWriter | None = None  # where what is dropped is written
    accounts: dict[str, Account] = field(default_factory=dict)  # by step, in order
    sources: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # in, kept, bytes ...
    reasons: Counter[str] = field(default_factory=Counter)  # why records were dropped: `step: reason`
    drops: Examples = field(default_factory=dict)
    changes: Examples = field(default_factory=dict)
    # What readers reported
    remarks: list[tuple[str, str, str]] = field(default_factory=list)  # kind, English, Chinese
    quarantined: list[dict[str, str]] = field(default_factory=list)  # examples of what was set aside
    kinds: Counter[str] = field(default_factory=Counter)  # of all that was set aside
    problems: dict[int, dict[str, str]] = field(default_factory=dict)  # source -> its first record that cannot be used
    # What was written
    lengths: Counter[str] = field(default_factory=Counter)  # clean documents by the bits of their number of characters
    augmented: Counter[str] = field(default_factory=Counter)  # copies by method
    splits: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)  # split -> kind -> documents, bytes ...
    bytes: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))  # how often each byte occurs

    def told(self) -> dict[str, Any]:
        """The ledger as JSON, which a pass returns."""
        accounts = {name: vars(account) for name, account in self.accounts.items()}
        rest = {name: value for name, value in vars(self).items() if name not in ("dropped", "accounts")}
        return rest | {"filters": accounts, "bytes": self.bytes.tolist()}

    def add(self, told: dict[str, Any]) -> None:
        """Adds a ledger that a pass returned (older versions have fewer fields). Only the first examples are kept."""
        for name, values in told["filters"].items():
            self.accounts.setdefault(name, Account()).add(values)
        for number, counts in told["sources"].items():
            self.sources[int(number)].update(counts)
        for counter in ("reasons", "kinds", "lengths", "augmented"):
            getattr(self, counter).update(told.get(counter, {}))
        for name in ("drops", "changes"):
            for step, shown in told[name].items():
                examples = getattr(self, name).setdefault(step, [])
                examples += shown[: SHOWN - len(examples)]
        self.remarks += told.get("remarks", ())
        self.quarantined += told.get("quarantined", ())
        self.problems = {int(n): said for n, said in told.get("problems", {}).items()} | self.problems
        for split, kinds in told.get("splits", {}).items():
            self.add_split(split, kinds)
        self.bytes += np.array(told.get("bytes", 0))

    def total(self, fate: str) -> int:
        """Records of all sources. fate: in, kept, dropped, merged, quarantined."""
        return sum(counts[fate] for counts in self.sources.values())

    def add_split(self, split: str, kinds: dict[str, Counter[str]]) -> None:
        for kind, counts in kinds.items():
            self.splits.setdefault(split, {}).setdefault(kind, Counter()).update(counts)

    def drop(self, record: Record, step: str, why: str, fate: str = "dropped") -> None:
        """Books a record that goes no further and keeps its beginning, masked. fate: dropped or merged."""
        document = record.document
        sample = mask_personal("\n".join(document.texts)[:SAMPLE])
        self.take_out(record.source, (document.source, document.where), (step, why), sample, fate)

    def take_out(
        self, source: int, at: tuple[str, str], reason: tuple[str, str], sample: str, fate: str = "dropped"
    ) -> None:
        """Books a record that goes no further, and keeps an example while there are few. reason: step, and why."""
        step, why = reason
        self.sources[source][fate] += 1
        if fate == "dropped":
            self.reasons[f"{step}: {why}"] += 1
        self.write(*at, f"{step}: {why}", sample)
        shown = self.drops.setdefault(step, [])
        if len(shown) < SHOWN and (sample or step != READING):  # a redirect has nothing to show
            shown.append({"source": place(*at), "reason": why, "text": sample})

    def write(self, source: str, where: str, reason: str, sample: str) -> None:
        """Writes a row of `dropped-*.parquet`."""
        if self.dropped is not None:
            self.dropped.add((source, where, reason, sample), len(sample))

    def show_change(
        self, step: str, document: Document, texts: tuple[str, str], by: str = "", mask_after: bool = True
    ) -> None:
        """Keeps an example of a change, while there are few. texts: before, after. by: a name for the step."""
        shown = self.changes.setdefault(step, [])
        if len(shown) < SHOWN:
            before, after = around_change(*texts)
            after = mask_personal(after) if mask_after else after
            at = place(document.source, document.where)
            shown.append({"source": at, "filters": by or step, "before": mask_personal(before), "after": after})


def around_change(before: str, after: str) -> tuple[str, str]:
    """Excerpts of both texts, from shortly before their first difference."""
    same = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    start = max(0, same - AROUND)
    lead = "…" if start else ""
    return lead + before[start : start + 2 * AROUND], lead + after[start : start + 2 * AROUND]
