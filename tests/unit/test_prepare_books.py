"""EPUB and PDF: a chapter or page that is broken costs no other; a password is called a password."""

import io
import zipfile

import pytest
from prepared import balanced, prepare, read, rows, write
from test_prepare_readers import epub, pdf

from yaya.core.messages import UserError

CHAPTERS = [f"<p>In chapter {n} the fox walks {n} miles.</p>" for n in range(1, 5)]


def changed(book: bytes, **members: bytes | None) -> bytes:
    """A zip file with other contents for some members (by their name without folder and ending); `None` leaves one out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            bare = name.rpartition("/")[2].partition(".")[0].strip()
            content = members.get(f"c{bare}" if bare.isdigit() else bare, old.read(name))
            if content is not None:
                new.writestr(name, content)
        for name, content in members.items():
            if name == "encryption" and content:
                new.writestr("META-INF/encryption.xml", content)
    return out.getvalue()


def test_a_missing_chapter_costs_no_other(tmp_path, capsys):
    source = write(tmp_path / "a.epub", changed(epub(*CHAPTERS), c1=None))
    draft = prepare(tmp_path / "out", source, validation_fraction=0)
    (row,) = rows(draft, "train")
    assert row["text"] == "\n\n".join(f"In chapter {n} the fox walks {n} miles." for n in (1, 3, 4))
    assert balanced(draft)["quarantined"] == 1 and rows(draft, "dropped")[0]["where"] == "chapter O/1 .xhtml"
    assert "O/1 .xhtml is missing" in capsys.readouterr().err


def test_a_chapter_that_is_bent_costs_no_other(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(epub(*CHAPTERS))) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) * (50 if name == "O/2 .xhtml" else 1))
    data = bytearray(out.getvalue())
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as book:
        start = book.getinfo("O/2 .xhtml").header_offset + 30 + len("O/2 .xhtml")
    data[start + 5 : start + 15] = b"\xff" * 10
    (document,), (broken,) = read(write(tmp_path / "a.epub", bytes(data)))
    assert document.text.count("chapter") == 3 and broken.where == "chapter O/2 .xhtml"


def test_a_book_without_its_first_page_of_contents_is_still_found(tmp_path):
    for container in (None, b"<broken", b"<container/>"):
        (document,), broken = read(write(tmp_path / "a.epub", changed(epub(*CHAPTERS), container=container)))
        assert document.text.count("chapter") == 4 and not broken


def test_copy_protection_is_called_so(tmp_path):
    locked = "".join(f'<CipherReference URI="O/{n}%20.xhtml"/>' for n in range(4))
    book = changed(epub(*CHAPTERS), encryption=f'<encryption xmlns="x">{locked}</encryption>'.encode())
    (broken,) = read(write(tmp_path / "a.epub", book))[1]
    assert broken.problem.kind == "locked" and "copy-protected" in broken.problem.en
    font = b'<encryption xmlns="x"><CipherReference URI="fonts/a.ttf"/></encryption>'
    assert len(read(write(tmp_path / "b.epub", changed(epub(*CHAPTERS), encryption=font)))[0]) == 1


def pages(*texts: str, **options) -> bytes:
    """A PDF of some pages; password: what opens it; algorithm: how."""
    pypdf = pytest.importorskip("pypdf")
    writer, out = pypdf.PdfWriter(), io.BytesIO()
    for text in texts:
        writer.append(io.BytesIO(pdf(text)))
    if options:
        writer.encrypt(options.get("password", ""), "owner", algorithm=options.get("algorithm", "RC4-128"))
    writer.write(out)
    return out.getvalue()


def test_a_bad_page_costs_no_other(tmp_path, capsys):
    data = pages("The first page", "(The second", "The third page").replace(
        b"/F1 12 Tf 50 700 Td ((", b"/F1 (12 Tf 50 700 Td ("
    )
    draft = prepare(tmp_path / "out", write(tmp_path / "a.pdf", data), validation_fraction=0)
    assert [row["text"] for row in rows(draft, "train")] == ["The first page\n\nThe third page"]
    assert [row["where"] for row in rows(draft, "dropped")] == ["page 2"] and balanced(draft)["quarantined"] == 1
    assert "a.pdf, page 2: this page cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
def test_an_encrypted_pdf_opens_unless_it_needs_a_password(tmp_path, algorithm):
    if algorithm.startswith("AES"):
        pytest.importorskip("cryptography")
    assert read(write(tmp_path / "a.pdf", pages("Anyone may", algorithm=algorithm)))[0][0].text == "Anyone may"
    with pytest.raises(UserError, match="this PDF needs a password") as caught:
        prepare(tmp_path / "out", write(tmp_path / "b.pdf", pages("Nobody may", password="x", algorithm=algorithm)))
    assert "Remove the password" in caught.value.en and "ownload" not in caught.value.en and "密码" in caught.value.zh


def test_without_cryptography_the_command_is_named(tmp_path, monkeypatch):
    pypdf = pytest.importorskip("pypdf")

    def lacking(self, password):
        raise pypdf.errors.DependencyError("cryptography>=3.1 is required for AES algorithm")

    monkeypatch.setattr(pypdf.PdfReader, "decrypt", lacking)
    monkeypatch.setitem(__import__("sys").modules, "cryptography", None)
    with pytest.raises(UserError, match=r'needs cryptography: pip install "yaya\[data\]"'):
        read(write(tmp_path / "a.pdf", pages("x", algorithm="RC4-128")))


def test_what_is_no_pdf_says_what_it_is(tmp_path):
    (broken,) = read(write(tmp_path / "a.pdf", b"<!DOCTYPE html><html><p>Please log in"))[1]
    assert broken.problem.kind == "other kind" and "web page" in broken.problem.en


def test_scanned_pages_among_others_are_counted(tmp_path):
    picture = b"<</Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8/Length 1>>stream\n\0\nendstream"
    data = pages("Some text", "").replace(b"%PDF-1.4", b"%PDF-1.4")
    pypdf = pytest.importorskip("pypdf")
    writer, out = pypdf.PdfWriter(io.BytesIO(data)), io.BytesIO()
    stream = pypdf.generic.StreamObject()
    stream.update({pypdf.generic.NameObject("/Subtype"): pypdf.generic.NameObject("/Image")})
    assert picture and writer.pages[1]["/Resources"]
    writer.pages[1]["/Resources"][pypdf.generic.NameObject("/XObject")] = pypdf.generic.DictionaryObject(
        {pypdf.generic.NameObject("/I"): writer._add_object(stream)}
    )
    writer.write(out)
    draft = prepare(tmp_path / "out", write(tmp_path / "a.pdf", out.getvalue()), validation_fraction=0)
    assert balanced(draft)["dropped"] == {"reading: a picture without text": 1}


def test_a_page_whose_content_is_garbage_is_named_and_a_blank_one_is_not(tmp_path):
    """pypdf raises nothing for a stream that cannot be unpacked: it logs, and gives back no text."""
    pypdf = pytest.importorskip("pypdf")
    name = pypdf.generic.NameObject
    writer, out = pypdf.PdfWriter(io.BytesIO(pages("The first", "The second", "", "The last"))), io.BytesIO()
    garbage = pypdf.generic.EncodedStreamObject()
    garbage._data = b"no zlib stream at all"
    garbage[name("/Filter")] = name("/FlateDecode")
    writer.pages[1][name("/Contents")] = writer._add_object(garbage)
    writer.write(out)
    (document,), broken = read(write(tmp_path / "a.pdf", out.getvalue()))
    assert document.text == "The first\n\nThe last"
    assert [problem.where for problem in broken] == ["page 2"]


def test_pages_that_the_file_promises_and_lacks_are_said(tmp_path):
    pypdf = pytest.importorskip("pypdf")
    number = pypdf.generic.NumberObject
    writer, out = pypdf.PdfWriter(io.BytesIO(pages("The first", "The second"))), io.BytesIO()
    writer._pages.get_object()[pypdf.generic.NameObject("/Kids")].insert(1, number(7))
    writer._pages.get_object()[pypdf.generic.NameObject("/Count")] = number(3)
    writer.write(out)
    (document,), (broken,) = read(write(tmp_path / "a.pdf", out.getvalue()))
    assert document.text == "The first\n\nThe second" and "missing: 1 of 3" in broken.reason
