"""What a record means: which of its replies are learned, which are only read, which are refused, and what is said then."""

import csv
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prepared import balanced, lines, prepare, read, rows, write

from yaya.core.messages import UserError
from yaya.prepare import chunks
from yaya.prepare.document import Broken, ReadEvents, Unusable
from yaya.prepare.parquet import DOCUMENTS
from yaya.prepare.read.keys import columns_of
from yaya.prepare.read.records import contents_of
from yaya.prepare.read.sources import files_of, read_file
from yaya.tokenize.chat_template import ASSISTANT, TEMPLATE, UNLEARNED, render
from yaya.tokenize.shards import corpus_files, encode_split, open_shard
from yaya.tokenize.tokenizer import Tokenizer, train
from yaya.train.packing import DataMixture, PackedDataset

NAN = float("nan")
Q, A = {"role": "user", "content": "q"}, {"role": "assistant", "content": "good"}
BAD = {"role": "assistant", "content": "bad"}
HUMAN, GPT = {"from": "human", "value": "q"}, {"from": "gpt", "value": "good"}


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("YAYA_LANG", "en")


def said(record) -> str:
    """`u: ... | a: ...` of a conversation, the text, or `kind: why` of what is not learned."""
    (content,) = contents_of(record)
    if isinstance(content, Unusable):
        assert any("\u4e00" <= c <= "\u9fff" for c in content.zh)
        return f"{content.kind}: {content.en}"
    if isinstance(content, str):
        return content
    assert all(message.keys() == {"role", "content"} for message in content)
    return " | ".join(f"{message['role'][:2]}: {message['content']}" for message in content)


LEARNED = "us: q | as: good"
SYSTEM = f"sy: S | {LEARNED}"


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "q", "chosen": "good", "rejected": "bad"},
        {"prompt": [Q], "chosen": [A], "rejected": [BAD]},
        {"prompt": [Q], "chosen": "good", "rejected": "bad"},
        {"prompt": "q", "chosen": [Q, A], "rejected": [Q, BAD], "messages": [Q, A], "score_chosen": 1},
        {"conversations": [HUMAN], "chosen": GPT, "rejected": {"from": "gpt", "value": "bad"}},
        {"conversations": [HUMAN], "chosen": [GPT], "rejected": [{"from": "gpt", "value": "bad"}]},
        {"messages": [Q], "chosen": A, "rejected": BAD},
        {"messages": [Q], "chosen": "good", "rejected": "bad"},
        {"messages": [Q, BAD], "chosen": "good", "rejected": "bad"},
        {"messages": [Q, A], "rejected_response": "bad"},
        {"instruction": "q", "input": "", "chosen": "good", "rejected": "bad"},
        {"instruction": "q", "output": "other", "chosen": "good", "rejected": "bad"},
        {"question": "q", "chosen": "good", "rejected": "bad"},
        {"query": "q", "response": "good", "rejected_response": "bad"},
        {"input": "q", "chosen": "good", "rejected": "bad"},
        {"chosen_messages": [Q, A], "rejected_messages": [Q, BAD]},
        {"prompt": "q", "response_chosen": "good", "response_rejected": "bad"},
        {"prompt": "q", "chosen_response": "good", "rejected_response": "bad"},
        {"prompt": "q", "better": "good", "worse": "bad"},
        {"prompt": "q", "preferred": "good", "dispreferred": "bad"},
        {"prompt": "q", "pos_resp": "good", "neg_resp": "bad"},
        {"input": {"messages": [Q], "tools": []}, "preferred_output": [A], "non_preferred_output": [BAD]},
        {"prompt": "q", "chosen": "good", "rejected": "bad", "label": 0},
        {"prompt": "\n\nHuman: q\n\nAssistant:", "chosen": "good", "rejected": "bad"},
        {"chosen": "\n\nHuman: q\n\nAssistant: good", "rejected": "\n\nHuman: q\n\nAssistant: bad"},
        {"Prompt": "q", "Chosen": "good", "Rejected": "bad"},
        {"instruction": "q", "output": ["good", "bad"]},
        {"instruction": "q", "completions": [{"response": "bad", "overall_score": 2}, {"response": "good", "overall_score": 8.5}]},
        {"question": "q", "answers": [{"text": "bad", "pm_score": 1}, {"text": "good", "pm_score": 5}]},
        {"question": "q", "answers": [{"text": "bad", "rank": 1}, {"text": "good", "rank": 0}]},
        {"question": "q", "answers": {"text": ["bad", "good"], "score": [3, 40]}},
        {"question": "q", "answers": ["bad", "good"], "scores": [0.1, 0.7]},
        {"question": "q", "answers": ["bad", "good"], "ranks": [2, 1]},
        {"question": "q", "answers": [{"text": "bad", "score": 9, "deleted": True}, {"text": "good", "score": 1}]},
    ],
)  # fmt: skip
def test_preferences_give_the_better_answer(record):
    assert said(record) == LEARNED
    assert "q" in said({**record, "system": "S"}) and said({**record, "system": "S"}) == SYSTEM


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "q", "rejected": "bad"},
        {"conversations": [HUMAN], "rejected": {"from": "gpt", "value": "bad"}},
    ],
)
def test_where_nobody_says_which_answer_is_better_none_is_learned(record):
    assert said(record).startswith("no reply: there is no reply")


