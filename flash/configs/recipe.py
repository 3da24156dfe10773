# SPDX-License-Identifier: Apache-2.0
"""A training recipe: model, clips, augmentations, optimiser and schedule with their published values.

Learning rates are those of ``optimizer.reference_batch`` clips in a step; they grow with the batch, see
:func:`flash.core.published_rates.batch_scale`.
"""

from dataclasses import dataclass, field
from typing import Literal

from pytorchvideo._checks import expected

__all__ = [
    "Augment",
    "Data",
    "Detection",
    "Difference",
    "Multigrid",
    "Optimizer",
    "Recipe",
    "Regularize",
    "Schedule",
]


@dataclass(frozen=True)
class Data:
    """Clips in training.

    Attributes:
        num_frames: of the pathway with most.
        sampling_rate: distance of two, in frames of a video of 30 a second.
        short_side: range of the short side of frames after scaling, in pixels.
        crop: side of the square that is cut out.
        inverse_uniform: whether the inverse of the short side is what is drawn, all alike.
        area: range of the share of the frame that is cut out and resized to ``crop``; None cuts out ``crop`` pixels.
        aspect: range of its width over its height.
        horizontal_flip: share of clips that are mirrored.
        channels: order of the colours that the network is trained with.
        whole_video: whether frames are one of each of as many equal parts of the video, drawn in training; their
            distance is of no effect then.
    """

    num_frames: int
    sampling_rate: int
    short_side: tuple[int, int]
    crop: int
    inverse_uniform: bool = False
    area: tuple[float, float] | None = None
    aspect: tuple[float, float] = (0.75, 1.3333)
    horizontal_flip: float = 0.5
    channels: Literal["rgb", "bgr"] = "rgb"
    whole_video: bool = False

    def __post_init__(self) -> None:
        _positive("data", num_frames=self.num_frames, sampling_rate=self.sampling_rate)
        low, high = self.short_side
        if not 0 < self.crop <= low <= high:
            wanted = f"a range from the crop ({self.crop}) on"
            raise ValueError(expected("data.short_side", wanted, self.short_side))
        _share("data.horizontal_flip", self.horizontal_flip)


@dataclass(frozen=True)
class Augment:
    """Augmentations beyond crops and flips.

    Attributes:
        repeats: augmented copies of each decoded clip; the batch is as many times as large.
        rand_augment: in timm's words, ``"rand-m7-n4-mstd0.5-inc1"``; None for none.
        mixup: its alpha, 0 for none.
        cutmix: its alpha, 0 for none.
        mix_probability: share of batches that are mixed.
        cutmix_share: share of these that are cut.
        label_smoothing: share of the target that goes to all classes.
        erasing: share of clips of which a box is erased.
    """

    repeats: int = 1
    rand_augment: str | None = None
    mixup: float = 0.0
    cutmix: float = 0.0
    mix_probability: float = 1.0
    cutmix_share: float = 0.5
    label_smoothing: float = 0.0
    erasing: float = 0.0

    def __post_init__(self) -> None:
        _positive("augment", repeats=self.repeats)
        for name in ("mix_probability", "cutmix_share", "label_smoothing", "erasing"):
            _share(f"augment.{name}", getattr(self, name))
        for name in ("mixup", "cutmix"):
            if getattr(self, name) < 0:
                raise ValueError(expected(f"augment.{name}", ">= 0", getattr(self, name)))


@dataclass(frozen=True)
class Optimizer:
    """The optimiser.

    Attributes:
        name: of it.
        lr: the highest learning rate, of ``reference_batch`` clips in a step.
        reference_batch: with all repeated clips left out.
        weight_decay: of weights.
        batch_norm_decay: of batch norms.
        zero_1d: no decay of parameters of one dimension.
        no_decay: names of further parameters without decay, as ``pos_embed_spatial`` and ``cls_token``.
        momentum: of SGD.
        nesterov: of SGD.
        betas: of AdamW.
    """

    name: Literal["sgd", "adamw"]
    lr: float
    reference_batch: int
    weight_decay: float
    batch_norm_decay: float = 0.0
    zero_1d: bool = False
    no_decay: tuple[str, ...] = ()
    momentum: float = 0.9
    nesterov: bool = True
    betas: tuple[float, float] = (0.9, 0.999)

    def __post_init__(self) -> None:
        _positive("optimizer", lr=self.lr, reference_batch=self.reference_batch)


