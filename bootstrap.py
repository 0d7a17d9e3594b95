"""Install yaya, run its demo or its tests, with nothing but Python. 只需要 Python：安装、演示、测试。

    python3 bootstrap.py install               makes .venv with pinned packages; a second time installs nothing
    python3 bootstrap.py demo [key=value ...]  raises a small model, then opens a chat page with it
    python3 bootstrap.py test [pytest's arguments]     two tests at a time, unless -n says otherwise
    python3 bootstrap.py check [pytest's arguments]    format, lint, types, then the unit tests: for before each commit

TORCH_INDEX: the URL or folder where PyTorch comes from, such as a mirror or CUDA builds. 指定 PyTorch 的下载源。
YAYA_LANG=zh or en: the language of the messages. 消息的语言。
"""

# Standard library only, and nothing that Python 3.8 can't parse: an old Python must get as far as saying it is old.
import hashlib
import importlib.util
import json
import locale
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
PINS = str(ROOT / "constraints.txt")
LOG = VENV / "install.log"
STAMP = VENV / "yaya-install.json"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
DISK_GB, CUDA_DISK_GB, MEMORY_GB = 3, 9, 4

# fmt: off
MESSAGES = {
    "old": ("yaya needs Python 3.11 or newer, this is {have}: install one (winget install Python.Python.3.12, "
            "brew install python@3.12, sudo apt install python3.12-venv), then run: {python} bootstrap.py {command}",
            "yaya 需要 Python 3.11 以上，当前是 {have}：请安装（winget install Python.Python.3.12、"
            "brew install python@3.12、sudo apt install python3.12-venv），再运行 {python} bootstrap.py {command}"),
    "32_bit": ("This Python is a 32-bit build, which PyTorch doesn't support: install a 64-bit Python.",
               "当前 Python 是 32 位的，PyTorch 不支持：请安装 64 位的 Python。"),
    "intel_mac": ("PyTorch dropped Intel Macs: use Docker, Linux or Windows (on Apple silicon: install an arm64 Python).",
                  "PyTorch 不再支持 Intel 芯片的 Mac：请用 Docker、Linux 或 Windows（Apple 芯片请装 arm64 Python）。"),
    "no_venv": ("This Python lacks its venv module: run: sudo apt install python{have}-venv , then this again.",
                "当前 Python 缺少 venv 模块：请运行 sudo apt install python{have}-venv ，再重试。"),
    "disk": ("Only {free:.1f} GB free on this disk, {need} are needed: free some, or move this folder to another.",
             "磁盘只剩 {free:.1f} GB，需要 {need} GB：请清理，或把本文件夹移到别的磁盘。"),
    "memory": ("Only {have:.1f} GB of memory, {need} are advised: close other programs, or use a bigger machine.",
               "内存只有 {have:.1f} GB，建议 {need} GB：请关闭其他程序，或换一台机器。"),
    "venv": ("Creating {venv} ...", "创建 {venv}……"),
    "venv_again": ("{venv} is incomplete or from elsewhere: recreating it ...", "{venv} 不完整或来自别处：重新创建……"),
    "torch": ("Installing PyTorch {version}{source}: about {size}, 1 to 5 minutes ...",
              "安装 PyTorch {version}{source}：约 {size}，1 到 5 分钟……"),
    "torch_cuda": ("Installing PyTorch {version} with CUDA: about 3 GB to download, 6 on disk, 5 to 30 minutes ...",
                   "安装带 CUDA 的 PyTorch {version}：下载约 3 GB，占磁盘约 6 GB，5 到 30 分钟……"),
    "no_index": ("  Not reachable; the usual build comes with CUDA. To avoid that: Ctrl-C, then set TORCH_INDEX to a mirror.",
                 "  连不上，而通常的版本带有 CUDA：如不需要，请按 Ctrl-C，再把 TORCH_INDEX 设为镜像。"),
    "packages": ("Installing yaya and about {count} packages: {mb} MB, 1 to 3 minutes ...",
                 "安装 yaya 和约 {count} 个包：{mb} MB，1 到 3 分钟……"),
    "alive": ("  ... {seconds:.0f} s: {line}", "  …… {seconds:.0f} 秒：{line}"),
    "ready": ("Ready. Next: {python} bootstrap.py demo", "已就绪。接下来：{python} bootstrap.py demo"),
    "failed": ("{what} could not be installed. {fix} Full log: {log}", "{what} 安装失败。{fix}完整日志：{log}"),
    "fix.full": ("The disk is full: free some space, then run this again.", "磁盘已满：请清理后重试。"),
    "fix.network": ("Check the network, the clock and the proxy, or set PIP_INDEX_URL to a mirror; then run it again.",
                    "请检查网络、系统时间和代理，或把 PIP_INDEX_URL 设为附近的镜像，再重试。"),
    "fix.none": ("Use Python 3.11 to 3.13 on Linux (glibc), Windows or Apple silicon; a mirror may also lag behind.",
                 "请用 Python 3.11 到 3.13，在 Linux（glibc）、Windows 或 Apple 芯片上；也可能是镜像尚未更新。"),
    "fix.other": ("Running this again is safe.", "可以放心重试。"),
    "raising": ("Raising a small model, from text to chat, in runs/{name}", "正在养一个小模型，从文本到对话：runs/{name}"),
    "serving": ("Opening the chat page; Ctrl-C closes it, {yaya} serve {name} opens it again ...",
                "打开聊天页面，按 Ctrl-C 结束；以后可用 {yaya} serve {name} 再打开……"),
    "stopped": ("Stopped.", "已停止。"),
}
CHECKS = (["ruff", "format", "--check", "."], ["ruff", "check", "."], ["mypy"])
FIXES = {  # by what pip's output shows, the most telling first
    "fix.full": "No space left|not enough space",
    "fix.network": "CERTIFICATE|SSLError|resolve|[Tt]ime(d )?out|NewConn|Connection (refused|reset|broken)|ProxyError",
    "fix.none": "No matching distribution|not a supported wheel",
}
# fmt: on


