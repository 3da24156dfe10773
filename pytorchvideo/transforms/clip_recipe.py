# SPDX-License-Identifier: Apache-2.0
"""Clip recipes: the clips and preprocessing that a model expects."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import nn

from pytorchvideo._checks import check_choice, expected
from pytorchvideo.transforms._clip import (
    ChannelNormalize,
    Div255,
    ReverseChannels,
    ShortSideScale,
    UniformTemporalSubsample,
    UniformTemporalSubsampleRepeated,
)
from pytorchvideo.transforms._sample import ApplyTransformToKey, UniformCropVideo
from pytorchvideo.transforms._video import CenterCropVideo

if TYPE_CHECKING:
    from torchvision import transforms as T

__all__ = ["ClipRecipe", "Views", "sized"]

# what a file may ask for: pixels, frames; channels, pathways
_LARGEST, _MOST_PARTS = 1 << 16, 16
_MOST_NUMBERS = 1 << 28  # of a clip: 1 GiB as float32, nine times 64 frames of 384x384

#: Range of the short side in training over the side in evaluation (arXiv 1711.07971, section 4: 256 to 320).
TRAIN_SIDE_RANGE = 1.25

_BOXES = (
    "Change clips and their boxes together: random_short_side_scale_with_boxes, random_crop_with_boxes and "
    "horizontal_flip_with_boxes of pytorchvideo.transforms.functional."
)


class Views(NamedTuple):
    """How to test with several views of a video.

    Attributes:
        clip_sampler: keywords of ``make_clip_sampler("constant_clips_per_video", **clip_sampler)``.
        transform: of the samples of a dataset with this clip sampler.
    """

    clip_sampler: dict[str, Any]
    transform: "T.Compose"


@dataclass(frozen=True)
class ClipRecipe:
    """How a stretch of video becomes the input of a model.

    Args:
        num_frames: frames of the clip, taken at equal distances.
        sampling_rate: distance of two frames, in frames of a video of ``frames_per_second``.
        frames_per_second: rate of the videos that the model was trained on.
        side_size: short side of the frames after scaling, in pixels.
        crop_size: side of the square that is cut out, in pixels; None leaves the frames whole.
        mean: a channel each, of values in [0, 1].
        std: a channel each.
        pathway_ratio: for models with several inputs, the ratio of the clip's frames to those of each.
        channels: ``"rgb"``, or ``"bgr"`` for weights that were trained on clips with blue first, as PySlowFast's of
            Something-Something and Charades were.
        whole_video: a clip is a whole video, the middle frame of each of ``num_frames`` equal parts of it, whatever
            ``sampling_rate``: how PySlowFast trains and tests on Something-Something.

    >>> recipe = ClipRecipe(num_frames=8, sampling_rate=8, side_size=256, crop_size=256)
    >>> round(recipe.clip_duration_sec, 3)
    2.133
    >>> ClipRecipe.from_dict(recipe.to_dict()) == recipe
    True
    """

    num_frames: int
    sampling_rate: int
    frames_per_second: float = 30.0
    side_size: int = 256
    crop_size: int | None = 224
    mean: tuple[float, ...] = (0.45, 0.45, 0.45)
    std: tuple[float, ...] = (0.225, 0.225, 0.225)
    pathway_ratio: tuple[int, ...] | None = None
    channels: str = "rgb"
    whole_video: bool = False

    def __post_init__(self) -> None:
        if min(self.num_frames, self.sampling_rate) < 1 or self.frames_per_second <= 0:
            rate = (self.num_frames, self.sampling_rate, self.frames_per_second)
            raise ValueError(expected("num_frames, sampling_rate, frames_per_second", "> 0", rate))
        check_choice("channels", self.channels, ("rgb", "bgr"))
        if self.crop_size is not None and not 0 < self.crop_size <= self.side_size:
            advice = "A crop cannot be larger than the frame it is cut from."
            raise ValueError(
                expected("crop_size", f"in 1..{self.side_size}", self.crop_size, advice)
            )

    @property
    def clip_duration_sec(self) -> float:
        """Length of the clip that the model sees, in seconds."""
        return self.num_frames * self.sampling_rate / self.frames_per_second

    @property
    def sampled_frames_per_second(self) -> float:
        """Frames that the model sees of each second, whatever the rate of the video is.

        >>> ClipRecipe(num_frames=8, sampling_rate=8).sampled_frames_per_second
        3.75
        """
        return self.frames_per_second / self.sampling_rate

    def transforms(
        self, train: bool = False, key: str | None = None, horizontal_flip_prob: float = 0.5
    ) -> "T.Compose":
        """Returns the transform of float clips (C, T, H, W) in 0..255 into a model's input.

        Args:
            train: scale, crop and flip at random instead of taking the centre.
            key: for samples that are dicts, the key of the clip.
            horizontal_flip_prob: in training, the share of clips to flip; 0 where left and right matter.

        Raises:
            ValueError: training, and frames that are left whole: their boxes would not move with them.
        """
        from torchvision import transforms as T

        if train and self.crop_size is None:
            raise ValueError(expected("train", "False for frames left whole", train, _BOXES))
        steps = self._steps("train" if train else "val", horizontal_flip_prob)
        clip_transform = T.Compose([*steps, *self.pathway_steps()])
        if key is None:
            return clip_transform
        return T.Compose([ApplyTransformToKey(key=key, transform=clip_transform)])

    def views(self, protocol: str, key: str = "video") -> Views:
        """Returns how to test with several clips of a video and several crops of each.

        Clips are spread evenly, a single one is the middle, as of a :class:`VideoPredictor`. Each is decoded once; its
        crops lie side by side along the longer side of the frames.

        Args:
            protocol: ``"10x3"`` for 10 clips with 3 crops each; the number of crops is 1 or 3.
            key: of samples, the entry with the clip.

        Raises:
            ValueError: another number of crops, not such a protocol, or crops of a recipe without them.

        >>> views = ClipRecipe(num_frames=8, sampling_rate=8).views("10x3")
        >>> views.clip_sampler["clips_per_video"], views.clip_sampler["augs_per_clip"]
        (10, 3)
        """
        from torchvision import transforms as T

        found = re.fullmatch(r"([1-9]\d*)x([13])", protocol)
        if found is None:
            advice = 'A protocol is clips x crops, as "10x3" or "5x1".'
            raise ValueError(expected("protocol", "clips x 1 or 3 crops", protocol, advice))
        clips, crops = int(found[1]), int(found[2])
        sampler: dict[str, Any] = {
            "clip_duration": self.clip_duration_sec,
            "clips_per_video": clips,
            "augs_per_clip": crops,
        }
        if clips == 1:
            sampler["single"] = "middle"
        if crops == 1:
            return Views(sampler, self.transforms(key=key))
        if self.crop_size is None:
            raise ValueError(expected("protocol", "clips x 1 for whole frames", protocol))
        *before_crop, _ = self._steps("val")
        steps = [
            ApplyTransformToKey(key=key, transform=T.Compose(before_crop)),
            UniformCropVideo(self.crop_size, video_key=key),
            *(ApplyTransformToKey(key=key, transform=step) for step in self.pathway_steps()),
        ]
        return Views(sampler, T.Compose(steps))

    def evaluation_steps(self) -> list[nn.Module]:
        """Returns the steps of ``transforms()`` as modules without torchvision, which takes seconds to import."""
        steps: list[nn.Module] = [
            UniformTemporalSubsample(self.num_frames),
            Div255(),
            ChannelNormalize(self.mean, self.std),
            ShortSideScale(self.side_size),
        ]
        if self.crop_size is not None:
            steps.append(CenterCropVideo(self.crop_size))
        return [*steps, *self.pathway_steps()]

    def _steps(self, mode: str, horizontal_flip_prob: float = 0.5) -> list[Callable[[Any], Any]]:
        """The transforms of a clip, before it is split into pathways."""
        from pytorchvideo.transforms.transforms_factory import create_video_transform

        steps: list[Callable[[Any], Any]] = create_video_transform(
            mode,
            num_samples=self.num_frames,
            video_mean=self.mean,
            video_std=self.std,
            min_size=self.side_size,
            max_size=round(self.side_size * TRAIN_SIDE_RANGE),
            crop_size=self.crop_size or self.side_size,
            horizontal_flip_prob=horizontal_flip_prob,
        ).transforms
        # the crop is the last step of evaluation
        return steps[:-1] if self.crop_size is None else steps

    def pathway_steps(self) -> list[nn.Module]:
        """Returns the last steps of ``transforms()``, after the crop: other order of colours, split into pathways."""
        steps: list[nn.Module] = [ReverseChannels()] if self.channels == "bgr" else []
        if self.pathway_ratio is not None:
            steps.append(UniformTemporalSubsampleRepeated(self.pathway_ratio))
        return steps

    def to_dict(self) -> dict[str, Any]:
        """Returns the recipe as numbers, lists and None, for json and for checkpoints."""
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        if self.channels == "rgb":  # which programs that know no other order can read
            del values["channels"]
        if not self.whole_video:  # likewise
            del values["whole_video"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ClipRecipe":
        """Makes a recipe from what :meth:`to_dict` returned.

        Raises:
            ValueError: a name is not one of a recipe, or a value none that it can have.
        """
        names = {field.name for field in fields(cls)}
        given = set(values) if isinstance(values, Mapping) else {""}
        if not {"num_frames", "sampling_rate"} <= given <= names:
            wanted = f"made of {sorted(names)}, with num_frames and sampling_rate"
            raise ValueError(expected("recipe", wanted, values))
        for name, value in values.items():
            if not _fits(name, value):
                raise ValueError(expected(name, "what a recipe can have", value))
        arguments: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return _bounded(cls(**arguments), "num_frames, side_size")


def _bounded(recipe: ClipRecipe, named: str) -> ClipRecipe:
    """The recipe, unless its clips are larger than memory should be asked for."""
    if 3 * recipe.num_frames * recipe.side_size**2 > _MOST_NUMBERS:
        got = f"{recipe.num_frames} of {recipe.side_size}x{recipe.side_size}"
        wanted = f"such that a clip has at most {_MOST_NUMBERS:,} numbers, which are 1 GiB"
        raise ValueError(expected(named, wanted, got))
    return recipe


def _fits(name: str, value: Any) -> bool:
    """Whether a file may set a field of a recipe so."""
    if value is None:
        return name in ("crop_size", "pathway_ratio")
    if name == "frames_per_second":
        return isinstance(value, (int, float)) and math.isfinite(value)
    if name in ("mean", "std", "pathway_ratio"):
        kinds = int if name == "pathway_ratio" else (int, float)
        return (
            isinstance(value, (list, tuple))
            and 0 < len(value) <= _MOST_PARTS
            and all(isinstance(part, kinds) and math.isfinite(part) for part in value)
            and (name == "mean" or all(part > 0 for part in value))
        )
    if name == "channels":
        return value in ("rgb", "bgr")
    if name == "whole_video":
        return isinstance(value, bool)
    return type(value) is int and 0 < value <= _LARGEST


def sized(
    recipe: ClipRecipe,
    frames: int | None = None,
    crop: int | None = None,
    clip_duration: float | None = None,
) -> ClipRecipe:
    """Returns a recipe with other sizes; None leaves one as it is.

    Args:
        recipe: the clips of a model.
        frames: of a clip.
        crop: side of a clip in pixels; the same share of the frame is cut out.
        clip_duration: seconds of a clip; otherwise frames keep their distance.

    Raises:
        ValueError: a clip would take more than 1 GiB, or no time.
    """
    if clip_duration is not None and not 0 < clip_duration < math.inf:
        raise ValueError(expected("clip_duration", "> 0 seconds", clip_duration))
    frames = frames or recipe.num_frames
    own_crop = recipe.crop_size or recipe.side_size
    crop = crop or own_crop
    side = max(crop, round(crop * recipe.side_size / own_crop))
    changed = replace(recipe, num_frames=frames, crop_size=crop, side_size=side)
    if (frames, crop) != (recipe.num_frames, own_crop):
        _bounded(changed, "frames, crop")
    if clip_duration is None:
        return changed
    rate = frames * recipe.sampling_rate / clip_duration
    return replace(changed, frames_per_second=rate)
