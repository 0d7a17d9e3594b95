"""The thread that owns the engine. The event loop passes it prompts and receives text as it is generated.

The engine is not thread-safe and a step takes milliseconds to seconds, so everything that touches it
(even rendering the prompt) happens here, and the event loop never waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from yaya.core.messages import UserError
from yaya.inference.engine import Engine, Request
from yaya.inference.sampling import SamplingParams
from yaya.serve.schema import ApiError

MOST_OPEN = 256  # open requests, queued ones included; more get 429

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prompt:
    """What to generate from; made on the engine's thread, where the tokenizer is used."""

    input_ids: list[int]
    sampling: SamplingParams
    dropped_turns: int = 0


@dataclass(frozen=True)
class Delta:
    """What one step added."""

    text: str
    completion_tokens: int
    finish_reason: str | None


class GenerationStream:
    """One generation as the event loop sees it."""

    def __init__(self, make_prompt: Callable[[], Prompt]):
        self.make_prompt = make_prompt
        self.loop = asyncio.get_running_loop()
        self.inbox: asyncio.Queue[Prompt | Delta | ApiError] = asyncio.Queue()
        self.sent = 0  # characters sent so far; the engine's thread counts
        self.prompt_tokens = self.completion_tokens = self.dropped_turns = 0
        self.finish_reason: str | None = None
        self.watcher: asyncio.Task[None] | None = None  # kept here: the event loop holds only weak references to tasks

    async def started(self) -> None:
        """Returns once the engine has accepted the prompt; raises `ApiError` if it refuses."""
        first = await self.inbox.get()
        if isinstance(first, ApiError):
            raise first
        assert isinstance(first, Prompt)
        self.prompt_tokens, self.dropped_turns = len(first.input_ids), first.dropped_turns

    async def texts(self) -> AsyncIterator[str]:
        """The reply as it grows; raises `ApiError` if it breaks off."""
        while self.finish_reason is None:
            delta = await self.inbox.get()
            if isinstance(delta, ApiError):
                raise delta
            assert isinstance(delta, Delta)
            self.completion_tokens, self.finish_reason = delta.completion_tokens, delta.finish_reason
            if delta.text:
                yield delta.text


class Worker:
    """Owns the engine. The public methods belong to the event loop, the others to the thread."""

    def __init__(self, engine: Engine, most_open: int = MOST_OPEN):
        self.engine, self.most_open = engine, most_open
        self._open: set[GenerationStream] = set()  # touched by the event loop only
        self._orders: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()  # None: stop
        self._active: dict[Request, GenerationStream] = {}  # touched by the thread only
        self._thread = threading.Thread(target=self._run, name="yaya-engine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def submit(self, make_prompt: Callable[[], Prompt]) -> GenerationStream:
        """Queues a generation; raises `ApiError` 429 if too many are open."""
        if len(self._open) >= self.most_open:
            en = f"Too many requests: {self.most_open} are open already. Try again in a moment."
            raise ApiError(429, en, f"请求太多：已有 {self.most_open} 个。请稍后再试。", code="rate_limit_exceeded")
        stream = GenerationStream(make_prompt)
        self._open.add(stream)
        self._orders.put(lambda: self._add(stream))
        return stream

    def cancel(self, stream: GenerationStream) -> None:
        """Ends a stream whose client has gone; does nothing if it has finished."""
        if stream in self._open:
            self._deliver(stream, ApiError(499, "The client closed the connection.", "客户端断开了连接。"), last=True)
            self._orders.put(lambda: self._drop(stream))

    def stop(self) -> None:
        """Ends all open streams at once, and the thread after its current step."""
        stopping = ApiError(503, "The server is stopping.", "服务器正在关闭。", code="server_stopping")
        for stream in list(self._open):
            self._deliver(stream, stopping, last=True)
        self._orders.put(None)

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def _deliver(self, stream: GenerationStream, item: Prompt | Delta | ApiError, last: bool) -> None:
        stream.inbox.put_nowait(item)
        if last:
            self._open.discard(stream)

    # From here on: the engine's thread.

    def _run(self) -> None:
        while self._take_orders():
            self._step()

    def _take_orders(self) -> bool:
        """Handles pending requests; sleeps while there is nothing to generate. False: stop."""
        while True:
            try:
                order = self._orders.get(block=not self._active)
            except queue.Empty:
                return True
            if order is None:
                return False
            order()

    def _add(self, stream: GenerationStream) -> None:
        try:
            prompt = stream.make_prompt()
            self._active[self.engine.add(prompt.input_ids, prompt.sampling)] = stream
        except ApiError as error:
            self._send(stream, error)
        except UserError as error:
            self._send(stream, ApiError(400, error.en, error.zh))
        except Exception:
            log.exception("a request failed before its first step")
            self._send(stream, server_failed())
        else:
            self._send(stream, prompt)

    def _step(self) -> None:
        try:
            advanced = self.engine.step()
        except Exception:
            log.exception("the engine failed; %d requests end here", len(self._active))
            for stream in list(self._active.values()):
                self._drop(stream)
                self._send(stream, server_failed())
            return
        for request in advanced:
            if request in self._active:
                self._pass_on(request, self._active[request])

    def _pass_on(self, request: Request, stream: GenerationStream) -> None:
        if request.finish_reason is not None:
            del self._active[request]
        text = request.text[stream.sent :]
        stream.sent += len(text)
        self._send(stream, Delta(text, len(request.output_ids), request.finish_reason))

    def _drop(self, stream: GenerationStream) -> None:
        """Takes the stream's request out of the engine."""
        for request in [request for request, owner in self._active.items() if owner is stream]:
            del self._active[request]
            try:
                self.engine.cancel(request)
            except Exception:  # after a failed step the engine may have lost it already
                log.debug("a request could not be cancelled", exc_info=True)

    def _send(self, stream: GenerationStream, item: Prompt | Delta | ApiError) -> None:
        last = isinstance(item, ApiError) or (isinstance(item, Delta) and item.finish_reason is not None)
        with contextlib.suppress(RuntimeError):  # the event loop is closed: nobody is waiting any more
            stream.loop.call_soon_threadsafe(self._deliver, stream, item, last)


def server_failed() -> ApiError:
    """The error for whatever went wrong inside; the traceback is in the server's log."""
    en = "The server failed on this request. Its log says why."
    return ApiError(500, en, "服务器在处理这个请求时出错，原因见它的日志。", code="server_failed")
