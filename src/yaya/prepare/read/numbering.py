"""The numbers of Word's lists and headings, which are not stored but counted. ECMA-376, part 1, 17.9."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from yaya.prepare.read.zipped import local

LEVELS = 9
HIGHEST_LETTER, HIGHEST_ROMAN = 780, 32_767  # as Word counts
ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
         (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip
HAN = "〇一二三四五六七八九"
CHINESE = ("chineseCounting", "chineseCountingThousand", "japaneseCounting", "taiwaneseCounting",
           "taiwaneseCountingThousand", "ideographTraditional", "koreanCounting")  # fmt: skip


def child(element: ET.Element | None, name: str) -> ET.Element | None:
    """The first child of that name, else None."""
    return None if element is None else next((e for e in element if local(e) == name), None)


def attribute(element: ET.Element | None, name: str) -> str:
    """The attribute of that name in any namespace, or nothing."""
    found = () if element is None else element.attrib.items()
    return next((value for key, value in found if key.rpartition("}")[2] == name), "")


def value(element: ET.Element | None, name: str) -> str:
    """`w:val` of a child."""
    return attribute(child(element, name), "val")


@dataclass(frozen=True)
class Level:
    """How one level of a list counts."""

    start: int
    form: str  # decimal, bullet, lowerLetter, ...
    text: str  # "%1.%2)"
    space: bool  # behind it
    style: str  # of the paragraphs with this level
    legal: bool  # other levels in it are decimal too

    @classmethod
    def of(cls, element: ET.Element) -> Level:
        """A level as its `w:lvl` describes it; Word's defaults for what is missing."""
        return cls(
            number(value(element, "start"), 1),
            value(element, "numFmt") or "decimal",
            value(element, "lvlText"),
            value(element, "suff") != "nothing",
            value(element, "pStyle"),
            child(element, "isLgl") is not None,
        )


@dataclass
class List:
    """One `w:num`: its levels, from an abstract list, and the numbers at which it restarts."""

    abstract: str
    levels: dict[int, Level]
    starts: dict[int, int] = field(default_factory=dict)


class Numbering:
    """Counts the numbers of a document. numbering, styles: the roots of these parts, or None."""

    def __init__(self, numbering: ET.Element | None, styles: ET.Element | None):
        self.styles = {attribute(e, "styleId"): e for e in (styles if styles is not None else ())}
        self.lists = dict(lists_of(numbering)) if numbering is not None else {}
        self.counts: dict[str, list[int | None]] = {}

    def label(self, properties: ET.Element | None) -> tuple[str, int]:
        """The number or bullet before a paragraph, and its level in the list; -1 for headings and outside of lists."""
        style = value(properties, "pStyle")
        name, level = self.place(properties, style)
        found = self.lists.get(name)
        if found is None or level not in found.levels:
            return "", -1
        here = found.levels[level]
        counts = self.counts.setdefault(found.abstract, [None] * LEVELS)
        for n in range(level):
            if counts[n] is None:
                counts[n] = found.levels[n].start if n in found.levels else 1
        before = counts[level]
        counts[level] = found.starts.pop(level, here.start if before is None else before + 1)
        counts[level + 1 :] = [None] * (LEVELS - level - 1)
        at = -1 if self.is_heading(properties, style) else level
        if here.form == "bullet":
            return "- ", at
        forms = {n: "decimal" if here.legal else each.form for n, each in found.levels.items()}
        text = re.sub(
            "%([1-9])", lambda m: written(counts[int(m[1]) - 1] or 0, forms.get(int(m[1]) - 1, "decimal")), here.text
        )
        return text + (" " if here.space and text else ""), at

    def place(self, properties: ET.Element | None, style: str) -> tuple[str, int]:
        """A paragraph's list and level: its own, or those of its style or of a style that it is based on."""
        own = child(properties, "numPr")
        name, level = value(own, "numId"), value(own, "ilvl")
        for style_name, element in self.chain(style) if not (name and level) else ():
            inherited = child(child(element, "pPr"), "numPr")
            if inherited is None:
                continue
            name, level = name or value(inherited, "numId"), level or value(inherited, "ilvl")
            if name:
                levels = self.lists[name].levels if name in self.lists else {}
                linked = next((n for n, each in levels.items() if each.style == style_name), 0)
                return name, number(level) if level else linked
        return name, number(level or "0")

    def chain(self, style: str) -> list[tuple[str, ET.Element]]:
        """A style and the styles that it is based on."""
        out: list[tuple[str, ET.Element]] = []
        while style in self.styles and len(out) < 20:
            out.append((style, self.styles[style]))
            style = value(self.styles[style], "basedOn")
        return out

    def is_heading(self, properties: ET.Element | None, style: str) -> bool:
        found = [properties, *(child(element, "pPr") for _, element in self.chain(style))]
        return any(child(each, "outlineLvl") is not None and value(each, "outlineLvl") != "9" for each in found)


def lists_of(numbering: ET.Element) -> list[tuple[str, List]]:
    """The lists by their number."""
    abstract = {attribute(e, "abstractNumId"): e for e in numbering if local(e) == "abstractNum"}
    linked = {value(e, "styleLink"): e for e in abstract.values() if child(e, "styleLink") is not None}
    out = []
    for element in numbering:
        if local(element) != "num":
            continue
        name = value(element, "abstractNumId")
        base = abstract.get(name)
        base = linked.get(value(base, "numStyleLink"), base)
        found = List(name, levels_of(base))
        for override in element:
            if local(override) == "lvlOverride":
                found.levels |= levels_of(override)
                if start := value(override, "startOverride"):
                    found.starts[number(attribute(override, "ilvl") or "0")] = number(start, 1)
        out.append((attribute(element, "numId"), found))
    return out


def levels_of(element: ET.Element | None) -> dict[int, Level]:
    found = () if element is None else (e for e in element if local(e) == "lvl")
    levels = {number(attribute(e, "ilvl") or "0"): Level.of(e) for e in found}
    return {n: level for n, level in levels.items() if n in range(LEVELS)}


def number(text: str, otherwise: int = -1) -> int:
    """The number in an attribute; a damaged file may hold anything."""
    return int(text) if re.fullmatch("[0-9]{1,6}", text) else otherwise


def written(number: int, form: str) -> str:
    """A number as a list writes it."""
    if form in ("lowerLetter", "upperLetter") and 0 < number <= HIGHEST_LETTER:
        letters = chr(97 + (number - 1) % 26) * (1 + (number - 1) // 26)
        return letters if form == "lowerLetter" else letters.upper()
    if form in ("lowerRoman", "upperRoman") and 0 < number <= HIGHEST_ROMAN:
        return roman(number) if form == "lowerRoman" else roman(number).upper()
    if form in CHINESE and 0 < number < 100:
        return chinese(number)
    if form == "decimalZero":
        return f"{number:02}"
    if form.startswith("decimalEnclosedCircle") and 0 < number <= 20:
        return chr(0x2460 + number - 1)
    return "" if form == "none" else str(number)


def roman(number: int) -> str:
    out = ""
    for amount, letters in ROMAN:
        out += letters * (number // amount)
        number %= amount
    return out


def chinese(number: int) -> str:
    """1 to 99: 一, 十, 十二, 二十三."""
    tens, ones = divmod(number, 10)
    return ((HAN[tens] if tens > 1 else "") + "十" if tens else "") + (HAN[ones] if ones else "")
