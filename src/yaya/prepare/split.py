"""Training and validation: decided document by document, the same at every run.

hash: the documents with the smallest ids validate. An id depends on the content alone, so a document keeps its side when
others come or go. With fewer than MANY documents, the nearest whole number of them, at least one.
tail: the last `fraction` of each text's characters, cut as nanoGPT cuts; conversations are never cut.
auto: hash from MANY text documents up, else tail.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from yaya.prepare.document import Document, Portion

MANY = 200  # documents are enough for a hash to give a fair share
FEW_SHARE, MANY_SHARE, PRIMER_SHARE = 0.1, 0.05, 0.01


@dataclass(frozen=True)
class Rule:
    """How one kind of document is split: each is cut at `tail`, else those with an id below `limit` validate."""

    tail: float | None
    limit: bytes = b""  # 16 bytes, or none

    def divide(self, document: Document, id: bytes) -> list[Portion]:
        """Returns the whole document as one portion; or, where texts are cut, its end for validation and the rest."""
        if self.tail is None:
            return [Portion("validation" if id < self.limit else "train", document, id)]
        text = document.text or ""
        cut = boundary(len(text), self.tail)
        if not 0 < cut < len(text):
            return [Portion("train", document, id, cut=True)]
        parts = (("validation", text[cut:]), ("train", text[:cut]))
        return [Portion.of_text(split, document, part) for split, part in parts]


def rule_for(kind: str, ids: np.ndarray, mode: str, few: float, many: float) -> Rule:
    """The rule for all documents of a kind. ids: (D, 16) bytes of those that are kept."""
    count = len(ids)
    if kind == "text" and (mode == "tail" or (mode == "auto" and count < MANY)):
        return Rule(few)
    if count >= MANY:
        return Rule(None, int(many * 2**64).to_bytes(8, "big") + bytes(8))
    ordered = sorted({row.tobytes() for row in ids})
    wanted = max(1, round(few * len(ordered))) if few and ordered else 0
    wanted = min(wanted, len(ordered) - 1)
    return Rule(None, ordered[wanted] if wanted > 0 else b"")


def in_training(rules: dict[str, Rule], ids: np.ndarray, chats: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """About how many bytes of each document are for training (cuts fall between characters). All (D,)."""
    out = sizes.astype(float)
    for kind, here in (("text", ~chats), ("chat", chats)):
        rule = rules[kind]
        if rule.tail is not None:
            out[here] *= 1 - rule.tail
        elif rule.limit:
            first = np.ascontiguousarray(ids[:, :8]).view(">u8").ravel()
            out[here & (first < int.from_bytes(rule.limit[:8], "big"))] = 0
    return out


def boundary(characters: int, fraction: float) -> int:
    """Characters that stay in training: `int(n * 0.9)` for 0.1, to the character what nanoGPT takes."""
    return int(characters * (1 - fraction))
