# SPDX-License-Identifier: Apache-2.0
"""Options of the constructors of ``VideoClassificationData``, grouped by subject."""

import copy
import dataclasses
import inspect
import warnings
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from torch.utils.data import RandomSampler, Sampler, SequentialSampler

from flash.core._former_names import one_of
from flash.core.data.data_module import STAGES
from flash.core.data.io.hooks import TransformHooks
from flash.core.data.io.input_transform import resolve_transform
from flash.core.data.utilities.classification import TargetFormatter
from flash.core.multigrid_training import MultigridPlan
from flash.video.sources.datasets import (
    FrameOfEachPart,
    MiddleClipSampler,
    WholeVideoSampler,
)
from flash.video.sources.files import StageFiles
from pytorchvideo._checks import expected, near_names
from pytorchvideo.data._decode._limits import MEMORY_LIMIT_BYTES, TIME_LIMIT_SEC
from pytorchvideo.data.clip_sampling import (
    ClipSampler,
    RandomClipSampler,
    Seconds,
    make_clip_sampler,
)
from pytorchvideo.data.splits import split_items
from pytorchvideo.transforms.clip_recipe import ClipRecipe

#: The transforms that Flash documents: 8 frames in 0..1, normalised, crops of 244 pixels.
DEFAULT_RECIPE = ClipRecipe(
    num_frames=8,
    sampling_rate=8,
    side_size=256,
    crop_size=244,
    mean=(0.45, 0.45, 0.45),
    std=(0.225, 0.225, 0.225),
)
DEFAULT_CLIP_DURATION = 2.0

# Arguments of Flash for classes of its own, which have no counterpart here.
_GONE = {
    "data_source": "Use the constructor for your data.",
    "input_cls": "Use the constructor for your data, or from_datasets.",
    "postprocess": "Use Trainer.predict(output=...).",
    "predict_input_cls": "Use the constructor for your data, or from_datasets.",
    "preprocess": "Use the transforms.",
}


@dataclass
class Targets:
    """In which form targets come; see :mod:`flash.core.data.utilities.classification`."""

    target_formatter: TargetFormatter | type[TargetFormatter] | None = None
    multi_label: bool | None = None

    def formatter(self) -> TargetFormatter | None:
        """Returns the one that was asked for, or None."""
        formatter = self.target_formatter
        if inspect.isclass(formatter) and issubclass(formatter, TargetFormatter):
            formatter = formatter()
        if formatter is not None and not isinstance(formatter, TargetFormatter):
            wanted = "a TargetFormatter or None"
            raise TypeError(expected("target_formatter", wanted, formatter))
        return copy.deepcopy(formatter)


@dataclass
class Split:
    """What part of the training videos to validate on."""

    val_split: float | None = None
    val_split_group: Callable[[Any], Hashable] | None = None
    seed: int = 0

    def apply(self, stages: dict[str, StageFiles], formatter: TargetFormatter | None) -> None:
        """Moves a part of the training items to a new validation stage, and warns of classes that it lacks."""
        if self.val_split is None:
            return
        self.check(stages)
        items, val_items = split_items(
            stages["train"].items, self.val_split, seed=self.seed, group=self.val_split_group
        )
        stages["train"].items = items
        stages["val"] = StageFiles(val_items)
        if formatter is None or formatter.multi_label:
            return
        lacking = {info["label"] for _, info in items} - {info["label"] for _, info in val_items}
        if lacking:
            names = [formatter.labels[n] if formatter.labels else str(n) for n in sorted(lacking)]
            warnings.warn(
                f"The validation part has no video of {', '.join(names)}: there is one source of each only, "
                "and it is needed for training.",
                stacklevel=5,
            )

    def check(self, stages: Mapping[str, Any]) -> None:
        """Raises a ValueError unless there is training data, and no validation data."""
        if "val" in stages or "train" not in stages:
            got = "validation data too" if "train" in stages else "no training data"
            raise ValueError(
                f"Expected `val_split` together with training data only, but got {got}."
            )


@dataclass
class Transforms:
    """What happens to samples and batches."""

    transform: Any = None
    train_transform: Any = None
    val_transform: Any = None
    test_transform: Any = None
    predict_transform: Any = None
    transform_kwargs: Mapping[str, Any] | None = None

    def hooks(self, default: Callable[[str], Any], own: Any = None) -> dict[str, TransformHooks]:
        """Returns the hooks of each stage, with ``default(stage)`` where no transform was given.

        ``own`` is the transform of the task that ``transform_kwargs`` alone are for.
        """
        given = {stage: getattr(self, f"{stage}_transform") for stage in STAGES}
        if self.transform_kwargs is not None and self.transform is None and not any(given.values()):
            self.transform = own
        if self.transform is not None:
            for stage, one in given.items():
                if one is not None:
                    raise TypeError(
                        f"Expected one of `transform`, which is for all stages, and `{stage}_transform`, but got both."
                    )
            given = dict.fromkeys(STAGES, self.transform)
        return {
            stage: TransformHooks(default(stage))
            if transform is None
            else resolve_transform(transform, stage, self.transform_kwargs)
            for stage, transform in given.items()
        }

    @property
    def trains_on_own(self) -> bool:
        """Whether the training clips are not those of the recipe."""
        own = (self.transform, self.train_transform, self.transform_kwargs)
        return any(given is not None for given in own)


@dataclass
class Recipe:
    """Which clips the model is made for."""

    recipe: ClipRecipe | None = None

    def __post_init__(self) -> None:
        if self.recipe is not None and not isinstance(self.recipe, ClipRecipe):
            raise TypeError(expected("recipe", "a ClipRecipe or None", self.recipe))

    def default(self, stage: str) -> Any:
        """The transform of a stage."""
        recipe = DEFAULT_RECIPE if self.recipe is None else self.recipe
        return recipe.transforms(train=stage == "train", key="video")


