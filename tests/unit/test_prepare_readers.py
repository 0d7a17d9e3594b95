"""Every kind of file: its accounts balance to the last byte. Encodings: each is read right, or the byte is named."""

import bz2
import gzip
import io
import json
import lzma
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from prepared import balanced, chat, lines, prepare, read, rows, write

CHAT = [
    {"role": "user", "content": "What is a lantern?"},
    {"role": "assistant", "content": "A lamp  that is carried.\x00"},
]
TEXT = "A lantern is a lamp that is carried. cafÃ©\r\n\r\n灯笼是一种可以提的灯。  \n"
PAGE = f"<html><head><title>T</title></head><body><article>{'<p>' + TEXT * 3 + '</p>'}</article></body></html>"


def epub(*chapters: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as book:
        book.writestr("mimetype", "application/epub+zip")
        container = '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="O/c.opf"/></rootfiles></container>'
        book.writestr("META-INF/container.xml", container)
        items = "".join(
            f'<item id="i{n}" href="{n}%20.xhtml" media-type="application/xhtml+xml"/>' for n in range(len(chapters))
        )
        spine = "".join(f'<itemref idref="i{n}"/>' for n in range(len(chapters)))
        book.writestr(
            "O/c.opf",
            f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest><spine>{spine}</spine></package>',
        )
        for n, chapter in enumerate(chapters):
            book.writestr(f"O/{n} .xhtml", chapter)
    return out.getvalue()


def wiki(*pages: tuple[str, str, str]) -> str:
    body = "".join(
        f"<page><title>{t}</title><ns>{ns}</ns><revision><text>{x}</text></revision></page>\n" for t, ns, x in pages
    )
    return f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/">\n{body}</mediawiki>'


def warc(*records: tuple[str, str, bytes]) -> bytes:
    return b"".join(
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {uri}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
        + b"\r\n\r\n"
        for kind, uri, body in records
    )


def http(page: str, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{page}".encode()


def docx(*paragraphs: str) -> bytes:
    """A Word file of paragraphs, and a table of two cells after them. Written by hand."""
    out = io.BytesIO()
    texts = [f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in (*paragraphs, "left", "right")]
    table = f"<w:tbl><w:tr><w:tc>{texts.pop(-2)}</w:tc><w:tc>{texts.pop()}</w:tc></w:tr></w:tbl>"
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    with zipfile.ZipFile(out, "w") as book:
        body = f"<w:body>{''.join(texts)}{table}</w:body>"
        book.writestr("word/document.xml", f'<w:document xmlns:w="{space}">{body}</w:document>')
    return out.getvalue()


def pdf(text: str) -> bytes:
    """A page with one line of text, or none. PDF 1.4, written by hand."""
    stream = f"BT /F1 12 Tf 50 700 Td ({text}) Tj ET".encode() if text else b""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
               b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
               b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream), b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]  # fmt: skip
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return (
        out
        + b"xref\n0 6\n0000000000 65535 f \n"
        + table
        + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(out)
    )


