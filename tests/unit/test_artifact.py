"""Artifacts: what makes two the same, when one is made anew, and what survives an accident in the middle."""

import json
import os
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.conftest import built

from yaya.core import artifact
from yaya.core.artifact import SCHEMA_VERSION, Artifact, Draft, Policy, content_digest, load
from yaya.core.files import file_digest, write_atomic
from yaya.core.messages import UserError


class Accident(Exception):
    pass


def writes(text: str = "result", **files: str) -> Callable[[Draft], None]:
    """A stage that writes result.txt, and the files given (`trainer__state` is trainer/state)."""

    def make(draft: Draft) -> None:
        (draft.path / "result.txt").write_text(text, "utf-8")
        for name, content in files.items():
            path = draft.path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8")

    return make


def never(draft: Draft) -> None:
    raise AssertionError("there was nothing to make")


def dies_after(text: str) -> Callable[[Draft], None]:
    def make(draft: Draft) -> None:
        writes(text)(draft)
        raise Accident

    return make


def made(path: Path, make: Callable[[Draft], None] = writes(), **changes: Any) -> Artifact:
    settings: dict[str, Any] = {"kind": "prepare", "config": {"size": 1}, "parents": {"source": "aa"}} | changes
    policy = Policy(**{name: settings.pop(name) for name in vars(Policy()) if name in settings})
    named = (settings.pop(name) for name in ("kind", "config", "parents"))
    return built(path, Draft.of(path, *named, **settings), make, policy)


