"""Phrasing tables -> lines ready to fill in; which lines and which combinations are kept out of training.

Hold-outs depend on content only, never on a seed: a line's or a combination's stable hash decides, so the same ones are
kept out of every training set.
"""

import re
import zlib
from collections import Counter
from typing import NamedTuple

from yaya.core import han
from yaya.primer.tables.en import exercises as en_tasks
from yaya.primer.tables.en import knows as en_knows
from yaya.primer.tables.en import memory as en_memory
from yaya.primer.tables.en import talk as en_talk
from yaya.primer.tables.zh import exercises as zh_tasks
from yaya.primer.tables.zh import knows as zh_knows
from yaya.primer.tables.zh import memory as zh_memory
from yaya.primer.tables.zh import talk as zh_talk

TASKS = {"zh": zh_tasks, "en": en_tasks}
TELLS = {"zh": zh_memory.TELLS, "en": en_memory.TELLS}
TABLES = {
    "zh": zh_knows.PHRASES | zh_tasks.PHRASES | zh_memory.PHRASES | zh_talk.PHRASES,
    "en": en_knows.PHRASES | en_tasks.PHRASES | en_memory.PHRASES | en_talk.PHRASES,
}
KEEPS_CAPITAL = ("I ", "I'm", "Bamboo", "Yaya", "OK")
END_MARKS = "？。！?.!："


class Line(NamedTuple):
    raw: str  # as in the table: names the line in a hold-out
    variants: tuple[tuple[str, str], ...]  # (at the start of a message, after an opener)
    is_question: bool


class Phrasing(NamedTuple):
    answers: tuple[str, ...]
    taught: tuple[Line, ...]
    held: tuple[Line, ...]


def hash_of(*parts: str) -> int:
    """A stable 32-bit hash. CRC-32 alone is linear, and like keys would fall together: the product mixes its bits."""
    return zlib.crc32("\t".join(parts).encode()) * 0x9E3779B1 & 0xFFFFFFFF


def is_held(*parts: str) -> bool:
    """Whether this combination is kept out of training: one in eight is."""
    return hash_of(*parts) >> 29 == 0


def expand(raw: str) -> list[str]:
    """All the readings of a line's [a|b] brackets."""
    found = re.search(r"\[([^\]]*)\]", raw)
    if not found:
        return [raw]
    return [text for part in found[1].split("|") for text in expand(raw[: found.start()] + part + raw[found.end() :])]


def with_mark(text: str, language: str) -> str:
    """The text with a question mark, unless it has an end mark or ends with `=`, `~` or what a colon introduced."""
    if text.endswith("~"):
        return text[:-1]
    if text.endswith(tuple(END_MARKS + '=”"')) or re.search(r"[：:] ?\{[^：:]*$", text):
        return text
    return text + ("？" if language == "zh" else "?")


def make_line(raw: str, language: str) -> Line:
    """A table's line with all its readings, each at the start of a message and after an opener."""
    variants = []
    for text in dict.fromkeys(with_mark(text.strip(), language) for text in expand(raw)):
        text = re.sub(r" +(?=[ .])", "", text)
        text = text[0].upper() + text[1:]
        after = text
        if not text.startswith(("{", *KEEPS_CAPITAL)):
            after = text[0].lower() + text[1:]
        variants.append((text, after.replace("_cap}", "}", 1) if after.startswith("{") else after))
    return Line(raw, tuple(variants), variants[0][0].endswith(("？", "?")))


def words_of(raw: str, language: str) -> set[str]:
    text = re.sub(r"\{\w+\}", " ", raw)
    return set(re.findall(f"[{han.COMMON}]" if language == "zh" else r"[A-Za-z']+", text))


def load(language: str) -> dict[str, Phrasing]:
    """Splits each kind's lines into taught ones and a fifth that is held out.

    Held out are those with the smallest hashes, skipping a line with a word that then fewer than two taught lines would
    have: an unseen phrasing is one that a reader of the taught ones can understand, not one with an unknown word. Each
    table's two lines at its head, the commonest, are always taught: whoever chats with Yaya begins with those.
    """
    raws = {kind: lines.strip().splitlines() for kind, (_, lines) in TABLES[language].items()}
    uses = Counter(word for lines in raws.values() for raw in lines for word in words_of(raw, language))
    phrasings = {}
    for kind, (answers, _) in TABLES[language].items():
        lines = raws[kind]
        held: list[str] = []
        for raw in sorted(lines[2:], key=lambda raw: hash_of(kind, raw)):
            words = words_of(raw, language)
            if len(held) < max(2, round(len(lines) / 5)) and all(uses[word] > 2 for word in words):
                held.append(raw)
                uses.subtract(words)
        phrasings[kind] = Phrasing(
            answers,
            tuple(make_line(raw, language) for raw in lines if raw not in held),
            tuple(make_line(raw, language) for raw in held),
        )
    return phrasings


PHRASINGS = {language: load(language) for language in TABLES}
