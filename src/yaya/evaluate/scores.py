"""The evaluate stage.

Reads: `prepare/`, `tokenize/` (validation), `pretrain/`, `finetune/`. Does: validation loss, primer questions before and after
fine-tuning, repetition. Writes: scores.json, replies.jsonl, report.html.
"""

from __future__ import annotations

import json
import random
import shlex
from dataclasses import dataclass
from typing import Any

from yaya.core.artifact import Artifact, Draft
from yaya.core.config import key
from yaya.core.messages import UserError, program, say
from yaya.core.source_names import is_primer
from yaya.core.stage import Inputs, RunContext, Stage
from yaya.evaluate import tasks
from yaya.inference.engine import Engine
from yaya.tokenize.shards import open_shards
from yaya.tokenize.tokenizer import shared

KIND = "evaluate"
SHOWN_REPLIES = 60
WATTS_PER_CORE = 8.0  # a laptop core under load, roughly; the report calls it an estimate


@dataclass(frozen=True)
class EvaluateConfig:
    questions_per_skill: int = key(
        100, "primer questions per skill, language and set", "启蒙课本考题：每种能力、语言、题组各几题", least=1
    )
    max_new_tokens: int = key(64, "longest reply, in tokens", "回复最多多少 token", least=1)
    stride: int | None = key(
        None,
        "sliding window: tokens per move (auto: half the context)",
        "测损失的窗口每次移动几个 token（自动：上下文的一半）",
        least=1,
    )


def run(config: EvaluateConfig, inputs: Inputs, draft: Draft, context: RunContext) -> None:
    """Scores the last model, and the one before fine-tuning; UserError if the inputs do not belong together."""
    from yaya.evaluate.report_page import write_report  # only here is jinja2 needed

    last = "finetune" if "finetune" in inputs else "pretrain"
    check(inputs, last)
    scores, replies = score_model(config, inputs, last, context)
    if last == "finetune":
        scores["before_finetuning"], _ = score_model(config, inputs, "pretrain", context)
    random.Random(0).shuffle(replies)
    energies = {name: energy(found) for name, found in inputs.items()}
    shown = scores | {"replies": replies[:SHOWN_REPLIES], "energy": energies}
    (draft.path / "scores.json").write_text(json.dumps(scores, indent=1, ensure_ascii=False), "utf-8")
    lines = (json.dumps(reply, ensure_ascii=False) for reply in replies)
    (draft.path / "replies.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    places = {name: found.path for name, found in inputs.items()}
    write_report(draft.path.parent, draft.path / "report.html", shown, places)
    draft.logs = ("report.html",)  # it contains times
    draft.metrics |= {name: scores[name] for name in ("loss", "perplexity", "bits_per_byte", "repetition_rate")}
    announce(scores)
    report = draft.path.with_name("evaluate") / "report.html"
    say(f"[evaluate] report, to open in a browser: {report}", f"[evaluate] 报告（用浏览器打开）：{report}")


def check(inputs: Inputs, last: str) -> None:
    """UserError if the inputs do not belong together: their scores would mean nothing."""
    base, model = inputs["pretrain"], inputs[last]
    shared(inputs["tokenize"].path, base.path)
    if last == "finetune" and model.manifest["parents"].get("pretrain") != base.digest:
        again = f"{program()} finetune {shlex.quote(f'name={model.path.parent.name}')} overwrite=true"
        raise UserError(
            f"{model.path} was not fine-tuned from the current {base.path}. Fine-tune again: {again}",
            f"{model.path} 不是从现在的 {base.path} 微调出来的。请重新微调：{again}",
        )


def score_model(
    config: EvaluateConfig, inputs: Inputs, stage: str, context: RunContext
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Scores of one training stage's model, and all its replies."""
    engine = Engine.load(inputs[stage].path, context.machine)
    shards = open_shards(inputs["tokenize"].path, "validation", engine.tokenizer.vocab_size)
    shard = shards["text"] if shards["text"].documents else shards["chat"]
    stride = config.stride or max(1, engine.context_length // 2)
    scores: dict[str, Any] = tasks.validation_loss(engine.model, engine.tokenizer, shard, stride)
    replies: list[dict[str, Any]] = []
    if not is_primer(inputs["prepare"].config.get("sources")):
        scores["repetition_rate"] = tasks.continuation_loops(engine, shard)
    else:
        title = f"evaluate {stage}"
        scores["primer"], replies, scores["repetition_rate"] = tasks.primer_scores(
            engine, config.questions_per_skill, config.max_new_tokens, title
        )
    return scores, replies


def energy(found: Artifact) -> dict[str, float | None]:
    """Seconds of a stage and an estimate of its energy, which is not metered."""
    seconds = float(found.metrics.get("seconds", 0.0))
    watts = WATTS_PER_CORE * (found.manifest.get("hardware", {}).get("cores") or 1)
    return {"seconds": seconds, "joules": None, "watts_assumed": watts}


def announce(scores: dict[str, Any]) -> None:
    """The scores in a few lines."""
    from yaya.evaluate.report_labels import LANGUAGES, SETS

    if scores["loss"] is None:
        say("[evaluate] validation: there is no held-out text to score.", "[evaluate] 验证：没有可以评分的验证文本。")
    else:
        bits = "-" if scores["bits_per_byte"] is None else f"{scores['bits_per_byte']:.3f}"
        say(
            f"[evaluate] validation: loss {scores['loss']:.3f}, perplexity {scores['perplexity']:.1f}, {bits} bits per byte",
            f"[evaluate] 验证：损失 {scores['loss']:.3f}，困惑度 {scores['perplexity']:.1f}，每字节 {bits} 比特",
        )
    for language, title in LANGUAGES.items():
        result = scores.get("primer", {}).get(language)
        if result:
            parts = {name: result if name == "combinations" else result.get(name) for name in SETS}
            en = ", ".join(f"{SETS[n][0].lower()} {p['accuracy']:.0%}" for n, p in parts.items() if p)
            zh = "，".join(f"{SETS[n][1]} {p['accuracy']:.0%}" for n, p in parts.items() if p)
            say(f"[evaluate] {title[0]}: {en}", f"[evaluate] {title[1]}：{zh}")
    if scores["repetition_rate"] is None:
        return
    say(
        f"[evaluate] repetitive replies: {scores['repetition_rate']:.1%}",
        f"[evaluate] 重复打转的回复：{scores['repetition_rate']:.1%}",
    )


STAGE = Stage(
    KIND, EvaluateConfig, run, reads=("prepare", "tokenize", "pretrain"), optional=("finetune",), computes=True
)
