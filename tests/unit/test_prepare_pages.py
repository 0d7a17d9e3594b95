"""The main text of web pages: what is short belongs to an article as much as what is long."""

import pytest

from yaya.prepare.read.html import main_text

MENU = "<div class=nav><a href=1>Home</a> <a href=2>All pages</a> <a href=3>首页</a></div>"
FOOT = "<div class=footer>All rights reserved <a href=4>Imprint</a> 版权所有</div>"

PAGES = {
    "a recipe": (
        "<article><h1>Barley bread</h1><p>My aunt baked this bread on every market day, and she gave the first slice to whoever came"
        " through the door, even to the tax collector.</p><h2>You need</h2><ul><li>barley flour</li><li>a pinch of salt</li></ul>"
        "<ol><li>Mix.</li><li>Knead.</li><li>Bake for an hour.</li></ol></article>",
        ["Barley bread", "barley flour", "a pinch of salt", "Knead.", "Bake for an hour."],
    ),
    "a recipe in Chinese": (
        "<div class=content><h1>葱油面</h1><p>这碗面是外婆教我的，步骤不多，半个小时就能端上桌，关键是把葱熬到焦黄，香味才会出来。</p>"
        "<ul><li>小葱一把</li><li>酱油</li></ul><ol><li>切葱。</li><li>小火熬油。</li><li>拌面。</li></ol></div>",
        ["葱油面", "小葱一把", "切葱。", "小火熬油。", "拌面。"],
    ),
    "a dialogue": (
        "<div class=story><p>“Who is there?”</p><p>“The ferryman.”</p><p>“So late?”</p><p>The ferryman shook the rain from his coat and sat"
        " down beside the stove, where the old woman had already put the kettle on for him, as on every evening of that long autumn.</p>"
        "<p>“The river has risen.”</p><p>“I know.”</p></div>",
        ["Who is there?", "The ferryman.", "So late?", "The river has risen.", "I know."],
    ),
    "a dialogue in Chinese": (
        "<div class=chapter><p>“谁在外面？”</p><p>“摆渡的。”</p><p>摆渡人抖落身上的雨水，在炉边坐下，老太太早已为他烧好了一壶水，这个漫长的秋天里，每一晚都是这样。</p>"
        "<p>“河水涨了。”</p><p>“我知道。”</p></div>",
        ["谁在外面", "摆渡的", "河水涨了", "我知道"],
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_short_paragraphs_and_lists_belong_to_the_article(name):
    body, wanted = PAGES[name]
    text = main_text(f"<html><head><title>t</title></head><body>{MENU}{body}{FOOT}</body></html>")
    assert all(part in text for part in wanted), text
    assert not any(part in text for part in ("All pages", "All rights reserved", "首页", "版权所有", "Imprint")), text


def test_a_line_break_is_one_and_stanzas_stay_apart():
    stanzas = "<p>The mill is still,<br>the hay is in,<br/>the owl sits on<br />the winnowing bin.</p><p>One bell, one bark,<br>then all is dark.</p>"
    text = main_text(f"<html><body>{MENU}<div class=poem><h2>Evening</h2>{stanzas}</div>{FOOT}</body></html>")
    assert "The mill is still,\nthe hay is in,\nthe owl sits on\nthe winnowing bin." in text
    assert "winnowing bin.\n\nOne bell, one bark,\nthen all is dark." in text


def test_code_keeps_its_lines_and_has_ordinary_spaces():
    code = "<pre><code><span>def</span> <span>area</span>(a, b):<br>&nbsp;&nbsp;&nbsp;&nbsp;<span>return</span> a * b\n</code></pre>"
    prose = "<p>The area of a rectangle is the product of its two sides, which a function of one line gives back to whoever calls it.</p>"
    text = main_text(f"<html><body>{MENU}<article><h1>Areas</h1>{prose}{code}</article>{FOOT}</body></html>")
    assert "def area(a, b):\n    return a * b" in text and "\xa0" not in text
