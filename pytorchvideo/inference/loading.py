# SPDX-License-Identifier: Apache-2.0
"""Loading of predictors from all that a command takes as a model.

======== ============================================ =====================================
kind     what a user gives                            told by
======== ============================================ =====================================
run      the folder of a run                          ``model.pt`` in it
file     a model file, as ``model.pt``                it is a file
saved    a folder that ``save_pretrained`` wrote      ``format`` in its ``config.json``
artefact a folder that ``export`` wrote               ``artefact.json`` in it
zoo      a name of the zoo                            the list of these
hf       ``hf:NAME``, ``hf:FOLDER``: of Hugging Face  ``hf:``
hub      ``owner/name``, what ``push_to_hub`` wrote   one slash, and there is no such path here
======== ============================================ =====================================
"""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from pytorchvideo._checks import expected, shortened
from pytorchvideo._text import SMALL, counted, read_json, read_lines, read_object
from pytorchvideo.inference.devices import device_named
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.models._registry import Task, create_model, is_model, model_entry
from pytorchvideo.models._weights.rebuild import HUGGING_FACE
from pytorchvideo.models._weights.weights import load_checkpoint
from pytorchvideo.models.pretrained import CONFIG, FORMAT, WEIGHTS, PretrainedModel
from pytorchvideo.models.pyslowfast import native_state
from pytorchvideo.transforms.clip_recipe import sized

#: What names classes without training where no model is asked for.
ZERO_SHOT = "openai/clip-vit-base-patch32"

Kind = Literal["artefact", "file", "hf", "hub", "run", "saved", "zoo"]

_RUN_FILE = "model.pt"
_NOUNS: dict[Kind, str] = {
    "artefact": "an artefact",
    "file": "a model file",
    "hf": "a model of Hugging Face",
    "hub": "a saved model",
    "run": "a run",
    "saved": "a saved model",
    "zoo": "a model of the zoo",
}
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_FILE_ENDINGS = (".ckpt", ".pt", ".pth", ".safetensors")


def load_predictor(
    source: str | os.PathLike[str] | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
    zero_shot: Sequence[str] = (),
    trust: bool = False,
    kind: Kind | None = None,
    num_frames: int | None = None,
    crop_size: int | None = None,
    device: str = "cpu",
) -> VideoPredictor:
    """Returns the predictor of any model; see the table of this module.

    Args:
        source: a file, a folder or a name. A ``Path`` is never taken for a name.
        weights: of a name of the zoo, a file of weights, also one of PySlowFast's native models; None takes the
            published ones.
        labels: file of class names: for ``weights`` whose classes are not the published ones, or to call those of a
            model file or of a saved model otherwise.
        zero_shot: names of classes for CLIP or SigLIP, which need no training; ``source`` says which of these.
        trust: whether to load an artefact that can run code.
        kind: what ``source`` is, where a folder holds several; None looks.
        num_frames: of the clips, in the place of the model's own; not of an artefact, or with ``zero_shot``.
        crop_size: side of the clips in pixels, likewise.
        device: to put it on, see :func:`~pytorchvideo.inference.devices.device_named`. Artefacts are where their
            runtime is.

    Raises:
        ValueError: an unknown model or device, a file or folder that holds none, a folder that holds several, weights,
            labels or sizes that do not fit, or an artefact that needs ``trust``.
        ExportError: (a RuntimeError) the artefact cannot be loaded here.
        FileNotFoundError: a file is not there, or the run is not finished.
        ConnectionError: the Hub, or the published weights, cannot be reached.

    Example::

        predictor = load_predictor("runs/gestures")
        predictor = load_predictor("x3d_s", weights="mine.pth", labels="names.txt")
    """
    place = device_named(device)
    if zero_shot:
        if weights is not None or labels is not None:
            raise ValueError(
                "Expected --zero-shot without --weights and --labels: its classes are those that it names."
            )
        name = os.fspath(source or ZERO_SHOT).removeprefix(HUGGING_FACE)
        return _placed(_of_classes(name, zero_shot), place)
    if source is None:
        raise ValueError(
            "Expected a model: a name of the zoo or any other that --model takes, or the folder of a run (--run DIR)."
        )
    kind, name = find_model(source, kind)
    if kind == "artefact":
        size = {"frames": num_frames, "crop": crop_size}
        _check_options(kind, name, weights=weights, labels=labels, **size)
        if device not in ("auto", "cpu"):
            raise ValueError(expected("device", "auto or cpu for an artefact", device))
        return _of_artefact(name, trust)
    trained = load_trained(
        source,
        weights=weights,
        labels=labels,
        num_frames=num_frames,
        crop_size=crop_size,
        kind=kind,
    )
    predictor = VideoPredictor.from_pretrained(trained)
    predictor.model.to(memory_format=torch.channels_last_3d)
    return _placed(predictor, place)


