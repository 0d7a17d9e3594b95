"""One corpus, however it is made: by one process, by two, on a cluster, or after being killed in between."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from prepared import balanced, lines, prepare, results, write
from tests.conftest import yaya

from yaya.core.recipe import read_recipe
from yaya.prepare import chunks

WORDS = [
    f"{a}{b}" for a in ("ba", "ke", "li", "mo", "nu", "ra", "so", "ti") for b in ("den", "fer", "gal", "hun", "k", "st")
]


def sentence(random: Random) -> str:
    return " ".join(random.choices(WORDS, k=random.randint(5, 60))).capitalize() + "."


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Some hundred small files and large JSONL: with copies, near-copies, broken lines, personal data and menus."""
    folder, random = tmp_path_factory.mktemp("sources"), Random(5)
    for n in range(200):
        paragraphs = [
            "Home and News and Contact",
            *(sentence(random) for _ in range(4)),
            "write to us@team.example.org",
        ]
        write(folder / "small" / f"{n:03}.txt", "\n".join(paragraphs))
    records = [{"text": sentence(random)} for _ in range(1500)]
    records += [{"text": record["text"] + " Again."} for record in records[:60]] + records[60:100]
    records += [
        {
            "messages": [
                {"role": "user", "content": sentence(random)},
                {"role": "assistant", "content": sentence(random)},
            ]
        }
        for _ in range(300)
    ]
    random.shuffle(records)
    large = lines(folder / "large.jsonl", records)
    with large.open("a", encoding="utf-8") as file:
        file.write('{"text": "cut\n{"text": 5}\n')
    return [folder / "small", large]


KEYS = {"preset": "chat", "repeated_lines": True}


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 40_000)


@pytest.fixture(scope="module")
def alone(sources, tmp_path_factory) -> dict[str, bytes]:
    """What one process makes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK_BYTES", 40_000)
        draft = prepare(tmp_path_factory.mktemp("one") / "out", *sources, workers=1, **KEYS)
    records = balanced(draft)
    assert records["quarantined"] == 2 and records["merged"] >= 90
    found = results(draft.path)
    assert len(found) > 3 * 10
    return found


def test_two_workers_make_the_same_bytes_as_one(sources, alone, small_chunks, tmp_path):
    draft = prepare(tmp_path / "out", *sources, workers=2, **KEYS)
    balanced(draft)
    assert results(draft.path) == alone


@pytest.mark.slow
def test_a_cluster_of_two_nodes_makes_the_same_bytes(sources, alone, small_chunks, tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv(
        "PYTHONPATH",
        os.pathsep.join(filter(None, (str(Path(__file__).parents[1] / "unit"), os.environ.get("PYTHONPATH")))),
    )
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        draft = prepare(tmp_path / "out", *sources, engine="ray", **KEYS)
        assert sum(node["Alive"] for node in ray.nodes()) == 2
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert results(draft.path) == alone


PROGRAM = """
import sys
from yaya.prepare import chunks
chunks.CHUNK_BYTES = 40_000
from yaya.cli import main
if __name__ == "__main__":
    main(sys.argv[1:])
"""


def test_killed_and_started_again_it_goes_on_and_ends_as_if_nothing_had_happened(sources, alone, tmp_path):
    program = write(tmp_path / "program.py", PROGRAM)
    keys = [
        "prepare",
        "name=k",
        f"sources={json.dumps([str(s) for s in sources])}",
        "preset=chat",
        "repeated_lines=true",
    ]
    keys += ["decontaminate=[]", "workers=1"]
    command = [sys.executable, str(program), *keys]
    work = tmp_path / "runs" / "k" / ".prepare.partial" / "work"
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        give_up = time.monotonic() + 60
        while len(list(work.glob("clean-*.json"))) < 4 and process.poll() is None and time.monotonic() < give_up:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    done = {path: path.stat().st_mtime_ns for path in work.glob("clean-*.json")}
    assert len(done) >= 4, "it was finished before it could be killed"
    rests = {path: path.stat().st_mtime_ns for path in work.glob("*.clean.parquet")}
    kept = {path: rests[path] for path in rests if work / f"clean-{path.name[:5]}.json" in done}
    watched = subprocess.Popen([sys.executable, "-c", WATCH, str(work)], stdout=subprocess.PIPE, text=True)
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    again = json.loads(watched.communicate(timeout=30)[0])
    for path, changed in kept.items():
        assert again[path.name] == changed, "cleaned again"
    assert results(tmp_path / "runs" / "k" / "prepare") == alone


WATCH = """
import json, pathlib, sys, time
work, seen = pathlib.Path(sys.argv[1]), {}
while work.exists():
    try:
        seen |= {path.name: path.stat().st_mtime_ns for path in work.glob("*.clean.parquet")}
    except OSError:
        pass
    time.sleep(0.005)
