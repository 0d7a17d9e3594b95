"""The prepare stage: splits, duplicates, accounts, files."""

import pyarrow.parquet as pq
import pytest
from prepared import balanced, chat, examples, lines, prepare, results, rows

from yaya.core.artifact import Draft
from yaya.core.messages import UserError
from yaya.prepare import corpus
from yaya.prepare.document import Document
from yaya.prepare.settings import PrepareConfig
from yaya.prepare.split import MANY, boundary


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("YAYA_LANG", "en")


def test_columns_and_schema(tmp_path):
    source = lines(
        tmp_path / "a.jsonl", [{"text": f"文本 {n}"} for n in range(9)] + [chat(f"q{n}", f"a{n}") for n in range(9)]
    )
    draft = prepare(tmp_path / "out", source)
    table = pq.read_table(draft.path / "train-00000.parquet")
    assert table.schema.names == ["id", "kind", "text", "messages", "source", "augmented"]
    assert str(table.schema.field("messages").type) == "list<element: struct<role: string, content: string>>"
    for row in table.to_pylist():
        assert (row["kind"] == "text") == (row["text"] is not None) == (row["messages"] is None)
    assert pq.read_schema(draft.path / "dropped-00000.parquet").names == ["source", "where", "reason", "sample"]
    assert sorted(p.name for p in draft.path.iterdir()) == [
        "dropped-00000.parquet",
        "examples.json",
        "report.html",
        "train-00000.parquet",
        "validation-00000.parquet",
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


def test_a_single_character_stays_in_training(tmp_path):
    (tmp_path / "a.txt").write_text("x", "utf-8")
    draft = prepare(tmp_path / "out", tmp_path / "a.txt")
    assert [row["text"] for row in rows(draft, "train")] == ["x"] and not rows(draft, "validation")


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
    dropped = {"reading: no reply": 1}
    assert balanced(draft) == {"in": 6, "kept": 3, "dropped": dropped, "quarantined": 0, "merged": 2}
    found = {row["where"]: row["reason"] for row in rows(draft, "dropped")}
    assert found == {
        "line 2": f"duplicates: duplicate of {source}, line 1",
        "line 5": f"duplicates: duplicate of {source}, line 4",
        "line 6": "reading: no reply",
    }
    kept = prepare(tmp_path / "out2", source, deduplicate=False, near_duplicates=False)
    assert balanced(kept)["kept"] == 5 and balanced(kept)["merged"] == 0


def test_role_and_content_do_not_run_together():
    one, two = ([{"role": "user", "content": c} for c in pair] for pair in (("ab", "c"), ("a", "bc")))
    assert Document(None, one, "", "").content != Document(None, two, "", "").content


def test_accounts_balance_when_things_go_wrong(tmp_path):
    source = tmp_path / "a.jsonl"
    lines(source, [{"text": "good text"}, {"text": "good text"}, {"text": " "}, chat("q", "a")])
    with source.open("a") as file:
        file.write('{"text": \n{"text": 5}\n{"messages": [{"role": "user", "content": "alone"}]}\n{"other": 1}\n[1]\n')
    draft = prepare(tmp_path / "out", source)
    dropped = {"reading: no reply": 1, "empty: nothing to see": 1}
    expected = {"in": 9, "kept": 2, "dropped": dropped, "quarantined": 4, "merged": 1}
    assert balanced(draft) == expected
    dropped = rows(draft, "dropped")
    assert len(dropped) == 7 and all(
        row["source"] == str(source) and row["where"].startswith("line ") for row in dropped
    )
    by_line = {row["where"]: row["reason"] for row in dropped}
    assert by_line["line 5"].startswith("quarantined: bad json: ")
    assert by_line["line 6"] == "quarantined: wrong type: text must be a string, not a number"
    assert by_line["line 8"].startswith("quarantined: unknown shape: no known shape; its keys: other")


def test_counts_of_characters_and_bytes(tmp_path):
    draft = prepare(
        tmp_path / "out",
        lines(tmp_path / "a.jsonl", [{"text": "中文ab😀é\n"}, chat("问", "答a")]),
        validation_fraction=0,
    )
    train = draft.metrics["splits"]["train"]
    assert train["text"] == {"documents": 1, "characters": 7, "bytes": 15}
    assert train["chat"] == {"documents": 1, "characters": 3, "bytes": 7}
    assert examples(draft)["languages"] == {
        "han": 0.4444,
        "latin": 0.4444,
        "other": 0.1111,
    }


def test_examples_show_real_changes(tmp_path):
    texts = ["x" * 500 + f" {n} cafÃ© \x00" + "y" * 500 for n in range(50)] + ["plain"] + ["  "] * 30
    draft = prepare(tmp_path / "out", lines(tmp_path / "a.jsonl", [{"text": text} for text in texts]))
    shown = examples(draft)
    assert set(shown) == {"changes", "drops", "quarantined", "twins", "languages", "lengths"}
    assert set(shown["changes"]) == {"unicode", "control"} and len(shown["drops"]["empty"]) == 10
    for name, pairs in shown["changes"].items():
        what = {"unicode": "Ã©", "control": "\x00"}[name]
        for pair in pairs:
            assert len(pair["before"]) < 200 and what in pair["before"] and what not in pair["after"]
    assert sum(bin["documents"] for bin in shown["lengths"]) == 51


def test_filters_can_be_switched_off(tmp_path):
    text = "cafÃ©  \r\n\r\n\r\n\r\n\r\nA\u200b\x00e\u0301 😀"
    off = dict.fromkeys(
        (
            "fix_unicode",
            "remove_zero_width",
            "remove_control",
            "tidy_whitespace",
            "unify_line_ends",
        ),
        False,
    ) | {"normal_form": "keep"}
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
    assert results(one.path) == results(two.path)
    assert one.metrics["records"] == two.metrics["records"] and one.parents == two.parents


def test_parents_follow_content(tmp_path):
    source = tmp_path / "d"
    source.mkdir()
    (source / "a.txt").write_text("a")

    def parents():
        return corpus.external(PrepareConfig(sources=[str(source)], decontaminate=[]))

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
    monkeypatch.setattr("yaya.prepare.parquet.ROWS", 50)
    draft = prepare(tmp_path / "out", lines(tmp_path / "a.jsonl", [{"text": f"document {n}"} for n in range(900)]))
    assert pq.ParquetFile(draft.path / "train-00000.parquet").num_row_groups > 10
    assert len(rows(draft, "train")) + len(rows(draft, "validation")) == 900


@pytest.mark.parametrize("fraction", [0.6, 1.0])
def test_too_large_a_validation_part_is_refused(tmp_path, fraction):
    with pytest.raises(UserError, match="validation_fraction"):
        prepare(tmp_path / "out", lines(tmp_path / "a.jsonl", [{"text": "a"}]), validation_fraction=fraction)


def test_two_lines_tell_what_was_made(tmp_path, capsys, monkeypatch):
    source = lines(tmp_path / "a.jsonl", [{"text": "abcdefghij"}, {"text": ""}])
    prepare(tmp_path / "1", source)
    said = capsys.readouterr().err
    assert "[prepare] 2 in = 1 kept + 1 dropped + 0 merged + 0 unreadable\n" in said
    assert "[prepare] kept: 0 conversations, 1 text; 10 characters (10.0% for validation)\n" in said
    monkeypatch.setenv("YAYA_LANG", "zh")
    prepare(tmp_path / "2", source)
    said = capsys.readouterr().err
    assert "[prepare] 读入 2 = 保留 1 + 丢弃 1" in said and "保留了 0 段对话、1 篇文本" in said


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
        assert all(
            account["changed"] == account["dropped"] == 0
            for name, account in draft.metrics["filters"].items()
            if name != "duplicates"
        )

    def test_seed_decides(self, tmp_path):
        one, same, other = (
            prepare(tmp_path / str(n), conversations=50, stories=50, seed=seed) for n, seed in enumerate((1, 1, 2))
        )
        first = (one.path / "train-00000.parquet").read_bytes()
        assert (
            first
            == (same.path / "train-00000.parquet").read_bytes()
            != (other.path / "train-00000.parquet").read_bytes()
        )
