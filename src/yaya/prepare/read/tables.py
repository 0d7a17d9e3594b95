"""Reads CSV files, and turns the rows of any table into records if its columns say so, else into text.

As text, each row repeats the names of its columns ("Name: Lamp", "Price: 12.50"), because a model sees only a window of
the table, and a value far from its column's name teaches nothing.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from yaya.core import han
from yaya.prepare.document import Broken, Document, ReadEvents, Unusable
from yaya.prepare.read.encodings import BROKEN, binary
from yaya.prepare.read.line_by_line import LONGEST_LINE, LineDecoder, first_lines, numbered_lines
from yaya.prepare.read.readers import documents
from yaya.prepare.read.records import contents_of
from yaya.prepare.read.signatures import what_it_is
from yaya.prepare.read.source_files import SourceFile, opening
from yaya.prepare.read.threads import is_post

LOOKED_AT = 50  # rows that tell what a table is
MOST_ABOVE = 10  # rows above the column names: a title, a date
LONGEST_NAME = 60  # characters of a column's name
PART = 1 << 20  # characters of a table that become one document
ONE_COLUMN = "\x1f"  # no separator
MOST_VAIN = 200_000  # lines read twice because of open quotes; after that, a row has FEW_LINES at most
FEW_LINES = 50
WORD = re.compile(r"(?<![\w.])[^\W\d_]{2,}(?![\w])|[\u3040-\u30ff" + han.BROAD + r"\uac00-\ud7af]")
NUMBER = re.compile(r"[\W\d]*")
csv.field_size_limit(LONGEST_LINE)


@dataclass(frozen=True)
class Row:
    """One row: its place, its cells, and its problem if it has one."""

    where: str
    cells: list[str]
    problem: Unusable | None = None


@dataclass(frozen=True)
class Dialect:
    """How a file separates its cells."""

    delimiter: str
    backslash: bool = False  # quotes within cells are written as \", as databases do
    spaces: bool = False  # after each separator

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Yields the cells of each row; csv.Error for a quote that is never closed."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            strict=True,
            skipinitialspace=self.spaces,
            doublequote=not self.backslash,
            escapechar="\\" if self.backslash else None,
        )


def read_csv(file: SourceFile, events: ReadEvents) -> Iterator[Document]:
    """Reads one record per row, with names from the first; cells are separated by commas, semicolons, tabs or bars."""
    with opening(file, events) as stream:
        yield from from_rows(file, csv_rows(file, stream, events), events, strict=True)


def csv_rows(file: SourceFile, stream: IO[bytes], events: ReadEvents) -> Iterator[Row]:
    """Yields the rows of a file; broken rows carry their problem. Unusable for a file of another kind."""
    beginning = first_lines(file)
    if what_it_is(beginning):
        raise binary(beginning)
    decoder = LineDecoder(file, events, beginning)
    lines: Iterator[tuple[int, bytes]] = (
        (number, line.replace(b"\0", b"").removeprefix(codecs.BOM_UTF8 if number == 1 else b""))  # Excel's mark
        for number, line in numbered_lines(file, stream, events)
    )
    if b"\n" not in beginning and b"\r" in beginning:  # as old Macs end lines
        lines = enumerate((part + b"\n" for _, line in lines for part in line.split(b"\r")), 1)
    head = list(itertools.islice(lines, LOOKED_AT))
    sample = [decoder.decode_kept(line) for _, line in head]
    dialect = dialect_of(sample)
    if sample and is_separator_line(sample[0]):
        head = head[1:]
    yield from CsvRows(itertools.chain(head, lines), decoder, dialect)


def is_separator_line(line: str) -> bool:
    """Whether it is Excel's `sep=;`."""
    return re.fullmatch(r"\"?sep=.\"?\s*", line, re.IGNORECASE) is not None


def dialect_of(lines: list[str]) -> Dialect:
    """How cells are separated: by a mark outside of quotes in the first line that gives other rows no more cells."""
    if lines and is_separator_line(lines[0]):
        delimiter = lines[0].strip().strip('"')[4]
        return Dialect(delimiter, writes_backslashes(lines[1:], delimiter))
    head = next((line for line in lines if line.strip()), "")
    best, best_score = ONE_COLUMN, (False, 0.5)
    for mark in "\t,;|":
        cells = raw_cells(head, mark)
        if len(cells) == 1:
            continue
        widths = [len(row) for row in parsed(lines, Dialect(mark))]
        even = sum(1 < width <= len(cells) for width in widths) / max(1, len(widths))
        score = (is_known(cells), even)
        if score > best_score or (score == best_score and len(cells) > len(raw_cells(head, best))):
            best, best_score = mark, score
    spaces = best != "\t" and {cell[:1] for cell in raw_cells(head, best)[1:]} == {" "}
    return Dialect(best, writes_backslashes(lines, best), spaces)


