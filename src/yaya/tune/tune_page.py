"""The page of a search: what was found, whether it is more than chance, and every trial, in Chinese and English."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yaya.core.messages import program
from yaya.pages import layout
from yaya.pages.layout import Pair
from yaya.tune import tune_charts, verdict
from yaya.tune.optuna_study import importance, standing
from yaya.tune.runner import Record
from yaya.tune.space import Dimension
from yaya.tune.trial_plan import TrialPlan
from yaya.tune.verdict import Verdict

ROOM = Path(__file__).parent
OUTCOMES: dict[str, Pair] = {
    "complete": ("finished", "跑完"),
    "stopped": ("stopped early", "提前停止"),
    "failed": ("failed", "失败"),
}
LEADS: dict[str, Pair] = {
    "better": ("Better values were found.", "找到了更好的值。"),
    "unclear": ("Perhaps better, perhaps luck.", "也许更好，也许只是运气。"),
    "unconfirmed": ("A better trial was found, but on one seed only.", "有一个更好的试验，但只用了一个种子。"),
    "worse": ("Keep the recipe's values.", "沿用配方原来的值。"),
    "default": ("Keep the recipe's values.", "沿用配方原来的值。"),
}


def page(
    name: str,
    plan: TrialPlan,
    dimensions: Sequence[Dimension],
    records: Sequence[Record],
    again: Sequence[Record],
    found: Verdict,
) -> str:
    """The page's HTML. name: the run's; records: the trials; again: the runs with other seeds."""
    counts = Counter(r["outcome"] for r in records)
    trained = sum(len(r["curve"]) for r in records) / max(1, len(records) * plan.looks)
    shares = importance(records, dimensions)
    parts = {
        "name": name,
        "command": f"{program()} run {shlex.quote(f'runs/{name}/tune/best.toml')}",
        "stage": plan.stage,
        "steps": plan.steps,
        "lead": LEADS[found.kind],
        "words": verdict.words(found),
        "stays": found.kind in ("default", "worse"),
        "counts": counts,
        "total": len(records),
        "trained": trained,
        "recipe": found.default,
        "best": found.best,
        "space": [(d.name, str(d), d.log, bool(d.choices)) for d in dimensions],
        "seeds": seeds(found, again),
        "curves": tune_charts.curves(records, found.best),
        "scatters": [
            picture for d in dimensions if (picture := tune_charts.scatter(d, records, found.best)) is not None
        ],
        "importance": tune_charts.bars(shares) if shares else None,
        "few": len(records) < 40,
        "sizes": [
            d.name
            for d in dimensions
            if d.name in ("hidden_size", "num_hidden_layers", "intermediate_size", "context_length")
        ],
        "trials": [row(r, found, plan) for r in sorted(records, key=standing)],
    }
    return layout.render(ROOM / "report.html.j2", parts, styles=[ROOM / "report.css"])


def seeds(found: Verdict, again: Sequence[Record]) -> list[dict[str, Any]]:
    """For each seed the losses of the recipe's values and of the best; the search's own seed first."""
    rows = [
        {"seed": found.default["seed"], "recipe": found.default["loss"], "best": found.best["loss"], "search": True}
    ]
    for seed in sorted({r["seed"] for r in again}):
        losses = {r["role"]: r["loss"] for r in again if r["seed"] == seed}
        rows.append(
            {"seed": seed, "recipe": losses.get("default again"), "best": losses.get("best again"), "search": False}
        )
    return rows


def row(record: Record, found: Verdict, plan: TrialPlan) -> dict[str, Any]:
    """One line of the table."""
    last = record["curve"][-1] if record["curve"] else (None, None)
    return record | {
        "kind": tune_charts.marker(record, found.best),
        "title": OUTCOMES[record["outcome"]],
        "share": len(record["curve"]) / plan.looks,
        "step": last[0],
        "seen": last[1],
    }
