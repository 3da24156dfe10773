# SPDX-License-Identifier: Apache-2.0
"""The mark of runs of action detectors; without PyTorch, which takes seconds to import."""

import os
from pathlib import Path

from pytorchvideo._text import read_object

#: What ``config.json`` of such a run calls its task.
TASK = "detection"


def is_detection_run(folder: str | os.PathLike[str]) -> bool:
    """Whether there is a run of an action detector in a folder."""
    file = Path(folder) / "config.json"
    return file.is_file() and read_object(file, "the configuration of a run").get("task") == TASK
