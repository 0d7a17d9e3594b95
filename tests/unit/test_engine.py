"""The engine against a plain loop without a cache; each request as if it were alone; what is shown is whole and final."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from yaya.core.messages import UserError
from yaya.inference import engine as engine_module
from yaya.inference.engine import Engine, Request
from yaya.inference.sampling import SamplingParams
from yaya.model.decoder import Transformer
from yaya.model.model_config import ModelConfig
from yaya.tokenize.tokenizer import Tokenizer, train

CONTEXT = 64
GREEDY = SamplingParams(temperature=0.0)
BEYOND = 5  # rows of the embedding that no token has
SAMPLE = ["abc abc abab bca", "小猫 and 小狗 say hello, hello world.\n", "user\nassistant\n"] * 40


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train(iter(SAMPLE), 340, 1)


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> Transformer:
    """Random weights, large enough that no two scores are close."""
    sizes = dict(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, head_dim=32, max_position_embeddings=CONTEXT
    )
    heads = dict(num_attention_heads=2, num_key_value_heads=1)
    made = Transformer(ModelConfig(vocab_size=tokenizer.vocab_size + BEYOND, **sizes, **heads))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in made.parameters():
            p.normal_(0, 0.25, generator=generator) if p.dim() == 2 else p.uniform_(0.5, 1.5, generator=generator)
    return made


@pytest.fixture
def engine(model: Transformer, tokenizer: Tokenizer) -> Engine:
    return Engine(model, tokenizer)


def forbidden(tokenizer: Tokenizer) -> list[int]:
    """Written out anew: the frame's control tokens except those that end a reply, and rows beyond the vocabulary."""
    frame = ["<|im_start|>", *(f"<|spare_{i}|>" for i in range(16))]
    return [tokenizer.control[t] for t in frame] + list(range(tokenizer.vocab_size, tokenizer.vocab_size + BEYOND))


@torch.inference_mode()
def plainly(
    model: Transformer, tokenizer: Tokenizer, ids: Sequence[int], steps: int, penalty: float = 1.0, ends: bool = True
) -> list[int]:
    """Greedy decoding without a cache: the whole sequence again for each token."""
    all_ids = list(ids)
    while len(all_ids) < min(len(ids) + steps, CONTEXT):
        scores = model.logits(model(torch.tensor([all_ids])))[0, -1]
        for i in set(all_ids):
            scores[i] = scores[i] / penalty if scores[i] > 0 else scores[i] * penalty
        scores[forbidden(tokenizer) + ([] if ends else list(tokenizer.stop_ids))] = -torch.inf
        token = int(scores.argmax())
        if token in tokenizer.stop_ids:
            break
        all_ids.append(token)
    return all_ids[len(ids) :]


def endless(engine: Engine) -> Engine:
    """The engine with no way to end a reply."""
    engine.bias[list(engine.tokenizer.stop_ids)] = -torch.inf
    return engine


def prompts(tokenizer: Tokenizer, count: int = 8, longest: int = 40) -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    lengths = [1, 2, longest, *torch.randint(1, longest, (count - 3,), generator=generator).tolist()]
    return [torch.randint(23, tokenizer.vocab_size, (n,), generator=generator).tolist() for n in lengths]


def run(engine: Engine, seen: Callable[[], None] = lambda: None) -> None:
    while not engine.idle:
        engine.step()
        seen()


def alone(engine: Engine, ids: list[int], sampling: SamplingParams) -> tuple[list[int], str, str | None]:
    """What a fresh engine makes of one prompt."""
    fresh = Engine(engine.model, engine.tokenizer)
    fresh.bias = engine.bias.clone()
    return outcome(fresh.generate([ids], sampling)[0])


def outcome(request: Request) -> tuple[list[int], str, str | None]:
    return request.output_ids, request.text, request.finish_reason


# ---------------------------------------------------------------- against a plain loop


def test_greedy_ids_equal_those_without_a_cache(engine: Engine) -> None:
    many = prompts(engine.tokenizer)
    requests = engine.generate(many, SamplingParams(max_new_tokens=12, temperature=0))
    wanted = [plainly(engine.model, engine.tokenizer, ids, 12) for ids in many]
    assert [r.output_ids for r in requests] == wanted
    assert len({tuple(ids) for ids in wanted}) == len(many)  # the prompts do matter


