"""How many workers share a GPU."""

from types import SimpleNamespace

import pytest
import torch

from archsearch.architecture import resolve_architecture
from archsearch.data import load_dataset
from archsearch.errors import ArchsearchError
from archsearch.study.settings import DataSettings, TrainingSettings
from archsearch.training import occupancy
from archsearch.training.memory import CONTEXT_MIB, limit_memory, share_frac
from archsearch.training.occupancy import Occupancy, choose_sharing, sum_kernels_s
from archsearch.training.values import Compute
from tests.devices import needs_cuda

SMALL, LARGE = (resolve_architecture({"depth": depth, "width": 4}) for depth in (8, 56))


def choose(monkeypatch, *, busy_frac=0.3, need_mib=2000.0, free_mib=80_000.0, cores=16):
    """Choose with these measurements, which may be errors."""
    measured = []

    def answer(value):
        def measure(compute, architecture, *_):
            measured.append(architecture)
            if isinstance(value, Exception):
                raise value
            return value

        return measure

    monkeypatch.setattr(occupancy, "measure_busy_frac", answer(busy_frac))
    monkeypatch.setattr(occupancy, "measure_need_mib", answer(need_mib))
    monkeypatch.setattr(occupancy, "measure_free_mib", lambda _: free_mib)
    chosen = choose_sharing(
        Compute(device="cuda", reason="because"),
        [*[SMALL] * 20, LARGE],
        LARGE,
        TrainingSettings(),
        load_dataset(DataSettings()),
        cores=cores,
    )
    return chosen, measured


@pytest.mark.parametrize(
    ("measured", "workers"),
    [
        ({"busy_frac": 0.3}, 3),
        ({"busy_frac": 0.6}, 2),
        ({"busy_frac": 0.7}, 1),
        ({"busy_frac": 1.0}, 1),
        ({"busy_frac": 0.1, "need_mib": 20_000.0}, 4),
        ({"busy_frac": 0.1, "need_mib": 90_000.0}, 1),
        ({"busy_frac": 0.1, "cores": 6}, 6),
        ({"busy_frac": 0.1, "cores": 0}, 1),
    ],
)
def test_workers_fill_the_time_of_a_gpu_as_far_as_memory_and_cores_go(monkeypatch, measured, workers):
    chosen, networks = choose(monkeypatch, **measured)

    assert chosen.workers_per_device == workers
    # the typical one for the time, the largest one for the memory
    assert networks == [SMALL, LARGE]


def test_the_choice_is_explained(monkeypatch):
    chosen, _ = choose(monkeypatch)

    assert chosen.reason == (
        "because; workers a GPU: 3 (one keeps it busy for 30% of the time and takes at most "
        "2,000 of 80,000 MiB; 16 cores)"
    )


@pytest.mark.parametrize("what", ["busy_frac", "need_mib"])
def test_without_a_measurement_there_is_one_worker_and_the_reason(monkeypatch, what):
    chosen, _ = choose(monkeypatch, **{what: ArchsearchError("the profiler saw no kernels")})

    assert chosen.workers_per_device == 1
    assert chosen.reason == (
        "because; one worker a GPU, as its occupancy cannot be measured: the profiler saw no kernels"
    )


def event(device, microseconds, *, frames=False):
    return SimpleNamespace(
        device_type=SimpleNamespace(name=device),
        time_range=SimpleNamespace(elapsed_us=lambda: microseconds),
        is_user_annotation=frames,
    )


def test_the_gpu_is_busy_with_its_kernels_alone():
    events = [
        event("CUDA", 250.0),
        event("CUDA", 750.0),
        event("CUDA", 5000.0, frames=True),
        event("CPU", 9.0),
    ]

    assert sum_kernels_s(events) == pytest.approx(0.001)


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_parts_of_the_memory_leave_room_for_every_process(workers):
    total_mib = 81_000.0

    taken_mib = workers * share_frac(workers, total_mib) * total_mib

    # every worker's context, and the conductor's
    assert taken_mib + (workers + 1) * CONTEXT_MIB == pytest.approx(total_mib)


def test_a_worker_keeps_its_tensors_to_its_part(monkeypatch):
    limits = []
    total = SimpleNamespace(total_memory=80_000 * 2**20)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: total)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", limits.append)

    limit_memory(4)

    assert limits == [pytest.approx((80_000 - 5 * CONTEXT_MIB) / 4 / 80_000)]


def test_a_worker_that_fits_when_it_is_counted_fits_its_part():
    total_mib, need_mib = 24_000.0, 3_300.0
    free_mib = total_mib - CONTEXT_MIB

    workers = Occupancy(0.05, need_mib, free_mib).count_workers(cores=32)

    assert workers == 7
    assert share_frac(workers, total_mib) * total_mib >= need_mib - CONTEXT_MIB


@needs_cuda
@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize("pack", [1, 3])
def test_on_a_gpu_measuring_is_real(captured, pack):
    chosen = choose_sharing(
        Compute(device="cuda", captured=captured, pack=pack),
        [SMALL],
        SMALL,
        TrainingSettings(batch_size=64),
        load_dataset(DataSettings()),
        cores=4,
    )

    assert "workers a GPU: " in chosen.reason
    assert 1 <= chosen.workers_per_device <= 4
