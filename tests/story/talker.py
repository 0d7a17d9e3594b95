"""`yaya` with a model of no weight, which answers with what it was told: so a test sees exactly what a message held.

With WAIT_FOR set, the model is loaded when that file is there.
"""

import argparse
import os
import select
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from yaya.cli import commands, tools
from yaya.core.messages import UserError


class Bytes:
    """A tokenizer with one token for each byte."""

    turn_start, turn_end = 256, 257

    def encode(self, text: str) -> list[int]:
        return list(text.encode("utf-8"))

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.encode(text) for text in texts]


class Talker:
    tokenizer, context_length = Bytes(), 10_000

    def stream(self, ids: list[int], sampling: object, stopped: Callable[[], bool]) -> Iterator[str]:
        turns = bytes(i if i < 256 else 0 for i in ids).decode("utf-8").split("\0")
        said = [turn.removeprefix("user\n") for turn in turns if turn.startswith("user\n")]
        if said[-1] in ("count", "forever", "silence"):
            if said[-1] == "silence":
                print("thinking", file=sys.stderr)
            for number in range(30 if said[-1] == "count" else 3000):
                if stopped():
                    return
                time.sleep(0.01)
                yield f"{number} " if said[-1] != "silence" else ""
        elif said[-1] == "attack":
            yield "\x1b]0;owned\x07\x9b2J\x1b[2J\x08\x7f"
            yield "\r\nred"
        elif said[-1] == "break":
            raise UserError("the model broke", "模型坏了")
        elif said[-1] == "crash":
            raise RuntimeError("crashed")
        yield f"heard {len(said)} {said[-1]!r}."


def load_talker(options: argparse.Namespace) -> tuple[Talker, None]:
    deadline = time.monotonic() + 20
    while "WAIT_FOR" in os.environ and not Path(os.environ["WAIT_FOR"]).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    if options.model == "absent":
        select.select([sys.stdin], [], [], 20)  # somebody types meanwhile
        raise UserError("it was not there", "找不到")
    return Talker(), None


if __name__ == "__main__":
    tools.load_talker = load_talker  # type: ignore[assignment]
    commands.main(sys.argv[1:])
