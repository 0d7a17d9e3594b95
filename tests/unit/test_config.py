"""Recipes and keys: who overrides whom, what is refused and in which words, and the file that is written back."""

import dataclasses
import math
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yaya import pipeline
from yaya.cli import commands
from yaya.core.config import as_dict, build, describe, key, keys, to_toml
from yaya.core.messages import UsageError, UserError, plural, width
from yaya.core.recipe import RunConfig, parse_assignment, read_recipe, set_dotted, spend
from yaya.core.time_budget import TimeBudget
from yaya.pipeline import STAGES, open_run
from yaya.run import Run

quick = settings(deadline=None, max_examples=60)
CONFIGS = {"run": RunConfig, **{name: stage.config for name, stage in STAGES.items()}}
EVERY_KEY = [(where, name) for where, config in CONFIGS.items() for name in keys(config)]


@dataclasses.dataclass(frozen=True)
class Soup:
    salt: float = key(0.5, "grams", "盐（克）", least=0.1)
    spoons: int = key(2, "how many", "几勺", least=1)
    hot: bool = key(True, "served hot", "趁热")
    name: str = key("pho", "what it is called", "名字")
    pot: str = key("iron", "which pot", "用哪口锅", choices=("iron", "clay"))
    size: int = key(4, "bowls", "碗数", choices=(2, 4))
    herbs: list[str] = key([], "green things", "香草")
    minutes: int | None = key(None, "time (auto: until done)", "时间（自动：煮熟为止）", least=1)
    origin: str | None = key(None, "where it is from", "来自哪里", alias="from")
    extra: dict[str, Any] = key(None, "whatever else", "其他")


def refused(values: dict[str, Any], where: str = "soup") -> UserError:
    with pytest.raises(UserError) as caught:
        build(Soup, values, where)
    return caught.value


@pytest.fixture
def command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`command_line("run", "r.toml", ...)`: the run that the program would start, and the one stage it was asked for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.toml").write_text('name = "told"\nseed = 3\n\n[pretrain]\nsteps = 50\nbatch_tokens = 512\n', "utf-8")
    asked: list[tuple[Run, str | None]] = []

    def start(recipe: dict[str, Any], only: str | None = None) -> Run:
        asked.append((open_run(recipe), only))
        return asked[-1][0]

    monkeypatch.setattr(pipeline, "run", start)

    def ask(*arguments: str) -> tuple[Run, str | None]:
        commands.dispatch(list(arguments))
        return asked[-1]

    return ask


# ---------------------------------------------------------------- precedence


def test_the_command_line_beats_the_recipe_and_the_recipe_the_defaults(command_line: Any) -> None:
    run, only = command_line("run", "r.toml", "pretrain.steps=7", "minutes=2")
    assert only is None
    assert run.recipe.stages["pretrain"].steps == 7  # command line
    assert run.recipe.stages["pretrain"].batch_tokens == 512  # recipe
    assert run.recipe.stages["pretrain"].samples == CONFIGS["pretrain"]().samples  # default
    assert (run.recipe.run.name, run.recipe.run.seed, run.recipe.run.minutes) == ("told", 3, 2.0)


def test_of_two_values_on_the_command_line_the_last_counts(command_line: Any) -> None:
    run, _ = command_line("run", "r.toml", "seed=1", "seed=2")
    assert run.recipe.run.seed == 2


def test_a_bare_key_belongs_to_the_stage_that_was_named(command_line: Any) -> None:
    run, only = command_line("finetune", "r.toml", "steps=9", "seed=5", "pretrain.samples=1")
    assert only == "finetune"
    assert run.recipe.stages["finetune"].steps == 9
    assert run.recipe.stages["pretrain"].steps == 50 and run.recipe.stages["pretrain"].samples == 1
    assert run.recipe.run.seed == 5


def test_from_is_how_the_user_writes_it(command_line: Any) -> None:
    run, _ = command_line("finetune", "from=other")
    assert run.recipe.run.from_run == "other"
    with pytest.raises(UserError, match="from_run"):
        command_line("finetune", "from_run=other")


def test_a_second_recipe_is_a_usage_error(command_line: Any) -> None:
    with pytest.raises(UsageError, match=r"s\.toml"):
        command_line("run", "r.toml", "s.toml")


