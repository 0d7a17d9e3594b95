"""PackedDataset, objective, optimizer, schedule, checkpoints: each against a plain reference."""

import dataclasses
import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from yaya.core.messages import UserError
from yaya.core.progress import Bar
from yaya.model.decoder import Transformer, initialize
from yaya.model.model_config import ModelConfig
from yaya.tokenize.chat_template import ASSISTANT, SYSTEM, TEMPLATE, TEXT, USER
from yaya.tokenize.shards import TokenShard
from yaya.train import language_model
from yaya.train.callbacks import Progress, StepReport
from yaya.train.checkpoint import CheckpointManager, TrainState
from yaya.train.log import Log
from yaya.train.loop import accumulate, restore, shards, train_step
from yaya.train.loop_config import LoopConfig
from yaya.train.objective import LanguageModeling
from yaya.train.optimizer import Optimizer, decay_start, newton_schulz, schedule
from yaya.train.packing import IGNORE_INDEX, DataMixture, LongConversations, PackedDataset
from yaya.train.plan import planner, sizes
from yaya.train.plan.planner import Trainee, settle_batch

RATES = LoopConfig(matrix_learning_rate=0.02, learning_rate=1e-3)


def make_shard(lengths: list[int], chat: bool = False, seed: int = 0) -> TokenShard:
    random = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    tokens = random.integers(0, 50, int(offsets[-1])).astype(np.uint16)
    roles = random.choice([USER, ASSISTANT, TEMPLATE], int(offsets[-1])).astype(np.uint8) if chat else None
    return TokenShard(tokens, roles, offsets)


def tiny_model(**switches: object) -> Transformer:
    sizes = dict(vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=1)
    sizes |= dict(num_key_value_heads=1, head_dim=32, max_position_embeddings=64) | switches
    model = Transformer(ModelConfig(**sizes))
    initialize(model, 0)
    with torch.no_grad():  # nothing at zero, so that every path carries a gradient
        for p in model.parameters():
            if p.dim() == 2 and not p.any():
                p.normal_(0, 0.05, generator=torch.Generator().manual_seed(1))
    return model


lengths_strategy = st.lists(st.integers(1, 90), min_size=1, max_size=40)


@settings(deadline=None, max_examples=60)
@given(lengths_strategy, st.integers(4, 32), st.integers(0, 3))
def test_an_epoch_holds_every_label_exactly_once(lengths: list[int], row_length: int, epoch: int) -> None:
    shard = make_shard(lengths)
    packing = PackedDataset(shard, row_length, 7).packing(epoch)
    labels = [
        start + 1 + i
        for start, size in zip(packing.segments.starts.tolist(), packing.segments.sizes.tolist(), strict=True)
        for i in range(size)
    ]
    first_tokens = set(shard.offsets[:-1].tolist())
    assert sorted(labels) == [i for i in range(len(shard.tokens)) if i not in first_tokens]
    for row in range(packing.rows):
        assert packing.segments.sizes[packing.first[row] : packing.first[row + 1]].sum() <= row_length


def test_short_documents_are_never_cut() -> None:
    shard = make_shard([10, 17, 3, 9, 16, 2])
    packing = PackedDataset(shard, 16, 0).packing(0)
    assert sorted(packing.segments.sizes.tolist()) == sorted([9, 16, 2, 8, 15, 1])


def test_packing_wastes_little() -> None:
    lengths = np.random.default_rng(0).integers(20, 120, 2000).tolist()
    packing = PackedDataset(make_shard(lengths), 256, 0).packing(0)
    assert packing.segments.sizes.sum() / (packing.rows * 256) > 0.97


