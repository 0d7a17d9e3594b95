"""The engine: prompts in, text out, many at once. `step` = admit and prefill, or decode one token for all.

Shapes: n active requests, T prompt positions, V vocabulary, S positions in the cache.
Active requests occupy the first n rows of the cache, so that a decoding step works on views.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from yaya.core.machine import Machine
from yaya.core.messages import UserError
from yaya.inference.sampling import Sampling, chooser
from yaya.model.pretrained import load_model
from yaya.model.transformer import KVCache, Transformer, Where
from yaya.tokenize.tokenizer import TextStream, Tokenizer

FinishReason = Literal["stop", "length", "cancelled"]
PREFILL_TOKENS = 4096  # prompt positions, padding included, that one step takes in


@dataclass(eq=False)
class Request:
    """One prompt and what came of it. `text` grows by whole characters and never holds a stop string."""

    input_ids: list[int]
    sampling: Sampling
    room: int  # tokens that may still be generated
    output_ids: list[int] = field(default_factory=list)
    text: str = ""
    finish_reason: FinishReason | None = None


class Engine:
    """Continuous batching over a key/value cache. Not thread-safe: one thread owns it."""

    def __init__(self, model: Transformer, tokenizer: Tokenizer, max_batch: int = 64):
        if model.head.device.type == "xla":  # it would compile for every token anew: a copy on the CPU writes sooner
            on_xla, model = model, Transformer(model.config)
            model.load_state_dict(on_xla.state_dict())
        self.model, self.tokenizer, self.max_batch = model, tokenizer, max_batch
        self.context_length = model.config.max_position_embeddings
        self.device = str(model.head.device)
        self.cache: KVCache | None = None
        self.waiting: deque[Request] = deque()
        self.active: list[Request] = []
        self.lengths: list[int] = []  # tokens in the cache for each active request
        self.writers: dict[Request, _Writer] = {}
        banned = set(tokenizer.unused_ids) | set(range(tokenizer.vocab_size, model.config.vocab_size))
        banned |= {
            i for token, i in tokenizer.control.items() if token.startswith("<|") and i not in tokenizer.stop_ids
        }
        self.bias = torch.zeros(model.config.vocab_size)
        self.bias[sorted(banned)] = float("-inf")

    @classmethod
    def load(cls, folder: Path, runtime: Machine, max_batch: int = 64) -> Engine:
        """The engine of a model folder."""
        return cls(load_model(folder, runtime.device, runtime.torch_dtype), Tokenizer.load(folder), max_batch)

    @property
    def idle(self) -> bool:
        return not self.waiting and not self.active

    def encode(self, text: str) -> list[int]:
        """A document's beginning: what `generate` continues."""
        return [self.tokenizer.end_of_text, *self.tokenizer.encode(text)]

    def add(self, input_ids: Sequence[int], sampling: Sampling) -> Request:
        """Queues a prompt; one that leaves no room for a reply is refused with both numbers."""
        room = self.context_length - len(input_ids)
        if room < 1 or not input_ids:
            raise UserError(
                f"The prompt is {len(input_ids)} tokens long; this model reads at most {self.context_length - 1}.",
                f"输入有 {len(input_ids)} 个 token，而这个模型最多读 {self.context_length - 1} 个。",
            )
        request = Request(list(input_ids), sampling, min(room, sampling.max_new_tokens))
        self.waiting.append(request)
        self.writers[request] = _Writer(self.tokenizer, sampling)
        return request

    @torch.inference_mode()
    def cancel(self, request: Request) -> None:
        if request.finish_reason is None:
            self._finish(request, "cancelled")

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Request]:
        """All prompts to their ends."""
        requests = [self.add(ids, sampling) for ids in prompts]
        self.waiting = deque(
            sorted(self.waiting, key=lambda r: -len(r.input_ids))
        )  # like lengths together: less padding
        while not self.idle:
            self.step()
        return requests

    def stream(
        self, input_ids: Sequence[int], sampling: Sampling, stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[str]:
        """One prompt; yields its text piece by piece. stopped: asked before each step; true ends the reply there."""
        request = self.add(input_ids, sampling)
        sent = 0
        try:
            while request.finish_reason is None and not stopped():
                self.step()
                if len(request.text) > sent:
                    yield request.text[sent:]
                    sent = len(request.text)
        finally:
            self.cancel(request)

    @torch.inference_mode()
    def step(self) -> list[Request]:
        """Takes in waiting prompts where there is room, else decodes one token for all; gives back who advanced."""
        group = self._admit()
        if group:
            scores = self._prefill(group)
        elif self.active:
            group = list(self.active)
            scores = self._decode()
        else:
            return []
        self._choose(group, scores)
        return group

    def _admit(self) -> list[Request]:
        group: list[Request] = []
        longest = 0
        while self.waiting and len(self.active) + len(group) < self.max_batch:
            longest = max(longest, len(self.waiting[0].input_ids))
            if group and longest * (len(group) + 1) > PREFILL_TOKENS:
                break
            group.append(self.waiting.popleft())
        return group

    def _prefill(self, group: list[Request]) -> Tensor:
        """Runs the prompts, padded on the right, into free rows of the cache; scores (n, V) after each prompt's end."""
        first = len(self.active)
        cache = self._grow(first + len(group))
        lengths = torch.tensor([len(r.input_ids) for r in group])
        longest = int(lengths.max())
        ids = torch.zeros(len(group), longest, dtype=torch.int64)
        for row, request in enumerate(group):
            ids[row, : len(request.input_ids)] = torch.tensor(request.input_ids)
        positions = torch.arange(longest).expand(len(group), longest)
        where = self._where(positions, None, cache, first, longest)
        hidden = self.model(ids.to(self.device), where)  # (n, T, D)
        self.active += group
        self.lengths += lengths.tolist()
        return self.model.logits(hidden[torch.arange(len(group)), lengths - 1])

    def _decode(self) -> Tensor:
        """One more token for every active request: scores (n, V)."""
        ids = torch.tensor([[r.output_ids[-1]] for r in self.active])
        positions = torch.tensor(self.lengths)[:, None]
        seen = max(self.lengths) + 1
        # (n, 1, 1, S); a lone request sees all that there is
        mask = None if len(ids) == 1 else (torch.arange(seen) <= positions)[:, None, None]
        where = self._where(positions, mask, self._grow(len(ids)), 0, seen)
        hidden = self.model(ids.to(self.device), where)  # (n, 1, D)
        self.lengths = [length + 1 for length in self.lengths]
        return self.model.logits(hidden[:, 0])

    def _where(self, positions: Tensor, mask: Tensor | None, cache: KVCache, first_row: int, seen: int) -> Where:
        positions = positions.to(self.device)
        where = self.model.where(positions, None if mask is None else mask.to(self.device))
        where.cache, where.first_row, where.positions, where.seen = cache, first_row, positions, seen
        return where

    def _choose(self, group: list[Request], scores: Tensor) -> None:
        scores = scores.cpu() + self.bias
        best = scores.argmax(-1).tolist()
        for row, request in enumerate(group):
            writer, sampling = self.writers[request], request.sampling
            plain = sampling.temperature == 0 and sampling.repetition_penalty == 1
            token = best[row] if plain else writer.choose(scores[row], request.input_ids + request.output_ids)
            if token in self.tokenizer.stop_ids:
                self._finish(request, "stop")
                continue
            request.output_ids.append(token)
            request.text, stopped = writer.push(token)
            if stopped:
                self._finish(request, "stop")
            elif len(request.output_ids) >= request.room:
                self._finish(request, "length")

    def _finish(self, request: Request, reason: FinishReason) -> None:
        request.finish_reason = reason
        request.text = self.writers.pop(request).close()
        if request in self.active:
            self._release(self.active.index(request))
        elif request in self.waiting:
            self.waiting.remove(request)

    def _release(self, row: int) -> None:
        """Frees a row of the cache: the last active request moves into it."""
        last = len(self.active) - 1
        if row != last:
            assert self.cache is not None
            seen = self.lengths[last]
            self.cache.keys[:, row, :, :seen] = self.cache.keys[:, last, :, :seen]
            self.cache.values[:, row, :, :seen] = self.cache.values[:, last, :, :seen]
            self.active[row], self.lengths[row] = self.active[last], self.lengths[last]
        self.active.pop()
        self.lengths.pop()

    def _grow(self, rows: int) -> KVCache:
        """The cache with at least so many rows."""
        old = self.cache
        if old is None or old.keys.shape[1] < rows:
            size = min(self.max_batch, max(rows, 2 * (old.keys.shape[1] if old else 0)))
            self.cache = KVCache(self.model.config, size, self.context_length, self.model.dtype, self.device)
            if old is not None:
                self.cache.keys[:, : old.keys.shape[1]] = old.keys
                self.cache.values[:, : old.values.shape[1]] = old.values
        assert self.cache is not None
        return self.cache


class _Writer:
    """Chooses a request's tokens and writes its text, holding back what may become a stop string."""

    def __init__(self, tokenizer: Tokenizer, sampling: Sampling):
        self.choose = chooser(sampling)
        self.stream = TextStream(tokenizer)
        self.stop = [s for s in sampling.stop if s]
        self.text = ""  # all that was decoded
        self.stopped = False

    def push(self, token: int) -> tuple[str, bool]:
        """(text that is safe to show, whether a stop string came)."""
        self.text += self.stream.push(token)
        return self._cut()

    def close(self) -> str:
        if not self.stopped:
            self.text += self.stream.flush()
            self._cut()
        return self.text

    def _cut(self) -> tuple[str, bool]:
        found = [at for at in (self.text.find(s) for s in self.stop) if at >= 0]
        if found:
            self.text, self.stopped = self.text[: min(found)], True
            return self.text, True
        held = max((n for s in self.stop for n in range(1, len(s)) if self.text.endswith(s[:n])), default=0)
        return self.text[: len(self.text) - held], False
