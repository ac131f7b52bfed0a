"""What a study would train, and what that would cost, without training it."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from archsearch.application.allowing import Training, count_allowed
from archsearch.application.counting import count_kept, count_trainings, count_trials
from archsearch.application.estimating import Estimate, estimate_trainings
from archsearch.application.html import write_table
from archsearch.application.preparing import check_installed, prepare_data
from archsearch.application.sampling import sample_values
from archsearch.data import load_dataset
from archsearch.search.candidates import Candidate, examine, examine_baseline, say_bound
from archsearch.search.pausing import warn_of_schedule
from archsearch.study import StudyConfig, sample_search
from archsearch.study.cells import RANGE_SAMPLES
from archsearch.training.predictors import MEASURED, score_network

_LISTED_PER_CELL = 200
_SHOWN_REASONS = 6
_BYTES_PER_WEIGHT = 4


@dataclass(frozen=True)
class PlannedNetwork:
    """A network that the study builds, or may build.

    Attributes:
        requested_depth: What was asked for, where its kind of block has no such depth.
        dropped: Fields of the study that it does not use.
        mismatch: Share by which it misses the budget of `match`; None without one.
        memory_mib: Estimate for one training at its peak: what autograd keeps of a batch, weights, gradients,
            what the optimizer keeps, what kernels work with.
        hours: Estimate for one replicate, from the speed of one measured network and its MACs.
        predictors: Scores of the untrained network, None where it cannot be ranked; empty where they were not
            asked for.
    """

    name: str
    id: str
    depth: int
    requested_depth: int | None
    dropped: tuple[str, ...]
    mismatch: float | None
    parameters: int
    macs: int
    memory_mib: float
    hours: float
    predictors: Mapping[str, float | None]


@dataclass(frozen=True)
class Plan:
    """What would run.

    Attributes:
        networks: Different networks, the cheapest first: of a sweep all, of a search all or a sample.
        is_sample: Whether the search may build others than those listed.
        is_search: Whether there is a search, which may prune trainings or repeat them.
        may_add_seeds: Whether some of the trainings are only for curves that are undecided without.
        infeasible: Reasons for which combinations cannot be built or break a constraint, with their numbers.
        cells: Number of cells.
        trials: Trials that count, without baselines and confirmations.
        replicates: Trainings at most: of trials, baselines and confirmations.
        epochs: Epochs of all of them, were none pruned, paused or repeated.
        workers: Trainings at a time.
        threads: Of each of them, on a CPU.
        memory_warning: What the memory of this machine may not suffice for; empty where all fits.
        schedule_warning: Why a scheduler's rungs rank networks less well; empty where they do not.
        hours: Estimate for all, were none pruned, paused or repeated.
        keep: Which weights stay on disk, `execution.keep`.
        disk_mib: Estimate of the weights that are kept while it runs.
        checkpoints_mib: The most that checkpoints of trainings under way or paused take at a time.
        measured: What the estimate of time rests on.
        budget: What the budget allows, in a sentence; empty without one.
    """

    study: str
    networks: tuple[PlannedNetwork, ...]
    is_sample: bool
    is_search: bool
    may_add_seeds: bool
    infeasible: dict[str, int]
    cells: int
    trials: int
    replicates: int
    epochs: int
    workers: int
    threads: int
    memory_warning: str
    schedule_warning: str
    hours: float
    keep: str
    disk_mib: float
    checkpoints_mib: float
    measured: str
    budget: str = ""

    @property
    def heading(self) -> str:
        """One line: how much there is to do."""
        parts = [_counted(self.cells, "cell")] if self.cells > 1 else []
        parts.append(_counted(self.trials, "trial"))
        most = "at most " if self.is_search or self.may_add_seeds else ""
        trainings, epochs = _counted(self.replicates, "training"), _counted(self.epochs, "epoch")
        parts.append(f"{most}{trainings} of {epochs} in all")
        return ", ".join(parts)

    @property
    def remarks(self) -> list[str]:
        """What the table does not say, a line each."""
        lines = []
        if self.is_sample:
            lines.append("The search may build more networks than these, which are a sample.")
        unused = {network.name: ", ".join(network.dropped) for network in self.networks if network.dropped}
        lines += [f"{name} does not use: {fields}." for name, fields in unused.items()]
        missed = [abs(network.mismatch) for network in self.networks if network.mismatch is not None]
        if missed:
            lines.append(
                f"The budget of match is missed by at most {max(missed):.1%}, the rest of whole widths."
            )
        # The most frequent first.
        reasons = sorted(self.infeasible.items(), key=lambda item: -item[1])
        lines += [
            f"Infeasible, {_counted(n, 'combination')}: {reason}" for reason, n in reasons[:_SHOWN_REASONS]
        ]
        if len(reasons) > _SHOWN_REASONS:
            lines.append(f"Infeasible for {len(reasons) - _SHOWN_REASONS} more reasons; --json has all.")
        lines += [warning for warning in (self.memory_warning, self.schedule_warning) if warning]
        lines.append(
            f"About {say_duration(self.hours)} with {_counted(self.workers, 'training')} at a time"
            f"{f', each on {self.threads} threads' if self.threads > 1 else ''}"
            f"{', were nothing pruned, paused or repeated' if self.is_search else ''}. {self.measured}"
        )
        lines += [self.budget] if self.budget else []
        lines.append(
            f"On disk: weights of about {self.disk_mib:.1f} MiB (keep: {self.keep}"
            f"{', removed at the end' if self.keep == 'none' else ''}), and meanwhile checkpoints of at most "
            f"{self.checkpoints_mib:.1f} MiB."
        )
        return lines

    def __repr__(self) -> str:
        return f"Plan({self.study}: {self.heading})"

    def _repr_html_(self) -> str:
        """The plan as a notebook shows it."""
        header = ["network", "depth", "parameters", "MACs", "training memory", "one training"]
        rows = [
            [
                network.name,
                network.depth,
                f"{network.parameters:,}",
                f"{network.macs:,}",
                f"{network.memory_mib:,.0f} MiB",
                say_duration(network.hours),
            ]
            for network in self.networks
        ]
        return write_table(f"{self.study}: {self.heading}", header, rows, below=self.remarks)

    def to_mapping(self) -> dict[str, Any]:
        """The plan as JSON's values."""
        return asdict(self)


