"""Several processes train one model: the same rows, the same loss, and what happens when one of them fails."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock
from safetensors.torch import load_file
from tests.conftest import with_base, yaya

SHAPE = [
    "hidden_size=64",
    "num_hidden_layers=2",
    "context_length=128",
    "batch_tokens=1024",
    "samples=1",
    "evaluations=2",
]
KEYS = ["dtype=float32", "threads=1", "from=base", "steps=24", *SHAPE]


def torchrun(
    ranks: int, *arguments: str, cwd: Path, check: bool = True, **env: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={ranks}", *arguments],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=300,
    )
    if check and done.returncode:
        raise AssertionError(f"{arguments} exited {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]


def reached(step: int, run: Path, process: subprocess.Popen) -> None:
    """Waits for the checkpoint of this step, or a later one."""
    deadline = time.monotonic() + 120
    while not any(int(p.name[5:]) >= step for p in (run / ".pretrain.partial/trainer").glob("step-*")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)


def children(process: subprocess.Popen) -> list[int]:
    return [int(pid) for pid in subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True).stdout.split()]


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in rows(folder)]


@pytest.fixture(scope="module")
def base(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny run's data as run `base`, and what one process makes of it as runs `adamw` and `muon`."""
    folder = with_base(tiny_run, tmp_path_factory.mktemp("ranks"))
    yaya("pretrain", "name=adamw", "optimizer=adamw", "learning_rate=3e-3", *KEYS, cwd=folder)
    yaya("pretrain", "name=muon", *KEYS, cwd=folder)
    return folder


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_ranks_compute_what_one_process_computes(parallel: str, base: Path) -> None:
    """AdamW in fp32: every step's loss within 1e-5; rank 0 alone speaks."""
    ranks = 4 if parallel == "ddp" else 2
    keys = [f"name={parallel}", f"parallel={parallel}", "optimizer=adamw", "learning_rate=3e-3", *KEYS]
    done = torchrun(ranks, "-m", "yaya", "pretrain", *keys, cwd=base)
    assert done.stderr.count("24 steps, 24,576 tokens") == 1
    alone = base / "runs/adamw/pretrain"
    assert losses(base / f"runs/{parallel}/pretrain") == pytest.approx(losses(alone), abs=1.1e-5)
    ours, theirs = (load_file(p / "model.safetensors") for p in (base / f"runs/{parallel}/pretrain", alone))
    assert max((ours[n] - theirs[n]).abs().max().item() for n in theirs) < 1e-3


def test_a_checkpoint_goes_on_at_any_number_of_ranks(base: Path) -> None:
    """1 -> 2 (FSDP2) -> 4 (DDP) -> 1 processes with Muon: rows in one order, loss as if nothing had happened."""

    def stopped_after(step: int, launch: list[str], *keys: str) -> None:
        command = [sys.executable, *launch, "-m", "yaya", "pretrain", "name=moves", *KEYS, "save_steps=1", *keys]
        process = subprocess.Popen(command, cwd=base, stderr=subprocess.DEVNULL)
        reached(step, base / "runs/moves", process)
        for pid in [process.pid, *children(process)]:
            os.kill(pid, signal.SIGKILL)
        process.wait()

    launch = ["-m", "torch.distributed.run"]
    stopped_after(5, [])
    stopped_after(10, [*launch, "--nproc-per-node=2"], "parallel=fsdp")
    stopped_after(15, [*launch, "--nproc-per-node=4"])
    yaya("pretrain", "name=moves", *KEYS, cwd=base)
    assert [row["step"] for row in rows(base / "runs/moves/pretrain")] == list(range(1, 25))
    assert losses(base / "runs/moves/pretrain") == pytest.approx(losses(base / "runs/muon/pretrain"), abs=2e-3)


