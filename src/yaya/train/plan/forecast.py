"""What a training will need, before it begins: the batch for so many tokens, and memory (`bench/memory.py`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from yaya.core import distributed
from yaya.model.config import ModelConfig
from yaya.model.decoder import logit_rows
from yaya.train.loop import LoopConfig

ACCUMULATING = 1.15  # gradients of the first micro-batch come to lie between the holes that the second wants to fill
LIBRARIES, LIBRARIES_BF16 = 2e7, 7e7  # bytes that the libraries take once they compute


@dataclass(frozen=True)
class Size:
    """Parameters of a model by their part in its cost."""

    layers: int  # weights of all layers
    embedding: int  # of one table of tokens; the head is the same when it is tied

    @classmethod
    def of(cls, c: ModelConfig) -> Size:
        attention = c.hidden_size * c.head_dim * (2 * c.num_attention_heads + 2 * c.num_key_value_heads)
        return cls(
            c.num_hidden_layers * (attention + 3 * c.hidden_size * c.intermediate_size), c.vocab_size * c.hidden_size
        )


# Fitted to runs of our own by `bench/scaling.py`. Exponents of tokens and of parameters, in falls of the pilot, and of both
# together; of texts made from templates (the primer), which are learned at once: exponents as they are, and the loss that
# no training gets below.
TEXT = 0.793, 0.266, -0.0196
TEMPLATES = -0.813, -0.285, 0.18
REPEATS = 3.0  # a repeated token is worth less and less: after so many repeats 1/e of a new one. Chosen, not fitted
TEMPLATES_FALL = -1.2, -0.45  # the pilot's fall between which a text counts as made from templates
# How far the logarithm of the loss lies above the end's when so much is done, in falls of the pilot: of texts only.
ON_THE_WAY = (0.05, 2.84), (0.1, 2.39), (0.2, 1.76), (0.3, 1.38), (0.5, 0.86), (0.7, 0.44), (0.85, 0.18), (1.0, 0.0)

PILOT_SIZE, PILOT_STEPS, PILOT_BATCH_TOKENS = (64, 3), 800, 1024
PILOT_EARLY = 320  # the step where the learning rate begins to fall
PILOT_TOKENS = PILOT_STEPS * PILOT_BATCH_TOKENS
PILOT_WEIGHTS = 12 * PILOT_SIZE[1] * PILOT_SIZE[0] ** 2
KNOWN_TIMES = (
    0.5,
    120,
    30,
)  # as many parameters, tokens as the pilot's, at least and at most: what the runs behind the fit reach


@dataclass(frozen=True)
class Pilot:
    """What a tiny model learned of the text: `pilot.py`. Losses in nats a token on held-out text."""

    early: float  # where the learning rate begins to fall
    final: float


@dataclass(frozen=True)
class Prospect:
    """What the loss of a pretraining depends on."""

    layers: int  # weights of the layers
    tokens: float
    unique: float  # different ones of them
    pilot: Pilot

    def is_known(self) -> bool:
        """Whether the fit was made from runs of about this size."""
        least, weights, tokens = KNOWN_TIMES
        known = least <= self.layers / PILOT_WEIGHTS <= weights and least <= self.tokens / PILOT_TOKENS <= tokens
        return known and self.fall() > TEMPLATES_FALL[0]

    def fall(self) -> float:
        """Of the pilot's loss while its learning rate fell to zero: the logarithm, below 0."""
        return math.log(self.pilot.final / self.pilot.early)

    def is_template(self) -> bool:
        return self.fall() < TEMPLATES_FALL[1]

    def beyond_pilot(self) -> tuple[float, float]:
        """Logarithms of how many times the pilot's tokens and parameters there are."""
        tokens = effective_tokens(self.tokens, self.unique)
        return math.log(tokens / PILOT_TOKENS), math.log(self.layers / PILOT_WEIGHTS)

    def loss(self, done: float = 1.0) -> float:
        """The loss on held-out text to expect, in nats a token, when a share `done` of the training is over.

        L (D / D_pilot)^(a f + c log(N / N_pilot)) (N / N_pilot)^(b f): the power law of arXiv:2001.08361 from the pilot's
        loss L on. Texts differ in how fast they are learned, so exponents go by f, the logarithm of the pilot's fall.
        """
        fall, (tokens, size) = self.fall(), self.beyond_pilot()
        if self.is_template():
            a, b, floor = TEMPLATES
            final = floor + (self.pilot.final - floor) * math.exp(a * tokens + b * size)
        else:
            a, b, c = TEXT
            final = self.pilot.final * math.exp(a * fall * tokens + b * fall * size + c * tokens * size)
        shares, falls = (list(values) for values in zip(*ON_THE_WAY, strict=True))
        return final * math.exp(-fall * float(np.interp(done, shares, falls)))