def _placed(predictor: VideoPredictor, device: torch.device) -> VideoPredictor:
    predictor.model.to(device)
    return predictor


def load_trained(
    source: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
    num_frames: int | None = None,
    crop_size: int | None = None,
    untrained: bool = False,
    kind: Kind | None = None,
    task: Task = "video classification",
) -> PretrainedModel:
    """Returns any model but an artefact, which is no network any more; for what else see :func:`load_predictor`.

    Args:
        source, weights, labels, kind: see :func:`load_predictor`.
        num_frames: of the clips, in the place of the model's own.
        crop_size: side of the clips in pixels, likewise.
        untrained: leave initial weights, where ``weights`` is None, for a name of the zoo.
        task: what a name of the zoo must be for.

    Raises:
        ValueError: it is an artefact, or its network takes clips of one size only.
    """
    kind, name = find_model(source, kind)
    size: Any = {"num_frames": num_frames, "crop_size": crop_size}
    if kind == "artefact":
        raise ValueError(f"{name} is an artefact already: give the model that it was made from.")
    if kind == "zoo":
        return _of_zoo(name, weights, labels, untrained=untrained, task=task, **size)
    _check_options(kind, name, weights=weights, labels=labels, untrained=untrained)
    if kind == "hf":
        if size != {"num_frames": None, "crop_size": None}:
            raise ValueError(f"Expected {name} without --frames and --crop: it has one size.")
        return _of_hugging_face(name)
    if kind == "hub":
        trained = _of_hub(name, **size)
    elif kind == "saved":
        trained = PretrainedModel.from_pretrained(name, **size)
    else:
        file = model_of_run(name) if kind == "run" else name
        trained = PretrainedModel.from_file(file, **size)
    return trained if labels is None else _renamed(trained, labels)


def find_model(source: str | os.PathLike[str], kind: Kind | None = None) -> tuple[Kind, str]:
    """Returns what a source is, and its path or name, by looking for the file that tells; nothing is loaded.

    Args:
        source: see :func:`load_predictor`.
        kind: what it is, where that is known.

    Raises:
        FileNotFoundError: there is no such file or folder, it holds no model, or the run in it is not finished.
        ValueError: there is no such name, or a folder holds several models.
    """
    name, is_path = os.fspath(source), not isinstance(source, str)
    if kind is not None:
        if kind == "saved" and not os.path.isdir(name):
            raise FileNotFoundError(f"There is no folder {name}.")
        return kind, name
    if not is_path and name.startswith(HUGGING_FACE):
        if name == HUGGING_FACE:
            raise ValueError(expected("model", "a name or a folder after hf:", name))
        return "hf", name
    is_zoo = not is_path and is_model(name)
    if os.path.isdir(name):
        if not is_zoo:
            return _kind_of_folder(Path(name)), name
        if found := _models_in(Path(name)):
            raise ValueError(
                f"{name} is a model of the zoo, and here also a folder with {_listed(found)}. Write ./{name} for the "
                "folder, or call the command from elsewhere for the zoo."
            )
    if is_zoo:
        return "zoo", name
    if os.path.isfile(name):
        return "file", name
    # a folder of that name is here, so what is asked for in it is no model of the Hub
    is_file_name = is_path or name.endswith(_FILE_ENDINGS) or os.path.isdir(os.path.dirname(name))
    if not is_file_name and _HUB_NAME.fullmatch(name):
        return "hub", name
    if is_file_name or "/" in name or os.sep in name:
        raise FileNotFoundError(f"There is no file of weights or folder {name}.")
    model_entry(name)  # raises the sentence for a name
    return "zoo", name


