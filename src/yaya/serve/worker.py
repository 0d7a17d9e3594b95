"""The thread that owns the engine. The event loop hands it jobs and gets text back, piece by piece.

The engine is not thread-safe and a step takes milliseconds to seconds: so everything that touches it
(rendering the prompt too) happens here, and the event loop never waits for it.
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

MOST_OPEN = 256  # requests at once, those in line included; beyond them: 429

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What to generate from; made on the engine's thread, because the tokenizer lives there."""

    input_ids: list[int]
    sampling: SamplingParams
    dropped_turns: int = 0


@dataclass(frozen=True)
class Piece:
    """What one step added."""

    text: str
    completion_tokens: int
    finish_reason: str | None


class Job:
    """One generation as the event loop sees it."""

    def __init__(self, make_plan: Callable[[], Plan]):
        self.make_plan = make_plan
        self.loop = asyncio.get_running_loop()
        self.inbox: asyncio.Queue[Plan | Piece | ApiError] = asyncio.Queue()
        self.sent = 0  # characters sent so far; the engine's thread counts
        self.prompt_tokens = self.completion_tokens = self.dropped_turns = 0
        self.finish_reason: str | None = None
        self.watcher: asyncio.Task[None] | None = None  # kept here, because the event loop holds tasks weakly

    async def started(self) -> None:
        """Returns when the engine has accepted the prompt; raises `ApiError` when it has not."""
        first = await self.inbox.get()
        if isinstance(first, ApiError):
            raise first
        assert isinstance(first, Plan)
        self.prompt_tokens, self.dropped_turns = len(first.input_ids), first.dropped_turns

    async def texts(self) -> AsyncIterator[str]:
        """The reply as it grows; raises `ApiError` where it breaks off."""
        while self.finish_reason is None:
            piece = await self.inbox.get()
            if isinstance(piece, ApiError):
                raise piece
            assert isinstance(piece, Piece)
            self.completion_tokens, self.finish_reason = piece.completion_tokens, piece.finish_reason
            if piece.text:
                yield piece.text


class Worker:
    """Owns the engine. The public methods belong to the event loop, the others to the thread."""

    def __init__(self, engine: Engine, most_open: int = MOST_OPEN):
        self.engine, self.most_open = engine, most_open
        self._open: set[Job] = set()  # touched by the event loop only
        self._orders: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()  # None: stop
        self._active: dict[Request, Job] = {}  # touched by the thread only
        self._thread = threading.Thread(target=self._run, name="yaya-engine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def submit(self, make_plan: Callable[[], Plan]) -> Job:
        """Queues a generation; raises `ApiError` 429 when too many wait."""
        if len(self._open) >= self.most_open:
            en = f"Too many requests: {self.most_open} are open already. Try again in a moment."
            raise ApiError(429, en, f"请求太多：已有 {self.most_open} 个。请稍后再试。", code="rate_limit_exceeded")
        job = Job(make_plan)
        self._open.add(job)
        self._orders.put(lambda: self._add(job))
        return job

    def cancel(self, job: Job) -> None:
        """Ends a job whose client has gone; nothing happens when it has finished."""
        if job in self._open:
            self._deliver(job, ApiError(499, "The client closed the connection.", "客户端断开了连接。"), last=True)
            self._orders.put(lambda: self._drop(job))

    def stop(self) -> None:
        """Ends all open jobs at once, and the thread after its current step."""
        stopping = ApiError(503, "The server is stopping.", "服务器正在关闭。", code="server_stopping")
        for job in list(self._open):
            self._deliver(job, stopping, last=True)
        self._orders.put(None)

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def _deliver(self, job: Job, item: Plan | Piece | ApiError, last: bool) -> None:
        job.inbox.put_nowait(item)
        if last:
            self._open.discard(job)

    # From here on: the engine's thread.

    def _run(self) -> None:
        while self._take_orders():
            self._step()

    def _take_orders(self) -> bool:
        """Carries out what has been asked; sleeps while there is nothing to generate. False: stop."""
        while True:
            try:
                order = self._orders.get(block=not self._active)
            except queue.Empty:
                return True
            if order is None:
                return False
            order()

    def _add(self, job: Job) -> None:
        try:
            plan = job.make_plan()
            self._active[self.engine.add(plan.input_ids, plan.sampling)] = job
        except ApiError as error:
            self._send(job, error)
        except UserError as error:
            self._send(job, ApiError(400, error.en, error.zh))
        except Exception:
            log.exception("a request failed before its first step")
            self._send(job, server_failed())
        else:
            self._send(job, plan)

    def _step(self) -> None:
        try:
            advanced = self.engine.step()
        except Exception:
            log.exception("the engine failed; %d requests end here", len(self._active))
            for job in list(self._active.values()):
                self._drop(job)
                self._send(job, server_failed())
            return
        for request in advanced:
            if request in self._active:
                self._pass_on(request, self._active[request])

    def _pass_on(self, request: Request, job: Job) -> None:
        if request.finish_reason is not None:
            del self._active[request]
        text = request.text[job.sent :]
        job.sent += len(text)
        self._send(job, Piece(text, len(request.output_ids), request.finish_reason))

    def _drop(self, job: Job) -> None:
        """Takes the job's request out of the engine."""
        for request in [request for request, owner in self._active.items() if owner is job]:
            del self._active[request]
            try:
                self.engine.cancel(request)
            except Exception:  # after a failed step the engine may have lost it already
                log.debug("a request could not be cancelled", exc_info=True)

    def _send(self, job: Job, item: Plan | Piece | ApiError) -> None:
        last = isinstance(item, ApiError) or (isinstance(item, Piece) and item.finish_reason is not None)
        with contextlib.suppress(RuntimeError):  # the event loop is closed: nobody waits any more
            job.loop.call_soon_threadsafe(self._deliver, job, item, last)


def server_failed() -> ApiError:
    """The error for whatever went wrong inside; the traceback is in the server's log."""
    en = "The server failed on this request. Its log says why."
    return ApiError(500, en, "服务器在处理这个请求时出错，原因见它的日志。", code="server_failed")
