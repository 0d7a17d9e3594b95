"""Markdown without front matter and comments, which are no part of the text. CommonMark 0.31."""

from __future__ import annotations

import bisect
import re
import tomllib
from collections.abc import Iterator
from functools import cached_property

from yaya.prepare.document import Document, ReadEvents
from yaya.prepare.read.source_files import SourceFile, read_bytes
from yaya.prepare.read.texts import documents_of, text_of

FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)
SPAN = re.compile(r"(`(?<!``)`*)(?!`)(?:(?!\n[ \t\r]*\n).)+?(?<!`)\1(?!`)", re.DOTALL)
REST_OF_LINE = re.compile(r"[^\S\n]*(?:\n|\Z)")  # with nothing in it
YAML = re.compile(r"---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)
TOML = re.compile(r"\+\+\+[ \t]*\r?\n(.*?)^\+\+\+[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)
KEY = r"[\"']?[\w@][\w .@/-]{0,60}[\"']?[ \t]*:(?:\s|$)"
YAML_LINE = re.compile(rf"{KEY}|[ \t]|- |-$|#|[\]}}]|$")
YAML_KEY = re.compile(rf"^{KEY}", re.MULTILINE)
TITLE = re.compile(r"^title[ \t]*:[ \t]*(\S.*)$", re.MULTILINE)
HEADING = re.compile(r"^# |\A[^\n]+\n=+[ \t]*\r?$", re.MULTILINE)


def read_markdown(file: SourceFile, events: ReadEvents) -> Iterator[Document]:
    """Yields a Markdown file without HTML comments and front matter, of which the title is kept."""
    data = read_bytes(file)
    text = text_of(file, data, events)
    if text.strip() or not data.strip():  # else all of it was set aside
        text = without_comments(without_front_matter(text))
        yield from documents_of(file, text, events, Code(text))


def without_front_matter(text: str) -> str:
    """Removes front matter for site generators; its title becomes the heading of a text without one."""
    title = None
    if found := YAML.match(text):
        if not is_yaml(found[1]):
            return text
        if said := TITLE.search(found[1]):
            title = said[1].strip()
            title = title[1:-1] if len(title) > 1 and title[0] == title[-1] and title[0] in "\"'" else title
    elif found := TOML.match(text):
        try:
            title = tomllib.loads(found[1].replace("\r\n", "\n")).get("title")
        except tomllib.TOMLDecodeError:
            return text
    else:
        return text
    rest = text[found.end() :].lstrip("\r\n")
    if isinstance(title, str) and title.strip(" >|") and not HEADING.search(rest):
        return f"# {title}\n\n{rest}"
    return rest


def is_yaml(text: str) -> bool:
    """Whether these lines are YAML, not prose between two horizontal rules."""
    lines = text.splitlines()
    return all(YAML_LINE.match(line) for line in lines) and (not text.strip() or YAML_KEY.search(text) is not None)


def without_comments(text: str) -> str:
    """Removes `<!-- ... -->` outside of code, and lines that contain nothing else."""
    code, out, at, end = Code(text), [], 0, 0
    while (start := text.find("<!--", end)) >= 0 and (end := text.find("-->", start + 2) + 3) > 2:
        if code(start):
            continue
        line = text.rfind("\n", max(0, at - 1), start) + 1
        begins = (line or not at) and not text[line:start].strip()
        rest = REST_OF_LINE.match(text, end) if begins else None
        out.append(text[at : line if rest else start])
        at = end = rest.end() if rest else end
    return "".join(out) + text[at:]


class Code:
    """Where in a Markdown text there is code: fences, spans and indented blocks. CommonMark 0.31, 4.4, 4.5 and 6.1."""

    def __init__(self, text: str):
        self.text = text
        self.line = 0  # beginning of the last line that was checked
        self.known: dict[int, bool] = {}  # beginnings of indented lines: whether they follow a blank line

    @cached_property
    def ranges(self) -> list[tuple[int, int]]:
        """Fences, and spans between them, in order."""
        text, out = self.text, []
        if "`" not in text and "~~~" not in text:
            return []
        at = prose = 0
        while found := FENCE.search(text, at):
            if found[1][0] == "`" and "`" in found[2]:
                at = found.end()  # a span, not a fence
                continue
            out += self.spans(prose, found.start())
            closing = re.compile(rf"^ {{0,3}}{re.escape(found[1][0])}{{{len(found[1])},}}[ \t]*\r?$", re.MULTILINE)
            end = closing.search(text, found.end())
            at = prose = end.end() if end else len(text)
            out.append((found.start(), at))
        return out + self.spans(prose, len(text))

    def spans(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Code within lines."""
        return [found.span() for found in SPAN.finditer(self.text, start, stop)]

    def __call__(self, position: int) -> bool:
        """Whether a position lies in code."""
        n = bisect.bisect_right(self.ranges, (position, len(self.text)))
        if n and position < self.ranges[n - 1][1]:
            return True
        first = self.line if position >= self.line else 0
        self.line = self.text.rfind("\n", first, position) + 1 or first
        indented = self.text.startswith(("    ", "\t"), self.line)
        return indented and self.after_blank(self.line)

    def after_blank(self, line: int) -> bool:
        """Whether this line and the indented ones above it follow a blank line, which makes them code."""
        passed, found = [], None
        while line > 0 and found is None and (found := self.known.get(line)) is None:
            passed.append(line)
            before = self.text.rfind("\n", 0, line - 1) + 1
            content = self.text[before : line - 1]
            if not content.strip() or not content.startswith(("    ", "\t")):
                found = not content.strip()
            line = before
        found = found is not False  # also at the very beginning of the text
        self.known.update(dict.fromkeys(passed, found))
        return found
