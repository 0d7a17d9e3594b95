"""Augmentation: changed copies of training documents, for those who have few.

A copy is marked with its method, stays in the training split, and never changes what a model is to say: in
conversations only the questions change. The same document and seed give the same copies.
Papers: EDA (Wei and Zou, arXiv 1901.11196) for synonyms, deletion and swap; Kobayashi (arXiv 1805.06201) for words
replaced in context by a masked language model.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from yaya.core import han
from yaya.core.config import key
from yaya.core.extras import need
from yaya.core.messages import UserError
from yaya.prepare.document import Document

METHODS = ("reorder", "phrasings", "synonyms", "delete", "swap", "masked")
SENTENCE = re.compile(r"[^。！？!?…\n]*?(?:[。！？!?…]+[”’」』）\"')]*|[.]{1,6}[\"')”’]{0,4}(?=\s|$)|$)\s*")
NEEDS = ("These prepare.augment.methods need extra packages", "这些 prepare.augment.methods 需要额外的包")
WORD = re.compile(rf"[{han.BROAD}]+|[A-Za-z\u00c0-\u024f]+(?:['’-][A-Za-z\u00c0-\u024f]+)*")
HAN = re.compile(f"[{han.BROAD}]")
ASKS = re.compile(r"^[^\n]{2,200}[?？]$")
FRAMES_EN = (
    "Could you tell me: {q}",
    "I would like to know: {q}",
    "A question: {q}",
    "Please answer this: {q}",
    "{q} Thanks!",
)
FRAMES_ZH = ("请问，{q}", "我想知道，{q}", "想请教一下，{q}", "麻烦问一下，{q}", "{q}谢谢！")
OPENERS = re.compile(
    r"^(?:please tell me|could you tell me|can you tell me|i would like to know|请问|我想知道|请教一下|麻烦问一下)[,:，： ]*",
    re.IGNORECASE,
)
CANDIDATES = 8  # for a masked word, to choose from
MASKED_AT_ONCE = 400  # tokens of a text that the masked model reads
Words = list[tuple[str, bool]]  # parts that make up the text, and whether each is a word


@dataclass(frozen=True)
class AugmentConfig:
    """Keys of [prepare.augment]."""

    copies: int = key(0, "number of changed copies of each training document", "每篇训练文档生成几份改动副本", least=0)
    methods: list[str] = key(
        ["reorder", "phrasings"],
        f"methods, used in turn: {', '.join(METHODS)} (the last four: extra data; masked: extra hf)",
        f"改动方法，轮流使用：{'、'.join(METHODS)}（后四种需要 data 扩展，masked 还要 hf 扩展）",
    )
    share: float = key(0.1, "share of the words that a method changes", "每种方法改动多大比例的词", least=0)
    lexicons: list[str] = key(
        ["oewn:2024", "omw-cmn:1.4"],
        "wordnets to take synonyms from; to get them: python -m wn download oewn:2024 omw-cmn:1.4",
        "同义词取自哪些 WordNet；下载：python -m wn download oewn:2024 omw-cmn:1.4",
    )
    model: str = key(
        "bert-base-multilingual-cased",
        "for masked: a masked language model",
        "masked 方法所用的掩码语言模型",
    )


def check(config: AugmentConfig) -> None:
    """UserError for settings that are not valid, or need packages or word nets that are missing."""
    unknown = [name for name in config.methods if name not in METHODS]
    if unknown or not (config.methods or not config.copies):
        raise UserError(
            f"prepare.augment.methods can contain {', '.join(METHODS)}, but got {', '.join(unknown) or 'an empty list'}.",
            f"prepare.augment.methods 可以是 {'、'.join(METHODS)}，不能是{' ' + '、'.join(unknown) if unknown else '空列表'}。",
        )
    if config.copies and {"delete", "swap", "synonyms", "masked"} & set(config.methods):
        segmenter()
    if config.copies and "synonyms" in config.methods:
        word_net(tuple(config.lexicons))
    if config.copies and "masked" in config.methods:
        masked_model(config.model)


def copies(config: AugmentConfig, document: Document, id: bytes) -> Iterator[tuple[str, Document]]:
    """Yields (method, changed document), up to `copies` of them, all different."""
    seen = {tuple(document.texts)}
    for number in range(config.copies):
        draw = random.Random(id + number.to_bytes(4, "big"))
        for turn in range(len(config.methods)):
            method = config.methods[(number + turn) % len(config.methods)]
            texts = changed(config, method, document, draw)
            if tuple(texts) not in seen:
                seen.add(tuple(texts))
                yield method, document.with_texts(texts)
                break


def changed(config: AugmentConfig, method: str, document: Document, draw: random.Random) -> list[str]:
    """Returns the document's texts after one method; texts with code stay as they are."""
    run = METHOD_FUNCTIONS[method]
    if document.messages is None:
        texts = document.texts
        return texts if method == "phrasings" or "```" in texts[0] else [run(texts[0], config, draw)]
    return [
        run(m["content"], config, draw) if m["role"] == "user" and "```" not in m["content"] else m["content"]
        for m in document.messages
    ]


