"""What a training will need and reach, before it begins: tokens, batch, memory, the loss to expect.

The rules are fitted to runs of our own (`bench/scaling.py`, `bench/LOG.md`) on English, Chinese and the primer, with models
of 0.1 to 12 million parameters; beyond, they are a guess, and say so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from yaya.model.transformer import ModelConfig

REPEATS = (
    15.0  # a repeated token is worth less and less: after so many epochs 1/e of a new one (arXiv:2305.16264, eq. 5)
)


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


def flops_per_token(c: ModelConfig) -> float:
    """Of training: 6 per weight of a product (arXiv:2001.08361, section 2.1), and attention's own products, causal."""
    size = Size.of(c)
    attention = 6 * c.num_hidden_layers * c.num_attention_heads * c.head_dim * c.max_position_embeddings
    return 6 * (size.layers + size.embedding) + attention


def effective_tokens(tokens: float, unique: float) -> float:
    """What `tokens` of training are worth when there are only `unique` different ones (arXiv:2305.16264, eq. 5)."""
    repeats = max(0.0, tokens / max(unique, 1.0) - 1)
    return min(tokens, unique) + unique * REPEATS * (1 - math.exp(-repeats / REPEATS))


def batch_for(tokens: float, row_length: int) -> int:
    """Tokens of one step for a training of so many: a power of two of about their square root (arXiv:2410.21676)."""
    wanted = 2 ** round(math.log2(max(1.2 * math.sqrt(tokens), 1)))
    return max(row_length, min(1 << 20, max(1024, wanted)))


def memory_bytes(c: ModelConfig, micro_tokens: int, batch_tokens: int, muon: bool, bytes_per_number: int) -> float:
    """What training adds to the process: weights, gradients, optimizer, a checkpoint's copy, activations of a micro-batch.

    bytes_per_number: of the computation, 2 in bf16 and 4 in fp32. Found beside measured peaks: `bench/memory.py`.
    """
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
    scores = (
        heads * (t + 128) / 2 if bytes_per_number == 2 else wide + 2 * heads
    )  # probabilities, or the kernel's output
    layer = (
        4 * d + 2 * all_heads + scores + wide + 3 * f
    )  # two norms' inputs and outputs, q k v before and after turning
    passing = 2 * max(2 * f, all_heads) + 2 * d  # gradients alive at once in one layer
    masks = t * (1 + bytes_per_number) / bytes_per_number
    logits = min(tokens, 1024) * c.vocab_size * (4 + 2 * bytes_per_number)
    return tokens * bytes_per_number * (c.num_hidden_layers * layer + passing + masks + 6 * d) + logits
