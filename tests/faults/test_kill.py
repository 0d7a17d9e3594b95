"""kill -9 at random points, many of them inside a save: every run goes on and ends with the same bits.

The short form runs with the other tests; `make faults` (YAYA_FAULTS=full) kills fifty times and more.
"""

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.conftest import with_base, yaya

FULL = os.environ.get("YAYA_FAULTS") == "full"
SHAPE = ["hidden_size=64", "num_hidden_layers=2", "context_length=128"]
# Four micro-batches a step, a checkpoint every other step, several epochs of a small text.
KEYS = ["dtype=float32", "threads=1", "from=base", "batch_tokens=1024", "micro_batch_tokens=256", "save_steps=2"]
STAGES = {
    "pretrain": [*KEYS, *SHAPE, "steps=150", "samples=1", "evaluations=2"],
    "finetune": [*KEYS, "steps=100", "samples=1", "evaluations=1"],
}
KILLS = {"pretrain": 28, "finetune": 24} if FULL else {"pretrain": 3, "finetune": 2}


def outcome(folder: Path) -> tuple[str, list[tuple[int, float]]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    return weights, [(row["step"], row["loss"]) for row in rows]


@pytest.fixture(scope="module")
def base(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = with_base(tiny_run, tmp_path_factory.mktemp("kill"))
    yaya("pretrain", "name=straight", *STAGES["pretrain"], cwd=folder)
    yaya("finetune", "name=straight", *STAGES["finetune"], cwd=folder)
    return folder


@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_random_points(stage: str, base: Path) -> None:
    """Every second kill strikes while a save is under way."""
    chance = random.Random(int(os.environ.get("YAYA_FAULTS_SEED", "0")))
    run = base / "runs" / f"killed-{stage}"
    trainer = run / f".{stage}.partial" / "trainer"
    if stage == "finetune":
        run.mkdir()
        os.symlink(base / "runs/straight/pretrain", run / "pretrain")
    killed = inside = 0
    deadline = time.monotonic() + 60 * KILLS[stage]
    while (killed < KILLS[stage] or inside < KILLS[stage] // 2) and time.monotonic() < deadline:
        before = newest(trainer)
        process = subprocess.Popen(
            [sys.executable, "-m", "yaya", stage, f"name={run.name}", *STAGES[stage]],
            cwd=base,
            stderr=subprocess.DEVNULL,
        )
        while newest(trainer) <= before and process.poll() is None:  # at least one new checkpoint, or no progress
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.12))
        while inside < (killed + 1) // 2 and not list(trainer.glob(".saving-*")) and process.poll() is None:
            pass
        if process.poll() is not None:
            break  # finished: there are no more points to kill at
        process.kill()
        process.wait()
        killed += 1
        inside += any(trainer.glob(".saving-*"))
    done = yaya(stage, f"name={run.name}", *STAGES[stage], cwd=base)
    assert killed >= KILLS[stage] and inside >= KILLS[stage] // 2, "too few steps for so many kills"
    assert "damaged" not in done.stderr
    assert outcome(run / stage) == outcome(base / "runs/straight" / stage)
    print(f"{stage}: killed {killed} times, {inside} of them inside a save")


def newest(trainer: Path) -> int:
    return max((int(path.name[5:]) for path in trainer.glob("step-*")), default=0)
