# SPDX-License-Identifier: Apache-2.0
"""Actions as annotation tools export them: json in the style of COCO, CVAT's xml, Label Studio's json."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from pytorchvideo._text import PathLike, read_json
from pytorchvideo.data._annotations.action_tracks import Drawn, Track, annotations_of
from pytorchvideo.data._annotations.actions import (
    ActionAnnotations,
    Classes,
    FrameCollector,
    LabelMap,
    PersonBox,
)
from pytorchvideo.data._annotations.ava_rows import check_box, corners, finite
from pytorchvideo.data._annotations.cvat import read_cvat_tracks
from pytorchvideo.data._annotations.video_files import is_video

#: The name of a video -> its frames a second.
RateOf = Callable[[str], float]

_PREFIX = re.compile(r"^[0-9a-f]{8}-")  # that Label Studio puts before the name of an upload
_FRAMES = ("frame_index", "frame_id", "frame")


def read_coco(
    file: PathLike, rate_of: RateOf, label_map: LabelMap | None = None
) -> ActionAnnotations:
    """Reads json in the style of COCO, whose pictures say of which video and time they are.

    A picture has ``width``, ``height``; ``video``, ``video_id`` of an entry of ``videos`` with a ``name``, or the
    folder of its ``file_name``; and ``time_sec``, or ``frame_index`` (also ``frame_id``, ``frame``) from 0 on. An
    annotation has ``image_id``, ``bbox`` (x, y, width and height in pixels), ``category_id`` or a list
    ``category_ids``, and on request ``track_id``.

    Args:
        file: its path.
        rate_of: gives the frames a second of a video.
        label_map: the classes; by default the ``categories``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an entry that cannot be read, named with the file and its place.
    """
    content = read_json(file, "json in the style of COCO")
    lists = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in lists):
        raise ValueError(f"{file}: expected lists `images`, `annotations` and `categories`.")
    names = {}
    for place, entry in enumerate(content["categories"]):
        with _named(file, f"categories[{place}]", "`id` and `name`"):
            names[int(entry["id"])] = str(entry["name"])
    classes = Classes(names if label_map is None else label_map)
    images = _coco_images(file, content, rate_of)
    peopled = {entry.get("image_id") for entry in content["annotations"] if isinstance(entry, dict)}
    bare = [
        (v, t, f"{os.fspath(file)}, image {i}")
        for i, (v, t, *_) in images.items()
        if i not in peopled
    ]
    collector = FrameCollector()
    for place, entry in enumerate(content["annotations"]):
        where = f"annotations[{place}]"
        with _named(file, where, "`image_id`, `bbox` and `category_id`"):
            video, time, width, height = images[entry["image_id"]]
            x, y, w, h = corners(entry["bbox"])
            ids = entry.get("category_ids", [entry.get("category_id")])
            labels = [names[int(number)] for number in ids if number is not None]
            person = int(entry.get("track_id", -1))
        box = (x / width, y / height, (x + w) / width, (y + h) / height)
        check_box(box, file, None, where)
        numbers = sorted({classes.id_of(label, f"{file}, {where}") for label in labels})
        found = PersonBox(box, tuple(numbers), person, 1.0, f"{os.fspath(file)}, {where}")
        collector.add(video, time, found)
    if not collector.frames():
        raise ValueError(f"{file} has no person: its `annotations` are empty.")
    frames = collector.frames()
    return ActionAnnotations(str(file), classes.label_map or {}, frames, bare=bare)


def _coco_images(
    file: PathLike, content: Mapping[str, Any], rate_of: RateOf
) -> dict[Any, tuple[str, float, float, float]]:
    """The id of each picture -> its video, time, width and height."""
    videos = {}
    for place, entry in enumerate(content.get("videos") or []):
        with _named(file, f"videos[{place}]", "`id` and `name`"):
            videos[entry["id"]] = str(entry.get("name") or entry["file_name"])
    images = {}
    for place, entry in enumerate(content["images"]):
        wanted = "`id`, `width`, `height`, a video and `time_sec` or `frame_index`"
        with _named(file, f"images[{place}]", wanted):
            if "video" in entry:
                video = str(entry["video"])
            elif "video_id" in entry:
                video = videos[entry["video_id"]]
            else:
                video = PurePosixPath(entry["file_name"]).parent.name
            width, height = finite(entry["width"]), finite(entry["height"])
            if not video or min(width, height) <= 0:
                raise ValueError
            frame = next((entry[key] for key in _FRAMES if key in entry), None)
            time = None if "time_sec" not in entry else finite(entry["time_sec"])
            if time is None:
                time = finite(frame) / rate_of(video)
        images[entry["id"]] = (video, time, width, height)
    return images


def read_cvat(
    file: PathLike,
    rate_of: RateOf,
    label_map: LabelMap | None = None,
    every_sec: float | None = 1.0,
) -> ActionAnnotations:
    """Reads "CVAT for video 1.1": a track is a person, who has actions by attributes.

    The value of an attribute is an action; of a checkbox that is on, its name is. A track without attributes does what
    its label says. Boxes between two that were drawn move evenly.

    Args:
        file: its path.
        rate_of: gives the frames a second of a video.
        label_map: the classes; by default those of the file.
        every_sec: distance of the frames that are used, from 0 on; None uses those in which somebody drew a box.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such export, or a box that cannot be read, named with the file and the line.
    """
    return annotations_of(read_cvat_tracks(file, rate_of), str(file), label_map, every_sec)


def read_label_studio(
    file: PathLike,
    rate_of: RateOf,
    has_video: Callable[[str], bool],
    label_map: LabelMap | None = None,
    every_sec: float | None = 1.0,
) -> ActionAnnotations:
    """Reads the json of Label Studio's video object tracking: a region is a person, its labels are actions.

    Args:
        file: its path.
        rate_of: gives the frames a second of a video.
        has_video: whether there is a video of a name; that of an upload has a prefix otherwise.
        label_map: the classes; by default those of the file.
        every_sec: distance of the frames that are used, from 0 on; None uses those in which somebody drew a box.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such export, or a region that cannot be read, named with the file and its place.
    """
    content = read_json(file, "Label Studio's json export")
    if not isinstance(content, list):
        raise ValueError(f"{file}: expected Label Studio's json export, a list of tasks.")
    tracks: list[Track] = []
    for number, task in enumerate(content):
        where = f"[{number}]"
        with _named(file, where, "a task with `data` and `annotations`"):
            values = [value for value in task["data"].values() if isinstance(value, str)]
            (address, *_) = [value for value in values if is_video(value.partition("?")[0])]
            regions = [r for a in task["annotations"] for r in a["result"]]
        name = PurePosixPath(address.partition("?")[0]).name
        if not has_video(name):
            name = _PREFIX.sub("", name)
        for place, region in enumerate(regions):
            if region.get("type") == "videorectangle":
                spot = f"{where}, region {place}"
                with _named(file, spot, "`sequence` of frames with x, y, width and height"):
                    person = len(tracks) + 1
                    place_name = f"{os.fspath(file)}, {spot}"
                    track = _studio_track(place_name, name, person, region["value"], rate_of)
                for drawn in track.drawn:
                    check_box(drawn.box, file, None, spot)
                tracks.append(track)
    if not tracks:
        raise ValueError(
            f"{file} has no region of a person: expected some of type `videorectangle`."
        )
    return annotations_of(tracks, str(file), label_map, every_sec)


def _studio_track(
    place: str, video: str, person: int, value: Mapping[str, Any], rate_of: RateOf
) -> Track:
    frames, duration = value.get("framesCount"), value.get("duration")
    rate = finite(frames) / finite(duration) if frames and duration else rate_of(video)
    labels = tuple(str(label) for label in value.get("labels") or ())
    drawn = []
    for entry in value["sequence"]:
        # in percent of the picture; frames count from 1
        x, y, w, h = (finite(entry[key]) / 100 for key in ("x", "y", "width", "height"))
        box = (x, y, x + w, y + h)
        time = (finite(entry["frame"]) - 1) / rate
        drawn.append(Drawn(time, box, bool(entry.get("enabled", True)), labels, place))
    if not drawn:
        raise ValueError
    drawn.sort(key=lambda entry: entry.time_sec)
    return Track(video, person, drawn, None if not frames else (finite(frames) - 1) / rate)


_WRONG = (KeyError, TypeError, ValueError, AttributeError, OverflowError, ZeroDivisionError)


@contextmanager
def _named(file: PathLike, where: str, wanted: str) -> Iterator[None]:
    """Turns what goes wrong inside into a ValueError that names the file and the place."""
    try:
        yield
    except _WRONG as error:
        raise ValueError(f"{os.fspath(file)}, {where}: expected {wanted}.") from error
