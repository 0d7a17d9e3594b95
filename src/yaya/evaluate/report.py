"""The report: one self-contained HTML page that tells a beginner, in Chinese and English, how the model came to be.

It reads artifacts only: manifests, logs, samples, scores. What is missing is left out.
"""

from __future__ import annotations

import base64
import hashlib
import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import ChainableUndefined, Environment, FileSystemLoader
from markupsafe import Markup

from yaya.core.artifact import write_atomic
from yaya.evaluate import charts, excerpts
from yaya.evaluate.charts import is_number
from yaya.evaluate.labels import FILTERS, LANGUAGES, REASONS, SETS, SKILLS, STAGES, Pair
from yaya.evaluate.material import Material, dicts, read_json, read_jsonl, read_material
from yaya.tokenize import chat

HERE = Path(__file__).parent
SHOWN_REPLIES, SHOWN_WRONG = 12, 6
LONGEST_TALK = 200  # tokens
BYTES_PER_HAN, BYTES_PER_WORD = 3, 5.5  # an English word with its space


def write_report(
    run_folder: Path, out: Path, scores: dict[str, Any] | None = None, places: Mapping[str, Path] | None = None
) -> None:
    """Writes the report of a run to `out`. scores: what the evaluate stage measured; else its scores.json is read."""
    write_atomic(out, render(run_folder, scores, places))


