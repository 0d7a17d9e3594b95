"""A request's body -> its validated fields. Every error is given in both languages, with its place."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.datastructures import Headers

from yaya.core.messages import UserError
from yaya.serve.fields import Unsupported
from yaya.serve.schema import ApiError, Fields

Kind = TypeVar("Kind", bound=Fields)

# pydantic's error types in our words, filled in from their context.
REASONS = {
    "bool_type": ("must be true or false", "应当是 true 或 false"),
    "int_type": ("must be a whole number", "应当是整数"),
    "float_type": ("must be a number", "应当是数字"),
    "string_type": ("must be a string", "应当是字符串"),
    "list_type": ("must be a list", "应当是列表"),
    "model_type": ("must be a JSON object", "应当是 JSON 对象"),
    "greater_than": ("must be greater than {gt}", "应当大于 {gt}"),
    "greater_than_equal": ("must be at least {ge}", "应当不小于 {ge}"),
    "less_than": ("must be less than {lt}", "应当小于 {lt}"),
    "less_than_equal": ("must be at most {le}", "应当不大于 {le}"),
    "too_short": ("must not be empty", "不能为空"),
    "too_long": ("must have at most {max_length} entries", "最多有 {max_length} 项"),
    "string_too_short": ("must not be empty", "不能为空"),
}


def read_fields(kind: type[Kind], body: bytes, headers: Headers) -> Kind:
    """The body as `kind`; raises `ApiError` with what is wrong and where."""
    check_headers(headers)
    try:
        return kind.model_validate(parse(body))
    except ValidationError as error:
        raise invalid(error.errors(include_url=False, include_input=False)[0]) from None


def check_headers(headers: Headers) -> None:
    """Raises `ApiError` 415 unless the body says that it is plain JSON.

    A page of another site can send a body of another type without the browser's permission check.
    """
    coding = headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity"):
        en = f"The body is compressed (Content-Encoding: {coding}). Send it uncompressed."
        raise ApiError(
            415, en, f"请求体是压缩过的（Content-Encoding: {coding}），请不压缩直接发送。", code="compressed"
        )
    media_type = headers.get("content-type", "").split(";")[0].strip().lower()
    if not re.fullmatch(r"application/(.*\+)?json", media_type):
        en = "The body must be sent with the header Content-Type: application/json"
        zh = "发送请求体时要带上 Content-Type: application/json"
        en, zh = (f"{en}, not {media_type}.", f"{zh}，而不是 {media_type}。") if media_type else (f"{en}.", f"{zh}。")
        raise ApiError(415, en, zh, code="unsupported_media_type")


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object in the bytes; raises `ApiError` 400 for anything else."""
    try:
        text = body.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        at, byte = error.start + 1, f"0x{error.object[error.start]:02X}"
        en = f"The body is not UTF-8: byte {at} ({byte}) is invalid. Send the JSON encoded as UTF-8."
        raise bad_json(
            en, f"请求体不是 UTF-8：第 {at} 个字节（{byte}）不对。请用 UTF-8 编码发送 JSON。", "invalid_encoding"
        ) from None
    if "\0" in text:  # never in JSON text, but in every other byte of UTF-16
        en = "The body is not UTF-8: it contains zero bytes, as UTF-16 does. Send the JSON encoded as UTF-8."
        raise bad_json(
            en, "请求体不是 UTF-8：里面有零字节，像是 UTF-16。请用 UTF-8 编码发送 JSON。", "invalid_encoding"
        )
    if not text.strip():
        raise bad_json("The body is empty. It must be a JSON object.", "请求体是空的，应当是一个 JSON 对象。")
    try:
        data = json.loads(text, object_pairs_hook=unique)
        broken = find_broken(data)
    except json.JSONDecodeError as error:
        en = f"The body is not valid JSON: see line {error.lineno}, column {error.colno}."
        raise bad_json(en, f"请求体不是合法的 JSON：第 {error.lineno} 行第 {error.colno} 列有误。") from None
    except RecursionError:
        raise bad_json("The body is nested too deeply.", "请求体嵌套得太深。") from None
    except ValueError:  # Python refuses numbers of more than 4,300 digits
        raise bad_json("The body contains a number that is too long.", "请求体里有一个太长的数字。") from None
    if not isinstance(data, dict):
        raise bad_json("The body must be a JSON object.", "请求体应当是一个 JSON 对象。")
    if broken is not None:
        path, en, zh = broken
        raise ApiError(400, f"{place(path)} {en}.", f"{place(path)}：{zh}。", code="invalid_value", param=place(path))
    return data


def bad_json(en: str, zh: str, code: str = "invalid_json") -> ApiError:
    return ApiError(400, en, zh, code=code)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object; `ApiError` if a name occurs twice, since one value would be lost silently."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise bad_json(f"The body has two values for {twice!r}.", f"请求体里 {twice!r} 出现了两次。")
    return made


def find_broken(value: Any) -> tuple[list[str | int], str, str] | None:
    """Where Python accepts more than JSON allows, and what it is: half a character (`"\\ud83d"`), `NaN`, `Infinity`.

    Returns its path in the value and the error in both languages, or None if all is well.
    """
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return [], "contains half a character: the text is damaged", "文本里有半个字符，已损坏"
    elif isinstance(value, float) and not math.isfinite(value):
        return [], "is not a finite number", "不是有限的数"
    elif isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            found = find_broken(key) or find_broken(item)
            if found is not None:
                return [key, *found[0]], *found[1:]
    return None


def place(path: Iterable[str | int]) -> str:
    """`["messages", 0, "content"]` -> `"messages[0].content"`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    return text.encode(errors="backslashreplace").decode()


def invalid(error: Mapping[str, Any]) -> ApiError:
    """A client's mistake in OpenAI's format, from one of pydantic's errors."""
    kind, ctx = error["type"], error.get("ctx") or {}
    cause = ctx.get("error")
    if isinstance(cause, Unsupported):
        cause = Unsupported(param := place([*error["loc"], cause.name]), cause.neutral)
        return ApiError(400, cause.en, cause.zh, code="unsupported_parameter", param=param)
    param = place(error["loc"])
    if kind == "missing":
        en, zh = f"Missing required parameter: {param}", f"缺少参数：{param}"
        return ApiError(400, en, zh, code="missing_required_parameter", param=param)
    if isinstance(cause, UserError):
        en, zh = cause.en, cause.zh
    elif kind in REASONS:
        en, zh = (text.format_map(ctx) for text in REASONS[kind])
    else:
        en = zh = error["msg"]
    en, zh = (f"{param} {en}.", f"{param}：{zh}。") if param else (f"{en}.", f"{zh}。")
    return ApiError(400, en, zh, code="invalid_value", param=param or None)
