"""`yaya chat` in a real terminal: a shell in a pseudo-terminal starts it, and nothing meant for the model reaches that shell."""

import codecs
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tests.conftest import ROOT

from yaya.model.decoder import Transformer
from yaya.model.model_config import ModelConfig
from yaya.model.pretrained import save_model
from yaya.tokenize.tokenizer import train

TALKER = Path(__file__).parent / "talker.py"
DONE_S = 20.0  # nothing here takes so long
PASTE, END = "\x1b[200~", "\x1b[201~"  # what a terminal puts around a paste
UP, LEFT, DELETE, BACKSPACE, TAB, ESCAPE = "\x1b[A", "\x1b[D", "\x1b[3~", "\x7f", "\t", "\x1b"
CTRL_A, CTRL_C, CTRL_D, CTRL_R, CTRL_Z = "\x01", "\x03", "\x04", "\x12", "\x1a"


def as_a_window_does() -> None:
    """The terminal is the shell's, and no signal is ignored: tests that are started with `&` or nohup pass on that some are."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


class Window:
    """A terminal window with a shell in it."""

    def __init__(self, folder: Path, columns: int = 80, **env: str):
        self.folder, self.plain = folder, env.get("TERM") in ("", "dumb", "unknown")
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        plain = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT / "src"), "PS1": "shell$ "}
        self.shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"],
            cwd=folder,
            env={**plain, "TERM": "xterm-256color", "LANG": "C.UTF-8", "YAYA_LANG": "en", **env},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=as_a_window_does,
        )
        os.close(slave)
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.screen = ""
        self.seen = 0  # what `wait` has passed

    def send(self, text: str | bytes) -> None:
        data = text.encode() if isinstance(text, str) else text
        while data:
            data = data[os.write(self.master, data[:512]) :]
            if data:
                self.read(0)

    def read(self, timeout_s: float) -> bool:
        if not select.select([self.master], [], [], timeout_s)[0]:
            return False
        try:
            self.screen += self.decoder.decode(os.read(self.master, 1 << 16))
        except OSError:  # the last program has left the terminal
            return False
        return True

    def wait(self, pattern: str) -> str:
        """Reads until the pattern comes; gives back what came before it since the last call."""
        deadline = time.monotonic() + DONE_S
        while not (found := re.compile(pattern).search(self.screen, self.seen)):
            left = deadline - time.monotonic()
            assert left > 0 and self.read(left), f"no {pattern!r} in:\n{self.screen[-3000:]}"
        before, self.seen = self.screen[self.seen : found.start()], found.end()
        return before

    def run(self, arguments: str = "chat m") -> None:
        """Types the command."""
        self.wait(r"shell\$ ")
        self.send(f"{sys.executable} {TALKER} {arguments}\r")

    def say(self, keys: str | bytes) -> None:
        """Types, once the prompt is there."""
        self.wait(
            "(you|你)> " if self.plain else "(you|你)> \r"
        )  # an editor writes it again with every key, without \r
        self.send(keys)

    def paste(self, text: str) -> None:
        """As a terminal pastes: between marks if the program has asked for them."""
        self.send(f"{PASTE}{text}{END}" if self.marks()[-1:] == ["h"] else text)

    def marks(self) -> list[str]:
        """How marks around pastes were switched on (h) and off (l)."""
        return re.findall(r"\x1b\[\?2004([hl])", self.screen)

    def heard(self, expected: str, turn: int | None = None) -> None:
        """The model was told exactly this, as its nth message."""
        self.wait(rf"heard {turn or '[0-9]+'} " + re.escape(f"{expected!r}."))

    def ended(self, code: int = 0) -> None:
        """The chat is over, with this exit code; the shell has its terminal back as it was, and ran nothing by itself."""
        self.wait(r"shell\$ ")
        assert self.marks()[-2:] in ([], ["l", "h"])  # off, before the shell's own
        self.send("echo code=$? $(stty -a | grep -oE '[-]?(icanon|echo|isig|icrnl) ')\r")
        self.wait(f"code={code} icrnl isig icanon echo")
        self.wait(r"shell\$ ")
        assert not list(self.folder.glob("PWN*"))
        assert "Traceback" not in self.screen and "not found" not in self.screen

    def program(self) -> int:
        """The process of what the shell runs."""
        return psutil.Process(self.shell.pid).children()[0].pid

    def close(self) -> None:
        self.shell.kill()
        self.shell.wait()
        os.close(self.master)


Open = Callable[..., Window]


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Open]:
    made: list[Window] = []

    def opened(columns: int = 80, **env: str) -> Window:
        made.append(Window(tmp_path, columns, **env))
        return made[-1]

    yield opened
    for one in made:
        one.close()


# ---------------------------------------------------------------- what belongs to a message


def test_nothing_of_a_paste_reaches_the_shell(window: Open) -> None:
    w = window()
    w.run()
    w.say("\r")  # asks again
    w.say("   \r")
    w.say("hello\n\ntouch PWNED\n")  # a terminal that does not mark pastes; its last line break sends
    w.heard("hello\n\ntouch PWNED", 1)
    w.say("first\r\rtouch PWNED\r\n\tindented")
    w.send("\r")
    w.heard("first\n\ntouch PWNED\n\tindented", 2)
    w.say("first\r\n\r\ntouch PWNED\r\n")
    w.heard("first\n\ntouch PWNED", 3)
    w.say(f"{PASTE}\r\n  if x:\r\n\r\n    touch PWNED\r\n\r\n{END}")
    w.send(" # typed\r")
    w.heard("  if x:\n\n    touch PWNED\n\n # typed", 4)
    w.say("/bye\ntouch PWNED\n")  # no command, but a text of two lines
    w.heard("/bye\ntouch PWNED", 5)
    w.say(
        "\n".join(f"line {i} 一二三四五六七八九十" for i in range(150)) + "\n"
    )  # longer than the system's buffer of 4,096
    w.heard("\n".join(f"line {i} 一二三四五六七八九十" for i in range(150)), 6)
    w.say("x" * 1023 + "\n\ntouch PWNED\n")  # it is read in pieces of 1,024
    w.heard("x" * 1023 + "\n\ntouch PWNED")
    w.say(f"/bye{CTRL_A}{PASTE}\n\n{END}\r")  # empty lines around it are no message
    w.ended()


@pytest.mark.parametrize(
    "rest", ["touch PWNED\n", f"{PASTE}touch PWNED\n\n{END}\r", "touch PWNED\n" * 1000, "touch PWN"]
)
def test_what_still_waits_at_the_end_is_thrown_away(window: Open, rest: str) -> None:
    w = window()
    w.run()
    w.say("hi\r" + CTRL_D + rest)
    w.heard("hi")
    w.ended()


def test_what_is_typed_while_the_model_loads_is_the_first_message(window: Open, tmp_path: Path) -> None:
    w = window(WAIT_FOR=str(tmp_path / "go"))
    w.run()
    w.wait("Loading m")
    w.send("early\n\ntouch PWNED\n" + "长" * 1500 + BACKSPACE + "\n")  # more than the system keeps of a line
    (tmp_path / "go").touch()
    assert "early" not in w.wait("Chatting with")  # it is shown once, by the prompt
    w.heard("early\n\ntouch PWNED\n" + "长" * 1499, 1)
    w.say("count\r")
    w.wait("5 6 7")
    w.paste("while it\r\n\r\nwrites\r\n")
    w.wait("29 heard 2 'count'")
    w.say("!\r")
    w.heard("while it\n\nwrites\n!", 3)
    w.say(CTRL_D)
    w.ended()


def test_a_model_that_does_not_load(window: Open) -> None:
    w = window()
    w.run("chat absent")
    w.wait("Loading absent")
    w.send("hello\n\ntouch PWNED\n")
    w.wait("Error: it was not there")
    w.ended(1)


# ---------------------------------------------------------------- editing


def test_editing(window: Open) -> None:
    w = window()
    w.run()
    w.say("你好呀" + BACKSPACE * 2 + "们\r")
    w.heard("你们", 1)
    w.say("bc" + LEFT * 2 + "a" + CTRL_A + DELETE + "A\r")
    w.heard("Abc", 2)
    w.say("cafe\u0301" + BACKSPACE + "👍!" + BACKSPACE * 2 + " שלום\r")  # a combining accent goes alone
    w.heard("cafe שלום", 3)
    w.say(UP * 2 + "d\r")
    w.heard("Abcd", 4)
    w.say(CTRL_R + "们\r\r")
    w.heard("你们", 5)
    w.say("one" + ESCAPE + "\rtwo\r")  # Alt+Enter
    w.heard("one\ntwo", 6)
    w.say(UP + UP + UP + "\r")  # up through its lines first
    w.wait("heard 7 ")
    w.say(f"x{TAB}y\r")
    w.heard("x\ty", 8)
    w.say("x" + CTRL_D + CTRL_C)
    w.wait("Ctrl-D or /bye ends the chat")
    w.say("given up" + CTRL_C)
    w.wait("Ctrl-D or /bye ends the chat")
    w.say("/bye\r")
    w.ended()


@pytest.mark.parametrize("sent", ["\x1b[31mred\x1b[0m", "\x1b[1;31mred\x1b[0;32m", "\x1b[<0mred"])
def test_colours_that_are_typed_do_nothing(sent: str, window: Open) -> None:
    """A coloured text that the terminal does not mark as a paste looks like a mouse."""
    w = window()
    w.run()
    w.say(sent + "!\r")
    w.heard("red!", 1)
    w.say("/bye\r")
    w.ended()
    assert "Traceback" not in w.screen and "Exception" not in w.screen


def test_commands(window: Open) -> None:
    w = window()
    w.run()
    w.say("/help\r")
    shown = w.wait("Ctrl-C stops")
    assert all(word in shown for word in ("/new", "/bye", "Ctrl-D", "Alt+Enter", "Up and Down", "forgotten"))
    w.say("hi\r")
    w.heard("hi", 1)
    w.say("/new\r")
    w.wait("a new conversation")
    w.say("there\r")
    w.heard("there", 1)
    w.say("/quit\r")
    w.wait("Unknown command /quit; /help")
    w.say(" /quit\r")
    w.heard(" /quit", 2)
    w.say("/etc/hosts?\r")
    w.heard("/etc/hosts?", 3)
    w.say("/bye\r")
    w.ended()


@pytest.mark.parametrize(
    "locale", [{"LC_ALL": "C"}, {"LANG": "POSIX"}, {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8"}]
)
def test_chinese_in_a_narrow_terminal(window: Open, locale: dict[str, str]) -> None:
    w = window(40, YAYA_LANG="zh", **locale)
    w.run()
    w.wait("正在加载 m")
    text = "从前有一只小猫，它住在竹子镇，" * 5
    w.say(text + BACKSPACE + "。\r")
    w.wait("heard 1 '")
    assert w.wait("'").replace("\r\n", "") == text[:-1] + "。"
    w.say("/help\r")
    w.wait("上下方向键")
    w.say(CTRL_C)
    w.wait("结束聊天")
    w.say(CTRL_D)
    w.ended()


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"TERM": "", "LC_ALL": "C"}, {"TERM": "unknown", "LANG": ""}])
def test_a_terminal_that_cannot_move_its_cursor(window: Open, env: dict[str, str]) -> None:
    w = window(**env)
    w.wait(r"shell\$ ")
    w.send("stty -iutf8\r")  # then Backspace takes one byte of three
    w.run()
    w.say("\r")
    w.say("你好" + BACKSPACE + "吗\r")
    w.heard("你吗", 1)
    w.say("a\n\ntouch PWNED\n")
    w.heard("a\n\ntouch PWNED", 2)
    w.say(b"caf\xe9\r")
    w.wait("bytes that are not valid UTF-8")
    w.say("count\r")
    w.wait("3 4")
    w.send(CTRL_C)
    w.wait("stopped")
    w.say("half" + CTRL_C)
    w.wait("ends the chat")
    w.say("last\n" + CTRL_D + "touch PWNED\n")
    w.heard("last")
    assert ESCAPE not in w.screen
    w.ended()


# ---------------------------------------------------------------- what goes wrong


def test_what_cannot_be_sent_is_refused_and_the_chat_goes_on(window: Open) -> None:
    w = window()
    w.run()
    for broken in (b"caf\xe9", b"\xe4\xbd", b"\xff\xfe", b"\xc4\xe3\xba\xc3", b"\xed\xa0\x80"):
        w.say(broken + b"\r")
        w.wait("bytes that are not valid UTF-8")
    w.say(b"caf\xe9" + BACKSPACE.encode() + "é".encode() + b"\r")  # or it is mended
    w.heard("café", 1)
    # By hand: of 10,000 tokens 32 stay free; the frame takes 1 + 5 ("user\n") + 1 + 1 and 1 + 10 ("assistant\n").
    w.say(f"{PASTE}{'x' * 9950}{END}\r")
    w.wait("at most 9968.*about 9,949 of its 9,950 characters fit")
    w.say(UP + BACKSPACE + "\r")
    w.wait("can read: it no longer sees the first turn")
    w.wait("heard 1 'x")
    w.say("again\r")
    w.wait("no longer sees the first 2 turns")
    w.heard("again", 1)
    w.say("break\r")
    w.wait("the model broke")
    w.say("after\r")
    w.heard("after", 2)
    w.say(CTRL_D)
    w.ended()


def test_a_reply_never_controls_the_terminal(window: Open) -> None:
    w = window()
    w.run()
    w.say("attack\r")
    w.wait(re.escape(r"\x1b]0;owned\x07\x9b2J\x1b[2J\x08\x7f") + "\r\nred")
    w.say(f"{PASTE}\x1b]0;mine\x07{END}\r")  # nor does the user's own text
    w.wait("heard 2")
    w.say(CTRL_D)
    w.ended()
    assert "\x07" not in w.screen and "\x9b" not in w.screen and "\x1b]" not in w.screen
    w.send(f"{sys.executable} {TALKER} chat m --once attack\r")
    w.wait(re.escape(r"\x1b]0;owned\x07\x9b2J"))


def test_ctrl_c_stops_the_reply_and_not_the_chat(window: Open) -> None:
    w = window()
    w.run()
    w.say("forever\r")
    w.wait("5 6 7")
    w.send(CTRL_C)
    w.wait("stopped")
    w.say("hi\r")
    w.heard("hi", 2)  # what it wrote until then stays
    w.say("silence\r")
    w.wait("thinking")
    w.send(CTRL_C)
    w.wait("stopped")
    w.say("hi\r")
    w.heard("hi", 3)  # but not a message without any reply
    w.say(CTRL_D)
    w.ended()


def test_signals_leave_the_terminal_in_order(window: Open) -> None:
    w = window()
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
        w.run()
        w.say("forever\r" if number == signal.SIGQUIT else "half a line")
        w.wait("5 6 7" if number == signal.SIGQUIT else "half a line")
        w.send("touch PWNED\n\n")
        os.kill(w.program(), number)
        w.ended(128 + number)
        w.send("\r")
    w.run()
    w.say("crash\r")
    w.wait("RuntimeError: crashed")
    w.screen = w.screen.replace("Traceback", "")
    w.ended(1)


def test_suspended_and_gone_on_with(window: Open) -> None:
    w = window()
    w.run()
    w.say("half")
    w.wait("half")
    w.send(CTRL_Z)
    w.wait("Stopped")
    w.run("doctor --help; fg")
    w.wait("you> half")
    w.send(" a line\r")
    w.heard("half a line")
    w.say("forever\r")
    w.wait("5 6 7")
    w.send(CTRL_Z)
    w.wait("Stopped")
    w.wait(r"shell\$ ")
    w.send("fg\r")
    w.wait("fg")
    w.wait(r"\d+ \d+ ")
    assert w.marks()[-1] == "h"
    w.send("touch PWNED\n")  # not shown: it waits for the prompt
    w.send(CTRL_C)
    assert "touch" not in w.wait("stopped")
    w.say("forever\r")
    w.wait("5 6 7")
    w.send(CTRL_Z)
    w.wait(r"shell\$ ")
    program = w.program()
    w.send("kill %1\r")
    w.wait(r"shell\$ ")
    gone(program)
    w.send("\r")
    w.wait("Terminated")
    w.wait(r"shell\$ ")
    w.send("true\r")
    w.ended()


def gone(program: int) -> None:
    deadline = time.monotonic() + DONE_S
    while psutil.pid_exists(program):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_window_that_is_closed(window: Open, tmp_path: Path) -> None:
    w = window()
    w.run()
    w.wait("you> \r")
    program = w.program()
    os.close(w.master)
    w.master = os.open(os.devnull, os.O_RDONLY)
    gone(program)


@pytest.mark.parametrize("where", ["| tee log", "2>log"])
def test_part_of_it_goes_into_a_file(window: Open, tmp_path: Path, where: str) -> None:
    w = window()
    w.run(f"chat m {where}")
    w.say("ih" + LEFT + BACKSPACE + "\x1b[Ci\r")
    w.say("attack\r" + CTRL_D)
    w.ended()
    log = (tmp_path / "log").read_text("utf-8")
    if "tee" in where:  # replies alone, as the model wrote them
        assert log.startswith("heard 1 'hi'.\n\x1b]0;owned\x07") and log.endswith("heard 2 'attack'.\n")
    else:
        assert log.splitlines()[0] == "Loading m ..." and "heard" not in log


def test_a_real_model(window: Open, tmp_path: Path) -> None:
    """Random weights, which write whatever comes; pasted into while torch loads."""
    tokenizer = train(iter(["小猫 and 小狗 say hello.\n", "user\nassistant\n"] * 9), 300, 1)
    sizes = dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1, head_dim=32, max_position_embeddings=64)
    model = Transformer(ModelConfig(vocab_size=300, num_attention_heads=1, num_key_value_heads=1, **sizes))
    (tmp_path / "model").mkdir()
    save_model(tmp_path / "model", model, tokenizer)
    w = window(40)
    w.wait(r"shell\$ ")
    w.send(f"{sys.executable} -m yaya chat ./model --max-new-tokens 9 --seed 1\r")
    w.wait("Loading")
    w.send(f"{PASTE}小猫\n\ntouch PWNED\n{END}")
    w.say("\r")
    w.wait("touch PWNED")
    w.say("小" * 200 + "\r")
    w.wait("characters fit")
    w.say(b"\xff\r")
    w.wait("not valid UTF-8")
    for _ in range(4):
        w.say("hello\r")
    w.wait("no longer sees the first")
    w.say(CTRL_D)
    w.ended()


# ---------------------------------------------------------------- without a terminal


def piped(data: bytes, *arguments: str, shell: str = "", **env: str) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of the talker behind a pipe, with shell's redirections."""
    done = subprocess.run(
        [
            "bash",
            "-o",
            "pipefail",
            "-c",
            f'"$0" "$@" {shell}',
            sys.executable,
            str(TALKER),
            *(arguments or ("chat", "m")),
        ],
        input=data,
        capture_output=True,
        env={**os.environ, "YAYA_LANG": "en", **env},
        timeout=60,
    )
    said = done.stderr.decode()
    assert "Traceback" not in said and "Exception ignored" not in said, said
    return done.returncode, done.stdout.decode("utf-8"), said


