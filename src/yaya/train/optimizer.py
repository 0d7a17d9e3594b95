"""Muon for matrices, AdamW for the rest (embeddings, norms, biases).

Shapes: matrices (R, C); n matrices of one shape are orthogonalised together as (n, R, C).
"""

from __future__ import annotations

import torch
from torch import Tensor

from yaya.model.transformer import Transformer


def newton_schulz(x: Tensor, steps: int = 5) -> Tensor:
    """An approximation of U V^T for x = U S V^T; x (n, R, C) in the type it is computed in.

    Muon: https://kellerjordan.github.io/posts/muon; quintic iteration with singular values sent to about [0.7, 1.2].
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class MuonAdamW:
    """Both optimizers behind one `step`. State is plain tensors by name, so that it is saved without pickling."""

    def __init__(
        self,
        model: Transformer,
        matrix_learning_rate: float,
        learning_rate: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
    ):
        self.matrix_learning_rate, self.momentum, self.weight_decay = matrix_learning_rate, momentum, weight_decay
        self.dtype = model.dtype
        self.others: dict[str, torch.nn.Parameter] = {}
        shapes: dict[tuple[int, ...], list[tuple[str, torch.nn.Parameter]]] = {}
        for name, p in model.named_parameters():
            if p.dim() == 2 and ".layers." in name:
                shapes.setdefault(tuple(p.shape), []).append((name, p))
            else:
                self.others[name] = p
        self.groups = [(names, list(ps)) for names, ps in (zip(*group, strict=True) for group in shapes.values())]
        self.momenta = [torch.zeros(len(ps), *ps[0].shape, device=ps[0].device) for _, ps in self.groups]
        self.adamw = torch.optim.AdamW(self.others.values(), learning_rate, betas, 1e-8, 0.0, fused=True)
        self.learning_rate = learning_rate

    @torch.no_grad()
    def step(self, scale: float) -> None:
        """One step at `scale` times the learning rates."""
        for group in self.adamw.param_groups:
            group["lr"] = self.learning_rate * scale
        self.adamw.step()
        rate = self.matrix_learning_rate * scale
        for (_, ps), momenta in zip(self.groups, self.momenta, strict=True):
            grads = torch.stack([p.grad for p in ps])  # type: ignore[misc]
            momenta.lerp_(grads, 1 - self.momentum)
            update = newton_schulz(grads.lerp_(momenta, self.momentum).to(self.dtype)).float()
            rows, columns = ps[0].shape
            update *= -rate * max(1.0, rows / columns) ** 0.5
            if self.weight_decay:
                torch._foreach_mul_(ps, 1 - rate * self.weight_decay)
            torch._foreach_add_(ps, list(update.unbind(0)))

    def state(self) -> dict[str, Tensor]:
        """Every tensor that a resume needs."""
        out: dict[str, Tensor] = {}
        for (names, _), momenta in zip(self.groups, self.momenta, strict=True):
            out |= {f"momentum.{name}": m for name, m in zip(names, momenta.unbind(0), strict=True)}
        for name, p in self.others.items():
            out |= {f"adamw.{part}.{name}": tensor for part, tensor in self.adamw.state[p].items()}
        return out

    def load_state(self, state: dict[str, Tensor]) -> None:
        for (names, _), momenta in zip(self.groups, self.momenta, strict=True):
            for name, m in zip(names, momenta.unbind(0), strict=True):
                m.copy_(state[f"momentum.{name}"])
        for name, p in self.others.items():
            parts = ("step", "exp_avg", "exp_avg_sq")
            self.adamw.state[p] = {part: state[f"adamw.{part}.{name}"].clone() for part in parts}


def schedule(step: int, steps: int, warmup_steps: int, decay_fraction: float) -> float:
    """Warm-up, stable, linear decay to zero over the last `decay_fraction` of the steps: the factor for step 0 .. steps-1."""
    warmup = min(1.0, (step + 1) / (warmup_steps + 1))
    decay = min(1.0, (steps - step) / max(1.0, decay_fraction * steps))
    return min(warmup, decay)


def decay_start(steps: int, decay_fraction: float) -> int:
    """The last step before the rate of `schedule` begins to fall."""
    return int(steps - decay_fraction * steps)
