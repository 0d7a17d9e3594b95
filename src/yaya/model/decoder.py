"""One decoder for the Llama family: Llama, Qwen2 and Qwen3 differ in a few switches.

Shapes: B batch, T positions, D hidden_size, H query heads, K key/value heads, d head_dim, F intermediate_size,
V vocab_size, S positions in the cache, N rows or labels. Tensor names are Hugging Face's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yaya.model.attention import AttentionContext, CacheSlots, attend, make_context
from yaya.model.cpu_kernels import NormRotateFunction, RMSNormFunction, SwiGLUFunction, use_cpu_kernels
from yaya.model.model_config import ModelConfig

LOGIT_ROWS = (256, 1024)  # rows of logits alive at once on a CPU: at least, at most
LOGIT_NUMBERS = 1 << 22  # logits alive at once on a CPU, as far as these rows allow
LOGIT_NUMBERS_GPU = 1 << 27  # the same elsewhere: many small products leave a GPU waiting
LOGIT_ROUND = 128  # to which rows are filled up: oneDNN keeps code and memory for each shape that it meets
SMALLEST = torch.finfo(torch.float32).tiny  # a probability below it counts as it: a loss of at most 87 nats

# ---------------------------------------------------------------- norms and positions


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x (..., D) / sqrt(mean(x^2) + eps) * weight (D,) or (H, D), computed in fp32, in x's dtype (arXiv:1910.07467)."""
    if use_cpu_kernels(x):
        return RMSNormFunction.apply(x, weight, eps)  # type: ignore[no-any-return]
    return (F.rms_norm(x.float(), weight.shape[-1:], None, eps) * weight).to(x.dtype)


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, self.eps)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (arXiv:2104.09864), halves rotated as in HF. x (B, T, H, d); cos, sin (B, T, 1, d/2) fp32."""
    first, second = x.float().chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)


# ---------------------------------------------------------------- linear layers


class MergedWeight:
    """Weights of linear layers side by side in the type of the computation, made anew only when one has changed."""

    def __init__(self) -> None:
        self.keep = True
        self.made_from: tuple[Any, ...] = ()
        self.weight: Tensor | None = None

    def get(self, weights: tuple[Tensor, ...], dtype: torch.dtype) -> Tensor:
        """weights (F_i, D) each -> (sum F_i, D) in dtype."""
        made_from = (dtype, *((w.data_ptr(), None if w.is_inference() else w._version) for w in weights))
        if made_from != self.made_from or self.weight is None:
            with torch.inference_mode(False):  # training may be next to use what a sample reply has made
                parts = [w.detach().to(dtype) for w in weights]
                self.weight = parts[0] if len(parts) == 1 else torch.cat(parts)
            self.made_from = made_from
        return self.weight


class MergedLinearFunction(torch.autograd.Function):
    """x (..., D) through several linear layers in one large product, their outputs side by side (..., sum F_i)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, merged: Tensor, *weights: Tensor) -> Tensor:
        ctx.save_for_backward(x, merged)
        ctx.sizes = [len(w) for w in weights]
        return F.linear(x, merged)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, merged = ctx.saved_tensors
        grad = grads[0].flatten(0, -2)  # (N, sum F)
        grad_x = (grad @ merged).view(x.shape) if ctx.needs_input_grad[0] else None
        grad_weights = (grad.T @ x.flatten(0, -2)).float().split(ctx.sizes)
        return grad_x, None, *grad_weights


def linear(x: Tensor, merged: MergedWeight, *layers: nn.Linear) -> Tensor:
    """x (..., D) through several linear layers at once, their outputs side by side (..., sum F_i)."""
    weights = tuple(layer.weight for layer in layers)
    biases: list[Tensor] = [layer.bias for layer in layers if layer.bias is not None]
    # XLA does not count every change, by which merged weights go, and the compiler does not look at the count.
    if not merged.keep or x.device.type == "xla" or torch.compiler.is_compiling():
        y = F.linear(x, torch.cat([weight.to(x.dtype) for weight in weights]))
    else:
        weight = merged.get(weights, x.dtype)
        y = MergedLinearFunction.apply(x, weight, *weights) if torch.is_grad_enabled() else F.linear(x, weight)
    return y + torch.cat(biases).to(x.dtype) if biases else y


