# SPDX-License-Identifier: Apache-2.0
"""The boxes of a run: from the DATA argument to data sets of training and evaluation."""

import copy
from collections.abc import Collection
from pathlib import Path
from typing import Any

from flash.runs.detection.config import DetectionConfig
from flash.video.detection.data import VideoActionDetectionData
from pytorchvideo.data.action_detection import ActionDetectionDataset
from pytorchvideo.data.splits import split_items
from pytorchvideo.transforms.clip_recipe import ClipRecipe

_HELD_OUT = ("val", "valid", "validation", "test")
_ENDINGS = (".csv", ".json")


def files_of(data: str, val: str | None = None) -> tuple[Path, Path | None]:
    """Returns the file of boxes to train on, and that of those held out, where there is one.

    Args:
        data: a file, or a folder with ``train.csv`` (``.json``) and perhaps ``val.csv`` in it.
        val: the file of those held out.

    Raises:
        FileNotFoundError: there is no such file.
    """
    root = Path(data)
    if root.is_file():
        return root, None if val is None else _existing(Path(val))
    if not root.is_dir():
        raise FileNotFoundError(
            f"There is no file and no folder {data}. Expected a csv with the columns "
            "video,time_sec,x1,y1,x2,y2,label, or a folder with train.csv in it."
        )
    train = _of_stage(root, ("train",))
    if train is None:
        raise FileNotFoundError(
            f"{data} has no file of boxes: expected train.csv (or train.json), with the columns "
            "video,time_sec,x1,y1,x2,y2,label."
        )
    return train, _of_stage(root, _HELD_OUT) if val is None else _existing(Path(val))


def held_out_file(data: str) -> Path:
    """Returns the file of boxes to evaluate on: the held-out one of a folder, or the file itself.

    Raises:
        FileNotFoundError: there is none.
    """
    train, held_out = files_of(data)
    return train if held_out is None else held_out


def _of_stage(root: Path, names: Collection[str]) -> Path | None:
    places = (root / f"{name}{ending}" for name in names for ending in _ENDINGS)
    return next((place for place in places if place.is_file()), None)


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise FileNotFoundError(f"There is no file of boxes {file}.")
    return file


def read_boxes(
    file: Path,
    recipe: ClipRecipe,
    *,
    videos: str | None = None,
    label_map: Any = None,
    transform: Any = None,
) -> ActionDetectionDataset:
    """Reads a file of boxes by its ending.

    Args:
        file: ``.csv`` or ``.json`` (COCO-style).
        recipe: frames of a clip, and their distance.
        videos: folder of the videos; None is that of the file.
        label_map: see :class:`~pytorchvideo.data.ActionDetectionDataset`.
        transform: of a sample.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line that cannot be used, named with the file.
    """
    read = (
        ActionDetectionDataset.from_coco
        if file.suffix.lower() == ".json"
        else ActionDetectionDataset.from_csv
    )
    return read(file, videos, recipe=recipe, label_map=label_map, transform=transform)


def training_data(config: DetectionConfig) -> VideoActionDetectionData:
    """Returns the datamodule of a run: pictures scaled and mirrored at random in training, whole unless a recipe crops.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line that cannot be used, or too few videos to hold some out.
    """
    recipe = config.recipe()
    train_file, val_file = files_of(config.data, config.val)
    options: dict[str, Any] = {"videos": config.videos, "label_map": config.label_map}
    train = read_boxes(train_file, recipe, **options)
    if val_file is not None:
        options["label_map"] = train.label_map
        val = read_boxes(val_file, recipe, **options)
    else:
        train, val = split_by_video(train, config.val_split, config.seed)
    return VideoActionDetectionData.from_datasets(
        train,
        val,
        recipe=recipe,
        **_training_pictures(config, recipe),
        set_transforms=True,
        batch_size=config.batch_size,
        num_workers=config.workers or 0,
    )


def _training_pictures(config: DetectionConfig, recipe: ClipRecipe) -> dict[str, Any]:
    """Scale, square and mirror of the pictures in training, as options of the datamodule."""
    training = config.training_recipe
    if training is None or training.detection is None:
        side = recipe.side_size
        flip = 0.5 if config.flip else 0.0
        return {
            "train_whole": True,
            "train_side": None if config.jitter else (side, side),
            "flip": flip,
        }
    data = training.data
    # with another side of whole pictures than the recipe's, those of training change alike
    share = recipe.side_size / training.detection.test_side
    crop = recipe.crop_size or max(1, round(data.crop * share))
    low, high = (max(crop, round(side * share)) for side in data.short_side)
    return {
        "train_crop": crop,
        "train_side": (low, high if config.jitter else low),
        "flip": data.horizontal_flip if config.flip else 0.0,
    }


def split_by_video(
    data: ActionDetectionDataset, share: float, seed: int
) -> tuple[ActionDetectionDataset, ActionDetectionDataset]:
    """Splits key frames so that all of a video are on one side.

    Raises:
        ValueError: there are too few videos.
    """
    videos = list(dict.fromkeys(frame.video for frame in data.key_frames))
    if len(videos) < 2:
        raise ValueError(
            f"{data.annotations.source} has boxes of one video only: expected two or more, of which some are held out, "
            "or --val FILE."
        )
    kept, held_out = split_items([(video, {"label": 0}) for video in videos], share, seed=seed)
    names = [{str(video) for video, _ in part} for part in (kept, held_out)]
    return _part(data, names[0]), _part(data, names[1])


def _part(data: ActionDetectionDataset, videos: Collection[str]) -> ActionDetectionDataset:
    part = copy.copy(data)
    part.annotations = data.annotations.of_videos(lambda video: video in videos)
    part.key_frames = [frame for frame in data.key_frames if frame.video in videos]
    return part
