"""One model on several ranks: copies whose gradients are summed (DDP), or weights sharded by rows (FSDP2).

Both see the same rows in the same order; gradients are summed, never averaged, because the loop divides by the weight of
all ranks' labels. With a single rank nothing here has any effect.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from yaya.core import distributed
from yaya.model.decoder import Transformer

SHARD_FROM = 1_000_000_000  # parameters; below, a copy on every rank is faster
BUCKET_NUMBERS = 1 << 24  # gradients summed at a time


def place(model: Transformer, parallel: str) -> None:
    """Distributes the model over the ranks as `parallel` says: auto, ddp or fsdp.

    FSDP2: every layer's weights are sharded over the ranks and gathered when the layer is computed.
    """
    sharded = parallel == "fsdp" or (parallel == "auto" and model.num_parameters() >= SHARD_FROM)
    if distributed.world_size() == 1 or not sharded:
        return
    from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

    policy: Any = MixedPrecisionPolicy(param_dtype=None, reduce_dtype=torch.float32)
    model.keep_merged_weights(False)  # a copy of a layer's weights would outlive the layer
    for layer in model.model.layers:
        fully_shard(layer, mp_policy=policy, reshard_after_forward=True)
    fully_shard(model, mp_policy=policy, reshard_after_forward=True)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.set_force_sum_reduction_for_comms(True)
            module.set_gradient_divide_factor(1.0)
    for method in ("loss", "logits"):
        register_fsdp_forward_method(model, method)


def is_sharded(model: Transformer) -> bool:
    return is_spread(next(model.parameters()))


def is_spread(tensor: Any) -> bool:
    """Whether this is a DTensor; importing that class would cost half a second at every start."""
    return hasattr(tensor, "to_local")


def local(tensor: Any) -> Any:
    """This rank's slice of a sharded tensor; any other tensor unchanged."""
    return tensor.to_local() if is_spread(tensor) else tensor


def whole(tensor: Any) -> Any:
    """The whole of a sharded tensor; all ranks must call this together."""
    return tensor.full_tensor() if is_spread(tensor) else tensor


def local_rows(p: Tensor) -> slice:
    """Which rows of a parameter this rank holds: FSDP2 assigns blocks of ceil(rows / ranks)."""
    if not is_spread(p):
        return slice(0, p.shape[0] if p.dim() else None)
    block = -(-p.shape[0] // distributed.world_size())
    first = min(p.shape[0], distributed.rank() * block)
    return slice(first, min(p.shape[0], first + block))


def all_gather(mine: Tensor) -> Tensor:
    """mine (n, ...) of every rank, one after the other: (ranks * n, ...)."""
    if distributed.world_size() == 1:
        return mine
    out = [torch.empty_like(mine) for _ in range(distributed.world_size())]
    dist.all_gather(out, mine)
    return torch.cat(out)


def add_up_gradients(model: Transformer) -> None:
    """Sums the gradients of all ranks, in place. FSDP2 has done so already during the backward pass."""
    if distributed.world_size() == 1 or is_sharded(model):
        return
    bucket: list[Tensor] = []
    for p in [*model.parameters(), None]:
        if bucket and (p is None or sum(g.numel() for g in bucket) + p.numel() > BUCKET_NUMBERS):
            flat = torch.cat([g.flatten() for g in bucket])
            dist.all_reduce(flat)
            for g, part in zip(bucket, flat.split([g.numel() for g in bucket]), strict=True):
                g.copy_(part.view_as(g))
            bucket = []
        if p is not None:
            bucket.append(p.grad if p.grad is not None else torch.zeros_like(p))
            p.grad = bucket[-1]


def squared_norm(model: Transformer) -> float:
    """Sum of squares of this rank's gradients, in fp64 where the device has it; divided by the copies there are."""
    grads = [local(p.grad) for p in model.parameters() if p.grad is not None]
    square = torch.nn.utils.get_total_norm(grads).item() ** 2
    return square if is_sharded(model) else square / distributed.world_size()
