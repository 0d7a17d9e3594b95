"""The primer: pure functions of (seed, n), nothing held out is taught, and the checker wants the answer alone."""

import hashlib
import json
import re
from collections import Counter
from itertools import pairwise

import pytest

from yaya import primer
from yaya.primer import generate, world
from yaya.primer.draws import DIFFERENCES, HELD_SUMS, SUMS, holds_content
from yaya.primer.kinds import KINDS
from yaya.primer.phrasing import PHRASINGS, TASKS, words_of

COUNT = 20_000
MARKS = dict.fromkeys(map(ord, " 。？?.!！"))
MEMORY = [name for name in KINDS if name.startswith("memory.")]
MADE_SETS = ("combinations", "phrasings")
# Of the first 500 conversations and stories of seed 1. If this must change, so must primer.VERSION.
DIGEST = "0ad2ec74b6721a5d"


@pytest.fixture(scope="module")
def conversations():
    return [primer.conversation(7, n) for n in range(COUNT)]


@pytest.fixture(scope="module")
def stories():
    return [primer.story(7, n) for n in range(3000)]


@pytest.fixture(scope="module")
def everything(conversations, stories):
    return "\n".join([*(m["content"] for messages in conversations for m in messages), *stories])


def all_questions():
    return [q for name in MADE_SETS for language in primer.LANGUAGES for q in primer.questions(name, language)]


def test_same_seed_same_data(conversations):
    for n in (0, 1, 17, 19_999):
        assert primer.conversation(7, n) == conversations[n]
        assert primer.story(7, n) == primer.story(7, n)
    assert primer.conversation(8, 0) != primer.conversation(7, 0)
    generate.questions.cache_clear()
    first = primer.questions("phrasings", "en")
    generate.questions.cache_clear()
    assert primer.questions("phrasings", "en") == first


def test_data_and_version_change_together():
    data = [(primer.conversation(1, n), primer.story(1, n)) for n in range(500)]
    assert (primer.VERSION, hashlib.sha256(json.dumps(data).encode()).hexdigest()[:16]) == (3, DIGEST)


