"""Bad sources: the message says what, where and how to mend it, or the run goes on and says what it left out."""

import gzip
import json
import os
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from prepared import prepare, read, write

from yaya.core.messages import UserError
from yaya.prepare import corpus
from yaya.prepare.read.html import html_to_text
from yaya.prepare.settings import PrepareConfig

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0"
CHINESE = "天地玄黄，宇宙洪荒。"
GOOD = b'{"text": "good"}\n'


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("YAYA_LANG", "en")


def refused(source: Path) -> str:
    """The error's text, which must exist in both languages."""
    with pytest.raises(UserError) as caught:
        prepare(Path(tempfile.mkdtemp(dir=source.parent), "out"), source)
    assert any("\u4e00" <= c <= "\u9fff" for c in caught.value.zh)
    return caught.value.en


def test_missing_path(tmp_path):
    message = refused(tmp_path / "nowhere.txt")
    assert "nowhere.txt" in message and "prepare.sources" in message
    with pytest.raises(UserError):
        corpus.external(PrepareConfig(sources=[str(tmp_path / "nowhere.txt")]))


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.json", "a.html"])
def test_empty_file(tmp_path, name, data):
    message = refused(write(tmp_path / name, data))
    assert name in message and "empty" in message


def test_empty_file_in_a_folder_is_dropped(tmp_path):
    write(tmp_path / "d/a.txt", "")
    write(tmp_path / "d/b.txt", "text")
    assert [document.text for document in read(tmp_path / "d")[0]] == ["", "text"]


def test_folder_without_text(tmp_path):
    (tmp_path / "d").mkdir()
    assert "has no files that yaya reads" in refused(tmp_path / "d")
    write(tmp_path / "d/picture.png", PNG)
    message = refused(tmp_path / "d")
    assert "picture.png" in message and ".jsonl" in message


@pytest.mark.parametrize("name", ["a.doc", "a.json.zip", "noending", "a.gz"])
def test_unknown_kind_named_directly(tmp_path, name):
    message = refused(write(tmp_path / name, "text"))
    assert name in message and ".parquet" in message


def test_unknown_kinds_in_a_folder_are_counted_in_one_line(tmp_path, capsys):
    for name in ("a.png", "b.png", "c.css", "d.txt"):
        write(tmp_path / "d" / name, "text")
    assert len(read(tmp_path / "d")[0]) == 1
    assert "skipped 3 files" in (said := capsys.readouterr().err) and ".png 2" in said and said.count("\n") == 1


@pytest.mark.parametrize("name", ["a.txt", "a.html", "a.jsonl", "a.json"])
def test_binary_data_under_a_text_name(tmp_path, name):
    message = refused(write(tmp_path / name, PNG))
    assert name in message and "binary" in message and "Convert" in message
    write(tmp_path / "d" / name, PNG)
    write(tmp_path / "d/good.txt", "good")
    documents, (broken,) = read(tmp_path / "d")
    assert [document.text for document in documents] == ["good"] and broken.reason.startswith("binary: ")


@pytest.mark.parametrize(
    ("data", "at"),
    [
        (CHINESE.encode() + b"\xff" + CHINESE.encode(), 30),  # damaged UTF-8 is not taken for GB18030
        (CHINESE.encode()[:-1], 27),
        (b"ok \x81", 3),  # in no encoding a character
        ("\ufeffab".encode("utf-16-le")[:-1], 4),
    ],
)
def test_not_utf8_names_the_byte(tmp_path, data, at):
    message = refused(write(tmp_path / "a.txt", data))
    assert f"byte {at}" in message and "UTF-8" in message and "a.txt" in message


def test_damaged_line_is_not_read_as_another_encoding(tmp_path):
    line = json.dumps({"text": CHINESE}, ensure_ascii=False).encode()
    source = write(tmp_path / "a.jsonl", line + b"\n" + line.replace("玄".encode(), b"\xe7\x8e") + b"\n" + line)
    documents, (broken,) = read(source)
    assert len(documents) == 2 and broken.where == "line 2" and "byte 16" in broken.reason


def test_bad_json_line_is_set_aside(tmp_path):
    source = write(tmp_path / "a.jsonl", GOOD + b'{"text": "cut\n' + GOOD)
    documents, (broken,) = read(source)
    assert len(documents) == 2
    assert (broken.source, broken.where, broken.sample) == (str(source), "line 2", '{"text": "cut')
    assert broken.reason.startswith("bad json: not JSON: ")


