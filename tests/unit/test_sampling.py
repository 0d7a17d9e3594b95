"""How the next token is drawn: its frequencies, the exact sets of top_k and top_p, the penalty of transformers."""

import math
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yaya.core.messages import UserError
from yaya.inference.sampling import SamplingParams, apply_repetition_penalty, make_sampler, sample_token

PROBABILITIES = [0.02, 0.4, 0.05, 0.25, 0.13, 0.15]  # not sorted; no two equal; sums to 1
SCORES = torch.tensor(PROBABILITIES).log()
DRAWS = 1500
ALL = list(range(6))
quick = settings(deadline=None, max_examples=60)
scores_strategy = st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=30).map(torch.tensor)


def counts(scores: torch.Tensor, top_k: int = 0, top_p: float = 1.0) -> Counter[int]:
    generator = torch.Generator().manual_seed(5)
    return Counter(sample_token(scores, top_k, top_p, generator) for _ in range(DRAWS))


def chi_square(found: Counter[int], probabilities: dict[int, float]) -> float:
    assert found.keys() <= probabilities.keys()
    draws = found.total()
    return sum((found[i] - draws * p) ** 2 / (draws * p) for i, p in probabilities.items())


def normalised(kept: list[int]) -> dict[int, float]:
    total = sum(PROBABILITIES[i] for i in kept)
    return {i: PROBABILITIES[i] / total for i in kept}


# Above these a fair draw comes once in 10,000 seeds: chi-square quantiles for 1 to 5 degrees of freedom.
LIMIT = {1: 15.1, 2: 18.4, 3: 21.1, 4: 23.5, 5: 25.7}


@pytest.mark.parametrize("shift", [0.0, 1000.0, -1000.0])
def test_frequencies_are_those_of_softmax(shift: float) -> None:
    assert chi_square(counts(SCORES + shift), normalised(ALL)) < LIMIT[5]


@pytest.mark.parametrize(("top_k", "kept"), [(1, [1]), (2, [1, 3]), (3, [1, 3, 5]), (6, ALL), (99, ALL)])
def test_top_k_keeps_exactly_the_k_best(top_k: int, kept: list[int]) -> None:
    found = counts(SCORES, top_k=top_k)
    assert sorted(found) == sorted(kept)
    assert len(kept) == 1 or chi_square(found, normalised(kept)) < LIMIT[len(kept) - 1]


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [
        (1e-9, [1]),
        (0.39, [1]),
        (0.41, [1, 3]),
        (0.64, [1, 3]),
        (0.66, [1, 3, 5]),
        (0.81, [1, 3, 5, 4]),
        (0.97, [1, 3, 5, 4, 2]),
        (0.99, ALL),
    ],
)
def test_top_p_keeps_the_smallest_set_that_reaches_it(top_p: float, kept: list[int]) -> None:
    found = counts(SCORES, top_p=top_p)
    assert sorted(found) == sorted(kept)
    assert len(kept) == 1 or chi_square(found, normalised(kept)) < LIMIT[len(kept) - 1]


def test_of_equally_good_tokens_the_first_are_kept() -> None:
    """Whatever the machine's sort does with equal scores, a seed gives the same reply."""
    generator = torch.Generator().manual_seed(0)
    for flat, kept in ((torch.zeros(200), range(5)), (torch.tensor([0.0, 1.0] * 100), range(1, 11, 2))):
        assert {sample_token(flat, 5, 1.0, generator) for _ in range(200)} == {*kept}


def test_top_p_counts_within_the_top_k() -> None:
    """As in transformers: 0.4 + 0.25 + 0.15 are the whole, so the first two are 81% of it."""
    assert sorted(counts(SCORES, top_k=3, top_p=0.8)) == [1, 3]
    assert sorted(counts(SCORES, top_k=3, top_p=0.82)) == [1, 3, 5]


@quick
@given(st.lists(st.integers(-40, 40), min_size=1, max_size=30, unique=True), st.integers(0, 5), st.floats(0.01, 1))
def test_top_k_and_top_p_allow_what_transformers_allows(levels: list[int], top_k: int, top_p: float) -> None:
    transformers = pytest.importorskip("transformers")
    scores = torch.tensor(levels) / 4
    allowed = scores[None]
    if top_k:
        allowed = transformers.TopKLogitsWarper(top_k)(None, allowed)
    if top_p < 1:  # half a step wider, so that rounding never makes their set the smaller one
        allowed = transformers.TopPLogitsWarper(min(1.0, top_p * (1 + 1e-6)))(None, allowed)
    assert allowed[0, sample_token(scores, top_k, top_p, torch.Generator().manual_seed(0))] > -math.inf


def test_what_is_forbidden_is_never_drawn() -> None:
    scores = SCORES.clone()
    scores[[1, 4]] = -math.inf
    assert sorted(counts(scores)) == [0, 2, 3, 5]
    assert sorted(counts(scores, top_k=5)) == [0, 2, 3, 5]
    assert sorted(counts(scores, top_p=0.999)) == [0, 2, 3, 5]


