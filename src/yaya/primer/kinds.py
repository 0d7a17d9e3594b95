"""The kinds of question: what each one asks about, as slots for its lines and answers.

A kind draws `(key, slots)`. What counts as one combination, one in eight of which training never sees, is its `unit`:
- "content": the key itself, however it is asked (a sum, an adjective with a noun, an item with its price, a list);
- "phrasing": the content with a line (each fact, word or remembered value is taught, but not in each phrasing);
- "opener": the content, a line and the words before it (where there is hardly any content: who are you?).
Sums: the held-out triples (a, op, b) are the same in both languages; see `hold_out_sums`.
"""

from collections.abc import Callable, Iterator
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


def made(
    name: str, draw: Callable[[Random, str], Draw], unit: str, weight: float = 1, lines: str = "", topic: str = ""
) -> Kind:
    """A kind whose name, `skill.what`, says its skill and, unless `lines` does, whose lines it uses."""
    return Kind(name, name.split(".")[0], unit, weight, draw, lines or name, topic)


def of_the_town() -> Iterator[Kind]:
    """Who lives in Bamboo Town and with what, animals, and the colours of things."""
    for attribute in ("pet", "food", "color", "job", "home"):
        yield made(f"facts.{attribute}", d.people, "phrasing", 1.2)
        yield made(f"facts.who_{attribute}", d.people, "phrasing")
    yield made("facts.eats", d.eats, "phrasing")
    yield made("facts.sound", d.sounds, "phrasing", 0.7)
    yield made("facts.thing_color", d.finite(d.colored), "phrasing", 0.7)
    yield made("facts.town", d.nothing, "opener", 0.3)


def of_numbers_and_words() -> Iterator[Kind]:
    """Sums, counting, opposites, categories, translation."""
    yield made("arithmetic.add", d.sum_draw(d.SUMS), "content", 1.2)
    yield made("arithmetic.sub", d.sum_draw(d.DIFFERENCES), "content", 1.2)
    yield made("counting.items", d.count_items, "content", 2.5)
    yield made("counting.after", d.next_number(1), "phrasing")
    yield made("counting.before", d.next_number(-1), "phrasing")
    yield made("counting.range", d.number_range, "content", 1.5)
    yield made("counting.bigger", d.compare(True), "content")
    yield made("counting.smaller", d.compare(False), "content")
    yield made("opposites.word", d.finite(d.opposites), "phrasing")
    yield made(
        "categories.kind",
        lambda random, language: ("", d.thing_slots(d.pick(random, d.THING_KEYS), language)),
        "phrasing",
    )
    yield made("categories.either", d.either, "content")
    yield made("categories.yesno", d.yes_no, "content", 0.8)
    yield made("categories.which", d.which, "content", 1.2)
    for to in ("en", "zh"):
        yield made(f"translation.word_{to}", d.words, "phrasing", 1, lines=f"translation.to_{to}")
        yield made(f"translation.phrase_{to}", d.phrases, "content", 1.3, lines=f"translation.to_{to}")


def of_tasks() -> Iterator[Kind]:
    """Instructions, and the shop."""
    yield made("instructions.repeat", t.repeat, "content", 1.3)
    yield made("instructions.list", t.list_category(True), "phrasing", 0.6)
    yield made("instructions.list_from", t.list_category(False), "content", 0.8)
    yield made("instructions.reverse", t.reverse, "content", 1.2)
    yield made("instructions.choose", t.choose, "content", 1.4)
    for policy in ("hours", "days", "returns", "delivery", "fee", "where", "pay", "sells", "broken", "human"):
        yield made(f"shop.{policy}", d.nothing, "opener", 0.5)
    yield made("shop.price", t.price, "content", 3, topic="shop")
    yield made("shop.which_price", t.price, "content", 1.5, topic="shop")
    yield made("shop.order", t.order, "content", 2.5, topic="shop")


def of_what_was_told() -> Iterator[Kind]:
    """What the user tells Yaya to remember, and who Yaya is."""
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
        yield made(f"memory.{what}", t.remembered(value), "phrasing", 2 if what == "name" else 1, topic=topic)
    yield made("memory.place", t.place_draw, "phrasing", 1.3, topic="place")
    for what in IDENTITY:
        yield made(f"identity.{what}", d.nothing, "opener", 1.5 if what in ("who", "name", "can", "hello") else 1)


def of_the_unknown() -> Iterator[Kind]:
    """What Yaya does not know and says so."""
    for what in ("capital", "weather", "news", "world", "number"):
        yield made(f"unknown.{what}", t.abroad, "phrasing")
    for what in ("pet", "food", "color", "job", "home"):
        yield made(f"unknown.{what}_of", t.stranger, "phrasing", 0.6, lines=f"facts.{what}")
    yield made("unknown.big_add", t.big_sum(11), "phrasing", 0.6, lines="arithmetic.add")
    yield made("unknown.big_sub", t.big_sum(21), "phrasing", 0.6, lines="arithmetic.sub")
    yield made("unknown.times", t.product, "phrasing", 0.6)
    for what in ("name", "color", "pet", "food", "age", "friend", "number"):
        yield made(f"unknown.my_{what}", d.nothing, "opener", 0.3, lines=f"memory.{what}", topic=what)
    yield made("unknown.place", t.place_draw, "opener", 0.3, lines="memory.place", topic="place")
    yield made("unknown.price", t.unpriced, "phrasing", 0.5, lines="shop.price", topic="shop")


KINDS = {
    kind.name: kind
    for kinds in (of_the_town, of_numbers_and_words, of_tasks, of_what_was_told, of_the_unknown)
    for kind in kinds()
}
