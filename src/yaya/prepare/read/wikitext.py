"""Wikitext -> readable prose: templates become their words, links their text; tables, notes and pictures are left out.

One pass with one stack, in linear time. Libraries (mwparserfromhell, wikitextparser) take five times as long and drop
what templates say.
"""

from __future__ import annotations

import html
import re

from yaya.prepare.read import wikinames
from yaya.prepare.read.wikinames import words
from yaya.prepare.read.wikinumbers import HIDDEN_BAR, HIDDEN_EQUALS, HOLE, WHITE, WikiPage, superscript
from yaya.prepare.read.wikitemplates import template

DEEPEST = 100  # nested brackets; each level copies its content
LOOKED_BACK = 40  # levels that are searched for an opening bracket
BRACKETS = re.compile(r"(\{\{+|\[\[|-\{(?!\{)|\{\|)|\}\}+|\]\]|\}-|\|\}(?!\})")  # the group: opening ones
CLOSERS = {"{{": "}}", "{|": "|}", "[[": "]]", "-{": "}-"}
# Elements without markup inside are kept literally; elements that are not text are left out.
LITERAL = frozenset(words("nowiki pre syntaxhighlight source math chem ce"))
LEFT_OUT = frozenset(
    words("""ref gallery timeline imagemap score mapframe maplink graph templatestyles references hiero style includeonly
    categorytree inputbox indicator phonos""")
)
ELEMENT = re.compile(rf"<!--|<(/?)({'|'.join(sorted(LITERAL | LEFT_OUT))})\b([^<>]*+)>", re.IGNORECASE)
CLOSING = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in LITERAL | LEFT_OUT}
LITERAL_MARK = re.compile("\x00([0-9]+)\x00")
TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9]*+)[^<>]*+>")
BLOCK_TAGS = frozenset(
    words("br p div li ul ol dl dt dd tr td th table blockquote center hr poem section h1 h2 h3 h4 h5 h6 pre caption")
)
# MediaWiki shows other words in <> as text: <stdio.h>.
INLINE_TAGS = LITERAL | LEFT_OUT | frozenset(words("""abbr b bdi bdo big cite code data del dfn em font i ins kbd link mark meta q rb rp rt rtc ruby s samp small span
    strike strong sub sup time tt u var wbr noinclude onlyinclude translate languages tvar nobr"""))  # fmt: skip
RAISED = re.compile(r"<sup>((?:[^<>\n&]|&minus;|&[mn]dash;|&nbsp;){1,20}+)</sup>", re.IGNORECASE)
HEADING = re.compile(r"(={1,6})[ \t]*([^=\n].*?)[ \t]*\1$")
SWITCHES = re.compile(
    r"__(?:(?:NO|FORCE)?TOC|NOEDITSECTION|(?:NO)?NEWSECTIONLINK|NOGALLERY|HIDDENCAT|(?:NO)?INDEX|STATICREDIRECT|NOCC|NOTC"
    r"|NOCONTENTCONVERT|NOTITLECONVERT|NOGLOBAL|DISAMBIG)__|^[ \t]*__[^\W\d_a-z][^\W\da-z]{1,40}__[ \t]*$",
    re.MULTILINE,
)
EXTERNAL = re.compile(
    r"\[(?:(?:https?:|ftps?:|irc:|git:)?//|mailto:|news:|tel:)[^\s\[\]<>\"]++(?:[ \t]++([^\[\]\n]*+))?\]", re.IGNORECASE
)
QUOTES = re.compile(r"'{2,5}")
LIST = re.compile(r"([*#:;]+)[ \t]*")
SPACES = re.compile(r"[ \t]{2,}")
BLANK = re.compile(r"\n{3,}")


def to_text(wikitext: str, page: WikiPage | None = None) -> str:
    """The prose of one page: paragraphs, headings on their own lines, lists with dashes, code unchanged.

    page: what is known about it; `disambiguates` is set if it is a disambiguation page.
    """
    page = page or WikiPage()
    literals: list[str] = []
    for mark in ("\x00", HIDDEN_BAR, HIDDEN_EQUALS, HOLE):
        wikitext = wikitext.replace(mark, "")
    page.disambiguates |= "__DISAMBIG__" in wikitext
    text = QUOTES.sub("", resolve(take_out(wikitext, literals), page))
    text = RAISED.sub(raised, text)
    text = EXTERNAL.sub(lambda found: found[1] or HOLE, text)
    text = TAG.sub(without_tag, SWITCHES.sub("", text))
    text = mended(html.unescape(text).replace("\xa0", " "))
    text = "\n".join(sections(SPACES.sub(" ", text).split("\n")))
    text = LITERAL_MARK.sub(lambda found: literals[int(found[1])], text)
    return BLANK.sub("\n\n", text).strip()