def absolute_source(source: str) -> str:
    """Returns a source that means the same in every working directory; for the errors see :func:`find_model`."""
    kind, name = find_model(source)
    if kind in ("hub", "zoo"):
        return name
    prefix = HUGGING_FACE if kind == "hf" else ""
    path = name.removeprefix(prefix)
    return name if prefix and not os.path.isdir(path) else prefix + os.path.abspath(path)


def _kind_of_folder(folder: Path) -> Kind:
    found = _models_in(folder)
    if len(found) > 1:
        raise ValueError(
            f"{folder} holds {_listed(found)}: expected one of them. Say which by --run or --artefact (kind= in "
            "Python), or keep them in folders of their own."
        )
    if found:
        return next(iter(found))
    about = _config(folder)
    if "model_type" in about:
        raise ValueError(f"{folder} holds a model of transformers: give {HUGGING_FACE}{folder}.")
    if "data" in about:
        model_of_run(folder)  # raises: it is not finished
    names = sorted(entry.name for entry in folder.iterdir())
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    raise FileNotFoundError(
        f"{folder} holds no model: expected {_RUN_FILE} (of a run), artefact.json (of `export`), or {CONFIG} and "
        f"{WEIGHTS} (of `save_pretrained`), but found {shown or 'nothing'}."
    )


