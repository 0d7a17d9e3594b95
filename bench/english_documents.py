"""English documents of several kinds as one JSONL file, {"id", "text"}: what yaya and datatrove are compared on.

python bench/english_documents.py DATA_FOLDER OUT.jsonl   (DATA_FOLDER holds the groups text-en and dirty)
"""

import gzip
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

CHAPTER = 6000  # characters


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    """(name, text) of web pages as crawled, encyclopedia articles, textbooks, facts and pieces of novels."""
    for path in sorted((folder / "dirty" / "dolma").rglob("*.json*")):
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        for number, line in enumerate(raw.decode("utf-8", "replace").split("\n")):
            if line:
                yield f"dolma/{path.name}/{number}", json.loads(line).get("text") or ""
    for name in ("wikipedia-wp2txt.txt", "wikipedia-demo.txt"):
        articles = re.split(r"\n(?=\[\[[^\n]*\]\]\n)", (folder / "text-en" / name).read_text("utf-8"))
        for number, article in enumerate(articles):
            yield f"{name}/{number}", article
    for path in sorted((folder / "text-en").glob("*.jsonl")):
        for number, line in enumerate(path.read_text("utf-8").split("\n")):
            if line:
                yield f"{path.name}/{number}", json.loads(line).get("text") or ""
    for path in sorted((folder / "text-en" / "novels").glob("*.txt")):
        text = path.read_text("utf-8-sig", errors="replace").replace("\r\n", "\n")
        for start in range(0, len(text), CHAPTER):
            yield f"{path.name}/{start}", text[start : start + CHAPTER]


count = size = 0
with Path(sys.argv[2]).open("w", encoding="utf-8") as out:
    for name, text in texts(Path(sys.argv[1])):
        if text.strip():
            out.write(json.dumps({"id": name, "text": text}, ensure_ascii=False) + "\n")
            count, size = count + 1, size + len(text.encode())
print(f"{count:,} documents, {size / 1e6:.1f} MB")
