"""The source of a corpus that comes with yaya, and how to tell a corpus that holds nothing else."""

from __future__ import annotations

from collections.abc import Sequence

PRIMER = "primer"  # as `prepare.sources` names it


def is_primer(sources: Sequence[str] | None) -> bool:
    """Whether `prepare.sources` mean the primer alone, which is read where none are named."""
    return not sources or list(sources) == [PRIMER]
