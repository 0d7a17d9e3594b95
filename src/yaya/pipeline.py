"""The story: raw text -> documents -> tokens -> a model -> a chat model -> its scores. Finished stages are skipped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yaya.core import distributed
from yaya.core.artifact import Artifact
from yaya.core.lock import locked
from yaya.core.messages import say
from yaya.core.run_folder import RUNS
from yaya.core.stage import Stage
from yaya.evaluate import scores
from yaya.prepare import corpus
from yaya.run import Run
from yaya.tokenize import shards
from yaya.train import finetune, pretrain

STAGES = {stage.name: stage for stage in (corpus.STAGE, shards.STAGE, pretrain.STAGE, finetune.STAGE, scores.STAGE)}


def open_run(
    tables: Mapping[str, Any],
    only: str | None = None,
    runs: Path = RUNS,
    inputs: Mapping[str, Artifact] | None = None,
) -> Run:
    """The run of a recipe's tables, before any of its stages. More: `Run`."""
    return Run(list(STAGES.values()), tables, only, runs, inputs)


def run(tables: Mapping[str, Any], only: str | None = None, plan_only: bool = False, runs: Path = RUNS) -> Run:
    """Runs a recipe's stages in order, or `only` one of them. plan_only: stops before training."""
    job = open_run(tables, only, runs)
    with distributed.connection(), locked(job.folder.path):
        if only:
            job.make(STAGES[only])
            job.look_ahead(STAGES[only])
        else:
            make_all(job, plan_only)
    return job


def make_all(job: Run, plan_only: bool = False) -> None:
    """Every stage in order; with plan_only those before the first training, and a plan of the rest."""
    job.measured()  # first: a device that is not there is reported before any work
    stages = list(STAGES.values())
    first = next(number for number, stage in enumerate(stages) if stage.trains)
    data = [job.make(stage) for stage in stages[:first]][-1]
    trainings = trainings_for(data)
    if finetune.STAGE not in trainings:
        say("[finetune] skipped: the data has no conversations.", "[finetune] 数据里没有对话，跳过微调。")
    if plan_only:
        job.adopt(job.plan(job.configs_of(trainings), job.inputs_of(trainings[0]), asked=True))
        return
    for stage in stages[first:]:
        if stage in trainings or not stage.trains:
            job.make(stage, trainings)
    if job.recipe.run.overwrite and job.reused:
        say(
            f"overwrite=true replaces only results that would change. These would not, so they were kept: {', '.join(job.reused)}.",
            f"overwrite=true 只替换会变化的结果。这些不会变化，予以保留：{'、'.join(job.reused)}。",
        )


def trainings_for(data: Artifact) -> list[Stage]:
    """The training stages that suit these tokens: fine-tuning learns from conversations."""
    chats = data.metrics["train"]["chat"]["documents"]
    return [stage for stage in STAGES.values() if stage.trains and (chats or stage is not finetune.STAGE)]


def preview(tables: Mapping[str, Any], runs: Path = RUNS) -> Run:
    """Reads a few documents of the sources and writes only a report to the run's folder."""
    job = open_run(tables, corpus.STAGE.name, runs)
    with locked(job.folder.path):
        corpus.preview(job.config_of(corpus.STAGE), job.folder.path / "preview", job.recipe.run.seed)
    return job
