"""Norms, rotary positions and SwiGLU with hand-written gradients, for training on a CPU.

They pass over memory less often than autograd's own: a few rows at a time, so that these stay in the processor's cache.
Norms and rotations are computed in fp32; what is kept for the backward pass is in the type of the computation.

Shapes: N rows, D features, B batch (b: some of it), T positions, H query heads, K key/value heads, d head_dim,
F intermediate_size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

NUMBERS_AT_ONCE = 1 << 18  # worked on at a time in pointwise work, so that they stay in a core's own cache


def use_cpu_kernels(x: Tensor) -> bool:
    """Whether x is computed by this file: training on a CPU. A compiler does better with torch's own functions."""
    return torch.is_grad_enabled() and x.device.type == "cpu" and not torch.compiler.is_compiling()


def row_slices(rows: int, row_size: int, numbers: int = NUMBERS_AT_ONCE) -> Iterator[slice]:
    """Slices of the rows (of `row_size` numbers each), each of about so many numbers."""
    step = max(1, numbers // max(1, row_size))
    return (slice(start, start + step) for start in range(0, rows, step))


class RMSNormFunction(torch.autograd.Function):
    """y = x / sqrt(mean(x^2) + eps) * weight over the last axis (arXiv:1910.07467)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        """x (..., D) and weight (D,), or (..., H, D) and (H, D) for a norm of each head -> like x."""
        rows = x.flatten(0, -1 - weight.dim())  # (N, D) or (N, H, D)
        y, scales = torch.empty_like(rows), torch.empty(*rows.shape[:-1], 1, device=x.device)
        for some in row_slices(len(rows), weight.numel()):
            unit, scales[some] = _to_unit(rows[some], eps)
            y[some] = unit.mul_(weight)
        ctx.save_for_backward(x, weight, scales)
        return y.view(x.shape)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        """Gradients of x and of the weight."""
        x, weight, scales = ctx.saved_tensors
        rows, grad = (z.flatten(0, -1 - weight.dim()) for z in (x, grads[0]))  # (N, D) or (N, H, D)
        out, grad_weight = torch.empty_like(rows), torch.zeros_like(weight)
        for some in row_slices(len(rows), weight.numel()):
            unit = rows[some].float() * scales[some]
            out[some], along = _through_norm(grad[some], unit, weight, scales[some])
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


class NormRotateFunction(torch.autograd.Function):
    """Norms of queries and keys, head by head, and rotary positions (arXiv:2104.09864)."""

    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, weight: Tensor | None, kv_heads: int, eps: float, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """qkv (B, T, H + 2K, d) -> q (B, H, T, d) divided by sqrt(d), k and v (B, K, T, d).

        weight (H + K, d) of the norms, or None; cos, sin (B or 1, T, 1, d/2) fp32. The queries are divided in fp32.
        """
        b, t, all_heads, d = qkv.shape
        turned = all_heads - kv_heads
        factor = _factor(weight, turned - kv_heads, kv_heads, d)
        qk = torch.empty(b, turned, t, d, dtype=qkv.dtype, device=qkv.device)
        scales = torch.empty(b, t, turned, 1, device=qkv.device) if weight is not None else None
        for rows in row_slices(b, t * turned * d):
            x = qkv[rows, :, :turned].float()
            if scales is not None:
                x, scales[rows] = _to_unit(x, eps)
            _rotate_into(qk[rows].transpose(1, 2), x * factor, *_angles(cos, sin, rows))  # (b, T, H + K, d)
        ctx.save_for_backward(qkv, weight, scales, cos, sin)
        q, k = qk.split([turned - kv_heads, kv_heads], 1)
        return q, k, qkv[:, :, turned:].transpose(1, 2).contiguous()  # (B, K, T, d)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of qkv and of the weight, None for the rest: a rotation's is the opposite rotation."""
        grad_q, grad_k, grad_v = grads
        qkv, weight, scales, cos, sin = ctx.saved_tensors
        heads, kv_heads, (b, t, _, d) = grad_q.shape[1], grad_k.shape[1], qkv.shape
        turned = heads + kv_heads
        factor = _factor(weight, heads, kv_heads, d)
        out, grad_factor = torch.empty_like(qkv), torch.zeros_like(factor)
        for rows in row_slices(b, t * turned * d):
            c, s = _angles(cos, sin, rows)
            back = torch.empty(len(qkv[rows]), turned, t, d, device=qkv.device).transpose(1, 2)  # (b, T, H + K, d)
            _rotate_into(back[:, :, :heads], grad_q[rows].transpose(1, 2).float(), c, -s)
            _rotate_into(back[:, :, heads:], grad_k[rows].transpose(1, 2).float(), c, -s)
            if scales is None:
                back.mul_(factor)
            else:
                unit = qkv[rows, :, :turned].float() * scales[rows]
                back, along = _through_norm(back, unit, factor, scales[rows])
                grad_factor += along.sum((0, 1))
            out[rows, :, :turned] = back
        out[:, :, turned:] = grad_v.transpose(1, 2)
        if weight is None:
            return out, None, None, None, None, None
        grad_factor[:heads] *= d**-0.5
        return out, grad_factor, None, None, None, None


def _factor(weight: Tensor | None, heads: int, kv_heads: int, d: int) -> Tensor:
    """What queries and keys are multiplied by, (H + K, d or 1): the norms' weight, and for queries 1/sqrt(d)."""
    ones = torch.ones(heads + kv_heads, 1)
    ones[:heads] = d**-0.5
    return ones if weight is None else weight * ones


def _angles(cos: Tensor, sin: Tensor, rows: slice) -> tuple[Tensor, Tensor]:
    return (cos, sin) if len(cos) == 1 else (cos[rows], sin[rows])


def _rotate_into(out: Tensor, x: Tensor, cos: Tensor, sin: Tensor) -> None:
    """Halves rotated as in HF. x (B, T, H, d) fp32; cos, sin (B, T, 1, d/2); out like x in any type."""
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    out[..., :half] = (first * cos).addcmul_(second, sin, value=-1)
    out[..., half:] = (second * cos).addcmul_(first, sin)


class SwiGLUFunction(torch.autograd.Function):
    """silu(gate) * up (arXiv:2002.05202); gate and up side by side, (..., 2F) -> (..., F)."""

    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        ctx.save_for_backward(gate_up)
        gate, up = gate_up.chunk(2, -1)
        return F.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """(..., F) -> (..., 2F)."""
        (gate_up,) = ctx.saved_tensors
        gate, up = gate_up.chunk(2, -1)
        out = torch.empty_like(gate_up)
        grad_gate, grad_up = out.chunk(2, -1)
        torch.mul(grads[0], F.silu(gate), out=grad_up)
        torch.ops.aten.silu_backward.grad_input(grads[0] * up, gate, grad_input=grad_gate)
        return out
