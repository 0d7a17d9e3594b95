"""The data page: what was read, what cleaning did to it and what was kept, with examples, in Chinese and English.

Reads the metrics of the stage and its examples.json. The final report shows the same parts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from yaya.core.files import read_json, write_atomic
from yaya.pages import charts, excerpts, layout
from yaya.pages.layout import Pair, by_name, dicts, is_number
from yaya.prepare.data_labels import FILTERS, MIXING, PARTS, SCRIPTS, filter_name, kind_name, method_name, reason_name

ROOM = Path(__file__).parent  # of the template data_parts.html.j2
STYLE = ROOM / "data_page.css"
SHOWN = 10  # examples of one kind
EXCERPT = 140  # characters; a longer example of a change is an excerpt
SIDE = 1400  # the same for near-duplicates
DROPPED = 240  # characters shown of a dropped document


def write_report(folder: Path, metrics: dict[str, Any], config: dict[str, Any], out: Path) -> None:
    """Writes the page to `out`. folder: where examples.json is."""
    shown = data(metrics, config, read_json(folder / "examples.json"))
    write_atomic(out, layout.render(ROOM / "data_page.html.j2", {"data": shown}, styles=[STYLE]))


def data(metrics: dict[str, Any], config: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    """The template's variables; whatever is missing or damaged is left out."""
    found: dict[str, Any] = {
        "accounts": accounts(metrics),
        "sources": [{"name": name, **by_name(counts)} for name, counts in by_name(metrics.get("sources")).items()],
        "mixing": dicts(metrics.get("mixing")),
        "filters": steps(by_name(metrics.get("filters"))),
        "changes": [
            {"name": name, "pairs": list(map(change, rows))} for name, rows in ordered(examples.get("changes"))
        ],
        "drops": [{"name": name, "rows": list(map(drop, rows))} for name, rows in ordered(examples.get("drops"))],
        "twins": [twin(row) for row in dicts(examples.get("twins"))[:SHOWN]],
        "unreadable": [unreadable(row) for row in dicts(examples.get("quarantined"))[:SHOWN]],
        "shape": shape(examples),
    }
    return {
        **found,
        "names": [str(source) for source in config.get("sources") or []][:12],
        "primer": not config.get("sources"),
        "preview": config.get("preview"),
        "remarks": [row for key in ("remarks", "encodings") for row in counted(metrics.get(key), reason_name)],
        "mixing_columns": [(key, MIXING[key]) for key in MIXING if any(key in row for row in found["mixing"])],
        "augmented": counted(metrics.get("augmented"), method_name),
        "parts": [(name, *PARTS[name]) for name in PARTS if found[name]],
    }


def counted(value: Any, title: Callable[[str], Pair]) -> list[tuple[Pair, float]]:
    """Names and numbers of a table of counts."""
    return [(title(name), count) for name, count in by_name(value).items() if is_number(count) and count]


def accounts(metrics: dict[str, Any]) -> dict[str, Any] | None:
    """Records and bytes in and out, and why documents were dropped, by step and reason; None if there are no counts."""
    records, size = by_name(metrics.get("records")), by_name(metrics.get("bytes"))
    if not is_number(records.get("kept")):
        return None
    by_step: dict[str, list[tuple[Pair, float]]] = {}
    for text, count in by_name(records.get("dropped")).items():
        name, _, reason = text.partition(": ")
        if is_number(count) and count:
            by_step.setdefault(name, []).append((reason_name(reason or name), count))
    order = [*FILTERS, *by_step]
    ranked = sorted(by_step.items(), key=lambda item: order.index(item[0]))
    dropped = [
        {"name": filter_name(name), "count": sum(n for _, n in rows), "reasons": sorted(rows, key=lambda row: -row[1])}
        for name, rows in ranked
    ]
    splits = {
        name: {field: sum_of(kinds, field) for field in ("documents", "characters")}
        for name, kinds in by_name(metrics.get("splits")).items()
    }
    train = by_name(by_name(metrics.get("splits")).get("train"))
    return {
        "in": records.get("in"),
        "kept": records["kept"],
        "merged": records.get("merged"),
        "unreadable": records.get("quarantined"),
        "dropped": dropped,
        "dropped_count": sum(step["count"] for step in dropped),
        "bytes_in": size.get("in"),
        "bytes_out": size.get("out"),
        "train": splits.get("train"),
        "validation": splits.get("validation"),
        "kinds": {kind: by_name(train.get(kind)).get("documents") for kind in ("text", "chat")},
        "characters": sum(split["characters"] for split in splits.values()),
    }