def test_only_bad_json(tmp_path):
    message = refused(write(tmp_path / "a.jsonl", '{"text": "cut\n{"text": "cut\n'))
    assert "a.jsonl:1" in message and "not JSON" in message and "one JSON record per line" in message
    message = refused(write(tmp_path / "a.json", '[\n{"text": cut},\n{"text": }\n]'))
    assert "a.json, record 1 (line 2)" in message and "not JSON" in message


def test_deep_json_is_set_aside(tmp_path):
    deep = b'{"text": ' + b"[" * 100_000
    documents, (broken,) = read(write(tmp_path / "a.jsonl", GOOD + deep + b"\n" + GOOD))
    assert len(documents) == 2 and broken.where == "line 2"


WRONG = [{"text": 5}, {"text": None}, {"messages": []}, {"messages": "hi"}, {"messages": [{"role": "user"}]}, [1], 7]


@pytest.mark.parametrize(
    "record",
    WRONG,
)
def test_wrong_types_are_set_aside(tmp_path, record):
    source = write(tmp_path / "a.jsonl", GOOD + json.dumps(record).encode() + b"\n")
    documents, (broken,) = read(source)
    assert len(documents) == 1 and broken.where == "line 2" and broken.reason.startswith("wrong type: ")
    assert "a.jsonl:1" in refused(write(source, json.dumps(record) + "\n"))[-400:] or isinstance(record, list)


@pytest.mark.parametrize(
    ("record", "what"),
    [
        ({"messages": [{"role": "narrator", "content": "x"}]}, "messages[1] has the role 'narrator'"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "'image_url'; only text"),
        ({"instruction": "a", "output": 1}, "output must be a string, not a number"),
        ({"instruction": "a", "output": "b", "history": [["a"]]}, "history[1]"),
        ({"conversations": [{"from": "human"}]}, "conversations[1] needs from and value"),
        ({"prompt": "a", "response": None}, "there is no reply; its key could be output, response, completion"),
    ],
)
def test_broken_chats_say_which_message(tmp_path, record, what):
    assert what in read(write(tmp_path / "a.jsonl", GOOD + json.dumps(record).encode()))[1][0].reason


def test_unknown_shape_names_place_keys_and_known_shapes(tmp_path):
    message = refused(write(tmp_path / "a.jsonl", '\n{"anfrage": "x", "antwort": "y"}\n' * 3))
    assert "a.jsonl:2" in message and "anfrage, antwort" in message
    assert '{"prompt", "response"}' in message and "Rename" in message
    message = refused(write(tmp_path / "b.json", '[{"chosen": "x"}]'))
    assert "b.json, record 1" in message and "chosen" in message
    pq.write_table(pa.table({"selected": ["x"], "label": [1]}), tmp_path / "c.parquet")
    message = refused(tmp_path / "c.parquet")
    assert "c.parquet, row 1" in message and "selected, label" in message


def test_files_of_a_folder_that_hold_no_records_are_left_out_and_said_but_a_named_one_stops(tmp_path, capsys):
    write(tmp_path / "d/a.txt", "text")
    write(tmp_path / "d/package.json", '{"name": "x"}')
    documents, broken = read(tmp_path / "d")
    assert len(documents) == 1 and not broken and "package.json" in capsys.readouterr().err
    data = write(tmp_path / "d/data.jsonl", '{"name": "x"}\n{"name": "y"}\n')
    documents, (broken,) = read(tmp_path / "d")
    assert len(documents) == 1 and broken.problem.kind == "unknown shape" and broken.where == "line 1"
    assert "data.jsonl:1" in capsys.readouterr().err
    assert "data.jsonl:1" in refused(data)


