"""What tests share: real data when it is there, a tiny run made once, no network."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from jinja2.bccache import Bucket, BytecodeCache

from yaya.core import artifact
from yaya.core.artifact import Artifact, Draft, Policy
from yaya.core.machine import Machine
from yaya.core.stage import RunContext
from yaya.pages import layout


class CompiledTemplates(BytecodeCache):
    """Pages' templates are compiled once for all tests, which takes longer than most of what makes a page."""

    def __init__(self) -> None:
        self.known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.known:
            bucket.bytecode_from_string(self.known[bucket.key])  # jinja compares the template's checksum

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.known[bucket.key] = bucket.bytecode_to_string()


layout.Environment = functools.partial(layout.Environment, bytecode_cache=CompiledTemplates())  # type: ignore[misc,assignment]
os.environ.setdefault("YAYA_LANG", "en")
os.environ["HF_HUB_OFFLINE"] = "1"
ROOT = Path(__file__).parents[1]
MACHINE = Machine("cpu", "float32", 1)
# A shell that starts these tests with `&` has them ignore Ctrl-C, and all that they start; a terminal does not.
signal.signal(signal.SIGINT, signal.default_int_handler)

TINY = [
    "prepare.conversations=1500",
    "prepare.stories=200",
    "tokenize.vocab_size=1200",
    "pretrain.hidden_size=64",
    "pretrain.num_hidden_layers=2",
    "pretrain.context_length=128",
    "pretrain.batch_tokens=1024",
    "pretrain.steps=40",
    "pretrain.samples=2",
    "pretrain.evaluations=2",
    "finetune.batch_tokens=1024",
    "finetune.steps=12",
    "finetune.samples=1",
    "finetune.evaluations=1",
    "evaluate.questions_per_skill=3",
    "evaluate.max_new_tokens=16",
]

OWN = [
    "dtype=float32",
    "threads=1",
    "prepare.sources=own.jsonl",
    "prepare.validation=hash",
    "prepare.validation_fraction=0.2",
    "tokenize.vocab_size=500",
    "pretrain.hidden_size=64",
    "pretrain.num_hidden_layers=2",
    "pretrain.context_length=128",
    "pretrain.batch_tokens=512",
    "pretrain.steps=30",
    "pretrain.warmup_steps=5",
    "pretrain.samples=1",
    "pretrain.evaluations=2",
    "finetune.batch_tokens=512",
    "finetune.steps=12",
    "finetune.matrix_learning_rate=0.03",
    "finetune.samples=1",
    "finetune.evaluations=1",
]


def built(path: Path, draft: Draft, make: Callable[[Draft], None], policy: Policy | None = None) -> Artifact:
    """The artifact at `path`, made by `make` where it is not there."""
    begun = artifact.begin(path, draft, policy or Policy())
    if isinstance(begun, Artifact):
        return begun
    make(begun)
    return artifact.finish(begun, path)


def context(folder: Path, seed: int = 0, machine: Machine = MACHINE, **changes: Any) -> RunContext:
    """What a run in `folder` tells its stages."""
    return RunContext(folder, seed, machine, **changes)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens already."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


# Has imported what commands need, and forks for each command that it is told: importing takes longer than most commands.
FORKS = """
import json, os, sys
import torch._dynamo
import yaya.pipeline, yaya.cli.commands, yaya.cli.stages, yaya.inference.engine, yaya.evaluate.report_page

for line in sys.stdin:
    job = json.loads(line)
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    os.environ.clear()
    os.environ.update(job["env"])
    os.chdir(job["cwd"])
    for number, flags in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        os.dup2(os.open(job["files"][number], flags), number)
    sys.stdin, sys.argv = open(0, encoding="utf-8", closefd=False), ["yaya", *job["arguments"]]
    break
else:
    sys.exit()
yaya.cli.main()
"""


