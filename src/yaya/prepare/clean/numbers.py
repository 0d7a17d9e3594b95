"""Numbers that belong to a person: phones, identity cards, passports, bank cards and accounts.

A candidate is a shape; what decides is arithmetic (calendar, check digits) and what the words around it say (context.py).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from yaya.core import han
from yaya.prepare.clean.context import CARD, PHONE, THING, Context, fold, has_words, words

# A cheap test first, since most texts have none: seven digits close together, or six and Hong Kong's check character.
# Both begin with a digit, so the search can jump from digit to digit; looking at the next five characters ends most tries.
BETWEEN = r" .()/\-（）／．－＋‐-―−\u00a0\u2009\u202f\u3000"
RUN = re.compile(
    rf"[0-9０-９](?=[{BETWEEN}0-9０-９]{{5}})"
    rf"(?:(?:[{BETWEEN}]{{0,3}}[0-9０-９]){{6,}}|[0-9０-９]{{5}}[(（][AＡ][)）])"
)
ROUND = (16, 24)  # characters before and after a run of digits that its patterns see

PROVINCES = words(
    "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83"
)
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999
SAYS_IDENTITY = re.compile(
    r"身份证|身分证|身份證|身分證|证件|證件|身份号码|旧证|一代证|\bID[ _]?(?:cards?|no|numbers?|#|:)|identity|identification|national id|resident id|\bsfz",
    re.IGNORECASE,
)
SAYS_PASSPORT = re.compile(
    r"(?:passport|护照|護照|通行证|通行證|台胞证|台胞證|回乡证|回鄉證)(?:[ _]?(?:no|number|#)|号码?|號碼?)?[\s.:：#=\"为是為]{0,4}$",
    re.IGNORECASE,
)
SAYS_SOCIAL = re.compile(r"\b(?:ssn|social security)(?:[ _](?:no|number))?(?: is| was)?[\s.:#=\"]{0,3}$", re.IGNORECASE)
# Shipments and payments also have numbers of 18 digits.
ORDER_NUMBER = re.compile(
    r"(?:订单|訂單|单|單|运|流水|序列|批)(?:编号|編號|号码?|號碼?)?[ ：:#为是為]{0,3}$"
    r"|\b(?:order|tracking|invoice|waybill|serial|transaction|batch)(?:[ _]?(?:number|no|id|ref))?[ .:#=\"]{0,3}$",
    re.IGNORECASE,
)

# Not inside a longer number or word: 3.14, 12-34-56, 123AB are other things. `glued` judges letters just before.
BEFORE = r"(?<![0-9_+])(?<![0-9]-)(?<![0-9\s,\-]\.)(?<![#$€£¥])"
BEHIND = r"(?![A-Za-z0-9_])(?![.\-:][0-9])(?!-[A-Za-z])"
GAP = r"(?: ?- ?| )?"
CHINA = r"\(?(?:\+|00|0)?86\)?[ \-]{0,2}(?:\(0\) ?)?"
EXTENSION = re.compile(r" ?(?:转|轉|ext\.?|x|分机|分機)[ :：]?[0-9]{1,5}(?![0-9])", re.IGNORECASE)


def shape(*alternatives: str, before: str = "", behind: str = "") -> str:
    """A pattern for one of the alternatives, standing by itself. N: a digit; NN{3}: four digits."""
    either = "|".join(alternatives).replace("N", "[0-9]")
    return f"{BEFORE}{before}(?:{either}){BEHIND}{behind}"


NO_DIGITS_BEFORE, NO_DIGITS_BEHIND = "(?<![0-9][ ,])", "(?! [0-9])"
MOBILE = shape(
    rf"(?:{CHINA})?\(?1[3-9]N\)?(?:{GAP}N{{4}}){{2}}",
    rf"(?:{CHINA})?1[3-9]N(?:\.N{{4}}){{2}}",
    rf"(?:{CHINA})?1[3-9]NN[ \-]N{{4}}[ \-]N{{3}}",
)
LANDLINE = shape(rf"(?:{CHINA}\(?0?|\(?0)(?:10|2N|[3-9]NN)\)?[ \-]{{0,2}}[2-9]N{{2,3}}[ \-]?N{{4}}(?:-N{{1,5}})?")
HOTLINE = shape(
    r"[48]00(?:[ \-]?N{3}[ \-]?N{4}|[ \-]?N{4}[ \-]?N{3}|N[ \-]N{3}[ \-]N{3}|N[ \-]N{4}[ \-]NN)(?:-N{1,5})?"
)
ABROAD = shape(r"\(?\+[1-9]N{0,2}\)?(?:[ .\-/]{0,2}\(?N{1,5}\)?){2,6}")
ABROAD_00 = shape(r"00[1-9]N{0,2}\)?(?:[ \-]{0,2}\(?N{2,5}\)?){2,5}", before=NO_DIGITS_BEFORE, behind=NO_DIGITS_BEHIND)
# Hong Kong, Macau and Taiwan without the +; mobiles of Taiwan; numbers that begin with 0 in Europe and Asia.
GREATER_CHINA = shape(
    r"(?:\(85[23]\)|85[23][ \-])[ \-]?[2-9]N{3}[ \-]?N{4}",
    r"(?:\(886\)|886[ \-])[ \-]?\(?0?\)?[2-9]N{0,2}(?:[ \-]?N{3,4}){2}",
    before=NO_DIGITS_BEFORE,
    behind=NO_DIGITS_BEHIND,
)
TAIWAN = shape(r"09NN[ \-]?N{3}[ \-]?N{3}")
TRUNK = shape(r"\(?0[1-9]N{0,3}\)?[ \-/]{0,2}N{2,8}(?:[ \-]N{3,5}){0,2}", before="(?<![0-9] )", behind=NO_DIGITS_BEHIND)
AMERICAN = shape(
    r"(?:1[ .\-])?\([2-9]NN\) ?[2-9]NN[ .\-]?N{4}",
    r"(?:1[ \-])?[2-9]NN[ \-][2-9]NN[ \-]N{4}",
    r"(?:1[.])?[2-9]NN\.[2-9]NN\.N{4}",
    before="(?<![0-9]/)",
)
RUSSIAN = shape(r"8[ \-]?\(?[3-9]NN\)?[ \-]N{3}[ \-]NN[ \-]NN")
AFTER_WORD = shape(r"\(?N(?:[ .\-/()]{0,2}N){6,14}")  # a local form, only where a word says so

IDENTITY = shape(r"[1-9]N{5}[ \-]?N{8}[ \-]?N{3}[0-9Xx]")
IDENTITY_OLD = shape(r"[1-9]N{14}")
IDENTITY_TAIWAN = r"(?<![A-Za-z0-9_\-])[A-Z][1289][0-9]{8}(?![A-Za-z0-9_\-])"
IDENTITY_HONG_KONG = r"(?<![A-Za-z0-9_\-])[A-Z]{1,2}[0-9]{6}\([0-9A]\)"
PASSPORT = r"(?<![A-Za-z0-9_\-])[A-Z]{0,2}[0-9]{6,9}(?![A-Za-z0-9_\-])"
SOCIAL = shape(r"N{3}[ \-]?NN[ \-]?N{4}")
IBAN = r"(?<![A-Za-z0-9_])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"
PAYMENT = shape(
    r"[2-68]N{3}(?:[ \-]?N{4}){2}(?:[ \-]?N{1,4}){1,2}",
    r"3N{3}[ \-]?N{6}[ \-]?N{4,5}",
    behind="(?! [0-9]{1,3}[A-Za-z])",
)
QQ = shape(r"[1-9]N{6,9}")
SAYS_QQ = re.compile(r"(?<![A-Za-z0-9])[Qq]{2}(?:号码?|號碼?|客服|ID|id)?[ ：:是为]{0,3}$")


GLUED = re.compile(r"[A-Za-z]\Z|(?<![A-Za-z])[a-z_]+\(\Z")


class Number(NamedTuple):
    """A candidate: its place, how it is written, its digits (and letters), and its context."""

    text: str
    start: int
    stop: int
    written: str
    digits: str
    context: Context

    @property
    def says(self) -> str:
        return self.context.says(self.start, self.stop)

    @property
    def glued(self) -> bool:
        """Whether a letter comes right before it, as in "AB123", or a function's name, as in "range(123)"."""
        return self.text[self.start] != "(" and bool(GLUED.search(self.before(20)))

    def before(self, size: int = 40) -> str:
        return self.text[max(0, self.start - size) : self.start]


