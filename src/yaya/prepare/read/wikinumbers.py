"""Numbers, quantities and dates in Wikipedia's templates, and what templates are given: arguments and page."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from yaya.prepare.read.wikinames import TABLES, Site, words

HOLE = "\x03"  # marks where something was left out, so that brackets and blanks around it can be cleaned up
HIDDEN_BAR, HIDDEN_EQUALS = "\x01", "\x02"  # | and = from inner templates, which do not separate arguments
WHITE = " \t\n" + HOLE
LITTLE = WHITE + ",;:，；、："  # between holes
NAMED = re.compile(r"\s*([^\W\d_][\w \-]{0,30}|\d{1,2})\s*=")


@dataclass
class WikiPage:
    """What templates can ask about their page: wiki, title, and day of the revision (2014-10-26; "" if unknown)."""

    site: Site = field(default_factory=Site)
    title: str = ""
    date: str = ""
    disambiguates: bool = False  # set by its template


class Arguments:
    """The arguments of a template: `a[0]` by place, `a["lc"]` by name; "" where there is none."""

    __slots__ = ("named", "values")

    def __init__(self, parts: list[str]) -> None:
        self.values: list[str] = []
        self.named: dict[str, str] = {}
        for part in parts:
            found = NAMED.match(part) if "=" in part else None
            value = part[found.end() :] if found else part
            value = value.strip(WHITE) if HOLE not in value or value.strip(LITTLE) else ""
            if found is None:
                self.values.append(value)
            elif not found[1].isdecimal():
                self.named[found[1].strip().lower()] = value
            elif found[1] != "0":  # {{t|1=value}}
                place = int(found[1]) - 1
                self.values += [""] * (place + 1 - len(self.values))
                self.values[place] = value

    def __getitem__(self, key: int | str) -> str:
        if isinstance(key, str):
            return self.named.get(key, "")
        return self.values[key] if key < len(self.values) else ""

    def any(self, *keys: int | str) -> str:
        """The first of these that is not empty."""
        return next((self[key] for key in keys if self[key]), "")


Template = Callable[[Arguments, WikiPage], str]


# -- numbers and units

NUMBER = re.compile(r"[+\-−]?(?:\d|[.,]\d)[\d.,/+]*(?:e[+\-−]?\d+)?$")
RANGES: dict[str, str] = TABLES["ranges"]
IN_CHINESE = {" to ": "至", " and ": "和", " or ": "或", " by ": "×"}
UNITS: dict[str, str] = TABLES["units"]
MILLIONS = {"3": "thousand", "6": "million", "9": "billion", "12": "trillion"}
SUPERSCRIPTS = str.maketrans("0123456789+-−–=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻⁼⁽⁾ⁿⁱ")


def superscript(text: str) -> str:
    """10<sup>6</sup> is not 106: digits become superscripts; other text gets a ^, but not words (1<sup>st</sup>)."""
    text = html.unescape(text).strip()
    if all(ord(letter) in SUPERSCRIPTS for letter in text):
        return text.translate(SUPERSCRIPTS)
    return f"^{text}" if text[:1].isdecimal() or text[:1] in "+-−" else text


def unit_name(unit: str, one: bool = False) -> str:
    """The name of a unit: km2 -> km², sqmi -> sq mi, e6acre -> million acres. one: in the singular."""
    power = re.match(r"e(3|6|9|12)(?=\D)", unit)
    if power:
        return f"{MILLIONS[power[1]]} {unit_name(unit[power.end() :])}"
    if unit in UNITS and not (one and UNITS[unit].isalpha()):
        return UNITS[unit]
    return re.sub(r"(?<=[a-z])[23](?![\d.])", lambda found: superscript(found[0]), unit)


def amount(values: list[str], language: str = "") -> tuple[str, int]:
    """A number or range, and how many values it takes: `3 | to | 5 | km` -> ("3 to 5", 3)."""
    text, at = written(values[0]) if values else "", 1
    while at + 1 < len(values) and values[at] in RANGES and NUMBER.match(values[at + 1]):
        between = RANGES[values[at]]
        text += (IN_CHINESE.get(between, between) if language == "zh" else between) + written(values[at + 1])
        at += 2
    return text, at


def written(number: str) -> str:
    """A number as people write it: 1+1/2 -> 1 1/2."""
    return re.sub(r"^(\d+)\+(\d+/+\d+)$", r"\1 \2", number).replace("//", "/")


def convert(a: Arguments, page: WikiPage) -> str:
    """{{convert|3|to|5|km|mi}}, {{convert|5|ft|6|in|m}}: the given value, not what it is converted to."""
    text, at = amount(a.values, page.site.language)
    unit, adjective = a[at], a["adj"] in ("on", "mid")
    name = unit_name(unit, one=adjective or text == "1")
    if a["disp"] in ("unit", "unit2"):
        return name
    hyphen = a["adj"] == "mid" or (adjective and len(name) > 3 and name.isalpha())
    text += ("-" if hyphen else " ") + name
    rest = a.values[at + 1 :]
    while len(rest) > 1 and NUMBER.match(rest[0]):
        text, rest = f"{text} {rest[0]} {unit_name(rest[1])}", rest[2:]
    if a["adj"] == "mid" and rest:
        text += f"-{rest[-1].lstrip('-')}"
    return text.strip()


def value(a: Arguments, page: WikiPage) -> str:
    """{{val|3.5|0.2|e=6|u=kg}}: uncertainty, power of ten, unit."""
    text, at = amount(a.values, page.site.language)
    if at == 1 and a[1]:
        text += f" {' '.join(a.values[1:3])}" if a[1][0] in "+-−" else a[1] if a[1][0] == "(" else f" ± {a[1]}"
    if a["e"]:
        text += power_of_ten(a["e"]) if text else f"10{superscript(a['e'])}"
    unit, per = unit_name(a.any("u", "ul", "end")), unit_name(a.any("up", "upl"))
    unit += f"/{per}" if per else ""
    blank = " " if unit and unit[0] not in "%°/" else ""
    return f"{a.any('p', 'prefix')}{text}{blank}{unit}{a.any('s', 'suffix')}"


def power_of_ten(exponent: str) -> str:
    return f"×10{superscript(exponent)}"


def fraction(a: Arguments, page: WikiPage) -> str:
    """{{frac|3|4}}, {{frac|1|3|4}}, {{frac|2}}."""
    numbers = [number for number in a.values if number]
    if len(numbers) == 3:
        return f"{numbers[0]} {numbers[1]}/{numbers[2]}"
    return "/".join(numbers if len(numbers) == 2 else ["1", *numbers])


def ordinal(a: Arguments, page: WikiPage) -> str:
    if not a[0].replace(",", "").isdecimal():
        return a[0]
    tens, ones = a[0][-2:-1], a[0][-1]
    return a[0] + ("th" if tens == "1" else {"1": "st", "2": "nd", "3": "rd"}.get(ones, "th"))


def percentage(a: Arguments, page: WikiPage) -> str:
    """{{percentage | part | whole | decimals}}; empty where they are not numbers."""
    if not a[1]:
        return f"{a[0]}%"
    try:
        part, whole, places = float(a[0].replace(",", "")), float(a[1].replace(",", "")), int(a[2] or 0)
        return f"{100 * part / whole:.{min(places, 9)}f}%"
    except (ValueError, ZeroDivisionError, OverflowError):
        return ""


def quantity(a: Arguments, page: WikiPage) -> str:
    """{{unité|10|km||h|-1}}: a number, then units, each with its power."""
    text, at = amount(a.values)
    text += power_of_ten(a["e"]) if a["e"] else ""
    units = ""
    for name, power in zip(a.values[at::2], [*a.values[at + 1 :: 2], ""], strict=False):
        units += f"/{name}" if units and power == "-1" else f" {name}" if name else ""
        units += superscript(power) if power and power != "-1" else ""
    return text + units


def coordinates(a: Arguments, page: WikiPage) -> str:
    """{{coord|13|19|N|169|9|W}}, {{coord|43.65|-79.38}}; empty if they are shown only beside the title."""
    if a["display"] and "inline" not in a["display"]:
        return ""
    ends = [place for place, part in enumerate(a.values[:8]) if part in ("N", "S", "E", "W", "O")]
    if len(ends) != 2:
        degrees = [part for part in a.values[:2] if re.fullmatch(r"[+\-−]?\d+(\.\d+)?", part)]
        return ", ".join(f"{part}°" for part in degrees) if len(degrees) == 2 else ""
    half = ends[0] + 1
    return f"{angle(a.values[:half])} {angle(a.values[half : ends[1] + 1])}"


def angle(parts: list[str]) -> str:
    """13, 19, N -> 13°19′N."""
    return "".join(part + sign for part, sign in zip(parts[:-1], "°′″", strict=False)) + parts[-1]


def gauge(a: Arguments, page: WikiPage) -> str:
    """{{track gauge|1435mm}}, {{track gauge|1435}}."""
    return f"{a[0]} mm" if a[0].isdecimal() else re.sub(r"(?<=\d)(?=[a-z])", " ", a[0])


# -- dates

MONTHS = {language: words(names) for language, names in TABLES["months"].items()}
CALENDARS = {"zh": "年月日", "ja": "年月日", "ko": "년월일"}


def date_of(year: str, month: str, day: str, page: WikiPage, day_first: bool = False) -> str:
    """A date in the style of its wiki; the month may be a name, month and day may be missing."""
    language = page.site.language or "en"
    if language in CALENDARS and year.isdecimal():
        parts = [
            part.lstrip("0") + sign for part, sign in zip((year, month, day), CALENDARS[language], strict=True) if part
        ]
        return (" " if language == "ko" else "").join(parts)
    if month.isdecimal() and language not in MONTHS:
        return "-".join(part.zfill(2) for part in (year, month, day) if part)
    if month.isdecimal() and 1 <= int(month) <= 12:
        month = MONTHS[language][int(month) - 1]
    day = day.lstrip("0")
    if language == "en" and month and day and not day_first:
        return f"{month} {day}, {year}" if year else f"{month} {day}"
    if day and language == "de":
        day += "."
    return (" de " if language in ("es", "pt") else " ").join(part for part in (day, month, year) if part)


def date(a: Arguments, page: WikiPage) -> str:
    """{{birth date|1950|1|2}}: year, month, day; in French and others {{date|2|1|1950}}; or a date in words."""
    if re.fullmatch(r"\d{3,4}", a[0]):
        return date_of(a[0], a[1], a[2] if a[2].isdecimal() else "", page, a["df"][:1].lower() in ("y", "d"))
    if re.fullmatch(r"\d{3,4}", a[2]):
        return date_of(a[2], a[1], a[0], page, day_first=True)
    return a[0]


def date_of_death(a: Arguments, page: WikiPage) -> str:
    """{{death date and age|1989|6|3|1902|9|22}}: death, birth."""
    years = years_between(a.values[3:6], a.values[:3])
    return date(a, page) + (f" (aged {years})" if years and page.site.language in ("", "en") else "")


def years_between(born: list[str], then: list[str]) -> str:
    """Whole years between two dates (year, month, day); "" where they are not dates."""
    if len(born) != 3 or len(then) != 3 or not all(part.isdecimal() for part in born + then):
        return ""
    first, other = [int(part) for part in born], [int(part) for part in then]
    return str(other[0] - first[0] - (other[1:] < first[1:]))


def age(a: Arguments, page: WikiPage) -> str:
    """{{age|1950|1|2}}: on the day of the revision, or on another day."""
    return years_between(a.values[:3], a.values[3:6] or page.date.split("-"))


def as_of(a: Arguments, page: WikiPage) -> str:
    """{{as of|2010|5|lc=y}}."""
    day = date_of(a[0], a[1], a[2], page, day_first=a["df"].lower() != "us")
    if a["alt"] or a["bare"]:
        return a["alt"] or day
    if page.site.language == "zh":
        return f"截至{day}"
    word = "Since" if a["since"] else "As of"
    return f"{word.lower() if a['lc'] else word} {day}{a['post']}"


def about(sign: str) -> Template:
    """{{circa|1650|1700}}, {{reign|1000|1020}}: a sign and one or two years."""
    again = "c. " if sign == "c." else ""
    return lambda a, page: f"{sign} {a[0]}{' – ' if again else '–'}{again}{a[1]}" if a[1] else f"{sign} {a[0]}".strip()


def century(after: str = "") -> Template:
    """{{s-|XIX}}, {{sp-|XVIII|et|XIX}} in French."""

    def read(a: Arguments, page: WikiPage) -> str:
        numbers = [f"{part}e" for part in a.values if re.fullmatch("[IVXL]+", part)]
        return f"{' et '.join(numbers)} siècle{'s' if len(numbers) > 1 else ''}{after}" if numbers else a[0]

    return read