def test_conversations_have_the_expected_shape(conversations):
    for messages in conversations:
        roles = [m["role"] for m in messages]
        if roles[0] == "system":
            roles.pop(0)
        assert roles and roles == ["user", "assistant"] * (len(roles) // 2)
        for message in messages:
            text = message["content"]
            assert text and text.strip() == text and not re.search(r"[{}\[\]|~]|  | \.", text), text


def is_chinese(text):
    return re.search(r"[一-鿿]", text) is not None


def test_even_ones_are_chinese_and_odd_ones_english(conversations, stories):
    for start, words, other in ((0, r"[一-鿿]", r"[A-Za-z]"), (1, r"[A-Za-z]", r"[一-鿿]")):
        texts = [m["content"] for messages in conversations[start::2] for m in messages]
        assert sum(bool(re.search(words, text)) for text in texts) > 0.8 * len(texts)
        # a word to translate, and its translation
        assert sum(bool(re.search(other, text)) for text in texts) < 0.2 * len(texts)
    for n, text in enumerate(stories):
        assert is_chinese(text) == (n % 2 == 0) or text.startswith("Chinese and English")


def tokens(text):
    """The plan's estimate: one for each Chinese character, mark and digit, 1.2 for an English word."""
    return len(re.findall(r"[^\sA-Za-z']", text)) + 1.2 * len(re.findall(r"[A-Za-z']+", text))


def test_conversations_are_short(conversations):
    for start in (0, 1):
        lengths = [sum(tokens(m["content"]) for m in messages) for messages in conversations[start::2]]
        assert 30 <= sum(lengths) / len(lengths) <= 60
        assert max(lengths) <= 150


def test_vocabulary_is_small(everything):
    assert len(set(re.findall(r"[一-鿿]", everything))) <= 700
    assert len({word.lower() for word in re.findall(r"[A-Za-z']+", everything)}) <= 900


def test_all_skills_have_enough_distinct_questions():
    for name in MADE_SETS:
        for language in primer.LANGUAGES:
            questions = primer.questions(name, language)
            assert Counter(q.skill for q in questions) == dict.fromkeys(primer.SKILLS, 100)
            assert len({json.dumps(q.messages) for q in questions}) == len(questions)
            assert all(q.set == name and q.language == language for q in questions)
            assert all(q.messages[-1]["role"] == "user" for q in questions)


def plain(text):
    """The words alone, since a question is no newer for a missing mark."""
    return text.translate(MARKS).lower()


def test_no_held_out_question_is_taught(conversations):
    """By searching. What was told before is part of a question of memory; that nothing was told, of a borrowed one."""
    turns, begun = set(), set()
    for messages in conversations:
        system = messages[0]["content"] if messages[0]["role"] == "system" else ""
        turns |= {plain(m["content"]) for m in messages if m["role"] == "user"}
        if system:
            turns |= {plain(system + m["content"]) for m in messages if m["role"] == "user"}
        begun |= {json.dumps(messages[: i + 1]) for i in range(len(messages)) if messages[i]["role"] == "user"}
    borrowed = borrowed_lines()
    searched = 0
    for question in all_questions():
        assert json.dumps(question.messages) not in begun
        text = question.messages[-1]["content"]
        if question.skill != "memory" and not (question.skill == "unknown" and borrowed.search(plain(text))):
            system = question.messages[0]["content"] if question.messages[0]["role"] == "system" else ""
            assert plain(system + text) not in turns, question
            searched += 1
    assert searched > 3500


def borrowed_lines():
    """The questions that are of memory or the shop where something was told, and unknown where not."""
    names = [kind.lines for kind in KINDS.values() if kind.skill == "unknown" and kind.lines in ("shop.price", *MEMORY)]
    lines = [line for phrasings in PHRASINGS.values() for name in names for line in phrasings[name].taught]
    readings = {re.escape(plain(text)) for line in lines for text, _ in line.variants}
    return re.compile("|".join(re.sub(r"\\{\w\\}", ".+", reading) for reading in readings))


def test_no_held_out_phrasing_is_taught():
    """By construction: each reading belongs to one line of one kind, so a held-out line has none that is taught."""
    for language, phrasings in PHRASINGS.items():
        readings = {}
        for kind, phrasing in phrasings.items():
            assert len(phrasing.held) >= 2 and len(phrasing.taught) >= 6, kind
            assert not set(phrasing.held) & set(phrasing.taught)
            assert sum(len(line.variants) for line in (*phrasing.taught, *phrasing.held)) >= 12, kind
            for line in (*phrasing.taught, *phrasing.held):
                assert len({frozenset(re.findall(r"{(?:a_)?(?!m})(\w+)}", start)) for start, _ in line.variants}) == 1
                openers = TASKS[language].OPENERS if line.is_question else TASKS[language].CALLS
                for start, after in line.variants:
                    for text in (start, *(opener + after for opener in openers)):
                        assert readings.setdefault(plain(text), line) == line


def test_held_out_phrasings_have_no_new_words():
    for language, phrasings in PHRASINGS.items():
        taught = {word for p in phrasings.values() for line in p.taught for word in words_of(line.raw, language)}
        for phrasing in phrasings.values():
            for line in phrasing.held:
                assert words_of(line.raw, language) <= taught, line.raw


def test_held_out_sums_are_never_seen_but_their_siblings_are(everything):
    assert 0.08 < len(HELD_SUMS) / len(SUMS + DIFFERENCES) < 0.15
    seen = {(int(x), op, int(y)) for x, op, y in re.findall(r"(?<!\d)(\d+) ?([+-]) ?(\d+) ?=", everything)}
    assert not seen & HELD_SUMS
    assert set(SUMS + DIFFERENCES) - HELD_SUMS <= seen
    for x, op, y in HELD_SUMS:
        assert ((y, op, x) if op == "+" else (x, op, x - y)) in seen


def test_held_out_translations_and_prices_are_never_seen(conversations, stories):
    for messages in conversations:
        for asked, reply in pairwise(messages):
            price = re.fullmatch(r"The ([a-z]+) is (\d+) yuan\.", reply["content"])
            assert not price or not holds_content("shop.price", f"{price[1]} {price[2]}"), asked
    pages = [text for text in stories if text.startswith(("Chinese and English", "中文和英文"))]
    assert pages
    for english in re.findall(r"(?:means|英语是) ([A-Za-z ]+)[.。]", "\n".join(pages)):
        phrase = english.removeprefix("an ").removeprefix("a ")
        assert " " not in phrase or not holds_content("translation.phrase_en", phrase)


def test_canonical_answers_pass_and_rambling_fails():
    for question in all_questions():
        for answer in question.answers:
            assert answer and primer.check(question, answer)
        reply = question.answers[0]
        assert primer.check(question, f" {reply.upper()} ")
        assert not primer.check(
            question, reply + (" 莉莉有一只猫。" if question.language == "zh" else " Lily has a cat.")
        )
        assert not primer.check(question, reply + " " + reply)
        assert not primer.check(question, "")
        assert not primer.check(question, "。")


def test_check_forgives_width_case_and_marks_only():
    question = primer.Question(
        "arithmetic", "zh", "phrasings", ({"role": "user", "content": "3+4=？"},), ("3+4=7", "7")
    )
    for reply in ("7", "７", "7。", " 7！", "３＋４＝７", "3+4=7."):
        assert primer.check(question, reply), reply
    for reply in ("3+4=8", "77", "17", "7个苹果", "7 7"):
        assert not primer.check(question, reply), reply


def replies_and_stories(conversations, stories, start):
    replies = [m["content"] for messages in conversations[start::2] for m in messages if m["role"] == "assistant"]
    return "\n".join([*replies, *stories[start::2]])


def test_everything_agrees_on_the_facts(conversations, stories):
    """Every sentence "Lily has a ..." in replies and stories says what the town's table says, and all are said."""
    chinese = replies_and_stories(conversations, stories, 0)
    english = replies_and_stories(conversations, stories, 1)
    for zh, en, pet, food, color, job, home in world.PEOPLE:
        for pattern, value, text in (
            (rf"{en} has an? (\w+)[ .]", pet, english),
            (rf"{en} is an? (\w+)\.", job, english),
            (rf"{en} likes to eat (\w+)\.", world.FOODS[food][1], english),
            (rf"{en} lives ([\w ]+?)[.\"]", world.HOMES[home][1], english),
            (rf"{zh}有一\w([^。，]+)。", world.ANIMALS[pet][0], chinese),
            (rf"{zh}喜欢吃([^。，]+)。", world.FOODS[food][0], chinese),
            (rf"{zh}喜欢(\w色)。", world.COLORS[color], chinese),
            (rf"{zh}住在([^。，那]+)。", world.HOMES[home][0], chinese),
        ):
            assert set(re.findall(pattern, text)) == {value}, pattern


def test_each_fact_has_one_owner():
    for column in range(len(world.PEOPLE[0])):
        assert len({person[column] for person in world.PEOPLE}) == 8
    words = [word for row in world.OPPOSITES for word in row]
    assert len(words) == len(set(words))
    names = {*world.CHINESE_NAMES, *world.ENGLISH_NAMES}
    assert not names & {name for person in world.PEOPLE for name in person[:2]}


def test_stories_are_many_and_tidy(stories):
    assert len(set(stories)) > 2500
    tales = [text for text in stories if "\n" not in text]
    assert len(tales) > 1500
    assert all(len(re.findall(r"[.。！!？?]", text)) >= 4 for text in tales)
    assert not any(re.search(r"  | \.|[{}\[\]|]", text) for text in stories)


def test_every_line_of_every_kind_can_be_filled_in():
    random = generate.random_of(3, 0)
    for kind in KINDS.values():
        for language in primer.LANGUAGES:
            _, slots = kind.draw(random, language)
            phrasing = PHRASINGS[language][kind.lines]
            for line in (*phrasing.taught, *phrasing.held):
                for variant in line.variants:
                    assert all(text.format_map(slots) for text in variant)


def test_written_paraphrases_are_read(tmp_path, monkeypatch):
    path = tmp_path / "paraphrases.jsonl"
    row = {
        "skill": "identity",
        "language": "en",
        "messages": [{"role": "user", "content": "Yo?"}],
        "answers": ["Hello"],
    }
    path.write_text(json.dumps(row) + "\n\n" + json.dumps(row | {"language": "zh"}) + "\n", encoding="utf-8")
    monkeypatch.setattr(generate, "PARAPHRASES", path)
    generate.questions.cache_clear()
    (question,) = primer.questions("paraphrases", "en")
    assert question == primer.Question("identity", "en", "paraphrases", (row["messages"][0],), ("Hello",))
    monkeypatch.setattr(generate, "PARAPHRASES", tmp_path / "none.jsonl")
    generate.questions.cache_clear()
    assert primer.questions("paraphrases", "zh") == []
    generate.questions.cache_clear()


def test_unknown_sets_are_an_error():
    with pytest.raises(ValueError, match="paraphrases"):
        primer.questions("riddles", "en")
