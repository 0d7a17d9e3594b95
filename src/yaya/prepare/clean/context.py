"""What the text around a number says about it: a word for phones, the name of a thing, a table's header, a link.

Only a whole word directly at the number counts: "order 136..." is an order, "the department: 136..." is not a part.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from yaya.core import han

LOOK_BACK = 60  # characters before a number that count
LONGEST_LINE = 2000  # characters; longer lines are not read as rows of a table
PHONE, THING, CARD = "phone", "thing", "card"

# Full-width forms, other dashes and other spaces -> ASCII, one character for one, so that places stay.
FOLD = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
FOLD |= dict.fromkeys([*range(0x2010, 0x2016), 0x2212], ord("-")) | dict.fromkeys(
    [0xA0, 0x2009, 0x202F, 0x3000], ord(" ")
)


def fold(text: str) -> str:
    """The text in half-width characters; its length stays the same."""
    return text if text.isascii() else text.translate(FOLD)


def has_words(text: str) -> bool:
    """Whether there is more than ASCII digits and marks; a quick test before slow ones."""
    return not text.isascii() or text.lower() != text.upper()


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PHONES = words(
    "phone telephone tel tele mobile mobil mob cell cellphone cellular cel celular fax sms whatsapp viber telegram wechat weixin contact"
    " hotline helpline landline switchboard pager ph handy handphone telefon telefono teléfono téléphone tél fon tlf voicemail телефон тел"
)
DIALS = words("call calling called ring dial text texting txt reach appelez")  # verbs that take a number
# Whose number it is, or which: "my number", "the new no.".
OWN = words(
    "my his her our your their this s new old same right wrong correct current previous other home work office personal"
    " private emergency support service free direct local"
)
LOGINS = words("wechat weixin whatsapp apple alipay login")  # their ids are phone numbers
CARDS = words("card visa mastercard amex unionpay debit credit account acct")
THINGS = words(
    "order invoice tracking waybill parcel shipment consignment serial ticket item part model sku case batch lot ref reference"
    " contract policy claim receipt transaction booking confirmation patent docket barcode upc ean isbn issn isrc doi pmid imei"
    " imsi iccid meid sn pn po rma asset article record row version build revision commit issue bug job task request pallet"
    " container seed timestamp epoch ts offset size bytes count total sum amount price balance sequence seq index checksum"
    " hash uid uuid gid pid oid cid usd eur gbp rmb cny hkd twd error population revenue"
)
# Words that name a thing only before "number" and the like: "policy number 5", "student no. 5".
NUMBERED = THINGS | words(
    "registration membership member employee staff student customer client user device meter room drawing page post message"
    " session file product catalog catalogue license licence permit certificate passport flight train vehicle vin plate"
    " inventory confirmation approval application grant project lottery winning station prime zip postal tax vat delivery"
    " reservation examination exam question bus line queue locker bill bank routing"
)
PAPERS = words("note slip form label")
MARKS = words("number num no nr id code key")
LINKING = words("is was are were equals reads says")
COMES_TO = (["came", "to"], ["comes", "to"], ["amounts", "to"])
FILLING = LINKING | words(
    "came comes amounts me us him her them you back now today tonight tomorrow at on via le au to or the this our my your his their please directly"
    " again and s first anytime free"
)
# Idioms in which the word names no thing: "in any case", "to order", "for my part", "a lot".
IDIOMS = {
    "case": words("in any either which every best worst no each just mr mrs ms dr"),
    "order": words("to in pre re mail"),
    "part": words("my our his her your their most in take large"),
    "lot": words("a the whole"),
    "record": words("the for"),
}
ABBREVIATED = words("no nos nr num tel ph mob fax ref inv tél тел")
WORD = re.compile(r"[A-Z]?[a-zß-öø-ÿа-яё]+|[A-Z]+(?![a-z])|\d+")
BETWEEN = " \t\n:=#(\"'“”‘’[<>*`~|\\-→/+&№{"
TAG = re.compile(r"</?[A-Za-z][^<>]*>")
POINT = re.compile(r"(?<![A-Za-z])([Tt]el|[Pp]h|[Mm]ob|[Ff]ax|[Nn]o)\. ")  # "Tel. no. ..."
SIGNATURE = re.compile(r"(?:^|[\n|,;/(] ?)[TMPCF][:.] ?\Z")  # "T: ... | M: ..."
BRACKET = re.compile(r"\(([^()]{0,20})\)$")
CLAUSE = re.compile(r"[,;!?|()\n:\u2e80-\uffff]|\. ")
REACHED = re.compile(
    r"(?<![a-z])(?:call|phone|ring|text|dial|contact|reach|fax|whatsapp)(?![a-z])[^.,;:!?\d\n]{0,30} (?:at|on|:) ?$",
    re.IGNORECASE,
)

SAYS_PHONE = re.compile(
    "(?:电话|電話|手机|手機|座机|座機|热线|熱線|专线|專線|传真|傳真|致电|致電|拨打|撥打|拨|撥|打|联系|聯絡|聯繫|连络|联络|连絡|连系|微信|短信|簡訊"
    "|客服|总机|總機|直线|直線|小号|同号|加我|市话|市話|来电|來電|呼叫|行動|携帯|番号|전화|휴대폰|连线)"
    "(?:号码|號碼|号|號|人|方式)?(?:现在|现|改|换|請|请)?(?:为|為|是|成|到|给)?[0-9一二三]?$"
)
# Some words name a thing alone, others only with 号 behind them.
SAYS_THING = re.compile(
    "(?:(?:订单|訂單|工单|工單|运单|運單|快递单|合同|协议|協議|发票|發票|专利|專利|主键|主鍵|时间戳|時間戳|种子|种子值|流水|准考证|准考證)"
    "(?:编号|編號|号码|號碼|号|號|代码|ID|id)?"
    "|(?:商品|产品|產品|零件|物料|设备|設備|病历|就诊卡|档案|檔案|登记|登記|注册|註冊|备案|許可證|许可证|执照|用户|用戶|会员|會員|包裹|学籍|证书|案件|员工|学生|客户"
    "|客戶|顾客|房间|机身|序列|订购|取件|提货|取货)(?:编号|編號|号码|號碼|号|號|码|碼|代码|ID|id)"
    "|(?:单|單|编|編|案|票|批|货|貨|型|学|學|工|考|料|图|書|书|刊|文|卷|件|序|楼|座位|期|款)(?:号码|號碼|号|號)|条形码|条码|條碼|邮编|郵編|校验[码值]|验证码|驗證碼"
    "|哈希值?|编码|代码|批次|型号|总数|總數|总计|共计|合计|人口|金额|金額|总额|总价|价格|价值|售价|余额|货款|销售额|营收|阅读量|播放量|浏览量|点击量|销量|产量"
    "|积分|大小|容量|偏移量?|人民币|第)(?:已经|已經|已|现在|現在|大概|大约|大約|约|約|共)?(?:为|為|是|到|达到?|達到?|破|超过?|突破|变成|改为|改成|叫做?)?了?$"
)
UNIT = re.compile(
    r" ?(?:(?:bytes?|bits?|blocks?|rows?|records?|people|users|views|times|votes|points|tokens|px|ms|km|kg|mm|cm|yuan|dollars|euros"
    r"|USD|EUR|RMB|CNY|[KMGT]i?B)(?![A-Za-z])|字节|字節|[美欧日港]?元(?!宵)|万|亿|個赞|个赞|个字|个点|次(?![日晨])|像素|毫秒|公里|英里|吨|赞|票(?!务))"
)
# "136... is the order number", "136...（订单号）"; not "136... (order no. 5)", where the thing has a number of its own.
NAMED_AFTER = re.compile(
    r" ?[(（]?(?:(?:is|was|are) )?(?:(?:the|your|our|my|an?) )?([a-z]+)[ _](?:number|no|id|code)s?\b(?!\.? ?[:#]? ?\d)"
    r"|[(（]?(?:就?是|为)?(?:[你您我]们?|这个)?的?"
    r"(?:订单|訂單|快递单|运单|单|案|编|流水|序列|合同|发票|工)(?:编号|号)(?![:：]?\d)(?!码?的?电话)"
)
PHONE_AFTER = re.compile(
    r" ?[(（]? ?(?:is (?:my|his|her|our|their) |\()?(?:new |old )?(?:cell|mobile|phone|telephone|fax|landline|whatsapp|电话|手机)",
    re.IGNORECASE,
)
LIST = re.compile(
    r"[\s\"'`]{0,3}(?:,|、|，|;|；|/|and|or|&|和|及|与|與|或|或者|以及|跟|到|至|~|-|to|, ?and|, ?or)?[\s\"'`]{0,3}"
)

# "手机138...，家里6293...", "Phone (day): ...; (night): ..."
ALSO = re.compile(
    r"[，、；/] ?[" + han.COMMON + r"]{1,3}[:： ]?|[,;/|] ?(?:\([a-z]{1,10}\)|[a-z]{1,10}): ?", re.IGNORECASE
)
IN_COMMAS = re.compile(r", (?:has|have|had|is|was|will|which|that) ")  # "your order, 136..., has been packed"

CELL_END = re.compile(r"[0-9 \-.()\"'*`]{0,40}([|\t,])")
TOKEN = re.compile(r"[^\s\"'<>()|;,\u2e80-\uffff]*")
ADDRESS = re.compile(r"www\.|\.{0,2}/|~/|(?:[\w\-]+\.)+[A-Za-z]{2,}[/:]|[A-Za-z]:\\")
DIALLED = re.compile(
    r"(?:wa\.me/|(?:tel|sms|callto|whatsapp):(?://)?|[?&/](?:phone|tel|mobile|mob|cell|sms|shouji)[a-z_]*=)(?:\+|%2B)?$",
    re.IGNORECASE,
)
FILE_BEHIND = re.compile(
    r"\.(?:[sx]?html?|php|aspx?|jsp|jpe?g|png|gif|webp|svg|pdf|docx?|xlsx?|txt|md|csv|json|xml|zip|gz|mp[34]|wav|mov|avi)\b|/[A-Za-z_]"
)


class Said(NamedTuple):
    """What was found out about the last number: a list of numbers needs its word only once."""

    start: int
    stop: int
    what: str


class Context:
    """Reads what surrounds the numbers of one text, in order."""

    def __init__(self, text: str):
        self.text = text
        self.said = Said(-1, -1, "")
        self.block = (0, 0)  # lines around the last table, from one blank line to the next
        self.headers: dict[str, list[str]] = {}
        self.series: set[str] = set()  # of things' numbers all but the last digit: 415-555-0190, and later 415-555-0191

    def says(self, start: int, stop: int) -> str:
        """What the text says about the number from start to stop: "phone", "thing", "card", or "" for nothing."""
        if start != self.said.start:
            what = self._says(start, stop)
            if what == THING:
                self.series.add(fold(self.text[start : stop - 1]))
            self.said = Said(start, stop, what)
        return self.said.what

    def _says(self, start: int, stop: int) -> str:
        text = self.text
        if link := self.link(start, stop):
            return link
        column = label(header) if (header := self.header(start)) else ""
        if what := column or label(text[max(0, start - LOOK_BACK) : start]):
            return what
        if UNIT.match(text, stop) or fold(text[start : stop - 1]) in self.series:
            return THING
        named = NAMED_AFTER.match(text, stop)
        if named and (named[1] is None or named[1] in NUMBERED):
            return THING
        if IN_COMMAS.match(text, stop) and label(text[max(0, start - LOOK_BACK) : start].rstrip(" ,")) == THING:
            return THING
        if self.said.what and 0 <= start - self.said.stop <= 12 and LIST.fullmatch(text, self.said.stop, start):
            return self.said.what
        if self.said.what == PHONE and ALSO.fullmatch(text, self.said.stop, start):
            return PHONE
        return PHONE if PHONE_AFTER.match(text, stop) else ""

    def link(self, start: int, stop: int) -> str:
        """A number in a web address or a path is a thing, unless it is one to dial: `tel:`, `wa.me/`, `?phone=`."""
        text = self.text
        before = text[max(0, start - 300) : start]
        found = TOKEN.match(before[::-1])
        token = found[0][::-1] if found else ""
        if not token and not FILE_BEHIND.match(text, stop):
            return ""
        if DIALLED.search(token):
            return PHONE
        if "://" in token or "\\" in token or ADDRESS.match(token):
            return THING
        return THING if FILE_BEHIND.match(text, stop) and (not token or token.endswith("/")) else ""

    def header(self, start: int) -> str:
        """The header of the number's column, if it stands alone in a cell of a table."""
        text = self.text
        if text[max(0, start - LOOK_BACK) : start].rstrip(" \"'*`")[-1:] not in ("|", "\t", ",", "\n"):
            return ""
        line = text.rfind("\n", max(0, start - LONGEST_LINE), start) + 1
        if not line:  # the first line is a header itself, or the line is very long
            return ""
        before, behind = text[line:start], CELL_END.match(text, start)
        mark = next((mark for mark in "|\t," if mark in before or (behind and behind[1] == mark)), "")
        cells, column = self.headers_of(line, mark) if mark else [], before.count(mark)
        return cells[column] if column < len(cells) else ""

    def headers_of(self, line: int, mark: str) -> list[str]:
        """Cells of a table's first line, if they are short and without numbers; else none."""
        text = self.text
        if line >= self.block[1]:
            gap = text.rfind("\n\n", self.block[1], line)
            stop = text.find("\n\n", line)
            self.block = (gap + 2 if gap >= 0 else self.block[1], stop if stop >= 0 else len(text))
            self.headers = {}
        if mark not in self.headers:
            at = text.find(mark, self.block[0], line)
            first = text[text.rfind("\n", self.block[0], at) + 1 : text.find("\n", at)] if at >= 0 else ""
            cells = first.split(mark)
            if mark == "," and first.count(mark) != text[line : text.find("\n", line) % (len(text) + 1)].count(mark):
                cells = []
            fine = all(len(cell) < 40 and not re.search(r"\d{3}", cell) for cell in cells)
            self.headers[mark] = cells if fine and len(cells) > 1 else []
        return self.headers[mark]