TWO = {"prompt": "q", "response_0": "bad", "response_1": "good"}
BATTLE = {"conversation_a": [Q, BAD], "conversation_b": [Q, A]}


@pytest.mark.parametrize(
    "record",
    [
        {**TWO, "better_response_id": 1, "safer_response_id": 0},
        {**TWO, "better_response_id": 1.0, "is_response_0_safe": False, "is_response_1_safe": True},
        {**TWO, "safer_response_id": "1"},
        {**TWO, "chosen_id": 1, "label": 0},
        {**TWO, "chosen": "response_1"},
        {**TWO, "score_0": 0.2, "score_1": 0.8},
        {**TWO, "score_0": "9", "score_1": "10"},
        {**TWO, "rank_0": 2, "rank_1": 1},
        {"Prompt": "q", "Response 0": "bad", "Response 1": "good", "Better Response ID": 1},
        {"question": "q", "answer_0": "bad", "answer_1": "good", "preferred": 1},
        {"instruction": "q", "input": "", "output_1": "bad", "output_2": "good", "preference": 2},
        {"prompt": "q", "better": "B", "response_a": "bad", "response_b": "good"},
        {"prompt": "q", "response_a": "bad", "response_b": "good", "winner": "model_b"},
        {"prompt": "q", "response_a": "bad", "response_b": "good", "winner_model_a": 0, "winner_model_b": 1, "winner_tie": 0},
        {**BATTLE, "winner": "model_b", "tstamp": 1.5},
        {"prompt": "q", "responses": ["bad", "good"], "best_response_index": 1},
        {"question": "q", "answers": ["bad", "good"], "scores": ["9", "10"]},
        {"question": "q", "answers": [{"Text": "bad", "Score": "9"}, {"Text": "good", "Score": "10"}]},
        {"question": "q", "completions": [{"response": "bad", "fine-grained_score": 2}, {"response": "good", "fine-grained_score": 4.5}]},
        {"chosen": "Human: q\nAssistant: good", "rejected": "Human: q\nAssistant: bad"},
    ],
)  # fmt: skip
def test_of_numbered_replies_the_one_that_is_named_is_learned(record):
    assert said(record) == LEARNED


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (TWO, "nothing says which is better: response_0, response_1"),
        ({**TWO, "better_response_id": 2}, "nothing says which is better"),
        ({**TWO, "winner": "tie"}, "nothing says which is better"),
        ({**TWO, "score_0": 1, "score_1": 1}, "nothing says which is better"),
        ({**TWO, "label": 1}, "nothing says which is better"),
        ({**TWO, "overall_preference": 1}, "nothing says which is better"),  # of -3 to 3
        ({**BATTLE, "winner": "tie (bothbad)"}, "nothing says which is better: conversation_a, conversation_b"),
        ({"prompt": "q", "responses": ["a", "b"], "best_response_id": 7}, "best_response_id is 7, which names none of the 2"),
        ({"prompt": "q", "responses": ["a", "b"], "winner": "tie"}, "winner is 'tie', which names none"),
    ],
)  # fmt: skip
def test_of_replies_that_nobody_compares_none_is_learned(record, why):
    assert said(record).startswith(f"no choice: {why}")


def test_the_better_of_two_is_refused_where_it_is_said_to_be_bad():
    record = {**TWO, "better_response_id": 1, "is_response_0_safe": True, "is_response_1_safe": False}
    assert said(record) == "marked as bad: is_response_1_safe is false, so it is marked as bad"


def test_numbered_replies_are_read_from_parquet_and_csv(tmp_path):
    pq.write_table(
        pa.Table.from_pylist([{**TWO, "better_response_id": 1, "is_response_1_safe": True}]), tmp_path / "a.parquet"
    )
    write(tmp_path / "b.csv", "prompt,response_0,response_1,better_response_id\nq,bad,good,1\nq,bad,good,0\n")
    documents, broken = read(tmp_path / "a.parquet", tmp_path / "b.csv")
    assert [d.messages for d in documents] == [[Q, A], [Q, A], [Q, BAD]] and not broken


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"prompt": "\n\nHuman: q\n\nAssistant:", "completion": "good"}, LEARNED),
        ({"messages": [Q, {"role": "assistant", "content": ""}], "response": "good"}, LEARNED),
        ({"messages": [], "prompt": "q", "response": "good"}, LEARNED),
        ({"messages": [], "text": "T"}, "T"),
        ({"conversations": "[]", "text": "T"}, "T"),
        ({"history": [], "response": "good"}, "no reply: the assistant speaks first, and nobody asks it anything"),
        ({"messages": [{"role": "system", "content": "S"}], "prompt": "q", "response": "good"}, SYSTEM),
        ({"prompt": {"role": "prompter", "text": "q", "replies": [
            {"role": "assistant", "text": "bad", "rank": "1"}, {"role": "assistant", "text": "good", "rank": "0"}]}}, LEARNED),
    ],
)  # fmt: skip
def test_an_empty_place_for_the_reply_takes_the_reply(record, expected):
    assert said(record) == expected


def test_each_instance_is_learned():
    record = {"instruction": "i", "instances": [{"input": "x", "output": "y"}, {"input": "", "output": "z"}], "id": "1"}
    assert contents_of(record) == [
        [{"role": "user", "content": "i\nx"}, {"role": "assistant", "content": "y"}],
        [{"role": "user", "content": "i"}, {"role": "assistant", "content": "z"}],
    ]


