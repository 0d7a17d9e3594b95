"""Each filter: what it changes, that a second time changes nothing, and that no text breaks or slows it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaya.prepare.clean import FILTERS, Cleaner

CASES = [
    ("unicode", "cafÃ© is Ã¼ber", "café is über"),
    ("unicode", "grand \x93quote\x94", "grand “quote”"),
    ("unicode", "café, naïve, Œuvre, “quoted”…", "café, naïve, Œuvre, “quoted”…"),
    ("unicode", "他说：“Ωμέγα”。", "他说：“Ωμέγα”。"),
    ("unicode", "ok\nâ€œbadâ€\x9d\nok", "ok\n“bad”\nok"),
    ("line_ends", "a\r\nb\rc\x0bd\x0ce\u2028f", "a\nb\nc\nd\ne\nf"),
    ("zero_width", "a\u200bb\ufeffc\u00add\u200ee", "abcde"),
    ("zero_width", "中\u200d文", "中文"),
    ("zero_width", "👩\u200d🔬 नमस्\u200dते می\u200cخواهم", "👩\u200d🔬 नमस्\u200dते می\u200cخواهم"),
    ("control", "a\x00b\x1b[0m\tc\nd\x7f\x9f", "ab[0m\tc\nd"),
    ("control", "a\ud800b", "ab"),
    ("emoji", "好😀的 👍🏽！ 🇨🇳 1️⃣ ❤️ 👩\u200d🔬", "好的！"),
    ("emoji", "© ™ ☎ ★ → ① 1 # *", "© ™ ☎ ★ → ① 1 # *"),
    ("nfc", "e\u0301 \u212b 한", "é Å 한"),
    ("nfc", "﹏①㎏ｆｕｌｌ", "﹏①㎏ｆｕｌｌ"),
    ("whitespace", "a  \nb\u3000\n\tc \t\n", "a\nb\n\tc\n"),
    ("whitespace", "a\n\n\nb\n\n\n\nc", "a\n\n\nb\n\nc"),
    ("whitespace", "    indented\n\u3000\u3000段落", "    indented\n\u3000\u3000段落"),
    ("empty", " \n\t\u3000", None),
    ("empty", "", None),
    ("empty", "。", "。"),
]


@pytest.mark.parametrize(("name", "before", "after"), CASES)
def test_filter(name, before, after):
    assert FILTERS[name](before) == after


def test_every_filter_has_a_case():
    assert {name for name, _, _ in CASES} == set(FILTERS)


ODD = st.sampled_from(
    "aé 1#©☎😀👍🏽🇨\ufe0f\u20e3\u200d\u200c\u200b\u00ad\ufeff\r\n\n\t\x00\x85\x93Ã©â€œ\u0301\u0344\u0345中\u3000\ud800"
)
ANY = st.text(st.one_of(ODD, st.characters(codec=None)))


@pytest.mark.parametrize("name", FILTERS)
@given(text=ANY)
def test_twice_is_once_and_nothing_crashes(name, text):
    once = FILTERS[name](text)
    if once is not None:
        assert FILTERS[name](once) == once


@given(text=st.text(st.sampled_from("abc \n.,?!中文，。“”…—《》\u3000")))
def test_clean_text_only_loses_space(text):
    cleaner = Cleaner([name for name in FILTERS if name not in ("whitespace", "empty")])
    assert cleaner.clean([text]) == ([text], [], None)


@given(text=ANY)
def test_cleaned_text_can_be_written_as_utf8(text):
    texts, _, _ = Cleaner(["control"]).clean([text])
    texts[0].encode()


HARD = [
    "a",
    "Ã©",
    "e\u0301",
    "\u0345\u0301",
    " ",
    " \n",
    "\n",
    "\r",
    "\u200b",
    "\u200d",
    "😀",
    "👩\u200d",
    " 😀",
    "\x00",
    "中",
    "â€œ",
    "\ufe0f",
    "Ð",
]


@pytest.mark.parametrize("name", FILTERS)
def test_time_is_linear_on_the_hardest_texts(name):
    run = FILTERS[name]
    started = time.perf_counter()
    for piece in HARD:
        run(piece * 20_000)
        run("a" + piece * 20_000 + "b")
    assert time.perf_counter() - started < 4  # a quadratic filter takes minutes


def test_accounts():
    cleaner = Cleaner(["control", "emoji", "empty"])
    assert cleaner.clean(["a\x00\x00", "b 😀"]) == (["a", "b"], ["control", "emoji"], None)
    assert cleaner.clean(["a"]) == (["a"], [], None)
    assert cleaner.clean(["a", "\x00"])[2] == "empty"
    assert (cleaner.effects["control"].documents, cleaner.effects["control"].removed) == (2, 3)
    assert (cleaner.effects["emoji"].documents, cleaner.effects["emoji"].removed) == (1, 2)
