"""Mistakes on the command line, and help, in the reader's language alone."""

from __future__ import annotations

import re

import pytest

from yaya.cli.commands import dispatch
from yaya.core.messages import UsageError, width

MISTAKES = [
    ("chat", "missing: MODEL", "缺少 模型"),
    ("generate m", "missing: PROMPT", "缺少 开头"),
    ("chat m --temperature", "--temperature needs a value", "--temperature 后面缺少值"),
    ("chat m --once", "--once needs a value", "--once 后面缺少值"),
    ("serve m --port", "--port needs a value", "--port 后面缺少值"),
    ("serve m --host", "--host needs a value", "--host 后面缺少值"),
    ("chat m --temperature x", "--temperature must be a number, not 'x'", "--temperature 应当是数字，而不是 'x'"),
    ("generate m p --seed 1.5", "--seed must be a whole number, not '1.5'", "--seed 应当是整数，而不是 '1.5'"),
    ("serve m --port 99999", "'99999' is not a port", "'99999' 不是端口"),
    ("chat m --greedy=3", "--greedy takes no value, but got '3'", "--greedy 不需要值，却写了 '3'"),
    ("chat m --top 3", "--top could mean --top-k, --top-p", "--top 可能是指 --top-k, --top-p"),
    ("chat m --frob", "unknown arguments: --frob", "不认识的参数 --frob"),
    (
        "chat m --onse hi",
        "unknown arguments: --onse hi. Did you mean --once?",
        "不认识的参数 --onse hi。你是想写 --once 吗？",
    ),
    (
        "serve m --prot=1",
        "unknown arguments: --prot=1. Did you mean --port?",
        "不认识的参数 --prot=1。你是想写 --port 吗？",
    ),
    ("generate m p --top-q 3 --tempereture 1", "Did you mean --top-", "你是想写 --top-"),
    ("serve m a b", "unknown arguments: a b", "不认识的参数 a b"),
    ("doctor x", "unknown arguments: x", "不认识的参数 x"),
    ("run --minutes 3", "without dashes: minutes=VALUE", "不加短横线：minutes=值"),
    ("pretrain -x", "without dashes: x=VALUE", "不加短横线：x=值"),
    ("plan r.toml --dry-run", "without dashes: dry_run=VALUE", "不加短横线：dry_run=值"),
]


@pytest.mark.parametrize(("typed", "en", "zh"), MISTAKES)
def test_a_mistake_is_told_in_the_readers_language(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, typed: str, en: str, zh: str
) -> None:
    monkeypatch.chdir(tmp_path)  # type: ignore[arg-type]
    (tmp_path / "r.toml").write_text("")  # type: ignore[operator]
    for language, want in (("en", en), ("zh", zh)):
        monkeypatch.setenv("YAYA_LANG", language)
        with pytest.raises(UsageError) as told:
            dispatch(typed.split())
        assert want in str(told.value) and f"yaya {typed.split()[0]} --help" in str(told.value)
        left = str(told.value).replace(want, "").replace("See: ", "")
        if language == "zh":
            words = re.sub(r"yaya \w+ --help|'[^']*'|--?[\w-]+", "", left)
            assert not re.search("[A-Za-z]{2}", words), words


@pytest.mark.parametrize("tool", ["chat", "generate", "serve", "doctor"])
def test_help_speaks_chinese(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tool: str) -> None:
    monkeypatch.setenv("YAYA_LANG", "zh")
    with pytest.raises(SystemExit) as end:
        dispatch([tool, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("用法：yaya ") and "选项" in text
    usage = text.split("\n\n")[0].splitlines()
    assert {len(line) - len(line.lstrip()) for line in usage[1:]} <= {width(f"用法：yaya {tool} ")}
    rows = [row for row in text.splitlines() if row.startswith(("  模型", "  开头", "  -h"))]
    assert len({width(row[: row.index(re.split("  +", row.strip())[1])]) for row in rows}) == 1
    assert not re.search("usage|positional|options|arguments|default|show this", text)
