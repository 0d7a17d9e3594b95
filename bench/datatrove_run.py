"""datatrove's Gopher, C4 and MinHash over a JSONL file with two workers: time, and which documents each step drops.

In an environment of its own (pip install "datatrove[processing]" spacy):
python bench/datatrove_run.py DOCUMENTS.jsonl OUT_FOLDER
"""

import json
import shutil
import sys
import time
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter
from datatrove.pipeline.filters import C4QualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig

WORKERS = 2
source, out = Path(sys.argv[1]), Path(sys.argv[2])


def dropped(name: str) -> JsonlWriter:
    return JsonlWriter(str(out / "dropped" / name), compression=None)


def run(pipeline: list, tasks: int, name: str) -> None:
    LocalPipelineExecutor(
        pipeline, tasks=tasks, workers=min(tasks, WORKERS), logging_dir=str(out / "logs" / name)
    ).run()


def main() -> None:
    shutil.rmtree(out, ignore_errors=True)
    (out / "in").mkdir(parents=True)
    lines = source.read_text("utf-8").split("\n")
    for part in range(WORKERS):  # every second line, so that both workers have as much to do
        (out / "in" / f"{part}.jsonl").write_text("\n".join(lines[part::WORKERS]), "utf-8")
    config = MinhashConfig(hash_config=HashConfig(precision=64), num_buckets=14, hashes_per_bucket=8, n_grams=5)
    started = time.perf_counter()
    run(
        [
            JsonlReader(str(out / "in")),
            GopherRepetitionFilter(exclusion_writer=dropped("gopher_repetition")),
            GopherQualityFilter(exclusion_writer=dropped("gopher_quality")),
            C4QualityFilter(exclusion_writer=dropped("c4_quality"), filter_no_terminal_punct=True),
            JsonlWriter(str(out / "filtered"), compression=None),
        ],
        WORKERS,
        "filter",
    )
    filtered = time.perf_counter()
    reader = [JsonlReader(str(out / "filtered"))]
    run([*reader, MinhashDedupSignature(str(out / "signatures"), config)], WORKERS, "signatures")
    run(
        [MinhashDedupBuckets(str(out / "signatures"), str(out / "buckets"), config=config)],
        config.num_buckets,
        "buckets",
    )
    run([MinhashDedupCluster(str(out / "buckets"), str(out / "remove"), config)], 1, "cluster")
    run(
        [
            *reader,
            MinhashDedupFilter(str(out / "remove"), dropped("minhash")),
            JsonlWriter(str(out / "kept"), compression=None),
        ],
        WORKERS,
        "keep",
    )
    ended = time.perf_counter()
    size = source.stat().st_size / 1e6
    print(f"filters {filtered - started:.1f} s, minhash {ended - filtered:.1f} s, {size / (ended - started):.2f} MB/s")
    found = {}
    for path in sorted((out / "dropped").rglob("*.jsonl")):
        for line in filter(None, path.read_text("utf-8").split("\n")):
            row = json.loads(line)
            found[row["id"]] = f"{path.parent.name}: {row['metadata'].get('filter_reason', '')}"
    (out / "dropped.json").write_text(json.dumps(found, indent=0), "utf-8")


if __name__ == "__main__":
    main()
