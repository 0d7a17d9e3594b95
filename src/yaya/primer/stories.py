"""Text documents of the primer: tales of the town, and pages that state what it knows."""

from collections.abc import Callable
from functools import cache

from yaya.primer import world as w
from yaya.primer.draws import (
    CATEGORY_OF,
    DIFFERENCES,
    HELD_SUMS,
    PHRASE_DRAWS,
    SUMS,
    WORD_PAIRS,
    Random,
    animal_slots,
    cap,
    colored,
    holds_content,
    noun,
    person_slots,
    pick,
    sample,
    thing_slots,
)
from yaya.primer.generate import LANGUAGES, random_of
from yaya.primer.phrasing import PHRASINGS, expand
from yaya.primer.tales import BIRTHDAY_WHEN, TALES, TITLES, WHEN
from yaya.primer.task_draws import NAMES

GAP = {"zh": "", "en": " "}
USED_DAILY = ("book", "key", "pen", "hat", "umbrella", "coat", "cup", "bag")  # what someone may lose
TAUGHT_SUMS = [triple for triple in SUMS if triple not in HELD_SUMS]
TAUGHT_DIFFERENCES = [triple for triple in DIFFERENCES if triple not in HELD_SUMS]


def story(seed: int, n: int) -> str:
    """The n-th text document: Chinese for even n, English for odd; three in five are tales."""
    language = LANGUAGES[n % 2]
    random = random_of(seed ^ 0x5707, n)
    return tale(random, language) if random() < 0.6 else page(random, language)


@cache
def tales(language: str) -> list[list[list[str]]]:
    """Each tale a list of sentences, each sentence a list of its readings."""
    return [[expand(line) for line in text.splitlines()] for text in TALES[language].strip().split("\n\n")]


def tale(random: Random, language: str) -> str:
    """One tale, filled in with people of the town, things and a price."""
    sentences = pick(random, tales(language))
    slots = tale_slots(random, language)
    while is_about_doctor(sentences) and {"David", "大卫"} & {slots["a"], slots["b"]}:
        slots = tale_slots(random, language)
    first = sentences[0][0]
    if "生日" in first or "birthday" in first:
        slots["when"] = pick(random, BIRTHDAY_WHEN[language])
    told = [pick(random, readings).format_map(slots) for readings in sentences]
    return GAP[language].join(cap(sentence) for sentence in told)


def is_about_doctor(sentences: list[list[str]]) -> bool:
    return any(name in sentences[1][0] for name in ("David", "大卫"))


def tale_slots(random: Random, language: str) -> dict[str, str]:
    """What a tale may say: three people with what they have, a taught sum, opposites, a price, a name, a place."""
    slots: dict[str, str] = {}
    for letter, person in zip("abc", sample(random, w.PEOPLE, 3), strict=True):
        facts = person_slots(person, language)
        slots[letter] = facts["p"]
        slots |= {f"{letter}_{name}": facts[name] for name in ("pet", "food", "color", "job", "home")}
        if language == "zh":
            slots[f"{letter}_m"] = facts["m"]
        else:
            slots |= {f"{letter}_apet": facts["a_pet"], f"{letter}_ajob": facts["a_job"]}
    x, _, y = pick(random, TAUGHT_SUMS)
    while y == 0 or x < 2:
        x, _, y = pick(random, TAUGHT_SUMS)
    pair = pick(random, w.OPPOSITES)
    pair = pair if random() < 0.5 else (*pair[2:], *pair[:2])
    good, price = taught_price(random, language)
    english = language == "en"
    slots |= {"x": str(x), "y": str(y), "z": str(x + y), "w": pair[english], "o": pair[2 + english]}
    slots |= {"good": good, "price": price, "name": pick(random, NAMES[language]), "when": pick(random, WHEN[language])}
    place = pick(random, w.PLACES[:2] + w.PLACES[3:4] + w.PLACES[5:7])
    return slots | {"thing": noun(pick(random, USED_DAILY), language), "place": place[english]}


def taught_price(random: Random, language: str) -> tuple[str, str]:
    while True:
        name, price = pick(random, w.GOODS)[language == "en"], str(1 + int(random() * 99))
        if not holds_content("shop.price", f"{name} {price}"):
            return name, price


# Pages


def page(random: Random, language: str) -> str:
    """One page that states what the town knows: its title and its sentences."""
    name = pick(random, PAGE_WHEEL)
    sentences = PAGES[name](random, language)
    title = TITLES[language][name]
    if name == "person":  # the page's first item is whose page it is
        title = title.format(p=sentences.pop(0))
    return title + "\n" + GAP[language].join(sentences)


def fact(kind: str, slots: dict[str, str], language: str) -> str:
    """The canonical reply to a question is the one way in which a page states it."""
    return PHRASINGS[language][kind].answers[0].format_map(slots)


