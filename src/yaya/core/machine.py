"""The machine: device, compute dtype, threads, seed. Chosen by measurement and reported."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import timeit
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from yaya.core import distributed
from yaya.core.messages import UserError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Machine:
    """Where and how tensors are computed."""

    device: str
    dtype: str
    threads: int

    @property
    def torch_dtype(self) -> torch.dtype:
        import torch

        return getattr(torch, self.dtype)


def setup(device: str = "auto", dtype: str = "auto", threads: int | None = None) -> Machine:
    """Picks device, compute type and threads; `auto` measures. Call before the first tensor."""
    import torch

    keep_freed_memory()
    threads = threads or max(1, available_cores() // distributed.local_world_size())
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # numbers below 1e-38 are slow and mean nothing
    device = pick_device(device)
    dtype = distributed.broadcast_object(pick_dtype(device)) if dtype == "auto" else dtype
    # cuBLAS needs its own workspace to be deterministic; the other ops that torch warns of never add to one place twice.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # we never read what was not written
    return Machine(device, dtype, threads)


def available_cores() -> int:
    """Cores that this process may use: a container's limit counts."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # ValueError: the quota is "max"
        quota, period = map(int, Path("/sys/fs/cgroup/cpu.max").read_text().split())
        cores = min(cores, max(1, round(quota / period)))
    return cores


def pick_device(device: str) -> str:
    """`auto` -> cuda, else mps, else cpu; UserError if a named device is absent."""
    import torch

    if device == "xla":
        find_xla()
        return device
    found = ["cpu"]
    if torch.backends.mps.is_available():
        found.insert(0, "mps")
    if torch.cuda.is_available():
        found.insert(0, "cuda")
    if device == "auto":
        return found[0]
    if device not in found:
        raise UserError(
            f"device={device}: not found on this machine. Available: {', '.join(found)}.",
            f"device={device}：这台机器上没有。可用的有：{'、'.join(found)}。",
        )
    return device


def find_xla() -> None:
    """Imports torch_xla and initializes its device, before torch counts the devices that a backward pass may use.

    UserError if it is missing, or if several processes train.
    """
    try:
        import torch_xla

        torch_xla.device()
    except (ImportError, OSError, RuntimeError) as error:
        raise UserError(
            f"device=xla: {error}. It needs torch_xla, which requires its own version of torch: make a separate environment, and after `pip install .` run `pip install torch==2.9.1 'torch_xla[tpu]==2.9.0'`. See docs/en/scale.md.",
            f"device=xla：{error}。它需要 torch_xla，而 torch_xla 要求特定版本的 torch：请单独建一个环境，`pip install .` 之后再运行 `pip install torch==2.9.1 'torch_xla[tpu]==2.9.0'`。详见 docs/zh/scale.md。",
        ) from None
    if distributed.world_size() > 1:
        raise UserError(
            "device=xla trains in one process: start yaya without torchrun.",
            "device=xla 只能用一个进程训练：请不要用 torchrun 启动。",
        )


def compute(device: torch.device) -> None:
    """Makes XLA execute the operations that it has only recorded so far. Other devices execute at once."""
    if device.type == "xla":
        import torch_xla

        torch_xla.sync()


def pick_dtype(device: str) -> str:
    """bfloat16 if matrix products are clearly faster in it than in float32, else float32."""
    import torch

    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device == "mps":
        return "float32"
    if device == "xla":
        import torch_xla.runtime

        return "bfloat16" if torch_xla.runtime.device_type() == "TPU" else "float32"

    def seconds(dtype: torch.dtype) -> float:
        a, b = torch.ones(1024, 256, dtype=dtype), torch.ones(256, 512, dtype=dtype)
        return min(timeit.repeat(lambda: a @ b, number=1, repeat=5))

    return "bfloat16" if seconds(torch.bfloat16) < 0.6 * seconds(torch.float32) else "float32"


def forget_peak_memory() -> None:
    """Resets `peak_memory_gb`, where the system can."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def memory_gb() -> float:
    """This process's memory now, without what it has freed; the GPU's memory on a GPU."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return torch.cuda.memory_allocated() / 1e9
    give_back_freed_memory()
    return float(psutil.Process().memory_info().rss / 1e9)


def peak_memory_gb() -> float:
    """The most memory that this process has used, since `forget_peak_memory` if the system tracks that."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e9
    except (OSError, StopIteration):
        import psutil

        info = psutil.Process().memory_info()
        return float(getattr(info, "peak_wset", info.rss) / 1e9)


def keep_freed_memory() -> None:
    """Makes glibc keep large freed blocks; otherwise every step unmaps its activations and faults them in again."""
    m_trim_threshold, m_mmap_threshold = -1, -3
    with contextlib.suppress(OSError, AttributeError):
        glibc().mallopt(m_mmap_threshold, 1 << 30)
        glibc().mallopt(m_trim_threshold, (1 << 31) - 1)


def give_back_freed_memory() -> None:
    """Returns the memory that glibc has kept to the system, once."""
    with contextlib.suppress(OSError, AttributeError):
        glibc().malloc_trim(0)


def glibc() -> ctypes.CDLL:
    """The C library if it is glibc, else OSError."""
    if platform.libc_ver()[0] != "glibc":
        raise OSError("not glibc")
    return ctypes.CDLL(None)
