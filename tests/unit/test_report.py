"""The report of a tiny made-up run: whole, in both languages, safe, and content with whatever is missing."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from yaya.core.messages import program
from yaya.evaluate import sample_texts
from yaya.evaluate.report_labels import SKILLS
from yaya.evaluate.report_page import write_report
from yaya.pages import charts
from yaya.tokenize.tokenizer import Tokenizer, train

EVIL = "<script>alert('莉莉')</script>"
TEXTS = [
    "莉莉喜欢吃苹果。大卫有一只狗，住在学校旁边。",
    "Lily likes to eat apples. David has a dog and lives next to the school.",
]
CHATS = [
    [
        {"role": "user", "content": "莉莉喜欢吃什么？"},
        {"role": "assistant", "content": "莉莉喜欢吃苹果。"},
    ],
    [
        {"role": "system", "content": "You are Yaya."},
        {"role": "user", "content": f"What does Lily like? {EVIL}"},
        {"role": "assistant", "content": "Lily likes apples."},
    ],
]
SECTIONS = ("data", "tokens", "learning", "weights", "exam", "cost", "limits")


def result(accuracy: float, skills: dict[str, float] | None = None) -> dict[str, Any]:
    shares = dict.fromkeys(SKILLS, accuracy) | (skills or {})
    each = {skill: {"accuracy": value, "n": 10} for skill, value in shares.items()}
    return {"accuracy": accuracy, "n": 110, "interval": [accuracy - 0.04, min(1, accuracy + 0.03)], "skills": each}


def primer(accuracy: float) -> dict[str, Any]:
    sets = {"phrasings": result(accuracy - 0.1), "paraphrases": result(accuracy - 0.3)}
    return {"zh": result(accuracy, {"counting": 0.2}) | sets, "en": result(accuracy) | sets}


def reply(skill: str, prompt: str, expected: str, given: str) -> dict[str, Any]:
    texts = {"prompt": prompt, "expected": expected, "reply": given, "correct": expected == given}
    return texts | {"set": "combinations", "language": "zh", "skill": skill}


def scores() -> dict[str, Any]:
    return {
        "loss": 0.5,
        "perplexity": 1.6487,
        "bits_per_byte": 0.21,
        "repetition_rate": 0.02,
        "primer": primer(0.96),
        "before_finetuning": {
            "loss": 0.4, "perplexity": 1.49, "bits_per_byte": 0.2, "repetition_rate": 0.1, "primer": primer(0.8),
        },
        "replies": [
            reply("arithmetic", "3 加 4 等于几？", "7", "7"),
            reply("facts", EVIL, "a dog", f"a {EVIL}"),
        ],
        "energy": {
            "prepare": {"seconds": 3.0, "joules": None, "watts_assumed": 20.0},
            "pretrain": {"seconds": 400.0, "joules": 7200.0, "watts_assumed": None},
        },
    }  # fmt: skip


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")


def manifest(folder: Path, config: dict[str, Any], metrics: dict[str, Any]) -> None:
    about = {
        "kind": folder.name,
        "config": config,
        "metrics": metrics,
        "hardware": {"system": "Linux x86_64", "python": "3.12", "cpu": "A tiny CPU", "cores": 2, "memory_gib": 8.0},
        "yaya": {"version": "0.1.0", "commit": "a" * 40},
        "created": "2026-11-24T10:00:00+0000",
    }
    write_json(folder / "manifest.json", about)


def a_tokenizer() -> Tokenizer:
    said = [turn["content"] for chat in CHATS for turn in chat]
    return train(iter(TEXTS * 50 + said * 50 + ["user\n", "assistant\n", "system\n"] * 50), 420, 1)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return a_tokenizer()


@pytest.fixture
def run(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    return a_run(tmp_path / "little one", tokenizer)


def a_run(folder: Path, tokenizer: Tokenizer) -> Path:
    """A finished run of the primer."""
    split = {
        "text": {"documents": 3, "characters": 300, "bytes": 500},
        "chat": {"documents": 2, "characters": 80, "bytes": 120},
    }
    records = {"in": 8, "kept": 5, "dropped": {"empty: nothing to see": 2}, "quarantined": 0, "merged": 1}
    account = {"documents_in": 8, "changed": 2, "dropped": 0, "added": 0, "removed": 3, "bytes_in": 623}
    filters = {"zero_width": account | {"bytes_out": 620, "seconds": 0.5}}
    manifest(folder / "prepare", {"sources": []}, {
        "records": records, "bytes": {"in": 623, "out": 620}, "filters": filters,
        "splits": {"train": split, "validation": split}, "seconds": 3.0,
    })  # fmt: skip
    pair = {"source": "a:3", "filters": "zero_width, normal_form", "before": "猫\u200b和狗  \n", "after": "猫和狗\n"}
    write_json(folder / "prepare" / "examples.json", {
        "changes": {"zero_width": [pair]},
        "drops": {"empty": [{"source": "a.txt:4", "reason": "nothing to see", "text": EVIL}]},
        "languages": {"han": 0.5, "latin": 0.4, "other": 0.1},
        "lengths": [{"from": 16, "to": 31, "documents": 3}, {"from": 64, "to": 127, "documents": 2}],
    })  # fmt: skip
    rows = [{"kind": "text", "text": text, "messages": None} for text in [EVIL + TEXTS[0], TEXTS[1]]]
    rows += [{"kind": "chat", "text": None, "messages": chat} for chat in CHATS]
    pq.write_table(pa.Table.from_pylist(rows), folder / "prepare" / "train-00000.parquet")
    (folder / "tokenize").mkdir()
    tokenizer.save(folder / "tokenize", 256)
    kinds = {kind: {"documents": 3, "tokens": 90, "bytes": 200} for kind in ("text", "chat")}
    manifest(folder / "tokenize", {}, {
        "vocab_size": 420, "tokens": 180, "bytes_per_token": 2.2, "train": kinds, "validation": kinds, "seconds": 1.0,
    })  # fmt: skip
    trained(folder / "pretrain", {"chat_fraction": 0.85, "device": "cpu", "dtype": "float32"}, 6.04, 0.4)
    trained(folder / "finetune", {"system_weight": 0.0, "user_weight": 0.0, "assistant_weight": 1.0}, 0.3, 0.2)
    (folder / "recipe.toml").write_text('name = "little one"\n', "utf-8")
    write_json(folder / "pretrain" / "plan.json", {"loss": 0.45, "seconds": 380.0, "memory_gb": 1.2})
    return folder


def trained(folder: Path, config: dict[str, Any], first: float, last: float, steps: int = 60) -> None:
    """A training stage's folder."""
    usual = [[step, last + (first - last) * math.exp(-step / 9)] for step in range(5, steps + 1, 5)]
    metrics = {
        "expected_losses": usual,
        "peak_memory_gb": 1.31,
        "steps": steps,
        "tokens": 4096 * steps,
        "seconds": 400.0,
        "loss": last,
        "parameters": 1_234_567,
    }
    manifest(folder, config, metrics)
    write_json(folder / "config.json", {"max_position_embeddings": 256, "hidden_size": 64, "num_hidden_layers": 3})
    rows = []
    for step in range(1, steps + 1):
        loss = last + (first - last) * math.exp(-step / 10)
        rows.append({"step": step, "loss": loss, "learning_rate": 0.005 * (1 - step / steps), "seconds": step})
        if step % 20 == 0:
            rows[-1] |= {"validation_loss": loss * 1.1, "bits_per_byte": loss / 3}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    samples = [
        {"step": step, "language": language, "prompt": prompt, "reply": reply}
        for step, reply in ((20, "的的的"), (40, EVIL), (60, EVIL))
        for language, prompt in (("zh", "莉莉喜欢吃什么？"), ("en", f"What? {EVIL}"))
    ]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in samples)
    (folder / "samples.jsonl").write_text(lines, "utf-8")