@pytest.mark.parametrize(
    ("record", "what"),
    [
        (None, "a record must be an object, not null"),
        (5, "a record must be an object, not a number"),
        ([1], "a record must be an object, not a list"),
        ("x", "a record must be an object, not a string"),
        (True, "a record must be an object, not true"),
        ({"messages": {}}, "messages must be a list of messages, not an object"),
        ({"messages": [None]}, "messages[1] must be a message, not null"),
        ({"messages": [{"x": 1}]}, "messages[1] needs role and content; its keys: x"),
        ({"messages": [{"role": None, "content": "q"}, A]}, "messages[1] has no role"),
        ({"messages": [{"role": {"a": 1}, "content": "q"}, A]}, "messages[1].role must be a string, not an object"),
        ({"text": [None]}, "text holds null where a text belongs"),
        ({"text": b"x"}, "text must be a string, not binary data"),
    ],
)
def test_what_is_wrong_is_named_as_json_names_it(record, what):
    assert said(record) == f"wrong type: {what}"
    assert not any(name in contents_of(record)[0].zh for name in ("NoneType", "int", "dict", "list", "bool", "bytes"))


PAIR = {"prompt": "q", "completion": "good"}
OFF = [False, 0, 0.0, "false", "False", " FALSE ", "0", "no", "否"]
ON = [True, 1, 1.0, "true", "1", None, NAN, ""]


@pytest.mark.parametrize("value", OFF)
@pytest.mark.parametrize(
    "shape", [PAIR, {"messages": [Q, A]}, {"conversations": [HUMAN, GPT]}, {"instruction": "q", "output": "good"}]
)
@pytest.mark.parametrize(
    ("key", "kind"),
    [("label", "marked as bad"), ("kto_tag", "marked as bad"), ("is_safe", "marked as bad"), ("chosen", "marked as bad"),
     ("weight", "not to be learned"), ("train", "not to be learned"), ("Train ", "not to be learned")],
)  # fmt: skip
def test_what_is_marked_is_not_learned(shape, key, kind, value):
    assert said({**shape, key: value}) == (
        f"{kind}: {key.strip().lower()} is {'false' if value is False else repr(value)}, so it is {kind}"
    )


@pytest.mark.parametrize("value", ON)
@pytest.mark.parametrize("key", ["label", "kto_tag", "is_safe", "weight", "train"])
def test_what_is_marked_as_good_or_not_at_all_is_learned(key, value):
    assert said({**PAIR, key: value}) == LEARNED
    assert said({"text": "T", key: value}) == "T"


@pytest.mark.parametrize(
    ("marks", "kind"),
    [
        ({"label": -1}, "marked as bad"), ({"label": "bad"}, "marked as bad"), ({"label": "Undesirable"}, "marked as bad"),
        ({"rejected": True}, "marked as bad"), ({"deleted": "true"}, "marked as bad"), ({"toxic": 1}, "marked as bad"),
        ({"feedback": "thumbs down"}, "marked as bad"), ({"rating": "👎"}, "marked as bad"), ({"quality": "差"}, "marked as bad"),
        ({"skip": True}, "not to be learned"), ({"exclude": 1}, "not to be learned"), ({"keep": False}, "not to be learned"),
        ({"weight": 0.5}, "wrong type"), ({"weight": -1}, "wrong type"), ({"weight": [0, 1]}, "wrong type"),
        ({"images": ["a.png"]}, "wrong type"), ({"video": "a.mp4"}, "wrong type"),
        ({"tools": [{"type": "function"}]}, "tool calls"), ({"functions": '[{"name": "f"}]'}, "tool calls"),
    ],
)  # fmt: skip
def test_marks_are_obeyed_or_refused(marks, kind):
    assert said({**PAIR, **marks}).startswith(f"{kind}: {next(iter(marks))}")


@pytest.mark.parametrize(
    "more",
    [
        {"score": -3}, {"rating": 0}, {"reward": -1.5}, {"quality": 2}, {"label": 3}, {"label": "science"}, {"label": "good"},
        {"rejected": False}, {"deleted": False}, {"toxic": 0.02}, {"images": []}, {"images": None}, {"tools": "[]"},
        {"tools": []}, {"tools": NAN}, {"functions": None}, {"status": "done"}, {"source": "bad"}, {"loss": 0},
    ],
)  # fmt: skip
def test_what_only_measures_or_describes_has_no_effect(more):
    assert said({**PAIR, **more}) == LEARNED


def test_of_a_text_only_zero_and_false_say_that_it_is_not_to_be_learned():
    assert said({"text": "T", "label": 0, "toxic": 1, "rating": "bad", "images": ["a"]}) == "T"
    assert said({"text": "2 kg of flour", "weight": 2.0}) == "2 kg of flour"
    assert said({"text": "T", "weight": 0}).startswith("not to be learned: weight is 0")
    assert said({"text": "T", "skip": "true"}).startswith("not to be learned: skip is 'true'")


