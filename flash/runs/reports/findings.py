# SPDX-License-Identifier: Apache-2.0
"""Findings of a judgement, and the evidence that they are made from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from flash.runs.config import RunConfig
from flash.runs.reports.commands import beside, command, train_command
from flash.runs.reports.leaks import Leaks
from pytorchvideo.evaluation.scores import ClipResult
from pytorchvideo.evaluation.significance import wilson_interval

#: Share of the videos that is worth to be held out, at most: the others are to learn from.
MOST_HELD_OUT = 0.4

Level = Literal["problem", "caution", "fine"]


@dataclass(frozen=True)
class Finding:
    """One sentence on a run, with its figures.

    Args:
        kind: what it is about, one word.
        level: ``"problem"`` (the result cannot be used as it is), ``"caution"`` or ``"fine"``.
        text: the sentence.
        advice: what to do about it; may be empty.
        command: to type for that.
        figures: numbers and names in the sentence, plain types.
    """

    kind: str
    level: Level
    text: str
    advice: str = ""
    command: str | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain types, for json."""
        return dict(vars(self))


@dataclass(frozen=True)
class Evidence:
    """What a judgement is made from.

    Args:
        labels: class names.
        results: of the held-out videos.
        history: a row an epoch.
        trained_on: training videos of each class; empty where nothing was trained.
        leaks: what was found on both sides of the split; None where nobody looked.
        skipped: how many videos could not be read.
        config: of the run; None of an evaluation, for which there are no commands.
        out: folder of the run.
        split_given: whether the data came split, so that the run did not choose what it held out.
    """

    labels: Sequence[str]
    results: Sequence[ClipResult]
    history: Sequence[Mapping[str, float]] = ()
    trained_on: Mapping[str, int] = field(default_factory=dict)
    leaks: Leaks | None = None
    skipped: int = 0
    config: RunConfig | None = None
    out: Path = Path("run")
    split_given: bool = False

    @property
    def recordings(self) -> Path:
        """The list of videos with their recordings, as far as looks tell, for ``--groups``."""
        return self.out / "recordings.csv"

    @property
    def videos(self) -> Path:
        """The list of all videos of data that came split, without that split."""
        return self.out / "videos.csv"

    def again(self, name: str, **changes: Any) -> str | None:
        """The command that trains again with some changes, beside the run."""
        if self.config is None:
            return None
        return train_command(self.config, beside(self.out, name), **changes)

    def share_for(self, wanted: int, total: int) -> float | None:
        """Returns for ``--val-split`` what holds out so many of some videos; None where it cannot.

        Args:
            wanted: held-out videos.
            total: all of these videos.
        """
        if self.config is None or self.split_given:
            return None
        share = math.ceil(100 * wanted / total) / 100
        return share if self.config.val_split < share <= MOST_HELD_OUT else None

    def review(self) -> str | None:
        """The command that looks for wrong labels."""
        return None if self.config is None else command("review", self.out)


def interval_words(right: int, total: int) -> str:
    """Returns an accuracy with its interval.

    >>> interval_words(9, 12)
    '75.0% (95 % interval 46.8% to 91.1%)'
    """
    low, high = wilson_interval(right, total)
    return f"{right / total:.1%} (95 % interval {low:.1%} to {high:.1%})"
