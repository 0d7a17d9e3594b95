"""Weights, epochs, previews and what is kept out of the data."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import context

from yaya.core.artifact import Draft
from yaya.core.messages import UserError
from yaya.prepare import chunks, corpus, mixing
from yaya.prepare.handover import Handover
from yaya.prepare.ledger import Ledger
from yaya.prepare.read.sources import files_of
from yaya.prepare.read_step import ReadStep
from yaya.prepare.settings import PrepareConfig, resolved


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("YAYA_LANG", "en")


def texts(path: Path, count: int, word: str) -> Path:
    rows = [{"text": f"{word} number {n} " + " ".join(f"{word}{n}x{k}" for k in range(20))} for n in range(count)]
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return path


def made(out: Path, **values) -> Draft:
    out.mkdir()
    draft = Draft(out, "prepare")
    corpus.run(resolved(PrepareConfig(**values)), {}, draft, context(out))
    return draft


@given(
    st.lists(st.tuples(st.floats(0.1, 10), st.integers(1, 10**9)), min_size=1, max_size=5),
    st.floats(1, 10),
)
def test_shares_are_as_asked_and_no_source_is_repeated_more_than_allowed(pairs, at_most):
    weights, sizes = [w for w, _ in pairs], np.array([s for _, s in pairs], float)
    epochs = mixing.epochs_of(weights, sizes, at_most)
    read = epochs * sizes
    assert np.allclose(read / read.sum(), np.array(weights) / sum(weights))
    assert epochs.max() <= at_most * (1 + 1e-9)
    assert read.sum() <= sizes.sum() * (1 + 1e-9)
    assert np.isclose(epochs.max(), at_most) or np.isclose(read.sum(), sizes.sum())


def test_a_source_without_training_text_gives_its_share_away():
    assert mixing.epochs_of([1, 1], np.array([0.0, 10.0]), 4).tolist() == [0.0, 1.0]


def test_mixture_on_disk(tmp_path):
    small, large = texts(tmp_path / "small.jsonl", 250, "ant"), texts(tmp_path / "large.jsonl", 2500, "bee")
    draft = made(tmp_path / "out", sources=[str(small), str(large)], weights=[1.0, 1.0], near_duplicates=False)
    rows = {s["source"]: s for s in draft.metrics["mixing"]}
    assert rows[str(small)]["epochs"] == 4.0 and rows[str(small)]["share"] == 0.5
    found = [r["text"] for path in draft.path.glob("train*.parquet") for r in pq.read_table(path).to_pylist()]
    sizes = {word: sum(len(text) for text in found if text.startswith(word)) for word in ("ant", "bee")}
    assert 0.9 < sizes["ant"] / sizes["bee"] < 1.1
    first = pq.read_table(draft.path / "train-00000.parquet").to_pylist()
    assert len({r["text"] for r in first}) == len(first)  # repeats lie in files of their own
    held = [r["text"] for r in pq.read_table(draft.path / "validation-00000.parquet").to_pylist()]
    assert held and not set(held) & set(found)
    assert draft.metrics["records"]["dropped"]["mixing: more than its share"] > 1000


def test_validation_has_the_mixture_of_training(tmp_path, capsys):
    """Of a source that is read in part only a part is held out, whatever its kind and number."""
    own, large = tmp_path / "own.jsonl", tmp_path / "large.jsonl"
    talks = [
        [{"role": "user", "content": f"ant {n}?"}, {"role": "assistant", "content": f"ant{n} " * 20}]
        for n in range(400)
    ]
    own.write_text("\n".join(json.dumps({"messages": talk}) for talk in talks), "utf-8")
    talks = [
        [{"role": "user", "content": f"bee {n}?"}, {"role": "assistant", "content": f"bee{n} " * 20}]
        for n in range(8000)
    ]
    large.write_text("\n".join(json.dumps({"messages": talk}) for talk in talks), "utf-8")
    draft = made(
        tmp_path / "out", sources=[str(own), str(large)], weights=[1, 1], epochs_at_most=1.0, near_duplicates=False,
        validation_fraction=0.2,
    )  # fmt: skip
    counts = {}
    for split in ("train", "validation"):
        rows = [row for path in draft.path.glob(f"{split}-*.parquet") for row in pq.read_table(path).to_pylist()]
        counts[split] = [sum(word in row["source"] for row in rows) for word in ("own", "large")]
        assert 0.6 < counts[split][0] / counts[split][1] < 1.6  # chance; without the share it is 0.05
    assert sum(counts["validation"]) > 100
    left_out = draft.metrics["records"]["dropped"]["mixing: more than its share"]
    assert left_out == 8400 - sum(counts["train"]) - sum(counts["validation"])
    assert f"{left_out:,} dropped ({left_out:,} of them because of weights)" in capsys.readouterr().err


@given(st.binary(min_size=16, max_size=16), st.floats(0, 5))
def test_drawn_is_what_is_read_at_least_once(id, epochs):
    ids = np.frombuffer(id, np.uint8).reshape(1, 16)
    assert mixing.are_drawn(ids, np.array([epochs])).tolist() == [mixing.times(id, epochs) > 0]


@pytest.mark.parametrize("kind", ["text", "chat"])
def test_a_few_own_documents_beside_the_primer_validate_too(tmp_path, kind):
    """Of the whole primer 5% would be some; of what is drawn of it, it would be none."""
    rows = [{"question": f"ant {n}?", "answer": f"ant{n} " * 30} for n in range(30)]
    rows = [{"text": row["answer"]} for row in rows] if kind == "text" else rows
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    draft = made(
        tmp_path / "out", sources=[str(tmp_path / "own.jsonl"), "primer"], weights=[3, 1], near_duplicates=False,
        conversations=1000 * (kind == "chat"), stories=500 * (kind == "text"),
    )  # fmt: skip
    held = pq.read_table(draft.path / "validation-00000.parquet").to_pylist()
    assert any(row["source"].endswith("own.jsonl") for row in held) and len(held) < 12


@pytest.mark.parametrize("seed", range(5))
def test_of_few_conversations_some_that_are_drawn_validate(tmp_path, seed):
    for name, count in (("a", 3), ("b", 100)):
        said = [{"question": f"{name} {n} {seed}?", "answer": f"{name}{n} " * 30} for n in range(count)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, said)), "utf-8")
    sources = [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]
    draft = made(tmp_path / "out", sources=sources, weights=[1, 1], near_duplicates=False)
    assert draft.metrics["splits"]["validation"]["chat"]["documents"] >= 1


def test_of_few_documents_as_much_of_each_is_held_out_as_it_is_read(tmp_path):
    for name, size in (("a.txt", 4000), ("b.txt", 40000)):
        (tmp_path / name).write_text(" ".join(f"{name[0]}{n}" for n in range(size)), "utf-8")
    sources = [str(tmp_path / name) for name in ("a.txt", "b.txt")]
    draft = made(tmp_path / "out", sources=sources, weights=[1.0, 1.0], epochs_at_most=1.0)
    held = pq.read_table(draft.path / "validation-00000.parquet").to_pylist()
    sizes = [sum(len(row["text"]) for row in held if row["source"].endswith(f"{letter}.txt")) for letter in "ab"]
    assert 0.9 < sizes[0] / sizes[1] < 1.1


def test_of_few_documents_a_part_of_each_is_read(tmp_path):
    for name, size in (("a.txt", 1000), ("b.txt", 4000)):
        (tmp_path / name).write_text(" ".join(f"{name[0]}{n}" for n in range(size)), "utf-8")
    sources = [str(tmp_path / name) for name in ("a.txt", "b.txt")]
    draft = made(tmp_path / "out", sources=sources, weights=[1.0, 1.0])
    train = [r["text"] for path in sorted(draft.path.glob("train*.parquet")) for r in pq.read_table(path).to_pylist()]
    sizes = [sum(len(text) for text in train if text.startswith(letter)) for letter in "ab"]
    assert 0.95 < sizes[0] / sizes[1] < 1.05


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, float("nan")]])
def test_weights_that_do_not_fit_are_refused(tmp_path, weights):
    sources = [str(texts(tmp_path / name, 3, "ant")) for name in ("a.jsonl", "b.jsonl")]
    with pytest.raises(UserError, match=r"prepare\.weights"):
        made(tmp_path / "out", sources=sources, weights=weights)


def test_the_primer_can_be_mixed_in(tmp_path):
    draft = made(
        tmp_path / "out", sources=[str(texts(tmp_path / "a.jsonl", 50, "ant")), "primer"], weights=[1.0, 1.0],
        conversations=300, stories=100,
    )  # fmt: skip
    assert draft.metrics["sources"]["primer"]["in"] == 400
    assert draft.metrics["sources"]["primer"].get("merged", 0) < 20  # its stories are alike on purpose


def test_the_primer_alone_under_every_preset(tmp_path):
    for preset in ("documents", "web", "chat"):
        draft = made(tmp_path / preset, preset=preset, conversations=50, stories=50)
        assert draft.metrics["sources"]["primer"]["in"] == 100


def test_questions_of_the_examination_are_kept_out(tmp_path):
    from yaya.prepare.clean.contamination import known_sets

    asked = max(known_sets()["the primer's paraphrases, zh"], key=len)
    exam = tmp_path / "exam.txt"
    exam.write_text("How many legs does the blue spider in the garden of Mrs Miller have?\nToo short\n", "utf-8")
    rows = [
        {"text": f"Here is a leak: {asked} And more text follows."},
        {"text": "They asked: how many legs does the blue spider in the garden of Mrs Miller have? Eight."},
        {"text": "How many legs does the blue spider have?"},
        {"text": "Too short"},
    ]
    source = tmp_path / "a.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    draft = made(tmp_path / "out", sources=[str(source)], decontaminate=["known", str(exam)])
    dropped = pq.read_table(draft.path / "dropped-00000.parquet").to_pylist()
    assert [row["where"] for row in dropped] == ["line 1", "line 2"]
    assert dropped[0]["reason"].startswith("contamination: overlaps the primer's paraphrases")
    assert str(exam) in dropped[1]["reason"] and "blue spider" in dropped[1]["sample"]
    account = draft.metrics["filters"]["contamination"]
    assert (account["documents_in"], account["dropped"]) == (4, 2)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", json.dumps({"goal": "{q}", "sol1": "x"})),
        ("a.json", json.dumps({"data": [{"paragraphs": [{"qas": ["{q}"]}]}]})),
        ("a.csv", "{q},A,B,C\nsecond,A,B,C"),
        ("a.tsv", "id\t{q}\n"),
        ("a.txt", "first\n{q}"),
    ],
)
def test_evaluation_sets_of_any_shape(tmp_path, name, data):
    question = "Which of the seven old towers in the valley was painted green last summer"
    (tmp_path / name).write_text(data.replace("{q}", question), "utf-8")
    source = tmp_path / "source.txt"
    source.write_text(f"Leaked: {question}, they asked.", "utf-8")
    other = tmp_path / "other.txt"
    other.write_text("Which of the seven old towers in the valley fell down?", "utf-8")
    draft = made(tmp_path / "out", sources=[str(source), str(other)], decontaminate=[str(tmp_path / name)])
    assert draft.metrics["filters"]["contamination"]["dropped"] == 1


def test_an_evaluation_set_that_is_not_there_is_named_with_its_key(tmp_path):
    (tmp_path / "a.txt").write_text("Something to read.", "utf-8")
    for config in (
        PrepareConfig(sources=[str(tmp_path / "a.txt")], decontaminate=["known", "exam.jsonl"]),
        PrepareConfig(sources=[str(tmp_path / "b.txt")], decontaminate=["known"]),
    ):
        key = "decontaminate" if "exam.jsonl" in (config.decontaminate or ()) else "sources"
        for ask in (
            lambda config=config: corpus.external(config),
            lambda config=config: corpus.run(config, {}, Draft(tmp_path, "prepare"), context(tmp_path)),
        ):
            with pytest.raises(UserError, match=rf"There is no .*Check the path in prepare\.{key}\."):
                ask()


def test_an_evaluation_set_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "exam.jsonl").write_text("{broken", "utf-8")
    (tmp_path / "a.txt").write_text("Something to read.", "utf-8")
    with pytest.raises(UserError, match=r"exam\.jsonl cannot be read"):
        made(tmp_path / "out", sources=[str(tmp_path / "a.txt")], decontaminate=[str(tmp_path / "exam.jsonl")])


@pytest.mark.parametrize("documents", [1, 20, 200])
def test_a_preview_shows_as_many_documents_as_were_asked_for(tmp_path, documents, capsys):
    """Files of one document, damaged ones and large records take nothing from the rest."""
    own, other = tmp_path / "own", tmp_path / "other"
    for folder in (own, other):
        folder.mkdir()
    for n in range(12):
        (own / f"{n}.txt").write_text(f"A text of its own, the number {n}.", "utf-8")
    (own / "empty.jsonl").write_text("", "utf-8")
    texts(own / "small.jsonl", 300, "ant")
    (own / "large.jsonl").write_text("\n".join(json.dumps({"text": f"bee{n} " * 9999}) for n in range(3)), "utf-8")
    texts(other / "few.jsonl", 30, "cow")
    out = tmp_path / "preview"
    sources = [str(own), str(other), "primer"]
    corpus.preview(PrepareConfig(sources=sources, preview=documents, conversations=40, stories=9), out, 0)
    rows = json.loads((out / "examples.json").read_text("utf-8"))["lengths"]
    assert sum(row["documents"] for row in rows) == max(3, documents)


def test_a_preview_is_spread_over_files_and_sources(tmp_path):
    files = [texts(tmp_path / f"{n}.jsonl", 50, f"word{n}") for n in range(9)]
    whole = chunks.cut(config_of(files), Handover(tmp_path), 0, files_of(names(files)))
    records = ReadStep(chunks.sample(whole, 90)[0], Ledger()).records()
    assert Counter(record.document.source for record in records) == dict.fromkeys(names(files), 10)


def names(files: list[Path]) -> list[str]:
    return [str(path) for path in files]


def config_of(files: list[Path]) -> PrepareConfig:
    return resolved(PrepareConfig(sources=names(files), decontaminate=[]))


def test_a_preview_makes_a_report_and_no_corpus(tmp_path):
    for n in range(40):
        texts(tmp_path / f"{n:02}.jsonl", 50, f"word{n}")
    out = tmp_path / "preview"
    corpus.preview(PrepareConfig(sources=[str(tmp_path)], preview=20), out, 0)
    assert sorted(path.name for path in out.iterdir()) == ["examples.json", "report.html"]
    assert "20" in (out / "report.html").read_text("utf-8")
