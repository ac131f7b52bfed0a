"""Every study in refusals.txt is refused with the message below it."""

from __future__ import annotations

from pathlib import Path

import pytest

from archsearch.errors import StudyError
from archsearch.study import load_study, parse_study

BLOCKS = (Path(__file__).parent / "refusals.txt").read_text().split("\n\n")
CASES = [(text + "\n", message.strip()) for text, _, message in (block.partition("\n> ") for block in BLOCKS)]


@pytest.mark.parametrize(("text", "message"), CASES, ids=[message.split(": ")[1] for _, message in CASES])
def test_the_message_names_line_path_rule_and_fix(text: str, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        parse_study(text, "s.yaml")
    assert str(caught.value) == message


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"missing\.yaml: cannot be read: No such file"):
        load_study(tmp_path / "missing.yaml")
    with pytest.raises(StudyError, match="cannot be read: Is a directory"):
        load_study(tmp_path)
    with pytest.raises(StudyError, match="cannot be read: embedded null"):
        load_study("a\0b")


def test_an_integer_beyond_64_bits_is_refused() -> None:
    with pytest.raises(
        StudyError, match=r"s\.yaml:2: seed: must be an integer of at most 64 bits, got '9{20}'\."
    ):
        parse_study("name: s\nseed: 99999999999999999999\n", "s.yaml")
