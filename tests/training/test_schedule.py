"""Learning rates, step by step, against torch's schedulers and values worked out by hand."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR, OneCycleLR

from archsearch.study.settings import TrainingSettings
from archsearch.training.schedule import rate_factor


def factors(settings, steps, steps_per_epoch=10):
    return [
        rate_factor(settings, step, steps=steps, steps_per_epoch=steps_per_epoch) for step in range(steps)
    ]


def torch_rates(steps, build):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = build(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("steps", [4, 10, 33, 100])
def test_one_cycle_is_torchs(steps):
    expected = torch_rates(
        # One more step than is made: torch refuses the call after the last.
        steps,
        lambda optimizer: _Lenient(
            OneCycleLR(optimizer, 1.0, total_steps=steps, cycle_momentum=False), steps
        ),
    )

    assert factors(TrainingSettings(schedule="one_cycle"), steps) == pytest.approx(expected)


class _Lenient:
    """Calls a scheduler for so many steps less one."""

    def __init__(self, scheduler, steps):
        self.scheduler, self.left = scheduler, steps - 1

    def step(self):
        if self.left:
            self.left -= 1
            self.scheduler.step()


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_one_cycle_of_a_few_steps_is_finite_and_falls(steps):
    rates = factors(TrainingSettings(schedule="one_cycle"), steps)

    assert rates[0] == 1
    assert rates == sorted(rates, reverse=True)
    assert all(0 < rate <= 1 for rate in rates)


def test_cosine_is_torchs():
    expected = torch_rates(50, lambda optimizer: CosineAnnealingLR(optimizer, T_max=50))

    assert factors(TrainingSettings(schedule="cosine"), 50) == pytest.approx(expected)


def test_multi_step_is_torchs_at_fractions_of_the_training():
    settings = TrainingSettings(schedule="multi_step", milestones=(0.5, 0.75), gamma=0.2)
    expected = torch_rates(80, lambda optimizer: MultiStepLR(optimizer, [40, 60], gamma=0.2))

    assert factors(settings, 80) == pytest.approx(expected)


def test_warm_up_rises_linearly_to_the_largest_rate():
    constant = factors(TrainingSettings(schedule="constant", warmup_epochs=0.5), 20, steps_per_epoch=8)
    assert constant == [0.25, 0.5, 0.75, 1.0] + [1.0] * 16

    cosine = factors(TrainingSettings(schedule="cosine", warmup_epochs=0.5), 20, steps_per_epoch=8)
    assert cosine[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert cosine[12] == pytest.approx(0.5)
    assert cosine[19] == pytest.approx((1 + math.cos(math.pi * 15 / 16)) / 2)


def test_a_warm_up_longer_than_the_training_only_rises():
    assert factors(TrainingSettings(schedule="cosine", warmup_epochs=2), 10) == pytest.approx(
        [(step + 1) / 20 for step in range(10)]
    )
