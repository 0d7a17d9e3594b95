"""The pretrain stage.

Reads: `tokenize/` (token shards). Does: next-token training from scratch, conversations mixed in where there are any.
Writes: a Hugging Face model folder, metrics.jsonl, samples.jsonl.
Paper: Qwen3 (arXiv:2505.09388) for the architecture, Muon (https://kellerjordan.github.io/posts/muon).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from yaya.core import distributed
from yaya.core.artifact import Artifact, Draft
from yaya.core.config import key
from yaya.core.machine import Machine
from yaya.core.messages import UserError, say
from yaya.core.stage import Inputs, PlanRequest, RunContext, Stage, TrainingPlan
from yaya.model.decoder import Transformer, initialize
from yaya.model.model_config import ModelConfig
from yaya.tokenize import chat_template
from yaya.tokenize.tokenizer import Tokenizer
from yaya.train import language_model
from yaya.train.callbacks import Curve
from yaya.train.loop_config import LoopConfig
from yaya.train.objective import LanguageModeling
from yaya.train.packing import DataMixture
from yaya.train.plan import forecast, probe
from yaya.train.plan.memory import Size
from yaya.train.plan.planner import Trainee, describe, settle
from yaya.train.plan.sizes import USUAL, choose_size

KIND = "pretrain"
LEAST_BATCH_TOKENS = 1024  # of text; less is refused, since nothing would be learned
MANY_TIMES = 16  # passes; four times as many as still teach much (arXiv:2305.16264)
PROBE_FROM_SECONDS = 300.0  # of training; below, a probe would cost too much of it


@dataclass(frozen=True)
class PretrainConfig(LoopConfig):
    hidden_size: int | None = key(
        None, "model width (auto: by the time available)", "模型宽度（自动：按可用时间定）", least=32
    )
    num_hidden_layers: int | None = key(None, "number of layers", "层数", least=1)
    intermediate_size: int | None = key(
        None, "feed-forward width (auto: 8/3 of the model width)", "前馈层宽度（自动：模型宽度的 8/3）", least=32
    )
    head_dim: int = key(32, "width of one attention head", "每个注意力头的宽度", choices=(32, 64, 128))
    num_key_value_heads: int | None = key(
        None, "key/value heads (auto: as many as query heads)", "键值头数（自动：与查询头相同）", least=1
    )
    context_length: int = key(256, "context length in tokens", "上下文长度（token）", least=16)
    chat_fraction: float | None = key(
        None,
        "share of the training rows that are conversations (auto: their share of the tokens)",
        "训练用的行里，对话占多少（自动：按 token 占比）",
        least=0,
    )
    text_weight: float = key(
        0.5, "loss weight of text tokens (assistant tokens: 1)", "普通文本 token 的损失权重（助手的为 1）", least=0
    )
    user_weight: float = key(0.1, "loss weight of user and system tokens", "用户和系统消息 token 的损失权重", least=0)
    assistant_weight: float = key(1.0, "loss weight of assistant tokens", "助手消息 token 的损失权重", least=0)

    def is_settled(self) -> bool:
        """Whether nothing is open: the recipe of a run that has begun."""
        sizes = ("hidden_size", "num_hidden_layers", "intermediate_size", "num_key_value_heads", "chat_fraction")
        return super().is_settled() and all(getattr(self, name) is not None for name in sizes)


def shares(config: PretrainConfig) -> dict[str, float]:
    """The shares of conversations and texts among the rows."""
    assert config.chat_fraction is not None
    return {"chat": config.chat_fraction, "text": 1 - config.chat_fraction}


def role_weights(config: PretrainConfig) -> tuple[float, ...]:
    """The loss weight of each role's labels."""
    text = 1.0 if config.chat_fraction == 0 else config.text_weight
    user = config.user_weight
    return chat_template.role_weights(text=text, system=user, user=user, assistant=config.assistant_weight)


