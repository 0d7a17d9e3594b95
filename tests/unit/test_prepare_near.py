"""Copies and near-copies, boilerplate, and questions of evaluation sets that must not be in the data."""

from random import Random

import numpy as np
import pytest
from prepared import balanced, examples, lines, prepare, rows, write

from yaya.prepare import near
from yaya.prepare.clean.contamination import Known, known_from
from yaya.prepare.clean.tokens import BETWEEN, tokens_of, words_of_each
from yaya.prepare.lines import repeated, without

EN = [
    f"{a}{b}"
    for a in ("ba", "ke", "li", "mo", "nu", "ra", "so", "ti", "wo")
    for b in ("den", "fer", "gal", "hun", "st")
]
ZH = list(
    "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜金生丽水玉出昆冈剑号巨阙珠称夜光果珍李柰菜重芥姜"
)


def document(random: Random, language: str, count: int = 150) -> list[str]:
    return random.choices(EN if language == "en" else ZH, k=count)


def joined(words: list[str], language: str) -> str:
    return (" " if language == "en" else "").join(words)


def edited(random: Random, words: list[str], changes: int) -> list[str]:
    """The words with so many of them replaced, one after another at the end: each run of five is touched once."""
    return words[:-changes] + random.choices(["other", "things"] if words[0] in EN else ["别", "的"], k=changes)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_planted_near_duplicates_are_found_and_nothing_else(tmp_path, language):
    random = Random(3)
    originals = [document(random, language) for _ in range(60)]
    near_ones = [edited(random, words, 8) for words in originals[:30]]  # Jaccard about 0.9
    far_ones = [edited(random, words, 100) for words in originals[30:]]
    texts = [joined(words, language) for words in (*originals, *near_ones, *far_ones)]
    draft = prepare(tmp_path / "out", lines(tmp_path / "a.jsonl", [{"text": text} for text in texts]))
    assert balanced(draft)["merged"] == 30 == draft.metrics["filters"]["near_duplicates"]["dropped"]
    merged = {row["where"]: row["reason"] for row in rows(draft, "dropped")}
    for n in range(30):
        assert merged[f"line {61 + n}"].endswith(f"a.jsonl, line {n + 1}")
    twins = examples(draft)["twins"]
    assert len(twins) == 10 and all(0.75 <= pair["jaccard"] < 1 and pair["kept"] != pair["merged"] for pair in twins)


def test_a_copy_of_a_near_copy_belongs_to_what_is_kept(tmp_path):
    random = Random(4)
    first = document(random, "en")
    second = edited(random, first, 6)
    texts = [joined(words, "en") for words in (first, second, second)]
    draft = prepare(tmp_path / "out", lines(tmp_path / "a.jsonl", [{"text": text} for text in texts]))
    assert balanced(draft)["merged"] == 2
    reasons = [row["reason"] for row in rows(draft, "dropped")]
    assert all(reason.endswith("a.jsonl, line 1") for reason in reasons)


def test_chains_do_not_eat_what_nothing_resembles():
    pairs = np.array([[0, 1], [1, 2], [2, 3], [3, 4]])
    gone = near.twins(pairs, np.full(4, 0.8, np.float32))
    assert {later: earlier for later, (earlier, _) in gone.items()} == {1: 0, 3: 2}


def talk(system: str, question: str, reply: str) -> dict:
    said = [("system", system), ("user", question), ("assistant", reply)]
    return {"messages": [{"role": role, "content": text} for role, text in said if text]}


LONG = " ".join(Random(9).choices(EN, k=300))
SHARED_BY_MANY = {
    "a system prompt": [talk(LONG, f"What is on shelf {n}?", f"Shelf {n} holds {EN[n]}.") for n in range(40)],
    "a system prompt, one reply": [talk(LONG, f"Is {EN[n]} on shelf {n}?", "Yes, it is.") for n in range(40)],
    "a passage": [talk("", f"{LONG}\n\nWho made {EN[n]}?", f"{EN[n + 1]} did.") for n in range(40)],
    "a passage, one reply": [talk("", f"{LONG}\n\nDid she make {EN[n]}?", "No.") for n in range(40)],
    "a form": [talk("", f"{LONG} Review: {EN[n]} is good. Is it positive?", "positive") for n in range(40)],
    "a passage, in Chinese": [talk("", f"{'天地玄黄宇宙洪荒' * 30}第{n}条说什么？", f"第{n}条。") for n in range(40)],
    "a long reply": [talk("", f"How do I clean the {name}?", LONG) for name in EN[:40]],
    "a question": [talk("", f"{LONG}?", " ".join(Random(n).choices(EN, k=60))) for n in range(40)],
    "earlier replies, and what is asked": [
        {"messages": [*talk("", "Hello!", LONG)["messages"], *talk("", "Thanks!", f"Come to {name}.")["messages"]]}
        for name in EN[:40]
    ],
    "earlier turns": [
        {"messages": talk(LONG, "Hello!", LONG)["messages"] + talk("", f"And {name}?", f"{name} too.")["messages"]}
        for name in EN[:40]
    ],
}


