# SPDX-License-Identifier: Apache-2.0
"""``ActionDetector``: what the people in a video do, at key times.

    file ── people at key times ── clips around these, whole pictures ── model on clips and boxes ── a row a person

Clips are those of training: of T frames with a distance of tau the key frame is the one after the first T/2.
"""

import itertools
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pytorchvideo._checks import expected
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._reading.key_frames import grid_offsets, nearest_frames
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.frame_video import FrameVideo
from pytorchvideo.data.windows import MOST_CLIPS, FrameRule
from pytorchvideo.inference.clips import read_clips, rows_of_videos
from pytorchvideo.inference.detection.found import (
    FoundPeople,
    People,
    PersonScores,
    VideoActions,
)
from pytorchvideo.inference.detection.inputs import EvaluationInputs
from pytorchvideo.models.net import DetectionBBoxNetwork
from pytorchvideo.models.pretrained import PretrainedModel
from pytorchvideo.transforms.clip_recipe import ClipRecipe

Path = str | os.PathLike[str]

_ONE_FRAME = ClipRecipe(num_frames=1, sampling_rate=1)
_SLACK_SEC = 0.1  # of times that are rounded
_VIDEOS_AT_ONCE = 64  # whose boxes are in memory


class ActionDetector:
    """Says what the people in a video do.

    Args:
        model: clips (B, C, T, H, W), or a list with a batch a pathway, and boxes (N, 5) -> logits (N, num_labels); is
            put into eval mode.
        recipe: the clips that the model was trained on. With a ``crop_size``, as networks of tokens have, the whole
            picture is fitted into that square; otherwise it is scaled as a whole.
        labels: names of the actions in the order of the logits.
        batch_size: clips in the model at a time.
        multi_label: whether a person may do several things at once: sigmoid instead of softmax.
        threshold: probability from which an action counts.

    Raises:
        ValueError: ``batch_size`` is not positive.

    Example::

        detector = ActionDetector.from_file("run/model.pt")
        for actions in detector.detect(["street.mp4"], people):
            for row in actions.rows:
                print(row.time_sec, row.person, actions.actions(row))
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: ClipRecipe,
        labels: Sequence[str],
        *,
        batch_size: int = 4,
        multi_label: bool = True,
        threshold: float = 0.5,
    ) -> None:
        if batch_size < 1:
            raise ValueError(expected("batch_size", ">= 1", batch_size))
        self.model = model.eval()
        self.recipe = recipe
        self.labels = [str(label) for label in labels]
        self.batch_size = batch_size
        self.multi_label, self.threshold = multi_label, threshold

    @classmethod
    def from_file(cls, path: Path, *, batch_size: int = 4) -> "ActionDetector":
        """Loads what :meth:`PretrainedModel.save` wrote; for the errors see :meth:`PretrainedModel.from_file`."""
        return cls.from_pretrained(PretrainedModel.from_file(path), batch_size=batch_size)

    @classmethod
    def from_pretrained(cls, source: PretrainedModel, *, batch_size: int = 4) -> "ActionDetector":
        """Takes a model for boxes with its clips, labels and threshold.

        Raises:
            ValueError: it is a model for whole clips.
        """
        if not isinstance(source.model, DetectionBBoxNetwork):
            advice = "It names whole clips: predict and timeline use it."
            raise ValueError(expected("model", "one that scores boxes", source.name, advice))
        return cls(
            source.model,
            source.recipe,
            source.labels or [str(index) for index in range(source.num_classes)],
            batch_size=batch_size,
            multi_label=source.multi_label,
            threshold=source.threshold,
        )

    def detect(
        self,
        videos: Sequence[Path],
        people: People,
        *,
        every_sec: float | None = None,
        start_sec: float = 0.0,
        end_sec: float | None = None,
        workers: int = 0,
    ) -> Iterator[VideoActions | Exception]:
        """Yields for each video, in their order, what the people in it do, or the error that it raises.

        Args:
            videos: files.
            people: finds the people at key times.
            every_sec: seconds from one key time to the next; the first is in the middle of the first of these. None is
                a second, or the key times of a file of boxes.
            start_sec: look at the videos from here on.
            end_sec: look at them up to here; None is their end.
            workers: processes that read; 0 reads in this one.

        Raises:
            ValueError: ``every_sec`` is not positive.
        """
        if every_sec is not None and not 0 < every_sec < float("inf"):
            raise ValueError(expected("every_sec", "> 0 seconds", every_sec))
        paths = [os.fspath(video) for video in videos]
        for start in range(0, len(paths), _VIDEOS_AT_ONCE):
            some = paths[start : start + _VIDEOS_AT_ONCE]
            found: dict[int, Sequence[FoundPeople]] = {}
            errors: dict[int, Exception] = {}
            for number, path in enumerate(some):
                try:
                    found[number] = _people_of(path, people, every_sec, start_sec, end_sec)
                except (VideoError, OSError, ValueError) as error:
                    errors[number] = error
            yield from self._videos(some, found, errors, every_sec, workers)

    def _videos(
        self,
        paths: Sequence[str],
        found: Mapping[int, Sequence[FoundPeople]],
        errors: Mapping[int, Exception],
        every_sec: float | None,
        workers: int,
    ) -> Iterator[VideoActions | Exception]:
        # pictures without people are not decoded
        kept = {
            number: [key for key in found[number] if len(key.boxes)]
            for number in range(len(paths))
            if any(len(key.boxes) for key in found.get(number, ()))
        }
        order = list(kept)
        clips = read_clips(
            [paths[number] for number in order],
            KeyFrames.of([kept[number] for number in order], self.recipe),
            self.recipe,
            views=ClipsWithBoxes(self.recipe, [kept[number] for number in order]),
            workers=workers,
            batch_size=self.batch_size,
        )
        # a row of a clip is a matrix here, of as many rows as it has people
        score: Any = self.score_inputs
        scored = rows_of_videos(clips, score, self.batch_size)
        for number, path in enumerate(paths):
            if number in errors:
                yield errors[number]
                continue
            rows: list[PersonScores] = []
            if number in kept:
                video = next(scored)
                if video.error is not None:
                    yield video.error
                    continue
                for key, scores in zip(kept[number], video.rows, strict=True):
                    rows += _rows(key, scores)
            yield VideoActions(
                path,
                tuple(self.labels),
                tuple(rows),
                every_sec or _distance([key.time_sec for key in found[number]]),
                self.threshold,
                self.multi_label,
            )

    def score_inputs(self, clips: Sequence[Sequence[Any]]) -> list[Tensor]:
        """Returns the probabilities (N, num_labels) of the boxes of each clip.

        Args:
            clips: of each what :class:`ClipsWithBoxes` makes of it.
        """
        # pictures of one size go through the model together
        groups: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        for place, ((*pathways, _boxes),) in enumerate(clips):
            groups[tuple(pathways[0].shape)].append(place)
        found: dict[int, Tensor] = {}
        for places in groups.values():
            for start in range(0, len(places), self.batch_size):
                some = places[start : start + self.batch_size]
                for place, rows in zip(
                    some, self._scores([clips[p][0] for p in some]), strict=True
                ):
                    found[place] = rows
        return [found[place] for place in range(len(clips))]

    @torch.inference_mode()
    def _scores(self, clips: Sequence[Sequence[Tensor]]) -> Sequence[Tensor]:
        like = next(self.model.parameters(), torch.zeros(()))
        pathways = [
            torch.stack(parts).to(like) for parts in zip(*(c[:-1] for c in clips), strict=True)
        ]
        boxes = [F.pad(clip[-1], (1, 0), value=float(n)) for n, clip in enumerate(clips)]
        x = pathways if self.recipe.pathway_ratio is not None else pathways[0]
        logits = self.model(x, torch.cat(boxes).to(like.device)).float()
        if logits.ndim != 2 or logits.shape[1] != len(self.labels):
            wanted = f"(N, {len(self.labels)}), one logit a label"
            raise ValueError(
                f"Expected the model to return {wanted}, but got {tuple(logits.shape)}."
            )
        scores = (logits.sigmoid() if self.multi_label else logits.softmax(dim=1)).cpu()
        return scores.split([len(part) for part in boxes])


def _people_of(
    path: str, people: People, every_sec: float | None, start_sec: float, end_sec: float | None
) -> list[FoundPeople]:
    """The people of a video at its key times; those of a file may be beyond its end, which is an error."""
    with EncodedVideo.from_path(path, decode_audio=False) as video:
        duration = float(video.duration)
    last = duration if end_sec is None else min(end_sec, duration)
    if not start_sec < last:
        wanted = f"before {last:g}, the end of {path}"
        raise ValueError(expected("start_sec", wanted, start_sec))
    own = every_sec is None and getattr(people, "has_times", False)
    found = people(path, None if own else key_times(start_sec, last, every_sec or 1.0))
    inside = [key for key in found if start_sec <= key.time_sec <= last]
    beyond = next((key for key in found if not 0 <= key.time_sec <= duration + _SLACK_SEC), None)
    if beyond is not None:
        raise ValueError(
            f"{beyond.place or path}: expected a time in 0..{duration:g} s, which {path} has, but got "
            f"{beyond.time_sec:g} s."
        )
    return inside


def _distance(times: Sequence[float]) -> float:
    """That of the nearest key times, a second at most."""
    return min([1.0, *(b - a for a, b in itertools.pairwise(times) if b > a)])


def key_times(start_sec: float, end_sec: float, every_sec: float) -> list[float]:
    """Returns the middle of each so many seconds of a part of a video; of a shorter one its own middle.

    Raises:
        ValueError: there are more than 100,000.

    >>> key_times(0.0, 3.0, 1.0), key_times(0.0, 0.8, 1.0)
    ([0.5, 1.5, 2.5], [0.4])
    """
    if (end_sec - start_sec) / every_sec > MOST_CLIPS:
        length = end_sec - start_sec
        wanted = f">= {length / MOST_CLIPS:.2g} seconds, for {MOST_CLIPS:,} key times in {length:g} s at most"
        raise ValueError(expected("every_sec", wanted, every_sec))
    count = int((end_sec - start_sec) / every_sec + 1e-6)
    if count < 1:
        return [(start_sec + end_sec) / 2]
    return [start_sec + (number + 0.5) * every_sec for number in range(count)]


@dataclass(frozen=True)
class KeyFrames(FrameRule):
    """The frames of clips around the key times of each video, on the grid of training.

    Attributes:
        times: of each video.
        recipe: of the clips.
    """

    times: Sequence[Sequence[float]] = ()
    recipe: ClipRecipe = _ONE_FRAME

    @classmethod
    def of(cls, found: Sequence[Sequence[FoundPeople]], recipe: ClipRecipe) -> "KeyFrames":
        """Returns the rule for people that were found."""
        return cls(_no_clips, [[key.time_sec for key in keys] for keys in found], recipe)

    def __call__(self, number: int, video: EncodedVideo | FrameVideo) -> Sequence[Sequence[int]]:
        """Returns the numbers of the frames of each clip."""
        step = 1 / Fraction(self.recipe.frames_per_second).limit_denominator(10**6)
        offsets = [
            n * step for n in grid_offsets(self.recipe.num_frames, self.recipe.sampling_rate)
        ]
        times = [Fraction(time).limit_denominator(10**6) for time in self.times[number]]
        return [nearest_frames(video, [time + offset for offset in offsets]) for time in times]


def _no_clips(times: Any) -> Sequence[Sequence[int]]:
    return []


class ClipsWithBoxes:
    """The model's inputs for a clip with its boxes: one view, a list of pathways and boxes (N, 4) in their pixels.

    Args:
        recipe: the clips of the model.
        people: of each video, with boxes.
    """

    def __init__(self, recipe: ClipRecipe, people: Sequence[Sequence[FoundPeople]]) -> None:
        self._inputs = EvaluationInputs(recipe)
        self._boxes = [[key.boxes.float() for key in keys] for keys in people]

    def __call__(self, video: int, number: int, frames: Tensor) -> list[Any]:
        """Returns the one view of a clip, frames (3, T, H, W) in 0..255."""
        return [self._inputs.pathways(frames, self._boxes[video][number])]


def _rows(key: FoundPeople, scores: Tensor) -> list[PersonScores]:
    boxes, persons = key.boxes.tolist(), key.persons.tolist()
    each = zip(boxes, persons, key.scores.tolist(), scores, strict=True)
    return [
        PersonScores(key.time_sec, (box[0], box[1], box[2], box[3]), person, certain, row)
        for box, person, certain, row in each
    ]
