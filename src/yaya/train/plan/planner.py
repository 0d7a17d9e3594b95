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
from typing import Any

import torch

from yaya.core import distributed
from yaya.core.artifact import Artifact, Draft
from yaya.core.machine import Machine, memory_gb
from yaya.core.messages import UserError, say
from yaya.core.progress import duration, times
from yaya.model.pretrained import read_config
from yaya.train import finetune, pretrain
from yaya.train.finetune import FinetuneConfig
from yaya.train.language_model import VALIDATION_ROWS, data_seed, open_shards
from yaya.train.loop import LoopConfig, make_optimizer, optimizer_step
from yaya.train.packing import Mixture, Rows
from yaya.train.plan import forecast, probe
from yaya.train.pretrain import PretrainConfig

# (hidden_size, layers), each about twice the work of the one before.
SIZES = ((64, 3), (96, 3), (128, 4), (160, 4), (192, 5), (256, 6), (320, 7), (384, 8), (512, 10), (640, 12), (768, 12))
TOKENS_PER_PARAMETER = 8.0  # of the layers: our choice for models of about a million, not the outcome of a search
FINETUNE_SHARE = 0.15  # of the training time
PILOT_FROM_SECONDS = 300.0  # of training; below, a pilot would cost too much of it
PROBE_SECONDS = 1.0
PROBE_TOKENS = 4_000_000  # a training whose batch the first probe takes
MANY_TIMES = 16  # four times as often as a repeat still teaches much (arXiv:2305.16264)
STEPS_TOKENS = 16_000_000  # a training whose batch is taken where only steps are given: 4,096 tokens
LEAST_PRETRAINING_TOKENS = 1024  # of text; fewer are refused: nothing would come of it
MICRO_BATCH_TOKENS = 8192  # computed at once, unless the recipe says otherwise
TRAINER_ROWS = 8  # the Trainer's default of per_device_train_batch_size


def is_settled(config: LoopConfig) -> bool:
    """Whether the planner has nothing to add: the recipe of a run that has begun."""
    sizes = ("hidden_size", "num_hidden_layers", "intermediate_size", "num_key_value_heads", "chat_fraction")
    names = ("steps", "batch_tokens", "micro_batch_tokens", *(sizes if isinstance(config, PretrainConfig) else ()))
    return config.num_train_epochs is None and all(getattr(config, name) is not None for name in names)


def shares(names: Collection[str]) -> dict[str, float]:
    """Which share of the training time each stage gets."""
    both = {"pretrain": 1 - FINETUNE_SHARE, "finetune": FINETUNE_SHARE}
    return both if len(names) == 2 else dict.fromkeys(names, 1.0)


def unique_tokens(config: LoopConfig, counts: dict[str, int]) -> int:
    """The different tokens that a stage trains on. counts: of texts and of conversations."""
    if isinstance(config, PretrainConfig) and config.chat_fraction is not None:
        return sum(counts[kind] for kind, share in pretrain.shares(config).items() if share > 0)
    return counts["chat"] if isinstance(config, FinetuneConfig) else sum(counts.values())


def settle_batch(config: LoopConfig, tokens: float, unique: int, row_length: int, name: str) -> LoopConfig:
    """Batch and micro-batch: as the recipe says, in the Trainer's words or ours, else by how many tokens are trained on.

    unique: the different tokens there are: the most that a step takes.
    """
    rows, accumulate = config.per_device_train_batch_size, config.gradient_accumulation_steps
    batch, micro = config.batch_tokens, config.micro_batch_tokens
    if rows or accumulate:
        rows, accumulate = rows or TRAINER_ROWS, accumulate or 1
        product = rows * accumulate * distributed.world_size() * row_length
        if batch not in (None, product):
            raise UserError(
                f"{name}.batch_tokens={batch:,}, but per_device_train_batch_size={rows} x gradient_accumulation_steps={accumulate} x {distributed.world_size()} processes x {row_length} tokens a row is {product:,}. Set one of them only.",
                f"{name}.batch_tokens={batch:,}，而 per_device_train_batch_size={rows} × gradient_accumulation_steps={accumulate} × {distributed.world_size()} 个进程 × 每行 {row_length} 个 token 等于 {product:,}。两者只能设一个。",
            )
        return replace(config, batch_tokens=product, micro_batch_tokens=micro or rows * row_length)
    if not batch:
        least = LEAST_PRETRAINING_TOKENS if isinstance(config, PretrainConfig) else 1
        batch = min(forecast.batch_for(tokens, row_length), max(least, 1 << max(0, unique.bit_length() - 1)))
    return replace(config, batch_tokens=batch, micro_batch_tokens=micro or min(batch, MICRO_BATCH_TOKENS))


