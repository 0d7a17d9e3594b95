"""Checks before every route: who may ask and how much they may send; also headers for the browser."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yaya.core.messages import language
from yaya.serve.schema import ApiError

BODY_LIMIT = 1 << 20  # bytes
DISCARD_LIMIT = 16 << 20  # how much of a larger body is read before it is refused
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reads_chinese(headers: Headers) -> bool:
    """Which of our two languages the client prefers; the server's own if it does not say, English if it wants another."""
    weights: dict[str, float] = {}
    for wish in headers.get("accept-language", "").lower().split(","):
        tag, _, rest = wish.replace(" ", "").replace("\t", "").partition(";")
        weight = re.search(r"q=(\d(?:\.\d*)?)", rest)
        weights.setdefault(re.split("[-_]", tag)[0], float(weight[1]) if weight else 1.0)
    if not weights.keys() - {"", "*"}:
        return language() == "zh"
    liked = [name for name in weights if name in ("zh", "en") and weights[name] > 0]
    return max(liked, key=weights.__getitem__, default="en") == "zh"  # the first of equal ones


def error_response(error: ApiError, headers: Headers) -> JSONResponse:
    """The error in OpenAI's shape and the client's language."""
    return JSONResponse(error.body(reads_chinese(headers)), error.status, headers=SECURITY_HEADERS)


class Guard:
    """ASGI middleware around the whole app.

    A web page can make a browser send requests to a server on loopback. Two checks prevent this:
    the Host header must name this machine (otherwise a foreign name points at 127.0.0.1, "DNS rebinding"),
    and a POST's Origin must be this server itself.
    """

    def __init__(self, app: ASGIApp, host: str):
        self.app = app
        self.names = {"localhost", "127.0.0.1", "::1", host} if is_loopback(host) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        try:
            self._check(scope["method"], headers)
            if scope["method"] == "POST":
                receive = await read_body(receive)
        except ApiError as error:
            await error_response(error, headers)(scope, receive, send_with_headers)
            return
        await self.app(scope, receive, send_with_headers)

    def _check(self, method: str, headers: Headers) -> None:
        host = headers.get("host", "")
        if self.names is not None and host_name(host) not in self.names:
            en = f"This server answers only to localhost or 127.0.0.1, not to {host!r}."
            zh = f"本服务器只接受以 localhost 或 127.0.0.1 访问，不接受 {host!r}。"
            raise ApiError(421, en, zh, code="wrong_host")
        origin = headers.get("origin")
        if method not in ("GET", "HEAD") and origin is not None and origin.partition("://")[2] != host:
            en = f"Pages from {origin} may not use this server."
            raise ApiError(403, en, f"来自 {origin} 的网页不能使用本服务器。", code="cross_origin")


def host_name(host: str) -> str | None:
    """`"[::1]:8000"` -> `"::1"`; `None` when it is nonsense."""
    try:
        return None if "@" in host else urlsplit(f"//{host}").hostname
    except ValueError:
        return None


async def read_body(receive: Receive) -> Receive:
    """Reads the whole body and returns a `receive` that delivers it; raises `ApiError` 413 above the limit."""
    body, size, more = bytearray(), 0, True
    while more and size <= DISCARD_LIMIT:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= BODY_LIMIT:  # read the rest, too: a client that is still sending would not see our answer
            body += chunk
        more = message.get("more_body", False)
    if size > BODY_LIMIT:
        en, zh = f"The body is larger than {BODY_LIMIT} bytes.", f"请求体超过了 {BODY_LIMIT} 字节。"
        raise ApiError(413, en, zh, code="too_large")
    whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def replay() -> Message:
        return whole.pop() if whole else await receive()

    return replay
