"""Personal data: a labelled set in two languages, placeholders, and what stays."""

import json
from collections import Counter
from pathlib import Path

import pytest
from prepared import lines, prepare, rows

from yaya.prepare.clean.personal import Masker, mask_personal

LABELLED = [json.loads(line) for line in Path(__file__).with_name("personal.jsonl").read_text("utf-8").splitlines()]


def found_in(text: str) -> Counter[tuple[str, str]]:
    """(kind, value) of each span that is masked."""
    masker = Masker()
    spans: Counter[tuple[str, str]] = Counter()
    replace = masker.replace

    def watched(pattern, kind, content, holds):
        def seen(match):
            masked = holds(match)
            if masked:
                spans[kind, match[0]] += 1
            return masked

        return replace(pattern, kind, content, seen)

    masker.replace = watched
    masker.mask(text)
    return spans


@pytest.mark.parametrize("language", ["en", "zh"])
def test_personal_data_is_found_and_little_else_is_taken_for_it(language):
    right = missed = wrong = 0
    for row in (row for row in LABELLED if row["language"] == language):
        wanted, found = Counter((kind, value) for kind, value in row["personal"]), found_in(row["text"])
        right += (wanted & found).total()
        missed += (wanted - found).total()
        wrong += (found - wanted).total()
    assert right > 50
    assert right / (right + missed) >= 0.95 and right / (right + wrong) >= 0.95


def test_a_masked_text_holds_no_value_any_more():
    for row in LABELLED:
        masked = mask_personal(row["text"])
        assert ("[" in masked) == bool(found_in(row["text"])) or "[" in row["text"]
        assert mask_personal(masked) == masked


def test_placeholders_are_the_same_for_the_same_value_throughout_a_document():
    masker = Masker()
    first = masker.mask("Write to ann@mail.example.org or bob@mail.example.org, call 13812345678.")
    second = masker.mask("电话 138-1234-5678，邮箱 BOB@mail.example.org、carl@mail.example.org")
    assert first == "Write to [EMAIL_1] or [EMAIL_2], call [PHONE_1]."
    assert second == "电话 [PHONE_1]，邮箱 [EMAIL_2]、[EMAIL_3]"


def test_what_is_allowed_stays_however_it_is_written():
    masker = Masker(frozenset(["400-820-8820", "service@shop.example.com"]))
    text = "热线 4008208820 或 400 820 8820，Service@shop.example.com；别的 400-888-1234。"
    assert masker.mask(text) == text.replace("400-888-1234", "[PHONE_1]")


def test_allow_and_mask_are_keys_of_prepare(tmp_path):
    talk = [
        {"role": "user", "content": "My number is 13812345678 and the shop's is 400-820-8820."},
        {"role": "assistant", "content": "Thank you, 13812345678."},
    ]
    source = lines(tmp_path / "a.jsonl", [{"messages": talk}])
    (row,) = rows(prepare(tmp_path / "1", source, preset="chat", allow=["4008208820"]), "train")
    said = [message["content"] for message in row["messages"]]
    assert said == ["My number is [PHONE_1] and the shop's is 400-820-8820.", "Thank you, [PHONE_1]."]
    (row,) = rows(prepare(tmp_path / "2", source), "train")
    assert [message["content"] for message in row["messages"]] == [message["content"] for message in talk]


def test_what_is_dropped_or_quarantined_is_shown_masked(tmp_path):
    source = lines(tmp_path / "a.jsonl", [{"text": "fine"}, {"text": 5, "from": "ann@mail.example.org"}])
    with source.open("a", encoding="utf-8") as file:
        file.write('{"text": "call 13812345678\n')
    draft = prepare(tmp_path / "out", source)
    shown = json.dumps(rows(draft, "dropped")) + (draft.path / "examples.json").read_text("utf-8")
    assert "[EMAIL_1]" in shown and "[PHONE_1]" in shown and "13812345678" not in shown and "ann@" not in shown