@pytest.mark.parametrize(
    ("data", "out", "said"),
    [
        (b"hello\n", "heard 1 'hello'.\n", ""),
        ("没有换行".encode(), "heard 1 '没有换行'.\n", ""),
        (b"\xef\xbb\xbfone\r\n\r\n  \ntwo\r\n", "heard 1 'one'.\nheard 2 'two'.\n", ""),
        (b"one\n/new\ntwo\n/bye\nthree\n", "heard 1 'one'.\nheard 1 'two'.\n", "(a new conversation)\n"),
        (b"", "", ""),
    ],
)
def test_a_pipe(data: bytes, out: str, said: str) -> None:
    """Each line is a message; nothing but replies on standard output."""
    assert piped(data) == (0, out, said)


def test_a_pipe_with_lines_that_are_refused() -> None:
    code, out, said = piped(b"a\nb\xff\n/what\nbreak\n" + b"x" * 9950 + b"\nc\n")
    assert (code, out) == (1, "heard 1 'a'.\nheard 2 'c'.\n")
    lines = said.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Line 2", "Line 3", "Line 4", "Line 5"]
    assert "UTF-8" in lines[0] and "/help" in lines[1] and "broke" in lines[2] and "9,949 of its 9,950" in lines[3]


def test_a_locale_without_chinese() -> None:
    for env in ({"LC_ALL": "C"}, {"LC_ALL": "POSIX", "YAYA_LANG": "zh"}):
        assert piped("你好\n".encode(), **env) == (0, "heard 1 '你好'.\n", "")
    bare = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, _, said = piped("你好\n".encode(), **bare)
    assert code == 1 and "not valid ASCII" in said
    code, _, said = piped(
        b"hi\n\xff\n", **bare, YAYA_LANG="zh"
    )  # messages that cannot be shown lose characters, no more
    assert code == 1 and "ASCII" in said


