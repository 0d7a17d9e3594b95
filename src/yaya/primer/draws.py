"""What questions of the town, numbers and words are about: each draw gives `(key, slots)` for phrasings to fill in."""

from collections.abc import Callable

from yaya.primer import world as w
from yaya.primer.phrasing import hash_of, is_held

Random = Callable[[], float]  # random.Random(...).random
Draw = tuple[str, dict[str, str]]


def pick(random: Random, items):
    return items[int(random() * len(items))]


def sample(random: Random, items, count: int) -> list:
    """So many distinct items, in the order in which they were drawn; there must be as many."""
    chosen: list = []
    while len(chosen) < count:
        item = items[int(random() * len(items))]
        if item not in chosen:
            chosen.append(item)
    return chosen


def a(word: str) -> str:
    return ("an " if word[0] in "aeiou" else "a ") + word


def cap(text: str) -> str:
    return text[0].upper() + text[1:]


def noun(key: str, language: str) -> str:
    return w.NOUNS[key][0] if language == "zh" else key


# facts


def person_slots(person: tuple, language: str) -> dict[str, str]:
    """What a phrasing may say of a person of the town's table."""
    zh, en, pet, food, color, job, home = person
    if language == "zh":
        pet_zh, measure, _ = w.ANIMALS[pet]
        return {"p": zh, "pet": pet_zh, "m": measure, "food": w.FOODS[food][0], "color": w.COLORS[color],
                "job": w.JOBS[job], "home": w.HOMES[home][0]}  # fmt: skip
    return {"p": en, "pet": pet, "a_pet": a(pet), "food": w.FOODS[food][1], "color": color, "color_cap": cap(color),
            "job": job, "a_job": a(job), "home": w.HOMES[home][1]}  # fmt: skip


def animal_slots(key: str, language: str, **values: tuple[str, str]) -> dict[str, str]:
    slots = {name: value[language == "en"] for name, value in values.items()}
    if language == "zh":
        return slots | {"x": w.NOUNS[key][0]}
    return slots | {"x": a(key), "x_cap": cap(a(key)), "xs": w.NOUNS[key][2]}


def finite(contents: Callable[[str], list[Draw]]) -> Callable[[Random, str], Draw]:
    """A draw from a list that is made once per language."""
    made = {language: contents(language) for language in ("zh", "en")}
    return lambda random, language: pick(random, made[language])


people = finite(lambda language: [("", person_slots(person, language)) for person in w.PEOPLE])
eats = finite(lambda language: [("", animal_slots(key, language, food=food)) for key, food in w.EATS.items()])
sounds = finite(lambda language: [("", animal_slots(key, language, sound=sound)) for key, sound in w.SOUNDS.items()])
nothing = finite(lambda language: [("", {})])


def colored(language: str) -> list[Draw]:
    if language == "zh":
        return [("", {"x": zh, "color": w.COLORS[color]}) for zh, _, color in w.COLORED]
    return [("", {"x": en, "x_cap": cap(en), "color": color}) for _, en, color in w.COLORED]


# arithmetic and counting

SUMS = [(x, "+", y) for x in range(11) for y in range(11)]
# Each sum read backwards: as many as the sums, since of half as many a model learns each by heart and none that is new
DIFFERENCES = [(x + y, "-", y) for x in range(11) for y in range(11)]


def hold_out_sums() -> set[tuple[int, str, int]]:
    """An eighth of the sums and of the differences, whose siblings all stay taught.

    The siblings of a+b: b+a, and a+b with either number one more or less. Of a-b: a-(a-b), and the neighbours likewise.
    So a sum of two equal numbers, and a difference with two equal halves, are never held out: they have no sibling.
    """
    held: set[tuple[int, str, int]] = set()
    for triples in (SUMS, DIFFERENCES):
        quota = len(held) + len(triples) // 8
        for x, op, y in sorted(triples, key=lambda triple: hash_of(*map(str, triple))):
            mirror = (y, op, x) if op == "+" else (x, op, x - y)
            siblings = {mirror, (x - 1, op, y), (x + 1, op, y), (x, op, y - 1), (x, op, y + 1)}
            if len(held) < quota and mirror != (x, op, y) and not siblings & held:
                held.add((x, op, y))
    return held


