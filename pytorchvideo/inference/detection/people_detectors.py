# SPDX-License-Identifier: Apache-2.0
"""People that a detector finds: one of torchvision's, or any function of frames."""

import itertools
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from pytorchvideo._checks import expected, near_names
from pytorchvideo._files import sha256_of
from pytorchvideo.data._reading.key_frames import nearest_frames
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.frame_video import FrameVideo
from pytorchvideo.data.windows import FrameRule
from pytorchvideo.inference.clips import Clip, read_clips
from pytorchvideo.inference.detection.found import FoundPeople
from pytorchvideo.inference.detection.linking import link_people
from pytorchvideo.models._weights.weights import fetch, load_checkpoint
from pytorchvideo.transforms.clip_recipe import ClipRecipe

#: Frames uint8 (B, 3, H, W), RGB -> of each frame ``(boxes, scores)``, or a dict of them, and of ``labels`` if the
#: detector knows other things than people. Boxes are (N, 4), x1, y1, x2, y2 in pixels; scores (N,) in 0..1.
FrameDetector: TypeAlias = Callable[[Tensor], Sequence[Any]]

DEFAULT_DETECTOR = "fasterrcnn_mobilenet_v3_large_320_fpn"
_PERSON = 1  # of COCO's classes
_SIDE = 480  # large frames are scaled to this short side, which detectors scale on from
_HASH = re.compile(r"-([0-9a-f]{8,})\.pth$")


class DetectedPeople:
    """People that a detector finds in videos: a :data:`~pytorchvideo.inference.detection.found.People`.

    It looks more often than at the times that are asked for, so that people are followed who walk past, and numbers
    them by :func:`~pytorchvideo.inference.detection.linking.link_people`.

    Args:
        detector: frames uint8 (B, 3, H, W) to ``(boxes, scores)`` of each, or to a dict of these and ``labels``; boxes
            are (N, 4), x1, y1, x2, y2 in pixels.
        score_threshold: boxes with a lower score are left out.
        look_sec: most seconds between two looks; None looks at the times alone.
        batch_size: frames in the detector at a time.
        person_label: what is a person where the detector gives ``labels``.
        link: of boxes over time, :func:`link_people` by default; None leaves them without numbers.

    Raises:
        ValueError: an argument out of its range.
    """

    #: It has no key times of its own.
    has_times = False

    def __init__(
        self,
        detector: FrameDetector,
        *,
        score_threshold: float = 0.8,
        look_sec: float | None = 0.2,
        batch_size: int = 4,
        person_label: int = _PERSON,
        link: Callable[[Sequence[FoundPeople]], Sequence[FoundPeople]] | None = link_people,
    ) -> None:
        if not 0 <= score_threshold <= 1:
            raise ValueError(expected("score_threshold", "in 0..1", score_threshold))
        if look_sec is not None and not look_sec > 0:
            raise ValueError(expected("look_sec", "> 0 seconds", look_sec))
        if batch_size < 1:
            raise ValueError(expected("batch_size", ">= 1 frame", batch_size))
        self._detector, self._label = detector, person_label
        self._least, self._look, self._batch_size = score_threshold, look_sec, batch_size
        self._link = link

    def __call__(
        self, path: str | os.PathLike[str], times: Sequence[float] | None
    ) -> list[FoundPeople]:
        """Returns the people of a video at some times.

        Args:
            path: of the video.
            times: seconds, rising; None is the middle of each second.

        Raises:
            OSError, VideoError: it cannot be read.
            ValueError: the detector returns something else than boxes and scores.
        """
        if times is None:
            with EncodedVideo.from_path(os.fspath(path), decode_audio=False) as video:
                times = [n + 0.5 for n in range(max(1, int(video.duration)))]
        looks = _looks(times, self._look)
        found = self._look_at(os.fspath(path), looks)
        linked = found if self._link is None else self._link(found)
        wanted = {round(time, 6) for time in times}
        return [people for people in linked if round(people.time_sec, 6) in wanted]

    def _look_at(self, path: str, times: Sequence[float]) -> list[FoundPeople]:
        recipe = ClipRecipe(num_frames=1, sampling_rate=1, side_size=_SIDE, crop_size=None)
        found: list[FoundPeople] = []
        waiting: list[Tensor] = []

        def flush() -> None:
            if waiting:
                found.extend(self._detect(torch.stack(waiting), times[len(found) :]))
                waiting.clear()

        for item in read_clips([path], _Frames(_no_clips, tuple(times)), recipe, views=_whole):
            if item.error is not None:
                raise item.error
            if isinstance(item, Clip):
                waiting.append(item.views[0])
                if len(waiting) == self._batch_size:
                    flush()
        flush()
        return found

    def _detect(self, frames: Tensor, times: Sequence[float]) -> list[FoundPeople]:
        answers = self._detector(frames)
        if len(answers) != len(frames):
            wanted = f"one answer for each of {len(frames)} frames"
            raise ValueError(
                expected("detector", f"a function that returns {wanted}", len(answers))
            )
        height, width = frames.shape[-2:]
        sides = torch.tensor([width, height, width, height], dtype=torch.float64)
        found = []
        for answer, time in zip(answers, times, strict=False):
            boxes, scores = self._people(answer)
            # those at the border of a picture may reach beyond it
            shares = (boxes.double() / sides).clamp(0, 1)
            has_area = (shares[:, 2:] > shares[:, :2]).all(dim=1)
            kept = (scores >= self._least) & has_area
            persons = torch.full((int(kept.sum()),), -1)
            found.append(FoundPeople(time, shares[kept].float(), scores[kept], persons))
        return found

    def _people(self, answer: Any) -> tuple[Tensor, Tensor]:
        labels = None
        try:
            if isinstance(answer, Mapping):
                boxes, scores, labels = answer["boxes"], answer["scores"], answer.get("labels")
            else:
                boxes, scores = answer
            boxes = torch.as_tensor(boxes).detach().cpu().float().reshape(-1, 4)
            scores = torch.as_tensor(scores).detach().cpu().float().reshape(-1)
            if len(boxes) != len(scores) or bool(torch.isnan(boxes).any()):
                raise ValueError
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            wanted = "a function that returns boxes (N, 4) and scores (N,) of each frame"
            raise ValueError(expected("detector", wanted, answer)) from error
        if labels is not None:
            is_person = torch.as_tensor(labels).cpu().reshape(-1) == self._label
            return boxes[is_person], scores[is_person]
        return boxes, scores


