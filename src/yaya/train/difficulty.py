"""How hard is a text? The cross entropy of held-out tokens under counts of four tokens, before any training.

With what a tiny model learns (`pilot.py`) it tells the loss to expect: `scaling.py`.

Shapes: N tokens counted, M tokens looked at.
"""

from __future__ import annotations

import numpy as np

from yaya.tokenize.chat import ASSISTANT, TEXT
from yaya.tokenize.shards import Shard
from yaya.train.rows import IGNORE_INDEX, RowArrays, Rows

ORDERS = 4
COUNTED_TOKENS, STRETCH = 400_000, 2_000
MIX = np.uint64(0x9E3779B97F4A7C15)


def difficulty(train: Shard, held_out: Rows, rows: int, vocab_size: int) -> float | None:
    """Nats a token of the first held-out rows (of conversations: the assistant's tokens) under 4-grams; None without text.

    Witten-Bell smoothing (IEEE Trans. Inf. Theory 37, 1991): p(w|h) = (c(hw) + T(h) p(w|h')) / (c(h) + T(h)).
    """
    counted = _sample(train.tokens).astype(np.uint64)
    seen = RowArrays.empty(min(rows, held_out.packing(0).rows), held_out.row_length)
    for row in range(len(seen.labels)):
        held_out.fill(row, seen[row])
    kept = (seen.labels != IGNORE_INDEX) & ((seen.roles == TEXT) | (seen.roles == ASSISTANT))
    if not len(counted) or not kept.any():
        return None
    inputs, labels = seen.input_ids.astype(np.uint64), seen.labels[kept].astype(np.uint64)
    chance = np.full(len(labels), 1.0 / vocab_size)
    before, before_seen = np.zeros(len(counted), np.uint64), np.zeros(inputs.shape, np.uint64)
    for order in range(ORDERS):
        if order:  # the history grows by the token `order` places back
            before = _extend(before, counted, order)
            before_seen = _extend(before_seen, inputs, order - 1)  # an input stands one place before its label
        grams, first, gram_counts = np.unique(_join(before, counted), return_index=True, return_counts=True)
        histories, history_counts = np.unique(before, return_counts=True)
        kinds = np.bincount(np.searchsorted(histories, before[first]), minlength=len(histories))  # T(h)
        c_gram = _lookup(grams, gram_counts, _join(before_seen[kept], labels))
        c_history, t_history = (_lookup(histories, values, before_seen[kept]) for values in (history_counts, kinds))
        known = c_history > 0
        total = np.where(known, c_history + t_history, 1.0)
        chance = np.where(known, (c_gram + t_history * chance) / total, chance)
    return float(-np.log(chance).mean())


def _sample(tokens: np.ndarray) -> np.ndarray:
    """Up to COUNTED_TOKENS, in stretches from all over the text."""
    if len(tokens) <= COUNTED_TOKENS:
        return tokens
    starts = np.linspace(0, len(tokens) - STRETCH, COUNTED_TOKENS // STRETCH).astype(np.int64)
    return np.concatenate([tokens[start : start + STRETCH] for start in starts])


def _extend(history: np.ndarray, tokens: np.ndarray, back: int) -> np.ndarray:
    """Hashes of histories (..., N), each joined with the token `back` places before its end."""
    older = np.zeros_like(history)
    older[..., back:] = tokens[..., : tokens.shape[-1] - back] + np.uint64(1)
    return _join(history, older)


def _join(history: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        mixed = (history ^ (tokens + np.uint64(1))) * MIX
        return mixed ^ (mixed >> np.uint64(29))


def _lookup(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """values of the wanted keys, 0 where a key is not there."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0).astype(np.float64)
