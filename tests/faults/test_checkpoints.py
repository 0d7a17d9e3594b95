"""Checkpoints that were damaged in any way are found out, named, and the one before is used; old formats load forever."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.unit.test_training import RATES, tiny_model

from yaya.model.pretrained import load_model
from yaya.train.checkpoint import CheckpointManager, TrainState, aside, damage
from yaya.train.loop import restore, shards
from yaya.train.optimizer import Optimizer

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture
def trainer(tmp_path: Path) -> Path:
    """Checkpoints of steps 1 and 2 of a tiny model whose weights are all 1, then all 2."""
    model = tiny_model()
    optimizer = Optimizer(model, RATES)
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step(1.0)
    saver = CheckpointManager(tmp_path / "trainer", 5)
    for step in (1, 2):
        with torch.no_grad():
            for p in model.parameters():
                p.fill_(step)
        saver.save(TrainState(step, 8 * step), shards(model, optimizer))
    saver.wait()
    return saver.folder


def flip_a_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) * 2 // 3] ^= 4
    file.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "deleted": lambda file: file.unlink(),
    "empty": lambda file: file.write_bytes(b""),
    "cut in half": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "one byte short": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "one bit flipped": flip_a_bit,
    "zeroed": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"x"),
    "of another step": lambda file: shutil.copy(file.parents[1] / "step-00000001" / file.name, file),
    "a folder": lambda file: (file.unlink(), file.mkdir())[0],
}


@pytest.mark.parametrize("name", ["state.json", "rank-00000.safetensors"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_the_checkpoint_before_is_used(
    name: str, damage: str, trainer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    DAMAGES[damage](trainer / "step-00000002" / name)
    model = tiny_model()
    optimizer = Optimizer(model, RATES)
    saver = CheckpointManager(trainer, 2)
    assert restore(saver, model, optimizer) == TrainState(1, 8)
    assert all((p == 1).all() for p in model.parameters())
    said = capsys.readouterr().err
    assert "step-00000002" in said and "damaged" in said
    assert (trainer / "damaged-step-00000002").exists()  # kept for whoever wants to know, and no longer counted
    saver.save(TrainState(3), shards(model, optimizer))
    saver.save(TrainState(4), shards(model, optimizer))
    saver.wait()
    assert sorted(p.name for p in trainer.glob("step-*")) == ["step-00000003", "step-00000004"]


def test_without_any_whole_checkpoint_training_begins_anew(trainer: Path) -> None:
    for folder in trainer.glob("step-*"):
        (folder / "state.json").write_text("{}")
    model = tiny_model()
    assert restore(CheckpointManager(trainer, 2), model, Optimizer(model, RATES)) == TrainState()


def test_the_last_whole_checkpoint_is_never_deleted(trainer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saves that fail leave the checkpoints before them alone, and no rubbish."""
    model = tiny_model()
    optimizer = Optimizer(model, RATES)
    saver = CheckpointManager(trainer, 1)
    restore(saver, model, optimizer)
    monkeypatch.setattr("yaya.train.checkpoint.save_tensors", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    for step in (3, 4, 5):
        saver.save(TrainState(step), shards(model, optimizer))
        with pytest.raises(OSError, match="full"):
            saver.wait()
    assert sorted(p.name for p in trainer.iterdir()) == ["step-00000001", "step-00000002"]


def test_weights_that_are_not_finite_are_not_saved(trainer: Path) -> None:
    model = tiny_model()
    optimizer = Optimizer(model, RATES)
    with torch.no_grad():
        model.head[3, 4] = float("inf")
    saver = CheckpointManager(trainer, 2)
    saver.save(TrainState(3), shards(model, optimizer))
    with pytest.raises(ValueError, match="NaN or infinite"):
        saver.wait()
    assert sorted(p.name for p in trainer.iterdir()) == ["step-00000001", "step-00000002"]


def test_a_checkpoint_of_format_1_loads() -> None:
    folder = FIXTURES / "checkpoint-1"
    model = load_model(folder)
    optimizer = Optimizer(model, RATES)
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(7)
    position = restore(CheckpointManager(folder / "trainer", 2), model, optimizer)
    assert (
        position.step == 17
        and position.cursor == json.loads((folder / "trainer/step-00000017/state.json").read_text())["cursor"]
    )
    assert not any((p == 7).all() for p in model.parameters() if p.dim() == 2)
    assert all(group.momenta.abs().sum() > 0 for group in optimizer.groups)
    assert len(optimizer.adamw.state) == len(optimizer.named)


def test_a_checkpoint_of_a_newer_yaya_is_refused(trainer: Path) -> None:
    from yaya.train.checkpoint import state_digest

    path = trainer / "step-00000002" / "state.json"
    state = json.loads(path.read_text()) | {"format": 99}
    state.pop("state_sha256")
    path.write_text(json.dumps(state | {"state_sha256": state_digest(state)}))
    model = tiny_model()
    with pytest.raises(ValueError, match="newer yaya"):
        restore(CheckpointManager(trainer, 2), model, Optimizer(model, RATES))


def test_a_checkpoint_holds_a_file_of_each_rank_and_its_state(trainer: Path) -> None:
    """The notes by which ranks say that theirs is complete are gone."""
    for step in (1, 2):
        found = sorted(path.name for path in (trainer / f"step-{step:08}").iterdir())
        assert found == ["rank-00000.safetensors", "state.json"]


@pytest.mark.parametrize(("written", "whole"), [(1, True), (2, False)])
def test_only_the_first_format_may_lack_the_digest_of_its_state(written: int, whole: bool, trainer: Path) -> None:
    path = trainer / "step-00000002" / "state.json"
    state = json.loads(path.read_text()) | {"format": written}
    del state["state_sha256"]
    path.write_text(json.dumps(state))
    assert (damage(trainer / "step-00000002") is None) == whole


def test_a_damaged_one_is_put_aside_under_a_name_that_is_told(trainer: Path) -> None:
    assert aside(trainer / "step-00000002") == "damaged-step-00000002"
    assert sorted(path.name for path in trainer.iterdir()) == ["damaged-step-00000002", "step-00000001"]
