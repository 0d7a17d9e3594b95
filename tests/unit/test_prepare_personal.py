"""Personal data: labelled sets in two languages counted by kind, words around a number, placeholders, and what stays."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from prepared import lines, prepare, rows

from yaya.prepare.clean.personal import Masker, mask_personal, personal_in

HERE = Path(__file__).parent
# 400 texts, and 200 hard ones: names of things before numbers, tables, links, code, several countries, near misses.
LABELLED = [
    json.loads(line)
    for name in ("personal.jsonl", "personal_hard.jsonl")
    for line in (HERE / name).read_text("utf-8").splitlines()
]
FAMILIES = {
    "hotline": r"(?:400|800)\d{7}",
    "mobile of China": r"(?:00|0)?(?:86)?0?1[3-9]\d{9}",
    "landline of China": r"(?:00)?86[2-9]\d{8,10}|0(?:10|2\d|[3-9]\d\d)[2-9]\d{6,11}",
    "mobile of Taiwan": r"(?:886)?0?9\d{8}",
    "American": r"1?[2-9]\d{9}",
    "15 digits": r"\d{15}",
    "18 digits": r"\d{17}[\dX]",
}


def family(kind: str, value: str) -> str:
    """A finer kind, by the digits alone: a fault in a small one would not show among all phone numbers."""
    digits = re.sub(r"[^0-9X]", "", value.translate({code: code - 0xFEE0 for code in range(0xFF10, 0xFF1A)}).upper())
    if kind == "PHONE" and "+" in value and not digits.startswith("86"):
        return "PHONE abroad"
    fitting = [
        name for name, form in FAMILIES.items() if ("digits" in name) == (kind == "ID") and re.fullmatch(form, digits)
    ]
    return f"{kind} {fitting[0]}" if kind in ("PHONE", "ID") and fitting else kind


def counted() -> tuple[Counter, Counter, Counter]:
    """By family: values found wherever they stand, values missed, and what was masked for nothing."""
    right, missed, wrong = Counter(), Counter(), Counter()
    for row in LABELLED:
        text, spans = row["text"], personal_in(row["text"])
        for kind, value in row["personal"]:
            places = [m.start() for m in re.finditer(re.escape(value), text)]
            found = all(
                any(s.kind == kind and s.start <= at and at + len(value) <= s.stop for s in spans) for at in places
            )
            (right if found else missed)[family(kind, value)] += 1
        for span in spans:
            part = text[span.start : span.stop]
            if not any(
                kind == span.kind and value in part and len(part) < len(value) + 10 for kind, value in row["personal"]
            ):
                wrong[family(span.kind, part)] += 1
    return right, missed, wrong


RIGHT, MISSED, WRONG = counted()


@pytest.mark.parametrize("name", sorted(RIGHT | MISSED))
def test_of_each_kind_nearly_all_is_found(name):
    assert RIGHT[name] >= 4
    assert RIGHT[name] / (RIGHT[name] + MISSED[name]) >= 0.98


@pytest.mark.parametrize("kind", ["EMAIL", "PHONE", "ID", "CARD", "IP", "ACCOUNT"])
def test_of_each_kind_little_is_masked_for_nothing(kind):
    right, missed, wrong = (sum(n for name, n in c.items() if name.split()[0] == kind) for c in (RIGHT, MISSED, WRONG))
    assert right / (right + missed) >= 0.98 and right / (right + wrong) >= 0.98


def test_a_masked_text_holds_no_value_any_more():
    for row in LABELLED:
        masked = mask_personal(row["text"])
        assert ("[" in masked) == bool(personal_in(row["text"])) or "[" in row["text"]
        assert mask_personal(masked) == masked


WORDS_AROUND = [
    # words that only begin or end like the name of a thing
    ("The department: 13812345678", "The department: [PHONE_1]"),
    ("Nobody but 13812345678 knew", "Nobody but [PHONE_1] knew"),
    ("the partner, novel, casement 13812345678", "the partner, novel, casement [PHONE_1]"),
    ("in any case 13812345678, in that case 13912345678", "in any case [PHONE_1], in that case [PHONE_2]"),
    ("To order: 13812345678", "To order: [PHONE_1]"),
    ("It is in the order. 13812345678 is mine.", "It is in the order. [PHONE_1] is mine."),
    ("the order was sent to 13812345678", "the order was sent to [PHONE_1]"),
    ("my no. is 13812345678", "my no. is [PHONE_1]"),
    ("订单电话13812345678，下单人13912345678", "订单电话[PHONE_1]，下单人[PHONE_2]"),
    # the whole word directly before
    ("case 13812345678", None), ("Case #13812345678", None), ("part no. 13812345678", None), ("No. 13812345678", None),
    ("orderNo=13812345678", None), ('"order_id": "13812345678"', None), ("订单编号为：13812345678", None),
    ("工号 13812345678", None), ("案号：13812345678", None), ("orders 13812345678, 13912345678 and 13712345678", None),
    ("SKU-13812345678", None), ("13812345678 is the tracking number", None), ("13812345678（运单号）", None),
    # American numbers without marks need a word
    ("phone: 4155550132", "phone: [PHONE_1]"), ("Phone #: (415)5550132", "Phone #: [PHONE_1]"),
    ('{"mobile":"4155550132"}', '{"mobile":"[PHONE_1]"}'), ("call me back on 4155550132", "call me back on [PHONE_1]"),
    ("cell 4155550132 or 4155550133", "cell [PHONE_1] or [PHONE_2]"), ("T: 4155550132", "T: [PHONE_1]"),
    ("<td>Phone</td><td>4155550132</td>", "<td>Phone</td><td>[PHONE_1]</td>"),
    ("tel. no. 4155550132; (night): 4155550133; total: 4155550134", "tel. no. [PHONE_1]; (night): [PHONE_2]; total: 4155550134"),
    ("The part number reads 13812345678", None), ("4155550132", None), ("total 4155550132", None), ("phone 20240513", None), ("call 2024-05-13 10:30", None),
    # Taiwan, Hong Kong, Macau, the mainland
    ("0912-345-678, 0912 345 678, 0912345678", "[PHONE_1], [PHONE_1], [PHONE_1]"),
    ("+886 912 345 678 / (+886) 2-2345-6789", "[PHONE_1] / [PHONE_2]"),
    ("(02)2345-6789 分機 12", "[PHONE_1]"), ("852-2345 6789；+853 6612 3456", "[PHONE_1]；[PHONE_2]"),
    ("電話 2345 6789", "電話 [PHONE_1]"), ("+86 138 1234 5678、0086-13912345678", "[PHONE_1]、[PHONE_2]"),
    ("(010) 6293 8417转803", "[PHONE_1]"), ("4008201234；800-820-1234；4006-170-395", "[PHONE_1]；[PHONE_2]；[PHONE_3]"),
    ("１３８－１２３４－５６７８", "[PHONE_1]"), ("电话1:13812345678/13912345678", "电话1:[PHONE_1]/[PHONE_2]"),
    ("95588、10086、12345、110", None),
    ("0049 30 2312 5640, 0049302312", "[PHONE_1], 0049302312"), ("0123 4567 8901", None),
    ("Your order, 13812345678, has been packed", None), ("XK-13812345678", None),
    ("Part no. 415-555-0190 fits the old one, take 415-555-0191", None),
    # tables, links, code
    ("| id | phone |\n|---|---|\n| 13812345678 | 4155550132 |", "| id | phone |\n|---|---|\n| 13812345678 | [PHONE_1] |"),
    ("姓名\t订单号\t手机\n甲\t13812345678\t13912345678", "姓名\t订单号\t手机\n甲\t13812345678\t[PHONE_1]"),
    ("https://x.org/13812345678.html www.x.cn/13812345678", None), ("/data/13812345678/a.txt 13812345678.jpg", None),
    ("http://x.org/?tel=13812345678", "http://x.org/?tel=[PHONE_1]"), ("range(13812345678)", None),
    ("Ann(13812345678)", "Ann([PHONE_1])"), ("13812345678 bytes，13812345678元", None), ("$13812345678 3.13812345678", None),
    ("v13812345678 0x13812345678 138-1234-5678-9012", None),
    # other kinds
    ("110101199913321238 160101199901011231", None),  # the check digit is right, there is no 32nd of a 13th month and no province 16
    ("身份证 110101900307123；流水号 110101900307123", "身份证 [ID_1]；流水号 110101900307123"),
    ("In any case 4111 1111 1111 1111, order 4111 1111 1111 1111", "In any case [CARD_1], order 4111 1111 1111 1111"),
    ("a@163.com, b@139.com, c@x.rs, logo@2x.png a@2x.avif", "[EMAIL_1], [EMAIL_2], [EMAIL_3], logo@2x.png a@2x.avif"),
    ("ann (at) mail (dot) example (dot) org at noon", "[EMAIL_1] at noon"), ("Meet at 5 dot com", None),
    ("Chrome/115.0.0.0, x==1.2.3.4, v1.2.3.4, 45.76.188.21", "Chrome/115.0.0.0, x==1.2.3.4, v1.2.3.4, [IP_1]"),
    ("黑名单列表：45.76.18.21；节点 45.76.18.22", "黑名单列表：[IP_1]；节点 [IP_2]"), ("kernel: DROP SRC=23.45.12.34", "kernel: DROP SRC=[IP_1]"),
    ("第 3.4.5.6 条；固件 4.2.13.7 有误，请退回 4.2.13.5", None),
    ("微信号：wo_ai_ni1，QQ 123456789，QQ群 500 人", "微信号：[ACCOUNT_1]，QQ [ACCOUNT_2]，QQ群 500 人"),
    ("GB82 WEST 1234 5698 7654 32, GB83 WEST 1234 5698 7654 32", "[ACCOUNT_1], GB83 WEST 1234 5698 7654 32"),  # Wikipedia's
    ("身分證 A123456789，A123456788；A123456(3)、A123456(4)", "身分證 [ID_1]，A123456788；[ID_2]、A123456(4)"),  # as in their descriptions
]  # fmt: skip


@pytest.mark.parametrize(("text", "masked"), WORDS_AROUND)
def test_what_stands_around_a_number_says_what_it_is(text, masked):
    assert mask_personal(text) == (text if masked is None else masked)


ADDRESSES = [
    # places on a computer, pictures
    ("git@host.org:me/x.git, hg@host.org/x, ssh://svn@host.org", None), ("git@host.org, hg@host.org.", "[EMAIL_1], [EMAIL_2]."),
    ("ann@host.org:/home and ann@host.org:~/x", None), ("ann@host.org: hello, ann@host.org/ and http://bob@host.org", "[EMAIL_1]: hello, [EMAIL_1]/ and http://[EMAIL_2]"),
    ("GIT@host.org:x", None), ("://git@host.org", None), ("digit@host.org:x", "[EMAIL_1]:x"), ("icon@web.png, icon@web.PNG, a@4.17.x.org", None), ("icon@png.org", "[EMAIL_1]"),
    # other ways to write the mark
    ("x?to=ann%40host.org", "x?to=[EMAIL_1]"), ("50% of 40", None), ("ann＠host.org", "[EMAIL_1]"),
    ("ann[at]host.org", "[EMAIL_1]"), ("bob {at} host.org", "[EMAIL_1]"), ("a%40b@host.org", "[EMAIL_1]"), ("ann at host dot org", "[EMAIL_1]"), ("ann (at) host.org", "[EMAIL_1]"),
    # accounts of WeChat
    ("WeChat: available", None), ("WeChat_id: available", None), ("WeChat: ann_weber", "WeChat: [ACCOUNT_1]"), ("WeChat: annweber7", "WeChat: [ACCOUNT_1]"),
    ("微信：annweber", None), ("微信号：annweber", "微信号：[ACCOUNT_1]"), ("微信號：annweber", "微信號：[ACCOUNT_1]"), ("WeChat: ann-w", None),
    ("WeChat: ann-we", "WeChat: [ACCOUNT_1]"),
    # one in the other, one behind the other
    ("13812345678@host.org", "[EMAIL_1]"), ("ann@host.org(010)62938417", "[EMAIL_1][PHONE_1]"),
    ("13812345678、ann@host.org、45.76.188.21、13912345678", "[PHONE_1]、[EMAIL_1]、[IP_1]、[PHONE_2]"),
    # one value, however it is written; and two values that are nearly alike
    ("Ann@Host.org, ann@host.org, a.nn@host.org", "[EMAIL_1], [EMAIL_1], [EMAIL_2]"), ("2600:1::A, 2600:1::a, 2600:1a::", "[IP_1], [IP_1], 2600:1a::"),
    ("2600:1:a::1, 2600:1a::1:1", "[IP_1], [IP_2]"), ("45.76.18.21, 45.76.1.821, 45.7.61.21", "[IP_1], 45.76.1.821, [IP_2]"), ("45.7.61.21, 4.57.61.21", "[IP_1], [IP_2]"),
    ("微信号：ann_weber，微信号：annweber", "微信号：[ACCOUNT_1]，微信号：[ACCOUNT_2]"),
    ("34052419800101001X, 34052419800101001x, 340524 19800101 001X", "[ID_1], [ID_1], [ID_1]"),
    ("010-62938417转803、010-62938417转:805、(010)62938417", "[PHONE_1]、[PHONE_1]、[PHONE_1]"),
    ("+86 13812345678, 0086-13812345678, 86 13812345678, 13812345678", "[PHONE_1], [PHONE_1], [PHONE_1], [PHONE_1]"),
    ("+1 415 555 0132, 1-415-555-0132, 415-555-0132", "[PHONE_1], [PHONE_1], [PHONE_2]"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "masked"), ADDRESSES)
def test_addresses_accounts_and_which_values_are_one(text, masked):
    assert mask_personal(text) == (text if masked is None else masked)


def test_our_case_of_ordinary_words(tmp_path):
    texts = ["Call our department: 13812345678", "Call me now 13912345678", "In any case 13712345678 works",
             "In Taiwan: 0912-345-678", "order 13612345678 was sent"]  # fmt: skip
    source = lines(tmp_path / "a.jsonl", [{"text": text} for text in texts])
    found = rows(
        prepare(tmp_path / "out", source, preset="chat", near_duplicates=False, validation_fraction=0), "train"
    )
    assert sorted(row["text"] for row in found) == [
        "Call me now [PHONE_1]", "Call our department: [PHONE_1]", "In Taiwan: [PHONE_1]", "In any case [PHONE_1] works",
        "order 13612345678 was sent",
    ]  # fmt: skip


def test_placeholders_are_the_same_for_the_same_value_throughout_a_document():
    masker = Masker()
    first = masker.mask("Write to ann@mail.example.org or bob@mail.example.org, call 13812345678.")
    second = masker.mask("电话 138-1234-5678，邮箱 BOB@mail.example.org、carl@mail.example.org")
    assert first == "Write to [EMAIL_1] or [EMAIL_2], call [PHONE_1]."
    assert second == "电话 [PHONE_1]，邮箱 [EMAIL_2]、[EMAIL_3]"


def test_what_is_allowed_stays_however_it_is_written():
    masker = Masker(frozenset(["400-820-8820", "service@shop.example.com"]))
    text = "热线 4008208820 或 400 820 8820 转 5，Service@shop.example.com；别的 400-888-1234。"
    assert masker.mask(text) == text.replace("400-888-1234", "[PHONE_1]")


def test_allow_and_mask_are_keys_of_prepare(tmp_path):
    talk = [
        {"role": "user", "content": "My number is 13812345678 and the shop's is 400-820-8820."},
        {"role": "assistant", "content": "Thank you, 13812345678."},
    ]
    source = lines(tmp_path / "a.jsonl", [{"messages": talk}])
    (row,) = rows(prepare(tmp_path / "1", source, preset="chat", allow=["4008208820"]), "train")
    said = [message["content"] for message in row["messages"]]
    assert said == ["My number is [PHONE_1] and the shop's is 400-820-8820.", "Thank you, [PHONE_1]."]
    (row,) = rows(prepare(tmp_path / "2", source), "train")
    assert [message["content"] for message in row["messages"]] == [message["content"] for message in talk]


def test_what_is_dropped_or_quarantined_is_shown_masked(tmp_path):
    source = lines(tmp_path / "a.jsonl", [{"text": "fine"}, {"text": 5, "from": "ann@mail.example.org"}])
    with source.open("a", encoding="utf-8") as file:
        file.write('{"text": "call 13812345678\n')
    draft = prepare(tmp_path / "out", source)
    shown = json.dumps(rows(draft, "dropped")) + (draft.path / "examples.json").read_text("utf-8")
    assert "[EMAIL_1]" in shown and "[PHONE_1]" in shown and "13812345678" not in shown and "ann@" not in shown
