"""What goes over HTTP: request fields, and OpenAI's answers and errors."""

from __future__ import annotations

import time
import uuid
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from yaya.core.messages import UserError
from yaya.inference.sampling import SamplingParams
from yaya.serve.fields import UNSUPPORTED, UNSUPPORTED_IN_MESSAGE, Table, refuse_unsupported
from yaya.tokenize.chat_template import text_of_content

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


class ApiError(Exception):
    """An error as the client sees it."""

    def __init__(self, status: int, en: str, zh: str, *, code: str | None = None, param: str | None = None):
        super().__init__(en)
        self.status, self.en, self.zh, self.code, self.param = status, en, zh, code, param

    def body(self, chinese: bool) -> dict[str, Any]:
        """OpenAI's error object."""
        kinds = {429: "rate_limit_error", 500: "server_error", 503: "server_error"}
        kind, message = kinds.get(self.status, "invalid_request_error"), self.zh if chinese else self.en
        return {"error": {"message": message, "type": kind, "param": self.param, "code": self.code}}


class Fields(BaseModel):
    """Strict: `"5"` is not a number. Unknown fields are kept, to be named in a header."""

    model_config = ConfigDict(extra="allow", strict=True)
    unsupported: ClassVar[Table] = UNSUPPORTED

    @model_validator(mode="before")
    @classmethod
    def _supported(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return refuse_unsupported(values, cls.model_fields, cls.unsupported)

    def ignored(self) -> list[str]:
        """The names of the ignored fields."""
        return list(self.model_extra or ())


def whole(number: Any) -> Any:
    """5.0 -> 5: JSON has only one number type."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def length(number: Any) -> Any:
    """-1 -> None: that is how clients of llama.cpp ask for no limit."""
    return None if number in (-1, -1.0) and not isinstance(number, bool) else whole(number)


def as_list(stop: Any) -> Any:
    """`"a"` -> `["a"]`; None -> `[]`."""
    return [] if stop is None else [stop] if isinstance(stop, str) else stop


def our_role(role: Any) -> str:
    """The role as the chat template writes it."""
    if not isinstance(role, str) or role not in ROLES:
        known = ", ".join(ROLES)
        raise UserError(f"is {role!r:.60}; known: {known}", f"是 {role!r:.60}；支持：{known}")
    return ROLES[role]


Whole = Annotated[int, BeforeValidator(whole)]
Length = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(length)]
Stop = Annotated[list[Annotated[str, Field(min_length=1)]], BeforeValidator(as_list), Field(max_length=4)]


class SamplingFields(Fields):
    """Settings that both routes share. An absent `max_new_tokens` means: to the end of the context."""

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: Whole | None = Field(None, ge=-1, lt=2**31)  # -1 means 0: that is how vLLM's clients turn it off
    repetition_penalty: float | None = Field(None, ge=0.01, le=10)
    stop: Stop = Field(default=[])
    seed: Whole | None = Field(None, ge=-(2**63), lt=2**63)

    def sampling(self, max_new_tokens: int) -> SamplingParams:
        """As the engine's `SamplingParams`."""
        given = {name: getattr(self, name) for name in ("temperature", "top_p", "top_k", "repetition_penalty", "seed")}
        given = {name: value for name, value in given.items() if value is not None}
        if self.top_k == -1:
            given["top_k"] = 0
        return SamplingParams(max_new_tokens=max_new_tokens, stop=tuple(self.stop), **given)


class Message(Fields):
    """One message."""

    unsupported = UNSUPPORTED_IN_MESSAGE
    role: Annotated[str, BeforeValidator(our_role)]
    content: Annotated[str, BeforeValidator(text_of_content)]

    @model_validator(mode="before")
    @classmethod
    def _parts(cls, values: Any) -> Any:
        """Anything but text in a part of the content is ignored, like an unknown field of the message."""
        parts = values.get("content") if isinstance(values, dict) else None
        if not isinstance(parts, list):
            return values
        named = [(i, name) for i, part in enumerate(parts) if isinstance(part, dict) for name in part]
        return values | {f"content[{i}].{name}": True for i, name in named if name not in ("type", "text", "value")}


class StreamOptions(Fields):
    unsupported = {}
    include_usage: bool | None = None


class ChatRequest(SamplingFields):
    """`POST /v1/chat/completions`"""

    model: str | None = None
    messages: list[Message] = Field(min_length=1, fail_fast=True)
    max_tokens: Length = None
    max_completion_tokens: Length = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @model_validator(mode="after")
    def _agree(self) -> ChatRequest:
        if len({self.max_tokens, self.max_completion_tokens} - {None}) > 1:
            en = "max_tokens and max_completion_tokens differ: give only one of them"
            raise UserError(en, "max_tokens 和 max_completion_tokens 不一样，请只给一个")
        return self

    @property
    def max_new_tokens(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    def plain(self) -> list[dict[str, str]]:
        """The messages as `fit_messages` takes them."""
        return [{"role": message.role, "content": message.content} for message in self.messages]

    def ignored(self) -> list[str]:
        options = self.stream_options.ignored() if self.stream_options else []
        in_messages = [f"messages[{i}].{name}" for i, turn in enumerate(self.messages) for name in turn.ignored()]
        return [*super().ignored(), *(f"stream_options.{name}" for name in options), *in_messages]


class GenerateRequest(SamplingFields):
    """`POST /generate`, as in the tutorials: `max_length` includes the prompt."""

    prompt: str = Field(min_length=1)
    max_length: Length = None
    max_new_tokens: Length = None

    @model_validator(mode="after")
    def _one_length(self) -> GenerateRequest:
        if self.max_length is not None and self.max_new_tokens is not None:
            en = "Give max_length (prompt included) or max_new_tokens, not both"
            raise UserError(en, "max_length（含输入）和 max_new_tokens 只能给一个")
        return self


class Completion:
    """Builds the answers of one chat request: whole, or chunk by chunk."""

    def __init__(self, model: str, dropped_turns: int):
        self.id, self.created, self.model = f"chatcmpl-{uuid.uuid4().hex}", int(time.time()), model
        self.yaya = {"dropped_turns": dropped_turns}

    def whole(self, text: str, finish_reason: str | None, usage: dict[str, int]) -> dict[str, Any]:
        """`chat.completion`"""
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head("chat.completion"), "choices": [choice], "usage": usage, "yaya": self.yaya}

    def chunk(self, delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
        """`chat.completion.chunk`"""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def opening(self) -> dict[str, Any]:
        """The first chunk: the role, and how many of the oldest turns did not fit."""
        return {**self.chunk({"role": "assistant", "content": ""}), "yaya": self.yaya}

    def usage_chunk(self, usage: dict[str, int]) -> dict[str, Any]:
        """The last chunk when `stream_options.include_usage` is set."""
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": usage}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    """OpenAI's token counts."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
