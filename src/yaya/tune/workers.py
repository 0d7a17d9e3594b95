"""Where trials run: as processes on this machine, or on a Ray cluster. Both are followed through files in their folders."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Protocol

from yaya.core.machine import Machine
from yaya.core.messages import UserError
from yaya.core.ray_cluster import connect_ray
from yaya.tune.trial import LOG

PATIENCE_S = 20.0  # from SIGTERM to SIGKILL
POLL_S = 0.2
KILLED = -9  # the exit code after SIGKILL
STOP = "stop"  # a file that asks a trial on another machine to stop


class Handle(Protocol):
    """A running trial."""

    def poll(self) -> int | None:
        """Its exit code (negative: the signal that killed it), or `None` while it runs."""

    def stop(self) -> None:
        """Asks it to stop; `poll` tells when it has."""

    def kill(self) -> None:
        """Kills it."""


class Process:
    """A process on this machine. Its standard input stays open as long as we live; its output goes to its folder."""

    def __init__(self, arguments: list[str], folder: Path, env: dict[str, str] | None = None):
        with (folder / LOG).open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "yaya.tune.trial", *arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=os.environ | (env or {}),
                start_new_session=True,  # Ctrl-C is for the search, which stops its trials itself
            )
        self.kill_at: float | None = None

    def poll(self) -> int | None:
        if self.kill_at is not None and time.monotonic() > self.kill_at:
            self.process.kill()
        return self.process.poll()

    def stop(self) -> None:
        self.process.terminate()
        self.kill_at = time.monotonic() + PATIENCE_S

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Local:
    """Trials as processes on this machine, sharing its threads and GPUs. workers: at a time; 0: one per GPU, else one."""

    def __init__(self, workers: int, runtime: Machine):
        self.gpus = visible_gpus() if runtime.device == "cuda" else []
        self.workers = workers or len(self.gpus) or 1
        self.threads = max(1, runtime.threads // self.workers)
        self.started = 0

    def start(self, arguments: list[str], folder: Path) -> Handle:
        gpu = {"CUDA_VISIBLE_DEVICES": self.gpus[self.started % len(self.gpus)]} if self.gpus else {}
        self.started += 1
        return Process(arguments, folder, gpu)


def visible_gpus() -> list[str]:
    """Names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(n) for n in range(torch.cuda.device_count())]


def attend(arguments: list[str], folder: str, cwd: str, env: dict[str, str]) -> int:
    """A Ray worker's task: runs a trial until it ends, or until a file in its folder asks it to stop. Returns its exit code."""
    if os.path.isdir(cwd):
        os.chdir(cwd)  # a recipe's paths are relative to where the search was started
    trial = Process(arguments, Path(folder), env)
    try:
        stopping = False
        while (code := trial.poll()) is None:
            if not stopping and (Path(folder) / STOP).exists():
                trial.stop()
                stopping = True
            time.sleep(POLL_S)
        return code
    finally:
        trial.kill()


class RayTask:
    """A trial on the Ray cluster."""

    def __init__(self, reference: Any, folder: Path):
        self.reference, self.folder = reference, folder

    def poll(self) -> int | None:
        """Its exit code, None while it runs; a kill's code if its node is gone."""
        import ray

        if not ray.wait([self.reference], timeout=0)[0]:
            return None
        try:
            return int(ray.get(self.reference))
        except ray.exceptions.RayError:  # its node is gone, or the worker was killed
            return KILLED

    def stop(self) -> None:
        (self.folder / STOP).touch()

    def kill(self) -> None:
        import ray

        ray.cancel(self.reference, force=True)  # the worker dies, and the trial with it


class Ray:
    """Trials as tasks on the Ray cluster at RAY_ADDRESS, or on one started here; all nodes see the runs' folder.

    workers: trials at a time; 0 means one per GPU, or one per node.
    """

    def __init__(self, workers: int, runtime: Machine):
        ray = connect_ray()
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus, cpus = (int(sum(node.get(kind, 0) for node in nodes)) for kind in ("GPU", "CPU"))
        self.gpu = runtime.device == "cuda"
        if self.gpu and not gpus:
            raise UserError("device=cuda: the Ray cluster has no GPU.", "device=cuda：Ray 集群里没有 GPU。")
        self.workers = workers or max(1, gpus if self.gpu else sum(node.get("CPU", 0) >= 1 for node in nodes))
        largest = int(max(node.get("CPU", 1) for node in nodes))  # a trial has to fit into one node
        self.threads = max(1, min(largest, cpus // self.workers, runtime.threads))
        self.task = ray.remote(attend).options(num_cpus=self.threads, num_gpus=1 if self.gpu else 0, max_retries=0)

    def start(self, arguments: list[str], folder: Path) -> Handle:
        (folder / STOP).unlink(missing_ok=True)
        env = {name: value for name, value in os.environ.items() if name.startswith("YAYA_")}
        return RayTask(self.task.remote(arguments, str(folder), os.getcwd(), env), folder)


ENGINES: dict[str, type[Local] | type[Ray]] = {"local": Local, "ray": Ray}
