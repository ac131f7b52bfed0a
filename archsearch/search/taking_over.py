"""Results that another study has already, taken over in place of a training.

Only a training that came to its end is taken over, of the same network, settings, data and seed, under the
same conditions: see `archsearch.search.other_studies`. Its weights are taken along where they are needed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna.distributions import json_to_distribution

from archsearch.journal import ReplicateHistory, RunFolder, TrialHistory
from archsearch.search.cell_search import Memo
from archsearch.search.other_studies import OtherStudies, name_training
from archsearch.search.settling import settle
from archsearch.study import StudyConfig
from archsearch.training.saving import replace_files

# Bytes at the beginning of a file of safetensors that say how long its header is.
_LENGTH_BYTES = 8


@dataclass(frozen=True)
class Known:
    """A result of another study.

    Attributes:
        origin: Whose it is, in JSON's values: `study` (its name), its `uid`, and the `trial` there.
        replicate: As that study's journal has it.
    """

    origin: Mapping[str, Any]
    replicate: ReplicateHistory

    def epochs(self, trial: int) -> list[dict[str, Any]]:
        """Fields of the ``epoch`` records that tell its course, for a trial of the other study."""
        return [
            {
                "trial": trial,
                "seed": self.replicate.seed,
                "epoch": epoch,
                "metrics": dict(metrics),
                "profile": dict(self.replicate.profiles.get(epoch, {})),
                "taken_over": True,
            }
            for epoch, metrics in enumerate(self.replicate.epochs)
        ]

    def end(self, trial: int) -> dict[str, Any]:
        """Fields of the ``replicate`` record that tells its end."""
        return {
            "trial": trial,
            "seed": self.replicate.seed,
            "outcome": "complete",
            "reason": "",
            "epochs": len(self.replicate.epochs),
            "metrics": dict(self.replicate.metrics),
            "taken_over": dict(self.origin),
            **({"packed": list(self.replicate.packed)} if self.replicate.packed else {}),
            **({"note": self.replicate.note} if self.replicate.note else {}),
        }


class TakingOver:
    """Finds what need not be trained, because another study has it.

    Args:
        study: The study.
        folder: Its run folder.
        others: The studies beside it.
        conditions: What its own results depend on.
    """

    def __init__(
        self, study: StudyConfig, folder: RunFolder, others: OtherStudies, conditions: Mapping[str, Any]
    ) -> None:
        self._study = study
        self._folder = folder
        self._others = others
        self._conditions = conditions
        self._asked: Mapping[int, Mapping[str, Any]] | None = None
        self._compared = 0

    def find(self, trial: TrialHistory, seed: int) -> Known | None:
        """Find the result of a replicate, and bring its weights into the run folder.

        Args:
            trial: Its trial.
            seed: Its seed.
        """
        if not trial.data_fingerprint:
            return None
        for folder, history, other, replicate in self._others.find(
            name_training(trial, seed, self._conditions)
        ):
            alone = replace(trial, seeds=(seed,), replicates={seed: replicate})
            settled = settle(alone, tuple(self._study.objectives))
            if settled.outcome != "complete":
                # What is asked for here was not measured there.
                continue
            taken = take_weights(folder.weights(other.number, seed), self._folder.weights(trial.number, seed))
            if taken or not self._needs_weights(trial):
                origin = {"study": folder.path.name, "uid": history.header.get("uid"), "trial": other.number}
                return Known(origin, replicate)
        return None

    def propose(
        self, number: int, cell: Mapping[str, Any], trials: Mapping[int, TrialHistory]
    ) -> tuple[dict[str, Any], Memo] | None:
        """What a study that asked the same question under another name proposed as its trial of this number.

        Without it a search that is run again under another name would propose other values, and train them.

        Args:
            number: Of the trial.
            cell: Whose search it is of.
            trials: Those of this study, which must be the other's as far as they go.
        """
        if self._asked is None:
            self._asked = self._find_asked()
        for earlier in range(self._compared, number):
            if self._asked and not _is_same(trials[earlier], self._asked.get(earlier, {})):
                self._asked = {}
        self._compared = number
        proposal = _read_proposal(self._asked.get(number, {}), cell)
        if proposal is None:
            # From here on the two go different ways.
            self._asked = {}
        return proposal

    def _find_asked(self) -> Mapping[int, Mapping[str, Any]]:
        for path in self._others.asking(self._study.identity(), self._conditions):
            proposed: dict[int, Mapping[str, Any]] = {}
            for record in self._others.records(path):
                if record.kind == "trial":
                    # described again with more seeds: what was proposed stands in the first record
                    proposed.setdefault(record.fields["trial"], record.fields)
            return proposed
        return {}

    def _needs_weights(self, trial: TrialHistory) -> bool:
        # The best of a search is trained again where it turns out to lack them.
        return trial.phase != "search" or self._study.execution.keep == "all"


def _is_same(trial: TrialHistory, fields: Mapping[str, Any]) -> bool:
    return all(
        fields.get(name) == value
        for name, value in (
            ("phase", trial.phase),
            ("cell", dict(trial.cell)),
            ("values", dict(trial.values)),
            ("architecture_id", trial.architecture_id),
        )
    )


def _read_proposal(fields: Mapping[str, Any], cell: Mapping[str, Any]) -> tuple[dict[str, Any], Memo] | None:
    if fields.get("phase") != "search" or not fields.get("optuna") or fields["cell"] != dict(cell):
        return None
    try:
        memo = Memo(**fields["optuna"])
        for text in memo.distributions.values():
            json_to_distribution(text)
    except (TypeError, ValueError, KeyError, AttributeError):
        return None
    return dict(fields["values"]), memo


def take_weights(source: Path, target: Path) -> bool:
    """Link the weights of a replicate into another run folder, or copy them; False where that fails.

    A file of weights is replaced, never changed, so that two folders may share one.
    """
    if not is_whole(source):
        return False
    try:
        replace_files({target: lambda part: _link(source, part)})
    except OSError:
        # It was removed meanwhile, or the disk is full, as the training that comes instead will say.
        return False
    return True


def is_whole(path: Path) -> bool:
    """Whether a file of safetensors is as long as its header says."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if length > size:
                return False
            header = json.loads(file.read(length))
            ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
            return bool(size == _LENGTH_BYTES + length + max(ends))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return False


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Some file systems know no links, and none reaches from one to another.
        shutil.copyfile(source, target)