# ---------------------------------------------------------------- the layers


class Attention(nn.Module):
    def __init__(self, c: ModelConfig, layer_idx: int):
        super().__init__()
        self.config, self.layer_idx = c, layer_idx
        self.q_proj = nn.Linear(c.hidden_size, c.num_attention_heads * c.head_dim, bias=c.attention_bias)
        self.k_proj = nn.Linear(c.hidden_size, c.num_key_value_heads * c.head_dim, bias=c.attention_bias)
        self.v_proj = nn.Linear(c.hidden_size, c.num_key_value_heads * c.head_dim, bias=c.attention_bias)
        self.o_proj = nn.Linear(c.num_attention_heads * c.head_dim, c.hidden_size, bias=False)
        if c.qk_norm:
            self.q_norm = RMSNorm(c.head_dim, c.rms_norm_eps)
            self.k_norm = RMSNorm(c.head_dim, c.rms_norm_eps)
        self.qkv_weight, self.o_weight = MergedWeight(), MergedWeight()

    def forward(self, x: Tensor, context: AttentionContext) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        c, (b, t, _) = self.config, x.shape
        qkv = linear(x, self.qkv_weight, self.q_proj, self.k_proj, self.v_proj)
        qkv = qkv.view(b, t, c.num_attention_heads + 2 * c.num_key_value_heads, c.head_dim)  # (B, T, H + 2K, d)
        q, k, v = self.norm_rotate(qkv, context)
        if context.cache is not None:
            k, v = context.cache.update(k, v, self.layer_idx)  # (B, K, S, d)
        y = attend(q, k, v, context)  # (B, T, H, d)
        return linear(y.reshape(b, t, c.num_attention_heads * c.head_dim), self.o_weight, self.o_proj)  # (B, T, D)

    def norm_rotate(self, qkv: Tensor, context: AttentionContext) -> tuple[Tensor, Tensor, Tensor]:
        """qkv (B, T, H + 2K, d) -> q (B, H, T, d), as the backend wants it; k and v (B, K, T, d)."""
        c, weight = self.config, None
        heads, kv_heads = c.num_attention_heads, c.num_key_value_heads
        if c.qk_norm:
            weight = torch.cat([self.q_norm.weight.expand(heads, -1), self.k_norm.weight.expand(kv_heads, -1)])
        if context.backend.scaled_queries:
            return NormRotateFunction.apply(  # type: ignore[no-any-return]
                qkv, weight, kv_heads, c.rms_norm_eps, context.cos, context.sin
            )
        qk, v = qkv.split([heads + kv_heads, kv_heads], 2)
        if weight is not None:
            qk = rms_norm(qk, weight, c.rms_norm_eps)
        q, k = rotate(qk, context.cos, context.sin).transpose(1, 2).split([heads, kv_heads], 1)
        return q, k, v.transpose(1, 2)


class MLP(nn.Module):
    def __init__(self, c: ModelConfig):
        super().__init__()
        self.gate_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.up_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.down_proj = nn.Linear(c.intermediate_size, c.hidden_size, bias=False)
        self.gate_up_weight, self.down_weight = MergedWeight(), MergedWeight()

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        gate_up = linear(x, self.gate_up_weight, self.gate_proj, self.up_proj)  # (B, T, 2F)
        return linear(swiglu(gate_up), self.down_weight, self.down_proj)


