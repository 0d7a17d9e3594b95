"""The routes: the chat page, OpenAI's chat completions, and `/generate` as in the tutorials."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from yaya.core.messages import UserError
from yaya.inference.engine import Engine
from yaya.serve.about import About
from yaya.serve.body import read_fields
from yaya.serve.fields import ignored_header
from yaya.serve.guard import Guard, error_response, reads_chinese
from yaya.serve.schema import ApiError, ChatRequest, Completion, GenerateRequest, usage
from yaya.serve.worker import GenerationStream, Prompt, Worker, server_failed
from yaya.tokenize.chat_template import fit_messages

PAGE = Path(__file__).parent / "page"
# Listed here because the operating system's MIME types are wrong on some machines, and browsers are strict.
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PAGE_FILES = {path.name: TYPES[path.suffix] for path in PAGE.iterdir() if path.suffix in TYPES}
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the latter keeps nginx from buffering
ROUTES = "/v1/chat/completions, /v1/models, /generate, /health"
DEFAULT_MAX_LENGTH = 50  # tokens, prompt included, as `/generate` has it in the tutorials


def create_app(
    engine: Engine, model_name: str, host: str = "127.0.0.1", worker: Worker | None = None, about: About | None = None
) -> FastAPI:
    """The server as an ASGI app. `host` is the address that it will listen on; its worker is `app.state.worker`."""
    worker = worker or Worker(engine)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        worker.start()
        yield
        worker.stop()
        await asyncio.to_thread(worker.join, 5)

    app = FastAPI(title="yaya", lifespan=lifespan, openapi_url=None)
    app.state.worker = worker
    app.add_middleware(Guard, host=host)
    add_error_handlers(app)
    add_page(app, about or About())
    add_model_routes(app, engine, worker, model_name)
    add_generation_routes(app, engine, worker, model_name)
    return app


def add_model_routes(app: FastAPI, engine: Engine, worker: Worker, model_name: str) -> None:
    """The models served here, and the server's health."""

    @app.get("/health")
    async def health() -> JSONResponse:
        status = {
            "status": "ok" if worker.alive else "stopped",
            "model": model_name,
            "context_length": engine.context_length,
        }
        return JSONResponse(status, 200 if worker.alive else 503)

    @app.get("/v1/models")
    @app.get("/v1/models/", include_in_schema=False)
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [model_card(model_name)]}

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        check_model(name, model_name)
        return model_card(model_name)


def add_generation_routes(app: FastAPI, engine: Engine, worker: Worker, model_name: str) -> None:
    """OpenAI's chat completions, and `/generate`."""

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        body = read_fields(ChatRequest, await request.body(), request.headers)
        check_model(body.model, model_name)
        stream = await begin(request, worker, lambda: chat_prompt(engine, body))
        completion, ignored = Completion(model_name, stream.dropped_turns), ignored_header(body.ignored())
        if body.stream:
            with_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
            events = chat_events(stream, completion, with_usage, reads_chinese(request.headers))
            return StreamingResponse(events, media_type="text/event-stream", headers=STREAM_HEADERS | ignored)
        reply = "".join([text async for text in stream.texts()])
        counts = usage(stream.prompt_tokens, stream.completion_tokens)
        return JSONResponse(completion.whole(reply, stream.finish_reason, counts), headers=ignored)

    @app.post("/generate")
    async def generate(request: Request) -> Response:
        body = read_fields(GenerateRequest, await request.body(), request.headers)
        stream = await begin(request, worker, lambda: generate_prompt(engine, body))
        reply = "".join([text async for text in stream.texts()])
        answer = {"generated_text": body.prompt + reply}
        return JSONResponse(answer, headers=ignored_header(body.ignored()))


