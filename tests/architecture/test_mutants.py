"""The changes that `bench/mutants` makes on purpose still fit the source, and the tests that should notice are there."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = tomllib.loads((ROOT / "bench/mutants/named.toml").read_text("utf-8"))["mutant"]


def test_named_changes_fit_the_source() -> None:
    assert [m["name"] for m in NAMED if (ROOT / m["file"]).read_text("utf-8").count(m["old"]) != 1] == []
    assert [m["name"] for m in NAMED if m["old"] == m["new"]] == []


def test_their_tests_are_there() -> None:
    assert [m["name"] for m in NAMED for test in m["tests"] if not (ROOT / test.split("::")[0]).exists()] == []
