"""What passes through prepare: documents, and the problems of those that cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import xxhash

if TYPE_CHECKING:
    import numpy as np

    from yaya.prepare.clean.quality import Reading

Message = dict[str, str]
Content = str | list[Message]


@dataclass(slots=True)
class Document:
    """A text or a conversation, and where it comes from: `source` is a path, `where` e.g. `line 12`."""

    text: str | None
    messages: list[Message] | None
    source: str
    where: str
    _size: int = field(default=-1, repr=False, compare=False)

    @property
    def kind(self) -> str:
        return "text" if self.messages is None else "chat"

    @property
    def texts(self) -> list[str]:
        """The text, or what each message says."""
        if self.messages is None:
            return [self.text or ""]
        return [message["content"] for message in self.messages]

    @property
    def size(self) -> int:
        """Bytes of its texts in UTF-8, counted once because every pass needs them."""
        if self._size < 0:
            self._size = len("".join(self.texts).encode())
        return self._size

    @property
    def content(self) -> bytes:
        """The bytes that identify the document."""
        if self.messages is None:
            return (self.text or "").encode()
        return "".join(f"\0{message['role']}\0{message['content']}" for message in self.messages).encode()

    def with_texts(self, texts: list[str]) -> Document:
        """The same document with other texts."""
        if self.messages is None:
            return Document(texts[0], None, self.source, self.where)
        messages = [{"role": m["role"], "content": text} for m, text in zip(self.messages, texts, strict=True)]
        return Document(None, messages, self.source, self.where)


@dataclass(slots=True)
class Portion:
    """The part of a document that goes into one file of a split."""

    split: str  # train, validation; train-p2 where it is read again, train-a1 for a changed copy
    document: Document
    id: bytes
    cut: bool = False  # from a text that is divided, not taken as a whole
    method: str = ""  # how a copy was changed
    of: Portion | None = None  # the whole portion, where this is the part of it that mixing reads

    @classmethod
    def of_text(cls, split: str, document: Document, text: str, of: Portion | None = None) -> Portion:
        """A portion with a part of a document's text."""
        part = document.with_texts([text])
        return cls(split, part, xxhash.xxh3_128_digest(part.content), cut=True, of=of)


@dataclass(slots=True)
class Record:
    """A document on its way through the steps, with what they find out about it."""

    document: Document
    source: int  # number of its source
    id: bytes = b""  # xxh3 of the content, which decides duplicates, split and mixing
    number: int = -1  # among all clean documents
    readings: Sequence[Reading] = ()  # its texts, with what filters found in them
    words: Sequence[np.ndarray] = ()  # hashes of the words of each text
    portions: Sequence[Portion] = ()

    @property
    def bytes_written(self) -> int:
        return sum([portion.document.size for portion in self.portions])


class Unusable(Exception):
    """A file or record that cannot be used. `kind` is a key of FIXES; `en` and `zh` say what is wrong."""

    def __init__(self, kind: str, en: str, zh: str):
        super().__init__(en)
        self.kind, self.en, self.zh = kind, en, zh


# Read without a problem, but there is nothing to learn: dropped, not set aside.
LEFT_OUT = frozenset({"marked as bad", "not to be learned", "no reply", "no choice"})
FIXES = {
    "marked as bad": ("If the key means something else, rename it.", "如果这个键是别的意思，请改名。"),
    "not to be learned": ("If the key means something else, rename it.", "如果这个键是别的意思，请改名。"),
    "no reply": (
        'Add the assistant\'s replies. Plain text belongs in {"text"}.',
        '请补上助手的回复。普通文本请写成 {"text"}。',
    ),
    "no choice": (
        "Name the better one by its number in better_response_id, or leave such records out.",
        "请用 better_response_id 写明更好的是几号，或者去掉这样的记录。",
    ),
    "tool calls": ("Leave such records out of sources.", "请从 sources 里去掉这样的记录。"),
    "bad json": ("Write one JSON record per line.", "请把每条记录写成一行 JSON。"),
    "broken record": ("Correct or remove this record.", "请改正或删除这条记录。"),
    "wrong type": ("Correct or remove this record.", "请改正或删除这条记录。"),
    "unknown shape": ("Rename its keys, or leave the file out.", "请把键名改成其中一种，或者去掉这个文件。"),
    "bad encoding": ("Save the file as UTF-8.", "请把文件另存为 UTF-8 编码。"),
    "surplus cells": ("Put cells that contain a separator in quotes.", "含有分隔符的内容请用引号括起来。"),
    "open quote": ("Close the quote, or double it to mean the quote itself.", "请补上引号；要表示引号本身，请写两个。"),
    "damaged": ("Download or pack the file again.", "请重新下载或重新打包这个文件。"),
    "bad body": ("Nothing to do: the other records are read as usual.", "不用处理：其余记录照常读取。"),
    "old format": (
        "Open it in Office or LibreOffice and save it in the new format (.docx, .xlsx).",
        "请用 Office 或 LibreOffice 打开，另存为新格式（.docx、.xlsx）。",
    ),
    "other kind": ("Rename it with the right extension, or leave it out.", "请改成对应的扩展名，或者去掉它。"),
    "locked": ("Leave it out: only the app it was bought for can open it.", "请去掉它：只有买书的那个软件才能打开。"),
    "password": ("Remove the password, or leave the file out.", "请先去掉密码，或者去掉这个文件。"),
    "unreadable": ("Check the file's permissions and the disk.", "请检查文件权限和磁盘。"),
    "binary": ("Convert it to text first, or leave it out.", "请先转换成文本，或者去掉它。"),
    "too large": ("Split it, or leave it out.", "请拆小，或者去掉它。"),
    "no text layer": ("Recognize its text first (OCR), or leave it out.", "请先做文字识别（OCR），或者去掉它。"),
    "empty": ("Add text to it, or leave it out of sources.", "请写入文本，或者从 sources 里去掉它。"),
}


@dataclass(frozen=True)
class Broken:
    """A file or record that was set aside, or a record that was left out (LEFT_OUT)."""

    source: str
    where: str
    problem: Unusable
    sample: str = ""

    @property
    def reason(self) -> str:
        """`kind: details`, in English because it is written to files."""
        return f"{self.problem.kind}: {self.problem.en}"


@dataclass
class ReadEvents:
    """What readers report besides documents, one callback for each kind of event."""

    broken: Callable[[Broken], None]  # a file or record that is set aside or left out
    remark: Callable[[str, str, str], None]  # kind of remark, English, Chinese
    left_out: Callable[[str, str, str], None]  # source, where, why: a record without a document, e.g. a redirect


def place(source: str, where: str) -> str:
    """`a.jsonl:12` for a line, else `a.json, record 12`."""
    if where.startswith("line "):
        return f"{source}:{where[5:]}"
    return f"{source}, {where}" if where else source