@dataclass
class ClipOptions(Recipe):
    """Which clips of a file, and how they are read."""

    clip_sampler: str | ClipSampler = "random"
    clip_duration: Seconds | None = None
    clip_sampler_kwargs: Mapping[str, Any] | None = None
    eval_clip_sampler: str | ClipSampler | None = None
    eval_clip_sampler_kwargs: Mapping[str, Any] | None = None
    video_sampler: Any = None
    decode_audio: bool = False
    decoder: str = "pyav"
    multigrid: MultigridPlan | None = None
    multigrid_transform: Callable[[int, int], Any] | None = None
    time_limit_sec: float = TIME_LIMIT_SEC
    memory_limit_bytes: int = MEMORY_LIMIT_BYTES

    def __post_init__(self) -> None:
        """Makes the recipe's clips as long as was asked for, by its rate of frames."""
        super().__post_init__()
        if self.clip_duration is None:
            recipe = self.recipe
            self.clip_duration = (
                DEFAULT_CLIP_DURATION if recipe is None else recipe.clip_duration_sec
            )
        if not isinstance(self.clip_duration, (int, float, Fraction)) or not self.clip_duration > 0:
            raise ValueError(expected("clip_duration", "> 0 seconds", self.clip_duration))
        recipe = DEFAULT_RECIPE if self.recipe is None else self.recipe
        seconds = float(self.clip_duration)
        if seconds != recipe.clip_duration_sec:
            frames = recipe.num_frames * recipe.sampling_rate
            recipe = dataclasses.replace(recipe, frames_per_second=frames / seconds)
        self.recipe = recipe

    def samplers(self) -> dict[str, ClipSampler]:
        """Returns a clip sampler for each stage: nothing random but in training."""
        if self.recipe is not None and self.recipe.whole_video:
            return {stage: self._of_whole_videos() for stage in STAGES}
        middle = MiddleClipSampler(self._duration)
        train = self._sampler("clip_sampler")
        held_out: ClipSampler = middle if isinstance(train, RandomClipSampler) else train
        if self.eval_clip_sampler is not None:
            held_out = self._sampler("eval_clip_sampler")
        chosen = {"train": train, "val": held_out, "test": held_out, "predict": middle}
        return {stage: copy.deepcopy(sampler) for stage, sampler in chosen.items()}

    def frame_filter(self, stage: str) -> FrameOfEachPart | None:
        """Which frames of a clip to take; None leaves that to the transform."""
        if self.recipe is None or not self.recipe.whole_video:
            return None
        return FrameOfEachPart(self.recipe.num_frames, at_random=stage == "train")

    def _of_whole_videos(self) -> ClipSampler:
        if self.clip_sampler != "random" or self.eval_clip_sampler is not None:
            wanted = "left out with a recipe of whole videos"
            raise ValueError(expected("clip_sampler", wanted, self.clip_sampler))
        return WholeVideoSampler(self._duration)

    def order(self, stage: str, sampler: Any) -> Any:
        """Returns the video sampler of a stage; ``sampler`` is Lightning's name for that of training."""
        chosen = one_of("video_sampler", self.video_sampler, "sampler", sampler)
        if stage != "train":
            return SequentialSampler
        if chosen is None:
            return RandomSampler
        if not callable(chosen) and not isinstance(chosen, Sampler):
            raise TypeError(expected("video_sampler", "a sampler, or a class of samplers", chosen))
        return chosen

    @property
    def _duration(self) -> Seconds:
        return self.clip_duration or DEFAULT_CLIP_DURATION

    def _sampler(self, name: str) -> ClipSampler:
        sampler, kwargs = getattr(self, name), getattr(self, f"{name}_kwargs")
        if isinstance(sampler, ClipSampler):
            if kwargs:
                wanted = "None for a sampler that is built already"
                raise TypeError(expected(f"{name}_kwargs", wanted, dict(kwargs)))
            return sampler
        if not isinstance(sampler, str):
            raise TypeError(expected(name, "a name or a ClipSampler", sampler))
        return make_clip_sampler(sampler, **{"clip_duration": self._duration, **(kwargs or {})})


@dataclass
class Loading:
    """How batches are made; see :class:`flash.core.data.data_module.DataModule`."""

    batch_size: int = 4
    num_workers: int | None = 0
    sampler: Any = None
    pin_memory: bool | None = None
    persistent_workers: bool = False


def sort_options(name: str, options: dict[str, Any], *groups: type[Any]) -> list[Any]:
    """Returns the groups, each made of its options.

    Args:
        name: of the constructor, for errors.
        options: all that it was given.
        groups: dataclasses.

    Raises:
        TypeError: for an option of none of the groups.
    """
    options = dict(options)
    if options.pop("data_fetcher", None) is not None:
        warnings.warn("`data_fetcher` has no effect: show_train_batch needs none.", stacklevel=4)
    for gone, advice in _GONE.items():
        value = options.pop(gone, None)
        if value is not None:
            raise TypeError(expected(gone, "None, since there are no such classes", value, advice))
    fields = {group: {field.name for field in dataclasses.fields(group)} for group in groups}
    known = set().union(*fields.values())
    for option in options:
        if option not in known:
            raise TypeError(
                f"{name}() got an unexpected keyword argument {option!r}. {near_names(option, known)}"
            )
    return [
        group(**{option: value for option, value in options.items() if option in fields[group]})
        for group in groups
    ]
