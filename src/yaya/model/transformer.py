"""One decoder for the Llama family: Llama, Qwen2 and Qwen3 differ in a few switches.

Shapes: B batch, T positions, D hidden_size, H query heads, K key/value heads, d head_dim, F intermediate_size,
V vocab_size, L layers, S positions in the cache. Tensor names are Hugging Face's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import flex_attention as flex

from yaya.model import fused
from yaya.model.fused import Packed, cross_entropy_sum, rms_norm, swiglu


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and switches under Hugging Face's names."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-6
    tie_word_embeddings: bool = True
    qk_norm: bool = True  # Qwen3
    attention_bias: bool = False  # Qwen2: on q, k and v
    model_type: str = "qwen3"


class KVCache:
    """Keys and values of B sequences, S positions each: (L, B, K, S, d)."""

    def __init__(self, config: ModelConfig, batch: int, positions: int, dtype: torch.dtype, device: str = "cpu"):
        shape = (config.num_hidden_layers, batch, config.num_key_value_heads, positions, config.head_dim)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)


class Attention(nn.Module):
    def __init__(self, c: ModelConfig):
        super().__init__()
        self.c = c
        self.q_proj = nn.Linear(c.hidden_size, c.num_attention_heads * c.head_dim, bias=c.attention_bias)
        self.k_proj = nn.Linear(c.hidden_size, c.num_key_value_heads * c.head_dim, bias=c.attention_bias)
        self.v_proj = nn.Linear(c.hidden_size, c.num_key_value_heads * c.head_dim, bias=c.attention_bias)
        self.o_proj = nn.Linear(c.num_attention_heads * c.head_dim, c.hidden_size, bias=False)
        if c.qk_norm:
            self.q_norm = Scale(c.head_dim)
            self.k_norm = Scale(c.head_dim)
        self.packed = Packed(), Packed()

    def forward(self, x: Tensor, where: Where, layer: int) -> Tensor:
        c, (b, t, _) = self.c, x.shape
        heads, kv_heads = c.num_attention_heads, c.num_key_value_heads
        qkv = linear(x, self.packed[0], self.q_proj, self.k_proj, self.v_proj)
        qkv = qkv.view(b, t, heads + 2 * kv_heads, c.head_dim)
        weight = None
        if c.qk_norm:
            weight = torch.cat([self.q_norm.weight.expand(heads, -1), self.k_norm.weight.expand(kv_heads, -1)])
        if fused.by_hand(x):
            y = fused.Attention.apply(qkv, weight, kv_heads, c.rms_norm_eps, where)  # (B, T, H, d)
        else:
            y = self.attend(qkv, weight, where, layer)
        return linear(y.reshape(b, t, heads * c.head_dim), self.packed[1], self.o_proj)

    def attend(self, qkv: Tensor, weight: Tensor | None, where: Where, layer: int) -> Tensor:
        """qkv (B, T, H + 2K, d), weight (H + K, d) of the norms -> (B, T, H, d), by torch's own attention."""
        heads, kv_heads = self.c.num_attention_heads, self.c.num_key_value_heads
        qk, v = qkv.split([heads + kv_heads, kv_heads], 2)
        if weight is not None:
            qk = rms_norm(qk, weight, self.c.rms_norm_eps)
        q, k = rotate(qk, where.cos, where.sin).transpose(1, 2).split([heads, kv_heads], 1)
        v = v.transpose(1, 2)
        if where.cache is not None:
            k, v = where.store(layer, k, v)
        if isinstance(where.mask, flex.BlockMask):
            y = flex.flex_attention(q, k, v, block_mask=where.mask, enable_gqa=kv_heads != heads)
            return y.transpose(1, 2)
        if kv_heads != heads:
            k, v = (z.repeat_interleave(heads // kv_heads, 1) for z in (k, v))
        causal = where.mask is None and q.shape[2] > 1
        return F.scaled_dot_product_attention(q, k, v, attn_mask=where.mask, is_causal=causal).transpose(1, 2)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (arXiv:2104.09864), halves rotated as in HF. x (B, T, H, d); cos, sin (B, T, 1, d/2) fp32."""
    first, second = x.float().chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)


class MLP(nn.Module):
    def __init__(self, c: ModelConfig):
        super().__init__()
        self.gate_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.up_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.down_proj = nn.Linear(c.intermediate_size, c.hidden_size, bias=False)
        self.packed = Packed(), Packed()

    def forward(self, x: Tensor) -> Tensor:
        gate_up = linear(x, self.packed[0], self.gate_proj, self.up_proj)
        return linear(swiglu(gate_up), self.packed[1], self.down_proj)


class Scale(nn.Module):
    """The weight of an RMSNorm."""

    def __init__(self, size: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))


class Layer(nn.Module):
    def __init__(self, c: ModelConfig):
        super().__init__()
        self.eps = c.rms_norm_eps
        self.input_layernorm = Scale(c.hidden_size)
        self.self_attn = Attention(c)
        self.post_attention_layernorm = Scale(c.hidden_size)
        self.mlp = MLP(c)
        self.compiled: Callable[[Tensor, Where, int], Tensor] | None = None

    def forward(self, x: Tensor, where: Where, layer: int) -> Tensor:
        if self.compiled is not None and torch.is_grad_enabled():
            return self.compiled(x, where, 0)  # only a cache asks for the number, and each would be compiled apart
        return self.compute(x, where, layer)

    def compute(self, x: Tensor, where: Where, layer: int) -> Tensor:
        x = x + self.self_attn(rms_norm(x, self.input_layernorm.weight, self.eps), where, layer)
        return x + self.mlp(rms_norm(x, self.post_attention_layernorm.weight, self.eps))


@dataclass
class Where:
    """Where the tokens of one forward pass stand: rotary angles, who sees whom, and the cache."""

    cos: Tensor  # (B, T, 1, d/2) fp32
    sin: Tensor
    # (B, 1, T, S): 0 where seen, else -inf; None: all earlier positions are seen; compiled attention has its own kind
    mask: Tensor | flex.BlockMask | None
    cache: KVCache | None = None
    first_row: int = 0  # the batch stands for rows first_row .. first_row + B of the cache
    positions: Tensor | None = None  # (B, T)
    seen: int = 0  # positions of the cache that are looked at
    products: bool = False  # training on a CPU: attention as matrix products instead of torch's kernel
    # What `block` has found, by the first query.
    query_blocks: dict[int, tuple[slice, Tensor]] = field(default_factory=dict)

    def block(self, queries: slice) -> tuple[slice, Tensor]:
        """The keys that some of these queries see, and what is added to their scores: (B or 1, 1, t, T)."""
        assert not isinstance(self.mask, flex.BlockMask)
        if (known := self.query_blocks.get(queries.start)) is not None:
            return known
        keys = slice(0, queries.stop)
        if self.mask is None:
            hidden = torch.ones(queries.stop - queries.start, queries.stop, dtype=torch.bool).triu_(queries.start + 1)
            added = torch.zeros(1, 1, *hidden.shape).masked_fill_(hidden, float("-inf"))
        else:
            seen = (self.mask[:, 0, queries, keys] == 0).flatten(0, 1).any(0)
            first = int(seen.int().argmax())
            # In whole blocks: oneDNN keeps code and memory for each shape that it meets.
            keys = slice(first // fused.QUERY_BLOCK * fused.QUERY_BLOCK, queries.stop)
            added = self.mask[:, :, queries, keys]
        self.query_blocks[queries.start] = keys, added
        return keys, added

    def store(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Writes k and v (B, K, T, d) at their positions; gives back all that is seen (B, K, seen, d), without a copy."""
        assert self.cache is not None
        here = slice(self.first_row, self.first_row + len(k))
        keys, values = self.cache.keys[layer, here], self.cache.values[layer, here]
        row = torch.arange(len(k), device=k.device)[:, None]
        keys[row, :, self.positions] = k.transpose(1, 2)
        values[row, :, self.positions] = v.transpose(1, 2)
        return keys[:, :, : self.seen], values[:, :, : self.seen]


class Body(nn.Module):
    def __init__(self, c: ModelConfig):
        super().__init__()
        self.embed_tokens = nn.Embedding(c.vocab_size, c.hidden_size)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.num_hidden_layers))
        self.norm = Scale(c.hidden_size)


