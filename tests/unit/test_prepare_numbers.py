"""Numbers that belong to a person, one by one: ranges of issuers, check digits, calendars, lengths, and addresses.

The right answers are from the standards and from published examples; check digits are made here in another way than
they are checked in yaya.
"""

from random import Random

import pytest

from yaya.prepare.clean.context import CARD, PHONE, THING, fold, label
from yaya.prepare.clean.numbers import luhn
from yaya.prepare.clean.personal import mask_personal, personal_in


def kinds(text: str) -> list[tuple[str, str]]:
    """What is found: (kind, as it is written)."""
    return [(span.kind, text[span.start : span.stop]) for span in personal_in(text)]


def is_found(kind: str, value: str, text: str = "We saw {} there.") -> bool:
    return (kind, value) in kinds(text.format(value))


# ---------------------------------------------------------------- payment cards


def card(first: str, size: int) -> str:
    """A number that begins so, of so many digits, with the check digit of ISO/IEC 7812-1 (a doubled digit's sum, by table)."""
    body = (first + "0123456789" * 2)[: size - 1]
    total = sum(int("0246813579"[int(d)]) if n % 2 == 0 else int(d) for n, d in enumerate(reversed(body)))
    return body + str(-total % 10)


ISSUERS = {
    "UnionPay": ("62 81", "61 63 80 82", range(16, 20), (14, 15, 20)),
    "Visa": ("40 49", "", (16, 19), (14, 15, 17, 18, 20)),
    "Mastercard": ("51 52 53 54 55 2221 2222 2719 2720", "50 56 2220 2721", (16,), (15, 17, 18, 19)),
    "Mir": ("2200 2204", "2199 2205", (16,), (15, 17)),
    "American Express": ("34 37", "33 38", (15,), (16, 17)),
    "Diners Club": ("36 38 39 3000 3059", "37 2999 3060", (14,), (15,)),
    "JCB": ("3528 3589", "3527 3590", (16,), (15, 17)),
    "Discover and RuPay": ("6011 60 64 65", "66 63", (16,), (15, 17, 18, 19)),
}


@pytest.mark.parametrize("name", ISSUERS)
def test_cards_are_those_of_known_issuers_and_lengths(name):
    """The ranges' first and last numbers, and those beside them; every length, and those beside it."""
    firsts, others, sizes, no_sizes = ISSUERS[name]
    for first in firsts.split():
        assert [is_found("CARD", card(first, size)) for size in sizes] == [True] * len(sizes), first
        assert not any(is_found("CARD", card(first, size)) for size in no_sizes), first
    assert not [first for first in others.split() if any(is_found("CARD", card(first, size)) for size in sizes)]


@pytest.mark.parametrize("first", ["4", "5", "6"])
@pytest.mark.parametrize(("size", "found"), [(13, True), (14, False), (15, False), (17, True), (18, True), (20, False)])
def test_lengths_of_other_cards_count_only_where_a_word_says_card(first, size, found):
    number = card(first, size)
    assert is_found("CARD", number, "card number {}.") == found
    assert not is_found("CARD", number) and not is_found("CARD", number, "order number {}.")


def test_no_cards_of_other_first_digits_even_where_a_word_says_so():
    assert not [first for first in "237" for size in (13, 17, 18) if is_found("CARD", card(first, size), "card {}.")]


@pytest.mark.parametrize("number", ["4111111111111111", "378282246310005", "6200000000000005", "5555555555554444"])
def test_of_ten_check_digits_one_is_right(number):
    assert [d for d in "0123456789" if is_found("CARD", number[:-1] + d)] == [number[-1]]
    for at in range(1, len(number)):  # a digit that is one too high
        assert not luhn(number[:at] + str((int(number[at]) + 1) % 10) + number[at + 1 :])


def test_luhns_own_example():
    assert [d for d in "0123456789" if luhn("7992739871" + d)] == ["3"]


def test_a_card_glued_to_a_word_is_one_only_where_a_word_says_so():
    assert kinds("AB4111111111111111 and range(4111111111111111)") == []
    assert kinds("visa4111111111111111") == [("CARD", "4111111111111111")]