def take_out(text: str, literals: list[str]) -> str:
    """Removes comments and notes; replaces each formula, code and the like with its number in `literals`."""
    out: list[str] = []
    at = 0
    missing: set[str] = set()
    for found in ELEMENT.finditer(text):
        start = found.start()
        if start < at:
            continue
        out.append(text[at:start])
        at = found.end()
        if found[2] is None:  # a comment; its line goes with it
            end = text.find("-->", at)
            at = len(text) if end < 0 else end + 3
            at += text[start - 1 : start] in ("", "\n") and text[at : at + 1] == "\n"
            continue
        name = found[2].lower()
        closing = None
        if not (found[1] or found[3].rstrip().endswith("/") or name in missing):
            closing = CLOSING[name].search(text, at)
            if closing is None:
                missing.add(name)  # not searched again: that would take quadratic time
        if closing is not None and name in LITERAL:
            out.append(f"\x00{len(literals)}\x00")
            literals.append(literal(name, found[3], text[at : closing.start()]))
        elif name in LEFT_OUT:
            out.append(HOLE)
        at = closing.end() if closing else at
    return "".join(out) + text[at:]


def literal(name: str, attributes: str, body: str) -> str:
    """A formula between $, code on its own lines."""
    if name in ("math", "chem", "ce"):
        return f"${html.unescape(body).strip()}$"
    if name == "nowiki":
        return html.unescape(body)
    if name == "pre":
        body = html.unescape(re.sub(r"</?nowiki\s*/?>", "", body))
    elif re.search(r"\binline\b", attributes):
        return body
    body = body.strip("\n").rstrip()
    return f"\n{body}\n"


def raised(found: re.Match[str]) -> str:
    text = superscript(found[1])
    before = found.string[found.start() - 1 : found.start()]
    return text if before.isalnum() or before == ")" else text.lstrip("^")


def without_tag(found: re.Match[str]) -> str:
    name = found[1].lower()
    return "\n" if name in BLOCK_TAGS else "" if name in INLINE_TAGS else found[0]


# -- brackets


def resolve(text: str, page: WikiPage) -> str:
    """Templates, tables, links and variants, from the inside out."""
    levels = Levels(page)
    at = 0
    for found in BRACKETS.finditer(text):
        mark = found[0]
        if mark in ("{|", "|}") and not starts_line(text, found.start()):
            continue
        levels.text.append(text[at : found.start()])
        at = found.end()
        if found[1]:
            levels.open(mark[:9])  # more braces in a row make no sense
        else:
            levels.close(mark)
    levels.text.append(text[at:])
    return levels.all()


def starts_line(text: str, at: int) -> bool:
    """Whether only indentation precedes this place on its line."""
    while at and text[at - 1] in " \t:":
        at -= 1
    return not at or text[at - 1] == "\n"


