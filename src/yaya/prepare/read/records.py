"""One record of JSON, JSONL, CSV or Parquet -> documents.

The parts that its keys play (keys.py) decide what the record is; SHAPES lists the shapes. A record may be marked as not to
be learned (marks.py).
"""

from __future__ import annotations

import re
from typing import Any

from yaya.core.messages import json_kind
from yaya.prepare.document import Content, Message, Unusable
from yaya.prepare.read.choices import RANK, SCORE, chosen_of, no_choice, number_of, numbered, place_of_best, refuse_bad
from yaya.prepare.read.dialogue import (
    ROLES,
    SAID,
    dialogue,
    finished,
    is_blank,
    is_dialogue,
    message,
    pairs,
    role_of,
    string,
    turns_of,
)
from yaya.prepare.read.keys import PARTS, parts_of, plain, prefixes
from yaya.prepare.read.marks import MARKS, is_bad, is_learned, is_nothing, refuse_marked, switch

# The known shapes, for the error; keys may have other names.
SHAPES = (
    '{"messages": [{"role", "content"}]}', '{"conversations": [{"from", "value"}]}', '{"turns": [[speaker, text]]}',
    '{"instruction", "input", "output"[, "history", "system"]}', '{"prompt", "response"}', '{"question", "answer"}',
    '{"prompt", "chosen", "rejected"}', '{"prompt", "response_0", "response_1", "better_response_id"}',
    '{"prompt": {"role", "text", "replies"}}', '{"text"}', '{"title", "paragraphs"}',
)  # fmt: skip
TEXTS = (*SAID, *PARTS["answer"], "body")  # keys of the text in one of several answers
HUMAN = re.compile(r"\s*Human:")
SPOKEN = tuple(re.compile(rf"(?:^|{gap})(Human|Assistant): ?") for gap in (r"\n\n", r"\n"))


def contents_of(record: Any) -> list[Content | Unusable]:
    """What a record holds: one entry, or one per language if its keys name them (`en_instruction`, `zh_...`)."""
    if not isinstance(record, dict):
        en, zh = json_kind(record)
        return [Unusable("wrong type", f"a record must be an object, not {en}", f"记录应当是对象，而不是{zh}")]
    whole = {plain(key): value for key, value in record.items() if value is not None and value == value}  # NaN is null
    said = {key: value for key, value in whole.items() if key not in PARTS["dialogue"] or not is_nothing(value)}
    whole = said if parts_of(tuple(said)).keys() & {"dialogue", "question", "text", "lines"} else whole
    parts, several = [whole], whole.get("instances")  # of self-instruct
    if found := prefixes(tuple(whole)):
        marks = {key: value for key, value in whole.items() if key in MARKS}
        parts = [marks | {k.removeprefix(p): v for k, v in whole.items() if k.startswith(p)} for p in found]
    elif isinstance(several, list) and several and all(isinstance(one, dict) for one in several):
        parts = [{k: v for k, v in whole.items() if k != "instances"} | one for one in several]
    out: list[Content | Unusable] = []
    for part in parts:
        try:
            out.append(content_of(part, record))
        except Unusable as problem:
            out.append(problem)
    return out


def content_of(record: dict[str, Any], original: dict[str, Any]) -> Content:
    """The text or messages of a record without nulls; Unusable where there is nothing to learn."""
    at = parts_of(tuple(record))
    better = chosen_of(record)
    if better:
        at = at | {"chosen": better[0], "rejected": better[1]}
    messages = conversation(record, at)
    if messages is not None and not (at.get("text") and all(is_blank(one["content"]) for one in messages)):
        replies = [one["content"] for one in messages if one["role"] == "assistant"]
        refuse_marked(record, replies[-1] if replies else "", bool(chosen_key(record, at)))
        if better:
            refuse_bad(record, better[0])
        return finished(messages)
    text = text_in(record, at)
    if text is None:
        raise unknown(original)
    refuse_marked(record, None, False)
    return text


