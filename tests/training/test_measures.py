"""Measures that a study may ask for."""

import sys
import time

import pytest
import torch
from sklearn.metrics import f1_score, matthews_corrcoef

from archsearch.errors import InputError, StudyError
from archsearch.training import measures
from archsearch.training.measures import build_metrics, compute_metrics, load_metric_plugins, measure_latency
from tests.training.conftest import run_job, small_job

MODULE = """
from torchmetrics.classification import MulticlassMatthewsCorrCoef

def matthews(classes):
    return MulticlassMatthewsCorrCoef(classes)

not_callable = 3
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package of this module whose entry points of archsearch.metrics are these lines."""

    def install(*lines: str) -> None:
        (tmp_path / "metrics_module.py").write_text(MODULE)
        info = tmp_path / "my_metrics-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-metrics\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("\n".join(["[archsearch.metrics]", *lines]))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(measures, "METRICS", dict(measures.METRICS))

    yield install
    sys.modules.pop("metrics_module", None)


def test_macro_f1_is_scikit_learns():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(500, 4, generator=generator)
    labels = torch.randint(0, 4, (500,), generator=generator)

    values = compute_metrics(build_metrics(("val_macro_f1", "latency_ms"), 4), logits, labels)

    assert values == {"val_macro_f1": pytest.approx(f1_score(labels, logits.argmax(1), average="macro"))}


def test_a_metric_forgets_the_epoch_before():
    metrics = build_metrics(("val_macro_f1",), 2)
    labels = torch.tensor([0, 1])
    compute_metrics(metrics, torch.tensor([[0.0, 1.0], [1.0, 0.0]]), labels)

    assert compute_metrics(metrics, torch.tensor([[1.0, 0.0], [0.0, 1.0]]), labels) == {"val_macro_f1": 1.0}


def test_a_plugins_metric_is_reported_with_each_epoch(install):
    install("matthews = metrics_module:matthews")

    reports, result = run_job(small_job(measures=("val_matthews",), plugins=("my-metrics",)))

    assert result.outcome == "complete", result.reason
    assert -1 <= reports[0].metrics["val_matthews"] <= 1
    assert result.metrics["val_matthews"] == reports[-1].metrics["val_matthews"]
    logits, labels = torch.eye(3)[[0, 1, 1, 2]], torch.tensor([0, 1, 2, 2])
    (value,) = compute_metrics(build_metrics(("val_matthews",), 3), logits, labels).values()
    assert value == pytest.approx(matthews_corrcoef([0, 1, 2, 2], [0, 1, 1, 2]))


def test_an_unknown_metric_is_an_error():
    with pytest.raises(
        StudyError, match=r"objectives: must be one of val_macro_f1, latency_ms or latency_onnx_ms, got"
    ):
        build_metrics(("val_kappa",), 2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("matthews = metrics_module:not_callable", "must be callable with a number of classes"),
        ("macro_f1 = metrics_module:matthews", "must bring metrics of new names, macro_f1 exists"),
        ("matthews = metrics_module:nothing", "must lead to something that can be imported"),
    ],
)
def test_a_metric_that_cannot_be_used_is_an_error(install, line, message):
    install(line)

    with pytest.raises(InputError, match=message):
        load_metric_plugins(["my_metrics"])


def test_latency_is_the_median_of_one_image():
    sizes = []

    def forward(image):
        sizes.append(len(image))
        # One slow run in ten does not move a median.
        time.sleep(0.02 if len(sizes) % 10 == 0 else 0.001)
        return torch.zeros(1, 2)

    latency_ms = measure_latency(forward, torch.zeros(1, 3))

    assert 1 <= latency_ms < 10
    assert set(sizes) == {1}
    assert len(sizes) >= 30
