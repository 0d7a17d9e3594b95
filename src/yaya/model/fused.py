"""Pieces of the transformer with hand-written gradients: fewer passes over memory than autograd's own.

Numbers that are added up (norms, rotations, softmax, the loss) are computed in fp32, a few rows at a time, so that they
stay in the processor's cache; what is kept for the backward pass is in the type of the computation.

Shapes: N rows, D features, B batch, T positions, H query heads, K key/value heads, G = H / K, d = head_dim,
V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from yaya.model.transformer import Where

CACHE_NUMBERS = 1 << 18  # that are worked on at a time in pointwise work, so that they stay in a core's own cache
SCORE_NUMBERS = 1 << 20  # attention scores that are alive at once
LOGIT_ROWS = (256, 1024)  # rows of logits alive at once on a CPU: at least, at most
LOGIT_NUMBERS = 1 << 22  # logits alive at once on a CPU, as far as these rows allow
LOGIT_NUMBERS_GPU = 1 << 27  # the same elsewhere: many small products leave a GPU waiting
LOGIT_ROUND = 128  # to which rows are filled up: oneDNN keeps code and memory for each shape that it meets
QUERY_BLOCK = 128  # queries whose scores are computed at a time, against the keys up to the last of them
SMALLEST = torch.finfo(torch.float32).tiny  # a probability below it counts as it: a loss of at most 87 nats


def by_hand(x: Tensor) -> bool:
    """Whether the pieces here are used: training on a CPU, for whose cache they are. A compiler does better with torch's own."""
    return torch.is_grad_enabled() and x.device.type == "cpu" and not torch.compiler.is_compiling()


