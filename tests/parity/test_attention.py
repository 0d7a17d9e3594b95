"""One `attend`, several backends: the same numbers from each, and which of them is chosen."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import flex_attention

from yaya.model import attention
from yaya.model.attention import BACKENDS, AttentionContext, attend, choose_backend, cpu
from yaya.model.decoder import Attention, Transformer
from yaya.model.model_config import ModelConfig

SHAPES = [(4, 4, True, 150), (4, 2, True, 300), (6, 2, False, 40)]  # heads, kv_heads, normed, positions


@pytest.mark.parametrize(
    ("training", "device", "dtype", "compiled", "packed", "name"),
    [
        (True, "cpu", torch.float32, False, True, "cpu_flash"),
        (True, "cpu", torch.bfloat16, False, True, "cpu_matmul"),
        (True, "cpu", torch.float16, False, False, "cpu_matmul"),
        (True, "cpu", torch.bfloat16, True, True, "sdpa"),
        (True, "cuda", torch.bfloat16, True, True, "flex"),
        (True, "cuda", torch.bfloat16, True, False, "sdpa"),
        (True, "cuda", torch.bfloat16, False, True, "sdpa"),
        (True, "mps", torch.float32, False, True, "sdpa"),
        (True, "xla", torch.bfloat16, False, True, "sdpa"),
        (False, "cpu", torch.float32, False, False, "sdpa"),
        (False, "cpu", torch.bfloat16, True, False, "sdpa"),
        (False, "cuda", torch.bfloat16, True, True, "sdpa"),
    ],
)
def test_the_choice(training: bool, device: str, dtype: torch.dtype, compiled: bool, packed: bool, name: str) -> None:
    assert choose_backend(training, device, dtype, compiled, packed) == name


def test_a_model_chooses_when_its_context_is_made() -> None:
    model = Transformer(ModelConfig(10, 32, 32, 1, 1, 1, 32, 64))
    positions, documents = torch.arange(8)[None], torch.zeros(1, 8, dtype=torch.int64)
    assert model.attention_context(positions, documents).backend is BACKENDS["cpu_flash"]
    with torch.no_grad():
        assert model.attention_context(positions, documents).backend is BACKENDS["sdpa"]
    model.dtype = torch.bfloat16
    assert model.attention_context(positions).backend is BACKENDS["cpu_matmul"]
    model.compiled = True
    assert model.attention_context(positions).backend is BACKENDS["sdpa"]


class Case:
    """One input for all backends: rows of several documents, or of one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, heads: int, kv_heads: int, normed: bool, positions: int):
        torch.manual_seed(0)
        self.monkeypatch, self.positions = monkeypatch, positions
        batch, d = 3, 16
        self.model = Transformer(ModelConfig(10, 64, 64, 1, heads, kv_heads, d, positions, qk_norm=normed))
        self.layer = self.model.model.layers[0].self_attn
        assert isinstance(self.layer, Attention)
        for name, p in self.layer.named_parameters():
            if "norm" in name:
                torch.nn.init.uniform_(p, 0.5, 1.5)
        self.qkv = torch.randn(batch, positions, heads + 2 * kv_heads, d)
        self.documents = torch.randint(0, 8, (batch, positions)).sort(-1).values

    def context(self, name: str, packed: bool) -> AttentionContext:
        self.monkeypatch.setattr(attention, "choose_backend", lambda *_: name)
        return self.model.attention_context(torch.arange(self.positions)[None], self.documents if packed else None)

    def output(self, context: AttentionContext) -> torch.Tensor:
        return attend(*self.layer.norm_rotate(self.qkv, context), context)

    def gradients(self, context: AttentionContext) -> list[torch.Tensor]:
        """The output, and the gradients of what goes in and of the norms."""
        self.layer.zero_grad()
        self.qkv = self.qkv.detach().requires_grad_()
        y = self.output(context)
        (y * torch.linspace(-1, 1, y.numel()).view(y.shape)).sum().backward()
        return [y, *(p.grad for p in (self.qkv, *self.layer.parameters()) if p.grad is not None)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_backend_can_be_exchanged(shape: tuple[int, int, bool, int], monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(monkeypatch, *shape)
    with torch.no_grad():
        wanted = case.output(case.context("sdpa", packed=True))
        assert wanted.shape == (3, shape[3], shape[0], 16)
        for name in BACKENDS:
            torch.testing.assert_close(
                case.output(case.context(name, packed=True)), wanted, atol=2e-5, rtol=1e-4, msg=name
            )


@pytest.mark.parametrize(("name", "at_once"), [("cpu_matmul", 1 << 20), ("cpu_matmul", 1), ("cpu_flash", 1 << 20)])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_hand_written_gradients_equal_autograd(
    shape: tuple[int, int, bool, int], packed: bool, name: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the same attention written with torch's own functions. at_once: scores; 1: row by row."""
    monkeypatch.setattr(cpu, "SCORES_AT_ONCE", at_once)
    case = Case(monkeypatch, *shape)
    context = case.context(name, packed)
    ours, plain = case.gradients(context), case.gradients(case.context("sdpa", packed))
    assert len(ours) == len(plain) == (4 if shape[2] else 2)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4)
    if name == "cpu_matmul" and shape[3] == 300:  # earlier documents are left out
        assert context.mask.keys(slice(256, 300))[0].start == (128 if packed else 0)


def test_flex_attention_has_no_backward_pass_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why a CPU never chooses it. When torch has one, the choice can be measured anew; its plain form agrees already."""
    case = Case(monkeypatch, 4, 2, True, 40)
    with pytest.raises(NotImplementedError):
        case.gradients(case.context("flex", packed=True))
    monkeypatch.setattr(flex_attention, "_validate_device", lambda *_: None)
    flex, plain = (case.gradients(case.context(name, packed=True)) for name in ("flex", "sdpa"))
    for a, b in zip(flex, plain, strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4)
