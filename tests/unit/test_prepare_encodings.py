"""Encodings from before Unicode: told by what the text reads like, over the whole file, and said."""

import json
import random

import pytest
from prepared import read, write

from yaya.prepare.document import Unusable
from yaya.prepare.read.encodings import OLD, encoding_of
from yaya.prepare.read.readers import decode_page

# Sentences of ours, each in the encodings that its language was written in.
SAMPLES = {
    "Güneş bugün erken doğdu ve bütün köy uyandı. Çocuklar bahçede koşarken yaşlı adam gölgede oturuyordu.": "cp1254 iso8859-9",
    "Сегодня утром солнце взошло рано, и вся деревня проснулась. Дети бегали по саду.": "cp1251 koi8-r iso8859-5 cp866",
    "Сьогодні вранці сонце зійшло рано, і все село прокинулося. Їхній дідусь сидів у тіні.": "cp1251 koi8-u",
    "Dziś rano słońce wzeszło wcześnie i cała wieś się obudziła. Żółta łódź płynęła rzeką.": "cp1250 iso8859-2",
    "Dnes ráno vyšlo slunce brzy a celá vesnice se probudila. Děti běhaly po zahradě.": "cp1250 iso8859-2",
    "Ma reggel korán kelt fel a nap, és az egész falu felébredt. Később jött az eső.": "cp1250",
    "Σήμερα το πρωί ο ήλιος ανέτειλε νωρίς και όλο το χωριό ξύπνησε.": "cp1253 iso8859-7",
    "הבוקר זרחה השמש מוקדם וכל הכפר התעורר. הילדים רצו בגינה.": "cp1255",
    "أشرقت الشمس اليوم مبكرا واستيقظت القرية كلها. كان الأطفال يركضون في الحديقة.": "cp1256",
    "Šiandien rytą saulė patekėjo anksti ir visas kaimas pabudo. Vaikai bėgiojo po sodą.": "cp1257",
    "เช้าวันนี้พระอาทิตย์ขึ้นเร็วและทั้งหมู่บ้านก็ตื่นขึ้น เด็กๆ วิ่งเล่นในสวน": "cp874",
    "今朝は太陽が早く昇り、村じゅうが目を覚ました。子どもたちは庭を走り回った。": "cp932 euc_jp iso2022_jp",
    "오늘 아침에는 해가 일찍 떠서 온 마을이 잠에서 깼다. 아이들은 뜰에서 뛰어다녔다.": "euc_kr cp949",
    "今天早上太阳升起得很早，整个村子都醒了。孩子们在院子里跑来跑去。": "gb2312 gbk gb18030",
    "今天早上太陽升起得很早，整個村子都醒了。孩子們在院子裡跑來跑去。": "big5",
    "Heute früh ging die Sonne zeitig auf, und der alte Mann saß im Schatten. Süße Äpfel gab es auch.": "cp1252 latin-1",
    "Esta mañana el sol salió temprano. ¿Quién llamó a la puerta? ¡Qué alegría!": "cp1252",
    "Tänä aamuna aurinko nousi aikaisin ja koko kylä heräsi. Lapset juoksivat puutarhassa.": "cp1252",
    "Í morgun kom sólin snemma upp og allt þorpið vaknaði. Það var góður dagur.": "cp1252",
    "“I don’t know,” said the miller – and went home…": "cp1252",
}
CASES = [(text, encoding) for text, encodings in SAMPLES.items() for encoding in encodings.split()]


@pytest.mark.parametrize(("text", "encoding"), CASES, ids=[f"{encoding}-{text[:8]}" for text, encoding in CASES])
def test_every_language_is_read_in_its_encoding(text, encoding):
    for shown in (
        text,
        text[: len(text) // 2],
        "id,name\n" + "".join(f"{n},{word}\n" for n, word in enumerate(text.split())),
    ):
        data = shown.encode(encoding)
        assert data.decode(encoding_of(data)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "café",
        "café crème",
        "it’s",
        "Zürich, Genève",
        "20 °C, 3 × 4 m², 5 €",
        "Price £20",
        "¿Qué?",
        "naïve – résumé",
        "Smørrebrød",
    ],
)
def test_a_few_western_letters_and_signs_are_just_that(text):
    for frame in ("{}", "The name is {} and it is old.\n", "a,b\n1,{}\n"):
        data = frame.format(text).encode("cp1252")
        assert encoding_of(data) == "cp1252"


