"""Text files: one document per file, or several for very long texts and for stories with marks between them."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import IO

from yaya.prepare.document import Broken, Document, ReadEvents
from yaya.prepare.read.encodings import BROKEN, bad_bytes, decode_kept, encoding_of
from yaya.prepare.read.endoftext import MARK_ALONE, IsCode, dividing, stories
from yaya.prepare.read.line_by_line import remark_encoding
from yaya.prepare.read.source_files import SourceFile, opening

LONG_TEXT = 16 << 20  # bytes of a text file above which it is read as several documents
PART = 1 << 20  # bytes of each
HELD = 64  # characters held back at the end of a part without a line end, where a mark may be cut in two


def read_text(file: SourceFile, events: ReadEvents) -> Iterator[Document]:
    """Yields the file as one document, or divided at marks between stories; a very long one in parts."""
    with opening(file, events) as stream:
        data = stream.read(LONG_TEXT + 1)
        if len(data) > LONG_TEXT:
            encoding = encoding_of(data[: data.rfind(b"\n") + 1] or data)
            remark_encoding(file, encoding, events)
            yield from long_text(file, chunks(data, stream, encoding), encoding, events)
            return
    text = text_of(file, data, events)
    if text.strip() or not data.strip():
        yield from documents_of(file, text, events)


def text_of(file: SourceFile, data: bytes, events: ReadEvents) -> str:
    """A file's text without lines that contain broken bytes, which are set aside. Unusable for binary data."""
    encoding = encoding_of(data)
    remark_encoding(file, encoding, events)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return good_lines(file, decode_kept(data, encoding), encoding, events)


def good_lines(file: SourceFile, text: str, encoding: str, events: ReadEvents, first: int = 1, before: int = 0) -> str:
    """The text with an empty line in place of each that contains a broken byte; sets those aside.

    first: the number of its first line. before: bytes of the file that precede it.
    """
    if not BROKEN.search(text):
        return text
    lines, codec = text.split("\n"), encoding.removesuffix("-sig")
    for n, line in enumerate(lines):
        found = BROKEN.search(line)
        if found is not None:
            at = before + len(line[: found.start()].encode(codec, "surrogateescape"))
            problem = bad_bytes(found[0].encode("ascii", "surrogateescape"), 0, codec.upper(), at)
            sample = BROKEN.sub("\ufffd", line[max(0, found.start() - 100) : found.start() + 200])
            events.broken(Broken(file.name, f"line {first + n}", problem, sample))
            lines[n] = ""
        before += len(line.encode(codec, "surrogateescape")) + 1
    return "\n".join(lines)


def documents_of(file: SourceFile, text: str, events: ReadEvents, is_code: IsCode | None = None) -> Iterator[Document]:
    """Yields one document, or one for each story."""
    found = list(stories(text, is_code=is_code))
    if len(found) > 1:
        remark_divided(file, len(found), mark_of(text, dividing(text, True, is_code)), events)
    for line, story in found:
        yield Document(story, None, file.name, f"line {line}" if len(found) > 1 else "")


def mark_of(text: str, cuts: list[tuple[int, int]]) -> str:
    """The first mark that divides a text, in its own spelling."""
    found = MARK_ALONE.match(text, cuts[0][0])
    return found[0] if found else ""


def remark_divided(file: SourceFile, count: int, mark: str, events: ReadEvents) -> None:
    """Remarks that a file was divided, and why."""
    events.remark(
        "divided",
        f"{file.name}: divided into {count:,} documents at marks such as {mark}",
        f"{file.name}：按 {mark} 这样的分隔标记分成了 {count:,} 篇文档",
    )


def chunks(data: bytes, stream: IO[bytes], encoding: str) -> Iterator[str]:
    """Yields the text in pieces of about PART bytes, broken bytes kept as BROKEN; Unusable where that is impossible."""
    tool = codecs.getincrementaldecoder(encoding)("surrogateescape")
    read = 0
    while data:
        for at in range(0, len(data), PART):
            try:
                yield tool.decode(data[at : at + PART])
            except UnicodeDecodeError as error:
                raise bad_bytes(data, at + error.start, encoding.upper(), read) from None
        read += len(data)
        data = stream.read(PART)
    yield tool.decode(b"", final=True)


def whole_lines(
    file: SourceFile, pieces: Iterator[str], encoding: str, events: ReadEvents
) -> Iterator[tuple[str, bool]]:
    """Yields (text, whether it is the last) in whole lines, without broken ones."""
    rest, lines, size = "", 1, 0  # the unfinished line; lines and bytes before it
    for piece in pieces:
        rest += piece
        cut = rest.rfind("\n") + 1 or max(0, len(rest) - HELD)
        text, rest = rest[:cut], rest[cut:]
        yield good_lines(file, text, encoding, events, lines, size), False
        lines += text.count("\n")
        size += len(text.encode(encoding.removesuffix("-sig"), "surrogateescape"))
    yield good_lines(file, rest, encoding, events, lines, size), True


def long_text(file: SourceFile, pieces: Iterator[str], encoding: str, events: ReadEvents) -> Iterator[Document]:
    """Yields stories, or parts that end at blank lines, or at least at line ends; `where` is the first line of each."""
    text, line, count = "", 1, 0  # text that is not in a document yet, and its first line
    mark = ""  # the first that divides the text
    for piece, last in whole_lines(file, pieces, encoding, events):
        text += piece
        cuts = dividing(text, last)
        mark = mark or (mark_of(text, cuts) if cuts else "")
        end = len(text) if last else cuts[-1][1] if cuts else cut_of(text) if len(text) >= PART // 2 else 0
        for at, story in stories(text[:end], line) if cuts else [(line, text[:end])]:
            if story:
                count += 1
                yield Document(story, None, file.name, f"line {at}")
        if cuts:
            end += len(text) - end - len(text[end:].lstrip("\r\n"))
        line += text.count("\n", 0, end)
        text = text[end:]
    if mark and count > 1:
        remark_divided(file, count, mark, events)


def cut_of(text: str) -> int:
    """Where a part of a long text ends: after its last blank line, line, word, or at its end."""
    return text.rfind("\n\n") + 2 if "\n\n" in text else text.rfind("\n") + 1 or text.rfind(" ") + 1 or len(text)
