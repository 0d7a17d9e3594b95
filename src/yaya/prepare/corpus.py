"""The prepare stage: sources become one clean corpus, in three passes over pieces of the input.

Reads:  files, folders and hub datasets of `sources`, or the primer where none are named.
Does:   1. reads and cleans each piece (pieces.py); 2. finds duplicates and repeated lines over all pieces (merge.py,
        lines.py); 3. writes each piece's share of the splits (writing.py). Any process may do any piece, in any order.
Writes: train-*.parquet and validation-*.parquet (id, kind, text, messages, source), dropped-*.parquet (source, where,
        reason, sample), examples.json and report.html for people.

All accounts balance. Records: in = kept + dropped + quarantined + merged. Bytes, filter by filter: in + added = out +
removed, and what goes out of one filter goes into the next.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from yaya.core.artifact import Artifact, Draft
from yaya.core.config import as_dict, build, keys, toml_value
from yaya.core.files import file_digest, write_atomic
from yaya.core.messages import UserError, plural, program, say
from yaya.core.progress import Bar
from yaya.core.stage import Inputs, RunContext, Stage
from yaya.prepare import augment, chunks, lines, merge, mixing
from yaya.prepare.clean.contamination import known_from, known_sets
from yaya.prepare.clean.filters import Account
from yaya.prepare.clean.language import wanted_codes
from yaya.prepare.clean.personal import mask_personal
from yaya.prepare.data_labels import kind_name, reason_name
from yaya.prepare.data_page import write_report
from yaya.prepare.document import FIXES, PRIMER, Document, Unusable, place
from yaya.prepare.executors import run_all
from yaya.prepare.parquet import scripts
from yaya.prepare.pieces import SHOWN, Piece, clean_piece
from yaya.prepare.read.files import digest_source
from yaya.prepare.read.sources import SAID_AT_MOST, Remarks, files_of, nothing_in
from yaya.prepare.read.strings import all_strings
from yaya.prepare.settings import CHANGED, KNOWN, RULES, PrepareConfig, resolved
from yaya.prepare.split import FEW_SHARE, MANY_SHARE, PRIMER_SHARE, Rule, in_training, rule_for
from yaya.prepare.writing import STEPS, Finish, finish_piece

KIND = "prepare"
SIDE = 1500  # characters of a near-duplicate that are shown
SMALL = 20_000_000  # bytes of input up to which other processes are not worth their start


def resolve(config: PrepareConfig, inputs: Inputs) -> PrepareConfig:
    """The config with its preset's choices filled in; UserError where it only asks for a look at the data."""
    refuse_preview(config)
    return resolved(config)


def external(config: PrepareConfig) -> dict[str, str]:
    """Name -> digest by content of what comes from outside."""
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
    """What to say of a corpus that older rules made; it is used all the same."""
    rules = found.metrics.get("rules", 1)
    if rules >= RULES or found.config.get("sources") in ([], [PRIMER]):  # the primer has a version of its own
        return None
    changes = [CHANGED[version] for version in range(rules + 1, RULES + 1)]
    again = command_for(found, "overwrite=true")
    en, zh = "; ".join(change[0] for change in changes), "；".join(change[1] for change in changes)
    return (
        f"Warning: {found.path} was made by older rules (version {rules}, now {RULES}) and is used as it is. Changed since: {en}. Make it anew with: {again}",
        f"警告：{found.path} 是按旧规则（第 {rules} 版，现在第 {RULES} 版）生成的，这次照原样使用。之后的改动：{zh}。要重新生成，请运行：{again}",
    )


def keep_own_texts(table: Mapping[str, Any], found: Artifact) -> None:
    """UserError where the primer would replace somebody's own texts, only because no sources are named in the table."""
    if "sources" not in table and found.config.get("sources") not in ([], [PRIMER]):
        raise UserError(
            f"{found.path} was made from your own texts, and now no sources are named. With the same texts: {command_for(found)}; with the primer instead: sources=primer; or under another name=.",
            f"{found.path} 是用你自己的文本做的，这次却没有写 sources。仍用这些文本：{command_for(found)}；改用启蒙课本：sources=primer；也可以换一个 name=。",
        )


def command_for(found: Artifact, *end: str) -> str:
    """The command that makes a corpus, with the settings that it was made with."""
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


