"""What prepare reports about a run: metrics for the manifest, examples for the page, a few lines on the screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from yaya.core.messages import UserError, plural, say
from yaya.core.source_names import PRIMER
from yaya.prepare.clean.personal import mask_personal
from yaya.prepare.data_labels import kind_name, reason_name
from yaya.prepare.dedup import EXACT
from yaya.prepare.document import FIXES, Document, place
from yaya.prepare.handover import Handover
from yaya.prepare.ledger import SHOWN, Ledger
from yaya.prepare.parquet import scripts
from yaya.prepare.read.sources import nothing_in
from yaya.prepare.settings import PrepareConfig

SAID_AT_MOST = 3  # of one kind of remark; the rest is counted
SIDE = 1500  # characters shown of a near-duplicate


def say_remarks(remarks: Iterable[tuple[str, str, str]]) -> Counter[str]:
    """Says what the readers noticed: each kind a few times, then only how many more there were. Returns the counts."""
    counts: Counter[str] = Counter()
    for kind, en, zh in remarks:
        counts[kind] += 1
        if counts[kind] <= SAID_AT_MOST:
            say(en, zh)
    for kind, count in counts.items():
        more = count - SAID_AT_MOST
        if more > 0:
            say(f"... and {more:,} more: {reason_name(kind)[0]}.", f"……还有 {more:,} 处：{reason_name(kind)[1]}。")
    return counts


def say_set_aside(ledger: Ledger) -> None:
    """Says what could not be read, the first few of each kind with their places."""
    kinds: Counter[str] = Counter({"unknown shape": SAID_AT_MOST})  # those were said when they were read
    shown = []
    for q in ledger.quarantined:
        kinds[q["kind"]] += 1
        if kinds[q["kind"]] <= SAID_AT_MOST:
            shown.append(q)
    for q in shown:
        en, zh = FIXES[q["kind"]]
        say(f"Set aside: {q['source']}: {q['en']}. {en}", f"已跳过：{q['source']}：{q['zh']}。{zh}")
    count = ledger.kinds.total()
    if shown and count > len(shown):
        more = f"{count - len(shown):,}"
        say(f"... and {more} more, all in dropped-*.parquet.", f"……还有 {more} 处，都在 dropped-*.parquet 里。")


def refuse_empty_sources(config: PrepareConfig, ledger: Ledger) -> None:
    """UserError for a source without one usable document, and where cleaning leaves nothing."""
    for number, source in enumerate(config.sources):
        if not ledger.sources[number]["clean"] and not ledger.sources[number]["judged"]:
            raise nothing_in(source, ledger.problems.get(number))
    if not any(counts["clean"] for counts in ledger.sources.values()):
        why = ", ".join(f"{reason} ({count:,})" for reason, count in ledger.reasons.most_common(3))
        raise UserError(
            f"Nothing is left after cleaning: {why}. Turn off filters that are too strict, or use preset=documents.",
            f"清洗之后一篇文档也没留下：{why}。请关掉太严的过滤器，或用 preset=documents。",
        )


def metrics_of(config: PrepareConfig, ledger: Ledger) -> dict[str, Any]:
    """Returns the metrics for the manifest. AssertionError where accounts do not balance, which is a bug."""
    sources: dict[str, Counter[str]] = {}
    for number, counts in ledger.sources.items():
        name = config.sources[number] if config.sources else PRIMER
        sources[name] = sources.get(name, Counter()) + counts
    whole: Counter[str] = sum(sources.values(), Counter())
    assert whole["in"] == whole["kept"] + whole["dropped"] + whole["quarantined"] + whole["merged"], whole
    size = whole["bytes"]
    for name, account in ledger.accounts.items():
        assert account.bytes_in == size, (name, account, size)
        assert account.bytes_in + account.added == account.bytes_out + account.removed, (name, account)
        size = account.bytes_out
    assert size == whole["kept_bytes"], (size, whole)
    return {
        "records": {
            "in": whole["in"],
            "kept": whole["kept"],
            "dropped": dict(sorted(ledger.reasons.items())),
            "quarantined": whole["quarantined"],
            "merged": whole["merged"],
        },
        "set_aside": dict(ledger.kinds),
        "conversations": whole["conversations"],  # of those kept; the rest are texts
        "bytes": {"in": whole["bytes"], "out": whole["kept_bytes"]},
        "augmented": dict(ledger.augmented),
        "filters": {name: vars(account) for name, account in ledger.accounts.items()},
        "sources": {name: dict(counts) for name, counts in sources.items()},
        "splits": {
            split: {kind: dict(counts) for kind, counts in kinds.items()} for split, kinds in ledger.splits.items()
        },
    }


def examples(work: Handover, chunks: int, ledger: Ledger) -> dict[str, Any]:
    """Returns what the page shows: changes, drops, near-duplicates, scripts and lengths."""
    lengths = {int(bits): count for bits, count in ledger.lengths.items()}
    return {
        "changes": ledger.changes,
        "drops": ledger.drops,
        "quarantined": ledger.quarantined[:SHOWN],
        "twins": twins(work, chunks),
        "languages": scripts(ledger.bytes),
        "lengths": [{"from": 1 << n >> 1, "to": (1 << n) - 1, "documents": lengths[n]} for n in sorted(lengths)],
    }


def twins(work: Handover, chunks: int) -> list[dict[str, Any]]:
    """Some near-duplicates side by side, the least similar first because those are the doubtful ones."""
    first, likeness = np.load(work.whole("first.npy")), np.load(work.whole("likeness.npy"))
    found = np.flatnonzero((likeness > 0) & (likeness < EXACT))
    found = found[np.argsort(likeness[found], kind="stable")][:SHOWN]
    rows = work.clean_rows(np.unique(np.concatenate([found, first[found]])), chunks)
    sides = {n: side(Document(row["text"], row["messages"], row["source"], row["where"])) for n, row in rows.items()}
    return [
        {"jaccard": round(float(likeness[n]), 3), "kept": sides[int(first[n])], "merged": sides[int(n)]} for n in found
    ]


def side(document: Document) -> dict[str, str]:
    text = mask_personal("\n".join(document.texts)[:SIDE])
    return {"source": place(document.source, document.where), "text": text}


def tell(metrics: dict[str, Any]) -> None:
    """Says what was made, in two lines."""
    r = metrics["records"]
    totals = {split: sum(kind["characters"] for kind in kinds.values()) for split, kinds in metrics["splits"].items()}
    whole, dropped = sum(totals.values()), sum(r["dropped"].values())
    share = totals.get("validation", 0) / max(whole, 1)
    if not share:
        say("Warning: too few documents for a validation split.", "警告：文档太少，没有验证集。")
    by_weights = r["dropped"].get("mixing: more than its share", 0)
    some = (f" ({by_weights:,} of them because of weights)", f"（其中 {by_weights:,} 因 weights 的占比而没有选入）")
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
    """Says in one line what reading left out, and why; the report shows what filters did."""
    read = {reason.removeprefix("reading: "): n for reason, n in dropped.items() if reason.startswith("reading: ")}
    rows = [(reason_name(reason), n) for reason, n in read.items()] + [(kind_name(k), n) for k, n in set_aside.items()]
    if rows:
        en = "; ".join(f"{name[0]} ({count:,})" for name, count in rows)
        zh = "；".join(f"{name[1]}（{count:,}）" for name, count in rows)
        say(f"[prepare] not used: {en}", f"[prepare] 未采用：{zh}")