def architecture(config: PretrainConfig, vocab_size: int) -> ModelConfig:
    """The model's sizes from the recipe's; UserError if query heads cannot share the key-value heads evenly."""
    assert config.hidden_size and config.num_hidden_layers and config.intermediate_size and config.num_key_value_heads
    heads = max(1, config.hidden_size // config.head_dim)
    if heads % config.num_key_value_heads:
        raise UserError(
            f"num_key_value_heads={config.num_key_value_heads} must divide the number of heads: hidden_size {config.hidden_size} and head_dim {config.head_dim} give {heads}.",
            f"num_key_value_heads={config.num_key_value_heads} 必须能整除注意力头数：hidden_size {config.hidden_size}、head_dim {config.head_dim} 对应 {heads} 个头。",
        )
    return ModelConfig(
        vocab_size=vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=heads,
        num_key_value_heads=config.num_key_value_heads,
        head_dim=config.head_dim,
        max_position_embeddings=config.context_length,
    )


def token_counts(data: Artifact) -> dict[str, int]:
    """Tokens of the training texts, and of the conversations."""
    return {kind: found["tokens"] for kind, found in data.metrics["train"].items()}


def unique_tokens(config: PretrainConfig, data: Artifact) -> int:
    """The number of distinct tokens to train on."""
    counts = token_counts(data)
    return sum(counts[kind] for kind, share in shares(config).items() if share > 0)


def settle_shape(config: PretrainConfig, data: Artifact, size: tuple[int, int] = USUAL) -> PretrainConfig:
    """The sizes that the recipe leaves open, and the share of conversations: that of their tokens."""
    counts = token_counts(data)
    chat_share = round(counts["chat"] / max(sum(counts.values()), 1), 3)
    width = config.hidden_size or size[0]
    return replace(
        config,
        hidden_size=width,
        num_hidden_layers=config.num_hidden_layers or size[1],
        intermediate_size=config.intermediate_size or round(width * 8 / 3 / 32) * 32,
        num_key_value_heads=config.num_key_value_heads or max(1, width // config.head_dim),
        chat_fraction=chat_share if config.chat_fraction is None else config.chat_fraction,
    )


def mixture(config: PretrainConfig, data: Artifact, seed: int) -> DataMixture:
    """The training rows: texts and conversations in their shares."""
    return language_model.mixture(data, shares(config), role_weights(config), config.context_length, seed)


def build(config: PretrainConfig, data: Artifact, seed: int, machine: Machine) -> tuple[Transformer, LanguageModeling]:
    """The fresh model and its objective, from a fully settled config."""
    model = Transformer(architecture(config, Tokenizer.load(data.path).vocab_size))
    initialize(model, seed)
    model.dtype = machine.torch_dtype
    model.to(machine.device)
    return model, language_model.objective(mixture(config, data, seed), config, config.context_length)


def run(config: PretrainConfig, inputs: Inputs, draft: Draft, context: RunContext) -> None:
    """Trains the model and writes its folder; metrics and samples on the way."""
    data, machine = inputs["tokenize"], context.machine
    model, goal = build(config, data, context.seed, machine)

    def expect(config: LoopConfig) -> Curve | None:
        assert isinstance(config, PretrainConfig)
        found = forecast_loss(config, data, context.folder)
        return found.loss if found and not found.is_template() else None  # for templates only the final loss is known

    language_model.train_and_save(model, goal, config, data, draft, context, expect)


# ---------------------------------------------------------------- before it begins


def plan(config: PretrainConfig, inputs: Inputs, context: RunContext, request: PlanRequest) -> TrainingPlan:
    """Fixes what the recipe leaves open (the model's size by the time available) and says what to expect."""
    data, machine = inputs["tokenize"], context.machine
    usual, guess = settle_shape(config, data), None
    trainee = Trainee(
        name=KIND,
        row_length=config.context_length,
        unique_tokens=unique_tokens(usual, data),
        least_batch_tokens=LEAST_BATCH_TOKENS,
        dtype=machine.dtype,
        model=lambda c: architecture(c, data.metrics["vocab_size"]),
        build=lambda c: build(c, data, context.seed, machine),
        mixture=lambda c: mixture(c, data, context.seed),
    )
    if config.hidden_size is None and config.is_timed():
        size, guess = choose_size(trainee, config, lambda size: settle_shape(config, data, size), request.seconds)
        usual = settle_shape(config, data, size)
    settled, token_seconds = settle(trainee, usual, request, guess)
    say_model(architecture(settled, data.metrics["vocab_size"]))
    made = describe(trainee, settled, token_seconds)
    if made.tokens > MANY_TIMES * trainee.unique_tokens:
        say(
            f"[{KIND}] too many passes over too little text: the model would memorize it. Add more text, or add the built-in primer: put primer in prepare.sources.",
            f"[{KIND}] 文本太少、遍数太多，模型会死记硬背。请多加些文本，或配上自带的启蒙课本：在 prepare.sources 里加上 primer。",
        )
    found = forecast_loss(settled, data, context.folder)
    if found:
        say(f"[{KIND}] expected validation loss: {found.loss():.2f}.", f"[{KIND}] 预计验证损失：{found.loss():.2f}。")
    return replace(made, loss=found.loss() if found else None)


def say_model(model: ModelConfig) -> None:
    """The model's size in a line."""
    size = Size.of(model)
    millions = f"{(size.layers + size.embedding) / 1e6:.2f}"
    say(
        f"[{KIND}] model: {millions} million parameters, width {model.hidden_size}, {model.num_hidden_layers} layers, context of {model.max_position_embeddings} tokens.",
        f"[{KIND}] 模型：{millions} 百万参数，宽度 {model.hidden_size}，{model.num_hidden_layers} 层，上下文 {model.max_position_embeddings} 个 token。",
    )


def forecast_loss(config: PretrainConfig, data: Artifact, folder: Path) -> forecast.LossForecast | None:
    """The forecast of the validation loss, if a probe has read this data and such trainings are known."""
    assert config.steps is not None and config.batch_tokens is not None
    known = probe.known_probe(folder, probe_of(config, data))
    if known is None:
        return None
    layers = Size.of(architecture(config, data.metrics["vocab_size"])).layers
    found = forecast.LossForecast(layers, config.steps * config.batch_tokens, unique_tokens(config, data), known)
    return found if found.is_known() else None


def probe_of(config: PretrainConfig, data: Artifact) -> list[Any]:
    """What a probe's result is valid for: the data, the row length, the share of conversations, and its own length."""
    return [data.digest, config.context_length, config.chat_fraction, forecast.PROBE_STEPS]


def look_ahead(config: PretrainConfig, inputs: Inputs, context: RunContext, seconds: float | None) -> None:
    """Runs a probe on this data unless one already has, the data is too small, or `seconds` of training do not justify it.

    Single process only: several ranks run no probe.
    """
    data, machine = inputs["tokenize"], context.machine
    config = settle_shape(config, data)
    of = probe_of(config, data)
    worthwhile = seconds is None or seconds > PROBE_FROM_SECONDS
    if not worthwhile or distributed.world_size() > 1 or probe.known_probe(context.folder, of):
        return
    held_out = data.metrics["validation"]
    is_watched = any(held_out[kind]["documents"] for kind, share in shares(config).items() if share > 0)
    if not is_watched or sum(token_counts(data).values()) < forecast.PROBE_TOKENS / 4:
        return
    batch_tokens = forecast.PROBE_BATCH_TOKENS
    row_length = min(config.context_length, batch_tokens)
    tiny = PretrainConfig(context_length=row_length, chat_fraction=config.chat_fraction)
    tiny = replace(tiny, batch_tokens=batch_tokens, micro_batch_tokens=batch_tokens)
    tiny = settle_shape(tiny, data, forecast.PROBE_SIZE)
    model, goal = build(tiny, data, context.seed, machine)
    found = probe.run_probe(model, goal, tiny, language_model.watch_for(model, goal, data).validate)
    if found:
        probe.keep_probe(context.folder, of, found)


STAGE = Stage(
    KIND, PretrainConfig, run, reads=("tokenize",), trains=plan, computes=True, resumes=True, ahead=look_ahead
)
