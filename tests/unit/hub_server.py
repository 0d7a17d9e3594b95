"""A small hub on loopback: the shapes of the Hugging Face and ModelScope interfaces, ranges, and transfers that break off."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Datasets by id -> files by path. What was asked for is in `asked`."""

    datasets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    converted: dict[str, dict[str, bytes]] = field(default_factory=dict)  # the branch refs/convert/parquet
    gated: set[str] = field(default_factory=set)
    token: str | None = None  # that private files want
    cut_after: int | None = None  # bytes of each transfer, while `cuts` lasts
    cuts: int = 0
    errors: int = 0  # so many transfers answer 503 first
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def running_hub(hub: Hub) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None: ...

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            parts = urllib.parse.urlsplit(self.path)
            path = urllib.parse.unquote(parts.path)
            query = dict(urllib.parse.parse_qsl(parts.query))
            hub.asked.append((self.command, self.path, dict(self.headers)))
            for prefix, handle in (
                ("/api/datasets/", self.hugging_face),
                ("/datasets/", self.resolve),
                ("/api/v1/datasets/", self.model_scope),
            ):
                if path.startswith(prefix):
                    handle(path.removeprefix(prefix), query)
                    return
            self.json(404, {"error": "not found"})

        def json(self, status: int, value: object, **headers: str) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, text in headers.items():
                self.send_header(name.replace("_", "-"), text)
            self.end_headers()
            self.wfile.write(data)

        def hugging_face(self, rest: str, query: dict[str, str]) -> None:
            name = "/".join(rest.split("/")[:2])
            what, _, revision = rest.removeprefix(name + "/").partition("/")
            if name not in hub.datasets:
                self.json(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
                return
            if name in hub.gated:
                self.json(403, {"error": "gated"}, X_Error_Code="GatedRepo")
                return
            other = revision.startswith("refs/convert/parquet") or revision.startswith("c0")
            files = hub.converted.get(name, {}) if other else hub.datasets[name]
            if other and not files:
                self.json(404, {"error": "no such revision"}, X_Error_Code="RevisionNotFound")
                return
            if what == "revision":
                sha = "c0" + COMMIT[2:] if other else COMMIT
                self.json(
                    200, {"id": name, "sha": sha, "private": False, "siblings": [{"rfilename": p} for p in files]}
                )
            elif what == "tree":
                self.json(
                    200, [{"type": "file", "path": p, "size": len(data), "oid": "0" * 40} for p, data in files.items()]
                )
            else:
                self.json(404, {"error": what})

        def resolve(self, rest: str, query: dict[str, str]) -> None:
            name, _, tail = rest.partition("/resolve/")
            revision, _, path = tail.partition("/")
            files = hub.converted.get(name, {}) if revision.startswith("c0") else hub.datasets.get(name, {})
            self.file(files.get(path))

        def model_scope(self, rest: str, query: dict[str, str]) -> None:
            name, _, what = rest.partition("/repo")
            files = hub.datasets.get(name)
            if files is None:
                self.json(404, {"Code": 10010205001, "Message": "not found"})
            elif what == "/tree":
                page, size = int(query["PageNumber"]), int(query["PageSize"])
                listed = [
                    {"Path": p, "Size": len(data), "Type": "blob", "Sha256": hashlib.sha256(data).hexdigest()}
                    for p, data in sorted(files.items())
                ]
                self.json(200, {"Code": 200, "Data": {"Files": listed[(page - 1) * size : page * size]}})
            else:
                self.file(files.get(query["FilePath"]))

        def file(self, data: bytes | None) -> None:
            if data is None:
                self.json(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound")
                return
            if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
                self.json(401, {"error": "Unauthorized"})
                return
            if hub.errors:
                hub.errors -= 1
                self.json(503, {"error": "busy"})
                return
            start = 0
            wanted = self.headers.get("Range")
            if wanted:
                start = int(wanted.removeprefix("bytes=").split("-")[0])
            part = data[start:]
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(part)))
            self.send_header("Accept-Ranges", "bytes")
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            if hub.cuts and hub.cut_after is not None and len(part) > hub.cut_after:
                hub.cuts -= 1
                self.wfile.write(part[: hub.cut_after])
                self.wfile.flush()
                self.close_connection = True
                self.connection.close()
                return
            with contextlib.suppress(OSError):
                self.wfile.write(part)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
