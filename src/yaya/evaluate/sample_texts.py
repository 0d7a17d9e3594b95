"""Data shown in the report: sample documents, texts cut into tokens."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from yaya.core.han import BROAD, language_of
from yaya.pages.excerpts import visible
from yaya.tokenize.chat_template import ROLE_CODE, ROLES
from yaya.tokenize.tokenizer import Tokenizer

LONGEST_TALK = 400  # characters of a conversation, if one is that short
ROWS = 300  # documents searched for samples
LOOKED_AT, LONGEST_TEXT = 500, 2000  # documents, and characters of one, for a language's tokens
SOME = 0.02  # of the text, above which the data is said to contain a language
COMMON = frozenset(("the", "of", "and", "to", "is", "in", "you", "it"))
HAN = re.compile(f"[{BROAD}]")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Documents of the first and of the last row group (conversations come last); none if they cannot be read."""
    out: list[dict[str, Any]] = []
    try:
        file = pq.ParquetFile(path)
        for group in dict.fromkeys([0, file.num_row_groups - 1] if file.num_row_groups else []):
            batches = file.iter_batches(ROWS, row_groups=[group], columns=["kind", "text", "messages", "source"])
            for number, batch in enumerate(batches):
                if number == 0 or "chat" in batch.column("kind").to_pylist():
                    out += batch.to_pylist()
                if any(row["messages"] for row in out[-ROWS:]):
                    break
    except (OSError, pa.ArrowException, KeyError):
        pass
    return out


def pick_texts(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A Chinese and an English document, and one more."""
    texts = [row["text"] for row in rows if row.get("text")]
    first = {language: next((t for t in texts if language_of(t) == language), None) for language in ("zh", "en")}
    found = [text for text in first.values() if text]
    return found + [text for text in texts if text not in found][: max(0, 2 - len(found))]


def pick_chats(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, str]]]:
    """For readers of each language a conversation in it, else one in the other; empty if there is none."""
    talks = [row["messages"] for row in rows if row.get("messages")]
    talks = [talk for talk in talks if {"user", "assistant"} <= {turn["role"] for turn in talk} <= ROLE_CODE.keys()]
    found = {}
    for language in ("en", "zh"):
        own = [talk for talk in talks if all(language_of(turn["content"]) == language for turn in talk)]
        talk = nicest(own) or nicest(talks)
        if talk:
            found[language] = talk
    return found


def nicest(talks: Sequence[list[dict[str, str]]]) -> list[dict[str, str]] | None:
    """From the first conversations, one with a few short turns, preferably with a system message."""
    fits = [talk for talk in talks if sum(len(turn["content"]) for turn in talk) <= LONGEST_TALK] or talks[:1]
    return max(fits[:60], key=lambda talk: (len({turn["role"] for turn in talk}), 3 <= len(talk) <= 5), default=None)


def first_sentence(texts: Sequence[str], language: str | None, shortest: int, longest: int) -> str | None:
    """The first complete sentence of that language (or any) and of that length in characters; None if there is none."""
    for text in texts:
        for sentence in re.findall(r"[^\n。！？.!?]+[。！？.!?]?", text[:2000]):
            sentence = sentence.strip()
            if shortest <= len(sentence) <= longest and language in (None, language_of(sentence)):
                return sentence
    return None


def written_in(text: str) -> str | None:
    """`"zh"` if most letters are Chinese characters, `"en"` if the commonest English words appear, else `None`."""
    letters, han = sum(map(str.isalpha, text)), len(HAN.findall(text))
    words = text.lower().split()
    if han > letters / 2:
        return "zh"
    return "en" if not han and sum(word in COMMON for word in words) > len(words) / 20 else None


def tokens_each(tokenizer: Tokenizer, rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Tokens per Chinese character and per English word in the data; without languages that it does not contain."""
    tokens: Counter[str | None] = Counter()
    units: Counter[str | None] = Counter()
    sizes: Counter[str | None] = Counter()
    for row in rows[:: -(-len(rows) // LOOKED_AT)] if rows else ():
        text = row.get("text") or "\n".join(turn["content"] or "" for turn in row.get("messages") or ())
        text = text[:LONGEST_TEXT]
        language = written_in(text)
        sizes[language] += len(text)
        tokens[language] += len(tokenizer.encode(text))
        units[language] += len("".join(text.split())) if language == "zh" else len(text.split())
    least = SOME * sum(sizes.values())
    return {name: tokens[name] / units[name] for name in ("zh", "en") if units[name] and sizes[name] >= least}


@dataclass
class ShownToken:
    """One token as shown: kind is "text", "bytes" (part of a character) or "control"."""

    id: int
    text: str
    kind: str = "text"
    role: int = 0


@dataclass
class TokenGroup:
    """Tokens shown together: one, or several that only together make up the character `whole`."""

    tokens: list[ShownToken]
    whole: str = ""


def shown_tokens(tokenizer: Tokenizer, ids: Sequence[int], roles: Sequence[int] = ()) -> list[TokenGroup]:
    """Tokens in order; those with only part of a character show their bytes and are grouped."""
    names = {index: name for name, index in tokenizer.control.items()}
    groups: list[TokenGroup] = []
    waiting: list[ShownToken] = []
    held = b""

    def flush(whole: str) -> None:
        nonlocal waiting, held
        if waiting:
            groups.append(TokenGroup(waiting, whole))
        waiting, held = [], b""

    for index, role in zip(ids, roles or [0] * len(ids), strict=True):
        data = tokenizer.token_bytes[index]
        if index in names:
            flush("")
            groups.append(TokenGroup([ShownToken(index, names[index], "control", role)]))
            continue
        held += data
        waiting.append(ShownToken(index, data.hex(" ").upper(), "bytes", role))
        try:
            whole = held.decode("utf-8")
        except UnicodeDecodeError as error:
            if "unexpected end" not in error.reason:
                flush("")
            continue
        if len(waiting) == 1:
            waiting[0].text, waiting[0].kind, whole = space_shown(whole), "text", ""
        flush(space_shown(whole))
    flush("")
    return groups


def space_shown(text: str) -> str:
    """The text with visible signs for spaces and line breaks."""
    return visible(text).replace("↵\n", "↵").replace(" ", "·")


def learned_first(tokenizer: Tokenizer, count: int = 24) -> list[str]:
    """The first merged pieces that are whole characters: the most frequent in the text. Role names are left out."""
    texts = (data.decode("utf-8", "replace") for data in tokenizer.token_bytes if len(data) > 1)
    found = (t for t in texts if "\ufffd" not in t and (len(t) < 3 or not any(t in role for role in ROLES)))
    return [space_shown(text) for text in islice(found, count)]
