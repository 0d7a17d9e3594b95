"""Throughput of prepare, whole and filter by filter, and its peak memory.

python bench/prepare_speed.py OUT_FOLDER SOURCE... [preset=web] [workers=2] [key=value ...]
python bench/prepare_speed.py OUT_FOLDER --grow SOURCE.jsonl [key=value ...]   100 MB against 1 GB: repeats with edits
"""

import json
import random
import resource
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from yaya.core.artifact import Draft
from yaya.core.config import build
from yaya.core.recipe import parse_assignment, set_dotted
from yaya.core.stage import RunContext
from yaya.prepare import corpus
from yaya.prepare.settings import PrepareConfig, resolved


class Memory(threading.Thread):
    """The largest sum of what this process and its children have in memory (their own part of it), in bytes."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0

    def run(self) -> None:
        me = psutil.Process()
        while True:
            total = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    total += process.memory_full_info().uss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, total)
            time.sleep(0.1)


def measure(out: Path, values: dict) -> None:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    config = resolved(build(PrepareConfig, values, "prepare"))
    memory = Memory()
    memory.start()
    draft = Draft(out, "prepare")
    started = time.perf_counter()
    corpus.run(config, {}, draft, RunContext(out, 0, None))
    seconds = time.perf_counter() - started
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in used)
    size = draft.metrics["bytes"]
    records = {k: v for k, v in draft.metrics["records"].items() if k != "dropped"}
    print(f"{size['in'] / 1e6:.1f} MB in, {size['out'] / 1e6:.1f} MB out, {seconds:.1f} s, {cpu:.1f} s of CPU: "
          f"{size['in'] / 1e6 / cpu:.2f} MB/s in and {size['out'] / 1e6 / cpu:.2f} out per core, peak memory {memory.peak / 1e6:.0f} MB; {records}")  # fmt: skip
    for name, account in draft.metrics["filters"].items():
        if account["seconds"]:
            rate = account["bytes_in"] / 1e6 / account["seconds"]
            print(f"  {name:18} {rate:8.1f} MB/s  {account['changed']:7,} changed  {account['dropped']:7,} dropped")


def grown(source: Path, target: Path, size: int) -> None:
    """The documents of a JSONL file over and over, each time with other words in some places."""
    chance = random.Random(1)
    texts = [json.loads(line)["text"] for line in source.read_text("utf-8").split("\n") if line]
    with target.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            words = chance.choice(texts).split(" ")
            for _ in range(len(words) // 20):
                words[chance.randrange(len(words))] = f"w{chance.randrange(10**6)}"
            file.write(json.dumps({"text": " ".join(words)}, ensure_ascii=False) + "\n")


def main() -> None:
    out, rest = Path(sys.argv[1]), sys.argv[2:]
    values: dict = {}
    for name, value in (parse_assignment(word) for word in rest if "=" in word):
        set_dotted(values, name, value)
    sources = [word for word in rest if "=" not in word and word != "--grow"]
    if "--grow" not in rest:
        measure(out, values | {"sources": sources})
        return
    for size in (100_000_000, 1_000_000_000):
        path = out.parent / f"grown-{size}.jsonl"
        if not path.exists():
            grown(Path(sources[0]), path, size)
        keys = [word for word in rest if "=" in word]
        subprocess.run([sys.executable, __file__, str(out), str(path), *keys], check=True)


if __name__ == "__main__":
    main()