def run(config: PrepareConfig, inputs: Inputs, draft: Draft, context: RunContext) -> None:
    """Makes the corpus in `draft.path`; the counts go to `draft.metrics`."""
    check(config)
    draft.metrics["rules"] = RULES
    folder = draft.path / "work"
    folder.mkdir(exist_ok=True)
    files = files_of(config.sources)
    size = sum(file.size for file, _ in files)
    workers = 1 if size <= SMALL and config.workers == 0 else config.workers or os.cpu_count() or 1
    save_known(config, folder)
    make(config, chunks.pieces(config, folder, context.seed, files), draft, workers)
    shutil.rmtree(folder)
    tell(draft.metrics)


def make(config: PrepareConfig, pieces: list[Piece], draft: Draft, workers: int) -> None:
    """The three passes, their accounts and the report."""
    folder = draft.path / "work"
    draft.logs += ("report.html",)  # it tells times, which are no part of what an artifact is
    cleaned = list(with_bar(run_all(clean_piece, pieces, folder, "clean", config.engine, workers), len(pieces)))
    draft.metrics["remarks"] = dict(say_remarks(cleaned))
    refuse_empty_sources(config, cleaned)
    say_set_aside(cleaned)
    tasks, mixture = second_pass(config, folder, draft.path, len(pieces), workers)
    if mixture:
        draft.metrics["mixing"] = mixture
    finished = list(run_all(finish_piece, tasks, folder, "finish", config.engine, workers))
    draft.metrics.update(accounts(config, cleaned, finished))
    shown = examples(config, folder, cleaned, finished)
    write_atomic(draft.path / "examples.json", json.dumps(shown, ensure_ascii=False, indent=1))
    write_report(draft.path, draft.metrics, as_dict(config), draft.path / "report.html")


def preview(config: PrepareConfig, out: Path, seed: int) -> None:
    """Looks at `config.preview` documents, spread over the files of all sources; what it makes is a report."""
    config = resolved(config)
    check(config)
    shutil.rmtree(out, ignore_errors=True)
    folder = out / "work"
    folder.mkdir(parents=True)
    save_known(config, folder)
    whole = chunks.pieces(config, folder, seed, files_of(config.sources))
    draft = Draft(out, KIND, as_dict(config), {}, seed)
    make(config, chunks.sample(whole, config.preview), draft, 1)
    shutil.rmtree(folder)
    for path in out.glob("*.parquet"):
        path.unlink()
    tell(draft.metrics)
    say(
        f"[prepare] a preview, no corpus: open {out / 'report.html'}",
        f"[prepare] 这只是预览，没有生成语料：请打开 {out / 'report.html'}",
    )


def refuse_preview(config: PrepareConfig) -> None:
    """UserError where the recipe only asks for a look at the data."""
    if config.preview:
        raise UserError(
            f"preview only looks at the data, so it goes with: {program()} prepare preview=200",
            f"preview 只是先看看数据，请这样用：{program()} prepare preview=200",
        )


def save_known(config: PrepareConfig, folder: Path) -> None:
    """The runs of words of all evaluation sets, for every piece to look for."""
    wanted = config.decontaminate or []
    sets: dict[str, Iterable[str]] = known_sets() if KNOWN in wanted else {}
    for name in wanted:
        if name != KNOWN:
            sets[name] = questions_in(name)
    if sets:
        known_from(sets).save(folder / "contamination.npz")


def questions_in(name: str) -> list[str]:
    """All strings of the files of one evaluation set."""
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


def check(config: PrepareConfig) -> None:
    """Settings that cannot be."""
    mixing.check(config.weights, config.sources)
    augment.check(config.augment)
    wanted_codes(config.languages)
    fraction = config.validation_fraction
    if fraction is not None and not 0 <= fraction <= 0.5:
        raise UserError(
            f"prepare.validation_fraction must be between 0 and 0.5, not {fraction}.",
            f"prepare.validation_fraction 应当在 0 和 0.5 之间，而不是 {fraction}。",
        )


def with_bar(results: Iterable[dict[str, Any]], count: int) -> Iterable[dict[str, Any]]:
    """The pieces as they are done, with a bar where there are many."""
    with Bar(KIND, count, "") as bar:
        documents = 0
        for result in results:
            documents += sum(counts.get("in", 0) for counts in result["sources"].values())
            bar.advance(1, f"{documents:,}")
            yield result


def say_remarks(cleaned: list[dict[str, Any]]) -> Counter[str]:
    """Says what the readers noticed, each kind a few times."""
    remarks = Remarks()
    for result in cleaned:
        for remark in result["remarks"]:
            remarks.add(*remark)
    remarks.close()
    return remarks.counts