def pieces(rows: int, row_size: int, numbers: int = CACHE_NUMBERS) -> Iterator[slice]:
    """Slices of the rows (of `row_size` numbers each), each of about so many numbers."""
    step = max(1, numbers // max(1, row_size))
    return (slice(start, start + step) for start in range(0, rows, step))


# ---------------------------------------------------------------- linear layers


class Packed:
    """Weights of linear layers side by side in the type of the computation, made anew only when one has changed."""

    def __init__(self) -> None:
        self.keep = True
        self.made_from: tuple[Any, ...] = ()
        self.weight: Tensor | None = None

    def get(self, weights: tuple[Tensor, ...], dtype: torch.dtype) -> Tensor:
        """weights (F_i, D) each -> (sum F_i, D) in dtype."""
        made_from = (dtype, *((w.data_ptr(), None if w.is_inference() else w._version) for w in weights))
        if made_from != self.made_from or self.weight is None:
            parts = [w.detach().to(dtype) for w in weights]
            self.weight = parts[0] if len(parts) == 1 else torch.cat(parts)
            self.made_from = made_from
        return self.weight


class Linear(torch.autograd.Function):
    """x (..., D) through several linear layers at once: one large product, their outputs side by side (..., sum F_i)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, packed: Tensor, *weights: Tensor) -> Tensor:
        ctx.save_for_backward(x, packed)
        ctx.sizes = [len(w) for w in weights]
        return F.linear(x, packed)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, packed = ctx.saved_tensors
        grad = grads[0].flatten(0, -2)  # (N, sum F)
        grad_x = (grad @ packed).view(x.shape) if ctx.needs_input_grad[0] else None
        grad_weights = (grad.T @ x.flatten(0, -2)).float().split(ctx.sizes)
        return grad_x, None, *grad_weights


# ---------------------------------------------------------------- norms


class RMSNorm(torch.autograd.Function):
    """y = x / sqrt(mean(x^2) + eps) * weight over the last axis (arXiv:1910.07467)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        rows = x.flatten(0, -1 - weight.dim())  # (N, D), or (N, H, D) for a norm of each head
        y, scales = torch.empty_like(rows), torch.empty(*rows.shape[:-1], 1, device=x.device)
        for piece in pieces(len(rows), weight.numel()):
            unit, scales[piece] = _to_unit(rows[piece], eps)
            y[piece] = unit.mul_(weight)
        ctx.save_for_backward(x, weight, scales)
        return y.view(x.shape)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight, scales = ctx.saved_tensors
        rows, grad = (z.flatten(0, -1 - weight.dim()) for z in (x, grads[0]))
        out, grad_weight = torch.empty_like(rows), torch.zeros_like(weight)
        for piece in pieces(len(rows), weight.numel()):
            unit = rows[piece].float() * scales[piece]
            out[piece], along = _through_norm(grad[piece], unit, weight, scales[piece])
            grad_weight += along.sum(0)
        return out.view(x.shape), grad_weight, None


def _to_unit(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """x (..., D) -> (x / sqrt(mean(x^2) + eps), the factor (..., 1)), both fp32."""
    x = x.to(torch.float32, copy=True)
    scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()
    return x.mul_(scale), scale


def _through_norm(grad: Tensor, unit: Tensor, weight: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of y = unit(x) * weight, given that of y (..., D): (with respect to x, grad * unit), both fp32."""
    grad = grad.to(torch.float32, copy=True)
    along = grad * unit
    mean = (along * weight).sum(-1, keepdim=True).div_(-unit.shape[-1])
    return grad.mul_(weight).addcmul_(unit, mean).mul_(scale), along


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMSNorm over the last axis, computed in fp32, given back in x's dtype."""
    if by_hand(x):
        return RMSNorm.apply(x, weight, eps)  # type: ignore[no-any-return]
    return (F.rms_norm(x.float(), weight.shape[-1:], None, eps) * weight).to(x.dtype)


# ---------------------------------------------------------------- attention


class Attention(torch.autograd.Function):
    """Queries, keys and values side by side (B, T, H + 2K, d) -> what the heads gather (B, T, H, d).

    Norms of queries and keys (weight (H + K, d), or None), rotary positions (arXiv:2104.09864), softmax(Q K^T / sqrt(d)) V,
    where Q is divided by sqrt(d) before the product.
    """

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, weight: Tensor | None, kv_heads: int, eps: float, where: Where) -> Tensor:
        heads = qkv.shape[2] - 2 * kv_heads
        qk, v, scales = norm_rotate(qkv, weight, kv_heads, eps, where.cos, where.sin)
        q, k = qk.split([heads, kv_heads], 1)
        attend = _products if where.products else _kernel
        y, kept = attend(q, k, v, where)  # y (B, H, T, d), T before H in memory
        ctx.where, ctx.kv_heads = where, kv_heads
        ctx.save_for_backward(qkv, qk, v, *kept, *(() if weight is None else (weight, scales)))
        ctx.normed = weight is not None
        return y.transpose(1, 2).contiguous()  # (B, T, H, d)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        qkv, qk, v, *kept = ctx.saved_tensors
        weight, scales = (kept[-2], kept[-1]) if ctx.normed else (None, None)
        kept = kept[:-2] if ctx.normed else kept
        where, kv_heads = ctx.where, ctx.kv_heads
        heads = qk.shape[1] - kv_heads
        q, k = qk.split([heads, kv_heads], 1)
        back = _products_backward if where.products else _kernel_backward
        grad_qk, grad_v = back(grads[0].transpose(1, 2), q, k, v, kept, where)
        grad_qkv, grad_weight = norm_rotate_backward(grad_qk, grad_v, qkv, weight, scales, where.cos, where.sin)
        return grad_qkv, grad_weight, None, None, None


def norm_rotate(
    qkv: Tensor, weight: Tensor | None, kv_heads: int, eps: float, cos: Tensor, sin: Tensor
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Norms and rotations of queries and keys, head by head.

    qkv (B, T, H + 2K, d); cos, sin (B or 1, T, 1, d/2) fp32 -> qk (B, H + K, T, d) with the queries divided by sqrt(d),
    v (B, K, T, d), scales (B, T, H + K, 1).
    """
    b, t, all_heads, d = qkv.shape
    turned = all_heads - kv_heads
    factor = _factor(weight, turned - kv_heads, kv_heads, d)
    qk = torch.empty(b, turned, t, d, dtype=qkv.dtype, device=qkv.device)
    scales = torch.empty(b, t, turned, 1, device=qkv.device) if weight is not None else None
    for piece in pieces(b, t * turned * d):
        x = qkv[piece, :, :turned].float()
        if scales is not None:
            x, scales[piece] = _to_unit(x, eps)
        _rotate_into(qk[piece].transpose(1, 2), x * factor, *_angles(cos, sin, piece))
    return qk, qkv[:, :, turned:].transpose(1, 2).contiguous(), scales


def norm_rotate_backward(
    grad_qk: Tensor,
    grad_v: Tensor,
    qkv: Tensor,
    weight: Tensor | None,
    scales: Tensor | None,
    cos: Tensor,
    sin: Tensor,
) -> tuple[Tensor, Tensor | None]:
    """Gradients with respect to qkv (B, T, H + 2K, d) and the norms' weight: a rotation's is the opposite rotation."""
    turned, kv_heads, d = grad_qk.shape[1], grad_v.shape[1], qkv.shape[-1]
    factor = _factor(weight, turned - kv_heads, kv_heads, d)
    out, grad_factor = torch.empty_like(qkv), torch.zeros_like(factor)
    for piece in pieces(len(qkv), grad_qk[0].numel()):
        grad = grad_qk[piece].transpose(1, 2).float()  # (b, T, H + K, d)
        c, s = _angles(cos, sin, piece)
        back = torch.empty_like(grad)
        _rotate_into(back, grad, c, -s)
        if scales is None:
            back.mul_(factor)
        else:
            unit = qkv[piece, :, :turned].float() * scales[piece]
            back, along = _through_norm(back, unit, factor, scales[piece])
            grad_factor += along.sum((0, 1))
        out[piece, :, :turned] = back
    out[:, :, turned:] = grad_v.transpose(1, 2)
    if weight is None:
        return out, None
    grad_factor[: turned - kv_heads] *= d**-0.5
    return out, grad_factor


def _factor(weight: Tensor | None, heads: int, kv_heads: int, d: int) -> Tensor:
    """What queries and keys are multiplied by, (H + K, d or 1): the norms' weight, and for queries 1/sqrt(d) of the softmax."""
    ones = torch.ones(heads + kv_heads, 1)
    ones[:heads] = d**-0.5
    return ones if weight is None else weight * ones


def _angles(cos: Tensor, sin: Tensor, piece: slice) -> tuple[Tensor, Tensor]:
    return (cos, sin) if len(cos) == 1 else (cos[piece], sin[piece])


def _rotate_into(out: Tensor, x: Tensor, cos: Tensor, sin: Tensor) -> None:
    """Halves rotated as in HF. x (B, T, H, d) fp32; cos, sin (B, T, 1, d/2); out like x in any type."""
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    out[..., :half] = (first * cos).addcmul_(second, sin, value=-1)
    out[..., half:] = (second * cos).addcmul_(first, sin)


def _kernel(q: Tensor, k: Tensor, v: Tensor, where: Where) -> tuple[Tensor, list[Tensor]]:
    """Attention by torch's own kernel; kept for the backward pass: its output and log-sum-exp."""
    k, v = _repeat(k, q.shape[1]), _repeat(v, q.shape[1])
    y, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        q, k, v, 0.0, where.mask is None, attn_mask=where.mask, scale=1.0
    )
    return y, [y, log_sum]


def _kernel_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, kept: list[Tensor], where: Where
) -> tuple[Tensor, Tensor]:
    kv_heads, heads = k.shape[1], q.shape[1]
    grad_q, grad_k, grad_v = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
        grad, q, _repeat(k, heads), _repeat(v, heads), *kept, 0.0, where.mask is None, attn_mask=where.mask, scale=1.0
    )
    if kv_heads != heads:
        grad_k, grad_v = (z.unflatten(1, (kv_heads, -1)).sum(2) for z in (grad_k, grad_v))
    return torch.cat([grad_q, grad_k], 1), grad_v


