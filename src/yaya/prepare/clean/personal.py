"""Masks personal data: e-mail and IP addresses, phone, identity, passport and card numbers, accounts.

Every pattern takes linear time: runs are bounded, and code checks each candidate (calendar, checksum, ranges, and the
words around it, see numbers.py). The same value gets the same placeholder throughout a document:
[EMAIL_1], [EMAIL_2], [PHONE_1], ...
"""

from __future__ import annotations

import ipaddress
import re
from functools import cache
from typing import NamedTuple

from yaya.prepare.clean.context import fold, has_words, words
from yaya.prepare.clean.numbers import numbers_in

# Cheap tests first, since most texts have none: four numbers with dots, two colons.
DOTTED = re.compile(r"\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:")

LETTERS = "A-Za-z\u00c0-\u024f\u0370-\u03ff\u0400-\u052f"
EMAIL = re.compile(
    rf"(?<![{LETTERS}0-9._%+\-])[{LETTERS}0-9_](?:[{LETTERS}0-9._%+\-]|(?<=[A-Za-z])'(?=[A-Za-z])){{0,63}}(?:@|(?<=[A-Za-z0-9])%40)"
    rf"(?:[{LETTERS}0-9][{LETTERS}0-9\-]{{0,62}}\.){{1,8}}[{LETTERS}]{{2,24}}(?![{LETTERS}0-9])"
)
SPELT_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9][A-Za-z0-9._%+\-]{0,63}(?: ?[\[({]at[\])}] ?(?:[A-Za-z0-9\-]{1,63}(?:\.| ?[\[({]dot[\])}] ?| dot )){1,4}"
    r"| at (?:[A-Za-z0-9\-]{2,63} dot ){1,4}(?=(?:com|org|net|edu|gov|info|io|ai|dev|app|me|co|eu|us|uk|cn|hk|tw|jp|kr|sg|in|au|ca|de|fr|es|it"
    r"|nl|se|ch|br|ru)\b))[A-Za-z]{2,24}(?![A-Za-z0-9])",
    re.IGNORECASE,
)
# Extensions of files that are not a domain's: logo@2x.png.
FILES = words(
    "png jpg jpeg gif webp svg ico bmp css scss js jsx tsx json xml yaml yml toml lock txt html htm rb java kt gz tar pdf mp3 mp4 wav"
    " ttf woff"
)
NO_DOMAIN = re.compile(r"\d+x\.|\d+\.\d+\.")  # "2x.", "4.17."; but 163.com is one

IPV4 = re.compile(
    r"(?<![0-9A-Za-z_.\-])(?<![A-Za-z]/)(?<![=<>~!]=)(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z_\-]|\.[0-9])"
)
IPV6 = re.compile(r"(?<![0-9A-Za-z_:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![0-9A-Za-z_:])")
# Words before four numbers that make them versions, chapters or object identifiers.
VERSION = re.compile(
    r"\b[vV]$|§|[=<>~]=|\b(?:ver|versions?|releases?|builds?|firmware|upgrade|update|patch|drivers?|kernel|sections?|chapters?|clauses?|oids?"
    r"|appendix)\b|版本|固件|升级|补丁|驱动|章节|条款|附录|第 ?$",
    re.IGNORECASE,
)
HOST = re.compile(
    r"\bip\b|addr|server|host|ping|from|by|client|peer|src|dst|客户端|服务器|地址|主机|来自|访问|伺服器", re.IGNORECASE
)
CLAUSE = re.compile(r" ?[条章节款项版]")
SMALL = 64  # the largest part of a version or chapter

WECHAT = re.compile(
    r"(?<![A-Za-z])(?:微信|[Ww]e[Cc]hat|wx|vx)(?:号|號|ID|[ _]?id)?[ ：:是为]{1,3}([A-Za-z][A-Za-z0-9_\-]{5,19})(?![A-Za-z0-9_\-@.])"
)


class Span(NamedTuple):
    """Personal data in a text: its place, its kind, and its value in one spelling."""

    start: int
    stop: int
    kind: str
    value: str


def mask_personal(text: str) -> str:
    return Masker().mask(text)


class Masker:
    """Masks the texts of one document, with one numbering for all. allowed: values that stay, however written."""

    def __init__(self, allowed: frozenset[str] = frozenset()):
        self.allowed = bare_values(allowed)
        self.names: dict[tuple[str, str], str] = {}
        self.counts: dict[str, int] = {}

    def mask(self, text: str) -> str:
        """Returns the text with a placeholder for each personal value that is not allowed."""
        spans = personal_in(text)
        if not spans:
            return text
        parts, at = [], 0
        for span in spans:
            if span.value not in self.allowed:
                parts += [text[at : span.start], self.name(span)]
                at = span.stop
        return "".join([*parts, text[at:]])

    def name(self, span: Span) -> str:
        key = span.kind, span.value
        if key not in self.names:
            self.counts[span.kind] = self.counts.get(span.kind, 0) + 1
            self.names[key] = f"[{span.kind}_{self.counts[span.kind]}]"
        return self.names[key]