def everything(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# ---------------------------------------------------------------- the manifest


def test_the_manifest_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "prepare"
    seen: list[list[str]] = []

    def watch(target: Path, data: str | bytes) -> None:
        if target.name == "manifest.json":
            seen.append(sorted(name for name in everything(target.parent) if not name.startswith(".")))
            assert not path.exists()  # and nothing has the artifact's name before it is whole
        write_atomic(target, data)

    monkeypatch.setattr(artifact, "write_atomic", watch)
    made(path, writes(a="1", b__c="2"))
    assert seen == [["a", "b/c", "result.txt"]]


def test_the_manifest_tells_the_whole_origin(tmp_path: Path) -> None:
    made(tmp_path / "prepare", writes(weights="abc"), seed=7)
    manifest = json.loads((tmp_path / "prepare" / "manifest.json").read_text("utf-8"))
    assert manifest["kind"] == "prepare" and manifest["schema_version"] == SCHEMA_VERSION and manifest["seed"] == 7
    assert manifest["config"] == {"size": 1} and manifest["parents"] == {"source": "aa"}
    # sha256 of "abc", from FIPS 180-2
    assert manifest["files"]["weights"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert manifest["files"].keys() == {"weights", "result.txt"}
    assert manifest["yaya"]["version"] and manifest["hardware"]["cores"] >= 1 and manifest["metrics"]["seconds"] >= 0


def test_what_is_loaded_is_what_was_made(tmp_path: Path) -> None:
    fresh = made(tmp_path / "prepare")
    found = load(tmp_path / "prepare", "prepare")
    assert found == fresh and found.path == tmp_path / "prepare"
    assert (found.kind, found.config) == ("prepare", {"size": 1})


def test_nothing_is_left_beside_the_artifact(tmp_path: Path) -> None:
    made(tmp_path / "prepare")
    made(tmp_path / "prepare", config={"size": 2})
    assert [p.name for p in tmp_path.iterdir()] == ["prepare"]
    assert not [name for name in everything(tmp_path / "prepare") if Path(name).name.startswith(".")]


def test_a_folder_without_a_manifest_is_not_finished(tmp_path: Path) -> None:
    assert load(tmp_path / "absent") is None
    (tmp_path / "begun").mkdir()
    assert load(tmp_path / "begun") is None
    (tmp_path / "file").write_text("x")
    assert load(tmp_path / "file") is None


@pytest.mark.parametrize(
    "content",
    [b"", b'{"kind": "prep', b"\x00" * 200, b"\xff\xfe{", b"[]", b"{}", b'{"kind": "prepare"}'],
)
def test_a_damaged_manifest_is_named_with_the_way_out(content: bytes, tmp_path: Path) -> None:
    made(tmp_path / "prepare")
    (tmp_path / "prepare" / "manifest.json").write_bytes(content)
    with pytest.raises(UserError) as caught:
        load(tmp_path / "prepare", "prepare")
    for text in (caught.value.en, caught.value.zh):
        assert str(tmp_path / "prepare" / "manifest.json") in text
    assert "damaged" in caught.value.en and "Delete" in caught.value.en


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    made(tmp_path / "prepare")
    path = tmp_path / "prepare" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": SCHEMA_VERSION + 4}))
    before = everything(tmp_path)
    for attempt in (lambda: load(tmp_path / "prepare"), lambda: made(tmp_path / "prepare", never, overwrite=True)):
        with pytest.raises(UserError) as caught:
            attempt()
        for text in (caught.value.en, caught.value.zh):
            assert str(SCHEMA_VERSION + 4) in text and str(SCHEMA_VERSION) in text and "name=" in text
    assert everything(tmp_path) == before


def test_another_kind_is_refused_by_both_names(tmp_path: Path) -> None:
    made(tmp_path / "x")
    with pytest.raises(UserError, match=r"prepare.*tokenize"):
        load(tmp_path / "x", "tokenize")


# ---------------------------------------------------------------- the digest


def test_the_digest_ignores_time_place_metrics_logs_and_trainer(tmp_path: Path) -> None:
    def other(draft: Draft) -> None:
        writes(**{"metrics.jsonl": "2", "samples.jsonl": "2", "trainer__a__b": "2"})(draft)
        draft.metrics |= {"loss": 2.0, "seconds": 99.0}
        os.utime(draft.path / "result.txt", (1, 1))

    first = made(tmp_path / "prepare", writes(**{"metrics.jsonl": "1", "trainer__a__b": "1"}))
    second = made(tmp_path / "elsewhere" / "else", other)
    assert first.digest == second.digest
    assert (tmp_path / "elsewhere" / "else" / "trainer" / "a" / "b").exists()


def test_a_stage_may_name_its_own_logs(tmp_path: Path) -> None:
    def make(text: str) -> Callable[[Draft], None]:
        def inner(draft: Draft) -> None:
            writes(**{"report.html": text})(draft)
            draft.logs = ("report.html",)

        return inner

    first, second = made(tmp_path / "a", make("10:00")), made(tmp_path / "b", make("11:00"))
    assert first.digest == second.digest and "report.html" not in first.manifest["files"]


@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (writes("other"), {}),
        (writes(), {"config": {"size": 2}}),
        (writes(), {"config": {"size": 1, "more": None}}),
        (writes(), {"parents": {"source": "bb"}}),
        (writes(), {"parents": {"source": "aa", "second": "cc"}}),
        (writes(), {"kind": "tokenize"}),
        (writes(extra=""), {}),
        (writes(**{"sub__metrics.jsonl": "1"}), {}),  # only the stage's own log is a log
        (writes(**{"trainer": "a file of this name"}), {}),
    ],
)
def test_the_digest_follows_config_parents_kind_and_files(
    make: Callable[[Draft], None], changes: dict[str, Any], tmp_path: Path
) -> None:
    assert made(tmp_path / "a").digest != made(tmp_path / "b", make, **changes).digest


def test_the_digest_follows_the_name_of_a_file(tmp_path: Path) -> None:
    assert made(tmp_path / "a", writes(one="x")).digest != made(tmp_path / "b", writes(two="x")).digest


