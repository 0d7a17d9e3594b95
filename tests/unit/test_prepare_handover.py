"""What the passes leave for each other, and the ledger that they give back."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prepared import chat, configured, lines, prepare
from tests.conftest import context

from yaya.core.artifact import Draft
from yaya.core.source_names import is_primer
from yaya.prepare import corpus, handover
from yaya.prepare.document import Document, Portion, Record
from yaya.prepare.ledger import SHOWN, Account, Ledger
from yaya.prepare.mixing import drawn
from yaya.prepare.split import Rule

ALL = {
    "preset": "chat",
    "repeated_lines": True,
    "weights": [2, 1],
    "augment": {"copies": 1},
}


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    talks = [chat(f"What is {n} plus {n % 7}?", f"That makes {n + n % 7}, I think.") for n in range(300)]
    texts = [{"text": f"Page {n % 40}\n" + " ".join(f"word{n}x{k}" for k in range(30)) + "\nHome"} for n in range(60)]
    return [lines(tmp_path / "talks.jsonl", [*talks, *talks[:5]]), lines(tmp_path / "texts.jsonl", texts)]


def test_every_file_that_is_handed_over_is_in_the_table(sources, tmp_path, monkeypatch):
    """And every file of the table is handed over."""
    left: list[str] = []
    monkeypatch.setattr(
        corpus.shutil, "rmtree", lambda folder, **_: left.extend(path.name for path in folder.iterdir())
    )
    questions = lines(tmp_path / "questions.jsonl", [{"question": "How many moons does a planet of that size have?"}])
    prepare(tmp_path / "out", *sources, **ALL, decontaminate=[str(questions)])
    found = {re.sub(r"-\d+(\.npy)", r"-0\1", re.sub(r"band-\d\d", "band-00", name)) for name in left}
    tasks = {name for name in found if name.endswith(".json")}
    assert {name.partition("-")[0] for name in tasks} == {"clean", "match", "finish"}
    cells = [line.split("|")[1].strip() for line in (handover.__doc__ or "").splitlines() if line.startswith("| ")]
    assert found - tasks == {cell for cell in cells if cell.endswith((".npy", ".npz", ".parquet"))}


def test_what_one_process_gave_back_counts_as_what_another_reads_from_disk(sources, tmp_path, monkeypatch):
    """The ledgers that a stopped run kept as JSON make the corpus that an uninterrupted run makes."""
    whole = prepare(tmp_path / "whole", *sources, **ALL)
    with monkeypatch.context() as patch:
        patch.setattr(corpus, "write_report", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prepare(tmp_path / "out", *sources, **ALL)
    again = Draft(tmp_path / "out", corpus.KIND, {}, {}, 0)
    monkeypatch.setattr("yaya.prepare.clean_pass.CleanPass.run", lambda *_: 1 / 0)
    monkeypatch.setattr("yaya.prepare.write_pass.WritePass.records", lambda *_: 1 / 0)
    corpus.run(configured(*sources, **ALL), {}, again, context(again.path, 0))
    for draft in (whole, again):
        for account in draft.metrics["filters"].values():
            account.pop("seconds")
    assert again.metrics == whole.metrics
    assert (again.path / "examples.json").read_bytes() == (whole.path / "examples.json").read_bytes()


@given(st.lists(st.tuples(st.integers(0, 99), st.none() | st.integers(0, 99))))
def test_an_account_balances(booked):
    account = Account()
    for before, after in booked:
        account.book(before, after)
    assert account.bytes_in + account.added == account.bytes_out + account.removed
    assert account.documents_in == len(booked)
    assert account.dropped == sum(after is None for _, after in booked)
    assert account.changed == sum(after not in (None, before) for before, after in booked)


def test_a_sum_of_ledgers_has_the_first_examples_and_the_first_problem_of_each_source():
    whole = Ledger()
    for part in range(3):
        one = Ledger(accounts={"empty": Account()})
        one.accounts["empty"].book(7, None)
        one.sources[1]["kept"] = 2
        one.problems[1] = {"kind": str(part)}
        for n in range(8):
            one.take_out(1, (f"{part}.{n}", ""), ("empty", "nothing to see"), "")
        whole.add(json.loads(json.dumps(one.told())))
    assert whole.accounts["empty"] == Account(documents_in=3, dropped=3, bytes_in=21, removed=21)
    assert whole.sources == {1: {"kept": 6, "dropped": 24}} and whole.total("kept") == 6
    assert [row["source"] for row in whole.drops["empty"]] == [f"0.{n}" for n in range(8)] + ["1.0", "1.1"]
    assert len(whole.drops["empty"]) == SHOWN and whole.problems == {1: {"kind": "0"}}


@given(st.text(min_size=1), st.sampled_from([0.05, 0.1, 0.5]), st.sampled_from([0.0, 0.3, 1.0, 1.7, 4.0]))
def test_of_a_text_that_is_cut_each_part_is_read_as_often_as_its_source(text, tail, epochs):
    portions = Rule(tail).divide(Document(text, None, "a.txt", ""), bytes(16))
    assert "".join(p.document.text for p in sorted(portions, key=lambda p: p.split)) == text
    read = [one for portion in portions for one in drawn(portion, epochs)]
    assert len({one.split for one in read}) == len(read)
    for portion in portions:
        size, most = len(portion.document.text), 1.0 if portion.split == "validation" else epochs
        own = [one for one in read if one.split.startswith(portion.split)]
        assert sum(len(one.document.text) for one in own) <= round(size * most) + 1
        assert all(portion.document.text.startswith(one.document.text) for one in own)


@given(st.binary(min_size=16, max_size=16), st.sampled_from([0.0, 0.3, 1.0, 1.7, 4.0]))
def test_what_validates_is_read_at_most_once(id, epochs):
    document = Document("text", None, "a.txt", "")
    held, trained = Portion("validation", document, id), Portion("train", document, id)
    assert len(drawn(held, epochs)) == min(1, len(drawn(trained, epochs)))
    assert [one.split for one in drawn(trained, epochs)][1:] == [
        f"train-p{n}" for n in range(2, len(drawn(trained, epochs)) + 1)
    ]


def test_a_record_knows_the_bytes_of_its_portions():
    document = Document("héllo", None, "a.txt", "")
    assert (
        Record(
            document, 0, portions=[Portion("train", document, b""), Portion("train-p2", document, b"")]
        ).bytes_written
        == 12
    )


@pytest.mark.parametrize(
    ("sources", "alone"),
    [
        ([], True),
        (None, True),
        (["primer"], True),
        (("primer",), True),
        (["primer", "a.txt"], False),
        (["a.txt"], False),
    ],
)
def test_the_primer_alone(sources, alone):
    assert is_primer(sources) == alone
