"""What happens after each training step, in this order: validate, sample, advise, log, save, revise."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from yaya.core import distributed
from yaya.core.artifact import Draft
from yaya.core.messages import say
from yaya.core.progress import Bar
from yaya.core.stage import RunContext
from yaya.train.checkpoint import CheckpointManager, TensorShard, TrainState
from yaya.train.coach import Coach, Note
from yaya.train.loop_config import LoopConfig
from yaya.train.optimizer import decay_start, schedule

Curve = Callable[[float], float]  # share of the steps done -> loss on held-out text
EXPECTED_POINTS = 20  # of the usual curve, for the report
EXPECTED_FROM = 0.05  # of the steps; before, nothing is known
REVISE_AFTER_S = 5.0  # a shorter measurement is no better than the planner's


@dataclass
class Progress:
    """A training under way: its config, which may be revised once, and its state."""

    title: str
    config: LoopConfig
    state: TrainState

    @property
    def steps(self) -> int:
        assert self.config.steps is not None
        return self.config.steps

    def rate_scale(self) -> float:
        """The factor on the learning rates in the next step."""
        c, state = self.config, self.state
        return schedule(state.step, self.steps, c.warmup_steps, c.decay_share()) / 2**state.rollbacks

    def add(self, cursor: int, tokens: int, finite: bool, seconds: float) -> None:
        """Counts a step. cursor: where the rows after it begin; seconds: of training so far."""
        s = self.state
        self.state = replace(
            s,
            step=s.step + 1,
            cursor=cursor,
            tokens=s.tokens + tokens,
            seconds=round(seconds, 3),
            skipped=s.skipped + (not finite),
        )

    def row(self, measured: dict[str, Any], epochs: float) -> dict[str, Any]:
        """The last step's row for metrics.jsonl."""
        s = self.state
        return measured | {"step": s.step, "tokens": s.tokens, "seconds": s.seconds, "epoch": round(epochs, 3)}

    def say_resumed(self) -> None:
        """Says where an interrupted training continues."""
        if step := self.state.step:
            say(
                f"[{self.title}] resumes at step {step:,} of {self.steps:,}.",
                f"[{self.title}] 从第 {step:,} 步继续（共 {self.steps:,} 步）。",
            )

    def summary(self, loss: float, expected: Curve | None) -> dict[str, Any]:
        """The training's metrics for the manifest."""
        s, steps = self.state, self.steps
        out: dict[str, Any] = {
            "steps": steps,
            "tokens": s.tokens,
            "seconds": s.seconds,
            "loss": loss,
            "skipped_steps": s.skipped,
        }
        if expected is not None:
            points = sorted(eval_steps(self.config.evaluations, steps) | eval_steps(EXPECTED_POINTS, steps))
            shown = [step for step in points if step >= EXPECTED_FROM * steps]
            out["expected_losses"] = [[step, round(expected(step / steps), 4)] for step in shown]
        return out


