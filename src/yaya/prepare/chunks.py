"""Cuts the input into pieces of about equal size: whole small files together, parts of large files that can be cut."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from yaya.core.messages import say
from yaya.prepare.document import PRIMER
from yaya.prepare.pieces import PIECE_BYTES, Piece
from yaya.prepare.read.files import SourceFile, is_packed, opening
from yaya.prepare.read.hub import Remote
from yaya.prepare.read.threads import is_post
from yaya.prepare.settings import PrepareConfig

PRIMER_PIECE = 20_000  # documents
OF_MANY = ("lines", "json", "csv", "parquet", "wiki", "warc")  # kinds of files that hold many documents


def pieces(config: PrepareConfig, folder: Path, seed: int, files: list[tuple[SourceFile, int]]) -> list[Piece]:
    """All pieces of the input in order. files: each with the number of its source."""
    out: list[Piece] = []
    waiting: list[tuple[SourceFile, int]] = []
    size = 0

    def flush() -> None:
        nonlocal waiting, size
        if waiting:
            chosen, sets = zip(*waiting, strict=True)
            out.append(Piece(len(out), folder, config, chosen, sets, seed=seed))
        waiting, size = [], 0

    for number, source in enumerate(config.sources or [PRIMER]):
        if source == PRIMER:
            flush()
            out += primer_pieces(config, folder, seed, number, len(out))
            continue
        for part in parts_of([file for file, of in files if of == number], config.hub_megabytes):
            if size and size + part.size > PIECE_BYTES:
                flush()
            waiting.append((part, number))
            size += part.size
    flush()
    return out


def parts_of(files: list[SourceFile], hub_megabytes: int) -> Iterator[SourceFile]:
    """Parts of a source's files; of a hub's only the first, until so many MB are reached (0: all)."""
    limit, taken = hub_megabytes * 1_000_000, 0
    remote = [file for file in files if isinstance(file.path, Remote)]
    whole = sum(file.size for file in remote)
    if limit and whole > limit:
        base = remote[0].name.split("/", 2)
        name, of = "/".join(base[:2]), f"{whole / 1e6:,.0f} MB"
        say(f"{name}: reading the first {hub_megabytes:,} of {of}", f"{name}：一共 {of}，先读 {hub_megabytes:,} MB")
    for file in files:
        if limit and taken >= limit and isinstance(file.path, Remote):
            continue
        for part in parts(file):
            yield part
            taken += part.size if isinstance(file.path, Remote) else 0
            if limit and taken >= limit and isinstance(file.path, Remote):
                break


def primer_pieces(config: PrepareConfig, folder: Path, seed: int, source: int, start: int) -> list[Piece]:
    """Ranges of the primer's stories and conversations."""
    out: list[Piece] = []
    for stories, count in ((True, config.stories), (False, config.conversations)):
        for first in range(0, count, PRIMER_PIECE):
            last = min(count, first + PRIMER_PIECE)
            span = (first, last, 0, 0) if stories else (0, 0, first, last)
            number = start + len(out)
            out.append(Piece(number, folder, config, primer=span, primer_set=source, seed=seed))
    return out


def sample(pieces: list[Piece], documents: int) -> list[Piece]:
    """One piece of evenly spread files of each source, to take `documents` from; those come first that have few."""
    files = [pair for piece in pieces for pair in zip(piece.files, piece.sets, strict=True)]
    primers = [piece for piece in pieces if not piece.files]
    share = max(1, documents // max(1, len({n for _, n in files}) + bool(primers)))
    sources: list[list[tuple[SourceFile, int]]] = []
    for source in {number for _, number in files}:
        own = [pair for pair in files if pair[1] == source]
        count = min(len(own), share)
        own = [own[n * len(own) // count] for n in range(count)]
        sources.append(sorted(own, key=lambda pair: (pair[0].kind in OF_MANY, pair[0].size)))
    sources.sort(key=lambda own: (any(file.kind in OF_MANY for file, _ in own), sum(file.size for file, _ in own)))
    chosen = list(chain.from_iterable(sources))
    first = replace(primers[0] if primers else pieces[0], number=0, limit=max(documents, len(sources) + bool(primers)))
    stories, talks = (max((piece.primer[n] for piece in primers), default=0) for n in (1, 3))
    span = (0, min(stories, documents), 0, min(talks, documents))
    return [replace(first, files=tuple(f for f, _ in chosen), sets=tuple(n for _, n in chosen), primer=span)]


def parts(file: SourceFile) -> Iterator[SourceFile]:
    """A large file of lines or Parquet as parts; anything else as it is."""
    if file.size < 1.5 * PIECE_BYTES or is_packed(file):
        yield file
    elif file.kind == "parquet":
        yield from row_groups(file)
    elif file.kind == "lines" and isinstance(file.path, Path) and is_utf8_lines(file):
        yield from line_ranges(file)
    else:
        yield file


def row_groups(file: SourceFile) -> Iterator[SourceFile]:
    """Parts of whole row groups; a table of posts stays whole."""
    with opening(file) as stream:
        table = pq.ParquetFile(pa.PythonFile(stream))
        meta, posts = table.metadata, is_post(dict.fromkeys(table.schema_arrow.names))
    if posts:
        yield file
        return
    sizes = [meta.row_group(n).total_byte_size for n in range(meta.num_row_groups)]
    scale = file.size / max(1, sum(sizes))
    start = row = 0
    size = 0.0
    for number, group in enumerate(sizes):
        size += group * scale
        if size >= PIECE_BYTES or number == len(sizes) - 1:
            yield replace(file, size=math.ceil(size), start=start, stop=number + 1, first=row + 1)
            row += sum(meta.row_group(n).num_rows for n in range(start, number + 1))
            start, size = number + 1, 0.0


def line_ranges(file: SourceFile) -> Iterator[SourceFile]:
    """Parts between line ends, with the number of their first line, which one pass over the bytes counts."""
    count = -(-file.size // PIECE_BYTES)
    step = -(-file.size // count)
    start, line = 0, 1
    assert isinstance(file.path, Path)
    with file.path.open("rb") as stream:
        while start < file.size:
            stream.seek(min(start + step, file.size))
            stream.readline()  # to the end of the line that the cut fell into
            stop = stream.tell()
            yield replace(file, size=stop - start, start=start, stop=stop, first=line)
            stream.seek(start)
            left = stop - start
            while left:
                block = stream.read(min(left, 1 << 20))
                line += block.count(b"\n")
                left -= len(block)
            start = stop


def is_utf8_lines(file: SourceFile) -> bool:
    """Whether lines end where a byte is a line break, and the file is no single JSON value or a file of posts."""
    with opening(file) as stream:
        head = stream.readline(1 << 20).strip()
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or not head.startswith(b"{") or not head.endswith(b"}"):
        return False
    try:
        return not is_post(orjson.loads(head))
    except orjson.JSONDecodeError:
        return False
