"""`yaya doctor`: what this machine can do, and what would stop a run."""

from __future__ import annotations

import importlib.metadata
import shutil
import statistics
import time
import timeit

from yaya.core.artifact import hardware
from yaya.core.machine import Machine, setup
from yaya.core.messages import t
from yaya.core.progress import duration

NEEDED_DISK_GB, NEEDED_MEMORY_GB = 2.0, 4.0
PACKAGES = ("torch", "tokenizers", "safetensors", "pyarrow", "fastapi", "transformers")


def product_speed(dtype: str, device: str) -> float:
    """GFLOP/s of a matrix product in the shapes of a small model, median of five."""
    import torch

    a = torch.ones(4096, 256, dtype=getattr(torch, dtype), device=device)
    b = torch.ones(256, 704, dtype=a.dtype, device=device)
    times = timeit.repeat(lambda: (a @ b)[0, 0].item(), number=1, repeat=6)
    return 2 * a.numel() * b.shape[1] / statistics.median(times[1:]) / 1e9


def training_speed(runtime: Machine) -> float:
    """Training speed in tokens/s of the laptop recipe's model (a million parameters) on random tokens, median over a second."""
    import numpy as np

    from yaya.model.decoder import Transformer, initialize
    from yaya.model.model_config import ModelConfig
    from yaya.tokenize.shards import TokenShard
    from yaya.train.loop import train_step
    from yaya.train.loop_config import LoopConfig
    from yaya.train.objective import LanguageModeling
    from yaya.train.optimizer import Optimizer
    from yaya.train.packing import DataMixture, PackedDataset

    model = Transformer(ModelConfig(2048, 128, 352, 4, 4, 4, 32, 256))
    initialize(model, 0)
    model.dtype = runtime.torch_dtype
    model.to(runtime.device)
    tokens = np.random.default_rng(0).integers(0, 2048, 20_000).astype(np.uint16)
    rows = PackedDataset(TokenShard(tokens, None, np.arange(0, 20_001, 100)), 256, 0)
    goal, config = LanguageModeling(DataMixture([(rows, 1.0)]), 8, 8), LoopConfig(batch_tokens=2048)
    optimizer = Optimizer(model, config)
    times: list[float] = []
    while len(times) < 3 or sum(times) < 1.0:
        started = time.perf_counter()
        train_step(model, goal, optimizer, 0, config, 1e-3)
        times.append(time.perf_counter() - started)
    return 2048 / statistics.median(times[1:])


def report() -> str:
    """The lines that `yaya doctor` prints."""
    runtime = setup()
    lines = [
        t("Machine", "机器"),
        *about_machine(),
        t("What training will use", "训练时会用"),
        *about_training(runtime),
    ]
    lines += [t("Packages", "软件包"), *map(about_package, PACKAGES), t("Problems", "问题")]
    return "\n".join([*lines, *(problems() or [t("  none found", "  没有发现")])])


def about_machine() -> list[str]:
    """System, CPU, cores, memory and versions."""
    import torch

    m = hardware()
    return [
        f"  {m['system']}, {m['cpu']}",
        t(
            f"  {m['cores']} cores, {m['memory_gib']} GiB of memory, Python {m['python']}, torch {torch.__version__}",
            f"  {m['cores']} 核，内存 {m['memory_gib']} GiB，Python {m['python']}，torch {torch.__version__}",
        ),
    ]


def about_training(machine: Machine) -> list[str]:
    """Device, compute type and threads, and how fast they are."""
    from yaya.model.attention import choose_backend

    settings = t(
        f"  device {machine.device}, {machine.dtype}, {machine.threads} threads",
        f"  设备 {machine.device}，精度 {machine.dtype}，{machine.threads} 个线程",
    )
    lines = [settings]
    for dtype in ("float32", "bfloat16"):
        faster = t("  <- faster, so chosen", "  <- 更快，已选用") if dtype == machine.dtype else ""
        lines.append(f"  {dtype}: {product_speed(dtype, machine.device):,.0f} GFLOP/s{faster}")
    if machine.device == "cpu":
        in_blocks = choose_backend(True, "cpu", machine.torch_dtype, False, True) == "cpu_matmul"
        kernel = t("  attention: torch's built-in kernel", "  注意力：torch 自带的算子")
        lines.append(t("  attention: blocked matrix products", "  注意力：分块矩阵乘法") if in_blocks else kernel)
    speed = training_speed(machine)
    takes = duration(2.5e6 / speed)
    trains = t(
        f"  a model with a million parameters: about {speed:,.0f} tokens/s; the demo's 2.5 million tokens take {takes}",
        f"  百万参数的模型：每秒约 {speed:,.0f} 个 token；演示所需的 250 万个 token 约需 {takes}",
    )
    return [*lines, trains]


def about_package(name: str) -> str:
    """Its version, if it is installed."""
    try:
        return f"  {name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return t(f"  {name}: not installed", f"  {name}：没有安装")


def problems() -> list[str]:
    """What would stop a run: too little disk or memory."""
    import psutil

    found = []
    disk_gb, memory_gb = shutil.disk_usage(".").free / 1e9, psutil.virtual_memory().available / 1e9
    if disk_gb < NEEDED_DISK_GB:
        found.append(
            t(
                f"  Only {disk_gb:.1f} GB of disk space left here: free some, a run needs {NEEDED_DISK_GB:g} GB.",
                f"  这里只剩 {disk_gb:.1f} GB 磁盘空间：请腾出一些，一次运行需要 {NEEDED_DISK_GB:g} GB。",
            )
        )
    if memory_gb < NEEDED_MEMORY_GB:
        found.append(
            t(
                f"  Only {memory_gb:.1f} GB of memory free: close other programs, a run needs up to {NEEDED_MEMORY_GB:g} GB.",
                f"  只剩 {memory_gb:.1f} GB 内存：请关掉一些程序，一次运行最多需要 {NEEDED_MEMORY_GB:g} GB。",
            )
        )
    return found
