"""Which model a name means, and what is said where there is none (yet)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from yaya.cli import commands, stages, tools
from yaya.cli.models import model_folder
from yaya.core import messages
from yaya.core.artifact import SCHEMA_VERSION
from yaya.core.messages import UserError

TOOLS = (["chat", "m"], ["chat", "m", "--once", "hi"], ["serve", "m"], ["generate", "m", "Once"])


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(messages.shutil, "which", lambda name: f"/usr/bin/{name}")
    return tmp_path


def finished(place: str, **config: object) -> Path:
    folder = Path(place)
    folder.mkdir(parents=True)
    content = {"kind": folder.name, "schema_version": SCHEMA_VERSION, "digest": "", "parents": {}, "metrics": {}}
    (folder / "manifest.json").write_text(json.dumps(content | {"config": config}))
    return folder


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command that fails says."""

    def inner(*arguments: str, language: str = "en") -> str:
        monkeypatch.setenv("YAYA_LANG", language)
        with pytest.raises(SystemExit) as caught:
            commands.main(list(arguments))
        assert caught.value.code == 1
        return capsys.readouterr().err

    return inner


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool[0])
def test_a_run_without_a_model_yet(tool: list[str], told: Callable[..., str]) -> None:
    finished("runs/m/prepare")
    finished("runs/m/tokenize")
    Path("runs/m/recipe.toml").write_text('name = "m"\n')
    run, go_on = Path("runs/m"), f"yaya run {Path('runs/m/recipe.toml')}"
    assert (
        told(*tool)
        == f"Error: {run} has no finished model yet. Finished so far: prepare, tokenize. To continue: {go_on}\n"
    )
    said = told(*tool, language="zh")
    assert said == f"出错了：{run} 里还没有训练好的模型，只做完了 prepare、tokenize。继续运行：{go_on}\n"


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool[0])
def test_a_run_that_is_being_trained(tool: list[str], told: Callable[..., str]) -> None:
    finished("runs/m/tokenize")
    with FileLock("runs/m/.lock"):
        assert "runs/m has no finished model yet: another yaya is still working there. Wait" in told(*tool).replace(
            "\\", "/"
        )
        assert "另一个 yaya 正在里面运行，请等它结束" in told(*tool, language="zh")
    assert "Finished so far: tokenize. To continue" in told(*tool)
    assert not FileLock("runs/m/.lock").is_locked  # looking keeps nobody out


def test_what_was_trained_before_can_be_talked_to_meanwhile() -> None:
    finished("runs/m/pretrain")
    with FileLock("runs/m/.lock"):
        assert model_folder("m") == Path("runs/m/pretrain")


def test_a_run_in_which_nothing_was_done(told: Callable[..., str]) -> None:
    Path("runs/a b").mkdir(parents=True)
    assert "nor any finished stage. To continue: yaya run recipes/laptop.toml 'name=a b'" in told("chat", "a b")


def test_a_run_that_only_searched(told: Callable[..., str]) -> None:
    (finished("runs/m/tune") / "best.toml").write_text("")
    said = told("chat", "m").replace("\\", "/")
    assert "Finished so far: tune. To continue: yaya run runs/m/tune/best.toml name=m-best" in said


def test_no_such_run(told: Callable[..., str], here: Path) -> None:
    said = told("chat", "m")
    assert (
        said
        == f"Error: No run or model folder named m: {here / 'runs'} does not exist. Train one with: yaya run recipes/laptop.toml\n"
    )
    for model in ("runs/one/pretrain", "runs/two/finetune"):
        finished(model)
        Path(model, "config.json").write_text("{}")
    finished("runs/three/prepare")
    said = told("chat", "m")
    assert said == f"Error: No run or model folder named m: not in {here / 'runs'}. Finished runs: one, two.\n"
    said = told("chat", "m", language="zh")
    assert said == f"出错了：找不到名为 m 的运行或模型文件夹：{here / 'runs'} 里没有。已有的运行：one、two。\n"


@pytest.mark.parametrize("name", ["box", "./box", "runs", ".", "runs/one/prepare"])
def test_a_folder_that_holds_no_model(name: str, told: Callable[..., str]) -> None:
    Path("box").mkdir()
    finished("runs/one/prepare")
    assert "contains no model: it has no config.json" in told("chat", name)
    assert "这个文件夹里没有模型：缺少 config.json" in told("chat", name, language="zh")


def test_the_folder_of_a_run_is_the_run(told: Callable[..., str]) -> None:
    """As the shell completes it."""
    folder = finished("runs/m/pretrain")
    finished("runs/new/prepare")
    assert [model_folder(name) for name in ("m", "runs/m", "runs/m/")] == [folder] * 3
    assert "Finished so far: prepare" in told("chat", "runs/new/")


def test_a_name_that_means_two_things() -> None:
    finished("runs/m/pretrain")
    Path("m").mkdir()
    Path("m/config.json").write_text("{}")
    with pytest.raises(UserError, match="both a folder and a run"):
        model_folder("m")
    assert model_folder("./m") == Path("m")


# ---------------------------------------------------------------- a model that has only read texts


@pytest.mark.parametrize(
    ("command", "has_chats", "next_one"),
    [
        ("prepare", True, "yaya tokenize name='my cat'"),
        ("pretrain", True, "yaya finetune name='my cat'"),
        ("pretrain", False, "yaya evaluate name='my cat'"),
        ("evaluate", True, "yaya chat 'my cat'"),
        ("run", True, "yaya chat 'my cat'"),
        ("run", False, "yaya generate 'my cat' \""),
        ("evaluate", False, "yaya generate 'my cat' \""),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_to_type_next(
    command: str, has_chats: bool, next_one: str, language: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("YAYA_LANG", language)
    stages.next_step(command, "my cat", None, has_chats)
    assert capsys.readouterr().err.startswith(("Next: " if language == "en" else "下一步：") + next_one)


def test_what_another_run_has_is_named_again(capsys: Any) -> None:
    stages.next_step("pretrain", "mine", "my cat", True)
    assert capsys.readouterr().err == "Next: yaya finetune name=mine from='my cat'\n"


def test_it_is_said_before_one_talks_with_it(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    finished("runs/texts/pretrain", chat_fraction=0.0)
    finished("runs/both/pretrain", chat_fraction=0.5)
    tools.say_if_only_texts("both")
    assert capsys.readouterr().err == ""
    tools.say_if_only_texts("texts")
    said = capsys.readouterr().err
    assert said.startswith("texts was trained on plain text, not on conversations") and 'yaya generate texts "' in said
    monkeypatch.setenv("YAYA_LANG", "zh")
    tools.say_if_only_texts("texts")
    assert "只读过文本，没读过对话" in capsys.readouterr().err
