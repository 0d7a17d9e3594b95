"""What is done in one way everywhere: extras, the lock of a run, Chinese characters, role weights, summed losses."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path

import pytest

from yaya.core import han
from yaya.core.artifact import MANIFEST, with_digest
from yaya.core.extras import need
from yaya.core.han import language_of
from yaya.core.lock import is_locked, locked
from yaya.core.messages import UserError
from yaya.inference.likelihood import SummedLoss
from yaya.tokenize import chat_template
from yaya.tokenize.chat_template import ASSISTANT, ROLES, SYSTEM, TEMPLATE, TEXT, USER


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError) as caught:
        need(
            "optuna",
            "yaya[tune]",
            "yaya tune needs Optuna",
            "yaya tune 需要 Optuna",
            (". Or do without.", "。也可以不用。"),
        )
    assert caught.value.en == 'yaya tune needs Optuna: pip install "yaya[tune]". Or do without.'
    assert caught.value.zh == 'yaya tune 需要 Optuna：pip install "yaya[tune]"。也可以不用。'
    with pytest.raises(UserError, match=r"pip install optuna$"):  # no brackets, no quotes
        need("optuna", "optuna", "x", "x")
    assert need("json", "json", "x", "x") is json


def test_one_yaya_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "runs" / "a"
    assert not is_locked(run)
    with locked(run):
        assert is_locked(run)
        with pytest.raises(UserError, match="Another yaya is working"), locked(run):
            pass
        assert is_locked(run)  # who was refused has let nobody in
        monkeypatch.setenv("RANK", "1")
        with locked(run):  # another rank of the same training
            pass
        monkeypatch.delenv("RANK")
        assert is_locked(run)
    assert not is_locked(run)


def test_a_lock_ends_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), locked(tmp_path):
        raise KeyboardInterrupt
    assert not is_locked(tmp_path)


@pytest.mark.parametrize(
    ("character", "common", "broad", "every"),
    [
        ("学", True, True, True),
        ("㐀", False, True, True),  # Extension A
        ("䷀", False, True, False),  # a hexagram
        ("𠮷", False, False, True),  # Extension B
        ("。", False, False, False),
        ("の", False, False, False),
    ],
)
def test_the_ranges_of_chinese_characters_differ(character: str, common: bool, broad: bool, every: bool) -> None:
    found = [bool(re.search(f"[{range_}]", f"a{character}")) for range_ in (han.COMMON, han.BROAD, han.ALL)]
    assert found == [common, broad, every]
    assert language_of(f"so {character}", han.COMMON) == ("zh" if common else "en")
    assert language_of(f"so {character}") == ("zh" if broad else "en")


def test_weights_stand_at_their_roles_places() -> None:
    weights = chat_template.role_weights(text=1, system=2, user=3, assistant=4, template=5)
    assert [weights[code] for code in (TEXT, SYSTEM, USER, ASSISTANT, TEMPLATE)] == [1, 2, 3, 4, 5]
    assert len(weights) == len(ROLES) and chat_template.role_weights() == (0.0,) * len(ROLES)


def test_a_summed_loss() -> None:
    found = SummedLoss(nats=8 * math.log(2), tokens=4, bytes=16)
    assert found.loss == pytest.approx(2 * math.log(2))
    assert found.perplexity == pytest.approx(4) and found.bits_per_byte == pytest.approx(0.5)
    assert SummedLoss(1e6, 1, 1).perplexity == math.exp(700)


def test_results_are_found_by_their_digest(tmp_path: Path) -> None:
    for place, manifest in [
        ("a/prepare", {"digest": "1"}),
        ("b/prepare", {"digest": "2"}),
        ("b/tokenize", {"digest": "1"}),
        ("c/prepare", ["1"]),
        ("d/prepare", {"digest": {}}),
    ]:
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / MANIFEST).write_text(json.dumps(manifest))
    (tmp_path / "e/prepare").mkdir(parents=True)
    (tmp_path / "e/prepare" / MANIFEST).write_text("{")  # cut off
    runs = sorted(tmp_path.iterdir())
    assert list(with_digest(runs, ["prepare"], ["1"])) == [tmp_path / "a/prepare"]
    assert list(with_digest(runs, ["prepare", "tokenize"], ["1"])) == [tmp_path / "a/prepare", tmp_path / "b/tokenize"]
    assert not list(with_digest(runs, ["prepare"], []))
