"""The prepare stage: sources become one clean corpus.

Reads:  the files and folders of `sources`, or the primer where none are named.
Does:   reads, cleans, drops, merges exact duplicates, splits into training and validation.
Writes: train.parquet, validation.parquet (id, kind, text, messages, source), dropped.parquet (source, where,
        reason, sample), examples.json for the report. All accounts balance: in = kept + dropped + quarantined + merged.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import xxhash

from yaya.core.artifact import Draft, write_atomic
from yaya.core.config import key
from yaya.core.progress import Bar
from yaya.core.say import UserError, say, t
from yaya.prepare.clean import FILTERS, Cleaner
from yaya.prepare.document import Broken, Document, place
from yaya.prepare.files import digest_source, list_files, total_size
from yaya.prepare.shards import DROPPED, DocumentShard, Shard, scripts
from yaya.prepare.sources import read_sources
from yaya.prepare.split import MANY, Split

KIND = "prepare"
SAMPLE = 300  # characters of a dropped document that are kept
SHOWN = 12  # examples for the report
SHOWN_PER_FILTER = 4
AROUND = 80  # characters shown on both sides of a change
FEW_SHARE, MANY_SHARE, PRIMER_SHARE = 0.1, 0.05, 0.01


@dataclass(frozen=True)
class PrepareConfig:
    """Keys of [prepare]."""

    sources: list[str] = key(
        [],
        "files and folders of text or chats (none: the built-in primer)",
        "文本或对话的文件、文件夹（不写就用自带的启蒙语料）",
    )
    conversations: int = key(120_000, "conversations of the primer", "启蒙语料的对话数", least=0)
    stories: int = key(20_000, "stories of the primer", "启蒙语料的故事数", least=0)
    validation: str = key(
        "auto",
        f"what validates: hash = whole documents, tail = the end of each text; auto = hash from {MANY} texts up",
        f"验证集取法：hash 取整篇，tail 取每篇结尾；auto 满 {MANY} 篇用 hash",
        ("auto", "hash", "tail"),
    )
    validation_fraction: float | None = key(
        None,
        f"share of validation (default: {FEW_SHARE} of few documents or of each text, {MANY_SHARE} of {MANY} or more,"
        f" {PRIMER_SHARE} of the primer)",
        f"验证集的比例（默认：篇数少或取结尾时 {FEW_SHARE}，满 {MANY} 篇 {MANY_SHARE}，启蒙语料 {PRIMER_SHARE}）",
        least=0,
    )
    deduplicate: bool = key(True, "merge documents that are exactly alike", "合并完全相同的文档")
    fix_unicode: bool = key(True, "repair text that was decoded wrongly (cafÃ©)", "修复乱码（cafÃ©）")
    normalize_unicode: bool = key(True, "one form for characters with accents (NFC)", "统一带附加符号的字符（NFC）")
    remove_zero_width: bool = key(True, "remove invisible characters", "去掉看不见的字符")
    remove_control: bool = key(True, "remove control characters", "去掉控制字符")
    unify_line_ends: bool = key(True, "one kind of line end", "统一换行符")
    tidy_whitespace: bool = key(True, "no spaces at line ends, no runs of blank lines", "去掉行尾空格和多余空行")
    emoji: str = key("keep", "keep or remove", "表情符号：keep 保留，remove 去掉", ("keep", "remove"))


def active_filters(config: PrepareConfig) -> list[str]:
    """Names of the filters that the config asks for, in order."""
    wanted = {
        "unicode": config.fix_unicode,
        "nfc": config.normalize_unicode,
        "zero_width": config.remove_zero_width,
        "control": config.remove_control,
        "line_ends": config.unify_line_ends,
        "whitespace": config.tidy_whitespace,
        "emoji": config.emoji == "remove",
    }
    return [name for name in FILTERS if wanted.get(name, True)]


def source_parents(config: PrepareConfig) -> dict[str, str]:
    """Name -> digest by content of what comes from outside."""
    if config.sources:
        return {source: digest_source(source) for source in config.sources}
    from yaya.prepare import primer

    return {"primer": f"primer-{primer.VERSION}"}


def run(config: PrepareConfig, inputs: dict[str, Any], draft: Draft) -> None:
    """Makes the corpus in `draft.path`; the counts go to `draft.metrics`."""
    fraction = config.validation_fraction
    if fraction is not None and not 0 <= fraction <= 0.5:
        raise UserError(
            f"prepare.validation_fraction must be between 0 and 0.5, not {fraction}.",
            f"prepare.validation_fraction 应当在 0 和 0.5 之间，而不是 {fraction}。",
        )
    with ExitStack() as stack:
        shards = {split: DocumentShard(draft.path / f"{split}.parquet") for split in ("train", "validation")}
        for shard in shards.values():
            stack.enter_context(shard)
        dropped = stack.enter_context(Shard(draft.path / "dropped.parquet", DROPPED))
        corpus = Corpus(config, shards, dropped)
        for document in given(config, corpus, draft.seed):
            corpus.add(document)
        corpus.close()
    draft.metrics.update(corpus.metrics())
    write_atomic(draft.path / "examples.json", json.dumps(corpus.examples(), ensure_ascii=False, indent=1))
    corpus.tell()


def given(config: PrepareConfig, corpus: Corpus, seed: int) -> Iterator[Document]:
    """All documents that come in, with a bar."""
    unit = t("documents", "篇")
    if not config.sources:
        with Bar(KIND, config.stories + config.conversations, unit) as bar:
            for document in primer_documents(config, seed):
                yield document
                bar.advance()
        return
    megabytes = round(sum(total_size(list_files(source)[0]) for source in config.sources) / 1e6)
    with Bar(KIND, megabytes, "MB") as bar:
        documents = read_sources(
            config.sources, corpus.set_aside, lambda read: bar.advance(round(read / 1e6) - bar.done)
        )
        for number, document in enumerate(documents, 1):
            yield document
            bar.note = f"{number:,} {unit}"


def primer_documents(config: PrepareConfig, seed: int) -> Iterator[Document]:
    """The primer: stories, then conversations."""
    from yaya.prepare import primer

    for n in range(config.stories):
        yield Document(primer.story(seed, n), None, "primer", f"story {n}")
    for n in range(config.conversations):
        yield Document(None, primer.conversation(seed, n), "primer", f"conversation {n}")


def identify(document: Document) -> str:
    """xxh3 of the content, 128 bits as hex."""
    if document.messages is None:
        content = document.text or ""
    else:
        content = "".join(f"\0{message['role']}\0{message['content']}" for message in document.messages)
    return xxhash.xxh3_128_hexdigest(content.encode())


class Corpus:
    """Takes documents one by one: cleans, drops, merges, splits, counts."""

    def __init__(self, config: PrepareConfig, shards: dict[str, DocumentShard], dropped: Shard):
        self.shards, self.dropped_shard = shards, dropped
        self.cleaner = Cleaner(active_filters(config))
        many = MANY_SHARE if config.sources else PRIMER_SHARE
        self.split = Split(config.validation, config.validation_fraction, FEW_SHARE, many, self.write, identify)
        self.seen: set[bytes] | None = set() if config.deduplicate else None
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.lengths: Counter[int] = Counter()
        self.pairs: list[dict[str, str]] = []
        self.shown: Counter[str] = Counter()
        self.drops: list[dict[str, str]] = []
        self.first_broken: Broken | None = None

    def add(self, document: Document) -> None:
        """One document from outside."""
        self.counts["in"] += 1
        if document.messages is None:
            before = [document.text or ""]
        else:
            before = [message["content"] for message in document.messages]
        after, changed_by, reason = self.cleaner.clean(before)
        if reason is None and document.messages is not None:
            reason = None if any(m["role"] == "assistant" for m in document.messages) else "no reply"
        if reason is not None:
            self.counts["dropped"] += 1
            self.reasons[reason] += 1
            self.drop(document.source, document.where, reason, "\n".join(before))
            return
        if changed_by:
            self.show_change(document, before, after, changed_by)
            document = replaced(document, after)
        id = identify(document)
        if self.seen is not None:
            size = len(self.seen)
            self.seen.add(bytes.fromhex(id))
            if len(self.seen) == size:
                self.counts["merged"] += 1
                self.drop(document.source, document.where, f"duplicate of {id}", "\n".join(after))
                return
        self.counts["kept"] += 1
        self.lengths[sum(map(len, after)).bit_length()] += 1
        self.split.add(id, document)

    def write(self, id: str, document: Document, split: str) -> None:
        """One document or piece of a document into its split."""
        if document.messages is None:
            characters = len(document.text or "")
        else:
            characters = sum(len(message["content"]) for message in document.messages)
        self.shards[split].add((id, document.kind, document.text, document.messages, document.source), characters)

    def set_aside(self, broken: Broken) -> None:
        """One record that could not be read."""
        self.counts["in"] += 1
        self.counts["quarantined"] += 1
        self.first_broken = self.first_broken or broken
        self.drop(broken.source, broken.where, broken.reason, broken.sample)

    def drop(self, source: str, where: str, reason: str, text: str) -> None:
        sample = text[:SAMPLE]
        self.dropped_shard.add((source, where, reason, sample), len(sample))
        if len(self.drops) < SHOWN and not reason.startswith("duplicate"):
            self.drops.append({"source": source, "where": where, "reason": reason, "sample": sample})

    def show_change(self, document: Document, before: list[str], after: list[str], changed_by: list[str]) -> None:
        """Keeps an example for the report, a few for each filter."""
        rarest = min(changed_by, key=lambda name: self.shown[name])
        if len(self.pairs) >= SHOWN or self.shown[rarest] >= SHOWN_PER_FILTER:
            return
        self.shown[rarest] += 1
        old, new = around_change(*next((a, b) for a, b in zip(before, after, strict=True) if a != b))
        at = place(document.source, document.where)
        self.pairs.append({"source": at, "filters": ", ".join(changed_by), "before": old, "after": new})

    def close(self) -> None:
        """All documents have come."""
        self.split.close()
        c = self.counts
        assert c["in"] == c["kept"] + c["dropped"] + c["quarantined"] + c["merged"], c
        if not c["kept"]:
            raise UserError(
                "Nothing is left after cleaning: all documents are empty.", "清洗之后什么也不剩：所有文档都是空的。"
            )

    def metrics(self) -> dict[str, Any]:
        """The accounts."""
        c = self.counts
        return {
            "records": {
                "in": c["in"],
                "kept": c["kept"],
                "dropped": dict(sorted(self.reasons.items())),
                "quarantined": c["quarantined"],
                "merged": c["merged"],
            },
            "filters": {name: asdict(effect) for name, effect in self.cleaner.effects.items()},
            "splits": {
                name: {kind: dict(n) for kind, n in shard.counts.items()} for name, shard in self.shards.items()
            },
        }

    def examples(self) -> dict[str, Any]:
        """What the report shows."""
        histogram = self.shards["train"].bytes + self.shards["validation"].bytes
        lengths = [
            {"from": 1 << n >> 1, "to": (1 << n) - 1, "documents": self.lengths[n]} for n in sorted(self.lengths)
        ]
        return {"pairs": self.pairs, "dropped": self.drops, "languages": scripts(histogram), "lengths": lengths}

    def tell(self) -> None:
        """What was made, in one line, after warnings."""
        c = self.counts
        if self.first_broken:
            at, problem = place(self.first_broken.source, self.first_broken.where), self.first_broken.problem
            n = c["quarantined"]
            say(
                f"Warning: {n:,} files or records could not be read and were set aside (all in dropped.parquet)."
                f" First: {at}: {problem.en}",
                f"警告：有 {n:,} 个文件或记录读不了，已隔离（全部列在 dropped.parquet）。第一个：{at}：{problem.zh}",
            )
        totals: Counter[str] = sum((n for shard in self.shards.values() for n in shard.counts.values()), Counter())
        validation: Counter[str] = sum(self.shards["validation"].counts.values(), Counter())
        if not validation["characters"] and self.split.few:
            say("Warning: too few documents for a validation part.", "警告：文档太少，没有验证集。")
        share = validation["characters"] / max(totals["characters"], 1)
        say(
            f"[prepare] {c['kept']:,} documents, {totals['characters']:,} characters ({share:.1%} for validation);"
            f" dropped {c['dropped']:,}, duplicates {c['merged']:,}, unreadable {c['quarantined']:,}",
            f"[prepare] {c['kept']:,} 篇，{totals['characters']:,} 字符（{share:.1%} 用于验证）；"
            f"丢弃 {c['dropped']:,}，重复 {c['merged']:,}，读不了 {c['quarantined']:,}",
        )


def replaced(document: Document, contents: list[str]) -> Document:
    """The document with cleaned contents."""
    if document.messages is None:
        return Document(contents[0], None, document.source, document.where)
    messages = [{"role": m["role"], "content": content} for m, content in zip(document.messages, contents, strict=True)]
    return Document(None, messages, document.source, document.where)


def around_change(before: str, after: str) -> tuple[str, str]:
    """Excerpts of both from a little before the first difference."""
    same = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    start = max(0, same - AROUND)
    end = start + 2 * AROUND
    lead = "…" if start else ""
    return lead + before[start:end], lead + after[start:end]
