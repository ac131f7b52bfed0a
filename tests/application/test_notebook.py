"""A study in Python: planned, run, read and shown in a notebook."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import archsearch
from archsearch.errors import RunFolderError, StudyError

pytestmark = pytest.mark.slow

TEXT = """\
# Which depth? <b>&</b>
name: small
data: {name: digits, train_limit: 128}
architecture: {width: 4}
sweep: {depth: [8, 14]}
training: {epochs: 1, batch_size: 64, precision: '32'}
execution: {executor: inline}
tracking: {enabled: false}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> archsearch.Study:
    return archsearch.Study.from_yaml(TEXT, runs_folder=tmp_path_factory.mktemp("notebook"))


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def outcome(study: archsearch.Study, said: list[str]) -> object:
    return study.run(say=said.append)


def test_a_study_is_read_from_a_file_as_from_its_text(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(TEXT)

    texts = [
        archsearch.Study.from_yaml(given).config.text
        for given in (tmp_path / "small.yaml", str(tmp_path / "small.yaml"), TEXT)
    ]

    assert texts == [TEXT] * 3
    assert archsearch.Study.from_yaml("{name: s, data: digits}").config.name == "s"


def test_what_is_wrong_is_said_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"study:4: architecture\.width"):
        archsearch.Study.from_yaml(TEXT.replace("width: 4", "width: x"))
    with pytest.raises(StudyError, match=r"nowhere\.yaml: cannot be read"):
        archsearch.Study.from_yaml("nowhere.yaml")


def test_a_plan_is_shown_with_its_networks(study: archsearch.Study) -> None:
    plan = study.plan()

    assert repr(plan) == "Plan(small: 2 cells, 2 trials, 2 trainings of 2 epochs in all)"
    html = plan._repr_html_()
    assert html.count("<tr>") == 1 + 2
    assert all(network.name in html for network in plan.networks)


def test_running_says_how_each_trial_ended_and_gives_the_outcome(outcome: object, said: list[str]) -> None:
    assert repr(outcome) == "Outcome(small: every trial asked for has ended; 2 complete)"
    told = [line for line in said if line.startswith("trial ")]
    assert len(told) == 2
    assert all(": complete, validation error " in line for line in told)
    assert outcome._repr_html_().count("<tr>") == 1 + 2


@pytest.mark.usefixtures("outcome")
def test_results_are_a_row_a_trial(study: archsearch.Study) -> None:
    results = study.results()

    assert sorted(results["depth"]) == [8, 14]
    assert results["val_error"].between(0, 1).all()
    assert len(study.frames.epochs) == 2


@pytest.mark.usefixtures("outcome")
def test_the_report_is_written_and_shown(study: archsearch.Study) -> None:
    report = study.report()

    assert report.page.is_file()
    assert repr(report) == f"Report(small: block=residual: undecided; {report.page})"
    assert "block=residual" in report._repr_html_()


def test_a_study_is_shown_and_nothing_in_it_comes_alive(study: archsearch.Study) -> None:
    html = study._repr_html_()

    assert "Which depth? &lt;b&gt;&amp;&lt;/b&gt;" in html
    assert "{depth: [8, 14]}" in html
    assert repr(study) == f"Study(small: 2 cells, run folder {study.folder.path})"


def test_the_question_may_follow_an_empty_line_as_it_does_behind_three_quotes() -> None:
    assert "<p>Which depth?</p>" in archsearch.Study.from_yaml("\n# Which depth?\nname: s\n")._repr_html_()


def test_a_study_that_was_not_run_has_no_results(tmp_path: Path) -> None:
    study = archsearch.Study.from_yaml(TEXT, runs_folder=tmp_path)

    with pytest.raises(RunFolderError, match="must hold a journal"):
        study.results()
    assert list(tmp_path.iterdir()) == []


def test_a_published_network_is_built_for_an_input() -> None:
    network = archsearch.build("resnet56", input=(3, 32, 32), classes=10)

    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert sum(parameter.numel() for parameter in network.parameters()) == 853_018


def test_a_network_is_shown_part_by_part() -> None:
    html = archsearch.build("resnet56")._repr_html_()

    # He et al. 2015: three stages of nine blocks.
    assert html.count("<td>9 × Block</td>") == 3
    assert "<td>853,018</td>" in html


def test_importing_it_and_reading_a_study_is_cheap() -> None:
    script = """
import sys, archsearch
archsearch.Study.from_yaml("{name: s, data: digits}")
assert {"Study", "build", "load"} <= set(dir(archsearch))
heavy = ("torch", "optuna", "mlflow", "pandas", "scipy", "matplotlib")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("[]\n", "")
