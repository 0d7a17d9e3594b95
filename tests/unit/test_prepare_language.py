"""What of a text is shown to the language model, what counts as a letter, and which of the model's answers are believed."""

import pytest

from yaya.prepare.clean import language
from yaya.prepare.clean.language import languages_of, sample


@pytest.fixture
def answer(monkeypatch):
    """Sets what the model says of any text: (code, score), the likeliest first."""

    class Detector:
        found = (("xx", 1.0),)

        def detect(self, text: str, k: int) -> list[dict]:
            return [{"lang": code, "score": score} for code, score in self.found[:k]]

    monkeypatch.setattr(language, "detector", Detector)
    return lambda *found: setattr(Detector, "found", found)


RANGES = [
    # name, first and last character, how many are enough (four letters; a Han character counts as three), beside them
    ("Han, from extension A on", "\u3400\u9fff", 2, "\u33ff\ua000"),
    ("kana", "\u3041\u30ff", 4, "\u3040\u3100"),
    ("Hangul", "\uac00\ud7a3", 4, "\uabff\ud7a4"),
    ("a to z", "azAZ", 4, "`{@["),
    ("from Latin-1 to Greek extended", "\u00c0\u1fff", 4, "\u00bf\u2010"),
]


@pytest.mark.parametrize(("name", "inside", "enough", "outside"), RANGES, ids=[row[0] for row in RANGES])
def test_letters_of_each_script_count(name, inside, enough, outside, answer):
    for letter in inside:
        assert "xx" in languages_of(letter * enough) and languages_of(letter * (enough - 1)) == [], hex(ord(letter))
    assert [hex(ord(mark)) for mark in outside if languages_of(mark * 9)] == []


@pytest.mark.parametrize(
    ("scores", "believed"),
    [
        ([0.25], 1), ([0.249], 0), ([0.249, 0.249], 0), ([0.5, 0.2], 2), ([0.5, 0.199], 1), ([0.25, 0.24, 0.2], 3),
        ([0.26, 0.25, 0.25, 0.24], 3),  # three at most
    ],
)  # fmt: skip
def test_a_language_is_believed_from_a_quarter_on_and_another_beside_it_from_a_fifth(scores, believed, answer):
    answer(*zip(("en", "de", "fr", "it"), scores, strict=False))
    assert languages_of("some words") == ["en", "de", "fr", "it"][:believed]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("汉" + "a" * 9, ["xx", "zh"]), ("汉" + "a" * 10, ["xx"]),  # a quarter: three of twelve, three of thirteen
        ("汉字汉字の", ["xx"]), ("汉字汉字말", ["xx"]), ("words alone", ["xx"]),
    ],
)  # fmt: skip
def test_where_a_quarter_is_han_it_may_be_chinese(text, codes, answer):
    assert languages_of(text) == codes


def test_twenty_han_characters_without_kana_are_not_japanese(answer):
    answer(("ja", 0.9), ("xx", 0.3))
    assert languages_of("汉" * 19) == ["ja", "xx", "zh"] and languages_of("汉" * 20) == ["xx", "zh"]
    assert languages_of("汉" * 20 + "の") == ["ja", "xx"]


@pytest.mark.parametrize("code", ["zh", "yue", "wuu"])
def test_chinese_is_not_named_twice(code, answer):
    answer((code, 0.9))
    assert languages_of("汉字汉字") == [code]


SIGNS = "".join(chr(0x4E00 + n) for n in range(20_000))  # no two alike: a part tells where it stands


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        (1999, [(0, 1999)]), (2000, [(0, 2000)]), (2003, [(1, 2001)]),  # the middle 2,000
        (4000, [(1000, 3000)]),
        (4001, [(667, 1333), (1667, 2333), (2667, 3333)]),  # 666 around each quarter
        (4004, [(668, 1334), (1669, 2335), (2670, 3336)]),
    ],
)  # fmt: skip
def test_which_parts_of_a_text_are_looked_at(size, parts):
    assert sample(SIGNS[:size]) == " ".join(SIGNS[start:stop] for start, stop in parts)


def test_of_a_text_with_addresses_only_the_first_fifty_thousand_characters_are_looked_at():
    """The address becomes a space, and 49,994 are left; 666 around each quarter of it."""
    text = "a@b.org " + (SIGNS * 3)[:49_992] + "x" * 50_000
    rest = "  " + text[8:50_000]
    quarters = [49_994 // 4, 49_994 // 2, 49_994 * 3 // 4]
    assert sample(text) == " ".join(rest[at - 333 : at + 333] for at in quarters)


def test_a_text_without_addresses_is_looked_at_to_its_end():
    text = (SIGNS * 3)[:60_000]
    assert sample(text) == " ".join(text[at - 333 : at + 333] for at in (15_000, 30_000, 45_000))
