# SPDX-License-Identifier: Apache-2.0
"""Seeded splits of labelled files that keep groups together."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch

from pytorchvideo._checks import expected
from pytorchvideo._text import counted

#: A path, or a clip in memory, with what is known of it.
Item = tuple[Any, dict[str, Any]]


def split_items(
    items: Sequence[Item],
    fraction: float,
    *,
    seed: int = 0,
    group: Callable[[Any], Hashable] | None = None,
) -> tuple[list[Item], list[Item]]:
    """Splits labelled files into a training and a validation part, class by class.

    Args:
        items: ``(path, {"label": id, ...})`` pairs.
        fraction: share of each class's groups that goes to validation, in (0, 1). A class with two
            groups or more gives at least one to each side. Labels that are vectors, for several classes at
            once, are not told apart.
        seed: the same seed gives the same split, whatever else drew random numbers.
        group: maps a path to the source that it was cut from; files of one source are never
            separated. None makes every file its own source. A source with several classes counts for
            its most frequent one.

    Returns:
        ``(train, validation)``, each in the order of ``items``.

    Raises:
        ValueError: if ``fraction`` is outside (0, 1), or a side would be empty.

    >>> files = [(f"{c}{i}.mp4", {"label": c}) for c in (0, 1) for i in range(4)]
    >>> train, val = split_items(files, 0.25)
    >>> len(train), [item["label"] for _, item in val]
    (6, [0, 1])
    """
    if not 0 < fraction < 1:
        raise ValueError(expected("val_split", "between 0 and 1", fraction))
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, (path, _) in enumerate(items):
        members[index if group is None else group(path)].append(index)
    by_label: dict[Any, list[list[int]]] = defaultdict(list)
    for indices in members.values():
        labels = Counter(_stratum(items[index][1]) for index in indices)
        by_label[labels.most_common(1)[0][0]].append(indices)
    generator = torch.Generator().manual_seed(seed)
    held_out: set[int] = set()
    for groups in by_label.values():
        count = min(max(round(len(groups) * fraction), 1), len(groups) - 1)
        for position in torch.randperm(len(groups), generator=generator)[:count].tolist():
            held_out.update(groups[position])
    train = [item for index, item in enumerate(items) if index not in held_out]
    val = [item for index, item in enumerate(items) if index in held_out]
    if not train or not val:
        raise ValueError(
            f"Expected `val_split` to leave files on both sides, but {counted(len(items), 'file')} in "
            f"{counted(len(members), 'group')} cannot be split. Use more files, or give the validation files yourself."
        )
    return train, val


def _stratum(info: dict[str, Any]) -> Hashable:
    label = info.get("label")
    return None if isinstance(label, torch.Tensor) else label
