"""What a training will need, before it begins: the batch for so many tokens, and memory (`bench/memory.py`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from yaya.core import ranks
from yaya.model.transformer import ModelConfig
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


REPEATS = 15.0  # a repeated token is worth less and less: after so many epochs 1/e of a new one
# Of `Prospect.features`, fitted to runs of our own (`bench/scaling.py`).
WEIGHTS: tuple[float, ...] = ()


@dataclass(frozen=True)
class Prospect:
    """What the loss of a pretraining depends on."""

    size: Size
    tokens: float  # of the text that is validated on, repeats included
    unique: float  # different ones of them
    difficulty: tuple[float, ...]  # nats a token under n-grams of order 1 to 4: `difficulty.py`

    def loss(self, done: float = 1.0) -> float:
        """The loss on held-out text to expect, in nats a token, when a share `done` of the training is over."""
        return math.exp(sum(w * x for w, x in zip(WEIGHTS, self.features(), strict=True)) + on_the_way(done))

    def features(self) -> list[float]:
        """What the logarithm of the final loss is linear in."""
        h1, h2, h3, h4 = (math.log(max(nats, 1e-3)) for nats in self.difficulty)
        d = math.log(effective_tokens(self.tokens, self.unique) / 1e6)
        n = math.log(self.size.layers / 1e6)
        return [1.0, h1, h2, h3, h4, d, n, d * d, d * n, n * n, d * (h4 - h1), n * (h4 - h1)]


def effective_tokens(tokens: float, unique: float) -> float:
    """What `tokens` of training are worth when there are only `unique` different ones (arXiv:2305.16264, eq. 5)."""
    repeats = max(0.0, tokens / max(unique, 1.0) - 1)
    return min(tokens, unique) + unique * REPEATS * (1 - math.exp(-repeats / REPEATS))


def on_the_way(done: float) -> float:
    """How far the logarithm of the loss lies above the end's when a share `done` of the steps is over."""
    return 0.0


def batch_for(tokens: float, row_length: int) -> int:
    """Tokens of one step for a training of so many: a power of two of about their square root (arXiv:2410.21676)."""
    wanted = 2 ** round(math.log2(max(1.2 * math.sqrt(tokens), 1)))
    return max(row_length, min(1 << 20, max(1024, wanted)))


def memory_bytes(c: ModelConfig, config: LoopConfig, dtype: str) -> float:
    """What training adds to a process: weights, gradients, optimizer, a checkpoint's copy, activations of a micro-batch."""
    assert config.micro_batch_tokens is not None and config.batch_tokens is not None
    bytes_per_number = 4 if dtype == "float32" else 2
    micro_tokens, batch_tokens = config.micro_batch_tokens, config.batch_tokens // ranks.world_size()
    muon = config.optimizer == "muon"
    size = Size.of(c)
    table = size.embedding * (1 if c.tie_word_embeddings else 2)
    largest = c.num_hidden_layers * 2 * c.hidden_size * c.intermediate_size  # gate and up are one group
    weights = 4 * (size.layers + table)
    packed = bytes_per_number * size.layers
    optimizer = 4 * (size.layers + 2 * table) if muon else 8 * (size.layers + table)
    update = (8 + 3 * bytes_per_number) * largest if muon else 0
    state = 2 * weights + packed + optimizer + (weights + optimizer)  # gradients; the copy that a save writes
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
    logits = min(tokens, 1024) * c.vocab_size * (4 + 2 * bytes_per_number)
    return tokens * bytes_per_number * (c.num_hidden_layers * layer + passing + masks + 6 * d) + logits
