"""Functions that can be read: none is long, and each that is more than a few lines says what it is for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "yaya"
LONGEST = 60  # lines
UNEXPLAINED = 6  # lines up to which a function may speak for itself

# Words by which a docstring says that a function fails, and that it may have nothing to give.
FAILS = re.compile(r"Error|[Rr]aise|[Rr]efuse|Unusable|[Ee]xit|Interrupt|error")
GIVES_NONE = re.compile(r"[Nn]one|else|where|when|until|if ")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(body: list[ast.stmt], within: str = "") -> Iterator[tuple[str, Function]]:
    """Functions and methods with their names; those inside of others are part of them."""
    for node in body:
        if isinstance(node, Function):
            yield within + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from functions(node.body, f"{within}{node.name}.")
        elif isinstance(node, ast.If | ast.Try):
            yield from functions([*node.body, *node.orelse], within)


def all_functions() -> Iterator[tuple[Path, str, Function]]:
    for path in sorted(SOURCE.rglob("*.py")):
        for name, node in functions(ast.parse(path.read_text("utf-8")).body):
            yield path.relative_to(SOURCE), name, node


def lines(node: Function) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def is_table(node: Function) -> bool:
    """Whether the function only gives back a literal."""
    last = node.body[-1]
    bare = len(node.body) == 1 or (len(node.body) == 2 and ast.get_docstring(node) is not None)
    return bare and isinstance(last, ast.Return) and isinstance(last.value, ast.Dict | ast.List | ast.Tuple)


def is_public(name: str) -> bool:
    return not any(part.startswith("_") for part in name.split("."))


def explained() -> Iterator[tuple[str, Function, str]]:
    """(place, function, docstring) of the public functions of more than a few lines."""
    for path, name, node in all_functions():
        if is_public(name) and lines(node) > UNEXPLAINED:
            yield f"{path}:{name}", node, ast.get_docstring(node) or ""


def test_no_function_is_long() -> None:
    long = {f"{path}:{name}" for path, name, node in all_functions() if lines(node) > LONGEST and not is_table(node)}
    assert not long


def test_public_functions_say_what_they_do() -> None:
    silent = [place for place, _, said in explained() if not said]
    assert not silent, "\n".join(silent)


def test_public_functions_say_how_they_fail() -> None:
    vague = [
        place
        for place, node, said in explained()
        if any(isinstance(inner, ast.Raise) for inner in ast.walk(node)) and not FAILS.search(said)
    ]
    assert not vague, "\n".join(vague)


def test_public_functions_say_when_there_is_nothing_to_give() -> None:
    vague = [
        place
        for place, node, said in explained()
        if node.returns and "| None" in ast.unparse(node.returns) and not GIVES_NONE.search(said)
    ]
    assert not vague, "\n".join(vague)
