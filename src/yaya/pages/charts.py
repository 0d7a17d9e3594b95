"""Charts of the pages: small functions from numbers to inline SVG. Colours and fonts come from page.css."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from markupsafe import Markup, escape

from yaya.pages.layout import Pair, is_number

Point = tuple[float, float]
Scale = Callable[[float], float]  # from values to places on the picture
DOTS = 260  # points that are drawn of a curve


def words(pair: Pair, x: float, y: float, anchor: str = "start", kind: str = "") -> str:
    """A label in both languages; the page shows one."""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    both = zip(("en", "zh"), pair, strict=True)
    return "".join(f'<text class="{lang} {kind}" lang="{lang}" {place}>{escape(text)}</text>' for lang, text in both)


def label(text: str, x: float, y: float, anchor: str = "start", kind: str = "") -> str:
    """A label that is the same in both languages: a number."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" rx="1.5"/>'


def svg(width: int, height: int, name: str, title: Pair, about: Pair, body: Sequence[str], kind: str = "") -> Markup:
    """The SVG with a title and a description for screen readers."""
    head = f"<title id='{name}-t'>{escape(' · '.join(title))}</title>"
    head += f"<desc id='{name}-d'>{escape(' '.join(about))}</desc>"
    marks = f"class='chart {kind}' role='img' aria-labelledby='{name}-t {name}-d' viewBox='0 0 {width} {height}'"
    return Markup(f"<svg {marks}>{head}{''.join(body)}</svg>")


def axis(low: float, high: float, start: float, end: float, log: bool = False) -> Scale:
    """Maps values to places on the picture."""
    see = (lambda v: math.log(max(v, 1e-12))) if log else (lambda v: v)
    first, span = see(low), (see(high) - see(low)) or 1.0
    return lambda value: start + (see(value) - first) / span * (end - start)


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round values between the two, about `count` of them."""
    rough = (high - low) / max(count, 1)
    if rough <= 0:
        return [low]
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, ... between the two."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [m * 10**p for p in powers for m in (1, 2, 5) if low <= m * 10**p <= high]


def short(value: float) -> str:
    """`1500` -> `1,500`, `0.25` -> `0.25`, `12345` -> `12k`."""
    if abs(value) >= 10_000:
        return f"{value / 1000:,.0f}k" if abs(value) < 1_000_000 else f"{value / 1_000_000:,.1f}M"
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.3g}"


def _apart(values: Sequence[float]) -> list[str]:
    """The values in short, with as many digits as needed to tell them apart."""
    texts = [short(value) for value in values]
    for digits in range(4, 9):
        if len(set(texts)) == len(texts):
            break
        texts = [short(value) if value >= 10 else f"{value:.{digits}g}" for value in values]
    return texts


def smooth(values: Sequence[float]) -> list[float]:
    """A centred moving average, which does not lag; its reach grows up to a twentieth of the curve."""
    sums, out, last = [0.0, *accumulate(values)], [], len(values) - 1
    for i in range(len(values)):
        half = min(i // 4, len(values) // 40)
        low, high = max(0, i - half), min(last, i + half) + 1
        out.append((sums[high] - sums[low]) / (high - low))
    return out


def thin(points: Sequence[Point], most: int = DOTS) -> list[Point]:
    """Evenly spaced points, about `most` of them, always including the last."""
    step = max(1, math.ceil(len(points) / most))
    return [*points[:-1:step], points[-1]] if points else []


def path(points: Sequence[Point], x: Scale, y: Scale, kind: str, shape: str = "polyline") -> str:
    """A line through the points; shape="polygon": a filled outline."""
    places = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
    return f'<{shape} class="{kind}" points="{places}"/>'


def dots(points: Sequence[Point], x: Scale, y: Scale, kind: str) -> str:
    """Many small dots as one path."""
    return f'<path class="{kind}" d="{"".join(f"M{x(a):.1f} {y(b):.1f}h0" for a, b in points)}"/>'


def curve(rows: Sequence[dict[str, Any]], key: str) -> list[Point]:
    """The finite values of one key by step."""
    found = [(row.get("step"), row.get(key)) for row in rows]
    return [(float(s), float(v)) for s, v in found if is_number(s) and is_number(v)]


def loss_chart(
    name: str,
    rows: Sequence[dict[str, Any]],
    title: Pair,
    blind: float | None = None,
    usual: Sequence[Point] = (),
    spread: float = 0.0,
) -> Markup | None:
    """Loss by step: faint dots, the smoothed line, the validation loss; the right-hand axis shows exp(loss).

    blind: the loss of blind guessing, drawn as a dashed line. usual: the expected validation loss, drawn as a band that
    reaches a share `spread` above and below. None with fewer than two points.
    """
    raw, held = curve(rows, "loss"), thin(curve(rows, "validation_loss"), 60)
    if len(raw) < 2:
        return None
    even = list(zip([s for s, _ in raw], smooth([v for _, v in raw]), strict=True))
    every = [v for _, v in (*raw, *held, *usual)] + ([blind] if blind else [])
    low, high = max(min(every), 1e-3), max(every)
    log = high / low > 6
    low, high = (low / 1.12, high * 1.12) if log else (max(0.0, low - 0.08 * (high - low)), high * 1.03)
    width, height, left, right, top, bottom = 440, 280, 36, 390, 30, 242
    x, y = axis(raw[0][0], raw[-1][0], left, right), axis(low, high, bottom, top, log)
    body = [words(("loss", "损失"), 2, 14, kind="axis")]
    body.append(words(("like choosing among", "相当于几选一"), 438, 14, "end", "axis"))
    values = log_ticks(low, high) if log else ticks(low, high, 5)
    choices = _apart([math.exp(min(value, 20)) for value in values])
    for value, choice in zip(values, choices, strict=True):
        body.append(line(left, y(value), right, y(value), "grid"))
        body.append(label(short(value), left - 6, y(value) + 4, "end", "tick"))
        body.append(label(choice, right + 9, y(value) + 4, "start", "tick"))
    body += step_axis(x, left, right, bottom)
    if blind:
        guess = (f"blind guessing {blind:.2f}", f"闭眼瞎猜 {blind:.2f}")
        body.append(line(left, y(blind), right, y(blind), "blind"))
        body.append(words(guess, right - 2, y(blind) - 6, "end", "note halo"))
    if len(usual) > 1:
        lower = [(s, max(low, v / (1 + spread))) for s, v in usual]
        outline = [*((s, min(high, v * (1 + spread))) for s, v in usual), *reversed(lower)]
        body.append(path(outline, x, y, "band", "polygon"))
    body += [dots(thin(raw), x, y, "raw"), path(thin(even), x, y, "curve")]
    if held:
        body += [path(held, x, y, "held-line")]
        body += [f'<circle class="held" cx="{x(a):.1f}" cy="{y(b):.1f}" r="3.2"/>' for a, b in held]
    body += line_names(even, held, x, y)
    about = (
        f"From {even[0][1]:.2f} at the first step to {even[-1][1]:.2f} at step {raw[-1][0]:.0f}.",
        f"从第一步的 {even[0][1]:.2f} 到第 {raw[-1][0]:.0f} 步的 {even[-1][1]:.2f}。",
    )
    return svg(width, height, name, title, about, body)


def line_names(even: list[Point], held: list[Point], x: Scale, y: Scale) -> list[str]:
    """The lines' names, the upper line's above it and the lower one's below."""
    at = even[int(len(even) * 0.6)]
    if not held:
        return [words(("training", "训练"), x(at[0]), y(at[1]) - 12, "middle", "name halo")]
    near = min(held, key=lambda p: abs(p[0] - at[0]))
    at = min(even, key=lambda p: abs(p[0] - near[0]))
    above = near[1] > at[1]
    held_at, own_at = y(near[1]) + (-11 if above else 21), y(at[1]) + (24 if above else -14)
    return [
        words(("held-out", "没见过的"), x(near[0]), held_at, "middle", "name held-name halo"),
        words(("training", "训练"), x(at[0]), own_at, "middle", "name halo"),
    ]


