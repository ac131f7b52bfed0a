"""`archsearch plan` says what `archsearch run` then does."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from archsearch.application.planning import say_duration
from tests.application.conftest import SEARCH, SWEEP, RunStudy
from tests.command_line import Answer, call


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plan")


def plan(place: Path, text: str, *options: str) -> Answer:
    (place / "s.yaml").write_text(text)
    answer = call("plan", "s.yaml", *options, cwd=place)
    assert answer.code == 0, answer.err
    return answer


@pytest.mark.slow
def test_a_sweep_trains_what_was_planned(place: Path, swept: RunStudy) -> None:
    planned = plan(place, SWEEP, "--json").json
    trials = swept.history().trials.values()
    replicates = [replicate for trial in trials for replicate in trial.replicates.values()]

    assert {network["id"] for network in planned["networks"]} == {trial.architecture_id for trial in trials}
    assert (planned["cells"], planned["trials"]) == (4, sum(trial.phase == "sweep" for trial in trials))
    assert planned["replicates"] == len(replicates) == 10
    assert planned["epochs"] == sum(len(replicate.epochs) for replicate in replicates)
    assert not planned["is_sample"]


@pytest.mark.slow
def test_a_search_that_tries_everything_meets_the_infeasible_ones_that_were_planned(
    place: Path, searched: RunStudy
) -> None:
    planned = plan(place, SEARCH, "--json").json
    trials = searched.history().trials.values()
    feasible = {trial.architecture_id for trial in trials if trial.outcome != "infeasible"}
    outcomes = Counter(trial.outcome for trial in trials)

    assert {network["id"] for network in planned["networks"]} == feasible
    assert planned["infeasible"] == {"parameters must be at most 12,000": outcomes["infeasible"]}
    assert planned["trials"] == 12
    # One confirmation under two seeds.
    assert planned["replicates"] == 12 + 2


def test_people_see_requested_against_built_depth_and_why_not(place: Path) -> None:
    out = plan(place, SEARCH).out
    rows = {line.split()[0]: line.split() for line in out.splitlines() if "-" in line.split("  ")[0]}

    assert out.startswith("searched: 12 trials, at most 14 trainings of 28 epochs in all")
    assert rows["dense-7"][1:5] == ["w4", "7", "8", "3,834"]
    assert "dense-13" not in rows
    assert "Infeasible, 2 combinations: parameters must be at most 12,000" in out
    assert "with 1 training at a time, were nothing pruned, paused or repeated" in out


def test_a_field_that_some_block_does_not_use_is_said_to_be_dropped_there(place: Path) -> None:
    text = SWEEP.replace("{width: 4}", "{width: 4, compression: 0.5}")

    lines = plan(place, text).out.splitlines()

    assert "plain-8 w4 does not use: compression." in lines
    assert not any(line.startswith("dense") and "does not use" in line for line in lines)


def test_a_network_that_cannot_be_built_is_given_with_the_rule(place: Path) -> None:
    text = SEARCH.replace("dense]", "grouped]").replace("{width: 4}", "{cardinality: 4}")
    text = text.replace("  depth: [8, 14]", "  depth: [8, 14]\n  width: [4, 5]").replace(
        "12_000", "1_000_000"
    )

    planned = plan(place, text, "--json").json

    # Grouped, width 5, at two depths and two learning rates.
    assert planned["infeasible"] == {
        "cardinality: must divide twice the width (10), got 4. "
        "Choose another cardinality, or give group_width.": 4
    }


def test_of_many_networks_a_screenful_from_cheapest_to_dearest_is_shown(place: Path) -> None:
    text = SEARCH.replace("{width: 4}", "{}").replace("  depth:", "  width: {low: 3, high: 40}\n  depth:")
    text = text.replace("12_000", "10_000_000")

    answer = plan(place, text)
    lines = answer.out.splitlines()
    count = next(line for line in lines if line.startswith("25 of "))
    macs = [int(line.split()[-5].replace(",", "")) for line in lines[2 : 2 + 25]]

    assert "networks, from cheapest to dearest; --json has all." in count
    assert macs == sorted(macs)
    assert "The search may build more networks than these, which are a sample." in lines


@pytest.mark.parametrize(
    ("keep", "trainings"),
    [
        ("best", 1 + 2),
        pytest.param("all", 12 + 2, marks=pytest.mark.slow),
        pytest.param("none", 1 + 2, marks=pytest.mark.slow),
    ],
)
def test_the_disk_that_weights_and_checkpoints_take_is_bounded(
    place: Path, keep: str, trainings: int
) -> None:
    text = SEARCH.replace("keep: all", f"keep: {keep}")
    planned = plan(place, text, "--json").json
    parameters = [network["parameters"] for network in planned["networks"]]
    mean = sum(parameters) / len(parameters)
    assert planned["disk_mib"] == pytest.approx(trainings * mean * 4 / 2**20)
    # weights and momentum of the largest, twice, of each training at a time
    most = 2 * 2 * 4 * max(parameters) / 2**20
    assert planned["checkpoints_mib"] / most == pytest.approx(round(planned["checkpoints_mib"] / most))
    out = plan(place, text).out
    assert f"(keep: {keep}{', removed at the end' if keep == 'none' else ''})" in out


def test_nothing_is_written(place: Path) -> None:
    plan(place, SWEEP)

    assert [path.name for path in place.iterdir()] == ["s.yaml"]


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        (0.0, "1 s"),
        (12.3 / 3600, "12 s"),
        (1.5 / 60, "1.5 min"),
        (0.5, "30 min"),
        (2.25, "2.2 h"),
        (1234.0, "1,234 h"),
    ],
)
def test_durations_are_said_in_the_unit_that_fits(hours: float, said: str) -> None:
    assert say_duration(hours) == said
