"""Wikitext -> readable prose: templates and tables are stripped, links become their text. One pass, linear time."""

from __future__ import annotations

import html
import re

DEEPEST = 100  # brackets inside each other; each level copies what is inside
OPENERS = {"{{": "}}", "{|": "|}", "[[": "]]", "-{": "}-"}
BRACKETS = re.compile(r"\{\{|\{\|(?=[^|}])|\[\[|-\{|\}\}|^[ \t:]*\|\}(?!\})|\]\]|\}-", re.MULTILINE)
COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
LITERAL = ("nowiki", "pre", "syntaxhighlight", "source", "code", "math", "chem")
LITERAL_MARK = re.compile("\x00([0-9]+)\x00")
UNREADABLE = (
    "ref",
    "gallery",
    "timeline",
    "imagemap",
    "score",
    "mapframe",
    "graph",
    "templatestyles",
    "references",
    "hiero",
    "style",
)
TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*+)([^<>]*+)>")
BLOCK_TAGS = frozenset(
    [
        "br",
        "p",
        "div",
        "li",
        "ul",
        "ol",
        "dl",
        "dt",
        "dd",
        "tr",
        "td",
        "th",
        "table",
        "blockquote",
        "center",
        "hr",
        "poem",
        "section",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "pre",
    ]
)
HEADING = re.compile(r"^(={1,6})[ \t]*([^=\n].*?)[ \t]*\1[ \t]*$")
MAGIC = re.compile(r"__[A-Z]{3,25}__")
EXTERNAL = re.compile(
    r"\[(?:https?:|ftp:|mailto:)?//?[^\s\[\]<>\"]++(?:[ \t]++([^\[\]\n]*+))?\]|\[mailto:[^\s\]]++(?:[ \t]++([^\[\]\n]*+))?\]"
)
QUOTES = re.compile(r"'{2,5}")
LIST = re.compile(r"^([*#:;]+)[ \t]*")
EMPTY_BRACKETS = re.compile(r"(?<![ \t])[ \t]*[(（][ \t,;，；、:：]*[)）]")
LOOSE_START = re.compile(r"([(（])[ \t]*[,;，；、]+[ \t]*")
SPACES = re.compile(r"[ \t\u00a0]{2,}")
BLANK = re.compile(r"\n{3,}")
# Namespaces whose links are no text. Interlanguage links are two- or three-letter codes before a colon.
NO_TEXT = re.compile(
    r"^[ \t]*(?:file|image|media|category|文件|檔案|档案|图像|圖像|分类|分類|[a-z]{2,3}(?:-[a-z]{2,10})?)[ \t]*:",
    re.IGNORECASE,
)
ENDMATTER = frozenset(
    [
        "see also",
        "references",
        "external links",
        "further reading",
        "notes",
        "notes and references",
        "bibliography",
        "sources",
        "footnotes",
        "citations",
        "works cited",
        "参考文献",
        "參考文獻",
        "参考资料",
        "參考資料",
        "外部链接",
        "外部連結",
        "外部鏈接",
        "参见",
        "參見",
        "注释",
        "註釋",
        "脚注",
        "延伸阅读",
        "延伸閱讀",
        "相关条目",
        "相關條目",
        "参考",
        "參考",
        "来源",
        "來源",
    ]
)
# Templates that stand for words: name -> which argument is read. The others are boxes, notices and notes.
FIRST, SECOND = 0, 1
TEMPLATES = {
    "nowrap": FIRST, "nobr": FIRST, "small": FIRST, "smaller": FIRST, "big": FIRST, "abbr": FIRST, "em": FIRST,
    "strong": FIRST, "quote": FIRST, "blockquote": FIRST, "cquote": FIRST, "sub": FIRST, "sup": FIRST, "var": FIRST,
    "as of": FIRST, "c.": FIRST, "circa": FIRST, "tooltip": FIRST, "code": FIRST, "tt": FIRST, "mono": FIRST,
    "math": FIRST, "mvar": FIRST, "unicode": FIRST, "ill": FIRST, "interlanguage link": FIRST, "link-en": FIRST,
    "le": FIRST, "center": FIRST, "larger": FIRST, "keypress": FIRST, "poemquote": FIRST, "translation": FIRST,
    "transl": SECOND, "transliteration": SECOND, "lang": SECOND, "script": SECOND, "color": SECOND, "font color": SECOND,
    "ipa": FIRST, "respell": FIRST, "visible anchor": FIRST, "vanchor": FIRST, "bold": FIRST, "dts": FIRST,
    "bd": FIRST, "ship": SECOND, "ruby": FIRST, "tsl": SECOND, "internal link helper": FIRST, "quotation": FIRST,
}  # fmt: skip
SIGNS = {"'": "'", "snd": " – ", "spnd": " – ", "ndash": "–", "mdash": "—", "spaced ndash": " – ", "!": "|", "=": "=", "en dash": "–", "em dash": "—", "nbsp": " ", "sp": " ", "·": " · ", "•": " • ", "'s": "'s", "-": " "}  # fmt: skip
UNITS = {"convert", "cvt"}


def to_text(wikitext: str) -> str:
    """The prose of one page: paragraphs, headings on lines of their own, lists with a dash, code as it is."""
    text, literals = protect(COMMENT.sub("", wikitext))
    text = drop_elements(text)
    text = resolve(text)
    text = EXTERNAL.sub(lambda found: found[1] or found[2] or "", text)
    text = MAGIC.sub("", QUOTES.sub("", text))
    text = TAG.sub(lambda found: "\n" if found[2].lower() in BLOCK_TAGS else "", text)
    text = html.unescape(text)
    text = EMPTY_BRACKETS.sub("", LOOSE_START.sub(r"\1", text))
    text = "\n".join(sections(SPACES.sub(" ", text).split("\n")))
    text = LITERAL_MARK.sub(lambda found: literals[int(found[1])], text)
    return BLANK.sub("\n\n", text).strip()


