"""Mixing: how often each source is read in training, so that it has the share that its weight asks for.

A small source is repeated, but at most `epochs_at_most` times: up to about four, repeated text is nearly as good as
new (Muennighoff et al., arXiv 2305.16264, section 5). The total stays what it is, unless that cap makes it smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from yaya.core.messages import UserError, say
from yaya.prepare.document import Portion


def check(weights: Sequence[float], sources: Sequence[str]) -> None:
    """UserError unless there is one positive weight for each source."""
    if weights and (len(weights) != len(sources) or any(not 0 < weight < 1e9 for weight in weights)):
        raise UserError(
            f"prepare.weights needs one number above 0 for each of prepare.sources: weights={list(weights)}, sources={list(sources)}.",
            f"prepare.weights 要给 prepare.sources 里的每个来源一个大于 0 的数：weights={list(weights)}，sources={list(sources)}。",
        )


def epochs_of(weights: Sequence[float], sizes: np.ndarray, at_most: float) -> np.ndarray:
    """How often each source is read. sizes: bytes of each source in training."""
    shares = np.asarray(weights) / np.sum(weights)
    there = sizes > 0
    shares = np.where(there, shares, 0) / shares[there].sum()
    total = min(float(sizes.sum()), float((at_most * sizes[there] / shares[there]).min()))
    return np.where(there, total * shares / np.maximum(sizes, 1), 0.0)


def times(id: bytes, epochs: float) -> int:
    """How often one document is read: the whole epochs, and perhaps once more, which its id decides."""
    whole = int(epochs)
    return whole + (int.from_bytes(id[8:12], "big") < (epochs - whole) * 2**32)


def drawn(portion: Portion, epochs: float) -> list[Portion]:
    """Repeats a portion `epochs` times; the fraction is a part of the text if texts are cut. May return nothing.

    Validation is read at most once, so that it has the mixture of training.
    """
    if epochs == 1:
        return [portion]
    document, text = portion.document, portion.document.text or ""
    if portion.split == "validation":
        if not portion.cut:
            return [portion] if times(portion.id, epochs) else []
        held = text[: round(len(text) * min(1.0, epochs))]
        return [portion if held == text else Portion.of_text("validation", document, held)] if held else []
    whole = int(epochs) if portion.cut else times(portion.id, epochs)
    names = ["train", *(f"train-p{number}" for number in range(2, whole + 2))]
    out = [portion if name == portion.split else replace(portion, split=name) for name in names[:whole]]
    part = text[: round(len(text) * (epochs % 1))] if portion.cut else ""
    if part.strip():
        out.append(Portion.of_text(names[whole], document, part, of=portion))
    return out


def are_drawn(ids: np.ndarray, epochs: np.ndarray) -> np.ndarray:
    """Which documents are read at all: `times` of each above 0. ids: (D, 16) bytes; epochs: (D,)."""
    part = np.ascontiguousarray(ids[:, 8:12]).view(">u4").ravel()
    return (epochs >= 1) | (part < epochs % 1 * 2**32)  # (D,)


def told(
    sources: Sequence[str], weights: Sequence[float], sizes: np.ndarray, epochs: np.ndarray
) -> list[dict[str, Any]]:
    """Says what the mixture is, and returns it for the manifest."""
    read = sizes * epochs
    rows: list[dict[str, Any]] = [
        {"source": s, "weight": float(w), "bytes": int(n), "epochs": round(float(e), 4), "share": round(float(r / read.sum()), 4)}
        for s, w, n, e, r in zip(sources, weights, sizes, epochs, read, strict=True)
    ]  # fmt: skip
    for row in rows:
        share, e = f"{row['share']:.1%}", row["epochs"]
        often = f"{e:.2f}" if e >= 0.1 or not e else f"{e:.1g}"
        say(
            f"[prepare] {row['source']}: {share} of the training text, {row['bytes'] / 1e6:,.2f} MB read {often} times",
            f"[prepare] {row['source']}：占训练文本的 {share}，{row['bytes'] / 1e6:,.2f} MB，读 {often} 遍",
        )
    return rows
