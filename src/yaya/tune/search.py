"""The tune stage.

Reads: what the tuned stage reads. Does: many trials of that stage with different values of the keys in `space`; bad ones are
stopped early, the best is compared with the recipe's own values on other seeds. Writes: best.toml (a recipe), trials.jsonl,
report.html, trials/ (recipes and logs), study.log (Optuna's journal), plan.json.
Paper: TPE (arXiv:2304.11127) proposes values; the median stopping rule of Vizier (doi:10.1145/3097983.3098043), with another
percentile, ends trials.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yaya import pipeline
from yaya.core import artifact, distributed
from yaya.core.artifact import Artifact, Draft, Policy
from yaya.core.config import as_dict, build, key, to_toml
from yaya.core.files import write_atomic
from yaya.core.lock import locked
from yaya.core.messages import UserError, plural, say, t
from yaya.core.progress import Bar, duration
from yaya.core.stage import Stage
from yaya.prepare import corpus
from yaya.run import Run
from yaya.tokenize import shards
from yaya.tune import tune_page, verdict
from yaya.tune.optuna_study import Study, load_optuna, standing
from yaya.tune.runner import Record, Runner, Trial
from yaya.tune.space import Dimension, parse_space, show
from yaya.tune.trial_plan import SIZES, make_plan, raise_default, read_plan, settle_steps
from yaya.tune.workers import ENGINES

KIND = "tune"
PLAN, TRIALS, BEST, REPORT = "plan.json", "trials.jsonl", "best.toml", "report.html"


@dataclass(frozen=True)
class TuneConfig:
    stage: str = key("pretrain", "the stage to tune", "要调参的阶段", ("pretrain", "finetune"))
    space: dict[str, Any] | None = key(
        None,
        "what to search: space.KEY=LOW..HIGH or space.KEY=[A, B] (auto: learning rates around the recipe's)",
        "搜索范围：space.键=下限..上限 或 space.键=[甲, 乙]（自动：配方的学习率附近）",
    )
    trials: int = key(20, "how many trials: trainings with different values", "试验个数，每个用不同的值训练", least=2)
    minutes: float = key(
        30.0,
        "wall-clock time of the search; sets the steps per trial",
        "整个搜索的时间（分钟），每个试验的步数由它决定",
        least=0.05,
    )
    looks: int = key(
        10,
        "validations per trial; a bad trial is stopped at one of them",
        "每个试验验证几次；差的会在某次验证后停下",
        least=1,
    )
    seeds: int = key(
        2, "extra seeds for comparing the best trial with the recipe", "另用几个种子来比较最好的试验和配方", least=0
    )
    workers: int = key(
        1,
        "trials to run at a time (0: one per GPU or cluster node)",
        "同时跑几个试验（0：每个 GPU 或集群节点一个）",
        least=0,
        decides=False,
    )
    engine: str = key(
        "local", "local: this machine; ray: a cluster", "local：本机；ray：集群", ("local", "ray"), decides=False
    )


@dataclass(frozen=True)
class Asked:
    """The user's request: the recipe's tables, and those for tune."""

    recipe: Mapping[str, Any]
    tune: TuneConfig

    def config(self, stage: str) -> Any:
        """A stage's config without anything that an earlier run chose by itself."""
        return build(pipeline.STAGES[stage].config, table_of(self.recipe, stage), stage)

    def read(self) -> set[str]:
        """The stages whose artifacts the tuned one needs, directly or not."""
        found, todo = set[str](), [self.tune.stage]
        while todo:
            parents = pipeline.STAGES[todo.pop()].reads
            found |= set(parents)
            todo += parents
        return found


def run(recipe: Mapping[str, Any]) -> Artifact:
    """Tunes one stage of a recipe in the run's folder; first makes what the stage reads.

    UserError if Optuna is missing, or the space or the time does not suit.
    """
    rest = {name: value for name, value in recipe.items() if name != KIND}
    asked = Asked(rest, build(TuneConfig, table_of(recipe, KIND), KIND))
    if distributed.world_size() > 1:
        raise UserError(
            "yaya tune starts its trials itself: run it without torchrun, for example with workers=2 or engine=ray.",
            "yaya tune 自己启动各个试验：请不要用 torchrun，改用 workers=2 这样的设置，或 engine=ray。",
        )
    load_optuna()  # if it is missing, say so before any work is done
    job = pipeline.open_run(rest, asked.tune.stage)
    corpus.refuse_preview(job.config_of(corpus.STAGE))
    dimensions = parse_space(asked.tune.space, asked.config(asked.tune.stage))
    if not asked.tune.space:
        shown = ", ".join(f"{d.name}={d}" for d in dimensions)
        say(f"[tune] no space given; searching {shown}", f"[tune] 没有指定 space，搜索 {shown}")
    with locked(job.folder.path):
        return build_artifact(asked, job, dimensions, inputs_of(job, pipeline.STAGES[asked.tune.stage]))


