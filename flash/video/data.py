# SPDX-License-Identifier: Apache-2.0
"""``VideoClassificationData``: folders, lists or files of videos as training, test and predict data."""

import copy
import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from torch.utils.data import RandomSampler, Sampler, SequentialSampler

from flash._kornia import register_kornia_alias
from flash.data.hooks import TransformHooks
from flash.data.split import split_items
from flash.data_module import STAGES, DataModule
from flash.video import _files
from flash.video._files import PathLike, StageFiles
from pytorchvideo._checks import expected
from pytorchvideo.data.clip_sampling import (
    ClipInfo,
    ClipSampler,
    RandomClipSampler,
    RandomMultiClipSampler,
    Seconds,
    make_clip_sampler,
)
from pytorchvideo.data.labeled_video_dataset import LabeledVideoDataset, SkippedClip
from pytorchvideo.models._weights import ClipRecipe

register_kornia_alias()

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

Transform = Callable[..., Any] | Mapping[str, Callable[..., Any]] | None


class MiddleClipSampler(ClipSampler):
    """One clip a video, its middle.

    >>> MiddleClipSampler(2)(None, 10, {})[:2]
    (Fraction(4, 1), Fraction(6, 1))
    """

    def __call__(
        self,
        last_clip_end_time: Seconds | None,
        video_duration: Seconds,
        annotation: dict[str, Any],
    ) -> ClipInfo:
        start = max(Fraction(video_duration) - self._clip_duration, Fraction(0)) / 2
        return ClipInfo(start, start + self._clip_duration, 0, 0, True)


class EachClip:
    """Applies a transform to every clip of a sample that holds several, and gives a list of samples.

    A sample with a single clip is passed through the transform and stays one sample.
    """

    def __init__(self, transform: Callable[..., Any] | None) -> None:
        self.transform = transform

    def __call__(self, sample: dict[str, Any]) -> Any:
        transform = self.transform or (lambda one: one)
        if not isinstance(sample["video"], list):
            return transform(sample)
        keys = [key for key, value in sample.items() if isinstance(value, list)]
        count = len(sample["video"])
        return [
            transform({**sample, **{key: sample[key][i] for key in keys}}) for i in range(count)
        ]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.transform})"


