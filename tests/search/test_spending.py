"""What a study has spent, added up from its journal."""

from __future__ import annotations

from typing import Any

import pytest

from archsearch.journal import Record
from archsearch.search.spending import Spending
from archsearch.study.settings import BudgetSettings


def spent(*entries: tuple[float, str, dict[str, Any]]) -> Spending:
    spending = Spending()
    for number, (time_s, kind, fields) in enumerate(entries):
        spending.add(Record(number, time_s, kind, fields))
    return spending


STUDY = (0.0, "study", {"train_images": 100})
TRIAL = (10.0, "trial", {"trial": 0, "macs": 7})


def epoch(time_s: float) -> tuple[float, str, dict[str, Any]]:
    return (time_s, "epoch", {"trial": 0})


def test_epochs_and_macs_count_every_attempt() -> None:
    spending = spent(STUDY, (0, "session", {}), TRIAL, epoch(11), epoch(12), epoch(13))

    assert (spending.epochs, spending.macs) == (3, 3 * 7 * 100)


def test_hours_are_those_of_the_sessions_without_the_nights_between() -> None:
    spending = spent(STUDY, (0, "session", {}), TRIAL, epoch(3600), (90_000, "session", {}), epoch(91_800))

    assert spending.hours == pytest.approx(1.5)
    assert spending.exceeds(BudgetSettings(hours=1.6), now=91_800) == ""
    assert spending.exceeds(BudgetSettings(hours=1.6), now=92_200) == "the budget of 1.6 hours is spent"


@pytest.mark.parametrize("between", ["finished", "interrupted", "resumed", "question"])
def test_what_is_written_before_the_next_session_is_of_none(between: str) -> None:
    entries = [STUDY, (0.0, "session", {}), TRIAL, epoch(3600), (3600.0, between, {"text": ""})]
    spending = spent(*entries, (90_000.0, "trial", {"trial": 0, "macs": 7}), (90_001.0, "session", {}))

    assert spending.hours == pytest.approx(1)


def test_an_epoch_counts_the_images_that_it_sees() -> None:
    limited = (10.0, "trial", {"trial": 0, "macs": 7, "data": {"train_limit": 20}})
    unlimited = (10.0, "trial", {"trial": 0, "macs": 7, "data": {"train_limit": 2000}})

    assert spent(STUDY, (0, "session", {}), limited, epoch(11)).macs == 7 * 20
    assert spent(STUDY, (0, "session", {}), unlimited, epoch(11)).macs == 7 * 100


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"epochs": 2}, "the budget of 2 epochs is spent"),
        ({"epochs": 3}, ""),
        ({"macs": 1400.0}, "the budget of 1.4e+03 multiply-accumulates is spent"),
        ({"macs": 1401.0}, ""),
        ({}, ""),
    ],
)
def test_a_budget_is_spent_when_it_is_reached(budget: dict[str, Any], said: str) -> None:
    spending = spent(STUDY, (0, "session", {}), TRIAL, epoch(11), epoch(12))

    assert spending.exceeds(BudgetSettings(**budget), now=13) == said
