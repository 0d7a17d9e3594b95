"""Packed files (.gz, .bz2, .xz, .zst): one packed stream after another, as parallel packers and archives write them.

A damaged stream costs no other: reading continues where the next one begins. A file that is cut off is an error.
"""

from __future__ import annotations

import bz2
import contextlib
import io
import lzma
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import zstandard

PIECE = 4096  # bytes unpacked at a time: a few packed bytes may become very many
BLOCK = 1 << 14  # bytes read from the disk
MOST_LOST = 1000  # streams
DAMAGED = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


@dataclass(frozen=True)
class Compression:
    """One format: how files begin, how streams within them begin, and what unpacks one."""

    magic: bytes
    begins: re.Pattern[bytes]
    tool: Callable[[], Any]


GZIP = Compression(
    b"\x1f\x8b",
    re.compile(rb"\x1f\x8b\x08[\x00-\x1f][\x00-\xff]{4}[\x00\x02\x04][\x00-\x0d\xff]"),
    lambda: zlib.decompressobj(31),
)
PACKINGS = (
    GZIP,
    Compression(b"BZh", re.compile(rb"BZh[1-9]1AY&SY"), bz2.BZ2Decompressor),
    Compression(b"\xfd7zXZ", re.compile(rb"\xfd7zXZ\x00"), lzma.LZMADecompressor),
    # Reddit's dumps have windows of 2 GB
    Compression(
        b"\x28\xb5\x2f\xfd",
        re.compile(rb"\x28\xb5\x2f\xfd"),
        lambda: zstandard.ZstdDecompressor(max_window_size=2**31).decompressobj(),
    ),
)


class Streams(io.RawIOBase):
    """The contents of all streams of a file. lost: for each damaged one, where it begins and what is wrong.

    hold: bytes of a stream that are held back until it is complete, so that nothing of a damaged one is read.
    """

    def __init__(self, disk: IO[bytes], packing: Compression, hold: int = 0):
        self.disk, self.packing, self.hold = disk, packing, hold
        self.held: list[bytes] = []
        self.size = 0  # bytes unpacked of the current stream
        self.packed = b""  # read from the disk, not unpacked yet
        self.left = memoryview(b"")  # unpacked, not read yet
        self.tool: Any = None  # of the current stream
        self.begin = 0  # of it
        self.lost: list[tuple[int, str]] = []

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills the buffer with unpacked bytes; 0 at the end, EOFError where the file is cut off."""
        while not self.left:
            self.packed = self.packed or self.disk.read(BLOCK)
            if not self.packed and self.tool is not None:
                raise EOFError("the file is cut off")
            if not self.packed:
                return 0
            if self.tool is None:
                self.packed = self.packed.lstrip(b"\0")  # padding of tapes and of xz
            if self.packed:
                self.left = memoryview(self.unpack())
        count = min(len(buffer), len(self.left))
        buffer[:count], self.left = self.left[:count], self.left[count:]
        return count

    def unpack(self) -> bytes:
        """Unpacks the next piece of the file. OSError after MOST_LOST damaged streams."""
        if self.tool is None:
            self.tool, self.begin, self.size = self.packing.tool(), self.disk.tell() - len(self.packed), 0
        piece, self.packed = self.packed[:PIECE], self.packed[PIECE:]
        try:
            out: bytes = self.tool.decompress(piece)
        except DAMAGED as error:
            self.lost.append((self.begin, str(error)))
            if len(self.lost) > MOST_LOST:
                raise OSError(str(error)) from None
            self.held.clear()
            self.go_on()
            return b"" if self.hold and self.size <= self.hold else b"\n"  # keeps what broke off apart from the next
        self.held.append(out)
        self.size += len(out)
        if self.tool.eof:
            self.packed = self.tool.unused_data + self.packed
            self.tool = None
        elif self.size <= self.hold:
            return b""
        out = b"".join(self.held)
        self.held.clear()
        return out

    def go_on(self) -> None:
        """Moves to the next stream, or to the end."""
        self.tool, self.packed = None, b""
        self.disk.seek(self.begin + 1)
        while block := self.disk.read(BLOCK):
            self.packed += block
            for found in self.packing.begins.finditer(self.packed):
                with contextlib.suppress(*DAMAGED):
                    self.packing.tool().decompress(self.packed[found.start() :][:PIECE])
                    self.packed = self.packed[found.start() :]
                    return
            self.packed = self.packed[-PIECE:]
        self.packed = b""