def table_of(recipe: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = recipe.get(name, {})
    if not isinstance(table, dict):
        raise UserError(f"{name} is a table: write {name}.KEY=value.", f"{name} 是一个表：请写 {name}.键=值。")
    return table


def inputs_of(job: Run, stage: Stage) -> dict[str, Artifact]:
    """The stage's inputs: from the run's folder or from=; made if missing, as `yaya run` would. UserError without conversations."""
    for name in stage.reads:
        provide(job, pipeline.STAGES[name])
        data = job.folder.find(shards.KIND)
        if name == shards.KIND and data and stage not in pipeline.trainings_for(data):  # known before any training
            raise UserError(
                "The data has no conversations, so there is no finetune stage to tune. Try: stage=pretrain",
                "数据里没有对话，没有 finetune 可调。可以试试：stage=pretrain",
            )
    return job.inputs_of(stage)


def provide(job: Run, stage: Stage) -> None:
    """Makes a stage and its inputs if neither the run nor the one of from= has it."""
    if job.folder.own(stage) is None and job.folder.find(stage.name) is not None:
        return  # from=
    for name in stage.reads:
        provide(job, pipeline.STAGES[name])
    data = job.folder.find(shards.KIND)
    job.make(stage, pipeline.trainings_for(data) if stage.trains and data else ())


def build_artifact(asked: Asked, job: Run, dimensions: list[Dimension], inputs: dict[str, Artifact]) -> Artifact:
    """`tune/`: reused, resumed or made."""
    stage = asked.tune.stage
    identity = as_dict(asked.tune, deciding=True) | {"space": {d.name: str(d) for d in dimensions}}
    identity |= {f"{stage}.{name}": value for name, value in as_dict(asked.config(stage), deciding=True).items()}
    # As requested, not as measured
    identity |= {name: str(asked.recipe.get(name, "auto")) for name in ("device", "dtype")}
    run, place = job.recipe.run, job.folder.path / KIND
    parents = {name: found.digest for name, found in inputs.items()}
    # Half an hour of search is not replaced by surprise
    policy = Policy(keep=place, overwrite=run.overwrite, again=run.overwrite, resumes=True)
    begun = artifact.begin(place, Draft.of(place, KIND, identity | {"seed": run.seed}, parents, run.seed), policy)
    if isinstance(begun, Draft):
        job.verify(inputs)  # once, not by each trial
        Search(asked, job, dimensions, inputs, begun).run()
    made = artifact.finish(begun, place) if isinstance(begun, Draft) else begun
    say(f"[tune] {made.metrics['verdict']['en']}", f"[tune] {made.metrics['verdict']['zh']}")
    say(f"[tune] → {made.path / REPORT}")
    return made


class Search:
    """One search, from its plan to its report."""

    def __init__(self, asked: Asked, job: Run, dimensions: list[Dimension], inputs: dict[str, Artifact], draft: Draft):
        self.asked, self.config, self.job, self.dimensions = asked, asked.tune, job, dimensions
        self.inputs, self.draft, self.folder = inputs, draft, draft.path
        self.started = time.monotonic()
        self.late = self.exhausted = False
        self.engine = ENGINES[self.config.engine](self.config.workers, job.measured())
        self.runner = Runner(self.engine, self.config.stage, {name: found.path for name, found in inputs.items()})

    def run(self) -> None:
        """The whole search. Work done before an interruption is not repeated."""
        plan = read_plan(self.folder / PLAN)
        if plan is None:
            c, seed = self.config, self.job.recipe.run.seed
            plan = make_plan(self.job, c.stage, self.asked.config(c.stage), self.inputs, c.looks)
            plan = settle_steps(plan, self.runner, self.folder, seed, c.minutes, c.trials, c.seeds)
            write_atomic(self.folder / PLAN, json.dumps(vars(plan), indent=1, ensure_ascii=False))
        self.plan = plan
        default = {d.name: plan.table[d.name] for d in self.dimensions}
        self.study = Study(self.folder, self.dimensions, default, self.job.recipe.run.seed, self.plan.looks)
        self.spent = float(self.study.note("seconds") or 0)
        self.again: list[Record] = self.study.note("again") or []
        for d in self.dimensions:
            if default[d.name] not in d:
                say(
                    f"[tune] the recipe's {d.name}={show(default[d.name])} is outside {d}; it is tried anyway, for comparison.",
                    f"[tune] 配方的 {d.name}={show(default[d.name])} 在 {d} 之外；仍会试一次，用来比较。",
                )
        self.explore()
        self.compare()
        self.finish()

    # ---------------------------------------------------------------- trials

    def explore(self) -> None:
        """Runs the trials; UserError if the time was enough for only one."""
        begun = iter(self.study.unfinished())
        records = self.study.records()
        if records or self.again:
            say(
                f"[tune] resumes: {len(records)} of {self.config.trials} trials are done.",
                f"[tune] 继续搜索：{self.config.trials} 个试验已完成 {len(records)} 个。",
            )

        def next_trial() -> Trial | None:
            number = next(begun, None)
            if number is None and self.may_begin():
                number = self.study.ask()
                self.exhausted = number is None
            return None if number is None else self.trial(number)

        def on_look(trial: Trial, look: int, loss: float) -> bool:
            assert trial.number is not None
            bar.advance(1)
            return self.study.report(trial.number, look, loss) and look < self.plan.looks

        def on_end(trial: Trial, record: Record) -> None:
            assert trial.number is not None
            if trial.role == "default" and record["outcome"] != "complete":
                raise_default(record["message"])
            self.study.tell(trial.number, record)
            bar.advance(self.plan.looks - len(record["curve"]))
            self.keep()
            bar.print(self.line(record))

        looks = self.plan.looks
        with Bar(KIND, self.config.trials * looks, t("looks", "次验证"), start=len(records) * looks) as bar:
            self.runner.train(next_trial, on_look, on_end, lambda: bar.advance(0))
        done = len(self.study.records())
        if done < 2:
            long = duration(self.whole())
            raise UserError(
                f"A trial of {self.plan.steps:,} steps takes {long}: {plural(self.config.minutes, 'minute')} were enough for only the recipe itself. Allow more minutes, or let them set the steps ({self.plan.stage}.steps=auto).",
                f"每个试验 {self.plan.steps:,} 步，要 {long}：{self.config.minutes:g} 分钟只够试配方本身。请增加 minutes，或让时间决定步数（{self.plan.stage}.steps=auto）。",
            )
        if done < self.config.trials:
            en, zh = "there is no time for more", "剩下的时间不够再试了"
            if self.exhausted:
                en, zh = "there is nothing else to try in this space", "这个范围里没有别的可试了"
            say(
                f"[tune] {done} of {self.config.trials} trials: {en}.",
                f"[tune] {self.config.trials} 个试验做了 {done} 个：{zh}。",
            )

    def trial(self, number: int) -> Trial:
        role = "default" if self.study.is_default(number) else "trial"
        return self.trial_with(number, role, self.study.values(number), 0)

    def trial_with(self, number: int | None, role: str, values: dict[str, Any], more: int) -> Trial:
        """A training with these values; `more` is added to the run's seed."""
        seed = self.job.recipe.run.seed + more
        name = f"{number:04}" if number is not None else f"{role.replace(' ', '-')}-{more}"
        recipe = self.plan.recipe(values, seed, self.engine.threads)
        return Trial(number, role, values, seed, self.folder / "trials" / name, recipe)

    # ---------------------------------------------------------------- time

    def seconds(self) -> float:
        """Seconds so far, including earlier processes."""
        return self.spent + time.monotonic() - self.started

    def whole(self) -> float:
        """Seconds of a trial that is not stopped; 0 if unknown."""
        known = [r["seconds"] for r in (*self.study.records(), *self.again) if r["outcome"] == "complete"]
        return statistics.fmean(known) if known else self.plan.seconds or 0.0

    def may_begin(self) -> bool:
        """Whether one more trial was requested and fits into the time, next to the runs with other seeds."""
        records, running = self.study.records(), len(self.study.open)
        if self.exhausted or self.again or len(records) + running >= self.config.trials:
            return False  # no more trials once the best has been compared
        usual = statistics.fmean(r["seconds"] for r in records) if records else self.whole()
        later = math.ceil(2 * self.config.seeds / self.engine.workers) * self.whole()
        self.late = bool(records) and self.seconds() + usual + later > 60 * self.config.minutes
        return not self.late

    # ---------------------------------------------------------------- results

    def keep(self) -> None:
        """Writes the table of trials and the time taken."""
        self.study.write_note("seconds", round(self.seconds(), 1))
        rows = [*self.study.records(), *self.again]
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_atomic(self.folder / TRIALS, lines)

    def line(self, record: Record) -> str:
        """A finished trial's line in the terminal."""
        records = self.study.records()
        count = f"{len(records)}/{self.config.trials}"
        values = ", ".join(f"{name} {show(value)}" for name, value in record["values"].items())
        best = min((r for r in records if r["outcome"] == "complete"), key=standing, default=None)
        so_far = t(f"best {best['loss']:.4f}", f"最好 {best['loss']:.4f}") if best else ""
        role = t(" (the recipe)", "（配方原来的值）") if record["role"] == "default" else ""
        return f"[tune] {count} {self.outcome(record)}{role}  {values}  {so_far}".rstrip()

    def outcome(self, record: Record) -> str:
        """How a training ended, in the line about it."""
        if record["outcome"] == "complete":
            return t(f"loss {record['loss']:.4f}", f"损失 {record['loss']:.4f}")
        if record["outcome"] == "stopped":
            seen = f"{len(record['curve'])}/{self.plan.looks}"
            return t(f"stopped early ({seen})", f"提前停止（{seen}）")
        return t(f"failed: {record['message']}", f"失败：{record['message']}")

    def line_again(self, record: Record) -> str:
        """The line of a run with another seed."""
        who = t("recipe", "配方") if record["role"] == "default again" else t("best", "最好的")
        what = self.outcome(record)
        return t(f"[tune] seed {record['seed']}, {who}: {what}", f"[tune] 种子 {record['seed']}，{who}：{what}")

    def compare(self) -> None:
        """Trains the best trial and the recipe's own values again with other seeds, while there is time."""
        records = self.study.records()
        found = verdict.judge(records, [])
        if found.kind == "default":
            return
        values = {"default again": found.default["values"], "best again": found.best["values"]}
        done = {(r["role"], r["seed"] - self.job.recipe.run.seed) for r in self.again}
        rounds = range(1, self.config.seeds + 1)
        jobs = [(role, more) for more in rounds for role in values if (role, more) not in done]
        if not jobs:
            return
        say(
            f"[tune] training the best trial and the recipe again on {plural(self.config.seeds, 'other seed')}, because the best was partly chosen by luck.",
            f"[tune] 换 {self.config.seeds} 个种子，把最好的试验和配方各再训练一遍：选出最好的那个，有运气的成分。",
        )
        begun = {more for _, more in done}

        def next_trial() -> Trial | None:
            if not jobs:
                return None
            role, more = jobs[0]
            limit = 60 * self.config.minutes * 1.1  # slightly over the minutes, since time was reserved for this
            if more not in begun and self.seconds() + math.ceil(2 / self.engine.workers) * self.whole() > limit:
                return None  # half a comparison is useless
            begun.add(more)
            jobs.pop(0)
            return self.trial_with(None, role, values[role], more)

        def on_look(trial: Trial, look: int, loss: float) -> bool:
            bar.advance(1)
            return False

        def on_end(trial: Trial, record: Record) -> None:
            bar.advance(self.plan.looks - len(record["curve"]))
            self.again.append(record)
            self.study.write_note("again", self.again)
            self.keep()
            bar.print(self.line_again(record))

        with Bar(KIND, len(jobs) * self.plan.looks, t("looks", "次验证")) as bar:
            self.runner.train(next_trial, on_look, on_end, lambda: bar.advance(0))

    def finish(self) -> None:
        """Verdict, best recipe, report."""
        records = self.study.records()
        found = verdict.judge(records, self.again)
        en, zh = verdict.words(found)
        write_atomic(self.folder / BEST, self.best_recipe(found))
        name = self.job.recipe.run.name
        page = tune_page.page(name, self.plan, self.dimensions, records, self.again, found)
        write_atomic(self.folder / REPORT, page)
        counts = Counter(r["outcome"] for r in records)
        self.draft.metrics |= {
            "verdict": {"kind": found.kind, "en": en, "zh": zh, "gain": round(found.gain, 5)},
            "trials": dict(counts),
            "steps": self.plan.steps,
            "loss": {"recipe": found.default["loss"], "best": found.best["loss"]},
            "values": found.values,
            "seconds": round(self.seconds(), 1),
        }
        files = (path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())
        self.draft.logs = tuple(name for name in files if name != BEST)  # they contain times, so they are not results

    def best_recipe(self, found: verdict.Verdict) -> str:
        """The run's recipe with the values that were found, or with its own if nothing was better."""
        tables = {}
        for name in pipeline.STAGES:
            tables[name] = as_dict(self.asked.config(name))
            read = self.job.folder.find(name) if name in self.asked.read() else None
            if read is not None:  # what the trials have read, even if it comes from another run
                tables[name] |= {key: value for key, value in read.config.items() if key in tables[name]}
        table = tables[self.plan.stage]
        table |= {key: self.plan.table[key] for key in SIZES if table.get(key, 0) is None} | found.values
        run = self.job.recipe.run_keys() | {"name": f"{self.job.recipe.run.name}-best"}
        heading = f"Found by `yaya tune`, {self.plan.steps:,} steps per trial.\n" + "\n".join(verdict.words(found))
        return to_toml(run, tables, heading)
