"""The planner: measures the machine for a few seconds, then plans model size and steps for the minutes there are.

What it chooses is written into the run's recipe, so that running or resuming that recipe measures nothing anew.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from yaya.core import ranks
from yaya.core.artifact import Artifact, Draft
from yaya.core.progress import duration
from yaya.core.runtime import Runtime
from yaya.core.say import say
from yaya.train import finetune, pretrain
from yaya.train.finetune import FinetuneConfig
from yaya.train.language import VALIDATION_ROWS
from yaya.train.loop import LoopConfig, make_optimizer, optimizer_step
from yaya.train.pretrain import PretrainConfig

# (hidden_size, layers), each about twice the work of the one before.
SIZES = ((64, 3), (96, 3), (128, 4), (160, 4), (192, 5), (256, 6), (320, 7), (384, 8), (512, 10), (640, 12), (768, 12))
TOKENS_PER_PARAMETER = 8.0  # for models of about a million parameters; bench/LOG.md
FINETUNE_SHARE = 0.15  # of the training time
PROBE_SECONDS = 5.0


def fill_shape(config: PretrainConfig, chat_share: float, hidden_size: int = 160, layers: int = 4) -> PretrainConfig:
    """The sizes that the recipe leaves open."""
    width = config.hidden_size or hidden_size
    if config.head_dim > width:
        config = replace(config, head_dim=32)
    return replace(
        config,
        hidden_size=width,
        num_hidden_layers=config.num_hidden_layers or layers,
        intermediate_size=config.intermediate_size or round(width * 8 / 3 / 32) * 32,
        num_key_value_heads=config.num_key_value_heads or max(1, width // config.head_dim),
        chat_fraction=chat_share if config.chat_fraction is None else config.chat_fraction,
    )


def size_for(flops: float) -> tuple[int, int]:
    """(hidden_size, layers) for a budget: flops = 6 N D with D = TOKENS_PER_PARAMETER * N (arXiv:2203.15556)."""
    wanted = math.sqrt(flops / 6 / TOKENS_PER_PARAMETER)
    return min(SIZES, key=lambda s: abs(math.log(12 * s[1] * s[0] ** 2 / wanted)))


def shares(names: Collection[str]) -> dict[str, float]:
    """Which share of the training time each stage gets."""
    both = {"pretrain": 1 - FINETUNE_SHARE, "finetune": FINETUNE_SHARE}
    return both if len(names) == 2 else dict.fromkeys(names, 1.0)


def plan(
    configs: dict[str, LoopConfig],
    inputs: dict[str, Artifact],
    runtime: Runtime,
    seed: int,
    seconds: float,
    folder: Path,
    token_seconds: float | None = None,
) -> dict[str, LoopConfig]:
    """Training configs without open ends.

    configs: "pretrain", "finetune" or both; seconds: time for all training together; token_seconds: of one token, else measured.
    """
    configs = dict(configs)
    tokens = {kind: counts["tokens"] for kind, counts in inputs["tokenize"].metrics["train"].items()}
    chat_share = round(tokens["chat"] / max(sum(tokens.values()), 1), 3)
    first = configs.get("pretrain")
    if isinstance(first, PretrainConfig):
        if first.hidden_size is None and first.steps is None:
            probe = fill_shape(first, chat_share)
            step_seconds = measure(probe, inputs, runtime, seed, folder)
            work = 72 * (probe.num_hidden_layers or 1) * (probe.hidden_size or 1) ** 2 * probe.batch_tokens  # 6 N D
            width, layers = size_for(work / step_seconds * seconds)
            first = fill_shape(first, chat_share, width, layers)
        else:
            first = fill_shape(first, chat_share)
        configs["pretrain"] = first
    open_ended = [name for name, config in configs.items() if config.steps is None]
    if not open_ended:
        return configs
    probe_config = first if isinstance(first, PretrainConfig) else configs["finetune"]
    if token_seconds is None:
        token_seconds = measure(probe_config, inputs, runtime, seed, folder) / probe_config.batch_tokens
    share = shares(configs)
    context_length = (
        first.context_length if isinstance(first, PretrainConfig) else inputs["pretrain"].config["context_length"]
    )
    for name in open_ended:
        config, mine = configs[name], seconds * share[name]
        # A look at the validation rows costs a third of training on them: there is no backward pass.
        looks = (config.evaluations + config.samples) * VALIDATION_ROWS * context_length * token_seconds / 3
        left = 0.97 * mine - min(looks, 0.15 * mine)
        configs[name] = replace(config, steps=max(1, int(left / token_seconds / config.batch_tokens)))
    explain(configs, token_seconds)
    return configs


def measure(config: LoopConfig, inputs: dict[str, Artifact], runtime: Runtime, seed: int, folder: Path) -> float:
    """Seconds of one optimizer step, the median of what a few seconds hold."""
    draft = Draft(folder, "probe", {}, {}, seed, runtime=runtime)
    if isinstance(config, PretrainConfig):
        model, goal = pretrain.build(config, inputs, seed, draft)
    else:
        assert isinstance(config, FinetuneConfig)
        model, goal = finetune.build(config, inputs, draft)
    optimizer = make_optimizer(model, config)
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < 3 or ranks.agree(time.perf_counter() - started < PROBE_SECONDS):
        began = time.perf_counter()
        optimizer_step(model, goal, optimizer, 0, config, 1e-3)
        times.append(time.perf_counter() - began)
    return ranks.agree(statistics.median(times[1:]))  # type: ignore[no-any-return]


def explain(configs: dict[str, LoopConfig], token_seconds: float) -> None:
    """Says what will be done and how long it will take."""
    for name, config in configs.items():
        assert config.steps is not None
        tokens = config.steps * config.batch_tokens
        long, speed = duration(tokens * token_seconds), 1 / token_seconds
        say(
            f"[{name}] {config.steps:,} steps of {config.batch_tokens:,} tokens, about {long} at {speed:,.0f} tokens/s.",
            f"[{name}] {config.steps:,} 步，每步 {config.batch_tokens:,} 个 token，每秒约 {speed:,.0f} 个，约 {long}。",
        )