# ---------------------------------------------------------------- identity cards


def identity(body: str) -> str:
    """17 digits and the check digit of ISO 7064 (MOD 11-2), by its recursion."""
    rest = 0
    for digit in body:
        rest = (rest + int(digit)) * 2 % 11
    return body + "0123456789X"[(1 - rest) % 11]


def test_identity_cards_of_the_standards_example():
    assert identity("11010519491231002") == "11010519491231002X"  # GB 11643-1999
    for right in ("11010519491231002X", "110105 19491231 002X", "110105-19491231-002x", "34052419800101001X"):
        assert is_found("ID", right)
    assert not [d for d in "0123456789" if is_found("ID", "11010519491231002" + d)]


def test_identity_cards_with_each_digit_at_each_place():
    random = Random(2)
    numbers = [
        identity(f"11{random.randrange(10**4):04}19490{n % 9 + 1}1{n % 10}{n * 97 % 1000:03}") for n in range(60)
    ]
    assert all(is_found("ID", number) for number in numbers)
    wrong = [number[:-1] + "0123456789X"[("0123456789X".index(number[-1]) + 1) % 11] for number in numbers]
    assert not any(is_found("ID", number) for number in wrong)


def test_provinces_of_identity_cards():
    """GB/T 2260: the mainland's, Taiwan (71), Hong Kong (81), Macau (82), and 83 of the residents' cards."""
    blocks = [(11, 15), (21, 23), (31, 37), (41, 46), (50, 54), (61, 65), (71, 71), (81, 83)]
    codes = [code for first, last in blocks for code in range(first, last + 1)]
    found = [code for code in range(10, 100) if is_found("ID", identity(f"{code}010119491231002"))]
    assert found == codes


@pytest.mark.parametrize(
    ("birthday", "found"),
    [("19000101", True), ("18991231", False), ("21001231", True), ("21010101", False), ("20000229", True), ("19000229", False),
     ("19900431", False), ("19900430", True), ("19901301", False), ("19901201", True), ("19900001", False), ("19900100", False)],
)  # fmt: skip
def test_birthdays_of_identity_cards(birthday, found):
    assert is_found("ID", identity(f"110105{birthday}002")) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [("单号：{}", False), ("order no. {}", False), ("工号 {}", True), ("x{}", False), ("身份证x{}", True), ("sfz{}", True), ("id_card({})", True), ("data({})", False),
     ("身份证" + "x" * 9 + "{}", True), ("身份证" + "x" * 10 + "{}", False)],
)  # fmt: skip
def test_words_before_identity_cards(text, found):
    assert is_found("ID", "34052419800101001X", text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [("身份证 {}", True), ("{}（身份证）", True), ("{} is my ID card", True), ("We saw {} there", False), ("身份证\n{}", True),
     ("{}\n身份证", False), ("身份证" + "一" * 37 + "{}", True),
     ("身份证" + "一" * 38 + "{}", False), ("{}" + "一" * 17 + "身份证", True), ("{}" + "一" * 18 + "身份证", False),
     ("姓名,身份证\n甲,{}", True), ("订单编号 {}", False), ("身份证，这一个订单编号：{}", True),
     ("身份证，这是一个订单编号：{}", False)],
)  # fmt: skip
def test_identity_cards_of_fifteen_digits_need_a_word(text, found):
    """Forty characters before, twenty behind on the same line, or the header of a table."""
    assert is_found("ID", "110105491231002", text) == found


@pytest.mark.parametrize("number", ["160105491231002", "110105491331002", "110105490229002"])
def test_identity_cards_of_fifteen_digits_have_a_province_and_a_birthday(number):
    assert not is_found("ID", number, "身份证 {}")


