# SPDX-License-Identifier: Apache-2.0
"""Trained models as a file, as a folder, or on the Hugging Face Hub: weights, labels, clip recipe, scores.

::

    model.pt               one ``torch.save`` of plain types and tensors, readable with ``weights_only=True``

    FOLDER or owner/name on the Hub
      config.json          the model by name, its arguments, labels, clip recipe, scores
      model.safetensors    its weights
      README.md            the model card, made of these and of the record of the published weights

Files and folders need nothing but this library; the Hub needs ``pip install "pytorchvideo[hf]"``.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo._files import whole_file, write_whole
from pytorchvideo._text import read_object
from pytorchvideo.models._registry import create_model, get_weights, model_entry
from pytorchvideo.models._weights.hub_files import download, upload
from pytorchvideo.models._weights.model_card import model_card
from pytorchvideo.models._weights.rebuild import HUGGING_FACE, rebuild_model
from pytorchvideo.models._weights.shapes import shapes_only
from pytorchvideo.models._weights.weights import load_checkpoint, read_checkpoint
from pytorchvideo.transforms.clip_recipe import ClipRecipe, sized

__all__ = ["PretrainedModel"]

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
#: What ``config.json`` of a saved folder calls itself.
FORMAT = "pytorchvideo.pretrained"
_VERSION = 1
# what config.json must hold
_KINDS: dict[str, type] = {
    "labels": list,
    "licence": str,
    "metrics": dict,
    "model_kwargs": dict,
    "model_name": str,
    "multi_label": bool,
    "num_classes": int,
    "protocol": str,
    "recipe": dict,
    "version": int,
}
_FILE_FORMAT, _FILE_VERSION = "pytorchvideo.classifier", 1
# what a model file must hold
_FILE_KINDS: dict[str, Any] = {
    "multi_label": bool,
    "threshold": (int, float),
    "version": int,
    "model_name": str,
    "model_kwargs": Mapping,
    "model_state": Mapping,
    "labels": list,
    "recipe": Mapping,
}


@dataclass(frozen=True, eq=False)
class PretrainedModel:
    """A network with trained weights, and what they were trained for.

    Args:
        model: the network; the card takes what it gives for logits.
        name: its name, one of :func:`~pytorchvideo.models.list_models`, or ``"hf:..."`` for one of ``transformers``,
            which :meth:`save` alone can write, with its configuration in ``model_kwargs``.
        recipe: the clips that it takes.
        model_kwargs: what else :func:`~pytorchvideo.models.create_model` was given to build it, such as
            ``num_frames``; not the number of classes.
        labels: class names in the order of the scores; may be empty.
        metrics: scores by name, in percent.
        protocol: on what and how they were measured.
        multi_label: whether a clip may have several labels: scores are then sigmoids of the logits.
        threshold: score from which a label counts, with ``multi_label``.
        licence: of the weights.

    Raises:
        ValueError: no model of this name, or one with another number of classes than there are labels.

    Example::

        trained = PretrainedModel(model, "x3d_xs", recipe, labels=names, metrics={"top1": 91.2})
        trained.save("model.pt")
        trained.push_to_hub("me/x3d_xs-gestures")
        again = PretrainedModel.from_pretrained("me/x3d_xs-gestures")
        again.model, again.labels, again.recipe
    """

    model: nn.Module
    name: str
    recipe: ClipRecipe
    model_kwargs: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    protocol: str = ""
    multi_label: bool = False
    licence: str = "Apache-2.0"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not self.name.startswith(HUGGING_FACE):
            model_entry(self.name)
        object.__setattr__(self, "labels", tuple(str(label) for label in self.labels))
        if self.labels and len(self.labels) != self.num_classes:
            wanted = f"{self.num_classes} names, one a class of the model"
            raise ValueError(expected("labels", wanted, f"{len(self.labels)} names"))

    @property
    def num_classes(self) -> int:
        """Scores that the model gives."""
        layer: Any = self.model.classifier
        count: int = layer.out_features if hasattr(layer, "out_features") else layer.out_channels
        return count

    @classmethod
    def from_zoo(cls, name: str, *, progress: bool = True) -> "PretrainedModel":
        """Returns a model with its published weights, downloaded at first; it gives logits.

        Raises:
            ValueError: no such model.
            ConnectionError: the weights could not be downloaded.
        """
        weights, kwargs = get_weights(name), model_entry(name).logits_arguments
        return cls(
            model=create_model(name, pretrained=True, progress=progress, **kwargs),
            name=name,
            recipe=weights.recipe,
            model_kwargs=kwargs,
            labels=weights.labels,
            metrics=weights.metrics,
            protocol=weights.protocol,
            licence=weights.licence,
        )

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        num_frames: int | None = None,
        crop_size: int | None = None,
    ) -> "PretrainedModel":
        """Loads what :meth:`save` wrote, as ``model.pt`` in the folder of a run.

        Args:
            path: the file.
            num_frames: of the clips, in the place of those that it was trained on.
            crop_size: side of the clips in pixels, likewise.

        Raises:
            FileNotFoundError: there is no such file.
            ImportError: it holds a network of ``transformers``, which is not there.
            ValueError: it is no model file, or of a later version, sets what no file may set, or has weights for its
                own size of clips only.
        """
        source = os.fspath(path)
        saved = _read_file(source)
        recipe, kwargs = _for_clips(saved, source, num_frames, crop_size)
        state = saved["model_state"]
        model = rebuild_model(
            saved["model_name"], kwargs, len(saved["labels"]), source=source, state=state
        )
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            if kwargs != saved["model_kwargs"]:
                raise _of_one_size(saved["model_name"]) from error
            reasons = str(error).splitlines()
            raise ValueError(
                f"{source} holds weights that are not those of its network, {saved['model_name']}: "
                f"{reasons[min(1, len(reasons) - 1)].strip()[:200]}"
            ) from error
        return cls(
            model=model,
            name=saved["model_name"],
            recipe=recipe,
            model_kwargs=kwargs,
            labels=tuple(saved["labels"]),
            multi_label=saved["multi_label"],
            threshold=saved["threshold"],
        )

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str],
        *,
        num_classes: int | None = None,
        num_frames: int | None = None,
        crop_size: int | None = None,
        revision: str | None = None,
        token: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> "PretrainedModel":
        """Loads what :meth:`save_pretrained` or :meth:`push_to_hub` wrote.

        Args:
            source: a folder, or ``owner/name`` on the Hub, whose files are kept in the cache.
            num_classes: another number than the model has gives it a new classifier, untrained and without
                labels and scores.
            num_frames: of the clips, in the place of those that it was trained on.
            crop_size: side of the clips in pixels, likewise.
            revision: branch, tag or commit on the Hub.
            token: for private models; by default that of ``hf auth login``.
            cache_dir: by default the Hub's own, ``$HF_HOME/hub``.

        Raises:
            FileNotFoundError: there is no such folder and no such model on the Hub, or a file is missing.
            ConnectionError: the Hub cannot be reached, and the model is not in the cache.
            ValueError: the files are not those of a model of this library, set what no file may set, or have weights
                for their own size of clips only.
            ImportError: the source is on the Hub, and ``huggingface_hub`` is not there.
        """
        if Path(source).is_dir():
            config_file, weights_file = (Path(source) / name for name in (CONFIG, WEIGHTS))
        else:
            options = {"revision": revision, "token": token, "cache_dir": cache_dir}
            config_file, weights_file = (
                download(os.fspath(source), name, **options) for name in (CONFIG, WEIGHTS)
            )
        config = _read_config(config_file, os.fspath(source))
        recipe, kwargs = _for_clips(config, os.fspath(source), num_frames, crop_size)
        has_new_classifier = num_classes not in (None, config["num_classes"])
        model = rebuild_model(
            config["model_name"],
            kwargs,
            config["num_classes"] if num_classes is None else num_classes,
            source=os.fspath(source),
            state=read_checkpoint(weights_file),
        )
        try:
            load_checkpoint(model, weights_file)
        except ValueError as error:
            if kwargs != config["model_kwargs"]:
                raise _of_one_size(config["model_name"]) from error
            raise
        known = {} if has_new_classifier else {key: config[key] for key in ("labels", "metrics")}
        return cls(
            model=model,
            name=config["model_name"],
            model_kwargs=kwargs,
            recipe=recipe,
            protocol=config["protocol"] if known else "",
            multi_label=config["multi_label"],
            threshold=config.get("threshold", 0.5),  # earlier files do not say
            licence=config["licence"],
            **known,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes one file, which :meth:`from_file` reads; scores and licence are not in it.

        Args:
            path: the file; an existing one is replaced when the new one is complete.
        """
        content = {
            "format": _FILE_FORMAT,
            "version": _FILE_VERSION,
            "model_name": self.name,
            "model_kwargs": dict(self.model_kwargs),
            "model_state": {
                key: value.detach().cpu() for key, value in self.model.state_dict().items()
            },
            "labels": list(self.labels or map(str, range(self.num_classes))),
            "recipe": self.recipe.to_dict(),
            "multi_label": self.multi_label,
            "threshold": self.threshold,
        }
        with whole_file(path) as part:
            torch.save(content, part)

    def save_pretrained(
        self, folder: str | os.PathLike[str], *, repo_id: str | None = None
    ) -> Path:
        """Writes config.json, model.safetensors and README.md into a folder, and returns it.

        Args:
            folder: is made if it is not there.
            repo_id: what the example of the card loads; the folder by default.

        Raises:
            ValueError: the model is not the one that ``name`` and ``model_kwargs`` build, or these hold more than
                numbers, texts, lists and None.
        """
        config = json.dumps(self._config(), indent=2) + "\n"
        state = self._checked_state()
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        with whole_file(path / WEIGHTS) as part:
            save_file(state, part, metadata={"format": "pt"})
        write_whole(path / CONFIG, config)
        # safetensors lets nobody but the owner read what it writes
        (path / WEIGHTS).chmod((path / CONFIG).stat().st_mode & 0o777)
        card = self.card(repo_id or os.fspath(folder))
        write_whole(path / CARD, card)
        return path

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        token: str | None = None,
        commit_message: str = "Add the model",
    ) -> str:
        """Uploads the model to the Hub, and returns its address.

        Args:
            repo_id: ``owner/name``; the repository is made if it is not there.
            private: whether a new repository is; None is the owner's default.
            token: by default that of ``hf auth login``.
            commit_message: of the one commit.

        Raises:
            ConnectionError: the Hub cannot be reached.
            PermissionError: it does not let this token write there.
            ValueError: as :meth:`save_pretrained`.
            ImportError: ``huggingface_hub`` is not there.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, repo_id=repo_id)
            return upload(
                repo_id, folder, private=private, token=token, commit_message=commit_message
            )

    def card(self, source: str) -> str:
        """Returns the model card, markdown that begins with the Hub's metadata.

        Args:
            source: what its example loads.
        """
        entry = model_entry(self.name)
        num_parameters = sum(parameter.numel() for parameter in self.model.parameters())
        return model_card(self._config(), entry.weights, num_parameters, entry.task, source)

    def _config(self) -> dict[str, Any]:
        model_entry(self.name)
        if not _is_plain(self.model_kwargs):
            wanted = "made of numbers, texts, lists and None, which a file can hold"
            raise ValueError(expected("model_kwargs", wanted, dict(self.model_kwargs)))
        return {
            "format": FORMAT,
            "version": _VERSION,
            "library_name": "pytorchvideo",
            "model_name": self.name,
            "model_kwargs": dict(self.model_kwargs),
            "num_classes": self.num_classes,
            "labels": list(self.labels),
            "multi_label": self.multi_label,
            "threshold": self.threshold,
            "recipe": self.recipe.to_dict(),
            "metrics": dict(self.metrics),
            "protocol": self.protocol,
            "licence": self.licence,
        }

    def _checked_state(self) -> dict[str, torch.Tensor]:
        """The tensors, each with memory of its own, once they are known to fit what will be built from the config."""
        with shapes_only():
            built = create_model(self.name, num_classes=self.num_classes, **self.model_kwargs)
        state = self.model.state_dict()
        wanted = {key: value.shape for key, value in built.state_dict().items()}
        if {key: value.shape for key, value in state.items()} != wanted:
            raise ValueError(
                f"Expected `model` to have the tensors of {self.name} built with {dict(self.model_kwargs)}, but they "
                "differ in name or shape. Give its name, and as `model_kwargs` what it was built with."
            )
        # safetensors takes neither shared memory nor other layouts, such as channels last
        return {
            key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for key, value in state.items()
        }


def _for_clips(
    about: Mapping[str, Any], source: str, num_frames: int | None, crop_size: int | None
) -> tuple[ClipRecipe, dict[str, Any]]:
    """The recipe and the arguments of the network that a file has, for clips of the size that is asked for."""
    recipe, kwargs = ClipRecipe.from_dict(about["recipe"]), dict(about["model_kwargs"])
    if num_frames is None and crop_size is None:
        return recipe, kwargs
    if about["model_name"].startswith(HUGGING_FACE):
        raise ValueError(f"Expected {source} without --frames and --crop: it has one size.")
    recipe = sized(recipe, num_frames, crop_size)
    return recipe, {**kwargs, "num_frames": recipe.num_frames, "crop_size": recipe.crop_size}


def _of_one_size(name: str) -> ValueError:
    return ValueError(
        f"{name} has weights for its own size of clips only: leave out --frames and --crop."
    )


def _read_file(path: str) -> dict[str, Any]:
    """The content of a model file; see :meth:`PretrainedModel.from_file` for the errors."""
    # earlier files do not say these two
    saved: dict[str, Any] = {"multi_label": False, "threshold": 0.5, **read_checkpoint(path)}
    if saved.get("format") != _FILE_FORMAT:
        is_lightning = "pytorch-lightning_version" in saved
        advice = (
            "It is a Lightning checkpoint: VideoClassifier.load_from_checkpoint(...).save(...) makes one."
            if is_lightning
            else "VideoClassifier.save(...) makes one."
        )
        raise ValueError(f"{path} is not a model file of the format {_FILE_FORMAT!r}. {advice}")
    if isinstance(saved.get("version"), int) and saved["version"] > _FILE_VERSION:
        raise ValueError(
            f"{path} has version {saved['version']} of its format, but this release reads up to {_FILE_VERSION}. "
            "Update pytorchvideo."
        )
    for key, kind in _FILE_KINDS.items():
        if not isinstance(saved.get(key), kind):
            raise ValueError(
                f"{path} is a damaged model file: its {key!r} is {type(saved.get(key)).__name__}."
            )
    if not all(isinstance(label, str) for label in saved["labels"]):
        raise ValueError(f"{path} is a damaged model file: its labels are not all texts.")
    return saved


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def _read_config(file: Path, source: str) -> dict[str, Any]:
    if not file.is_file():
        raise FileNotFoundError(f"There is no {file.name} in {source}: it is no saved model.")
    config = read_object(file, "the description of a model")
    if config.get("format") != FORMAT:
        kind = config.get("model_type")
        advice = f" It is a model of transformers ({kind}): create_hugging_face loads it." * bool(
            kind
        )
        raise ValueError(f"{source} holds no model that PretrainedModel saved.{advice}")
    if missing := sorted(set(_KINDS) - set(config)):
        raise ValueError(f"{file} does not say {', '.join(missing)}. Save the model again.")
    for name, kind in _KINDS.items():
        if not isinstance(config[name], kind):
            wanted = f"of the type {kind.__name__}"
            raise ValueError(f"{file}: " + expected(name, wanted, config[name]))
    if config["version"] > _VERSION:
        raise ValueError(f"{source} was written by a later version of pytorchvideo. Install that.")
    if not isinstance(config.get("threshold", 0.5), (int, float)):
        raise ValueError(f"{file}: " + expected("threshold", "a number", config["threshold"]))
    if not all(isinstance(value, (int, float)) for value in config["metrics"].values()):
        raise ValueError(f"{file}: " + expected("metrics", "numbers", config["metrics"]))
    return config
