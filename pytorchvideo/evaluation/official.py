# SPDX-License-Identifier: Apache-2.0
"""A model with the protocol of its published figures, and that protocol in words."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo._files import sha256_of
from pytorchvideo.inference.devices import device_named
from pytorchvideo.inference.loading import find_model, load_trained
from pytorchvideo.models._registry import model_entry
from pytorchvideo.models._weights.protocols import PROTOCOLS, Protocol, ProtocolViews, Starts

#: Letters of the rules by which clips begin, and who has them.
RULES = {
    "share": ("A", "at i/N of the frames that a clip leaves (PySlowFast)"),
    "seconds": ("B", "at i/(N-1) of the seconds that a clip leaves (PyTorchVideo)"),
    "offsets": ("C", "at whole offsets in frames, a single clip in the middle (PySlowFast)"),
    "rounded": (
        "D",
        "at rounded frames, with every tau-th frame of the file (PySlowFast, Charades)",
    ),
    "whole": ("whole", "one clip over the whole video (PySlowFast, Something-Something)"),
    "keyframe": ("keyframe", "around an annotated frame (AVA)"),
}


@dataclass(frozen=True)
class OfficialTest:
    """A model, and how it is tested.

    Attributes:
        model: its name, or path.
        network: of it, on its device.
        labels: class names in the order of the scores.
        views: the clips and crops that the figures are of.
        multi_label: whether a video may have several classes: the figure is then the mean average precision.
        weights: file of the weights that were given; None for the published ones, or those of the model file.
        is_known: whether the weights are the published ones, by their hash where a file was given.
        published: figures by name, in percent; empty where there are none.
        measured: how they were measured, in words.
        is_official: whether ``views`` are those of the published figures.
    """

    model: str
    network: nn.Module
    labels: tuple[str, ...]
    views: ProtocolViews
    multi_label: bool = False
    weights: str | None = None
    is_known: bool = True
    published: Mapping[str, float] = field(default_factory=dict)
    measured: str = ""
    is_official: bool = True

    def protocol(self) -> dict[str, Any]:
        """Returns everything that the views are made by, as plain values."""
        of, clip = self.views.protocol, self.views.recipe
        letter, words = RULES[of.starts]
        distance = self.views.distance
        return {
            "official": self.is_official,
            "clips": of.clips,
            "crops": of.crops,
            "starts": of.starts,
            "start_rule": letter,
            "start_rule_in_words": words,
            "frames": clip.num_frames,
            "sampling_rate": distance if isinstance(distance, int) else round(float(distance), 3),
            "keeps_seconds": of.keeps_seconds,
            "short_side": clip.side_size,
            "crop": clip.crop_size,
            "activation": of.activation,
            "activation_of": "each position" if of.per_position else "the mean of the positions",
            "combine": of.combine,
            "channels": clip.channels,
        }


def official_test(
    model: str,
    *,
    weights: str | os.PathLike[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
    protocol: str | None = None,
    device: str = "cpu",
) -> OfficialTest:
    """Loads a model with the protocol of its published figures.

    Args:
        model: a name of the zoo, or any other that :func:`~pytorchvideo.inference.loading.load_trained` takes.
        weights: of a name of the zoo, a file of weights; None takes the published ones.
        labels: file of class names, where they are not the published ones.
        protocol: clips x crops, as ``"10x3"``, in the place of the published ones, or where none are known.
        device: to put it on, see :func:`~pytorchvideo.inference.devices.device_named`.

    Raises:
        ValueError: an unknown model, device or protocol; its figures are of boxes on annotated frames; or it is not
            known what they are of, and no ``protocol`` was given.
        FileNotFoundError, ConnectionError: weights that are not there.
    """
    place, asked = device_named(device), None if protocol is None else _counts(protocol)
    is_zoo = find_model(model)[0] == "zoo"
    official = PROTOCOLS.get(model) if is_zoo else None
    if official is not None and official.starts == "keyframe":
        raise ValueError(
            f"The figures of {model} (AVA v2.2) are of boxes on annotated frames, not of whole videos: expected a "
            "model of videos. pytorchvideo.evaluation.detection has the frame-mAP of AVA."
        )
    entry = model_entry(model, "video classification") if is_zoo else None
    if official is None and asked is None:
        of = "no published figures" if entry is None else "figures of unknown views"
        told = "" if entry is None else f" ({entry.weights.protocol})"
        raise ValueError(f"{model} has {of}{told}. Name clips and crops, e.g. --protocol 10x3.")
    trained = load_trained(model, weights=weights, labels=labels)
    multi_label = trained.multi_label or (entry is not None and "mAP" in entry.weights.metrics)
    used = _protocol(asked, official, multi_label, whole=trained.recipe.whole_video)
    network = trained.model.eval().to(place).to(memory_format=torch.channels_last_3d)
    names = trained.labels or tuple(str(index) for index in range(trained.num_classes))
    return OfficialTest(
        model,
        network,
        tuple(names),
        ProtocolViews(used, trained.recipe),
        multi_label,
        None if weights is None else os.fspath(weights),
        _is_known(weights, None if entry is None else entry.weights.sha256),
        {} if entry is None else dict(entry.weights.metrics),
        "" if entry is None else entry.weights.protocol,
        official is not None and used == official,
    )


def _is_known(weights: str | os.PathLike[str] | None, sha256: str | None) -> bool:
    return weights is None or (sha256 is not None and sha256_of(Path(weights)) == sha256)


def _counts(protocol: str) -> tuple[int, int]:
    """Clips and crops of ``"10x3"``."""
    found = re.fullmatch(r"([1-9]\d{0,3})x([13])", protocol)
    if found is None:
        advice = 'A protocol is clips x crops, as "10x3" or "5x1".'
        raise ValueError(expected("protocol", "clips x 1 or 3 crops", protocol, advice))
    return int(found[1]), int(found[2])


def _protocol(
    asked: tuple[int, int] | None, official: Protocol | None, multi_label: bool, *, whole: bool
) -> Protocol:
    """The official protocol, with other clips and crops where these were asked for."""
    if official is not None:
        return official if asked is None else replace(official, clips=asked[0], crops=asked[1])
    clips, crops = asked or (1, 1)
    activation: Literal["sigmoid", "softmax"] = "sigmoid" if multi_label else "softmax"
    # a single clip is the middle
    starts: Starts = "whole" if whole else "share" if clips > 1 else "offsets"
    return Protocol(clips, crops, starts, activation)
