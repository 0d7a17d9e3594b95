"""Recipes: one TOML file with a table per stage. Precedence: defaults < recipe < `key=value` on the command line.

What a run measures or chooses by itself is written to `runs/NAME/recipe.toml` and read back from there.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from yaya.core import distributed
from yaya.core.config import as_dict, build, key, keys, to_toml, unknown_key
from yaya.core.files import make_folder, write_atomic
from yaya.core.messages import UsageError, UserError

MACHINE_KEYS = ("device", "dtype", "threads")
CHOSEN_KEYS = ("micro_batch_tokens",)  # keys that decide no result but are chosen all the same


@dataclass(frozen=True)
class RunConfig:
    """Keys at the top of a recipe: they belong to the whole run."""

    name: str = key("demo", "name of the run: results go to runs/NAME", "这次运行的名字：结果写到 runs/NAME")
    minutes: float = key(
        10.0,
        "wall-clock time of the whole run; sets the number of steps",
        "整个运行的时间（分钟），训练步数由它决定",
        least=0.05,
    )
    budget: str | float | None = key(
        None,
        'what the run may cost, instead of minutes, e.g. "$5"; needs price_per_hour',
        '整个运行最多花多少钱，代替 minutes，如 "¥30"；按 price_per_hour 折算成时间',
    )
    price_per_hour: float | None = key(
        None,
        "hourly price of the machine, in the budget's currency",
        "机器每小时的价格，货币与 budget 相同",
        least=1e-6,
    )
    seed: int = key(0, "random seed", "随机种子", least=0)
    device: str = key(
        "auto",
        "auto, cpu, cuda, mps or xla (TPU, see docs/en/scale.md)",
        "auto、cpu、cuda、mps 或 xla（TPU，见 docs/zh/scale.md）",
        ("auto", "cpu", "cuda", "mps", "xla"),
    )
    dtype: str = key(
        "auto",
        "number format to compute in; auto measures which is faster",
        "计算精度；auto 会实测哪个更快",
        ("auto", "float32", "bfloat16"),
    )
    threads: int | None = key(None, "CPU threads (default: all cores)", "CPU 线程数（默认：所有核）", least=1)
    overwrite: bool = key(
        False,
        "replace a finished training or its data where the new one would differ; a single stage is always redone",
        "允许覆盖和这次不一样的旧训练结果及其数据；单独运行一个阶段时，总是重做",
    )
    from_run: str | None = key(
        None, "name of another run to take missing inputs from", "缺少的输入从哪个运行里取（写它的名字）", alias="from"
    )


def spend(config: RunConfig) -> RunConfig:
    """The config with the minutes that the budget pays for; UserError if it is not money or the price is missing."""
    if config.budget is None:
        return config
    amount = re.fullmatch(r"\s*[$¥￥€£]?\s*(\d+(?:\.\d+)?)\s*", str(config.budget))
    if amount is None or float(amount[1]) == 0:
        raise UserError(
            f"budget={config.budget!r} is not an amount of money. Write it like budget='$5'.",
            f"budget={config.budget!r} 不是金额。请写成 budget='¥30' 这样。",
        )
    if config.price_per_hour is None:
        raise UserError(
            f"budget={config.budget!r} needs the machine's hourly price in the same currency, e.g. price_per_hour=2.5.",
            f"budget={config.budget!r} 还需要机器每小时的价格（同一种货币），如 price_per_hour=2.5。",
        )
    minutes = round(60 * float(amount[1]) / config.price_per_hour, 2)
    return dataclasses.replace(config, minutes=max(0.05, minutes))


@dataclass(frozen=True)
class Recipe:
    """What belongs to the whole run, and the config of each stage by its name."""

    run: RunConfig
    stages: Mapping[str, Any]

    @classmethod
    def read(cls, tables: Mapping[str, Any], configs: Mapping[str, type]) -> Recipe:
        """The recipe from nested dicts. configs: each stage's class of keys. UserError for an unknown key."""
        stages = {name: value for name, value in tables.items() if isinstance(value, dict)}
        for name in stages:
            if name not in configs:
                raise unknown_key(name, [*configs, *keys(RunConfig)], "")
        run = build(RunConfig, {name: value for name, value in tables.items() if name not in stages}, "")
        return cls(spend(run), {name: build(made, stages.get(name, {}), name) for name, made in configs.items()})

    def with_stage(self, name: str, config: Any) -> Recipe:
        """A copy with one stage's config replaced."""
        return replace(self, stages={**self.stages, name: config})

    def run_keys(self) -> dict[str, Any]:
        """The run's keys that a later run of the same recipe keeps."""
        return {name: value for name, value in as_dict(self.run).items() if name not in ("overwrite", "from")}

    def toml(self) -> str:
        """The recipe as a file that can be run."""
        heading = "The resolved recipe of this run. `yaya run` on this file repeats or resumes the run without measuring again."
        return to_toml(self.run_keys(), {name: as_dict(config) for name, config in self.stages.items()}, heading)


