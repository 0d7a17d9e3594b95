"""What goes wrong at a user's desk: each mistake ends in a sentence that says what, where and how to mend it."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from tests.conftest import with_base, yaya

from yaya.cli import commands
from yaya.core import machine
from yaya.core.artifact import SCHEMA_VERSION

Told = tuple[int, str]


def mistake(*arguments: str, cwd: Path, **env: str) -> Told:
    """(exit code, what the program said), through the real program; a traceback is never an answer."""
    return checked(yaya(*arguments, cwd=cwd, check=False, **({"YAYA_LANG": "en"} | env)))


def checked(done: subprocess.CompletedProcess[str]) -> Told:
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    assert done.stdout == ""  # that belongs to replies and data
    return done.returncode, done.stderr


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tell(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """As `mistake`, within this process: what is not caught as a message fails the test by itself."""
    # Nothing is measured, and torch's switches for the whole process (denormals!) stay as other tests want them.
    monkeypatch.setattr(machine, "setup", lambda *_: machine.Machine("cpu", "float32", 1))

    def inner(*arguments: str, language: str = "en") -> Told:
        monkeypatch.setenv("YAYA_LANG", language)
        with pytest.raises(SystemExit) as caught:
            commands.main(list(arguments))
        return int(caught.value.code or 0), capsys.readouterr().err

    return inner


def finished(run: Path, stage: str = "pretrain", **manifest: object) -> Path:
    """A stage's folder with nothing but its manifest."""
    (run / stage).mkdir(parents=True)
    content = {
        "kind": stage,
        "schema_version": SCHEMA_VERSION,
        "digest": "",
        "config": {},
        "parents": {},
        "metrics": {},
    }
    (run / stage / "manifest.json").write_text(json.dumps(content | manifest))
    return run / stage


# ---------------------------------------------------------------- through the program


def test_an_unknown_key(tmp_path: Path) -> None:
    code, said = mistake("run", "name=x", "minuets=3", cwd=tmp_path)
    assert code == 1 and "Unknown key minuets" in said and "Did you mean minutes?" in said
    assert not (tmp_path / "runs").exists()


def test_an_unknown_command_in_chinese(tmp_path: Path) -> None:
    code, said = mistake("pretrian", cwd=tmp_path, YAYA_LANG="zh")
    assert code == 2 and "没有 pretrian 这个命令" in said and "你是想写 pretrain 吗" in said and "--help" in said


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    code, said = mistake("run", "recipes/lapdog.toml", cwd=tmp_path)
    assert code == 1 and str(Path("recipes/lapdog.toml")) in said and "recipes/" in said


