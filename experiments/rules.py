"""The decision rules of the claims, as their pages state them: from tables of results to answers.

Those of claims that weigh networks by what they cost stand in `cost_rules`. Everything is read from the
tables beside the pages; nothing here trains. "Deepest" and "shallowest" are those of the study, so that the
same rule serves a shortened study and the full one.
"""

from __future__ import annotations

from typing import Any

from archsearch.statistics.contrasts import Contrast, difference
from experiments.evidence import Evidence, Place, compare_values, estimate_mean, say_label
from experiments.findings import Finding, above, answer_by, answer_exactly, below, within
from experiments.result_tables import (
    tabulate_deepening,
    tabulate_errors,
    tabulate_gradients,
    tabulate_identity,
    tabulate_lesions,
    tabulate_paths,
    tabulate_published,
    tabulate_verdicts,
)

SMALLEST = 0.01
"""A difference of error that matters: one point."""
SHORTCUT_SMALLEST = 0.02
"""The same between shortcuts."""
DECADES = 3.0
"""Gradients have vanished where those of the first layers are so many powers of ten below the last ones'."""

_BROKEN = ("scaled", "conv", "dropout", "gate gate_bias=0")
_HARDLY_OPEN = "gate gate_bias=-6"
_KEPT = ("pad", "projection", "projection_all")
_KEEPS = "stays within 1,000-fold either way"
_COPIED_WELL = 0.01
_LITTLE_DAMAGE = 0.1


def more_layers(evidence: Evidence) -> Finding:
    """Does the training error of plain networks rise with depth, whatever regularises them?"""
    parts = []
    for study in evidence.studies.index:
        for label in evidence.curves(study):
            named = say_label(label)
            rise = evidence.rise(study, label, "train_error")
            what = f"{named}: training error rises by more than 1 point {evidence.say_ends(study, label)}"
            front = not parts or study in ("dropout", "long")
            parts.append(answer_by(rise, above(SMALLEST), what, front=front, study=study))
    return Finding(tuple(parts), {"Errors": tabulate_errors(evidence)})


def vanishing_gradients(evidence: Evidence) -> Finding:
    """Do plain networks degrade although a norm keeps their gradients from vanishing?"""
    ratio = "gradient of the first layers over that of the last"
    small = {name: evidence.at_end("small_weights", name) for name in ("norm=none", "norm=batch")}
    parts = [
        answer_by(
            evidence.log_gradient_ratio("small_weights", small["norm=none"]),
            below(-DECADES),
            f"small weights without a norm, depth {small['norm=none'][1]}: {ratio} is below 1/1,000",
            unit="factor",
            front=True,
            study="small_weights",
        ),
        answer_by(
            evidence.log_gradient_ratio("small_weights", small["norm=batch"]),
            within(DECADES),
            f"small weights with batch norm, depth {small['norm=batch'][1]}: {ratio} {_KEEPS}",
            unit="factor",
            study="small_weights",
        ),
    ]
    for label, said in (("norm=batch", "with batch norm"), ("norm=none", "without a norm")):
        rise = evidence.rise("study", label, "train_error")
        what = f"convolutions {said}: training error rises by more than 1 point"
        what = f"{what} {evidence.say_ends('study', label)}"
        parts.append(answer_by(rise, above(SMALLEST), what, front=label == "norm=batch"))
        deepest = evidence.at_end("study", label)
        what = f"convolutions {said}, depth {deepest[1]}: {ratio} {_KEEPS}"
        change = evidence.log_gradient_ratio("study", deepest)
        parts.append(answer_by(change, within(DECADES), what, unit="factor", front=label == "norm=batch"))
    return Finding(tuple(parts), {"Errors and gradients": tabulate_gradients(evidence)})


