"""The planner: fills in what a training's recipe leaves open, to fit the time. It measures the machine for a few seconds.

Its choices are written to the run's recipe, so that running or resuming that recipe needs no new measurement.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from yaya.core import distributed
from yaya.core.machine import memory_gb
from yaya.core.messages import UserError, say
from yaya.core.progress import duration, times
from yaya.core.stage import PlanRequest, TrainingPlan
from yaya.model.decoder import Transformer
from yaya.model.model_config import ModelConfig
from yaya.train.language_model import VALIDATION_ROWS
from yaya.train.loop import train_step
from yaya.train.loop_config import LoopConfig
from yaya.train.objective import Objective
from yaya.train.optimizer import Optimizer
from yaya.train.packing import DataMixture
from yaya.train.plan import forecast, memory

MEASURED_SECONDS = 1.0
MEASURED_TOKENS = 4_000_000  # the first probe uses the batch of a training of this many tokens
STEPS_TOKENS = 16_000_000  # if only steps are given, the batch of a training of this many tokens: 4,096 tokens
MICRO_BATCH_TOKENS = 8192  # computed at a time, unless the recipe says otherwise
TRAINER_ROWS = 8  # the Trainer's default of per_device_train_batch_size


@dataclass(frozen=True)
class Trainee:
    """What the planner needs to know about a training stage. Functions take the stage's config with its sizes set."""

    name: str
    row_length: int
    unique_tokens: int  # distinct tokens that it trains on
    least_batch_tokens: int  # less is refused, since nothing would be learned
    dtype: str  # of the computation
    model: Callable[[Any], ModelConfig]
    build: Callable[[Any], tuple[Transformer, Objective]]
    mixture: Callable[[Any], DataMixture]


def settle(trainee: Trainee, config: Any, request: PlanRequest, guess: float | None = None) -> tuple[Any, float | None]:
    """(the config with batch, micro-batch and steps; seconds per token, if known).

    guess: seconds per token, as far as known before this batch is measured. UserError if two settings of the recipe
    contradict each other.
    """
    token_seconds = request.before.token_seconds if request.before else request.token_seconds
    if request.measures and token_seconds is None:
        token_seconds = settle_speed(trainee, config, request, guess)
    tokens = float(STEPS_TOKENS)
    if config.is_timed():
        assert token_seconds is not None
        looks = min(look_tokens(config, trainee.row_length) * token_seconds, 0.15 * request.seconds)
        tokens = (0.97 * request.seconds - looks) / token_seconds
    elif config.num_train_epochs is not None:
        tokens = config.num_train_epochs * trainee.unique_tokens
    config = settle_batch(trainee, config, tokens)
    assert config.batch_tokens is not None
    steps = max(1, int(tokens / config.batch_tokens))
    if config.num_train_epochs is not None:
        steps = epoch_steps(trainee, config)
        if config.steps not in (None, steps):
            name = trainee.name
            raise UserError(
                f"{name}.steps={config.steps:,}, but num_train_epochs={config.num_train_epochs:g} is {steps:,} steps. Set only one of them.",
                f"{name}.steps={config.steps:,}，而 num_train_epochs={config.num_train_epochs:g} 是 {steps:,} 步。两者只能设一个。",
            )
    return replace(config, steps=config.steps or steps), token_seconds


def settle_batch(trainee: Trainee, config: LoopConfig, tokens: float) -> LoopConfig:
    """Batch and micro-batch: from the recipe, under the Trainer's names or ours, else by the number of training tokens.

    No step takes more tokens than there are distinct ones. UserError if two keys contradict each other.
    """
    name, row_length = trainee.name, trainee.row_length
    rows, accumulate = config.per_device_train_batch_size, config.gradient_accumulation_steps
    batch, micro = config.batch_tokens, config.micro_batch_tokens
    if rows or accumulate:
        rows, accumulate = rows or TRAINER_ROWS, accumulate or 1
        processes = distributed.world_size()
        product = rows * accumulate * processes * row_length
        if batch not in (None, product):
            raise UserError(
                f"{name}.batch_tokens={batch:,}, but per_device_train_batch_size={rows} x gradient_accumulation_steps={accumulate} x {processes} processes x {row_length} tokens a row is {product:,}. Set only one of them.",
                f"{name}.batch_tokens={batch:,}，而 per_device_train_batch_size={rows} × gradient_accumulation_steps={accumulate} × {processes} 个进程 × 每行 {row_length} 个 token 等于 {product:,}。两者只能设一个。",
            )
        return replace(config, batch_tokens=product, micro_batch_tokens=micro or rows * row_length)
    if not batch:
        most = max(trainee.least_batch_tokens, 1 << max(0, trainee.unique_tokens.bit_length() - 1))
        batch = min(forecast.batch_for(tokens, row_length), most)
    return replace(config, batch_tokens=batch, micro_batch_tokens=micro or min(batch, MICRO_BATCH_TOKENS))


