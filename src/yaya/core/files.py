"""Files that survive a power cut, and JSON that may be damaged."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO


def file_digest(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` at the end: whole and flushed to the disk, or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: Path, data: str | bytes) -> None:
    """The whole file or the old one, never half of it."""
    with atomic_file(path) as file:
        file.write(data.encode("utf-8") if isinstance(data, str) else data)


def remove_unfinished(folder: Path) -> None:
    """Removes what a process that was killed had not finished writing, in a folder and those below."""
    for left in folder.rglob(".*.tmp"):
        left.unlink(missing_ok=True)


def sync_files(paths: Iterable[Path]) -> None:
    """Flushes files, whoever wrote them, and their names to the disk."""
    folders = set()
    for path in paths:
        with path.open("r+b") as file:  # Windows cannot flush a file that is open for reading only
            os.fsync(file.fileno())
        folders.add(path.parent)
    for folder in sorted(folders):
        sync_folder(folder)


def make_folder(folder: Path) -> None:
    """Makes a folder and its missing parents so that they survive a power cut."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in reversed(missing):
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flushes the names in a folder, where the system can, so that they survive a power cut; OSError if the disk fails."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # Windows cannot open folders
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems cannot flush folders
            raise
    finally:
        os.close(handle)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file, or an empty one."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The objects of a log; none if it cannot be read."""
    try:
        return json_lines(path.read_text("utf-8", errors="replace"))
    except OSError:
        return []


def json_lines(text: str) -> list[dict[str, Any]]:
    """The objects of a log's lines; a line that is not JSON (cut off while it was written, say) is skipped."""
    rows = []
    for line in text.split("\n"):  # replies may hold other ends of lines
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows
