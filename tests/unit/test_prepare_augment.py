"""Augmented copies: marked, in training only, answers untouched, the same at every run."""

import json
import random

import pyarrow.parquet as pq
import pytest
from tests.conftest import context

from yaya.core.artifact import Draft
from yaya.core.messages import UserError
from yaya.prepare import augment, corpus
from yaya.prepare.augment import AugmentConfig, split_words
from yaya.prepare.document import Document
from yaya.prepare.settings import PrepareConfig, resolved

EN = "The cat sat on the mat. It was a quiet evening. Rain fell on the roof. Nobody came to the door."
ZH = "猫坐在垫子上。那是一个安静的晚上。雨落在屋顶上。没有人来敲门。"
LEXICON = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE LexicalResource SYSTEM "http://globalwordnet.github.io/schemas/WN-LMF-1.0.dtd">
<LexicalResource xmlns:dc="http://purl.org/dc/elements/1.1/">
<Lexicon id="{id}" label="test" language="{language}" email="nobody@example.org" license="CC0" version="1">{words}
<Synset id="{id}-s" ili="" partOfSpeech="a"/></Lexicon></LexicalResource>"""
WORD = '<LexicalEntry id="{id}-w{n}"><Lemma writtenForm="{form}" partOfSpeech="a"/><Sense id="{id}-n{n}" synset="{id}-s"/></LexicalEntry>'


@pytest.fixture
def word_nets(tmp_path, monkeypatch):
    wn = pytest.importorskip("wn")
    monkeypatch.setattr(wn.config, "data_directory", tmp_path / "wn")
    for id, language, forms in (("en-test", "en", ("quiet", "calm", "still")), ("zh-test", "zh", ("安静", "宁静"))):
        words = "".join(WORD.format(id=id, n=n, form=form) for n, form in enumerate(forms))
        path = tmp_path / f"{id}.xml"
        path.write_text(LEXICON.format(id=id, language=language, words=words), "utf-8")
        wn.add(path, progress_handler=None)
    augment.word_net.cache_clear()
    augment.synonyms_of.cache_clear()
    yield ["en-test:1", "zh-test:1"]
    augment.word_net.cache_clear()
    augment.synonyms_of.cache_clear()


def run(method: str, text: str, seed: int = 0, **values) -> str:
    config = AugmentConfig(copies=1, methods=[method], **({"share": 0.2} | values))
    return augment.METHOD_FUNCTIONS[method](text, config, random.Random(seed))


@pytest.mark.parametrize("text", [EN, ZH])
def test_reordering_moves_sentences_and_loses_nothing(text):
    outs = {run("reorder", text, seed) for seed in range(30)} - {text}
    assert outs
    for out in outs:
        assert sorted(out.replace(" ", "")) == sorted(text.replace(" ", ""))
        assert out[:5] == text[:5]  # the first sentence stays


@pytest.mark.parametrize("text", [EN, ZH])
def test_deletion_and_swap_change_a_share_of_the_words(text):
    words = [word for word, is_word in split_words(text) if is_word]
    assert "".join(part for part, _ in split_words(text)) == text
    for seed in range(20):
        left = [word for word, is_word in split_words(run("delete", text, seed)) if is_word]
        assert len(words) - len(left) in range(1, round(0.2 * len(words)) + 2)
        assert sorted(run("swap", text, seed)) == sorted(text)
    assert any(run("swap", text, seed) != text for seed in range(5))


def test_a_very_short_text_loses_no_word():
    assert run("delete", "你好", share=0.1) == "你好"
    assert run("delete", "Hello", share=1.0) == "Hello"


@pytest.mark.parametrize(
    ("question", "ends"), [("三原色是什么？", "三原色是什么？"), ("What is a cloud?", "What is a cloud?")]
)
def test_a_question_gets_another_frame(question, ends):
    for seed in range(10):
        out = run("phrasings", question, seed)
        assert out != question and ends in out
    assert run("phrasings", "请问，今天几号？") == "今天几号？"
    assert run("phrasings", "Could you tell me: what is this?") == "What is this?"
    assert run("phrasings", "Write a poem.") == "Write a poem."


def test_synonyms_come_from_the_word_nets(word_nets):
    assert run("synonyms", "a quiet night", lexicons=word_nets) in ("a calm night", "a still night")
    assert run("synonyms", "Quiet", lexicons=word_nets) in ("Calm", "Still")
    assert run("synonyms", "安静的晚上", lexicons=word_nets) == "宁静的晚上"
    assert run("synonyms", "table", lexicons=word_nets) == "table"


def test_missing_word_nets_say_how_to_get_them(word_nets, monkeypatch):
    monkeypatch.setenv("YAYA_LANG", "en")
    with pytest.raises(UserError, match="python -m wn download nothing:1"):
        augment.check(AugmentConfig(copies=1, methods=["synonyms"], lexicons=["nothing:1"]))


def test_words_in_context_from_a_masked_model(tmp_path):
    transformers = pytest.importorskip("transformers")
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "the",
        "cat",
        "dog",
        "sat",
        "ran",
        "on",
        "猫",
        "狗",
        "坐",
        ".",
    ]
    folder = tmp_path / "bert"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(vocabulary), "utf-8")
    transformers.set_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = transformers.BertForMaskedLM(transformers.BertConfig(vocab_size=len(vocabulary), **sizes))
    model.save_pretrained(folder)
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    outs = {run("masked", "the cat sat on the dog", seed, model=str(folder)) for seed in range(10)}
    assert outs - {"the cat sat on the dog"}
    for out in outs:
        assert len(out.split()) == 6 and set(out.split()) <= set(vocabulary)
    assert outs == {run("masked", "the cat sat on the dog", seed, model=str(folder)) for seed in range(10)}


def test_an_unknown_model_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("YAYA_LANG", "en")
    with pytest.raises(UserError, match="nowhere"):
        augment.check(AugmentConfig(copies=1, methods=["masked"], model=str(tmp_path / "nowhere")))


def test_unknown_methods_are_refused(monkeypatch):
    monkeypatch.setenv("YAYA_LANG", "en")
    with pytest.raises(UserError, match=r"reorder.*got magic"):
        augment.check(AugmentConfig(copies=1, methods=["magic"]))


def test_answers_and_code_stay_as_they_are():
    talk = [{"role": "user", "content": "What is this?"}, {"role": "assistant", "content": "Is it a cat?"}]
    config = AugmentConfig(copies=3, methods=["phrasings"])
    found = list(augment.copies(config, Document(None, talk, "a", ""), b"1" * 16))
    assert found and len({d.content for _, d in found}) == len(found)
    for method, copy in found:
        assert method == "phrasings" and copy.messages[1] == talk[1] and copy.messages[0] != talk[0]
    code = Document("```\nprint(1). print(2). print(3).\n```", None, "a", "")
    assert not list(augment.copies(AugmentConfig(copies=2), code, b"1" * 16))


def test_copies_are_marked_and_never_validate(tmp_path):
    source = tmp_path / "chats.jsonl"
    rows = [{"prompt": f"What is number {n}?", "response": f"It is {n}."} for n in range(300)]
    source.write_text("\n".join(map(json.dumps, rows)), "utf-8")

    def made(name: str) -> Draft:
        out = tmp_path / name
        out.mkdir()
        draft = Draft(out, "prepare", {}, {}, 0)
        config = PrepareConfig(
            sources=[str(source)], near_duplicates=False, augment=AugmentConfig(copies=1, methods=["phrasings"])
        )
        corpus.run(resolved(config), {}, draft, context(out))
        return draft

    draft = made("a")
    found = {path.name: pq.read_table(path).to_pylist() for path in sorted(draft.path.glob("*.parquet"))}
    train, copies, held = (found[f"{name}-00000.parquet"] for name in ("train", "train-a1", "validation"))
    assert {row["augmented"] for row in train + held} == {""}
    assert {row["augmented"] for row in copies} == {"phrasings"} and len(copies) == len(train)
    answers = [row["messages"][1]["content"] for row in held]
    assert answers and not set(answers) & {row["messages"][1]["content"] for row in copies}
    assert draft.metrics["augmented"] == {"phrasings": len(copies)}
    account = draft.metrics["filters"]["augment"]
    assert account["bytes_in"] + account["added"] == account["bytes_out"] == draft.metrics["bytes"]["out"]
    again = made("b")
    for path in draft.path.glob("*.parquet"):
        assert path.read_bytes() == (again.path / path.name).read_bytes()
