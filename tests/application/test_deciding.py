"""What is decided once a study: threads, workers, and whether the memory suffices."""

from __future__ import annotations

from pathlib import Path

import pytest

from archsearch.application import deciding
from archsearch.application.counting import count_trainings, count_trials
from archsearch.application.deciding import decide_arithmetic, explain_workers, list_thread_counts
from archsearch.application.room import Need, Room, find_room, list_largest
from archsearch.application.sampling import sample_specs
from archsearch.data import load_dataset
from archsearch.execution import Devices, count_workers, machine
from archsearch.journal import read_journal
from archsearch.study import StudyConfig, parse_study
from archsearch.study.settings import DataSettings, ExecutionSettings
from archsearch.training import compute, threads
from archsearch.training.values import Compute
from tests.application.conftest import SEARCH, SWEEP, run_study_in

CPU = Devices("cpu")
BASE = """
name: decided
data: {name: digits, train_limit: 64}
architecture: {width: 4, depth: 8}
training: {epochs: 1, batch_size: 64, precision: 32}
tracking: {enabled: false}
"""


def parsed(text: str) -> StudyConfig:
    return parse_study(text, "study.yaml")


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for module in (machine, deciding):
        monkeypatch.setattr(module, "count_cores", lambda: 8)


@pytest.mark.parametrize(
    ("fields", "trainings", "fitting", "counts"),
    [
        ({}, 100, 99, [1, 2, 4, 8]),
        ({"executor": "inline"}, 100, 99, [1, 2, 4, 8]),
        ({"workers": 3}, 100, 99, [1, 2]),
        ({"workers": 16}, 100, 99, [1]),
        ({"workers": 8}, 1, 1, [1]),
        # cores that no training takes
        ({}, 1, 99, [1, 2, 4, 8]),
        ({}, 3, 99, [1, 2]),
        ({}, 5, 99, [1]),
        ({}, 8, 99, [1, 2, 4, 8]),
        # the memory takes fewer than there are cores
        ({}, 100, 3, [3, 4, 8]),
        ({}, 100, 1, [8]),
        ({}, 2, 1, [4]),
    ],
)
def test_threads_to_choose_from_leave_no_core_to_two(eight_cores, fields, trainings, fitting, counts):
    settings = ExecutionSettings(**fields)

    found = list_thread_counts(settings, trainings=trainings, fitting=fitting)

    assert found == counts
    for threads_each in found if settings.workers == "auto" else []:
        assert count_workers(settings, CPU, threads_each) * threads_each <= 8


def test_precisions_are_compared_for_a_search_without_seeds_too(monkeypatch):
    monkeypatch.setattr(compute, "computes_bf16", lambda _: True)
    study = parsed(
        BASE.replace("depth: 8}", "layout: mlp}").replace(", precision: 32", "")
        + "search: {depth: [2, 3]}\ntrials: 2\n"
    )

    chosen = decide_arithmetic(study, sample_specs(study), load_dataset(study.space.fixed_settings()[1]), CPU)

    assert study.seeds == ()
    assert "a step of 64 images" in chosen.reason


