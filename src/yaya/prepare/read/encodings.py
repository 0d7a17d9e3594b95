"""Bytes -> text: UTF-8, else UTF-16 or UTF-32 by their mark, else what it reads like: GB18030, Big5 or Latin-1."""

from __future__ import annotations

import re

from yaya.prepare.document import Unusable

# Characters that make up a third of any Chinese text, in both scripts. Read in the wrong encoding, rare ones come out.
COMMON = frozenset(
    "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可里后小么心多天而能好都然没日于起还发"
    "成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长這個來國說們為時會過學對裡後麼發無開當還兒經頭長與將現實點樣，。"
)
LIKELY = 0.15  # share of COMMON from which on it is that encoding
MANY_HIGH = 0.3  # of all bytes: more of them is no Western text
SEEN = 200_000  # bytes that are judged
ENCODINGS = {"gb18030": "GB18030", "big5hkscs": "Big5", "cp1252": "Latin-1"}  # name for the user


def encoding_of(data: bytes) -> str:
    """`utf-8-sig`, `utf-16`, `utf-32` or a key of ENCODINGS; Unusable for binary data and for anything else."""
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
        found = None if is_damaged_utf8(data) else old_encoding(data)
        if found is None:
            raise bad_bytes(data, error.start, "UTF-8") from None
        return found


def old_encoding(data: bytes) -> str | None:
    """Which of the encodings from before Unicode it reads like, if any."""
    shares = {name: common_share(data, name) for name in ("gb18030", "big5hkscs")}
    best = max(shares, key=lambda name: shares[name])
    if shares[best] >= LIKELY:
        return best
    text = data[:SEEN].decode("cp1252", "replace")
    high = [character for character in text if character > "\x7f"]
    letters = sum(character.isalpha() or character in "“”‘’–—…«»°§©®€£ " for character in high)
    western = "\ufffd" not in high and len(high) <= MANY_HIGH * len(text) and letters >= 0.9 * len(high)
    return "cp1252" if western and not re.search("[\x00-\x08\x0e-\x1f]", text) else None


def common_share(data: bytes, encoding: str) -> float:
    """Share of COMMON among the characters beyond ASCII; 0 where the bytes do not fit."""
    try:
        beyond = re.sub(r"[\x00-\x7f]+", "", data.decode(encoding))
    except UnicodeDecodeError:
        return 0.0
    return sum(character in COMMON for character in beyond) / max(1, len(beyond))


def is_damaged_utf8(data: bytes) -> bool:
    """Whether most of what is beyond ASCII is valid UTF-8, so that it is that, with broken bytes."""
    text = data.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    return sum(1 for _ in re.finditer(r"[^\x00-\x7f\ufffd]", text)) > wrong


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
