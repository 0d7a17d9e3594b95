"""Recipes: one TOML file, a table per stage; defaults < recipe < `key=value` on the command line.

A stage's config is a frozen dataclass whose fields are made with `key(default, meaning, meaning in Chinese)`.
`None` means "chosen by the run itself": what it chooses is written to `runs/NAME/recipe.toml`.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from yaya.core.messages import UserError, padded, t, width

C = TypeVar("C")


def key(
    default: Any,
    en: str,
    zh: str,
    choices: tuple = (),
    alias: str | None = None,
    least: float | None = None,
    decides: bool = True,
) -> Any:
    """One key of a stage's table: its default, its meaning in both languages, its allowed values.

    decides: whether the result depends on it; the number of workers, say, does not enter the digest.
    """
    about = {"en": en, "zh": zh, "choices": choices, "alias": alias, "least": least, "decides": decides}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=about)
    if isinstance(default, type):  # a table within the table: the class of its own keys
        return dataclasses.field(default_factory=default, metadata=about)
    return dataclasses.field(default=default, metadata=about)


def keys(config_class: type) -> dict[str, dataclasses.Field]:
    """A config's fields by the name that the user types."""
    return {f.metadata.get("alias") or f.name: f for f in dataclasses.fields(config_class)}


def build(config_class: type[C], values: Mapping[str, Any], where: str) -> C:
    """A config from the user's values; UserError for an unknown key or a value of the wrong type."""
    known = keys(config_class)
    hints = typing.get_type_hints(config_class)
    out = {}
    for name, value in values.items():
        if name not in known:
            raise unknown_key(name, known, where)
        field = known[name]
        inner = hints[field.name]
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            place = f"{where}.{name}" if where else name
            if not isinstance(value, Mapping):
                raise UserError(
                    f"{place} is a table: write {place}.KEY=value. Its keys: {', '.join(keys(inner))}.",
                    f"{place} 是一个表：请写 {place}.键=值。可用的键：{', '.join(keys(inner))}。",
                )
            out[field.name] = build(inner, value, place)
            continue
        out[field.name] = check_value(value, hints[field.name], field, f"{where}.{name}" if where else name)
    return config_class(**out)


def unknown_key(name: str, known: Iterable[str], where: str) -> UserError:
    """The error for an unknown key, with the nearest known one."""
    known = list(known)
    near = difflib.get_close_matches(name, known, 1, 0.5)
    full = f"{where}.{name}" if where else name
    hint_en = f" Did you mean {near[0]}?" if near else f" Known keys: {', '.join(known)}."
    hint_zh = f"你是想写 {near[0]} 吗？" if near else f"可用的有：{', '.join(known)}。"
    return UserError(f"Unknown key {full}.{hint_en}", f"不认识的键 {full}。{hint_zh}")


def check_value(value: Any, kind: Any, field: dataclasses.Field, name: str) -> Any:
    """The value, converted where nothing is lost (1 -> 1.0, one string -> a list of one).

    kind: the field's type; name: the key as the user knows it, for the UserError about an invalid value.
    """
    options, about = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,), field.metadata
    if value == "auto" and (field.default is None or type(None) in options):
        return None
    if isinstance(value, str) and any(typing.get_origin(option) is list for option in options):
        value = listed(value, name)
    if type(value) is int and str in options and float not in options:
        value = str(value)  # name=2026 parses as a number
    choices, least = about.get("choices"), about.get("least")
    try:
        found = adapter(kind, least).validate_python(value)
    except ValidationError as error:
        if error.errors()[0]["type"] == "greater_than_equal":
            raise UserError(
                f"{name} must be at least {least}, not {value!r}.", f"{name} 不能小于 {least}，现在是 {value!r}。"
            ) from None
        kinds = [kind_name(option) for option in options if option is not type(None)]
        en, zh = " or ".join(kind[0] for kind in kinds), "或".join(kind[1] for kind in kinds)
        raise UserError(f"{name} must be {en}, not {value!r}.", f"{name} 应当是{zh}，而不是 {value!r}。") from None
    if choices and found not in choices and found is not None:
        allowed = ", ".join(map(str, choices))
        raise UserError(
            f"{name} must be one of {allowed}; got {value!r}.", f"{name} 只能是 {allowed}，不能是 {value!r}。"
        )
    return found


