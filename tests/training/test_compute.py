"""The choice of arithmetic for a study."""

import pytest
import torch

from archsearch.architecture import resolve_architecture
from archsearch.data import load_dataset
from archsearch.errors import ArchsearchError, PackingError
from archsearch.models import build_network
from archsearch.study.settings import DataSettings, TrainingSettings
from archsearch.training import compute, measuring
from archsearch.training.compute import choose_compute, choose_pack
from archsearch.training.evaluation import settle_arithmetic
from archsearch.training.measuring import Timing, build_step, sample_batch
from archsearch.training.step import TrainingStep
from archsearch.training.values import Compute
from tests.devices import needs_cuda


def choose(precision="auto", depths=(8,), data=None, pack=1, **changes):
    return choose_compute(
        [resolve_architecture({"depth": depth, "width": 4} | changes) for depth in depths],
        TrainingSettings(precision=precision, batch_size=32),
        load_dataset(data or DataSettings()),
        device="cpu",
        threads=1,
        pack=pack,
    )


def pretend(monkeypatch, **milliseconds):
    """Let steps take so long: float32 and bf16, both with channels last."""

    def timings(candidates, _):
        assert all(candidate.channels_last for candidate in candidates)
        names = {"32": "float32", "bf16": "bf16"}
        return [Timing(c, milliseconds[names[c.precision]] / 1000) for c in candidates]

    monkeypatch.setattr(compute, "time_in_turns", timings)
    monkeypatch.setattr(compute, "computes_bf16", lambda _: True)


@pytest.fixture
def bf16_is_there(monkeypatch):
    """Each processor computes it, though some by emulation: there is something to choose from."""
    monkeypatch.setattr(compute, "computes_bf16", lambda _: True)


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_precision_that_the_study_names_is_taken_unmeasured(monkeypatch, precision):
    monkeypatch.setattr(compute, "time_in_turns", None)

    chosen = choose(precision)

    assert (chosen.precision, chosen.channels_last) == (precision, True)
    last = "; channels last, which on a CPU was at least as fast for every family that was tried"
    assert chosen.reason == f"precision: {precision} is what the study asks for{last * (precision == '32')}"


@pytest.mark.parametrize(("bf16_ms", "expected"), [(9.3, "32"), (9, "bf16"), (4, "bf16"), (30, "32")])
def test_what_is_a_tenth_faster_than_something_simpler_is_chosen(monkeypatch, bf16_ms, expected):
    pretend(monkeypatch, float32=10, bf16=bf16_ms)

    chosen = choose()

    assert (chosen.precision, chosen.channels_last) == (expected, True)
    assert "32, channels last 10.0 ms" in chosen.reason
    assert f"bf16, channels last {bf16_ms:.1f} ms" in chosen.reason


@pytest.mark.parametrize(
    ("depths", "measured"), [((8, 14, 56), 56), ((8, 14, 20, 26), 20), ((8, 8, 8, 8, 14), 8)]
)
def test_the_network_in_the_middle_of_the_compute_is_measured(monkeypatch, depths, measured):
    pretend(monkeypatch, float32=1, bf16=1)

    assert choose(depths=depths).reason.startswith(f"residual-{measured} w4 pad, a step of 32 images")


@pytest.mark.usefixtures("bf16_is_there")
def test_what_is_trained_side_by_side_is_measured_so():
    assert choose(pack=3).reason.startswith("residual-8 w4 pad, 3 packed, a step of 32 images")


@pytest.mark.usefixtures("bf16_is_there")
def test_what_cannot_be_packed_is_measured_alone(monkeypatch):
    def refuse(_):
        raise PackingError("it has a layer of its own")

    monkeypatch.setattr(measuring, "PackedClassifier", refuse)

    assert choose(pack=3).reason.startswith("residual-8 w4 pad, a step of 32 images")


@pytest.mark.usefixtures("bf16_is_there")
def test_measuring_is_real_quick_and_leaves_the_random_numbers_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)

    chosen = choose()

    assert torch.equal(torch.rand(3), expected)
    assert chosen.threads == 1
    assert chosen.device == "cpu"
    assert "32, channels last" in chosen.reason
    assert "bf16, channels last" in chosen.reason


