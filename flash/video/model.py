# SPDX-License-Identifier: Apache-2.0
"""``VideoClassifier``: a network of the zoo, or your own, as a task that trains and predicts."""

import inspect
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from flash.optimizers import OptimizerSpec, SchedulerSpec
from flash.outputs import Output
from flash.task import ScorerSpec, Task
from flash.video.predict import VideoPredictor, save_classifier
from pytorchvideo._checks import expected
from pytorchvideo.models._registry import create_model, get_weights, list_models, model_entry
from pytorchvideo.models._weights import ClipRecipe, load_checkpoint
from pytorchvideo.models.net import DetectionBBoxNetwork

_logger = logging.getLogger(__name__)

DEFAULT_BACKBONE = "x3d_xs"
# what a checkpoint says in the place of a module, which it cannot hold
_OWN = "own module: "


class VideoClassifier(Task):
    """Classifies clips (B, C, T, H, W).

    The classifier layer of the backbone is replaced by one for ``num_classes``. A ``head`` of your own
    goes on top of the backbone's whole output instead, as in Flash.

    Args:
        num_classes: number of classes; may be left out when ``labels`` are given.
        labels: class names in the order of their numbers. Without them a datamodule's are taken over at
            the start of training.
        backbone: a name of :meth:`available_backbones` (by default ``"x3d_xs"``) or any module that maps
            clips to (B, num_classes), or to what ``head`` takes.
        backbone_kwargs: arguments for the builder of a named backbone, e.g. ``{"num_frames": 8}``.
        pretrained: start from the published weights of a named backbone.
        weights: start from this checkpoint file instead.
        loss_fn: ``(logits, targets) -> scalar``, or several; by default cross-entropy.
        optimizer: a name, class, callable or ``(name, kwargs)``.
        lr_scheduler: a name, callable, ``(name, kwargs)`` or ``(name, kwargs, Lightning config)``.
        metrics: one or several; by default the accuracy.
        learning_rate: None is the optimiser's own default; SGD must be given one.
        head: a module on the backbone's output.
        recipe: the clips that the model is made for; by default the datamodule's at the start of
            training, else that of the published weights.
        model: Flash's former name for ``backbone``.
        model_kwargs: Flash's former name for ``backbone_kwargs``.
        output: what ``Trainer.predict`` shows by default.
        serializer: Flash's former name for ``output``.

    Raises:
        KeyError: for an unknown backbone, optimiser or scheduler, with the near names, or a backbone for pictures or
            boxes.
        TypeError: if two names of one argument are given, SGD has no learning rate, or the backbone scores boxes.
        ValueError: if the number of classes is missing, below two, or not that of ``labels``.

    A checkpoint holds names, numbers and tensors only. Functions and modules that were passed in have to be
    passed again: ``VideoClassifier.load_from_checkpoint(path, backbone=MyNet())``.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        labels: Sequence[str] | None = None,
        backbone: str | nn.Module | None = None,
        backbone_kwargs: Mapping[str, Any] | None = None,
        pretrained: bool = True,
        loss_fn: ScorerSpec | None = None,
        optimizer: OptimizerSpec = "Adam",
        lr_scheduler: SchedulerSpec | None = None,
        metrics: ScorerSpec | None = None,
        learning_rate: float | None = None,
        head: nn.Module | None = None,
        *,
        weights: str | os.PathLike[str] | None = None,
        recipe: ClipRecipe | Mapping[str, Any] | None = None,
        model: str | nn.Module | None = None,
        model_kwargs: Mapping[str, Any] | None = None,
        output: str | Output | None = None,
        serializer: str | Output | None = None,
    ) -> None:
        backbone = _one_of("backbone", backbone, "model", model)
        backbone = DEFAULT_BACKBONE if backbone is None else backbone
        kwargs = dict(
            _one_of("backbone_kwargs", backbone_kwargs, "model_kwargs", model_kwargs) or {}
        )
        num_classes = _count_classes(num_classes, labels)
        super().__init__(
            loss_fn=F.cross_entropy if loss_fn is None else loss_fn,
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            metrics=_accuracy(num_classes) if metrics is None else metrics,
            learning_rate=learning_rate,
            output=_one_of("output", output, "serializer", serializer),
        )
        self.num_classes = num_classes
        self.labels = None if labels is None else [str(label) for label in labels]
        self.backbone_name = backbone if isinstance(backbone, str) else None
        kwargs = {**_logits_arguments(self.backbone_name), **kwargs}
        self.backbone_kwargs = kwargs
        published = _published_recipe(self.backbone_name)
        if (
            isinstance(recipe, ClipRecipe)
            and self.backbone_name is not None
            and recipe != published
        ):
            # the backbone's pools are made for the clips; a checkpoint, whose recipe is a dict, has these
            # sizes among its backbone_kwargs if it was built with them
            kwargs = {"num_frames": recipe.num_frames, "crop_size": recipe.crop_size, **kwargs}
            self.backbone_kwargs = kwargs
        self._has_own_recipe = recipe is not None
        self.recipe = ClipRecipe.from_dict(dict(recipe)) if isinstance(recipe, Mapping) else recipe
        self.recipe = self.recipe or published
        replaces = head is None
        self.backbone = _build_backbone(
            backbone, kwargs, pretrained, weights, num_classes, replaces
        )
        self._replaces_classifier = replaces
        if isinstance(head, str):
            raise ValueError(_own_module_message("head", head))
        self.head: nn.Module = nn.Identity() if head is None else head
        plain = {
            "optimizer": _plain_optimizer(optimizer),
            "lr_scheduler": lr_scheduler,
            "output": self.output,
        }
        self.save_hyperparameters(
            {
                "num_classes": num_classes,
                "labels": self.labels,
                "backbone": backbone
                if isinstance(backbone, str)
                else _OWN + type(backbone).__name__,
                "backbone_kwargs": {k: v for k, v in kwargs.items() if _is_plain(v)},
                # the checkpoint's own tensors take the place of any others
                "pretrained": False,
                "learning_rate": learning_rate,
                "recipe": None if self.recipe is None else self.recipe.to_dict(),
                **({} if head is None else {"head": _OWN + type(head).__name__}),
                **{k: v for k, v in plain.items() if v is not None and _is_plain(v)},
            }
        )

    def forward(self, x: Any) -> Tensor:
        """Clips (B, C, T, H, W) -> logits (B, num_classes)."""
        logits: Tensor = self.head(self.backbone(x))
        return logits

    def check_logits(self, logits: Tensor) -> None:
        """Raises a ValueError unless the logits are (B, num_classes)."""
        if logits.ndim != 2 or logits.shape[1] != self.num_classes:
            raise ValueError(
                f"Expected the model to return (B, {self.num_classes}), one logit a class, but got "
                f"{tuple(logits.shape)}. Give the backbone that many outputs, or pass a `head`."
            )

    def head_modules(self) -> list[nn.Module]:
        """The modules inside the backbone that are its head, which no strategy freezes."""
        if not self._replaces_classifier:
            return []
        classifier = getattr(self.backbone, "classifier", None)
        return list(classifier.modules()) if isinstance(classifier, nn.Module) else []

    def setup(self, stage: str) -> None:
        """Takes over the labels and the recipe of the datamodule at the start of training."""
        datamodule = getattr(self._trainer, "datamodule", None)
        if stage != "fit" or datamodule is None:
            return
        labels = getattr(datamodule, "labels", None)
        if self.labels is None and labels is not None:
            if len(labels) != self.num_classes:
                wanted = f"the number of the data's classes ({len(labels)})"
                raise ValueError(expected("num_classes", wanted, self.num_classes))
            self.labels = list(labels)
        recipe = getattr(datamodule, "recipe", None)
        if not self._has_own_recipe and recipe is not None and recipe != self.recipe:
            _logger.info("the classifier takes over the clips of the data: %s", recipe)
            self.recipe = recipe
        self.hparams["labels"] = self.labels
        self.hparams["recipe"] = None if self.recipe is None else self.recipe.to_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leaves out the tensors of a loss that was not passed again: only training needs them."""
        state = checkpoint["state_dict"]
        known = self.state_dict()
        for key in [key for key in state if key.startswith("loss_modules.") and key not in known]:
            del state[key]

    @property
    def network(self) -> nn.Module:
        """The plain PyTorch network: clips to logits."""
        return (
            self.backbone
            if isinstance(self.head, nn.Identity)
            else nn.Sequential(self.backbone, self.head)
        )

    def predictor(self, *, batch_size: int = 4) -> VideoPredictor:
        """Returns the predictor for whole video files, on this very network.

        Raises:
            ValueError: if the classifier has no recipe.
        """
        return VideoPredictor(
            self.network, self._known_recipe(), self._known_labels(), batch_size=batch_size
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a file that :meth:`VideoPredictor.from_file` reads in plain PyTorch.

        Raises:
            ValueError: for a network that cannot be built again from a name: a module or head of your
                own. Use ``trainer.save_checkpoint`` for these.
        """
        if self.backbone_name is None or not isinstance(self.head, nn.Identity):
            raise ValueError(
                "Expected a named backbone with its own head to save, but got a module of your own, whose code a "
                "file cannot hold. Use trainer.save_checkpoint(path) instead."
            )
        save_classifier(
            path,
            model=self.backbone,
            model_name=self.backbone_name,
            model_kwargs=self.backbone_kwargs,
            labels=self._known_labels(),
            recipe=self._known_recipe(),
        )

    def _known_labels(self) -> list[str]:
        return self.labels or [str(index) for index in range(self.num_classes)]

    def _known_recipe(self) -> ClipRecipe:
        if self.recipe is None:
            raise ValueError(
                f"Expected the classifier to have a recipe, but {type(self.backbone).__name__} comes without "
                "one. Pass recipe=ClipRecipe(...): the clips that it is made for."
            )
        return self.recipe

    @classmethod
    def available_backbones(cls, head: str | None = None) -> list[str]:
        """Names that ``backbone`` takes; every one of them runs."""
        return list_models("video classification")

    @classmethod
    def available_models(cls) -> list[str]:
        """Flash's former name for :meth:`available_backbones`."""
        return cls.available_backbones()

    @classmethod
    def get_backbone_details(cls, key: str) -> list[tuple[str, inspect.Parameter]]:
        """Returns the arguments that the builder of a backbone takes.

        Raises:
            KeyError: for an unknown backbone.
        """
        _check_name(key)
        return list(inspect.signature(model_entry(key).builder).parameters.items())

    @classmethod
    def get_model_details(cls, key: str) -> list[tuple[str, inspect.Parameter]]:
        """Flash's former name for :meth:`get_backbone_details`."""
        return cls.get_backbone_details(key)


def _one_of(name: str, value: Any, former: str, other: Any) -> Any:
    if value is not None and other is not None:
        raise TypeError(
            f"Expected one of `{name}` and `{former}`, two names of one argument, but got both."
        )
    return other if value is None else value


def _count_classes(num_classes: int | None, labels: Sequence[str] | None) -> int:
    if num_classes is None and labels is None:
        raise ValueError(
            "Expected `num_classes` or `labels`, but got neither. A datamodule has both: "
            "VideoClassifier(labels=datamodule.labels)."
        )
    if isinstance(labels, str):
        raise TypeError(expected("labels", "a list of class names", labels))
    count = len(labels or ()) if num_classes is None else num_classes
    if labels is not None and len(labels) != count:
        raise ValueError(expected("num_classes", f"the number of labels ({len(labels)})", count))
    if count < 2:
        raise ValueError(
            expected("num_classes", ">= 2", count, "One class leaves nothing to tell apart.")
        )
    return count


def _accuracy(num_classes: int) -> dict[str, MulticlassAccuracy]:
    return {"accuracy": MulticlassAccuracy(num_classes, average="micro")}


def _check_name(name: str) -> None:
    try:
        model_entry(name, "video classification")
    except ValueError as error:
        raise KeyError(str(error)) from error


def _published_recipe(name: str | None) -> ClipRecipe | None:
    if name is None or name.startswith(_OWN):
        return None
    _check_name(name)
    return get_weights(name).recipe


def _logits_arguments(name: str | None) -> dict[str, Any]:
    """What makes a named backbone return logits, which losses and predictors take, and not probabilities."""
    if name is None or name.startswith(_OWN):
        return {}
    _check_name(name)
    return model_entry(name).logits_arguments


def _own_module_message(argument: str, stored: str) -> str:
    kind = stored.removeprefix(_OWN)
    return (
        f"Expected `{argument}`: this classifier was saved with a module of your own ({kind}), which a checkpoint "
        f"cannot hold. Pass it again: load_from_checkpoint(path, {argument}=...)."
    )


def _build_backbone(
    backbone: Any,
    kwargs: dict[str, Any],
    pretrained: bool,
    weights: str | os.PathLike[str] | None,
    num_classes: int,
    replaces_classifier: bool,
) -> nn.Module:
    if isinstance(backbone, DetectionBBoxNetwork):
        advice = "It scores boxes; create_resnet and create_slowfast build its trunk for clips."
        kind = type(backbone).__name__
        raise TypeError(expected("backbone", "a classifier of whole clips", kind, advice))
    if isinstance(backbone, nn.Module):
        if kwargs:
            raise TypeError(
                expected("backbone_kwargs", "None for a module that is built already", kwargs)
            )
        if weights is not None:
            load_checkpoint(backbone, weights)
        reset = getattr(backbone, "reset_classifier", None)
        if replaces_classifier and callable(reset):
            layer = getattr(backbone, "classifier", None)
            if num_classes != getattr(layer, "out_features", getattr(layer, "out_channels", None)):
                reset(num_classes)
        return backbone
    if not isinstance(backbone, str):
        raise TypeError(expected("backbone", "a name or an nn.Module", backbone))
    if backbone.startswith(_OWN):
        raise ValueError(_own_module_message("backbone", backbone))
    _check_name(backbone)
    pretrained = kwargs.pop("pretrained", pretrained) and weights is None
    return create_model(
        backbone,
        pretrained=pretrained,
        weights=weights,
        num_classes=num_classes if replaces_classifier else None,
        **kwargs,
    )


def _plain_optimizer(optimizer: OptimizerSpec) -> Any:
    """The optimiser as a checkpoint may hold it: classes of torch by their name."""
    is_torch = inspect.isclass(optimizer) and optimizer.__module__.startswith("torch.optim")
    return optimizer.__name__ if is_torch else optimizer  # type: ignore[union-attr]


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))
