"""The search's memory and its advisor: Optuna, with a journal of JSON lines that survives being killed at any moment.

JournalStorage pickles snapshots only for backends that keep them (Redis); with a file it reads and writes only JSON.
sqlite would do as well, but it needs working file locks, which network file systems often lack, and its schema is
migrated with each version. `optuna-dashboard` opens either.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yaya.core.extras import need
from yaya.tune.runner import Record
from yaya.tune.space import Dimension, tidy

if TYPE_CHECKING:
    import optuna

JOURNAL = "study.log"
STARTUP = 4  # trials that neither follow others' results nor are measured against them
WARMUP = 0.3  # share of the validations before a trial may be stopped: early losses say little about the end
KEEP = 40.0  # percent: a trial continues while it is among this best share of the finished ones; bench/LOG.md
FEWEST = 8  # trials needed for the importance of keys to mean something
ATTEMPTS = 10  # attempts to get values that have not been tried yet


def load_optuna() -> Any:
    """Optuna, without its log messages."""
    optuna = need("optuna", "yaya[tune]", "yaya tune needs Optuna", "yaya tune 需要 Optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


class Study:
    """The trials and how they ended. Everything reported is on disk when the call returns."""

    def __init__(self, folder: Path, dimensions: Sequence[Dimension], default: dict[str, Any], seed: int, looks: int):
        self.optuna, self.dimensions, self.default, self.seed = load_optuna(), dimensions, default, seed
        path = folder / JOURNAL
        mend(path)
        journal = self.optuna.storages.journal
        self.study: optuna.Study = self.optuna.create_study(
            storage=self.optuna.storages.JournalStorage(journal.JournalFileBackend(str(path))),
            study_name="tune",
            direction="minimize",
            pruner=self.optuna.pruners.PercentilePruner(
                KEEP, n_startup_trials=STARTUP, n_warmup_steps=math.ceil(WARMUP * looks)
            ),
            load_if_exists=True,
        )
        self.space = {d.name: distribution(self.optuna, d) for d in dimensions}
        self.open: dict[int, optuna.Trial] = {}

    # What belongs to the search as a whole: its plan, the time it took, the runs with other seeds.

    def note(self, name: str) -> Any:
        return self.study.user_attrs.get(name)

    def write_note(self, name: str, value: Any) -> None:
        self.study.set_user_attr(name, value)

    # Trials.

    def unfinished(self) -> list[int]:
        """Trials that an earlier process had begun: they start over with the same values."""
        state = self.optuna.trial.TrialState
        for frozen in self.study.get_trials(deepcopy=False, states=(state.RUNNING,)):
            if "values" in frozen.user_attrs:
                self.open[frozen.number] = self.optuna.trial.Trial(self.study, frozen._trial_id)
            else:  # killed before it was complete
                self.study.tell(frozen.number, state=state.FAIL)
        return list(self.open)

    def ask(self) -> int | None:
        """The number of a new trial; the first is the recipe unchanged. `None`: nothing is left to try."""
        asked = self.study.get_trials(deepcopy=False)
        first = not any(frozen.user_attrs.get("values") == self.default for frozen in asked)
        inside = all(self.default[d.name] in d for d in self.dimensions)
        if first and inside:
            self.study.enqueue_trial(self.default, skip_if_exists=True)
        if first:
            trial = self.study.ask(self.space if inside else None)
            return self.begin(trial, self.default)
        tried = [frozen.user_attrs.get("values") for frozen in asked]
        left = [values for values in combinations(self.dimensions) if values not in tried]
        if not left and all(d.countable for d in self.dimensions):
            return None
        for attempt in range(ATTEMPTS):
            # Each trial has its own sampler, so that a resumed search does not repeat earlier proposals.
            self.study.sampler = self.optuna.samplers.TPESampler(
                seed=hash_of(self.seed, len(asked) + attempt),
                n_startup_trials=STARTUP,
                multivariate=True,
                constant_liar=True,  # so that workers do not try the same place at once
            )
            trial = self.study.ask(self.space)
            values = {d.name: tidy(d, trial.params[d.name]) for d in self.dimensions}
            if values not in tried:
                return self.begin(trial, values)
            self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
        values = left[hash_of(self.seed, len(asked)) % len(left)]  # with few values it insists on the best of them
        self.study.enqueue_trial(values)
        return self.begin(self.study.ask(self.space), values)

    def begin(self, trial: Any, values: dict[str, Any]) -> int:
        trial.set_user_attr("values", values)
        self.open[trial.number] = trial
        return int(trial.number)

    def values(self, number: int) -> dict[str, Any]:
        return dict(self.open[number].user_attrs["values"])

    def is_default(self, number: int) -> bool:
        return self.values(number) == self.default

    def report(self, number: int, look: int, loss: float) -> bool:
        """Records the loss at a validation, counted from 1; returns whether to stop the trial. The default is never stopped."""
        trial = self.open[number]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a restarted trial reports its first validations again; NaN
            trial.report(loss, look)
            return not self.is_default(number) and trial.should_prune()

    def tell(self, number: int, record: Record) -> None:
        """Ends a trial."""
        trial, state = self.open.pop(number), self.optuna.trial.TrialState
        trial.set_user_attr("record", record)
        if not all(record["values"][d.name] in d for d in self.dimensions):
            self.study.tell(trial, state=state.FAIL)  # a default outside the space cannot guide the sampler
        elif record["outcome"] == "complete":
            self.study.tell(trial, record["loss"])
        else:  # a failure counts as a bad result, so that the sampler keeps away: most failures come from the values
            self.study.tell(trial, state=state.PRUNED)

    def records(self) -> list[Record]:
        """All trials that ended, in order."""
        done = self.optuna.trial.TrialState.RUNNING
        every = self.study.get_trials(deepcopy=False)
        return [f.user_attrs["record"] for f in every if f.state != done and "record" in f.user_attrs]


def mend(path: Path) -> None:
    """Removes a line that was cut short when an earlier process was killed, and that process's lock."""
    for lock in path.parent.glob(f"{path.name}.lock*"):  # only ours: the run's folder is locked
        lock.unlink(missing_ok=True)
    if path.exists():
        with path.open("r+b") as file:
            whole = file.read().rfind(b"\n") + 1
            file.truncate(whole)


