"""The tokenize stage.

Reads: `prepare/` (documents and conversations).
Does: trains a tokenizer on a limited sample, or adopts an existing one; encodes both splits.
Writes: the tokenizer's files and, per split and kind, token shards (`train.text.*`, `train.chat.*`, `validation.*`):
`.tokens` (ids, little-endian uint16 or uint32), `.roles` (uint8, chat only), `.offsets` (int64: document boundaries).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from yaya.core.artifact import Draft
from yaya.core.config import key
from yaya.core.files import file_digest
from yaya.core.messages import UserError, say, t
from yaya.core.progress import Bar
from yaya.core.source_names import is_primer
from yaya.core.stage import Inputs, RunContext, Stage
from yaya.tokenize import chat_template
from yaya.tokenize.tokenizer import Tokenizer, train

KIND = "tokenize"
SPLITS = ("train", "validation")
BATCH = 2048


@dataclass(frozen=True)
class TokenizeConfig:
    vocab_size: int | None = key(
        None,
        "vocabulary size (auto: 2,048 for the primer, else 1,024 to 8,192 by amount of text)",
        "词表大小（自动：启蒙课本 2048，其他按文本量 1024 到 8192）",
        least=300,
    )
    han_run: int | None = key(
        None,
        "maximum Han characters per token (auto: 1 for the primer, else 4)",
        "一个 token 最多几个汉字（自动：启蒙课本 1，其他 4）",
        least=0,
    )
    sample_bytes: int = key(
        50_000_000,
        "train the tokenizer on at most this many bytes of text",
        "训练分词器最多用多少字节的文本",
        least=1000,
    )
    tokenizer_from: str | None = key(None, "use the tokenizer of this model folder", "直接用这个模型文件夹里的分词器")


def resolve(config: TokenizeConfig, inputs: Inputs) -> TokenizeConfig:
    """Fills in what is left to the run: the vocabulary size and the limit on Han characters."""
    primer = is_primer(inputs["prepare"].config.get("sources"))
    if config.vocab_size is None:
        size = sum(path.stat().st_size for split in SPLITS for path in corpus_files(inputs["prepare"].path, split))
        # About one token for each 2 KB of (compressed) text: rarer ones would never be learned. More than 8,192 would
        # cost a small model more than all its layers.
        by_size = 2 ** int(np.clip(np.log2(max(size, 1) / 2048 + 1) + 1, 10, 13))
        config = replace(config, vocab_size=2048 if primer else by_size)
    return replace(config, han_run=(1 if primer else 4)) if config.han_run is None else config


def external(config: TokenizeConfig) -> dict[str, str]:
    """The adopted tokenizer, by content: a different one at the same path makes different tokens."""
    if not config.tokenizer_from:
        return {}
    path = Path(config.tokenizer_from) / "tokenizer.json"
    return {"tokenizer": file_digest(path)} if path.is_file() else {}  # loading it reports what is wrong


def run(config: TokenizeConfig, inputs: Inputs, draft: Draft, context: RunContext) -> None:
    """Trains or adopts the tokenizer and encodes both splits into `draft`; UserError if it cannot be adopted."""
    corpus = inputs["prepare"].path
    if config.tokenizer_from:
        try:
            tokenizer = Tokenizer.load(Path(config.tokenizer_from))
        except UserError as error:
            key = "tokenize.tokenizer_from"
            raise UserError(f"{key}: {error.en}", f"{key}：{error.zh}") from None
    else:
        assert config.vocab_size is not None and config.han_run is not None
        say(
            f"[tokenize] training a tokenizer with {config.vocab_size:,} tokens ...",
            f"[tokenize] 正在训练词表为 {config.vocab_size:,} 的分词器……",
        )
        texts = _sample(corpus_files(corpus, "train"), config.sample_bytes)
        tokenizer = train(texts, config.vocab_size, config.han_run)
    tokenizer.save(draft.path, 1 << 20)
    for split in SPLITS:
        draft.metrics[split] = encode_split(tokenizer, corpus_files(corpus, split), draft.path, split)
    kinds = draft.metrics["train"]
    tokens, size = sum(k["tokens"] for k in kinds.values()), sum(k["bytes"] for k in kinds.values())
    draft.metrics |= {
        "vocab_size": tokenizer.vocab_size,
        "tokens": tokens,
        "bytes_per_token": round(size / max(tokens, 1), 3),
    }
    en = zh = ""
    if not config.tokenizer_from and tokenizer.vocab_size < (config.vocab_size or 0):  # nothing left to merge
        en = f" (not {config.vocab_size:,}: every word of the text is already one token)"
        zh = f"（不到 {config.vocab_size:,}：文本里的每个词都已经是一个 token，没有可再合并的了）"
    say(
        f"[tokenize] {tokenizer.vocab_size:,} tokens in the vocabulary{en}; {tokens:,} tokens to train on, {size / max(tokens, 1):.2f} bytes each.",
        f"[tokenize] 词表 {tokenizer.vocab_size:,}{zh}；训练用 {tokens:,} 个 token，平均每个 {size / max(tokens, 1):.2f} 字节。",
    )


def corpus_files(folder: Path, split: str) -> list[Path]:
    """The Parquet files of one split of a corpus, in order."""
    return sorted(folder.glob(f"{split}-*.parquet"))


def _sample(paths: list[Path], limit: int) -> Iterator[str]:
    """Texts of evenly spaced documents up to `limit` bytes, and the roles' names, so that each is one token."""
    files = [pq.ParquetFile(path) for path in paths]
    sizes = [[file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups)] for file in files]
    share = min(1.0, limit / max(sum(map(sum, sizes)), 1))
    yield from (f"{role}\n" for role in ("system", "user", "assistant") for _ in range(5000))
    for file, groups in zip(files, sizes, strict=True):
        for group, group_size in enumerate(groups):
            room = int(share * group_size) + 1
            for row in file.read_row_group(group, columns=["kind", "text", "messages"]).to_pylist():
                for text in [row["text"]] if row["kind"] == "text" else [m["content"] for m in row["messages"]]:
                    text = text[: max(room, 0)]
                    room -= len(text.encode())
                    yield text
                if room <= 0:
                    break


class ShardWriter:
    """Appends documents to one shard's files."""

    def __init__(self, stem: Path, dtype: np.dtype, with_roles: bool):
        self.stem, self.dtype = stem, dtype
        self.tokens = open(f"{stem}.tokens", "wb")  # noqa: SIM115 - closed in `close`
        self.roles = open(f"{stem}.roles", "wb") if with_roles else None  # noqa: SIM115
        self.offsets = [0]

    def add(self, ids: list[int], roles: list[int] | None) -> None:
        self.tokens.write(np.asarray(ids, self.dtype).tobytes())
        if self.roles is not None:
            self.roles.write(bytes(roles or ()))
        self.offsets.append(self.offsets[-1] + len(ids))

    def close(self) -> None:
        self.tokens.close()
        if self.roles is not None:
            self.roles.close()
        np.asarray(self.offsets, "<i8").tofile(f"{self.stem}.offsets")


def encode_split(tokenizer: Tokenizer, paths: list[Path], out: Path, split: str) -> dict[str, dict[str, int]]:
    """Encodes one split into `out`; per kind the numbers of documents, tokens and bytes of UTF-8 text."""
    dtype = np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")
    writers = {kind: ShardWriter(out / f"{split}.{kind}", dtype, kind == "chat") for kind in ("text", "chat")}
    counts = {kind: {"documents": 0, "tokens": 0, "bytes": 0} for kind in writers}
    files = [pq.ParquetFile(path) for path in paths]
    batches = (batch for file in files for batch in file.iter_batches(BATCH, columns=["kind", "text", "messages"]))
    with Bar(f"tokenize {split}", sum(file.metadata.num_rows for file in files), t("documents", "篇")) as bar:
        for batch in batches:
            rows = batch.to_pylist()
            texts = [r["text"] for r in rows if r["kind"] == "text"]
            chats = [r["messages"] for r in rows if r["kind"] == "chat"]
            for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True):
                writers["text"].add([tokenizer.end_of_text, *ids, tokenizer.end_of_text], None)
                counts["text"]["bytes"] += len(text.encode())
            for messages, (ids, roles) in zip(chats, chat_template.render_batch(tokenizer, chats), strict=True):
                writers["chat"].add(ids, roles)
                counts["chat"]["bytes"] += sum(len(m["content"].encode()) for m in messages)
            bar.advance(len(rows))
    for kind, writer in writers.items():
        writer.close()
        counts[kind] |= {"documents": len(writer.offsets) - 1, "tokens": writer.offsets[-1]}
    return counts


@dataclass(frozen=True)
class TokenShard:
    """One split and kind, memory-mapped: `tokens[offsets[i]:offsets[i + 1]]` is document i."""

    tokens: np.ndarray
    roles: np.ndarray | None
    offsets: np.ndarray

    @property
    def documents(self) -> int:
        return len(self.offsets) - 1

    def document(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        """(ids as int64, role codes) of one document; None for the roles of a text."""
        here = slice(*self.offsets[number : number + 2])
        return self.tokens[here].astype(np.int64), None if self.roles is None else self.roles[here]


def open_shard(folder: Path, split: str, kind: str, vocab_size: int) -> TokenShard:
    """A shard of a finished tokenize stage."""

    def read(name: str, dtype: str) -> np.ndarray:
        path = folder / f"{split}.{kind}.{name}"
        return np.memmap(path, dtype, "r") if path.stat().st_size else np.zeros(0, dtype)

    tokens = read("tokens", "<u2" if vocab_size <= 1 << 16 else "<u4")
    roles = read("roles", "u1") if kind == "chat" else None
    return TokenShard(tokens, roles, np.fromfile(folder / f"{split}.{kind}.offsets", "<i8"))


def open_shards(folder: Path, split: str, vocab_size: int) -> dict[str, TokenShard]:
    """Text and chat of one split."""
    return {kind: open_shard(folder, split, kind, vocab_size) for kind in ("text", "chat")}


STAGE = Stage(KIND, TokenizeConfig, run, reads=("prepare",), resolve=resolve, external=external)
