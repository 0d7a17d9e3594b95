"""The planner's memory estimate beside the measured peak of a training process, over sizes, batches and optimizers.

python bench/memory.py FOLDER_OF_A_RUN_WITH_tokenize [--quick]

Each training is a process of its own that takes six steps; its peak is what the kernel counts from the beginning of training on.
"""

import json
import subprocess
import sys
from pathlib import Path

CASES = [
    # hidden_size, layers, context, micro-batch, batch, optimizer, dtype
    (64, 3, 256, 2048, 2048, "muon", "float32"),
    (128, 4, 256, 2048, 2048, "muon", "float32"),
    (128, 4, 256, 8192, 8192, "muon", "float32"),
    (256, 6, 256, 8192, 8192, "muon", "float32"),
    (256, 6, 256, 8192, 16384, "adamw", "float32"),
    (384, 8, 256, 4096, 8192, "muon", "float32"),
    (384, 6, 1024, 8192, 8192, "muon", "float32"),
    (128, 4, 256, 8192, 8192, "muon", "bfloat16"),
    (384, 6, 256, 8192, 8192, "muon", "bfloat16"),
    (384, 6, 1024, 8192, 16384, "muon", "bfloat16"),
    (512, 10, 256, 8192, 8192, "muon", "bfloat16"),
]
CODE = """
import sys, json
from yaya import pipeline
job = pipeline.open_run(json.loads(sys.argv[1]))
made = job.make(pipeline.STAGES["pretrain"])
print(json.dumps([made.metrics["expected_memory_gb"], made.metrics["peak_memory_gb"], made.metrics["parameters"]]))
"""


def main() -> None:
    run = Path(sys.argv[1]).resolve()
    worst = 0.0
    for width, layers, context, micro, batch, optimizer, dtype in CASES[:: 4 if "--quick" in sys.argv else 1]:
        keys = {
            "hidden_size": width,
            "num_hidden_layers": layers,
            "context_length": context,
            "steps": 6,
            "samples": 0,
            "evaluations": 1,
        }
        keys |= {"micro_batch_tokens": micro, "batch_tokens": batch, "optimizer": optimizer, "save_steps": 2}
        recipe = {"name": "memory", "from": run.name, "overwrite": True, "dtype": dtype, "pretrain": keys}
        done = subprocess.run(
            [sys.executable, "-c", CODE, json.dumps(recipe)],
            cwd=run.parents[1],
            capture_output=True,
            text=True,
            check=True,
        )
        expected, peak, parameters = json.loads(done.stdout.splitlines()[-1])
        worst = max(worst, abs(expected / peak - 1))
        print(f"{parameters / 1e6:5.1f}M {width}x{layers} T={context} {micro}/{batch} {optimizer} {dtype}: expected {expected:.3f}, peak {peak:.3f} GB, {expected / peak - 1:+.1%}", flush=True)  # fmt: skip
    print(f"worst {worst:.1%}")


main()
