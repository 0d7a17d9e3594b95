"""Makes the pictures of the README from a finished run: the chat page and the report's curves, in both languages.

python docs/pictures.py demo [FOLDER]        wants the dev extra and Chromium
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
TALK = {
    "en": ("chat", "en-US", ["Who are you?", "What is 3 plus 4?", "What does Lily like to eat?"]),
    "zh": ("chat-zh", "zh-CN", ["你是谁？", "3加4等于几？", "莉莉喜欢吃什么？"]),
}


def chat(page: Page, address: str, questions: list[str]) -> None:
    page.goto(address)
    for count, question in enumerate(questions, 1):
        page.get_by_role("textbox").first.fill(question)
        page.keyboard.press("Enter")
        page.get_by_text(re.compile("first token after|首个 token")).nth(count - 1).wait_for(timeout=20000)


def main(run: str, folder: Path) -> None:
    IMAGES.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "yaya", "serve", run, "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    address = next(m.group() for line in process.stderr if (m := re.search(r"http://127\.0\.0\.1:\d+", line)))
    report = Path("runs", run, "evaluate", "report.html").resolve()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            for name, locale, questions in TALK.values():
                page = browser.new_page(viewport={"width": 1000, "height": 620}, locale=locale)
                chat(page, address, questions)
                page.screenshot(path=folder / f"{name}.png")
                page.close()
                page = browser.new_page(viewport={"width": 1000, "height": 800}, locale=locale)
                page.goto(report.as_uri())
                section = page.locator("section", has=page.locator("h2#learning"))
                section.locator("figure").first.screenshot(path=folder / f"{name.replace('chat', 'curves')}.png")
                page.close()
            browser.close()
    finally:
        process.terminate()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else IMAGES)
