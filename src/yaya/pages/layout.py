"""The frame of every page: one self-contained HTML file in Chinese and English that loads nothing from outside.

A page is a template that extends layout.html.j2; `b`, `head` and `runs` in page.html.j2 are its building blocks.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from jinja2 import ChainableUndefined, Environment, FileSystemLoader
from markupsafe import Markup

HERE = Path(__file__).parent
Pair = tuple[str, str]  # the same words in English and in Chinese


def render(template: Path, parts: Mapping[str, Any], rooms: Sequence[Path] = (), styles: Sequence[Path] = ()) -> str:
    """The page as text. rooms: other folders whose templates it includes; styles: CSS files beside page.css."""
    script = (HERE / "page.js").read_text("utf-8").strip()
    page = Environment(
        loader=FileSystemLoader([template.parent, *rooms, HERE]),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page.filters |= {"number": number, "percent": percent, "size": size, "spell": spell, "setting": setting}
    return page.get_template(template.name).render(
        **parts,
        css=Markup("\n".join(path.read_text("utf-8").strip() for path in (HERE / "page.css", *styles))),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(value: Any, digits: int = 0) -> str:
    """`1234567` -> `1,234,567`; a dash if unknown."""
    return f"{value:,.{digits}f}" if is_number(value) else "–"


def percent(value: Any, digits: int = 0) -> str:
    return f"{value:.{digits}%}" if is_number(value) else "–"


def size(value: Any) -> str:
    """Bytes with a unit: `1234567` -> `1.23 MB`."""
    if not is_number(value):
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:,.3g} TB" if value < 999.5 else f"{value:,.0f} TB"


def setting(value: Any) -> str:
    """A key's value: `0.0031623` -> `0.003162`; auto where it was left open."""
    return "auto" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def spell(seconds: Any) -> Pair:
    """A duration in words."""
    if not is_number(seconds):
        return "–", "–"
    if seconds < 60:
        exact = f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}"
        return f"{exact} s", f"{exact} 秒"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s", f"{minutes} 分 {rest} 秒"
    return f"{minutes // 60} h {minutes % 60} min", f"{minutes // 60} 小时 {minutes % 60} 分"


def dicts(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; empty if it is not a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def by_name(value: Any) -> dict[str, Any]:
    """The object itself; an empty one if it is not an object."""
    return value if isinstance(value, dict) else {}
