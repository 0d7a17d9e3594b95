"""JSON that is no line by line: lists, objects that hold lists, values after each other; a broken record costs no other."""

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prepared import balanced, prepare, read, write

from yaya.prepare.read import json_values

RECORDS = [{"instruction": f"Spell {word}.", "input": "", "output": "-".join(word), "score": 0.5} for word in
           ("owl", "fox", "cat", "hen", "bee", "ant", "cow", "dog")]  # fmt: skip
COMPACT, PRETTY = json.dumps(RECORDS), json.dumps(RECORDS, indent=1)
CHATS = [
    {"messages": [{"role": "user", "content": f"Spell {w}."}, {"role": "assistant", "content": "-".join(w)}]}
    for w in ("owl", "fox", "cat", "hen")
]


def kept(tmp_path, text: str | bytes, name: str = "a.json") -> tuple[list[str], list]:
    documents, broken = read(write(tmp_path / name, text))
    return [d.text if d.messages is None else d.messages[-1]["content"] for d in documents], broken


@pytest.mark.parametrize("text", [COMPACT, PRETTY], ids=["compact", "pretty"])
@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"h-e-n"', "", "not JSON"),  # no value
        ('"h-e-n"', '"h-e-n', "not JSON"),  # a string that never ends
        ('"h-e-n"', 'h-e-n"', "not JSON"),
        ('"h-e-n"', '"he said "h"-e-n"', "not JSON"),
        ('"h-e-n"', "'h-e-n'", "not JSON"),
        ('"h-e-n"', '"\\ud800"', "not JSON"),  # half a character
        ('"h-e-n"', '"h\ne"', "not JSON"),
        ('"h-e-n"', "[[1, 2, 3", "not JSON"),
        ('"h-e-n"', "5", "must be a string"),
    ],
)
def test_a_broken_record_of_a_list_costs_no_other(tmp_path, text, old, new, reason):
    answers, (broken,) = kept(tmp_path, text.replace(old, new, 1))
    assert answers == ["o-w-l", "f-o-x", "c-a-t", "b-e-e", "a-n-t", "c-o-w", "d-o-g"]
    assert broken.where.startswith("record 4") and reason in broken.reason
    assert "line 20" in broken.where or text is COMPACT or reason == "must be a string"


@pytest.mark.parametrize("indent", [None, 2])
def test_what_is_nested_in_a_broken_record_is_no_record(tmp_path, indent):
    text = json.dumps(CHATS, indent=indent).replace('"Spell fox."', '"Spell fox.', 1)
    answers, (broken,) = kept(tmp_path, text)
    assert answers == ["o-w-l", "c-a-t", "h-e-n"] and broken.where.startswith("record 2")


@pytest.mark.parametrize("text", [COMPACT, PRETTY], ids=["compact", "pretty"])
@pytest.mark.parametrize("at", ["h-e-n", '"output": "h-e', "hen."])
def test_a_list_that_is_cut_off_keeps_what_is_whole(tmp_path, text, at):
    answers, (broken,) = kept(tmp_path, text[: text.index(at) + 2])
    assert answers == ["o-w-l", "f-o-x", "c-a-t"]
    assert broken.where.startswith("record 4") and broken.reason == "damaged: the file ends in the middle of it"


def test_a_list_that_lacks_only_its_end_is_whole(tmp_path):
    assert kept(tmp_path, COMPACT[:-1]) == (["-".join(r["instruction"][6:-1]) for r in RECORDS], [])
    assert len(kept(tmp_path, COMPACT[:-1] + ",\n]")[0]) == 8  # a comma too many


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_nan_is_null(tmp_path, constant, name):
    text = PRETTY if name == "a.json" else "".join(json.dumps(record) + "\n" for record in RECORDS)
    assert len(kept(tmp_path, text.replace("0.5", constant), name)[0]) == 8
    answers, (broken,) = kept(tmp_path, text.replace('"h-e-n"', constant), name)
    assert len(answers) == 7 and broken.problem.kind == "no reply"


@pytest.mark.parametrize("joint", ["", "\n", " ,\n", "\n\n"])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_values_after_each_other(tmp_path, joint, indent, name):
    if name == "a.jsonl" and not indent and "\n" not in joint:
        pytest.skip("one line is one record there")
    answers, broken = kept(tmp_path, joint.join(json.dumps(record, indent=indent) for record in RECORDS), name)
    assert len(answers) == 8 and not broken


