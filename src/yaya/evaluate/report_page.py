"""The report: one self-contained HTML page that shows a beginner, in Chinese and English, how the model was made.

It reads only artifacts: manifests, logs, samples, scores. Whatever is missing is left out.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yaya.core.files import read_json, read_jsonl, write_atomic
from yaya.core.messages import program
from yaya.evaluate import sample_texts
from yaya.evaluate.material import Material, read_material
from yaya.evaluate.origin import reads_only_texts
from yaya.evaluate.report_labels import LANGUAGES, PLANNED, SETS, SKILLS, STAGES, UNITS
from yaya.pages import charts, layout
from yaya.pages.excerpts import clip
from yaya.pages.layout import dicts, is_number
from yaya.prepare import data_page as prepare_report
from yaya.tokenize import chat_template

HERE = Path(__file__).parent
SHOWN_REPLIES, SHOWN_WRONG = 12, 6
LONGEST_TALK = 200  # tokens
# For each language, a sentence of this length is shown as tokens, or else this one.
EXAMPLES = {
    "zh": (8, 26, "牙牙学语，一天学会一点点。"),
    "en": (20, 60, "Yaya learns to talk, a little more every day."),
}
SPREAD = 0.06  # share of the expected loss; nine of ten trainings fall within it; bench/LOG.md


def write_report(
    run_folder: Path, out: Path, scores: dict[str, Any] | None = None, places: Mapping[str, Path] | None = None
) -> None:
    """Writes a run's report to `out`. scores: the evaluate stage's results; if absent, its scores.json is read."""
    write_atomic(out, render(run_folder, scores, places))


def render(run_folder: Path, scores: dict[str, Any] | None = None, places: Mapping[str, Path] | None = None) -> str:
    """The page as text."""
    m = read_material(run_folder, scores, places or {})
    parts = {
        "stages": STAGES,
        "planned": PLANNED,
        "summary": summary(m),
        "data": data(m),
        "tokens": tokens(m),
        "learning": learning(m),
        "weights": weights(m),
        "exam": exam(m),
        "cost": cost(m),
        "limits": limits(m),
    }
    return layout.render(
        HERE / "report.html.j2", parts, rooms=[prepare_report.ROOM], styles=[prepare_report.STYLE, HERE / "report.css"]
    )


def summary(m: Material) -> dict[str, Any]:
    """Name, sizes and headline scores."""
    seconds = [m.metrics(s).get("seconds") for s in STAGES]
    seen = [m.metrics(s).get("tokens") for s in ("pretrain", "finetune")]
    name = m.recipe.get("name") if isinstance(m.recipe.get("name"), str) else m.folder.name
    newest = m.manifests.get(m.last) or next(reversed(m.manifests.values()), {})
    return {
        "name": name,
        "shell_name": shlex.quote(str(name)),
        "program": program(),
        "only_texts": reads_only_texts(m.place(m.last)),
        "created": str(newest.get("created", ""))[:10],
        "yaya": newest.get("yaya") or {},
        "parameters": m.metrics(m.last).get("parameters"),
        "seen": sum(filter(is_number, seen)) or None,
        "seconds": sum(filter(is_number, seconds)) or None,
        "vocab_size": m.tokenizer.vocab_size if m.tokenizer else None,
        "scores": m.scores,
        "before": m.scores.get("before_finetuning") or {},
        "trained": bool({"pretrain", "finetune"} & m.manifests.keys()),
    }


def data(m: Material) -> dict[str, Any] | None:
    """What prepare's page shows, and samples of the corpus; None without a corpus."""
    if "prepare" not in m.manifests and not m.texts and not m.chats:
        return None
    shown = read_json(m.place("prepare") / "examples.json")
    return {
        **prepare_report.data(m.metrics("prepare"), m.config("prepare"), shown),
        "primer": m.is_primer,
        "texts": [clip(text) for text in m.texts[:3]],
        "chats": {
            lang: [{"role": turn["role"], "content": clip(turn["content"])} for turn in talk]
            for lang, talk in m.chats.items()
        },
    }


def tokens(m: Material) -> dict[str, Any] | None:
    """Sentences as tokens; None without a tokenizer."""
    if m.tokenizer is None:
        return None
    source = [*m.texts, *(turn["content"] for talk in m.chats.values() for turn in talk)]
    shown = [
        sample_texts.first_sentence(source, language, shortest, longest) or example
        for language, (shortest, longest, example) in EXAMPLES.items()
        if language in (m.tokens_each or EXAMPLES)
    ]
    if source and not m.tokens_each:  # in another language
        shown = list(filter(None, [sample_texts.first_sentence(source, None, 8, 60)])) or shown
    count = m.metrics("tokenize")
    return {
        "sentences": [
            {
                "count": len(ids := m.tokenizer.encode(text)),
                "bytes": len(text.encode()),
                "groups": sample_texts.shown_tokens(m.tokenizer, ids),
            }
            for text in (*shown, "竹蜻蜓 🐼")
        ],
        "vocab_size": m.tokenizer.vocab_size,
        "bytes_per_token": count.get("bytes_per_token"),
        "tokens": count.get("tokens"),
        "first": sample_texts.learned_first(m.tokenizer),
    }


