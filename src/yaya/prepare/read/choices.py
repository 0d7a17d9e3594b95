"""Records with several numbered replies and a key for the best one: `response_0`, `response_1`, `better_response_id`.

The best one is named by its number or letter, by its key, or by the highest score. A draw teaches nothing, nor do
replies where nothing says which is better.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache
from typing import Any

from yaya.prepare.document import Unusable
from yaya.prepare.read.marks import is_bad, is_short, shown

REPLY = r"(?:ai_|model_)?(?:answer|output|resp|response|reply|completion|generation|solution|messages|conversation)"
NUMBERED = re.compile(rf"({REPLY})_?([0-9]|[a-d])")
WHICH = rf"(?:_(?:{REPLY}|model))?(?:_(?:id|idx|index|number))?"
# Keys that name the best one, the surest first: in PKU-SafeRLHF the better one may not be the safer.
VERDICTS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:better|best|chosen|preferred|winning|selected){WHICH}|winner|preference|choice",
        rf"safer{WHICH}",
    )
)
RANK = ("rank", "ranking")  # the lowest is the best
SCORE = (
    "score", "pm_score", "overall_score", "fine_grained_score", "rating", "reward", "upvotes", "votes", "likes",
)  # fmt: skip
WORTH = re.compile(rf"({'|'.join((*RANK, *SCORE))}|winner(?:_model)?)_?([0-9]|[a-d])")
LONGEST_NUMBER = 40  # characters
OF_ONE = re.compile(rf"_({REPLY}_?(?:[0-9]|[a-d]))(?=_)")  # is_response_0_safe


def is_of_a_choice(name: str) -> bool:
    """Whether a key belongs to such a record."""
    found = (NUMBERED, WORTH, *VERDICTS)
    return any(pattern.fullmatch(name) for pattern in found) or OF_ONE.search(name) is not None


@lru_cache(maxsize=256)
def numbered(keys: tuple[str, ...]) -> dict[str, str]:
    """`{"0": "response_0", "1": "response_1"}`: number or letter -> key of a reply; empty unless there are several."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for key in keys:
        if reply := NUMBERED.fullmatch(key):
            found[reply[1]][reply[2]] = key
    return next((replies for replies in found.values() if len(replies) > 1), {})


def chosen_of(record: dict[str, Any]) -> tuple[str, str] | None:
    """The keys of the best reply and of another one; None where the record does not say."""
    replies = numbered(tuple(record))
    end = verdict(record, replies) or highest(record, replies) if replies else None
    if end is None:
        return None
    return replies[end], next(key for other, key in replies.items() if other != end)


def verdict(record: dict[str, Any], replies: dict[str, str]) -> str | None:
    """The number or letter of the reply that the record names as the best, else None."""
    for pattern in VERDICTS:
        for key, value in record.items():
            if pattern.fullmatch(key) and (end := named(value, replies)):
                return end
    return None


def named(value: Any, replies: dict[str, str]) -> str | None:
    """The number or letter in `1`, `"B"`, `"model_b"` or `"response_1"`; None where no reply has it."""
    number = None if isinstance(value, bool) else number_of(value)
    word = str(int(number)) if number == int(number or 0) else value if is_short(value) else ""
    word = word.strip().lower().replace(" ", "_")
    found = re.fullmatch(rf"(?:{REPLY}|model|assistant)?_?([0-9]|[a-d])", word)
    return found[1] if found and found[1] in replies else None


def place_of_best(record: dict[str, Any], name: str, answers: list[Any]) -> int | None:
    """The index of the best of a list of answers, from `best_response_index` or the like; None without such a key.

    Unusable where the key names none of the answers.
    """
    for pattern in VERDICTS:
        for key in [key for key in record if pattern.fullmatch(key) and key != name]:
            number = number_of(record[key])
            if number is not None and number in range(len(answers)) and key.endswith(("_id", "_idx", "_index")):
                return int(number)
            raise Unusable(
                "no choice",
                f"{key} is {shown(record[key])}, which names none of the {len(answers)} in {name}",
                f"{key} 是 {shown(record[key])}，没有指明 {name} 的 {len(answers)} 个里哪个更好",
            )
    return None


def number_of(value: Any) -> float | None:
    """A number, perhaps written in a table's cell; None for anything else."""
    if not isinstance(value, int | float) and not (isinstance(value, str) and len(value) <= LONGEST_NUMBER):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None


def highest(record: dict[str, Any], replies: dict[str, str]) -> str | None:
    """The reply with the highest score or lowest rank; None unless all have one and the best is alone."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for key, value in record.items():
        worth = WORTH.fullmatch(key)
        number = number_of(value) if worth else None
        if worth and number is not None and worth[2] in replies:
            found[worth[1]][worth[2]] = -number if worth[1] in RANK else number
    for numbers in found.values():
        best = max(numbers, key=lambda end: numbers[end])
        if len(numbers) == len(replies) and list(numbers.values()).count(numbers[best]) == 1:
            return best
    return None


def refuse_bad(record: dict[str, Any], reply: str) -> None:
    """Unusable where the record says that this reply is bad, even if it is the better one."""
    for key, value in record.items():
        found = OF_ONE.search(key)
        if found and found[1] == reply and is_bad(OF_ONE.sub("", key), value):
            says = f"{key} is {shown(value)}", f"{key} 是 {shown(value)}"
            raise Unusable("marked as bad", f"{says[0]}, so it is marked as bad", f"{says[1]}，标为不好")


def no_choice(replies: dict[str, str]) -> Unusable:
    """The problem of replies of which none is named as the best."""
    names = tuple(replies.values())
    return Unusable(
        "no choice", f"nothing says which is better: {', '.join(names)}", f"没有说明哪个更好：{'、'.join(names)}"
    )
