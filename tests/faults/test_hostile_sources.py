"""Hostile and damaged input: it is set aside with file and place, nothing crashes, and the good around it is kept."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from prepared import balanced, prepare, read, rows, write
from test_prepare_readers import docx, epub, http, pdf, warc, wiki

from yaya.prepare.read import html

GOOD = b'{"text": "good %d"}\n'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "cut', "bad json: "),
        (b'{"text": "lone \\ud800 surrogate"}', "bad json: "),
        (b'{"text": "a raw \xed\xa0\x80 surrogate"}', "bad encoding: "),
        (b'{"text": "a raw \0 NUL"}', "bad json: "),
        (b"\0\0\0\0", "bad json: "),
        (b'{"text": "\xff\xfe"}', "bad encoding: "),
        (b"[" * 100_000, "bad json: "),
        (b'{"text": NaN}', "wrong type: "),
        (b'{"text": ' + b"9" * 5000 + b', "n": NaN}', "bad json: "),
        (b'{"messages": {"role": "user"}}', "wrong type: "),
        (b'{"text": {"text": {"text": 1}}}', "wrong type: "),
        (b'{"text": "' + b"long " * 1000 + b'"}', "too large: "),
        (b"null", "wrong type: "),
    ],
)
def test_a_bad_line_is_set_aside_and_the_lines_around_it_are_kept(tmp_path, monkeypatch, line, reason):
    if reason == "too large: ":
        monkeypatch.setattr("yaya.prepare.read.line_by_line.LONGEST_LINE", 1000)
    source = write(tmp_path / "a.jsonl", GOOD % 1 + b'{"text": "%s"}\n' % "好好好好".encode() + line + b"\n" + GOOD % 2)
    draft = prepare(tmp_path / "out", source, validation_fraction=0)
    assert balanced(draft)["quarantined"] == 1
    assert [row["text"] for row in rows(draft, "train")] == ["good 1", "好好好好", "good 2"]
    (dropped,) = rows(draft, "dropped")
    assert dropped["source"] == str(source) and dropped["where"] == "line 3"
    assert dropped["reason"].startswith(f"quarantined: {reason}")


def test_an_escaped_nul_is_taken_out_like_any_control_character(tmp_path):
    draft = prepare(tmp_path / "out", write(tmp_path / "a.jsonl", b'{"text": "a\\u0000b"}\n'), validation_fraction=0)
    assert rows(draft, "train")[0]["text"] == "ab"


LINES = b"".join(GOOD % n + b'{"text": "%s"}\n' % os.urandom(20).hex().encode() for n in range(20_000))


@pytest.mark.parametrize(
    ("ending", "pack"),
    [
        ("gz", gzip.compress),
        ("zst", zstandard.compress),
        ("bz2", bz2.compress),
        ("xz", lambda d: lzma.compress(d, preset=0)),
    ],
)
@pytest.mark.parametrize("how", ["cut", "bent"])
def test_of_a_damaged_archive_what_comes_before_is_kept(tmp_path, ending, pack, how):
    data = bytearray(pack(LINES))
    if how == "cut":
        del data[len(data) * 2 // 3 :]
    else:
        data[len(data) * 2 // 3] ^= 0xFF
    write(tmp_path / "d" / f"a.jsonl.{ending}", bytes(data))
    write(tmp_path / "d" / "z.jsonl", GOOD % 7)
    documents, broken = read(tmp_path / "d")
    assert documents[-1].source.endswith("z.jsonl")
    if how == "bent" and ending == "zst" and not broken:
        pytest.skip("bent where nothing checks it")
    assert broken[-1].source.endswith(f"a.jsonl.{ending}") and broken[-1].problem.kind in (
        "damaged",
        "bad json",
        "bad encoding",
    )
    assert how == "bent" or len(documents) > 1000


def test_names_that_lie(tmp_path):
    write(tmp_path / "d" / "a.jsonl.zst", GOOD % 1)  # no zst
    write(tmp_path / "d" / "b.jsonl.gz", zstandard.compress(GOOD % 2))
    write(tmp_path / "d" / "c.jsonl.zst", b"\x28\xb5\x2f\xfd" + b"rubbish" * 9)
    write(tmp_path / "d" / "d.epub", b"PK no zip")
    write(tmp_path / "d" / "e.parquet", b"PAR1 no parquet PAR1")
    write(tmp_path / "d" / "f.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0")
    documents, broken = read(tmp_path / "d")
    assert [document.text for document in documents] == ["good 1", "good 2"]
    assert [(b.source.rsplit("/")[-1], b.problem.kind) for b in broken] == [
        ("c.jsonl.zst", "damaged"), ("d.epub", "damaged"), ("e.parquet", "damaged"), ("f.txt", "binary"),
    ]  # fmt: skip


def test_a_parquet_file_that_is_cut_off_or_bent(tmp_path):
    out = io.BytesIO()
    pq.write_table(
        pa.table({"text": [f"text {n} {os.urandom(30).hex()}" for n in range(3000)]}), out, row_group_size=500
    )
    data = out.getvalue()
    write(tmp_path / "d" / "a.parquet", data[: len(data) // 2])
    write(tmp_path / "d" / "b.parquet", data[:20_000] + bytes(20_000) + data[40_000:])
    write(tmp_path / "d" / "c.txt", "good")
    documents, broken = read(tmp_path / "d")
    assert (
        sum(document.source.endswith("b.parquet") for document in documents) >= 1500
    )  # of the groups before and after
    assert documents[-1].text == "good" and {b.problem.kind for b in broken} == {"damaged"}


def test_bombs_are_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("yaya.prepare.read.zipped.LARGEST_MEMBER", 1 << 20)
    zeros = bytes(20 << 20)
    bomb = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(epub("<p>x</p>"))) as book, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as out:
        for name in book.namelist():
            out.writestr(name, zeros if name.startswith("O/0") else book.read(name))
    write(tmp_path / "d" / "a.epub", bomb.getvalue())
    bomb = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(docx("x"))) as book, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as out:
        for name in book.namelist():
            out.writestr(name, zeros if name == "word/document.xml" else book.read(name))
    write(tmp_path / "d" / "b.docx", bomb.getvalue())
    write(tmp_path / "d" / "c.txt", "good")
    documents, broken = read(tmp_path / "d")
    assert [document.text for document in documents] == ["good"]
    assert [(b.source[-6:], b.problem.kind) for b in broken] == [("a.epub", "too large"), ("b.docx", "too large")]


@pytest.mark.parametrize("name", ["a.html.gz", "a.json.gz", "a.epub.gz", "a.docx.gz", "a.pdf.gz"])
def test_what_must_be_read_whole_has_a_limit(tmp_path, monkeypatch, name):
    monkeypatch.setattr("yaya.prepare.read.source_files.LARGEST", 1000)
    write(tmp_path / "d" / name, gzip.compress(b"[\n" + b" " * 100_000))
    write(tmp_path / "d" / "z.txt", "good")
    documents, (broken,) = read(tmp_path / "d")
    assert [document.text for document in documents] == ["good"]
    assert broken.problem.kind == "too large" and broken.source.endswith(name)


def test_a_packed_parquet_file_has_a_limit_too(tmp_path, monkeypatch):
    monkeypatch.setattr("yaya.prepare.read.source_files.LARGEST", 1000)
    write(tmp_path / "d" / "a.parquet.gz", gzip.compress(b"PAR1" + bytes(100_000) + b"PAR1"))
    (broken,) = read(tmp_path / "d")[1]
    assert broken.problem.kind == "too large"


def test_an_endless_text_is_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("yaya.prepare.read.texts.LONG_TEXT", 10_000)
    monkeypatch.setattr("yaya.prepare.read.texts.PART", 1000)
    text = "".join(f"第{n}行。\n" + "\n" * (n % 7 == 0) for n in range(3000))
    documents, broken = read(write(tmp_path / "a.txt.gz", gzip.compress(text.encode())))
    assert "".join(document.text for document in documents) == text and not broken
    assert len(documents) > 20 and documents[1].where == f"line {documents[0].text.count(chr(10)) + 1}"
    assert max(len(document.text) for document in documents) < 3000


@pytest.mark.parametrize("tag", ["<div>", "<ul><li>", "<table><tr><td>", "<b>", "<div class=menu>"])
@pytest.mark.parametrize("reader", [html.html_to_text, html.main_text])
def test_a_page_a_hundred_thousand_tags_deep(tag, reader):
    page = "<p>before</p>" + tag * (100_000 // tag.count("<")) + "inside" + "<p>after</p>"
    text = reader(page)
    assert "before" in text
    assert "inside" in text or (reader is html.main_text and "menu" in tag)


def test_a_wiki_dump_that_is_cut_off_keeps_the_whole_pages(tmp_path):
    dump = wiki(*((f"T{n}", "0", f"Text {n}") for n in range(50)))
    write(tmp_path / "d" / "a.xml", dump[: len(dump) // 2])
    write(tmp_path / "d" / "b.xml.bz2", bz2.compress(dump.encode())[:-30])
    write(tmp_path / "d" / "c.xml", dump.replace("<title>T25", "<tit\0le>T25"))
    documents, broken = read(tmp_path / "d")
    counts = [sum(document.source.endswith(name) for document in documents) for name in ("a.xml", "b.xml.bz2", "c.xml")]
    assert counts[0] in (24, 25) and counts[2] == 49
    assert [b.problem.kind for b in broken] == ["damaged"] * 3
    assert broken[0].where.startswith("line ") and broken[2].where.startswith("line ")


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)


def test_xml_whose_entities_grow_is_no_bomb(tmp_path):
    dump = BOMB + wiki(("T", "0", "&i;" * 10))
    write(tmp_path / "d" / "a.xml", dump)
    write(tmp_path / "d" / "z.txt", "good")
    documents, broken = read(tmp_path / "d")
    assert documents[-1].text == "good" and sum(len(document.text) for document in documents) < 1 << 24
    assert len(broken) == 1


def test_a_warc_that_is_cut_off_or_broken(tmp_path):
    page = http("<p>" + "A sentence that is long enough to be the main text of a page. " * 9)
    data = warc(*(("response", f"http://a/{n}", page) for n in range(5)))
    write(tmp_path / "d" / "a.warc", data[:-200])
    write(tmp_path / "d" / "b.warc", data[: len(data) // 2] + b"\r\nrubbish\r\n" * 200)
    write(tmp_path / "d" / "c.warc", data.replace(b"Content-Length: ", b"Content-Length: x", 1))
    write(
        tmp_path / "d" / "d.warc",
        warc(("response", "http://a", page.replace(b"charset=utf-8", b"x\r\nContent-Encoding: gzip"))),
    )
    write(tmp_path / "d" / "e.warc", data.replace(b"Content-Length: ", b"Content-Length: -", 1))
    documents, broken = read(tmp_path / "d")
    assert sum(document.source.endswith("a.warc") for document in documents) == 4
    assert sum(document.source.endswith("b.warc") for document in documents) >= 2
    assert {b.source[-6:] for b in broken} >= {"a.warc", "b.warc", "c.warc", "e.warc"}
    assert all(b.problem.kind == "damaged" for b in broken)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_broken_record_of_a_warc_costs_no_other(tmp_path, pack):
    text = "A sentence that is long enough to be the main text of a page. " * 9
    records = [warc(("conversion", f"http://a/{n}", f"{n}: {text} {os.urandom(200).hex()}".encode())) for n in range(9)]
    packed = [bytearray(pack(record)) for record in records]
    if pack is bytes:
        packed[3] = packed[3].replace(b"WARC/1.0", b"XXXX/1.0")
        packed[6] = packed[6].replace(b"Content-Length: ", b"Content-Length: x")
    else:
        packed[3][200:210] = bytes(10)
        del packed[6][200:300]
    documents, broken = read(write(tmp_path / "a.warc.gz", b"".join(packed)))
    assert [document.text[:1] for document in documents] == list("0124578")
    assert {b.problem.kind for b in broken} == {"damaged"} and len(broken) == 2
    assert all(b.where.startswith(("record ", "byte ")) for b in broken)
    assert "record 9" in documents[-1].where or pack is not bytes


@pytest.mark.parametrize("end", ["\n", ""])
def test_broken_pages_of_a_dump_cost_no_other(tmp_path, monkeypatch, end):
    dump = wiki(*((f"T{n}", "0", f"Text {n} 文字\nof two lines.") for n in range(50))).replace(
        "</page>\n", "</page>" + end
    )
    dump = dump.replace("Text 7 ", "Text <7 ").replace("Text 20 ", "Text &20; ").replace("<title>T33", "<ti\0le>T33")
    for block in (1 << 16, 100):
        monkeypatch.setattr("yaya.prepare.read.wiki.BLOCK", block)
        documents, broken = read(write(tmp_path / "a.xml", dump))
        titles = [document.text.split("\n")[0] for document in documents]
        assert titles == [f"T{n}" for n in range(50) if n not in (7, 20, 33)]
        lines = [1 + dump[: dump.index(bad)].count("\n") for bad in ("<7", "&20", "<ti\0")]
        assert [b.where for b in broken] == [f"line {n}" for n in lines]


def test_a_book_without_contents_and_a_scan_without_text(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as book:
        book.writestr("META-INF/container.xml", "<container/>")
    write(tmp_path / "d" / "a.epub", out.getvalue())
    write(tmp_path / "d" / "b.pdf", pdf(""))
    write(tmp_path / "d" / "c.pdf", pdf("text")[:200])
    write(tmp_path / "d" / "d.epub", epub("<p>x</p>")[:-40])
    write(tmp_path / "d" / "e.docx", epub("<p>x</p>"))
    documents, broken = read(tmp_path / "d")
    assert not documents
    assert [b.problem.kind for b in broken] == ["damaged", "no text layer", "damaged", "damaged", "other kind"]


def test_csv_that_goes_wrong_keeps_the_rows_before_and_after(tmp_path):
    data = b"text,n\n" + b"".join(b"row number %d,1\n" % n for n in range(20_000)) + b"\xff\xfe,1\nlost,2\n"
    documents, (broken,) = read(write(tmp_path / "a.csv", data))
    assert len(documents) == 20_001 and (broken.where, broken.problem.kind) == ("line 20002", "bad encoding")
    documents, (broken,) = read(write(tmp_path / "b.csv", b'text,n\nfine,1\n"never closed,2\n' + b"x,3\n" * 10))
    assert [document.text for document in documents] == ["fine", *"x" * 10] and broken.where == "line 3"
