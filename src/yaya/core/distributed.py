"""The processes that train one model together, started by `torchrun ... -m yaya`: only rank 0 prints and writes.

With a single process no function here does anything. What ranks tell each other is JSON or numbers, never pickled.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Work that rank 0 does alone (cleaning text, say) may take days while the others wait.
PATIENCE = datetime.timedelta(days=30)
_talk: Any = None  # the group for JSON and barriers, on CPU
_parent = os.getppid()


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """The rank among this machine's processes, which picks the GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def local_world_size() -> int:
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def is_main() -> bool:
    return rank() == 0


def abandoned() -> bool:
    """Whether the torchrun that started this process was killed: nothing is left to restart or stop it."""
    return "TORCHELASTIC_RUN_ID" in os.environ and os.getppid() != _parent


def connect() -> None:
    """Connects to the other processes, before the first communication."""
    global _talk
    if _talk is not None:
        return
    import torch
    import torch.distributed as dist

    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank())
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    store, _, _ = next(dist.rendezvous("env://", rank(), world_size()))
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        # torchrun's own store survives its restarts: addresses of dead processes must not be found in it.
        store = dist.PrefixStore(f"yaya-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    dist.init_process_group(backend, store=store, rank=rank(), world_size=world_size())
    _talk = dist.new_group(backend="gloo", timeout=PATIENCE)


@contextmanager
def connection() -> Iterator[None]:
    """Disconnects from the other processes at the end, if anything connected."""
    global _talk
    try:
        yield
    finally:
        if _talk is not None:
            import torch.distributed as dist

            dist.destroy_process_group()
            _talk = None


def barrier() -> None:
    """Waits until every rank is here."""
    broadcast_object(None)


def broadcast_object(value: Any) -> Any:
    """Rank 0's value (anything JSON holds) on every rank."""
    if world_size() == 1:
        return value
    import torch
    import torch.distributed as dist

    connect()
    text = json.dumps(value).encode() if is_main() else b""
    size = torch.tensor([len(text)])
    dist.broadcast(size, 0, group=_talk)
    data = torch.empty(int(size), dtype=torch.uint8)
    if is_main():
        data.copy_(torch.frombuffer(bytearray(text), dtype=torch.uint8))
    dist.broadcast(data, 0, group=_talk)
    return value if is_main() else json.loads(bytes(data.numpy()))


def all_reduce_sum(numbers: list[float]) -> list[float]:
    """Each number summed over all ranks, in fp64."""
    if world_size() == 1:
        return numbers
    import torch
    import torch.distributed as dist

    connect()
    sums = torch.tensor(numbers, dtype=torch.float64)
    dist.all_reduce(sums, group=_talk)
    return sums.tolist()  # type: ignore[no-any-return]