@pytest.mark.parametrize(
    "whole",
    [
        {"version": "1", "data": RECORDS}, {"features": [{"name": "instruction"}], "rows": [{"row_idx": n, "row": r} for n, r in enumerate(RECORDS)]},
        {"train": RECORDS[:5], "test": RECORDS[5:]}, {"info": {"by": "us"}, "examples": [RECORDS[0], {"x": 1}, *RECORDS[1:]]},
        {str(n): record for n, record in enumerate(RECORDS)}, {key: [r[key] for r in RECORDS] for key in RECORDS[0]},
        {key: {str(n): r[key] for n, r in enumerate(RECORDS)} for key in RECORDS[0]}, [RECORDS[:4], RECORDS[4:]][0] + RECORDS[4:],
    ],
)  # fmt: skip
@pytest.mark.parametrize("nan", [False, True])
def test_objects_that_hold_records(tmp_path, whole, nan):
    text = json.dumps(whole, indent=1)
    answers, broken = kept(tmp_path, text.replace("0.5", "NaN") if nan else text)
    assert answers == ["-".join(r["instruction"][6:-1]) for r in RECORDS]
    assert len(broken) == ({"x": 1} in whole.get("examples", []) if isinstance(whole, dict) else 0)


def test_a_list_within_an_object_names_it(tmp_path):
    documents, (broken,) = read(
        write(tmp_path / "a.json", json.dumps({"train": [*RECORDS, {"instruction": 1, "output": ""}]}))
    )
    assert documents[1].where == "train, record 2" and broken.where == "train, record 9"


def test_a_bad_byte_in_a_list_costs_its_record(tmp_path):
    data = json.dumps([{"text": f"第{n}行的文字。"} for n in range(8)], ensure_ascii=False).encode()
    answers, (broken,) = kept(tmp_path, data.replace("第3".encode(), b"\xff3"))
    assert len(answers) == 7 and broken.where.startswith("record 4") and "0xff" in broken.reason


def test_deep_and_endless_lists_end(tmp_path):
    assert kept(tmp_path, "[" * 100_000)[0] == []
    assert kept(tmp_path, '[{"text": "a"}, ' + '{"text": ' * 20_000)[0] == ["a"]
    assert kept(tmp_path, "[" + '{"a":' * 3000 + "1" + "}" * 3000 + ', {"text": "b"}]')[0] == []


def test_the_accounts_balance_and_the_place_is_said(tmp_path, capsys):
    source = write(tmp_path / "a.json", PRETTY.replace('"h-e-n"', '"h-e-n', 1))
    assert balanced(prepare(tmp_path / "out", source, near_duplicates=False)) | {"dropped": 0} == {
        "in": 8, "kept": 7, "dropped": 0, "quarantined": 1, "merged": 0,
    }  # fmt: skip
    assert "a.json, record 4 (line 20): not JSON" in capsys.readouterr().err


def test_a_row_group_that_is_damaged_costs_no_other(tmp_path):
    texts = [f"text {n} {os.urandom(30).hex()}" for n in range(3000)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", row_group_size=500, compression="none")
    meta = pq.ParquetFile(tmp_path / "a.parquet").metadata
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    column = meta.row_group(2).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    data[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
    documents, (broken,) = read(write(tmp_path / "b.parquet", bytes(data)))
    assert [d.text for d in documents] == texts[:1000] + texts[1500:] and broken.where == "rows 1001 to 1500"
    assert documents[1000].where == "row 1501" and broken.problem.kind == "damaged"


def test_thousands_of_broken_records_cost_no_good_one(tmp_path):
    broken = '{"text": "x" "y"}, ' * 3000
    answers, problems = kept(tmp_path, f'[{{"text": "first"}}, {broken}{{"text": "last"}}]')
    assert answers == ["first", "last"] and [p.where for p in problems] == ["record 2 (line 1)"]


def test_an_error_looks_at_no_more_than_it_needs(monkeypatch):
    """An error's place is counted in lines, of all that the parser was given."""
    given = []

    class Decoder(json.JSONDecoder):
        def raw_decode(self, text, at=0):
            given.append(len(text))
            return super().raw_decode(text, at)

    monkeypatch.setattr(json_values, "DECODER", Decoder())
    good, bad = '{"text": "%s"},' % ("a" * 30_000), '{"text": 1 2},'
    found = [v.value for v in json_values.values("[" + (good + bad * 2 + good[:20]) * 2 + good + bad * 500 + "]")]
    assert [v["text"][:1] for v in found if isinstance(v, dict)] == ["a", "a", "a"]
    assert sum(given) < 10_000_000  # of 500 times 100,000