def say_duration(hours: float) -> str:
    """Write a duration for people: ``12 s``, ``3.5 min``, ``20 h``."""
    for unit, amount in (("h", hours), ("min", hours * 60)):
        if amount >= 1:
            return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:,.0f} {unit}"
    return f"{max(1, round(hours * 3600))} s"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def plan_study(study: StudyConfig, *, with_predictors: bool = False) -> Plan:
    """Look at what a study would do.

    Time is estimated from some measured steps of training of the network in the middle of the compute,
    scaled by MACs.

    Args:
        study: The study.
        with_predictors: Whether each network is built and scored by the predictors, too.

    Raises:
        StudyError: This machine cannot run it.
        DataError: Its data are missing or wrong.
    """
    check_installed(study)
    prepare_data(study)
    candidates = [examine(study, values) for values in sample_values(study, _LISTED_PER_CELL)]
    candidates += [examine_baseline(study, name) for name in study.include]
    feasible = {_key(c): c for c in candidates if not c.reason}
    infeasible = Counter(o for c in candidates if c.reason for o in _obstacles(study, c))
    here = estimate_trainings(study, [c.spec for c in feasible.values() if c.spec])
    networks = tuple(
        sorted(
            (_network(c, here, MEASURED if with_predictors else ()) for c in feasible.values()),
            key=lambda n: (n.macs, n.name),
        )
    )
    mean_hours = statistics.fmean(network.hours for network in networks) if networks else 0.0
    mean_parameters = statistics.fmean(network.parameters for network in networks) if networks else 0.0
    epochs = [c.spec.training.epochs for c in feasible.values() if c.spec]
    trials, replicates, allowed = count_trials(study), count_trainings(study), None
    if networks:
        macs = statistics.fmean(_count_macs(candidate) for candidate in feasible.values())
        allowed = count_allowed(study, Training(mean_hours, statistics.fmean(epochs), macs), here.workers)
    if allowed is not None and study.search and study.trials is None:
        # Its budget alone ends it.
        trials, replicates = allowed.trials, allowed.trainings
    return Plan(
        study=study.name,
        networks=networks,
        is_sample=_is_sample(study),
        is_search=bool(study.search),
        may_add_seeds=bool(study.more_seeds),
        infeasible=dict(infeasible),
        cells=len(study.cells()),
        trials=trials,
        replicates=replicates,
        epochs=round(replicates * statistics.fmean(epochs)) if epochs else 0,
        workers=here.workers,
        threads=here.threads,
        memory_warning=here.memory_warning,
        schedule_warning=warn_of_schedule(study),
        hours=mean_hours * replicates / here.workers,
        keep=study.execution.keep,
        disk_mib=mean_parameters * _BYTES_PER_WEIGHT * count_kept(study) / 2**20,
        checkpoints_mib=max(map(_checkpoint_mib, feasible.values()), default=0.0)
        * _count_checkpoints(study, here.workers * here.together),
        measured=here.measured,
        budget=allowed.sentence if allowed else "",
    )


