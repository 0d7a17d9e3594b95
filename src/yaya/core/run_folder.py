"""A run's folder, `runs/NAME/`: what is finished in it and what is missing."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yaya.core import artifact
from yaya.core.artifact import Artifact
from yaya.core.messages import UserError, program
from yaya.core.recipe import read_recipe
from yaya.core.stage import Stage

RUNS = Path("runs")
RECIPE = "recipe.toml"


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run among the others in `runs`. other: the run that provides what this one lacks (from=)."""

    runs: Path
    name: str
    other: str | None
    stages: Sequence[Stage]
    inputs: Mapping[str, Artifact] = field(default_factory=dict)  # finished stages from elsewhere

    def __post_init__(self) -> None:
        check_name(self.name)

    @property
    def path(self) -> Path:
        return self.runs / self.name

    def previous(self) -> dict[str, Any]:
        """The tables of recipe.toml as an earlier run left it; empty if there is none."""
        return read_recipe(self.path / RECIPE) if (self.path / RECIPE).exists() else {}

    def find(self, stage: str) -> Artifact | None:
        """A finished stage: of this run, else of the run named by `from=`."""
        if stage in self.inputs:
            return self.inputs[stage]
        places = (self.runs / run / stage for run in (self.name, self.other) if run)
        return next((found for place in places if (found := artifact.load(place, stage))), None)

    def own(self, stage: Stage) -> Artifact | None:
        """A finished stage in this folder."""
        return artifact.load(self.path / stage.name)

    def made(self, path: Path) -> dict[str, Artifact]:
        """The finished stages of a run's folder."""
        return {s.name: found for s in self.stages if (found := artifact.load(path / s.name))}

    def training_of(self, stage: Stage) -> Path | None:
        """The training that a stage is, or whose data it is: hours that must not be lost. None without one."""
        if stage.trains:
            return self.path / stage.name
        made = self.made(self.path)
        if stage.name not in made:
            return None
        parent = (stage.name, made[stage.name].digest)
        users = [s for s in self.stages if s.name in made and parent in made[s.name].manifest["parents"].items()]
        return next((training for user in users if (training := self.training_of(user))), None)

    def origin(self, parent: str) -> str | None:
        """Another run that has this stage and shares results that this run was made from; None if there is none."""
        names = [stage.name for stage in self.stages]
        needed = [digest for found in self.made(self.path).values() for digest in found.manifest["parents"].values()]
        others = [place.parent for place in sorted(self.runs.glob(f"*/{parent}")) if place.parent != self.path]
        found = next(artifact.with_digest(others, names, needed), None)
        return found.parent.name if found else None

    def missing(self, stage: str, parent: str) -> UserError:
        """The error for a stage that lacks an input: names the command that makes it."""
        place, other = self.path / parent, self.other
        if other and not (self.runs / other).is_dir():
            return UserError(
                f"There is no run {self.runs / other} (from={other}).", f"找不到 {self.runs / other}（from={other}）。"
            )
        origin = None if other else self.origin(parent)
        words = [stage, f"name={self.name}", f"from={origin}"]
        again = f"{program()} {shlex.join(words if origin else [parent, f'name={other or self.name}'])}"
        return UserError(
            f"{place} is missing{f', and {other} has none' if other else ''}. {f'{origin} has it' if origin else 'Make it with'}: {again}",
            f"缺少 {place}{f'，{other} 里也没有' if other else ''}。{f'{origin} 里有' if origin else '请先运行'}：{again}",
        )


def check_name(name: str) -> None:
    """UserError if a run's name is not a plain folder name."""
    if (
        not name
        or name.startswith(".")
        or any(c in name for c in '/\\:*?"<>|\0')
        or len(name.encode("utf-8", "replace")) > 200
        or any("\ud800" <= c <= "\udfff" for c in name)  # bytes that are not UTF-8
    ):
        raise UserError(f"name={name!r} cannot be a folder name.", f"name={name!r} 不能用作文件夹名。")
