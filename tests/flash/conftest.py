# SPDX-License-Identifier: Apache-2.0
"""Videos that the tests of runs and of their sources share."""

from pathlib import Path

import numpy as np
import pytest

from flash.demo import MOTIONS, write_motion_video


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six videos of each of two motions, three sources of each."""
    root = tmp_path_factory.mktemp("data")
    for number, label in enumerate(MOTIONS[:2]):
        (root / label).mkdir()
        for i in range(6):
            path = root / label / f"source{i // 2}_{i}.mp4"
            generator = np.random.default_rng([number, i])
            write_motion_video(path, label, generator, size=(8, 64, 48), seconds=1.0)
    return root