def test_equally_good_tokens_are_drawn_equally() -> None:
    assert chi_square(counts(torch.zeros(4)), dict.fromkeys(range(4), 0.25)) < LIMIT[3]


# ---------------------------------------------------------------- temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_temperature_divides_the_scores(temperature: float) -> None:
    choose = make_sampler(SamplingParams(temperature=temperature, seed=3))
    found = Counter(choose(SCORES, []) for _ in range(DRAWS))
    weights = [p ** (1 / temperature) for p in PROBABILITIES]
    assert chi_square(found, {i: w / sum(weights) for i, w in enumerate(weights)}) < LIMIT[5]


@quick
@given(scores_strategy)
def test_temperature_zero_takes_the_best(scores: torch.Tensor) -> None:
    best = make_sampler(SamplingParams(temperature=0.0))(scores, [])
    assert scores[best] == scores.max()
    assert best == make_sampler(SamplingParams(temperature=0, top_k=3, top_p=0.5, seed=1))(scores, [])


@pytest.mark.parametrize("temperature", [1e-3, 1e-6, 1e-30, 1e-40])
def test_a_temperature_near_zero_takes_the_best(temperature: float) -> None:
    scores = torch.tensor([1.0, 7.0, 5.0, -3.0])
    assert {make_sampler(SamplingParams(temperature=temperature, seed=s))(scores, []) for s in range(20)} == {1}


# ---------------------------------------------------------------- repetition


@quick
@given(scores_strategy, st.lists(st.integers(0, 10**6), max_size=40), st.floats(0.1, 10))
def test_the_penalty_is_that_of_transformers(scores: torch.Tensor, seen: list[int], penalty: float) -> None:
    transformers = pytest.importorskip("transformers")
    ids = [i % len(scores) for i in seen] or [0]
    theirs = transformers.RepetitionPenaltyLogitsProcessor(penalty)(torch.tensor([ids]), scores[None].clone())[0]
    before = scores.clone()
    torch.testing.assert_close(apply_repetition_penalty(scores, ids, penalty), theirs, rtol=1e-6, atol=0)
    assert torch.equal(scores, before)  # the scores that came in are still what they were


def test_the_penalty_counts_an_id_once_and_spares_the_others() -> None:
    scores = torch.tensor([2.0, -2.0, 0.0, 3.0])
    assert apply_repetition_penalty(scores, [0, 1, 0, 0, 2], 2.0).tolist() == [1.0, -4.0, 0.0, 3.0]


def test_a_penalty_turns_the_choice_away_from_what_was_said() -> None:
    choose = make_sampler(SamplingParams(temperature=0, repetition_penalty=2.0))
    scores = torch.tensor([2.0, 3.0])
    assert choose(scores, []) == 1 and choose(scores, [1]) == 0 and choose(scores, [0, 1]) == 1


def test_a_forbidden_id_stays_forbidden_under_a_penalty() -> None:
    scores = torch.tensor([-math.inf, 0.5, 0.2])
    for penalty in (0.5, 2.0):
        assert apply_repetition_penalty(scores, [0, 1], penalty)[0] == -math.inf
        choose = make_sampler(SamplingParams(repetition_penalty=penalty, seed=0))
        assert 0 not in {choose(scores, [0, 1]) for _ in range(50)}


# ---------------------------------------------------------------- seeds


def replies(seed: int | None) -> list[int]:
    choose = make_sampler(SamplingParams(seed=seed))
    return [choose(torch.zeros(1000), []) for _ in range(8)]


def test_a_seed_repeats_and_another_differs() -> None:
    assert replies(1) == replies(1)
    assert replies(1) != replies(2)
    assert replies(None) != replies(None)


def test_a_seed_does_not_touch_torchs_own_generator() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    replies(1)
    assert torch.equal(torch.get_rng_state(), before)


# ---------------------------------------------------------------- what is out of range


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_new_tokens", 0),
        ("max_new_tokens", -1),
        ("temperature", -0.1),
        ("temperature", 101),
        ("temperature", math.inf),
        ("temperature", math.nan),
        ("top_k", -1),
        ("top_p", 0),
        ("top_p", 1.01),
        ("top_p", -1),
        ("top_p", math.nan),
        ("repetition_penalty", 0),
        ("repetition_penalty", -1),
        ("repetition_penalty", math.inf),
        ("repetition_penalty", math.nan),
        ("seed", 2**64),
        ("seed", -(2**64)),
    ],
)
def test_a_value_out_of_range_is_named(name: str, value: float) -> None:
    wrong: dict[str, Any] = {name: value}
    with pytest.raises(UserError) as caught:
        make_sampler(SamplingParams(**wrong))
    assert name in caught.value.en and name in caught.value.zh and str(value) in caught.value.en


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", 0), ("temperature", 100), ("top_k", 0), ("top_p", 1), ("seed", 0), ("seed", 2**63 - 1)],
)
def test_the_ends_of_the_ranges_are_inside(name: str, value: int) -> None:
    right: dict[str, Any] = {name: value}
    make_sampler(SamplingParams(**right))(torch.zeros(3), [])
