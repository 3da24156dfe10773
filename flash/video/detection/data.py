# SPDX-License-Identifier: Apache-2.0
"""``VideoActionDetectionData``: people in videos with boxes and actions, stage by stage."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch.nn import functional as F

from flash.core.data.data_module import DataModule
from flash.core.data.io.hooks import TransformHooks
from pytorchvideo._checks import expected
from pytorchvideo.data.action_detection import ActionDetectionDataset, detection_collate
from pytorchvideo.inference.detection.inputs import EvaluationInputs
from pytorchvideo.transforms.clip_recipe import TRAIN_SIDE_RANGE, ClipRecipe
from pytorchvideo.transforms.detection import DetectionTransform

if TYPE_CHECKING:
    from typing_extensions import Self

PathLike: TypeAlias = str | os.PathLike[str]

#: The clips of ``slow_r50_detection``.
DEFAULT_RECIPE = ClipRecipe(num_frames=4, sampling_rate=16, side_size=256, crop_size=None)
_STAGES = ("train", "val", "test", "predict")


class VideoActionDetectionData(DataModule):
    """Clips around annotated frames for :class:`flash.video.VideoActionDetector`.

    Made by one of the constructors, which take these options:

    Args:
        recipe: the clips that the model is made for.
        train_transform: of the samples of training; by default a random scale, square and mirror, see
            :meth:`pytorchvideo.transforms.DetectionTransform.train`.
        eval_transform: of the other stages; by default whole pictures.
        train_crop: side of the square in training, in pixels; None is 7/8 of the recipe's side.
        train_whole: leave the pictures of training whole, too, but scale and mirror them at random.
        train_side: range of the short side in training, in pixels; None is from the recipe's side to 5/4 of it.
        flip: share of training clips that are mirrored; 0 where left and right matter.
        grid: see :class:`pytorchvideo.data.ActionDetectionDataset`.
        batch_size: clips in a batch. Evaluated pictures of different sizes are made equally large with mean colour
            beside and below; with 1 they are left as they are.
        num_workers, pin_memory, persistent_workers, sampler: see :class:`flash.core.data.data_module.DataModule`.

    A batch is a dict as :func:`pytorchvideo.data.action_detection.detection_collate` makes it.

    Attributes:
        num_classes: number of classes.
        labels: their names in the order of the columns of ``labels``.
        classes: their ids, likewise.
        recipe: the clips that this data yields.
    """

    recipe: ClipRecipe | None = None
    classes: list[int]

    @classmethod
    def from_csv(
        cls,
        train_file: PathLike | None = None,
        val_file: PathLike | None = None,
        test_file: PathLike | None = None,
        predict_file: PathLike | None = None,
        *,
        videos: PathLike | Mapping[str, PathLike] | None = None,
        label_map: Any = None,
        unit: Any = "auto",
        **options: Any,
    ) -> "Self":
        """A csv of your own for each stage, ``video,time_sec,x1,y1,x2,y2,label`` and on request ``person``.

        Classes are those of ``label_map``, or of the training file.

        Args:
            train_file: the csv; likewise for the other stages.
            val_file: the same.
            test_file: the same.
            predict_file: the same; its labels are of no effect.
            videos: a folder, or a dict of names -> paths; by default the folder of each csv.
            label_map: see :meth:`pytorchvideo.data.ActionDetectionDataset.from_csv`.
            unit: the same.
            options: see the class.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a line that cannot be used, named with the file.
        """
        given = {"train": train_file, "val": val_file, "test": test_file, "predict": predict_file}
        read: dict[str, Any] = {"videos": videos, "unit": unit}
        return cls._of_files(ActionDetectionDataset.from_csv, given, label_map, read, options)

    @classmethod
    def from_coco(
        cls,
        train_file: PathLike | None = None,
        val_file: PathLike | None = None,
        test_file: PathLike | None = None,
        predict_file: PathLike | None = None,
        *,
        videos: PathLike | Mapping[str, PathLike] | None = None,
        label_map: Any = None,
        **options: Any,
    ) -> "Self":
        """COCO-style json for each stage; see :meth:`from_csv`, whose arguments these are."""
        given = {"train": train_file, "val": val_file, "test": test_file, "predict": predict_file}
        read: dict[str, Any] = {"videos": videos}
        return cls._of_files(ActionDetectionDataset.from_coco, given, label_map, read, options)

    @classmethod
    def from_ava(
        cls,
        train_file: PathLike | None = None,
        val_file: PathLike | None = None,
        test_file: PathLike | None = None,
        *,
        train_frame_lists: PathLike | None = None,
        val_frame_lists: PathLike | None = None,
        test_frame_lists: PathLike | None = None,
        train_predicted: PathLike | Sequence[PathLike] = (),
        val_predicted: PathLike | Sequence[PathLike] = (),
        test_predicted: PathLike | Sequence[PathLike] = (),
        train_excluded: PathLike | None = None,
        val_excluded: PathLike | None = None,
        test_excluded: PathLike | None = None,
        videos: PathLike | Mapping[str, PathLike] | None = None,
        label_map: Any = "ava",
        score_threshold: float = 0.8,
        path_prefix: str = "",
        val_every_sec: int = 4,
        **options: Any,
    ) -> "Self":
        """AVA v2.2, or other files in its format, over lists of frames or over video files.

        Args:
            train_file: the csv of annotations; likewise for the other stages.
            val_file: the same.
            test_file: the same.
            train_frame_lists: the list of frames; likewise for the other stages. Either these or ``videos``.
            val_frame_lists: the same.
            test_frame_lists: the same.
            train_predicted: csv files of detected people: added to the annotations in training, in the place of them
                otherwise; likewise for the other stages.
            val_predicted: the same.
            test_predicted: the same.
            train_excluded: a csv of frames that are left out; likewise for the other stages.
            val_excluded: the same.
            test_excluded: the same.
            videos: a folder of video files, or a dict of names -> paths.
            label_map: see :meth:`pytorchvideo.data.ActionDetectionDataset.from_ava`.
            score_threshold: the same.
            path_prefix: the same.
            val_every_sec: in validation, use the seconds that this divides alone, as PySlowFast does.
            options: see the class.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a line that cannot be used, named with the file.
        """
        stages = {
            "train": (train_file, train_frame_lists, train_predicted, train_excluded),
            "val": (val_file, val_frame_lists, val_predicted, val_excluded),
            "test": (test_file, test_frame_lists, test_predicted, test_excluded),
        }
        loading = _Options(options)
        datasets = {
            stage: ActionDetectionDataset.from_ava(
                file,
                frame_lists=frames,
                predicted=predicted,
                excluded=excluded,
                videos=videos,
                recipe=loading.recipe,
                label_map=label_map,
                score_threshold=score_threshold,
                training=stage == "train",
                every_sec=val_every_sec if stage == "val" else 1,
                path_prefix=path_prefix,
                transform=loading.transform(stage),
                grid=loading.grid,
            )
            for stage, (file, frames, predicted, excluded) in stages.items()
            if file is not None or predicted
        }
        return cls._assembled(datasets, loading)

    @classmethod
    def from_datasets(  # type: ignore[override]
        cls,
        train_dataset: ActionDetectionDataset | None = None,
        val_dataset: ActionDetectionDataset | None = None,
        test_dataset: ActionDetectionDataset | None = None,
        predict_dataset: ActionDetectionDataset | None = None,
        *,
        set_transforms: bool = False,
        **options: Any,
    ) -> "Self":
        """Data sets that are made already, with their own transforms; see the class for the options.

        Args:
            train_dataset: a data set; likewise for the other stages.
            val_dataset: the same.
            test_dataset: the same.
            predict_dataset: the same.
            set_transforms: give them the transforms that the options say.
            options: see the class.
        """
        given = (train_dataset, val_dataset, test_dataset, predict_dataset)
        datasets = {s: data for s, data in zip(_STAGES, given, strict=True) if data is not None}
        if "recipe" not in options and datasets:
            options["recipe"] = next(iter(datasets.values())).recipe
        loading = _Options(options)
        if set_transforms:
            for stage, data in datasets.items():
                data.transform = loading.transform(stage)
        return cls._assembled(datasets, loading)

    @classmethod
    def _of_files(
        cls,
        reader: Callable[..., ActionDetectionDataset],
        files: Mapping[str, PathLike | None],
        label_map: Any,
        read: dict[str, Any],
        options: dict[str, Any],
    ) -> "Self":
        loading = _Options(options)
        datasets: dict[str, ActionDetectionDataset] = {}
        for stage, file in files.items():
            if file is None:
                continue
            datasets[stage] = reader(
                file,
                recipe=loading.recipe,
                label_map=label_map,
                transform=loading.transform(stage),
                grid=loading.grid,
                **read,
            )
            # the other files have the classes of the first, whether they occur there or not
            label_map = datasets[stage].label_map if label_map is None else label_map
        return cls._assembled(datasets, loading)

    @classmethod
    def _assembled(
        cls, datasets: Mapping[str, ActionDetectionDataset], loading: "_Options"
    ) -> "Self":
        if not datasets:
            raise ValueError("Expected data for train, val, test or predict, but got none.")
        first = next(iter(datasets.values()))
        for stage, data in datasets.items():
            if data.label_map != first.label_map:
                wanted = f"the classes of the others, {first.label_map}"
                raise ValueError(expected(f"classes of the {stage} data", wanted, data.label_map))
        hooks = {stage: TransformHooks({"collate": padded_collate}) for stage in _STAGES}
        made = cls(
            dict(datasets),
            hooks,
            **loading.others,
            num_classes=len(first.classes),
            labels=[first.label_map[number] for number in first.classes],
            multi_label=True,
        )
        made.recipe, made.classes = loading.recipe, list(first.classes)
        return made

    @property
    def skipped(self) -> list[Any]:
        """The videos of all stages that could not be used, with the reason of each."""
        datasets = (getattr(self, f"{stage}_dataset") for stage in _STAGES)
        return [one for dataset in datasets for one in getattr(dataset, "skipped", ())]


class _Options:
    """The options of all constructors."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        rest = dict(options)
        self.recipe: ClipRecipe = rest.pop("recipe", None) or DEFAULT_RECIPE
        self.grid = rest.pop("grid", "pyslowfast")
        self._train, self._eval = (rest.pop(f"{s}_transform", None) for s in ("train", "eval"))
        self._crop, self._side = rest.pop("train_crop", None), rest.pop("train_side", None)
        self._flip, self._whole = rest.pop("flip", 0.5), rest.pop("train_whole", False)
        known = {"batch_size", "num_workers", "pin_memory", "persistent_workers", "sampler"}
        if unknown := sorted(set(rest) - known):
            raise TypeError(
                f"VideoActionDetectionData has no option {unknown[0]!r}. See the options of the class."
            )
        self.others = rest

    def transform(self, stage: str) -> Any:
        """Returns what samples of a stage go through."""
        if stage != "train":
            return self._eval or EvaluationInputs(self.recipe)
        if self._train is not None:
            return self._train
        recipe, flip = self.recipe, self._flip
        if not self._whole or recipe.crop_size is not None:
            crop, sides = self._crop, self._side
            return DetectionTransform.train(
                recipe, crop_size=crop, side_range=sides, flip_prob=flip
            )
        low = recipe.side_size
        sides = self._side or (low, round(low * TRAIN_SIDE_RANGE))
        return DetectionTransform(sides, flip_prob=flip, mean=recipe.mean, std=recipe.std)


def padded_collate(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns samples as a batch, their pictures as large as the largest; boxes stay where they are.

    What is added beside and below is 0, which is mean colour after normalisation.
    """
    height, width = (max(sample["video"].shape[axis] for sample in samples) for axis in (-2, -1))
    padded = [{**sample, "video": _padded(sample["video"], height, width)} for sample in samples]
    return detection_collate(padded)


def _padded(clip: torch.Tensor, height: int, width: int) -> torch.Tensor:
    missing = height - clip.shape[-2], width - clip.shape[-1]
    return F.pad(clip, (0, missing[1], 0, missing[0])) if any(missing) else clip
