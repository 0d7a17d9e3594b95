"""Text to ids and back; control tokens never come out of text."""

import re
import time

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yaya.core.say import UserError
from yaya.tokenize import chat
from yaya.tokenize.tokenizer import CHAT_TEMPLATE, CONTROL_TOKENS, TextStream, Tokenizer, train

SAMPLE = [
    "从前有一只小猫，它住在竹子镇。你好世界，今天天气很好。",
    "Once upon a time there was a cat. It's 1234 days old, isn't it?",
    *(f"{role}\n" for role in ("user", "assistant", "system")),
] * 40
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
WITH_CONTROL = st.lists(st.one_of(TEXT, st.sampled_from(CONTROL_TOKENS)), max_size=6).map("".join)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": WITH_CONTROL}),
    min_size=1,
    max_size=4,
)


def make(vocab_size: int = 500, han_run: int = 1) -> Tokenizer:
    return train(iter(SAMPLE), vocab_size, han_run)


TOKENIZER = make()


@given(WITH_CONTROL)
def test_any_text_survives(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@given(WITH_CONTROL)
def test_control_tokens_never_come_out_of_text(text: str) -> None:
    control = set(TOKENIZER.control.values())
    assert not control & set(TOKENIZER.encode(text))
    assert TOKENIZER.encode_batch([text]) == [TOKENIZER.encode(text)]


@given(WITH_CONTROL)
def test_a_stream_shows_whole_characters(text: str) -> None:
    stream = TextStream(TOKENIZER)
    pieces = [stream.push(i) for i in TOKENIZER.encode(text)] + [stream.flush()]
    assert "".join(pieces) == text
    if "\ufffd" not in text:
        assert all("\ufffd" not in piece for piece in pieces)


def test_training_is_repeatable() -> None:
    assert make().definition == make().definition


def test_han_cuts_and_single_digits() -> None:
    def longest_han(tokenizer: Tokenizer) -> int:
        texts = [b.decode("utf-8", "ignore") for b in tokenizer.token_bytes]
        return max(len(m) for text in texts for m in re.findall(r"[\u4e00-\u9fff]+|$", text))

    assert longest_han(make(700, 1)) == 1
    assert longest_han(make(700, 4)) in (2, 3, 4)
    assert not any(re.search(rb"\d.*\d", b) for b in make(700).token_bytes)
    assert len(TOKENIZER.encode("1234")) == 4


def test_every_id_below_the_vocabulary_is_a_token() -> None:
    assert TOKENIZER.unused_ids == [] and len(TOKENIZER.token_bytes) == TOKENIZER.vocab_size <= 500
    assert TOKENIZER.encode("user\n")[0] == TOKENIZER.encode("user")[0]
    for role in ("system", "user", "assistant"):
        assert len(TOKENIZER.encode(role)) == 1


@settings(deadline=None)
@given(MESSAGES)
def test_rendering_equals_the_template(messages: list[dict[str, str]]) -> None:
    """Against the chat template itself, with control tokens written in messages taken as text."""
    ids, roles = chat.render(TOKENIZER, messages)
    shown = b"".join(
        next(t for t, i in TOKENIZER.control.items() if i == token).encode()
        if token in TOKENIZER.control.values()
        else TOKENIZER.token_bytes[token]
        for token in ids
    ).decode()
    assert shown == jinja2.Template(CHAT_TEMPLATE, keep_trailing_newline=True).render(messages=messages)
    assert ids.count(TOKENIZER.turn_end) == len(messages) == ids.count(TOKENIZER.turn_start)
    spoken = [i for i, role in zip(ids, roles, strict=True) if role == chat.ASSISTANT]
    assert spoken.count(TOKENIZER.turn_end) == sum(m["role"] == "assistant" for m in messages)
    for i, role in zip(ids, roles, strict=True):
        assert i != TOKENIZER.turn_start or role == chat.TEMPLATE


def test_only_the_assistants_words_are_the_assistants() -> None:
    messages = [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "Hello cat"}]
    ids, roles = chat.render(TOKENIZER, messages)
    spoken = [i for i, role in zip(ids, roles, strict=True) if role == chat.ASSISTANT]
    assert TOKENIZER.decode(spoken) == "Hello cat" and spoken[-1] == TOKENIZER.turn_end
    heard = [i for i, role in zip(ids, roles, strict=True) if role == chat.USER]
    assert TOKENIZER.decode(heard) == "你好"


def talk(turns: int) -> list[dict[str, str]]:
    out = [{"role": "system", "content": "be kind"}]
    for n in range(turns):
        out += [{"role": "user", "content": f"question {n}"}, {"role": "assistant", "content": f"answer {n}"}]
    return [*out, {"role": "user", "content": "last"}]


def test_the_oldest_turns_are_dropped_and_the_system_message_stays() -> None:
    messages = talk(20)
    whole = chat.prompt(TOKENIZER, messages)
    assert chat.fit_messages(TOKENIZER, messages, len(whole)) == (whole, 0)
    ids, dropped = chat.fit_messages(TOKENIZER, messages, len(whole) // 2)
    assert 0 < dropped < 20 and len(ids) <= len(whole) // 2
    assert ids == chat.prompt(TOKENIZER, [messages[0], *messages[1 + 2 * dropped :]])
    one_fewer = chat.prompt(TOKENIZER, [messages[0], *messages[1 + 2 * (dropped - 1) :]])
    assert len(one_fewer) > len(whole) // 2


def test_a_message_that_is_too_long_names_both_numbers() -> None:
    with pytest.raises(UserError, match=r"\d+ tokens long.*at most 10"):
        chat.fit_messages(TOKENIZER, talk(3), 10)


def test_a_long_talk_is_cut_in_no_time() -> None:
    started = time.perf_counter()
    chat.fit_messages(TOKENIZER, talk(2000), 100)
    assert time.perf_counter() - started < 5
