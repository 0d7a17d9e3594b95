"""The tokenize stage: its automatic settings, the sample that the tokenizer is trained on, and the files of shards."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.conftest import context

from yaya.core.artifact import Artifact, Draft
from yaya.core.messages import UserError
from yaya.tokenize import shards
from yaya.tokenize.chat_template import ASSISTANT, TEMPLATE, USER
from yaya.tokenize.shards import TokenizeConfig, _sample, encode_split, external, open_shard, resolve
from yaya.tokenize.tokenizer import Tokenizer, train


def sized(folder: Path, sources: list[str], **sizes: int) -> dict[str, Artifact]:
    """A corpus whose files have so many bytes."""
    for name, size in sizes.items():
        with (folder / f"{name.replace('_', '-')}.parquet").open("wb") as file:
            file.truncate(size)
    return {"prepare": Artifact(folder, {"config": {"sources": sources}})}


@pytest.mark.parametrize("sources", [[], ["primer"]])
def test_the_primer_has_settings_of_its_own(sources, tmp_path):
    found = resolve(TokenizeConfig(), sized(tmp_path, sources, train_0=10**8))
    assert (found.vocab_size, found.han_run) == (2048, 1)


@pytest.mark.parametrize(
    ("size", "tokens"),
    [(0, 1024), (1023 * 2048 - 1, 1024), (1023 * 2048, 2048), (2047 * 2048 - 1, 2048), (2047 * 2048, 4096),
     (4095 * 2048 - 1, 4096), (4095 * 2048, 8192), (8191 * 2048, 8192), (10**11, 8192)],
)  # fmt: skip
def test_the_vocabulary_grows_with_the_text(size, tokens, tmp_path):
    """From 1,024 on it doubles with the text, at 2, 4 and 8 MiB, and ends at 8,192."""
    found = resolve(TokenizeConfig(), sized(tmp_path, ["a.txt"], train_0=size))
    assert (found.vocab_size, found.han_run) == (tokens, 4)


def test_every_file_of_both_splits_counts_for_the_vocabulary(tmp_path):
    whole = 2047 * 2048
    parts = {"train_0": whole // 2, "train_1": whole // 4, "validation_0": whole - whole // 2 - whole // 4}
    assert resolve(TokenizeConfig(), sized(tmp_path, ["primer", "b"], **parts)).vocab_size == 4096
    assert resolve(TokenizeConfig(), sized(tmp_path, ["b"], dropped_0=10**9)).vocab_size == 4096


@pytest.mark.parametrize("sources", [[], ["a.txt"]])
def test_what_is_given_stays(sources, tmp_path):
    inputs = sized(tmp_path, sources, train_0=10**8)
    assert resolve(TokenizeConfig(vocab_size=300, han_run=0), inputs) == TokenizeConfig(vocab_size=300, han_run=0)
    assert resolve(TokenizeConfig(vocab_size=300), inputs).vocab_size == 300
    assert resolve(TokenizeConfig(han_run=2), inputs).han_run == 2


MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
SCHEMA = pa.schema([("kind", pa.string()), ("text", pa.string()), ("messages", pa.list_(MESSAGE))])


def write(path: Path, rows: list, a_group: int = 1 << 20) -> int:
    """Writes texts and conversations; the bytes that the file says it holds."""
    made = [
        {"kind": "text", "text": row} if isinstance(row, str)
        else {"kind": "chat", "messages": [{"role": role, "content": content} for role, content in row]}
        for row in rows
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(made, SCHEMA), path, row_group_size=a_group)
    groups = pq.ParquetFile(path).metadata
    return sum(groups.row_group(n).total_byte_size for n in range(groups.num_row_groups))


ROLES = [f"{role}\n" for role in ("system", "user", "assistant") for _ in range(5000)]


def test_of_a_small_corpus_all_is_sampled(tmp_path):
    """In order, texts and messages, behind the names of the roles."""
    size = write(tmp_path / "a", ["one text", [("user", "ask"), ("assistant", "say")], "two"])
    for limit in (size, 10 * size):
        assert list(_sample([tmp_path / "a"], limit)) == [*ROLES, "one text", "ask", "say", "two"]
    assert list(_sample([], 1000)) == ROLES


@pytest.mark.parametrize("part", [2, 3])
def test_of_a_large_corpus_each_group_gives_its_share(part, tmp_path):
    """As many bytes of it as belong to the whole sample, rounded down, and one: an empty share would be none."""
    paths = [tmp_path / name for name in "ab"]
    total = write(paths[0], [f"{n:09}" * 9 for n in range(100)], 50)
    total += write(paths[1], [[("user", f"{n:09}" * 9), ("user", "x" * n)] for n in range(200, 260)])
    found = "".join(list(_sample(paths, total // part))[len(ROLES) :])
    files = [pq.ParquetFile(path).metadata for path in paths]
    sizes = [file.row_group(n).total_byte_size for file in files for n in range(file.num_row_groups)]
    at = 0
    for size, first in zip(sizes, (0, 50, 200), strict=True):
        assert found[at:].startswith(f"{first:09}" * 9)
        at += total // part * size // total + 1
    assert at == len(found)


def test_a_sample_counts_bytes(tmp_path):
    size = write(tmp_path / "a", ["汉" * 20 + f"{n:03}" for n in range(300)])
    (found,) = ["".join(list(_sample([tmp_path / "a"], size // 3))[len(ROLES) :])]
    assert size // 3 < len(found.encode()) <= size // 3 + 50  # the last text may be too long by its characters' bytes


def test_a_sample_ends_with_the_share_to_the_byte(tmp_path):
    size = write(tmp_path / "a", ["a", "b"] * 300)
    found = list(_sample([tmp_path / "a"], size // 2))[len(ROLES) :]
    assert len("".join(found)) == size // 2 + 1 < 600


def test_of_a_conversation_that_fills_the_share_nothing_more_is_sampled(tmp_path):
    write(tmp_path / "a", [[("user", "汉" * 500), ("assistant", "b" * 900), ("user", "c" * 900)]])
    assert set("".join(list(_sample([tmp_path / "a"], 900))[len(ROLES) :])) == {"汉"}


class Letters:
    """A tokenizer whose ids are the code points."""

    end_of_text, turn_start, turn_end = 0, 1, 2

    def __init__(self, vocab_size: int):
        self.vocab_size = vocab_size

    def encode(self, text: str) -> list[int]:
        return list(map(ord, text))

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        return list(map(self.encode, texts))


@pytest.mark.parametrize(("vocab_size", "dtype"), [(300, "<u2"), (1 << 16, "<u2"), ((1 << 16) + 1, "<u4")])
def test_files_of_a_shard_to_the_byte(vocab_size, dtype, tmp_path):
    write(tmp_path / "train-0.parquet", ["ab", [("user", "汉"), ("assistant", "c")]])
    write(tmp_path / "train-1.parquet", ["", "é"])
    paths = shards.corpus_files(tmp_path, "train")
    counts = encode_split(Letters(vocab_size), paths, tmp_path, "train")
    assert counts == {
        "text": {"documents": 3, "tokens": 4 + 2 + 3, "bytes": 2 + 0 + 2},
        "chat": {"documents": 1, "tokens": 9 + 14, "bytes": 3 + 1},
    }
    asked, said = [*map(ord, "user\n汉")], [*map(ord, "assistant\nc")]
    ids = [1, *asked, 2, 10, 1, *said, 2, 10]
    roles = [TEMPLATE] * 6 + [USER] * 2 + [TEMPLATE] * 12 + [ASSISTANT] * 2 + [TEMPLATE]
    for kind, tokens, offsets in (
        ("text", [0, 97, 98, 0, 0, 0, 0, 233, 0], [0, 4, 6, 9]),
        ("chat", ids, [0, len(ids)]),
    ):
        assert (tmp_path / f"train.{kind}.tokens").read_bytes() == np.array(tokens, dtype).tobytes()
        assert (tmp_path / f"train.{kind}.offsets").read_bytes() == np.array(offsets, "<i8").tobytes()
        shard = open_shard(tmp_path, "train", kind, vocab_size)
        assert shard.tokens.tolist() == tokens and shard.offsets.tolist() == offsets
        assert shard.documents == len(offsets) - 1
    assert (tmp_path / "train.chat.roles").read_bytes() == bytes(roles)
    assert open_shard(tmp_path, "train", "chat", vocab_size).roles.tolist() == roles
    assert not (tmp_path / "train.text.roles").exists() and open_shard(tmp_path, "train", "text", 300).roles is None


def test_a_split_without_documents_has_empty_shards(tmp_path):
    counts = encode_split(Letters(300), [], tmp_path, "validation")
    assert counts == {kind: {"documents": 0, "tokens": 0, "bytes": 0} for kind in ("text", "chat")}
    for kind in ("text", "chat"):
        shard = open_shard(tmp_path, "validation", kind, 300)
        assert (shard.documents, shard.tokens.size, shard.offsets.tolist()) == (0, 0, [0])


def test_a_stage_with_a_tokenizer_that_is_taken_over(tmp_path):
    """What it counts is what its files hold; the tokenizer sets no limit of its own to a context."""
    (own := tmp_path / "own").mkdir()
    (out := tmp_path / "out").mkdir()
    tokenizer = train(iter(["one two three\n"] * 9), 300, 0)
    tokenizer.save(own, 64)
    texts, talk = ["one two", "汉字 three"], [("user", "two?"), ("assistant", "three")]
    write(tmp_path / "train-0.parquet", [*texts, talk])
    write(tmp_path / "validation-0.parquet", ["three"])
    draft = Draft(out, "tokenize")
    shards.run(TokenizeConfig(tokenizer_from=str(own)), {"prepare": Artifact(tmp_path, {})}, draft, context(out))
    assert Tokenizer.load(out).definition == tokenizer.definition
    assert json.loads((out / "tokenizer_config.json").read_text("utf-8"))["model_max_length"] == 1_048_576
    train_kinds, validation = draft.metrics["train"], draft.metrics["validation"]
    sizes = {kind: (out / f"train.{kind}.tokens").stat().st_size // 2 for kind in ("text", "chat")}
    assert {kind: counts["tokens"] for kind, counts in train_kinds.items()} == sizes
    assert {kind: counts["bytes"] for kind, counts in train_kinds.items()} == {"text": 7 + 12, "chat": 4 + 5}
    assert (validation["text"]["documents"], validation["text"]["bytes"]) == (1, 5)
    assert draft.metrics["vocab_size"] == tokenizer.vocab_size and draft.metrics["tokens"] == sum(sizes.values())
    assert draft.metrics["bytes_per_token"] == round(28 / sum(sizes.values()), 3)


@pytest.mark.parametrize(("wanted", "said"), [(300, False), (2000, True)])
def test_a_vocabulary_that_stays_small_says_why(wanted, said, tmp_path, capsys, monkeypatch):
    write(tmp_path / "train-0.parquet", ["one two three four " * 9])
    for language, why in (("en", "every word of the text is already one token"), ("zh", "每个词都已经是一个 token")):
        monkeypatch.setenv("YAYA_LANG", language)
        (out := tmp_path / language).mkdir()
        shards.run(
            TokenizeConfig(vocab_size=wanted, han_run=4),
            {"prepare": Artifact(tmp_path, {})},
            Draft(out, "tokenize"),
            context(out),
        )
        assert (why in capsys.readouterr().err) == said


def test_a_tokenizer_that_is_not_there_is_named_with_its_key(tmp_path):
    with pytest.raises(UserError, match=r"tokenize\.tokenizer_from.*no_model.*tokenizer\.json"):
        config = TokenizeConfig(tokenizer_from=str(tmp_path / "no_model"))
        shards.run(config, {"prepare": Artifact(tmp_path, {})}, Draft(tmp_path, "tokenize"), context(tmp_path))


def test_a_stage_without_anything_to_train_on(tmp_path):
    (out := tmp_path / "out").mkdir()
    train(iter(["one two three\n"] * 9), 300, 0).save(tmp_path, 64)
    draft = Draft(out, "tokenize")
    shards.run(TokenizeConfig(tokenizer_from=str(tmp_path)), {"prepare": Artifact(tmp_path, {})}, draft, context(out))
    assert (draft.metrics["tokens"], draft.metrics["bytes_per_token"]) == (0, 0)


def test_a_tokenizer_that_is_taken_over_counts_by_its_content(tmp_path):
    config = TokenizeConfig(tokenizer_from=str(tmp_path))
    assert external(TokenizeConfig()) == {} == external(config)  # loading it says what is wrong
    (tmp_path / "tokenizer.json").write_text("one")
    one = external(config)
    (tmp_path / "tokenizer.json").write_text("two")
    assert list(one) == ["tokenizer"] and one["tokenizer"] and external(config) not in ({}, one)
