# SPDX-License-Identifier: Apache-2.0
"""The results of explanations: clips with their maps, numbers of them, and what is written of a video."""

import os
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor

from pytorchvideo.inference.explain.pointing import points_at, share_within

Method = Literal["gradcam", "rollout", "occlusion", "integrated-gradients"]
METHODS = get_args(Method)
#: What a map is of, for people.
TITLES: dict[Method, str] = {
    "gradcam": "class-activation map",
    "rollout": "attention, rolled out",
    "occlusion": "fall of the score where a part is covered",
    "integrated-gradients": "integrated gradients",
}


@dataclass(frozen=True)
class ClipExplanation:
    """A clip with its map.

    Attributes:
        start_sec: of the clip in its video.
        end_sec: of the clip in its video.
        times: of its frames in the video, in seconds.
        logit: of the class that is explained.
        score: its probability.
        frames: of the clip as the network saw it, with their own colours, uint8 (3, T, H, W).
        heat: the map, float32 (T, H, W) in 0..1; of several pathways, their mean.
        pathways: the map of each pathway, (T of its input, H, W).
        box: where a box of the video is in the clip, in pixels; None where none was given, or it is outside.
    """

    start_sec: float
    end_sec: float
    times: list[float]
    logit: float
    score: float
    frames: Tensor
    heat: Tensor
    pathways: list[Tensor]
    box: tuple[float, float, float, float] | None = None

    @property
    def frames_per_second(self) -> float:
        """Of what the network saw."""
        return self.frames.shape[1] / (self.end_sec - self.start_sec)

    @property
    def curve(self) -> list[float]:
        """The mean of the map of each frame."""
        return [float(value) for value in self.heat.mean(dim=(1, 2))]

    @property
    def share_in_box(self) -> float | None:
        """The share of the map that lies within the box; None without a box, or with a map of zeros."""
        return None if self.box is None else share_within(self.heat, self.box)

    @property
    def hits_box(self) -> bool | None:
        """Whether the map is greatest within the box (the pointing game); None as above."""
        return None if self.box is None else points_at(self.heat, self.box)


@dataclass(frozen=True)
class Explanation:
    """What a label of a video rests on.

    Attributes:
        video: its file.
        label: what is explained.
        method: how.
        clips: in the order of time.
    """

    video: str
    label: str
    method: Method
    clips: list[ClipExplanation]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain types: of each clip its times, score, share within the box, and the curve over its frames."""
        return {
            "video": self.video,
            "label": self.label,
            "method": self.method,
            "clips": [_plain(clip) for clip in self.clips],
        }

    def save(self, folder: str | os.PathLike[str]) -> list[str]:
        """Writes ``explanation.json``, ``.mp4``, ``.gif``, ``strip.png`` and ``curve.png``, and returns their names.

        Args:
            folder: is made if it is not there.

        Raises:
            OSError: a file cannot be written.
        """
        from pytorchvideo.inference.explain.files import write_files

        return write_files(self, folder)


def _plain(clip: ClipExplanation) -> dict[str, Any]:
    frames = [
        {"time_sec": round(time, 4), "mean": round(mean, 6)}
        for time, mean in zip(clip.times, clip.curve, strict=True)
    ]
    share = clip.share_in_box
    return {
        "start_sec": clip.start_sec,
        "end_sec": clip.end_sec,
        "score": clip.score,
        "logit": clip.logit,
        "box": None if clip.box is None else [round(value, 2) for value in clip.box],
        "share_in_box": None if share is None else round(share, 6),
        "points_at_box": clip.hits_box,
        "frames": frames,
    }
