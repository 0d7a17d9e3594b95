"""Texts as pages show them: short, with invisible characters written out and differences marked."""

from __future__ import annotations

import difflib
import re
import unicodedata

from yaya.core import han

LONGEST = 420  # characters of one excerpt
AROUND = 60  # characters that are shown on each side of a difference in a long text
WORD = re.compile(rf"[{han.BROAD}]|[^\W{han.BROAD}]+ ?|.", re.DOTALL)  # a Chinese character, or a word
CHANCE = 12  # characters that two texts may share by chance
ALIKE = 0.5  # similarity above which two words are compared letter by letter
Run = tuple[bool, str]  # (changed?, text)
Step = tuple[str, str]  # what two texts have at the same place; equal if nothing changed


def clip(text: str, longest: int = LONGEST, lines: int = 9) -> str:
    """The beginning of a text."""
    short = "\n".join(text[:longest].split("\n", lines)[:lines])
    return text if len(short) == len(text) else short.rstrip() + " …"


def signs(text: str) -> list[str]:
    """How each character is shown: as itself, as ⟨U+200B⟩ if invisible, or as · for a space at a line's end."""
    shown = {"\n": "↵\n", "\t": "→\t", "\r": "⟨CR⟩"}
    out = []
    for char in text:
        hidden = unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") or char == "\u00a0"
        out.append(shown.get(char) or (f"⟨U+{ord(char):04X}⟩" if hidden else char))
    for match in re.finditer(r" +(?=[\r\n]|$)", text):
        out[match.start() : match.end()] = "·" * len(match[0])
    return out


def visible(text: str) -> str:
    """The text with its invisible characters written out."""
    return "".join(signs(text))


def changes(before: str, after: str, cut: int = LONGEST, letters: bool = True) -> tuple[list[Run], list[Run]]:
    """Both texts as runs of changed and unchanged text.

    cut: excerpts of this length are cut off; if one of the two reaches further, that is not a change.
    letters: similar words are compared letter by letter.
    """
    goes_on = min(len(before), len(after)) >= cut
    steps = overlapping(before, after) if goes_on else []
    if not steps:
        steps = without_chance(word_steps(before, after))
        steps = [part for step in steps for part in (letter_steps(*step) if letters else [step])]
    old_signs, new_signs = iter(signs(before)), iter(signs(after))
    old_runs: list[Run] = []
    new_runs: list[Run] = []
    for number, (old, new) in enumerate(steps, 1):
        further = goes_on and number == len(steps)
        old_runs.append((old != new, "".join(next(old_signs) for _ in old)))
        new_runs.append((old != new and not further, "".join(next(new_signs) for _ in new)))
    return joined(old_runs), joined(new_runs)


def overlapping(before: str, after: str) -> list[Step]:
    """The steps if one piece was removed and the rest of the first excerpt is the beginning of the second's."""
    same = next((at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
    old, new = before[same:], after[same:]
    for size in range(min(len(old), len(new)), CHANCE, -1):
        if old.endswith(new[:size]):
            return [(before[:same],) * 2, (old[:-size], ""), (new[:size],) * 2, ("", new[size:])]
    return []


def word_steps(before: str, after: str) -> list[Step]:
    """Both texts split by words into common and differing parts."""
    old, new = WORD.findall(before), WORD.findall(after)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return [("".join(old[a:b]), "".join(new[c:d])) for _, a, b, c, d in matcher.get_opcodes()]


def without_chance(steps: list[Step]) -> list[Step]:
    """Merges a few words that match by chance between two larger changes into the change."""
    for at in range(1, len(steps) - 1):
        (a, b), (old, new), (c, d) = steps[at - 1 : at + 2]
        if old == new and a != b and c != d and len(old) <= min(max(len(a), len(b)), max(len(c), len(d))):
            return without_chance([*steps[: at - 1], (a + old + c, b + new + d), *steps[at + 2 :]])
    return steps


def letter_steps(old: str, new: str) -> list[Step]:
    """Compares by letters if most of them match; else the two unchanged."""
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    if not old or not new or old == new or matcher.ratio() < ALIKE:
        return [(old, new)]
    return [(old[a:b], new[c:d]) for _, a, b, c, d in matcher.get_opcodes()]


def joined(runs: list[Run]) -> list[Run]:
    """Joins neighbouring parts of the same kind."""
    out: list[Run] = []
    for changed, text in filter(lambda run: run[1], runs):
        if out and out[-1][0] == changed:
            out[-1] = (changed, out[-1][1] + text)
        else:
            out.append((changed, text))
    return out


def folded(runs: list[Run], around: int = AROUND) -> list[Run]:
    """Leaves out long unchanged text, except next to a change."""
    out = []
    for number, (changed, text) in enumerate(runs):
        if not changed and len(text) > 3 * around:
            first, last = text[:around] if number else "", text[-around:] if number < len(runs) - 1 else ""
            text = f"{first} ⋯ {last}" if first or last else text[: 3 * around] + " ⋯"
        out.append((changed, text))
    return out
