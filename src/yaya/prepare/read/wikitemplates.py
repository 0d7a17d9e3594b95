"""What Wikipedia's templates say: names, quotations, words in other languages, numbers. All others are boxes and notes.

Templates are programs of each wiki, thousands of them. These are the common ones that stand inside sentences, where
leaving them out would leave a hole. Their output is simplified: no converted values, no labels of languages.
"""

from __future__ import annotations

import re

from yaya.prepare.read.wikifunctions import FUNCTIONS, VARIABLES
from yaya.prepare.read.wikinames import DISAMBIGUATION, words
from yaya.prepare.read.wikinumbers import (
    HOLE,
    WHITE,
    Arguments,
    Template,
    WikiPage,
    about,
    age,
    as_of,
    century,
    clock,
    convert,
    coordinates,
    date,
    date_of_death,
    fraction,
    gauge,
    height,
    money,
    old_style,
    ordinal,
    percentage,
    power_of_ten,
    quantity,
    signed,
    superscript,
    value,
)

# -- words, names and languages


def first(a: Arguments, page: WikiPage) -> str:
    return a.any(0, "text")


def second(a: Arguments, page: WikiPage) -> str:
    return a.any(1, "text")


def last(a: Arguments, page: WikiPage) -> str:
    """{{lang|fr|Jean}}, {{transl|ja|hepburn|Aoi}}."""
    return a.any("text", "texte") or next((part for part in reversed(a.values) if part), "")


def all_of(between: str, before: str = "", after: str = "") -> Template:
    """Every argument, with something between, before and after them."""

    def read(a: Arguments, page: WikiPage) -> str:
        text = between.join(part for part in a.values if part)
        return f"{before}{text}{after}" if text else ""

    return read


def around(before: str, after: str = "") -> Template:
    """The first argument between two signs."""

    def read(a: Arguments, page: WikiPage) -> str:
        text = first(a, page)
        return f"{before}{text}{after}" if text else ""

    return read


def quotation(a: Arguments, page: WikiPage) -> str:
    """A quotation on lines of its own, and who said it."""
    said = [part for part in a.values if part and not re.fullmatch(r"\d+px", part)]
    text = said[0] if said else a.any("text", "quote", "texte", "texto")
    named = a.any("author", "by", "sign", "auteur", "autor"), a.any("source", "quelle", "ouvrage", "fuente")
    names = [part.lstrip("-–— ") for part in said[1:3] or named if part]
    return f"\n{text}\n{'— ' + ', '.join(names) if names else ''}\n" if text else ""


def citation(a: Arguments, page: WikiPage) -> str:
    """In French what somebody said, in English a reference."""
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


def korean(a: Arguments, page: WikiPage) -> str:
    return "; ".join(a[key] for key in ("hangul", "hanja", "rr", "mr") if a[key]) or a[0]


def elsewhere(shown: int) -> Template:
    """A link to a page in another language: what is shown for it, else its own name."""
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


def life(a: Arguments, page: WikiPage) -> str:
    """{{bd|1893年|12月26日|1976年|9月9日}} in Chinese."""
    return f"（{a[0]}{a[1]}－{a[2]}{a[3]}）"


def verse(a: Arguments, page: WikiPage) -> str:
    """{{bibleverse|2|Kings|3:25|KJV}}."""
    parts = [part for part in a.values if part]
    end = next((place for place, part in enumerate(parts) if ":" in part), 1)
    return " ".join(parts[: end + 1])


def ship(a: Arguments, page: WikiPage) -> str:
    """{{ship|French ship|Bouvet|1865|2}}: prefix, name, number, form."""
    return ship_name(*(a[place] for place in range(4)))


def ship_of(prefix: str) -> Template:
    return lambda a, page: ship_name(prefix, a[0], a[1], a.any("up", 2))


def ship_name(prefix: str, name: str, number: str, form: str) -> str:
    """Forms: 1 the number, 2 the name, 5 name and number, 6 prefix and name; else all three."""
    if form == "1":
        return number or name
    name = name if form in ("2", "5") else f"{prefix} {name}".strip()
    return f"{name} ({number})" if number and form not in ("2", "6") else name


READ: dict[str, Template] = {}


def read_as(template: Template, names: str) -> None:
    READ.update(dict.fromkeys(words(names), template))