def test_identity_numbers_of_taiwan():
    """What each letter weighs, modulo 10, as it is published; then 8, 7, ... 1, and the check digit."""
    letters = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", map(int, "10987654932210898765431320"), strict=True))
    assert is_found("ID", "A123456789", "身分證 {}")
    for n, (letter, value) in enumerate(letters.items()):
        body = f"{1 + n % 2}{(n + 1) * 7654321 % 10**7:07}"
        check = -(value + sum(int(d) * weight for d, weight in zip(body, range(8, 0, -1), strict=True))) % 10
        assert [d for d in range(10) if is_found("ID", f"{letter}{body}{d}", "身分證 {}")] == [check], letter
    assert not is_found("ID", "A123456789") and is_found("ID", "A123456789", "統一編號 {}")


@pytest.mark.parametrize("number", ["L555555(0)", "AB987654(3)", "C123456(9)", "A123456(3)"])
def test_identity_numbers_of_hong_kong(number):
    right = number[-2]
    assert [d for d in "0123456789A" if is_found("ID", f"{number[:-2]}{d})")] == [right]


# ---------------------------------------------------------------- accounts


IBANS = ["GB82WEST12345698765432", "DE89370400440532013000", "FR1420041010050500013M02606", "NO9386011117947",
         "MT84MALT011000012345MTLCAST001S", "SE4550000000058398257466", "CZ6508000000192000145399", "AZ21NABZ00000000137010001944"]  # fmt: skip


@pytest.mark.parametrize("number", IBANS)
def test_bank_accounts_of_the_registrys_examples(number):
    """ISO 13616: as they are, in groups of four, and with two digits changed."""
    grouped = " ".join(number[at : at + 4] for at in range(0, len(number), 4))
    assert is_found("ACCOUNT", number) and is_found("ACCOUNT", grouped)
    wrong = number[:2] + f"{(int(number[2:4]) + 1) % 100:02}" + number[4:]
    assert not is_found("ACCOUNT", wrong)


def test_the_shortest_bank_account_has_fifteen_characters():
    for size, found in ((14, False), (15, True)):
        rest = "86011117947"[: size - 4]
        check = 98 - int(f"{rest}{ord('N') - 55}{ord('O') - 55}00") % 97
        assert is_found("ACCOUNT", f"NO{check:02}{rest}") == found


def test_bank_accounts_with_many_letters_behind_their_digits():
    rest = "MALT0110012ABCDEFGHIJKLMNOP"
    check = 98 - int("".join(str(int(c, 36)) for c in rest + "MT00")) % 97
    for number in (f"MT{check:02}{rest}", f"MT{check:02} MALT 0110 012A BCDE FGHI JKLM NOP"):
        assert is_found("ACCOUNT", number)


@pytest.mark.parametrize("size", range(5, 13))
def test_qq_numbers_have_seven_to_ten_digits_and_a_word(size):
    number = "123456789012"[:size]
    assert is_found("ACCOUNT", number, "QQ号：{}") == (7 <= size <= 10)
    assert not is_found("ACCOUNT", number, "PQQ {}") and not is_found("ACCOUNT", number, "QQ群聊 {}")


@pytest.mark.parametrize(
    ("text", "value"),
    [("passport no. {}", "E12345678"), ("Passport: {}", "E1234567"), ("passport #{}", "512345678"), ("护照号码：{}", "EA1234567"),
     ("往来港澳通行证 {}", "C12345678"), ("台胞证号为{}", "12345678"), ("my passport is lost, {}", None), ("We saw {}", None), ("airport no. {}", None)],
)  # fmt: skip
def test_passports_need_a_word_directly_before(text, value):
    assert is_found("ID", value or "E12345678", text) == bool(value)


@pytest.mark.parametrize(
    ("text", "found"),
    [("SSN: {}", True), ("ssn {}", True), ("My social security number is {}", True), ("social_security_no={}", False), ("social security no. {}", True),
     ("We saw {}", False), ("classn {}", False)],
)  # fmt: skip
@pytest.mark.parametrize("value", ["078-05-1120", "078 05 1120", "078051120"])
def test_social_security_numbers_need_a_word_directly_before(text, found, value):
    assert is_found("ID", value, text) == found


