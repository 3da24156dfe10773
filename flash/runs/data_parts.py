# SPDX-License-Identifier: Apache-2.0
"""The parts of DATA to train on and to hold out, where it says them: folders, splits of a list, or several lists."""

from pathlib import Path

from flash.video.sources.files import splits_of
from pytorchvideo._list_folders import lists_in

_VAL_FOLDERS = ("val", "valid", "validation", "test")


def train_part(data: str) -> Path:
    """What of DATA is to train on: a folder, a list, or all."""
    root = Path(data)
    if lists := lists_in(data):
        if "train" not in lists:
            raise FileNotFoundError(f"{data} has {', '.join(lists)}.csv, and no train.csv.")
        return lists["train"]
    return root / "train" if (root / "train").is_dir() else root


def split_folder(data: str, *, tests: bool = False) -> Path | None:
    """The held-out part of a data folder that is split already: a folder, or a list; ``tests`` prefers ``test.csv``."""
    if lists := lists_in(data):
        return next((lists[n] for n in ("test", "val")[:: 1 if tests else -1] if n in lists), None)
    if not (Path(data) / "train").is_dir():
        return None
    return next((p for name in _VAL_FOLDERS if (p := Path(data) / name).is_dir()), None)


def held_out_split(data: str) -> str | None:
    """The held-out part of a list file with several splits."""
    splits = splits_of(data)
    if not splits:
        return None
    found = next((name for name in ("val", "test") if name in splits), None)
    if found is None:
        raise ValueError(
            f"{data}: expected the splits train and val, or train and test, but it has {', '.join(splits)}."
        )
    return found
