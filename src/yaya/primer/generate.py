"""Training conversations, each a pure function of (seed, n), and the questions that test what was learned from them."""

import json
import random
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from yaya.core import han
from yaya.primer.draws import Draw, Random, cap, holds_content, pick
from yaya.primer.kinds import KINDS, Kind
from yaya.primer.phrasing import PHRASINGS, TASKS, TELLS, Line, is_held
from yaya.primer.task_draws import order_list, price_list

LANGUAGES = ("zh", "en")
SETS = ("combinations", "phrasings", "paraphrases")
# Share of each skill in the mix. What a small model learns last has the most: copying from the prompt, and sums.
SHARES = {
    "facts": 14,
    "arithmetic": 19,
    "counting": 16,
    "opposites": 4,
    "categories": 9,
    "translation": 12,
    "instructions": 14,
    "shop": 14,
    "memory": 12,
    "identity": 7,
    "unknown": 8,
}
SKILLS = tuple(SHARES)
PARAPHRASES = Path(__file__).with_name("paraphrases.jsonl")
TRAINING = "training"
BOUNDARY = re.compile(f"(?<=[{han.COMMON}])(?=[0-9A-Za-z])|(?<=[0-9A-Za-z])(?=[{han.COMMON}])")
# Where the case of the user's letters never has to be copied, some users write none
LOWERCASE_SKILLS = {"facts", "arithmetic", "counting", "opposites", "categories", "identity", "unknown"}
LONGEST = {"zh": 100, "en": 330}  # characters after which a conversation ends: far under 150 tokens
GREETINGS = ("identity.hello", "identity.hello", "identity.morning", "identity.feeling")
FAREWELLS = ("identity.thanks", "identity.bye", "identity.bye", "identity.night")


@dataclass(frozen=True)
class Question:
    skill: str
    language: str
    set: str
    messages: tuple[dict[str, str], ...]  # ends with a user message
    answers: tuple[str, ...]  # accepted; the first is the canonical reply


def mix(seed: int, n: int) -> int:
    """One integer from two, such that near ones give far ones."""
    x = (seed * 0x9E3779B97F4A7C15 + n * 0xD1342543DE82EF95 + 0x632BE59BD9B4E019) & 0xFFFFFFFFFFFFFFFF
    x = (x ^ x >> 31) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    return x ^ x >> 29


def random_of(seed: int, n: int) -> Random:
    return random.Random(mix(seed, n)).random


@cache
def kind_wheel() -> list[Kind]:
    """Kinds repeated by their share, so that one draw picks one."""
    wheel = []
    for skill, share in SHARES.items():
        own = [kind for kind in KINDS.values() if kind.skill == skill]
        total = sum(kind.weight for kind in own)
        for kind in own:
            wheel += [kind] * max(1, round(share * 40 * kind.weight / total))
    return wheel


def draw_content(random: Random, kind: Kind, language: str, held: bool) -> Draw:
    """What the question is about: held-out content of a "content" kind, or taught content."""
    draw = kind.draw(random, language)
    if kind.unit == "content":
        while holds_content(kind.name, draw[0]) != held:
            draw = kind.draw(random, language)
    return draw


def choose_opener(random: Random, kind: Kind, line: Line, language: str) -> str:
    if random() < (0.6 if kind.unit == "opener" else 0.72):
        return ""
    return pick(random, TASKS[language].OPENERS if line.is_question else TASKS[language].CALLS)


def holds_pair(kind: Kind, draw: Draw, line: Line, opener: str) -> bool:
    """Whether training never asks this content in this line (and after this opener)."""
    if kind.unit == "content":
        return False
    key, slots = draw
    return is_held(kind.name, opener if kind.unit == "opener" else key, line.raw.format_map(slots))


