"""The whole story on a tiny recipe, told through the program as a user runs it."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.conftest import TINY, yaya

from yaya.core import artifact
from yaya.core.recipe import read_recipe


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def weights(run: Path) -> dict[str, str]:
    return {stage: digest(run / stage / "model.safetensors") for stage in ("pretrain", "finetune")}


def test_every_stage_left_its_artifact(tiny_run: Path) -> None:
    for stage in ("prepare", "tokenize", "pretrain", "finetune", "evaluate"):
        found = artifact.load(tiny_run / stage, stage)
        assert found is not None
        for name, expected in found.manifest["files"].items():
            assert digest(tiny_run / stage / name) == expected
    assert artifact.load(tiny_run / "pretrain").metrics["steps"] == 40
    assert not list(tiny_run.glob(".*.partial"))


def test_what_was_planned_lies_beside_the_training(tiny_run: Path) -> None:
    for stage in ("pretrain", "finetune"):
        plan = json.loads((tiny_run / stage / "plan.json").read_text("utf-8"))
        assert plan["tokens"] == artifact.load(tiny_run / stage).metrics["steps"] * 1024 and plan["memory_gb"] > 0


def test_metrics_hold_every_step(tiny_run: Path) -> None:
    rows = [json.loads(line) for line in (tiny_run / "pretrain" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 41))
    assert {"loss", "learning_rate", "tokens", "seconds"} <= rows[0].keys()
    assert rows[-1]["loss"] < rows[0]["loss"] - 1
    assert [row["step"] for row in rows if "bits_per_byte" in row] == [14, 40]  # 40 (1 / 2)^1.5, and the end


def test_samples_come_in_both_languages(tiny_run: Path) -> None:
    rows = [json.loads(line) for line in (tiny_run / "pretrain" / "samples.jsonl").read_text("utf-8").splitlines()]
    assert {row["language"] for row in rows} == {"zh", "en"}


def test_every_skill_is_asked_in_both_languages(tiny_run: Path) -> None:
    scores = json.loads((tiny_run / "evaluate" / "scores.json").read_text("utf-8"))
    for language in ("zh", "en"):
        part = scores["primer"][language]
        assert part["n"] == 33 and len(part["skills"]) == 11
        assert part["phrasings"]["n"] == 33 and part["paraphrases"]["n"] == 33
    report = (tiny_run / "evaluate" / "report.html").read_text("utf-8")
    assert "<svg" in report and "src=" not in report.replace('src="data:', "")


def test_running_again_skips_everything(tiny_run: Path) -> None:
    before = weights(tiny_run)
    for recipe in (["name=tiny", *TINY], ["runs/tiny/recipe.toml"]):
        done = yaya("run", *recipe, cwd=tiny_run.parents[1])
        assert done.stderr.count("already done") == 5
        assert "Measuring" not in done.stderr
    assert weights(tiny_run) == before


def test_overwrite_for_a_whole_run_keeps_what_would_not_differ_and_says_so(tiny_run: Path) -> None:
    before = weights(tiny_run)
    done = yaya("run", "runs/tiny/recipe.toml", "overwrite=true", cwd=tiny_run.parents[1], YAYA_LANG="en")
    assert "These would not, so they were kept: prepare, tokenize, pretrain, finetune, evaluate." in done.stderr
    assert weights(tiny_run) == before


def test_a_finished_model_is_not_overwritten_by_surprise(tiny_run: Path) -> None:
    before, recipe = weights(tiny_run), (tiny_run / "recipe.toml").read_bytes()
    done = yaya("pretrain", "runs/tiny/recipe.toml", "steps=7", cwd=tiny_run.parents[1], check=False)
    assert done.returncode == 1
    assert "steps: 40 -> 7" in done.stderr and "overwrite=true" in done.stderr and "name=" in done.stderr
    assert weights(tiny_run) == before and (tiny_run / "recipe.toml").read_bytes() == recipe


def test_the_data_of_a_finished_model_are_not_replaced_by_surprise(tiny_run: Path) -> None:
    files = [tiny_run / "recipe.toml", *(tiny_run / name / "manifest.json" for name in ("prepare", "tokenize"))]
    before = [path.read_bytes() for path in files]
    for request in (
        ["prepare", "name=tiny", "stories=300"],
        ["tokenize", "name=tiny", "vocab_size=700"],
        ["run", "runs/tiny/recipe.toml", "prepare.stories=300"],
        ["plan", "runs/tiny/recipe.toml", "tokenize.vocab_size=700"],
    ):
        done = yaya(*request, cwd=tiny_run.parents[1], check=False, YAYA_LANG="en")
        assert done.returncode == 1 and f"is what {Path('runs/tiny/pretrain')} was trained on" in done.stderr
        assert "overwrite=true" in done.stderr and "name=" in done.stderr
        assert [path.read_bytes() for path in files] == before
    assert "already done" in yaya("evaluate", "runs/tiny/recipe.toml", cwd=tiny_run.parents[1], YAYA_LANG="en").stderr


def test_a_model_is_scored_with_its_own_tokenizer_and_its_own_base_or_not_at_all(
    tmp_path: Path, tiny_run: Path
) -> None:
    shutil.copytree(tiny_run, tmp_path / "runs" / "tiny")
    scores = tmp_path / "runs" / "tiny" / "evaluate" / "scores.json"
    before = scores.read_bytes()

    def refused(*request: str) -> list[str]:
        done = yaya(*request, cwd=tmp_path, check=False, YAYA_LANG="en")
        assert done.returncode == 1 and scores.read_bytes() == before
        return done.stderr.rpartition("yaya ")[2].split()

    yaya("tokenize", "name=tiny", "vocab_size=700", "overwrite=true", cwd=tmp_path)
    advice = refused("evaluate", "name=tiny", "questions_per_skill=1", "max_new_tokens=4")
    assert advice[-1] == f"tokenizer_from={Path('runs/tiny/pretrain')}"
    yaya(*advice, cwd=tmp_path)
    yaya("evaluate", "name=tiny", "questions_per_skill=3", "max_new_tokens=16", cwd=tmp_path)
    found = [json.loads(text)["loss"] for text in (before, scores.read_bytes())]
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    before = scores.read_bytes()
    yaya("pretrain", "runs/tiny/recipe.toml", "steps=3", "overwrite=true", cwd=tmp_path)
    advice = refused("evaluate", "name=tiny", "questions_per_skill=1", "max_new_tokens=4")
    assert advice == ["finetune", "name=tiny", "overwrite=true"]


def test_a_run_that_takes_what_it_lacks_from_another_says_so_until_the_end(tmp_path: Path, tiny_run: Path) -> None:
    shutil.copytree(tiny_run, tmp_path / "runs" / "tiny")
    keys = ["steps=2", "batch_tokens=512", "samples=0", "evaluations=1"]
    said = yaya("finetune", "name=other", "from=tiny", *keys, cwd=tmp_path, YAYA_LANG="en").stderr
    following = "yaya evaluate name=other from=tiny"
    assert said.endswith(f"{following}\n") and "\nNext: " in said
    done = yaya("evaluate", "name=other", cwd=tmp_path, check=False, YAYA_LANG="en")
    assert done.returncode == 1 and "tiny has it" in done.stderr and done.stderr.endswith(f"{following}\n")
    for wrong, said in (("none", "There is no run"), ("other", "other has none")):
        done = yaya("finetune", "name=third", f"from={wrong}", cwd=tmp_path, check=False, YAYA_LANG="en")
        assert done.returncode == 1 and said in done.stderr
    yaya(*following.split()[1:], "questions_per_skill=1", "max_new_tokens=4", cwd=tmp_path)


def test_a_plan_for_a_finished_run_names_another(tiny_run: Path) -> None:
    said = yaya("plan", "runs/tiny/recipe.toml", cwd=tiny_run.parents[1], YAYA_LANG="en").stderr
    assert "is already trained and is kept" in said and said.endswith("yaya run runs/tiny/recipe.toml name=tiny-2\n")


def test_chat_and_generate(tiny_run: Path) -> None:
    folder = tiny_run.parents[1]
    replies = [yaya("chat", "tiny", "--once", "你是谁？", "--greedy", cwd=folder).stdout for _ in range(2)]
    assert replies[0] == replies[1] and replies[0].strip()
    text = yaya("generate", "tiny", "从前", "--greedy", "--max-new-tokens", "8", cwd=folder).stdout
    assert text.startswith("从前") and len(text) > 3


def test_transformers_opens_the_folder(tiny_run: Path) -> None:
    transformers = pytest.importorskip("transformers")
    import torch

    folder = tiny_run / "finetune"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    ours = yaya(
        "chat", "tiny", "--once", "Who are you?", "--greedy", "--max-new-tokens", "64", cwd=tiny_run.parents[1]
    ).stdout
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Who are you?"}], add_generation_prompt=True, return_tensors="pt"
    )["input_ids"]
    out = model.generate(prompt, max_new_tokens=64, do_sample=False, generation_config=None, eos_token_id=[0, 2])
    theirs = tokenizer.decode(out[0, prompt.shape[1] :], skip_special_tokens=True)
    assert torch.equal(out[:, : prompt.shape[1]], prompt)
    assert ours.rstrip("\n") == theirs


def kill_when(condition, folder: Path, *arguments: str) -> None:
    """Starts the program and kills it (-9) as soon as the condition holds."""
    process = subprocess.Popen([sys.executable, "-m", "yaya", *arguments], cwd=folder, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "finished before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


def checkpoint_beyond(folder: Path, step: int):
    def reached() -> bool:
        return any(int(path.name.split("-")[1]) >= step for path in (folder / "trainer").glob("step-*"))

    return reached


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_killed_twice_ends_with_the_same_bits(dtype: str, tiny_run: Path, tmp_path: Path) -> None:
    """kill -9 in pretraining, then in fine-tuning; `yaya run` on the run's own recipe goes on each time."""
    keys = [*TINY, f"dtype={dtype}", "pretrain.save_seconds=0", "finetune.save_seconds=0"]
    yaya("run", "name=straight", *keys, cwd=tmp_path)
    run, recipe = tmp_path / "runs" / "killed", "runs/killed/recipe.toml"
    kill_when(checkpoint_beyond(run / ".pretrain.partial", 11), tmp_path, "run", "name=killed", *keys)
    kill_when(checkpoint_beyond(run / ".finetune.partial", 4), tmp_path, "run", recipe)
    done = yaya("run", recipe, cwd=tmp_path)
    assert "resumes at step" in done.stderr and "Measuring" not in done.stderr
    assert weights(run) == weights(tmp_path / "runs" / "straight")
    steps = [json.loads(line)["step"] for line in (run / "pretrain" / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 41))
    if dtype == json.loads((tiny_run / "pretrain" / "manifest.json").read_text())["config"]["dtype"]:
        assert weights(run)["pretrain"] == weights(tiny_run)["pretrain"]


