"""The lesion study: how much a trained network loses with its blocks.

Veit, Wilber and Belongie 2016, *Residual Networks Behave Like Ensembles of Relatively Shallow Networks*
(1605.06431): a residual network hardly notices the loss of one block, and its error grows smoothly with the
number of blocks that are lost; a plain network falls to chance with the first.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from torch import nn

from archsearch.analysis.path_lengths import PathLength, spread_counts
from archsearch.models.surgery import Anatomy

Evaluate = Callable[[nn.Module], float]
"""From a network to its error, as a fraction."""


@dataclass(frozen=True)
class Lesion:
    """What was done to a network, and its error then.

    Attributes:
        kind: ``remove`` (one block), ``pair`` (two), ``random`` (as many as `blocks`), ``exchange`` (two
            neighbours), ``repeat`` (one block stands twice).
        blocks: Numbers of the blocks.
        error: Share of images classified wrongly.
    """

    kind: str
    blocks: tuple[int, ...]
    error: float


@dataclass(frozen=True)
class LesionStudy:
    """All lesions of one network.

    Attributes:
        blocks: Number of blocks of the network.
        changing: Blocks that change the dimensions; without its branch such a one is a mere projection.
        error: Of the unharmed network.
        lesions: One by one.
    """

    blocks: int
    changing: tuple[int, ...]
    error: float
    lesions: tuple[Lesion, ...]

    def of(self, kind: str) -> list[Lesion]:
        """The lesions of one kind."""
        return [lesion for lesion in self.lesions if lesion.kind == kind]

    def damage(self, kind: str) -> list[float]:
        """By how much each lesion of a kind raised the error."""
        return [lesion.error - self.error for lesion in self.of(kind)]


@dataclass(frozen=True)
class LesionedNetwork:
    """A trained network and what its lesions showed.

    Attributes:
        label: Name and seed.
        family: The block.
        trial: Number of the trial.
        chance_error: Of always naming the most frequent class of the images.
        paths: By length; empty where there are blocks that do not add a shortcut and a branch.
    """

    label: str
    family: str
    trial: int
    seed: int
    chance_error: float
    study: LesionStudy
    paths: tuple[PathLength, ...]


def study_lesions(
    anatomy: Anatomy, evaluate: Evaluate, *, draws: int = 10, pairs: int = 100, seed: int = 0
) -> LesionStudy:
    """Remove, exchange and repeat blocks of a trained network, and evaluate it each time.

    Args:
        anatomy: Of the network, which is left as it was.
        evaluate: Error of the network as it then stands.
        draws: Sets of blocks drawn at random for each number of removed blocks.
        pairs: Pairs of blocks that are removed, at most; drawn at random where there are more.
        seed: Of the draws.
    """
    count = len(anatomy.plans)
    whole = [[number] for number in range(count)]
    removable = anatomy.removable
    randomness = random.Random(seed)
    plan: list[tuple[str, tuple[int, ...]]] = [("remove", (number,)) for number in removable]
    two = list(combinations(removable, 2))
    plan += [("pair", pair) for pair in (two if len(two) <= pairs else sorted(randomness.sample(two, pairs)))]
    for number in spread_counts(len(removable)):
        drawn = {tuple(sorted(randomness.sample(removable, number))) for _ in range(draws)}
        plan += [("random", blocks) for blocks in sorted(drawn)]
    plan += [("exchange", pair) for pair in anatomy.exchangeable]
    plan += [("repeat", (number,)) for number in anatomy.repeatable]
    lesions = []
    for kind, blocks in plan:
        with anatomy.rearranged(_arrange(whole, kind, blocks)) as network:
            lesions.append(Lesion(kind, blocks, evaluate(network)))
    changing = tuple(number for number, plan in enumerate(anatomy.plans) if plan.changes_dimensions)
    return LesionStudy(count, changing, evaluate(anatomy.network), tuple(lesions))


def _arrange(whole: Sequence[list[int]], kind: str, blocks: tuple[int, ...]) -> list[list[int]]:
    arrangement = list(whole)
    if kind == "exchange":
        one, other = blocks
        arrangement[one], arrangement[other] = [other], [one]
    else:
        for number in blocks:
            arrangement[number] = [number, number] if kind == "repeat" else []
    return arrangement
