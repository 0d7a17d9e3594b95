"""Near-duplicates by MinHash: signatures, bands, and pairs whose likeness is checked.

Texts are compared by the runs of five words that they share. Conversations are compared by their last reply, and only
if all before it is the same, since a reply is what one of them teaches and the other does not. So a system prompt, a
passage, a form or earlier turns that many conversations share do not make them copies.

Paper: Broder, "On the resemblance and containment of documents", 1997; bands as in Leskovec, Rajaraman, Ullman,
"Mining of massive datasets", 3.4. Numbers of hashes, bands and words as in FineWeb (arXiv 2406.17557, appendix E.1).

D documents, S shingles of one text, H hashes, B bands, P pairs.
"""

from __future__ import annotations

import numpy as np
import xxhash

from yaya.prepare.clean.tokens import mix, ngrams
from yaya.prepare.document import Message
from yaya.prepare.handover import ChunkedArray

HASHES, BANDS, SHINGLE = 112, 14, 5
ROWS = HASHES // BANDS  # documents of Jaccard s meet in some band with probability 1 - (1 - s^8)^14
BLOCK = 2048  # shingles at a time: the table of BLOCK x HASHES stays in the cache
MET_AT_MOST = 64  # documents of a large bucket that all its others are compared with
PAIRS_AT_ONCE = 1 << 16
END_MARKS = " \n.!?…。！？"  # a question is the same with or without them

_random = np.random.default_rng(20260101)
MASKS = _random.integers(0, 1 << 32, (HASHES, 1), np.uint32)
FACTORS = _random.integers(0, 1 << 32, (HASHES, 1), np.uint32) | np.uint32(1)
NOTHING = np.full(HASHES, 0xFFFFFFFF, np.uint32)


def shingles(words: np.ndarray) -> np.ndarray:
    """Hashes of all runs of five words (characters in Chinese); a shorter text is one shingle. words: (N,)."""
    return ngrams(words, min(SHINGLE, max(1, len(words))))  # (S,)


def shingles_of_each(texts: list[np.ndarray]) -> list[np.ndarray]:
    """The shingles of many texts, computed together: for short ones much faster than one by one. texts: (N,) each."""
    found = ngrams(np.concatenate(texts), SHINGLE)
    stops = np.cumsum([len(words) for words in texts])
    return [
        found[stop - len(words) : stop - SHINGLE + 1] if len(words) >= SHINGLE else shingles(words)
        for words, stop in zip(texts, stops.tolist(), strict=True)
    ]


def last_reply(messages: list[Message]) -> int:
    """The index of a conversation's last reply, by which near-duplicates are found."""
    return max(n for n, message in enumerate(messages) if message["role"] == "assistant")


def of_reply(shingles: np.ndarray, messages: list[Message], last: int) -> np.ndarray:
    """The shingles of a conversation's last reply, mixed with a hash of all before it, so both must agree. (S,)."""
    # Without case, line breaks and repeated blanks, and a message without its last marks
    parts = [f"{m['role']}\0{m['content'].rstrip(END_MARKS)}" for n, m in enumerate(messages) if n != last]
    before = " ".join("\0".join(parts).casefold().split())
    return mix(shingles ^ np.uint64(xxhash.xxh3_64_intdigest(before.encode())))  # (S,)


def signature(shingles: np.ndarray) -> np.ndarray:
    """The smallest value of each of H hash functions; the share in which two texts agree estimates their Jaccard."""
    least = NOTHING.copy()  # (H,)
    for at in range(0, len(shingles), BLOCK):
        np.minimum(least, table_of(shingles[at : at + BLOCK]).min(axis=1), out=least)
    return least  # (H,)


def table_of(shingles: np.ndarray) -> np.ndarray:
    """Each hash function of each shingle."""
    table = ((shingles >> np.uint64(32)).astype(np.uint32) ^ shingles.astype(np.uint32)) ^ MASKS
    table *= FACTORS
    table ^= table >> np.uint32(15)
    table *= FACTORS
    return table  # (H, S)


def signatures(found: list[np.ndarray]) -> np.ndarray:
    """The signature of each document, several short ones at a time. found: shingles (S,) of each."""
    out = np.empty((len(found), HASHES), np.uint32)
    start = 0
    while start < len(found):
        stop, size = start, 0
        while stop < len(found) and 0 < len(found[stop]) <= BLOCK - size:
            size += len(found[stop])
            stop += 1
        if stop - start < 2:
            out[start] = signature(found[start])
            start += 1
            continue
        edges = np.cumsum([0, *(len(part) for part in found[start : stop - 1])])
        out[start:stop] = np.minimum.reduceat(table_of(np.concatenate(found[start:stop])), edges, axis=1).T
        start = stop
    return out  # (D, H)


def bands(signatures: np.ndarray) -> np.ndarray:
    """One 64-bit key for each band of rows; equal keys put documents into one bucket."""
    rows = signatures.astype(np.uint64).reshape(len(signatures), BANDS, ROWS)
    keys = mix(rows[:, :, 0])
    for row in range(1, ROWS):
        keys = mix(keys + rows[:, :, row])
    return keys  # (D, B)


def candidates(keys: np.ndarray) -> np.ndarray:
    """Pairs of documents (the earlier first) that share a bucket, from one band's keys (D,)."""
    order = np.argsort(keys, kind="stable")
    sorted_keys = keys[order]
    starts = np.flatnonzero(np.r_[True, sorted_keys[1:] != sorted_keys[:-1]])
    sizes = np.diff(np.r_[starts, len(keys)])
    found = [np.empty((0, 2), np.int64)]
    for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True):
        members = order[start : start + size]
        earlier, later = np.triu_indices(size, 1) if size <= MET_AT_MOST else _with_first(size)
        found.append(np.stack([members[earlier], members[later]], axis=1))
    return np.concatenate(found)  # (P, 2)


def _with_first(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Every member of a large bucket with its first ones."""
    earlier, later = np.meshgrid(np.arange(MET_AT_MOST), np.arange(size))
    wanted = earlier < later
    return earlier[wanted], later[wanted]


def alike(signatures: np.ndarray | ChunkedArray, pairs: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """The pairs whose estimated Jaccard reaches the threshold, and the estimates. signatures: (D, H)."""
    estimates = np.empty(len(pairs), np.float32)
    for at in range(0, len(pairs), PAIRS_AT_ONCE):
        part = pairs[at : at + PAIRS_AT_ONCE]
        estimates[at : at + len(part)] = (signatures[part[:, 0]] == signatures[part[:, 1]]).mean(axis=1)
    kept = estimates >= threshold
    return pairs[kept], estimates[kept]  # (P, 2), (P,)


def twins(pairs: np.ndarray, estimates: np.ndarray) -> dict[int, tuple[int, float]]:
    """Document to drop -> (the earlier document that is kept instead, their Jaccard).

    A document is dropped only if a similar one is kept, so chains (a like b, b like c) never drop c for a.
    """
    gone: dict[int, tuple[int, float]] = {}
    for index in np.lexsort((pairs[:, 0], pairs[:, 1])):
        earlier, later = (int(i) for i in pairs[index])
        if earlier not in gone and later not in gone:
            gone[later] = (earlier, float(estimates[index]))
    return gone
