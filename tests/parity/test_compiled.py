"""What a GPU computes with (compiled layers, attention by blocks, rows made ahead) beside the CPU's own path."""

from __future__ import annotations

import shutil
from functools import partial

import pytest
import torch
from tests.unit.test_training import make_shard, tiny_model
from torch.nn.attention import flex_attention

from yaya.model import attention
from yaya.model.decoder import Transformer
from yaya.train.loop import accumulate, train_step
from yaya.train.loop_config import LoopConfig
from yaya.train.objective import LanguageModeling
from yaya.train.optimizer import Optimizer
from yaya.train.packing import DataMixture, PackedDataset

TEXT, CHAT = make_shard([30, 12, 7, 25, 90] * 8), make_shard([20, 9, 31] * 9, chat=True)


def objective(step_rows: int = 6) -> LanguageModeling:
    """Micro-batches of at most three rows of 32."""
    weights = [1, 0.5, 0.5, 1, 0]
    return LanguageModeling(
        DataMixture([(PackedDataset(TEXT, 32, 3, weights), 0.4), (PackedDataset(CHAT, 32, 3, weights), 0.6)]),
        step_rows,
        3,
    )


def gradients(model: Transformer) -> tuple[float, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():  # none is zero, as those of a fresh model are
            p.add_(torch.randn_like(p) * 0.1)
    loss, *_ = accumulate(model, objective(), 5)
    return loss, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def check_same(a: tuple[float, dict[str, torch.Tensor]], b: tuple[float, dict[str, torch.Tensor]]) -> None:
    assert a[0] == pytest.approx(b[0], rel=1e-5)
    for name, grad in a[1].items():
        torch.testing.assert_close(grad, b[1][name], rtol=1e-4, atol=2e-5, msg=name)


@pytest.mark.parametrize("kv_heads", [4, 2])
def test_attention_by_blocks_stays_inside_documents(kv_heads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """FlexAttention in its plain form: a CPU has no kernel for its backward pass, so torch refuses to begin."""
    shape = {"max_position_embeddings": 32, "num_attention_heads": 4, "head_dim": 16, "num_key_value_heads": kv_heads}
    plain, blocks = tiny_model(**shape), tiny_model(**shape)
    wanted = gradients(plain)
    monkeypatch.setattr(attention, "choose_backend", lambda *_: "flex")
    monkeypatch.setattr(flex_attention, "_validate_device", lambda *_: None)
    check_same(gradients(blocks), wanted)


@pytest.mark.skipif(shutil.which("g++") is None, reason="the compiler needs g++ on a CPU")
def test_compiled_layers_compute_the_same_and_are_compiled_once() -> None:
    plain, compiled = (tiny_model(max_position_embeddings=32, num_hidden_layers=4) for _ in range(2))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    compiled.compile_layers()
    check_same(gradients(compiled), gradients(plain))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1  # not one for each layer
    assert not torch._dynamo.utils.counters["graph_break"]
    with torch.no_grad():
        same = torch.randint(0, 50, (2, 9))
        torch.testing.assert_close(compiled(same), plain(same))


def test_rows_made_ahead_are_the_same() -> None:
    ahead, plain, cursor = objective(7), objective(7), 3
    model = tiny_model(max_position_embeddings=32)
    for step in range(6):
        if step == 4:  # back to a checkpoint: what was made ahead is not what comes now
            cursor = 10
        edges = [(cursor + a, cursor + b) for a, b in ((0, 2), (2, 4), (4, 7))]
        wanted, after = plain.batches(model, cursor)
        if step not in (0, 4):
            assert ahead.ahead is not None and ahead.ahead[0] == edges[0], "the next step's rows were made meanwhile"
        for one, other in zip(wanted, ahead.made_ahead(edges), strict=True):
            for name, tensor in vars(one).items():
                assert torch.equal(tensor, getattr(other, name)), name
        cursor = after


def test_where_the_compiler_fails_training_goes_on_without(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, compiled = (tiny_model(max_position_embeddings=32) for _ in range(2))
    config = LoopConfig(steps=1)

    def broken(graph: object, inputs: object) -> object:
        raise OSError("there is no compiler")

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=broken))
    compiled.compile_layers()
    rows = [train_step(m, objective(), Optimizer(m, config), 0, config, 1.0).row for m in (plain, compiled)]
    assert rows[0] == rows[1]
    assert capsys.readouterr().err.count("there is no compiler") == 1
