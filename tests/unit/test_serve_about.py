"""What the chat page suggests: questions of the data that its model has learned from, held out from training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from yaya.serve.about import OF_PRIMER, About, about

Talk = list[tuple[str, str]]
SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("text", pa.string()),
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("source", pa.string()),
    ]
)


def manifest(folder: Path, digest: str, parents: dict[str, str], **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    content = {"kind": folder.name, "digest": digest, "parents": parents, "config": config}
    (folder / "manifest.json").write_text(json.dumps(content), "utf-8")
    return folder


def run_on(runs: Path, name: str, talks: list[str | Talk], sources: list[str], source: str = "mine.jsonl") -> Path:
    """A run's finetune folder; a string is a question that gets a reply."""
    run = runs / name
    manifest(run / "prepare", f"p-{name}", {}, sources=sources)
    manifest(run / "tokenize", f"t-{name}", {"prepare": f"p-{name}"})
    rows: list[dict[str, Any]] = [{"kind": "text", "text": "A text?", "messages": None, "source": source}]
    for talk in talks:
        turns = [("user", talk), ("assistant", "Well.")] if isinstance(talk, str) else talk
        messages = [{"role": role, "content": content} for role, content in turns]
        rows.append({"kind": "chat", "text": None, "messages": messages, "source": source})
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), run / "prepare" / "validation-00000.parquet")
    return manifest(run / "finetune", f"f-{name}", {"tokenize": f"t-{name}", "pretrain": "x"})


def starters(*talks: str | Talk, runs: Path, sources: tuple[str, ...] = ("mine.jsonl",)) -> dict[str, list[str]]:
    return about(run_on(runs, "a", list(talks), list(sources))).starters


def test_both_languages(tmp_path: Path) -> None:
    found = starters("What does the desk cost?", "汤圆可以外带吗？", "米粉是热的吗？", "Is it open?", runs=tmp_path)
    assert found == {
        "en": ["What does the desk cost?", "Is it open?"],
        "zh": ["汤圆可以外带吗？", "米粉是热的吗？"],
    }


def test_of_one_language_for_the_readers_of_both(tmp_path: Path) -> None:
    asked = [f"Is number {n} there?" for n in ("one", "two", "three", "four")]
    assert starters(*asked, runs=tmp_path) == {"en": asked[:3], "zh": asked[:3]}


def test_each_language_in_a_file_of_its_own(tmp_path: Path) -> None:
    folder = run_on(tmp_path, "a", [], ["mine"])
    for number in range(90):
        talk = "Open?" if number < 45 else "开门吗？"
        messages = [{"role": "user", "content": talk}, {"role": "assistant", "content": "Yes."}]
        row = {"kind": "chat", "text": None, "messages": messages, "source": "mine"}
        path = tmp_path / "a" / "prepare" / f"validation-{number:05}.parquet"
        pq.write_table(pa.Table.from_pylist([row], SCHEMA), path)
    assert about(folder).starters == {"en": ["Open?"], "zh": ["开门吗？"]}


def test_short_questions_first_and_each_once(tmp_path: Path) -> None:
    talks: list[str | Talk] = [
        "I want my money back.",
        "How long " * 9 + "is it?",
        "太长" * 20 + "？",
        "Two\nlines?",
        "Open?",
        "Open?",
        "   ",
        [("system", "Orders today: 12."), ("user", "Where is mine?"), ("assistant", "Here.")],
        [("assistant", "Hello!"), ("user", "Hm?"), ("assistant", "Yes.")],
        "Turned \u202earound?",
    ]
    assert starters(*talks, runs=tmp_path)["en"] == ["Open?", "I want my money back."]


def test_personal_data_is_masked_and_comes_last(tmp_path: Path) -> None:
    found = starters("Is jane.roe@example.com right?", "Is [PHONE_1] yours?", "Open?", runs=tmp_path)["en"]
    assert found == ["Open?", "Is [EMAIL_1] right?", "Is [PHONE_1] yours?"]


@pytest.mark.parametrize("sources", [(), ("primer",)])
def test_the_primers_own(sources: tuple[str, ...], tmp_path: Path) -> None:
    folder = run_on(tmp_path, "a", ["56 - 997 = ?"], list(sources), "primer")
    assert about(folder).starters == OF_PRIMER


def test_with_the_primer_among_own_data(tmp_path: Path) -> None:
    found = starters("Open?", runs=tmp_path, sources=("mine.jsonl", "primer"))
    assert found == {"en": ["Open?", *OF_PRIMER["en"][:2]], "zh": OF_PRIMER["zh"]}


def test_data_of_another_run(tmp_path: Path) -> None:
    """What `from=` took lies in that run, also where a tokenize of one's own has been added since."""
    run_on(tmp_path, "a", ["Wrong?"], ["a.jsonl"])
    run_on(tmp_path, "b", ["Right?"], ["b.jsonl"])
    for name in ("c", "a"):
        folder = manifest(tmp_path / name / "finetune", "f", {"tokenize": "t-b", "pretrain": "x"})
        assert about(folder).starters["en"] == ["Right?"], name


def test_data_that_was_made_anew_since(tmp_path: Path) -> None:
    run_on(tmp_path, "a", ["Open?"], ["a.jsonl"])
    folder = manifest(tmp_path / "a" / "finetune", "f", {"tokenize": "an older one", "pretrain": "x"})
    assert about(folder).starters["en"] == ["Open?"]


@pytest.mark.parametrize("content", [None, "", "[]", '{"parents": [], "config": 3}', '{"parents": {"tokenize": 5}}'])
def test_a_model_of_which_nothing_is_known(content: str | None, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    if content is not None:
        (tmp_path / "model" / "manifest.json").write_text(content)
    assert about(tmp_path / "model") == About({"en": [], "zh": []}, False)


@pytest.mark.parametrize("broken", ["prepare/manifest.json", "prepare/validation-00000.parquet"])
def test_damaged_data_suggests_nothing(broken: str, tmp_path: Path) -> None:
    folder = run_on(tmp_path, "a", ["Open?"], ["a.jsonl"])
    (tmp_path / "a" / broken).write_bytes(b"PAR1")
    assert about(folder).starters == {"en": [], "zh": []}


@pytest.mark.parametrize(
    ("stage", "share", "only"), [("pretrain", 0.0, True), ("pretrain", 0.4, False), ("finetune", 0, False)]
)
def test_only_texts(stage: str, share: float, only: bool, tmp_path: Path) -> None:
    run_on(tmp_path, "a", ["Open?"], ["a.jsonl"])
    folder = manifest(tmp_path / "a" / stage, "m", {"tokenize": "t-a"}, chat_fraction=share)
    found = about(folder)
    assert found.only_texts == only and bool(found.starters["en"]) != only
