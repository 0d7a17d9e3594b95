"""Personal data is masked: e-mail and IP addresses, phone numbers, Chinese identity numbers, bank cards.

Every pattern takes linear time: runs are bounded, and a candidate is checked by code (calendar, checksum, ranges).
The same value gets the same placeholder throughout a document: [EMAIL_1], [EMAIL_2], [PHONE_1], ...
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Callable

# Cheap looks first, since most texts have none: seven digits near each other, four numbers with dots, two colons.
LONG_NUMBER = re.compile(r"[0-9](?:[ .()（）\-]{0,3}[0-9]){6}")
DOTTED = re.compile(r"\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:")
# No letter, digit or part of a longer number before or behind: 3.14, 12-34-56, AB123 are other things.
BEFORE, BEHIND = r"(?<![A-Za-z0-9_])(?<![0-9][.\-/:])(?<![#$€£¥＄￥])", r"(?![A-Za-z0-9_])(?![.\-/:][0-9])(?!-[A-Za-z])"

EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9_][A-Za-z0-9._%+\-]{0,63}@(?:[A-Za-z0-9][A-Za-z0-9\-]{0,62}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])"
)
IPV4 = re.compile(r"(?<![0-9A-Za-z_.\-])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z_\-]|\.[0-9])")
IPV6 = re.compile(r"(?<![0-9A-Za-z_:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![0-9A-Za-z_:])")
# Words shortly before four numbers that say what they count: versions, chapters, object identifiers.
VERSION = re.compile(
    r"\b[vV]$|§|\b(?:ver|version|release|build|firmware|upgrade|update|patch|driver|kernel|section|chapter|clause|oid)\b|版本|固件|升级|补丁|驱动|章|节|条款",
    re.IGNORECASE,
)
ADDRESS = re.compile(r"\bip\b|address|server|host|ping|from|客户端|服务器|地址|主机|来自", re.IGNORECASE)
FILES = frozenset(
    [
        "png",
        "jpg",
        "jpeg",
        "gif",
        "webp",
        "svg",
        "ico",
        "bmp",
        "css",
        "scss",
        "js",
        "jsx",
        "ts",
        "tsx",
        "json",
        "xml",
        "yaml",
        "yml",
        "toml",
        "lock",
        "md",
        "txt",
        "html",
        "htm",
        "py",
        "rb",
        "go",
        "rs",
        "c",
        "h",
        "cpp",
        "java",
        "kt",
        "sh",
        "zip",
        "gz",
        "tar",
        "pdf",
        "mp3",
        "mp4",
        "mov",
        "wav",
        "ttf",
        "woff",
    ]
)

IDENTITY = re.compile(rf"{BEFORE}[1-9][0-9]{{16}}[0-9Xx]{BEHIND}")
IDENTITY_OLD = re.compile(rf"{BEFORE}[1-9][0-9]{{14}}{BEHIND}")
SAYS_IDENTITY = re.compile(r"身份证|证件号|ID card|identity (?:card|number)", re.IGNORECASE)
PROVINCES = frozenset(
    [
        "11",
        "12",
        "13",
        "14",
        "15",
        "21",
        "22",
        "23",
        "31",
        "32",
        "33",
        "34",
        "35",
        "36",
        "37",
        "41",
        "42",
        "43",
        "44",
        "45",
        "46",
        "50",
        "51",
        "52",
        "53",
        "54",
        "61",
        "62",
        "63",
        "64",
        "65",
        "71",
        "81",
        "82",
        "83",
    ]
)
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999

CARD = re.compile(
    rf"{BEFORE}[2-6][0-9]{{3}}(?:([ \-]?)[0-9]{{4}}){{2}}(?:[ \-]?[0-9]{{1,4}}){{1,2}}{BEHIND}|{BEFORE}3[47][0-9]{{2}}[ \-]?[0-9]{{6}}[ \-]?[0-9]{{5}}{BEHIND}"
)

MOBILE = re.compile(rf"(?:(?<![0-9A-Za-z_+])(?:\+|00)?86[ \-]?|{BEFORE})1[3-9][0-9](?:[ \-]?[0-9]{{4}}){{2}}{BEHIND}")
LANDLINE = re.compile(
    rf"{BEFORE}(?:(?:\+|00)?86[ \-]?)?[(（]?0(?:10|2[0-9]|[3-9][0-9]{{2}})(?:[)）] ?|[ \-]?)[2-9][0-9]{{2,3}}[ \-]?[0-9]{{4}}(?:[ \-转]{{1,2}}[0-9]{{1,5}})?{BEHIND}"
)
HOTLINE = re.compile(rf"{BEFORE}[48]00(?:[ \-]?[0-9]{{3,4}}[ \-]?[0-9]{{3,4}}){BEHIND}")
ABROAD = re.compile(
    r"(?<![0-9A-Za-z_+])(?:\+|00(?=[1-9][0-9 \-()]{8}))[1-9][0-9]{0,2}(?:[ .\-]{0,2}\(?[0-9]{1,5}\)?){2,6}(?![0-9A-Za-z_])(?![.\-/:,][0-9])"
)
AMERICAN = re.compile(
    r"(?<![0-9A-Za-z_.\-/+#$])(?:1[ .\-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}([ .\-]))[2-9][0-9]{2}[ .\-][0-9]{4}(?![0-9A-Za-z_])(?![.\-/:,][0-9])"
)
# A number in such words is another kind of number, whatever it looks like.
OTHER_NUMBER = re.compile(
    r"(?:订单|单号|运单|编号|序列号|流水号|货号|型号|条码|ISBN|工号|票号|批号|学号|order|tracking|invoice|serial|ticket|reference|ref|item|part|model|sku|case|batch|no)[a-z]{0,8}(?: ?(?:number|no\.?|id|code))?[ .:：#为是号码]{0,4}$",
    re.IGNORECASE,
)
ORDER_NUMBER = re.compile(
    r"(?:订单|单号|运单|流水号|order|tracking|invoice)[a-z ]{0,8}[ .:：#为是号码]{0,4}$", re.IGNORECASE
)
CLAUSE = re.compile(r" ?[条章节款项版]")
LOOK_BACK = 40  # characters before a number that are looked at


def mask_personal(text: str, allowed: frozenset[str] = frozenset()) -> str:
    """The text with placeholders. allowed: values that stay, compared without spaces, hyphens and brackets."""
    masker = Masker(allowed)
    return masker.mask(text)


class Masker:
    """Masks the texts of one document, with one numbering for all of them."""

    def __init__(self, allowed: frozenset[str] = frozenset()):
        self.allowed = frozenset(bare(value) for value in allowed)
        self.numbers: dict[tuple[str, str], str] = {}
        self.counts: dict[str, int] = {}

    def mask(self, text: str) -> str:
        if "@" in text:
            text = self.replace(EMAIL, "EMAIL", text, is_email)
        if LONG_NUMBER.search(text):
            text = self.replace(IDENTITY, "ID", text, is_identity)
            text = self.replace(IDENTITY_OLD, "ID", text, is_old_identity)
            text = self.replace(CARD, "CARD", text, is_card)
            for pattern in (MOBILE, LANDLINE, HOTLINE, ABROAD, AMERICAN):
                text = self.replace(pattern, "PHONE", text, is_phone)
        if DOTTED.search(text):
            text = self.replace(IPV4, "IP", text, is_ip)
        return self.replace(IPV6, "IP", text, is_ip) if COLONS.search(text) else text

    def replace(self, pattern: re.Pattern[str], kind: str, text: str, holds: Callable[[re.Match[str]], bool]) -> str:
        def placeholder(found: re.Match[str]) -> str:
            value = bare(found[0])
            value = re.sub(r"^(\+|00)86", "", value) if kind == "PHONE" else value
            if value in self.allowed or not holds(found):
                return found[0]
            if (kind, value) not in self.numbers:
                self.counts[kind] = self.counts.get(kind, 0) + 1
                self.numbers[kind, value] = f"[{kind}_{self.counts[kind]}]"
            return self.numbers[kind, value]

        return pattern.sub(placeholder, text)


def bare(value: str) -> str:
    """`400-800 1234` -> `4008001234`."""
    return re.sub(r"[\s\-()（）]", "", value).lower()


def before(found: re.Match[str]) -> str:
    """What stands just before a match."""
    return found.string[max(0, found.start() - LOOK_BACK) : found.start()]


def is_email(found: re.Match[str]) -> bool:
    """No picture like logo@2x.png and no address of a repository like git@host:path."""
    name, _, domain = found[0].rpartition("@")
    behind = found.string[found.end() : found.end() + 2]
    repository = name.lower() in ("git", "hg", "svn") and (behind[:1] in (":", "/") or before(found).endswith("://"))
    return domain.rpartition(".")[2].lower() not in FILES and not repository


def is_identity(found: re.Match[str]) -> bool:
    """Province, birthday and check digit of an 18-digit number are right (ISO 7064, MOD 11-2)."""
    digits = found[0].upper()
    total = sum(int(digit) * weight for digit, weight in zip(digits[:17], WEIGHTS, strict=True))
    return (
        digits[:2] in PROVINCES
        and is_birthday(digits[6:14])
        and "10X98765432"[total % 11] == digits[17]
        and not ORDER_NUMBER.search(before(found))
    )


def is_old_identity(found: re.Match[str]) -> bool:
    """15 digits have no check digit, so the words before must say what they are."""
    digits = found[0]
    return digits[:2] in PROVINCES and is_birthday("19" + digits[6:12]) and bool(SAYS_IDENTITY.search(before(found)))


def is_birthday(digits: str) -> bool:
    """YYYYMMDD is a day on which a person alive today may have been born."""
    try:
        day = datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return False
    return 1900 <= day.year <= 2100


def is_card(found: re.Match[str]) -> bool:
    """A known issuer's number of the right length whose check digit holds (Luhn)."""
    digits = re.sub(r"[ \-]", "", found[0])
    size, two, four = len(digits), int(digits[:2]), int(digits[:4])
    issued = (
        (two == 62 and 16 <= size <= 19)
        or (digits[0] == "4" and size in (13, 16, 19))
        or (size == 16 and (51 <= two <= 55 or 2221 <= four <= 2720))
        or (size == 15 and two in (34, 37))
        or (size == 16 and (3528 <= four <= 3589 or four == 6011 or two in (64, 65)))
    )
    return issued and luhn(digits) and not OTHER_NUMBER.search(before(found))


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def is_phone(found: re.Match[str]) -> bool:
    """8 to 15 digits (ITU-T E.164), and the words before do not say that it is something else."""
    digits = sum(c.isdigit() for c in found[0])
    return 8 <= digits <= 17 and not OTHER_NUMBER.search(before(found))


def is_ip(found: re.Match[str]) -> bool:
    """An address that reaches someone: not private, local or for examples, and no version number."""
    try:
        address = ipaddress.ip_address(found[0])
    except ValueError:
        return False
    parts = sum(map(bool, found[0].split(":")))
    if not address.is_global or address.is_multicast or (address.version == 6 and parts < 3):
        return False
    if CLAUSE.match(found.string, found.end()):
        return False
    words = before(found)
    version = VERSION.search(words)
    return version is None or bool(ADDRESS.search(words, version.end()))
