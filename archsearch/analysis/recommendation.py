"""Which network to take: the shallowest that is as good as the best, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from archsearch.analysis.curve_reading import read_cell
from archsearch.analysis.depth_curve import find_latency_ms
from archsearch.analysis.wording import percent
from archsearch.journal import TrialHistory
from archsearch.statistics.descriptive import mean_and_std
from archsearch.statistics.fronts import pareto_indices, within_one_standard_error
from archsearch.statistics.intervals import share_interval


@dataclass(frozen=True)
class Option:
    """A network that one might take.

    Attributes:
        trial: Its number.
        network: Its name.
        depth: Weighted layers.
        seeds: It was trained under.
        val_error: Mean over them.
        standard_error: Of that mean over the seeds; with one seed that of the validation images, or 0.
        test_error: Mean over the seeds, where the test set was read.
        parameters: Of the network.
        macs: Of one image's forward pass.
        latency_ms: Of one image's forward pass, the median over the seeds, where it was measured.
        train_time_s: Mean over the seeds, where it was measured.
    """

    trial: int
    network: str
    depth: int
    seeds: int
    val_error: float
    standard_error: float
    test_error: float | None
    parameters: int
    macs: int
    latency_ms: float | None
    train_time_s: float | None


@dataclass(frozen=True)
class Recommendation:
    """The network to take.

    Attributes:
        chosen: It.
        best: The one with the lowest validation error, which may be the same.
        sentence: Why, and what it costs.
        front: Numbers of the trials that none beats in validation error, parameters, MACs and, where that
            of all is known, latency at once.
    """

    chosen: Option
    best: Option
    sentence: str
    front: tuple[int, ...]

    def to_mapping(self) -> dict[str, Any]:
        """As JSON's values."""
        return {
            **asdict(self.chosen),
            "sentence": self.sentence,
            "best": asdict(self.best),
            "pareto_front": list(self.front),
        }


def recommend(trials: Sequence[TrialHistory]) -> Recommendation | None:
    """Choose among trials, on validation error alone; None where none ended well.

    Of all within one standard error of the best, the shallowest is taken, of equally deep ones the one with
    fewest multiply-accumulates (Breiman et al. 1984). A network that ever ended in what is not a number
    is not recommended.
    """
    options = [option for trial in trials if (option := _option(trial))]
    if not options:
        return None
    errors = [option.val_error for option in options]
    near = within_one_standard_error(errors, [option.standard_error for option in options])
    chosen = min(
        (options[place] for place in near),
        key=lambda option: (option.depth, option.macs, option.parameters, option.val_error, option.trial),
    )
    best = min(options, key=lambda option: (option.val_error, option.standard_error))
    front = pareto_indices([(option.val_error, *_costs(option, options)) for option in options])
    # What a search tried may show a lower error, under the one seed that it was chosen by.
    confirmed = any(trial.phase == "confirm" for trial in trials)
    sentence = _sentence(chosen, best, " that the search did not only try" if confirmed else "")
    return Recommendation(chosen, best, sentence, tuple(options[place].trial for place in front))


def _costs(option: Option, options: Sequence[Option]) -> tuple[float, ...]:
    timed = all(other.latency_ms is not None for other in options)
    return (option.parameters, option.macs, *([option.latency_ms or 0.0] if timed else []))


def _option(trial: TrialHistory) -> Option | None:
    cell = read_cell(trial)
    if not cell.val_errors or cell.diverged or trial.parameters is None or trial.macs is None:
        return None
    mean, std = mean_and_std(cell.val_errors)
    if std is not None:
        standard_error = std / len(cell.val_errors) ** 0.5
    else:
        low, high = share_interval(mean, trial.val_images) if trial.val_images else (mean, mean)
        standard_error = (high - low) / 2 / 1.96
    complete = [r for r in trial.replicates.values() if r.outcome == "complete"]
    tests = [r.test["test_error"] for r in complete if "test_error" in r.test]
    times = [r.metrics["train_time_s"] for r in complete if "train_time_s" in r.metrics]
    return Option(
        trial=trial.number,
        network=trial.name,
        depth=cell.depth,
        seeds=len(cell.val_errors),
        val_error=mean,
        standard_error=standard_error,
        test_error=fmean(tests) if tests else None,
        parameters=trial.parameters,
        macs=trial.macs,
        latency_ms=find_latency_ms(trial),
        train_time_s=fmean(times) if times else None,
    )


def _sentence(chosen: Option, best: Option, among: str) -> str:
    seeds = "1 seed" if chosen.seeds == 1 else f"{chosen.seeds} seeds"
    error = f"validation error {percent(chosen.val_error)} over {seeds}"
    said = f"Take {chosen.network} (trial {chosen.trial}): {error}"
    if chosen == best:
        said += f", the lowest of all{among}"
    else:
        said += (
            f", within one standard error ({percent(best.standard_error)}) of the lowest{among}, "
            f"{percent(best.val_error)} of {best.network}, and no deeper one is needed for that"
        )
    cost = f"{chosen.parameters:,} parameters, {chosen.macs:,} multiply-accumulates an image"
    if chosen.latency_ms is not None:
        cost += f", {chosen.latency_ms:.3g} ms an image"
    if chosen.train_time_s is not None:
        cost += f", {chosen.train_time_s:.3g} s of training"
    return f"{said}. It costs {cost}."