def test_a_recipe_that_is_no_toml(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "x"\n[pretrain]\nsteps = many\n', "utf-8")
    code, said = mistake("run", "mine.toml", cwd=tmp_path)
    assert code == 1 and "mine.toml" in said and "TOML" in said and "line 3" in said


def test_a_run_made_by_a_newer_yaya(tmp_path: Path) -> None:
    folder = finished(tmp_path / "runs" / "future", schema_version=SCHEMA_VERSION + 8)
    before = (folder / "manifest.json").read_bytes()
    code, said = mistake("chat", "future", cwd=tmp_path)
    assert code == 1 and "newer yaya" in said and str(SCHEMA_VERSION + 8) in said and "Update yaya" in said
    assert str(Path("runs/future/pretrain")) in said
    assert (folder / "manifest.json").read_bytes() == before


def recorded(run: Path, *lines: str) -> Path:
    """A run's recipe.toml with these lines in its table of pretrain."""
    run.mkdir(parents=True)
    tables = ['device = "cpu"', "[prepare]", "[tokenize]", "vocab_size = 300", "[pretrain]", *lines, "[finetune]"]
    (run / "recipe.toml").write_text("\n".join([f'name = "{run.name}"', *tables, ""]))
    return run / "recipe.toml"


@pytest.mark.parametrize("lines", [["hidden_size = 'wide'"], ["hidden_size ="], ["[pretrain"]])
@pytest.mark.parametrize("command", ["finetune", "evaluate"])
def test_a_recorded_recipe_that_was_damaged(
    command: str, lines: list[str], here: Path, tell: Callable[..., Told]
) -> None:
    """What is wrong is in a file that the user has not named: it is named, with the way out."""
    path = recorded(here / "runs" / "mine", *lines)
    code, said = tell(command, "name=mine", "tokenize.vocab_size=300")
    assert code == 1 and str(Path("runs/mine/recipe.toml")) in said and "delete it" in said
    assert "删掉它" in tell(command, "name=mine", "tokenize.vocab_size=300", language="zh")[1]
    path.unlink()
    assert "recipe.toml" not in tell(command, "name=mine", "prepare.sources=nowhere.txt")[1]


@pytest.mark.parametrize("command", ["finetune", "evaluate"])
def test_a_recorded_recipe_of_another_version(command: str, here: Path, tell: Callable[..., Told]) -> None:
    """A key that this yaya does not have is no mistake of whoever runs the same command after an update."""
    recorded(here / "runs" / "mine", "steps = 3", "key_of_tomorrow = 1")
    code, said = tell(command, "name=mine", "prepare.sources=nowhere.txt")
    assert code == 1 and "key_of_tomorrow" not in said


def test_a_name_with_a_slash(tmp_path: Path) -> None:
    code, said = mistake("run", "name=../escape", cwd=tmp_path)
    assert code == 1 and "'../escape'" in said and "name" in said
    assert not (tmp_path / "runs").exists() and not (tmp_path.parent / "escape").exists()


def test_a_folder_with_chinese_and_spaces_in_its_name_works(tmp_path: Path) -> None:
    home = tmp_path / "我的 模型 (新)"
    (home / "文 本").mkdir(parents=True)
    (home / "文 本" / "故事 一.txt").write_text(
        "从前有一只小猫，它住在竹子镇。\n" * 3 + "它有三个朋友。\n" * 3, "utf-8"
    )
    done = yaya("prepare", "name=娃娃 一号", "sources=文 本/故事 一.txt", cwd=home, YAYA_LANG="en")
    run = home / "runs" / "娃娃 一号"
    assert (run / "prepare" / "manifest.json").is_file() and "娃娃 一号" in done.stderr
    assert "故事 一.txt" in (run / "recipe.toml").read_text("utf-8")


def test_two_programs_in_one_run(tmp_path: Path) -> None:
    (tmp_path / "runs" / "busy").mkdir(parents=True)
    with FileLock(tmp_path / "runs" / "busy" / ".lock"):
        code, said = mistake("prepare", "name=busy", "conversations=10", cwd=tmp_path)
    assert code == 1 and "Another yaya" in said and str(Path("runs/busy")) in said and "name=" in said
    assert [p.name for p in (tmp_path / "runs" / "busy").iterdir()] in ([], [".lock"])


def test_chinese_on_a_terminal_that_cannot_show_it(tmp_path: Path) -> None:
    """A redirected Windows console or a bare container: the help may lose characters, but it comes."""
    done = yaya("--help", cwd=tmp_path, check=False, YAYA_LANG="zh", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert "Traceback" not in done.stderr
    assert done.returncode == 0 and "recipes/laptop.toml" in done.stdout


# ---------------------------------------------------------------- the same way, without a new process


@pytest.mark.parametrize(
    "arguments", [("serve", "nobody"), ("generate", "nobody", "Once"), ("chat", "nobody", "--once", "hi")]
)
def test_a_model_that_is_not_there(arguments: tuple[str, ...], tell: Callable[..., Told], here: Path) -> None:
    code, said = tell(*arguments)
    assert code == 1 and "nobody" in said and "yaya run recipes/laptop.toml" in said
    (finished(here / "runs" / "finn") / "config.json").write_text("{}")
    code, said = tell(*arguments, language="zh")
    assert code == 1 and "找不到名为 nobody 的" in said and "finn" in said


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run"], 2, ["yaya run recipes/laptop.toml"]),
        (["run", "=3"], 2, ["key=value", "'=3'"]),
        (["run", "a.toml", "b.toml"], 1, ["a.toml"]),
        (["run", "name=x", "device=tpu"], 1, ["device", "tpu", "cpu", "cuda"]),
        (["run", "name=x", "minutes=soon"], 1, ["minutes must be a number", "'soon'"]),
        (["run", "name=x", "minutes=0"], 1, ["minutes", "at least 0.05"]),
        (["run", "name=x", "pretrain=3"], 1, ["pretrain"]),
        (["run", "name=x", "pretrain.head_dim=48"], 1, ["pretrain.head_dim", "32, 64, 128", "48"]),
        (["run", "name=x", "pretrain.hidden_size.x=3"], 1, ["pretrain.hidden_size must be a whole number"]),
        (["prepare", "seed=1", "seed.x=2"], 2, ["seed"]),
        (["pretrain", "name=x"], 1, [str(Path("runs/x/tokenize")), "yaya tokenize name=x"]),
        (["pretrain", "name=x", "stepz=3"], 1, ["Unknown key stepz", "Did you mean steps?"]),
        (["run", "name=x", "pretrain.stepz=3"], 1, ["Unknown key pretrain.stepz", "Did you mean steps?"]),
        (["finetune", "name=x", "from=other"], 1, ["no run", str(Path("runs/other")), "from=other"]),
        (["evaluate", "name=x"], 1, ["yaya prepare name=x"]),
        (["chat"], 2, ["MODEL", "yaya chat --help"]),
        (["chat", "x", "--colour", "red"], 2, ["--colour", "yaya chat --help"]),
        (["chat", "x", "--top-k", "many"], 2, ["--top-k", "many"]),
        (["chat", "finn", "--temperature=-1"], 1, ["temperature=-1"]),
        (["chat", "finn", "--top-p", "1.5"], 1, ["top_p=1.5"]),
        (["generate", "finn", "y", "--max-new-tokens", "0"], 1, ["max_new_tokens=0"]),
        (["serve", "x", "--port", "http"], 2, ["--port", "http"]),
        (["doctor", "please"], 2, ["please", "yaya doctor --help"]),
    ],
)
def test_the_message_holds_what_one_needs(
    arguments: list[str], code: int, words: list[str], tell: Callable[..., Told], here: Path
) -> None:
    (finished(here / "runs" / "finn") / "config.json").write_text("{}")
    found, said = tell(*arguments)
    assert found == code and said.startswith("Error: ")
    for word in words:
        assert word in said
    found, said = tell(*arguments, language="zh")
    assert found == code and said.startswith("出错了：")
    assert not list(here.glob("runs/*/*.toml"))  # a request that is refused changes nothing