class Transformer(nn.Module):
    """Token ids -> hidden states; `logits` turns hidden states into scores over the vocabulary."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.dtype = torch.float32  # of the computation; weights stay fp32 while training
        self.blocks = False  # whether documents in a row are kept apart by blocks (FlexAttention) while training
        self.model = Body(config)
        if not config.tie_word_embeddings:
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        half = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
        angles = torch.outer(
            torch.arange(config.max_position_embeddings, dtype=torch.float32), config.rope_theta**-half
        )
        self.cos: Tensor  # (positions, d/2)
        self.sin: Tensor
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    @property
    def head(self) -> Tensor:
        """(V, D)"""
        return self.model.embed_tokens.weight if self.config.tie_word_embeddings else self.lm_head.weight

    def where_packed(self, positions: Tensor, documents: Tensor) -> Where:
        """Each position sees those before it in its own document. positions, documents (B, T) int64."""
        if self.blocks and torch.is_grad_enabled():
            where = self.where(positions, None)
            where.mask = block_mask(documents)
            return where
        length = documents.shape[1]
        earlier = torch.ones(length, length, dtype=torch.bool, device=documents.device).tril()
        return self.where(positions, ((documents[:, :, None] == documents[:, None, :]) & earlier)[:, None])

    def where(self, positions: Tensor, mask: Tensor | None) -> Where:
        """positions (B, T) int64; mask (B, 1, T, S) bool, True where seen."""
        cos, sin = self.cos[positions], self.sin[positions]  # (B, T, d/2)
        if mask is not None:  # added to the scores: turned into numbers once, not in each layer
            mask = torch.zeros(mask.shape, dtype=self.dtype, device=mask.device).masked_fill_(~mask, float("-inf"))
        return Where(
            cos.unsqueeze(2), sin.unsqueeze(2), mask, products=self.dtype != torch.float32
        )  # bench/LOG.md: in fp32 the kernel is as fast

    def forward(self, input_ids: Tensor, where: Where | None = None) -> Tensor:
        """input_ids (B, T) -> hidden states (B, T, D) in the computation's dtype. Without `where`: one causal sequence a row."""
        if where is None:
            where = self.where(torch.arange(input_ids.shape[1], device=input_ids.device)[None], None)
        x = F.embedding(input_ids, self.model.embed_tokens.weight).to(self.dtype)  # (B, T, D)
        for i, layer in enumerate(self.model.layers):
            x = layer(x, where, i)
        return rms_norm(x, self.model.norm.weight, self.config.rms_norm_eps)

    def loss(self, input_ids: Tensor, where: Where, labels: Tensor, weights: Tensor) -> Tensor:
        """Weighted sum of the cross entropy in nats. labels (B, T) int64; weights (B, T) fp32, 0 where there is no label."""
        hidden = Transformer.forward(self, input_ids, where)  # (B, T, D)
        if hidden.device.type == "xla":  # it compiles anew for every number of labels: all positions, some of weight 0
            hidden, labels, weights = hidden.flatten(0, 1), labels.flatten().clamp_min(0), weights.flatten()
        else:
            counts = weights > 0
            hidden, labels, weights = hidden[counts], labels[counts], weights[counts]
        return cross_entropy_sum(hidden, self.head, labels, weights)

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V) in fp32."""
        return F.linear(hidden, self.head.to(hidden.dtype)).float()

    def compile_layers(self, on: bool = True) -> None:
        """Compiles the layers for training: the same code for all of them, so once. Without gradients nothing changes."""
        for layer in self.model.layers:
            assert isinstance(layer, Layer)
            layer.compiled = torch.compile(layer.compute, dynamic=False) if on else None
        self.blocks = on and self.head.device.type == "cuda"  # where FlexAttention has a backward pass

    def keep_packed(self, keep: bool) -> None:
        """Whether linear layers keep their weights packed between steps: faster, at the price of a copy."""
        for module in self.modules():
            for packed in getattr(module, "packed", ()):
                packed.keep = keep

    def num_parameters(self) -> int:
        return sum(p.numel() for p in self.parameters())


def linear(x: Tensor, packed: Packed, *layers: nn.Linear) -> Tensor:
    """x through several linear layers at once, their outputs side by side."""
    weights = tuple(layer.weight for layer in layers)
    biases: list[Tensor] = [layer.bias for layer in layers if layer.bias is not None]
    # XLA does not count every change, by which packed weights go, and the compiler does not look at the count.
    if not packed.keep or x.device.type == "xla" or torch.compiler.is_compiling():
        y = F.linear(x, torch.cat([weight.to(x.dtype) for weight in weights]))
    else:
        weight = packed.get(weights, x.dtype)
        y = fused.Linear.apply(x, weight, *weights) if torch.is_grad_enabled() else F.linear(x, weight)
    return y + torch.cat(biases).to(x.dtype) if biases else y


def block_mask(documents: Tensor) -> flex.BlockMask:
    """Which blocks of 128 by 128 positions have anything to see in them; documents (B, T) int64."""

    def seen(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return (documents[b, q] == documents[b, k]) & (q >= k)

    batch, length = documents.shape
    return flex.create_block_mask(seen, batch, None, length, length, documents.device, _compile=documents.is_cuda)


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