def learning(m: Material) -> dict[str, Any] | None:
    """The loss curves and the samples written along the way; None if nothing was trained."""
    stages: list[dict[str, Any]] = []
    vocab = m.tokenizer.vocab_size if m.tokenizer else None
    for name in ("pretrain", "finetune"):
        rows = read_jsonl(m.place(name) / "metrics.jsonl")
        samples = read_jsonl(m.place(name) / "samples.jsonl")
        if not rows and not samples:
            continue
        blind = math.log(vocab) if vocab and name == "pretrain" else None
        usual = [(float(s), float(v)) for s, v in m.metrics(name).get("expected_losses") or ()]
        losses = [v for _, v in charts.curve(rows, "loss")]
        stages.append(
            {
                "name": name,
                "loss": charts.loss_chart(
                    f"loss-{name}", rows, (f"Loss: {STAGES[name][0]}", f"损失：{STAGES[name][1]}"), blind, usual, SPREAD
                ),
                "usual": bool(usual),
                "rate": charts.rate_chart(f"rate-{name}", rows, ("Learning rate", "学习率")),
                "first": losses[0] if losses else None,
                "last": charts.smooth(losses)[-1] if losses else None,
                "steps": m.metrics(name).get("steps") or len(rows),
                "tokens": m.metrics(name).get("tokens"),
                "samples": by_prompt(samples),
                "notes": coach_notes(rows),
                "plan": plan_beside_real(m, name, rows),
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
        "usual": any(stage["usual"] for stage in stages),
        "vocab_size": vocab,
        "model": model,
        "text_watched": watched_text,
        "mixed": (m.config("pretrain").get("chat_fraction") or 0) > 0,
        "blind": math.log(vocab) if vocab else None,
        "choices": choices,
        "ended": ended,
    }


def plan_beside_real(m: Material, name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the planner predicted and what happened: validation loss, seconds, memory."""
    said = read_json(m.place(name) / "plan.json")
    real = {"seconds": m.metrics(name).get("seconds"), "memory_gb": m.metrics(name).get("peak_memory_gb")}
    real["loss"] = next((v for _, v in reversed(charts.curve(rows, "validation_loss"))), None)
    pairs = [{"what": what, "said": said.get(what), "real": real[what]} for what in PLANNED]
    return [pair for pair in pairs if is_number(pair["said"]) and is_number(pair["real"])]


def coach_notes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The coach's notes with their steps: the latest of each kind."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        for note in row.get("coach") or ():
            if isinstance(note, dict) and {"kind", "en", "zh"} <= note.keys():
                steps = found.get(note["kind"], {}).get("steps", [])
                found[note["kind"]] = {"en": note["en"], "zh": note["zh"], "steps": [*steps, row.get("step")]}
    return list(found.values())


def by_prompt(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One stage's samples, grouped by prompt: each reply with its step or range of steps."""
    prompts: dict[str, dict[str, Any]] = {}
    for row in samples:
        prompt = str(row.get("prompt", ""))
        entry = prompts.setdefault(prompt, {"prompt": clip(prompt, 160), "rows": []})
        reply, rows = clip(str(row.get("reply", "")), 160), entry["rows"]
        if rows and rows[-1]["reply"] == reply:
            rows[-1]["until"] = row.get("step")
        else:
            rows.append({"step": row.get("step"), "reply": reply})
    return list(prompts.values())[:4]


def weights(m: Material) -> dict[str, Any] | None:
    """For readers of each language a conversation's tokens, roles and loss weights; None if nothing was fine-tuned."""
    if m.tokenizer is None or not m.chats or "finetune" not in m.manifests:
        return None
    config = m.config("finetune")
    system, user = config.get("system_weight", 0.0), config.get("user_weight", 0.0)
    by_role = chat_template.role_weights(system=system, user=user, assistant=config.get("assistant_weight", 1.0))
    shown = {}
    for lang, talk in m.chats.items():
        ids, roles = (row[:LONGEST_TALK] for row in chat_template.render(m.tokenizer, talk))
        groups, counting = sample_texts.shown_tokens(m.tokenizer, ids, roles), sum(by_role[role] > 0 for role in roles)
        shown[lang] = {"groups": groups, "total": len(ids), "counting": counting, "roles": sorted(set(roles))}
    return {"talks": shown, "weights": by_role}


def exam(m: Material) -> dict[str, Any] | None:
    """The scores; None if there are none."""
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
    texts = {name: clip(str(row.get(name, "")), 200) for name in ("prompt", "reply", "expected")}
    return texts | {
        "skill": SKILLS.get(skill, (skill, skill)),
        "set": SETS.get(kind, (kind, kind)),
        "correct": bool(row.get("correct")),
    }


def of_set(primer: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """Language -> result of one set of questions; new combinations are at the top level."""
    found = {lang: primer.get(lang) or {} for lang in LANGUAGES}
    found = {lang: result if name == "combinations" else result.get(name) or {} for lang, result in found.items()}
    return {lang: result for lang, result in found.items() if is_number(result.get("accuracy"))}


def cost(m: Material) -> dict[str, Any] | None:
    """Time, energy and machine; None if no times are known."""
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
    room = {lang: float(f"{context / each:.2g}") for lang, each in m.tokens_each.items()} if is_number(context) else {}
    return {
        "weakest": [(SKILLS.get(s, (s, s)), LANGUAGES[lang], value) for value, s, lang in ranked[:3] if value < 0.95],
        "asked": bool(ranked),
        "context": context,
        "room": [
            (f"{room[lang]:,.0f} {en}", f"{room[lang]:,.0f} {zh}") for lang, (en, zh) in UNITS.items() if lang in room
        ],
        "primer": m.is_primer,
        "parameters": m.metrics(m.last).get("parameters"),
        "repetition": m.scores.get("repetition_rate"),
    }