@pytest.mark.parametrize(
    ("record", "reply"),
    [
        ({"instruction": "Is it spam?", "output": "no", "label": "no"}, "no"),
        ({"instruction": "0 or 1?", "output": "0", "label": 0}, "0"),
        ({"prompt": "Is water dry?", "chosen": "No", "rejected": "Yes"}, "No"),
        ({"query": "Is water dry?", "response": "No", "rejected": "Yes"}, "No"),
    ],
)
def test_a_class_or_the_other_answer_is_no_mark(record, reply):
    assert said(record).endswith(f"as: {reply}")


def test_the_marks_of_a_record_hold_for_each_of_its_languages():
    record = {"en_instruction": "i", "en_output": "o", "zh_instruction": "i", "zh_output": "o", "label": False}
    assert [content.kind for content in contents_of(record)] == ["marked as bad"] * 2


@pytest.mark.parametrize(
    "mark",
    [{"weight": 0}, {"weight": "0"}, {"weight": 0.0}, {"train": False}, {"loss_weight": 0}, {"loss": False}, {"masked": True},
     {"label": False}, {"deleted": True}],
)  # fmt: skip
@pytest.mark.parametrize("names", [("messages", "role", "content"), ("conversations", "from", "value")])
def test_a_marked_message_is_read_and_not_learned(names, mark):
    field, role, content = names
    talk = [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    turns = [{role: who, content: text} for who, text in talk]
    turns[1] |= mark
    turns[3] |= {"weight": 1, "train": True, "loss": True, "label": True}
    assert said({field: turns}) == "us: a | un: b | us: c | as: d"
    assert said({field: turns[:2]}).startswith("not to be learned: ")


def test_marks_on_what_the_user_says_leave_the_reply_as_it_is():
    assert (
        said({"messages": [{**Q, "weight": 0, "loss_weight": 0.0, "tool_calls": None}, {**A, "loss_weight": 1.0}]})
        == LEARNED
    )


@pytest.mark.parametrize(
    ("mark", "what"),
    [
        ({"weight": 0.5}, "messages[2].weight is 0.5; only 0 (do not learn) and 1 (learn)"),
        ({"train": "half"}, "messages[2].train is 'half'"),
        (
            {"train_detail": [{"begin_offset": 0, "end_offset": 1, "train": False}]},
            "messages[2].train_detail marks parts",
        ),
    ],
)
def test_marks_that_cannot_be_obeyed_refuse_the_record(mark, what):
    assert said({"messages": [Q, {**A, **mark}]}).startswith(f"wrong type: {what}")


CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]}


@pytest.mark.parametrize(
    ("record", "place"),
    [
        ({"messages": [Q, CALL, {"role": "tool", "content": "1"}, A]}, "messages[2].tool_calls"),
        ({"messages": [Q, {**A, "function_call": {"name": "f"}}]}, "messages[2].function_call"),
        ({"messages": [Q, {"role": "tool", "content": "1"}, A]}, "messages[2], tool"),
        ({"messages": [Q, {"role": "function", "content": "1"}, A]}, "messages[2], function"),
        ({"conversations": [HUMAN, {"from": "function_call", "value": "{}"}, {"from": "observation", "value": "1"}, GPT]},
         "conversations[2], function_call"),
        ({"conversations": [HUMAN, GPT], "tools": '[{"name": "f"}]'}, "tools"),
        ({"turns": [["user", "q"], ["tool", "1"], ["assistant", "good"]]}, "tool"),
        ({"input": {"messages": [Q], "tools": [{"type": "function"}]}, "preferred_output": [A]}, "input.tools"),
    ],
)  # fmt: skip
def test_tool_calls_are_said_to_be_unread(record, place):
    assert said(record) == f"tool calls: {place}: tool calls are not read yet"


@pytest.mark.parametrize(
    ("user", "assistant"),
    [
        ("Human", "AI"), ("USER", "CHATBOT"), (" user ", "Assistant"), ("用户", "助手"), ("prompter", "gpt"), ("问", "答"),
        ("customer", "agent"), ("human", "bing"), ("instruction", "output"),
    ],
)  # fmt: skip
def test_other_names_of_roles(user, assistant):
    assert said({"messages": [{"role": user, "content": "q"}, {"role": assistant, "content": "good"}]}) == LEARNED
    assert said({"conversations": [{"from": user, "value": "q"}, {"from": assistant, "value": "good"}]}) == LEARNED