def plan(
    configs: dict[str, LoopConfig],
    inputs: dict[str, Artifact],
    runtime: Machine,
    seed: int,
    seconds: float,
    folder: Path,
    token_seconds: float | None = None,
    asked: bool = False,
) -> tuple[dict[str, LoopConfig], dict[str, dict[str, Any]]]:
    """(training configs without open ends, what was said of each).

    configs: "pretrain", "finetune" or both; seconds: time for all training together; token_seconds: of one token, else measured.
    asked: by `yaya plan`, so that the time is told even where the recipe says how many steps.
    """
    configs = dict(configs)
    counts = {kind: found["tokens"] for kind, found in inputs["tokenize"].metrics["train"].items()}
    first = configs.get("pretrain")
    row_length = (
        first.context_length if isinstance(first, PretrainConfig) else inputs["pretrain"].config["context_length"]
    )
    timed = [name for name, config in configs.items() if config.steps is None and config.num_train_epochs is None]
    long_enough = "pretrain" in timed and shares(configs)["pretrain"] * seconds > PILOT_FROM_SECONDS
    if isinstance(first, PretrainConfig) and (asked or long_enough):
        started = time.monotonic()
        probe.fly(first, inputs, runtime, seed, folder)
        seconds = distributed.broadcast_object(max(1.0, seconds - (time.monotonic() - started)))
    share = {name: shares(configs)[name] * seconds for name in timed}

    def batched(config: LoopConfig, tokens: float) -> LoopConfig:
        """With the batch for a training of so many tokens."""
        return settle_batch(config, tokens, unique_tokens(config, counts), row_length, next(iter(configs)))

    def measured(config: LoopConfig, long: float) -> float:
        """Seconds a token."""
        assert config.batch_tokens is not None
        return measure(config, inputs, runtime, seed, folder, long) / config.batch_tokens

    known = token_seconds is not None
    if isinstance(first, PretrainConfig):
        width, layers = 160, 4
        if first.hidden_size is None and "pretrain" in timed:
            sizes = sizes_for(first)
            # 96 wide and 192 wide, where they suit.
            probed_sizes = sizes[min(1, len(sizes) - 2)], sizes[min(4, len(sizes) - 1)]
            probes = [(pretrain.fill_shape(first, inputs["tokenize"], *size), size) for size in probed_sizes]
            seen = [
                (weights(*size), measured(batched(config, PROBE_TOKENS), PROBE_SECONDS / 2)) for config, size in probes
            ]
            (width, layers), token_seconds = size_for(seen, share["pretrain"], sizes)
        configs["pretrain"] = first = pretrain.fill_shape(first, inputs["tokenize"], width, layers)
    if (timed or asked) and not known:
        name, config = next(iter(configs.items()))
        probed = batched(config, PROBE_TOKENS).batch_tokens if token_seconds else None
        for _ in range(3):  # a token takes longer in a small batch, and how large it is goes by how many tokens fit
            tokens = share[name] / token_seconds if token_seconds and name in share else PROBE_TOKENS
            wanted = batched(config, tokens)
            if wanted.batch_tokens == probed:
                break
            token_seconds, probed = measured(wanted, PROBE_SECONDS), wanted.batch_tokens
    for name, config in configs.items():
        tokens, unique = float(STEPS_TOKENS), unique_tokens(config, counts)
        if name in timed:
            assert token_seconds is not None
            looks = min(look_tokens(config, row_length) * token_seconds, 0.15 * share[name])
            tokens = (0.97 * share[name] - looks) / token_seconds
        elif config.num_train_epochs is not None:
            tokens = config.num_train_epochs * unique
        config = settle_batch(config, tokens, unique, row_length, name)
        assert config.batch_tokens is not None
        steps = max(1, int(tokens / config.batch_tokens))
        if config.num_train_epochs is not None:
            steps = epoch_steps(config, inputs["tokenize"], row_length, seed)
            if config.steps not in (None, steps):
                raise UserError(
                    f"{name}.steps={config.steps:,}, but num_train_epochs={config.num_train_epochs:g} is {steps:,} steps. Set one of them only.",
                    f"{name}.steps={config.steps:,}，而 num_train_epochs={config.num_train_epochs:g} 是 {steps:,} 步。两者只能设一个。",
                )
        configs[name] = replace(config, steps=config.steps or steps)
    return configs, explain(configs, inputs, runtime, row_length, token_seconds, folder)


