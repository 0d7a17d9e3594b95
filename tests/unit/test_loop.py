"""The loop: what the recipe asks for reaches the weights. Objectives are slopes and rows whose outcome is worked out by hand."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.conftest import MACHINE, context, with_base
from tests.unit.test_training import make_shard, tiny_model

from yaya import pipeline, run
from yaya.core import artifact
from yaya.core.artifact import Draft
from yaya.core.interrupt import StopSignal
from yaya.model.decoder import Transformer
from yaya.train import finetune, loop, pretrain
from yaya.train.callbacks import Watch
from yaya.train.finetune import FinetuneConfig
from yaya.train.loop import train_step
from yaya.train.loop_config import LoopConfig
from yaya.train.objective import LanguageModeling
from yaya.train.optimizer import Optimizer
from yaya.train.packing import DataMixture, PackedDataset
from yaya.train.pretrain import PretrainConfig

MATRIX, TABLE = "model.layers.0.mlp.gate_proj.weight", "model.embed_tokens.weight"
Weights = dict[str, torch.Tensor]


class Slope:
    """The gradient is the same everywhere; its size may go by the step. Keeps the weights that every step begins with."""

    micro_rows = 1

    def __init__(self, size: Callable[[int], float] = lambda step: 1.0):
        self.size, self.seen = size, []  # type: ignore[var-annotated]

    def batches(self, model: Transformer, cursor: int) -> tuple[Iterator[Any], int]:
        self.seen.append({name: p.detach().clone() for name, p in model.named_parameters()})
        return iter([SimpleNamespace(step=cursor, input_ids=torch.zeros(1, 4))]), cursor + 1

    def epochs(self, cursor: int) -> float:
        return 0.0

    def loss(self, model: Transformer, batch: Any) -> tuple[torch.Tensor, torch.Tensor, dict[str, float]]:
        total = sum((p * self.direction(p)).sum() for p in model.parameters())
        return self.size(batch.step) * total, torch.tensor(4.0), {}

    @staticmethod
    def direction(p: torch.Tensor) -> torch.Tensor:
        return torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))


def trained(objective: Any, folder: Path, **keys: Any) -> tuple[Transformer, list[dict[str, Any]], dict[str, Any]]:
    """(model, rows of metrics.jsonl, metrics) of a training of a tiny model."""
    folder.mkdir(exist_ok=True)
    model, draft = tiny_model(max_position_embeddings=32), Draft(folder, "pretrain")
    config = LoopConfig(**{"evaluations": 0, "samples": 0, "save_seconds": 1e9} | keys)
    watch = Watch(lambda: {"validation_loss": 1.0, "bits_per_byte": 1.0})
    loop.train(model, objective, config, draft, context(folder), watch)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    return model, rows, draft.metrics


def moved(weights: list[Weights], name: str) -> list[float]:
    """How far a parameter went in each step: the root mean square."""
    return [float((b[name] - a[name]).square().mean().sqrt()) for a, b in pairwise(weights)]


RATES = {  # steps 0 to 9 of ten: up in fourths, then down to zero at step 10
    "warm-up and fall": (
        {"warmup_steps": 3, "decay_fraction": 0.5},
        [1 / 4, 2 / 4, 3 / 4, 1, 1, 1, 0.8, 0.6, 0.4, 0.2],
    ),
    "a fall of so many steps": ({"warmup_steps": 0, "decay_steps": 4}, [1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]),
    "neither": ({"warmup_steps": 0, "decay_fraction": 0}, [1.0] * 10),
}


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_every_step_is_as_long_as_its_learning_rate(optimizer: str, name: str, tmp_path: Path) -> None:
    """On a constant slope AdamW goes the rate in every number, and Muon the same way every time."""
    keys, wanted = RATES[name]
    slope = Slope()
    rates = {"learning_rate": 0.01, "matrix_learning_rate": 0.02, "optimizer": optimizer}
    model, rows, _ = trained(slope, tmp_path, steps=10, **rates, **keys)
    weights = [*slope.seen, {n: p.detach() for n, p in model.named_parameters()}]
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.01 * f for f in wanted])
    assert [row["matrix_learning_rate"] for row in rows] == pytest.approx([0.02 * f for f in wanted])
    assert moved(weights, TABLE) == pytest.approx([0.01 * f for f in wanted], rel=1e-3)
    steps = moved(weights, MATRIX)
    if optimizer == "adamw":
        assert steps == pytest.approx([0.01 * f for f in wanted], rel=1e-3)
    else:  # 64 x 32: 32 directions of length 1, times the root of 64 / 32
        assert max(steps) == pytest.approx(0.02 * math.sqrt(32 / (64 * 32)) * math.sqrt(64 / 32), rel=0.1)
        assert steps == pytest.approx([max(steps) * f for f in wanted], rel=1e-3)


def test_the_recipe_s_own_rates(own_run: Path) -> None:
    """Pretraining: 5 steps up, the last 60% of 30 down; fine-tuning: 30 up, all 12 down. Worked out for every step."""
    found = {}
    for stage in ("pretrain", "finetune"):
        lines = (own_run / stage / "metrics.jsonl").read_text("utf-8").splitlines()
        found[stage] = [(row["learning_rate"], row["matrix_learning_rate"]) for row in map(json.loads, lines)]
    pretrained = [min((step + 1) / 6, 1, (30 - step) / 18) for step in range(30)]
    assert np.array(found["pretrain"]) == pytest.approx(np.outer(pretrained, [0.03, 0.03]))
    finetuned = [min((step + 1) / 31, 1, (12 - step) / 12) for step in range(12)]
    assert np.array(found["finetune"]) == pytest.approx(np.outer(finetuned, [0.002, 0.03]))


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_without_a_gradient_matrices_shrink_by_the_weight_decay(optimizer: str, tmp_path: Path) -> None:
    """By rate x decay in every step; embeddings and norms stay."""
    slope = Slope(lambda step: 0.0)
    keys = {"learning_rate": 0.01, "matrix_learning_rate": 0.02, "warmup_steps": 1, "decay_fraction": 0.5}
    model, _, _ = trained(slope, tmp_path, steps=4, weight_decay=0.5, optimizer=optimizer, **keys)
    factor = math.prod(1 - (0.02 if optimizer == "muon" else 0.01) * f * 0.5 for f in (0.5, 1, 1, 0.5))
    for name, p in model.named_parameters():
        shrunk = factor if p.dim() == 2 and ".layers." in name else 1.0
        torch.testing.assert_close(p.detach(), shrunk * slope.seen[0][name], rtol=1e-5, atol=1e-7, msg=name)


@pytest.mark.parametrize("limit", [0.0, 1.0, 1e9])
def test_the_gradient_is_divided_by_the_weight_and_clipped_once(limit: float) -> None:
    """AdamW's first moment after one step is a tenth of the gradient that it was given."""
    model, slope = tiny_model(), Slope(lambda step: 100.0)
    optimizer = Optimizer(model, LoopConfig(optimizer="adamw"))
    gradient = {name: 100 * slope.direction(p).numpy() / 4 for name, p in model.named_parameters()}
    norm = math.sqrt(sum(float((g**2).sum()) for g in gradient.values()))
    value = sum(float((p.detach().numpy() * gradient[n]).sum()) for n, p in model.named_parameters())
    done = train_step(model, slope, optimizer, 0, LoopConfig(optimizer="adamw", max_grad_norm=limit), 1.0)
    assert done.row["grad_norm"] == pytest.approx(norm, rel=1e-5) and done.row["loss"] == pytest.approx(value, rel=1e-4)
    clipped = min(1.0, limit / norm) if limit else 1.0
    for name, p in model.named_parameters():
        moment = optimizer.adamw.state[p]["exp_avg"].numpy()
        np.testing.assert_allclose(moment, 0.1 * clipped * gradient[name], rtol=1e-4, err_msg=name)


