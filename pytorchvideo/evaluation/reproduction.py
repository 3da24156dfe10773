# SPDX-License-Identifier: Apache-2.0
"""The figures of a reproduced test beside the published ones, and what may explain that they differ."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pytorchvideo._text import counted
from pytorchvideo.evaluation.charades import charades_map
from pytorchvideo.evaluation.labelled import LabelledVideos
from pytorchvideo.evaluation.official import RULES, OfficialTest
from pytorchvideo.evaluation.score_file import ScoredVideo
from pytorchvideo.evaluation.significance import wilson_interval
from pytorchvideo.evaluation.videos import Skipped

_SAMPLES = 400  # of the bootstrap


@dataclass(frozen=True)
class Figure:
    """One figure, in percent.

    Attributes:
        value: over the videos that could be read.
        low: of its 95 % interval: Wilson's for accuracies, a bootstrap over videos for the mean average precision.
        high: of the same.
        published: by whom the model comes from; None where nothing is.
    """

    value: float
    low: float
    high: float
    published: float | None = None

    @property
    def difference(self) -> float | None:
        """The figure less the published one, in points."""
        return None if self.published is None else self.value - self.published

    @property
    def difference_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the difference, with the published figure taken as exact."""
        if self.published is None:
            return None
        return self.low - self.published, self.high - self.published

    def to_dict(self) -> dict[str, Any]:
        """Returns the figure with its difference as plain values."""
        interval = self.difference_interval
        return asdict(self) | {
            "difference": self.difference,
            "difference_low": None if interval is None else interval[0],
            "difference_high": None if interval is None else interval[1],
        }


@dataclass(frozen=True)
class Reproduction:
    """What came out of a test.

    Attributes:
        test: the model and its protocol.
        videos: those of the list.
        rows: a row for each of these, in their order.
        figures: by name, ``top1`` and ``top5``, or ``mAP``.
        causes: sentences on what makes such figures differ and applies here.
        table: name of the file with the scores of each video.
    """

    test: OfficialTest
    videos: LabelledVideos
    rows: Sequence[ScoredVideo]
    figures: dict[str, Figure]
    causes: tuple[str, ...]
    table: str = ""

    @property
    def skipped(self) -> list[Skipped]:
        """``(path, reason)`` of the videos without scores, those that are missing first."""
        missing = [(row.video, row.reason or "") for row in self.rows if row.is_missing]
        unreadable = [
            (row.video, row.reason or "")
            for row in self.rows
            if row.scores is None and not row.is_missing
        ]
        return [*self.videos.left_out, *missing, *unreadable]

    def to_dict(self) -> dict[str, Any]:
        """Returns everything but the scores of videos as plain values."""
        sides = [row.short_side for row in self.rows if row.short_side is not None]
        missing = len(self.videos.left_out) + sum(row.is_missing for row in self.rows)
        return {
            "model": self.test.model,
            "weights": self.test.weights,
            "weights_are_published": bool(self.test.published) and self.test.is_known,
            "data": self.videos.data,
            "protocol": self.test.protocol(),
            "published_for": self.test.measured,
            "videos": {
                "listed": len(self.rows) + len(self.videos.left_out),
                "scored": sum(row.scores is not None for row in self.rows),
                "missing": missing,
                "unreadable": len(self.skipped) - missing,
            },
            "short_sides": {
                "least": min(sides, default=None),
                "median": statistics.median_low(sides) if sides else None,
                "most": max(sides, default=None),
            },
            "figures": {name: figure.to_dict() for name, figure in self.figures.items()},
            "causes": list(self.causes),
            "skipped": [list(pair) for pair in self.skipped],
            "table": self.table,
        }


def reproduction(
    test: OfficialTest, videos: LabelledVideos, rows: Sequence[ScoredVideo], table: str = ""
) -> Reproduction:
    """Returns the figures of scored videos, of which there is one or more."""
    pairs = [
        (row.scores, target)
        for row, target in zip(rows, videos.targets, strict=True)
        if row.scores is not None
    ]
    scores = np.stack([scores for scores, _ in pairs])
    targets = [target for _, target in pairs]
    figures = (
        _precision(test, scores, targets)
        if test.multi_label
        else _accuracies(test, scores, targets)
    )
    bare = Reproduction(test, videos, rows, figures, (), table)
    return Reproduction(test, videos, rows, figures, tuple(_causes(bare)), table)


