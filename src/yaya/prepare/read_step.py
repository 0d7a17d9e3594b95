"""The step `read`: a chunk's files, or its part of the primer, become records. Books what readers report."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain, groupby, islice

from yaya.core.source_names import PRIMER
from yaya.prepare.chunks import Chunk
from yaya.prepare.clean.personal import mask_personal
from yaya.prepare.document import LEFT_OUT, Broken, Document, ReadEvents, Record, place
from yaya.prepare.ledger import READING, SHOWN, Ledger
from yaya.prepare.read.source_files import SourceFile
from yaya.prepare.read.sources import read_file

UNFINISHED = 8  # files of a preview that stay open, in case more documents are needed


class ReadStep:
    """Reads one chunk, and books in the ledger what comes in, is left out or is set aside."""

    def __init__(self, chunk: Chunk, ledger: Ledger):
        self.chunk, self.ledger = chunk, ledger

    def records(self) -> Iterator[Record]:
        """Yields the chunk's documents, file by file; for a preview `limit` of them, spread over files and sources."""
        chunk = self.chunk
        found = [(n, self.of_file(file, n)) for file, n in zip(chunk.files, chunk.sources, strict=True)]
        first_story, last_story, first_talk, last_talk = chunk.primer
        for stories, talks in ((range(first_story, last_story), ()), ((), range(first_talk, last_talk))):
            found += [(chunk.primer_source, self.of_primer(stories, talks))] if stories or talks else []
        records = spread(found, chunk.limit) if chunk.limit else chain.from_iterable(each for _, each in found)
        for record in records:
            counts = self.ledger.sources[record.source]
            counts["in"] += 1
            counts["bytes"] += record.document.size
            yield record

    def of_primer(self, stories: Sequence[int], talks: Sequence[int]) -> Iterator[Record]:
        """Yields the stories and conversations with these numbers."""
        from yaya import primer

        seed, source = self.chunk.seed, self.chunk.primer_source
        for n in stories:
            yield Record(Document(primer.story(seed, n), None, PRIMER, f"story {n}"), source)
        for n in talks:
            yield Record(Document(None, primer.conversation(seed, n), PRIMER, f"conversation {n}"), source)

    def of_file(self, file: SourceFile, source: int) -> Iterator[Record]:
        """Yields the documents of a file, with the reader for its kind."""
        events = ReadEvents(
            lambda broken: self.set_aside(source, broken),
            lambda *remark: self.ledger.remarks.append(remark),
            lambda name, where, reason: self.leave_out(source, (name, where), reason),
        )
        for document in read_file(file, events, bool(self.chunk.config.main_text)):
            yield Record(document, source)

    def leave_out(self, source: int, at: tuple[str, str], reason: str, sample: str = "") -> None:
        """Books a record that is not a document, or teaches nothing."""
        self.ledger.sources[source]["in"] += 1
        self.ledger.take_out(source, at, (READING, reason), sample)

    def set_aside(self, source: int, broken: Broken) -> None:
        """Books a file or record that cannot be used, or teaches nothing."""
        sample, problem = mask_personal(broken.sample), broken.problem
        said = {"source": place(broken.source, broken.where), "kind": problem.kind, "en": problem.en, "zh": problem.zh}
        self.ledger.problems.setdefault(source, said)
        if problem.kind in LEFT_OUT:
            self.leave_out(source, (broken.source, broken.where), problem.kind, sample)
            return
        self.ledger.sources[source].update({"in": 1, "quarantined": 1})
        self.ledger.kinds[problem.kind] += 1
        self.ledger.write(broken.source, broken.where, f"quarantined: {broken.reason}", sample)
        if len(self.ledger.quarantined) < SHOWN:
            self.ledger.quarantined.append(said | {"text": sample})


def spread(found: Sequence[tuple[int, Iterator[Record]]], limit: int) -> Iterator[Record]:
    """Yields `limit` records, in equal shares for the sources and their files; later files make up for short ones.

    found: (source, records of one file), source by source. If the last files are short, some earlier ones give more.
    """
    unfinished: deque[Iterator[Record]] = deque(maxlen=UNFINISHED)
    groups = [[each for _, each in group] for _, group in groupby(found, key=lambda pair: pair[0])]
    for number, group in enumerate(groups):
        of_group = math.ceil(limit / (len(groups) - number))
        for at, each in enumerate(group):
            wanted = math.ceil(of_group / (len(group) - at))
            taken = 0
            for record in islice(each, wanted):
                yield record
                taken += 1
            of_group, limit = of_group - taken, limit - taken
            if taken == wanted:
                unfinished.append(each)
    yield from islice(chain.from_iterable(reversed(unfinished)), limit)
