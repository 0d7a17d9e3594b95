"""Artifacts: complete or absent, named by their content, never overwritten by surprise."""

import json
from pathlib import Path

import pytest

from yaya.core import artifact
from yaya.core.artifact import Draft
from yaya.core.say import UserError

PARENTS = {"data": "abc"}


def write(text: str = "result", log: str = "log"):
    def make(draft: Draft) -> None:
        (draft.path / "result.txt").write_text(text)
        (draft.path / "metrics.jsonl").write_text(log)
        (draft.path / "trainer").mkdir(exist_ok=True)
        (draft.path / "trainer" / "state").write_text(log)
        draft.metrics["score"] = len(log)

    return make


def build(path: Path, config: dict | None = None, make=None, **options):
    return artifact.build(path, "thing", config or {"a": 1}, PARENTS, make or write(), **options)


def test_the_digest_covers_content_and_nothing_else(tmp_path: Path) -> None:
    one = build(tmp_path / "one")
    assert build(tmp_path / "two", make=write(log="another log")).digest == one.digest
    assert build(tmp_path / "three", make=write("other")).digest != one.digest
    assert build(tmp_path / "four", {"a": 2}).digest != one.digest
    other = artifact.build(tmp_path / "five", "thing", {"a": 1}, {"data": "abd"}, write())
    assert other.digest != one.digest
    assert "metrics.jsonl" not in one.manifest["files"] and "trainer/state" not in one.manifest["files"]


def test_the_same_request_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "x")

    def never(draft: Draft) -> None:
        raise AssertionError

    assert build(tmp_path / "x", make=never).metrics["score"] == 3
    assert "skipped" in capsys.readouterr().err


def test_a_different_request_runs_anew_and_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "x")
    assert build(tmp_path / "x", {"a": 2}).config == {"a": 2}
    assert "a: 1 -> 2" in capsys.readouterr().err


def test_a_failure_leaves_the_old_one(tmp_path: Path) -> None:
    build(tmp_path / "x")

    def fail(draft: Draft) -> None:
        (draft.path / "result.txt").write_text("half")
        raise RuntimeError

    for options in ({}, {"keep": True, "overwrite": True}):
        with pytest.raises(RuntimeError):
            build(tmp_path / "x", {"a": 3}, fail, **options)
        assert (tmp_path / "x" / "result.txt").read_text() == "result"
        assert artifact.load(tmp_path / "x").config == {"a": 1}


def test_a_finished_training_stage_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    build(tmp_path / "x", keep=True)
    with pytest.raises(UserError, match="overwrite=true"):
        build(tmp_path / "x", {"a": 2}, keep=True)
    assert artifact.load(tmp_path / "x").config == {"a": 1}
    assert build(tmp_path / "x", {"a": 2}, keep=True, overwrite=True).config == {"a": 2}


def test_only_the_same_request_goes_on_with_an_unfinished_build(tmp_path: Path) -> None:
    def stop(draft: Draft) -> None:
        (draft.path / "half").write_text("x")
        raise KeyboardInterrupt

    for request, resumed in (({"a": 1}, True), ({"a": 2}, False)):
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path / "x", {"a": 1}, stop, keep=True)
        seen: list[tuple[bool, bool]] = []

        def look(draft: Draft, seen: list[tuple[bool, bool]] = seen) -> None:
            seen.append((draft.resumed, (draft.path / "half").exists()))
            stop(draft)

        with pytest.raises(KeyboardInterrupt):
            build(tmp_path / "x", request, look, keep=True)
        assert seen == [(resumed, resumed)]
        assert artifact.load(tmp_path / "x") is None


def test_newer_damaged_and_foreign_manifests_are_refused(tmp_path: Path) -> None:
    build(tmp_path / "x")
    manifest = tmp_path / "x" / "manifest.json"
    with pytest.raises(UserError, match="holds a thing"):
        artifact.load(tmp_path / "x", "other")
    newer = json.loads(manifest.read_text()) | {"schema_version": artifact.SCHEMA_VERSION + 1}
    manifest.write_text(json.dumps(newer))
    with pytest.raises(UserError, match="newer yaya"):
        artifact.load(tmp_path / "x")
    manifest.write_text("{")
    with pytest.raises(UserError, match="damaged"):
        artifact.load(tmp_path / "x")


def test_write_atomic_leaves_nothing_behind(tmp_path: Path) -> None:
    artifact.write_atomic(tmp_path / "f", "one")
    artifact.write_atomic(tmp_path / "f", b"two")
    assert [p.name for p in tmp_path.iterdir()] == ["f"] and (tmp_path / "f").read_text() == "two"
