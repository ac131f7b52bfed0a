"""Completion in the shell: commands, options and the names of studies that were run."""

from __future__ import annotations

import os
from contextlib import chdir
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from archsearch.cli import cli
from tests.command_line import call_apart


def complete(words: str, cwd: Path) -> list[str]:
    """What Tab offers behind some words."""
    *arguments, begun = words.split(" ")
    with chdir(cwd):
        found = ShellComplete(cli, {}, "archsearch", "_ARCHSEARCH_COMPLETE").get_completions(arguments, begun)
    return [f"{item.value} ({item.type})" if item.type != "plain" else item.value for item in found]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for runs, name in (("runs", "depth"), ("runs", "degradation"), ("runs", "rates"), ("other", "else")):
        (tmp_path / runs / name).mkdir(parents=True)
        (tmp_path / runs / name / "journal.log").touch()
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "show",
        "status",
        "compare",
        "report",
        "lesion",
        "deepen",
        "export",
        "sync",
        "reproduce",
        "doctor",
        "ui",
    ],
)
def test_names_of_studies_are_completed(command: str, place: Path) -> None:
    assert complete(f"{command} de", place) == ["degradation", "depth"]
    assert complete(f"{command} --runs-dir other ", place) == ["else"]


def test_where_no_name_fits_files_are_offered(place: Path) -> None:
    assert complete("show ./x", place) == ["./x (file)"]


def test_commands_and_options_are_completed(place: Path) -> None:
    assert complete("sh", place) == ["show"]
    assert complete("show --tr", place) == ["--trial"]


def test_bash_is_answered_as_the_documentation_sets_it_up(place: Path) -> None:
    asked = {"_ARCHSEARCH_COMPLETE": "bash_complete", "COMP_WORDS": "archsearch show de", "COMP_CWORD": "2"}

    answer = call_apart(cwd=place, env={**os.environ, **asked})

    assert (answer.code, answer.out) == (0, "plain,degradation\nplain,depth\n")
