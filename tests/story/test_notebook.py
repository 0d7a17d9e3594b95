"""The Colab notebook: what its cells do without a GPU is done here, as Colab would do it."""

import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
import types
from pathlib import Path
from typing import Any

import pytest
from tests.commands import resolved
from tests.conftest import ROOT, TINY

CELLS = json.loads((ROOT / "docs/colab.ipynb").read_text("utf-8"))["cells"]
CODE = [("".join(cell["source"]), cell) for cell in CELLS if cell["cell_type"] == "code"]


def run_cell(source: str, names: dict[str, Any]) -> str:
    """Runs a cell as a notebook does: `!` hands a line to the shell, with {names} filled in. What the shell said."""
    said = []

    def shell(line: str) -> None:
        line = re.sub(r"\{(\w+)\}", lambda found: str(names[found[1]]), line)
        done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        said.append(done.stdout)

    exec(re.sub(r"^(\s*)!(.+)$", r"\1_shell(r'''\2''')", source, flags=re.M), names | {"_shell": shell}, names)
    return "".join(said)


def tagged(tag: str) -> list[str]:
    return [source for source, cell in CODE if cell["metadata"]["tags"] == [tag]]


def test_notebook_is_small_and_clean() -> None:
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for _, cell in CODE)
    assert {tag for _, cell in CODE for tag in cell["metadata"]["tags"]} == {"cpu", "setup", "gpu"}
    assert len({cell["id"] for cell in CELLS}) == len(CELLS)
    for cell in CELLS:
        text = "".join(cell["source"])
        assert cell["cell_type"] == "code" or (re.search("[\u4e00-\u9fff]", text) and re.search("[A-Za-z]{2}", text))


def test_cells_run_from_text_to_a_chat_reply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All cells for a CPU, in order; Colab's own modules are stand-ins."""
    shown, downloaded = [], []
    display = types.SimpleNamespace(HTML=lambda text: text, display=shown.append)
    for name in ("google", "IPython"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    colab = types.SimpleNamespace(files=types.SimpleNamespace(download=downloaded.append))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("YAYA_MINUTES", "1")
    monkeypatch.setenv("YAYA_KEYS", shlex.join(TINY))
    monkeypatch.chdir(tmp_path)
    os.symlink(ROOT / "recipes", "recipes")
    names: dict[str, Any] = {}
    said = [run_cell(source, names) for source in tagged("cpu")]
    assert any(len(text.splitlines()) == 2 for text in said)  # two replies
    assert "<iframe" in shown[0] and "&lt;html" in shown[0]
    with tarfile.open(downloaded[0]) as packed:
        assert "finetune/model.safetensors" in packed.getnames()


def test_cells_for_a_gpu_name_real_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = re.findall(r"^!yaya run (.+)$", "\n".join(tagged("gpu")), re.M)
    assert found
    for words in found:
        resolved("run", *shlex.split(words))


def test_setup_installs_what_was_cloned() -> None:
    [setup] = tagged("setup")
    assert "git clone" in setup and "{REPO}" in setup and "pip install -q ." in setup