@pytest.mark.parametrize("what", SHARED_BY_MANY)
def test_conversations_that_share_much_are_no_copies(tmp_path, what):
    draft = prepare(tmp_path / "out", lines(tmp_path / "a.jsonl", SHARED_BY_MANY[what]), preset="chat")
    assert balanced(draft)["kept"] == 40


def test_the_same_question_with_nearly_the_same_reply_is_one_conversation(tmp_path):
    random = Random(10)
    reply = document(random, "en", 120)
    records = [
        talk("Be kind.", "How do I reset my password?", joined(reply, "en")),
        talk("Be kind.", "how do I  reset my password", joined(edited(random, reply, 5), "en")),
        talk("Be kind.", "How do I reset my password?", joined(edited(random, reply, 90), "en")),
        talk("Be brief.", "How do I reset my password?", joined(reply, "en")),
    ]
    draft = prepare(tmp_path / "out", lines(tmp_path / "a.jsonl", records), validation_fraction=0)
    assert balanced(draft)["kept"] == 3
    assert [row["where"] for row in rows(draft, "dropped")] == ["line 2"]


def test_what_has_no_words_is_like_nothing_but_its_copies(tmp_path):
    texts = ["+++ --- +++", "→ → →", "= = =", "+++ --- +++"]
    records = [{"text": text} for text in texts] + [talk("", "Draw a line.", mark) for mark in ("---", "===", "***")]
    draft = prepare(tmp_path / "out", lines(tmp_path / "a.jsonl", records), validation_fraction=0)
    assert balanced(draft)["merged"] == 1 == draft.metrics["filters"]["duplicates"]["dropped"]


@pytest.mark.parametrize(("jaccard", "least", "most"), [(0.66, 0, 4), (0.86, 36, 40)])
def test_the_threshold_lies_at_three_quarters(tmp_path, jaccard, least, most):
    random = Random(11)
    originals = [random.sample([f"{a}{b}" for a in EN for b in EN], 300) for _ in range(40)]
    same = round(2 * 296 * jaccard / (1 + jaccard))  # of 296 runs each: same / (592 - same) is the Jaccard
    others = [words[: same + 4] + [f"{word}x" for word in words[same + 4 :]] for words in originals]
    texts = [" ".join(words) for words in (*originals, *others)]
    draft = prepare(tmp_path / "out", lines(tmp_path / "a.jsonl", [{"text": text} for text in texts]))
    assert least <= balanced(draft)["merged"] <= most


@pytest.mark.parametrize("language", ["en", "zh"])
def test_signatures_estimate_the_jaccard(language):
    random = Random(5)
    for changes in (10, 60, 120):
        one = document(random, language, 400)
        two = edited(random, one, changes)
        shingles = [near.shingles(tokens_of(joined(words, language)).words) for words in (one, two)]
        sets = [set(part.tolist()) for part in shingles]
        true = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
        estimate = (near.signature(shingles[0]) == near.signature(shingles[1])).mean()
        assert abs(estimate - true) < 0.15


def test_shingles_found_together_are_the_runs_of_five_words_of_each_text():
    random = Random(6)
    texts = [random.choices((3, 5, 8), k=size) for size in (0, 1, 7, 5, 4, 0, 300, 2, 6, 5, 1)]
    found = near.shingles_of_each([np.array(words, np.uint64) * np.uint64(0x9E3779B97F4A7C15) for words in texts])
    hashes: dict[tuple[int, ...], int] = {}
    for words, part in zip(texts, found, strict=True):
        runs = [tuple(words[at : at + 5]) for at in range(max(1, len(words) - 4))] if words else []
        assert [hashes.setdefault(run, value) for run, value in zip(runs, part.tolist(), strict=True)] == part.tolist()
    assert len(set(hashes.values())) == len(hashes) > 100