@pytest.mark.parametrize(
    "arguments",
    [
        ["chat", "\udcff"],
        ["chat", "m", "--once", "caf\udce9"],
        ["chat", "m", "--system", "\udcff"],
        ["generate", "m", "\udcff"],
        ["serve", "\udcff"],
        ["run", "recipes/\udcff.toml"],
        ["run", "name=x", "prepare.sources=a\udcff.txt"],
        ["plan", "name=\udcff"],
        ["prepare", "\udcff=1"],
        ["\udcff"],
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_argument_that_is_no_text(
    arguments: list[str], language: str, tell: Callable[..., Told], here: Path
) -> None:
    code, said = tell(*arguments, language=language)
    word = next(a for a in arguments if not a.isprintable())
    shown = word.replace("\udcff", r"\xff").replace("\udce9", r"\xe9")
    assert code == 1 and shown in said and "utf-8" in said
    assert list(here.iterdir()) == []


def test_names_that_would_control_the_terminal(tell: Callable[..., Told], here: Path) -> None:
    code, said = tell("chat", "\x1b]0;owned\x07")
    assert code == 1 and r"model folder named \x1b]0;owned\x07:" in said and "\x1b" not in said


def test_a_missing_input_in_chinese(tell: Callable[..., Told]) -> None:
    code, said = tell("pretrain", "name=x", language="zh")
    assert code == 1 and "缺少" in said and str(Path("runs/x/tokenize")) in said and "yaya tokenize name=x" in said


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/tmp/x", r"a\b", "a:b", "a*", 'a"b', ".hidden", "x" * 300, "模" * 100, "\udcff"]
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_name_that_is_no_folder_name(name: str, language: str, tell: Callable[..., Told], here: Path) -> None:
    code, said = tell("run", f"name={name}", language=language)
    assert code == 1 and "name=" in said
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("blocker", ["runs", "runs/x"])
def test_a_file_where_the_run_should_be(blocker: str, tell: Callable[..., Told], here: Path) -> None:
    (here / blocker).parent.mkdir(exist_ok=True)
    (here / blocker).write_text("mine")
    code, said = tell("prepare", "name=x", "conversations=10")
    assert code == 1 and "runs" in said
    assert (here / blocker).read_text() == "mine"


@pytest.mark.usefixtures("permissions_hold")
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_folder_that_cannot_be_written(language: str, tell: Callable[..., Told], here: Path) -> None:
    (here / "runs").mkdir(mode=0o555)
    code, said = tell("prepare", "name=x", "conversations=10", language=language)
    assert code == 1 and "runs" in said and ("permission" in said or "权限" in said)


@pytest.mark.usefixtures("permissions_hold")
def test_a_run_that_cannot_be_read(tell: Callable[..., Told], here: Path) -> None:
    (finished(here / "runs" / "x") / "manifest.json").chmod(0)
    code, said = tell("chat", "x")
    assert code == 1 and "manifest.json" in said and "permission" in said


@pytest.mark.parametrize("content", ["", '{"kind": "pretr', "[]", "{}"])
def test_a_damaged_manifest(content: str, tell: Callable[..., Told], here: Path) -> None:
    (finished(here / "runs" / "x") / "manifest.json").write_text(content)
    for arguments in (["chat", "x"], ["pretrain", "name=x"]):
        assert tell(*arguments)[0] == 1
    assert str(Path("runs/x/pretrain/manifest.json")) in tell("chat", "x")[1]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("{", ["config.json", "damaged"]),
        ("[]", ["config.json", "damaged"]),
        ('{"model_type": "gpt_neo"}', ["gpt_neo", "qwen3", "llama"]),
        ('{"model_type": "qwen3"}', ["config.json", "vocab_size"]),
        ('{"model_type": "qwen3", "rope_scaling": {"rope_type": "yarn"}}', ["rope"]),
    ],
)
def test_a_model_folder_that_is_not_ours(config: str, words: list[str], tell: Callable[..., Told], here: Path) -> None:
    (here / "model").mkdir()
    (here / "model" / "config.json").write_text(config)
    code, said = tell("chat", "./model")
    assert code == 1 and all(word in said for word in [*words, "model"])