class Stop(Exception):
    """Something that the user can fix; its text says how."""


def language():
    for name in ("YAYA_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if os.environ.get(name):
            return "zh" if os.environ[name].lower().startswith("zh") else "en"
    return "zh" if (locale.getlocale()[0] or "").startswith(("zh", "Chinese")) else "en"  # Windows sets none of these


def tr(key, **values):
    return MESSAGES[key][language() == "zh"].format(**values)


def say(key, **values):
    print(tr(key, **values), flush=True)


def machine():
    return {
        "python": sys.version_info[:2],
        "intel_mac": (platform.system(), platform.machine()) == ("Darwin", "x86_64"),
        "32_bit": sys.maxsize < 2**32,
        "no_venv": not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
        "disk_gb": shutil.disk_usage(str(ROOT)).free / 2**30,
        "memory_gb": memory_gb(),
    }


def memory_gb():
    """Memory of the machine, or of the container that we are in; infinite where that isn't told (Windows)."""
    found = [float("inf")]
    with suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(ValueError, OSError):
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(found) / 2**30


def nvidia_gpu():
    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(["nvidia-smi", "-L"], stdout=subprocess.PIPE, timeout=30).stdout.startswith(b"GPU ")
    return Path("/proc/driver/nvidia/version").exists()


def check_python(m, command="demo"):
    """Raises Stop where this Python can't run yaya at all."""
    have = ".".join(map(str, m["python"]))
    if m["python"] < (3, 11):
        raise Stop(tr("old", have=have, python="py -3.12" if os.name == "nt" else "python3.12", command=command))
    for key in ("32_bit", "intel_mac", "no_venv"):
        if m[key]:
            raise Stop(tr(key, have=have))


def check_room(m):
    """Raises Stop where the packages won't fit. Little memory is only warned of: a small model still trains."""
    if m["disk_gb"] < DISK_GB:
        raise Stop(tr("disk", free=m["disk_gb"], need=DISK_GB))
    if m["memory_gb"] < MEMORY_GB * 0.9:  # a machine sold with 4 GB reports a little less
        say("memory", have=m["memory_gb"], need=MEMORY_GB)


def wanted_stamp(index):
    """What an install depends on. The folder is part of it: a venv's scripts hold absolute paths."""
    pins = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + Path(PINS).read_bytes())
    return {"pins": pins.hexdigest(), "python": list(sys.version_info[:2]), "root": str(ROOT), "index": index}


def read_stamp():
    with suppress(OSError, ValueError, TypeError):
        return dict(json.loads(STAMP.read_text(encoding="utf-8")))
    return {}


