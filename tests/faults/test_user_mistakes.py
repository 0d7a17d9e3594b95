"""A user's mistakes: what, where and how to mend it; never a traceback. Exit code 1, or 2 for usage."""

import json
import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from tests.conftest import TINY, yaya


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "nowhere.toml"], 1, ["no recipe nowhere.toml"]),
        (["run", "bad.toml"], 1, ["bad.toml is not valid TOML"]),
        (["run"], 2, ["yaya run recipes/laptop.toml"]),
        (["rum"], 2, ["Unknown command rum", "run"]),
        (["pretrain", "stepz=3"], 1, ["stepz", "steps"]),
        (["run", "pretrain.hiden_size=3"], 1, ["pretrain.hiden_size", "hidden_size"]),
        (["run", "pretrian.steps=3"], 1, ["pretrian", "pretrain"]),
        (["pretrain", "steps=many"], 1, ["pretrain.steps must be int", "'many'"]),
        (["run", "minutes=0"], 1, ["minutes must be at least"]),
        (["run", "name=a/b"], 1, ["cannot be a folder name"]),
        (["finetune", "name=empty"], 1, ["yaya tokenize name=empty"]),
        (["chat", "nobody"], 1, ["No model nobody"]),
        (["chat"], 2, ["yaya chat --help"]),
        (["serve", "nobody"], 1, ["No model nobody"]),
        (["prepare", "sources=nowhere"], 1, ["nowhere"]),
        (["run", "device=cuda9"], 1, ["device must be one of"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_mistakes_get_messages(
    arguments: list[str], code: int, words: list[str], tmp_path: Path, monkeypatch, capsys
) -> None:
    """In this process: sixteen starts of the program would take a minute."""
    from yaya.cli import main

    (tmp_path / "bad.toml").write_text("name = \n")
    monkeypatch.chdir(tmp_path)
    for language in ("en", "zh"):
        monkeypatch.setenv("YAYA_LANG", language)
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == code
        shown = capsys.readouterr().err
        if language == "en":
            assert shown.startswith("Error: ") and all(word in shown for word in words), shown
        else:
            assert shown.startswith("出错了：")


def test_a_run_made_by_a_newer_version(tiny_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "runs" / "tiny"
    shutil.copytree(tiny_run, copy)
    manifest = copy / "finetune" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text("utf-8")) | {"schema_version": 99}))
    done = yaya("chat", "tiny", "--once", "hi", cwd=tmp_path, check=False)
    assert done.returncode == 1 and "newer yaya" in done.stderr and "Traceback" not in done.stderr


def test_damaged_weights_are_named(tiny_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "runs" / "tiny"
    shutil.copytree(tiny_run, copy)
    weights = copy / "finetune" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    done = yaya("chat", "tiny", "--once", "hi", cwd=tmp_path, check=False)
    assert done.returncode == 1 and "model.safetensors" in done.stderr and "Traceback" not in done.stderr


def test_two_processes_on_one_run(tmp_path: Path) -> None:
    (tmp_path / "runs/busy").mkdir(parents=True)
    with FileLock(tmp_path / "runs/busy/.lock"):
        done = yaya("run", "name=busy", *TINY, cwd=tmp_path, check=False)
    assert done.returncode == 1 and "Another yaya" in done.stderr


def test_chinese_and_spaces_in_the_path(tmp_path: Path) -> None:
    folder = tmp_path / "我的 项目"
    folder.mkdir()
    yaya("prepare", "name=小猫", "conversations=300", "stories=30", cwd=folder)
    yaya("tokenize", "name=小猫", "vocab_size=600", cwd=folder)
    assert (folder / "runs/小猫/tokenize/tokenizer.json").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    done = yaya("prepare", "name=x", "conversations=300", cwd=tmp_path, check=False)
    tmp_path.chmod(0o700)
    assert done.returncode == 1 and "permission" in done.stderr.lower() and "Traceback" not in done.stderr
