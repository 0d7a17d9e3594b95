"""yaya's optimizer step on a GPU: tokens/s, share of the GPU's bf16 rate, memory; compiled and not, in one run.

python bench/gpu.py [device=cuda] [width=768] [layers=12] [context=1024] [rows=64] [micro_rows=32] [vocabulary=32768]
                    [documents=300] [steps=20] [peak=989] [rounds=2]

Random tokens in documents of about so many. peak: the card's dense bf16 rate in TFLOP/s (H100 SXM and H200: 989).
For the same job by nanochat: its scripts.base_train with the same depth, width, length and batch, on the same machine.
"""

import statistics
import sys
import time

import numpy as np
import torch

from yaya.core.machine import setup
from yaya.core.recipe import parse_assignment
from yaya.model.decoder import Transformer, initialize
from yaya.model.model_config import ModelConfig
from yaya.tokenize.shards import TokenShard
from yaya.train.loop import train_step
from yaya.train.loop_config import LoopConfig
from yaya.train.objective import LanguageModeling
from yaya.train.optimizer import Optimizer
from yaya.train.packing import DataMixture, PackedDataset

USUAL = {
    "device": "cuda", "width": 768, "layers": 12, "context": 1024, "rows": 64, "micro_rows": 32, "vocabulary": 32768,
    "documents": 300, "steps": 20, "peak": 989, "rounds": 2,
}  # fmt: skip
HEAD, WARM_UP = 64, 5


def objective(keys: dict) -> LanguageModeling:
    """PackedDataset of random tokens."""
    random = np.random.default_rng(0)
    lengths = random.integers(2, 2 * keys["documents"], 40_000_000 // keys["documents"] // 4)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    tokens = random.integers(0, keys["vocabulary"], int(offsets[-1])).astype(np.uint16)
    rows = PackedDataset(TokenShard(tokens, None, offsets), keys["context"], 0)
    return LanguageModeling(DataMixture([(rows, 1.0)]), keys["rows"], keys["micro_rows"])


def main() -> None:
    asked = dict(parse_assignment(word) for word in sys.argv[1:])
    if unknown := asked.keys() - USUAL.keys():
        sys.exit(f"unknown: {', '.join(unknown)}\n{__doc__}")
    keys = USUAL | asked
    machine = setup(keys["device"], "bfloat16")
    width, layers, heads = keys["width"], keys["layers"], keys["width"] // HEAD
    shape = ModelConfig(
        keys["vocabulary"], width, round(width * 8 / 3 / 128) * 128, layers, heads, heads, HEAD, keys["context"]
    )
    goal, tokens = objective(keys), keys["rows"] * keys["context"]
    for _ in range(keys["rounds"]):
        for compiled in (False, True):
            torch._dynamo.reset()
            model = Transformer(shape)
            initialize(model, 0)
            model.dtype = machine.torch_dtype
            model.to(machine.device).compile_layers(compiled)
            config, cursor, times = LoopConfig(steps=keys["steps"]), 0, []
            optimizer = Optimizer(model, config)
            if machine.device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            for _ in range(keys["steps"] + WARM_UP):
                started = time.perf_counter()
                done = train_step(model, goal, optimizer, cursor, config, 1.0)
                if machine.device == "cuda":
                    torch.cuda.synchronize()
                cursor = done.cursor
                times.append(time.perf_counter() - started)
            seconds = statistics.median(times[WARM_UP:])
            weights = model.num_parameters()  # the table of tokens is the head, too
            flops = 6 * weights * tokens + 6 * layers * width * keys["context"] * tokens
            memory = torch.cuda.max_memory_allocated() / 1e9 if machine.device == "cuda" else float("nan")
            print(
                f"{'compiled' if compiled else 'eager':8} {weights / 1e6:.1f}M parameters: {tokens / seconds:,.0f} tokens/s, "
                f"{flops / seconds / 1e12 / keys['peak']:.1%} of {keys['peak']} TFLOP/s, {memory:.1f} GB, "
                f"first step {times[0]:.1f} s, loss {done.row['loss']:.3f}",
                flush=True,
            )  # fmt: skip
            del model, optimizer


if __name__ == "__main__":
    main()
