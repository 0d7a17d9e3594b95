"""bootstrap.py: what it says, what it decides, and that a bare Python is enough. Nothing is installed here."""

import ast
import importlib.util
import json
import os
import re
import signal
import string
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = (ROOT / "bootstrap.py").read_text(encoding="utf-8")
GOOD = {"python": (3, 11), "intel_mac": False, "32_bit": False, "no_venv": False, "disk_gb": 50.0, "memory_gb": 8.0}
PIN = re.search(r"^torch==(\S+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M)[1]


@pytest.fixture
def boot(tmp_path, monkeypatch):
    """The module, with a repository of its own in a folder whose name has a space and Chinese characters."""
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    root = tmp_path / "我的 yaya"
    venv = root / ".venv"
    venv.mkdir(parents=True)
    (root / "pyproject.toml").write_text("[project]\n")
    (root / "constraints.txt").write_text(f"torch=={PIN}\n")
    paths = {"ROOT": root, "VENV": venv, "LOG": venv / "install.log", "STAMP": venv / "stamp.json"}
    for name, path in {**paths, "PINS": str(root / "constraints.txt"), "PYTHON": Path(sys.executable)}.items():
        monkeypatch.setattr(module, name, path)
    monkeypatch.setenv("YAYA_LANG", "en")
    monkeypatch.delenv("TORCH_INDEX", raising=False)
    return module


# What it is made of


def test_needs_only_the_standard_library_and_parses_on_old_pythons():
    tree = ast.parse(SOURCE, feature_version=(3, 8))
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    imported |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names


def test_makefile_only_calls_bootstrap():
    recipes = [line.strip() for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("\t")]
    targets = ("install", "demo", "test", "check")
    assert recipes[:4] == [f"$(PYTHON) bootstrap.py {target} $(ARGS)" for target in targets]
    own = [recipe for recipe in recipes[4:] if "xla" not in recipe]  # for those who work on yaya itself
    assert own == [
        "$(PYTHON) bootstrap.py test -m slow $(ARGS)",
        "YAYA_FAULTS=full $(PYTHON) bootstrap.py test tests/faults $(ARGS)",
        ".venv/bin/python bench/peers $(PEERS) $(ARGS)",
    ]


def test_every_message_exists_in_both_languages_with_the_same_fields(boot):
    for key, (english, chinese) in boot.MESSAGES.items():
        fields = [{f for _, f, _, _ in string.Formatter().parse(text) if f} for text in (english, chinese)]
        assert fields[0] == fields[1], key
        assert key == "alive" or re.search("[一-鿿]", chinese), key
        assert not re.search("[一-鿿]", english), key
    used = set(re.findall(r'(?:tr|say)\("([\w.]+)"', SOURCE)) | set(boot.FIXES)
    assert used <= set(boot.MESSAGES)


def test_constraints_pin_every_dependency_plainly():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)  # no "+cpu", no address
    assert not [pin for pin in pins if pin.startswith(("nvidia", "cuda", "triton"))]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(x for extra in project["optional-dependencies"].values() for x in extra)]
    names = {re.match(r"[\w-]+", line)[0].lower().replace("_", "-") for line in asked} - {"yaya"}
    assert names <= {pin.split("==")[0].lower().replace("_", "-") for pin in pins}


# Will this machine do?


@pytest.mark.parametrize(
    ("change", "english", "chinese"),
    [
        ({"python": (3, 8)}, r"3.11 or newer, this is 3.8: .*python3.12 bootstrap.py test", "3.11 以上，当前是 3.8"),
        ({"32_bit": True}, "install a 64-bit Python", "64 位的 Python"),
        ({"intel_mac": True}, "Intel Macs: use Docker", r"Intel 芯片.*Docker"),
        ({"no_venv": True}, "apt install python3.11-venv", "apt install python3.11-venv"),
    ],
)
def test_a_python_that_cannot_run_yaya_is_told_the_fix(boot, monkeypatch, change, english, chinese):
    for language, text in (("en", english), ("zh", chinese)):
        monkeypatch.setenv("YAYA_LANG", language)
        with pytest.raises(boot.Stop, match=text):
            boot.check_python({**GOOD, **change}, "test")