# ---------------------------------------------------------------- phones


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # with +: gaps, or ten digits
        ("+123456789", False), ("+1234567890", True), ("+12 3456789", True), ("(+12)3456789", True), ("+12(3456)789", True),
        # eight to fifteen digits and an extension
        ("+41 12345", False), ("+41 123456", True), ("+41 12345 12345 12345", True), ("+411 12345 12345 12345", False),
        # with 00: gaps and ten digits
        ("0041 12345", False), ("0041 123456", True), ("0041123456", False), ("00411234567890", False),
    ],
)  # fmt: skip
def test_numbers_abroad(text, found):
    assert bool(kinds(f"We saw {text} there.")) == found


@pytest.mark.parametrize("text", ["0041123456", "+123456789", "00411234567890"])
def test_numbers_abroad_behind_a_word(text):
    assert kinds(f"phone {text}") == [("PHONE", text)]


GROUPS = ["02 2731 4096", "02 731 4096", "02 27314096", "02 7314096", "030 2731 4096", "030 273 4096", "030 27314 096", "030 2731409",
          "030 27314096", "030 273140", "0171 283 940", "0171 283 9405", "0171 28394051", "0171 2839405", "0171 283940", "01712 839405",
          "01712 839 405"]  # fmt: skip


@pytest.mark.parametrize("number", GROUPS)
def test_national_numbers_have_groups_as_phones_have(number):
    assert kinds(f"We saw {number} there.") == [("PHONE", number)]


@pytest.mark.parametrize(
    "number", ["02 273 409", "0171 28 39405", "01712 83940", "01712 8394051", "030 27 314096", "02 27 31 40"]
)
def test_other_groups_are_no_national_numbers(number):
    assert kinds(f"We saw {number} there.") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [("phone 629384", False), ("phone 6293841", False), ("phone: 6293841", True), ("phone:" + " " * 19 + "6293841", True), ("phone:" + " " * 20 + "6293841", False), ("phone is 62938417", True), ("phone 62938417", False),
     ("phone 629384171", True), ("phone 629-3841", True), ("电话 6293841", True), ("phone 629384171234567", True),
     ("phone 6293841712345678", False), ("phone: 2024-05-13", False), ("phone: 2024051", True), ("phone: 13.05.2024", False), ("phone: 1998/1999", False)],
)  # fmt: skip
def test_local_numbers_need_a_word_that_says_them(text, found):
    """A short one without gaps needs a mark or "is" between; dates are none."""
    assert bool(kinds(text)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [("1/13812345678", False), ("123456/13812345678", False), ("1234567/13812345678", True), ("13812345678/5", False), ("13812345678/123456", False),
     ("13812345678/1234567", True), ("x.13812345678", False), ("x13812345678", False), ("range(13812345678)", False), ("Range (13812345678)", True)],
)  # fmt: skip
def test_a_part_of_something_longer_is_no_phone(text, found):
    assert bool(kinds(f"We saw {text} there")) == found


@pytest.mark.parametrize("gap", range(2, 27))
def test_of_a_longer_number_behind_a_phone_no_part_is_one(gap):
    text = "We saw 13812345678" + ("," if gap < 5 else " " + "x" * (gap - 2) + " ") + "13912345678901234567."
    assert kinds(text) == [("PHONE", "13812345678")]


@pytest.mark.parametrize("text", ["({})", "({} today)", "[{}]", "(call {})"])
def test_brackets_around_a_phone_stay(text):
    assert mask_personal(f"We saw {text.format('13812345678')} there.") == f"We saw {text.format('[PHONE_1]')} there."


@pytest.mark.parametrize(("digits", "inside"), [(1, True), (5, True), (6, False)])
def test_extensions_have_up_to_five_digits(digits, inside):
    number = "010-62938417转" + "123456"[:digits]
    masked = "[PHONE_1]" if inside else "[PHONE_1]转123456"
    assert mask_personal(f"打 {number}。") == f"打 {masked}。"


# ---------------------------------------------------------------- words before a number