def test_the_digest_follows_the_format() -> None:
    before = content_digest("k", {}, {}, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifact, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
        assert content_digest("k", {}, {}, {}) != before


def test_the_order_of_keys_decides_nothing() -> None:
    one = content_digest("k", {"a": 1, "b": 2}, {"x": "1", "y": "2"}, {"f": "3", "g": "4"})
    assert one == content_digest("k", {"b": 2, "a": 1}, {"y": "2", "x": "1"}, {"g": "4", "f": "3"})


# ---------------------------------------------------------------- once more


def test_the_same_request_is_skipped_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = made(tmp_path / "prepare")
    before = everything(tmp_path)
    capsys.readouterr()
    assert made(tmp_path / "prepare", never) == first
    assert "skipped" in capsys.readouterr().err and everything(tmp_path) == before


def test_config_with_lists_tables_and_nothing_is_skipped_too(tmp_path: Path) -> None:
    config = {"list": [1, "二"], "table": {"a": None}, "none": None, "float": 0.1, "tiny": 1e-300, "text": "é\x00"}
    made(tmp_path / "prepare", config=config)
    made(tmp_path / "prepare", never, config=json.loads(json.dumps(config)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"config": {"size": 2}}, "size: 1 -> 2"),
        ({"config": {"size": 1, "colour": "red"}}, "colour: None -> 'red'"),
        ({"config": {}}, "size: 1 -> (none)"),
        ({"parents": {"source": "bb"}}, "input source"),
        ({"parents": {"source": "aa", "new": "cc"}}, "input new"),
        ({"parents": {}}, "input source"),
    ],
)
def test_a_data_stage_that_differs_runs_anew_and_says_what_differs(
    changes: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path / "prepare", writes("old", only_old="x"))
    capsys.readouterr()
    made(tmp_path / "prepare", writes("new"), **changes)
    assert said in capsys.readouterr().err
    assert (tmp_path / "prepare" / "result.txt").read_text() == "new"
    assert not (tmp_path / "prepare" / "only_old").exists()
    made(tmp_path / "prepare", never, **changes)


def test_what_differs_is_told_in_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YAYA_LANG", "zh")
    before = {"config": {"a": 1, "b": 2}, "parents": {"prepare": "x"}}
    assert artifact.differences({"a": 3}, {"tokenize": "y"}, before) == [
        "a: 1 -> 3",
        "b: 2 -> （无）",
        "输入 prepare",
        "输入 tokenize",
    ]


