"""A disk that fills up: a message, nothing finished is lost, and it goes on when there is room."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import TINY, yaya


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "yaya-test", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


def test_a_full_disk_loses_nothing(small_disk: Path) -> None:
    keys = [*TINY, "pretrain.save_seconds=0", "finetune.save_seconds=0"]
    done = yaya("run", "name=full", *keys, cwd=small_disk, check=False)
    assert done.returncode == 1
    assert "disk is full" in done.stderr and "Traceback" not in done.stderr
    finished = [p.parent.name for p in small_disk.glob("runs/full/*/manifest.json")]
    assert "prepare" in finished and "finetune" not in finished
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    done = yaya("run", "runs/full/recipe.toml", cwd=small_disk)
    assert done.stderr.count("already done") >= len(finished)
    assert (small_disk / "runs/full/finetune/manifest.json").exists()
