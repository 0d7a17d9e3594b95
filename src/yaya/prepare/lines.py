"""Removes boilerplate: lines that occur in many documents of one source (menus, licences, "share this").

A line counts once per document. C4 (arXiv 1910.10683, section 2.2) removes repeated spans in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xxhash

from yaya.prepare.document import Document

SHORTEST = 4  # characters of a line that can be boilerplate
DOCUMENTS = 6  # a line in this many documents, and in a hundredth of the source's, is boilerplate
SHARE = 0.01
AT_ONCE = 1 << 22  # hashes in memory at a time


def hash_of(line: str, source: int) -> int:
    return xxhash.xxh3_64_intdigest(line.strip().encode(), seed=source)


def hashes_of(document: Document, source: int) -> np.ndarray:
    """Hashes of the distinct lines of a text; none for conversations."""
    if document.text is None:
        return np.empty(0, np.uint64)
    found = {hash_of(line, source) for line in document.text.split("\n") if len(line.strip()) >= SHORTEST}
    return np.fromiter(found, np.uint64, len(found))


def repeated(paths: Sequence[Path], documents: int) -> np.ndarray:
    """Sorted hashes of boilerplate lines, from the chunks' files, a part of all hashes at a time."""
    total = sum(np.load(path, mmap_mode="r").shape[0] for path in paths)
    parts = max(1, -(-total // AT_ONCE))
    least = max(DOCUMENTS, int(SHARE * documents))
    found = [np.empty(0, np.uint64)]
    for part in range(parts):
        here = [
            values[values % np.uint64(parts) == part] for values in (np.load(path, mmap_mode="r") for path in paths)
        ]
        values, counts = np.unique(np.concatenate([np.empty(0, np.uint64), *here]), return_counts=True)
        found.append(values[counts >= least])
    return np.sort(np.concatenate(found))


def without(text: str, source: int, boilerplate: np.ndarray) -> str:
    """The text without the lines whose hashes are given."""
    if not len(boilerplate):
        return text
    kept = []
    for line in text.split("\n"):
        if len(line.strip()) >= SHORTEST:
            value = np.uint64(hash_of(line, source))
            at = np.searchsorted(boilerplate, value)
            if at < len(boilerplate) and boilerplate[at] == value:
                continue
        kept.append(line)
    return "\n".join(kept)
