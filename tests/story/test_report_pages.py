"""The reports in a real browser, as on a phone: nothing scrolls sideways, the language can be switched and is remembered."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
import test_prepare_report as of_data
import test_report as of_run
import test_tune as of_search

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WIDTH = 390


def run_report(folder: Path) -> Path:
    of_run.render(of_run.a_run(folder / "little one", of_run.a_tokenizer()), of_run.scores())
    return folder / "report.html"


def data_report(folder: Path) -> Path:
    """With a dropped text of one endless word."""
    examples = copy.deepcopy(of_data.EXAMPLES)
    examples["drops"]["gopher_quality"][0]["text"] = "x" * 900
    of_data.render(folder, of_data.METRICS, examples)
    return folder / "report.html"


def search_report(folder: Path) -> Path:
    """With a trial that failed with one endless word."""
    trials = of_search.many()
    trials[4] |= {"outcome": "failed", "loss": None, "message": "x" * 300}
    of_search.page_of(folder, trials, of_search.both_seeds(2.55, 2.2))
    return folder / "r.html"


@pytest.mark.parametrize("make", [run_report, data_report, search_report])
def test_a_page_on_a_phone(make: Callable[[Path], Path], tmp_path: Path, browser: Browser) -> None:
    page = browser.new_context(locale="zh-CN", viewport={"width": WIDTH, "height": 800}).new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(make(tmp_path).as_uri())

    def assert_in(language: str) -> None:
        page.evaluate("for (const node of document.querySelectorAll('details')) node.open = true")
        assert page.locator("html").get_attribute("lang") == language
        for shown, hidden in ((".en", ".zh"),) if language == "en" else ((".zh", ".en"),):
            assert page.locator(shown).first.is_visible() and not page.locator(hidden).first.is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == WIDTH

    assert_in("zh-CN")  # the browser's
    page.get_by_role("button", name="English").click()
    assert_in("en")
    page.reload()
    assert_in("en")
    page.get_by_role("button", name="中文").click()
    assert_in("zh-CN")
    assert problems == []
    page.close()
