"""What may be changed: comparisons, sums, numbers, conditions, results, calls. Never words, types, what is only said, `assert`, `raise`."""

from __future__ import annotations

import ast
import copy
import difflib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ONLY_SAID = {"say", "t", "UserError", "UsageError", "print", "warn", "filterwarnings", "TypeVar"}
TYPES = ("annotation", "returns", "decorator_list")
OTHERS: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,), ast.And: (ast.Or,), ast.Or: (ast.And,), ast.Add: (ast.Sub,), ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,), ast.Div: (ast.Mult,), ast.FloorDiv: (ast.Mult,), ast.Mod: (ast.Mult,),
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """What stands in a file from a byte on, and what shall stand there instead."""

    name: str
    file: str
    at: int
    old: bytes
    new: bytes
    lines: tuple[int, ...] = ()
    defines: tuple[str, ...] = ()  # outside of functions: what the line gives a value to

    def apply(self, source: bytes) -> bytes:
        assert source.startswith(self.old, self.at)
        return source[: self.at] + self.new + source[self.at + len(self.old) :]

    def diff(self) -> str:
        source = (ROOT / self.file).read_bytes()
        both = (text.decode().splitlines() for text in (source, self.apply(source)))
        return "\n".join([*difflib.unified_diff(*both, n=0, lineterm="")][2:])


def draw(rooms: Sequence[str], number: int, seed: int) -> list[Change]:
    """So many changes: lines are drawn, then one change of each, so that tables of numbers do not weigh more than code."""
    by_line: dict[tuple[str, int], list[Change]] = {}
    for room in rooms:
        path = ROOT / "src/yaya" / room
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            for change in changes_of(file.relative_to(ROOT).as_posix(), file.read_bytes()):
                by_line.setdefault((change.file, int(change.name.split(":")[1])), []).append(change)
    chance = random.Random(seed)
    return [chance.choice(by_line[line]) for line in chance.sample(sorted(by_line), min(number, len(by_line)))]


def changes_of(name: str, source: bytes) -> Iterator[Change]:
    """Every change that may be drawn from a file."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def visit(node: ast.AST, field: str, statement: Any, inside: bool) -> Iterator[Change]:
        if isinstance(node, ast.JoinedStr | ast.Assert | ast.Raise) or is_only_said(node):
            return
        statement = node if isinstance(node, ast.stmt) else statement
        if isinstance(node, ast.expr | ast.stmt):
            begin, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[operator]
            lines = range(node.lineno, (node.end_lineno or 0) + 1) if isinstance(node, ast.expr) else ()
            negated = [("not", ast.UnaryOp(ast.Not(), node))] if field == "test" else []
            for kind, other in (*changed(node), *negated):
                text = ast.unparse(other) if isinstance(other, ast.stmt) else f"({ast.unparse(other)})"
                title, where = f"{name}:{node.lineno}:{node.col_offset} {kind}", (*sorted({statement.lineno, *lines}),)
                defines = () if inside else defined(statement)
                yield Change(title, name, begin, source[begin:end], text.encode(), where, defines)
        for name_of, value in ast.iter_fields(node):
            within = inside or (isinstance(node, ast.FunctionDef | ast.Lambda) and name_of == "body")
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and name_of not in TYPES:
                    yield from visit(child, name_of, statement, within)

    yield from visit(ast.parse(source), "", None, False)


def is_only_said(node: ast.AST) -> bool:
    """Whether this only says something, or is for the type checker."""
    of = node.func if isinstance(node, ast.Call) else node.test if isinstance(node, ast.If) else None
    return getattr(of, "id", getattr(of, "attr", "")) in {*ONLY_SAID, "TYPE_CHECKING"}


def defined(statement: ast.stmt) -> tuple[str, ...]:
    """What a statement outside of functions gives a value to; of a function whose default it is, the function."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return (statement.name,)
    return tuple(n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))


def changed(node: ast.AST) -> Iterator[tuple[str, Any]]:  # noqa: C901  # a table of cases
    """(kind, another node in its place) for every way to change it."""

    def other(kind: str, **fields: Any) -> tuple[str, Any]:
        made = copy.copy(node)
        for name, value in fields.items():
            setattr(made, name, value)
        return kind, made

    match node:
        case ast.Compare(ops=[op]):
            yield from (other(f"compare {new.__name__}", ops=[new()]) for new in OTHERS.get(type(op), ()))
        case ast.BoolOp() | ast.BinOp() | ast.AugAssign():
            if isinstance(node, ast.BoolOp) or not any(is_text(n) for n in ast.walk(node)):
                yield from (other(new.__name__, op=new()) for new in OTHERS.get(type(node.op), ()))
        case ast.Constant(value=bool(value)):
            yield other("bool", value=not value)
        case ast.Constant(value=int(value) | float(value)):
            yield from (other(kind, value=new) for kind, new in (("+1", value + 1), ("-1", value - 1)))
            yield from [other("x2", value=2 * value)] if value else []
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield "sign left out", node.operand
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield "return None", ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call() as call) if not is_only_said(call):
            yield "call left out", ast.Pass()
        case ast.Call(args=[ast.Name() | ast.Attribute() as first, ast.Name() | ast.Attribute() as second, *rest]):
            if ast.unparse(node.func) not in ("max", "min") and ast.dump(first) != ast.dump(second):
                yield other("arguments swapped", args=[second, first, *rest])


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
