"""A stage: what it reads, makes and needs. Each stage's module ends with one; `pipeline.py` lists them in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yaya.core.artifact import Artifact, Draft
from yaya.core.machine import Machine
from yaya.core.recipe import RunRecipe

Inputs = Mapping[str, Artifact]  # what a stage reads, by the name of the stage that made it
Words = tuple[str, str]  # the same in English and in Chinese


@dataclass(frozen=True)
class RunContext:
    """What a stage is told besides its config and inputs."""

    folder: Path  # of the run
    seed: int
    measured: Machine | None  # of a stage that computes
    deadline: float | None = None  # time.monotonic() at which training should end; None: the steps are settled
    recipe: RunRecipe | None = None  # where a stage writes keys that it settles while it runs

    @property
    def machine(self) -> Machine:
        """Where a stage that computes does so."""
        assert self.measured is not None, "the stage does not say that it computes"
        return self.measured


@dataclass(frozen=True)
class TrainingPlan:
    """A training with nothing left open, and what is expected of it."""

    config: Any  # of the stage; every key that the recipe left open is set
    model: Any  # the sizes of what is trained
    tokens: int
    memory_gb: float
    token_seconds: float | None  # per token, if known
    seconds: float | None  # in total, if known
    loss: float | None = None  # validation loss at the end, if known
    deadline: float | None = None  # time.monotonic() at which it should end; None: its steps are settled

    def told(self) -> dict[str, float | None]:
        """What the report compares with the outcome."""
        seconds = None if self.seconds is None else round(self.seconds, 1)
        loss = None if self.loss is None else round(self.loss, 4)
        steps = {"steps": self.config.steps, "tokens": self.tokens}
        return steps | {"memory_gb": round(self.memory_gb, 3), "seconds": seconds, "loss": loss}


@dataclass(frozen=True)
class PlanRequest:
    """What a training is planned for."""

    seconds: float  # that it may take
    measures: bool  # whether the speed must be known: it fixes the steps, or somebody asks
    token_seconds: float | None = None  # per token, if known
    before: TrainingPlan | None = None  # the plan of the training whose model this one continues


@dataclass(frozen=True)
class Stage:
    """One step of the story. `run(config, inputs, draft, context)` fills the draft of its artifact.

    reads: stages whose artifacts it needs. optional: those that it uses if they exist.
    resolve: fills keys of the config that depend on the inputs.
    external: name -> digest of what the config names outside of the run.
    trains: plans a training that the recipe leaves open; only training stages have it, and their configs say whether they
    are settled (`is_settled`) and whether time sets their steps (`is_timed`).
    computes: needs a machine, which is measured once and then recorded in the recipe.
    resumes: an unfinished one continues where it was interrupted.
    ahead: measures what a plan will need, as soon as the last input is ready. Its last argument: seconds of training
    that must justify the effort; None if it is always worth it.
    outdated: what to say of an artifact made by older rules. guard: raises if a request, as its table stands, would
    replace an artifact by accident.
    """

    name: str
    config: type
    run: Callable[[Any, Inputs, Draft, RunContext], None]
    reads: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    resolve: Callable[[Any, Inputs], Any] = lambda config, inputs: config
    external: Callable[[Any], dict[str, str]] = lambda config: {}
    trains: Callable[[Any, Inputs, RunContext, PlanRequest], TrainingPlan] | None = None
    computes: bool = False
    resumes: bool = False
    ahead: Callable[[Any, Inputs, RunContext, float | None], None] | None = None
    outdated: Callable[[Artifact], Words | None] = lambda found: None
    guard: Callable[[Mapping[str, Any], Artifact], None] = lambda table, found: None
