"""The tour: its examples run, in both languages the same, and what it names is there."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "yaya"
TOURS = {language: ROOT / "docs" / language / "tour.md" for language in ("en", "zh")}
NAMED = re.compile(r"`([\w/]+\.py)`(?:[,，、] ?((?:`\w[\w.]*`(?:[,，、] ?)?)+))?")


def plain(language: str) -> str:
    """The page without the marks around its code, which would count as output."""
    return re.sub(r"^```\w*$", "", TOURS[language].read_text("utf-8"), flags=re.MULTILINE)


def examples(language: str) -> list[doctest.Example]:
    return doctest.DocTestParser().get_examples(plain(language))


def test_the_examples_run(tmp_path: Path) -> None:
    """In a process of their own, from the first stop to the last."""
    (tmp_path / "tour.txt").write_text(plain("en"), "utf-8")
    code = "import doctest, sys; sys.exit(doctest.testfile('tour.txt', module_relative=False, encoding='utf-8').failed)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout


def test_both_languages_show_the_same_examples() -> None:
    en, zh = ([(example.source, example.want) for example in examples(language)] for language in ("en", "zh"))
    assert en == zh and len(en) > 30


@pytest.mark.parametrize("language", TOURS)
def test_files_and_functions_are_there(language: str) -> None:
    """`a/b.py`, `name`: the file is there and defines the name."""
    found = NAMED.findall(TOURS[language].read_text("utf-8"))
    assert len(found) > 30
    for file, names in found:
        path = SOURCE / file
        assert path.is_file(), file
        for name in re.findall(r"`(\w+)(?:\.\w+)*`", names):
            assert re.search(rf"\b{name}\b", path.read_text("utf-8")), f"{file}: {name}"


def test_both_languages_name_the_same_places() -> None:
    en, zh = ([file for file, _ in NAMED.findall(path.read_text("utf-8"))] for path in TOURS.values())
    assert sorted(en) == sorted(zh)
