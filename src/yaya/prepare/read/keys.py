"""Which key of a record plays which part, whatever the data calls it. The first name that is present counts."""

from __future__ import annotations

import re
from functools import lru_cache

from yaya.prepare.read.choices import is_of_a_choice
from yaya.prepare.read.marks import MARKS

PARTS: dict[str, tuple[str, ...]] = {
    "dialogue": (
        "messages", "conversations", "conversation", "contents", "turns", "dialog", "dialogue", "dialogs", "utterances",
    ),
    "history": ("history",),
    "system": ("system", "system_prompt", "system_message", "system_instruction", "systeminstruction"),
    "question": (
        "instruction", "prompt", "question", "query", "problem", "问", "问题", "提问", "指令", "input", "inputs", "context",
    ),
    "more": ("input", "context", "passage", "输入"),  # what the question is about
    "answer": (
        "output", "response", "completion", "answer", "reply", "solution", "target", "targets", "outputs", "responses",
        "completions", "answers", "replies", "答", "答案", "回答", "回复", "输出",
    ),
    "text": ("text", "content", "正文", "文本", "内容"),
    "title": ("title", "标题"),
    "lines": ("paragraphs",),
    "instances": ("instances",),  # self-instruct: several inputs with their outputs
    "scores": ("scores", "ratings", "rewards"),
    "ranks": ("ranks",),
}  # fmt: skip
# Names that mean this only together: `a` may be the first of four choices, `user` a person's name.
TOGETHER = (("q", ("a",)), ("human", ("assistant", "gpt", "bot", "ai")), ("user", ("assistant", "gpt", "bot", "ai")))
REPLY = r"(?:answer|output|resp|response|reply|completion|messages?|conversations?)"
CHOSEN = re.compile(rf"chosen(?:_{REPLY})?|{REPLY}_chosen|(?:preferred|better|best|winning|pos|good)_{REPLY}")
# These mean a reply only next to a worse one; alone they may say which one is better.
BETTER = re.compile(r"preferred|better|best|win|response_j")
WORSE = re.compile(r".*reject.*|non_preferred.*|dispreferred.*|worse.*|worst.*|lose|neg_.*|bad_.*|response_k")
CONTENT = frozenset({"dialogue", "question", "answer", "text", "lines", "chosen"})  # parts with something to learn
LANGUAGE = ("_instruction", "_input", "_output", "_system")  # en_instruction, zh_instruction


@lru_cache(maxsize=4096)
def plain(key: str) -> str:
    """A key in lower case without blanks around it: ` Question ` in a table's head is `question`."""
    return key.strip().strip("\ufeff").lower().replace(" ", "_").replace("-", "_")


@lru_cache(maxsize=256)
def parts_of(keys: tuple[str, ...]) -> dict[str, str]:
    """Part -> its key, for a record with these keys."""
    out = {part: name for part, names in PARTS.items() if (name := next((n for n in names if n in keys), ""))}
    if "answer" not in out:
        for question, answers in TOGETHER:
            answer = next((name for name in answers if name in keys), None)
            if question in keys and answer:
                out |= {"question": question, "answer": answer}
                break
    more = next((n for n in PARTS["more"] if n in keys and n != out.get("question")), None)
    out = {part: name for part, name in out.items() if part != "more"} | ({"more": more} if more else {})
    rejected = next((key for key in keys if WORSE.fullmatch(key)), None)
    chosen = next((k for k in keys if CHOSEN.fullmatch(k) or (rejected and BETTER.fullmatch(k))), None)
    if rejected:
        out["rejected"] = rejected
    if chosen and (rejected or {"question", "dialogue"} & out.keys()):
        out["chosen"] = chosen
    return out


@lru_cache(maxsize=256)
def prefixes(keys: tuple[str, ...]) -> list[str]:
    """`["en_", "zh_"]` for an alpaca record whose keys carry a language."""
    ends = [key.removesuffix("instruction") for key in keys if key.endswith("_instruction")]
    return [prefix for prefix in ends if f"{prefix}output" in keys]


COLUMNS = frozenset(
    {*MARKS, *(name for names in PARTS.values() for name in names), *(n for q, a in TOGETHER for n in (q, *a))}
)


def is_column(name: str) -> bool:
    """Whether a key has a meaning here."""
    known = name in COLUMNS or name.endswith(LANGUAGE) or is_of_a_choice(name)
    return known or any(kind.fullmatch(name) for kind in (CHOSEN, BETTER, WORSE))


def columns_of(names: list[str]) -> list[str] | None:
    """The columns of a table to read, without embeddings, metadata and the like.

    None, for all, where no column holds a text, so that the error names them.
    """
    keys = tuple(map(plain, names))
    if not prefixes(keys) and not parts_of(keys).keys() & CONTENT:
        return None
    return [name for name, key in zip(names, keys, strict=True) if is_column(key)]
