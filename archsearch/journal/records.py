"""One line of the journal: a numbered record in JSON behind its checksum.

::

    9c1f05a2 {"n":1,"t":1760000000.25,"kind":"study","version":1,"name":"depth"}

Records that were written together are a list, ``[{"n":2,…},{"n":3,…}]``, in one line: under one checksum a
crash leaves all of them or none, never a gap.

A number that JSON cannot hold (a loss that became NaN or infinite) is written as ``{"$float": "nan"}``,
``"inf"`` or ``"-inf"`` and read back as the float it was.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

VERSION = 1
"""Version of the journal's format, held by its first record."""

_OWN_KEYS = ("n", "t", "kind")


class BrokenLineError(ValueError):
    """A line that is not a whole record; its text says what is wrong with it."""


@dataclass(frozen=True)
class Record:
    """One thing that happened.

    Attributes:
        number: Its place in the journal, from 1.
        time: Unix time in seconds; never earlier than the record before.
        kind: What happened: ``study``, ``trial``, ``epoch``, …
        fields: The rest, as JSON gives it back: lists for tuples, strings as keys.
    """

    number: int
    time: float
    kind: str
    fields: dict[str, Any]


def encode_line(records: Sequence[Record]) -> bytes:
    """Return the line of records that are written together, with its newline."""
    rows = [_jsonable(_entries(record)) for record in records]
    content = rows[0] if len(rows) == 1 else rows
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    body = text.encode("utf-8", "backslashreplace")
    return b"%08x %s\n" % (zlib.crc32(body), body)


def decode_line(line: bytes) -> list[Record]:
    """Read the records of one line, without its newline.

    Raises:
        BrokenLineError: It does not match its checksum, or is no record.
    """
    checksum, space, body = line[:8], line[8:9], line[9:]
    if space != b" " or checksum != b"%08x" % zlib.crc32(body):
        raise BrokenLineError("the record does not match its checksum")
    try:
        content = json.loads(body, object_hook=_restore_float)
        return [_record(entries) for entries in (content if isinstance(content, list) else [content])]
    # A line may be nested beyond what Python reads, or hold a number beyond what it computes with.
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise BrokenLineError(f"the line is not a record ({error})") from error


def _entries(record: Record) -> dict[str, Any]:
    assert not set(_OWN_KEYS) & set(record.fields), f"reserved keys in {sorted(record.fields)}"
    return {"n": record.number, "t": record.time, "kind": record.kind, **record.fields}


def _record(entries: dict[str, Any]) -> Record:
    number, time, kind = (entries.pop(key) for key in _OWN_KEYS)
    return Record(int(number), float(time), str(kind), entries)


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(float(value))}
    return value


def _restore_float(entries: dict[str, Any]) -> Any:
    return float(entries["$float"]) if entries.keys() == {"$float"} else entries
