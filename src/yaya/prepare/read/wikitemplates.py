"""What Wikipedia's templates say: names, quotations, words in other languages, numbers. The rest are boxes and notes.

Each wiki has thousands of templates of its own. These are the common ones within sentences, where leaving them out would
leave a gap. Their output is simplified: no converted values, no names of languages.
"""

from __future__ import annotations

import re

from yaya.prepare.read import wikinumbers as numbers
from yaya.prepare.read.wikifunctions import FUNCTIONS, VARIABLES
from yaya.prepare.read.wikinames import DISAMBIGUATION, TABLES, words
from yaya.prepare.read.wikinumbers import HOLE, WHITE, Arguments, Template, WikiPage, power_of_ten, superscript

# -- words, names and languages


def first(a: Arguments, page: WikiPage) -> str:
    return a.any(0, "text")


def last(a: Arguments, page: WikiPage) -> str:
    """{{lang|fr|Jean}}, {{transl|ja|hepburn|Aoi}}."""
    return a.any("text", "texte") or next((part for part in reversed(a.values) if part), "")


def all_of(between: str, before: str, after: str) -> Template:
    """Every argument, with something between, before and after them."""

    def read(a: Arguments, page: WikiPage) -> str:
        text = between.join(part for part in a.values if part)
        return f"{before}{text}{after}" if text else ""

    return read


def money(sign: str) -> Template:
    return lambda a, page: sign + a[0]


def around(before: str, after: str = "") -> Template:
    """The first argument between two signs."""

    def read(a: Arguments, page: WikiPage) -> str:
        text = first(a, page)
        return f"{before}{text}{after}" if text else ""

    return read


def quotation(a: Arguments, page: WikiPage) -> str:
    """A quotation on its own lines, and who said it."""
    said = [part for part in a.values if part and not re.fullmatch(r"\d+px", part)]
    text = said[0] if said else a.any("text", "quote", "texte", "texto")
    named = a.any("author", "by", "sign", "auteur", "autor"), a.any("source", "quelle", "ouvrage", "fuente")
    names = [part.lstrip("-–— ") for part in said[1:3] or named if part]
    return f"\n{text}\n{'— ' + ', '.join(names) if names else ''}\n" if text else ""


def citation(a: Arguments, page: WikiPage) -> str:
    """In French a quotation; in English a reference, which is left out."""
    return around("« ", " »")(a, page) if page.site.language in ("", "fr") and a[0] else ""


def nihongo(a: Arguments, page: WikiPage) -> str:
    """{{nihongo|English|kanji|rōmaji|more|after}}."""
    name = a.any(0, 2, 1)
    inside = ", ".join(part for part in (a[1], a[2], a[3]) if part and part != name)
    return (f"{name} ({inside})" if inside else name) + (f" {a[4]}" if a[4] else "")


def nihongo3(a: Arguments, page: WikiPage) -> str:
    """{{nihongo3|English|kanji|rōmaji}}: rōmaji first."""
    name = a.any(2, 0, 1)
    inside = ", ".join(part for part in (a[1], a[0], a[3]) if part and part != name)
    return f"{name} ({inside})" if inside else name


CHINESE = {
    "c": "Chinese", "s": "simplified Chinese", "t": "traditional Chinese", "p": "pinyin", "hp": "pinyin", "w": "Wade–Giles", "j": "Jyutping",
    "y": "Yale", "poj": "Pe̍h-ōe-jī", "l": "lit.",
}  # fmt: skip


def chinese(a: Arguments, page: WikiPage) -> str:
    """{{zh|s=蓝湖|t=藍湖|p=Lán Hú}}."""
    said = [(CHINESE[key], text) for key, text in a.named.items() if key in CHINESE and text]
    return "; ".join(text if a["labels"] == "no" else f"{label}: {text}" for label, text in said) or a[0]


def elsewhere(shown: int) -> Template:
    """A link to a page in another language: its label, else its name."""
    return lambda a, page: a.any("lt", "label", "d", "texte", "fr", shown, 0)


