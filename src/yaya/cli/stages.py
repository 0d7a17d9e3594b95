"""The stages' commands: `yaya STAGE [RECIPE.toml] [key=value ...]`, and what to type next."""

from __future__ import annotations

import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

from yaya import pipeline
from yaya.core.config import build, describe, keys, unknown_key
from yaya.core.messages import UsageError, program, say, t
from yaya.core.recipe import RunConfig, parse_assignment, read_recipe, set_dotted, spend


def names() -> list[str]:
    """The commands that take a recipe."""
    return ["run", *pipeline.STAGES, "tune"]


def stage_command(command: str, words: list[str]) -> None:
    """Runs one stage, or with `run` all of a recipe's, and says what to type next; prints the help if asked to."""
    if asks_for_help(words):
        print(help_of(command))
        return
    recipe = recipe_of(command, words)
    if command == "tune":
        tune_next(tune_stage().run(recipe))
        return
    if command == "prepare" and build(config_class(command), recipe.get(command, {}), command).preview:
        pipeline.preview(recipe)
        return
    job = pipeline.run(recipe, None if command == "run" else command)
    data = job.folder.find("tokenize") if command != "prepare" else None
    has_chats = data is None or bool(data.metrics["train"]["chat"]["documents"])
    next_step(command, job.recipe.run.name, job.recipe.run.from_run, has_chats)


def asks_for_help(words: list[str]) -> bool:
    return "-h" in words or "--help" in words


def help_of(command: str, shown: str | None = None) -> str:
    """Every key that a command takes. shown: the command's name if it differs (`plan` takes the keys of `run`)."""
    shown, whole = shown or command, command == "run"
    lines = [
        t(
            f"Usage: yaya {shown} [RECIPE.toml] [key=value ...]\n\nKeys of the whole run:",
            f"用法：yaya {shown} [配方.toml] [键=值 ……]\n\n整个运行的键：",
        ),
        describe(RunConfig, without=() if whole else keys(config_class(command))),
    ]
    for name in pipeline.STAGES if whole else (command,):
        lines.append(t(f"\nKeys of {name}:", f"\n{name} 的键："))
        lines.append(describe(config_class(name), f"{name}." if whole else ""))
    return "\n".join(lines)


def config_class(stage: str) -> type:
    if stage == "tune":
        return tune_stage().TuneConfig  # type: ignore[no-any-return]
    return pipeline.STAGES[stage].config


def recipe_of(command: str, words: list[str], shown: str | None = None) -> dict[str, Any]:
    """The recipe that the words name, with the keys that follow it. Mistakes raise UsageError or UserError."""
    shown = shown or command
    if command == "run" and not words:
        raise UsageError(
            f"Which recipe? For example: {program()} {shown} recipes/laptop.toml",
            f"要运行哪个配方？例如：{program()} {shown} recipes/laptop.toml",
        )
    recipe: dict[str, Any] = {}
    typed = set()
    for place, text in enumerate(words):
        if text.startswith("-"):
            key = text.lstrip("-").partition("=")[0].replace("-", "_") or "key"
            raise UsageError(
                f"{text!r}: keys are written without dashes: {key}=VALUE. See: yaya {shown} --help",
                f"{text!r}：键的前面不加短横线：{key}=值。请看：yaya {shown} --help",
            )
        if "=" in text:
            name, value = parse_assignment(text)
            set_dotted(recipe, whole_name(command, name), value)
            typed.add(name)
        elif place:
            raise UsageError(
                f"Give only one recipe, before the keys: {text!r}.", f"只能有一个配方，写在键的前面：{text!r}。"
            )
        else:
            recipe = read_recipe(Path(text))
            if command != "tune":
                recipe.pop("tune", None)  # that table is for `yaya tune` alone
    if command == "tune" and "budget" in typed:  # like minutes=, it is the search's here, not the run's
        money = {"budget": recipe.pop("budget"), "price_per_hour": recipe.get("price_per_hour")}
        set_dotted(recipe, "tune.minutes", spend(build(RunConfig, money, "")).minutes)
    return recipe


def whole_name(command: str, name: str) -> str:
    """A key's full name: a bare key belongs to the command's stage, else to the run; an unknown one is an error."""
    first = name.partition(".")[0]
    if command == "run" or first in pipeline.STAGES:
        return name
    own = keys(config_class(command))
    if first in own:
        return f"{command}.{name}"
    if "." not in name and name not in keys(RunConfig):
        raise unknown_key(name, [*own, *keys(RunConfig)], "")
    return name


def next_step(command: str, name: str, other: str | None, has_chats: bool) -> None:
    """Says what to type next.

    other: the run that has what this one lacks. has_chats: whether there are conversations in the data, so that it can
    be fine-tuned and chat.
    """
    following = dict(pairwise(stage for stage in pipeline.STAGES if has_chats or stage != "finetune"))
    yaya, name = program(), shlex.quote(name)
    if stage := following.get(command):
        given = f"name={name} from={shlex.quote(other)}" if other else f"name={name}"
        say(f"Next: {yaya} {stage} {given}", f"下一步：{yaya} {stage} {given}")
    elif has_chats:
        say(
            f"Next: {yaya} chat {name}   or, in the browser: {yaya} serve {name}",
            f"下一步：{yaya} chat {name}   或在浏览器里：{yaya} serve {name}",
        )
    else:
        say(
            f'Next: {yaya} generate {name} "Once upon a time"   (trained on plain text only: it continues what you write)',
            f'下一步：{yaya} generate {name} "一段文本的开头"   （它只读过文本，会接着你写的往下写）',
        )


def tune_stage() -> Any:
    """The one stage above the pipeline: it runs the pipeline's stages itself."""
    from yaya.tune import search

    return search


def tune_next(found: Any) -> None:
    """Says how to use what a search found."""
    if found.metrics["verdict"]["kind"] in ("default", "worse"):
        return
    best, name = shlex.quote(str(found.path / "best.toml")), shlex.quote(f"{found.path.parent.name}-best")
    say(f"Next: {program()} run {best} name={name}", f"下一步：{program()} run {best} name={name}")