def table(rows: list[dict]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def jsonl(*records: object) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


POSTS = [
    {"id": "a", "title": "Lanterns?", "selftext": "Who carries\x00 one?", "author": "x"},
    {"id": "b", "body": "I do.", "parent_id": "t3_a", "author": "y", "score": 3},
    {"id": "c", "body": "Worse.", "parent_id": "t3_a", "author": "z", "score": 1},
    {"id": "d", "body": "Where?", "parent_id": "t1_b", "author": "x", "score": 1},
    {"id": "e", "body": "[deleted]", "parent_id": "t1_d", "author": "[deleted]", "score": 1},
    {"id": "f", "title": "Nobody", "selftext": "answers", "author": "x"},
]
TWEETS = [
    {
        "id": 1,
        "text": "@shop my lamp &amp; lantern broke https://t.co/ab",
        "user": {"screen_name": "x"},
        "in_reply_to_status_id": None,
    },
    {"id": 2, "text": "@x Sorry to hear that.", "user": {"screen_name": "shop"}, "in_reply_to_status_id": 1},
]
SHAREGPT = {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]}
# name -> (contents, documents that are kept, dropped, quarantined)
KINDS = {
    "a.txt": (TEXT, 1, 0, 0),
    "a.md": ("# H\n\n" + TEXT, 1, 0, 0),
    "a.html": (PAGE, 1, 0, 0),
    "a.json": (json.dumps([{"text": TEXT}, {"text": " "}, {"text": 5}]), 1, 1, 1),
    "a.jsonl": (jsonl({"text": TEXT}, {"messages": CHAT}, {"text": ""}) + b"[1]\nno\n", 2, 1, 2),
    "a.csv": ("text,n\n\"A, \"\"quoted\"\"\nline\",1\nsecond  ,2\n,3\n", 2, 1, 0),
    "a.tsv": ("question\tanswer\nq\ta\n", 1, 0, 0),
    "a.parquet": (lambda: table([{"text": TEXT, "messages": None, "x": 1}, {"text": None, "messages": CHAT, "x": 2}]), 2, 0, 0),
    "a.epub": (lambda: epub("<p>One  \x01</p>".replace("\x01", ""), "<p>第二章</p>"), 1, 0, 0),
    "a.pdf": (lambda: pdf("A line of text"), 1, 0, 0),
    "a.docx": (lambda: docx("First paragraph", "第二段"), 1, 0, 0),
    "a.xml": (wiki(("T", "0", "'''Bold''' [[x|word]] {{t}}"), ("R", "0", "#REDIRECT [[T]]"), ("Talk:T", "1", "x")), 1, 2, 0),
    "a.xml.bz2": (lambda: bz2.compress(wiki(("甲", "0", "正文")).encode()), 1, 0, 0),
    "a.warc.gz": (
        lambda: b"".join(gzip.compress(warc(r)) for r in (("warcinfo", "", b"x"), ("response", "http://a/1", http(PAGE)),
                         ("response", "http://a/2", http(PAGE, "404 Not Found")), ("response", "http://a/3", http("<nav>x</nav>")))),
        1, 1, 0,
    ),
    "a.wet": (lambda: warc(("warcinfo", "", b"x"), ("conversion", "http://a", TEXT.encode()), ("conversion", "http://b", b"\xff")), 1, 0, 1),
    "RC_2019-04.zst": (lambda: zstandard.compress(jsonl(*POSTS)), 1, 0, 0),
    "tweets.jsonl": (jsonl(*TWEETS), 1, 0, 0),
    "sharegpt.jsonl": (jsonl(SHAREGPT), 1, 0, 0),
    "alpaca.json": (json.dumps([{"instruction": "a", "input": "b", "output": "c "}]), 1, 0, 0),
    "messages.jsonl": (jsonl({"messages": CHAT}, {"messages": CHAT[:1]}), 1, 1, 0),
    "preferences.jsonl": (jsonl({"prompt": "p", "chosen": "good", "rejected": "bad"}, {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": ""}), 2, 0, 0),
    "a.txt.xz": (lambda: lzma.compress(TEXT.encode()), 1, 0, 0),
}  # fmt: skip


def made(name: str) -> bytes:
    content = KINDS[name][0]
    content = content() if callable(content) else content
    return content.encode() if isinstance(content, str) else content


@pytest.mark.parametrize("name", KINDS)
def test_accounts_balance_on_every_kind_of_source(tmp_path, name):
    _, kept, dropped, quarantined = KINDS[name]
    draft = prepare(tmp_path / "out", write(tmp_path / name, made(name)), preset="chat")
    records = balanced(draft)
    assert (records["kept"], sum(records["dropped"].values()), records["quarantined"]) == (kept, dropped, quarantined)


def test_accounts_balance_on_all_of_them_together(tmp_path):
    for name in KINDS:
        for copy in ("one", "two"):
            write(tmp_path / "d" / copy / name, made(name))
    draft = prepare(tmp_path / "out", tmp_path / "d", preset="chat", repeated_lines=True, workers=1)
    records = balanced(draft)
    assert records["in"] == 2 * sum(sum(counts) for _, *counts in KINDS.values())
    assert records["merged"] >= sum(kept for _, kept, _, _ in KINDS.values())


def text_of(tmp_path: Path, name: str) -> str:
    (row,) = rows(prepare(tmp_path / "out", write(tmp_path / name, made(name)), validation_fraction=0), "train")
    return row["text"] if row["messages"] is None else "|".join(m["content"] for m in row["messages"])


def test_what_comes_out_of_each_kind(tmp_path):
    expected = {
        "a.pdf": "A line of text",
        "a.docx": "First paragraph\n\n第二段\n\nleft | right",
        "a.epub": "One\n\n第二章",
        "a.xml": "T\n\nBold word",
        "RC_2019-04.zst": "Lanterns?\n\nWho carries one?|I do.",
        "tweets.jsonl": "my lamp & lantern broke|Sorry to hear that.",
        "alpaca.json": "a\nb|c",
    }
    assert {name: text_of(tmp_path / name, name) for name in expected} == expected


CHINESE = "天地玄黄，宇宙洪荒。这是一个在中国的小城，我们都知道他们说的话不是真的。\n"
TRADITIONAL = "這是一個在南方的小城，我們都知道他們說的話不是真的，後來他還說過這樣的話。\n"
FRENCH = "Le garçon a mangé une pêche à la fête, et il était très content d'être là.\n"


@pytest.mark.parametrize(
    ("encoding", "text", "remark"),
    [
        ("gb18030", CHINESE, "read as GB18030"), ("big5", TRADITIONAL, "read as Big5"), ("latin-1", FRENCH, "read as Latin-1"),
        ("utf-16", CHINESE, None), ("utf-16", FRENCH, None), ("utf-8", FRENCH, None), ("utf-8-sig", TRADITIONAL, None),
    ],
)  # fmt: skip
def test_old_encodings_are_read_right_and_said(tmp_path, encoding, text, remark):
    write(tmp_path / "d" / "a.txt", (text * 3).encode(encoding))
    write(tmp_path / "d" / "b.jsonl", (json.dumps({"text": text * 2}, ensure_ascii=False) + "\n").encode(encoding))
    write(tmp_path / "d" / "c.csv", f'text,n\n"{text.strip()}",1\n'.encode(encoding)) if encoding != "utf-16" else None
    draft = prepare(tmp_path / "out", tmp_path / "d", validation_fraction=0, near_duplicates=False)
    texts = [row["text"] for row in rows(draft, "train")]
    assert texts[:2] == [text * 3, text * 2] and texts[2:] in ([], [text.strip()])
    assert draft.metrics["remarks"] == ({remark: len(texts)} if remark else {})


@pytest.mark.parametrize("text", [CHINESE, TRADITIONAL, FRENCH])
def test_of_damaged_utf8_the_line_is_quarantined_and_names_the_byte(tmp_path, text):
    data = bytearray((text * 3).encode())
    at = next(n for n in range(len(data) // 2, len(data)) if data[n] >= 0xC2)
    data[at] = 0xFF
    documents, (broken,) = read(write(tmp_path / "a.txt", bytes(data)))
    assert [document.text for document in documents] == [text + "\n" + text]
    assert (broken.where, broken.reason) == ("line 2", f"bad encoding: not UTF-8: byte {at:,} is 0xff")


def test_a_chat_and_a_text_of_the_same_words_are_two(tmp_path):
    draft = prepare(tmp_path / "out", lines(tmp_path / "a.jsonl", [chat("q", "a"), {"text": "qa"}]))
    assert balanced(draft)["merged"] == 0
