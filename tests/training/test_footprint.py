"""The estimate of a training's memory against what a real step takes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from archsearch.architecture import Architecture, resolve_architecture
from archsearch.data import Dataset, load_dataset
from archsearch.models import build_network
from archsearch.study.settings import DataSettings, TrainingSettings
from archsearch.training import Compute
from archsearch.training.evaluation import build_fabric
from archsearch.training.footprint import Footprint, estimate_footprint
from archsearch.training.measuring import build_step
from archsearch.training.module import Classifier
from archsearch.training.packing import PackedClassifier
from tests.devices import needs_cuda

COLOUR = DataSettings(name="synthetic", samples=400, image_size=16)
FAMILIES = [
    {"block": "plain", "depth": 14},
    {"block": "residual", "depth": 20, "norm": "group"},
    {"block": "residual", "depth": 8, "preactivation": True, "norm": "layer"},
    {"block": "residual", "depth": 14, "norm": "none", "initialization": "fixup"},
    {"block": "residual", "depth": 29, "bottleneck": True, "preactivation": True},
    {"block": "residual", "depth": 8, "drop_path": 0.3, "shortcut": "dropout"},
    {"block": "highway", "depth": 14},
    {"block": "dense", "depth": 13},
    {"block": "dense", "depth": 22, "bottleneck": True, "compression": 0.5, "norm": "none"},
    {"block": "grouped", "depth": 11},
    {"block": "residual", "layout": "mlp", "depth": 6, "width": 32},
    {"block": "highway", "layout": "mlp", "depth": 10, "width": 50, "norm": "none"},
]


def digits() -> Dataset:
    return load_dataset(DataSettings(name="digits"))


def step_of(
    architecture: Architecture, training: TrainingSettings, dataset: Dataset, compute: Compute
) -> tuple[Any, tuple[torch.Tensor, torch.Tensor], Classifier]:
    """Fabric, batch and module of a real training, packed where the arithmetic says so."""
    fabric = build_fabric(compute.device, compute.precision)
    modules = [
        Classifier(
            build_network(architecture, dataset.input_shape, dataset.num_classes),
            training,
            steps_per_epoch=9,
            channels_last=compute.channels_last,
        ).to(fabric.device)
        for _ in range(compute.pack)
    ]
    module = modules[0] if compute.pack == 1 else PackedClassifier(modules)
    channels, *rest = dataset.input_shape
    images = torch.randn(training.batch_size, channels * compute.pack, *rest, device=fabric.device)
    labels = torch.zeros(training.batch_size, compute.pack, dtype=torch.long, device=fabric.device)
    return fabric, (images, labels if compute.pack > 1 else labels[:, 0]), module.train()


def measure_saved_mib(*what: Any) -> float:
    """Bytes of the storages that autograd saves in a real step, counted once each, without the network's."""
    fabric, batch, module = step_of(*what)
    kept: dict[int, torch.Tensor] = {}

    def keep(saved: torch.Tensor) -> torch.Tensor:
        kept[saved.untyped_storage().data_ptr()] = saved
        return saved

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved), fabric.autocast():
        loss = module.training_step(batch, 0)["loss"]
    own = {t.untyped_storage().data_ptr() for t in (*module.parameters(), *module.buffers())}
    assert loss.requires_grad
    return sum(saved.untyped_storage().nbytes() for at, saved in kept.items() if at not in own) / 2**20


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("recomputing", [False, True])
def test_what_autograd_keeps_is_estimated(precision, recomputing):
    for number, fields in enumerate(FAMILIES):
        architecture = resolve_architecture({"width": 8} | fields)
        training = TrainingSettings(batch_size=(9, 32)[number % 2], gradient_checkpointing=recomputing)
        compute = Compute(precision=precision, channels_last=number % 3 == 0)
        what = (architecture, training, load_dataset(COLOUR), compute)

        assert estimate_footprint(*what).saved_mib == pytest.approx(measure_saved_mib(*what), rel=0.25), (
            fields
        )


@pytest.mark.parametrize("fields", FAMILIES[1::3], ids=str)
def test_a_pack_keeps_as_much_as_its_replicates(fields):
    architecture = resolve_architecture({"width": 8} | fields)
    what = (architecture, TrainingSettings(batch_size=16), load_dataset(COLOUR), Compute(pack=3))

    assert estimate_footprint(*what).saved_mib == pytest.approx(measure_saved_mib(*what), rel=0.25)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("recomputing", [False, True])