def sum_of(kinds: Any, field: str) -> float:
    """One count over texts and conversations."""
    return sum(filter(is_number, (by_name(kind).get(field) for kind in by_name(kinds).values())))


def steps(filters: dict[str, Any]) -> list[dict[str, Any]]:
    """What each filter did, in order, with its speed."""
    out = []
    for name, account in filters.items():
        account = by_name(account)
        seconds, size = account.get("seconds"), account.get("bytes_in")
        speed = size / seconds / 1e6 if is_number(size) and is_number(seconds) and seconds > 0 else None
        idle = not account.get("changed") and not account.get("dropped")
        out.append({**account, "name": filter_name(name), "speed": speed, "idle": idle})
    return out


def ordered(value: Any) -> list[tuple[Pair, list[dict[str, Any]]]]:
    """Examples by the name of their filter, in the order of the filters."""
    found = by_name(value)
    order = [*FILTERS, *found]
    rows = [(filter_name(name), dicts(found[name])[:SHOWN]) for name in sorted(found, key=order.index)]
    return [(name, examples) for name, examples in rows if examples]


def change(row: dict[str, Any]) -> dict[str, Any]:
    """A text before and after, as runs of changed and unchanged text."""
    before, after = excerpts.changes(str(row.get("before", "")), str(row.get("after", "")), EXCERPT)
    by = [filter_name(name) for name in str(row.get("filters", "")).split(", ") if name]
    same = not any(changed for changed, _ in (*before, *after))  # personal data is masked in both
    return {"by": by, "source": row.get("source", ""), "before": before, "after": after, "same": same}


def drop(row: dict[str, Any]) -> dict[str, Any]:
    """A document that was dropped, and why."""
    text = excerpts.clip(excerpts.visible(str(row.get("text", ""))), DROPPED, 6)
    return {"source": row.get("source", ""), "reason": reason_name(str(row.get("reason", ""))), "text": text}


def twin(row: dict[str, Any]) -> dict[str, Any]:
    """Two documents that are nearly alike, with the words that differ."""
    kept, merged = by_name(row.get("kept")), by_name(row.get("merged"))
    sides = excerpts.changes(str(kept.get("text", "")), str(merged.get("text", "")), SIDE, letters=False)
    return {
        "jaccard": row.get("jaccard"),
        "kept": {"source": kept.get("source", ""), "runs": excerpts.folded(sides[0])},
        "merged": {"source": merged.get("source", ""), "runs": excerpts.folded(sides[1])},
    }


def unreadable(row: dict[str, Any]) -> dict[str, Any]:
    """A record that was set aside, and what is wrong with it."""
    kind, en, zh = (str(row.get(name, "")) for name in ("kind", "en", "zh"))
    text = excerpts.clip(excerpts.visible(str(row.get("text", ""))), DROPPED, 3)
    about = (en or zh, zh or en)
    return {"source": row.get("source", ""), "kind": kind_name(kind), "about": about, "text": text}


def shape(examples: dict[str, Any]) -> dict[str, Any] | None:
    """Scripts and lengths of the documents; None where there is neither."""
    shares = {name: share for name, share in by_name(examples.get("languages")).items() if is_number(share)}
    title = ("Length of the documents", "文档长度")
    lengths = charts.length_chart("lengths", title, dicts(examples.get("lengths")))
    if not shares and lengths is None:
        return None
    bar = charts.share_bar("scripts", ("Scripts", "文字"), list(shares.values())) if any(shares.values()) else None
    named = [(SCRIPTS.get(name, (name, name)), share) for name, share in shares.items()]
    return {"shares": named, "bar": bar, "lengths": lengths}
