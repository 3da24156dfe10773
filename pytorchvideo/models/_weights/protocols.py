# SPDX-License-Identifier: Apache-2.0
"""Test protocols of published weights: which clips and crops of a video the published scores are of.

Clips begin by one of these rules, for N clips of T frames at a distance of tau frames:

=============  =====================================================================================================
name           starts and frames
=============  =====================================================================================================
``share``      at i/N of the frames that a clip leaves, T frames from the first to the last of a span that is
               T * tau / 30 seconds: PySlowFast
``seconds``    at i/(N - 1) of the seconds that a clip leaves: PyTorchVideo
``offsets``    as ``share``, but at i times the whole number of frames that are 1/(N - 1) of the rest, a single clip
               in the middle: PySlowFast with ``USE_OFFSET_SAMPLING``
``rounded``    at the whole frame nearest to i/(N - 1), every tau-th frame of the file: PySlowFast on Charades
``whole``      the middles of T equal parts of the video: PySlowFast on Something-Something
``keyframe``   around a frame, every tau-th frame of the file: AVA
=============  =====================================================================================================
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal, TypeAlias

from pytorchvideo import _positions
from pytorchvideo._checks import check_choice, expected
from pytorchvideo._positions import SPAN_FPS, FrameTimes
from pytorchvideo.transforms.clip_recipe import ClipRecipe

Starts: TypeAlias = Literal["share", "seconds", "offsets", "rounded", "whole", "keyframe"]
Combine: TypeAlias = Literal["sum", "mean", "max"]

_RULES: dict[str, Callable[[FrameTimes, int, Any, int], list[list[int]]]] = {
    "share": _positions.frames_by_share,
    "seconds": _positions.frames_by_seconds,
    "offsets": _positions.frames_by_offset,
    "rounded": _positions.frames_by_rounding,
    "whole": _positions.frames_of_whole,
}


@dataclass(frozen=True)
class Protocol:
    """How a published score was measured.

    Args:
        clips: of a video.
        crops: of a clip: 1 is the centre, 3 also both sides.
        starts: where clips begin, see :mod:`pytorchvideo.models._weights.protocols`.
        activation: of the classes.
        per_position: whether each position of the network's last map has its scores, of which the mean is taken, as
            PySlowFast does; otherwise they are those of the mean over positions, as the models of the hub do.
        combine: the views of a video. Their sum ranks as their mean does.
        also: the rule by which others have measured the same weights.

    Raises:
        ValueError: no such rule or combination, fewer than one clip, or other crops than 1 and 3.
    """

    clips: int
    crops: int
    starts: Starts
    activation: Literal["softmax", "sigmoid"] = "softmax"
    per_position: bool = True
    combine: Combine = "mean"
    also: Starts | None = None

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ValueError(expected("clips", ">= 1", self.clips))
        if self.crops not in (1, 3):
            raise ValueError(expected("crops", "1 or 3", self.crops))
        check_choice("starts", self.starts, (*_RULES, "keyframe"))
        check_choice("activation", self.activation, ("softmax", "sigmoid"))
        check_choice("combine", self.combine, ("sum", "mean", "max"))

    @property
    def views(self) -> int:
        """Clips times crops."""
        return self.clips * self.crops

    @property
    def keeps_seconds(self) -> bool:
        """Whether a clip is as long in a video of another rate; otherwise it has every tau-th frame, or the whole."""
        return self.starts in ("share", "seconds", "offsets")


@dataclass(frozen=True)
class ProtocolViews:
    """The views of a protocol, of clips that a recipe describes.

    Args:
        protocol: which clips and crops.
        recipe: frames, their distance, sides in pixels, and the order of colours.
    """

    protocol: Protocol
    recipe: ClipRecipe

    def frames(self, times: FrameTimes) -> list[list[int]]:
        """Returns the numbers of the frames of each clip of a video.

        Raises:
            ValueError: the video has no frame, or clips are those around given frames; see :meth:`around`.
        """
        if times.count < 1:
            raise ValueError(expected("times", "of one frame or more", times.count))
        rule = _RULES.get(self.protocol.starts)
        if rule is None:
            advice = "Use around(centre, count) for the frames around one."
            starts = self.protocol.starts
            raise ValueError(expected("starts", "a rule for whole videos", starts, advice))
        return rule(times, self.recipe.num_frames, self.distance, self.protocol.clips)

    @property
    def distance(self) -> int | Fraction:
        """The distance of frames, of a video of 30 a second where clips keep their seconds; not always whole."""
        recipe = self.recipe
        if not self.protocol.keeps_seconds:
            return recipe.sampling_rate
        rate = Fraction(recipe.frames_per_second).limit_denominator(1_000_000)
        distance = Fraction(recipe.sampling_rate * SPAN_FPS) / rate
        return int(distance) if distance.denominator == 1 else distance

    def around(self, centre: int, count: int) -> list[int]:
        """Returns the frames of the clip around one.

        Args:
            centre: its number.
            count: of frames of the video.
        """
        recipe = self.recipe
        return _positions.frames_around(centre, recipe.num_frames, recipe.sampling_rate, count)


# models of 2019 to 2021, "10 x 3": PySlowFast, projects/pytorchvideo/README.md, and its TEST defaults
_THIRTY_VIEWS = Protocol(clips=10, crops=3, starts="seconds")
# the configurations of these are native ones; PyTorchVideo ran them by its own rule
_THIRTY_VIEWS_NATIVE = replace(_THIRTY_VIEWS, starts="share", also="seconds")
# arXiv 2104.11227, section 4
_FIVE_VIEWS = Protocol(clips=5, crops=1, starts="offsets")
_CHARADES = Protocol(clips=10, crops=3, starts="rounded", activation="sigmoid", combine="max")
_SSV2 = Protocol(clips=1, crops=3, starts="whole")
_AVA = Protocol(clips=1, crops=1, starts="keyframe", activation="sigmoid")

#: By the name of the weights. Sides, frames, order of colours and published scores are in the record of these.
PROTOCOLS: dict[str, Protocol] = {
    "c2d_r50": _THIRTY_VIEWS_NATIVE,
    "i3d_r50": _THIRTY_VIEWS_NATIVE,
    "slow_r50": _THIRTY_VIEWS_NATIVE,
    "slow_r50_4x16": _THIRTY_VIEWS_NATIVE,
    "csn_r101": _THIRTY_VIEWS,
    "r2plus1d_r50": _THIRTY_VIEWS,
    "slowfast_r50": _THIRTY_VIEWS,
    "slowfast_r50_4x16": _THIRTY_VIEWS,
    "slowfast_r101": _THIRTY_VIEWS,
    "slowfast_16x8_r101_50_50": _THIRTY_VIEWS,
    "x3d_xs": _THIRTY_VIEWS,
    "x3d_s": _THIRTY_VIEWS,
    "x3d_m": _THIRTY_VIEWS,
    "x3d_l": _THIRTY_VIEWS,
    "mvit_base_16x4": _FIVE_VIEWS,
    "mvit_base_32x3": _FIVE_VIEWS,
    "slow_r50_ssv2": _SSV2,
    "slowfast_r50_ssv2": _SSV2,
    "slow_r50_charades": _CHARADES,
    "slowfast_r50_charades": _CHARADES,
    "slow_r50_detection": _AVA,
    "slowfast_r50_detection": _AVA,
}


def _views(clips: int, crops: int, frames: int, rate: int, side: int) -> ProtocolViews:
    recipe = ClipRecipe(num_frames=frames, sampling_rate=rate, side_size=side, crop_size=224)
    return ProtocolViews(Protocol(clips=clips, crops=crops, starts="offsets"), recipe)


#: Of PySlowFast's models whose weights are not in this zoo: views and published top-1 on Kinetics-400, in percent.
OTHER_VIEWS: dict[str, tuple[ProtocolViews, float]] = {
    "MVITv2_S_16x4": (_views(5, 1, 16, 4, 256), 81.0),
    "MVITv2_B_32x3": (_views(5, 1, 32, 3, 256), 82.9),
    "MAE_VIT_L_16x4": (_views(7, 3, 16, 4, 224), 84.8),
    "MaskFeat_MVITv2_S_16x4": (_views(10, 1, 16, 4, 256), 82.2),
}
