"""The claims: the studies of each, what is gathered of them, and the rule that decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from experiments import cost_rules, gathering, rules
from experiments.evidence import Evidence
from experiments.findings import Finding
from experiments.gathering import Ran

HERE = Path(__file__).parent
_OF_DEPTH = "../04_depth/study.yaml"


@dataclass(frozen=True)
class Claim:
    """One claim, and how it is measured.

    Attributes:
        name: Its folder.
        says: The claim.
        rule: From the tables of results to answers.
        studies: Further ones beside ``study.yaml``, by the name that the rule has for them.
        pictures: Of the reports, by study; the first stands first on the page.
        gather: What is gathered, or drawn, besides the trainings.
        has_full: Whether there is a ``full.yaml``, which wants a GPU.
    """

    name: str
    says: str
    rule: Callable[[Evidence], Finding]
    studies: Mapping[str, str] = field(default_factory=dict)
    pictures: tuple[tuple[str, str], ...] = (("study", "depth_curve"),)
    gather: tuple[Callable[[Ran], None], ...] = ()
    has_full: bool = True

    @property
    def folder(self) -> Path:
        """Where its page, studies and results stand."""
        return HERE / self.name

    def files(self, *, full: bool = False) -> dict[str, Path]:
        """Its studies by name; where there are full ones (``full.yaml``, ``full_NAME.yaml``), these alone."""
        found = {}
        for study, name in {"study": "study.yaml", **self.studies}.items():
            path = (self.folder / name).resolve()
            stem = "full" if path.stem == "study" else f"full_{path.stem}"
            larger = path.with_name(f"{stem}.yaml")
            if not (full and self.has_full):
                found[study] = path
            elif larger.is_file():
                found[study] = larger
        return found

    def results(self, *, full: bool = False) -> Path:
        """Where its results stand."""
        return self.folder / ("results_full" if full else "results")


CLAIMS = {
    claim.name: claim
    for claim in (
        Claim(
            "01_more_layers",
            "More layers are not simply better",
            rules.more_layers,
            {"dropout": "dropout.yaml", "long": "long.yaml"},
            pictures=(("study", "depth_curve"), ("dropout", "depth_curve"), ("long", "depth_curve")),
            has_full=False,
        ),
        Claim(
            "02_vanishing_gradients",
            "Vanishing gradients are only part of it",
            rules.vanishing_gradients,
            {"small_weights": "small_weights.yaml"},
            pictures=(("study", "profiles"), ("small_weights", "profiles"), ("study", "depth_curve")),
            has_full=False,
        ),
        Claim(
            "03_identity",
            "The identity is hard, the residual is easy",
            rules.identity,
            gather=(gathering.gather_identity, gathering.gather_deepening),
            has_full=False,
        ),
        Claim(
            "04_depth",
            "Residual networks gain from depth",
            rules.depth_gain,
            {"long": "long.yaml"},
            pictures=(("study", "depth_curve"), ("study", "learning_curves")),
        ),
        Claim(
            "05_shortcuts",
            "How the dimension is adapted hardly matters; what alters the shortcut does",
            rules.shortcuts,
            {"altered": "altered.yaml", "highway": "highway.yaml"},
            pictures=(("study", "costs"), ("altered", "costs"), ("altered", "learning_curves")),
        ),
        Claim(
            "06_fewer_parameters",
            "Far deeper, far fewer parameters",
            cost_rules.fewer_parameters,
            {"vgg": "vgg.yaml"},
            pictures=(),
            gather=(gathering.gather_counts, gathering.draw_parameters),
        ),
        Claim(
            "07_ensemble",
            "A residual network is an ensemble of shallow ones",
            rules.ensemble,
            {"drop_path": "drop_path.yaml"},
            gather=(gathering.gather_lesions,),
        ),
        Claim(
            "08_variants",
            "The variants: dense, grouped and highway beside residual",
            cost_rules.variants,
            {"macs": "macs.yaml", "highway": "highway.yaml"},
            pictures=(("study", "costs"), ("macs", "costs"), ("highway", "depth_curve")),
            gather=(gathering.gather_rates,),
        ),
        Claim(
            "09_cheaper",
            "Same training, cheaper",
            cost_rules.cheaper,
            {"depth": _OF_DEPTH, "macs": "../08_variants/macs.yaml"},
            pictures=(("study", "learning_curves"),),
            gather=(gathering.gather_epochs,),
        ),
        Claim(
            "10_search",
            "What a search finds for the price of the sweep",
            cost_rules.search,
            {"published": "published.yaml", "sweep": _OF_DEPTH},
            pictures=(("study", "costs"),),
            gather=(gathering.gather_search,),
        ),
    )
}
