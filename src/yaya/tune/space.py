"""What is searched: for a key of the stage a range, `1e-4..1e-2`, or a list of values, `[2048, 4096]`."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yaya.core.config import check_value, keys, unknown_key
from yaya.core.messages import UserError

AROUND = 4.0  # without a space: from a fourth of the recipe's value to four times
AROUND_KEYS = ("learning_rate", "matrix_learning_rate")
ADAMW_KEYS = ("learning_rate",)  # those that matter when AdamW trains all weights
LOG_FROM = 10.0  # a range whose ends differ by this factor is searched on a log scale
MULTIPLES = {"hidden_size": 32, "intermediate_size": 32}  # widths that fast kernels like
NOT_SEARCHED = {  # the same for all trials
    "steps": (
        "all trials need the same number of steps, or their losses could not be compared",
        "所有试验的步数相同，否则损失没法比较",
    ),
    "evaluations": ("trials are validated at even intervals; set tune.looks", "各试验的验证次数相同；请设 tune.looks"),
    "samples": ("trials write no samples", "试验里不试写回复"),
}
NO_INFLUENCE = ("it does not change the loss", "它不影响损失")


@dataclass(frozen=True)
class Dimension:
    """One key and its values: `choices`, or all from `low` to `high` (whole numbers where `step` is set)."""

    name: str
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False
    step: int | None = None

    @property
    def countable(self) -> bool:
        return bool(self.choices or self.step)

    def __contains__(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= value <= self.high and (not self.step or (value - self.low) % self.step == 0)

    def __str__(self) -> str:
        if self.choices:
            return "[" + ", ".join(map(show, self.choices)) + "]"
        return f"{show(self.low)}..{show(self.high)}"


def show(value: Any) -> str:
    """A value in four digits: `0.0031623` -> `0.003162`."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def parse_space(space: Mapping[str, Any] | None, config: Any) -> list[Dimension]:
    """The dimensions of the user's `space` for a stage's config; if empty, learning rates around the config's.

    UserError for a key that does not exist or cannot be searched.
    """
    if not space:
        return around(config)
    known, hints = keys(type(config)), typing.get_type_hints(type(config))
    found = []
    for name, asked in space.items():
        if name not in known:
            raise unknown_key(name, [n for n in known if n not in NOT_SEARCHED], "tune.space")
        if name in NOT_SEARCHED or not known[name].metadata.get("decides", True):
            en, zh = NOT_SEARCHED.get(name, NO_INFLUENCE)
            raise UserError(f"tune.space.{name} cannot be searched: {en}.", f"tune.space.{name} 不能搜索：{zh}。")
        field = known[name]
        kind = hints[field.name]
        if isinstance(asked, list):
            found.append(choice(name, asked, kind, field))
        elif isinstance(asked, str) and ".." in asked:
            found.append(span(name, asked, kind, field))
        else:
            raise UserError(
                f"tune.space.{name} must be a range like 1e-4..1e-2 or a list like [1, 2], not {asked!r}.",
                f"tune.space.{name} 应当是范围（如 1e-4..1e-2）或列表（如 [1, 2]），而不是 {asked!r}。",
            )
    return found


def around(config: Any) -> list[Dimension]:
    """The learning rates, from a fourth of the config's to four times; UserError if they are 0."""
    known = keys(type(config))
    names = [n for n in AROUND_KEYS if n in known and (n in ADAMW_KEYS or config.optimizer != "adamw")]
    values = {n: getattr(config, known[n].name) for n in names}
    found = [Dimension(n, low=float(f"{v / AROUND:.4g}"), high=v * AROUND, log=True) for n, v in values.items() if v]
    if not found:
        raise UserError(
            "There is no learning rate above 0 to search around. Give keys and ranges: space.KEY=LOW..HIGH",
            "没有大于 0 的学习率可供搜索。请写明键和范围：space.键=下限..上限",
        )
    return found


def choice(name: str, asked: list[Any], kind: Any, field: dataclasses.Field) -> Dimension:
    """A list of values, each as the key allows it; UserError otherwise."""
    values = tuple(dict.fromkeys(check_value(value, kind, field, f"tune.space.{name}") for value in asked))
    if len(values) < 2:
        raise UserError(
            f"tune.space.{name} needs at least two different values; for a single value, set the key itself.",
            f"tune.space.{name} 至少要两个不同的值；只有一个值就直接设这个键。",
        )
    if not all(isinstance(value, str | int | float) for value in values):  # None, from "auto"
        raise UserError(
            f"tune.space.{name}: 'auto' is not a value that can be compared.",
            f"tune.space.{name}：“auto”不是可以比较的值。",
        )
    return Dimension(name, values)


def span(name: str, asked: str, kind: Any, field: dataclasses.Field) -> Dimension:
    """A range, its ends as the key allows them; UserError otherwise."""
    kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    whole = int in kinds and float not in kinds
    if not {int, float} & set(kinds) or field.metadata.get("choices"):
        raise UserError(
            f"tune.space.{name} takes no range: give a list of values.",
            f"tune.space.{name} 不能用范围：请给出值的列表。",
        )
    first, last = (number(part, name, asked) for part in asked.split("..", 1))
    low, high = (check_value(end, kind, field, f"tune.space.{name}") for end in (first, last))
    if not low < high:
        raise UserError(
            f"tune.space.{name}={asked}: the lower end must be below the upper end.",
            f"tune.space.{name}={asked}：下限必须小于上限。",
        )
    log = low > 0 and high >= LOG_FROM * low
    if not whole:
        return Dimension(name, low=low, high=high, log=log)
    multiple = MULTIPLES.get(name, 1)
    if multiple > 1 and low % multiple == high % multiple == 0:
        return Dimension(name, low=low, high=high, step=multiple)
    return Dimension(name, low=low, high=high, log=log, step=1)


def number(text: str, name: str, asked: str) -> int | float:
    """`"1e3"` -> 1000: an integer if nothing is lost, since a key may require one. UserError if it is none."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(
            f"tune.space.{name}={asked}: {text.strip()!r} is not a number.",
            f"tune.space.{name}={asked}：{text.strip()!r} 不是数。",
        )
    return int(value) if value == int(value) else value


def tidy(dimension: Dimension, value: Any) -> Any:
    """A value for a recipe: at most four digits, and within its range."""
    if dimension.choices or dimension.step:
        return value
    return min(max(float(f"{value:.4g}"), dimension.low), dimension.high)