@functools.cache
def forks() -> subprocess.Popen[str]:
    """The process that forks for `yaya`; it ends with this one."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", FORKS], encoding="utf-8", **pipes)


def run_forked(
    arguments: Sequence[str], cwd: Path, stdin: str | None, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    server = forks()
    assert server.stdin and server.stdout
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("in", "out", "err")]
        for file, text in zip(files, (stdin or "", "", ""), strict=True):
            file.write_text(text, "utf-8")
        job = {"arguments": arguments, "cwd": str(cwd), "env": env, "files": [str(file) for file in files]}
        server.stdin.write(json.dumps(job) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        out, err = (file.read_text("utf-8") for file in files[1:])
    return subprocess.CompletedProcess(["yaya", *arguments], code, out, err)


def yaya(
    *arguments: str, cwd: Path, check: bool = True, stdin: str | None = None, fresh: bool = False, **env: str
) -> subprocess.CompletedProcess[str]:
    """Runs the program as a user does, in a process of its own: forked from one that has imported everything, unless it
    must be fresh, or its environment holds what is read while importing."""
    whole = {**os.environ, **env}
    if hasattr(os, "fork") and not fresh and set(env) <= {"YAYA_LANG"} and "COVERAGE_PROCESS_START" not in whole:
        done = run_forked(arguments, cwd, stdin, whole)
    else:
        done = subprocess.run(
            [sys.executable, "-m", "yaya", *arguments],
            cwd=cwd,
            env=whole,
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=300,
        )
    if check and done.returncode:
        raise AssertionError(f"yaya {' '.join(arguments)} exited {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run of the primer: `FOLDER/runs/tiny`."""
    folder = tmp_path_factory.mktemp("tiny")
    yaya("run", "name=tiny", *TINY, cwd=folder, fresh=True)
    return folder / "runs" / "tiny"


DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2  # capabilities(7) by which root reads and writes what it may not


@pytest.fixture
def permissions_hold() -> Iterator[None]:
    """For this test, root may do no more than the permissions of files say; others never may."""
    if not hasattr(os, "geteuid"):
        pytest.skip("Windows has other permissions")
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this thread
    before = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; and the same of capabilities above 31
    if libc.capget(header, before) != 0:
        pytest.skip("root's capabilities cannot be read here")
    without = type(before)(*before)
    without[0] &= ~(1 << DAC_OVERRIDE | 1 << DAC_READ_SEARCH)
    assert libc.capset(header, without) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0


@pytest.fixture(scope="session")
def own_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run of a user's own texts and conversations, in fp32: `FOLDER/runs/own`. Tests only read it: what
    runs several of them at once makes it once.

    Texts are shorter and longer than the context; some conversations have a system message, some have several turns.
    """
    together = tmp_path_factory.getbasetemp()
    together = together.parent if "PYTEST_XDIST_WORKER" in os.environ else together
    folder = together / "own"
    with FileLock(together / "own.lock"):
        if not (folder / "runs" / "own" / "evaluate").exists():
            make_own_run(folder)
    return folder / "runs" / "own"


def make_own_run(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdeghilmnorstu", k=draw.randint(2, 7))) for _ in range(60)] + list(
        "天地人你我他山水"
    )

    def sentence(most: int) -> str:
        return " ".join(draw.choices(words, k=draw.randint(3, most))) + "."

    def conversation(number: int) -> list[dict[str, str]]:
        turns = [(("user", sentence(6)), ("assistant", sentence(9))) for _ in range(1 + number % 3)]
        system = [("system", sentence(5))] if number % 4 == 0 else []
        return [{"role": role, "content": text} for role, text in [*system, *(m for turn in turns for m in turn)]]

    rows: list[dict] = [{"text": " ".join(sentence(12) for _ in range(1 + n % 24))} for n in range(60)]
    rows += [{"messages": conversation(n)} for n in range(120)]
    (folder / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    yaya("run", "name=own", *OWN, cwd=folder, fresh=True)


def with_base(tiny_run: Path, folder: Path) -> Path:
    """The folder, with the tiny run's data as run `base`: trainings take it with from=base."""
    (folder / "runs" / "base").mkdir(parents=True)
    for name in ("prepare", "tokenize"):
        os.symlink(tiny_run / name, folder / "runs" / "base" / name)
    return folder


@pytest.fixture(scope="session")
def shared_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real public data that lies beside the checkout on some machines; tests that want it are skipped elsewhere."""
    packed = ROOT.parent / "shared" / "data"
    if not (packed / "unpack").exists():
        pytest.skip("no shared data here")
    folder = tmp_path_factory.mktemp("data")
    done = subprocess.run(["sh", str(packed / "unpack"), str(folder), "text-en"], capture_output=True)
    if done.returncode:
        pytest.skip("shared data could not be unpacked")
    return folder