def conversation(record: dict[str, Any], at: dict[str, str]) -> list[Message] | None:
    """The messages of a record; None where it holds no conversation."""
    root = record if "replies" in record and "role" in record else record.get("prompt")
    if isinstance(root, dict) and isinstance(root.get("replies"), list):
        return from_tree(root)
    chosen = chosen_key(record, at)
    answer = chosen or at.get("answer")
    if answer and not record[answer]:  # an empty cell of a table with several such columns
        answer = next((key for key in PARTS["answer"] if record.get(key)), answer)
    if "dialogue" not in at and (answer is None or not {"question", "history", "chosen"} & at.keys()):
        return None
    messages = asked(record, at)
    while answer and messages and messages[-1]["role"] == "assistant" and is_blank(messages[-1]["content"]):
        messages.pop()  # the place for the reply: "...\n\nAssistant:"
    if answer is not None and (answer == chosen or not messages or messages[-1]["role"] != "assistant"):
        said = replies(record[answer], answer, record, at)
        if any(one["role"] == "user" for one in said):  # the whole conversation
            messages = [one for one in messages[:1] if one["role"] == "system" and said[0] != one]
        elif messages and messages[-1]["role"] == "assistant":  # the chosen reply replaces the one that is there
            messages.pop()
        messages += said
    if at.get("system"):
        value = record[at["system"]]
        text = turns_of(value, at["system"])[0][1] if isinstance(value, dict) else string(value, at["system"])
        if {"role": "system", "content": text} not in messages[:1]:
            messages.insert(0, message("system", text))
    return messages


def chosen_key(record: dict[str, Any], at: dict[str, str]) -> str | None:
    """The key of the better reply, else None: `chosen: false` is a mark, even as text in a table's cell."""
    name = at.get("chosen")
    if name is None or type(record[name]) is bool:
        return None
    has_other = "rejected" not in at and ("answer" in at or "dialogue" in at)
    return None if has_other and switch(record[name]) is not None else name


def asked(record: dict[str, Any], at: dict[str, str]) -> list[Message]:
    """The messages before the reply."""
    if "dialogue" in at:
        out = dialogue(record[at["dialogue"]], at["dialogue"])
    else:
        history = record.get(at.get("history", ""))
        out = [] if is_nothing(history) else pairs(history, at["history"])
    if "question" not in at or ("dialogue" in at and any(one["role"] != "system" for one in out)):
        return out
    name = at["question"]
    value = record[name]
    if is_dialogue(value):
        return out + dialogue(value, name)
    if isinstance(value, dict) and "messages" in value:  # OpenAI's preferences
        is_learned(value, name)  # refuses tools
        return out + dialogue(value["messages"], f"{name}.messages")
    question = string(value, name)
    if HUMAN.match(question):
        return out + from_transcript(question, name)
    about = string(record[at["more"]], at["more"]) if "more" in at and record[at["more"]] else ""
    if not is_blank(about):
        question = about if is_blank(question) else f"{question}\n{about}"
    return [*out, message("user", question)]


def replies(value: Any, name: str, record: dict[str, Any], at: dict[str, str]) -> list[Message]:
    """The reply, or the best of several; or a whole conversation that ends with it."""
    if isinstance(value, str):
        spoken = name == at.get("chosen") and (HUMAN.match(value) or "question" not in at)
        return from_transcript(value, name) if spoken and "dialogue" not in at else [message("assistant", value)]
    if is_dialogue(value):
        return dialogue(value, name)
    if isinstance(value, list) and not any(isinstance(part, dict) and "type" in part for part in value):
        ranks, scores = (record.get(at.get(part, "")) for part in ("ranks", "scores"))
        # Of two the first is the better one, as LLaMA-Factory has it
        is_several = ranks or scores or name.endswith("s") or len(value) == 2
        place = place_of_best(record, name, value) if is_several and not (ranks or scores) else None
        if place is not None:
            return [message("assistant", best(value[place : place + 1], name, []))]
        if not is_several and all(isinstance(part, str) for part in value):
            return [message("assistant", string(value, name))]  # the lines of one reply
        return [message("assistant", best(value, name, worths(ranks, scores)))]
    if isinstance(value, dict):
        lists = next((value[key] for key in TEXTS if isinstance(value.get(key), list)), None)
        if lists is not None:  # {"text": [...], "score": [...]}
            scores = next((value[key] for key in SCORE if key in value), None)
            return [message("assistant", best(lists, name, worths(None, scores)))]
        return [
            message("assistant" if speaker is None else role_of(speaker, name), text, learned)
            for speaker, text, learned in turns_of(value, name)
        ]
    return [message("assistant", string(value, name))]


