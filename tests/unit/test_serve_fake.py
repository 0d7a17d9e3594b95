"""An engine that answers by rule instead of by a model, for the tests of the server and the chat page."""

from __future__ import annotations

import contextlib
import inspect
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn

from yaya.core.messages import UserError
from yaya.inference.engine import Engine, Request
from yaya.inference.sampling import SamplingParams
from yaya.serve.about import About
from yaya.serve.app import create_app
from yaya.serve.server import Server
from yaya.serve.worker import Worker

HELLO = [{"role": "user", "content": "hello"}]
CHAT = "/v1/chat/completions"


class FakeTokenizer:
    """One token per character."""

    turn_start, turn_end = 0x110000, 0x110001

    def encode(self, text: str) -> list[int]:
        return [ord(c) for c in text]

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        return [self.encode(text) for text in texts]


def last_message(input_ids: list[int]) -> str:
    """What the user said last, read back from the prompt."""
    text = "".join("\0" if i >= FakeTokenizer.turn_start else chr(i) for i in input_ids)
    return text.split("user\n")[-1].split("\0")[0]


@dataclass(eq=False)
class FakeRequest:
    input_ids: list[int]
    sampling: SamplingParams
    planned: str = ""
    planned_reason: str = "stop"
    output_ids: list[int] = field(default_factory=list)
    text: str = ""
    finish_reason: str | None = None


HOLD = "\0"  # in a reply: nothing more comes until the request is cancelled


class FakeEngine:
    """Says `reply(last message)` character by character; "crash" makes it fail."""

    def __init__(
        self, reply: Callable[[str], str] = "You said: {}".format, step_s: float = 0.0, context_length: int = 200
    ):
        self.reply, self.step_s, self.context_length = reply, step_s, context_length
        self.tokenizer = FakeTokenizer()
        self.active: list[FakeRequest] = []
        self.added: list[FakeRequest] = []
        self.cancelled: list[FakeRequest] = []
        self.threads: set[int] = set()

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text)

    def add(self, input_ids: list[int], sampling: SamplingParams) -> FakeRequest:
        if len(input_ids) >= self.context_length:
            raise UserError(
                f"{len(input_ids)} tokens > {self.context_length}", f"{len(input_ids)} 超过 {self.context_length}"
            )
        text, reason = self.reply(last_message(input_ids)), "stop"
        for stop in sampling.stop:
            text = text.split(stop)[0]
        room = min(sampling.max_new_tokens, self.context_length - len(input_ids))
        if len(text) > room:
            text, reason = text[:room], "length"
        request = FakeRequest(input_ids, sampling, text, reason)
        self.active.append(request)
        self.added.append(request)
        return request

    def step(self) -> list[FakeRequest]:
        self.threads.add(threading.get_ident())
        time.sleep(self.step_s)
        advanced = [request for request in self.active if not request.planned.startswith(HOLD)]
        for request in advanced:
            if "crash" in last_message(request.input_ids):
                raise RuntimeError("the fake engine crashes as it was told to")
            if request.planned:
                request.output_ids.append(ord(request.planned[0]))
            request.text, request.planned = request.text + request.planned[:1], request.planned[1:]
            if not request.planned:
                request.finish_reason = request.planned_reason
                self.active.remove(request)
        return advanced

    def cancel(self, request: FakeRequest) -> None:
        request.finish_reason = "cancelled"
        self.cancelled.append(request)
        if request in self.active:
            self.active.remove(request)

    @property
    def idle(self) -> bool:
        return not self.active


@contextlib.contextmanager
def running_server(engine: FakeEngine, worker: Worker | None = None, about: About | None = None) -> Iterator[str]:
    """A real server on a free loopback port; gives its address."""
    app = create_app(engine, "baby", worker=worker, about=about)
    config = uvicorn.Config(app, port=0, log_level="error", access_log=False)
    server = Server(config, app.state.worker, "baby", "a test")
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive() and not app.state.worker.alive


def wait_until(condition: Callable[[], Any], timeout_s: float = 10.0) -> None:
    """Fails when `condition` is not true in time."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def post(http: httpx.Client, **fields: Any) -> httpx.Response:
    return http.post(CHAT, json={"messages": HELLO, **fields})


def error_of(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    return error


def test_the_fake_has_the_shape_of_the_engine() -> None:
    for name in ("add", "step", "cancel", "encode"):
        real, fake = inspect.signature(getattr(Engine, name)), inspect.signature(getattr(FakeEngine, name))
        assert list(real.parameters) == list(fake.parameters), name
    assert {"input_ids", "output_ids", "text", "finish_reason"} <= Request.__annotations__.keys() | set(dir(Request))