def parsed(lines: list[str], dialect: Dialect) -> list[list[str]]:
    """The rows of the first lines; an empty list for each that cannot be read."""
    out = []
    reader = dialect.reader(lines)
    while True:
        try:
            out += [row for row in [next(reader)] if row]
        except csv.Error:
            out.append([])
        except StopIteration:
            return out


def writes_backslashes(lines: list[str], delimiter: str) -> bool:
    """Whether fewer lines are broken if `\\"` is read as a quote within a cell."""
    if not any('\\"' in line for line in lines):
        return False
    bad = [parsed(lines, Dialect(delimiter, backslash)).count([]) for backslash in (False, True)]
    return bad[1] < bad[0]


def raw_cells(line: str, delimiter: str) -> list[str]:
    """The cells of a line with their quotes; separators within quotes do not count."""
    cells, quoted = [""], False
    for part in re.split(f'("|{re.escape(delimiter)})', line.rstrip("\r\n")):
        if part == delimiter and not quoted:
            cells.append("")
            continue
        quoted ^= part == '"'
        cells[-1] += part
    return [line.rstrip("\r\n")] if quoted else cells


class CsvRows:
    """The rows of a CSV file. A quote that is not closed, or does not quote, costs only its own line."""

    def __init__(self, lines: Iterator[tuple[int, bytes]], decoder: LineDecoder, dialect: Dialect):
        self.lines, self.decoder, self.dialect = lines, decoder, dialect
        self.again: deque[tuple[int, bytes]] = deque()  # lines that were taken for part of an earlier row
        self.read: list[tuple[int, bytes]] = []  # lines of the current row
        self.problem: Unusable | None = None  # a broken byte in it
        self.size = 0  # bytes of the current row
        self.vain = 0  # lines that had to be read again

    def __iter__(self) -> Iterator[Row]:
        reader = self.dialect.reader(self.feed())
        while True:
            self.read.clear()
            self.problem, self.size = None, 0
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                self.again.extendleft(reversed(self.read[1:]))
                self.vain += len(self.read) - 1
                yield self.mended(*self.read[0])
                reader = self.dialect.reader(self.feed())
                continue
            if cells:
                yield Row(f"line {self.read[0][0]}", cells, self.problem)

    def feed(self) -> Iterator[str]:
        """Yields the text of each line, until a row is too long: then some quote in it does not quote."""
        while self.size <= LONGEST_LINE and (self.vain <= MOST_VAIN or len(self.read) < FEW_LINES):
            found = self.again.popleft() if self.again else next(self.lines, None)
            if found is None:
                return
            self.read.append(found)
            self.size += len(found[1])
            try:
                text = self.decoder.decode(found[1])
            except Unusable as problem:
                self.problem = self.problem or problem
                text = self.decoder.decode_kept(found[1])
            yield text

    def mended(self, number: int, line: bytes) -> Row:
        """The row of a line with wrong quotes."""
        text = self.decoder.decode_kept(line).rstrip("\r\n")
        delimiter = self.dialect.delimiter
        if delimiter in ("\t", ONE_COLUMN):  # here quotes are often just characters
            return Row(f"line {number}", text.split(delimiter), self.problem)
        if text.count('"') % 2:
            problem = Unusable("open quote", "a quote is opened and not closed", "引号没有闭合")
            return Row(f"line {number}", [text], problem)
        cells = raw_cells(text, delimiter)
        cells = [cell[1:-1].replace('""', '"') if re.fullmatch('"(?:[^"]|"")*"', cell) else cell for cell in cells]
        return Row(f"line {number}", cells, self.problem)


def from_rows(
    file: SourceFile, rows: Iterator[Row], events: ReadEvents, title: str = "", strict: bool = False
) -> Iterator[Document]:
    """Yields records if the column names are known, else the table as text. strict: surplus cells are an error."""
    beginning = list(itertools.islice(rows, LOOKED_AT))
    good = [n for n, row in enumerate(beginning) if row.problem is None]
    at = names_at([row.cells for row in beginning], good)
    names = distinct(beginning[at].cells) if at is not None else []
    above = beginning[: at or 0]
    rest = itertools.chain(beginning if at is None else beginning[at + 1 :], rows)
    checked = good_rows(file, rest, len(names) if strict else 0, events)
    first = next(checked, None)
    if first is None:
        return
    checked = itertools.chain([first], checked)
    if is_known(names) or not has_words(beginning) or (not names and len(first.cells) > 1):
        yield from documents(file, ((row.where, record_of(names, row)) for row in checked), events)
        return
    say_table(file, names, events)
    if len(names) <= 1:
        yield from (Document(" ".join(row.cells).strip(), None, file.name, row.where) for row in checked)
        return
    yield from table_text(file, title, above, names, checked)