def say_set_aside(cleaned: list[dict[str, Any]]) -> None:
    """Says what could not be read, the first few of each kind with their places."""
    kinds: Counter[str] = Counter({"unknown shape": SAID_AT_MOST})  # those were said when they were read
    shown = []
    for q in (q for result in cleaned for q in result["quarantined"]):
        kinds[q["kind"]] += 1
        if kinds[q["kind"]] <= SAID_AT_MOST:
            shown.append(q)
    for q in shown:
        en, zh = FIXES[q["kind"]]
        say(f"Set aside: {q['source']}: {q['en']}. {en}", f"没有读：{q['source']}：{q['zh']}。{zh}")
    count = sum(counts.get("quarantined", 0) for result in cleaned for counts in result["sources"].values())
    if shown and count > len(shown):
        more = f"{count - len(shown):,}"
        say(f"... and {more} more, all in dropped-*.parquet.", f"……还有 {more} 处，都在 dropped-*.parquet 里。")


def refuse_empty_sources(config: PrepareConfig, cleaned: list[dict[str, Any]]) -> None:
    """A source without one usable document is a mistake that the user wants to know of."""
    for number, source in enumerate(config.sources):
        counts = sum((Counter(result["sources"].get(str(number), {})) for result in cleaned), Counter())
        if not counts["clean"] and not counts["judged"]:
            found = (result["problems"].get(str(number)) for result in cleaned)
            raise nothing_in(source, next(filter(None, found), None))
    if not any(counts.get("clean") for result in cleaned for counts in result["sources"].values()):
        reasons: Counter[str] = sum((Counter(result["reasons"]) for result in cleaned), Counter())
        why = ", ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common(3))
        raise UserError(
            f"Nothing is left after cleaning: {why}. Switch off what is too strict, or take preset=documents.",
            f"清洗之后什么也不剩：{why}。请关掉太严的过滤器，或用 preset=documents。",
        )


def second_pass(
    config: PrepareConfig, folder: Path, out: Path, count: int, workers: int
) -> tuple[list[Finish], list[dict[str, Any]]]:
    """Finds duplicates, repeated lines, the rule of the split and the mixture: what is left to do for each piece."""
    first, likeness = merge.duplicates(folder, config, count, workers)
    np.save(folder / "first.npy", first)
    np.save(folder / "likeness.npy", likeness)
    kept = first == np.arange(len(first))
    if config.repeated_lines:
        for number in range(len(config.sources or [PRIMER])):
            documents = sum(np.load(folder / f"{n:05}.sets.npy").tolist().count(number) for n in range(count))
            paths = [folder / f"{n:05}.lines-{number}.npy" for n in range(count)]
            np.save(folder / f"repeated-{number}.npy", lines.repeated([p for p in paths if p.exists()], documents))
    ids = merge.Spread.load(folder, "ids", count)
    chats = np.concatenate([np.load(folder / f"{n:05}.chats.npy") for n in range(count)])
    few = FEW_SHARE if config.validation_fraction is None else config.validation_fraction
    many = PRIMER_SHARE if config.sources in ([], [PRIMER]) else MANY_SHARE
    many = many if config.validation_fraction is None else config.validation_fraction
    rules: dict[str, Rule] = {}
    of_kind = {"text": np.flatnonzero(kept & ~chats), "chat": np.flatnonzero(kept & chats)}
    for kind, chosen in of_kind.items():
        rules[kind] = rule_for(kind, ids[chosen], config.validation, few, many)
    epochs, mixture = mixture_of(config, folder, count, kept, rules, chats)
    for kind, chosen in of_kind.items():
        if epochs and rules[kind].tail is None:  # what is drawn may be few: then it is divided as few documents are
            sets = merge.Spread.load(folder, "sets", count)[chosen]
            found = ids[chosen]
            drawn = mixing.are_drawn(found, np.array([epochs[n] for n in range(len(epochs))])[sets])
            rules[kind] = rule_for(kind, found[drawn], "hash", few, many)
    starts = ids.starts
    names = names_of(folder, np.unique(first[~kept]), starts)
    wanted = (config.deduplicate, config.near_duplicates, config.repeated_lines, config.weights, config.augment.copies)
    steps = tuple(name for name, on in zip(STEPS, wanted, strict=True) if on)
    tasks = []
    for number in range(count):
        here = first[starts[number] : starts[number + 1]]
        own = {int(n): names[int(n)] for n in np.unique(here) if int(n) in names}
        task = Finish(number, int(starts[number]), folder, out, rules, own, steps, epochs, config.augment)
        tasks.append(task)
    return tasks, mixture


