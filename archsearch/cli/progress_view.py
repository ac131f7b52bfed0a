"""The live view of a study: bars, the trainings that run, the best so far, what became of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleDimensions
from rich.text import Text

from archsearch.cli.measures import name_measure, show_measure
from archsearch.cli.progress_lines import say_clock, say_left

if TYPE_CHECKING:
    from archsearch.application.progress import Row, Snapshot
    from archsearch.journal import TrialHistory
    from archsearch.study import StudyConfig

_OUTCOMES = ("complete", "pruned", "repeated", "failed")
_LONGEST_BAR = 40
_SHORTEST_BAR = 5


@dataclass(frozen=True)
class Marks:
    """What bars are made of.

    Attributes:
        full: Done.
        half: Half of that; may be empty.
        rest: Still to do.
    """

    full: str
    half: str
    rest: str


def choose_marks(console: Console) -> Marks:
    """Choose what a terminal can show: what is done and what is not may differ in colour alone."""
    if console.options.ascii_only:
        return Marks("#", "", ".")
    plain = console.no_color or console.color_system is None
    return Marks("\u2501", "\u2578", " " if plain else "\u2501")


def draw_waiting(name: str, doing: str, elapsed_s: float) -> list[Text]:
    """Draw a study while no network of it is in training."""
    return [Text(), Text.assemble((name, "bold"), f"  {doing} ...  {say_clock(elapsed_s)}")]


def draw(
    snapshot: Snapshot,
    trials: Mapping[int, TrialHistory],
    study: StudyConfig,
    *,
    elapsed_s: float,
    size: ConsoleDimensions,
    marks: Marks,
) -> list[Text]:
    """Draw how far a study is, in lines that fit a terminal.

    Trainings take what is left of two thirds of its height, so that the lines above them can be read too.

    Args:
        snapshot: How far it is.
        trials: For their names.
        study: The study.
        elapsed_s: Since the command was given.
        size: Of the terminal.
        marks: For its bars.
    """
    lines = [Text(), _overall(snapshot, study.name, elapsed_s, size.width, marks)]
    foot = [line for line in (_best(snapshot.best, study.objectives), _count(snapshot)) if line]
    room = size.height * 2 // 3 - len(lines) - len(foot)
    if room < 1:
        return lines[1:]
    shown = snapshot.rows if len(snapshot.rows) <= room else snapshot.rows[: room - 1]
    if shown:
        lines += _rows(shown, trials, size.width, marks)
    if len(shown) < len(snapshot.rows):
        lines.append(Text(f"  and {len(snapshot.rows) - len(shown)} more", "dim"))
    return lines + foot


def _overall(snapshot: Snapshot, name: str, elapsed_s: float, width: int, marks: Marks) -> Text:
    forecast = snapshot.forecast
    said = f"{forecast.frac:4.0%}  {say_clock(elapsed_s)}"
    if not snapshot.rows and forecast.seconds_left == 0:
        said += ", reading the test images"
    elif forecast.seconds_left is not None:
        said += f", {say_left(forecast.seconds_left)}"
    title = name if len(name) <= width // 4 else f"{name[: width // 4 - 3]}..."
    # Of one length whatever is said behind it, so that it does not jump.
    room = width - 1 - len(title) - 4 - len("100%  00:00:00, about 00 min left")
    bar = _bar(forecast.frac, min(_LONGEST_BAR, room), marks)
    return Text.assemble((title, "bold"), "  ", *bar, said)


def _rows(rows: tuple[Row, ...], trials: Mapping[int, TrialHistory], width: int, marks: Marks) -> list[Text]:
    cells = [
        (
            f"trial {row.trial:>3}",
            trials[row.trial].name,
            _seeds(row.seeds),
            f"{row.epoch}/{row.epochs}",
            "" if row.accuracy is None else f"{row.accuracy:.2%}",
        )
        for row in rows
    ]
    number, name, seeds, epoch, accuracy = (max(map(len, column)) for column in zip(*cells, strict=True))
    accuracy = max(accuracy, len("100.00%"))
    room = width - 1 - sum((2, number, 2, 2, seeds, 2, epoch, 2, accuracy, 2))
    name = max(8, min(name, room - _SHORTEST_BAR))
    bar = min(_LONGEST_BAR, room - name)
    lines = []
    for row, (one, two, three, four, five) in zip(rows, cells, strict=True):
        shown = two if len(two) <= name else f"{two[: name - 3]}..."
        head = f"  {one:<{number}}  {shown:<{name}}  {three:<{seeds}}  "
        tail = f"{four:>{epoch}}  {five:>{accuracy}}"
        lines.append(Text.assemble(head, *_bar(row.frac, bar, marks), tail))
    return lines


def _bar(frac: float, width: int, marks: Marks) -> list[tuple[str, str]]:
    """Pieces of a bar and the space behind it; nothing where it would be too short to tell anything."""
    if width < _SHORTEST_BAR:
        return []
    halves = int(min(1.0, max(0.0, frac)) * width * 2)
    done = marks.full * (halves // 2) + marks.half * (halves % 2)
    rest = marks.rest * (width - len(done))
    return [(done, "green" if frac >= 1 else "cyan"), (rest, "bright_black"), ("  ", "")]


def _seeds(seeds: tuple[int, ...]) -> str:
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    first, last = seeds[0], seeds[-1]
    run = last - first + 1 == len(seeds)
    return f"seeds {first}-{last}" if run else f"{len(seeds)} seeds"


def _best(best: TrialHistory | None, objectives: Mapping[str, str]) -> Text | None:
    if best is None or best.objective_values is None:
        return None
    measured = ", ".join(
        f"{name_measure(name)} {show_measure(name, value)}"
        for name, value in zip(objectives, best.objective_values, strict=True)
    )
    return Text.assemble("  best so far: ", (measured, "bold"), f", trial {best.number} {best.name}")


def _count(snapshot: Snapshot) -> Text | None:
    """``12 of 25 trials: 9 complete, 3 pruned; 2 infeasible``."""
    outcomes = snapshot.outcomes
    ended = sum(outcomes.get(outcome, 0) for outcome in _OUTCOMES)
    said = ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in _OUTCOMES if outcomes.get(outcome))
    infeasible = outcomes.get("infeasible", 0)
    trials = snapshot.forecast.trials
    of = "" if trials is None else f" of {trials}"
    parts = [f"  {ended}{of} trials ended", f": {said}" if said else ""]
    return Text("".join(parts) + (f"; {infeasible} infeasible" if infeasible else ""))
