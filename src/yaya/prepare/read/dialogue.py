"""Turns lists of turns, in the forms that data comes in, into messages with our roles."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson

from yaya.core.messages import UserError, json_kind
from yaya.prepare.document import Message, Unusable
from yaya.prepare.read.keys import parts_of, plain
from yaya.prepare.read.marks import ON_MESSAGE, is_learned, no_tools
from yaya.tokenize.chat_template import UNLEARNED, text_of_content

NAMES = {
    "system": "system developer 系统",
    "user": "user human prompter customer client question instruction prompt query 用户 人类 顾客 客户 问",
    "assistant": "assistant gpt chatgpt bot chatbot model ai agent claude bard bing answer response output"
    " 助手 助理 机器人 客服 答",
}
ROLES = {name: role for role, names in NAMES.items() for name in names.split()}
TOOL_NAMES = (
    "tool function observation function_call function_response tool_call tool_calls tool_response tool_result tool_output"
    " ipython environment"
)
TOOL_ROLES = frozenset(TOOL_NAMES.split())
SPEAKER = ("role", "from", "speaker", "author", "user")
SAID = ("content", "value", "text", "message", "utterance", "parts")
FREE = frozenset({"turns", "dialog", "dialogue", "dialogs", "utterances"})  # speakers may have their own names
Turn = tuple[str | None, str, bool]  # speaker if known, text, whether it is to be learned


def string(value: Any, name: str) -> str:
    """The text of a string or a list of texts; Unusable for anything else."""
    if type(value) is str:
        return value
    try:
        return text_of_content(value)
    except UserError as error:
        raise Unusable("wrong type", f"{name} {error.en}", f"{name} {error.zh}") from None


def listed(value: Any, name: str) -> list[Any]:
    """A list that is not empty, or one that a table's cell holds as JSON; Unusable for anything else."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with contextlib.suppress(orjson.JSONDecodeError):
            value = orjson.loads(value)
    if not isinstance(value, list) or not value:
        en, zh = ("an empty list", "空列表") if value == [] else json_kind(value)
        raise Unusable(
            "wrong type", f"{name} must be a list of messages, not {en}", f"{name} 应当是消息列表，而不是{zh}"
        )
    return value


def is_blank(text: str) -> bool:
    """Whether a text has no visible character; stops at the first letter and copies nothing."""
    return not text or text.isspace()


def is_dialogue(value: Any) -> bool:
    """Whether it is a list of messages, not a list of texts."""
    return isinstance(value, list) and any(isinstance(m, dict) and ("role" in m or "from" in m) for m in value)


def dialogue(value: Any, name: str) -> list[Message]:
    """The messages of a list of `{"role", "content"}`, `{"from", "value"}`, questions with answers, or strings.

    Unusable where it is not such a list.
    """
    turns = [turn for n, item in enumerate(listed(value, name), 1) for turn in turns_of(item, f"{name}[{n}]")]
    names = list(dict.fromkeys(speaker for speaker, _, _ in turns))
    if names == [None]:
        return [message(("user", "assistant")[n % 2], text, learned) for n, (_, text, learned) in enumerate(turns)]
    roles = free_roles(names) if name in FREE else {}
    for number, (speaker, _, _) in enumerate(turns, 1):
        if speaker not in roles:
            roles[speaker] = role_of(speaker, f"{name}[{number}]")
    return [message(roles[speaker], text, learned) for speaker, text, learned in turns]


def message(role: str, text: str, learned: bool = True) -> Message:
    """One message; an assistant's message that is marked as not to be learned has a role of its own."""
    return {"role": role if learned or role != "assistant" else UNLEARNED, "content": text}


def turns_of(item: Any, name: str) -> list[Turn]:
    """The turns of one item of a list; Unusable where it is not a message."""
    if isinstance(item, str):
        return [(None, item, True)]
    if isinstance(item, list) and len(item) == 2:
        return [(string(item[0], name).strip().lower(), string(item[1], name), True)]
    if not isinstance(item, dict):
        en, zh = json_kind(item)
        raise Unusable("wrong type", f"{name} must be a message, not {en}", f"{name} 应当是一条消息，而不是{zh}")
    found = turns_in(item, name) or turns_in({plain(key): value for key, value in item.items()}, name)
    if found:
        return found
    keys = ", ".join(map(str, item)) or "none"
    wanted = ("from", "value") if "from" in item else ("role", "content")
    raise Unusable(
        "wrong type",
        f"{name} needs {wanted[0]} and {wanted[1]}; its keys: {keys}",
        f"{name} 需要 {wanted[0]} 和 {wanted[1]}；它的键：{keys}",
    )


