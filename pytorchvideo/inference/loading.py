# SPDX-License-Identifier: Apache-2.0
"""Loading of predictors from all that a command takes as a model."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytorchvideo._checks import expected, shortened
from pytorchvideo._text import SMALL, read_json, read_lines
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.models._registry import create_model, model_entry
from pytorchvideo.models._weights.rebuild import HUGGING_FACE
from pytorchvideo.models._weights.weights import load_checkpoint

#: What names classes without training where no model is asked for.
ZERO_SHOT = "openai/clip-vit-base-patch32"


def load_predictor(
    *,
    run: Path | None = None,
    model: str | None = None,
    weights: Path | None = None,
    labels: Path | None = None,
    zero_shot: Sequence[str] = (),
    artefact: Path | None = None,
    trust: bool = False,
) -> VideoPredictor:
    """Returns the predictor of a finished run, a model file, a model of the zoo or of Hugging Face, or an artefact.

    Args:
        run: folder of a run.
        model: name of the zoo; with ``hf:`` in front a model of Hugging Face, by its name there or its folder.
        weights: its weights, or a model file that a run wrote, which needs no ``model``; None takes the
            published weights.
        labels: file of class names for weights whose classes are not the published ones, or to be called otherwise
            than a model file has it.
        zero_shot: names of classes for CLIP or SigLIP, which need no training; ``model`` says which of these.
        artefact: folder that ``export`` wrote, alone.
        trust: whether to load an artefact that can run code.

    Raises:
        ValueError: neither or both of ``run`` and ``model``, an unknown model, or weights or labels that do not
            fit it.
        ExportError: (a RuntimeError) the artefact cannot be loaded here.
        FileNotFoundError: a file is not there, or the run is not finished.
        ConnectionError: the published weights could not be downloaded.
    """
    if artefact is not None:
        if any(given is not None for given in (run, model, weights, labels)) or zero_shot:
            raise ValueError("Expected --artefact alone: it has its own weights and labels.")
        return _of_artefact(artefact, trust)
    if zero_shot:
        if run is not None or weights is not None or labels is not None:
            raise ValueError(
                "Expected --zero-shot with --model alone: its classes are those that it names."
            )
        return _of_classes((model or ZERO_SHOT).removeprefix(HUGGING_FACE), zero_shot)
    if run is not None and (model is not None or weights is not None or labels is not None):
        raise ValueError("Expected either --run, or --model with its --weights, but got both.")
    if run is not None:
        predictor = VideoPredictor.from_file(model_of_run(run))
    elif weights is not None and model is None:
        predictor = VideoPredictor.from_file(weights)
        if labels is not None:
            predictor.labels = _names_for(labels, len(predictor.labels))
    elif model is None:
        raise ValueError(
            "Expected the folder of a run (--run DIR) or a model of the zoo (--model NAME)."
        )
    elif model.startswith(HUGGING_FACE):
        if weights is not None or labels is not None:
            raise ValueError(
                "Expected --model hf:NAME without --weights and --labels: it has its own."
            )
        predictor = _of_hugging_face(model.removeprefix(HUGGING_FACE))
    else:
        network, names = of_zoo(model, weights, labels)
        recipe = model_entry(model, "video classification").weights.recipe
        predictor = VideoPredictor(network, recipe, names)
    predictor.model.to(memory_format=torch.channels_last_3d)
    return predictor


def model_of_run(folder: Path) -> Path:
    """Returns the file of the classifier that a run trained.

    Raises:
        FileNotFoundError: there is no run, or it is not finished.
    """
    file = folder / "model.pt"
    if file.is_file():
        return file
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder} holds no run: there is no config.json in it.")
    raise FileNotFoundError(
        f"The run in {folder} is not finished: there is no {file.name}. Finish it with train --resume."
    )


def of_zoo(
    model: str,
    weights: Path | None,
    labels: Path | None,
    *,
    untrained: bool = False,
    **builder_kwargs: Any,
) -> tuple[nn.Module, list[str]]:
    """Builds a model of the zoo with the weights that its classes are of.

    Args:
        model: its name.
        weights: a file; None for the published ones.
        labels: file with the names of its classes; None for the published ones.
        untrained: leave initial weights, where ``weights`` is None.
        builder_kwargs: other arguments of its builder.

    Returns:
        The network and the names of its classes.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: for an unknown model, or weights that are not of such a model with so many classes.
    """
    entry = model_entry(model, "video classification")
    names = list(entry.weights.labels)
    pretrained = weights is None and not untrained
    if labels is not None:
        names = _names_for(labels, len(names)) if pretrained else read_names(labels)
    if weights is not None and not weights.is_file():
        raise FileNotFoundError(f"There is no file of weights {weights}.")
    kwargs = builder_kwargs | entry.logits_arguments
    network = create_model(model, pretrained=pretrained, num_classes=len(names), **kwargs)
    if weights is not None:
        load_checkpoint(network, weights, same_classes=True)
    return network, names


def _of_artefact(folder: Path, trust: bool) -> VideoPredictor:
    from pytorchvideo.accelerator.deployment.artefact import load_artefact

    network = load_artefact(folder, trust=trust)
    about = network.info
    return VideoPredictor(
        network,
        about.recipe,
        about.labels,
        multi_label=about.multi_label,
        threshold=about.threshold,
    )


def _of_hugging_face(name: str) -> VideoPredictor:
    from pytorchvideo.models.huggingface import create_hugging_face

    network = create_hugging_face(name)
    known = network.labels or [str(i) for i in range(network.classifier.out_features)]
    config: Any = network.trunk.config
    return VideoPredictor(
        network,
        network.recipe,
        known,
        multi_label=getattr(config, "problem_type", None) == "multi_label_classification",
        threshold=getattr(config, "threshold", 0.5),
    )


def _of_classes(name: str, classes: Sequence[str]) -> VideoPredictor:
    from pytorchvideo.models.zero_shot import create_zero_shot

    network = create_zero_shot(name, classes)
    return VideoPredictor(network, network.recipe, network.labels)


def _names_for(file: Path, count: int) -> list[str]:
    names = read_names(file)
    if len(names) != count:
        wanted = f"a file with a name for each of the {count} classes of the weights"
        raise ValueError(expected("labels", wanted, f"{len(names)} names in {file}"))
    return names


def read_names(file: Path) -> list[str]:
    """Reads class names in the order of their numbers.

    Args:
        file: a name a line; or json: a list, ``{name: number}`` or ``{number: name}``. Quotes around names, which
            the published Kinetics json has, are taken off.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no names, a name twice, or other numbers than 0, 1, 2...
    """
    wanted = "class names: one a line, or in json"
    if file.suffix.lower() == ".json":
        names = _names_of_json(file, read_json(file, wanted, max_bytes=SMALL))
        places = [f"class {number}" for number in range(len(names))]
    else:
        lines = [(n, line.strip()) for n, line in read_lines(file, wanted, max_bytes=SMALL)]
        names = [line for _, line in lines if line]
        places = [f"line {n}" for n, line in lines if line]
    if not names:
        raise ValueError(expected("labels", "a file with a class name a line", str(file)))
    known: dict[str, str] = {}
    for name, place in zip(names, places, strict=True):
        if name in known:
            raise ValueError(
                f"{file}, {place}: the name {shortened(name)!r} stands in {known[name]} already. Name each class once."
            )
        known[name] = place
    return names


def _names_of_json(file: Path, content: Any) -> list[str]:
    names: dict[int, Any] = {}
    if isinstance(content, list):
        names.update(enumerate(content))
    elif isinstance(content, dict):
        for key, value in content.items():
            number, name = (key, value) if isinstance(value, str) else (value, key)
            if not re.fullmatch(r"\d{1,9}", str(number)):
                wanted = "`{name: number}` or `{number: name}`"
                raise ValueError(f"{file}: " + expected(shortened(key), wanted, value))
            number = int(number)
            if number in names:
                raise ValueError(
                    f"{file}: the number {number} is that of {names[number]!r} and of {name!r}."
                )
            names[number] = name
    else:
        raise ValueError(f"{file}: expected a list of names, or an object `{{name: number}}`.")
    missing = next((number for number in range(len(names)) if number not in names), None)
    if missing is not None:
        wanted = f"the numbers 0 to {len(names) - 1} for {len(names)} classes"
        raise ValueError(f"{file}: expected {wanted}, but {missing} is missing.")
    for number, name in names.items():
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"{file}: " + expected(f"class {number}", "a name", name))
    return [names[number].strip('"') for number in range(len(names))]
