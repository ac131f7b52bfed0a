"""Nothing is lost, whatever fails; `make faults` does the same more often."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archsearch.journal import RunFolder
from tests.faults.comparing import find_lost
from tests.faults.every import IN_CI
from tests.faults.fault import Fault
from tests.faults.tracking import find_slower
from tests.faults.workshop import Workshop
from tests.tracking.studies import Study, varied_study

# Connections are cut on purpose, and nobody closes what is left of them.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in.*socket:pytest.PytestUnraisableExceptionWarning"
)

TIMES = 5


@pytest.fixture(scope="module")
def shop() -> Iterator[Workshop]:
    with Workshop() as shop:
        yield shop


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.name) for fault in IN_CI])
def test_nothing_is_lost(fault: Fault, shop: Workshop, tmp_path: Path) -> None:
    if reason := fault.missing():
        pytest.skip(reason)
    finding = fault.provoke(shop, tmp_path, TIMES)
    assert finding.lost == ()
    assert finding.times >= TIMES
    assert finding.recoveries_s


def test_what_is_lost_is_noticed(tmp_path: Path) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    varied_study(whole)
    lines = (whole / "journal.log").read_bytes().splitlines(keepends=True)
    torn.mkdir()
    (torn / "journal.log").write_bytes(b"".join(lines[:-12]))
    study = Study(torn).told(0, val_error=0.5)
    study.journal.close()

    assert list(find_lost(RunFolder(whole), RunFolder(whole))) == []
    sentences = "\n".join(find_lost(RunFolder(torn), RunFolder(whole)))
    assert "told records stand more than once for [0]" in sentences
    assert "trial 0: metrics is" in sentences
    assert "trial 5: outcome is None instead of complete" in sentences
    assert "the study is not finished" in sentences


@pytest.mark.parametrize(
    ("shares", "noticed"),
    [([1.06, 1.2, 1.1, 1.07, 0.9], True), ([1.3, 0.7, 1.2, 1.0, 1.6], False), ([1.0] * 5, False)],
)
def test_time_that_an_outage_costs_is_noticed_and_a_busy_machine_is_not(
    shares: list[float], noticed: bool
) -> None:
    assert bool(list(find_slower(shares))) == noticed
