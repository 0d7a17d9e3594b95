"""Log-likelihoods against a plain loop over one token at a time, and windows that count every token once."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from yaya.evaluate.tasks import validation_loss
from yaya.inference import likelihood
from yaya.inference.likelihood import log_likelihoods, windows
from yaya.model.decoder import Transformer
from yaya.model.model_config import ModelConfig
from yaya.tokenize.chat_template import ASSISTANT, TEMPLATE, USER
from yaya.tokenize.shards import TokenShard

VOCABULARY, CONTEXT = 61, 64


@pytest.fixture(scope="module")
def model() -> Transformer:
    sizes = dict(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2, head_dim=32)
    heads = dict(num_attention_heads=1, num_key_value_heads=1, max_position_embeddings=CONTEXT)
    made = Transformer(ModelConfig(**sizes, **heads))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in made.parameters():
            p.normal_(0, 0.3, generator=generator) if p.dim() == 2 else p.uniform_(0.5, 1.5, generator=generator)
    return made


def tokens(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, VOCABULARY, length).astype(np.uint16)


@torch.inference_mode()
def plainly(model: Transformer, ids: np.ndarray, first: int) -> float:
    """One forward pass for each token, on exactly the tokens before it; softmax in fp64."""
    total = 0.0
    for at in range(first, len(ids)):
        hidden = model(torch.tensor(ids[:at].astype(np.int64))[None])
        total += torch.log_softmax(model.logits(hidden)[0, -1].double(), -1)[int(ids[at])].item()
    return total


def test_sums_equal_a_plain_loop(model: Transformer) -> None:
    shapes = [(9, 1), (30, 1), (30, 29), (2, 1), (17, 8), (65, 40)]
    items = [(tokens(length, length), first) for length, first in shapes]
    found = log_likelihoods(model, items)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [plainly(model, ids, first) for ids, first in items], rtol=1e-5)


def test_an_item_scores_the_same_in_any_company(model: Transformer) -> None:
    items = [(tokens(length, length), 1) for length in (3, 60, 11, 11, 45, 2)]
    alone = np.concatenate([log_likelihoods(model, [item]) for item in items])
    np.testing.assert_allclose(log_likelihoods(model, items), alone, rtol=1e-5)
    np.testing.assert_allclose(log_likelihoods(model, items[::-1])[::-1], alone, rtol=1e-5)


def test_the_order_of_the_answers_is_that_of_the_items(model: Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for two items at a time, many batches are needed."""
    items = [(tokens(5 + 7 * i % 40, i), 1) for i in range(30)]
    whole = log_likelihoods(model, items)
    monkeypatch.setattr(likelihood, "BATCH_TOKENS", 64)
    monkeypatch.setattr(likelihood, "LOGIT_ROWS", 7)
    np.testing.assert_allclose(log_likelihoods(model, items), whole, rtol=1e-5)
    assert len(set(whole.round(6))) == 30


def test_the_parts_of_an_item_add_up(model: Transformer) -> None:
    ids = tokens(40)
    whole, head, tail = log_likelihoods(model, [(ids, 1), (ids[:20], 1), (ids, 20)])
    assert math.isclose(whole, head + tail, rel_tol=1e-5)


def test_the_likelihoods_of_all_continuations_are_one(model: Transformer) -> None:
    prompt = tokens(6)
    items = [(np.append(prompt, np.uint16(i)), 6) for i in range(VOCABULARY)]
    assert math.isclose(np.exp(log_likelihoods(model, items)).sum(), 1, rel_tol=1e-5)


def test_what_comes_after_never_counts(model: Transformer) -> None:
    ids = tokens(20)
    (short,) = log_likelihoods(model, [(ids[:10], 4)])
    long, tail = log_likelihoods(model, [(ids, 4), (ids, 10)])
    assert math.isclose(short, long - tail, rel_tol=1e-4)