def turns_in(item: dict[str, Any], name: str) -> list[Turn]:
    """The turn in one object, or a question and its answer; empty where its keys are unknown."""
    learned = ON_MESSAGE.isdisjoint(item) or is_learned(item, name)
    speaker = next((called(item[key], f"{name}.{key}") for key in SPEAKER if item.get(key) is not None), None)
    for key in SAID:
        if item.get(key) is not None:
            return [(speaker, string(item[key], f"{name}.{key}"), learned)]
    at = parts_of(tuple(key for key, value in item.items() if value is not None))
    if "question" in at and "answer" in at:
        parts = (("system", "system"), ("user", "question"), ("assistant", "answer"))
        return [(role, string(item[at[part]], f"{name}.{at[part]}"), learned) for role, part in parts if part in at]
    for key in SAID:
        if key in item:
            string(item[key], f"{name}.{key}")  # raises, because it is null
    return []


def called(speaker: Any, name: str) -> str:
    """The name of the speaker, which may be a number."""
    return str(speaker) if isinstance(speaker, int | float) else string(speaker, name).strip().lower()


def role_of(speaker: str | None, place: str) -> str:
    """Our name for a speaker's role; Unusable for an unknown one, and for tools."""
    if speaker is None:
        raise Unusable("wrong type", f"{place} has no role", f"{place} 没有角色")
    if speaker in ROLES:
        return ROLES[speaker]
    if speaker in TOOL_ROLES:
        raise no_tools(f"{place}, {speaker}")
    raise Unusable(
        "wrong type",
        f"{place} has the role {speaker!r}; known: system, user, assistant and their other names",
        f"{place} 的角色是 {speaker!r}；支持：system、user、assistant 以及它们的别名",
    )


def free_roles(speakers: list[str | None]) -> dict[str | None, str]:
    """Speaker -> role, where speakers have their own names: by name if it is a role, else the first is the user.

    A `system` among users is a machine that answers. Unusable where one of them is a tool.
    """
    if tool := next((speaker for speaker in speakers if speaker in TOOL_ROLES), None):
        raise no_tools(tool)
    known = {speaker: ROLES.get(speaker or "") for speaker in speakers}
    if "assistant" in known.values():
        return {speaker: role or "user" for speaker, role in known.items()}
    users = [speaker for speaker, role in known.items() if role == "user"] or speakers[:1]
    return {speaker: "user" if speaker in users else "assistant" for speaker in speakers}


def pairs(value: Any, name: str) -> list[Message]:
    """The messages of `[[question, answer], ...]` or of a list of messages; Unusable for anything else."""
    turns = listed(value, name)
    if not isinstance(turns[0], list):
        return dialogue(turns, name)
    out = []
    for number, turn in enumerate(turns, 1):
        if not isinstance(turn, list) or len(turn) != 2:
            raise Unusable(
                "wrong type", f"{name}[{number}] must be [question, answer]", f"{name}[{number}] 应当是 [问, 答]"
            )
        texts = [string(text, f"{name}[{number}][{n}]") for n, text in enumerate(turn)]
        out += [message("user", texts[0]), message("assistant", texts[1])]
    return out


def finished(messages: list[Message]) -> list[Message]:
    """The conversation in the form that is learned; Unusable where there is no reply.

    Drops empty system messages and an empty last reply, joins messages of one speaker in a row, and marks what the
    assistant says first as not to be learned, because it answers nothing.
    """
    out: list[Message] = []
    end = len(messages)
    while end and messages[end - 1]["role"] != "user" and is_blank(messages[end - 1]["content"]):
        end -= 1
    for one in messages[:end]:
        if out and out[-1]["role"] == one["role"]:
            texts = (out[-1]["content"], one["content"])
            out[-1] = {"role": one["role"], "content": "\n".join(text for text in texts if not is_blank(text))}
        elif one["role"] != "system" or not is_blank(one["content"]):
            out.append(one)
    if out and out[0]["role"] == "assistant":
        out[0] = message("assistant", out[0]["content"], learned=False)
    if not any(one["role"] == "assistant" for one in out):
        raise no_reply(messages, out)
    return out


def no_reply(messages: list[Message], out: list[Message]) -> Unusable:
    """Why a conversation has nothing to learn."""
    if any(one["role"] == UNLEARNED for one in messages):
        return Unusable("not to be learned", "all its replies are marked as not to be learned", "它的回复都标为不学")
    if any(one["role"] == UNLEARNED for one in out):
        return Unusable("no reply", "the assistant speaks first, and nobody asks it anything", "助手先开口，没有人提问")
    if any(one["role"] == "assistant" for one in messages):
        return Unusable("no reply", "the assistant's reply is empty", "助手的回复是空的")
    roles = ", ".join(dict.fromkeys(one["role"] for one in messages))
    return Unusable("no reply", f"there is no reply, only {roles}", f"没有助手的回复，只有 {roles}")