def step_axis(x: Scale, left: float, right: float, bottom: float) -> list[str]:
    """Ticks for the steps that `x` shows."""
    span = (x(1) - x(0)) or 1
    first, last = (left - x(0)) / span, (right - x(0)) / span
    out = [line(left, bottom, right, bottom, "base")]
    for value in ticks(first, last, 4):
        out.append(line(x(value), bottom, x(value), bottom + 4, "base"))
        out.append(label(short(value), x(value), bottom + 17, "middle", "tick"))
    return [*out, words(("step", "步"), right, bottom + 33, "end", "axis")]


def rate_chart(name: str, rows: Sequence[dict[str, Any]], title: Pair) -> Markup | None:
    """The learning rate by step; None with fewer than two points."""
    rates = curve(rows, "learning_rate")
    if len(rates) < 2:
        return None
    high = max(v for _, v in rates) or 1.0
    left, right, top, bottom = 36, 390, 24, 76
    x, y = axis(rates[0][0], rates[-1][0], left, right), axis(0, high, bottom, top)
    body = [words(("learning rate", "学习率"), 2, 12, kind="axis"), line(left, bottom, right, bottom, "base")]
    body.append(label(short(high), right + 9, top + 4, "start", "tick"))
    body.append(label("0", right + 9, bottom + 4, "start", "tick"))
    body += [line(left, top, right, top, "grid"), path(thin(rates), x, y, "rate")]
    about = (f"Peaks at {high:g}, ends at {rates[-1][1]:.3g}.", f"最高 {high:g}，最后 {rates[-1][1]:.3g}。")
    return svg(440, 84, name, title, about, body)


