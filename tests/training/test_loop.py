"""One replicate from job to result, whatever comes of it."""

import gc
import math
import pickle
import weakref
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torchmetrics.functional.classification import multiclass_accuracy

from archsearch.data import load_dataset
from archsearch.data.module import ImageDataModule
from archsearch.errors import DataError, RunFolderError
from archsearch.models import build_network
from archsearch.training import Compute, group, loop
from archsearch.training.evaluation import FinalEvaluator, load_network
from archsearch.training.module import Classifier
from tests.training.conftest import figures, run_job, small_job


def test_a_training_reports_each_epoch_and_ends_with_its_measures():
    reports, result = run_job(small_job(measures=("val_macro_f1", "latency_ms")))

    assert [report.epoch for report in reports] == [0, 1]
    assert set(reports[0].metrics) == {
        "train_loss",
        "train_accuracy",
        "val_loss",
        "val_accuracy",
        "val_error",
        "val_macro_f1",
        "images_per_s",
        "gradient_ratio",
    }
    assert (result.trial, result.seed, result.outcome, result.reason, result.epochs) == (
        3,
        5,
        "complete",
        "",
        2,
    )
    assert set(result.metrics) == {
        "train_error",
        "train_loss_eval",
        "val_loss",
        "val_accuracy",
        "val_error",
        "val_macro_f1",
        "train_time_s",
        "peak_memory_mib",
        "images_per_s",
        "latency_ms",
    }
    assert result.metrics["val_loss"] == reports[-1].metrics["val_loss"]
    assert result.metrics["val_error"] == 1 - result.metrics["val_accuracy"]
    assert result.metrics["latency_ms"] > 0


def test_gradient_checkpointing_trains_to_the_same_bits():
    job = small_job(architecture={"depth": 8, "width": 4, "drop_path": 0.5})
    again = replace(job, training=job.training.model_copy(update={"gradient_checkpointing": True}))

    assert figures(*run_job(again)) == figures(*run_job(job))


def test_deterministic_trains_to_the_same_bits_on_a_cpu():
    job = small_job(architecture={"depth": 8, "width": 4, "drop_path": 0.5})
    strict = replace(job, training=job.training.model_copy(update={"deterministic": True}))

    assert figures(*run_job(strict)) == figures(*run_job(job))
    assert not torch.are_deterministic_algorithms_enabled()


def test_deterministic_refuses_an_operation_that_is_not_and_the_next_training_may_use_it(monkeypatch):
    step = Classifier.training_step

    def undetermined(module, batch, number):
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
        return step(module, batch, number)

    monkeypatch.setattr(Classifier, "training_step", undetermined)
    _, refused = run_job(small_job(training={"deterministic": True}))
    _, usual = run_job(small_job())

    assert (refused.outcome, usual.outcome) == ("failed", "complete")
    assert "put_ does not have a deterministic implementation" in refused.reason


def test_one_step_in_sixteen_is_watched_and_the_first_as_initialised():
    # five steps an epoch
    reports, _ = run_job(small_job(training={"epochs": 6}))

    assert [bool(report.profile) for report in reports] == [True, False, False, False, True, False]
    assert ["gradient_ratio" in report.metrics for report in reports] == [bool(r.profile) for r in reports]
    assert {len(values) for values in reports[0].profile.values()} == {6}
    # the first weights are those of the initialisation, whatever the learning rate
    other, _ = run_job(small_job(training={"epochs": 6, "learning_rate": 1e-4}))
    for name in ("gradient_norm", "response_std"):
        assert other[0].profile[name] == reports[0].profile[name]
        assert other[4].profile[name] != reports[4].profile[name]


def test_watching_a_step_changes_no_bit_of_the_training(monkeypatch):
    watched, _ = run_job(small_job())
    monkeypatch.setattr(group.Group, "_is_watched", lambda *_: False)
    unwatched, _ = run_job(small_job())

    assert [report.metrics["val_loss"] for report in watched] == [r.metrics["val_loss"] for r in unwatched]


def test_digits_are_learned():
    _, result = run_job(
        small_job(training={"epochs": 10}, data={"train_limit": 0}, architecture={"width": 8})
    )

    assert result.metrics["val_error"] < 0.05
    assert result.metrics["train_error"] < 0.02


@pytest.mark.parametrize("architecture", [{}, {"drop_path": 0.5}, {"shortcut": "dropout"}])
def test_the_same_job_twice_gives_the_same_bits(architecture):
    job = small_job(architecture=architecture, training={"augmentation": "crop_flip_cutout_erase"})
    first = figures(*run_job(job))
    torch.manual_seed(99)

    assert figures(*run_job(pickle.loads(pickle.dumps(job)))) == first
    assert figures(*run_job(small_job(architecture=architecture, seed=6))) != first