def test_looks_are_as_many_as_asked_for_and_the_last_is_at_the_end(tmp_path: Path) -> None:
    """20 (i / 4)^1.5 for i of 1 to 4, rounded."""
    _, rows, metrics = trained(Slope(), tmp_path, steps=20, evaluations=4)
    assert [row["step"] for row in rows if "validation_loss" in row] == [2, 7, 13, 20]
    assert metrics["steps"] == 20 and metrics["tokens"] == 20 * 4 and metrics["loss"] == rows[-1]["loss"]


# ---------------------------------------------------------------- the seed


def initial_weights(model: Transformer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_the_seed_decides_weights_and_order_of_rows(stage: str, own_run: Path, tmp_path: Path) -> None:
    """Both, each by itself; the same seed gives the same. A fine-tuning begins with the pretrained weights."""
    inputs = {name: artifact.load(own_run / name) for name in ("tokenize", "pretrain")}
    sizes: dict[str, Any] = {"batch_tokens": 2048, "micro_batch_tokens": 2048}
    found = []
    for seed in (0, 1, 0):
        if stage == "pretrain":
            config = PretrainConfig(**sizes, hidden_size=64, num_hidden_layers=1, context_length=128)
            config = pretrain.settle_shape(config, inputs["tokenize"])  # type: ignore[arg-type]
            model, goal = pretrain.build(config, inputs["tokenize"], seed, MACHINE)  # type: ignore[arg-type]
        else:
            model, goal = finetune.build(FinetuneConfig(**sizes), inputs, seed, MACHINE)  # type: ignore[arg-type]
        (batch,) = goal.batches(model, 0)[0]
        found.append((initial_weights(model), batch.input_ids))
    (weights, rows), (other_weights, other_rows), (same_weights, same_rows) = found
    assert torch.equal(weights, same_weights) and torch.equal(rows, same_rows)
    assert torch.equal(weights, other_weights) == (stage == "finetune")
    assert not torch.equal(rows, other_rows)
    assert sorted(rows.flatten().tolist()) != sorted(
        other_rows.flatten().tolist()
    )  # other rows, not only another order


@pytest.mark.parametrize(
    ("width", "feed_forward", "heads"), [(64, 160, 2), (128, 352, 4), (160, 416, 5), (256, 672, 8)]
)
def test_sizes_that_the_recipe_leaves_open(width: int, feed_forward: int, heads: int, own_run: Path) -> None:
    """8/3 of the width, to the nearest 32, and heads of 32 with keys of their own; what is set stays."""
    data = artifact.load(own_run / "tokenize")
    shape = pretrain.settle_shape(PretrainConfig(), data, (width, 3))
    assert (shape.hidden_size, shape.intermediate_size, shape.num_hidden_layers) == (width, feed_forward, 3)
    assert shape.num_key_value_heads == heads
    mine = PretrainConfig(
        hidden_size=96, intermediate_size=64, num_hidden_layers=5, num_key_value_heads=1, chat_fraction=0.3
    )
    assert pretrain.settle_shape(mine, data, (width, 3)) == mine


def test_the_recipe_s_seed_is_the_training_s(own_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a learning rate of 0 a training leaves the weights that it began with."""
    monkeypatch.setattr(run, "setup", lambda *_: MACHINE)
    monkeypatch.chdir(with_base(own_run, tmp_path))
    keys = {"hidden_size": 32, "num_hidden_layers": 1, "context_length": 128, "batch_tokens": 512, "steps": 1}
    keys |= {"learning_rate": 0.0, "matrix_learning_rate": 0.0, "evaluations": 0, "samples": 0}
    left = {}
    for name, seed in (("a", 0), ("b", 1), ("c", 0)):
        job = pipeline.open_run({"name": name, "from": "base", "seed": seed, "pretrain": keys})
        made = job.make(pipeline.STAGES["pretrain"])
        assert made.manifest["seed"] == seed
        left[name] = load_file(made.path / "model.safetensors")
    table = {name: tensors[TABLE] for name, tensors in left.items()}
    assert torch.equal(table["a"], table["c"]) and not torch.equal(table["a"], table["b"])


# ---------------------------------------------------------------- what goes wrong on the way


class Harmful(LanguageModeling):
    """PackedDataset of which some give no finite gradient. Keeps which were read, and the weights they were read with."""

    def __init__(self, harmful: set[int], stop_at: int | None = None):
        super().__init__(DataMixture([(PackedDataset(make_shard([30, 12, 7, 25, 90] * 8), 32, 3), 1.0)]), 2, 2)
        self.harmful, self.stop_at, self.read = harmful, stop_at, []  # type: ignore[var-annotated]

    def batches(self, model: Transformer, cursor: int) -> tuple[Iterator[Any], int]:
        step = cursor // self.step_rows
        if step == self.stop_at:
            raise KeyboardInterrupt
        self.read.append((step, initial_weights(model)))
        return super().batches(model, cursor)

    def loss(self, model: Transformer, batch: Any) -> tuple[torch.Tensor, torch.Tensor, dict[str, float]]:
        loss, weight, more = super().loss(model, batch)
        return loss * (float("nan") if self.read[-1][0] in self.harmful else 1.0), weight, more


def test_a_roll_back_never_reads_the_harmful_rows_again(tmp_path: Path) -> None:
    """Three steps without a gradient after the checkpoint of step 4: back to its weights, on with the rows after the harm."""
    goal = Harmful({5, 6, 7})
    keys = {"steps": 12, "save_steps": 4, "warmup_steps": 0, "decay_fraction": 0.0}
    _, rows, metrics = trained(goal, tmp_path, **keys)
    assert [step for step, _ in goal.read] == [*range(8), *range(8, 16)]  # every row once
    assert torch.equal(goal.read[8][1], goal.read[4][1])
    assert [row["step"] for row in rows] == [*range(1, 13)] and metrics["skipped_steps"] == 3
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.03] * 4 + [0.015] * 8)


def test_after_a_roll_back_harm_is_counted_anew(tmp_path: Path) -> None:
    """Two more harmful steps are skipped; only a third would be one too many."""
    goal = Harmful({5, 6, 7, 8, 9})
    _, rows, metrics = trained(goal, tmp_path, steps=12, save_steps=4, warmup_steps=0, decay_fraction=0.0)
    assert [step for step, _ in goal.read] == [*range(16)] and metrics["skipped_steps"] == 5
    assert rows[-1]["learning_rate"] == pytest.approx(0.015)


def test_a_resume_after_a_roll_back_goes_on_past_the_harm(tmp_path: Path) -> None:
    keys = {"steps": 12, "save_steps": 4, "warmup_steps": 0, "decay_fraction": 0.0}
    with pytest.raises(KeyboardInterrupt):
        trained(Harmful({5, 6, 7}, stop_at=9), tmp_path, **keys)
    goal = Harmful({5, 6, 7})
    _, rows, _ = trained(goal, tmp_path, **keys)
    assert [step for step, _ in goal.read] == [*range(8, 16)]
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.03] * 4 + [0.015] * 8)


def test_one_step_without_a_gradient_is_skipped_and_the_next_rows_are_read(tmp_path: Path) -> None:
    """Its weights stay as they were, and so does the rate."""
    goal = Harmful({3, 5, 6})
    _, rows, metrics = trained(goal, tmp_path, steps=9, save_steps=1, warmup_steps=0, decay_fraction=0.0)
    assert [step for step, _ in goal.read] == [*range(9)] and metrics["skipped_steps"] == 3
    assert [row["step"] for row in rows if row.get("skipped")] == [4, 6, 7]
    for skipped in (3, 5, 6):
        assert torch.equal(goal.read[skipped][1], goal.read[skipped + 1][1])
    assert {row["learning_rate"] for row in rows} == {0.03}


class Signalled(Slope):
    """Gets signals while it makes the rows of one step."""

    def __init__(self, step: int, *signals: int):
        super().__init__()
        self.step, self.signals, self.survived = step, signals, 0

    def batches(self, model: Transformer, cursor: int) -> tuple[Iterator[Any], int]:
        for number in self.signals if cursor == self.step else ():
            os.kill(os.getpid(), number)
            self.survived += 1
        return super().batches(model, cursor)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_finishes_the_step_and_saves_the_second_leaves_at_once(number: int, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    once, twice = Signalled(3, number), Signalled(3, number, number)
    with pytest.raises(KeyboardInterrupt):
        trained(once, tmp_path / "once", steps=9)
    assert once.survived == 1 and len(once.seen) == 4
    assert "step-00000004" in {path.name for path in (tmp_path / "once" / "trainer").iterdir()}
    with pytest.raises(KeyboardInterrupt):
        trained(twice, tmp_path / "twice", steps=9)
    assert twice.survived == 1 and len(twice.seen) == 3  # in the midst of the fourth step
    assert {path.name for path in (tmp_path / "twice" / "trainer").iterdir()} == {"step-00000000"}
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_of_several_ranks_only_a_second_ctrl_c_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler's SIGTERM reaches every rank, and torchrun passes it on: twice means nothing."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    with StopSignal() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
