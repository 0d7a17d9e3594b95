"""Keys by which data marks what is not to be learned. They are obeyed, or the record is refused; none is ignored.

Keys that only measure (`score`, `reward`, a `rating` in numbers) or describe (`source`, `category`) have no effect: only the
makers of the data know which values would be bad.
"""

from __future__ import annotations

from typing import Any

from yaya.prepare.document import Unusable

# 0 or false: not to be learned. OpenAI, axolotl, OpenChat, LLaMA-Factory, ms-swift; tables kept by hand.
USED = frozenset({"weight", "loss_weight", "loss_scale", "loss_mask", "train", "trainable", "keep"})
UNUSED = frozenset({"skip", "ignore", "exclude", "masked"})  # true: not to be learned
# false: a bad reply. KTO as TRL (label) and LLaMA-Factory (kto_tag) have it, PKU's is_safe, OASST's review_result.
GOOD = frozenset({
    "label", "kto_tag", "desirable", "is_desirable", "chosen", "is_chosen", "preferred", "is_preferred", "is_good",
    "is_correct", "is_safe", "review_result",
})  # fmt: skip
# true: a bad reply, or one that was taken back.
BAD = frozenset({
    "rejected", "is_rejected", "undesirable", "deleted", "is_deleted", "is_bad", "toxic", "is_toxic", "is_harmful",
    "unsafe", "is_unsafe",
})  # fmt: skip
# A bad reply where they say so in words.
JUDGED = frozenset({"rating", "feedback", "vote", "quality", "verdict", "status"})
REPLIES = frozenset({"chosen", "preferred", "rejected"})  # marks or replies
TOOLS = ("tools", "functions", "tool_calls", "function_call")
MEDIA = ("images", "image", "videos", "video", "audios", "audio")
PARTLY = "train_detail"  # axolotl: only parts of a message are learned
ABANDONED = frozenset({"aborted_low_grade", "halted_by_moderator"})  # OASST's tree_state
MARKS = frozenset({*USED, *UNUSED, *GOOD, *BAD, *JUDGED, *TOOLS, *MEDIA, PARTLY, "tree_state"})
ON_MESSAGE = MARKS | {"loss"}  # ms-swift and XTuner; of a record it would be a measurement

OFF_WORDS = frozenset({"false", "f", "no", "n", "0", "0.0", "off", "否", "假"})
ON_WORDS = frozenset({"true", "t", "yes", "y", "1", "1.0", "on", "是", "真"})
BAD_WORDS = frozenset({
    "bad", "negative", "reject", "rejected", "undesirable", "wrong", "incorrect", "invalid", "discarded", "dislike",
    "disliked", "downvote", "down", "thumbs_down", "-1", "👎", "差", "坏", "不好", "错", "错误",
})  # fmt: skip
NOTHING = ("", "[]", "{}", "null", "none")


def switch(value: Any) -> bool | None:
    """True or False for a value that means on or off in JSON, Parquet or a CSV cell; None for anything else."""
    word = str(value).strip().lower() if isinstance(value, bool | int | float) or is_short(value) else ""
    return False if word in OFF_WORDS else True if word in ON_WORDS else None


def is_short(value: Any) -> bool:
    """Whether it is a string short enough to be a mark."""
    return isinstance(value, str) and len(value) <= 16


def is_bad(key: str, value: Any) -> bool:
    """Whether the key says that a reply is bad."""
    if key in BAD:
        return switch(value) is True
    if key == "tree_state":
        return value in ABANDONED
    if is_short(value) and key in GOOD | JUDGED and value.strip().lower().replace(" ", "_") in BAD_WORDS:
        return True
    return key in GOOD and (switch(value) is False or (isinstance(value, int | float) and value < 0))


def is_null(value: Any) -> bool:
    """Whether it counts as absent; pandas writes NaN for that."""
    return value is None or value != value


def is_nothing(value: Any) -> bool:
    """Whether a list, or a string that holds one, is empty."""
    return value.strip().lower() in NOTHING if isinstance(value, str) else not value


def refuse_marked(record: dict[str, Any], reply: str | None, preferred: bool) -> None:
    """Unusable where the record says that it is not to be learned, or cannot be learned as it is.

    reply: what it would teach; None for a text. preferred: it is the better of two, so `label` judges something else.
    """
    if MARKS.isdisjoint(record):
        return
    for key in [key for key in record if key in MARKS]:
        value = record[key]
        if reply is None:  # for texts only 0 and false count: their weight may be in kilograms
            off = (key in USED and switch(value) is False) or (key in UNUSED and switch(value) is True)
        else:
            refuse_unread(key, value, key)
            off = not is_used(key, value, key)
        says = f"{key} is {shown(value)}", f"{key} 是 {shown(value)}"
        if off:
            raise Unusable("not to be learned", f"{says[0]}, so it is not to be learned", f"{says[1]}，标为不学")
        if reply is not None and is_bad(key, value) and not is_other(key, value, reply, preferred):
            raise Unusable("marked as bad", f"{says[0]}, so it is marked as bad", f"{says[1]}，标为不好")


def is_other(key: str, value: Any, reply: str, preferred: bool) -> bool:
    """Whether the key is not a mark: `label` may be the class in the reply, `rejected` the other reply (yes or no)."""
    if key in REPLIES:
        return preferred or (isinstance(value, str) and switch(reply) is not None)
    return key == "label" and (preferred or str(value).strip().lower() == reply.strip().lower())


def is_learned(message: dict[str, Any], name: str) -> bool:
    """Whether an assistant's message is to be learned. name: its place, for errors. Unusable where that is unclear."""
    out = True
    for key in [key for key in message if key in ON_MESSAGE]:
        value = message[key]
        if not is_null(value):
            refuse_unread(key, value, f"{name}.{key}")
            out &= is_used(key, value, f"{name}.{key}") and not is_bad(key, value)
    return out


def is_used(key: str, value: Any, name: str) -> bool:
    """Whether `weight`, `train` and the like say that it is learned; Unusable for values in between."""
    on = switch(value)
    if key in UNUSED:
        return on is not True
    if key == "loss":
        return on is not False
    if key in USED and value != "" and on is None:
        raise Unusable(
            "wrong type",
            f"{name} is {shown(value)}; only 0 (do not learn) and 1 (learn) are understood",
            f"{name} 是 {shown(value)}；只支持 0（不学）和 1（学）",
        )
    return key not in USED or on is not False


def refuse_unread(key: str, value: Any, name: str) -> None:
    """Unusable for content that is not supported: tools, media, marks on parts of a message."""
    if key in TOOLS and not is_nothing(value):
        raise no_tools(name)
    if key in MEDIA and not is_nothing(value):
        raise Unusable("wrong type", f"{name}: only text is read", f"{name}：只支持文本")
    if key == PARTLY and not is_nothing(value):
        raise Unusable(
            "wrong type",
            f"{name} marks parts of a message; a message is learned as a whole, or not (weight)",
            f"{name} 标的是消息的一部分；一条消息只能整条学或不学（weight）",
        )


def no_tools(name: str) -> Unusable:
    return Unusable("tool calls", f"{name}: tool calls are not read yet", f"{name}：暂时还不支持工具调用")


def shown(value: Any) -> str:
    """A value as JSON writes it, shortened."""
    return str(value).lower() if isinstance(value, bool) else repr(value)[:40]
