"""The one training loop: accumulate, divide by the weight, clip, step; log, validate, sample, checkpoint.

Whatever it is interrupted by, a resume continues at the last checkpoint and ends with the same bits: row order and
learning rate are functions of the position alone, and there is no other state.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from yaya.core import distributed
from yaya.core.artifact import Draft
from yaya.core.config import as_dict, key
from yaya.core.interrupt import StopSignal
from yaya.core.machine import compute
from yaya.core.messages import UserError, say, t
from yaya.core.progress import Bar, duration
from yaya.model.decoder import Transformer
from yaya.train.checkpoint import Part, Position, Saver
from yaya.train.log import Curve, Log
from yaya.train.objective import Objective
from yaya.train.optimizer import Optimizer, decay_start, schedule
from yaya.train.parallel import add_up_gradients, is_sharded, local, local_rows, squared_norm
from yaya.train.tracker import open_tracker

LEARNING_RATES = {"muon": 0.03, "adamw": 0.003}
EXPECTED_POINTS = 20  # of the usual curve, for the report
EXPECTED_FROM = 0.05  # of the steps; before, nothing is known
REVISE_AFTER_S = 5.0  # a shorter look at the machine says no more than the planner's
BAD_STEPS = 3  # in a row without a finite gradient: back to the last checkpoint
ROLLBACKS = 4  # then training stops: a sixteenth of the learning rate did not help either


@dataclass(frozen=True)
class LoopConfig:
    """Keys that every training stage has."""

    steps: int | None = key(
        None, "optimizer steps (auto: what the minutes allow)", "训练步数（自动：按 minutes 算）", least=1
    )
    num_train_epochs: float | None = key(
        None,
        "so many passes over the data, instead of steps or minutes",
        "数据过几遍（代替 steps 或 minutes）",
        least=1e-3,
    )
    batch_tokens: int | None = key(
        None,
        "tokens in one optimizer step, of all processes together (auto: by how many there are to train on)",
        "每一步的 token 数，所有进程合计（自动：按训练量定）",
        least=1,
    )
    micro_batch_tokens: int | None = key(
        None,
        "tokens computed at once; more steps of this make a batch (auto)",
        "一次计算的 token 数，多次累积成一步（自动）",
        least=1,
        decides=False,
    )
    per_device_train_batch_size: int | None = key(
        None,
        "rows computed at once by one process; sets micro_batch_tokens and batch_tokens",
        "每个进程一次算几行；由它定出 micro_batch_tokens 和 batch_tokens",
        least=1,
    )
    gradient_accumulation_steps: int | None = key(
        None, "micro-batches in one step, together with the key above", "一步累积几个小批次，与上一个键一起用", least=1
    )
    optimizer: str = key(
        "muon",
        "muon (AdamW for embeddings and norms), or adamw for everything",
        "muon（词向量和归一化用 AdamW），或全部用 adamw",
        choices=("muon", "adamw"),
    )
    learning_rate: float = key(
        None,
        "AdamW: embeddings, norms (auto: 0.03; with optimizer=adamw, for all weights, 0.003)",
        "AdamW 的学习率：词向量、归一化（自动：0.03；optimizer=adamw 时管所有权重，0.003）",
        least=0,
    )
    matrix_learning_rate: float = key(0.03, "Muon: all other matrices", "Muon 的学习率：其余矩阵", least=0)
    momentum: float = key(
        0.85, "Muon's; higher for trainings of many thousand steps", "Muon 的动量；上万步的训练可调高", least=0
    )
    weight_decay: float = key(0.0, "decay of the matrices, per unit of learning rate", "矩阵的权重衰减", least=0)
    warmup_steps: int = key(30, "steps until the full learning rate", "学习率预热步数", least=0)
    decay_fraction: float = key(
        0.6, "last share of the steps, in which the rate falls to zero", "最后多大比例的步数里学习率降到零", least=0
    )
    decay_steps: int | None = key(
        None, "the same in steps (auto: by decay_fraction)", "同上，按步数（自动：由 decay_fraction 定）", least=1
    )
    max_grad_norm: float = key(1.0, "gradients are clipped to this norm", "梯度裁剪的范数", least=0)
    evaluations: int = key(8, "how often the validation text is looked at", "训练中验证的次数", least=0)
    samples: int = key(4, "how often sample replies are written", "训练中试写回复的次数", least=0)
    save_seconds: float = key(
        30.0, "a checkpoint at least every so many seconds", "至少隔这么多秒存一次检查点", least=0, decides=False
    )
    save_steps: int | None = key(
        None, "a checkpoint every so many steps, too", "另外每多少步存一次检查点", least=1, decides=False
    )
    save_total_limit: int = key(2, "how many checkpoints are kept", "保留几个检查点", least=1, decides=False)
    torch_compile: bool | None = key(
        None,
        "compile the layers: a minute at the start, then faster (auto: on an NVIDIA GPU)",
        "编译各层：开头多花约一分钟，之后更快（自动：有 NVIDIA GPU 时）",
    )
    tracker: str = key(
        "none",
        "show the curves in tensorboard, wandb or swanlab too (offline unless their own settings say otherwise)",
        "同时记录到 tensorboard、wandb 或 swanlab（默认离线，除非它们自己的设置另有说明）",
        choices=("none", "tensorboard", "wandb", "swanlab"),
        decides=False,
    )
    parallel: str = key(
        "auto",
        "with several processes: ddp (each has all weights), fsdp (each has a slice); auto: by size",
        "多进程时：ddp（各有全部权重）、fsdp（各存一片）；自动：按大小",
        choices=("auto", "ddp", "fsdp"),
        decides=False,
    )

    def __post_init__(self) -> None:
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", LEARNING_RATES[self.optimizer])


def train(
    model: Transformer,
    objective: Objective,
    config: LoopConfig,
    draft: Draft,
    validate: Callable[[], dict[str, float]],
    sample: Callable[[], list[dict[str, str]]],
    expect: Callable[[LoopConfig], Curve | None] = lambda config: None,
) -> None:
    """Trains `model` in place for `config.steps` steps, or the rest of them after an interruption.

    expect: what the loss on held-out text will usually be, as far as that is known.

    Writes into draft.path: metrics.jsonl (every step), samples.jsonl, trainer/ (checkpoints).
    """
    assert config.steps is not None
    steps, title = config.steps, draft.kind
    optimizer = make_optimizer(model, config)
    curves_to = draft.path.parent / config.tracker / title  # beside the stages, where it is seen while training
    with (
        Saver(draft.path / "trainer", config.save_total_limit) as saver,
        open_tracker(config.tracker, curves_to, title, as_dict(config)) as track,
        StopSignal() as stop,
    ):
        position = restore(saver, model, optimizer)
        if position.step:
            say(
                f"[{title}] goes on at step {position.step:,} of {steps:,}.",
                f"[{title}] 从第 {position.step:,} 步继续（共 {steps:,} 步）。",
            )
        bar = Bar(title, steps, t("steps", "步"), position.step)
        log = Log(draft.path, bar, track, expect(config))
        log.rewind(position.step)
        look_at, sample_at = _looks(config.evaluations, steps), _looks(config.samples, steps)
        may_revise = draft.deadline and not draft.resumed and config.decay_steps is None  # what the user set stays
        revise_at = decay_start(steps, decay_share(config)) if may_revise else -1
        started, saved, before = time.monotonic(), time.monotonic(), position.seconds
        bad = 0  # steps in a row without a finite gradient
        with bar:
            while position.step < steps:
                if position.step == revise_at and distributed.broadcast_object(
                    time.monotonic() - started > REVISE_AFTER_S
                ):
                    config, revise_at = revise(config, position, time.monotonic() - started, draft), -1
                    assert config.steps is not None
                    steps = bar.total = config.steps
                    log.expect(expect(config))
                    look_at, sample_at = _looks(config.evaluations, steps), _looks(config.samples, steps)
                scale = schedule(position.step, steps, config.warmup_steps, decay_share(config)) / 2**position.rollbacks
                due = distributed.is_main() and time.monotonic() - saved >= config.save_seconds
                done = optimizer_step(model, objective, optimizer, position.cursor, config, scale, (due, stop.asked))
                due, asked = done.signals if distributed.world_size() > 1 else (due, stop.asked)
                bad = 0 if done.finite else bad + 1
                position = replace(
                    position,
                    step=position.step + 1,
                    cursor=done.cursor,
                    tokens=position.tokens + done.tokens,
                    seconds=round(before + time.monotonic() - started, 3),
                    skipped=position.skipped + (not done.finite),
                )
                if bad == BAD_STEPS and not asked:
                    position, bad = roll_back(saver, model, optimizer, position), 0
                    log.rewind(position.step)
                    saver.save(position, parts(model, optimizer))  # so that a resume has the lower rate
                    continue
                row = done.row | {"step": position.step, "tokens": position.tokens, "seconds": position.seconds}
                row["epoch"] = round(objective.epochs(position.cursor), 3)
                row |= validate() if position.step in look_at else {}
                log.add(row, sample() if position.step in sample_at else [], shown=position.step in look_at)
                saver.check()
                due |= config.save_steps is not None and position.step % config.save_steps == 0
                if (due or asked) and position.step < steps and not bad:
                    saver.save(position, parts(model, optimizer))
                    saved = time.monotonic()
                if asked:
                    saver.wait()
                    raise KeyboardInterrupt
        saver.wait()
        log.close()
    draft.metrics |= {"steps": steps, "tokens": position.tokens, "seconds": position.seconds, "loss": log.last_loss}
    if log.expected is not None:
        shown = [step for step in sorted(look_at | _looks(EXPECTED_POINTS, steps)) if step >= EXPECTED_FROM * steps]
        draft.metrics["expected_losses"] = [[step, round(log.expected(step / steps), 4)] for step in shown]
    draft.metrics |= {"parameters": model.num_parameters(), "skipped_steps": position.skipped}
    say(
        f"[{title}] {steps:,} steps, {position.tokens:,} tokens in {duration(position.seconds)}; loss {log.last_loss:.3f}.",
        f"[{title}] {steps:,} 步、{position.tokens:,} 个 token，用时 {duration(position.seconds)}；损失 {log.last_loss:.3f}。",
    )


def make_optimizer(model: Transformer, config: LoopConfig) -> Optimizer:
    rates = config.matrix_learning_rate, config.learning_rate
    return Optimizer(model, config.optimizer, *rates, config.weight_decay, config.momentum)


def revise(config: LoopConfig, position: Position, seconds: float, draft: Draft) -> LoopConfig:
    """The config with as many steps as the minutes allow at the speed seen so far; called where the rate begins to fall.

    Until there the learning rate is the same for every number of steps, so that a run with the new number from the
    start ends with the same bits. The fall keeps at least half its planned length, however slow the machine became.
    """
    assert config.steps is not None and draft.deadline is not None
    done = position.step
    left = 0.98 * max(0.0, draft.deadline - time.monotonic())
    steps = distributed.broadcast_object(done + max((config.steps - done + 1) // 2, int(left * done / seconds)))
    changes = {"steps": steps, "decay_steps": steps - done}
    draft.revise(changes)
    speed = f"{position.tokens / seconds:,.0f}"
    say(
        f"[{draft.kind}] {speed} tokens/s so far: {steps:,} steps instead of {config.steps:,} fit into the time.",
        f"[{draft.kind}] 到现在每秒 {speed} 个 token：时间里放得下 {steps:,} 步，而不是 {config.steps:,} 步。",
    )
    return replace(config, **changes)


def decay_share(config: LoopConfig) -> float:
    """The last share of the steps, in which the rate falls."""
    return config.decay_steps / config.steps if config.decay_steps and config.steps else config.decay_fraction


def _looks(times: int, steps: int) -> set[int]:
    """The steps after which to look; early ones lie closer, since much happens there."""
    return {max(1, round(steps * (i / times) ** 1.5)) for i in range(1, times + 1)}


@dataclass(frozen=True)
class StepDone:
    """One optimizer step: what to log, where the rows after it begin, and what the ranks told each other."""

    row: dict[str, Any]
    cursor: int
    tokens: int
    finite: bool
    signals: tuple[bool, ...]


def optimizer_step(
    model: Transformer,
    objective: Objective,
    optimizer: Optimizer,
    cursor: int,
    config: LoopConfig,
    scale: float,
    signals: tuple[bool, ...] = (),
) -> StepDone:
    """One optimizer step on the rows from `cursor` on. signals: true on all ranks as soon as one rank says so."""
    loss_sum, weight_sum, seen, after = accumulate(model, objective, cursor)
    add_up_gradients(model)
    sums = distributed.all_reduce_sum([loss_sum, weight_sum, seen, squared_norm(model), *map(float, signals)])
    loss_sum, weight_sum, seen, square = sums[:4]
    taught = weight_sum > 0  # else there is no loss, and nothing to step by
    weight_sum = weight_sum if taught else 1.0
    norm = math.sqrt(square) / weight_sum
    row: dict[str, Any] = {
        "loss": round(loss_sum / weight_sum, 5) if taught else None,
        "learning_rate": scale * config.learning_rate,
        "matrix_learning_rate": scale * config.matrix_learning_rate,
        "grad_norm": round(norm, 4),
    }
    finite = math.isfinite(norm) and math.isfinite(loss_sum)
    if finite and taught:
        factor = min(1.0, config.max_grad_norm / (norm + 1e-6)) if config.max_grad_norm else 1.0
        grads = [local(p.grad) for p in model.parameters() if p.grad is not None]
        torch._foreach_mul_(grads, factor / weight_sum)
        optimizer.step(scale)
        compute(model.head.device)
    elif not finite:
        row |= {"loss": None, "grad_norm": None, "skipped": True}  # JSON has no NaN
    return StepDone(row, after, int(seen), finite, tuple(s > 0 for s in sums[4:]))


def accumulate(model: Transformer, objective: Objective, cursor: int) -> tuple[float, float, float, int]:
    """Gradients of this rank's rows of one step: (sum of losses, sum of weights, tokens, cursor after the step).

    Out of memory: again with half as many rows at once. The gradient is a sum over rows, so the mathematics stays the same.
    """
    while True:
        sums, seen = [], 0.0
        for p in model.parameters():
            p.grad = None
        try:
            batches, after = objective.batches(model, cursor)
            for batch in batches:
                loss, weight, _ = objective.loss(model, batch)
                loss.backward()  # type: ignore[no-untyped-call]
                compute(model.head.device)
                sums.append((loss.detach(), weight))
                seen += batch.input_ids.numel()
                del loss, batch  # or the next micro-batch is computed beside them
            loss_sum, weight_sum = (sum(s.item() for s in column) for column in zip(*sums, strict=True))
            return loss_sum, weight_sum, seen, after
        except Exception as error:
            if not_compiled(error):
                go_on_without_compiling(model, error)
                continue
            if not out_of_memory(error):
                raise
        halve_rows(model, objective)


def out_of_memory(error: Exception) -> bool:
    """Whether this is a GPU's or the system's refusal of memory."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def not_compiled(error: Exception) -> bool:
    """Whether this is the compiler's failure and no fault of the training."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor", "triton"))


def go_on_without_compiling(model: Transformer, error: Exception) -> None:
    reason = " ".join([*filter(None, str(error).splitlines()), type(error).__name__][:2])[:200]
    say(
        f"torch.compile failed here, so training goes on without it: slower, the same mathematics. ({reason})",
        f"torch.compile 在这里失败了，改为不编译继续训练：慢一些，数学上相同。（{reason}）",
    )
    model.compile_layers(False)


def halve_rows(model: Transformer, objective: Objective) -> None:
    if objective.micro_rows == 1 or is_sharded(model):
        raise UserError(
            "There is not enough memory for one micro-batch. Make micro_batch_tokens, context_length or the model smaller.",
            "内存放不下一个小批次。请调小 micro_batch_tokens、context_length 或模型。",
        )
    objective.micro_rows //= 2
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    say(
        f"Out of memory: from now on {objective.micro_rows} rows at once, accumulated into the same step.",
        f"内存不够：从现在起一次算 {objective.micro_rows} 行，累积成同样的一步。",
    )


def parts(model: Transformer, optimizer: Optimizer) -> dict[str, Part]:
    """What this rank keeps for a checkpoint: its slices, or, where all ranks have the same, everything on rank 0."""
    out = optimizer.parts()
    for name, p in model.named_parameters():
        if is_sharded(model):
            out[f"weights.{name}"] = Part(local(p), local_rows(p).start, p.shape[0])
        elif distributed.is_main():
            out[f"weights.{name}"] = Part(p)
    return out


def restore(saver: Saver, model: Transformer, optimizer: Optimizer) -> Position:
    """Loads the newest whole checkpoint into model and optimizer; where there is none, writes the first."""
    if distributed.is_main():
        saver.clean()
    found = saver.load()
    if found is None:
        saver.save(Position(), parts(model, optimizer))  # where the first steps can go back to
        return Position()
    with torch.no_grad():
        for name, p in model.named_parameters():
            local(p).copy_(found.read(f"weights.{name}")[local_rows(p)])
    optimizer.load(found)
    found.close()
    return found.position


def roll_back(saver: Saver, model: Transformer, optimizer: Optimizer, now: Position) -> Position:
    """Back to the last checkpoint with half the learning rate, past the rows that did the harm."""
    if now.rollbacks == ROLLBACKS:
        raise UserError(
            f"The loss became NaN or infinite {now.rollbacks + 1} times, at last with 1/{2**now.rollbacks} of the learning rate. Start anew with a lower learning_rate and matrix_learning_rate, and look at the data around row {now.cursor:,}.",
            f"损失 {now.rollbacks + 1} 次变成 NaN 或无穷大，最后一次学习率已降到 1/{2**now.rollbacks}。请调低 learning_rate 和 matrix_learning_rate 重新训练，并检查第 {now.cursor:,} 行附近的数据。",
        )
    saver.wait()
    position = restore(saver, model, optimizer)
    say(
        f"No finite gradient in {BAD_STEPS} steps: back to step {position.step:,}, with half the learning rate.",
        f"连续 {BAD_STEPS} 步梯度不是有限数：退回第 {position.step:,} 步，学习率减半。",
    )
    return replace(position, cursor=now.cursor, skipped=now.skipped, rollbacks=now.rollbacks + 1)