SAYS = {
    PHONE: [
        "phone", "Phone:", "PHONES: ", "phone number", "phone number is", "phone no.", "Tel. no. ", "phone 2: ", "cell is now", "fax me at",
        "my number", "her new number is now", "the wrong number", "wechat id:", "Apple ID: ", "login code ", "WhatsApp", "WeChat: ",
        "call ", "Call: ", "call (", "call +", "text ", "text (+", "call me back now on", "Tel. (mobile): ", "T: ", "| M: ",
        "phone\n", "my new cellphone\n", "that is my phone:\n", "手机号码：", "电话是", "請撥打", "客服热线", "phone,", "reach the house on the hill at",
    ],
    THING: [
        "order", "order: ", "orders ", "order is", "order is was are were", "order no. ", "order number: ", "order numbers: ", "Order #", "item came to",
        "sum amounts to", "my id", "the code", "no. ", "id: ", "user_id=", "phone id ", "phone code is", "phone key ", "isbn 10: ", "isbn ",
        "consignment note ", "consignment note number ", "student number ", "student no. ", "student #", "student id is", "ABC-", "the policy",
        "for my record", "订单号：", "订单", "工号 ", "总数已经超过了", "批次", "order (no.): ",
    ],
    CARD: ["card ", "card number: ", "visa ", "credit card no. ", "account number ", "acct no. ", "debit is"],
    "": [
        "", "12 ", "We saw ", "number ", "the number is", "student ", "students: ", "orders: ", "part numbers of", "in any case ", "to order ",
        "for my part ", "a lot ", "the record ", "in this case ", "in that order ", "order for ", "order now ", "card for ", "account ", "text: ",
        "text 「", "call #", "dial: #", "phone for ", "the order. ", "the order, ", "phones are many, but",
        "order is was are were is", "a phone that rings. ", "department ", "our new cellphone\n", "`phone`\n", "the thing: ", "手机壳", "第一批人说",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("what", "head"), [(what, head) for what, heads in SAYS.items() for head in heads])
def test_what_words_say_of_the_number_behind_them(what, head):
    assert label(head) == what


REACH = [
    ("order" + " " * 55 + "{}", False), ("order" + " " * 56 + "{}", True),  # a word, sixty characters before
    ("http://" + "a" * 298 + "/{}", False), ("http://" + "a" * 299 + "/{}", True),  # the beginning of an address, three hundred
    ("13812345678 is the order number, {}", True), ("x.org/{}", False), ("{}.jpg", False), ("a/{}.jpg", False), ("tel:{}", True), ("{}", True),
]  # fmt: skip


@pytest.mark.parametrize(("text", "found"), REACH)
def test_how_far_before_a_number_is_looked(text, found):
    assert is_found("PHONE", "13912345678", text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [("手机{}，家里62938417", 2), ("手机{}，他在家里62938417", 1), ("phone (day): {}; (night): 4155550133", 2), ("phone {}, home: 4155550133", 2),
     ("phone {} and 4155550133", 2), ("phone {} but 4155550133", 1), ("order {}, home: 4155550133", 0)],
)  # fmt: skip
def test_what_is_said_of_a_number_holds_for_the_next_in_a_list(text, found):
    assert len(kinds(text.format("13812345678"))) == found


TABLES = [
    # one column of phones, with each mark between cells
    ("id|phone\n4155550131|{}", True), ("id\tphone\n4155550131\t{}", True), ("id,phone\n7,{}", True), ("phone,id\n7,{}", False),
    ("phone|id\n{}|7", True), ("id|phone\n{}|7", False), ("id | phone | note\n 7 | {} | no", True), ("id|phone\n7|`{}`", True),
    ("id|phone\n7|x {}", False), ("a text\n\nid|phone\n7|{}", True), ("id|phone\n\n7|{}", False), ("id|phone\n7|8\n9|{}", True),
    ("id,phone\n7,8,{}", False), ("id,phone,note\n7,{}", False),  # as many commas as the header
    ("id|phone {} \n7|8", True), ("id|phone 1234\n7|{}", False), ("id|phone 12\n7|{}", True),  # no numbers in a header
    ("id|phone " + "x" * 33 + "\n7|{}", False), (" " * 34 + "phone|id\n{}|7", True), (" " * 35 + "phone|id\n{}|7", False),  # short cells
    ("id|note|phone\n7|" + "x" * 1996 + "|{}", True), ("id|note|phone\n7|" + "x" * 1997 + "|{}", False),  # a line of 2,000 characters
]  # fmt: skip


@pytest.mark.parametrize(("text", "found"), TABLES)
def test_the_header_of_a_column_says_what_its_numbers_are(text, found):
    assert is_found("PHONE", "4155550132", text) == found


# ---------------------------------------------------------------- addresses of computers

PUBLIC = ["8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "192.167.1.1", "223.255.255.255", "2001:4860:4860::8888",
          "2600:1::1", "2a02:8108:1:2:3:4:5:6"]  # fmt: skip
# Private, local, for examples, for groups, with too large a number, too short, outside of 2000::/3; times and ratios.
NOT_PUBLIC = ["10.1.2.3", "127.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.1.1", "203.0.113.5", "224.1.2.3",
              "239.255.255.255", "240.1.2.3", "256.1.1.1", "8.8.8.999", "2600::1", "4000:1:2::3", "1fff:1:2::3", "fe80:1:2::3",
              "ff02:1:2::3", "2001:db8:1::1", "10:30:45", "1:2:3:4", "12:34:56:78:9a:bc", "::"]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_that_reach_someone(address):
    assert kinds(f"We saw {address} there.") == [("IP", address)]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_reach_nobody_and_what_is_none(address):
    assert kinds(f"We saw {address} there.") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [("version 1.2.3.200", False), ("version: 1.2.3.200", False), ("version abc 45.76.1.2", True), ("version ab 45.76.1.2", False),
     ("version abc 45.64.1.2", False), ("version abc 45.65.1.2", True), ("version 4.2.1.7 is bad, take 4.2.13.200", False),
     ("version 5.2.1.7 is bad, take 4.2.13.200", True), ("version, server 1.2.3.4", True), ("8.8.8.8 条", False), ("<= 1.2.3.200", False), ("version on the server: version 1.2.3.4", False), ("version 9, version 45.76.1.200", False),
     ("version" + " " * 53 + "1.2.3.4", False), ("version" + " " * 54 + "1.2.3.4", True)],
)  # fmt: skip
def test_four_numbers_of_a_version(text, found):
    """A version is small, or stands directly behind its word, or is like the one before it; a word for computers undoes that."""
    assert any(kind == "IP" for kind, _ in kinds(text)) == found


