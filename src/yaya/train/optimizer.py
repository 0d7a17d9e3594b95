"""Muon for matrices, AdamW for the rest (embeddings, norms, biases).

With several ranks, each one orthogonalises its share of the matrices and keeps only their momenta.

Shapes: matrices (R, C); n matrices of one shape are orthogonalised together as (n, R, C).
"""

from __future__ import annotations

import torch
from torch import Tensor

from yaya.core import distributed
from yaya.model.decoder import Transformer
from yaya.train.checkpoint import Checkpoint, TensorShard, shard_of
from yaya.train.loop_config import LoopConfig
from yaya.train.parallel import all_gather, local, local_rows, whole

BETAS = (0.9, 0.95)  # of AdamW
# Four steps of Polar Express (arXiv:2505.16932, from its second on): singular values of 0.05 to 1 come to about 1.
POLAR_EXPRESS = (
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)


def newton_schulz(x: Tensor) -> Tensor:
    """An approximation of U V^T for x = U S V^T; x (n, R, C) in the type it is computed in.

    Muon: https://kellerjordan.github.io/posts/muon. Before the first step rows are scaled so that no singular value is above
    1 (arXiv:2208.03160, theorem 1) and few are far below it, which saves a step (arXiv:2512.04632; bench/LOG.md).
    """
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True) + 1e-7)
    gram = x @ x.mT
    row = gram.float().abs().sum(-1, keepdim=True).clamp_min_(1e-12).rsqrt_().to(x.dtype)
    x, gram = x * row, gram * row * row.mT
    for i, (a, b, c) in enumerate(POLAR_EXPRESS):
        gram = x @ x.mT if i else gram
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class MatrixGroup:
    """Matrices of one shape under Muon; this rank orthogonalises those from `first` to `last`."""

    def __init__(self, names: list[str], matrices: list[torch.nn.Parameter]):
        self.names, self.matrices = names, matrices
        self.share = -(-len(names) // distributed.world_size())
        self.first = min(len(names), distributed.rank() * self.share)
        self.last = min(len(names), self.first + self.share)
        shape = (self.last - self.first, *matrices[0].shape)
        self.momenta = torch.zeros(shape, device=matrices[0].device)

    def step(self, config: LoopConfig, scale: float, dtype: torch.dtype) -> None:
        """One Muon step on this rank's matrices, then on all of them; orthogonalised in `dtype`."""
        rate = config.matrix_learning_rate * scale
        rows, columns = self.matrices[0].shape
        mine = self.matrices[self.first : self.last]
        if distributed.world_size() > 1:
            grads = [whole(p.grad) for p in self.matrices][self.first : self.last]  # all ranks gather all
        else:
            grads = [p.grad for p in mine]
        update = torch.zeros(self.share, rows, columns, device=self.momenta.device)
        if mine:
            grad = torch.stack(grads)
            self.momenta.lerp_(grad, 1 - config.momentum)
            update[: len(mine)] = newton_schulz(grad.lerp_(self.momenta, config.momentum).to(dtype))
        update *= -rate * max(1.0, rows / columns) ** 0.5
        updates = all_gather(update)[: len(self.matrices)]
        parts = [local(p) for p in self.matrices]
        if config.weight_decay:
            torch._foreach_mul_(parts, 1 - rate * config.weight_decay)
        torch._foreach_add_(parts, [u[local_rows(p)] for p, u in zip(self.matrices, updates.unbind(0), strict=True)])


class Optimizer:
    """Muon and AdamW behind one `step`, or AdamW alone. State is plain tensors by name, so that it is saved without pickling."""

    def __init__(self, model: Transformer, config: LoopConfig):
        self.config, self.dtype = config, model.dtype
        named = dict(model.named_parameters())
        matrices = {n: p for n, p in named.items() if p.dim() == 2 and ".layers." in n}
        self.groups: list[MatrixGroup] = []
        if config.optimizer == "muon":
            for shape in dict.fromkeys(p.shape for p in matrices.values()):
                names = [n for n, p in matrices.items() if p.shape == shape]
                self.groups.append(MatrixGroup(names, [matrices[n] for n in names]))
            named = {n: p for n, p in named.items() if n not in matrices}
        self.named = named
        decayed = [p for n, p in named.items() if n in matrices]
        plain = [p for n, p in named.items() if n not in matrices]
        groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        # XLA has no fused kernel; capturable keeps the count of steps on the device, as that kernel does.
        xla = model.head.device.type == "xla"
        self.adamw = torch.optim.AdamW(
            [g for g in groups if g["params"]], config.learning_rate, BETAS, 1e-8, fused=not xla, capturable=xla
        )

    @torch.no_grad()
    def step(self, scale: float) -> None:
        """One step at `scale` times the learning rates."""
        for group in self.adamw.param_groups:
            group["lr"] = self.config.learning_rate * scale
        self.adamw.step()
        # The fused kernel does not count its changes, and merged weights go by the count.
        torch.autograd.graph.increment_version(self.named.values())
        for matrices in self.groups:
            matrices.step(self.config, scale, self.dtype)

    def shards(self) -> dict[str, TensorShard]:
        """What this rank keeps of the state, by name, for a checkpoint."""
        out: dict[str, TensorShard] = {}
        for group in self.groups:
            mine = group.names[group.first : group.last]
            out |= {f"momentum.{name}": TensorShard(m) for name, m in zip(mine, group.momenta.unbind(0), strict=True)}
        for name, p in self.named.items():
            for part, tensor in self.adamw.state.get(p, {}).items():
                out |= shard_of(f"adamw.{part}.{name}", tensor)
        return out

    @torch.no_grad()
    def load(self, checkpoint: Checkpoint) -> None:
        """Takes this rank's share of the state from a checkpoint of any number of ranks."""
        for group in self.groups:
            for name, m in zip(group.names[group.first : group.last], group.momenta.unbind(0), strict=True):
                m.copy_(checkpoint.read(f"momentum.{name}"))
        for name, p in self.named.items():
            if f"adamw.step.{name}" not in checkpoint.places:
                self.adamw.state.pop(p, None)  # written before the first step
                continue
            moments = {}
            for part in ("exp_avg", "exp_avg_sq"):
                moments[part] = torch.zeros_like(p)
                local(moments[part]).copy_(checkpoint.read(f"adamw.{part}.{name}")[local_rows(p)])
            step = checkpoint.read(f"adamw.step.{name}").to(local(p).device)
            self.adamw.state[p] = {"step": step, **moments}


def schedule(step: int, steps: int, warmup_steps: int, decay_fraction: float) -> float:
    """Warm-up, stable, linear decay to zero over the last `decay_fraction` of the steps: the factor for step 0 .. steps-1."""
    warmup = min(1.0, (step + 1) / (warmup_steps + 1))
    decay = min(1.0, (steps - step) / max(1.0, decay_fraction * steps))
    return min(warmup, decay)


def decay_start(steps: int, decay_fraction: float) -> int:
    """The last step before the rate of `schedule` begins to fall."""
    return int(steps - decay_fraction * steps)
