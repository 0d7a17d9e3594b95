"""A new stage is one module and one line: its `Stage` in the list of `pipeline.py`. Nothing else knows stages by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from yaya import pipeline
from yaya.cli import commands
from yaya.core.artifact import Draft, load
from yaya.core.config import key
from yaya.core.messages import UserError
from yaya.core.stage import Inputs, RunContext, Stage


@dataclass(frozen=True)
class CountConfig:
    """Keys of [count]."""

    unit: str = key("byte", "what is counted", "数什么", ("byte", "line"))


def run(config: CountConfig, inputs: Inputs, draft: Draft, context: RunContext) -> None:
    """Counts what the corpus holds."""
    size = sum(path.stat().st_size for path in inputs["prepare"].path.glob("*.parquet"))
    (draft.path / "count.txt").write_text(f"{size} {config.unit} {context.seed}")


STAGE = Stage("count", CountConfig, run, reads=("prepare",))


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The stage is listed; the folder that it writes to in the run `a`."""
    monkeypatch.setitem(pipeline.STAGES, STAGE.name, STAGE)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs" / "a" / "count"


def test_a_new_stage_is_a_command(count: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It runs, is skipped, runs anew for another setting, explains its keys, and names what it lacks."""
    with pytest.raises(UserError, match=r"runs/a/prepare is missing\. Make it with: .*prepare name=a"):
        commands.dispatch(["count", "name=a"])
    data = ["prepare.conversations=20", "prepare.stories=5"]
    pipeline.run({"name": "a", "prepare": {"conversations": 20, "stories": 5}}, "prepare")
    for words, said in (([], "[count] → "), ([], "already done"), (["unit=line"], "unit: 'byte' -> 'line'")):
        commands.dispatch(["count", "name=a", "seed=0", *words, *data])
        assert said in capsys.readouterr().err or said == "[count] → "
    size = sum(path.stat().st_size for path in (count.parent / "prepare").glob("*.parquet"))
    assert (count / "count.txt").read_text() == f"{size} line 0"
    made = load(count, "count")
    assert (
        made is not None
        and made.config == {"unit": "line", "seed": 0}
        and list(made.manifest["parents"]) == ["prepare"]
    )
    assert "[count]" in (count.parent / "recipe.toml").read_text("utf-8")
    commands.dispatch(["count", "--help"])
    assert "what is counted" in capsys.readouterr().out
