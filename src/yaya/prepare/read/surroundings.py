"""What surrounds the text of a web page: menus, footers, notices, comments, teasers of other pages.

Elements show it by their tag, role, id and class, blocks by being links. But names can mislead: one that would remove
nearly all of a page's text is ignored.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate

from yaya.prepare.read.blocks import Block, Element, Page

# Names of what surrounds a text, wherever it is ...
AROUND_WORDS = (
    "nav|navbar|navigation|navi|menu|follow|follow-?us|footer|sidebar|side-?bar|(?:bread)?crumbs?|comments?|comment-?list|respond|disqus"
    "|share|sharing|shares|social|related|recommend|recommended|recommendations|promo|promotion|banner|cta|paywall|tooltip"
    "|ads?|advert|advertisement|advertising|anzeige|werbung|sponsor|sponsored|newsletter|subscribe|subscription|signup|sign-?up"
    "|login|third-party|cookies?|consent|gdpr|popup|modal|overlay|tags|tag-?cloud|tag-?list|author-?(?:box|bio|info|description)"
    "|pagination|pager|paging|toolbar|search|searchform|skip|skip-?link|catlinks|site-?sub|jump-?to-?nav|navbox|placeholder"
)
# ... and of what may be part of it, if it has whole sentences.
BESIDE_WORDS = (
    "read-?more|meta|foot|aside|widgets?|teasers?|post-?meta|entry-?meta|byline|bio|copyright|legal|imprint|print|ratings?|votes?|toc"
    "|credits?|metadata|infobox|masthead|topbar|site-?header|page-?header|header"
)
PARTS = (
    "outer|inner|wrap|wrapper|container|content|panel|row|col|column|holder|region|area|section|block|box|bar|top|bottom|right"
    "|left|text|title|heading|header|list|links?|items?|posts?|articles?|news|stories|info|notice|message|law|sdk|buttons?|icons?|form"
)
AROUND_TAGS = {"aside", "footer", "form", "dialog", "menu"}
AROUND_ROLES = {
    "navigation", "complementary", "contentinfo", "search", "banner", "dialog", "menu", "menubar", "toolbar",
}  # fmt: skip
MAIN = {"body", "main", "article"}
# The share of a page's text above which a reason does not count. Comments and privacy notices can be far longer than an
# article; but a menu, a footer or a box for sharing cannot.
USUAL, BESIDE = 0.9, 0.5
MOST = dict.fromkeys(
    ("hidden", "comment", "comments", "respond", "cookie", "cookies", "consent", "gdpr", "popup", "related"), 0.99
)
MOST["post"] = 0.3
TEASER = 300  # characters below a linked title
MOST_TEASERS = 0.8  # of the page's text: above this, the page consists of them

CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
POST = re.compile(r"(?:^|\s)(?:post|entry|article|hentry|type-post|post-\d+|story)(?:\s|$)", re.IGNORECASE)
WORDS = "article|entry|post|story|blog|news|text|body|content|main|richtext|markdown|prose|detail"
CONTENT = re.compile(
    rf"(?:^|[\s_-])(?:{WORDS})(?:[_-]?(?:{WORDS}|inner|area|wrapper|html|page))?(?:$|[\s_-])", re.IGNORECASE
)
NOTICE = re.compile(
    r"^(?:©|\(c\)|copyright\b)|all rights reserved|alle rechte vorbehalten|tous droits réservés"
    r"|版权所有|版權所有|ICP[备证備證]|公网安备",
    re.IGNORECASE,
)
NOTICE_SIZE = 200  # characters; a longer text is about the subject
# Titles of lists of other pages.
RELATED = re.compile(
    r"(?:you (?:may|might) (?:also )?(?:like|enjoy|be interested).*|related(?: \w+)?|(?:read|see) (?:also|next|more).*"
    r"|more (?:from|on|about|stories|articles|posts|news)\b.*|recommended(?: for you)?|most (?:read|viewed|popular|shared)"
    r"|(?:recent|latest|popular|trending|recommended|similar|other|further|more)(?: \w+)? (?:posts?|articles?|stories|news|reading"
    r"|links|topics|recipes|products)"
    r"|mehr (?:zum thema|zu diesem thema|von|aus|auf)\b.*|das könnte (?:sie|dich|euch) auch .*|auch interessant.*"
    r"|lesen sie (?:auch|mehr).*|(?:weitere|ähnliche|verwandte|neueste|aktuelle|beliebte) (?:artikel|beiträge|themen|links|rezepte)"
    r"|(?:à )?lire (?:aussi|également).*|sur le même (?:sujet|thème)|articles? (?:liés|similaires|récents)"
    r"|(?:te|le) puede interesar.*|(?:artículos|noticias|notas) (?:relacionad[ao]s|recientes)|lea también.*|leggi anche.*"
    r"|(?:相关|推荐|热门|最新|更多|延伸|往期|相關|推薦|熱門)(?:文章|阅读|閱讀|新闻|新聞|推荐|推薦|链接|内容|资讯|话题|专题|回顾)"
    r"|猜你喜欢|大家都在看|関連記事|おすすめ記事|人気記事)\W*",
    re.IGNORECASE,
)


def name_pattern(words: str) -> re.Pattern[str]:
    """Matches class names and ids that are one of the words, perhaps with prefix and suffix: `c-share-buttons`."""
    return re.compile(rf"(?:^|[\s_])(?:[a-z0-9]+[_-]){{0,2}}({words})(?:[_-](?:{PARTS}))?(?:$|[\s_])", re.IGNORECASE)


NAMES = {"around": name_pattern(AROUND_WORDS), "beside": name_pattern(BESIDE_WORDS)}


def hiding(element: Element) -> str:
    """Why an element is not shown; empty if it is."""
    return "hidden" if element.hidden else ""


def around(element: Element) -> str:
    """Why an element seems to surround the text: its tag, its role or a word of its name; empty if it does not."""
    if element.hidden:
        return "hidden"
    if element.tag in MAIN:
        return ""
    if element.tag in AROUND_TAGS:
        return element.tag
    if element.role in AROUND_ROLES:
        return element.role
    return word_of("around", element.name) if len(element.name) > 1 else ""


def beside(element: Element) -> str:
    """Why an element may be left out although it is inside the text; empty if it may not."""
    if element.tag in MAIN:
        return ""
    return "header" if element.tag == "header" else word_of("beside", element.name) if len(element.name) > 1 else ""


@lru_cache(maxsize=1 << 14)
def word_of(where: str, name: str) -> str:
    """The word in a name that says so, or ""; "post" where the name also says that it is an article."""
    found = next(filter(None, (word_in(where, part) for part in name.split())), "")
    return "post" if found and where == "around" and POST.search(name) else found


@lru_cache(maxsize=1 << 14)
def word_in(where: str, part: str) -> str:
    found = NAMES[where].search(CAMEL.sub("-", part))
    return "" if found is None else found[1].lower()


@lru_cache(maxsize=1 << 14)
def is_content(name: str) -> bool:
    """Whether a name says that it holds the text."""
    return bool(CONTENT.search(CAMEL.sub("-", name)))


def taken_out(
    page: Page, values: Sequence[float], reason: Callable[[Element], str], usual: float = USUAL
) -> list[bool]:
    """Which blocks are in elements with a reason to remove them; a reason that would remove nearly all is ignored."""
    before = [0.0, *accumulate(values)]
    found = [(element, why) for element in page.elements if element.blocks and (why := reason(element))]
    while found:
        rest, taken = what_each_takes(found, before)
        excess = {why: text * (1 - MOST.get(why, usual)) - rest * MOST.get(why, usual) for why, text in taken.items()}
        wrong = max(excess, key=excess.__getitem__)
        if excess[wrong] <= 0:
            break
        found = [(element, why) for element, why in found if why != wrong]
    out = [False] * len(values)
    end = 0
    for element, _ in found:
        start = max(end, element.start)
        if element.end > start:
            out[start : element.end] = [True] * (element.end - start)
            end = element.end
    return out


def what_each_takes(found: list[tuple[Element, str]], before: list[float]) -> tuple[float, dict[str, float]]:
    """How much text all reasons together leave, and how much each of them removes."""
    taken: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    rest, end = before[-1], 0
    for element, why in found:
        if element.start >= ends[why]:
            taken[why] += before[element.end] - before[element.start]  # type: ignore[assignment]
            ends[why] = element.end
        if element.end > end:
            rest -= before[element.end] - before[max(element.start, end)]
            end = element.end
    return rest, dict(taken)


def is_linked(block: Block) -> bool:
    return block.linked > 0.5 * len(block.text)


def teasers(page: Page, values: Sequence[float]) -> list[bool]:
    """Which blocks are linked titles with a little text below; none where the whole page consists of them."""
    blocks, whole = page.blocks, page.elements[0]
    before = [0.0, *accumulate(values)]
    found, text = [], 0.0
    for at, block in enumerate(blocks):
        if block.heading and is_linked(block):
            end = section_end(blocks, at, whole)
            other = end < holder(block, at, whole).end and not is_linked(blocks[end])  # a title within the same text
            if before[end] - before[at] < TEASER and not other:
                found.append((at, end))
                text += before[end] - before[at]
    out = [False] * len(blocks)
    if text <= MOST_TEASERS * before[-1]:
        for start, end in found:
            out[start:end] = [True] * (end - start)
    return out


def section_end(blocks: list[Block], at: int, within: Element) -> int:
    """Where the section of a heading ends: at the next heading of its level, or with the element around it."""
    end = holder(blocks[at], at, within).end
    for following in range(at + 1, end):
        if blocks[following].heading and blocks[following].heading <= blocks[at].heading:
            return following
    return end


def holder(block: Block, at: int, within: Element) -> Element:
    """The smallest element that contains a block and more after it."""
    element = block.element
    while element is not within and element.parent is not None and element.end <= at + 1:
        element = element.parent
    return element
