"""Wikipedia dumps (MediaWiki XML, mostly .bz2): each article as prose.

Format: https://www.mediawiki.org/xml/export-0.11.xsd. Redirects, talk pages and the like are left out, and counted.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

from yaya.prepare.document import Broken, Document, ReadEvents, Unusable
from yaya.prepare.read.source_files import SourceFile, opening
from yaya.prepare.read.wikinames import REDIRECT, Site, site_of
from yaya.prepare.read.wikitemplates import WikiPage
from yaya.prepare.read.wikitext import to_text

BLOCK = 1 << 16  # bytes
ROOT = re.compile(rb"<mediawiki[^>]*>")
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


class Entry(NamedTuple):
    """A page of the dump. `kind`: why it is not an article; empty if it is one."""

    site: Site
    title: str
    date: str
    wikitext: str
    kind: str


def read_wiki(file: SourceFile, events: ReadEvents) -> Iterator[Document]:
    """Yields the articles of a dump: title, empty line, prose. `where` is the title."""

    def broken(line: int, error: ET.ParseError) -> None:
        problem = Unusable("damaged", f"the XML is damaged: {error}", f"XML 已损坏：{error}")
        events.broken(Broken(file.name, f"line {line}", problem))

    with opening(file, events) as stream:
        for entry in entries(stream, broken):
            where = f"page {entry.title}"
            page = WikiPage(entry.site, entry.title, entry.date)
            text = "" if entry.kind else to_text(entry.wikitext, page)
            kind = entry.kind or ("disambiguation" if page.disambiguates else "" if text else "nothing to see")
            if kind:
                events.left_out(file.name, where, kind)
            else:
                yield Document(f"{entry.title}\n\n{text}", None, file.name, where)


def entries(stream: IO[bytes], broken: Callable[[int, ET.ParseError], None]) -> Iterator[Entry]:
    """Yields the pages of a dump, each in its latest revision, and frees the memory of each."""
    root: ET.Element | None = None
    site = Site()
    opened: list[ET.Element] = []  # open elements: if a part of the file is missing, pages are nested
    for event, element in elements(stream, broken):
        name = element.tag.rpartition("}")[2]
        if event == "start":
            if name == "mediawiki":
                site = site if root is not None else site_of(element.get(LANGUAGE, ""), ())
                root = element
                opened.clear()
            opened.append(element)
        else:
            opened.pop()
            if name == "siteinfo":
                lang = root.get(LANGUAGE, "") if root is not None else ""
                site = site_of(lang or language_of(element), namespaces(element))
            elif name == "page":
                yield entry_of(element, site)
                if opened:
                    opened[-1].clear()


def elements(stream: IO[bytes], broken: Callable[[int, ET.ParseError], None]) -> Iterator[tuple[str, ET.Element]]:
    """Yields start and end of each XML element. After damage, reading continues with the next page."""
    parser: ET.XMLPullParser[Any] = ET.XMLPullParser(("start", "end"))
    line, at, head = 1, 1, b""  # first lines of the block and of what this parser has read
    lost = False
    while block := stream.read(BLOCK) + stream.readline(BLOCK):
        head = head or b"".join(ROOT.findall(block)[:1])
        while block:
            if lost:
                begins = block.find(b"<page>")
                line += block.count(b"\n", 0, begins if begins >= 0 else len(block))
                block = block[begins:] if begins >= 0 else b""
                if begins < 0:
                    break
                parser, at, lost = ET.XMLPullParser(("start", "end")), line, False
                parser.feed(head or b"<mediawiki>")
            parser.feed(block)
            try:
                yield from parser.read_events()  # type: ignore[misc]
            except ET.ParseError as error:
                broken(at - 1 + error.position[0], error)
                skip = offset(block, at - 1 + error.position[0] - line, error.position[1])
                line += block.count(b"\n", 0, skip)
                block, lost = block[skip:], True
            else:
                line += block.count(b"\n")
                block = b""
    try:
        if not lost:
            parser.close()
    except ET.ParseError as error:
        broken(at - 1 + error.position[0], error)


def offset(block: bytes, line: int, column: int) -> int:
    """The position of a line and column in a block, counted from 0; at least 1, so that reading makes progress."""
    start = 0
    for _ in range(line):
        start = block.find(b"\n", start) + 1
    return max(1, start + column)


def language_of(siteinfo: ET.Element) -> str:
    """`<dbname>zhwiki</dbname>` -> zh."""
    name = next((element.text or "" for element in siteinfo if element.tag.endswith("dbname")), "")
    found = re.match(r"([a-z_]{2,12})wik", name)
    return found[1].replace("_", "-") if found else ""


def namespaces(siteinfo: ET.Element) -> Iterator[tuple[int, str]]:
    """(number, name): `<namespace key="6">File</namespace>`."""
    for element in siteinfo.iter():
        number = element.get("key", "")
        if element.tag.rpartition("}")[2] == "namespace" and re.fullmatch(r"-?\d{1,9}", number):
            yield int(number), (element.text or "").strip()


def entry_of(page: ET.Element, site: Site) -> Entry:
    """The newest revision in a `<page>`; what is missing is empty."""
    space = page.tag[: -len("page")]
    title = page.findtext(f"{space}title") or ""
    revision = page.findall(f"{space}revision")[-1:]  # full histories have the oldest first

    def said(name: str) -> str:
        return (revision[0].findtext(space + name) if revision else "") or ""

    text = said("text")
    number = page.findtext(f"{space}ns")
    if number is None:
        prefix, colon, rest = title.partition(":")
        number = str(site.space(prefix) if colon and not rest.startswith(" ") else 0)
    if page.find(f"{space}redirect") is not None or REDIRECT.match(text):
        kind = "redirect"
    elif number.strip() != "0" or said("model") not in ("", "wikitext"):
        kind = "not an article"
    else:
        kind = ""
    return Entry(site, title, said("timestamp")[:10], text, kind)
