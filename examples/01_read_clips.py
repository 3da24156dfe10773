# SPDX-License-Identifier: Apache-2.0
"""Cut clips out of a video file, whole and sparsely.

python examples/01_read_clips.py [VIDEO]
"""

import sys
import tempfile
from pathlib import Path

import torch

from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.utils import export_video_array


def make_video(path: Path) -> Path:
    """Four seconds of a bar that moves to the right."""
    clip = torch.zeros(3, 120, 96, 128, dtype=torch.uint8)
    for t in range(120):
        clip[:, t, :, t : t + 8] = 255
    export_video_array(clip, path, rate=30, video_codec="libx264")
    return path


def main() -> None:
    """Prints what a clip holds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else make_video(Path(folder) / "bar.mp4")
        with EncodedVideo.from_path(path) as video:
            print(video)
            clip = video.get_clip(1, 2)  # [1 s, 2 s): the frame at 2 s belongs to the next clip
            print("all frames: ", tuple(clip["video"].shape), clip["video"].dtype)
            # Only these eight are converted, and frames that no other depends on are not even decoded.
            sparse = video.get_clip(
                0, video.duration, lambda indices: indices[:: len(indices) // 8][:8]
            )
            print("eight of them:", tuple(sparse["video"].shape))


if __name__ == "__main__":
    main()
