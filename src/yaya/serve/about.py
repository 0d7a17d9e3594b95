"""What the chat page knows about its model: suggested questions, and whether it can answer at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yaya.core.han import language_of
from yaya.core.messages import visible, width
from yaya.core.source_names import PRIMER, is_primer
from yaya.evaluate.origin import corpus_of, reads_only_texts, table
from yaya.evaluate.sample_texts import read_rows
from yaya.prepare.clean.personal import mask_personal
from yaya.tokenize.shards import corpus_files

SHOWN = 3  # questions in each language
WIDEST = 60  # columns of a question
FILES = 40  # of the held-out data, evenly spaced: each language may have its own files
OF_PRIMER = {
    "en": ["Who are you?", "What is 3 plus 4?", "What does Lily like to eat?"],
    "zh": ["你是谁？", "3 加 4 等于几？", "莉莉喜欢吃什么？"],
}
MASKED = re.compile(r"\[[A-Z]+_\d+\]")


@dataclass(frozen=True)
class About:
    """starters: questions that the model should be able to answer, for readers of each language."""

    starters: dict[str, list[str]] = field(default_factory=lambda: {"en": [], "zh": []})
    only_texts: bool = False


def about(model: Path) -> About:
    """What a model's folder says about it. If its data is not found, no questions are suggested."""
    if reads_only_texts(model):
        return About(only_texts=True)
    corpus = corpus_of(model)
    if corpus is None:
        return About()
    config = table(corpus, "config")
    if not config:
        return About()
    sources = config.get("sources") or [PRIMER]
    files = [] if is_primer(sources) else corpus_files(corpus, "validation")
    rows = [row for path in files[:: 1 + len(files) // FILES] for row in read_rows(path)]
    return About(pick_starters([row for row in rows if row.get("source") != PRIMER], PRIMER in sources))


def pick_starters(rows: Sequence[dict[str, Any]], with_primer: bool) -> dict[str, list[str]]:
    """First questions of held-out conversations, then the primer's; in the other language if there are none."""
    talks = [row["messages"] for row in rows if row.get("messages")]
    asked = dict.fromkeys(mask_personal(talk[0]["content"].strip()) for talk in talks if talk[0]["role"] == "user")
    usable = [text for text in asked if text and width(text) <= WIDEST and "\n" not in text and visible(text) == text]
    usable.sort(key=lambda text: (bool(MASKED.search(text)), not text.endswith(("?", "？"))))  # else in their order
    found: dict[str, list[str]] = {"en": [], "zh": []}
    for text in usable:
        found[language_of(text)].append(text)
    if with_primer:
        found = {language: own + OF_PRIMER[language] for language, own in found.items()}
    found = {"en": found["en"] or found["zh"], "zh": found["zh"] or found["en"]}
    return {language: texts[:SHOWN] for language, texts in found.items()}
