"""Forecasts a training before it begins: the expected loss (`bench/scaling.py`) and a batch for its number of tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Fitted to runs of our own by `bench/scaling.py`. Exponents of tokens and of parameters, in falls of the probe, and of both
# together; of texts made from templates (the primer), which are learned at once: exponents as they are, and the loss that
# no training gets below.
TEXT = 0.793, 0.266, -0.0196
TEMPLATES = -0.813, -0.285, 0.18
REPEATS = 3.0  # repeated tokens lose value: after this many repeats, worth 1/e of a new one. Chosen, not fitted
TEMPLATES_FALL = -1.2, -0.45  # the probe's fall between which a text counts as made from templates
# How far the logarithm of the loss lies above the end's when so much is done, in falls of the probe: of texts only.
ON_THE_WAY = (0.05, 2.84), (0.1, 2.39), (0.2, 1.76), (0.3, 1.38), (0.5, 0.86), (0.7, 0.44), (0.85, 0.18), (1.0, 0.0)

PROBE_SIZE, PROBE_STEPS, PROBE_BATCH_TOKENS = (64, 3), 800, 1024
PROBE_EARLY = 320  # the step where the learning rate begins to fall
PROBE_TOKENS = PROBE_STEPS * PROBE_BATCH_TOKENS
PROBE_WEIGHTS = 12 * PROBE_SIZE[1] * PROBE_SIZE[0] ** 2
# As many parameters, tokens as the probe's, at least and at most: what the runs behind the fit reach.
KNOWN_TIMES = (0.5, 120, 30)


@dataclass(frozen=True)
class Probe:
    """What a tiny model learned of the text: `probe.py`. Losses in nats a token on held-out text."""

    early: float  # where the learning rate begins to fall
    final: float


@dataclass(frozen=True)
class LossForecast:
    """Everything that a pretraining's final loss depends on."""

    layers: int  # weights of the layers
    tokens: float
    unique: float  # different ones of them
    probe: Probe

    def is_known(self) -> bool:
        """Whether the fit covers runs of about this size."""
        least, weights, tokens = KNOWN_TIMES
        known = least <= self.layers / PROBE_WEIGHTS <= weights and least <= self.tokens / PROBE_TOKENS <= tokens
        return known and self.fall() > TEMPLATES_FALL[0]

    def fall(self) -> float:
        """Of the probe's loss while its learning rate fell to zero: the logarithm, below 0."""
        return math.log(self.probe.final / self.probe.early)

    def is_template(self) -> bool:
        return self.fall() < TEMPLATES_FALL[1]

    def beyond_probe(self) -> tuple[float, float]:
        """Logarithms of how many times the probe's tokens and parameters there are."""
        tokens = effective_tokens(self.tokens, self.unique)
        return math.log(tokens / PROBE_TOKENS), math.log(self.layers / PROBE_WEIGHTS)

    def loss(self, done: float = 1.0) -> float:
        """The expected validation loss, in nats per token, when a share `done` of the training is over.

        L (D / D_probe)^(a f + c log(N / N_probe)) (N / N_probe)^(b f): the power law of arXiv:2001.08361 from the probe's
        loss L on. Texts differ in how fast they are learned, so exponents go by f, the logarithm of the probe's fall.
        """
        fall, (tokens, size) = self.fall(), self.beyond_probe()
        if self.is_template():
            a, b, floor = TEMPLATES
            final = floor + (self.probe.final - floor) * math.exp(a * tokens + b * size)
        else:
            a, b, c = TEXT
            final = self.probe.final * math.exp(a * fall * tokens + b * fall * size + c * tokens * size)
        shares, falls = (list(values) for values in zip(*ON_THE_WAY, strict=True))
        return final * math.exp(-fall * float(np.interp(done, shares, falls)))


def effective_tokens(tokens: float, unique: float) -> float:
    """How many fresh tokens `tokens` of training are worth when only `unique` are distinct (arXiv:2305.16264, eq. 5)."""
    repeats = max(0.0, tokens / max(unique, 1.0) - 1)
    return min(tokens, unique) + unique * REPEATS * (1 - math.exp(-repeats / REPEATS))


def batch_for(tokens: float, row_length: int) -> int:
    """Tokens per step for a training of `tokens`: a power of two near its square root (arXiv:2410.21676)."""
    wanted = 2 ** round(math.log2(max(1.2 * math.sqrt(tokens), 1)))
    return max(row_length, min(1 << 20, max(1024, wanted)))
