"""Learning rates over a training, as factors of the largest rate; a schedule moves at every step."""

from __future__ import annotations

import math

from archsearch.study.settings import TrainingSettings

# Smith and Topin 2018 (arXiv:1708.07120), with the figures and the cosine shape of torch's OneCycleLR.
_RISING_FRAC = 0.3
_FIRST_FACTOR = 1 / 25
_LAST_FACTOR = _FIRST_FACTOR / 1e4
_DECAY_FRAC = 0.2


def rate_factor(settings: TrainingSettings, step: int, *, steps: int, steps_per_epoch: int) -> float:
    """Return the factor of the learning rate at a step, counted from 0.

    Args:
        settings: Schedule, milestones (fractions of the whole training), gamma and warm-up.
        step: The step about to be made; steps beyond the last are as the last.
        steps: Steps of the whole training.
        steps_per_epoch: Steps of one epoch.
    """
    step = min(step, steps - 1)
    warmup_steps = round(settings.warmup_epochs * steps_per_epoch)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    match settings.schedule:
        case "one_cycle":
            return _one_cycle(step, steps)
        case "cosine":
            # Loshchilov and Hutter 2017 (arXiv:1608.03983), without restarts, over what follows the warm-up.
            return _anneal(1, 0, (step - warmup_steps) / (steps - warmup_steps))
        case "multi_step":
            passed = sum(step >= round(milestone * steps) for milestone in settings.milestones)
            return float(settings.gamma**passed)
        case "wsd":
            # Haegele et al. 2024 (arXiv:2405.18392): its shape, and its length
            decaying = (step - (1 - _DECAY_FRAC) * steps) / (_DECAY_FRAC * steps)
            return 1 - math.sqrt(max(0.0, decaying))
        case "constant":
            return 1.0


def _one_cycle(step: int, steps: int) -> float:
    top, last = _RISING_FRAC * steps - 1, steps - 1
    if step <= top and top > 0:
        return _anneal(_FIRST_FACTOR, 1, step / top)
    top = max(top, 0)
    return _anneal(1, _LAST_FACTOR, (step - top) / (last - top) if last > top else 0)


def _anneal(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
