"""What a word is, how words and runs of them are compared, and how much of a question must be in a text, counted by hand."""

import numpy as np
import pytest

from yaya.prepare.clean import chinese
from yaya.prepare.clean.contamination import known_from
from yaya.prepare.clean.tokens import AT_ONCE, ngrams, tokens_of


@pytest.mark.parametrize(
    ("text", "parts", "letters", "words"),
    [
        ("", [], [], []),
        (" \t\n\u3000", [], [], []),
        ("It's a well-known fact.", ["It's", "a", "well-known", "fact", "."], [3, 1, 9, 4, 0], [1, 1, 1, 1, 0]),
        ("3.14 o’clock x2", ["3", ".", "14", "o’clock", "x2"], [0, 0, 0, 6, 1], [1, 0, 1, 1, 1]),
        ("-a b- c--d 'e' f'", ["-", "a", "b", "-", "c", "-", "-", "d", "'", "e", "'", "f", "'"],
         [0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0], [0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0]),
        ("中文abc、か9ก", ["中", "文", "abc", "、", "か", "9", "ก"], [1, 1, 3, 0, 1, 0, 1], [1, 1, 1, 0, 1, 1, 1]),
        ("中-文", ["中", "-", "文"], [1, 0, 1], [1, 0, 1]),
        ("한국어 привет", ["한국어", "привет"], [3, 6], [1, 1]),
    ],
)  # fmt: skip
def test_words_and_marks(text, parts, letters, words):
    found = tokens_of(text)
    assert found.lengths.tolist() == list(map(len, parts)) and found.letters.tolist() == letters
    assert found.is_word.tolist() == list(map(bool, words))
    assert found.hashes.tolist() == [int(tokens_of(part).hashes[0]) for part in parts]  # wherever a word stands
    assert found.words.tolist() == found.hashes[found.is_word].tolist()


def test_words_differ_by_their_letters_and_their_order_but_not_by_case():
    words = ["ab", "ba", "abc", "a", "aa", "b-a", "ba'a", "中", "文", ".", ",", "1", "11", "é", "e"]
    assert len({int(tokens_of(word).hashes[0]) for word in words}) == len(words)
    for one, other in (("ABC", "abc"), ("Été", "éTÉ"), ("ПРИВЕТ", "привет"), ("O'Clock", "o'clock")):
        assert tokens_of(one).hashes.tolist() == tokens_of(other).hashes.tolist()


# Letters at the ends of Thai and Lao, Burmese, Khmer, kana, Han and compatibility characters: each is a word.
UNSPACED = "\u0e01\u0edf\u1000\u1780\u1784\u3041\u30ff\u3400\u4dbf\u4e00\u9fff\uf900\ufad9"
# Their neighbours: Sinhala, Tibetan, Georgian, Ethiopic, Mongolian, Bopomofo, Yi, Hangul, Latin ligatures.
SPACED = "\u0dc6\u0f00\u0f40\u10a0\u1380\u1820\u3105\ua000\ud7a3\ufb00"


def test_where_words_are_not_spaced_each_character_is_one():
    assert [hex(ord(c)) for c in UNSPACED if tokens_of(c * 3).lengths.tolist() != [1, 1, 1]] == []
    assert [hex(ord(c)) for c in SPACED if tokens_of(c * 3).lengths.tolist() != [3]] == []
    assert tokens_of("😀a𠮷").lengths.tolist() == [1, 1, 1, 1, 1]  # halves of rare characters


def test_a_long_text_is_cut_between_words():
    assert tokens_of("a" * 65_530 + " " + "word" * 5 + " end").lengths.tolist() == [65_530, 20, 3]
    found = tokens_of("good " * 40_000)
    assert len(found.hashes) == 40_000 and set(found.hashes.tolist()) == set(tokens_of("good").hashes.tolist())
    assert tokens_of("x" * 70_000).lengths.tolist() == [AT_ONCE, 70_000 - AT_ONCE]  # no such place
    assert tokens_of("x" * AT_ONCE).lengths.tolist() == [AT_ONCE]


def test_runs_of_words_are_the_same_wherever_they_stand_and_differ_by_order():
    a, b, c, d = tokens_of("one two three four").hashes
    runs = ngrams(np.array([a, b, c, a, b, c, b, a, d]), 3)
    assert len(runs) == 7 and runs[0] == runs[3] and len(set(runs.tolist())) == 6
    assert [len(ngrams(np.array([a, b]), n)) for n in (1, 2, 3)] == [2, 1, 0]


def test_runs_of_more_words_than_are_looked_at_together():
    words = np.random.default_rng(3).integers(0, 1 << 63, AT_ONCE + 5000, np.uint64)
    runs = ngrams(words, 4)
    assert len(runs) == len(words) - 3
    for at in (0, 1, AT_ONCE - 4, AT_ONCE - 3, AT_ONCE - 2, AT_ONCE, len(words) - 4):
        assert runs[at] == ngrams(words[at : at + 4], 4)[0]
    assert len(ngrams(words[:AT_ONCE], 4)) == AT_ONCE - 3 and len(ngrams(words[: AT_ONCE + 1], 4)) == AT_ONCE - 2


# ---------------------------------------------------------------- questions of evaluation sets


