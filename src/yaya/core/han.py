"""Chinese characters (Han), as ranges to put into a pattern's brackets.

There are three ranges, and they disagree on rare characters and symbols. Switching would change existing results, so
each place keeps the one that it began with.
"""

from __future__ import annotations

import re

COMMON = "\u4e00-\u9fff"  # ordinary text (CJK Unified Ideographs)
BROAD = "\u3400-\u9fff"  # with Extension A, as one range for speed: includes the 64 hexagrams in between
ALL = "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"  # every assigned ideograph, and no hexagrams


def language_of(text: str, han: str = BROAD) -> str:
    """`"zh"` if the text has a Chinese character, else `"en"`; enough to tell the two apart."""
    return "zh" if re.search(f"[{han}]", text) else "en"
