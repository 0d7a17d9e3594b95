"""Training speed of yaya beside transformers' Trainer, nanochat, nanoGPT and minimind, on the same text and cores.

python bench/peers PEERS_FOLDER [--only yaya,hf] [--rounds 3] [--steps 5]     (README.md: what PEERS_FOLDER holds)

Each peer's own training script runs as a process of its own, one after the other, several rounds: what the machine does
meanwhile hits all alike. A round counts the median of a run's steps after WARM_UP. Every run's command and output is in
PEERS_FOLDER/logs, every step's time in results.jsonl there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import psutil
import shape
from shape import HEAD, LAYERS, LENGTH, ROWS, TOKENS, WARM_UP, WIDTH

HERE = Path(__file__).resolve().parent
JEMALLOC = {
    "LD_PRELOAD": "libjemalloc.so.2",
    "MALLOC_CONF": "thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1,oversize_threshold:0",
}
TIMEOUT_S = 900
Lines = list[tuple[float, str]]  # when each line of output came, and what it says


@dataclass(frozen=True)
class Peer:
    """What to run, and how to read the seconds of its steps."""

    title: str
    command: list[str | Path]
    seconds: Callable[[Lines], list[float]]
    env: dict[str, str] = field(default_factory=dict)
    folder: str = "."  # where it runs, seen from PEERS_FOLDER
    before: tuple[list[str], ...] = ()  # run once in front of the first round
    writes: tuple[str, ...] = ()  # files that are read as if they were printed


def printed(pattern: str) -> Callable[[Lines], list[float]]:
    """Steps that print their milliseconds."""
    return lambda lines: [float(found[1]) / 1000 for _, line in lines if (found := re.search(pattern, line))]


def arrivals(pattern: str) -> Callable[[Lines], list[float]]:
    """Steps that print a line each without a time."""

    def seconds(lines: Lines) -> list[float]:
        times = [moment for moment, line in lines if re.search(pattern, line)]
        return [b - a for a, b in pairwise(times)]

    return seconds


def differences(pattern: str) -> Callable[[Lines], list[float]]:
    """Steps that tell the seconds since the first began."""

    def seconds(lines: Lines) -> list[float]:
        times = [float(found[1]) for _, line in lines if (found := re.search(pattern, line))]
        return [b - a for a, b in pairwise([0.0, *times])]

    return seconds


def all_peers(folder: Path, steps: int) -> dict[str, Peer]:
    """`steps` counts the warm-up."""
    python, here = folder / "venv" / "bin" / "python", HERE
    own = printed(r"^step ([\d.]+) ms")
    hf = [python, here / "hf.py", folder, str(steps)]
    nanogpt = [python, "train.py", "--dataset=bench", "--device=cpu", f"--n_layer={LAYERS}", f"--n_embd={WIDTH}",
               f"--n_head={WIDTH // HEAD}", f"--block_size={LENGTH}", f"--batch_size={ROWS}", "--dropout=0.0",
               "--gradient_accumulation_steps=1", "--eval_iters=1", "--eval_interval=1000", f"--max_iters={steps - 1}"]  # fmt: skip
    nanochat = [python, "-m", "scripts.base_train", f"--depth={LAYERS}", f"--head-dim={HEAD}", "--window-pattern=L",
                f"--max-seq-len={LENGTH}", f"--device-batch-size={ROWS}", f"--total-batch-size={TOKENS}", "--run=dummy",
                "--eval-every=-1", "--core-metric-every=-1", "--sample-every=-1", f"--num-iterations={steps}"]  # fmt: skip
    minimind = [python, "train_pretrain.py", f"--hidden_size={WIDTH}", f"--num_hidden_layers={LAYERS}", "--epochs=1",
                f"--max_seq_len={LENGTH}", f"--batch_size={ROWS}", "--accumulation_steps=1", "--log_interval=1",
                "--num_workers=2", f"--data_path={minimind_rows(folder, steps)}", f"--save_dir={folder / 'out'}"]  # fmt: skip
    yaya = [sys.executable, "-m", "yaya"]
    pretrain = [*yaya, "pretrain", "name=peers", "dtype=bfloat16", f"hidden_size={WIDTH}",
                f"num_hidden_layers={LAYERS}", f"head_dim={HEAD}", f"intermediate_size={shape.FEED_FORWARD}",
                f"context_length={LENGTH}", f"batch_tokens={TOKENS}", "evaluations=0", "samples=0", f"steps={steps}"]  # fmt: skip
    data = ([*yaya, "prepare", "name=peers", 'sources=["data/documents.jsonl"]'],
            [*yaya, "tokenize", "name=peers", f"vocab_size={shape.VOCABULARY}"])  # fmt: skip
    iteration = printed(r"^iter \d+:.* time ([\d.]+)ms")
    return {
        "yaya": Peer("yaya pretrain, bf16", pretrain, differences(r'"step": .*"seconds": ([\d.]+)'), before=data,
                     writes=("runs/peers/pretrain/metrics.jsonl", "runs/peers/pretrain/manifest.json")),
        "yaya-step": Peer("yaya's optimizer step alone", [sys.executable, here / "yaya_step.py", folder, str(steps)], own),
        "hf": Peer("transformers' Trainer, bf16", hf, own),
        "hf-tuned": Peer("the same, torch_compile and jemalloc", [*hf, "compile"], own, JEMALLOC),
        "nanochat": Peer("nanochat, bf16 (always compiled)", nanochat, printed(r"^step .* dt: ([\d.]+)ms"),
                         {"NANOCHAT_DTYPE": "bfloat16"}, "nanochat"),
        "nanogpt": Peer("nanoGPT, fp32", [*nanogpt, "--compile=False"], iteration, folder="nanoGPT"),
        "nanogpt-compiled": Peer("nanoGPT, fp32, compiled", [*nanogpt, "--compile=True"], iteration, folder="nanoGPT"),
        "minimind": Peer("minimind, fp32", minimind, arrivals(r"Epoch:\["), folder="minimind/trainer"),
    }  # fmt: skip


def minimind_rows(folder: Path, steps: int) -> Path:
    """minimind takes a number of epochs, not of steps: a file of just as many rows as they read."""
    rows = (folder / "data" / "minimind.jsonl").read_text("utf-8").split("\n")[: ROWS * (steps + 1)]
    path = folder / "data" / f"minimind-{steps}.jsonl"
    path.write_text("\n".join(rows), "utf-8")
    return path


def environment(folder: Path, extra: dict[str, str]) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONUNBUFFERED": "1",  # lines count when they are printed
        "PYTHONPATH": os.pathsep.join([str(folder / "stubs"), os.environ.get("PYTHONPATH", "")]),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "NANOCHAT_BASE_DIR": str(folder / "nanochat_base"),
        "YAYA_LANG": "en",
        "GOMP_SPINCOUNT": "1000",  # yaya's own setting, for all: else what else runs here would slow the others more
        **extra,
    }


def take_precedence() -> None:
    """In the child: above what else runs here, as far as this user may. Its session is a scheduler group of its own."""
    with suppress(OSError):
        os.nice(-7)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text("-10")


def run(command: list, folder: Path, env: dict[str, str], log: Path) -> Lines:
    """A command's lines of output; RuntimeError if it fails or takes too long."""
    words = [str(word) for word in command]
    child = subprocess.Popen(words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             errors="replace", start_new_session=True, preexec_fn=take_precedence)  # fmt: skip
    timer = threading.Timer(TIMEOUT_S, os.killpg, (child.pid, signal.SIGKILL))
    timer.start()
    lines: Lines = []
    try:
        assert child.stdout is not None
        for line in child.stdout:
            lines.append((time.perf_counter(), line))
        child.wait()
    finally:
        timer.cancel()
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)  # workers too
        log.parent.mkdir(exist_ok=True)
        changed = [f"{name}={value}" for name, value in env.items() if os.environ.get(name) != value]
        said = f"cd {folder}; {shlex.join(['env', *changed, *words])}"  # to run it again by hand
        log.write_text(f"{said}\n\n" + "".join(line for _, line in lines), "utf-8")
    if child.returncode:
        raise RuntimeError(f"exit code {child.returncode}, see {log}")
    return lines