def test_little_disk_stops_and_little_memory_warns(boot, capsys):
    with pytest.raises(boot.Stop, match=r"Only 1\.5 GB free on this disk, 3 are needed: free some"):
        boot.check_room({**GOOD, "disk_gb": 1.5})
    boot.check_room({**GOOD, "memory_gb": 3.8})  # sold as 4 GB
    assert capsys.readouterr().out == ""
    boot.check_room({**GOOD, "memory_gb": 2.0})
    assert "Only 2.0 GB of memory, 4 are advised: close other programs" in capsys.readouterr().out


def test_this_machine_passes(boot):
    facts = boot.machine()
    assert set(facts) == set(GOOD)
    assert facts["memory_gb"] > 0
    boot.check_python(facts)


@pytest.mark.parametrize(
    ("env", "language"),
    [
        ({"YAYA_LANG": "zh"}, "zh"),
        ({"YAYA_LANG": "en", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_language(boot, monkeypatch, env, language):
    for name in ("YAYA_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert boot.language() == language


# Where PyTorch comes from


@pytest.mark.parametrize(
    ("system", "gpu", "index", "plan"),
    [
        ("Linux", False, "", [("9+cpu", "", False), ("9+cpu", "CPU", False), ("9", "", True)]),
        ("Linux", True, "", [("9", "", True)]),
        ("Darwin", False, "", [("9", "", False)]),
        ("Windows", False, "", [("9", "", False)]),
        ("Windows", True, "", [("9", "", False)]),
        ("Linux", False, "http://mine", [("9", "http://mine", False)]),
        ("Linux", True, "http://mine", [("9", "http://mine", False)]),
    ],
)
def test_torch_plan(boot, system, gpu, index, plan):
    found = boot.torch_plan("9", system, gpu, index)
    assert [(version, source.replace(boot.CPU_INDEX, "CPU"), cuda) for version, source, cuda in found] == plan


class FakePip:
    """Stands for pip(): gives the answers one by one and keeps what was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def __call__(self, arguments, index=""):
        self.asked.append((arguments[-1], index))
        return self.answers.pop(0)


NONE = (1, ["ERROR: No matching distribution found for torch"])
OFFLINE = (1, ["Failed to resolve 'somewhere'", "ERROR: No matching distribution found for torch"])
BROKEN = (1, ["Downloading torch-9.whl (200 MB)", "ERROR: Read timed out."])


@pytest.fixture
def linux(boot, monkeypatch):
    """Linux without a GPU, whose .venv is being worked on."""
    monkeypatch.setattr(boot.platform, "system", lambda: "Linux")
    monkeypatch.setattr(boot, "nvidia_gpu", lambda: False)
    boot.STAMP.write_text('{"busy": true}')
    return boot


def try_torch(boot, monkeypatch, *answers, have=None, free_gb=50, index="", before=None):
    fake = FakePip(*answers)
    monkeypatch.setattr(boot, "pip", fake)
    try:
        boot.install_torch(have, free_gb, index, before)
    except boot.Stop as stop:
        return fake.asked, str(stop)
    return fake.asked, None


def test_torch_is_taken_from_where_pip_is_set_to_look_if_that_has_a_cpu_build(linux, monkeypatch):
    assert try_torch(linux, monkeypatch, (0, [])) == ([(f"torch=={PIN}+cpu", "")], None)


def test_torch_else_from_its_own_index(linux, monkeypatch, capsys):
    asked, stop = try_torch(linux, monkeypatch, NONE, (0, []))
    assert asked == [(f"torch=={PIN}+cpu", ""), (f"torch=={PIN}+cpu", linux.CPU_INDEX)]
    assert stop is None
    assert "CUDA" not in capsys.readouterr().out


def test_torch_with_cuda_only_when_its_index_is_unreachable_and_the_size_is_said_first(linux, monkeypatch, capsys):
    asked, stop = try_torch(linux, monkeypatch, NONE, OFFLINE, (0, []))
    assert asked[2:] == [(f"torch=={PIN}", "")]
    assert stop is None
    said = capsys.readouterr().out
    assert said.index("Not reachable") < said.index("about 3 GB to download")
    assert "TORCH_INDEX" in said


def test_torch_with_cuda_needs_more_disk(linux, monkeypatch):
    asked, stop = try_torch(linux, monkeypatch, NONE, OFFLINE, free_gb=5)
    assert len(asked) == 2
    assert "9 are needed" in stop


def test_a_download_that_breaks_off_is_no_reason_for_a_bigger_one(linux, monkeypatch):
    asked, stop = try_torch(linux, monkeypatch, NONE, BROKEN)
    assert len(asked) == 2
    assert "Check the network" in stop


def test_torch_that_is_there_stays_unless_another_index_is_named(linux, monkeypatch):
    here = f"{PIN}+cpu"
    assert try_torch(linux, monkeypatch, have=here) == ([], None)
    assert try_torch(linux, monkeypatch, have=here, index="http://mine", before="http://mine") == ([], None)
    asked, _ = try_torch(linux, monkeypatch, (0, []), have=here, index="http://mine", before="")
    assert asked == [(f"torch=={PIN}", "http://mine")]
    asked, _ = try_torch(linux, monkeypatch, (0, []), have="1.0")
    assert asked == [(f"torch=={PIN}+cpu", "")]


def test_a_named_index_is_the_only_one_asked_and_may_be_a_folder(boot, tmp_path):
    names = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS")
    settings = boot.pip_settings("http://mine")
    assert {settings[name] for name in names} == {"http://mine"}
    folder = tmp_path / "a b"
    folder.mkdir()
    assert boot.pip_settings(str(folder))["PIP_FIND_LINKS"].endswith("/a%20b")  # pip splits its settings at spaces
    assert boot.pip_settings("").get("PIP_INDEX_URL") == os.environ.get("PIP_INDEX_URL")


# What is installed already


def test_what_to_do(boot):
    wanted = boot.wanted_stamp("")
    done = {**wanted, "extras": []}
    have = {"python": wanted["python"], "torch": "1", "yaya": "1", "pip": "1"}
    cases = [
        (done, {}, have, (), "nothing"),
        ({**done, "extras": ["dev"]}, {}, have, (), "nothing"),
        (done, {}, have, ("dev",), "update"),
        (done, {"pins": "changed"}, have, (), "update"),
        (done, {"index": "http://mine"}, have, (), "update"),
        ({**done, "index": "http://mine"}, {}, have, (), "nothing"),
        (done, {}, {**have, "torch": None}, (), "update"),
        (done, {}, {**have, "yaya": None}, (), "update"),
        ({}, {}, have, (), "update"),  # a .venv that the user made
        ({"busy": True}, {}, have, (), "rebuild"),  # cut off
        (done, {}, {}, (), "rebuild"),  # deleted, or its Python is gone
        (done, {}, {**have, "pip": None}, (), "rebuild"),
        (done, {"python": [3, 99]}, have, (), "rebuild"),
        (done, {"root": "elsewhere"}, have, (), "rebuild"),  # the folder was moved or copied
    ]
    for stamp, change, found, extras, expected in cases:
        assert boot.what_to_do(stamp, {**wanted, **change}, extras, found) == expected, (stamp, change, found, extras)


def test_the_stamp_follows_the_pins(boot):
    before = boot.wanted_stamp("")
    Path(boot.PINS).write_text(f"torch=={PIN}\nnumpy==2\n")
    assert boot.wanted_stamp("")["pins"] != before["pins"]


@pytest.mark.parametrize("text", ["", "{", "3", "[]"])
def test_a_damaged_stamp_counts_as_none(boot, text):
    boot.STAMP.write_text(text)
    assert boot.read_stamp() == {}


def test_probe_sees_a_sound_environment_and_a_broken_one(boot, monkeypatch):
    assert boot.probe()["python"] == list(sys.version_info[:2])
    monkeypatch.setattr(boot, "PYTHON", boot.VENV / "bin/python")
    assert boot.probe() == {}


@pytest.fixture
def sound(boot, monkeypatch):
    """A .venv in which everything is there but yaya."""
    have = {"python": list(sys.version_info[:2]), "torch": PIN, "yaya": None, "pip": "1"}
    monkeypatch.setattr(boot, "probe", lambda: have)
    monkeypatch.setattr(boot, "machine", lambda: {**GOOD, "python": sys.version_info[:2]})
    return have


def test_install_once_then_nothing(boot, sound, monkeypatch, capsys):
    pth = boot.VENV / "lib/python3.11/site-packages/_editable_impl_yaya.pth"
    pth.parent.mkdir(parents=True)
    pth.write_text(str(boot.ROOT / "src"), encoding="utf-8")
    fake = FakePip((0, []), (0, []))
    monkeypatch.setattr(boot, "pip", fake)
    boot.install()
    assert fake.asked == [(str(boot.ROOT), "")]
    assert (pth.parent / pth.read_text(encoding="ascii").strip()).resolve() == (boot.ROOT / "src").resolve()
    sound["yaya"] = "0.1.0"
    capsys.readouterr()
    boot.install()
    assert len(fake.asked) == 1
    assert capsys.readouterr().out == ""
    boot.install(["dev"])
    boot.install()
    assert fake.asked[1:] == [(f"{boot.ROOT}[dev]", "")]


def test_an_install_that_is_cut_off_is_seen_later(boot, sound, monkeypatch):
    def interrupted(arguments, index=""):
        raise KeyboardInterrupt

    monkeypatch.setattr(boot, "pip", interrupted)
    assert boot.main(["install"]) == 130
    assert boot.read_stamp()["busy"]


@pytest.mark.parametrize(
    ("lines", "fix", "rebuild"),
    [
        (["ReadTimeoutError: Read timed out.", "ERROR: No matching distribution"], "Check the network", False),
        (["ERROR: No matching distribution found for pyarrow==1"], "Use Python 3.11 to 3.13", False),
        (["Installing collected packages: x", "OSError: No space left on device"], "disk is full", True),
        (["Installing collected packages: x", "ERROR: odd"], "Running this again is safe", True),
    ],
)
def test_a_failed_install_shows_the_end_of_the_log_and_one_fix(boot, sound, monkeypatch, capsys, lines, fix, rebuild):
    monkeypatch.setattr(boot, "pip", FakePip((1, lines)))
    assert boot.main(["install"]) == 1
    said = capsys.readouterr()
    assert "  | " + lines[-1] in said.out
    assert fix in said.err
    assert str(boot.LOG) in said.err
    assert bool(boot.read_stamp()) == rebuild  # what pip may have left half done is not built on


# Children


def test_a_child_that_takes_long_is_reported(boot, monkeypatch, capsys):
    monkeypatch.setattr(boot.subprocess.Popen, "wait", slow_once(boot.subprocess.Popen.wait))
    assert boot.run([sys.executable, "-c", "raise SystemExit(7)"], last_line=lambda: "Downloading x") == 7
    assert capsys.readouterr().out.endswith("s: Downloading x\n")


def slow_once(wait):
    """Popen.wait, whose first call says at once that its time is over."""
    calls = []

    def waiting(self, timeout=None):
        calls.append(timeout)
        if len(calls) == 1:
            raise subprocess.TimeoutExpired("child", timeout)
        return wait(self, timeout)

    return waiting


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
def test_ctrl_c_ends_the_child_and_prints_no_traceback(tmp_path):
    """As in a terminal, the signal goes to the whole group; the child needs a moment to close."""
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background job ignores it
    child = (
        listen
        + "import time\ntry:\n print('up', flush=True); time.sleep(60)\nexcept KeyboardInterrupt: print('closed')"
    )
    code = (
        f"{listen}import sys; sys.path.insert(0, {str(ROOT)!r}); import bootstrap as b\n"
        f"b.install = lambda *a, **k: b.run([sys.executable, '-c', {child!r}])\n"
        "sys.exit(b.main(['demo']))"
    )
    env = {**os.environ, "YAYA_LANG": "en"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, env=env, **pipes)
    assert started.stdout.readline() == "up\n"
    time.sleep(0.1)
    os.killpg(started.pid, signal.SIGINT)
    out, err = started.communicate(timeout=20)
    assert (started.returncode, out, err) == (130, "closed\nStopped.\n", "")


# The commands


def test_demo_runs_then_serves_under_one_name(boot, monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(boot, "install", lambda **_: None)
    monkeypatch.setattr(boot, "run", lambda command: ran.append(command[3:]) or 0)
    assert boot.main(["demo"]) == 0
    assert boot.main(["demo", "pretrain.steps=5", "name=mine"]) == 0
    recipe = os.path.join("recipes", "laptop.toml")
    assert ran == [
        ["run", recipe, "name=demo"],
        ["serve", "demo"],
        ["run", recipe, "name=mine", "pretrain.steps=5"],
        ["serve", "mine"],
    ]
    program = os.path.join(".venv", "Scripts" if os.name == "nt" else "bin", "yaya")  # as no environment is activated
    assert f"{program} serve demo" in (said := capsys.readouterr().out) and f"{program} serve mine" in said


def test_demo_serves_nothing_after_a_failure(boot, monkeypatch):
    ran = []
    monkeypatch.setattr(boot, "install", lambda **_: None)
    monkeypatch.setattr(boot, "run", lambda command: ran.append(command) or 3)
    assert boot.main(["demo"]) == 3
    assert len(ran) == 1


def test_test_passes_its_arguments_and_exit_code_through(boot, monkeypatch):
    ran, asked = [], []
    monkeypatch.setattr(boot, "install", lambda extras, command: asked.append(extras))
    monkeypatch.setattr(boot, "run", lambda command: ran.append(command) or 5)
    assert boot.main(["test", "-k", "tokenize", "-n", "2"]) == 5
    assert ran == [[str(boot.PYTHON), "-m", "pytest", "-k", "tokenize", "-n", "2"]]
    assert asked == [["dev"]]


@pytest.mark.parametrize("failing", [None, 0, 1, 2, 3])
def test_check_goes_from_quick_to_slow_and_ends_at_the_first_that_fails(boot, monkeypatch, failing):
    ran, asked = [], []
    monkeypatch.setattr(boot, "install", lambda extras, command: asked.append((extras, command)))
    monkeypatch.setattr(boot, "run", lambda words: ran.append(words[1:]) or (7 if len(ran) - 1 == failing else 0))
    assert boot.main(["check", "-k", "tokenize"]) == (0 if failing is None else 7)
    steps = [
        ["-m", "ruff", "format", "--check", "."],
        ["-m", "ruff", "check", "."],
        ["-m", "mypy"],
        ["-m", "pytest", "-n", "2", "--dist", "worksteal", "tests/unit", "tests/architecture", "-k", "tokenize"],
    ]
    assert ran == steps[: 4 if failing is None else failing + 1]
    assert asked == [(["dev"], "check")]


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["nonsense"], 2), (["install", "x"], 2), (["--help"], 0)])
def test_usage(boot, capsys, arguments, code):
    assert boot.main(arguments) == code
    assert "bootstrap.py demo" in capsys.readouterr().out


def test_the_stamp_is_plain_json(boot, sound, monkeypatch):
    monkeypatch.setattr(boot, "pip", FakePip((0, [])))
    boot.install(["dev"])
    assert json.loads(boot.STAMP.read_text())["extras"] == ["dev"]