def reorder(text: str, config: AugmentConfig, draw: random.Random) -> str:
    """Swaps two neighbouring sentences in some paragraphs; a paragraph's first sentence stays."""
    lines = text.split("\n")
    for at, line in enumerate(lines):
        parts = [part for part in SENTENCE.findall(line) if part]
        if len(parts) >= 3 and draw.random() < max(config.share, 0.3):
            first = draw.randrange(1, len(parts) - 1)
            gap = " " if not HAN.search(line) else ""
            parts = [part.strip() if gap else part for part in parts]
            parts[first], parts[first + 1] = parts[first + 1], parts[first]
            lines[at] = gap.join(parts)
    return "\n".join(lines)


def phrasings(text: str, config: AugmentConfig, draw: random.Random) -> str:
    """Rephrases a question: more politely, or more plainly if it was polite."""
    question = text.strip()
    bare = OPENERS.sub("", question)
    if not ASKS.match(question) or not bare:
        return text
    if bare != question:
        return bare if HAN.search(bare) else bare[0].upper() + bare[1:]
    frames = FRAMES_ZH if HAN.search(question) else FRAMES_EN
    return draw.choice(frames).format(q=question)


def delete(text: str, config: AugmentConfig, draw: random.Random) -> str:
    """Leaves out some words, but never the last one."""
    parts = split_words(text)
    places = chosen(parts, config, draw, spared=1)
    kept = [part for at, (part, _) in enumerate(parts) if at not in places]
    return re.sub(r" {2,}", " ", "".join(kept)).strip(" ")


def swap(text: str, config: AugmentConfig, draw: random.Random) -> str:
    """Swaps some words with the next one."""
    parts = split_words(text)
    next_word = dict(pairwise(word_places(parts)))
    for at in sorted(chosen(parts, config, draw)):
        other = next_word.get(at)
        if other is not None and all(not mark.strip() for mark, _ in parts[at + 1 : other]):  # within a clause
            parts[at], parts[other] = parts[other], parts[at]
    return "".join(part for part, _ in parts)


def synonyms(text: str, config: AugmentConfig, draw: random.Random) -> str:
    """Replaces some words with synonyms. Tries four times as many as are to change, because most have none."""
    parts = split_words(text)
    words = word_places(parts)
    for at in draw.sample(words, min(len(words), 4 * max(1, round(config.share * len(words))))):
        found = synonyms_of(parts[at][0], tuple(config.lexicons))
        if found:
            parts[at] = (draw.choice(found), True)
    return "".join(part for part, _ in parts)


def masked(text: str, config: AugmentConfig, draw: random.Random) -> str:
    """Replaces some words with what a masked language model would write in their place."""
    parts = split_words(text)
    places = sorted(chosen(parts, config, draw))
    for at, word in masked_model(config.model).replacements([part for part, _ in parts], places, draw):
        parts[at] = (word, True)
    return "".join(part for part, _ in parts)


METHOD_FUNCTIONS: dict[str, Callable[[str, AugmentConfig, random.Random], str]] = {
    "reorder": reorder, "phrasings": phrasings, "synonyms": synonyms, "delete": delete, "swap": swap, "masked": masked,
}  # fmt: skip


