"""Which folder a model's name refers to, and what to say if there is none."""

from __future__ import annotations

import shlex
from pathlib import Path

from yaya.core import artifact
from yaya.core.lock import is_locked
from yaya.core.messages import UserError, program
from yaya.core.run_folder import RUNS


def model_folder(model: str) -> Path:
    """The folder of MODEL: a path, else a run's name (its last finished training stage); UserError if it is neither."""
    path = Path(model)
    in_runs = path.absolute().parent == RUNS.absolute()  # runs/demo is what the shell completes
    run = RUNS / path.name if in_runs or (model == path.name and model.strip(".")) else None
    is_path = (path / "config.json").is_file()
    found = finished_in(run, models=True) if run and run.is_dir() else []
    if is_path and found and not in_runs:
        raise UserError(
            f"{model} is both a folder and a run. Write ./{model} for the folder, {found[-1]} for the run.",
            f"{model} 既是文件夹又是运行。文件夹请写 ./{model}，运行请写 {found[-1]}。",
        )
    if is_path:
        return path
    if found:
        return found[-1]
    raise no_model(path, run)


def no_model(path: Path, run: Path | None) -> UserError:
    """Why there is no model, and what to do. run: the run that may be meant."""
    if run and run.is_dir():
        return no_model_yet(run)
    if path.is_dir():
        return UserError(
            f"{path} contains no model: it has no config.json.{known_runs()[0]}",
            f"{path} 这个文件夹里没有模型：缺少 config.json。{known_runs()[1]}",
        )
    where = RUNS.absolute()
    en, zh = (f"not in {where}", f"{where} 里没有") if RUNS.is_dir() else (f"{where} does not exist", f"{where} 不存在")
    return UserError(
        f"No run or model folder named {path}: {en}.{known_runs()[0]}",
        f"找不到名为 {path} 的运行或模型文件夹：{zh}。{known_runs()[1]}",
    )


def no_model_yet(run: Path) -> UserError:
    """For a run whose training has not finished, or not begun."""
    if is_locked(run):
        return UserError(
            f"{run} has no finished model yet: another yaya is still working there. Wait until it has finished.",
            f"{run} 里还没有训练好的模型：另一个 yaya 正在里面运行，请等它结束。",
        )
    done = [path.name for path in finished_in(run)] + ["tune"] * (artifact.load(run / "tune") is not None)
    en, zh = ", nor any finished stage", "什么都没做完"
    if done:
        en, zh = f". Finished so far: {', '.join(done)}", f"只做完了 {'、'.join(done)}"
    recipe, best = run / "recipe.toml", run / "tune" / "best.toml"
    words = [str(recipe)] if recipe.is_file() else ["recipes/laptop.toml", f"name={run.name}"]
    if "tune" in done and not recipe.is_file() and best.is_file():
        words = [str(best), f"name={run.name}-best"]
    goes_on = shlex.join(words)
    return UserError(
        f"{run} has no finished model yet{en}. To continue: {program()} run {goes_on}",
        f"{run} 里还没有训练好的模型，{zh}。继续运行：{program()} run {goes_on}",
    )


def finished_in(run: Path, models: bool = False) -> list[Path]:
    """The finished stages in a run's folder, in order; with `models`, only those that train."""
    from yaya import pipeline  # loads torch, so only for a run that exists

    stages = [name for name, stage in pipeline.STAGES.items() if stage.trains or not models]
    return [run / name for name in stages if artifact.load(run / name, name)]


def known_runs() -> tuple[str, str]:
    """Which runs have a model, else how to train one; appended to a sentence."""
    models = (path.parent for path in RUNS.glob("*/*/config.json") if (path.parent / artifact.MANIFEST).exists())
    known = sorted({path.parent.name for path in models})
    if known:
        return f" Finished runs: {', '.join(known)}.", f"已有的运行：{'、'.join(known)}。"
    make = f"{program()} run recipes/laptop.toml"
    return f" Train one with: {make}", f"先训练一个：{make}"
