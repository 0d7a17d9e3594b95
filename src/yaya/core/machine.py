"""The machine: device, compute type, threads, seed. Chosen by measuring, and said."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import time
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
    # cuBLAS wants room of its own to be deterministic; what torch warns of besides never meets one place twice.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # we never read what was not written
    return Machine(device, dtype, threads)


def available_cores() -> int:
    """Cores that this process may use: a container's limit counts."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass
    return cores


def pick_device(device: str) -> str:
    """`auto` -> cuda, else mps, else cpu; a named device that is absent is an error."""
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
            f"device={device}: not found here. There is: {', '.join(found)}.",
            f"device={device}：这台机器上没有。有：{'、'.join(found)}。",
        )
    return device


def find_xla() -> None:
    """Imports torch_xla and wakes its device, before torch counts the devices that a backward pass may use.

    UserError where it is missing, or where several processes train.
    """
    try:
        import torch_xla

        torch_xla.device()
    except (ImportError, OSError, RuntimeError) as error:
        raise UserError(
            f"device=xla: {error}. It needs torch_xla, which wants a torch of its own version: make an environment for it, and after `pip install .` say `pip install torch==2.9.1 'torch_xla[tpu]==2.9.0'`. More in docs/en/scale.md.",
            f"device=xla：{error}。它需要 torch_xla，而 torch_xla 要求特定版本的 torch：请单独建一个环境，`pip install .` 之后再运行 `pip install torch==2.9.1 'torch_xla[tpu]==2.9.0'`。详见 docs/zh/scale.md。",
        ) from None
    if distributed.world_size() > 1:
        raise UserError(
            "device=xla trains in one process: start yaya without torchrun.",
            "device=xla 只能用一个进程训练：请不要用 torchrun 启动。",
        )


def compute(device: torch.device) -> None:
    """Lets XLA compute what it was told, which it only notes down until then. Other devices do so at once."""
    if device.type == "xla":
        import torch_xla

        torch_xla.sync()


def pick_dtype(device: str) -> str:
    """bfloat16 where a product in it is clearly faster than in float32, else float32."""
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
        times = []
        for _ in range(5):
            started = time.perf_counter()
            a @ b
            times.append(time.perf_counter() - started)
        return min(times)

    return "bfloat16" if seconds(torch.bfloat16) < 0.6 * seconds(torch.float32) else "float32"


def forget_peak_memory() -> None:
    """From now on `peak_memory_gb` counts anew, where the system can."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def memory_gb() -> float:
    """Memory of this process now, without what it has freed; on a GPU, of the GPU."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return torch.cuda.memory_allocated() / 1e9
    give_back_freed_memory()
    return float(psutil.Process().memory_info().rss / 1e9)


def peak_memory_gb() -> float:
    """The most memory that this process had, since `forget_peak_memory` where the system counts that."""
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
    """Tells glibc to keep large freed blocks: else every step unmaps its activations and faults them in again."""
    m_trim_threshold, m_mmap_threshold = -1, -3
    with contextlib.suppress(OSError, AttributeError):
        glibc().mallopt(m_mmap_threshold, 1 << 30)
        glibc().mallopt(m_trim_threshold, (1 << 31) - 1)


def give_back_freed_memory() -> None:
    """Gives the system back what glibc has kept, once."""
    with contextlib.suppress(OSError, AttributeError):
        glibc().malloc_trim(0)


def glibc() -> ctypes.CDLL:
    """The C library, if it is glibc; else an OSError."""
    if platform.libc_ver()[0] != "glibc":
        raise OSError("not glibc")
    return ctypes.CDLL(None)
