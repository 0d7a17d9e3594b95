"""Chinese characters (Han), as ranges to put into a pattern's brackets.

There are three, and texts that were made or judged with one are not the same with another: a rare character, or a
sign that is none, decides. So each place keeps the one that it began with.
"""

from __future__ import annotations

import re

COMMON = "\u4e00-\u9fff"  # what ordinary text has (CJK Unified Ideographs)
BROAD = "\u3400-\u9fff"  # Extension A too, in one range for speed: the 64 hexagrams between the two come along
ALL = "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"  # every ideograph that is assigned, and no hexagram


def language_of(text: str, han: str = BROAD) -> str:
    """`"zh"` where the text has a Chinese character, else `"en"`: between the two it is enough."""
    return "zh" if re.search(f"[{han}]", text) else "en"
