"""What all trials have in common: the recipe's own values, and the number of steps that the minutes allow."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yaya import pipeline
from yaya.core.artifact import Artifact
from yaya.core.config import as_dict, to_toml
from yaya.core.messages import UserError, plural, say
from yaya.core.progress import duration
from yaya.run import Run
from yaya.train import pretrain
from yaya.tune.optuna_study import STARTUP
from yaya.tune.runner import Runner, Trial, failure

PROBE_S = 5.0  # of training, to measure the machine
SHARE_TRAINED = 0.6  # of a trial's steps, on average, when bad trials are stopped early
OVERHEAD = 0.15  # of a trial's time: validation and the like
FEWEST_STEPS = 20
NEVER = 1e9  # seconds; a trial needs no checkpoints
SIZES = ("hidden_size", "num_hidden_layers")  # of a model; the run chooses them to fit its minutes


@dataclass(frozen=True)
class TrialPlan:
    """Fixed once, and unchanged when a search resumes. seconds: of one trial, `None` if not measured."""

    stage: str
    table: dict[str, Any]  # the stage's keys
    steps: int
    looks: int
    seconds: float | None
    device: str
    dtype: str

    def recipe(self, values: dict[str, Any], seed: int, threads: int, steps: int | None = None) -> str:
        """A trial's recipe. All trials read the same number of tokens, whatever their batch size."""
        table = self.table | values
        if "batch_tokens" in values and steps is None:
            steps = max(1, round(self.steps * self.table["batch_tokens"] / values["batch_tokens"]))
        table |= {"steps": steps or self.steps, "evaluations": self.looks, "samples": 0}
        table |= {"save_seconds": NEVER, "save_steps": None}
        run = {"name": "trial", "seed": seed, "device": self.device, "dtype": self.dtype, "threads": threads}
        return to_toml(run, {self.stage: table})


def read_plan(path: Path) -> TrialPlan | None:
    """The plan of a search that resumes."""
    try:
        return TrialPlan(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None


def make_plan(job: Run, stage: str, asked: Any, inputs: dict[str, Artifact], looks: int) -> TrialPlan:
    """A plan with the recipe's own values and steps (0: not given)."""
    machine = job.measured()
    config = with_sizes(job, asked, inputs) if stage == pretrain.STAGE.name else asked
    steps, decay = config.steps, getattr(config, "decay_steps", None)
    if steps is None and decay is not None:
        say(
            "[tune] decay_steps is meant for the full training: the shorter trials use decay_fraction.",
            "[tune] decay_steps 是给完整训练设的：试验步数较少，改用 decay_fraction。",
        )
        config = dataclasses.replace(config, decay_steps=None)
    return TrialPlan(stage, as_dict(config), steps or 0, looks, None, machine.device, machine.dtype)


def with_sizes(job: Run, asked: Any, inputs: dict[str, Artifact]) -> Any:
    """The config with the model's size that `yaya run` would choose for the run's minutes."""
    config, stage = known_sizes(job.config_of(pretrain.STAGE), asked), pretrain.STAGE.name
    if all(getattr(config, n) is not None for n in SIZES):
        return config
    trainings = pipeline.trainings_for(inputs["tokenize"])
    return known_sizes(job.plan(job.configs_of(trainings) | {stage: config}, inputs)[stage].config, asked)


def known_sizes(chosen: Any, asked: Any) -> Any:
    """The config as requested, with chosen sizes where it leaves them open."""
    known = {n: getattr(chosen, n) for n in SIZES if getattr(asked, n) is None}
    return dataclasses.replace(asked, **known)


def settle_steps(
    plan: TrialPlan, runner: Runner, folder: Path, seed: int, minutes: float, trials: int, seeds: int
) -> TrialPlan:
    """The plan with the steps that fit into the minutes, measured with all workers busy; UserError if too few."""
    if plan.steps:
        return plan
    say(
        f"[tune] measuring the speed of {plural(runner.engine.workers, 'trial')} at a time ...",
        f"[tune] 正在测同时跑 {runner.engine.workers} 个试验的速度……",
    )
    start_seconds, step_seconds = measure(plan, runner, folder, seed)
    whole = min(trials, STARTUP) + SHARE_TRAINED * max(0, trials - STARTUP) + 2 * seeds
    seconds = 60 * minutes * runner.engine.workers / whole
    steps = int((1 - OVERHEAD) * (seconds - start_seconds) / step_seconds)
    if steps < FEWEST_STEPS:
        raise UserError(
            f"In {plural(minutes, 'minute')}, each of {trials} trials would get {max(steps, 0)} steps, too few to tell them apart. Allow more minutes or fewer trials.",
            f"{minutes:g} 分钟里 {trials} 个试验各只能训练 {max(steps, 0)} 步，分不出好坏。请增加 minutes 或减少 trials。",
        )
    say(
        f"[tune] {steps:,} steps per trial, about {duration(seconds)}.",
        f"[tune] 每个试验 {steps:,} 步，约 {duration(seconds)}。",
    )
    return dataclasses.replace(plan, steps=steps, seconds=round(seconds, 1))


def measure(plan: TrialPlan, runner: Runner, folder: Path, seed: int) -> tuple[float, float]:
    """(seconds until the first step is done, seconds per step)."""
    recipe = plan.recipe({}, seed, runner.engine.threads, steps=1_000_000_000)
    probes = [
        runner.start(Trial(None, "probe", {}, seed, folder / f"probe-{number}", recipe))
        for number in range(runner.engine.workers)
    ]
    rows: dict[int, list[tuple[float, int, float]]] = {number: [] for number in range(len(probes))}
    try:
        while not all(len(seen) > 3 and seen[-1][2] - seen[0][2] >= PROBE_S for seen in rows.values()):
            time.sleep(0.1)
            for number, probe in enumerate(probes):
                code = probe.handle.poll()
                if code is not None:
                    raise_default(failure(probe, code))
                passed = time.monotonic() - probe.started
                rows[number] += [(passed, row["step"], row["seconds"]) for row in probe.log.rows()]
    finally:
        for probe in probes:
            probe.handle.kill()
            shutil.rmtree(probe.trial.folder, ignore_errors=True)
    first = max(seen[0][0] for seen in rows.values())
    step = max((seen[-1][2] - seen[0][2]) / (seen[-1][1] - seen[0][1]) for seen in rows.values())
    return first, step


def raise_default(message: str | None) -> None:
    """The error for a recipe whose own values fail: all trials would fail."""
    raise UserError(f"Training fails with the recipe's own values: {message}", f"用配方原来的值就无法训练：{message}")
