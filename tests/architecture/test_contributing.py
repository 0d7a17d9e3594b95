"""CONTRIBUTING.md and the hooks before a commit: what they name is there, and does what they say."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from tests.architecture.test_floors import FLOORS, SOURCE

ROOT = Path(__file__).parents[2]
PAGES = ("CONTRIBUTING.md", "CONTRIBUTING.zh-CN.md")


def text_of(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def commands(page: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", text_of(page), re.S)
    return [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("page", PAGES)
def test_its_commands_are_there(page: str) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    found = [*commands(page), *re.findall(r"`(make \w+)`", text_of(page))]
    assert len(found) > 8
    for words in map(shlex.split, found):
        assert words[:2] == [".venv/bin/python", "-m"] or (words[0] == "make" and words[1] in targets), words
        for word in " ".join(words[2:]).removeprefix("ARGS=").split():
            assert "/" not in word or (ROOT / word).exists(), word


def test_both_languages_show_the_same_commands() -> None:
    assert commands(PAGES[0]) == commands(PAGES[1])


@pytest.mark.parametrize("page", PAGES)
def test_its_links_lead_somewhere(page: str) -> None:
    links = set(re.findall(r"\]\(([^)#:]+)\)", text_of(page)))
    assert not {link for link in links if not (ROOT / link).exists()} and len(links) > 3


@pytest.mark.parametrize("page", PAGES)
def test_it_names_the_floors_that_are_held(page: str) -> None:
    """Those that are there; the last is the program's entrance."""
    line = re.search(r"`core` <.*?`cli`", text_of(page), re.S)
    assert line
    rooms = {path.stem for path in SOURCE.iterdir()}
    assert [set(re.findall(r"`(\w+)`", part)) for part in line[0].split("<")] == [f & rooms for f in FLOORS[:-1]]


def hooks() -> dict[str, list[str]]:
    """Id -> the words after `python -m`."""
    (local,) = yaml.safe_load(text_of(".pre-commit-config.yaml"))["repos"]
    assert local["repo"] == "local"  # nothing is downloaded
    out = {}
    for hook in local["hooks"]:
        python, flag, *words = shlex.split(hook["entry"])
        assert (python, flag, hook["language"]) == (".venv/bin/python", "-m", "system")
        out[hook["id"]] = words
    return out


def test_the_hooks_are_the_tools_of_make_check() -> None:
    dev = tomllib.loads(text_of("pyproject.toml"))["project"]["optional-dependencies"]["dev"]
    assert list(hooks()) == ["ruff-check", "ruff-format", "mypy"]
    assert {words[0] for words in hooks().values()} <= {re.split(r"[<>=\[]", line)[0] for line in dev}


def test_the_hooks_mend_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import sys\nimport os\nprint( os.name,sys.path )\n", "utf-8")
    for name in ("ruff-check", "ruff-format"):
        command = [sys.executable, "-m", *hooks()[name], f"--config={ROOT / 'pyproject.toml'}", "a.py"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "a.py").read_text("utf-8") == "import os\nimport sys\n\nprint(os.name, sys.path)\n"
