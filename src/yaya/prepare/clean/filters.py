"""FILTERS: what happens to a document between reading and deduplication, in order. A key turns each on or off.

A filter takes the texts of one document (one, or one per message) and returns new texts, or the reason to drop it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from yaya.prepare.clean import chinese, quality, text
from yaya.prepare.clean.personal import Masker
from yaya.prepare.clean.quality import Reading
from yaya.prepare.document import Document
from yaya.prepare.ledger import Account

if TYPE_CHECKING:
    from yaya.prepare.settings import PrepareConfig


Texts = list[Reading]
Filter = Callable[[Texts, Document], list[str] | str | None]  # new texts; why to drop it; None: nothing to do


def each(function: Callable[[str], str]) -> Filter:
    """A filter that changes each text on its own."""
    return lambda texts, document: [function(reading.text) for reading in texts]


def together(function: Callable[[list[str]], list[str]]) -> Filter:
    """A filter that changes all texts of a document together."""
    return lambda texts, document: function([reading.text for reading in texts])


def rule(function: Callable[[Reading], str | None]) -> Filter:
    """A filter that drops texts for the reason that `function` returns; conversations pass."""
    return lambda texts, document: function(texts[0]) if document.messages is None else None


def empty(texts: Texts, document: Document) -> str | None:
    """Drops texts without a visible character, and conversations with an empty message. None where there is neither."""
    if any(not reading.text or reading.text.isspace() for reading in texts):
        return "nothing to see" if document.messages is None else "an empty message"
    return None


def sentences_only(texts: Texts, document: Document) -> list[str] | None:
    """Keeps the lines that C4 would keep; None for conversations."""
    return [quality.c4_lines(texts[0])] if document.messages is None else None


def personal(allowed: list[str]) -> Filter:
    """Masks personal data with placeholders, numbered throughout the document."""
    stay = frozenset(allowed)
    return together(lambda texts: list(map(Masker(stay).mask, texts)))


def blocklist(words: list[str]) -> Filter:
    """Drops documents that contain one of the words; only whole words count where words are spaced."""
    parts = [re.escape(w) if quality.HAN.search(w) else rf"(?<!\w){re.escape(w)}(?!\w)" for w in sorted(set(words))]
    pattern = re.compile("|".join(parts) or r"(?!)", re.IGNORECASE)

    def judge(texts: Texts, document: Document) -> str | None:
        return "a word of the blocklist" if any(pattern.search(reading.text) for reading in texts) else None

    return judge


def languages(names: list[str]) -> Filter:
    """Drops documents in other languages; those whose language is unclear stay. UserError for an unknown language."""
    from yaya.prepare.clean.language import languages_of, wanted_codes

    wanted = wanted_codes(names)

    def judge(texts: Texts, document: Document) -> str | None:
        found = languages_of("\n".join(reading.text for reading in texts))
        return f"language {found[0]}" if found and not wanted & set(found) else None

    return judge


def active(config: PrepareConfig) -> dict[str, Filter]:
    """The filters that a resolved config asks for, in order."""
    c = config
    forms: dict[str, Callable[[str], str]] = {
        "NFC": text.normalize_unicode,
        "NFKC": partial(text.normalize_unicode, form="NFKC"),
    }
    emoji = {"remove": text.remove_emoji, "name": text.name_emoji}
    table: list[tuple[str, bool, Callable[[], Filter]]] = [
        ("unicode", bool(c.fix_unicode), lambda: each(text.fix_unicode)),
        ("line_ends", bool(c.unify_line_ends), lambda: each(text.unify_line_ends)),
        ("zero_width", bool(c.remove_zero_width), lambda: each(text.remove_zero_width)),
        ("control", bool(c.remove_control), lambda: each(text.remove_control)),
        ("emoji", c.emoji in emoji, lambda: each(emoji[c.emoji])),
        ("normal_form", c.normal_form in forms, lambda: each(forms[str(c.normal_form)])),
        ("chinese", c.chinese != "keep", lambda: together(chinese.converter(c.chinese))),
        ("urls", c.urls == "remove", lambda: each(text.remove_urls)),
        ("whitespace", bool(c.tidy_whitespace), lambda: each(text.tidy_space)),
        ("empty", True, lambda: empty),
        ("languages", bool(c.languages), lambda: languages(c.languages)),
        ("blocklist", bool(c.blocklist), lambda: blocklist(c.blocklist)),
        ("gopher_quality", bool(c.gopher_quality), lambda: rule(quality.gopher_quality)),
        ("gopher_repetition", bool(c.gopher_repetition), lambda: rule(quality.gopher_repetition)),
        ("c4_lines", bool(c.c4_lines), lambda: sentences_only),
        ("c4_quality", bool(c.c4_quality), lambda: rule(quality.c4_quality)),
        ("fineweb_quality", bool(c.fineweb_quality), lambda: rule(quality.fineweb_quality)),
        ("personal", bool(c.mask_personal), lambda: personal(c.allow)),
    ]
    return {name: make() for name, on, make in table if on}


@dataclass
class Outcome:
    """A document after the filters: its texts, what changed it, and which filter dropped it and why."""

    readings: Texts
    dropped_by: str = ""
    reason: str = ""
    changes: dict[str, tuple[str, str]] = field(default_factory=dict)  # filter -> the first text that it changed

    @property
    def texts(self) -> list[str]:
        return [reading.text for reading in self.readings]


class Cleaner:
    """Applies filters in order and keeps their accounts."""

    def __init__(self, filters: dict[str, Filter]):
        self.filters = filters
        self.accounts = {name: Account() for name in filters}

    def clean(self, document: Document) -> Outcome:
        """One document through all filters."""
        texts = [Reading(text) for text in document.texts]
        size = document.size
        outcome = Outcome(texts)
        now = time.perf_counter()
        for name, run in self.filters.items():
            account = self.accounts[name]
            account.documents_in += 1
            account.bytes_in += size
            result = run(texts, document)
            started, now = now, time.perf_counter()
            account.seconds += now - started
            if isinstance(result, str):
                account.dropped += 1
                account.removed += size
                outcome.dropped_by, outcome.reason = name, result
                break
            for at, new in enumerate(result or ()):
                old = texts[at].text
                if new is not old and new != old:
                    outcome.changes.setdefault(name, (old, new))
                    grown = len(new.encode()) - len(old.encode())
                    account.added += max(0, grown)
                    account.removed += max(0, -grown)
                    size += grown
                    texts[at] = Reading(new)
            account.changed += name in outcome.changes
            account.bytes_out += size
        return outcome
