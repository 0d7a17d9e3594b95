"""Decodes bytes: as UTF-8, else as UTF-16 or UTF-32, else in the likeliest encoding from before Unicode."""

from __future__ import annotations

import contextlib
import re
from collections import Counter

from yaya.prepare.document import Unusable
from yaya.prepare.read.signatures import kind_of, what_it_is

# Characters that make up a third of any Chinese text, in both scripts. The wrong encoding gives rare ones instead.
COMMON = frozenset(
    "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可里后小么心多天而能好都然没日于起还发"
    "成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长這個來國說們為時會過學對裡後麼發無開當還兒經頭長與將現實點樣，。"
)
LIKELY = 0.15  # share of COMMON that settles the encoding
SEEN = 200_000  # bytes that are judged
MOST_WRONG = 0.01  # share of characters that may be broken
MOST_CONTROL = 0.01  # share of control characters above which it is not text
CONTROL = bytes([*range(9), *range(14, 27), *range(28, 32)])
BROKEN = re.compile("[\udc80-\udcff]")  # invalid bytes, as Python's "surrogateescape" keeps them
# Codec -> its name for the user. ISO-8859-1 is a part of Windows-1252, and the name most people know.
OLD = {
    "gb18030": "GB18030", "big5hkscs": "Big5", "cp932": "Shift-JIS", "euc_jis_2004": "EUC-JP", "euc_kr": "EUC-KR",
    "cp949": "EUC-KR", "cp1250": "Windows-1250", "cp1251": "Windows-1251", "cp1252": "Latin-1",
    "cp1253": "Windows-1253", "cp1254": "Windows-1254", "cp1255": "Windows-1255", "cp1256": "Windows-1256",
    "cp1257": "Windows-1257", "cp1258": "Windows-1258", "cp874": "Windows-874", "cp866": "CP866", "koi8-r": "KOI8-R",
    "koi8-u": "KOI8-U", "iso8859-2": "Latin-2", "iso8859-5": "ISO-8859-5", "iso8859-7": "ISO-8859-7",
    "iso8859-9": "Latin-5", "iso8859-15": "Latin-9", "iso2022_jp_2": "ISO-2022-JP",
}  # fmt: skip
# Encodings that are part of others, or nearly so -> the better known one, which is named if it fits.
TWINS = {"iso8859-15": "cp1252", "iso8859-9": "cp1254", "iso8859-7": "cp1253", "euc_kr": "cp949"}
# Declared encoding -> what browsers read it as. https://encoding.spec.whatwg.org
LABELS = {
    "iso-8859-1": "cp1252", "iso8859-1": "cp1252", "latin1": "cp1252", "ascii": "cp1252", "us-ascii": "cp1252",
    "gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs", "shift_jis": "cp932", "shift-jis": "cp932",
    "x-sjis": "cp932", "euc-kr": "cp949", "ks_c_5601-1987": "cp949", "iso-8859-9": "cp1254", "tis-620": "cp874",
}  # fmt: skip
PARTS = 5  # of a text, each judged by itself
FEW = 5  # characters beyond ASCII are too few to judge by: if all are Western, the text is
WESTERN = re.compile(
    r"[\x00-\x7fàâäáãåæçèéêëìíîïñòóôöõøùúûüœßÀÂÄÁÃÅÆÇÈÉÊËÍÎÏÑÓÔÖÕØÙÚÛÜŒ€“”‘’‚„…–—«»°§©®£²³½¼·•×±¿¡ªº™\xa0]*"
)
# Common words without accents, the same in all encodings: they tell Spanish from Polish where the letters fit both.
WEST = frozenset(
    b"le les des du et est une dans pour que qui pas sur avec mon vous nous il elle va bien ici el los las y por con como para del"
    b" muy os as um uma com mais em che di non per sono della der die das und ist nicht ein eine mit von zu den auf het een van en ook"
    b" niet met och att det som er og af til med ikke inte els amb molt".split()
)
EAST = frozenset(
    b"nie jest w z po za jak dla od czy tak na pro ale jsem jako jsou byl ve ke sam biti ali kao egy nem hogy meg volt csak mint az nu"
    b" din cu pe care mai este sunt sau ir kad yra buvo ei ka see oli ki so".split()
)
# A sign within a word, or several accents in a row: another alphabet read as Latin-1.
ODD = re.compile(r"[^\W\d_][^\w\s’‘\x00-\x7f\xad][^\W\d_]|[\xc0-\xff]{3}|[a-z]¹")
WORDS_BEYOND = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")


def encoding_of(data: bytes) -> str:
    """Returns `utf-8-sig`, `utf-16`, `utf-32` or a key of OLD; Unusable for binary data and for anything else.

    UTF-8 with broken bytes counts as UTF-8: `decode` says which byte it is.
    """
    wide = wide_encoding(data)
    if wide:
        return wide
    if b"\0" in data and len(data.translate(None, CONTROL)) < (1 - MOST_CONTROL) * len(data):
        raise binary(data)
    japanese = "iso2022_jp_2"  # in seven bits, as in old e-mails
    escaped = b"\x1b$" in data and (data.isascii() or b"\x1b(B" in data)
    if escaped and fits(data, japanese) and not data.decode(japanese).isascii():
        return japanese
    try:
        data.decode("utf-8")
        return "utf-8-sig"
    except UnicodeDecodeError as error:
        if is_damaged_utf8(data):
            return "utf-8-sig"
        found = old_encoding(data)
        if found is None:
            raise bad_bytes(data, error.start, "UTF-8") from None
        return found