def test_rows_are_a_pure_function_of_seed_and_number() -> None:
    shards = [make_shard([30, 12, 7, 25] * 5), make_shard([20, 9, 31] * 5, chat=True)]

    def batch(first: int, count: int, seed: int = 3) -> list[np.ndarray]:
        weights = [1, 0.5, 0.5, 1, 0]
        mixture = DataMixture(
            [(PackedDataset(shards[0], 24, seed, weights), 0.3), (PackedDataset(shards[1], 24, seed, weights), 0.7)]
        )
        return [tensor.numpy() for tensor in vars(mixture.batch(first, count)).values()]

    together = batch(0, 60)
    for first in (0, 17, 59):
        for whole, alone in zip(together, batch(first, 1), strict=True):
            np.testing.assert_array_equal(whole[first : first + 1], alone)
    assert any((a != b).any() for a, b in zip(together, batch(0, 60, seed=4), strict=True))


@pytest.mark.parametrize("shares", [[1.0], [0.85, 0.15], [0.5, 0.3, 0.2], [0.1, 0.1, 0.7, 0.1], [3, 1, 1]])
def test_the_mixture_keeps_its_shares_at_every_point(shares: list[float]) -> None:
    mixture = DataMixture([(PackedDataset(make_shard([30] * 9), 24, part), share) for part, share in enumerate(shares)])
    seen: list[list[int]] = [[] for _ in shares]
    for number in range(500):
        part, row = mixture.locate(number)
        seen[part].append(row)
        for rows, share in zip(seen, shares, strict=True):
            assert abs(len(rows) - share / sum(shares) * (number + 1)) <= len(shares) - 1
    assert all(rows == list(range(len(rows))) and rows for rows in seen)


@pytest.mark.parametrize("weights", [[1, 0.1, 0.1, 1, 0], [0, 0, 0, 1, 0]])
def test_packed_loss_and_gradient_equal_unpacked(weights: list[float]) -> None:
    """Many conversations in one row, attention inside each: the same as one by one."""
    shard = make_shard([12, 30, 7, 21, 16, 9], chat=True)
    assert shard.roles is not None
    model = tiny_model()
    rows = PackedDataset(shard, 64, 0, weights)
    count = rows.packing(0).rows
    goal = LanguageModeling(DataMixture([(rows, 1.0)]), count, count)
    loss, weight, _ = goal.loss(model, next(goal.batches(model, 0)[0]))
    loss.backward()
    packed = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    total = count = 0.0
    for begin, end in zip(shard.offsets[:-1], shard.offsets[1:], strict=True):
        ids = torch.from_numpy(shard.tokens[begin:end].astype(np.int64))[None]
        w = torch.tensor(weights, dtype=torch.float32)[shard.roles[begin + 1 : end].astype(np.int64)]
        logits = model.logits(model(ids[:, :-1]))[0]
        part = (F.cross_entropy(logits, ids[0, 1:], reduction="none") * w).sum()
        part.backward()
        total, count = total + part.item(), count + w.sum().item()
    assert loss.item() == pytest.approx(total, rel=1e-5)
    assert weight.item() == pytest.approx(count, rel=1e-6)
    for name, p in model.named_parameters():
        torch.testing.assert_close(packed[name], p.grad, rtol=2e-3, atol=2e-5, msg=name)


def test_a_head_of_its_own_is_a_table_and_nothing_more() -> None:
    """As Qwen, Llama and all that read our folders have it: `lm_head.weight`, no bias."""
    tied = tiny_model()
    own = Transformer(dataclasses.replace(tied.config, tie_word_embeddings=False))
    assert own.state_dict().keys() - tied.state_dict().keys() == {"lm_head.weight"}
    assert own.state_dict()["lm_head.weight"].shape == (tied.config.vocab_size, tied.config.hidden_size)


def test_padding_has_no_label() -> None:
    rows = PackedDataset(make_shard([5, 5]), 16, 0)
    batch = DataMixture([(rows, 1.0)]).batch(0, 1)
    assert (batch.labels != IGNORE_INDEX).sum() == 8
    assert batch.weights[batch.labels == IGNORE_INDEX].sum() == 0


