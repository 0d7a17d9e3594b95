"""The rows of metrics.jsonl reach the trackers that the tutorials use; offline, and only of rank 0."""

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from yaya.train.tracker import curves, open_tracker

ROW = {"loss": 2.5, "learning_rate": 0.01, "step": 7, "epoch": 0.5, "coach": [{"kind": "x"}], "skipped": True}


def test_only_numbers_are_curves() -> None:
    assert curves(ROW) == {"loss": 2.5, "learning_rate": 0.01, "epoch": 0.5}
    assert curves({"loss": None, "step": 1}) == {}


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with open_tracker("tensorboard", tmp_path / "tb", "pretrain", {}) as write:
        for step in (1, 2, 3):
            write(curves(ROW | {"loss": 3.0 - step / 10}), step)
    events = EventAccumulator(str(tmp_path / "tb"))
    events.Reload()
    assert [(e.step, pytest.approx(e.value)) for e in events.Scalars("loss")] == [(1, 2.9), (2, 2.8), (3, 2.7)]


@pytest.mark.parametrize(("name", "mode"), [("wandb", "offline"), ("swanlab", "offline")])
def test_wandb_and_swanlab_stay_offline(name: str, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins that record the calls; the real packages were run by hand (docs/decisions.md)."""
    calls: list[Any] = []
    run = types.SimpleNamespace(
        log=lambda values, step: calls.append((values, step)), finish=lambda: calls.append("finish")
    )
    module = types.ModuleType(name)
    module.init = lambda **keys: (calls.append(keys), run)[1]  # type: ignore[attr-defined]
    module.log, module.finish = run.log, run.finish  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, module)
    with open_tracker(name, tmp_path / "t", "pretrain", {"steps": 3}) as write:
        write({"loss": 1.0}, 4)
    assert calls[0]["mode"] == mode and calls[0]["config"] == {"steps": 3}
    assert calls[1:] == [({"loss": 1.0}, 4), "finish"]


def test_a_tracker_that_is_not_installed_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ValueError, match="pip install wandb"), open_tracker("wandb", tmp_path, "pretrain", {}):
        pass


def test_other_ranks_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with open_tracker("tensorboard", tmp_path / "tb", "pretrain", {}) as write:
        write({"loss": 1.0}, 1)
    assert not (tmp_path / "tb").exists()