def model_card(name: str) -> dict[str, Any]:
    """A model in OpenAI's list format."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "yaya"}


def check_model(asked: str | None, served: str) -> None:
    """One model is served; asking for another is an error, not a surprise."""
    if asked is not None and asked != served:
        en = f"The model {asked!r} does not exist. This server has {served!r}."
        raise ApiError(404, en, f"这里没有模型 {asked!r}，只有 {served!r}。", code="model_not_found", param="model")


def chat_prompt(engine: Engine, body: ChatRequest) -> Prompt:
    """The prompt for the next reply, for which a quarter of the context stays free (or as much as it may use)."""
    context, messages = engine.context_length, body.plain()
    wanted = body.max_new_tokens or context
    try:
        input_ids, dropped = fit_messages(engine.tokenizer, messages, context - min(wanted, max(1, context // 4)))
    except UserError:  # a long last message: better a short reply than none
        input_ids, dropped = fit_messages(engine.tokenizer, messages, context - 1)
    return Prompt(input_ids, body.sampling(wanted), dropped)


def generate_prompt(engine: Engine, body: GenerateRequest) -> Prompt:
    """The prompt as document text; `max_length` becomes a number of new tokens; `ApiError` 400 if none are left."""
    input_ids = engine.encode(body.prompt)
    if body.max_new_tokens is not None:
        return Prompt(input_ids, body.sampling(body.max_new_tokens))
    max_length = body.max_length or DEFAULT_MAX_LENGTH
    if len(input_ids) >= max_length:
        en = f"The prompt has {len(input_ids)} tokens, but max_length, which includes the prompt, is {max_length}."
        zh = f"输入有 {len(input_ids)} 个 token，而包含输入在内的 max_length 只有 {max_length}。"
        en, zh = f"{en} Use a larger one, or max_new_tokens.", f"{zh}请调大它，或改用 max_new_tokens。"
        raise ApiError(400, en, zh, code="invalid_value", param="max_length")
    return Prompt(input_ids, body.sampling(max_length - len(input_ids)))


async def begin(request: Request, worker: Worker, make_prompt: Callable[[], Prompt]) -> GenerationStream:
    """Starts a generation that ends when its client disconnects; returns once the prompt has been accepted."""
    stream = worker.submit(make_prompt)

    async def cancel_when_gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        worker.cancel(stream)

    # The server also reports the end of every response as a disconnect, so this task always ends.
    stream.watcher = asyncio.create_task(cancel_when_gone())
    await stream.started()
    return stream


async def chat_events(
    stream: GenerationStream, completion: Completion, with_usage: bool, chinese: bool
) -> AsyncIterator[str]:
    """Server-sent events. An interrupted reply ends with an error and without `[DONE]`."""
    yield event(completion.opening())
    try:
        async for text in stream.texts():
            yield event(completion.chunk({"content": text}))
    except ApiError as error:
        yield event(error.body(chinese))
        return
    yield event(completion.chunk({}, stream.finish_reason))
    if with_usage:
        yield event(completion.usage_chunk(usage(stream.prompt_tokens, stream.completion_tokens)))
    yield "data: [DONE]\n\n"


def event(data: dict[str, Any]) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def add_page(app: FastAPI, about: About) -> None:
    """The routes of the chat page: the page, its files (error 404 for any other name), and what it knows about the model."""

    @app.get("/")
    async def page() -> FileResponse:
        return FileResponse(PAGE / "page.html", media_type="text/html", headers={"Cache-Control": "no-cache"})

    @app.get("/page/about.json")
    async def page_about() -> JSONResponse:
        return JSONResponse({"starters": about.starters, "only_texts": about.only_texts})

    @app.get("/page/{name}")
    async def page_file(name: str) -> FileResponse:
        if name not in PAGE_FILES:
            raise HTTPException(404)
        return FileResponse(PAGE / name, media_type=PAGE_FILES[name], headers={"Cache-Control": "no-cache"})


def add_error_handlers(app: FastAPI) -> None:
    """Reports every error in OpenAI's format."""

    @app.exception_handler(ApiError)
    async def api_error(request: Request, error: ApiError) -> JSONResponse:
        return error_response(error, request.headers)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        where, allowed = f"{request.method} {request.url.path:.100}", (error.headers or {}).get("Allow")
        known = {
            404: (
                f"There is nothing at {where}. This server has {ROUTES}, and the chat page at /.",
                f"没有 {where} 这个地址。本服务器有 {ROUTES}，聊天网页在 /。",
            ),
            405: (f"{where} is not allowed; {allowed} is.", f"不允许 {where}，请用 {allowed}。"),
        }
        en, zh = known.get(error.status_code, (str(error.detail), str(error.detail)))
        response = error_response(ApiError(error.status_code, en, zh), request.headers)
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def any_error(request: Request, error: Exception) -> JSONResponse:
        return error_response(server_failed(), request.headers)
