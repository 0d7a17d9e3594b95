"""What training writes and says: metrics.jsonl, samples.jsonl, the tracker's curves, the coach's notes, the bar."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from yaya.core import distributed
from yaya.core.files import json_lines, write_atomic
from yaya.core.messages import say, t
from yaya.core.progress import Bar
from yaya.train.coach import Coach
from yaya.train.tracker import Write, curves

Curve = Callable[[float], float]  # share of the steps done -> validation loss


class Log:
    """One training's: rank 0's alone."""

    def __init__(self, folder: Path, bar: Bar, track: Write, expected: Curve | None):
        self.bar, self.track, self.title = bar, track, bar.title
        self.last_loss = float("nan")
        self.paths = {name: folder / f"{name}.jsonl" for name in ("metrics", "samples") if distributed.is_main()}
        self.files: dict[str, Any] = {}
        self.expected = expected
        self.coach = Coach(bar.total or 0, expected)

    def expect(self, expected: Curve | None) -> None:
        """The number of steps has changed, and with it what is usual."""
        self.expected = self.coach.expected = expected
        self.coach.steps = self.bar.total or 0
        if expected is not None:
            loss = f"{expected(1.0):.2f}"
            say(
                f"[{self.title}] loss to expect after so many steps: {loss}.",
                f"[{self.title}] 按这么多步，预计验证损失：{loss}。",
            )

    def rewind(self, step: int) -> None:
        """Keeps the rows up to `step`: those beyond the checkpoint are taken back, and the coach forgets them."""
        self.close()
        self.bar.done, self.coach = step, Coach(self.bar.total or 0, self.expected)
        for name, path in self.paths.items():
            found = path.read_text("utf-8", errors="replace") if step and path.exists() else ""
            rows = [row for row in json_lines(found) if row["step"] <= step]
            known = [row["loss"] for row in rows if row.get("loss") is not None]
            self.last_loss = known[-1] if known else self.last_loss
            write_atomic(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            self.files[name] = path.open("a", encoding="utf-8", buffering=1)
            if name == "metrics":
                self.coach.remember(rows)

    def add(self, row: dict[str, Any], replies: list[dict[str, str]], shown: bool) -> None:
        """One step's row and sample replies. shown: with a line of its own in the terminal."""
        self.last_loss = self.last_loss if row["loss"] is None else row["loss"]
        if shown:
            self.bar.print(_look(self.title, row["step"], row | {"loss": self.last_loss}))
        for reply in replies:
            self._write("samples", {"step": row["step"], **reply})
            self.bar.print(f"  {reply['prompt']} → {reply['reply']}".replace("\n", " ")[:150])
        notes = self.coach.look(row) + self.coach.hear(row["step"], [reply["reply"] for reply in replies])
        for note in notes:
            self.bar.print(t(f"[{self.title}] Coach: {note.en}", f"[{self.title}] 教练：{note.zh}"))
        self._write("metrics", row | ({"coach": [vars(note) for note in notes]} if notes else {}))
        self.track(curves(row), row["step"])
        self.bar.advance(1, f"{t('loss', '损失')} {self.last_loss:.3f}")

    def _write(self, name: str, row: dict[str, Any]) -> None:
        if name in self.files:
            self.files[name].write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        for file in self.files.values():
            file.close()


def _look(title: str, step: int, row: dict[str, Any]) -> str:
    if "bits_per_byte" in row:
        return t(
            f"[{title}] step {step:,}: loss {row['loss']:.3f}, validation {row['validation_loss']:.3f} ({row['bits_per_byte']:.3f} bits per byte)",
            f"[{title}] 第 {step:,} 步：损失 {row['loss']:.3f}，验证 {row['validation_loss']:.3f}（每字节 {row['bits_per_byte']:.3f} 比特）",
        )
    return t(f"[{title}] step {step:,}: loss {row['loss']:.3f}", f"[{title}] 第 {step:,} 步：损失 {row['loss']:.3f}")