def shuffled(random: Random, items) -> list:
    return sorted(items, key=lambda item: random())


def person_page(random: Random, language: str) -> list[str]:
    slots = person_slots(pick(random, w.PEOPLE), language)
    return [slots["p"], *(fact(f"facts.{what}", slots, language) for what in shuffled(random, ATTRIBUTES))]


ATTRIBUTES = ("pet", "food", "color", "job", "home")


def town_page(random: Random, language: str) -> list[str]:
    """One column of the town's table."""
    what = pick(random, ATTRIBUTES)
    rows = [fact(f"facts.{what}", person_slots(person, language), language) for person in shuffled(random, w.PEOPLE)]
    return [fact("facts.town", {}, language), *rows] if random() < 0.3 else rows


def animals_page(random: Random, language: str) -> list[str]:
    eats = [fact("facts.eats", animal_slots(key, language, food=food), language) for key, food in w.EATS.items()]
    says = [fact("facts.sound", animal_slots(key, language, sound=sound), language) for key, sound in w.SOUNDS.items()]
    colors = [fact("facts.thing_color", slots, language) for _, slots in colored(language)]
    return shuffled(random, pick(random, (eats, says, colors)))


def numbers_page(random: Random, language: str) -> list[str]:
    """Five numbers in a row, or what comes after (or before) each of them."""
    start = int(random() * 16)
    if random() < 0.5:
        numbers = [str(x) for x in range(start, start + 5)]
        return [("、" if language == "zh" else ", ").join(numbers) + ("。" if language == "zh" else ".")]
    kind, step = pick(random, (("counting.after", 1), ("counting.before", -1)))
    start += step < 0
    return [fact(kind, {"a": str(x), "c": str(x + step)}, language) for x in range(start, start + 5)]


def sums_page(random: Random, language: str) -> list[str]:
    chosen = sample(random, TAUGHT_SUMS if random() < 0.5 else TAUGHT_DIFFERENCES, 8)
    sums = [f"{x}{op}{y}={x + y if op == '+' else x - y}" for x, op, y in chosen]
    return [("，" if language == "zh" else ", ").join(sums) + ("。" if language == "zh" else ".")]


def opposites_page(random: Random, language: str) -> list[str]:
    """Six pairs of opposites, each in one of two wordings."""
    rows = []
    for row in sample(random, w.OPPOSITES, 6):
        first, second = row[language == "en"], row[2 + (language == "en")]
        if language == "zh":
            rows.append(pick(random, (f"{first}对{second}，{second}对{first}。", f"{first}的反义词是{second}。")))
        else:
            rows.append(
                pick(
                    random,
                    (f"{cap(first)} and {second}, {second} and {first}.", f"The opposite of {first} is {second}."),
                )
            )
    return rows


def categories_page(random: Random, language: str) -> list[str]:
    category = pick(random, tuple(w.CATEGORIES))
    members = shuffled(random, [key for key, of in CATEGORY_OF.items() if of == category])
    return [fact("categories.kind", thing_slots(key, language), language) for key in members]


def words_page(random: Random, language: str) -> list[str]:
    """Words and taught phrases with their translations."""
    rows = [(zh, en) for zh, en, _ in sample(random, WORD_PAIRS, 4)]
    while len(rows) < 8:
        key, slots = pick(random, PHRASE_DRAWS)
        if not holds_content("translation.phrase_en", key):
            rows.append((slots["z"], slots["e"]))
    if language == "zh":
        return [f"{zh}的英语是 {en}。" for zh, en in rows]
    return [f"{zh} means {en}." for zh, en in rows]


def shop_page(random: Random, language: str) -> list[str]:
    """Four of the shop's rules and three prices, none of which a test asks for."""
    policies = ("hours", "days", "returns", "delivery", "fee", "where", "pay", "sells")
    rows = [fact(f"shop.{policy}", {}, language) for policy in sample(random, policies, 4)]
    return [
        *rows,
        *(fact("shop.price", dict(zip("xn", taught_price(random, language), strict=True)), language) for _ in range(3)),
    ]


def yaya_page(random: Random, language: str) -> list[str]:
    about = ("who", "can", "home", "likes", "languages", "age")
    return [fact(f"identity.{what}", {}, language) for what in shuffled(random, about)]


PAGES: dict[str, Callable[[Random, str], list[str]]] = {
    "person": person_page,
    "town": town_page,
    "animals": animals_page,
    "numbers": numbers_page,
    "sums": sums_page,
    "opposites": opposites_page,
    "categories": categories_page,
    "words": words_page,
    "shop": shop_page,
    "yaya": yaya_page,
}
# Pages with more to say come more often
PAGE_WHEEL = (*PAGES, "person", "person", "town", "town", "sums", "sums", "words", "words", "animals")
