"""What pages have in common: numbers and durations as text, and texts with their differences marked."""

import pytest

from yaya.core.files import read_json
from yaya.pages.excerpts import changes, folded
from yaya.pages.layout import dicts, number, percent, size, spell


def marked(runs: list[tuple[bool, str]]) -> list[str]:
    return [text for changed, text in runs if changed]


def whole(runs: list[tuple[bool, str]]) -> str:
    return "".join(text for _, text in runs)


def test_changes_are_marked_and_the_invisible_is_written_out() -> None:
    before, after = changes("caf\u00c3\u00a9 \u200b猫  \n", "café 猫\n")
    assert marked(before) == ["Ã©", "⟨U+200B⟩", "··"]
    assert marked(after) == ["é"]
    assert whole(after) == "café 猫↵\n"


def test_words_that_differ_are_marked_whole() -> None:
    before, after = changes("The cat sat on a mat. 猫坐着。", "The cat sits on a mat. 狗坐着。", letters=False)
    assert (marked(before), marked(after)) == (["sat ", "猫"], ["sits ", "狗"])


def test_what_is_the_same_by_chance_is_part_of_the_change() -> None:
    before, after = changes("start. Home of the News of the day. end", "start. Something of a very other kind. end")
    assert len(marked(before)) == len(marked(after)) == 1


def test_a_cut_excerpt_that_reaches_further_is_not_changed() -> None:
    text = "a menu with links\n" + "".join(f"sentence number {n} of a long text. " for n in range(20))
    before, after = changes(text[:160], text.partition("\n")[2][:160], cut=150)
    assert marked(before) == ["a menu with links↵\n"] and marked(after) == []


@pytest.mark.parametrize("before, after", [("", ""), ("", "a"), ("a", ""), ("a b", "a b"), ("x" * 500, "y" * 500)])
def test_texts_of_any_kind_stay_whole(before: str, after: str) -> None:
    old, new = changes(before, after, cut=400)
    assert (whole(old), whole(new)) == (before, after)


def test_long_unchanged_text_is_folded() -> None:
    assert folded([(False, "a" * 999), (True, "x"), (False, "b" * 999)], 5) == [
        (False, " ⋯ aaaaa"), (True, "x"), (False, "bbbbb ⋯ "),
    ]  # fmt: skip
    assert folded([(False, "a" * 999)], 5) == [(False, "a" * 15 + " ⋯")]
    assert folded([(True, "a" * 999), (False, "b")], 5) == [(True, "a" * 999), (False, "b")]


def test_numbers_are_written_for_people() -> None:
    assert (number(1234567), number(None), percent(0.257, 1)) == ("1,234,567", "–", "25.7%")
    found = [size(value) for value in (0, 999, 999.6, 1_234_567, 2.5e9, 7.25e12, 8e15, None, float("nan"))]
    assert found == ["0 B", "999 B", "1 kB", "1.23 MB", "2.5 GB", "7.25 TB", "8,000 TB", "–", "–"]


def test_durations_are_spelled_in_both_languages() -> None:
    assert spell(9.84) == ("9.8 s", "9.8 秒") and spell(80) == ("1 min 20 s", "1 分 20 秒")
    assert spell(7500) == ("2 h 5 min", "2 小时 5 分") and spell(None) == ("–", "–")


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b"{"])
def test_damaged_files_are_empty(tmp_path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    assert read_json(tmp_path / "a.json") == read_json(tmp_path / "missing") == {}
    assert dicts(3) == dicts([1]) == []
