# SPDX-License-Identifier: Apache-2.0
"""Annotated videos that a data set cannot use: logged once, and listed."""

import warnings
from collections.abc import Sequence

from pytorchvideo._text import are, counted
from pytorchvideo.data._reading.skipped import SkippedClip


def warn_of_left_out(left_out: Sequence[SkippedClip], total: int) -> None:
    """Warns once of videos that are left out, if there are any; the first three by name.

    Args:
        left_out: the videos and the reason of each, all of which ``dataset.skipped`` lists.
        total: the number of videos, with those left out.

    Raises:
        ValueError: all are left out.
    """
    if not left_out:
        return
    first = "; ".join(f"{video.path}: {video.reason}" for video in left_out[:3])
    said = f"{len(left_out)} of {counted(total, 'video')} {are(len(left_out))} left out. The first: {first}"
    if len(left_out) == total:
        raise ValueError(said)
    warnings.warn(f"{said} All are in `dataset.skipped`.", UserWarning, stacklevel=3)
