"""What is a command in a chat, and what is a message that only begins like one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from yaya.cli.chat import Messages, converse


class Typed(Messages):
    """Messages one after the other."""

    interactive = False

    def __init__(self, *texts: str):
        self.waiting: Iterator[str] = iter(texts)

    def read(self) -> str:
        for text in self.waiting:
            return text
        raise EOFError


class Listener:
    """Notes what reaches the model."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.begun = 0

    def hear(self, text: str) -> None:
        self.heard.append(text)

    def begin(self) -> None:
        self.begun += 1


def talked(*texts: str) -> tuple[Any, int]:
    listener: Any = Listener()
    return listener, converse(listener, Typed(*texts))


@pytest.mark.parametrize(
    "line",
    [
        "/foo",
        "/foo bar",
        "/system You are kind",
        "/帮助",
        "/帮助 我",
        "/bye-bye",
        "/set_x 3",
        "/load2",
        "/tmp is full",
        "/Новый",
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_unknown_command(line: str, language: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("YAYA_LANG", language)
    listener, refused = talked(line + "\n")
    said = capsys.readouterr().err
    assert listener.heard == [] and refused == 1
    assert (f"Unknown command {line.split()[0]};" if language == "en" else f"没有 {line.split()[0]} 这个命令") in said
    assert "put a space in front" in said or "在前面加一个空格" in said


@pytest.mark.parametrize("line", ["/new chat", "/help me", "/bye for now"])
def test_a_command_stands_alone(line: str, capsys: Any) -> None:
    listener, refused = talked(line, "hi")
    assert listener.heard == ["hi"] and listener.begun == 0 and refused == 1
    assert f"{line.split()[0]} must be alone on its line" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "/etc/hosts is empty", "/usr/bin", "/usr/bin/ is long", "/etc/hosts?", "/", "/ slash", "//comment", "/3 of it", "/*x*/",
        "/README.md is old", "/什么？", " /foo bar", "\t/foo", "1/2 cup", "/foo\nand more", "/new\nchat", "see /help",
    ],
)  # fmt: skip
def test_what_is_a_message(text: str) -> None:
    listener, refused = talked(text)
    assert listener.heard == [text] and refused == 0


def test_commands() -> None:
    listener, refused = talked("/new", "/help", "hi", "/bye", "not heard")
    assert (listener.begun, listener.heard, refused) == (1, ["hi"], 0)
