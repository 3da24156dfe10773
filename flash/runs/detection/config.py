# SPDX-License-Identifier: Apache-2.0
"""The configuration of a run that trains an action detector."""

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_type_hints

from flash.configs.files import parse_recipe
from flash.configs.recipe import Recipe
from flash.runs.config import (
    OPTIMIZERS,
    absolute,
    check_numbers,
    check_types,
    default_workers,
    is_on_gpu,
)
from flash.runs.detection.task import TASK
from flash.video.detection.backbones import detector_name
from pytorchvideo._checks import check_choice, expected
from pytorchvideo._text import read_object
from pytorchvideo.models._registry import model_entry
from pytorchvideo.transforms.clip_recipe import ClipRecipe

STRATEGIES = ("no_freeze", "freeze")

_EPOCHS = 20
_RATES = {"AdamW": (4e-3, 3e-4), "SGD": (0.05, 0.01)}


@dataclass(frozen=True)
class DetectionConfig:
    """What a run is asked to do; every field is a plain value.

    Args:
        data: a csv or json of boxes, or a folder with ``train`` and perhaps ``val`` of these.
        task: ``"detection"``.
        val: the file of the held-out boxes, where DATA has none.
        val_split: share of the videos to hold out, where there is no such file.
        videos: folder of the videos; None is that of the file.
        label_map: file of class names; None takes those of the data.
        model: a model for boxes, or a model for whole clips whose trunk gets a head for boxes.
        model_kwargs: arguments of its builder, such as ``{"stem_dim_out": 16}``.
        weights: file of weights to start from.
        pretrained: start from the published weights instead.
        strategy: ``"no_freeze"`` trains everything, ``"freeze"`` the head and the BatchNorm layers.
        epochs: passes over the key frames.
        frames: frames of a clip.
        crop: short side of the pictures in pixels.
        clip_duration: seconds of a clip.
        batch_size: clips in a batch.
        optimizer: ``"AdamW"`` or ``"SGD"``.
        lr: highest learning rate.
        weight_decay: of the optimiser.
        exclusive: a person does one thing at a time: a softmax in the place of sigmoids.
        threshold: probability from which an action counts.
        layer_decay: share of the learning rate that a layer passes on to the one before it.
        ema: decay of a moving average of the weights; None keeps none.
        precise_bn: batches from which BatchNorm's statistics are computed anew, at most; 0 leaves moving averages.
        keep: whether the model is that of the ``"last"`` epoch, or the ``"best"`` on the held-out videos.
        early_stopping: epochs without a lower loss on the held-out videos after which the run ends.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
        precision: ``"32"``, ``"bf16-mixed"`` or ``"16-mixed"``.
        accumulate: batches of which a step is made.
        logger: also log to Lightning's ``"csv"``, ``"tensorboard"`` or ``"wandb"``.
        seed: of everything random.
        flip: whether clips may be mirrored in training.
        jitter: whether pictures are scaled at random in training.
        training: the published recipe that the run carries out, as the plain values of a
            :class:`flash.configs.recipe.Recipe`; what the fields above say counts before it.
        workers: processes that decode.
    """

    data: str
    task: str = TASK
    val: str | None = None
    val_split: float = 0.25
    videos: str | None = None
    label_map: str | None = None
    model: str = "x3d_xs"
    model_kwargs: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    pretrained: bool | None = False
    strategy: str = "no_freeze"
    epochs: int | None = None
    frames: int | None = None
    crop: int | None = None
    clip_duration: float | None = None
    batch_size: int = 8
    optimizer: str = "AdamW"
    lr: float | None = None
    weight_decay: float | None = None
    exclusive: bool = False
    threshold: float = 0.5
    layer_decay: float = 1.0
    ema: float | None = None
    precise_bn: int = 16
    keep: str = "last"
    early_stopping: int | None = None
    device: str = "auto"
    precision: str = "32"
    accumulate: int = 1
    logger: str | None = None
    seed: int = 0
    flip: bool = True
    jitter: bool = True
    workers: int | None = None
    training: dict[str, Any] | None = None

    @classmethod
    def from_file(cls, file: Path) -> "DetectionConfig":
        """Reads the configuration of a run.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it holds something else.
        """
        values = read_object(file, "the configuration of a run")
        hints = get_type_hints(cls)
        if values.get("task") != TASK or not {"data"} <= set(values) <= set(hints):
            raise ValueError(f"{file} is not the configuration of a run with --task {TASK}.")
        check_types(file, values, hints)
        config = cls(**values)
        try:
            config.training_recipe  # noqa: B018 - it is parsed
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
        return config

    def completed(self) -> "DetectionConfig":
        """Returns the same with every None replaced that stands for a default, paths absolute, all values checked.

        Raises:
            ValueError: for a value out of range, or an unknown name.
        """
        check_choice("strategy", self.strategy, STRATEGIES)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        recipe = published_clip(self.model)
        started = self.weights is not None or bool(self.pretrained)
        filled = replace(
            self,
            model=detector_name(self.model),
            epochs=_EPOCHS if self.epochs is None else self.epochs,
            frames=recipe.num_frames if self.frames is None else self.frames,
            crop=(recipe.crop_size or recipe.side_size) if self.crop is None else self.crop,
            lr=_RATES[self.optimizer][started] if self.lr is None else self.lr,
            weight_decay=0.01 if self.weight_decay is None else self.weight_decay,
            workers=default_workers(self.device) if self.workers is None else self.workers,
            data=absolute(self.data),
            **self._absolute_paths(),
        )
        filled._check()
        return filled

    def _absolute_paths(self) -> dict[str, Any]:
        known = {name: getattr(self, name) for name in ("val", "videos", "label_map", "weights")}
        return {name: absolute(path) for name, path in known.items() if path is not None}

    def _check(self) -> None:
        check_numbers(self)
        if not 0 < self.threshold < 1:
            raise ValueError(expected("threshold", "between 0 and 1", self.threshold))

    @property
    def on_gpu(self) -> bool:
        """Whether it trains on a GPU of NVIDIA or AMD."""
        return is_on_gpu(self.device)

    @cached_property
    def training_recipe(self) -> Recipe | None:
        """The published recipe that the run carries out.

        Raises:
            ValueError: ``training`` holds something else.
        """
        found = None if self.training is None else parse_recipe(self.training, "training")
        if found is not None and found.detection is None:
            raise ValueError("training: `detection` is missing.")
        return found

    def recipe(self) -> ClipRecipe:
        """Returns the clips of the model, changed as this run asks: whole pictures, except for networks of tokens."""
        base = published_clip(self.model)
        frames, side = self.frames or base.num_frames, self.crop or base.side_size
        sized = replace(
            base,
            num_frames=frames,
            side_size=side,
            crop_size=None if base.crop_size is None else side,
        )
        if self.clip_duration is None:
            return sized
        rate = frames * base.sampling_rate / self.clip_duration
        return replace(sized, frames_per_second=rate)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, for json."""
        return asdict(self)


def published_clip(model: str) -> ClipRecipe:
    """Returns the clips of a model for boxes, or of one for whole clips with a head for boxes.

    Raises:
        ValueError: there is no such model.
    """
    try:
        return model_entry(detector_name(model), "detection").weights.recipe
    except KeyError as error:
        raise ValueError(error.args[0]) from error
