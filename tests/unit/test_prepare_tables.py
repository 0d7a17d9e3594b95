"""Tables: every cell is read or set aside with its line, whatever separates them; Excel files as Excel shows them."""

import csv
import datetime
import io
import random
import re
import time
import zipfile

import pytest
from prepared import balanced, prepare, read, rows, write

from yaya.core.messages import UserError
from yaya.prepare.data_labels import KINDS
from yaya.prepare.document import FIXES, LEFT_OUT
from yaya.prepare.read import tables

RAINS = ["Apples, pears, and plums; all ripe.", "The cat\tsleeps | warm.", 'She said "no" and left.']


def texts(tmp_path, data: str | bytes, name: str = "a.csv") -> list[str | None]:
    found, broken = read(write(tmp_path / name, data))
    assert not broken
    return [document.text for document in found]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_separates_cells_is_seen(tmp_path, mark, encoding, end):
    cells = ['"' + text.replace('"', '""') + '"' for text in RAINS]
    data = end.join([f"text{mark}label", *(f"{cell}{mark}1" for cell in cells), ""])
    found, broken = read(write(tmp_path / "a.csv", data.encode(encoding)))
    assert [document.text for document in found] == RAINS and not broken
    assert [document.where for document in found] == ["line 2", "line 3", "line 4"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_one_column_is_never_cut(tmp_path, encoding):
    data = "text\n" + "\n".join(RAINS) + "\n" + '"quoted, ""x""\nover lines"\n"Go," he said.\n"never closed\nlast\n'
    expected = [*RAINS, 'quoted, "x"\nover lines', '"Go," he said.', '"never closed', "last"]
    assert texts(tmp_path, data.encode(encoding)) == expected


def test_excel_s_separator_line_and_a_space_after_commas(tmp_path):
    assert texts(tmp_path, "sep=;\r\ntext;n\r\na, b;1\r\n") == ["a, b"]
    assert texts(tmp_path, 'text, n\n"a, b", 1\n') == ["a, b"]
    assert texts(tmp_path, "text;preis\nSchöne Lampe, neu;12,50\n".encode("cp1252")) == ["Schöne Lampe, neu"]


def test_separators_within_quotes_of_the_header_do_not_count(tmp_path):
    assert texts(tmp_path, '"text";"a, b, c, d"\nLamp, small;1\nCandle;2\n') == ["Lamp, small", "Candle"]


def test_surplus_cells_are_set_aside_with_their_line_and_empty_ones_are_nothing(tmp_path, capsys):
    data = 'text,label\nfine one,1\n\nApples, pears, and plums,0\nfine two,1,,\n"over\nlines",3\nx,1,2\n'
    draft = prepare(tmp_path / "out", write(tmp_path / "a.csv", data), validation_fraction=0)
    assert balanced(draft)["quarantined"] == 2
    assert [row["text"] for row in rows(draft, "train")] == ["fine one", "fine two", "over\nlines"]
    assert [(row["where"], row["sample"]) for row in rows(draft, "dropped")] == [
        ("line 4", "Apples,  pears,  and plums, 0"), ("line 8", "x, 1, 2"),
    ]  # fmt: skip
    said = capsys.readouterr().err
    assert "a.csv:4: 4 cells, where the first row names 2. Put cells that contain a separator in quotes" in said


def test_missing_cells_count_only_where_they_are_needed(tmp_path):
    found, (broken,) = read(write(tmp_path / "a.csv", "question,answer,tag\nOnly asked\nAsked,Answered\n"))
    assert len(found) == 1 and broken.where == "line 2"
    assert texts(tmp_path, "text,label\nonly text\nboth,1\n", "b.csv") == ["only text", "both"]


@pytest.mark.parametrize("after", ['3,"other"\n4,x\n', "3,other\n4,x\n"])
def test_an_open_quote_costs_its_line(tmp_path, after):
    data = 'id,text\n1,"never closed\n2,fine\n' + after
    found, (broken,) = read(write(tmp_path / "a.csv", data))
    assert [document.text for document in found] == ["fine", "other", "x"]
    assert (broken.where, broken.problem.kind, broken.sample) == ("line 2", "open quote", '1,"never closed')


def test_many_open_quotes_take_no_longer_than_their_lines(tmp_path):
    data = "id,text\n" + '1,"open\n' * 3000 + "2,fine\n"
    found, broken = read(write(tmp_path / "a.csv", data))
    assert [document.text for document in found] == ["fine"] and len(broken) == 3000


def test_quotes_that_databases_write_and_quotes_that_are_none(tmp_path):
    assert texts(tmp_path, 'text,n\n"He said \\"hi\\", loudly",1\n"so \\"x\\"",2\n') == [
        'He said "hi", loudly',
        'so "x"',
    ]
    assert texts(tmp_path, 'text,n\n"Go," he said.,1\n5" pipe,2\n', "b.csv") == ['"Go," he said.', '5" pipe']
    assert texts(tmp_path, 'text\tn\n"Go\t1\n"ok"\t2\n', "c.tsv") == ['"Go', "ok"]


def test_a_nul_and_old_line_ends(tmp_path):
    assert texts(tmp_path, b"text,n\nwith\0 nul,1\n") == ["with nul"]
    assert texts(tmp_path, b"text,n\rone,1\rtwo,2\r", "b.csv") == ["one", "two"]


def test_a_price_list_is_a_text_that_names_its_columns(tmp_path, capsys):
    data = 'Price list 2024,,\n,,\nName,Price,Stock\n"Lamp, small",12.50,\nCandle,3,40\n'
    (document,) = read(write(tmp_path / "a.csv", data))[0]
    assert document.text == "Price list 2024\n\nName: Lamp, small\nPrice: 12.50\n\nName: Candle\nPrice: 3\nStock: 40"
    assert "read as a table" in capsys.readouterr().err
    assert texts(tmp_path, "名称,价格\n台灯,12.5\n".encode("gbk"), "b.csv") == ["名称：台灯\n价格：12.5"]


def test_a_large_table_is_cut_between_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("yaya.prepare.read.tables.PART", 1000)
    data = "name,colour\n" + "".join(f"lamp {n},red\n" for n in range(200))
    found = read(write(tmp_path / "a.csv", data))[0]
    assert "\n\n".join(d.text or "" for d in found) == "\n\n".join(f"name: lamp {n}\ncolour: red" for n in range(200))
    assert len(found) > 3 and found[0].where == "line 2" and all(len(d.text or "") < 1100 for d in found)


def test_a_column_of_an_unknown_name_is_a_text_a_row(tmp_path):
    assert texts(tmp_path, "Comment\nA nice lamp, really.\nBroke; sent it back.\n") == [
        "A nice lamp, really.",
        "Broke; sent it back.",
    ]
    assert texts(tmp_path, "This is a sentence.\nThis, too.\n", "b.csv") == ["This is a sentence.", "This, too."]


def test_rows_may_leave_out_what_is_empty_at_their_end(tmp_path):
    data = "version,name,since,until\n1,Warm,2004\n2,Hoary\n3,Breezy,2005,2007\n"
    assert texts(tmp_path, data)[0].split("\n\n")[1] == "version: 2\nname: Hoary"


PIECES = [
    "word",
    "Apples, pears",
    "a;b",
    "tab\there",
    "pipe|x",
    'say "hi"',
    '"start',
    "line\nbreak",
    "中文，好",
    "5'",
    'end"',
    " lead",
]


def test_what_python_writes_is_read_back(tmp_path):
    draw = random.Random(7)
    for _ in range(150):
        columns = draw.choice([["text"], ["text", "label"], ["id", "text", "n"]])
        told = [" ".join(draw.choices(PIECES, k=draw.randint(1, 4))) for _ in range(draw.randint(1, 8))]
        out = io.StringIO(newline="")
        mark, quoting, end = (
            draw.choice(",;\t|"),
            draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
            draw.choice(["\n", "\r\n"]),
        )
        writer = csv.writer(out, delimiter=mark, quoting=quoting, lineterminator=end)
        writer.writerows([columns, *([text if name == "text" else "7" for name in columns] for text in told)])
        assert texts(tmp_path, out.getvalue()) == told, out.getvalue()


def test_a_table_of_numbers_is_no_text(tmp_path):
    with pytest.raises(UserError, match="step, loss"):
        read(write(tmp_path / "a.csv", "step,loss\n1,2.5\n2,2.4\n"))


@pytest.mark.parametrize(
    ("data", "what"), [(b"PK\x03\x04\0\0", "zip"), (b"%PDF-1.4\n", "PDF"), (b"\x89PNG\r\n\x1a\n\0", "PNG")]
)
def test_what_is_no_table_says_what_it_is(tmp_path, data, what):
    (broken,) = read(write(tmp_path / "a.csv", data))[1]
    assert what in broken.problem.en and what.lower() in broken.problem.zh.lower()


def excel(**sheets) -> bytes:
    """An Excel file: name of a sheet -> its rows; a cell may be (value, format)."""
    openpyxl = pytest.importorskip("openpyxl")
    book, out = openpyxl.Workbook(), io.BytesIO()
    book.remove(book.active)
    for name, table in sheets.items():
        sheet = book.create_sheet(name)
        for row in table:
            sheet.append([cell[0] if isinstance(cell, tuple) else cell for cell in row])
            for column, cell in enumerate(row, 1):
                if isinstance(cell, tuple):
                    sheet.cell(sheet.max_row, column).number_format = cell[1]
    book.save(out)
    return out.getvalue()


def test_excel_sheets_are_records_or_tables(tmp_path):
    day = datetime.date(2024, 3, 5)
    data = excel(
        Prices=[["Our prices"], [], ["Name", "Price", "Since"], ["Lamp", 12.5, day], ["Candle", 3, None]],
        FAQ=[["question", "answer"], ["Open?", "At nine."]],
        Sheet3=[["text"], ["One, two."], [None], ["Three."]],
    )
    found, broken = read(write(tmp_path / "a.xlsx", data))
    assert not broken
    assert found[0].text == "Prices\nOur prices\n\nName: Lamp\nPrice: 12.5\nSince: 2024-03-05\n\nName: Candle\nPrice: 3"
    assert [m["content"] for m in found[1].messages or []] == ["Open?", "At nine."]
    assert [(d.text, d.where) for d in found[2:]] == [
        ("One, two.", "sheet Sheet3, row 2"),
        ("Three.", "sheet Sheet3, row 4"),
    ]


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        (0.1 + 0.2, "General", "0.3"), (12.50000001, "General", "12.5"), (1234567.891, "General", "1234567.891"),
        (3.0, "General", "3"), (0.00012, "General", "0.00012"),
        (12.5, "0.00", "12.50"), (12.50000001, '#,##0.00 "€"', "12.50 €"), (1234.5, "#,##0.00\\ [$€-407]", "1,234.50 €"),
        (1234.5, '"$"#,##0.00', "$1,234.50"), (-5.5, '"$"#,##0.00', "-$5.50"), (-5.5, '0.0;[Red]-0.0', "-5.5"),
        (98, "¥#,##0", "¥98"), (0.25, "0%", "25%"), (0.1234, "0.0%", "12.3%"), (7, "0", "7"), (2.5, "0.0##", "2.5"),
        (True, "General", "TRUE"), ("text ", "@", "text"), (5, "@", "5"), ("#N/A", "General", ""), (0.5, "# ?/?", "0.5"),
        (datetime.datetime(2024, 3, 5, 8, 30), "yyyy-mm-dd hh:mm", "2024-03-05 08:30"), (datetime.time(8, 30), "hh:mm", "08:30"),
        (datetime.datetime(2024, 3, 5), "dd.mm.yyyy", "2024-03-05"),
    ],
)  # fmt: skip
def test_values_are_those_that_excel_shows(tmp_path, value, form, expected):
    data = excel(S=[["name", "value"], ["it", (value, form)]])
    (document,) = read(write(tmp_path / "a.xlsx", data))[0]
    assert document.text == "S\n\nname: it" + (f"\nvalue: {expected}" if expected else "")