def test_text_counts_by_its_own_weight() -> None:
    rows = PackedDataset(make_shard([17]), 16, 0, [0.5, 9, 9, 9, 9])
    batch = DataMixture([(rows, 1.0)]).batch(0, 1)
    assert set(batch.weights.unique().tolist()) == {0.5}
    assert TEXT == 0


def test_newton_schulz_orthogonalises() -> None:
    torch.manual_seed(0)
    for shape in ((3, 24, 24), (2, 64, 16), (2, 16, 64)):
        values = torch.linalg.svdvals(newton_schulz(torch.randn(shape)))
        assert values.max() < 1.2
        if shape[1] != shape[2]:  # a random square matrix has values near zero, which four steps do not lift
            assert values.min() > 0.8
    assert newton_schulz(torch.zeros(1, 8, 8)).abs().max() == 0  # no gradient, no update


@pytest.mark.parametrize(("m", "decay"), [(0.85, 0.0), (0.5, 0.1)])
def test_muon_step_equals_a_plain_one(m: float, decay: float) -> None:
    """One matrix, the recurrence written out: Nesterov momentum, orthogonalised, scaled by max(1, R/C)^0.5."""
    model = tiny_model()
    optimizer = Optimizer(model, LoopConfig(matrix_learning_rate=0.02, momentum=m, weight_decay=decay))
    name = "model.layers.0.mlp.gate_proj.weight"
    weight = dict(model.named_parameters())[name]
    plain, momentum = weight.detach().clone(), torch.zeros_like(weight)
    for step in range(3):
        torch.manual_seed(step)
        for p in model.parameters():
            p.grad = torch.randn_like(p)
        grad = weight.grad.clone()
        optimizer.step(0.5)
        momentum = m * momentum + (1 - m) * grad
        direction = newton_schulz(((1 - m) * grad + m * momentum)[None])[0]
        plain = (1 - 0.5 * 0.02 * decay) * plain - 0.5 * 0.02 * (64 / 32) ** 0.5 * direction
    torch.testing.assert_close(weight.detach(), plain, rtol=1e-4, atol=1e-5)


def test_optimizer_state_survives_the_disk(tmp_path: Path) -> None:
    def advance(model: Transformer, optimizer: Optimizer, steps: range) -> None:
        for step in steps:
            torch.manual_seed(step)
            for p in model.parameters():
                p.grad = torch.randn_like(p)
            optimizer.step(1.0)

    straight = tiny_model()
    advance(straight, Optimizer(straight, RATES), range(6))
    first = tiny_model()
    optimizer = Optimizer(first, RATES)
    advance(first, optimizer, range(3))
    saver = CheckpointManager(tmp_path, 2)
    saver.save(TrainState(3, 12, 99, 1.5), shards(first, optimizer))
    advance(first, optimizer, range(3, 5))  # what is written is a copy
    saver.wait()
    second = tiny_model()
    optimizer = Optimizer(second, RATES)
    assert restore(CheckpointManager(tmp_path, 2), second, optimizer) == TrainState(3, 12, 99, 1.5)
    advance(second, optimizer, range(3, 6))
    for (name, a), b in zip(straight.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b), name


def test_schedule() -> None:
    factors = [schedule(step, 100, 10, 0.5) for step in range(100)]
    assert factors[0] == pytest.approx(1 / 11)
    assert max(factors) == 1.0 and factors[10:51] == [1.0] * 41
    assert factors[51] == pytest.approx(0.98) and factors[99] == pytest.approx(0.02)
    assert all(0 < f <= 1 for f in factors)