def test_a_rank_that_is_killed_is_brought_back(base: Path) -> None:
    """One of four killed with -9: torchrun starts all anew, they go on at the last checkpoint, the loss is the same."""
    run = base / "runs/killed"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=4", "--max-restarts=2", "-m", "yaya"]
    process = subprocess.Popen(
        [*command, "pretrain", "name=killed", *KEYS, "save_steps=1"], cwd=base, stderr=subprocess.PIPE, text=True
    )
    reached(8, run, process)
    os.kill(children(process)[-1], signal.SIGKILL)
    _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    assert "resumes at step" in said
    assert losses(run / "pretrain") == pytest.approx(losses(base / "runs/muon/pretrain"), abs=2e-3)


def test_ranks_stop_when_torchrun_is_killed(base: Path) -> None:
    """They save and leave, so that the next command may go on; nobody else could stop or restart them."""
    run = base / "runs/orphans"
    keys = [*KEYS, "steps=2000", "save_steps=1"]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "-m", "yaya", "pretrain"]
    process = subprocess.Popen([*command, "name=orphans", *keys], cwd=base, stderr=subprocess.DEVNULL)
    reached(3, run, process)
    left = children(process)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while any(
        Path(f"/proc/{pid}/cmdline").exists() and "yaya" in Path(f"/proc/{pid}/cmdline").read_text() for pid in left
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with FileLock(run / ".lock", timeout=0):
        pass
    assert (run / ".pretrain.partial/trainer").exists() and not (run / "pretrain").exists()


BROKEN = """
import sys, torch
from yaya.core import distributed
from yaya.train import loop
plain = loop.accumulate
calls = 0
def accumulate(model, objective, cursor):
    global calls
    calls += 1
    result = plain(model, objective, cursor)
    if distributed.rank() == distributed.world_size() - 1 and calls in BAD:
        next(model.parameters()).grad[0, 0] = float("nan")
    return result
loop.accumulate = accumulate
from yaya.cli import main
main(sys.argv[1:])
"""


def test_nan_on_one_rank_skips_the_step_on_all(base: Path) -> None:
    """Two steps skipped, counted; on both ranks the weights stay what they are in one process that skips them."""
    script = base / "nan.py"
    script.write_text(BROKEN.replace("BAD", "(5, 9)"))
    torchrun(2, str(script), "pretrain", "name=skips", *KEYS, cwd=base)
    subprocess.run([sys.executable, str(script), "pretrain", "name=alone", *KEYS], cwd=base, check=True)
    done, alone = rows(base / "runs/skips/pretrain"), rows(base / "runs/alone/pretrain")
    assert [row["step"] for row in done if row.get("skipped")] == [5, 9]
    assert json.loads((base / "runs/skips/pretrain/manifest.json").read_text())["metrics"]["skipped_steps"] == 2
    for row, other in zip(done, alone, strict=True):
        assert row["loss"] == (other["loss"] and pytest.approx(other["loss"], abs=2e-3))


def test_nan_that_stays_rolls_back_with_a_lower_rate(base: Path) -> None:
    script = base / "nan-stays.py"
    script.write_text(BROKEN.replace("BAD", "(11, 12, 13)"))
    done = torchrun(2, str(script), "pretrain", "name=back", *KEYS, "save_steps=4", cwd=base)
    assert "back to step 8" in done.stderr
    found = rows(base / "runs/back/pretrain")
    assert [row["step"] for row in found] == list(range(1, 25))
    whole = rows(base / "runs/muon/pretrain")
    assert found[7]["learning_rate"] == pytest.approx(whole[7]["learning_rate"])
    assert found[9]["learning_rate"] == pytest.approx(whole[9]["learning_rate"] / 2)


def test_nan_without_end_stops_with_an_explanation(base: Path) -> None:
    script = base / "nan-forever.py"
    script.write_text(BROKEN.replace("BAD", "range(6, 1000)"))
    done = torchrun(2, str(script), "pretrain", "name=ever", *KEYS, "save_steps=1", cwd=base, check=False)
    assert done.returncode != 0
    assert "lower learning_rate" in done.stderr and not (base / "runs/ever/pretrain").exists()


def test_more_ranks_than_rows_is_refused(base: Path) -> None:
    done = torchrun(3, "-m", "yaya", "pretrain", "name=many", *KEYS, "batch_tokens=256", cwd=base, check=False)
    assert done.returncode != 0 and "fewer than the 3 processes" in done.stderr
