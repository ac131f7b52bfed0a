"""What is fuzzed. Any bytes give a value or an error of archsearch's own; anything else is a finding."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from archsearch.architecture import FIELDS, resolve_architecture
from archsearch.errors import ArchitectureError, ArchsearchError, JournalError, StudyError
from archsearch.journal import replay
from archsearch.journal.reading import parse_lines
from archsearch.study import check_growth, parse_study
from archsearch.study.yaml_reading import decode

_LONGEST_MESSAGE = 2000

# What is built and trained must be small; what is larger is counted only.
_MOST_PARAMETERS, _MOST_MACS, _MOST_BLOCKS = 200_000, 3_000_000, 40


def read_study(content: bytes) -> None:
    """A study file."""
    try:
        study = parse_study(decode(content, "study.yaml"), "study.yaml")
    except StudyError as error:
        check_message(error, start="study.yaml")
        return
    identity = study.identity()
    assert study.cells()
    # It may go on as it is, whatever it says.
    check_growth(identity, study)


def read_journal(content: bytes) -> None:
    """A journal: as it is where it begins with a line feed, else lines that are given their checksums."""
    data = content[1:] if content[:1] == b"\n" else seal(content)
    try:
        history = replay(parse_lines(data, Path("journal.log")).records)
    except JournalError as error:
        check_message(error)
        return
    for trial in history.trials.values():
        assert all(isinstance(seed, int) for seed in trial.seeds)
        assert all(math.isnan(value) or value == float(value) for value in trial.metrics.values())


def seal(content: bytes) -> bytes:
    """Put before each line the checksum without which nothing in it would be read."""
    return b"".join(b"%08x %s\n" % (zlib.crc32(line), line) for line in content.split(b"\n"))


def build_architecture(content: bytes) -> None:
    """An architecture, its input and its classes; what is small enough is built and trained a step."""
    # Not at the top: torch takes seconds, and half a gigabyte that the other targets need not have.
    from archsearch.models import count_cost
    from tests.models.prediction import check_prediction

    fields, shape, classes = decode_fields(content)
    try:
        architecture = resolve_architecture(fields)
        cost = count_cost(architecture, shape, classes)
    except ArchitectureError as error:
        check_message(error)
        return
    assert architecture.id.startswith("v1:")
    assert resolve_architecture(architecture.to_mapping()) == architecture
    small = cost.parameters <= _MOST_PARAMETERS and cost.macs <= _MOST_MACS
    if small and sum(architecture.blocks) <= _MOST_BLOCKS:
        check_prediction(architecture, shape, classes)


_ODD = (None, True, False, 0, -1, 2**63, 1e308, math.inf, math.nan, 0.5, "", "residual", [], [1], {}, b"", ())
_SIDES = (1, 2, 3, 4, 5, 7, 8, 16, 29, 32, 33)


def decode_fields(content: bytes) -> tuple[dict[str, Any], tuple[int, ...], int]:
    """Bytes -> fields, input shape and classes: two bytes a field, the first of which says what kind it is.

    Mostly plausible values, so that what is drawn gets as far as torch.
    """
    given = content.ljust(2 * len(FIELDS) + 8, b"\0")
    fields: dict[str, Any] = {}
    for index, field in enumerate(FIELDS.values()):
        kind, byte = given[2 * index], given[2 * index + 1]
        if kind % 4 == 0:
            continue
        if kind % 16 == 15:
            fields[field.name] = _ODD[byte % len(_ODD)]
        elif field.kind == "choice":
            fields[field.name] = field.choices[byte % len(field.choices)]
        elif field.kind == "boolean":
            fields[field.name] = byte % 2 == 1
        elif field.kind == "integers":
            fields[field.name] = [1 + (byte >> place) % 4 for place in range(1 + kind // 4 % 5)]
        else:
            fields[field.name] = _plausible(field.name, kind, byte)
    side, other, channels, classes = given[2 * len(FIELDS) : 2 * len(FIELDS) + 4]
    if other % 8 == 7:
        return fields, (1 + side,), 1 + classes % 12
    height = _SIDES[side % len(_SIDES)]
    width = height if other % 2 else _SIDES[other % len(_SIDES)]
    return fields, (channels % 5, height, width), classes % 12


def _plausible(name: str, kind: int, byte: int) -> float:
    if name == "depth":
        return 2 + byte % 64 if kind % 8 < 6 else 50 * byte
    if name in ("compression", "drop_path"):
        return byte / 255
    if name in ("gate_bias", "initialization_std"):
        return (byte - 128) / 32
    return 1 + byte % 12 if kind % 8 < 6 else byte / 16


def check_message(error: ArchsearchError, *, start: str = "") -> None:
    """An error is one paragraph, of a length that can be read, of characters that can be shown."""
    text = str(error)
    assert text.startswith(start), ascii(text)
    assert len(text) <= _LONGEST_MESSAGE, len(text)
    assert text.isprintable(), ascii(text)


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "study": read_study,
    "journal": read_journal,
    "architecture": build_architecture,
}
