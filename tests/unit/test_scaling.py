"""What is said before a training begins: how hard a text is, and the loss to expect."""

import math
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from yaya.tokenize.chat import ASSISTANT, USER
from yaya.tokenize.shards import Shard
from yaya.train.difficulty import difficulty
from yaya.train.planner import size_for
from yaya.train.rows import Rows
from yaya.train.scaling import Pilot, Prospect


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
    assert found == pytest.approx(naive(train, held_out, 4, 8), rel=1e-9)


def test_only_the_assistants_words_count_in_conversations() -> None:
    random = np.random.default_rng(1)
    train = [int(t) for t in random.integers(0, 4, 400)]
    talk, roles = [7] * 20 + [1, 2, 3, 1, 2, 3] * 5, [USER] * 20 + [ASSISTANT] * 30
    hard, harder = (
        difficulty(shard(train, [ASSISTANT] * 400), Rows(shard(talk, said), 64, 0), 64, 8)
        for said in (roles, [ASSISTANT] * 50)
    )
    assert hard < 2 < harder  # 7 is never seen in training


def test_nothing_held_out_gives_no_difficulty() -> None:
    empty = Shard(np.array([], np.uint16), None, np.array([0], np.int64))
    assert difficulty(shard([1, 2, 3]), Rows(empty, 64, 0), 64, 8) is None


def test_more_time_takes_a_larger_model() -> None:
    seen = [(12.0 * 3 * 96**2, 1e-5), (12.0 * 5 * 192**2, 5e-5)]
    sizes = [size_for(seen, seconds)[0] for seconds in (20, 600, 60_000)]
    assert sizes == sorted(set(sizes))


def test_more_tokens_and_more_parameters_lower_the_loss() -> None:
    for pilot in (Pilot(4.79, 4.29, 3.23), Pilot(6.17, 5.72, 5.68), Pilot(3.54, 2.31, 1.03), Pilot(2.2, 0.99, 1.02)):
        losses = [[Prospect(n, d, 1e9, pilot).loss() for d in (3e5, 1e6, 5e6, 2e7)] for n in (2e5, 6e5, 2e6, 8e6)]
        for row in losses:
            assert row == sorted(row, reverse=True) and row[-1] > 0
        for column in zip(*losses, strict=True):
            assert list(column) == sorted(column, reverse=True)


def test_on_the_way_the_loss_falls_to_the_ends() -> None:
    prospect = Prospect(600_000, 2e6, 1e9, Pilot(4.79, 4.29, 3.23))
    curve = [prospect.loss(done) for done in (0.01, 0.05, 0.1, 0.4, 0.8, 1.0)]
    assert curve == sorted(curve, reverse=True) and curve[-1] == prospect.loss()


def test_nothing_is_expected_of_trainings_unlike_all_that_were_measured() -> None:
    pilot = Pilot(4.79, 4.29, 3.23)
    assert Prospect(600_000, 2e6, 1e9, pilot).is_known()
    assert not Prospect(100_000_000, 2e6, 1e9, pilot).is_known() and not Prospect(600_000, 1e9, 1e9, pilot).is_known()
    assert not Prospect(600_000, 2e6, 1e9, Pilot(4.0, 1.0, 1.0)).is_known()  # learned at once: made of few templates


def test_repeated_text_is_worth_less_and_less() -> None:
    pilot = Pilot(4.79, 4.29, 3.23)
    gains = [Prospect(600_000, 1e6 * n, 1e6, pilot).loss() for n in (1, 2, 4, 8, 16)]
    assert gains == sorted(gains, reverse=True)
    steps = [a - b for a, b in pairwise(gains)]
    assert steps == sorted(steps, reverse=True)
    assert gains[1] > Prospect(600_000, 2e6, 1e9, pilot).loss()
