"""What fuzzing begins with and all that it ever found is answered as it should be, without atheris too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzzing.seeds import list_findings, list_seeds, list_words
from tests.fuzzing.targets import TARGETS

# Those of architectures import torch.
FOUND = [
    pytest.param(target, path, id=path.name, marks=pytest.mark.slow if target == "architecture" else ())
    for target in TARGETS
    for path in list_findings(target)
]


@pytest.mark.parametrize("target", ["study", "journal"])
def test_the_seeds_are_answered(target: str) -> None:
    for seed in list_seeds(target):
        TARGETS[target](seed)


@pytest.mark.slow
def test_the_seeds_of_architectures_are_answered() -> None:
    for seed in list_seeds("architecture"):
        TARGETS["architecture"](seed)


@pytest.mark.parametrize(("target", "path"), FOUND)
def test_what_was_found_once_is_answered_now(target: str, path: Path) -> None:
    TARGETS[target](path.read_bytes())


def test_words_can_stand_in_a_dictionary_of_libfuzzer() -> None:
    words = list_words()
    assert {"learning_rate", "residual", "when"} <= set(words)
    assert all(word and word.isprintable() and '"' not in word and "\\" not in word for word in words)
