"""The limits of the quality rules, each just kept and just exceeded. The numbers are the papers', not read from our code.

Gopher: arXiv 2112.11446, A.1.1 and table A1. C4: arXiv 1910.10683, 2.2. FineWeb: arXiv 2406.17557, 3.6, and the pipeline that made
it (datatrove's FineWebQualityFilter), whose duplicate characters begin at 0.01.
"""

from itertools import count, islice, product

import pytest
from prepared import lines, prepare, rows

from yaya.prepare.clean.quality import (
    Reading,
    c4_lines,
    c4_quality,
    covered,
    duplicates,
    fineweb_quality,
    gopher_quality,
    gopher_repetition,
    most_frequent,
    repeated,
)


def words(number: int, length: int = 6, start: int = 0) -> list[str]:
    """Words of so many letters, no two alike; other starts give others."""
    letters = "bcdfghjklmnpqrstvwxz"
    found = islice(product(letters, repeat=4), start, start + number)
    return [("a".join(word) + "e" * length)[:length] if length >= 7 else "".join(word)[:length] for word in found]


def running(number: int, a_line: int = 10, end: str = ".", extra: tuple[str, ...] = ("the", "of")) -> str:
    """Words in lines, with two stop words among them."""
    all_words = [*extra, *words(number - len(extra), 9)]
    return "\n".join(" ".join(all_words[at : at + a_line]) + end for at in range(0, number, a_line))