def test_a_file_named_as_a_parent_counts_by_its_content(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "diary.txt"
    source.write_text("Monday")
    made(tmp_path / "prepare", parents={"diary.txt": file_digest(source)})
    os.utime(source, (1, 1))
    made(tmp_path / "prepare", never, parents={"diary.txt": file_digest(source)})
    source.write_text("Tuesday")
    capsys.readouterr()
    made(tmp_path / "prepare", writes("new"), parents={"diary.txt": file_digest(source)})
    assert "input diary.txt" in capsys.readouterr().err
    assert (tmp_path / "prepare" / "result.txt").read_text() == "new"


# ---------------------------------------------------------------- what was trained is precious


def trained(path: Path, make: Callable[[Draft], None] = writes("trained"), **changes: Any) -> Artifact:
    return made(path, make, **({"kind": "pretrain", "keep": path, "resumes": True} | changes))


def test_a_trained_model_is_not_replaced_by_surprise(tmp_path: Path) -> None:
    trained(tmp_path / "pretrain")
    before = everything(tmp_path)
    with pytest.raises(UserError) as caught:
        trained(tmp_path / "pretrain", never, config={"size": 2})
    for text in (caught.value.en, caught.value.zh):
        assert all(part in text for part in ("size: 1 -> 2", "name=", "overwrite=true", str(tmp_path / "pretrain")))
    assert everything(tmp_path) == before


def test_a_trained_model_that_fits_is_skipped(tmp_path: Path) -> None:
    trained(tmp_path / "pretrain")
    trained(tmp_path / "pretrain", never)
    trained(tmp_path / "pretrain", never, overwrite=True)


def test_overwrite_replaces_it(tmp_path: Path) -> None:
    trained(tmp_path / "pretrain")
    trained(tmp_path / "pretrain", writes("new"), config={"size": 2}, overwrite=True)
    assert (tmp_path / "pretrain" / "result.txt").read_text() == "new"
    assert load(tmp_path / "pretrain").config == {"size": 2}


@pytest.mark.parametrize("keep", [True, False])
def test_the_old_one_stays_whole_while_the_new_one_fails(keep: bool, tmp_path: Path) -> None:
    path = tmp_path / "stage"
    training = path if keep else None
    made(path, writes("old"), keep=training)
    before = everything(path)
    for _ in range(2):
        with pytest.raises(Accident):
            made(path, dies_after("half"), config={"size": 2}, keep=training, overwrite=True)
        assert everything(path) == before
    made(path, never, keep=training)  # and still counts as done
    made(path, writes("new"), config={"size": 2}, keep=training, overwrite=True)
    assert (path / "result.txt").read_text() == "new"


# ---------------------------------------------------------------- going on after an accident


def resumes(seen: list[bool]) -> Callable[[Draft], None]:
    def make(draft: Draft) -> None:
        seen.append(draft.resumed and (draft.path / "result.txt").read_text() == "half")
        writes("whole")(draft)

    return make


def test_a_training_stage_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    with pytest.raises(Accident):
        trained(tmp_path / "pretrain", dies_after("half"))
    assert load(tmp_path / "pretrain") is None
    seen: list[bool] = []
    trained(tmp_path / "pretrain", resumes(seen))
    assert seen == [True] and (tmp_path / "pretrain" / "result.txt").read_text() == "whole"


@pytest.mark.parametrize("changes", [{"config": {"size": 2}}, {"parents": {"source": "bb"}}, {"config": {}}])
def test_what_was_begun_with_other_settings_is_not_gone_on_with(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Accident):
        trained(tmp_path / "pretrain", dies_after("half"))

    def make(draft: Draft) -> None:
        assert not draft.resumed and not (draft.path / "result.txt").exists()
        writes("whole")(draft)

    trained(tmp_path / "pretrain", make, **changes)


def test_a_data_stage_begins_afresh(tmp_path: Path) -> None:
    with pytest.raises(Accident):
        made(tmp_path / "prepare", dies_after("half"))

    def make(draft: Draft) -> None:
        assert not draft.resumed and not (draft.path / "result.txt").exists()
        writes()(draft)

    made(tmp_path / "prepare", make)


@pytest.mark.parametrize("content", ["", "{"])
def test_a_beginning_that_cannot_be_identified_is_thrown_away(content: str, tmp_path: Path) -> None:
    with pytest.raises(Accident):
        trained(tmp_path / "pretrain", dies_after("half"))
    (identity,) = tmp_path.glob(".pretrain.partial/.identity*")
    identity.write_text(content)
    seen: list[bool] = []

    def make(draft: Draft) -> None:
        seen.append(draft.resumed)
        writes()(draft)

    trained(tmp_path / "pretrain", make)
    assert seen == [False]


@pytest.mark.parametrize("where", ["file_digest", "write_atomic", "hardware"])
def test_stopped_while_the_manifest_is_made_nothing_is_trained_again(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C or a full disk after the last step: the training is still there to go on with."""
    whole = getattr(artifact, where)

    def stopped(*arguments: Any) -> Any:
        if arguments and arguments[0].name == ".identity.json":
            return whole(*arguments)
        raise Accident

    monkeypatch.setattr(artifact, where, stopped)
    with pytest.raises(Accident):
        trained(tmp_path / "pretrain", writes("half"))
    monkeypatch.setattr(artifact, where, whole)
    seen: list[bool] = []
    trained(tmp_path / "pretrain", resumes(seen))
    assert seen == [True]


@pytest.mark.parametrize(
    "left", ["manifest.json", ".manifest.json.7.tmp", ".result.txt.7.tmp", "deep/.config.json.7.tmp"]
)
def test_what_a_killed_process_had_not_finished_writing_is_no_result(left: str, tmp_path: Path) -> None:
    """The same settings give the same digest, however often the stage was killed."""
    whole = trained(tmp_path / "straight", writes("whole"))
    path = tmp_path / "pretrain"

    def killed(draft: Draft) -> None:
        writes("half", **{left.replace("/", "__"): "{}"})(draft)
        raise Accident

    with pytest.raises(Accident):
        trained(path, killed)
    seen: list[bool] = []
    again = trained(path, resumes(seen))
    assert seen == [True] and again.digest == whole.digest
    assert again.manifest["files"].keys() == whole.manifest["files"].keys()
    assert not (path / left).exists() or left == "manifest.json"


def test_stopped_between_the_two_renames_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old model is already aside, the new one not yet in place: neither may be gone afterwards."""
    path = tmp_path / "pretrain"
    trained(path, writes("old"))
    replace = os.replace

    def stopped(source: Any, target: Any) -> None:
        if Path(target) == path:
            raise Accident
        replace(source, target)

    monkeypatch.setattr(artifact.os, "replace", stopped)
    with pytest.raises(Accident):
        trained(path, writes("half"), config={"size": 2}, overwrite=True)
    monkeypatch.setattr(artifact.os, "replace", replace)
    texts = {p.read_text() for p in tmp_path.rglob("result.txt")}
    assert texts == {"old", "half"}
    seen: list[bool] = []

    def make(draft: Draft) -> None:
        seen.append(draft.resumed)
        writes("half")(draft)

    trained(path, make, config={"size": 2}, overwrite=True)
    assert seen in ([], [True])  # taken as it is, or gone on with; not trained from the beginning


# ---------------------------------------------------------------- small things


def test_write_atomic_leaves_the_old_file_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "recipe.toml"
    write_atomic(path, "旧")

    def fails(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifact.os, "fsync", fails)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, "new and long" * 100)
    assert path.read_text("utf-8") == "旧" and [p.name for p in tmp_path.iterdir()] == ["recipe.toml"]


def test_write_atomic_writes_bytes_as_they_are(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", "行\n")
    write_atomic(tmp_path / "b", b"\x00\r\n")
    assert (tmp_path / "a").read_bytes() == "行\n".encode() and (tmp_path / "b").read_bytes() == b"\x00\r\n"


# ---------------------------------------------------------------- what it says, and what it leaves


def test_the_format_on_disk_is_the_first(tmp_path: Path) -> None:
    """A new one needs a reader of the old one: folders of years are out there."""
    assert made(tmp_path / "x").manifest["schema_version"] == 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"again": True}, "redone, as requested (overwrite=true).\n"),
        ({"kind": "tokenize"}, "something changed: kind: prepare -> tokenize\n"),
        ({"again": True, "config": {"size": 2}}, "something changed: size: 1 -> 2\n"),
    ],
)
def test_why_it_is_made_anew_is_said(
    changes: dict[str, Any],
    why: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("YAYA_LANG", "en")
    made(tmp_path / "x")
    found = made(tmp_path / "x", writes("new"), **changes)
    assert why in capsys.readouterr().err and (found.path / "result.txt").read_text() == "new"


def test_what_an_earlier_swap_left_goes(tmp_path: Path) -> None:
    """Killed after the new one was in place, before the old one was gone."""
    made(tmp_path / "x", writes("one"))
    (tmp_path / ".x.old").mkdir()
    (tmp_path / ".x.old" / "result.txt").write_text("zero")
    found = made(tmp_path / "x", writes("two"), config={"size": 2})
    assert (found.path / "result.txt").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_settled_keys_are_written(tmp_path: Path) -> None:
    draft = Draft(tmp_path, "pretrain", {"steps": None, "rate": 1}, {"tokenize": "aa"})
    assert not draft.resumed
    draft.settle({"steps": 7})
    known = json.loads((tmp_path / ".identity.json").read_text("utf-8"))
    assert known == {"config": {"steps": 7, "rate": 1}, "parents": {"tokenize": "aa"}}


def test_the_machine_is_named(tmp_path: Path) -> None:
    about = made(tmp_path / "x").manifest["hardware"]
    assert about["cpu"] and about["system"].startswith(platform.system()) and about["cores"] == os.cpu_count()
    assert about["python"] == platform.python_version()
    assert about["memory_gib"] == pytest.approx(psutil.virtual_memory().total / 1024**3, abs=0.1)


@pytest.mark.parametrize(("processor", "name"), [("Ryzen", "Ryzen"), ("", platform.machine())])
def test_a_machine_without_proc_is_named_too(processor: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(platform, "processor", lambda: processor)
    monkeypatch.setattr(Path, "read_text", missing)
    assert artifact.hardware()["cpu"] == name


def test_the_commit_is_that_of_the_checkout(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        pytest.skip("this is no checkout")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
    assert made(tmp_path / "x").manifest["yaya"]["commit"] == head.stdout.strip()