HELD_SUMS = hold_out_sums()


def sum_draw(triples: list[tuple[int, str, int]]) -> Callable[[Random, str], Draw]:
    made = [
        (f"{x}{op}{y}", {"a": str(x), "b": str(y), "c": str(x + y if op == "+" else x - y)}) for x, op, y in triples
    ]
    return lambda random, language: pick(random, made)


def holds_content(kind: str, key: str) -> bool:
    """Whether training never sees this content of a kind whose unit is "content"."""
    if kind in ("arithmetic.add", "arithmetic.sub"):
        return key in HELD_SUM_KEYS
    return is_held(SAME_CONTENT.get(kind, kind), key)


HELD_SUM_KEYS = {f"{x}{op}{y}" for x, op, y in HELD_SUMS}
# What is held out in one direction is held out in the other
SAME_CONTENT = {
    "translation.phrase_zh": "translation.phrase_en",
    "shop.which_price": "shop.price",
    "counting.smaller": "counting.bigger",
}
COUNTED = tuple(w.ANIMALS | w.FRUITS | w.TOYS | w.THINGS)


def count_items(random: Random, language: str) -> Draw:
    """Things in a row, of which one is counted; the key is that thing and its number."""
    asked, *others = sample(random, COUNTED, 1 + int(random() * 3))
    count = 1 + int(random() * 5)
    items = [asked] * count + [key for key in others for _ in range(1 + int(random() * 2))]
    if random() < 0.4:
        items = [items[i] for i in sorted(range(len(items)), key=lambda i: random())]
    zh, measure, plural = w.NOUNS[asked]
    separator = pick(random, (" ", "、") if language == "zh" else (" ", ", "))
    slots = {"list": separator.join(noun(key, language) for key in items), "n": str(count)}
    slots |= {"x": zh, "m": measure} if language == "zh" else {"xs": asked if count == 1 else plural, "ps": plural}
    return f"{asked} {count}", slots


def next_number(step: int) -> Callable[[Random, str], Draw]:
    made = [("", {"a": str(x), "c": str(x + step)}) for x in range(21) if x + step >= 0]
    return lambda random, language: pick(random, made)


def number_range(random: Random, language: str) -> Draw:
    start = int(random() * 10)
    numbers = [str(x) for x in range(start, start + 3 + int(random() * 4))]
    slots = {"a": numbers[0], "b": numbers[-1], "range_space": " ".join(numbers), "range_comma": "，".join(numbers)}
    slots["range"] = ("、" if language == "zh" else ", ").join(numbers)
    return f"{numbers[0]} {numbers[-1]}", slots


def compare(bigger: bool) -> Callable[[Random, str], Draw]:
    """Draws two different numbers, of which the bigger (or the smaller) is asked for."""

    def draw(random: Random, language: str) -> Draw:
        x, y = sample(random, range(13), 2)
        c, d = (max(x, y), min(x, y)) if bigger else (min(x, y), max(x, y))
        return f"{x} {y}", {"a": str(x), "b": str(y), "c": str(c), "d": str(d)}

    return draw


# opposites, categories, translation


def opposites(language: str) -> list[Draw]:
    pairs = [(zh1, zh2) if language == "zh" else (en1, en2) for zh1, en1, zh2, en2 in w.OPPOSITES]
    both = [*pairs, *((second, first) for first, second in pairs)]
    return [("", {"w": first, "w_cap": cap(first), "o": second}) for first, second in both]


CATEGORY_OF = {key: category for category, row in w.CATEGORIES.items() for key in row[3]}
THING_KEYS = tuple(CATEGORY_OF)
CATEGORY_KEYS = tuple(w.CATEGORIES)


def thing(key: str, language: str) -> str:
    if language == "en":
        return key
    return w.COLORS.get(key) or w.JOBS.get(key) or w.NOUNS[key][0]


