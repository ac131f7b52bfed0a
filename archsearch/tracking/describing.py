"""What stands on the pages of a study's and a trial's run in MLflow: a few lines of Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from archsearch.journal import ReplicateHistory, SessionHistory, TrialHistory
from archsearch.search.ranking import rank, reported_trials
from archsearch.study.public_text import escape_markdown

# Longer lists of values say no more than how many there are.
_LISTED_VALUES = 8
_MEASURES = ("val_error", "train_error", "parameters")
_COUNTS = ("parameters", "macs")


def describe_study(header: Mapping[str, Any], trials: Sequence[TrialHistory], state: str) -> str:
    """Return what a study asks, what it found, and how to see more.

    Args:
        header: Fields of the journal's ``study`` record.
        trials: As they are by now.
        state: How far the study is, as a sentence without its full stop.
    """
    name, objectives = header["name"], header.get("objectives", {})
    outcomes = Counter(trial.outcome or "under way" for trial in trials)
    counted = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    best = rank(reported_trials(trials), objectives)
    parts = [
        # MLflow folds away all but the first lines.
        f"**Best: {best[0].name}** (trial {best[0].number}{_seeds(best[0])}): {_values(best[0], objectives)}."
        if best
        else "",
        f"{state}. Trials: {counted or 'none yet'}.",
        _question(header.get("identity", {}), objectives),
        "**To see more**, choose *Depth vs performance*, *Learning curves*, *Leaderboard* or *Outcomes* "
        "among the views above the experiment's table of runs (a colour is a family of networks, the darker "
        "the deeper), or",
        f"```\narchsearch ui {name}       # opens these views\n"
        f"archsearch report {name}   # curves, statistics, verdicts\n"
        f"archsearch export {name}   # the best network, for use elsewhere\n```",
    ]
    return "\n\n".join(part for part in parts if part)


def _question(identity: Mapping[str, Any], objectives: Mapping[str, str]) -> str:
    lines = [
        f"- {verb} `{path}`: {escape_markdown(_domain(dimension))}"
        for verb, part in (("swept", "sweep"), ("searched", "search"))
        for path, dimension in identity.get(part, {}).items()
    ]
    aims = ", ".join(f"{direction} `{objective}`" for objective, direction in objectives.items())
    return "\n".join([*lines, f"- to {aims}"] if aims else lines)


def _domain(dimension: Mapping[str, Any]) -> str:
    if "choice" in dimension:
        values = dimension["choice"]
        return ", ".join(map(str, values)) if len(values) <= _LISTED_VALUES else f"{len(values)} values"
    return f"{dimension.get('low')} to {dimension.get('high')}"


def describe_trial(header: Mapping[str, Any], trial: TrialHistory) -> str:
    """Return how a trial ended, and how to see more of it.

    Args:
        header: Fields of the journal's ``study`` record.
        trial: As it is by now.
    """
    reason, values = trial.reason.partition("\n")[0], _values(trial, header.get("objectives", {}))
    said = [escape_markdown(reason)] * bool(reason) + [values + _seeds(trial)] * bool(values)
    # One that is trained under more seeds still has the values of its first end.
    end = f"**{trial.outcome.capitalize()}**: {'; '.join(said)}" if trial.outcome else "**Not finished**"
    more = f"archsearch show {header['name']} --trial {trial.number}   # all about it"
    return f"{end}.\n\n```\n{more}\n```"


def _seeds(trial: TrialHistory) -> str:
    return f", means over {len(trial.seeds)} seeds" if len(trial.seeds) > 1 else ""


def _values(trial: TrialHistory, objectives: Mapping[str, str]) -> str:
    values = dict(zip(objectives, trial.objective_values or (), strict=False))
    measured = {**values, **{name: trial.metrics[name] for name in _MEASURES if name in trial.metrics}}
    return ", ".join(
        f"{name} {value:,.0f}" if name in _COUNTS else f"{name} {value:.4f}"
        for name, value in measured.items()
    )


def provenance_tags(
    replicates: Iterable[ReplicateHistory], sessions: Sequence[SessionHistory]
) -> dict[str, str]:
    """Return as tags what trainings ran under; what differed among them is listed behind each other."""
    numbers = sorted({item.session for item in replicates if item.session is not None})
    tags: dict[str, dict[str, None]] = {}
    for number in numbers:
        ran = sessions[number].provenance
        versions = {name: value for name, value in ran.items() if name not in ("commit", "device")}
        found = {
            "host": str(sessions[number].fields.get("host") or ""),
            "device": ran.get("device", ""),
            "commit": ran.get("commit", ""),
            "versions": ", ".join(f"{name} {value}" for name, value in versions.items()),
        }
        for name, value in found.items():
            if value:
                tags.setdefault(f"archsearch.{name}", {})[value] = None
    return {name: "; ".join(values) for name, values in tags.items()}
