"""How hard is a text? Cross entropies of held-out tokens under counts of one to four tokens, before any training.

They tell a language model's loss beforehand better than anything else that takes a second: `scaling.py`.
"""

from __future__ import annotations

import numpy as np

from yaya.tokenize.chat import ASSISTANT
from yaya.tokenize.shards import Shard

ORDERS = 4
TRAIN_TOKENS = 500_000  # counted
HELD_OUT_TOKENS = 40_000  # looked at
MIX = np.uint64(0x9E3779B97F4A7C15)


def difficulty(train: Shard, held_out: Shard, vocab_size: int) -> list[float]:
    """Nats a token of the held-out tokens (of conversations: the assistant's) under n-grams of order 1 to 4.

    Witten-Bell smoothing (IEEE Trans. Inf. Theory 37, 1991): p(w|h) = (c(hw) + T(h) p(w|h')) / (c(h) + T(h)).
    """
    counted = train.tokens[: _whole_documents(train, TRAIN_TOKENS)].astype(np.uint64)
    looked = held_out.tokens[: _whole_documents(held_out, HELD_OUT_TOKENS)].astype(np.uint64)
    if not len(counted) or not len(looked):
        return [0.0] * ORDERS
    kept = np.ones(len(looked), bool)
    if held_out.roles is not None:
        kept = held_out.roles[: len(looked)] == ASSISTANT
    kept[:ORDERS] = False
    chance = np.full(len(looked), 1.0 / vocab_size)
    losses = []
    history, seen_history = np.zeros(len(counted), np.uint64), np.zeros(len(looked), np.uint64)
    for order in range(ORDERS):
        if order:  # the history grows by the token `order` places back
            history, seen_history = _extend(history, counted, order), _extend(seen_history, looked, order)
        grams, gram_counts = np.unique(_join(history, counted), return_counts=True)
        first = np.unique(_join(history, counted), return_index=True)[1]
        histories, history_counts = np.unique(history, return_counts=True)
        kinds = np.bincount(np.searchsorted(histories, history[first]), minlength=len(histories))  # T(h)
        c_gram = _lookup(grams, gram_counts, _join(seen_history, looked))
        c_history, t_history = (_lookup(histories, values, seen_history) for values in (history_counts, kinds))
        chance = (c_gram + t_history * chance) / np.maximum(c_history + t_history, 1e-9) + (c_history == 0) * chance
        losses.append(float(-np.log(chance[kept]).mean()) if kept.any() else 0.0)
    return losses


def _whole_documents(shard: Shard, limit: int) -> int:
    """The tokens of the first documents, up to about `limit`."""
    return int(shard.offsets[np.searchsorted(shard.offsets, min(limit, shard.offsets[-1]))])


def _extend(history: np.ndarray, tokens: np.ndarray, back: int) -> np.ndarray:
    older = np.zeros_like(history)
    older[back:] = tokens[:-back] + np.uint64(1)
    return _join(history, older)


def _join(history: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        mixed = (history ^ (tokens + np.uint64(1))) * MIX
        return mixed ^ (mixed >> np.uint64(29))


def _lookup(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """values of the wanted keys, 0 where a key is not there."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0).astype(np.float64)
