"""Fixed, stratified splits: they depend on the labels and `split_seed` alone, never on a trial's seed."""

from __future__ import annotations

import torch
from torch import Tensor

from archsearch.data.dataset import Split
from archsearch.data.source import RawData
from archsearch.errors import DataError
from archsearch.study.settings import DataSettings


def split_data(raw: RawData, settings: DataSettings) -> tuple[Split, Split, Split]:
    """Set test and validation images aside where the source has none of its own, then limit the training.

    Returns:
        Training, validation and test split.

    Raises:
        DataError: A class is too small to be split, or `train_limit` is below the number of classes.
    """
    generator = torch.Generator().manual_seed(settings.split_seed)
    train, val, test = raw.train, raw.val, raw.test
    if test is None:
        train, test = set_aside(train, settings.test_frac, generator, field="data.test_frac")
    if val is None:
        train, val = set_aside(train, settings.val_frac, generator, field="data.val_frac")
    if settings.train_limit:
        train = limit_images(train, settings.train_limit, generator)
    return train, val, test


def set_aside(
    split: Split, share: float, generator: torch.Generator, *, field: str = ""
) -> tuple[Split, Split]:
    """Divide a split into the rest and `share` of each class (rounded; at least one image on each side)."""
    sizes = torch.bincount(split.labels)
    if bool(((sizes == 1) | (sizes == 0)).any()):
        smallest = int(sizes.argmin())
        raise DataError(
            f"needs at least two images of each class to set some aside; class {smallest} is too small",
            path=field,
            got=int(sizes[smallest]),
            fix="Give the source its own validation and test images, or remove the class.",
        )
    quota = (sizes * share).round().long().clamp_min(1).minimum(sizes - 1)
    taken = _choose_images(split.labels, quota, generator)
    return split.select((~taken).nonzero().flatten()), split.select(taken.nonzero().flatten())


def limit_images(split: Split, limit: int, generator: torch.Generator) -> Split:
    """Keep `limit` images, the classes in proportion, at least one of each; all, where there are fewer."""
    sizes = torch.bincount(split.labels)
    if limit >= len(split):
        return split
    if limit < len(sizes):
        raise DataError(
            f"must be 0 or at least the number of classes ({len(sizes)})", path="data.train_limit", got=limit
        )
    share = sizes * (limit / len(split))
    quota = share.long().clamp_min(1)
    # The largest remainder gets what rounding down left over, or gives back what the minimum of one took.
    while (missing := limit - int(quota.sum())) != 0:
        step = 1 if missing > 0 else -1
        room = quota < sizes if step > 0 else quota > 1
        order = ((share - quota) * step).masked_fill(~room, -torch.inf).argsort(descending=True, stable=True)
        quota[order[: min(abs(missing), int(room.sum()))]] += step
    return split.select(_choose_images(split.labels, quota, generator).nonzero().flatten())


def _choose_images(labels: Tensor, quota: Tensor, generator: torch.Generator) -> Tensor:
    """Mark `quota[c]` random images of each class c."""
    shuffled = torch.randperm(len(labels), generator=generator)
    by_class = shuffled[labels[shuffled].argsort(stable=True)]
    ordered = labels[by_class]
    first_of_class = torch.bincount(labels).cumsum(0) - torch.bincount(labels)
    rank = torch.arange(len(labels)) - first_of_class[ordered]
    marked = torch.zeros(len(labels), dtype=torch.bool)
    marked[by_class[rank < quota[ordered]]] = True
    return marked
