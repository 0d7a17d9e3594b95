"""The chat page in a real browser, against the server with an engine that answers by rule."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from test_serve_fake import HOLD, FakeEngine, running_server, wait_until

from yaya.serve.about import OF_PRIMER, About

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

MARKDOWN = "Some **bold** and `code`.\n\n1. one\n2. two\n\n```python\nprint('<b>')\n```\nend"
FENCES = "1. one\n\n   ~~~~py\n   ```\n     x\n   ~~~~\n2. two\n   - three" + HOLD
DEEP = ">" * 60 + "deep\n\n" + "- " * 60 + "deep\n\n|" + "wide" * 40 + "|\n|-|\n"
EVIL = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'> **<i onclick=x>b</i>** `<u>c</u>`"


def reply(text: str) -> str:
    return {
        "markdown": MARKDOWN,
        "long": "word word word word" + HOLD,
        "evil": EVIL,
        "deep": DEEP,
        "fences": FENCES,
        "tall": "1\n\n" * 40,
    }.get(text, f"You said: {text}")


@pytest.fixture(scope="module")
def engine() -> FakeEngine:
    return FakeEngine(reply, step_s=0.002, context_length=1200)


@pytest.fixture(scope="module")
def url(engine: FakeEngine) -> Iterator[str]:
    with running_server(engine, about=About(OF_PRIMER)) as url:
        yield url


class Chat:
    """What a visitor does and sees."""

    def __init__(self, page: Page):
        self.page = page
        self.complaints: list[str] = []
        page.set_default_timeout(15000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda line: self.complaints.append(line.text) if "Content Security" in line.text else None)

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.page.wait_for_selector("#app:not([hidden])")

    def send(self, text: str, wait: bool = True) -> None:
        turns = self.page.locator(".turn").count()
        self.page.fill("#message", text)
        self.page.press("#message", "Enter")
        self.page.wait_for_selector(f".turn:nth-child({turns + 1})")
        if wait:
            self.wait_for_end()

    def wait_for_end(self) -> None:
        self.page.wait_for_selector(".turn:last-child .tools")

    def text(self, selector: str) -> str:
        return self.page.locator(selector).last.inner_text()

    @property
    def reply(self) -> str:
        return self.text(".turn:last-child .text")


def visit(browser: Browser, url: str, **options: object) -> Iterator[Chat]:
    context = browser.new_context(**{"locale": "en-US", "viewport": {"width": 1000, "height": 700}, **options})
    chat = Chat(context.new_page())
    chat.open(url)
    yield chat
    context.close()
    assert chat.complaints == []


@pytest.fixture
def chat(browser: Browser, url: str) -> Iterator[Chat]:
    yield from visit(browser, url)


@pytest.fixture
def phone(browser: Browser, url: str) -> Iterator[Chat]:
    size = {"width": 360, "height": 740}
    yield from visit(browser, url, locale="zh-CN", viewport=size, is_mobile=True, has_touch=True, color_scheme="dark")


def test_a_conversation(chat: Chat, engine: FakeEngine) -> None:
    assert chat.text("#model") == "baby"
    chat.send("first")
    assert chat.reply == "You said: first"
    assert "tokens/s" in chat.text(".numbers") and "first token after" in chat.text(".numbers")
    chat.send("second")
    assert chat.reply == "You said: second"
    prompt = "".join(chr(i) if i < 0x110000 else "|" for i in engine.added[-1].input_ids)
    assert prompt == "|user\nfirst|\n|assistant\nYou said: first|\n|user\nsecond|\n|assistant\n"
    # the buttons of an earlier reply do not offer to write it anew
    assert [again.is_visible() for again in chat.page.locator(".again").all()] == [False, True]


def test_streaming_then_stop_then_regenerate(chat: Chat, engine: FakeEngine) -> None:
    chat.send("long", wait=False)
    chat.page.locator(".turn .text", has_text="word word word word").wait_for()
    assert chat.page.locator("#stop").is_visible() and not chat.page.locator("#send").is_visible()
    request = engine.added[-1]
    chat.page.click("#stop")
    chat.wait_for_end()
    wait_until(lambda: engine.idle)
    assert request in engine.cancelled
    assert chat.reply == "word word word word"
    assert "stopped" in chat.text(".numbers")
    chat.page.click("button[title='Try again']:visible")
    chat.page.wait_for_selector("#stop:visible")
    assert engine.added[-1].input_ids == request.input_ids  # the stopped reply is not in the new prompt
    chat.page.click("#stop")
    chat.wait_for_end()
    assert chat.page.locator(".turn").count() == 1


def test_starters_new_chat_and_reload(chat: Chat) -> None:
    chat.page.locator(".starter").first.click()
    chat.wait_for_end()
    assert chat.reply == "You said: Who are you?"
    chat.page.reload()
    chat.wait_for_end()
    assert chat.text(".bubble") == "Who are you?" and chat.reply == "You said: Who are you?"
    assert not chat.page.locator("#welcome").is_visible()
    chat.page.click("#new")
    assert chat.page.locator(".turn").count() == 0 and chat.page.locator("#welcome").is_visible()
    chat.page.reload()
    assert chat.page.locator("#welcome").is_visible()


def test_starters_of_own_data_are_never_markup(browser: Browser, engine: FakeEngine) -> None:
    own = {"en": [EVIL, "What does the desk cost?"], "zh": ["米粉是热的吗？"]}
    with running_server(engine, about=About(own)) as url:
        for chat in visit(browser, url):
            chat.page.wait_for_selector(".starter")
            assert chat.page.locator(".starter").all_inner_texts() == own["en"]
            chat.page.locator(".starter").first.click()
            chat.wait_for_end()
            assert chat.text(".bubble") == EVIL and chat.page.evaluate("window.hacked") is None
            chat.page.click("#new")
            chat.page.click("#language")
            assert chat.page.locator(".starter").all_inner_texts() == own["zh"]


def test_a_model_of_which_nothing_is_known_suggests_nothing(browser: Browser, engine: FakeEngine) -> None:
    with running_server(engine) as url:
        for chat in visit(browser, url):
            chat.page.wait_for_load_state("networkidle")
            assert chat.page.locator(".starter").count() == 0 and "keep it simple" in chat.text("#welcome")


def test_a_model_that_has_only_read_texts_says_so(browser: Browser, engine: FakeEngine) -> None:
    with running_server(engine, about=About(only_texts=True)) as url:
        for chat in visit(browser, url):
            chat.page.locator("#welcome", has_text="I have only read plain text.").wait_for()
            assert chat.page.locator(".starter").count() == 0
            chat.page.click("#language")
            assert "只读过普通文本" in chat.text("#welcome") and "想聊点什么" not in chat.text("#welcome")


def test_a_new_chat_while_a_reply_is_written(chat: Chat, engine: FakeEngine) -> None:
    chat.send("long", wait=False)
    chat.page.click("#new")
    wait_until(lambda: engine.idle)
    chat.send("hello")
    assert chat.page.locator(".turn").count() == 1 and chat.reply == "You said: hello"


def test_what_is_written_is_never_markup(chat: Chat) -> None:
    chat.send("evil")
    assert "<script>window.hacked = 1</script>" in chat.reply and "<i onclick=x>b</i>" in chat.reply
    chat.send(EVIL)
    assert chat.text(".bubble") == EVIL
    chat.page.reload()  # and not when it comes back from storage either
    chat.wait_for_end()
    assert chat.page.evaluate("window.hacked") is None
    assert chat.page.locator("#turns script, #turns i[onclick], #turns u, #turns img:not(.face)").count() == 0


def test_markdown(chat: Chat) -> None:
    chat.send("markdown")
    text = chat.page.locator(".turn .text")
    assert text.locator("strong").inner_text() == "bold"
    assert text.locator("p code").inner_text() == "code"
    assert text.locator("ol li").all_inner_texts() == ["one", "two"]
    assert text.locator("pre code").inner_text() == "print('<b>')"
    assert text.locator(".code-head span").inner_text() == "python"


def test_a_reply_with_fences_while_it_is_written(chat: Chat, engine: FakeEngine) -> None:
    """The block can be copied, and the mark of what is being written stands behind the last word."""
    chat.send("fences", wait=False)
    chat.page.locator(".turn:last-child .writing", has_text="three").wait_for()
    text = chat.page.locator(".turn:last-child .text")
    assert text.locator("pre code").inner_text() == "```\n  x"
    assert text.locator(".code-head span").inner_text() == "py"
    assert text.locator("ol > li > ul > li").all_inner_texts() == ["three"]
    assert text.locator(".writing").all_inner_texts() == ["three"]
    chat.page.evaluate("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
    text.locator(".code-head button").click()
    assert chat.page.evaluate("window.copied") == "```\n  x"
    chat.page.click("#stop")
    chat.wait_for_end()
    assert text.locator(".writing").count() == 0


def test_language_and_theme_are_remembered(chat: Chat) -> None:
    chat.page.click("#language")
    assert chat.page.get_attribute("html", "lang") == "zh-CN"
    assert chat.page.get_attribute("#message", "placeholder") == "说点什么……"
    assert chat.page.locator(".starter").first.inner_text() == "你是谁？"
    chat.page.click("#theme")
    assert chat.page.get_attribute("html", "data-theme") == "dark"
    chat.page.reload()
    chat.page.wait_for_selector("#app:not([hidden])")
    assert chat.page.get_attribute("html", "lang") == "zh-CN"
    assert chat.page.get_attribute("html", "data-theme") == "dark"


def test_enter_while_composing_does_not_send(chat: Chat) -> None:
    chat.page.fill("#message", "nihao")
    press = "(options) => document.getElementById('message').dispatchEvent(new KeyboardEvent('keydown', options))"
    chat.page.evaluate(press, {"key": "Enter", "isComposing": True, "bubbles": True, "cancelable": True})
    chat.page.evaluate(press, {"key": "Enter", "keyCode": 229, "bubbles": True, "cancelable": True})
    assert chat.page.locator(".turn").count() == 0
    chat.page.press("#message", "Shift+Enter")
    assert chat.page.input_value("#message") == "nihao\n"
    chat.page.evaluate(press, {"key": "Enter", "keyCode": 13, "bubbles": True, "cancelable": True})
    chat.wait_for_end()
    assert chat.text(".bubble") == "nihao"


def test_settings_are_sent_and_kept(chat: Chat, engine: FakeEngine) -> None:
    chat.page.click("#settings")
    chat.page.fill("#temperature", "0.2")
    chat.page.fill("#max-tokens", "7")
    chat.page.fill("#system", "be kind")
    chat.page.keyboard.press("Escape")
    chat.page.reload()
    chat.send("hi")
    used = engine.added[-1]
    assert (used.sampling.temperature, used.sampling.max_new_tokens) == (0.2, 7)
    assert "system\nbe kind" in "".join(chr(i) for i in used.input_ids if i < 0x110000)
    assert chat.reply == "You sai" and "length limit" in chat.text(".numbers")


def test_errors_are_readable_and_can_be_retried(chat: Chat) -> None:
    said = {
        0: "The server does not respond",
        429: "The server is busy",
        400: "519 tokens > 199",
        500: "Something went wrong on the server",
    }
    status = 0

    def fail(route: Route) -> None:
        error = {"message": "519 tokens > 199", "type": "x", "param": None, "code": None}
        route.fulfill(status=status, json={"error": error}) if status else route.abort()

    chat.page.route("**/v1/chat/completions", fail)
    for status, shown in said.items():  # noqa: B007 (fail reads it)
        chat.send("hi")
        assert shown in chat.text(".error")
    chat.page.click("#language")
    assert all("服务器" in text for text in chat.page.locator(".error").all_inner_texts())
    chat.page.unroute("**/v1/chat/completions")
    chat.page.click("button[title='再答一次']:visible")
    chat.page.locator(".turn:last-child .text", has_text="You said: hi").wait_for()
    assert chat.page.locator(".turn:last-child .error").count() == 0


def test_dropped_turns_are_said(chat: Chat) -> None:
    chat.send("please " * 100)
    chat.send("hello")
    assert "oldest turn was left out" in chat.text(".dropped")


def test_a_phone(phone: Chat) -> None:
    page = phone.page
    assert page.get_attribute("html", "lang") == "zh-CN"  # from the browser's language
    assert page.get_attribute("html", "data-theme") == "dark"  # from the system's
    widest = "() => Math.max(document.documentElement.scrollWidth, document.getElementById('scroller').scrollWidth)"
    assert page.evaluate(widest) <= 360
    phone.send("x" * 300)
    phone.send("markdown")
    phone.send("deep")
    phone.send("tall")
    assert page.evaluate(widest) <= 360
    box = page.locator("#composer").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 360 and box["y"] + box["height"] <= 740
    scroller = page.evaluate(
        "(({scrollTop, scrollHeight, clientHeight}) => scrollHeight - clientHeight - scrollTop)(scroller)"
    )
    assert scroller < 5  # the newest line is in sight
    page.click("#settings")
    for field in ("#message", "#max-tokens", "#system"):  # below 16 px a phone zooms in on focus
        size = page.evaluate(f"parseFloat(getComputedStyle(document.querySelector('{field}')).fontSize)")
        assert size >= 16
    assert page.evaluate(widest) <= 360