@pytest.mark.parametrize("role", ["system", "developer", "Developer", "系统"])
def test_the_developer_is_the_system(role):
    assert said({"messages": [{"role": role, "content": "S"}, Q, A]}) == SYSTEM


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"query": "q", "response": "good", "history": [["x", "y"]]}, "us: x | as: y | us: q | as: good"),
        ({"query": "q", "response": "good", "history": [], "system": None}, LEARNED),
        ({"query": "q", "response": "good", "history": "[]"}, LEARNED),
        ({"query": "q", "response": "good", "history": '[["x", "y"]]'}, "us: x | as: y | us: q | as: good"),
        ({"query": "q", "response": "good", "history": [{"role": "user", "content": "x"}, {**A, "content": "y"}]}, "us: x | as: y | us: q | as: good"),
        ({"conversation": [Q, A]}, LEARNED),
        ({"conversation": [{"human": "q", "assistant": "good"}, {"human": "x", "assistant": "y"}]}, f"{LEARNED} | us: x | as: y"),
        ({"conversation": [{"system": "S", "input": "q", "output": "good"}, {"input": "x", "output": "y"}]}, f"{SYSTEM} | us: x | as: y"),
        ({"conversations": ["q", "good", "x", "y"]}, f"{LEARNED} | us: x | as: y"),
        ({"q": "q", "a": "good"}, LEARNED),
        ({"Q": "q", "A": "good"}, LEARNED),
        ({"input": "q", "output": "good"}, LEARNED),
        ({"问": "q", "答": "good"}, LEARNED),
        ({"问题": "q", "答案": "good"}, LEARNED),
        ({"指令": "q", "输入": "x", "输出": "good"}, "us: q\nx | as: good"),
        ({"human": "q", "assistant": "good"}, LEARNED),
        ({"user": "q", "assistant": "good"}, LEARNED),
        ({"problem": "q", "solution": "good"}, LEARNED),
        ({"inputs": "q", "targets": "good"}, LEARNED),
        ({"Context": "q", "Response": "good"}, LEARNED),
        ({"system_prompt": "S", "question": "q", "response": "good"}, SYSTEM),
        ({"system": "S", "messages": [{"role": "system", "content": "S"}, Q, A]}, SYSTEM),
        ({"messages": [Q], "completion": "good"}, LEARNED),
        ({"prompt": "q", "messages": [Q, A]}, LEARNED),
        ({"text": "T", "prompt": "q", "completion": "good"}, LEARNED),
        ({"text": "T", "prompt": "q"}, "T"),
        ({"text": "T", "prompt": "", "completion": ""}, "T"),
        ({"text": "T", "prompt": NAN, "completion": NAN, "messages": NAN}, "T"),
        ({"prompt": "q", "completion": "", "response": "good"}, LEARNED),
        ({"prompt": "q", "response": "good", "chosen": "", "rejected": ""}, LEARNED),
        ({"question": "q", "context": "C", "answers": {"text": ["good"], "answer_start": [3]}}, "us: q\nC | as: good"),
        ({"question": "q", "a": "first", "b": "second", "answer": "b"}, "us: q | as: b"),
        ({"messages": json.dumps([Q, A])}, LEARNED),
        ({" Question ": "q", "ANSWER": "good", "system": NAN}, LEARNED),
        ({"Messages": [{"Role": "user", "Content": "q"}, {"Role": "assistant", "Content": "good"}]}, LEARNED),
        ({"messages": [{**Q, "value": None, "from": None}, {"role": None, "content": None, **GPT}]}, LEARNED),
        ({"contents": [{"role": "user", "parts": [{"text": "q"}]}, {"role": "model", "parts": [{"text": "good"}]}],
          "systemInstruction": {"role": "system", "parts": [{"text": "S"}]}}, SYSTEM),
        ({"messages": [{"role": "user", "content": ["one", "two"]}, A]}, "us: one\ntwo | as: good"),
        ({"content": ["one", "two"]}, "one\ntwo"),
        ({"text": ["one", "two"]}, "one\ntwo"),
        ({"title": "T", "content": ["one", "two"]}, "T\none\ntwo"),
        ({"title": "T", "content": "one"}, "one"),
        ({"正文": "one"}, "one"),
    ],
)  # fmt: skip
def test_shapes_that_go_by_other_names(record, expected):
    assert said(record) == expected


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([["user", "q"], ["assistant", "good"]], LEARNED),
        ([["USER", "q"], ["SYSTEM", "good"]], LEARNED),  # a machine that answers
        ([["assistant", "hi"], ["user", "q"], ["assistant", "good"]], f"un: hi | {LEARNED}"),
        ([["Ann", "q"], ["Tom", "good"]], LEARNED),
        ([["A", "q"], ["B", "good"]], LEARNED),
        ([["Bot", "hi"], ["Ann", "q"], ["Bot", "good"]], f"un: hi | {LEARNED}"),
        ([["system", "S"], ["user", "q"], ["assistant", "good"]], SYSTEM),
        ([["Shop", "hi"], ["customer", "q"], ["Shop", "good"]], f"un: hi | {LEARNED}"),
    ],
)
def test_who_is_called_the_assistant_is_not_taken_for_the_user(turns, expected):
    assert said({"turns": turns}) == expected
    assert said({"dialogue": [{"speaker": who, "text": text} for who, text in turns]}) == expected


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([Q, A, Q], f"{LEARNED} | us: q"),
        ([Q, A, Q, {**A, "content": " "}], f"{LEARNED} | us: q"),
        ([Q, Q, A, A], "us: q\nq | as: good\ngood"),
        ([{"role": "system", "content": " "}, Q, A], LEARNED),
        ([A, Q, A], f"un: good | {LEARNED}"),
        ([{"role": "system", "content": "S"}, A], "sy: S | as: good"),
        ([Q], "no reply: there is no reply, only user"),
        ([{"role": "system", "content": "S"}], "no reply: there is no reply, only system"),
        ([Q, {**A, "content": ""}], "no reply: the assistant's reply is empty"),
        ([A], "no reply: the assistant speaks first, and nobody asks it anything"),
        ([A, Q], "no reply: the assistant speaks first, and nobody asks it anything"),
    ],
)
def test_conversations_that_are_not_questions_and_answers_by_turns(messages, expected):
    assert said({"messages": messages}) == expected


