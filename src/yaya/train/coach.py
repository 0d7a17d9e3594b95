"""The coach: watches a training as it runs and says what goes wrong and what to change.

It sees only the rows of metrics.jsonl, so a resume replays the earlier rows and the coach continues where it was.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from yaya.inference.repetition import loops

SMOOTH = 50  # steps over which a loss is averaged
SETTLED = 0.3  # share of the steps after which the loss is compared with the usual one
RISE = 0.06  # diverged: the averaged loss is this far above its lowest, in nats and in its own standard errors
ERRORS = 9.0  # many standard errors, since the lowest is the luckiest of thousands
SPIKE = 6.0  # times the median gradient of the last 50 steps
OVERFIT, OVERFIT_NATS = 0.01, 0.02  # validation is this far above its lowest while training falls
OFF_BAND = 0.25  # this far above the expected loss, something is wrong
FALLS = 0.005  # validation is this far below its lowest: still falling
EPOCHS = 4  # further repeats teach little (arXiv:2305.16264)
QUIET = 0.15  # share of the steps for which a note is not repeated
ONCE = ("data exhausted", "overfitting")  # once true, it stays true


@dataclass(frozen=True)
class Note:
    """What the coach says; the report groups notes by kind."""

    kind: str
    en: str
    zh: str


@dataclass
class Coach:
    """`observe(row)` after every step; rows are those of metrics.jsonl."""

    steps: int
    expected: Callable[[float], float] | None = None  # share of the steps done -> usual validation loss
    losses: deque[float] = field(default_factory=lambda: deque(maxlen=SMOOTH))
    norms: deque[float] = field(default_factory=lambda: deque(maxlen=SMOOTH))
    lowest: float = math.inf  # of the averaged loss
    noise: float = 0.0  # its standard error then
    best: tuple[float, float] = (math.inf, math.inf)  # lowest validation loss, and the training loss then
    rate: float = 0.0  # the highest learning rate
    falls: bool | None = None  # whether validation was still falling before learning-rate decay began
    said: dict[str, float] = field(default_factory=dict)  # kind -> step

    def observe(self, row: dict[str, Any]) -> list[Note]:
        """Notes on this step."""
        if row["loss"] is None:
            return self._once(row, [self._not_finite(row)])
        notes: list[Note | None] = [self._spike(row), self._epochs(row)]
        self.losses.append(row["loss"])
        self.norms.append(row["grad_norm"])
        if len(self.losses) == SMOOTH:
            notes.append(self._divergence(row))
            self.lowest, self.noise = min((self.lowest, self.noise), (statistics.fmean(self.losses), self._noise()))
        rate = row.get("learning_rate", 0.0)
        self.rate = max(self.rate, rate)
        if "validation_loss" in row:
            if self.best[0] < math.inf and rate == self.rate:  # during learning-rate decay every loss falls
                self.falls = row["validation_loss"] < (1 - FALLS) * self.best[0]
            notes += [self._overfitting(row), self._off_band(row)]
        return self._once(row, notes)

    def remember(self, rows: Sequence[dict[str, Any]]) -> None:
        """Replays the rows of an interrupted training without saying anything."""
        for row in rows:
            self.observe(row)

    def hear(self, step: int, replies: Sequence[str]) -> list[Note]:
        """Notes on sample replies."""
        if step < 0.5 * self.steps or not replies:
            return []
        round_and_round = sum(loops([ord(c) for c in reply]) for reply in replies)
        if 2 * round_and_round < len(replies):
            return []
        note = Note(
            "loops",
            f"{round_and_round} of {len(replies)} sample replies repeat themselves, which is normal for a model this young. More steps or more varied data help; when chatting, try --repetition-penalty 1.1.",
            f"{len(replies)} 个试写的回复里有 {round_and_round} 个在重复打转：模型还小，这很常见。多训练几步或换更丰富的数据会好些；聊天时可加 --repetition-penalty 1.1。",
        )
        return self._once({"step": step}, [note])

    def _noise(self) -> float:
        """Standard error of the averaged loss, from differences between neighbours, which cancel its downward trend."""
        steps = [b - a for a, b in pairwise(self.losses)]
        return statistics.stdev(steps) / math.sqrt(2 * len(steps))

    def _once(self, row: dict[str, Any], notes: list[Note | None]) -> list[Note]:
        """The notes that were not given recently."""
        step, out = row["step"], []
        for note in filter(None, notes):
            wait = math.inf if note.kind in ONCE else max(SMOOTH, QUIET * self.steps)
            if step - self.said.get(note.kind, -math.inf) >= wait:
                self.said[note.kind] = step
                out.append(note)
        return out

    def _not_finite(self, row: dict[str, Any]) -> Note:
        return Note(
            "not finite",
            f"The gradient of step {row['step']:,} was NaN or infinite, so the step was skipped. If this keeps happening, lower matrix_learning_rate and learning_rate.",
            f"第 {row['step']:,} 步的梯度是 NaN 或无穷大，已跳过这一步。如果反复出现，请调低 matrix_learning_rate 和 learning_rate。",
        )

    def _spike(self, row: dict[str, Any]) -> Note | None:
        usual = statistics.median(self.norms) if len(self.norms) == self.norms.maxlen else math.inf
        if not usual or row["grad_norm"] < SPIKE * usual:  # 0: nothing is left to learn
            return None
        times = row["grad_norm"] / usual
        return Note(
            "gradient spike",
            f"The gradient of step {row['step']:,} is {times:.0f} times its usual size; it was clipped. The usual cause is odd text in the data (tables, code, another language). If it keeps happening, lower matrix_learning_rate.",
            f"第 {row['step']:,} 步的梯度是平时的 {times:.0f} 倍，已裁剪。多半是数据里混有奇怪的文本（表格、代码、别的语言）。如果反复出现，请调低 matrix_learning_rate。",
        )

    def _divergence(self, row: dict[str, Any]) -> Note | None:
        now = statistics.fmean(self.losses)
        if now <= self.lowest + max(RISE * self.lowest, ERRORS * self.noise):
            return None
        return Note(
            "divergence",
            f"The loss is rising: {now:.3f}, up from {self.lowest:.3f}. The learning rate is too high: halve matrix_learning_rate and learning_rate.",
            f"损失在上升：现在 {now:.3f}，之前最低 {self.lowest:.3f}。学习率太高：请把 matrix_learning_rate 和 learning_rate 减半。",
        )

    def _overfitting(self, row: dict[str, Any]) -> Note | None:
        now, training = row["validation_loss"], statistics.fmean(self.losses)
        lowest, then = self.best
        self.best = min(self.best, (now, training))
        if now < lowest + max(OVERFIT * lowest, OVERFIT_NATS) or training > then:
            return None
        return Note(
            "overfitting",
            f"Overfitting: the validation loss is rising ({lowest:.3f} to {now:.3f}) while the training loss still falls. The model is memorizing the data. Use fewer steps, more data, or weight_decay=0.1.",
            f"过拟合：验证损失在上升（{lowest:.3f} 到 {now:.3f}），训练损失还在下降。模型在死记硬背：请减少步数、增加数据，或设 weight_decay=0.1。",
        )

    def _off_band(self, row: dict[str, Any]) -> Note | None:
        done = row["step"] / self.steps
        if self.expected is None or done < SETTLED or len(self.losses) < SMOOTH:
            return None
        usual = self.expected(done)
        above = row["validation_loss"] / usual - 1
        if above < OFF_BAND:
            return None
        causes = {
            None: ("", ""),
            True: (
                " It is still falling steadily, as it does when the learning rate is too low (try doubling it).",
                "它还在稳步下降：学习率太低时就是这样（可以加倍试试）。",
            ),
            False: (
                " It has stopped falling, as it does when the learning rate is too high (try halving it).",
                "它已不再下降：学习率太高时就是这样（可以减半试试）。",
            ),
        }
        en, zh = causes[self.falls]
        return Note(
            "slow",
            f"The validation loss is {row['validation_loss']:.3f}; about {usual:.3f} is usual for this model, data and number of steps.{en}",
            f"验证损失是 {row['validation_loss']:.3f}；这样的模型、数据和步数通常约为 {usual:.3f}。{zh}",
        )

    def _epochs(self, row: dict[str, Any]) -> Note | None:
        if row.get("epoch", 0) < EPOCHS:
            return None
        return Note(
            "data exhausted",
            f"The model has seen the data {row['epoch']:.1f} times. Beyond {EPOCHS} passes, repetition teaches little: more text helps more than more steps.",
            f"数据已经看过 {row['epoch']:.1f} 遍。超过 {EPOCHS} 遍以后，再重复收获很小：加文本比加步数更有用。",
        )
