"""Wikipedia dumps (MediaWiki XML, mostly .bz2): each article as prose.

Format: https://www.mediawiki.org/xml/export-0.11.xsd. Redirects, talk pages and the like are left out and counted.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import IO

from yaya.prepare.document import Broken, Document, Report, Unusable
from yaya.prepare.read.files import SourceFile, bytes_read, opening
from yaya.prepare.read.wikitext import to_text

REDIRECT = re.compile(r"^\s*#(?:REDIRECT|重定向|重新導向)", re.IGNORECASE)


def read_wiki(file: SourceFile, report: Report) -> Iterator[Document]:
    """The articles of a dump: title, empty line, prose. `where` is the title."""
    with opening(file) as stream:
        try:
            for number, page in enumerate(pages(stream), 1):
                if number % 100 == 0:
                    report.inside(bytes_read(stream))
                title, namespace, redirect, text = page
                where = f"page {title}"
                if redirect or REDIRECT.match(text):
                    report.left_out(file.name, where, "redirect")
                elif namespace != "0":
                    report.left_out(file.name, where, "not an article")
                else:
                    yield Document(f"{title}\n\n{to_text(text)}", None, file.name, where)
        except ET.ParseError as error:
            line, column = error.position
            problem = Unusable(
                "damaged",
                f"the XML breaks off or is damaged: {error}",
                f"XML 不完整或已损坏：第 {line} 行第 {column} 列",
            )
            report.broken(Broken(file.name, f"line {line}", problem))


def pages(stream: IO[bytes]) -> Iterator[tuple[str, str, bool, str]]:
    """(title, namespace, whether it redirects, wikitext) of each page; a page is forgotten when the next begins."""
    root = None
    for event, element in ET.iterparse(stream, events=("start", "end")):
        if root is None:
            root = element
        if event == "end" and element.tag.rpartition("}")[2] == "page":
            space = element.tag[: -len("page")]
            text = element.findtext(f"{space}revision/{space}text") or ""
            redirect = element.find(f"{space}redirect") is not None
            yield element.findtext(f"{space}title") or "", element.findtext(f"{space}ns") or "0", redirect, text
            root.clear()
