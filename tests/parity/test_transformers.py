"""The saved folder is what transformers reads: same logits, same ids, same greedy text; gradients against autograd."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from yaya.inference.engine import Engine
from yaya.inference.sampling import SamplingParams
from yaya.model.decoder import CrossEntropyFunction, MergedWeight, RMSNorm, Transformer, linear, rms_norm, swiglu
from yaya.model.model_config import ModelConfig
from yaya.model.pretrained import load_model, save_model
from yaya.tokenize import chat_template
from yaya.tokenize.tokenizer import Tokenizer, train

transformers = pytest.importorskip("transformers")

TEXTS = [
    "从前有一只小猫，它住在竹子镇。The cat's 12 apples aren't here!\n\n  indented\ttab  ",
    "你好，世界！ 3+4=7。 éèê naïve 😀 𠮷",
    "hello\r\nworld   \n\n\nend",
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    sample = (
        TEXTS
        + ["user\n", "assistant\n", "system\n"] * 50
        + ["The quick brown fox jumps. 你好世界从前有一只小猫。"] * 20
    )
    return train(iter(sample), 420, 1)


def random_model(tokenizer: Tokenizer, **switches: object) -> Transformer:
    sizes = dict(
        vocab_size=tokenizer.vocab_size,
        hidden_size=96,
        intermediate_size=160,
        num_hidden_layers=3,
        num_attention_heads=3,
        num_key_value_heads=3,
        head_dim=32,
        max_position_embeddings=128,
    )
    model = Transformer(ModelConfig(**(sizes | switches)))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0, 0.15, generator=generator) if p.dim() == 2 else p.uniform_(0.5, 1.5, generator=generator)
    return model


KINDS = {
    "qwen3": {},
    "qwen3-gqa": {"num_key_value_heads": 1},
    "qwen3-wide-heads": {"head_dim": 64, "num_key_value_heads": 1, "tie_word_embeddings": False},
    "llama": {"model_type": "llama", "qk_norm": False, "num_key_value_heads": 1, "rope_theta": 500000.0},
    "qwen2": {"model_type": "qwen2", "qk_norm": False, "attention_bias": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_logits_equal_transformers(kind: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_model(tmp_path, random_model(tokenizer, **KINDS[kind]), tokenizer)
    ours = load_model(tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert type(theirs).__name__.lower().startswith(kind.split("-")[0])
    ids = torch.randint(0, tokenizer.vocab_size, (3, 100), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        difference = (ours.logits(ours(ids)) - theirs(ids).logits).abs().max().item()
    assert difference < 1e-4


@pytest.mark.parametrize("kind", ["qwen3", "qwen3-gqa"])
def test_greedy_text_equals_transformers(kind: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_model(tmp_path, random_model(tokenizer, **KINDS[kind]), tokenizer)
    engine = Engine(load_model(tmp_path), tokenizer)
    engine.bias.zero_()  # transformers samples every id
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    for text in TEXTS:
        ids = tokenizer.encode(text)
        request = engine.generate([ids], SamplingParams(max_new_tokens=30, temperature=0))[0]
        out = theirs.generate(torch.tensor([ids]), max_new_tokens=30, do_sample=False)[0].tolist()[len(ids) :]
        assert request.output_ids == [i for i in out if i not in tokenizer.stop_ids]


def test_ids_equal_transformers(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_model(tmp_path, random_model(tokenizer), tokenizer)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in TEXTS:
        assert theirs(text).input_ids == tokenizer.encode(text)
        assert theirs.decode(tokenizer.encode(text)) == tokenizer.decode(tokenizer.encode(text)) == text


def test_chat_prompt_equals_template(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_model(tmp_path, random_model(tokenizer), tokenizer)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    messages = [
        {"role": "system", "content": "你是牙牙。"},
        {"role": "user", "content": "\n\n 你好  "},
        {"role": "assistant", "content": "Hi!\n"},
        {"role": "user", "content": ""},
    ]
    wanted = theirs.apply_chat_template(messages, add_generation_prompt=True, tokenize=True)["input_ids"]
    assert chat_template.prompt(tokenizer, messages) == wanted


def test_hand_written_gradients_equal_autograd() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 5, 3, 8, dtype=torch.float64)
    weight = torch.rand(3, 8, dtype=torch.float64) + 0.5

    def plain_rms(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return x * (x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt() * w

    def plain_swiglu(x: torch.Tensor) -> torch.Tensor:
        a, b = x.chunk(2, -1)
        return F.silu(a) * b

    pairs = [
        (lambda x: rms_norm(x.float(), weight.float(), 1e-6), lambda x: plain_rms(x, weight)),
        (swiglu, plain_swiglu),
    ]
    for ours, plain in pairs:
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        out_a, out_b = ours(a), plain(b)
        slope = torch.randn(out_b.shape, dtype=torch.float64)
        out_a.backward(slope.to(out_a.dtype))
        out_b.backward(slope)
        torch.testing.assert_close(out_a.double(), out_b, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(a.grad, b.grad, atol=1e-5, rtol=1e-5)


def test_merged_weights_follow_every_change() -> None:
    a, b = torch.nn.Linear(4, 3, bias=False), torch.nn.Linear(4, 2, bias=False)
    merged, x = MergedWeight(), torch.randn(5, 4)

    def check() -> None:
        torch.testing.assert_close(linear(x, merged, a, b), torch.cat([a(x), b(x)], -1))

    check()
    with torch.no_grad():
        torch._foreach_add_([a.weight, b.weight], 1.0)
    check()
    a.load_state_dict({"weight": torch.ones(3, 4)})
    check()
    b.weight = torch.nn.Parameter(torch.zeros(2, 4))
    check()
    (linear(x, merged, a, b) ** 2).sum().backward()
    torch.optim.AdamW([a.weight, b.weight], 0.1).step()
    check()


def test_weight_gradient_of_the_norm() -> None:
    x, norm = torch.randn(4, 6, 8, requires_grad=True), RMSNorm(8, 1e-6)
    torch.nn.init.uniform_(norm.weight)
    slope = torch.randn(4, 6, 8)
    norm(x).backward(slope)
    ours = norm.weight.grad.clone()
    norm.zero_grad()
    F.rms_norm(x, (8,), norm.weight, 1e-6).backward(slope)
    torch.testing.assert_close(ours, norm.weight.grad, atol=1e-5, rtol=1e-5)


def test_cross_entropy_equals_torch() -> None:
    torch.manual_seed(0)
    hidden, head = torch.randn(2100, 16), torch.randn(50, 16)
    labels, weights = torch.randint(0, 50, (2100,)), torch.rand(2100)
    a, b = hidden.clone().requires_grad_(), hidden.clone().requires_grad_()
    ha, hb = head.clone().requires_grad_(), head.clone().requires_grad_()
    ours = CrossEntropyFunction.apply(a, ha, labels, weights)
    plain = (F.cross_entropy(b @ hb.T, labels, reduction="none") * weights).sum()
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-3)
    (ours / 3).backward()
    (plain / 3).backward()
    torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ha.grad, hb.grad, rtol=1e-4, atol=1e-3)
