"""Names that wikis use: namespaces, languages, redirects, sections after the text, disambiguation pages."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MEDIA, FILE, CATEGORY, OTHER = -2, 6, 14, 4  # MediaWiki's numbers; OTHER stands for all pages about the wiki
TABLES: dict[str, Any] = tomllib.loads(Path(__file__).with_name("wiki.toml").read_text("utf-8"))


def words(table: str) -> list[str]:
    """`a b_c` -> ["a", "b c"]."""
    return [name.replace("_", " ") for name in table.split()]


LANGUAGES = frozenset(words(TABLES["languages"]))
CONVERTED = frozenset(words(TABLES["converted"]))
REDIRECT = re.compile(rf"\s*[#＃]\s*(?:{'|'.join(TABLES['redirect'].split())})\s*:?\s*\[\[", re.IGNORECASE)
DISAMBIGUATION = frozenset(words(TABLES["disambiguation"]))
NO_TEXT = frozenset(words(TABLES["no_text"]))
NO_TEXT_AT_THE_END = NO_TEXT | frozenset(words(TABLES["no_text_at_the_end"]))
JOINED = re.compile(  # Notes et références; 脚注・出典
    r"\s*[,&/・、]\s*|\s(?:and|und|et|y|e|ed|en|en/of|og|och|i|и|та|й|και|ve|và|dan|și|ja|és|eta)\s|[와과]\s|\s및\s|\sو|[和与與及]"
)


@dataclass(frozen=True)
class Site:
    """The wiki that a page comes from: its language ("" if unknown) and the number of each namespace by name."""

    language: str = ""
    spaces: dict[str, int] = field(default_factory=lambda: known_spaces({}))

    def space(self, name: str) -> int:
        """The number of the namespace with this name; 0 where there is none."""
        return self.spaces.get(name.strip().replace("_", " ").lower(), 0)


def known_spaces(own: dict[str, int], language: str = "") -> dict[str, int]:
    """Namespaces by name: a wiki's own, the English ones, which work on all wikis, and others in its language.

    For a wiki that says nothing about itself, the names in all languages.
    """
    unknown = not (own or language)
    spaces = dict.fromkeys(words(TABLES["about_the_wiki"]), OTHER) if unknown else {}
    for line in TABLES["pictures_and_categories"].split("\n"):
        codes, _, names = line.partition(":")
        pictures, categories = (words(part) for part in names.split(";"))
        if unknown or codes == "en" or language in codes.split() or any(own.get(name) == FILE for name in pictures):
            spaces |= dict.fromkeys(pictures, FILE) | dict.fromkeys(categories, CATEGORY)
    return spaces | own


def site_of(language: str, namespaces: Iterable[tuple[int, str]]) -> Site:
    """The site of a dump that says `xml:lang="de"` and `<namespace key="6">Datei</namespace>`."""
    language = language.lower()
    language = language if language in LANGUAGES else language.partition("-")[0]
    own = {name.lower(): number for number, name in namespaces if name and number}
    return Site(language, known_spaces(own, language))
