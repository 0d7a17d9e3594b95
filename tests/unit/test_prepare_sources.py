"""Every kind of file, every shape of record, every encoding: what comes out as documents."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from prepared import prepare, rows, write
from prepared import read as read_all

from yaya.prepare.document import Document, ReadEvents
from yaya.prepare.read.html import html_to_text
from yaya.prepare.read.records import SHAPES, contents_of
from yaya.prepare.read.sources import files_of, read_file, sources

USER, ASSISTANT = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}
CHAT = [USER, ASSISTANT]


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("YAYA_LANG", "en")


def read(*paths) -> list[Document]:
    return read_all(*paths)[0]


def test_text_file_is_one_document(tmp_path):
    text = "第一章\r\n\r\n从前有座山。\n"
    (document,) = read(write(tmp_path / "novel.txt", text))
    assert document == Document(text, None, str(tmp_path / "novel.txt"), "")


def test_folder_is_read_sorted_and_without_hidden_files(tmp_path):
    for name in ("b.txt", "a/z.md", ".hidden.txt", ".git/c.txt", "a.markdown", "C.TXT"):
        write(tmp_path / "docs" / name, name)
    found = [document.text for document in read(tmp_path / "docs")]
    assert found == ["C.TXT", "a.markdown", "b.txt", "a/z.md"]


def test_reading_is_lazy(tmp_path):
    (file, _), *_ = files_of([str(write(tmp_path / "a.jsonl", '{"text": "a"}\n' * 9 + "no JSON\n"))])
    broken = []
    documents = read_file(file, ReadEvents(broken.append, lambda *remark: None, lambda *record: None))
    assert next(documents).text == "a" and not broken
    assert len(list(documents)) == 8 and len(broken) == 1


def test_file_named_twice_is_read_once(tmp_path):
    path = write(tmp_path / "d" / "a.txt", "a")
    assert len(read(path, tmp_path / "d", path)) == 1


def test_looping_link_ends(tmp_path):
    write(tmp_path / "d" / "a.txt", "a")
    (tmp_path / "d" / "loop").symlink_to(tmp_path / "d")
    assert len(read(tmp_path / "d")) == 1


@pytest.mark.parametrize(
    ("name", "record", "expected"),
    [
        ("text", {"text": "T", "title": "x"}, "T"),
        ("content", {"content": "T"}, "T"),
        ("messages", {"messages": CHAT}, CHAT),
        ("messages beside text", {"messages": CHAT, "text": "T"}, CHAT),
        ("null beside text", {"messages": None, "text": "T"}, "T"),
        ("parts", {"messages": [USER, {"role": "assistant", "content": [{"type": "text", "text": "hello"}]}]}, CHAT),
        ("sharegpt", {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]}, CHAT),
        (
            "sharegpt roles",
            {"conversations": [{"from": "user", "value": "hi"}, {"from": "assistant", "value": "hello"}]},
            CHAT,
        ),
        ("sharegpt openai", {"conversations": CHAT}, CHAT),
        ("sharegpt system", {"conversations": CHAT, "system": "S"}, [{"role": "system", "content": "S"}, *CHAT]),
        ("empty system", {"messages": [{"role": "system", "content": " "}, *CHAT]}, CHAT),
        ("alpaca", {"instruction": "hi", "input": "", "output": "hello"}, CHAT),
        (
            "alpaca input",
            {"instruction": "a", "input": "b", "output": "hello"},
            [{"role": "user", "content": "a\nb"}, ASSISTANT],
        ),
        ("alpaca history", {"instruction": "hi", "output": "hello", "history": [["hi", "hello"]]}, CHAT * 2),
        (
            "alpaca system",
            {"instruction": "hi", "output": "hello", "system": "S"},
            [{"role": "system", "content": "S"}, *CHAT],
        ),
        ("dolly", {"instruction": "hi", "context": "", "response": "hello"}, CHAT),
        ("prompt response", {"prompt": "hi", "response": "hello"}, CHAT),
        ("prompt completion", {"prompt": "hi", "completion": "hello"}, CHAT),
        ("question answer", {"question": "hi", "answer": "hello"}, CHAT),
        ("messages as prompt", {"prompt": [USER], "completion": [ASSISTANT]}, CHAT),
    ],
)
def test_record_shapes(tmp_path, name, record, expected):
    assert contents_of(record) == [expected]
    (document,) = read(write(tmp_path / "a.jsonl", json.dumps(record)))
    assert expected in (document.text, document.messages)


def test_every_shape_has_an_example_for_the_error():
    assert all(example.startswith("{") for example in SHAPES)


def test_record_with_languages_gives_one_conversation_each():
    record = {
        "en_instruction": "hi",
        "en_input": "",
        "en_output": "hello",
        "zh_instruction": "你好",
        "zh_output": "您好",
        "metadata": {},
    }
    english, chinese = contents_of(record)
    assert english == CHAT
    assert chinese == [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "您好"}]


RECORDS = [{"text": "一二三"}, {"text": "two"}, {"messages": CHAT}]
LINES = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in RECORDS)


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json"])
@pytest.mark.parametrize(
    "data",
    [
        LINES.encode(),
        LINES.replace("\n", "\r\n\r\n").encode(),
        LINES.rstrip("\n").encode("utf-8-sig"),
        LINES.encode("utf-16"),
        LINES.encode("gb18030"),
        json.dumps(RECORDS, ensure_ascii=False).encode(),
        json.dumps(RECORDS, indent=2, ensure_ascii=False).encode("gb18030"),
        json.dumps(RECORDS, indent=2).encode("utf-16"),
    ],
    ids=["plain", "crlf", "bom", "utf16", "gb18030", "list", "list-gb18030", "list-utf16"],
)
def test_json_in_any_dress(tmp_path, name, data):
    found = read(write(tmp_path / name, data))
    assert [document.text for document in found] == ["一二三", "two", None]
    assert found[2].messages == CHAT


def test_one_record_in_a_json_file(tmp_path):
    assert read(write(tmp_path / "a.json", json.dumps({"text": "T"}, indent=2)))[0].text == "T"


def test_line_numbers_count_blank_lines(tmp_path):
    found = read(write(tmp_path / "a.jsonl", '{"text": "a"}\n\n\n{"text": "b"}\n'))
    assert [document.where for document in found] == ["line 1", "line 4"]


def test_nan_in_metadata_is_no_reason_to_lose_a_record(tmp_path):
    assert read(write(tmp_path / "a.jsonl", '{"text": "a", "score": NaN}'))[0].text == "a"


def test_parquet(tmp_path):
    table = pa.table({"text": ["一", None], "messages": [None, CHAT], "embedding": [[0.5], [1.0]]})
    pq.write_table(table, tmp_path / "a.parquet")
    one, two = read(tmp_path / "a.parquet")
    assert (one.text, one.where, two.messages, two.where) == ("一", "row 1", CHAT, "row 2")


@pytest.mark.parametrize(
    "pack", [gzip.compress, zstandard.compress, lambda data: gzip.compress(data) + gzip.compress(b""), bytes]
)
@pytest.mark.parametrize("ending", [".gz", ".zst", ""])
def test_compression_is_told_by_content_not_by_name(tmp_path, pack, ending):
    assert len(read(write(tmp_path / f"a.jsonl{ending}", pack(LINES.encode())))) == 3
    assert read(write(tmp_path / f"a.txt{ending}", pack("一\n".encode())))[0].text == "一\n"


def test_packed_parquet(tmp_path):
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    write(tmp_path / "b.parquet.gz", gzip.compress((tmp_path / "a.parquet").read_bytes()))
    assert read(tmp_path / "b.parquet.gz")[0].text == "a"


CHINESE = "天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030", "gbk"])
def test_encodings(tmp_path, encoding, capsys):
    assert read(write(tmp_path / "a.txt", CHINESE.encode(encoding)))[0].text == CHINESE
    assert ("read as GB18030" in capsys.readouterr().err) == encoding.startswith("gb")


def test_remarks_are_not_repeated_for_every_file(tmp_path, capsys):
    for n in range(20):
        write(tmp_path / "d" / f"{n}.txt", CHINESE.encode("gbk"))
    read(tmp_path / "d")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4 and "17 more" in lines[-1]


def test_html():
    page = """<!doctype html><html><head><title>T &amp; t</title><style>no</style></head><body>
    <nav>no</nav><h1>Head</h1><p>One   two<br>three&nbsp;<b>four</b>,</p><div>five</div><div>six</div>
    <script>no</script><ul><li>a</li><li>b</li></ul><p hidden>no</p><!-- no -->
    <table><tr><td>x</td><td>y</td></tr></table><pre>def f():
    return  1</pre>&#20013;&#22269;</body></html>"""
    assert html_to_text(page) == (
        "T & t\n\nHead\n\nOne two\nthree four,\n\nfive\nsix\n\n- a\n- b\n\nx | y\n\ndef f():\n    return  1\n\n中国"
    )


