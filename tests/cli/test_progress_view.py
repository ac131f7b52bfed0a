"""The live view at many sizes; lines above it on a terminal that changes its width."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from rich.console import Console, ConsoleDimensions
from rich.text import Text

from archsearch.application.progress import Forecast, Row, Snapshot
from archsearch.cli.footer import Footer
from archsearch.cli.progress_lines import say_clock, say_left, write_ending
from archsearch.cli.progress_view import Marks, choose_marks, draw
from archsearch.journal import TrialHistory
from archsearch.study import parse_study
from tests.cli.terminal import Terminal

STUDY = parse_study(
    "name: depth-and-shortcut\ndata: digits\nsearch: {depth: [8, 14]}\ntrials: 3\n", "study.yaml"
)
MARKS = Marks("=", "-", ".")


def trial(number: int, name: str = "residual-20 w12 projection") -> TrialHistory:
    return TrialHistory(
        number=number,
        created=0.0,
        name=name,
        phase="search",
        cell={},
        values={},
        architecture={},
        architecture_id="",
        training={"epochs": 10},
        data={},
        requested_depth=None,
        dropped=(),
        parameters=None,
        macs=None,
        activation_mib=None,
        seeds=(0,),
        optuna=None,
        outcome="complete",
        objective_values=(0.9833,),
    )


def snapshot(workers: int) -> Snapshot:
    rows = tuple(Row(100 + i, (0,), 6, 10, 0.5 + i / 1000, frac=0.65) for i in range(workers))
    outcomes = {"complete": 9, "pruned": 3, "failed": 1, "repeated": 2, "infeasible": 4}
    return Snapshot(rows, outcomes, trial(7), Forecast(0.52, 754.0, 140))


def view(size: tuple[int, int], seen: Snapshot) -> list[str]:
    trials = {row.trial: trial(row.trial) for row in seen.rows}
    lines = draw(seen, trials, STUDY, elapsed_s=3723.0, size=ConsoleDimensions(*size), marks=MARKS)
    return [line.plain for line in lines]


@pytest.mark.parametrize("workers", [0, 1, 2, 512])
@pytest.mark.parametrize("height", [3, 8, 24, 50])
@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_it_fits_the_terminal_and_leaves_a_third_of_it_to_what_has_ended(
    width: int, height: int, workers: int
) -> None:
    lines = view((width, height), snapshot(workers))

    assert len(lines) <= max(1, height * 2 // 3)
    # The last two tell numbers first and names last, and may be cut off.
    assert max(map(len, lines[:-2]), default=0) < width


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_training_shows_its_trial_network_seed_epoch_and_accuracy(width: int) -> None:
    seen = replace(snapshot(0), rows=(Row(12, (0, 1, 2), 6, 10, 0.98765, frac=0.65),))

    _, overall, row, best, counts = view((width, 24), seen)

    assert overall.startswith("depth-and-sh..." if width == 60 else "depth-and-shortcut")
    assert "52%  1:02:03, about 13 min left" in overall
    assert "trial  12  residual" in row
    assert ("residual-20 w12 projection" in row) == (width > 60)
    assert "seeds 0-2  " in row
    assert row.endswith(" 6/10   98.77%")
    bar = row.split("seeds 0-2  ")[1].split(" ")[0]
    assert len(bar) >= 5
    assert bar.count("=") / len(bar) == pytest.approx(0.65, abs=0.1)
    assert best.startswith("  best so far: validation accuracy 98.33%, trial 7 residual-20 w12")
    assert counts == "  15 of 140 trials ended: 9 complete, 3 pruned, 2 repeated, 1 failed; 4 infeasible"


def test_of_many_trainings_some_are_shown_and_the_others_counted() -> None:
    lines = view((80, 24), snapshot(64))

    shown = [line for line in lines if "seed 0" in line]
    (more,) = [line for line in lines if "more" in line]
    assert len(shown) == 11
    assert more == "  and 53 more"


def test_bars_do_without_colours_and_without_other_characters_than_ascii() -> None:
    class Ascii(Terminal):
        encoding = "ascii"  # type: ignore[assignment]

    plain = choose_marks(Console(file=Terminal(80), no_color=True, force_terminal=True))
    ascii_only = choose_marks(Console(file=Ascii(80), force_terminal=True))

    assert plain.full != plain.rest
    assert (ascii_only.full + ascii_only.half + ascii_only.rest).isascii()


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("outcome", ["complete", "pruned", "repeated"])
def test_a_trial_that_ended_takes_one_line(outcome: str, width: int) -> None:
    metrics = {"val_error": 0.0651, "train_error": 0.0483}
    fields = {
        "trial": 12,
        "outcome": outcome,
        "reason": "after epoch 4",
        "metrics": metrics,
        "repeated_of": 3,
    }

    line = write_ending(fields, "residual-20 w12 projection", 48.0, width=width).plain

    said = {"complete": "6.51%", "pruned": "pruned: after epoch 4", "repeated": "the same as trial 3"}
    assert said[outcome] in line
    assert ("4.83%" in line) == (outcome == "complete")
    assert line.split()[:2] == (["0:48", "12"] if width == 60 else ["0:48", "trial"])
    assert "residual-" in line
    assert len(line.rstrip()) < width


def test_a_line_of_a_file_is_cut_nowhere() -> None:
    fields = {"trial": 12, "outcome": "failed", "reason": "out of memory " * 20, "metrics": {}}

    line = write_ending(fields, "residual-20 w12 projection", 48.0, width=None, forecast="52%").plain

    assert "residual-20 w12 projection" in line
    assert "out of memory " * 20 in line
    assert line.endswith("   52%")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "a moment left"),
        (7.4, "about 7 s left"),
        (43.0, "about 45 s left"),
        (754.0, "about 13 min left"),
        (20000.0, "about 5.6 h left"),
        (500000.0, "about 5.8 days left"),
    ],
)
def test_time_is_said_no_more_exactly_than_it_is_known(seconds: float, said: str) -> None:
    assert say_left(seconds) == said


def test_clocks() -> None:
    assert (say_clock(48.9), say_clock(3723.0), say_clock(36000.0)) == ("0:48", "1:02:03", "10:00:00")


@contextmanager
def footer_on(terminal: Terminal) -> Iterator[tuple[Footer, Console]]:
    console = Console(file=terminal, force_terminal=True, highlight=False, width=terminal.width, height=24)
    with Footer(console) as footer:
        yield footer, console


def test_lines_are_printed_above_and_the_footer_is_gone_at_the_end() -> None:
    terminal = Terminal(80)
    terminal.write("$ run\n")

    with footer_on(terminal) as (footer, _):
        footer.show([Text(), Text("bar 10%"), Text("row")])
        footer.print(Text("trial 0 ended"))
        footer.show([Text(), Text("bar 20%"), Text("row"), Text("row")])
        footer.print(Text("trial 1 ended"))
        footer.show([Text("bar 30%")])
        during = terminal.shown
        assert (terminal.row, terminal.column) == (len(during), 0)

    assert during == ["$ run", "trial 0 ended", "trial 1 ended", "bar 30%"]
    assert terminal.shown == ["$ run", "trial 0 ended", "trial 1 ended"]
    assert not terminal.hidden


@pytest.mark.parametrize("narrower", [79, 60, 33, 20])
def test_a_terminal_that_becomes_narrower_keeps_no_remains(narrower: int) -> None:
    terminal = Terminal(80)

    with footer_on(terminal) as (footer, console):
        footer.print(Text("above"))
        footer.show([Text(), Text("=" * 79), Text("short"), Text("-" * 50)])
        terminal.resize(narrower)
        console.width = narrower
        footer.show([Text("*" * 79)])

    assert terminal.shown == ["above"]


def test_what_others_print_stands_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(80)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)

    with footer_on(terminal) as (footer, _):
        footer.show([Text("bar")])
        print("from a plugin")
        sys.stderr.write("half a ")
        sys.stderr.write("line\n")
        sys.stdout.write("no end")
        during = list(terminal.shown)

    assert during == ["from a plugin", "half a line", "bar"]
    assert terminal.shown == ["from a plugin", "half a line", "no end"]
    assert sys.stdout is terminal


def test_a_stream_that_goes_elsewhere_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(80)

    with footer_on(terminal) as (footer, _):
        footer.show([Text("bar")])
        print("{}")

    assert capsys.readouterr().out == "{}\n"
    assert terminal.shown == [""]