def label(head: str) -> str:
    """What the words at the end of `head` say about the number that follows: "phone", "thing", "card" or ""."""
    if not has_words(head):
        return ""
    head = fold(head).replace("WhatsApp", "Whatsapp").replace("WeChat", "Wechat")
    head = TAG.sub(" ", head) if "<" in head else head
    head = POINT.sub(r"\1 ", head)
    stripped = head.rstrip(BETWEEN)
    between = head[len(stripped) :]
    if stripped.endswith(")") and (inside := BRACKET.search(stripped)):  # "Tel. (mobile): ..."
        return label(inside[1]) or label(stripped[: inside.start()] + ":")
    line = stripped.rpartition("\n")[2]
    if "\n" in between and ":" not in between and (len(line) > 16 or line.startswith("`")):
        return ""  # only a short line of its own is about the next line
    if stripped.endswith(","):
        return PHONE if label(stripped[:-1]) == PHONE else ""
    if stripped.endswith("."):
        stripped = stripped.rstrip(".")
        last = WORD.findall(stripped[-12:])
        if not last or last[-1].lower() not in ABBREVIATED:
            return ""
    if SAYS_PHONE.search(stripped[-14:]) or SIGNATURE.search(head):
        return PHONE
    if SAYS_THING.search(stripped[-16:]):
        return THING
    if not stripped or not stripped[-1].isalnum() or "\u2e80" <= stripped[-1] <= "\uffff":
        return ""
    found = [word.lower() for word in WORD.findall(CLAUSE.split(stripped)[-1])]
    if what := said_by(found, between):
        return what
    if between == "-" and stripped[-1].isascii():
        return THING  # ABC-136...
    return PHONE if REACHED.search(head) else ""


