"""Documents packed into rows of one length: what a step sees is a pure function of (data, seed, row number).

Shapes: B rows, T positions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from yaya.tokenize import chat_template
from yaya.tokenize.chat_template import ASSISTANT, ROLES, SYSTEM, TEMPLATE, TEXT
from yaya.tokenize.shards import TokenShard

IGNORE_INDEX = -100
ONES = chat_template.role_weights(**dict.fromkeys(ROLES, 1.0))  # every label counts
SEGMENTS_AT_ONCE = 100_000
LEAST_REPLY = 8  # keep the beginning of a reply that does not fit if it is at least an eighth of a row


@dataclass
class Batch:
    """Rows ready for the model; attention stays within a document."""

    input_ids: Tensor  # (B, T) int64
    labels: Tensor  # (B, T) int64, -100 where there is nothing to predict
    weights: Tensor  # (B, T) fp32: each label's loss weight
    positions: Tensor  # (B, T) int64
    documents: Tensor  # (B, T) int64: the same number where positions belong together

    @classmethod
    def empty(cls, rows: int, length: int) -> Batch:
        """Rows that hold no document yet."""
        zeros = torch.zeros(rows, length, dtype=torch.int64)
        none, weights = torch.full_like(zeros, -1), torch.zeros(rows, length)
        return cls(zeros, torch.full_like(zeros, IGNORE_INDEX), weights, zeros.clone(), none)

    def to(self, device: str) -> Batch:
        return self if device == "cpu" else Batch(*(tensor.to(device) for tensor in vars(self).values()))


@dataclass(frozen=True)
class Segments:
    """Parts of documents, each read separately: `sizes` inputs that begin at `starts` in the shard.

    A later part of a conversation begins with its system prompt: `heads` of its inputs, which begin at `head_starts`.
    """

    starts: np.ndarray
    sizes: np.ndarray
    head_starts: np.ndarray
    heads: np.ndarray

    @classmethod
    def plain(cls, starts: np.ndarray, sizes: np.ndarray) -> Segments:
        return cls(starts, sizes, starts, np.zeros_like(sizes))

    def __getitem__(self, chosen: np.ndarray) -> Segments:
        return Segments(*(array[chosen] for array in vars(self).values()))

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True)
class Packing:
    """One epoch's rows: row r holds segments `first[r] : first[r + 1]`."""

    segments: Segments
    first: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.first) - 1


def pack(segments: Segments, row_length: int, random: np.random.Generator) -> Packing:
    """Segments in random order, packed best-fit into rows, so that few positions stay empty."""
    order = random.permutation(len(segments))
    row_of = _best_fit(segments.sizes[order].tolist(), row_length)
    row_count = int(row_of.max(initial=-1)) + 1
    shuffled = random.permutation(row_count)[row_of]  # best-fit fills rows by size: shuffle them
    by_row = np.argsort(shuffled, kind="stable")
    first = np.searchsorted(shuffled[by_row], np.arange(row_count + 1))
    return Packing(segments[order[by_row]], first)


def cut_texts(offsets: np.ndarray, row_length: int, random: np.random.Generator) -> Segments:
    """Documents cut to `row_length` inputs (n tokens give n - 1), long ones at a different place in each epoch."""
    lengths = np.diff(offsets) - 1
    whole = (lengths > 0) & (lengths <= row_length)
    starts, sizes = [offsets[:-1][whole]], [lengths[whole]]
    for document in np.flatnonzero(lengths > row_length):
        begin, end = int(offsets[document]), int(offsets[document]) + int(lengths[document])
        cuts = np.arange(begin + int(random.integers(1, row_length + 1)), end, row_length)
        edges = np.concatenate([[begin], cuts, [end]])
        starts.append(edges[:-1])
        sizes.append(np.diff(edges))
    return Segments.plain(np.concatenate(starts), np.concatenate(sizes))


@dataclass
class LongConversations:
    """How many conversations are longer than a row, and what they lost."""

    conversations: int = 0
    replies_cut: int = 0  # cut short
    replies_left_out: int = 0  # dropped: the question alone fills a row
    replies_without_system: int = 0  # without their system prompt, which leaves no room


