"""Every number that a run reports, worked out once more from its texts and weights: transformers, numpy, by hand."""

from __future__ import annotations

import json
import math
from collections import Counter
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from yaya.evaluate import tasks
from yaya.inference.engine import Request
from yaya.inference.repetition import loops
from yaya.inference.sampling import SamplingParams
from yaya.model.decoder import Transformer
from yaya.model.model_config import ModelConfig
from yaya.model.pretrained import load_model
from yaya.tokenize.shards import TokenShard, open_shard
from yaya.tokenize.tokenizer import Tokenizer
from yaya.train import language_model

transformers = pytest.importorskip("transformers")
CONTEXT, STRIDE = 128, 64  # of the run `own`; the stride is half the context
Counted = tuple[list[int], list[int], int]  # ids, the places of those that count, bytes of text that these stand for


class Reference:
    """A model folder as transformers opens it, and what it gives a token, in plain passes over its context."""

    def __init__(self, folder: Path):
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def text(self, text: str) -> Counted:
        ids = [*self.ids("<|endoftext|>"), *self.ids(text), *self.ids("<|endoftext|>")]
        return ids, list(range(1, len(ids))), len(text.encode())

    def chat(self, messages: list[dict[str, str]]) -> Counted:
        """Only what the assistant says counts, the mark that ends its message too."""
        ids: list[int] = []
        counted: list[int] = []
        for message in messages:
            ids += self.ids(f"<|im_start|>{message['role']}\n")
            words = self.ids(f"{message['content']}<|im_end|>")
            counted += range(len(ids), len(ids) + len(words)) if message["role"] == "assistant" else []
            ids += [*words, *self.ids("\n")]
        return ids, counted, sum(len(m["content"].encode()) for m in messages if m["role"] == "assistant")

    @torch.no_grad()
    def nats(self, ids: list[int], begin: int = 0) -> np.ndarray:
        """-log p of every token after `begin`, given those from there on."""
        logits = self.model(torch.tensor([ids[begin:-1]])).logits[0].double()
        picked = torch.log_softmax(logits, -1)[torch.arange(len(ids) - begin - 1), ids[begin + 1 :]]
        return -picked.numpy()


def rows(stage: Path, split: str, kind: str) -> list[Any]:
    """Texts or messages of a split, as `prepare` left them."""
    found = [row for path in sorted(stage.glob(f"{split}-*.parquet")) for row in pq.read_table(path).to_pylist()]
    return [row["text"] if kind == "text" else row["messages"] for row in found if row["kind"] == kind]


