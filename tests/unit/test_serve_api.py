"""The HTTP interface, over a real socket and with OpenAI's own client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from fastapi.testclient import TestClient
from test_serve_fake import CHAT, HELLO, FakeEngine, error_of, post, running_server

from yaya.serve.app import create_app
from yaya.serve.worker import Worker


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


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as client:
        yield client


# ---- What OpenAI's client sees


def test_a_whole_reply(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="baby", messages=HELLO)
    assert reply.choices[0].message.content == "You said: hello"
    assert reply.choices[0].message.role == "assistant"
    assert reply.choices[0].finish_reason == "stop"
    prompt = len("user\nhello\nassistant\n") + 3
    assert reply.usage.prompt_tokens == prompt
    assert reply.usage.completion_tokens == len("You said: hello")
    assert reply.usage.total_tokens == prompt + len("You said: hello")
    assert reply.model == "baby" and reply.object == "chat.completion" and reply.id.startswith("chatcmpl-")


def test_a_streamed_reply(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="baby", messages=HELLO, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "You said: hello"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert len(chunks) > 5
    assert len({chunk.id for chunk in chunks}) == 1


def test_usage_in_a_stream_when_asked(client: openai.OpenAI) -> None:
    options = {"include_usage": True}
    *chunks, last = client.chat.completions.create(model="baby", messages=HELLO, stream=True, stream_options=options)
    assert last.choices == [] and last.usage.completion_tokens == len("You said: hello")
    assert all(chunk.usage is None for chunk in chunks)


def test_the_stream_on_the_wire(http: httpx.Client) -> None:
    response = post(http, stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    *events, end = response.text.split("\n\n")
    assert end == "" and events[-1] == "data: [DONE]"
    first = json.loads(events[0].removeprefix("data: "))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert first["yaya"] == {"dropped_turns": 0}


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_max_tokens_is_obeyed(client: openai.OpenAI, name: str) -> None:
    reply = client.chat.completions.create(model="baby", messages=HELLO, **{name: 3})
    assert reply.choices[0].message.content == "You"
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 3


@pytest.mark.parametrize("stop", [" said", [" said", "zzz"]])
def test_stop_strings(client: openai.OpenAI, stop: Any) -> None:
    reply = client.chat.completions.create(model="baby", messages=HELLO, stop=stop)
    assert reply.choices[0].message.content == "You"
    assert reply.choices[0].finish_reason == "stop"


def test_every_setting_reaches_the_engine(http: httpx.Client, engine: FakeEngine) -> None:
    settings = {"temperature": 0, "top_p": 0.5, "top_k": 7, "repetition_penalty": 1.2, "seed": 11}
    assert post(http, **settings, stop="x", max_tokens=9, user="me").status_code == 200
    used = engine.added[-1].sampling
    assert {name: getattr(used, name) for name in settings} == settings
    assert used.stop == ("x",) and used.max_new_tokens == 9


def test_parts_and_roles(client: openai.OpenAI, engine: FakeEngine) -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    messages = [{"role": "developer", "content": "be kind"}, {"role": "user", "content": parts}]
    reply = client.chat.completions.create(model="baby", messages=messages)
    assert reply.choices[0].message.content == "You said: one\ntwo"
    assert "system\nbe kind" in "".join(chr(i) for i in engine.added[-1].input_ids if i < 0x110000)
    # what the client got can be sent back as it is
    again = [*messages, reply.choices[0].message.model_dump(), {"role": "user", "content": "three"}]
    assert client.chat.completions.create(model="baby", messages=again).choices[0].message.content == "You said: three"


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["baby"]
    assert client.models.retrieve("baby").id == "baby"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other/model")


def test_another_model_is_not_found(client: openai.OpenAI, http: httpx.Client) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert caught.value.code == "model_not_found" and caught.value.param == "model"
    assert post(http).status_code == 200  # no model named: the one that is served


# ---- Long conversations


def test_oldest_turns_are_dropped_and_counted(http: httpx.Client) -> None:
    turn = [{"role": "user", "content": "a" * 30}, {"role": "assistant", "content": "b" * 30}]
    body = post(http, messages=turn * 3 + HELLO, max_tokens=20).json()
    assert body["yaya"]["dropped_turns"] == 2
    assert body["choices"][0]["message"]["content"] == "You said: hello"


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_too_long(http: httpx.Client, stream: bool) -> None:
    error = error_of(post(http, messages=[{"role": "user", "content": "a" * 500}], stream=stream), 400)
    assert error["type"] == "invalid_request_error"
    assert "519" in error["message"] and "199" in error["message"]


def test_a_long_message_leaves_less_room_for_the_reply(http: httpx.Client) -> None:
    choice = post(http, messages=[{"role": "user", "content": "a" * 170}]).json()["choices"][0]
    assert choice == {**choice, "finish_reason": "length"} and choice["message"]["content"] == "You said: a"


# ---- /generate


def test_generate(http: httpx.Client, engine: FakeEngine) -> None:
    response = http.post("/generate", json={"prompt": "Once", "max_length": 10, "temperature": 0.5})
    assert response.json() == {"generated_text": "OnceYou sa"}
    assert engine.added[-1].sampling.temperature == 0.5
    assert http.post("/generate", json={"prompt": "Once"}).json() == {"generated_text": "OnceYou said: Once"}
    assert http.post("/generate", json={"prompt": "Hi", "max_new_tokens": 2}).json() == {"generated_text": "HiYo"}


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"prompt": "Once", "max_length": 4}, "max_length"),
        ({"prompt": "Once", "max_length": 9, "max_new_tokens": 5}, "not both"),
        ({"prompt": ""}, "prompt"),
        ({}, "prompt"),
        ({"prompt": "a", "num_beams": 4}, "num_beams"),
        ({"prompt": "a", "max_tokens": 4}, "max_tokens"),
        ({"prompt": "a", "stream": True}, "stream"),
        ({"prompt": "a", "messages": HELLO}, "messages"),
        ({"prompt": "a" * 300, "max_new_tokens": 5}, "300"),
    ],
)
def test_generate_refuses(http: httpx.Client, fields: dict[str, Any], word: str) -> None:
    assert word in error_of(http.post("/generate", json=fields), 400)["message"]


# ---- Page, health, odd addresses


def test_health(http: httpx.Client) -> None:
    assert http.get("/health").json() == {"status": "ok", "model": "baby", "context_length": 200}


def test_the_page_and_its_files(http: httpx.Client) -> None:
    page = http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    for name, kind in {"page.js": "text/javascript", "page.css": "text/css", "icon.svg": "image/svg+xml"}.items():
        assert http.get(f"/page/{name}").headers["content-type"].startswith(kind)
    assert "http://" not in page.text and "https://" not in page.text  # nothing from elsewhere


@pytest.mark.parametrize("path", ["/nothing", "/page/page.html", "/page/..%2fapp.py", "/docs", "/openapi.json"])
def test_not_found(http: httpx.Client, path: str) -> None:
    assert "/v1/chat/completions" in error_of(http.get(path), 404)["message"]


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/embeddings", "/api/chat"])
def test_routes_of_others(http: httpx.Client, path: str) -> None:
    message = error_of(http.post(path, json={"prompt": "x"}), 404)["message"]
    assert f"POST {path}" in message and "/generate" in message


@pytest.mark.parametrize(("method", "path", "allowed"), [("GET", CHAT, "POST"), ("PUT", "/health", "GET")])
def test_wrong_method(http: httpx.Client, method: str, path: str, allowed: str) -> None:
    response = http.request(method, path)
    assert f"{method} {path}" in error_of(response, 405)["message"] and response.headers["allow"] == allowed


# ---- Headers for the browser

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.mark.parametrize("name", SECURITY)
def test_every_answer_has_the_security_headers(http: httpx.Client, name: str) -> None:
    answers = {
        "page": (http.get("/"), 200),
        "script": (http.get("/page/page.js"), 200),
        "style": (http.get("/page/page.css"), 200),
        "picture": (http.get("/page/icon.svg"), 200),
        "health": (http.get("/health"), 200),
        "models": (http.get("/v1/models"), 200),
        "reply": (post(http), 200),
        "stream": (post(http, stream=True), 200),
        "generate": (http.post("/generate", json={"prompt": "x"}), 200),
        "refused": (post(http, n=2), 400),
        "no page": (http.get("/page/nothing"), 404),
        "wrong method": (http.get(CHAT), 405),
        "foreign page": (http.post(CHAT, json={}, headers={"Origin": "https://evil.example"}), 403),
        "foreign name": (http.get("/", headers={"Host": "evil.example"}), 421),
        "too large": (http.post(CHAT, content=b" " * ((1 << 20) + 1)), 413),
        "failed": (post(http, messages=[{"role": "user", "content": "crash"}]), 500),
    }
    assert {who: answer.status_code for who, (answer, _) in answers.items()} == {w: s for w, (_, s) in answers.items()}
    found = {who: answer.headers.get_list(name) for who, (answer, _) in answers.items()}
    assert found == {who: [SECURITY[name]] for who in answers}


def test_a_fault_of_the_server_has_them_too() -> None:
    """What no route expects is answered outside of all middleware."""
    worker = Worker(FakeEngine())
    worker.submit = lambda make_prompt: 1 / 0
    with TestClient(create_app(FakeEngine(), "baby", worker=worker), "http://localhost", False) as client:
        response = client.post(CHAT, json={"messages": HELLO})
    assert error_of(response, 500)["code"] == "server_failed"
    assert {name: response.headers[name] for name in SECURITY} == SECURITY


# ---- Who may ask


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "[", ""])
def test_a_foreign_host_name_is_refused(http: httpx.Client, host: str) -> None:
    error_of(http.get("/health", headers={"Host": host}), 421)


@pytest.mark.parametrize("host", ["localhost:9", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
def test_local_names_are_fine(http: httpx.Client, host: str) -> None:
    assert http.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:1", "null", "http://[", "http://[::1"])
def test_a_foreign_page_is_refused(http: httpx.Client, origin: str, engine: FakeEngine) -> None:
    before = len(engine.added)
    error_of(http.post(CHAT, json={"messages": HELLO}, headers={"Origin": origin}), 403)
    assert len(engine.added) == before


def test_a_name_before_an_at_sign_is_no_excuse(http: httpx.Client) -> None:
    for host in ("evil.example@localhost", "localhost@evil.example"):
        assert http.get("/health", headers={"Host": host}).status_code == 421


def test_our_own_page_is_fine(http: httpx.Client, url: str) -> None:
    assert http.post(CHAT, json={"messages": HELLO}, headers={"Origin": url}).status_code == 200


def test_a_form_of_another_page_cannot_sneak_in(http: httpx.Client) -> None:
    body = json.dumps({"messages": HELLO})
    error_of(http.post(CHAT, content=body, headers={"Content-Type": "text/plain"}), 415)


def test_a_body_that_is_too_large(http: httpx.Client) -> None:
    large = {"messages": [{"role": "user", "content": "a" * (1 << 20)}]}
    error_of(http.post(CHAT, json=large), 413)

    def in_pieces() -> Iterator[bytes]:
        yield b'{"messages": "'
        for _ in range(20):
            yield b"a" * 65536

    error_of(http.post(CHAT, content=in_pieces(), headers={"Content-Type": "application/json"}), 413)


def test_a_slash_at_the_end_is_the_list_of_models(http: httpx.Client) -> None:
    assert http.get("/v1/models/").json() == http.get("/v1/models").json()