@given(st.integers(1, 5000), st.floats(0, 1), st.integers(1, 9000))
def test_steps_may_be_settled_where_the_rate_begins_to_fall(steps: int, decay_fraction: float, more: int) -> None:
    """Up to there the rate is the same as under the number that is settled on, which then falls from there to zero."""
    done = decay_start(steps, decay_fraction)
    settled = done + more
    fraction = more / settled
    for step in {0, done // 2, max(0, done - 1)} - {done}:
        assert schedule(step, steps, 0, decay_fraction) == schedule(step, settled, 0, fraction) == 1.0
    assert schedule(done, settled, 0, fraction) == pytest.approx(1.0)
    assert schedule(settled - 1, settled, 0, fraction) == pytest.approx(1 / more)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_training_continues_after_a_reply_that_no_validation_preceded(dtype: torch.dtype) -> None:
    """Sample replies are written in inference mode; what they leave in the model must serve the next step, too."""
    ids, grads = torch.arange(6)[None], []
    for replies in (False, True):
        model = tiny_model()
        model.dtype = dtype
        if replies:
            with torch.inference_mode():
                model(ids)
        model(ids).float().square().sum().backward()
        grads.append([p.grad for p in model.parameters() if p.grad is not None])
    assert grads[0] and all(map(torch.equal, *grads))


def test_bf16_computes_close_to_fp32() -> None:
    model = tiny_model()
    rows = PackedDataset(make_shard([30] * 8), 64, 0)
    goal = LanguageModeling(DataMixture([(rows, 1.0)]), 2, 2)
    batch = next(goal.batches(model, 0)[0])
    exact = goal.loss(model, batch)[0].item()
    model.dtype = torch.bfloat16
    loss, _, _ = goal.loss(model, batch)
    loss.backward()
    assert loss.item() == pytest.approx(exact, rel=0.02)
    assert all(
        p.dtype == torch.float32 and p.grad is not None and p.grad.dtype == torch.float32 for p in model.parameters()
    )


def golden_losses(optimizer: str, parameters: int) -> list[float]:
    """Every third loss of 30 steps of a tiny training in fp32; the rest of the repository may change around it."""
    shards = [make_shard([30, 12, 7, 25, 90] * 8), make_shard([20, 9, 31] * 9, chat=True)]
    weights = [1, 0.5, 0.5, 1, 0]
    mixture = DataMixture(
        [(PackedDataset(shards[0], 32, 3, weights), 0.4), (PackedDataset(shards[1], 32, 3, weights), 0.6)]
    )
    model = tiny_model(max_position_embeddings=32)
    assert model.num_parameters() == parameters
    goal, config = LanguageModeling(mixture, 6, 4), LoopConfig(optimizer=optimizer, learning_rate=0.01)
    made, cursor, losses = Optimizer(model, config), 0, []
    for step in range(30):
        done = train_step(model, goal, made, cursor, config, schedule(step, 30, 5, 0.5))
        cursor = done.cursor
        losses.append(done.row["loss"])
    return losses[::3]


GOLDEN = {
    "muon": [3.92592, 3.9119, 3.87286, 3.89906, 3.85059, 3.8546, 3.80552, 3.64312, 3.83287, 3.72994],
    "adamw": [3.92592, 3.91243, 3.87964, 3.90535, 3.86423, 3.8421, 3.88697, 3.73145, 3.85747, 3.85348],
}


@pytest.mark.parametrize("optimizer", GOLDEN)
def test_golden_losses(optimizer: str) -> None:
    """A refactor must not change the numbers; a change that means to writes new ones here, and says why in its commit."""
    assert golden_losses(optimizer, 22368) == pytest.approx(GOLDEN[optimizer], abs=2e-4)


def test_out_of_memory_halves_the_micro_batch_and_changes_nothing_else() -> None:
    rows = PackedDataset(make_shard([30, 12, 7, 25, 90] * 8), 32, 3)
    goal = LanguageModeling(DataMixture([(rows, 1.0)]), 8, 8)
    plain = tiny_model(max_position_embeddings=32)
    loss, weight, seen, after = accumulate(plain, goal, 16)
    wanted = [p.grad.clone() for p in plain.parameters()]

    class Small(LanguageModeling):
        def loss(self, model, batch):  # type: ignore[no-untyped-def]
            if len(batch.input_ids) > 2:
                raise torch.OutOfMemoryError("too large")
            return super().loss(model, batch)

    small = Small(goal.mixture, 8, 8)
    again = accumulate(plain, small, 16)
    assert small.micro_rows == 2 and again[1:] == (weight, seen, after)
    assert again[0] == pytest.approx(loss, rel=1e-6)
    for p, grad in zip(plain.parameters(), wanted, strict=True):
        torch.testing.assert_close(p.grad, grad, rtol=1e-4, atol=1e-4)
    small.micro_rows, small.loss = 1, lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("never"))  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="not enough memory"):
        accumulate(plain, small, 16)