QWEN3 = dict(
    model_type="qwen3", vocab_size=8, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=1,
    head_dim=32, max_position_embeddings=16, tie_word_embeddings=True,
)  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_act": "gelu"},
        {"hidden_act": "relu"},
        {"mlp_bias": True},
        {"use_sliding_window": True},
        {"layer_types": ["sliding_attention"]},
        {"layer_types": ["full_attention", "linear_attention"]},
        {"rope_scaling": {"type": "linear", "factor": 2.0}},
        {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}, "rope_parameters": {"rope_type": "default"}},
        {"rope_parameters": {"type": "linear"}, "rope_scaling": {"rope_type": "default", "factor": 1.0}},
        {"rope_scaling": {"partial_rotary_factor": 0.5}, "rope_parameters": {"rope_theta": 10000.0}},
        {"rope_parameters": {"rope_type": "llama3", "factor": 8.0}},
        {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}},
        {"partial_rotary_factor": 0.25},
        {"quantization_config": {"bits": 4}},
        {"final_logit_softcapping": 30.0},
        {"attn_logit_softcapping": 50.0},
        {"hidden_activation": "gelu_pytorch_tanh"},
        {"embedding_multiplier": 12.0},
        {"residual_multiplier": 0.22},
        {"logits_scaling": 8.0},
        {"no_rope_layers": [1, 1, 0]},
    ],
)
def test_what_a_model_computes_otherwise_is_refused_by_name(
    changes: dict[str, Any], tell: Callable[..., Told], here: Path
) -> None:
    """Read as if it were not there, such a key would give a model that runs and answers nonsense."""
    (here / "model").mkdir()
    (here / "model" / "config.json").write_text(json.dumps(QWEN3 | changes))
    code, said = tell("chat", "./model")
    name = next(iter(changes))
    name = "partial_rotary_factor" if "partial" in json.dumps(changes) else "rope" if "rope" in name else name
    assert code == 1 and name in said and "is not supported" in said


