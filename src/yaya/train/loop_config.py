"""Keys that every training stage has."""

from __future__ import annotations

from dataclasses import dataclass

from yaya.core.config import key

LEARNING_RATES = {"muon": 0.03, "adamw": 0.003}


@dataclass(frozen=True)
class LoopConfig:
    """Keys that every training stage has."""

    steps: int | None = key(
        None, "training steps (auto: as many as the minutes allow)", "训练步数（自动：按 minutes 算）", least=1
    )
    num_train_epochs: float | None = key(
        None, "passes over the data, instead of steps or minutes", "训练几轮（代替 steps 或 minutes）", least=1e-3
    )
    batch_tokens: int | None = key(
        None,
        "batch size: tokens per optimizer step, all processes together (auto)",
        "批大小：每步 token 数，各进程合计（自动：按训练量）",
        least=1,
    )
    micro_batch_tokens: int | None = key(
        None,
        "tokens computed at a time, accumulated into a batch (auto)",
        "一次计算的 token 数，多次累积成一批（自动）",
        least=1,
        decides=False,
    )
    per_device_train_batch_size: int | None = key(
        None,
        "rows a process computes at a time; sets the two keys above",
        "每个进程一次算几行；上面两个键由它决定",
        least=1,
    )
    gradient_accumulation_steps: int | None = key(
        None, "micro-batches per step; used with the key above", "梯度累积：一步几个微批次，与上一个键一起用", least=1
    )
    optimizer: str = key(
        "muon",
        "muon (AdamW for embeddings and norms), or adamw for everything",
        "muon（词向量和归一化用 AdamW），或全部用 adamw",
        choices=("muon", "adamw"),
    )
    learning_rate: float = key(
        None,
        "AdamW's learning rate: embeddings, norms (auto: 0.03; if optimizer=adamw: all weights, 0.003)",
        "AdamW 的学习率：词向量、归一化（自动：0.03；optimizer=adamw 时用于所有权重，0.003）",
        least=0,
    )
    matrix_learning_rate: float = key(
        0.03, "Muon's learning rate: all other matrices", "Muon 的学习率：其余矩阵", least=0
    )
    momentum: float = key(
        0.85, "Muon's momentum; raise it for many thousand steps", "Muon 的动量；训练上万步时可调高", least=0
    )
    weight_decay: float = key(
        0.0, "weight decay of matrices, times learning rate", "矩阵的权重衰减（乘以学习率）", least=0
    )
    warmup_steps: int = key(30, "learning-rate warm-up steps", "学习率预热步数", least=0)
    decay_fraction: float = key(
        0.6, "last share of steps: the learning rate falls to zero", "最后用多大比例的步数把学习率衰减到零", least=0
    )
    decay_steps: int | None = key(
        None, "the same in steps (auto: from decay_fraction)", "同上，用步数表示（自动：由 decay_fraction 定）", least=1
    )
    max_grad_norm: float = key(1.0, "gradients are clipped to this norm", "梯度裁剪：范数的上限", least=0)
    evaluations: int = key(8, "how many times to validate during training", "训练中验证几次", least=0)
    samples: int = key(4, "how many times to write sample replies", "训练中试写几次回复", least=0)
    save_seconds: float = key(
        30.0, "longest time between checkpoints, in seconds", "最多隔多少秒存一次检查点", least=0, decides=False
    )
    save_steps: int | None = key(
        None, "also save a checkpoint every N steps", "另外每 N 步存一次检查点", least=1, decides=False
    )
    save_total_limit: int = key(2, "number of checkpoints to keep", "保留几个检查点", least=1, decides=False)
    torch_compile: bool | None = key(
        None,
        "compile the layers: slow start, then faster (auto: on an NVIDIA GPU)",
        "编译各层：开头多花约一分钟，之后更快（自动：有 NVIDIA GPU 时）",
    )
    tracker: str = key(
        "none",
        "also log to tensorboard, wandb or swanlab (offline by default)",
        "同时记录到 tensorboard、wandb 或 swanlab（默认离线）",
        choices=("none", "tensorboard", "wandb", "swanlab"),
        decides=False,
    )
    parallel: str = key(
        "auto",
        "several processes: ddp (full copies), fsdp (sharded weights); auto: by model size",
        "多进程：ddp（各存全部权重）、fsdp（分片）；自动：按模型大小",
        choices=("auto", "ddp", "fsdp"),
        decides=False,
    )

    def __post_init__(self) -> None:
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", LEARNING_RATES[self.optimizer])

    def is_timed(self) -> bool:
        """Whether the minutes set the number of steps."""
        return self.steps is None and self.num_train_epochs is None

    def is_settled(self) -> bool:
        """Whether nothing is open: the recipe of a run that has begun."""
        open_keys = (self.steps, self.batch_tokens, self.micro_batch_tokens)
        return self.num_train_epochs is None and all(value is not None for value in open_keys)

    def decay_share(self) -> float:
        """The share of the steps, at the end, in which the learning rate decays."""
        return self.decay_steps / self.steps if self.decay_steps and self.steps else self.decay_fraction