@pytest.mark.parametrize(
    "page", ["", "   ", "<", "<html>", "<p>", "plain", "<title>x</title>", "<!-- -->", "<frameset>"]
)
def test_html_oddities(page):
    assert "<" not in html_to_text(page).replace("<", "", page == "<")


def test_html_in_its_declared_charset(tmp_path):
    page = '<meta charset="windows-1252"><p>caf\xe9'.encode("latin-1")
    assert read(write(tmp_path / "a.html", page))[0].text == "café"


def test_every_kind_of_file_has_a_reader(tmp_path):
    from yaya.prepare.read.source_files import KINDS

    assert set(sources(True)) == set(KINDS.values())


def test_main_text_is_read_of_pages_where_that_is_wanted(tmp_path):
    page = (
        "<body><div class=menu><a href=a>Home</a> <a href=b>News</a></div><article>"
        + "<p>A long sentence of the story, with a great many words in it, so that it counts.</p>" * 20
    )
    source = write(tmp_path / "a.html", page)
    (main,), (whole,) = (
        rows(prepare(tmp_path / str(on), source, main_text=on, validation_fraction=0), "train") for on in (True, False)
    )
    assert (
        "Home" not in main["text"]
        and main["text"].startswith("A long sentence")
        and whole["text"].startswith("Home News")
    )
