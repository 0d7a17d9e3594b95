"""What users read: no message shows how it was made."""

from __future__ import annotations

import ast
import re
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "yaya"
TELLERS = {
    "UserError",
    "UsageError",
    "ApiError",
    "Unusable",
    "say",
    "t",
    "fail",
    "print",
    "warn",
    "bad_json",
    "need",
    "option",
}
# Doubled braces are for `format`, which none of these calls; a name in braces has lost its f.
BRACES = re.compile(r"\{\{|\}\}|\{[A-Za-z_][\w.]*(?:![rs])?(?::[^{}\"' ]*)?\}")


def texts(path: Path) -> list[tuple[int, str]]:
    """The constant texts in each call that tells something, with their lines."""
    calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
    told = (call for call in calls if getattr(call.func, "id", getattr(call.func, "attr", "")) in TELLERS)
    return [
        (node.lineno, node.value)
        for call in told
        for argument in [*call.args, *(keyword.value for keyword in call.keywords)]
        for node in ast.walk(argument)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def test_no_message_shows_a_placeholder() -> None:
    found = [
        f"{path}:{line}: {text}"
        for path in sorted(SOURCE.rglob("*.py"))
        for line, text in texts(path)
        if BRACES.search(text)
    ]
    assert not found, "\n".join(found)


def test_the_pattern() -> None:
    assert all(BRACES.search(text) for text in ('a {{"type"}}', "is {name}.", "{count:,} files", "{path!r}", "{a.b}"))
    assert not any(BRACES.search(text) for text in ('{"messages": [{"role", "content"}]}', "{}", "a { b }"))
