"""Every command in README and guides is one that works."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from tests.conftest import ROOT, yaya

from yaya import cli, pipeline
from yaya.core.config import build, keys, parse_assignment, read_recipe, set_dotted
from yaya.tune import search
from yaya.tune.space import parse_space

DOCS = ["README.md", "README.zh-CN.md", "docs/en/guide.md", "docs/zh/guide.md", "docs/en/data.md", "docs/zh/data.md"]
DOCS += ["docs/en/training.md", "docs/zh/training.md"]


def commands() -> list[str]:
    found = []
    for name in DOCS:
        for block in re.findall(r"```sh\n(.*?)```", (ROOT / name).read_text("utf-8"), re.S):
            found += [line.split("  #")[0].strip() for line in block.splitlines() if line.startswith("yaya ")]
    return sorted(set(found))


@pytest.mark.parametrize("command", [c for c in commands() if c.split()[1] in (*cli.STAGE_NAMES, "plan")])
def test_stage_commands_name_real_keys(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe is built as the command would build it; running it is the story's business."""
    monkeypatch.chdir(tmp_path)
    _, stage, *rest = shlex.split(command)
    stage = "run" if stage == "plan" else stage
    recipe: dict = {}
    for word in rest:
        if "=" not in word:
            recipe = read_recipe(ROOT / word)
            continue
        name, value = parse_assignment(word)
        own = (
            search.TuneConfig if stage == "tune" else pipeline.STAGES[stage].config_class() if stage != "run" else None
        )
        inner = own is not None and name.split(".")[0] in keys(own)
        set_dotted(recipe, f"{stage}.{name}" if inner else name, value)
    tune = build(search.TuneConfig, recipe.pop("tune", {}), "tune")
    job = pipeline.Run(recipe)
    parse_space(tune.space, job.configs[tune.stage])


@pytest.mark.parametrize("command", [c for c in commands() if c.split()[1] in ("chat", "generate", "doctor")])
def test_tool_commands_run(command: str, tiny_run: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_run / "finetune", tmp_path / "runs/demo/finetune")
    done = yaya(*shlex.split(command)[1:], cwd=tmp_path, stdin="")
    assert done.returncode == 0


def test_both_languages_show_the_same_commands() -> None:
    def plain(name: str) -> list[str]:
        text = (ROOT / name).read_text("utf-8")
        lines = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.S)).splitlines()
        return [re.sub(r"#.*|\"[^\"]*\"", "", line).strip() for line in lines]

    assert plain("README.md") == plain("README.zh-CN.md")
    assert plain("docs/en/guide.md") == plain("docs/zh/guide.md")
    assert plain("docs/en/data.md") == plain("docs/zh/data.md")
    assert plain("docs/en/training.md") == plain("docs/zh/training.md")