class VideoClassificationData(DataModule):
    """Labelled videos for :class:`flash.video.VideoClassifier`.

    Made by :meth:`from_folders`, :meth:`from_paths` or :meth:`from_files`, which all take these options:

    Args:
        clip_sampler: which clips of a training video: ``"random"`` (one a pass), ``"uniform"`` (all),
            ``"constant_clips_per_video"``, ``"random_multi"`` or a ``ClipSampler``. Validation and test take
            the same clips, or the middle one where that would be random; predictions take the middle one.
        clip_duration: seconds in a clip; by default the recipe's, 2 without a recipe.
        clip_sampler_kwargs: arguments for a named sampler, e.g. ``{"clips_per_video": 5}``.
        eval_clip_sampler: name or instance for validation and test.
        eval_clip_sampler_kwargs: arguments for it.
        video_sampler: class of the order of training videos, e.g. ``SequentialSampler``. The other stages
            keep the order of the files.
        decode_audio: also load the sound, as ``audio``.
        decoder: see :class:`pytorchvideo.data.encoded_video.EncodedVideo`.
        train_transform, val_transform, test_transform, predict_transform: a callable on the sample dict, or a
            dict of hooks (see :mod:`flash.data.hooks`); None takes the recipe's.
        recipe: the clips that the model is made for; None is 8 frames and crops of 244 pixels.
        val_split: share of the training files to validate on, chosen class by class with ``seed``.
        val_split_group: maps a path to its source; files of one source stay together in the split.
        seed: of the split.
        video_path_prefix: folder that the paths of a list file are relative to.
        batch_size: clips in a batch.
        num_workers, pin_memory, persistent_workers: see :class:`flash.data_module.DataModule`.

    A sample is a dict with ``video`` (C, T, H, W), ``label`` (not for predict data), ``video_name``,
    ``video_index``, ``clip_index`` and ``aug_index``.

    Attributes:
        num_classes: number of classes.
        labels: class names in the order of their numbers; None where the data only had numbers.
        recipe: the clips that this data yields; None with a ``train_transform`` of your own.
    """

    recipe: ClipRecipe | None = None

    @classmethod
    def from_folders(
        cls,
        train_folder: PathLike | None = None,
        val_folder: PathLike | None = None,
        test_folder: PathLike | None = None,
        predict_folder: PathLike | Sequence[PathLike] | None = None,
        **options: Any,
    ) -> "VideoClassificationData":
        """Videos in one subfolder a class; the names of the classes are those of the subfolders, sorted.

        A list file of ``path label`` lines is accepted in the place of a folder. ``predict_folder`` is
        searched with all its subfolders; it may also be a file or a list of files.

        Raises:
            FileNotFoundError: if a path does not exist.
            TypeError: for an unknown option, or if both names of a stage (``train_folder`` and
                ``train_data_path``) are given.
            ValueError: if there are no videos, or a stage has classes that the training data lacks.
        """
        return cls.from_paths(
            train_folder=train_folder,
            val_folder=val_folder,
            test_folder=test_folder,
            predict_folder=predict_folder,
            **options,
        )

    @classmethod
    def from_paths(
        cls,
        train_data_path: PathLike | None = None,
        val_data_path: PathLike | None = None,
        test_data_path: PathLike | None = None,
        predict_data_path: PathLike | Sequence[PathLike] | None = None,
        *,
        train_folder: PathLike | None = None,
        val_folder: PathLike | None = None,
        test_folder: PathLike | None = None,
        predict_folder: PathLike | Sequence[PathLike] | None = None,
        video_path_prefix: str = "",
        **options: Any,
    ) -> "VideoClassificationData":
        """As :meth:`from_folders`, by Flash's former names; either name of a stage may be used."""
        given = {
            "train": _one_path("train", train_folder, train_data_path),
            "val": _one_path("val", val_folder, val_data_path),
            "test": _one_path("test", test_folder, test_data_path),
            "predict": _one_path("predict", predict_folder, predict_data_path),
        }
        stages = {
            stage: _files.to_predict(path)
            if stage == "predict"
            else _files.from_path(path, video_path_prefix)
            for stage, path in given.items()
            if path is not None
        }
        return cls._from_stages(stages, **options)

    @classmethod
    def from_files(
        cls,
        train_files: Sequence[PathLike] | None = None,
        train_targets: Sequence[Any] | None = None,
        val_files: Sequence[PathLike] | None = None,
        val_targets: Sequence[Any] | None = None,
        test_files: Sequence[PathLike] | None = None,
        test_targets: Sequence[Any] | None = None,
        predict_files: PathLike | Sequence[PathLike] | None = None,
        **options: Any,
    ) -> "VideoClassificationData":
        """Videos and their classes in two lists; a class is a name or a number.

        Raises:
            TypeError: for an unknown option, or targets that are neither names nor numbers.
            ValueError: if there is not one target a file.
        """
        given = {
            "train": (train_files, train_targets),
            "val": (val_files, val_targets),
            "test": (test_files, test_targets),
        }
        stages = {
            stage: _files.from_targets(stage, files, targets)
            for stage, (files, targets) in given.items()
            if files is not None
        }
        if predict_files is not None:
            stages["predict"] = _files.to_predict(predict_files)
        return cls._from_stages(stages, **options)

    @classmethod
    def _from_stages(
        cls,
        stages: dict[str, StageFiles],
        *,
        val_split: float | None = None,
        val_split_group: Callable[[str], Hashable] | None = None,
        seed: int = 0,
        recipe: ClipRecipe | None = None,
        clip_sampler: str | ClipSampler = "random",
        clip_duration: Seconds | None = None,
        clip_sampler_kwargs: Mapping[str, Any] | None = None,
        eval_clip_sampler: str | ClipSampler | None = None,
        eval_clip_sampler_kwargs: Mapping[str, Any] | None = None,
        video_sampler: type[Sampler[int]] = RandomSampler,
        decode_audio: bool = False,
        decoder: str = "pyav",
        train_transform: Transform = None,
        val_transform: Transform = None,
        test_transform: Transform = None,
        predict_transform: Transform = None,
        batch_size: int = 4,
        num_workers: int | None = 0,
        pin_memory: bool | None = None,
        persistent_workers: bool = False,
    ) -> "VideoClassificationData":
        if not stages:
            raise ValueError("Expected data for train, val, test or predict, but got none.")
        if val_split is not None:
            _split(stages, val_split, seed, val_split_group)
        num_classes, labels = _files.unify_labels(stages)
        recipe, duration = _clip_length(recipe, clip_duration)
        own = (train_transform, val_transform, test_transform, predict_transform)
        hooks = {
            stage: TransformHooks(_default(recipe, stage) if transform is None else transform)
            for stage, transform in zip(STAGES, own, strict=True)
        }
        clips = _clip_sampler(clip_sampler, duration, clip_sampler_kwargs)
        eval_clips: ClipSampler = MiddleClipSampler(duration) if _is_random(clips) else clips
        if eval_clip_sampler is not None:
            eval_clips = _clip_sampler(eval_clip_sampler, duration, eval_clip_sampler_kwargs)
        samplers = dict(zip(STAGES, (clips, eval_clips, eval_clips), strict=False))
        samplers["predict"] = MiddleClipSampler(duration)
        datasets = {
            stage: LabeledVideoDataset(
                files.items,
                copy.deepcopy(samplers[stage]),
                video_sampler=video_sampler if stage == "train" else SequentialSampler,
                transform=_sample_transform(hooks[stage], samplers[stage]),
                decode_audio=decode_audio,
                decoder=decoder,
            )
            for stage, files in stages.items()
        }
        data = cls(
            datasets,
            hooks,
            batch_size=batch_size,
            num_workers=num_workers,
            pin_memory=pin_memory,
            persistent_workers=persistent_workers,
            num_classes=num_classes,
            labels=labels,
        )
        data.recipe = recipe if train_transform is None else None
        return data

    @property
    def skipped(self) -> list[SkippedClip]:
        """The files and clips of all stages that could not be used so far, with the reason of each."""
        datasets = (getattr(self, f"{stage}_dataset") for stage in STAGES)
        return [clip for dataset in datasets if dataset is not None for clip in dataset.skipped]


