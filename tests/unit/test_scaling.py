"""What is said before a training begins: the size of the model, and the loss to expect."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from yaya.core import artifact
from yaya.core.runtime import Runtime
from yaya.train import pilot, planner, pretrain, scaling
from yaya.train.planner import SIZES, size_for
from yaya.train.pretrain import PretrainConfig
from yaya.train.scaling import Pilot, Prospect


def test_more_time_takes_a_larger_model() -> None:
    seen = [(12.0 * 3 * 96**2, 1e-5), (12.0 * 5 * 192**2, 5e-5)]
    sizes = [size_for(seen, seconds, list(SIZES))[0] for seconds in (20, 600, 60_000)]
    assert sizes == sorted(set(sizes))


def test_more_tokens_and_more_parameters_lower_the_loss() -> None:
    for found in (Pilot(4.2, 3.62), Pilot(5.57, 5.15), Pilot(2.26, 0.95), Pilot(1.1, 0.54)):
        losses = [[Prospect(n, d, 1e9, found).loss() for d in (8e5, 2e6, 5e6, 2e7)] for n in (2e5, 6e5, 2e6, 8e6)]
        for row in losses:
            assert row == sorted(row, reverse=True) and row[-1] > 0
        for column in zip(*losses, strict=True):
            assert list(column) == sorted(column, reverse=True)


def test_on_the_way_the_loss_falls_to_the_ends() -> None:
    prospect = Prospect(600_000, 2e6, 1e9, Pilot(4.2, 3.62))
    curve = [prospect.loss(done) for done in (0.01, 0.05, 0.1, 0.4, 0.8, 1.0)]
    assert curve == sorted(curve, reverse=True) and curve[-1] == prospect.loss()


def test_nothing_is_expected_of_trainings_unlike_all_that_were_measured() -> None:
    pilot = Pilot(4.2, 3.62)
    assert Prospect(600_000, 2e6, 1e9, pilot).is_known()
    assert not Prospect(100_000_000, 2e6, 1e9, pilot).is_known() and not Prospect(600_000, 1e9, 1e9, pilot).is_known()
    assert not Prospect(600_000, 2e6, 1e9, Pilot(4.0, 1.0)).is_known()  # learned at once: made of few templates


def test_repeated_text_is_worth_less_and_less() -> None:
    pilot = Pilot(4.2, 3.62)
    gains = [Prospect(600_000, 1e6 * n, 1e6, pilot).loss() for n in (1, 2, 4, 8, 16)]
    assert gains == sorted(gains, reverse=True)
    steps = [a - b for a, b in pairwise(gains)]
    assert steps == sorted(steps, reverse=True)
    assert gains[1] > Prospect(600_000, 2e6, 1e9, pilot).loss()


@pytest.mark.parametrize("context_length", [128, 2048])
def test_a_pilot_flies_once_for_each_text(
    context_length: int,
    tiny_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in (("STEPS", 8), ("EARLY", 3), ("TOKENS", 8 * 1024)):
        monkeypatch.setattr(scaling, f"PILOT_{name}", value)
    inputs = {"tokenize": artifact.load(tiny_run / "tokenize")}
    config = PretrainConfig(context_length=context_length)

    def flown(config: PretrainConfig) -> dict:
        pilot.fly(config, inputs, Runtime("cpu", "float32", 1), 0, tmp_path)
        return json.loads((tmp_path / "pilot.json").read_text("utf-8"))

    first = flown(config)
    assert first["found"]["early"] > first["found"]["final"] > 1
    written = (tmp_path / "pilot.json").stat().st_mtime_ns
    assert flown(config) == first and (tmp_path / "pilot.json").stat().st_mtime_ns == written
    monkeypatch.setattr(scaling, "PILOT_STEPS", 9)  # of another length: what it found holds no more
    assert flown(config)["found"]["final"] < first["found"]["final"]
    training = replace(config, hidden_size=64, num_hidden_layers=3, steps=40, batch_tokens=1024)
    told = pretrain.prospect(pretrain.fill_shape(training, inputs["tokenize"]), inputs["tokenize"], tmp_path)
    assert told is not None and told.loss() < first["found"]["final"]
    planner.plan({"pretrain": training}, inputs, Runtime("cpu", "float32", 1), 0, 60, tmp_path)
    assert f"loss to expect on held-out text: {told.loss():.2f}." in capsys.readouterr().err
