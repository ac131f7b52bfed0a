"""Which of what workers hand up is taken together."""

from __future__ import annotations

from pathlib import Path

from archsearch.journal import read_journal
from archsearch.search.inbox import Inbox
from archsearch.training import EpochReport, Result
from tests.search.conftest import Laboratory, TableExecutor
from tests.search.test_conductor import SEARCH, SWEEP, told


class Waiting:
    """An executor with events that are there, and None where nothing is there yet."""

    def __init__(self, *events: EpochReport | Result | None) -> None:
        self.events = list(events)

    def wait(self, timeout_s: float | None) -> EpochReport | Result | None:
        if timeout_s is None and self.events[:1] == [None]:
            del self.events[0]
        return self.events.pop(0) if self.events else None


def report(trial: int, epoch: int = 0) -> EpochReport:
    return EpochReport(trial, 0, epoch, {})


def taken(*events: EpochReport | Result | None) -> list[list[EpochReport] | Result]:
    inbox, found = Inbox(Waiting(*events)), []
    while (event := inbox.wait()) is not None:
        found.append(event)
    return found


END = Result(1, 0, "complete", "", 1, {})


def test_reports_that_are_there_are_taken_together() -> None:
    assert taken(report(0), report(1), None, report(2)) == [[report(0), report(1)], [report(2)]]


def test_a_result_ends_what_is_taken_together_and_comes_next() -> None:
    assert taken(report(0), END, report(2)) == [[report(0)], END, [report(2)]]


def test_the_second_report_of_a_replicate_waits_for_what_the_first_one_leads_to() -> None:
    both = [report(0), report(1), report(0, epoch=1)]
    assert taken(*both, report(2)) == [both[:2], [both[2], report(2)]]


def test_only_so_many_are_taken_together() -> None:
    assert [len(reports) for reports in taken(*map(report, range(600)))] == [256, 256, 88]


class Ahead(TableExecutor):
    """Workers that have always reported when they are asked."""

    def wait(self, timeout_s: float | None) -> EpochReport | Result | None:
        return super().wait(None)


def test_reports_taken_together_share_a_line_and_change_nothing(
    laboratory: Laboratory, tmp_path: Path
) -> None:
    alone = laboratory.run(SWEEP, TableExecutor(slots=4))
    other = Laboratory(tmp_path / "together")
    assert told(other.run(SWEEP, Ahead(slots=4))) == told(alone)
    lines = other.folder.journal.read_bytes().count(b"\n")
    # Eight replicates of two epochs, four at a time.
    assert lines == len(read_journal(other.folder.journal)) - 12


def test_reports_taken_together_prune_as_they_do_one_by_one(laboratory: Laboratory, tmp_path: Path) -> None:
    text = SEARCH + "pruner: {name: median, n_startup_trials: 2}\nsampler: random\n"
    alone = laboratory.run(text, TableExecutor(slots=3))
    together = Laboratory(tmp_path / "together").run(text, Ahead(slots=3))
    pruned = [[t.number for t in run.trials.values() if t.outcome == "pruned"] for run in (alone, together)]
    assert pruned[0] == pruned[1] != []
