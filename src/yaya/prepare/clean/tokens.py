"""Words of a text as 64-bit hashes, on which near-duplicates, repetition, quality and contamination are computed.

C characters (UTF-16 units), N words and marks of one text.
A word is a run of letters and digits, with apostrophes and hyphens inside; where words are not spaced (Han, kana,
Thai, ...) every character is one. Case does not matter. All in numpy, about ten times as fast as a regular expression
and a hash for each word: a word's hash is a difference of two prefix sums (Karp and Rabin, 1987).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

LETTER, SPELT, UNSPACED, MARK, JOINER = 1, 2, 4, 8, 16  # bits of a character's kind; none set: white space
RANGES = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
          (0xF900, 0xFAFF))  # fmt: skip
SURROGATES = (0xD800, 0xDFFF)  # halves of rare characters: each counts as an unspaced one
JOINERS = "'’-"
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, the golden ratio
BASE, PRIME_TO_IT = 0xD6E8FEB86659FD93, 2**64  # an odd base has an inverse
BETWEEN = " \ue000 "  # a mark of private use
AT_ONCE = 1 << 16  # characters, as long as the tables of powers are


@cache
def kinds() -> np.ndarray:
    """Kind of each UTF-16 unit."""
    table = np.full(1 << 16, MARK, np.uint8)
    for code in range(1 << 16):
        character = chr(code)
        if character.isspace():
            table[code] = 0
        elif character.isalnum():
            table[code] = SPELT | LETTER if character.isalpha() else SPELT
    for first, last in RANGES:
        part = table[first : last + 1]
        part[part & LETTER > 0] = UNSPACED | LETTER
    table[SURROGATES[0] : SURROGATES[1] + 1] = UNSPACED
    table[[ord(mark) for mark in JOINERS]] |= JOINER
    return table


@cache
def letters() -> np.ndarray:
    """A random value for each UTF-16 unit, the same for upper and lower case."""
    lower = [chr(code).lower() for code in range(1 << 16)]
    folded = np.array([ord(small) if len(small) == 1 else code for code, small in enumerate(lower)])
    return np.random.default_rng(7).integers(0, 1 << 63, 1 << 16, np.uint64)[folded] << np.uint64(1) | np.uint64(1)


@cache
def powers() -> tuple[np.ndarray, np.ndarray]:
    """BASE^i and BASE^-i modulo 2^64, for each place of a text."""
    tables = np.empty((2, AT_ONCE), np.uint64)
    for table, base in zip(tables, (BASE, pow(BASE, -1, PRIME_TO_IT)), strict=True):
        table[0] = 1
        table[1:] = np.uint64(base)
        np.multiply.accumulate(table, out=table)
    return tables[0], tables[1]


@dataclass
class Tokens:
    """Words and marks in order."""

    hashes: np.ndarray  # (N,) uint64
    lengths: np.ndarray  # (N,) characters
    kind: np.ndarray  # (N,) uint8, kind of the first character
    letters: np.ndarray  # (N,) letters in it

    @cached_property
    def is_word(self) -> np.ndarray:
        return self.kind & (SPELT | UNSPACED) > 0  # (N,)

    @cached_property
    def words(self) -> np.ndarray:
        return self.hashes[self.is_word]


def tokens_of(text: str) -> Tokens:
    """The words and marks of a text."""
    codes = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), np.uint16)  # (C,)
    if len(codes) <= AT_ONCE:
        return _tokens(codes)
    parts = [_tokens(part) for part in _parts(codes)]
    return Tokens(
        *(np.concatenate([getattr(p, name) for p in parts]) for name in ("hashes", "lengths", "kind", "letters"))
    )


def words_of_each(texts: list[str]) -> list[np.ndarray]:
    """Hashes of the words of each text, computed together: for short texts many times faster than one by one."""
    tokens = tokens_of(BETWEEN.join(texts))
    edges = np.flatnonzero(tokens.hashes == tokens_of(BETWEEN).hashes[0])
    if len(edges) != len(texts) - 1:  # a text contains this character itself
        return [tokens_of(text).words for text in texts]
    before = np.concatenate([[0], np.cumsum(tokens.is_word)])  # words before each token
    stops = [*before[edges].tolist(), len(tokens.words)]
    return [tokens.words[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]


def _parts(codes: np.ndarray) -> list[np.ndarray]:
    """Cuts a long text into parts, between words where possible."""
    spelt, out, start = kinds()[codes] & SPELT > 0, [], 0
    while len(codes) - start > AT_ONCE:
        gaps = np.flatnonzero(~spelt[start : start + AT_ONCE])
        stop = start + (int(gaps[-1]) + 1 if len(gaps) else AT_ONCE)
        out.append(codes[start:stop])
        start = stop
    return [*out, codes[start:]]


def _tokens(codes: np.ndarray) -> Tokens:
    kind = kinds()[codes]
    spelt = np.zeros(len(codes) + 2, bool)  # with one place before and one after
    inner = spelt[1:-1]
    np.not_equal(kind & SPELT, 0, out=inner)
    joins = np.flatnonzero(kind & JOINER)
    joins = joins[spelt[joins] & spelt[joins + 2]]
    single = kind & (UNSPACED | MARK) > 0
    inner[joins], single[joins] = True, False
    starts = np.flatnonzero(inner & ~spelt[:-2] | single)  # (N,)
    ends = np.flatnonzero(inner & ~spelt[2:] | single) + 1  # (N,)
    power, inverse = powers()
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(letters()[codes] * power[: len(codes)], out=sums[1:])
    lettered = np.zeros(len(codes) + 1, np.int32)
    np.cumsum(kind & LETTER, out=lettered[1:])
    return Tokens(
        mix((sums[ends] - sums[starts]) * inverse[starts]),
        ends - starts,
        kind[starts],
        lettered[ends] - lettered[starts],
    )


def ngrams(hashes: np.ndarray, n: int) -> np.ndarray:
    """Hashes of all runs of n words; empty where there are fewer."""
    if len(hashes) < n:
        return hashes[:0]
    if len(hashes) <= AT_ONCE:
        return _ngrams(hashes, n)
    step = AT_ONCE - n + 1
    return np.concatenate([_ngrams(hashes[at : at + AT_ONCE], n) for at in range(0, len(hashes) - n + 1, step)])


def _ngrams(hashes: np.ndarray, n: int) -> np.ndarray:
    power, inverse = powers()
    sums = np.zeros(len(hashes) + 1, np.uint64)
    np.cumsum(hashes * power[: len(hashes)], out=sums[1:])
    out = sums[n:] - sums[:-n]
    out *= inverse[: len(out)]
    return mix(out)  # (N - n + 1,)


def mix(values: np.ndarray) -> np.ndarray:
    """Spreads differences over all bits, so that sums of mixed values depend on their order."""
    out = values * MULTIPLIER
    out ^= out >> np.uint64(32)
    return out