def numbers_in(text: str) -> Iterator[tuple[str, int, int]]:
    """Yields kind, start and end of each personal number in a text."""
    context: Context | None = None
    done = 0
    for run in RUN.finditer(text):
        context = context or Context(text)
        start, stop = max(0, run.start() - ROUND[0]), run.end() + ROUND[1]
        window = fold(text[start:stop])
        for at in START.finditer(window, 0, run.end() - start):
            if start + at.start() < done:
                continue
            found = number_at(text, window, start, at.start(), context)
            if found and found[1].stop > run.start():
                kind, number = found
                more = EXTENSION.match(text, number.stop) if kind == "PHONE" else None
                done = more.end() if more else number.stop
                yield kind, number.start, done


def number_at(text: str, window: str, shift: int, at: int, context: Context) -> tuple[str, Number] | None:
    """The surest kind of number at this place in the window, else None. shift: where the window begins in the text."""
    for kind, firsts, pattern, holds in NUMBERS:
        if window[at] in firsts and (found := pattern.match(window, at)):
            written = found[0]
            bracket = written[0] == "(" and ")" not in written
            digits = NO_DIGITS.sub("", written)
            number = Number(text, shift + at + bracket, shift + found.end(), written[bracket:], digits, context)
            if holds(number):
                return kind, number
    return None