def probe():
    """What .venv holds: the versions of its Python, torch, yaya and pip (None: not there); {} if it doesn't run."""
    code = """if True:
        import importlib.metadata, importlib.util, json, sys
        have = {"python": list(sys.version_info[:2])}
        for name in ("torch", "yaya", "pip"):
            found = list(importlib.metadata.distributions(name=name)) if importlib.util.find_spec(name) else []
            have[name] = found[0].version if found else None
        print(json.dumps(have))"""
    with suppress(OSError, ValueError, subprocess.TimeoutExpired):
        return json.loads(subprocess.run([str(PYTHON), "-I", "-c", code], stdout=subprocess.PIPE, timeout=60).stdout)
    return {}


def what_to_do(stamp, wanted, extras, have):
    """ "nothing"; "update" a .venv that is sound, also one that the user made; "rebuild" one that can't be trusted."""
    foreign = stamp.get("root") not in (None, wanted["root"])
    if stamp.get("busy") or foreign or not have.get("pip") or have["python"] != wanted["python"]:
        return "rebuild"
    same = stamp.get("pins") == wanted["pins"] and wanted["index"] in ("", stamp.get("index"))
    complete = have["torch"] and have["yaya"] and set(extras) <= set(stamp.get("extras", []))
    return "nothing" if same and complete else "update"


def torch_plan(pin, system, gpu, index):
    """Ways to get PyTorch, best first: (version, index or "" for where pip is set to look, whether it brings CUDA).
    On Linux "+cpu" is in the version of every CPU build and of no other. So where pip is set to look (a mirror, a
    folder) is asked for just that, at no risk: a dry run would fetch 500 MB only to see whether a build needs CUDA."""
    if index:
        return [(pin, index, False)]
    if gpu or system != "Linux":  # on Windows and macOS the usual build is the small one
        return [(pin, "", system == "Linux")]
    return [(pin + "+cpu", "", False), (pin + "+cpu", CPU_INDEX, False), (pin, "", True)]


def install_torch(have, free_gb, index, index_before):
    pin = re.search(r"^torch==(\S+)", Path(PINS).read_text(encoding="utf-8"), re.M).group(1)
    if (have or "").split("+")[0] == pin and index in ("", index_before):
        return
    plan = torch_plan(pin, platform.system(), nvidia_gpu(), index)
    for number, (version, source, cuda) in enumerate(plan):
        where, size = f" ({source})" * bool(source), "0.2-3 GB" if index else "200 MB"
        say("torch_cuda" if cuda else "torch", version=version, source=where, size=size)
        if cuda and free_gb < CUDA_DISK_GB:
            raise Stop(tr("disk", free=free_gb, need=CUDA_DISK_GB))
        # What the small build depends on comes with the other packages, from where pip is set to look.
        how = ["-c", PINS] if cuda else ["--no-deps", *(["--force-reinstall"] if index else [])]
        code, lines = pip([*how, f"torch=={version}"], source)
        if code == 0:
            return
        if number == len(plan) - 1 or any("Downloading" in line for line in lines):
            failed("PyTorch", lines)
        if source:
            say("no_index")