@pytest.mark.parametrize(
    "fields",
    [{"depth": 20}, {"block": "dense", "depth": 22}, {"layout": "mlp", "depth": 4, "width": 700}],
    ids=str,
)
def test_the_peak_of_all_tensors_is_estimated(fields, optimizer, recomputing):
    """Against the allocations that torch's own profiler sees in a step."""
    architecture = resolve_architecture({"width": 8} | fields)
    training = TrainingSettings(
        batch_size=32, optimizer=optimizer, learning_rate=1e-3, gradient_checkpointing=recomputing
    )
    dataset, compute = load_dataset(COLOUR), Compute()
    network = build_network(architecture, dataset.input_shape, dataset.num_classes)
    split = dataset.train
    step = build_step(compute, [network], training, (split.images[:32].float(), split.labels[:32]))
    step()

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    events = profiled.profiler.kineto_results.events()
    now = peak = 0
    for event in events:
        now += event.nbytes() if event.name() == "[memory]" else 0
        peak = max(peak, now)

    estimate = estimate_footprint(architecture, training, dataset, compute)
    # weights and the optimizer's state were there before
    there_mib = estimate.weights_mib + estimate.optimizer_mib
    assert estimate.tensors_mib == pytest.approx(there_mib + peak / 2**20, rel=0.25)


def test_the_optimizers_state_is_that_of_torch():
    dataset, architecture = digits(), resolve_architecture({"depth": 8, "width": 8})
    for settings in (
        {"optimizer": "sgd", "momentum": 0.0},
        {"optimizer": "sgd"},
        {"optimizer": "adam"},
        {"optimizer": "adamw"},
    ):
        training = TrainingSettings(**settings)
        module = step_of(architecture, training, dataset, Compute())[2]
        optimizer = module.configure_optimizers()["optimizer"]
        module(torch.randn(2, *dataset.input_shape)).sum().backward()
        optimizer.step()
        tensors = [
            value for state in optimizer.state.values() for value in state.values() if value is not None
        ]
        # step counts are single numbers
        state_mib = sum(4 * tensor.numel() for tensor in tensors if tensor.ndim) / 2**20

        estimate = estimate_footprint(architecture, training, dataset, Compute())

        assert estimate.optimizer_mib == pytest.approx(state_mib)


def test_a_batch_is_no_larger_than_the_training_images():
    dataset, architecture = digits(), resolve_architecture({"depth": 8, "width": 4})
    sizes = (len(dataset.train), 100_000)

    found = [
        estimate_footprint(architecture, TrainingSettings(batch_size=size), dataset, Compute())
        for size in sizes
    ]

    assert found[0] == found[1]


_GROWTH = """
import json, sys, torch
from archsearch.architecture import resolve_architecture
from archsearch.data import load_dataset
from archsearch.models import build_network
from archsearch.study.settings import DataSettings, TrainingSettings
from archsearch.training.measuring import build_step
from archsearch.training.memory import MemoryMeter
from archsearch.training.values import Compute

fields, batch_size, recomputing = json.loads(sys.argv[1])
torch.set_num_threads(1)
dataset = load_dataset(DataSettings(name="synthetic", samples=300, image_size=32))

def train(width, size):
    network = build_network(resolve_architecture(fields | {"width": width}), dataset.input_shape, 10)
    training = TrainingSettings(batch_size=size, gradient_checkpointing=recomputing)
    batch = (dataset.train.images[:size].float(), dataset.train.labels[:size])
    step = build_step(Compute(), [network], training, batch)
    for _ in range(3):
        step()

train(4, 8)  # loads the kernels
meter = MemoryMeter(torch.device("cpu"))
train(fields["width"], batch_size)
print(meter.peak_mib())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of resident memory can be reset on Linux alone")
@pytest.mark.parametrize(
    ("fields", "recomputing"),
    [
        ({"depth": 20, "width": 32}, False),
        ({"depth": 20, "width": 32}, True),
        ({"block": "dense", "depth": 22, "width": 12}, True),
    ],
)
def test_resident_memory_of_a_process_grows_about_as_estimated(fields, recomputing):
    training = TrainingSettings(batch_size=128, gradient_checkpointing=recomputing)
    dataset = load_dataset(DataSettings(name="synthetic", samples=300, image_size=32))
    command = [sys.executable, "-W", "ignore", "-c", _GROWTH, json.dumps([fields, 128, recomputing])]

    grown_mib = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    estimate = estimate_footprint(resolve_architecture(fields), training, dataset, Compute())
    assert estimate.peak_mib == pytest.approx(grown_mib, rel=0.35)


@needs_cuda
@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("recomputing", [False, True])
@pytest.mark.parametrize(
    "fields", [{"depth": 20, "width": 64}, {"block": "dense", "depth": 40, "width": 12}], ids=str
)
def test_the_peak_of_a_gpus_allocator_is_estimated(fields, recomputing, precision):
    architecture, dataset = resolve_architecture(fields), load_dataset(COLOUR)
    # large, so that the workspaces of libraries, which no estimate knows, matter little
    training = TrainingSettings(batch_size=256, gradient_checkpointing=recomputing)
    compute = Compute(precision=precision, channels_last=True, device="cuda")
    network = build_network(architecture, dataset.input_shape, dataset.num_classes)
    images, labels = dataset.train.images[:256].float(), dataset.train.labels[:256]
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    step = build_step(compute, [network], training, (images, labels))
    step()
    torch.cuda.reset_peak_memory_stats()

    step()

    peak_mib = (torch.cuda.max_memory_allocated() - before) / 2**20
    found: Footprint = estimate_footprint(architecture, training, dataset, compute)
    assert found.peak_mib == pytest.approx(peak_mib, rel=0.25)
