"""The memory that a training will need, before it begins (`bench/memory.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from yaya.core import distributed
from yaya.model.decoder import logit_rows
from yaya.model.model_config import ModelConfig
from yaya.train.loop_config import LoopConfig

ACCUMULATING = 1.15  # gradients of the first micro-batch come to lie between the holes that the second wants to fill
LIBRARIES, LIBRARIES_BF16 = 2e7, 7e7  # bytes that the libraries take once they compute


@dataclass(frozen=True)
class Size:
    """A model's parameter counts, as the memory estimate needs them."""

    layers: int  # weights of all layers
    embedding: int  # of one table of tokens; the head is the same when it is tied

    @classmethod
    def of(cls, c: ModelConfig) -> Size:
        attention = c.hidden_size * c.head_dim * (2 * c.num_attention_heads + 2 * c.num_key_value_heads)
        layer = attention + 3 * c.hidden_size * c.intermediate_size
        return cls(c.num_hidden_layers * layer, c.vocab_size * c.hidden_size)


def memory_bytes(c: ModelConfig, config: LoopConfig, dtype: str) -> float:
    """Memory that training adds: weights, gradients, optimizer, a checkpoint's copy, activations of a micro-batch."""
    assert config.micro_batch_tokens is not None and config.batch_tokens is not None
    bytes_per_number = 4 if dtype == "float32" else 2
    micro_tokens, batch_tokens = config.micro_batch_tokens, config.batch_tokens // distributed.world_size()
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
    """Values kept for the backward pass of `tokens`, and the most that it needs besides."""
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
