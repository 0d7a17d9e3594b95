"""Attention by FlexAttention, for training on a GPU with compiled layers: documents need no mask of T x T numbers.

Shapes: B batch, T positions, H query heads, K key/value heads, d head_dim.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.attention import flex_attention as flex


def attend(q: Tensor, k: Tensor, v: Tensor, mask: flex.BlockMask) -> Tensor:
    """q (B, H, T, d), k and v (B, K, T, d) -> (B, T, H, d)."""
    y = flex.flex_attention(q, k, v, block_mask=mask, enable_gqa=k.shape[1] != q.shape[1])
    return y.transpose(1, 2)  # (B, T, H, d)


def document_mask(documents: Tensor) -> flex.BlockMask:
    """Which blocks of 128 by 128 positions have anything to see in them; documents (B, T) int64."""

    def seen(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return (documents[b, q] == documents[b, k]) & (q >= k)

    batch, length = documents.shape
    return flex.create_block_mask(seen, batch, None, length, length, documents.device, _compile=documents.is_cuda)
