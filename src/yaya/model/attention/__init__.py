"""Attention, softmax(Q K^T / sqrt(d)) V (arXiv:1706.03762): one `attend`, and a file for each backend that computes it.

A context is made once for each forward pass, and with it the backend is chosen; the layers only use it.

Shapes: B batch, T positions, H query heads, K key/value heads, d head_dim, L layers, S positions in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from yaya.model.attention import cpu, flex, sdpa
from yaya.model.model_config import ModelConfig


class Backend(NamedTuple):
    """A way to compute attention."""

    attend: Callable[[Tensor, Tensor, Tensor, Any], Tensor]  # (q, k, v, a mask in the backend's own form)
    scaled_queries: bool = False  # whether it expects queries that are already divided by sqrt(d)


BACKENDS = {
    "sdpa": Backend(sdpa.attend),
    "flex": Backend(flex.attend),
    "cpu_flash": Backend(cpu.FlashAttentionFunction.apply, scaled_queries=True),
    "cpu_matmul": Backend(cpu.MatmulAttentionFunction.apply, scaled_queries=True),
}


def choose_backend(training: bool, device: str, dtype: torch.dtype, compiled: bool, packed: bool) -> str:
    """A key of BACKENDS. Nothing else decides how attention is computed.

    training: with gradients; device: a `torch.device.type`; compiled: whether training compiles the layers;
    packed: whether a row holds several documents.
    """
    if training and compiled:
        return "flex" if packed and device == "cuda" else "sdpa"  # on a CPU, FlexAttention has no backward pass
    if training and device == "cpu":
        return "cpu_flash" if dtype == torch.float32 else "cpu_matmul"  # bench/LOG.md: in fp32 the kernel is as fast
    return "sdpa"


class KVCache:
    """Keys and values of B sequences, S positions each: (L, B, K, S, d)."""

    def __init__(self, config: ModelConfig, batch: int, positions: int, dtype: torch.dtype, device: str = "cpu"):
        shape = (config.num_hidden_layers, batch, config.num_key_value_heads, positions, config.head_dim)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)

    @property
    def rows(self) -> int:
        return self.keys.shape[1]

    def copy_rows(self, source: KVCache, from_rows: slice, to_rows: slice, length: int) -> None:
        """Takes over the first `length` positions of some rows of `source`, which may be this cache itself."""
        self.keys[:, to_rows, :, :length] = source.keys[:, from_rows, :, :length]
        self.values[:, to_rows, :, :length] = source.values[:, from_rows, :, :length]


@dataclass
class CacheSlots:
    """The places of a cache that one forward pass writes and reads."""

    cache: KVCache
    first_row: int  # the batch stands for rows first_row .. first_row + B
    positions: Tensor  # (B, T) int64: where the new keys and values go
    length: int  # positions 0 .. length are read

    def update(self, k: Tensor, v: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Writes k and v (B, K, T, d); returns all that is read, (B, K, length, d) each, as views of the cache."""
        here = slice(self.first_row, self.first_row + len(k))
        keys, values = self.cache.keys[layer, here], self.cache.values[layer, here]  # (B, K, S, d)
        row = torch.arange(len(k), device=k.device)[:, None]
        keys[row, :, self.positions] = k.transpose(1, 2)
        values[row, :, self.positions] = v.transpose(1, 2)
        return keys[:, :, : self.length], values[:, :, : self.length]


@dataclass
class AttentionContext:
    """What all layers of one forward pass share: rotary angles, who sees whom, the cache, and the backend."""

    cos: Tensor  # (B or 1, T, 1, d/2) fp32
    sin: Tensor
    backend: Backend
    mask: Any = None  # in the backend's own form; None: each position sees itself and all before it
    cache: CacheSlots | None = None


def make_context(
    cos: Tensor,
    sin: Tensor,
    dtype: torch.dtype,
    compiled: bool = False,
    documents: Tensor | None = None,
    visible: Tensor | None = None,
    cache: CacheSlots | None = None,
) -> AttentionContext:
    """`Transformer.attention_context`, from its angles cos, sin (B or 1, T, 1, d/2) fp32. dtype: of the computation."""
    packed = documents is not None
    name = choose_backend(torch.is_grad_enabled(), cos.device.type, dtype, compiled, packed)
    mask: Any = None
    if name == "flex":
        assert documents is not None
        mask = flex.document_mask(documents)
    else:
        if documents is not None:
            visible = sdpa.same_document(documents)  # (B, 1, T, T)
        if visible is not None:
            mask = sdpa.additive_mask(visible, dtype)
        if name == "cpu_matmul":
            mask = cpu.QueryBlocks(mask)
    return AttentionContext(cos, sin, BACKENDS[name], mask, cache)


def attend(q: Tensor, k: Tensor, v: Tensor, context: AttentionContext) -> Tensor:
    """q (B, H, T, d), k and v (B, K, S, d) -> what the heads gather (B, T, H, d), in q's dtype.

    The queries come divided by sqrt(d) where `context.backend.scaled_queries`, else as they are.
    """
    return context.backend.attend(q, k, v, context.mask)