def trainee(unique_tokens: int = 10**6, **changes: Any) -> Trainee:
    """A training of rows of 64."""
    never: Any = lambda config: pytest.fail("nothing of it is built")  # noqa: E731
    given = {"name": "pretrain", "least_batch_tokens": 1, "dtype": "float32", "model": never, "build": never}
    return Trainee(row_length=64, unique_tokens=unique_tokens, **{"mixture": never, **given, **changes})


def test_the_trainers_words_set_batch_and_micro_batch() -> None:
    config = settle_batch(trainee(), LoopConfig(per_device_train_batch_size=4, gradient_accumulation_steps=3), 1e6)
    assert (config.micro_batch_tokens, config.batch_tokens) == (4 * 64, 4 * 3 * 64)
    assert settle_batch(trainee(), config, 1e6) == config  # the resolved recipe says both
    with pytest.raises(ValueError, match="Set only one of them"):
        settle_batch(trainee(), LoopConfig(per_device_train_batch_size=4, batch_tokens=4096), 1e6)
    auto = settle_batch(trainee(), LoopConfig(), 3e6)
    assert (auto.batch_tokens, auto.micro_batch_tokens) == (2048, 2048)
    few = settle_batch(trainee(700), LoopConfig(), 3e6)
    assert few.batch_tokens == 512  # no more than there are


@pytest.mark.parametrize(("batch_tokens", "chat_fraction"), [(512, 0.3), (500, 0.5), (100, 0.9)])
def test_epochs_are_passes_over_the_rows(batch_tokens: int, chat_fraction: float) -> None:
    """Counted by what the loop itself says of the rows: no step more than it takes."""
    shards = {"text": make_shard([90, 70, 200] * 20), "chat": make_shard([141] * 50, chat=True)}
    config = LoopConfig(num_train_epochs=3, batch_tokens=batch_tokens)
    shares = {"chat": chat_fraction, "text": 1 - chat_fraction}
    mixture = DataMixture([(PackedDataset(shards[kind], 64, 0), share) for kind, share in shares.items()])
    steps = planner.epoch_steps(trainee(mixture=lambda config: mixture), config)
    rows = max(1, batch_tokens // 64)
    assert mixture.epochs((steps - 1) * rows) < 3 <= mixture.epochs(steps * rows) + 1e-9


def test_sizes_suit_the_heads_that_are_asked_for() -> None:
    assert sizes.sizes_for(32, 1) == list(sizes.SIZES)
    widths = [width for width, _ in sizes.sizes_for(32, 2)]
    assert 96 not in widths and 128 in widths  # 96 wide are three heads
    with pytest.raises(ValueError, match="hidden_size=1664"):
        sizes.sizes_for(128, 13)


def test_back_at_the_first_step_nothing_of_the_optimizer_is_left(tmp_path: Path) -> None:
    model, config = tiny_model(), LoopConfig(batch_tokens=128, micro_batch_tokens=128)
    optimizer = Optimizer(model, config)
    goal = LanguageModeling(DataMixture([(PackedDataset(make_shard([64] * 9), 32, 0), 1.0)]), 4, 4)
    with CheckpointManager(tmp_path / "trainer", 2) as saver:
        restore(saver, model, optimizer)
        saver.wait()
        for _ in range(3):
            train_step(model, goal, optimizer, 0, config, 1.0)
        assert optimizer.adamw.state
        restore(saver, model, optimizer)
    assert not optimizer.adamw.state and not any(group.momenta.any() for group in optimizer.groups)


def test_a_log_is_taken_up_whatever_it_holds(tmp_path: Path) -> None:
    """Ends of lines as Unicode has them inside of replies, and a last line that was cut inside of a character."""
    rows = [{"step": i, "loss": 1.0, "grad_norm": 1.0, "epoch": 0.1, "reply": f"行\u2028{i}\x85"} for i in range(1, 6)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    for name in ("metrics", "samples"):
        (tmp_path / f"{name}.jsonl").write_bytes(text.encode() + '{"step": 5, "reply": "行'.encode()[:-1])
    log = Log(tmp_path, Bar("pretrain", 9), lambda *_: None)
    log.rewind(4)
    log.close()
    assert (tmp_path / "samples.jsonl").read_text("utf-8") == "".join(text.split("\n")[i] + "\n" for i in range(4))


def test_a_log_holds_each_step_and_each_reply(tmp_path: Path) -> None:
    progress = Progress("pretrain", LoopConfig(steps=9), TrainState())

    def report(row: dict[str, Any], replies: list[dict[str, str]]) -> StepReport:
        return StepReport(row, asked=False, save_due=False, may_save=True, replies=replies)

    with Bar("pretrain", 9) as bar:
        log = Log(tmp_path, bar, lambda *_: None)
        log.rewind(0)
        for step in (1, 2):
            row = {"step": step, "loss": 1.0, "grad_norm": 1.0, "epoch": 0.1, "learning_rate": 0.1}
            log(progress, report(row, [{"prompt": "你好", "reply": f"{step}"}] * step))
        before = [*log.files.values()]
        log.rewind(1)
        assert all(file.closed for file in before)
        row = {"step": 2, "loss": None, "grad_norm": None, "epoch": 0.1, "learning_rate": 0.1}
        log(progress, report(row, []))
        log.close()
    said = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text("utf-8").splitlines()]
    assert said == [{"step": 1, "prompt": "你好", "reply": "1"}]
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert [(row["step"], row["loss"]) for row in rows] == [(1, 1.0), (2, None)]


START, END, NEWLINE = 1, 2, 3  # control tokens and the line break of the conversations below
CODES = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}


