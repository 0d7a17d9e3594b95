"""Messages in English and Chinese, and the one error class that users meet."""

from __future__ import annotations

import datetime
import locale
import os
import re
import shlex
import shutil
import sys
import unicodedata
from contextlib import suppress
from numbers import Number
from pathlib import Path

from yaya.core import distributed

# Control characters, C1 too, but no line break or tab; what turns others around (UAX 9); and bytes of a name or argument
# that are no text (PEP 383).
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
ERASE_LINE = "\r\x1b[K"
JSON_KINDS: tuple[tuple[type | tuple[type, ...], str, str], ...] = (
    (str, "a string", "字符串"),
    (Number, "a number", "数字"),
    (list, "a list", "列表"),
    (dict, "an object", "对象"),
    (bytes, "binary data", "二进制数据"),  # Parquet has it, and dates
    ((datetime.date, datetime.time, datetime.timedelta), "a date or a time", "日期或时间"),
)
bars_drawn: list[str] = []  # the title of a progress bar whose line is still open


def visible(text: str) -> str:
    r"""Escapes whatever would control a terminal or is not text: ESC becomes `\x1b`, a stray byte `\xff`."""

    def written_out(found: re.Match[str]) -> str:
        code = ord(found[0])
        code -= 0xDC00 if 0xDC80 <= code <= 0xDCFF else 0
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"

    return UNPRINTABLE.sub(written_out, text)


def is_text(text: str) -> bool:
    """Whether all of it is characters. Python keeps bytes that it could not decode as lone surrogates."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def width(text: str) -> int:
    """Columns that the text takes in a terminal: a Chinese character takes two, a combining accent none."""
    marks = sum(unicodedata.category(c) in ("Mn", "Me", "Cf") for c in text)
    return len(text) + sum(unicodedata.east_asian_width(c) in ("W", "F") for c in text) - marks


def padded(text: str, columns: int) -> str:
    """The text, padded with spaces to that many columns."""
    return text + " " * (columns - width(text))


def program() -> str:
    """What to type for `yaya` in this shell: its path unless an activated environment has it."""
    if shutil.which("yaya"):
        return "yaya"
    python = Path(sys.executable)
    beside = python.with_name("yaya.exe" if os.name == "nt" else "yaya")
    path = beside.with_suffix("") if beside.is_file() else python
    with suppress(ValueError):
        path = path.relative_to(Path.cwd())
    typed = str(path) if os.name == "nt" else shlex.quote(str(path))
    return typed if beside.is_file() else f"{typed} -m yaya"


def language() -> str:
    """`"zh"` or `"en"`: YAYA_LANG first, then the locale."""
    wanted = os.environ.get("YAYA_LANG") or os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES")
    wanted = wanted or os.environ.get("LANG") or (locale.getlocale()[0] or "")
    return "zh" if wanted.lower().startswith(("zh", "chinese")) else "en"


def t(en: str, zh: str) -> str:
    """The text in the reader's language."""
    return zh if language() == "zh" else en


def plural(count: float, noun: str) -> str:
    """In English: `1 text`, `2,000 texts`, `2.5 minutes`."""
    number = f"{count:,}" if isinstance(count, int) else f"{count:g}"
    return f"{number} {noun}" if count == 1 else f"{number} {noun}s"


def say(en: str, zh: str | None = None) -> None:
    """Prints one message to standard error: standard output is for replies and data. With several ranks, only rank 0 prints."""
    if distributed.is_main():
        say_line(visible(t(en, en if zh is None else zh)))


def say_line(text: str) -> None:
    """Prints a line on standard error, over any progress bar that is drawn there."""
    sys.stderr.write(f"{ERASE_LINE if bars_drawn else ''}{text}\n")
    sys.stderr.flush()
    bars_drawn.clear()


def json_kind(value: object) -> tuple[str, str]:
    """The JSON name of a value's type: in English, and in Chinese as it continues a Chinese sentence."""
    if value is None or isinstance(value, bool):
        name = "null" if value is None else str(value).lower()
        return name, f" {name}"
    for types, en, zh in JSON_KINDS:
        if isinstance(value, types):
            return en, zh
    return "something else", "别的类型"


class UserError(ValueError):
    """A mistake that the user can fix: says what, where and how. Never shown as a traceback."""

    def __init__(self, en: str, zh: str | None = None):
        super().__init__(t(en, en if zh is None else zh))
        self.en, self.zh = en, en if zh is None else zh


class UsageError(UserError):
    """A wrong command line: exit code 2."""
