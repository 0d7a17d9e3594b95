"""Starts the server: a free port, a clear address, a clean end."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from types import FrameType

import uvicorn

from yaya.core.runtime import Runtime
from yaya.core.say import UserError, say
from yaya.inference.engine import Engine
from yaya.serve.app import create_app
from yaya.serve.guard import is_loopback
from yaya.serve.worker import Worker

PORTS_TO_TRY = 20


def serve(model_path: Path, model_name: str, host: str = "127.0.0.1", port: int = 8000, *, runtime: Runtime) -> None:
    """Serves the model folder at `model_path` until Ctrl-C. Raises `UserError` when it cannot listen on `host`."""
    serve_engine(Engine.load(model_path, runtime), model_name, host, port)


def serve_engine(engine: Engine, model_name: str, host: str, port: int) -> None:
    """Serves a loaded engine until Ctrl-C."""
    listener = listen(host, port)
    found = listener.getsockname()[1]
    if found != port and port != 0:
        say(f"Port {port} is taken; taking {found} instead.", f"端口 {port} 已被占用，改用 {found}。")
    if not is_loopback(host):
        say(
            f"Warning: everyone who reaches {host} on the network can use this model: there is no password.",
            f"警告：网络上能访问 {host} 的人都可以使用这个模型：没有密码保护。",
        )
    app = create_app(engine, model_name, host)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,  # seconds for a client that does not read its last words
    )
    try:
        Server(config, app.state.worker, model_name, address(host, found)).run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # uvicorn raises the Ctrl-C again after its clean end
    finally:
        listener.close()


class Server(uvicorn.Server):
    """uvicorn, which says its address once it answers, and ends open streams instead of waiting for them."""

    def __init__(self, config: uvicorn.Config, worker: Worker, model_name: str, url: str):
        super().__init__(config)
        self.worker, self.model_name, self.url = worker, model_name, url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            say(
                f"Chat with {self.model_name} at {self.url}  (Ctrl-C stops)",
                f"打开 {self.url} 与 {self.model_name} 聊天（按 Ctrl-C 停止）",
            )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.worker.stop()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            os._exit(130)  # the second Ctrl-C: even a thread in the middle of a long step must not hold us
        super().handle_exit(sig, frame)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on the first free port from `port` on (0: any)."""
    try:
        family, *_, at = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, OverflowError):
        raise UserError(
            f"Cannot listen on {host}:{port}: no such address.", f"不能在 {host}:{port} 上监听：没有这个地址。"
        ) from None
    for candidate in range(port, min(port + PORTS_TO_TRY, 65536)):
        listener = socket.socket(family, socket.SOCK_STREAM)
        if os.name == "posix":  # on Windows this would share a port that is taken
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((at[0], candidate, *at[2:]))
            listener.listen(128)
            return listener
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                reason = error.strerror
                raise UserError(
                    f"Cannot listen on {host}:{candidate}: {reason}.", f"不能在 {host}:{candidate} 上监听：{reason}。"
                ) from None
    raise UserError(
        f"Ports {port} to {port + PORTS_TO_TRY - 1} are all taken. Choose one with --port.",
        f"端口 {port} 到 {port + PORTS_TO_TRY - 1} 都被占用。请用 --port 另选一个。",
    )


def address(host: str, port: int) -> str:
    """What to type into a browser on this machine."""
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