class Levels:
    """The open brackets, the text before each on its level, and the text of the innermost level so far."""

    def __init__(self, page: WikiPage) -> None:
        self.page = page
        self.variants = page.site.language in wikinames.CONVERTED or not page.site.language
        self.opened: list[tuple[str, list[str]]] = []
        self.text: list[str] = []

    def open(self, mark: str) -> None:
        if mark == "-{" and not self.variants:
            self.text.append(mark)
        elif len(self.opened) < DEEPEST:
            self.opened.append((mark, self.text))
            self.text = []

    def close(self, mark: str) -> None:
        """Reads the content of a bracket; braces close two or three at a time. Drops one that closes nothing."""
        closes = mark[:2]
        while len(mark) > 1 and self.unwind(closes):
            opener, before = self.opened.pop()
            body = "".join(self.text)
            self.text = before
            if closes == "}}":
                size = 3 if len(opener) > 2 and len(mark) > 2 else 2
                opener, mark = opener[size:], mark[size:]
                result = body.partition("|")[2] if size == 3 else self.words_of(body)  # {{{1|default}}}
            else:
                result = link(body, self.page) if opener == "[[" else variant(body) if opener == "-{" else ""
                opener = mark = ""
            if len(opener) > 1:
                self.opened.append((opener, before))
                self.text = []
            if self.opened and ("|" in result or "=" in result):
                result = result.replace("|", HIDDEN_BAR).replace("=", HIDDEN_EQUALS)
            self.text.append(opener + result if len(opener) == 1 else result)
        if mark in ("}", "}-"):
            self.text.append(mark)

    def unwind(self, closes: str) -> bool:
        """Whether there is an opening bracket; those opened after it and never closed become text."""
        opened = self.opened
        if opened and CLOSERS[opened[-1][0][:2]] == closes:
            return True
        lowest = max(0, len(opened) - LOOKED_BACK)
        level = next((i for i in range(len(opened) - 1, lowest - 1, -1) if CLOSERS[opened[i][0][:2]] == closes), -1)
        while 0 <= level < len(opened) - 1:
            self.unclosed()
        return level >= 0

    def unclosed(self) -> None:
        mark, before = self.opened.pop()
        before.append(mark if mark == "-{" else "")
        before.extend(self.text)
        self.text = before

    def words_of(self, body: str) -> str:
        """What a template says. Adjacent numbers are kept apart: 1{{frac|1|2}}."""
        before = next((piece[-1] for piece in reversed(self.text[-3:]) if piece), "" if self.opened else "\n")
        result = template(body, self.page, before)
        return f" {result}" if before.isdecimal() and result[:1].isdecimal() else result

    def all(self) -> str:
        while self.opened:
            self.unclosed()
        return "".join(self.text).replace(HIDDEN_BAR, "|").replace(HIDDEN_EQUALS, "=")


def link(body: str, page: WikiPage) -> str:
    """`[[target|words]]` -> words; a HOLE for pictures, categories and the same page in another language."""
    target, _, shown = body.partition("|")
    prefix, colon, _ = target.partition(":")
    if colon and prefix:
        language = prefix.strip()
        if language in wikinames.LANGUAGES and language != page.site.language:
            return HOLE
        if page.site.space(prefix) in (wikinames.FILE, wikinames.CATEGORY, wikinames.MEDIA):
            return HOLE
    if shown.strip(WHITE):
        return shown.rpartition("|")[2]
    return target.lstrip(":").partition("#")[0] or target.lstrip("#")


FLAG = re.compile(r"([A-Za-z0-9;,\- ]{0,60})\|")
CHOICE = re.compile(r"\s*([a-z]{2,3}(?:-[a-z]+)?)\s*:")


def variant(body: str) -> str:
    """`-{zh-hans:甲;zh-hant:乙}-` -> 甲; `-{甲}-` -> 甲; `-{H|...}-` is a rule for elsewhere."""
    flag = FLAG.match(body)
    if flag:
        body = body[flag.end() :]
        if {part.strip() for part in flag[1].split(";")} & {"H", "T", "D", "-"}:
            return ""
    choices: dict[str, str] = {}
    for part in body.split(";"):
        found = CHOICE.match(part)
        if found is None:
            break
        choices.setdefault(found[1], part[found.end() :].strip())
    for name in ("zh-hans", "zh-cn", "zh"):
        if name in choices:
            return choices[name]
    return next(iter(choices.values()), body.strip())


# -- cleaning up around what was left out

PAIRS = dict(zip("(（[［「『《〈“«", ")）]］」』》〉”»", strict=True))
SEPARATORS = " \t,;:，；、：/–—"
CONJUNCTION = re.compile(
    r"(?:(?:^|(?<=[ \t(（]))(?:or|and|also|sometimes|occasionally|formerly|und|oder|auch|et|ou|aussi|y|o|и|или)|[或和与與])$"
)
CURRENCY = re.compile(r"(?:(?<=[(（])|(?<=[^\d\s]\s))(?:US|A|C|NZ|HK)?[$£€¥]$")  # but not in `costs 5 $`


def mended(text: str) -> str:
    """The text without holes, and without empty brackets, double blanks and loose commas around them."""
    first, *others = text.split(HOLE)
    out = [first]
    for right in others:
        right = join(out, right)
        if right:
            out.append(right)
    return "".join(out)


