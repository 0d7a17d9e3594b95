"""How the next token is chosen from the scores. Shapes: V vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from yaya.core.messages import UserError


@dataclass(frozen=True)
class SamplingParams:
    """temperature 0 is greedy; top_k 0 and top_p 1 are off; a seed makes replies repeatable. UserError out of range."""

    max_new_tokens: int = 256
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None

    def __post_init__(self) -> None:
        limits = {
            "max_new_tokens": self.max_new_tokens >= 1,
            "temperature": 0 <= self.temperature <= 100,
            "top_k": self.top_k >= 0,
            "top_p": 0 < self.top_p <= 1,
            "seed": self.seed is None or -(1 << 63) <= self.seed < 1 << 63,
            "repetition_penalty": 0 < self.repetition_penalty <= 100,
        }
        for name, good in limits.items():
            if not good:
                value = getattr(self, name)
                raise UserError(f"{name}={value} is out of range.", f"{name}={value} 超出范围。")


def make_sampler(sampling: SamplingParams) -> Callable[[Tensor, Sequence[int]], int]:
    """A function (scores (V,) fp32, ids so far) -> next id, with its own random state."""
    generator = torch.Generator()
    if sampling.seed is None:
        generator.seed()
    else:
        generator.manual_seed(sampling.seed)

    def sample(scores: Tensor, ids: Sequence[int]) -> int:
        if sampling.repetition_penalty != 1.0 and ids:
            scores = apply_repetition_penalty(scores, ids, sampling.repetition_penalty)
        if sampling.temperature < 1e-6:  # dividing by less would overflow
            return int(scores.argmax())
        return sample_token(scores / sampling.temperature, sampling.top_k, sampling.top_p, generator)

    return sample


def apply_repetition_penalty(scores: Tensor, ids: Sequence[int], penalty: float) -> Tensor:
    """Scores of ids that occurred are divided (if positive) or multiplied by `penalty` (CTRL, arXiv:1909.05858)."""
    seen = torch.tensor(sorted(set(ids)))
    old = scores[seen]
    return scores.index_copy(0, seen, torch.where(old > 0, old / penalty, old * penalty))


def sample_token(scores: Tensor, top_k: int, top_p: float, generator: torch.Generator) -> int:
    """One id from softmax(scores), scores (V,) fp32.

    Cut to the top_k best, and to the smallest set with probability top_p (arXiv:1904.09751).
    """
    ordered, index = scores.sort(descending=True, stable=True)
    if top_k:
        ordered = ordered[:top_k]
    mass = ordered.double().softmax(0).cumsum(0)
    if top_p < 1:
        kept = int((mass < top_p).sum()) + 1
        mass = mass[:kept]
    point = torch.rand((), generator=generator, dtype=torch.float64) * mass[-1]
    return int(index[min(int(torch.searchsorted(mass, point, right=True)), len(mass) - 1)])
