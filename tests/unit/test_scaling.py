"""What is said before a training begins: the size of the model, and the loss to expect."""

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import context

from yaya.core import artifact
from yaya.core.stage import PlanRequest
from yaya.model.decoder import logit_rows
from yaya.model.model_config import ModelConfig
from yaya.train import pretrain
from yaya.train.loop_config import LoopConfig
from yaya.train.plan import forecast, memory
from yaya.train.plan.forecast import LossForecast, Probe
from yaya.train.plan.sizes import SIZES, size_for
from yaya.train.pretrain import PretrainConfig


@pytest.mark.parametrize("size", SIZES[1:-1])
def test_a_model_sees_about_eight_tokens_for_each_of_its_parameters(size: tuple[int, int]) -> None:
    """On a machine where a token takes 1e-11 seconds a parameter: just the time for that takes this size."""
    parameters = [12 * layers * width**2 for width, layers in (*SIZES[1:5:3], size)]
    seen = [(float(n), 1e-11 * n) for n in parameters[:2]]
    token_seconds = 1e-11 * parameters[2]
    found = size_for(seen, 8 * parameters[2] * token_seconds, list(SIZES))
    assert found[0] == size and found[1] == pytest.approx(token_seconds)


def test_a_batch_is_about_the_root_of_the_tokens() -> None:
    """1.2 sqrt(D), as a power of two: 848, 2,400, 4,800 and 12,000 tokens; a row at least, 1,048,576 at most."""
    assert [forecast.batch_for(tokens, 256) for tokens in (5e5, 4e6, 1.6e7, 1e8)] == [1024, 2048, 4096, 16384]
    assert forecast.batch_for(1e4, 3000) == 3000 and forecast.batch_for(1e15, 256) == 2**20


def by_hand(pilot: Probe, weights: float, tokens: float, unique: float) -> float:
    """The law as bench/LOG.md has it: of a text, from 819,200 tokens and 147,456 weights on."""
    fall = math.log(pilot.final / pilot.early)
    repeats = max(0.0, tokens / unique - 1)
    worth = min(tokens, unique) + unique * 3 * (1 - math.exp(-repeats / 3))
    longer, larger = math.log(worth / forecast.PROBE_TOKENS), math.log(weights / 147_456)
    return pilot.final * math.exp(0.793 * fall * longer + 0.266 * fall * larger - 0.0196 * longer * larger)


def test_the_loss_to_expect_by_hand() -> None:
    """Worked out with a table of logarithms: four times the tokens, eight times the weights, both, half of them repeated."""
    pilot, tokens, weights = Probe(4.2, 3.62), 819_200, 147_456
    for longer, larger, unique, wanted in (
        (1, 1, 9, 3.62),
        (4, 1, 9, 3.0743),
        (1, 8, 9, 3.3345),
        (4, 8, 9, 2.6764),
        (4, 1, 2, 3.1027),
    ):
        prospect = LossForecast(larger * weights, longer * tokens, unique * tokens, pilot)
        assert prospect.loss() == pytest.approx(wanted, rel=1e-3)
        assert by_hand(pilot, larger * weights, longer * tokens, unique * tokens) == pytest.approx(wanted, rel=1e-3)
    assert LossForecast(8 * weights, 4 * tokens, 9e9, Probe(1.1, 0.54)).loss() == pytest.approx(
        0.2445, rel=1e-3
    )  # templates


@pytest.mark.parametrize(
    ("weights", "tokens", "came"),
    [
        (141_312, 3_299_328, 3.305),
        (1_208_320, 799_744, 3.362),
        (1_208_320, 2_398_208, 3.061),
        (4_669_440, 799_744, 3.288),
    ],
)
def test_the_loss_to_expect_beside_trainings_that_were_run(weights: int, tokens: int, came: float) -> None:
    """Two textbooks of OpenStax, 1,621,955 tokens; 2026-11-29, bf16. The law was not fitted to them."""
    assert LossForecast(weights, tokens, 1_621_955, Probe(4.23576, 3.68148)).loss() == pytest.approx(came, rel=0.06)


def test_more_tokens_and_more_parameters_lower_the_loss() -> None:
    for found in (Probe(4.2, 3.62), Probe(5.57, 5.15), Probe(2.26, 0.95), Probe(1.1, 0.54)):
        losses = [[LossForecast(n, d, 1e9, found).loss() for d in (8e5, 2e6, 5e6, 2e7)] for n in (2e5, 6e5, 2e6, 8e6)]
        for row in losses:
            assert row == sorted(row, reverse=True) and row[-1] > 0
        for column in zip(*losses, strict=True):
            assert list(column) == sorted(column, reverse=True)


def test_on_the_way_the_loss_falls_to_the_ends() -> None:
    prospect = LossForecast(600_000, 2e6, 1e9, Probe(4.2, 3.62))
    curve = [prospect.loss(done) for done in (0.01, 0.05, 0.1, 0.4, 0.8, 1.0)]
    assert curve == sorted(curve, reverse=True) and curve[-1] == prospect.loss()


def test_nothing_is_expected_of_trainings_unlike_all_that_were_measured() -> None:
    pilot = Probe(4.2, 3.62)
    assert LossForecast(600_000, 2e6, 1e9, pilot).is_known()
    assert (
        not LossForecast(100_000_000, 2e6, 1e9, pilot).is_known()
        and not LossForecast(600_000, 1e9, 1e9, pilot).is_known()
    )
    assert not LossForecast(600_000, 2e6, 1e9, Probe(4.0, 1.0)).is_known()  # learned at once: made of few templates