def best(answers: list[Any], name: str, worth: list[float]) -> str:
    """The best of several answers, by rank or score, else the first; Unusable where all are marked as bad."""
    found: list[tuple[float, str]] = []
    for number, answer in enumerate(answers):
        place, value = f"{name}[{number + 1}]", worth[number] if number < len(worth) else 0.0
        if isinstance(answer, dict):
            if not is_learned(answer, place):
                continue
            answer = {plain(key): item for key, item in answer.items()}
            own = worths(
                [answer[key] for key in RANK if key in answer], [answer[key] for key in SCORE if key in answer]
            )
            value = own[0] if own else value
            answer = next((answer[key] for key in TEXTS if key in answer), None)
        found.append((value, string(answer, place)))
    if not found:
        raise Unusable("no reply", f"{name} contains no good answer", f"{name} 里没有好的回答")
    return max(found, key=lambda one: one[0])[1]


def worths(ranks: Any, scores: Any) -> list[float]:
    """The worth of each answer, by ranks or scores; higher is better."""
    values, sign = (ranks, -1) if isinstance(ranks, list) and ranks else (scores, 1)
    values = values if isinstance(values, list) else []
    return [-1e9 if (number := number_of(value)) is None else sign * number for value in values]


def from_tree(root: dict[str, Any]) -> list[Message]:
    """The best path through a tree of `replies`, as in OASST. Unusable where its root is marked as bad."""
    if any(is_bad(key, value) for key, value in root.items()):
        raise Unusable("marked as bad", "its first message is marked as bad", "第一条消息标为不好")
    out: list[Message] = []
    node: dict[str, Any] | None = root
    while node is not None:
        out += [message(role_of(speaker, "prompt"), text, on) for speaker, text, on in turns_of(node, "prompt")]
        found = [reply for reply in node.get("replies") or () if isinstance(reply, dict)]
        good = [reply for reply in found if not any(is_bad(key, value) for key, value in reply.items())]
        node = max(good, key=lambda reply: worths([reply.get("rank")], None)[0], default=None)
    return out


def from_transcript(text: str, name: str = "chosen") -> list[Message]:
    """The turns of `\n\nHuman: ...\n\nAssistant: ...`, as in HH-RLHF; Unusable where there are none."""
    parts = max((spoken.split(text.strip()) for spoken in SPOKEN), key=lambda parts: min(len(parts), 5))
    if len(parts) < 3:
        raise Unusable(
            "wrong type", f"{name} holds no Human: and Assistant: turns", f"{name} 里没有 Human: 和 Assistant: 的对话"
        )
    return [message(ROLES[who.lower()], what.strip()) for who, what in zip(parts[1::2], parts[2::2], strict=True)]


def text_in(record: dict[str, Any], at: dict[str, str]) -> str | None:
    """The text of a record, or its lines under their title, as of a poem; None where it has neither."""
    name = at.get("text") or at.get("lines")
    if name is None:
        return None
    value = record[name]
    title = record.get(at.get("title", ""))
    text = string(value, name)
    return f"{title}\n{text}" if isinstance(value, list) and isinstance(title, str) and title else text


def unknown(record: dict[str, Any]) -> Unusable:
    """The problem of a record that is neither a conversation nor a text."""
    at = parts_of(tuple(map(plain, record)))
    names = ", ".join(map(str, list(record)[:8])) + (", ..." if len(record) > 8 else "") or "none"
    if "text" in at or "lines" in at:
        name = at.get("text") or at["lines"]
        return Unusable("wrong type", f"{name} must be a string, not null", f"{name} 应当是字符串，而不是 null")
    if replies := numbered(tuple(map(plain, record))):
        return no_choice(replies)
    if "question" in at or "dialogue" in at:
        wanted = ", ".join(PARTS["answer"][:4])
        return Unusable(
            "no reply",
            f"there is no reply; its key could be {wanted} or chosen. Keys in the record: {names}",
            f"没有回复；回复的键可以是 {wanted} 或 chosen。这条记录的键：{names}",
        )
    shapes = " | ".join(SHAPES)
    return Unusable(
        "unknown shape",
        f"no known shape; its keys: {names}. Known: {shapes}",
        f"不认识的格式；它的键：{names}。支持：{shapes}",
    )