def test_trainings_that_take_turns_do_not_disturb_each_other():
    job = small_job(architecture={"drop_path": 0.5})
    alone = [report.metrics["train_loss"] for report in run_job(job)[0]]

    one = loop.train(job)
    first = next(one)
    other = loop.train(small_job(seed=9))
    next(other)
    second = next(one)

    assert [first.metrics["train_loss"], second.metrics["train_loss"]] == alone


def test_a_training_that_is_asked_to_stop_stops():
    reports, result = run_job(small_job(training={"epochs": 5}), stop_after=2)

    assert len(reports) == 2
    assert (result.outcome, result.reason, result.epochs) == ("stopped", "asked to stop after 2 epochs", 2)
    assert result.metrics["val_loss"] == reports[-1].metrics["val_loss"]


def test_a_wish_to_stop_that_comes_after_the_last_epoch_changes_nothing():
    reports, result = run_job(small_job(training={"epochs": 2}), stop_after=2)

    assert (len(reports), result.outcome) == (2, "complete")
    assert result.metrics["val_loss"] == run_job(small_job(training={"epochs": 2}))[1].metrics["val_loss"]


def test_a_loss_that_is_not_a_number_is_a_failure():
    reports, result = run_job(
        small_job(architecture={"norm": "none"}, training={"learning_rate": 1e6, "schedule": "constant"})
    )

    assert reports == []
    assert (result.outcome, result.reason, result.epochs) == ("failed", "not a number in epoch 1", 0)
    # The gradients before the first step may say why.
    assert list(result.metrics) == ["gradient_ratio"]
    assert result.metrics["gradient_ratio"] > 0


def test_an_error_is_a_failure_with_its_place(monkeypatch):
    class Broken(nn.Linear):
        def forward(self, images):
            raise ZeroDivisionError("no such luck")

    monkeypatch.setattr(group, "build_network", lambda *_: Broken(2, 2))

    _, result = run_job(small_job())

    assert result.outcome == "failed"
    assert result.reason.startswith("ZeroDivisionError: no such luck\n")
    assert "test_loop.py" in result.reason
    assert 'raise ZeroDivisionError("no such luck")' in result.reason


def test_an_error_of_ours_is_a_failure_in_its_own_words():
    _, result = run_job(small_job(data={"name": "arrays", "root": "/nowhere.npz"}))

    assert result.outcome == "failed"
    assert result.reason.startswith("data.root: must name an .npz file, got '/nowhere.npz'.")


def test_the_training_error_is_taken_in_evaluation_mode_without_augmentation(tmp_path):
    path = tmp_path / "weights.safetensors"
    job = small_job(
        weights_path=str(path), architecture={"drop_path": 0.9}, training={"augmentation": "crop_flip_cutout"}
    )
    _, result = run_job(job)

    dataset = load_dataset(job.data)
    network = load_network(job.architecture, dataset.input_shape, dataset.num_classes, weights_path=str(path))
    assert not network.training
    images = (dataset.train.images.float() / 255 - dataset.mean[0]) / dataset.std[0]
    with torch.no_grad():
        logits = network(images)
    accuracy = multiclass_accuracy(logits, dataset.train.labels, 10, average="micro")
    assert result.metrics["train_error"] == pytest.approx(1 - accuracy.item(), abs=1e-6)
    assert result.metrics["train_loss_eval"] == pytest.approx(
        nn.functional.cross_entropy(logits, dataset.train.labels).item(), rel=1e-4
    )


def test_weights_are_those_of_the_end_and_the_test_split_is_read_with_them(tmp_path):
    path = tmp_path / "new" / "weights.safetensors"
    job = small_job(weights_path=str(path))
    _, result = run_job(job)

    assert [file.name for file in path.parent.iterdir()] == ["weights.safetensors"]
    dataset = load_dataset(job.data)
    network = load_network(job.architecture, dataset.input_shape, dataset.num_classes, weights_path=str(path))
    data = ImageDataModule(dataset, job.training, job.seed)
    for split, measured in (("val", result.metrics), ("test", FinalEvaluator().evaluate(job, path))):
        loader = getattr(data, f"{split}_dataloader")()
        with torch.no_grad():
            logits = torch.cat([network(images) for images, _ in loader])
        labels = torch.cat([labels for _, labels in loader])
        accuracy = multiclass_accuracy(logits, labels, 10, average="micro").item()
        assert measured[f"{split}_error"] == pytest.approx(1 - accuracy, abs=1e-6)
        assert measured["latency_ms"] > 0 if split == "test" else "latency_ms" not in measured
        assert measured[f"{split}_loss"] == pytest.approx(
            nn.functional.cross_entropy(logits, labels).item(), rel=1e-5
        )


