# SPDX-License-Identifier: Apache-2.0
"""AVA v2.2 (Gu et al., arXiv 1705.08421): the actions of every person, in one frame per second of 430 films.

Videos are folders of frames, cut out of minutes 15 to 30 of the films. Three files describe them: the list of frames
(``_frame_lists.py``), the boxes (``video,second,x1,y1,x2,y2,action,extra`` without a header, boxes in [0, 1]) and, on
request, the classes to use (``.pbtxt``).
"""

import os
import re
from collections.abc import Callable, Collection
from fractions import Fraction
from typing import Any, NamedTuple

from torch.utils.data import RandomSampler, Sampler

from pytorchvideo._text import SMALL, counted, read_text
from pytorchvideo.data._annotations.frame_lists import read_frame_lists
from pytorchvideo.data._annotations.left_out import warn_of_left_out
from pytorchvideo.data._annotations.tables import bad_line, read_rows
from pytorchvideo.data._reading.clip_reader import Transform
from pytorchvideo.data._reading.skipped import SkippedClip
from pytorchvideo.data.clip_sampling import ClipInfo, ClipSampler, Seconds, exact_seconds
from pytorchvideo.data.labeled_video_dataset import LabeledVideoDataset

__all__ = ["Ava", "AvaLabeledVideoFramePaths", "TimeStampClipSampler"]

_FIRST_SECOND, _LAST_SECOND = 902, 1798
_START_OF_FRAMES = 900
"""The second of the film at which its frames begin."""
_NO_ACTION = -1

Box = list[float]


class Person(NamedTuple):
    """One box of one second: ``[x1, y1, x2, y2]`` in [0, 1], its class ids, and the last field of their lines."""

    box: Box
    labels: list[int]
    extra_info: list[float]


class AvaLabeledVideoFramePaths:
    """Reads the annotation files of AVA."""

    @classmethod
    def from_csv(
        cls,
        frame_paths_file: str,
        frame_labels_file: str,
        video_path_prefix: str,
        label_map_file: str | None = None,
    ) -> list[tuple[str, dict[str, Any]]]:
        """Returns ``(folder of frames, info)`` for every annotated second.

        Args:
            frame_paths_file: the list of frames.
            frame_labels_file: the boxes.
            video_path_prefix: put before the path of every frame.
            label_map_file: the classes to use, see :meth:`read_label_map`; by default all.

        Returns:
            Pairs in the order of the videos in the list of frames, then of time. An info dict has ``labels``
            (class ids of each box), ``boxes`` (``[x1, y1, x2, y2]`` in [0, 1]), ``extra_info`` (the last field of each
            label's line: a score or a person's id), ``video_index`` (place of the film in the list of frames) and
            ``clip_index`` (seconds after the first frame).

        Raises:
            FileNotFoundError: a file is not there.
            ValueError: a line that cannot be read, named with the file and its number; or films without frames only.
                Some films without frames are left out with one warning.
        """
        items, left_out = _read_all(
            frame_paths_file, frame_labels_file, video_path_prefix, label_map_file
        )
        warn_of_left_out(left_out, len({path for path, _ in items}) + len(left_out))
        return items

    @staticmethod
    def load_image_lists(
        frame_paths_file: str, video_path_prefix: str
    ) -> tuple[dict[int, list[str]], dict[int, str], dict[str, int]]:
        """Returns the frames of each film by its index, names by index, and indices by name."""
        lists = read_frame_lists(frame_paths_file, video_path_prefix)
        names = dict(enumerate(lists))
        indices = {name: index for index, name in names.items()}
        return {indices[name]: frames.paths for name, frames in lists.items()}, names, indices

    @staticmethod
    def load_and_parse_labels_csv(
        frame_labels_file: str,
        video_name_to_idx: dict[str, int],
        allowed_class_ids: Collection[int] | None = None,
    ) -> dict[int, dict[float, list[Person]]]:
        """Returns the people in each annotated second of each film.

        Lines whose boxes agree to two decimals are one person. Seconds outside of 902 to 1798 are not used.

        Args:
            frame_labels_file: lines ``video,second,x1,y1,x2,y2,action,extra`` without a header. An empty action
                becomes -1.
            video_name_to_idx: the films to use, with their indices.
            allowed_class_ids: the classes to use; by default all.

        Returns:
            Index of the film -> second of its frames (that of the film minus 900) -> people.

        Raises:
            ValueError: a line that cannot be read, named with the file and its number.
        """
        found: dict[int, dict[float, dict[tuple[str, ...], Person]]] = {}
        for number, fields in read_rows(frame_labels_file):
            try:
                second, label, extra = float(fields[1]), _class_id(fields[6]), float(fields[7])
                box = [float(corner) for corner in fields[2:6]]
            except (IndexError, ValueError) as error:
                wanted = "`video,second,x1,y1,x2,y2,action,extra`"
                raise bad_line(frame_labels_file, number, ",".join(fields), wanted) from error
            allowed = allowed_class_ids is None or label in (_NO_ACTION, *allowed_class_ids)
            video = video_name_to_idx.get(fields[0])
            if video is None or not allowed or not _FIRST_SECOND <= second <= _LAST_SECOND:
                continue
            people = found.setdefault(video, {}).setdefault(second - _START_OF_FRAMES, {})
            place = tuple(f"{corner:.2f}" for corner in box)
            person = people.setdefault(place, Person(box, [], []))
            person.labels.append(label)
            person.extra_info.append(extra)
        return {
            video: {second: list(people.values()) for second, people in sorted(seconds.items())}
            for video, seconds in sorted(found.items())
        }

    @staticmethod
    def read_label_map(label_map_file: str) -> tuple[dict[int, str], set[int]]:
        """Reads classes out of a ``.pbtxt`` file, whose entries have a ``name:`` and an ``id:`` or ``label_id:``.

        Returns:
            Class id -> name, and the set of class ids.

        Raises:
            ValueError: there are not as many names as ids, or none, or an id twice.
        """
        wanted = "entries with `name:` and `label_id:`"
        text = read_text(label_map_file, wanted, max_bytes=SMALL)
        names = re.findall(r'^[ \t]*name:[ \t]*"(.*)"[ \t]*$', text, flags=re.MULTILINE)
        ids = re.findall(r"^[ \t]*(?:label_id|id):[ \t]*(\d{1,9})[ \t]*$", text, flags=re.MULTILINE)
        if not ids or len(names) != len(ids):
            raise ValueError(
                f"{label_map_file}: expected a name and an id per class, but got {len(names)} names, "
                f"{counted(len(ids), 'id')}."
            )
        label_map: dict[int, str] = {}
        for number, name in zip(map(int, ids), names, strict=True):
            if number in label_map:
                raise ValueError(
                    f"{label_map_file}: the id {number} is that of {label_map[number]!r} and of {name!r}."
                )
            label_map[number] = name
        return label_map, set(label_map)


