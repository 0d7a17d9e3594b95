"""Quality rules for web text. Each takes a document and returns the reason to drop it, or None to keep it.

Papers: Gopher (arXiv 2112.11446, tables A1 and section A.1.1), C4 (arXiv 1910.10683, section 2.2), FineWeb
(arXiv 2406.17557, section 3.6). English is judged by words, Chinese by characters, with thresholds of their own.

N words of one text.
"""

from __future__ import annotations

import re
from functools import cache, cached_property

import numpy as np

from yaya.core import han
from yaya.prepare.clean.tokens import Tokens, ngrams, tokens_of

HAN = re.compile(f"[{han.ALL}]")
STOP_WORDS = "the be to of and that have with"
STOP_CHARACTERS = "的了是在和有不我这他为上中人们个与及或之也而就"
ENDS = (".", "?", "!", '"', "'", "”", "’", "。", "？", "！", "；", "…", "」", "』", "）")
ELLIPSES = ("...", "…")
BULLETS = ("•", "‣", "▪", "◦", "●", "■", "·")
SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]*(?=\s+[^\sa-z]|\s*$)|[。！？…]+[”’」』）]*")
CITATIONS = re.compile(r"\[(?:\d*|edit|citation needed|来源请求|编辑)\]")
POLICIES = (
    "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies",
    "隐私政策", "使用条款", "服务条款", "版权所有", "未经授权", "转载请注明",
)  # fmt: skip


