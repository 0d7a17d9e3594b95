"""What goes over HTTP: OpenAI's fields and errors. A field that is not obeyed is refused, never ignored."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from yaya.inference.sampling import Sampling

# OpenAI's fields that this server does not act on, with the values that ask for nothing.
UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "reasoning_effort": ("none",),
    "verbosity": (),
    "web_search_options": (),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "metadata": ({},),
}
# What OpenAI's clients send back with an assistant's message that they received.
UNSUPPORTED_IN_MESSAGE: dict[str, tuple[Any, ...]] = {
    "refusal": (),
    "annotations": ([],),
    "audio": (),
    "function_call": (),
    "tool_calls": ([],),
}


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
    """Unknown fields are errors, and `"5"` is no number."""

    model_config = ConfigDict(extra="forbid", strict=True)


def drop_neutral(values: Any, table: Mapping[str, Sequence[Any]]) -> Any:
    """The fields without those of `table`; one that asks for something is an error that names it."""
    if not isinstance(values, dict):
        return values
    for name in values.keys() & table.keys():
        value = values[name]
        if value is not None and not any(value == neutral and type(value) is type(neutral) for neutral in table[name]):
            raise PydanticCustomError("unsupported", "{name} is not supported by this server.", {"name": name})
    return {name: value for name, value in values.items() if name not in table}


def text_of(content: Any) -> Any:
    """A message's content as one string; OpenAI also allows a list of parts."""
    if not isinstance(content, list):
        return content
    for part in content:
        is_text = isinstance(part, dict) and part.keys() == {"type", "text"} and part["type"] == "text"
        if not is_text or not isinstance(part["text"], str):
            wanted = 'Each part must be a text, {"type": "text", "text": "..."}: this server reads nothing else.'
            raise PydanticCustomError("content_part", wanted.replace("{", "{{").replace("}", "}}"))
    return "\n".join(part["text"] for part in content)


def as_list(stop: Any) -> Any:
    """`"a"` -> `["a"]`; None -> `[]`."""
    return [stop] if isinstance(stop, str) else stop or []


def whole_characters(text: str) -> str:
    """The text; JSON can write half of a character (`"\\ud83d"`), which no tokenizer reads."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("half_character", "The text holds half of a character: it is damaged.") from None
    return text


Text = Annotated[str, AfterValidator(whole_characters)]
Stop = Annotated[list[Annotated[Text, Field(min_length=1)]], BeforeValidator(as_list), Field(max_length=4)]


class SamplingFields(Fields):
    """Settings that both routes share. An absent `max_new_tokens` means: to the end of the context."""

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0)
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    stop: Stop = Field(default=[])
    seed: int | None = Field(None, ge=0, lt=2**63)

    def sampling(self, max_new_tokens: int) -> Sampling:
        """As the engine wants it."""
        given = {name: getattr(self, name) for name in ("temperature", "top_p", "top_k", "repetition_penalty", "seed")}
        given = {name: value for name, value in given.items() if value is not None}
        return Sampling(max_new_tokens=max_new_tokens, stop=tuple(self.stop), **given)


class Message(Fields):
    """One turn. `developer` is OpenAI's newer name of `system`."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[Text, BeforeValidator(text_of)]

    @model_validator(mode="before")
    @classmethod
    def _supported(cls, values: Any) -> Any:
        return drop_neutral(values, UNSUPPORTED_IN_MESSAGE)

    def plain(self) -> dict[str, str]:
        """As `fit_messages` wants it."""
        return {"role": "system" if self.role == "developer" else self.role, "content": self.content}


class StreamOptions(Fields):
    include_usage: bool = False


class ChatRequest(SamplingFields):
    """`POST /v1/chat/completions`"""

    model: str | None = None
    messages: list[Message] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None  # whom OpenAI should watch for abuse: nothing to obey
    safety_identifier: str | None = None  # the newer name of `user`

    @model_validator(mode="before")
    @classmethod
    def _supported(cls, values: Any) -> Any:
        return drop_neutral(values, UNSUPPORTED)

    @model_validator(mode="after")
    def _agree(self) -> ChatRequest:
        both = {self.max_tokens, self.max_completion_tokens} - {None}
        if len(both) > 1:
            raise PydanticCustomError("conflict", "max_tokens and max_completion_tokens differ: give one of them.")
        if self.stream_options is not None and not self.stream:
            raise PydanticCustomError("conflict", "stream_options is only allowed with stream=true.")
        return self

    @property
    def max_new_tokens(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens


class GenerateRequest(SamplingFields):
    """`POST /generate`, as the tutorials have it: `max_length` counts the prompt too."""

    prompt: Text = Field(min_length=1)
    max_length: int | None = Field(None, ge=1)
    max_new_tokens: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _one_length(self) -> GenerateRequest:
        if self.max_length is not None and self.max_new_tokens is not None:
            raise PydanticCustomError("conflict", "Give max_length (prompt included) or max_new_tokens, not both.")
        return self


def invalid(error: Mapping[str, Any]) -> ApiError:
    """A client's mistake as OpenAI says it, from the first of pydantic's errors."""
    kind, message, ctx = error["type"], error["msg"], error.get("ctx") or {}
    path = [*(part for part in error["loc"] if part != "body"), *([ctx["name"]] if kind == "unsupported" else [])]
    param = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".") or None
    if kind == "json_invalid":
        return ApiError(400, "The body is not valid JSON.", "请求体不是合法的 JSON。", code="invalid_json")
    if param is None and kind in ("missing", "model_attributes_type", "dict_type"):
        en = "The body must be a JSON object, sent with Content-Type: application/json."
        return ApiError(400, en, "请求体应当是一个 JSON 对象，并带上 Content-Type: application/json。")
    known = {
        "unsupported": (
            f"{param} is not supported by this server.",
            f"本服务器不支持 {param}。",
            "unsupported_parameter",
        ),
        "extra_forbidden": (f"Unrecognized request argument: {param}", f"不认识的参数：{param}", "unknown_parameter"),
        "missing": (f"Missing required parameter: {param}", f"缺少参数：{param}", "missing_required_parameter"),
    }
    shown = f"{param}: {message}" if param else message
    en, zh, code = known.get(kind, (shown, f"参数有误。{shown}", "invalid_value"))
    return ApiError(400, en, zh, code=code, param=param)


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
