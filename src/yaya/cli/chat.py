"""Chat in the terminal: what belongs to a message, how a reply is shown, and the terminal left as it was found.

Nothing that was meant for the model may reach the shell: input that waits in the terminal belongs to the message, and
whatever still waits when the chat ends is discarded. Messages are kept in memory only, for the arrow keys.
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from yaya.core.messages import UserError, is_text, say, t, visible

if TYPE_CHECKING:
    from prompt_toolkit.key_binding import KeyPressEvent
    from prompt_toolkit.key_binding.key_processor import KeyPress

    from yaya.inference.engine import Engine
    from yaya.inference.sampling import SamplingParams

PAUSE_S = 0.05  # faster than typing: it belongs to the same paste
LEAST_REPLY = 32  # tokens of the context kept free for a reply
COMMAND = re.compile(r"(/[^\W\d_][\w-]*)(?:[^\S\n].*)?")  # one line whose first word is /word; /etc/hosts is a path


def chat(load: Callable[[], tuple[Engine, SamplingParams]], name: str, system: str | None) -> None:
    """Talks with the model that `load` returns, until Ctrl-D or /bye, or until piped input ends.

    Exits with code 1 if a piped message was refused: nobody saw the reason.
    """
    if not sys.stdin.isatty():
        if converse(Talk(*load(), system), Pipe()):
            sys.exit(1)
        return
    plain = not (sys.stdout.isatty() or sys.stderr.isatty()) or is_dumb()
    with Terminal(plain) as terminal:  # before loading: what is typed meanwhile belongs to the first message
        say(f"Loading {name} ...", f"正在加载 {name}……")
        talk = Talk(*load(), system)
        say(
            f"Chatting with {name}. /help lists the commands; end with Ctrl-D or /bye.",
            f"正在和 {name} 聊天。/help 列出用法，Ctrl-D 或 /bye 结束。",
        )
        converse(talk, PlainEditor(terminal) if plain else Editor(terminal))


class Messages(ABC):
    """Where messages come from."""

    interactive = True  # a person types: Ctrl-C stops the reply, not the chat
    keys = ("\nCtrl-C stops a reply.", "\nCtrl-C 停止正在写的回复。")  # how /help explains them, in English and Chinese

    @abstractmethod
    def read(self) -> str:
        """The next message, perhaps empty; EOFError at the end."""

    def place(self) -> tuple[str, str]:
        """Where the last message came from, in English and Chinese: the start of an error message."""
        return "", ""


def converse(talk: Talk, source: Messages) -> int:
    """Answers every message until the last, or until /bye; returns how many were refused."""
    refused = 0
    while True:
        try:
            text = source.read().strip("\r\n").rstrip()
            if text == "/bye":
                return refused
            if found := COMMAND.fullmatch(text):
                obey(found, talk, source)
            elif text and source.interactive:
                with stop_at_ctrl_c() as stopped:
                    talk.hear(text, stopped)
            elif text:
                talk.hear(text)
        except UserError as error:
            en, zh = source.place()
            say(en + error.en, zh + error.zh)
            refused += 1
        except KeyboardInterrupt:
            if not source.interactive:
                raise
            say("(Ctrl-D or /bye ends the chat)", "（按 Ctrl-D 或输入 /bye 结束聊天）")
        except EOFError:
            return refused


def obey(found: re.Match[str], talk: Talk, source: Messages) -> None:
    """Runs a command other than /bye; UserError if it is unknown or has text after it."""
    line, command = found[0], found[1]
    if line != command and command in ("/new", "/help", "/bye"):
        raise UserError(
            f"{command} must be alone on its line. To send this as a message, put a space in front of it.",
            f"{command} 要单独成行。想把这行当作消息发送，请在前面加一个空格。",
        )
    if command == "/new":
        talk.begin()
        say("(a new conversation)", "（新的对话）")
    elif command == "/help":
        say(
            f"/new   starts a new conversation\n/bye   ends the chat, like Ctrl-D\n/help  shows this{source.keys[0]}",
            f"/new   开始新的对话\n/bye   结束聊天，同 Ctrl-D\n/help  显示本说明{source.keys[1]}",
        )
    else:
        raise UserError(
            f"Unknown command {command}; /help lists them all. To send it as a message, put a space in front of it.",
            f"没有 {command} 这个命令，/help 列出所有命令。想把它当作消息发送，请在前面加一个空格。",
        )


class Talk:
    """A conversation with a model: its messages so far. A system message too long for the context is refused."""

    def __init__(self, engine: Engine, sampling: SamplingParams, system: str | None):
        self.engine, self.sampling = engine, sampling
        self.system = [{"role": "system", "content": system}] if system else []
        self.begin()
        if system:
            self.fit([*self.system, {"role": "user", "content": "?"}])

    def begin(self) -> None:
        self.messages, self.forgotten = list(self.system), 0

    def fit(self, messages: list[dict[str, str]]) -> tuple[list[int], int]:
        """Token ids that leave room for a reply, and how many of the oldest turns were dropped."""
        from yaya.tokenize.chat_template import fit_messages

        context = self.engine.context_length
        return fit_messages(self.engine.tokenizer, messages, context - min(LEAST_REPLY, context // 4))

    def hear(self, text: str, stopped: Callable[[], bool] = lambda: False) -> None:
        """Answers a message on standard output. One that cannot be answered raises UserError and is not kept.

        stopped: returns true once the user has seen enough. What was written until then stays in the conversation.
        """
        if not is_text(text):
            raise UserError(
                f"The message contains bytes that are not valid {sys.stdin.encoding.upper()}. Type it again, or convert it first.",
                f"消息里有不属于 {sys.stdin.encoding.upper()} 编码的字节。请重新输入，或先转换编码。",
            )
        asked = [*self.messages, {"role": "user", "content": text}]
        ids, dropped = self.fit(asked)
        if dropped > self.forgotten:
            turns = "turn" if dropped == 1 else f"{dropped} turns"
            say(
                f"(The conversation is longer than the model can read: it no longer sees the first {turns}.)",
                f"（对话超出了模型能读的长度：它看不到最早的 {dropped} 轮了。）",
            )
        self.forgotten = dropped
        reply = ""
        for piece in self.engine.stream(ids, self.sampling, stopped):
            reply += piece
            write(piece)
        write("\n")
        if stopped():
            say("(stopped)", "（已停止）")
        if reply or not stopped():
            self.messages = [*asked, {"role": "assistant", "content": reply}]


def write(text: str) -> None:
    """Writes a piece of a reply: escaped on a terminal, which a model must never control, and unchanged into a file."""
    print(visible(text.replace("\r", "")) if sys.stdout.isatty() else text, end="", flush=True)


@contextmanager
def stop_at_ctrl_c() -> Iterator[Callable[[], bool]]:
    """Records Ctrl-C instead of raising it, so that the engine finishes its step. Yields a function: did it come?"""
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield lambda: bool(came)
    finally:
        signal.signal(signal.SIGINT, before)


# ---------------------------------------------------------------- where messages come from


class Pipe(Messages):
    """A file or another program: each line is a message."""

    interactive = False
    keys = ("", "")
    number = 0

    def read(self) -> str:
        self.number += 1
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.removeprefix("\ufeff")  # a byte order mark from Windows

    def place(self) -> tuple[str, str]:
        return f"Line {self.number}: ", f"第 {self.number} 行："


class Editor(Messages):
    """Editing with arrow keys, earlier messages, and pastes of many lines, by prompt_toolkit."""

    keys = (
        "\nEnter sends, Alt+Enter (or Esc, then Enter) starts a new line; pasted text waits for Enter."
        "\nUp and Down recall earlier messages, Ctrl-R searches them; they are forgotten when the chat ends."
        + Messages.keys[0],
        "\n回车发送；Alt+回车（或先按 Esc 再按回车）换行；粘贴的内容等你按回车才发送。"
        "\n上下方向键找回之前的消息，Ctrl-R 搜索；聊天结束后不保留。" + Messages.keys[1],
    )

    def __init__(self, terminal: Terminal):
        from prompt_toolkit import PromptSession
        from prompt_toolkit.enums import DEFAULT_BUFFER
        from prompt_toolkit.filters import has_focus
        from prompt_toolkit.key_binding import KeyBindings
        from prompt_toolkit.layout.processors import TabsProcessor
        from prompt_toolkit.output import create_output

        # Asking the terminal where its cursor is would wait for an answer, which comes late and lands in the shell.
        os.environ["PROMPT_TOOLKIT_NO_CPR"] = "1"
        bindings, writing = KeyBindings(), has_focus(DEFAULT_BUFFER)
        for key in ("enter", "c-j"):  # pastes have either, or both
            bindings.add(key, filter=writing)(self.enter)
        bindings.add("escape", "enter", filter=writing)(lambda event: event.current_buffer.insert_text("\n"))
        bindings.add("tab", filter=writing)(lambda event: event.current_buffer.insert_text("\t"))
        # Colours in a text that the terminal does not mark as pasted: prompt_toolkit takes them for a broken mouse
        bindings.add("<vt100-mouse-event>")(lambda event: None)
        self.terminal, self.output = terminal, create_output(always_prefer_tty=True)
        self.session: PromptSession[str] = PromptSession(
            multiline=True,
            key_bindings=bindings,
            input_processors=[TabsProcessor(char1=" ", char2=" ")],
            prompt_continuation=lambda width, line, wrapped: " " * width,
            enable_suspend=os.name == "posix",
            output=self.output,
        )

    def enter(self, event: KeyPressEvent) -> None:
        """Sends the message, together with any input still waiting: the rest of a paste that the terminal did not mark."""
        waiting, source = event.key_processor.input_queue, event.app.input
        lines = [pasted(event.key_sequence[-1])]
        while True:
            while waiting and (text := pasted(waiting[0])):
                lines.append(text)
                waiting.popleft()
            if waiting or source.closed or not self.terminal.more_waits():
                break
            waiting.extend(source.read_keys())
        text = "".join(lines).replace("\r\n", "\n").replace("\r", "\n")
        event.current_buffer.insert_text(text.removesuffix("\n"))
        if text.endswith("\n"):
            event.current_buffer.validate_and_handle()

    def read(self) -> str:
        """The next message, edited with the arrow keys; EOFError at Ctrl-D, KeyboardInterrupt at Ctrl-C."""
        prompt = t("you> ", "你> ")
        self.output.write_raw(prompt + "\r")  # in one piece, for programs that wait for it
        try:
            return self.session.prompt(prompt)
        finally:
            self.terminal.mark_pastes()


def pasted(press: KeyPress) -> str:
    """The text of a key press within a paste; empty for a key that does something else."""
    from prompt_toolkit.keys import Keys

    return press.data if press.key in (Keys.Enter, Keys.ControlJ, Keys.Tab) or len(press.key) == 1 else ""


class PlainEditor(Messages):
    """A terminal that cannot move its cursor (TERM=dumb): lines as the system edits them."""

    def __init__(self, terminal: Terminal):
        self.terminal, self.ended = terminal, False

    def read(self) -> str:
        """The next line, with the rest of its paste; EOFError at the end, KeyboardInterrupt at Ctrl-C."""
        if self.ended:
            raise EOFError
        print(t("you> ", "你> "), end="", file=sys.stderr, flush=True)
        try:
            data = os.read(self.terminal.keyboard, 1 << 16)
            if not data:
                raise EOFError
            while not self.ended and self.terminal.more_waits():
                more = os.read(self.terminal.keyboard, 1 << 16)
                data, self.ended = data + more, not more
        except KeyboardInterrupt:
            print(file=sys.stderr)
            raise
        return data.decode(sys.stdin.encoding, "surrogateescape")


def is_dumb() -> bool:
    """Whether the terminal knows no control sequences."""
    return os.environ.get("TERM", "" if os.name == "posix" else "windows").lower() in ("", "dumb", "unknown")


# ---------------------------------------------------------------- the terminal

if sys.platform == "win32":
    import msvcrt

    class Terminal:
        """The console; prompt_toolkit sets and restores its modes."""

        keyboard = 0

        def __init__(self, plain: bool):
            pass

        def __enter__(self) -> Terminal:
            return self

        def __exit__(self, *_: object) -> None:
            while msvcrt.kbhit():  # the rest of a paste must not reach the shell
                msvcrt.getwch()

        def mark_pastes(self) -> None:
            pass

        def more_waits(self) -> bool:
            return msvcrt.kbhit()

else:
    import termios

    IUTF8 = 0x4000  # Backspace takes a whole character; Linux and macOS, without a name in termios
    LEAVING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

    class Terminal:
        """The terminal during a chat: holds what is typed, without echo, until a prompt reads it.

        However the chat ends, the terminal is restored, and nothing that was typed or pasted is left for the shell.
        plain: it has no control sequences and echoes what is typed by itself.
        """

        def __init__(self, plain: bool):
            self.plain = plain
            self.keyboard = sys.stdin.fileno()
            self.screen = (sys.stdout if sys.stdout.isatty() else sys.stderr).fileno()
            self.before = termios.tcgetattr(self.keyboard)
            self.handlers: dict[signal.Signals, Any] = {}

        def __enter__(self) -> Terminal:
            for number in LEAVING:
                if signal.getsignal(number) is not signal.SIG_IGN:  # nohup wants it ignored
                    self.handlers[number] = signal.signal(number, self.leave)
            self.handlers[signal.SIGCONT] = signal.signal(signal.SIGCONT, self.hold)  # the shell changed its modes
            self.hold()
            return self

        def __exit__(self, *_: object) -> None:
            self.restore()
            for number, handler in self.handlers.items():
                signal.signal(number, handler)

        def hold(self, number: int = 0, frame: FrameType | None = None) -> None:
            """Takes over the terminal if it is ours: typed input is held without echo. Also the handler of SIGCONT."""
            if not self.in_front():
                return
            with suppress(termios.error):
                if self.plain:
                    modes = termios.tcgetattr(self.keyboard)
                    modes[0] |= IUTF8 if sys.stdin.encoding.lower() in ("utf-8", "utf8") else 0
                    termios.tcsetattr(self.keyboard, termios.TCSANOW, modes)
                else:
                    self.keep_unseen()
                    self.mark_pastes()

        def keep_unseen(self) -> None:
            modes = termios.tcgetattr(self.keyboard)
            modes[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR)
            modes[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)  # Ctrl-C stays a signal
            modes[6][termios.VMIN], modes[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self.keyboard, termios.TCSANOW, modes)

        def mark_pastes(self, on: bool = True) -> None:
            """Turns bracketed paste on or off; prompt_toolkit turns it off after each prompt."""
            if not self.plain:
                with suppress(OSError):
                    os.write(self.screen, b"\x1b[?2004h" if on else b"\x1b[?2004l")

        def more_waits(self, pause_s: float = PAUSE_S) -> bool:
            return bool(select.select([self.keyboard], [], [], pause_s)[0])

        def restore(self) -> None:
            """Discards waiting input and restores the terminal; does nothing if it is gone or not ours."""
            if not self.in_front():
                return
            with suppress(OSError, termios.error):  # a terminal that is gone needs no care
                self.keep_unseen()
                termios.tcflush(self.keyboard, termios.TCIFLUSH)
                until = time.monotonic() + 20 * PAUSE_S  # a long paste is still arriving
                while time.monotonic() < until and self.more_waits():
                    termios.tcflush(self.keyboard, termios.TCIFLUSH)
                self.mark_pastes(on=False)
                termios.tcsetattr(self.keyboard, termios.TCSANOW, self.before)

        def leave(self, number: int, frame: FrameType | None) -> None:
            """Restores the terminal before a signal ends the program."""
            self.restore()
            with suppress(OSError):
                os.write(self.screen, b"\n")
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

        def in_front(self) -> bool:
            """Whether we are in the foreground: changing the terminal from the background would stop us."""
            with suppress(OSError):
                return os.tcgetpgrp(self.keyboard) == os.getpgrp()
            return True
