"""The second pass: decides dedup -> split -> mix over all chunks together. It reads arrays only, no text.

Reads:  the arrays of the first pass.
Does:   finds duplicates and boilerplate, the rule of the split for texts and for conversations, and how often each
        source is read.
Writes: first.npy, likeness.npy, repeated-N.npy; returns what the third pass needs for each chunk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from yaya.core.source_names import PRIMER, is_primer
from yaya.prepare import dedup, mixing
from yaya.prepare.handover import Handover
from yaya.prepare.settings import PrepareConfig
from yaya.prepare.split import FEW_SHARE, MANY_SHARE, PRIMER_SHARE, Rule, in_training, rule_for
from yaya.prepare.write_pass import STEPS, WriteTask

Mixture = list[dict[str, Any]]


def decide(
    config: PrepareConfig, work: Handover, out: Path, chunks: int, workers: int
) -> tuple[list[WriteTask], Mixture]:
    """Returns the third pass's task for each chunk, and the mixture for the manifest (empty without weights)."""
    first = dedup.merge(work, config, chunks, workers)
    kept = first == np.arange(len(first))
    if config.repeated_lines:
        dedup.save_repeated_lines(work, len(config.sources or [PRIMER]), chunks)
    rules, epochs, mixture = share_out(config, work, chunks, kept)
    wanted = (config.deduplicate, config.near_duplicates, config.repeated_lines, config.weights, config.augment.copies)
    steps = tuple(name for name, on in zip(STEPS, wanted, strict=True) if on)
    rows = work.clean_rows(np.unique(first[~kept]), chunks, ["source", "where"])
    names = {n: f"{row['source']}, {row['where']}" if row["where"] else row["source"] for n, row in rows.items()}
    starts = work.load("ids", chunks).starts
    tasks = []
    for number in range(chunks):
        here = np.unique(first[starts[number] : starts[number + 1]]).tolist()
        own = {n: names[n] for n in here if n in names}
        tasks.append(WriteTask(number, int(starts[number]), work, out, rules, own, steps, epochs, config.augment))
    return tasks, mixture


def share_out(
    config: PrepareConfig, work: Handover, chunks: int, kept: np.ndarray
) -> tuple[dict[str, Rule], dict[int, float], Mixture]:
    """Returns the split's rule for each kind of document, how often each source is read, and the mixture.

    kept: (D,) bool, which documents are no duplicates.
    """
    ids = work.load("ids", chunks)
    chats = work.load("chats", chunks).whole()
    of_kind = {"text": np.flatnonzero(kept & ~chats), "chat": np.flatnonzero(kept & chats)}
    few = many = config.validation_fraction
    if few is None or many is None:
        few, many = FEW_SHARE, PRIMER_SHARE if is_primer(config.sources) else MANY_SHARE
    rules = {kind: rule_for(kind, ids[chosen], config.validation, few, many) for kind, chosen in of_kind.items()}
    if not config.weights:
        return rules, {}, []
    sets, sizes = (work.load(name, chunks).whole() for name in ("sets", "sizes"))
    training = np.where(kept, in_training(rules, ids.whole(), chats, sizes), 0)
    of_source = np.bincount(sets, training, minlength=len(config.sources))
    epochs = mixing.epochs_of(config.weights, of_source, config.epochs_at_most)
    for kind, chosen in of_kind.items():
        if rules[kind].tail is None:  # if mixing leaves few documents, they are divided as few
            found = ids[chosen]
            rules[kind] = rule_for(kind, found[mixing.are_drawn(found, epochs[sets[chosen]])], "hash", few, many)
    told = mixing.told(config.sources, config.weights, of_source, epochs)
    return rules, dict(enumerate(epochs.tolist())), told
