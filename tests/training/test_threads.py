"""Threads of a training, chosen from measured steps."""

import pytest
import torch

from archsearch.architecture import resolve_architecture
from archsearch.data import load_dataset
from archsearch.study.settings import DataSettings, TrainingSettings
from archsearch.training import threads
from archsearch.training.measuring import Timing
from archsearch.training.threads import fewest_that_gain, share_cores
from archsearch.training.values import Compute


@pytest.fixture(autouse=True)
def _threads_are_put_back():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def share(counts, *, cores=8, leave_idle=False, **changes):
    return share_cores(
        Compute(reason="because"),
        [resolve_architecture({"depth": 8, "width": 4} | changes)],
        TrainingSettings(batch_size=16),
        load_dataset(DataSettings()),
        cores=cores,
        counts=counts,
        leave_idle=leave_idle,
    )


def pretend(monkeypatch, alone_ms, together_ms=None):
    """Let steps take so long, by number of threads; returns what was timed with every core busy."""
    asked = []

    def timings(pair, steps, *, limit_s):
        return [Timing(compute, alone_ms[compute.threads] / 1000) for compute in pair]

    def rates(_, count, workers):
        asked.append((count, workers))
        return [1000 / together_ms[count] / workers] * workers

    monkeypatch.setattr(threads, "time_in_turns", timings)
    monkeypatch.setattr(threads._Probe, "_rates", rates)
    return asked


@pytest.mark.parametrize(
    ("milliseconds", "chosen"),
    [
        ({1: 10, 2: 9.2}, 1),
        ({1: 10, 2: 9.0}, 2),
        ({1: 10, 2: 6, 4: 5.8}, 2),
        ({1: 10, 2: 6, 4: 4}, 4),
        ({2: 10, 4: 20}, 2),
    ],
)
def test_more_threads_must_each_time_save_a_tenth(milliseconds, chosen):
    assert fewest_that_gain(milliseconds) == chosen


def test_a_small_network_takes_one_thread_and_the_busy_machine_is_not_measured(monkeypatch):
    asked = pretend(monkeypatch, {1: 3.0, 2: 2.9, 4: 1.0, 8: 0.5})

    chosen = share([1, 2, 4, 8])

    assert chosen.threads == 1
    # two gained nothing, so four were not tried
    assert chosen.reason == (
        "because; threads a worker: 1 (residual-8 w4 pad, a step alone on 1: 3.0 ms, 2: 2.9 ms)"
    )
    assert not asked


def test_fewer_workers_must_make_the_whole_machine_faster(monkeypatch):
    alone = {1: 100, 2: 60, 4: 40, 8: 30}
    asked = pretend(monkeypatch, alone, {1: 20, 2: 19, 4: 21, 8: 30})
    free = share([1, 2, 4, 8])
    pretend(monkeypatch, alone, {1: 30, 2: 20, 4: 15, 8: 30})
    crowded = share([1, 2, 4, 8])

    assert asked == [(1, 8), (2, 4), (4, 2), (8, 1)]
    assert (free.threads, crowded.threads) == (1, 4)
    assert free.reason.endswith(
        "a step when 8 cores are busy on 1: 20.0 ms, 2: 19.0 ms, 4: 21.0 ms, 8: 30.0 ms)"
    )


def test_what_gains_least_alone_is_not_timed_on_the_busy_machine(monkeypatch):
    # so many workers are allowed to slow each other down by 1, 1.5, 2, 2.5
    asked = pretend(monkeypatch, {1: 100, 2: 80, 4: 49, 8: 35}, {1: 20, 4: 19})
    chosen = share([1, 2, 4, 8])
    pretend(monkeypatch, {1: 17.5, 2: 14.9})
    at_once = share([1, 2])

    assert asked == [(1, 8), (4, 2)]
    assert (chosen.threads, at_once.threads) == (1, 1)
    assert at_once.reason.endswith("a step alone on 1: 17.5 ms, 2: 14.9 ms, too little for fewer workers)")


def test_cores_that_stay_idle_otherwise_are_taken_where_a_step_gains(monkeypatch):
    asked = pretend(monkeypatch, {1: 100, 2: 60, 4: 50})

    assert share([1, 2, 4], leave_idle=True).threads == 4
    assert not asked


def test_without_a_choice_nothing_is_measured(monkeypatch):
    monkeypatch.setattr(threads, "time_in_turns", None)

    assert share([2]) == Compute(threads=2, reason="because")


def test_measuring_is_real_and_leaves_the_random_numbers_alone(monkeypatch):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    time_alone = threads._Probe.time_alone
    gained = []

    def gains(probe, counts):
        gained.append(time_alone(probe, counts))
        return {1: 1.0, 2: 0.5}

    # whatever the two cores of this machine gain
    monkeypatch.setattr(threads._Probe, "time_alone", gains)
    monkeypatch.setattr(threads, "fewest_that_gain", max)

    chosen = share([1, 2], cores=2)

    assert gained[0].keys() == {1, 2}
    assert torch.equal(torch.rand(3), expected)
    assert chosen.threads == 2
    assert "a step when 2 cores are busy on 1: " in chosen.reason


def test_a_worker_that_fails_ends_the_measurement_of_all_with_its_reason(monkeypatch):
    built = []

    def fails(*_):
        built.append(1)
        if len(built) == 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return lambda: None

    monkeypatch.setattr(threads, "build_step", fails)
    monkeypatch.setattr(threads._Probe, "time_alone", lambda *_: {1: 1.0, 2: 0.5})

    chosen = share([1, 2], cores=2)

    assert chosen.threads == 1
    assert "residual-8 w4 pad cannot be measured" in chosen.reason


def test_a_large_network_is_timed_with_few_images():
    # 5.2 billion multiply-accumulates an image: a batch would take half a minute
    wide = resolve_architecture({"depth": 26, "width": 160, "stem_width": 160})

    def images(architecture):
        from archsearch.training.measuring import sample_batch

        dataset = load_dataset(DataSettings(name="synthetic", samples=200, image_size=32))
        return len(sample_batch(architecture, TrainingSettings(), dataset, "cpu")[1])

    assert images(wide) == 2
    assert images(resolve_architecture({"depth": 8})) == 64
