"""Dimensions: what a swept or searched leaf may be, and under which conditions it is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from archsearch.errors import StudyError
from archsearch.study.leaves import Leaf, find_leaf
from archsearch.study.wording import suggest_name
from archsearch.study.yaml_reading import Document, Path, dotted

MAX_STEPS = 1_000_000_000
"""So many steps a range may have at most: what is far below the precision of its numbers is a slip."""

_KEYS = ("choice", "low", "high", "log", "step", "when")


@dataclass(frozen=True)
class Dimension:
    """A leaf with more than one possible value.

    Attributes:
        path: The leaf's path: ``architecture.depth``.
        kind: ``choice`` (see `choices`), or ``integer`` or ``number`` (see `low` to `step`; ends included).
        log: Whether a range is sampled evenly in its logarithm.
        step: Distance of the values of a range; None is 1 for integers and any number for numbers.
        when: Values that other leaves must have for this one to be asked for, by path.
    """

    path: str
    kind: Literal["choice", "integer", "number"]
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False
    step: float | None = None
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """As a study writes it: a bare name for architecture, dotted otherwise."""
        return self.path.removeprefix("architecture.")

    @property
    def count(self) -> float:
        """How many values there are; infinite for a range of numbers without a step."""
        if self.kind == "choice":
            return len(self.choices)
        if self.kind == "number" and self.step is None:
            return math.inf
        return round((self.high - self.low) / (self.step or 1)) + 1

    def applies(self, values: Mapping[str, Any]) -> bool:
        """Whether the conditions hold under these values; a missing one does not."""
        return all(path in values and values[path] in allowed for path, allowed in self.when.items())

    def values(self) -> Iterator[Any]:
        """Every value in order; only where `count` is finite."""
        assert self.count < math.inf, f"{self.path} has no countable values"
        if self.kind == "choice":
            yield from self.choices
        elif self.kind == "integer":
            yield from range(int(self.low), int(self.high) + 1, int(self.step or 1))
        else:
            # Decimal: 0.1 + 2 * 0.1 must be 0.3, as the person who wrote the range counts.
            low, step = Decimal(str(self.low)), Decimal(str(self.step))
            yield from (float(low + index * step) for index in range(int(self.count)))

    def includes(self, value: Any) -> bool:
        """Whether a value is one of this dimension's."""
        if self.kind == "choice" or isinstance(value, bool) or not isinstance(value, int | float):
            return value in self.choices
        if not self.low <= value <= self.high or self.count == math.inf:
            return self.low <= value <= self.high
        steps = (value - self.low) / (self.step or 1)
        return math.isclose(steps, round(steps), abs_tol=1e-9)

    def to_mapping(self) -> dict[str, Any]:
        """What makes this dimension another one, in JSON's values."""
        when = {path: list(allowed) for path, allowed in sorted(self.when.items())}
        if self.kind == "choice":
            return {"choice": list(self.choices), "when": when}
        span = {"low": self.low, "high": self.high, "log": self.log, "step": self.step}
        return {**span, "when": when}


def read_dimension(document: Document, path: Path, leaf: Leaf, leaves: Mapping[str, Leaf]) -> Dimension:
    """Read one entry of ``sweep`` or ``search``: a list, ``{choice}``, or ``{low, high, log, step}``.

    Raises:
        StudyError: At the line of what is wrong.
    """
    given = _at(document, path)
    if isinstance(given, list):
        return Dimension(leaf.path, "choice", _read_choices(document, path, leaf))
    if not isinstance(given, dict):
        raise document.error(
            path,
            "must be a list of values, or a range {low, high}",
            got=given,
            fix=f"A fixed value stands under {leaf.group}.",
        )
    for key in given:
        if key not in _KEYS:
            raise document.key_error((*path, key), "is unknown here", fix=suggest_name(key, _KEYS))
    when = _read_conditions(document, (*path, "when"), leaves) if "when" in given else {}
    if "choice" not in given:
        return _read_range(document, path, leaf, when)
    others = [key for key in given if key not in ("choice", "when")]
    if others:
        raise document.key_error(
            (*path, others[0]), "must not stand beside choice", fix="Give one of the two."
        )
    if not isinstance(given["choice"], list):
        raise document.error((*path, "choice"), "must be a list of values", got=given["choice"])
    return Dimension(leaf.path, "choice", _read_choices(document, (*path, "choice"), leaf), when=when)


