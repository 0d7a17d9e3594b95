"""The chat page's Markdown, in one browser session: CommonMark 0.31.2's examples, and what a reply may hold besides."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

PAGE = Path(__file__).parents[2] / "src" / "yaya" / "serve" / "page"
# The nodes in the specification's notation, without line breaks between blocks; a list item's first paragraph is bare.
# The page's headings begin at h3. A soft line break is <br /> here, as in other chats.
HTML = """<!doctype html><script type="module">
import { Growing, render } from "/markdown.js";
const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
function html(node) {
  if (node.nodeType === Node.TEXT_NODE) return escape(node.data);
  const inside = [...node.childNodes].map(html).join("");
  if (node.nodeType === Node.DOCUMENT_FRAGMENT_NODE || node.className === "table") return inside;
  if (node.className === "code") {
    const language = node.querySelector(".code-head span").textContent;
    const body = node.querySelector("pre code").textContent;
    const kind = language ? ` class="language-${language}"` : "";
    return `<pre><code${kind}>${escape(body) + (body ? "\\n" : "")}</code></pre>`;
  }
  const name = node.localName.replace(/^h([3-6])$/, (_, level) => `h${level - 2}`);
  if (name === "br" || name === "hr") return `<${name} />`;
  let more = node.className ? ` class="${node.className}"` : "";
  if (name === "a") more = ` href="${node.getAttribute("href")}"`;
  if (name === "ol" && node.start !== 1) more = ` start="${node.start}"`;
  return `<${name}${more}>${inside}</${name}>`;
}
const button = () => document.createElement("button");
window.show = (text) => html(render(text, button));
window.milliseconds = (text) => {
  const begun = performance.now();
  render(text, button);
  return performance.now() - begun;
};
window.grows = (text, step) => {
  const node = document.createElement("div");
  const growing = new Growing(node, button);
  const wrong = [];
  for (let end = step; end < text.length + step; end += step) {
    const kept = [...node.childNodes].slice(0, -2);
    growing.show(text.slice(0, end));
    const same = [...node.childNodes].map(html).join("") === window.show(text.slice(0, end));
    if (!same || kept.some((child, i) => child !== node.childNodes[i])) wrong.push(text.slice(0, end));
  }
  return wrong;
};
window.millisecondsToGrow = (text, step) => {
  const growing = new Growing(document.createElement("div"), button);
  const begun = performance.now();
  for (let end = step; end < text.length + step; end += step) growing.show(text.slice(0, end));
  return performance.now() - begun;
};
window.prefixes = (text) => [...text].map((_, i) => window.show(text.slice(0, i + 1)));
</script>"""


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    def answer(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        if name:
            route.fulfill(body=(PAGE / name).read_text("utf-8"), content_type="text/javascript")
        else:
            route.fulfill(body=HTML, content_type="text/html; charset=utf-8")

    page = browser.new_page()
    page.route("**/*", answer)
    page.goto("http://page.test/")
    page.wait_for_function("() => window.prefixes !== undefined")
    yield page


@pytest.fixture(scope="module")
def show(page: Page) -> Callable[[str], str]:
    return lambda text: page.evaluate("text => show(text)", text)


def code(text: str, language: str = "") -> str:
    kind = f' class="language-{language}"' if language else ""
    return f"<pre><code{kind}>{text}</code></pre>"


# ---- CommonMark 0.31.2, section 4.5: all examples of fences, by their numbers

FENCES = [
    (119, "```\n<\n >\n```", code("&lt;\n &gt;\n")),
    (120, "~~~\n<\n >\n~~~", code("&lt;\n &gt;\n")),
    (121, "``\nfoo\n``", "<p><code>foo</code></p>"),
    (122, "```\naaa\n~~~\n```", code("aaa\n~~~\n")),
    (123, "~~~\naaa\n```\n~~~", code("aaa\n```\n")),
    (124, "````\naaa\n```\n``````", code("aaa\n```\n")),
    (125, "~~~~\naaa\n~~~\n~~~~", code("aaa\n~~~\n")),
    (126, "```", code("")),
    (127, "`````\n\n```\naaa", code("\n```\naaa\n")),
    (128, "> ```\n> aaa\n\nbbb", f"<blockquote>{code('aaa' + chr(10))}</blockquote><p>bbb</p>"),
    (129, "```\n\n  \n```", code("\n  \n")),
    (130, "```\n```", code("")),
    (131, " ```\n aaa\naaa\n```", code("aaa\naaa\n")),
    (132, "  ```\naaa\n  aaa\naaa\n  ```", code("aaa\naaa\naaa\n")),
    (133, "   ```\n   aaa\n    aaa\n  aaa\n   ```", code("aaa\n aaa\naaa\n")),
    (134, "    ```\n    aaa\n    ```", code("```\naaa\n```\n")),
    (135, "```\naaa\n  ```", code("aaa\n")),
    (136, "   ```\naaa\n  ```", code("aaa\n")),
    (137, "```\naaa\n    ```", code("aaa\n    ```\n")),
    (138, "``` ```\naaa", "<p><code> </code><br />aaa</p>"),
    (139, "~~~~~~\naaa\n~~~ ~~", code("aaa\n~~~ ~~\n")),
    (140, "foo\n```\nbar\n```\nbaz", f"<p>foo</p>{code('bar' + chr(10))}<p>baz</p>"),
    (141, "foo\n---\n~~~\nbar\n~~~\n# baz", f"<h2>foo</h2>{code('bar' + chr(10))}<h1>baz</h1>"),
    (142, "```ruby\ndef foo(x)\n  return 3\nend\n```", code("def foo(x)\n  return 3\nend\n", "ruby")),
    (
        143,
        "~~~~    ruby startline=3 $%@#$\ndef foo(x)\n  return 3\nend\n~~~~~~~",
        code("def foo(x)\n  return 3\nend\n", "ruby"),
    ),
    (144, "````;\n````", code("", ";")),
    (145, "``` aa ```\nfoo", "<p><code>aa</code><br />foo</p>"),
    (146, "~~~ aa ``` ~~~\nfoo\n~~~", code("foo\n", "aa")),
    (147, "```\n``` aaa\n```", code("``` aaa\n")),
]


@pytest.mark.parametrize(("text", "html"), [pytest.param(*rest, id=str(number)) for number, *rest in FENCES])
def test_the_specifications_fences(show: Callable[[str], str], text: str, html: str) -> None:
    assert show(text) == html


# ---- Fences elsewhere

A = code("a\n")
MORE_FENCES = [
    ("- one\n  ```py\n  a\n  ```\n- two", f"<ul><li>one{code('a' + chr(10), 'py')}</li><li>two</li></ul>"),
    ("1. one\n\n   ~~~\n   a\n   ~~~\n2. two", f"<ol><li>one{A}</li><li>two</li></ol>"),
    ("- ```\n  a\n  ```", f"<ul><li>{A}</li></ul>"),
    ("- ```\n  a\n\n  b", f"<ul><li>{code('a' + chr(10) * 2 + 'b' + chr(10))}</li></ul>"),
    ("1. one\n```\na\n```\n2. two", f'<ol><li>one</li></ol>{A}<ol start="2"><li>two</li></ol>'),
    ("- one\n  - two\n    ````\n    a\n    ````", f"<ul><li>one<ul><li>two{A}</li></ul></li></ul>"),
    ("> > ~~~\n> > a\n> > ~~~\n> b", f"<blockquote><blockquote>{A}</blockquote><p>b</p></blockquote>"),
    ("> ```\na", f"<blockquote>{code('')}</blockquote><p>a</p>"),
    ("- ```\na", f"<ul><li>{code('')}</li></ul><p>a</p>"),
    ("```\n\ta\n\t\tb\n```", code("\ta\n\t\tb\n")),  # tabs of a Makefile stay
    ("  ```\n\ta\n  ```", code("  a\n")),  # two columns of the tab were the fence's
    ("-\t```\n\ta\n\t```", f"<ul><li>{A}</li></ul>"),
    ("```\na\n```\t ", A),
    ("```\r\na\r\n```\r\nb", f"{A}<p>b</p>"),
    ("```\ra\r```", A),
    ("```\n> a\n- b\n# c\n```", code("&gt; a\n- b\n# c\n")),
    ("````md\n```py\na\n```\n````", code("```py\na\n```\n", "md")),
    ("```中文 注释\na\n```", code("a\n", "中文")),
    ("``` c++\\\\x&#43; y\na", code("a\n", "c++\\x+")),
    ("```py`\na", "<p>```py`<br />a</p>"),
    ("~~~py`~\na", code("a\n", "py`~")),
    ("~~\na\n~~", "<p>~~<br />a<br />~~</p>"),
    ("好：\n```\na\n```\n好", f"<p>好：</p>{A}<p>好</p>"),
    ("```\na\n```\n```\na\n```", A + A),
    ("```\n```` \na", code("") + "<p>a</p>"),
    ("\ufeff好", "<p>\ufeff好</p>"),
    ("    a\n\n    b\n\n\nc", code("a\n\nb\n") + "<p>c</p>"),
]


@pytest.mark.parametrize(("text", "html"), MORE_FENCES)
def test_fences_elsewhere(show: Callable[[str], str], text: str, html: str) -> None:
    assert show(text) == html


def test_a_fence_that_is_still_being_written(page: Page) -> None:
    text = "1. 看：\n\n   ~~~~py\n   if x:\n       print('```')\n   ~~~~\n   完"
    shown = page.evaluate("text => prefixes(text)", text)
    begun = text.index("py\n")
    assert all("<pre>" in html for html in shown[begun:]) and not any("<p>" in html for html in shown[begun:-3])
    body = code("if x:\n    print('```')\n", "py")
    assert shown[-1] == f"<ol><li>看：{body}<p>完</p></li></ol>"


# ---- The other blocks, with the numbers of the specification's examples where it has them

BLOCKS = [
    ("# foo\n## foo\n### foo", "<h1>foo</h1><h2>foo</h2><h3>foo</h3>"),
    ("####### foo", "<p>####### foo</p>"),  # 63
    ("#5 bolt\n\n#hashtag", "<p>#5 bolt</p><p>#hashtag</p>"),  # 64
    ("## foo ##\n  ###   bar    ###", "<h2>foo</h2><h3>bar</h3>"),  # 71
    ("# foo#", "<h1>foo#</h1>"),  # 75
    ("Foo *bar*\n=========", "<h1>Foo <em>bar</em></h1>"),  # 80
    ("***\n---\n___", "<hr /><hr /><hr />"),  # 43
    ("- foo\n***\n- bar", "<ul><li>foo</li></ul><hr /><ul><li>bar</li></ul>"),  # 57
    ("> # Foo\n> bar\n> baz", "<blockquote><h1>Foo</h1><p>bar<br />baz</p></blockquote>"),  # 228
    ("> bar\nbaz\n> foo", "<blockquote><p>bar<br />baz<br />foo</p></blockquote>"),  # 233
    ("- foo\n  - bar\n    - baz", "<ul><li>foo<ul><li>bar<ul><li>baz</li></ul></li></ul></li></ul>"),  # 307
    ("- foo\n- bar\n+ baz", "<ul><li>foo</li><li>bar</li></ul><ul><li>baz</li></ul>"),  # 301
    ("1. one\n\n2. two", "<ol><li>one</li><li>two</li></ol>"),
    ("3) three\n4) four", '<ol start="3"><li>three</li><li>four</li></ol>'),
    ("- a\n\n  b", "<ul><li>a<p>b</p></li></ul>"),
    ("数字是\n14. 没有列表", "<p>数字是<br />14. 没有列表</p>"),  # 304's kind
    ("-one\n\n2.two", "<p>-one</p><p>2.two</p>"),  # 266
    ("foo  \nbaz", "<p>foo<br />baz</p>"),  # 633
    ("foo\\\nbaz", "<p>foo<br />baz</p>"),  # 634
    (
        "| 名 | 数 |\n|:-:|--:|\n| `a\\|b` | **1** |\n| 缺 |\n| x | y | 多 |\n\n完",
        '<table><thead><tr><th class="center">名</th><th class="right">数</th></tr></thead><tbody>'
        '<tr><td class="center"><code>a|b</code></td><td class="right"><strong>1</strong></td></tr>'
        '<tr><td class="center">缺</td><td class="right"></td></tr>'
        '<tr><td class="center">x</td><td class="right">y</td><td>多</td></tr></tbody></table><p>完</p>',
    ),
    ("a | b\nc | d", "<p>a | b<br />c | d</p>"),
    ("| a | b |\n| --- |", "<p>| a | b |<br />| --- |</p>"),
    ("", ""),
    (" \n\t\n", ""),
]


@pytest.mark.parametrize(("text", "html"), BLOCKS)
def test_blocks(show: Callable[[str], str], text: str, html: str) -> None:
    assert show(text) == html


# ---- Inside a line

INLINE = [
    ("`` foo ` bar ``", "<code>foo ` bar</code>"),  # 329
    ("` `` `", "<code>``</code>"),  # 330
    ("`foo\\`bar`", "<code>foo\\</code>bar`"),  # 338
    ("```foo``", "```foo``"),  # 347's kind
    ("`a* *b`*", "<code>a* *b</code>*"),
    ("foo_bar_baz __init__.py", "foo_bar_baz <strong>init</strong>.py"),
    ("foo__bar__baz", "foo__bar__baz"),  # 389's kind
    ("foo*bar*", "foo<em>bar</em>"),  # 355
    ("a * foo bar*", "a * foo bar*"),  # 351
    ("***foo** bar*", "<em><strong>foo</strong> bar</em>"),  # 416's kind
    ("*foo**bar**baz*", "<em>foo<strong>bar</strong>baz</em>"),  # 411
    ("**foo*bar", "**foo*bar"),
    ("\\*no\\* \\`no\\`", "*no* `no`"),
    # Chinese has no blanks around words
    ("这是**“重点”**的话", "这是<strong>“重点”</strong>的话"),
    ("**注意：**请看", "<strong>注意：</strong>请看"),
    ("他说**（重点）**，好", "他说<strong>（重点）</strong>，好"),
    ("**价格（元）**100", "<strong>价格（元）</strong>100"),
    ("请*不要*这样", "请<em>不要</em>这样"),
    ("**「引用」**後", "<strong>「引用」</strong>後"),
    ("中_文_字 snake_中_文", "中_文_字 snake_中_文"),
    ("**Note:**text", "**Note:**text"),  # as the specification has it for English
    ("**😀**好", "<strong>😀</strong>好"),
    # formulas stay as they are, money is none
    ("$a_1 * b_1 * c$ *x*", "$a_1 * b_1 * c$ <em>x</em>"),
    ("$$\\sum_{i} a_i * b_i*c$$", "$$\\sum_{i} a_i * b_i*c$$"),
    ("\\(a_1*b*c\\) 和 \\[x*y*z\\]", "\\(a_1*b*c\\) 和 \\[x*y*z\\]"),
    ("$5 到 $10 *好*", "$5 到 $10 <em>好</em>"),
    ("$5*2*1", "$5<em>2</em>1"),
    ("$5*或*$10", "$5<em>或</em>$10"),
    # HTML stays text
    ("<b>x</b> <img src=x onerror='a*b*'>", "&lt;b&gt;x&lt;/b&gt; &lt;img src=x onerror='a*b*'&gt;"),
    ("a<b *und* c>d", "a&lt;b <em>und</em> c&gt;d"),
    ("&lt;script&gt; &copy; &#20013; &nosuch; &", "&lt;script&gt; © 中 &amp;nosuch; &amp;"),
    ("<!-- x --> <?php ?>", "&lt;!-- x --&gt; &lt;?php ?&gt;"),
    # links
    (
        "[**b** `c`](https://e.example/a_(b)_c?x=1&amp;y=2 'title')",
        '<a href="https://e.example/a_(b)_c?x=1&y=2"><strong>b</strong> <code>c</code></a>',
    ),
    ("<https://e.example/?a=b>", '<a href="https://e.example/?a=b">https://e.example/?a=b</a>'),
    ("![图](https://e.example/x.png)", '<a href="https://e.example/x.png">图</a>'),
    ("*a [b*](https://e.example/)", '*a <a href="https://e.example/">b*</a>'),
    (
        "[a [b](https://e.example/) c](https://f.example/)",
        '[a <a href="https://e.example/">b</a> c](https://f.example/)',
    ),
    ("[x] [y](", "[x] [y]("),
]


@pytest.mark.parametrize(("text", "html"), INLINE)
def test_inside_a_line(show: Callable[[str], str], text: str, html: str) -> None:
    assert show(text) == f"<p>{html}</p>"


@pytest.mark.parametrize(
    "target",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\tscript:alert(1)",
        "<java\tscript:alert(1)>",
        "\x01javascript:alert(1)",
        "javascript&colon;alert(1)",
        "&#106;avascript:alert(1)",
        "&#x6A;avascript:alert(1)",
        "java&Tab;script:alert(1)",
        "java&NewLine;script:alert(1)",
        "javascript\\:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "<data:text/html;base64,PHNjcmlwdD4=>",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://e.example/1",
        "view-source:https://e.example",
        "//e.example",
        "/health",
        "",
    ],
)
def test_dangerous_links_stay_text(show: Callable[[str], str], target: str) -> None:
    for text in (f"[a]({target})", f"![a]({target})", f"<{target}>"):
        assert "<a" not in show(text), text
    assert "[a](" in show(f"[a]({target})")


def test_links_open_elsewhere_and_tell_nothing(page: Page) -> None:
    found = page.evaluate("""async () => {
        const { render } = await import("/markdown.js");
        const link = render("[a](https://e.example 'more')", () => "").querySelector("a");
        return [link.target, link.rel, link.title];
    }""")
    assert found == ["_blank", "noopener noreferrer", "more"]


# ---- Long and deep

SIZE = 100_000
HARD = {
    "quotes": ">" * SIZE,
    "lists": "- " * (SIZE // 2) + "a",
    "a list each line deeper": "".join(" " * 2 * i + "- a\n" for i in range(310)),
    "stars": "*" * SIZE,
    "openers": "**a " * (SIZE // 4),
    "closers": "a** " * (SIZE // 4),
    "deep emphasis": "*a **b " * 7000 + "b** a* " * 7000,
    "two kinds": "*a_ " * (SIZE // 4),
    "brackets": "[" * (SIZE // 2) + "]" * (SIZE // 2),
    "links": "[a](b" * (SIZE // 5),
    "titles": '[a](b "' * (SIZE // 7),
    "ticks": "`a" * (SIZE // 2),
    "runs of ticks": " ".join("`" * i for i in range(1, 440)),
    "formulas": "$a" * (SIZE // 2),
    "openings of formulas": "\\(" * (SIZE // 2),
    "tags": "<a b='" * (SIZE // 6),
    "blanks": "a" + " " * SIZE + "b",
    "blanks in a heading": "# a" + " " * SIZE + "#b",
    "blanks in a rule": "*" + " " * SIZE + "b",
    "a table's line": "|a|\n|" + "-" * (SIZE // 2) + " " * (SIZE // 2) + "x",
    "a table's missing cells": "|a" * 200 + "|\n" + "|-" * 200 + "|\n" + "|\n" * ((SIZE - 800) // 2),
    "one line": "word " * (SIZE // 5),
    "a reply": ("## 标题\n\n有**重点**和`代码`。\n\n- 一\n  - 二\n\n```py\nx\n```\n\n|a|b|\n|-|-|\n|1|2|\n\n" * 2000)[
        :SIZE
    ],
}


@pytest.mark.parametrize("name", HARD)
def test_a_hundred_thousand_characters_take_less_than_a_second(page: Page, name: str) -> None:
    assert page.evaluate("text => milliseconds(text)", HARD[name]) < 1000


# ---- A reply that is being written

ENDS = "\n\n段落\n二\n===\n|a|b|\n|-|-|\n|1|2|\n- 一\n\n  二\n1. x\n> q\nlazy\n    code\n\n    more\n\n14. y\n$$\nx\n$$\n***\n"


def test_a_text_that_grows_is_drawn_as_the_whole_is_and_what_is_finished_stays(page: Page) -> None:
    texts = ["\n".join(text for _, text, _ in FENCES), "\n\n".join(text for text, _ in MORE_FENCES + BLOCKS), ENDS * 2]
    for text in texts:
        assert page.evaluate("text => grows(text, 1)", text.replace("\n\n", "\r\n\r\n", 3)) == []


def test_a_hundred_thousand_characters_grow_in_less_than_two_seconds(page: Page) -> None:
    assert page.evaluate("text => millisecondsToGrow(text, 200)", HARD["a reply"]) < 2000


@pytest.mark.parametrize("name", ["quotes", "lists", "a list each line deeper", "deep emphasis"])
def test_depth_has_an_end_and_loses_no_text(show: Callable[[str], str], name: str) -> None:
    html = show(HARD[name])
    depth = deepest = 0
    for end in re.findall(r"<(/?)(?!br )\w+[^>]*>", html):
        depth += -1 if end else 1
        deepest = max(deepest, depth)
    assert 14 <= deepest <= 40
    letters = [re.sub("<[^>]*>", "", text).count("a") for text in (html, HARD[name])]
    assert letters[0] == letters[1]
