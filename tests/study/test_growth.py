from __future__ import annotations

import json

import pytest

from archsearch.errors import StudyError
from archsearch.study import check_growth, parse_study

STUDY = """\
name: s
architecture: {width: 8}
sweep:
  block: [plain, residual]
  depth: [8, 20]
search:
  training.learning_rate: {low: 0.01, high: 0.5, log: true}
trials: 4
seeds: 2
training: {epochs: 3}
"""


def identity(text: str) -> dict:
    return json.loads(json.dumps(parse_study(text, "s.yaml").identity()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("trials: 4", "trials: 8"),
        ("seeds: 2", "seeds: 5"),
        ("depth: [8, 20]", "depth: [8, 20, 32]"),
        ("depth: [8, 20]", "depth: [32, 20, 8]"),
        ("depth: [8, 20]", "depth: {low: 8, high: 32, step: 6}"),
        ("block: [plain, residual]", "block: [plain, residual, highway]"),
        ("trials: 4", "trials: 4\nbudget: {hours: 3}"),
        ("trials: 4", "trials: 4\nexecution: {workers: 1}\ntracking: {enabled: false}"),
        ("trials: 4", "trials: 4\ninclude: [resnet20]"),
        ("{epochs: 3}", "{epochs: 3, momentum: 0.9, learning_rate: 0.3}"),
        ("name: s", "name: s\ndata: digits   # the default, written down"),
        ("name: s", "name: s\npredictors: true"),
    ],
)
def test_a_study_may_grow(old: str, new: str) -> None:
    assert old in STUDY
    check_growth(identity(STUDY), parse_study(STUDY.replace(old, new), "s.yaml"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "{width: 8}",
            "{width: 16}",
            "s.yaml:2: architecture.width: must stay as it was when this study first ran: it was 8, got 16. "
            "Another architecture asks for a new name: change `name`, or undo the change.",
        ),
        ("epochs: 3", "epochs: 4", "s.yaml:10: training.epochs: must stay as it was .* it was 3, got 4"),
        ("low: 0.01", "low: 0.02", "s.yaml:7: search.training.learning_rate: .* Another search space asks"),
        (
            "name: s",
            "name: s\ndata: mnist",
            "s.yaml:2: data.name: .* it was not there, got mnist. Another data",
        ),
        (
            "trials: 4",
            "trials: 4\nobjectives: {val_loss: minimize}",
            "s.yaml:9: objectives: .* Another objective",
        ),
        ("depth: [8, 20]", "depth: [8, 32]", "s.yaml:5: sweep.depth: .* Another swept field"),
        ("  block: [plain, residual]\n", "", "s.yaml:3: sweep.block: .* got nothing"),
        ("  depth: [8, 20]", "  depth: [8, 20]\n  norm: [batch, none]", "s.yaml:6: sweep.norm: .*not there"),
        ("name: s", "name: s\nseed: 3", "s.yaml:2: seed: must stay .* it was 0, got 3"),
        ("trials: 4", "trials: 4\nsampler: random", "s.yaml:9: sampler.name: .* it was tpe, got random"),
        ("trials: 4", "trials: 4\nconstraints: {macs: {max: 9}}", "s.yaml:9: constraints.macs: "),
        (
            "trials: 4",
            "trials: 4\nprefilter: {score: synflow, keep: 0.5}",
            "s.yaml:9: prefilter: .* Another prefilter asks",
        ),
    ],
)
def test_another_question_asks_for_a_new_name(old: str, new: str, message: str) -> None:
    assert old in STUDY
    with pytest.raises(StudyError, match=message):
        check_growth(identity(STUDY), parse_study(STUDY.replace(old, new), "s.yaml"))


def test_an_identity_is_plain_json_and_the_same_each_time() -> None:
    assert identity(STUDY) == parse_study(STUDY, "other.yaml").identity()
