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