# ---------------------------------------------------------------- characters


def test_what_is_folded():
    """Full-width forms are U+FF01 to U+FF5E; dashes, the minus sign and spaces; nothing beside them."""
    full = "".join(map(chr, range(0xFF01, 0xFF5F)))
    assert fold(full) == "".join(map(chr, range(0x21, 0x7F)))
    assert fold("\u2010\u2011\u2012\u2013\u2014\u2015\u2212") == "-" * 7
    assert fold("\u00a0\u2009\u202f\u3000") == " " * 4
    beside = "\uff00\uff5f\u200f\u2016\u2211\u2213\u009f\u00a1\u2008\u200a\u202e\u2030\u2fff\u3001"
    assert fold(beside) == beside


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("身份证 G123456(A)", "身份证 [ID_1]"),  # a published example
        ("身份證號碼：Ｇ１２３４５６（Ａ），謝謝", "身份證號碼：[ID_1]，謝謝"),
        ("code B123456(A)", "code B123456(A)"),  # whose check character is 6
        ("总数达到13812345678。", "总数达到13812345678。"),
        ("總數已經達到13812345678", "總數已經達到13812345678"),
        ("my no. is 4155550132", "my no. is [PHONE_1]"),
        ("Order no. is 4155550132", "Order no. is 4155550132"),
        ("Answer: no. 4155550132 is prime", "Answer: no. 4155550132 is prime"),
    ],
)
def test_check_characters_counts_and_points(text: str, masked: str) -> None:
    assert mask_personal(text) == masked
