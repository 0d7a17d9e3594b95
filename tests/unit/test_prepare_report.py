"""The data page: every part, both languages, safe, content with whatever is missing, and what a real run makes of it."""

import base64
import copy
import hashlib
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser as HTMLParser
from tests.conftest import context

from yaya.core import config as core_config
from yaya.core.artifact import Draft
from yaya.prepare import corpus
from yaya.prepare.clean.filters import active
from yaya.prepare.clean.quality import Reading
from yaya.prepare.data_labels import FILTERS, PARTS, REASONS, reason_name
from yaya.prepare.data_page import write_report
from yaya.prepare.settings import PrepareConfig, resolved

EVIL = "<script>alert('莉莉')</script></style><img src=x onerror=alert(1)>{{ 7*191 }}{% raw %}"
ACCOUNT = {
    "documents_in": 9, "changed": 2, "dropped": 1, "bytes_in": 2_000_000, "bytes_out": 1_999_995, "added": 1,
    "removed": 6, "seconds": 0.25,
}  # fmt: skip
METRICS: dict[str, Any] = {
    "records": {
        "in": 1234, "kept": 1220, "quarantined": 2, "merged": 3,
        "dropped": {"gopher_quality: too short": 4, "reading: redirect": 1, "languages: language fr": 2, f"x{EVIL}": 2},
    },
    "bytes": {"in": 2_000_000, "out": 1_999_995},
    "filters": {"unicode": ACCOUNT, "gopher_quality": ACCOUNT, "near_duplicates": ACCOUNT | {"seconds": 0.0}},
    "sources": {
        EVIL: {"in": 1234, "kept": 1220, "dropped": 9, "quarantined": 2, "merged": 3, "bytes": 2e6, "kept_bytes": 2e6}
    },
    "splits": {
        "train": {"text": {"documents": 1000, "characters": 5000}, "chat": {"documents": 7, "characters": 60}},
        "validation": {"text": {"documents": 99, "characters": 400}, "chat": {"documents": 0, "characters": 0}},
    },
    "mixing": [{"source": EVIL, "weight": 0.5, "bytes": 1000, "epochs": 2.25, "share": 0.625}],
    "augmented": {"reorder": 12, EVIL: 1},
    "remarks": {"read as GB18030": 3, "threads": 1, EVIL: 1},
    "seconds": 1.0,
}  # fmt: skip
EXAMPLES: dict[str, Any] = {
    "changes": {
        "unicode": [
            {
                "source": EVIL,
                "filters": "unicode, zero_width",
                "before": "caf\u00c3\u00a9 \u200b" + EVIL,
                "after": "café",
            },
            {"source": "b", "filters": "unicode", "before": "a caf\u00c3\u00a9 here", "after": "a café here"},
        ]
    },
    "drops": {
        "gopher_quality": [{"source": "a:1", "reason": "too short", "text": EVIL}],
        "near_duplicates": [{"source": "a:2", "reason": f"87% like {EVIL}", "text": "text"}],
    },
    "quarantined": [
        {"source": EVIL, "kind": "bad json", "en": f"not JSON: {EVIL}", "zh": f"不是 JSON：{EVIL}", "text": EVIL}
    ],
    "twins": [
        {
            "jaccard": 0.8125,
            "kept": {"source": "a:1", "text": f"The cat sat on the mat. {EVIL}"},
            "merged": {"source": EVIL, "text": f"The dog sat on the mat. {EVIL}"},
        }
    ],
    "languages": {"han": 0.5, "latin": 0.4, "other": 0.1},
    "lengths": [{"from": 16, "to": 31, "documents": 3}, {"from": 64, "to": 127, "documents": 2}],
}


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("YAYA_LANG", "en")


def render(folder: Path, metrics: dict[str, Any], examples: Any, config: dict[str, Any] | None = None) -> str:
    if examples is not None:
        (folder / "examples.json").write_text(json.dumps(examples, ensure_ascii=False), "utf-8")
    write_report(folder, metrics, {"sources": ["a"]} if config is None else config, folder / "report.html")
    return (folder / "report.html").read_text("utf-8")


def body(html: str) -> str:
    """What is written on the page, white space as one space."""
    return re.sub(r"\s+", " ", HTMLParser(html).css_first("main").text())


def in_language(html: str, language: str) -> str:
    """What a reader of one language sees."""
    tree = HTMLParser(html)
    for node in tree.css(".en" if language == "zh" else ".zh"):
        node.decompose()
    return re.sub(r"\s+", " ", tree.css_first("main").text())