@pytest.mark.parametrize(
    "text",
    [
        "déjà vu, ça va bien ici mon ami",
        "Été, hiver, là-bas, à côté, près du château, élégant, forêt, où, ça",
        "¿Dónde está el baño? Aquí, señor. Más allá, también hay más cafés.",
        "Perché non può venire? È già più tardi, così è la città.",
        "L'any passat vàrem anar a Girona amb la família. Això és molt bo, però també català.",
        "José García, Müller, François, Søren, Zoë",
        "Não há nenhuma razão para você não aprender português. São três opções: ação, coração.",
    ],
)
@pytest.mark.parametrize("times", [1, 3, 50])
def test_western_text_is_not_taken_for_that_of_its_neighbours(text, times):
    data = (text + "\n").encode("cp1252") * times
    assert encoding_of(data) == "cp1252"


@pytest.mark.parametrize(
    "charset", ["unicode_escape", "raw_unicode_escape", "utf-7", "punycode", "idna", "cp037", "hex"]
)
def test_a_page_is_read_in_no_charset_that_is_none(charset):
    page = rf"<html><meta charset={charset}><p>C:\new\u0041 +AGE- déjà vu, ça va bien ici mon ami".encode("cp1252")
    assert r"C:\new\u0041 +AGE- déjà vu" in decode_page(page)
    assert "Привет" in decode_page("<meta charset=koi8-r>Привет".encode("koi8-r"))


@pytest.mark.parametrize("word", ["Привет", "солнце", "Καλημέρα"])
def test_words_of_another_alphabet_in_an_english_text(word):
    encoding = "cp1253" if word[0] < "Ѐ" else "cp1251"
    data = f"The word on the door was {word} and nobody could read it.\n".encode(encoding)
    assert word in data.decode(encoding_of(data))


