"""Repetitive replies, which small or badly sampled models fall into."""

from __future__ import annotations

from collections.abc import Sequence

LOOP_UNIT, LOOP_TIMES = 16, 4


def loops(ids: Sequence[int]) -> bool:
    """Whether a reply is repetitive: a unit of up to 16 tokens occurs 4 times in a row, over at least 8 tokens."""
    for unit in range(1, LOOP_UNIT + 1):
        run = 0
        for i in range(unit, len(ids)):
            run = run + 1 if ids[i] == ids[i - unit] else 0
            if run >= max(unit * (LOOP_TIMES - 1), 8 - unit):
                return True
    return False