def test_ids_are_right_up_to_the_last_position(engine: Engine) -> None:
    ids = prompts(engine.tokenizer)[3]
    (request,) = endless(engine).generate([ids], SamplingParams(max_new_tokens=10**6, temperature=0))
    assert request.output_ids == plainly(engine.model, engine.tokenizer, ids, CONTEXT, ends=False)
    assert len(ids) + len(request.output_ids) == CONTEXT and request.finish_reason == "length"


def test_the_penalty_counts_prompt_and_reply(engine: Engine) -> None:
    ids = prompts(engine.tokenizer)[4]
    (request,) = engine.generate([ids], SamplingParams(max_new_tokens=12, temperature=0, repetition_penalty=1.7))
    assert request.output_ids == plainly(engine.model, engine.tokenizer, ids, 12, penalty=1.7)
    assert request.output_ids != plainly(engine.model, engine.tokenizer, ids, 12)


# ---------------------------------------------------------------- in company

MIXED = [
    GREEDY,
    SamplingParams(seed=1, temperature=1.3),
    SamplingParams(seed=2, top_k=5, max_new_tokens=7),
    SamplingParams(seed=3, top_p=0.7, repetition_penalty=1.3),
    SamplingParams(max_new_tokens=1, temperature=0),
    SamplingParams(seed=4, max_new_tokens=20),
    SamplingParams(temperature=0, max_new_tokens=3, repetition_penalty=2.0),
    SamplingParams(seed=6, top_k=3, top_p=0.9),
]