@cache
def adapter(kind: Any, least: float | None) -> TypeAdapter[Any]:
    """What checks a key's value: its type without guesses, numbers of a size that is of use."""
    is_number = kind in (float, float | None)
    settings = ConfigDict(strict=True, allow_inf_nan=False)
    return TypeAdapter(typing.Annotated[kind, Field(ge=least, lt=1e300 if is_number else None)], config=settings)


KINDS = {
    int: ("a whole number", "整数"),
    float: ("a number", "数"),
    bool: ("true or false", " true 或 false"),
    str: ("a string", "字符串"),
    list: ("a list of strings", "字符串列表"),
    dict: ("a table", "表"),
}


def kind_name(kind: Any) -> tuple[str, str]:
    """What a key may be, in plain English, and in Chinese as it continues a Chinese sentence."""
    if typing.get_args(kind) == (float,):
        return "a list of numbers", "数的列表"
    return KINDS[typing.get_origin(kind) or kind]


def listed(text: str, name: str) -> list[str]:
    """`a.txt` or `[a.txt, b.txt]`: what is left of `["a.txt", "b.txt"]` where a shell has taken the quotes.

    name: the key, for the error about a broken list. `[2024] notes.txt` is a name.
    """
    inner = text.strip()
    if not inner.startswith("["):
        return [text]
    whole = inner.endswith("]")
    parts = [part.strip() for part in inner[1:-1].split(",")] if whole else []
    if "]" not in inner or (not whole and '"' in inner) or any(map(lacks_quote, parts)):
        raise UserError(
            f'{name}: {text} is not a list: a bracket or a quote is missing. Write it like \'{name}=["a", "b"]\'.',
            f'{name}：{text} 不是完整的列表，缺了括号或引号。请写成 \'{name}=["甲", "乙"]\' 这样。',
        )
    return [item for part in parts if (item := part.strip("\"'"))] if whole else [text]


def lacks_quote(part: str) -> bool:
    """Whether a quote opens and does not close, or the other way round."""
    return any(part.startswith(quote) != part.endswith(quote) or part == quote for quote in "\"'")


def as_dict(config: Any, deciding: bool = False) -> dict[str, Any]:
    """The config under the user's key names, nested tables as dicts. deciding: only keys that decide the result."""
    chosen = {n: f for n, f in keys(type(config)).items() if not deciding or f.metadata.get("decides", True)}
    values = {name: getattr(config, field.name) for name, field in chosen.items()}
    return {name: as_dict(value) if dataclasses.is_dataclass(value) else value for name, value in values.items()}


def describe(config_class: type, where: str = "", without: Iterable[str] = ()) -> str:
    """A table of every key: default and meaning, for `--help`. without: keys that mean something else there."""
    lines = [row for row in rows_of(config_class, where) if row[0] not in without]
    wide = [max(width(line[i]) for line in lines) for i in (0, 1)]
    return "\n".join(f"  {padded(n, wide[0])}  {padded(d, min(wide[1], 24))}  {m}" for n, d, m in lines)


def rows_of(config_class: type, where: str) -> list[tuple[str, str, str]]:
    """(name, default, meaning) of every key, nested tables included."""
    lines: list[tuple[str, str, str]] = []
    for name, field in keys(config_class).items():
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        if dataclasses.is_dataclass(default):
            lines += rows_of(type(default), f"{where}{name}.")
            continue
        shown = t("auto", "自动") if default is None else toml_value(default)
        lines.append((f"{where}{name}", shown, t(field.metadata["en"], field.metadata["zh"])))
    return lines


def toml_value(value: Any) -> str:
    """One value as TOML; TypeError if TOML cannot express it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        text = repr(value)
        return text if any(c in text for c in ".en") else text + ".0"
    if isinstance(value, str):
        escaped = "".join(
            f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else c
            for c in value.replace("\\", "\\\\").replace('"', '\\"')
        )
        return f'"{escaped}"'
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml_value(str(k))} = {toml_value(v)}" for k, v in value.items()) + "}"
    raise TypeError(f"no TOML form for {type(value).__name__}")


def to_toml(run: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]], heading: str = "") -> str:
    """A recipe file; keys that are `None` are left out."""
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    lines += [f"{name} = {toml_value(value)}" for name, value in run.items() if value is not None]
    for table, values in tables.items():
        lines += ["", f"[{table}]"]
        lines += [f"{name} = {toml_value(value)}" for name, value in values.items() if value is not None]
    return "\n".join(lines) + "\n"