def is_identity(number: Number) -> bool:
    """Whether province, birthday and check digit of an 18-digit number are right (ISO 7064, MOD 11-2)."""
    digits = number.digits.upper()
    total = sum(int(digit) * weight for digit, weight in zip(digits[:17], WEIGHTS, strict=True))
    right = digits[:2] in PROVINCES and is_birthday(digits[6:14]) and "10X98765432"[total % 11] == digits[17]
    glued = number.glued and not SAYS_IDENTITY.search(number.before(12))
    return right and not glued and not ORDER_NUMBER.search(number.before())


def is_old_identity(number: Number) -> bool:
    """Whether words nearby say that these 15 digits are an identity number: they have no check digit."""
    near = number.before() + " " + number.text[number.stop : number.stop + 20].partition("\n")[0]
    if number.digits[:2] not in PROVINCES or not is_birthday("19" + number.digits[6:12]):
        return False
    if number.says == THING and not SAYS_IDENTITY.search(number.before(12)):
        return False
    return bool(SAYS_IDENTITY.search(near) or SAYS_IDENTITY.search(number.context.header(number.start)))


def is_birthday(digits: str) -> bool:
    """Whether YYYYMMDD is a date that can be a birthday."""
    try:
        day = datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return False
    return 1900 <= day.year <= 2100


def is_taiwanese(number: Number) -> bool:
    """Whether the check digit is right for Taiwan, and words say what the number is."""
    area = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(number.digits[0]) + 10
    values = [area // 10, area % 10, *map(int, number.digits[1:])]
    total = sum(value * weight for value, weight in zip(values, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1), strict=True))
    return total % 10 == 0 and bool(
        SAYS_IDENTITY.search(number.before()) or re.search("統一編號|统一编号", number.before())
    )


def is_hong_kong(number: Number) -> bool:
    """Whether the check digit in brackets is right for Hong Kong."""
    letters = number.digits[:-7]
    values = [36] * (2 - len(letters)) + [ord(letter) - 55 for letter in letters] + list(map(int, number.digits[-7:-1]))
    total = sum(value * weight for value, weight in zip(values, range(9, 1, -1), strict=True))
    return "0123456789A"[-total % 11] == number.digits[-1]


def said_by(words: re.Pattern[str]) -> Callable[[Number], bool]:
    """A check by the words before a number alone."""
    return lambda number: has_words(number.before()) and words.search(number.before()) is not None


def is_iban(number: Number) -> bool:
    """Whether the remainder modulo 97 is 1 (ISO 13616)."""
    moved = number.digits[4:] + number.digits[:4]
    return len(moved) >= 15 and int("".join(str(int(c, 36)) for c in moved)) % 97 == 1


def is_card(number: Number) -> bool:
    """Whether issuer, length and check digit (Luhn) are those of a card."""
    digits = number.digits
    size, two, four = len(digits), int(digits[:2]), int(digits[:4])
    issued = (
        (two in (62, 81) and 16 <= size <= 19)
        or (digits[0] == "4" and size in (16, 19))
        or (size == 16 and (51 <= two <= 55 or 2200 <= four <= 2204 or 2221 <= four <= 2720))
        or (size == 15 and two in (34, 37))
        or (size == 14 and (two in (36, 38, 39) or 3000 <= four <= 3059))
        or (size == 16 and (3528 <= four <= 3589 or four == 6011 or two in (60, 64, 65)))
        or (size in (13, 17, 18) and digits[0] in "456" and number.says == CARD)
    )
    return issued and luhn(digits) and number.says != THING and (number.says == CARD or not number.glued)


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def is_phone(number: Number) -> bool:
    """Whether it has the length of a phone number (ITU-T E.164), and nothing around it says otherwise."""
    said = number.says
    return 8 <= len(number.digits) <= 17 and said not in (THING, CARD) and (said == PHONE or stands_alone(number))


