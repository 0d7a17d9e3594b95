"""The same filters by yaya as datatrove_run.py has by datatrove: time, and which documents only one of them drops.

python bench/datatrove_compare.py DOCUMENTS.jsonl OUT_FOLDER DATATROVE_DROPPED.json
"""

import json
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from yaya.core.artifact import Draft
from yaya.core.stage import RunContext
from yaya.prepare import corpus
from yaya.prepare.clean.tokens import tokens_of
from yaya.prepare.settings import PrepareConfig, resolved

ON = ("gopher_repetition", "gopher_quality", "c4_lines", "c4_quality", "near_duplicates")
OFF = ("main_text", "fix_unicode", "unify_line_ends", "remove_zero_width", "remove_control", "tidy_whitespace",
       "fineweb_quality", "mask_personal", "repeated_lines", "deduplicate")  # fmt: skip


def lettered(text: str) -> bool:
    """Whether 80% of words and marks have a letter."""
    tokens = tokens_of(text)
    return bool((tokens.letters > 0).sum() >= 0.8 * len(tokens.letters))


def main() -> None:
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    switches = dict.fromkeys(ON, True) | dict.fromkeys(OFF, False)
    config = resolved(PrepareConfig(sources=[str(source)], normal_form="keep", workers=2, decontaminate=[], **switches))
    started = time.perf_counter()
    corpus.run(config, {}, Draft(out, "prepare"), RunContext(out, 0, None))
    seconds = time.perf_counter() - started
    print(f"{seconds:.1f} s, {source.stat().st_size / 1e6 / seconds:.2f} MB/s")
    ids = [json.loads(line)["id"] for line in source.read_text("utf-8").split("\n") if line]
    ours = {}
    for path in sorted(out.glob("dropped-*.parquet")):
        for row in pq.read_table(path).to_pylist():
            ours[ids[int(row["where"].removeprefix("line ")) - 1]] = row["reason"]
    theirs = json.loads(Path(sys.argv[3]).read_text("utf-8"))
    both = ours.keys() & theirs.keys()
    print(
        f"of {len(ids):,}: both drop {len(both):,}, only yaya {len(ours) - len(both)}, only datatrove {len(theirs) - len(both)}"
    )
    texts = {row["id"]: row["text"] for row in map(json.loads, filter(None, source.read_text("utf-8").split("\n")))}
    marks = sum("alpha" in theirs[id] and not lettered(texts[id]) for id in theirs.keys() - ours.keys())
    print(f"datatrove counts punctuation as words without letters; counted so, yaya drops {marks} more of its own")
    for who, mine, other in (("yaya", ours, theirs), ("datatrove", theirs, ours)):
        only = {id: reason for id, reason in mine.items() if id not in other}
        print(f"only {who}: {dict(Counter(reason.split(' of ')[0].split(' like ')[0] for reason in only.values()))}")
        for id, reason in sorted(only.items()):
            print(f"  {id}: {reason}")


if __name__ == "__main__":
    main()
