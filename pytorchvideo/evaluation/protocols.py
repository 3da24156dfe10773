# SPDX-License-Identifier: Apache-2.0
"""Published test protocols on videos: the very views that a score was measured on, and how they make one.

::

    weights.views("official") ── frames of each clip ── crops ── network ── scores of each position
                                                                        └── mean ── mean or max over views ── a video

A view that is missing is an error: a score of fewer views is none of the protocol.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from pytorchvideo._checks import check_choice, expected
from pytorchvideo.data.windows import FrameRule
from pytorchvideo.inference.clips import (
    FRAMES_FPS,
    CropViews,
    VideoRows,
    read_clips,
    rows_of_videos,
)
from pytorchvideo.models._parts.head_parts import ReplaceableClassifier
from pytorchvideo.models._weights.protocols import (
    OTHER_VIEWS,
    PROTOCOLS,
    Combine,
    Protocol,
    ProtocolViews,
)

__all__ = [
    "OTHER_VIEWS",
    "PROTOCOLS",
    "Protocol",
    "ProtocolViews",
    "VideoScores",
    "combine_views",
    "score_videos",
    "view_scores",
]


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": nn.Softmax(dim=1),
    "sigmoid": nn.Sigmoid(),
}


def view_scores(model: nn.Module, inputs: Any, protocol: Protocol) -> Tensor:
    """Returns the scores of views as a protocol has them, float32 (B, classes).

    With ``per_position`` the activation is applied at each position of the last map, and the mean of the positions is
    taken; otherwise the other way round. The model is one of this library, or any other that returns a map of logits
    (B, classes, T, H, W), or those of its only position (B, classes). An activation that a head of this library has
    itself is not applied twice.

    Args:
        model: in eval mode.
        inputs: of the model.
        protocol: of the scores.

    Raises:
        ValueError: the model is in training, or returns another shape.
    """
    if model.training:
        raise ValueError(expected("model", "in eval mode", "one in training", "Call model.eval()."))
    head = _head(model)
    if head is not None and getattr(head, "activation", None) is not None:
        apply: Callable[[Tensor], Tensor] = nn.Identity()
    else:
        apply = _ACTIVATIONS[protocol.activation]
    with torch.inference_mode():
        if head is not None and protocol.per_position:
            with _at_positions(head.classifier, apply):
                scores = model(inputs).float()
            apply = nn.Identity()
        else:
            scores = model(inputs).float()
        if scores.ndim < 2:
            wanted = "(B, classes), or a map (B, classes, T, H, W)"
            raise ValueError(
                f"Expected the model to return {wanted}, but got {tuple(scores.shape)}."
            )
        if protocol.per_position:
            scores = apply(scores)
        scores = scores if scores.ndim == 2 else scores.flatten(2).mean(dim=2)
        return scores if protocol.per_position else apply(scores)


def _head(model: nn.Module) -> ReplaceableClassifier | None:
    """The head whose classifier gives the logits; None where there is none of this library's, or several."""
    heads = [part for part in model.modules() if isinstance(part, ReplaceableClassifier)]
    if len(heads) != 1:
        return None
    layer = getattr(heads[0], heads[0].classifier_name)
    return heads[0] if isinstance(layer, (nn.Linear, nn.Conv3d)) else None