def split_words(text: str) -> Words:
    """Cuts a text into parts, Chinese with the segmenter. Numbers and marks do not count as words."""
    out: Words = []
    end = 0
    for found in WORD.finditer(text):
        if found.start() > end:
            out.append((text[end : found.start()], False))
        words = segmenter()(found[0]) if HAN.match(found[0]) else [found[0]]
        out += [(word, True) for word in words]
        end = found.end()
    return [*out, (text[end:], False)] if end < len(text) else out


def word_places(parts: Words) -> list[int]:
    return [at for at, (_, is_word) in enumerate(parts) if is_word]


def chosen(parts: Words, config: AugmentConfig, draw: random.Random, spared: int = 0) -> set[int]:
    """Places of the words to change: a share of them, so a very short text has none. spared: words that must stay."""
    words = word_places(parts)
    return set(draw.sample(words, min(round(config.share * len(words)), max(0, len(words) - spared))))


@cache
def segmenter() -> Callable[[str], list[str]]:
    """Chinese text -> words. UserError where the package is missing."""
    cut: Callable[[str], list[str]] = need("rjieba", "yaya[data]", *NEEDS).cut
    return cut


@cache
def word_net(lexicons: tuple[str, ...]) -> Any:
    """The word nets; UserError where the user has not downloaded them."""
    wn = need("wn", "yaya[data]", *NEEDS)
    try:
        return wn.Wordnet(lexicon=" ".join(lexicons))
    except wn.Error:
        names = " ".join(lexicons)
        raise UserError(
            f"The wordnets are not downloaded yet. Run: python -m wn download {names}",
            f"还没有 WordNet 数据，请先下载：python -m wn download {names}",
        ) from None


@cache
def synonyms_of(word: str, lexicons: tuple[str, ...]) -> list[str]:
    """Other words of the same meanings, in the same script and case, in a fixed order."""
    is_han = bool(HAN.match(word))
    found: set[str] = set()
    for entry in word_net(lexicons).words(word if is_han else word.lower()):
        for synset in entry.synsets():
            found.update(str(lemma) for lemma in synset.lemmas())
    same = [lemma for lemma in found if bool(HAN.match(lemma)) == is_han and WORD.fullmatch(lemma)]
    cased = (lemma.capitalize() if word[0].isupper() else lemma for lemma in same)
    return sorted({lemma for lemma in cased if lemma.lower() != word.lower()})


class MaskedModel:
    """A masked language model such as BERT, with its tokenizer. UserError where it cannot be loaded."""

    def __init__(self, name: str):
        import torch

        library = need("transformers", "yaya[data,hf]", *NEEDS)
        kind = library.AutoModelForMaskedLM
        try:
            self.tokenizer: Any = library.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
            self.model: Any = kind.from_pretrained(name, trust_remote_code=False, use_safetensors=True)
        except (OSError, ValueError) as error:
            why = str(error).split("\n")[0][:200]
            raise UserError(
                f"prepare.augment.model={name} cannot be loaded: {why}", f"prepare.augment.model={name} 加载不了：{why}"
            ) from None
        self.model.eval()
        self.torch = torch

    def replacements(self, parts: list[str], places: list[int], draw: random.Random) -> Iterator[tuple[int, str]]:
        """Yields (place, another word), for places whose word is a single token of the model."""
        ids: list[int] = []
        masks: dict[int, tuple[int, int]] = {}  # position of the mask -> place, id of the true word
        for at, part in enumerate(parts):
            own = self.tokenizer.encode(part, add_special_tokens=False)
            if len(ids) + len(own) > MASKED_AT_ONCE:
                break
            if at in places and len(own) == 1:
                masks[len(ids) + 1] = (at, own[0])
                own = [self.tokenizer.mask_token_id]
            ids += own
        if not masks:
            return
        row = [self.tokenizer.cls_token_id, *ids, self.tokenizer.sep_token_id]
        with self.torch.inference_mode():
            logits = self.model(input_ids=self.torch.tensor([row])).logits[0]  # (T, V)
        for position, (at, true) in masks.items():
            best = self.torch.topk(logits[position], CANDIDATES + 1).indices.tolist()
            is_han = bool(HAN.match(parts[at]))
            words = [self.tokenizer.convert_ids_to_tokens(i) for i in best if i != true]
            words = [word for word in words if WORD.fullmatch(word) and bool(HAN.match(word)) == is_han]
            if words:
                yield at, draw.choice(words)


masked_model = cache(MaskedModel)
