"""Measures as people read them."""

from __future__ import annotations

import pytest

from archsearch.cli.measures import name_measure, show_measure


@pytest.mark.parametrize(
    ("name", "value", "std", "shown"),
    [
        ("val_error", 0.0123, None, "1.23%"),
        ("val_accuracy", 0.98765, 0.0031, "98.77% ± 0.31%"),
        ("val_error_std", 0.0031, None, "0.31%"),
        ("macs", 40_551_040, None, "40,551,040"),
        ("val_loss", 0.028411, 0.001234, "0.02841 ± 0.0012"),
        ("parameters", 999.0, None, "999"),
    ],
)
def test_shares_are_percentages_and_large_numbers_have_their_thousands_apart(
    name: str, value: float, std: float | None, shown: str
) -> None:
    assert show_measure(name, value, std) == shown


def test_a_measure_of_a_plugin_keeps_its_name() -> None:
    assert [name_measure(name) for name in ("val_error", "val_kappa")] == ["validation error", "val_kappa"]
