"""A power cut between any two writes: what says that files are whole is never on the disk before they are.

A model of the disk follows every flush and rename. Content is safe once its file was flushed, a name once its folder
was; whatever else was written may be lost. At each rename of a file that vouches for others (a manifest, the note of a
finished piece, a checkpoint's state) those others must be safe, and what a swap replaces stays until the swap is safe.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from prepared import configured, lines
from tests.conftest import TINY, built, context

from yaya.core.artifact import Draft
from yaya.core.config import as_dict
from yaya.prepare import corpus
from yaya.train.checkpoint import CheckpointManager, TensorShard, TrainState


def digest(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


class Disk:
    """What would be left after a power cut: flushed contents by path, and flushed names by folder."""

    def __init__(self) -> None:
        self.contents: dict[str, str] = {}
        self.names: dict[str, set[str]] = {}
        self.renames: list[Path] = []
        self.unflushed: dict[str, list[str]] = {}  # folder -> new names that are not safe yet
        self.problems: list[str] = []

    def fsync(self, handle: int) -> None:
        path = os.readlink(f"/proc/self/fd/{handle}")
        if os.path.isdir(path):
            self.names[path] = set(os.listdir(path))
            self.unflushed.pop(path, None)
        else:
            self.contents[path] = digest(path)

    def replace(self, source: str, target: str) -> None:
        for known in (self.contents, self.names):
            for path in [p for p in known if p == source or p.startswith(source + os.sep)]:
                known[target + path[len(source) :]] = known.pop(path)  # type: ignore[attr-defined]
        self.renames.append(Path(target))
        self.unflushed.setdefault(os.path.dirname(target), []).append(target)

    def is_safe(self, path: Path, content: str | None = None) -> bool:
        """Whether the file's present content, or that which is claimed, and its name would be there after a power cut."""
        named = path.name in self.names.get(str(path.parent), ())
        return named and self.contents.get(str(path)) == (content or digest(path))

    def before_rename(self, source: Path, target: Path) -> None:
        """A finished piece's note says that its files are whole; a folder that gets its name, that its files are."""
        if target.parent.name == "work" and target.suffix == ".json":
            claimed: dict[Path, str | None] = dict.fromkeys(files_of_piece(target))
        elif source.is_dir() and not target.name.endswith(".old"):
            claimed = claims_of(source)
        else:
            return
        assert claimed, target
        for path, content in claimed.items():
            if not self.is_safe(path, content):
                self.problems.append(f"{target} vouches for {path.name}")

    def before_removal(self, folder: Path) -> None:
        """The artifact before goes only when the new one is safe in its place."""
        if folder.name.endswith(".old") and folder.exists() and self.unflushed.get(str(folder.parent)):
            self.problems.append(f"{folder} is removed before the swap is flushed")


def files_of_piece(note: Path) -> list[Path]:
    """What one step of prepare has written for one piece, or for one band of signatures."""
    step, number = note.stem.split("-")
    if step == "match":
        return [note.parent / f"band-{int(number):02}.npz"]
    folder, pattern = (note.parent, f"{number}.*") if step == "clean" else (note.parents[1], f"*-{number}.parquet")
    return list(folder.glob(pattern))


def claims_of(folder: Path) -> dict[Path, str | None]:
    """What the manifest of an artifact, or the state of a checkpoint, says of the files beside it, and itself."""
    name, key = ("manifest.json", "files") if (folder / "manifest.json").exists() else ("state.json", "sha256")
    listed = json.loads((folder / name).read_text("utf-8"))[key]
    return {folder / name: None} | {folder / file: content for file, content in listed.items()}


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to tell files by their handles")
    found = Disk()
    fsync, replace, rmtree = os.fsync, os.replace, shutil.rmtree

    def watched_fsync(handle: int) -> None:
        fsync(handle)
        found.fsync(handle)

    def watched_replace(source: Any, target: Any) -> None:
        source, target = os.path.abspath(source), os.path.abspath(target)
        found.before_rename(Path(source), Path(target))
        replace(source, target)
        found.replace(source, target)

    def watched_rmtree(path: Any, *args: Any, **kwargs: Any) -> None:
        found.before_removal(Path(path).absolute())
        rmtree(path, *args, **kwargs)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    monkeypatch.setattr(shutil, "rmtree", watched_rmtree)
    return found


def renamed(disk: Disk, name: str) -> int:
    return sum(target.name == name for target in disk.renames)


def test_a_corpus_is_safe_before_its_manifest(tmp_path: Path, disk: Disk) -> None:
    records = [{"text": f"In town {n} there live {n * 7} people and {n % 5} owls."} for n in range(300)]
    config = configured(lines(tmp_path / "a.jsonl", records))
    path = tmp_path / "runs" / "safe" / "prepare"

    def make(draft: Draft) -> None:
        corpus.run(config, {}, draft, context(path))

    for seed in (0, 1):  # the second one replaces the first
        built(path, Draft.of(path, "prepare", as_dict(config) | {"seed": seed}, {}, seed), make)
    assert disk.problems == []
    assert renamed(disk, "manifest.json") == 2 and renamed(disk, "clean-00000.json") == 2
    assert all(disk.is_safe(file) for file in path.iterdir() if file.suffix in (".parquet", ".json"))
    for folder, name in ((path.parent, "prepare"), (path.parents[1], "safe"), (tmp_path, "runs")):
        assert name in disk.names[str(folder)]


def test_a_run_is_safe_stage_by_stage(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    from yaya.cli import commands

    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    keys = ["prepare.conversations=300", "prepare.stories=60", "pretrain.steps=4", "finetune.steps=2"]
    commands.main(["run", "name=safe", *TINY, *keys, "evaluate.questions_per_skill=1", "device=cpu"])
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)
    torch.use_deterministic_algorithms(False)
    assert disk.problems == []
    assert renamed(disk, "manifest.json") == 5 and renamed(disk, "state.json") >= 2


def test_a_checkpoint_is_safe_before_its_state(tmp_path: Path, disk: Disk) -> None:
    with CheckpointManager(tmp_path, 2) as saver:
        for step in (1, 2, 3):
            saver.save(TrainState(step=step), {"weights.a": TensorShard(torch.arange(6.0).reshape(3, 2))})
        saver.wait()
    assert disk.problems == [] and renamed(disk, "state.json") == 3
    assert {"step-00000002", "step-00000003"} <= disk.names[str(tmp_path)]
