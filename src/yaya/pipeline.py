"""The story: raw text -> documents -> tokens -> a model -> a chat model -> its scores. Each stage is skipped when it is done."""

from __future__ import annotations

import importlib
import json
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from yaya.core import artifact, distributed, files
from yaya.core.artifact import Artifact, Draft
from yaya.core.config import RunConfig, as_dict, build, keys, read_recipe, spend, to_toml, unknown_key
from yaya.core.files import write_atomic
from yaya.core.lock import locked
from yaya.core.machine import Machine, setup
from yaya.core.messages import UserError, plural, program, say
from yaya.core.progress import duration


@dataclass(frozen=True)
class Stage:
    """Where a stage lives, what it reads, whether it trains."""

    module: str
    config_name: str
    inputs: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    trains: bool = False
    resumes: bool = False  # goes on where it was killed

    def load(self) -> Any:
        return importlib.import_module(self.module)

    def config_class(self) -> type:
        return getattr(self.load(), self.config_name)  # type: ignore[no-any-return]


STAGES = {
    "prepare": Stage("yaya.prepare.corpus", "PrepareConfig", resumes=True),
    "tokenize": Stage("yaya.tokenize.shards", "TokenizeConfig", ("prepare",)),
    "pretrain": Stage("yaya.train.pretrain", "PretrainConfig", ("tokenize",), trains=True),
    "finetune": Stage("yaya.train.finetune", "FinetuneConfig", ("tokenize", "pretrain"), trains=True),
    "evaluate": Stage("yaya.evaluate.scores", "EvaluateConfig", ("prepare", "tokenize", "pretrain"), ("finetune",)),
}
TRAINING = tuple(name for name, stage in STAGES.items() if stage.trains)
RUNS = Path("runs")
EVALUATION_SHARE, EVALUATION_SECONDS = 0.15, 30.0  # of the minutes, kept back for what follows training


