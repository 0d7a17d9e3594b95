"""The finetune stage.

Reads: `tokenize/` (conversations), `pretrain/` (a model folder). Does: trains on the assistant's words; conversations are packed
into rows, attention stays inside each. Writes: a Hugging Face model folder, metrics.jsonl, samples.jsonl.
"""

from __future__ import annotations

from dataclasses import dataclass

from yaya.core.artifact import Artifact, Draft
from yaya.core.config import key
from yaya.core.messages import UserError
from yaya.model.pretrained import load_model
from yaya.tokenize import chat_template
from yaya.tokenize.tokenizer import shared
from yaya.train import language_model
from yaya.train.loop import LoopConfig

KIND = "finetune"
SHARES = {"chat": 1.0}


@dataclass(frozen=True)
class FinetuneConfig(LoopConfig):
    learning_rate: float = key(2e-3, "AdamW: embeddings, norms", "AdamW 的学习率：词向量、归一化", least=0)
    matrix_learning_rate: float = key(6e-3, "Muon: all other matrices", "Muon 的学习率：其余矩阵", least=0)
    decay_fraction: float = key(
        1.0, "last share of the steps, in which the rate falls to zero", "最后多大比例的步数里学习率降到零", least=0
    )
    system_weight: float = key(0.0, "what a token of a system message counts", "系统消息的 token 权重", least=0)
    user_weight: float = key(0.0, "what a token of a user's message counts", "用户消息的 token 权重", least=0)
    assistant_weight: float = key(
        1.0, "what a token of an assistant's message counts", "助手消息的 token 权重", least=0
    )


def role_weights(config: FinetuneConfig) -> tuple[float, ...]:
    """What a label of each role counts."""
    return chat_template.role_weights(
        system=config.system_weight, user=config.user_weight, assistant=config.assistant_weight
    )


def build(
    config: FinetuneConfig, inputs: dict[str, Artifact], draft: Draft
) -> tuple[language_model.Transformer, language_model.LanguageModeling]:
    """The pretrained model and its objective."""
    data, base = inputs["tokenize"], inputs["pretrain"]
    assert draft.runtime is not None
    model = load_model(base.path, draft.runtime.device, draft.runtime.torch_dtype)
    tokenizer = shared(data.path, base.path)
    shards = language_model.open_shards(data, "train", tokenizer.vocab_size)
    if not shards["chat"].documents:
        raise UserError(
            'There are no conversations to fine-tune on. Add JSONL with {"messages": [{"role", "content"}]} to prepare.sources.',
            '没有可用来微调的对话。请在 prepare.sources 里加入 {"messages": [{"role", "content"}]} 格式的 JSONL。',
        )
    seed = language_model.data_seed(data, draft.seed + 1)
    return model, language_model.objective(
        shards, SHARES, role_weights(config), config, model.config.max_position_embeddings, seed
    )


def run(config: FinetuneConfig, inputs: dict[str, Artifact], draft: Draft) -> None:
    model, goal = build(config, inputs, draft)
    language_model.train_and_save(model, goal, config, inputs["tokenize"], SHARES, draft)
