"""Names that the report shows, in English and in Chinese."""

from __future__ import annotations

Pair = tuple[str, str]  # the same words in English and in Chinese

STAGES: dict[str, Pair] = {
    "prepare": ("Preparing the data", "整理数据"),
    "tokenize": ("Cutting into tokens", "切成 token"),
    "pretrain": ("Pretraining", "预训练"),
    "finetune": ("Fine-tuning", "微调"),
    "evaluate": ("Examination", "考试"),
}
SKILLS: dict[str, Pair] = {
    "facts": ("town & facts", "常识与小镇"),
    "arithmetic": ("arithmetic", "算术"),
    "counting": ("counting", "数数"),
    "opposites": ("opposites", "反义词"),
    "categories": ("categories", "分类"),
    "translation": ("translation", "翻译"),
    "instructions": ("instructions", "听指令"),
    "shop": ("shop service", "小店客服"),
    "memory": ("memory", "记忆"),
    "identity": ("who am I", "我是谁"),
    "unknown": ("“I don’t know”", "说不知道"),
}
LANGUAGES: dict[str, Pair] = {"zh": ("Chinese", "中文"), "en": ("English", "英文")}
SETS: dict[str, Pair] = {
    "combinations": ("New combinations", "新组合"),
    "phrasings": ("Unseen phrasings", "没见过的问法"),
    "paraphrases": ("Hand-written paraphrases", "手写的改述"),
}
FILTERS: dict[str, Pair] = {
    "unicode": ("repaired garbled text", "修复乱码"),
    "line_ends": ("one kind of line end", "统一换行符"),
    "zero_width": ("removed invisible characters", "去掉看不见的字符"),
    "control": ("removed control characters", "去掉控制字符"),
    "emoji": ("removed emoji", "去掉表情符号"),
    "nfc": ("one form for accents", "统一附加符号"),
    "whitespace": ("tidied white space", "整理空白"),
    "empty": ("dropped what is empty", "丢掉空文档"),
}
REASONS: dict[str, Pair] = {
    "empty": ("nothing visible in it", "没有任何可见内容"),
    "no reply": ("a conversation without a reply", "没有回复的对话"),
    "bad json": ("not valid JSON", "不是合法的 JSON"),
    "bad encoding": ("an unknown encoding", "编码无法识别"),
    "binary": ("not text", "不是文本"),
    "damaged": ("a damaged file", "文件已损坏"),
    "unknown shape": ("an unknown format", "不认识的格式"),
    "unreadable": ("cannot be read", "读不了"),
    "wrong type": ("a field of the wrong type", "字段类型不对"),
}
