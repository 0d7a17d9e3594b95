"""What is left of wiki markup after reading a Wikipedia dump, and the holes that templates and notes have left.

python bench/wikipedia.py DUMP.xml.bz2
"""

import re
import sys
import time
from collections import Counter
from pathlib import Path

from yaya.prepare.document import ReadEvents
from yaya.prepare.read.source_files import SourceFile
from yaya.prepare.read.sources import read_file

MARKS = ("{{", "}}", "[[", "]]", "<ref", "</", "{|", "|}", "|-", "''", "&nbsp;", "[http", "File:", "Category:")

HOLES = {
    "empty brackets": r"[(（][ ,;:，；]*[)）]",
    "loose marks in brackets": r"[(（] ?[,;:，；]|[,;，；] ?[)）]",
    "blank before a comma": r"\w ,",
    "two marks": r"[,;] ?[,;]",
    "two blanks": r"\w {2,}\w",
}

path = Path(sys.argv[1])
left_out: Counter[str] = Counter()
broken: list[str] = []
events = ReadEvents(lambda b: broken.append(b.reason), lambda *_: None, lambda _s, _w, why: left_out.update([why]))
started = time.perf_counter()
file = SourceFile(path, path.name, "wiki", path.stat().st_size, named=True)
articles = [(document.where, document.text or "") for document in read_file(file, events)]
seconds = time.perf_counter() - started
size = sum(len(text.encode()) for _, text in articles)
print(f"{len(articles)} articles, {size / 1e6:.2f} MB of text in {seconds:.1f} s; left out: {dict(left_out)}; {broken}")
for mark in MARKS:
    found = [where for where, text in articles if mark in text]
    print(f"  {mark!r:12} {sum(text.count(mark) for _, text in articles)}", ", ".join(found[:4]))
for name, pattern in HOLES.items():
    found = [where for where, text in articles for _ in re.finditer(pattern, text)]
    print(f"  {name:24} {len(found)}", ", ".join(dict.fromkeys(found[:4])))
