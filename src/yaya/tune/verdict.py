"""Whether the best values beat the recipe's own by more than the noise.

The best of many trials looks better than it is, because luck helped to choose it. So both train again on seeds that the
search never used, and only these count; the loss by which the best was chosen does not. Seeds are compared in pairs:
row order and initial weights are the same, so much of a seed's effect on the loss cancels.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from yaya.core.messages import plural
from yaya.pages.layout import Pair
from yaya.tune.optuna_study import standing
from yaya.tune.runner import Record

# Student's t by degrees of freedom: by chance, one mean in ten is this many standard errors above 0.
ONE_IN_TEN = {1: 3.078, 2: 1.886, 3: 1.638, 4: 1.533, 5: 1.476}


@dataclass(frozen=True)
class Verdict:
    """What the search found.

    kind: "better"; "unclear": better, but within the noise; "unconfirmed": no time for other seeds; "worse": not with
    other seeds; "default": no trial was better than the recipe.
    gains: by how much the loss is lower, per seed that the search did not use. noise: a smaller mean gain counts as chance.
    """

    kind: str
    default: Record
    best: Record
    gains: list[float] = field(default_factory=list)
    noise: float = 0.0

    @property
    def gain(self) -> float:
        """By how much the loss is lower (nats per token)."""
        return statistics.fmean(self.gains) if self.gains else self.default["loss"] - self.best["loss"]

    @property
    def values(self) -> dict[str, Any]:
        """The values to train with."""
        return self.default["values"] if self.kind in ("default", "worse") else self.best["values"]


def judge(records: Sequence[Record], again: Sequence[Record]) -> Verdict:
    """The verdict from the trials, of which the first complete one is the default, and the runs with other seeds."""
    complete = [r for r in records if r["outcome"] == "complete"]
    default = next(r for r in complete if r["role"] == "default")
    best = min(complete, key=standing)
    if best["values"] == default["values"]:
        return Verdict("default", default, default)
    losses = {
        role: {r["seed"]: r["loss"] if r["outcome"] == "complete" else math.inf for r in again if r["role"] == role}
        for role in ("default again", "best again")
    }
    mine, theirs = losses["best again"], losses["default again"]
    both = [seed for seed in mine if math.isfinite(theirs.get(seed, math.inf))]
    if not both:
        return Verdict("unconfirmed", default, best)
    gains = [theirs[seed] - mine[seed] for seed in both]
    if not all(map(math.isfinite, gains)):  # it did not even finish with another seed
        return Verdict("worse", default, best)
    noise = noise_of(gains, [default["loss"], *(theirs[seed] for seed in both)])
    mean = statistics.fmean(gains)
    sure = min(gains) > 0 and mean > noise
    kind = "better" if sure else "unclear" if mean > 0 else "worse"
    return Verdict(kind, default, best, gains, noise)


def noise_of(gains: Sequence[float], defaults: Sequence[float]) -> float:
    """What the mean gain would exceed in one of ten cases if there were no difference.

    defaults: losses of the recipe's own values on all seeds, used if there is only one gain.
    """
    if len(gains) == 1:
        return ONE_IN_TEN[1] * statistics.stdev(defaults) * math.sqrt(2)
    freedom = len(gains) - 1
    return ONE_IN_TEN.get(freedom, ONE_IN_TEN[5]) * statistics.stdev(gains) / math.sqrt(len(gains))


def words(v: Verdict) -> Pair:
    """The verdict in a sentence."""
    seeds = len(v.gains)
    if v.kind == "default":
        return (
            "No trial was better than the recipe's own values: keep them.",
            "没有一个试验比配方原来的值更好：沿用原来的值。",
        )
    if v.kind == "worse":
        return (
            "On other seeds, the best trial was no better than the recipe's own values: keep them.",
            "换了种子，最好的试验并不比配方原来的值好：沿用原来的值。",
        )
    if v.kind == "unconfirmed":
        return (
            f"The best trial's loss is {v.gain:.4f} lower than with the recipe's own values, but on one seed only, the search's own. Part of that is luck, and there was no time to try another seed.",
            f"最好的试验比配方原来的值损失低 {v.gain:.4f}，但只在搜索用的那一个种子上。其中有运气的成分，时间也不够再试别的种子。",
        )
    each = ", ".join(f"{gain:+.4f}" for gain in v.gains)
    if v.kind == "unclear":
        return (
            f"The best trial's loss is {v.gain:.4f} lower than with the recipe's own values on {plural(seeds, 'other seed')} ({each}). That is within the noise of ±{v.noise:.4f}: it may be luck.",
            f"换 {seeds} 个种子，最好的试验比配方原来的值损失平均低 {v.gain:.4f}（{each}）。这没有超出噪声 ±{v.noise:.4f}：可能只是运气。",
        )
    return (
        f"Better than the recipe's own values: the loss is {v.gain:.4f} lower on {plural(seeds, 'other seed')} ({each}; noise ±{v.noise:.4f}).",
        f"比配方原来的值好：换 {seeds} 个种子，损失平均低 {v.gain:.4f}（{each}；噪声 ±{v.noise:.4f}）。",
    )