def test_a_second_recipe_after_an_empty_one_is_a_usage_error(command_line: Any) -> None:
    Path("empty.toml").write_text("# nothing yet\n", "utf-8")
    with pytest.raises(UsageError, match=r"r\.toml"):
        command_line("run", "empty.toml", "r.toml")


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("a=1", 1),
        ("a=-0.5", -0.5),
        ("a=1e-3", 0.001),
        ("a=true", True),
        ('a="quoted text"', "quoted text"),
        ("a=plain text", "plain text"),
        ("a=竹子镇.txt", "竹子镇.txt"),
        (r"a=C:\texts\new", r"C:\texts\new"),
        ("a=[1, 2]", [1, 2]),
        ('a=["x", "y"]', ["x", "y"]),
        ("a=x=y", "x=y"),
        ("a=", ""),
    ],
)
def test_a_value_is_toml_and_else_the_text_itself(typed: str, value: Any) -> None:
    name, found = parse_assignment(typed)
    assert name == "a" and found == value and type(found) is type(value)


@pytest.mark.parametrize("typed", ["a", "=3", " =3", ""])
def test_what_is_no_assignment_is_a_usage_error(typed: str) -> None:
    with pytest.raises(UsageError, match="key=value"):
        parse_assignment(typed)


@pytest.mark.parametrize("typed", ["2026", "2026-08-01", "nan", "inf"])
def test_a_name_is_taken_letter_by_letter(typed: str) -> None:
    name, value = parse_assignment(f"name={typed}")
    assert build(RunConfig, {name: value}, "").name == typed


def test_a_line_break_in_a_value_swallows_nothing() -> None:
    assert parse_assignment("a=1\nb = 2")[1] == "1\nb = 2"


def test_set_dotted_makes_tables_and_respects_values() -> None:
    tree: dict[str, Any] = {"pretrain": {"steps": 1}}
    set_dotted(tree, "pretrain.samples", 2)
    set_dotted(tree, "finetune.steps", 3)
    set_dotted(tree, "seed", 4)
    assert tree == {"pretrain": {"steps": 1, "samples": 2}, "finetune": {"steps": 3}, "seed": 4}
    with pytest.raises(UsageError, match="seed"):
        set_dotted(tree, "seed.x", 1)


# ---------------------------------------------------------------- unknown keys


@pytest.mark.parametrize(
    ("typed", "near"), [("spoon", "spoons"), ("salz", "salt"), ("minuets", "minutes"), ("form", "from")]
)
def test_an_unknown_key_names_the_nearest(typed: str, near: str) -> None:
    message = refused({typed: 1})
    assert f"soup.{typed}" in message.en and f"Did you mean {near}?" in message.en
    assert f"soup.{typed}" in message.zh and near in message.zh


def test_an_unknown_key_near_nothing_lists_what_there_is() -> None:
    message = refused({"xylophone": 1})
    for name in keys(Soup):
        assert name in message.en and name in message.zh


@pytest.mark.parametrize(
    ("arguments", "unknown", "near"),
    [
        (["run", "pretrian.steps=3"], "pretrian", "pretrain"),
        (["run", "nmae=x"], "nmae", "name"),
        (["run", "pretrain.step=3"], "pretrain.step", "steps"),
        (["pretrain", "hidden_sise=64"], "hidden_sise", "hidden_size"),
        (["pretrain", "sead=64"], "sead", "seed"),
    ],
)
def test_the_program_names_the_nearest_key(arguments: list[str], unknown: str, near: str, command_line: Any) -> None:
    with pytest.raises(UserError) as caught:
        command_line(*arguments)
    assert f"Unknown key {unknown}. Did you mean {near}?" in caught.value.en
    assert unknown in caught.value.zh and near in caught.value.zh


# ---------------------------------------------------------------- types, choices, least


def test_what_loses_nothing_is_converted() -> None:
    soup = build(Soup, {"salt": 1, "herbs": "mint", "name": 2026}, "soup")
    assert (soup.salt, soup.herbs, soup.name) == (1.0, ["mint"], "2026")
    assert type(soup.salt) is float