def effective_tokens(tokens: float, unique: float) -> float:
    """What `tokens` of training are worth when there are only `unique` different ones (arXiv:2305.16264, eq. 5)."""
    repeats = max(0.0, tokens / max(unique, 1.0) - 1)
    return min(tokens, unique) + unique * REPEATS * (1 - math.exp(-repeats / REPEATS))


def batch_for(tokens: float, row_length: int) -> int:
    """Tokens of one step for a training of so many: a power of two of about their square root (arXiv:2410.21676)."""
    wanted = 2 ** round(math.log2(max(1.2 * math.sqrt(tokens), 1)))
    return max(row_length, min(1 << 20, max(1024, wanted)))


def memory_bytes(c: ModelConfig, config: LoopConfig, dtype: str) -> float:
    """What training adds to a process: weights, gradients, optimizer, a checkpoint's copy, activations of a micro-batch."""
    assert config.micro_batch_tokens is not None and config.batch_tokens is not None
    bytes_per_number = 4 if dtype == "float32" else 2
    micro_tokens, batch_tokens = config.micro_batch_tokens, config.batch_tokens // distributed.world_size()
    muon = config.optimizer == "muon"
    size = Size.of(c)
    table = size.embedding * (1 if c.tie_word_embeddings else 2)
    largest = c.num_hidden_layers * 2 * c.hidden_size * c.intermediate_size  # gate and up are one group
    weights = 4 * (size.layers + table)
    merged = bytes_per_number * size.layers
    optimizer = 4 * (size.layers + 2 * table) if muon else 8 * (size.layers + table)
    update = (8 + 3 * bytes_per_number) * largest if muon else 0
    state = 2 * weights + merged + optimizer + (weights + optimizer)  # gradients; the copy that a save writes
    activations = activation_bytes(c, min(micro_tokens, batch_tokens), bytes_per_number)
    if micro_tokens < batch_tokens:
        activations *= ACCUMULATING
    return state + max(update, activations) + (LIBRARIES_BF16 if bytes_per_number == 2 else LIBRARIES)


def activation_bytes(c: ModelConfig, tokens: int, bytes_per_number: int) -> float:
    """Numbers kept for the backward pass of so many tokens, and the largest that it needs besides."""
    d, f, t = c.hidden_size, c.intermediate_size, c.max_position_embeddings
    heads, kv = c.num_attention_heads, c.num_key_value_heads
    wide, all_heads = heads * c.head_dim, (heads + 2 * kv) * c.head_dim
    # Attention's probabilities, or its kernel's output; two norms' inputs and outputs; q k v before and after turning.
    scores = heads * (t + 128) / 2 if bytes_per_number == 2 else wide + 2 * heads
    layer = 4 * d + 2 * all_heads + scores + wide + 3 * f
    passing = 2 * max(2 * f, all_heads) + 2 * d  # gradients alive at once in one layer
    masks = t * (1 + bytes_per_number) / bytes_per_number
    logits = min(tokens, logit_rows(c.vocab_size)) * c.vocab_size * (4 + 2 * bytes_per_number)
    return tokens * bytes_per_number * (c.num_hidden_layers * layer + passing + masks + 6 * d) + logits
