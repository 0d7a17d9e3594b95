"""What is said never controls the terminal, and never fails for a character."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from yaya.core.messages import is_text, padded, program, say, visible, width
from yaya.core.progress import Bar, times


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


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("abc", 3), ("中文", 4), ("自动", 4), ("a中（b）", 8), ("e\u0301", 1), ("Ｆ", 2), ("한", 2)],
)
def test_columns_in_a_terminal(text: str, columns: int) -> None:
    assert width(text) == columns
    assert padded(text, 10) == text + " " * (10 - columns)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that is not activated, in the folder `project` where we are."""
    name = "Scripts/yaya.exe" if os.name == "nt" else "bin/yaya"
    where = tmp_path / "project" / ".venv" / name
    where.parent.mkdir(parents=True)
    where.write_text("")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setattr(sys, "executable", str(where.with_name("python")))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    return where


def test_the_program_by_its_name(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/" + name)
    assert program() == "yaya"


def test_the_program_below_this_folder_and_elsewhere(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert program() == str(Path(".venv/Scripts/yaya" if os.name == "nt" else ".venv/bin/yaya"))
    monkeypatch.chdir("/")
    assert Path(program()) in (installed.with_suffix(""), installed.with_suffix("").relative_to(Path("/").resolve()))


def test_the_program_where_only_python_is_known(installed: Path) -> None:
    installed.unlink()
    assert program() == f"{Path('.venv') / installed.parent.name / 'python'} -m yaya"


@pytest.mark.skipif(os.name == "nt", reason="Windows quotes otherwise")
def test_the_program_can_be_typed(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the project's folder has a space in its name, and we are beside it."""
    (installed.parents[2] / "my project").mkdir()
    os.rename(installed.parents[1], installed.parents[2] / "my project" / ".venv")
    monkeypatch.setattr(sys, "executable", str(installed.parents[2] / "my project" / ".venv" / "bin" / "python"))
    assert program() == "'my project/.venv/bin/yaya'"
    done = subprocess.run(["sh", "-c", f"test -f {program()}"])
    assert done.returncode == 0


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