class Reading:
    """A text, and what several rules need to know about it, computed once."""

    def __init__(self, text: str):
        self.text = text
        self._runs: dict[int, np.ndarray] = {}
        self._ordered: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    @cached_property
    def lines(self) -> list[str]:
        """The lines that are not blank."""
        return [line for line in self.text.splitlines() if line.strip()]

    @cached_property
    def chinese(self) -> bool:
        """Whether there are more Han characters than half the other letters, by the first bytes of UTF-8."""
        if self.text.isascii():
            return False
        counts = np.bincount(np.frombuffer(self.text.encode("utf-8", "replace"), np.uint8), minlength=256)
        han = int(counts[0xE4:0xEA].sum())  # U+4000 to U+9FFF
        return 2 * han > int(counts[0x41:0x5B].sum() + counts[0x61:0x7B].sum() + counts[0xC3:0xE0].sum())

    @cached_property
    def tokens(self) -> Tokens:
        return tokens_of(self.text)

    @property
    def has_tokens(self) -> bool:
        return "tokens" in self.__dict__

    @cached_property
    def ends(self) -> np.ndarray:
        """Characters of all tokens up to each."""
        return np.cumsum(self.tokens.lengths)  # (N,)

    def runs(self, n: int) -> np.ndarray:
        """Hashes of all runs of n words and marks."""
        if n not in self._runs:
            self._runs[n] = ngrams(self.tokens.hashes, n)
        return self._runs[n]  # (N - n + 1,)

    def ordered(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """The runs sorted by hash, equal ones by place: (the upper bits of the hashes, places).

        The places stand in the lower bits while sorting, which is twice as fast as a stable argsort.
        """
        if n not in self._ordered:
            runs = self.runs(n)
            bits = np.uint64(len(runs).bit_length())
            keys = np.sort(runs >> bits << bits | np.arange(len(runs), dtype=np.uint64))
            self._ordered[n] = keys >> bits, (keys & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
        return self._ordered[n]  # both (N - n + 1,)

    def sizes(self, n: int) -> np.ndarray:
        """Characters in each run of n words, without the spaces between."""
        ends = self.ends[n - 1 :]
        return ends - self.ends[: len(ends)] + self.tokens.lengths[: len(ends)]  # (N - n + 1,)


def gopher_quality(reading: Reading) -> str | None:
    """Judges length, word length, symbols, bullets, ellipses, letters and stop words. None: the text passes."""
    if len(reading.text) < 99:  # 50 words of a letter each, and the spaces between
        return "too short"
    text, tokens, lines, chinese = reading.text, reading.tokens, reading.lines, reading.chinese
    count = len(tokens.words)
    if count < (100 if chinese else 50):
        return "too short"
    if count > (200_000 if chinese else 100_000):
        return "too long"
    if not chinese:
        mean = int(tokens.lengths[tokens.is_word].sum()) / count
        if not 3 <= mean <= 10:
            return "words too short" if mean < 3 else "words too long"
    if text.count("#") > 0.1 * count:
        return "too many #"
    ellipses = text.count("...") + text.count("…")
    if ellipses > 0.1 * count:
        return "too many ellipses"
    if sum(map(text.count, BULLETS)) > 0.9 * len(lines) < sum(line.lstrip().startswith(BULLETS) for line in lines):
        return "mostly bullets"
    if ellipses > 0.3 * len(lines) < sum(line.rstrip().endswith(ELLIPSES) for line in lines):
        return "lines cut short"
    if int(np.count_nonzero(tokens.letters[tokens.is_word])) < (0.6 if chinese else 0.8) * count:
        return "too few letters"
    if len(np.unique(tokens.hashes[np.isin(tokens.hashes, stop_hashes(chinese))])) < 2:  # two different ones
        return "no stop words"
    return None


@cache
def stop_hashes(chinese: bool) -> np.ndarray:
    return tokens_of(STOP_CHARACTERS if chinese else STOP_WORDS).hashes


def gopher_repetition(reading: Reading) -> str | None:
    """Judges repeated lines, paragraphs and runs of words. None: the text passes."""
    text, size = reading.text, max(1, len(reading.text))
    paragraphs = [part for part in (part.strip("\n") for part in text.strip().split("\n\n")) if part]
    for name, parts in (("paragraphs", paragraphs), ("lines", reading.lines)):
        again, characters = duplicates(parts)
        if again > 0.3 * len(parts) or characters > 0.2 * size:
            return f"repeated {name}"
    scale = 2 if reading.chinese else 1  # a Chinese word has about two characters
    most = len(reading.tokens.hashes)  # a longer run is no more frequent than a shorter one
    for n, share in ((2, 0.20), (3, 0.18), (4, 0.16)):
        if most * (int(reading.sizes(n * scale).max(initial=0)) + n) > share * size:
            most, characters = most_frequent(reading, n * scale)
            if characters > share * size:
                return f"one run of {n} words"
    # Clean statutes and manuals repeat long names: counting three characters as a word keeps five out of six of them.
    scale = 3 if reading.chinese else 1
    for n in range(5, 11):  # what covers longer runs is part of what covers shorter ones
        characters, share = covered(reading, n * scale), 0.20 - 0.01 * n
        if characters <= 0.10 * size:
            return None
        if characters > share * size and repeated(reading, n * scale) > share * size:
            return f"repeated runs of {n} words"
    return None


def duplicates(parts: list[str]) -> tuple[int, int]:
    """How many parts are repeats of earlier ones, and how many characters they have."""
    if len(set(parts)) == len(parts):
        return 0, 0
    seen: set[str] = set()
    count = characters = 0
    for part in parts:
        if part in seen:
            count, characters = count + 1, characters + len(part)
        seen.add(part)
    return count, characters


def most_frequent(reading: Reading, n: int) -> tuple[int, int]:
    """How often the most frequent run of n words occurs, and the characters of all its occurrences."""
    values, places = reading.ordered(n)
    edges = np.flatnonzero(values[1:] != values[:-1]) + 1
    counts = np.diff(edges, prepend=0, append=len(values))
    most = int(counts.max(initial=0))
    if most < 2:
        return most, 0
    first = int(places[np.concatenate([[0], edges])[counts == most]].min())  # the earliest, if there are several
    between = 0 if reading.chinese else n - 1
    return most, most * (int(reading.tokens.lengths[first : first + n].sum()) + between)


def covered(reading: Reading, n: int) -> int:
    """Characters of all words in runs of n words that repeat an earlier run."""
    values, places = reading.ordered(n)
    starts = places[1:][values[1:] == values[:-1]]
    edges = np.zeros(len(reading.tokens.hashes) + 1, np.int32)
    edges[starts] += 1
    edges[starts + n] -= 1
    return int(reading.tokens.lengths[np.cumsum(edges)[:-1] > 0].sum())


def repeated(reading: Reading, n: int) -> int:
    """Characters in runs of n words that repeat an earlier run, counted from the start; each word counts once."""
    values, places = reading.ordered(n)
    same = values[1:] == values[:-1]
    often = np.sort(places[np.r_[same, False] | np.r_[False, same]])  # only these can be repeats
    total, at, seen = 0, 0, set()
    for place, value, size in zip(
        often.tolist(), reading.runs(n)[often].tolist(), reading.sizes(n)[often].tolist(), strict=True
    ):
        if place < at:
            continue
        if value in seen:
            total += size
            at = place + n
        seen.add(value)
    return total


def c4_lines(reading: Reading) -> str:
    """Returns the text without lines that lack an end mark, are short, or mention cookies or JavaScript."""
    lower = reading.text.lower()
    unwanted = [words for words in ("javascript", *POLICIES) if words in lower]
    kept = []
    for line in map(str.strip, reading.lines):
        line = CITATIONS.sub("", line) if "[" in line else line
        if not line.endswith(ENDS) or line.endswith("..."):
            continue
        words = line.split(None, 3)
        if len(words) < 3 and len(HAN.findall(line)) < 5:
            continue
        if len(line) > 1000 and any(len(word) > 1000 and not HAN.search(word) for word in line.split()):
            continue
        if unwanted and any(words in line.lower() for words in unwanted):
            continue
        kept.append(line)
    return "\n".join(kept)


def c4_quality(reading: Reading) -> str | None:
    """Judges placeholder text, code in braces and fewer than five sentences. None: the text passes."""
    if "{" in reading.text:
        return "curly bracket"
    if "lorem ipsum" in reading.text.lower():
        return "lorem ipsum"
    found = 0
    for line in reading.lines:
        found += len(SENTENCE_END.findall(line)) or line.rstrip().endswith(ENDS)
        if found >= 5:
            return None
    return "too few sentences"


def fineweb_quality(reading: Reading) -> str | None:
    """Judges lines without end marks, short lines, repeated lines and lists. None: the text passes."""
    text, lines = reading.text, reading.text.split("\n")
    if sum(line.endswith(ENDS) for line in lines) <= 0.12 * len(lines):
        return "lines without end marks"
    short = 15 if reading.chinese else 30
    if sum(len(line) <= short for line in lines) >= 0.67 * len(lines):
        return "short lines"
    _, characters = duplicates([line for line in lines if line.strip()])
    if characters >= 0.01 * max(1, len(text) - text.count("\n")):
        return "repeated lines"
    if text.count("\n") > 0.3 * len(reading.tokens.hashes):
        return "a list"
    return None