@cache
def bare_values(allowed: frozenset[str]) -> frozenset[str]:
    """The allowed values as they are compared: as addresses, and as numbers."""
    return frozenset(bare(kind, value) for value in allowed for kind in ("EMAIL", "PHONE"))


def bare(kind: str, value: str) -> str:
    """`400-800 1234` -> `4008001234`, `+86 138...` -> `138...`: one spelling for each value."""
    value = fold(value).lower()
    if kind == "EMAIL" or (kind == "IP" and ":" in value):
        return value
    value = re.sub(r"(?:转|轉|ext|x|分机|分機).*", "", value) if kind == "PHONE" else value
    value = re.sub(r"[^0-9a-z_.]" if kind in ("IP", "ACCOUNT") else r"[^0-9a-z+]", "", value)
    return re.sub(r"^(?:\+|00?)?86(?=0?[1-9][0-9]{8})|^\+", "", value) if kind == "PHONE" else value


def personal_in(text: str) -> list[Span]:
    """The personal data in a text, in order and without overlaps."""
    found: list[Span] = []
    wide = not text.isascii()
    if "@" in text or ("%" in text and "%40" in text) or (wide and "＠" in text):
        found += (span_of("EMAIL", text, *m.span()) for m in EMAIL.finditer(text.replace("＠", "@")) if is_email(m))
    if "(at)" in text or " dot " in text or ("[" in text and "[at]" in text) or ("{" in text and "{at}" in text):
        found += (span_of("EMAIL", text, *m.span()) for m in SPELT_EMAIL.finditer(text))
    if (wide and "微信" in text) or "WeChat" in text:
        found += (span_of("ACCOUNT", text, *m.span(1)) for m in WECHAT.finditer(text) if is_wechat(m))
    found += (span_of(kind, text, start, stop) for kind, start, stop in numbers_in(text))
    if DOTTED.search(text):
        found += (span_of("IP", text, *m.span()) for m in IPV4.finditer(text) if is_ip(m))
    if COLONS.search(text):
        found += (span_of("IP", text, *m.span()) for m in IPV6.finditer(text) if is_ip(m))
    if len(found) < 2:
        return found
    out: list[Span] = []
    for span in sorted(found, key=lambda span: span.start):  # stable: of two at one place, the first kind
        if not out or span.start >= out[-1].stop:
            out.append(span)
    return out


def span_of(kind: str, text: str, start: int, stop: int) -> Span:
    return Span(start, stop, kind, bare(kind, text[start:stop]))


def is_email(found: re.Match[str]) -> bool:
    """False for pictures (logo@2x.png), packages (package@1.2.3) and remote paths (git@host:path)."""
    name, domain = re.split("@|%40", found[0], maxsplit=1)
    text, stop = found.string, found.end()
    behind, before = text[stop : stop + 2], text[max(0, found.start() - 3) : found.start()]
    place = behind in (":/", ":~") or (
        name.lower() in ("git", "hg", "svn") and (behind[:1] in (":", "/") or before == "://")
    )
    return not (place or domain.rpartition(".")[2].lower() in FILES or NO_DOMAIN.match(domain))


def is_wechat(found: re.Match[str]) -> bool:
    """Whether it has a digit or a mark, or follows 号: "WeChat: available" is no account."""
    return bool(re.search(r"[0-9_\-]", found[1])) or "号" in found[0] or "號" in found[0]


def is_ip(found: re.Match[str]) -> bool:
    """Whether it is a public address: not private, local or reserved, and no version number."""
    try:
        address = ipaddress.ip_address(found[0])
    except ValueError:
        return False
    if not address.is_global or address.is_multicast:
        return False
    if address.version == 6:
        return sum(map(bool, found[0].split(":"))) >= 3 and int(address) >> 125 == 1  # 2000::/3, what is given out
    if CLAUSE.match(found.string, found.end()):
        return False
    before = found.string[max(0, found.start() - 60) : found.start()]
    versions = list(VERSION.finditer(before)) if has_words(before) or "=" in before else []
    if not versions or HOST.search(before, versions[-1].end()):
        return True
    between, parts = before[versions[-1].end() :], found[0].split(".")
    named = re.match(r"\W{0,4}(\d+)\.", between)  # another version of the same
    return len(between) > 4 and max(map(int, parts)) > SMALL and not (named and named[1] == parts[0])