def score_chart(
    name: str,
    title: Pair,
    now: dict[str, dict],
    before: dict[str, dict],
    skills: dict[str, Pair],
    langs: dict[str, Pair],
) -> Markup:
    """Bars of correct answers: overall with interval, then by skill; a ring marks the value before fine-tuning.

    now, before: language -> {"accuracy", "n", "interval", "skills": {skill: {"accuracy", "n"}}}.
    """
    left, right, width = 112, 270, 310
    x = axis(0, 1, left, right)
    y, body = 8.0, []
    for lang, result in now.items():
        body += [words(langs[lang], left - 8, y + 12, "end", "strong"), rect(left, y + 2, right - left, 12, "track")]
        body += [rect(left, y + 2, x(share(result)) - left, 12, f"bar {lang}-bar"), *whisker(x, y + 8, result)]
        body += [ring(x, y + 8, before.get(lang), 4), label(f"{share(result):.0%}", width, y + 12, "end", "strong")]
        y += 24
    y += 8
    known = [s for s in skills if any(s in result.get("skills", {}) for result in now.values())]
    known += [s for result in now.values() for s in result.get("skills", {}) if s not in known]
    for skill in dict.fromkeys(known):
        body.append(words(skills.get(skill, (skill, skill)), left - 8, y + 4 + 6 * len(now), "end", "skill"))
        for lang, result in now.items():
            found = result.get("skills", {}).get(skill)
            if found:
                body.append(rect(left, y, right - left, 8, "track"))
                body.append(rect(left, y, x(share(found)) - left, 8, f"bar {lang}-bar"))
                body.append(ring(x, y + 4, before.get(lang, {}).get("skills", {}).get(skill), 3))
                body.append(label(f"{share(found):.0%}", width, y + 8, "end", "small"))
            y += 12
        y += 8
    about = (
        "; ".join(f"{langs[k][0]} {share(r):.0%} of {r.get('n', 0)}" for k, r in now.items()) + ".",
        "；".join(f"{langs[k][1]} {r.get('n', 0)} 题中答对 {share(r):.0%}" for k, r in now.items()) + "。",
    )
    return svg(width, math.ceil(y), name, title, about, body, "scores")


def share(result: dict[str, Any]) -> float:
    value = result.get("accuracy")
    return min(1.0, max(0.0, float(value))) if is_number(value) else 0.0  # type: ignore[arg-type]


def whisker(x: Scale, y: float, result: dict[str, Any]) -> list[str]:
    """The 95% interval as a thin line with ends."""
    interval = result.get("interval")
    if not interval or len(interval) != 2 or not all(map(is_number, interval)):
        return []
    low, high = x(interval[0]), x(interval[1])
    ends = [line(end, y - 4, end, y + 4, "whisker") for end in (low, high)]
    return [line(low, y, high, y, "whisker"), *ends]


def ring(x: Scale, y: float, result: dict[str, Any] | None, radius: float) -> str:
    return f'<circle class="ring" cx="{x(share(result)):.1f}" cy="{y:.1f}" r="{radius}"/>' if result else ""


def share_bar(name: str, title: Pair, parts: Sequence[float]) -> Markup:
    """One bar cut into parts; the table beside it names them by the same colours."""
    total, at, body = sum(parts) or 1.0, 0.0, []
    for i, part in enumerate(parts):
        place = f'x="{1000 * at / total:.2f}" y="0" width="{1000 * part / total:.2f}" height="10"'
        body.append(f'<rect class="part{i}" {place}/>')
        at += part
    about = ", ".join(f"{part / total:.0%}" for part in parts)
    picture = svg(1000, 10, name, title, (about, ""), body, "shares")
    return Markup(str(picture).replace("<svg ", "<svg preserveAspectRatio='none' ", 1))


def length_chart(name: str, title: Pair, lengths: Sequence[dict[str, Any]]) -> Markup | None:
    """A histogram of documents by length in characters; None if that is unknown."""
    rows = [r for r in lengths if all(is_number(r.get(k)) for k in ("from", "to", "documents"))]
    if not rows:
        return None
    found = {r["from"]: r["documents"] for r in rows}
    edge, last = min(found), max(found)
    rows = []
    while edge <= last and len(rows) < 40:  # lengths without documents are shown, too
        rows.append({"from": edge, "documents": found.get(edge, 0)})
        edge = max(1, 2 * edge)
    most = max(r["documents"] for r in rows) or 1
    wide = min(54.0, 424 / len(rows))
    body = [line(8, 108, 8 + wide * len(rows), 108, "base")]
    for i, row in enumerate(rows):
        tall = 78 * row["documents"] / most
        middle = 8 + wide * (i + 0.5)
        body.append(rect(8 + wide * i + 2, 108 - tall, wide - 4, tall, "column"))
        if wide > 30 and row["documents"]:
            body.append(label(short(row["documents"]), middle, 103 - tall, "middle", "small"))
        if wide > 30 or i % 3 == 0:
            body.append(label(short(row["from"]), 8 + wide * i + 2, 123, "start", "tick"))
    body.append(words(("characters (at least)", "每篇字数（下限）"), 10, 141, kind="axis"))
    about = ("Documents by length in characters.", "按字数统计的篇数。")
    return svg(440, 146, name, title, about, body)
