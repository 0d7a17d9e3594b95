"""Wikipedia dumps (MediaWiki XML, mostly .bz2): each article as prose.

Format: https://www.mediawiki.org/xml/export-0.11.xsd. Redirects, talk pages and the like are left out and counted.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import IO, NamedTuple

from yaya.prepare.document import Broken, Document, Report, Unusable
from yaya.prepare.read.files import SourceFile, bytes_read, opening
from yaya.prepare.read.wikinames import REDIRECT, Site, site_of
from yaya.prepare.read.wikitemplates import Page
from yaya.prepare.read.wikitext import to_text

LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


class Entry(NamedTuple):
    """A page as it stands in the dump; `kind`: why it is no article, if it is none."""

    site: Site
    title: str
    date: str
    wikitext: str
    kind: str


def read_wiki(file: SourceFile, report: Report) -> Iterator[Document]:
    """The articles of a dump: title, empty line, prose. `where` is the title."""
    with opening(file) as stream:
        try:
            for number, entry in enumerate(entries(stream), 1):
                if number % 100 == 0:
                    report.inside(bytes_read(stream))
                where = f"page {entry.title}"
                page = Page(entry.site, entry.title, entry.date)
                text = "" if entry.kind else to_text(entry.wikitext, page)
                kind = entry.kind or ("disambiguation" if page.disambiguates else "" if text else "nothing to see")
                if kind:
                    report.left_out(file.name, where, kind)
                else:
                    yield Document(f"{entry.title}\n\n{text}", None, file.name, where)
        except ET.ParseError as error:
            line, column = error.position
            problem = Unusable(
                "damaged",
                f"the XML breaks off or is damaged: {error}",
                f"XML 不完整或已损坏：第 {line} 行第 {column} 列",
            )
            report.broken(Broken(file.name, f"line {line}", problem))


def entries(stream: IO[bytes]) -> Iterator[Entry]:
    """The pages of a dump, each with its latest revision; a page is forgotten when the next begins."""
    root = None
    site = Site()
    for event, element in ET.iterparse(stream, events=("start", "end")):
        if root is None:
            root = element
            site = site_of(root.get(LANGUAGE, ""), ())
        if event == "end":
            name = element.tag.rpartition("}")[2]
            if name == "siteinfo":
                site = site_of(root.get(LANGUAGE, "") or language_of(element), namespaces(element))
            elif name == "page":
                yield entry_of(element, site)
                root.clear()


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
