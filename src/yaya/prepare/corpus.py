"""The prepare stage: sources become one clean corpus, in three passes over chunks of the input.

Reads:  files, folders and hub datasets of `sources`, or the primer where none are named.
Does:   1. read -> clean, chunk by chunk (clean_pass.py); 2. dedup -> split -> mix, decided over the whole
        (whole_pass.py); 3. dedup -> split -> mix -> augment -> write, chunk by chunk (write_pass.py).
        Any process may do any chunk, in any order; handover.py lists what the passes leave for each other.
Writes: train-*.parquet and validation-*.parquet (id, kind, text, messages, source), dropped-*.parquet (source, where,
        reason, sample), examples.json and report.html for people.

All accounts balance. Records: in = kept + dropped + quarantined + merged. Bytes, step by step: in + added = out +
removed, and what goes out of one step goes into the next.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from yaya.core.artifact import Artifact, Draft
from yaya.core.config import as_dict, build, keys, toml_value
from yaya.core.files import file_digest, write_atomic
from yaya.core.messages import UserError, program, say
from yaya.core.progress import Bar
from yaya.core.source_names import PRIMER, is_primer
from yaya.core.stage import Inputs, RunContext, Stage
from yaya.prepare import augment, chunks, mixing, summary
from yaya.prepare.chunks import Chunk
from yaya.prepare.clean.contamination import known_from, known_sets
from yaya.prepare.clean.language import wanted_codes
from yaya.prepare.clean_pass import clean_chunk
from yaya.prepare.data_page import write_report
from yaya.prepare.document import Unusable
from yaya.prepare.executors import run_all
from yaya.prepare.handover import Handover
from yaya.prepare.ledger import Ledger
from yaya.prepare.read.source_files import digest_source
from yaya.prepare.read.sources import files_of
from yaya.prepare.read.strings import all_strings
from yaya.prepare.settings import CHANGED, KNOWN, RULES, PrepareConfig, resolved
from yaya.prepare.whole_pass import decide
from yaya.prepare.write_pass import write_chunk

KIND = "prepare"
SMALL = 20_000_000  # bytes of input below which starting more processes does not pay


def make(config: PrepareConfig, work: Handover, parts: list[Chunk], out: Path, workers: int) -> dict[str, Any]:
    """Turns chunks of the input into the files in `out`, with a report. Returns the accounts of all steps.

    work: where the passes leave files for each other; a stopped run continues with what is there. UserError where a
    source holds nothing, or nothing is left.
    """
    ledger = Ledger()
    with Bar(KIND, len(parts), "") as bar:
        for told in run_all(clean_chunk, parts, work, "clean", config.engine, workers):
            ledger.add(told)
            bar.advance(1, f"{ledger.total('in'):,}")
    metrics: dict[str, Any] = {"rules": RULES, "remarks": dict(summary.say_remarks(ledger.remarks))}
    summary.refuse_empty_sources(config, ledger)
    summary.say_set_aside(ledger)
    tasks, mixture = decide(config, work, out, len(parts), workers)
    metrics |= {"mixing": mixture} if mixture else {}
    for told in run_all(write_chunk, tasks, work, "finish", config.engine, workers):
        ledger.add(told)
    metrics |= summary.metrics_of(config, ledger)
    shown = summary.examples(work, len(parts), ledger)
    write_atomic(out / "examples.json", json.dumps(shown, ensure_ascii=False, indent=1))
    write_report(out, metrics, as_dict(config), out / "report.html")
    return metrics


def save_known(config: PrepareConfig, work: Handover) -> None:
    """Saves the runs of words of all evaluation sets, which every chunk then looks for."""
    wanted = config.decontaminate or []
    sets: dict[str, Iterable[str]] = known_sets() if KNOWN in wanted else {}
    for name in wanted:
        if name != KNOWN:
            sets[name] = questions_in(name)
    if sets:
        known_from(sets).save(work.whole("contamination.npz"))


def questions_in(name: str) -> list[str]:
    """All strings of the files of one evaluation set; UserError for a file that cannot be read."""
    out: list[str] = []
    for file, _ in files_of([name], "prepare.decontaminate"):
        try:
            out += all_strings(file)
        except (Unusable, ValueError, OSError, RecursionError) as error:
            why = (error.en, error.zh) if isinstance(error, Unusable) else (str(error)[:200], str(error)[:200])
            raise UserError(
                f"prepare.decontaminate: {file.name} cannot be read: {why[0]}",
                f"prepare.decontaminate：{file.name} 读不了：{why[1]}",
            ) from None
    return out


def command_for(found: Artifact, *end: str) -> str:
    """The command that makes this corpus again, with the settings it was made with."""
    made = {name: value for name, value in found.config.items() if name in keys(PrepareConfig)}
    start: dict[str, Any] = {name: made[name] for name in ("sources", "preset") if name in made}
    usual = flat(as_dict(resolved(build(PrepareConfig, start, "prepare"))))
    usual |= {"sources": [], "preset": PrepareConfig.preset, "seed": 0}
    given = flat(made) | {"seed": found.config.get("seed", 0)}
    parts = [f"{name}={toml_value(value)}" for name, value in given.items() if value not in (None, usual.get(name))]
    return f"{program()} {shlex.join(['prepare', f'name={found.path.parent.name}', *parts, *end])}"


def flat(values: dict[str, Any]) -> dict[str, Any]:
    """`{"augment": {"copies": 1}}` -> `{"augment.copies": 1}`"""
    out: dict[str, Any] = {}
    for name, value in values.items():
        out |= {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
    return out


def check(config: PrepareConfig) -> None:
    """UserError for settings that are not valid."""
    mixing.check(config.weights, config.sources)
    augment.check(config.augment)
    wanted_codes(config.languages)
    fraction = config.validation_fraction
    if fraction is not None and not 0 <= fraction <= 0.5:
        raise UserError(
            f"prepare.validation_fraction must be between 0 and 0.5, not {fraction}.",
            f"prepare.validation_fraction 应当在 0 和 0.5 之间，而不是 {fraction}。",
        )


def refuse_preview(config: PrepareConfig) -> None:
    """UserError where the recipe asks for a preview, which makes no corpus."""
    if config.preview:
        raise UserError(
            f"preview only shows the data and makes no corpus. Run: {program()} prepare preview=200",
            f"preview 只查看数据，不生成语料。请这样运行：{program()} prepare preview=200",
        )


def resolve(config: PrepareConfig, inputs: Inputs) -> PrepareConfig:
    """Returns the config with open keys filled by its preset; UserError where it asks for a preview."""
    refuse_preview(config)
    return resolved(config)


def external(config: PrepareConfig) -> dict[str, str]:
    """Name -> digest of the content of each outside input; UserError for a source that does not exist."""
    from yaya import primer

    named = {name: "prepare.decontaminate" for name in config.decontaminate or ()}
    named |= {name: "prepare.sources" for name in config.sources or [PRIMER]}
    digests = {name: digest_source(name, key) for name, key in named.items() if name not in (PRIMER, KNOWN)}
    if PRIMER in named or KNOWN in named:
        digests[PRIMER] = f"primer-{primer.VERSION}"
    weights = Path(config.augment.model) / "model.safetensors"
    if config.augment.copies and "masked" in config.augment.methods and weights.is_file():
        digests[config.augment.model] = file_digest(weights)
    return digests


def outdated(found: Artifact) -> tuple[str, str] | None:
    """The warning, in English and Chinese, for a corpus made by older rules, which is still used; else None."""
    rules = found.metrics.get("rules", 1)
    if rules >= RULES or is_primer(found.config.get("sources")):  # the primer has a version of its own
        return None
    changes = [CHANGED[version] for version in range(rules + 1, RULES + 1)]
    again = command_for(found, "overwrite=true")
    en, zh = "; ".join(change[0] for change in changes), "；".join(change[1] for change in changes)
    return (
        f"Warning: {found.path} was made by older rules (version {rules}, now {RULES}) and is used as it is. Changed since then: {en}. To make it again: {again}",
        f"警告：{found.path} 是按旧规则（第 {rules} 版，现在第 {RULES} 版）生成的，这次照原样使用。之后的改动：{zh}。要重新生成，请运行：{again}",
    )


def keep_own_texts(table: Mapping[str, Any], found: Artifact) -> None:
    """UserError where the primer would replace a user's own texts just because the table names no sources."""
    if "sources" not in table and not is_primer(found.config.get("sources")):
        raise UserError(
            f"{found.path} was made from your own texts, but this time no sources are given. To use the same texts: {command_for(found)}; to use the primer: sources=primer; or choose another name=.",
            f"{found.path} 是用你自己的文本生成的，但这次没有指定 sources。仍用这些文本：{command_for(found)}；改用启蒙课本：sources=primer；也可以换一个 name=。",
        )