@dataclass
class StepReport:
    """What the callbacks know of one step, and add to."""

    row: dict[str, Any]  # of metrics.jsonl
    asked: bool  # whether a stop was requested
    save_due: bool
    may_save: bool  # not after a step without a finite gradient
    shown: bool = False  # gets its own line in the terminal
    replies: list[dict[str, str]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


Callback = Callable[[Progress, StepReport], None]  # adds its findings to the report, for the callbacks after it


@lru_cache(maxsize=8)
def eval_steps(times: int, steps: int) -> frozenset[int]:
    """The steps to evaluate after, `times` of them; denser at the start, where much happens."""
    return frozenset(max(1, round(steps * (i / times) ** 1.5)) for i in range(1, times + 1))


@dataclass(frozen=True)
class Watch:
    """What is observed during training, a few times."""

    validate: Callable[[], dict[str, float]] = dict  # scores on held-out text
    sample: Callable[[], list[dict[str, str]]] = list  # replies to a few prompts
    expect: Callable[[LoopConfig], Curve | None] = lambda config: None  # the usual loss, if known

    def __call__(self, progress: Progress, report: StepReport) -> None:
        step, config = progress.state.step, progress.config
        report.shown = step in eval_steps(config.evaluations, progress.steps)
        report.row |= self.validate() if report.shown else {}
        if step in eval_steps(config.samples, progress.steps):
            report.replies = self.sample()


class Advise:
    """The coach's notes."""

    def __init__(self, steps: int, expected: Curve | None):
        self.coach = Coach(steps, expected)

    def rewind(self, rows: Sequence[dict[str, Any]]) -> None:
        """Starts over from these rows, as if the training had come from there."""
        self.coach = Coach(self.coach.steps, self.coach.expected)
        self.coach.remember(rows)

    def __call__(self, progress: Progress, report: StepReport) -> None:
        replies = [reply["reply"] for reply in report.replies]
        report.notes = self.coach.observe(report.row) + self.coach.hear(report.row["step"], replies)


class Save:
    """Checkpoints: every `save_seconds`, every `save_steps`, and when a stop was requested."""

    def __init__(self, checkpoints: CheckpointManager, shards: Callable[[], dict[str, TensorShard]]):
        """shards: what this rank keeps of weights and optimizer."""
        self.checkpoints, self.shards = checkpoints, shards
        self.saved = time.monotonic()

    def is_due(self, config: LoopConfig) -> bool:
        """Whether one is due; rank 0 decides for all."""
        return distributed.is_main() and time.monotonic() - self.saved >= config.save_seconds

    def __call__(self, progress: Progress, report: StepReport) -> None:
        self.checkpoints.check()
        step, save_steps = progress.state.step, progress.config.save_steps
        due = report.save_due or (save_steps is not None and step % save_steps == 0)
        if due and step < progress.steps and report.may_save:
            self.checkpoints.save(progress.state, self.shards())
            self.saved = time.monotonic()


class Revise:
    """Fixes the number of steps when the learning rate begins to fall: as many as the minutes allow at the speed so far.

    Until there the rate is the same for every number of steps, so that a run with the new number from the start ends with
    the same bits. The fall keeps at least half its planned length, however slow the machine became.
    """

    def __init__(self, draft: Draft, context: RunContext, watch: Watch, advise: Advise, bar: Bar):
        self.draft, self.context, self.watch, self.advise, self.bar = draft, context, watch, advise, bar
        self.started, self.done = time.monotonic(), draft.resumed or context.deadline is None

    def __call__(self, progress: Progress, report: StepReport) -> None:
        config, done = progress.config, progress.state.step
        if self.done or report.asked or config.decay_steps is not None:  # what the user set stays
            return
        if done != decay_start(progress.steps, config.decay_share()):
            return
        seconds = time.monotonic() - self.started
        if not distributed.broadcast_object(seconds > REVISE_AFTER_S):
            return
        self.done = True
        steps = self.steps_in_time(progress.steps, done, seconds)
        changes: dict[str, Any] = {"steps": steps, "decay_steps": steps - done}
        self.draft.settle(changes)
        if self.context.recipe:
            self.context.recipe.settle(self.draft.kind, **changes)
            self.context.recipe.write()
        speed = f"{progress.state.tokens / seconds:,.0f}"
        say(
            f"[{progress.title}] {speed} tokens/s so far: there is time for {steps:,} steps, not {progress.steps:,}.",
            f"[{progress.title}] 目前每秒 {speed} 个 token：时间够训练 {steps:,} 步，不是 {progress.steps:,} 步。",
        )
        progress.config = replace(config, **changes)
        self.bar.total = steps
        expected = self.watch.expect(progress.config)
        self.advise.coach.steps, self.advise.coach.expected = steps, expected
        if expected is not None:
            loss = f"{expected(1.0):.2f}"
            say(
                f"[{progress.title}] expected validation loss after that many steps: {loss}.",
                f"[{progress.title}] 训练这么多步后，预计验证损失：{loss}。",
            )

    def steps_in_time(self, planned: int, done: int, seconds: float) -> int:
        """The number of steps that fit, given how long `done` steps took; the same on all ranks."""
        assert self.context.deadline is not None
        left = 0.98 * max(0.0, self.context.deadline - time.monotonic())
        return int(distributed.broadcast_object(done + max((planned - done + 1) // 2, int(left * done / seconds))))
