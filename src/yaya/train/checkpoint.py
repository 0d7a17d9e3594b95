"""Checkpoints, complete or not at all: weights, optimizer and state, in fp32 and without pickling.

`trainer/step-00000120/` holds one `rank-00000.safetensors` for each rank that trained, and `state.json`, written last: the
state, each file's sha256, and a sha256 of itself. A tensor that was sharded over ranks is stored as slices of its rows,
so that any number of ranks can read a checkpoint. Files are written in the background, from a copy of the tensors.

Format 1 (until 2026-11) had `weights.safetensors` and `optimizer.safetensors`; it is still read.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from yaya.core import distributed
from yaya.core.files import file_digest, sync_folder, write_atomic
from yaya.core.messages import UserError, say
from yaya.model.pretrained import save_tensors
from yaya.train.parallel import is_spread, local, local_rows

FORMAT = 2
OTHERS_TIMEOUT_S = 1800.0  # how long rank 0 waits for the others' files


@dataclass(frozen=True)
class TrainState:
    """How far training is: optimizer steps done, rows consumed by all ranks together, tokens and seconds so far."""

    step: int = 0
    cursor: int = 0
    tokens: int = 0
    seconds: float = 0.0
    skipped: int = 0  # steps whose gradient was not finite
    rollbacks: int = 0  # times that training went back to a checkpoint; each halves the learning rate


@dataclass(frozen=True)
class TensorShard:
    """A tensor, or the rows of it that one rank holds: rows `first` to `first + len(tensor)` of `rows`."""

    tensor: torch.Tensor
    first: int = 0
    rows: int | None = None  # None: the whole tensor


def shard_of(name: str, tensor: Any) -> dict[str, TensorShard]:
    """What this rank saves of a tensor, by name: its rows, or, if all ranks hold the same, all of it on rank 0."""
    if is_spread(tensor) and tensor.dim():
        return {name: TensorShard(local(tensor), local_rows(tensor).start, tensor.shape[0])}
    return {name: TensorShard(local(tensor))} if distributed.is_main() else {}


class CheckpointManager:
    """Writes checkpoints in the background and keeps the last `keep` that are known to be complete."""

    def __init__(self, folder: Path, keep: int):
        self.folder, self.keep = folder, keep
        self.whole: list[Path] = []  # checkpoints read or written completely, oldest first
        self.thread: threading.Thread | None = None
        self.error: BaseException | None = None
        self.leaving = False

    def __enter__(self) -> CheckpointManager:
        return self

    def __exit__(self, *_: object) -> None:
        """Waits for this rank's write to finish, but not for other ranks."""
        self.leaving = True
        if self.thread is not None:
            self.thread.join()

    def save(self, state: TrainState, shards: dict[str, TensorShard]) -> None:
        """Copies this rank's shards and starts writing them; waits for the previous write, and raises its error."""
        self.wait()
        copied = {
            name: TensorShard(p.tensor.detach().to("cpu", torch.float32, copy=True), p.first, p.rows)
            for name, p in shards.items()
        }
        self.thread = threading.Thread(target=self._write, args=(state, copied), daemon=True)
        self.thread.start()

    def wait(self) -> None:
        """Waits until the last checkpoint is written; raises an error of that write."""
        if self.thread is not None:
            self.thread.join()
            self.thread = None
        self.check()

    def check(self) -> None:
        """Raises what went wrong in the background."""
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def _write(self, state: TrainState, shards: dict[str, TensorShard]) -> None:
        path = self.folder / f"step-{state.step:08}"
        saving = self.folder / f".saving-{state.step:08}"
        try:
            saving.mkdir(parents=True, exist_ok=True)
            write_rank(saving, shards)
            if distributed.is_main():
                finish(saving, state, lambda: self.leaving)
                shutil.rmtree(path, ignore_errors=True)
                os.replace(saving, path)
                sync_folder(self.folder)
                self._keep(path)
        except BaseException as error:
            self.error = error
            shutil.rmtree(saving, ignore_errors=True)

    def _keep(self, path: Path) -> None:
        """Deletes everything older than the last `keep` complete checkpoints."""
        self.whole = [p for p in self.whole if p != path] + [path]
        self.whole = self.whole[-self.keep :]
        for old in sorted(self.folder.glob("step-*")):
            if old not in self.whole:
                shutil.rmtree(old, ignore_errors=True)

    def clean(self) -> None:
        """Removes what an interrupted save left; rank 0 does it before anyone trains."""
        for left in self.folder.glob(".saving-*"):
            shutil.rmtree(left, ignore_errors=True)

    def load(self) -> Checkpoint | None:
        """The newest intact checkpoint; a damaged one is reported and renamed, and the previous one is used; None if there is none."""
        found = None
        if distributed.is_main():
            for path in sorted(self.folder.glob("step-*"), reverse=True):
                problem = damage(path)
                if problem is None:
                    self.whole, found = [path], path.name
                    break
                name = aside(path)
                say(
                    f"Checkpoint {path} is damaged ({problem}); it was renamed to {name}, and the previous one is used.",
                    f"检查点 {path} 已损坏（{problem}）；改名为 {name} 保留，改用前一个。",
                )
        found = distributed.broadcast_object(found)
        return None if found is None else Checkpoint(self.folder / found)


