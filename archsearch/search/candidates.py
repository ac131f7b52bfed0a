"""What a set of values would build: its architecture, its cost, and whether the constraints allow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from archsearch.architecture import published_architecture
from archsearch.data import load_dataset
from archsearch.errors import ArchitectureError, StudyError
from archsearch.journal import TrialHistory
from archsearch.models import Cost, count_cost, solve_width
from archsearch.study import Bounds, StudyConfig, TrialSpec
from archsearch.study.schema import Match


@dataclass(frozen=True)
class Candidate:
    """A trial before it is trained.

    Attributes:
        spec: What would be built and how it would be trained; None where the values build nothing.
        cost: Parameters, MACs and activation memory; None where the network cannot be counted.
        violations: By constraint, at most 0 where it is met, else by which fraction it is missed.
        reason: Why it is infeasible; empty where it is not.
        mismatch: By which share of the budget of `match` it is above it, or below it where negative; None
            without one.
        score: By which a prefilter ranks it; None without one, and where it cannot be ranked.
    """

    spec: TrialSpec | None
    cost: Cost | None = None
    violations: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    mismatch: float | None = None
    score: float | None = None


def examine(study: StudyConfig, values: Mapping[str, Any]) -> Candidate:
    """Resolve values, meet `match`, count the cost and check the constraints, all before any training.

    Args:
        study: The study.
        values: Swept and sampled values by path.
    """
    spec = None
    try:
        spec = study.resolve(values)
        shape, classes = _input_of(spec)
        budget = _find_budget(study.match, shape, classes)
        if budget is not None:
            spec = replace(spec, architecture=solve_width(spec.architecture, shape, classes, **budget))
        cost = count_cost(spec.architecture, shape, classes)
    except (ArchitectureError, StudyError) as error:
        # No such network, or settings that contradict each other: the sampler learns to keep away.
        return Candidate(spec, violations={"buildable": 1.0}, reason=str(error))
    quantities = {**asdict(cost), "depth": spec.architecture.depth}
    violations = constraint_violations(study.constraints, quantities)
    broken = [
        f"{say_bound(study.constraints, name)}, got {quantities[name.partition('.')[0]]:,}"
        for name, by in violations.items()
        if by > 0
    ]
    return Candidate(spec, cost, violations, reason="; ".join(broken), mismatch=_mismatch(cost, budget))


def examine_baseline(study: StudyConfig, name: str) -> Candidate:
    """The same for a published network of the study's `include`, trained with the study's fixed settings."""
    training, data = study.space.fixed_settings()
    spec = TrialSpec(published_architecture(name), training, data, requested_depth=None, dropped=())
    try:
        return Candidate(spec, count_cost(spec.architecture, *_input_of(spec)))
    except ArchitectureError as error:
        return Candidate(spec, reason=str(error))


def _input_of(spec: TrialSpec) -> tuple[tuple[int, ...], int]:
    dataset = load_dataset(spec.data)
    return dataset.input_shape, dataset.num_classes


def _find_budget(match: Match | None, shape: tuple[int, ...], classes: int) -> dict[str, int] | None:
    """The budget that widths are solved for, by its quantity; None where widths are taken as given."""
    if match is None:
        return None
    if match.of is None:
        assert match.target is not None
        return {match.quantity: match.target}
    return {
        match.quantity: getattr(count_cost(published_architecture(match.of), shape, classes), match.quantity)
    }


def _mismatch(cost: Cost, budget: Mapping[str, int] | None) -> float | None:
    if budget is None:
        return None
    ((quantity, target),) = budget.items()
    return float(getattr(cost, quantity) / target - 1)


def say_bound(constraints: Mapping[str, Bounds], name: str) -> str:
    """Write a bound, named as in `constraint_violations`: ``parameters must be at most 20,000``."""
    quantity, _, side = name.partition(".")
    said = "at most" if side == "max" else "at least"
    return f"{quantity} must be {said} {getattr(constraints[quantity], side):,}"


def constraint_violations(
    constraints: Mapping[str, Bounds], quantities: Mapping[str, float]
) -> dict[str, float]:
    """By which fraction each bound is missed, at most 0 where it is met; all these are ``buildable``."""
    violations = {"buildable": 0.0}
    for name, bounds in constraints.items():
        value = quantities[name]
        if bounds.max is not None:
            violations[f"{name}.max"] = (value - bounds.max) / abs(bounds.max or 1)
        if bounds.min is not None:
            violations[f"{name}.min"] = (bounds.min - value) / abs(bounds.min or 1)
    return violations


def violations_of(constraints: Mapping[str, Bounds], trial: TrialHistory) -> dict[str, float]:
    """`constraint_violations` of a trial whose network could be built."""
    quantities = {"depth": trial.architecture["depth"]}
    for name in ("parameters", "macs", "activation_mib"):
        quantities[name] = getattr(trial, name)
    return constraint_violations(constraints, quantities)


def describe_candidate(candidate: Candidate, name: str) -> dict[str, Any]:
    """What the journal says of a candidate; its name is the network's own where none is given."""
    spec, cost = candidate.spec, candidate.cost
    described: dict[str, Any] = {
        "name": name or (spec.architecture.name if spec else "nothing that can be built"),
        "architecture": spec.architecture.to_mapping() if spec else {},
        "architecture_id": spec.architecture.id if spec else "",
        "training": spec.training.model_dump(mode="json") if spec else {},
        "data": spec.data.model_dump(mode="json") if spec else {},
        "requested_depth": spec.requested_depth if spec else None,
        "dropped": list(spec.dropped) if spec else [],
        "mismatch": candidate.mismatch,
        "data_fingerprint": "",
    }
    if spec and cost:
        # What could be counted has been loaded for it.
        dataset = load_dataset(spec.data)
        described |= {
            "data_fingerprint": dataset.fingerprint,
            "classes": dataset.num_classes,
            "train_images": len(dataset.train.labels),
            "val_images": len(dataset.val.labels),
        }
    for quantity in ("parameters", "macs", "activation_mib"):
        described[quantity] = getattr(cost, quantity) if cost else None
    if candidate.score is not None:
        described["score"] = candidate.score
    return described