read_as(
    first,
    """
    nowrap nobr nobreak nowraplinks nobold small smaller petit big bigger larger large huge center block_indent font midsize keypress abbr abbrv abréviation
    abrd abr tooltip em strong bold strongbad var code tt mono monospace kbd samp overline underline souligner strikethrough smallcaps sc
    sc2 allcaps math mvar sub subscript ind unicode polytonic iast pie vanchor visible_anchor translation poemquote ruby
    plainlist plain_list flatlist flat_list format_price formatprice num formatnum number fmtn число number_table_sorting
    citation_needed_span clarify_span disputed_span as_written 要出典範囲 comment flag flagu flagcountry flagtext fb fbw 국기 국기나라
    birth-date death-date start-date end-date birth-date_and_age birth_year_and_age death_year_and_age date- ipa_link ipalink
    kanji hanja nihongo2 nihongo_foot 僻字 jis2004フォント 補助漢字フォント 拡張漢字 ルビ zh-cn zh-tw zh-hans zh-hant zh-hk esd
    """,
)
read_as(second, "color colour font_color rtl-lang abbrlink")
read_as(last, "lang langx langue llang dil transl transliteration script unilang ipa resize lower raise columns-list")
read_as(all_of(""), "not_a_typo mp mpl linktext chem chem2 ce fchim")
read_as(all_of(" "), "sortname")
read_as(all_of("-"), "respell")
read_as(all_of(", "), "hlist unbulleted_list ubl ublist vunblist cslist comma_separated_entries")
read_as(all_of("\n* ", "\n* ", "\n"), "bulleted_list ordered_list collapsible_list list_collapsed")

read_as(convert, "convert cvt")
read_as(value, "val m")
read_as(signed, "nts formatted_number")
read_as(fraction, "frac sfrac fraction")
read_as(ordinal, "ordinal ord")
read_as(percentage, "percent percentage pct")
read_as(quantity, "unité nombre quantité unidad unidade")
read_as(lambda a, page: superscript(a[0]), "sup superscript exp")
read_as(lambda a, page: power_of_ten(a[0]) if a[0] else "e", "e")
read_as(lambda a, page: f"10{superscript(a[0])}", "10^")
read_as(gauge, "track_gauge railgauge")
read_as(height, "height")
read_as(coordinates, "coord")
read_as(around("√"), "radic sqrt")
read_as(around("|", "|"), "abs mabs")
read_as(around("$", "$"), "tmath")
read_as(all_of(", ", "[", "]"), "closed-closed")
read_as(all_of(", ", "(", ")"), "open-open")
read_as(all_of(", ", "[", ")"), "closed-open")
read_as(all_of(", ", "(", "]"), "open-closed")
for sign, names in {
    "US$": "usd us$", "£": "gbp £ pound_sterling", "€": "eur €", "¥": "jpy ¥ jpy¥", "CN¥": "cny cn¥ rmb", "₹": "inr ₹ indian_rupee",
    "A$": "aud a$", "C$": "cad c$ can$", "NZ$": "nzd nz$", "HK$": "hkd hk$", "S$": "sgd s$", "NT$": "twd nt$ ntd", "₩": "krw ₩", "₽": "rub ₽",
    "R$": "brl r$", "₱": "php ₱", "₪": "ils ₪", "₺": "try ₺", "₴": "uah ₴", "฿": "thb ฿", "₦": "ngn ₦", "CHF ": "chf", "$": "$",
}.items():  # fmt: skip
    read_as(money(sign), names)

read_as(
    date,
    """
    birth_date birth_date_and_age bda dob death_date start_date start_date_and_age end_date film_date dts date fecha
    fecha_de_nacimiento date_de_naissance date_de_décès dtext dni morte дата
    """,
)
read_as(date_of_death, "death_date_and_age dda")
read_as(age, "age age_in_years")
read_as(as_of, "as_of asof")
read_as(about("c."), "circa c. ca.")
read_as(about("fl."), "floruit fl.")
read_as(about("r."), "reign r.")
read_as(about("b."), "b. born_in")
read_as(about("d."), "d. died_in")
read_as(old_style, "oldstyledate old_style_date")
read_as(century(), "siècle s- s sp- s2- s_mini-")
read_as(century(" av. J.-C."), "-s -sp-")
read_as(clock, "heure")
read_as(around("", " million years ago"), "mya ma")

read_as(
    quotation,
    "quote blockquote pull_quote quotation bquote cquote rquote quote_box zitat cita citazione citação cytat citaat цитата citation_bloc 引用 引文",
)
read_as(citation, "citation")
read_as(around("« ", " »"), "guil")
read_as(around("– ", " –"), "incise")
read_as(around("—", "—"), "aside")
read_as(around("„", "“"), '" "-de')
read_as(around("‘", "’"), "gloss")
read_as(around("lit. ‘", "’"), "lit lit. literally")

read_as(around("⟨", "⟩"), "angbr angbr_ipa angle_bracket")
read_as(around("/", "/"), "ipaslink")
read_as(around("[", "]"), "ipablink")
read_as(around("p. "), "p. page_h'")
read_as(around("M. "), "m.")
read_as(around("Mme "), "mme")
read_as(around("§ "), "§")
read_as(around("", " m"), "höhe")
read_as(around("ISBN "), "isbn")
read_as(around("ISSN "), "issn")
read_as(around("OCLC "), "oclc")
read_as(around("U.S. Patent "), "us_patent")
read_as(lambda a, page: f"{last(a, page)} BCE".strip(), "bce")
read_as(lambda a, page: "Quran " + ":".join(a.values[:2]), "cite_quran quran qref")
read_as(verse, "bibleverse bibleref bibleref2 bibleverse-lb")
read_as(lambda a, page: {"sharp": "♯", "flat": "♭", "natural": "♮"}.get(a[0], ""), "music")

