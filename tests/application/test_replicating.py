"""Which trials are given another seed, from histories written by hand."""

from __future__ import annotations

from archsearch.application.replicating import find_undecided
from archsearch.journal import StudyHistory, TrialHistory
from archsearch.study import parse_study
from tests.analysis.trials import cell, trial

STUDY = """
name: adaptive
data: digits
sweep: {block: [plain, residual], depth: [8, 20]}
seeds: {min: 3, max: 5}
"""


def known(number: int, block: str, depth: int, *errors: float) -> TrialHistory:
    found = {seed: {"train_error": error, "val_error": error} for seed, error in enumerate(errors)}
    return trial(number, depth, found, block=block, cell=cell(block, depth))


def test_a_curve_that_is_decided_is_left_though_another_is_looked_at_again() -> None:
    plain = [known(0, "plain", 8, 0.0, 0.01, 0.02), known(1, "plain", 20, 0.028, 0.038, 0.048)]
    open_one = [known(2, "residual", 8, 0.0, 0.02, 0.04), known(3, "residual", 20, 0.01, 0.02, 0.03)]
    looked_at = known(2, "residual", 8, 0.0, 0.02, 0.04, 0.02)

    def ask(trials: list[TrialHistory], looks: int) -> list[int]:
        history = StudyHistory(trials={t.number: t for t in trials}, looks=looks)
        return find_undecided(parse_study(STUDY, "adaptive.yaml"), history)

    assert ask([*plain, *open_one], looks=0) == [2]
    assert ask([*plain, looked_at, open_one[1]], looks=1) == [2]