def test_ctrl_c_says_how_to_go_on(tiny_run: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_run / "prepare", tmp_path / "runs/other/prepare")
    shutil.copytree(tiny_run / "tokenize", tmp_path / "runs/other/tokenize")
    command = [
        sys.executable,
        "-m",
        "yaya",
        "pretrain",
        "name=c",
        "from=other",
        *(k.removeprefix("pretrain.") for k in TINY if k.startswith("pretrain.")),
        "save_seconds=0",
    ]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env={**os.environ, "YAYA_LANG": "en"}
    )
    reached = checkpoint_beyond(tmp_path / "runs/c/.pretrain.partial", 5)
    while not reached():
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped" in errors and "Traceback" not in errors


def test_the_recipe_holds_what_was_chosen(tiny_run: Path) -> None:
    recipe = read_recipe(tiny_run / "recipe.toml")
    assert recipe["dtype"] in ("float32", "bfloat16") and recipe["device"] and recipe["threads"] >= 1
    assert recipe["pretrain"]["intermediate_size"] > 0 and recipe["tokenize"]["han_run"] == 1


def test_minutes_fix_the_steps(tmp_path: Path, tiny_run: Path) -> None:
    """The dial: steps are chosen, settled where the rate begins to fall, and the recipe then repeats the run."""
    keys = [k for k in TINY if "steps" not in k]
    started = time.monotonic()
    said = yaya("run", "name=dial", *keys, "minutes=0.6", cwd=tmp_path).stderr
    passed = time.monotonic() - started
    assert "there is time for" in said
    recipe = read_recipe(tmp_path / "runs/dial/recipe.toml")
    assert recipe["minutes"] == 0.6
    for stage in ("pretrain", "finetune"):
        assert recipe[stage]["steps"] == artifact.load(tmp_path / "runs/dial" / stage).metrics["steps"]
    assert 18 < passed < 60  # 36 seconds; `tests/unit/test_plans.py` has them exactly, on a machine that is made up
    assert recipe["pretrain"]["decay_steps"] < recipe["pretrain"]["steps"]
    said = yaya("run", "name=dial", *keys, "minutes=0.6", cwd=tmp_path).stderr  # the user's own command, once more
    assert "[pretrain] already done" in said and "[finetune] already done" in said and "Measuring" not in said
    yaya("run", "runs/dial/recipe.toml", "name=again", cwd=tmp_path)
    for stage in ("pretrain", "finetune"):
        first, second = (tmp_path / "runs" / name / stage / "model.safetensors" for name in ("dial", "again"))
        assert first.read_bytes() == second.read_bytes()


