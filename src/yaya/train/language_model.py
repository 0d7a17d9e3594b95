"""What pretraining and fine-tuning share: their rows, validation, sample replies and the saved folder."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np
import torch

from yaya.core import distributed, han
from yaya.core.artifact import Artifact, Draft
from yaya.core.machine import forget_peak_memory, memory_gb, peak_memory_gb
from yaya.core.messages import UserError, say
from yaya.core.stage import RunContext
from yaya.inference.engine import Engine
from yaya.inference.likelihood import SummedLoss
from yaya.inference.sampling import SamplingParams
from yaya.model.decoder import Transformer
from yaya.model.pretrained import save_model
from yaya.tokenize import chat_template
from yaya.tokenize.chat_template import ASSISTANT, USER
from yaya.tokenize.shards import TokenShard, open_shards
from yaya.tokenize.tokenizer import Tokenizer
from yaya.train.callbacks import Curve, Watch
from yaya.train.loop import train
from yaya.train.loop_config import LoopConfig
from yaya.train.objective import LanguageModeling
from yaya.train.packing import DataMixture, PackedDataset
from yaya.train.parallel import place, whole
from yaya.train.plan.memory import memory_bytes

VALIDATION_ROWS = 64
VALIDATION_TOKENS = 8192  # at once
SAMPLE_TOKENS = 48
WATCHED = chat_template.role_weights(text=1.0, assistant=1.0)  # loss weights in validation


def mixture(
    data: Artifact, shares: dict[str, float], role_weights: Sequence[float], row_length: int, seed: int
) -> DataMixture:
    """The training rows of texts and conversations in these shares; each label has its role's loss weight."""
    order = (int(data.digest[:12], 16) + seed) % (1 << 48)  # row order is a function of the data and the run's seed
    shards = open_shards(data.path, "train", data.metrics["vocab_size"])
    datasets = {kind: PackedDataset(shards[kind], row_length, order, role_weights) for kind in shares}
    return DataMixture([(datasets[kind], share) for kind, share in shares.items()])


