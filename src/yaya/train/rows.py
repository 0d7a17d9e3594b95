"""Documents packed into rows of one length: which tokens a training step sees, as a pure function of
(data, seed, row number).

Shapes: B rows, T positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from yaya.tokenize.chat import TEXT
from yaya.tokenize.shards import Shard

IGNORE_INDEX = -100


@dataclass
class Batch:
    """Rows ready for the model; attention stays inside a document."""

    input_ids: Tensor  # (B, T) int64
    labels: Tensor  # (B, T) int64, -100 where there is nothing to predict
    weights: Tensor  # (B, T) fp32: what each label counts
    positions: Tensor  # (B, T) int64
    documents: Tensor  # (B, T) int64: the same number where positions belong together

    def to(self, device: str) -> Batch:
        return self if device == "cpu" else Batch(*(tensor.to(device) for tensor in vars(self).values()))


@dataclass(frozen=True)
class Packing:
    """One epoch's rows: row r holds segments `first[r] : first[r + 1]`, each (start in the shard, number of inputs)."""

    starts: np.ndarray
    sizes: np.ndarray
    first: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.first) - 1


def pack(offsets: np.ndarray, row_length: int, seed: int, epoch: int) -> Packing:
    """Documents in random order, cut to `row_length` inputs and packed best-fit, so that few positions stay empty.

    A document of n tokens gives n - 1 inputs (and labels). Long ones are cut at another place in each epoch.
    """
    random = np.random.default_rng([seed, epoch])
    starts, sizes = _segments(offsets, row_length, random)
    order = random.permutation(len(starts))
    row_of = _best_fit(sizes[order].tolist(), row_length)
    row_count = int(row_of.max(initial=-1)) + 1
    shuffled = random.permutation(row_count)[row_of]  # best-fit fills rows by size: shuffle them
    by_row = np.argsort(shuffled, kind="stable")
    first = np.searchsorted(shuffled[by_row], np.arange(row_count + 1))
    return Packing(starts[order][by_row], sizes[order][by_row], first)


