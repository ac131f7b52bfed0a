"""The model card: what a network is, how it was trained, how good it is, how to use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archsearch.export.description import ExportedNetwork
from archsearch.export.formats import TOLERANCES
from archsearch.export.usage import list_usage
from archsearch.journal import StudyHistory, TrialHistory
from archsearch.study.public_text import escape_markdown


@dataclass(frozen=True)
class CardFacts:
    """What a card is written from.

    Attributes:
        seed: Under which these weights were trained.
        metrics: What metrics.json holds.
        notes: Formats that were left out, and why.
    """

    history: StudyHistory
    trial: TrialHistory
    network: ExportedNetwork
    seed: int
    metrics: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def write_card(facts: CardFacts) -> str:
    """Write the card of one network, in Markdown."""
    trial, network = facts.trial, facts.network
    sections = [
        [f"# {trial.name}", "", *_what_it_is(facts)],
        ["## How good it is", "", *_how_good(facts.metrics), *_over_seeds(facts)],
        ["## What it costs", "", *_costs(facts.metrics)],
        ["## Without the blocks that it does not miss", "", *_pruned(facts.metrics["pruned"])],
        [
            "## How it was trained",
            "",
            f"Data: `{trial.data['name']}`, fingerprint `{facts.metrics['data_fingerprint']}`, split seed "
            f"{trial.data['split_seed']}.",
            "",
            *_retrained(facts.metrics["retrained"]),
            "| setting | value |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in _settings(facts).items()),
        ],
        ["## How to load it", "", *list_usage(network), *_verified(facts)],
        ["## Limits", "", *_limits(facts)],
        ["## Licence", "", "Licence of the weights: not stated. It is yours to state here."],
    ]
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _what_it_is(facts: CardFacts) -> list[str]:
    header, trial, network = facts.history.header, facts.trial, facts.network
    shape = " x ".join(str(size) for size in network.input_shape)
    return [
        f"An image classifier with {trial.architecture['depth']} weighted layers, "
        f"{facts.metrics['parameters']:,} parameters and {facts.metrics['macs']:,} multiply-accumulates an "
        f"image. Input: {shape}; classes: {', '.join(map(escape_markdown, network.class_names))}.",
        "",
        f"Found by the study `{header['name']}` (archsearch {header['archsearch']}), trial {trial.number}, "
        f"seed {facts.seed}, architecture `{trial.architecture_id}`.",
    ]


def _how_good(metrics: Mapping[str, Any]) -> list[str]:
    rows = []
    for name in ("validation", "test"):
        found = metrics[name]
        if found is not None:
            low, high = found["accuracy_low"], found["accuracy_high"]
            rows.append(
                f"| {name} | {found['images']:,} | {found['accuracy']:.2%} | {low:.2%} to {high:.2%} | "
                f"{found['error']:.2%} | {found['calibration']['expected_calibration_error']:.3f} |"
            )
    worst = min(
        (row for row in metrics["test"]["per_class"] if row["accuracy"] is not None),
        key=lambda row: row["accuracy"],
    )
    return [
        "| images | number | accuracy | 95 % interval | error | calibration error |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        "Evaluated in float32 on a CPU; the interval is that of the images (Wilson), not of seeds. "
        f"Its worst class of the test is {escape_markdown(worst['class'])}: {worst['accuracy']:.2%} of "
        f"{worst['images']}. "
        "`metrics.json` has every class, `confusion.png` what it takes for what.",
    ]


def _over_seeds(facts: CardFacts) -> list[str]:
    if facts.metrics["retrained"] is not None:
        return []
    mean, std = facts.metrics["of_trial"].get("val_error"), facts.metrics["of_trial"].get("val_error_std")
    if std is None:
        return ["", "It was trained under one seed, which says nothing about how much another would differ."]
    return [
        "",
        f"Over its {len(facts.trial.seeds)} seeds the validation error is {mean:.2%} ± {std:.2%} as trained; "
        "of them this one has the lowest (the first of equals).",
    ]


def _costs(metrics: Mapping[str, Any]) -> list[str]:
    latency = metrics["latency"]
    rows = [
        f"| {name} | {found['median']:.3g} ms "
        f"| {found['quartile_low']:.3g} to {found['quartile_high']:.3g} ms |"
        for name, found in latency["ms"].items()
    ]
    memory = metrics["memory"]
    return [
        f"Weights: {memory['weights_mib']:.3g} MiB. Kept of an image in training: "
        f"{memory['training_activations_mib_an_image']:.3g} MiB.",
        "",
        "| one image with | median | quartiles |",
        "|---|---|---|",
        *rows,
        "",
        f"Measured on {latency['machine']}: {latency['protocol']}.",
    ]


def _pruned(pruned: Mapping[str, Any]) -> list[str]:
    rows = pruned["variants"]
    if len(rows) < 2:
        return [pruned["why_not"]]
    return [
        "| without blocks | chosen by | validation accuracy | test accuracy | one image |",
        "|---|---|---|---|---|",
        *(
            f"| {', '.join(map(str, row['dropped_blocks'])) or 'none'} | {row['rule']} | "
            f"{row['val_accuracy']:.2%} | {row['test_accuracy']:.2%} | {row['latency_ms']:.3g} ms |"
            for row in rows
        ),
        "",
        f"Blocks are numbered from 0 to {pruned['blocks'] - 1}. Validation images chose them, so that its "
        "accuracy flatters; the test images did not. Variants are not exported.",
    ]


def _settings(facts: CardFacts) -> dict[str, Any]:
    """The settings that these weights were trained with."""
    retrained = facts.metrics["retrained"]
    return {**facts.trial.training, **({"epochs": retrained["epochs"]} if retrained else {})}


def _retrained(retrained: Mapping[str, Any] | None) -> list[str]:
    if retrained is None:
        return []
    lines = [
        f"Trained afresh after the search on `{retrained['data']}` ({retrained['images']:,} images) for "
        f"{retrained['epochs']} epochs under {len(retrained['seeds'])} fresh seeds. Picked, by a rule stated "
        f"beforehand: {retrained['rule']}. Of these seeds the picked one alone was evaluated on the test "
        "images, once.",
        "",
    ]
    found = retrained["optimism"]
    if "optimism" not in found:
        return lines
    interval = ""
    if found["optimism_low"] is not None:
        interval = f" (95 % interval {found['optimism_low']:+.2%} to {found['optimism_high']:+.2%})"
    return [
        *lines,
        f"What the choice promised and holds: of {found['candidates']} candidates it was chosen for a "
        f"validation accuracy of {found['promised']:.2%} ({found['chosen_by']}); fresh seeds reach "
        f"{found['fresh_mean']:.2%} on the same images. The optimism of the choice is "
        f"{found['optimism']:+.2%}{interval}. Fresh seeds: {found['fresh_from']}.",
        "",
    ]


def _verified(facts: CardFacts) -> list[str]:
    rows = [
        f"| {name} | {found['largest_difference']:.2g} | {TOLERANCES[name]:g} |"
        for name, found in facts.metrics["formats"].items()
    ]
    return [
        "Every format was compared with the trained network on validation images before the folder was "
        "written: the largest difference of logits, in multiples of the largest logit.",
        "",
        "| format | difference | allowed |",
        "|---|---|---|",
        *rows,
        *(["", *(f"{note}." for note in facts.notes)] if facts.notes else []),
    ]


def _limits(facts: CardFacts) -> list[str]:
    return [
        f"It knows images like those of `{facts.trial.data['name']}` and no others, in this size alone, and "
        "it always answers with one of its classes. The validation error of a search's best trial is too "
        "good to be true, having been chosen as the smallest of many; no choice was made on the test images. "
        "`model.py` leaves out stochastic depth and the initialisation, which only training knows.",
    ]