def parameters(lines: Lines) -> str:
    """In millions, as the peer itself counts them."""
    pattern = r'^parameters: ([\d,]+)|^total +: ([\d,]+)|"parameters": (\d+)|parameters: ([\d.]+)M|Params: ([\d.]+)M'
    for _, line in lines:
        if found := re.search(pattern, line):
            number = float(next(filter(None, found.groups())).replace(",", ""))
            return f"{number if number < 1000 else number / 1e6:.2f}"
    return ""


class Others:
    """The share of the cores' time that went to neither of us: the less, the more the figures are worth."""

    def __init__(self) -> None:
        self.before = self.now()

    def now(self) -> tuple[float, float, float]:
        all_ = psutil.cpu_times()
        ours = resource.getrusage(resource.RUSAGE_CHILDREN)
        return sum(all_), all_.idle + all_.iowait, ours.ru_utime + ours.ru_stime

    def share(self) -> float:
        total, idle, ours = (b - a for a, b in zip(self.before, self.now(), strict=True))
        return max(0.0, total - idle - ours) / max(total, 1e-9)


@dataclass
class Measured:
    """One run: tokens/s by the median of its steps."""

    speed: float
    others: float
    parameters: str


def measure(name: str, peer: Peer, folder: Path, number: int) -> Measured:
    for command in peer.before if number == 1 else ():
        run(command, folder, environment(folder, {}), folder / "logs" / f"{name}.{command[3]}.txt")
    for path in peer.writes:  # else yaya would see that all is done
        shutil.rmtree((folder / path).parent, ignore_errors=True)
    others = Others()
    log = folder / "logs" / f"{name}.{number}.txt"
    lines = run(peer.command, folder / peer.folder, environment(folder, peer.env), log)
    share = others.share()
    lines += [(0.0, line) for path in peer.writes for line in (folder / path).read_text("utf-8").splitlines()]
    seconds = peer.seconds(lines)[WARM_UP:]
    if not seconds:
        raise RuntimeError(f"printed no steps, see {log}")
    found = Measured(TOKENS / statistics.median(seconds), share, parameters(lines))
    with (folder / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"time": round(time.time()), "peer": name, "seconds": seconds, **asdict(found)}) + "\n")
    spread = f"steps of {min(seconds):.2f} to {max(seconds):.2f} s"
    print(f"round {number}: {name} {found.speed:,.0f} tokens/s, {spread}; others {share:.0%}", flush=True)
    return found