class Run:
    """One run folder and the recipe that fills it."""

    def __init__(self, recipe: Mapping[str, Any], only: str | None = None):
        """only: the one stage that is asked for."""
        self.started = time.monotonic()
        tables = {name: value for name, value in recipe.items() if isinstance(value, dict)}
        for name in tables:
            if name not in STAGES:
                raise unknown_key(name, [*STAGES, *keys(RunConfig)], "")
        self.config = build(RunConfig, {n: v for n, v in recipe.items() if n not in tables}, "")
        check_name(self.config.name)
        self.config = spend(self.config)
        self.folder = RUNS / self.config.name
        self.configs: dict[str, Any] = {
            name: build(stage.config_class(), tables.get(name, {}), name) for name, stage in STAGES.items()
        }
        self.only = only
        unsaid = "sources" not in tables.get("prepare", {}) and only in (None, "prepare")
        if unsaid and not self.config.overwrite and (done := artifact.load(self.folder / "prepare")):
            STAGES["prepare"].load().keep_own_texts(done)
        self.recall([name for name in list(STAGES)[: list(STAGES).index(only)] if name not in tables] if only else [])
        self.runtime: Machine | None = None
        self.said: dict[str, dict[str, Any]] = {}  # what the planner said of each training
        self.remarked: set[str] = set()  # stages whose older rules have been spoken of
        self.verified: set[Path] = set()  # folders of results that are whole
        self.kept: list[str] = []  # stages that were done already
        self.deadlines: dict[str, float] = {}  # time.monotonic(), for trainings whose steps follow from minutes

    def recall(self, made: list[str]) -> None:
        """Takes what an earlier run of the same recipe measured or chose, so that it goes on exactly as it was.

        made: stages before the one that is asked for, of which nothing is said now: they stay as they are.
        """
        path = self.folder / "recipe.toml"
        if not path.exists():
            return
        known = read_recipe(path)
        for name in made:
            config_class = type(self.configs[name])
            table = {key: value for key, value in known.get(name, {}).items() if key in keys(config_class)}
            self.configs[name] = build(config_class, table, name)
        run = {n: v for n, v in as_dict(self.config).items() if v is not None and n not in ("overwrite", "from")}
        if any(v not in ("auto", known.get(n)) for n, v in run.items()):
            return
        self.config = replace(
            self.config,
            **{
                n: known[n]
                for n in ("device", "dtype", "threads")
                if getattr(self.config, n) in (None, "auto") and n in known
            },
        )
        for name, config in self.configs.items():
            old = known.get(name)
            values = as_dict(config, deciding=True)
            if old is None or any(v is not None and old.get(n) != v for n, v in values.items()):
                return  # from the first stage that differs on, everything is chosen anew
            free = {n: v for n, v in as_dict(config).items() if n not in values}  # workers and the like: as asked now
            chosen = {n: old[n] for n in ("micro_batch_tokens",) if n in old and free[n] is None}
            self.configs[name] = build(type(config), old | free | chosen, name)

    def machine(self) -> Machine:
        """Device, compute type and threads: measured once and then part of the recipe."""
        if self.runtime is None:
            self.runtime = setup(self.config.device, self.config.dtype, self.config.threads)
            r = self.runtime
            self.config = replace(self.config, device=r.device, dtype=r.dtype, threads=r.threads)
        return self.runtime

    def write_recipe(self) -> None:
        """`runs/NAME/recipe.toml`: everything that was asked for, measured or chosen; it can be run again."""
        if not distributed.is_main():
            return
        files.make_folder(self.folder)
        run = {n: v for n, v in as_dict(self.config).items() if n not in ("overwrite", "from")}
        tables = {name: as_dict(config) for name, config in self.configs.items()}
        heading = (
            "The resolved recipe of this run: `yaya run` on it repeats or resumes the run and measures nothing anew."
        )
        write_atomic(self.folder / "recipe.toml", to_toml(run, tables, heading))

    def verify(self, inputs: Mapping[str, Artifact]) -> None:
        """What a stage is made from must be whole: each file is read once more than needed, a gigabyte a second."""
        for found in inputs.values():
            if found.path not in self.verified and distributed.is_main():
                artifact.verify(found)
            self.verified.add(found.path)

    def input_of(self, name: str) -> Artifact | None:
        """A finished stage of this run, else of the run named by `from=`."""
        for run in filter(None, (self.config.name, self.config.from_run)):
            found = artifact.load(RUNS / run / name, name)
            if found is not None:
                self.remark_old_rules(name, found)
                return found
        return None

    def missing(self, name: str, parent: str) -> UserError:
        """What to say where a stage lacks an input: the command that mends it."""
        place, other = self.folder / parent, self.config.from_run
        if other and not (RUNS / other).is_dir():
            return UserError(
                f"There is no run {RUNS / other} (from={other}).", f"没有 {RUNS / other}（from={other}）。"
            )
        origin = None if other else self.origin(parent)
        words = [name, f"name={self.config.name}", f"from={origin}"]
        again = f"{program()} {shlex.join(words if origin else [parent, f'name={other or self.config.name}'])}"
        return UserError(
            f"{place} is missing{f', and {other} has none' if other else ''}. {f'{origin} has it' if origin else 'Make it with'}: {again}",
            f"缺少 {place}{f'，{other} 里也没有' if other else ''}。{f'{origin} 里有' if origin else '请先运行'}：{again}",
        )

    def origin(self, parent: str) -> str | None:
        """The run that has such a stage and something that this run's results were made from."""
        made = [found for stage in STAGES if (found := artifact.load(self.folder / stage))]
        needed = [digest for found in made for digest in found.manifest["parents"].values()]
        runs = [place.parent for place in sorted(RUNS.glob(f"*/{parent}")) if place.parent != self.folder]
        source = next(artifact.with_digest(runs, STAGES, needed), None)
        return source.parent.name if source else None

    def remark_old_rules(self, name: str, found: Artifact) -> None:
        """Says once that older rules made a corpus, which is used all the same."""
        remark = STAGES[name].load().outdated(found) if name == "prepare" and name not in self.remarked else None
        if remark:
            self.remarked.add(name)
            say(*remark)

    def is_outdated(self, name: str) -> bool:
        """Whether it is a corpus that older rules made."""
        found = artifact.load(self.folder / name) if name == "prepare" else None
        return found is not None and STAGES[name].load().outdated(found) is not None

    def training_of(self, name: str) -> Path | None:
        """The training that a stage is, or whose data it holds: nobody wants to lose hours of it to a changed setting."""
        if STAGES[name].trains:
            return self.folder / name
        here = artifact.load(self.folder / name)
        if here is None:
            return None
        later = list(STAGES)[list(STAGES).index(name) + 1 :]
        made = {stage: artifact.load(self.folder / stage) for stage in later}
        users = [stage for stage, found in made.items() if found and found.manifest["parents"].get(name) == here.digest]
        return next((training for stage in users if (training := self.training_of(stage))), None)

    def stage(self, name: str, to_do: tuple[str, ...] = ()) -> Artifact:
        """Makes one stage, or takes it as it is. to_do: the training stages that share the minutes."""
        stage = STAGES[name]
        inputs = {}
        for parent in (*stage.inputs, *stage.optional):
            found = self.input_of(parent)
            if found is not None:
                inputs[parent] = found
            elif parent in stage.inputs:
                raise self.missing(name, parent)
        module, config = stage.load(), self.configs[name]
        if name != "prepare":
            self.machine()
        if hasattr(module, "resolve"):
            config = self.configs[name] = module.resolve(config, inputs)
        if stage.trains:
            if name in self.deadlines and "pretrain" in self.deadlines:  # now it is known what pretraining left
                self.configs[name] = replace(config, steps=None)
                self.plan([name], inputs)
            elif name in self.deadlines:  # pretraining took what its own steps took: the plan stays
                del self.deadlines[name]
            else:
                self.plan([s for s in to_do if s in TRAINING] or [name], inputs)
            config = self.configs[name]
        parents = {parent: found.digest for parent, found in inputs.items()}
        if hasattr(module, "source_parents") and distributed.is_main():
            parents |= module.source_parents(config)
        settings = as_dict(config, deciding=True) | {"seed": self.config.seed}
        if stage.trains:
            assert self.runtime is not None
            settings |= vars(self.runtime)
        started = time.monotonic()
        again = self.config.overwrite and (name == self.only or self.is_outdated(name))
        skipped, resumed = True, False

        def make(draft: Draft) -> None:
            self.verify(inputs)
            nonlocal skipped, resumed
            skipped, resumed = False, draft.resumed
            self.write_recipe()  # not sooner: a request that is refused changes nothing
            if (
                name in self.said and distributed.is_main() and not draft.resumed
            ):  # the report shows it beside what came
                write_atomic(draft.path / "plan.json", json.dumps(self.said[name]))
            draft.deadline, draft.revised = self.deadlines.get(name), revised
            if stage.trains or distributed.is_main():
                module.run(config, inputs, draft)
            self.verified.add(self.folder / name)

        def revised(changes: dict[str, Any]) -> None:
            self.configs[name] = replace(self.configs[name], **changes)
            self.write_recipe()

        result = artifact.build(
            self.folder / name,
            name,
            settings,
            parents,
            make,
            seed=self.config.seed,
            runtime=self.runtime,
            keep=self.training_of(name),
            resumes=stage.trains or stage.resumes,
            overwrite=self.config.overwrite,
            again=again,
        )
        self.remark_old_rules(name, result)
        if skipped:
            self.kept.append(name)
        passed = time.monotonic() - started
        if passed > 0.5:
            now = ("this time ", "这次") if resumed else ("", "")
            say(
                f"[{name}] → {result.path} ({now[0]}{duration(passed)})",
                f"[{name}] → {result.path}（{now[1]}用时 {duration(passed)}）",
            )
        return result

    def fly_pilot(self) -> None:
        """Looks how hard the text is, so that a training that is started later knows at once what to expect."""
        from yaya.train.plan import probe

        data = self.input_of("tokenize")
        assert data is not None
        probe.fly(self.configs["pretrain"], {"tokenize": data}, self.machine(), self.config.seed, self.folder)

    def plan(self, names: list[str], inputs: dict[str, Artifact], asked: bool = False) -> None:
        """Fixes model size and steps of the training stages that the recipe leaves open. asked: says so in any case."""
        from yaya.train.plan import planner

        configs = {name: self.configs[name] for name in names}
        timed = [n for n, c in configs.items() if c.steps is None and c.num_train_epochs is None]
        if all(planner.is_settled(c) for c in configs.values()) and not asked:
            return
        self.verify(inputs)
        now = time.monotonic()
        left = 60 * self.config.minutes - (now - self.started)
        if timed and not self.deadlines and distributed.broadcast_object(left <= 0):
            raise UserError(
                f"The time of {plural(self.config.minutes, 'minute')} was over before training began: that is how long it took to prepare the data. Nothing is lost: the same command goes on from here and has all its minutes for training.",
                f"{self.config.minutes:g} 分钟在训练开始之前就用完了：都花在准备数据上。什么都没丢：再运行一次同样的命令，就从这里接着做，时间全用来训练。",
            )
        left = distributed.broadcast_object(
            max(1.0, left - min(EVALUATION_SHARE * 60 * self.config.minutes, EVALUATION_SECONDS))
        )
        known = None  # seconds a token
        if "pretrain" in self.deadlines and "pretrain" not in names:
            trained = inputs["pretrain"].metrics
            known = trained["seconds"] / trained["tokens"]
        elif timed:
            paid = self.config.budget
            en, zh = (f"{paid} pays for", f"{paid} 能买") if paid else ("the run may take", "整个运行")
            say(
                f"Measuring this machine for the {plural(self.config.minutes, 'minute')} that {en} ...",
                f"正在测这台机器的速度（{zh} {self.config.minutes:g} 分钟）……",
            )
        shares = planner.shares(names)
        self.deadlines |= {n: now + left * shares[n] for n in timed}
        machine = self.machine()
        made, said = planner.plan(configs, inputs, machine, self.config.seed, left, self.folder, known, asked)
        self.configs, self.said = self.configs | made, self.said | said


