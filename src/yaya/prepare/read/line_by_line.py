"""The lines of a file, whatever its encoding; JSON lines and tables are read this way.

In every encoding that is read, a line break byte is never part of another character, except in UTF-16 and UTF-32, which
are turned into UTF-8 first. So a broken byte costs its line and no more.
"""

from __future__ import annotations

import codecs
import contextlib
import lzma
import zlib
from collections.abc import Iterator
from typing import IO

from yaya.prepare.document import Broken, ReadEvents, Unusable
from yaya.prepare.read.encodings import OLD, SEEN, bad_bytes, decode, decode_kept, encoding_of, wide_encoding
from yaya.prepare.read.source_files import SourceFile, opening

BEGINNING = 100_000  # bytes that settle the encoding, if any of them is beyond ASCII
LONGEST_LINE = 32 << 20  # bytes; a longer one is set aside
BLOCK = 1 << 20
SURE = 4  # characters beyond ASCII that are not valid UTF-8 by accident
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError)  # what reading a damaged packed file raises


def numbered_lines(file: SourceFile, stream: IO[bytes], events: ReadEvents) -> Iterator[tuple[int, bytes]]:
    """Yields (number, line) of a file or its part, as bytes, UTF-16 as UTF-8. Sets aside lines that are too long."""
    if file.whole:
        first = stream.readline(LONGEST_LINE + 1)
        wide = wide_encoding(first)
        if wide:
            yield from enumerate(wide_lines(first, stream, wide), 1)
            return
    else:
        stream.seek(file.start)
        first = stream.readline(LONGEST_LINE + 1)
    number, line = file.first, first
    while line:
        if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            size = len(line)
            while line and not line.endswith(b"\n"):
                line = stream.readline(LONGEST_LINE)
                size += len(line)
            problem = Unusable("too large", f"a line of {size / 1e6:,.0f} MB", f"这一行有 {size / 1e6:,.0f} MB")
            events.broken(Broken(file.name, f"line {number}", problem))
        else:
            yield number, line
        number += 1
        if file.stop and stream.tell() >= file.stop:
            return
        line = stream.readline(LONGEST_LINE + 1)


def wide_lines(first: bytes, stream: IO[bytes], encoding: str) -> Iterator[bytes]:
    """Yields the lines of UTF-16 or UTF-32 as UTF-8. Unusable where a character is cut off or broken."""
    tool = codecs.getincrementaldecoder(encoding)()
    rest, read = b"", 0
    while first:
        try:
            text = tool.decode(first)
        except UnicodeDecodeError as error:
            raise bad_bytes(first, error.start, encoding.upper(), read) from None
        *lines, rest = (rest + text.encode("utf-8", "surrogatepass")).split(b"\n")
        for line in lines:
            yield line + b"\n"
        read += len(first)
        first = stream.read(BLOCK)
    try:
        tool.decode(b"", final=True)
    except UnicodeDecodeError:
        raise bad_bytes(b"", 0, encoding.upper(), read) from None
    if rest:
        yield rest


class LineDecoder:
    """Decodes lines: as UTF-8 until one is not; then the whole file settles the encoding, and the user is told."""

    def __init__(self, file: SourceFile, events: ReadEvents, beginning: bytes):
        self.file, self.events = file, events
        self.encoding = ""  # not settled
        if not beginning.isascii() and not wide_encoding(beginning):
            try:
                beginning.decode("utf-8")
                self.encoding = "utf-8"
            except UnicodeDecodeError:
                self.settle()

    def settle(self) -> None:
        """Settles the encoding by lines beyond ASCII from the whole file, so that late ones count too."""
        try:
            found = encoding_of(lines_beyond_ascii(self.file))
        except Unusable:
            found = "utf-8"  # none fits: each line has its own error
        self.encoding = found if found in OLD else "utf-8"
        remark_encoding(self.file, self.encoding, self.events)

    def decode(self, line: bytes) -> str:
        """The text of a line; Unusable with the first byte that is not valid."""
        if self.encoding in ("", "utf-8"):
            try:
                return line.decode("utf-8")
            except UnicodeDecodeError:
                if not self.encoding:
                    self.settle()
        if self.encoding != "utf-8":
            with contextlib.suppress(UnicodeDecodeError):
                text = line.decode("utf-8")
                if len(text) - len(text.encode("ascii", "ignore")) >= SURE:
                    return text  # appended later
        return decode(line, self.encoding)

    def decode_kept(self, line: bytes) -> str:
        """The text of a line, with broken bytes kept as BROKEN."""
        try:
            return self.decode(line)
        except Unusable:
            return decode_kept(line, self.encoding)


def first_lines(file: SourceFile) -> bytes:
    """Whole lines from the beginning of a file."""
    lines = b""
    with contextlib.suppress(Unusable, *DAMAGE), opening(file) as stream:
        while len(lines) <= BEGINNING:
            line = stream.readline(BEGINNING)
            if not line:
                return lines
            lines += line
    return lines[: lines.rfind(b"\n") + 1] or lines


def lines_beyond_ascii(file: SourceFile) -> bytes:
    """Lines with bytes beyond ASCII from the whole file, until there are enough to judge by."""
    found: list[bytes] = []
    size = 0
    with contextlib.suppress(*DAMAGE), opening(file) as stream:
        while size < SEEN and (line := stream.readline(LONGEST_LINE)):
            if not line.isascii():
                found.append(line)
                size += len(line)
    return b"".join(found)


def remark_encoding(file: SourceFile, encoding: str, events: ReadEvents) -> None:
    """Remarks that a file is not UTF-8."""
    name = OLD.get(encoding)
    if name:
        events.remark(
            f"read as {name}",
            f"{file.name}: read as {name}, because it is not UTF-8",
            f"{file.name}：不是 UTF-8，按 {name} 读取",
        )