def identity(evidence: Evidence) -> Finding:
    """Is the identity hard for plain stacks and easy for residual ones?"""
    tests = evidence.table("identity")
    most = int(tests["blocks"].max())
    parts = []
    for name, group in tests[tests["blocks"] == most].groupby("initialization", sort=False):
        errors = {block: rows["error"].tolist() for block, rows in group.groupby("block")}
        what = f"{most} blocks, {name}: the error of a plain stack that copies its input is larger by more"
        what = f"{what} than {_COPIED_WELL:g} than that of a residual one"
        change = compare_values(errors["residual"], errors["plain"])
        front = not parts
        parts.append(answer_by(change, above(_COPIED_WELL), what, unit="number", front=front, study=""))
    for block, expected, said in (
        ("plain", above(SMALLEST), "more"),
        ("residual", below(SMALLEST), "less"),
    ):
        label = next(name for name in evidence.curves("study") if _is_he(name, block))
        gap, depth, count = _gap(evidence, "study", label)
        what = f"{block}-{depth}: training error {said} than 1 point above that of the best shallower network"
        what = f"{what} extended by identities"
        parts.append(answer_by(gap, expected, what, family=count, front=True))
    dirac, he, normal = (
        evidence.at_end("study", f"block=plain initialization={name}")
        for name in ("identity", "he", "normal")
    )
    for other, name in ((he, "he"), (normal, "zero-mean normal")):
        change = evidence.change("study", other, dirac, "train_error")
        what = f"plain-{dirac[1]}: begun as identities its training error is lower by more than 1 point"
        what = f"{what} than begun with {name}"
        parts.append(answer_by(change, below(-SMALLEST), what, front=name == "he"))
    tables = {
        "Identity test": tabulate_identity(tests),
        "Deepening": tabulate_deepening(evidence.table("deepening")),
        "Errors": tabulate_errors(evidence),
    }
    return Finding(tuple(parts), tables)


def depth_gain(evidence: Evidence) -> Finding:
    """Do residual networks gain from depth where plain ones lose?"""
    residual, plain = "block=residual", "block=plain"
    last = evidence.at_end("study", residual)[1]
    falls, rises = (evidence.say_ends("study", label) for label in (residual, plain))
    parts = [
        answer_by(
            evidence.trend("study", residual, "val_error"),
            below(0),
            f"residual: validation error falls {falls}, along the line over all depths",
            front=True,
        ),
        answer_by(
            evidence.rise("study", plain, "train_error"),
            above(SMALLEST),
            f"plain: training error rises by more than 1 point {rises}",
            front=True,
        ),
        answer_by(
            evidence.change("study", (residual, last), (plain, last), "val_error"),
            above(SMALLEST),
            f"depth {last}: validation error of plain more than 1 point above that of residual",
        ),
    ]
    tables = {
        "Beside the published errors": tabulate_published(evidence),
        "Verdicts": tabulate_verdicts(evidence),
    }
    if "long" in evidence.studies.index:
        fall = evidence.trend("long", residual, "val_error")
        rise = evidence.rise("long", plain, "train_error")
        ends = evidence.say_ends("long", residual)
        shown: dict[str, Any] = {"front": True, "study": "long"}
        parts += [
            answer_by(fall, below(0), f"trained longer, residual: validation error falls {ends}", **shown),
            answer_by(
                rise,
                above(SMALLEST),
                f"trained longer, plain: training error rises by more than 1 point {ends}",
                **shown,
            ),
        ]
        tables["Trained longer"] = tabulate_errors(evidence, ["long"])
    return Finding(tuple(parts), tables)


def shortcuts(evidence: Evidence) -> Finding:
    """Does it hardly matter how the dimension is adapted, and what breaks the shortcut?"""
    depth = evidence.depths("study", "shortcut=pad")[-1]
    kept: list[Place] = [(f"shortcut={name}", depth) for name in _KEPT]
    parts = []
    for first, second in ((0, 1), (0, 2), (1, 2)):
        change = evidence.change("study", kept[first], kept[second], "val_error")
        what = f"{_KEPT[second]} and {_KEPT[first]}: validation errors differ by less than 2 points"
        parts.append(answer_by(change, within(SHORTCUT_SMALLEST), what, front=first == 0))
    pad = evidence.sample("study", kept[0], "val_error")

    def compare(study: str, label: str) -> Contrast | None:
        sample = evidence.sample(study, (label, depth), "val_error")
        return difference(pad, sample) if pad and sample else None

    broken = {name.replace(" gate_bias=", ", bias "): ("altered", f"shortcut={name}") for name in _BROKEN}
    broken["highway join, bias -6"] = ("highway", next(iter(evidence.curves("highway"))))
    for name, (study, label) in broken.items():
        what = f"{name}: validation error more than 2 points above that of pad"
        shown = {"family": len(broken), "front": name in ("conv", "dropout"), "study": study}
        parts.append(answer_by(compare(study, label), above(SHORTCUT_SMALLEST), what, **shown))
    what = "gate, bias -6: validation error differs by less than 2 points from that of pad"
    change = compare("altered", f"shortcut={_HARDLY_OPEN}")
    parts.append(answer_by(change, within(SHORTCUT_SMALLEST), what, study="altered"))
    return Finding(tuple(parts), {f"Errors at depth {depth}": tabulate_errors(evidence)})