def names_at(rows: list[list[str]], good: list[int]) -> int | None:
    """The index of the row with the column names: the first with several cells; None if they do not look like names."""
    wide = max((filled(rows[n]) for n in good), default=0)
    first = next((n for n in good if n <= MOST_ABOVE and filled(rows[n]) >= min(2, wide)), None)
    return first if first is not None and (is_known(rows[first]) or are_names(rows[first])) else None


def filled(cells: list[str]) -> int:
    return sum(bool(cell.strip()) for cell in cells)


def are_names(cells: list[str]) -> bool:
    """Whether cells may name columns: they are short and distinct, not numbers and not sentences."""
    names = [cell.strip() for cell in cells if cell.strip()]
    fit = (len(name) <= LONGEST_NAME and not NUMBER.fullmatch(name) and name[-1] not in ".!。！" for name in names)
    return bool(names) and len(set(names)) == len(names) and all(fit)


def is_known(cells: list[str]) -> bool:
    """Whether these names make records of the rows, even if something in them is wrong."""
    record = {name.strip(): "x" for name in cells if name.strip()}
    found = contents_of(record) if record else []
    return is_post(record) or any(not isinstance(c, Unusable) or c.kind != "unknown shape" for c in found)


def distinct(cells: list[str]) -> list[str]:
    """The names without white space around them; repeated names get a number."""
    names: dict[str, int] = {}  # each with the number for its next repetition
    out: list[str] = []
    for cell in cells:
        first = name = cell.strip()
        while name and name in names:
            names[first] += 1
            name = f"{first} {names[first]}"
        names[name] = 1
        out.append(name)
    return out


def good_rows(file: SourceFile, rows: Iterable[Row], width: int, events: ReadEvents) -> Iterator[Row]:
    """Yields good rows; sets aside those with a problem, or with more cells than `width` (0: any number)."""
    for row in rows:
        problem = row.problem
        if problem is None and width and filled(row.cells[width:]):
            count = len(row.cells)
            problem = Unusable(
                "surplus cells",
                f"{count} cells, where the first row names {width}",
                f"有 {count} 格，而第一行只有 {width} 个列名",
            )
        if problem is None:
            yield row
        else:
            sample = BROKEN.sub("\ufffd", ", ".join(row.cells))[:300]
            events.broken(Broken(file.name, row.where, problem, sample))


def record_of(names: list[str], row: Row) -> dict[str, str | None]:
    """A row as a record; missing cells at the end are null."""
    return dict(itertools.zip_longest(names, row.cells[: len(names)])) if names else dict.fromkeys(row.cells)


def has_words(rows: list[Row]) -> bool:
    """Whether some column has words: a table of numbers alone is not text."""
    columns = itertools.zip_longest(*(row.cells for row in rows[1:] or rows if row.problem is None), fillvalue="")
    return any(
        2 * sum(WORD.search(cell) is not None for cell in column) >= filled(list(column)) > 0 for column in columns
    )


def say_table(file: SourceFile, names: list[str], events: ReadEvents) -> None:
    """Remarks that a table is read as text."""
    some = ", ".join(name for name in names[:6] if name) + (", ..." if len(names) > 6 else "")
    how = (f"a table, each row with its column names ({some})", f"表格读取，每一行都带上列名（{some}）")
    if len(names) <= 1:
        how = ("text, one document per row", "文本读取，每行一篇")
    events.remark(
        "table",
        f"{file.name}: read as {how[0]}. Conversations need columns such as question and answer",
        f"{file.name}：按{how[1]}。对话需要 question、answer 这样的列名",
    )


def table_text(
    file: SourceFile, title: str, above: list[Row], names: list[str], rows: Iterable[Row]
) -> Iterator[Document]:
    """Yields the rows of a table as text: one document, or several of about PART characters."""
    lead = [title, *(" ".join(cell.strip() for cell in row.cells if cell.strip()) for row in above)]
    blocks = ["\n".join(line for line in lead if line)] if any(lead) else []
    size, where, where_first = 0, "", ""
    for row in rows:
        where = where or row.where
        where_first = where_first or row.where
        blocks.append(row_text(names, row.cells))
        size += len(blocks[-1])
        if size >= PART:
            yield Document("\n\n".join(filter(None, blocks)), None, file.name, where)
            blocks, size, where = [], 0, ""
    if blocks:
        whole = where == where_first
        yield Document(
            "\n\n".join(filter(None, blocks)), None, file.name, f"sheet {title}" * bool(title) if whole else where
        )


def row_text(names: list[str], cells: list[str]) -> str:
    """A row as lines with "name: value"."""
    lines = []
    for name, cell in itertools.zip_longest(names, cells, fillvalue=""):
        colon = "" if not name else "：" if han.language_of(name[-1], han.COMMON) == "zh" else ": "
        lines += [f"{name}{colon}{cell.strip()}"] if cell.strip() else []
    return "\n".join(lines)
