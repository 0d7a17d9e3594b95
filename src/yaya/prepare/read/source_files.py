"""Finds and opens the files of a source: the kind follows from the name, compression from the content."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from yaya.core.files import file_digest
from yaya.core.messages import UserError, visible
from yaya.prepare.document import Broken, ReadEvents, Unusable
from yaya.prepare.read.hub import HubFile, is_hub, list_dataset
from yaya.prepare.read.packed import PACKINGS, Streams

KINDS = {
    ".txt": "text", ".rst": "text", ".md": "markdown", ".markdown": "markdown",
    ".html": "html", ".htm": "html", ".xhtml": "html",
    ".jsonl": "lines", ".ndjson": "lines", ".json": "json", ".csv": "csv", ".tsv": "csv",
    ".parquet": "parquet",
    ".xml": "wiki", ".warc": "warc", ".wet": "warc",
    ".epub": "epub", ".pdf": "pdf", ".docx": "docx", ".docm": "docx",
    ".xlsx": "xlsx", ".xlsm": "xlsx",
}  # fmt: skip
COMPRESSED = (".gz", ".zst", ".bz2", ".xz")
READABLE = (
    f"{', '.join(KINDS)} (also {', '.join(COMPRESSED)})",
    f"{'、'.join(KINDS)}（也可以是 {'、'.join(COMPRESSED)}）",
)
# Extension of a file with text that cannot be read -> the extension to save it with.
CONVERT = {
    ".xls": ".xlsx", ".ods": ".xlsx", ".numbers": ".xlsx", ".et": ".xlsx",
    ".doc": ".docx", ".odt": ".docx", ".rtf": ".docx", ".pages": ".docx", ".wps": ".docx",
    ".ppt": ".pdf", ".pptx": ".pdf", ".odp": ".pdf", ".key": ".pdf", ".djvu": ".pdf", ".xps": ".pdf",
    ".mobi": ".epub", ".azw": ".epub", ".azw3": ".epub", ".fb2": ".epub", ".chm": ".epub",
}  # fmt: skip
BARE_DUMP = re.compile(r"R[CS]_\d{4}-\d{2}$")  # Reddit's months: RC_2019-04.zst
LARGEST = 512 << 20  # bytes of a file that is read as a whole, after unpacking


@dataclass(frozen=True)
class SourceFile:
    """One file to read, or a part of it: `name` is its path as the user would type it."""

    path: Path | HubFile
    name: str
    kind: str
    size: int  # bytes on disk, of this part
    named: bool  # given by the user, not found in a folder
    start: int = 0  # where a part begins and ends: bytes, or row groups of Parquet; 0, 0: all of it
    stop: int = 0
    first: int = 1  # number of the part's first line or row

    @property
    def whole(self) -> bool:
        return not self.stop


def list_files(source: str, key: str) -> tuple[list[SourceFile], list[str]]:
    """A source's files, sorted, and the names of others in its folder. key: the recipe's key that names the source.

    UserError where the source does not exist, or has no file that can be read.
    """
    if is_hub(source):
        return hub_files(source)[1], []
    path = Path(source).expanduser()
    if not path.exists():
        raise UserError(
            f"There is no {source} (looked in {path.absolute().parent}). Check the path in {key}.",
            f"找不到 {source}（查找位置：{path.absolute().parent}）。请检查 {key} 里的路径。",
        )
    if not path.is_dir():
        return [named_file(path, source)], []
    files, others = [], []
    for found in walk(path):
        name = visible(os.path.join(source, found.relative_to(path)))  # it goes into reports, and may be no UTF-8
        kind = kind_of(found.name)
        if kind:
            files.append(SourceFile(found, name, kind, found.stat().st_size, named=False))
        else:
            others.append(name)
    if not files:
        shown = [Path(other).name for other in others[:3]]
        more = ("...", "……") if len(others) > len(shown) else ()
        en, zh = ", ".join([*shown, *more[:1]]), "、".join([*shown, *more[1:]])
        some = (f" (unsupported: {en})", f"（不支持：{zh}）") if others else ("", "")
        raise UserError(
            f"The folder {source} has no files that yaya reads{some[0]}. yaya reads {READABLE[0]}.",
            f"文件夹 {source} 里没有能读的文件{some[1]}。能读的有：{READABLE[1]}。",
        )
    return files, others


def hub_files(source: str) -> tuple[str, list[SourceFile]]:
    """Revision and files of a dataset on a hub; UserError where there is none."""
    revision, found = list_dataset(source)
    base = source.partition(":")[0] + ":" + "/".join(source.partition(":")[2].split("/")[:2]).partition(":")[0]
    kinds = [(file, kind_of(file.path)) for file in found]
    return revision, [
        SourceFile(file.place, f"{base}/{file.path}", kind, file.size, named=True) for file, kind in kinds if kind
    ]


def named_file(path: Path, source: str) -> SourceFile:
    """A file that the user named; UserError unless it is of a known kind."""
    kind = kind_of(path.name)
    if not kind:
        better = CONVERT.get(os.path.splitext(source)[1].lower())
        how = (f"Save it as {better}", f"请先另存为 {better}") if better else ("Convert or unpack it", "请先转换或解压")
        raise UserError(
            f"{source}: yaya does not read this type of file. {how[0]} first; yaya reads {READABLE[0]}.",
            f"{source}：不支持这种文件。{how[1]}；能读的有：{READABLE[1]}。",
        )
    return SourceFile(path, source, kind, path.stat().st_size, named=True)


def kind_of(name: str) -> str | None:
    """`a.jsonl.gz` -> `"lines"`; None for an unknown extension."""
    bare = os.path.basename(name)
    for ending in COMPRESSED:
        bare = bare.removesuffix(ending).removesuffix(ending.upper())
    if BARE_DUMP.match(bare):
        return "lines"
    return KINDS.get(os.path.splitext(bare)[1].lower())


def walk(folder: Path) -> Iterator[Path]:
    """Yields every file below the folder in sorted order, without hidden ones and loops of links."""
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(n for n in names if not n.startswith(".")):
            path = Path(root, name)
            if path.is_file():
                yield path


def digest_source(source: str, key: str) -> str:
    """sha256 over names and contents of the files that would be read; for a hub, the revision. UserError if none."""
    if is_hub(source):
        return f"{source}@{hub_files(source)[0]}"
    files, _ = list_files(source, key)
    whole = hashlib.sha256()
    for file in files:
        assert isinstance(file.path, Path)
        below = "" if file.named else os.path.relpath(file.name, source)
        try:
            content = file_digest(file.path)
        except OSError as error:
            content = f"unreadable {error.errno}"  # the user is told when it is read
        kind = "text" if file.kind == "markdown" else file.kind  # so that digests of older corpora stay the same
        whole.update(f"{below}\0{kind}\0{content}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


class Unpacked(io.BufferedReader):
    """The contents of a packed file. The buffer is small because its content is lost if the file is cut off."""

    def __init__(self, inner: Streams):
        super().__init__(inner, 1 << 14)
        self.lost = inner.lost  # position and problem of each damaged part


@contextmanager
def opening(file: SourceFile, events: ReadEvents | None = None, hold: int = 0) -> Iterator[IO[bytes]]:
    """Opens a file, unpacked if its first bytes say so: names lie. `events` learns of damaged parts.

    hold: as in `Streams`.
    """
    disk = file.path.open() if isinstance(file.path, HubFile) else file.path.open("rb")
    with disk:
        head = disk.read(6)
        disk.seek(0)
        packing = next((packing for packing in PACKINGS if head.startswith(packing.magic)), None)
        if packing is None:
            yield disk
            return
        with Unpacked(Streams(disk, packing, hold)) as stream:
            try:
                yield stream
            finally:
                if events is not None:
                    say_lost(file, stream, events)


def say_lost(file: SourceFile, stream: Unpacked, events: ReadEvents) -> None:
    """Sets aside the damaged parts of a packed file."""
    for at, why in stream.lost:
        problem = Unusable("damaged", f"a packed part is damaged: {why}", f"一段压缩数据已损坏：{why}")
        events.broken(Broken(file.name, f"byte {at:,}", problem))


def is_packed(file: SourceFile) -> bool:
    with opening(file) as stream:
        return isinstance(stream, Unpacked)


def read_bytes(file: SourceFile) -> bytes:
    """The whole file, unpacked; Unusable where it is larger than LARGEST, OSError where it is damaged."""
    expected = min(LARGEST, file.size)
    with opening(file) as stream:
        data = stream.read(expected + 1)
        if len(data) > expected:  # packed
            data += stream.read(LARGEST - expected)
        if isinstance(stream, Unpacked) and stream.lost:
            raise OSError(stream.lost[0][1])
    if len(data) > LARGEST:
        size = f"{LARGEST >> 20} MB"
        raise Unusable("too large", f"more than {size} in one document", f"一篇文档超过 {size}")
    return data