def write_rank(folder: Path, shards: dict[str, TensorShard]) -> None:
    """This rank's tensors, and beside them their sha256, which marks them as complete. UserError for NaN, infinity."""
    name = f"rank-{distributed.rank():05}.safetensors"
    bad = [n for n, p in shards.items() if not torch.isfinite(p.tensor).all()]
    if bad:
        raise UserError(
            f"The model's values became NaN or infinite ({bad[0]}), so they were not saved. Resume from the last checkpoint with a lower learning_rate and matrix_learning_rate.",
            f"模型的数值变成了 NaN 或无穷大（{bad[0]}），没有保存。请调低 learning_rate 和 matrix_learning_rate，从上一个检查点继续。",
        )
    slices = {n: [p.first, p.rows] for n, p in shards.items() if p.rows is not None}
    digest = save_tensors({n: p.tensor for n, p in shards.items()}, folder / name, {"slices": json.dumps(slices)})
    write_atomic(folder / f"{name}.sha256", digest)


def finish(folder: Path, state: TrainState, leaving: Callable[[], bool]) -> None:
    """Rank 0 waits for every rank's file and writes state.json, which marks the checkpoint as complete.

    UserError if a file does not come in time, InterruptedError if training is being stopped meanwhile.
    """
    deadline = time.monotonic() + OTHERS_TIMEOUT_S
    digests = {}
    for rank in range(distributed.world_size()):
        name = f"rank-{rank:05}.safetensors"
        note = folder / f"{name}.sha256"
        while not note.exists():
            if leaving():
                raise InterruptedError(f"no {note} yet")
            if time.monotonic() > deadline:
                raise UserError(
                    f"Rank {rank} did not write {note} within {OTHERS_TIMEOUT_S:g} s. All ranks must see the same folder: is {folder.parent} on a shared disk?",
                    f"第 {rank} 号进程在 {OTHERS_TIMEOUT_S:g} 秒内没有写出 {note}。所有进程必须看到同一个文件夹：{folder.parent} 在共享磁盘上吗？",
                )
            time.sleep(0.02)
        digests[name] = note.read_text("utf-8")
        note.unlink()
    written = {"format": FORMAT, **asdict(state), "sha256": digests}
    write_atomic(folder / "state.json", json.dumps({**written, "state_sha256": state_digest(written)}))
    sync_folder(folder)


def state_digest(state: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def read_state(path: Path) -> dict[str, Any]:
    """state.json of a checkpoint; ValueError says what is wrong with it."""
    try:
        state = json.loads((path / "state.json").read_text("utf-8"))
    except OSError:
        raise ValueError("state.json is missing") from None
    except ValueError:
        raise ValueError("state.json is not JSON") from None
    if not isinstance(state, dict) or not isinstance(state.get("sha256"), dict):
        raise ValueError("state.json has lost its content")
    digest = state.pop("state_sha256", None)
    if digest != state_digest(state) and (digest is not None or state.get("format", 1) > 1):
        raise ValueError("state.json was changed")
    if f"step-{state.get('step', -1):08}" != path.name:
        raise ValueError(f"it is step {state.get('step')}")
    if state.get("format", 1) > FORMAT:
        raise UserError(
            f"{path} was written by a newer yaya (checkpoint format {state['format']}). Update yaya, or delete it.",
            f"{path} 是更新版本的 yaya 写的（检查点格式 {state['format']}）。请升级 yaya，或删除它。",
        )
    return state


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint, or None if it is intact; UserError if a newer yaya wrote it."""
    try:
        for name, digest in read_state(path)["sha256"].items():
            if not (path / name).exists():
                return f"{name} is missing"
            if file_digest(path / name) != digest:
                return f"{name} has a wrong checksum"
        Checkpoint(path).close()
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        return str(error)
    return None


def aside(path: Path) -> str:
    """Renames a damaged checkpoint, so that it is neither used nor counted; returns its new name."""
    name = f"damaged-{path.name}"
    shutil.rmtree(path.with_name(name), ignore_errors=True)
    try:
        os.replace(path, path.with_name(name))
    except OSError:
        return path.name
    return name


class Checkpoint:
    """A checkpoint on disk: its state, and each tensor, put together from the slices of the ranks that wrote it."""

    def __init__(self, path: Path):
        self.path = path
        state = read_state(path)
        known = {f.name for f in fields(TrainState)}
        self.state = TrainState(**{n: v for n, v in state.items() if n in known})
        self.files = {name: safe_open(path / name, "pt") for name in sorted(state["sha256"])}
        self.places: dict[str, list[tuple[str, int, int | None]]] = {}  # tensor -> (file, first row, rows)
        for name, file in self.files.items():
            slices = json.loads((file.metadata() or {}).get("slices", "{}"))
            prefix = "weights." if name == "weights.safetensors" else ""  # of format 1
            for key in file.keys():  # noqa: SIM118  # a safetensors file is not a dict
                first, rows = slices.get(key, (0, None))
                self.places.setdefault(prefix + key, []).append((name, first, rows))

    def read(self, name: str) -> torch.Tensor:
        """The whole tensor in fp32."""
        key = name.removeprefix("weights.") if "weights.safetensors" in self.files else name
        pieces = [(first, self.files[file].get_tensor(key), rows) for file, first, rows in self.places[name]]
        if pieces[0][2] is None:
            return pieces[0][1]
        out = torch.empty(pieces[0][2], *pieces[0][1].shape[1:])
        for first, piece, _ in pieces:
            out[first : first + len(piece)] = piece
        return out

    def close(self) -> None:
        self.files.clear()