@pytest.mark.parametrize(
    ("values", "en", "zh"),
    [
        ({"spoons": 2.5}, "a whole number", "整数"),
        ({"spoons": 2.0}, "a whole number", "整数"),
        ({"spoons": "two"}, "a whole number", "整数"),
        ({"spoons": True}, "a whole number", "整数"),
        ({"spoons": [1]}, "a whole number", "整数"),
        ({"salt": "much"}, "a number", "数，"),
        ({"salt": False}, "a number", "数，"),
        ({"hot": 1}, "true or false", "true 或 false"),
        ({"hot": "yes"}, "true or false", "true 或 false"),
        ({"name": True}, "a string", "字符串"),
        ({"name": ["a"]}, "a string", "字符串"),
        ({"herbs": [1]}, "a list of strings", "字符串列表"),
        ({"herbs": {"a": 1}}, "a list of strings", "字符串列表"),
        ({"minutes": 1.5}, "a whole number", "整数"),
        ({"minutes": "soon"}, "a whole number", "整数"),
        ({"extra": 3}, "a table", "表"),
    ],
)
def test_a_wrong_type_is_named_with_key_type_and_value(values: dict[str, Any], en: str, zh: str) -> None:
    message = refused(values)
    (name, value) = next(iter(values.items()))
    assert message.en == f"soup.{name} must be {en}, not {value!r}."
    assert f"soup.{name} 应当是" in message.zh and zh in message.zh and repr(value) in message.zh


@pytest.mark.parametrize(("where", "name"), EVERY_KEY)
def test_what_a_key_may_be_is_told_in_plain_words(where: str, name: str) -> None:
    """No name of a type in Python stands in what a user reads."""
    if dataclasses.is_dataclass(keys(CONFIGS[where])[name].default_factory):
        return
    for value in ({"a": {}}, [[]], True):
        try:
            build(CONFIGS[where], {name: value}, where)
        except UserError as error:
            if "must be one of" not in error.en:
                assert not re.search(
                    r"\b(int|float|bool|str|dict)\b|\|", error.en.split(" must be ")[1].split(", not ")[0]
                )
                assert not re.search(r"int|float|bool|str|list|dict", error.zh.split("应当是")[1].split("，而不是")[0])


def test_a_choice_is_one_of_those_offered() -> None:
    assert build(Soup, {"pot": "clay", "size": 2}, "soup").pot == "clay"
    assert all(word in refused({"pot": "tin"}).en for word in ("soup.pot", "iron", "clay", "'tin'"))
    assert all(word in refused({"size": 3}).zh for word in ("soup.size", "2", "4", "3"))


def test_the_least_value_is_allowed_and_less_is_not() -> None:
    assert build(Soup, {"spoons": 1, "salt": 0.1, "minutes": 1}, "soup").spoons == 1
    assert all(word in refused({"spoons": 0}).en for word in ("soup.spoons", "at least 1", "0"))
    assert all(word in refused({"salt": 0.09}).zh for word in ("soup.salt", "0.1", "0.09"))
    assert "at least 1" in refused({"minutes": 0}).en


TRAINING = {
    "steps": 1, "num_train_epochs": 0.001, "batch_tokens": 1, "micro_batch_tokens": 1, "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 1, "learning_rate": 0, "matrix_learning_rate": 0, "momentum": 0, "weight_decay": 0,
    "warmup_steps": 0, "decay_fraction": 0, "decay_steps": 1, "max_grad_norm": 0, "evaluations": 0, "samples": 0,
    "save_seconds": 0, "save_steps": 1, "save_total_limit": 1, "user_weight": 0, "assistant_weight": 0,
}  # fmt: skip
LEAST: dict[str, dict[str, float]] = {
    "run": {"minutes": 0.05, "price_per_hour": 1e-6, "seed": 0, "threads": 1},
    "prepare": {"conversations": 0, "stories": 0, "validation_fraction": 0, "near_threshold": 0.5, "epochs_at_most": 1,
                "hub_megabytes": 0, "workers": 0, "preview": 0},
    "tokenize": {"vocab_size": 300, "han_run": 0, "sample_bytes": 1000},
    "pretrain": TRAINING | {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 32, "num_key_value_heads": 1,
                            "context_length": 16, "chat_fraction": 0, "text_weight": 0},
    "finetune": TRAINING | {"system_weight": 0},
    "evaluate": {"questions_per_skill": 1, "max_new_tokens": 1, "stride": 1},
}  # fmt: skip


@pytest.mark.parametrize("where", LEAST)
def test_the_least_value_of_every_key(where: str) -> None:
    """A negative number of steps or a vocabulary without room for the bytes is refused, what may be nothing is not."""
    for name, least in LEAST[where].items():
        assert as_dict(build(CONFIGS[where], {name: least}, where))[name] == least
        with pytest.raises(UserError, match=f"{name} must be at least"):
            build(CONFIGS[where], {name: least - 1 if isinstance(least, int) else least * 0.99}, where)
    assert {name for name, field in keys(CONFIGS[where]).items() if field.metadata.get("least") is not None} == {
        *LEAST[where]
    }