def lengths(total: int, number: int = 100) -> str:
    """So many words with so many letters in all."""
    rest, left = number - 2, total - 6
    sizes = [left // rest + (n < left % rest) for n in range(rest)]
    return "the and " + " ".join("bcdfghjklmnpqr"[n % 14] * size for n, size in enumerate(sizes))


def han(number: int, first: int = 0x4E00) -> str:
    """Different Chinese characters, the commonest two among them."""
    return "的是" + "".join(chr(first + n % 20000) for n in range(number - 2))


GOPHER = [
    # name, kept, dropped, reason
    ("50 words", running(50), running(49), "too short"),
    ("100,000 words", running(100_000), running(100_001), "too long"),
    ("mean length 3", lengths(300), lengths(299), "words too short"),
    ("mean length 10", lengths(1000), lengths(1001), "words too long"),
    ("# to words 0.1", running(100) + " #" * 10, running(100) + " #" * 11, "too many #"),
    ("... to words 0.1", running(100) + " ..." * 10 + " a", running(100) + " ..." * 11 + " a", "too many ellipses"),
    ("… to words 0.1", running(100) + " … a" * 11, running(100) + " … a" * 12, "too many ellipses"),
    ("... to words 0.1, exactly", running(100) + " ..." * 10, running(99) + " ..." * 10, "too many ellipses"),
    ("bullets 0.9", "\n".join(("• " if n < 18 else "") + line for n, line in enumerate(running(200).split("\n"))),
     "\n".join(("• " if n < 19 else "") + line for n, line in enumerate(running(200).split("\n"))), "mostly bullets"),
    ("lines ending in ... 0.3", "\n".join(line + ".." * (n < 6) for n, line in enumerate(running(200).split("\n"))),
     "\n".join(line + ".." * (n < 7) for n, line in enumerate(running(200).split("\n"))), "lines cut short"),
    ("letters 0.8", running(80) + " 1234" * 20, running(79) + " 1234" * 21, "too few letters"),
    ("two stop words", running(60), running(60, extra=("the",)), "no stop words"),
    ("one stop word twice", running(60, extra=("the", "that")), running(60, extra=("the", "the")), "no stop words"),
    ("Chinese, 100 characters", han(100), han(99), "too short"),
    ("Chinese, 200,000 characters", han(200_000), han(200_001), "too long"),
    ("Chinese, letters 0.6", han(600) + " 12" * 400, han(599) + " 12" * 401, "too few letters"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kept", "dropped", "reason"), GOPHER, ids=[row[0] for row in GOPHER])
def test_limits_of_gophers_quality(name, kept, dropped, reason):
    assert gopher_quality(Reading(kept)) is None
    assert gopher_quality(Reading(dropped)) == reason


def test_the_shortest_text_of_fifty_words():
    """One letter each, and the spaces between, are 99 characters: not too short, but too short are the words."""
    reasons = [gopher_quality(Reading(" ".join(("abcdefghij" * 5)[:number]))) for number in (49, 50)]
    assert reasons == ["too short", "words too short"]


def short_and_long(repeated: int, short: int, long: int, gap: str) -> str:
    """Parts, of which so many short ones repeat an earlier one; they are few of the characters."""
    parts = ["tiny part one"] * (repeated + 1) + [f"small part {n}" for n in range(short - repeated - 1)]
    return gap.join(parts + [" ".join(words(80, 9, 80 * n)) for n in range(long)])


def one_long(size: int, total: int, gap: str) -> str:
    """A part of so many characters that comes twice, in a text of about so many characters; few parts repeat."""
    again, stream = " ".join(words(size, 9))[:size], iter(words(total, 9, 20_000))
    out = [again, again]
    while len(gap.join(out)) < total:
        out.append(" ".join(next(stream) for _ in range(6)))
    return gap.join(out)[:total]


@pytest.mark.parametrize(("name", "gap"), [("lines", "\n"), ("paragraphs", "\n\n")])
def test_limits_of_gophers_repeated_parts(name, gap):
    """0.30 of the parts, 0.20 of the characters."""
    rule = gopher_repetition
    assert rule(Reading(short_and_long(6, 10, 10, gap))) is None
    assert rule(Reading(short_and_long(7, 10, 10, gap))) == f"repeated {name}"
    assert rule(Reading(one_long(198, 1000, gap))) != f"repeated {name}"
    assert rule(Reading(one_long(202, 1000, gap))) == f"repeated {name}"


@pytest.mark.parametrize(
    ("name", "gap", "rest"), [("lines", "\n", (14, 14, 14, 13)), ("paragraphs", "\n\n", (14, 14, 11, 11))]
)
def test_a_fifth_of_a_text_may_come_again(name, gap, rest):
    """Twenty characters of a hundred, not twenty-one."""
    for size, dropped in ((20, False), (21, True)):
        again = "x" * size
        parts = [again, again, *(letter * length for letter, length in zip("abcd", rest, strict=True))]
        text = gap.join(parts)[: 100 if size == 20 else 102]
        assert len(text) == (100 if size == 20 else 102)
        assert (gopher_repetition(Reading(text)) == f"repeated {name}") == dropped


def exactly(text: str, size: int) -> str:
    """The text with other words behind it, so many characters in all."""
    stream = iter(words(size, 9, 40_000))
    while len(text) < size:
        text += " " + next(stream)
    return text[:size]


@pytest.mark.parametrize(
    ("run", "limit"), [("good morning", 0.20), ("very good morning", 0.18), ("so very good morning", 0.16)]
)
def test_limits_of_gophers_most_frequent_runs(run, limit):
    others = iter(words(100, 9))
    text = " ".join(f"{run} {next(others)}" for _ in range(36))
    size = round(36 * len(run) / limit)
    assert gopher_repetition(Reading(exactly(text, size))) is None
    assert gopher_repetition(Reading(exactly(text, size - 1))) == f"one run of {len(run.split())} words"


@pytest.mark.parametrize(("n", "limit"), [(5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)])
def test_limits_of_gophers_repeated_runs(n, limit):
    """Ten runs of n words come twice. The words are long, so that it does not matter whether spaces count."""
    others = iter(words(20, 9))
    runs = [" ".join(words(n, 40, 100 + n * k)) for k in range(10)]
    text = " ".join(f"{run} {next(others)}" for run in [*runs, *runs])
    size = sum(map(len, runs)) / limit
    assert gopher_repetition(Reading(exactly(text, round(size * 1.04)))) is None
    assert gopher_repetition(Reading(exactly(text, round(size * 0.96)))) == f"repeated runs of {n} words"


def test_the_most_frequent_run_may_be_of_the_shortest_words():
    text = " ".join(f"a b {chr(0x3B1 + n)}" for n in range(17))
    assert gopher_repetition(Reading(text)) == "one run of 2 words"


def test_gophers_repeated_runs_end_at_ten_words():
    """Eleven words of ten letters that come twice in a thousand characters: a tenth is in runs of ten, which is not too much."""
    passage, others = " ".join(words(11, 10, 100)), words(40, 10, 500)
    text = exactly(" ".join([passage, *others, passage]), 1000)
    assert gopher_repetition(Reading(text)) is None
    assert gopher_repetition(Reading(text[:999])) == "repeated runs of 10 words"


def test_gophers_repeated_runs_begin_at_five_words():
    """Runs of four words, each twice, with another word behind each time, are most of the text."""
    runs, others = [" ".join(words(4, 9, 100 + 4 * n)) for n in range(20)], words(40, 9, 500)
    text = " ".join(f"{run} {other}" for run, other in zip([*runs, *runs], others, strict=True))
    assert gopher_repetition(Reading(text)) is None


def separated(runs: list[str]) -> str:
    """Chinese runs with another character behind each."""
    return "".join(run + chr(0x8000 + n) for n, run in enumerate(runs))


@pytest.mark.parametrize(("n", "times"), [(2, 10), (3, 6), (4, 4)])
def test_limits_of_gophers_most_frequent_runs_in_chinese(n, times):
    """Two characters a word: 0.20, 0.18 and 0.16 of two hundred characters; one character less is no such run."""
    rest = "".join(chr(0x6000 + n) for n in range(200))
    text = (separated(["天地玄黄宇宙洪荒"[: 2 * n]] * times) + rest)[:200]
    assert gopher_repetition(Reading(text)) is None
    assert gopher_repetition(Reading(text[:199])) == f"one run of {n} words"
    assert gopher_repetition(Reading(separated(["天地玄"] * 20))) is None


@pytest.mark.parametrize(("size", "reason"), [(14, None), (15, "repeated runs of 5 words")])
def test_gophers_repeated_runs_in_chinese_are_of_three_characters_a_word(size, reason):
    runs = ["".join(chr(0x5000 + size * n + at) for at in range(size)) for n in range(10)]
    assert gopher_repetition(Reading(separated([*runs, *runs]))) == reason


def sized(number: int, size: int, end: str, start: int = 0) -> list[str]:
    """Lines of so many characters, with the mark at their end."""
    out = []
    for at in range(number):
        line = " ".join(words(size // 5 + 2, 9, start + at * 7))[: size - len(end)]
        out.append(line[:-1] + "x" + end if line.endswith(" ") else line + end)
    return out


def lines_of_han(number: int, size: int, first: int = 0x5000) -> list[str]:
    """Chinese lines of so many characters, no two alike."""
    return ["".join(chr(first + (size * n + at) % 8000) for at in range(size - 1)) + "。" for n in range(number)]


FINEWEB = [
    ("lines with end marks 0.12", sized(4, 60, ".") + sized(21, 60, "", 999), sized(3, 60, ".") + sized(22, 60, "", 999), "lines without end marks"),
    ("short lines 0.67", sized(66, 30, ".") + sized(34, 60, ".", 999), sized(67, 30, ".") + sized(33, 60, ".", 999), "short lines"),
    ("short is 30 characters", sized(80, 31, ".") + sized(20, 60, ".", 999), sized(80, 30, ".") + sized(20, 60, ".", 999), "short lines"),
    ("Chinese, short is 15 characters", lines_of_han(80, 16) + lines_of_han(20, 40, 0x7000), lines_of_han(80, 15) + lines_of_han(20, 40, 0x7000), "short lines"),
    ("repeated characters 0.01", [*sized(100, 60, "."), *sized(1, 60, ".")], [*sized(99, 60, "."), *sized(1, 60, ".")], "repeated lines"),
    ("line breaks to words 0.3", [f"{a} {b} {c}." for a, b, c in zip(*[iter(words(90, 20))] * 3, strict=True)],
     [f"{a} {b}." for a, b in zip(*[iter(words(90, 20))] * 2, strict=True)], "a list"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kept", "dropped", "reason"), FINEWEB, ids=[row[0] for row in FINEWEB])
def test_limits_of_fineweb(name, kept, dropped, reason):
    assert fineweb_quality(Reading("\n".join(kept))) is None
    assert fineweb_quality(Reading("\n".join(dropped))) == reason


def test_three_line_breaks_to_ten_words_and_marks_are_no_list():
    for sizes, reason in (([2, 2, 1, 1], None), ([2, 1, 1, 1], "a list")):
        stream = iter(words(6, 40))
        text = "\n".join(" ".join(next(stream) for _ in range(size)) + "." for size in sizes)
        assert fineweb_quality(Reading(text)) == reason


def test_limits_of_c4():
    """Five sentences a page, three words a line."""
    sentence = count()
    four, five = (" ".join(f"Here is sentence number {next(sentence)}." for _ in range(n)) for n in (4, 5))
    assert c4_quality(Reading(four)) == "too few sentences" and c4_quality(Reading(five)) is None
    assert c4_lines(Reading("Two words.\nThree words here.\nNo end mark here")) == "Three words here."


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("一二三四。", False), ("一二三四五。", True), ("one 二三四五。", False), ("one two 三。", True),  # three words, five characters
        ("Here is a " + "x" * 1000 + " word.", True), ("Here is a " + "x" * 1001 + " word.", False),
        ("Here it is: " + "x" * 999 + ".", True), ("Here it is: " + "x" * 1000 + ".", False), ("字" * 1500 + "。", True),
        ("Here is a " + "x" * 1500 + "字 and so on.", True), ("Here is a line of " + "many short words " * 100 + "as well.", True),
    ],
)  # fmt: skip
def test_limits_of_c4s_lines(line, kept):
    assert c4_lines(Reading(f"{line}\nThis one stays.")) == (f"{line}\n" if kept else "") + "This one stays."


# ---------------------------------------------------------------- what is counted, by hand


def test_characters_of_each_run():
    reading = Reading("ab cde, f gh")  # five words and marks
    assert [reading.sizes(n).tolist() for n in (1, 2, 3, 5, 6)] == [[2, 3, 1, 1, 2], [5, 4, 2, 3], [6, 5, 4], [9], []]
    assert Reading("天地玄黄").sizes(3).tolist() == [3, 3]


@pytest.mark.parametrize(
    ("text", "n", "most", "inside", "read"),
    [
        # The most frequent run, the first of several, with its spaces; words in runs that have come; such runs one by one.
        ("a bb ccc a bb ccc a bb d", 1, (3, 3), 1 + 2 + 3 + 1 + 2, 1 + 2 + 3 + 1 + 2),
        ("a bb ccc a bb ccc a bb d", 2, (3, 3 * 4), 1 + 2 + 3 + 1 + 2, 3 + 4),
        ("a bb ccc a bb ccc a bb d", 3, (2, 2 * 8), 1 + 2 + 3 + 1 + 2, 6),
        ("a bb ccc a bb ccc a bb d", 6, (1, 0), 0, 0),
        ("x a bb y a bb z a bb", 2, (3, 3 * 4), 6, 6),
        ("z zz a a a a", 2, (3, 3 * 3), 3, 2),
        ("one TWO, one two.", 3, (1, 0), 0, 0),
        ("one TWO, one two,", 3, (2, 2 * 9), 7, 7),
        ("天地玄天地黄天地", 2, (3, 6), 4, 4),
    ],
)  # fmt: skip
def test_runs_of_words_that_come_again(text, n, most, inside, read):
    reading = Reading(text)
    assert (most_frequent(reading, n), covered(reading, n), repeated(reading, n)) == (most, inside, read)


@pytest.mark.parametrize("text", ["", "a", "天"])
def test_of_fewer_words_there_is_no_run(text):
    assert most_frequent(Reading(text), 2) == (0, 0) and covered(Reading(text), 2) == 0


@pytest.mark.parametrize(
    ("parts", "found"),
    [([], (0, 0)), (["a", "bb"], (0, 0)), (["a", "bb", "a", "a", "bb", "c"], (3, 4)), (["ccc", "ccc"], (1, 3)), (["", ""], (1, 0))],
)  # fmt: skip
def test_parts_that_have_come_before(parts, found):
    assert duplicates(parts) == found


@pytest.mark.parametrize("letter", "azAZ\u00c0\u07ff")
def test_a_text_is_chinese_where_han_characters_are_more_than_half_the_other_letters(letter):
    """A to Z, and U+00C0 to U+07FF: letters that UTF-8 writes in two bytes."""
    assert [Reading("中文" + letter * n).chinese for n in (3, 4)] == [True, False]


@pytest.mark.parametrize("mark", "@[`{0 \n。\u0080\u00bf\u0800\u3fff\ua000\U00010000")
def test_what_is_no_letter_has_no_vote(mark):
    assert Reading("中" + mark * 9).chinese and not Reading(mark * 9).chinese and not Reading("a" + mark * 9).chinese


@pytest.mark.parametrize("character", "\u4000\u4e00\u9fff")
def test_a_han_character_is_one_of_three_bytes(character):
    assert Reading(character + "a").chinese and not Reading(character + "aa").chinese


def test_lines_are_those_with_something_in_them():
    assert Reading(" a\n\n \t\nb \n").lines == [" a", "b "]


@pytest.mark.parametrize("preset", ["documents", "web", "chat"])
def test_examination_questions_are_kept_out_unless_somebody_says_otherwise(tmp_path, preset):
    from yaya import primer

    asked = next(
        q.messages[-1]["content"]
        for q in primer.questions("phrasings", "en")
        if len(q.messages[-1]["content"].split()) >= 10
    )
    talks = [[{"role": "user", "content": content}, {"role": "assistant", "content": "Let me think about that for a moment."}]
             for content in (asked, "Which of the two bridges over the river is the older one, and who built it in those days?")]  # fmt: skip
    source = lines(tmp_path / "a.jsonl", [{"messages": talk} for talk in talks])
    draft = prepare(tmp_path / "out", source, preset=preset, decontaminate="auto", validation_fraction=0)
    assert [row["messages"][0]["content"] for row in rows(draft, "train")] == [talks[1][0]["content"]]
    assert [row["reason"].split(":")[0] for row in rows(draft, "dropped")] == ["contamination"]
    kept = prepare(tmp_path / "all", source, preset=preset, decontaminate=[], validation_fraction=0)
    assert len(rows(kept, "train")) == 2
