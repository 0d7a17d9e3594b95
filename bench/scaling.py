"""The loss to expect: trains models of several sizes for several lengths, and fits the rule in `train/scaling.py` to them.

python bench/scaling.py run RESULTS.jsonl OUT_FOLDER SOURCE... [runs=5] [seed=0] [shortest=6] [longest=80] [KEY=value of a recipe ...]
python bench/scaling.py fit RESULTS.jsonl
python bench/scaling.py check RESULTS.jsonl        (what the rule in the source says of runs that it was not fitted on)

Sizes and lengths are drawn at random so that one training takes so many seconds of one core, roughly. Without sources: the primer.
"""

import json
import math
import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from yaya import pipeline
from yaya.core.recipe import parse_assignment
from yaya.train import pretrain
from yaya.train.plan import forecast
from yaya.train.plan.forecast import LossForecast, Probe
from yaya.train.plan.sizes import SIZES

FLOPS = 1e11  # of one core, roughly: only for the choice of sizes


def draw(rng: random.Random, vocab_size: int, shortest: float, longest: float) -> tuple[int, int, float]:
    """(hidden_size, layers, tokens)"""
    while True:
        width, layers = rng.choice(SIZES[:7])
        tokens = math.exp(rng.uniform(math.log(2.5e5), math.log(8e6)))
        seconds = 6 * tokens * (12 * layers * width**2 + vocab_size * width) / FLOPS + tokens / 60_000
        if shortest < seconds < longest:
            return width, layers, tokens


def run(results: Path, out: Path, words: list[str]) -> None:
    keys = dict(parse_assignment(word) for word in words if "=" in word)
    sources = [str(Path(word).resolve()) for word in words if "=" not in word]
    runs, seed = keys.pop("runs", 5), keys.pop("seed", 0)
    shortest, longest = keys.pop("shortest", 6), keys.pop("longest", 80)
    recipe: dict[str, Any] = {"name": out.name, "seed": seed, **{k: v for k, v in keys.items() if "." not in k}}
    recipe["prepare"] = {"sources": sources} | {k.split(".")[1]: v for k, v in keys.items() if k.startswith("prepare.")}
    rng = random.Random(f"{out.name} {seed}")
    for _ in range(runs):
        job = pipeline.open_run(recipe, runs=out.parent)
        data = {name: job.make(pipeline.STAGES[name]) for name in ("prepare", "tokenize")}["tokenize"]
        job.look_ahead(pipeline.STAGES["tokenize"])
        width, layers, tokens = draw(rng, data.metrics["vocab_size"], shortest, longest)
        batch = forecast.batch_for(tokens, 256)
        sizes = {"hidden_size": width, "num_hidden_layers": layers, "batch_tokens": batch, "steps": int(tokens / batch)}
        shutil.rmtree(job.folder.path / "pretrain", ignore_errors=True)
        job = pipeline.open_run({**recipe, "pretrain": {**sizes, "samples": 0}}, runs=out.parent)
        made = job.make(pipeline.STAGES["pretrain"])
        rows = [json.loads(line) for line in (made.path / "metrics.jsonl").read_text("utf-8").splitlines()]
        held_out = [(row["step"], row["validation_loss"]) for row in rows if "validation_loss" in row]
        row = {"data": out.name, "seed": seed, **sizes, "seconds": made.metrics["seconds"], "validation": held_out}
        row |= asdict(pretrain.forecast_loss(job.config_of(pretrain.STAGE), data, job.folder.path))
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(
            f"{out.name}: {width} wide, {layers} layers, {tokens / 1e6:.2f}M tokens: {held_out[-1][1]:.3f}", flush=True
        )


def read(results: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    for row in rows:
        row["prospect"] = LossForecast(row["layers"], row["tokens"], row["unique"], Probe(**row["probe"]))
        row["real"] = row["validation"][-1][1]
    return rows


def solve(rows: list[dict[str, Any]], templates: bool) -> Callable[[dict[str, Any]], float]:
    """Least squares of the exponents in `LossForecast.loss`; gives back what they say of a run."""
    floor = forecast.TEMPLATES[2] if templates else 0.0

    def features(row: dict[str, Any]) -> list[float]:
        fall, (tokens, size) = row["prospect"].fall(), row["prospect"].beyond_pilot()
        return [tokens, size] if templates else [fall * tokens, fall * size, tokens * size]

    x = np.array([features(row) for row in rows])
    y = np.array([math.log((row["real"] - floor) / (row["probe"]["final"] - floor)) for row in rows])
    weight = np.array([1 - floor / row["real"] for row in rows])  # so that shares of the loss are fitted
    w = np.linalg.lstsq(x * weight[:, None], y * weight, rcond=None)[0]

    def told(row: dict[str, Any]) -> float:
        return floor + (row["probe"]["final"] - floor) * math.exp(np.dot(w, features(row)))

    told.weights = w  # type: ignore[attr-defined]
    return told


def fit(results: Path) -> None:
    rows = read(results)
    for name in ("TEXT", "TEMPLATES"):
        templates = name == "TEMPLATES"
        group = [row for row in rows if row["prospect"].is_template() == templates]
        for by, same in (("run", lambda a, b: a is b), ("text", lambda a, b: a["data"] == b["data"])):
            errors = []
            for row in group:
                others = [r for r in group if not same(r, row)]
                errors.append(abs(solve(others, templates)(row) / row["real"] - 1) if others else 0)
            print(f"{name}, {len(group)} runs, each told from all but its own {by}: mean {np.mean(errors):.1%}, "
                  f"within 3% {np.mean(np.array(errors) < 0.03):.0%}, within 5% {np.mean(np.array(errors) < 0.05):.0%}")  # fmt: skip
        print(name, solve(group, templates).weights.round(4))  # type: ignore[attr-defined]
        for done in (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.85):
            above = []
            for row in group:
                steps, losses = zip(*row["validation"], strict=True)
                if steps[0] / row["steps"] <= done:
                    above.append(math.log(np.interp(done * row["steps"], steps, losses) / row["real"]))
            slope = np.mean(above) / -np.mean([row["prospect"].fall() for row in group])
            print(
                f"  at {done:.0%}: logarithm of the loss {np.mean(above):.3f} above the end's, spread {np.std(above):.3f}; {slope:.2f} times the fall"
            )


def check(results: Path) -> None:
    errors = []
    for row in read(results):
        said = row["prospect"].loss()
        errors.append(said / row["real"] - 1)
        shape = f"{row['hidden_size']} wide, {row['num_hidden_layers']} layers, {row['tokens'] / 1e6:.2f}M tokens"
        print(f"{row['data']:20} {shape:42} expected {said:.3f}, came {row['real']:.3f}, {errors[-1]:+.1%}")
    print(f"{sum(abs(e) < 0.03 for e in errors)} of {len(errors)} within 3%, mean {np.mean(np.abs(errors)):.1%}")


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("run", "fit", "check"):
        sys.exit(__doc__)
    mode, results = sys.argv[1], Path(sys.argv[2])
    if mode == "run":
        run(results, Path(sys.argv[3]), sys.argv[4:])
    else:
        (fit if mode == "fit" else check)(results)