@dataclass(frozen=True)
class Schedule:
    """The learning rate over the training; rates are of ``optimizer.reference_batch`` clips.

    Attributes:
        policy: see :mod:`flash.core.published_rates`.
        epochs: of the training.
        warmup_epochs: of the linear rise.
        warmup_start_lr: where it begins.
        end_lr: where a cosine ends.
        cosine_after_warmup: whether the cosine begins there.
        steps: epochs of the steps.
        factors: of the rate.
    """

    policy: Literal["cosine", "steps"]
    epochs: int
    warmup_epochs: float = 0.0
    warmup_start_lr: float = 0.0
    end_lr: float = 0.0
    cosine_after_warmup: bool = False
    steps: tuple[float, ...] = ()
    factors: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _positive("schedule", epochs=self.epochs)
        if not 0 <= self.warmup_epochs < self.epochs:
            wanted = f"in 0..{self.epochs}"
            raise ValueError(expected("schedule.warmup_epochs", wanted, self.warmup_epochs))
        if (self.policy == "steps") != bool(self.steps) or len(self.steps) != len(self.factors):
            wanted = "epochs with as many factors for the policy steps, and left out for another"
            raise ValueError(expected("schedule.steps", wanted, self.steps))


@dataclass(frozen=True)
class Regularize:
    """What else keeps a network from learning by heart, or its training in order.

    Attributes:
        dropout: before the classifier.
        drop_path: of the last block; it grows from 0 at the first.
        layer_decay: share of the learning rate that a layer passes on to the one before.
        clip_norm: of all gradients; None for none.
        ema: decay of averaged weights; None for none.
        precise_bn_batches: of which batch norm's statistics are taken before an evaluation; 0 keeps the running ones.
    """

    dropout: float = 0.0
    drop_path: float = 0.0
    layer_decay: float = 1.0
    clip_norm: float | None = None
    ema: float | None = None
    precise_bn_batches: int = 0

    def __post_init__(self) -> None:
        for name in ("dropout", "drop_path", "layer_decay"):
            _share(f"regularize.{name}", getattr(self, name))


@dataclass(frozen=True)
class Multigrid:
    """Small clips in large batches first (arXiv 1912.00998), see :mod:`flash.core.multigrid`.

    Attributes:
        long_cycle: whether frames and crop grow within each step of the learning rate.
        short_cycle: whether the crop changes from step to step of the optimiser.
        epoch_factor: how many times as many epochs as ``schedule.epochs`` there are.
        base_clips: of which a batch norm has its statistics.
        steps: epochs of the learning rate's steps, of a recipe with a cosine; each multiplies it by ``gamma``.
        gamma: see ``steps``.
    """

    long_cycle: bool = True
    short_cycle: bool = True
    epoch_factor: float = 1.5
    base_clips: int = 8
    steps: tuple[int, ...] = ()
    gamma: float = 0.1

    def __post_init__(self) -> None:
        _positive("multigrid", epoch_factor=self.epoch_factor, base_clips=self.base_clips)
        _positive("multigrid", gamma=self.gamma)
        if not self.long_cycle and not self.short_cycle:
            raise ValueError(
                "Expected `multigrid` to have a long or a short cycle, but it has none."
            )


@dataclass(frozen=True)
class Detection:
    """Boxes of people, for AVA.

    Attributes:
        score_threshold: from which a predicted box counts.
        roi_aligned: whether RoIAlign shifts by half a pixel.
        test_side: short side of whole frames in the test.
    """

    score_threshold: float
    roi_aligned: bool = True
    test_side: int = 256


@dataclass(frozen=True)
class Difference:
    """A value that another source has.

    Attributes:
        source: which.
        key: as ``optimizer.lr``, or in words what a recipe has no key for.
        value: there.
    """

    source: str
    key: str
    value: str


@dataclass(frozen=True)
class Recipe:
    """A training as it was published.

    Attributes:
        model: name in the registry.
        dataset: it was published for.
        source: of the values: repository and file, or paper and section.
        init: weights that it begins with; None for random ones.
        loss: of the classes.
        published: scores of a model so trained, in percent.
        differences: values of other sources.
    """

    model: str
    dataset: str
    source: tuple[str, ...]
    data: Data
    optimizer: Optimizer
    schedule: Schedule
    augment: Augment = field(default_factory=Augment)
    regularize: Regularize = field(default_factory=Regularize)
    detection: Detection | None = None
    multigrid: Multigrid | None = None
    init: str | None = None
    loss: Literal["cross_entropy", "soft_cross_entropy", "binary_cross_entropy"] = "cross_entropy"
    published: dict[str, float] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()


def _positive(section: str, **values: float) -> None:
    for name, value in values.items():
        if value <= 0:
            raise ValueError(expected(f"{section}.{name}", "> 0", value))


def _share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(expected(name, "in 0..1", value))
