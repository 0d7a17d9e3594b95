"""Runs a function over many items: in this process, on all cores, or on a Ray cluster. Results come in order.

The function reads and writes its own files (on a cluster: on a file system that all nodes share) and returns a small
dict, which is kept in the hand-over, so that a run that was killed continues with the items that are missing.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from yaya.core.files import write_atomic
from yaya.core.messages import UserError
from yaya.core.ray_cluster import connect_ray
from yaya.prepare.handover import Handover

Function = Callable[[Any], dict[str, Any]]
AHEAD = 2  # items queued per worker, so that none is idle


def run_all(
    function: Function, items: Sequence[Any], work: Handover, task: str, engine: str, workers: int
) -> Iterator[dict[str, Any]]:
    """Yields `function(item)` for each item, reusing `work.result(task, number)` of an earlier run."""
    kept = [work.result(task, number) for number in range(len(items))]
    to_do = [number for number, path in enumerate(kept) if not path.exists()]
    made = ENGINES[engine](function, [items[number] for number in to_do], workers)
    try:
        for path in kept:
            if path.exists():
                yield json.loads(path.read_text("utf-8"))
                continue
            result = next(made)
            write_atomic(path, json.dumps(result, ensure_ascii=False))
            yield result
    finally:
        made.close()


def in_order(
    submit: Callable[[Any], Any], result: Callable[[Any], dict[str, Any]], items: Sequence[Any], most: int
) -> Iterator[dict[str, Any]]:
    """Yields the results of all items; at most `most` wait at a time."""
    waiting: deque[Any] = deque()
    for item in items:
        waiting.append(submit(item))
        if len(waiting) > most:
            yield result(waiting.popleft())
    while waiting:
        yield result(waiting.popleft())


def on_cores(function: Function, items: Sequence[Any], workers: int) -> Iterator[dict[str, Any]]:
    """Runs in this process, or in spawned ones if there are items for several. UserError when a worker is killed."""
    workers = min(workers, len(items))
    if workers <= 1:
        gc.freeze()  # what is loaded by now stays; to look through it again and again takes a tenth of the time
        try:
            yield from map(function, items)
        finally:
            gc.unfreeze()
        return
    spawn = multiprocessing.get_context("spawn")
    # Ctrl-C reaches the whole process group; the parent reports it.
    pool = ProcessPoolExecutor(workers, spawn, signal.signal, (signal.SIGINT, signal.SIG_IGN))
    try:
        yield from in_order(lambda item: pool.submit(function, item), Future.result, items, AHEAD * workers)
    except BrokenProcessPool:
        raise UserError(
            "A prepare worker was killed, most likely because memory ran out. Try again with fewer workers: prepare.workers=1",
            "prepare 的一个工作进程被系统终止，多半是内存不够。请减少进程数再试：prepare.workers=1",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def on_ray(function: Function, items: Sequence[Any], workers: int) -> Iterator[dict[str, Any]]:
    """Runs on the Ray cluster at RAY_ADDRESS, or starts one here. workers: tasks at a time, 0 for all CPUs."""
    ray = connect_ray()
    limit = workers or int(ray.cluster_resources().get("CPU", 1))
    yield from in_order(ray.remote(function).remote, ray.get, items, AHEAD * limit)


ENGINES: dict[str, Callable[[Function, Sequence[Any], int], Any]] = {"local": on_cores, "ray": on_ray}
