"""The finetune stage.

Reads: `tokenize/` (conversations), `pretrain/` (a model folder). Does: trains on the assistant's words; conversations are packed
into rows, and attention stays within each. Writes: a Hugging Face model folder, metrics.jsonl, samples.jsonl.
"""

from __future__ import annotations

from dataclasses import dataclass

from yaya.core.artifact import Artifact, Draft
from yaya.core.config import key
from yaya.core.machine import Machine
from yaya.core.messages import UserError
from yaya.core.stage import Inputs, PlanRequest, RunContext, Stage, TrainingPlan
from yaya.model.decoder import Transformer
from yaya.model.pretrained import load_model, read_config
from yaya.tokenize import chat_template
from yaya.tokenize.tokenizer import shared
from yaya.train import language_model
from yaya.train.loop_config import LoopConfig
from yaya.train.objective import LanguageModeling
from yaya.train.packing import DataMixture
from yaya.train.plan.planner import Trainee, describe, settle

KIND = "finetune"
SHARES = {"chat": 1.0}


@dataclass(frozen=True)
class FinetuneConfig(LoopConfig):
    learning_rate: float = key(
        2e-3, "AdamW's learning rate: embeddings, norms", "AdamW 的学习率：词向量、归一化", least=0
    )
    matrix_learning_rate: float = key(
        6e-3, "Muon's learning rate: all other matrices", "Muon 的学习率：其余矩阵", least=0
    )
    decay_fraction: float = key(
        1.0, "last share of steps: the learning rate falls to zero", "最后用多大比例的步数把学习率衰减到零", least=0
    )
    system_weight: float = key(0.0, "loss weight of system tokens", "系统消息 token 的损失权重", least=0)
    user_weight: float = key(0.0, "loss weight of user tokens", "用户消息 token 的损失权重", least=0)
    assistant_weight: float = key(1.0, "loss weight of assistant tokens", "助手消息 token 的损失权重", least=0)


def mixture(config: FinetuneConfig, data: Artifact, row_length: int, seed: int) -> DataMixture:
    """The training rows: conversations only."""
    weights = chat_template.role_weights(
        system=config.system_weight, user=config.user_weight, assistant=config.assistant_weight
    )
    return language_model.mixture(data, SHARES, weights, row_length, seed + 1)


def build(config: FinetuneConfig, inputs: Inputs, seed: int, machine: Machine) -> tuple[Transformer, LanguageModeling]:
    """The pretrained model and its objective; UserError if there are no conversations."""
    data, base = inputs["tokenize"], inputs["pretrain"]
    model = load_model(base.path, machine.device, machine.torch_dtype)
    shared(data.path, base.path)
    if not data.metrics["train"]["chat"]["documents"]:
        raise UserError(
            'There are no conversations to fine-tune on. Add JSONL with {"messages": [{"role", "content"}]} to prepare.sources.',
            '没有可用来微调的对话。请在 prepare.sources 里加入 {"messages": [{"role", "content"}]} 格式的 JSONL。',
        )
    row_length = model.config.max_position_embeddings
    return model, language_model.objective(mixture(config, data, row_length, seed), config, row_length)


def run(config: FinetuneConfig, inputs: Inputs, draft: Draft, context: RunContext) -> None:
    """Fine-tunes the model and writes its folder; metrics and samples on the way."""
    model, goal = build(config, inputs, context.seed, context.machine)
    language_model.train_and_save(model, goal, config, inputs["tokenize"], draft, context)


def plan(config: FinetuneConfig, inputs: Inputs, context: RunContext, request: PlanRequest) -> TrainingPlan:
    """Fixes what the recipe leaves open, and says what to expect."""
    data, machine = inputs["tokenize"], context.machine
    model = request.before.model if request.before else read_config(inputs["pretrain"].path)
    row_length = model.max_position_embeddings
    trainee = Trainee(
        name=KIND,
        row_length=row_length,
        unique_tokens=data.metrics["train"]["chat"]["tokens"],
        least_batch_tokens=1,
        dtype=machine.dtype,
        model=lambda c: model,
        build=lambda c: build(c, inputs, context.seed, machine),
        mixture=lambda c: mixture(c, data, row_length, context.seed),
    )
    return describe(trainee, *settle(trainee, config, request))


STAGE = Stage(KIND, FinetuneConfig, run, reads=("tokenize", "pretrain"), trains=plan, computes=True, resumes=True)