def _repeat(x: Tensor, heads: int) -> Tensor:
    return x if x.shape[1] == heads else x.repeat_interleave(heads // x.shape[1], 1)


def _products(q: Tensor, k: Tensor, v: Tensor, where: Where) -> tuple[Tensor, list[Tensor]]:
    """Attention as batched matrix products; kept for the backward pass: each block's probabilities.

    q (B, H, T, d), k and v (B, K, T, d) -> y (B, H, T, d). Of each block of queries only the keys that some of them see.
    """
    b, heads, t, d = q.shape
    y, kept = torch.empty(b, t, heads, d, dtype=q.dtype).transpose(1, 2), []
    for queries in _query_blocks(t):
        keys, hidden = where.block(queries)
        probabilities = torch.empty(b, heads, *hidden.shape[2:], dtype=q.dtype)
        for piece in pieces(b, heads * probabilities[0, 0].numel(), SCORE_NUMBERS):
            q_, k_, v_ = _grouped(q[piece, :, queries], k), k[piece, :, keys], v[piece, :, keys]
            scores = torch.bmm(q_, k_.flatten(0, 1).mT)  # (b K, G t, T)
            seen = probabilities[piece]
            torch.add(scores.view(seen.shape), hidden if len(hidden) == 1 else hidden[piece], out=seen)
            torch.softmax(seen, -1, out=seen)
            y[piece, :, queries] = torch.bmm(_grouped(seen, k), v_.flatten(0, 1)).view(-1, heads, seen.shape[2], d)
        kept.append(probabilities)
    return y, kept


def _products_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, kept: list[Tensor], where: Where
) -> tuple[Tensor, Tensor]:
    b, heads, t, d = q.shape
    kv_heads = k.shape[1]
    grad_qk = torch.empty(b, heads + kv_heads, t, d, dtype=q.dtype)
    grad_k = torch.zeros(b, kv_heads, t, d, dtype=q.dtype)
    grad_v = torch.zeros_like(grad_k)
    for queries, probabilities in zip(_query_blocks(t), kept, strict=True):
        for piece in pieces(b, heads * probabilities[0, 0].numel(), SCORE_NUMBERS):
            keys = (piece, slice(None), where.block(queries)[0])
            q_, grad_ = _grouped(q[piece, :, queries], k), _grouped(grad[piece, :, queries], k)
            seen = _grouped(probabilities[piece], k)  # (b K, G t, T)
            grad_v[keys] += torch.bmm(seen.mT, grad_).view(-1, kv_heads, seen.shape[-1], d)
            grad_seen = torch.bmm(grad_, v[keys].flatten(0, 1).mT)
            grad_scores = torch.ops.aten._softmax_backward_data(grad_seen, seen, -1, seen.dtype)
            grad_q = torch.bmm(grad_scores, k[keys].flatten(0, 1))
            grad_qk[piece, :heads, queries] = grad_q.view(-1, heads, queries.stop - queries.start, d)
            grad_k[keys] += torch.bmm(grad_scores.mT, q_).view(-1, kv_heads, seen.shape[-1], d)
    grad_qk[:, heads:] = grad_k
    return grad_qk, grad_v


