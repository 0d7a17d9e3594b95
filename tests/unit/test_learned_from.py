"""Whose words are learned, and from which documents: read from the batches and shards themselves."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tokenizers
from tests.conftest import MACHINE, context

from yaya.core import artifact
from yaya.core.artifact import Artifact, Draft
from yaya.tokenize import shards
from yaya.tokenize.shards import TokenizeConfig
from yaya.train import finetune, language_model, pretrain
from yaya.train.finetune import FinetuneConfig
from yaya.train.packing import Batch
from yaya.train.plan import forecast
from yaya.train.pretrain import PretrainConfig

SIZES: dict[str, Any] = dict(batch_tokens=4096, micro_batch_tokens=4096)
SHAPE: dict[str, Any] = dict(hidden_size=32, num_hidden_layers=1, context_length=128)


def inputs_of(run: Path) -> dict[str, Artifact]:
    return {name: found for name in ("tokenize", "pretrain") if (found := artifact.load(run / name)) is not None}


def first_batch(config: FinetuneConfig | PretrainConfig, run: Path, tmp_path: Path) -> Batch:
    """The rows of a training's first step."""
    inputs = inputs_of(run)
    if isinstance(config, FinetuneConfig):
        model, goal = finetune.build(config, inputs, 0, MACHINE)
    else:
        model, goal = pretrain.build(pretrain.settle_shape(config, inputs["tokenize"]), inputs["tokenize"], 0, MACHINE)
    (batch,) = goal.batches(model, 0)[0]
    return batch


def weights_by_speaker(batch: Batch, tokenizer: tokenizers.Tokenizer) -> dict[str, set[float]]:
    """What tokens count, by who says them, read from the marks of ChatML: `text`, a role, or `frame`."""
    start, end = (tokenizer.token_to_id(f"<|im_{name}|>") for name in ("start", "end"))
    newline = tokenizer.encode("\n").ids[-1]
    found: dict[str, set[float]] = defaultdict(set)
    for ids, labels, weights, documents in zip(
        batch.input_ids.tolist(), batch.labels.tolist(), batch.weights.tolist(), batch.documents.tolist(), strict=True
    ):
        for document in set(documents) - {-1}:
            here = [i for i, d in enumerate(documents) if d == document]
            speaker, header = "frame" if ids[here[0]] == start else "text", [] if ids[here[0]] == start else None
            for i in here:
                token = labels[i]
                if token == start:
                    speaker, header = "frame", []
                elif header is not None and token == newline:
                    found["frame"].add(weights[i])
                    speaker, header = tokenizer.decode(header), None
                    continue
                elif header is not None:
                    header.append(token)
                found[speaker].add(weights[i])
                if token == end:  # it belongs to who has spoken
                    speaker = "frame"
    return {name: {round(w, 6) for w in weights} for name, weights in found.items()}


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        (FinetuneConfig(**SIZES), {"system": 0, "user": 0, "assistant": 1, "frame": 0}),
        (
            FinetuneConfig(**SIZES, system_weight=0.3, user_weight=0.2, assistant_weight=0.7),
            {"system": 0.3, "user": 0.2, "assistant": 0.7, "frame": 0},
        ),
        (
            PretrainConfig(**SIZES, **SHAPE),
            {"text": 0.5, "system": 0.1, "user": 0.1, "assistant": 1, "frame": 0},
        ),
        (
            PretrainConfig(**SIZES, **SHAPE, text_weight=0.25, user_weight=0.375, assistant_weight=0.75),
            {"text": 0.25, "system": 0.375, "user": 0.375, "assistant": 0.75, "frame": 0},
        ),
        (PretrainConfig(**SIZES, **SHAPE, chat_fraction=0), {"text": 1}),
    ],
)
def test_every_speaker_counts_as_the_recipe_says(
    config: FinetuneConfig | PretrainConfig, wanted: dict[str, float], own_run: Path, tmp_path: Path
) -> None:
    """And what is learned stands in the training documents."""
    tokenizer = tokenizers.Tokenizer.from_file(str(own_run / "tokenize" / "tokenizer.json"))
    batch = first_batch(config, own_run, tmp_path)
    assert weights_by_speaker(batch, tokenizer) == {name: {weight} for name, weight in wanted.items()}
    training = b"".join(path.read_bytes() for path in (own_run / "tokenize").glob("train.*.tokens"))
    for ids, documents in zip(batch.input_ids.numpy(), batch.documents.numpy(), strict=True):
        for document in set(documents.tolist()) - {-1}:
            assert ids[documents == document].astype("<u2").tobytes() in training


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_shard_holds_the_documents_of_its_split_and_no_others(split: str, own_run: Path) -> None:
    tokenizer = tokenizers.Tokenizer.from_file(str(own_run / "tokenize" / "tokenizer.json"))
    files = sorted((own_run / "prepare").glob(f"{split}-*.parquet"))
    rows = [row for path in files for row in pq.read_table(path).to_pylist()]

    def decoded(kind: str) -> str:
        ids = np.fromfile(own_run / "tokenize" / f"{split}.{kind}.tokens", "<u2").tolist()
        return tokenizer.decode(ids, skip_special_tokens=False)

    texts = re.findall(r"<\|endoftext\|>(.*?)<\|endoftext\|>", decoded("text"), re.DOTALL)
    assert texts == [row["text"] for row in rows if row["kind"] == "text"] and len(texts) > 9
    written = "".join(
        f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n"
        for r in rows
        if r["kind"] == "chat"
        for m in r["messages"]
    )
    assert decoded("chat") == written and len(written) > 1000