def conversations(*talks: list[tuple[str, int]]) -> tuple[TokenShard, list[list[int]]]:
    """A shard of talks, each a list of (role, number of tokens said), framed as ChatML; and the tokens of each message."""
    tokens, roles, offsets, messages = [], [], [0], []
    following = itertools.count(100)
    for talk in talks:
        for role, count in talk:
            said = [next(following) for _ in range(count)]
            messages.append(said)
            tokens += [START, 10 + CODES[role], *said, END, NEWLINE]
            roles += [TEMPLATE, TEMPLATE] + [CODES[role]] * (count + 1) + [TEMPLATE]
        offsets.append(len(tokens))
    return TokenShard(
        np.asarray(tokens, np.uint16), np.asarray(roles, np.uint8), np.asarray(offsets, np.int64)
    ), messages


def read_rows(rows: PackedDataset) -> tuple[list[list[int]], list[int]]:
    """The inputs of every segment of one epoch, and all labels that count."""
    batch = DataMixture([(rows, 1.0)]).batch(0, rows.packing(0).rows)
    parts, labels = [], []
    for row in range(len(batch.input_ids)):
        for segment in batch.documents[row].unique().tolist():
            if segment >= 0:
                parts.append(batch.input_ids[row][batch.documents[row] == segment].tolist())
        labels += batch.labels[row][batch.weights[row] > 0].tolist()
    return parts, labels


FINE_TUNING = [0.0, 0.0, 0.0, 1.0, 0.0]


