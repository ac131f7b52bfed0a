"""What is put side by side is judged by the images it was trained on."""

from __future__ import annotations

from pathlib import Path

from archsearch.application.comparing import compare
from archsearch.journal import Journal

ERRORS = {0: (0.30, 0.31, 0.32), 1: (0.35, 0.36, 0.37)}


def write_study(folder: Path, name: str, val_images: int) -> None:
    """A study of 1,000 validation images by default whose trials had others."""
    with Journal.open(folder / name / "journal.log") as journal:
        figures = {"classes": 10, "train_images": 1000, "val_images": 1000}
        journal.append("study", uid=name, name=name, objectives={"val_error": "minimize"}, **figures)
        for number, errors in ERRORS.items():
            journal.append(
                "trial", trial=number, phase="sweep", cell={"data.val_frac": 0.1}, values={}, name="net",
                architecture={"block": "plain", "depth": 8}, architecture_id="v1:a", training={"epochs": 1},
                data={"name": "digits"}, seeds=[0, 1, 2], **{**figures, "val_images": val_images},
            )  # fmt: skip
            for seed, error in enumerate(errors):
                metrics = {"val_error": error, "train_error": error}
                ended = {"outcome": "complete", "epochs": 1, "metrics": metrics}
                journal.append("replicate", trial=number, seed=seed, **ended)
            journal.append("told", trial=number, outcome="complete", values=[errors[0]])


def test_few_validation_images_make_a_difference_less_certain(tmp_path: Path) -> None:
    def test_of(name: str, val_images: int) -> float:
        write_study(tmp_path, name, val_images)
        tests = compare([f"{name}:0", f"{name}:1"], runs_folder=tmp_path).tests
        return next(test.p for test in tests if test.measure == "val_error")

    # 5 points of 50 images are two and a half of them, which chance may do
    assert test_of("few", 50) > 0.1
    assert test_of("many", 50_000) < 0.01
