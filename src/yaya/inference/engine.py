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
from yaya.inference.sampling import SamplingParams, make_sampler
from yaya.model.attention import AttentionContext, CacheSlots, KVCache
from yaya.model.decoder import Transformer
from yaya.model.pretrained import load_model
from yaya.tokenize.tokenizer import TextStream, Tokenizer

FinishReason = Literal["stop", "length", "cancelled"]
PREFILL_TOKENS = 4096  # prompt positions, padding included, that one step takes in


@dataclass(eq=False)
class Request:
    """One prompt and what came of it. `text` grows by whole characters and never holds a stop string."""

    input_ids: list[int]
    sampling: SamplingParams
    limit: int  # tokens that may be generated
    output_ids: list[int] = field(default_factory=list)
    text: str = ""
    finish_reason: FinishReason | None = None


class Engine:
    """Continuous batching over a key/value cache. Not thread-safe: one thread owns it.

    `add` prompts and call `step` until `idle`; `generate` and `stream` do so themselves.
    """

    def __init__(self, model: Transformer, tokenizer: Tokenizer, max_batch: int = 64):
        if model.head.device.type == "xla":  # it would recompile for every token: a copy on the CPU is faster
            on_xla, model = model, Transformer(model.config)
            model.load_state_dict(on_xla.state_dict())
        self.model, self.tokenizer, self.max_batch = model, tokenizer, max_batch
        self.context_length = model.config.max_position_embeddings
        self.device = str(model.head.device)
        self.cache: KVCache | None = None
        self.waiting: deque[Request] = deque()
        self.active: list[Request] = []
        self.lengths: list[int] = []  # tokens in the cache for each active request
        self.replies: dict[Request, _Reply] = {}  # of the requests that have not ended
        banned = {*tokenizer.unused_ids, *range(tokenizer.vocab_size, model.config.vocab_size)}
        banned |= {i for token, i in tokenizer.control.items() if token.startswith("<|")} - {*tokenizer.stop_ids}
        self.bias = torch.zeros(model.config.vocab_size)
        self.bias[sorted(banned)] = float("-inf")

    @classmethod
    def load(cls, folder: Path, machine: Machine, max_batch: int = 64) -> Engine:
        """The engine of a model folder, on this machine. Raises as `load_model` does."""
        return cls(load_model(folder, machine.device, machine.torch_dtype), Tokenizer.load(folder), max_batch)

    @property
    def idle(self) -> bool:
        return not self.waiting and not self.active

    def encode(self, text: str) -> list[int]:
        """The ids of a document's beginning, which `generate` continues."""
        return [self.tokenizer.end_of_text, *self.tokenizer.encode(text)]

    def add(self, input_ids: Sequence[int], sampling: SamplingParams) -> Request:
        """Queues a prompt. One that leaves no room for a reply is a `UserError` with both numbers."""
        room = self.context_length - len(input_ids)
        if room < 1 or not input_ids:
            raise UserError(
                f"The prompt is {len(input_ids)} tokens long; this model reads at most {self.context_length - 1}.",
                f"输入有 {len(input_ids)} 个 token，而这个模型最多读 {self.context_length - 1} 个。",
            )
        request = Request(list(input_ids), sampling, min(room, sampling.max_new_tokens))
        self.waiting.append(request)
        self.replies[request] = _Reply(self.tokenizer, sampling)
        return request

    @torch.inference_mode()
    def cancel(self, request: Request) -> None:
        if request.finish_reason is None:
            self._finish(request, "cancelled")

    def generate(self, prompts: Sequence[Sequence[int]], sampling: SamplingParams) -> list[Request]:
        """Runs all prompts to completion; returns their requests in the prompts' order. Raises as `add` does."""
        requests = [self.add(ids, sampling) for ids in prompts]
        # Like lengths together: less padding
        self.waiting = deque(sorted(self.waiting, key=lambda r: -len(r.input_ids)))
        while not self.idle:
            self.step()
        return requests

    def stream(
        self, input_ids: Sequence[int], sampling: SamplingParams, stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[str]:
        """One prompt; yields its text piece by piece, until `stopped()` is true before a step. Raises as `add` does."""
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
        """Admits waiting prompts if there is room, else decodes one token for all; returns the requests that advanced."""
        group = self._admit()
        if group:
            scores = self._prefill(group)
        elif self.active:
            group = list(self.active)
            scores = self._decode()
        else:
            return []
        self._sample(group, scores)
        return group

    def _admit(self) -> list[Request]:
        """The waiting requests to admit now: as many as there are free rows, or as fit into one prefill."""
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
        cache = self._reserve(first + len(group))
        lengths = torch.tensor([len(r.input_ids) for r in group])
        longest = int(lengths.max())
        ids = torch.zeros(len(group), longest, dtype=torch.int64)
        for row, request in enumerate(group):
            ids[row, : len(request.input_ids)] = torch.tensor(request.input_ids)
        positions = torch.arange(longest).expand(len(group), longest)
        hidden = self.model(ids.to(self.device), self._context(positions, None, cache, first, longest))  # (n, T, D)
        self.active += group
        self.lengths += lengths.tolist()
        return self.model.logits(hidden[torch.arange(len(group)), lengths - 1])

    def _decode(self) -> Tensor:
        """One more token for every active request: scores (n, V)."""
        ids = torch.tensor([[r.output_ids[-1]] for r in self.active])
        positions = torch.tensor(self.lengths)[:, None]
        seen = max(self.lengths) + 1
        # (n, 1, 1, S); a lone request sees all that there is
        visible = None if len(ids) == 1 else (torch.arange(seen) <= positions)[:, None, None]
        context = self._context(positions, visible, self._reserve(len(ids)), 0, seen)
        hidden = self.model(ids.to(self.device), context)  # (n, 1, D)
        self.lengths = [length + 1 for length in self.lengths]
        return self.model.logits(hidden[:, 0])

    def _context(
        self, positions: Tensor, visible: Tensor | None, cache: KVCache, first_row: int, length: int
    ) -> AttentionContext:
        positions = positions.to(self.device)
        visible = None if visible is None else visible.to(self.device)
        slots = CacheSlots(cache, first_row, positions, length)
        return self.model.attention_context(positions, visible=visible, cache=slots)

    def _sample(self, group: list[Request], scores: Tensor) -> None:
        """Appends a token to each of these requests, or ends it. scores (n, V) fp32."""
        scores = scores.cpu() + self.bias
        best = scores.argmax(-1).tolist()
        for row, request in enumerate(group):
            reply, sampling = self.replies[request], request.sampling
            plain = sampling.temperature == 0 and sampling.repetition_penalty == 1
            token = best[row] if plain else reply.sample(scores[row], request.input_ids + request.output_ids)
            if token in self.tokenizer.stop_ids:
                self._finish(request, "stop")
                continue
            request.output_ids.append(token)
            request.text, stopped = reply.push(token)
            if stopped:
                self._finish(request, "stop")
            elif len(request.output_ids) >= request.limit:
                self._finish(request, "length")

    def _finish(self, request: Request, reason: FinishReason) -> None:
        request.finish_reason = reason
        request.text = self.replies.pop(request).close()
        if request in self.active:
            self._release(self.active.index(request))
        elif request in self.waiting:
            self.waiting.remove(request)

    def _release(self, row: int) -> None:
        """Frees a row of the cache: the last active request moves into it."""
        last = len(self.active) - 1
        if row != last:
            assert self.cache is not None
            self.cache.copy_rows(self.cache, slice(last, last + 1), slice(row, row + 1), self.lengths[last])
            self.active[row], self.lengths[row] = self.active[last], self.lengths[last]
        self.active.pop()
        self.lengths.pop()

    def _reserve(self, rows: int) -> KVCache:
        """Grows the cache to at least this many rows."""
        old = self.cache
        if old is None or old.rows < rows:
            size = min(self.max_batch, max(rows, 2 * old.rows if old else 0))
            self.cache = KVCache(self.model.config, size, self.context_length, self.model.dtype, self.device)
            if old is not None:
                self.cache.copy_rows(old, slice(old.rows), slice(old.rows), self.context_length)
        assert self.cache is not None
        return self.cache


class _Reply:
    """A reply in progress: its sampler, and its text; a possible beginning of a stop string is held back."""

    def __init__(self, tokenizer: Tokenizer, sampling: SamplingParams):
        self.sample = make_sampler(sampling)
        self.stream = TextStream(tokenizer)
        self.stop = [s for s in sampling.stop if s]
        self.text = ""  # all that was decoded
        self.stopped = False

    def push(self, token: int) -> tuple[str, bool]:
        """(text that is safe to show, whether a stop string came)."""
        self.text += self.stream.push(token)
        return self._cut()

    def close(self) -> str:
        """The whole text, no longer held back."""
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
