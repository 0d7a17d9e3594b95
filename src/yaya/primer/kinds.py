"""The kinds of question: what each one asks about, as slots for its lines and answers.

A kind draws `(key, slots)`. What counts as one combination, one in eight of which training never sees, is its `unit`:
- "content": the key itself, however it is asked (a sum, an adjective with a noun, an item with its price, a list);
- "phrasing": the content with a line (each fact, word or remembered value is taught, but not in each phrasing);
- "opener": the content, a line and the words before it (where there is hardly any content: who are you?).
Sums: the held-out triples (a, op, b) are the same in both languages; see `hold_out_sums`.
"""

from collections.abc import Callable
from typing import NamedTuple

from yaya.primer import draws as d
from yaya.primer import task_draws as t
from yaya.primer.draws import Draw, Random


class Kind(NamedTuple):
    name: str
    skill: str
    unit: str
    weight: float  # within its skill
    draw: Callable[[Random, str], Draw]  # (random, language)
    lines: str  # whose lines it uses; mostly its own
    topic: str  # at most one question on a topic in a conversation, so that nothing told contradicts; "" for no limit


IDENTITY = (
    *("who", "name", "age", "maker", "human", "can", "senses", "internet", "home", "feeling", "likes", "languages"),
    *("hello", "morning", "night", "thanks", "bye", "praise", "sorry", "comfort", "joke", "song", "love"),
)


def kinds() -> dict[str, Kind]:
    """All kinds by name, `skill.what`."""
    made: dict[str, Kind] = {}

    def add(name: str, draw, unit: str, weight: float = 1, lines: str = "", topic: str = "") -> None:
        made[name] = Kind(name, name.split(".")[0], unit, weight, draw, lines or name, topic)

    for attribute in ("pet", "food", "color", "job", "home"):
        add(f"facts.{attribute}", d.people, "phrasing", 1.2)
        add(f"facts.who_{attribute}", d.people, "phrasing")
    add("facts.eats", d.eats, "phrasing")
    add("facts.sound", d.sounds, "phrasing", 0.7)
    add("facts.thing_color", d.finite(d.colored), "phrasing", 0.7)
    add("facts.town", d.nothing, "opener", 0.3)
    add("arithmetic.add", d.sum_draw(d.SUMS), "content", 1.2)
    add("arithmetic.sub", d.sum_draw(d.DIFFERENCES), "content", 1.2)
    add("counting.items", d.count_items, "content", 2.5)
    add("counting.after", d.next_number(1), "phrasing")
    add("counting.before", d.next_number(-1), "phrasing")
    add("counting.range", d.number_range, "content", 1.5)
    add("counting.bigger", d.compare(True), "content")
    add("counting.smaller", d.compare(False), "content")
    add("opposites.word", d.finite(d.opposites), "phrasing")
    add(
        "categories.kind",
        lambda random, language: ("", d.thing_slots(d.pick(random, d.THING_KEYS), language)),
        "phrasing",
    )
    add("categories.either", d.either, "content")
    add("categories.yesno", d.yes_no, "content", 0.8)
    add("categories.which", d.which, "content", 1.2)
    for to in ("en", "zh"):
        add(f"translation.word_{to}", d.words, "phrasing", 1, lines=f"translation.to_{to}")
        add(f"translation.phrase_{to}", d.phrases, "content", 1.3, lines=f"translation.to_{to}")
    add("instructions.repeat", t.repeat, "content", 1.3)
    add("instructions.list", t.list_category(True), "phrasing", 0.6)
    add("instructions.list_from", t.list_category(False), "content", 0.8)
    add("instructions.reverse", t.reverse, "content", 1.2)
    add("instructions.choose", t.choose, "content", 1.4)
    for policy in ("hours", "days", "returns", "delivery", "fee", "where", "pay", "sells", "broken", "human"):
        add(f"shop.{policy}", d.nothing, "opener", 0.5)
    add("shop.price", t.price, "content", 3, topic="shop")
    add("shop.which_price", t.price, "content", 1.5, topic="shop")
    add("shop.order", t.order, "content", 2.5, topic="shop")
    values = {
        "name": t.name_value,
        "color": t.color_value,
        "pet": t.animal_value,
        "food": t.food_value,
        "age": t.age_value,
        "petname": t.pet_name_value,
        "friend": t.name_value,
        "number": t.number_value,
    }
    for what, value in values.items():
        topic = "pet" if what == "petname" else what
        add(f"memory.{what}", t.remembered(value), "phrasing", 2 if what == "name" else 1, topic=topic)
    add("memory.place", t.place_draw, "phrasing", 1.3, topic="place")
    for what in IDENTITY:
        add(f"identity.{what}", d.nothing, "opener", 1.5 if what in ("who", "name", "can", "hello") else 1)
    for what in ("capital", "weather", "news", "world", "number"):
        add(f"unknown.{what}", t.abroad, "phrasing")
    for what in ("pet", "food", "color", "job", "home"):
        add(f"unknown.{what}_of", t.stranger, "phrasing", 0.6, lines=f"facts.{what}")
    add("unknown.big_add", t.big_sum(11), "phrasing", 0.6, lines="arithmetic.add")
    add("unknown.big_sub", t.big_sum(21), "phrasing", 0.6, lines="arithmetic.sub")
    add("unknown.times", t.product, "phrasing", 0.6)
    for what in ("name", "color", "pet", "food", "age", "friend", "number"):
        add(f"unknown.my_{what}", d.nothing, "opener", 0.3, lines=f"memory.{what}", topic=what)
    add("unknown.place", t.place_draw, "opener", 0.3, lines="memory.place", topic="place")
    add("unknown.price", t.unpriced, "phrasing", 0.5, lines="shop.price", topic="shop")
    return made


KINDS = kinds()
