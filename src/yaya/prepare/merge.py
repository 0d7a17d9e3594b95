"""The second pass, over all pieces together: what is a duplicate of what, and which documents validate.

D documents in the order of the input, numbered through all pieces.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from yaya.core.files import sync_files
from yaya.prepare import near
from yaya.prepare.executors import run_all
from yaya.prepare.settings import PrepareConfig

EXACT = 2.0  # in place of a Jaccard: the two are one


@dataclass
class Spread:
    """One array that lies in the pieces' files, one after another; rows are fetched by their number in the whole."""

    parts: list[np.ndarray]

    @classmethod
    def load(cls, folder: Path, name: str, pieces: int) -> Spread:
        return cls([np.load(folder / f"{number:05}.{name}.npy", mmap_mode="r") for number in range(pieces)])

    @property
    def starts(self) -> np.ndarray:
        """Number of the first row of each part, and of all rows."""
        return np.cumsum([0, *(len(part) for part in self.parts)])

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), *self.parts[0].shape[1:]), self.parts[0].dtype)
        part_of = np.searchsorted(self.starts, rows, side="right") - 1
        for number in np.unique(part_of):
            here = part_of == number
            out[here] = self.parts[number][rows[here] - self.starts[number]]
        return out

    def whole(self) -> np.ndarray:
        return np.concatenate(self.parts)


def exact(ids: np.ndarray) -> np.ndarray:
    """For each document the first with the same id (itself where there is none before). ids: (D, 16) bytes."""
    halves = np.ascontiguousarray(ids).view(">u8").reshape(len(ids), 2)
    order = np.lexsort((halves[:, 1], halves[:, 0]))  # stable: equal ids stay in order
    ordered = halves[order]
    fresh = np.ones(len(ids), bool)
    fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first = order[np.flatnonzero(fresh)][np.cumsum(fresh) - 1]
    out = np.empty(len(ids), np.int64)
    out[order] = first
    return out  # (D,)


@dataclass(frozen=True)
class Band:
    """One band of one run's signatures: the work of one task."""

    number: int
    folder: Path
    pieces: int
    threshold: float


def match_band(band: Band) -> dict[str, Any]:
    """Writes `band-00.npz`: the pairs that meet in this band and are alike, and their Jaccard as estimated."""
    keys = np.concatenate(
        [np.load(band.folder / f"{n:05}.bands.npy", mmap_mode="r")[band.number] for n in range(band.pieces)]
    )
    alone = np.load(band.folder / "exact.npy", mmap_mode="r") != np.arange(len(keys))
    kept = np.flatnonzero(~alone)
    met = kept[near.candidates(keys[kept])]
    pairs, estimates = near.alike(Spread.load(band.folder, "signatures", band.pieces), met, band.threshold)
    path = band.folder / f"band-{band.number:02}.npz"
    np.savez(path, pairs=pairs, estimates=estimates)
    sync_files([path])  # what this gives back says that it is whole
    return {"met": len(met), "alike": len(pairs)}


def duplicates(folder: Path, config: PrepareConfig, pieces: int, workers: int) -> tuple[np.ndarray, np.ndarray]:
    """(the document that is kept instead, its own number where it is kept itself; Jaccard). Both (D,)."""
    ids = Spread.load(folder, "ids", pieces).whole()
    first = exact(ids) if config.deduplicate else np.arange(len(ids))
    np.save(folder / "exact.npy", first)
    likeness = np.where(first != np.arange(len(ids)), EXACT, 0.0).astype(np.float32)
    if config.near_duplicates:
        bands = [Band(number, folder, pieces, config.near_threshold) for number in range(near.BANDS)]
        for _ in run_all(match_band, bands, folder, "match", config.engine, workers):
            pass
        pairs, estimates = _all_pairs(folder)
        for later, (earlier, jaccard) in near.twins(pairs, estimates).items():
            first[later], likeness[later] = earlier, jaccard
        first = first[first]  # a copy of a document that went itself belongs to what is kept instead of that
    return first, likeness


def _all_pairs(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of all bands, each once."""
    found = [np.load(folder / f"band-{number:02}.npz") for number in range(near.BANDS)]
    pairs = np.concatenate([band["pairs"] for band in found])
    estimates = np.concatenate([band["estimates"] for band in found])
    _, once = np.unique(pairs, axis=0, return_index=True)
    return pairs[once], estimates[once]
