# SPDX-License-Identifier: Apache-2.0
"""From a video file to its labels, in plain PyTorch: several clips and views, averaged.

    file ── clips spread evenly over it ── views of each clip ── model ── softmax ── mean ── labels

Where a clip may have several labels, a sigmoid takes the place of the softmax.

A model file is one ``torch.save`` of plain types and tensors, readable with ``weights_only=True``.
"""

import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate
from torchvision.transforms import CenterCrop, Compose

from flash.video.backbones import rebuild_backbone
from pytorchvideo._checks import expected
from pytorchvideo.data._decode import VideoError, check_window
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.models._weights import ClipRecipe, read_checkpoint
from pytorchvideo.transforms._pushdown import temporal_frame_filter
from pytorchvideo.transforms.functional import uniform_crop

FORMAT = "pytorchvideo.classifier"
VERSION = 1


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


def clip_windows(duration: float, clip_duration: float, clips: int) -> list[tuple[float, float]]:
    """Returns the times of clips spread evenly over a video; one clip is the middle one.

    A video that is not longer than a clip is one clip, whole.

    >>> clip_windows(10.0, 2.0, 3)
    [(0.0, 2.0), (4.0, 6.0), (8.0, 10.0)]
    >>> clip_windows(10.0, 2.0, 1), clip_windows(1.5, 2.0, 3)
    ([(4.0, 6.0)], [(0.0, 1.5)])
    """
    latest = duration - clip_duration
    if latest <= 0:
        return [(0.0, duration)]
    starts = [latest / 2] if clips == 1 else [latest * i / (clips - 1) for i in range(clips)]
    return [(start, start + clip_duration) for start in starts]


def uniform_windows(duration: float, clip_duration: float) -> list[tuple[float, float]]:
    """Returns the times of clips end to end that cover a video; the last one is moved back to end with it.

    >>> uniform_windows(5.0, 2.0)
    [(0.0, 2.0), (2.0, 4.0), (3.0, 5.0)]
    """
    # a rounding error makes no clip
    count = math.ceil(round(duration / clip_duration, 6))
    if count <= 1:
        return [(0.0, duration)]
    latest = duration - clip_duration
    starts = [min(i * clip_duration, latest) for i in range(count)]
    return [(start, start + clip_duration) for start in starts]


def clips_and_views(clips: int | str, views: int) -> tuple[int | None, int]:
    """Returns how many clips, None for all that cover the video, and how many views of each.

    Raises:
        ValueError: for another protocol, fewer than one clip, or other views than 1 and 3.

    >>> clips_and_views("10x3", 1), clips_and_views("uniform", 3), clips_and_views(4, 1)
    ((10, 3), (None, 3), (4, 1))
    """
    count: int | None = None
    if isinstance(clips, str) and clips != "uniform":
        found = re.fullmatch(r"([1-9]\d*)x([13])", clips)
        if found is None:
            wanted = 'a number, "uniform", or clips x 1 or 3 views as in "10x3"'
            raise ValueError(expected("clips", wanted, clips))
        if views not in (1, int(found[2])):
            raise ValueError(expected("views", f"left out beside clips={clips!r}", views))
        count, views = int(found[1]), int(found[2])
    elif not isinstance(clips, str):
        if clips < 1:
            raise ValueError(expected("clips", ">= 1", clips))
        count = clips
    if views not in (1, 3):
        raise ValueError(expected("views", "1 (the centre) or 3 (both sides too)", views))
    return count, views


