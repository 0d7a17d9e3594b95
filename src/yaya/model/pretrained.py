"""Model folders in Hugging Face's format: in and out. Weights are safetensors only; nothing is unpickled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from yaya.core.files import atomic_file, write_atomic
from yaya.core.messages import UserError
from yaya.model.decoder import Transformer
from yaya.model.model_config import ModelConfig
from yaya.tokenize.tokenizer import Tokenizer

FP32_UP_TO = 100_000_000  # parameters; larger models are saved in bf16
SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
)
# Keys of config.json that change what a model computes, and the values that this decoder computes; absent: the first.
COMPUTED: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("silu", "swish"),
    "rope_type": ("default",),
    "layer_types": (["full_attention"],),
    "hidden_activation": (None, "silu", "swish"),
    "mlp_bias": (False, None),
    "partial_rotary_factor": (1.0, None),
    "use_sliding_window": (False, None),
    "quantization_config": (None,),
    "attn_logit_softcapping": (None, 0),
    "final_logit_softcapping": (None, 0),
    "embedding_multiplier": (1.0, None),
    "residual_multiplier": (1.0, None),
    "logits_scaling": (1.0, None),
    "no_rope_layers": (None, []),
}
LARGEST = 1 << 31
DTYPES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16", torch.int64: "I64", torch.uint8: "U8"}


def is_size(value: Any) -> bool:
    return type(value) is int and 0 < value < LARGEST


def is_amount(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < float("inf")


# The allowed values of the keys that this decoder uses, if they are given.
KINDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys((*SIZES, "num_key_value_heads", "head_dim"), is_size),
    **dict.fromkeys(("rope_theta", "rms_norm_eps"), is_amount),
    **dict.fromkeys(("tie_word_embeddings", "attention_bias"), lambda value: isinstance(value, bool)),
    **dict.fromkeys(("rope_parameters", "rope_scaling"), lambda value: isinstance(value, dict)),
    "layer_types": lambda value: isinstance(value, list) and all(isinstance(kind, str) for kind in value),
    "model_type": lambda value: isinstance(value, str),
}
# What distinguishes the architectures that this decoder covers.
ARCHITECTURES = {
    "qwen3": {"name": "Qwen3ForCausalLM", "qk_norm": True, "attention_bias": False},
    "qwen2": {"name": "Qwen2ForCausalLM", "qk_norm": False, "attention_bias": True},
    "llama": {"name": "LlamaForCausalLM", "qk_norm": False, "attention_bias": False},
}


def save_model(
    folder: Path, model: Transformer, tokenizer: Tokenizer, weights: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Writes an ordinary Hugging Face model folder. weights: given if the model's own are sharded over several processes.

    Saved in fp32 up to FP32_UP_TO parameters, else in bf16. A non-finite weight is a `UserError`; nothing is written.
    """
    dtype = torch.float32 if model.num_parameters() <= FP32_UP_TO else torch.bfloat16
    weights = {n: p.detach().to("cpu", dtype) for n, p in (weights or model.state_dict()).items()}
    bad = [name for name, w in weights.items() if not torch.isfinite(w).all()]
    if bad:
        raise UserError(
            f"Weights became NaN or infinite ({bad[0]}), so they were not saved.",
            f"权重变成了 NaN 或无穷大（{bad[0]}），没有保存。",
        )
    save_tensors(weights, folder / "model.safetensors")
    write_atomic(folder / "config.json", json.dumps(hf_config(model.config, tokenizer, dtype), indent=1))
    generation = {
        "eos_token_id": list(tokenizer.stop_ids),
        "pad_token_id": tokenizer.end_of_text,
        "do_sample": True,
        "temperature": 0.7,
        "top_p": 0.9,
    }
    write_atomic(folder / "generation_config.json", json.dumps(generation, indent=1))
    tokenizer.save(folder, model.config.max_position_embeddings)


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path, metadata: dict[str, str] | None = None) -> str:
    """Writes a safetensors file, completely or not at all, flushed to the disk; returns its sha256.

    Written here rather than by the library's own function, so that the digest needs no second read and a failing
    disk raises OSError. Format: https://huggingface.co/docs/safetensors (8 bytes of size, JSON, numbers).
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt", **(metadata or {})}}
    at = 0
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))  # so that all lie aligned
    for name, tensor in ordered:
        end = at + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    numbers = (tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy() for _, tensor in ordered)
    beginning: list[Any] = [len(text).to_bytes(8, "little"), text]
    with atomic_file(path) as file:
        for data in chain(beginning, numbers):
            digest.update(data)
            file.write(data)
    return digest.hexdigest()


def hf_config(c: ModelConfig, tokenizer: Tokenizer, dtype: torch.dtype) -> dict[str, Any]:
    """The contents of config.json for weights saved in `dtype`; rope_theta is where both older and newer readers look."""
    own = {f.name: getattr(c, f.name) for f in fields(c) if f.name != "qk_norm"}
    return own | {
        "architectures": [ARCHITECTURES[c.model_type]["name"]],
        "hidden_act": "silu",
        "rope_parameters": {"rope_type": "default", "rope_theta": c.rope_theta},
        "rope_scaling": None,
        "attention_dropout": 0.0,
        "use_sliding_window": False,
        "initializer_range": 0.02,
        "eos_token_id": tokenizer.turn_end,
        "pad_token_id": tokenizer.end_of_text,
        "torch_dtype": str(dtype).removeprefix("torch."),
        "use_cache": True,
    }


def read_config(folder: Path) -> ModelConfig:
    """A folder's config.json; `UserError` if it is missing, damaged, or asks for something that this decoder lacks."""
    path = folder / "config.json"
    raw = read_json_object(path)
    check_kinds(raw, path)
    kind = raw.get("model_type")
    if kind not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise UserError(
            f"{folder}: model_type {kind!r} is not supported; known: {known}.",
            f"{folder}：不支持 model_type {kind!r}；支持：{known}。",
        )
    # Old and new name of one setting; a folder may have both, since whoever extends the context by hand adds one
    ropes = [raw[name] for name in ("rope_parameters", "rope_scaling") if raw.get(name)]
    rope = {name: value for given in reversed(ropes) for name, value in given.items()}
    check_computed(raw, ropes, rope, path)
    for name in SIZES:
        if not isinstance(raw.get(name), int):
            raise UserError(f"{path} has no {name}.", f"{path} 里没有 {name}。")
    check_kinds(rope, path)
    switches = ARCHITECTURES[kind]
    heads = raw["num_attention_heads"]
    groups = raw.get("num_key_value_heads") or heads
    if heads % groups:
        raise UserError(
            f"{path}: {heads} attention heads cannot share {groups} key-value heads evenly.",
            f"{path}：{heads} 个注意力头不能平分 {groups} 个键值头。",
        )
    return ModelConfig(
        **{name: raw[name] for name in SIZES},
        num_key_value_heads=groups,
        head_dim=raw.get("head_dim") or raw["hidden_size"] // heads,
        rope_theta=float(rope.get("rope_theta") or raw.get("rope_theta") or 10000.0),
        rms_norm_eps=raw.get("rms_norm_eps") or 1e-6,
        tie_word_embeddings=bool(raw.get("tie_word_embeddings")),
        qk_norm=bool(switches["qk_norm"]),
        attention_bias=bool(raw.get("attention_bias", switches["attention_bias"])),
        model_type=kind,
    )


