# SPDX-License-Identifier: Apache-2.0
"""``VideoActionDetector``: a network that says what the people in boxes do, as a task that trains and predicts."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from flash.core._former_names import is_plain, plain_optimizer
from flash.core.model import ScorerSpec, Task
from flash.core.optimizer_names import OptimizerSpec, SchedulerSpec
from flash.video.classification.backbones import own_module
from flash.video.classification.checkpoints import load_checked
from flash.video.classification.targets import count_classes
from flash.video.detection.backbones import available_detectors, build_detector
from pytorchvideo._checks import expected
from pytorchvideo.evaluation.detection import FrameDetections, FrameMap
from pytorchvideo.evaluation.detection._metric import Convention
from pytorchvideo.inference.detection.detector import ActionDetector
from pytorchvideo.models.pretrained import PretrainedModel
from pytorchvideo.transforms.clip_recipe import ClipRecipe
from pytorchvideo.transforms.functional import uniform_temporal_subsample_repeated

_logger = logging.getLogger(__name__)

DEFAULT_BACKBONE = "x3d_xs"


class VideoActionDetector(Task):
    """Scores boxes (N, 5) of clips (B, C, T, H, W): who does what.

    ``val_map`` and ``test_map`` are the frame-mAP over all key frames of an evaluation, on all ranks together, see
    :func:`pytorchvideo.evaluation.detection.frame_map`.

    Args:
        num_classes: number of actions; may be left out when ``labels`` are given.
        labels: their names in the order of their numbers. Without them a datamodule's are taken over at the start of
            training.
        backbone: a name of ``available_backbones()``: of a model for boxes (``"slow_r50_detection"``), or of a model
            for whole clips, whose trunk gets a head for boxes (by default ``"x3d_xs"``). Or a module
            ``(clips, boxes) -> logits (N, num_classes)``.
        backbone_kwargs: arguments for the builder of a named backbone, e.g. ``{"head_aligned": False}``.
        pretrained: start from the published weights, for boxes or else of the trunk.
        weights: start from this checkpoint instead, of a model for boxes or of the trunk's model for whole clips.
        loss_fn: ``(logits, targets) -> scalar`` on (N, num_classes) both; by default the binary cross-entropy of every
            action, or the cross-entropy without ``multi_label``.
        optimizer: see :mod:`flash.core.optimizer_names`.
        lr_scheduler: see :mod:`flash.core.optimizer_names`.
        learning_rate: None is the optimiser's own default.
        multi_label: whether a person may do several things at once, as in AVA: sigmoids instead of a softmax.
        threshold: probability from which an action counts.
        layer_decay: see :mod:`flash.core.layer_decay`.
        decay_rules: which parameters of the backbone have another weight decay than the optimiser's, see
            :func:`flash.core.weight_decay.weight_decay_exceptions`.
        recipe: the clips that the model is made for; by default the datamodule's at the start of training, else that of
            the backbone.
        convention: whose rules the frame-mAP follows, see :func:`pytorchvideo.evaluation.detection.frame_map`.
        output: what ``Trainer.predict`` shows of each box.

    Raises:
        KeyError: for an unknown backbone, optimiser or scheduler.
        TypeError: SGD has no learning rate, or another kind of backbone.
        ValueError: the number of classes is missing, or not that of ``labels``.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        labels: Sequence[str] | None = None,
        backbone: str | nn.Module = DEFAULT_BACKBONE,
        backbone_kwargs: Mapping[str, Any] | None = None,
        pretrained: bool = True,
        loss_fn: ScorerSpec | None = None,
        optimizer: OptimizerSpec = "Adam",
        lr_scheduler: SchedulerSpec | None = None,
        learning_rate: float | None = None,
        *,
        multi_label: bool = True,
        threshold: float = 0.5,
        layer_decay: float = 1.0,
        decay_rules: Mapping[str, Any] | None = None,
        weights: str | os.PathLike[str] | None = None,
        recipe: ClipRecipe | Mapping[str, Any] | None = None,
        convention: Convention = "official",
        output: str | None = None,
    ) -> None:
        num_classes = count_classes(num_classes, labels, multi_label)
        if not 0 < threshold < 1:
            raise ValueError(expected("threshold", "a probability between 0 and 1", threshold))
        built = build_detector(
            backbone,
            dict(backbone_kwargs or {}),
            num_classes,
            pretrained=pretrained,
            weights=weights,
            recipe=recipe,
        )
        plain = F.binary_cross_entropy_with_logits if multi_label else F.cross_entropy
        super().__init__(
            loss_fn=plain if loss_fn is None else loss_fn,
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            learning_rate=learning_rate,
            output=output,
            layer_decay=layer_decay,
            decay_rules=decay_rules,
        )
        self.num_classes = num_classes
        self.labels = None if labels is None else [str(label) for label in labels]
        self.multi_label, self.threshold, self.convention = multi_label, threshold, convention
        self.backbone = built.module
        self.backbone_name, self.backbone_kwargs = built.name, built.kwargs
        self._has_own_recipe = recipe is not None
        given = ClipRecipe.from_dict(dict(recipe)) if isinstance(recipe, Mapping) else recipe
        self._pathway_ratio = None if built.recipe is None else built.recipe.pathway_ratio
        self.recipe = self._with_pathways(given or built.recipe)
        # of the last evaluation, the scores of this rank and the figure of all
        self.found = FrameDetections(range(num_classes))
        self.last_map: FrameMap | None = None
        self._truth: list[list[Any]] = []
        self._save_hyperparameters(
            optimizer=plain_optimizer(optimizer),
            lr_scheduler=lr_scheduler,
            output=output,
            decay_rules=self.decay_rules,
        )

    @classmethod
    def available_backbones(cls, head: str | None = None) -> list[str]:
        """Names that ``backbone`` takes."""
        return available_detectors()

    def _with_pathways(self, recipe: ClipRecipe | None) -> ClipRecipe | None:
        if recipe is None or recipe.pathway_ratio is not None:
            return recipe
        return replace(recipe, pathway_ratio=self._pathway_ratio)

    def _save_hyperparameters(self, **given: Any) -> None:
        self.save_hyperparameters(
            {
                "num_classes": self.num_classes,
                "labels": self.labels,
                "backbone": self.backbone_name or own_module(self.backbone),
                "backbone_kwargs": {k: v for k, v in self.backbone_kwargs.items() if is_plain(v)},
                "pretrained": False,  # the checkpoint has its own
                "learning_rate": self.learning_rate,
                "multi_label": self.multi_label,
                "threshold": self.threshold,
                "layer_decay": self.layer_decay,
                "recipe": None if self.recipe is None else self.recipe.to_dict(),
                **{k: v for k, v in given.items() if v is not None and is_plain(v)},
            }
        )

    def forward(self, x: Any, boxes: Tensor | None = None) -> Tensor:
        """Clips (B, C, T, H, W), or a list with a batch a pathway, and boxes (N, 5) -> logits (N, num_classes).

        Args:
            x: the clips; or a batch dict with ``video`` and ``boxes``.
            boxes: the index of the clip in the batch, then x1, y1, x2, y2 in its pixels.
        """
        if isinstance(x, Mapping):
            x, boxes = x["video"], x["boxes"]
        if isinstance(x, Tensor) and self._pathway_ratio is not None:
            x = uniform_temporal_subsample_repeated(x, self._pathway_ratio, temporal_dim=2)
        logits: Tensor = self.backbone(x, boxes)
        return logits

    def step(self, batch: Mapping[str, Any], stage: str) -> Tensor:
        """Returns the loss of a batch and logs it; evaluations also collect its scores."""
        targets = batch["labels"]
        self._check_targets(targets)
        logits = self(batch["video"], batch["boxes"])
        if not len(targets):  # pictures without people
            return logits.sum() * 0.0
        losses = {name: loss(logits, targets) for name, loss in self._losses.items()}
        total = sum(losses.values(), logits.new_zeros(()))
        for name, value in losses.items():
            self.log(
                f"{stage}_{name}",
                value,
                on_step=stage == "train",
                on_epoch=True,
                prog_bar=True,
                batch_size=len(targets),
                sync_dist=stage != "train",
            )
        if stage != "train":
            self._collect(batch, self.probabilities(logits))
        return total

    def _collect(self, batch: Mapping[str, Any], scores: Tensor) -> None:
        """Keeps the scores of a batch, and its labels as the ground truth where the data has no other."""
        places = batch["boxes"][:, 0].long().cpu()
        classes = self.found.classes
        original, labels = batch["original_boxes"].cpu(), batch["labels"].cpu()
        scores = scores.detach().cpu()
        for number, (video, time) in enumerate(
            zip(batch["video_name"], batch["time"], strict=True)
        ):
            own = places == number
            self.found.add(video, float(time), original[own], scores[own])
            self._truth += [
                [video, float(time), *box, classes[column]]
                for box, row in zip(original[own].tolist(), labels[own], strict=True)
                for column in (row >= 0.5).nonzero().flatten().tolist()
            ]

    def probabilities(self, logits: Tensor) -> Tensor:
        """Logits (N, num_classes) -> probabilities in float32."""
        logits = logits.float()
        return logits.sigmoid() if self.multi_label else logits.softmax(dim=1)

    def _check_targets(self, targets: Tensor) -> None:
        if targets.ndim != 2 or targets.shape[1] != self.num_classes:
            wanted = f"of shape (N, {self.num_classes}), a row a box with a 1 for each action"
            raise ValueError(expected("labels", wanted, tuple(targets.shape)))

    def on_validation_epoch_start(self) -> None:
        self._begin("val")

    def on_test_epoch_start(self) -> None:
        self._begin("test")

    def on_validation_epoch_end(self) -> None:
        self._log_map("val")

    def on_test_epoch_end(self) -> None:
        self._log_map("test")

    def _begin(self, stage: str) -> None:
        classes = getattr(self._dataset(stage), "classes", None)
        self.found = FrameDetections(classes or range(self.num_classes))
        self._truth = []

    def _dataset(self, stage: str) -> Any:
        return getattr(getattr(self._trainer, "datamodule", None), f"{stage}_dataset", None)

    def _log_map(self, stage: str) -> None:
        known = getattr(self._dataset(stage), "groundtruth", None)
        if known is None:
            known = _of_all_ranks(self._truth)
        self.last_map = self.found.gathered().evaluate(known, convention=self.convention)
        # all ranks have the same
        self.log(f"{stage}_map", self.last_map.mean, prog_bar=True)

    def predict_step(
        self, batch: Any, batch_idx: int = 0, dataloader_idx: int = 0
    ) -> dict[str, Any]:
        """Returns a row a box: its logits as ``preds``, its video, its time and the box as it was given."""
        boxes = batch["boxes"]
        places = boxes[:, 0].long().tolist()
        return {
            "video_name": [batch["video_name"][place] for place in places],
            "time": [float(batch["time"][place]) for place in places],
            "original_boxes": batch["original_boxes"],
            "preds": self(batch["video"], boxes),
        }

    def head_modules(self) -> list[nn.Module]:
        """The modules inside the backbone that are its head, which no strategy freezes."""
        head = getattr(self.backbone, "detection_head", None)
        return list(head.modules()) if isinstance(head, nn.Module) else []

    def setup(self, stage: str) -> None:
        """Takes over the labels and the recipe of the datamodule at the start of training."""
        datamodule = getattr(self._trainer, "datamodule", None)
        if stage != "fit" or datamodule is None:
            return
        labels = getattr(datamodule, "labels", None)
        if labels is not None and len(labels) != self.num_classes:
            wanted = f"the number of the data's classes ({len(labels)})"
            raise ValueError(expected("num_classes", wanted, self.num_classes))
        if self.labels is None and labels is not None:
            self.labels = list(labels)
        recipe = self._with_pathways(getattr(datamodule, "recipe", None))
        if not self._has_own_recipe and recipe is not None and recipe != self.recipe:
            _logger.info("the detector takes over the clips of the data: %s", recipe)
            self.recipe = recipe
        self.hparams["labels"] = self.labels
        self.hparams["recipe"] = None if self.recipe is None else self.recipe.to_dict()

    @classmethod
    def load_from_checkpoint(
        cls,
        checkpoint_path: Any,
        map_location: Any = None,
        hparams_file: Any = None,
        strict: bool | None = None,
        weights_only: bool | None = None,
        **kwargs: Any,
    ) -> "VideoActionDetector":
        """Loads what Lightning saved, as :meth:`flash.video.VideoClassifier.load_from_checkpoint` does.

        Raises:
            ValueError: it is no checkpoint, or sets what no file may set.
        """
        if weights_only is None or weights_only:
            return load_checked(cls, checkpoint_path, map_location, hparams_file, strict, kwargs)
        return super().load_from_checkpoint(
            checkpoint_path, map_location, hparams_file, strict, weights_only, **kwargs
        )

    @property
    def network(self) -> nn.Module:
        """The plain PyTorch network, which maps clips and boxes to logits."""
        return self.backbone

    def detector(self, *, batch_size: int = 4) -> ActionDetector:
        """Returns the detector for whole video files, on this very network.

        Raises:
            ValueError: if there is no recipe.
        """
        return ActionDetector(
            self.network,
            self._known_recipe(),
            self._known_labels(),
            batch_size=batch_size,
            multi_label=self.multi_label,
            threshold=self.threshold,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the detector for use, as ``model.pt``: weights, labels, recipe, threshold.

        Raises:
            ValueError: a module of your own, whose code no file can hold, or no recipe.
        """
        if self.backbone_name is None:
            kind = type(self.backbone).__name__
            advice = "trainer.save_checkpoint keeps the weights of a module of your own."
            raise ValueError(expected("backbone", "a name of the zoo, to be saved", kind, advice))
        PretrainedModel(
            self.backbone,
            self.backbone_name,
            self._known_recipe(),
            self.backbone_kwargs,
            labels=tuple(self._known_labels()),
            multi_label=self.multi_label,
            threshold=self.threshold,
        ).save(path)

    def _known_labels(self) -> list[str]:
        return self.labels or [str(index) for index in range(self.num_classes)]

    def _known_recipe(self) -> ClipRecipe:
        if self.recipe is None:
            raise ValueError(
                f"Expected the detector to have a recipe, but {type(self.backbone).__name__} comes without one. Pass "
                "recipe=ClipRecipe(...): the clips that it is made for."
            )
        return self.recipe


def _of_all_ranks(rows: list[list[Any]]) -> list[list[Any]]:
    """The rows of all ranks, each once, though a sampler has given some frames to several."""
    parts: list[Any] = [rows]
    if dist.is_available() and dist.is_initialized():
        parts = [None] * dist.get_world_size()
        dist.all_gather_object(parts, rows)
    return [list(row) for row in sorted({tuple(row) for part in parts for row in part})]
