"""A file with an ``architecture:`` mapping -> Architecture."""

from __future__ import annotations

from pathlib import Path

from archsearch.architecture import Architecture, published_architecture, resolve_architecture
from archsearch.errors import InputError, StudyError
from archsearch.study.leaves import known_leaves
from archsearch.study.loading import read_document
from archsearch.study.parts import check_keys


def read_architecture(path: str | Path) -> Architecture:
    """Read the ``architecture:`` of a YAML file, whatever else the file holds.

    Raises:
        StudyError: The file cannot be read, has no architecture, or one that cannot be built.
    """
    document = read_document(path)
    given = document.value.get("architecture") if isinstance(document.value, dict) else None
    if not isinstance(given, dict | str):
        fix = "Write architecture: {block: residual, depth: 20}, or architecture: resnet20."
        raise StudyError("must have an architecture", path="architecture", where=f"{path}:1", fix=fix)
    place: tuple[str, ...] = ("architecture",)
    try:
        if isinstance(given, str):
            return published_architecture(given)
        leaves = {leaf.name: leaf for leaf in known_leaves().values() if leaf.group == "architecture"}
        check_keys(document, place, list(leaves))
        fields = {}
        for name, value in given.items():
            place = ("architecture", name)
            fields[name] = leaves[name].check(value)
        place = ("architecture",)
        return resolve_architecture(fields)
    except InputError as error:
        if error.where:
            raise
        if len(place) == 1 and isinstance(given, dict) and error.path in given:
            place = ("architecture", error.path)
        raise error.at(where=document.where(place), path=".".join(place)) from error
