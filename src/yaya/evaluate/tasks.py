"""What a model is asked: validation loss, primer questions, repetition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from yaya import primer
from yaya.core.messages import t
from yaya.core.progress import Bar
from yaya.inference.engine import Engine, Request
from yaya.inference.likelihood import SummedLoss, log_likelihoods, windows
from yaya.inference.repetition import loops
from yaya.inference.sampling import SamplingParams
from yaya.model.decoder import Transformer
from yaya.tokenize import chat_template
from yaya.tokenize.chat_template import ASSISTANT
from yaya.tokenize.shards import TokenShard
from yaya.tokenize.tokenizer import Tokenizer

CHUNK = 256  # questions per update of the progress bar


def validation_loss(
    model: Transformer, tokenizer: Tokenizer, shard: TokenShard, stride: int
) -> dict[str, float | None]:
    """Loss (nats per token), perplexity and bits per byte on a whole validation shard, with sliding windows.

    In conversations only the assistant's words count. If there is nothing to score, the scores are None.
    """
    sizes = np.asarray([len(b) for b in tokenizer.token_bytes])
    context = model.config.max_position_embeddings
    items: list[tuple[np.ndarray, int]] = []
    tokens = size = 0
    for document in range(shard.documents):
        ids, roles = shard.document(document)
        if roles is None:
            items += [(ids[b:e], first - b) for b, e, first in windows(len(ids), context, stride)]
            counted = ids[1:]
        else:
            spans = [part for span in assistant_spans(roles) for part in parts_of(span, context, stride)]
            items += [(ids[max(0, e - context - 1) : e], b - max(0, e - context - 1)) for b, e in spans]
            counted = np.concatenate([ids[b:e] for b, e in spans]) if spans else ids[:0]
        tokens, size = tokens + len(counted), size + int(sizes[counted].sum())
    if not tokens:
        return {"loss": None, "perplexity": None, "bits_per_byte": None, "tokens": 0, "bytes": 0}
    found = SummedLoss(-float(log_likelihoods(model, items).sum()), tokens, size)
    return {
        "loss": round(found.loss, 5),
        "perplexity": round(found.perplexity, 4),
        "bits_per_byte": round(found.bits_per_byte, 5) if size else None,
        "tokens": tokens,
        "bytes": size,
    }


def assistant_spans(roles: np.ndarray) -> list[tuple[int, int]]:
    """(begin, end) of each run of assistant tokens."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], roles == ASSISTANT, [0]])))
    return [(max(1, int(b)), int(e)) for b, e in zip(edges[::2], edges[1::2], strict=True)]


def parts_of(span: tuple[int, int], context: int, stride: int) -> list[tuple[int, int]]:
    """A reply's tokens, at most `stride` at a time if it is longer than the context, so that each has some context."""
    begin, end = span
    step = min(stride, context) if end - begin > context else max(1, end - begin)
    return [(at, min(at + step, end)) for at in range(begin, end, step)]


def ask(engine: Engine, questions: Sequence[primer.Question], max_new_tokens: int, title: str) -> list[Request]:
    """Greedy replies to questions; if a question is longer than the context, the model sees its end."""
    room = engine.context_length - 1
    prompts = [chat_template.prompt(engine.tokenizer, list(q.messages))[-room:] for q in questions]
    sampling = SamplingParams(max_new_tokens=max_new_tokens, temperature=0)
    out: list[Request] = []
    with Bar(title, len(questions), t("questions", "题")) as bar:
        for start in range(0, len(prompts), CHUNK):
            out += engine.generate(prompts[start : start + CHUNK], sampling)
            bar.advance(min(CHUNK, len(prompts) - start))
    return out


def accuracy(questions: Sequence[primer.Question], correct: Sequence[bool]) -> dict[str, Any]:
    """Share of correct replies, its 95% interval, and the share by skill."""
    skills = {}
    for skill in sorted({q.skill for q in questions}, key=primer.SKILLS.index):
        hits = [c for q, c in zip(questions, correct, strict=True) if q.skill == skill]
        skills[skill] = {"accuracy": round(sum(hits) / len(hits), 4), "n": len(hits)}
    n, hits_total = len(questions), sum(correct)
    low, high = wilson(hits_total, n)
    total = round(hits_total / max(n, 1), 4)
    return {"accuracy": total, "n": n, "interval": [round(low, 4), round(high, 4)], "skills": skills}


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95% interval of a share (1927)."""
    if n == 0:
        return 0.0, 1.0
    p, zz = hits / n, z * z / n
    middle, half = p + zz / 2, z * math.sqrt(p * (1 - p) / n + zz / (4 * n))
    return max(0.0, (middle - half) / (1 + zz)), min(1.0, (middle + half) / (1 + zz))


def primer_scores(
    engine: Engine, per_skill: int, max_new_tokens: int, title: str
) -> tuple[dict[str, Any], list[Any], float]:
    """(scores by language and set, all replies, repetition rate)."""
    sets = {
        (language, name): primer.questions(name, language, per_skill)
        for language in primer.LANGUAGES
        for name in primer.SETS
    }
    questions = [q for group in sets.values() for q in group]
    requests = ask(engine, questions, max_new_tokens, title)
    correct = [primer.check(q, r.text) for q, r in zip(questions, requests, strict=True)]
    scores: dict[str, Any] = {language: {} for language in primer.LANGUAGES}
    at = 0
    for (language, name), group in sets.items():
        result = accuracy(group, correct[at : at + len(group)])
        at += len(group)
        if name == "combinations":
            scores[language] |= result
        elif group:
            scores[language][name] = result
    replies = [
        {
            "set": q.set,
            "language": q.language,
            "skill": q.skill,
            "prompt": " / ".join(m["content"] for m in q.messages),
            "expected": q.answers[0],
            "reply": r.text,
            "correct": c,
        }
        for q, r, c in zip(questions, requests, correct, strict=True)
    ]
    looping = sum(loops(r.output_ids) for r in requests) / max(len(requests), 1)
    return scores, replies, round(looping, 5)


def continuation_loops(engine: Engine, shard: TokenShard, count: int = 50, max_new_tokens: int = 96) -> float | None:
    """Share of greedy continuations of validation documents that are repetitive; None if there are none."""
    prompts = []
    for document in range(min(shard.documents, count)):
        tokens, roles = shard.document(document)
        ids, half = tokens.tolist(), engine.context_length // 2
        if roles is None:
            prompts.append(ids[: min(16, half)])
        else:
            prompts.append((ids[: int(np.argmax(roles == ASSISTANT))] or ids[:8])[-engine.context_length // 2 :])
    requests = engine.generate([p for p in prompts if p], SamplingParams(max_new_tokens=max_new_tokens, temperature=0))
    return round(sum(loops(r.output_ids) for r in requests) / len(requests), 5) if requests else None
