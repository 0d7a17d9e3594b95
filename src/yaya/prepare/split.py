"""Training and validation: decided document by document, the same at every run."""

from __future__ import annotations

from collections.abc import Callable

from yaya.prepare.document import Document

MANY = 200  # documents, from which on a hash gives a fair share

Write = Callable[[str, Document, str], None]  # id, document, "train" or "validation"
Identify = Callable[[Document], str]


class Split:
    """Hands each document to `write` with its split; `close` when no more come.

    hash: the documents with the smallest ids. An id covers the content alone, so a document stays where it is
    when others come or go. With fewer than MANY documents, the nearest whole number of them, at least one.
    tail: the last `fraction` of each text's characters, cut as nanoGPT cuts; conversations are never cut.
    auto: hash from MANY text documents up, else tail.
    """

    def __init__(self, mode: str, fraction: float | None, few: float, many: float, write: Write, identify: Identify):
        self.mode, self.write, self.identify = mode, write, identify
        self.few = few if fraction is None else fraction
        self.many = many if fraction is None else fraction
        self.waiting: dict[str, list[tuple[str, Document]] | None] = {"text": [], "chat": []}

    def add(self, id: str, document: Document) -> None:
        """Takes a document; the first MANY of a kind wait until it is known how many there are."""
        if document.kind == "text" and self.mode == "tail":
            self.cut(id, document)
            return
        waiting = self.waiting[document.kind]
        if waiting is None:
            self.by_hash(id, document)
            return
        waiting.append((id, document))
        if len(waiting) >= MANY:
            self.waiting[document.kind] = None
            for one in waiting:
                self.by_hash(*one)

    def close(self) -> None:
        """Places the documents of a kind that turned out to be few."""
        for kind, waiting in self.waiting.items():
            if kind == "text" and self.mode == "auto":
                for one in waiting or ():
                    self.cut(*one)
            elif waiting:
                self.smallest(waiting)

    def by_hash(self, id: str, document: Document) -> None:
        self.write(id, document, "validation" if int(id[:16], 16) < self.many * 2**64 else "train")

    def smallest(self, waiting: list[tuple[str, Document]]) -> None:
        """An exact share of a few documents; one of them stays in training."""
        ids = sorted({id for id, _ in waiting})
        wanted = max(1, round(self.few * len(ids))) if self.few else 0
        chosen = set(ids[: min(wanted, len(ids) - 1)])
        for id, document in waiting:
            self.write(id, document, "validation" if id in chosen else "train")

    def cut(self, id: str, document: Document) -> None:
        """The two pieces of one text, which together are the text."""
        text = document.text or ""
        at = boundary(len(text), self.few)
        if at in (0, len(text)):
            self.write(id, document, "train")
            return
        for piece, split in ((text[:at], "train"), (text[at:], "validation")):
            part = Document(piece, None, document.source, document.where)
            self.write(self.identify(part), part, split)


def boundary(characters: int, fraction: float) -> int:
    """Characters that stay in training: `int(n * 0.9)` for 0.1, to the character what nanoGPT takes."""
    return int(characters * (1 - fraction))
