"""The one training loop: accumulate, divide by the weight, clip, step; log, validate, sample, checkpoint.

Whatever it is interrupted by, a resume continues at the last checkpoint and ends with the same bits: row order and
learning rate are functions of the position alone, and there is no other state.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from yaya.core.artifact import Draft
from yaya.core.config import key
from yaya.core.interrupt import StopSignal
from yaya.core.progress import Bar, duration
from yaya.core.say import UserError, say, t
from yaya.model.transformer import Transformer
from yaya.train import checkpoint
from yaya.train.checkpoint import Position
from yaya.train.objective import Objective
from yaya.train.optimizer import MuonAdamW, decay_start, schedule

REVISE_AFTER_S = 5.0  # a shorter look at the machine says no more than the planner's


@dataclass(frozen=True)
class LoopConfig:
    """Keys that every training stage has."""

    steps: int | None = key(
        None, "optimizer steps (auto: what the minutes allow)", "训练步数（自动：按 minutes 算）", least=1
    )
    batch_tokens: int = key(4096, "tokens in one optimizer step", "每一步的 token 数", least=1)
    micro_batch_tokens: int = key(
        8192, "tokens computed at once; more steps of this make a batch", "一次计算的 token 数，多次累积成一步", least=1
    )
    learning_rate: float = key(0.01, "AdamW: embeddings, norms", "AdamW 的学习率：词向量、归一化", least=0)
    matrix_learning_rate: float = key(0.03, "Muon: all other matrices", "Muon 的学习率：其余矩阵", least=0)
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
        30.0, "a checkpoint at least every so many seconds", "至少隔这么多秒存一次检查点", least=0
    )


def train(
    model: Transformer,
    objective: Objective,
    config: LoopConfig,
    draft: Draft,
    validate: Callable[[], dict[str, float]],
    sample: Callable[[], list[dict[str, str]]],
) -> None:
    """Trains `model` in place for `config.steps` steps, or the rest of them after an interruption.

    Writes into draft.path: metrics.jsonl (every step), samples.jsonl, trainer/ (checkpoints).
    """
    assert config.steps is not None
    steps, title = config.steps, draft.kind
    optimizer = MuonAdamW(model, config.matrix_learning_rate, config.learning_rate, config.weight_decay)
    trainer = draft.path / "trainer"
    position = restore(trainer, model, optimizer) if draft.resumed else Position()
    log = Log(draft.path, position.step)
    if position.step:
        say(
            f"[{title}] goes on at step {position.step:,} of {steps:,}.",
            f"[{title}] 从第 {position.step:,} 步继续（共 {steps:,} 步）。",
        )
    look_at, sample_at = _looks(config.evaluations, steps), _looks(config.samples, steps)
    may_revise = draft.deadline and not draft.resumed and config.decay_steps is None  # what the user set stays
    revise_at = decay_start(steps, decay_share(config)) if may_revise else -1
    batches = objective.batches(model, position.cursor)
    started, saved, before = time.monotonic(), time.monotonic(), position.seconds
    with StopSignal() as stop, Bar(title, steps, t("steps", "步"), position.step) as bar:
        while position.step < steps:
            if position.step == revise_at and time.monotonic() - started > REVISE_AFTER_S:
                config = revise(config, position, time.monotonic() - started, draft)
                assert config.steps is not None
                steps = bar.total = config.steps
                look_at, sample_at = _looks(config.evaluations, steps), _looks(config.samples, steps)
            scale = schedule(position.step, steps, config.warmup_steps, decay_share(config))
            row, cursor, seen = optimizer_step(model, objective, optimizer, batches, config, scale)
            seconds = before + time.monotonic() - started
            position = Position(position.step + 1, cursor, position.tokens + seen, round(seconds, 3))
            row |= {"step": position.step, "tokens": position.tokens, "seconds": position.seconds}
            if position.step in look_at:
                row |= validate()
                bar.print(_look(title, position.step, row))
            log.write("metrics", row)
            if position.step in sample_at:
                for reply in sample():
                    log.write("samples", {"step": position.step, **reply})
                    bar.print(f"  {reply['prompt']} → {reply['reply']}".replace("\n", " ")[:150])
            bar.advance(1, f"{t('loss', '损失')} {row['loss']:.3f}")
            if (stop.asked or time.monotonic() - saved >= config.save_seconds) and position.step < steps:
                checkpoint.save(trainer, position, model.state_dict(), optimizer.state())
                saved = time.monotonic()
                if stop.asked:
                    raise KeyboardInterrupt
    log.close()
    draft.metrics |= {"steps": steps, "tokens": position.tokens, "seconds": position.seconds, "loss": log.last_loss}
    draft.metrics["parameters"] = model.num_parameters()
    say(
        f"[{title}] {steps:,} steps, {position.tokens:,} tokens in {duration(position.seconds)}; loss {log.last_loss:.3f}.",
        f"[{title}] {steps:,} 步、{position.tokens:,} 个 token，用时 {duration(position.seconds)}；损失 {log.last_loss:.3f}。",
    )


def revise(config: LoopConfig, position: Position, seconds: float, draft: Draft) -> LoopConfig:
    """The config with as many steps as the minutes allow at the speed seen so far; called where the rate begins to fall.

    Until there the learning rate is the same for every number of steps, so that a run with the new number from the
    start ends with the same bits. The fall keeps at least half its planned length, however slow the machine became.
    """
    assert config.steps is not None and draft.deadline is not None
    done = position.step
    left = 0.98 * max(0.0, draft.deadline - time.monotonic())
    steps = done + max((config.steps - done + 1) // 2, int(left * done / seconds))
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


def optimizer_step(
    model: Transformer, objective: Objective, optimizer: MuonAdamW, batches: Any, config: LoopConfig, scale: float
) -> tuple[dict[str, Any], int, int]:
    """One optimizer step: (what to log, cursor after it, tokens seen)."""
    loss_sum = weight_sum = 0.0
    seen, cursor = 0, 0
    for p in model.parameters():
        p.grad = None
    for _ in range(objective.micro_batches):
        batch, cursor = next(batches)
        loss, weight, _ = objective.loss(model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        loss_sum, weight_sum = loss_sum + loss.item(), weight_sum + weight.item()
        seen += batch.input_ids.numel()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(grads).item() / max(weight_sum, 1e-9)
    if not math.isfinite(norm) or not math.isfinite(loss_sum):
        raise UserError(
            "The loss became NaN or infinite: start anew with a lower learning_rate and matrix_learning_rate.",
            "损失变成了 NaN 或无穷大：请调低 learning_rate 和 matrix_learning_rate，重新训练。",
        )
    factor = min(1.0, config.max_grad_norm / (norm + 1e-6)) if config.max_grad_norm else 1.0
    torch._foreach_mul_(grads, factor / max(weight_sum, 1e-9))
    optimizer.step(scale)
    row = {
        "loss": round(loss_sum / max(weight_sum, 1e-9), 5),
        "learning_rate": scale * config.learning_rate,
        "matrix_learning_rate": scale * config.matrix_learning_rate,
        "grad_norm": round(norm, 4),
    }
    return row, cursor, seen


def restore(trainer: Path, model: Transformer, optimizer: MuonAdamW) -> Position:
    """Loads the newest whole checkpoint into model and optimizer."""
    found = checkpoint.load_last(trainer)
    if found is None:
        return Position()
    position, weights, state = found
    model.load_state_dict(weights)
    optimizer.load_state(state)
    return position


def _look(title: str, step: int, row: dict[str, Any]) -> str:
    if "bits_per_byte" in row:
        return t(
            f"[{title}] step {step:,}: loss {row['loss']:.3f}, validation {row['validation_loss']:.3f} ({row['bits_per_byte']:.3f} bits per byte)",
            f"[{title}] 第 {step:,} 步：损失 {row['loss']:.3f}，验证 {row['validation_loss']:.3f}（每字节 {row['bits_per_byte']:.3f} 比特）",
        )
    return t(f"[{title}] step {step:,}: loss {row['loss']:.3f}", f"[{title}] 第 {step:,} 步：损失 {row['loss']:.3f}")


class Log:
    """metrics.jsonl and samples.jsonl; after a resume, rows beyond the checkpoint are taken back."""

    def __init__(self, folder: Path, step: int):
        self.last_loss = float("nan")
        self.files = {}
        for name in ("metrics", "samples"):
            path = folder / f"{name}.jsonl"
            path.write_text("".join(self._kept(path, step)), "utf-8")
            self.files[name] = path.open("a", encoding="utf-8", buffering=1)

    def _kept(self, path: Path, step: int) -> list[str]:
        kept = []
        for line in path.read_text("utf-8").splitlines() if step and path.exists() else ():
            try:
                row = json.loads(line)
            except ValueError:
                break  # the line that was being written at the interruption
            if row["step"] <= step:
                kept.append(line + "\n")
                self.last_loss = row.get("loss", self.last_loss)
        return kept

    def write(self, name: str, row: dict[str, Any]) -> None:
        self.last_loss = row.get("loss", self.last_loss)
        self.files[name].write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        for file in self.files.values():
            file.close()
