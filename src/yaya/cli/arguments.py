"""argparse in the reader's language: headings and error messages."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable
from typing import Any

from yaya.core.messages import UsageError, t, width

# argparse's messages and ours; {1} and so on are the groups.
SENTENCES = {
    "the following arguments are required: (.*)": ("missing: {1}", "缺少 {1}"),
    "unrecognized arguments: (.*)": ("unknown arguments: {1}", "不认识的参数 {1}"),
    "ambiguous option: (.*) could match (.*)": ("{1} could mean {2}", "{1} 可能是指 {2}"),
    "argument (.*?): expected one argument": ("{1} needs a value", "{1} 后面缺少值"),
    "argument (.*?): ignored explicit argument (.*)": ("{1} takes no value, but got {2}", "{1} 不需要值，却写了 {2}"),
    "argument (.*?): invalid int value: (.*)": ("{1} must be a whole number, not {2}", "{1} 应当是整数，而不是 {2}"),
    "argument (.*?): invalid float value: (.*)": ("{1} must be a number, not {2}", "{1} 应当是数字，而不是 {2}"),
    "argument (.*?): (.*)": ("{1}: {2}", "{1}：{2}"),  # from a type of ours, in the reader's language already
}


class Formatter(argparse.HelpFormatter):
    """Help in the reader's language."""

    def add_usage(
        self, usage: str | None, actions: Iterable[argparse.Action], groups: Iterable[Any], prefix: str | None = None
    ) -> None:
        super().add_usage(usage, actions, groups, t("Usage: ", "用法："))  # type: ignore[arg-type]

    def _format_usage(self, usage: str | None, actions: Any, groups: Any, prefix: str | None) -> str:
        """Aligns continuation lines: argparse counts characters, but a Chinese one takes two columns."""
        missing = " " * (width(prefix or "") - len(prefix or ""))
        return super()._format_usage(usage, actions, groups, prefix).replace("\n ", f"\n {missing}")

    def _format_action(self, action: argparse.Action) -> str:
        """Pads a Chinese name with fewer spaces."""
        name = self._format_action_invocation(action)
        return super()._format_action(action).replace(name + " " * (width(name) - len(name)), name, 1)


class Parser(argparse.ArgumentParser):
    """The arguments and options of one command."""

    def __init__(self, command: str, en: str, zh: str):
        super().__init__(prog=f"yaya {command}", description=t(en, zh), add_help=False, formatter_class=Formatter)
        self._positionals.title, self._optionals.title = t("Arguments", "参数"), t("Options", "选项")
        self.add_argument("-h", "--help", action="help", help=t("show this help", "显示帮助"))

    def option(self, name: str, en: str, zh: str, **more: Any) -> None:
        """Adds an argument or an option. en, zh: its meaning; more: as `add_argument` takes it."""
        self.add_argument(name, help=t(en, zh), **more)

    def format_help(self) -> str:
        """The help; argparse ends every heading with an English colon."""
        return re.sub("^([^ ]+):$", t(r"\1:", r"\1："), super().format_help(), flags=re.MULTILINE)

    def error(self, message: str) -> Any:
        """Raises `UsageError` for a mistake on the command line."""
        en = zh = message
        near = ("", "")
        for pattern, sentences in SENTENCES.items():
            if found := re.fullmatch(pattern, message, re.DOTALL):
                en, zh = (sentence.format(message, *found.groups()) for sentence in sentences)
                near = self.nearest(found.groups()) if pattern.startswith("unrecognized") else near
                break
        raise UsageError(f"{en}.{near[0]} See: {self.prog} --help", f"{zh}。{near[1]}请看：{self.prog} --help")

    def nearest(self, typed: Iterable[str]) -> tuple[str, str]:
        """A hint at what the first unknown option among these words probably meant."""
        known = [name for name in self._option_string_actions if name.startswith("--")]
        for word in " ".join(typed).split():
            near = difflib.get_close_matches(word.partition("=")[0], known, 1) if word.startswith("--") else []
            if near:
                return f" Did you mean {near[0]}?", f"你是想写 {near[0]} 吗？"
        return "", ""
