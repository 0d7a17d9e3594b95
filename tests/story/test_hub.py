"""Datasets from a hub, as a user gets them: the program against a small hub on loopback."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hub_server import Hub, running_hub
from tests.conftest import yaya


def parquet(texts: list[str]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"text": texts, "other": list(range(len(texts)))}), out, row_group_size=50)
    return out.getvalue()


def sentences(start: int, count: int) -> list[str]:
    return [
        f"Document number {n} says that {n} apples lie in basket {n * 7 % 31}, and nothing else."
        for n in range(start, start + count)
    ]


def environment(hub: Hub, folder: Path, **more: str) -> dict[str, str]:
    return {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_OFFLINE": "0",
        "MODELSCOPE_DOMAIN": hub.url,
    } | more


SEVERAL = """
import sys
from yaya.cli import main

for number, source in enumerate(sys.argv[1:]):
    try:
        main(["prepare", f"name=h{number}", f'sources=["{source}"]', "near_duplicates=false", "validation=hash"])
    except SystemExit as end:
        print("exit", end.code, file=sys.stderr)
    print("----", file=sys.stderr)
"""


def prepare_each(sources: Iterable[str], folder: Path, env: dict[str, str]) -> list[str]:
    """Prepares each source as run h0, h1, ... in one process, which saves seconds each; what was said of each."""
    command = [sys.executable, "-c", SEVERAL, *sources]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **env}, capture_output=True, encoding="utf-8", timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.split("----")[:-1]


def corpus(folder: Path, name: str = "h") -> list[str]:
    files = sorted((folder / "runs" / name / "prepare").glob("train-*.parquet"))
    files += sorted((folder / "runs" / name / "prepare").glob("validation-*.parquet"))
    return [row["text"] for file in files for row in pq.read_table(file).to_pylist()]


IDS = {
    "hf:team/plain": 300,
    "hf:team/plain/part": 100,
    "hf:team/carded": 100,
    "hf:team/carded/second": 50,
    "hf:team/plain:test": 20,
    "hf:team/scripted": 70,
    "ms:team/plain": 300,
}


def test_datasets_by_their_ids(tmp_path: Path) -> None:
    plain = {
        "README.md": b"# no head",
        "data/train-00000.parquet": parquet(sentences(0, 200)),
        "part/train-00000.parquet": parquet(sentences(200, 100)),
        "data/test-00000.parquet": parquet(sentences(900, 20)),
    }
    head = (
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: one/*.parquet\n"
        "- config_name: second\n  data_files:\n  - split: train\n    path: two/*\n---\n# card\n"
    )
    carded = {
        "README.md": head.encode(),
        "one/a.parquet": parquet(sentences(0, 100)),
        "two/b.parquet": parquet(sentences(100, 50)),
    }
    hub = Hub({"team/plain": plain, "team/carded": carded, "team/scripted": {"load.py": b"print(1)"}})
    hub.converted["team/scripted"] = {"default/train/0000.parquet": parquet(sentences(0, 70))}
    with running_hub(hub):
        prepare_each(IDS, tmp_path, environment(hub, tmp_path))
    assert {source: len(corpus(tmp_path, f"h{n}")) for n, source in enumerate(IDS)} == IDS


def test_a_transfer_that_breaks_off_goes_on_where_it_was(tmp_path: Path) -> None:
    texts = [f"{n} " + " ".join(f"word{n * k % 977}" for k in range(300)) for n in range(400)]
    data = parquet(texts)
    hub = Hub({"team/big": {"data/train-00000.parquet": data}}, cut_after=len(data) // 4, cuts=3, errors=1)
    with running_hub(hub):
        done = yaya(
            "prepare",
            "name=h",
            'sources=["hf:team/big"]',
            "near_duplicates=false",
            "validation=hash",
            cwd=tmp_path,
            **environment(hub, tmp_path),
        )
    assert sorted(corpus(tmp_path)) == sorted(texts)
    assert "retrying in" in done.stderr
    starts = {headers.get("Range") for method, path, headers in hub.asked if "resolve" in path}
    assert len(starts) > 2  # not from the beginning each time


def test_a_dataset_that_changed_on_modelscope_is_read_again(tmp_path: Path) -> None:
    files = {"data/train-00000.jsonl": b'{"text": "One apple lies in basket 1."}\n' * 3}
    hub = Hub({"team/moving": files})
    keys = ("prepare", "name=h", 'sources=["ms:team/moving"]', "validation_fraction=0")
    with running_hub(hub):
        env = environment(hub, tmp_path)
        yaya(*keys, cwd=tmp_path, **env)
        assert "already done" in yaya(*keys, cwd=tmp_path, **env).stderr
        files["data/train-00000.jsonl"] = files["data/train-00000.jsonl"].replace(
            b"apple", b"lemon"
        )  # as long as before
        assert "already done" not in yaya(*keys, cwd=tmp_path, **env).stderr
    assert corpus(tmp_path) == ["One lemon lies in basket 1."]


def test_the_token_goes_to_the_hub_alone_and_errors_say_what_to_do(tmp_path: Path) -> None:
    hub = Hub(
        {"team/private": {"data/train-00000.parquet": parquet(sentences(0, 60))}, "team/gated": {}}, token="hf_secret"
    )
    hub.gated.add("team/gated")
    with running_hub(hub):
        env = environment(hub, tmp_path)
        refused = yaya("prepare", "name=h", 'sources=["hf:team/private"]', cwd=tmp_path, check=False, **env)
        assert refused.returncode == 1 and "401" in refused.stderr and "Traceback" not in refused.stderr
        yaya(
            "prepare",
            "name=h",
            'sources=["hf:team/private"]',
            "near_duplicates=false",
            "validation=hash",
            cwd=tmp_path,
            **env,
            HF_TOKEN="hf_secret",
        )
        assert len(corpus(tmp_path)) == 60
        wanted = {"hf:team/gated": "accept", "hf:team/nothing": "no dataset", "hf:lonely": "not a dataset id"}
        for said, words in zip(prepare_each(wanted, tmp_path, env), wanted.values(), strict=True):
            assert "exit 1" in said and words in said and "Traceback" not in said, said
    done = yaya("prepare", "name=x", 'sources=["hf:team/plain"]', cwd=tmp_path, check=False, **env)
    assert done.returncode == 1 and "hf-mirror.com" in done.stderr and "Traceback" not in done.stderr
    done = yaya(
        "prepare", "name=x", 'sources=["hf:team/plain"]', cwd=tmp_path, check=False, **env | {"HF_HUB_OFFLINE": "1"}
    )
    assert done.returncode == 1 and "HF_HUB_OFFLINE" in done.stderr