def mixture_of(
    config: PrepareConfig, folder: Path, count: int, kept: np.ndarray, rules: dict[str, Rule], chats: np.ndarray
) -> tuple[dict[int, float], list[dict[str, Any]]]:
    """(source -> how often it is read, the rows that tell it); nothing without weights."""
    if not config.weights:
        return {}, []
    sets, sizes = (merge.Spread.load(folder, name, count).whole() for name in ("sets", "sizes"))
    ids = merge.Spread.load(folder, "ids", count).whole()
    training = np.where(kept, in_training(rules, ids, chats, sizes), 0)
    of_source = np.bincount(sets, training, minlength=len(config.sources))
    epochs = mixing.epochs_of(config.weights, of_source, config.epochs_at_most)
    return dict(enumerate(epochs.tolist())), mixing.told(config.sources, config.weights, of_source, epochs)


def names_of(folder: Path, documents: np.ndarray, starts: np.ndarray) -> dict[int, str]:
    """Where documents stand, as a user would look for them."""
    out: dict[int, str] = {}
    part_of = np.searchsorted(starts, documents, side="right") - 1
    for number in np.unique(part_of):
        table = pq.read_table(folder / f"{number:05}.clean.parquet", columns=["source", "where"])
        for document in documents[part_of == number]:
            row = int(document - starts[number])
            source, where = (table.column(name)[row].as_py() for name in ("source", "where"))
            out[int(document)] = f"{source}, {where}" if where else source
    return out


def accounts(config: PrepareConfig, cleaned: list[dict[str, Any]], finished: list[dict[str, Any]]) -> dict[str, Any]:
    """The metrics of the manifest: records, bytes, filters, sources and splits; they balance or it is our mistake."""
    sources: dict[str, Counter[str]] = {}
    for result in (*cleaned, *finished):
        for number, counts in result["sources"].items():
            name = config.sources[int(number)] if config.sources else "primer"
            sources[name] = sources.get(name, Counter()) + Counter(counts)
    reasons: Counter[str] = Counter()
    for result in (*cleaned, *finished):
        reasons.update(result["reasons"])
    filters: dict[str, Account] = {}
    for result in (*cleaned, *finished):
        for name, values in result["filters"].items():
            account = filters.setdefault(name, Account())
            for field, value in values.items():
                setattr(account, field, getattr(account, field) + value)
    c: Counter[str] = sum(sources.values(), Counter())
    assert c["in"] == c["kept"] + c["dropped"] + c["quarantined"] + c["merged"], c
    size = c["bytes"]
    for name, account in filters.items():
        assert account.bytes_in == size, (name, account, size)
        assert account.bytes_in + account.added == account.bytes_out + account.removed, (name, account)
        size = account.bytes_out
    assert size == c["kept_bytes"], (size, c)
    splits: dict[str, dict[str, Counter[str]]] = {}
    for result in finished:
        for split, kinds in result["splits"].items():
            for kind, counts in kinds.items():
                total = splits.setdefault(split, {}).setdefault(kind, Counter(documents=0, characters=0, bytes=0))
                total.update(counts)
    return {
        "records": {
            "in": c["in"],
            "kept": c["kept"],
            "dropped": dict(sorted(reasons.items())),
            "quarantined": c["quarantined"],
            "merged": c["merged"],
        },
        "set_aside": dict(sum((Counter(result["kinds"]) for result in cleaned), Counter())),
        "conversations": c["conversations"],  # of those kept; the rest are texts
        "bytes": {"in": c["bytes"], "out": c["kept_bytes"]},
        "augmented": dict(sum((Counter(result["augmented"]) for result in finished), Counter())),
        "filters": {name: vars(account) for name, account in filters.items()},
        "sources": {name: dict(counts) for name, counts in sources.items()},
        "splits": {split: {kind: dict(counts) for kind, counts in kinds.items()} for split, kinds in splits.items()},
    }


def merged_lists(results: Iterable[dict[str, Any]], field: str) -> dict[str, list[dict[str, Any]]]:
    """Examples by filter, the first SHOWN of each in the order of the pieces."""
    out: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        for name, shown in result[field].items():
            out[name] = (out.get(name, []) + shown)[:SHOWN]
    return out


