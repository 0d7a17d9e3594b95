"""Bodies as bytes: whatever arrives is answered in OpenAI's shape, in the client's language, with the place of the flaw."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from starlette.datastructures import Headers
from test_serve_fake import CHAT, HELLO, FakeEngine, error_of, running_server

from yaya.serve.guard import reads_chinese

JSON = {"Content-Type": "application/json"}
GOOD = json.dumps({"messages": HELLO})
LONG = "[" * 100_000


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_server(FakeEngine()) as url:
        yield url


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=10) as client:
        yield client


def both(http: httpx.Client, body: bytes | str, headers: dict[str, str], status: int) -> tuple[dict, dict]:
    """The errors for a reader of English and one of Chinese."""
    answers = [
        http.post(CHAT, content=body, headers={**headers, "Accept-Language": language}) for language in ("en", "zh-CN")
    ]
    en, zh = (error_of(answer, status) for answer in answers)
    assert {**en, "message": ""} == {**zh, "message": ""}
    assert en["message"].isascii() and any("\u4e00" <= c <= "\u9fff" for c in zh["message"])
    return en, zh


HELLO_ZH = '{"messages": [{"role": "user", "content": "你好"}]}'


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (HELLO_ZH.encode("gbk"), "byte 44 (0xC4)"),
        (HELLO_ZH.encode("big5"), "byte 44 (0xA7)"),
        (HELLO_ZH.encode("utf-16"), "byte 1 (0xFF)"),
        (GOOD.encode("utf-16-le"), "contains zero"),  # without a mark at its beginning it is valid UTF-8
        (GOOD.encode("utf-32-be"), "contains zero"),
        ('{"a": "café"}'.encode("latin-1"), "byte 11 (0xE9)"),
        (HELLO_ZH.encode()[:45], "byte 44 (0xE4)"),
        (b'{"a": "\xed\xa0\x80"}', "byte 8 (0xED)"),  # half of a character, written in UTF-8
        (b'{"a": "\xc0\xaf"}', "byte 8 (0xC0)"),  # "/", longer than it needs to be
    ],
)
def test_a_body_that_is_no_utf8_says_so(http: httpx.Client, body: bytes, place: str) -> None:
    en, zh = both(http, body, JSON, 400)
    assert "not UTF-8" in en["message"] and place in en["message"] and en["code"] == "invalid_encoding"
    assert "不是 UTF-8" in zh["message"] and place.split()[1].replace("zero", "零字节") in zh["message"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        ("{", "line 1, column 2"),
        ('{\n"a": 1,\n}', "line 3, column 1"),
        ("messages=hello", "line 1, column 1"),
        (GOOD + GOOD, "line 1"),
        ("[]", "must be a JSON object"),
        ("3", "must be a JSON object"),
        ('"x"', "must be a JSON object"),
        ("null", "must be a JSON object"),
        (LONG, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"n": %s}' % ("9" * 5000), "number"),
        ('{"temperature": 0, "temperature": 1}', "two values for 'temperature'"),
        ('{"messages": [{"role": "user", "role": "system"}]}', "two values for 'role'"),
    ],
)
def test_a_body_that_is_no_json_object(http: httpx.Client, body: bytes | str, word: str) -> None:
    en, _ = both(http, body, JSON, 400)
    assert word in en["message"] and en["code"] == "invalid_json"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ('"messages": [{"role": "user", "content": "\\ud800"}]', "messages[0].content"),
        ('"messages": [{"role": "user", "content": ["\\udfff\\ud83d"]}]', "messages[0].content[0]"),
        ('"messages": [], "stop": "\\udfff"', "stop"),
        ('"model": "\\ud800"', "model"),
        ('"unknown": {"a": ["b", "\\ud800"]}', "unknown.a[1]"),
        ('"\\ud800": 1', "\\ud800"),
        ('"temperature": NaN', "temperature"),
        ('"temperature": 1e999', "temperature"),
        ('"unknown": [-Infinity]', "unknown[0]"),
    ],
)
def test_what_python_takes_for_json(http: httpx.Client, fields: str, place: str) -> None:
    en, _ = both(http, "{" + fields + "}", JSON, 400)
    assert en["param"] == place and en["message"].startswith(place)


@pytest.mark.parametrize("body", [GOOD, b"\xef\xbb\xbf" + GOOD.encode(), f"\r\n{GOOD}\n", HELLO_ZH])
@pytest.mark.parametrize("kind", ["application/json", "APPLICATION/JSON; charset=gbk", "application/vnd.x+json"])
def test_good_bodies(http: httpx.Client, body: bytes | str, kind: str) -> None:
    response = http.post(CHAT, content=body, headers={"Content-Type": kind})
    assert response.json()["choices"][0]["message"]["content"] in ("You said: hello", "You said: 你好")


def test_a_pair_of_halves_is_a_character(http: httpx.Client) -> None:
    body = '{"messages": [{"role": "user", "content": "\\ud83d\\ude00"}], "x\\ud83d\\ude00": 1}'
    response = http.post(CHAT, content=body, headers=JSON)
    assert response.json()["choices"][0]["message"]["content"] == "You said: 😀"
    assert response.headers["x-ignored-fields"] == "x%F0%9F%98%80"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_a_wrong_content_type(http: httpx.Client, kind: str) -> None:
    en, zh = both(http, GOOD, {"Content-Type": kind}, 415)
    for error in (en, zh):
        assert "Content-Type: application/json" in error["message"] and kind.split(";")[0] in error["message"]


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate", "gzip, br"])
def test_a_compressed_body(http: httpx.Client, coding: str) -> None:
    headers = {**JSON, "Content-Encoding": coding}
    en, _ = both(http, gzip.compress(GOOD.encode()), headers, 415)
    assert coding in en["message"]
    assert http.post(CHAT, content=GOOD, headers={**JSON, "Content-Encoding": "identity"}).status_code == 200


@pytest.mark.parametrize("path", [CHAT, "/generate"])
def test_bytes_without_a_client(url: str, path: str) -> None:
    """No Content-Type, no Accept-Language, no JSON: as a socket sends it."""
    host, port = url.removeprefix("http://").split(":")
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    for more, body, status in [
        ("", GOOD.encode(), b"415"),
        ("Content-Type: application/json\r\n", b"\xff\xfe\x00\x80", b"400"),
        ("Content-Type: application/json\r\n", b"", b"400"),
    ]:
        with socket.create_connection((host, int(port)), 10) as connection:
            connection.sendall(f"{head}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        first, content = answer.split(b"\r\n")[0], answer.split(b"\r\n\r\n")[1]
        assert status in first and json.loads(content)["error"]["message"]


def test_a_body_that_is_too_large_says_so(http: httpx.Client) -> None:
    en, zh = both(http, b"\xff" * ((1 << 20) + 1), JSON, 413)
    assert "1048576" in en["message"] and "1048576" in zh["message"]


@pytest.mark.parametrize(
    "body",
    [
        '{"messages": [' + "1," * 400_000 + "1]}",
        '{"messages": [' + "{}," * 300_000 + "{}]}",
        "{" + ",".join(f'"k{i}": 1' for i in range(70_000)) + ', "k69999": 2}',
        '{"messages": [{"role": "user", "content": [' + '{"type": "text", "text": "", "a": 1},' * 25_000 + "5]}]}",
    ],
)
def test_many_flaws_are_told_at_once(http: httpx.Client, body: str) -> None:
    started = time.process_time()
    assert len(http.post(CHAT, content=body, headers=JSON).content) < 500
    assert time.process_time() - started < 2


# ---- The language


@pytest.mark.parametrize(
    ("wish", "chinese"),
    [
        ("zh", True),
        ("zh-CN,zh;q=0.9,en;q=0.8", True),
        ("zh-Hant-TW", True),
        ("zh_CN", True),
        ("ZH", True),
        ("en-US,en;q=0.9,zh;q=0.8", False),
        ("en;q=0.5, zh;q=0.9", True),
        ("en; q=0.9, zh; q=0.5", False),
        ("zh ; q=0.5 , en ; q=0.4", True),
        ("fr;q=0.9 ,\tzh-TW ;q=0.8", True),
        ("fr-FR, zh;q=0.9, en;q=0.8", True),
        ("fr, en;q=0.3, zh;q=0.2", False),
        ("zh;q=0, en;q=0.1", False),
        ("zh;q=0", False),
        ("fr", False),
        ("zhuang", False),
        ("zh;q=x", True),
    ],
)
def test_the_wish_decides(monkeypatch: pytest.MonkeyPatch, wish: str, chinese: bool) -> None:
    for servers in ("en", "zh"):
        monkeypatch.setenv("YAYA_LANG", servers)
        assert reads_chinese(Headers({"accept-language": wish})) == chinese


@pytest.mark.parametrize("wish", [None, "", "*", "*;q=0.5"])
def test_without_a_wish_the_server_decides(monkeypatch: pytest.MonkeyPatch, wish: str | None) -> None:
    headers = Headers({} if wish is None else {"accept-language": wish})
    for servers in ("en", "zh"):
        monkeypatch.setenv("YAYA_LANG", servers)
        assert reads_chinese(headers) == (servers == "zh")


@pytest.mark.parametrize("path", ["/nothing", "/v1/models/other", CHAT])
def test_errors_of_other_routes_speak_it_too(http: httpx.Client, path: str) -> None:
    message = http.get(path, headers={"Accept-Language": "zh"}).json()["error"]["message"]
    assert any("\u4e00" <= c <= "\u9fff" for c in message)