@pytest.mark.parametrize("value", [-1, 0, "x", ["y", 1], {"a": 1}, True, 1.5, 10**30])
@pytest.mark.parametrize(
    "name", ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim"]
)
def test_a_size_that_cannot_be_is_named(name: str, value: Any, tell: Callable[..., Told], here: Path) -> None:
    (here / "model").mkdir()
    (here / "model" / "config.json").write_text(json.dumps(QWEN3 | {name: value}))
    code, said = tell("chat", "./model")
    assert code == 1 and "config.json is damaged" in said and name in said


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"rope_scaling": 4}, "rope_scaling"),
        ({"rope_parameters": ["default"]}, "rope_parameters"),
        ({"rope_parameters": {"rope_theta": "10000"}}, "rope_theta"),
        ({"rope_theta": -1}, "rope_theta"),
        ({"rms_norm_eps": "1e-6"}, "rms_norm_eps"),
        ({"layer_types": 3}, "layer_types"),
        ({"layer_types": ["full_attention", 1]}, "layer_types"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings"),
        ({"model_type": ["qwen3"]}, "model_type"),
        ({"num_attention_heads": 2, "num_key_value_heads": 3}, "3 key-value heads"),
    ],
)
def test_so_is_whatever_else_cannot_be(
    changes: dict[str, Any], word: str, tell: Callable[..., Told], here: Path
) -> None:
    (here / "model").mkdir()
    (here / "model" / "config.json").write_text(json.dumps(QWEN3 | changes))
    code, said = tell("chat", "./model")
    assert code == 1 and "config.json" in said and word in said


@pytest.mark.parametrize("value", [None, 0])
def test_a_key_that_changes_nothing_is_no_reason(value: Any, tell: Callable[..., Told], here: Path) -> None:
    """What other programs write to say "without it"."""
    plain = {"hidden_act": "swish", "mlp_bias": False, "layer_types": ["full_attention"], "quantization_config": None}
    plain |= {"final_logit_softcapping": value, "attn_logit_softcapping": value, "use_sliding_window": False}
    plain |= {"hidden_activation": "silu" if value is None else None, "no_rope_layers": None if value is None else []}
    plain |= dict.fromkeys(
        ("embedding_multiplier", "residual_multiplier", "logits_scaling"), None if value is None else 1.0
    )
    plain |= {"partial_rotary_factor": 1.0, "rope_scaling": None}
    (here / "model").mkdir()
    (here / "model" / "config.json").write_text(json.dumps(QWEN3 | plain))
    assert "model.safetensors" in tell("chat", "./model")[1]


def test_a_model_folder_without_weights(tell: Callable[..., Told], here: Path) -> None:
    sizes = dict(vocab_size=8, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=1)
    (here / "model").mkdir()
    (here / "model" / "config.json").write_text(
        json.dumps({"model_type": "qwen3", "max_position_embeddings": 16, **sizes})
    )
    code, said = tell("chat", "./model")
    assert code == 1 and "model.safetensors" in said
    (here / "model" / "model.safetensors").write_bytes(b"half a download")
    code, said = tell("chat", "./model", language="zh")
    assert code == 1 and "model.safetensors" in said and "已损坏" in said


def test_a_name_that_is_both_a_run_and_a_folder(tell: Callable[..., Told], here: Path) -> None:
    finished(here / "runs" / "demo")
    (here / "demo").mkdir()
    (here / "demo" / "config.json").write_text("{}")
    code, said = tell("chat", "demo")
    assert code == 1 and "./demo" in said and str(Path("runs/demo/pretrain")) in said


def test_a_model_and_data_of_two_tokenizers(tmp_path: Path, tiny_run: Path) -> None:
    folder = with_base(tiny_run, tmp_path / "other")
    os.symlink(tiny_run / "pretrain", folder / "runs/base/pretrain")
    (folder / "runs/mine").mkdir()
    os.symlink(tiny_run / "prepare", folder / "runs/mine/prepare")
    yaya("tokenize", "name=mine", "vocab_size=900", cwd=folder)
    code, said = mistake("finetune", "name=mine", "from=base", "steps=3", cwd=folder)
    assert code == 1 and "a different tokenizer" in said and "yaya tokenize name=mine tokenizer_from=" in said
    code, said = mistake("finetune", "name=x", "from=base", "steps=3", "assistant_weight=0", cwd=folder)
    assert code == 1 and "set assistant_weight above 0" in said
    keys = ["steps=3", "num_train_epochs=2", "batch_tokens=1024"]
    code, said = mistake("finetune", "name=x", "from=base", *keys, cwd=folder)
    assert code == 1 and "finetune.steps=3, but num_train_epochs=2 is" in said and "Set only one of them" in said