def swiglu(gate_up: Tensor) -> Tensor:
    """silu(gate) * up (arXiv:2002.05202); gate and up side by side (..., 2F) -> (..., F)."""
    if use_cpu_kernels(gate_up):
        return SwiGLUFunction.apply(gate_up)  # type: ignore[no-any-return]
    gate, up = gate_up.chunk(2, -1)
    return F.silu(gate) * up


class DecoderLayer(nn.Module):
    def __init__(self, c: ModelConfig, layer_idx: int):
        super().__init__()
        self.input_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.self_attn = Attention(c, layer_idx)
        self.post_attention_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.mlp = MLP(c)
        self.compiled: Callable[[Tensor, AttentionContext], Tensor] | None = None

    def forward(self, x: Tensor, context: AttentionContext) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        if self.compiled is not None and torch.is_grad_enabled():
            return self.compiled(x, context)
        return self.compute(x, context)

    def compute(self, x: Tensor, context: AttentionContext) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), context)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """All that `Transformer` holds below its head, under Hugging Face's names."""

    def __init__(self, c: ModelConfig):
        super().__init__()
        self.embed_tokens = nn.Embedding(c.vocab_size, c.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(c, i) for i in range(c.num_hidden_layers))
        self.norm = RMSNorm(c.hidden_size, c.rms_norm_eps)


class Transformer(nn.Module):
    """Token ids -> hidden states; `logits` turns hidden states into scores over the vocabulary."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.dtype = torch.float32  # of the computation; weights stay fp32 while training
        self.compiled = False  # whether the layers are compiled while training
        self.model = Decoder(config)
        if not config.tie_word_embeddings:
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        half = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
        positions = torch.arange(config.max_position_embeddings, dtype=torch.float32)
        angles = torch.outer(positions, config.rope_theta**-half)
        self.cos: Tensor  # (positions, d/2)
        self.sin: Tensor
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    @property
    def head(self) -> Tensor:
        """(V, D)"""
        return self.model.embed_tokens.weight if self.config.tie_word_embeddings else self.lm_head.weight

    def attention_context(
        self,
        positions: Tensor,
        documents: Tensor | None = None,
        visible: Tensor | None = None,
        cache: CacheSlots | None = None,
    ) -> AttentionContext:
        """Where the tokens of one forward pass stand (positions (B or 1, T) int64) and what each of them sees.

        `documents` (B, T) int64: those before it in its own document; `visible` (B, 1, T, S) bool: where it is True;
        neither: all before it.
        """
        cos, sin = self.cos[positions].unsqueeze(2), self.sin[positions].unsqueeze(2)  # (B, T, 1, d/2)
        return make_context(cos, sin, self.dtype, self.compiled, documents, visible, cache)

    def forward(self, input_ids: Tensor, context: AttentionContext | None = None) -> Tensor:
        """input_ids (B, T) -> hidden states (B, T, D) in `dtype`. Without a context: one causal sequence a row."""
        if context is None:
            context = self.attention_context(torch.arange(input_ids.shape[1], device=input_ids.device)[None])
        x = F.embedding(input_ids, self.model.embed_tokens.weight).to(self.dtype)  # (B, T, D)
        for layer in self.model.layers:
            x = layer(x, context)
        return self.model.norm(x)  # type: ignore[no-any-return]

    def loss(self, input_ids: Tensor, context: AttentionContext, labels: Tensor, weights: Tensor) -> Tensor:
        """Weighted sum of the cross entropy in nats, (). labels (B, T) int64; weights (B, T) fp32, 0: no label."""
        hidden = Transformer.forward(self, input_ids, context)  # (B, T, D)
        if hidden.device.type == "xla":  # it compiles anew for every number of labels: all positions, some of weight 0
            hidden, labels, weights = hidden.flatten(0, 1), labels.flatten().clamp_min(0), weights.flatten()
        else:
            counts = weights > 0
            hidden, labels, weights = hidden[counts], labels[counts], weights[counts]  # (N, D), (N,), (N,)
        return CrossEntropyFunction.apply(hidden, self.head, labels, weights)  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V) in fp32."""
        return F.linear(hidden, self.head.to(hidden.dtype)).float()

    def compile_layers(self, on: bool = True) -> None:
        """Compiles the layers for training: all share one code, so once. Without gradients nothing changes."""
        self.compiled = on
        for layer in self.model.layers:
            assert isinstance(layer, DecoderLayer)
            layer.compiled = torch.compile(layer.compute, dynamic=False) if on else None

    def keep_merged_weights(self, keep: bool) -> None:
        """Whether linear layers keep their merged weights between steps: faster, at the price of a copy."""
        for module in self.modules():
            for value in vars(module).values():
                if isinstance(value, MergedWeight):
                    value.keep = keep

    def num_parameters(self) -> int:
        return sum(p.numel() for p in self.parameters())