def test_without_hardware_for_bf16_it_is_not_measured(monkeypatch):
    monkeypatch.setattr(compute, "computes_bf16", lambda _: False)

    assert "bf16" not in choose().reason


@pytest.mark.usefixtures("bf16_is_there")
def test_a_network_that_cannot_be_trained_here_leaves_float32_and_says_why(monkeypatch):
    def out_of_memory(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(compute, "time_in_turns", out_of_memory)

    assert choose() == Compute(
        channels_last=True, reason="float32, as residual-8 w4 pad cannot be measured: out of memory"
    )


def choose_packing(monkeypatch, *, one_ms, packed_ms, replicates=3, fitting=99):
    seen = []

    def timings(candidates, steps):
        for step in steps:
            step()
        seen.append(len(steps))
        return [Timing(candidates[0], ms / 1000) for ms in (one_ms, packed_ms)]

    monkeypatch.setattr(compute, "time_in_turns", timings)
    return choose_pack(
        Compute(reason="because"),
        [resolve_architecture({"depth": 8, "width": 4})],
        TrainingSettings(batch_size=32),
        load_dataset(DataSettings()),
        replicates=replicates,
        fitting=fitting,
    )


@pytest.mark.parametrize(("packed_ms", "pack"), [(20, 3), (27, 3), (28, 1), (40, 1)])
def test_replicates_are_packed_where_that_saves_a_tenth(monkeypatch, packed_ms, pack):
    chosen = choose_packing(monkeypatch, one_ms=10, packed_ms=packed_ms)

    how = "up to 3 replicates packed" if pack == 3 else "replicates one by one"
    assert chosen.pack == pack
    assert chosen.reason == (
        f"because; {how} (residual-8 w4 pad: 3 packed {packed_ms}.0 ms, one alone 10.0 ms)"
    )


def test_a_single_replicate_is_not_measured(monkeypatch):
    chosen = choose_packing(monkeypatch, one_ms=10, packed_ms=1, replicates=1)
    assert (chosen.pack, chosen.reason) == (1, "because")


def test_a_pack_takes_no_more_than_the_memory(monkeypatch):
    some = choose_packing(monkeypatch, one_ms=10, packed_ms=1, replicates=5, fitting=2)
    none = choose_packing(monkeypatch, one_ms=10, packed_ms=1, fitting=1)

    assert some.pack == 2
    assert none.pack == 1
    assert none.reason.endswith("for two of the largest network exceed the memory")


def test_what_cannot_be_packed_is_trained_one_by_one_and_says_so(monkeypatch):
    monkeypatch.setattr(compute, "build_network", lambda *_: torch.nn.Bilinear(2, 2, 2))
    chosen = choose_packing(monkeypatch, one_ms=10, packed_ms=1)
    assert chosen.pack == 1
    assert chosen.reason == (
        "because; replicates one by one, as residual-8 w4 pad cannot be packed: "
        "network is a Bilinear, which is not known to work packed"
    )


def test_a_journal_of_before_there_were_packs_trains_one_by_one():
    fields = {"precision": "32", "channels_last": False, "threads": 1, "device": "cpu", "reason": ""}
    assert Compute(**fields).pack == 1


def choose_on_cuda(monkeypatch, milliseconds, *, failing=(), precision="auto", may_capture=True):
    """Choose on a GPU that is none; `milliseconds` of eager and captured steps by arithmetic."""

    def build_step(candidate, networks, training, batch):
        def step():
            if name_of(candidate) in failing:
                raise RuntimeError("out of memory")

        return step

    def name_of(candidate):
        layout = " last" if candidate.channels_last else ""
        return f"{candidate.precision}{layout}{' captured' if candidate.captured else ''}"

    def timings(candidates, steps):
        for step in steps:
            step()
        return [Timing(candidate, milliseconds[name_of(candidate)] / 1000) for candidate in candidates]

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(compute, "computes_bf16", lambda _: True)
    monkeypatch.setattr(compute, "build_step", build_step)
    monkeypatch.setattr(compute, "time_in_turns", timings)
    return choose_compute(
        [resolve_architecture({"depth": 8, "width": 4})],
        TrainingSettings(precision=precision, batch_size=100),
        load_dataset(DataSettings()),
        device="cuda",
        threads=1,
        may_capture=may_capture,
    )


BOUND_BY_LAUNCHES = {
    "32": 10,
    "32 captured": 4,
    "32 last": 10,
    "32 last captured": 3.9,
    "bf16 last": 11,
    "bf16 last captured": 2,
}


def test_on_cuda_each_arithmetic_is_measured_eager_and_captured(monkeypatch):
    chosen = choose_on_cuda(monkeypatch, BOUND_BY_LAUNCHES)

    assert (chosen.precision, chosen.channels_last, chosen.captured) == ("bf16", True, True)
    # the batch is the study's own there
    assert chosen.reason == (
        "residual-8 w4 pad, a step of 100 images, median: 32 10.0 ms; 32, captured 4.0 ms; "
        "32, channels last 10.0 ms; 32, channels last, captured 3.9 ms; "
        "bf16, channels last 11.0 ms; bf16, channels last, captured 2.0 ms"
    )


def test_what_cannot_be_captured_stays_eager_and_says_why(monkeypatch):
    captured = [name for name in BOUND_BY_LAUNCHES if "captured" in name]

    chosen = choose_on_cuda(monkeypatch, BOUND_BY_LAUNCHES, failing=captured)

    assert (chosen.precision, chosen.captured) == ("32", False)
    assert chosen.reason.count("captured failed: out of memory") == 3


def test_where_the_simplest_fails_nothing_is_chosen(monkeypatch):
    chosen = choose_on_cuda(monkeypatch, BOUND_BY_LAUNCHES, failing=["32"])

    assert (chosen.precision, chosen.captured) == ("32", False)
    assert chosen.reason == "float32, as residual-8 w4 pad cannot be measured: out of memory"


def test_a_step_that_falls_back_is_not_timed_as_captured(monkeypatch):
    monkeypatch.setattr(TrainingStep, "note", "steps not captured: it waits")
    architecture, dataset = resolve_architecture({"depth": 8, "width": 4}), load_dataset(DataSettings())
    batch = sample_batch(architecture, TrainingSettings(batch_size=8), dataset, "cpu")
    network = build_network(architecture, dataset.input_shape, dataset.num_classes)

    step = build_step(Compute(), [network], TrainingSettings(), batch)

    with pytest.raises(ArchsearchError, match="steps not captured: it waits"):
        step()


@pytest.mark.parametrize(("eager", "captured"), [(10, True), (4.1, False)])
def test_on_cuda_a_named_precision_is_measured_for_capturing_alone(monkeypatch, eager, captured):
    milliseconds = {"bf16 last": eager, "bf16 last captured": 4}

    chosen = choose_on_cuda(monkeypatch, milliseconds, precision="bf16")

    assert (chosen.precision, chosen.channels_last, chosen.captured) == ("bf16", True, captured)
    assert chosen.reason.startswith("precision: bf16 is what the study asks for; residual-8 w4 pad, a step")


def test_several_devices_that_train_together_are_not_captured(monkeypatch):
    chosen = choose_on_cuda(monkeypatch, BOUND_BY_LAUNCHES, may_capture=False)

    assert not chosen.captured
    assert "captured" not in chosen.reason


def test_a_journal_of_before_there_were_captured_steps_trains_eagerly():
    fields = {"precision": "bf16", "channels_last": True, "threads": 1, "device": "cuda", "reason": ""}
    assert (Compute(**fields).captured, Compute(**fields).workers_per_device) == (False, 1)


def test_float32_is_float32_on_cuda():
    # as torch begins
    torch.backends.cudnn.conv.fp32_precision = "tf32"

    settle_arithmetic("cuda")

    assert torch.backends.cudnn.conv.fp32_precision == "ieee"
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cudnn.benchmark


@needs_cuda
def test_on_a_gpu_measuring_is_real():
    chosen = choose_compute(
        [resolve_architecture({"depth": 20, "width": 8})],
        TrainingSettings(batch_size=64),
        load_dataset(DataSettings()),
        device="cuda",
        threads=1,
    )

    assert (chosen.device, "failed" in chosen.reason) == ("cuda", False)
    assert chosen.reason.count("captured") == 2 + compute.computes_bf16("cuda")