def hash_of(seed: int, number: int) -> int:
    """A seed for each trial (Knuth's multiplicative hash)."""
    return ((seed + 1) * 2654435761 + number * 40503) % 2**31


def distribution(optuna: Any, dimension: Dimension) -> Any:
    """A dimension as Optuna's distribution."""
    d, of = dimension, optuna.distributions
    if d.choices:
        return of.CategoricalDistribution(d.choices)
    if d.step:
        return of.IntDistribution(int(d.low), int(d.high), log=d.log, step=d.step)
    return of.FloatDistribution(d.low, d.high, log=d.log)


def combinations(dimensions: Sequence[Dimension], most: int = 10_000) -> list[dict[str, Any]]:
    """Every combination of values, up to `most` of them; empty if a key has infinitely many values."""
    if not all(d.countable for d in dimensions):
        return []
    lists = [d.choices or range(int(d.low), int(d.high) + 1, d.step or 1) for d in dimensions]
    names = [d.name for d in dimensions]
    every = itertools.islice(itertools.product(*lists), most)
    return [dict(zip(names, values, strict=True)) for values in every]


def importance(records: Sequence[Record], dimensions: Sequence[Dimension]) -> dict[str, float]:
    """Each key's share in what sets the best trials apart; PED-ANOVA (arXiv:2304.10255), equation 7.

    Trials that were stopped early or failed count as worse than those that finished, by how far they came.
    """
    optuna = load_optuna()
    inside = [r for r in records if all(r["values"][d.name] in d for d in dimensions)]
    if len(inside) < FEWEST or len(dimensions) < 2:
        return {}
    space = {d.name: distribution(optuna, d) for d in dimensions}
    study = optuna.create_study()
    for rank, record in enumerate(sorted(inside, key=standing)):
        study.add_trial(optuna.trial.create_trial(params=record["values"], distributions=space, value=float(rank)))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(value) for name, value in found.items()}


def standing(record: Record) -> tuple[int, float, float]:
    """Sorts the best trial first."""
    finished = record["outcome"] == "complete"
    last = record["curve"][-1][1] if record["curve"] else math.inf
    return (0, record["loss"], 0.0) if finished else (1, -len(record["curve"]), last)