def protect(text: str) -> tuple[str, list[str]]:
    """Takes out what is no markup (code, formulas, nowiki) and leaves a mark in its place."""
    literals: list[str] = []
    text = text.replace("\x00", "")

    def keep(name: str, attributes: str, body: str) -> str:
        body = html.unescape(body)
        inline = name in ("nowiki", "code", "math", "chem")
        literals.append(f"${body.strip()}$" if name in ("math", "chem") else body if inline else f"\n{body.strip()}\n")
        return f"\x00{len(literals) - 1}\x00"

    return elements(text, LITERAL, keep), literals


def drop_elements(text: str) -> str:
    """Without footnotes, galleries and the like."""
    return elements(text, UNREADABLE, lambda name, attributes, body: "")


def elements(text: str, names: tuple[str, ...], replace) -> str:  # type: ignore[no-untyped-def]
    """Replaces `<name ...>body</name>` and `<name .../>` for the given names; what is never closed loses its tag only."""
    out: list[str] = []
    at = 0
    missing: set[str] = set()
    for found in TAG.finditer(text):
        name = found[2].lower()
        if found.start() < at or name not in names:
            continue
        out.append(text[at : found.start()])
        at = found.end()
        if found[1] or found[3].rstrip().endswith("/") or name in missing:
            continue
        close = re.compile(rf"</{name}\s*>", re.IGNORECASE).search(text, at)
        if close is None:
            missing.add(name)  # not looked for again: that would take quadratic time
            continue
        out.append(replace(name, found[3], text[at : close.start()]))
        at = close.end()
    return "".join(out) + text[at:]


def resolve(text: str) -> str:
    """Templates, tables, links and variants, from the inside out with one stack."""
    stack: list[tuple[str, list[str]]] = [("", [])]
    at = 0
    for found in BRACKETS.finditer(text):
        stack[-1][1].append(text[at : found.start()])
        at = found.end()
        mark = found[0]
        if mark in OPENERS:
            if len(stack) > DEEPEST:
                continue
            stack.append((mark, []))
            continue
        closes = mark.strip()[-2:]
        depth = next(
            (i for i in range(len(stack) - 1, max(0, len(stack) - 40), -1) if OPENERS[stack[i][0]] == closes), 0
        )
        if not depth:
            continue  # a loose end
        while len(stack) - 1 > depth:  # what was opened inside and never closed is taken as text
            _, inside = stack.pop()
            stack[-1][1].extend(inside)
        opener, inside = stack.pop()
        stack[-1][1].append(READERS[opener]("".join(inside)))
    stack[-1][1].append(text[at:])
    return "".join(part for _, inside in stack for part in inside)


def template(body: str) -> str:
    """What a template says, where it stands for words."""
    parts = body.split("|")
    name = parts[0].strip().lower().replace("_", " ")
    if name in SIGNS:
        return SIGNS[name]
    values = [part for part in parts[1:] if not re.match(r"\s*[A-Za-z][\w \-]{0,30}=", part)]
    values = [re.sub(r"^\s*\d=", "", value).strip() for value in values]
    if name in UNITS and len(values) >= 2:
        return f"{values[0]} {values[1]}"
    if name.startswith("lang-") and values:
        return values[0]
    which = TEMPLATES.get(name)
    return values[which] if which is not None and which < len(values) else ""


def link(body: str) -> str:
    """`[[target|words]]` -> words; nothing for pictures and categories."""
    if NO_TEXT.match(body):
        return ""
    target, bar, words = body.partition("|")
    return words.rpartition("|")[2] if bar and words else target.lstrip(":").partition("#")[0] or target.lstrip("#")


def variant(body: str) -> str:
    """`-{zh-hans:甲;zh-hant:乙}-` -> 甲; `-{甲}-` -> 甲."""
    body = body.partition("|")[2] or body if re.match(r"^[A-Za-z;]{1,4}\|", body) else body
    choices = dict(part.strip().split(":", 1) for part in body.split(";") if re.match(r"\s*zh(?:-\w+)?:", part))
    for name in ("zh-hans", "zh-cn", "zh"):
        if name in choices:
            return choices[name].strip()
    return next(iter(choices.values()), body).strip()


READERS = {"{{": template, "{|": lambda body: "", "[[": link, "-{": variant}


def sections(lines: list[str]) -> list[str]:
    """Lines with plain headings and lists; without empty sections and without what follows "See also" and the like."""
    out: list[str] = []
    pending: list[tuple[int, str]] = []  # headings that nothing has followed yet
    left_out = 0  # level of the heading whose section is left out
    for line in lines:
        line = line.strip(" \t")
        found = HEADING.match(line)
        if found:
            level, title = len(found[1]), found[2].strip()
            if left_out and level > left_out:
                continue
            left_out = level if title.lower().strip(" :：") in ENDMATTER else 0
            pending = [old for old in pending if old[0] < level]
            if not left_out:
                pending.append((level, title))
            continue
        if left_out:
            continue
        marked = LIST.match(line)
        if marked:
            line = line[marked.end() :]
            line = f"- {line}" if line and marked[1][-1] in "*#" else line
        if line.startswith(("|", "!")):
            continue  # what is left of a table that was not closed
        if line.strip("-•· "):
            for _, title in pending:
                out += ["", title, ""]
            pending = []
            out.append(line)
        elif out and out[-1]:
            out.append("")
    return out
