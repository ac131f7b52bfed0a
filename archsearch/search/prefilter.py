"""Which proposals of a search are worth training, by a predictor that needs no training.

A proposal is trained where its score is among the best share of those of a reference: different networks of
its cell, drawn at random, which meet the constraints. The reference is drawn before the first proposal of
the cell is judged and stands in the journal, and a score depends on network and data alone: a study that is
resumed decides as before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import optuna

from archsearch.data import load_dataset
from archsearch.journal import Record
from archsearch.search.candidates import Candidate, examine
from archsearch.search.proposals import suggest
from archsearch.search.samplers import derive_seed
from archsearch.study import StudyConfig, label_values
from archsearch.training.predictors import score_network

REFERENCE = 64
"""Networks that a threshold rests on; fewer where the space of the cell has fewer."""

_MOST_DRAWS = 256
# Another processor adds in another order.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class _Threshold:
    """The least score that is worth training, of so many networks; None where none of them can be ranked."""

    score: float | None
    networks: int


class Prefilter:
    """Judges candidates before they are trained.

    Args:
        study: The study; without a `prefilter` every candidate passes.
        records: Those of the journal, at which nobody looks before all of them were replayed.
        write: Writes a record to the journal.
    """

    def __init__(self, study: StudyConfig, records: Sequence[Record], write: Callable[..., object]) -> None:
        self._study = study
        self._write = write
        self._records = records
        self._scores: dict[Any, float | None] = {}

    def judge(self, candidate: Candidate, cell: Mapping[str, Any]) -> Candidate:
        """Score a feasible candidate; it comes back as infeasible where it is not worth training.

        One that cannot be ranked is left to the training: that a predictor fails says nothing of a network.

        Args:
            candidate: A proposal of the search.
            cell: The swept values of its cell.
        """
        rule = self._study.prefilter
        if rule is None or candidate.reason:
            return candidate
        threshold, score = self._find_threshold(cell), self._score(candidate)
        if score is None or threshold.score is None:
            return replace(candidate, score=score)
        missed = (threshold.score - score) / abs(threshold.score or 1)
        reason = (
            f"prefilter: {rule.score} must be at least {threshold.score:,.6g}, as of the best "
            f"{rule.keep:.0%} of {threshold.networks} sampled networks, got {score:,.6g}"
        )
        return replace(
            candidate,
            score=score,
            reason=reason if missed > _ROUNDING else "",
            violations={**candidate.violations, "prefilter": missed},
        )

    @cached_property
    def _thresholds(self) -> dict[str, _Threshold]:
        fields = [record.fields for record in self._records if record.kind == "prefilter"]
        return {
            label_values(known.get("cell") or {}): _Threshold(
                known.get("threshold"), len(known.get("scores") or ())
            )
            for known in fields
        }

    def _find_threshold(self, cell: Mapping[str, Any]) -> _Threshold:
        label = label_values(cell)
        if label not in self._thresholds:
            assert self._study.prefilter is not None
            found = [self._score(candidate) for candidate in self._draw(cell, label)]
            scores = sorted((score for score in found if score is not None), reverse=True)
            kept = math.ceil(self._study.prefilter.keep * len(scores) - _ROUNDING)
            # where all of them are kept, so is what is below them
            least = scores[kept - 1] if kept < len(scores) else None
            self._write(
                "prefilter",
                cell=dict(cell),
                score=self._study.prefilter.score,
                threshold=least,
                scores=scores,
                unranked=len(found) - len(scores),
            )
            self._thresholds[label] = _Threshold(least, len(scores))
        return self._thresholds[label]

    def _draw(self, cell: Mapping[str, Any], label: str) -> list[Candidate]:
        """Draw different feasible networks of a cell, whatever they would be trained with."""
        seed = derive_seed(self._study.seed, self._study.name, label, "prefilter")
        drawing = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        known = {**self._study.base, **cell}
        found: dict[str, Candidate] = {}
        for _ in range(_MOST_DRAWS):
            values = suggest(drawing.ask(), self._study.search, known)
            candidate = examine(self._study, {**cell, **values})
            if candidate.spec is not None and not candidate.reason:
                found.setdefault(candidate.spec.architecture.id, candidate)
            if len(found) == REFERENCE:
                break
        return list(found.values())

    def _score(self, candidate: Candidate) -> float | None:
        assert self._study.prefilter is not None
        assert candidate.spec is not None
        key = (candidate.spec.architecture.id, candidate.spec.data)
        if key not in self._scores:
            self._scores[key] = score_network(
                candidate.spec.architecture, load_dataset(candidate.spec.data), self._study.prefilter.score
            )
        return self._scores[key]
