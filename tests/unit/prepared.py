"""What the tests of prepare share: reading sources, making a corpus, and checking that its accounts balance."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tests.conftest import context

from yaya.core import config as core_config
from yaya.core.artifact import Draft
from yaya.prepare import corpus
from yaya.prepare.document import Broken, Document, ReadEvents
from yaya.prepare.read.sources import files_of, read_file
from yaya.prepare.settings import PrepareConfig, resolved
from yaya.prepare.summary import say_remarks


def read(*paths: Path, main: bool = True) -> tuple[list[Document], list[Broken]]:
    """What sources hold, and what is set aside in them. Remarks are said as in a run."""
    broken: list[Broken] = []
    remarks: list[tuple[str, str, str]] = []
    events = ReadEvents(broken.append, lambda *remark: remarks.append(remark), lambda *left_out: None)
    files = files_of([str(path) for path in paths])
    found = [document for file, _ in files for document in read_file(file, events, main)]
    say_remarks(remarks)
    return found, broken


def configured(*sources: Path, **values: Any) -> PrepareConfig:
    given = {"decontaminate": [], "sources": [str(source) for source in sources]} | values
    return resolved(core_config.build(PrepareConfig, given, "prepare"))


def prepare(out: Path, *sources: Path, seed: int = 0, **values: Any) -> Draft:
    """Runs the stage into `out`. Without decontamination, which takes a second, unless it is asked for."""
    config = configured(*sources, **values)
    out.mkdir(parents=True)
    draft = Draft(out, corpus.KIND, core_config.as_dict(config), corpus.external(config), seed)
    corpus.run(config, {}, draft, context(out, seed))
    return draft


def rows(draft: Draft, name: str) -> list[dict[str, Any]]:
    """The rows of `train`, `validation` or `dropped`, of all shards in order."""
    return [row for path in sorted(draft.path.glob(f"{name}-*.parquet")) for row in pq.read_table(path).to_pylist()]


def examples(draft: Draft) -> dict[str, Any]:
    return json.loads((draft.path / "examples.json").read_text("utf-8"))


def results(folder: Path) -> dict[str, bytes]:
    """The files that must not depend on how a run was carried out."""
    paths = [*sorted(folder.glob("*.parquet")), folder / "examples.json"]
    return {path.name: path.read_bytes() for path in paths}


def write(path: Path, data: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def lines(path: Path, records: list[Any]) -> Path:
    return write(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def chat(question: str, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def size_of(row: dict[str, Any]) -> int:
    return len((row["text"] or "".join(m["content"] for m in row["messages"] or ())).encode())


def balanced(draft: Draft) -> dict[str, Any]:
    """The counts of records, after a look whether they and the bytes agree with each other and with the files."""
    records, size, splits = (draft.metrics[name] for name in ("records", "bytes", "splits"))
    dropped = Counter(row["reason"].partition(": ")[0] for row in rows(draft, "dropped"))
    merged = dropped.pop("duplicates", 0) + dropped.pop("near_duplicates", 0)
    quarantined = dropped.pop("quarantined", 0)
    assert (merged, quarantined) == (records["merged"], records["quarantined"])
    assert sum(dropped.values()) == sum(records["dropped"].values())
    assert records["in"] == records["kept"] + sum(records["dropped"].values()) + quarantined + merged
    written = {split: rows(draft, split) for split in ("train", "validation")}
    for split, found in written.items():
        for kind, counts in splits[split].items():
            own = [row for row in found if row["kind"] == kind]
            assert counts["documents"] == len(own) and counts["bytes"] == sum(map(size_of, own))
    assert size["out"] == sum(size_of(row) for found in written.values() for row in found)
    at = size["in"]
    for name, account in draft.metrics["filters"].items():
        assert account["bytes_in"] == at, name
        assert account["bytes_in"] + account["added"] == account["bytes_out"] + account["removed"], name
        at = account["bytes_out"]
    assert at == size["out"]
    for name in ("in", "kept", "quarantined", "merged"):
        assert sum(counts.get(name, 0) for counts in draft.metrics["sources"].values()) == records[name]
    return records
