"""One yaya at a time in a run's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from yaya.core import distributed
from yaya.core.files import make_folder
from yaya.core.messages import UserError

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Locks a run's folder, made if need be; rank 0 does it for all ranks. UserError if another yaya works in it."""
    make_folder(folder)
    lock = FileLock(folder / LOCK)
    try:
        if distributed.is_main():
            lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"Another yaya is working in {folder}. Wait until it has finished, or choose another name=.",
            f"另一个 yaya 正在 {folder} 里运行。请等它结束，或换一个 name=。",
        ) from None
    try:
        yield
    finally:
        lock.release()


def is_locked(folder: Path) -> bool:
    """Whether a yaya is working in this run; False if that is unknown."""
    path = folder / LOCK
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # not ours to write: nothing is known
        return False
