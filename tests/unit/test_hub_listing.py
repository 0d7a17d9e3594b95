"""What a hub's listing may do: lead elsewhere, count no pages, answer nonsense."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from yaya.core.messages import UserError
from yaya.prepare.read import hub

FILES = [{"Path": f"data/{n:03}.jsonl", "Size": 9, "Type": "blob", "Sha256": "0"} for n in range(150)]


class Handler(BaseHTTPRequestHandler):
    server: Any

    def log_message(self, *args: object) -> None: ...

    def do_GET(self) -> None:
        self.server.seen.append((self.headers["Host"], self.headers.get("Authorization")))
        if "moved" in self.path and self.headers["Host"].startswith("127.0.0.1"):
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.server.server_address[1]}{self.path}")
            self.end_headers()
            return
        data = json.dumps(["no object"] if "nonsense" in self.path else {"Data": {"Files": FILES}}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("MODELSCOPE_DOMAIN", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", "secret")
    yield server
    server.shutdown()
    server.server_close()


def test_the_token_does_not_follow_to_another_host(server: Any) -> None:
    hub.modelscope("team/moved")
    tokens = {host.partition(":")[0]: token for host, token in server.seen}
    assert tokens == {"127.0.0.1": "Bearer secret", "localhost": None}


def test_a_server_that_counts_no_pages_is_asked_twice(server: Any) -> None:
    _, files, _ = hub.modelscope("team/all")
    assert [file.path for file in files] == [file["Path"] for file in FILES] and len(server.seen) == 2


def test_what_is_no_listing(server: Any) -> None:
    with pytest.raises(UserError, match="no JSON object"):
        hub.modelscope("team/nonsense")
