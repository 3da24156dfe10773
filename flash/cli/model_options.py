# SPDX-License-Identifier: Apache-2.0
"""Options that name a model, and the model that they name."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from flash.cli import panels
from flash.cli.panels import option
from flash.cli.printing import say
from pytorchvideo._checks import expected

if TYPE_CHECKING:
    from pytorchvideo.inference.detection.detector import ActionDetector
    from pytorchvideo.inference.loading import Kind
    from pytorchvideo.inference.predictor import VideoPredictor

#: The folder that `train` writes to unless told otherwise.
DEFAULT_RUN = Path("run")

Run = Annotated[
    Path | None,
    option(
        "--run",
        help="Folder of a finished run.",
        panel=panels.MODEL,
        show_default="run, if it is one and no model is named",
    ),
]
Model = Annotated[
    str | None,
    option(
        "--model",
        "-m",
        help="A name of the zoo, hf:NAME, a model on the Hub (owner/name), or a path: of a run, a model file, a saved "
        "model, an artefact.",
        panel=panels.MODEL,
        show_default="none",
    ),
]
Weights = Annotated[
    Path | None,
    option(
        "--weights",
        "-w",
        help="File of weights; alone, a model file.",
        panel=panels.MODEL,
        show_default="the published ones",
    ),
]
Labels = Annotated[
    Path | None,
    option(
        "--labels",
        help="Class names of the weights: a line each, or json.",
        panel=panels.MODEL,
        show_default="of the model",
    ),
]
Artefact = Annotated[
    Path | None,
    option(
        "--artefact", help="Folder that `export` wrote.", panel=panels.MODEL, show_default="none"
    ),
]
Trust = Annotated[
    bool,
    option(
        "--trust",
        help="Load an artefact whose file can run code: of torch-export or aoti.",
        panel=panels.MODEL,
    ),
]
Device = Annotated[
    str,
    option(
        "--device",
        help="auto (CUDA where there is one, otherwise the CPU), cpu, cuda, cuda:NUMBER or mps.",
        panel=panels.MODEL,
    ),
]
ZeroShot = Annotated[
    str | None,
    option(
        "--zero-shot",
        metavar="'LABEL, LABEL...'",
        help="Choose among these, without training: by a CLIP or SigLIP model of Hugging Face (--model).",
        panel=panels.MODEL,
        show_default="none",
    ),
]


@dataclass(frozen=True)
class ModelOptions:
    """What a command line says of its model; :func:`takes_model` makes options of the fields."""

    run: Run = None
    model: Model = None
    weights: Weights = None
    labels: Labels = None
    artefact: Artefact = None
    trust: Trust = False
    zero_shot: ZeroShot = None
    device: Device = "auto"

    def or_default_run(self) -> "ModelOptions":
        """Returns the same with the finished run in ``run``, which is said, where no model is named."""
        named = (self.run, self.model, self.weights, self.artefact, self.zero_shot)
        if any(one is not None for one in named) or not (DEFAULT_RUN / "model.pt").is_file():
            return self
        say(f"no model is named: the run in {DEFAULT_RUN} is used")
        return replace(self, run=DEFAULT_RUN)

    @property
    def title(self) -> str:
        """The model in words, for people."""
        if self.model is not None and self.weights is not None:
            return f"{self.model} with {self.weights}"
        if self.zero_shot is not None:
            return self.model or "Zero-shot"
        return str(self.run or self.artefact or self.model or self.weights)

    def load(self, **size: int | None) -> "VideoPredictor":
        """Returns the model on its device; for the errors see :func:`~pytorchvideo.inference.loading.load_predictor`.

        Args:
            size: ``num_frames`` and ``crop_size``, in the place of the model's own.
        """
        from pytorchvideo.inference.loading import load_predictor

        source, kind = self._source()
        weights = None if source is self.weights else self.weights
        return load_predictor(
            source,
            weights=weights,
            labels=self.labels,
            zero_shot=classes_of(self.zero_shot),
            trust=self.trust,
            kind=kind,
            device=self.device,
            **size,
        )

    def load_detector(self, **size: int | None) -> "ActionDetector":
        """Returns the model for boxes on its device; for the errors see
        :func:`~pytorchvideo.inference.detection.loading.load_detector`.

        Args:
            size: as of :meth:`load`.
        """
        from pytorchvideo.inference.detection.loading import load_detector

        source, kind = self._source()
        if source is None:
            raise ValueError(
                "Expected a model for boxes: --run DIR, or --model slowfast_r50_detection --weights FILE."
            )
        return load_detector(
            source,
            weights=None if source is self.weights else self.weights,
            labels=self.labels,
            kind=kind,
            device=self.device,
            trust=self.trust,
            **size,
        )

    def is_for_boxes(self) -> bool:
        """Whether it scores boxes; False where no model is named."""
        from pytorchvideo.inference.detection.loading import is_for_boxes

        source, kind = self._source()
        return source is not None and is_for_boxes(source, kind)

    def _source(self) -> "tuple[str | Path | None, Kind | None]":
        """What names the model, and what that is where it is known."""
        sources: dict[str, str | Path | None] = {
            "run": self.run,
            "artefact": self.artefact,
            "model": self.model,
        }
        given = [name for name, source in sources.items() if source is not None]
        if self.zero_shot is not None and given not in ([], ["model"]):
            raise ValueError(
                "Expected --zero-shot with --model alone: its classes are those that it names."
            )
        if self.zero_shot is not None and not classes_of(self.zero_shot):
            wanted = "names of classes, with commas between them"
            raise ValueError(expected("--zero-shot", wanted, self.zero_shot))
        if len(given) > 1:
            named = " and ".join(f"--{name}" for name in given)
            raise ValueError(f"Expected one of --model, --run and --artefact, but got {named}.")
        source = sources[given[0]] if given else None
        if not given and self.zero_shot is None:  # a model file has its network
            source = self.weights
        return source, "run" if self.run else "artefact" if self.artefact else None


def takes_model(*, zero_shot: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the options of :class:`ModelOptions` in the place of its parameter ``chosen``.

    Args:
        zero_shot: whether ``--zero-shot`` is one of them.
    """
    names = [one.name for one in fields(ModelOptions) if zero_shot or one.name != "zero_shot"]
    hints = ModelOptions.__annotations__
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter(
            name, keyword, default=getattr(ModelOptions, name), annotation=hints[name]
        )
        for name in names
    ]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_options(**given: Any) -> None:
            chosen = ModelOptions(**{name: given.pop(name) for name in names})
            command(chosen=chosen.or_default_run(), **given)

        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            is_place = parameter.name == "chosen"
            parameters += options if is_place else [parameter.replace(kind=keyword)]
        with_options.__annotations__ = {one.name: one.annotation for one in parameters}
        # Typer reads the options from it
        with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return with_options

    return decorate


def classes_of(text: str | None) -> list[str]:
    """``--zero-shot`` as names of classes.

    >>> classes_of("archery, playing chess,"), classes_of(None)
    (['archery', 'playing chess'], [])
    """
    return [name.strip() for name in (text or "").split(",") if name.strip()]
