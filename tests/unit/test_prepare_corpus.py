"""The prepare stage: splits, duplicates, accounts, files."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaya.core import config as core_config
from yaya.core.artifact import Draft
from yaya.core.say import UserError
from yaya.prepare import corpus
from yaya.prepare.document import Document
from yaya.prepare.split import MANY, Split, boundary


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("YAYA_LANG", "en")


def prepare(out: Path, *sources: Path, seed: int = 0, **values) -> Draft:
    """Runs the stage into `out`."""
    config = core_config.build(corpus.PrepareConfig, {"sources": [str(s) for s in sources], **values}, "prepare")
    out.mkdir(parents=True)
    draft = Draft(out, corpus.KIND, core_config.as_dict(config), corpus.source_parents(config), seed)
    corpus.run(config, {}, draft)
    return draft


def rows(draft: Draft, name: str) -> list[dict]:
    return pq.read_table(draft.path / f"{name}.parquet").to_pylist()


def lines(path: Path, records: list[dict]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
    return path


def chat(question: str, answer: str) -> dict:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def balanced(draft: Draft) -> dict:
    records = draft.metrics["records"]
    assert (
        records["in"] == records["kept"] + sum(records["dropped"].values()) + records["quarantined"] + records["merged"]
    )
    return records


def test_columns_and_schema(tmp_path):
    source = lines(
        tmp_path / "a.jsonl", [{"text": f"文本 {n}"} for n in range(9)] + [chat(f"q{n}", f"a{n}") for n in range(9)]
    )
    draft = prepare(tmp_path / "out", source)
    table = pq.read_table(draft.path / "train.parquet")
    assert table.schema.names == ["id", "kind", "text", "messages", "source"]
    assert str(table.schema.field("messages").type) == "list<element: struct<role: string, content: string>>"
    for row in table.to_pylist():
        assert (row["kind"] == "text") == (row["text"] is not None) == (row["messages"] is None)
    assert pq.read_schema(draft.path / "dropped.parquet").names == ["source", "where", "reason", "sample"]
    assert sorted(p.name for p in draft.path.iterdir()) == [
        "dropped.parquet",
        "examples.json",
        "train.parquet",
        "validation.parquet",
    ]


@pytest.mark.parametrize("n", [1, 2, 9, 10, 11, 99, 1000, 1_115_394])
def test_tail_is_cut_where_nanogpt_cuts(n):
    assert boundary(n, 0.1) == int(n * 0.9) == n * 9 // 10


def test_tail_split_of_a_text_loses_nothing(tmp_path):
    text = "".join(f"第{n}行：天地玄黄。\n" for n in range(300))
    (tmp_path / "a.txt").write_text(text, "utf-8")
    draft = prepare(tmp_path / "out", tmp_path / "a.txt")
    (train,), (validation,) = rows(draft, "train"), rows(draft, "validation")
    assert train["text"] == text[: len(text) * 9 // 10]
    assert train["text"] + validation["text"] == text
    assert train["id"] != validation["id"]


def test_tail_is_cut_after_cleaning(tmp_path):
    (tmp_path / "a.txt").write_text("x" * 50 + " " * 40 + "\n" + "y" * 49, "utf-8")
    draft = prepare(tmp_path / "out", tmp_path / "a.txt", validation_fraction=0.5)
    assert (rows(draft, "train")[0]["text"], rows(draft, "validation")[0]["text"]) == ("x" * 50, "\n" + "y" * 49)


@given(st.text("ab\n"), st.floats(0, 0.5))
def test_pieces_make_the_whole(text, fraction):
    out: dict[str, str] = {"train": "", "validation": ""}

    def write(id, document, split):
        assert document.text
        out[split] += document.text

    split = Split("tail", fraction, 0.1, 0.1, write, lambda document: "0" * 32)
    split.add("0" * 32, Document(text or "x", None, "s", ""))
    assert out["train"] + out["validation"] == (text or "x") and out["train"]


def splits(draft: Draft) -> tuple[set[str], set[str]]:
    train, validation = ({row["id"] for row in rows(draft, name)} for name in ("train", "validation"))
    return train, validation


@pytest.mark.parametrize("many", [False, True])
def test_hash_split_is_stable_and_separate(tmp_path, many):
    count = 3 * MANY if many else 40
    records = [{"text": f"document {n}"} for n in range(count)] + [chat(f"q {n}", "a") for n in range(count)]
    one = prepare(tmp_path / "1", lines(tmp_path / "a.jsonl", records), validation="hash")
    other = prepare(tmp_path / "2", lines(tmp_path / "b.jsonl", records[::-1]), validation="hash", seed=7)
    assert splits(one) == splits(other)
    train, validation = splits(one)
    assert not train & validation and len(train | validation) == 2 * count
    if many:  # others that come do not move a document
        more = prepare(
            tmp_path / "3", lines(tmp_path / "c.jsonl", [*records, *({"text": f"new {n}"} for n in range(99))])
        )
        assert validation <= splits(more)[1] and train <= splits(more)[0]
        assert 0.02 < len(validation) / (2 * count) < 0.1
    else:
        assert len(validation) == 8


def test_auto_takes_the_tail_of_few_and_whole_ones_of_many(tmp_path):
    few = prepare(
        tmp_path / "1", lines(tmp_path / "a.jsonl", [{"text": f"document number {n}"} for n in range(MANY - 1)])
    )
    assert few.metrics["splits"]["validation"]["text"]["documents"] == MANY - 1
    many = prepare(tmp_path / "2", lines(tmp_path / "b.jsonl", [{"text": f"document number {n}"} for n in range(MANY)]))
    assert 0 < many.metrics["splits"]["validation"]["text"]["documents"] < MANY / 5


def test_a_chat_is_never_cut(tmp_path):
    draft = prepare(
        tmp_path / "out", lines(tmp_path / "a.jsonl", [chat(f"q{n}", "a" * 50) for n in range(10)]), validation="tail"
    )
    assert all(
        row["messages"][1]["content"] == "a" * 50 for name in ("train", "validation") for row in rows(draft, name)
    )
    assert len(rows(draft, "validation")) == 1


def test_no_validation_when_it_is_not_wanted(tmp_path):
    draft = prepare(
        tmp_path / "out", lines(tmp_path / "a.jsonl", [{"text": "abc" * 9}, chat("q", "a")]), validation_fraction=0
    )
    assert rows(draft, "validation") == []


def test_duplicates_are_merged_after_cleaning(tmp_path):
    records = [{"text": "same"}, {"text": "same  "}, {"text": "other"}, chat("q", "a"), chat("q", "a"), chat("qa", "")]
    source = lines(tmp_path / "a.jsonl", records)
    draft = prepare(tmp_path / "out", source)
    assert balanced(draft) == {"in": 6, "kept": 3, "dropped": {"empty": 1}, "quarantined": 0, "merged": 2}
    first = next(row["id"] for row in rows(draft, "train") if row["messages"])
    found = [(row["where"], row["reason"]) for row in rows(draft, "dropped")]
    assert (
        found[0][0] == "line 2" and found[1] == ("line 5", f"duplicate of {first}") and found[2] == ("line 6", "empty")
    )
    kept = prepare(tmp_path / "out2", source, deduplicate=False)
    assert balanced(kept)["kept"] == 5 and balanced(kept)["merged"] == 0


def test_role_and_content_do_not_run_together():
    one, two = ([{"role": "user", "content": c} for c in pair] for pair in (("ab", "c"), ("a", "bc")))
    assert corpus.identify(Document(None, one, "", "")) != corpus.identify(Document(None, two, "", ""))


def test_accounts_balance_when_things_go_wrong(tmp_path):
    source = tmp_path / "a.jsonl"
    lines(source, [{"text": "good text"}, {"text": "good text"}, {"text": " "}, chat("q", "a")])
    with source.open("a") as file:
        file.write('{"text": \n{"text": 5}\n{"messages": [{"role": "user", "content": "alone"}]}\n{"other": 1}\n[1]\n')
    draft = prepare(tmp_path / "out", source)
    expected = {"in": 9, "kept": 2, "dropped": {"empty": 1, "no reply": 1}, "quarantined": 4, "merged": 1}
    assert balanced(draft) == expected
    dropped = rows(draft, "dropped")
    assert len(dropped) == 7 and all(
        row["source"] == str(source) and row["where"].startswith("line ") for row in dropped
    )
    by_line = {row["where"]: row["reason"] for row in dropped}
    assert by_line["line 5"].startswith("bad json: ")
    assert by_line["line 6"] == "wrong type: text must be a string, not int"
    assert by_line["line 8"].startswith("unknown shape: no known shape; its keys: other")


def test_counts_of_characters_and_bytes(tmp_path):
    draft = prepare(
        tmp_path / "out",
        lines(tmp_path / "a.jsonl", [{"text": "中文ab😀é\n"}, chat("问", "答a")]),
        validation_fraction=0,
    )
    train = draft.metrics["splits"]["train"]
    assert train["text"] == {"documents": 1, "characters": 7, "bytes": 15}
    assert train["chat"] == {"documents": 1, "characters": 3, "bytes": 7}
    assert json.loads((draft.path / "examples.json").read_text())["languages"] == {
        "han": 0.4444,
        "latin": 0.4444,
        "other": 0.1111,
    }


def test_examples_show_real_changes(tmp_path):
    texts = ["x" * 500 + f" {n} cafÃ© \x00" + "y" * 500 for n in range(50)] + ["plain"] + ["  "] * 30
    draft = prepare(tmp_path / "out", lines(tmp_path / "a.jsonl", [{"text": text} for text in texts]))
    examples = json.loads((draft.path / "examples.json").read_text())
    assert 0 < len(examples["pairs"]) <= 12 and len(examples["dropped"]) == 12
    for pair in examples["pairs"]:
        assert pair["before"] != pair["after"] and len(pair["before"]) < 200 and "Ã©" in pair["before"]
    assert sum(bin["documents"] for bin in examples["lengths"]) == 51


def test_filters_can_be_switched_off(tmp_path):
    text = "cafÃ©  \r\n\r\n\r\n\r\n\r\nA\u200b\x00e\u0301 😀"
    off = dict.fromkeys(
        (
            "fix_unicode",
            "normalize_unicode",
            "remove_zero_width",
            "remove_control",
            "tidy_whitespace",
            "unify_line_ends",
        ),
        False,
    )
    source = lines(tmp_path / "a.jsonl", [{"text": text}])
    assert rows(prepare(tmp_path / "1", source, validation_fraction=0, **off), "train")[0]["text"] == text
    cleaned = rows(prepare(tmp_path / "2", source, validation_fraction=0, emoji="remove"), "train")[0]["text"]
    assert cleaned == "café\n\nAé"


def test_same_sources_same_bytes(tmp_path):
    source = lines(
        tmp_path / "a.jsonl",
        [{"text": f"document {n} \x00 " + "字" * n} for n in range(500)]
        + [chat(f"q{n % 90}", "a") for n in range(300)],
    )
    one, two = prepare(tmp_path / "1", source), prepare(tmp_path / "2", source)
    for file in one.path.iterdir():
        assert file.read_bytes() == (two.path / file.name).read_bytes(), file.name
    assert one.metrics == two.metrics and one.parents == two.parents


def test_parents_follow_content(tmp_path):
    source = tmp_path / "d"
    source.mkdir()
    (source / "a.txt").write_text("a")

    def parents():
        return corpus.source_parents(corpus.PrepareConfig(sources=[str(source)]))

    first = parents()
    assert first == parents() and list(first) == [str(source)]
    (source / ".hidden").write_text("x")
    (source / "picture.png").write_text("x")
    assert parents() == first
    (source / "b.txt").write_text("b")
    second = parents()
    (source / "b.txt").rename(source / "c.txt")
    assert len({*first.values(), *second.values(), *parents().values()}) == 3


def test_row_groups_keep_memory_flat(tmp_path, monkeypatch):
    monkeypatch.setattr("yaya.prepare.shards.ROWS", 50)
    draft = prepare(tmp_path / "out", lines(tmp_path / "a.jsonl", [{"text": f"document {n}"} for n in range(900)]))
    assert pq.ParquetFile(draft.path / "train.parquet").num_row_groups > 10
    assert len(rows(draft, "train")) + len(rows(draft, "validation")) == 900


@pytest.mark.parametrize("fraction", [0.6, 1.0])
def test_too_large_a_validation_part_is_refused(tmp_path, fraction):
    with pytest.raises(UserError, match="validation_fraction"):
        prepare(tmp_path / "out", lines(tmp_path / "a.jsonl", [{"text": "a"}]), validation_fraction=fraction)


def test_one_line_tells_what_was_made(tmp_path, capsys, monkeypatch):
    source = lines(tmp_path / "a.jsonl", [{"text": "abcdefghij"}, {"text": ""}])
    prepare(tmp_path / "1", source)
    assert "[prepare] 1 documents, 10 characters (10.0% for validation); dropped 1" in capsys.readouterr().err
    monkeypatch.setenv("YAYA_LANG", "zh")
    prepare(tmp_path / "2", source)
    assert "[prepare] 1 篇，10 字符" in capsys.readouterr().err


class TestPrimer:
    """No sources: the primer."""

    def test_amounts_and_kinds(self, tmp_path):
        draft = prepare(tmp_path / "out", conversations=300, stories=250)
        records = balanced(draft)
        assert records["in"] == 550 and records["quarantined"] == 0 and not records["dropped"]
        assert draft.parents["primer"].startswith("primer-")
        found = rows(draft, "train") + rows(draft, "validation")
        assert {row["source"] for row in found} == {"primer"} and {row["kind"] for row in found} == {"text", "chat"}
        assert 0 < len(rows(draft, "validation")) < 40

    def test_it_is_clean_already(self, tmp_path):
        draft = prepare(tmp_path / "out", conversations=300, stories=300)
        assert all(effect["documents"] == 0 for effect in draft.metrics["filters"].values())

    def test_seed_decides(self, tmp_path):
        one, same, other = (
            prepare(tmp_path / str(n), conversations=50, stories=50, seed=seed) for n, seed in enumerate((1, 1, 2))
        )
        first = (one.path / "train.parquet").read_bytes()
        assert first == (same.path / "train.parquet").read_bytes() != (other.path / "train.parquet").read_bytes()
