"""The tables of the pages, as text, made from the tables of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from archsearch.analysis import CellResults, judge
from experiments.evidence import Evidence, Place, estimate_mean, say_label
from experiments.findings import Range, Table, answer_by

# Where a mean and its interval are shown and nothing is asked.
_ANY = Range()
_PUBLISHED = Path(__file__).parent / "04_depth" / "published.csv"


def tabulate_errors(evidence: Evidence, studies: Sequence[str] = ()) -> Table:
    """Every cell of some studies, or of all: its network and its errors; what several studies have, once."""
    rows = [
        {
            "curve": say_label(label),
            "depth": str(cell.depth),
            "network": evidence.network(study, (label, cell.depth)),
            "parameters": f"{evidence.parameters(study, (label, cell.depth)):,}",
            "MACs": f"{evidence.macs(study, (label, cell.depth)):,}",
            "seeds": _say_seeds(cell),
            **{
                f"{measure.partition('_')[0]} error": evidence.say_mean(study, (label, cell.depth), measure)
                for measure in ("train_error", "val_error", "test_error")
            },
        }
        for study in studies or evidence.studies.index
        for label, curve in evidence.curves(study).items()
        for cell in curve.cells
    ]
    return _without_repetitions(rows)


def tabulate_gradients(evidence: Evidence) -> Table:
    """Every cell: its training error, and how far gradients fall towards the input."""
    rows = []
    for study in evidence.studies.index:
        for label, curve in evidence.curves(study).items():
            for cell in curve.cells:
                place = (label, cell.depth)
                ratio = answer_by(evidence.log_gradient_ratio(study, place), _ANY, "", unit="factor")
                rows.append(
                    {
                        "networks": "small weights" if study == "small_weights" else "convolutions",
                        "curve": say_label(label),
                        "depth": str(cell.depth),
                        "seeds": _say_seeds(cell),
                        "training error": evidence.say_mean(study, place, "train_error"),
                        "first over last gradient": ratio.measured,
                    }
                )
    return rows


def tabulate_identity(tests: pd.DataFrame) -> Table:
    """The stacks: their errors before and after training."""
    rows = []
    for (name, block, blocks), group in tests.groupby(["initialization", "block", "blocks"], sort=False):
        error = answer_by(estimate_mean(group["error"].tolist()), _ANY, "", unit="number")
        if error.low is not None:
            # No error is below 0, whatever the spread of its seeds.
            error = replace(error, low=max(0.0, error.low))
        rows.append(
            {
                "initialization": str(name),
                "block": str(block),
                "blocks": str(blocks),
                "error before": f"{group['start_error'].mean():.3g}",
                "error after training": error.measured,
            }
        )
    return rows


def tabulate_deepening(tests: pd.DataFrame) -> Table:
    """Deeper networks against the best shallower ones of their curves, extended by identities."""
    return [
        {
            "curve": say_label(str(row.curve)),
            "deep": str(row.deep),
            "shallow": str(row.shallow),
            "training error of the extended": f"{100 * row.bound:.2f} %",
            "of the deep, trained": f"{100 * row.trained:.2f} %",
            "gap": f"{100 * row.gap:+.2f} points",
            "extended": "same outputs" if pd.isna(row.why_not) else str(row.why_not),
        }
        for row in tests.itertuples()
    ]


def tabulate_published(evidence: Evidence) -> Table:
    """Test errors beside the published ones of the same depths."""
    published = pd.read_csv(_PUBLISHED, dtype=str)
    return [
        {
            "network": f"{row.block}-{row.depth}",
            "test error here": evidence.say_mean(
                "study", (f"block={row.block}", int(row.depth)), "test_error"
            ),
            "published": f"{row.test_error} %",
            "source": str(row.source),
        }
        for row in published.itertuples()
    ]


def tabulate_verdicts(evidence: Evidence) -> Table:
    """What the report says of each curve."""
    verdicts = [judge(curve) for curve in evidence.curves("study").values()]
    return [
        {
            "curve": say_label(verdict.curve),
            "verdict of the report": verdict.kind.replace("_", " "),
            "sentence": verdict.sentence,
        }
        for verdict in verdicts
    ]


def tabulate_lesions(lesions: pd.DataFrame) -> Table:
    """What networks come to without one of their blocks, or with two exchanged, wherever that can be done."""
    kinds = {"remove": "one removed", "exchange": "two exchanged"}
    return [
        {
            "curve": say_label(str(curve)),
            "depth": str(depth),
            "blocks": kinds[kind],
            "places": str(len(group)),
            "error whole": f"{100 * (group['error'] - group['damage']).mean():.1f} %",
            "median error": f"{100 * group['error'].median():.1f} %",
            "largest error": f"{100 * group['error'].max():.1f} %",
        }
        for (curve, depth, kind), group in lesions.groupby(["curve", "depth", "kind"], sort=False)
        if kind in kinds
    ]


def tabulate_paths(carried: pd.DataFrame) -> Table:
    """The paths of each length of one network: how many, and how much of the gradient they carry."""
    return [
        {
            "blocks on the path": f"{row.length} of {row.branches}",
            "share of paths": f"{100 * row.paths_frac:.3g} %",
            "share of gradient": f"{100 * row.gradient_frac:.3g} %",
        }
        for row in carried.itertuples()
    ]


def tabulate_rates(rates: pd.DataFrame) -> Table:
    """The learning rate that was best for each network, and whether it is an edge of those tried."""
    return [
        {
            "curve": say_label(str(row.curve)),
            "depth": str(row.depth),
            "best learning rate": f"{row.rate:g}",
            "tried": f"{row.lowest:g} to {row.highest:g}",
            "note": "at the edge: a better one may lie beyond" * (row.rate in (row.lowest, row.highest)),
        }
        for row in rates.itertuples()
    ]


def tabulate_costs(reached: pd.DataFrame) -> Table:
    """What each network spent until it reached each accuracy, the mean over its seeds; each once."""
    rows = [
        {
            "accuracy": f"{target:.0%}",
            "network": str(network),
            "reached": f"{int(group['reached'].sum())} of {len(group)}",
            "epochs": f"{group['epochs'].mean():.1f}",
            "multiply-accumulates": f"{group['macs'].mean():.3g}",
            "seconds": "" if group["seconds"].isna().all() else f"{group['seconds'].mean():.3g}",
        }
        for (target, _, network), group in reached.groupby(["target", "study", "network"], sort=False)
    ]
    return _without_repetitions(rows)


def tabulate_answers(evidence: Evidence, settings: Mapping[str, tuple[str, Place]]) -> Table:
    """What the search found and what it is compared with: study and place of each by its name."""
    cells = {name: _find_cell(evidence, *where) for name, where in settings.items()}
    return [
        {
            "setting": name,
            "network": evidence.network(study, place),
            "parameters": f"{evidence.parameters(study, place):,}",
            "MACs": f"{evidence.macs(study, place):,}",
            "seeds": _say_seeds(cells[name]),
            "validation error": evidence.say_mean(study, place, "val_error"),
            "test error": evidence.say_mean(study, place, "test_error"),
        }
        for name, (study, place) in settings.items()
    ]


def tabulate_counts(counts: pd.DataFrame) -> Table:
    """The published networks and what they cost."""
    return [
        {
            "network": str(name),
            "depth": str(row["depth"]),
            "parameters": f"{row['parameters']:,}",
            "multiply-accumulates": f"{row['macs']:,}",
        }
        for name, row in counts.iterrows()
    ]


def _without_repetitions(rows: Sequence[Mapping[str, str]]) -> Table:
    return [row for place, row in enumerate(rows) if row not in rows[:place]]


def _find_cell(evidence: Evidence, study: str, place: Place) -> CellResults:
    return next(cell for cell in evidence.curves(study)[place[0]].cells if cell.depth == place[1])


def _say_seeds(cell: CellResults) -> str:
    """``3``, ``2 (1 diverged)``: seeds whose errors stand in the table, and what became of the others."""
    others = {"diverged": cell.diverged, "failed": cell.failed, "missing": cell.missing}
    said = ", ".join(f"{count} {name}" for name, count in others.items() if count)
    return f"{len(cell.train_errors)} ({said})" if said else str(len(cell.train_errors))