FRACTION = re.compile(r"(?<!\d)\d{1,6}/\Z|[A-Za-z]\.\Z")
SHORT_BEHIND = re.compile(r"/\d{1,6}(?!\d)")


def stands_alone(number: Number) -> bool:
    """Whether it is neither part of a fraction nor glued to a word."""
    return not (number.glued or FRACTION.search(number.before(8)) or SHORT_BEHIND.match(number.text, number.stop))


def is_abroad(number: Number) -> bool:
    """After a +: 10 digits or more, or gaps between them. After 00: both. Or a word says that it is a phone."""
    gaps, long = not number.written.lstrip("(+").isdigit(), len(number.digits) >= 10
    likely = (gaps or long) if "+" in number.written else (gaps and long)
    return (likely or number.says == PHONE) and is_phone(number)


GROUP = re.compile("[0-9]+")
# Digits of each group: 02 2731 4096, 0171 2839405, ...
GROUPS = {(2, 4, 4), (2, 3, 4), (2, 8), (2, 7), (3, 4, 4), (3, 3, 4), (3, 5, 3), (3, 7), (3, 8), (3, 6),
          (4, 3, 3), (4, 3, 4), (4, 8), (4, 7), (4, 6), (5, 6), (5, 3, 3)}  # fmt: skip


def is_national(number: Number) -> bool:
    """Whether its digits are grouped like those of a phone number."""
    groups = tuple(map(len, GROUP.findall(number.written)))
    return groups in GROUPS and is_phone(number)


LOCAL = re.compile(r"(?:\(\d+\)\d*|\(?\d+)(?:[ .\-/]{1,2}\d{2,})*")
# 8.25, 2024-05-13, 13.05.2024, 1998/1999
NO_LOCAL = re.compile(
    r"\d+\.\d+|(?:19|20)\d\d(?:[ ./\-]?[01]\d[ ./\-]?[0-3]\d|[ /\-](?:19|20)\d\d)|[0-3]?\d[./\-][01]?\d[./\-](?:19|20)\d\d"
)
SAID_ALOUD = re.compile(r"[:：=][^\w,;]*$|(?:tel|fax|number|is|at|on)\.? ?$|[" + han.COMMON + r"] ?$", re.IGNORECASE)


def is_said_phone(number: Number) -> bool:
    """Whether it is a local number after a word for phones, and no date or decimal."""
    written = number.written
    if not LOCAL.fullmatch(written) or NO_LOCAL.fullmatch(written):
        return False
    short = written.isdigit() and len(written) <= 8  # many things have numbers like that
    return not (short and not SAID_ALOUD.search(number.before(20))) and number.says == PHONE


# What numbers may be, the surest first: kind of placeholder, first characters, pattern, check.
CAPITALS, DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
NUMBERS: list[tuple[str, str, re.Pattern[str], Callable[[Number], bool]]] = [
    (kind, firsts, re.compile(pattern), holds)
    for kind, firsts, pattern, holds in (
        ("ACCOUNT", CAPITALS, IBAN, is_iban),
        ("ACCOUNT", "123456789", QQ, said_by(SAYS_QQ)),
        ("ID", "12345678", IDENTITY, is_identity),
        ("ID", "12345678", IDENTITY_OLD, is_old_identity),
        ("ID", CAPITALS, IDENTITY_TAIWAN, is_taiwanese),
        ("ID", CAPITALS, IDENTITY_HONG_KONG, is_hong_kong),
        ("ID", CAPITALS + DIGITS, PASSPORT, said_by(SAYS_PASSPORT)),
        ("ID", DIGITS, SOCIAL, said_by(SAYS_SOCIAL)),
        ("CARD", "234568", PAYMENT, is_card),
        ("PHONE", "1+08(", MOBILE, is_phone),
        ("PHONE", "0+8(", LANDLINE, is_phone),
        ("PHONE", "48", HOTLINE, is_phone),
        ("PHONE", "+(", ABROAD, is_abroad),
        ("PHONE", "0", ABROAD_00, is_abroad),
        ("PHONE", "8(", GREATER_CHINA, is_phone),
        ("PHONE", "0", TAIWAN, is_phone),
        ("PHONE", "0(", TRUNK, is_national),
        ("PHONE", "8", RUSSIAN, is_phone),
        ("PHONE", "(123456789", AMERICAN, is_phone),
        ("PHONE", "(" + DIGITS, AFTER_WORD, is_said_phone),
    )
]
START = re.compile(r"(?<![0-9+(])[(+0-9]|(?<![A-Za-z])[A-Z]|(?<=\()[+0-9]")
NO_DIGITS = re.compile(r"[^0-9A-Za-z]")
