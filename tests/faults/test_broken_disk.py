"""A disk that fails at every single write, one after the other: a message, the checkpoints before it whole, no leftovers,
and the same command goes on afterwards to the same bits."""

import builtins
import errno
import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import with_base

from yaya.cli import commands
from yaya.train.checkpoint import damage

FULL = os.environ.get("YAYA_FAULTS") == "full"
KEYS = ["pretrain", "name=broken", "from=base", "dtype=float32", "threads=1", "steps=6", "save_steps=2", "samples=1"]
KEYS += ["hidden_size=32", "num_hidden_layers=1", "context_length=64", "batch_tokens=256", "evaluations=1"]


class FaultyDisk:
    """Counts what is written below a folder (opening for writing, writing, flushing to disk, renaming) and fails at one."""

    def __init__(self, folder: Path, fail_at: int | None, number: int = errno.EIO):
        self.folder, self.fail_at, self.number, self.count = str(folder), fail_at, number, 0

    def touch(self, path: Any) -> None:
        if self.folder not in os.path.abspath(os.fspath(path)) or str(path).endswith(".lock"):
            return
        self.count += 1
        if self.count == self.fail_at:
            raise OSError(self.number, os.strerror(self.number), str(path))

    def __enter__(self) -> "FaultyDisk":
        self.before = io.open, os.replace, os.fsync
        plain_open, plain_replace, plain_fsync = self.before
        files: dict[int, str] = {}

        def faulty_open(path: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if not isinstance(path, str | os.PathLike) or not set(mode) & set("wax+"):
                return plain_open(path, mode, *args, **kwargs)
            self.touch(path)
            file = plain_open(path, mode, *args, **kwargs)
            files[file.fileno()] = os.fspath(path)
            return FaultyFile(file, lambda: self.touch(path))

        def faulty_replace(source: Any, target: Any, **kwargs: Any) -> None:
            self.touch(target)
            plain_replace(source, target, **kwargs)

        def faulty_fsync(handle: int) -> None:
            self.touch(files.get(handle, "elsewhere"))
            plain_fsync(handle)

        io.open = builtins.open = faulty_open  # type: ignore[assignment]
        os.replace, os.fsync = faulty_replace, faulty_fsync  # type: ignore[assignment]
        return self

    def __exit__(self, *_: object) -> None:
        io.open, os.replace, os.fsync = self.before  # type: ignore[assignment]
        builtins.open = io.open


class FaultyFile:
    def __init__(self, file: Any, touch: Any):
        self.file, self.touch = file, touch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, data: Any) -> int:
        self.touch()
        return self.file.write(data)

    def __enter__(self) -> "FaultyFile":
        return self

    def __exit__(self, *error: Any) -> None:
        self.file.__exit__(*error)


@pytest.fixture(scope="module")
def base(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = with_base(tiny_run, tmp_path_factory.mktemp("disk"))
    before, threads = Path.cwd(), torch.get_num_threads()
    os.chdir(folder)
    yield folder
    os.chdir(before)
    torch.set_num_threads(threads)  # the program ran in this process: other tests want it as it was
    torch.set_flush_denormal(False)
    torch.use_deterministic_algorithms(False)


def weights(folder: Path) -> str:
    return hashlib.sha256((folder / "pretrain/model.safetensors").read_bytes()).hexdigest()


def run_in_process() -> int:
    try:
        commands.main(KEYS)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_write_that_fails_loses_nothing(number: int, base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = base / "runs" / "broken"
    shutil.rmtree(run, ignore_errors=True)
    with FaultyDisk(run, None) as disk:
        assert run_in_process() == 0
    straight, writes = weights(run), disk.count
    assert writes > 30
    for fail_at in range(1, writes + 1, 1 if FULL else 9):
        shutil.rmtree(run)
        capsys.readouterr()
        with FaultyDisk(run, fail_at, number):
            code = run_in_process()
        said = capsys.readouterr().err
        assert "Traceback" not in said
        assert code == 1, f"write {fail_at} failed, and nobody noticed: {said}"
        assert ("full" if number == errno.ENOSPC else os.strerror(number)) in said
        for trainer in run.glob(".pretrain.partial/trainer"):
            assert [damage(path) for path in trainer.glob("step-*")] == [None] * len(list(trainer.glob("step-*")))
        left = [p for p in run.rglob("*") if p.name.endswith(".tmp") or p.name.startswith(".saving")]
        assert left == []
        assert run_in_process() == 0
        assert weights(run) == straight


@pytest.mark.usefixtures("permissions_hold")
def test_a_folder_that_may_not_be_written(
    base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (base / "locked").mkdir(mode=0o555)
    monkeypatch.chdir(base / "locked")
    assert run_in_process() == 1
    said = capsys.readouterr().err
    assert "permission" in said.lower() and "locked" in said + os.getcwd() and "Traceback" not in said
