"""Whether the best values are better than the recipe's own, with the noise in mind.

The best of many trials looks better than it is, because chance helped to choose it. So it is judged by seeds that the
search never saw, on which both train once more; the loss by which it was chosen does not count. Seeds are compared
in pairs: rows come in the same order and weights begin the same, so much of what a seed does to the loss cancels.
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

# Student's t, by degrees of freedom: a mean so many standard errors above 0 is chance in one of ten cases.
ONE_IN_TEN = {1: 3.078, 2: 1.886, 3: 1.638, 4: 1.533, 5: 1.476}


@dataclass(frozen=True)
class Verdict:
    """What the search found.

    kind: "better"; "unclear": better, but within the noise; "unconfirmed": no time for other seeds; "worse": not with
    other seeds; "default": no trial was better than the recipe.
    gains: by how much the loss is lower, for each seed that the search did not use. noise: a mean gain below is taken for chance.
    """

    kind: str
    default: Record
    best: Record
    gains: list[float] = field(default_factory=list)
    noise: float = 0.0

    @property
    def gain(self) -> float:
        """By how much the loss is lower (nats a token)."""
        return statistics.fmean(self.gains) if self.gains else self.default["loss"] - self.best["loss"]

    @property
    def values(self) -> dict[str, Any]:
        """What to train with."""
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
    if not all(map(math.isfinite, gains)):  # with another seed it did not even finish
        return Verdict("worse", default, best)
    noise = noise_of(gains, [default["loss"], *(theirs[seed] for seed in both)])
    mean = statistics.fmean(gains)
    sure = min(gains) > 0 and mean > noise
    kind = "better" if sure else "unclear" if mean > 0 else "worse"
    return Verdict(kind, default, best, gains, noise)


def noise_of(gains: Sequence[float], defaults: Sequence[float]) -> float:
    """What the mean of the gains would exceed in one of ten cases if there were no difference.

    defaults: losses of the recipe's own values on all seeds, of use where there is but one gain.
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
            "No trial was better than the recipe's own values: stay with them.",
            "没有一个试验比配方原来的值更好：保持不变。",
        )
    if v.kind == "worse":
        return (
            "The best trial was not better than the recipe's own values with other seeds: stay with them.",
            "换了种子，最好的试验并不比配方原来的值好：保持不变。",
        )
    if v.kind == "unconfirmed":
        return (
            f"The best trial's loss is {v.gain:.4f} lower than with the recipe's own values, on the one seed of the search. Part of that is chance, and there was no time to try another seed.",
            f"最好的试验比配方原来的值损失低 {v.gain:.4f}，但只在搜索用的那一个种子上。其中有运气的成分，而时间不够再试别的种子。",
        )
    each = ", ".join(f"{gain:+.4f}" for gain in v.gains)
    if v.kind == "unclear":
        return (
            f"The best trial's loss is {v.gain:.4f} lower than with the recipe's own values, over {plural(seeds, 'other seed')} ({each}). That is within the noise of ±{v.noise:.4f}: it may be chance.",
            f"换 {seeds} 个种子，最好的试验比配方原来的值损失平均低 {v.gain:.4f}（{each}）。这没有超出噪声 ±{v.noise:.4f}：可能只是运气。",
        )
    return (
        f"Better than the recipe's own values: the loss is {v.gain:.4f} lower, over {plural(seeds, 'other seed')} ({each}; noise ±{v.noise:.4f}).",
        f"比配方原来的值好：换 {seeds} 个种子，损失平均低 {v.gain:.4f}（{each}；噪声 ±{v.noise:.4f}）。",
    )
