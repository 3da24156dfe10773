# SPDX-License-Identifier: Apache-2.0
"""Memory of a sparse clip, measured in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="the peak of a process is asked of Unix")

# A small clip first, so that what is loaded once counts as baseline.
SCRIPT = """
import json, resource, sys
import torch
from pytorchvideo.data.encoded_video import EncodedVideo

torch.set_num_threads(1)
unit = 1 if sys.platform == "darwin" else 1024  # of the peak, in bytes

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

def read(path):
    with EncodedVideo.from_path(path, decode_audio=False) as video:
        return video.get_clip(0, 10, lambda i: i[:: len(i) // 8][:8])["video"]

small, large = sys.argv[1:]
read(small)
before = peak()
shape = list(read(large).shape)
print(json.dumps({"bytes": peak() - before, "shape": shape}))
"""


def test_eight_frames_of_ten_seconds_take_less_than_60_mb(make_video: Callable[..., Path]) -> None:
    """The eight frames themselves are 29.5 MB, all 300 would be 1.1 GB."""
    options = {"preset": "ultrafast", "g": "60"}
    small = make_video("small.mp4", num_frames=300, options=options)
    large = make_video("640x480.mp4", num_frames=300, height=480, width=640, options=options)
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(small), str(large)],
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(run.stdout)
    assert found["shape"] == [3, 8, 480, 640]
    assert found["bytes"] < 60e6
