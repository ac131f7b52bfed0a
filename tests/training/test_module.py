"""The LightningModule: loss, optimizers, and the same training by a stock Trainer and by our loop."""

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from archsearch.data import load_dataset
from archsearch.data.module import ImageDataModule
from archsearch.models import build_network
from archsearch.study.settings import TrainingSettings
from archsearch.training.module import Classifier
from tests.training.conftest import run_job, small_job


class Fixed(nn.Module):
    """Gives the same logits whatever comes."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, images):
        return self.logits


def test_label_smoothing_spreads_its_share_over_all_classes():
    logits = torch.tensor([[2.0, 0.0, -1.0, 0.5]])
    module = Classifier(Fixed(logits), TrainingSettings(label_smoothing=0.2), steps_per_epoch=1)
    batch = (torch.zeros(1, 1, 2, 2), torch.tensor([2]))

    log_probabilities = torch.log(logits.exp() / logits.exp().sum())
    targets = torch.tensor([[0.05, 0.05, 0.85, 0.05]])
    assert module.training_step(batch, 0)["loss"].item() == pytest.approx(
        -(targets * log_probabilities).sum().item(), rel=1e-6
    )
    assert module.validation_step(batch, 0)["loss"].item() == pytest.approx(-log_probabilities[0, 2].item())


@pytest.mark.parametrize(
    ("settings", "kind", "expected"),
    [
        ({"momentum": 0.8, "nesterov": True}, torch.optim.SGD, {"momentum": 0.8, "nesterov": True}),
        ({"optimizer": "adam", "momentum": 0.8}, torch.optim.Adam, {"betas": (0.8, 0.999)}),
        ({"optimizer": "adamw", "momentum": 0.8}, torch.optim.AdamW, {"betas": (0.8, 0.999)}),
    ],
)
def test_optimizers_are_built_as_set(settings, kind, expected):
    module = Classifier(
        nn.Linear(2, 2),
        TrainingSettings(learning_rate=0.3, weight_decay=0.01, schedule="constant", **settings),
        steps_per_epoch=1,
    )

    optimizer = module.configure_optimizers()["optimizer"]

    assert type(optimizer) is kind
    (group,) = optimizer.param_groups
    assert {"lr": 0.3, "weight_decay": 0.01, **expected}.items() <= group.items()
    assert len(group["params"]) == 2


# Lightning 2.6 with torch 2.13, in its own code.
@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
@pytest.mark.parametrize(
    "training",
    [
        {"augmentation": "crop_flip", "label_smoothing": 0.1, "weight_decay": 1e-3},
        {"optimizer": "adamw", "learning_rate": 0.01, "schedule": "cosine", "gradient_clip": 0.5},
    ],
)
def test_a_stock_trainer_and_our_loop_make_the_same_steps(monkeypatch, training):
    job = small_job(training=training)
    losses = []
    step = Classifier.training_step

    def recording_step(self, batch, number):
        output = step(self, batch, number)
        losses.append(output["loss"].item())
        return output

    monkeypatch.setattr(Classifier, "training_step", recording_step)
    torch.set_num_threads(1)
    run_job(job)
    ours = losses.copy()
    losses.clear()

    dataset = load_dataset(job.data)
    data = ImageDataModule(dataset, job.training, job.seed)
    pl.seed_everything(job.seed, verbose=False)
    network = build_network(job.architecture, dataset.input_shape, dataset.num_classes)
    module = Classifier(network, job.training, steps_per_epoch=len(data.train_dataloader()))
    trainer = pl.Trainer(
        max_epochs=job.training.epochs,
        accelerator="cpu",
        devices=1,
        gradient_clip_val=job.training.gradient_clip or None,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule=data)

    assert len(ours) == 2 * 5
    assert ours == losses
