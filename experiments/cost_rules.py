"""The decision rules of those claims that weigh networks by what they cost; see `rules`."""

from __future__ import annotations

from dataclasses import replace

from archsearch.statistics.contrasts import Contrast, difference
from experiments.costs import compare_costs, find_costs, list_rivals, list_targets
from experiments.evidence import Evidence, Place
from experiments.findings import Finding, above, answer_by, answer_exactly, below
from experiments.result_tables import (
    tabulate_answers,
    tabulate_costs,
    tabulate_counts,
    tabulate_errors,
    tabulate_rates,
)
from experiments.rules import SMALLEST

# A VGG net whose own training error is larger was not trained, and is no rival.
_UNTRAINED = 0.6
# ResNet-152 is exactly eight times as deep as VGG-19.
_EIGHT_TIMES, _HALF = 7.9, 0.5
_VARIANTS = (
    ("study", "parameters", "dense", "lower", below(0)),
    ("macs", "MACs", "dense", "lower", below(0)),
    ("study", "parameters and MACs", "grouped", "lower", below(0)),
    ("study", "parameters and MACs", "highway", "higher", above(0)),
)
_EQUAL = {"study": " at equal parameters", "macs": " at equal MACs"}
# All of the budget is no more than all of it.
_AS_MUCH = 1 + 1e-9


def fewer_parameters(evidence: Evidence) -> Finding:
    """Is a far deeper residual network smaller than a VGG net, and no worse?"""
    counts = evidence.table("counts").set_index("name")
    deeper, smaller = (
        float(counts[column]["resnet152"] / counts[column]["vgg19"]) for column in ("depth", "parameters")
    )
    asked = (
        (deeper, above(_EIGHT_TIMES), "ResNet-152 is eight times as deep as VGG-19 (more than 7.9)"),
        (smaller, below(_HALF), "ResNet-152 has fewer than half of the parameters of VGG-19"),
    )
    parts = [answer_exactly(*one, unit="factor", front=True, counted=True, study="") for one in asked]
    residual, place = _last_curve(evidence, "study")
    deep = evidence.sample("study", place, "val_error")
    curve = next(iter(evidence.curves("vgg")))
    depths = evidence.depths("vgg", curve)
    for depth in depths:
        other = evidence.sample("vgg", (curve, depth), "val_error")
        change = difference(other, deep) if other and deep else None
        share = evidence.parameters("study", place) / evidence.parameters("vgg", (curve, depth))
        what = (
            f"{residual}-{place[1]} has a lower validation error than VGG-{depth}, at {share:.2g} of its size"
        )
        part = answer_by(change, below(0), what, family=len(depths), front=True)
        trained = evidence.sample("vgg", (curve, depth), "train_error")
        if trained and trained.mean > _UNTRAINED:
            what = f"{what} (not asked: VGG-{depth} was not trained, training error {trained.mean:.0%})"
            part = replace(part, what=what, answer="undecided")
        parts.append(part)
    tables = {
        "Published networks": tabulate_counts(counts),
        "At the size of CIFAR-10": tabulate_errors(evidence),
    }
    return Finding(tuple(parts), tables)


def variants(evidence: Evidence) -> Finding:
    """Are dense and grouped networks better than residual ones at equal cost, and highway ones not?"""
    parts = []
    for study, equal, family, word, expected in _VARIANTS:
        base, other = (_family(evidence, study, name) for name in ("residual", family))
        more = [
            count(study, other) / count(study, base) - 1 for count in (evidence.parameters, evidence.macs)
        ]
        what = f"equal {equal}: {family} ({more[0]:+.0%} parameters, {more[1]:+.0%} MACs) has a {word}"
        what = f"{what} validation error than residual"
        change = evidence.change(study, base, other, "val_error")
        shown = {"family": len(_VARIANTS), "front": True, "study": study}
        parts.append(answer_by(change, expected, what, **shown))
    highway, plain = (evidence.at_end("highway", f"block={name}") for name in ("highway", "plain"))
    ends = evidence.say_ends("highway", highway[0])
    parts += [
        answer_by(
            evidence.change("highway", highway, plain, "train_error"),
            above(SMALLEST),
            f"fully connected, {plain[1]} layers: training error of plain more than 1 point above highway's",
            front=True,
            study="highway",
        ),
        answer_by(
            evidence.rise("highway", highway[0], "train_error"),
            below(SMALLEST),
            f"fully connected highway: training error rises by less than 1 point {ends}",
            study="highway",
        ),
    ]
    tables = {
        "Errors": tabulate_errors(evidence),
        "Learning rates of the fully connected": tabulate_rates(evidence.table("rates")),
    }
    return Finding(tuple(parts), tables)