def measure_products(folder: Path, number: int) -> dict[str, float]:
    """GFLOP/s by type."""
    others = Others()
    log = folder / "logs" / f"products.{number}.txt"
    lines = run([sys.executable, HERE / "products.py"], folder, environment(folder, {}), log)
    pairs = (re.match(r"(\w+) ([\d.]+) GFLOP/s", line) for _, line in lines)
    rates = {pair[1]: float(pair[2]) for pair in pairs if pair}
    said = ", ".join(f"{kind} {rate:.0f} GFLOP/s" for kind, rate in rates.items())
    print(f"round {number}: products in {said}; others {others.share():.0%}", flush=True)
    return rates


def table(peers: dict[str, Peer], found: dict[str, dict[int, Measured]], rates: list[dict[str, float]]) -> str:
    """Of each peer over the rounds. The first ratio compares what ran in the same round, the second the best rounds."""
    out = [
        "| | parameters, M | tokens/s | least | most | yaya is x times | by the best | others had |",
        "|---" * 8 + "|",
    ]
    yaya = found.get("yaya") or found.get("yaya-step") or {}
    for name, rounds in found.items():
        if not rounds:
            out.append(f"| {peers[name].title} | | failed | | | | | |")
            continue
        speeds = [m.speed for m in rounds.values()]
        both = [yaya[n].speed / m.speed for n, m in rounds.items() if n in yaya]
        ratios = [statistics.median(both), max(m.speed for m in yaya.values()) / max(speeds)] if both else []
        cells = [
            peers[name].title,
            next(iter(rounds.values())).parameters,
            *(f"{speed:,.0f}" for speed in (statistics.median(speeds), min(speeds), max(speeds))),
            *([f"{ratio:.2f}" for ratio in ratios] or ["", ""]),
            f"{statistics.median(m.others for m in rounds.values()):.0%}",
        ]
        out.append(f"| {' | '.join(cells)} |")
    for kind in rates[0]:
        values = sorted(r[kind] for r in rates)
        out.append(f"{kind} products of one step: {statistics.median(values):.0f} GFLOP/s ({values[0]:.0f} to {values[-1]:.0f})")  # fmt: skip
    most = max(r["bfloat16"] for r in rates)
    for name in ("yaya", "yaya-step"):
        if rounds := found.get(name):
            steps = {n: m.speed / TOKENS * shape.STEP_FLOPS / 1e9 for n, m in rounds.items()}  # GFLOP/s
            share = statistics.median(speed / rates[n - 1]["bfloat16"] for n, speed in steps.items())
            attention = 1 + shape.ATTENTION_FLOPS / shape.STEP_FLOPS
            out.append(f"{name}: {share:.1%} of the bf16 rate of its round, {share * attention:.1%} with attention's products; "
                       f"its best of the best rate: {max(steps.values()) / most:.1%}")  # fmt: skip
    return "\n".join(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", help="names with commas between them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5, help=f"that count, after {WARM_UP} that don't")
    args = parser.parse_args()
    started, folder = time.time(), args.folder.resolve()
    if not (folder / "data" / "minimind.jsonl").exists():
        parser.error(f"{folder} is not prepared, see {HERE / 'README.md'}")
    peers = all_peers(folder, WARM_UP + args.steps)
    names = args.only.split(",") if args.only else list(peers)
    if unknown := set(names) - set(peers):
        parser.error(f"no peer {', '.join(unknown)}; there are {', '.join(peers)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the child ends then, too
    found: dict[str, dict[int, Measured]] = {name: {} for name in names}
    rates = []
    for number in range(1, args.rounds + 1):
        rates.append(measure_products(folder, number))
        for name in names:
            try:
                found[name][number] = measure(name, peers[name], folder, number)
            except (RuntimeError, OSError) as error:
                print(f"round {number}: {name} failed: {error}", flush=True)
    print(table(peers, found, rates))
    print(f"{args.rounds} rounds of {args.steps} steps in {(time.time() - started) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
