"""A byte-level BPE tokenizer: trained here or loaded from a Hugging Face folder.

Text is encoded by a copy of the tokenizer without control tokens, so `<|im_end|>` typed by a user
becomes seven harmless pieces of text; control tokens are added by id.
"""

from __future__ import annotations

import codecs
import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

from yaya.core.messages import UserError, program

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CONTROL_TOKENS = (
    END_OF_TEXT,
    TURN_START,
    TURN_END,
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    *(f"<|spare_{i}|>" for i in range(16)),
)
# Qwen2's pre-tokenisation pattern to the letter: llama.cpp, Ollama and vLLM recognise it (digits are single).
QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Tokenizer:
    """Encodes text without ever reading control tokens out of it; decodes to whole characters."""

    def __init__(self, definition: str):
        self.definition = definition
        self.full = tokenizers.Tokenizer.from_str(definition)
        plain = json.loads(definition)
        self.control = {token["content"]: token["id"] for token in plain["added_tokens"]}
        plain["added_tokens"] = []
        plain["post_processor"] = None  # no token is ever added implicitly
        self._text = tokenizers.Tokenizer.from_str(json.dumps(plain))

    @classmethod
    def load(cls, folder: Path) -> Tokenizer:
        """The tokenizer of a model folder or of a finished tokenize stage; UserError if it is missing or damaged."""
        path = folder / "tokenizer.json"
        try:
            definition = path.read_text("utf-8")
        except FileNotFoundError:
            raise UserError(f"{folder} has no tokenizer.json.", f"{folder} 里没有 tokenizer.json。") from None
        try:
            loaded = cls(definition)
        except Exception:  # the tokenizers library raises nothing narrower
            raise UserError(f"{path} is damaged or not a tokenizer.", f"{path} 已损坏，或不是分词器。") from None
        for token in (END_OF_TEXT, TURN_START, TURN_END):
            if token not in loaded.control:
                raise UserError(
                    f"{path} has no {token}: only tokenizers with the ChatML tokens are supported so far.",
                    f"{path} 里没有 {token}：目前只支持带 ChatML 控制符的分词器。",
                )
        return loaded

    def save(self, folder: Path, context_length: int) -> None:
        """The three tokenizer files of a Hugging Face model folder."""
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": TURN_END,
            "pad_token": END_OF_TEXT,
            "model_max_length": context_length,
            "clean_up_tokenization_spaces": False,
        }
        (folder / "tokenizer.json").write_text(self.definition, "utf-8")
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1), "utf-8")
        (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, "utf-8")

    @property
    def vocab_size(self) -> int:
        """Ids from 0 up to here, control tokens included."""
        return max(self.full.get_vocab(with_added_tokens=True).values()) + 1

    @cached_property
    def end_of_text(self) -> int:
        return self.control[END_OF_TEXT]

    @cached_property
    def turn_end(self) -> int:
        return self.control[TURN_END]

    @cached_property
    def turn_start(self) -> int:
        return self.control[TURN_START]

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids that end a reply."""
        return (self.turn_end, self.end_of_text)

    @cached_property
    def unused_ids(self) -> list[int]:
        """Ids below `vocab_size` that no token has."""
        return sorted(set(range(self.vocab_size)) - set(self.full.get_vocab(with_added_tokens=True).values()))

    def encode(self, text: str) -> list[int]:
        return self._text.encode(text, add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [e.ids for e in self._text.encode_batch_fast(texts, add_special_tokens=False)]

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids, and for each its character span (start, end)."""
        encoding = self._text.encode(text, add_special_tokens=False)
        return encoding.ids, encoding.offsets

    @cached_property
    def token_bytes(self) -> list[bytes]:
        """The bytes of each id; empty for control tokens and unused ids."""
        byte_of = {char: byte for byte, char in _byte_to_char().items()}
        table = [b""] * self.vocab_size
        for token, index in self.full.get_vocab(with_added_tokens=True).items():
            if token not in self.control:
                table[index] = bytes(byte_of[c] for c in token) if all(c in byte_of for c in token) else token.encode()
        return table

    def decode(self, ids: Iterable[int]) -> str:
        """The text; control tokens are skipped, broken characters become U+FFFD."""
        return b"".join(self.token_bytes[i] for i in ids).decode("utf-8", "replace")


class TextStream:
    """Turns ids into text as they arrive; an incomplete character waits for its remaining bytes."""

    def __init__(self, tokenizer: Tokenizer):
        self.table = tokenizer.token_bytes
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int, final: bool = False) -> str:
        return self.decoder.decode(self.table[token_id], final)

    def flush(self) -> str:
        return self.decoder.decode(b"", True)


def _byte_to_char() -> dict[int, str]:
    """The printable character that byte-level BPE writes for each byte (GPT-2's table)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    return {b: chr(b) for b in shown} | {b: chr(256 + i) for i, b in enumerate(hidden)}


def train(texts: Iterator[str], vocab_size: int, han_run: int = 4) -> Tokenizer:
    """A byte-level BPE tokenizer with Qwen2's pattern when deployed.

    han_run: merges are learned within runs of at most this many Han characters (0: no limit). Longer merges
    glue whole phrases into one token, which a small model then has to learn one by one.
    """
    split = [pre_tokenizers.Split(Regex(QWEN2_PATTERN), "isolated")]
    byte_level: Any = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    # A cut before a Han run also separates it from a preceding space or quotation mark.
    cuts = [pre_tokenizers.Split(Regex(rf"\p{{Han}}{{1,{han_run}}}"), "isolated")] if han_run else []
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*split, *cuts, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*split, byte_level])
    return Tokenizer(tokenizer.to_str(pretty=True))


def shared(data: Path, model: Path) -> Tokenizer:
    """The tokenizer shared by a tokenize stage and a model's folder; UserError if they differ, since ids would differ, too."""
    found = Tokenizer.load(data)
    if found.token_bytes != Tokenizer.load(model).token_bytes:
        again = f"{program()} {shlex.join(['tokenize', f'name={data.parent.name}', f'tokenizer_from={model}'])}"
        raise UserError(
            f"{model} was trained with a different tokenizer from that of {data}. Tokenize with the model's own: {again}",
            f"{model} 训练时用的分词器和 {data} 的不同。请用模型自己的分词器：{again}",
        )
    return found