def cut_conversations(shard: TokenShard, row_length: int) -> tuple[Segments, LongConversations]:
    """Conversations whole, or cut between turns, so that every reply keeps its question; the system prompt too, if it fits."""
    lengths = np.diff(shard.offsets) - 1
    whole = (lengths > 0) & (lengths <= row_length)
    segments, account = Segments.plain(shard.offsets[:-1][whole], lengths[whole]), LongConversations()
    parts: list[tuple[int, int, int, int]] = []
    for document in np.flatnonzero(lengths > row_length):
        account.conversations += 1
        begin, end = shard.offsets[document : document + 2].tolist()
        parts += _cut_conversation(shard, begin, end, row_length, account)
    if not parts:
        return segments, account
    cut = np.asarray(parts, np.int64).T
    return Segments(*(np.concatenate(pair) for pair in zip(vars(segments).values(), cut, strict=True))), account


def _cut_conversation(
    shard: TokenShard, begin: int, end: int, row_length: int, account: LongConversations
) -> list[tuple[int, int, int, int]]:
    """The parts of the conversation at tokens begin to end, as the fields of `Segments`."""
    assert shard.roles is not None
    system, turns = _turns(shard.tokens[begin:end], shard.roles[begin:end])
    out: list[tuple[int, int, int, int]] = []
    at = 0
    while at < len(turns) - 1:
        start, head = turns[at], system
        last = bisect_right(turns, start + row_length + 1 - head) - 1
        if last > at:  # as many turns as fit
            out.append((begin + start, head + turns[last] - start - 1, begin, head))
            at = last
            continue
        at += 1
        spoken = shard.roles[begin + start : begin + turns[at]] == ASSISTANT
        edges = np.flatnonzero(np.diff(np.r_[False, spoken, False]))
        replies, ends = edges[::2], edges[1::2]
        room = row_length - row_length // LEAST_REPLY
        if len(replies) and replies[0] + head > room:
            head = 0  # better without the system prompt than without the reply
        kept = int((replies + head <= room).sum())
        account.replies_left_out += len(replies) - kept
        if system and not head:
            account.replies_without_system += kept
        if kept:
            size = min(row_length, head + turns[at] - start - 1)
            account.replies_cut += int((ends[:kept] > size - head + 1).sum())
            out.append((begin + start, size, begin, head))
    return out


def _turns(tokens: np.ndarray, roles: np.ndarray) -> tuple[int, list[int]]:
    """Tokens of a conversation's system prompt, where its turns begin, and its end. A turn: a question with its replies."""
    # Every message begins with the same control token
    messages = [*np.flatnonzero(tokens == tokens[0]).tolist(), len(tokens)]
    spoken = [roles[first:last][roles[first:last] != TEMPLATE] for first, last in pairwise(messages)]
    said_by = [int(codes[0]) if len(codes) else TEMPLATE for codes in spoken]
    first = next((n for n, code in enumerate(said_by) if code != SYSTEM), 0)
    replies = (ASSISTANT, TEMPLATE)  # the latter: one that is read and not learned
    later = [
        messages[n] for n in range(first + 1, len(said_by)) if said_by[n] not in replies and said_by[n - 1] in replies
    ]
    return messages[first], [messages[first], *later, len(tokens)]


def taught(segments: Segments, shard: TokenShard, role_weights: np.ndarray) -> np.ndarray:
    """Which segments have a label of weight above 0. (N,) bool."""
    if shard.roles is None:
        return np.full(len(segments), role_weights[TEXT] > 0)
    out = np.zeros(len(segments), bool)
    for block in range(0, len(segments), SEGMENTS_AT_ONCE):
        here = segments[np.arange(block, min(block + SEGMENTS_AT_ONCE, len(segments)))]
        starts, lengths = here.starts + 1, here.sizes - here.heads  # a label is one position after its input
        edges = np.cumsum([0, *lengths[:-1].tolist()])
        places = np.repeat(starts - edges, lengths) + np.arange(int(lengths.sum()))
        out[block : block + len(here)] = np.logical_or.reduceat(role_weights[shard.roles[places]] > 0, edges)
    return out


