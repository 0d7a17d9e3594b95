"""A model's sizes and switches, under Hugging Face's names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelConfig:
    """One decoder for the Llama family: Llama, Qwen2 and Qwen3 differ in a few switches."""

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
