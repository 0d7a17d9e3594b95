"""A search as a user starts it: killed in the middle, gone on with; stopped by Ctrl-C; on a cluster."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tests.conftest import yaya

from yaya import pipeline
from yaya.core import artifact
from yaya.core import run as core_run
from yaya.core.machine import Machine
from yaya.core.recipe import read_recipe

pytest.importorskip("optuna")

DATA = ["prepare.conversations=400", "prepare.stories=60", "tokenize.vocab_size=600"]
SHAPE = ["pretrain.hidden_size=64", "pretrain.num_hidden_layers=1", "pretrain.context_length=64"]
KEYS = [
    *DATA,
    *SHAPE,
    "pretrain.batch_tokens=512",
    "pretrain.steps=24",
    "threads=1",
    "dtype=float32",
    "looks=4",
    "seeds=0",
]
SEARCH = ["trials=4", "space.learning_rate=1e-4..1e-1", "space.matrix_learning_rate=[0.003, 0.03]"]


def rows(folder: Path) -> list[dict]:
    path = folder / "trials.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "yaya", "tune", *arguments]
    env = {**os.environ, "YAYA_LANG": "en"}
    return subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    give_up = time.monotonic() + 120
    while not condition():
        assert process is None or process.poll() is None, "it ended before"
        assert time.monotonic() < give_up
        time.sleep(0.01)


def trials_of(folder: Path) -> list[psutil.Process]:
    """Trials of this folder that run."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "yaya.tune.trial" in line and any(str(folder) in word for word in line):
            found.append(process)
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """runs/data with a tokenized primer."""
    folder = tmp_path_factory.mktemp("data")
    yaya("prepare", "name=data", *(key for key in DATA if key.startswith("prepare")), cwd=folder)
    yaya("tokenize", "name=data", "vocab_size=600", cwd=folder)
    return folder / "runs" / "data"


def test_killed_and_started_again_it_goes_on(tmp_path: Path) -> None:
    tune, partial = tmp_path / "runs/t/tune", tmp_path / "runs/t/.tune.partial"
    process = start(tmp_path, "name=t", *KEYS, *SEARCH)  # makes its data first
    wait_for(lambda: rows(partial) and list(partial.glob("trials/0001/.pretrain.partial/metrics.jsonl")), process)
    assert trials_of(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = rows(partial)
    assert 1 <= len(done) < 4 and not tune.exists()
    wait_for(lambda: not trials_of(tmp_path))  # they do not outlive the search
    said = yaya("tune", "name=t", *KEYS, *SEARCH, cwd=tmp_path).stderr
    assert f"resumes: {len(done)} of 4 trials" in said and "[tokenize] already done" in said
    made, found = artifact.load(tune, "tune"), rows(tune)
    assert made is not None and found[: len(done)] == done
    trials = [row for row in found if row["number"] is not None]
    assert [row["number"] for row in trials] == [0, 1, 2, 3] and trials[0]["role"] == "default"
    assert trials[0]["values"] == {"learning_rate": 0.03, "matrix_learning_rate": 0.03}
    assert all(row["outcome"] in ("complete", "stopped") and row["seed"] == 0 for row in trials)
    assert len(trials[0]["curve"]) == 4 and trials[0]["curve"][-1][0] == 24
    best = pipeline.open_run(read_recipe(tune / "best.toml"))
    for name, value in made.metrics["values"].items():
        assert getattr(best.recipe.stages["pretrain"], name) == value
    assert best.recipe.stages["pretrain"].steps == 24 and best.recipe.stages["prepare"].conversations == 400
    html = (tune / "report.html").read_text("utf-8")
    assert html.count("<svg") >= 3 and "src=" not in html and f"{trials[0]['loss']:.4f}" in html
    assert "Traceback" not in said and "report.html" in said
    assert not list(tune.rglob("*.safetensors")) and not list(tune.rglob(".*.partial"))


def test_a_search_in_a_run_of_own_texts_stays_with_them(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"Boat {n} carries {n * n % 97} barrels to harbour {n % 13}."}) for n in range(900)]
    (tmp_path / "own.jsonl").write_text("\n".join(lines), "utf-8")
    yaya("prepare", "name=own", "sources=own.jsonl", cwd=tmp_path)
    before = (tmp_path / "runs" / "own" / "prepare" / "manifest.json").read_bytes()
    keys = [*SHAPE, "pretrain.steps=4", "pretrain.batch_tokens=512", "tokenize.vocab_size=400", "looks=2", "seeds=0"]
    search = ["trials=2", "space.learning_rate=1e-3..1e-1"]
    said = yaya("tune", "name=own", *keys, *search, cwd=tmp_path, YAYA_LANG="en").stderr
    assert "[prepare] already done" in said
    assert (tmp_path / "runs" / "own" / "prepare" / "manifest.json").read_bytes() == before
    assert len(rows(tmp_path / "runs" / "own" / "tune")) >= 1


def test_ctrl_c_ends_the_trials_too(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "runs/data")
    process = start(tmp_path, "name=c", "from=data", *KEYS[3:], *SEARCH, "workers=2", "pretrain.steps=20000")
    running = tmp_path / "runs/c/.tune.partial/trials"
    wait_for(lambda: len(list(running.glob("*/.pretrain.partial/metrics.jsonl"))) == 2, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "Stopped" in said and "Traceback" not in said
    assert not trials_of(tmp_path)


@pytest.mark.slow
def test_on_a_cluster_of_two_nodes(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    from yaya.tune import search

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.chdir(tmp_path)
    # Nothing is measured, and torch's switches for the whole process (denormals!) stay as other tests want them.
    monkeypatch.setattr(core_run, "setup", lambda *_: Machine("cpu", "float32", 1))
    shutil.copytree(data, tmp_path / "runs/data")
    shape = {"hidden_size": 64, "num_hidden_layers": 1, "context_length": 64, "batch_tokens": 512, "steps": 24}
    space = {
        "learning_rate": "1e-4..1e-1",
        "batch_tokens": [512, 8_000_000],
    }  # more than the data has: that trial fails
    recipe = {"name": "r", "from": "data", "threads": 1, "dtype": "float32", "device": "cpu", "pretrain": shape}
    keys = {"space": space, "trials": 5, "looks": 4, "seeds": 0, "workers": 0, "engine": "ray"}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        made = search.run(recipe | {"tune": keys})
        assert sum(node["Alive"] for node in ray.nodes()) == 2
    finally:
        ray.shutdown()
        cluster.shutdown()
    trials = rows(made.path)
    assert len(trials) == 5 and trials[0]["outcome"] == "complete"
    failed = [row for row in trials if row["values"]["batch_tokens"] > 512]
    assert failed and all(row["outcome"] == "failed" and "batch_tokens" in row["message"] for row in failed)
    assert all(row["outcome"] != "failed" for row in trials if row not in failed)
    assert not trials_of(tmp_path)
