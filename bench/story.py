"""The way through the code: from a text file to a reply over HTTP, as it is really taken.

python bench/story.py [--files]

Two tiny runs (a text of one's own, then conversations too) and one HTTP request are traced. For each stage it prints the
files in the order in which they are first entered, with their floors; every call from a lower floor to a higher one (a
climb: returns are none); and every chain of calls that comes back to a room which it had left. With --files also the files that
somebody has to read who follows the story, and their lines: in a hurry, and thoroughly. They follow from events, which are
calls of libraries (a file is opened, the gradient is computed, a token is drawn), and from what was on the stack then.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

SOURCE = Path(__file__).resolve().parents[1] / "src" / "yaya"
sys.path.insert(0, str(SOURCE.parents[1]))
sys.path.insert(0, str(SOURCE.parent))

from tests.architecture.test_floors import LEVEL  # noqa: E402

TEXT = (
    "The brown  cat sat on the mat and looked at the moon over the café. It wondered what the moon might be made of.\n"
    * 400
)
CHATS = [
    {"messages": [{"role": "user", "content": f"What is {n} and 1?"}, {"role": "assistant", "content": f"{n + 1}."}]}
    for n in range(80)
]
SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "context_length": 64, "batch_tokens": 512, "steps": 3, "samples": 1}


def place_of(frame: FrameType) -> str | None:
    """The file of a frame below src/yaya, or None for code of others and for pages' templates."""
    name = frame.f_code.co_filename
    return name[len(str(SOURCE)) + 1 :] if name.startswith(str(SOURCE)) and name.endswith(".py") else None


def room_of(file: str) -> str:
    return file.split("/")[0].removesuffix(".py")


OPENED = "a text is read"
SENT = "a reply is sent"
LAST = (OPENED, SENT)  # of which the last is meant: before, a file is hashed
RENAMED = "a model is saved"
# What happens to the data in the story, stage by stage, by the library function that does it (C functions by name).
EVENTS = {
    "prepare": {
        "is_normalized": "a text is cleaned",
        "xxh3_128_digest": "a document gets its id",
        "write_batch": "documents are written",
    },
    "tokenize": {
        "train_from_iterator": "a vocabulary is learned",
        "encode_batch_fast": "text becomes token ids",
        "tofile": "token ids are written",
    },
    "pretrain": {
        "searchsorted": "packed rows are looked up",
        "embedding": "the model reads token ids",
        "run_backward": "the loss is led back to the weights",
        "baddbmm": "a step is orthogonalised (Muon)",
    },
    "request": {
        "encode_batch_fast": "a message becomes token ids",
        "embedding": "the model reads token ids",
        "searchsorted": "the next token is drawn",
        "render": SENT,
    },
}


class Trace:
    """What was entered, in order: by stage."""

    def __init__(self, source: Path) -> None:
        self.source = str(source)
        self.stage = "before"
        self.files: dict[str, list[str]] = {}
        self.climbs: Counter[tuple[str, str, str]] = Counter()
        self.stacks: dict[tuple[str, str], list[str]] = {}  # (stage, event) -> files on the way to it

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """What Python tells of a call."""
        if event == "c_call":
            self.happened(getattr(argument, "__name__", ""), frame)
        elif event == "call":
            if (here := place_of(frame)) is not None:
                self.entered(here, frame)
            else:
                self.happened(frame.f_code.co_name, frame)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """What Python tells of files."""
        if event == "open" and str(arguments[0]) == self.source and self.stage == "prepare":
            self.note(OPENED, sys._getframe(1))
        elif event == "os.rename" and str(arguments[1]).endswith("model.safetensors") and self.stage == "pretrain":
            self.note(RENAMED, sys._getframe(1))

    def entered(self, here: str, frame: FrameType) -> None:
        if frame.f_code.co_name == "<module>":
            return
        if frame.f_code.co_qualname == "Run.make":
            self.stage = frame.f_locals["stage"].name
        files = self.files.setdefault(self.stage, [])
        if here not in files:
            files.append(here)
        caller = caller_of(frame)
        # Whoever is handed a class may make one of it.
        if frame.f_code.co_name in ("__init__", "__post_init__"):
            return
        if caller is None or room_of(caller[0]) == room_of(here) or is_resumed(frame):
            return
        if LEVEL[room_of(caller[0])] < LEVEL[room_of(here)]:
            self.climbs[(self.stage, ":".join(caller), f"{here}:{frame.f_code.co_qualname}")] += 1

    def happened(self, name: str, frame: FrameType) -> None:
        if event := EVENTS.get(self.stage, {}).get(name):
            self.note(event, frame)

    def note(self, event: str, frame: FrameType) -> None:
        """The files on the stack lead to what happens here."""
        if (self.stage, event) in self.stacks and event not in LAST:
            return
        files = [file for at in stack(frame) if (file := place_of(at))]
        if files:
            self.stacks[(self.stage, event)] = list(dict.fromkeys(reversed(files)))


