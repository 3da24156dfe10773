# SPDX-License-Identifier: Apache-2.0
"""People, what each of them does, and when: clips around annotated frames, with boxes.

A sample of :class:`ActionDetectionDataset` has

====================  =======================================================================================
``video``             float32 (C, T, H, W), or uint8 in 0..255 without a transform
``boxes``             float32 (N, 4), x1, y1, x2, y2 in pixels of the clip's picture after the transform
``labels``            float32 (N, classes), 1 where a person has the class; the columns are those of ``classes``
``persons``           int64 (N,), a person's number in the video, -1 where it is not known
``scores``            float32 (N,), of the detector that found a person; 1 for annotated ones
``original_boxes``    float32 (N, 4), as shares of the picture as it was annotated, for evaluation
``frame_size``        (height, width) of that picture
``video_name``        the video as the annotation names it
``time``              seconds, as the annotation has it
``index``             of the sample
====================  =======================================================================================

and a batch of :func:`detection_collate` has ``video`` (B, C, T, H, W); ``boxes`` (M, 5), the number of the clip in the
batch before the corners, as heads with RoIAlign take them; ``labels``, ``persons``, ``scores`` and ``original_boxes``
of all M people, one after the other; and lists of the rest.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch.utils.data import Dataset

from pytorchvideo._checks import expected, shortened
from pytorchvideo._text import PathLike, counted
from pytorchvideo.data._annotations.action_exports import (
    read_coco,
    read_cvat,
    read_label_studio,
)
from pytorchvideo.data._annotations.action_files import read_action_csv, read_ava
from pytorchvideo.data._annotations.actions import (
    ActionAnnotations,
    LabelMap,
    PersonBox,
    Unit,
)
from pytorchvideo.data._annotations.frame_lists import read_frame_lists
from pytorchvideo.data._annotations.left_out import warn_of_left_out
from pytorchvideo.data._reading.action_checks import (
    check_times,
    doubts,
    left_out_videos,
    warn_of_classes,
)
from pytorchvideo.data._reading.key_frames import (
    FrameFiles,
    Grid,
    KeyFrameReader,
    Source,
    VideoFiles,
    grid_offsets,
)
from pytorchvideo.transforms.clip_recipe import ClipRecipe
from pytorchvideo.transforms.detection import DetectionTransform

__all__ = ["ActionDetectionDataset", "detection_collate"]

Sample: TypeAlias = dict[str, Any]
#: A folder of videos, or a dict of names -> paths.
Videos: TypeAlias = PathLike | Mapping[str, PathLike]

#: Of AVA: the second of the film at which its frames begin, and the seconds that are annotated.
AVA_START_SEC, AVA_SECONDS, AVA_FPS = 900.0, (902.0, 1798.0), 30.0
_CONCATENATED = ("labels", "persons", "scores", "original_boxes")


class ActionDetectionDataset(Dataset[Sample]):
    """Clips around annotated frames, one a key frame, with the people in that frame: see the module for a sample.

    ``len(dataset)`` is the number of key frames with people. Use :meth:`from_csv`, :meth:`from_ava`, :meth:`from_coco`,
    :meth:`from_cvat` or :meth:`from_label_studio`.

    Args:
        annotations: what a reader of annotations returned.
        source: the videos.
        recipe: frames of a clip, and their distance.
        transform: of a sample, e.g. :class:`~pytorchvideo.transforms.DetectionTransform`.
        grid: the frames of a clip. ``"pyslowfast"``, which the published models were trained on: every
            ``sampling_rate``-th, the annotated one first in the second half. ``"pytorchvideo"``: that of
            :func:`~pytorchvideo.data.Ava` with ``UniformTemporalSubsample``, from the first to the last frame of the
            window.

    Attributes:
        label_map: class id -> name.
        classes: class ids, rising: the columns of ``labels``.
        key_frames: the annotation of each sample, with boxes as shares of the picture.
        skipped: videos that were left out.

    Raises:
        ValueError: a time beyond the end of its video, named with the file and the line; or no video can be read.
    """

    def __init__(
        self,
        annotations: ActionAnnotations,
        source: Source,
        recipe: ClipRecipe,
        transform: Callable[[Sample], Any] | None = None,
        *,
        grid: Grid = "pyslowfast",
    ) -> None:
        step = 1 / Fraction(recipe.frames_per_second).limit_denominator(10**6)
        offsets = grid_offsets(recipe.num_frames, recipe.sampling_rate, grid)
        self._reader = KeyFrameReader(source, [offset * step for offset in offsets])
        self._source = source
        self.recipe, self.transform, self.grid = recipe, transform, grid
        self.skipped = left_out_videos(annotations, source)
        named = {frame.video for frame in annotations.key_frames}
        warn_of_left_out(self.skipped, len(named.union(clip.path for clip in self.skipped)))
        bad = {clip.path for clip in self.skipped}
        readable = annotations.of_videos(lambda video: video not in bad)
        self.annotations = readable.in_fractions(lambda video: source.facts(video)[:2])
        self.label_map = annotations.label_map
        self.classes = list(self.label_map)
        self.key_frames = self.annotations.key_frames
        self._columns = {number: column for column, number in enumerate(self.classes)}
        check_times(self.key_frames, source)
        warn_of_classes(self.annotations)

    # -- where annotations come from ---------------------------------------------------------------------------------

    @classmethod
    def from_csv(
        cls,
        file: PathLike,
        videos: Videos | None = None,
        *,
        recipe: ClipRecipe,
        label_map: LabelMap | None = None,
        unit: Literal["auto"] | Unit = "auto",
        transform: Callable[[Sample], Any] | None = None,
        grid: Grid = "pyslowfast",
        **options: Any,
    ) -> "ActionDetectionDataset":
        """Reads a csv of one's own, with the header ``video,time_sec,x1,y1,x2,y2,label`` and on request ``person``.

        A person with several actions has a line for each, with the same box. One without a label does nothing of what
        is looked for.

        Args:
            file: the csv.
            videos: a folder, or a dict of names -> paths; by default the folder of the csv.
            recipe: frames of a clip, and their distance.
            label_map: class id -> name, or a ``.pbtxt`` file; by default the classes of the file, from 1 on by name.
            unit: of the boxes; ``"auto"`` takes them as pixels where a corner is beyond 2.
            transform: of a sample.
            grid: see the class.
            options: of :class:`~pytorchvideo.data.EncodedVideo`. With ``index_cache`` long videos are opened faster.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a line that cannot be read, a box without an area, a class that the label map does not have, or
                a time beyond the end of its video, named with the file and the line.
        """
        annotations = read_action_csv(file, label_map, unit)
        source = VideoFiles(Path(file).parent if videos is None else videos, **options)
        return cls(annotations, source, recipe, transform, grid=grid)

    @classmethod
    def from_ava(
        cls,
        groundtruth: PathLike | None,
        *,
        frame_lists: PathLike | None = None,
        videos: Videos | None = None,
        recipe: ClipRecipe,
        predicted: PathLike | Sequence[PathLike] = (),
        label_map: LabelMap = "ava",
        score_threshold: float = 0.8,
        excluded: PathLike | None = None,
        training: bool = True,
        path_prefix: str = "",
        start_sec: float | None = None,
        every_sec: int = 1,
        transform: Callable[[Sample], Any] | None = None,
        grid: Grid = "pyslowfast",
        **options: Any,
    ) -> "ActionDetectionDataset":
        """Reads AVA v2.2, or other files in its format, over lists of frames or over video files.

        Args:
            groundtruth: the csv of annotations, ``video,second,x1,y1,x2,y2,class,person``.
            frame_lists: the list of frames, at 30 a second from second 900 of the film on; of these only the seconds
                902 to 1798 are used. Either this or ``videos``.
            videos: a folder of video files, or a dict of names -> paths; seconds are those of the files.
            recipe: frames of a clip, and their distance.
            predicted: csv files of detected people, the last field their score. In training they are added to the
                annotations, those without a class as people who do nothing; otherwise they take their place.
            label_map: ``"ava"`` (80 classes), ``"ava60"`` (those that are evaluated), a ``.pbtxt`` file, or class id ->
                name. Classes of AVA that it leaves out are left out of the file.
            score_threshold: detected people below it are left out.
            excluded: a csv ``video,second`` of frames that are left out.
            training: see ``predicted``.
            path_prefix: put before the path of every frame.
            start_sec: the second at which frames or files begin; by default 900 for frames, 0 for files.
            every_sec: use the seconds that this divides alone; PySlowFast takes 4 for validation in training.
            transform: of a sample.
            grid: see the class.
            options: of :class:`~pytorchvideo.data.EncodedVideo`, for files.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: as of :meth:`from_csv`; or not exactly one of ``frame_lists`` and ``videos``.
        """
        if (frame_lists is None) == (videos is None):
            got = "neither" if videos is None else "both"
            raise ValueError(f"Expected exactly one of `frame_lists` and `videos`, but got {got}.")
        files = [predicted] if isinstance(predicted, (str, os.PathLike)) else list(predicted)
        annotations = read_ava(
            groundtruth,
            files,
            label_map=label_map,
            score_threshold=score_threshold,
            excluded=excluded,
            seconds=None if frame_lists is None else AVA_SECONDS,
            every_sec=every_sec,
            training=training,
        )
        source: Source
        if frame_lists is not None:
            first = AVA_START_SEC if start_sec is None else start_sec
            source = FrameFiles(
                read_frame_lists(os.fspath(frame_lists), path_prefix), AVA_FPS, first
            )
        else:
            source = VideoFiles(videos or {}, start_sec or 0.0, **options)
        return cls(annotations, source, recipe, transform, grid=grid)

    @classmethod
    def from_coco(
        cls,
        file: PathLike,
        videos: Videos | None = None,
        *,
        recipe: ClipRecipe,
        label_map: LabelMap | None = None,
        transform: Callable[[Sample], Any] | None = None,
        grid: Grid = "pyslowfast",
        **options: Any,
    ) -> "ActionDetectionDataset":
        """Reads json in the style of COCO; the classes are its categories.

        A picture of ``images`` has ``width`` and ``height``; ``video``, or ``video_id`` of one of ``videos``, or the
        folder of its ``file_name``; ``time_sec`` or, from 0 on, ``frame_index``. One of ``annotations`` has
        ``image_id``, ``bbox``, ``category_id`` (or a list ``category_ids``), and on request ``track_id``. The arguments
        and errors are those of :meth:`from_csv`.
        """
        source = VideoFiles(Path(file).parent if videos is None else videos, **options)
        return cls(read_coco(file, source.rate, label_map), source, recipe, transform, grid=grid)

    @classmethod
    def from_cvat(
        cls,
        file: PathLike,
        videos: Videos | None = None,
        *,
        recipe: ClipRecipe,
        label_map: LabelMap | None = None,
        every_sec: float | None = 1.0,
        transform: Callable[[Sample], Any] | None = None,
        grid: Grid = "pyslowfast",
        **options: Any,
    ) -> "ActionDetectionDataset":
        """Reads CVAT's export "CVAT for video 1.1", one key frame every ``every_sec`` from 0 on.

        None takes the frames in which somebody drew a box. A track is a person. The value of an attribute is an
        action, and so is the name of a checkbox that is on; a track without attributes does what its label says. The
        other arguments and errors are those of :meth:`from_csv`.
        """
        source = VideoFiles(Path(file).parent if videos is None else videos, **options)
        annotations = read_cvat(file, source.rate, label_map, every_sec)
        return cls(annotations, source, recipe, transform, grid=grid)

    @classmethod
    def from_label_studio(
        cls,
        file: PathLike,
        videos: Videos | None = None,
        *,
        recipe: ClipRecipe,
        label_map: LabelMap | None = None,
        every_sec: float | None = 1.0,
        transform: Callable[[Sample], Any] | None = None,
        grid: Grid = "pyslowfast",
        **options: Any,
    ) -> "ActionDetectionDataset":
        """Reads Label Studio's json export of video object tracking, one key frame every ``every_sec`` from 0 on.

        None takes the frames in which somebody drew a box. A region is a person, its labels are actions. The other
        arguments and errors are those of :meth:`from_csv`.
        """
        source = VideoFiles(Path(file).parent if videos is None else videos, **options)
        annotations = read_label_studio(file, source.rate, source.has, label_map, every_sec)
        return cls(annotations, source, recipe, transform, grid=grid)

    # -- samples -----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Number of key frames."""
        return len(self.key_frames)

    def __getitem__(self, index: int) -> Any:
        """Returns a sample, after the transform.

        Raises:
            IndexError: there is none of this number.
            VideoError: (a RuntimeError) the clip cannot be read.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(expected("index", f"from {-len(self)} to {len(self) - 1}", index))
        number = index % len(self)
        frame, transform = self.key_frames[number], self.transform
        scale = transform.frame_transform if isinstance(transform, DetectionTransform) else None
        video = self._reader.frames(frame.video, frame.time_sec, scale)
        height, width = self._source.facts(frame.video)[:2]
        shares = torch.tensor([person.box for person in frame.people], dtype=torch.float64)
        sample = {
            "video": video,
            "boxes": (shares * torch.tensor([width, height, width, height])).float(),
            "labels": self._labels(frame.people),
            "persons": torch.tensor([person.person for person in frame.people]),
            "scores": torch.tensor([person.score for person in frame.people]),
            "original_boxes": shares.float(),
            "frame_size": (height, width),
            "video_name": frame.video,
            "time": frame.time_sec,
            "index": number,
        }
        return sample if transform is None else transform(sample)

    def _labels(self, people: Sequence[PersonBox]) -> torch.Tensor:
        labels = torch.zeros(len(people), len(self.classes))
        for row, person in enumerate(people):
            labels[row, [self._columns[label] for label in person.labels]] = 1
        return labels

    # -- for evaluation ----------------------------------------------------------------------------------------------

    @property
    def groundtruth(self) -> list[list[Any]]:
        """``[video, second, x1, y1, x2, y2, class]`` of every action, for :func:`~pytorchvideo.evaluation.frame_map`.

        Frames that the file names, but in which nobody does anything, are ``[video, second]``. Those of videos that
        were left out are not among them, nor excluded ones.
        """
        truth = self.annotations.truth
        rows: list[list[Any]] = []
        for frame in self.key_frames if truth is None else truth:
            name = [frame.video, frame.time_sec]
            done = [[*name, *p.box, label] for p in frame.people for label in p.labels]
            rows += done or [name]
        return [*rows, *([video, time] for video, time, _ in self.annotations.bare)]

    def check(self, *, expected_frames: int | None = None) -> list[str]:
        """Returns a sentence for each thing that may be wrong: boxes outside of the picture, with the line; and videos
        with another number of frames than expected, which moves actions away from their seconds.

        Args:
            expected_frames: of each video. AVA's minutes 15 to 30 at 30 a second are 27,030 frames, which is taken for
                lists of frames; some builds of FFmpeg make 860 fewer, which costs 3 points of mAP.
        """
        return doubts(self.key_frames, self._source, expected_frames)

    def __repr__(self) -> str:
        videos = len({frame.video for frame in self.key_frames})
        people = sum(len(frame.people) for frame in self.key_frames)
        return (
            f"ActionDetectionDataset({counted(len(self), 'key frame')} of {counted(videos, 'video')}, "
            f"{counted(people, 'box')}, {counted(len(self.classes), 'class')})"
        )


def detection_collate(samples: Sequence[Sample]) -> Sample:
    """Returns the samples of :class:`ActionDetectionDataset` as a batch: see :mod:`pytorchvideo.data.action_detection`.

    Raises:
        ValueError: clips have different sizes.
    """
    shapes = {tuple(sample["video"].shape) for sample in samples}
    if len(shapes) != 1:
        shown = shortened(", ".join(map(str, sorted(shapes))), 200)
        raise ValueError(
            f"Expected clips of one size in a batch, but got {shown}. Cut out squares "
            '(`DetectionTransform(..., crop="center")`), or use `batch_size=1`.'
        )
    batch: Sample = {"video": torch.stack([sample["video"] for sample in samples])}
    numbered = []
    for number, sample in enumerate(samples):
        boxes = sample["boxes"]
        numbered.append(torch.cat([boxes.new_full((len(boxes), 1), number), boxes], dim=1))
    batch["boxes"] = torch.cat(numbered)  # (M, 5)
    for key in samples[0]:
        if key in _CONCATENATED:
            batch[key] = torch.cat([sample[key] for sample in samples])
        elif key not in batch:
            batch[key] = [sample[key] for sample in samples]
    return batch
