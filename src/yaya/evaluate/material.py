"""A run's results as the report reads them: files only, any of which may be missing or damaged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yaya.core.files import read_json
from yaya.core.messages import UserError
from yaya.core.recipe import read_recipe
from yaya.core.source_names import is_primer
from yaya.evaluate import sample_texts
from yaya.evaluate.report_labels import STAGES
from yaya.tokenize.shards import corpus_files
from yaya.tokenize.tokenizer import Tokenizer

COPIES = re.compile(r"train-[a-z]")  # shards of repeated documents or of changed copies


@dataclass
class Material:
    """Everything in a run's folder; missing parts are empty."""

    folder: Path
    scores: dict[str, Any]
    places: Mapping[str, Path] = field(default_factory=dict)  # stages outside the folder
    recipe: dict[str, Any] = field(default_factory=dict)
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokenizer: Tokenizer | None = None
    texts: list[str] = field(default_factory=list)
    chats: dict[str, list[dict[str, str]]] = field(default_factory=dict)  # by language of the reader
    tokens_each: dict[str, float] = field(default_factory=dict)  # by language: for a Chinese character, an English word

    def place(self, stage: str) -> Path:
        return self.places.get(stage, self.folder / stage)

    def metrics(self, stage: str) -> dict[str, Any]:
        return self.manifests.get(stage, {}).get("metrics") or {}

    def config(self, stage: str) -> dict[str, Any]:
        return self.manifests.get(stage, {}).get("config") or {}

    @property
    def last(self) -> str:
        """The last finished training stage."""
        return "finetune" if "finetune" in self.manifests else "pretrain"

    @property
    def is_primer(self) -> bool:
        return "prepare" in self.manifests and is_primer(self.config("prepare").get("sources"))


def read_material(run_folder: Path, scores: dict[str, Any] | None, places: Mapping[str, Path]) -> Material:
    """Reads whatever exists."""
    scores = read_json(run_folder / "evaluate" / "scores.json") if scores is None else scores
    m = Material(run_folder, scores, places)
    with suppress(UserError):
        m.recipe = read_recipe(run_folder / "recipe.toml")
    found = {name: read_json(m.place(name) / "manifest.json") for name in STAGES}
    m.manifests = {name: manifest for name, manifest in found.items() if manifest}
    for place in ("tokenize", "finetune", "pretrain"):
        with suppress(Exception):  # the tokenizers library raises plain Exceptions for a damaged file
            m.tokenizer = m.tokenizer or Tokenizer.load(m.place(place))
    files = [path for path in corpus_files(m.place("prepare"), "train") if not COPIES.match(path.name)]
    rows = [row for path in dict.fromkeys([*files[:2], *files[-2:]]) for row in sample_texts.read_rows(path)]
    m.texts, m.chats = sample_texts.pick_texts(rows), sample_texts.pick_chats(rows)
    m.tokens_each = sample_texts.tokens_each(m.tokenizer, rows) if m.tokenizer else {}
    return m
