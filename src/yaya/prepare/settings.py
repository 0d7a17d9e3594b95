"""Keys of [prepare], and the three presets that fill in what is left open."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from yaya.core.config import key
from yaya.core.source_names import is_primer
from yaya.prepare.augment import AugmentConfig
from yaya.prepare.split import FEW_SHARE, MANY, MANY_SHARE, PRIMER_SHARE

KNOWN = "known"
# The version of the rules that make a corpus, recorded in its manifest, and what each version changed.
RULES = 4
CHANGED: dict[int, tuple[str, str]] = {
    2: (
        "conversations that share a system prompt or passage are not merged, replies marked as bad are left out, phone numbers"
        " are masked after any word, web pages keep short paragraphs and lists, tables and Word files lose no text,"
        " <|endoftext|> splits a file into several texts",
        "同一系统提示或同一篇材料下的对话不再被当成重复；标为差的回答不再学；任何词后面的电话号码都会遮盖；"
        "网页保留短段落和列表；表格和 Word 文件不再丢字；<|endoftext|> 会把一个文件分成多篇",
    ),
    3: (
        "of numbered replies the better one is learned, damage in a compressed file costs only the damaged part, Spanish,"
        " French and Italian in Latin-1 are read correctly, no author of a thread is lost, web pages with scripts keep their headings,"
        " Hong Kong identity numbers that end in A are masked",
        "编号的多个回复只学较好的；压缩文件的损坏部分不再连累其余内容；Latin-1 编码的西班牙语、法语、意大利语不再乱码；"
        "帖子不再漏掉作者；带脚本的网页不再丢标题；以 A 结尾的香港身份证号也会遮盖",
    ),
    4: (
        "with weights, a source that is only partly trained on is only partly held out, so that validation has the same mixture as training",
        "用了 weights 时，只训练一部分的来源，验证集里也只留一部分，配比和训练一致",
    ),
}
ALWAYS: dict[str, Any] = {
    "fix_unicode": True, "unify_line_ends": True, "remove_zero_width": True, "remove_control": True,
    "normal_form": "NFC", "tidy_whitespace": True, "near_duplicates": True, "main_text": True, "decontaminate": [KNOWN],
}  # fmt: skip
QUALITY = ("gopher_repetition", "gopher_quality", "c4_lines", "c4_quality", "fineweb_quality")
# documents: the user's own texts, nothing is judged. web: judged by quality. chat: personal data masked.
PRESETS: dict[str, dict[str, Any]] = {
    "documents": ALWAYS | dict.fromkeys(QUALITY, False) | {"repeated_lines": False, "mask_personal": False},
    "web": ALWAYS | dict.fromkeys(QUALITY, True) | {"repeated_lines": True, "mask_personal": True},
    "chat": ALWAYS | dict.fromkeys(QUALITY, False) | {"repeated_lines": False, "mask_personal": True},
}


def preset_key(en: str, zh: str, choices: tuple = ()) -> Any:
    """A key whose default comes from the preset."""
    return key(None, f"{en} (auto: by preset)", f"{zh}（自动：按 preset）", choices)


@dataclass(frozen=True)
class PrepareConfig:
    """Keys of [prepare]."""

    sources: list[str] = key(
        [],
        "texts or chats: files, folders, hub datasets (hf:OWNER/NAME), or the built-in primer (if none are given: primer)",
        "文本或对话：文件、文件夹、hub 数据集（hf:OWNER/NAME），或自带的启蒙课本 primer（不写就用它）",
    )
    preset: str = key(
        "documents",
        "documents = only clean; web = also apply quality rules and mask personal data; chat = also mask personal data",
        "documents 只清洗，不筛选；web 另外按质量规则筛选，并遮盖个人信息；chat 另外遮盖个人信息",
        tuple(PRESETS),
    )
    conversations: int = key(120_000, "conversations from the primer", "启蒙课本的对话数", least=0)
    stories: int = key(20_000, "stories from the primer", "启蒙课本的故事数", least=0)
    validation: str = key(
        "auto",
        f"what is held out: hash = whole documents, tail = the end of each text; auto = hash if there are {MANY} texts or more",
        f"验证集的取法：hash 取整篇，tail 取每篇结尾；auto 满 {MANY} 篇文本时用 hash",
        ("auto", "hash", "tail"),
    )
    validation_fraction: float | None = key(
        None,
        f"share held out for validation (default: {FEW_SHARE} with tail or fewer than {MANY} documents, else {MANY_SHARE};"
        f" {PRIMER_SHARE} for the primer)",
        f"验证集的比例（默认：取结尾或不满 {MANY} 篇时 {FEW_SHARE}，否则 {MANY_SHARE}；启蒙课本 {PRIMER_SHARE}）",
        least=0,
    )

    main_text: bool | None = preset_key(
        "keep only a web page's main text, without menus and notices", "网页只取正文，不要菜单和提示"
    )
    fix_unicode: bool | None = preset_key("repair garbled text (cafÃ©)", "修复乱码（cafÃ©）")
    normal_form: str | None = preset_key(
        "Unicode form: NFC, NFKC (full-width letters become half-width) or keep",
        "Unicode 写法：NFC、NFKC（全角字母变半角）或 keep 不变",
        ("NFC", "NFKC", "keep"),
    )
    remove_zero_width: bool | None = preset_key("remove invisible characters", "去掉看不见的字符")
    remove_control: bool | None = preset_key("remove control characters", "去掉控制字符")
    unify_line_ends: bool | None = preset_key("unify line endings", "统一换行符")
    tidy_whitespace: bool | None = preset_key(
        "remove spaces at line ends and extra blank lines", "去掉行尾空格和多余空行"
    )
    emoji: str = key(
        "keep", "keep, remove or name (:grinning face:)", "表情符号：keep 保留，remove 去掉，name 写成名字",
        ("keep", "remove", "name"),
    )  # fmt: skip
    urls: str = key("keep", "web addresses: keep or remove", "网址：keep 保留，remove 去掉", ("keep", "remove"))
    chinese: str = key(
        "keep", "Chinese: keep, or convert to simplified or traditional; Japanese stays (extra: data)",
        "中文：keep 不变，simplified 转简体，traditional 转繁体；日文不动（需要 data 扩展）", ("keep", "simplified", "traditional"),
    )  # fmt: skip
    languages: list[str] = key(
        [], 'keep only texts in these languages, e.g. ["zh", "en"] (extra: data)', '只保留这些语言的文本，如 ["zh", "en"]（需要 data 扩展）'
    )  # fmt: skip
    blocklist: list[str] = key([], "drop documents with any of these words", "去掉含有这些词的文档")

    gopher_repetition: bool | None = preset_key("drop repetitive documents", "去掉内容重复啰嗦的文档")
    gopher_quality: bool | None = preset_key("drop documents that are not prose", "去掉不像文章的文档")
    c4_lines: bool | None = preset_key("keep only lines that are sentences", "只保留成句的行")
    c4_quality: bool | None = preset_key(
        "drop code, placeholders and very short pages", "去掉代码、占位文字和太短的页面"
    )
    fineweb_quality: bool | None = preset_key("drop lists and pages of short lines", "去掉清单和短行太多的页面")
    mask_personal: bool | None = preset_key(
        "mask e-mail and IP addresses, phone, identity, card and account numbers",
        "遮盖邮箱、电话、证件号、银行卡号、账号和 IP",
    )
    allow: list[str] = key(
        [], "numbers and addresses to leave unmasked, such as your hotline", "不遮盖的号码和邮箱，比如店里的热线"
    )

    deduplicate: bool = key(True, "merge exact duplicates", "合并完全相同的文档")
    near_duplicates: bool | None = preset_key("merge near-duplicates", "合并几乎相同的文档")
    near_threshold: float = key(
        0.75, "near-duplicates have at least this share of their five-word runs in common (Jaccard)",
        "两篇的五词片段至少有多大比例相同（Jaccard），才算几乎相同", least=0.5,
    )  # fmt: skip
    repeated_lines: bool | None = preset_key(
        "remove lines that recur in many documents of a source", "去掉同一来源里反复出现的行"
    )
    decontaminate: list[str] | None = key(
        None,
        "drop documents with these test questions: files of questions, or known = yaya's own (auto: known)",
        "去掉含有这些评测题的文档：写题目文件，或写 known，即 yaya 自己的考题（自动：known）",
    )

    weights: list[float] = key(
        [], "each source's share of the training text, e.g. [3, 1] (none: unweighted)", "各来源在训练文本里的占比，如 [3, 1]（不写就不调整）"
    )  # fmt: skip
    epochs_at_most: float = key(
        4.0, "with weights: maximum number of passes over a source", "用了 weights 时，一个来源最多读几遍", least=1
    )  # fmt: skip
    augment: AugmentConfig = key(AugmentConfig, "changed copies of the training documents", "训练文档的改动副本")

    hub_megabytes: int = key(
        0, "maximum MB to read of each hub dataset (0: all of it)", "每个 hub 数据集最多读多少 MB（0：全部）", least=0
    )  # fmt: skip
    workers: int = key(0, "number of processes (0: one per core)", "进程数（0：每核一个）", least=0, decides=False)
    engine: str = key(
        "local", "local, or ray for a cluster (extra: ray)", "local 本机，ray 集群（需要 ray 扩展）", ("local", "ray"), decides=False
    )  # fmt: skip
    preview: int = key(
        0, "only show this many documents, write no corpus", "只预览这么多篇，不生成语料", least=0, decides=False
    )  # fmt: skip


def resolved(config: PrepareConfig) -> PrepareConfig:
    """The config, with what it leaves open filled in by its preset."""
    preset = PRESETS[config.preset]
    if is_primer(config.sources):  # the primer repeats on purpose, and holds out its own questions
        preset = preset | {"near_duplicates": False, "decontaminate": []}
    open_keys = [field.name for field in fields(config) if field.name in preset and getattr(config, field.name) is None]
    return replace(config, **{name: preset[name] for name in open_keys})
