"""The loss to expect: trains models of several sizes for several lengths, and fits the rule in `train/scaling.py` to them.

python bench/scaling.py run RESULTS.jsonl OUT_FOLDER SOURCE... [runs=5] [seed=0] [KEY=value of a recipe, chat for the primer ...]
python bench/scaling.py fit RESULTS.jsonl
python bench/scaling.py check RESULTS.jsonl        (what the rule in the source says of runs that it was not fitted on)

Sizes and lengths are drawn at random so that one training takes about ten seconds to two minutes of one core.
"""

import json
import math
import random
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from yaya import pipeline
from yaya.core.config import parse_assignment
from yaya.train import pretrain, scaling
from yaya.train.planner import SIZES
from yaya.train.scaling import Prospect, Size

RIDGE = 1e-3
FLOPS = 1e11  # of one core, roughly: only for the choice of sizes


def draw(rng: random.Random, vocab_size: int) -> tuple[int, int, float]:
    """(hidden_size, layers, tokens)"""
    while True:
        width, layers = rng.choice(SIZES[:7])
        tokens = math.exp(rng.uniform(math.log(2.5e5), math.log(8e6)))
        seconds = 6 * tokens * (12 * layers * width**2 + vocab_size * width) / FLOPS + tokens / 60_000
        if 6 < seconds < 80:
            return width, layers, tokens


def run(results: Path, out: Path, words: list[str]) -> None:
    keys = dict(parse_assignment(word) for word in words if "=" in word)
    sources = [str(Path(word).resolve()) for word in words if "=" not in word]
    runs, seed = keys.pop("runs", 5), keys.pop("seed", 0)
    recipe: dict[str, Any] = {"name": out.name, "seed": seed, **{k: v for k, v in keys.items() if "." not in k}}
    recipe["prepare"] = {"sources": sources} | {k.split(".")[1]: v for k, v in keys.items() if k.startswith("prepare.")}
    pipeline.RUNS = out.parent
    rng = random.Random(f"{out.name} {seed}")
    for _ in range(runs):
        job = pipeline.Run(recipe)
        data = {name: job.stage(name) for name in ("prepare", "tokenize")}["tokenize"]
        width, layers, tokens = draw(rng, data.metrics["vocab_size"])
        batch = scaling.batch_for(tokens, 256)
        sizes = {"hidden_size": width, "num_hidden_layers": layers, "batch_tokens": batch, "steps": int(tokens / batch)}
        shutil.rmtree(job.folder / "pretrain", ignore_errors=True)
        job = pipeline.Run({**recipe, "pretrain": {**sizes, "samples": 0}})
        made = job.stage("pretrain")
        rows = [json.loads(line) for line in (made.path / "metrics.jsonl").read_text("utf-8").splitlines()]
        held_out = [(row["step"], row["validation_loss"]) for row in rows if "validation_loss" in row]
        row = {"data": out.name, "seed": seed, **sizes, "data_digest": data.digest[:8]}
        row |= asdict(pretrain.prospect(job.configs["pretrain"], data))
        row |= {"validation": held_out, "seconds": made.metrics["seconds"]}
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(
            f"{out.name}: {width} wide, {layers} layers, {tokens / 1e6:.2f}M tokens: {held_out[-1][1]:.3f}", flush=True
        )


def read(results: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    for row in rows:
        names = ("tokens", "unique", "difficulty")
        row["prospect"] = Prospect(Size(**row["size"]), **{name: row[name] for name in names})
        row["real"] = row["validation"][-1][1]
    return rows


def solve(rows: list[dict[str, Any]]) -> np.ndarray:
    """Least squares with a little weight decay on standardised features."""
    x = np.array([row["prospect"].features() for row in rows])
    y = np.log([row["real"] for row in rows])
    scale = np.where(x.std(0) > 0, x.std(0), 1.0)
    z = (x - x.mean(0)) / scale
    z[:, 0] = 0  # the constant
    w = np.linalg.solve(z.T @ z + RIDGE * len(rows) * np.eye(len(scale)), z.T @ (y - y.mean())) / scale
    w[0] = y.mean() - x.mean(0) @ w + w[0]
    return w


def fit(results: Path) -> None:
    rows = read(results)
    for by in ("data", "run"):  # how well a text, or a run, is told from all others
        errors = []
        groups = sorted({row["data"] for row in rows}) if by == "data" else range(len(rows))
        for group in groups:
            out = [r for i, r in enumerate(rows) if (r["data"] if by == "data" else i) == group]
            w = solve([r for r in rows if r not in out])
            found = [math.exp(w @ r["prospect"].features()) / r["real"] - 1 for r in out]
            errors += found
            if by == "data":
                print(f"{group:20} {' '.join(f'{100 * e:+.1f}%' for e in found)}")
        print(
            f"left out {by} by {by}: mean {np.mean(np.abs(errors)):.1%}, within 3% {np.mean(np.abs(errors) < 0.03):.0%}, within 5% {np.mean(np.abs(errors) < 0.05):.0%}"
        )
    print("WEIGHTS = (", ", ".join(f"{w:.5g}" for w in solve(rows)), ")")
    for done in (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.85):
        ratios = []
        for row in rows:
            steps, losses = zip(*row["validation"], strict=True)
            if steps[0] / row["steps"] <= done:
                ratios.append(math.log(np.interp(done * row["steps"], steps, losses) / row["real"]))
        print(
            f"at {done:.0%} of the steps: log of loss beside the end's: {np.mean(ratios):.3f}, spread {np.std(ratios):.3f}"
        )


def check(results: Path) -> None:
    rows = read(results)
    errors = [row["prospect"].loss() / row["real"] - 1 for row in rows]
    for row, error in zip(rows, errors, strict=True):
        shape = f"{row['hidden_size']} wide, {row['num_hidden_layers']} layers, {row['steps'] * row['batch_tokens'] / 1e6:.2f}M tokens"
        print(
            f"{row['data']:20} {shape:42} expected {row['prospect'].loss():.3f}, came {row['real']:.3f}, {error:+.1%}"
        )
    print(f"{sum(abs(e) < 0.03 for e in errors)} of {len(errors)} within 3%, mean {np.mean(np.abs(errors)):.1%}")


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("run", "fit", "check"):
        sys.exit(__doc__)
    mode, results = sys.argv[1], Path(sys.argv[2])
    if mode == "run":
        run(results, Path(sys.argv[3]), sys.argv[4:])
    else:
        (fit if mode == "fit" else check)(results)
