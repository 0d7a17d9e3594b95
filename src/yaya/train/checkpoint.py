"""What a resume needs, written whole or not at all: weights, optimizer and position, in fp32 and without pickling."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from yaya.core.artifact import file_digest, write_atomic
from yaya.core.say import say
from yaya.model.pretrained import save_tensors

KEEP = 2


@dataclass(frozen=True)
class Position:
    """How far training is: optimizer steps done, rows consumed by all ranks together, tokens and seconds so far."""

    step: int = 0
    cursor: int = 0
    tokens: int = 0
    seconds: float = 0.0


def save(
    folder: Path, position: Position, weights: dict[str, torch.Tensor], optimizer: dict[str, torch.Tensor]
) -> None:
    """Writes `folder/step-N`; the manifest `state.json` comes last, the oldest checkpoints go after that."""
    path = folder / f"step-{position.step:08}"
    temporary = folder / ".saving"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_tensors(weights, temporary / "weights.safetensors")
    save_tensors(optimizer, temporary / "optimizer.safetensors")
    digests = {file.name: file_digest(file) for file in temporary.iterdir()}
    write_atomic(temporary / "state.json", json.dumps({**vars(position), "sha256": digests}))
    shutil.rmtree(path, ignore_errors=True)
    os.replace(temporary, path)
    for old in sorted(folder.glob("step-*"))[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)


def load_last(folder: Path) -> tuple[Position, dict[str, torch.Tensor], dict[str, torch.Tensor]] | None:
    """The newest checkpoint that is whole; a damaged one is named and the one before is used."""
    for path in sorted(folder.glob("step-*"), reverse=True):
        try:
            state = json.loads((path / "state.json").read_text("utf-8"))
            if any(file_digest(path / name) != digest for name, digest in state.pop("sha256").items()):
                raise ValueError("checksum")
            return Position(**state), load_file(path / "weights.safetensors"), load_file(path / "optimizer.safetensors")
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            say(f"Checkpoint {path} is damaged; using the one before.", f"检查点 {path} 已损坏，改用前一个。")
    return None