MANY_LINES = b"".join(b'{"text": "document %d %s"}\n' % (n, os.urandom(20).hex().encode()) for n in range(20_000))


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("zst", zstandard.compress)])
def test_cut_off_archive(tmp_path, ending, pack):
    data = pack(MANY_LINES)
    documents, broken = read(write(tmp_path / f"a.jsonl.{ending}", data[: len(data) // 2]))
    assert 0 < len(documents) < 20_000 and broken[-1].reason.startswith("damaged: ")
    assert f"cut off after {len(documents):,} document" in broken[-1].reason
    message = refused(write(tmp_path / f"a.txt.{ending}", data[: len(data) // 2]))
    assert f"a.txt.{ending}" in message and "damaged or cut off" in message and "again" in message


def test_damaged_archive(tmp_path):
    data = bytearray(gzip.compress(MANY_LINES))
    data[100] ^= 255
    assert "damaged" in refused(write(tmp_path / "a.txt.gz", bytes(data)))


def test_cut_off_parquet(tmp_path):
    pq.write_table(pa.table({"text": ["a"] * 1000}), tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    message = refused(write(tmp_path / "b.parquet", data[: len(data) // 2]))
    assert "b.parquet" in message and "damaged or cut off" in message
    assert "empty" not in refused(write(tmp_path / "c.parquet", b""))


def test_unreadable_file(tmp_path, permissions_hold):
    path = write(tmp_path / "a.txt", "x")
    path.chmod(0)
    message = refused(path)
    assert "a.txt" in message and "permissions" in message


@pytest.mark.parametrize(("number", "why"), [(13, "Permission denied"), (5, "Input/output error")])
def test_unreadable_file_even_for_root(tmp_path, monkeypatch, number, why):
    path = write(tmp_path / "a.txt", "x")

    def deny(*_):
        raise OSError(number, why)

    monkeypatch.setattr("yaya.prepare.read.texts.opening", deny)
    message = refused(path)
    assert "a.txt" in message and why in message and "permissions" in message and "ownload" not in message


@pytest.mark.parametrize(
    "tag", ["<div>", "<ul><li>", "<b>", "<table><tr><td>", "<span>", "<blockquote><p>", "<div><nav>"]
)
def test_deep_html(tag):
    started = time.perf_counter()
    text = html_to_text("<title>T</title><p>before</p>" + tag * (100_000 // tag.count("<")) + "inside")
    assert text.startswith("T\n\nbefore") and ("inside" in text or "nav" in tag)
    assert time.perf_counter() - started < 5


def test_deep_html_that_closes_goes_on_afterwards():
    page = "<div>" * 100_000 + "x" + "</div>" * 100_000 + "<p>after</p>" + "<p>more" * 5000
    assert html_to_text(page).startswith("x\n\nafter\n\nmore\n\nmore")


def test_path_with_chinese_and_spaces(tmp_path):
    source = write(tmp_path / "我的 资料" / "第一 章 (终稿).txt", "正文")
    (document,) = read(source.parent)[0]
    assert document.source == str(source) and document.text == "正文"
    assert len(corpus.external(PrepareConfig(sources=[str(source.parent)], decontaminate=[]))) == 1


def test_messages_in_chinese(tmp_path, monkeypatch):
    monkeypatch.setenv("YAYA_LANG", "zh")
    with pytest.raises(UserError, match=r"a\.jsonl:1：不认识的格式"):
        prepare(tmp_path / "out", write(tmp_path / "a.jsonl", '{"x": 1}'))


def test_file_names_that_are_no_utf8(tmp_path):
    """As a zip from a Windows machine leaves them; they are read, and named as far as possible."""
    folder = os.fsencode(tmp_path / "d")
    os.makedirs(folder + b"/\xd7\xca\xc1\xcf")
    for name, data in (
        (b"\xd7\xca\xc1\xcf/\xff.txt", b"in a folder"),
        (b"bad\xff.jsonl", b"{"),
        (b"bad\xff.pdf", b"x"),
    ):
        try:
            with open(folder + b"/" + name, "wb") as file:
                file.write(data)
        except OSError:
            pytest.skip("this file system takes UTF-8 alone")
    with open(folder + b"/\xff.parquet", "wb") as file:
        pq.write_table(pa.table({"text": ["in a table"]}), file)
    prepare(tmp_path / "out", tmp_path / "d")
    rows = [row for path in sorted((tmp_path / "out").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    texts = {row["source"].rpartition("/d/")[2]: row["text"] for row in rows if row.get("text")}
    assert texts.keys() == {r"\xd7\xca\xc1\xcf/\xff.txt", r"\xff.parquet"}
    bad = {row["source"].rpartition("/")[2] for row in rows if "reason" in row}
    assert bad == {r"bad\xff.jsonl", r"bad\xff.pdf"}
