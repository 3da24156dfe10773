# SPDX-License-Identifier: Apache-2.0
"""Targets of a classifier: the number of classes, and their form in losses and metrics."""

from collections.abc import Callable, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryF1Score,
    MulticlassAccuracy,
    MultilabelAccuracy,
    MultilabelF1Score,
)

from pytorchvideo._checks import expected
from pytorchvideo.transforms import MixVideo
from pytorchvideo.transforms.functional import convert_to_one_hot

# (clips, labels) -> (clips, soft labels)
Mix = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def count_classes(
    num_classes: int | None, labels: Sequence[str] | None, multi_label: bool = False
) -> int:
    """Returns the number of classes.

    Raises:
        TypeError: ``labels`` is one name, or ``num_classes`` no whole number.
        ValueError: neither is given, they do not agree, or there are too few.
    """
    if num_classes is None and labels is None:
        raise ValueError(
            "Expected `num_classes` or `labels`, but got neither. A datamodule has both: "
            "VideoClassifier(labels=datamodule.labels)."
        )
    if isinstance(labels, str):
        advice = f"If it is a model, say backbone={labels!r}."
        raise TypeError(expected("labels", "a list of class names", labels, advice))
    # numpy's integers are as good as Python's
    if isinstance(num_classes, bool) or not hasattr(num_classes or 0, "__index__"):
        raise TypeError(expected("num_classes", "a whole number", num_classes))
    count = len(labels or ()) if num_classes is None else int(num_classes)
    if labels is not None and len(labels) != count:
        raise ValueError(expected("num_classes", f"the number of labels ({len(labels)})", count))
    if count < 2 and not multi_label:
        raise ValueError(
            expected("num_classes", ">= 2", count, "One class leaves nothing to tell apart.")
        )
    if count < 1:
        raise ValueError(expected("num_classes", ">= 1", count))
    return count


def default_loss(multi_label: bool) -> Callable[[Tensor, Tensor], Tensor]:
    """Cross-entropy, or the binary one of every class."""
    return F.binary_cross_entropy_with_logits if multi_label else F.cross_entropy


def default_metrics(num_classes: int, multi_label: bool, threshold: float) -> dict[str, Metric]:
    """The accuracy; with several labels a clip, that of single decisions and the F1 score of all of them."""
    if not multi_label:
        return {"accuracy": MulticlassAccuracy(num_classes, average="micro")}
    if num_classes == 1:
        return {"accuracy": BinaryAccuracy(threshold), "f1_score": BinaryF1Score(threshold)}
    return {
        "accuracy": MultilabelAccuracy(num_classes, threshold, average="micro"),
        "f1_score": MultilabelF1Score(num_classes, threshold, average="micro"),
    }


class TrainingBatch:
    """What training makes of clips (B, C, T, H, W) and their targets: smoothed labels, mixed clips.

    Args:
        num_classes: of the classifier.
        multi_label: whether targets are (B, num_classes) with a 1 for each class.
        label_smoothing: share of a label that goes to all classes alike.
        mix_video: True for :class:`pytorchvideo.transforms.MixVideo` as it is, or a callable that takes clips
            and targets and returns them mixed. One with the attribute ``one_hot``, as a ``MixVideo`` that takes labels
            so, gets them soft, smoothed. A batch of one clip is left as it is.

    Raises:
        TypeError: ``mix_video`` is neither a bool nor callable.
        ValueError: the smoothing is out of range, or given with a mix that smooths labels itself.

    >>> import torch
    >>> TrainingBatch(2, label_smoothing=0.2)(torch.zeros(1, 3, 1, 1, 1), torch.tensor([0]))[1]
    tensor([[0.9000, 0.1000]])
    """

    def __init__(
        self,
        num_classes: int,
        multi_label: bool = False,
        label_smoothing: float = 0.0,
        mix_video: bool | Mix = False,
    ) -> None:
        if not 0 <= label_smoothing < 1:
            raise ValueError(expected("label_smoothing", "in [0, 1)", label_smoothing))
        if not isinstance(mix_video, bool) and not callable(mix_video):
            raise TypeError(expected("mix_video", "True, False or a callable", mix_video))
        takes_soft = mix_video is True or bool(getattr(mix_video, "one_hot", False))
        if mix_video and label_smoothing and not takes_soft:
            advice = "A mix of your own smooths labels itself."
            raise ValueError(expected("label_smoothing", "0 with it", label_smoothing, advice))
        self.num_classes = num_classes
        self.multi_label = multi_label
        self.label_smoothing = label_smoothing
        self.mix_video = mix_video
        self._takes_soft = takes_soft
        self._mix = MixVideo(num_classes=num_classes, one_hot=True)

    def __call__(self, clips: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns clips and targets; these become probabilities (B, num_classes) in float32."""
        if self.label_smoothing or (self._takes_soft and len(clips) > 1):
            targets = self._soft(targets)
        if not self.mix_video or len(clips) < 2:
            return clips, targets
        mix = self._mix if self.mix_video is True else self.mix_video
        mixed: tuple[Tensor, Tensor] = mix(clips, targets)
        return mixed

    def _soft(self, targets: Tensor) -> Tensor:
        if self.multi_label:
            return targets * (1 - self.label_smoothing) + self.label_smoothing / 2
        if targets.ndim == 2:
            return targets * (1 - self.label_smoothing) + self.label_smoothing / self.num_classes
        return convert_to_one_hot(targets, self.num_classes, self.label_smoothing).float()


def as_classes(targets: Tensor, multi_label: bool) -> Tensor:
    """Targets as metrics take them: class ids (B,), or int (B, N) with several labels a clip."""
    if multi_label:
        return (targets >= 0.5).int()
    return targets.argmax(dim=1) if targets.ndim == 2 else targets


def check_targets(targets: Any, num_classes: int, multi_label: bool) -> None:
    """Raises a ValueError unless targets are shaped as the classifier's are."""
    shape = tuple(getattr(targets, "shape", ()))
    if multi_label and (len(shape) != 2 or shape[1] != num_classes):
        wanted = f"(B, {num_classes}) with a 1 for each class of a clip"
        raise ValueError(f"Expected targets of shape {wanted}, but got {shape}.")
    if not multi_label and (
        len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != num_classes)
    ):
        wanted = f"(B,), class ids, or (B, {num_classes}), probabilities"
        advice = "Clips with several labels need multi_label=True."
        raise ValueError(f"Expected targets of shape {wanted}, but got {shape}. {advice}")
