"""One trial: one training stage in its own process, so that its failures cannot affect the others.

    python -m yaya.tune.trial FOLDER STAGE [INPUT=FOLDER ...]     trains what FOLDER/trial.toml says, into FOLDER/STAGE

It ends when its parent ends, for whatever reason: the parent holds the other end of its standard input.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from yaya import pipeline
from yaya.core import artifact
from yaya.core.messages import UserError, t
from yaya.core.recipe import read_recipe

RECIPE, LOG = "trial.toml", "output.txt"


def train(folder: Path, stage: str, inputs: dict[str, Path]) -> None:
    """Trains one stage in `folder`, the trial's run folder. inputs: what it reads, already verified."""
    tables = read_recipe(folder / RECIPE) | {"name": folder.name}
    found = {name: made for name, path in inputs.items() if (made := artifact.load(path, name))}
    pipeline.open_run(tables, runs=folder.parent, inputs=found).make(pipeline.STAGES[stage])


def leave_with_parent() -> None:
    """Ends this process when standard input is closed."""
    while os.read(0, 1):  # not sys.stdin: holding its lock would keep Python from exiting
        pass
    os._exit(1)


def main(arguments: list[str]) -> None:
    """Trains one trial. Exit codes: 1 a mistake, 130 Ctrl-C."""
    threading.Thread(target=leave_with_parent, daemon=True).start()
    folder, stage, *parents = arguments
    try:
        train(Path(folder), stage, {n: Path(p) for n, _, p in (word.partition("=") for word in parents)})
    except UserError as error:
        print(t(f"Error: {error.en}", f"出错了：{error.zh}"), file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main(sys.argv[1:])
