"""One record of JSON, JSONL or Parquet -> documents. SHAPES lists what is understood."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from yaya.core.say import UserError
from yaya.prepare.document import Content, Message, Unusable
from yaya.tokenize.chat import text_of_content

ROLES = {
    "system": "system",
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant",
}  # fmt: skip


def content_of(record: dict[str, Any]) -> Content:
    """The text or the messages of a record; Unusable where it fits no shape or has wrong types."""
    present = {key: value for key, value in record.items() if value is not None}
    for seen in (present, record):  # a null counts as absent, unless nothing else is there
        for takes, read, _ in SHAPES.values():
            if takes(seen):
                return read(seen)
    names = ", ".join(map(str, list(record)[:8])) + (", ..." if len(record) > 8 else "") or "none"
    raise Unusable(
        "unknown shape",
        f"no known shape; its keys: {names}. Known: {examples()}",
        f"不认识的格式；它的键：{names}。支持：{examples()}",
    )


def contents_of(record: Any) -> list[Content | Unusable]:
    """All that a record holds: one entry, or one per language where keys carry it (`en_instruction`, `zh_...`)."""
    if not isinstance(record, dict):
        what = type(record).__name__
        return [Unusable("wrong type", f"a record must be an object, not a {what}", f"记录应当是对象，而不是 {what}")]
    parts = [{k.removeprefix(p): v for k, v in record.items() if k.startswith(p)} for p in prefixes(record)]
    out: list[Content | Unusable] = []
    for part in parts or [record]:
        try:
            out.append(content_of(part))
        except Unusable as problem:
            out.append(problem)
    return out


def prefixes(record: dict[str, Any]) -> list[str]:
    """`["en_", "zh_"]` for an alpaca record whose keys carry a language."""
    ends = [key.removesuffix("instruction") for key in record if key.endswith("_instruction")]
    return [prefix for prefix in ends if f"{prefix}output" in record]


def examples() -> str:
    """The known shapes in one line."""
    return " | ".join(example for _, _, example in SHAPES.values())


def string(value: Any, name: str) -> str:
    """The value, which must be a string."""
    if not isinstance(value, str):
        what = "null" if value is None else type(value).__name__
        raise Unusable("wrong type", f"{name} must be a string, not {what}", f"{name} 应当是字符串，而不是 {what}")
    return value


def listed(value: Any, name: str) -> list[Any]:
    """The value, which must be a list with something in it."""
    if not isinstance(value, list) or not value:
        what = "an empty list" if value == [] else type(value).__name__
        raise Unusable(
            "wrong type", f"{name} must be a list of messages, not {what}", f"{name} 应当是消息列表，而不是 {what}"
        )
    return value


def message(role: Any, content: Any, name: str) -> Message:
    """One checked message with our role names; `name` is what the user sees of its place."""
    ours = ROLES.get(role.lower()) if isinstance(role, str) else None
    if ours is None:
        known, at = ", ".join(ROLES), name.split(".")[0]
        raise Unusable(
            "wrong type", f"{at} has the role {role!r}; known: {known}", f"{at} 的角色是 {role!r}；支持：{known}"
        )
    try:
        return {"role": ours, "content": text_of_content(content)}
    except UserError as error:
        raise Unusable("wrong type", f"{name} {error.en}", f"{name} {error.zh}") from None


def from_messages(
    record: dict[str, Any], field: str = "messages", role: str = "role", content: str = "content"
) -> list[Message]:
    """`[{"role", "content"}]`; empty system messages are left out."""
    out = []
    for number, item in enumerate(listed(record[field], field), 1):
        name = f"{field}[{number}]"
        if not isinstance(item, dict) or role not in item or content not in item:
            keys = ", ".join(map(str, item)) if isinstance(item, dict) else type(item).__name__
            raise Unusable(
                "wrong type",
                f"{name} needs {role} and {content}; it has {keys}",
                f"{name} 需要 {role} 和 {content}；它只有 {keys}",
            )
        out.append(message(item[role], item[content], f"{name}.{content}"))
    return with_system(out)


def from_sharegpt(record: dict[str, Any]) -> Content:
    """`[{"from", "value"}]`, or role and content under the same name; the system prompt may stand beside it."""
    turns = listed(record["conversations"], "conversations")
    openai = isinstance(turns[0], dict) and "role" in turns[0]
    names = ("role", "content") if openai else ("from", "value")
    out = from_messages(record, "conversations", *names)
    return with_system(out, record.get("system"))


def from_alpaca(record: dict[str, Any]) -> Content:
    """`instruction` + line break + `input`, after the turns of `history`."""
    out = []
    for number, turn in enumerate(record.get("history") or [], 1):
        if not isinstance(turn, list) or len(turn) != 2:
            raise Unusable(
                "wrong type", f"history[{number}] must be [question, answer]", f"history[{number}] 应当是 [问, 答]"
            )
        out += pair(turn[0], turn[1], f"history[{number}][0]", f"history[{number}][1]")
    question = string(record["instruction"], "instruction")
    more = record.get("input", record.get("context")) or ""
    if string(more, "input").strip():
        question = f"{question}\n{more}"
    answer = record.get("output", record.get("response"))
    return with_system(out + pair(question, answer, "instruction", "output"), record.get("system"))


def from_pair(record: dict[str, Any]) -> Content:
    """A prompt or question and its response, completion or answer."""
    asked = next(key for key in ASKED if key in record)
    answered = next(key for key in ANSWERED if key in record)
    question, answer = record[asked], record[answered]
    if isinstance(question, list) and isinstance(answer, list):  # both as messages
        return from_messages({"messages": question + answer})
    return with_system(pair(question, answer, asked, answered), record.get("system"))


def from_turns(record: dict[str, Any]) -> list[Message]:
    """A dialogue of strings, `[speaker, text]` pairs or objects. Who speaks first is the user; runs of one are joined."""
    field = next(name for name in TURNS if name in record)
    said = [one_turn(item, f"{field}[{n}]") for n, item in enumerate(listed(record[field], field), 1)]
    first = said[0][0]
    out: list[Message] = []
    for number, (speaker, text) in enumerate(said):
        user = speaker == first if speaker is not None else number % 2 == 0
        role = "user" if user else "assistant"
        if out and out[-1]["role"] == role:
            out[-1]["content"] += f"\n{text}"
        else:
            out.append({"role": role, "content": text})
    return out


def one_turn(item: Any, name: str) -> tuple[str | None, str]:
    """(speaker if known, text) of one turn."""
    if isinstance(item, str):
        return None, item
    if isinstance(item, list) and len(item) == 2:
        return string(item[0], name).lower(), string(item[1], name)
    if isinstance(item, dict):
        text = next((item[key] for key in SAID if key in item), None)
        speaker = next((item[key] for key in SPEAKER if key in item), None)
        return None if speaker is None else str(speaker).lower(), string(text, name)
    raise Unusable("wrong type", f"{name} is no turn of a dialogue", f"{name} 不是对话里的一句")


def is_turns(record: dict[str, Any]) -> bool:
    """Whether it holds a dialogue without our roles."""
    for name in TURNS:
        turns = record.get(name)
        if isinstance(turns, list) and turns:
            return name != "messages" or (isinstance(turns[0], dict) and "role" not in turns[0])
    return False


def from_preference(record: dict[str, Any]) -> Content:
    """`prompt`, `chosen`, `rejected`: the chosen reply."""
    chosen, asked = record["chosen"], record.get("prompt")
    if isinstance(chosen, list):
        first = from_messages({"messages": asked}) if isinstance(asked, list) else []
        first = pair(asked, "", "prompt", "")[:1] if isinstance(asked, str) else first
        said = from_messages({"messages": chosen})
        return said if len(said) > 1 and said[0]["role"] == "user" else first + said
    if asked is None:
        return from_transcript(string(chosen, "chosen"))
    if isinstance(asked, list):
        return [*from_messages({"messages": asked}), message("assistant", chosen, "chosen")]
    return pair(asked, chosen, "prompt", "chosen")


def from_transcript(text: str) -> list[Message]:
    """`\n\nHuman: ...\n\nAssistant: ...`, as in the HH-RLHF data."""
    parts = re.split(r"(?:^|\n\n)(Human|Assistant): ?", text)
    said = [
        message({"Human": "user"}.get(who, "assistant"), what.strip(), "chosen")
        for who, what in zip(parts[1::2], parts[2::2], strict=True)
    ]
    if not said:
        raise Unusable(
            "wrong type", "chosen holds no Human: and Assistant: turns", "chosen 里没有 Human: 和 Assistant: 的对话"
        )
    return said


def from_instances(record: dict[str, Any]) -> Content:
    """`instruction` with a list of `input` and `output`: the first."""
    first = listed(record["instances"], "instances")[0]
    if not isinstance(first, dict):
        raise Unusable("wrong type", "instances[1] must be an object", "instances[1] 应当是对象")
    return from_alpaca({"instruction": record["instruction"], **first})


def pair(question: Any, answer: Any, asked: str, answered: str) -> list[Message]:
    """One turn of user and assistant."""
    return [message("user", question, asked), message("assistant", answer, answered)]


def with_system(messages: list[Message], system: Any = None) -> list[Message]:
    """The messages after their system prompt, if there is one."""
    if system is not None and string(system, "system").strip():
        messages = [message("system", system, "system"), *messages]
    return [m for m in messages if m["role"] != "system" or m["content"].strip()]


def from_text(record: dict[str, Any]) -> Content:
    """A plain document."""
    name = next(key for key in TEXT if key in record)
    return string(record[name], name)


TURNS = ("turns", "dialog", "dialogue", "dialogs", "utterances", "messages")
SAID, SPEAKER = ("text", "message", "utterance", "content", "value"), ("speaker", "role", "author", "from", "user")
TEXT, ASKED, ANSWERED = ("text", "content"), ("prompt", "question"), ("response", "completion", "answer")


# name -> (whether it takes the record, how it reads it, an example); the first that takes it reads it.
def from_paragraphs(record: dict[str, Any]) -> str:
    """A title and a list of paragraphs, as poems and articles have them."""
    lines = [string(line, "paragraphs") for line in listed(record["paragraphs"], "paragraphs")]
    return "\n".join([*([string(record["title"], "title")] if record.get("title") else []), *lines])


SHAPES: dict[str, tuple[Callable[[dict], bool], Callable[[dict], Content], str]] = {
    "turns": (is_turns, from_turns, '{"turns": [[speaker, text]]}'),
    "messages": (lambda r: "messages" in r, from_messages, '{"messages": [{"role", "content"}]}'),
    "sharegpt": (lambda r: "conversations" in r, from_sharegpt, '{"conversations": [{"from", "value"}]}'),
    "alpaca": (
        lambda r: "instruction" in r and ("output" in r or "response" in r), from_alpaca,
        '{"instruction", "input", "output"[, "history", "system"]}',
    ),
    "preference": (lambda r: "chosen" in r and "rejected" in r, from_preference, '{"prompt", "chosen", "rejected"}'),
    "preferred messages": (
        lambda r: "chosen_messages" in r, lambda r: from_messages(r, "chosen_messages"),
        '{"chosen_messages", "rejected_messages"}',
    ),
    "instances": (lambda r: "instruction" in r and "instances" in r, from_instances, '{"instruction", "instances"}'),
    "pair": (
        lambda r: any(k in r for k in ASKED) and any(k in r for k in ANSWERED), from_pair,
        '{"prompt", "response"}',
    ),
    "text": (lambda r: any(k in r for k in TEXT), from_text, '{"text"}'),
    "paragraphs": (
        lambda r: isinstance(r.get("paragraphs"), list) and all(isinstance(p, str) for p in r["paragraphs"]),
        from_paragraphs, '{"title", "paragraphs"}',
    ),
}  # fmt: skip

COLUMNS = {
    "messages", "conversations", "instruction", "input", "context", "output", "history", "system",
    "instances", "chosen", "rejected", "chosen_messages", "paragraphs", "title", *TURNS, *TEXT, *ASKED, *ANSWERED,
}  # fmt: skip


def is_column(name: str) -> bool:
    """Whether a Parquet column matters; the others (embeddings, metadata) are not even read."""
    return name in COLUMNS or name.endswith(("_instruction", "_input", "_output"))