def objective(mixture: DataMixture, config: LoopConfig, row_length: int) -> LanguageModeling:
    """The rows as steps and micro-batches; UserError if there is nothing to learn, or not even one step."""
    assert config.batch_tokens is not None and config.micro_batch_tokens is not None
    step_rows = max(1, config.batch_tokens // row_length)
    processes = distributed.world_size()
    if mixture.weighs_nothing:
        raise UserError(
            "All weights are 0, so there is nothing to learn: set assistant_weight above 0.",
            "所有权重都是 0，没有可学的东西：请把 assistant_weight 设为大于 0。",
        )
    if not mixture.parts:
        raise UserError(
            f"There is nothing to learn: none of the {mixture.documents:,} documents has a reply whose question fits into {row_length} tokens. Pretrain with a larger context_length.",
            f"没有可学的东西：{mixture.documents:,} 篇里，没有一个回答的问题放得进 {row_length} 个 token。请调大 context_length 重新预训练。",
        )
    available = sum(len(dataset.shard.tokens) for dataset, _ in mixture.parts)
    if available < config.batch_tokens:
        raise UserError(
            f"The training data has {available:,} tokens, but one step takes {config.batch_tokens:,}. Add text, or set batch_tokens to at most {available:,}.",
            f"训练数据只有 {available:,} 个 token，而一步要 {config.batch_tokens:,} 个。请增加文本，或把 batch_tokens 设为不超过 {available:,}。",
        )
    if step_rows < processes:
        raise UserError(
            f"A step has {step_rows} rows of {row_length} tokens, fewer than the {processes} processes. Set batch_tokens to at least {processes * row_length:,}.",
            f"一步只有 {step_rows} 行（每行 {row_length} 个 token），比进程数 {processes} 还少。请把 batch_tokens 设为至少 {processes * row_length:,}。",
        )
    return LanguageModeling(mixture, step_rows, max(1, config.micro_batch_tokens // row_length))


def train_and_save(
    model: Transformer,
    goal: LanguageModeling,
    config: LoopConfig,
    data: Artifact,
    draft: Draft,
    context: RunContext,
    expect: Callable[[LoopConfig], Curve | None] = lambda config: None,
) -> None:
    """Trains with validation and samples on the way, and writes the model folder. expect: the usual loss."""
    watch = replace(watch_for(model, goal, data), expect=expect)
    tell_memory(model, config, draft)
    if compiles(config, model):
        model.compile_layers()
        say(
            f"[{draft.kind}] compiling the layers: the first steps take a minute (to turn this off: torch_compile=false)",
            f"[{draft.kind}] 正在编译各层：头几步要花一分钟（不需要可设 torch_compile=false）",
        )
    say_long_conversations(draft.kind, goal)
    place(model, config.parallel)
    train(model, goal, config, draft, context, watch)
    draft.metrics["peak_memory_gb"] = round(peak_memory_gb(), 3)
    weights = {name: whole(p) for name, p in model.state_dict().items()}
    if distributed.is_main():
        save_model(draft.path, model, Tokenizer.load(data.path), weights)


def watch_for(model: Transformer, goal: LanguageModeling, data: Artifact) -> Watch:
    """What to observe while training on this data: held-out rows (texts if there are any), and a few replies."""
    tokenizer = Tokenizer.load(data.path)
    held_out = open_shards(data.path, "validation", tokenizer.vocab_size)
    kinds, row_length = goal.mixture.kinds, goal.mixture.row_length
    kind = next((k for k in ("text", "chat") if k in kinds and held_out[k].documents), None)
    prompts = sample_prompts(held_out, tokenizer, kinds)

    def validate() -> dict[str, float]:
        return bits_per_byte(model, held_out[kind], tokenizer, row_length) if kind else {}

    return Watch(validate, lambda: write_samples(model, tokenizer, prompts))


def tell_memory(model: Transformer, config: LoopConfig, draft: Draft) -> None:
    """Records the expected memory, and measures from here on what is used."""
    dtype = str(model.dtype).removeprefix("torch.")
    needed = memory_bytes(model.config, config, dtype) - 4 * model.num_parameters()  # the weights are already in memory
    draft.metrics["expected_memory_gb"] = round(memory_gb() + needed / 1e9, 3)
    forget_peak_memory()


def say_long_conversations(stage: str, goal: LanguageModeling) -> None:
    """Says what was cut or dropped from conversations longer than the context."""
    for rows, _ in goal.mixture.parts:
        found, documents, length = rows.long, rows.shard.documents, rows.row_length
        if found.conversations:
            bare, en, zh = found.replies_without_system, "", ""
            if bare:
                en = f"; {bare:,} are trained on without their system prompt, which is too long"
                zh = f"；{bare:,} 个因系统提示太长，训练时不带系统提示"
            say(
                f"[{stage}] {found.conversations:,} of {documents:,} conversations are longer than the context of {length} tokens and were split between turns; {found.replies_cut:,} replies were cut short, {found.replies_left_out:,} were dropped because the question alone fills the context{en}. A larger context_length in pretrain keeps them whole.",
                f"[{stage}] {documents:,} 段对话里有 {found.conversations:,} 段超过上下文长度 {length} 个 token，已按轮次切开；{found.replies_cut:,} 个回答被截断，{found.replies_left_out:,} 个因为光问题就放不下而去掉{zh}。在 pretrain 里调大 context_length 就能完整保留。",
            )


def compiles(config: LoopConfig, model: Transformer) -> bool:
    """Whether to compile the layers: as requested, else where it pays. UserError on XLA, which compiles by itself."""
    device = model.head.device.type
    if device == "xla" and config.torch_compile:
        raise UserError(
            "device=xla compiles by itself: remove torch_compile.", "device=xla 自己会编译：请去掉 torch_compile。"
        )
    if config.torch_compile is None:
        return device == "cuda" and importlib.util.find_spec("triton") is not None
    return config.torch_compile


@torch.no_grad()
def bits_per_byte(model: Transformer, shard: TokenShard, tokenizer: Tokenizer, row_length: int) -> dict[str, float]:
    """Validation loss (nats per token) and bits per byte over the first rows of a shard: text, or the assistant's words."""
    rows = PackedDataset(shard, row_length, 0, WATCHED)
    at_once = max(1, min(16, VALIDATION_TOKENS // row_length))
    goal = LanguageModeling(DataMixture([(rows, 1.0)]), at_once, at_once)
    sizes = torch.tensor([len(b) for b in tokenizer.token_bytes])
    if rows.is_empty:
        return {}
    total = count = size = 0.0
    last = min(VALIDATION_ROWS, rows.packing(0).rows)  # row `last` and those after may be of another epoch
    for first in range(0, last, at_once):
        batch = goal.micro_batch(first, min(first + at_once, last))
        size += sizes[batch.labels[batch.weights > 0]].sum().item()
        loss, weight, _ = goal.loss(model, batch.to(str(model.head.device)))
        total, count = total + loss.item(), count + weight.item()
    if not size:
        return {}
    found = SummedLoss(total, count, size)
    return {"validation_loss": round(found.loss, 5), "bits_per_byte": round(found.bits_per_byte, 5)}


def sample_prompts(
    shards: dict[str, TokenShard], tokenizer: Tokenizer, kinds: Collection[str]
) -> list[tuple[str, list[int]]]:
    """Up to two Chinese and two English prompts from the validation data: questions, or beginnings of texts."""
    found: dict[str, list[tuple[str, list[int]]]] = {"zh": [], "en": []}
    kind = "chat" if "chat" in kinds and shards["chat"].documents else "text"
    shard = shards[kind]
    for document in range(min(shard.documents, 400)):
        ids, roles = shard.document(document)
        if roles is None:
            prompt = ids[:17].tolist()
            shown = tokenizer.decode(prompt)
        else:
            replies = np.flatnonzero(roles == ASSISTANT)
            if not len(replies):
                continue
            prompt = ids[: replies[0]].tolist()
            shown = tokenizer.decode(ids[: replies[0]][roles[: replies[0]] == USER])
        language = han.language_of(shown, han.COMMON)
        if len(found[language]) < 2 and len(prompt) > 1:
            found[language].append((shown, prompt))
    return found["zh"] + found["en"]


def write_samples(
    model: Transformer, tokenizer: Tokenizer, prompts: list[tuple[str, list[int]]]
) -> list[dict[str, str]]:
    """Greedy replies to the prompts as the model stands."""
    room = model.config.max_position_embeddings - 1
    engine = Engine(model, tokenizer, max_batch=max(1, len(prompts)))
    greedy = SamplingParams(max_new_tokens=SAMPLE_TOKENS, temperature=0)
    requests = engine.generate([ids[-room:] for _, ids in prompts], greedy)
    return [
        {"language": han.language_of(shown, han.COMMON), "prompt": shown, "reply": request.text}
        for (shown, _), request in zip(prompts, requests, strict=True)
    ]