def check_name(name: str) -> None:
    """A run's name is one plain folder name."""
    if (
        not name
        or name in (".", "..")
        or name.startswith(".")
        or any(c in name for c in '/\\:*?"<>|\0')
        or len(name.encode("utf-8", "replace")) > 200
        or any("\ud800" <= c <= "\udfff" for c in name)  # bytes that are no UTF-8
    ):
        raise UserError(f"name={name!r} cannot be a folder name.", f"name={name!r} 不能当文件夹名。")


def run(recipe: Mapping[str, Any], only: str | None = None, plan_only: bool = False) -> Run:
    """Runs a recipe's stages in order, or `only` one of them. plan_only: ends where training would begin."""
    job = Run(recipe, only)
    with distributed.connection(), locked(job.folder):
        if only == "prepare" and job.configs["prepare"].preview:
            STAGES["prepare"].load().preview(job.configs["prepare"], job.folder / "preview", job.config.seed)
            return job
        if only:
            job.stage(only)
            if only == "tokenize":
                job.fly_pilot()
            return job
        if job.configs["prepare"].preview:
            raise UserError(
                f"preview only looks at the data, so it goes with: {program()} prepare preview=200",
                f"preview 只是先看看数据，请这样用：{program()} prepare preview=200",
            )
        data = [job.stage(name) for name in ("prepare", "tokenize")][-1]
        to_do = TRAINING if data.metrics["train"]["chat"]["documents"] else ("pretrain",)
        if "finetune" not in to_do:
            say("[finetune] left out: there are no conversations in the data.", "[finetune] 数据里没有对话，跳过微调。")
        if plan_only:
            found = {name: made for name in ("prepare", "tokenize") if (made := job.input_of(name))}
            job.plan(list(to_do), found, asked=True)
            return job
        for name in to_do:
            job.stage(name, to_do)
        job.stage("evaluate")
        if job.config.overwrite and job.kept:
            say(
                f"overwrite=true replaces what would differ. This would not, and stayed: {', '.join(job.kept)}.",
                f"overwrite=true 只替换会有不同的结果。这些没有不同，照旧保留：{'、'.join(job.kept)}。",
            )
        return job
