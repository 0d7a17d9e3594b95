"""A finished result that a disk, a copy or a hand has changed: the next stage says so, and makes nothing of it."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import built

from yaya import pipeline
from yaya.core import artifact
from yaya.core.artifact import Draft
from yaya.core.messages import UserError
from yaya.train.plan import planner


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 16)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize(
    ("stage", "parent", "name"),
    [
        ("tokenize", "prepare", "train-00000.parquet"),
        ("tokenize", "prepare", "validation-00000.parquet"),
        ("pretrain", "tokenize", "train.text.tokens"),
        ("finetune", "tokenize", "train.chat.roles"),
        ("finetune", "tokenize", "validation.chat.offsets"),
        ("finetune", "pretrain", "model.safetensors"),
        ("evaluate", "pretrain", "tokenizer.json"),
    ],
)
@pytest.mark.parametrize("damage", [cut, flip, empty, Path.unlink])
def test_what_is_damaged_is_named_and_not_used(
    damage: Callable[[Path], None], stage: str, parent: str, name: str, own_run: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run = tmp_path / "runs" / "a"
    shutil.copytree(own_run, run, symlinks=False)
    names = [*pipeline.STAGES]
    for later in names[names.index(stage) :]:
        shutil.rmtree(run / later, ignore_errors=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(planner, "measure", lambda *_: pytest.fail("what is damaged was measured"))
    file = run / parent / name
    assert file.stat().st_size > 16
    damage(file)
    with pytest.raises(UserError) as raised:
        pipeline.open_run({"name": "a"}, stage).make(pipeline.STAGES[stage])
    word = "has gone missing" if damage is Path.unlink else "has been damaged or changed"
    assert str(file.relative_to(tmp_path)) in raised.value.en and word in raised.value.en
    assert (
        f"delete {Path('runs/a') / parent}" in raised.value.en and f"删除 {Path('runs/a') / parent}" in raised.value.zh
    )
    assert not (run / stage).exists()


def test_what_lies_beside_a_result_does_no_harm(tmp_path: Path) -> None:
    """Pages, checkpoints and whatever somebody puts there are not what it is made of."""
    made = built(
        tmp_path / "x",
        Draft.of(tmp_path / "x", "prepare", {}, {}),
        lambda draft: (draft.path / "a.bin").write_text("abc"),
    )
    artifact.verify(made)
    (made.path / "notes.txt").write_text("mine")
    artifact.verify(made)
    old = dict(made.manifest)
    del old["files"]  # as the first format had it
    (made.path / "manifest.json").write_text(json.dumps(old))
    found = artifact.load(made.path)
    assert found is not None
    artifact.verify(found)
