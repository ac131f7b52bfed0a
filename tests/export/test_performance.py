"""What metrics.json says, against scikit-learn and torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, log_loss
from torchmetrics.classification import MulticlassCalibrationError

from archsearch.export.performance import BINS, measure_performance

CLASSES = ("a", "b", "c", "never")


@pytest.fixture
def answers() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    labels = torch.randint(0, 3, (400,))
    logits = torch.randn(400, 4) + 2 * torch.nn.functional.one_hot(labels, 4)
    return logits, labels


def test_loss_and_confusion_are_those_of_scikit_learn(answers: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = answers
    found = measure_performance(logits, labels, CLASSES)
    probabilities = logits.double().softmax(1).numpy()

    assert found["negative_log_likelihood"] == pytest.approx(log_loss(labels, probabilities, labels=range(4)))
    assert found["confusion"] == confusion_matrix(labels, logits.argmax(1), labels=range(4)).tolist()
    one_hot = np.eye(4)[labels.numpy()]
    assert found["brier_score"] == pytest.approx(np.mean(((probabilities - one_hot) ** 2).sum(1)))


def test_the_calibration_error_is_that_of_torchmetrics(answers: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = answers
    oracle = MulticlassCalibrationError(4, n_bins=BINS, norm="l1")

    found = measure_performance(logits, labels, CLASSES)["calibration"]

    assert found["expected_calibration_error"] == pytest.approx(
        float(oracle(logits.softmax(1), labels)), abs=1e-6
    )


def test_accuracy_is_counted_by_class_with_wilsons_interval(
    answers: tuple[torch.Tensor, torch.Tensor],
) -> None:
    logits, labels = answers
    found = measure_performance(logits, labels, CLASSES)

    right = (logits.argmax(1) == labels).numpy()
    assert found["accuracy"] == pytest.approx(right.mean())
    assert found["error"] == pytest.approx(1 - right.mean())
    for row, number in zip(found["per_class"][:3], range(3), strict=True):
        of_class = right[labels.numpy() == number]
        assert (row["images"], row["accuracy"]) == (len(of_class), pytest.approx(of_class.mean()))
        assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]
    assert found["per_class"][3] == {
        "class": "never",
        "images": 0,
        "accuracy": None,
        "accuracy_low": None,
        "accuracy_high": None,
    }


def test_wilsons_interval_of_a_known_case() -> None:
    # 9 right of 10: Wilson (1927), as tabulated: 0.596 to 0.982
    logits = torch.eye(2)[torch.zeros(10, dtype=torch.long)]
    labels = torch.tensor([0] * 9 + [1])

    found = measure_performance(logits, labels, ("x", "y"))

    assert found["accuracy_low"] == pytest.approx(0.5958, abs=1e-4)
    assert found["accuracy_high"] == pytest.approx(0.9821, abs=1e-4)
