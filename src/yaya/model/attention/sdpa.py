"""Attention by torch's `scaled_dot_product_attention`: all without gradients, and training where no other fits.

Shapes: B batch, T positions, H query heads, K key/value heads, d head_dim, S positions that are read.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """q (B, H, T, d), k and v (B, K, S, d), mask (B, 1, T, S) or None for causal -> (B, T, H, d)."""
    heads, kv_heads = q.shape[1], k.shape[1]
    if kv_heads != heads:
        k, v = (z.repeat_interleave(heads // kv_heads, 1) for z in (k, v))  # (B, H, S, d)
    causal = mask is None and q.shape[2] > 1
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal).transpose(1, 2)  # (B, T, H, d)


def same_document(documents: Tensor) -> Tensor:
    """documents (B, T) int64 -> (B, 1, T, T) bool: a position sees itself and those before it in its own document."""
    length = documents.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool, device=documents.device).tril()
    return ((documents[:, :, None] == documents[:, None, :]) & earlier)[:, None]


def additive_mask(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """visible (B, 1, T, S) bool -> what is added to the scores, in dtype: 0 where True, else -inf."""
    return torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill_(~visible, float("-inf"))
