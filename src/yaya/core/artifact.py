"""Artifacts: a directory and its `manifest.json`, written last, so that its presence means complete.

A stage builds in a hidden sibling folder (`.NAME.partial`), which is swapped in once it is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yaya import __version__
from yaya.core import distributed
from yaya.core.files import (
    file_digest,
    make_folder,
    read_json,
    remove_unfinished,
    sync_files,
    sync_folder,
    write_atomic,
)
from yaya.core.messages import UserError, say, t

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Artifact:
    """A finished result. `digest` names its content: same digest, same bytes where it matters."""

    path: Path
    manifest: dict[str, Any]

    @property
    def kind(self) -> str:
        return self.manifest["kind"]

    @property
    def digest(self) -> str:
        return self.manifest["digest"]

    @property
    def config(self) -> dict[str, Any]:
        return self.manifest["config"]

    @property
    def metrics(self) -> dict[str, Any]:
        return self.manifest["metrics"]


@dataclass
class Draft:
    """What a stage writes into: files under `path`, and `metrics`. Files in `logs` and under `trainer/` stay out of the digest."""

    path: Path
    kind: str
    config: dict[str, Any] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    metrics: dict[str, Any] = field(default_factory=dict)
    logs: tuple[str, ...] = ("metrics.jsonl", "samples.jsonl", "plan.json")
    resumed: bool = False
    began: float = 0.0  # time.perf_counter()

    @classmethod
    def of(cls, path: Path, kind: str, config: dict[str, Any], parents: dict[str, str], seed: int = 0) -> Draft:
        """The draft of an artifact that is to lie at `path`: in a hidden folder beside it."""
        return cls(path.with_name(f".{path.name}.partial"), kind, config, parents, seed)

    def settle(self, changes: dict[str, Any]) -> None:
        """Settles keys of the config while the stage runs: a resume and the manifest get the new values."""
        self.config |= changes
        if distributed.is_main():
            self.write_identity()

    def write_identity(self) -> None:
        """What an unfinished stage is made from; only an identical request may resume it."""
        identity = {"config": self.config, "parents": self.parents}
        write_atomic(self.path / ".identity.json", json.dumps(identity, ensure_ascii=False))


@dataclass(frozen=True)
class Policy:
    """What `begin` may do with existing results."""

    keep: Path | None = None  # a finished training that would be lost, or lose its data: only `overwrite` replaces it
    overwrite: bool = False
    again: bool = False  # redo even one that would not differ
    resumes: bool = False  # an unfinished one is continued


def content_digest(kind: str, config: Mapping[str, Any], parents: Mapping[str, str], files: Mapping[str, str]) -> str:
    """Digest over what decides the content; never over times, hardware, metrics or logs."""
    made = {"kind": kind, "schema": SCHEMA_VERSION, "config": config}
    content = made | {"parents": sorted(parents.values()), "files": files}
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def load(path: Path, kind: str | None = None) -> Artifact | None:
    """The artifact at `path`, or `None` where none is finished. A newer format is refused."""
    try:
        manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (json.JSONDecodeError, UnicodeDecodeError):
        manifest = None
    if not isinstance(manifest, dict) or not {"kind", "config", "parents", "digest", "metrics"} <= manifest.keys():
        raise UserError(
            f"{path / MANIFEST} is damaged. Delete {path} and run its stage again.",
            f"{path / MANIFEST} 已损坏。请删除 {path}，再运行这一阶段。",
        )
    found = manifest.get("schema_version", 0)
    if found > SCHEMA_VERSION:
        raise UserError(
            f"{path} was made by a newer yaya (format {found}; this one reads up to {SCHEMA_VERSION}). Update yaya, or use another name=.",
            f"{path} 是用更新版本的 yaya 生成的（格式 {found}，当前最高支持 {SCHEMA_VERSION}）。请升级 yaya，或换一个 name=。",
        )
    if kind is not None and manifest.get("kind") != kind:
        raise UserError(
            f"{path} is a {manifest.get('kind')} result, not a {kind} result.",
            f"{path} 是 {manifest.get('kind')} 的结果，不是 {kind} 的。",
        )
    return Artifact(path, manifest)


def with_digest(runs: Iterable[Path], stages: Iterable[str], digests: Sequence[str]) -> Iterator[Path]:
    """The results of these runs that have one of the digests. Unreadable ones are skipped."""
    for folder in (run / stage for run in runs for stage in stages):
        if read_json(folder / MANIFEST).get("digest") in digests:
            yield folder


def verify(found: Artifact) -> None:
    """UserError if a file of a finished result is not what was written: results made from it would be silently wrong."""
    for name, digest in found.manifest.get("files", {}).items():
        path = found.path / name
        if not path.is_file() or file_digest(path) != digest:
            damaged, gone = ("has been damaged or changed", "已损坏，或被改动过"), ("has gone missing", "不见了")
            what = damaged if path.exists() else gone
            raise UserError(
                f"{path} {what[0]} since {found.kind} wrote it. Restore the file, or delete {found.path} and run its stage again.",
                f"{path} 在 {found.kind} 写好之后{what[1]}。请恢复原来的文件，或删除 {found.path} 再运行这一阶段。",
            )


def differences(config: Mapping[str, Any], parents: Mapping[str, str], other: Mapping[str, Any]) -> list[str]:
    """What distinguishes a request from a manifest (or from the identity of an unfinished build)."""
    old = other["config"]
    out = [f"{name}: {old.get(name)!r} -> {value!r}" for name, value in config.items() if old.get(name) != value]
    out += [f"{name}: {old[name]!r} -> {t('(none)', '（无）')}" for name in old if name not in config]
    return out + [
        t(f"input {name}", f"输入 {name}")
        for name in {**other["parents"], **parents}
        if other["parents"].get(name) != parents.get(name)
    ]


def begin(path: Path, draft: Draft, policy: Policy) -> Artifact | Draft:
    """The artifact at `path` if it is finished and was made from the same config and parents; else the draft, ready to fill.

    With several ranks all of them ask together, and rank 0 decides. UserError if the policy forbids replacing a
    finished one.
    """
    if not distributed.is_main():
        order = distributed.broadcast_object(None)
        draft.resumed = order["resumed"]
        return draft if order["make"] else _seen(path, draft.kind)
    old = _old(path)
    if old.exists() and not path.exists():
        os.replace(old, path)  # stopped between the two renames of an earlier swap
    done = load(path)
    if done is not None and _is_wanted(done, draft, policy):
        distributed.broadcast_object({"make": False, "resumed": False})
        return done
    _prepare(draft, policy.resumes, path.parent)
    draft.began = time.perf_counter()
    distributed.broadcast_object({"make": True, "resumed": draft.resumed})
    return draft


def finish(draft: Draft, path: Path) -> Artifact:
    """The artifact of a filled draft, in its place at `path`."""
    if not distributed.is_main():
        distributed.barrier()
        return _seen(path, draft.kind)
    draft.metrics.setdefault("seconds", round(time.perf_counter() - draft.began, 3))
    artifact = _write_manifest(draft)
    _swap(draft.path, path)
    distributed.barrier()
    return Artifact(path, artifact.manifest)


def _old(path: Path) -> Path:
    """Where the artifact before lies until the new one is in its place."""
    return path.with_name(f".{path.name}.old")


def _is_wanted(done: Artifact, draft: Draft, policy: Policy) -> bool:
    """Whether a finished artifact is what was requested; says why not. UserError if it may not be replaced."""
    kind, path = draft.kind, done.path
    changed = differences(draft.config, draft.parents, done.manifest)
    if not changed and done.kind == kind:
        if not policy.again:
            say(f"[{kind}] already done in {path}, skipped.", f"[{kind}] 已经完成：{path}，跳过。")
            return True
        say(f"[{kind}] redone, as requested (overwrite=true).", f"[{kind}] 按要求重做（overwrite=true）。")
        return False
    what = "; ".join(changed) or f"kind: {done.kind} -> {kind}"
    if policy.keep and not policy.overwrite:
        lost = ("is already trained", "已经训练好")
        if policy.keep != path:
            lost = (f"is what {policy.keep} was trained on", f"是 {policy.keep} 训练用的")
        raise UserError(
            f"{path} {lost[0]}, but this run would differ: {what}. Choose another name (name=...), or replace it (overwrite=true).",
            f"{path} {lost[1]}，而这次有所不同：{what}。请换个名字（name=...），或允许替换（overwrite=true）。",
        )
    say(f"[{kind}] runs again because something changed: {what}", f"[{kind}] 与上次不同，重新运行：{what}")
    return False


def _prepare(draft: Draft, resumes: bool, folder: Path) -> None:
    """Prepares a draft's folder: as an interrupted stage left it, or empty."""
    kind, partial = draft.kind, draft.path
    identity = read_json(partial / ".identity.json")
    draft.resumed = resumes and bool(identity) and not differences(draft.config, draft.parents, identity)
    if draft.resumed:  # what the end of the stage was writing when it was killed is no result of it
        (partial / MANIFEST).unlink(missing_ok=True)
        remove_unfinished(partial)
        return
    if resumes and partial.exists():
        say(
            f"[{kind}] the unfinished {kind} in {folder} used other settings or data: starting over.",
            f"[{kind}] {folder} 里有一个没做完的 {kind}，但设置或数据不同：重新开始。",
        )
    shutil.rmtree(partial, ignore_errors=True)
    make_folder(partial)
    draft.write_identity()