def test_omp_num_threads_is_the_most(eight_cores, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert list_thread_counts(ExecutionSettings(), trainings=99, fitting=99) == [1, 2]
    assert list_thread_counts(ExecutionSettings(), trainings=99, fitting=1) == [2]


@pytest.mark.parametrize(
    ("fields", "threads_each", "workers", "said"),
    [
        ({}, 1, 8, ""),
        ({}, 4, 2, ""),
        ({}, 3, 2, ""),
        ({"workers": 2}, 4, 2, ""),
        (
            {"workers": 6},
            4,
            2,
            "The 4 threads that each training of this study began with are kept, so 8 cores take 2 of the 6 "
            "workers.",
        ),
        (
            {},
            16,
            1,
            "The 16 threads that each training of this study began with are kept, on 8 cores: another number "
            "would change results in the last bits.",
        ),
        ({"executor": "inline"}, 4, 1, ""),
        ({"workers": 20}, 1, 20, ""),
    ],
)
def test_the_threads_of_the_journal_stay_and_workers_give_way(
    eight_cores, fields, threads_each, workers, said
):
    settings = ExecutionSettings(**fields)
    assert count_workers(settings, CPU, threads_each) == workers
    assert explain_workers(settings, CPU, threads_each) == said


def test_cores_that_no_training_takes_become_threads_of_the_others(eight_cores, monkeypatch):
    asked = {}

    def remember(compute, *_, **options):
        asked.update(options)
        return compute

    monkeypatch.setattr(threads, "share_cores", remember)

    def decide(seeds: int) -> tuple[list[int], bool]:
        study = parsed(BASE + f"sweep: {{block: [plain, residual]}}\nseeds: {seeds}\n")
        deciding.decide_arithmetic(study, sample_specs(study), load_dataset(DataSettings()), CPU)
        return asked["counts"], asked["leave_idle"]

    assert decide(1) == ([1, 2, 4], True)
    assert decide(4) == ([1, 2, 4, 8], False)


@pytest.mark.parametrize(("text", "trials", "trainings"), [(SEARCH, 12, 14), (SWEEP, 4, 10)])
def test_trials_and_trainings_are_counted_before_they_run(text, trials, trainings):
    study = parsed(text)
    assert (count_trials(study), count_trainings(study)) == (trials, trainings)


def test_a_warning_names_what_the_memory_does_not_take():
    room = Room(1000.0, {"a": Need("small", 100.0), "b": Need("large", 2500.0), "c": Need("huge", 30_000.0)})
    tight = Room(1000.0, {"a": Need("small", 100.0), "b": Need("medium", 450.0)})
    end = "and 1,000 MiB are free. A smaller batch_size takes less, and so does gradient_checkpointing."

    assert room.warn(1) == (
        f"The memory may not suffice: huge takes about 30,000 MiB, and 1 more take too much, {end}"
    )
    assert tight.warn(2) == (
        f"The memory may not suffice: medium takes about 450 MiB in each of 2 trainings at once, {end}"
    )
    assert (room.fitting, tight.fitting) == (1, 1)
    assert tight.warn(1) == Room(1000.0, {}).warn(9) == ""


def test_the_need_of_a_network_is_that_of_its_largest_batch():
    study = parsed(BASE.replace("batch_size: 64, ", "") + "sweep: {training.batch_size: [4, 64]}\n")
    both = find_room(sample_specs(study), Compute())
    small = find_room(sample_specs(study)[:1], Compute())

    (need,), (less,) = both.needs.values(), small.needs.values()
    assert need.peak_mib > 3 * less.peak_mib


def test_the_largest_need_is_among_the_few_that_are_looked_at():
    text = BASE.replace("{width: 4, depth: 8}", "{}").replace("batch_size: 64, ", "")
    study = parsed(
        text + "sweep: {block: [plain, dense, highway], depth: [8, 14], width: [4, 30], "
        "training.batch_size: [1, 32]}\n"
    )
    specs = sample_specs(study)
    few = list_largest(specs)

    assert len(few) < len(specs) == 24
    assert find_room(few, Compute()).largest == find_room(specs, Compute()).largest
    assert find_room(few, Compute()).fitting == pytest.approx(find_room(specs, Compute()).fitting, abs=1)


@pytest.mark.slow
@pytest.mark.usefixtures("unreported")
def test_plan_and_run_say_what_may_not_fit(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("archsearch.training.memory.measure_free_mib", lambda _: 0.5)
    inline = "sweep: {block: [plain, residual]}\nexecution: {executor: inline}\n"
    study = run_study_in(tmp_path, BASE + inline)

    again = study.call("run", "decided.yaml")
    planned = study.call("plan", "decided.yaml")

    warning = "The memory may not suffice: "
    assert study.answer.err.count(warning) == 1
    assert warning not in again.out + again.err
    assert planned.out.count(warning) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("unreported")
def test_threads_are_measured_once_journaled_and_taken_again(tmp_path: Path, monkeypatch) -> None:
    measured = Compute(threads=2, reason="measured")
    monkeypatch.setattr(threads, "share_cores", lambda *_, **__: measured)
    text = BASE + "sweep: {block: [plain, residual]}\nseeds: 1\nexecution: {executor: inline}\n"
    study = run_study_in(tmp_path, text)
    (tmp_path / "decided.yaml").write_text(text.replace("seeds: 1", "seeds: 2"))
    monkeypatch.setattr(threads, "share_cores", None)

    more = study.call("run", "decided.yaml")

    records = read_journal(study.run_folder.journal)
    assert more.code == 0, more.err
    assert [record.fields["threads"] for record in records if record.kind == "compute"] == [2]
    assert sum(record.kind == "session" for record in records) == 2
