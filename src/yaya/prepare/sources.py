"""Sources -> documents, lazily. SOURCES holds one reader per kind of file.

Reads:  files and folders: text, Markdown, HTML, JSON, JSON lines, Parquet; plain, .gz or .zst.
Does:   yields documents; what is broken is handed to `on_broken`, and the reading goes on.
Writes: nothing.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from yaya.core.say import UserError, say
from yaya.prepare.document import FIXES, Broken, Document, Report, Unusable, place
from yaya.prepare.files import SourceFile, list_files
from yaya.prepare.readers import read_html, read_json, read_parquet, read_text

Reader = Callable[[SourceFile, Report], Iterator[Document]]

SOURCES: dict[str, Reader] = {
    "text": read_text,
    "html": read_html,
    "json": read_json,
    "lines": read_json,
    "parquet": read_parquet,
}
SAID_AT_MOST = 3  # of one kind of remark; the rest is counted


def say_broken(broken: Broken) -> None:
    """Tells the user about one broken record."""
    at = place(broken.source, broken.where)
    say(f"Set aside: {at}: {broken.problem.en}", f"已隔离：{at}：{broken.problem.zh}")


def ignore_progress(bytes_read: int) -> None:
    """For readers without a bar."""


def read_sources(
    paths: Iterable[str],
    on_broken: Callable[[Broken], None] = say_broken,
    on_bytes: Callable[[int], None] = ignore_progress,
) -> Iterator[Document]:
    """Documents of all files and folders, in order. A source that gives none is a UserError that says why.

    on_broken takes each file or record that cannot be used; on_bytes the bytes on disk that have been read so far.
    """
    remarks = Remarks()
    seen: set[str] = set()
    before = 0
    for source in paths:
        files, others = list_files(source)
        if others:
            say_skipped(source, others)
        fresh = [file for file in files if first_time(file, seen)]
        report = Report(on_broken, remarks.add, on_bytes, before)
        yield from read_source(source, fresh, report)
        before = report.before
    remarks.close()


def say_skipped(source: str, others: list[str]) -> None:
    """One line for all files of a folder that are of no known kind."""
    endings = Counter(os.path.splitext(name)[1] or "-" for name in others)
    kinds = ", ".join(f"{ending} {count}" for ending, count in endings.most_common(6))
    count = f"{len(others):,}"
    say(f"{source}: skipped {count} files that are no text: {kinds}", f"{source}：跳过 {count} 个非文本文件：{kinds}")


def first_time(file: SourceFile, seen: set[str]) -> bool:
    """Whether no earlier source had this very file."""
    real = os.path.realpath(file.path)
    fresh = real not in seen
    seen.add(real)
    return fresh


def read_source(source: str, files: list[SourceFile], report: Report) -> Iterator[Document]:
    """Documents of one source; there must be something in it."""
    some = False
    for file in files:
        for document in read_file(file, report):
            some = some or document.messages is not None or bool(document.text and not document.text.isspace())
            yield document
        report.file_done(file.size)
    if files and not some:
        raise nothing_in(source, report.first)


def nothing_in(source: str, first: Broken | None) -> UserError:
    """The error for a source without one usable document."""
    if first is None:
        en, zh = FIXES["empty"]
        return UserError(f"{source} is empty: there is no text in it. {en}", f"{source} 是空的，里面没有文本。{zh}")
    en, zh = FIXES[first.problem.kind]
    at, problem = place(first.source, first.where), first.problem
    where_en, where_zh = (f"{at}: ", f"{at}：") if at != source else ("", "")
    return UserError(
        f"Nothing in {source} can be used. {where_en}{problem.en}. {en}",
        f"{source} 里没有可用的内容。{where_zh}{problem.zh}。{zh}",
    )


def read_file(file: SourceFile, report: Report) -> Iterator[Document]:
    """Documents of one file; what stops the reading sets the rest of it aside."""
    count = 0
    try:
        for document in SOURCES[file.kind](file, report):
            count += 1
            yield document
    except Unusable as unusable:
        report.broken(Broken(file.name, "", unusable))
    except PermissionError as error:
        why = error.strerror
        report.broken(Broken(file.name, "", Unusable("unreadable", f"cannot be read: {why}", f"读不了：{why}")))
    except (OSError, EOFError, pa.ArrowException) as error:
        why = str(error).split("\n")[0][:200]
        en = f"damaged or cut off, {count:,} documents were read: {why}"
        zh = f"文件损坏或不完整，读到了 {count:,} 篇：{why}"
        report.broken(Broken(file.name, "", Unusable("damaged", en, zh)))


class Remarks:
    """Says each kind of remark a few times, then only how many more there were."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, kind: str, en: str, zh: str) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= SAID_AT_MOST:
            say(en, zh)

    def close(self) -> None:
        for kind, count in self.counts.items():
            more = count - SAID_AT_MOST
            if more > 0:
                say(f"... and {more:,} more like this ({kind}).", f"……同样的情况还有 {more:,} 处（{kind}）。")