KTO = [
    PAIR | {"label": True},
    {"prompt": "q", "completion": "bad", "label": False},
    {"prompt": "x", "completion": "y", "label": None},
]
WEIGHTS = [PAIR | {"weight": 1.0}, {"prompt": "q", "completion": "bad", "weight": 0.0}]
CHOSEN = [{"Prompt": "q", "Response Chosen": "good", "response_rejected": "bad"}]
QUERY = [
    {"query": "q", "response": "good", "rejected_response": "bad", "train": True},
    {"query": "q", "response": "bad", "train": False},
]


@pytest.mark.parametrize("records", [KTO, WEIGHTS, CHOSEN, QUERY])
def test_parquet_and_csv_say_what_json_lines_say(tmp_path, records):
    lines(tmp_path / "a.jsonl", records)
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "b.parquet")
    names = list(dict.fromkeys(name for record in records for name in record))
    out = io.StringIO()
    table = csv.DictWriter(out, names)
    table.writeheader()
    table.writerows(records)
    write(tmp_path / "c.csv", out.getvalue())
    found = [read(tmp_path / name) for name in ("a.jsonl", "b.parquet", "c.csv")]
    assert found[0][0][0].messages == [Q, A] and all(d.messages[-1]["content"] != "bad" for d in found[0][0])
    for documents, broken in found[1:]:
        assert [d.messages for d in documents] == [d.messages for d in found[0][0]]
        assert [b.problem.kind for b in broken] == [b.problem.kind for b in found[0][1]]


def test_marked_messages_in_parquet(tmp_path):
    records = [{"messages": [Q, {**BAD, "weight": 0}, Q, {**A, "weight": 1}]}, {"messages": [Q, A]}]
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    unlearned = {"role": UNLEARNED, "content": "bad"}
    assert [d.messages for d in read(tmp_path / "a.parquet")[0]] == [[Q, unlearned, Q, A], [Q, A]]


def test_only_columns_that_matter_are_read():
    assert columns_of(["text", "embedding", "Label", "id"]) == ["text", "Label"]
    assert columns_of(["en_instruction", "en_output", "vector"]) == ["en_instruction", "en_output"]
    assert columns_of(["prompt", "chosen", "rejected_messages", "tools", "uid"]) == [
        "prompt",
        "chosen",
        "rejected_messages",
        "tools",
    ]
    assert columns_of(["label", "vector"]) is None  # then the error names them all


# -- OpenAssistant ----------------------------------------------------------------------------------------------------


def oasst(id: str, parent: str | None, text: str, role: str, **more) -> dict:
    return {"message_id": id, "parent_id": parent, "message_tree_id": "1", "text": text, "role": role, "lang": "en",
            "rank": None, "deleted": False, "review_result": True, "tree_state": "ready_for_export"} | more  # fmt: skip


TREE = [
    oasst("1", None, "q", "prompter"),
    oasst("5", "1", "deleted", "assistant", rank=0, deleted=True),
    oasst("6", "1", "spam", "assistant", rank=0, review_result=False),
    oasst("2", "1", "second best", "assistant", rank=1),
    oasst("3", "1", "good", "assistant", rank=0),
    oasst("4", "1", "not ranked", "assistant"),
    oasst("7", "3", "x & <b>y</b> &lt;", "prompter"),
    oasst("8", "7", "z", "assistant", rank=0.0),
    oasst("9", "8", "unanswered", "prompter"),
    oasst("10", None, "nobody answers", "prompter"),
    oasst("11", None, "aborted", "prompter", tree_state="aborted_low_grade"),
    oasst("12", "11", "aborted too", "assistant", tree_state="aborted_low_grade"),
    oasst("13", "lost", "answers what is not there", "assistant"),
    oasst("14", "13", "more", "prompter"),
    oasst("15", "14", "yes", "assistant"),
]
BEST = [Q, A, {"role": "user", "content": "x & <b>y</b> &lt;"}, {"role": "assistant", "content": "z"}]
REST = [{"role": "user", "content": "more"}, {"role": "assistant", "content": "yes"}]


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet", "csv"])
def test_a_tree_of_ranked_messages_gives_its_best_dialogue(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    if kind == "jsonl":
        lines(path, TREE)
    elif kind == "json":
        write(path, json.dumps(TREE))
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist([row | {"emojis": {"name": ["+1"]}} for row in TREE]), path)
    else:
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, list(TREE[0]))
            table.writeheader()
            table.writerows(TREE)
    documents, broken = read(path)
    assert [d.messages for d in documents] == [BEST, REST] and not broken


def nested(id: str) -> dict:
    node = next(dict(message) for message in TREE if message["message_id"] == id)
    del node["parent_id"]
    return node | {"replies": [nested(m["message_id"]) for m in TREE if m["parent_id"] == id]}


def test_nested_trees(tmp_path):
    expected = "us: q | as: good | us: x & <b>y</b> &lt; | as: z | us: unanswered"
    assert said({"message_tree_id": "1", "tree_state": "ready_for_export", "prompt": nested("1")}) == expected
    assert said(nested("1")) == expected
    assert said({"message_tree_id": "1", "tree_state": "aborted_low_grade", "prompt": nested("1")}).startswith(
        "marked as bad"
    )
    assert said({"prompt": nested("1") | {"deleted": True}}).startswith("marked as bad")
    assert said({"prompt": nested("10")}) == "no reply: there is no reply, only user"
    assert read(lines(tmp_path / "a.jsonl", [{"prompt": nested("1")}]))[0][0].messages[:2] == [Q, A]