def _is_sample(study: StudyConfig) -> bool:
    ranges = [d for d in study.search if d.kind != "choice" and d.path.startswith("architecture.")]
    if any(dimension.count > RANGE_SAMPLES for dimension in ranges):
        return True
    cells = (sample_search(study.space, cell.values, _LISTED_PER_CELL) for cell in study.cells())
    return any(len(combinations) == _LISTED_PER_CELL for combinations in cells)


def _obstacles(study: StudyConfig, candidate: Candidate) -> list[str]:
    """Why a candidate is infeasible, without the figures that differ from one to the next."""
    missed = [name for name, by in candidate.violations.items() if by > 0 and name != "buildable"]
    return [say_bound(study.constraints, name) for name in missed] or [candidate.reason]


def _key(candidate: Candidate) -> Any:
    assert candidate.spec is not None
    return candidate.spec.architecture.id


def _count_macs(candidate: Candidate) -> float:
    """Of the forward passes of its training."""
    assert candidate.spec is not None
    assert candidate.cost is not None
    images = len(load_dataset(candidate.spec.data).train.labels)
    return float(candidate.cost.macs * images * candidate.spec.training.epochs)


def _checkpoint_mib(candidate: Candidate) -> float:
    """The most that a replicate's state takes: weights, the optimizer's memory, and all of it once more.

    For the next one is written while the last one is still there.
    """
    assert candidate.spec is not None
    assert candidate.cost is not None
    training = candidate.spec.training
    copies = 1 + (2 if training.optimizer != "sgd" else int(training.momentum > 0))
    return 2 * copies * candidate.cost.parameters * _BYTES_PER_WEIGHT / 2**20


def _count_checkpoints(study: StudyConfig, running: int) -> int:
    """Checkpoints at a time: under a scheduler each trial may be paused."""
    return running if study.scheduler.name == "none" else max(running, count_trials(study))


def _network(candidate: Candidate, here: Estimate, predictors: Sequence[str]) -> PlannedNetwork:
    spec, cost = candidate.spec, candidate.cost
    assert spec is not None
    assert cost is not None
    dataset = load_dataset(spec.data)
    images = len(dataset.train.labels) * spec.training.epochs
    return PlannedNetwork(
        name=spec.architecture.name,
        id=spec.architecture.id,
        depth=spec.architecture.depth,
        requested_depth=spec.requested_depth,
        dropped=spec.dropped,
        mismatch=candidate.mismatch,
        parameters=cost.parameters,
        macs=cost.macs,
        memory_mib=here.room.needs[spec.architecture.id].peak_mib,
        hours=cost.macs * images / here.macs_per_s / 3600,
        predictors={name: score_network(spec.architecture, dataset, name) for name in predictors},
    )