def render(run_folder: Path, scores: dict[str, Any] | None = None, places: Mapping[str, Path] | None = None) -> str:
    """The page as text."""
    m = read_material(run_folder, scores, places or {})
    script = (HERE / "report.js").read_text("utf-8").strip()
    page = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page.filters |= {
        "number": number,
        "percent": percent,
        "spell": spell,
        "stage": lambda name: STAGES.get(name, (name, name)),
    }
    return page.get_template("report.html.j2").render(
        css=Markup((HERE / "report.css").read_text("utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        summary=summary(m),
        data=data(m),
        tokens=tokens(m),
        learning=learning(m),
        weights=weights(m),
        exam=exam(m),
        cost=cost(m),
        limits=limits(m),
    )


def number(value: Any, digits: int = 0) -> str:
    """`1234567` -> `1,234,567`; a dash where nothing is known."""
    return f"{value:,.{digits}f}" if is_number(value) else "–"


def percent(value: Any, digits: int = 0) -> str:
    return f"{value:.{digits}%}" if is_number(value) else "–"


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


def summary(m: Material) -> dict[str, Any]:
    """Name, sizes and headline scores."""
    seconds = [m.metrics(s).get("seconds") for s in STAGES]
    seen = [m.metrics(s).get("tokens") for s in ("pretrain", "finetune")]
    name = m.recipe.get("name") if isinstance(m.recipe.get("name"), str) else m.folder.name
    newest = m.manifests.get(m.last) or next(reversed(m.manifests.values()), {})
    return {
        "name": name,
        "shell_name": shlex.quote(str(name)),
        "primer": m.is_primer,
        "created": str(newest.get("created", ""))[:10],
        "yaya": newest.get("yaya") or {},
        "parameters": m.metrics(m.last).get("parameters"),
        "seen": sum(filter(is_number, seen)) or None,
        "seconds": sum(filter(is_number, seconds)) or None,
        "vocab_size": m.tokenizer.vocab_size if m.tokenizer else None,
        "scores": m.scores,
        "before": m.scores.get("before_finetuning") or {},
        "trained": bool({"pretrain", "finetune"} & m.manifests.keys()),
        "stages": [name for name in STAGES if name in m.manifests],
    }


def data(m: Material) -> dict[str, Any] | None:
    """Where the text came from, what was dropped, before and after, samples."""
    if "prepare" not in m.manifests and not m.texts and not m.chats:
        return None
    metrics, shown = m.metrics("prepare"), read_json(m.place("prepare") / "examples.json")
    records = metrics.get("records") or {}
    dropped = records.get("dropped") or {}
    reasons = dropped if isinstance(dropped, dict) else {"": dropped}
    splits = metrics.get("splits") or {}
    sizes = {  # split -> characters
        name: sum(filter(is_number, (kind.get("characters") for kind in kinds.values())))
        for name, kinds in splits.items()
    }
    filters = metrics.get("filters") or {}
    pairs = [p for p in dicts(shown.get("pairs")) if {"before", "after"} <= p.keys()]
    pairs = list({str(p.get("filters")): p for p in reversed(pairs)}.values())[::-1][:4]  # each kind of change once
    return {
        "primer": m.is_primer,
        "sources": [str(s) for s in m.config("prepare").get("sources") or []][:12],
        "records": records,
        "reasons": [(REASONS.get(r, (r, r)), n) for r, n in reasons.items() if is_number(n) and n],
        "sizes": sizes,
        "documents": {kind: (splits.get("train") or {}).get(kind, {}).get("documents") for kind in ("text", "chat")},
        "characters": sum(sizes.values()),
        "filters": [
            (FILTERS.get(name, (name, name)), effect.get("documents"), effect.get("removed"), effect.get("added"))
            for name, effect in filters.items()
            if isinstance(effect, dict) and effect.get("documents")
        ],
        "pairs": [shown_pair(p) for p in pairs],
        "dropped": [shown_drop(d) for d in dicts(shown.get("dropped"))[:4]],
        "lengths": charts.length_chart(
            "lengths", ("Length of the documents", "文档的长短"), dicts(shown.get("lengths"))
        ),
        "texts": [excerpts.clip(text) for text in m.texts[:3]],
        "chats": {
            lang: [{"role": turn["role"], "content": excerpts.clip(turn["content"])} for turn in talk]
            for lang, talk in m.chats.items()
        },
    }


def shown_pair(pair: dict[str, Any]) -> dict[str, Any]:
    """An excerpt before and after cleaning, as runs of changed and unchanged text."""
    before, after = excerpts.changes(str(pair["before"]), str(pair["after"]))
    names = [name for name in str(pair.get("filters", "")).split(", ") if name]
    by = [FILTERS.get(name, (name, name)) for name in names]
    return {"by": by, "source": pair.get("source", ""), "before": before, "after": after}


def shown_drop(drop: dict[str, Any]) -> dict[str, Any]:
    """What was dropped, why, and from where."""
    reason, _, more = str(drop.get("reason", "")).partition(": ")
    sample = excerpts.clip(excerpts.visible(str(drop.get("sample", ""))), 120)
    source = f"{drop.get('source', '')} {drop.get('where', '')}".strip()
    return {"reason": REASONS.get(reason, (reason, reason)), "more": more, "sample": sample, "source": source}


def tokens(m: Material) -> dict[str, Any] | None:
    """Sentences as tokens."""
    if m.tokenizer is None:
        return None
    source = [*m.texts, *(turn["content"] for talk in m.chats.values() for turn in talk)]
    zh = excerpts.first_sentence(source, "zh", 8, 26) or "牙牙学语，一天学会一点点。"
    en = excerpts.first_sentence(source, "en", 20, 60) or "Yaya learns to talk, a little more every day."
    count = m.metrics("tokenize")
    return {
        "sentences": [
            {
                "text": text,
                "count": len(ids := m.tokenizer.encode(text)),
                "bytes": len(text.encode()),
                "groups": excerpts.pieces(m.tokenizer, ids),
            }
            for text in (zh, en, "竹蜻蜓 🐼")
        ],
        "vocab_size": m.tokenizer.vocab_size,
        "control": len(m.tokenizer.control),
        "bytes_per_token": count.get("bytes_per_token"),
        "tokens": count.get("tokens"),
        "first": excerpts.learned_first(m.tokenizer),
    }


def learning(m: Material) -> dict[str, Any] | None:
    """The loss curves and the samples written on the way."""
    stages: list[dict[str, Any]] = []
    vocab = m.tokenizer.vocab_size if m.tokenizer else None
    for name in ("pretrain", "finetune"):
        rows = read_jsonl(m.place(name) / "metrics.jsonl")
        samples = read_jsonl(m.place(name) / "samples.jsonl")
        if not rows and not samples:
            continue
        blind = math.log(vocab) if vocab and name == "pretrain" else None
        losses = [v for _, v in charts.curve(rows, "loss")]
        stages.append(
            {
                "name": name,
                "loss": charts.loss_chart(
                    f"loss-{name}", rows, (f"Loss: {STAGES[name][0]}", f"损失：{STAGES[name][1]}"), blind
                ),
                "rate": charts.rate_chart(f"rate-{name}", rows, ("Learning rate", "学习率")),
                "first": losses[0] if losses else None,
                "last": charts.smooth(losses)[-1] if losses else None,
                "held": [v for _, v in charts.curve(rows, "validation_loss")][-1:],
                "steps": m.metrics(name).get("steps") or len(rows),
                "tokens": m.metrics(name).get("tokens"),
                "samples": by_prompt(samples),
            }
        )
    if not stages:
        return None
    model = read_json(m.place(m.last) / "config.json")
    watched_text = bool((m.metrics("tokenize").get("validation") or {}).get("text", {}).get("documents"))
    ended = STAGES[stages[-1]["name"]]
    last = stages[-1]["last"] if stages[-1]["last"] is not None else m.scores.get("loss")
    choices = math.exp(min(last, 20)) if is_number(last) else None
    return {
        "stages": stages,
        "vocab_size": vocab,
        "model": model,
        "text_watched": watched_text,
        "mixed": (m.config("pretrain").get("chat_fraction") or 0) > 0,
        "blind": math.log(vocab) if vocab else None,
        "choices": choices,
        "ended": ended,
    }


def by_prompt(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Samples of one stage, gathered by prompt: what was replied at which step, or from which to which."""
    prompts: dict[str, dict[str, Any]] = {}
    for row in samples:
        prompt = str(row.get("prompt", ""))
        entry = prompts.setdefault(
            prompt, {"prompt": excerpts.clip(prompt, 160), "language": row.get("language"), "rows": []}
        )
        reply, rows = excerpts.clip(str(row.get("reply", "")), 160), entry["rows"]
        if rows and rows[-1]["reply"] == reply:
            rows[-1]["until"] = row.get("step")
        else:
            rows.append({"step": row.get("step"), "reply": reply})
    return list(prompts.values())[:4]


def weights(m: Material) -> dict[str, Any] | None:
    """A conversation's tokens, for readers of each language, with their roles and what each counts in fine-tuning."""
    if m.tokenizer is None or not m.chats or "finetune" not in m.manifests:
        return None
    config = m.config("finetune")
    system, user = config.get("system_weight", 0.0), config.get("user_weight", 0.0)
    by_role = [0.0, system, user, config.get("assistant_weight", 1.0), 0.0]
    shown = {}
    for lang, talk in m.chats.items():
        ids, roles = (row[:LONGEST_TALK] for row in chat.render(m.tokenizer, talk))
        groups, counting = excerpts.pieces(m.tokenizer, ids, roles), sum(by_role[role] > 0 for role in roles)
        shown[lang] = {"groups": groups, "total": len(ids), "counting": counting, "roles": sorted(set(roles))}
    return {"talks": shown, "weights": by_role}


def exam(m: Material) -> dict[str, Any] | None:
    """The scores."""
    if not is_number(m.scores.get("loss")) and not m.scores.get("primer"):
        return None
    primer, before = m.scores.get("primer") or {}, (m.scores.get("before_finetuning") or {}).get("primer") or {}
    sets = []
    for name, title in SETS.items():
        now, then = of_set(primer, name), of_set(before, name)
        if now:
            picture = charts.score_chart(f"exam-{name}", title, now, then, SKILLS, LANGUAGES)
            sets.append({"name": name, "title": title, "chart": picture, "n": {k: r.get("n") for k, r in now.items()}})
    replies = [shown_reply(row) for row in dicts(m.scores.get("replies"))]
    rest = [r for r in replies[SHOWN_REPLIES:] if not r["correct"]]
    return {
        "sets": sets,
        "has_before": bool(before),
        "replies": replies[:SHOWN_REPLIES],
        "sample": len(replies),
        "sample_right": sum(r["correct"] for r in replies),
        "wrong": rest[:SHOWN_WRONG],
    }


def shown_reply(row: dict[str, Any]) -> dict[str, Any]:
    """One answered question, with names in both languages and texts of bounded length."""
    skill, kind = str(row.get("skill", "")), str(row.get("set", ""))
    texts = {name: excerpts.clip(str(row.get(name, "")), 200) for name in ("prompt", "reply", "expected")}
    return texts | {
        "skill": SKILLS.get(skill, (skill, skill)),
        "set": SETS.get(kind, (kind, kind)),
        "correct": bool(row.get("correct")),
    }


def of_set(primer: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """Language -> result of one set of questions; the new combinations stand at the top level."""
    found = {lang: primer.get(lang) or {} for lang in LANGUAGES}
    found = {lang: result if name == "combinations" else result.get(name) or {} for lang, result in found.items()}
    return {lang: result for lang, result in found.items() if is_number(result.get("accuracy"))}


def cost(m: Material) -> dict[str, Any] | None:
    """Time, energy and machine."""
    energy = m.scores.get("energy") or {}
    rows: list[dict[str, Any]] = []
    for name in STAGES:
        about = energy.get(name) or {}
        seconds = about.get("seconds", m.metrics(name).get("seconds"))
        joules, watts = about.get("joules"), about.get("watts_assumed")
        estimated = is_number(watts)
        if joules is None and is_number(watts) and is_number(seconds):
            joules = seconds * watts
        if is_number(seconds):
            rows.append({"name": name, "seconds": seconds, "joules": joules, "estimated": estimated, "watts": watts})
    if not rows:
        return None
    newest = m.manifests.get(m.last) or next(reversed(m.manifests.values()), {})
    joules = sum(r["joules"] for r in rows if is_number(r["joules"]))
    title = ("Where the time went", "时间花在哪里")
    return {
        "rows": rows,
        "bar": charts.share_bar("time", title, [r["seconds"] for r in rows]),
        "seconds": sum(r["seconds"] for r in rows),
        "joules": joules or None,
        "lamp_minutes": joules / 10 / 60 if joules else None,
        "watts": next((r["watts"] for r in rows if r["estimated"]), None),
        "machine": newest.get("hardware") or {},
        "device": m.config(m.last),
    }


def limits(m: Material) -> dict[str, Any]:
    """What the model cannot do, from the numbers."""
    primer = m.scores.get("primer") or {}
    tallies: dict[tuple[str, str], tuple[float, int]] = {}
    for name in SETS:
        for lang, result in of_set(primer, name).items():
            for skill, found in (result.get("skills") or {}).items():
                right, asked = tallies.get((skill, lang), (0.0, 0))
                tallies[skill, lang] = (right + charts.share(found) * found.get("n", 0), asked + found.get("n", 0))
    ranked = sorted((right / asked, skill, lang) for (skill, lang), (right, asked) in tallies.items() if asked)
    context = read_json(m.place(m.last) / "config.json").get("max_position_embeddings")
    per_token = m.metrics("tokenize").get("bytes_per_token")
    size = context * per_token if is_number(context) and is_number(per_token) else None  # in bytes
    return {
        "weakest": [(SKILLS.get(s, (s, s)), LANGUAGES[lang], value) for value, s, lang in ranked[:3] if value < 0.95],
        "asked": bool(ranked),
        "context": context,
        "context_han": size and round(size / BYTES_PER_HAN, -1),
        "context_words": size and round(size / BYTES_PER_WORD, -1),
        "primer": m.is_primer,
        "parameters": m.metrics(m.last).get("parameters"),
        "repetition": m.scores.get("repetition_rate"),
    }
