"""Attention for training on a CPU, with hand-written gradients.

torch's flash kernel in fp32, matrix products in bf16. Both take queries that are already divided by sqrt(d).

Shapes: B batch, T positions, H query heads, K key/value heads, G = H / K, d head_dim; b rows, t queries and s keys of
one block.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from yaya.model.cpu_kernels import row_slices

SCORES_AT_ONCE = 1 << 20  # attention scores that are alive at once
QUERY_BLOCK = 128  # queries whose scores are computed at a time, against the keys up to the last of them


class FlashAttentionFunction(torch.autograd.Function):
    """torch's own kernel. For the backward pass it keeps its output, the log-sum-exp, and one key and value a group."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """q (B, H, T, d), k and v (B, K, T, d), mask (B, 1, T, T) or None for causal -> (B, T, H, d)."""
        heads = q.shape[1]
        y, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            q, _repeat(k, heads), _repeat(v, heads), 0.0, mask is None, attn_mask=mask, scale=1.0
        )  # (B, H, T, d)
        ctx.save_for_backward(q, k, v, y, log_sum)
        ctx.mask = mask
        return y.transpose(1, 2).contiguous()  # (B, T, H, d)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """(B, T, H, d) -> gradients of q, k and v; None for what has no gradient."""
        q, k, v, y, log_sum = ctx.saved_tensors
        kv_heads, heads = k.shape[1], q.shape[1]
        grad_q, grad_k, grad_v = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            grads[0].transpose(1, 2), q, _repeat(k, heads), _repeat(v, heads), y, log_sum, 0.0, ctx.mask is None,
            attn_mask=ctx.mask, scale=1.0,
        )  # fmt: skip
        if kv_heads != heads:
            grad_k, grad_v = (z.unflatten(1, (kv_heads, -1)).sum(2) for z in (grad_k, grad_v))  # (B, K, T, d)
        return grad_q, grad_k, grad_v, None


def _repeat(x: Tensor, heads: int) -> Tensor:
    return x if x.shape[1] == heads else x.repeat_interleave(heads // x.shape[1], 1)  # (B, H, T, d)


class QueryBlocks:
    """Blocks of queries, and the keys that the mask (B, 1, T, T) lets some of them see; found once for all layers."""

    def __init__(self, mask: Tensor | None):
        self.mask = mask
        self.found: dict[int, tuple[slice, Tensor]] = {}  # by the first query

    @staticmethod
    def of(positions: int) -> list[slice]:
        return [slice(i, min(i + QUERY_BLOCK, positions)) for i in range(0, positions, QUERY_BLOCK)]

    def keys(self, queries: slice) -> tuple[slice, Tensor]:
        """The keys that some of these queries see, and what is added to their scores: (B or 1, 1, t, s)."""
        if (known := self.found.get(queries.start)) is not None:
            return known
        keys = slice(0, queries.stop)
        if self.mask is None:
            hidden = torch.ones(queries.stop - queries.start, queries.stop, dtype=torch.bool).triu_(queries.start + 1)
            added = torch.zeros(1, 1, *hidden.shape).masked_fill_(hidden, float("-inf"))
        else:
            seen = (self.mask[:, 0, queries, keys] == 0).flatten(0, 1).any(0)
            first = int(seen.int().argmax())
            # In whole blocks: oneDNN keeps code and memory for each shape that it meets.
            keys = slice(first // QUERY_BLOCK * QUERY_BLOCK, queries.stop)
            added = self.mask[:, :, queries, keys]
        self.found[queries.start] = keys, added
        return keys, added


class MatmulAttentionFunction(torch.autograd.Function):
    """Batched matrix products, a block of queries at a time; keeps each block's probabilities for the backward pass."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, blocks: QueryBlocks) -> Tensor:
        """q (B, H, T, d), k and v (B, K, T, d) -> (B, T, H, d)."""
        b, heads, t, d = q.shape
        y, kept = torch.empty(b, t, heads, d, dtype=q.dtype), []
        by_head = y.transpose(1, 2)  # (B, H, T, d)
        for queries in blocks.of(t):
            keys, added = blocks.keys(queries)
            probabilities = torch.empty(b, heads, *added.shape[2:], dtype=q.dtype)
            for rows in row_slices(b, heads * probabilities[0, 0].numel(), SCORES_AT_ONCE):
                q_, k_, v_ = _grouped(q[rows, :, queries], k), k[rows, :, keys], v[rows, :, keys]
                scores = torch.bmm(q_, k_.flatten(0, 1).mT)  # (b K, G t, s)
                seen = probabilities[rows]
                torch.add(scores.view(seen.shape), added if len(added) == 1 else added[rows], out=seen)
                torch.softmax(seen, -1, out=seen)
                gathered = torch.bmm(_grouped(seen, k), v_.flatten(0, 1))  # (b K, G t, d)
                by_head[rows, :, queries] = gathered.view(-1, heads, seen.shape[2], d)
            kept.append(probabilities)
        ctx.save_for_backward(q, k, v, *kept)
        ctx.blocks = blocks
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """(B, T, H, d) -> gradients of q, k and v; None for what has no gradient."""
        q, k, v, *kept = ctx.saved_tensors
        grad = grads[0].transpose(1, 2)  # (B, H, T, d)
        b, heads, t, d = q.shape
        kv_heads = k.shape[1]
        grad_q = torch.empty(q.shape, dtype=q.dtype)
        grad_k, grad_v = torch.zeros(k.shape, dtype=q.dtype), torch.zeros(k.shape, dtype=q.dtype)
        for queries, probabilities in zip(ctx.blocks.of(t), kept, strict=True):
            for rows in row_slices(b, heads * probabilities[0, 0].numel(), SCORES_AT_ONCE):
                keys = (rows, slice(None), ctx.blocks.keys(queries)[0])
                q_, grad_ = _grouped(q[rows, :, queries], k), _grouped(grad[rows, :, queries], k)
                seen = _grouped(probabilities[rows], k)  # (b K, G t, s)
                grad_v[keys] += torch.bmm(seen.mT, grad_).view(-1, kv_heads, seen.shape[-1], d)
                grad_seen = torch.bmm(grad_, v[keys].flatten(0, 1).mT)
                grad_scores = torch.ops.aten._softmax_backward_data(grad_seen, seen, -1, seen.dtype)
                grad_block = torch.bmm(grad_scores, k[keys].flatten(0, 1))  # (b K, G t, d)
                grad_q[rows, :, queries] = grad_block.view(-1, heads, queries.stop - queries.start, d)
                grad_k[keys] += torch.bmm(grad_scores.mT, q_).view(-1, kv_heads, seen.shape[-1], d)
        return grad_q, grad_k, grad_v, None


def _grouped(x: Tensor, k: Tensor) -> Tensor:
    """x (b, H, t, ...) -> (b K, G t, ...): the queries that share a key head one below the other."""
    return x.unflatten(1, (k.shape[1], -1)).flatten(2, 3).flatten(0, 1)
