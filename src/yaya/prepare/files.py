"""Finding the files of a source and opening them: kind by name, compression and encoding by content."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa

from yaya.core.artifact import file_digest
from yaya.core.say import UserError
from yaya.prepare.document import Unusable

KINDS = {
    ".txt": "text", ".md": "text", ".markdown": "text",
    ".html": "html", ".htm": "html",
    ".jsonl": "lines", ".ndjson": "lines", ".json": "json",
    ".parquet": "parquet",
}  # fmt: skip
COMPRESSED = (".gz", ".zst")
READABLE = ", ".join(KINDS) + " (also .gz, .zst)"
MANY_HAN = 0.3  # of the characters beyond ASCII, in real GB18030 text; mistaken Latin-1 has almost none


@dataclass(frozen=True)
class SourceFile:
    """One file to read: `name` is its path as the user would type it."""

    path: Path
    name: str
    kind: str
    size: int
    named: bool  # given by the user, not found in a folder


def list_files(source: str) -> tuple[list[SourceFile], list[str]]:
    """Files of one source, sorted, and the names in its folder that are of no known kind."""
    path = Path(source).expanduser()
    if not path.exists():
        raise UserError(
            f"There is no {source} (looked in {path.absolute().parent}). Check the path in prepare.sources.",
            f"找不到 {source}（查找位置：{path.absolute().parent}）。请检查 prepare.sources 里的路径。",
        )
    if not path.is_dir():
        return [named_file(path, source)], []
    files, others = [], []
    for found in walk(path):
        name = os.path.join(source, found.relative_to(path))
        kind = kind_of(found)
        if kind:
            files.append(SourceFile(found, name, kind, found.stat().st_size, named=False))
        else:
            others.append(name)
    if not files:
        some = f" ({len(others)} other files: {', '.join(Path(o).name for o in others[:3])}, ...)" if others else ""
        raise UserError(
            f"The folder {source} holds no file that yaya reads{some}. It reads {READABLE}.",
            f"文件夹 {source} 里没有可读的文件{some}。能读的有：{READABLE}。",
        )
    return files, others


def named_file(path: Path, source: str) -> SourceFile:
    """A file that the user named; it must be of a known kind."""
    kind = kind_of(path)
    if not kind:
        raise UserError(
            f"{source} is no kind of file that yaya reads. Convert or unpack it first; yaya reads {READABLE}.",
            f"{source} 不是能读的文件类型。请先转换或解压；能读的有：{READABLE}。",
        )
    return SourceFile(path, source, kind, path.stat().st_size, named=True)


def kind_of(path: Path) -> str | None:
    """`a.jsonl.gz` -> `"lines"`; `None` for an unknown ending."""
    name = path.name.lower()
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    return KINDS.get(os.path.splitext(name)[1])


def walk(folder: Path) -> Iterator[Path]:
    """Every file below the folder in sorted order; hidden ones and loops of links are left out."""
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


def digest_source(source: str) -> str:
    """sha256 over names below the source and contents of the files that would be read."""
    files, _ = list_files(source)
    whole = hashlib.sha256()
    for file in files:
        below = "" if file.named else os.path.relpath(file.name, source)
        try:
            content = file_digest(file.path)
        except OSError as error:
            content = f"unreadable {error.errno}"  # the reading itself tells the user
        whole.update(f"{below}\0{file.kind}\0{content}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


class Unpacked(io.BufferedReader):
    """The contents of a packed file. A small buffer: what is in it is lost where the file is cut off."""

    def __init__(self, path: Path, codec: str):
        self.packed = pa.OSFile(str(path))
        super().__init__(pa.CompressedInputStream(self.packed, codec), 1 << 16)  # type: ignore[arg-type]


def open_file(path: Path) -> IO[bytes]:
    """A byte stream, unpacked where the first bytes are gzip's or zstd's: names lie. Cut-off files raise OSError."""
    with path.open("rb") as file:
        head = file.read(4)
    if head[:2] == b"\x1f\x8b":
        return Unpacked(path, "gzip")
    if head == b"\x28\xb5\x2f\xfd" or (head[1:] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F):
        return Unpacked(path, "zstd")
    return path.open("rb")


def bytes_read(stream: IO[bytes]) -> int:
    """Bytes on disk that have been read."""
    return stream.packed.tell() if isinstance(stream, Unpacked) else stream.tell()


def read_bytes(path: Path) -> bytes:
    """The whole file, unpacked."""
    with open_file(path) as file:
        return file.read()


def encoding_of(data: bytes) -> str:
    """`utf-8-sig`, `utf-16`, `utf-32` or `gb18030`; Unusable for binary data and for anything else."""
    if data[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "utf-32"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if b"\0" in data:
        at = data.index(b"\0")
        raise Unusable(
            "binary", f"binary data, no text (NUL at byte {at:,})", f"是二进制数据，不是文本（第 {at:,} 字节是 NUL）"
        )
    try:
        data.decode("utf-8")
        return "utf-8-sig"
    except UnicodeDecodeError as error:
        if is_gb18030(data):
            return "gb18030"
        raise bad_bytes(data, error.start, "UTF-8") from None


def decode(data: bytes, encoding: str | None = None) -> str:
    """The text of the bytes; Unusable names the first byte that does not fit."""
    encoding = encoding or encoding_of(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise bad_bytes(data, error.start, encoding.upper().removesuffix("-SIG")) from None


def bad_bytes(data: bytes, at: int, encoding: str) -> Unusable:
    """The error for the byte at offset `at`."""
    value = data[at] if at < len(data) else 0
    return Unusable(
        "bad encoding",
        f"not {encoding}: byte {at:,} is 0x{value:02x}",
        f"不是 {encoding} 编码：第 {at:,} 字节是 0x{value:02x}",
    )


def is_gb18030(data: bytes) -> bool:
    """Whether it decodes strictly, is no damaged UTF-8, and looks like Chinese rather than Latin-1 taken for it."""
    as_utf8 = data.decode("utf-8", "replace")
    wrong = as_utf8.count("\ufffd")
    if sum(1 for _ in re.finditer(r"[^\x00-\x7f\ufffd]", as_utf8)) > wrong:
        return False  # mostly valid UTF-8, so it is that, with broken bytes
    try:
        beyond = re.sub(r"[\x00-\x7f]+", "", data.decode("gb18030"))
    except UnicodeDecodeError:
        return False
    return len(beyond.encode("gb2312", "ignore")) / 2 >= MANY_HAN * len(beyond)


def total_size(files: Iterable[SourceFile]) -> int:
    """Bytes on disk."""
    return sum(file.size for file in files)