def ranks(scores: np.ndarray, targets: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Returns how many classes come before the true one of each video, equal scores in the order of classes.

    >>> ranks(np.array([[0.2, 0.5, 0.5], [0.6, 0.3, 0.1]]), [(2,), (0,)]).tolist()
    [1, 0]
    """
    true = np.array([target[0] for target in targets])
    own = scores[np.arange(len(true)), true][:, None]
    before = np.arange(scores.shape[1]) < true[:, None]
    return (scores > own).sum(axis=1) + ((scores == own) & before).sum(axis=1)


def _accuracies(
    test: OfficialTest, scores: np.ndarray, targets: Sequence[tuple[int, ...]]
) -> dict[str, Figure]:
    places = ranks(scores, targets)
    figures = {}
    for top in (1, 5):
        if top < scores.shape[1]:
            right = int((places < top).sum())
            low, high = wilson_interval(right, len(places))
            share, published = right / len(places), test.published.get(f"top{top}")
            figures[f"top{top}"] = Figure(100 * share, 100 * low, 100 * high, published)
    return figures


def _precision(
    test: OfficialTest, scores: np.ndarray, targets: Sequence[tuple[int, ...]]
) -> dict[str, Figure]:
    truth = np.zeros(scores.shape, bool)
    for row, target in enumerate(targets):
        truth[row, list(target)] = True
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(_SAMPLES):
        chosen = random.integers(0, len(scores), len(scores))
        drawn.append(charades_map(scores[chosen], truth[chosen]).mean)
    found = np.array(drawn)
    found = found[np.isfinite(found)]  # of samples without any positive
    value = charades_map(scores, truth).mean
    low, high = np.quantile(found, (0.025, 0.975)) if len(found) else (0.0, 1.0)
    figure = Figure(100 * value, 100 * float(low), 100 * float(high), test.published.get("mAP"))
    return {"mAP": figure}


def _causes(found: Reproduction) -> list[str]:
    """What is known to move such figures by tenths of a point to some points, and applies here."""
    test = found.test
    of, clip = test.views.protocol, test.views.recipe
    causes = [
        f"Chance: the published {name}, {figure.published:.2f}, lies within the 95 % interval of these videos."
        for name, figure in found.figures.items()
        if figure.published is not None and figure.low <= figure.published <= figure.high
    ]
    if test.published and not test.is_official:
        causes.append(
            f"Other views: these are {of.clips} x {of.crops} a video; the published figures are of: {test.measured}."
        )
    if test.published and not test.is_known:
        causes.append(
            f"Weights: {test.weights} is not known to be the published file; another training of the same recipe "
            "differs by some tenths."
        )
    causes += _of_videos(found)
    causes += _of_sides(found)
    if of.also is not None:
        (ours, words), (other, others) = RULES[of.starts], RULES[of.also]
        causes.append(
            f"Start rule: clips begin by rule {ours}, {words}; others measured the same weights by rule {other}, "
            f"{others}."
        )
    if clip.crop_size is not None and test.published:
        causes.append(_of_crop(clip.side_size, clip.crop_size))
    return causes


def _of_videos(found: Reproduction) -> list[str]:
    causes = []
    said = found.to_dict()["videos"]
    absent = said["missing"] + said["unreadable"]
    if absent:
        bounds = ""
        if "top1" in found.figures:
            right = found.figures["top1"].value * said["scored"] / said["listed"]
            most = right + 100 * absent / said["listed"]
            bounds = f" With them top-1 could be anywhere from {right:.2f} to {most:.2f}."
        causes.append(
            f"Videos: of {said['listed']}, {said['missing']} are missing and {said['unreadable']} cannot be read; the "
            f"figures are of the other {said['scored']}.{bounds}"
        )
    present = {number for target in found.videos.targets for number in target}
    classes = len(found.test.labels)
    if len(present) < classes and found.test.published:
        causes.append(
            f"Classes: the videos are of {len(present)} of the {counted(classes, 'class')}; the published figures "
            "are of all."
        )
    return causes


def _of_sides(found: Reproduction) -> list[str]:
    wanted = found.test.views.recipe.side_size
    sides = [row.short_side for row in found.rows if row.short_side is not None]
    other = [side for side in sides if side != wanted]
    if not other:
        return []
    below = sum(side < wanted for side in sides)
    larger = f"{len(other) - below} are larger and are reduced"
    return [
        f"Short side: the protocol scales it to {wanted} pixels; of {len(sides)} files {below} are smaller and are "
        f"enlarged, {larger} ({min(sides)} to {max(sides)}). Files that were stored smaller than the originals cost "
        "some tenths."
    ]


def _of_crop(side: int, crop: int) -> str:
    if crop == side:
        return f"Crops: whole short sides of {crop} pixels are tested; crops of training are smaller, and give others."
    return f"Crops: {crop} pixels of a short side of {side} are tested; crops of {side} give other figures."