@pytest.mark.parametrize(
    "data", [b"ok \x81", b"\x00\x01\x02\x03 binary \x00\x05", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\2"]
)
def test_what_is_no_text_is_refused(data):
    with pytest.raises(Unusable):
        encoding_of(data)


def test_noise_is_refused():
    noise = random.Random(1).randbytes(5000)
    with pytest.raises(Unusable):
        encoding_of(noise)


def test_every_encoding_can_be_read():
    assert all("a".encode(codec).decode(codec) == "a" for codec in OLD)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_encodings_with_and_without_their_mark(tmp_path, encoding):
    text = "Name\tPrice\nLamp, small\t12.50\n台灯\t3\n"
    assert read(write(tmp_path / "a.txt", text.encode(encoding)))[0][0].text == text
    records = json.dumps({"text": "one"}) + "\n" + json.dumps({"text": "灯"}, ensure_ascii=False) + "\n"
    found = read(write(tmp_path / "a.jsonl", records.encode(encoding)))[0]
    assert [document.text for document in found] == ["one", "灯"]


TURKISH = "Güneş doğdu, ışık geldi."
LATE = {
    "gbk": "他们在城里的学校里学习，天气很好。",
    "cp1254": TURKISH,
    "cp1251": "Солнце взошло рано, и все проснулись.",
}


@pytest.mark.parametrize("encoding", LATE)
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_a_late_line_counts_as_much_as_the_first(tmp_path, encoding, name):
    form = {"a.txt": "{}\n", "a.csv": '"{}",1\n', "a.jsonl": '{{"text": "{}"}}\n'}[name]
    head = "text,n\n" if name == "a.csv" else ""
    ascii_lines = [f"Plain line number {n} of the old town." for n in range(6000)]  # more than 200,000 bytes
    text = head + "".join(form.format(line) for line in [*ascii_lines, LATE[encoding]])
    documents, broken = read(write(tmp_path / name, text.encode(encoding)))
    assert LATE[encoding] in documents[-1].text and not broken
    assert name == "a.txt" or len(documents) == 6001


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_one_bad_byte_costs_its_line_and_what_was_appended_in_another_encoding_is_read(tmp_path, name):
    form = {"a.csv": "{},1\n", "a.jsonl": '{{"text": "{}"}}\n'}[name]
    head = "text,n\n" if name == "a.csv" else ""
    good = [form.format(f"今天第{n}行，我们都在这里。").encode() for n in range(50)]
    good[20] = good[20].replace("今".encode(), b"\xff\xfe")
    documents, (broken,) = read(write(tmp_path / name, head.encode() + b"".join(good)))
    assert len(documents) == 49 and broken.where == f"line {22 if head else 21}" and "0xff" in broken.reason
    old = [form.format(f"今天第{n}行，我们都在这里。").encode("gbk") for n in range(50)]
    documents, broken = read(write(tmp_path / name, head.encode() + b"".join(old) + good[3]))
    assert len(documents) == 51 and not broken and documents[-1].text == "今天第3行，我们都在这里。"


@pytest.mark.parametrize(
    ("encoding", "bad"),
    [("cp1251", b"\x98"), ("cp1253", b"\xff"), ("euc_kr", b"\xff"), ("big5", b"\xff"), ("cp932", b"\x81"), ("gbk", b"\xff"),
     ("cp1257", b"\x81"), ("cp874", b"\xfd")],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.txt", "a.csv"])
def test_a_bad_byte_makes_no_other_encoding_of_it(tmp_path, encoding, bad, name):
    text = next(text for text, encodings in SAMPLES.items() if encoding in encodings.split())
    lines = [f"{n} {text}".encode(encoding) for n in range(30)]
    lines[12] = lines[12][:3] + bad + b" " + lines[12][3:]
    documents, (broken,) = read(write(tmp_path / name, b"\n".join([b"text" if name == "a.csv" else b"", *lines])))
    assert broken.where == "line 14" and f"0x{bad.hex()}" in broken.reason
    kept = [line for document in documents for line in document.text.split("\n") if line]
    assert kept == [f"{n} {text}" for n in range(30) if n != 12]


def test_of_a_text_with_a_bad_byte_the_rest_is_kept_with_a_gap(tmp_path):
    lines = [f"第{n}行，我们都在这里。" for n in range(5)]
    data = "\n".join(lines).encode()
    at = data.index("第2".encode())
    data = data[:at] + b"\xff" + data[at:]
    (document,), (broken,) = read(write(tmp_path / "a.txt", data))
    assert document.text == "\n".join([*lines[:2], "", *lines[3:]])
    assert (broken.where, broken.reason) == ("line 3", f"bad encoding: not UTF-8: byte {at} is 0xff")


def test_a_long_text_names_lines_and_bytes_too(tmp_path, monkeypatch):
    monkeypatch.setattr("yaya.prepare.read.texts.LONG_TEXT", 1000)
    monkeypatch.setattr("yaya.prepare.read.texts.PART", 300)
    data = b"".join(f"第{n}行。\n".encode() for n in range(500))
    at = data.index("第400".encode())
    documents, (broken,) = read(write(tmp_path / "a.txt", data[:at] + b"\xff" + data[at:]))
    assert (broken.where, f"byte {at:,} " in broken.reason) == ("line 401", True)
    assert "".join(document.text for document in documents) == data.decode().replace("第400行。", "")


def test_an_old_encoding_is_said_with_its_name(tmp_path, capsys):
    read(write(tmp_path / "a.txt", (TURKISH * 3).encode("cp1254")))
    assert "read as Windows-1254" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("declared", "real", "text"),
    [
        ("iso-8859-1", "cp1252", "It’s “late” – 5 €"),
        ("gb2312", "gbk", "朱镕基"),
        ("shift_jis", "cp932", "①髙橋"),
        ("euc-kr", "cp949", "뷁한글"),
    ],
)
def test_pages_are_read_as_browsers_read_them(tmp_path, declared, real, text):
    page = f'<meta charset="{declared}"><p>{text}</p>'.encode(real)
    assert text in read(write(tmp_path / "a.html", page), main=False)[0][0].text
