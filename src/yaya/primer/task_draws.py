"""What questions with something to copy or to miss are about: instructions, the shop, memory and the unknown."""

from collections.abc import Callable

from yaya.primer import world as w
from yaya.primer.draws import (
    CATEGORY_KEYS,
    COUNTED,
    Draw,
    Random,
    a,
    cap,
    holds_content,
    join,
    noun,
    pick,
    sample,
    thing,
)
from yaya.primer.phrasing import TASKS

# instructions

NAMES = {"zh": w.CHINESE_NAMES, "en": w.ENGLISH_NAMES}
LIST_WORDS = {
    language: [*(noun(key, language) for key in w.NOUNS), *(thing(key, language) for key in (*w.COLORS, *w.JOBS))]
    for language in ("zh", "en")
}
ORDINALS = {
    "zh": ("第一个", "第二个", "第三个", "最后一个"),
    "en": ("the first", "the second", "the third", "the last"),
}
NUMBER_WORDS = {"zh": ("两", "三", "四"), "en": ("two", "three", "four")}


def random_words(random: Random, language: str, count: int) -> list[str]:
    """Distinct words to copy: mostly nouns, sometimes names or digits, so that copying is learned and not a list."""
    share = random()
    if share < 0.7:
        return sample(random, LIST_WORDS[language], count)
    if share < 0.85:
        return sample(random, NAMES[language], count)
    return sample(random, "0123456789", count)


def repeat(random: Random, language: str) -> Draw:
    """Words, a name or a short sentence to be copied."""
    share = random()
    if share < 0.4:
        text = join(random_words(random, language, 2 + int(random() * 3)), language)
    elif share < 0.5:
        text = pick(random, LIST_WORDS[language])
    else:
        name, key = pick(random, NAMES[language]), pick(random, tuple(w.NOUNS))
        zh, measure, plural = w.NOUNS[key]
        place = pick(random, w.PLACES)
        other = pick(random, NAMES[language])
        if language == "zh":
            forms = (f"{name}喜欢{zh}", f"{name}有一{measure}{zh}", f"{zh}在{place[0]}", f"{name}和{other}")
        else:
            forms = (
                f"{name} likes {plural}",
                f"{name} has {a(key)}",
                f"the {key} is {place[1]}",
                f"{name} and {other}",
            )
        text = pick(random, forms)
    return text, {"s": text}


def list_slots(items: list[str], language: str) -> dict[str, str]:
    """The items as a list, in each of the ways in which a phrasing may join them."""
    last = items[-1]
    head = join(items[:-1], language)
    slots = {"items": join(items, language), "items_space": " ".join(items), "items_comma": "，".join(items)}
    slots["items_and"] = f"{head}和{last}" if language == "zh" else f"{head} and {last}"
    slots["items_oxford"] = f"{head}, and {last}"
    return slots


def list_category(from_start: bool) -> Callable[[Random, str], Draw]:
    """Members of a category in its one cyclic order: a random order would teach the model to wander."""

    def draw(random: Random, language: str) -> Draw:
        category = pick(random, CATEGORY_KEYS)
        zh, _, plural, members = w.CATEGORIES[category]
        count = 2 + int(random() * 3)
        start = 0 if from_start else int(random() * len(members))
        items = [thing(members[(start + i) % len(members)], language) for i in range(count)]
        name = zh if language == "zh" else plural
        digits = random() < 0.5
        number = str(count) if digits else NUMBER_WORDS[language][count - 2]
        slots = list_slots(items, language) | {"x": items[0], "c": name, "cs": name, "n": number}
        return f"{category} {count} {start}", slots

    return draw


def reverse(random: Random, language: str) -> Draw:
    items = random_words(random, language, 2 + int(random() * 2))
    return " ".join(items), list_slots(items[::-1], language) | {"list": join(items, language)}


def choose(random: Random, language: str) -> Draw:
    items = random_words(random, language, 3 + int(random() * 2))
    at = int(random() * 4)
    chosen = items[-1 if at == 3 else at]
    return f"{' '.join(items)} {at}", {"list": join(items, language), "x": chosen, "ord": ORDINALS[language][at]}


# shop


def price_list(random: Random, language: str, asked: tuple[str, str]) -> str:
    """A price list with the asked (item, price) in it; the rest is taught content, with other items and prices."""
    rows = [asked]
    for item in sample(random, w.GOODS, int(random() * 4)):
        name = item[language == "en"]
        price = str(1 + int(random() * 99))
        if (
            name != asked[0]
            and price not in [row[1] for row in rows]
            and not holds_content("shop.price", f"{name} {price}")
        ):
            rows.append((name, price))
    rows.insert(int(random() * len(rows)), rows.pop(0))
    form = TASKS[language].PRICE
    items = ("，" if language == "zh" else ", ").join(form.format(x=name, n=price) for name, price in rows)
    return pick(random, TASKS[language].PRICE_LISTS).format(list=items)


