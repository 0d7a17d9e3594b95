"""The engine against the plain model: cached or not, alone or together, the same ids."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yaya.core.say import UserError
from yaya.inference.engine import Engine
from yaya.inference.likelihood import log_likelihoods, windows
from yaya.inference.sampling import GREEDY, Sampling, chooser, draw, penalize
from yaya.model.transformer import ModelConfig, Transformer
from yaya.tokenize.tokenizer import Tokenizer, train

TOKENIZER: Tokenizer = train(iter(["你好世界 hello world, the cat sat on the mat. 从前有一只猫"] * 30), 340, 1)


def make_model(key_heads: int = 1, context: int = 96) -> Transformer:
    config = ModelConfig(TOKENIZER.vocab_size, 64, 96, 2, 2, key_heads, 32, context)
    model = Transformer(config)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0, 0.3, generator=generator) if p.dim() == 2 else p.uniform_(0.5, 1.5, generator=generator)
    return model


def make_engine(**options: int) -> Engine:
    return Engine(make_model(**options), TOKENIZER)


def plain(engine: Engine, ids: list[int], count: int) -> list[int]:
    """Greedy continuation without a cache."""
    out = list(ids)
    for _ in range(count):
        with torch.no_grad():
            scores = engine.model.logits(engine.model(torch.tensor([out])))[0, -1] + engine.bias
        token = int(scores.argmax())
        if token in TOKENIZER.stop_ids:
            break
        out.append(token)
    return out[len(ids) :]


def prompts(*lengths: int) -> list[list[int]]:
    random = np.random.default_rng(1)
    return [random.integers(30, TOKENIZER.vocab_size, n).tolist() for n in lengths]


@pytest.mark.parametrize("key_heads", [1, 2])
def test_cached_equals_uncached(key_heads: int) -> None:
    engine = make_engine(key_heads=key_heads)
    for ids in prompts(1, 7, 40):
        [request] = engine.generate([ids], Sampling(max_new_tokens=20, temperature=0))
        assert request.output_ids == plain(engine, ids, 20)


def test_together_equals_alone() -> None:
    engine, asked = make_engine(), prompts(3, 25, 1, 60, 12, 12)
    sampling = Sampling(max_new_tokens=15, temperature=0)
    together = engine.generate(asked, sampling)
    assert [r.output_ids for r in together] == [plain(engine, ids, 15) for ids in asked]


def test_requests_join_and_leave_in_the_middle() -> None:
    engine = make_engine()
    first, second, third = prompts(5, 9, 14)
    a = engine.add(first, Sampling(max_new_tokens=6, temperature=0))
    engine.step()
    b = engine.add(second, Sampling(max_new_tokens=25, temperature=0))
    engine.step()
    engine.step()
    c = engine.add(third, Sampling(max_new_tokens=12, temperature=0))
    while not engine.idle:
        engine.step()
    for request, ids, count in ((a, first, 6), (b, second, 25), (c, third, 12)):
        assert request.output_ids == plain(engine, ids, count)


def test_a_cancelled_request_disturbs_nobody() -> None:
    engine = make_engine()
    first, second, third = prompts(5, 9, 14)
    requests = [engine.add(ids, Sampling(max_new_tokens=10, temperature=0)) for ids in (first, second, third)]
    engine.step()
    engine.step()
    engine.cancel(requests[0])
    waiting = engine.add(first, GREEDY)
    engine.cancel(waiting)
    engine.cancel(waiting)  # twice is no harm
    while not engine.idle:
        engine.step()
    assert requests[0].finish_reason == waiting.finish_reason == "cancelled"
    assert requests[1].output_ids == plain(engine, second, 10)
    assert requests[2].output_ids == plain(engine, third, 10)
    assert engine.writers == {}


def test_the_context_is_the_limit() -> None:
    engine = make_engine(context=32)
    [request] = engine.generate(prompts(30), Sampling(max_new_tokens=50, temperature=0))
    assert request.finish_reason in ("length", "stop") and len(request.output_ids) <= 2
    with pytest.raises(UserError, match=r"32 tokens.*at most 31"):
        engine.add(prompts(32)[0], GREEDY)
    with pytest.raises(UserError):
        engine.add([], GREEDY)


def test_a_stop_string_is_cut_and_never_shown() -> None:
    engine = make_engine()
    [ids] = prompts(6)
    whole = engine.generate([ids], Sampling(max_new_tokens=25, temperature=0))[0].text
    assert len(whole) > 8
    stop = whole[5:8]
    at = whole.index(stop)
    shown = list(engine.stream(ids, Sampling(max_new_tokens=25, temperature=0, stop=(stop,))))
    assert "".join(shown) == whole[:at]
    [request] = engine.generate([ids], Sampling(max_new_tokens=25, temperature=0, stop=("no such words", stop)))
    assert request.text == whole[:at] and request.finish_reason == "stop"


def test_streaming_joins_to_the_text() -> None:
    engine = make_engine()
    for ids in prompts(4, 5, 6):
        sampling = Sampling(max_new_tokens=30, temperature=1.5, seed=4)
        assert "".join(engine.stream(ids, sampling)) == engine.generate([ids], sampling)[0].text


def test_a_seed_makes_it_repeatable() -> None:
    engine = make_engine()
    [ids] = prompts(4)

    def ask(seed: int) -> list[int]:
        return engine.generate([ids], Sampling(max_new_tokens=12, temperature=1.5, seed=seed))[0].output_ids

    assert ask(1) == ask(1)
    assert len({tuple(ask(seed)) for seed in range(6)}) > 3


def test_ids_without_a_token_and_control_tokens_are_never_sampled() -> None:
    config = ModelConfig(TOKENIZER.vocab_size + 5, 64, 96, 1, 2, 2, 32, 64)
    engine = Engine(Transformer(config), TOKENIZER)
    drawn = {
        token
        for seed in range(12)
        for token in engine.generate([[40]], Sampling(max_new_tokens=60, temperature=50.0, seed=seed))[0].output_ids
    }
    assert max(drawn) < TOKENIZER.vocab_size and TOKENIZER.turn_start not in drawn
    assert not any(TOKENIZER.control[f"<|spare_{i}|>"] in drawn for i in range(16))


def test_draws_follow_the_softmax() -> None:
    scores = torch.tensor([1.0, 0.0, -1.0, 2.0, 0.5])
    generator = torch.Generator().manual_seed(0)
    counts = np.bincount([draw(scores, 0, 1.0, generator) for _ in range(6000)], minlength=5) / 6000
    np.testing.assert_allclose(counts, scores.softmax(0).numpy(), atol=0.025)


@pytest.mark.parametrize(
    ("top_k", "top_p", "kept"), [(2, 1.0, {3, 0}), (0, 0.6, {3, 0}), (0, 0.01, {3}), (1, 1.0, {3})]
)
def test_top_k_and_top_p_keep_exactly_their_sets(top_k: int, top_p: float, kept: set[int]) -> None:
    scores = torch.tensor([1.0, 0.0, -1.0, 2.0, 0.5])  # probabilities .22 .08 .03 .59(3) .13
    generator = torch.Generator().manual_seed(0)
    assert {draw(scores, top_k, top_p, generator) for _ in range(400)} == kept


def test_the_repetition_penalty_equals_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    scores, ids = torch.randn(20), [3, 3, 7, 19]
    processor = transformers.RepetitionPenaltyLogitsProcessor(1.3)
    wanted = processor(torch.tensor([ids]), scores[None].clone())[0]
    torch.testing.assert_close(penalize(scores, ids, 1.3), wanted)


def test_greedy_is_the_best_and_bad_settings_are_refused() -> None:
    assert chooser(GREEDY)(torch.tensor([0.1, 3.0, 2.0]), []) == 1
    for bad in ({"temperature": -1}, {"top_p": 0}, {"top_p": 1.5}, {"top_k": -1}, {"max_new_tokens": 0}):
        with pytest.raises(UserError):
            Sampling(**bad)


@given(st.integers(0, 200), st.integers(2, 40), st.integers(1, 40))
def test_windows_label_every_token_once(length: int, context: int, stride: int) -> None:
    stride = min(stride, context)
    labels: list[int] = []
    for begin, end, first in windows(length, context, stride):
        assert end - begin <= context + 1 and begin < first < end + 1
        labels += range(first, end)
    assert labels == list(range(1, length))


def test_log_likelihoods_equal_a_naive_loop() -> None:
    model = make_model()
    items = [(np.asarray(ids), first) for ids, first in zip(prompts(5, 40, 2, 17, 90), (1, 20, 1, 16, 3), strict=True)]
    got = log_likelihoods(model, items)
    for value, (ids, first) in zip(got, items, strict=True):
        with torch.no_grad():
            scores = model.logits(model(torch.tensor(ids[None])))[0].log_softmax(-1)
        wanted = sum(scores[i - 1, ids[i]].item() for i in range(first, len(ids)))
        assert math.isclose(value, wanted, rel_tol=1e-5, abs_tol=1e-4)
