"""What is planned against what comes: the minutes, on a machine that is made up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.conftest import with_base

from yaya import pipeline, run
from yaya.core import time_budget
from yaya.core.machine import Machine
from yaya.model.decoder import Transformer
from yaya.train import callbacks, finetune, language_model, loop, pretrain
from yaya.train.loop import StepDone
from yaya.train.loop_config import LoopConfig
from yaya.train.plan import planner

STEP_SECONDS, RESERVE_SECONDS = 0.004, 30.0  # what a step takes besides its tokens; kept back for what follows training


class Clock:
    """A clock that goes on when something is computed: by tokens x parameters, and as fast as the machine is then."""

    def __init__(self, speeds: list[tuple[float, float]]):
        """speeds: (from which second on, multiplications a second)."""
        self.now, self.speeds = 0.0, speeds

    def compute(self, model: Transformer, tokens: float) -> None:
        speed = [speed for begin, speed in self.speeds if self.now >= begin][-1]
        self.now += tokens * model.num_parameters() / speed

    def step(
        self, model: Transformer, goal: Any, optimizer: Any, cursor: int, config: LoopConfig, scale: float,
        signals: tuple[bool, ...] = (),
    ) -> StepDone:  # fmt: skip
        """In place of an optimizer step."""
        assert config.batch_tokens is not None
        self.now += STEP_SECONDS
        self.compute(model, 3 * config.batch_tokens)  # forwards, and twice as much backwards
        row = {"loss": 3.0, "learning_rate": scale, "matrix_learning_rate": scale, "grad_norm": 1.0}
        return StepDone(row, cursor + config.batch_tokens // 128, config.batch_tokens, True, signals)

    def look(self, model: Transformer, *_: Any) -> dict[str, float]:
        """In place of a look at 64 rows of validation text."""
        self.compute(model, 64 * 128)
        return {"validation_loss": 3.0, "bits_per_byte": 1.0}


@pytest.fixture
def machine(own_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """In a folder where the run `base` has data."""
    made = Clock([(0.0, 3e9)])
    clock = SimpleNamespace(monotonic=lambda: made.now, perf_counter=lambda: made.now)
    for module in (run, time_budget, planner, loop, callbacks):
        monkeypatch.setattr(module, "time", clock)
    for module in (planner, loop):
        monkeypatch.setattr(module, "train_step", made.step)
    monkeypatch.setattr(run, "setup", lambda *_: Machine("cpu", "float32", 1))
    monkeypatch.setattr(language_model, "bits_per_byte", made.look)
    monkeypatch.setattr(language_model, "write_samples", lambda model, *_: [made.look(model)][:0])
    monkeypatch.chdir(with_base(own_run, tmp_path))
    return made


SPEEDS = {
    "steady": [(0.0, 2e10)],
    "a small machine": [(0.0, 4e9)],
    "a large machine": [(0.0, 1e11)],
    "slower once it trains": [(0.0, 2e10), (20.0, 1.6e10)],
    "faster once it trains": [(0.0, 2e10), (20.0, 4e10)],
}


@pytest.mark.parametrize("minutes", [1.0, 6.0])
@pytest.mark.parametrize("speeds", SPEEDS)
def test_minutes_are_kept(speeds: str, minutes: float, machine: Clock) -> None:
    """Pretraining and fine-tuning together, with what is kept back for the evaluation: hardly over, and nearly used up."""
    machine.speeds = SPEEDS[speeds]
    job = pipeline.open_run({"name": "timed", "from": "base", "minutes": minutes, "pretrain": {"context_length": 128}})
    train_in(job, machine)
    left = 60 * minutes - min(RESERVE_SECONDS, 0.15 * 60 * minutes)
    assert 0.85 * left < machine.now < 1.05 * left


def test_minutes_are_kept_where_the_sizes_are_set(machine: Clock) -> None:
    """Then nothing is known of the machine before the training's own batch is measured."""
    sizes = {"hidden_size": 96, "num_hidden_layers": 3, "context_length": 128}
    job = pipeline.open_run({"name": "timed", "from": "base", "minutes": 2.0, "pretrain": sizes})
    train_in(job, machine)
    assert 0.85 * 102 < machine.now < 120
    assert job.recipe.stages["pretrain"].hidden_size == 96


def train_in(job: pipeline.Run, machine: Clock) -> None:
    """Trains both stages, and looks whether the time was told."""
    for stage in ("pretrain", "finetune"):
        began = machine.now
        job.make(pipeline.STAGES[stage], [pretrain.STAGE, finetune.STAGE])
        told, came = job.plans[stage].seconds, machine.now - began
        if len(machine.speeds) == 1:
            assert told == pytest.approx(came, rel=0.2), stage
