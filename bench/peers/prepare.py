"""Turns any text into what each peer reads. Run by the peers' own Python:

PEERS_FOLDER/venv/bin/python bench/peers/prepare.py PEERS_FOLDER TEXT...

TEXT: .txt and .md files, .jsonl files with a field "text", folders of such. The first 40 MB in a random order are taken.
Writes into PEERS_FOLDER: data/ (documents, tokens), nanochat_base/, nanoGPT/data/bench/, stubs/.
"""

import json
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from shape import VOCABULARY
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

BYTES = 40_000_000
PIECE = 8000  # characters of the longest document: novels become many, as in a mixture of web pages
MINIMIND_ROW = 1500  # characters: more than a row of tokens, so that none is padded


def documents(sources: list[str]) -> list[str]:
    paths = [p for s in map(Path, sources) for p in ([s] if s.is_file() else sorted(s.rglob("*")))]
    texts = []
    for path in paths:
        if path.suffix in (".txt", ".md"):
            texts.append(path.read_text("utf-8-sig", errors="replace"))
        elif path.suffix == ".jsonl":
            rows = (json.loads(line) for line in path.read_text("utf-8").split("\n") if line)
            texts += [row["text"] for row in rows if "text" in row]
    pieces = [text[at : at + PIECE] for text in texts for at in range(0, len(text), PIECE)]
    random.Random(0).shuffle(pieces)
    ends = np.cumsum([len(piece.encode()) for piece in pieces])
    return pieces[: int(np.searchsorted(ends, BYTES))]


def token_files(docs: list[str], data: Path, nanogpt: Path) -> None:
    """Byte-level BPE and token ids, token 0 after each document: for transformers, nanoGPT and yaya's bare step."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(docs, trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=["<|endoftext|>"],
                                                     initial_alphabet=alphabet, show_progress=False))  # fmt: skip
    bpe.save(str(data / "bpe.json"))
    ids = np.concatenate([np.array([*e.ids, 0], np.uint16) for e in bpe.encode_batch(docs)])
    cut = len(ids) * 98 // 100
    ids[:cut].tofile(data / "train.bin")
    nanogpt.mkdir(parents=True, exist_ok=True)
    ids[:cut].tofile(nanogpt / "train.bin")
    ids[cut:].tofile(nanogpt / "val.bin")
    (nanogpt / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": VOCABULARY}))
    print(f"{len(docs):,} documents, {len(ids):,} tokens")


def nanochat_files(docs: list[str], folder: Path) -> None:
    """Parquet shards, the last of which is its validation, and its own tokenizer."""
    shards = folder / "nanochat_base" / "base_data_climbmix"
    shards.mkdir(parents=True, exist_ok=True)
    cut = len(docs) * 9 // 10
    for number, part in enumerate((docs[:cut], docs[cut:])):
        pq.write_table(pa.table({"text": part}), shards / f"shard_{number:05}.parquet", row_group_size=512)
    stubs = folder / "stubs"
    stubs.mkdir(exist_ok=True)
    (stubs / "wandb.py").write_text("# Imported by nanochat, used only where a run is logged there.\n")
    env = {**os.environ, "NANOCHAT_BASE_DIR": str(shards.parent), "PYTHONPATH": str(stubs)}
    command = [sys.executable, "-m", "scripts.tok_train", f"--vocab-size={VOCABULARY}"]
    with (folder / "nanochat_base" / "tok_train.log").open("w") as log:
        subprocess.run(command, cwd=folder / "nanochat", env=env, check=True, stdout=log, stderr=log)


def json_lines(rows: list[str], path: Path) -> None:
    path.write_text("".join(json.dumps({"text": row}, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def main() -> None:
    folder, docs = Path(sys.argv[1]).resolve(), documents(sys.argv[2:])
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    token_files(docs, data, folder / "nanoGPT" / "data" / "bench")
    json_lines(docs, data / "documents.jsonl")
    whole = (text[at : at + MINIMIND_ROW] for text in docs for at in range(0, len(text) - MINIMIND_ROW, MINIMIND_ROW))
    json_lines(list(whole), data / "minimind.jsonl")
    nanochat_files(docs, folder)


if __name__ == "__main__":
    main()
