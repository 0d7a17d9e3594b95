"""`yaya doctor`: what this machine can do, and what would be in the way."""

from __future__ import annotations

import importlib.metadata
import shutil
import statistics
import time

from yaya.core.artifact import hardware
from yaya.core.runtime import setup
from yaya.core.say import t

NEEDED_DISK_GB, NEEDED_MEMORY_GB = 2.0, 4.0


def product_speed(dtype: str, device: str) -> float:
    """GFLOP/s of a matrix product in the shapes of a small model, median of five."""
    import torch

    a = torch.ones(4096, 256, dtype=getattr(torch, dtype), device=device)
    b = torch.ones(256, 704, dtype=a.dtype, device=device)
    times = []
    for _ in range(6):
        started = time.perf_counter()
        (a @ b)[0, 0].item()
        times.append(time.perf_counter() - started)
    return 2 * a.numel() * b.shape[1] / statistics.median(times[1:]) / 1e9


def report() -> str:
    """The lines that `yaya doctor` prints."""
    import psutil
    import torch

    machine, runtime = hardware(), setup()
    lines = [
        t("Machine", "机器"),
        f"  {machine['system']}, {machine['cpu']}",
        t(
            f"  {machine['cores']} cores, {machine['memory_gib']} GiB of memory, Python {machine['python']}, torch {torch.__version__}",
            f"  {machine['cores']} 核，内存 {machine['memory_gib']} GiB，Python {machine['python']}，torch {torch.__version__}",
        ),
        t("What training will use", "训练时会用"),
        t(
            f"  device {runtime.device}, {runtime.dtype}, {runtime.threads} threads",
            f"  设备 {runtime.device}，精度 {runtime.dtype}，{runtime.threads} 个线程",
        ),
    ]
    for dtype in ("float32", "bfloat16"):
        chosen = t("  <- chosen: the faster one", "  <- 更快，选它") if dtype == runtime.dtype else ""
        lines.append(f"  {dtype}: {product_speed(dtype, runtime.device):,.0f} GFLOP/s{chosen}")
    lines.append(t("Packages", "软件包"))
    for name in ("torch", "tokenizers", "safetensors", "pyarrow", "fastapi", "transformers"):
        try:
            lines.append(f"  {name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            lines.append(t(f"  {name}: not installed", f"  {name}：没有安装"))
    problems = []
    disk_gb, memory_gb = shutil.disk_usage(".").free / 1e9, psutil.virtual_memory().available / 1e9
    if disk_gb < NEEDED_DISK_GB:
        problems.append(
            t(
                f"  Only {disk_gb:.1f} GB of disk free here: free some, a run wants {NEEDED_DISK_GB:g} GB.",
                f"  这里只剩 {disk_gb:.1f} GB 磁盘空间：请腾出一些，一次运行需要 {NEEDED_DISK_GB:g} GB。",
            )
        )
    if memory_gb < NEEDED_MEMORY_GB:
        problems.append(
            t(
                f"  Only {memory_gb:.1f} GB of memory free: close other programs, a run wants up to {NEEDED_MEMORY_GB:g} GB.",
                f"  只剩 {memory_gb:.1f} GB 内存：请关掉一些程序，一次运行最多要 {NEEDED_MEMORY_GB:g} GB。",
            )
        )
    lines.append(t("Problems", "问题"))
    lines += problems or [t("  none found", "  没有发现")]
    return "\n".join(lines)