def test_a_table_of_posts_is_not_cut(tmp_path, monkeypatch):
    monkeypatch.setattr("yaya.prepare.chunks.CHUNK_BYTES", 1000)
    texts = [{"text": f"{n} " * 50} for n in range(100)]
    for name, table in (
        ("posts", [row | {"text": t["text"]} for row, t in zip(TREE * 10, texts, strict=False)]),
        ("texts", texts),
    ):
        pq.write_table(pa.Table.from_pylist(table), tmp_path / f"{name}.parquet", row_group_size=10, compression=None)
    parts = {
        name: len(list(chunks.parts(files_of([str(tmp_path / f"{name}.parquet")])[0][0])))
        for name in ("posts", "texts")
    }
    assert parts["posts"] == 1 and parts["texts"] > 3


# -- accounts, messages -------------------------------------------------------------------------------------------------


def test_what_is_left_out_is_counted_and_said(tmp_path, capsys, monkeypatch):
    records = [
        *KTO,
        PAIR | {"weight": 0},
        {"messages": [Q]},
        {"messages": [Q, CALL]},
        {"messages": [Q, CALL]},
        {"text": 5},
    ]
    source = lines(tmp_path / "a.jsonl", records)
    draft = prepare(tmp_path / "en", source)
    dropped = {"reading: marked as bad": 1, "reading: not to be learned": 1, "reading: no reply": 1}
    assert balanced(draft) == {"in": 8, "kept": 2, "dropped": dropped, "quarantined": 3, "merged": 0}
    assert draft.metrics["set_aside"] == {"tool calls": 2, "wrong type": 1}
    said = capsys.readouterr().err
    assert (
        "marked as bad in the data (1)" in said
        and "without a reply (1)" in said
        and "tool calls, not supported yet (2)" in said
    )
    found = {row["where"]: row["reason"] for row in rows(draft, "dropped")}
    assert found["line 2"] == "reading: marked as bad" and found["line 6"].startswith(
        "quarantined: tool calls: messages[2]"
    )
    monkeypatch.setenv("YAYA_LANG", "zh")
    prepare(tmp_path / "zh", source)
    assert (
        "未采用：数据里标为不好（1）；没有回复（1）；数据里标明不用于训练（1）；暂不支持的工具调用（2）"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("record", "en", "zh"),
    [
        ({"messages": [Q]}, "a.jsonl:1: there is no reply, only user. Add the assistant's replies.", "没有助手的回复"),
        ({"messages": [{"role": "system", "content": "S"}]}, "there is no reply, only system", "没有助手的回复"),
        ({"prompt": "q"}, "there is no reply; its key could be output, response", "没有回复"),
        ({"question": "q", "answer": ""}, "the assistant's reply is empty", "助手的回复是空的"),
        (PAIR | {"label": False}, "label is false, so it is marked as bad", "标为不好"),
        (PAIR | {"train": False}, "train is false, so it is not to be learned", "标为不学"),
        ({"messages": [Q, CALL]}, "tool calls are not read yet", "暂时还不支持工具调用"),
    ],
)
def test_a_source_without_anything_to_learn_says_why(tmp_path, record, en, zh):
    good = lines(tmp_path / "good.jsonl", [PAIR])
    many = lines(tmp_path / "many.jsonl", [{"text": 5}] * 20 + [PAIR])  # its flaws do not hide those of the next source
    with pytest.raises(UserError) as caught:
        prepare(tmp_path / "out", good, many, lines(tmp_path / "a.jsonl", [record] * 3))
    assert "a.jsonl" in caught.value.en and en in caught.value.en and zh in caught.value.zh
    assert "empty: there is no text" not in caught.value.en


def test_a_marked_record_at_the_beginning_does_not_hide_the_shape_of_the_others(tmp_path):
    source = lines(tmp_path / "a.jsonl", [PAIR | {"label": False}, {"other": 1}, PAIR])
    documents, broken = read(source)
    assert len(documents) == 1 and [b.problem.kind for b in broken] == ["marked as bad", "unknown shape"]


# -- what is learned in the end --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train(
        iter(["Two plus two? five. Sorry, it is four. Hello.\n", "system\n", "user\n", "assistant\n"] * 50), 400, 1
    )


def test_an_unlearned_reply_is_written_like_any_other_and_counts_nothing(tokenizer):
    messages = [Q, BAD, Q, A]
    ids, roles = render(tokenizer, messages)
    same, marked = render(tokenizer, [Q, {"role": UNLEARNED, "content": "bad"}, Q, A])
    assert same == ids
    differ = np.flatnonzero(np.array(roles) != np.array(marked))
    assert {roles[n] for n in differ} == {ASSISTANT} and {marked[n] for n in differ} == {TEMPLATE}
    assert tokenizer.decode([ids[n] for n in differ[:-1]]) == "bad" and ids[differ[-1]] == tokenizer.turn_end
    blank, _ = render(tokenizer, [Q, {"role": UNLEARNED, "content": "\n bad"}])  # joins the line break of the header
    assert blank == render(tokenizer, [Q, {"role": "assistant", "content": "\n bad"}])[0]


