"""Every command in README and guides is one that works."""

import io
import os
import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
from tests.commands import resolved
from tests.conftest import ROOT

from yaya.cli import main, stages
from yaya.prepare import corpus

PAGES = ("guide", "data", "training", "scale")
DOCS = ["README.md", "README.zh-CN.md", *(f"docs/{language}/{page}.md" for language in ("en", "zh") for page in PAGES)]


def commands() -> list[str]:
    found = []
    for name in DOCS:
        for block in re.findall(r"```sh\n(.*?)```", (ROOT / name).read_text("utf-8"), re.S):
            found += [line.split("  #")[0].strip() for line in block.splitlines() if line.startswith("yaya ")]
    return sorted(set(found))


@pytest.mark.parametrize("command", [c for c in commands() if c.split()[1] in (*stages.names(), "plan")])
def test_stage_commands_name_real_keys(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe is built as the command would build it; running it is the story's business."""
    monkeypatch.chdir(tmp_path)
    corpus.check(resolved(*shlex.split(command)[1:]).recipe.stages["prepare"])


def making(text: str) -> list[list[str]]:
    """The words of each `yaya STAGE` of a page, or of a recipe's comments, that makes something of a run."""
    lines = re.findall(r"(?:^(?:#   )?|-m |^#.* {5})(?:yaya|sbatch .*?slurm\.sh) (.*)", text, re.M)
    words = [shlex.split(re.split(r"\s{4,}|  #", line)[0]) for line in lines]
    return [w for w in words if w[0] in ("run", *stages.names()) and not any("preview=" in word for word in w)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_command_replaces_what_one_before_made(
    language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who types all of them, page by page, is never refused: of one name a stage is made in one way only."""
    monkeypatch.chdir(tmp_path)
    pages = ["README.md" if language == "en" else "README.zh-CN.md", *(f"docs/{language}/{page}.md" for page in PAGES)]
    texts = [(ROOT / page).read_text("utf-8") for page in pages]
    texts += [path.read_text("utf-8") for path in sorted((ROOT / "recipes").glob("*.toml"))]
    found = [words for text in texts for words in making(text) if words[0] != "tune"]
    assert len(found) > 30 and ["run", "recipes/laptop.toml"] in found  # make demo
    made: dict[tuple[str, str], set[str]] = {}
    for words in found:
        job = resolved(*words)
        corpus.check(job.recipe.stages["prepare"])
        for stage in job.recipe.stages if words[0] == "run" else [words[0]]:
            made.setdefault((job.recipe.run.name, stage), set()).add(shlex.join(words))
    assert [(place, ways) for place, ways in made.items() if len(ways) > 1] == []


@pytest.mark.parametrize("command", [c for c in commands() if c.split()[1] in ("chat", "generate", "doctor")])
def test_tool_commands_run(
    command: str, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, which saves seconds each; the story starts the program as a user does."""
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    os.symlink(tiny_run / "finetune", tmp_path / "runs/demo/finetune")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    threads = torch.get_num_threads()
    main(shlex.split(command)[1:])  # a failure is a SystemExit
    torch.set_num_threads(threads)
    assert capsys.readouterr().out.strip() or command.split()[1] == "chat"


def test_both_languages_show_the_same_commands() -> None:
    def plain(name: str) -> list[str]:
        text = (ROOT / name).read_text("utf-8")
        lines = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.S)).splitlines()
        return [re.sub(r"#.*|\"[^\"]*\"", "", line).strip() for line in lines]

    assert plain("README.md") == plain("README.zh-CN.md")
    for page in PAGES:
        assert plain(f"docs/en/{page}.md") == plain(f"docs/zh/{page}.md")