def wide_encoding(data: bytes) -> str | None:
    """UTF-32 or UTF-16 by the byte order mark, or by every other byte being NUL; None for other encodings."""
    if data[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "utf-32"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    head = data[:2000]
    if len(head) >= 8 and b"\0" in head[:8]:
        even, odd = head[::2].count(0), head[1::2].count(0)
        if min(even, odd) == 0 and max(even, odd) > len(head) // 5:
            return "utf-16-le" if odd else "utf-16-be"
    return None


def old_encoding(data: bytes) -> str | None:
    """The likeliest of the encodings from before Unicode; None where none fits."""
    if len(data) > SEEN:
        data = b"\n".join(line for line in data.split(b"\n") if not line.isascii())[:SEEN]
    shares = {name: common_share(data, name) for name in ("gb18030", "big5hkscs")}
    best = max(shares, key=lambda name: shares[name])
    if shares[best] >= LIKELY:
        return best
    beyond = len(data) - len(data.translate(None, bytes(range(128, 256))))
    if beyond <= FEW:
        text = data.decode("cp1252", "replace")
        if WESTERN.fullmatch(text) and not ODD.search(text):
            return "cp1252"
        if beyond == 1:
            return None
    found = detected(data)
    of_parts = most_parts(data)
    if of_parts and not fits(data, of_parts):
        found = of_parts  # a broken byte spoils it for the whole
    if found in ("cp1252", "iso8859-15") and ODD.search(data.decode(found, "replace")):
        found = detected(b" ".join(WORDS_BEYOND.findall(data)))  # an English text with words of another language
    if found != "cp1252" and is_western(data):
        found = "cp1252"
    twin = TWINS.get(found or "")
    if twin and data.decode(twin, "replace") == data.decode(found or "", "replace"):
        found = twin
    return found if found and is_text(data, found) else None


def is_western(data: bytes) -> bool:
    """Whether its letters may be Western, and its words are not rather Eastern European."""
    text = data.decode("cp1252", "replace")
    if not WESTERN.fullmatch(text) or ODD.search(text):
        return False
    words = Counter(re.findall(rb"[a-z\x80-\xff]+", data.lower()))
    west, east = (sum(count for word, count in words.items() if word in known) for known in (WEST, EAST))
    return west >= east


def detected(data: bytes) -> str | None:
    """The encoding that chardet finds, if it is in OLD; else None."""
    import chardet

    if not data:
        return None
    known = (*OLD, "utf-8")  # the latter: none of them
    found = chardet.detect(data, include_encodings=known, compat_names=False, no_match_encoding="utf-8")["encoding"]
    return found if found in OLD else None


def most_parts(data: bytes) -> str | None:
    """The encoding of most parts of a text; None where they do not agree."""
    lines = data.split(b"\n")
    step = -(-len(lines) // PARTS)
    if step < 2:
        return None
    counts = Counter(detected(b"\n".join(lines[at : at + step])) for at in range(0, len(lines), step))
    found, count = counts.most_common(1)[0]
    return found if 2 * count > PARTS else None


def fits(data: bytes, encoding: str) -> bool:
    """Whether all bytes are valid in an encoding."""
    try:
        data.decode(encoding)
        return True
    except UnicodeDecodeError:
        return False


def is_text(data: bytes, encoding: str) -> bool:
    """Whether hardly any characters are control characters or broken."""
    text = data.decode(encoding, "replace")
    return len(re.findall("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f\ufffd]", text)) <= MOST_CONTROL * len(text)


def common_share(data: bytes, encoding: str) -> float:
    """Share of COMMON among the characters beyond ASCII; 0 where the bytes are not valid."""
    beyond = re.sub(r"[\x00-\x7f]+", "", data.decode(encoding, "replace"))
    if beyond.count("\ufffd") > MOST_WRONG * len(beyond):
        return 0.0
    return sum(character in COMMON for character in beyond) / max(1, len(beyond))


def is_damaged_utf8(data: bytes) -> bool:
    """Whether most of what is beyond ASCII is valid UTF-8, so that it is UTF-8 with broken bytes."""
    text = data.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    return sum(1 for _ in re.finditer(r"[^\x00-\x7f\ufffd]", text)) > wrong


def decode(data: bytes, encoding: str | None = None) -> str:
    """The text of the bytes; Unusable with the first byte that is not valid."""
    encoding = encoding or encoding_of(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise bad_bytes(data, error.start, encoding.upper().removesuffix("-SIG")) from None


def decode_kept(data: bytes, encoding: str) -> str:
    """The text, with broken bytes kept as BROKEN; Unusable where that is impossible (UTF-16)."""
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        with contextlib.suppress(UnicodeDecodeError):
            return data.decode(encoding, "surrogateescape")
    return decode(data, encoding)


def bad_bytes(data: bytes, at: int, encoding: str, before: int = 0) -> Unusable:
    """The error for the byte at offset `at`. before: bytes of the file that precede `data`."""
    value = data[at] if at < len(data) else 0
    return Unusable(
        "bad encoding",
        f"not {encoding}: byte {before + at:,} is 0x{value:02x}",
        f"不是 {encoding} 编码：第 {before + at:,} 字节是 0x{value:02x}",
    )


def binary(data: bytes) -> Unusable:
    """The error for data that is not text; it names the kind of file if it is known."""
    what = what_it_is(data)
    if what is None:
        at = data.find(b"\0")
        what = f"NUL at byte {at:,}", f"第 {at:,} 字节是 NUL"
    return Unusable(kind_of(what), f"binary data, no text ({what[0]})", f"是二进制数据，不是文本（{what[1]}）")