def settle_speed(trainee: Trainee, config: LoopConfig, request: PlanRequest, guess: float | None) -> float:
    """Seconds per token, measured with the batch that training will use."""
    token_seconds = guess
    probed = settle_batch(trainee, config, MEASURED_TOKENS).batch_tokens if guess else None
    for _ in range(3):  # a token takes longer in a small batch, and how large it is goes by how many tokens fit
        fits = token_seconds and config.is_timed()
        tokens = request.seconds / token_seconds if token_seconds and fits else MEASURED_TOKENS
        wanted = settle_batch(trainee, config, tokens)
        if wanted.batch_tokens == probed:
            break
        token_seconds, probed = measure(trainee, wanted, MEASURED_SECONDS), wanted.batch_tokens
    assert token_seconds is not None
    return token_seconds


def look_tokens(config: LoopConfig, row_length: int) -> float:
    """The number of training tokens that take as long as all validations, which have no backward pass."""
    return (config.evaluations + config.samples) * VALIDATION_ROWS * row_length / 3


def epoch_steps(trainee: Trainee, config: LoopConfig) -> int:
    """Steps for `num_train_epochs` passes over the data; of two kinds, the one that repeats most."""
    assert config.num_train_epochs is not None and config.batch_tokens is not None
    mixture = trainee.mixture(config)
    if not mixture.parts:
        return 1  # the stage itself will report that there is nothing
    rows = config.num_train_epochs / mixture.epochs(1)
    return math.ceil(rows / max(1, config.batch_tokens // trainee.row_length) - 1e-9)


def measure(trainee: Trainee, config: LoopConfig, seconds: float) -> float:
    """Seconds per token: the median over the optimizer steps that fit into `seconds`."""
    assert config.batch_tokens is not None
    model, objective = trainee.build(config)
    with torch.no_grad():
        for p in model.parameters():  # processors are faster with zeros, and a fresh model has many
            p.add_(0.02)
    optimizer, cursor = Optimizer(model, config), 0
    for _ in range(2 if model.head.device.type == "xla" else 0):  # the first step compiles, then again with momenta
        train_step(model, objective, optimizer, 0, config, 1e-3)
    step_seconds: list[float] = []
    started = time.perf_counter()
    while len(step_seconds) < 3 or distributed.broadcast_object(time.perf_counter() - started < seconds):
        began = time.perf_counter()
        cursor = train_step(model, objective, optimizer, cursor, config, 1e-3).cursor
        step_seconds.append(time.perf_counter() - began)
    return float(distributed.broadcast_object(statistics.median(step_seconds[1:]))) / config.batch_tokens


def describe(trainee: Trainee, config: LoopConfig, token_seconds: float | None) -> TrainingPlan:
    """The plan of a fully settled config; says how many steps it takes, how long, and how much memory."""
    assert config.steps is not None and config.batch_tokens is not None
    name, tokens, model = trainee.name, config.steps * config.batch_tokens, trainee.model(config)
    passes = tokens / max(1, trainee.unique_tokens)
    needed = memory_gb() + memory.memory_bytes(model, config, trainee.dtype) / 1e9
    en = zh = ""
    seconds = None
    if token_seconds is not None:
        seconds = (tokens + look_tokens(config, trainee.row_length)) * token_seconds
        en = f", about {duration(seconds)} at {1 / token_seconds:,.0f} tokens/s"
        zh = f"，每秒约 {1 / token_seconds:,.0f} 个，约 {duration(seconds)}"
    say(
        f"[{name}] {config.steps:,} steps of {config.batch_tokens:,} tokens{en}; {times(passes)} passes over the data; about {needed:.1f} GB of memory.",
        f"[{name}] {config.steps:,} 步，每步 {config.batch_tokens:,} 个 token{zh}；训练 {times(passes)} 轮；内存约 {needed:.1f} GB。",
    )
    return TrainingPlan(config, model, tokens, needed, token_seconds, seconds)