print(json.dumps(seen))
"""


def test_the_same_command_once_more_does_nothing(sources, tmp_path):
    keys = ["prepare", "name=k", f"sources={json.dumps([str(sources[0])])}", "decontaminate=[]"]
    yaya(*keys, cwd=tmp_path)
    assert "already done" in yaya(*keys, "workers=2", cwd=tmp_path).stderr


def test_a_corpus_of_older_rules_is_used_with_a_word_and_made_anew_when_asked(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "The owl sleeps by day."}\n' * 2, "utf-8")
    keys = ["name=old", 'prepare.sources=["a.jsonl"]', "prepare.validation_fraction=0", "prepare.near_duplicates=false"]
    command = (
        "yaya prepare name=old 'sources=[\"a.jsonl\"]' validation_fraction=0.0 near_duplicates=false overwrite=true"
    )
    assert command not in yaya("prepare", *keys, cwd=tmp_path).stderr
    path = tmp_path / "runs" / "old" / "prepare" / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    del manifest["metrics"]["rules"]  # as before there were versions
    path.write_text(json.dumps(manifest), "utf-8")
    for stage in ("prepare", "tokenize"):
        said = yaya(stage, *keys, cwd=tmp_path, YAYA_LANG="en").stderr
        assert said.count("was made by older rules") == said.count(command) == 1 and "phone numbers" in said
    assert "电话号码" in yaya("prepare", *keys, cwd=tmp_path, YAYA_LANG="zh").stderr
    for changes_nothing in ([], ["seed=0"]):  # to run without a word of the data must not lose what was said of it
        yaya("tokenize", "name=old", *changes_nothing, cwd=tmp_path)
        assert read_recipe(path.parents[1] / "recipe.toml")["prepare"]["sources"] == ["a.jsonl"]
    said = yaya(*shlex.split(command)[1:], cwd=tmp_path).stderr
    assert "older rules" not in said and "already done" not in said and "something changed" not in said
    manifest = json.loads(path.read_text("utf-8"))
    assert "rules" in manifest["metrics"] and manifest["config"]["sources"] == ["a.jsonl"]


def test_own_texts_stay_where_no_sources_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "The owl sleeps by day."}\n' * 2, "utf-8")
    keys = ["prepare", "name=own", "sources=a.jsonl", "near_duplicates=false"]
    yaya(*keys, cwd=tmp_path)
    manifest = tmp_path / "runs" / "own" / "prepare" / "manifest.json"
    before = manifest.read_bytes()
    (tmp_path / "bare.toml").write_text('name = "own"\n[prepare]\nstories = 10\nconversations = 20\n', "utf-8")
    for request in (["prepare", "name=own"], ["prepare", "name=own", "preset=web"], ["run", "bare.toml"]):
        refused = yaya(*request, cwd=tmp_path, check=False, YAYA_LANG="en").stderr
        advised = re.search("To use the same texts: (.+?); to use", refused)
        assert advised and manifest.read_bytes() == before
        assert "already done" in yaya(*shlex.split(advised[1])[1:], cwd=tmp_path, YAYA_LANG="en").stderr
    assert "这次没有指定 sources" in yaya("prepare", "name=own", cwd=tmp_path, check=False, YAYA_LANG="zh").stderr
    for wanted in ("sources=primer", "sources=[]"):
        yaya("prepare", "name=own", wanted, "stories=10", "conversations=20", cwd=tmp_path)
    assert json.loads(manifest.read_bytes())["config"]["sources"] == []
    yaya(*keys, cwd=tmp_path)
    yaya("prepare", "name=own", "stories=10", "conversations=20", "overwrite=true", cwd=tmp_path)
    assert json.loads(manifest.read_bytes())["config"]["sources"] == []


def test_overwrite_makes_the_stage_anew_that_was_asked_for_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "The owl sleeps by day."}\n' * 2, "utf-8")
    keys = ["name=o", 'prepare.sources=["a.jsonl"]', "prepare.near_duplicates=false"]
    yaya("prepare", *keys, cwd=tmp_path)
    first = yaya("tokenize", *keys, cwd=tmp_path)
    manifests = [tmp_path / "runs" / "o" / stage / "manifest.json" for stage in ("prepare", "tokenize")]
    before = [path.stat().st_mtime_ns for path in manifests]
    assert "already done" not in first.stderr
    for stage, said in (("prepare", "redone, as requested"), ("tokenize", "redone, as requested")):
        assert said in yaya(stage, *keys, "overwrite=true", cwd=tmp_path, YAYA_LANG="en").stderr
    assert "already done" in yaya("tokenize", *keys, cwd=tmp_path, YAYA_LANG="en").stderr  # the same data once more
    after = [path.stat().st_mtime_ns for path in manifests]
    assert all(new > old for new, old in zip(after, before, strict=True))
