"""Whatever bytes come, a study or a StudyError comes out."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest

from archsearch.errors import StudyError
from archsearch.study import StudyConfig, parse_study
from archsearch.study.yaml_reading import Document, decode, read_yaml

STUDY = b"""\
name: fuzz
data: {name: digits, val_frac: 0.2}
architecture: {layout: cifar, width: 8}
sweep: {block: [plain, residual], depth: [8, 20]}
search:
  training.learning_rate: {low: 0.01, high: 0.5, log: true}
  shortcut: {choice: [pad, projection], when: {block: residual}}
trials: 8
seeds: [1, 2]
objectives: {val_accuracy: maximize}
constraints: {parameters: {max: 1_000_000}}
sampler: {name: tpe, n_startup_trials: 3}
pruner: median
training: {epochs: 3, momentum: 0.9, milestones: [0.5], augmentation: crop_flip}
budget: {hours: 2}
include: [resnet20]
execution: {workers: auto}
"""
FRAGMENTS = [
    *b"\x00\t\n\r #&*!|>'\"%@`{}[],:?-~.0123456789eE+_\x7f\x85\xff",
    *(b"null", b".inf", b".nan", b"-1", b"1e999", b"[]", b"{}", b"true", b"<<: *a", b"&a ", b"*a", b"!!set "),
    *(
        b"---\n",
        b"...\n",
        b"\xe2\x80\xa8",
        b"\xf0\x9f\x98\x80",
        b"''",
        b'"\\x00"',
        b"? ",
        b"- ",
        b"99999999999999999999",
    ),
    *(b"block", b"depth", b"grouped", b"dense", b"when: {", b"choice: ", b"low: ", b"width", b"of: "),
]
VALUES = (
    b"0 1 -1 2.5 1e999 .nan 99998 null true [] {} [1,2] dense grouped highway mlp imagenet gp grid".split()
)


def mutate(generator: random.Random) -> bytes:
    """A few bytes changed anywhere, or a few words replaced by others, which gets further."""
    return mutate_bytes(generator) if generator.random() < 0.5 else mutate_words(generator)


def mutate_bytes(generator: random.Random) -> bytes:
    content = bytearray(STUDY)
    for _ in range(generator.choice([1, 1, 2, 8])):
        place = generator.randrange(len(content) + 1)
        length = generator.choice([0, 0, 1, 2, 5, 20])
        fragment = generator.choice(FRAGMENTS)
        content[place : place + length] = bytes([fragment]) if isinstance(fragment, int) else fragment
    return bytes(content)


def mutate_words(generator: random.Random) -> bytes:
    words = re.split(rb"([\w.]+)", STUDY)
    for _ in range(generator.choice([1, 1, 2, 3])):
        place = generator.randrange(1, len(words), 2)
        words[place] = generator.choice([*words[1::2], *VALUES])
    return b"".join(words)


def outcome(read: Callable[[str, str], object], content: bytes) -> object:
    try:
        return read(decode(content, "f.yaml"), "f.yaml")
    except StudyError as error:
        return str(error)


@pytest.mark.parametrize("seed", range(4))
def test_a_mutated_study_gives_a_study_or_a_study_error(seed: int) -> None:
    generator = random.Random(seed)
    outcomes = [outcome(parse_study, mutate(generator)) for _ in range(500)]
    refused = [text for text in outcomes if isinstance(text, str)]
    assert all(text.startswith("f.yaml") and "pydantic" not in text for text in refused)
    accepted = [study for study in outcomes if isinstance(study, StudyConfig)]
    assert len(accepted) + len(refused) == 500
    assert all(study.cells() for study in accepted)
    assert min(len(accepted), len(refused)) >= 5


@pytest.mark.parametrize("seed", range(2))
def test_random_bytes_give_a_value_or_a_study_error(seed: int) -> None:
    generator = random.Random(seed)
    alphabet = b"ab:-?[]{},&*!|>'\"%@#. \t\n~01\xc3\xa9\x00"
    for _ in range(2000):
        found = outcome(read_yaml, bytes(generator.choice(alphabet) for _ in range(generator.randrange(60))))
        assert isinstance(found, Document) or str(found).startswith("f.yaml")