class VideoPredictor:
    """Names what happens in a video.

    Args:
        model: clips (B, C, T, H, W) -> logits (B, num_labels); is put into eval mode.
        recipe: the clips that the model was trained on.
        labels: class names in the order of the logits.
        batch_size: clips in memory and in the model at a time.
        multi_label: whether a clip may have several labels: sigmoid instead of softmax.
        threshold: probability from which a label counts, with ``multi_label``.

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
    ) -> None:
        if batch_size < 1:
            raise ValueError(expected("batch_size", ">= 1", batch_size))
        self.model = model.eval()
        self.recipe = recipe
        self.labels = [str(label) for label in labels]
        self.batch_size = batch_size
        self.multi_label = multi_label
        self.threshold = threshold

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, batch_size: int = 4) -> "VideoPredictor":
        """Loads what :func:`save_classifier` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is not a model file, or of a later version.
        """
        saved = read_classifier(path)
        labels = saved["labels"]
        model = rebuild_backbone(saved["model_name"], saved["model_kwargs"], len(labels))
        model.load_state_dict(saved["model_state"])
        return cls(
            model,
            ClipRecipe.from_dict(saved["recipe"]),
            labels,
            batch_size=batch_size,
            multi_label=saved.get("multi_label", False),
            threshold=saved.get("threshold", 0.5),
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
        mean = mean_scores(
            self.predict_clips(path, clips=clips, views=views, start_sec=start_sec, end_sec=end_sec)
        )
        best = mean.topk(min(top_k, len(self.labels)))
        named = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [(self.labels[index], score) for index, score in named]

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
        count, views = clips_and_views(clips, views)
        windows: list[tuple[float, float]] = []
        scores: list[Tensor] = []
        pending: list[Any] = []
        for window, inputs in self._clips(path, count, views, (start_sec, end_sec)):
            windows.append(window)
            for view in inputs:
                pending.append(view)
                if len(pending) == self.batch_size:
                    scores.append(self._scores(pending))
                    pending = []
        if pending:
            scores.append(self._scores(pending))
        # (clips * views, N) -> (clips, N)
        means = torch.cat(scores).unflatten(0, (len(windows), views)).mean(dim=1)
        return [ClipScores(*window, clip) for window, clip in zip(windows, means, strict=True)]

    def _clips(
        self,
        path: str | os.PathLike[str],
        clips: int | None,
        views: int,
        span: tuple[float, float | None],
    ) -> Iterator[tuple[tuple[float, float], list[Any]]]:
        """Each clip's times and the model inputs of its views, from one open file."""
        transforms = self._views(views)
        # the recipe keeps few frames of a clip: only these are decoded
        needed = temporal_frame_filter(self.recipe.transforms(key="video"))
        found = False
        with EncodedVideo.from_path(os.fspath(path), decode_audio=False) as video:
            duration = float(video.duration)
            first, last = span[0], max(duration, span[0]) if span[1] is None else span[1]
            check_window(first, last, video.name, video.duration)
            length, clip_length = min(last, duration) - first, self.recipe.clip_duration_sec
            windows = (
                uniform_windows(length, clip_length)
                if clips is None
                else clip_windows(length, clip_length, clips)
            )
            for offset, end in windows:
                start, end = first + offset, first + end
                frames = video.get_clip(start, end, frame_filter=needed)["video"]
                if frames is not None:
                    found = True
                    yield (start, end), [transform(frames) for transform in transforms]
        if not found:
            raise VideoError(f"{os.fspath(path)} has no frame in the clips that were asked for.")

    def _views(self, views: int) -> list[Compose]:
        steps = self.recipe.transforms().transforms
        if views == 1:
            return [Compose(steps)]
        if self.recipe.crop_size is None:
            raise ValueError(expected("views", "1 for pictures that are left whole", views))
        crops = [_Crop(self.recipe.crop_size, position) for position in range(views)]
        return [
            Compose([crop if isinstance(s, CenterCrop) else s for s in steps]) for crop in crops
        ]

    @torch.inference_mode()
    def _scores(self, clips: list[Any]) -> Tensor:
        like = next(self.model.parameters(), torch.zeros(()))
        batch = default_collate(clips)
        # several tensors are the pathways of one batch
        several = not isinstance(batch, Tensor)
        logits = self.model([path.to(like) for path in batch] if several else batch.to(like))
        if logits.ndim != 2 or logits.shape[1] != len(self.labels):
            wanted = f"(B, {len(self.labels)}), one logit a label"
            raise ValueError(
                f"Expected the model to return {wanted}, but got {tuple(logits.shape)}."
            )
        logits = logits.float()
        return (logits.sigmoid() if self.multi_label else logits.softmax(dim=1)).cpu()


def mean_scores(clips: Sequence[ClipScores]) -> Tensor:
    """Returns the probabilities (num_labels,) of a video: the mean over its clips."""
    return torch.stack([clip.scores for clip in clips]).mean(dim=0)


class _Crop(nn.Module):
    def __init__(self, size: int, position: int) -> None:
        super().__init__()
        self.size, self.position = size, position

    def forward(self, clip: Tensor) -> Tensor:
        return uniform_crop(clip, self.size, self.position)

    def extra_repr(self) -> str:
        return f"size={self.size}, position={self.position}"


def save_classifier(
    path: str | os.PathLike[str],
    *,
    model: nn.Module,
    model_name: str,
    model_kwargs: dict[str, Any],
    labels: Sequence[str],
    recipe: ClipRecipe,
    multi_label: bool = False,
    threshold: float = 0.5,
) -> None:
    """Writes a classifier to one file that needs neither flash nor Lightning to be read.

    Args:
        path: the file to write; an existing one is replaced when the new one is complete.
        model: the network.
        model_name: its name in the registry.
        model_kwargs: arguments with which the registry builds it, besides the number of classes.
        labels: class names in the order of the logits.
        recipe: the clips that it was trained on.
        multi_label: see :class:`VideoPredictor`, like what follows.
        threshold: the same.
    """
    target = Path(path)
    partial = target.with_name(target.name + ".part")
    content = {
        "format": FORMAT,
        "version": VERSION,
        "model_name": model_name,
        "model_kwargs": dict(model_kwargs),
        "model_state": {key: value.detach().cpu() for key, value in model.state_dict().items()},
        "labels": list(labels),
        "recipe": recipe.to_dict(),
        "multi_label": multi_label,
        "threshold": threshold,
    }
    try:
        torch.save(content, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def read_classifier(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the content of a model file; see :meth:`VideoPredictor.from_file` for the errors."""
    saved = read_checkpoint(path)
    if saved.get("format") != FORMAT:
        is_lightning = "pytorch-lightning_version" in saved
        advice = (
            "It is a Lightning checkpoint: VideoClassifier.load_from_checkpoint(...).save(...) makes one."
            if is_lightning
            else "VideoClassifier.save(...) makes one."
        )
        raise ValueError(
            f"{os.fspath(path)} is not a model file of the format {FORMAT!r}. {advice}"
        )
    if saved["version"] > VERSION:
        raise ValueError(
            f"{os.fspath(path)} has version {saved['version']} of its format, but this release reads up to {VERSION}. "
            "Update pytorchvideo."
        )
    return dict(saved)
