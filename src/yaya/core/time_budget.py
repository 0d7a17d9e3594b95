"""The minutes of a run: how many are left, and who shares them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

EVALUATION_SHARE, EVALUATION_SECONDS = 0.15, 30.0  # of the minutes, reserved for what follows training
FOLLOWING_SHARE = 0.15  # of the training time, for each training that builds on another


@dataclass(frozen=True)
class TimeBudget:
    """`minutes` counted from `started` (time.monotonic()), by default now. paid: what they cost, as the user wrote it."""

    minutes: float
    started: float = field(default_factory=lambda: time.monotonic())
    paid: str | float | None = None

    def left(self) -> float:
        """Seconds left; negative when the time is over."""
        return 60 * self.minutes - (time.monotonic() - self.started)

    def for_training(self) -> float:
        """Seconds left for training, without the reserve; at least one."""
        return max(1.0, self.left() - min(EVALUATION_SHARE * 60 * self.minutes, EVALUATION_SECONDS))


def shares(trainings: Sequence[str]) -> dict[str, float]:
    """Each training's share of the time: most goes to the first."""
    following = trainings[1:]
    return {name: FOLLOWING_SHARE for name in following} | {trainings[0]: 1 - FOLLOWING_SHARE * len(following)}