def last_look(stage: Path) -> dict[str, Any]:
    found = [json.loads(line) for line in (stage / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [row for row in found if "validation_loss" in row][-1]


def windowed(reference: Reference, ids: list[int]) -> float:
    """Nats of all tokens but the first; each is given as many tokens as its window holds: windows of 128, every 64."""
    total, seen = 0.0, 1
    for begin in range(0, max(1, len(ids) - 1 - CONTEXT + STRIDE), STRIDE):
        end = min(begin + CONTEXT + 1, len(ids))
        total += float(reference.nats(ids[:end], begin)[seen - begin - 1 :].sum())
        seen = end
    assert seen == len(ids)
    return total


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_scores_are_those_of_the_validation_texts(stage: str, own_run: Path) -> None:
    """The fine-tuned model's, and the pretrained one's as `before_finetuning`; with windows over long texts."""
    scores = json.loads((own_run / "evaluate" / "scores.json").read_text("utf-8"))
    scores = scores if stage == "finetune" else scores["before_finetuning"]
    reference = Reference(own_run / stage)
    texts = [reference.text(text) for text in rows(own_run / "prepare", "validation", "text")]
    assert sum(len(ids) > CONTEXT + 1 for ids, _, _ in texts) > 3, "no text is longer than a window"
    tokens, size = (sum(column) for column in ((len(c) for _, c, _ in texts), (b for _, _, b in texts)))
    nats = sum(windowed(reference, ids) for ids, _, _ in texts)
    assert (scores["tokens"], scores["bytes"]) == (tokens, size)
    assert scores["loss"] == pytest.approx(nats / tokens, rel=1e-4)
    assert scores["perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-3)
    assert scores["bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=1e-4)


@pytest.mark.parametrize(("stage", "kind", "error"), [("finetune", "chat", 1e-4), ("pretrain", "text", 0.03)])
def test_what_is_watched_is_the_loss_on_validation_texts(stage: str, kind: str, error: float, own_run: Path) -> None:
    """The last look of a training, at the weights that it left. Long texts are cut to rows, at random: only nearly."""
    reference, nats, tokens, size = Reference(own_run / stage), 0.0, 0, 0
    for row in rows(own_run / "prepare", "validation", kind):
        ids, counted, stands_for = reference.chat(row) if kind == "chat" else reference.text(row)
        assert kind == "text" or len(ids) <= CONTEXT
        nats += float(reference.nats(ids)[np.asarray(counted) - 1].sum())
        tokens, size = tokens + len(counted), size + stands_for
    found = last_look(own_run / stage)
    assert found["validation_loss"] == pytest.approx(nats / tokens, rel=error)
    assert found["bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=error)


def test_of_conversations_the_replies_alone_are_scored(own_run: Path) -> None:
    """What `evaluate` says of a corpus that has conversations only."""
    reference, nats, tokens, size = Reference(own_run / "finetune"), 0.0, 0, 0
    for messages in rows(own_run / "prepare", "validation", "chat"):
        ids, counted, stands_for = reference.chat(messages)
        nats += float(reference.nats(ids)[np.asarray(counted) - 1].sum())
        tokens, size = tokens + len(counted), size + stands_for
    tokenizer = Tokenizer.load(own_run / "finetune")
    shard = open_shard(own_run / "tokenize", "validation", "chat", tokenizer.vocab_size)
    model = load_model(own_run / "finetune", "cpu", torch.float32)
    found = tasks.validation_loss(model, tokenizer, shard, STRIDE)
    assert (found["tokens"], found["bytes"]) == (tokens, size)
    assert found["loss"] == pytest.approx(nats / tokens, rel=1e-4)
    assert found["bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=1e-4)


ASSISTANT_CODE = 3  # in the shards of tokens: text, system, user, assistant, template


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=6), st.integers(1, 200), st.booleans(), st.integers(0, 9))
@example([300, 5, 400], 64, True, 0)
def test_a_model_that_knows_nothing_loses_as_much_at_every_token(
    lengths: list[int], stride: int, chat: bool, seed: int
) -> None:
    """All tokens are equally likely to it: the logarithm of their number, however texts are cut and windows lie."""
    draw = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = draw.integers(0, 50, offsets[-1]).astype(np.uint16)
    runs = draw.choice([1, 2, 3, 4], 200).repeat(draw.integers(1, 150, 200))  # of the same role, short and long
    roles = runs[: len(tokens)].astype(np.uint8) if chat else None
    sizes = draw.integers(0, 9, 50)
    is_first = np.zeros(len(tokens), bool)
    is_first[offsets[:-1][np.asarray(lengths) > 0]] = True
    counted = ~is_first & (roles == ASSISTANT_CODE if roles is not None else True)
    shape = dict(vocab_size=50, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=1)
    model = Transformer(ModelConfig(**shape, num_key_value_heads=1, head_dim=32, max_position_embeddings=CONTEXT))
    with torch.no_grad():
        model.model.embed_tokens.weight.zero_()
    tokenizer: Any = SimpleNamespace(token_bytes=[bytes(n) for n in sizes])
    shard = TokenShard(tokens, roles, offsets)
    scores = tasks.validation_loss(model, tokenizer, shard, stride)
    nats, size = counted.sum() * math.log(50), sizes[tokens[counted]].sum()
    assert (scores["tokens"], scores["bytes"]) == (counted.sum(), size)
    assert scores["loss"] == (pytest.approx(math.log(50), abs=1e-4) if counted.any() else None)
    assert scores["bits_per_byte"] == (pytest.approx(nats / math.log(2) / size, rel=1e-4) if size else None)
    if chat and max(lengths) > CONTEXT:
        return  # the watched rows leave out of long conversations what has no question before it
    watched = language_model.bits_per_byte(model, shard, tokenizer, CONTEXT) if max(lengths) > 1 else {}
    assert not watched or watched["validation_loss"] == pytest.approx(scores["loss"], abs=1e-4)
    assert not watched or watched["bits_per_byte"] == pytest.approx(scores["bits_per_byte"], abs=1e-4)


def test_intervals_are_wilsons() -> None:
    """Published: 8 of 10 is 0.4902 to 0.9433 (R: prop.test without correction). Both ends solve the score equation."""
    assert tasks.wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    for hits, n in ((0, 1), (1, 1), (0, 33), (7, 33), (33, 33), (450, 900)):
        for end in tasks.wilson(hits, n):
            assert (hits / n - end) ** 2 == pytest.approx(1.96**2 * end * (1 - end) / n, abs=1e-12)


def test_accuracies_are_counted_from_the_replies(tiny_run: Path) -> None:
    scores = json.loads((tiny_run / "evaluate" / "scores.json").read_text("utf-8"))["primer"]
    replies = [json.loads(line) for line in (tiny_run / "evaluate" / "replies.jsonl").read_text("utf-8").splitlines()]
    asked = Counter((r["language"], r["set"], r["skill"]) for r in replies)
    right = Counter((r["language"], r["set"], r["skill"]) for r in replies if r["correct"])
    assert 0 < right.total() < asked.total()
    for tongue, name in {key[:2] for key in asked}:
        found = scores[tongue] if name == "combinations" else scores[tongue][name]
        counts = [sum(n for key, n in of.items() if key[:2] == (tongue, name)) for of in (asked, right)]
        assert found["n"] == counts[0] and found["accuracy"] == pytest.approx(counts[1] / counts[0], abs=1e-4)
        low, high = found["interval"]
        for end in (low, high):  # rounded to four digits
            slope = 2 * 1.96 / math.sqrt(found["n"]) * 1e-4
            assert (found["accuracy"] - end) ** 2 == pytest.approx(1.96**2 * end * (1 - end) / found["n"], abs=slope)
        assert high - low > 0.05
        for skill, part in found["skills"].items():
            key = tongue, name, skill
            assert part == {"accuracy": round(right[key] / asked[key], 4), "n": asked[key]}


def goes_round(ids: list[int]) -> bool:
    """By trying every place: some 1 to 16 tokens stand there four times in a row, a single one eight times."""
    for at, unit in product(range(len(ids)), range(1, 17)):
        times = max(4, -(-8 // unit))
        if len(ids) >= at + times * unit and ids[at : at + unit] * times == ids[at : at + times * unit]:
            return True
    return False


@given(st.lists(st.integers(0, 2), max_size=20), st.lists(st.integers(0, 2), max_size=17), st.integers(1, 9))
@example([], [7], 7)
@example([], [7], 8)
@example([1], [*range(16)], 4)
@example([], [*range(17)], 4)
def test_a_reply_that_goes_round_is_known(before: list[int], unit: list[int], times: int) -> None:
    ids = before + unit * times
    assert loops(ids) == goes_round(ids)


def test_the_repetition_rate_of_the_examination(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each third reply goes round, each second is right."""

    def reply(text: str, ids: list[int]) -> Request:
        return Request([1], SamplingParams(), 9, ids, text)

    def ask(engine: object, questions: list[Any], *_: object) -> list[Request]:
        words = [question.answers[0] if n % 2 else "no idea" for n, question in enumerate(questions)]
        return [reply(text, [5, 6] * 9 if n % 3 == 0 else [5, 6, 7]) for n, text in enumerate(words)]

    monkeypatch.setattr(tasks, "ask", ask)
    scores, replies, rate = tasks.primer_scores(None, 3, 9, "")  # type: ignore[arg-type]
    assert rate == pytest.approx(1 / 3, abs=0.01)
    assert sum(r["correct"] for r in replies) == len(replies) // 2
    assert scores["zh"]["accuracy"] == pytest.approx(0.5, abs=0.05)


def test_the_repetition_rate_of_own_texts(own_run: Path) -> None:
    """The same beginnings, gone on with by transformers."""
    reference, looping = Reference(own_run / "finetune"), 0
    control = reference.tokenizer.get_added_vocab()
    texts = rows(own_run / "prepare", "validation", "text")
    prompts = torch.tensor([reference.text(text)[0][:16] for text in texts])
    ends = [control["<|im_end|>"], control["<|endoftext|>"]]
    out = reference.model.generate(
        prompts,
        max_new_tokens=96,
        do_sample=False,
        eos_token_id=ends,
        pad_token_id=ends[1],
        suppress_tokens=[i for token, i in control.items() if token.startswith("<|") and i not in ends],
    )
    for reply in out[:, 16:].tolist():
        end = min((reply.index(i) for i in ends if i in reply), default=len(reply))
        looping += goes_round(reply[:end])
    assert 0 < looping < len(texts)
    scores = json.loads((own_run / "evaluate" / "scores.json").read_text("utf-8"))
    assert scores["repetition_rate"] == pytest.approx(looping / len(texts), abs=1e-4)


def test_tokens_and_bytes_of_the_corpus_are_counted(own_run: Path) -> None:
    metrics = json.loads((own_run / "tokenize" / "manifest.json").read_text("utf-8"))["metrics"]
    reference, total = Reference(own_run / "pretrain"), Counter[str]()
    for split, kind in product(("train", "validation"), ("text", "chat")):
        found = rows(own_run / "prepare", split, kind)
        tokens = sum(len((reference.text if kind == "text" else reference.chat)(row)[0]) for row in found)
        size = sum(
            len(row.encode()) if kind == "text" else sum(len(m["content"].encode()) for m in row) for row in found
        )
        assert metrics[split][kind] == {"documents": len(found), "tokens": tokens, "bytes": size}
        total += Counter({f"{split} tokens": tokens, f"{split} bytes": size})
    assert metrics["tokens"] == total["train tokens"]
    assert metrics["bytes_per_token"] == pytest.approx(total["train bytes"] / total["train tokens"], abs=1e-3)
