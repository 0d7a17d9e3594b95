"""`yaya serve` as a user has it: a real model, real clients, Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def server(tiny_run: Path) -> Iterator[str]:
    """The address that the program prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "yaya", "serve", "tiny", "--port", "0"],
        cwd=tiny_run.parents[1],
        env={**os.environ, "YAYA_LANG": "en"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    address = None
    for line in process.stderr:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            address = found.group()
            break
    assert address, "no address was printed"
    yield address
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=20)
    assert process.returncode in (0, 130) and "Traceback" not in rest


def post(url: str, body: dict) -> dict:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=60))


def test_the_tutorials_generate(server: str) -> None:
    text = post(f"{server}/generate", {"prompt": "从前", "max_length": 20})["generated_text"]
    assert text.startswith("从前")


def test_openai_client_with_and_without_streaming(server: str) -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{server}/v1", api_key="none")
    model = client.models.list().data[0].id
    messages = [{"role": "user", "content": "你是谁？"}]
    others = {
        "presence_penalty": 0.0,
        "extra_body": {"num_ctx": 4096, "chat_id": "x"},
    }  # as other servers' clients send
    whole = client.chat.completions.create(model=model, messages=messages, temperature=0, max_tokens=20, **others)
    pieces = client.chat.completions.create(
        model=model,
        messages=messages,
        temperature=0,
        max_tokens=20,
        stream=True,
        stream_options={"include_usage": True, "include_obfuscation": False},
        **others,
    )
    text, usage = "", None
    for chunk in pieces:
        usage = chunk.usage or usage
        text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
    assert text == whole.choices[0].message.content
    assert usage is not None and usage.completion_tokens == whole.usage.completion_tokens
    assert "\ufffd" not in text


def test_the_reply_equals_the_terminals(server: str, tiny_run: Path) -> None:
    from tests.conftest import yaya

    messages = [{"role": "user", "content": "Who are you?"}]
    body = {"messages": messages, "temperature": 0, "max_tokens": 256}
    served = post(f"{server}/v1/chat/completions", body)["choices"][0]["message"]["content"]
    typed = yaya("chat", "tiny", "--once", "Who are you?", "--greedy", cwd=tiny_run.parents[1]).stdout
    assert served == typed.rstrip("\n")


def test_health_and_page(server: str) -> None:
    assert json.load(urllib.request.urlopen(f"{server}/health"))["status"] == "ok"
    page = urllib.request.urlopen(f"{server}/").read().decode()
    assert "<script" in page and "http" not in re.sub(r'xmlns="[^"]*"', "", page)
