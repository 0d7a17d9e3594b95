"""A run: its folder, its time, its machine, and its recipe, completed as stages settle what it leaves open."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from yaya.core import artifact, distributed
from yaya.core.artifact import Artifact, Draft, Policy
from yaya.core.config import as_dict
from yaya.core.files import write_atomic
from yaya.core.machine import Machine, setup
from yaya.core.messages import UserError, plural, say
from yaya.core.progress import duration
from yaya.core.recipe import Recipe, RunRecipe, resolve
from yaya.core.run_folder import RECIPE, RUNS, RunFolder
from yaya.core.stage import Inputs, PlanRequest, RunContext, Stage, TrainingPlan
from yaya.core.time_budget import TimeBudget, shares


class Run:
    """One recipe in one folder. `make` runs a stage, or reuses its finished artifact."""

    def __init__(
        self,
        stages: Sequence[Stage],
        tables: Mapping[str, Any],
        only: str | None = None,
        runs: Path = RUNS,
        inputs: Mapping[str, Artifact] | None = None,
    ):
        """stages: all of them, in order. tables: the recipe. only: the one stage that is requested. inputs: finished
        stages of another run, known to be intact. UserError for an invalid recipe."""
        self.stages = {stage.name: stage for stage in stages}
        recipe = Recipe.read(tables, {stage.name: stage.config for stage in stages})
        self.only, run = only, recipe.run
        self.folder = RunFolder(runs, run.name, run.from_run, tuple(stages), inputs or {})
        self.time = TimeBudget(run.minutes, paid=run.budget)
        for stage in stages:
            if only in (None, stage.name) and not run.overwrite and (done := self.folder.own(stage)):
                stage.guard(tables.get(stage.name, {}), done)
        before = list(self.stages)[: list(self.stages).index(only)] if only else []
        recipe = self.recall(recipe, [name for name in before if name not in tables])
        self.settled = RunRecipe(self.folder.path / RECIPE, recipe)
        self.machine: Machine | None = None
        self.plans: dict[str, TrainingPlan] = {}
        self.whole = {found.path for found in self.folder.inputs.values()}  # results whose files were verified
        self.remarked: set[Path] = set()  # results whose older rules were mentioned
        self.reused: list[str] = []  # stages that were done already

    def recall(self, recipe: Recipe, unasked: Sequence[str]) -> Recipe:
        """The recipe with what an earlier run of it measured or chose; UserError if the file that holds it is damaged."""
        try:
            return resolve(recipe, self.folder.previous(), unasked)
        except UserError as error:
            path = self.folder.path / RECIPE
            raise UserError(
                f"{error.en} {path} holds what this run measured and chose: correct it, or delete it to choose everything again.",
                f"{error.zh}{path} 记着这次运行测得和选定的设置：请改正它；也可以删掉它，让这些设置重新选定。",
            ) from None

    @property
    def recipe(self) -> Recipe:
        """As far as it is settled."""
        return self.settled.recipe

    def make(self, stage: Stage, sharing: Sequence[Stage] = ()) -> Artifact:
        """Runs a stage, or reuses its finished artifact. sharing: the trainings that share the minutes, including this one."""
        inputs = self.inputs_of(stage)
        machine = self.measured() if stage.computes else None
        self.settle(stage, stage.resolve(self.config_of(stage), inputs))
        plan = self.plan_of(stage, inputs, sharing) if stage.trains else None
        began, path = time.monotonic(), self.folder.path / stage.name
        begun = artifact.begin(path, self.draft_of(stage, inputs, machine), self.policy_of(stage))
        if isinstance(begun, Artifact):
            made = begun
            self.reused.append(stage.name)
        else:
            self.verify(inputs)
            self.settled.write()  # only now: a refused request changes nothing
            if plan and distributed.is_main() and not begun.resumed:
                write_atomic(begun.path / "plan.json", json.dumps(plan.told()))
            if stage.trains or distributed.is_main():
                context = replace(self.context(machine), deadline=plan.deadline if plan else None)
                stage.run(self.config_of(stage), inputs, begun, context)
            made = artifact.finish(begun, path)
            self.whole.add(made.path)
        self.remark(stage, made)
        passed = time.monotonic() - began
        if passed > 0.5:
            en, zh = ("this time ", "这次") if isinstance(begun, Draft) and begun.resumed else ("", "")
            say(
                f"[{stage.name}] → {made.path} ({en}{duration(passed)})",
                f"[{stage.name}] → {made.path}（{zh}用时 {duration(passed)}）",
            )
        return made

    def draft_of(self, stage: Stage, inputs: Inputs, machine: Machine | None) -> Draft:
        """What a stage's artifact is made from."""
        config, seed = self.config_of(stage), self.recipe.run.seed
        settings = as_dict(config, deciding=True) | {"seed": seed} | (vars(machine) if stage.trains and machine else {})
        parents = {name: found.digest for name, found in inputs.items()}
        parents |= stage.external(config) if distributed.is_main() else {}
        return Draft.of(self.folder.path / stage.name, stage.name, settings, parents, seed)

    def policy_of(self, stage: Stage) -> Policy:
        """What may be replaced for it."""
        run, old = self.recipe.run, self.folder.own(stage)
        again = run.overwrite and (stage.name == self.only or (old is not None and stage.outdated(old) is not None))
        return Policy(self.folder.training_of(stage), run.overwrite, again, stage.resumes or stage.trains is not None)

    # ---------------------------------------------------------------- what stages read

    def inputs_of(self, stage: Stage) -> dict[str, Artifact]:
        """The finished artifacts that a stage reads, by name; UserError with the command that makes a missing one."""
        inputs = {}
        for name in (*stage.reads, *stage.optional):
            found = self.folder.find(name)
            if found is not None:
                self.remark(self.stages[name], found)
                inputs[name] = found
            elif name in stage.reads:
                raise self.folder.missing(stage.name, name)
        return inputs

    def verify(self, inputs: Inputs) -> None:
        """Verifies that a stage's inputs are intact; costs one more read of each file, at about a gigabyte a second."""
        for found in inputs.values():
            if found.path not in self.whole and distributed.is_main():
                artifact.verify(found)
            self.whole.add(found.path)

    def remark(self, stage: Stage, found: Artifact) -> None:
        """Says once that a result was made by older rules; it is used all the same."""
        words = stage.outdated(found)
        if words and found.path not in self.remarked:
            self.remarked.add(found.path)
            say(*words)

    # ---------------------------------------------------------------- what stages settle

    def config_of(self, stage: Stage) -> Any:
        """The stage's keys as they are settled so far."""
        return self.recipe.stages[stage.name]

    def configs_of(self, stages: Sequence[Stage]) -> dict[str, Any]:
        """The settled configs of several stages, by name."""
        return {stage.name: self.config_of(stage) for stage in stages}

    def settle(self, stage: Stage, config: Any) -> None:
        """Replaces one stage's config in the recipe."""
        self.settled.recipe = self.recipe.with_stage(stage.name, config)

    def measured(self) -> Machine:
        """Device, compute type and threads: measured once, and then part of the recipe."""
        if self.machine is None:
            run = self.recipe.run
            self.machine = setup(run.device, run.dtype, run.threads)
            self.settled.recipe = replace(self.recipe, run=replace(run, **vars(self.machine)))
        return self.machine

    def context(self, machine: Machine | None) -> RunContext:
        """What a stage is told besides its config and inputs."""
        return RunContext(self.folder.path, self.recipe.run.seed, machine, recipe=self.settled)

    def look_ahead(self, made: Stage) -> None:
        """Measures now what the next stage will need, so that it starts without delay."""
        for stage in self.stages.values():
            if stage.ahead and stage.reads[-1:] == (made.name,):
                stage.ahead(self.config_of(stage), self.inputs_of(stage), self.context(self.measured()), None)

    # ---------------------------------------------------------------- time

    def plan_of(self, stage: Stage, inputs: Inputs, sharing: Sequence[Stage]) -> TrainingPlan | None:
        """The plan of a training: made together with those that share the minutes, before the first of them begins.

        A later one is planned again if time set the steps before it: only now is it known how much is left.
        """
        mine = self.plans.get(stage.name)
        base = next((self.stages[name] for name in inputs if self.stages[name].trains), None)
        if mine is None:
            self.adopt(self.plan(self.configs_of(sharing or [stage]), inputs))
        elif mine.deadline is not None:
            if base and base.name in self.plans and self.plans[base.name].deadline is not None:
                self.settle(stage, replace(self.config_of(stage), steps=None))
                trained = inputs[base.name].metrics
                speed = trained["seconds"] / trained["tokens"]
                self.adopt(self.plan(self.configs_of([stage]), inputs, token_seconds=speed))
            else:  # the earlier steps were given, so nothing new is known
                self.plans[stage.name] = replace(mine, deadline=None)
        return self.plans.get(stage.name)

    def adopt(self, plans: Mapping[str, TrainingPlan]) -> None:
        """Writes plans into the recipe."""
        self.plans |= plans
        for name, plan in plans.items():
            self.settle(self.stages[name], plan.config)

    def plan(
        self, configs: Mapping[str, Any], inputs: Inputs, asked: bool = False, token_seconds: float | None = None
    ) -> dict[str, TrainingPlan]:
        """Plans for what these trainings' configs leave open; none if nothing is open, unless the user asks.

        inputs: of the first. token_seconds: per token, if an earlier training has shown it. UserError if the minutes
        are over.
        """
        trainings = [self.stages[name] for name in configs]
        if not asked and all(config.is_settled() for config in configs.values()):
            return {}
        self.verify(inputs)
        timed = [name for name, config in configs.items() if config.is_timed()]
        if timed and token_seconds is None:
            self.say_measuring()
        context, share = self.context(self.measured()), shares(list(configs))
        for stage in trainings:
            if stage.ahead and (asked or stage.name in timed):
                seconds = None if asked else share[stage.name] * self.seconds_for_training()
                stage.ahead(configs[stage.name], inputs, context, seconds)
        left, now = self.seconds_for_training(), time.monotonic()
        plans: dict[str, TrainingPlan] = {}
        before = None
        for stage in trainings:
            assert stage.trains is not None
            seconds = share[stage.name] * left
            request = PlanRequest(seconds, bool(timed) or asked, token_seconds, before)
            before = stage.trains(configs[stage.name], inputs, context, request)
            plans[stage.name] = replace(before, deadline=now + seconds if stage.name in timed else None)
        return plans

    def seconds_for_training(self) -> float:
        """The time left, the same on all ranks."""
        return float(distributed.broadcast_object(self.time.for_training()))

    def say_measuring(self) -> None:
        """Says what is measured, and for how much time. UserError if that is over."""
        minutes, paid = self.time.minutes, self.time.paid
        if distributed.broadcast_object(self.time.left() <= 0):
            raise UserError(
                f"The time of {plural(minutes, 'minute')} ran out before training began: preparing the data took all of it. Nothing is lost: run the same command again to continue from here, with all its minutes for training.",
                f"{minutes:g} 分钟在训练开始之前就用完了，都花在准备数据上。什么都没丢：再运行一次同样的命令，会从这里接着做，时间全部用来训练。",
            )
        en, zh = (f"{paid} buys", f"{paid} 能买") if paid else ("the run has", "整个运行")
        say(
            f"Measuring this machine's speed ({en} {plural(minutes, 'minute')}) ...",
            f"正在测这台机器的速度（{zh} {minutes:g} 分钟）……",
        )
