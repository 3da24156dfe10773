# SPDX-License-Identifier: Apache-2.0
"""Maps of the clips of a video: reading, the choice of a method, the box of a figure."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pytorchvideo._checks import check_choice, expected, near_names
from pytorchvideo._progress import Progress, Step, silent
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.visualize import unnormalize
from pytorchvideo.data.windows import ClipWindows, clips_and_views
from pytorchvideo.inference.clips import End, read_clips
from pytorchvideo.inference.explain.explanation import (
    METHODS,
    ClipExplanation,
    Explanation,
    Method,
)
from pytorchvideo.inference.explain.gradcam import Maps, grad_cam
from pytorchvideo.inference.explain.pointing import box_in_clip
from pytorchvideo.models._registry import list_models, model_entry
from pytorchvideo.transforms.clip_recipe import ClipRecipe
from pytorchvideo.transforms.functional import temporal_subsample_indices

#: x1, y1, x2, y2 in pixels of the video.
Box = Sequence[float]

_MOST_CLIPS = 200  # whose frames and maps are in memory at once


class Predictor(Protocol):
    """What is needed of a :class:`~pytorchvideo.inference.VideoPredictor`, which itself needs this module."""

    model: nn.Module
    name: str
    recipe: ClipRecipe
    labels: list[str]
    batch_size: int
    multi_label: bool

    def batch(self, clips: list[Any]) -> Any:
        """Inputs of single clips as one batch."""

    def predict_clips(
        self,
        path: str | os.PathLike[str],
        *,
        clips: int | str = 4,
        views: int = 1,
        start_sec: float = 0.0,
        end_sec: float | None = None,
    ) -> Any:
        """The scores of every clip."""

    def named(self, clips: Any, top_k: int = 5) -> list[tuple[str, float]]:
        """The likeliest labels of clips."""


def method_for(predictor: Predictor, method: str | None = None) -> Method:
    """Returns a method by its name; None is the one that suits the network.

    Raises:
        ValueError: there is no such method.
    """
    if method is not None:
        check_choice("method", method, METHODS)
        return method  # type: ignore[return-value]
    from pytorchvideo.inference.explain.rollout import has_rollout

    if layers_of(predictor):
        return "gradcam"
    return "rollout" if has_rollout(predictor.model) else "occlusion"


def layers_of(predictor: Predictor) -> tuple[str, ...]:
    """Returns the layers that the registry has for the network of a predictor; none of others."""
    return model_entry(predictor.name).map_layers if predictor.name in list_models() else ()


def explain_video(
    predictor: Predictor,
    path: str | os.PathLike[str],
    *,
    label: str | None = None,
    method: Method | None = None,
    clips: int | str = 1,
    start_sec: float = 0.0,
    end_sec: float | None = None,
    layers: Sequence[str] | None = None,
    box: Box | None = None,
    progress: Progress = silent,
) -> Explanation:
    """Returns the maps of the clips of a video; see :meth:`pytorchvideo.inference.VideoPredictor.explain`."""
    count, views = clips_and_views(clips, 1)
    if views != 1:
        raise ValueError(expected("clips", "a number, or 'uniform': maps are of one view", clips))
    if label is not None and label not in predictor.labels:
        raise ValueError(f"There is no label {label!r}. {near_names(label, predictor.labels)}")
    chosen = method_for(predictor, method)
    if layers is not None and chosen != "gradcam":
        raise ValueError(expected("layers", "None, which only gradcam takes", list(layers)))
    windows = ClipWindows(predictor.recipe.clip_duration_sec, count, start_sec, end_sec)
    with EncodedVideo.from_path(os.fspath(path), decode_audio=False, dtype=torch.uint8) as video:
        rate = None if video.rate is None else float(video.rate)
        size = None if box is None else frame_size(video)
        total = len(windows(0, video))
    if total > _MOST_CLIPS:
        raise ValueError(
            f"{os.fspath(path)} has {total} clips, but the maps of {_MOST_CLIPS} at most are in memory at once. Choose "
            "fewer, or a part of it, by `start_sec` and `end_sec`."
        )
    if label is None and count != 1:
        scores = predictor.predict_clips(path, clips=clips, start_sec=start_sec, end_sec=end_sec)
        label = predictor.named(scores, 1)[0][0]
    index = None if label is None else predictor.labels.index(label)
    maps = _mapper(predictor, chosen, layers)
    found: list[ClipExplanation] = []
    for window, inputs in _inputs(path, windows, predictor):
        made = maps(inputs, index)
        index = int(made.classes[0])
        found.append(_explained(predictor, window, inputs, made, rate, box, size))
        progress(Step(len(found), total))
    return Explanation(os.fspath(path), predictor.labels[index or 0], chosen, found)


def _inputs(
    path: str | os.PathLike[str], windows: ClipWindows, predictor: Predictor
) -> Iterator[tuple[tuple[float, float], Any]]:
    """The window of each clip, and the batch of one that the network takes."""
    for item in read_clips([path], windows, predictor.recipe):
        if item.error is not None:
            raise item.error
        if not isinstance(item, End):
            yield item.window, predictor.batch([item.views[0]])


def _mapper(
    predictor: Predictor, method: Method, layers: Sequence[str] | None
) -> Callable[[Any, int | None], Maps]:
    """The function of inputs and a class that makes maps by a method."""
    model = predictor.model
    if method == "gradcam":
        names = layers_of(predictor) if layers is None else layers
        if not names:
            raise ValueError(
                f"There are no layers known for class-activation maps of this {type(model).__name__}. Give `layers`, "
                "one a pathway, or choose occlusion, which needs none and is all that suits an artefact."
            )
        return lambda inputs, index: grad_cam(model, inputs, names, labels=index)
    if method == "rollout":
        from pytorchvideo.inference.explain.rollout import attention_rollout

        return lambda inputs, index: attention_rollout(model, inputs, labels=index)
    if method == "occlusion":
        from pytorchvideo.inference.explain.occlusion import occlusion

        return lambda inputs, index: occlusion(
            model, inputs, labels=index, batch_size=predictor.batch_size
        )
    from pytorchvideo.inference.explain.integrated_gradients import integrated_gradients

    return lambda inputs, index: integrated_gradients(
        model, inputs, labels=index, batch_size=predictor.batch_size
    ).to_maps()


def _explained(
    predictor: Predictor,
    window: tuple[float, float],
    inputs: Any,
    made: Maps,
    rate: float | None,
    box: Box | None,
    size: tuple[int, int] | None,
) -> ClipExplanation:
    recipe = predictor.recipe
    several = [inputs] if isinstance(inputs, Tensor) else inputs
    seen = max(several, key=lambda clip: clip.shape[2])[0].float().cpu()
    if recipe.channels == "bgr":
        seen = seen.flip(0)
    logits = made.logits[0].float().cpu()
    scores = logits.sigmoid() if predictor.multi_label else logits.softmax(dim=0)
    index = int(made.classes[0])
    placed = None
    if box is not None and size is not None:
        placed = box_in_clip(box, size, recipe, (seen.shape[2], seen.shape[3]))
    return ClipExplanation(
        start_sec=window[0],
        end_sec=window[1],
        times=frame_seconds(window, seen.shape[1], rate),
        logit=float(logits[index]),
        score=float(scores[index]),
        frames=unnormalize(seen, recipe.mean, recipe.std),
        heat=made.merged()[0].cpu(),
        pathways=[one[0].cpu() for one in made.maps],
        box=placed,
    )


def frame_seconds(window: tuple[float, float], count: int, rate: float | None) -> list[float]:
    """Returns when the frames of a clip are on show: those that a recipe takes of the frames in its window.

    Args:
        window: start and end in seconds.
        count: frames that the recipe takes.
        rate: frames a second of the video; None, where it says none, takes them at equal distances.

    >>> frame_seconds((1.0, 2.0), 3, 10.0)
    [1.0, 1.4, 1.9]
    """
    start, end = window
    frames = count if rate is None else max(1, round((end - start) * rate))
    step = (end - start) / frames
    return [start + int(place) * step for place in temporal_subsample_indices(frames, count)]


def frame_size(video: EncodedVideo) -> tuple[int, int]:
    """Returns (height, width) of the frames of a video, upright."""
    height, width = video[0].shape[-2:]
    return height, width