def initialize(model: Transformer, seed: int) -> None:
    """Matrices uniform with variance 1/fan_in, what writes into the residual stream zero, embeddings normal 0.02."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() < 2:
                p.fill_(0.0 if name.endswith("bias") else 1.0)
            elif name.endswith(("o_proj.weight", "down_proj.weight")):
                p.zero_()
            elif "embed_tokens" in name or "lm_head" in name:
                p.normal_(0.0, 0.02, generator=generator)
            else:
                bound = math.sqrt(3 / p.shape[1])
                p.uniform_(-bound, bound, generator=generator)


# ---------------------------------------------------------------- the loss


class CrossEntropyFunction(torch.autograd.Function):
    """sum_i weight_i * (-log softmax(hidden_i @ head^T)[label_i]), without keeping all logits.

    The gradients are computed on the way, some rows at a time.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        """hidden (N, D), head (V, D), labels (N,) int64, weights (N,) fp32 -> () fp32."""
        cast, count = head.to(hidden.dtype), len(hidden)
        filling = -count % LOGIT_ROUND
        hidden = F.pad(hidden, (0, 0, 0, filling))
        labels, weights = F.pad(labels, (0, filling)), F.pad(weights, (0, filling))
        grad_hidden = torch.empty_like(hidden)
        grad_head = torch.zeros(head.shape, dtype=torch.float32, device=head.device)
        precise = torch.float64 if hidden.device.type != "mps" else torch.float32
        total = torch.zeros((), dtype=precise, device=hidden.device)
        step = logit_rows(len(head), hidden.device.type)
        for start in range(0, len(hidden), step):
            rows = slice(start, start + step)
            logits = (hidden[rows] @ cast.T).float()  # (N, V)
            label, weight = labels[rows, None], weights[rows, None]
            probabilities = torch.softmax(logits, -1, out=logits)  # in place: the largest tensor there is
            total -= (probabilities.gather(1, label).clamp_min_(SMALLEST).log_() * weight).sum()
            if not ctx.needs_input_grad[0]:
                continue
            grad_logits = probabilities.scatter_add_(1, label, -torch.ones_like(weight)).mul_(weight).to(hidden.dtype)
            torch.mm(grad_logits, cast, out=grad_hidden[rows])
            if hidden.dtype == torch.float32:
                grad_head.addmm_(grad_logits.T, hidden[rows])
            else:
                grad_head += (grad_logits.T @ hidden[rows]).float()
        ctx.save_for_backward(grad_hidden[:count], grad_head)
        return total.float()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_hidden, grad_head = ctx.saved_tensors
        return grad_hidden * grads[0].to(grad_hidden.dtype), grad_head * grads[0], None, None


def logit_rows(vocab_size: int, device: str = "cpu") -> int:
    """How many rows of logits are computed at a time."""
    least, most = LOGIT_ROWS
    if device != "cpu":
        return max(most, LOGIT_NUMBERS_GPU // vocab_size)
    return min(most, max(least, LOGIT_NUMBERS // vocab_size // LOGIT_ROUND * LOGIT_ROUND))
