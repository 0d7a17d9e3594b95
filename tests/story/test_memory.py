"""The memory that is planned against what a training takes, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import with_base

TRAINING = """
import json, resource, sys, psutil
from yaya import pipeline
job = pipeline.open_run(json.loads(sys.argv[1]))
job.measured()
before = psutil.Process().memory_info().rss
made = job.make(pipeline.STAGES["pretrain"])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"before": before / 1e9, "peak": peak / 1e9, "told": made.metrics["expected_memory_gb"]}))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows counts no peak for `resource`")
def test_memory_is_as_planned(own_run: Path, tmp_path: Path) -> None:
    """What a training adds to a process, as the system counts it, beside what the plan and the manifest say."""
    keys = {"hidden_size": 256, "num_hidden_layers": 4, "context_length": 128, "samples": 0, "evaluations": 1}
    keys |= {"batch_tokens": 4096, "micro_batch_tokens": 4096, "steps": 2, "save_steps": 1}
    recipe = {"name": "large", "from": "base", "dtype": "float32", "threads": 1, "pretrain": keys}
    command = [sys.executable, "-c", TRAINING, json.dumps(recipe)]
    done = subprocess.run(command, cwd=with_base(own_run, tmp_path), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    plan = json.loads((tmp_path / "runs" / "large" / "pretrain" / "plan.json").read_text("utf-8"))
    needed = found["peak"] - found["before"]
    assert needed > 0.3, "too little to tell it from the program itself"
    for told in (found["told"], plan["memory_gb"]):
        assert told - found["before"] == pytest.approx(needed, rel=0.25)
