"""Cuts the input into chunks of about equal size: small files together, parts of large files that can be cut."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from yaya.core.messages import say
from yaya.core.source_names import PRIMER
from yaya.prepare.handover import Handover
from yaya.prepare.read.hub import HubFile
from yaya.prepare.read.source_files import SourceFile, is_packed, opening
from yaya.prepare.read.threads import is_post
from yaya.prepare.settings import PrepareConfig

CHUNK_BYTES = 16_000_000  # of input
PRIMER_CHUNK = 20_000  # documents
OF_MANY = ("lines", "json", "csv", "parquet", "wiki", "warc")  # kinds of files that hold many documents


@dataclass(frozen=True)
class Chunk:
    """Files (or parts of files) that are read one after another, or a range of the primer.

    It knows by itself what to read and where to write, so any process on any machine can work on it.
    """

    number: int
    work: Handover
    config: PrepareConfig
    files: tuple[SourceFile, ...] = ()
    sources: tuple[int, ...] = ()  # number of the source of each file
    primer: tuple[int, int, int, int] = (0, 0, 0, 0)  # first and last story, first and last conversation
    primer_source: int = 0  # number of the primer as a source
    seed: int = 0
    limit: int = 0  # documents in all, for a preview; 0: all


def cut(config: PrepareConfig, work: Handover, seed: int, files: list[tuple[SourceFile, int]]) -> list[Chunk]:
    """Returns all chunks of the input in order. files: each with the number of its source."""
    out: list[Chunk] = []
    waiting: list[tuple[SourceFile, int]] = []
    size = 0

    def flush() -> None:
        nonlocal waiting, size
        if waiting:
            chosen, sources = zip(*waiting, strict=True)
            out.append(Chunk(len(out), work, config, chosen, sources, seed=seed))
        waiting, size = [], 0

    for number, source in enumerate(config.sources or [PRIMER]):
        if source == PRIMER:
            flush()
            start = Chunk(len(out), work, config, primer_source=number, seed=seed)
            out += primer_chunks(start, config.stories, config.conversations)
            continue
        for part in parts_of([file for file, of in files if of == number], config.hub_megabytes):
            if size and size + part.size > CHUNK_BYTES:
                flush()
            waiting.append((part, number))
            size += part.size
    flush()
    return out


def parts_of(files: list[SourceFile], hub_megabytes: int) -> Iterator[SourceFile]:
    """Yields the parts of a source's files; of hub files only the first `hub_megabytes` (0: all)."""
    remote = bool(files) and isinstance(files[0].path, HubFile)  # as all of them, or none
    limit, whole = hub_megabytes * 1_000_000 * remote, sum(file.size for file in files)
    if limit and whole > limit:
        name, of = "/".join(files[0].name.split("/")[:2]), f"{whole / 1e6:,.0f} MB"
        say(f"{name}: reading the first {hub_megabytes:,} of {of}", f"{name}：一共 {of}，只读前 {hub_megabytes:,} MB")
    taken = 0
    for part in chain.from_iterable(map(parts, files)):
        yield part
        taken += part.size
        if limit and taken >= limit:
            return


def primer_chunks(start: Chunk, stories: int, conversations: int) -> Iterator[Chunk]:
    """Ranges of the primer's stories, then of its conversations. start: the first chunk, still without a range."""
    spans = [(at, min(stories, at + PRIMER_CHUNK), 0, 0) for at in range(0, stories, PRIMER_CHUNK)]
    spans += [(0, 0, at, min(conversations, at + PRIMER_CHUNK)) for at in range(0, conversations, PRIMER_CHUNK)]
    for number, span in enumerate(spans, start.number):
        yield replace(start, number=number, primer=span)


def sample(chunks: list[Chunk], documents: int) -> list[Chunk]:
    """One chunk for a preview of `documents`: files spread evenly over each source, those with few documents first."""
    files = [pair for chunk in chunks for pair in zip(chunk.files, chunk.sources, strict=True)]
    primers = [chunk for chunk in chunks if not chunk.files]
    share = max(1, documents // max(1, len({n for _, n in files}) + bool(primers)))
    sources: list[list[tuple[SourceFile, int]]] = []
    for source in {number for _, number in files}:
        own = [pair for pair in files if pair[1] == source]
        count = min(len(own), share)
        own = [own[n * len(own) // count] for n in range(count)]
        sources.append(sorted(own, key=lambda pair: (pair[0].kind in OF_MANY, pair[0].size)))
    sources.sort(key=lambda own: (any(file.kind in OF_MANY for file, _ in own), sum(file.size for file, _ in own)))
    chosen = list(chain.from_iterable(sources))
    first = replace(primers[0] if primers else chunks[0], number=0, limit=max(documents, len(sources) + bool(primers)))
    stories, talks = (max((chunk.primer[n] for chunk in primers), default=0) for n in (1, 3))
    span = (0, min(stories, documents), 0, min(talks, documents))
    return [replace(first, files=tuple(f for f, _ in chosen), sources=tuple(n for _, n in chosen), primer=span)]


def parts(file: SourceFile) -> Iterator[SourceFile]:
    """The parts of a large file of lines or Parquet; any other file whole."""
    large = file.size >= 1.5 * CHUNK_BYTES and not is_packed(file)
    if large and file.kind == "parquet":
        yield from row_groups(file)
    elif large and file.kind == "lines" and isinstance(file.path, Path) and is_utf8_lines(file):
        yield from line_ranges(file)
    else:
        yield file


def row_groups(file: SourceFile) -> Iterator[SourceFile]:
    """Parts made of whole row groups; a table of posts is not divided."""
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
        if size >= CHUNK_BYTES or number == len(sizes) - 1:
            yield replace(file, size=math.ceil(size), start=start, stop=number + 1, first=row + 1)
            row += sum(meta.row_group(n).num_rows for n in range(start, number + 1))
            start, size = number + 1, 0.0


def line_ranges(file: SourceFile) -> Iterator[SourceFile]:
    """Parts that end at line breaks, each with the number of its first line."""
    count = -(-file.size // CHUNK_BYTES)
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
    """Whether it has JSON lines that end with the byte of a line break, and are not posts that answer each other."""
    with opening(file) as stream:
        head = stream.readline(1 << 20).strip()
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or not head.startswith(b"{") or not head.endswith(b"}"):
        return False
    try:
        return not is_post(orjson.loads(head))
    except orjson.JSONDecodeError:
        return False
