"""The pretrain stage.

Reads: `tokenize/` (token shards). Does: next-token training from scratch, conversations mixed in where there are any.
Writes: a Hugging Face model folder, metrics.jsonl, samples.jsonl.
Paper: Qwen3 (arXiv:2505.09388) for the architecture, Muon (https://kellerjordan.github.io/posts/muon).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from yaya.core.artifact import Artifact, Draft
from yaya.core.config import key
from yaya.core.files import read_json
from yaya.core.messages import UserError
from yaya.model.config import ModelConfig
from yaya.model.decoder import Transformer, initialize
from yaya.tokenize.tokenizer import Tokenizer
from yaya.train import language_model
from yaya.train.log import Curve
from yaya.train.loop import LoopConfig
from yaya.train.plan import forecast
from yaya.train.plan.forecast import Pilot, Prospect, Size

KIND = "pretrain"
PILOT = "pilot.json"  # in the run's folder


@dataclass(frozen=True)
class PretrainConfig(LoopConfig):
    hidden_size: int | None = key(None, "width (auto: by the time there is)", "模型宽度（自动：按时间定）", least=32)
    num_hidden_layers: int | None = key(None, "layers", "层数", least=1)
    intermediate_size: int | None = key(
        None, "width of the feed-forward part (auto: 8/3 of the width)", "前馈层宽度（自动：宽度的 8/3）", least=32
    )
    head_dim: int = key(32, "width of one attention head", "每个注意力头的宽度", choices=(32, 64, 128))
    num_key_value_heads: int | None = key(
        None, "heads of keys and values (auto: as many as query heads)", "键值头数（自动：与查询头相同）", least=1
    )
    context_length: int = key(256, "tokens that the model can look back on", "模型能看到的上文长度（token）", least=16)
    chat_fraction: float | None = key(
        None,
        "share of rows that are conversations (auto: their share of the tokens)",
        "对话所占的行数比例（自动：按 token 占比）",
        least=0,
    )
    text_weight: float = key(
        0.5, "what a token of a text counts beside an assistant's", "普通文本的 token 权重（助手的为 1）", least=0
    )
    user_weight: float = key(
        0.1, "what a token of a user or system message counts", "用户和系统消息的 token 权重", least=0
    )
    assistant_weight: float = key(
        1.0, "what a token of an assistant's message counts", "助手消息的 token 权重", least=0
    )


def shares(config: PretrainConfig) -> dict[str, float]:
    assert config.chat_fraction is not None
    return {"chat": config.chat_fraction, "text": 1 - config.chat_fraction}


def role_weights(config: PretrainConfig) -> list[float]:
    """What a label of each role counts."""
    text = 1.0 if config.chat_fraction == 0 else config.text_weight
    return [text, config.user_weight, config.user_weight, config.assistant_weight, 0.0]


def architecture(config: PretrainConfig, vocab_size: int) -> ModelConfig:
    """The model's sizes from the recipe's."""
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


def fill_shape(config: PretrainConfig, data: Artifact, hidden_size: int = 160, layers: int = 4) -> PretrainConfig:
    """The sizes that the recipe leaves open, and the share of conversations: that of their tokens."""
    counts = {kind: found["tokens"] for kind, found in data.metrics["train"].items()}
    chat_share = round(counts["chat"] / max(sum(counts.values()), 1), 3)
    width = config.hidden_size or hidden_size
    return replace(
        config,
        hidden_size=width,
        num_hidden_layers=config.num_hidden_layers or layers,
        intermediate_size=config.intermediate_size or round(width * 8 / 3 / 32) * 32,
        num_key_value_heads=config.num_key_value_heads or max(1, width // config.head_dim),
        chat_fraction=chat_share if config.chat_fraction is None else config.chat_fraction,
    )


def prospect(config: PretrainConfig, data: Artifact, folder: Path) -> Prospect | None:
    """What the loss on held-out text will depend on, if a pilot has read this data and such trainings are known."""
    assert config.steps is not None and config.batch_tokens is not None
    known = read_json(folder / PILOT)
    if known.get("of") != pilot_of(config, data):
        return None
    size = Size.of(architecture(config, data.metrics["vocab_size"]))
    counts = data.metrics["train"]
    unique = sum(counts[kind]["tokens"] for kind, share in shares(config).items() if share > 0)
    found = Prospect(size.layers, config.steps * config.batch_tokens, unique, Pilot(**known["found"]))
    return found if found.is_known() else None


def pilot_of(config: PretrainConfig, data: Artifact) -> list[Any]:
    """What a pilot's findings hold for: the data, the length of rows, the share of conversations, and its own length."""
    return [data.digest, config.context_length, config.chat_fraction, forecast.PILOT_STEPS]


def build(
    config: PretrainConfig, inputs: dict[str, Artifact], seed: int, draft: Draft
) -> tuple[Transformer, language_model.LanguageModeling]:
    """The fresh model and its objective."""
    data = inputs["tokenize"]
    vocab_size = Tokenizer.load(data.path).vocab_size
    assert draft.runtime is not None
    model = Transformer(architecture(config, vocab_size))
    initialize(model, seed)
    model.dtype = draft.runtime.torch_dtype
    model.to(draft.runtime.device)
    shards = language_model.open_shards(data, "train", vocab_size)
    goal = language_model.objective(
        shards,
        shares(config),
        role_weights(config),
        config,
        config.context_length,
        language_model.data_seed(data, seed),
    )
    return model, goal


def run(config: PretrainConfig, inputs: dict[str, Artifact], draft: Draft) -> None:
    model, goal = build(config, inputs, draft.seed, draft)

    def expect(config: LoopConfig) -> Curve | None:
        assert isinstance(config, PretrainConfig)
        found = prospect(config, inputs["tokenize"], draft.path.parent)
        return found.loss if found and not found.is_template() else None  # of templates only the end is known

    language_model.train_and_save(model, goal, config, inputs["tokenize"], shares(config), draft, expect)