def render(run: Path, found: dict[str, Any] | None) -> str:
    out = run.parent / "report.html"
    write_report(run, out, found)
    return out.read_text("utf-8")


def classes(node: Any) -> list[str]:
    return (node.attributes.get("class") or "").split()


def assert_both_languages(html: str) -> None:
    """Each element in one language stands beside its twin in the other, and both say something."""
    tree = HTMLParser(html)
    assert len(tree.css(".en")) == len(tree.css(".zh")) > 5
    for node in tree.css(".en"):
        twin = node.next
        while twin is not None and twin.tag == "-text":
            twin = twin.next
        assert twin is not None and "zh" in classes(twin), node.html
        assert node.tag == twin.tag
        assert node.text(strip=True) and twin.text(strip=True), node.html


def test_a_whole_run_fills_every_section(run: Path) -> None:
    html = render(run, scores())
    tree = HTMLParser(html)
    assert [node.attributes["id"] for node in tree.css("h2")] == list(SECTIONS)
    assert [link.attributes["href"] for link in tree.css("nav a")] == [f"#{name}" for name in SECTIONS]
    assert tree.css_first("h1").text() == "little one"
    assert "yaya chat 'little one'" in tree.css_first(".next").text()
    assert "1,234,567" in html and "96%" in tree.css_first(".cards").text()
    assert (
        len(tree.css("svg")) == 2 + 2 + 3 + 2 + 1
    )  # loss, learning rate, sets of questions, scripts and lengths, time
    assert len(html.encode()) < 600_000
    assert "undefined" not in html.lower() and "None" not in tree.body.text()