@pytest.mark.parametrize("max_batch", [1, 3, 64])
@pytest.mark.parametrize("prefill_tokens", [50, 4096])
def test_each_reply_is_the_same_in_company_as_alone(
    max_batch: int, prefill_tokens: int, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts of all lengths, each with its own sampling; with few rows and small prefills, too."""
    monkeypatch.setattr(engine_module, "PREFILL_TOKENS", prefill_tokens)
    many = prompts(engine.tokenizer)
    shared = Engine(engine.model, engine.tokenizer, max_batch)
    requests = [shared.add(ids, sampling) for ids, sampling in zip(many, MIXED, strict=True)]
    run(shared)
    for request, ids, sampling in zip(requests, many, MIXED, strict=True):
        assert outcome(request) == alone(engine, ids, sampling)


def test_who_joins_in_the_middle_changes_nobody(engine: Engine) -> None:
    endless(engine)
    many = prompts(engine.tokenizer)[1:7]
    sampling = SamplingParams(max_new_tokens=15, seed=9)
    waiting, requests = list(many), []
    while waiting or not engine.idle:
        if waiting:
            requests.append(engine.add(waiting.pop(0), sampling))
        for _ in range(3):
            engine.step()
    assert [outcome(r) for r in requests] == [alone(engine, ids, sampling) for ids in many]


def test_a_step_tells_who_advanced(engine: Engine) -> None:
    first = endless(engine).add([30], SamplingParams(max_new_tokens=4, temperature=0))
    assert engine.step() == [first] and len(first.output_ids) == 1
    assert engine.step() == [first] and len(first.output_ids) == 2
    second = engine.add([31, 32], SamplingParams(max_new_tokens=2, temperature=0))
    assert engine.step() == [second] and (len(first.output_ids), len(second.output_ids)) == (2, 1)
    assert engine.step() == [first, second]
    assert second.finish_reason == "length" and engine.step() == [first]
    assert engine.idle and engine.step() == []


@pytest.mark.parametrize("max_batch", [1, 2])
def test_more_requests_than_rows_are_served_in_turn(max_batch: int, engine: Engine) -> None:
    small = endless(Engine(engine.model, engine.tokenizer, max_batch))
    requests = [small.add([30 + i], SamplingParams(max_new_tokens=2, temperature=0)) for i in range(5)]
    finished: list[Request] = []

    def watch() -> None:
        assert len(small.active) <= max_batch
        finished.extend(r for r in requests if r.finish_reason and r not in finished)

    run(small, watch)
    assert finished == requests


def test_rows_that_were_released_do_not_leak(engine: Engine) -> None:
    """Long prompts first, then short ones in the same rows, the first of them cancelled halfway."""
    endless(engine)
    long = [[23 + (7 * i + j) % 300 for i in range(50)] for j in range(4)]
    leaving = [engine.add(ids, SamplingParams(seed=1)) for ids in long]
    for _ in range(4):
        engine.step()
    for request in leaving:
        engine.cancel(request)
    assert engine.idle
    short = prompts(engine.tokenizer, longest=10)
    sampling = SamplingParams(max_new_tokens=10, temperature=0)
    for _ in range(2):
        requests = engine.generate(short, sampling)
        assert [outcome(r) for r in requests] == [alone(engine, ids, sampling) for ids in short]


# ---------------------------------------------------------------- cancelling


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_cancelling_one_leaves_the_others_alone(victim: int, engine: Engine) -> None:
    endless(engine)
    many = prompts(engine.tokenizer)[3:6]
    sampling = SamplingParams(max_new_tokens=12, seed=2)
    requests = [engine.add(ids, sampling) for ids in many]
    for _ in range(4):
        engine.step()
    engine.cancel(requests[victim])
    before = outcome(requests[victim])
    assert before[2] == "cancelled" and len(before[0]) == 4
    run(engine)
    assert outcome(requests[victim]) == before
    for i, ids in enumerate(many):
        if i != victim:
            assert outcome(requests[i]) == alone(engine, ids, sampling)


def test_a_request_that_waits_can_be_cancelled(engine: Engine) -> None:
    single = endless(Engine(engine.model, engine.tokenizer, max_batch=1))
    first, second, third = (single.add([30 + i], SamplingParams(max_new_tokens=3, temperature=0)) for i in range(3))
    single.step()
    single.cancel(second)
    assert (second.finish_reason, second.output_ids, second.text) == ("cancelled", [], "")
    run(single)
    assert (first.finish_reason, third.finish_reason, second.output_ids) == ("length", "length", [])


def test_cancelling_what_is_finished_changes_nothing(engine: Engine) -> None:
    (request,) = endless(engine).generate([[30]], SamplingParams(max_new_tokens=3, temperature=0))
    before = outcome(request)
    engine.cancel(request)
    assert outcome(request) == before and before[2] == "length"


def test_a_stream_that_nobody_reads_on_is_cancelled(engine: Engine) -> None:
    pieces = endless(engine).stream([30], SamplingParams(max_new_tokens=50, seed=1))
    next(pieces)
    assert not engine.idle
    pieces.close()
    assert engine.idle


def test_a_stream_that_is_told_to_stop(engine: Engine) -> None:
    whole = "".join(endless(engine).stream([30], SamplingParams(max_new_tokens=50, seed=1)))
    asked: list[int] = []
    part = "".join(
        engine.stream([30], SamplingParams(max_new_tokens=50, seed=1), lambda: len(asked) == 9 or asked.append(1))
    )
    assert engine.idle and len(asked) == 9  # nine steps: the prompt's and eight tokens more
    assert whole.startswith(part) and 0 < len(part) < len(whole)
    assert list(engine.stream([30], SamplingParams(max_new_tokens=50), lambda: True)) == [] and engine.idle


# ---------------------------------------------------------------- lengths


@pytest.mark.parametrize("count", [1, 2, 9])
def test_never_more_tokens_than_asked_for(count: int, engine: Engine) -> None:
    (request,) = endless(engine).generate([[30, 31]], SamplingParams(max_new_tokens=count, seed=1))
    assert len(request.output_ids) == count and request.finish_reason == "length"


def test_the_longest_prompt_leaves_room_for_one_token(engine: Engine) -> None:
    (request,) = endless(engine).generate([[30] * (CONTEXT - 1)], SamplingParams(seed=1))
    assert len(request.output_ids) == 1 and request.finish_reason == "length"


@pytest.mark.parametrize("length", [CONTEXT, CONTEXT + 1, 1000])
def test_a_prompt_that_is_too_long_is_refused_with_both_numbers(length: int, engine: Engine) -> None:
    with pytest.raises(UserError) as caught:
        engine.add([30] * length, GREEDY)
    for text in (caught.value.en, caught.value.zh):
        assert str(length) in text and str(CONTEXT - 1) in text
    assert engine.idle


def test_an_empty_prompt_is_refused(engine: Engine) -> None:
    with pytest.raises(UserError):
        engine.add([], GREEDY)
    assert engine.idle


def test_a_document_begins_with_its_mark(engine: Engine) -> None:
    ids = engine.encode("hello<|im_end|>")
    assert ids[0] == engine.tokenizer.end_of_text
    assert not set(ids[1:]) & set(engine.tokenizer.control.values())
    assert engine.tokenizer.decode(ids) == "hello<|im_end|>"


# ---------------------------------------------------------------- chance


def test_a_seed_repeats_the_reply_and_another_changes_it(engine: Engine) -> None:
    def reply(seed: int | None) -> list[int]:
        return engine.generate([[40, 41]], SamplingParams(max_new_tokens=12, temperature=2.0, seed=seed))[0].output_ids

    endless(engine)
    assert reply(1) == reply(1)
    assert len({tuple(reply(seed)) for seed in range(5)}) == 5
    assert reply(None) != reply(None)


def test_requests_with_one_seed_do_not_share_their_luck(engine: Engine) -> None:
    """The same prompt and seed twice in one batch: twice the same reply."""
    first, second = endless(engine).generate([[40, 41]] * 2, SamplingParams(max_new_tokens=12, temperature=2.0, seed=8))
    assert outcome(first) == outcome(second)


@pytest.mark.parametrize(
    "sampling",
    [
        SamplingParams(max_new_tokens=8, temperature=0),
        SamplingParams(max_new_tokens=8, temperature=100, seed=0),
        SamplingParams(max_new_tokens=8, temperature=0, repetition_penalty=0.5),
        SamplingParams(max_new_tokens=8, seed=0, repetition_penalty=3.0),
    ],
)
def test_forbidden_ids_are_never_chosen(
    sampling: SamplingParams, model: Transformer, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even by a model that wants nothing else."""
    wish = torch.full((1, tokenizer.vocab_size + BEYOND), -1e4)
    wish[0, forbidden(tokenizer)] = 50.0
    wish[0, 60] = 0.0
    monkeypatch.setattr(model, "logits", lambda hidden: wish.clone(), raising=False)
    (request,) = Engine(model, tokenizer).generate([[30]], sampling)
    assert request.output_ids == [60] * 8


def test_at_any_heat_only_tokens_with_text_or_thoughts_come(engine: Engine) -> None:
    (request,) = endless(engine).generate([[30]], SamplingParams(max_new_tokens=60, temperature=100, seed=0))
    assert not set(request.output_ids) & set(forbidden(engine.tokenizer))


def test_an_id_that_no_token_has_is_never_chosen(tokenizer: Tokenizer, model: Transformer) -> None:
    definition = json.loads(tokenizer.definition)
    last = max(definition["model"]["vocab"].values())
    (gone,) = [token for token, i in definition["model"]["vocab"].items() if i == last - 1]
    del definition["model"]["vocab"][gone]
    definition["model"]["merges"] = [m for m in definition["model"]["merges"] if "".join(m) != gone]
    gapped = Tokenizer(json.dumps(definition))
    assert gapped.unused_ids == [last - 1]
    wants_it = Engine(model, gapped)
    assert wants_it.bias[last - 1] == -torch.inf and wants_it.bias[last] == 0


# ---------------------------------------------------------------- text


def parrot(model: Transformer, tokenizer: Tokenizer, text: str, patch: pytest.MonkeyPatch) -> Engine:
    """An engine whose model says `text` and ends."""
    script = iter([*tokenizer.encode(text), tokenizer.turn_end])

    def logits(hidden: torch.Tensor) -> torch.Tensor:
        scores = torch.zeros(1, tokenizer.vocab_size + BEYOND)
        scores[0, next(script)] = 10.0
        return scores

    patch.setattr(model, "logits", logits, raising=False)
    return Engine(model, tokenizer)


def said(model: Transformer, tokenizer: Tokenizer, text: str, **options: Any) -> tuple[list[str], str, str | None]:
    """(the text after each step, the text in the end, why it ended)"""
    with pytest.MonkeyPatch.context() as patch:
        engine = parrot(model, tokenizer, text, patch)
        request = engine.add([30], SamplingParams(**({"max_new_tokens": 60, "temperature": 0.0} | options)))
        shown: list[str] = []
        run(engine, lambda: shown.append(request.text))
    return shown, request.text, request.finish_reason


spoken = st.text("abc 猫😀\n", max_size=14)
quick = settings(deadline=None, max_examples=60)


@quick
@given(spoken, st.lists(st.text("abc 猫😀", min_size=1, max_size=4), max_size=3))
@example("abc abc", ["c a"])
@example("abab", ["abc", "ba"])
@example("小猫", ["小狗"])
@example("aab", ["ab", "aac"])
def test_a_stop_string_is_never_shown_not_even_in_part(
    model: Transformer, tokenizer: Tokenizer, text: str, stop: list[str]
) -> None:
    shown, final, reason = said(model, tokenizer, text, stop=tuple(stop))
    assert all(final.startswith(part) for part in shown)  # nothing is ever taken back
    assert shown == sorted(shown, key=len)
    assert reason == "stop"
    assert not any(s in final for s in stop)
    rest = text.removeprefix(final)
    assert text.startswith(final)
    assert any(rest.startswith(s) for s in stop) if any(s in text for s in stop) else rest == ""


@quick
@given(spoken, st.text("abc 猫😀", min_size=1, max_size=4))
def test_text_ends_right_before_its_one_stop_string(
    model: Transformer, tokenizer: Tokenizer, text: str, stop: str
) -> None:
    assert said(model, tokenizer, text, stop=(stop,))[1] == text.split(stop)[0]


def test_a_stop_string_ends_the_work_at_once(model: Transformer, tokenizer: Tokenizer) -> None:
    shown, final, _ = said(model, tokenizer, "猫 stops here and says much more", stop=("stops",))
    assert final == "猫 "
    assert len(shown) <= len(tokenizer.encode("猫 stops"))


def test_what_only_looked_like_a_stop_string_is_shown_in_the_end(model: Transformer, tokenizer: Tokenizer) -> None:
    assert said(model, tokenizer, "abc ab", stop=("abab",))[1] == "abc ab"
    count = len(tokenizer.encode("abc ab"))
    assert said(model, tokenizer, "abc ab", stop=("abab",), max_new_tokens=count)[1:] == ("abc ab", "length")


def test_an_empty_stop_string_stops_nothing(model: Transformer, tokenizer: Tokenizer) -> None:
    assert said(model, tokenizer, "hello", stop=("",))[1:] == ("hello", "stop")


@quick
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=15))
def test_text_grows_by_whole_characters(model: Transformer, tokenizer: Tokenizer, text: str) -> None:
    shown, final, reason = said(model, tokenizer, text)
    assert (final, reason) == (text, "stop")
    assert all(text.startswith(part) for part in shown)


