"""The records of a JSON file with one value, or with several in a row; a broken record costs no other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from yaya.prepare.document import Unusable
from yaya.prepare.read.records import contents_of

DECODER = json.JSONDecoder(parse_constant=lambda name: None)  # NaN and Infinity count as absent
SKIPPED = re.compile(r"[\s,]*")
FIRST_KEY = re.compile(r'\{\s*("(?:[^"\\]|\\.)*")\s*:')
LOOKED_AT = 20  # elements of a list that tell whether it holds records
FIRST_LOOK, LONGEST_ESCAPE = 4096, 20  # characters
MOST_TRIED = 20  # times the text's length that may be parsed in vain to find the ends of broken records
AS_DEEP = 100_000  # characters that an attempt counts for if it is nested too deeply
BROKEN = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Value:
    """One value of a file: its first line, and the value or its problem."""

    line: int
    value: Any
    sample: str = ""


def not_json(error: Exception | str, kind: str = "broken record") -> Unusable:
    return Unusable(kind, f"not JSON: {error}", f"不是合法的 JSON：{error}")


def parse(text: str) -> Any:
    """The record of a line, with NaN as null and a comma at the end ignored. Unusable where it is not JSON."""
    text = text.strip().rstrip(",")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if "NaN" not in text and "Infinity" not in text:
            raise not_json(error, "bad json") from None
    try:
        return checked(json.loads(text, parse_constant=lambda name: None))
    except (ValueError, TypeError, RecursionError) as error:
        raise not_json(error, "bad json") from None


def checked(value: Any) -> Any:
    """Returns the value if it can be written as UTF-8; else orjson raises an error."""
    orjson.dumps(value)
    return value


def values(text: str) -> Iterator[Value]:
    """Yields the elements of a list, or the values in a row; a broken one carries its problem."""
    at = SKIPPED.match(text).end()  # type: ignore[union-attr]
    lead = None
    keys: set[str] = set()
    line, counted, in_list = 1, 0, False
    left = MOST_TRIED * len(text)
    while at < len(text):
        if (text[at] == "]" and in_list) or (text[at] == "[" and not in_list):
            in_list = not in_list
            at = SKIPPED.match(text, at + 1).end()  # type: ignore[union-attr]
            continue
        line, counted = line + text.count("\n", counted, at), at
        if lead is None:
            lead = text[len(text[:at].rstrip()) : at]
        if found := FIRST_KEY.match(text, at):
            keys.add(found[1])
        value, end = value_at(text, at, line)
        if end < 0:
            end, left = next_record(text, at, keys, lead, left)
            if end == len(text) and at_the_end(value, text):
                value = Unusable("damaged", "the file ends in the middle of it", "文件在这里中断")
        sample = text[at : at + 300] if isinstance(value, Unusable) else ""
        yield Value(line, value, BROKEN.sub("\ufffd", sample))
        at = SKIPPED.match(text, end).end()  # type: ignore[union-attr]


def decoded_at(text: str, at: int) -> tuple[Any, int]:
    """The value that begins at this place, and its end. JSONDecodeError with the position from there on.

    Parses a part of the text, and a longer one if that is too short: an error counts the lines of all that it is given.
    """
    size = FIRST_LOOK
    while True:
        try:
            value, end = DECODER.raw_decode(text[at : at + size])
            if end < size or at + size >= len(text):
                return value, at + end
        except json.JSONDecodeError as error:
            if at + size >= len(text) or (error.pos < size - LONGEST_ESCAPE and "Unterminated" not in error.msg):
                raise
        size *= 16


def value_at(text: str, at: int, line: int) -> tuple[Any, int]:
    """The value that begins at this place, and its end; or its problem, and -1 where the end is not known."""
    try:
        value, end = decoded_at(text, at)
    except json.JSONDecodeError as error:
        return not_json(f"{error.msg}: line {line + error.lineno - 1} (char {at + error.pos})"), -1
    except (ValueError, RecursionError) as error:
        return not_json(error), -1
    try:
        return checked(value), end
    except (TypeError, RecursionError) as error:
        found = BROKEN.search(text, at, end)
        if found and "\udc80" <= found[0] <= "\udcff":
            byte = f"0x{ord(found[0]) - 0xDC00:02x}"
            return Unusable(
                "bad encoding", f"not UTF-8: it holds the byte {byte}", f"不是 UTF-8 编码：含有字节 {byte}"
            ), end
        return not_json(error), end


def next_record(text: str, at: int, keys: set[str], lead: str, left: int) -> tuple[int, int]:
    """Where the next record begins after a broken one, with a known first key and the first record's indentation.

    left: characters that may be parsed in vain. Returns what is left of them, too.
    """
    for found in FIRST_KEY.finditer(text, at + 1):
        if left < 0:
            break
        place = found.start()
        if found[1] not in keys or ("\n" in lead and indent(text, place) != lead.rpartition("\n")[2]):
            continue
        try:
            decoded_at(text, place)
            return place, left
        except json.JSONDecodeError as error:
            left -= error.pos
        except (ValueError, RecursionError):
            left -= AS_DEEP
    return len(text), left


def indent(text: str, at: int) -> str | None:
    """The white space between the line's beginning and a position; None if there is anything else."""
    start = text.rfind("\n", 0, at) + 1
    return None if text[start:at].strip() else text[start:at]


def at_the_end(problem: Unusable, text: str) -> bool:
    """Whether the JSON is broken because the text ends."""
    found = re.search(r"\(char (\d+)\)", problem.en)
    return "Unterminated" in problem.en or (found is not None and int(found[1]) >= len(text.rstrip()) - 1)


def records_in(value: Any) -> list[tuple[str, Any]]:
    """(name of its list, record): the value itself, or the records in it, by rows or by columns."""
    if not isinstance(value, dict):
        return [("", value)]
    rows = by_columns(value)
    if rows and isinstance(contents_of(rows[0])[0], list):
        return [("", record) for record in rows]  # questions in one list and answers in another
    if is_record(value):
        return [("", value)]
    out = [
        (name, unwrapped(item))
        for name, items in value.items()
        if isinstance(items, list) and any(is_record(unwrapped(item)) for item in items[:LOOKED_AT])
        for item in items
    ]
    if out:
        return out
    values = list(value.values())
    if values and all(isinstance(item, dict) for item in values) and is_record(values[0]):
        return [(name, item) for name, item in value.items()]
    return [("", record) for record in rows] or [("", value)]


def by_columns(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of `{"question": [...], "answer": [...]}`, as pandas and datasets write tables; else empty."""
    columns = {
        name: list(items.values()) if isinstance(items, dict) else items
        for name, items in value.items()
        if isinstance(items, list | dict)
    }
    if len(columns) < len(value) or len({len(items) for items in columns.values()}) != 1:
        return []
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return rows if len(rows) > 1 and is_record(rows[0]) else []


def unwrapped(item: Any) -> Any:
    """The record inside a row from Hugging Face's dataset viewer; other items unchanged."""
    return item["row"] if isinstance(item, dict) and isinstance(item.get("row"), dict) and "row_idx" in item else item


def is_record(value: Any) -> bool:
    """Whether it has a known shape, even if something in it is wrong."""
    return isinstance(value, dict) and any(
        not isinstance(content, Unusable) or content.kind not in ("unknown shape", "wrong type")
        for content in contents_of(value)
    )
