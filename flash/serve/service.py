# SPDX-License-Identifier: Apache-2.0
"""Predictions for uploaded videos: labels, timeline, and the frames that the model saw."""

import os
import threading
from dataclasses import dataclass
from typing import Any

import torch

from pytorchvideo._checks import expected
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.visualize import gif_bytes, unnormalize
from pytorchvideo.inference.clips import CropViews, clips_of_video
from pytorchvideo.inference.explain.explanation import Method
from pytorchvideo.inference.explain.pictures import map_gif
from pytorchvideo.inference.predictor import ClipScores, VideoPredictor

_MAP_SIDE = 224  # of an animation with a map, at least: maps are smooth where they are enlarged


@dataclass(frozen=True)
class Limits:
    """What a server takes.

    Args:
        max_bytes: of a file.
        max_seconds: of a video.
        max_clips: that are looked at; a longer video has gaps between them.
        max_waiting: requests of programs at a time; one is answered, the others wait.
    """

    max_bytes: int = 100_000_000
    max_seconds: float = 600.0
    max_clips: int = 60
    max_waiting: int = 64

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(expected(name, "> 0", value))

    @property
    def size(self) -> str:
        """``max_bytes`` for people, in millions of bytes as everywhere."""
        return f"{self.max_bytes / 1e6:g} MB"

    @property
    def too_large(self) -> str:
        """The sentence for a file of more bytes."""
        return f"Expected a video of up to {self.size}, but got more. Cut it first."

    def check_bytes(self, size: int) -> None:
        """Raises a ValueError for a file of more bytes."""
        if size > self.max_bytes:
            raise ValueError(self.too_large)


@dataclass(frozen=True)
class Answer:
    """What is said of one video.

    Attributes:
        labels: the likeliest classes with their probabilities, best first.
        clips: the scores of each clip in the order of time.
        decisive: the clip of these that decided most for the first label.
        gif: an animation of it, as the model was given it; with ``method``, in grey under a map of what the first label
            rests on.
        method: of the map; None of an answer without one.
    """

    labels: list[tuple[str, float]]
    clips: list[ClipScores]
    decisive: ClipScores
    gif: bytes
    method: Method | None = None


class Service:
    """Answers about one video at a time, from any thread.

    Args:
        predictor: the model with its recipe and labels.
        limits: what is taken.
        top_k: labels of an answer.
    """

    def __init__(
        self, predictor: VideoPredictor, limits: Limits | None = None, top_k: int = 5
    ) -> None:
        self.predictor = predictor
        self.limits = limits or Limits()
        self.top_k = top_k
        self._one_at_a_time = threading.Lock()

    def answer(self, path: str | os.PathLike[str], *, explain: bool = False) -> Answer:
        """Looks at a video.

        Args:
            path: of the file.
            explain: show what the first label rests on in the decisive clip.

        Raises:
            ValueError: it is larger or longer than the limits.
            OSError, VideoError: it cannot be read.
        """
        self.limits.check_bytes(os.stat(path).st_size)
        with self._one_at_a_time:
            return self._answer(path, explain)

    def to_dict(self, answer: Answer) -> dict[str, Any]:
        """Returns plain types: the labels, and the likeliest label of each clip with its times in seconds."""
        labels = [{"label": label, "score": score} for label, score in answer.labels]
        return {"labels": labels, "timeline": self.predictor.timeline(answer.clips)}

    def _answer(self, path: str | os.PathLike[str], explain: bool) -> Answer:
        recipe = self.predictor.recipe
        with EncodedVideo.from_path(os.fspath(path), decode_audio=False) as video:
            seconds = float(video.duration)
        if seconds > self.limits.max_seconds:
            raise ValueError(
                f"Expected a video of up to {self.limits.max_seconds:g} s, but got {seconds:.0f} s. Cut it first."
            )
        fits = seconds / recipe.clip_duration_sec <= self.limits.max_clips
        clips = self.predictor.predict_clips(
            path, clips="uniform" if fits else self.limits.max_clips
        )
        labels = self.predictor.named(clips, self.top_k)
        first = self.predictor.labels.index(labels[0][0])
        decisive = max(clips, key=lambda clip: float(clip.scores[first]))
        if not explain:
            return Answer(labels, clips, decisive, self._seen(path, decisive))
        explained = self.predictor.explain(
            path, label=labels[0][0], start_sec=decisive.start_sec, end_sec=decisive.end_sec
        )
        gif = map_gif(explained, beside=False, side=_MAP_SIDE, colors=256)
        return Answer(labels, clips, decisive, gif, explained.method)

    def _seen(self, path: str | os.PathLike[str], clip: ClipScores) -> bytes:
        """The model's input for a clip, with its own colours again, at about its own speed."""
        recipe = self.predictor.recipe
        with EncodedVideo.from_path(
            os.fspath(path), decode_audio=False, dtype=torch.uint8
        ) as video:
            window = (clip.start_sec, clip.end_sec)
            (seen,) = clips_of_video(video, [window], recipe, CropViews(recipe))
        (inputs,) = seen.views
        # of several pathways, the one with the most frames
        x = inputs if isinstance(inputs, torch.Tensor) else max(inputs, key=lambda p: p.shape[1])
        if recipe.channels == "bgr":
            x = x.flip(0)
        speed = x.shape[1] / (clip.end_sec - clip.start_sec)
        return gif_bytes(unnormalize(x, recipe.mean, recipe.std), fps=speed)