def corpus(folder: Path, **splits: list[dict[str, Any]]) -> Artifact:
    """What `prepare` leaves, written by hand."""
    folder.mkdir()
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    schema = pa.schema([("kind", pa.string()), ("text", pa.string()), ("messages", pa.list_(message))])
    for split, rows in splits.items():
        pq.write_table(pa.Table.from_pylist(rows, schema), folder / f"{split}-00000.parquet")
    return Artifact(folder, {"config": {"sources": ["x"]}})


def test_the_tokenizer_is_trained_on_training_documents_alone(tmp_path: Path) -> None:
    """A word that is frequent in training becomes a token; one that is frequent in validation, or was dropped, does not."""

    def documents(word: str) -> list[dict[str, Any]]:
        chat = [{"role": "user", "content": f"{word} ask"}, {"role": "assistant", "content": f"{word} say"}]
        return [{"kind": "text", "text": f"{word} " * 50}, {"kind": "chat", "messages": chat}] * 20

    splits = {"train": documents("murmeltier"), "validation": documents("kolibri"), "dropped": documents("okapi")}
    (out := tmp_path / "out").mkdir()
    shards.run(
        TokenizeConfig(vocab_size=400, han_run=0),
        {"prepare": corpus(tmp_path / "prepare", **splits)},
        Draft(out, "tokenize"),
        context(out),
    )
    tokens = tokenizers.Tokenizer.from_file(str(out / "tokenizer.json")).get_vocab()
    assert {"murmeltier", "Ġmurmeltier"} & tokens.keys()
    assert not [token for token in tokens if "libri" in token or "kapi" in token]


def test_the_pilot_learns_from_training_and_is_judged_on_validation(
    own_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("STEPS", 2), ("EARLY", 1), ("TOKENS", 2 * 1024)):
        monkeypatch.setattr(forecast, f"PROBE_{name}", value)
    judged: list[bytes] = []
    plain = language_model.bits_per_byte

    def bits_per_byte(model: Any, shard: Any, *rest: Any) -> dict[str, float]:
        judged.append(np.asarray(shard.tokens).tobytes())
        return plain(model, shard, *rest)

    monkeypatch.setattr(language_model, "bits_per_byte", bits_per_byte)
    pretrain.look_ahead(PretrainConfig(context_length=128), inputs_of(own_run), context(tmp_path), None)
    assert judged == [(own_run / "tokenize" / "validation.text.tokens").read_bytes()] * 2
