"""yaya's optimizer step alone, without command, stage and log:

python bench/peers/yaya_step.py PEERS_FOLDER STEPS
"""

import sys
import time
from pathlib import Path

import numpy as np
from shape import FEED_FORWARD, HEAD, LAYERS, LENGTH, ROWS, VOCABULARY, WIDTH

from yaya.core.machine import setup
from yaya.model.decoder import Transformer, initialize
from yaya.model.model_config import ModelConfig
from yaya.tokenize.shards import TokenShard
from yaya.train.loop import train_step
from yaya.train.loop_config import LoopConfig
from yaya.train.objective import LanguageModeling
from yaya.train.optimizer import Optimizer
from yaya.train.packing import DataMixture, PackedDataset


def main() -> None:
    folder, steps = Path(sys.argv[1]), int(sys.argv[2])
    machine = setup("cpu", "bfloat16")
    heads = WIDTH // HEAD
    model = Transformer(ModelConfig(VOCABULARY, WIDTH, FEED_FORWARD, LAYERS, heads, heads, HEAD, LENGTH))
    initialize(model, 0)
    model.dtype = machine.torch_dtype
    print(f"parameters: {model.num_parameters():,}")
    tokens = np.memmap(folder / "data" / "train.bin", np.uint16, "r")
    documents = TokenShard(tokens, None, np.concatenate([[0], np.flatnonzero(tokens == 0) + 1]))
    goal = LanguageModeling(DataMixture([(PackedDataset(documents, LENGTH, 0), 1.0)]), ROWS, ROWS)
    config, cursor = LoopConfig(), 0
    optimizer = Optimizer(model, config)
    for step in range(steps):
        started = time.perf_counter()
        done = train_step(model, goal, optimizer, cursor, config, min(1.0, (step + 1) / 30))
        cursor = done.cursor
        print(f"step {(time.perf_counter() - started) * 1000:.1f} ms, loss {done.row['loss']:.3f}", flush=True)


if __name__ == "__main__":
    main()
