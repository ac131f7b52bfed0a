"""What the fields of a record may hold: a journal comes from a disk, where anybody may have written.

Whoever reads a history can then take what it says for what its types say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from archsearch.errors import JournalError
from archsearch.journal.records import Record

Holds = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _integer(value: Any) -> bool:
    return isinstance(value, int)


def _number(value: Any) -> bool:
    return isinstance(value, int | float)


def _mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _list(value: Any) -> bool:
    return isinstance(value, list)


def _integers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, int) for item in value)


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, int | float) for item in value)


def _metrics(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, int | float) for item in value.values())


def _scores(value: Any) -> bool:
    return isinstance(value, dict) and all(
        item is None or isinstance(item, int | float) for item in value.values()
    )


_DESCRIBED: Mapping[Holds, str] = {
    _text: "text",
    _integer: "an integer",
    _number: "a number",
    _mapping: "a mapping",
    _list: "a list",
    _integers: "a list of integers",
    _numbers: "a list of numbers",
    _metrics: "a mapping of numbers",
    _scores: "a mapping of numbers or nothing",
}
# The figures of its data that a study tells, and since they may differ each trial.
OF_DATA = ("classes", "train_images", "val_images")
_TRAINING: Mapping[str, Holds] = {"trial": _integer, "seed": _integer}
# A field may be missing; where it cannot be, its reader says so.
_SHAPES: Mapping[str, Mapping[str, Holds]] = {
    "study": {
        **dict.fromkeys(("name", "uid", "archsearch", "text", "source", "data_fingerprint"), _text),
        **dict.fromkeys(OF_DATA, _integer),
        **dict.fromkeys(("identity", "objectives", "versions"), _mapping),
        **dict.fromkeys(("input_shape", "class_names"), _list),
    },
    "question": {
        **dict.fromkeys(("text", "source"), _text),
        "smallest_difference": _number,
        "seeds": _mapping,
        "cells": _list,
    },
    "session": {
        **dict.fromkeys(("host", "executor", "device", "device_name", "commit", "archsearch"), _text),
        **dict.fromkeys(("pid", "slots", "devices_per_trial"), _integer),
        "versions": _mapping,
        "code": _text,
        "preparing_s": _number,
    },
    "trial": {
        **dict.fromkeys(("phase", "architecture_id", "name"), _text),
        **dict.fromkeys(("trial", "requested_depth", "parameters", "macs", "look"), _integer),
        **dict.fromkeys(OF_DATA, _integer),
        **dict.fromkeys(("cell", "values", "architecture", "training", "data", "optuna"), _mapping),
        **dict.fromkeys(("activation_mib", "mismatch", "score"), _number),
        "seeds": _integers,
        "dropped": _list,
    },
    "started": {**_TRAINING, "attempt": _integer, "packed": _integers, "until": _integer},
    "prefilter": {"cell": _mapping, "score": _text, "threshold": _number, "scores": _numbers},
    "predictors": {"trial": _integer, "scores": _scores},
    "epoch": {**_TRAINING, "epoch": _integer, "metrics": _metrics, "profile": _mapping},
    "replicate": {
        **_TRAINING,
        **dict.fromkeys(("outcome", "reason", "note"), _text),
        "epochs": _integer,
        "metrics": _metrics,
        "repeated_of": _integer,
        "taken_over": _mapping,
        "packed": _integers,
    },
    "told": {
        "trial": _integer,
        **dict.fromkeys(("outcome", "reason"), _text),
        "values": _numbers,
        "metrics": _metrics,
        "repeated_of": _integer,
        "optuna_attributes": _mapping,
        "taken_over": _list,
    },
    "test": {**_TRAINING, "metrics": _metrics},
    "warm_start": {"studies": _list, "cells": _list},
    "finished": {"reason": _text},
    "interrupted": {"reason": _text},
}
_COUNTED = ("requested_depth", "parameters", "macs", "activation_mib")
# What may be None.
_OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "study": OF_DATA,
    "trial": (*OF_DATA, *_COUNTED, "optuna", "mismatch", "score"),
    "started": ("until",),
    "prefilter": ("threshold",),
    "replicate": ("repeated_of", "taken_over"),
    "told": ("values", "repeated_of", "optuna_attributes"),
}


def check_shape(record: Record) -> None:
    """Check the fields that are known of a record's kind; others are passed over.

    Raises:
        JournalError: A field holds something else than it does in any journal.
    """
    fields = record.fields
    for name, holds in _SHAPES.get(record.kind, {}).items():
        value = fields.get(name)
        absent = name not in fields or (value is None and name in _OPTIONAL.get(record.kind, ()))
        if not absent and not holds(value):
            raise JournalError(
                f"journal, record {record.number}: {name} of the {record.kind} record must be "
                f"{_DESCRIBED[holds]}. Restore the journal from a copy, or give the study a new name."
            )
