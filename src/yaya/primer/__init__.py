"""The primer (启蒙课本): what Yaya learns first. Small, closed, bilingual, made from a seed; nothing in it is copied.

`story` and `conversation` are the training data; `questions` ask what training did not show, and `check` marks a reply:
- "combinations": taught phrasings of content that training never has together (see `kinds.py` for what that is);
- "phrasings": phrasings that training never has, of taught content;
- "paraphrases": questions that a person wrote without looking at the phrasings.
"""

import unicodedata

from yaya.primer.generate import LANGUAGES, SETS, SKILLS, Question, conversation, questions
from yaya.primer.stories import story

# Raised whenever the generated data changes, since a corpus made of it is named by it
VERSION = 3

__all__ = ["LANGUAGES", "SETS", "SKILLS", "VERSION", "Question", "check", "conversation", "questions", "story"]


def bare(text: str) -> str:
    """The text without case, width, and punctuation or spaces at its ends."""
    text = unicodedata.normalize("NFKC", text).casefold()
    start, end = 0, len(text)
    while start < end and is_edge(text[start]):
        start += 1
    while end > start and is_edge(text[end - 1]):
        end -= 1
    return text[start:end]


def is_edge(character: str) -> bool:
    return character.isspace() or unicodedata.category(character).startswith("P")


def check(question: Question, reply: str) -> bool:
    """Whether the reply is one of the accepted answers, as a whole: a substring test would reward rambling."""
    given = bare(reply)
    return given != "" and any(given == bare(answer) for answer in question.answers)