def torchvision_people(
    name: str = DEFAULT_DETECTOR,
    *,
    weights: str | os.PathLike[str] | None = None,
    device: str | torch.device = "cpu",
    score_threshold: float = 0.8,
    **options: Any,
) -> DetectedPeople:
    """Returns a detector of torchvision as what finds people in videos.

    Args:
        name: of its model, trained on COCO.
        weights: a file of them; by default those that torchvision has published, out of its cache, or downloaded.
        device: that it runs on.
        score_threshold: boxes with a lower score are left out.
        options: of :class:`DetectedPeople`.

    Raises:
        ConnectionError: the weights are not in the cache, and cannot be downloaded.
        FileNotFoundError: there is no such file of weights.
        ValueError: an unknown name, or weights that are none of this model.
    """
    from torchvision.models import detection as detectors
    from torchvision.models import get_model, get_model_weights, list_models

    known = list_models(module=detectors)
    if name not in known:
        wanted = "a detector of torchvision"
        raise ValueError(expected("name", wanted, name, near_names(name, known)))
    if weights is None:
        published: Any = next(iter(get_model_weights(name)))
        file = _published(name, published.url)
    else:
        file = Path(weights)
        if not file.is_file():
            raise FileNotFoundError(f"There is no file {file}. Expected weights of {name}.")
    model = get_model(name, weights=None, weights_backbone=None)
    load_checkpoint(model, file)
    finder = _TorchvisionDetector(model.eval().to(device), torch.device(device))
    return DetectedPeople(finder, score_threshold=score_threshold, **options)


def _published(name: str, url: str) -> Path:
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    try:
        fetch(url, file)
    except ConnectionError as error:
        raise ConnectionError(f"{error} Or give the boxes of people in a file.") from error
    digest = _HASH.search(file.name)
    if digest is not None and not sha256_of(file).startswith(digest[1]):
        raise ValueError(
            f"{file} is not the published file of {name}: its SHA-256 is another. Delete it, and it is downloaded anew."
        )
    return file


@dataclass(frozen=True)
class _TorchvisionDetector:
    """Runs a model of torchvision on frames, which it wants in 0..1."""

    model: nn.Module
    device: torch.device

    @torch.inference_mode()
    def __call__(self, frames: Tensor) -> Sequence[Any]:
        answers: Sequence[Any] = self.model(list(frames.to(self.device).float().div_(255)))
        return answers


@dataclass(frozen=True)
class _Frames(FrameRule):
    """Clips of a single frame, that nearest to each time."""

    times: Sequence[float] = ()

    def __call__(self, number: int, video: EncodedVideo | FrameVideo) -> Sequence[Sequence[int]]:
        """Returns the numbers of the frames."""
        exact = [Fraction(time).limit_denominator(10**6) for time in self.times]
        return [[place] for place in nearest_frames(video, exact)]


def _no_clips(times: Any) -> Sequence[Sequence[int]]:
    return []


def _whole(video: int, number: int, frames: Tensor) -> list[Tensor]:
    """The one view of a clip of one frame: uint8 (3, H, W)."""
    return [frames[:, 0].round().clamp(0, 255).to(torch.uint8)]


def _looks(times: Sequence[float], look_sec: float | None) -> list[float]:
    """The times with others between them, so that no two are further apart.

    >>> _looks([0.5, 1.5], 0.5), _looks([0.5, 1.5], None)
    ([0.5, 1.0, 1.5], [0.5, 1.5])
    """
    if look_sec is None:
        return list(times)
    found: list[float] = list(times[:1])
    for before, after in itertools.pairwise(times):
        steps = max(1, math.ceil((after - before) / look_sec - 1e-6))
        found += [before + (after - before) * step / steps for step in range(1, steps)]
        found.append(after)
    return found
