"""The generated parts of the reference name everything that the program reads."""

from __future__ import annotations

import pytest

from archsearch.cli import _COMMANDS
from archsearch.study import study_schema
from archsearch.study.vocabulary import PRUNERS, SAMPLERS, SCHEDULERS
from docs_build.reference import fill_in, say_values, write_command_line, write_study_file
from tests.docs.pages import ROOT


def test_the_study_file_names_every_key_setting_sampler_and_pruner() -> None:
    page = write_study_file()
    schema = study_schema()["properties"]

    assert [key for key in schema if f"\n## `{key}`\n" not in f"\n{page}"] == []
    for group in ("data", "architecture", "training", "execution", "tracking", "budget"):
        fields = next(part for part in schema[group].get("anyOf", [schema[group]]) if "properties" in part)
        assert [name for name in fields["properties"] if f"\n| `{name}` | " not in page] == []
    assert [name for name in (*SAMPLERS, *PRUNERS, *SCHEDULERS) if f"\n| `{name}` | " not in page] == []


def test_a_settings_row_gives_values_default_and_meaning() -> None:
    row = next(line for line in write_study_file().splitlines() if line.startswith("| `batch_size` |"))

    values, default, meaning = row.split(" | ")[1:]
    assert values == "a whole number from 1 to 1,000,000"
    assert default == "`128`"
    assert meaning == "Images a step, over all devices together. |"


def test_the_command_line_names_every_command_with_its_options() -> None:
    page = write_command_line()

    assert [name for name in _COMMANDS if f"## `{name}`\n" not in page] == []
    assert "archsearch export [OPTIONS] STUDY" in page
    assert "--help" not in page
    assert "| `--trial INTEGER` | Number of the trial; the best one where nothing is chosen. |" in page
    assert "```bash\narchsearch describe resnet152 vgg19\n```" in page


@pytest.mark.parametrize("page", ["study_file.md", "command_line.md"])
def test_a_page_has_its_generated_part(page: str) -> None:
    written = (ROOT / "docs" / "reference" / page).read_text()
    filled = fill_in(written)

    assert "<!-- generated: " in written
    assert "<!-- generated: " not in filled
    assert len(filled) > 2 * len(written)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "integer", "minimum": 1}, "a whole number of at least 1"),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, "a number above 0 and below 1"),
        ({"anyOf": [{"const": "auto"}, {"type": "integer"}, {"type": "null"}]}, "`auto`, or a whole number"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, "a list, each `a`, `b`"),
        ({"type": "boolean"}, "true or false"),
    ],
)
def test_values_are_said_in_words(schema: dict[str, object], said: str) -> None:
    assert say_values(schema) == said
