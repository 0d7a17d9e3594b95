"""The one training loop: accumulate, divide by the weight, clip, step; then the callbacks, in order.

After any interruption, a resume continues from the last checkpoint and ends with the same bits: row order and learning
rate are functions of the state alone.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import torch

from yaya.core import distributed
from yaya.core.artifact import Draft
from yaya.core.config import as_dict
from yaya.core.interrupt import StopSignal
from yaya.core.machine import compute
from yaya.core.messages import UserError, say, t
from yaya.core.progress import Bar, duration
from yaya.core.stage import RunContext
from yaya.model.decoder import Transformer
from yaya.train.callbacks import Advise, Callback, Progress, Revise, Save, StepReport, Watch
from yaya.train.checkpoint import CheckpointManager, TensorShard, TrainState, shard_of
from yaya.train.log import Log
from yaya.train.loop_config import LoopConfig
from yaya.train.objective import Objective
from yaya.train.optimizer import Optimizer
from yaya.train.parallel import add_up_gradients, is_sharded, local, local_rows, squared_norm
from yaya.train.tracker import open_tracker

BAD_STEPS = 3  # consecutive steps without a finite gradient: back to the last checkpoint
ROLLBACKS = 4  # then training stops: a sixteenth of the learning rate did not help


def train(
    model: Transformer, objective: Objective, config: LoopConfig, draft: Draft, context: RunContext, watch: Watch
) -> None:
    """Trains `model` in place for `config.steps` steps, or the rest of them after an interruption.

    Writes into draft.path: metrics.jsonl (every step), samples.jsonl, trainer/ (checkpoints). KeyboardInterrupt, after
    saving, if the user or the scheduler stops it; UserError if memory runs out or gradients stay infinite.
    """
    assert config.steps is not None
    optimizer = Optimizer(model, config)
    curves_to = draft.path.parent / config.tracker / draft.kind  # beside the stages, visible during training
    with (
        CheckpointManager(draft.path / "trainer", config.save_total_limit) as checkpoints,
        open_tracker(config.tracker, curves_to, draft.kind, as_dict(config)) as track,
        StopSignal() as stop,
    ):
        progress = Progress(draft.kind, config, restore(checkpoints, model, optimizer))
        progress.say_resumed()
        bar = Bar(draft.kind, config.steps, t("steps", "步"), progress.state.step)
        advise, log = Advise(config.steps, watch.expect(config)), Log(draft.path, bar, track)
        advise.rewind(log.rewind(progress.state.step))
        save = Save(checkpoints, lambda: shards(model, optimizer))
        revise = Revise(draft, context, watch, advise, bar)
        callbacks: list[Callback] = [watch, advise, log, save, revise]
        started, before = time.monotonic(), progress.state.seconds
        bad = 0  # consecutive steps without a finite gradient
        with bar:
            while progress.state.step < progress.steps:
                signals = (save.is_due(progress.config), stop.asked)
                scale, cursor = progress.rate_scale(), progress.state.cursor
                done = train_step(model, objective, optimizer, cursor, progress.config, scale, signals)
                # A single process may stop at any point; several stop only where all of them know.
                asked = done.signals[1] if distributed.world_size() > 1 else stop.asked
                bad = 0 if done.finite else bad + 1
                progress.add(done.cursor, done.tokens, done.finite, before + time.monotonic() - started)
                if bad == BAD_STEPS and not asked:
                    progress.state, bad = roll_back(checkpoints, model, optimizer, progress.state), 0
                    advise.rewind(log.rewind(progress.state.step))
                    checkpoints.save(progress.state, shards(model, optimizer))  # so that a resume uses the lower rate
                    continue
                row = progress.row(done.row, objective.epochs(progress.state.cursor))
                report = StepReport(row, asked, save_due=done.signals[0] or asked, may_save=not bad)
                for callback in callbacks:
                    callback(progress, report)
                if asked:
                    checkpoints.wait()
                    raise KeyboardInterrupt
        checkpoints.wait()
        log.close()
    draft.metrics |= progress.summary(log.last_loss, advise.coach.expected) | {"parameters": model.num_parameters()}
    steps, tokens, seconds = progress.steps, progress.state.tokens, duration(progress.state.seconds)
    say(
        f"[{draft.kind}] {steps:,} steps, {tokens:,} tokens in {seconds}; loss {log.last_loss:.3f}.",
        f"[{draft.kind}] {steps:,} 步、{tokens:,} 个 token，用时 {seconds}；损失 {log.last_loss:.3f}。",
    )


@dataclass(frozen=True)
class StepDone:
    """One optimizer step: what to log, where the rows after it begin, and what the ranks told each other."""

    row: dict[str, Any]
    cursor: int
    tokens: int
    finite: bool
    signals: tuple[bool, ...]


def train_step(
    model: Transformer,
    objective: Objective,
    optimizer: Optimizer,
    cursor: int,
    config: LoopConfig,
    scale: float,
    signals: tuple[bool, ...] = (),
) -> StepDone:
    """One optimizer step on the rows from `cursor` on. signals: true on all ranks as soon as it is true on one."""
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

    Out of memory: tries again with half as many rows at a time. The gradient is a sum over rows, so mathematically the same.
    Any other error of the device is raised.
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
                del loss, batch  # or they would still be in memory with the next micro-batch
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
    """Whether the GPU or the system ran out of memory."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def not_compiled(error: Exception) -> bool:
    """Whether this is a failure of the compiler rather than of the training."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor", "triton"))


def go_on_without_compiling(model: Transformer, error: Exception) -> None:
    """Trains with plain layers from here on, and says why the compiler could not be used."""
    reason = " ".join([*filter(None, str(error).splitlines()), type(error).__name__][:2])[:200]
    say(
        f"torch.compile failed here, so training continues without it: slower, but mathematically the same. ({reason})",
        f"torch.compile 在这里失败了，改为不编译继续训练：慢一些，数学上等价。（{reason}）",
    )
    model.compile_layers(False)


def halve_rows(model: Transformer, objective: Objective) -> None:
    """Computes half as many rows at a time from here on; UserError if one row is too many already."""
    if objective.micro_rows == 1 or is_sharded(model):
        raise UserError(
            "There is not enough memory for one micro-batch. Reduce micro_batch_tokens, context_length or the model's size.",
            "内存放不下一个微批次。请调小 micro_batch_tokens、context_length 或模型尺寸。",
        )
    objective.micro_rows //= 2
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    say(
        f"Out of memory: from now on {objective.micro_rows} rows at a time, accumulated into the same step.",
        f"内存不够：从现在起一次算 {objective.micro_rows} 行，累积成同样的一步。",
    )


def shards(model: Transformer, optimizer: Optimizer) -> dict[str, TensorShard]:
    """What this rank saves in a checkpoint."""
    out = optimizer.shards()
    for name, p in model.named_parameters():
        out |= shard_of(f"weights.{name}", p)
    return out


def restore(checkpoints: CheckpointManager, model: Transformer, optimizer: Optimizer) -> TrainState:
    """Loads the newest intact checkpoint into model and optimizer; if there is none, writes the first."""
    if distributed.is_main():
        checkpoints.clean()
    found = checkpoints.load()
    if found is None:
        checkpoints.save(TrainState(), shards(model, optimizer))  # so that the first steps can be rolled back
        return TrainState()
    with torch.no_grad():
        for name, p in model.named_parameters():
            local(p).copy_(found.read(f"weights.{name}")[local_rows(p)])
    optimizer.load(found)
    found.close()
    return found.state


def roll_back(checkpoints: CheckpointManager, model: Transformer, optimizer: Optimizer, now: TrainState) -> TrainState:
    """Goes back to the last checkpoint with half the learning rate, past the harmful rows. UserError after too many."""
    if now.rollbacks == ROLLBACKS:
        raise UserError(
            f"The loss became NaN or infinite {now.rollbacks + 1} times, most recently at 1/{2**now.rollbacks} of the learning rate. Start over with a lower learning_rate and matrix_learning_rate, and check the data around row {now.cursor:,}.",
            f"损失 {now.rollbacks + 1} 次变成 NaN 或无穷大，最后一次学习率已降到 1/{2**now.rollbacks}。请调低 learning_rate 和 matrix_learning_rate 重新训练，并检查第 {now.cursor:,} 行附近的数据。",
        )
    checkpoints.wait()
    state = restore(checkpoints, model, optimizer)
    say(
        f"No finite gradient for {BAD_STEPS} steps: going back to step {state.step:,} with half the learning rate.",
        f"连续 {BAD_STEPS} 步梯度不是有限数：退回第 {state.step:,} 步，学习率减半。",
    )
    return replace(state, cursor=now.cursor, skipped=now.skipped, rollbacks=now.rollbacks + 1)
