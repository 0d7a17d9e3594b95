"""Sources -> documents, lazily: one reader for each kind of file.

Reads:  files, folders and datasets on a hub, packed or not.
Does:   yields documents; reports what is broken in `events`, and continues.
Writes: nothing.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from yaya.core.messages import UserError, plural, say
from yaya.core.source_names import PRIMER
from yaya.prepare.document import FIXES, Broken, Document, ReadEvents, Unusable
from yaya.prepare.read.books import read_epub, read_pdf
from yaya.prepare.read.crawl import read_warc
from yaya.prepare.read.hub import HubFile
from yaya.prepare.read.line_by_line import DAMAGE
from yaya.prepare.read.markdown import read_markdown
from yaya.prepare.read.readers import read_html, read_json, read_parquet
from yaya.prepare.read.sheets import read_xlsx
from yaya.prepare.read.source_files import CONVERT, SourceFile, list_files
from yaya.prepare.read.tables import read_csv
from yaya.prepare.read.texts import read_text
from yaya.prepare.read.wiki import read_wiki
from yaya.prepare.read.word import read_docx

Reader = Callable[[SourceFile, ReadEvents], Iterator[Document]]


def sources(main: bool) -> dict[str, Reader]:
    """Kind of file -> its reader. main: only the main text of web pages."""
    return {
        "text": read_text,
        "markdown": read_markdown,
        "html": partial(read_html, main=main),
        "json": read_json,
        "lines": read_json,
        "csv": read_csv,
        "parquet": read_parquet,
        "wiki": read_wiki,
        "warc": partial(read_warc, main=main),
        "epub": read_epub,
        "pdf": read_pdf,
        "docx": read_docx,
        "xlsx": read_xlsx,
    }


def files_of(paths: Sequence[str], key: str = "prepare.sources") -> list[tuple[SourceFile, int]]:
    """Every file of the sources, once, with the number of its source. Says what it skips.

    key: the recipe's key that names the sources. UserError for a source without a file that can be read.
    """
    seen: set[str] = set()
    out: list[tuple[SourceFile, int]] = []
    for number, source in enumerate(paths):
        if source == PRIMER:
            continue
        files, others = list_files(source, key)
        if others:
            say_skipped(source, others)
        for file in files:
            real = file.path.url if isinstance(file.path, HubFile) else os.path.realpath(file.path)
            if real not in seen:
                seen.add(real)
                out.append((file, number))
    return out


def say_skipped(source: str, others: list[str]) -> None:
    """Says in one line which files of a folder are of no known kind."""
    endings = Counter(os.path.splitext(name)[1].lower() or "-" for name in others)
    kinds = [f"{ending} {count}" for ending, count in endings.most_common(6)]
    better = sorted({f"{ending} → {CONVERT[ending]}" for ending in endings if ending in CONVERT})
    save = (f". Save them as: {', '.join(better)}", f"。请另存为：{'，'.join(better)}") if better else ("", "")
    say(
        f"{source}: skipped {plural(len(others), 'file')} of unsupported types: {', '.join(kinds)}{save[0]}",
        f"{source}：跳过 {len(others):,} 个不支持的文件：{'、'.join(kinds)}{save[1]}",
    )


def nothing_in(source: str, first: dict[str, Any] | None) -> UserError:
    """The error for a source without one usable document; `first` is the first record that was set aside."""
    if first is None:
        en, zh = FIXES["empty"]
        return UserError(f"{source} is empty: there is no text in it. {en}", f"{source} 是空的，里面没有文本。{zh}")
    en, zh = FIXES[first["kind"]]
    where_en, where_zh = (f"{first['source']}: ", f"{first['source']}：") if first["source"] != source else ("", "")
    return UserError(
        f"Nothing in {source} can be used. {where_en}{first['en']}. {en}",
        f"{source} 里没有可用的内容。{where_zh}{first['zh']}。{zh}",
    )


def read_file(file: SourceFile, events: ReadEvents, main: bool = True) -> Iterator[Document]:
    """Yields the documents of one file; an error sets the rest aside. main: only the main text of web pages."""
    count = 0
    try:
        for document in sources(main)[file.kind](file, events):
            count += 1
            yield document
    except Unusable as unusable:
        events.broken(Broken(file.name, "", unusable))
    except (*DAMAGE, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            problem = Unusable("unreadable", f"cannot be read: {error.strerror}", f"读不了：{error.strerror}")
        else:
            why = str(error).split("\n")[0][:200]
            en = f"damaged or cut off after {plural(count, 'document')}: {why}"
            problem = Unusable("damaged", en, f"文件损坏或不完整，读到了 {count:,} 篇：{why}")
        events.broken(Broken(file.name, "", problem))