def pip_settings(index):
    env = dict(os.environ, PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", PYTHONUTF8="1")
    if index:  # all three, so that nothing comes from elsewhere; and some mirrors are flat lists of files
        url = Path(index).resolve().as_uri() if Path(index).is_dir() else index
        env.update(PIP_INDEX_URL=url, PIP_EXTRA_INDEX_URL=url, PIP_FIND_LINKS=url)
    if index == CPU_INDEX:  # some networks don't reach it: better known soon
        env.update(PIP_RETRIES="1", PIP_DEFAULT_TIMEOUT="20")
    return env


def pip(arguments, index=""):
    """pip install, its output in the log: gives the exit code and the lines. Says every 15 s that it lives."""
    command = [str(PYTHON), "-m", "pip", "install", "--progress-bar", "off", *arguments]
    start = LOG.stat().st_size

    def lines():
        with open(LOG, encoding="utf-8", errors="replace") as log:
            log.seek(start)
            return [line.strip() for line in log if line.strip() and "is ignored: it is neither" not in line] or ["pip"]

    with open(LOG, "ab") as log:
        code = run(command, env=pip_settings(index), log=log, last_line=lambda: lines()[-1])
    return code, lines()


def run(command, env=None, log=None, last_line=None):
    """A child's exit code. However we are ended, it ends first."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log} if log else {}
    started = time.monotonic()
    child = subprocess.Popen(command, cwd=str(ROOT), env=env or dict(os.environ, PYTHONUTF8="1"), **quiet)
    try:
        while True:
            try:
                return child.wait(timeout=15 if last_line else None)
            except subprocess.TimeoutExpired:
                say("alive", seconds=time.monotonic() - started, line=last_line()[:80])
    except BaseException:
        end(child)
        raise


def end(child):
    """Ctrl-C in a terminal reaches the child too, so it gets time to close; a signal sent only to us does not."""
    for patience_s, harder in ((5, child.terminate), (30, child.kill)):
        try:
            child.wait(timeout=patience_s)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            harder()
    child.wait()


def failed(what, lines):
    if not any("Installing collected" in line for line in lines):
        STAMP.unlink()  # pip touched nothing, so what was there before is still sound
    print("\n".join("  | " + line for line in lines[-8:]), flush=True)
    fix = next((fix for fix, signs in FIXES.items() if re.search(signs, "\n".join(lines))), "fix.other")
    raise Stop(tr("failed", what=what, fix=tr(fix), log=LOG))


def relative_pth():
    """Before 3.13, Python reads .pth files in the locale's encoding, and on Windows one with a Chinese path in UTF-8
    keeps it from starting at all. The same path, relative to the file, is plain ASCII."""
    for pth in [*VENV.glob("Lib/site-packages/*yaya.pth"), *VENV.glob("lib/python*/site-packages/*yaya.pth")]:
        pth.write_text(os.path.relpath(str(ROOT / "src"), str(pth.parent)) + "\n", encoding="ascii")


def install(extras=(), command="install"):
    """Makes .venv what pyproject.toml and constraints.txt ask for; instant where it is that already."""
    m, index = machine(), os.environ.get("TORCH_INDEX", "")
    check_python(m, command)
    stamp, wanted, have = read_stamp(), wanted_stamp(index), probe()
    todo = what_to_do(stamp, wanted, extras, have)
    if todo == "nothing":
        return
    check_room(m)
    extras = sorted({*extras, *stamp.get("extras", [])})
    if todo == "rebuild":
        say("venv_again" if VENV.exists() else "venv", venv=VENV)
        make = [sys.executable, "-m", "venv", "--clear", str(VENV)]
        made = subprocess.run(make, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if made.returncode:
            raise Stop(made.stdout)
        stamp, have = {}, {"torch": None}
    STAMP.write_text(json.dumps({"busy": True, "extras": extras}), encoding="utf-8")  # stays if we are cut off
    LOG.write_bytes(b"")
    install_torch(have["torch"], m["disk_gb"], index, stamp.get("index"))
    say("packages", count=100 if extras else 50, mb=350 if extras else 130)
    project = f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)
    code, lines = pip(["-c", PINS, "-e", project])
    if code:
        failed("yaya", lines)
    relative_pth()
    wanted.update(extras=extras, index=index or stamp.get("index", ""))
    STAMP.write_text(json.dumps(wanted), encoding="utf-8")


def demo(arguments):
    names, settings = [a[5:] for a in arguments if a[:5] == "name="], [a for a in arguments if a[:5] != "name="]
    name = names[-1] if names else "demo"
    install(command="demo")
    say("raising", name=name)
    code = run([str(PYTHON), "-m", "yaya", "run", str(Path("recipes/laptop.toml")), f"name={name}", *settings])
    if code == 0:
        say("serving", yaya=Path(VENV.name, "Scripts/yaya" if os.name == "nt" else "bin/yaya"), name=name)
        code = run([str(PYTHON), "-m", "yaya", "serve", name])
    return code


def test(arguments):
    """pytest, two tests at a time unless the arguments say otherwise."""
    both = [] if any(a.startswith("-n") or "pdb" in a for a in arguments) else ["-n", "2", "--dist", "worksteal"]
    return run([str(PYTHON), "-m", "pytest", *both, *arguments])


def check(arguments):
    """What takes seconds comes first; ends at the first that fails."""
    for words in CHECKS:
        code = run([str(PYTHON), "-m", *words])
        if code:
            return code
    return test(["tests/unit", "tests/architecture", *arguments])


def main(arguments):
    command, rest = (arguments or [""])[0], arguments[1:]
    if command not in ("install", "demo", "test", "check") or (command == "install" and rest):
        print(__doc__)
        return 0 if command in ("-h", "--help") else 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that children are ended then too
    try:
        if command == "install":
            install()
            say("ready", python="py" if os.name == "nt" else "python3")
            return 0
        if command == "demo":
            return demo(rest)
        install(["dev"], command=command)
        return check(rest) if command == "check" else test(rest)
    except Stop as stop:
        print(stop, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("stopped")
        return 130


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # an old console that can't show Chinese must not end the install
    sys.exit(main(sys.argv[1:]))