def test_a_long_conversation_is_cut_between_turns_and_keeps_its_system_prompt() -> None:
    talk = [("system", 5), *[("user", 6), ("assistant", 7)] * 6]
    shard, messages = conversations(talk, [("user", 3), ("assistant", 4)])
    rows = PackedDataset(shard, 64, 0, FINE_TUNING)
    parts, labels = read_rows(rows)
    assert vars(rows.long) == vars(LongConversations(1))
    system, *said = messages[:-2]
    for question, reply in zip(said[::2], said[1::2], strict=True):
        (part,) = [part for part in parts if reply[0] in part]
        text = "".join(map(chr, part))
        assert "".join(map(chr, [START, 10 + USER, *question, END, NEWLINE, START, 10 + ASSISTANT, *reply])) in text
        assert part[:8] == [START, 10 + SYSTEM, *system, END]  # in every part, at its beginning
    assert sorted(labels) == sorted([t for reply in [*said[1::2], messages[-1]] for t in [*reply, END]])
    assert max(map(len, parts)) <= 64 and len(parts) == 4  # two turns with the system prompt fill a row


@pytest.mark.parametrize(
    ("talk", "learned", "cut", "left_out"),
    [
        ([("user", 10), ("assistant", 100)], [32 - 16 + 1], 1, 0),  # the beginning of a long reply
        ([("user", 100), ("assistant", 10)], [0], 0, 1),  # the question alone fills the row
        ([("system", 100), ("user", 5), ("assistant", 5)], [5 + 1], 0, 0),  # rather without the system prompt
        ([("system", 10), ("user", 10), ("assistant", 100)], [32 - 16 + 1], 1, 0),
        ([("system", 16), ("user", 10), ("assistant", 10)], [10 + 1], 0, 0),
        ([("user", 40), ("assistant", 5), ("user", 5), ("assistant", 6)], [0, 6 + 1], 0, 1),
        ([("user", 4), ("assistant", 4), ("assistant", 60)], [5 + 32 - 18 + 1], 1, 0),
        ([("assistant", 5), ("user", 5), ("assistant", 25)], [6, 32 - 11 + 1], 1, 0),
        ([("user", 40)], [0], 0, 0),
        ([("system", 20), ("user", 10), ("assistant", 15)], [15 + 1], 0, 0),  # fills the row to its last token
        ([("user", 3), ("assistant", 3), ("system", 5), ("user", 5), ("assistant", 6)], [4, 6 + 1], 0, 0),
    ],
)
def test_what_does_not_fit_is_counted(talk: list[tuple[str, int]], learned: list[int], cut: int, left_out: int) -> None:
    shard, _ = conversations(talk, [("user", 1), ("assistant", 1)])
    rows = PackedDataset(shard, 32, 0, FINE_TUNING)
    _, labels = read_rows(rows)
    assert len(labels) == sum(learned) + 2
    bare = int(talk[0][0] == "system")  # as long as they are, those replies leave it no room
    assert vars(rows.long) == vars(LongConversations(1, cut, left_out, bare))


def test_every_label_counts_where_nothing_else_is_said() -> None:
    """A long text is cut into rows; of its 100 tokens all but the first are learned."""
    rows = PackedDataset(make_shard([100]), 16, 0)
    assert DataMixture([(rows, 1.0)]).batch(0, rows.packing(0).rows).weights.sum() == 99


def test_a_step_has_a_row_at_least() -> None:
    shard, _ = conversations([("user", 3), ("assistant", 4)])
    config = LoopConfig(batch_tokens=8, micro_batch_tokens=8)
    made = language_model.objective(DataMixture([(PackedDataset(shard, 64, 0, FINE_TUNING), 1.0)]), config, 64)
    assert (made.step_rows, made.micro_rows) == (1, 1)
    unanswered, _ = conversations(*[[("user", 9)]] * 3)
    with pytest.raises(UserError, match=r"none of the 3 documents"):
        language_model.objective(DataMixture([(PackedDataset(unanswered, 64, 0, FINE_TUNING), 1.0)]), config, 64)


