# SPDX-License-Identifier: Apache-2.0
"""The configuration of a run, with defaults that follow from the model and the strategy."""

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from flash.configs.files import parse_recipe
from flash.configs.recipe import Recipe
from pytorchvideo._checks import check_choice, expected
from pytorchvideo._text import read_object
from pytorchvideo.data.windows import clips_and_views
from pytorchvideo.models._registry import model_entry
from pytorchvideo.models._weights.rebuild import HUGGING_FACE
from pytorchvideo.transforms.clip_recipe import ClipRecipe, sized

STRATEGIES = ("no_freeze", "freeze", "probe")
OPTIMIZERS = ("AdamW", "SGD")
KEEPS = ("best", "last")
PRECISIONS = ("32", "16-mixed", "bf16-mixed")
LOGGERS = ("csv", "tensorboard", "wandb")

# what is taken where the user says nothing: epochs, learning rate from scratch, from weights
_EPOCHS = {"no_freeze": 10, "freeze": 10, "probe": 300}
_RATES = {"AdamW": (4e-3, 3e-4), "SGD": (0.05, 0.005)}
_MOST_SEEDS = 1 << 63  # of torch
_PROBE_RATE, _PROBE_DECAY = 0.003, 1.0
#: Fields that name files or folders.
PATHS = ("data", "val", "weights", "groups")
# what the strategy "probe" has no use for
_OF_TRUNKS = (
    *("label_smoothing", "mix", "layer_decay", "ema", "early_stopping", "precision", "accumulate"),
    *("logger", "lr_find", "balanced"),
)


