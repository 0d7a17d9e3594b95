"""Objectives: what a training stage optimises. Language modelling serves pretraining and fine-tuning:
they differ in rows and in what a label of each role counts.

Shapes: B rows, T positions, D hidden_size, N labels that count.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor

from yaya.model.fused import cross_entropy_sum
from yaya.model.transformer import Transformer
from yaya.train.rows import Batch, Mixture


class Objective(Protocol):
    micro_batches: int  # in one optimizer step

    def batches(self, model: Transformer, cursor: int) -> Iterator[tuple[Batch, int]]:
        """Micro-batches from row `cursor` on, each with the cursor after it."""

    def loss(self, model: Transformer, batch: Batch) -> tuple[Tensor, Tensor, dict[str, float]]:
        """(sum of weighted losses, sum of weights, metrics)."""


class LanguageModeling:
    """Next-token prediction: -sum_i w_i log p(x_i | x_<i, same document)."""

    def __init__(self, mixture: Mixture, micro_rows: int, micro_batches: int):
        self.mixture, self.micro_rows, self.micro_batches = mixture, micro_rows, micro_batches

    def batches(self, model: Transformer, cursor: int) -> Iterator[tuple[Batch, int]]:
        device = str(model.head.device)
        while True:
            yield self.mixture.batch(cursor, self.micro_rows).to(device), cursor + self.micro_rows
            cursor += self.micro_rows

    def loss(self, model: Transformer, batch: Batch) -> tuple[Tensor, Tensor, dict[str, float]]:
        hidden = model(batch.input_ids, model.where(batch.positions, batch.mask))  # (B, T, D)
        counts = batch.weights > 0
        weights = batch.weights[counts]
        loss = cross_entropy_sum(hidden[counts], model.head, batch.labels[counts], weights)
        return loss, weights.sum(), {}