def _swap(partial: Path, path: Path) -> None:
    """Swaps a finished folder in; at every moment either the old one or the new one exists."""
    old = _old(path)
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        os.replace(path, old)
    os.replace(partial, path)
    sync_folder(path.parent)  # before anything of the old one goes
    (path / ".identity.json").unlink(missing_ok=True)  # needed for a resume, until the very end
    shutil.rmtree(old, ignore_errors=True)


def _seen(path: Path, kind: str) -> Artifact:
    """What rank 0 has finished, as the other ranks see it."""
    found = load(path, kind)
    if found is None:
        raise UserError(
            f"Rank {distributed.rank()} cannot see {path}. All ranks must work in the same folder, on a shared disk.",
            f"第 {distributed.rank()} 号进程看不到 {path}。所有进程必须在共享磁盘上的同一个文件夹里工作。",
        )
    return found


def _write_manifest(draft: Draft) -> Artifact:
    """Flushes and hashes the result files and writes the manifest last."""
    found = sorted(file for file in draft.path.rglob("*") if file.is_file())
    sync_files(found)
    files = {}
    for file in found:
        name = file.relative_to(draft.path).as_posix()
        if name not in (*draft.logs, ".identity.json") and not name.startswith("trainer/"):
            files[name] = file_digest(file)
    manifest = {
        "kind": draft.kind,
        "schema_version": SCHEMA_VERSION,
        "digest": content_digest(draft.kind, draft.config, draft.parents, files),
        "config": draft.config,
        "parents": draft.parents,
        "files": files,
        "metrics": draft.metrics,
        "seed": draft.seed,
        "yaya": {"version": __version__, "commit": _commit()},
        "hardware": hardware(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    write_atomic(draft.path / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False))
    sync_folder(draft.path)
    return Artifact(draft.path, manifest)


def _commit() -> str | None:
    """The git commit of the source tree that this program runs from, if there is one."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def hardware() -> dict[str, Any]:
    """The machine in a few words."""
    import platform

    import psutil

    name = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "cpu": name,
        "cores": psutil.cpu_count(logical=True),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }
