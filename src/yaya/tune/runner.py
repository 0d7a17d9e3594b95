"""Starts trials, follows their metrics.jsonl while they train, stops bad ones, and records how they end."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yaya.core.files import write_atomic
from yaya.core.messages import t
from yaya.tune.trial import LOG, RECIPE
from yaya.tune.workers import KILLED, POLL_S, Handle, Local, Ray

METRICS = "metrics.jsonl"
Record = dict[str, Any]  # the result of a finished trial; a row of trials.jsonl


@dataclass(frozen=True)
class Trial:
    """A training to run. number: among the search's trials; `None` for a run with another seed."""

    number: int | None
    role: str  # "default", "trial"; "default again", "best again" with another seed
    values: dict[str, Any]
    seed: int
    folder: Path
    recipe: str


@dataclass
class Running:
    """A training in progress."""

    trial: Trial
    handle: Handle
    log: Follower
    started: float  # time.monotonic()
    curve: list[tuple[int, float]] = field(default_factory=list)  # (step, validation loss)
    stopped: bool = False


class Follower:
    """The rows of a training's metrics.jsonl as they appear, even when its folder is swapped in.

    A training that goes back to a checkpoint rewrites the file: then all its rows come again.
    """

    def __init__(self, folder: Path, stage: str):
        self.paths = (folder / f".{stage}.partial" / METRICS, folder / stage / METRICS)
        self.file, self.offset = -1, 0

    def rows(self) -> list[dict[str, Any]]:
        """Rows that are new; a line that is still being written waits."""
        for path in self.paths:
            try:
                with path.open("rb") as file:
                    now = os.fstat(file.fileno()).st_ino
                    self.offset = self.offset if now == self.file else 0
                    self.file = now
                    file.seek(self.offset)
                    whole, newline, _ = file.read().rpartition(b"\n")
            except OSError:
                continue
            self.offset += len(whole) + len(newline)
            return [json.loads(line) for line in whole.splitlines()]
        return []


class Runner:
    """Trains trials, as many at a time as the engine has workers."""

    def __init__(self, engine: Local | Ray, stage: str, inputs: Mapping[str, Path]):
        self.engine, self.stage = engine, stage
        self.inputs = [f"{name}={path.resolve()}" for name, path in inputs.items()]

    def start(self, trial: Trial) -> Running:
        """Starts a training, from scratch if its folder holds remains of an earlier one."""
        shutil.rmtree(trial.folder, ignore_errors=True)
        trial.folder.mkdir(parents=True)
        write_atomic(trial.folder / RECIPE, trial.recipe)
        folder = trial.folder.resolve()
        handle = self.engine.start([str(folder), self.stage, *self.inputs], folder)
        return Running(trial, handle, Follower(folder, self.stage), time.monotonic())

    def train(
        self,
        next_trial: Callable[[], Trial | None],
        on_look: Callable[[Trial, int, float], bool],
        on_end: Callable[[Trial, Record], None],
        on_wait: Callable[[], None],
    ) -> None:
        """Trains what `next_trial` returns until it returns `None` and all trials have ended.

        on_look(trial, look, loss): at each validation, counted from 1; True stops the training. on_end(trial, record).
        """
        active: list[Running] = []
        try:
            while True:
                while len(active) < self.engine.workers and (trial := next_trial()) is not None:
                    active.append(self.start(trial))
                if not active:
                    return
                time.sleep(POLL_S)
                for one in list(active):
                    code = one.handle.poll()  # before its rows are read, so that none is missed
                    self.look(one, on_look)
                    if code is not None:
                        active.remove(one)
                        on_end(one.trial, self.ended(one, code))
                on_wait()
        finally:
            for one in active:
                one.handle.kill()

    def look(self, one: Running, on_look: Callable[[Trial, int, float], bool]) -> None:
        """Reads a trial's new rows and stops it if `on_look` says so."""
        for row in one.log.rows():
            loss = row.get("validation_loss")
            if loss is None or (row["step"], loss) in one.curve:
                continue
            one.curve = [point for point in one.curve if point[0] < row["step"]] + [(row["step"], loss)]
            if on_look(one.trial, len(one.curve), loss) and not one.stopped:
                one.stopped = True
                one.handle.stop()

    def ended(self, one: Running, code: int) -> Record:
        """The trial's result; only recipe and logs stay in its folder."""
        message = failure(one, code)
        outcome = "failed" if message else "stopped" if code else "complete"
        keep_logs(one.trial.folder, self.stage)
        return {
            "number": one.trial.number,
            "role": one.trial.role,
            "outcome": outcome,
            "loss": one.curve[-1][1] if outcome == "complete" else None,
            "values": one.trial.values,
            "seed": one.trial.seed,
            "curve": one.curve,
            "seconds": round(time.monotonic() - one.started, 1),
            "message": message,
        }


def failure(one: Running, code: int) -> str | None:
    """Why a training has no result, in the user's language; `None` if it has one, or was stopped by us."""
    if code == 0:
        if not one.curve:
            return t("there is no held-out text to measure the loss on", "没有验证文本，无法衡量")
        return None if math.isfinite(one.curve[-1][1]) else t("the loss is not a number", "损失不是数")
    if one.stopped:
        return None
    if code in (KILLED, 128 - KILLED):
        return t("killed, probably because memory ran out", "被系统终止，多半是内存不够")
    try:
        lines = (one.trial.folder / LOG).read_text("utf-8", "replace").split("\n")
    except OSError:
        lines = []
    said = [line.split("\r")[-1].strip() for line in lines]
    last = next(filter(None, reversed(said)), t(f"ended with code {code}", f"退出码 {code}"))
    for prefix in ("Error: ", "出错了："):
        last = last.removeprefix(prefix)
    return last[:300]


def keep_logs(folder: Path, stage: str) -> None:
    """Keeps a finished trial's recipe, log and metrics; weights would fill the disk."""
    for path in (folder / f".{stage}.partial", folder / stage):
        if (path / METRICS).exists():
            os.replace(path / METRICS, folder / METRICS)
        shutil.rmtree(path, ignore_errors=True)