def ask(random: Random, kind: Kind, draw: Draw, language: str, set_name: str) -> str | None:
    """The user's words for this content; None if a question of that set was not found."""
    phrasing = PHRASINGS[language][kind.lines]
    lines = phrasing.held if set_name == "phrasings" else phrasing.taught
    want_held = set_name == "combinations" and kind.unit != "content"
    for _ in range(60):
        line = pick(random, lines)
        opener = choose_opener(random, kind, line, language)
        if set_name == "phrasings" or holds_pair(kind, draw, line, opener) == want_held:
            start, after = pick(random, line.variants)
            return (opener + after if opener else start).format_map(draw[1])
    return None


def scribble(random: Random, text: str, kind: Kind, language: str) -> str:
    """How people type: without an end mark, without capitals, with spaces around digits."""
    share = random()
    if share < 0.1 and text[-1] in "？?。.":
        text = text[:-1].rstrip()
    elif share < 0.2 and language == "en" and kind.skill in LOWERCASE_SKILLS:
        text = text.lower()
    elif share < 0.25 and language == "zh":
        text = spaced(text)
    return text


def spaced(text: str) -> str:
    """Spaces between Chinese characters and digits or Latin letters: 我有 3 只 cat."""
    return BOUNDARY.sub(" ", text)


def reply_to(kind: Kind, draw: Draw, language: str) -> str:
    return (
        PHRASINGS[language][kind.lines].answers[0].format_map(draw[1]) if kind.skill != "unknown" else UNKNOWN[language]
    )


UNKNOWN = {language: PHRASINGS[language]["unknown.news"].answers[0] for language in LANGUAGES}
GAP = {"zh": "", "en": " "}


def context_of(random: Random, kind: Kind, draw: Draw, language: str) -> str:
    """The shop's list that a question is about, else ""."""
    if kind.name in ("shop.price", "shop.which_price"):
        return price_list(random, language, (draw[1]["x"], draw[1]["n"]))
    if kind.name == "shop.order":
        return order_list(random, language, (draw[1]["n"], draw[1]["s"]))
    return ""


def told(random: Random, kind: Kind, draw: Draw, language: str) -> tuple[str, str]:
    """What the user tells Yaya to remember, and Yaya's reply."""
    reply, lines = TELLS[language][kind.name]
    text = pick(random, lines).format_map(draw[1])
    return cap(text) if language == "en" else text, reply.format_map(draw[1])


def conversation(seed: int, n: int) -> list[dict[str, str]]:
    """The n-th training conversation, 1 to 4 questions and what the user tells: Chinese for even n, English for odd."""
    language = LANGUAGES[n % 2]
    random = random_of(seed, n)
    wheel = kind_wheel()
    system = pick(random, TASKS[language].SYSTEMS) if random() < 0.15 else ""
    exchanges: list[tuple[str, str]] = []
    topics: set[str] = set()
    length = 0
    if random() < 0.08:
        exchanges.append(plain_exchange(random, KINDS[pick(random, GREETINGS)], language))
    for _ in range(pick(random, (1, 1, 1, 2, 2, 2, 3, 3, 4))):
        kind = pick(random, wheel)
        if kind.topic in topics or length > LONGEST[language]:
            continue
        if kind.topic:
            topics.add(kind.topic)
        draw = draw_content(random, kind, language, held=False)
        text = ask(random, kind, draw, language, TRAINING)
        if text is None:
            continue
        text = scribble(random, text, kind, language)
        reply = reply_to(kind, draw, language)
        if kind.skill == "memory":
            tell, answer = told(random, kind, draw, language)
            if random() < 0.25:
                text = tell + GAP[language] + text
            else:
                exchanges.insert(max(0, len(exchanges) - int(random() * 3)), (tell, answer))
        context = context_of(random, kind, draw, language)
        if context and not system and random() < 0.55:
            system = context
        elif context:
            text = context + GAP[language] + text
        exchanges.append((text, reply))
        length += len(text) + len(reply) + len(context)
    if not exchanges or random() < 0.05:
        exchanges.append(plain_exchange(random, KINDS[pick(random, FAREWELLS)], language))
    messages = [{"role": "system", "content": system}] if system else []
    for text, reply in exchanges:
        messages += [{"role": "user", "content": text}, {"role": "assistant", "content": reply}]
    return messages


