"""Names shown in the report, in English and Chinese."""

from __future__ import annotations

from yaya.pages.layout import Pair

STAGES: dict[str, Pair] = {
    "prepare": ("Preparing the data", "整理数据"),
    "tokenize": ("Tokenizing", "分词"),
    "pretrain": ("Pretraining", "预训练"),
    "finetune": ("Fine-tuning", "微调"),
    "evaluate": ("Exam", "考试"),
}
PLANNED: dict[str, Pair] = {
    "loss": ("loss on held-out data", "验证损失"),
    "seconds": ("time", "时间"),
    "memory_gb": ("memory", "内存"),
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
UNITS: dict[str, Pair] = {"zh": ("Chinese characters", "个汉字"), "en": ("English words", "个英文词")}
LANGUAGES: dict[str, Pair] = {"zh": ("Chinese", "中文"), "en": ("English", "英文")}
SETS: dict[str, Pair] = {
    "combinations": ("New combinations", "新组合"),
    "phrasings": ("Unseen phrasings", "没见过的问法"),
    "paraphrases": ("Hand-written paraphrases", "人工改写的问法"),
}
