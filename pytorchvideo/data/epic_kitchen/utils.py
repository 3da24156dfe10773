# SPDX-License-Identifier: Apache-2.0
"""Manifests of EPIC-KITCHENS, made from its folders."""

import os
import re
from collections import defaultdict
from pathlib import Path

from pytorchvideo.data._annotations.video_files import is_video
from pytorchvideo.data.dataset_manifest_utils import EncodedVideoInfo, VideoFrameInfo
from pytorchvideo.data.utils import optional_threaded_foreach

_FRAME = re.compile(r"(?P<stem>.*?)(?P<number>\d+)\.(?P<extension>\w+)")
_VIDEO_ID = re.compile(r"P\d{2}_\d{2,3}(?!\d)")


def build_frame_manifest_from_flat_directory(
    data_directory_path: str, multithreaded: bool
) -> dict[str, VideoFrameInfo]:
    """Finds frames ``<video_id>/frame_<n>.<ext>``.

    Args:
        data_directory_path: the folder of the folders of the videos.
        multithreaded: whether several folders are listed at the same time.

    Returns:
        Video id -> where its frames lie.

    Raises:
        NotADirectoryError: there is no such folder.
        ValueError: frames of a video are not consecutive, or not named alike.
    """
    found: dict[str, VideoFrameInfo] = {}

    def read(folder: Path) -> None:
        names = [name for name in os.listdir(folder) if _FRAME.fullmatch(name)]
        if names:
            found[folder.name] = _frame_info(folder.name, folder, names)

    folders = [(folder,) for folder in _folders(data_directory_path)]
    optional_threaded_foreach(read, folders, multithreaded)
    return dict(sorted(found.items()))


def build_frame_manifest_from_nested_directory(
    data_directory_path: str, multithreaded: bool
) -> dict[str, VideoFrameInfo]:
    """Finds frames ``<participant>/<participant>_<video>_<n>.<ext>``.

    The id of a video is ``<participant>_<video>``. For everything else see
    :func:`build_frame_manifest_from_flat_directory`.
    """
    found: dict[str, VideoFrameInfo] = {}

    def read(folder: Path) -> None:
        names: dict[str, list[str]] = defaultdict(list)
        for name in os.listdir(folder):
            frame = _FRAME.fullmatch(name)
            if frame is not None and frame["stem"].startswith(f"{folder.name}_"):
                names[frame["stem"].rstrip("_")].append(name)
        for video_id, frames in names.items():
            found[video_id] = _frame_info(video_id, folder, frames)

    folders = [(folder,) for folder in _folders(data_directory_path)]
    optional_threaded_foreach(read, folders, multithreaded)
    return dict(sorted(found.items()))


def build_encoded_manifest_from_nested_directory(
    data_directory_path: str,
) -> dict[str, EncodedVideoInfo]:
    """Finds video files ``<participant>/<video file>``.

    The id of a video is the name of its file without the ending; of a name that begins with an id of EPIC-KITCHENS
    and goes on, such as ``P01_01_256p.mp4``, it is that id.

    Raises:
        NotADirectoryError: there is no such folder.
        ValueError: two files of one id.
    """
    found: dict[str, EncodedVideoInfo] = {}
    for folder in _folders(data_directory_path):
        for file in sorted(folder.iterdir()):
            if not is_video(file.name) or file.name.startswith("."):
                continue
            official = _VIDEO_ID.match(file.stem)
            video_id = file.stem if official is None else official[0]
            if video_id in found:
                raise ValueError(
                    f"{found[video_id].file_path} and {file} have one video id, {video_id}."
                )
            found[video_id] = EncodedVideoInfo(video_id, str(file))
    return found


def _folders(path: str) -> list[Path]:
    root = Path(path)
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is not a folder.")
    return sorted(folder for folder in root.iterdir() if folder.is_dir())


def _frame_info(video_id: str, folder: Path, names: list[str]) -> VideoFrameInfo:
    frames = [frame for name in names if (frame := _FRAME.fullmatch(name))]
    kinds = {(frame["stem"], frame["extension"]) for frame in frames}
    if len(kinds) != 1:
        some = ", ".join(f"{stem}<n>.{extension}" for stem, extension in sorted(kinds))
        raise ValueError(f"The frames of {video_id} in {folder} are not named alike: {some}.")
    numbers = {int(frame["number"]) for frame in frames}
    gap = sorted(set(range(min(numbers), max(numbers) + 1)) - numbers)
    if gap or len(numbers) != len(frames):
        what = f"number {gap[0]} is missing" if gap else "a number comes twice"
        raise ValueError(f"The frames of {video_id} in {folder} are not consecutive: {what}.")
    ((stem, extension),) = kinds
    return VideoFrameInfo(
        video_id=video_id,
        location=str(folder),
        frame_file_stem=stem,
        frame_string_length=len(stem) + min(len(frame["number"]) for frame in frames),
        min_frame_number=min(numbers),
        max_frame_number=max(numbers),
        file_extension=extension,
    )
