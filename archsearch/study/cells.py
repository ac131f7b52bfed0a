"""Cells: the combinations of the swept values, each different network and setting once."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from archsearch.architecture import BLOCKS
from archsearch.errors import InputError, StudyError
from archsearch.study.dimensions import Dimension
from archsearch.study.space import Space, TrialSpec

MAX_CELLS = 2000

RANGE_SAMPLES = 8
"""So many values stand for a range that has more."""

# How many sampled combinations are looked at in a cell, and how many before a cell is called impossible.
_PROBES = 64
_LAST_PROBES = 3000
_ALL_PROBES = 2500
# A look at a combination takes about 0.2 ms, and as much again so many blocks of which each is another.
_MOST_LOOKS = 5000
_BLOCKS_A_LOOK = 20

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One combination of the swept values.

    Attributes:
        index: Position in the study.
        values: Swept values by the path of their leaf, without those that its networks do not use.
    """

    index: int
    values: Values

    @property
    def label(self) -> str:
        """``block=plain depth=20``; ``all`` in a study that sweeps nothing."""
        return label_values(self.values)

    @property
    def curve(self) -> dict[str, Any]:
        """The values without depth: what the cells of one curve share."""
        return {path: value for path, value in self.values.items() if path != "architecture.depth"}


def label_values(values: Values) -> str:
    """Write values in one line: ``block=plain depth=20``."""
    parts = (f"{path.removeprefix('architecture.')}={_shown(value)}" for path, value in values.items())
    return " ".join(parts) or "all"


def build_cells(space: Space) -> tuple[Cell, ...]:
    """Combine the swept values.

    Values that a cell's networks never use are dropped; of cells that then stand for the same networks and
    settings the first stays.

    Raises:
        StudyError: Nothing can be built in some cell, or there are too many.
    """
    if math.prod(dimension.count for dimension in space.sweep) > MAX_CELLS:
        raise StudyError(f"must make at most {MAX_CELLS:_} cells", path="sweep")
    swept = list(combine(space.sweep, {}, Dimension.values))
    looks = _Looks(space)
    limit = min(_PROBES, _probes_of_each(len(swept)))
    cells: dict[Any, dict[str, Any]] = {}
    for values in swept:
        specs = _probe(looks, values, limit)
        unused = set.intersection(*(set(spec.dropped) for spec in specs))
        used = {path: value for path, value in values.items() if path not in _paths(unused)}
        # With values gone, conditions on them fail: what remains is what will be run.
        outcome = specs if len(used) == len(values) else _probe(looks, used, limit)
        key = tuple((spec.architecture.id, spec.training, spec.data) for spec in outcome)
        cells.setdefault(key, used)
    return tuple(Cell(index, values) for index, values in enumerate(cells.values()))


def unused_fields(space: Space, cells: Sequence[Cell], given: Iterable[str]) -> set[str]:
    """Paths of architecture fields, of those given, that no network of the study uses."""
    unused = set(given)
    looks, limit = _Looks(space), _probes_of_each(len(cells))
    for cell in cells:
        for values in sample_search(space, cell.values, limit):
            if not unused:
                return unused
            spec = looks.attempt({**cell.values, **values})
            if isinstance(spec, TrialSpec):
                unused -= {*space.base, *cell.values, *values} - _paths(spec.dropped)
    return unused


def _probes_of_each(cells: int) -> int:
    return max(2, _ALL_PROBES // cells)


def combine(
    dimensions: Sequence[Dimension], known: Values, candidates: Callable[[Dimension], Iterable[Any]]
) -> Iterator[dict[str, Any]]:
    """Every combination of the candidates, conditions respected; `known` may decide conditions."""
    if not dimensions:
        yield {}
        return
    first, rest = dimensions[0], dimensions[1:]
    if not first.applies(known):
        yield from combine(rest, known, candidates)
        return
    for value in candidates(first):
        for others in combine(rest, {**known, first.path: value}, candidates):
            yield {first.path: value, **others}


def sample_search(space: Space, cell_values: Values, limit: int) -> list[dict[str, Any]]:
    """All combinations of the search in a cell where there are at most `limit`, else so many at random.

    Of a range a few values stand for all.
    """
    known = {**space.base, **cell_values}
    found = list(islice(combine(space.search, known, _representatives), limit + 1))
    if len(found) <= limit:
        return found
    # A fixed seed: whether a study is valid must not change from run to run.
    generator = random.Random(0)

    def draw(dimension: Dimension) -> list[Any]:
        # A choice of thousands is not to be copied for each draw.
        choices = dimension.choices if dimension.kind == "choice" else _representatives(dimension)
        return [generator.choice(choices)]

    return [next(combine(space.search, known, draw)) for _ in range(limit)]


def _representatives(dimension: Dimension, most: int = RANGE_SAMPLES) -> list[Any]:
    if dimension.kind == "choice" or dimension.count <= most:
        return list(dimension.values())
    if dimension.kind == "number":
        return [dimension.low, dimension.high]
    steps = int(dimension.count) - 1
    step = int(dimension.step or 1)
    return [int(dimension.low) + index * steps // (most - 1) * step for index in range(most)]


def _probe(looks: _Looks, cell_values: Values, limit: int) -> list[TrialSpec]:
    space = looks.space
    for most in (limit, _LAST_PROBES):
        samples = sample_search(space, cell_values, most)
        outcomes = [looks.attempt({**cell_values, **values}) for values in samples]
        specs = [outcome for outcome in outcomes if isinstance(outcome, TrialSpec)]
        if specs:
            return specs
        if len(samples) < most:
            break
    failure = next(outcome for outcome in outcomes if isinstance(outcome, InputError))
    raise _cell_failure(failure, cell_values, searched=bool(space.search))


class _Looks:
    """Looks at what combinations of a space stand for, at a bounded number of them in all.

    Attributes:
        space: The space.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._left = float(_MOST_LOOKS)

    def attempt(self, values: Values) -> TrialSpec | InputError:
        """What some values stand for, or why they stand for nothing.

        Raises:
            StudyError: Too much was looked at.
        """
        self._left -= 1 + _estimate_blocks({**self.space.base, **values}) / _BLOCKS_A_LOOK
        if self._left < 0:
            raise StudyError(
                "must be smaller: too many combinations, or too deep ones, to see what can be built",
                path="sweep" if self.space.sweep else "search",
                fix="Sweep fewer values, or keep conditions that can hardly be met out of the search.",
            )
        try:
            return self.space.resolve(values)
        except InputError as error:
            return error


def _estimate_blocks(values: Values) -> float:
    """So many blocks have to be looked at one by one; but of a dense network those of a stage are alike."""
    if BLOCKS[values.get("architecture.block", "residual")].join != "concatenate":
        return 0
    blocks = values.get("architecture.blocks")
    return float(sum(blocks)) if blocks else values.get("architecture.depth", 0) / 2


def _cell_failure(failure: InputError, cell_values: Values, *, searched: bool) -> StudyError:
    when = [f"in cell {label_values(cell_values)}"] if cell_values else []
    when += ["whatever is sampled"] if searched else []
    circumstances = f" ({', '.join(when)})" if when else ""
    path = failure.path if isinstance(failure, StudyError) else f"architecture.{failure.path}"
    error = StudyError(f"{failure.rule}{circumstances}", path=path, fix=failure.fix)
    error.got = failure.got
    return error


def _paths(fields: Iterable[str]) -> set[str]:
    return {f"architecture.{name}" for name in fields}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(_shown, value)) if isinstance(value, tuple | list) else str(value)
