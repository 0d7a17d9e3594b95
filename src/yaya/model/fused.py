"""Pieces of the transformer with hand-written gradients: fewer passes over memory than autograd's own.

Shapes: N rows, D features, H heads, d = head_dim, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

LOGIT_ROWS = 1024  # rows of logits alive at once
SMALLEST = torch.finfo(torch.float32).tiny  # a probability below it counts as it: a loss of at most 87 nats


class RMSNorm(torch.autograd.Function):
    """y = x / sqrt(mean(x^2) + eps) * weight over the last axis (arXiv:1910.07467)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        x32 = x.float()
        scale = torch.linalg.vector_norm(x32, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        return (x32 * scale).mul_(weight).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight, scale = ctx.saved_tensors
        grad, x32 = grads[0].float(), x.float()
        unit = x32 * scale
        grad_weight = (grad * unit).sum(dim=tuple(range(grad.dim() - weight.dim())))
        grad_unit = grad * weight
        along = (grad_unit * unit).sum(-1, keepdim=True).div_(-x.shape[-1])
        return grad_unit.addcmul_(unit, along).mul_(scale).to(x.dtype), grad_weight, None


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMSNorm over the last axis, computed in fp32, given back in x's dtype."""
    if torch.is_grad_enabled():
        return RMSNorm.apply(x, weight, eps)  # type: ignore[no-any-return]
    return F.rms_norm(x.float(), weight.shape[-1:], None, eps).mul_(weight).to(x.dtype)


class Rotary(torch.autograd.Function):
    """Rotary position embedding (arXiv:2104.09864), halves rotated as in HF: its gradient is the opposite rotation."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return rotate(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return rotate(grads[0], cos, -sin), None, None


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x (B, T, H, d); cos, sin (B, T, 1, d/2)."""
    first, second = x.chunk(2, -1)
    out = torch.empty_like(x)
    half = first.shape[-1]
    torch.mul(first, cos, out=out[..., :half]).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=out[..., half:]).addcmul_(first, sin)
    return out


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


class WeightedCrossEntropy(torch.autograd.Function):
    """sum_i weight_i * (-log softmax(hidden_i @ head^T)[label_i]), without keeping all logits.

    The gradients are computed on the way, `LOGIT_ROWS` rows at a time.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        cast = head.to(hidden.dtype)
        grad_hidden = torch.empty_like(hidden)
        grad_head = torch.zeros(head.shape, dtype=torch.float32, device=head.device)
        total = torch.zeros(
            (), dtype=torch.float64 if hidden.device.type != "mps" else torch.float32, device=hidden.device
        )
        for start in range(0, len(hidden), LOGIT_ROWS):
            rows = slice(start, start + LOGIT_ROWS)
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
        ctx.save_for_backward(grad_hidden, grad_head)
        return total.float()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_hidden, grad_head = ctx.saved_tensors
        return grad_hidden * grads[0].to(grad_hidden.dtype), grad_head * grads[0], None, None


def cross_entropy_sum(hidden: Tensor, head: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of the cross entropy in nats. hidden (N, D), head (V, D), labels (N,) int64, weights (N,) fp32."""
    return WeightedCrossEntropy.apply(hidden, head, labels, weights)  # type: ignore[no-any-return]
