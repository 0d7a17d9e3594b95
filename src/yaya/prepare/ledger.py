"""The accounts of a pass. Each step books here what it did: bytes that it took out or added, records that it dropped and why,
and some examples for the report.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from yaya.prepare.clean.personal import mask_personal
from yaya.prepare.document import Document, Record, place
from yaya.prepare.parquet import RowWriter

SHOWN = 10  # examples of each step
SAMPLE = 300  # characters of a dropped document that are kept
AROUND = 80  # characters shown on both sides of a change


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
        """One document that came with `before` bytes and went on with `after`; None: it was dropped."""
        left = after or 0
        self.documents_in += 1
        self.dropped += after is None
        self.changed += after not in (None, before)
        self.bytes_in += before
        self.bytes_out += left
        self.added += max(0, left - before)
        self.removed += max(0, before - left)

    def add(self, values: dict[str, Any]) -> None:
        """Adds another account of the same step, as JSON has it."""
        for name, value in values.items():
            setattr(self, name, getattr(self, name) + value)


class Ledger:
    """The accounts of one pass over one chunk, or the sum of several."""

    def __init__(self, dropped: RowWriter | None = None, accounts: dict[str, Account] | None = None):
        self.dropped = dropped  # where what is dropped is written
        self.accounts = {} if accounts is None else accounts  # by step, in order
        self.sources: defaultdict[int, Counter[str]] = defaultdict(Counter)  # of each source: in, kept, dropped ...
        self.reasons: Counter[str] = Counter()  # why records were dropped: `step: reason`
        self.drops: dict[str, list[dict[str, str]]] = {}  # examples, by step
        self.changes: dict[str, list[dict[str, str]]] = {}

    @classmethod
    def of(cls, results: Iterable[dict[str, Any]]) -> Ledger:
        """The sum of what passes gave back, as `told` has it; of the examples, the first ones."""
        whole = cls()
        for result in results:
            for number, counts in result["sources"].items():
                whole.sources[int(number)].update(counts)
            whole.reasons.update(result["reasons"])
            for name, values in result["filters"].items():
                whole.accounts.setdefault(name, Account()).add(values)
            for examples, more in ((whole.drops, result["drops"]), (whole.changes, result["changes"])):
                for name, shown in more.items():
                    examples[name] = (examples.get(name, []) + shown)[:SHOWN]
        return whole

    def told(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return {
            "sources": {str(number): dict(counts) for number, counts in self.sources.items()},
            "filters": {name: asdict(account) for name, account in self.accounts.items()},
            "reasons": dict(self.reasons),
            "changes": self.changes,
            "drops": self.drops,
        }

    def drop(self, record: Record, step: str, why: str, fate: str = "dropped") -> None:
        """A record that goes no further; its beginning is kept, with personal data masked. fate: dropped or merged."""
        document = record.document
        sample = mask_personal("\n".join(document.texts)[:SAMPLE])
        self.sources[record.source][fate] += 1
        if fate == "dropped":
            self.reasons[f"{step}: {why}"] += 1
        self.write(document.source, document.where, f"{step}: {why}", sample)
        self.show_drop(step, place(document.source, document.where), why, sample)

    def write(self, source: str, where: str, reason: str, sample: str) -> None:
        """A row of `dropped-*.parquet`."""
        assert self.dropped is not None
        self.dropped.add((source, where, reason, sample), len(sample))

    def show_drop(self, step: str, at: str, why: str, sample: str) -> None:
        """Keeps an example of what a step dropped, while there are few."""
        shown = self.drops.setdefault(step, [])
        if len(shown) < SHOWN:
            shown.append({"source": at, "reason": why, "text": sample})

    def show_change(
        self, step: str, document: Document, texts: tuple[str, str], by: str = "", mask_after: bool = True
    ) -> None:
        """Keeps an example of what a step changed, while there are few. texts: before and after; by: the step, closer."""
        shown = self.changes.setdefault(step, [])
        if len(shown) < SHOWN:
            before, after = around_change(*texts)
            after = mask_personal(after) if mask_after else after
            at = place(document.source, document.where)
            shown.append({"source": at, "filters": by or step, "before": mask_personal(before), "after": after})


def around_change(before: str, after: str) -> tuple[str, str]:
    """Excerpts of both from a little before the first difference."""
    same = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    start = max(0, same - AROUND)
    lead = "…" if start else ""
    return lead + before[start : start + 2 * AROUND], lead + after[start : start + 2 * AROUND]