def author(a: Arguments, page: WikiPage) -> str:
    """{{harvtxt|Boolos|Jeffrey|1974|p=1}} -> Boolos and Jeffrey (1974)."""
    year = next((place for place, part in enumerate(a.values) if part[:4].isdecimal()), len(a.values))
    names = " and ".join(", ".join(a.values[:year]).rsplit(", ", 1))
    return f"{names} ({a[year]})" if a[year] else names


def spoken(a: Arguments, page: WikiPage) -> str:
    """{{audio|file.ogg|the words}}."""
    return "" if a[1].lower() in ("listen", "pronunciation", "hören", "écouter") else a[1]


def sic(a: Arguments, page: WikiPage) -> str:
    text = "".join(part for part in a.values if part != "!")
    return text if a["hide"] else f"{text} [sic]".strip()


def verse(a: Arguments, page: WikiPage) -> str:
    """{{bibleverse|2|Kings|3:25|KJV}}."""
    parts = [part for part in a.values if part]
    end = next((place for place, part in enumerate(parts) if ":" in part), 1)
    return " ".join(parts[: end + 1])


def ship_of(prefix: str) -> Template:
    return lambda a, page: ship_name(prefix, a[0], a[1], a.any("up", 2))


def ship_name(prefix: str, name: str, number: str, form: str) -> str:
    """Forms: 1 the number, 2 the name, 5 name and number, 6 prefix and name; else all three."""
    if form == "1":
        return number or name
    name = name if form in ("2", "5") else f"{prefix} {name}".strip()
    return f"{name} ({number})" if number and form not in ("2", "6") else name


SIGNS: dict[str, str] = TABLES["signs"]
READ: dict[str, Template] = {}


def read_as(template: Template, names: str) -> None:
    READ.update(dict.fromkeys(words(names), template))


read_as(first, TABLES["first_argument"])
read_as(lambda a, page: a.any(1, "text"), "color colour font_color rtl-lang abbrlink")
read_as(last, "lang langx langue llang dil transl transliteration script unilang ipa resize lower raise columns-list")

read_as(numbers.convert, "convert cvt")
read_as(numbers.value, "val m")
read_as(lambda a, page: f"{a['prefix']}{a[0]}{a['suffix']}", "nts formatted_number")
read_as(numbers.fraction, "frac sfrac fraction")
read_as(numbers.ordinal, "ordinal ord")
read_as(numbers.percentage, "percent percentage pct")
read_as(numbers.quantity, "unité nombre quantité unidad unidade")
read_as(lambda a, page: superscript(a[0]), "sup superscript exp")
read_as(lambda a, page: power_of_ten(a[0]) if a[0] else "e", "e")
read_as(lambda a, page: f"10{superscript(a[0])}", "10^")
read_as(numbers.gauge, "track_gauge railgauge")
read_as(lambda a, page: " ".join(f"{a[unit]} {unit}" for unit in ("m", "cm", "ft", "in") if a[unit]), "height")
read_as(numbers.coordinates, "coord")
for sign, names in TABLES["money"].items():
    read_as(money(sign), names)
for names, (before, after) in TABLES["around"].items():
    read_as(around(before, after), names)
for names, (between, before, after) in TABLES["all_of"].items():
    read_as(all_of(between, before, after), names)

read_as(numbers.date, TABLES["dates"])
read_as(numbers.date_of_death, "death_date_and_age dda")
read_as(numbers.age, "age age_in_years")
read_as(numbers.as_of, "as_of asof")
for sign, names in TABLES["years"].items():
    read_as(numbers.about(sign), names)
read_as(lambda a, page: f"{a[0]} [O.S. {a[2]}] {a[1]}" if a[2] else f"{a[0]} {a[1]}", "oldstyledate old_style_date")
read_as(numbers.century(), "siècle s- s sp- s2- s_mini-")
read_as(numbers.century(" av. J.-C."), "-s -sp-")
read_as(lambda a, page: f"{a[0]} h {a[1]}".strip(), "heure")

read_as(quotation, TABLES["quotations"])
read_as(citation, "citation")
read_as(lambda a, page: f"{last(a, page)} BCE".strip(), "bce")
read_as(lambda a, page: "Quran " + ":".join(a.values[:2]), "cite_quran quran qref")
read_as(verse, "bibleverse bibleref bibleref2 bibleverse-lb")
read_as(lambda a, page: {"sharp": "♯", "flat": "♭", "natural": "♮"}.get(a[0], ""), "music")