def _class_id(field: str) -> int:
    return int(field) if field else _NO_ACTION


def _read_all(
    frame_paths_file: str,
    frame_labels_file: str,
    video_path_prefix: str,
    label_map_file: str | None,
) -> tuple[list[tuple[str, dict[str, Any]]], list[SkippedClip]]:
    """The items of the dataset, and the films that have boxes but no frames."""
    files = AvaLabeledVideoFramePaths
    allowed = None if label_map_file is None else files.read_label_map(label_map_file)[1]
    frames, _, indices = files.load_image_lists(frame_paths_file, video_path_prefix)
    people = files.load_and_parse_labels_csv(frame_labels_file, indices, allowed)
    items = []
    for video, seconds in people.items():
        folder = os.path.dirname(frames[video][0])
        for second, persons in seconds.items():
            info = {
                "labels": [person.labels for person in persons],
                "boxes": [person.box for person in persons],
                "extra_info": [person.extra_info for person in persons],
                "video_index": video,
                "clip_index": second,
            }
            items.append((folder, info))
    named = dict.fromkeys(fields[0] for _, fields in read_rows(frame_labels_file))
    reason = f"it has no frames in {frame_paths_file}."
    return items, [SkippedClip(name, reason) for name in named if name not in indices]


class TimeStampClipSampler(ClipSampler):
    """One clip around a time of the annotation, which is in its middle.

    The clip is cut at the start of the video, as readers cut it at the end.

    Args:
        clip_sampler: any sampler; only its clip duration is used.

    >>> from pytorchvideo.data.clip_sampling import make_clip_sampler
    >>> sampler = TimeStampClipSampler(make_clip_sampler("uniform", 2))
    >>> sampler(None, 100, {"clip_index": 7.0})[:2]
    (Fraction(6, 1), Fraction(8, 1))
    """

    def __init__(self, clip_sampler: ClipSampler) -> None:
        super().__init__(clip_sampler._clip_duration)
        self.clip_sampler = clip_sampler

    def __call__(
        self,
        last_clip_end_time: Seconds | None,
        video_duration: Seconds,
        annotation: dict[str, Any],
    ) -> ClipInfo:
        """Returns the clip around ``annotation["clip_index"]`` seconds."""
        middle, half = exact_seconds(annotation["clip_index"]), self._clip_duration / 2
        return ClipInfo(max(middle - half, Fraction(0)), middle + half, 0, 0, True)

    def reset(self) -> None:
        """Resets the sampler it was made of."""
        super().reset()
        self.clip_sampler.reset()


def Ava(
    frame_paths_file: str,
    frame_labels_file: str,
    video_path_prefix: str = "",
    label_map_file: str | None = None,
    clip_sampler: ClipSampler | None = None,
    video_sampler: Callable[[Any], Sampler] = RandomSampler,
    transform: Transform | None = None,
    **options: Any,
) -> LabeledVideoDataset:
    """Makes the dataset of AVA: one clip around each annotated second.

    A sample has ``video`` (C, T, H, W), ``video_name``, ``aug_index``, and what
    :meth:`AvaLabeledVideoFramePaths.from_csv` says of the second: ``labels``, ``boxes``, ``extra_info``,
    ``video_index`` and ``clip_index``.

    Args:
        frame_paths_file: the list of frames.
        frame_labels_file: the boxes.
        video_path_prefix: put before the path of every frame.
        label_map_file: the classes to use; by default all.
        clip_sampler: its clip duration is used; the time comes from the annotation.
        video_sampler: a sampler class; the order of the seconds.
        transform: applied to each sample.
        options: the keyword-only arguments of :class:`~pytorchvideo.data.LabeledVideoDataset`; ``fps`` is 30.

    Raises:
        OSError, ValueError: see :meth:`AvaLabeledVideoFramePaths.from_csv`.
        TypeError: ``clip_sampler`` is missing.
    """
    if not isinstance(clip_sampler, ClipSampler):
        raise TypeError(
            f"Expected `clip_sampler` to be a clip sampler, which says how long a clip is, but got {clip_sampler!r}."
        )
    items, left_out = _read_all(
        frame_paths_file, frame_labels_file, video_path_prefix, label_map_file
    )
    warn_of_left_out(left_out, len({path for path, _ in items}) + len(left_out))
    dataset = LabeledVideoDataset(
        items,
        TimeStampClipSampler(clip_sampler),
        video_sampler,
        transform,
        decode_audio=False,
        **options,
    )
    for video in left_out:
        dataset.reader.skip_log.add(video, quietly=True)
    return dataset
