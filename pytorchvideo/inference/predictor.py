# SPDX-License-Identifier: Apache-2.0
"""Video predictions in plain PyTorch: several clips and views, averaged.

    file ── clips spread evenly over it ── views of each clip ── model ── softmax ── mean ── labels

Where a clip may have several labels, a sigmoid takes the place of the softmax.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from pytorchvideo._checks import expected
from pytorchvideo._positions import FrameTimes, frames_of_parts
from pytorchvideo._progress import Progress, silent
from pytorchvideo.data.windows import ClipWindows, FrameRule, WindowRule, clips_and_views
from pytorchvideo.inference.clips import CropViews, VideoRows, read_clips, rows_of_videos
from pytorchvideo.models.net import DetectionBBoxNetwork
from pytorchvideo.models.pretrained import PretrainedModel
from pytorchvideo.transforms.clip_recipe import ClipRecipe

if TYPE_CHECKING:
    from torchvision.transforms import Compose

    from pytorchvideo.inference.explain.explanation import Explanation, Method


@dataclass(frozen=True)
class ClipScores:
    """What the model says of one clip.

    Attributes:
        start_sec: start of the clip in its video.
        end_sec: end of the clip, not beyond the end of the video.
        scores: probabilities (num_labels,), the mean over the clip's views.
    """

    start_sec: float
    end_sec: float
    scores: Tensor


@dataclass(frozen=True)
class ClipFeatures:
    """What the model makes of one clip before it names it.

    Attributes:
        start_sec: start of the clip in its video.
        end_sec: end of the clip, not beyond the end of the video.
        features: (num_features,), the mean over the clip's views.
    """

    start_sec: float
    end_sec: float
    features: Tensor


_BOXES = (
    "It scores boxes: `pytorchvideo detect` and pytorchvideo.inference.detection.detector.ActionDetector use it, with "
    "boxes from a file or a detector of people."
)
_Row = TypeVar("_Row", ClipScores, ClipFeatures)


class VideoPredictor:
    """Names what happens in a video.

    Args:
        model: clips (B, C, T, H, W) -> logits (B, num_labels); is put into eval mode.
        recipe: the clips that the model was trained on.
        labels: class names in the order of the logits.
        batch_size: clips in memory, and views of them in the model, at a time.
        multi_label: whether a clip may have several labels: sigmoid instead of softmax.
        threshold: probability from which a label counts, with ``multi_label``.
        name: of the network in the zoo, by which :meth:`explain` knows its layers; empty for another one.

    Raises:
        ValueError: the model scores boxes instead of clips, or ``batch_size`` is not positive.

    Example::

        predictor = VideoPredictor.from_file("model.pt")
        for label, score in predictor.predict("archery.mp4", clips=10, views=3):
            ...
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: ClipRecipe,
        labels: Sequence[str],
        *,
        batch_size: int = 4,
        multi_label: bool = False,
        threshold: float = 0.5,
        name: str = "",
    ) -> None:
        if batch_size < 1:
            raise ValueError(expected("batch_size", ">= 1", batch_size))
        if isinstance(model, DetectionBBoxNetwork):
            wanted, kind = "a classifier of whole clips, such as slow_r50", type(model).__name__
            raise ValueError(expected("model", wanted, kind, _BOXES))
        self.model = model.eval()
        self.recipe = recipe
        self.labels = [str(label) for label in labels]
        self.batch_size = batch_size
        self.multi_label = multi_label
        self.threshold = threshold
        self.name = name

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, batch_size: int = 4) -> "VideoPredictor":
        """Loads what :meth:`PretrainedModel.save` wrote; for the errors see :meth:`PretrainedModel.from_file`."""
        return cls.from_pretrained(PretrainedModel.from_file(path), batch_size=batch_size)

    @classmethod
    def from_pretrained(
        cls, source: str | os.PathLike[str] | PretrainedModel, *, batch_size: int = 4
    ) -> "VideoPredictor":
        """Takes a model with its clips, labels and threshold; for the errors see :class:`PretrainedModel`.

        Args:
            source: a :class:`PretrainedModel`, a folder of one, or ``owner/name`` on the Hub.
            batch_size: see :class:`VideoPredictor`.
        """
        if not isinstance(source, PretrainedModel):
            source = PretrainedModel.from_pretrained(source)
        return cls(
            source.model,
            source.recipe,
            source.labels or [str(index) for index in range(source.num_classes)],
            batch_size=batch_size,
            multi_label=source.multi_label,
            threshold=source.threshold,
            name=source.name,
        )

    def predict(
        self,
        path: str | os.PathLike[str],
        *,
        clips: int | str = 4,
        views: int = 1,
        top_k: int = 5,
        start_sec: float = 0.0,
        end_sec: float | None = None,
    ) -> list[tuple[str, float]]:
        """Returns the likeliest labels of a video with their probabilities, best first.

        Args:
            path: a video file.
            clips: number of clips, spread evenly from its start to its end; fewer for a short one.
                ``"uniform"`` covers all of it, clip after clip; ``"10x3"`` is 10 clips with 3 views.
            views: 1 looks at the centre of the picture, 3 also at both sides.
            top_k: how many labels.
            start_sec: look at the video from here on.
            end_sec: look at it up to here; None is its end.

        Raises:
            FileNotFoundError, IsADirectoryError: if ``path`` is no file.
            pytorchvideo.data._decode.VideoError: (a RuntimeError) if the file is no readable video.
            ValueError: if an argument is out of range, or the window lies beyond the end.
        """
        if top_k < 1:
            raise ValueError(expected("top_k", ">= 1", top_k))
        found = self.predict_clips(
            path, clips=clips, views=views, start_sec=start_sec, end_sec=end_sec
        )
        return self.named(found, top_k)

    def named(self, clips: Sequence[ClipScores], top_k: int = 5) -> list[tuple[str, float]]:
        """Returns the likeliest labels of a video whose clips are known, with their probabilities, best first."""
        best = mean_scores(clips).topk(min(top_k, len(self.labels)))
        rows = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [(self.labels[index], score) for index, score in rows]

    def timeline(self, clips: Sequence[ClipScores]) -> list[dict[str, Any]]:
        """Returns the likeliest label of each clip: ``start_sec``, ``end_sec``, ``label``, ``score``."""
        return [
            {
                "start_sec": clip.start_sec,
                "end_sec": clip.end_sec,
                "label": self.labels[int(clip.scores.argmax())],
                "score": float(clip.scores.max()),
            }
            for clip in clips
        ]

    def predict_clips(
        self,
        path: str | os.PathLike[str],
        *,
        clips: int | str = 4,
        views: int = 1,
        start_sec: float = 0.0,
        end_sec: float | None = None,
    ) -> list[ClipScores]:
        """Returns the scores of every clip in the order of time; arguments and errors of :meth:`predict`."""
        options: dict[str, Any] = {"clips": clips, "views": views}
        options |= {"start_sec": start_sec, "end_sec": end_sec}
        return _of_one(self.predict_videos([path], **options))

    def embed_clips(
        self,
        path: str | os.PathLike[str],
        *,
        clips: int | str = 4,
        views: int = 1,
        start_sec: float = 0.0,
        end_sec: float | None = None,
    ) -> list[ClipFeatures]:
        """Returns the features of every clip in the order of time; arguments and errors of :meth:`predict`.

        Raises:
            TypeError: the model has no ``forward_features``.
        """
        options: dict[str, Any] = {"clips": clips, "views": views}
        options |= {"start_sec": start_sec, "end_sec": end_sec}
        return _of_one(self.embed_videos([path], **options))

    def explain(
        self,
        path: str | os.PathLike[str],
        *,
        label: str | None = None,
        method: "Method | None" = None,
        clips: int | str = 1,
        start_sec: float = 0.0,
        end_sec: float | None = None,
        layers: Sequence[str] | None = None,
        box: Sequence[float] | None = None,
        progress: Progress = silent,
    ) -> "Explanation":
        """Returns maps of what a label of a video rests on: frames, values for each pixel, and numbers.

        Args:
            path: a video file.
            label: what to explain; the likeliest of these clips by default.
            method: ``"gradcam"``, ``"rollout"``, ``"occlusion"`` or ``"integrated-gradients"``; by default gradcam for
                networks of the zoo that have layers for it, rollout for transformers, otherwise occlusion. A roll-out
                is of the attention, whatever the label.
            clips: see :meth:`predict`, like the following two; a single one is the middle.
            start_sec: the same.
            end_sec: the same.
            layers: for gradcam, a layer for each pathway; by default those of the registry.
            box: x1, y1, x2, y2 in pixels of the video, of which the share of the map within is told.
            progress: is called after each clip.

        Raises:
            ValueError: no such label, method or layer, a method that the model does not suit, or more than 200 clips;
                else as :meth:`predict`.

        Example::

            predictor.explain("archery.mp4", label="archery").save("why")
        """
        from pytorchvideo.inference.explain.videos import explain_video

        options: dict[str, Any] = {"label": label, "method": method, "clips": clips}
        options |= {"start_sec": start_sec, "end_sec": end_sec, "layers": layers, "box": box}
        options["progress"] = progress
        return explain_video(self, path, **options)

    def predict_videos(
        self,
        paths: Sequence[str | os.PathLike[str]],
        *,
        clips: int | str = 4,
        views: int = 1,
        start_sec: float = 0.0,
        end_sec: float | None = None,
        workers: int = 0,
    ) -> Iterator[list[ClipScores] | Exception]:
        """Yields for each video, in their order, what :meth:`predict_clips` gives, or the error that it raises.

        Clips of several videos go through the model together.

        Args:
            paths: video files.
            clips: see :meth:`predict`, like what follows.
            views: the same.
            start_sec: the same.
            end_sec: the same.
            workers: processes that read, see :func:`~pytorchvideo.inference.clips.workers_for`; 0 reads in this one.

        Raises:
            ValueError: ``clips`` or ``views`` is out of range.
        """
        span = (start_sec, end_sec)
        for video in self._videos(self.score_inputs, paths, clips, views, span, workers):
            rows = zip(video.windows, video.rows, strict=True)
            yield video.error or [ClipScores(*window, row) for window, row in rows]

    def embed_videos(
        self,
        paths: Sequence[str | os.PathLike[str]],
        *,
        clips: int | str = 4,
        views: int = 1,
        start_sec: float = 0.0,
        end_sec: float | None = None,
        workers: int = 0,
    ) -> Iterator[list[ClipFeatures] | Exception]:
        """Yields for each video what :meth:`embed_clips` gives; arguments and errors of :meth:`predict_videos`.

        Raises:
            TypeError: the model has no ``forward_features``.
        """
        if not hasattr(self.model, "forward_features"):
            kind = type(self.model).__name__
            raise TypeError(expected("model", "one with `forward_features`, as in the zoo", kind))
        span = (start_sec, end_sec)
        for video in self._videos(self._embed_inputs, paths, clips, views, span, workers):
            rows = zip(video.windows, video.rows, strict=True)
            yield video.error or [ClipFeatures(*window, row) for window, row in rows]

    def _videos(
        self,
        score: Callable[[Sequence[Sequence[Any]]], Tensor],
        paths: Sequence[str | os.PathLike[str]],
        clips: int | str,
        views: int,
        span: tuple[float, float | None],
        workers: int,
    ) -> Iterator[VideoRows]:
        count, views = clips_and_views(clips, views)
        rule: WindowRule | FrameRule = ClipWindows(self.recipe.clip_duration_sec, count, *span)
        if self.recipe.whole_video and span == (0.0, None):
            # all clips of a video would be the same
            rule = FrameRule(partial(_whole_video, frames=self.recipe.num_frames))
        found = read_clips(
            paths,
            rule,
            self.recipe,
            views=views,
            workers=workers,
            batch_size=self.batch_size,
        )
        return rows_of_videos(found, score, self.batch_size)

    def score_inputs(self, clips: Sequence[Sequence[Any]]) -> Tensor:
        """Returns the probabilities (N, num_labels) of clips, the mean over the views of each.

        Args:
            clips: the inputs of each clip's views, which are equally many: what :meth:`view_transforms` make of it.
        """
        return self._means(self._scores, clips)

    def _embed_inputs(self, clips: Sequence[Sequence[Any]]) -> Tensor:
        """The features (N, F) of clips."""
        return self._means(self._features, clips)

    def _means(
        self, function: Callable[[list[Any]], Tensor], clips: Sequence[Sequence[Any]]
    ) -> Tensor:
        views = [view for clip in clips for view in clip]
        starts = range(0, len(views), self.batch_size)
        rows = [function(views[start : start + self.batch_size]) for start in starts]
        # (clips * views, N) -> (clips, N)
        return torch.cat(rows).unflatten(0, (len(clips), -1)).mean(dim=1)

    def view_transforms(self, views: int = 1) -> "list[Compose]":
        """Returns the transforms of a clip (3, T, H, W) in 0..255 into the inputs of its views, 1 or 3.

        Raises:
            ValueError: several views, and a recipe that leaves pictures whole.
        """
        return CropViews(self.recipe, views).transforms()

    @torch.inference_mode()
    def _scores(self, clips: list[Any]) -> Tensor:
        logits = self.model(self.batch(clips))
        if logits.ndim != 2 or logits.shape[1] != len(self.labels):
            wanted = f"(B, {len(self.labels)}), one logit a label"
            raise ValueError(
                f"Expected the model to return {wanted}, but got {tuple(logits.shape)}."
            )
        logits = logits.float()
        return (logits.sigmoid() if self.multi_label else logits.softmax(dim=1)).cpu()

    @torch.inference_mode()
    def _features(self, clips: list[Any]) -> Tensor:
        model: Any = self.model
        features: Tensor = model.forward_features(self.batch(clips))
        return features.float().cpu()

    def batch(self, clips: list[Any]) -> Any:
        """Returns inputs of single clips as one batch on the model's device; a list of several pathways."""
        like = next(self.model.parameters(), torch.zeros(()))
        batch = default_collate(clips)
        # several tensors are the pathways of one batch
        several = not isinstance(batch, Tensor)
        return [path.to(like) for path in batch] if several else batch.to(like)


def _whole_video(times: FrameTimes, frames: int) -> list[list[int]]:
    return [frames_of_parts(times.count, frames)]


def _of_one(found: Iterator[list[_Row] | Exception]) -> list[_Row]:
    (rows,) = found
    if isinstance(rows, Exception):
        raise rows
    return rows


def mean_scores(clips: Sequence[ClipScores]) -> Tensor:
    """Returns the probabilities (num_labels,) of a video: the mean over its clips."""
    return torch.stack([clip.scores for clip in clips]).mean(dim=0)
