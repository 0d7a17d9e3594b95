"""Quality for time: trains on a fixed text for a fixed time (or number of steps) and prints bits per byte on held-out text.

python bench/speedrun.py OUT_FOLDER SOURCE... [seconds=60 | steps=400] [seeds=3] [vocab_size=4096] [KEY=value of pretrain ...]

One line: the mean over the seeds, how far they spread, and the seconds of one training. With `steps` two settings are compared at
equal tokens, whatever else the machine does meanwhile; then their speeds, measured apart, decide.
"""

import json
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from yaya import pipeline
from yaya.core.recipe import parse_assignment
from yaya.core.time_budget import EVALUATION_SHARE, TimeBudget
from yaya.evaluate.tasks import validation_loss
from yaya.model.pretrained import load_model
from yaya.tokenize.shards import open_shard
from yaya.tokenize.tokenizer import Tokenizer

SHAPE = {
    "hidden_size": 192,
    "num_hidden_layers": 4,
    "context_length": 256,
    "batch_tokens": 4096,
    "samples": 0,
    "evaluations": 1,
}
STRIDE = 128  # of the windows over held-out text


def train(
    recipe: dict[str, Any], seed: int, keys: dict[str, Any], seconds: float | None, runs: Path
) -> tuple[float, float]:
    """(bits per byte on held-out text, seconds of training)"""
    job = pipeline.open_run({**recipe, "seed": seed, "pretrain": {**SHAPE, **keys}}, runs=runs)
    inputs = {name: job.make(pipeline.STAGES[name]) for name in ("prepare", "tokenize")}
    if seconds is not None:
        begin = time.monotonic() + EVALUATION_SHARE * seconds  # no evaluation follows here
        job.time = TimeBudget(seconds / 60, begin)
    shutil.rmtree(job.folder.path / "pretrain", ignore_errors=True)
    made = job.make(pipeline.STAGES["pretrain"])
    tokenizer = Tokenizer.load(made.path)
    shard = open_shard(inputs["tokenize"].path, "validation", "text", tokenizer.vocab_size)
    with torch.inference_mode():
        found = validation_loss(load_model(made.path), tokenizer, shard, STRIDE)
    return found["bits_per_byte"], made.metrics["seconds"]


def main() -> None:
    out, words = Path(sys.argv[1]), sys.argv[2:]
    keys = dict(parse_assignment(word) for word in words if "=" in word)
    sources = [str(Path(word).resolve()) for word in words if "=" not in word]
    seeds, vocab, seconds = keys.pop("seeds", 3), keys.pop("vocab_size", 4096), keys.pop("seconds", None)
    run = {name: keys.pop(name) for name in ("threads", "dtype") if name in keys}
    recipe = {"name": out.name, "prepare": {"sources": sources}, "tokenize": {"vocab_size": vocab}, **run}
    results = [train(recipe, seed, keys, seconds, out.parent) for seed in range(seeds)]
    bits = [r[0] for r in results]
    spread = max(bits) - min(bits)
    took = statistics.fmean(r[1] for r in results)
    print(
        f"{statistics.fmean(bits):.4f} bits per byte, spread {spread:.4f}, {took:.1f} s: {json.dumps(keys)}", flush=True
    )


if __name__ == "__main__":
    main()
