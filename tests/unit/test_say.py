"""What is said never controls the terminal, and never fails for a character."""

import io
import sys

import pytest

from yaya.core.progress import Bar, times
from yaya.core.say import is_text, say, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "plain, 中文, é, e\u0301, 👩\u200d👧, שלום\u200f\n\tnext",
            "plain, 中文, é, e\u0301, 👩\u200d👧, שלום\u200f\n\tnext",
        ),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("rm \u202egnp.exe\u2066 \ud834", r"rm \u202egnp.exe\u2066 \ud834"),
        ("مرحبا\u200f עולם", "مرحبا\u200f עולם"),  # text that runs from right to left by itself stays
        ("\x9b31m\x90q\x9c\x9d0;t\x07", r"\x9b31m\x90q\x9c\x9d0;t\x07"),  # the same in C1
        ("a\rb\x08c\x00\x7f\x0b\x0c\x85", r"a\x0db\x08c\x00\x7f\x0b\x0c\x85"),
        (b"caf\xe9.txt".decode("utf-8", "surrogateescape"), r"caf\xe9.txt"),
        (b"\x80\xff".decode("utf-8", "surrogateescape"), r"\x80\xff"),
        ("half \ud83d", r"half \ud83d"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert is_text(shown)


def test_what_is_text() -> None:
    assert is_text("") and is_text("中文\x1b👍")
    assert not is_text("a\udcff") and not is_text("\ud83d")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_messages_reach_every_terminal(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(written, encoding=encoding, errors="replace"))
    say("file \x1b[31m\udcff 中.txt")
    with Bar("prepare", 3, "document") as bar:
        bar.print("a reply \x1b]0;owned\x07 中█")
        bar.advance()
    sys.stderr.flush()
    shown = written.getvalue()
    assert b"\x1b" not in shown and rb"file \x1b[31m\xff " in shown and rb"a reply \x1b]0;owned\x07 " in shown


def test_a_message_takes_the_place_of_the_bar_that_stands_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    say("before")
    with Bar("pretrain", 10, "step") as bar:
        bar._draw()
        say("in between")
        say("twice")
        bar._draw()
    say("after")
    before, bar_line, second, *_ = sys.stderr.getvalue().split("\r\x1b[K")
    assert before == "before\n" and bar_line.startswith("[pretrain]") and "\n" not in bar_line
    assert second == "in between\ntwice\n"
    assert sys.stderr.getvalue().endswith("\nafter\n")


def test_how_often_is_said_in_plain_figures() -> None:
    shown = [times(count) for count in (0.0537, 0.5, 1.0, 1.46, 9.94, 55.3, 149.7, 2243)]
    assert shown == ["0.054", "0.5", "1", "1.5", "9.9", "55", "150", "2,243"]
