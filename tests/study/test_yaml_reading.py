from __future__ import annotations

import time
import tracemalloc

import pytest

from archsearch.errors import StudyError
from archsearch.study.yaml_reading import decode, read_yaml

SIZE = 64 * 1024


def read(text: str) -> object:
    return read_yaml(text, "s.yaml").value


def refusal(content: bytes) -> str:
    with pytest.raises(StudyError) as caught:
        read_yaml(decode(content, "s.yaml"), "s.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 0.001),
        ("1.0e-4", 0.0001),
        ("5E2", 500.0),
        (".5", 0.5),
        ("1_000_000", 1_000_000),
        ("-7", -7),
        ("010", 10),
        ("true", True),
        ("False", False),
        ("on", "on"),
        ("no", "no"),
        ("'32'", "32"),
        ("1.2.3", "1.2.3"),
        ("2026-01-01", "2026-01-01"),
        ("0x10", "0x10"),
        ("~", None),
        ("", None),
        ("-.inf", float("-inf")),
        ("{a: [1, 2], b: {}}", {"a": [1, 2], "b": {}}),
    ],
)
def test_scalars_follow_yaml_1_2_and_exponents_are_numbers(written: str, value: object) -> None:
    found = read(f"key: {written}")
    assert found == {"key": value}
    assert type(found["key"]) is type(value)


def test_keys_are_text_whatever_they_look_like() -> None:
    assert read("1: a\ntrue: b\nnull: c") == {"1": "a", "true": "b", "null": "c"}


def test_an_alias_stands_for_its_anchor() -> None:
    assert read("a: &x {low: 1}\nb: *x") == {"a": {"low": 1}, "b": {"low": 1}}


def test_lines_are_those_of_key_and_value() -> None:
    document = read_yaml("a: 1\nb:\n  c:\n    - 1\n    - 2\n  d:\n    7\n", "s.yaml")
    assert document.key_lines["b", "d"] == 6
    assert document.where(("b", "c", 1)) == "s.yaml:5"
    assert document.where(("b", "c")) == "s.yaml:3"
    assert document.where(("b", "d")) == "s.yaml:7"
    assert document.where(("b", "missing")) == "s.yaml:2"


def test_windows_lines_and_a_byte_order_mark_change_nothing() -> None:
    document = read_yaml(decode("\ufeffa: 1\r\nb: 2\r\n".encode(), "s.yaml"), "s.yaml")
    assert document.value == {"a": 1, "b": 2}
    assert document.where(("b",)) == "s.yaml:2"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "s.yaml: must hold a study, but the file is empty."),
        (b"# nothing\n\n", "s.yaml: must hold a study, but the file is empty."),
        (b"a: 1\na: 2\n", "s.yaml:2: a: must be written once, but line 1 holds it too."),
        (b"b:\n  c: 1\n  c: 2\n", "s.yaml:3: b.c: must be written once, but line 2 holds it too."),
        (b"a: 1\n---\nb: 2\n", "s.yaml:2: must hold one document. Put each study in a file of its own."),
        (b"a: 1\nb: !!int 3\n", "s.yaml:2: b: must hold no YAML tags, got 'tag:yaml.org,2002:int'."),
        (b"a: \x00", "s.yaml:1: must hold no control characters, got '\\x00'."),
        (b'a: 1\nb: "\\0"', "s.yaml:2: b: must hold no control characters, got '\\x00'."),
        (b"a: 1\nb: \xff", "s.yaml:2: must be UTF-8 text, got b'\\xff'."),
        ("a: 1".encode("utf-16"), "s.yaml:1: must be UTF-8 text, got b'\\xff'."),
        (b"a: [1, 2\nb: 3", "s.yaml:2: must be YAML: expected ',' or ']', but got ':'."),
        (b"a: 1\n\tb: 2", "s.yaml:2: must be YAML: found character '\\t' that cannot start any token."),
        (b"? [a]\n: 1", "s.yaml:1: must have plain names as keys."),
        (b"a: *x", "s.yaml:1: a: must name an anchor that ended further up: *x."),
        (b"a: &x [*x]", "s.yaml:1: a[0]: must name an anchor that ended further up: *x."),
        (b"a: &x 1\nb: &x 2", "s.yaml:2: b: must name an anchor only once: &x."),
        (b"a: 9223372036854775808", "s.yaml:1: a: must be an integer of at most 64 bits"),
    ],
)
def test_what_is_no_study_is_refused_at_its_line(content: bytes, message: str) -> None:
    assert refusal(content).startswith(message)


BOMB = b"a: &a [1,1,1,1,1,1,1,1,1]\n" + b"".join(
    b"%c: &%c [%s]\n" % (letter, letter, b",".join([b"*%c" % (letter - 1)] * 9)) for letter in range(98, 123)
)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (BOMB, "at most 5000 values"),
        (b"[" * SIZE, "nested at most 12 deep"),
        (b"- " * (SIZE // 2), "nested at most 12 deep"),
        (b"{a: " * (SIZE // 4), "nested at most 12 deep"),
        (b"\n".join(b" " * i + b"a:" for i in range(300)), "nested at most 12 deep"),
        (b"a: &a {b: {c: {d: {e: {f: {}}}}}}\nb: {b: {c: {d: {e: {f: {g: *a}}}}}}", "nested at most 12"),
        (b"[" + b"1," * (SIZE // 2 - 2) + b"]", "at most 5000 values"),
        (b"a: &a 1\nb: [" + b"*a," * 20000 + b"]", "at most 5000 values"),
        (b"\n".join(b"k%d:" % i for i in range(9000)), "at most 5000 values"),
        (b"\n".join(b"k%d: &k%d" % (i, i) for i in range(5001)), "KiB|at most 5000 values"),
        (b"a: " + b"1" * (SIZE - 4), "64 bits"),
        (b"!" * SIZE, "no YAML tags"),
        (b"a" * (SIZE + 1), "at most 64 KiB"),
        (b"\n" * SIZE, "empty"),
    ],
)
def test_hostile_files_are_refused_fast(content: bytes, rule: str) -> None:
    start = time.process_time()
    message = refusal(content)
    seconds = time.process_time() - start
    assert any(part in message for part in rule.split("|"))
    # A quarter of a second at most, on a machine that does nothing else.
    assert seconds < 2


@pytest.mark.parametrize("content", [BOMB, b"[" + b"1," * (SIZE // 2 - 2) + b"]", b"a: " + b"1" * (SIZE - 4)])
def test_hostile_files_are_refused_in_little_memory(content: bytes) -> None:
    tracemalloc.start()
    refusal(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


@pytest.mark.parametrize(
    "content", [b"a: " + b"x " * 32000, b'a: "' + b"\\n" * 32000 + b'"', b"a: |\n" + b" x\n" * 20000]
)
def test_a_huge_scalar_is_only_text(content: bytes) -> None:
    start = time.process_time()
    assert isinstance(read_yaml(decode(content, "s.yaml"), "s.yaml").value["a"], str)
    assert time.process_time() - start < 1


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(StudyError, match=r"s\.yaml:1: must hold no control characters"):
        read_yaml("a: \ud800", "s.yaml")
