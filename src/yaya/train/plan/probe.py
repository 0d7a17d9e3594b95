"""The probe: a tiny model reads a little of the text to find out how hard it is to learn.

Its result is kept as `pilot.json` in the run's folder; `forecast.py` derives from it what larger models and longer
trainings will reach.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from yaya.core.files import read_json, write_atomic
from yaya.core.messages import t
from yaya.core.progress import Bar
from yaya.model.decoder import Transformer
from yaya.train.loop import train_step
from yaya.train.loop_config import LoopConfig
from yaya.train.objective import Objective
from yaya.train.optimizer import Optimizer, schedule
from yaya.train.plan import forecast
from yaya.train.plan.forecast import Probe

FILE = "pilot.json"


def known_probe(folder: Path, of: list[Any]) -> Probe | None:
    """The probe's result in a run's folder, if it is valid for `of` (the data, the row length and the like)."""
    known = read_json(folder / FILE)
    return Probe(**known["found"]) if known.get("of") == of else None


def keep_probe(folder: Path, of: list[Any], found: Probe) -> None:
    """Writes a probe's result, and what it is valid for."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / FILE, json.dumps({"of": of, "found": vars(found)}))


def run_probe(
    model: Transformer, objective: Objective, config: LoopConfig, validate: Callable[[], dict[str, float]]
) -> Probe | None:
    """Trains the tiny model; its validation losses where the learning rate begins to fall and at the end, else None."""
    optimizer, steps, cursor = Optimizer(model, config), forecast.PROBE_STEPS, 0
    losses = []
    with Bar(t("probing the text", "试探文本难度"), steps, t("steps", "步")) as bar:
        for step in range(steps):
            scale = schedule(step, steps, config.warmup_steps, config.decay_share())
            cursor = train_step(model, objective, optimizer, cursor, config, scale).cursor
            bar.advance(1)
            if step + 1 in (forecast.PROBE_EARLY, steps):
                found = validate()
                if not found:
                    return None
                losses.append(found["validation_loss"])
    return Probe(*losses)