def choice_path(document: Document, path: Path, index: int) -> Path:
    """Where the value of this index stands in a dimension that was read from `path`."""
    given = _at(document, path)
    if isinstance(given, list):
        return (*path, index)
    return (*path, "choice", index) if "choice" in given else path


def _at(document: Document, path: Path) -> Any:
    value = document.value
    for step in path:
        value = value[step]
    return value


def _checked(document: Document, path: Path, leaf: Leaf) -> Any:
    try:
        return leaf.check(_at(document, path))
    except StudyError as error:
        raise error.at(where=document.where(path), path=dotted(path)) from error


def _read_choices(document: Document, path: Path, leaf: Leaf) -> tuple[Any, ...]:
    choices: list[Any] = []
    for index in range(len(_at(document, path))):
        value = _checked(document, (*path, index), leaf)
        if value in choices:
            raise document.error((*path, index), "must differ from the values before it", got=value)
        choices.append(value)
    if not choices:
        raise document.error(path, "must hold at least one value", got=[])
    return tuple(choices)


def _read_range(document: Document, path: Path, leaf: Leaf, when: Mapping[str, tuple[Any, ...]]) -> Dimension:
    given = _at(document, path)
    if leaf.schema.get("type") not in ("integer", "number"):
        raise document.error(path, "must be a list of values: this field has no ranges", got=given)
    for key in ("low", "high"):
        if key not in given:
            raise document.error(path, f"must have {key}", got=given, fix="A range is {low: 1, high: 10}.")
    low, high = (_checked(document, (*path, key), leaf) for key in ("low", "high"))
    if low >= high:
        raise document.error((*path, "high"), f"must be above low, which is {low}", got=high)
    log = given.get("log", False)
    if not isinstance(log, bool):
        raise document.error((*path, "log"), "must be true or false", got=log)
    if log and low <= 0:
        raise document.error((*path, "low"), "must be above 0 where log is true", got=low)
    whole = _is_whole(leaf, [given[key] for key in ("low", "high", "step") if key in given])
    step = _read_step(document, path, whole=whole, span=high - low) if "step" in given else None
    if step is not None:
        # Ends on a step: what lies beyond the last one can never be drawn.
        first, end, distance = (Decimal(str(number)) for number in (low, high, step))
        last = first + (end - first) // distance * distance
        high = int(last) if whole else float(last)
    return Dimension(
        leaf.path, "integer" if whole else "number", low=low, high=high, log=log, step=step, when=when
    )


def _is_whole(leaf: Leaf, bounds: Sequence[Any]) -> bool:
    # A width may be any number, for `match`; a range of whole numbers of channels means whole numbers.
    channels = leaf.path in ("architecture.width", "architecture.group_width")
    return leaf.schema["type"] == "integer" or (channels and all(isinstance(bound, int) for bound in bounds))


def _read_step(document: Document, path: Path, *, whole: bool, span: float) -> float:
    given, place = _at(document, path), (*path, "step")
    step = given["step"]
    if given.get("log"):
        raise document.key_error(place, "must not stand beside log: true", fix="Leave out one of the two.")
    if (
        isinstance(step, bool)
        or not isinstance(step, int if whole else int | float)
        or not 0 < step < math.inf
    ):
        rule = "must be an integer of at least 1" if whole else "must be a number above 0"
        raise document.error(place, rule, got=step)
    if step > span:
        raise document.error(place, f"must be at most high - low, which is {span:g}", got=step)
    if not whole and span > MAX_STEPS * step:
        raise document.error(place, f"must make at most {MAX_STEPS:_} steps from low to high", got=step)
    return float(step) if not whole else step


def _read_conditions(
    document: Document, path: Path, leaves: Mapping[str, Leaf]
) -> dict[str, tuple[Any, ...]]:
    given = _at(document, path)
    if not isinstance(given, dict) or not given:
        raise document.error(path, "must be a mapping like {block: residual}", got=given)
    conditions: dict[str, tuple[Any, ...]] = {}
    for name, allowed in given.items():
        place = (*path, name)
        try:
            leaf = find_leaf(name, leaves)
        except StudyError as error:
            raise document.key_error(place, error.rule, fix=error.fix) from error
        if isinstance(allowed, list) and leaf.schema.get("type") != "array":
            conditions[leaf.path] = _read_choices(document, place, leaf)
        else:
            conditions[leaf.path] = (_checked(document, place, leaf),)
    return conditions
