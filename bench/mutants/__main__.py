"""Do the tests notice? The source is changed on purpose, one change at a time, in a copy; some test must then fail.

python bench/mutants named [NAME ...]          the changes of named.toml, each with the tests that should notice it
python bench/mutants map OUT [TEST ...]        runs the tests once, unchanged, and notes which of them run which line
python bench/mutants draw OUT NUMBER [SEED]    so many changes drawn from ROOMS, each tried on the tests that run its line;
                                               OUT/log.jsonl holds them, and a second start goes on where it stopped

A change whose line no test runs has survived; one that takes too long is caught. Needs `pip install coverage`.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from changes import ROOT, Change, draw
from lines import COVERAGE, Lines

ROOMS = ("tokenize", "prepare/clean", "model", "train", "inference", "core/artifact.py")
AT_ONCE = 2  # changes tried at the same time
SECONDS = 300.0  # of tests for one change; a longer list is cut, and the log says so
MEMORY_BYTES = 10 << 30  # of address space, for each process; what needs more fails in the map, and is not counted on
NOT_COPIED = (".git", ".venv", "runs", "build", "dist", "__pycache__", ".*_cache", ".hypothesis")
Attempt = tuple[Change, Sequence[str], float]  # a change, the tests in their order, how many seconds they may take


def limit_memory() -> None:
    """A loop without end must not take the machine with it."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


class Copy:
    """A copy of the checkout; one change at a time is made in it."""

    def __init__(self, folder: Path):
        self.folder, self.temporary = folder, folder.with_name(f"{folder.name}-tmp")
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_COPIED), symlinks=True)

    def run(self, tests: Sequence[str], seconds: float, *options: str, **env: str) -> tuple[int | None, str]:
        """(pytest's exit status, or None when the time was over; the first test that failed)."""
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.temporary.mkdir()
        paths = os.pathsep.join([str(self.folder / "src"), *filter(None, [env.pop("PYTHONPATH", "")])])
        env = {**os.environ, "TMPDIR": str(self.temporary), "PYTHONPATH": paths, **env}
        command = [sys.executable, "-m", "pytest", "-q", "-rfE", "-p", "no:cacheprovider", *options, *tests]
        with open(self.temporary / "out.txt", "w+", encoding="utf-8", errors="replace") as out:
            about: dict[str, Any] = {"cwd": self.folder, "env": env, "stdout": out, "stderr": out}
            process = subprocess.Popen(command, **about, start_new_session=True, preexec_fn=limit_memory)
            try:
                status: int | None = process.wait(seconds)
            except subprocess.TimeoutExpired:
                status = None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with what its tests have left
            process.wait()
            out.seek(0)
            said = out.read()
        failed = re.search(r"^(?:FAILED|ERROR) (tests/.*?)(?: - .*)?$", said, re.MULTILINE)
        return status, failed[1] if failed else f"exit status {status}: {said[-300:]}"

    def attempt(self, change: Change, tests: Sequence[str], seconds: float) -> dict[str, Any]:
        """What became of it: caught, survived, or broken (the tests could not be run)."""
        path, started = self.folder / change.file, time.monotonic()
        source, before = path.read_bytes(), path.stat()
        path.write_bytes(change.apply(source))
        os.utime(path, (0, random.SystemRandom().randrange(10**9)))  # Python knows compiled files by their time
        status, by = self.run(tests, seconds, "-x") if tests else (0, "")
        path.write_bytes(source)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        result = "survived" if status == 0 else "broken" if status in (4, 5) else "caught"
        by = "the time was over" if status is None else "" if status == 0 else by
        return {"result": result, "by": by, "seconds": round(time.monotonic() - started, 1)}


