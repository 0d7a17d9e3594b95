"""What is said before a training begins: how hard a text is, and the loss to expect."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from yaya.tokenize.chat import ASSISTANT, USER
from yaya.tokenize.shards import Shard
from yaya.train.difficulty import difficulty
from yaya.train.rows import Rows


def naive(train: list[int], held_out: list[int], order: int, vocab_size: int) -> float:
    """Witten-Bell by dictionaries, a token at a time."""
    grams: dict[tuple, Counter] = defaultdict(Counter)
    for at, token in enumerate(train):
        for n in range(order):
            history = tuple(train[at - i] if at >= i else None for i in range(n, 0, -1))
            grams[history][token] += 1

    def chance(history: tuple, token: int) -> float:
        below = chance(history[1:], token) if history else 1 / vocab_size
        seen = grams.get(history)
        if not seen:
            return below
        total, kinds = sum(seen.values()), len(seen)
        return (seen[token] + kinds * below) / (total + kinds)

    losses = []
    for at in range(1, len(held_out)):
        history = tuple(held_out[at - i] if at >= i else None for i in range(order - 1, 0, -1))
        losses.append(-math.log(chance(history, held_out[at])))
    return sum(losses) / len(losses)


def shard(tokens: list[int], roles: list[int] | None = None) -> Shard:
    kinds = np.array(roles, np.uint8) if roles else None
    return Shard(np.array(tokens, np.uint16), kinds, np.array([0, len(tokens)], np.int64))


def test_difficulty_is_what_dictionaries_count() -> None:
    random = np.random.default_rng(0)
    words = [0, 1, 2, 3, 4, 5, 0, 1, 2]
    train = [int(t) for _ in range(60) for t in random.permutation(words)[:5]]
    held_out = [int(t) for t in random.integers(0, 7, 60)]  # one token is never seen in training
    found = difficulty(shard(train), Rows(shard(held_out), 64, 0), 64, 8)
    assert found == pytest.approx([naive(train, held_out, n, 8) for n in (1, 2, 3, 4)], rel=1e-9)


def test_only_the_assistants_words_count_in_conversations() -> None:
    random = np.random.default_rng(1)
    train = [int(t) for t in random.integers(0, 4, 400)]
    talk, roles = [7] * 20 + [1, 2, 3, 1, 2, 3] * 5, [USER] * 20 + [ASSISTANT] * 30
    (hard, *_), (harder, *_) = (
        difficulty(shard(train, [ASSISTANT] * 400), Rows(shard(talk, said), 64, 0), 64, 8)
        for said in (roles, [ASSISTANT] * 50)
    )
    assert hard < 1.5 < harder  # 7 is never seen in training


def test_nothing_held_out_gives_no_difficulty() -> None:
    empty = Shard(np.array([], np.uint16), None, np.array([0], np.int64))
    assert difficulty(shard([1, 2, 3]), Rows(empty, 64, 0), 64, 8) == ()
