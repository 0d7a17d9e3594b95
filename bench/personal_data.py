"""Recall and precision of masking on the labelled sets, and what is wrong.

python bench/personal_data.py [FILE.jsonl ...]
"""

import json
import sys
from pathlib import Path

from yaya.prepare.clean.personal import bare, personal_in

UNIT = Path(__file__).parents[1] / "tests/unit"
paths = [Path(name) for name in sys.argv[1:]] or sorted(UNIT.glob("personal*.jsonl"))
right = wrong = missed = texts = flawed = 0
for line in (line for path in paths for line in path.read_text("utf-8").splitlines()):
    row = json.loads(line)
    gold = [(kind, bare(kind, value)) for kind, value in row["personal"]]
    left, problems = list(gold), []
    for kind, value in dict.fromkeys((span.kind, span.value) for span in personal_in(row["text"])):
        hits = [g for g in left if g[0] == kind and g[1] in value]
        if hits:
            left.remove(hits[0])
            right += 1
        elif (kind, value) not in gold:
            wrong += 1
            problems.append(f"masked for nothing: {kind} {value}")
    left = [g for g in dict.fromkeys(left) if gold.count(g) == left.count(g)]
    missed += len(left)
    problems += [f"missed: {kind} {value}" for kind, value in left]
    texts += 1
    if problems:
        flawed += 1
        print(f"{row['text']!r}: {'; '.join(problems)}")
recall, precision = right / (right + missed), right / (right + wrong)
print(f"{texts} texts, {flawed} of them wrong: recall {recall:.3f}, precision {precision:.3f} "
      f"({right} right, {wrong} for nothing, {missed} missed)")  # fmt: skip
