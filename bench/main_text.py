"""Main text of web pages against gold phrases (those that belong to it, those that don't), beside trafilatura if it is there.

python bench/main_text.py DIRTY_FOLDER   (holds html/ and html-gold.json)
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

try:
    from yaya.prepare.read.html import main_text
    from yaya.prepare.read.readers import decode_page

    EXTRACTORS: dict[str, Callable[[str], str | None]] = {"yaya": main_text}
except ImportError:  # an environment with trafilatura alone
    EXTRACTORS = {}

    def decode_page(page: bytes) -> str:
        return page.decode("utf-8", "replace")


try:
    import trafilatura

    EXTRACTORS[f"trafilatura {trafilatura.__version__}"] = trafilatura.extract
except ImportError:
    pass

folder = Path(sys.argv[1])
gold = json.loads((folder / "html-gold.json").read_text("utf-8"))
for name, extract in EXTRACTORS.items():
    hits = missed = wrong = size = 0
    seconds = 0.0
    for entry in gold.values():
        page = (folder / "html" / entry["file"]).read_bytes()
        text, size = decode_page(page), size + len(page)
        started = time.perf_counter()
        found = extract(text) or ""
        seconds += time.perf_counter() - started
        there = sum(phrase in found for phrase in entry["with"])
        hits, missed = hits + there, missed + len(entry["with"]) - there
        wrong += sum(phrase in found for phrase in entry["without"] if phrase)
    precision, recall = hits / (hits + wrong), hits / (hits + missed)
    print(
        f"{name}: precision {precision:.3f}, recall {recall:.3f}, F1 {2 * precision * recall / (precision + recall):.3f},"
        f" {size / seconds / 1e6:.1f} MB/s of HTML"
    )