def assert_both_languages(html: str) -> None:
    tree = HTMLParser(html)
    assert len(tree.css(".en")) == len(tree.css(".zh")) >= 5
    for node in tree.css(".en"):
        twin = node.next
        while twin is not None and twin.tag == "-text":
            twin = twin.next
        assert twin is not None and "zh" in (twin.attributes["class"] or "").split(), node.html
        assert node.tag == twin.tag and node.text(strip=True) and twin.text(strip=True), node.html


def ids(html: str, what: str = "h2") -> list[str | None]:
    return [node.attributes["id"] for node in HTMLParser(html).css(what)]


def test_all_parts_are_there_in_both_languages(tmp_path: Path) -> None:
    html = render(tmp_path, METRICS, EXAMPLES)
    assert ids(html) == list(PARTS)
    assert [link.attributes["href"] for link in HTMLParser(html).css("nav a")] == [f"#{name}" for name in PARTS]
    assert_both_languages(html)
    every = ids(html, "[id]")
    assert len(every) == len(set(every))


def test_numbers_and_names_are_shown(tmp_path: Path) -> None:
    html = render(tmp_path, METRICS, EXAMPLES)
    english, chinese = in_language(html, "en"), in_language(html, "zh")
    for text in (
        "1,234 documents were read, 1,220 were kept", "dropped: not prose (Gopher)", "language: fr",
        "garbled text repaired", "2,000,000 bytes", "81% the same", "Jaccard 0.812", "62.5%", "2.25",
        "sentences reordered 12", "files read as GB18030 3", "not valid JSON", "87% the same as",
    ):  # fmt: skip
        assert text in english, text
    for text in (
        "读入 1,234 篇文档，留下 1,220 篇", "去掉：不像文章（Gopher）", "语言：fr", "修复乱码", "2,000,000 字节",
        "81% 相同", "调换句子顺序 12", "按 GB18030 读取的文件 3", "不是合法的 JSON", "有 87% 相同",
    ):  # fmt: skip
        assert text in chinese, text
    # 2 MB in a quarter of a second; nothing where it was not measured
    speeds = [row.css("td")[-1].text() for row in HTMLParser(html).css("table.counts tr") if len(row.css("td")) == 8]
    assert speeds == ["8.0", "8.0", "–"]


def test_reasons_add_up_by_step(tmp_path: Path) -> None:
    rows = HTMLParser(render(tmp_path, METRICS, EXAMPLES)).css("#accounts")[0].parent.parent.css("table")[0].css("td")
    values = [int(re.sub(r"[^0-9]", "", cell.text())) for cell in rows]
    assert values[0] == sum(values[1:])