def test_streams_that_are_closed() -> None:
    assert piped(b"", shell="<&-")[:2] == (0, "")
    assert piped(b"hi\n", shell=">&-") == (0, "", "")
    assert piped(b"hi\n\xff\n", shell="2>&-") == (1, "heard 1 'hi'.\n", "")
    assert piped(b"hi\n", shell="<&- >&- 2>&-") == (0, "", "")
    assert piped(b"", "--help", shell=">&-") == (0, "", "")
    assert piped(b"forever\n", shell="| head -c 5") == (1, "0 1 2", "")
    assert piped(b"\xff\n" * 9000, shell="2>&1 >/dev/null | head -c 6")[:2] == (1, "Line 1")


def test_one_message() -> None:
    assert piped(b"ignored\n", "chat", "m", "--once", "one\n\ntwo") == (0, "heard 1 'one\\n\\ntwo'.\n", "")
    raw = piped(b"", "chat", "m", "--once", "attack")[1]
    assert raw.startswith("\x1b]0;owned\x07\x9b2J") and "\r\nred" in raw  # a file gets what the model wrote
    code, out, said = piped(b"", "chat", "m", "--system", "x" * 9950, "--once", "hi")
    assert (code, out) == (1, "") and "system message leaves no room" in said
    said = piped(b"a\nb\n", "chat", "m", "--system", "x" * 9950)[2]
    assert said.startswith("Error: ") and said.count("leaves no room") == 1  # at once, not at every message


def test_ctrl_c_says_nothing_of_going_on() -> None:
    """There is nothing to go on with: only stages keep what they finished."""
    command = [sys.executable, str(TALKER), "chat", "m", "--once", "forever"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "YAYA_LANG": "en"}
    )
    assert process.stdout is not None and process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=DONE_S)
    assert process.returncode == 130 and said == b"\nStopped.\n"