def stack(frame: FrameType | None) -> Iterator[FrameType]:
    """This frame and those below it."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def is_resumed(frame: FrameType) -> bool:
    """Whether a generator goes on that was begun before: its consumer pulls, nobody calls."""
    return bool(frame.f_code.co_flags & 0x20) and frame.f_lasti > 4


def caller_of(frame: FrameType) -> tuple[str, str] | None:
    """(file, function) of the nearest frame of ours below this one."""
    found = ((file, at.f_code.co_qualname) for at in stack(frame.f_back) if (file := place_of(at)))
    return next(found, None)


@contextmanager
def following(trace: Trace) -> Iterator[None]:
    """Traces this thread and those that are started meanwhile."""
    sys.addaudithook(trace.audit)
    sys.setprofile(trace)
    threading.setprofile(trace)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


def tell(trace: Trace, source: Path, chats: Path) -> None:
    """The two runs and the request."""
    from yaya import pipeline

    sizes = {"pretrain": SIZES, "finetune": {"steps": 3, "samples": 1, "batch_tokens": 512}}
    small = {"tokenize": {"vocab_size": 400}, **sizes, "device": "cpu", "dtype": "float32", "threads": 1}
    texts = {"sources": [str(source)], "workers": 1}
    pipeline.run({"name": "text", "prepare": texts, **small})
    trace.files.clear()
    trace.stacks.clear()
    both = {**texts, "sources": [str(source), str(chats)]}
    pipeline.run({"name": "chat", "prepare": both, **small})
    trace.stage = "request"
    ask(Path("runs/chat/finetune"))


def ask(model: Path) -> None:
    """One question over HTTP."""
    from starlette.testclient import TestClient

    from yaya.core.machine import Machine
    from yaya.inference.engine import Engine
    from yaya.serve.app import create_app

    body = {"model": "chat", "messages": [{"role": "user", "content": "What is 3 and 1?"}], "max_tokens": 8}
    with TestClient(create_app(Engine.load(model, Machine("cpu", "float32", 1)), "chat"), "http://127.0.0.1") as client:
        reply = client.post("/v1/chat/completions", json=body)
    assert reply.status_code == 200, reply.text


def show(trace: Trace, with_files: bool) -> None:
    for stage, files in trace.files.items():
        print(f"\n{stage}")
        for file in files:
            print(f"  {LEVEL[room_of(file)]:2} {file}")
    print(f"\nclimbs: {len(trace.climbs)}")
    for (stage, caller, callee), count in trace.climbs.items():
        print(f"  {stage}: {caller} -> {callee} ({count} times)")
    if not with_files:
        return
    for (stage, event), files in trace.stacks.items():
        print(f"\n{stage}: {event}\n    {' > '.join(files)}")
    began = {
        next((file for file in files if "/" in file), files[0])
        for (stage, _), files in trace.stacks.items()
        if stage != "request"
    }
    where = {files[-1] for files in trace.stacks.values()}
    on_the_way = {file for files in trace.stacks.values() for file in files}
    hurried = {*(file for file in on_the_way if "/" not in file), *began, *where}
    listed("in a hurry: the story, each stage's own module, and where each thing happens", hurried)
    listed("thoroughly: everything on the way", on_the_way)


def listed(title: str, files: set[str]) -> None:
    """Files with their lines."""
    lines = {file: len((SOURCE / file).read_text("utf-8").splitlines()) for file in sorted(files)}
    print(f"\n{title}: {len(lines)} files, {sum(lines.values()):,} lines")
    for file, count in lines.items():
        print(f"  {count:4} {file}")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--files", action="store_true", help="the files on the way to each event")
    options = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        source, chats = Path(folder, "text.txt"), Path(folder, "chats.jsonl")
        source.write_text(TEXT)
        chats.write_text("".join(json.dumps(chat) + "\n" for chat in CHATS))
        trace = Trace(source)
        with following(trace):
            tell(trace, source, chats)
    show(trace, options.files)


if __name__ == "__main__":
    main()
