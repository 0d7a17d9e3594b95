"""Summed log-likelihood of given tokens: perplexity, bits per byte, multiple choice.

Shapes: B items, T positions, D hidden_size, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from yaya.model.decoder import Transformer

BATCH_TOKENS = 8192
LOGIT_ROWS = 1024


@dataclass(frozen=True)
class SummedLoss:
    """The loss over many labels: total `nats`, tokens (or weights), and the bytes of text that they encode."""

    nats: float
    tokens: float
    bytes: float

    @property
    def loss(self) -> float:
        """Nats per token; ZeroDivisionError without tokens."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """The number of equally likely tokens that would be as hard to choose from; a loss that would overflow counts as 700."""
        return math.exp(min(self.loss, 700))

    @property
    def bits_per_byte(self) -> float:
        """Independent of the tokenizer; ZeroDivisionError without bytes."""
        return self.nats / math.log(2) / self.bytes


def windows(length: int, context_length: int, stride: int) -> Iterator[tuple[int, int, int]]:
    """(begin, end, first label) of each window over a document of `length` tokens.

    Every token but the first is a label exactly once; after the first window each has at least
    `context_length - stride` tokens before it.
    """
    stride = min(stride, context_length)  # a longer step would leave labels out
    begin = labelled = 0
    while labelled < length - 1:
        end = min(begin + context_length + 1, length)
        yield begin, end, labelled + 1
        labelled = end - 1
        begin += stride


@torch.inference_mode()
def log_likelihoods(model: Transformer, items: Sequence[tuple[np.ndarray, int]]) -> np.ndarray:
    """For each (token ids (T,), first label >= 1) the sum of log p(id | ids before it) over ids from `first label` on.

    Returns (items,) fp64 in nats; 0 for an item without labels. Ids are at most `max_position_embeddings` + 1.
    """
    out = np.zeros(len(items))
    order = sorted(range(len(items)), key=lambda i: len(items[i][0]))  # like lengths together: less padding
    group: list[int] = []
    for i in [*order, -1]:
        if group and (i < 0 or (len(group) + 1) * len(items[i][0]) > BATCH_TOKENS):
            out[group] = _batch_log_likelihoods(model, [items[j] for j in group])
            group = []
        group.append(i)
    return out


def _batch_log_likelihoods(model: Transformer, items: Sequence[tuple[np.ndarray, int]]) -> np.ndarray:
    """`log_likelihoods` of items that are computed together, padded on the right."""
    longest = max(len(ids) for ids, _ in items)
    padded = np.zeros((len(items), longest), np.int64)
    counts = np.zeros((len(items), longest), bool)
    for row, (tokens, first) in enumerate(items):
        padded[row, : len(tokens)] = tokens
        counts[row, first : len(tokens)] = True
    ids = torch.from_numpy(padded).to(model.head.device)  # (B, T)
    hidden = model(ids[:, :-1])  # (B, T-1, D); what stands right of a token never changes it
    wanted = torch.from_numpy(counts[:, 1:]).to(ids.device)
    log_probs = _label_log_probs(model, hidden[wanted], ids[:, 1:][wanted])  # (N,)
    sums = torch.zeros(len(items), dtype=torch.float64)
    return sums.index_add_(0, wanted.nonzero()[:, 0].cpu(), log_probs.double().cpu()).numpy()


def _label_log_probs(model: Transformer, hidden: Tensor, labels: Tensor) -> Tensor:
    """log p(label) for hidden (N, D) and labels (N,), without all logits at once."""
    out = []
    for start in range(0, len(hidden), LOGIT_ROWS):
        logits = model.logits(hidden[start : start + LOGIT_ROWS])
        picked = logits.gather(1, labels[start : start + LOGIT_ROWS, None])[:, 0]
        out.append(picked - logits.logsumexp(-1))
    return torch.cat(out) if out else torch.zeros(0)
