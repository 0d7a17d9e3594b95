"""device=xla against our own CPU path, here on XLA's CPU. They run by `make xla`; elsewhere torch_xla is not installed."""

import importlib.util
import json
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_training import make_shard, tiny_model
from tests.conftest import context

from yaya.core.artifact import Draft
from yaya.core.machine import find_xla, pick_dtype
from yaya.core.messages import UserError
from yaya.model.pretrained import load_model, save_model
from yaya.tokenize.tokenizer import train as train_tokenizer
from yaya.train.callbacks import Watch
from yaya.train.language_model import bits_per_byte, write_samples
from yaya.train.loop import train, train_step
from yaya.train.loop_config import LoopConfig
from yaya.train.objective import LanguageModeling
from yaya.train.optimizer import Optimizer
from yaya.train.packing import DataMixture, PackedDataset

os.environ.setdefault("PJRT_DEVICE", "CPU")
xla_only = pytest.mark.skipif(
    importlib.util.find_spec("torch_xla") is None, reason="torch_xla is not installed: make xla"
)
STEPS = 20
NUMBERS = ("loss", "validation_loss", "bits_per_byte")
TEXT = make_shard([30, 12, 7, 25, 90] * 8)


def objective() -> LanguageModeling:
    """Micro-batches of three rows, two a step, with labels that count and others that do not."""
    weights = [1, 0.5, 0.5, 1, 0]
    chat = make_shard([20, 9, 31] * 9, chat=True)
    return LanguageModeling(
        DataMixture([(PackedDataset(TEXT, 32, 3, weights), 0.4), (PackedDataset(chat, 32, 3, weights), 0.6)]), 6, 4
    )


def rows(folder: Path, device: str, optimizer: str, stop_after: int = 0) -> list[dict[str, float]]:
    """Trains for STEPS steps, or until Ctrl-C comes at a look at the validation rows; gives back the numbers of each step."""
    folder.mkdir(exist_ok=True)
    model = tiny_model(max_position_embeddings=32).to(device)
    tokenizer = SimpleNamespace(token_bytes=[b"ab"] * 50)
    config = LoopConfig(steps=STEPS, optimizer=optimizer, warmup_steps=5, weight_decay=0.1, evaluations=STEPS)
    looks = 0

    def validate() -> dict[str, float]:
        nonlocal looks
        looks += 1
        if looks == stop_after:
            signal.raise_signal(signal.SIGINT)
        return bits_per_byte(model, TEXT, tokenizer, 32)  # type: ignore[arg-type]

    train(model, objective(), config, Draft(folder, "pretrain"), context(folder), Watch(validate))
    written = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [{name: row[name] for name in NUMBERS if name in row} for row in written]


@xla_only
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_xla_trains_as_the_cpu_does_and_resumes_to_the_same_numbers(tmp_path: Path, optimizer: str) -> None:
    find_xla()
    cpu, xla = (rows(tmp_path / device, device, optimizer) for device in ("cpu", "xla"))
    assert len(xla) == STEPS and xla[-1]["validation_loss"] < xla[0]["validation_loss"] - 0.05
    for step, (a, b) in enumerate(zip(cpu, xla, strict=True), 1):
        assert b == pytest.approx(a, abs=1e-4), f"step {step}"
    with pytest.raises(KeyboardInterrupt):
        rows(tmp_path / "resumed", "xla", optimizer, stop_after=9)
    assert rows(tmp_path / "resumed", "xla", optimizer) == xla


@xla_only
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_nothing_is_compiled_after_the_first_steps(optimizer: str) -> None:
    find_xla()
    from torch_xla.debug.metrics import metric_data

    model, goal = tiny_model(max_position_embeddings=32).to("xla"), objective()
    config = LoopConfig(optimizer=optimizer, weight_decay=0.1)
    made, cursor, compiled = Optimizer(model, config), 0, []
    for step in range(8):
        cursor = train_step(model, goal, made, cursor, config, (step + 1) / 11).cursor
        compiled.append(metric_data("CompileTime")[0])
    assert compiled[2:] == compiled[2:3] * 6


@xla_only
def test_the_engine_writes_on_the_cpu_and_models_are_saved_and_loaded(tmp_path: Path) -> None:
    find_xla()
    assert pick_dtype("xla") == "float32"
    tokenizer = train_tokenizer(iter(["abc abc abab bca", "小猫 and 小狗 say hello.\n"] * 40), 340, 1)
    model = tiny_model(vocab_size=tokenizer.vocab_size)
    prompts = [("abc", tokenizer.encode("abc abab")), ("小猫", tokenizer.encode("小猫 and"))]
    wanted = write_samples(model, tokenizer, prompts)
    assert write_samples(model.to("xla"), tokenizer, prompts) == wanted
    assert model.head.device.type == "xla"
    save_model(tmp_path, model, tokenizer)
    assert write_samples(load_model(tmp_path, "xla"), tokenizer, prompts) == wanted


def test_without_torch_xla_the_device_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_xla", None)
    with pytest.raises(UserError, match="pip install torch"):
        find_xla()


@xla_only
def test_xla_is_for_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="one process"):
        find_xla()
