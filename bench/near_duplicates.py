"""Recall and precision of near-duplicates on passages with planted edits of known likeness.

python bench/near_duplicates.py FOLDER_EN FOLDER_ZH   (folders of .txt or .md files)
"""

import random
import re
import sys
from pathlib import Path

import numpy as np

from yaya.prepare import near
from yaya.prepare.clean.tokens import tokens_of

PAIRS = 100  # per target and language
TARGETS = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5, 0.4)
THRESHOLD = 0.75
WORD = re.compile("[\u4e00-\u9fff]|[^\\W_\u4e00-\u9fff]+")


def shingles(text: str) -> np.ndarray:
    return near.shingles(tokens_of(text).words)


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Exact, on the shingles themselves."""
    first, second = set(a.tolist()), set(b.tolist())
    return len(first & second) / max(1, len(first | second))


def edited(words: list[str], vocabulary: list[str], target: float, chance: random.Random) -> list[str]:
    """The words with replacements, insertions, deletions and moved sentences until about `target` of the shingles agree."""
    out = list(words)
    original = shingles(" ".join(words))
    while jaccard(original, shingles(" ".join(out))) > target + 0.01:
        at = chance.randrange(len(out))
        kind = chance.random()
        if kind < 0.5:
            out[at] = chance.choice(vocabulary)
        elif kind < 0.7:
            out.insert(at, chance.choice(vocabulary))
        elif kind < 0.9 and len(out) > 20:
            del out[at]
        else:
            start, end = sorted((at, min(len(out), at + 15)))
            piece = out[start:end]
            del out[start:end]
            where = chance.randrange(len(out))
            out[where:where] = piece
    return out


def passages(folder: Path, count: int, chance: random.Random) -> list[list[str]]:
    """Runs of 80 to 800 words (characters in Chinese) from the files of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".txt", ".md"))
    out: list[list[str]] = []
    while len(out) < count:
        words = WORD.findall(chance.choice(files).read_text("utf-8", errors="ignore").lower())
        size = chance.randint(80, 800)
        if len(words) > size:
            at = chance.randrange(len(words) - size)
            out.append(words[at : at + size])
    return out


def main() -> None:
    for name, folder in zip(("en", "zh"), map(Path, sys.argv[1:3]), strict=True):
        chance = random.Random(1)
        originals = passages(folder, PAIRS * len(TARGETS), chance)
        vocabulary = sorted({word for words in originals for word in words})
        texts, truth = [], []
        for number, words in enumerate(originals):
            copy = edited(words, vocabulary, TARGETS[number // PAIRS], chance)
            texts += [" ".join(words), " ".join(copy)]
            truth.append(jaccard(shingles(texts[-2]), shingles(texts[-1])))
        signatures = np.array([near.signature(shingles(text)) for text in texts])
        keys = near.bands(signatures)
        met = np.unique(np.concatenate([near.candidates(keys[:, band]) for band in range(near.BANDS)]), axis=0)
        pairs, _ = near.alike(signatures, met, THRESHOLD)
        found = {(int(a), int(b)) for a, b in pairs}
        planted = {(2 * n, 2 * n + 1): likeness for n, likeness in enumerate(truth)}
        for low, high in ((0.9, 1.0), (0.85, 0.9), (0.8, 0.85), (0.7, 0.8), (0.6, 0.7), (0.5, 0.6), (0.0, 0.5)):
            here = [pair for pair, likeness in planted.items() if low < likeness <= high]
            hits = sum(pair in found for pair in here)
            print(
                f"{name} Jaccard {low:.2f} to {high:.2f}: {hits} of {len(here)} found ({hits / max(1, len(here)):.1%})"
            )
        texts_count = len(texts)
        strange = len(found - planted.keys())
        print(f"{name} unplanted pairs called alike: {strange} of {texts_count * (texts_count - 1) // 2:,}")


main()
