"""The pilot: a tiny model that reads a little of the text, to find out how hard it is to learn.

Reads: `tokenize/`. Writes: `pilot.json` in the run's folder, where it is found again. What larger models and longer
trainings will reach follows from it: `forecast.py`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from yaya.core import distributed
from yaya.core.artifact import Artifact, Draft
from yaya.core.files import read_json, write_atomic
from yaya.core.machine import Machine
from yaya.core.messages import t
from yaya.core.progress import Bar
from yaya.tokenize.tokenizer import Tokenizer
from yaya.train import language_model, pretrain
from yaya.train.loop import decay_share, make_optimizer, optimizer_step
from yaya.train.optimizer import schedule
from yaya.train.plan import forecast
from yaya.train.pretrain import PILOT, PretrainConfig


def fly(config: PretrainConfig, inputs: dict[str, Artifact], runtime: Machine, seed: int, folder: Path) -> None:
    """Makes `pilot.json` for this data, unless it is there or there is too little to read. Alone: several ranks have none."""
    data = inputs["tokenize"]
    counts = {kind: found["tokens"] for kind, found in data.metrics["train"].items()}
    config = pretrain.fill_shape(config, data)
    of = pretrain.pilot_of(config, data)
    if distributed.world_size() > 1 or read_json(folder / PILOT).get("of") == of:
        return
    tokenizer = Tokenizer.load(data.path)
    shards = {split: language_model.open_shards(data, split, tokenizer.vocab_size) for split in ("train", "validation")}
    kind = language_model.watched_kind(pretrain.shares(config), shards["validation"])
    if kind is None or sum(counts.values()) < forecast.PILOT_TOKENS / 4:
        return
    losses = []
    tokens = forecast.PILOT_BATCH_TOKENS
    row_length = min(config.context_length, tokens)
    tiny = PretrainConfig(context_length=row_length, chat_fraction=config.chat_fraction)
    tiny = replace(tiny, batch_tokens=tokens, micro_batch_tokens=tokens)
    tiny = pretrain.fill_shape(tiny, data, *forecast.PILOT_SIZE)
    model, goal = pretrain.build(tiny, inputs, seed, Draft(folder, "pilot", {}, {}, seed, runtime=runtime))
    optimizer, steps, cursor = make_optimizer(model, tiny), forecast.PILOT_STEPS, 0
    with Bar(t("how hard is the text?", "文本有多难？"), steps, t("steps", "步")) as bar:
        for step in range(steps):
            scale = schedule(step, steps, tiny.warmup_steps, decay_share(tiny))
            cursor = optimizer_step(model, goal, optimizer, cursor, tiny, scale).cursor
            bar.advance(1)
            if step + 1 in (forecast.PILOT_EARLY, steps):
                found = language_model.bits_per_byte(model, shards["validation"][kind], tokenizer, row_length)
                if not found:
                    return  # no held-out reply fits into a row
                losses.append(found["validation_loss"])
    found = {"early": losses[0], "final": losses[1]}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / PILOT, json.dumps({"of": of, "found": found}))
