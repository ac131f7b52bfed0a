"""Whatever a journal's bytes are, a history or a JournalError comes out."""

from __future__ import annotations

import json
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.errors import JournalError
from archsearch.journal import StudyHistory, replay
from archsearch.journal.reading import parse_lines
from tests.fuzzing.seeds import list_seeds
from tests.fuzzing.targets import read_journal, seal

TRIAL = {
    "trial": 0,
    "phase": "search",
    "cell": {},
    "values": {},
    "architecture": {"block": "plain"},
    "architecture_id": "v1:0",
    "training": {},
    "data": {},
    "seeds": [0],
}


def read(*bodies: bytes) -> StudyHistory:
    # A broken last line is a crash's and cut off: one more record makes the others count.
    end = json.dumps({"n": len(bodies) + 1, "t": 1.0, "kind": "mark"}).encode()
    return replay(parse_lines(seal(b"\n".join([*bodies, end])), Path("journal.log")).records)


def record(number: int, kind: str, **fields: object) -> bytes:
    version = {"version": 1} if number == 1 else {}
    return json.dumps({"n": number, "t": 1.0, "kind": kind, **version, **fields}).encode()


HEADER = record(1, "study", name="s", uid="u")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"n":2,"t":1,"kind":"k","a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"n":' + b"9" * 10_000 + b',"t":1,"kind":"k"}',
        b'{"n":1e400,"t":1,"kind":"k"}',
        b'{"n":2,"t":' + b"9" * 400 + b',"kind":"k"}',
        b'{"n":NaN,"t":1,"kind":"k"}',
        b'{"n":2,"t":{},"kind":"k"}',
        b'{"n":2,"t":1,"kind":"k","a":{"$float":[]}}',
        b'{"n":2,"t":1,"kind":"k","a":{"$float":"x"}}',
        b'"text"',
        b"[[]]",
        b"\xff\xfe",
        b"",
    ],
    ids=lambda body: ascii(body[:30]),
)
def test_a_line_that_is_no_record_is_damage(body: bytes) -> None:
    start = time.process_time()
    with pytest.raises(JournalError, match=r"journal\.log"):
        read(HEADER, body)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("trial", {**TRIAL, "seeds": 5}),
        ("trial", {**TRIAL, "seeds": [[1]]}),
        ("trial", {**TRIAL, "seeds": None}),
        ("trial", {**TRIAL, "cell": None}),
        ("trial", {**TRIAL, "look": None}),
        ("trial", {**TRIAL, "trial": [0]}),
        ("trial", {**TRIAL, "architecture": "plain"}),
        ("trial", {**TRIAL, "dropped": 3}),
        ("epoch", {"trial": 0, "seed": 0, "epoch": "0", "metrics": {}}),
        ("epoch", {"trial": 0, "seed": 0, "epoch": None, "metrics": {}}),
        ("replicate", {"trial": 0, "seed": 0, "outcome": "complete", "metrics": {}, "epochs": None}),
        ("session", {"versions": ["torch"]}),
        ("epoch", {"trial": 0, "seed": 0, "epoch": 0, "metrics": {"val_error": "0"}}),
        ("epoch", {"trial": 0, "seed": 0, "epoch": 0, "metrics": [1]}),
        ("replicate", {"trial": 0, "seed": 0, "outcome": 1, "metrics": {}}),
        ("told", {"trial": 0, "outcome": "complete", "values": 1}),
        ("told", {"trial": 0, "outcome": "complete", "values": ["a"]}),
        ("told", {"trial": {}, "outcome": "complete"}),
        ("told", {"trial": 0, "outcome": "complete", "reason": None}),
        ("study", {"name": ["s"], "uid": "u"}),
        ("finished", {"reason": {"a": 1}}),
        ("predictors", {"trial": 0, "scores": {"synflow": "1"}}),
        ("prefilter", {"cell": {}, "threshold": "1", "scores": []}),
        ("prefilter", {"cell": {}, "threshold": None, "scores": [None]}),
    ],
)
def test_a_field_of_another_type_is_damage(kind: str, fields: dict[str, object]) -> None:
    with pytest.raises(JournalError, match=rf"journal, record 3: \w+ of the {kind} record must be"):
        read(HEADER, record(2, "trial", **TRIAL), record(3, kind, **fields))


@pytest.mark.parametrize("missing", ["trial", "seed", "epoch", "metrics"])
def test_a_field_that_is_missing_is_damage(missing: str) -> None:
    fields = {"trial": 0, "seed": 0, "epoch": 0, "metrics": {}}
    del fields[missing]
    with pytest.raises(JournalError, match=missing):
        read(HEADER, record(2, "trial", **TRIAL), record(3, "epoch", **fields))


def test_what_is_unknown_is_passed_over() -> None:
    history = read(
        HEADER, record(2, "trial", **TRIAL, later=["any"]), record(3, "of a later version", a=[{}])
    )
    assert history.trials[0].seeds == (0,)


SEEDS = list(list_seeds("journal"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_field_may_hold_anything(data: st.DataObject) -> None:
    bodies = [json.loads(line) for line in SEEDS[0].splitlines()]
    for _ in range(data.draw(st.integers(1, 3))):
        chosen = data.draw(st.sampled_from(bodies))
        chosen[data.draw(st.sampled_from(sorted(chosen)))] = data.draw(JSON)
    read_journal("\n".join(map(json.dumps, bodies)).encode())


@given(st.sampled_from(SEEDS), st.integers(0), st.binary(max_size=20), st.integers(0, 20))
@settings(max_examples=50, deadline=None)
def test_any_bytes_may_stand_anywhere(seed: bytes, place: int, new: bytes, length: int) -> None:
    place %= len(seed) + 1
    read_journal(seed[:place] + new + seed[place + length :])


def test_a_line_is_checked_before_it_is_read() -> None:
    body = HEADER.replace(b'"s"', b'"t"')
    line = b"%08x %s\n" % (zlib.crc32(HEADER), body)
    with pytest.raises(JournalError, match="does not match its checksum"):
        parse_lines(line + line, Path("journal.log"))