def test_not_a_number_is_below_every_least() -> None:
    refused({"salt": math.nan})


def test_a_number_too_large_for_a_float_is_a_mistake_not_a_crash() -> None:
    refused({"salt": 10**400})


def test_auto_leaves_the_choice_to_the_run() -> None:
    soup = build(Soup, {"minutes": "auto", "from": "auto"}, "soup")
    assert soup.minutes is None and soup.origin is None
    refused({"spoons": "auto"})  # there is nothing that would choose it


def test_every_key_that_may_be_none_takes_auto() -> None:
    for config in CONFIGS.values():
        for name, field in keys(config).items():
            if field.default is None:
                assert build(config, {name: "auto"}, "") == config()


@pytest.mark.parametrize(("where", "name"), EVERY_KEY)
def test_every_default_is_a_value_that_the_user_may_write(where: str, name: str) -> None:
    default = as_dict(CONFIGS[where]())[name]
    if default is not None:
        assert as_dict(build(CONFIGS[where], {name: default}, where))[name] == default


def test_two_configs_do_not_share_a_list() -> None:
    assert Soup().herbs is not Soup().herbs


def test_the_top_of_a_recipe_has_no_dot_in_front() -> None:
    assert refused({"spoons": "x"}, where="").en.startswith("spoons must")


# ---------------------------------------------------------------- the file

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
nasty = st.sampled_from(
    ['"', "\\", '\\"', "'''", '"""', "\n", "\r\n", "\t", "\x00\x1f\x7f", "\\u0041", "# no", "]", "\x85"]
)
scalars = st.one_of(text, nasty, st.integers(), st.booleans(), st.floats(allow_nan=False))
values = st.one_of(scalars, st.lists(text, max_size=4), st.lists(st.integers(), max_size=4), st.none())
names = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True)
tables = st.dictionaries(names, values, max_size=5)


def same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and left == right


