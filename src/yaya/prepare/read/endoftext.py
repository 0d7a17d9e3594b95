"""Marks between documents, such as `<|endoftext|>`, in files of stories and in records made for other trainers.

Without them, a thousand stories would be one document, and a model would learn to spell out the mark. A mark that a text
only mentions stays: one divides if it is alone on its line, or between the end of a sentence and the next beginning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

NAMES_END = "end_?of_?(?:text|document|doc|story|sentence)|eo[stdf]|eo[tm]_id|sep|doc_?sep|document_?sep"
NAMES_BEGIN = "(?:start|begin|beginning)_?of_?(?:text|document|doc|story|sentence)|bo[stdf]"
END = rf"<\|(?:{NAMES_END})\|>|<｜end▁of▁sentence｜>|</s>|<eo[sd]>|<end_of_text>|\[(?:EOS|EOD|SEP)\]"
BEGIN = rf"<\|(?:{NAMES_BEGIN})\|>|<｜begin▁of▁sentence｜>|<s>|<bos>|\[BOS\]"
MARK = re.compile(rf"(?:{END}|{BEGIN})(?:\s*(?:{END}|{BEGIN}))*", re.IGNORECASE)  # several in a row count as one
IsCode = Callable[[int], bool]
MARK_ALONE = re.compile(rf"{END}|{BEGIN}", re.IGNORECASE)
HINTS = (re.compile(r"<(?:\||｜|/?s>|eo|bo|end_)", re.I), re.compile(r"\[(?:EO|SEP|BOS)", re.I))  # a quick test
SENTENCE_ENDS = re.compile(r"[.!?…。！？～~][\"'”’」』）)\]]*[ \t]*$")
CAPITAL = re.compile(r"[\"'“‘「『(（]*(?:[^\W\d_a-zß-öø-ÿа-я]|\d)")
LETTER = re.compile(r"[\"'“‘「『(（]*\w")
NEAR = 12  # characters that count on either side


def stories(text: str, at_line: int = 1, is_code: IsCode | None = None) -> Iterator[tuple[int, str]]:
    """Yields (number of its first line, text) of each document; the text unchanged where nothing divides it.

    is_code: whether a position is in code, where marks do not divide.
    """
    cuts = dividing(text, True, is_code)
    if not cuts:
        yield at_line, text
        return
    start = counted = found = 0
    for cut, end in [*cuts, (len(text), len(text))]:
        story = text[start:cut].strip("\r\n \t")
        if story:
            begins = text.index(story, start, cut)
            at_line += text.count("\n", counted, begins)
            counted = begins
            found += 1
            yield at_line, story
        start = end
    if not found:
        yield at_line, ""


def has_marks(text: str) -> bool:
    """Whether there may be any marks: a quick test, since most texts have no such brackets."""
    return ("<" in text and HINTS[0].search(text) is not None) or ("[" in text and HINTS[1].search(text) is not None)


def dividing(text: str, whole: bool, is_code: IsCode | None = None) -> list[tuple[int, int]]:
    """Start and end of each run of marks that divides the text. whole: the text is complete, no more follows.

    Some certainly do; others (one at the very start, or where no sentence ends) only if the text has no mark that it
    merely mentions.
    """
    if not has_marks(text):
        return []
    inner = len(text) - len(text.lstrip()), len(text.rstrip()) if whole else len(text) + 1
    spans: dict[str, list[tuple[int, int]]] = {"certain": [], "first": [], "likely": [], "no": []}
    for found in MARK.finditer(text):
        if is_code is None or not is_code(found.start()):
            spans[judge(text, found, inner)].append(found.span())
    cuts = spans["certain"]
    if not spans["no"]:
        cuts = cuts + spans["first"]
        if len(cuts) + len(spans["likely"]) > 1:
            cuts = cuts + spans["likely"]
    return sorted(cuts)


def judge(text: str, found: re.Match[str], inner: tuple[int, int]) -> str:
    """Whether a run of marks divides two documents: `certain`, `first`, `likely` or `no`.

    inner: start and end of the text without the white space around it.
    """
    start, end = found.span()
    before, after = text[max(0, start - NEAR) : start], text[end : end + NEAR]
    left, right = before.rstrip(" \t"), after.lstrip(" \t")
    begins = (not left and start <= NEAR) or left.endswith(("\n", "\r"))
    ends = (not right and end + NEAR >= len(text)) or right.startswith(("\n", "\r"))
    if begins and ends:
        return "certain"
    if len(MARK_ALONE.findall(found[0])) > 1:
        return "certain"  # an end and a beginning
    if end >= inner[1] and (left or start == 0):
        return "certain"
    if start <= inner[0] and re.match(BEGIN, found[0], re.IGNORECASE):
        return "first"
    attached_after = LETTER.match(after) is not None
    follows = attached_after or (CAPITAL.match(right) is not None and not is_wide(right))
    if SENTENCE_ENDS.search(before) and (ends or follows):
        return "certain"
    word_before = bool(left) and left[-1].isalnum()
    touched = (word_before and left == before and not is_wide(left[-1])) or SENTENCE_ENDS.search(before) is not None
    if (ends and word_before) or (begins and follows) or (touched and attached_after):
        return "likely"
    return "no"


def is_wide(text: str) -> bool:
    """Whether it begins with a character that has no upper and lower case."""
    return bool(text) and text[0].lower() == text[0].upper() and not text[0].isdigit()


def without_marks(message: str) -> str:
    """A message without the mark that other trainers put at its end; a mark that it mentions stays."""
    if not has_marks(message):
        return message
    marks = list(MARK.finditer(message))
    last = marks[-1] if marks else None
    if last is None or message[last.end() :].strip():
        return message
    before = message[: last.start()]
    said = before.rstrip()
    if not said or (before == said and said[-1] in "\"'`“‘「（(:："):
        return message
    return said if before == said or before[len(said)] in "\r\n" or SENTENCE_ENDS.search(said) else message
