"""The same fine-tuning with and without augmented copies: loss on held-out answers.

python bench/augmentation.py OUT_FOLDER CHATS.jsonl [small=1000] [steps=150] [methods=...]   (methods: JSON lists, each tried)

The last `small` records are the small data, the rest trains the base model.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

SHAPE = ("hidden_size=128", "num_hidden_layers=4", "context_length=256", "batch_tokens=4096", "seed=0", "dtype=float32")


def yaya(stage: str, *keys: str) -> None:
    subprocess.run([sys.executable, "-m", "yaya", stage, *keys], check=True, env={**os.environ, "YAYA_LANG": "en"})


def held_out_loss(name: str) -> float:
    rows = [json.loads(line) for line in Path(f"runs/{name}/finetune/metrics.jsonl").read_text("utf-8").splitlines()]
    return [row["validation_loss"] for row in rows if "validation_loss" in row][-1]


def main() -> None:
    out, source = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    values = dict(word.split("=", 1) for word in sys.argv[3:])
    small, steps = int(values.get("small", 1000)), values.get("steps", "150")
    tried = json.loads(values.get("methods", '[["phrasings"], ["reorder"], ["swap"], ["delete"]]'))
    lines = [line for line in source.read_text("utf-8").split("\n") if line]
    out.mkdir(parents=True, exist_ok=True)
    (out / "base.jsonl").write_text("\n".join(lines[:-small]), "utf-8")
    (out / "small.jsonl").write_text("\n".join(lines[-small:]), "utf-8")
    os.chdir(out)
    yaya("prepare", "name=base", 'sources=["base.jsonl"]', "near_duplicates=false")
    yaya("tokenize", "name=base")
    yaya("pretrain", "name=base", "steps=400", *SHAPE)
    for methods in [[], *tried]:
        name = "-".join(methods) or "plain"
        copies = "2" if methods else "0"
        keys = (
            f"augment.copies={copies}",
            f"augment.methods={json.dumps(methods or ['reorder'])}",
            "validation_fraction=0.3",
        )
        yaya("prepare", f"name={name}", 'sources=["small.jsonl"]', *keys)
        yaya("tokenize", f"name={name}", "tokenizer_from=runs/base/tokenize")
        yaya("finetune", f"name={name}", "from=base", f"steps={steps}", "batch_tokens=4096", "seed=0", "dtype=float32")
        metrics = json.loads(Path(f"runs/{name}/prepare/manifest.json").read_text("utf-8"))["metrics"]
        print(f"{name}: held-out loss {held_out_loss(name):.4f}, copies {metrics['augmented']}", flush=True)


main()