def try_all(todo: Sequence[Attempt], tell: Callable[[Attempt, dict[str, Any]], None]) -> None:
    """Makes attempts, AT_ONCE at a time."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for n in range(AT_ONCE):
            copies.put(Copy(Path(folder) / f"copy{n}"))

        def attempt(item: Attempt) -> None:
            here = copies.get()
            try:
                tell(item, here.attempt(*item))
            finally:
                copies.put(here)

        list(pool.map(attempt, todo))


def try_named(wanted: Sequence[str]) -> None:
    table = tomllib.loads((Path(__file__).with_name("named.toml")).read_text("utf-8"))["mutant"]
    table = [m for m in table if not wanted or m["name"] in wanted]
    results: Counter[str] = Counter()

    def tell(item: Attempt, outcome: dict[str, Any]) -> None:
        results[outcome["result"]] += 1
        print(f"{outcome['result']:9} {item[0].name}, {outcome['seconds']:.0f} s {outcome['by']}", flush=True)

    nothing = Change("nothing is changed", "README.md", 0, b"", b"")
    try_all([(nothing, sorted({test for m in table for test in m["tests"]}), 3600.0)], tell)
    if results["caught"]:
        sys.exit("The tests fail though nothing is changed: they would catch anything.")
    todo: list[Attempt] = []
    for m in table:
        source, old = (ROOT / m["file"]).read_bytes(), m["old"].encode()
        if source.count(old) == 1:
            change = Change(f"{m['name']}: {m['breaks']}", m["file"], source.index(old), old, m["new"].encode())
            todo.append((change, m["tests"], 1200.0))
        else:
            print(f"broken    {m['name']}: its text stands {source.count(old)} times in {m['file']}")
    try_all(todo, tell)
    print(f"{results['caught']} of {len(table)} caught")


def make_map(out: Path, tests: Sequence[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        here = Copy(Path(folder) / "copy")
        notes, data = out / "notes.jsonl", Path(folder) / "data"
        notes.unlink(missing_ok=True)
        data.mkdir()
        (data / "rc").write_text(COVERAGE.format(data=data / "coverage", source=here.folder / "src/yaya"))
        (data / "sitecustomize.py").write_text("import coverage\ncoverage.process_startup()\n")
        own = {"PYTHONPATH": f"{data}{os.pathsep}{Path(__file__).parent}", "COVERAGE_PROCESS_START": str(data / "rc")}
        status, failed = here.run(tests, 6 * 3600, "-p", "lines", MUTANTS_NOTES=str(notes), **own)
        lines = Lines.combine(data, here.folder, notes)
    (out / "map.json").write_text(json.dumps(asdict(lines)))
    print(f"{len(lines.seconds)} tests passed, which run lines of {len(lines.tests)} files", failed if status else "")


def try_drawn(out: Path, number: int, seed: int) -> None:
    lines = Lines(**json.loads((out / "map.json").read_text()))
    log = out / "log.jsonl"
    known = [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.exists() else []
    todo: list[Attempt] = []
    cut: dict[str, int] = {}
    for change in draw(ROOMS, number, seed):
        if change.name not in {row["name"] for row in known}:
            tests = lines.likely(change)
            chosen, cost = lines.affordable(tests, SECONDS)
            cut[change.name] = len(tests) - len(chosen)
            todo.append((change, chosen, 60 + 5 * cost))

    def tell(item: Attempt, outcome: dict[str, Any]) -> None:
        change, tests, _ = item
        row = {
            "name": change.name,
            **outcome,
            "tests": len(tests),
            "tests_left_out": cut[change.name],
            "diff": change.diff(),
        }
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        known.append(row)
        print(
            f"{len(known)}: {outcome['result']} {change.name}, {outcome['seconds']:.0f} s {outcome['by'][:100]}",
            flush=True,
        )

    try_all(todo, tell)
    for row in known:
        if row["result"] != "caught":
            why = (
                "no test runs this line"
                if not row["tests"]
                else f"{row['tests']} tests, {row['tests_left_out']} left out"
            )
            print(f"\n{row['result']}: {row['name']} ({why})\n{row['diff']}")
    print(f"\n{sum(row['result'] == 'caught' for row in known)} of {len(known)} caught")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["named", *names]:
            try_named(names)
        case ["map", folder, *arguments]:
            make_map(Path(folder), arguments)
        case ["draw", folder, count, *rest]:
            try_drawn(Path(folder), int(count), int(rest[0]) if rest else 0)
        case _:
            sys.exit(__doc__)
