# SPDX-License-Identifier: Apache-2.0
"""The registry of models: builders, clip sizes and published weights by name."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from typing import Any, Literal, get_args

from torch import nn

from pytorchvideo._checks import check_choice, near_names
from pytorchvideo.models import csn, i3d, r2plus1d, resnet, slowfast, vision_transformers, x3d
from pytorchvideo.models._parts.head_parts import check_num_classes
from pytorchvideo.models._weights.records import WEIGHTS
from pytorchvideo.models._weights.weights import Weights, load_checkpoint
from pytorchvideo.models.accelerator.mobile_cpu import efficient_x3d
from pytorchvideo.models.detector import with_roi_head
from pytorchvideo.models.net import DetectionBBoxNetwork

Task = Literal["detection", "image classification", "video classification"]

#: Behind the name of a model for whole clips: the same trunk with a head that scores boxes.
DETECTION = "_detection"


@dataclass(frozen=True)
class ModelEntry:
    """A named model.

    Args:
        name: its name.
        builder: the function of its family that builds it.
        config: the arguments that make this variant.
        num_frames: frames of the clips that it is built for; of several pathways, of the longest.
        crop_size: their side in pixels.
        size_arguments: the builder's arguments for clips of ``(num_frames, crop_size)``.
        classes_argument: the builder's argument for the number of classes.
        task: what it is for.
        map_layers: the layers of its class-activation maps, one a pathway, in the order of the inputs: its last
            feature maps. Empty for a transformer, whose attention says it.
    """

    name: str
    builder: Callable[..., nn.Module]
    config: Mapping[str, Any]
    num_frames: int
    crop_size: int
    size_arguments: Callable[[int, int], dict[str, Any]]
    classes_argument: str = "model_num_class"
    task: Task = "video classification"
    map_layers: tuple[str, ...] = ()

    @property
    def weights(self) -> Weights:
        """Its published weights; of a trunk with a head for boxes that has none, a record without address."""
        if self.name in WEIGHTS:
            return WEIGHTS[self.name]
        trunk = self.trunk or self.name
        known = WEIGHTS[trunk]
        # whole frames, so that people at the border are not cut off; but tokens are of one size
        is_sized = trunk.startswith("mvit")
        recipe = known.recipe if is_sized else replace(known.recipe, crop_size=None)
        none: dict[str, Any] = {"url": None, "sha256": None, "labels": (), "metrics": {}}
        return replace(known, name=self.name, recipe=recipe, protocol="", **none)

    @property
    def trunk(self) -> str | None:
        """Of a model for boxes the model for whole clips that has its trunk, None of others."""
        if self.task != "detection":
            return None
        return _TRUNKS.get(self.name) or self.name.removesuffix(DETECTION)

    @property
    def logits_arguments(self) -> dict[str, Any]:
        """The builder's arguments for logits, empty where it returns them anyway.

        >>> model_entry("slow_r50").logits_arguments, model_entry("r2plus1d_r50").logits_arguments
        ({}, {'head_activation': None})
        """
        activation = inspect.signature(self.builder).parameters.get("head_activation")
        return {} if activation is None or activation.default is None else {"head_activation": None}

    def build(
        self,
        *,
        num_classes: int | None = None,
        num_frames: int | None = None,
        crop_size: int | None = None,
        **builder_kwargs: Any,
    ) -> nn.Module:
        """Builds the model with initial weights; ``builder_kwargs`` go before everything else."""
        arguments = dict(self.config)
        if num_frames is not None or crop_size is not None:
            frames = self.num_frames if num_frames is None else num_frames
            side = self.crop_size if crop_size is None else crop_size
            arguments |= self.size_arguments(frames, side)
        if num_classes is not None:
            arguments[self.classes_argument] = num_classes
        return self.builder(**(arguments | builder_kwargs))


_STAGE = ("blocks.4",)  # the last one before the head
_STAGES = ("blocks.4.multipathway_blocks.0", "blocks.4.multipathway_blocks.1")


def _resnet(name: str, num_frames: int = 8, temporal_stride: int = 1) -> ModelEntry:
    sizes = partial(resnet.head_pool_sizes, temporal_stride=temporal_stride)
    return ModelEntry(
        name=name,
        builder=resnet.create_resnet,
        config=resnet.VARIANTS[name],
        num_frames=num_frames,
        crop_size=224,
        size_arguments=sizes,
        # where the frames are pooled, that is a block of its own
        map_layers=_STAGE if temporal_stride == 1 else ("blocks.5",),
    )


def _slowfast(name: str, num_frames: int = 32, alpha: int = 4) -> ModelEntry:
    sizes = partial(slowfast.head_pool_sizes, alpha=alpha)
    config = slowfast.VARIANTS[name]
    return ModelEntry(
        name=name,
        builder=slowfast.create_slowfast,
        config=config,
        num_frames=num_frames,
        crop_size=224,
        size_arguments=sizes,
        map_layers=_STAGES,
    )


def _x3d(name: str, num_frames: int, crop_size: int) -> ModelEntry:
    config = x3d.VARIANTS[name]
    return ModelEntry(
        name=name,
        builder=x3d.create_x3d,
        config=config,
        num_frames=num_frames,
        crop_size=crop_size,
        size_arguments=x3d.clip_sizes,
        map_layers=_STAGE,
    )


def _mvit(name: str, num_frames: int, task: Task = "video classification") -> ModelEntry:
    sizes = vision_transformers.image_sizes if num_frames == 1 else vision_transformers.clip_sizes
    return ModelEntry(
        name=name,
        builder=vision_transformers.create_multiscale_vision_transformers,
        config=vision_transformers.VARIANTS[name],
        num_frames=num_frames,
        crop_size=224,
        size_arguments=sizes,
        classes_argument="head_num_classes",
        task=task,
    )


def _efficient_x3d(name: str, num_frames: int) -> ModelEntry:
    return ModelEntry(
        name=name,
        builder=efficient_x3d.create_x3d,
        config=efficient_x3d.VARIANTS[name],
        num_frames=num_frames,
        crop_size=160,
        size_arguments=efficient_x3d.any_size,
        classes_argument="num_classes",
        map_layers=("s5",),
    )


_ENTRIES = (
    # The pool after their first stage halves the frames.
    _resnet("c2d_r50", temporal_stride=2),
    _resnet("i3d_r50", temporal_stride=2),
    _resnet("slow_r50"),
    _resnet("slow_r50_4x16", num_frames=4),
    _resnet("slow_r50_charades"),
    _resnet("slow_r50_ssv2"),
    _slowfast("slowfast_r50"),
    _slowfast("slowfast_r50_4x16", alpha=8),
    _slowfast("slowfast_r50_charades"),
    _slowfast("slowfast_r50_ssv2"),
    _slowfast("slowfast_r101"),
    _slowfast("slowfast_16x8_r101_50_50", num_frames=64),
    ModelEntry(
        name="csn_r101",
        builder=csn.create_csn,
        config=csn.VARIANTS["csn_r101"],
        num_frames=32,
        crop_size=224,
        size_arguments=csn.head_pool_sizes,
        map_layers=_STAGE,
    ),
    ModelEntry(
        name="r2plus1d_r50",
        builder=r2plus1d.create_r2plus1d,
        config=r2plus1d.VARIANTS["r2plus1d_r50"],
        num_frames=16,
        crop_size=224,
        size_arguments=r2plus1d.head_pool_sizes,
        map_layers=_STAGE,
    ),
    _x3d("x3d_xs", 4, 160),
    _x3d("x3d_s", 13, 160),
    _x3d("x3d_m", 16, 224),
    _x3d("x3d_l", 16, 312),
    _efficient_x3d("efficient_x3d_xs", 4),
    _efficient_x3d("efficient_x3d_s", 13),
    _mvit("mvit_base_16x4", 16),
    _mvit("mvit_base_32x3", 32),
    _mvit("mvit_base_16", 1, "image classification"),
    ModelEntry(
        name="slow_r50_detection",
        builder=resnet.create_resnet_with_roi_head,
        config={},
        num_frames=4,
        crop_size=224,
        size_arguments=resnet.roi_pool_sizes,
        task="detection",
        map_layers=("model.blocks.4",),
    ),
    ModelEntry(
        name="slowfast_r50_detection",
        builder=slowfast.create_slowfast_with_roi_head,
        config={},
        num_frames=32,
        crop_size=224,
        size_arguments=slowfast.roi_pool_sizes,
        task="detection",
        map_layers=tuple(f"model.{stage}" for stage in _STAGES),
    ),
    ModelEntry(
        name="i3d_inception",
        builder=i3d.create_i3d_inception,
        config=i3d.VARIANTS["i3d_inception"],
        num_frames=64,
        crop_size=224,
        size_arguments=i3d.head_pool_sizes,
        map_layers=("Mixed_5c",),
    ),
)
_MODELS = {entry.name: entry for entry in _ENTRIES}
# of the models for boxes with published weights, which began from those of these
_TRUNKS = {"slow_r50_detection": "slow_r50_4x16", "slowfast_r50_detection": "slowfast_r50"}


def _create_detector(
    trunk: str,
    *,
    model_num_class: int = 80,
    num_frames: int | None = None,
    crop_size: int | None = None,
    dropout_rate: float = 0.5,
    head_activation: Callable[..., nn.Module] | None = nn.Sigmoid,
    head_aligned: bool = True,
    head_spatial_resolution: int | tuple[int, int] = (7, 7),
    head_sampling_ratio: int = 0,
    dilated: bool = True,
) -> DetectionBBoxNetwork:
    """A model for whole clips with a head for boxes; see :func:`~pytorchvideo.models.detector.with_roi_head`."""
    resolution = head_spatial_resolution
    return with_roi_head(
        create_model(trunk, num_frames=num_frames, crop_size=crop_size),
        model_num_class,
        activation=head_activation,
        aligned=head_aligned,
        # a file holds a list
        resolution=resolution if isinstance(resolution, int) else (resolution[0], resolution[1]),
        sampling_ratio=head_sampling_ratio,
        dropout_rate=dropout_rate,
        dilated=dilated,
    )


def _with_boxes(name: str) -> ModelEntry | None:
    """The entry of ``TRUNK_detection``, None where that is no name of one."""
    trunk = _MODELS.get(name.removesuffix(DETECTION)) if name.endswith(DETECTION) else None
    if trunk is None or trunk.task != "video classification":
        return None
    return ModelEntry(
        name=name,
        builder=partial(_create_detector, trunk.name),
        config={},
        num_frames=trunk.num_frames,
        crop_size=trunk.crop_size,
        size_arguments=lambda frames, side: {"num_frames": frames, "crop_size": side},
        task="detection",
    )


def is_model(name: str) -> bool:
    """Whether :func:`create_model` builds a model of this name.

    >>> is_model("x3d_s"), is_model("x3d_s_detection"), is_model("x3d")
    (True, True, False)
    """
    return name in _MODELS or _with_boxes(name) is not None


def list_models(task: Task | None = None) -> list[str]:
    """Returns the names of all models, or of those for a task, sorted.

    >>> list_models()[:3]
    ['c2d_r50', 'csn_r101', 'efficient_x3d_s']
    """
    if task is not None:
        check_choice("task", task, get_args(Task))
    return sorted(name for name, entry in _MODELS.items() if task in (None, entry.task))


def model_entry(name: str, task: Task | None = None) -> ModelEntry:
    """Returns the entry of a model.

    Args:
        name: one of :func:`list_models`, or one for whole clips with ``_detection`` behind it: its trunk with a head
            for boxes, which has no published weights.
        task: what it must be for; None takes any.

    Raises:
        ValueError: there is no model of this name, with names like it, or it is for another task.

    >>> model_entry("x3d_sx")
    Traceback (most recent call last):
    ValueError: There is no model named 'x3d_sx'. Did you mean x3d_s, x3d_xs, x3d_m?
    """
    entry = _MODELS.get(name) or _with_boxes(name)
    if entry is None:
        raise ValueError(f"There is no model named {name!r}. {near_names(name, _MODELS)}")
    if task not in (None, entry.task):
        near = near_names(name, list_models(task))
        raise ValueError(f"{name} is a model for {entry.task}, not for {task}. {near}")
    return entry


def get_weights(name: str) -> Weights:
    """Returns the published weights of a model: clip recipe, labels, scores, address.

    >>> get_weights("slow_r50").recipe.num_frames
    8
    """
    return model_entry(name).weights


def create_model(
    name: str,
    *,
    pretrained: bool = False,
    weights: str | PathLike[str] | None = None,
    num_classes: int | None = None,
    num_frames: int | None = None,
    crop_size: int | None = None,
    progress: bool = True,
    **builder_kwargs: Any,
) -> nn.Module:
    """Builds a model by name, (B, C, T, H, W) -> (B, num_classes).

    Where the recipe of its weights has a ``pathway_ratio``, it takes a list of clips, one a pathway. A model for
    detection also takes boxes, (N, 5), and returns scores (N, num_classes).

    Args:
        name: one of :func:`list_models`, or ``"x3d_s_detection"`` and the like, see :func:`model_entry`.
        pretrained: load its published weights, downloaded at first into ``$TORCH_HOME/hub/checkpoints``.
        weights: load this file instead; see :func:`load_checkpoint` for what it may hold.
        num_classes: classes of the classifier; where they are not those of the weights, all but the
            classifier is loaded.
        num_frames: frames of the clips; None for those that it was published with. The encodings of positions
            of an MViT are interpolated where its weights are of other clips.
        crop_size: side of the clips in pixels; None likewise.
        progress: show a progress bar while downloading.
        builder_kwargs: arguments of the family's builder, in the place of this variant's.

    Raises:
        ValueError: no such model, or weights that do not fit.
        ConnectionError: the weights could not be downloaded.

    >>> create_model("x3d_xs", num_classes=5).num_features
    2048
    >>> create_model("x3d_xs_detection", num_classes=5).num_features
    432
    """
    entry = model_entry(name)
    if num_classes is not None:
        check_num_classes("num_classes", num_classes)
    model = entry.build(
        num_classes=num_classes, num_frames=num_frames, crop_size=crop_size, **builder_kwargs
    )
    if weights is not None:
        load_checkpoint(model, weights)
    elif pretrained:
        entry.weights.load_into(model, progress)
    return model