def resolve(recipe: Recipe, previous: Mapping[str, Any], unasked: Collection[str] = ()) -> Recipe:
    """The recipe with what an earlier run of it measured or chose, up to the first difference; the rest is chosen again.

    previous: the tables of that run's recipe.toml, empty if there is none; keys that only another version of yaya knows
    are passed over. unasked: stages that come before the only requested one; they keep their previous config.
    """
    if not previous:
        return recipe
    before = {
        name: {key: value for key, value in previous[name].items() if key in keys(type(config))}
        for name, config in recipe.stages.items()
        if isinstance(previous.get(name), dict)
    }
    for name in unasked:
        recipe = recipe.with_stage(name, build(type(recipe.stages[name]), before.get(name, {}), name))
    asked = {name: value for name, value in recipe.run_keys().items() if value is not None}
    if any(value not in ("auto", previous.get(name)) for name, value in asked.items()):
        return recipe
    open_keys = [n for n in MACHINE_KEYS if getattr(recipe.run, n) in (None, "auto") and n in previous]
    recipe = replace(recipe, run=replace(recipe.run, **{name: previous[name] for name in open_keys}))
    for name, config in recipe.stages.items():
        old, deciding = before.get(name), as_dict(config, deciding=True)
        if old is None or any(value is not None and old.get(n) != value for n, value in deciding.items()):
            return recipe
        # Workers and the like: as requested
        free = {n: value for n, value in as_dict(config).items() if n not in deciding}
        chosen = {n: old[n] for n in CHOSEN_KEYS if n in old and free.get(n, 0) is None}
        recipe = recipe.with_stage(name, build(type(config), old | free | chosen, name))
    return recipe


class RunRecipe:
    """The recipe of a run, and its file: both become complete as stages settle what it leaves open."""

    def __init__(self, path: Path, recipe: Recipe):
        self.path, self.recipe = path, recipe

    def settle(self, stage: str, **changes: Any) -> None:
        """Sets keys of a stage. In the file they are after the next `write`."""
        self.recipe = self.recipe.with_stage(stage, replace(self.recipe.stages[stage], **changes))

    def write(self) -> None:
        """`recipe.toml`: everything that was asked for, measured or chosen; it can be run again. Of several ranks, rank 0 writes."""
        if distributed.is_main():
            make_folder(self.path.parent)
            write_atomic(self.path, self.recipe.toml())


def read_recipe(path: Path) -> dict[str, Any]:
    """The recipe file as nested dicts; UserError if it is missing or not valid TOML."""
    if path.suffix != ".toml":
        raise UserError(
            f"{path} is not a recipe: recipes end in .toml. To train on texts, write sources={path}; to name a run, name={path.name}.",
            f"{path} 不是配方，配方以 .toml 结尾。要学习文本，请写 sources={path}；要指定运行，请写 name={path.name}。",
        )
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))  # Windows' editor puts a mark in front
    except FileNotFoundError:
        raise UserError(
            f"Recipe {path} not found. The recipes that come with yaya are in recipes/.",
            f"找不到配方 {path}。自带的配方在 recipes/ 里。",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}", f"{path} 不是合法的 TOML：{error}") from None
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}.", f"读不了 {path}：{error.strerror}。") from None


def parse_assignment(text: str) -> tuple[str, Any]:
    """`stage.key=value` -> (`"stage.key"`, value as TOML, else a string). UsageError without a key or `=`."""
    name, equals, raw = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"Expected key=value, got {text!r}.", f"应当写成 key=value，而不是 {text!r}。")
    try:
        parsed = tomllib.loads(f"v = {raw}")
    except tomllib.TOMLDecodeError:
        return name.strip(), raw
    value = parsed["v"]
    is_date = isinstance(value, datetime.date | datetime.time)
    is_endless = isinstance(value, float) and not math.isfinite(value)  # name=nan is a name, and no number is NaN
    is_value = len(parsed) == 1 and not is_date and not is_endless
    return name.strip(), value if is_value else raw


def set_dotted(tree: dict[str, Any], name: str, value: Any) -> None:
    """`set_dotted(tree, "a.b", 1)` is `tree["a"]["b"] = 1`; UsageError if `a` is not a table."""
    *tables, last = name.split(".")
    for table in tables:
        child = tree.setdefault(table, {})
        if not isinstance(child, dict):
            raise UsageError(f"{name}: {table} is not a table.", f"{name}：{table} 不是一个表。")
        tree = child
    tree[last] = value
