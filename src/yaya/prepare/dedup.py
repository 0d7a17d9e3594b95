"""The step `dedup`, over all chunks together: finds documents and lines that occur more than once.

D documents in the order of the input, numbered across all chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from yaya.core.files import sync_files
from yaya.prepare import lines, near
from yaya.prepare.executors import run_all
from yaya.prepare.handover import Handover
from yaya.prepare.settings import PrepareConfig

EXACT = 2.0  # in place of a Jaccard: the two are identical


def merge(work: Handover, config: PrepareConfig, chunks: int, workers: int) -> np.ndarray:
    """Saves the document kept in place of each (itself or an earlier one) and its Jaccard; returns the first. (D,)."""
    ids = work.load("ids", chunks).whole()
    first = exact(ids) if config.deduplicate else np.arange(len(ids))
    np.save(work.whole("exact.npy"), first)
    likeness = np.where(first != np.arange(len(ids)), EXACT, 0.0).astype(np.float32)
    if config.near_duplicates:
        bands = [Band(number, work, chunks, config.near_threshold) for number in range(near.BANDS)]
        for _ in run_all(match_band, bands, work, "match", config.engine, workers):
            pass
        for later, (earlier, jaccard) in near.twins(*all_pairs(work)).items():
            first[later], likeness[later] = earlier, jaccard
        first = first[first]  # if that one is itself dropped as a near-duplicate, take what is kept instead of it
    np.save(work.whole("first.npy"), first)
    np.save(work.whole("likeness.npy"), likeness)
    return first


def exact(ids: np.ndarray) -> np.ndarray:
    """For each document the first one with the same id, which may be itself. ids: (D, 16) bytes."""
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
    """The work of one task: one band of all signatures."""

    number: int
    work: Handover
    chunks: int
    threshold: float


def match_band(band: Band) -> dict[str, Any]:
    """Saves the similar pairs of this band with their estimated Jaccard. Returns how many it compared and kept."""
    work, chunks = band.work, band.chunks
    keys = np.concatenate([np.load(work.chunk(n, "bands.npy"), mmap_mode="r")[band.number] for n in range(chunks)])
    alone = np.load(work.whole("exact.npy"), mmap_mode="r") != np.arange(len(keys))
    kept = np.flatnonzero(~alone)
    met = kept[near.candidates(keys[kept])]
    pairs, estimates = near.alike(work.load("signatures", chunks), met, band.threshold)
    path = work.whole(f"band-{band.number:02}.npz")
    np.savez(path, pairs=pairs, estimates=estimates)
    sync_files([path])  # the returned counts say that it is complete
    return {"met": len(met), "alike": len(pairs)}


def all_pairs(work: Handover) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pairs of all bands, each once, and their Jaccard."""
    found = [np.load(work.whole(f"band-{number:02}.npz")) for number in range(near.BANDS)]
    pairs = np.concatenate([band["pairs"] for band in found])
    estimates = np.concatenate([band["estimates"] for band in found])
    _, once = np.unique(pairs, axis=0, return_index=True)
    return pairs[once], estimates[once]


def save_repeated_lines(work: Handover, sources: int, chunks: int) -> None:
    """Saves the boilerplate of each source: hashes of lines that occur in many of its texts."""
    of_source = [np.bincount(np.load(work.chunk(n, "sets.npy")), minlength=sources) for n in range(chunks)]
    for source, documents in enumerate(np.sum(of_source, axis=0).tolist()):
        paths = [work.chunk(n, f"lines-{source}.npy") for n in range(chunks)]
        np.save(work.whole(f"repeated-{source}.npy"), lines.repeated([p for p in paths if p.exists()], documents))
