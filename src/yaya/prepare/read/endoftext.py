"""Marks between documents: `<|endoftext|>` and its like, as files of stories and records made for other trainers hold them.

Read as text, a thousand stories would be one document, and a model would learn to write the mark as words. But a text
may also speak of such a mark: there it stays. What tells: it stands alone on its line, or between the end of one
sentence and the beginning of the next.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

NAMES_END = "end_?of_?(?:text|document|doc|story|sentence)|eo[stdf]|eo[tm]_id|sep|doc_?sep|document_?sep"
NAMES_BEGIN = "(?:start|begin|beginning)_?of_?(?:text|document|doc|story|sentence)|bo[stdf]"
END = rf"<\|(?:{NAMES_END})\|>|<｜end▁of▁sentence｜>|</s>|<eo[sd]>|<end_of_text>|\[(?:EOS|EOD|SEP)\]"
BEGIN = rf"<\|(?:{NAMES_BEGIN})\|>|<｜begin▁of▁sentence｜>|<s>|<bos>|\[BOS\]"
MARK = re.compile(rf"(?:{END}|{BEGIN})(?:\s*(?:{END}|{BEGIN}))*", re.IGNORECASE)  # several in a row are one
IsCode = Callable[[int], bool]
MARK_ALONE = re.compile(rf"{END}|{BEGIN}", re.IGNORECASE)
HINTS = (re.compile(r"<(?:\||｜|/?s>|eo|bo|end_)", re.I), re.compile(r"\[(?:EO|SEP|BOS)", re.I))  # a quick look
SENTENCE_ENDS = re.compile(r"[.!?…。！？～~][\"'”’」』）)\]]*[ \t]*$")
CAPITAL = re.compile(r"[\"'“‘「『(（]*(?:[^\W\d_a-zß-öø-ÿа-я]|\d)")
LETTER = re.compile(r"[\"'“‘「『(（]*\w")
NEAR = 12  # characters looked at on either side


def stories(
    text: str, at_line: int = 1, whole: bool = True, is_code: IsCode | None = None
) -> Iterator[tuple[int, str]]:
    """(number of its first line, text) of each document in the text; the text as it is where nothing divides it.

    whole: it ends where the text ends. is_code: whether a position lies in code, where a mark divides nothing.
    """
    cuts = dividing(text, whole, is_code)
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
    """Whether there may be any. Most texts have no such brackets, which is seen at once."""
    return ("<" in text and HINTS[0].search(text) is not None) or ("[" in text and HINTS[1].search(text) is not None)


def dividing(text: str, whole: bool, is_code: IsCode | None = None) -> list[tuple[int, int]]:
    """Beginning and end of each run of marks that divides the text.

    Some do for certain; others (one that begins the text; some that touch it where no sentence ends) only where the text
    holds none that divides nothing.
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
    """`certain`, `first`, `likely` or `no`: whether a run of marks stands between two documents. inner: where the text
    begins and ends without the white space around it."""
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
    """Whether it begins with a script that has no capitals."""
    return bool(text) and text[0].lower() == text[0].upper() and not text[0].isdigit()


def without_marks(message: str) -> str:
    """What somebody says, without a mark that another trainer's data ends with; one that is spoken of stays."""
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