@quick
@given(spoken, st.lists(st.text("abc 猫", min_size=1, max_size=3), max_size=2))
def test_the_pieces_of_a_stream_are_the_text(
    model: Transformer, tokenizer: Tokenizer, text: str, stop: list[str]
) -> None:
    sampling = SamplingParams(max_new_tokens=60, temperature=0, stop=tuple(stop))
    with pytest.MonkeyPatch.context() as patch:
        pieces = list(parrot(model, tokenizer, text, patch).stream([30], sampling))
    assert all(pieces)
    assert "".join(pieces) == said(model, tokenizer, text, stop=tuple(stop))[1]


def test_a_control_token_that_ends_the_reply_is_not_part_of_it(model: Transformer, tokenizer: Tokenizer) -> None:
    with pytest.MonkeyPatch.context() as patch:
        (request,) = parrot(model, tokenizer, "hello", patch).generate([[30]], GREEDY)
    assert request.output_ids == tokenizer.encode("hello") and request.text == "hello"


def test_thoughts_are_allowed_but_no_text(model: Transformer, tokenizer: Tokenizer) -> None:
    with pytest.MonkeyPatch.context() as patch:
        script = iter([tokenizer.control["<think>"], 60, tokenizer.end_of_text])
        row = torch.eye(tokenizer.vocab_size + BEYOND)
        patch.setattr(model, "logits", lambda hidden: row[[next(script)]], raising=False)
        (request,) = Engine(model, tokenizer).generate([[30]], GREEDY)
    assert request.output_ids == [tokenizer.control["<think>"], 60]
    assert request.text == tokenizer.decode([60]) and request.finish_reason == "stop"
