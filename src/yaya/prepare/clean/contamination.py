"""Decontamination: documents that hold a question of an evaluation set are dropped.

Paper: Brown et al. (arXiv 2005.14165), appendix C: overlap of 13 words. A Chinese word counts as a character and a
half. Shorter questions must match as a whole, from 8 words (12 characters) up: shorter runs occur by chance.
The first 8 (12) words of a run are its anchor: for nearly all documents, comparing the anchors is enough.

N words of one text, K runs of the evaluation sets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from yaya.prepare.clean.tokens import ngrams, words_of_each

SHIFT = np.uint64(48)
TOGETHER = 1000  # questions
ANCHORS = {8: 13, 12: 20}  # words of an anchor -> words of a whole run; the second is for Chinese


@dataclass
class Known:
    """Runs of words of evaluation sets."""

    names: list[str]
    anchors: np.ndarray  # (K,) uint64, sorted
    lengths: np.ndarray  # (K,) words of the whole run
    hashes: np.ndarray  # (K,) uint64 of the whole run
    sets: np.ndarray  # (K,) number of the set that it comes from

    @cached_property
    def maybe(self) -> np.ndarray:
        """Whether any anchor has these upper bits: rules out nearly everything at once."""
        table = np.zeros(1 << 16, bool)
        table[self.anchors >> SHIFT] = True
        return table

    def save(self, path: Path) -> None:
        names = np.array(self.names, np.str_)
        np.savez(path, names=names, anchors=self.anchors, lengths=self.lengths, hashes=self.hashes, sets=self.sets)

    @classmethod
    def load(cls, path: Path) -> Known:
        with np.load(path, allow_pickle=False) as saved:
            arrays = (saved[name] for name in ("anchors", "lengths", "hashes", "sets"))
            return cls(saved["names"].tolist(), *arrays)

    def find_in(self, texts: list[np.ndarray]) -> dict[int, str]:
        """Number of a text -> the first set with a question that it contains. texts: (N,) hashes of words of each."""
        words, ends = np.concatenate(texts), np.cumsum([len(text) for text in texts])
        found: dict[int, str] = {}
        for size in ANCHORS:
            here = ngrams(words, size)
            places = np.flatnonzero(self.maybe[here >> SHIFT])
            first = np.searchsorted(self.anchors, here[places], side="left")
            last = np.searchsorted(self.anchors, here[places], side="right")
            for hit in np.flatnonzero(first < last).tolist():
                at = int(places[hit])
                text = int(np.searchsorted(ends, at, side="right"))
                for run in range(int(first[hit]), int(last[hit])):
                    stop = at + int(self.lengths[run])
                    inside = stop <= ends[text]
                    if inside and ngrams(words[at:stop], int(self.lengths[run]))[0] == self.hashes[run]:
                        found.setdefault(text, self.names[int(self.sets[run])])
        return found


def known_sets() -> dict[str, Iterable[str]]:
    """yaya's own evaluation sets: name -> questions."""
    from yaya import primer

    sets = ("combinations", "phrasings", "paraphrases")
    return {
        f"the primer's {name}, {language}": [q.messages[-1]["content"] for q in primer.questions(name, language)]
        for name in sets
        for language in ("zh", "en")
    }


def known_from(sets: dict[str, Iterable[str]]) -> Known:
    """Builds the runs to look for. sets: name -> questions, or whatever else must not be in training."""
    runs: dict[tuple[int, int, int], int] = {}  # anchor, length, hash -> set
    for number, questions in enumerate(sets.values()):
        texts = [question for question in questions if len(question) >= min(ANCHORS)]
        for at in range(0, len(texts), TOGETHER):
            part = texts[at : at + TOGETHER]
            for question, words in zip(part, words_of_each(part), strict=True):
                anchor = 8 if len(question) > 2.5 * len(words) else 12  # letters to a word: English, or Chinese
                if len(words) < anchor:
                    continue
                length = min(ANCHORS[anchor], len(words))
                whole = ngrams(words, length)
                for first, value in zip(ngrams(words, anchor)[: len(whole)].tolist(), whole.tolist(), strict=True):
                    runs.setdefault((first, length, value), number)
    ordered = sorted(runs)
    columns = list(zip(*ordered, strict=True)) or [(), (), ()]
    found = [runs[run] for run in ordered]
    return Known(
        list(sets),
        np.array(columns[0], np.uint64),
        np.array(columns[1], np.int64),
        np.array(columns[2], np.uint64),
        np.array(found, np.int64),
    )