def run(config: PrepareConfig, inputs: Inputs, draft: Draft, context: RunContext) -> None:
    """Makes the corpus in `draft.path`, with its counts in `draft.metrics`. UserError for what the user can fix."""
    check(config)
    work = Handover(draft.path / "work")
    work.folder.mkdir(exist_ok=True)
    files = files_of(config.sources)
    size = sum(file.size for file, _ in files)
    workers = 1 if size <= SMALL and config.workers == 0 else config.workers or os.cpu_count() or 1
    save_known(config, work)
    draft.logs += ("report.html",)  # it contains times, so it is not part of the digest
    draft.metrics |= make(config, work, chunks.cut(config, work, context.seed, files), draft.path, workers)
    shutil.rmtree(work.folder)
    summary.tell(draft.metrics)


def preview(config: PrepareConfig, out: Path, seed: int) -> None:
    """Writes a page on `config.preview` documents, spread over the files of all sources, to `out`; no corpus."""
    config = resolved(config)
    check(config)
    shutil.rmtree(out, ignore_errors=True)
    work = Handover(out / "work")
    work.folder.mkdir(parents=True)
    save_known(config, work)
    whole = chunks.cut(config, work, seed, files_of(config.sources))
    metrics = make(config, work, chunks.sample(whole, config.preview), out, 1)
    shutil.rmtree(work.folder)
    for path in out.glob("*.parquet"):
        path.unlink()
    summary.tell(metrics)
    say(
        f"[prepare] preview only: no corpus was made. Open {out / 'report.html'}",
        f"[prepare] 这只是预览，没有生成语料：请打开 {out / 'report.html'}",
    )


STAGE = Stage(
    KIND, PrepareConfig, run, resolve=resolve, external=external, resumes=True, outdated=outdated, guard=keep_own_texts
)