def _segments(offsets: np.ndarray, row_length: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.diff(offsets) - 1
    whole = (lengths > 0) & (lengths <= row_length)
    starts, sizes = [offsets[:-1][whole]], [lengths[whole]]
    for document in np.flatnonzero(lengths > row_length):
        begin, end = int(offsets[document]), int(offsets[document]) + int(lengths[document])
        cuts = np.arange(begin + int(random.integers(1, row_length + 1)), end, row_length)
        edges = np.concatenate([[begin], cuts, [end]])
        starts.append(edges[:-1])
        sizes.append(np.diff(edges))
    return np.concatenate(starts), np.concatenate(sizes)


def _best_fit(sizes: list[int], row_length: int) -> np.ndarray:
    """For each segment the row that it goes to: the open row with the least room that suffices."""
    open_rows: list[list[int]] = [[] for _ in range(row_length + 1)]  # by room left
    rooms = 0  # bit r is set when some row has room r
    row_of, rows = [], 0
    for size in sizes:
        fitting = rooms >> size
        if fitting:
            room = size + (fitting & -fitting).bit_length() - 1
            row = open_rows[room].pop()
            if not open_rows[room]:
                rooms &= ~(1 << room)
        else:
            room, row, rows = row_length, rows, rows + 1
        left = room - size
        if left:
            open_rows[left].append(row)
            rooms |= 1 << left
        row_of.append(row)
    return np.asarray(row_of, dtype=np.int64)


class Rows:
    """The endless sequence of rows of one shard, epoch after epoch."""

    def __init__(self, shard: Shard, row_length: int, seed: int):
        self.shard, self.row_length, self.seed = shard, row_length, seed
        self.packing = lru_cache(maxsize=2)(lambda epoch: pack(shard.offsets, row_length, seed, epoch))
        self.ends: list[int] = []  # rows up to the end of each epoch

    def per_epoch(self) -> int:
        """Rows of the first epoch; the others have nearly as many."""
        if not self.ends:
            self.ends.append(self.packing(0).rows)
        return self.ends[0]

    def find(self, number: int) -> tuple[Packing, int]:
        """The epoch's packing and the row in it for row `number` of the sequence."""
        while not self.ends or number >= self.ends[-1]:
            self.ends.append((self.ends[-1] if self.ends else 0) + self.packing(len(self.ends)).rows)
        epoch = int(np.searchsorted(self.ends, number, side="right"))
        return self.packing(epoch), number - (self.ends[epoch - 1] if epoch else 0)

    def fill(self, number: int, row: RowArrays) -> None:
        """Writes row `number` into the arrays of one row (length T)."""
        packing, index = self.find(number)
        at = 0
        tokens, roles = self.shard.tokens, self.shard.roles
        for segment in range(packing.first[index], packing.first[index + 1]):
            start, size = int(packing.starts[segment]), int(packing.sizes[segment])
            here = slice(at, at + size)
            row.input_ids[here] = tokens[start : start + size]
            row.labels[here] = tokens[start + 1 : start + size + 1]
            row.roles[here] = TEXT if roles is None else roles[start + 1 : start + size + 1]
            row.positions[here] = np.arange(size)
            row.documents[here] = segment
            at += size


@dataclass
class RowArrays:
    """One row or many; `documents` tells which positions belong together."""

    input_ids: np.ndarray
    labels: np.ndarray
    roles: np.ndarray
    positions: np.ndarray
    documents: np.ndarray

    @classmethod
    def empty(cls, *shape: int) -> RowArrays:
        zeros, minus = np.zeros(shape, np.int64), np.full(shape, -1)
        return cls(zeros, np.full(shape, IGNORE_INDEX), zeros.copy(), zeros.copy(), minus)

    def __getitem__(self, row: int) -> RowArrays:
        return RowArrays(*(array[row] for array in vars(self).values()))

    def batch(self, role_weights: np.ndarray) -> Batch:
        """Tensors for the model; role_weights (5,): what a label of each role counts."""
        weights = np.where(self.labels == IGNORE_INDEX, 0.0, role_weights[self.roles]).astype(np.float32)
        ids, labels, positions = map(torch.from_numpy, (self.input_ids, self.labels, self.positions))
        return Batch(ids, labels, torch.from_numpy(weights), positions, torch.from_numpy(self.documents))


class Mixture:
    """Rows of several shards in fixed proportions, spread evenly: row n is a pure function of (data, seed, n)."""

    def __init__(self, parts: list[tuple[Rows, float]], role_weights: list[float]):
        self.parts = [(rows, share) for rows, share in parts if share > 0 and rows.shard.documents]
        total = sum(share for _, share in self.parts)
        self.shares = [share / total for _, share in self.parts]
        self.role_weights = np.asarray(role_weights)

    def batch(self, first: int, count: int) -> Batch:
        """Rows `first` to `first + count`."""
        row_length = self.parts[0][0].row_length
        rows = RowArrays.empty(count, row_length)
        for i in range(count):
            part, number = self.locate(first + i)
            self.parts[part][0].fill(number, rows[i])
        return rows.batch(self.role_weights)

    def epochs(self, number: int) -> float:
        """How often the part that repeats most has been seen before row `number`."""
        return max(number * share / rows.per_epoch() for (rows, _), share in zip(self.parts, self.shares, strict=True))

    def locate(self, number: int) -> tuple[int, int]:
        """(part, row of that part) of row `number`. Part 0 has had floor(n * share) turns before row n; the rows that are
        not its are shared by the other parts in the same way."""
        left = 1.0
        for part, share in enumerate(self.shares[:-1]):
            before, after = int(number * (share / left)), int((number + 1) * (share / left))
            if after > before:
                return part, before
            number, left = number - before, left - share
        return len(self.shares) - 1, number
