"""How well predictors that need no training rank the networks of a study: whether they are to be trusted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from archsearch.journal import TrialHistory
from archsearch.search.ranking import finished_trials
from archsearch.statistics.ranks import FEWEST_RANKED, RankCorrelation, correlate_ranks
from archsearch.study.vocabulary import PREDICTORS


@dataclass(frozen=True)
class PredictorRanks:
    """One predictor against final accuracy, over some networks.

    Attributes:
        predictor: Its name.
        networks: Which networks: ``all``, or those of one block.
        count: How many of them it ranks.
        correlation: Of its score and validation accuracy; None where that says too little.
    """

    predictor: str
    networks: str
    count: int
    correlation: RankCorrelation | None

    @property
    def words(self) -> str:
        """What it shows, in a few words."""
        found = self.correlation
        if found is None:
            few = self.count < FEWEST_RANKED
            return f"too few networks to say (below {FEWEST_RANKED})" if few else "does not tell them apart"
        if found.rho_low > 0:
            return "higher goes with better"
        return "higher goes with worse" if found.rho_high < 0 else "not shown to rank them"

    def to_mapping(self) -> dict[str, Any]:
        """The figures and the words as JSON's values."""
        return {**asdict(self), "words": self.words}


def finished_networks(trials: Iterable[TrialHistory]) -> list[list[TrialHistory]]:
    """The trials that were trained in full, by their network."""
    networks: dict[str, list[TrialHistory]] = {}
    for trial in finished_trials(trials, phases=["search", "sweep", "confirm", "include"]):
        networks.setdefault(trial.architecture_id, []).append(trial)
    return list(networks.values())


def rank_predictors(trials: Iterable[TrialHistory]) -> list[PredictorRanks]:
    """Rank-correlate each predictor with validation accuracy, over all finished networks and by block.

    A network that was trained under several settings counts once, with the least of its validation errors
    (means over the seeds).

    Returns:
        Nothing where the study did not ask for predictors.
    """
    rows = [row for network in finished_networks(trials) if (row := _row(network))]
    groups = {"all": rows}
    for block, *_ in rows:
        groups[f"block={block}"] = [row for row in rows if row[0] == block]
    if len(groups) == 2:
        # the only block's are all
        del groups[f"block={rows[0][0]}"]
    return [
        _correlate(predictor, name, members)
        for name, members in groups.items()
        if members
        for predictor in PREDICTORS
    ]


_Row = tuple[str, float, dict[str, float | None]]


def _row(network: list[TrialHistory]) -> _Row | None:
    """Block, error and scores of a network; None where it was not scored."""
    scored = [trial.predictors for trial in network if trial.predictors]
    errors = [trial.metrics["val_error"] for trial in network if "val_error" in trial.metrics]
    if not scored or not errors:
        return None
    counted = {"parameters": network[0].parameters, "macs": network[0].macs}
    return str(network[0].architecture["block"]), min(errors), {**counted, **scored[0]}


def _correlate(predictor: str, networks: str, rows: list[_Row]) -> PredictorRanks:
    pairs = [(score, -error) for _, error, scores in rows if (score := scores.get(predictor)) is not None]
    scores, accuracies = [score for score, _ in pairs], [accuracy for _, accuracy in pairs]
    return PredictorRanks(predictor, networks, len(pairs), correlate_ranks(scores, accuracies))
