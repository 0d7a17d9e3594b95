"""When things go wrong: a failing engine, clients that leave, crowds, a server that stops."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import openai
import pytest
from test_serve_fake import CHAT, HELLO, FakeEngine, error_of, post, running_server, wait_until

from yaya.serve.worker import Worker


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_server(FakeEngine()) as url:
        yield url


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=10, headers={"Accept-Language": "en"}) as client:
        yield client


@pytest.mark.parametrize("stream", [False, True])
def test_a_failing_engine_fails_the_request_only(http: httpx.Client, stream: bool) -> None:
    response = post(http, messages=[{"role": "user", "content": "crash"}], stream=stream)
    if stream:  # it had begun well, so the error comes as the last event
        assert response.status_code == 200
        *_, last, end = response.text.split("\n\n")
        assert end == "" and json.loads(last.removeprefix("data: "))["error"]["code"] == "server_failed"
    else:
        assert error_of(response, 500)["type"] == "server_error"
    assert post(http).json()["choices"][0]["message"]["content"] == "You said: hello"


def test_openais_client_raises_when_a_stream_breaks(url: str) -> None:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
    with pytest.raises(openai.APIError, match="failed on this request"):
        list(client.chat.completions.create(model="baby", messages=[{"role": "user", "content": "crash"}], stream=True))


@pytest.fixture
def slow() -> Iterator[tuple[FakeEngine, str, Worker]]:
    engine = FakeEngine("{} ".format, step_s=0.01, context_length=5000)
    engine.reply = lambda text: (text + " ") * 500
    worker = Worker(engine, most_open=2)
    with running_server(engine, worker) as url:
        yield engine, url, worker


def raw_post(url: str, stream: bool) -> socket.socket:
    """A request whose connection the test can cut at will."""
    host, port = url.removeprefix("http://").split(":")
    body = json.dumps({"messages": HELLO, "stream": stream}).encode()
    connection = socket.create_connection((host, int(port)))
    head = (
        f"POST {CHAT} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_ends_its_generation(slow: tuple[FakeEngine, str, Worker], stream: bool) -> None:
    engine, url, _ = slow
    connection = raw_post(url, stream)
    wait_until(lambda: engine.added and len(engine.added[0].output_ids) > 2)
    connection.close()
    wait_until(lambda: engine.idle)
    assert engine.cancelled == engine.added and len(engine.added[0].output_ids) < 400


def test_two_streams_side_by_side_and_a_third_refused(slow: tuple[FakeEngine, str, Worker]) -> None:
    engine, url, _ = slow
    seen: list[str] = []

    def read(name: str) -> None:
        fields = {"messages": [{"role": "user", "content": name}], "stream": True, "max_tokens": 40}
        with httpx.stream("POST", url + CHAT, json=fields, timeout=60) as response:
            for line in response.iter_lines():
                if f'"content": "{name}"' in line:
                    seen.append(name)

    threads = [threading.Thread(target=read, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(engine.active) == 2)
    waited = []
    for _ in range(5):  # the event loop answers at once, although the engine sleeps in every step
        started = time.perf_counter()
        assert httpx.get(url + "/health", timeout=60).status_code == 200
        waited.append(time.perf_counter() - started)
    busy = httpx.post(url + CHAT, json={"messages": HELLO}, headers={"Accept-Language": "en"}, timeout=60)
    assert error_of(busy, 429)["code"] == "rate_limit_exceeded"
    for thread in threads:
        thread.join(60)
    assert seen.count("a") == seen.count("b") == 20
    assert "a" in seen[seen.index("b") :] and "b" in seen[seen.index("a") :]
    assert seen != sorted(seen) and seen != sorted(seen, reverse=True)
    assert min(waited) < 0.1
    assert len(engine.threads) == 1


def test_a_stopping_server_ends_open_streams() -> None:
    engine = FakeEngine(lambda text: "word " * 500, step_s=0.01, context_length=5000)
    with running_server(engine) as url:
        connection = raw_post(url, stream=True)
        wait_until(lambda: engine.added and len(engine.added[0].output_ids) > 2)
    received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b'"code": "server_stopping"' in received and b"[DONE]" not in received
