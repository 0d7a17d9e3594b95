"""What training writes and prints: metrics.jsonl, samples.jsonl, the tracker's curves, the coach's notes, the bar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from yaya.core import distributed
from yaya.core.files import json_lines, write_atomic
from yaya.core.messages import t
from yaya.core.progress import Bar
from yaya.train.callbacks import Progress, StepReport
from yaya.train.tracker import Write, curves


class Log:
    """The log of one training; only rank 0 writes it."""

    def __init__(self, folder: Path, bar: Bar, track: Write):
        self.bar, self.track, self.title = bar, track, bar.title
        self.last_loss = float("nan")
        self.paths = {name: folder / f"{name}.jsonl" for name in ("metrics", "samples") if distributed.is_main()}
        self.files: dict[str, Any] = {}

    def rewind(self, step: int) -> list[dict[str, Any]]:
        """Drops the rows after `step`, which lie beyond the checkpoint; returns the metrics that stay."""
        self.close()
        self.bar.done = step
        kept: list[dict[str, Any]] = []
        for name, path in self.paths.items():
            found = path.read_text("utf-8", errors="replace") if step and path.exists() else ""
            rows = [row for row in json_lines(found) if row["step"] <= step]
            known = [row["loss"] for row in rows if row.get("loss") is not None]
            self.last_loss = known[-1] if known else self.last_loss
            write_atomic(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            self.files[name] = path.open("a", encoding="utf-8", buffering=1)
            kept = rows if name == "metrics" else kept
        return kept

    def __call__(self, progress: Progress, report: StepReport) -> None:
        """One step's row, sample replies and notes."""
        row = report.row
        self.last_loss = self.last_loss if row["loss"] is None else row["loss"]
        if report.shown:
            self.bar.print(_look(self.title, row["step"], row | {"loss": self.last_loss}))
        for reply in report.replies:
            self._write("samples", {"step": row["step"], **reply})
            self.bar.print(f"  {reply['prompt']} → {reply['reply']}".replace("\n", " ")[:150])
        for note in report.notes:
            self.bar.print(t(f"[{self.title}] Coach: {note.en}", f"[{self.title}] 教练：{note.zh}"))
        self._write("metrics", row | ({"coach": [vars(note) for note in report.notes]} if report.notes else {}))
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
