"""The coach names what goes wrong, and keeps silent when all is well."""

import random

import pytest

from yaya.train.coach import Coach


def training(
    steps: int,
    loss: object,
    norm: object = lambda step: 1.0,
    validation: object = None,
    epoch: float = 0.0,
    spread: float = 0.1,  # of the losses of small batches, as measured on the demo
    seed: int = 0,
) -> list[dict]:
    """Rows of metrics.jsonl as such a training would write them."""
    noise = random.Random(seed)
    rows = []
    for step in range(1, steps + 1):
        row = {
            "step": step,
            "loss": loss(step) * max(0.1, noise.gauss(1, spread)),
            "grad_norm": norm(step),
            "epoch": epoch,
        }
        if validation and step % (steps // 10) == 0 and validation(step) is not None:
            row["validation_loss"] = validation(step)
        rows.append(row)
    return rows


def kinds(coach: Coach, rows: list[dict]) -> list[str]:
    return [note.kind for row in rows for note in coach.observe(row)]


def falling(step: int) -> float:
    return 2.0 + 4.0 * step**-0.5


def test_a_healthy_training_gets_no_notes() -> None:
    coach = Coach(400, expected=lambda done: falling(int(400 * done)))
    assert kinds(coach, training(400, falling, validation=falling)) == []
    assert coach.hear(399, ["The cat sat on the mat.", "猫坐在垫子上。"]) == []


@pytest.mark.parametrize("seed", range(20))
def test_the_noise_of_small_batches_is_no_divergence(seed: int) -> None:
    flat = training(2000, lambda step: 0.3 + 4.0 * step**-0.7, seed=seed)
    assert kinds(Coach(2000), flat) == []
    learned = training(182, lambda step: 0.02, validation=lambda step: 0.025 + step % 4 / 1000, spread=0.4, seed=seed)
    assert kinds(Coach(182), learned) == []


def test_a_rising_loss_is_divergence() -> None:
    rows = training(400, lambda step: falling(step) if step < 200 else falling(200) * (1 + (step - 200) / 400))
    assert kinds(Coach(400), rows)[0] == "divergence"


def test_validation_that_rises_while_training_falls_is_overfitting() -> None:
    rows = training(400, falling, validation=lambda step: falling(step) + max(0, step - 150) / 400)
    found = kinds(Coach(400), rows)
    assert found and set(found) == {"overfitting"}


CAUSES = {  # the loss by step, of 400; the rate falls from step 240 on -> what is said
    "still falling": (lambda s: 1.5 * falling(s), {"too low"}),
    "a straight line down": (lambda s: 5.5 - s / 400, {"too low"}),
    "flat": (lambda s: 5.25, {"too high"}),
    "flat until the rate falls": (lambda s: 5.25 if s < 240 else 5.25 - (s - 240) / 160, {"too high"}),
    "fell, and is flat": (lambda s: max(3.8, 3.8 + (80 - s) / 100), {"too high"}),
    "rises a little": (lambda s: 4.8 + s / 4000, {"too high"}),
    "looked at for the first time": (lambda s: 5.25 if s == 240 else None, {""}),
}


@pytest.mark.parametrize("name", CAUSES)
@pytest.mark.parametrize("spread", [0.0, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_far_above_the_usual_loss_is_named_with_its_cause(seed: int, spread: float, name: str) -> None:
    loss, words = CAUSES[name]
    rows = training(400, lambda s: loss(s) or 5.25, validation=loss, spread=spread, seed=seed)
    for row in rows:
        row["learning_rate"] = min(1.0, (400 - row["step"]) / 160)
    coach = Coach(400, expected=lambda done: falling(int(400 * done)))
    notes = [note for row in rows for note in coach.observe(row) if note.kind == "slow"]
    said = {next((w for w in ("too low", "too high") if w in note.en), "") for note in notes}
    assert said == words
    chinese = {"too low": "太低", "too high": "太高", "": "。"}
    assert all(any(chinese[w] in note.zh for w in words) for note in notes)


def test_a_gradient_spike_is_named_once() -> None:
    rows = training(400, falling, norm=lambda step: 30.0 if step in (201, 203) else 1.0 + step % 3 / 10)
    assert kinds(Coach(400), rows) == ["gradient spike"]


def test_repeating_the_data_too_often_is_named() -> None:
    assert kinds(Coach(1000), training(1000, falling, epoch=4.5)).count("data exhausted") == 1  # so it stays


def test_replies_that_go_round_in_circles_are_named_only_late() -> None:
    coach, circles = Coach(100), ["ha ha ha ha ha ha ha ha ha ha", "好好好好好好好好好好好好"]
    assert coach.hear(49, circles) == []
    assert [note.kind for note in coach.hear(50, circles)] == ["loops"]


def test_a_resume_goes_on_as_it_was() -> None:
    rows = training(400, lambda step: falling(step) if step < 200 else falling(200) * (1 + (step - 200) / 400))
    whole, first, second = Coach(400), Coach(400), Coach(400)
    kinds(whole, rows)
    kinds(first, rows[:230])
    second.remember(rows[:230])
    assert kinds(first, rows[230:]) == kinds(second, rows[230:])
    assert whole == first == second


def test_a_gradient_that_is_not_finite_is_named() -> None:
    rows = training(50, falling)
    rows[20] |= {"loss": None, "grad_norm": None}
    coach, without = Coach(50), Coach(50)
    assert kinds(coach, rows) == ["not finite"]
    kinds(without, rows[:20] + rows[21:])
    assert coach.said.pop("not finite") == 21 and coach == without  # it counts for nothing else


def test_silent_where_nothing_is_left_to_learn() -> None:
    assert kinds(Coach(100), training(100, lambda step: 0.0, norm=lambda step: 0.0)) == []
