"""Replies that go round in circles: what a small or badly sampled model falls into."""

from __future__ import annotations

from collections.abc import Sequence

LOOP_UNIT, LOOP_TIMES = 16, 4


def loops(ids: Sequence[int]) -> bool:
    """Whether a reply goes round in circles: some unit of up to 16 tokens stands 4 times in a row, 8 tokens or more."""
    for unit in range(1, LOOP_UNIT + 1):
        run = 0
        for i in range(unit, len(ids)):
            run = run + 1 if ids[i] == ids[i - unit] else 0
            if run >= max(unit * (LOOP_TIMES - 1), 8 - unit):
                return True
    return False