@dataclass(frozen=True)
class RunConfig:
    """What a run is asked to do; every field is a plain value.

    Args:
        data: folder or list file, see :func:`flash.runs.sources.read_sources`.
        model: a name of the zoo, or ``hf:NAME`` (``hf:FOLDER``) for a model of Hugging Face.
        weights: file of weights to start from.
        pretrained: start from the published weights instead. None does so where they can be had, see
            :func:`flash.runs.start.choose_start`.
        strategy: ``"no_freeze"`` trains everything, ``"freeze"`` the classifier and the BatchNorm layers,
            ``"probe"`` the classifier on cached features. None probes a trained trunk where there is no GPU, and
            trains everything otherwise, or where options are given that features have no use for.
        epochs: passes over the training videos.
        frames: frames of a clip.
        crop: side of a clip in pixels.
        clip_duration: seconds of a clip.
        batch_size: clips in a batch.
        optimizer: ``"AdamW"`` or ``"SGD"``.
        lr: highest learning rate.
        lr_find: try rates first, and take the one that Lightning's finder suggests; ``lr`` is then that one.
        weight_decay: of the optimiser.
        label_smoothing: share of a label that goes to all classes alike.
        mix: whether clips are mixed with CutMix or MixUp.
        layer_decay: share of the learning rate that a layer passes on to the one before it.
        ema: decay of a moving average of the weights; None keeps none.
        precise_bn: batches from which BatchNorm's statistics are computed anew, at most; 0 leaves moving averages.
        multi_label: a video may have any number of labels: a sigmoid each, and the mean average precision as figure.
        class_weights: weigh the classes in the loss against their shares of the videos; with ``multi_label`` the videos
            that have a label against those that do not.
        balanced: draw all classes alike often.
        keep: whether the model is that of the ``"last"`` epoch, or the ``"best"`` on the held-out videos.
        early_stopping: epochs without a lower loss on the held-out videos after which the run ends; None never.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
        precision: ``"32"``, ``"bf16-mixed"`` or ``"16-mixed"``.
        accumulate: batches of which a step is made.
        logger: also log to Lightning's ``"csv"``, ``"tensorboard"`` or ``"wandb"``.
        seed: of the split, the initial weights, the order and the random clips.
        val: folder or list file of the held-out videos, where DATA has none.
        val_split: share of the videos to hold out.
        group_by: expression that names a video's source.
        groups: file that names the sources.
        flip: whether clips may be mirrored in training.
        clips: clips of each held-out video.
        views: kept views of each training video, for ``"probe"``.
        training: the published recipe that the run carries out, as the plain values of a
            :class:`flash.configs.recipe.Recipe`; what the fields above say counts before it.
        workers: processes that decode; 0 decodes in the main process. None is 0 on a CPU, whose cores the model
            needs, and one for each core, up to 8, beside a GPU.

    None for a field means the model's, or the strategy's, own choice: see :meth:`completed`.
    """

    data: str
    model: str = "x3d_xs"
    weights: str | None = None
    pretrained: bool | None = False
    strategy: str | None = None
    epochs: int | None = None
    frames: int | None = None
    crop: int | None = None
    clip_duration: float | None = None
    batch_size: int = 8
    optimizer: str = "AdamW"
    lr: float | None = None
    lr_find: bool = False
    weight_decay: float | None = None
    label_smoothing: float = 0.0
    mix: bool = False
    layer_decay: float = 1.0
    ema: float | None = None
    precise_bn: int = 16
    multi_label: bool = False
    class_weights: bool = False
    balanced: bool = False
    keep: str = "last"
    early_stopping: int | None = None
    device: str = "auto"
    precision: str = "32"
    accumulate: int = 1
    logger: str | None = None
    seed: int = 0
    val: str | None = None
    val_split: float = 0.25
    group_by: str | None = None
    groups: str | None = None
    flip: bool = True
    clips: int = 2
    views: int = 2
    workers: int | None = None
    training: dict[str, Any] | None = None

    @classmethod
    def from_file(cls, file: Path) -> "RunConfig":
        """Reads the configuration of a run.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it holds something else.
        """
        values = read_object(file, "the configuration of a run")
        hints = get_type_hints(cls)
        if not {"data"} <= set(values) <= set(hints):
            known = ", ".join(hints)
            raise ValueError(f"{file} is not the configuration of a run (expected {known}).")
        check_types(file, values, hints)
        # a run that was begun before there was precise BN goes on as it began
        config = cls(**{"precise_bn": 0, **values})
        try:
            config.training_recipe  # noqa: B018 - it is parsed
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
        return config

    def completed(self) -> "RunConfig":
        """Returns the same with every None replaced that stands for a default, paths absolute, all values checked.

        Raises:
            ValueError: for a value out of range, or an unknown name.
        """
        started = self.weights is not None or bool(self.pretrained)
        strategy = self._default_strategy(started) if self.strategy is None else self.strategy
        check_choice("strategy", strategy, STRATEGIES)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        recipe = published_recipe(self.model)
        probes = strategy == "probe"
        if probes and not started:
            raise ValueError(
                "The strategy 'probe' needs a trained trunk: give --weights FILE, or --pretrained."
            )
        rate = _PROBE_RATE if probes else _RATES[self.optimizer][started]
        decay = _PROBE_DECAY if probes else (0.01 if self.optimizer == "AdamW" else 1e-4)
        filled = replace(
            self,
            strategy=strategy,
            epochs=_EPOCHS[strategy] if self.epochs is None else self.epochs,
            frames=recipe.num_frames if self.frames is None else self.frames,
            crop=recipe.crop_size if self.crop is None else self.crop,
            lr=rate if self.lr is None and not self.lr_find else self.lr,
            workers=default_workers(self.device) if self.workers is None else self.workers,
            weight_decay=decay if self.weight_decay is None else self.weight_decay,
            model=_absolute_model(self.model),
            data=absolute(self.data),
            val=None if self.val is None else absolute(self.val),
            weights=None if self.weights is None else _file_of_weights(absolute(self.weights)),
            groups=None if self.groups is None else absolute(self.groups),
        )
        filled._check()
        return filled

    def _check(self) -> None:
        check_numbers(self)
        for name in ("clips", "views"):
            if getattr(self, name) < 1:
                raise ValueError(expected(name, ">= 1", getattr(self, name)))
        clips_and_views(self.clips, 1)
        if self.balanced and self.class_weights:
            raise ValueError(
                "Expected either --class-weights or --balanced, but got both, which would count rare classes twice."
            )
        if self.balanced and self.multi_label:
            raise ValueError(
                "Expected --multi-label without --balanced, since to draw a video for one label draws its others, too. "
                "--class-weights lets rare labels count more."
            )
        if self.lr_find and self.lr is None and self.layer_decay != 1:
            raise ValueError("Expected --lr find without --layer-decay: it tries one rate for all.")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(expected("label-smoothing", "in [0, 1)", self.label_smoothing))
        self._check_training()
        names = self.of_trunks()
        if self.strategy == "probe" and names:
            raise ValueError(
                f"{names} is of no use with the strategy 'probe', which trains on features."
            )

    def _check_training(self) -> None:
        """Raises a ValueError for options that leave out something of the recipe."""
        if self.training_recipe is None:
            return
        if self.strategy == "probe":
            raise ValueError(
                "Expected --config with a strategy that trains the network, but got 'probe', which trains on features."
            )
        if self.training_recipe.multigrid is None:
            return
        for name, given in (("--lr find", self.lr_find), ("--ema", self.ema is not None)):
            if given:
                raise ValueError(f"Expected {name} without a recipe of multigrid, but got both.")

    def of_trunks(self) -> str:
        """Returns the options that were given and are of no use to the strategy "probe", as they are typed."""
        given = [n for n in _OF_TRUNKS if getattr(self, n) != getattr(RunConfig, n)]
        return ", ".join(f"--{name.replace('_', '-')}" for name in given)

    def _default_strategy(self, started: bool) -> str:
        return "probe" if started and not self.of_trunks() and not self.on_gpu else "no_freeze"

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
        return None if self.training is None else parse_recipe(self.training, "training")

    def recipe(self) -> ClipRecipe:
        """Returns the clips of the model, changed as this run asks."""
        base = published_recipe(self.model)
        clip = sized(base, self.frames, self.crop, self.clip_duration)
        if self.training_recipe is None:
            return clip
        data = self.training_recipe.data
        return replace(clip, channels=data.channels, whole_video=data.whole_video)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, for json."""
        return asdict(self)


def _file_of_weights(path: str) -> str:
    """The weights in a folder of a run, or of a saved model; any other path as it is."""
    folder = Path(path)
    files = (folder / name for name in ("model.pt", "model.safetensors"))
    return str(next((file for file in files if file.is_file()), folder))


def absolute(path: str) -> str:
    """Returns a path that holds in every working directory; a URL does anyway."""
    return path if "://" in path else os.path.abspath(path)


@lru_cache
def published_recipe(model: str) -> ClipRecipe:
    """Returns the clips of a model of the zoo, or of Hugging Face.

    Raises:
        ImportError, OSError: the model of Hugging Face cannot be had.
        ValueError: there is no such model for whole clips.
    """
    if not model.startswith(HUGGING_FACE):
        return model_entry(model, "video classification").weights.recipe
    from pytorchvideo.models._weights.hugging_face_files import read_config
    from pytorchvideo.models.huggingface import recipe_of

    name = model.removeprefix(HUGGING_FACE)
    return recipe_of(name, read_config(name, {}))


def is_on_gpu(device: str) -> bool:
    """Whether a ``device`` of a configuration is a GPU of NVIDIA or AMD."""
    import torch

    return device.partition(":")[0] in ("auto", "cuda") and torch.cuda.is_available()


def default_workers(device: str) -> int:
    """Returns how many processes decode where nobody says."""
    return min(8, os.cpu_count() or 1) if is_on_gpu(device) else 0


def check_types(file: Path, values: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    """Raises a ValueError for values of a file that are of other types than the fields of a configuration."""
    for name, value in values.items():
        several = get_args(hints[name]) if isinstance(hints[name], UnionType) else (hints[name],)
        kinds = [get_origin(kind) or kind for kind in several]
        if type(value) not in kinds and not (float in kinds and type(value) is int):
            wanted = " or ".join(kind.__name__.replace("NoneType", "null") for kind in kinds)
            raise ValueError(f"{file}: " + expected(name, f"of the type {wanted}", value))


def check_numbers(config: Any) -> None:
    """Checks the fields that runs of classifiers and of detectors have in common.

    Raises:
        ValueError: for a value out of range, or an unknown name.
        FileNotFoundError: there is no such file of weights.
    """
    for name in ("epochs", "frames", "crop", "batch_size", "accumulate"):
        if getattr(config, name) < 1:
            raise ValueError(expected(name.replace("_", "-"), ">= 1", getattr(config, name)))
    for name, least, unit in (
        ("early_stopping", 1, " epochs"),
        ("precise_bn", 0, " batches"),
        ("workers", 0, ""),
    ):
        value = getattr(config, name)
        if value is not None and value < least:
            raise ValueError(expected(name.replace("_", "-"), f">= {least}{unit}", value))
    check_choice("keep", config.keep, KEEPS)
    check_choice("precision", config.precision, PRECISIONS)
    if config.logger is not None:
        check_choice("logger", config.logger, LOGGERS)
    check_device(config.device, config.precision)
    for name in ("lr", "clip_duration"):
        value = getattr(config, name)
        if value is not None and not 0 < value < math.inf:
            raise ValueError(expected(name.replace("_", "-"), "> 0 and finite", value))
    if config.weight_decay is not None and not 0 <= config.weight_decay < math.inf:
        raise ValueError(expected("weight-decay", ">= 0 and finite", config.weight_decay))
    if not 0 <= config.seed < _MOST_SEEDS:
        raise ValueError(expected("seed", "in 0..2^63-1", config.seed))
    if not 0 < config.layer_decay <= 1:
        raise ValueError(expected("layer-decay", "in 0..1, and not 0", config.layer_decay))
    if config.ema is not None and not 0 <= config.ema < 1:
        raise ValueError(expected("ema", "in [0, 1)", config.ema))
    if not 0 < config.val_split < 1:
        raise ValueError(expected("val-split", "between 0 and 1", config.val_split))
    if config.weights is not None and not Path(config.weights).is_file():
        raise FileNotFoundError(f"There is no file of weights {config.weights}.")


def check_device(device: str, precision: str = "32") -> None:
    """Raises a ValueError for a device that is not there, or cannot compute in a precision."""
    import torch

    from pytorchvideo.inference.devices import device_named

    device_named(device)
    if precision == "16-mixed" and not torch.cuda.is_available():
        advice = "On a CPU bf16-mixed is possible, and often slower than 32."
        raise ValueError(expected("precision", "32 or bf16-mixed without a GPU", precision, advice))


def _absolute_model(model: str) -> str:
    """``hf:FOLDER`` by its absolute path."""
    folder = model.removeprefix(HUGGING_FACE)
    is_folder = model.startswith(HUGGING_FACE) and os.path.isdir(folder)
    return HUGGING_FACE + os.path.abspath(folder) if is_folder else model