def test_nothing_to_score_is_zero(model: Transformer) -> None:
    assert log_likelihoods(model, []).tolist() == []
    assert log_likelihoods(model, [(tokens(5), 5), (tokens(9), 1)])[0] == 0
    assert log_likelihoods(model, [(tokens(1), 1)]).tolist() == [0]


# ---------------------------------------------------------------- windows

shapes = st.integers(1, 40).flatmap(lambda c: st.tuples(st.integers(0, 300), st.just(c), st.integers(1, c)))


@settings(deadline=None, max_examples=300)
@given(shapes)
@example((5, 4, 4))
@example((6, 4, 4))
@example((2, 1, 1))
@example((9, 4, 1))
def test_every_token_but_the_first_is_a_label_exactly_once(shape: tuple[int, int, int]) -> None:
    length, context, stride = shape
    labels: list[int] = []
    for number, (begin, end, first) in enumerate(windows(length, context, stride)):
        assert 0 <= begin < first < end <= length
        assert end - begin <= context + 1  # inputs are all but the last: never more than the model reads
        assert number == 0 or first - begin >= context - stride
        labels += range(first, end)
    assert labels == list(range(1, length))


def test_a_document_that_fits_is_one_window() -> None:
    assert list(windows(5, 4, 2)) == [(0, 5, 1)]
    assert list(windows(6, 4, 2)) == [(0, 5, 1), (2, 6, 5)]
    assert list(windows(1, 4, 2)) == [] == list(windows(0, 4, 2))


@pytest.mark.parametrize("stride", [5, 6, 8, 100])
def test_a_step_longer_than_the_context_leaves_no_label_out(stride: int) -> None:
    """`evaluate.stride=1000` may be refused or shortened, but never skip tokens in silence."""
    try:
        found = list(windows(50, 4, stride))
    except ValueError:
        return
    assert [label for _, end, first in found for label in range(first, end)] == list(range(1, 50))
    assert all(begin < first for begin, _, first in found)


def test_windows_of_a_document_score_all_of_it(model: Transformer) -> None:
    """With a document as long as one window, the windows' sum is the document's."""
    ids = tokens(CONTEXT + 1)
    parts = [(ids[begin:end], first - begin) for begin, end, first in windows(len(ids), CONTEXT, 10)]
    assert math.isclose(log_likelihoods(model, parts).sum(), plainly(model, ids, 1), rel_tol=1e-5)


def test_of_conversations_every_assistant_token_counts_once_however_long_the_reply(model: Transformer) -> None:
    """Against one forward pass for each token: what it sees begins where its window does, a context before its end."""
    user, reply, stride = 10, 3 * CONTEXT + 7, CONTEXT // 2
    ids = tokens(user + reply + 5, 4)
    roles = np.array([USER] * user + [ASSISTANT] * reply + [TEMPLATE] * 5, np.uint8)
    shard = TokenShard(ids, roles, np.array([0, len(ids)]))
    tokenizer: Any = SimpleNamespace(token_bytes=[b"ab"] * VOCABULARY)
    found = validation_loss(model, tokenizer, shard, stride)
    nats = 0.0
    for begin in range(user, user + reply, stride):
        end = min(begin + stride, user + reply)
        first = max(0, end - CONTEXT - 1)
        nats -= plainly(model, ids[first:end], begin - first)
    assert (found["tokens"], found["bytes"]) == (reply, 2 * reply)
    assert found["loss"] == pytest.approx(nats / reply, rel=1e-4)
    assert found["bits_per_byte"] == pytest.approx(nats / math.log(2) / (2 * reply), rel=1e-4)
    silent = TokenShard(ids, np.full(len(ids), USER, np.uint8), np.array([0, len(ids)]))
    nothing = validation_loss(model, tokenizer, silent, stride)
    assert nothing["tokens"] == 0 and nothing["loss"] is nothing["perplexity"] is nothing["bits_per_byte"] is None
