"""Keys that every training stage has."""

from __future__ import annotations

from dataclasses import dataclass

from yaya.core.config import key

LEARNING_RATES = {"muon": 0.03, "adamw": 0.003}


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

    def is_timed(self) -> bool:
        """Whether the minutes fix the number of steps."""
        return self.steps is None and self.num_train_epochs is None

    def is_settled(self) -> bool:
        """Whether nothing is open: the recipe of a run that has begun."""
        open_keys = (self.steps, self.batch_tokens, self.micro_batch_tokens)
        return self.num_train_epochs is None and all(value is not None for value in open_keys)

    def decay_share(self) -> float:
        """The last share of the steps, in which the learning rate falls."""
        return self.decay_steps / self.steps if self.decay_steps and self.steps else self.decay_fraction
