"""Word files: what a reader of the document sees. The XML is written by hand after ECMA-376, part 1."""

import io
import zipfile

import pytest
from prepared import read, write

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/wordprocessingml/main"
SPACES = (
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
)


def word(body: str, namespace: str = W, path: str = "word/document.xml", **parts: str) -> bytes:
    """A file with this body; parts: `numbering`, `styles`, `footnotes`, ..."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
        archive.writestr(
            "_rels/.rels", f'<Relationships><Relationship Type="{kind}" Target="/{path}"/></Relationships>'
        )
        folder = path.rpartition("/")[0]
        for name, content in {path.rpartition("/")[2][:-4]: f"<w:body>{body}</w:body>", **parts}.items():
            archive.writestr(f"{folder}/{name}.xml", f'<w:root xmlns:w="{namespace}" {SPACES}>{content}</w:root>')
        archive.writestr(
            "word/header1.xml", f'<w:hdr xmlns:w="{namespace}"><w:p><w:r><w:t>HEADER</w:t></w:r></w:p></w:hdr>'
        )
    return out.getvalue()


def p(*runs: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr>{''.join(run if run.startswith('<') else r(run) for run in runs)}</w:p>"


def r(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def sdt(content: str, properties: str = "") -> str:
    return f"<w:sdt><w:sdtPr>{properties}</w:sdtPr><w:sdtContent>{content}</w:sdtContent></w:sdt>"


def text(tmp_path, body: str, **parts: str) -> str:
    (document,), broken = read(write(tmp_path / "a.docx", word(body, **parts)))
    assert not broken
    return document.text


DELETED = '<w:del w:id="1"><w:r><w:delText>GONE</w:delText></w:r></w:del>'
BOX = f"<w:txbxContent>{p('In a box.')}{p('Twice.')}</w:txbxContent>"
CHOICE = f'<mc:Choice Requires="wps"><w:drawing><wps:txbx>{BOX}</wps:txbx></w:drawing></mc:Choice>'
FALLBACK = f"<mc:Fallback><w:pict><v:shape><v:textbox>{BOX}</v:textbox></v:shape></w:pict></mc:Fallback>"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (p("One.") + p() + p("Two."), "One.\n\nTwo."),
        (sdt(p("In a control.")) + sdt(sdt(p("Deeper."))), "In a control.\n\nDeeper."),
        (p("Dear ", sdt(r("Ann")), "!"), "Dear Ann!"),
        (p("Name: ", sdt(r("Click here to enter text."), "<w:showingPlcHdr/>")), "Name:"),
        (p("The ", f'<w:ins w:id="1">{r("new ")}</w:ins>', DELETED, "fox"), "The new fox"),
        (f'<w:ins w:id="1">{p("Inserted.")}</w:ins><w:del w:id="2">{p("GONE")}</w:del>', "Inserted."),
        (p("A ", f"<w:moveTo>{r('moved ')}</w:moveTo>", f"<w:moveFrom>{r('GONE')}</w:moveFrom>", "word"), "A moved word"),
        (p("First half, ", properties="<w:rPr><w:del/></w:rPr>") + p("second half."), "First half, second half."),
        (p("Last.", properties="<w:rPr><w:del/></w:rPr>"), "Last."),
        (p("See ", f'<w:hyperlink>{r("the page")}</w:hyperlink>', "."), "See the page."),
        (p(f"<w:smartTag>{r('Rome')}</w:smartTag>", f"<w:customXml>{r(', Italy')}</w:customXml>"), "Rome, Italy"),
        (p(f"<w:r><mc:AlternateContent>{CHOICE}{FALLBACK}</mc:AlternateContent></w:r>", "Beside."), "Beside.\n\nIn a box.\n\nTwice."),
        (p(f'<w:r><mc:AlternateContent><mc:Choice Requires="x"/>{FALLBACK}</mc:AlternateContent></w:r>'), "In a box.\n\nTwice."),
        (p(f"<w:r><w:pict><v:textbox>{BOX}</v:textbox></w:pict></w:r>"), "In a box.\n\nTwice."),
        (p("<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/><w:t>d</w:t><w:softHyphen/><w:t>e</w:t></w:r>"), "a\tb\nc-de"),
        (p('<w:r><w:sym w:font="Wingdings" w:char="F0FC"/><w:t> done, </w:t><w:sym w:font="Symbol" w:char="F061"/></w:r>'), "✓ done, α"),
        (p("Seen ", r("HIDDEN", "<w:vanish/>"), r("too", '<w:vanish w:val="0"/>')), "Seen too"),
        (p("<w:r><w:ruby><w:rt>" + r("kan") + "</w:rt><w:rubyBase>" + r("漢") + "</w:rubyBase></w:ruby></w:r>", "字"), "漢字"),
        (p("<m:oMath><m:r><m:t>x=</m:t></m:r><m:f><m:num><m:r><m:t>1</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f></m:oMath>"), "x=1/2"),
    ],
)  # fmt: skip
def test_what_is_seen_is_read(tmp_path, body, expected):
    assert text(tmp_path, body) == expected


def char(kind: str) -> str:
    return f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>'


def code(text: str) -> str:
    return f"<w:r><w:instrText>{text}</w:instrText></w:r>"


def test_fields_show_their_results(tmp_path):
    date = char("begin") + code("DATE") + char("separate") + r("5 March") + char("end")
    simple = f'<w:fldSimple w:instr="PAGE">{r("12")}</w:fldSimple>'
    nested = char("begin") + code("IF ") + date + code(" = 1") + char("separate") + r("yes") + char("end")
    unended = p(char("begin") + code("X"), "kept") + p("and this")
    assert text(tmp_path, p("On ", date, ", page ", simple, ": ", nested, ".")) == "On 5 March, page 12: yes."
    assert text(tmp_path, unended) == "kept\n\nand this"


def table(*rows: str) -> str:
    return f"<w:tbl><w:tblPr/>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"


def cell(content: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{content if content.startswith('<') else p(content)}</w:tc>"


def test_tables(tmp_path):
    inner = table(cell("i1") + cell("i2"), cell("i3") + cell("i4"))
    body = table(
        cell("across", '<w:gridSpan w:val="3"/>'),
        cell("down", '<w:vMerge w:val="restart"/>') + cell(p("two") + p("lines")) + sdt(cell("c1")),
        cell("", "<w:vMerge/>") + cell("b2") + cell(p() + inner + p()),
        "<w:trPr><w:del/></w:trPr>" + cell("GONE") + cell("GONE"),
    )
    assert text(tmp_path, p("Before.") + body + p("After.")) == (
        "Before.\n\nacross\ndown | two lines | c1\n| b2 | i1, i2; i3, i4\n\nAfter."
    )
    frame = table(cell(p("In a frame.") + p("Second.")))
    assert text(tmp_path, frame) == "In a frame.\n\nSecond."


def level(number: int, form: str, shown: str, more: str = "") -> str:
    return f'<w:lvl w:ilvl="{number}"><w:start w:val="1"/><w:numFmt w:val="{form}"/>{more}<w:lvlText w:val="{shown}"/></w:lvl>'


def num(number: int, abstract: int, more: str = "") -> str:
    return f'<w:num w:numId="{number}"><w:abstractNumId w:val="{abstract}"/>{more}</w:num>'


def item(text: str, number: int, at: int = 0, style: str = "") -> str:
    style = f'<w:pStyle w:val="{style}"/>' if style else ""
    return p(text, properties=f'{style}<w:numPr><w:ilvl w:val="{at}"/><w:numId w:val="{number}"/></w:numPr>')


NO_SPACE = '<w:suff w:val="nothing"/>'
HEADINGS = [f'<w:pStyle w:val="Heading{n}"/>' for n in (1, 2)]
NUMBERING = (
    f'<w:abstractNum w:abstractNumId="0">{level(0, "decimal", "%1.")}{level(1, "lowerLetter", "%2)")}{level(2, "bullet", "")}</w:abstractNum>'
    f'<w:abstractNum w:abstractNumId="1">{level(0, "chineseCounting", "%1、", NO_SPACE)}'
    f'{level(1, "upperRoman", "%1.%2", "<w:isLgl/>")}</w:abstractNum>'
    f'<w:abstractNum w:abstractNumId="2">{level(0, "decimal", "Chapter %1:", HEADINGS[0])}'
    f'{level(1, "decimal", "%1.%2", HEADINGS[1])}</w:abstractNum>'
    + num(1, 0) + num(2, 0, '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride>') + num(3, 1) + num(4, 2)
)  # fmt: skip
STYLES = "".join(
    f'<w:style w:styleId="{name}">{based}<w:pPr>{pPr}</w:pPr></w:style>'
    for name, based, pPr in (
        ("Heading1", "", '<w:outlineLvl w:val="0"/><w:numPr><w:numId w:val="4"/></w:numPr>'),
        ("Heading2", "", '<w:outlineLvl w:val="1"/><w:numPr><w:ilvl w:val="1"/><w:numId w:val="4"/></w:numPr>'),
        ("List", "", '<w:numPr><w:numId w:val="1"/></w:numPr>'), ("Mine", '<w:basedOn w:val="List"/>', ""),
    )
)  # fmt: skip


def test_lists_are_numbered(tmp_path):
    body = (
        item("one", 1) + item("a", 1, 1) + item("b", 1, 1) + item("dot", 1, 2) + item("two", 1) + item("a again", 1, 1)
    )
    expected = "1. one\n  a) a\n  b) b\n    - dot\n2. two\n  a) a again"
    assert text(tmp_path, body, numbering=NUMBERING) == expected
    goes_on = item("one", 1) + p("Between.") + item("two", 1) + item("anew", 2) + item("and two", 2)
    assert text(tmp_path, goes_on, numbering=NUMBERING) == "1. one\n\nBetween.\n\n2. two\n1. anew\n2. and two"
    chinese = "".join(item(f"第{n}", 3) for n in range(1, 13)) + item("below", 3, 1)
    assert text(tmp_path, chinese, numbering=NUMBERING).split("\n")[9:] == [
        "十、第10",
        "十一、第11",
        "十二、第12",
        "  12.1 below",
    ]
    assert text(tmp_path, item("plain", 9) + item("off", 0), numbering=NUMBERING) == "plain\n\noff"
    assert text(tmp_path, item("plain", 1)) == "plain"


def test_styles_number_too_and_headings_stand_alone(tmp_path):
    def styled(text: str, style: str, more: str = "") -> str:
        return p(text, properties=f'<w:pStyle w:val="{style}"/>{more}')

    off = '<w:numPr><w:numId w:val="0"/></w:numPr>'
    body = (
        styled("Start", "Heading1") + styled("Part", "Heading2") + styled("Part", "Heading2") + p("Text.")
        + styled("End", "Heading1") + styled("x", "Mine") + styled("y", "List") + styled("z", "List", off)
    )  # fmt: skip
    assert text(tmp_path, body, numbering=NUMBERING, styles=STYLES) == (
        "Chapter 1: Start\n\n1.1 Part\n\n1.2 Part\n\nText.\n\nChapter 2: End\n\n1. x\n2. y\n\nz"
    )


def test_notes_stand_at_the_end(tmp_path):
    def note(kind: str, number: int) -> str:
        return f'<w:r><w:{kind}Reference w:id="{number}"/></w:r>'

    def notes(kind: str, *texts: str) -> str:
        own = "".join(
            f'<w:{kind} w:id="{n}">{p("<w:r><w:" + kind + "Ref/></w:r>", t)}</w:{kind}>' for n, t in enumerate(texts, 2)
        )
        return f'<w:{kind} w:id="0" w:type="separator">{p("<w:r><w:separator/></w:r>")}</w:{kind}>' + own

    body = p("One", note("footnote", 3), " two", note("endnote", 2), " three", note("footnote", 2), ".") + p("End.")
    found = text(tmp_path, body, footnotes=notes("footnote", "first", "second"), endnotes=notes("endnote", "last"))
    assert found == "One[1] two[2] three[3].\n\nEnd.\n\n[1] second\n[2] last\n[3] first"


def test_files_of_the_strict_kind_and_in_other_folders(tmp_path):
    data = word(p("Strict."), namespace=STRICT, path="doc/main.xml")
    assert read(write(tmp_path / "a.docx", data))[0][0].text == "Strict."


def test_a_damaged_part_is_named(tmp_path):
    (broken,) = read(write(tmp_path / "a.docx", word(p("x") + "<w:p>")))[1]
    assert broken.problem.kind == "damaged" and "word/document.xml" in broken.problem.en
    (document,), (broken,) = read(write(tmp_path / "b.docx", word(item("x", 1), numbering="<w:num")))
    assert document.text == "x" and broken.where == "word/numbering.xml"


def test_deep_files_end(tmp_path):
    deep = (
        sdt("").replace("<w:sdtContent>", "<w:sdtContent>" * 3000).replace("</w:sdtContent>", "</w:sdtContent>" * 3000)
    )
    assert text(tmp_path, p("before") + deep + p("after")) == "before\n\nafter"


@pytest.mark.parametrize("at", ["x", "²", "-1", "9", "12", "9" * 5000])
def test_levels_that_no_list_has_are_none(tmp_path, at):
    body = p("a", properties=f'<w:numPr><w:ilvl w:val="{at}"/><w:numId w:val="1"/></w:numPr>') + item("b", 1)
    assert text(tmp_path, body, numbering=NUMBERING) == "a\n\n1. b"
    override = (
        f'<w:lvlOverride w:ilvl="{at}"><w:startOverride w:val="{at}"/>{level(0, "decimal", "%1.")}</w:lvlOverride>'
    )
    odd = f'<w:abstractNum w:abstractNumId="0">{level(0, "decimal", "%1.")}</w:abstractNum>{num(1, 0, override)}'
    odd = odd.replace('w:ilvl="0"', f'w:ilvl="{at}"')
    assert text(tmp_path, item("b", 1), numbering=odd) == "b"


@pytest.mark.parametrize("form", ["upperRoman", "lowerLetter", "decimal", "chineseCounting"])
def test_numbers_stay_short_whatever_a_list_begins_with(tmp_path, form):
    for start in ("999999", "9" * 5000, "-1", "²"):
        numbering = f'<w:abstractNum w:abstractNumId="0">{level(0, form, "%1.")}</w:abstractNum>{num(1, 0)}'
        numbering = numbering.replace('<w:start w:val="1"/>', f'<w:start w:val="{start}"/>')
        assert len(text(tmp_path, item("b", 1), numbering=numbering)) < 20


def test_tables_and_rows_within_each_other_end(tmp_path):
    cell = f"<w:tc>{p('y')}</w:tc>"
    body = (
        "<w:tbl><w:tr><w:tc>" * 3000 + p("x") + f"</w:tc>{cell}</w:tr></w:tbl>" + f"</w:tc>{cell}</w:tr></w:tbl>" * 2999
    )
    assert text(tmp_path, p("before") + body + p("after")).startswith("before\n\n")
    rows = "<w:tbl>" + "<w:sdt>" * 3000 + f"<w:tr>{cell}{cell}</w:tr>" + "</w:sdt>" * 3000 + "</w:tbl>"
    assert text(tmp_path, p("before") + rows + p("after")) == "before\n\nafter"


def test_a_note_that_is_referred_to_twice_stands_once(tmp_path):
    reference = '<w:r><w:footnoteReference w:id="1"/></w:r>'
    found = text(
        tmp_path, p("a", reference, "b", reference), footnotes=f'<w:footnote w:id="1">{p("note")}</w:footnote>'
    )
    assert found == "a[1]b[2]\n\n[1] note"