def test_its_commands_can_be_typed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for on_path in (None, "/usr/bin/yaya"):
        monkeypatch.setattr("yaya.core.messages.shutil.which", lambda name, found=on_path: found)
        commands = [node.text() for node in HTMLParser(render(run, scores())).css(".next code")]
        assert [c.removeprefix(program() + " ").split()[0] for c in commands] == ["chat", "serve", "run"]
    assert program() == "yaya"


def test_a_model_of_texts_alone_is_given_beginnings(run: Path) -> None:
    """It would not answer, so nobody is sent to chat with it."""
    shutil.rmtree(run / "finetune")
    path = run / "pretrain" / "manifest.json"
    known = json.loads(path.read_text("utf-8"))
    path.write_text(
        json.dumps(known | {"kind": "pretrain", "config": {**known["config"], "chat_fraction": 0.0}}), "utf-8"
    )
    html = render(run, scores())
    shown = HTMLParser(html).css_first(".next").text()
    assert "yaya generate 'little one'" in shown and "yaya chat" not in shown
    assert_both_languages(html)


def test_every_sentence_is_in_both_languages(run: Path) -> None:
    assert_both_languages(render(run, scores()))


def test_pictures_have_titles_and_descriptions_and_ids_are_unique(run: Path) -> None:
    tree = HTMLParser(render(run, scores()))
    ids = [node.attributes["id"] for node in tree.css("[id]")]
    assert len(ids) == len(set(ids))
    for picture in tree.css("svg"):
        assert picture.attributes["role"] == "img"
        assert set((picture.attributes["aria-labelledby"] or "").split()) <= set(ids)
        assert picture.css_first("title").text() and picture.css_first("desc").text()


def test_nothing_is_loaded_from_outside(run: Path) -> None:
    html = render(run, scores())
    for node in HTMLParser(html).css("[src], [href], [action], [srcset], object, iframe, embed"):
        for name in ("src", "href", "action", "srcset"):
            assert (node.attributes.get(name) or "#").startswith(("#", "data:")), node.html
    assert "@import" not in html and "url(" not in html and "://" not in html


