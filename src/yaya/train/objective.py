"""Objectives: what a training stage optimises. Language modelling serves pretraining and fine-tuning:
they differ in their rows and in the loss weights of the roles.

Shapes: B rows, T positions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import Protocol

from torch import Tensor

from yaya.core import distributed
from yaya.model.decoder import Transformer
from yaya.train.packing import Batch, DataMixture


class Objective(Protocol):
    micro_rows: int  # rows computed at a time by one rank

    def batches(self, model: Transformer, cursor: int) -> tuple[Iterator[Batch], int]:
        """This rank's micro-batches of the optimizer step that begins at row `cursor`, and the cursor after the step."""

    def epochs(self, cursor: int) -> float:
        """How often the data has been seen up to row `cursor`."""

    def loss(self, model: Transformer, batch: Batch) -> tuple[Tensor, Tensor, dict[str, float]]:
        """(sum of weighted losses, sum of weights, metrics)."""


class LanguageModeling:
    """Next-token prediction: -sum_i w_i log p(x_i | x_<i, same document)."""

    def __init__(self, mixture: DataMixture, step_rows: int, micro_rows: int):
        self.mixture, self.step_rows, self.micro_rows = mixture, step_rows, micro_rows
        self.ahead: tuple[tuple[int, int], Future[Batch]] | None = None  # the next micro-batch, for a GPU
        self.thread = ThreadPoolExecutor(1, "rows")

    def batches(self, model: Transformer, cursor: int) -> tuple[Iterator[Batch], int]:
        """All ranks together see rows cursor to cursor + step_rows, each its own block."""
        rank, world = distributed.rank(), distributed.world_size()
        first, last = (cursor + self.step_rows * r // world for r in (rank, rank + 1))
        most = math.ceil(self.step_rows / world)  # rows of one rank
        count = math.ceil(most / self.micro_rows)  # the same on every rank: FSDP2 computes together
        edges = [first + (last - first) * i // count for i in range(count + 1)]
        device = str(model.head.device)
        spans = list(pairwise(edges))
        made = (self.micro_batch(a, b) for a, b in spans) if device == "cpu" else self.made_ahead(spans)
        return (batch.to(device) for batch in made), cursor + self.step_rows

    def made_ahead(self, spans: list[tuple[int, int]]) -> Iterator[Batch]:
        """The micro-batches of these rows, each made while the device computes the one before; the last is of the next step."""
        first, last = spans[0]
        for here, then in pairwise([*spans, (first + self.step_rows, last + self.step_rows)]):
            known, found = self.ahead or (None, None)
            batch = found.result() if found is not None and known == here else self.micro_batch(*here)
            self.ahead = then, self.thread.submit(self.micro_batch, *then)
            yield batch

    def micro_batch(self, first: int, last: int) -> Batch:
        """Rows first to last; if there are none, one row of weight 0, so that all ranks compute equally often."""
        batch = self.mixture.batch(first, max(1, last - first))
        if first == last:
            batch.weights.zero_()
        return batch

    def epochs(self, cursor: int) -> float:
        return self.mixture.epochs(cursor)

    def loss(self, model: Transformer, batch: Batch) -> tuple[Tensor, Tensor, dict[str, float]]:
        context = model.attention_context(batch.positions, batch.documents)
        return model.loss(batch.input_ids, context, batch.labels, batch.weights), batch.weights.sum(), {}
