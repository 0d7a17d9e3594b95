"""Charts of the tune page: the trials' curves, each key against the loss, and which key mattered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup

from yaya.pages.charts import Scale, axis, label, line, log_ticks, path, rect, short, step_axis, svg, ticks, words
from yaya.pages.layout import Pair
from yaya.tune.runner import Record
from yaya.tune.space import Dimension, show

LEFT, RIGHT, TOP, BOTTOM = 44, 428, 30, 238


def marker(record: Record, best: Record) -> str:
    """The CSS class of a trial's marks: how it ended."""
    if record is best:
        return "best"
    return "recipe" if record["role"] == "default" else str(record["outcome"])


def curves(records: Sequence[Record], best: Record) -> Markup | None:
    """Validation loss by step, one line per trial: grey if it was stopped, the recipe's and the best on top."""
    shown = [r for r in records if len(r["curve"]) > 1]
    if not shown:
        return None
    every = [loss for r in shown for _, loss in r["curve"]]
    low, high = min(every), min(max(every), 3 * max(loss for _, loss in best["curve"]))
    log = low > 0 and high / low > 3
    low, high = (low / 1.06, high * 1.06) if log else (low - 0.06 * (high - low), high + 0.04 * (high - low))
    last = max(r["curve"][-1][0] for r in shown)
    x, y = axis(0, last, LEFT, RIGHT), capped(axis(low, high, BOTTOM, TOP, log), high)
    body = [words(("validation loss", "验证损失"), 2, 14, kind="axis")]
    body += loss_axis(y, log_ticks(low, high) if log else ticks(low, high, 5))
    body += step_axis(x, LEFT, RIGHT, BOTTOM)
    order = ("failed", "stopped", "complete", "recipe", "best")
    for r in sorted(shown, key=lambda r: order.index(marker(r, best))):
        kind = marker(r, best)
        body.append(path(r["curve"], x, y, f"run {kind}"))
        if kind in ("failed", "stopped"):
            step, loss = r["curve"][-1]
            body.append(f'<circle class="end {kind}" cx="{x(step):.1f}" cy="{y(loss):.1f}" r="2.4"/>')
    about = (
        f"{len(shown)} trials; the lowest ends at {best['loss']:.4f}.",
        f"{len(shown)} 个试验，最低的到 {best['loss']:.4f}。",
    )
    return svg(440, 280, "curves", ("Loss of all trials", "所有试验的损失"), about, body, "trials")


def capped(scale: Scale, high: float) -> Scale:
    """Values above the chart are drawn at its edge."""
    return lambda value: scale(min(value, high)) if value == value else scale(high)  # NaN too


def loss_axis(y: Scale, values: Sequence[float]) -> list[str]:
    out = []
    for value in values:
        out += [line(LEFT, y(value), RIGHT, y(value), "grid")]
        out += [label(f"{value:.4g}", LEFT - 6, y(value) + 4, "end", "tick")]
    return out


def scatter(dimension: Dimension, records: Sequence[Record], best: Record) -> Markup | None:
    """One key's values against the final loss; trials without one are drawn at the top edge. None if none has one."""
    done = [r for r in records if r["outcome"] == "complete"]
    losses = sorted(r["loss"] for r in done)
    if not losses:
        return None
    recipe = next((r["loss"] for r in done if r["role"] == "default"), losses[-1])
    low, high = losses[0], max(losses[len(losses) // 2], recipe)
    high = min(losses[-1], high + (high - low))
    margin = 0.08 * (high - low) or 0.01 * abs(high) or 1.0
    low, high = low - margin, high + margin
    place, marks = places(dimension, records)
    y = capped(axis(low, high, BOTTOM, TOP + 22), high)
    body = [words(("final loss", "最终损失"), 2, 14, kind="axis")]
    body += [*loss_axis(y, ticks(low, high, 4)), line(LEFT, BOTTOM, RIGHT, BOTTOM, "base")]
    for at, text in marks:
        body += [line(at, BOTTOM, at, BOTTOM + 4, "base"), label(text, at, BOTTOM + 17, "middle", "tick")]
    body.append(label(dimension.name, RIGHT, BOTTOM + 34, "end", "axis"))
    unfinished = [r for r in records if r["outcome"] != "complete" and r["values"][dimension.name] is not None]
    for r in (*unfinished, *(r for r in done if r is not best), best):
        value, kind = r["values"].get(dimension.name), marker(r, best)
        if value is None:
            continue
        height = y(r["loss"]) if r["outcome"] == "complete" else TOP + 4
        body.append(f'<circle class="trial {kind}" cx="{place(value):.1f}" cy="{height:.1f}" r="4.2"/>')
    about = (
        f"{dimension.name} from {marks[0][1]} to {marks[-1][1]}; the best has {show(best['values'][dimension.name])}.",
        f"{dimension.name} 从 {marks[0][1]} 到 {marks[-1][1]}；最好的是 {show(best['values'][dimension.name])}。",
    )
    title = (f"{dimension.name} and loss", f"{dimension.name} 与损失")
    return svg(440, 280, f"key-{dimension.name}", title, about, body, "trials")


def places(dimension: Dimension, records: Sequence[Record]) -> tuple[Callable[[Any], float], list[tuple[float, str]]]:
    """A function from values to places on the chart, and the ticks: (place, text)."""
    values = [r["values"][dimension.name] for r in records if r["values"].get(dimension.name) is not None]
    if dimension.choices:
        names = list(dict.fromkeys([*dimension.choices, *values]))
        wide = (RIGHT - LEFT) / len(names)
        at = {name: LEFT + wide * (number + 0.5) for number, name in enumerate(names)}
        return (lambda value: at[value]), [(place, show(name)) for name, place in at.items()]
    low, high = min(dimension.low, *values), max(dimension.high, *values)  # the recipe's may be outside
    log = dimension.log and low > 0
    x = axis(low, high, LEFT + 10, RIGHT - 10, log)
    marks = ticks(low, high, 5)
    if log:
        marks = [v for v in log_ticks(low, high) if high / low < 200 or f"{v:e}"[0] == "1"]
    return x, [(x(value), f"{value:g}" if value < 10_000 else short(value)) for value in marks]


def bars(shares: dict[str, float]) -> Markup:
    """Importance of each key."""
    x = axis(0, max(1e-9, *shares.values()), 170, 390)
    body, y = [], 8.0
    for name, value in shares.items():
        body += [label(name, 162, y + 11, "end", "small"), rect(170, y, 220, 13, "track")]
        body += [rect(170, y, x(value) - 170, 13, "column"), label(f"{value:.0%}", 434, y + 11, "end", "strong")]
        y += 24
    about = ", ".join(f"{name} {value:.0%}" for name, value in shares.items())
    title: Pair = ("Importance of the keys", "各个键的重要程度")
    return svg(440, int(y), "importance", title, (about, about), body)
