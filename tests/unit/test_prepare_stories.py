"""Marks between documents divide; marks that are spoken of stay. Markdown without front matter and comments."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prepared import balanced, chat, lines, prepare, read, rows, write

from yaya.prepare.read import texts
from yaya.prepare.read.endoftext import stories, without_marks
from yaya.prepare.read.markdown import Code, without_comments

MARKS = [
    "<|endoftext|>",
    "<|eot_id|>",
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "[EOS]",
    "<EOD>",
    "<|eos|>",
    "<｜end▁of▁sentence｜>",
]


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize(
    "form",
    [
        "{0}\n{m}\n{1}\n{m}\n{2}\n{m}\n",
        "{0}{m}{1}{m}{2}",
        "{0}\n\n{m}\n\n{1} {m}\n{2}{m}",
        "{m}\r\n{0}\r\n{m}\r\n{1}\r\n{m}\r\n{2}",
    ],
)
def test_marks_divide_stories(tmp_path, mark, form):
    told = ["Once there was a bee. It sang.", "从前有一只蜜蜂。它会唱歌。", '"Who is there?" asked the owl.\n\nNobody.']
    documents, _ = read(write(tmp_path / "a.txt", form.format(*told, m=mark)))
    assert [document.text for document in documents] == told


@pytest.mark.parametrize("mark", MARKS)
def test_the_mark_that_divides_is_named(tmp_path, mark, monkeypatch, capsys):
    monkeypatch.setenv("YAYA_LANG", "en")
    text = f"Not `<|eod|>` here.\n\nOne.\n{mark}\n{mark}\nTwo.\n{mark}\nThree.\n"
    write(tmp_path / "a.md", text)
    write(tmp_path / "b.txt", text.replace("Not `<|eod|>` here.\n\n", ""))
    monkeypatch.setattr(texts, "LONG_TEXT", 10)
    read(tmp_path / "a.md", tmp_path / "b.txt")
    said = capsys.readouterr().err
    assert said.count(f"divided into 3 documents at marks such as {mark}\n") == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<s>One here</s>\n<s>Two here</s>\n", ["One here", "Two here"]),
        ("One here</s><s>Two here</s>", ["One here", "Two here"]),
        ("<|startoftext|>One.<|endoftext|>\n<|startoftext|>Two.<|endoftext|>", ["One.", "Two."]),
        ("no full stop<|endoftext|>\nnor here<|endoftext|>\n", ["no full stop", "nor here"]),
        ("one <EOS>\ntwo <EOS>\n", ["one", "two"]),
        ("a title <|endoftext|>", ["a title"]),
        ("Text.\n<|endoftext|>", ["Text."]),
        ("It speaks of <|endoftext|> here. End.<|endoftext|>", ["It speaks of <|endoftext|> here. End."]),
    ],
)  # fmt: skip
def test_other_ways_to_write_them(text, expected):
    assert [story for _, story in stories(text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "GPT-2 joins documents with <|endoftext|> between them. Then <|endoftext|> comes again.",
        "We need a mark. <|endoftext|> is that mark.\n\nIt is <|endoftext|> which ends a text.",
        "GPT-2用<|endoftext|>分隔文档。再用<|endoftext|>结束。",
        "<|endoftext|> 是结束标记。\n\n<|endoftext|> 也是开始标记。",
        'The token `</s>` ends it.\n\nSo does "<eos>" (and [EOS]).',
        'eos = "<|endoftext|>"\nprint(eos)\n',
        "<s>49 €</s> 39 €, today only",
        "It was <s>bad</s> good.",
        "a < b and [EO] and |> and [1]",
    ],
)
def test_a_mark_that_is_spoken_of_stays(tmp_path, text):
    (document,) = read(write(tmp_path / "a.txt", text))[0]
    assert document.text == text and document.where == ""


def test_where_names_the_line(tmp_path):
    text = "one.\n<|endoftext|>\n\n\ntwo.\nmore.\n<|endoftext|>\n<|endoftext|>\nthree."
    assert [document.where for document in read(write(tmp_path / "a.txt", text))[0]] == ["line 1", "line 5", "line 9"]


def test_a_long_file_is_divided_at_marks_and_nowhere_else(tmp_path, monkeypatch):
    monkeypatch.setattr("yaya.prepare.read.texts.LONG_TEXT", 5000)
    for part in (90, 1000, 1013):  # so that parts end everywhere, within a mark too
        monkeypatch.setattr("yaya.prepare.read.texts.PART", part)
        told = [f"Story {n} begins.\n\n" + f"Line of story {n}.\n" * (n % 5) + "It ends." for n in range(400)]
        for joint in ("\n<|endoftext|>\n", "<|endoftext|>", "\n\n</s>\n\n"):
            documents, _ = read(write(tmp_path / "a.txt", joint.join(told)))
            if part > 90:
                assert [document.text for document in documents] == told
            else:  # longer stories are cut, but no mark is left
                assert not any(joint.strip() in document.text for document in documents)
        found = read(write(tmp_path / "a.txt", "\n<|endoftext|>\n".join(told)))[0]
        if part > 90:
            starts = [1 + sum(t.count("\n") + 2 for t in told[:n]) for n in range(400)]
            assert [document.where for document in found] == [f"line {n}" for n in starts]


def test_a_long_line_without_end_is_divided_too(tmp_path, monkeypatch):
    monkeypatch.setattr("yaya.prepare.read.texts.LONG_TEXT", 5000)
    monkeypatch.setattr("yaya.prepare.read.texts.PART", 300)
    told = [f"Story {n} of them. It ends." for n in range(500)]
    assert [d.text for d in read(write(tmp_path / "a.txt", "<|endoftext|>".join(told)))[0]] == told


def test_records_are_divided_and_conversations_lose_a_mark_at_the_end(tmp_path):
    records = [
        {"text": "One.<|endoftext|>Two."},
        {"text": "Three.</s>"},
        chat("Who?", "Me.</s>"),
        chat("Which mark?", "It is <|endoftext|>"),
    ]
    found, broken = read(lines(tmp_path / "a.jsonl", records))
    assert [d.text for d in found[:3]] == ["One.", "Two.", "Three."] and not broken
    assert [d.where for d in found[:3]] == ["line 1, document 1", "line 1, document 2", "line 2"]
    assert [d.messages[1]["content"] for d in found[3:]] == ["Me.", "It is <|endoftext|>"]
    pq.write_table(pa.table({"text": ["One.\n<|endoftext|>\nTwo."]}), tmp_path / "b.parquet")
    assert [d.text for d in read(tmp_path / "b.parquet")[0]] == ["One.", "Two."]


@pytest.mark.parametrize(
    ("said", "kept"),
    [("Yes.</s>", "Yes."), ("yes</s>\n", "yes"), ("Yes. <|endoftext|>", "Yes."), ("<|endoftext|>", "<|endoftext|>"),
     ('write "<|endoftext|>"', 'write "<|endoftext|>"'), ("</s> ends it", "</s> ends it")],
)  # fmt: skip
def test_a_reply_that_names_a_mark_keeps_it(said, kept):
    assert without_marks(said) == kept


def test_whole_stories_validate_and_the_accounts_balance(tmp_path):
    told = [f"Once there was a bee named B{n}. It liked the number {n * 7}." for n in range(300)]
    draft = prepare(tmp_path / "out", write(tmp_path / "a.txt", "\n<|endoftext|>\n".join(told)), near_duplicates=False)
    assert balanced(draft)["kept"] == 300
    validation = [row["text"] for row in rows(draft, "validation")]
    assert validation and set(validation) <= set(told)


def markdown(tmp_path, text: str) -> str:
    (document,) = read(write(tmp_path / "a.md", text))[0]
    return document.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\ntitle: x\n---\n# Head\n\nText.\n", "# Head\n\nText.\n"),
        ('---\ntitle: "The lamp"\ntags:\n  - a\n  - b\ndate: 2024-01-02\n---\n\nText.\n', "# The lamp\n\nText.\n"),
        ("---\r\nlayout: post\r\n---\r\nText.\r\n", "Text.\r\n"),
        ("\ufeff---\nlayout: post\n...\nText.\n", "Text.\n"),
        ("+++\ntitle = 'Lamp'\n[extra]\na = 1\n+++\nText.\n", "# Lamp\n\nText.\n"),
        ("---\n---\nText.\n", "Text.\n"),
        ("---\ntitle: x\n", "---\ntitle: x\n"),
        ("---\nA rule, and prose after it.\n\n---\nMore.\n", "---\nA rule, and prose after it.\n\n---\nMore.\n"),
        ("Text.\n\n---\ntitle: x\n---\n", "Text.\n\n---\ntitle: x\n---\n"),
        ("+++\nno toml at all\n+++\nText.\n", "+++\nno toml at all\n+++\nText.\n"),
        ("---\n- a list\n- and more\n---\n", "---\n- a list\n- and more\n---\n"),
    ],
)
def test_front_matter_is_left_out(tmp_path, text, expected):
    assert markdown(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One <!-- hidden --> two.\n", "One  two.\n"),
        ("One.\n\n<!-- hidden\n\nlines -->\nTwo.\n", "One.\n\nTwo.\n"),
        ("```html\n<!-- shown -->\n```\n<!-- hidden -->\nText.\n", "```html\n<!-- shown -->\n```\nText.\n"),
        (
            "~~~~\n```\n<!-- shown -->\n~~~\n<!-- shown -->\n~~~~\n<!-- hidden -->",
            "~~~~\n```\n<!-- shown -->\n~~~\n<!-- shown -->\n~~~~\n",
        ),
        ("Write `<!-- shown -->` or ``a ` <!-- shown -->``.\n", "Write `<!-- shown -->` or ``a ` <!-- shown -->``.\n"),
        ("Code:\n\n    <!-- shown -->\n\nText.\n", "Code:\n\n    <!-- shown -->\n\nText.\n"),
        ("Never <!-- closed.\n", "Never <!-- closed.\n"),
        ("```\nnever closed <!-- shown -->\n", "```\nnever closed <!-- shown -->\n"),
    ],
)
def test_comments_are_left_out_of_markdown(tmp_path, text, expected):
    assert markdown(tmp_path, text) == expected


def test_marks_in_code_of_markdown_divide_nothing(tmp_path):
    text = "Such a file:\n\n```\nOne.\n<|endoftext|>\nTwo.\n```\n\nThat is all.\n"
    assert markdown(tmp_path, text) == text
    assert len(read(write(tmp_path / "a.md", text + "\n<|endoftext|>\n\nMore.\n"))[0]) == 2


def test_a_text_file_keeps_what_looks_like_front_matter(tmp_path):
    text = "---\ntitle: x\n---\n<!-- kept -->\n"
    assert read(write(tmp_path / "a.txt", text))[0][0].text == text


def test_a_record_of_a_mark_alone_is_counted(tmp_path):
    draft = prepare(
        tmp_path / "out", write(tmp_path / "a.jsonl", json.dumps({"text": "<|endoftext|>"}) + '\n{"text": "a"}')
    )
    assert balanced(draft)["in"] == 2


def test_a_file_of_nothing_but_front_matter_is_counted(tmp_path):
    write(tmp_path / "d" / "_index.md", "---\ntitle:\ndraft: true\n---\n<!-- nothing -->\n")
    write(tmp_path / "d" / "a.md", "Text.\n")
    records = balanced(prepare(tmp_path / "out", tmp_path / "d"))
    assert records["in"] == 2 and records["kept"] == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n<!-- b -->\nc", "a\nc"),
        ("a\n  <!-- b\nc -->  \nd", "a\nd"),
        ("a <!-- b --> c <!-- d -->\ne", "a  c \ne"),
        ("<!-- a --> <!-- b -->\nc\n<!-- d -->", " \nc\n"),
        ("<!-->a<!-- b", "a<!-- b"),
        ("`<!-- a` b <!-- c --> d", "`<!-- a` b <!-- c --> d"),
        ("<!-- a -->\n<!-- b -->\n<!-- c -->\nd", "d"),
    ],
)
def test_comments_leave_with_their_lines(text, expected):
    assert without_comments(text) == expected


def test_marks_and_comments_look_at_each_line_once(monkeypatch):
    """Ten thousand of them in one block of code, or none that ends."""
    looked = 0

    class Text(str):
        def rfind(self, *args):
            nonlocal looked
            looked += 1
            return super().rfind(*args)

    code = Code(Text("\n" + "    x </s> y\n" * 10_000))
    assert all(code(position) for position in range(1, len(code.text), 13))
    assert looked < 30_000
    text = "<!--" * 50_000
    assert without_comments(text) == text