def test_texts_are_never_markup_or_script(tmp_path: Path) -> None:
    html = render(tmp_path, METRICS, EXAMPLES, {"sources": [EVIL]})
    tree = HTMLParser(html)
    assert "<script>alert" not in html and "1337" not in html and html.count("{{ 7*191 }}") >= 8
    assert not tree.css("img, iframe, object, [onerror], [src]")
    (style,) = tree.css("style")
    assert ".plain" in style.text() and len(tree.css("main section")) == 1 + len(PARTS)
    (script,) = tree.css("script")
    digest = base64.b64encode(hashlib.sha256(script.text().encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html.replace("&#39;", "'")
    assert "://" not in html and "url(" not in html


def test_changes_and_differing_words_are_marked(tmp_path: Path) -> None:
    tree = HTMLParser(render(tmp_path, METRICS, EXAMPLES))
    assert [node.text() for node in tree.css("#changes")[0].parent.parent.css("details.more del")] == ["Ã©"]
    twins = tree.css_first("#twins").parent.parent
    assert [node.text().strip() for node in twins.css("del, ins")] == ["cat", "dog"]


@pytest.mark.parametrize("gone", [*METRICS, *EXAMPLES])
def test_what_is_missing_is_left_out(tmp_path: Path, gone: str) -> None:
    metrics, examples = ({k: v for k, v in whole.items() if k != gone} for whole in (METRICS, EXAMPLES))
    html = render(tmp_path, metrics, examples)
    assert_both_languages(html)
    part = {"records": "accounts", "quarantined": "unreadable"}.get(gone, gone)
    expected = [name for name in PARTS if name != part]
    assert ids(html) == expected
    assert "None" not in body(html) and "undefined" not in body(html).lower()


@pytest.mark.parametrize(
    "examples", [None, {}, [], 3, {name: 3 for name in EXAMPLES}, {name: [3] for name in EXAMPLES}]
)
@pytest.mark.parametrize("metrics", [{}, {name: 3 for name in METRICS}, {name: {"a": None} for name in METRICS}])
def test_damaged_input_does_not_stop_it(tmp_path: Path, metrics: dict[str, Any], examples: Any) -> None:
    assert_both_languages(render(tmp_path, metrics, examples))


def test_empty_examples_have_no_part(tmp_path: Path) -> None:
    html = render(tmp_path, METRICS, {"changes": {"unicode": []}, "drops": {}, "twins": [], "quarantined": []})
    assert ids(html) == ["accounts", "sources", "mixing", "filters"]
    assert "There is nothing to show yet" in body(render(tmp_path, {}, {}))


def test_at_most_ten_examples_of_a_kind(tmp_path: Path) -> None:
    many = copy.deepcopy(EXAMPLES)
    many["drops"] = {"empty": [{"source": f"a:{n}", "reason": "nothing to see", "text": ""} for n in range(30)]}
    many["twins"] *= 30
    tree = HTMLParser(render(tmp_path, METRICS, many))
    assert len(tree.css_first("#drops").parent.parent.css("li")) == 10
    assert len(tree.css_first("#twins").parent.parent.css("details")) == 10


def test_every_filter_and_fixed_reason_has_a_name() -> None:
    wanted = {"sources": ["a"], "emoji": "remove", "urls": "remove", "blocklist": ["x"], "preset": "web"}
    names = set(active(resolved(core_config.build(PrepareConfig, wanted, "prepare"))))
    assert names | {"languages", "chinese", "contamination"} <= FILTERS.keys()
    from yaya.prepare.clean import quality

    written = re.findall(r'^ +return "(\w[^"]*)"$', Path(quality.__file__).read_text("utf-8"), re.MULTILINE)
    assert len(written) > 10
    assert set(written) <= REASONS.keys()
    found = quality.gopher_repetition(Reading("\n\n".join(["the same words here"] * 9)))
    assert found in REASONS
    assert reason_name("one run of 3 words")[1] == "同一串 3 个词占了太多篇幅"
    assert reason_name("something new {0}") == ("something new {0}", "something new {0}")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    """A small run with something for every part."""
    folder = tmp_path_factory.mktemp("run")
    draw = random.Random(1)
    words = ["town", "river", "bamboo", "panda", "shop", "apple", "school", "friend", "story", "market", "kite"]
    texts = [" ".join(draw.choice(words) for _ in range(120)).capitalize() + "." for _ in range(20)]
    near = [text.replace(" ", " quick ", 1) for text in texts[:3]]
    texts += [
        *near,
        texts[5],
        "   ",
        "caf\u00c3\u00a9 and a zero\u200bwidth bell",
        f"Mail a.b@example.org {EVIL}",
        "bad",
    ]
    lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
    (folder / "a.jsonl").write_text(lines + "{broken\n", "utf-8")
    values = {"sources": [str(folder / "a.jsonl")], "preset": "chat", "blocklist": ["bad"]}
    config = resolved(core_config.build(PrepareConfig, values, "prepare"))
    out = folder / "out"
    out.mkdir()
    draft = Draft(out, corpus.KIND, core_config.as_dict(config), corpus.external(config), 0)
    corpus.run(config, {}, draft, context(out))
    return draft


def test_a_real_run_shows_all_that_happened(made: Draft, tmp_path: Path) -> None:
    write_report(made.path, made.metrics, made.config, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text("utf-8")
    assert ids(html) == [name for name in PARTS if name != "mixing"]
    assert_both_languages(html)
    records = made.metrics["records"]
    assert f"{records['in']} documents were read, {records['kept']} were kept" in body(html)
    assert "<script>alert" not in html and "a.b@example.org" not in html
    text = body(html)
    for shown in ("café", "⟨U+200B⟩", "contains a blocklisted word", "exact duplicates", "a.jsonl:29", "quick"):
        assert shown in text, shown


def test_masked_data_is_explained(tmp_path: Path) -> None:
    pair = {"source": "a", "filters": "personal", "before": "Mail [EMAIL_1]", "after": "Mail [EMAIL_1]"}
    assert "placeholders such as [EMAIL_1]" in body(render(tmp_path, METRICS, {"changes": {"personal": [pair]}}))
    assert "placeholders such as" not in body(render(tmp_path, METRICS, EXAMPLES))
