"""Starts the server: a free port, a clear address, a clean end."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from yaya.core.machine import Machine
from yaya.core.messages import UserError, say
from yaya.inference.engine import Engine
from yaya.serve.about import About, about
from yaya.serve.app import create_app
from yaya.serve.guard import is_loopback
from yaya.serve.worker import Worker

PORTS_TO_TRY = 20
LAST_PORT = 65535


def serve(model_path: Path, model_name: str, host: str = "127.0.0.1", port: int = 8000, *, runtime: Machine) -> None:
    """Serves the model folder at `model_path` until Ctrl-C. Raises `UserError` when it cannot listen on `host`."""
    resolve_address(host, port)  # report a wrong address before loading the model
    serve_engine(Engine.load(model_path, runtime), model_name, host, port, about(model_path))


def serve_engine(engine: Engine, model_name: str, host: str, port: int, known: About | None = None) -> None:
    """Serves a loaded engine until Ctrl-C."""
    listener = listen(host, port)
    found = listener.getsockname()[1]
    if found != port and port != 0:
        say(f"Port {port} is taken; using {found} instead.", f"端口 {port} 已被占用，改用 {found}。")
    if not is_loopback(host):
        say(
            f"Warning: anyone who can reach {host} on the network can use this model: there is no password.",
            f"警告：没有密码保护，网络上能访问 {host} 的人都可以使用这个模型。",
        )
    app = create_app(engine, model_name, host, about=known)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,  # seconds to wait for a client that does not read its last bytes
    )
    try:
        Server(config, app.state.worker, model_name, browser_url(host, found)).run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # uvicorn raises Ctrl-C again after its clean shutdown
    finally:
        listener.close()


class Server(uvicorn.Server):
    """uvicorn that prints its address once it answers, and ends open streams instead of waiting for them."""

    def __init__(self, config: uvicorn.Config, worker: Worker, model_name: str, url: str):
        super().__init__(config)
        self.worker, self.model_name, self.url = worker, model_name, url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Prints the address once the server listens."""
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
            os._exit(130)  # the second Ctrl-C: not even a thread in the middle of a long step may hold us up
        super().handle_exit(sig, frame)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on the first free port from `port` on (0: any); `UserError` if there is none."""
    family, at = resolve_address(host, port)
    last = min(port + PORTS_TO_TRY - 1, LAST_PORT)
    for candidate in range(port, last + 1):
        try:
            return bind(family, (at[0], candidate, *at[2:]))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise cannot_listen(browser_url(host, candidate).removeprefix("http://"), error) from None
    raise UserError(
        f"Ports {port} to {last} are all taken. Choose another with --port.",
        f"从 {port} 到 {last} 的端口都被占用。请用 --port 另选一个。",
    )


def resolve_address(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """The address as the operating system resolves it; raises `UserError` if there is none."""
    if not 0 <= port <= LAST_PORT:
        raise UserError(
            f"There is no port {port}: ports are numbers from 0 to {LAST_PORT}.",
            f"没有 {port} 这个端口：端口是 0 到 {LAST_PORT} 的数字。",
        )
    try:
        family, *_, at = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError):  # UnicodeError: a part of the name is longer than a name may be
        raise UserError(
            f"Cannot listen on {host!r}: no such address. Use one of this machine's addresses, such as 127.0.0.1 or 0.0.0.0.",
            f"不能在 {host!r} 上监听：没有这个地址。请用本机的地址，例如 127.0.0.1 或 0.0.0.0。",
        ) from None
    return family, at


def bind(family: socket.AddressFamily, at: tuple[Any, ...]) -> socket.socket:
    """A listening socket; raises `OSError`."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # on Windows this would share a taken port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(at)
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def cannot_listen(where: str, error: OSError) -> UserError:
    """Why, and what to do."""
    reasons = {
        errno.EACCES: (
            "this port needs an administrator's rights. Choose one above 1023 with --port",
            "这个端口需要管理员权限。请用 --port 选一个 1023 以上的",
        ),
        errno.EADDRNOTAVAIL: (
            "this machine does not have that address. Choose another with --host",
            "本机没有这个地址。请用 --host 换一个",
        ),
        errno.EAFNOSUPPORT: (
            "this machine has no IPv6. Choose an IPv4 address with --host, such as 127.0.0.1",
            "本机没有 IPv6。请用 --host 指定 IPv4 地址，例如 127.0.0.1",
        ),
    }
    en, zh = reasons.get(error.errno or 0, (str(error.strerror), str(error.strerror)))
    return UserError(f"Cannot listen on {where}: {en}.", f"不能在 {where} 上监听：{zh}。")


def browser_url(host: str, port: int) -> str:
    """What to type into a browser on this machine."""
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
