# SPDX-License-Identifier: Apache-2.0
"""Artefacts: a model for one runtime in a folder, with its clip recipe and labels.

::

    DIR/
      artefact.json    what it is: runtime, precision, shapes, clip recipe, labels; readable without this library
      model.*          what the runtime loads

:func:`load_artefact` gives a module that takes what the network took:

>>> import tempfile
>>> from pytorchvideo.models import create_model
>>> model = create_model("x3d_xs", num_classes=3, num_frames=4, crop_size=64).eval()
>>> recipe = ClipRecipe(num_frames=4, sampling_rate=12, side_size=64, crop_size=64)
>>> with tempfile.TemporaryDirectory() as folder:
...     about = ArtefactInfo("torch-export", "x3d_xs", recipe, ("a", "b", "c"))
...     about = write_artefact(model, about, folder)
...     loaded = load_artefact(folder, trust=True)  # this runtime's files can hold code
>>> clips = torch.rand(2, 3, 4, 64, 64)
>>> torch.allclose(loaded(clips), model(clips), atol=1e-5)
True
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytorchvideo._checks import check_choice, expected
from pytorchvideo._files import sha256_of, write_error, write_whole
from pytorchvideo._text import read_object
from pytorchvideo.accelerator.deployment.boxes import MOST_BOXES, BoxScores
from pytorchvideo.accelerator.deployment.runtimes import RUNTIMES, Inputs, Positional, Precision
from pytorchvideo.transforms.clip_recipe import ClipRecipe

FORMAT = "pytorchvideo.artefact"
VERSION = 1
#: The file that says what an artefact is.
INFO = "artefact.json"
_MODEL = "model."  # what the names of all other files begin with


@dataclass(frozen=True)
class ArtefactInfo:
    """What an artefact is.

    Args:
        runtime: a name of :data:`RUNTIMES`.
        model: name of the network, for people.
        recipe: the clips that it takes.
        labels: class names in the order of the logits.
        precision: of its arithmetic.
        dynamic_batch: whether it takes batches of any size, not one clip at a time.
        multi_label: whether a clip may have several labels: sigmoid instead of softmax.
        threshold: probability from which a label counts, with ``multi_label``.
        file: of the model, in the artefact's folder.
        input_shapes: of its inputs (1, C, T, H, W), one a pathway.
        sha256: of what the runtime loads.
        report: what was measured when it was made: parity and latency.
        boxes: of a network that scores boxes, how many it takes; 0 for any number. None of one for whole clips.
    """

    runtime: str
    model: str
    recipe: ClipRecipe
    labels: tuple[str, ...]
    precision: Precision = "fp32"
    dynamic_batch: bool = False
    multi_label: bool = False
    threshold: float = 0.5
    file: str = ""
    input_shapes: tuple[tuple[int, ...], ...] = ()
    sha256: str = ""
    report: Mapping[str, Any] | None = None
    boxes: int | None = None

    def __post_init__(self) -> None:
        check_choice("runtime", self.runtime, RUNTIMES)
        RUNTIMES[self.runtime].check(self.precision, self.dynamic_batch)

    def to_dict(self) -> dict[str, Any]:
        """Returns the content of ``artefact.json``; ``clip`` says in seconds what the recipe says in frames."""
        about = {"format": FORMAT, "version": VERSION}
        clip = {
            "seconds": round(self.recipe.clip_duration_sec, 6),
            "frames": self.recipe.num_frames,
            "frames_per_second": round(self.recipe.sampled_frames_per_second, 6),
        }
        return {**about, **asdict(self), "recipe": self.recipe.to_dict(), "clip": clip}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ArtefactInfo":
        """Makes one from the content of ``artefact.json``; names that it does not know are of no effect."""
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        known["recipe"] = ClipRecipe.from_dict(values["recipe"])
        known["labels"] = tuple(str(label) for label in values["labels"])
        boxes = known.get("boxes")
        if boxes is not None and (type(boxes) is not int or boxes < 0):
            raise ValueError(expected("boxes", "a number, or null", boxes))
        known["input_shapes"] = tuple(
            tuple(int(size) for size in shape) for shape in values["input_shapes"]
        )
        file = known.get("file")
        if not isinstance(file, str) or not file.startswith(_MODEL) or Path(file).name != file:
            raise ValueError(expected("file", "the name of a file model.*", file))
        return cls(**known)


def example_inputs(recipe: ClipRecipe) -> Inputs:
    """Returns one clip of noise as a recipe makes it: (1, C, T, H, W) for each pathway.

    Raises:
        ValueError: the recipe leaves frames whole, so that their size is not known.
    """
    if recipe.crop_size is None:
        raise ValueError(expected("recipe.crop_size", "a number of pixels", None, "Give --crop."))
    generator = torch.Generator().manual_seed(0)
    side = max(recipe.side_size, recipe.crop_size)
    clip = torch.rand(3, recipe.num_frames, side, side, generator=generator) * 255
    made = recipe.transforms()(clip)
    return tuple(x[None] for x in (made if isinstance(made, list) else [made]))


def write_artefact(
    model: nn.Module,
    info: ArtefactInfo,
    out: str | os.PathLike[str],
    *,
    calibration: Sequence[Inputs] = (),
    example: Inputs | None = None,
) -> ArtefactInfo:
    """Makes an artefact of a network and writes its folder.

    Args:
        model: clips (B, C, T, H, W), or a list with a batch a pathway, to logits (B, labels); left as it is.
        info: what is wanted; ``file`` and ``input_shapes`` are found here.
        out: folder to write, made where it is not there.
        calibration: inputs of real clips for int8, as :func:`example_inputs` makes them.
        example: inputs of the size that it is to take; None is a clip of noise as the recipe makes it. Of a network
            that scores boxes, see ``boxes`` of ``info``, boxes (N, 4) in pixels come last.

    Returns:
        ``info``, complete.

    Raises:
        ExportError: the runtime cannot have this model.
        FileExistsError: there is an artefact in the folder.
        ValueError: int8 without ``calibration``, or a recipe without a size.
    """
    folder = Path(out)
    if (folder / INFO).exists():
        raise FileExistsError(f"{folder} holds an artefact already. Choose another folder.")
    runtime = RUNTIMES[info.runtime]
    example = example_inputs(info.recipe) if example is None else example
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{_MODEL.rstrip('.')}{runtime.suffix}"
    clips = len(example) - (info.boxes is not None)
    pathways = None if info.recipe.pathway_ratio is None else clips
    plain: nn.Module = Positional(model, pathways)
    if info.boxes is not None:
        plain = BoxScores(model, pathways, info.boxes)
    before = set(folder.glob(f"{_MODEL}*"))
    try:
        runtime.export(
            plain,
            example,
            file,
            precision=info.precision,
            calibration=calibration,
            dynamic_batch=info.dynamic_batch,
        )
    except BaseException as error:
        weights = sum(p.numel() * p.element_size() for p in model.parameters())
        said = write_error(error, file, least_free=weights)  # while the disk is as it was
        for part in set(folder.glob(f"{_MODEL}*")) - before:
            part.unlink()
        if said is not None:
            raise said from error
        raise
    shapes = tuple(tuple(x.shape) for x in example[:clips])
    info = replace(info, file=file.name, input_shapes=shapes, sha256=_sha256(folder))
    write_info(info, folder)
    return info


def _sha256(folder: Path) -> str:
    return sha256_of(*sorted(folder.glob(f"{_MODEL}*")))


def write_info(info: ArtefactInfo, folder: str | os.PathLike[str]) -> None:
    """Writes ``artefact.json``, in the place of an earlier one."""
    write_whole(Path(folder) / INFO, json.dumps(info.to_dict(), indent=1) + "\n")


def read_info(folder: str | os.PathLike[str]) -> ArtefactInfo:
    """Reads ``artefact.json``.

    Raises:
        FileNotFoundError: there is none in the folder.
        ValueError: it is not that of an artefact, or of a later version.
    """
    file = Path(folder) / INFO
    if not file.is_file():
        raise FileNotFoundError(
            f"{os.fspath(folder)} holds no artefact: there is no {INFO} in it. pytorchvideo export makes one."
        )
    values = read_object(file, "the description of an artefact")
    try:
        if values.get("format") != FORMAT:
            raise ValueError(f"its format is {values.get('format')!r}, not {FORMAT!r}")
        if values["version"] > VERSION:
            raise ValueError(f"this release reads up to version {VERSION}: update pytorchvideo")
        return ArtefactInfo.from_dict(values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} is not the description of an artefact: {error}.") from error


class ArtefactModel(nn.Module):
    """A network that a runtime runs; called as the one that it was made from.

    Args:
        folder: of the artefact.
        threads: see ``Runtime.load``.
        trust: see :func:`load_artefact`.

    Attributes:
        info: what it is.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        threads: int | None = None,
        trust: bool = False,
    ) -> None:
        super().__init__()
        self.info = read_info(folder)
        runtime = RUNTIMES[self.info.runtime]
        if runtime.runs_code and not trust:
            raise ValueError(
                f"Refused to load {os.fspath(folder)}: a file of {runtime.name} can run any code. If you made it, or "
                "trust who did, give trust=True (--trust); artefacts of onnx, openvino and executorch need no trust."
            )
        file = Path(folder) / self.info.file
        if not file.is_file():
            raise FileNotFoundError(f"There is no file {file}, which the artefact needs.")
        if _sha256(Path(folder)) != self.info.sha256:
            raise ValueError(
                f"The files of {os.fspath(folder)} are not those that {INFO} was written for: their SHA-256 differs. "
                "Copy the artefact again, or export it again."
            )
        self._run = runtime.load(file, precision=self.info.precision, threads=threads)

    def train(self, mode: bool = True) -> "ArtefactModel":
        """Changes nothing: an artefact is a network for inference, and programs of torch refuse to be asked."""
        return self

    def forward(
        self, x: torch.Tensor | Sequence[torch.Tensor], boxes: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Returns logits (B, labels) of clips (B, C, T, H, W), or of a list with a batch a pathway.

        Args:
            x: the clips.
            boxes: (N, 5) for a network that scores boxes: the index of the clip, then x1, y1, x2, y2 in its pixels. The
                logits are then (N, labels).

        Raises:
            ValueError: the clips have another size than those that the artefact was made for, or there are boxes where
                it takes none, or none where it takes some.
        """
        if (boxes is None) != (self.info.boxes is None):
            kind = "None for whole clips" if self.info.boxes is None else "of shape (N, 5)"
            raise ValueError(expected("boxes", kind, boxes))
        inputs = [x] if isinstance(x, torch.Tensor) else list(x)
        wanted = [shape[1:] for shape in self.info.input_shapes]
        if [tuple(one.shape[1:]) for one in inputs] != wanted:
            sizes = " and ".join(f"(B, {', '.join(map(str, shape))})" for shape in wanted)
            got = [tuple(one.shape) for one in inputs]
            raise ValueError(expected("x", f"of shape {sizes}", got))
        inputs = [one.detach().float().cpu().contiguous() for one in inputs]
        if boxes is not None:
            return self._of_boxes(inputs, boxes.detach().float().cpu())
        if self.info.dynamic_batch:
            return self._run(*inputs)
        return torch.cat(
            [self._run(*clip) for clip in zip(*(x.split(1) for x in inputs), strict=True)]
        )

    def _of_boxes(self, clips: list[torch.Tensor], boxes: torch.Tensor) -> torch.Tensor:
        """Clip by clip; for a fixed number of boxes some are repeated."""
        most = self.info.boxes or MOST_BOXES
        found = torch.zeros(len(boxes), len(self.info.labels))
        for number in range(len(clips[0])):
            clip = [one[number : number + 1] for one in clips]
            own = torch.nonzero(boxes[:, 0] == number).flatten()
            for some in own.split(most):
                rows = boxes[some, 1:]
                if self.info.boxes:
                    rows = torch.cat([rows, rows[:1].repeat(most - len(some), 1)])
                found[some] = self._run(*clip, rows.contiguous())[: len(some)]
        return found

    def extra_repr(self) -> str:
        about = f"{self.info.model}, runtime={self.info.runtime}, precision={self.info.precision}"
        return f"{about}, sha256={self.info.sha256[:12]}"


def load_artefact(
    folder: str | os.PathLike[str], *, threads: int | None = None, trust: bool = False
) -> ArtefactModel:
    """Returns the network of an artefact; no weights of the zoo and no code of its family are loaded.

    Args:
        folder: what :func:`write_artefact` wrote.
        threads: processors to use; None is the runtime's own choice.
        trust: whether to load files that can run code, of ``torch-export`` (pickles) and ``aoti`` (a native library).

    Raises:
        ExportError: the runtime's package is not installed, or it cannot load the file.
        FileNotFoundError: there is no artefact in the folder.
        ValueError: its description cannot be read, its files are others than those that it was written for, or they
            can run code and ``trust`` is not given.
    """
    return ArtefactModel(folder, threads=threads, trust=trust)