def plain_exchange(random: Random, kind: Kind, language: str) -> tuple[str, str]:
    """A taught question of a kind that needs nothing told, and its reply."""
    draw = draw_content(random, kind, language, held=False)
    text = ask(random, kind, draw, language, TRAINING)
    while text is None:
        draw = draw_content(random, kind, language, held=False)
        text = ask(random, kind, draw, language, TRAINING)
    return text, reply_to(kind, draw, language)


def accepted(kind: Kind, draw: Draw, language: str) -> tuple[str, ...]:
    """Every accepted answer, the canonical one first."""
    forms = PHRASINGS[language][kind.lines if kind.skill != "unknown" else "unknown.news"].answers
    answers = [form.format_map(draw[1]) for form in forms]
    if language == "zh":
        answers += [spaced(answer) for answer in answers]
    return tuple(dict.fromkeys(answers))


def make_question(random: Random, kind: Kind, language: str, set_name: str) -> Question | None:
    """A test question of this kind and set, with the conversation before it; None if none was found."""
    held = set_name == "combinations" and kind.unit == "content"
    draw = draw_content(random, kind, language, held)
    text = ask(random, kind, draw, language, set_name)
    if text is None:
        return None
    messages: list[dict[str, str]] = []
    if kind.skill == "memory":
        tell, answer = told(random, kind, draw, language)
        turns = [(tell, answer)]
        if random() < 0.5:
            between = KINDS[
                pick(random, ("identity.who", "identity.can", "opposites.word", "facts.food", "arithmetic.add"))
            ]
            turns.append(plain_exchange(random, between, language))
        for user, assistant in turns:
            messages += [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
    context = context_of(random, kind, draw, language)
    if context and random() < 0.5:
        messages.append({"role": "system", "content": context})
    elif context:
        text = context + GAP[language] + text
    messages.append({"role": "user", "content": text})
    return Question(kind.skill, language, set_name, tuple(messages), accepted(kind, draw, language))


@cache
def questions(set: str, language: str, per_skill: int = 100, seed: int = 20261124) -> list[Question]:
    """Distinct questions of a set, `per_skill` of each skill: of the written "paraphrases", at most that many.

    ValueError for a set or a language that there is not.
    """
    if set not in SETS or language not in LANGUAGES:
        raise ValueError(f"no such questions: {set!r} in {language!r}; sets are {SETS}, languages {LANGUAGES}")
    if set == "paraphrases":
        return paraphrases(language, per_skill)
    found: list[Question] = []
    for skill in SKILLS:
        random = random_of(mix(seed, SETS.index(set) * 2 + LANGUAGES.index(language)), SKILLS.index(skill))
        own = [kind for kind in KINDS.values() if kind.skill == skill]
        made: dict[str, Question] = {}
        for i in range(200 * per_skill):  # some kinds have few questions: the others make up for them
            if len(made) == per_skill:
                break
            question = make_question(random, own[i % len(own)], language, set)
            if question:
                made.setdefault(json.dumps(question.messages), question)
        found += made.values()
    return found


def paraphrases(language: str, per_skill: int) -> list[Question]:
    """The questions that a person wrote, none if the file is not there."""
    if not PARAPHRASES.exists():
        return []
    found: dict[str, list[Question]] = {skill: [] for skill in SKILLS}
    for line in PARAPHRASES.read_text(encoding="utf-8").splitlines():
        row = json.loads(line) if line.strip() else {"language": ""}
        if row["language"] == language and len(found[row["skill"]]) < per_skill:
            messages, answers = tuple(row["messages"]), tuple(row["answers"])
            found[row["skill"]].append(Question(row["skill"], language, "paraphrases", messages, answers))
    return [question for own in found.values() for question in own]
