"""Which fields a client may send: obeyed, refused by name, or passed over and named in a header."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from test_serve_fake import CHAT, HELLO, FakeEngine, error_of, post, running_server

from yaya.serve.fields import UNSUPPORTED, UNSUPPORTED_IN_MESSAGE, ignored_header

IGNORED = "x-ignored-fields"


@pytest.fixture(scope="module")
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture(scope="module")
def url(engine: FakeEngine) -> Iterator[str]:
    with running_server(engine) as url:
        yield url


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=10, headers={"Accept-Language": "en"}) as client:
        yield client


# ---- Refused by name

REFUSED = [
    ("n", 2),
    ("n", True),
    ("n", 0),
    ("n", "1"),
    ("best_of", 3),
    ("tools", [{"type": "function", "function": {"name": "f"}}]),
    ("tool_choice", "required"),
    ("tool_choice", {"type": "function", "function": {"name": "f"}}),
    ("functions", [{"name": "f"}]),
    ("function_call", {"name": "f"}),
    ("logprobs", True),
    ("top_logprobs", 2),
    ("response_format", {"type": "json_object"}),
    ("response_format", {"type": "json_schema", "json_schema": {}}),
    ("presence_penalty", 0.5),
    ("frequency_penalty", -0.5),
    ("logit_bias", {"5": 1}),
    ("reasoning_effort", "high"),
    ("verbosity", "low"),
    ("modalities", ["text", "audio"]),
    ("audio", {"voice": "x", "format": "mp3"}),
    ("web_search_options", {}),
    ("suffix", "end"),
    ("echo", True),
    ("min_p", 0.05),
    ("typical_p", 0.9),
    ("repeat_penalty", 1.1),
    ("guided_json", {"type": "object"}),
    ("structured_outputs", {"choice": ["a"]}),
    ("format", "json"),
    ("grammar", "root ::= 'a'"),
    ("chat_template_kwargs", {"enable_thinking": True}),
    ("think", True),
    ("ignore_eos", True),
    ("stop_token_ids", [1]),
    ("stop_sequences", ["x"]),
    ("min_tokens", 5),
    ("mirostat", 2),
    ("n_predict", 10),
    ("num_predict", 10),
    ("max_new_tokens", 10),
    ("system", "be kind"),
    ("do_sample", False),
    ("skip_special_tokens", False),
    ("continue_final_message", True),
]


@pytest.mark.parametrize(("field", "value"), REFUSED)
def test_what_would_change_the_text_is_refused_by_name(http: httpx.Client, field: str, value: Any) -> None:
    error = error_of(post(http, **{field: value}), 400)
    assert (error["code"], error["param"], error["type"]) == ("unsupported_parameter", field, "invalid_request_error")
    assert error["message"].startswith(f"{field} is not supported by this server")


@pytest.mark.parametrize(
    ("field", "value", "en", "zh"),
    [
        ("n", 2, "n is not supported by this server; only n=1 is.", "本服务器不支持 n，只支持 n=1。"),
        (
            "min_p",
            0.05,
            "min_p is not supported by this server; only min_p=0 is.",
            "本服务器不支持 min_p，只支持 min_p=0。",
        ),
        ("do_sample", False, "server; only do_sample=true is.", "只支持 do_sample=true。"),
        ("tool_choice", "required", 'only tool_choice="none" or "auto" is.', '只支持 tool_choice="none" 或 "auto"。'),
        ("logit_bias", {"5": 1}, "logit_bias is not supported by this server.", "本服务器不支持 logit_bias。"),
    ],
)
def test_the_value_that_is_supported_is_named(http: httpx.Client, field: str, value: Any, en: str, zh: str) -> None:
    assert error_of(post(http, **{field: value}), 400)["message"].endswith(en)
    body = {"messages": HELLO, field: value}
    assert http.post(CHAT, json=body, headers={"Accept-Language": "zh"}).json()["error"]["message"].endswith(zh)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tool_calls", [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]),
        ("function_call", {"name": "f"}),
        ("audio", {"id": "x"}),
        ("images", ["aGk="]),
        ("refusal", "I will not."),
        ("prefix", True),
        ("partial", True),
    ],
)
def test_the_same_in_a_message(http: httpx.Client, field: str, value: Any) -> None:
    messages = [*HELLO, {"role": "assistant", "content": "x", field: value}, *HELLO]
    error = error_of(post(http, messages=messages), 400)
    assert (error["code"], error["param"]) == ("unsupported_parameter", f"messages[1].{field}")
    assert f"messages[1].{field}" in error["message"]


# ---- Neutral values

ZERO = [0, 0.0, -0.0, None, False, "", [], {}]
ONE = [1, 1.0, None, False, "", [], {}]
NEUTRAL = {
    **dict.fromkeys(["presence_penalty", "frequency_penalty", "min_p", "top_logprobs", "logprobs"], ZERO),
    **dict.fromkeys(["mirostat", "min_tokens", "no_repeat_ngram_size", "xtc_probability", "dry_multiplier"], ZERO),
    **dict.fromkeys(["n", "best_of", "typical_p", "repeat_penalty", "length_penalty", "num_beams", "tfs_z"], ONE),
    "tools": [[], None, False],
    "functions": [[], None, False],
    "tool_choice": ["none", "auto", None, ""],
    "function_call": ["none", "auto", None, ""],
    "response_format": [{"type": "text"}, None, {}],
    "modalities": [["text"], [], None],
    "logit_bias": [{}, [], None],
    "chat_template_kwargs": [{}, None, {"enable_thinking": False}],
    "reasoning_effort": ["none", None],
    "verbosity": ["medium", None],
    "thinking": [{"type": "disabled"}],
    "suffix": ["", None],
    "num_predict": [-1, -1.0],
    "do_sample": [True, None],
    "web_search_options": [None],
    # what the server obeys has neutral values too
    "repetition_penalty": [1, 1.0, None],
    "top_p": [1, 1.0, None],
    "top_k": [0, 0.0, -1, -1.0, None],
    "temperature": [None],
    "stop": [None, []],
    "seed": [None],
    "stream": [None, False],
    "stream_options": [None, {}, {"include_usage": False}, {"include_usage": True}, {"include_usage": None}],
    "max_tokens": [None, -1, -1.0],
    "max_completion_tokens": [None, -1],
    "reasoning": [{"effort": None}, {"effort": "none"}, {"effort": None, "summary": None}, {}, None],
    "model": [None],
}


@pytest.mark.parametrize("field", NEUTRAL)
def test_values_that_ask_for_nothing_are_accepted(http: httpx.Client, engine: FakeEngine, field: str) -> None:
    assert post(http).status_code == 200
    plain = engine.added[-1]
    for value in NEUTRAL[field]:
        response = post(http, **{field: value})
        assert response.status_code == 200, (value, response.text)
        assert IGNORED not in response.headers  # it has been obeyed
        assert (engine.added[-1].input_ids, engine.added[-1].sampling) == (plain.input_ids, plain.sampling), value


def test_a_field_without_a_name_is_named_too(http: httpx.Client) -> None:
    assert post(http, **{"": 1}).headers[IGNORED] == '""'


def test_neutral_values_in_a_message(http: httpx.Client) -> None:
    blank = {"refusal": None, "tool_calls": [], "function_call": None, "audio": None, "images": [], "prefix": False}
    response = post(http, messages=[*HELLO, {"role": "assistant", "content": "x", **blank}, *HELLO])
    assert response.status_code == 200 and IGNORED not in response.headers


def test_every_unsupported_field_takes_null(http: httpx.Client) -> None:
    messages = [{**HELLO[0], **dict.fromkeys(UNSUPPORTED_IN_MESSAGE)}]
    fields = dict.fromkeys(UNSUPPORTED.keys() - {"messages"})
    assert IGNORED not in post(http, **{**fields, "messages": messages}).headers
    assert http.post("/generate", json={**dict.fromkeys(UNSUPPORTED), "prompt": "x"}).status_code == 200


# ---- Unknown fields

HARMLESS = {
    "user": "me",
    "safety_identifier": "x",
    "prompt_cache_key": "x",
    "store": True,
    "metadata": {"a": "b"},
    "parallel_tool_calls": False,
    "service_tier": "auto",
    "prediction": {"type": "content", "content": "x"},
    "num_ctx": 4096,
    "keep_alive": "5m",
    "options": {"num_ctx": 4096},
    "chat_id": "1",
    "session_id": 2,
    "temprature": 1,
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("field", HARMLESS)
def test_unknown_fields_are_accepted_and_named(http: httpx.Client, field: str, stream: bool) -> None:
    response = post(http, stream=stream, **{field: HARMLESS[field]})
    assert response.status_code == 200 and response.headers[IGNORED] == field


def test_generate_names_them_too(http: httpx.Client) -> None:
    response = http.post("/generate", json={"prompt": "Once", "user": "me", "num_ctx": 5, "presence_penalty": 0.0})
    assert response.json()["generated_text"] and response.headers[IGNORED] == "user, num_ctx"


def test_unknown_fields_inside(http: httpx.Client) -> None:
    parts = [{"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}}]
    messages = [{"role": "user", "content": "hi", "name": "Ann"}, {"role": "assistant", "content": "x", "weight": 1}]
    messages += [{"role": "user", "content": parts, "name": "Ann"}]
    options = {"include_usage": True, "include_obfuscation": False}
    response = post(http, messages=messages, stream=True, stream_options=options)
    named = (
        "stream_options.include_obfuscation, messages[0].name, messages[1].weight, messages[2].content[0].cache_control"
    )
    assert response.headers[IGNORED] == named


def test_no_header_without_unknown_fields(http: httpx.Client) -> None:
    assert IGNORED not in post(http, temperature=0, unknown=None).headers


def test_names_cannot_break_the_header(http: httpx.Client) -> None:
    names = ["a\r\nSet-Cookie: b=c", "名字", "a,b", "q" * 500, "", '"', "\0", "naïve"]
    response = post(http, **dict.fromkeys(names, 1))
    shown = response.headers[IGNORED].split(", ")
    assert shown == [
        "a%0D%0ASet-Cookie%3A%20b%3Dc",
        "%E5%90%8D%E5%AD%97",
        "a%2Cb",
        "q" * 60,
        '""',
        "%22",
        "%00",
        "na%C3%AFve",
    ]
    assert "set-cookie" not in response.headers


def test_the_header_stays_small(http: httpx.Client) -> None:
    shown = post(http, **{f"{'名' * 100}{i}": 1 for i in range(2000)}).headers[IGNORED]
    assert len(shown) < 1500 and shown.endswith(", ...") and shown.count(",") == 20
    assert post(http, **{f"f{i}": 1 for i in range(20)}).headers[IGNORED] == ", ".join(f"f{i}" for i in range(20))
    turns = [{**HELLO[0], "name": "Ann"}] * 300  # one kind of place is one name
    assert ignored_header(f"messages[{i}].{name}" for i, turn in enumerate(turns) for name in turn)[IGNORED] == (
        "messages[0].role, messages[0].content, messages[0].name"
    )


# ---- Real clients


def test_openais_client_with_other_servers_fields(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
        extra: dict[str, Any] = {"extra_body": {"num_ctx": 4096, "min_p": 0.0}, "presence_penalty": 0.0, "user": "me"}
        raw = client.chat.completions.with_raw_response.create(model="baby", messages=HELLO, **extra)
        assert raw.headers[IGNORED] == "user, num_ctx"
        assert raw.parse().choices[0].message.content == "You said: hello"
        with client.chat.completions.with_streaming_response.create(
            model="baby", messages=HELLO, stream=True, stream_options={"include_obfuscation": False}, **extra
        ) as streamed:
            assert streamed.headers[IGNORED] == "user, num_ctx, stream_options.include_obfuscation"
            text = "".join(chunk.choices[0].delta.content or "" for chunk in streamed.parse())
        assert text == "You said: hello"
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model="baby", messages=HELLO, extra_body={"min_p": 0.05})
        assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "min_p")


# ---- Known fields with wrong values

WRONG = [
    ("temperature", 3),
    ("temperature", -0.1),
    ("temperature", "0.5"),
    ("temperature", True),
    ("temperature", float("nan")),
    ("temperature", 10**400),
    ("top_p", 0),
    ("top_p", 1.1),
    ("top_k", -2),
    ("top_k", 2.5),
    ("top_k", 2**40),
    ("repetition_penalty", 0),
    ("repetition_penalty", 1e-300),
    ("seed", "1"),
    ("seed", 2**63),
    ("max_tokens", 0),
    ("max_tokens", -2),
    ("max_tokens", 5.5),
    ("max_tokens", "5"),
    ("max_tokens", True),
    ("max_completion_tokens", []),
    ("stop", ["a", "b", "c", "d", "e"]),
    ("stop", ""),
    ("stop", ["a", ""]),
    ("stop", [1]),
    ("stop", 0),
    ("stream", "true"),
    ("stream", 1),
    ("stream_options", "usage"),
    ("stream_options", {"include_usage": "true"}),
    ("model", 5),
    ("messages", []),
    ("messages", None),
    ("messages", "hello"),
    ("messages", ["hello"]),
    ("messages", [{"content": "x"}]),
    ("messages", [{"role": "user"}]),
    ("messages", [{"role": "user", "content": None}]),
    ("messages", [{"role": "user", "content": 5}]),
    ("messages", [{"role": "tool", "content": "x"}]),
    ("messages", [{"role": "function", "content": "x"}]),
    ("messages", [{"role": "User", "content": "x"}]),
    ("messages", [{"role": None, "content": "x"}]),
    ("messages", [{"role": ["user"], "content": "x"}]),
    ("messages", [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]),
    ("messages", [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]),
    ("messages", [{"role": "user", "content": [{"type": "text"}]}]),
    ("messages", [{"role": "user", "content": [None]}]),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_wrong_values_are_refused_by_name(http: httpx.Client, field: str, value: Any) -> None:
    body = json.dumps({"messages": HELLO, field: value})
    headers = {"Content-Type": "application/json"}
    error = error_of(http.post(CHAT, content=body, headers=headers), 400)
    assert error["type"] == "invalid_request_error" and error["param"].split("[")[0].split(".")[0] == field
    assert error["param"] in error["message"] and "Input should" not in error["message"]
    chinese = error_of(http.post(CHAT, content=body, headers={**headers, "Accept-Language": "zh-CN"}), 400)
    assert chinese["param"] == error["param"] and "。" in chinese["message"] + "。"
    assert any("\u4e00" <= c <= "\u9fff" for c in chinese["message"]) and "must" not in chinese["message"]
    assert not any(brace in error["message"] + chinese["message"] for brace in ("{{", "}}"))


def test_where_in_a_list_of_parts(http: httpx.Client) -> None:
    image = {"type": "image_url", "image_url": {"url": "x"}}
    error = error_of(post(http, messages=[*HELLO, {"role": "user", "content": ["a", image]}]), 400)
    assert error["param"] == "messages[1].content" and "image_url" in error["message"]


def test_two_limits_that_differ(http: httpx.Client) -> None:
    message = error_of(post(http, max_tokens=5, max_completion_tokens=6), 400)["message"]
    assert "max_tokens and max_completion_tokens differ" in message
    assert post(http, max_tokens=5, max_completion_tokens=5.0).status_code == 200


def test_whole_numbers_may_have_a_point(http: httpx.Client, engine: FakeEngine) -> None:
    assert post(http, max_tokens=3.0, seed=-7.0, top_k=4.0).json()["choices"][0]["message"]["content"] == "You"
    used = engine.added[-1].sampling
    assert (used.max_new_tokens, used.seed, used.top_k) == (3, -7, 4) and type(used.top_k) is int


def test_more_tokens_than_fit(http: httpx.Client) -> None:
    reply = post(http, max_tokens=10**30).json()["choices"][0]
    assert (reply["message"]["content"], reply["finish_reason"]) == ("You said: hello", "stop")


# ---- Messages


def prompt_of(engine: FakeEngine) -> str:
    return "".join(chr(i) if i < 0x110000 else "|" for i in engine.added[-1].input_ids)


def test_parts_are_joined_as_in_training(http: httpx.Client, engine: FakeEngine) -> None:
    parts = ["one", {"type": "text", "text": "two"}, {"type": "input_text", "text": "three"}]
    assert post(http, messages=[{"role": "user", "content": parts}]).status_code == 200
    assert prompt_of(engine) == "|user\none\ntwo\nthree|\n|assistant\n"


@pytest.mark.parametrize(
    ("roles", "prompt"),
    [
        ("system user", "|system\na|\n|user\nb|\n|assistant\n"),
        ("developer user", "|system\na|\n|user\nb|\n|assistant\n"),
        ("user developer user", "|user\na|\n|system\nb|\n|user\nc|\n|assistant\n"),
        ("user user", "|user\na|\n|user\nb|\n|assistant\n"),
        ("user assistant", "|user\na|\n|assistant\nb|\n|assistant\n"),  # a new reply, as OpenAI gives it
        ("assistant user", "|assistant\na|\n|user\nb|\n|assistant\n"),
        ("system", "|system\na|\n|assistant\n"),
    ],
)
def test_orders_of_roles(http: httpx.Client, engine: FakeEngine, roles: str, prompt: str) -> None:
    messages = [{"role": role, "content": text} for role, text in zip(roles.split(), "abc", strict=False)]
    assert post(http, messages=messages).status_code == 200
    assert prompt_of(engine) == prompt


def test_all_opening_instructions_stay(http: httpx.Client, engine: FakeEngine) -> None:
    opening = [{"role": "system", "content": "be kind"}, {"role": "developer", "content": "be brief"}]
    turn = [{"role": "user", "content": "a" * 60}, {"role": "assistant", "content": "b" * 60}]
    body = post(http, messages=[*opening, *turn * 3, *HELLO], max_tokens=20).json()
    assert body["yaya"] == {"dropped_turns": 3}
    assert prompt_of(engine) == "|system\nbe kind|\n|system\nbe brief|\n|user\nhello|\n|assistant\n"


def test_an_empty_message_is_one(http: httpx.Client, engine: FakeEngine) -> None:
    assert post(http, messages=[{"role": "system", "content": ""}, {"role": "user", "content": []}]).status_code == 200
    assert prompt_of(engine) == "|system\n|\n|user\n|\n|assistant\n"