def price(random: Random, language: str) -> Draw:
    name = pick(random, w.GOODS)[language == "en"]
    number = str(1 + int(random() * (99 if random() < 0.85 else 300)))
    return f"{name} {number}", {"x": name, "n": number}


def order(random: Random, language: str) -> Draw:
    number, state = str(100 + int(random() * 900)), pick(random, w.ORDER_STATES)
    return f"{number} {state[1]}", {"n": number, "s": state[language == "en"]}


def order_list(random: Random, language: str, asked: tuple[str, str]) -> str:
    """The asked (number, state), half of the time with another order in another state."""
    rows = [asked]
    if random() < 0.5:
        _, other = order(random, language)
        number, state = other["n"], other["s"]
        english = w.ORDER_STATES[[row[language == "en"] for row in w.ORDER_STATES].index(state)][1]
        if number != asked[0] and state != asked[1] and not holds_content("shop.order", f"{number} {english}"):
            rows.insert(int(random() * 2), (number, state))
    form = TASKS[language].ORDER
    items = ("，" if language == "zh" else ", ").join(form.format(n=number, s=state) for number, state in rows)
    text = pick(random, TASKS[language].ORDER_LISTS).format(list=items)
    return cap(text)


# memory and the unknown


def remembered(values: Callable[[Random, str], dict[str, str]]) -> Callable[[Random, str], Draw]:
    def draw(random: Random, language: str) -> Draw:
        slots = values(random, language)
        return slots.get("y", slots["x"]), slots

    return draw


def animal_value(random: Random, language: str) -> dict[str, str]:
    key = pick(random, tuple(w.ANIMALS))
    if language == "zh":
        return {"x": w.ANIMALS[key][0], "m": w.ANIMALS[key][1]}
    return {"x": key, "a_x": a(key)}


FOOD_WORDS = {
    "zh": [*(row[0] for row in (*w.FRUITS.values(), *w.VEGETABLES.values(), *w.FOODS.values()))],
    "en": [*(row[2] for row in (*w.FRUITS.values(), *w.VEGETABLES.values())), *(row[1] for row in w.FOODS.values())],
}
PLACED = (
    "book",
    "key",
    "ball",
    "pen",
    "hat",
    "umbrella",
    "coat",
    "doll",
    "cup",
    "bag",
    "kite",
    "egg",
    "apple",
    "shirt",
)


def name_value(random: Random, language: str) -> dict[str, str]:
    return {"x": pick(random, NAMES[language])}


def color_value(random: Random, language: str) -> dict[str, str]:
    return {"x": thing(pick(random, tuple(w.COLORS)), language)}


def food_value(random: Random, language: str) -> dict[str, str]:
    return {"x": pick(random, FOOD_WORDS[language])}


def age_value(random: Random, language: str) -> dict[str, str]:
    return {"x": str(3 + int(random() * 90))}


def number_value(random: Random, language: str) -> dict[str, str]:
    return {"x": str(int(random() * (10 if random() < 0.4 else 1000)))}


def pet_name_value(random: Random, language: str) -> dict[str, str]:
    return animal_value(random, language) | {"y": pick(random, NAMES[language])}


def place_value(random: Random, language: str) -> dict[str, str]:
    key, place = pick(random, PLACED), pick(random, w.PLACES)
    while place[1] == f"in the {key}":
        place = pick(random, w.PLACES)
    return {"x": noun(key, language), "y": place[language == "en"]}


def place_draw(random: Random, language: str) -> Draw:
    slots = place_value(random, language)
    return f"{slots['x']} {slots['y']}", slots


def stranger(random: Random, language: str) -> Draw:
    return "", {"p": pick(random, NAMES[language])}


def abroad(random: Random, language: str) -> Draw:
    """Something from outside the town, which Yaya knows nothing about."""
    english = language == "en"
    city, city2 = sample(random, w.CITIES, 2)
    strange = pick(random, w.STRANGE)[english]
    key = pick(random, COUNTED)
    slots = {
        "country": pick(random, w.COUNTRIES)[english],
        "city": city[english],
        "city2": city2[english],
        "s": strange,
    }
    slots |= {"s_base": strange, "x": noun(key, language), "xs": w.NOUNS[key][2]}
    return "", slots


def big_sum(least: int) -> Callable[[Random, str], Draw]:
    """Two numbers, at least one of them `least` or more, as in no taught sum or difference."""

    def draw(random: Random, language: str) -> Draw:
        top = 90 if random() < 0.5 else 990
        small = int(random() * (11 if random() < 0.3 else top))
        pair = [str(least + int(random() * top)), str(small)]
        at = int(random() * 2)
        return "", {"a": pair[at], "b": pair[1 - at], "c": ""}

    return draw


def product(random: Random, language: str) -> Draw:
    top = 11 if random() < 0.5 else 1000
    return "", {"a": str(1 + int(random() * top)), "b": str(1 + int(random() * top))}


def unpriced(random: Random, language: str) -> Draw:
    return "", {"x": pick(random, w.GOODS)[language == "en"]}