def rewritten(data: bytes, name: str, change) -> bytes:
    """A zip file with one member changed, or without it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for member in old.namelist():
            content = change(old.read(member)) if member == name else old.read(member)
            if content is not None:
                new.writestr(member, content)
    return out.getvalue()


def test_merged_hidden_and_uncomputed(tmp_path, capsys):
    openpyxl = pytest.importorskip("openpyxl")
    book, out = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    for row in (["Group", "Name", "Twice"], ["Light", "Lamp", "=2*3"], [None, "Candle", 6], ["Other", "Rope", 2]):
        sheet.append(row)
    sheet.merge_cells("A2:A3")
    hidden = book.create_sheet("Costs")
    hidden.append(["secret"])
    hidden.sheet_state = "hidden"
    book.save(out)
    draft = prepare(tmp_path / "out", write(tmp_path / "a.xlsx", out.getvalue()), validation_fraction=0)
    (row,) = rows(draft, "train")
    assert (
        row["text"]
        == "Group: Light\nName: Lamp\n\nGroup: Light\nName: Candle\nTwice: 6\n\nGroup: Other\nName: Rope\nTwice: 2"
    )
    assert "formulas without a value: 1" in capsys.readouterr().err
    assert balanced(draft)["dropped"] == {"reading: hidden sheet": 1}
    with_value = rewritten(
        out.getvalue(),
        "xl/worksheets/sheet1.xml",
        lambda d: re.sub(rb"<f>2\*3</f><v ?/?>(</v>)?", b"<f>2*3</f><v>6</v>", d),
    )
    assert "Lamp\nTwice: 6" in (read(write(tmp_path / "b.xlsx", with_value))[0][0].text or "")
    assert "without a value" not in capsys.readouterr().err


def test_a_sheet_that_breaks_off_costs_no_other(tmp_path):
    data = excel(One=[["text"], ["first"], ["second"]], Two=[["text"], ["third"]])
    broken_xml = rewritten(data, "xl/worksheets/sheet1.xml", lambda d: d[: d.index(b'r="3"')])
    found, (broken,) = read(write(tmp_path / "a.xlsx", broken_xml))
    assert [document.text for document in found] == ["first", "third"] and "sheet One, row 3" in broken.where
    found, (broken,) = read(write(tmp_path / "b.xlsx", rewritten(data, "xl/worksheets/sheet1.xml", lambda d: None)))
    assert [document.text for document in found] == ["third"] and broken.where == "sheet One"


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500)


@pytest.mark.parametrize(
    ("data", "kind", "word"),
    [
        (OLE + "EncryptedPackage".encode("utf-16-le"), "password", "password"),
        (OLE + "Workbook".encode("utf-16-le"), "old format", ".xls"),
        (OLE + "WordDocument".encode("utf-16-le"), "old format", ".doc"),
        (b"<html><table><tr><td>x</table>", "other kind", "web page"),
        (b"%PDF-1.4", "other kind", "PDF"),
        (b"PK\x03\x04 cut", "damaged", "zip"),
    ],
)
@pytest.mark.parametrize("ending", [".xlsx", ".docx", ".epub"])
def test_office_files_that_are_something_else_say_so(tmp_path, data, kind, word, ending):
    (broken,) = read(write(tmp_path / f"a{ending}", data))[1]
    assert broken.problem.kind == kind and word in broken.problem.en


@pytest.mark.parametrize(
    ("name", "better"), [("a.xls", ".xlsx"), ("a.ods", ".xlsx"), ("a.doc", ".docx"), ("a.mobi", ".epub")]
)
def test_files_to_convert_say_how(tmp_path, name, better, capsys):
    source = write(tmp_path / "d" / name, b"x")
    with pytest.raises(UserError, match=f"Save it as {better} first"):
        read(source)
    write(tmp_path / "d" / "b.txt", "text")
    read(tmp_path / "d")
    assert f"{name[1:]} → {better}" in capsys.readouterr().err


def test_without_the_library_the_command_is_named(tmp_path, monkeypatch):
    for name, package in (("a.xlsx", "openpyxl"), ("b.pdf", "pypdf")):
        monkeypatch.setitem(__import__("sys").modules, package, None)
        with pytest.raises(UserError, match=rf'{name}, yaya needs {package}: pip install "yaya\[data\]"'):
            read(write(tmp_path / name, b"PK"))


def test_all_that_can_be_wrong_has_a_name_in_both_languages():
    assert set(FIXES) - LEFT_OUT == set(KINDS)


def test_many_columns_of_one_name_get_numbers_in_one_pass():
    names = tables.distinct(["a", "a 2", "", "a", "a", ""] + ["b"] * 50_000)
    assert names[:6] == ["a", "a 2", "", "a 3", "a 4", ""] and names[-1] == "b 50000"
    assert len(set(names)) == len(names) - 1


def test_quotes_that_never_close_do_not_read_a_file_again_and_again(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MOST_VAIN", 1000)
    count = 0

    class Decoder(tables.LineDecoder):
        def decode(self, line):
            nonlocal count
            count += 1
            return super().decode(line)

    monkeypatch.setattr(tables, "LineDecoder", Decoder)
    found, broken = read(write(tmp_path / "a.csv", "text,label\n" + 'a","b\n' * 2000 + '"good\n\nend",1\n'))
    assert [d.text for d in found][-1] == "good\n\nend" and len(found) + len(broken) == 2001
    assert count < 2000 * (tables.FEW_LINES + 2)


def test_cells_that_are_merged_over_many_rows_take_linear_time(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for number in range(20_000):
        book.active.append(
            [("Shop", "Main shop")[number] if number < 2 else None, "Item" if not number else f"thing {number}"]
        )
    book.active.merge_cells("A2:A20000")
    book.save(tmp_path / "a.xlsx")
    started = time.process_time()
    (document,), _ = read(tmp_path / "a.xlsx")
    assert document.text.count("Shop: Main shop\nItem: thing") == 19_999
    assert time.process_time() - started < 4
