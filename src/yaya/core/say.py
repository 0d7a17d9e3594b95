"""Messages in English and Chinese, and the one error class that users meet."""

from __future__ import annotations

import locale
import os
import sys

from yaya.core import ranks


def language() -> str:
    """`"zh"` or `"en"`: YAYA_LANG first, then the locale."""
    wanted = os.environ.get("YAYA_LANG") or os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES")
    wanted = wanted or os.environ.get("LANG") or (locale.getlocale()[0] or "")
    return "zh" if wanted.lower().startswith(("zh", "chinese")) else "en"


def t(en: str, zh: str) -> str:
    """The text in the reader's language."""
    return zh if language() == "zh" else en


def say(en: str, zh: str | None = None) -> None:
    """Prints one message to standard error: standard output belongs to replies and data. Of several ranks, rank 0 speaks."""
    if ranks.is_main():
        print(t(en, en if zh is None else zh), file=sys.stderr, flush=True)


class UserError(ValueError):
    """A mistake that the user can mend: says what, where and how. Never shown as a traceback."""

    def __init__(self, en: str, zh: str | None = None):
        super().__init__(t(en, en if zh is None else zh))
        self.en, self.zh = en, en if zh is None else zh


class UsageError(UserError):
    """A wrong command line: exit code 2."""
