# SPDX-License-Identifier: Apache-2.0
"""People for the commands that detect actions: of a file, or of a detector by its name."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytorchvideo.inference.detection.found import People


def people_named(
    people: str | None, weights: Path | None, score: float, device: str = "cpu"
) -> "People":
    """Returns what finds people.

    Args:
        people: a file of boxes, or the name of a detector of torchvision; None is the default one.
        weights: of the detector.
        score: from which a box is a person.
        device: of the detector.

    Raises:
        ConnectionError: the weights of the detector are not in the cache, and cannot be downloaded.
        FileNotFoundError: there is no such file.
        ValueError: an unknown detector, or a file that cannot be read.
    """
    from pytorchvideo.inference.detection.people_file import PeopleFile

    if people is not None and (os.path.exists(people) or Path(people).suffix):
        return PeopleFile(people)
    from pytorchvideo.inference.detection.people_detectors import (
        DEFAULT_DETECTOR,
        torchvision_people,
    )
    from pytorchvideo.inference.devices import device_named

    return torchvision_people(
        people or DEFAULT_DETECTOR,
        weights=weights,
        device=device_named(device),
        score_threshold=score,
    )
