"""Converts Chinese to simplified or traditional characters, phrase by phrase (OpenCC), and no Japanese or Korean."""

from __future__ import annotations

import re
from collections.abc import Callable

from yaya.core import han
from yaya.core.extras import need

HAN = re.compile(f"[{han.ALL}]")
HIRAGANA = re.compile("[\u3041-\u306d\u306f-\u3096]")  # without の, which shops in Taiwan and China also use
KATAKANA = re.compile("[\u30a1-\u30fa\u31f0-\u31ff\uff66-\uff9d]")
HANGUL = re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")
OTHERS = re.compile("[" + "".join(kind.pattern.strip("[]") for kind in (HIRAGANA, KATAKANA, HANGUL)) + "]")
PIECE = re.compile('[^\n。！？!?；「」『』“”"（）()《》]+')
# Characters that neither Japanese nor Korean uses, and characters that modern Japanese does not: signs of Chinese.
ONLY_CHINESE = re.compile("[這这們们嗎吗呢吧啊你您妳她它牠很沒哪怎說说麼么还让对时问东车门见现发书买卖妈马鸟龙个]")
NOT_JAPANESE = re.compile(
    "[歡國學體發會來對應灣實寫畫當點圖廣號專黨區參單嚴圍壓圓廳舊觀關繼續轉輕邊鐵變讀聲擇擔據擴數斷樂樣樓權歸殘氣濟滿澤獨獻盡禮稱總臺藝處衛裝"
    "覺證譯讓豐賣贊遞遲選醫釋錢錄鎮險隨隱雜靈靜顏顯餘驅驗]"
)
KOREAN = re.compile(f"[{han.COMMON}][의는은이가을를에와과도로]")  # Hangul endings at Han characters
LONG = 16  # Han characters in a row: Japanese text of this length has some kana

# 著 is 着 in simplified Chinese, but where it means to write or to be known (zhù): 著名, 原著, 鲁迅著.
WRITTEN_BEFORE = re.compile("[土原名巨遗专撰卓昭拙旧所显论译编合杂]$|明较$")
ALWAYS_WRITTEN = re.compile("(?:(?<![彰凸突])显|卓|昭|土|原|名)$")  # 显著地, 土著眼里: whatever follows
VERBS = re.compile("(?:[彰凸突]显|[讨谈议争辩评]论|翻译|改编|[配融混结符吻联聚整组综适迎]合|[夹混掺]杂)$")
WRITTEN_BEHIND = re.compile("名(?!字)|作(?![业文曲客战案弄祟])|称(?![赞呼])|述|者|录(?![音影像])")
UNDECIDED = re.compile("[书成有《，。！？；：、）)】》」』”]|\\s|$")  # 著书 or 看着书, 鲁迅著。 or 他说着。
OTHER_WORDS = re.compile("[手重陆眼想力急色迷落火魔装凉实劲边地]")  # 着手, 着重, 着陆, ...
GO_ON = frozenset(  # verbs whose action goes on, where nothing else decides
    "看说听走站坐躺拿抱笑哭想等跟带拉推抓握捧背扛挑提穿戴挂放写画贴刻印种开关亮响刮吹飘飞跑跳爬游骑赶追望盯瞧瞪睁闭张吃喝嚼含"
    "吸抽咬闻摸碰撞靠倚扶撑按压踩踢踏围绕沿顺随接连活睡醒病忙闲空饿爱恨怕急盼守护照养喂教学读念唱演奏弹吵闹骂打争抢躲藏埋盖铺"
    "垫堆排列悬浮沉流淌滴转动摇晃摆荡颤抖闪烁射映衬伴陪同向朝对冲迎离隔挨贴存有在试记留住持保凭仗借趁本执附沉胶穿衣意味征示行化粘黏续息作动表"
)


def converter(script: str) -> Callable[[list[str]], list[str]]:
    """Returns a function that converts all Chinese in a document's texts. UserError where the package is missing."""
    library = need("opencc", "yaya[data]", "prepare.chinese needs an extra package", "prepare.chinese 需要额外的包")
    opencc = library.OpenCC("t2s" if script == "simplified" else "s2t")

    def convert(text: str) -> str:
        out = str(opencc.convert(text))
        if script == "simplified":
            out = simplify_particles(out, "着" in text) if "著" in out else out
            out = out.replace("甚么", "什么")
        return out

    def convert_all(texts: list[str]) -> list[str]:
        """In a mixed document piece by piece, where headings follow the main language."""
        if not any(not text.isascii() and OTHERS.search(text) for text in texts):
            return [text if text.isascii() else convert(text) for text in texts]
        japanese, korean = mostly_others(texts)

        def one(found: re.Match[str]) -> str:
            return convert(found[0]) if is_chinese(found[0], japanese, korean) else found[0]

        return [text if text.isascii() else PIECE.sub(one, text) for text in texts]

    return convert_all


def is_chinese(piece: str, japanese: bool, korean: bool) -> bool:
    """Whether the Han characters in a part of a sentence are Chinese."""
    han = count(HAN, piece)
    if not han or is_japanese(piece, han) or KOREAN.search(piece) or count(HANGUL, piece) >= han:
        return False
    if ONLY_CHINESE.search(piece) or (NOT_JAPANESE.search(piece) and not korean):
        return True
    return not (japanese or korean or count(KATAKANA, piece) >= han)


def is_japanese(piece: str, han: int) -> bool:
    """Whether at least a tenth of the characters are hiragana, as in any Japanese sentence."""
    return HIRAGANA.search(piece) is not None and 9 * count(HIRAGANA, piece) >= han + count(KATAKANA, piece)


def mostly_others(texts: list[str]) -> tuple[bool, bool]:
    """Whether a document is mostly Japanese, and mostly Korean. Pieces that could be either do not count."""
    japanese = chinese = 0
    text = "\n".join(texts)
    for piece in PIECE.findall(text):
        han = count(HAN, piece)
        if is_japanese(piece, han):
            japanese += han
        elif han >= LONG or ONLY_CHINESE.search(piece) or NOT_JAPANESE.search(piece):
            chinese += han
    return japanese > chinese, count(HANGUL, text) > count(HAN, text)


def count(kind: re.Pattern[str], text: str) -> int:
    return len(kind.findall(text))


def simplify_particles(text: str, distinguishes: bool) -> str:
    """Writes 着 for 著 in simplified text where that is right. distinguishes: the author wrote both."""

    def one(found: re.Match[str]) -> str:
        """着 or 著, by the characters before and after it."""
        at = found.end()
        before = text[max(0, at - 3) : at - 1]
        if ALWAYS_WRITTEN.search(before):
            return "著"
        if OTHER_WORDS.match(text, at):
            return "着"
        if WRITTEN_BEHIND.match(text, at):
            return "著"
        if VERBS.search(before):
            return "着"
        if WRITTEN_BEFORE.search(before):
            return "著"
        return "著" if (distinguishes or UNDECIDED.match(text, at)) and before[-1:] not in GO_ON else "着"

    return re.sub("著", one, text)
