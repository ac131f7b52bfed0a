"""The space of a study as written: which leaf is fixed, swept or searched, and on which line."""

from __future__ import annotations

from typing import Any

from archsearch.architecture import published_architecture, resolve_architecture
from archsearch.errors import InputError, StudyError
from archsearch.study.conditions import settle_conditions
from archsearch.study.dimensions import Dimension, choice_path, read_dimension
from archsearch.study.leaves import find_leaf, known_leaves
from archsearch.study.parts import check_keys, read_mapping
from archsearch.study.yaml_reading import Document, Path


class SpaceReader:
    """Reads what a document fixes, sweeps and searches.

    Attributes:
        base: Fixed values by the path of their leaf.
        sweep: Dimensions that make cells, in an order in which they can be drawn.
        search: Dimensions that are sampled, likewise.
        places: Where each leaf stands in the document.
        implied: Leaves that a published network fixes, not the study itself.

    Raises:
        StudyError: At the line of what is wrong.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._leaves = known_leaves()
        self.places: dict[str, Path] = {}
        self.implied: frozenset[str] = frozenset()
        self.base: dict[str, Any] = {}
        self._read_data()
        self._read_group("training")
        published = isinstance(document.value.get("architecture"), str)
        if not published:
            self._read_group("architecture")
        sweep, search = self._read_dimensions("sweep"), self._read_dimensions("search")
        if published:
            self._read_published({dimension.path for dimension in (*sweep, *search)})
        self.sweep, self.search = settle_conditions(sweep, search, self.base, self._condition_error)

    def place(self, path: str, value: Any = None) -> Path:
        """Where a leaf stands in the document, or that value of it; else what is above it."""
        if path not in self.places:
            group = path.partition(".")[0]
            if group in self._document.value:
                return (group,)
            varied = [place for leaf, place in self.places.items() if leaf.startswith(f"{group}.")]
            return varied[0] if varied else ()
        place = self.places[path]
        for dimension in (*self.sweep, *self.search):
            if dimension.path == path and dimension.kind == "choice" and value in dimension.choices:
                return choice_path(self._document, place, dimension.choices.index(value))
        return place

    def _read_data(self) -> None:
        given = self._document.value.get("data")
        if isinstance(given, str):
            self._fix("data.name", given, ("data",))
        else:
            self._read_group("data")

    def _read_group(self, group: str) -> None:
        given = read_mapping(self._document, (group,))
        check_keys(
            self._document, (group,), [leaf.name for leaf in self._leaves.values() if leaf.group == group]
        )
        for name, value in given.items():
            self._fix(f"{group}.{name}", value, (group, name))

    def _fix(self, path: str, value: Any, place: Path) -> None:
        try:
            self.base[path] = self._leaves[path].check(value)
        except StudyError as error:
            raise error.at(where=self._document.where(place), path=path) from error
        self.places[path] = place

    def _read_published(self, varied: set[str]) -> None:
        name = self._document.value["architecture"]
        try:
            architecture = published_architecture(name)
        except InputError as error:
            raise StudyError(
                error.rule,
                path="architecture",
                got=name,
                fix=error.fix,
                where=self._document.where(("architecture",)),
            ) from error
        # Only what differs from the defaults: what depends on a varied field then follows it.
        fields = architecture.to_mapping()
        for field in ("blocks", *fields):
            others = {key: value for key, value in fields.items() if key != field}
            if field not in ("block", "layout") and resolve_architecture(others) == architecture:
                fields = others
        paths = {f"architecture.{key}": value for key, value in fields.items()}
        self.implied = frozenset(paths)
        self.base |= {
            path: tuple(value) if isinstance(value, list) else value
            for path, value in paths.items()
            if path not in varied
        }
        self.places |= dict.fromkeys(set(self.base) & self.implied, ("architecture",))

    def _read_dimensions(self, key: str) -> list[Dimension]:
        dimensions = []
        for name in read_mapping(self._document, (key,)):
            place = (key, name)
            try:
                leaf = find_leaf(name, self._leaves)
            except StudyError as error:
                raise self._document.key_error(place, error.rule, fix=error.fix) from error
            if self.places.get(leaf.path, place)[0] in ("training", "data"):
                # `training` says what holds where nothing else is said.
                del self.base[leaf.path], self.places[leaf.path]
            if leaf.path in self.places:
                self._refuse_twice(place, leaf.path)
            dimension = read_dimension(self._document, place, leaf, self._leaves)
            if key == "sweep" and (dimension.count == float("inf") or dimension.log):
                rule = "must be a list, or a range of integers or with a step: each value is a cell"
                raise self._document.error(place, rule, got=self._document.value[key][name])
            self.places[leaf.path] = place
            dimensions.append(dimension)
        return dimensions

    def _refuse_twice(self, place: Path, path: str) -> None:
        other = self.places[path]
        verb = {"sweep": "swept", "search": "searched"}.get(str(other[0]), "fixed")
        line = self._document.where(other).rpartition(":")[2]
        raise self._document.key_error(
            place, f"must stand in one place, but line {line} has it {verb}", fix="Remove one of the two."
        )

    def _condition_error(self, dimension: Dimension, path: str, rule: str) -> StudyError:
        place = (*self.places[dimension.path], "when")
        names = (path.removeprefix("architecture."), path)
        given = self._document.value[place[0]][place[1]]["when"]
        name = next(name for name in names if name in given)
        return self._document.key_error((*place, name), rule)