def join(out: list[str], right: str) -> str:
    """Cleans up the end of `out`, and returns what follows it."""
    for _ in range(10):
        left, ahead = out[-1], right.lstrip(" \t")
        bare, next_one = left.rstrip(" \t"), ahead[:1]
        end = bare[-1:]
        if end in PAIRS:
            ahead = before_bracket(ahead).lstrip(SEPARATORS) and ahead.lstrip(SEPARATORS)
            if not ahead.startswith(PAIRS[end]):
                out[-1] = bare
                return ahead
            out[-1], right = bare[:-1], ahead[1:]  # empty brackets
        elif end == '"' and left == bare and right[:1] == '"':
            out[-1], right = bare[:-1], right[1:]
        elif next_one and next_one in PAIRS.values():
            out[-1] = bare = before_bracket(bare)
            if bare[-1:] in PAIRS:
                continue
            if bare or len(out) == 1:
                return ahead
            out.pop()
        elif CURRENCY.search(bare[-6:]) and not next_one.isdecimal():
            out[-1] = bare.rstrip("$£€¥USACNZHK")
        else:
            break
    return beside(out, out[-1].rstrip(" \t"), right)


def before_bracket(text: str) -> str:
    """The text without words that lead to something that is gone: `(Greek: ` and `(this or `."""
    text = text.rstrip(SEPARATORS)
    found = CONJUNCTION.search(text[-16:])
    return text[: len(text) - len(found[0])].rstrip(SEPARATORS) if found else text


def beside(out: list[str], bare: str, right: str) -> str:
    """Cleans up blanks and commas between the end of `out` (`bare`: without blanks) and what follows; returns that."""
    ahead = right.lstrip(" \t")
    next_one, end = ahead[:1], bare[-1:]
    if end in ("", "\n"):
        return ahead.lstrip(",;，；、 \t")
    if not ahead:
        out[-1] += right if bare == out[-1] else ""
        return ""
    if next_one in ",;，；、" or (next_one in ".。" and not ahead[1:2].isalnum()):
        if end in ",;，；、" and next_one not in ".。":
            out[-1] = bare
            return ahead[1:]
        out[-1] = bare.rstrip(" ,;:，；、：")
        return ahead
    if next_one in ":：!?！？»":
        out[-1] = bare
        return ahead if ahead == right else f" {ahead}"
    return right if bare == out[-1] else ahead


# -- lines


def sections(lines: list[str]) -> list[str]:
    """Lines with plain headings and lists, without empty sections, and without links and footnotes at the end."""
    lines = [line.strip(" \t") for line in lines]
    headings = {at: found for at, line in enumerate(lines) if line[:1] == "=" and (found := HEADING.match(line))}
    no_text = without_text([(len(found[1]), found[2]) for found in headings.values()])
    out: list[str] = []
    pending: list[tuple[int, str]] = []  # headings without text so far
    left_out = 0  # level of the heading whose section is left out
    for at, line in enumerate(lines):
        found = headings.get(at)
        if found:
            level, title = len(found[1]), found[2]
            ends = no_text.pop(0)
            if left_out and level > left_out:
                continue
            left_out = level if ends else 0
            pending = [old for old in pending if old[0] < level]
            if not left_out:
                pending.append((level, title))
            continue
        if left_out or is_row(line):
            continue
        line = item(line)
        if line.strip("-•· "):
            for _, title in pending:
                out += ["", title, ""]
            pending = []
            out.append(line)
        elif out and out[-1]:
            out.append("")
    return out


def without_text(headings: list[tuple[int, str]]) -> list[bool]:
    """Which of these headings (level, title) are of links, footnotes and the like."""
    top = min((level for level, _ in headings), default=0)
    at_the_end = True
    marks: list[bool] = []
    for level, title in reversed(headings):
        name = title.lower().strip(" :：.")
        names = {name} if name in wikinames.NO_TEXT_AT_THE_END else set(wikinames.JOINED.split(name))
        ends = names <= wikinames.NO_TEXT or (level == top and at_the_end and names <= wikinames.NO_TEXT_AT_THE_END)
        at_the_end = at_the_end and (ends or level > top)
        marks.append(ends)
    return marks[::-1]


def item(line: str) -> str:
    """A list item with a dash; indented text without its mark."""
    marked = LIST.match(line)
    if marked is None:
        return line
    line = line[marked.end() :]
    return f"- {line}" if line and marked[1][-1] in "*#" else line


def is_row(line: str) -> bool:
    """Whether a line is left over from a table that a template opened, or that was never closed."""
    return line[:1] == "|" or (line[:1] == "!" and (line[1:2] in " \t" or "!!" in line or "|" in line))