def _one_path(stage: str, folder: Any, data_path: Any) -> Any:
    if folder is not None and data_path is not None:
        raise TypeError(
            f"Expected one of `{stage}_folder` and `{stage}_data_path`, two names of one argument, but got both."
        )
    return data_path if folder is None else folder


def _split(
    stages: dict[str, StageFiles],
    fraction: float,
    seed: int,
    group: Callable[[str], Hashable] | None,
) -> None:
    if "val" in stages or "train" not in stages:
        got = "validation data too" if "train" in stages else "no training data"
        raise ValueError(f"Expected `val_split` together with training data only, but got {got}.")
    train = stages["train"]
    train.items, held_out = split_items(train.items, fraction, seed=seed, group=group)
    # the classes of both parts keep the numbers of the whole
    stages["val"] = StageFiles(held_out, train.class_names)


def _clip_length(recipe: ClipRecipe | None, duration: Seconds | None) -> tuple[ClipRecipe, Seconds]:
    """The recipe, and the seconds of its clips; seconds that were asked for change the recipe's rate."""
    if duration is None:
        duration = DEFAULT_CLIP_DURATION if recipe is None else recipe.clip_duration_sec
    if not duration > 0:
        raise ValueError(expected("clip_duration", "> 0 seconds", duration))
    recipe = DEFAULT_RECIPE if recipe is None else recipe
    if float(duration) != recipe.clip_duration_sec:
        frames = recipe.num_frames * recipe.sampling_rate
        recipe = dataclasses.replace(recipe, frames_per_second=frames / float(duration))
    return recipe, duration


def _clip_sampler(
    sampler: str | ClipSampler, duration: Seconds, kwargs: Mapping[str, Any] | None
) -> ClipSampler:
    if not isinstance(sampler, ClipSampler):
        return make_clip_sampler(sampler, duration, **(kwargs or {}))
    if kwargs:
        raise TypeError(
            expected(
                "clip_sampler_kwargs", "None for a sampler that is built already", dict(kwargs)
            )
        )
    return sampler


def _is_random(sampler: ClipSampler) -> bool:
    return isinstance(sampler, RandomClipSampler)


def _default(recipe: ClipRecipe, stage: str) -> Callable[..., Any]:
    return recipe.transforms(train=stage == "train", key="video")


def _sample_transform(hooks: TransformHooks, sampler: ClipSampler) -> Callable[..., Any] | None:
    """The hooks for samples; once for each clip where the sampler gives several in one sample."""
    transform = hooks.sample_transform
    return EachClip(transform) if isinstance(sampler, RandomMultiClipSampler) else transform
