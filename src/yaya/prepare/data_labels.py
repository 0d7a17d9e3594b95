"""Names for what prepare does, as the pages show them in English and Chinese. Unknown ones are shown unchanged."""

from __future__ import annotations

import re

from yaya.pages.layout import Pair

FILTERS: dict[str, Pair] = {
    "reading": ("skipped while reading", "读取时跳过"),
    "unicode": ("garbled text repaired", "修复乱码"),
    "line_ends": ("line endings unified", "统一换行符"),
    "zero_width": ("invisible characters removed", "去掉看不见的字符"),
    "control": ("control characters removed", "去掉控制字符"),
    "emoji": ("emoji", "表情符号"),
    "normal_form": ("characters normalized", "统一字符写法"),
    "chinese": ("converted to simplified or traditional", "简繁转换"),
    "urls": ("web addresses removed", "去掉网址"),
    "whitespace": ("whitespace tidied", "整理空白"),
    "empty": ("empty documents", "空文档"),
    "languages": ("other languages", "其他语言"),
    "blocklist": ("blocklist", "屏蔽词"),
    "gopher_quality": ("not prose (Gopher)", "不像文章（Gopher）"),
    "gopher_repetition": ("repetition (Gopher)", "重复啰嗦（Gopher）"),
    "c4_lines": ("only full sentences kept (C4)", "只保留成句的行（C4）"),
    "c4_quality": ("code and placeholders (C4)", "代码和占位文字（C4）"),
    "fineweb_quality": ("lists and short lines (FineWeb)", "清单和短行（FineWeb）"),
    "personal": ("personal data masked", "遮盖个人信息"),
    "contamination": ("test questions", "评测题"),
    "duplicates": ("exact duplicates", "完全相同"),
    "near_duplicates": ("near-duplicates", "几乎相同"),
    "repeated_lines": ("lines repeated across documents", "反复出现的行"),
    "mixing": ("sources mixed by weight", "按权重混合来源"),
    "augment": ("changed copies added", "增加改动过的副本"),
    "augment_reorder": ("sentences reordered", "调换句子顺序"),
    "augment_phrasings": ("questions rephrased", "换个问法"),
    "augment_synonyms": ("words replaced by synonyms", "换成同义词"),
    "augment_delete": ("words left out", "去掉几个词"),
    "augment_swap": ("words swapped", "交换相邻的词"),
    "augment_masked": ("words replaced by a language model", "由语言模型换词"),
}
REASONS: dict[str, Pair] = {
    "disambiguation": ("a disambiguation page", "只列出同名条目的消歧义页"),
    "redirect": ("a page that only points to another", "只是转到别处的页面"),
    "not an article": ("not an article but a page about the wiki itself", "不是条目，是维基自己的页面"),
    "hidden sheet": ("a hidden sheet", "隐藏的工作表"),
    "a picture without text": ("a page that is only a picture", "只有图片的一页"),
    "nothing to see": ("nothing visible in it", "没有任何可见内容"),
    "an empty message": ("an empty message", "有一条消息是空的"),
    "no reply": ("without a reply", "没有回复"),
    "no choice": ("several replies, none marked as the best", "有几个回复，没标明哪个最好"),
    "marked as bad": ("marked as bad in the data", "数据里标为不好"),
    "not to be learned": ("marked as not for training", "数据里标明不用于训练"),
    "a word of the blocklist": ("contains a blocklisted word", "含有屏蔽词"),
    "too short": ("too short", "太短"),
    "too long": ("too long", "太长"),
    "words too short": ("words too short", "单词太短"),
    "words too long": ("words too long", "单词太长"),
    "too many #": ("too many #", "# 太多"),
    "too many ellipses": ("too many …", "省略号太多"),
    "mostly bullets": ("nearly all lines are list items", "几乎全是列表项"),
    "lines cut short": ("many lines end in …", "许多行以省略号结尾"),
    "too few letters": ("too few words with letters", "带字母或汉字的词太少"),
    "no stop words": ("hardly any of the commonest words, such as “the”", "几乎没有“的、了、是”这样的常用字"),
    "repeated paragraphs": ("repeated paragraphs", "段落重复"),
    "repeated lines": ("repeated lines", "行重复"),
    "curly bracket": ("contains a curly bracket, like code", "有花括号，像代码"),
    "lorem ipsum": ("placeholder text (lorem ipsum)", "占位文字（lorem ipsum）"),
    "too few sentences": ("fewer than five sentences", "不到五句话"),
    "lines without end marks": ("few lines end with a full stop", "以句号收尾的行太少"),
    "short lines": ("mostly short lines", "大多是短行"),
    "a list": ("a list", "是清单"),
    "more than its share": ("exceeds its source's share", "超出这个来源的份额"),
    "nothing else in it": ("nothing but such lines", "除了这些行没有别的"),
}
# Reasons with something of the document in them: what they look like, and {} for what is in the brackets.
PATTERNS: list[tuple[str, str, str]] = [
    (r"one run of (\d+) words", "one run of {} words makes up too much of it", "同一串 {} 个词占了太多篇幅"),
    (r"repeated runs of (\d+) words", "repeated runs of {} words", "{} 个词的片段反复出现"),
    (r"language (.+)", "language: {}", "语言：{}"),
    (r"overlaps (.+)", "contains a question from {}", "含有 {} 的题目"),
    (r"duplicate of (.+)", "the same as {}", "和 {} 相同"),
    (r"(\d+%) like (.+)", "{} the same as {}", "和 {1} 有 {0} 相同"),
    (r"read as (.+)", "files read as {}", "按 {} 读取的文件"),
]
KINDS: dict[str, Pair] = {
    "bad json": ("not valid JSON", "不是合法的 JSON"),
    "wrong type": ("a field of the wrong type", "字段类型不对"),
    "unknown shape": ("an unknown format", "不认识的格式"),
    "bad encoding": ("an unknown encoding", "编码无法识别"),
    "damaged": ("damaged or cut off", "损坏或不完整"),
    "unreadable": ("cannot be opened", "打不开"),
    "binary": ("not text", "不是文本"),
    "too large": ("too large", "太大"),
    "no text layer": ("a scan without text", "没有文字层的扫描件"),
    "broken record": ("a record that is not valid JSON", "不是合法 JSON 的记录"),
    "surplus cells": ("more cells than columns", "单元格比列数多"),
    "open quote": ("an unclosed quote", "引号没有闭合"),
    "password": ("needs a password", "需要密码"),
    "locked": ("copy-protected (DRM)", "有版权保护（DRM）"),
    "old format": ("an old Office format", "旧版 Office 格式"),
    "other kind": ("not what its file name says", "与文件名不符"),
    "bad body": ("content that cannot be unpacked", "内容解不开"),
    "empty": ("empty", "空的"),
    "tool calls": ("tool calls, not supported yet", "暂不支持的工具调用"),
}
REMARKS: dict[str, Pair] = {
    "threads": ("files of posts joined into dialogues", "把帖子接成对话的文件"),
    "divided": ("files split into documents at separator marks", "按标记拆成多篇的文件"),
    "table": ("tables read as text", "按文本读取的表格"),
    "formulas": ("sheets with formulas but no values", "有公式却没有值的工作表"),
    "config": ("files without text or chat, skipped", "没有文本或对话而跳过的文件"),
    "unknown shape": ("files of an unknown format, skipped", "格式不认识而跳过的文件"),
}
MIXING: dict[str, Pair] = {
    "weight": ("weight", "权重"),
    "documents": ("documents", "篇数"),
    "characters": ("characters", "字符"),
    "bytes": ("bytes", "字节"),
    "epochs": ("epochs", "遍数"),
    "share": ("share", "占比"),
}
SCRIPTS: dict[str, Pair] = {
    "han": ("Chinese characters", "汉字"),
    "latin": ("Latin letters", "拉丁字母"),
    "other": ("digits, punctuation, other scripts", "数字、标点和其他文字"),
}
# The parts of the page in order: title, and an explanation for newcomers.
PARTS: dict[str, tuple[Pair, Pair]] = {
    "accounts": (
        ("What was read, what was kept", "读入多少，留下多少"),
        (
            "Every document is counted here exactly once: it was kept, or it was removed for a reason. So the numbers add up.",
            "读入的每一篇都在这里算一次，也只算一次：要么留下，要么因为某个原因去掉。所以各项加起来正好对得上。",
        ),
    ),
    "sources": (
        ("Where it came from", "来自哪里"),
        ("The same counts, source by source.", "同样的数字，按来源分开统计。"),
    ),
    "mixing": (
        ("How the sources are mixed", "各来源怎样混合"),
        (
            "Each source has a weight: how much of what the model reads should come from it. Epochs says how many times its documents are read: a small source may be read several times, a large one only in part.",
            "每个来源有一个权重，表示它在模型所读内容中应占多少。遍数是指每篇文档读几遍：小的来源可以读好几遍，大的来源可以只读一部分。",
        ),
    ),
    "filters": (
        ("Step by step", "一步一步"),
        (
            "Documents pass through these steps from top to bottom. A step changes texts or drops whole documents; the output of one is the input of the next.",
            "文档从上到下依次经过这些步骤。每一步要么改动文字，要么去掉整篇；上一步的输出就是下一步的输入。",
        ),
    ),
    "changes": (
        ("Before and after", "清洗前后"),
        (
            "Places where texts were changed. Red was removed, green was added. Invisible characters are written out, such as ⟨U+200B⟩; ↵ is a line break, and a dot before it is a space.",
            "文字被改动的地方。红色是去掉的，绿色是新加的。看不见的字符写成 ⟨U+200B⟩ 这样的代号；↵ 是换行，它前面的圆点是空格。",
        ),
    ),
    "drops": (
        ("What was dropped", "去掉的例子"),
        (
            "Whole documents that were dropped, grouped by step. If you disagree with a step, turn it off in the recipe.",
            "整篇去掉的文档，按步骤排列。如果不认同某一步，可以在配方里把它关掉。",
        ),
    ),
    "twins": (
        ("Near-duplicates", "几乎相同的"),
        (
            "Of documents that are nearly the same, only one is kept, because text that appears twice is learned twice. The words that differ are marked; the least similar pairs come first.",
            "几乎相同的文档只留一篇，因为出现两次就等于学两遍。不同的词标了颜色；差别最大的排在最前面。",
        ),
    ),
    "unreadable": (
        ("What could not be read", "读不了的"),
        (
            "Files and records that were set aside. Their content is not in the corpus; everything else was read.",
            "被跳过的文件和记录。它们的内容没有进入语料，其余的照常读入。",
        ),
    ),
    "shape": (
        ("Languages and lengths", "语言和长短"),
        (
            "The remaining documents at a glance: which script they are written in, and how long they are.",
            "留下的文档是什么样：用什么文字写的，每篇有多长。",
        ),
    ),
}


def filter_name(name: str) -> Pair:
    return FILTERS.get(name, (name, name))


def method_name(name: str) -> Pair:
    """A way to augment."""
    return FILTERS.get(f"augment_{name}", (name, name))


def kind_name(kind: str) -> Pair:
    """What is wrong with a record that was set aside."""
    return KINDS.get(kind, (kind, kind))


def reason_name(reason: str) -> Pair:
    """A reason in both languages, including those that contain a number or a place."""
    for pattern, en, zh in PATTERNS:
        found = re.fullmatch(pattern, reason, re.DOTALL)
        if found:
            return en.format(*found.groups()), zh.format(*found.groups())
    return REASONS.get(reason) or REMARKS.get(reason) or (reason, reason)
