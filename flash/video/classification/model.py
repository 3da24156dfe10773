# SPDX-License-Identifier: Apache-2.0
"""``VideoClassifier``: a network of the zoo, of Hugging Face, or your own, as a task that trains and predicts."""

import copy
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from flash.core._former_names import is_plain, one_of, plain_optimizer, with_kwargs
from flash.core.data.io.output import Output
from flash.core.model import ScorerSpec, Task
from flash.core.optimizer_names import OptimizerSpec, SchedulerSpec
from flash.video.classification.answers import answer_clips, answer_videos
from flash.video.classification.backbones import (
    ListsBackbones,
    build_backbone,
    names_its_classes,
    own_module,
    own_module_message,
)
from flash.video.classification.checkpoints import load_checked
from flash.video.classification.targets import (
    Mix,
    TrainingBatch,
    as_classes,
    check_targets,
    count_classes,
    default_loss,
    default_metrics,
)
from pytorchvideo._checks import expected
from pytorchvideo._text import counted
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.models.pretrained import PretrainedModel
from pytorchvideo.transforms.clip_recipe import ClipRecipe
from pytorchvideo.transforms.functional import uniform_temporal_subsample_repeated

_logger = logging.getLogger(__name__)

DEFAULT_BACKBONE = "x3d_xs"