def is_saved_model(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is what ``save_pretrained`` wrote."""
    return _config(Path(folder)).get("format") == FORMAT


def _models_in(folder: Path) -> dict[Kind, str]:
    """The models in a folder, each with the file that tells."""
    from pytorchvideo.accelerator.deployment.artefact import INFO

    found: dict[Kind, str] = {}
    if (folder / _RUN_FILE).is_file():
        found["run"] = _RUN_FILE
    if (folder / INFO).is_file():
        found["artefact"] = INFO
    if is_saved_model(folder):
        found["saved"] = CONFIG
    return found


def _config(folder: Path) -> dict[str, Any]:
    file = folder / CONFIG
    return read_object(file, "the description of a model") if file.is_file() else {}


def _listed(found: dict[Kind, str]) -> str:
    """``"a run (model.pt) and an artefact (artefact.json)"``."""
    return " and ".join(f"{_NOUNS[kind]} ({file})" for kind, file in found.items())


def _check_options(kind: Kind, name: str, *, labels: Any, **others: Any) -> None:
    """Raises a ValueError for options that only a name of the zoo has; labels also name the classes of a file."""
    wrong = [f"--{key}" for key, value in others.items() if value not in (None, False)]
    if labels is not None and kind not in ("file", "saved", "hub"):
        wrong.append("--labels")
    if wrong:
        raise ValueError(
            f"Expected {name} without {' and '.join(wrong)}: {_NOUNS[kind]} has its own weights and labels."
        )


def model_of_run(folder: str | os.PathLike[str]) -> Path:
    """Returns the file of the classifier that a run trained.

    Raises:
        FileNotFoundError: there is no run, or it is not finished.
    """
    file = Path(folder) / _RUN_FILE
    if file.is_file():
        return file
    if not file.with_name("config.json").is_file():
        raise FileNotFoundError(f"{folder} holds no run: there is no config.json in it.")
    if found := _models_in(file.parent):
        raise FileNotFoundError(
            f"{folder} holds {_listed(found)} and no run: give it by --model instead of --run."
        )
    raise FileNotFoundError(
        f"The run in {folder} is not finished: there is no {file.name}. Finish it with train --resume."
    )


def _of_zoo(
    name: str,
    weights: str | os.PathLike[str] | None,
    labels: str | os.PathLike[str] | None,
    *,
    untrained: bool,
    task: Task,
    num_frames: int | None,
    crop_size: int | None,
) -> PretrainedModel:
    """A model of the zoo with the weights that its classes are of."""
    entry = model_entry(name, task)
    names, recipe = list(entry.weights.labels), entry.weights.recipe
    pretrained = weights is None and not untrained
    if labels is not None:
        names = _names_for(Path(labels), len(names)) if pretrained else read_names(Path(labels))
    if weights is not None and not os.path.isfile(weights):
        raise FileNotFoundError(f"There is no file of weights {os.fspath(weights)}.")
    if task == "detection" and (not names or (pretrained and entry.weights.url is None)):
        raise ValueError(
            f"{name} has no published weights: give --weights FILE and --labels FILE, the names of its classes."
        )
    kwargs = entry.logits_arguments
    if num_frames is not None or crop_size is not None:
        recipe = sized(recipe, num_frames, crop_size)
        kwargs |= {"num_frames": recipe.num_frames, "crop_size": recipe.crop_size}
    network = create_model(name, pretrained=pretrained, num_classes=len(names), **kwargs)
    if weights is not None:
        native = native_state(weights, name, network.state_dict())
        load_checkpoint(network, weights if native is None else native, same_classes=True)
    # a person may do several things at once
    several = task == "detection"
    return PretrainedModel(network, name, recipe, kwargs, tuple(names), multi_label=several)


def _of_hub(name: str, **size: Any) -> PretrainedModel:
    try:
        return PretrainedModel.from_pretrained(name, **size)
    except ConnectionError as error:
        raise ConnectionError(f"There is no file or folder {name} here. {error}") from error
    except ImportError as error:
        raise FileNotFoundError(f"There is no file or folder {name} here. {error}") from error


def _of_artefact(folder: str, trust: bool) -> VideoPredictor:
    from pytorchvideo.accelerator.deployment.artefact import load_artefact

    network = load_artefact(folder, trust=trust)
    about = network.info
    if about.boxes is not None:
        raise ValueError(
            f"{folder} is an artefact of a model that scores boxes: `pytorchvideo detect --artefact` uses it."
        )
    return VideoPredictor(
        network,
        about.recipe,
        about.labels,
        multi_label=about.multi_label,
        threshold=about.threshold,
    )


def _of_hugging_face(name: str) -> PretrainedModel:
    from pytorchvideo.models.huggingface import create_hugging_face

    network = create_hugging_face(name.removeprefix(HUGGING_FACE))
    config: Any = network.trunk.config
    return PretrainedModel(
        network,
        name,
        network.recipe,
        {"config": network.config},
        network.labels,
        multi_label=getattr(config, "problem_type", None) == "multi_label_classification",
        threshold=getattr(config, "threshold", 0.5),
    )


def _of_classes(name: str, classes: Sequence[str]) -> VideoPredictor:
    from pytorchvideo.models.zero_shot import create_zero_shot

    network = create_zero_shot(name, classes)
    return VideoPredictor(network, network.recipe, network.labels)


def _renamed(trained: PretrainedModel, labels: str | os.PathLike[str]) -> PretrainedModel:
    return replace(trained, labels=tuple(_names_for(Path(labels), trained.num_classes)))


def _names_for(file: Path, count: int) -> list[str]:
    names = read_names(file)
    if len(names) != count:
        wanted = f"a file with a name for each of the {counted(count, 'class')} of the weights"
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
        wanted = f"the numbers 0 to {len(names) - 1} for {counted(len(names), 'class')}"
        raise ValueError(f"{file}: expected {wanted}, but {missing} is missing.")
    for number, name in names.items():
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"{file}: " + expected(f"class {number}", "a name", name))
    return [names[number].strip('"') for number in range(len(names))]