def test_own_text_without_conversations(tmp_path: Path) -> None:
    """A folder of one's own: no fine-tuning, the model is a text model."""
    (tmp_path / "我的 文档").mkdir()
    for i in range(30):
        text = "".join(f"第{i}章第{j}句：小明和小红在河边数了{i * j % 97}颗石子。\n" for j in range(60))
        (tmp_path / "我的 文档" / f"{i}.txt").write_text(text, "utf-8")
    keys = [k for k in TINY if k.startswith("pretrain.") or k.startswith("evaluate.")]
    done = yaya("run", "name=own", 'prepare.sources=["我的 文档"]', *keys, "tokenize.vocab_size=400", cwd=tmp_path)
    assert "no conversations" in done.stderr
    scores = json.loads((tmp_path / "runs/own/evaluate/scores.json").read_text("utf-8"))
    files = sorted((tmp_path / "runs/own/prepare").glob("validation-*.parquet"))
    held_out = [row["text"] for path in files for row in pq.read_table(path).to_pylist()]
    assert scores["bytes"] == sum(len(text.encode()) for text in held_out) > 0
    assert "primer" not in scores and "before_finetuning" not in scores
    assert yaya("generate", "own", "第", "--greedy", cwd=tmp_path).stdout.startswith("第")


def test_too_little_text_is_refused_with_the_amount(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("just a few words, " * 20, "utf-8")
    done = yaya("run", "name=little", "prepare.sources=a.txt", "pretrain.steps=2", cwd=tmp_path, check=False)
    assert done.returncode == 1 and "batch_tokens" in done.stderr and "Traceback" not in done.stderr


def test_a_model_that_reads_little_is_evaluated_all_the_same(tmp_path: Path) -> None:
    """Some questions of the examination are longer than 64 tokens."""
    keys = [*TINY, "pretrain.context_length=64", "pretrain.steps=3", "finetune.steps=2", "tokenize.vocab_size=300"]
    yaya("run", "name=short", *keys, cwd=tmp_path)
    assert (tmp_path / "runs/short/evaluate/scores.json").exists()


def test_plan_trains_nothing(tiny_run: Path, tmp_path: Path) -> None:
    for name in ("prepare", "tokenize"):
        shutil.copytree(tiny_run / name, tmp_path / "runs/p" / name)
    keys = [key for key in TINY if not key.endswith("steps=40") and not key.endswith("steps=12")]
    done = yaya("plan", "name=p", "minutes=1", *keys, cwd=tmp_path)
    assert "million parameters" in done.stderr and "tokens/s" in done.stderr and "GB" in done.stderr
    assert (
        "Nothing was trained" in done.stderr and "expected validation loss" not in done.stderr
    )  # too little text to tell
    settled = yaya("plan", "name=p", "minutes=1", *TINY, cwd=tmp_path)  # steps are given: says the same, and how long
    assert "tokens/s" in settled.stderr
    assert not (tmp_path / "runs/p/pretrain").exists() and not (tmp_path / "runs/p/.pretrain.partial").exists()
