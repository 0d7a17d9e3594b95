"""Where the server listens: ports and addresses."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from yaya.cli import main
from yaya.core.messages import UserError
from yaya.serve.guard import is_loopback
from yaya.serve.server import browser_url, listen


def test_the_next_free_port(taken: int) -> None:
    with listen("127.0.0.1", taken) as listener:
        assert taken < listener.getsockname()[1] < taken + 20


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(UserError, match=r"203\.0\.113\.1"):
        listen("203.0.113.1", 8000)
    for host in ("no.such.host.invalid", "http://localhost", "localhost:80", "[::1]", "a" * 70 + ".com", "a b", ""):
        with pytest.raises(UserError, match="no such address") as caught:
            listen(host, 8000)
        assert repr(host) in caught.value.en and repr(host) in caught.value.zh


@pytest.mark.parametrize("port", [-1, 65536, 99999, 10**30])
def test_a_number_that_is_no_port(port: int) -> None:
    with pytest.raises(UserError) as caught:
        listen("127.0.0.1", port)
    assert caught.value.en == f"There is no port {port}: ports are numbers from 0 to 65535."
    assert caught.value.zh == f"没有 {port} 这个端口：端口是 0 到 65535 的数字。"


@pytest.mark.parametrize("text", ["99999", "65536", "-1", "abc", "", "8e3", "80.0", "８０００", "0x50", "9" * 5000])
def test_the_command_refuses_it_before_all_else(text: str, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    for language, words in (("en", "is not a port: ports are numbers from 0 to 65535"), ("zh", "不是端口")):
        monkeypatch.setenv("YAYA_LANG", language)
        with pytest.raises(SystemExit) as caught:
            main(["serve", "no-such-model", "--port", text])
        said = capsys.readouterr().err
        assert caught.value.code == 2 and f"{text!r} {words}" in said and said.count("\n") == 1


def refusing(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on no socket can be bound."""

    def bind(self: socket.socket, at: tuple) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "socket", type("Refusing", (socket.socket,), {"bind": bind}))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, ("administrator", "管理员")),
        (errno.EADDRNOTAVAIL, ("does not have that address", "没有这个地址")),
        (errno.EAFNOSUPPORT, ("no IPv6", "没有 IPv6")),
        (errno.ENOBUFS, (os.strerror(errno.ENOBUFS),) * 2),
    ],
)
def test_why_it_cannot_listen(number: int, words: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(number, monkeypatch)
    with pytest.raises(UserError, match=r"on \[::1\]:80: ") as caught:
        listen("::1", 80)
    assert words[0] in caught.value.en and words[1] in caught.value.zh and "[::1]:80" in caught.value.zh


@pytest.mark.parametrize(("first", "last"), [(8000, 8019), (65530, 65535)])
def test_all_ports_taken(first: int, last: int, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(errno.EADDRINUSE, monkeypatch)
    with pytest.raises(UserError) as caught:
        listen("127.0.0.1", first)
    assert f"{first} to {last}" in caught.value.en and f"{first} 到 {last}" in caught.value.zh


def test_addresses() -> None:
    assert browser_url("0.0.0.0", 80) == "http://127.0.0.1:80"
    assert browser_url("::1", 80) == "http://[::1]:80"
    assert is_loopback("localhost") and is_loopback("127.3.2.1") and is_loopback("::1")
    assert not is_loopback("0.0.0.0") and not is_loopback("192.168.1.2") and not is_loopback("example.com")
