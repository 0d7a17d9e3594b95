"""transformers' Trainer with GPT-2, as its documentation has it, in bf16. Run by the peers' own Python:

python bench/peers/hf.py PEERS_FOLDER STEPS [compile]
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from shape import HEAD, LAYERS, LENGTH, ROWS, VOCABULARY, WIDTH
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments


class Rows(torch.utils.data.Dataset):
    def __init__(self, path: Path):
        self.tokens = np.memmap(path, np.uint16, "r")

    def __len__(self) -> int:
        return len(self.tokens) // LENGTH

    def __getitem__(self, row: int) -> dict:
        ids = torch.from_numpy(self.tokens[row * LENGTH : (row + 1) * LENGTH].astype(np.int64))
        return {"input_ids": ids, "labels": ids}


class Clock(TrainerCallback):
    """A step lasts from the end of the one before, so that loading its rows counts."""

    last = time.perf_counter()

    def on_step_end(self, *_, **__) -> None:
        now = time.perf_counter()
        print(f"step {(now - self.last) * 1000:.1f} ms", flush=True)
        self.last = now


def main() -> None:
    folder, steps = Path(sys.argv[1]), int(sys.argv[2])
    dropout = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_positions=LENGTH, n_embd=WIDTH, n_layer=LAYERS,
                                       n_head=WIDTH // HEAD, bos_token_id=0, eos_token_id=0, **dropout))  # fmt: skip
    print(f"parameters: {model.num_parameters():,}")
    arguments = TrainingArguments(output_dir=str(folder / "hf_out"), per_device_train_batch_size=ROWS, max_steps=steps,
                                  use_cpu=True, bf16=True, torch_compile="compile" in sys.argv[3:], report_to=[],
                                  save_strategy="no", disable_tqdm=True)  # fmt: skip
    Trainer(model, arguments, train_dataset=Rows(folder / "data" / "train.bin"), callbacks=[Clock()]).train()


if __name__ == "__main__":
    main()