read_as(nihongo, "nihongo")
read_as(nihongo3, "nihongo3")
read_as(chinese, "zh lang-zh zh-full")
read_as(
    lambda a, page: "; ".join(a[key] for key in ("hangul", "hanja", "rr", "mr") if a[key]) or a[0], "korean lang-ko"
)

read_as(elsewhere(0), "ill interlanguage_link illm interlanguage_link_multi 仮リンク lien")
read_as(elsewhere(1), "url нп нп1 нп2 нп3 нп4 нп5 не_переведено iw")
read_as(elsewhere(2), "le ilh internal_link_helper")
read_as(lambda a, page: a.any(3, 2, 1), "tsl translink")
read_as(sic, "sic")
read_as(author, "harvtxt harvs")
read_as(spoken, "audio")
read_as(lambda a, page: f"（{a[0]}{a[1]}－{a[2]}{a[3]}）", "bd 生卒")  # 1893年, 12月26日, 1976年, 9月9日
read_as(lambda a, page: f"{a[0]}（{a[1]}）" if a[1] else a[0], "読み仮名 読み仮名_ruby不使用")
read_as(lambda a, page: ship_name(a[0], a[1], a[2], a[3]), "ship")
read_as(lambda a, page: f"{a[0]}-class {a[1]}".strip(), "sclass sclass- sclass2 sclass2-")
for prefix in TABLES["ships"].split():
    read_as(ship_of(prefix), prefix.lower())
read_as(lambda a, page: a[0] or "Yes", "yes")
read_as(lambda a, page: a[0] or "No", "no")
read_as(lambda a, page: f"1er {a[0]}".strip(), "1er")

CALLED = re.compile(
    r"(?:(?:subst|safesubst|msg|template|vorlage|modèle|plantilla|шаблон|模板)\s*:\s*)++", re.IGNORECASE
)
CENTURY = re.compile(r"[IVXL]+(?:er?|re)(?: siècle)?(?: av\. J\.-C\.)?")
COUNTRY = re.compile(r"(?!TOC|POV|BLP)[A-Z]{3}|UK|US|EU")  # {{FRA}}: a flag and a name


def template(body: str, page: WikiPage, before: str) -> str:
    """What `{{body}}` says after the character `before`; a HOLE where it says nothing."""
    given, bar, rest = body.partition("|")
    given = given.strip(WHITE).replace("_", " ")
    name = given.lower()
    read = READ.get(name) or of_a_language(given)
    if name in SIGNS and not (read and bar):
        return SIGNS[name]
    parts = rest.split("|") if bar else []
    if read is not None:
        return read(Arguments(parts), page).strip(HOLE) or HOLE
    if ":" in name or "：" in name:
        return function(given, parts, page, before) or HOLE
    if name in VARIABLES:
        return VARIABLES[name](page) or HOLE
    if name in DISAMBIGUATION or name.endswith(" disambiguation"):
        page.disambiguates = True
    elif not bar and before not in "\n" + HOLE and (COUNTRY.fullmatch(given) or CENTURY.fullmatch(given)):
        return given
    return HOLE


def of_a_language(given: str) -> Template | None:
    """The reader of templates per language, {{lang-fr|texte}}, {{link-en|local|foreign}}, {{enS|text}}, else None."""
    name = given.lower()
    if name.startswith(("lang-", "lang ")):
        return first
    if name.startswith(("link-", "internal link helper/", "ilh/")):
        return elsewhere(2)
    if name.startswith("script/"):
        return last
    return first if re.fullmatch("[a-z]{2,3}S", given) else None


def function(head: str, parts: list[str], page: WikiPage, before: str) -> str:
    """`{{#if: a | b | c}}` and its like; `{{template:x}}` is `{{x}}`."""
    called = CALLED.match(head)
    if called:
        return template("|".join([head[called.end() :], *parts]), page, before)
    name, _, argument = head.replace("：", ":", 1).partition(":")
    read = FUNCTIONS.get(name.strip().lower())
    if read is None:
        return ""
    return read([*(part.strip(WHITE) for part in (argument, *parts)), *[""] * 4], page)