@quick
@given(run=tables, stages=st.dictionaries(names.map(lambda n: f"stage_{n}"), tables, max_size=3))
def test_what_is_written_is_what_is_read(
    run: dict[str, Any], stages: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.toml"
    path.write_bytes(to_toml(run, stages, "one line\nand another").encode())
    found = read_recipe(path)
    for name, table in stages.items():
        kept = {n: v for n, v in table.items() if v is not None}
        back = found.pop(name)
        assert back.keys() == kept.keys() and all(same(back[n], v) for n, v in kept.items())
    kept = {n: v for n, v in run.items() if v is not None}
    assert found.keys() == kept.keys() and all(same(found[n], v) for n, v in kept.items())


@quick
@given(st.dictionaries(text, st.one_of(text, st.integers()), max_size=4))
def test_a_table_inside_a_key_survives_too(extra: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml({"extra": extra}, {}))["extra"] == extra


@quick
@given(st.floats(allow_nan=True))
def test_a_float_keeps_every_bit(value: float) -> None:
    back = tomllib.loads(to_toml({"x": value}, {}))["x"]
    assert type(back) is float
    assert math.isnan(back) if math.isnan(value) else (back, math.copysign(1, back)) == (value, math.copysign(1, value))


def test_the_resolved_recipe_builds_the_same_configs(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    before = {name: config() for name, config in CONFIGS.items() if name != "run"}
    path.write_text(to_toml(as_dict(RunConfig()), {n: as_dict(c) for n, c in before.items()}), "utf-8")
    found = read_recipe(path)
    assert {name: build(CONFIGS[name], found[name], name) for name in before} == before


@pytest.mark.parametrize("content", [b"a = \n", b"a = 1\na = 2\n", b"[x\n", b"name = demo\n", "a = '中'".encode("gbk")])
def test_a_broken_recipe_is_named_with_what_is_wrong(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_recipe(path)
    assert str(path) in caught.value.en and str(path) in caught.value.zh
    assert "TOML" in caught.value.en


@pytest.mark.parametrize("name", ["novel.txt", "chats.jsonl", "folder", "runs/demo", "demo"])
def test_what_is_no_recipe_is_told_where_it_belongs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("novel.txt").write_text("Once upon a time.\n", "utf-8")
    Path("chats.jsonl").write_text('{"text": "x"}\n', "utf-8")
    Path("folder").mkdir()
    with pytest.raises(UserError) as caught:
        read_recipe(Path(name))
    for said in (caught.value.en, caught.value.zh):
        assert f"sources={name}" in said and f"name={Path(name).name}" in said


def test_a_list_that_has_lost_its_quotes_to_the_shell() -> None:
    config = CONFIGS["prepare"]
    for typed, wanted in (
        ("a b.txt", ["a b.txt"]), ("[a b.txt]", ["a b.txt"]), ("[a.txt, 中文/b.txt]", ["a.txt", "中文/b.txt"]),
        ("[]", []), ("['a.txt',\"b.txt\",]", ["a.txt", "b.txt"]), ("[2024] a.txt", ["[2024] a.txt"]), ("a,b.txt", ["a,b.txt"]),
    ):  # fmt: skip
        assert build(config, {"sources": parse_assignment(f"sources={typed}")[1]}, "prepare").sources == wanted, typed


@pytest.mark.parametrize(
    "typed",
    [
        '["my/folder]',
        '["my/folder',
        "[my/folder",
        '[my/folder"]',
        "['my/folder\"]",
        '["a.txt", "b.txt"',
        '["a.txt, "b.txt"]',
        '["]',
    ],
)
def test_a_list_that_is_not_closed(typed: str) -> None:
    with pytest.raises(UserError) as caught:
        build(CONFIGS["prepare"], {"sources": parse_assignment(f"sources={typed}")[1]}, "prepare")
    assert caught.value.en.startswith(f"prepare.sources: {typed} is not a list") and '=["a", "b"]' in caught.value.en
    assert caught.value.zh.startswith(f"prepare.sources：{typed} 不是完整的列表") and '=["甲", "乙"]' in caught.value.zh


def test_a_recipe_saved_by_notepad_is_read(tmp_path: Path) -> None:
    """Windows' editor puts a byte order mark in front and ends lines with CR LF."""
    path = tmp_path / "windows.toml"
    path.write_bytes('name = "demo"\r\n\r\n[pretrain]\r\nsteps = 5\r\n'.encode("utf-8-sig"))
    assert read_recipe(path) == {"name": "demo", "pretrain": {"steps": 5}}


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "a.toml").mkdir()
    with pytest.raises(UserError, match="Cannot read"):
        read_recipe(tmp_path / "a.toml")


def test_the_shipped_recipes_are_all_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
    assert recipes
    monkeypatch.chdir(tmp_path)
    for path in recipes:
        open_run(read_recipe(path))


# ---------------------------------------------------------------- --help


@pytest.mark.parametrize(("where", "name"), EVERY_KEY)
def test_every_key_has_a_meaning_in_english_and_in_chinese(where: str, name: str) -> None:
    about = keys(CONFIGS[where])[name].metadata
    assert about["en"].strip() and not any("\u4e00" <= c <= "\u9fff" for c in about["en"])
    assert any("\u4e00" <= c <= "\u9fff" for c in about["zh"])


def every_key(config_class: type) -> dict[str, dataclasses.Field]:
    """The keys of a table and of the tables within it."""
    out: dict[str, dataclasses.Field] = {}
    for name, field in keys(config_class).items():
        factory = field.default_factory
        if isinstance(factory, type) and dataclasses.is_dataclass(factory):
            out |= {f"{name}.{inner}": about for inner, about in keys(factory).items()}
        else:
            out[name] = field
    return out


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("command", ["run", *STAGES])
def test_help_lists_every_key_with_its_meaning(
    command: str, language: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("YAYA_LANG", language)
    commands.dispatch([command, "--help"])
    lines = capsys.readouterr().out.splitlines()
    for stage in STAGES if command == "run" else [command]:
        for name, field in every_key(CONFIGS[stage]).items():
            shown = f"{stage}.{name}" if command == "run" else name
            assert any(line.split()[:1] == [shown] and line.endswith(field.metadata[language]) for line in lines), shown
    for name, field in keys(RunConfig).items():
        assert any(line.split()[:1] == [name] and line.endswith(field.metadata[language]) for line in lines), name


def test_describe_shows_the_default_as_the_user_would_type_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YAYA_LANG", "en")
    shown = {line.split()[0]: line.split()[1] for line in describe(Soup).splitlines()}
    assert shown["salt"] == "0.5" and shown["hot"] == "true" and shown["name"] == '"pho"'
    assert shown["herbs"] == "[]" and shown["minutes"] == "auto"
    monkeypatch.setenv("YAYA_LANG", "zh")
    assert "自动" in describe(Soup)


@pytest.mark.parametrize("command", ["run", "prepare", "tune"])
def test_columns_stand_below_each_other_in_chinese_too(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("YAYA_LANG", "zh")
    commands.dispatch([command, "--help"])
    for block in capsys.readouterr().out.split("\n\n")[1:]:
        rows = [line for line in block.splitlines()[1:] if width(re.split("  +", line.strip())[1]) <= 24]
        starts = {width(line[: line.index(re.split("  +", line.strip(), maxsplit=2)[2])]) for line in rows}
        assert len(starts) == 1, block


def test_help_of_tune_lists_each_key_once(capsys: pytest.CaptureFixture[str]) -> None:
    commands.dispatch(["tune", "--help"])
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert len(names) == len(set(names)) and {"minutes", "budget", "trials"} <= set(names)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "1 minute"),
        (1.0, "1 minute"),
        (2.5, "2.5 minutes"),
        (0.5, "0.5 minutes"),
        (0, "0 minutes"),
        (2000, "2,000 minutes"),
    ],
)
def test_numbers_with_a_noun(count: float, words: str) -> None:
    assert plural(count, "minute") == words


def test_tables_within_a_table(tmp_path: Path) -> None:
    PrepareConfig = CONFIGS["prepare"]
    config = build(PrepareConfig, {"augment": {"copies": 2, "share": 1}, "weights": [3, 1]}, "prepare")
    assert (config.augment.copies, config.augment.share, config.weights) == (2, 1.0, [3.0, 1.0])
    again = build(PrepareConfig, tomllib.loads(to_toml({}, {"prepare": as_dict(config)}))["prepare"], "prepare")
    assert again == config
    assert {"workers", "engine", "preview"} & as_dict(config, deciding=True).keys() == set()
    for values, said in (
        ({"augment": {"copeis": 1}}, r"prepare\.augment\.copeis.*copies"),
        ({"augment": 3}, r"prepare\.augment\.KEY"),
        ({"weights": ["a"]}, r"prepare\.weights"),
    ):
        with pytest.raises(UserError, match=said):
            build(PrepareConfig, values, "prepare")


def test_workers_are_as_asked_now_and_change_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = open_run({"name": "x"})
    first.settle(STAGES["pretrain"], dataclasses.replace(first.recipe.stages["pretrain"], steps=77))
    first.settled.write()
    again = open_run({"name": "x", "prepare": {"workers": 2, "engine": "ray"}})
    assert (again.recipe.stages["prepare"].workers, again.recipe.stages["prepare"].engine) == (2, "ray")
    assert again.recipe.stages["pretrain"].steps == 77  # what the run chose is still known
    other = open_run({"name": "x", "prepare": {"preset": "web"}})
    assert other.recipe.stages["pretrain"].steps is None


def test_what_is_computed_at_once_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = open_run({"name": "x"})
    first.settle(STAGES["pretrain"], dataclasses.replace(first.recipe.stages["pretrain"], micro_batch_tokens=512))
    first.settled.write()
    assert open_run({"name": "x"}).recipe.stages["pretrain"].micro_batch_tokens == 512
    assert (
        open_run({"name": "x", "pretrain": {"micro_batch_tokens": 256}}).recipe.stages["pretrain"].micro_batch_tokens
        == 256
    )


def test_minutes_that_are_over_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    job = open_run({"name": "x", "minutes": 2})
    job.time = TimeBudget(2, job.time.started - 121)
    with pytest.raises(UserError, match="2 minutes ran out before training began"):
        job.plan(job.configs_of([STAGES["pretrain"]]), {})


@pytest.mark.parametrize(("budget", "price", "minutes"), [("$5", 2.5, 120.0), ("¥ 0.2", 1.2, 10.0), (3, 1.0, 180.0)])
def test_a_budget_becomes_minutes(budget: object, price: float, minutes: float) -> None:
    config = config_of({"budget": budget, "price_per_hour": price, "minutes": 1})
    assert config.minutes == minutes


@pytest.mark.parametrize(
    "values", [{"budget": "five", "price_per_hour": 1.0}, {"budget": "$0", "price_per_hour": 1.0}, {"budget": "$5"}]
)
def test_a_budget_that_says_nothing_is_refused(values: dict) -> None:
    with pytest.raises(UserError, match="budget"):
        config_of(values)


def config_of(values: dict) -> RunConfig:
    return spend(build(RunConfig, values, ""))


@pytest.mark.skipif(sys.platform == "darwin", reason="there it is")
def test_a_device_that_is_not_there_is_reported_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="device=mps: not found"):
        pipeline.run({"name": "x", "device": "mps", "prepare": {"conversations": 20, "stories": 5}})
    assert not (tmp_path / "runs" / "x" / "prepare").exists()
