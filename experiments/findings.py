"""What a claim came to: questions answered by an interval, and the words for them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from archsearch.analysis.wording import listed
from archsearch.statistics.contrasts import Contrast

Answer = Literal["confirmed", "refuted", "undecided"]
Verdict = Literal["confirmed", "refuted", "in part", "refuted in part", "undecided"]
Unit = Literal["points", "factor", "share", "number"]
Table = Sequence[Mapping[str, str]]

_LEVEL = 0.05


@dataclass(frozen=True)
class Range:
    """Where the hypothesis says that a quantity lies: between these two."""

    low: float = -math.inf
    high: float = math.inf

    def answer(self, low: float, high: float) -> Answer:
        """Confirmed where all of an interval lies within, refuted where all of it lies outside."""
        if self.low < low and high < self.high:
            return "confirmed"
        return "refuted" if high < self.low or low > self.high else "undecided"


def above(bound: float) -> Range:
    """More than so much."""
    return Range(low=bound)


def below(bound: float) -> Range:
    """Less than so much."""
    return Range(high=bound)


def within(bound: float) -> Range:
    """No further from 0 than so much."""
    return Range(-bound, bound)


@dataclass(frozen=True)
class Part:
    """One question of a claim.

    Attributes:
        what: What the hypothesis says.
        unit: ``points``: a difference of two errors; ``share``; ``factor`` and ``number``: as they are.
        estimate: None where too little was measured.
        low: Of the interval; the estimate where that is exact.
        high: Of the interval.
        answer: What the interval says of it.
        front: Whether it stands on the front page.
        counted: Whether it is a count that no training can change: shown, and no part of the verdict.
        study: Whose trainings it rests on, by the name that the claim has for it; empty where on none.
    """

    what: str
    unit: Unit
    estimate: float | None
    low: float | None
    high: float | None
    answer: Answer
    front: bool = False
    counted: bool = False
    study: str = "study"

    @property
    def measured(self) -> str:
        """``+2.3 points (+1.1 to +3.5)``."""
        if self.estimate is None or self.low is None or self.high is None:
            return "not measured"
        estimate, low, high = (_say(self.unit, value) for value in (self.estimate, self.low, self.high))
        unit = " points" if self.unit == "points" else ""
        return f"{estimate}{unit}" if self.low == self.high else f"{estimate}{unit} ({low} to {high})"

    @property
    def answered(self) -> str:
        """The answer, and whether it was counted."""
        return f"{self.answer} (counted)" if self.counted else self.answer

    def to_row(self) -> dict[str, Any]:
        """As a row of a table."""
        return {
            "what": self.what,
            "unit": self.unit,
            "estimate": self.estimate,
            "low": self.low,
            "high": self.high,
            "answer": self.answered,
        }


def answer_by(change: Contrast | None, expected: Range, what: str, *, family: int = 1, **shown: Any) -> Part:
    """Answer a question by the interval of a contrast.

    Args:
        change: None where too little was measured.
        expected: What the hypothesis says of it.
        what: The hypothesis in words.
        family: Questions of which none is to be answered wrongly by chance: their intervals are as much wider
            (Bonferroni).
        shown: `unit` (points where left out), `front` and `study` of the part.
    """
    unit: Unit = shown.pop("unit", "points")
    if change is None:
        return Part(what, unit, None, None, None, "undecided", **shown)
    low, high = change.interval(1 - _LEVEL / family)
    answer = expected.answer(low, high)
    if unit == "factor":
        estimate, low, high = (10**value for value in (change.estimate, low, high))
        return Part(what, unit, estimate, low, high, answer, **shown)
    return Part(what, unit, change.estimate, low, high, answer, **shown)


def answer_exactly(value: float, expected: Range, what: str, **shown: Any) -> Part:
    """Answer a question by what was counted, or read off one network."""
    return Part(
        what, shown.pop("unit", "number"), value, value, value, expected.answer(value, value), **shown
    )


@dataclass(frozen=True)
class Finding:
    """The answers to a claim's questions.

    Attributes:
        parts: One a question.
        tables: Further tables by their headings, all as text.
    """

    parts: tuple[Part, ...]
    tables: Mapping[str, Table] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """Of all parts that were not counted: confirmed or refuted where all of them are.

        Else in part where some are confirmed, refuted in part where some are refuted.
        """
        answers = {part.answer for part in self._asked}
        if len(answers) == 1:
            return answers.pop()
        if "confirmed" in answers:
            return "in part"
        return "refuted in part" if "refuted" in answers else "undecided"

    @property
    def conclusion(self) -> str:
        """The verdict, and which questions stand behind it."""
        said = [f"**{self.verdict.capitalize()}**: {self.tally}."]
        counted = [part for part in self.parts if part.counted]
        if counted:
            said.append(f"Counted besides: {_tally(counted)}.")
        said += [f"Refuted: {part.what}." for part in self.parts if part.answer == "refuted"]
        return " ".join(said)

    @property
    def tally(self) -> str:
        """``of 3 questions 2 confirmed and 1 refuted``."""
        asked = len(self._asked)
        return f"of {asked} question{'s' * (asked > 1)} {_tally(self._asked)}"

    @property
    def _asked(self) -> list[Part]:
        return [part for part in self.parts if not part.counted]


def write_table(rows: Iterable[Mapping[str, str]]) -> str:
    """Write rows as a Markdown table."""
    rows = list(rows)
    header = list(rows[0])
    lines = [header, ["---"] * len(header), *([row[name] for name in header] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _tally(parts: Iterable[Part]) -> str:
    """``2 confirmed and 1 refuted``."""
    counts = Counter(part.answer for part in parts)
    return listed([f"{counts[answer]} {answer}" for answer in get_args(Answer) if answer in counts])


def _say(unit: Unit, value: float) -> str:
    if unit == "points":
        return f"{100 * value:+.2f}"
    if unit == "share":
        return f"{100 * value:.1f} %"
    return f"{value:.3g}"