def test_from_the_data_to_the_loss_only_what_is_not_marked_is_learned(tmp_path, tokenizer):
    talk = [{"role": "user", "content": "Two plus two?"}, {"role": "assistant", "content": "five.", "weight": 0},
            {"role": "user", "content": "Sure?"}, {"role": "assistant", "content": "Sorry, it is four."}]  # fmt: skip
    judged = [
        {"prompt": "Greet me.", "completion": "Hello.", "label": True},
        {"prompt": "Greet me.", "completion": "Go away.", "label": False},
    ]
    source = lines(tmp_path / "a.jsonl", [{"messages": talk}, *judged])
    draft = prepare(tmp_path / "out", source, validation_fraction=0)
    encode_split(tokenizer, corpus_files(draft.path, "train"), tmp_path, "train")
    shard = open_shard(tmp_path, "train", "chat", tokenizer.vocab_size)
    batch = DataMixture([(PackedDataset(shard, 512, 0, [0.0, 0.0, 0.0, 1.0, 0.0]), 1.0)]).batch(0, 1)
    read = tokenizer.decode(batch.input_ids[0].tolist())
    assert "five." in read and "Go away." not in read
    learned = batch.labels[batch.weights > 0].tolist()
    ends = [n for n, index in enumerate(learned) if index == tokenizer.turn_end]
    replies = {tokenizer.decode(learned[: ends[0]]), tokenizer.decode(learned[ends[0] + 1 : ends[1]])}
    assert replies == {"Hello.", "Sorry, it is four."} and ends[1:] == [len(learned) - 1]


def test_a_long_conversation_is_cut_after_an_unlearned_reply_too(tmp_path, tokenizer):
    turns = [Q, {"role": UNLEARNED, "content": "five."}] * 20 + [{"role": "user", "content": "Two plus two?"}, A]
    row = {"id": "", "kind": "chat", "text": None, "messages": turns, "source": "", "augmented": ""}
    pq.write_table(pa.Table.from_pylist([row], DOCUMENTS), tmp_path / "train-00000.parquet")
    encode_split(tokenizer, corpus_files(tmp_path, "train"), tmp_path, "train")
    shard = open_shard(tmp_path, "train", "chat", tokenizer.vocab_size)
    rows = PackedDataset(shard, 64, 0, [0.0, 0.0, 0.0, 1.0, 0.0])
    batch = DataMixture([(rows, 1.0)]).batch(0, rows.per_epoch())
    assert rows.per_epoch() == 1 and "Two plus two?" in tokenizer.decode(batch.input_ids[0].tolist())
    learned = batch.labels[batch.weights > 0].tolist()
    assert tokenizer.decode(learned[:-1]) == "good" and learned[-1] == tokenizer.turn_end


def test_a_reply_of_several_lines_is_joined_and_of_two_texts_the_first_is_the_better():
    assert said({"instruction": "q", "output": ["one,", "two,", "three."]}) == "us: q | as: one,\ntwo,\nthree."
    assert said({"instruction": "q", "output": ["good", "bad"]}) == "us: q | as: good"
    assert said({"question": "q", "answers": ["one", "also one", "uno"]}) == "us: q | as: one"


def test_threads_of_unknown_authors_and_likes_from_a_table(tmp_path):
    rows = [
        {"id": "1", "parent_id": "t3_0", "body": "q", "score": "1"},
        {"id": "2", "parent_id": "t1_1", "body": "bad", "score": "9"},
        {"id": "3", "parent_id": "t1_1", "body": "good", "score": "10"},
    ]
    assert [d.messages for d in read(lines(tmp_path / "a.jsonl", rows))[0]] == [[Q, A]]
    gone = [{**row, "author": "[deleted]"} for row in rows]
    assert [d.messages for d in read(lines(tmp_path / "b.jsonl", gone))[0]] == [[Q, A]]
    tweets = [
        {"id": 1, "text": "q", "user": "u", "in_reply_to_status_id": None, "favorite_count": None},
        {"id": 2, "text": "good", "user": "v", "in_reply_to_status_id": 1, "favorite_count": "3.0"},
    ]
    assert [d.messages for d in read(lines(tmp_path / "c.jsonl", tweets))[0]] == [[Q, A]]


@pytest.mark.parametrize("odd", [{"other": 1}, {"body": "x", "parent_id": "t1_0", "id": "1"}])
def test_what_a_part_of_a_file_begins_with_says_nothing_about_the_file(tmp_path, monkeypatch, odd):
    monkeypatch.setattr("yaya.prepare.chunks.CHUNK_BYTES", 1000)
    records = [odd | {"pad": "p" * 20} if n % 2 else {"text": f"text {n:03} is one of many texts"} for n in range(200)]
    (file, _) = files_of([str(lines(tmp_path / "a.jsonl", records))])[0]
    parts = list(chunks.parts(file))
    assert any((part.first - 1) % 2 for part in parts[1:])
    broken: list[Broken] = []
    events = ReadEvents(broken.append, lambda *remark: None, lambda *left_out: None)
    found = [document for part in parts for document in read_file(part, events)]
    assert len(found) == sum("text" in record for record in records)
    assert {b.problem.kind for b in broken} == {"unknown shape"} and len(broken) == len(records) - len(found)
