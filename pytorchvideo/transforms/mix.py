# SPDX-License-Identifier: Apache-2.0
"""MixUp, CutMix and MixVideo of batches (B, C, T, H, W), with their labels.

The partner of a clip is the one at the same place in the reversed batch; all pairs of a batch have the
same share. Nothing here changes its input.
"""

import math

import torch

from pytorchvideo._checks import expected
from pytorchvideo.transforms._random import RandomTransform, beta, happens, integer
from pytorchvideo.transforms.functional import convert_to_one_hot

__all__ = ["CutMix", "MixUp", "MixVideo"]

# The mixed clips, their sound if there is any, and the soft labels.
Mixed = tuple[torch.Tensor, torch.Tensor] | tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def _blend(x: torch.Tensor, share: float) -> torch.Tensor:
    """``share`` of every item and the rest of its partner, in the dtype of the batch."""
    if x.is_floating_point():
        return torch.lerp(x.flip(0), x, share)
    return torch.lerp(x.flip(0).float(), x.float(), share).round_().to(x.dtype)


def _check_alpha(name: str, alpha: float) -> float:
    if alpha <= 0:
        raise ValueError(expected(name, "> 0", alpha))
    return alpha


class _Mix(RandomTransform):
    """Draws the share, and mixes what is not video: labels and sound."""

    def __init__(
        self,
        alpha: float = 1.0,
        label_smoothing: float = 0.0,
        num_classes: int = 400,
        one_hot: bool = False,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(generator)
        if not 0 <= label_smoothing < 1:
            raise ValueError(expected("label_smoothing", "in [0, 1)", label_smoothing))
        self.alpha = _check_alpha("alpha", alpha)
        self.label_smoothing = label_smoothing
        self.num_classes = num_classes
        self.one_hot = one_hot

    def _mix_video(self, video: torch.Tensor, share: float) -> tuple[torch.Tensor, float]:
        """The mixed clips, and the share of each clip in them."""
        raise NotImplementedError

    def _soft_labels(self, labels: torch.Tensor, batch_size: int) -> torch.Tensor:
        shape = (batch_size, self.num_classes) if self.one_hot else (batch_size,)
        if labels.shape != shape:
            advice = "Class ids are (B,); with one_hot=True labels are (B, num_classes)."
            raise ValueError(expected("labels", f"of shape {shape}", tuple(labels.shape), advice))
        if not self.one_hot:
            labels = convert_to_one_hot(labels, self.num_classes, self.label_smoothing)
        return labels if labels.is_floating_point() else labels.float()

    def forward(
        self, x_video: torch.Tensor, labels: torch.Tensor, x_audio: torch.Tensor | None = None
    ) -> Mixed:
        """Mixes a batch.

        Args:
            x_video: (B, C, T, H, W) with B > 1, uint8 or float.
            labels: class ids (B,), or (B, num_classes) with ``one_hot``.
            x_audio: sound or its spectrograms (B, ...).

        Returns:
            the clips, the sound if it was given, and the labels (B, num_classes), which sum to one.
        """
        if x_video.ndim < 4 or len(x_video) < 2:
            wanted = "a batch (B, C, T, H, W) of two clips at least"
            raise ValueError(expected("x_video", wanted, tuple(x_video.shape)))
        if x_audio is not None and len(x_audio) != len(x_video):
            wanted = f"a batch of {len(x_video)}, as the video"
            raise ValueError(expected("x_audio", wanted, tuple(x_audio.shape)))
        soft = self._soft_labels(labels, len(x_video))
        video, share = self._mix_video(x_video, beta(self.alpha, self.generator))
        if x_audio is None:
            return video, _blend(soft, share)
        return video, _blend(x_audio, share), _blend(soft, share)

    def extra_repr(self) -> str:
        return (
            f"alpha={self.alpha}, label_smoothing={self.label_smoothing}, "
            f"num_classes={self.num_classes}, one_hot={self.one_hot}"
        )


class MixUp(_Mix):
    """Weighted means of two clips (Zhang et al., arXiv 1710.09412).

    Args:
        alpha: the share of the first is from Beta(alpha, alpha).
        label_smoothing: of class ids, see :func:`functional.convert_to_one_hot`.
        num_classes: length of a soft label.
        one_hot: the labels are (B, num_classes) already.
        generator: where the randomness comes from.

    >>> clips, labels = torch.zeros(2, 3, 4, 8, 8), torch.tensor([0, 2])
    >>> mixed, soft = MixUp(num_classes=3)(clips, labels)
    >>> mixed.shape, soft.shape
    (torch.Size([2, 3, 4, 8, 8]), torch.Size([2, 3]))
    """

    def _mix_video(self, video: torch.Tensor, share: float) -> tuple[torch.Tensor, float]:
        return _blend(video, share), share


class CutMix(_Mix):
    """One clip with a rectangle of another in all frames (Yun et al., arXiv 1905.04899).

    The share of the labels is that of the pixels: rectangles are cut off at the border. Sound, which has
    no rectangles, is mixed as in :class:`MixUp`. The arguments are those of :class:`MixUp`.
    """

    def _mix_video(self, video: torch.Tensor, share: float) -> tuple[torch.Tensor, float]:
        height, width = video.shape[-2:]
        h, w = int(height * math.sqrt(1 - share)), int(width * math.sqrt(1 - share))
        y = integer(0, height - 1, self.generator) - h // 2
        x = integer(0, width - 1, self.generator) - w // 2
        rows, columns = slice(max(y, 0), max(y + h, 0)), slice(max(x, 0), max(x + w, 0))
        mixed = video.clone()
        part = mixed[..., rows, columns]
        part.copy_(video[..., rows, columns].flip(0))
        return mixed, 1 - part.shape[-2] * part.shape[-1] / (height * width)


class MixVideo(RandomTransform):
    """CutMix or MixUp, drawn for each batch.

    Args:
        cutmix_prob: share of the mixed batches for CutMix.
        mixup_alpha: see :class:`MixUp`, like all that follow.
        cutmix_alpha: the same for CutMix.
        label_smoothing: of class ids.
        num_classes: length of a soft label.
        one_hot: the labels are (B, num_classes) already.
        mix_prob: share of the batches that are mixed at all; of the others only the labels change their form.
        generator: where the randomness comes from.
    """

    def __init__(
        self,
        cutmix_prob: float = 0.5,
        mixup_alpha: float = 1.0,
        cutmix_alpha: float = 1.0,
        label_smoothing: float = 0.0,
        num_classes: int = 400,
        one_hot: bool = False,
        *,
        mix_prob: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(generator)
        if not 0 <= mix_prob <= 1:
            raise ValueError(expected("mix_prob", "in [0, 1]", mix_prob))
        if not 0 <= cutmix_prob <= 1:
            raise ValueError(expected("cutmix_prob", "in [0, 1]", cutmix_prob))
        _check_alpha("mixup_alpha", mixup_alpha)
        _check_alpha("cutmix_alpha", cutmix_alpha)
        self.cutmix_prob = cutmix_prob
        self.mix_prob = mix_prob
        self.one_hot = one_hot
        self.mixup = MixUp(mixup_alpha, label_smoothing, num_classes, one_hot, generator=generator)
        self.cutmix = CutMix(
            cutmix_alpha, label_smoothing, num_classes, one_hot, generator=generator
        )

    def forward(
        self, x_video: torch.Tensor, labels: torch.Tensor, x_audio: torch.Tensor | None = None
    ) -> Mixed:
        """Mixes a batch as :class:`MixUp` does."""
        # of 1 no number is drawn, as before there was a choice
        if self.mix_prob < 1 and not happens(self.mix_prob, self.generator):
            soft = self.mixup._soft_labels(labels, len(x_video))
            return (x_video, soft) if x_audio is None else (x_video, x_audio, soft)
        mix = self.cutmix if happens(self.cutmix_prob, self.generator) else self.mixup
        mixed: Mixed = mix(x_video, labels, x_audio)
        return mixed

    def extra_repr(self) -> str:
        return f"cutmix_prob={self.cutmix_prob}, mix_prob={self.mix_prob}"
