"""Every figure in README, CHANGELOG, docs and decisions is measured, in a row of bench/LOG.md, or set, in the source.

A line with figures names where they come from, in a comment or in brackets: `L084` is a row of the log, and
`set: pretrain.save_seconds=30` a default of a recipe or, as `yaya.train.coach.RISE=0.06`, a constant. Each figure of the
line must be a number of those, rounded as the line rounds it; a measured row says with which command it was measured.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from yaya import pipeline

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", ROOT / "CHANGELOG.md"]
PAGES += sorted(path for path in (ROOT / "docs").rglob("*.md"))
NUMBER = r"(?<![\w.,-])(\d[\d,]*(?:\.\d+)?(?:e-?\d+)?)"
UNITS = (
    r"%|percent|points?\b|times\b|[MG]B/s|tokens/s|GFLOP/s|ms\b|us\b|s\b|seconds?\b|minutes?\b|hours?\b|GB\b|MB\b|KB\b"
    r"|bits per byte|nats\b|digits\b|倍|毫秒|秒|分钟|小时|比特|个点|位数字"
)
FIGURE = re.compile(rf"{NUMBER}\s?(?:{UNITS})")
SOURCE = re.compile(r"\bL\d{3}\b|set: ?[\w.]+=[\w.-]+")
COMMAND = re.compile(r"`[^`]*(?:bench/[\w/]+|yaya|make \w+|tests/[\w/]+)[^`]*`")


def log() -> dict[str, list[str]]:
    """Id -> the cells of a row: commit, date, what, seen, decision."""
    rows = [line for line in (ROOT / "bench/LOG.md").read_text("utf-8").splitlines() if re.match(r"\| L\d{3} ", line)]
    cells = [[cell.strip() for cell in row.strip()[1:-1].split("|")] for row in rows]
    assert len({row[0] for row in cells}) == len(cells)
    return {row[0]: row[1:] for row in cells}


def numbers(text: str) -> list[float]:
    return [float(n.replace(",", "")) for n in re.findall(r"\d[\d,]*(?:\.\d+)?(?:e-?\d+)?", text)]


def value_of(name: str) -> Any:
    """The default of a recipe's key, or a constant of a module."""
    stage, _, key = name.partition(".")
    if stage in pipeline.STAGES:
        return getattr(pipeline.STAGES[stage].config(), key)
    module, _, constant = name.rpartition(".")
    return getattr(importlib.import_module(module), constant)


def claims() -> list[tuple[str, str]]:
    """(place, line) of every line outside of code that holds a figure."""
    found = []
    for page in PAGES:
        fenced = False
        for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
            fenced ^= line.lstrip().startswith("```")
            shown = re.sub(r"<!--.*?-->|`[^`]*`", "", line)
            if not fenced and FIGURE.search(shown):
                found.append((f"{page.relative_to(ROOT)}:{number}", line))
    return found


def is_among(figure: str, known: list[float]) -> bool:
    """Whether a number of the source, rounded as the figure is, is the figure; a share may be told in percent, bytes in MB."""
    value = float(figure.replace(",", ""))
    digits = len(figure.partition(".")[2]) if "e" not in figure else 12
    return any(round(scale * n, digits) == value for n in known for scale in (1, 100, 1e-6))


@pytest.mark.parametrize(("place", "line"), claims(), ids=[place for place, _ in claims()])
def test_a_figure_names_where_it_comes_from(place: str, line: str) -> None:
    rows, known = log(), []
    for source in SOURCE.findall(line):
        if source.startswith("L"):
            _, _, what, seen, _ = rows[source]
            assert COMMAND.search(what + seen), f"{source} names no command of the repository"
            known += numbers(what + seen)
        else:
            name, _, value = source[4:].strip().partition("=")
            assert value_of(name) == float(value), name
            known.append(float(value))
    shown = re.sub(r"<!--.*?-->|`[^`]*`|\(L\d{3}[^)]*\)", "", line)
    unknown = [figure for figure in FIGURE.findall(shown) if not is_among(figure, known)]
    assert not unknown, f"{place}: {', '.join(unknown)} stands in no row of the log that the line names"


def test_rows_of_the_log_are_whole() -> None:
    for name, row in log().items():
        assert len(row) == 5 and re.fullmatch(r"[0-9a-f]{7}", row[0]), name