def examples(
    config: PrepareConfig, folder: Path, cleaned: list[dict[str, Any]], finished: list[dict[str, Any]]
) -> dict[str, Any]:
    """What the reports show."""
    lengths: Counter[int] = Counter()
    for result in cleaned:
        lengths.update({int(bits): count for bits, count in result["lengths"].items()})
    histogram = np.sum([result["bytes"] for result in finished], axis=0)
    return {
        "changes": merged_lists((*cleaned, *finished), "changes"),
        "drops": merged_lists((*cleaned, *finished), "drops"),
        "quarantined": [q for result in cleaned for q in result["quarantined"]][:SHOWN],
        "twins": twins(folder, len(cleaned)),
        "languages": scripts(histogram),
        "lengths": [{"from": 1 << n >> 1, "to": (1 << n) - 1, "documents": lengths[n]} for n in sorted(lengths)],
    }


def twins(folder: Path, pieces: int) -> list[dict[str, Any]]:
    """Some near-duplicates side by side, the least alike first: those are what one doubts."""
    first, likeness = np.load(folder / "first.npy"), np.load(folder / "likeness.npy")
    found = np.flatnonzero((likeness > 0) & (likeness < merge.EXACT))
    found = found[np.argsort(likeness[found], kind="stable")][:SHOWN]
    starts = merge.Spread.load(folder, "ids", pieces).starts
    rows = rows_of(folder, np.unique(np.concatenate([found, first[found]])), starts)
    return [
        {"jaccard": round(float(likeness[n]), 3), "kept": rows[int(first[n])], "merged": rows[int(n)]} for n in found
    ]


def rows_of(folder: Path, documents: np.ndarray, starts: np.ndarray) -> dict[int, dict[str, str]]:
    """Source and the beginning of the text of some documents."""
    out: dict[int, dict[str, str]] = {}
    part_of = np.searchsorted(starts, documents, side="right") - 1
    for number in np.unique(part_of):
        table = pq.read_table(folder / f"{number:05}.clean.parquet")
        for document in documents[part_of == number]:
            row = table.slice(int(document - starts[number]), 1).to_pylist()[0]
            found = Document(row["text"], row["messages"], row["source"], row["where"])
            text = mask_personal("\n".join(found.texts)[:SIDE])
            out[int(document)] = {"source": place(found.source, found.where), "text": text}
    return out


def tell(metrics: dict[str, Any]) -> None:
    """What was made, in two lines."""
    r = metrics["records"]
    totals = {split: sum(kind["characters"] for kind in kinds.values()) for split, kinds in metrics["splits"].items()}
    whole, dropped = sum(totals.values()), sum(r["dropped"].values())
    share = totals.get("validation", 0) / max(whole, 1)
    if not share:
        say("Warning: too few documents for a validation part.", "警告：文档太少，没有验证集。")
    by_weights = r["dropped"].get("mixing: more than its share", 0)
    some = (f" ({by_weights:,} of them left out by weights)", f"（其中 {by_weights:,} 是按 weights 的占比没有选入的）")
    en, zh = some if by_weights else ("", "")
    say(
        f"[prepare] {r['in']:,} in = {r['kept']:,} kept + {dropped:,} dropped{en} + {r['merged']:,} merged"
        f" + {r['quarantined']:,} unreadable",
        f"[prepare] 读入 {r['in']:,} = 保留 {r['kept']:,} + 丢弃 {dropped:,}{zh} + 合并 {r['merged']:,}"
        f" + 读不了 {r['quarantined']:,}",
    )
    talks, texts = metrics["conversations"], r["kept"] - metrics["conversations"]
    say(
        f"[prepare] kept: {plural(talks, 'conversation')}, {plural(texts, 'text')};"
        f" {whole:,} characters ({share:.1%} for validation)",
        f"[prepare] 保留了 {talks:,} 段对话、{texts:,} 篇文本；{whole:,} 字符（{share:.1%} 用于验证）",
    )
    tell_unused(r["dropped"], metrics["set_aside"])


def tell_unused(dropped: dict[str, int], set_aside: dict[str, int]) -> None:
    """What was left out when it was read, and why, in one line; what filters did is in the report."""
    read = {reason.removeprefix("reading: "): n for reason, n in dropped.items() if reason.startswith("reading: ")}
    rows = [(reason_name(reason), n) for reason, n in read.items()] + [(kind_name(k), n) for k, n in set_aside.items()]
    if rows:
        en = "; ".join(f"{name[0]} ({count:,})" for name, count in rows)
        zh = "；".join(f"{name[1]}（{count:,}）" for name, count in rows)
        say(f"[prepare] not used: {en}", f"[prepare] 未采用：{zh}")


STAGE = Stage(
    KIND, PrepareConfig, run, resolve=resolve, external=external, resumes=True, outdated=outdated, guard=keep_own_texts
)