class VideoClassifier(ListsBackbones, Task):
    """Classifies clips (B, C, T, H, W).

    The classifier layer of the backbone is replaced by one for ``num_classes``; a ``head`` of your own goes on top
    of the backbone's whole output instead, as in Flash. SlowFast takes whole clips: its pathways are packed here.

    Args:
        num_classes: number of classes; may be left out when ``labels`` are given, or where a model of
            Hugging Face has its own.
        labels: class names in the order of their numbers. Without them a datamodule's are taken over at
            the start of training.
        backbone: a name of ``available_backbones()`` (by default ``"x3d_xs"``), ``"hf:NAME"`` or a folder for a
            video classifier of Hugging Face, or any module that maps clips to (B, num_classes), or to what
            ``head`` takes.
        backbone_kwargs: arguments for the builder of a named backbone, e.g. ``{"num_frames": 8}``.
        pretrained: start from the published weights of a named backbone.
        weights: start from this checkpoint file instead.
        loss_fn: ``(logits, targets) -> scalar``, or several; by default cross-entropy.
        optimizer: a name, class, callable or ``(name, kwargs)``; see :mod:`flash.core.optimizer_names`.
        lr_scheduler: a name, callable, ``(name, kwargs)`` or ``(name, kwargs, Lightning config)``, e.g.
            ``("cosine_schedule_with_warmup", {"num_warmup_steps": 0.1})``; see :mod:`flash.core.schedules`.
        metrics: one or several; by default the accuracy, and the F1 score with ``multi_label``.
        learning_rate: None is the optimiser's own default; SGD must be given one.
        head: a module on the backbone's output.
        multi_label: a clip may have several classes: targets are float (B, num_classes), the loss is the
            binary cross-entropy of every class, probabilities are sigmoids.
        threshold: probability from which a class counts, with ``multi_label``.
        label_smoothing: share of a label that goes to all classes alike, in training.
        mix_video: mix clips and labels in training: True for CutMix or MixUp, or a callable such as
            :class:`pytorchvideo.transforms.MixVideo` on clips and labels.
        layer_decay: share of the learning rate that a layer passes on to the one before, see
            :mod:`flash.core.layer_decay`.
        decay_rules: which parameters of the backbone have another weight decay than the optimiser's, as
            ``{"zero_1d": True}``: see :func:`flash.core.weight_decay.weight_decay_exceptions`.
        recipe: the clips that the model is made for; by default the datamodule's at the start of
            training, else that of the published weights.
        output: what ``Trainer.predict`` shows by default.
        model, model_kwargs, serializer: Flash's former names for ``backbone``, ``backbone_kwargs``, ``output``.
        optimizer_kwargs, scheduler, scheduler_kwargs: those of Flash 0.5.0.

    Raises:
        KeyError: for an unknown backbone, optimiser or scheduler, with the near names, or one for images or boxes.
        TypeError: if two names of one argument are given, SGD has no learning rate, or the backbone scores boxes.
        ValueError: if the number of classes is missing, below two, or not that of ``labels``.

    A checkpoint holds names, numbers and tensors only. Functions and modules that were passed in have to be
    passed again: ``VideoClassifier.load_from_checkpoint(path, backbone=MyNet())``.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        labels: Sequence[str] | None = None,
        backbone: str | os.PathLike[str] | nn.Module | None = None,
        backbone_kwargs: Mapping[str, Any] | None = None,
        pretrained: bool = True,
        loss_fn: ScorerSpec | None = None,
        optimizer: OptimizerSpec = "Adam",
        lr_scheduler: SchedulerSpec | None = None,
        metrics: ScorerSpec | None = None,
        learning_rate: float | None = None,
        head: nn.Module | None = None,
        *,
        multi_label: bool = False,
        threshold: float = 0.5,
        label_smoothing: float = 0.0,
        mix_video: bool | Mix = False,
        layer_decay: float = 1.0,
        decay_rules: Mapping[str, Any] | None = None,
        weights: str | os.PathLike[str] | None = None,
        recipe: ClipRecipe | Mapping[str, Any] | None = None,
        model: str | nn.Module | None = None,
        model_kwargs: Mapping[str, Any] | None = None,
        optimizer_kwargs: Mapping[str, Any] | None = None,
        scheduler: SchedulerSpec | None = None,
        scheduler_kwargs: Mapping[str, Any] | None = None,
        output: str | Output | None = None,
        serializer: str | Output | None = None,
    ) -> None:
        backbone = one_of("backbone", backbone, "model", model)
        kwargs = one_of("backbone_kwargs", backbone_kwargs, "model_kwargs", model_kwargs)
        output = one_of("output", output, "serializer", serializer)
        optimizer = with_kwargs("optimizer", optimizer, optimizer_kwargs)
        lr_scheduler = one_of("lr_scheduler", lr_scheduler, "scheduler", scheduler)
        lr_scheduler = with_kwargs("scheduler", lr_scheduler, scheduler_kwargs)
        known = num_classes is not None or labels is not None
        if known or not names_its_classes(backbone, has_head=head is not None):
            num_classes = count_classes(num_classes, labels, multi_label)
        built = build_backbone(
            DEFAULT_BACKBONE if backbone is None else backbone,
            dict(kwargs or {}),
            num_classes,
            pretrained=pretrained,
            weights=weights,
            recipe=recipe,
            has_head=head is not None,
        )
        if isinstance(head, str):
            raise ValueError(own_module_message("head", head))
        if num_classes is None:
            labels, num_classes = built.labels or None, built.num_classes
        if not 0 < threshold < 1:
            raise ValueError(expected("threshold", "a probability between 0 and 1", threshold))
        scores = default_metrics(num_classes, multi_label, threshold)
        super().__init__(
            loss_fn=default_loss(multi_label) if loss_fn is None else loss_fn,
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            metrics=scores if metrics is None else metrics,
            learning_rate=learning_rate,
            output=output,
            layer_decay=layer_decay,
            decay_rules=decay_rules,
        )
        self.num_classes = num_classes
        self.labels = None if labels is None else [str(label) for label in labels]
        self.multi_label, self.threshold = multi_label, threshold
        self._training_batch = TrainingBatch(num_classes, multi_label, label_smoothing, mix_video)
        self.backbone = built.module
        self.backbone_name, self.backbone_kwargs = built.name, built.kwargs
        self._clip_size = built.clip_size
        self._replaces_classifier = head is None
        self.head: nn.Module = nn.Identity() if head is None else head
        self._set_recipe(recipe, built.recipe)
        self._save_hyperparameters(
            optimizer=plain_optimizer(optimizer),
            lr_scheduler=lr_scheduler,
            mix_video=mix_video,
            label_smoothing=label_smoothing,
            decay_rules=self.decay_rules,
        )

    def _set_recipe(
        self, recipe: ClipRecipe | Mapping[str, Any] | None, published: ClipRecipe | None
    ) -> None:
        self._has_own_recipe = recipe is not None
        given = ClipRecipe.from_dict(dict(recipe)) if isinstance(recipe, Mapping) else recipe
        known = [r.pathway_ratio for r in (published, given) if r is not None and r.pathway_ratio]
        self._pathway_ratio = known[0] if known else None
        self.recipe = self._with_pathways(given or published)

    def _with_pathways(self, recipe: ClipRecipe | None) -> ClipRecipe | None:
        """A recipe that also packs the pathways of the network."""
        if recipe is None or recipe.pathway_ratio is not None:
            return recipe
        return replace(recipe, pathway_ratio=self._pathway_ratio)

    def _save_hyperparameters(self, **arguments: Any) -> None:
        """Notes what a checkpoint needs to build the classifier again, as far as it is plain."""
        given = {**arguments, "output": self.output}
        own_head = {} if self._replaces_classifier else {"head": own_module(self.head)}
        self.save_hyperparameters(
            {
                "num_classes": self.num_classes,
                "labels": self.labels,
                "backbone": self.backbone_name or own_module(self.backbone),
                "backbone_kwargs": {k: v for k, v in self.backbone_kwargs.items() if is_plain(v)},
                # the checkpoint's own tensors take the place of any others
                "pretrained": False,
                "learning_rate": self.learning_rate,
                "multi_label": self.multi_label,
                "threshold": self.threshold,
                "layer_decay": self.layer_decay,
                "recipe": None if self.recipe is None else self.recipe.to_dict(),
                **own_head,
                **{k: v for k, v in given.items() if v is not None and is_plain(v)},
            }
        )

    def forward(self, x: Any) -> Tensor:
        """Clips (B, C, T, H, W), or a list with a batch a pathway -> logits (B, num_classes)."""
        clips = x
        if isinstance(x, Tensor) and self._pathway_ratio is not None:
            x = uniform_temporal_subsample_repeated(x, self._pathway_ratio, temporal_dim=2)
        try:
            logits: Tensor = self.head(self.backbone(x))
        except (RuntimeError, ValueError) as error:
            sentence = self._other_size(clips, error)
            if sentence is None:
                raise
            raise ValueError(sentence) from error
        return logits

    def _other_size(self, clips: Any, error: Exception) -> str | None:
        """A sentence on clips of another size than the backbone was built for, None where that is not it."""
        if isinstance(error, torch.OutOfMemoryError) or self._clip_size is None:
            return None
        if not isinstance(clips, Tensor) or clips.ndim != 5:
            return None
        frames, side = self._clip_size
        if tuple(clips.shape[2:]) == (frames, side, side):
            return None
        return (
            f"{self.backbone_name} was built for clips of {counted(frames, 'frame')} of {side}x{side} pixels, and "
            "cannot take "
            f"{clips.shape[2]} of {clips.shape[3]}x{clips.shape[4]} ({error}). Give the data the clips of the model, "
            "VideoClassificationData.from_...(recipe=model.recipe), or build the model for those of the data, "
            "VideoClassifier(recipe=datamodule.recipe)."
        )

    def prepare_training(self, inputs: Any, targets: Tensor) -> tuple[Any, Tensor]:
        """Smooths labels and mixes clips as the arguments ask; several pathways are packed again afterwards."""
        check_targets(targets, self.num_classes, self.multi_label)
        ratio = self._pathway_ratio
        if self._training_batch.mix_video and not isinstance(inputs, Tensor):
            if ratio is None or 1 not in ratio:
                advice = "Let the data give whole clips, without pathways."
                raise TypeError(expected("batch", "clips to mix", type(inputs).__name__, advice))
            inputs = inputs[ratio.index(1)]
        return self._training_batch(inputs, targets)

    def metric_targets(self, targets: Tensor) -> Tensor:
        """Returns the classes that mixed, smoothed and soft targets stand for."""
        return as_classes(targets, self.multi_label)

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
        own = getattr(self.backbone, "head_modules", None)
        if callable(own):
            return [module for part in own() for module in part.modules()]
        classifier = getattr(self.backbone, "classifier", None)
        return list(classifier.modules()) if isinstance(classifier, nn.Module) else []

    def setup(self, stage: str) -> None:
        """Takes over the labels and the recipe of the datamodule at the start of training."""
        datamodule = getattr(self._trainer, "datamodule", None)
        if stage != "fit" or datamodule is None:
            return
        self._check_classes(datamodule)
        labels = getattr(datamodule, "labels", None)
        if self.labels is None and labels is not None:
            self.labels = list(labels)
        recipe = self._with_pathways(getattr(datamodule, "recipe", None))
        if not self._has_own_recipe and recipe is not None and recipe != self.recipe:
            _logger.info("the classifier takes over the clips of the data: %s", recipe)
            self.recipe = recipe
        self.hparams["labels"] = self.labels
        self.hparams["recipe"] = None if self.recipe is None else self.recipe.to_dict()

    def _check_classes(self, datamodule: Any) -> None:
        labels = getattr(datamodule, "labels", None)
        count = getattr(datamodule, "num_classes", None) if labels is None else len(labels)
        if count is None:
            return
        # numbers without names may leave out the last classes
        if count > self.num_classes or (labels is not None and count < self.num_classes):
            wanted = f"the number of the data's classes ({count})"
            raise ValueError(expected("num_classes", wanted, self.num_classes))
        several = bool(getattr(datamodule, "multi_label", False))
        if several != self.multi_label:
            wanted = f"{several}, as the targets of the data are"
            raise ValueError(expected("multi_label", wanted, self.multi_label))

    @classmethod
    def load_from_checkpoint(
        cls,
        checkpoint_path: Any,
        map_location: Any = None,
        hparams_file: Any = None,
        strict: bool | None = None,
        weights_only: bool | None = None,
        **kwargs: Any,
    ) -> "VideoClassifier":
        """Loads what Lightning saved; for the arguments see Lightning.

        A checkpoint says by name and arguments what it was built with. It is built from these where they are such as
        :meth:`save` and ``trainer.save_checkpoint`` write, and refused by name where they would run code or read
        another file; so it is with ``hparams_file``. ``weights_only=False`` trusts both with everything, pickled code
        as well.

        Raises:
            ValueError: it is no checkpoint, holds arguments that no file may set, or a module of your own that was
                not passed again.
        """
        if weights_only is None or weights_only:
            return load_checked(cls, checkpoint_path, map_location, hparams_file, strict, kwargs)
        return super().load_from_checkpoint(
            checkpoint_path, map_location, hparams_file, strict, weights_only, **kwargs
        )

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leaves out the tensors of a loss that was not passed again: only training needs them."""
        state = checkpoint["state_dict"]
        known = self.state_dict()
        for key in [key for key in state if key.startswith("loss_modules.") and key not in known]:
            del state[key]

    @property
    def network(self) -> nn.Module:
        """The plain PyTorch network, which maps clips to logits."""
        return (
            self.backbone
            if isinstance(self.head, nn.Identity)
            else nn.Sequential(self.backbone, self.head)
        )

    def predict(
        self,
        x: Any,
        data_source: None = None,
        deserializer: None = None,
        data_pipeline: None = None,
        *,
        output: str | Output | None = None,
        clips: int | str = 4,
        views: int = 1,
    ) -> list[Any]:
        """Answers for videos, or for clips that are tensors already; datamodules go to ``flash.Trainer.predict``.

        Args:
            x: a video file, a folder with videos in it and its subfolders, or a list of files: one answer a video,
                from the mean over its clips. Or clips (B, C, T, H, W) as the network takes them, or a batch dict
                with them: one answer a clip.
            data_source, deserializer, data_pipeline: of Flash up to 0.6; must be None.
            output: see :mod:`flash.core.data.io.output`; None is the task's own, or else the labels.
            clips, views: see :meth:`VideoPredictor.predict`.

        Raises:
            FileNotFoundError: if a path does not exist.
            TypeError: for another kind of input, or arguments of old that mean nothing here.
            VideoError: if a file is no readable video.
        """
        if (data_source, deserializer, data_pipeline) != (None, None, None):
            raise TypeError(
                "Expected `data_source`, `deserializer` and `data_pipeline` to be None. Make a VideoClassificationData "
                "of the data and call flash.Trainer().predict(model, datamodule=...)."
            )
        shown = output or self.output or "labels"
        if isinstance(x, (Tensor, Mapping)):
            return answer_clips(self, x, shown)
        return answer_videos(self, x, shown, clips=clips, views=views)

    def predictor(self, *, batch_size: int = 4) -> VideoPredictor:
        """Returns the predictor for whole video files, on this very network.

        Raises:
            ValueError: if the classifier has no recipe.
        """
        return self._predictor_of(self.network, batch_size)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the classifier for use: in plain PyTorch, on the command line, on a server.

        Args:
            path: of a named backbone a file, as ``model.pt``, which :meth:`VideoPredictor.from_file` reads. Of a module
                or head of your own a folder, since no file can hold their code: its graph, by ``torch.export``, as an
                artefact for one clip at a time. ``load_predictor(path, trust=True)``, and ``predict`` and ``serve``
                with ``--model PATH --trust``, load it without the code.

        Raises:
            ExportError: (a RuntimeError) ``torch.export`` cannot have your module; ``trainer.save_checkpoint`` keeps
                its weights.
            FileExistsError: there is an artefact in the folder.
            ValueError: a file's name for a module of your own, or a classifier without a recipe.
        """
        if self.backbone_name is None or not isinstance(self.head, nn.Identity):
            from pytorchvideo.inference.export import Source, export_own

            plain = copy.deepcopy(self.network).cpu().float()
            export_own(Source(type(self.backbone).__name__, self._predictor_of(plain)), path)
            return
        trained = PretrainedModel(
            self.backbone,
            self.backbone_name,
            self._known_recipe(),
            self.backbone_kwargs,
            labels=tuple(self._known_labels()),
            multi_label=self.multi_label,
            threshold=self.threshold,
        )
        trained.save(path)

    def _predictor_of(self, network: nn.Module, batch_size: int = 4) -> VideoPredictor:
        is_of_zoo = isinstance(self.head, nn.Identity)
        return VideoPredictor(
            network,
            self._known_recipe(),
            self._known_labels(),
            batch_size=batch_size,
            multi_label=self.multi_label,
            threshold=self.threshold,
            name=(self.backbone_name or "") if is_of_zoo else "",
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
