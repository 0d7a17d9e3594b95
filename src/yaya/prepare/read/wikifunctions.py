"""Parser functions and variables of MediaWiki: {{#if: ...}}, {{formatnum: ...}}, {{PAGENAME}}."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable

from yaya.prepare.read.wikinumbers import WikiPage, date_of

Function = Callable[[list[str], WikiPage], str]  # gets its arguments, stripped, followed by empty ones


def expression(text: str) -> str:
    """The value of {{#expr: 2 * (3 + 4)}}; "" for anything but arithmetic on plain numbers."""
    formula, _, places = text.partition(" round ")
    try:
        result = calculated(ast.parse(formula.strip(), mode="eval").body) if len(formula) <= 200 else None
        result = round(result, int(places)) if result is not None and places else result
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError, MemoryError):
        return ""
    return "" if result is None else f"{result:.12g}"


OPERATORS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}


def calculated(node: ast.expr) -> float:
    """The value of an expression that Python has parsed; ValueError for anything but numbers and OPERATORS."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -calculated(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](calculated(node.left), calculated(node.right))
    raise ValueError


def switch(a: list[str], page: WikiPage) -> str:
    """{{#switch: x | a | b = text | #default = other}}."""
    matched = False
    default = ""
    for part in a[1:]:
        key, equals, text = part.partition("=")
        matched = matched or key.strip() == a[0]
        if equals and matched:
            return text.strip()
        if equals and key.strip() == "#default":
            default = text.strip()
        elif not equals and part:
            default = part  # the last one without a key
    return default


FUNCTIONS: dict[str, Function] = {
    "#if": lambda a, page: a[1] if a[0] else a[2],
    "#ifeq": lambda a, page: a[2] if a[0] == a[1] else a[3],
    "#ifexist": lambda a, page: a[1],
    "#iferror": lambda a, page: a[2] or a[0],
    "#ifexpr": lambda a, page: a[1] if expression(a[0]) not in ("", "0") else a[2],
    "#expr": lambda a, page: expression(a[0]),
    "#switch": switch,
    "#dateformat": lambda a, page: a[0],
    "#formatdate": lambda a, page: a[0],
    "formatnum": lambda a, page: a[0].replace(",", "") if a[1].lower() == "r" else a[0],
    "lc": lambda a, page: a[0].lower(),
    "uc": lambda a, page: a[0].upper(),
    "lcfirst": lambda a, page: a[0][:1].lower() + a[0][1:],
    "ucfirst": lambda a, page: a[0][:1].upper() + a[0][1:],
    "plural": lambda a, page: a[1] if a[0] == "1" else a[2] or a[1],
}
VARIABLES: dict[str, Callable[[WikiPage], str]] = {
    **dict.fromkeys(
        ("pagename", "fullpagename", "basepagename", "subpagename", "articlepagename"), lambda page: page.title
    ),
    **dict.fromkeys(("currentyear", "localyear"), lambda page: page.date[:4]),
    **dict.fromkeys(("currentmonth", "localmonth"), lambda page: page.date[5:7]),
    **dict.fromkeys(("currentday", "localday"), lambda page: page.date[8:10].lstrip("0")),
    **dict.fromkeys(
        ("currentmonthname", "localmonthname"), lambda page: date_of("", page.date[5:7], "", page) if page.date else ""
    ),
}
