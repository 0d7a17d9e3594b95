"""A progress bar with rate and time left; plain lines if standard error is not a terminal."""

from __future__ import annotations

import sys
import time

from yaya.core import distributed
from yaya.core.messages import ERASE_LINE, bars_drawn, say_line, t, visible

LINE_EVERY_S = 15.0


def duration(seconds: float) -> str:
    """`75` -> `1:15`."""
    seconds = max(0, round(seconds))
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def times(count: float) -> str:
    """A number of times, rounded: `0.054`, `1.5`, `220`."""
    return f"{count:.2g}" if count < 10 else f"{count:,.0f}"


class Bar:
    """`with Bar("pretrain", total=500, unit="step") as bar: bar.advance(1, "loss 2.1")`."""

    def __init__(self, title: str, total: int | None, unit: str = "", start: int = 0):
        self.title, self.total, self.unit = title, total, unit
        self.done = self.first = start
        self.note = ""
        self.terminal = sys.stderr.isatty()
        self.silent = not distributed.is_main()

    def __enter__(self) -> Bar:
        self.started = self.shown = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        if self.terminal and not self.silent:
            self._draw()
            sys.stderr.write("\n")
            sys.stderr.flush()
            bars_drawn.clear()

    def advance(self, count: int = 1, note: str | None = None) -> None:
        """Adds progress and redraws the bar when due. note: the text after the bar from now on."""
        self.done += count
        if note is not None:
            self.note = note
        now = time.monotonic()
        if now - self.shown >= (0.2 if self.terminal else LINE_EVERY_S):
            self.shown = now
            self._draw()

    def print(self, text: str) -> None:
        """Prints a line above the bar."""
        if not self.silent:
            say_line(visible(text))

    def line(self) -> str:
        """The bar as one line of text: progress, speed, time left."""
        passed = max(time.monotonic() - self.started, 1e-9)
        rate = (self.done - self.first) / passed
        speed = f"{rate:,.1f}" if rate < 100 else f"{rate:,.0f}"
        if self.total:
            left = duration((self.total - self.done) / rate) if rate else "?"
            filled = min(20, 20 * self.done // self.total)
            bar = "█" * filled + "·" * (20 - filled)
            body = f"{bar} {self.done:,}/{self.total:,} {self.unit} {speed}/s {t('left', '剩余')} {left}"
        else:
            body = f"{self.done:,} {self.unit} {speed}/s {duration(passed)}"
        return f"[{self.title}] {body}  {self.note}".rstrip()

    def _draw(self) -> None:
        if self.silent:
            return
        if self.terminal:
            sys.stderr.write(ERASE_LINE + self.line()[:160])
            bars_drawn[:] = [self.title]
        else:
            sys.stderr.write(self.line() + "\n")
        sys.stderr.flush()