def test_texts_of_data_and_model_are_escaped(run: Path) -> None:
    html = render(run, scores())
    tree = HTMLParser(html)
    assert EVIL not in html and html.count("&lt;script&gt;") >= 5
    (script,) = tree.css("script")
    digest = base64.b64encode(hashlib.sha256(script.text().encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html.replace("&#39;", "'")


def test_what_was_planned_stands_beside_what_came(run: Path) -> None:
    html = render(run, scores())
    rows = [row.text(separator=" ") for row in HTMLParser(html).css("#learning ~ * table tr, figure table tr")]
    shown = [" ".join(row.split()) for row in rows]
    assert any("loss on held-out data" in row and "0.450" in row and "0.455" in row for row in shown), shown
    assert any("6 min 20 s" in row and "6 min 40 s" in row for row in shown)
    assert any("1.20 GB" in row and "1.31 GB" in row for row in shown)
    assert html.count('class="band"') == 2


def test_the_conversation_shows_what_counts(run: Path, tokenizer: Tokenizer) -> None:
    tree = HTMLParser(render(run, scores()))
    zh = tree.css_first("#weights").parent.parent.css_first("figure.zh .toks")
    shown = [node.css_first("i").text() for node in zh.css(".counts")]
    said = tokenizer.encode("莉莉喜欢吃苹果。")
    assert shown == [str(i) for i in (*said, tokenizer.turn_end)]


def test_replies_that_stay_the_same_take_one_line(run: Path) -> None:
    rows = HTMLParser(render(run, scores())).css(".growth tr th[scope=row]")
    assert [row.text() for row in rows][:2] == ["20", "40–60"]


def test_energy_is_called_estimated_only_where_it_is(run: Path) -> None:
    rows = HTMLParser(render(run, scores())).css(".time tr")[1:]
    text = {row.css_first("th .en").text(): row.text() for row in rows}
    assert "0.02 Wh" in text["Preparing the data"] and "estimated" in text["Preparing the data"]
    assert "2.00 Wh" in text["Pretraining"] and "estimated" not in text["Pretraining"]
    assert "Fine-tuning" in text  # its time is known from its manifest


def test_limits_name_the_weakest_subject(run: Path) -> None:
    limits = HTMLParser(render(run, scores())).css_first(".limits").text()
    assert "counting in Chinese (57%)" in limits and "256" in limits


def rows_of(*texts: str) -> list[dict[str, Any]]:
    return [{"kind": "text", "text": text, "messages": None} for text in texts]


@pytest.mark.parametrize(
    ("texts", "languages"),
    [(TEXTS, ["zh", "en"]), (TEXTS[:1], ["zh"]), (TEXTS[1:], ["en"]), (["Один дом стоит у реки."], []), (["吾輩は猫である。名前はまだ無い。"], [])],
)  # fmt: skip
def test_what_it_sees_at_once_is_told_by_the_data_and_in_its_languages(
    run: Path, tokenizer: Tokenizer, texts: list[str], languages: list[str]
) -> None:
    pq.write_table(pa.Table.from_pylist(rows_of(*texts)), run / "prepare" / "train-00000.parquet")
    page = HTMLParser(render(run, scores()))
    limits, examples = (page.css_first(f".{name}").parent.text() for name in ("limits", "toks"))
    for language, text, units, name in (
        ("zh", TEXTS[0], len(TEXTS[0]), "Chinese characters"),
        ("en", TEXTS[1], len(TEXTS[1].split()), "English words"),
    ):
        count = float(f"{256 * units / len(tokenizer.encode(text)):.2g}")
        assert (f"{count:,.0f} {name}" in limits) == (language in languages)
    assert ("roughly" in limits) == bool(languages)
    figures = page.css("figure.tokens figcaption .zh")
    assert sum("个字节，切成" in figure.text() for figure in figures) == 1 + max(1, len(languages))
    assert "Yaya" not in examples and "牙牙" not in examples


def test_languages_are_told_by_every_source_not_by_what_is_read_again(run: Path, tokenizer: Tokenizer) -> None:
    prepare = run / "prepare"
    for name in (
        "train-00000",
        "train-00001",
        "train-00002",
        *(f"train-p{n}-00000" for n in (2, 3, 4)),
        "train-a1-00000",
    ):
        texts = TEXTS[1:] if name == "train-00002" else TEXTS[:1]
        pq.write_table(pa.Table.from_pylist(rows_of(*texts)), prepare / f"{name}.parquet")
    assert "English words" in HTMLParser(render(run, scores())).css_first(".limits").text()


def test_a_language_of_which_there_is_hardly_any_is_left_out(tokenizer: Tokenizer) -> None:
    mostly = rows_of(*[TEXTS[1] * 9] * 20, TEXTS[0])
    assert (
        sample_texts.tokens_each(tokenizer, mostly).keys() == {"en"} and sample_texts.tokens_each(tokenizer, []) == {}
    )


def test_own_texts_have_no_primer(run: Path, tokenizer: Tokenizer) -> None:
    manifest(run / "prepare", {"sources": ["my <b>texts</b>"]}, {})
    found = {name: value for name, value in scores().items() if name not in ("primer", "before_finetuning", "replies")}
    html = render(run, found)
    assert_both_languages(html)
    text = HTMLParser(html).body.text()
    assert "my <b>texts</b>" in text and "Bamboo Town" not in text and "your own texts" in text
    assert (
        f"as if choosing among 1.6 equally likely ones; blind guessing would mean choosing among {tokenizer.vocab_size}"
        in text
    )


@pytest.mark.parametrize("missing", ["prepare", "tokenize", "pretrain", "finetune", "recipe.toml", "scores"])
def test_what_is_missing_is_left_out(run: Path, missing: str) -> None:
    found = None if missing == "scores" else scores()
    path = run / missing
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
    html = render(run, found)
    assert_both_languages(html)
    sections = [node.attributes["id"] for node in HTMLParser(html).css("h2")]
    gone = {
        "prepare": {"data", "weights"},
        "tokenize": {"tokens", "weights"},
        "finetune": {"weights"},
        "scores": {"exam"},
    }
    assert set(sections) == set(SECTIONS) - gone.get(missing, set())


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    html = render(tmp_path / "nothing", None)
    assert_both_languages(html)
    assert "No model has been trained in this run yet" in html


@pytest.mark.parametrize(
    "broken", [b"", b"\x00\xff\xfe{", b"[1, 2]", b'{"step": 1', b'{"changes": 3, "drops": {"empty": 1}, "loss": NaN}']
)
def test_damaged_files_do_not_stop_it(run: Path, broken: bytes) -> None:
    for path in run.rglob("*"):
        if path.is_file() and path.name != "manifest.json":
            path.write_bytes(broken)
    assert_both_languages(render(run, scores()))


def test_scores_are_read_from_the_run_when_not_given(run: Path) -> None:
    write_json(run / "evaluate" / "scores.json", scores())
    assert 'id="exam"' in render(run, None)


def test_the_same_files_give_the_same_bytes(run: Path) -> None:
    assert render(run, scores()) == render(run, scores())


@pytest.mark.parametrize("text", ["莉莉 likes apples.", "竹蜻蜓 🐼\n", "\u0301é", "", "  a\u200bb "])
def test_groups_hold_all_tokens_and_whole_characters(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    groups = sample_texts.shown_tokens(tokenizer, ids)
    assert [token.id for group in groups for token in group.tokens] == ids
    for group in groups:
        if len(group.tokens) > 1:
            data = b"".join(tokenizer.token_bytes[token.id] for token in group.tokens)
            assert sample_texts.space_shown(data.decode()) == group.whole
            assert all(re.fullmatch(r"[0-9A-F]{2}( [0-9A-F]{2})*", token.text) for token in group.tokens)


def test_broken_bytes_and_control_tokens_have_groups(tokenizer: Tokenizer) -> None:
    half = tokenizer.encode("🐼")[:2]
    groups = sample_texts.shown_tokens(tokenizer, [*half, tokenizer.turn_end, half[1], *tokenizer.encode("a")])
    kinds = [token.kind for group in groups for token in group.tokens]
    assert kinds == ["bytes", "bytes", "control", "bytes", "text"]


def test_ticks_are_round() -> None:
    assert charts.ticks(0, 1480, 4) == [0, 500, 1000]
    assert charts.log_ticks(0.3, 8) == [0.5, 1, 2, 5]
    assert charts.ticks(1, 1) == [1]


def test_ticks_that_look_the_same_get_more_digits() -> None:
    assert charts._apart([1.0513, 1.2214, 1.3499]) == ["1.05", "1.22", "1.35"]
    assert charts._apart([1.0101, 1.0126, 1.0151]) == ["1.01", "1.013", "1.015"]
    assert charts._apart([20_001.0, 20_002.0]) == ["20k", "20k"]


def test_curves_leave_out_what_is_not_finite() -> None:
    rows = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": float("nan")}, {"step": 3, "loss": True}, {"loss": 1}]
    assert charts.curve(rows, "loss") == [(1, 2)]
    assert charts.loss_chart("x", rows, ("a", "b")) is None
    assert charts.smooth([5.0] * 7) == [5.0] * 7


def test_a_long_run_stays_small(run: Path) -> None:
    rows = [{"step": i, "loss": 1 + 1 / i, "learning_rate": 0.01, "validation_loss": 1.0} for i in range(1, 50_001)]
    picture = charts.loss_chart("long", [*rows[:-1], {"step": 50_000, "loss": 1.0}], ("a", "b"), 7.6)
    assert picture is not None and len(picture) < 60_000


def test_the_coach_s_words_are_in_the_report_once_a_kind() -> None:
    from yaya.evaluate.report_page import coach_notes

    note = {"kind": "divergence", "en": "It rises.", "zh": "在上升。"}
    rows = [
        {"step": 3, "coach": [note]},
        {"step": 4},
        {"step": 9, "coach": [note | {"en": "It rises more."}, "broken"]},
    ]
    assert coach_notes(rows) == [{"en": "It rises more.", "zh": "在上升。", "steps": [3, 9]}]
