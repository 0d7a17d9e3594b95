"""Messages -> (ids, roles), only here, so that training, chat and server feed the model the same tokens.

ChatML: `<|im_start|>role\ncontent<|im_end|>\n` for each message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, chain, takewhile
from typing import TYPE_CHECKING, Any

from yaya.core.messages import UserError, json_kind

if TYPE_CHECKING:
    from yaya.tokenize.tokenizer import Tokenizer

Message = Mapping[str, str]
ROLES = ("text", "system", "user", "assistant", "template")
TEXT, SYSTEM, USER, ASSISTANT, TEMPLATE = range(5)
UNLEARNED = "unlearned"  # an assistant's message that is read but not learned (`weight: 0` in the data)
ROLE_CODE = {name: code for code, name in enumerate(ROLES)} | {"tool": USER, "developer": SYSTEM, UNLEARNED: TEMPLATE}
TEXT_PARTS = ("text", "input_text", "output_text", None)  # OpenAI's types of text parts; Gemini omits the type


def role_weights(
    *, text: float = 0.0, system: float = 0.0, user: float = 0.0, assistant: float = 0.0, template: float = 0.0
) -> tuple[float, ...]:
    """The loss weight of each role's labels, in the order of `ROLES`."""
    return text, system, user, assistant, template


def text_of_content(content: Any) -> str:
    """A message's `content` as one string: a string, or a list of strings and `{"type": "text", "text"}`, one per line.

    Anything else raises a UserError without a subject: "must be a string, not null".
    """
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(map(_text_of_part, content))
    en, zh = json_kind(content)
    raise UserError(f"must be a string, not {en}", f"应当是字符串，而不是{zh}")


def _text_of_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        en, zh = json_kind(part)
        raise UserError(f"holds {en} where a text belongs", f"含有{zh}；只支持文本")
    kind = part.get("type")
    if kind not in TEXT_PARTS:
        raise UserError(f"holds a part of type {kind!r}; only text is read", f"含有 {kind!r} 类型的内容；只支持文本")
    text = part.get("text", part.get("value"))
    if not isinstance(text, str):
        raise UserError("holds a part without a text", "有一部分没有文本；只支持文本")
    return text


def render_batch(tokenizer: Tokenizer, conversations: Sequence[Sequence[Message]]) -> list[tuple[list[int], list[int]]]:
    """For each conversation its ids and, for each id, the code of its role (`ROLES`).

    A message's closing `<|im_end|>` belongs to its role (the assistant learns to stop); the rest of the frame is `template`.
    """
    written = {role: f"{'assistant' if role == UNLEARNED else role}\n" for role in ROLE_CODE}
    headers = {role: tokenizer.encode(header) for role, header in written.items()}
    newline = tokenizer.encode("\n")
    texts = [written[m["role"]] + m["content"] for messages in conversations for m in messages]
    encoded = iter(tokenizer.encode_batch(texts))
    out = []
    for messages in conversations:
        ids: list[int] = []
        roles: list[int] = []
        for message in messages:
            code, header, body = ROLE_CODE[message["role"]], headers[message["role"]], next(encoded)
            size = len(header)
            if body[:size] != header:  # the content begins with white space that joins the header's line break
                whole, end = written[message["role"]] + message["content"], len(written[message["role"]])
                size = sum(start < end for start, _ in tokenizer.encode_with_offsets(whole)[1])
            ids += [tokenizer.turn_start, *body, tokenizer.turn_end, *newline]
            roles += [TEMPLATE] * (1 + size) + [code] * (len(body) - size + 1) + [TEMPLATE] * len(newline)
        out.append((ids, roles))
    return out


def render(tokenizer: Tokenizer, messages: Sequence[Message]) -> tuple[list[int], list[int]]:
    """One conversation's ids and role codes."""
    return render_batch(tokenizer, [messages])[0]


def prompt(tokenizer: Tokenizer, messages: Sequence[Message]) -> list[int]:
    """Ids up to the start of the assistant's reply."""
    ids, _ = render(tokenizer, messages)
    return [*ids, tokenizer.turn_start, *tokenizer.encode("assistant\n")]


def fit_messages(tokenizer: Tokenizer, messages: Sequence[Message], room: int) -> tuple[list[int], int]:
    """The prompt in at most `room` tokens, and how many of the oldest turns were dropped to fit.

    Leading system messages stay; a turn is a user's message with the reply that follows it.
    UserError if not even the last turn fits.
    """
    system = list(takewhile(lambda m: m["role"] in ("system", "developer"), messages))
    rest = list(messages[len(system) :])
    opening = [tokenizer.turn_start, *tokenizer.encode("assistant\n")]
    fixed, *parts = [ids for ids, _ in render_batch(tokenizer, [system, *([m] for m in rest)])]
    turns = [i for i, m in enumerate(rest) if i > 0 and m["role"] == "user"]  # the starts of later turns
    ends = [0, *accumulate(map(len, parts))]
    for dropped, begin in enumerate([0, *turns]):
        length = len(fixed) + ends[-1] - ends[begin] + len(opening)
        if length <= room:
            return [*fixed, *chain.from_iterable(parts[begin:]), *opening], dropped
    raise _too_long(tokenizer, [m["content"] for m in rest[begin:]], length, room, bool(system))


def _too_long(tokenizer: Tokenizer, texts: list[str], length: int, room: int, system: bool) -> UserError:
    """The error for a last turn that needs `length` tokens, everything mandatory included."""
    characters, tokens = sum(map(len, texts)), sum(map(len, tokenizer.encode_batch(texts)))
    left = room - (length - tokens)
    en, zh = "Shorten it.", "请缩短一些。"
    if left > 0:
        fits = characters * left // tokens
        en = f"Shorten it: about {fits:,} of its {characters:,} characters fit."
        zh = f"请缩短一些：{characters:,} 个字符里大约能放下 {fits:,} 个。"
    elif system:
        en, zh = (
            "The system message leaves no room for it: shorten the system message.",
            "系统消息已经占满了位置，请缩短系统消息。",
        )
    return UserError(
        f"The message is {length} tokens long; this model reads at most {room}. {en}",
        f"这条消息有 {length} 个 token，而这个模型最多读 {room} 个。{zh}",
    )
