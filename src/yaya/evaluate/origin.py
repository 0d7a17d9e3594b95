"""Where a model comes from: its inputs, looked up from its own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from yaya.core.artifact import MANIFEST, with_digest
from yaya.core.files import read_json


def reads_only_texts(model: Path) -> bool:
    """Whether the model was trained on plain text only, so that it continues a text rather than replies."""
    return read_json(model / MANIFEST).get("kind") == "pretrain" and table(model, "config").get("chat_fraction") == 0


def corpus_of(model: Path) -> Path | None:
    """The folder of the corpus that a model was trained on."""
    tokens = parent(model.resolve(), "tokenize")
    return tokens and parent(tokens, "prepare")


def parent(folder: Path, stage: str) -> Path | None:
    """What a result was made from: in its own run, else in another (from=); else what is there now, remade since."""
    wanted = table(folder, "parents").get(stage)
    if not wanted:
        return None
    beside = folder.parent / stage
    runs = [place.parent for place in (beside, *sorted(folder.parent.parent.glob(f"*/{stage}")))]
    return next(with_digest(runs, [stage], [wanted]), beside if beside.is_dir() else None)


def table(folder: Path, name: str) -> dict[str, Any]:
    """A table of a folder's manifest; empty if unreadable."""
    found = read_json(folder / MANIFEST).get(name)
    return found if isinstance(found, dict) else {}
