"""Packed files of several streams, as parallel packers and Wikipedia's archives write them: a damaged one costs no other."""

import bz2
import gzip
import io
import lzma
import random
import zlib

import pytest
import zstandard
from prepared import balanced, prepare, read, write

from yaya.prepare.read.packed import PACKINGS, Streams

PACK = {
    "bz2": bz2.compress,
    "gz": gzip.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}
RANDOM = random.Random(1)
WORDS = ["".join(RANDOM.choices("abcdefgh", k=9)) for _ in range(3000)]
EACH = 40  # lines of a stream


def lines_of(stream: int) -> str:
    return "".join(f'{{"text": "{stream} {n} {" ".join(RANDOM.choices(WORDS, k=20))}"}}\n' for n in range(EACH))


def damaged(data: bytes, at: float = 0.5) -> bytes:
    middle = int(len(data) * at)
    return data[:middle] + bytes(40) + data[middle + 40 :]


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("which", range(3))
def test_a_damaged_stream_costs_no_other(tmp_path, ending, which):
    streams = [PACK[ending](lines_of(number).encode()) for number in range(3)]
    at = sum(map(len, streams[:which]))
    streams[which] = damaged(streams[which])
    documents, broken = read(write(tmp_path / f"a.jsonl.{ending}", b"".join(streams)))
    whole = [d.text for d in documents if not d.text.startswith(f"{which} ")]
    assert len(whole) == 2 * EACH and len(set(whole)) == 2 * EACH
    assert broken[-1].where == f"byte {at:,}" and broken[-1].reason.startswith("damaged: a packed part is damaged")
    assert len(broken) <= 2  # and the line that broke off


@pytest.mark.parametrize("ending", PACK)
def test_what_begins_no_stream_is_passed_over_and_named(tmp_path, ending):
    first, second = (PACK[ending](lines_of(number).encode()) for number in range(2))
    documents, broken = read(write(tmp_path / f"a.jsonl.{ending}", first + b"\1garbage\2" * 5 + second + bytes(512)))
    assert len(documents) == 2 * EACH and [b.where for b in broken] == [f"byte {len(first):,}"]
    documents, broken = read(write(tmp_path / f"b.jsonl.{ending}", first + bytes(512) + second))
    assert len(documents) == 2 * EACH and not broken


@pytest.mark.parametrize("ending", PACK)
def test_a_file_that_is_cut_off_says_so(tmp_path, ending):
    first, second = (PACK[ending](lines_of(number).encode()) for number in range(2))
    documents, broken = read(write(tmp_path / f"a.jsonl.{ending}", first + second[:-300]))
    assert EACH <= len(documents) < 2 * EACH and broken[-1].reason.startswith("damaged: damaged or cut off")


def test_a_dump_is_read_on_from_the_next_stream_and_the_accounts_balance(tmp_path):
    def pages(stream: int) -> bytes:
        page = "<page><title>{0} {1}</title><ns>0</ns><revision><text>It is {2}.</text></revision></page>\n"
        said = [" ".join(RANDOM.choices(WORDS, k=30)) for _ in range(EACH)]
        return "".join(page.format(stream, n, text) for n, text in enumerate(said)).encode()

    head = b'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="en">\n'
    streams = [bz2.compress(part) for part in (head, pages(0), pages(1), pages(2), b"</mediawiki>")]
    streams[2] = damaged(streams[2])
    draft = prepare(tmp_path / "out", write(tmp_path / "a.xml.bz2", b"".join(streams)))
    assert balanced(draft)["kept"] == 2 * EACH and draft.metrics["set_aside"] == {"damaged": 1}
    # Where the text breaks off in the middle of a page, the pages of the next stream lie within it.
    cut = head + pages(0)[:-50] + b"\n" + pages(1)
    documents, broken = read(write(tmp_path / "b.xml", cut + b"</mediawiki>"))
    assert len(documents) == 2 * EACH - 1 and len(broken) == 1


def test_a_text_keeps_what_can_be_read(tmp_path):
    parts = [" ".join(RANDOM.choices(WORDS, k=300)) for _ in range(3)]
    streams = [bz2.compress(part.encode()) for part in parts]
    streams[1] = damaged(streams[1])
    (document,), (broken,) = read(write(tmp_path / "a.txt.bz2", b"".join(streams)))
    assert document.text == f"{parts[0]}\n{parts[2]}" and broken.problem.kind == "damaged"


def test_a_whole_file_with_a_damaged_part_is_set_aside(tmp_path):
    text = '[{"text": "' + " ".join(RANDOM.choices(WORDS, k=300)) + '"},\n'
    data = bz2.compress(text.encode()) + damaged(bz2.compress(text[1:].encode())) + bz2.compress(b'{"text": "last"}]')
    documents, (broken,) = read(write(tmp_path / "a.json.bz2", data))
    assert not documents and broken.reason.startswith("damaged: damaged or cut off")


def test_little_that_unpacks_to_much_is_unpacked_by_and_by():
    """A megabyte of zeros a kilobyte of gzip: no more of them are held than a piece gives."""
    data = gzip.compress(bytes(200 << 20))
    stream = Streams(io.BytesIO(data), PACKINGS[0])
    held = 0
    while count := stream.readinto(bytearray(1 << 20)):
        held = max(held, len(stream.left) + count)
    assert held < 6 << 20


def test_streams_that_are_all_damaged_end(tmp_path):
    data = b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + zlib.compress(b"x" * 50)[2:-4] + bytes(8)
    documents, broken = read(write(tmp_path / "a.jsonl.gz", data * 1500))
    assert not documents and "damaged" in broken[-1].reason
