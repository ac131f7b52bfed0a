"""What the journal says of a trial before it is trained."""

from __future__ import annotations

from archsearch.data import load_dataset
from archsearch.search.candidates import Candidate, describe_candidate, examine
from archsearch.study import parse_study
from archsearch.study.settings import DataSettings

STUDY = """
name: folds
data: {name: synthetic, samples: 100}
sweep: {data.classes: [2, 5], data.train_limit: [20, 30], data.val_frac: [0.2, 0.4]}
"""


def test_the_figures_of_the_data_are_those_of_the_trial_and_not_of_the_study() -> None:
    study = parse_study(STUDY, "folds.yaml")
    for cell in study.cells():
        told = describe_candidate(examine(study, cell.values), "")
        classes, limit, share = cell.values.values()
        dataset = load_dataset(
            DataSettings(name="synthetic", samples=100, classes=classes, train_limit=limit, val_frac=share)
        )

        assert (told["classes"], told["train_images"]) == (classes, limit)
        assert told["val_images"] == len(dataset.val.labels)
        assert told["data_fingerprint"] == dataset.fingerprint


def test_of_what_cannot_be_built_there_are_none() -> None:
    told = describe_candidate(Candidate(None, reason="no such network"), "")

    assert told["data_fingerprint"] == ""
    assert "classes" not in told
