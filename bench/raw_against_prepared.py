"""The same model trained on raw and on prepared text: bits per byte on clean text that neither has seen.

python bench/raw_against_prepared.py OUT_FOLDER CLEAN.txt SOURCE... [steps=600] [preset=web]

Both read the same sources; raw is what the readers give, with every filter and the merging of duplicates off. The same steps, so the
same tokens and nearly the same time.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from yaya.evaluate.tasks import validation_loss
from yaya.model.pretrained import load_model
from yaya.tokenize.shards import TokenShard
from yaya.tokenize.tokenizer import Tokenizer

OFF = ("main_text", "fix_unicode", "unify_line_ends", "remove_zero_width", "remove_control", "tidy_whitespace", "gopher_repetition",
       "gopher_quality", "c4_lines", "c4_quality", "fineweb_quality", "mask_personal", "deduplicate", "near_duplicates", "repeated_lines")  # fmt: skip
SHAPE = ("hidden_size=128", "num_hidden_layers=4", "context_length=256", "batch_tokens=4096", "seed=0", "dtype=float32")


def yaya(stage: str, *keys: str) -> None:
    subprocess.run([sys.executable, "-m", "yaya", stage, *keys], check=True, env={**os.environ, "YAYA_LANG": "en"})


def bits_per_byte(folder: Path, text: str) -> float:
    """Of the whole text under a model folder."""
    tokenizer = Tokenizer.load(folder)
    ids = np.array([tokenizer.end_of_text, *tokenizer.encode(text)], np.int64)
    with torch.inference_mode():
        return validation_loss(load_model(folder), tokenizer, TokenShard(ids, None, np.array([0, len(ids)])), 128)[
            "bits_per_byte"
        ]


def main() -> None:
    out, clean = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).read_text("utf-8")
    values = dict(word.split("=", 1) for word in sys.argv[3:] if "=" in word)
    sources = json.dumps([str(Path(word).resolve()) for word in sys.argv[3:] if "=" not in word])
    out.mkdir(parents=True, exist_ok=True)
    os.chdir(out)
    kinds = {
        "raw": [f"{name}=false" for name in OFF] + ["normal_form=keep", "decontaminate=[]"],
        "prepared": [f"preset={values.get('preset', 'web')}"],
    }
    for name, keys in kinds.items():
        yaya("prepare", f"name={name}", f"sources={sources}", *keys)
        yaya("tokenize", f"name={name}", "vocab_size=4096")  # the same model in both
        yaya("pretrain", f"name={name}", f"steps={values.get('steps', 600)}", *SHAPE)
        manifest = json.loads(Path(f"runs/{name}/pretrain/manifest.json").read_text("utf-8"))
        found = bits_per_byte(Path(f"runs/{name}/pretrain"), clean)
        print(
            f"{name}: {found:.4f} bits per byte on {len(clean.encode()):,} clean bytes, {manifest['metrics']['seconds']:.0f} s of training"
        )


main()
