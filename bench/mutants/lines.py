"""Which tests run which line. Loaded by pytest (`-p lines`), it tells coverage which test or shared fixture is running."""

from __future__ import annotations

import ast
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from changes import ROOT, Change

# Every process reads this at its start (sitecustomize), so that lines run by `python -m yaya` count for the test that began it.
COVERAGE = """[run]
data_file = {data}
source = {source}
parallel = true
sigterm = true
concurrency = thread,multiprocessing
context = ${{MUTANTS_CONTEXT-}}
"""


def switch(context: str) -> str:
    """From here on lines are noted for this test or fixture, those of child processes too."""
    before = os.environ.get("MUTANTS_CONTEXT", "")
    os.environ["MUTANTS_CONTEXT"] = context
    found = sys.modules["coverage"].Coverage.current()
    if found is not None:
        found.switch_context(context)
    return before


def note(**row: Any) -> None:
    with open(os.environ["MUTANTS_NOTES"], "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: Any) -> Iterator[None]:
    before = switch(item.nodeid)
    result = yield
    switch(before)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: Any) -> Iterator[None]:
    """What a shared fixture runs counts for every test that takes it."""
    if fixturedef.scope == "function":
        return (yield)
    name, started = f"fixture {fixturedef.baseid}::{fixturedef.argname}", time.monotonic()
    before = switch(name)
    try:
        return (yield)
    finally:
        switch(before)
        note(fixture=name, seconds=time.monotonic() - started)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Iterator[Any]:
    report = yield
    if call.when == "call":
        found = [d for definitions in item._fixtureinfo.name2fixturedefs.values() for d in definitions]
        shared = [f"fixture {d.baseid}::{d.argname}" for d in found if d.scope != "function"]
        note(test=item.nodeid, passed=report.outcome == "passed", seconds=report.duration, fixtures=shared)
    return report


@dataclass
class Lines:
    """What one run of the tests has shown."""

    tests: dict[str, dict[str, list[str]]]  # file -> line -> tests and shared fixtures that ran it
    seconds: dict[str, float]  # of each test that passed, and of each shared fixture
    fixtures: dict[str, list[str]]  # of each test
    users: dict[str, list[str]] = field(default_factory=dict)  # of each shared fixture

    @classmethod
    def combine(cls, data: Path, root: Path, notes: Path) -> Lines:
        import coverage

        whole = coverage.Coverage(data_file=data / "coverage", config_file=False)
        whole.combine([str(data)])
        found = whole.get_data()
        tests = {
            Path(file).relative_to(root).as_posix(): {
                str(line): [c for c in contexts if c] for line, contexts in found.contexts_by_lineno(file).items()
            }
            for file in found.measured_files()
        }
        out = cls(tests, {}, {})
        for row in map(json.loads, notes.read_text("utf-8").splitlines()):
            if "fixture" in row:
                out.seconds[row["fixture"]] = row["seconds"]
            elif row["passed"]:
                out.seconds[row["test"]], out.fixtures[row["test"]] = row["seconds"], row["fixtures"]
                for fixture in row["fixtures"]:
                    out.users.setdefault(fixture, []).append(row["test"])
        return out

    def likely(self, change: Change) -> list[str]:
        """The tests that run its lines; of what is set outside of functions, those that run lines which use it."""
        places = [(change.file, line) for line in change.lines]
        if change.defines:
            places = [(file, line) for name in change.defines for file, line in users_of(name)]
        contexts = {c for file, line in places for c in self.tests.get(file, {}).get(str(line), ())}
        tests = {test for c in contexts for test in self.users.get(c, [c])}
        return sorted(tests & self.fixtures.keys())

    def affordable(self, tests: Sequence[str], most: float) -> tuple[list[str], float]:
        """(tests in the order in which they are run, their seconds): file by file, the fastest first, as many as fit."""
        files: dict[str, list[str]] = defaultdict(list)
        for test in sorted(tests, key=lambda test: self.seconds[test]):
            files[test.split("::")[0]].append(test)
        ordered = [test for file in sorted(files, key=lambda file: self.cost(files[file])) for test in files[file]]
        while ordered and self.cost(ordered) > most and len(ordered) > 1:
            ordered.pop()
        return ordered, self.cost(ordered)

    def cost(self, tests: Sequence[str]) -> float:
        shared = {fixture for test in tests for fixture in self.fixtures[test]}
        return sum(self.seconds.get(name, 0.0) for name in (*tests, *shared))


def users_of(name: str) -> Iterator[tuple[str, int]]:
    """(file, line) of every use of a name in the source; of a function, the lines of its body."""
    for file in sorted((ROOT / "src/yaya").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_bytes())):
            place = file.relative_to(ROOT).as_posix()
            if name in (getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "arg", None)):
                yield place, node.lineno  # type: ignore[attr-defined]
            elif isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
                yield from ((place, line) for line in range(node.body[0].lineno, (node.end_lineno or 0) + 1))