def test_trainings_evaluated_one_after_the_other_are_each_evaluated_as_if_alone(tmp_path):
    jobs = [
        small_job(seed=0, weights_path=str(tmp_path / "0")),
        small_job(seed=1, weights_path=str(tmp_path / "1")),
        small_job(architecture={"depth": 14}, weights_path=str(tmp_path / "deep")),
        small_job(seed=2, weights_path=str(tmp_path / "2")),
    ]
    for job in jobs:
        run_job(job)

    evaluator = FinalEvaluator()
    found = [evaluator.evaluate(job, job.weights_path) for job in jobs]

    latencies = [one.pop("latency_ms") for one in found]
    alone = [FinalEvaluator().evaluate(job, job.weights_path) for job in jobs]
    assert [{**one, "latency_ms": 0} for one in found] == [{**one, "latency_ms": 0} for one in alone]
    assert len({one["test_loss"] for one in found}) == 4
    # one architecture, one latency
    assert latencies[0] == latencies[1] == latencies[3] != latencies[2]


def test_no_weights_are_left_by_a_training_that_did_not_finish(tmp_path):
    path = tmp_path / "weights.safetensors"

    run_job(small_job(weights_path=str(path)), stop_after=1)

    assert list(tmp_path.iterdir()) == []


def test_weights_that_cannot_be_loaded_are_an_error(tmp_path):
    path = tmp_path / "weights.safetensors"
    run_job(small_job(weights_path=str(path)))
    shape, classes = (1, 8, 8), 10

    with pytest.raises(RunFolderError, match=r"none\.safetensors: must be a file of weights"):
        load_network(
            small_job().architecture, shape, classes, weights_path=str(tmp_path / "none.safetensors")
        )
    wider = small_job(architecture={"width": 5}).architecture
    with pytest.raises(RunFolderError, match="must hold the weights of this network"):
        load_network(wider, shape, classes, weights_path=str(path))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(RunFolderError, match="must be a file of weights"):
        load_network(small_job().architecture, shape, classes, weights_path=str(path))


def test_loading_a_network_leaves_the_random_numbers_alone(tmp_path):
    path = str(tmp_path / "weights.safetensors")
    run_job(small_job(weights_path=path))
    torch.manual_seed(1)
    expected = torch.rand(3)

    torch.manual_seed(1)
    load_network(small_job().architecture, (1, 8, 8), 10, weights_path=path)

    assert torch.equal(torch.rand(3), expected)


def test_gradients_are_clipped_to_their_norm(monkeypatch):
    norms = []
    step = torch.optim.SGD.step

    def recording_step(self, *args, **kwargs):
        gradients = [p.grad.flatten() for group in self.param_groups for p in group["params"]]
        norms.append(torch.cat(gradients).norm().item())
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.SGD, "step", recording_step)

    run_job(small_job(training={"gradient_clip": 0.1, "epochs": 1}))
    assert norms == pytest.approx([0.1] * 5, rel=1e-4)

    norms.clear()
    run_job(small_job(training={"epochs": 1}))
    assert max(norms) > 0.2


@pytest.mark.parametrize(("precision", "channels_last"), [("32", True), ("bf16", True), ("bf16", False)])
def test_other_arithmetic_gives_nearly_the_same(precision, channels_last, tmp_path):
    path = tmp_path / "weights.safetensors"
    plain = run_job(small_job())[1].metrics
    job = small_job(compute=Compute(precision=precision, channels_last=channels_last), weights_path=str(path))

    _, result = run_job(job)

    assert result.outcome == "complete", result.reason
    assert result.metrics["val_loss"] == pytest.approx(plain["val_loss"], rel=0.1)
    assert {tensor.dtype for tensor in load_file(path).values()} == {torch.float32, torch.int64}


def test_flat_inputs_are_trained_by_an_mlp():
    job = small_job(architecture={"layout": "mlp", "depth": 4, "width": 32})

    _, result = run_job(job)

    assert result.outcome == "complete", result.reason
    assert result.metrics["val_error"] < 0.7


def test_a_wider_network_takes_more_memory():
    narrow = run_job(small_job(training={"epochs": 1, "batch_size": 256}))[1].metrics["peak_memory_mib"]
    wide = run_job(small_job(training={"epochs": 1, "batch_size": 256}, architecture={"width": 64}))[
        1
    ].metrics["peak_memory_mib"]

    # Activations of 256 images of 8 x 8 pixels in 64 channels are 4 MiB a layer.
    assert wide > narrow + 20
    assert math.isfinite(narrow)


def test_a_finished_training_lets_its_network_go(monkeypatch):
    built = []

    def recording_build(*args):
        network = build_network(*args)
        built.append(weakref.ref(network))
        return network

    monkeypatch.setattr(group, "build_network", recording_build)
    run_job(small_job())
    gc.collect()

    assert built[0]() is None


def test_an_augmentation_that_does_not_fit_is_a_failure_that_says_so():
    _, result = run_job(small_job(training={"augmentation": "crop", "crop_padding": 20}))

    assert result.outcome == "failed"
    assert result.reason == "training.crop_padding: must be at most 8, the image's side, got 20."


def test_data_that_is_too_small_is_named():
    with pytest.raises(DataError, match=r"data\.train_limit"):
        load_dataset(small_job(data={"train_limit": 5}).data)
