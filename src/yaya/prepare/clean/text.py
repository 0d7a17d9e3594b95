"""Cleaning: small pure functions, text -> text.

Each takes linear time and has a cheap test first, because most text is clean.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

import ftfy
import regex
from ftfy.badness import is_bad

Form = Literal["NFC", "NFKC"]

# First bytes of UTF-8 pairs as code pages show them, followed by a character beyond ASCII (or "Ã " for à): without such
# a pair there is no mojibake.
MAYBE_MOJIBAKE = re.compile("[¬\xc2-\xf4\u0100-\u02ff\u0370-\u04ff\u2500-\u257f√≈∆‚‰][^\x00-\x7f]|Ã ")
C1 = re.compile("[\x80-\x9f]")
LONGEST_FIX = 100_000  # characters repaired together
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff\ufff9-\ufffb\ud800-\udfff\u2028\u2029]")
LINE_ENDS = ("\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029")
UNSEEN = re.compile("[\u200b\u2060\ufeff\u00ad\u180e\u200e\u200f\u202a-\u202e\u2061-\u2064\u2066-\u206f]")
# Joiners belong in emoji and in Arabic or Indian scripts; after Latin or Chinese characters they are litter.
JOINERS = re.compile("(?<![^\x00-\u02ff\u3000-\u9fff\uff00-\uffef])[\u200c\u200d]+")
MARKS = regex.compile(r"(\p{M}{30})\p{M}+")
BLANK_LINES = re.compile("\n{4,}")
EMOJI = regex.compile(
    r" ?(?:[0-9#*]\uFE0F?\u20E3|\p{Extended_Pictographic}\uFE0F|\p{Emoji_Presentation}|\p{Emoji_Modifier})"
    r"[\uFE0F\u200D\u20E3\p{Emoji_Modifier}\U000E0020-\U000E007F]*"
)


def fix_unicode(text: str) -> str:
    """Repairs text that was decoded with the wrong code page ("cafÃ©"), line by line, with ftfy."""
    if text.isascii() or not (MAYBE_MOJIBAKE.search(text) or C1.search(text)):
        return text
    return "".join(map(_fix_line, _short_lines(text)))


def _short_lines(text: str) -> list[str]:
    lines = text.split("\n")
    lines[:-1] = [line + "\n" for line in lines[:-1]]
    return [line[at : at + LONGEST_FIX] for line in lines for at in range(0, len(line), LONGEST_FIX)]


def _fix_line(line: str) -> str:
    before = None
    while line != before:  # one repair can reveal another
        before = line
        if MAYBE_MOJIBAKE.search(line) and is_bad(line):
            line = ftfy.fix_encoding(line)
        if C1.search(line):
            line = ftfy.fixes.fix_c1_controls(line)
    return line


def normalize_unicode(text: str, form: Form = "NFC") -> str:
    """Returns the text in NFC, or in NFKC, where full-width letters, ligatures and the like become plain ones.

    Runs of more than 30 combining marks are cut: sorting them takes quadratic time, and nobody writes them.
    """
    if text.isascii() or unicodedata.is_normalized(form, text):
        return text
    text = MARKS.sub(r"\1", text)
    return MARKS.sub(r"\1", unicodedata.normalize(form, text))


def remove_zero_width(text: str) -> str:
    """Removes characters without width: zero-width spaces, byte order marks, soft hyphens, direction marks."""
    if text.isascii():
        return text
    if UNSEEN.search(text):
        text = UNSEEN.sub("", text)
    return JOINERS.sub("", text) if "\u200c" in text or "\u200d" in text else text


def unify_line_ends(text: str) -> str:
    """Turns every kind of line end into a line break."""
    for end in LINE_ENDS:
        text = text.replace(end, "\n")
    return text


def remove_control(text: str) -> str:
    """Removes control characters except line breaks and tabs, and code points that are no characters."""
    return CONTROL.sub("", text) if CONTROL.search(text) else text


def tidy_space(text: str) -> str:
    """Removes spaces at line ends and turns more than two blank lines into one; indentation stays."""
    text = "\n".join(map(str.rstrip, text.split("\n")))
    return BLANK_LINES.sub("\n\n", text) if "\n\n\n\n" in text else text


def remove_emoji(text: str) -> str:
    """Removes emoji with their joiners and skin tones, and the space before them."""
    return text if text.isascii() else EMOJI.sub("", text)


def name_emoji(text: str) -> str:
    """Writes each emoji as its Unicode name: 😀 becomes :grinning face:."""
    return text if text.isascii() else EMOJI.sub(_named, text)


def _named(found: re.Match[str]) -> str:
    lead = " " if found[0].startswith(" ") else ""
    names = [unicodedata.name(char, "").lower() for char in found[0] if char.isprintable() and not char.isspace()]
    said = [name for name in names if name and not name.startswith(("variation selector", "zero width", "tag "))]
    return lead + f":{' '.join(said)}:" if said else ""


URL = re.compile(r"(?:https?://|www\.)[A-Za-z0-9\-._~:/?#@!$&*+,;=%\[\]()']{1,2000}")


def remove_urls(text: str) -> str:
    """Removes web addresses; a Markdown link becomes its text."""
    if "://" not in text and "www." not in text:
        return text
    return URL.sub(_end_mark, MARKDOWN_LINK.sub(r"\1", text))


MARKDOWN_LINK = re.compile(r"!?\[([^\[\]\n]{0,300})\]\((?:https?://|www\.)[^\s()]{1,2000}(?:\s\"[^\"\n]{0,200}\")?\)")


def _end_mark(found: re.Match[str]) -> str:
    """The mark at the end of a sentence is not part of the address."""
    return found[0][-1] if found[0][-1] in ".,;:!?" else ""