def _best_fit(sizes: list[int], row_length: int) -> np.ndarray:
    """The row of each segment: the open row with the least sufficient room."""
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


class PackedDataset:
    """The endless sequence of rows of one shard, epoch after epoch. Segments without a label of weight above 0 are left out."""

    def __init__(self, shard: TokenShard, row_length: int, seed: int, role_weights: Sequence[float] = ONES):
        self.shard, self.row_length, self.seed = shard, row_length, seed
        self.role_weights = np.asarray(role_weights, np.float64)
        self.conversations, self.long = None, LongConversations()
        if shard.roles is not None:
            cut, self.long = cut_conversations(shard, row_length)
            self.conversations = cut[taught(cut, shard, self.role_weights)]
        self.packing = lru_cache(maxsize=2)(self._pack)
        self.ends: list[int] = []  # rows up to the end of each epoch

    def _pack(self, epoch: int) -> Packing:
        """A pure function of (data, seed, epoch)."""
        random = np.random.default_rng([self.seed, epoch])
        segments = self.conversations
        if segments is None:
            segments = cut_texts(self.shard.offsets, self.row_length, random)
        return pack(segments, self.row_length, random)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to learn."""
        if self.conversations is not None:
            return not len(self.conversations)
        return not self.shard.documents or not self.role_weights[TEXT] > 0

    def per_epoch(self) -> int:
        """The number of rows in the first epoch; other epochs have nearly as many."""
        if not self.ends:
            self.ends.append(self.packing(0).rows)
        return self.ends[0]

    def find(self, number: int) -> tuple[Packing, int]:
        """The epoch's packing and the row in it for row `number` of the sequence."""
        while not self.ends or number >= self.ends[-1]:
            self.ends.append((self.ends[-1] if self.ends else 0) + self.packing(len(self.ends)).rows)
        epoch = int(np.searchsorted(self.ends, number, side="right"))
        return self.packing(epoch), number - (self.ends[epoch - 1] if epoch else 0)

    def fill(self, number: int, batch: Batch, row: int) -> None:
        """Writes row `number` of the sequence into a row of the batch."""
        packing, index = self.find(number)
        ids, labels, weights, positions, documents = (tensor[row].numpy() for tensor in vars(batch).values())
        at = 0
        for segment in range(packing.first[index], packing.first[index + 1]):
            start, size, head_start, head = (int(array[segment]) for array in vars(packing.segments).values())

            def of(array: np.ndarray) -> np.ndarray:
                rest = array[start : start + size - head + 1]  # noqa: B023  # used within this turn of the loop alone
                return np.concatenate([array[head_start : head_start + head], rest]) if head else rest  # noqa: B023

            here, tokens = slice(at, at + size), of(self.shard.tokens)
            ids[here], labels[here] = tokens[:-1], tokens[1:]
            weights[here] = self.role_weights[TEXT if self.shard.roles is None else of(self.shard.roles)[1:]]
            positions[here], documents[here] = np.arange(size), segment
            at += size


class DataMixture:
    """Rows of several datasets in fixed proportions, spread evenly: row n is a pure function of (data, seed, n)."""

    def __init__(self, parts: Sequence[tuple[PackedDataset, float]]):
        """parts: datasets, any number of them, and the share that each should have of the rows."""
        asked = [(dataset, share) for dataset, share in parts if share > 0]
        self.row_length = parts[0][0].row_length
        self.kinds = {"text" if dataset.shard.roles is None else "chat" for dataset, _ in asked}
        self.documents = sum(dataset.shard.documents for dataset, _ in asked)
        self.weighs_nothing = not any(dataset.role_weights.any() for dataset, _ in parts)
        self.parts = [(dataset, share) for dataset, share in asked if not dataset.is_empty]
        total = sum(share for _, share in self.parts)
        self.shares = [share / total for _, share in self.parts]

    def batch(self, first: int, count: int) -> Batch:
        """Rows `first` to `first + count`."""
        batch = Batch.empty(count, self.row_length)
        for i in range(count):
            part, number = self.locate(first + i)
            self.parts[part][0].fill(number, batch, i)
        return batch

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