def ensemble(evidence: Evidence) -> Finding:
    """Does a residual network survive the loss of blocks, as an ensemble of shallow ones would?"""
    lesions, paths = evidence.table("lesions"), evidence.table("paths")
    removed = lesions[lesions["kind"] == "remove"]

    def damage(curve: str, depth: int) -> list[float]:
        here = (removed["curve"] == curve) & (removed["depth"] == depth)
        return list(removed[here]["damage"])

    residual = "block=residual"
    plain = evidence.at_end("study", "block=plain")
    shallow, deep = evidence.depths("study", residual)[0], evidence.at_end("study", residual)
    carried = paths[(paths["curve"] == residual) & (paths["depth"] == deep[1])]
    short = carried[carried["length"] < carried["branches"] / 3]
    whole, dropping = (evidence.at_end("drop_path", label) for label in _by_drop_path(evidence))
    along = f"residual-{deep[1]}: more than half of the gradient comes along paths through fewer than a third"
    along = f"{along} of the blocks (one network, no interval)"
    parts = (
        answer_by(
            compare_values(damage(residual, shallow), damage(*plain)),
            above(_LITTLE_DAMAGE),
            f"the loss of one block costs plain-{plain[1]} more than 10 points more than residual-{shallow} "
            "(over the blocks of one network each)",
            front=True,
        ),
        answer_by(
            estimate_mean(damage(*deep)),
            below(_LITTLE_DAMAGE),
            f"the loss of one block costs residual-{deep[1]} less than 10 points "
            "(over the blocks of one network)",
            front=True,
        ),
        answer_by(None, above(0.5), along, unit="share", front=True)
        if carried.empty
        else answer_exactly(float(short["gradient_frac"].sum()), above(0.5), along, unit="share", front=True),
        answer_by(
            evidence.change("drop_path", whole, dropping, "val_error"),
            below(0),
            f"residual-{whole[1]} on {evidence.studies.loc['drop_path', 'train_images']:,} training images: "
            "stochastic depth lowers the validation error",
            front=True,
            study="drop_path",
        ),
    )
    tables = {
        "One block removed, or two neighbours exchanged": tabulate_lesions(lesions),
        f"Paths of residual-{deep[1]}": tabulate_paths(carried),
        "Errors": tabulate_errors(evidence),
    }
    return Finding(parts, tables)


def _is_he(label: str, block: str) -> bool:
    # A residual network has no other initialization here, so its label names none.
    return label in (f"block={block}", f"block={block} initialization=he")


def _by_drop_path(evidence: Evidence) -> list[str]:
    """The curves without and with stochastic depth."""
    return sorted(evidence.curves("drop_path"), key=lambda label: float(label.rpartition("=")[2]))


def _gap(evidence: Evidence, study: str, label: str) -> tuple[Contrast | None, int, int]:
    """Training error of the deepest over that of the best shallower one; its depth; how many there are."""
    *shallower, last = evidence.depths(study, label)
    samples = {depth: evidence.sample(study, (label, depth), "train_error") for depth in shallower}
    known = {depth: sample for depth, sample in samples.items() if sample}
    if not known:
        return None, last, 1
    best = min(known, key=lambda depth: known[depth].mean)
    return evidence.change(study, (label, best), (label, last), "train_error"), last, len(known)