def thing_slots(key: str, language: str) -> dict[str, str]:
    zh, en, _, _ = w.CATEGORIES[CATEGORY_OF[key]]
    if language == "zh":
        return {"x": thing(key, language), "c": zh}
    with_article = key if key in w.COLORS else a(key)
    return {"x": with_article, "x_cap": cap(with_article), "x_bare": key, "c": en, "c_bare": en.split()[-1]}


def category_name(category: str, language: str) -> str:
    zh, en, _, _ = w.CATEGORIES[category]
    return zh if language == "zh" else en


def either(random: Random, language: str) -> Draw:
    """A thing and two categories, its own and another, in either order."""
    key = pick(random, THING_KEYS)
    right = CATEGORY_OF[key]
    wrong = pick(random, CATEGORY_KEYS)
    while wrong == right:
        wrong = pick(random, CATEGORY_KEYS)
    first, second = (right, wrong) if random() < 0.5 else (wrong, right)
    names = category_name(first, language), category_name(second, language)
    slots = thing_slots(key, language) | {"c1": names[0], "c2": names[1], "c1_cap": cap(names[0])}
    return f"{key} {first} {second}", slots


def yes_no(random: Random, language: str) -> Draw:
    key = pick(random, THING_KEYS)
    asked = CATEGORY_OF[key] if random() < 0.5 else pick(random, CATEGORY_KEYS)
    true = asked == CATEGORY_OF[key]
    yes = ("是的" if true else "不是") if language == "zh" else ("Yes" if true else "No")
    return f"{key} {asked}", thing_slots(key, language) | {"d": category_name(asked, language), "yes": yes}


def which(random: Random, language: str) -> Draw:
    """Three things of three categories, one of which is asked for by its category."""
    categories = sample(random, CATEGORY_KEYS, 3)
    keys = [pick(random, w.CATEGORIES[category][3]) for category in categories]
    answer = pick(random, keys)
    names = [thing(key, language) for key in keys]
    slots = thing_slots(answer, language) | {"list": join(names, language)}
    return " ".join(keys) + " " + answer, slots


def join(names: list[str], language: str) -> str:
    return ("、" if language == "zh" else ", ").join(names)


def word_pairs() -> list[tuple[str, str, str]]:
    """(Chinese, English, English with an article) of each word that is translated."""
    rows = [(zh, en, a(en)) for en, (zh, _, _) in w.NOUNS.items()]
    rows += [(zh, en, a(en)) for en, zh in w.JOBS.items()]
    rows += [(zh, en, en) for en, zh in w.COLORS.items()]
    rows += [(zh, en, en) for zh, en in w.FOODS.values() if en not in ("apples", "bananas", "eggs")]
    # 男 is not quite "boy"
    rows += [pair for row in w.OPPOSITES[:-1] for pair in ((row[0], row[1], row[1]), (row[2], row[3], row[3]))]
    return rows


WORD_PAIRS = word_pairs()
WORD_DRAWS = [("", {"z": zh, "e": en, "a_e": with_article}) for zh, en, with_article in WORD_PAIRS]


def words(random: Random, language: str) -> Draw:
    return pick(random, WORD_DRAWS)


def phrase_draws() -> list[Draw]:
    """Adjective and noun, and tiny sentences with a noun; the key is the English."""
    rows = []
    for key, (zh, measure, plural) in w.NOUNS.items():
        for zh_adjective, adjective in w.ADJECTIVES:
            phrase = f"{adjective} {key}"
            rows.append((phrase, {"z": zh_adjective + zh, "e": a(phrase), "a_e": phrase}))
        for zh_sentence, sentence in w.SENTENCES:
            english = sentence.format(a=a(key), s=plural)
            rows.append((english, {"z": zh_sentence.format(z=zh, m=measure), "e": english, "a_e": english}))
    return rows


PHRASE_DRAWS = phrase_draws()


def phrases(random: Random, language: str) -> Draw:
    return pick(random, PHRASE_DRAWS)