read_as(nihongo, "nihongo")
read_as(nihongo3, "nihongo3")
read_as(chinese, "zh lang-zh zh-full")
read_as(korean, "korean lang-ko")

read_as(elsewhere(0), "ill interlanguage_link illm interlanguage_link_multi 仮リンク lien")
read_as(elsewhere(1), "url нп нп1 нп2 нп3 нп4 нп5 не_переведено iw")
read_as(elsewhere(2), "le ilh internal_link_helper")
read_as(lambda a, page: a.any(3, 2, 1), "tsl translink")
read_as(sic, "sic")
read_as(author, "harvtxt harvs")
read_as(spoken, "audio")
read_as(life, "bd 生卒")
read_as(around("（", "）"), "hanja-p")
read_as(lambda a, page: f"{a[0]}（{a[1]}）" if a[1] else a[0], "読み仮名 読み仮名_ruby不使用")
read_as(ship, "ship")
read_as(lambda a, page: f"{a[0]}-class {a[1]}".strip(), "sclass sclass- sclass2 sclass2-")
for prefix in words(
    """HMS USS RMS SS MV MS SMS HMAS HMCS HMNZS HMIS INS USCGC USNS USAT USRC RFA RV RRS HDMS HNLMS HNoMS HSwMS ROKS ROCS ORP JDS CSS
    BAP ARA PNS BRP KRI HMT HMY HMHS RNLB CCGS NOAAS FGS TCG"""
):
    read_as(ship_of(prefix), prefix.lower())
read_as(lambda a, page: a[0] or "Yes", "yes")
read_as(lambda a, page: a[0] or "No", "no")
read_as(lambda a, page: f"1er {a[0]}".strip(), "1er")

SIGNS = {
    "'": "'", "'s": "'s", "-'": "'", "'-": "'", '-"': '"', '" \'': "\" '", "' \"": "' \"", "'\"": "'\"", "snd": " – ", "spnd": " – ", "sndash": " – ",
    "spaced ndash": " – ", "spaced en dash": " – ", "dash": " – ", "–": " – ", "ndash": "–", "en dash": "–", "endash": "–", "mdash": "—", "em dash": "—",
    "emdash": "—", "mdashb": "—", "spaced mdash": " — ", "—": "—", "тире": " — ", "tiret": " – ", "nbsp": " ", "sp": " ", "space": " ", "spaces": " ",
    "thinsp": " ", "thin space": " ", "hairsp": " ", "nnbsp": " ", "in5": " ", "indent": " ", "0": "", "zwsp": "", "zwj": "\u200d", "zwnj": "\u200c",
    "shy": "", "wbr": "", "wj": "", "br": "\n", "break": "\n", "pb": "\n\n", "·": " · ", "dot": " · ", "middot": " · ", "•": " • ", "bull": " • ",
    "bullet": " • ", "\\": " / ", "!": "|", "!!": "||", "=": "=", "(": "{", ")": "}", "((": "{{", "))": "}}", "[": "[", "]": "]", "[[": "[[", "]]": "]]",
    "...": "…", "ellipsis": "…", "times": "×", "×": "×", "minus": "−", "±": "±", "pm": "±", "eqm": "⇌", "pi": "π", "half": "½", "deg": "°", "prime": "′",
    "*": "*", "asterisk": "*", "number sign": "#", "#": "#", "dagger": "†", "extinct": "†", "†": "†", "sharp": "♯", "flat": "♭", "natural": "♮",
    "ce": "CE", "bce": "BCE", "lord": "Lord", "er": "er", "re": "re", "ère": "ère", "ème": "e", "nd": "nd", "ier": "Ier",
    "ire": "Ire", "n°": "no", "av jc": "av. J.-C.", "apr jc": "apr. J.-C.", "av. j.-c.": "av. J.-C.", "apr. j.-c.": "apr. J.-C.",
    "cad": "c'est-à-dire",
}  # fmt: skip


CALLED = re.compile(
    r"(?:(?:subst|safesubst|msg|template|vorlage|modèle|plantilla|шаблон|模板)\s*:\s*)++", re.IGNORECASE
)
CENTURY = re.compile(r"[IVXL]+(?:er?|re)(?: siècle)?(?: av\. J\.-C\.)?")
COUNTRY = re.compile(r"(?!TOC|POV|BLP)[A-Z]{3}|UK|US|EU")  # {{FRA}}: a flag and a name


def template(body: str, page: WikiPage, before: str) -> str:
    """What `{{body}}` says after the letter `before`; a HOLE where it says nothing to read."""
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
    """Templates that there is one of for each language: {{lang-fr|texte}}, {{link-en|local|foreign}}, {{enS|text}}."""
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