def _query_blocks(positions: int) -> list[slice]:
    return [slice(i, min(i + QUERY_BLOCK, positions)) for i in range(0, positions, QUERY_BLOCK)]


def _grouped(x: Tensor, k: Tensor) -> Tensor:
    """x (b, H, t, ...) -> (b K, G t, ...): the queries that share a key head one below the other."""
    return x.unflatten(1, (k.shape[1], -1)).flatten(2, 3).flatten(0, 1)


# ---------------------------------------------------------------- feed-forward and loss


class SwiGLU(torch.autograd.Function):
    """silu(gate) * up (arXiv:2002.05202); gate and up side by side in one tensor (N, 2F)."""

    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        ctx.save_for_backward(gate_up)
        gate, up = gate_up.chunk(2, -1)
        return F.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (gate_up,) = ctx.saved_tensors
        gate, up = gate_up.chunk(2, -1)
        out = torch.empty_like(gate_up)
        grad_gate, grad_up = out.chunk(2, -1)
        torch.mul(grads[0], F.silu(gate), out=grad_up)
        torch.ops.aten.silu_backward.grad_input(grads[0] * up, gate, grad_input=grad_gate)
        return out


def swiglu(gate_up: Tensor) -> Tensor:
    """silu(gate) * up; gate and up side by side (..., 2F) -> (..., F)."""
    if by_hand(gate_up):
        return SwiGLU.apply(gate_up)  # type: ignore[no-any-return]
    gate, up = gate_up.chunk(2, -1)
    return F.silu(gate) * up


