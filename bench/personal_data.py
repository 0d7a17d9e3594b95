"""Recall and precision of masking on the labelled set of 400 texts, and what is wrong.

python bench/personal_data.py [tests/unit/personal.jsonl]
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from re import Match, Pattern

from yaya.prepare.clean.personal import Masker, bare


class Noting(Masker):
    """Notes what it masks."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def replace(self, pattern: Pattern[str], kind: str, text: str, holds: Callable[[Match[str]], bool]) -> str:
        self.found += [(kind, match[0]) for match in pattern.finditer(text) if holds(match)]
        return super().replace(pattern, kind, text, holds)


path = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1] / "tests/unit/personal.jsonl")
right = wrong = missed = 0
for line in path.read_text("utf-8").splitlines():
    row = json.loads(line)
    noting = Noting()
    noting.mask(row["text"])
    gold = [(kind, bare(value)) for kind, value in row["personal"]]
    left, problems = list(gold), []
    for kind, value in dict.fromkeys((kind, bare(value)) for kind, value in noting.found):
        hit = next((g for g in left if g[0] == kind and (g[1] in value or value in g[1])), None)
        if hit:
            left.remove(hit)
            right += 1
        elif not any(g[0] == kind and (g[1] in value or value in g[1]) for g in gold):
            wrong += 1
            problems.append(f"masked for nothing: {kind} {value}")
    missed += len(left)
    problems += [f"missed: {kind} {value}" for kind, value in left]
    if problems:
        print(f"{row['text']!r}: {'; '.join(problems)}")
print(
    f"recall {right / (right + missed):.3f}, precision {right / (right + wrong):.3f} ({right} right, {wrong} wrong, {missed} missed)"
)