@contextmanager
def _at_positions(classifier: nn.Module, apply: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Has a classifier return scores in the place of logits, at each position that it is applied to."""

    def scored(module: nn.Module, inputs: Any, logits: Tensor) -> Tensor:
        if isinstance(module, nn.Linear):  # (..., classes)
            return apply(logits.float().movedim(-1, 1)).movedim(1, -1)
        return apply(logits.float())

    handle = classifier.register_forward_hook(scored)
    try:
        yield
    finally:
        handle.remove()


def combine_views(scores: Tensor, combine: Combine) -> Tensor:
    """Returns the scores of a video, float64 (classes,), from those of its views (views, classes).

    No finite number is the start: a sum begins at 0 and a maximum at the first view, whatever the scores are.

    Raises:
        ValueError: no view, or another way.
    """
    check_choice("combine", combine, ("sum", "mean", "max"))
    if scores.ndim != 2 or not len(scores):
        raise ValueError(expected("scores", "of shape (views, classes)", tuple(scores.shape)))
    exact = scores.double()
    if combine == "max":
        return exact.amax(dim=0)
    return exact.sum(dim=0) if combine == "sum" else exact.mean(dim=0)


class VideoScores:
    """Collects the scores of views, in any order and from any number of processes, into those of videos.

    Args:
        views: of each video.
        combine: see :func:`combine_views`.

    >>> found = VideoScores(2, "max")
    >>> found.add("a.mp4", 0, torch.tensor([0.25, 0.5]))
    >>> found.add("a.mp4", 1, torch.tensor([0.75, 0.25]))
    >>> found.of("a.mp4")
    tensor([0.7500, 0.5000], dtype=torch.float64)
    """

    def __init__(self, views: int, combine: Combine = "mean") -> None:
        if views < 1:
            raise ValueError(expected("views", ">= 1", views))
        check_choice("combine", combine, ("sum", "mean", "max"))
        self.views, self.combine = views, combine
        self._found: dict[str, dict[int, Tensor]] = {}

    def add(self, video: str, view: int, scores: Tensor) -> None:
        """Adds the scores (classes,) of a view.

        Raises:
            ValueError: there is no such view, or it is there already.
        """
        if not 0 <= view < self.views:
            raise ValueError(expected("view", f"in 0..{self.views - 1}, for {video}", view))
        of_video = self._found.setdefault(video, {})
        if view in of_video:
            raise ValueError(
                f"View {view} of {video} came twice. Let each process have its own videos; a sampler that fills up the "
                "last batch repeats some."
            )
        of_video[view] = scores.detach().cpu()

    def merge(self, other: "VideoScores") -> None:
        """Adds what another process has collected."""
        for video, of_video in other._found.items():
            for view, scores in of_video.items():
                self.add(video, view, scores)

    def of(self, video: str) -> Tensor:
        """Returns the scores (classes,) of a video.

        Raises:
            ValueError: a view is missing.
        """
        of_video = self._found.get(video, {})
        missing = [view for view in range(self.views) if view not in of_video]
        if missing:
            raise ValueError(_missing(video, missing, self.views))
        return combine_views(torch.stack([of_video[v] for v in range(self.views)]), self.combine)

    def all(self, videos: Iterable[str] | None = None) -> dict[str, Tensor]:
        """Returns the scores of videos, by default of those of which there is a view.

        Raises:
            ValueError: a view of one is missing.
        """
        return {video: self.of(video) for video in (self._found if videos is None else videos)}


def score_videos(
    model: nn.Module,
    paths: Sequence[str | os.PathLike[str]],
    views: ProtocolViews,
    *,
    batch_size: int = 4,
    workers: int = 0,
    fps: float = FRAMES_FPS,
) -> Iterator[Tensor | Exception]:
    """Yields the scores (classes,) of each video by a protocol, in their order, or why it cannot be read.

    Args:
        model: of the classes; is put into eval mode.
        paths: video files, or folders of frames.
        views: ``get_weights(name).views("official")``.
        batch_size: clips in memory, and views in the model, at a time.
        workers: processes that read; 0 reads in this one.
        fps: frames a second of folders of frames.

    Raises:
        ValueError: the clips are those around given frames, which a video file does not name.
    """
    if views.protocol.starts == "keyframe":
        advice = "Its clips are around annotated frames: use views.around(centre, count)."
        raise ValueError(expected("views", "of a protocol for whole videos", "keyframe", advice))
    model.eval()
    protocol = views.protocol
    positions = (0, 1, 2) if protocol.crops == 3 else (1,)
    crops = CropViews(views.recipe, positions=positions)
    rule = FrameRule(views.frames)
    items = read_clips(
        paths, rule, views.recipe, views=crops, workers=workers, batch_size=batch_size, fps=fps
    )
    for rows in rows_of_videos(items, _clip_scorer(model, protocol, batch_size), batch_size):
        yield _video_scores(os.fspath(paths[rows.video]), rows, protocol)


def _clip_scorer(
    model: nn.Module, protocol: Protocol, batch_size: int
) -> Callable[[list[Sequence[Any]]], Tensor]:
    """A function from the crops of clips to the scores of clips (N, classes), those of their crops combined."""

    def score(clips: list[Sequence[Any]]) -> Tensor:
        views = [view for clip in clips for view in clip]
        starts = range(0, len(views), batch_size)
        rows = [
            view_scores(model, _batch(model, views[start : start + batch_size]), protocol).cpu()
            for start in starts
        ]
        of_clips = torch.cat(rows).unflatten(0, (len(clips), -1))
        # every clip has as many crops: the mean of means, sum of sums and maximum of maxima is that of all views
        return torch.stack([combine_views(crops, protocol.combine) for crops in of_clips])

    return score


def _batch(model: nn.Module, views: list[Any]) -> Any:
    like = next(model.parameters(), torch.zeros(()))
    batch = default_collate(views)
    # several tensors are the pathways of one batch
    return batch.to(like) if isinstance(batch, Tensor) else [path.to(like) for path in batch]


def _video_scores(path: str, rows: VideoRows, protocol: Protocol) -> Tensor | Exception:
    if rows.error is not None:
        return rows.error
    if len(rows.rows) != protocol.clips:
        missing = range(len(rows.rows) * protocol.crops, protocol.views)
        raise ValueError(_missing(path, missing, protocol.views))
    return combine_views(torch.stack(rows.rows), protocol.combine)


def _missing(video: str, missing: Sequence[int], views: int) -> str:
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f"View {missing[0]}{more} of {views} of {video} is missing: its score would be of another protocol."