def question(language: str, number: int, first: int = 0) -> list[str]:
    """So many words of a question, no two alike."""
    if language == "zh":
        return [chr(0x4E00 + first + n) for n in range(number)]
    return [f"word{chr(97 + n // 676)}{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}" for n in range(first, first + number)]


@pytest.mark.parametrize(
    ("language", "asked", "said", "found"),
    [
        ("en", 7, 7, False), ("en", 8, 8, True), ("en", 8, 7, False), ("en", 12, 12, True), ("en", 12, 11, False), ("en", 13, 13, True),
        ("en", 13, 12, False), ("en", 14, 13, True), ("en", 14, 12, False), ("en", 40, 13, True), ("en", 40, 12, False),
        ("zh", 11, 11, False), ("zh", 12, 12, True), ("zh", 12, 11, False), ("zh", 19, 19, True), ("zh", 19, 18, False), ("zh", 20, 20, True),
        ("zh", 20, 19, False), ("zh", 21, 20, True), ("zh", 21, 19, False), ("zh", 60, 20, True), ("zh", 60, 19, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["first", "last"])
def test_how_much_of_a_question_must_be_in_a_text(language, asked, said, found, end):
    """Thirteen words of a long one, all of a short one of eight or more; in Chinese twenty and twelve characters."""
    space = " " if language == "en" else ""
    words = question(language, asked)
    known = known_from({"others": [space.join(question(language, 30, 200))], "this": [space.join(words)]})
    part = space.join(words[:said] if end == "first" else words[-said:])
    for text in (part, f"Before, {part}.", f"{part}, behind."):
        assert known.find_in([tokens_of(text).words]).get(0) == ("this" if found else None)


@pytest.mark.parametrize(("letters", "found"), [(13, False), (14, True)])
def test_a_question_of_more_than_two_and_a_half_characters_a_word_is_english(letters, found):
    """Eight words and seven spaces: twenty characters are no English, which would need twelve words."""
    words = ["ab", "cd", "e", "f", "g", "hi", "jk", "l" * (letters - 11)]
    text = " ".join(words)
    assert len(text) == letters + 7
    assert (known_from({"a": [text]}).find_in([tokens_of(text).words]).get(0) == "a") == found


def test_each_text_is_looked_at_by_itself():
    words = question("en", 13)
    known = known_from({"first": [" ".join(words)], "second": [" ".join(words), " ".join(question("en", 9, 50))]})
    whole, other = (tokens_of(" ".join(part)).words for part in (words, question("en", 9, 50)))
    assert known.find_in([whole[:6], whole[6:]]) == {}  # from one text into the next
    assert known.find_in([whole[:0], whole, other[:8], other]) == {1: "first", 3: "second"}
    assert known.find_in([other, whole]) == {0: "second", 1: "first"}


def test_of_many_questions_the_last_is_known_too():
    asked = [" ".join(question("en", 8, n)) for n in range(0, 2001)]
    known = known_from({"many": asked})
    assert [known.find_in([tokens_of(asked[n]).words]).get(0) for n in (0, 999, 1000, 1001, 2000)] == ["many"] * 5
    assert len(known.anchors) == 2001 and (np.diff(known.anchors.astype(object)) >= 0).all()


# ---------------------------------------------------------------- Chinese, Japanese and Korean


@pytest.mark.parametrize(
    ("piece", "japanese"),
    [("漢" * 9 + "か", True), ("漢" * 10 + "か", False), ("漢" * 18 + "かき", True), ("漢" * 8 + "カか", True), ("漢" * 9 + "カか", False),
     ("漢字カナ", False), ("漢の字", False)],
)  # fmt: skip
def test_a_japanese_piece_has_a_tenth_of_hiragana(piece, japanese):
    assert chinese.is_japanese(piece, piece.count("漢") + piece.count("字")) == japanese


@pytest.mark.parametrize(
    ("piece", "found"),
    [("漢字", True), ("abc", False), ("壽司タ", True), ("壽司タベ", False), ("韓國한", True), ("韓國한국", False), ("韓國은", False), ("漢" * 9 + "か", False)],
)  # fmt: skip
def test_which_pieces_are_chinese(piece, found):
    assert chinese.is_chinese(piece, japanese=False, korean=False) == found


def test_what_a_document_mostly_is_decides_what_could_be_either():
    assert not chinese.is_chinese("漢字", japanese=True, korean=False) and not chinese.is_chinese(
        "漢字", False, korean=True
    )
    assert chinese.is_chinese("這漢字", True, True) and chinese.is_chinese("臺灣", True, False)
    assert not chinese.is_chinese("臺灣", False, korean=True)


@pytest.mark.parametrize(
    ("texts", "others"),
    [
        (["漢漢か", "漢" * 15], (True, False)), (["漢漢か", "漢" * 16], (False, False)), (["漢漢か", "這漢"], (False, False)),
        (["漢漢漢か", "這漢"], (True, False)), (["漢漢か", "臺灣。這"], (False, False)), (["한국", "漢字"], (False, False)), (["한국", "漢"], (False, True)),
        ([], (False, False)),
    ],
)  # fmt: skip
def test_what_a_document_mostly_is(texts, others):
    """Han characters of Japanese pieces against those of Chinese ones, sixteen without kana among them; Hangul against Han."""
    assert chinese.mostly_others(texts) == others