def look_tokens(config: LoopConfig, row_length: int) -> float:
    """The tokens whose training takes as long as all looks at the validation rows: these have no backward pass."""
    return (config.evaluations + config.samples) * VALIDATION_ROWS * row_length / 3


def weights(hidden_size: int, layers: int) -> float:
    """Parameters of the layers."""
    return 12.0 * layers * hidden_size**2


def epoch_steps(config: LoopConfig, data: Artifact, row_length: int, seed: int) -> int:
    """Steps in which the data is seen `num_train_epochs` times; of two kinds, the one that repeats most."""
    assert config.num_train_epochs is not None and config.batch_tokens is not None
    if isinstance(config, PretrainConfig):
        shares, weights = pretrain.shares(config), pretrain.role_weights(config)
    else:
        assert isinstance(config, FinetuneConfig)
        shares, weights = finetune.SHARES, finetune.role_weights(config)
    shards = open_shards(data, "train", data.metrics["vocab_size"])
    order = data_seed(data, seed + isinstance(config, FinetuneConfig))
    mixture = Mixture([(Rows(shards[kind], row_length, order, weights), share) for kind, share in shares.items()])
    if not mixture.parts:
        return 1  # the stage itself will say that there is nothing
    rows = config.num_train_epochs / mixture.epochs(1)
    return math.ceil(rows / max(1, config.batch_tokens // row_length) - 1e-9)


def sizes_for(config: PretrainConfig) -> list[tuple[int, int]]:
    """The sizes that suit the heads which the recipe asks for."""
    kv_heads = config.num_key_value_heads or 1
    sizes = [size for size in SIZES if max(1, size[0] // config.head_dim) % kv_heads == 0]
    if len(sizes) < 2:
        raise UserError(
            f"num_key_value_heads={kv_heads} with head_dim={config.head_dim} suits none of the widths that yaya chooses from. Set hidden_size={kv_heads * config.head_dim}, or a multiple of it.",
            f"num_key_value_heads={kv_heads}、head_dim={config.head_dim} 和自动选择的宽度都不配。请设 hidden_size={kv_heads * config.head_dim} 或它的倍数。",
        )
    return sizes


def size_for(
    seen: list[tuple[float, float]], seconds: float, sizes: list[tuple[int, int]]
) -> tuple[tuple[int, int], float]:
    """((hidden_size, layers), seconds a token): the size that sees about `TOKENS_PER_PARAMETER` of its parameters in the time.

    seen: (parameters, seconds a token) of two sizes; in between and beyond, time grows in proportion (arXiv:2203.15556 for the rule).
    """
    (small, fast), (large, slow) = seen
    slope = max(slow - fast, 0.2 * slow) / (large - small)

    def token_seconds(size: tuple[int, int]) -> float:
        return max(fast + slope * (weights(*size) - small), 0.5 * fast)

    def off(size: tuple[int, int]) -> float:
        return abs(math.log(seconds / token_seconds(size) / weights(*size) / TOKENS_PER_PARAMETER))

    best = min(sizes, key=off)
    return best, token_seconds(best)


def measure(
    config: LoopConfig, inputs: dict[str, Artifact], runtime: Machine, seed: int, folder: Path, long: float
) -> float:
    """Seconds of one optimizer step, the median of what `long` seconds hold."""
    draft = Draft(folder, "probe", {}, {}, seed, runtime=runtime)
    if isinstance(config, PretrainConfig):
        model, goal = pretrain.build(config, inputs, seed, draft)
    else:
        assert isinstance(config, FinetuneConfig)
        model, goal = finetune.build(config, inputs, draft)
    with torch.no_grad():
        for p in model.parameters():  # a processor is faster with zeros, of which a fresh model has many
            p.add_(0.02)
    optimizer, cursor = make_optimizer(model, config), 0
    for _ in range(2 if runtime.device == "xla" else 0):  # it compiles: the first step, and those that find momenta
        optimizer_step(model, goal, optimizer, 0, config, 1e-3)
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < 3 or distributed.broadcast_object(time.perf_counter() - started < long):
        began = time.perf_counter()
        cursor = optimizer_step(model, goal, optimizer, cursor, config, 1e-3).cursor
        times.append(time.perf_counter() - began)
    return distributed.broadcast_object(statistics.median(times[1:]))  # type: ignore[no-any-return]


def explain(
    configs: dict[str, LoopConfig],
    inputs: dict[str, Artifact],
    runtime: Machine,
    row_length: int,
    token_seconds: float | None,
    folder: Path,
) -> dict[str, dict[str, Any]]:
    """Says what will be done, why, how long it will take, how much memory, and the loss to expect; gives back the same."""
    said: dict[str, dict[str, Any]] = {}
    data = inputs["tokenize"].metrics
    counts = {kind: found["tokens"] for kind, found in data["train"].items()}
    for name, config in configs.items():
        assert config.steps is not None and config.batch_tokens is not None
        first = configs.get("pretrain")
        if isinstance(first, PretrainConfig):
            model = pretrain.architecture(first, data["vocab_size"])
        else:
            model = read_config(inputs["pretrain"].path)
        size = forecast.Size.of(model)
        tokens = config.steps * config.batch_tokens
        unique = max(1, unique_tokens(config, counts))
        needed = memory_gb() + forecast.memory_bytes(model, config, runtime.dtype) / 1e9
        if name == "pretrain":
            say(
                f"[{name}] model: {(size.layers + size.embedding) / 1e6:.2f} million parameters, {model.hidden_size} wide, {model.num_hidden_layers} layers, {model.max_position_embeddings} tokens of context.",
                f"[{name}] 模型：{(size.layers + size.embedding) / 1e6:.2f} 百万参数，宽 {model.hidden_size}，{model.num_hidden_layers} 层，上文 {model.max_position_embeddings} 个 token。",
            )
        long_en = long_zh = ""
        seconds = None
        if token_seconds is not None:
            seconds = (tokens + look_tokens(config, row_length)) * token_seconds
            long_en = f", about {duration(seconds)} at {1 / token_seconds:,.0f} tokens/s"
            long_zh = f"，每秒约 {1 / token_seconds:,.0f} 个，约 {duration(seconds)}"
        say(
            f"[{name}] {config.steps:,} steps of {config.batch_tokens:,} tokens{long_en}; the data {times(tokens / unique)} times; memory about {needed:.1f} GB.",
            f"[{name}] {config.steps:,} 步，每步 {config.batch_tokens:,} 个 token{long_zh}；数据过 {times(tokens / unique)} 遍；内存约 {needed:.1f} GB。",
        )
        if tokens > MANY_TIMES * unique and name == "pretrain":
            say(
                f"[{name}] the text is too short for so many passes: the model would learn it by heart. Add more text, or put the primer beside it: primer as one of prepare.sources.",
                f"[{name}] 遍数很多：文本太少，模型会死记硬背。多加些文本更好，也可以配上启蒙课本：在 prepare.sources 里加上 primer。",
            )
        prospect = pretrain.prospect(config, inputs["tokenize"], folder) if isinstance(config, PretrainConfig) else None
        said[name] = {"steps": config.steps, "tokens": tokens, "memory_gb": round(needed, 3)}
        said[name]["seconds"] = round(seconds, 1) if seconds is not None else None
        said[name]["loss"] = round(prospect.loss(), 4) if prospect else None
        if prospect:
            say(
                f"[{name}] loss to expect on held-out text: {prospect.loss():.2f}.",
                f"[{name}] 预计验证损失：{prospect.loss():.2f}。",
            )
    return said