def test_repeated_text_is_worth_less_and_less() -> None:
    pilot = Probe(4.2, 3.62)
    gains = [LossForecast(600_000, 1e6 * n, 1e6, pilot).loss() for n in (1, 2, 4, 8, 16)]
    assert gains == sorted(gains, reverse=True)
    steps = [a - b for a, b in pairwise(gains)]
    assert steps == sorted(steps, reverse=True)
    assert gains[1] > LossForecast(600_000, 2e6, 1e9, pilot).loss()


@pytest.mark.parametrize("context_length", [128, 2048])
def test_a_pilot_flies_once_for_each_text(
    context_length: int,
    own_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in (("STEPS", 8), ("EARLY", 3), ("TOKENS", 8 * 1024)):
        monkeypatch.setattr(forecast, f"PROBE_{name}", value)
    inputs = {"tokenize": artifact.load(own_run / "tokenize")}
    config = PretrainConfig(context_length=context_length)

    def flown(config: PretrainConfig) -> dict:
        pretrain.look_ahead(config, inputs, context(tmp_path), None)
        return json.loads((tmp_path / "pilot.json").read_text("utf-8"))

    first = flown(config)
    assert first["found"]["early"] > first["found"]["final"] > 1
    written = (tmp_path / "pilot.json").stat().st_mtime_ns
    assert flown(config) == first and (tmp_path / "pilot.json").stat().st_mtime_ns == written
    monkeypatch.setattr(forecast, "PROBE_STEPS", 9)  # of another length: what it found holds no more
    assert flown(config)["found"]["final"] < first["found"]["final"]
    unique = sum(found["tokens"] for found in inputs["tokenize"].metrics["train"].values())
    training = replace(config, hidden_size=64, num_hidden_layers=3, steps=40, batch_tokens=1024)
    pretrain.plan(training, inputs, context(tmp_path), PlanRequest(60, measures=False))
    # 3 layers of 8 matrices of 64 x 32 (two heads) and 3 of 64 x 160
    wanted = by_hand(Probe(**flown(config)["found"]), 3 * (8 * 64 * 32 + 3 * 64 * 160), 40 * 1024, unique)
    assert f"expected validation loss: {wanted:.2f}." in capsys.readouterr().err


SMALL = ModelConfig(1000, 64, 128, 2, 2, 1, 32, 128)
LAYERS = 2 * (64 * 64 + 2 * 64 * 32 + 64 * 64 + 3 * 64 * 128)  # q, k and v, the way back; gate, up, down
TABLE = 1000 * 64


def loop(**keys: Any) -> LoopConfig:
    return LoopConfig(**{"micro_batch_tokens": 1024, "batch_tokens": 1024, **keys})


def test_the_memory_of_weights_and_optimizer_by_hand() -> None:
    """Muon: a momentum of each matrix, two numbers of the embeddings; AdamW: two of each. All of it once more in a save."""
    small = memory.activation_bytes(SMALL, 1024, 4) + 2e7
    muon = memory.memory_bytes(SMALL, loop(), "float32")
    weights, momenta, packed = 4 * (LAYERS + TABLE), 4 * (LAYERS + 2 * TABLE), 4 * LAYERS
    assert muon == 2 * weights + packed + momenta + (weights + momenta) + small
    adamw = memory.memory_bytes(SMALL, loop(optimizer="adamw"), "float32")
    assert adamw == 2 * weights + packed + 2 * weights + (weights + 2 * weights) + small
    untied = memory.memory_bytes(replace(SMALL, tie_word_embeddings=False), loop(), "float32")
    assert untied - muon == 3 * 4 * TABLE + 2 * 8 * TABLE  # a head of its own: weights, gradients, AdamW's numbers
    halves = memory.memory_bytes(SMALL, loop(), "bfloat16")
    assert halves == muon - small - packed / 2 + memory.activation_bytes(SMALL, 1024, 2) + 7e7
    several = memory.memory_bytes(SMALL, loop(batch_tokens=4096), "float32")
    assert several - muon == pytest.approx(0.15 * memory.activation_bytes(SMALL, 1024, 4))
    assert memory.memory_bytes(SMALL, loop(batch_tokens=512), "float32") - muon == pytest.approx(
        memory.activation_bytes(SMALL, 512, 4) - memory.activation_bytes(SMALL, 1024, 4)
    )


def test_muon_s_own_work_counts_where_it_is_the_most() -> None:
    """It turns all gates and ups at once, (8 + 3 x 4) bytes a number, while no activation lives."""
    wide = replace(SMALL, hidden_size=512, intermediate_size=2048, num_attention_heads=1)
    work = 20 * 2 * 2 * 512 * 2048
    few = loop(micro_batch_tokens=128, batch_tokens=128)
    assert work > memory.activation_bytes(wide, 128, 4)
    layers, table = 2 * (512 * 32 * 4 + 3 * 512 * 2048), 1000 * 512
    state = 3 * 4 * (layers + table) + 4 * layers + 2 * 4 * (layers + 2 * table)
    assert memory.memory_bytes(wide, few, "float32") == state + work + 2e7


def test_the_memory_of_logits() -> None:
    """Of as many rows as are computed at once: scores in fp32, and their gradient in the numbers of the computation."""
    one, two = replace(SMALL, vocab_size=100_000), replace(SMALL, vocab_size=100_010)
    for dtype, number in (("float32", 4), ("bfloat16", 2)):
        more = memory.activation_bytes(two, 4096, number) - memory.activation_bytes(one, 4096, number)
        assert more == logit_rows(100_000) * 10 * (4 + 2 * number) and logit_rows(100_000) == logit_rows(100_010), dtype
    fewer = memory.activation_bytes(one, 8, 4) - memory.activation_bytes(SMALL, 8, 4)
    assert fewer == 8 * (100_000 - 1000) * 12