def cheaper(evidence: Evidence) -> Finding:
    """Do residual networks reach an accuracy with less compute than the others?"""
    costs, rivals, targets = find_costs(evidence), list_rivals(evidence), list_targets(evidence)
    parts = []
    for target in targets:
        for study, family, depth in rivals:
            here = costs[(costs["study"] == study) & (costs["target"] == target) & (costs["asked"] == depth)]
            own, other = (here[here["family"] == name] for name in ("residual", family))
            change = compare_costs(own, other)
            equal = _EQUAL.get(study, "")
            rival = f"{family}-{depth}"
            if not other["reached"].all():
                rival += f" ({int(other['reached'].sum())} of {len(other)} reached it: a lower bound)"
            what = f"{target:.0%} accuracy{equal}: {rival} takes more MACs than residual-{depth}"
            front = target == targets[-1] and family == "plain"
            shown = {"family": len(targets) * len(rivals), "unit": "factor", "front": front, "study": study}
            parts.append(answer_by(change, above(0), what, **shown))
    return Finding(tuple(parts), {"Cost until an accuracy is reached": tabulate_costs(costs)})


def search(evidence: Evidence) -> Finding:
    """Is what the search finds better than the best published setting in its space?"""
    settings = {
        "found": ("study", _last_curve(evidence, "study")[1]),
        "published": ("published", _last_curve(evidence, "published")[1]),
    }
    best = _best_of_sweep(evidence)
    if best:
        settings["best of the sweep"] = ("sweep", best)
    spent = evidence.studies["macs"]

    def compare(other: str) -> Contrast | None:
        samples = [evidence.test_sample(*settings[name]) for name in (other, "found") if name in settings]
        known = [sample for sample in samples if sample]
        return difference(*known) if len(known) == 2 else None

    parts = (
        answer_exactly(
            float(spent["study"] / spent["sweep"]),
            below(_AS_MUCH),
            "the search spent no more multiply-accumulates than the sweep",
            unit="factor",
            front=True,
            counted=True,
            study="",
        ),
        answer_by(
            compare("published"),
            below(0),
            "what the search found has a lower test error than the best published setting",
            front=True,
        ),
        answer_by(
            compare("best of the sweep"),
            below(0),
            "what the search found has a lower test error than the best of the sweep, chosen by validation",
            front=True,
        ),
    )
    return Finding(parts, {"Answers": tabulate_answers(evidence, settings)})


def _best_of_sweep(evidence: Evidence) -> Place | None:
    """The cell of the sweep with the lowest mean validation error."""
    cells = [
        (sample.mean, (label, cell.depth))
        for label, curve in evidence.curves("sweep").items()
        for cell in curve.cells
        if (sample := evidence.sample("sweep", (label, cell.depth), "val_error"))
    ]
    return min(cells)[1] if cells else None


def _last_curve(evidence: Evidence, study: str) -> tuple[str, Place]:
    """Family and deepest place of a study's only curve."""
    label, curve = next(iter(evidence.curves(study).items()))
    return curve.family, (label, curve.cells[-1].depth)


def _family(evidence: Evidence, study: str, family: str) -> Place:
    label = next(name for name, curve in evidence.curves(study).items() if curve.family == family)
    return evidence.at_end(study, label)
