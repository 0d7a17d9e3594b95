"""The rows of metrics.jsonl shown in TensorBoard, Weights & Biases or SwanLab as well; offline unless their own settings say otherwise."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from yaya.core import distributed
from yaya.core.extras import need
from yaya.core.messages import say

Write = Callable[[dict[str, float], int], None]  # (values by name, step)
Tracker = tuple[Write, Callable[[], None]]  # write, close
NOT_CURVES = ("step", "coach", "skipped")


@contextmanager
def open_tracker(name: str, folder: Path, run: str, config: dict[str, Any]) -> Iterator[Write]:
    """`write` of the tracker named in the recipe; with several ranks only rank 0 writes."""
    if name == "none" or not distributed.is_main():
        yield lambda values, step: None
        return
    folder.mkdir(parents=True, exist_ok=True)
    say(f"[{run}] also logging to {name}: {folder}", f"[{run}] 曲线同时记录到 {name}：{folder}")
    write, close = TRACKERS[name](folder, run, config)
    try:
        yield write
    finally:
        close()


def curves(row: dict[str, Any]) -> dict[str, float]:
    """A row's numeric values."""
    return {n: v for n, v in row.items() if n not in NOT_CURVES and isinstance(v, int | float)}


def tensorboard(folder: Path, run: str, config: dict[str, Any]) -> Tracker:
    """Look at it with: tensorboard --logdir FOLDER."""
    writer = needed("tensorboard", "torch.utils.tensorboard").SummaryWriter(str(folder))

    def write(values: dict[str, float], step: int) -> None:
        for key, value in values.items():
            writer.add_scalar(key, value, step)

    return write, writer.close


def wandb(folder: Path, run: str, config: dict[str, Any]) -> Tracker:
    """Offline; `wandb sync` uploads it later. WANDB_MODE=online streams."""
    mode = os.environ.get("WANDB_MODE", "offline")
    made = needed("wandb").init(project="yaya", name=run, dir=str(folder), config=config, mode=mode)
    return (lambda values, step: made.log(values, step=step)), made.finish


def swanlab(folder: Path, run: str, config: dict[str, Any]) -> Tracker:
    """Offline; `swanlab sync` uploads it later, SWANLAB_MODE=local shows it here (with swanboard), cloud streams."""
    mode = os.environ.get("SWANLAB_MODE", "offline")
    module = needed("swanlab")
    module.init(project="yaya", experiment_name=run, logdir=str(folder), config=config, mode=mode)
    return (lambda values, step: module.log(values, step=step)), module.finish


TRACKERS: dict[str, Callable[[Path, str, dict[str, Any]], Tracker]] = {
    "tensorboard": tensorboard,
    "wandb": wandb,
    "swanlab": swanlab,
}


def needed(package: str, module: str | None = None) -> Any:
    """The tracker's module, or what to install."""
    en, zh = f"tracker={package} needs the package {package}", f"tracker={package} 需要软件包 {package}"
    return need(module or package, package, en, zh)