def test_a_large_bucket_is_not_compared_pair_by_pair():
    found = near.candidates(np.zeros(5000, np.uint64))
    assert len(found) < 5000 * near.MET_AT_MOST and set(found[:, 1].tolist()) == set(range(1, 5000))
    assert (found[:, 0] < found[:, 1]).all()


def test_boilerplate_of_a_source_is_removed_and_counted(tmp_path):
    random = Random(6)
    for n in range(30):
        text = "\n".join(["首页 新闻 关于我们", joined(document(random, "zh", 60), "zh"), "Share this page", "", "OK"])
        write(tmp_path / "d" / f"{n:02}.txt", text)
    write(tmp_path / "d" / "zz.txt", "首页 新闻 关于我们\nShare this page\n")
    other = lines(tmp_path / "b.jsonl", [{"text": f"Share this page\n{joined(document(random, 'en'), 'en')}"}])
    draft = prepare(tmp_path / "out", tmp_path / "d", other, repeated_lines=True, validation_fraction=0)
    assert balanced(draft)["dropped"] == {"repeated_lines: nothing else in it": 1}
    texts = [row["text"] for row in rows(draft, "train")]
    assert not any("首页" in text for text in texts) and sum("Share this" in text for text in texts) == 1
    assert all(text.endswith("\n\nOK") for text in texts[:30])  # too short a line to be looked at
    account = draft.metrics["filters"]["repeated_lines"]
    assert (account["changed"], account["dropped"]) == (30, 1)
    kept = prepare(tmp_path / "out2", tmp_path / "d", validation_fraction=0)
    assert sum("首页" in row["text"] for row in rows(kept, "train")) == 31


def test_lines_count_in_parts_as_in_whole(tmp_path, monkeypatch):
    random = np.random.default_rng(1)
    paths = []
    for n in range(4):
        np.save(
            path := tmp_path / f"{n}.npy", np.unique(random.integers(0, 900, 500).astype(np.uint64) * np.uint64(7919))
        )
        paths.append(path)
    monkeypatch.setattr("yaya.prepare.lines.DOCUMENTS", 3)
    whole = repeated(paths, 4)
    monkeypatch.setattr("yaya.prepare.lines.AT_ONCE", 100)
    assert len(whole) and (repeated(paths, 4) == whole).all()
    assert without("a line\nanother", 0, whole) == "a line\nanother"


QUESTIONS = {
    "english": ["Which river flows through the old town of Bamberg in the south of Germany today?"],
    "chinese": ["请问德国南部的古城班贝格位于哪一条河的岸边，它有什么特色？"],
    "short": ["What is it?", "是吗"],
}


def test_questions_are_found_after_saving_and_loading(tmp_path):
    known_from(QUESTIONS).save(tmp_path / "known.npz")
    known = Known.load(tmp_path / "known.npz")

    def find(text: str) -> str | None:
        return known.find_in([tokens_of(text).words]).get(0)

    assert find(f"Quiz! {QUESTIONS['english'][0].upper()} (The Regnitz.)") == "english"
    assert find(f"第一题：{QUESTIONS['chinese'][0]}答：雷格尼茨河。") == "chinese"
    assert find("Which river flows through the old town of Passau in the south of Germany today?") is None
    assert find("What is it? 是吗") is None and find("") is None
    assert known_from({}).find_in([tokens_of("anything at all").words]).get(0) is None


def test_what_holds_a_question_is_dropped_with_the_name_of_the_set(tmp_path):
    asked = lines(tmp_path / "asked.jsonl", [{"prompt": QUESTIONS["english"][0], "response": "The Regnitz."}])
    records = [{"text": f"Here it says: {QUESTIONS['english'][0]} Well."}, {"text": "The Regnitz flows on."}]
    source = lines(tmp_path / "a.jsonl", records)
    draft = prepare(tmp_path / "out", source, decontaminate=[str(asked)], validation_fraction=0)
    assert balanced(draft)["dropped"] == {f"contamination: overlaps {asked}": 1}
    assert [row["text"] for row in rows(draft, "train")] == ["The Regnitz flows on."]


def test_words_of_many_texts_are_those_of_each() -> None:
    """Also where a text holds the mark that stands between them."""
    texts = ["One two, three.", "", "今天天气很好", f"a{BETWEEN}b", "4.5 o'clock"]
    for some in (texts, texts[:3]):
        for found, text in zip(words_of_each(some), some, strict=True):
            assert found.tolist() == tokens_of(text).words.tolist()