@pytest.mark.parametrize(("row_length", "at_once"), [(32, 16), (1024, 8)])
def test_the_first_64_rows_of_what_is_held_out_are_looked_at(
    row_length: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many at a time that no more than 8,192 tokens are computed at once."""
    looked: list[tuple[int, int]] = []

    def look(self: LanguageModeling, first: int, last: int) -> Any:
        looked.append((first, last))
        return SimpleNamespace(labels=torch.zeros(1, dtype=torch.long), weights=torch.ones(1), to=lambda device: None)

    monkeypatch.setattr(LanguageModeling, "micro_batch", look)
    monkeypatch.setattr(LanguageModeling, "loss", lambda *_: (torch.tensor(2.0), torch.tensor(1.0), {}))
    shard = make_shard([row_length] * 90)
    found = language_model.bits_per_byte(tiny_model(), shard, SimpleNamespace(token_bytes=[b"ab"] * 50), row_length)  # type: ignore[arg-type]
    assert looked == [(n, n + at_once) for n in range(0, 64, at_once)]
    assert found == {"validation_loss": 2.0, "bits_per_byte": pytest.approx(1 / np.log(2), abs=1e-5)}


def test_prompts_of_samples_are_two_of_each_language() -> None:
    """The first questions that have a reply, each with all that comes before the reply, and shown without its frame."""
    turn = [("user", 3), ("assistant", 4)]
    shard, messages = conversations(turn, [("user", 2)], turn, turn)
    said = {n: "你" if n in (messages[0][0],) else "a" for n in range(1000)}
    tokenizer = SimpleNamespace(decode=lambda ids: "".join(said[int(n)] for n in ids if n > 99))
    found = language_model.sample_prompts({"chat": shard}, tokenizer, {"chat": 1.0})  # type: ignore[arg-type]
    assert [shown for shown, _ in found] == ["你aa", "aaa", "aaa"]
    assert [ids for _, ids in found] == [
        [START, 10 + USER, *question, END, NEWLINE, START, 10 + ASSISTANT]
        for question in messages[:1] + messages[3:6:2]
    ]
    more, _ = conversations(*[turn] * 5)
    assert len(language_model.sample_prompts({"chat": more}, tokenizer, {"chat": 1.0})) == 3  # type: ignore[arg-type]


def test_nothing_held_out_has_no_loss() -> None:
    nothing, _ = conversations([("user", 3)])
    assert language_model.bits_per_byte(tiny_model(), nothing, SimpleNamespace(token_bytes=[b"a"] * 50), 32) == {}  # type: ignore[arg-type]


def test_rows_that_teach_nothing_are_left_out() -> None:
    shard, _ = conversations([("user", 20)], [("user", 3), ("assistant", 4)], [("user", 25)])
    assert PackedDataset(shard, 32, 0, FINE_TUNING).packing(0).rows == 1
    assert (
        PackedDataset(shard, 32, 0, [0.5, 0.1, 0.1, 1, 0]).packing(0).rows == 3
    )  # pretraining learns from all of them
    nothing, _ = conversations([("user", 20)])
    assert PackedDataset(nothing, 32, 0, FINE_TUNING).is_empty
    text = PackedDataset(make_shard([30] * 5), 32, 0, FINE_TUNING)
    assert text.is_empty and DataMixture([(text, 0.5), (PackedDataset(shard, 32, 0, FINE_TUNING), 0.5)]).locate(7) == (
        0,
        7,
    )


def test_a_loss_of_nothing_is_null_and_changes_no_weight() -> None:
    model, config = tiny_model(), LoopConfig(batch_tokens=64, micro_batch_tokens=64, weight_decay=0.1)
    goal = LanguageModeling(DataMixture([(PackedDataset(make_shard([30] * 9), 32, 0), 1.0)]), 2, 2)
    whole = goal.micro_batch
    goal.micro_batch = lambda a, b: dataclasses.replace(whole(a, b), weights=torch.zeros(2, 32))  # type: ignore[method-assign]
    before = [p.clone() for p in model.parameters()]
    done = train_step(model, goal, Optimizer(model, config), 0, config, 1.0)
    assert done.row["loss"] is None and "skipped" not in done.row and done.cursor == 2
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
