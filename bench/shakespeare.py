"""Tiny Shakespeare: seconds of training against bits per byte on the last 10% of the text, which no side trains on.

python bench/shakespeare.py yaya tinyshakespeare.txt OUT_FOLDER [minutes=2] [key=value ...]
PEERS_FOLDER/venv/bin/python bench/shakespeare.py nanogpt tinyshakespeare.txt PEERS_FOLDER     (bench/peers/README.md)

nanoGPT: the recipe of its README for a CPU. The text is ASCII, so its characters are bytes. Each model is asked with its
own context: nanoGPT in windows of 64 characters as it trains, yaya with a window that slides.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

RECIPE = ("config/train_shakespeare_char.py --device=cpu --compile=False --eval_iters=20 --log_interval=100 --block_size=64 "
          "--batch_size=12 --n_layer=4 --n_head=4 --n_embd=128 --max_iters=2000 --lr_decay_iters=2000 --dropout=0.0")  # fmt: skip


def yaya(text: Path, out: Path, keys: list[str]) -> None:
    """`yaya run` with its defaults; it cuts the last 10% of a single text off to the character where nanoGPT does."""
    shutil.rmtree(out / "runs" / "shakespeare", ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    settings = ["name=shakespeare", f"prepare.sources={json.dumps([str(text)])}", "minutes=2", *keys]
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "yaya", "run", *settings], cwd=out, check=True)
    whole = time.perf_counter() - started
    run = out / "runs" / "shakespeare"
    rows = [json.loads(line) for line in (run / "pretrain" / "metrics.jsonl").read_text("utf-8").splitlines()]
    print("seconds of training | steps | bits per byte, first rows of the last 10%")
    for row in rows:
        if "bits_per_byte" in row:
            print(f"{row['seconds']:19.1f} | {row['step']:5} | {row['bits_per_byte']:.3f}")
    scores = json.loads((run / "evaluate" / "scores.json").read_text("utf-8"))
    print(f"yaya: {rows[-1]['seconds']:.1f} s of training, {whole:.1f} s in all: "
          f"{scores['bits_per_byte']:.3f} bits per byte on all {scores['bytes']:,} bytes")  # fmt: skip


def nanogpt(text: Path, peers: Path) -> None:
    home = peers / "nanoGPT"
    data = home / "data" / "shakespeare_char"
    shutil.copy(text, data / "input.txt")
    subprocess.run([sys.executable, str(data / "prepare.py")], check=True, stdout=subprocess.DEVNULL)
    started = time.perf_counter()
    subprocess.run([sys.executable, "train.py", *RECIPE.split()], cwd=home, check=True)
    whole = time.perf_counter() - started
    step, loss, size = nanogpt_loss(home, data / "val.bin")
    print(f"nanoGPT: {whole:.1f} s in all, checkpoint of step {step}: "
          f"{loss / math.log(2):.3f} bits per byte on {size:,} bytes")  # fmt: skip


def nanogpt_loss(home: Path, validation: Path) -> tuple[int, float, int]:
    """(step, nats a character, characters) of the checkpoint; its own estimate takes a few random windows."""
    import numpy as np
    import torch

    sys.path.insert(0, str(home))
    from model import GPT, GPTConfig

    saved = torch.load(home / "out-shakespeare-char" / "ckpt.pt", weights_only=True)
    model = GPT(GPTConfig(**saved["model_args"]))
    model.load_state_dict(saved["model"])
    model.eval()
    ids = torch.from_numpy(np.fromfile(validation, np.uint16).astype(np.int64))
    length = saved["model_args"]["block_size"]
    rows = (len(ids) - 1) // length  # a rest shorter than a window is left out
    inputs, labels = (ids[at : at + rows * length].view(rows, length) for at in (0, 1))
    with torch.no_grad():
        parts = zip(inputs.split(64), labels.split(64), strict=True)
        total = sum(model(x, y)[1].item() * y.numel() for x, y in parts)
    return saved["iter_num"], total / labels.numel(), labels.numel()


def main() -> None:
    if len(sys.argv) < 4 or sys.argv[1] not in ("yaya", "nanogpt"):
        sys.exit(__doc__)
    text, folder = Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve()
    os.environ["YAYA_LANG"] = "en"
    if sys.argv[1] == "yaya":
        yaya(text, folder, sys.argv[4:])
    else:
        nanogpt(text, folder)


if __name__ == "__main__":
    main()