def said_by(found: list[str], between: str) -> str:
    """What English words say about the number after them. found: the last words of a clause, in lower case."""
    at = len(found)
    while at and found[at - 1] in FILLING and len(found) - at < 4:
        at -= 1
    gap = found[at:]
    near = all(word in LINKING for word in gap) or gap in COMES_TO  # only "is" and the like between
    mark = ""
    if at > 1 and found[at - 1].isdigit() and (found[at - 2] in PHONES or found[at - 2] == "isbn"):
        at -= 1  # "phone 2: ..."
    while at and singular(found[at - 1]) in MARKS:
        mark = singular(found[at - 1])
        at -= 1
    if at > 1 and found[at - 1] in PAPERS and found[at - 2] in NUMBERED:
        at -= 1  # "consignment note 5"
    if not at and not mark:
        return ""
    head = found[at - 1] if at else ""
    if head in DIALS and not between.strip(" (+" if head == "text" else " (:+"):
        return PHONE
    if singular(head, PHONES) in PHONES or (mark and head in OWN) or (head in LOGINS and mark):
        return PHONE if mark not in ("id", "code", "key") or head in LOGINS else THING
    if not near:
        return ""
    if head in CARDS and (mark or head not in ("account", "acct")):
        return CARD
    if mark in ("no", "nr", "id", "code", "key") or ((mark or "#" in between) and singular(head, NUMBERED) in NUMBERED):
        return THING
    return THING if is_thing(found[:at], between) else ""


def singular(word: str, known: frozenset[str] = MARKS) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and word[:-1] in known else word


def is_thing(found: list[str], between: str) -> bool:
    """Whether the last word names a thing, and is not part of an idiom or a plural heading ("Orders:")."""
    if not found:
        return False
    head = singular(found[-1], THINGS)
    if head not in THINGS or (head != found[-1] and ":" in between):
        return False
    before = found[-2] if len(found) > 1 else ""
    in_that = before in ("this", "that", "such") and found[-3:-2] == ["in"]
    return not (before in IDIOMS.get(head, ()) or in_that)