class WeightedCrossEntropy(torch.autograd.Function):
    """sum_i weight_i * (-log softmax(hidden_i @ head^T)[label_i]), without keeping all logits.

    The gradients are computed on the way, some rows at a time.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        cast, count = head.to(hidden.dtype), len(hidden)
        filling = -count % LOGIT_ROUND
        hidden = F.pad(hidden, (0, 0, 0, filling))
        labels, weights = F.pad(labels, (0, filling)), F.pad(weights, (0, filling))
        grad_hidden = torch.empty_like(hidden)
        grad_head = torch.zeros(head.shape, dtype=torch.float32, device=head.device)
        total = torch.zeros(
            (), dtype=torch.float64 if hidden.device.type != "mps" else torch.float32, device=hidden.device
        )
        step = logit_rows(len(head), hidden.device.type)
        for start in range(0, len(hidden), step):
            rows = slice(start, start + step)
            logits = (hidden[rows] @ cast.T).float()  # (N, V)
            label, weight = labels[rows, None], weights[rows, None]
            probabilities = torch.softmax(logits, -1, out=logits)  # in place: the largest tensor there is
            total -= (probabilities.gather(1, label).clamp_min_(SMALLEST).log_() * weight).sum()
            if not ctx.needs_input_grad[0]:
                continue
            grad_logits = probabilities.scatter_add_(1, label, -torch.ones_like(weight)).mul_(weight).to(hidden.dtype)
            torch.mm(grad_logits, cast, out=grad_hidden[rows])
            if hidden.dtype == torch.float32:
                grad_head.addmm_(grad_logits.T, hidden[rows])
            else:
                grad_head += (grad_logits.T @ hidden[rows]).float()
        ctx.save_for_backward(grad_hidden[:count], grad_head)
        return total.float()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_hidden, grad_head = ctx.saved_tensors
        return grad_hidden * grads[0].to(grad_hidden.dtype), grad_head * grads[0], None, None


def logit_rows(vocab_size: int, device: str = "cpu") -> int:
    """How many rows of logits are computed at a time."""
    least, most = LOGIT_ROWS
    if device != "cpu":
        return max(most, LOGIT_NUMBERS_GPU // vocab_size)
    return min(most, max(least, LOGIT_NUMBERS // vocab_size // LOGIT_ROUND * LOGIT_ROUND))


def cross_entropy_sum(hidden: Tensor, head: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of the cross entropy in nats. hidden (N, D), head (V, D), labels (N,) int64, weights (N,) fp32."""
    return WeightedCrossEntropy.apply(hidden, head, labels, weights)  # type: ignore[no-any-return]