def read_json_object(path: Path) -> dict[str, Any]:
    """A folder's config.json. Raises `UserError` if it is missing or not a JSON object."""
    try:
        raw = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path.parent} has no config.json: it is not a model folder.",
            f"{path.parent} 里没有 config.json，不是模型文件夹。",
        ) from None
    except ValueError:
        raw = None
    if not isinstance(raw, dict):
        raise UserError(f"{path} is damaged.", f"{path} 已损坏。")
    return raw


def check_computed(raw: dict[str, Any], ropes: list[dict[str, Any]], rope: dict[str, Any], path: Path) -> None:
    """Raises `UserError` for a key that needs something this decoder does not compute (COMPUTED).

    ropes: the settings of rotary positions as the file has them; rope: all of them merged.
    """
    types = [given.get("rope_type", given.get("type", "default")) for given in ropes]
    found = raw | {name: rope[name] for name in ("partial_rotary_factor",) if name in rope}
    found["rope_type"] = next((kind for kind in types if kind != "default"), "default")
    found["layer_types"] = sorted(set(raw.get("layer_types") or ["full_attention"]))
    for name, computed in COMPUTED.items():
        if found.get(name, computed[0]) not in computed:
            raise UserError(
                f"{path}: {name} = {json.dumps(found[name])[:80]} is not supported; only {json.dumps(computed[0])} is.",
                f"{path}：不支持 {name} = {json.dumps(found[name])[:80]}，只支持 {json.dumps(computed[0])}。",
            )


def check_kinds(values: Mapping[str, Any], where: Path) -> None:
    """Raises `UserError` for a value that is not a valid size, number or the like."""
    for name, can_be in KINDS.items():
        value = values.get(name)
        if value is not None and not can_be(value):
            raise UserError(
                f"{where} is damaged: {name} = {json.dumps(value)[:80]} is impossible.",
                f"{where} 已损坏：{name} 不可能是 {json.dumps(value)[:80]}。",
            )


def load_model(folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Transformer:
    """The model of a folder, its weights in fp32, computing in `dtype`. Raises as `read_config` and `read_weights` do."""
    model = Transformer(read_config(folder))
    model.load_state_dict(read_weights(folder, model), strict=True)
    model.dtype = dtype
    return model.to(device)


def read_weights(folder: Path, model: Transformer) -> dict[str, torch.Tensor]:
    """All tensors of the model, by name, in fp32. Raises `UserError` for one that is missing, unknown or of a wrong shape."""
    try:
        weights = load_file(folder / "model.safetensors")
    except FileNotFoundError:
        raise UserError(f"{folder} has no model.safetensors.", f"{folder} 里没有 model.safetensors。") from None
    except SafetensorError as error:
        raise UserError(
            f"{folder / 'model.safetensors'} is damaged: {error}", f"{folder / 'model.safetensors'} 已损坏：{error}"
        ) from None
    if model.config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    wanted = model.state_dict()
    for name in sorted(wanted.keys() ^ weights.keys()):
        what = ("lacks", "缺少张量") if name in wanted else ("has an unknown", "里有未知的张量")
        raise UserError(
            f"{folder}/model.safetensors {what[0]} {name}.", f"{folder}/model.safetensors {what[1]} {name}。"
        )
    for name, tensor in weights.items():
        if tensor.shape != wanted[name].shape:
            shapes = f"{tuple(tensor.shape)} != {tuple(wanted[name].shape)}"
            raise UserError(
                f"{folder}: {name} has a different shape from config.json: {shapes}.",
                f"{folder}：{name} 的形状与 config.json 不符：{shapes}。",
            )
    return {name: tensor.float() for name, tensor in weights.items()}
