# SPDX-License-Identifier: Apache-2.0
"""``VideoClassificationData``: folders, lists, tables, tensors or exports of videos, stage by stage."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import Dataset, IterableDataset
from torchvision.transforms import Compose

from flash.core._kornia import register_kornia_alias
from flash.video.classification.input_transform import VideoClassificationInputTransform
from flash.video.sources import files as _files
from flash.video.sources.annotations import FromAnnotations
from flash.video.sources.datasets import (
    Clips,
    MiddleClipSampler,
    Part,
    TransformedMap,
    TransformedStream,
    clips_of,
    to_255,
)
from flash.video.sources.files import PathLike, StageFiles
from flash.video.sources.options import (
    DEFAULT_RECIPE,
    Loading,
    Recipe,
    Split,
    Targets,
    Transforms,
    one_of,
    sort_options,
)
from flash.video.sources.tables import FromTables
from pytorchvideo._checks import expected
from pytorchvideo._text import counted
from pytorchvideo.transforms import ApplyTransformToKey

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DEFAULT_RECIPE", "MiddleClipSampler", "VideoClassificationData"]

register_kornia_alias()

Paths = PathLike | Sequence[PathLike]


class VideoClassificationData(FromTables, FromAnnotations):
    """Labelled videos for :class:`flash.video.VideoClassifier`.

    Made by one of the constructors, which take these options (those about clips only where videos are files):

    Args:
        clip_sampler: which clips of a training video: ``"random"`` (one a pass), ``"uniform"`` (all),
            ``"constant_clips_per_video"``, ``"random_multi"`` or a ``ClipSampler``. Validation and test take
            the same clips, or the middle one where that would be random; predictions take the middle one.
        clip_duration: seconds in a clip; by default the recipe's, 2 without a recipe.
        clip_sampler_kwargs: arguments for a named sampler, e.g. ``{"clips_per_video": 5}``.
        eval_clip_sampler: name or instance for validation and test.
        eval_clip_sampler_kwargs: arguments for it.
        video_sampler: the order of training videos: a class such as ``SequentialSampler``, a sampler, or
            ``partial(WeightedRandomSampler, weights, num_samples)``; by default they are shuffled. The other stages
            keep the order of the files.
        decode_audio: also load the sound, as ``audio``.
        multigrid: a :class:`~flash.core.multigrid_training.MultigridPlan` for the recipe's clips: training batches have
            the shapes of each epoch, with :class:`~flash.core.multigrid_training.Multigrid` among the callbacks.
        multigrid_transform: of frames and crop, makes the transform of samples of each shape; None scales, crops and
            mirrors.
        decoder, time_limit_sec, memory_limit_bytes: see :class:`pytorchvideo.data.encoded_video.EncodedVideo`.
        train_transform, val_transform, test_transform, predict_transform: a callable on the sample dict, a dict
            of hooks (see :mod:`flash.core.data.io.hooks`), or an
            :class:`~flash.core.data.io.input_transform.InputTransform`: instance, class or ``functools.partial`` of
            the class; None takes the recipe's.
        transform: likewise, for all stages.
        transform_kwargs: arguments for an InputTransform that is not built yet, by default for
            :class:`flash.video.classification.input_transform.VideoClassificationInputTransform`.
        recipe: the clips that the model is made for; None is 8 frames and crops of 244 pixels.
        target_formatter: the form of the targets; None finds it, see
            :func:`flash.core.data.utilities.classification.infer_formatter`.
        multi_label: whether a video may have several classes; None tells by the targets.
        val_split: share of the training videos to validate on, chosen class by class with ``seed``.
        val_split_group: maps a path to its source; videos of one source stay together in the split.
        seed: of the split.
        batch_size: clips in a batch.
        sampler: another name for ``video_sampler``; for tensors and your own map-style data sets a sampler of
            the training samples.
        num_workers, pin_memory, persistent_workers: see :class:`flash.core.data.data_module.DataModule`.

    A sample is a dict with ``video`` (C, T, H, W), ``label`` (not for predict data), ``video_name``,
    ``video_index``, ``clip_index`` and ``aug_index``; the first two are also called ``input`` and
    ``target``. A label is a number, or float32 (num_classes,) where a video may have several.

    Attributes:
        num_classes: number of classes.
        labels: class names in the order of their numbers; None where the data only had numbers.
        multi_label: whether a video may have several classes.
        recipe: the clips that this data yields; None with training transforms of your own.
    """

    own_transform = VideoClassificationInputTransform

    @classmethod
    def from_folders(
        cls,
        train_folder: PathLike | None = None,
        val_folder: PathLike | None = None,
        test_folder: PathLike | None = None,
        predict_folder: Paths | None = None,
        **options: Any,
    ) -> "Self":
        """Videos in one subfolder a class; the names of the classes are those of the subfolders, sorted.

        A list file is accepted in the place of a folder, see
        :meth:`pytorchvideo.data.LabeledVideoPaths.from_csv`; of one with several splits a stage takes its own.
        ``predict_folder`` is searched with all its subfolders; it may also be a file or a list of files.

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
        predict_data_path: Paths | None = None,
        *,
        train_folder: PathLike | None = None,
        val_folder: PathLike | None = None,
        test_folder: PathLike | None = None,
        predict_folder: Paths | None = None,
        video_path_prefix: str = "",
        **options: Any,
    ) -> "Self":
        """As :meth:`from_folders`, by Flash's former names; either name of a stage may be used.

        Args:
            video_path_prefix: folder that the paths of a list file are relative to.
        """
        given = {
            "train": one_of("train_folder", train_folder, "train_data_path", train_data_path),
            "val": one_of("val_folder", val_folder, "val_data_path", val_data_path),
            "test": one_of("test_folder", test_folder, "test_data_path", test_data_path),
            "predict": one_of(
                "predict_folder", predict_folder, "predict_data_path", predict_data_path
            ),
        }
        stages = {
            stage: _files.to_predict(path)
            if stage == "predict"
            else _files.from_path(
                path,
                video_path_prefix,
                f"{stage}_folder",
                split=stage,
                prefix_argument="video_path_prefix",
            )
            for stage, path in given.items()
            if path is not None
        }
        return cls._of_files("from_folders", stages, options)

    @classmethod
    def from_files(
        cls,
        train_files: Sequence[PathLike] | None = None,
        train_targets: Sequence[Any] | None = None,
        val_files: Sequence[PathLike] | None = None,
        val_targets: Sequence[Any] | None = None,
        test_files: Sequence[PathLike] | None = None,
        test_targets: Sequence[Any] | None = None,
        predict_files: Paths | None = None,
        **options: Any,
    ) -> "Self":
        """Videos and their targets in two lists; see :mod:`flash.core.data.utilities.classification` for their forms.

        Raises:
            FileNotFoundError: if none of the files exists.
            TypeError: for an unknown option, or targets of different forms.
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
        return cls._of_files("from_files", stages, options)

    @classmethod
    def from_tensors(
        cls,
        train_data: Any = None,
        train_targets: Sequence[Any] | None = None,
        val_data: Any = None,
        val_targets: Sequence[Any] | None = None,
        test_data: Any = None,
        test_targets: Sequence[Any] | None = None,
        predict_data: Any = None,
        video_sampler: Any = None,
        **options: Any,
    ) -> "Self":
        """Clips in memory: a tensor (N, C, T, H, W), a list of (C, T, H, W), or a single one.

        Each is one sample, in full length. Unless there is a transform of your own, floats in 0..1 are brought to
        the 0..255 of decoded videos first.

        Raises:
            TypeError: for something that is no tensor, or an unknown option.
            ValueError: for other shapes, or if there is not one target a clip.
        """
        given = {
            "train": (train_data, train_targets),
            "val": (val_data, val_targets),
            "test": (test_data, test_targets),
            "predict": (predict_data, None),
        }
        stages = {
            stage: _clips(stage, data, targets)
            for stage, (data, targets) in given.items()
            if data is not None
        }
        groups = sort_options("from_tensors", options, Targets, Split, Transforms, Recipe, Loading)
        targets, split, transforms, recipe, loading = groups
        loading.sampler = one_of("sampler", loading.sampler, "video_sampler", video_sampler)
        scale = ApplyTransformToKey("video", to_255)
        hooks = transforms.hooks(
            lambda stage: Compose([scale, recipe.default(stage)]), cls.own_transform
        )
        formatter = cls._prepare(stages, targets, split)
        datasets = {
            stage: Clips(clips.items, hooks[stage].sample_transform)
            for stage, clips in stages.items()
        }
        data = cls._assemble(datasets, hooks, loading, formatter)
        data.recipe = None if transforms.trains_on_own else recipe.recipe or DEFAULT_RECIPE
        return data

    @classmethod
    def from_datasets(  # type: ignore[override]
        cls,
        train_dataset: Any = None,
        val_dataset: Any = None,
        test_dataset: Any = None,
        predict_dataset: Any = None,
        *,
        num_classes: int | None = None,
        labels: Sequence[str] | None = None,
        multi_label: bool = False,
        **options: Any,
    ) -> "Self":
        """Data sets of your own, map-style or iterable.

        A sample is a dict with ``video`` and ``label``, or ``input`` and ``target``; or a pair of both. Labels are
        numbers, or float vectors with ``multi_label``. Samples stay as they are unless there are transforms.

        Args:
            train_dataset: a data set; likewise for the other stages.
            num_classes: number of classes; None is that of ``labels``, or what the training data set calls so.
            labels: class names in the order of their numbers; None is what the training data set calls so.
            multi_label: whether a sample may have several classes.

        Raises:
            TypeError: for something that is no data set, or an unknown option.
            ValueError: for ``val_split`` of a data set without a length, or no data.
        """
        names = ("train", "val", "test", "predict")
        given = (train_dataset, val_dataset, test_dataset, predict_dataset)
        stages = {stage: data for stage, data in zip(names, given, strict=True) if data is not None}
        if not stages:
            raise ValueError("Expected data for train, val, test or predict, but got none.")
        split, transforms, loading = sort_options(
            "from_datasets", options, Split, Transforms, Loading
        )
        if labels is None:
            labels = getattr(train_dataset, "labels", None)
        if num_classes is None:
            known = getattr(train_dataset, "num_classes", None)
            num_classes = known if labels is None else len(labels)
        if isinstance(labels, str):
            raise TypeError(expected("labels", "a list of class names", labels))
        hooks = transforms.hooks(lambda stage: None, cls.own_transform)
        _split_dataset(stages, split)
        datasets = {
            stage: _transformed(stage, dataset, hooks[stage].sample_transform)
            for stage, dataset in stages.items()
        }
        return cls(
            datasets,
            hooks,
            **vars(loading),
            num_classes=num_classes,
            labels=None if labels is None else list(labels),
            multi_label=multi_label,
        )


def _clips(stage: str, data: Any, targets: Sequence[Any] | None) -> StageFiles:
    name, target_name = f"{stage}_data", f"{stage}_targets"
    clips = clips_of(name, data)
    if stage == "predict":
        if not clips:
            raise ValueError(expected(name, "at least one clip", data))
        return StageFiles([(clip, {}) for clip in clips])
    return StageFiles(_files.labelled(name, clips, target_name, targets), target_name=target_name)


def _transformed(stage: str, dataset: Any, transform: Any) -> Dataset[Any]:
    is_map = hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
    if isinstance(dataset, (str, dict)) or not (is_map or hasattr(dataset, "__iter__")):
        raise TypeError(expected(f"{stage}_dataset", "a data set", type(dataset).__name__))
    if isinstance(dataset, IterableDataset) or not is_map:
        return TransformedStream(dataset, transform)
    return TransformedMap(dataset, transform)


def _split_dataset(stages: dict[str, Any], split: Split) -> None:
    """Moves a seeded share of the training samples, whose classes are not known, to a validation stage."""
    if split.val_split is None:
        return
    split.check(stages)
    train = stages["train"]
    if isinstance(train, IterableDataset) or not hasattr(train, "__len__"):
        raise ValueError(
            expected("val_split", "None for a data set without a length", split.val_split)
        )
    if split.val_split_group is not None:
        wanted = "None for data sets of your own"
        raise TypeError(expected("val_split_group", wanted, split.val_split_group))
    count = round(len(train) * split.val_split)
    if not 0 < count < len(train):
        wanted = f"a share of {counted(len(train), 'sample')} that leaves some on both sides"
        raise ValueError(expected("val_split", wanted, split.val_split))
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(split.seed)).tolist()
    stages["val"] = Part(train, sorted(order[:count]))
    stages["train"] = Part(train, sorted(order[count:]))
