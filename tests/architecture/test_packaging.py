"""Whatever the source imports is declared: what comes only because another package needs it may be gone tomorrow."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Of accelerators, of trackers that the tests have stand-ins for, and the core that pydantic is made of.
ELSEWHERE = {"torch_xla", "triton", "wandb", "swanlab", "pydantic_core"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(path: Path) -> Iterator[str]:
    """Top-level names of modules that a file imports, by a statement or a call that is given the name."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("import_module", "find_spec", "need", "library", "needed") and isinstance(
                node.args[0].value, str
            ):
                yield node.args[0].value.split(".")[0]


def declared() -> dict[str, set[str]]:
    """Distribution -> where it is declared: "" for what everyone gets, else its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    out: dict[str, set[str]] = {}
    for extra, wanted in {"": project["dependencies"], **project["optional-dependencies"]}.items():
        for requirement in wanted:
            out.setdefault(canonical(re.split(r"[\[<>=!~; ]", requirement)[0]), set()).add(extra)
    return out


def test_every_import_is_declared() -> None:
    known, found = packages_distributions(), declared()
    missing: dict[str, str] = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        for module in imported(path):
            if module in sys.stdlib_module_names or module == "yaya":
                continue
            names = {canonical(name) for name in known.get(module, [module])}
            if module not in ELSEWHERE and not any(found.get(name, {"dev"}) - {"dev"} for name in names):
                missing[module] = path.relative_to(ROOT).as_posix()
    assert not missing


def test_what_is_pinned_is_what_the_bounds_allow() -> None:
    """Each declared package has its pin, so that two installations are the same."""
    pins = {canonical(line.split("==")[0]) for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()}
    unpinned = {"yaya", "wandb", "swanlab"}  # run by hand once; the tests use stand-ins
    assert not set(declared()) - pins - unpinned
