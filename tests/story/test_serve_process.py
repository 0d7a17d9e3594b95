"""Starting and stopping the server as a process: a port that is taken, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

PROGRAM = """
import os, sys, threading, time
sys.path.insert(0, {here!r})
threading.Thread(target=lambda: (time.sleep(60), os._exit(9)), daemon=True).start()  # never outlives its test
from test_serve_fake import FakeEngine
from yaya.serve.server import serve_engine
serve_engine(FakeEngine(lambda text: "word " * 5000, {step_s}, 30000), "baby", "127.0.0.1", {port})
print("the end", flush=True)
"""


def start(port: int, language: str = "en", step_s: float = 0.01) -> subprocess.Popen[str]:
    program = PROGRAM.format(here=str(Path(__file__).parents[1] / "unit"), port=port, step_s=step_s)
    environment = {**os.environ, "YAYA_LANG": language}
    return subprocess.Popen(
        [sys.executable, "-c", program], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def read_until_address(process: subprocess.Popen[str]) -> tuple[str, str]:
    """(what was said before, the address)."""
    assert process.stderr is not None
    before = ""
    for line in process.stderr:
        if "http://" in line:
            return before, next(word for word in line.split() if word.startswith("http://"))
        before += line
    raise AssertionError(f"it never said its address: {before}")


def interrupt_a_reply(process: subprocess.Popen[str], url: str) -> None:
    """Presses Ctrl-C while a reply streams; the stream says why it ends."""
    body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
    with httpx.stream("POST", url + "/v1/chat/completions", json=body, timeout=10) as response:
        lines = response.iter_lines()
        next(lines)
        process.send_signal(signal.SIGINT)
        assert any("server_stopping" in line for line in lines)


def test_it_moves_to_a_free_port_and_ctrl_c_ends_open_streams(taken: int) -> None:
    process = start(taken, "zh")
    before, url = read_until_address(process)
    assert f"端口 {taken} 已被占用" in before
    interrupt_a_reply(process, url)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "the end\n", "")


def test_a_second_ctrl_c_leaves_at_once() -> None:
    process = start(0, step_s=40)  # the engine is deep in a step
    _, url = read_until_address(process)
    interrupt_a_reply(process, url)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130 and "Traceback" not in err
