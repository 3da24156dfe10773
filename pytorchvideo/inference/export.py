# SPDX-License-Identifier: Apache-2.0
"""Export of a classifier to a runtime: artefact, parity with the model, latency."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo._files import whole_file
from pytorchvideo._locks import alone_in
from pytorchvideo.accelerator.deployment.artefact import (
    INFO,
    ArtefactInfo,
    example_inputs,
    load_artefact,
    write_artefact,
    write_info,
)
from pytorchvideo.accelerator.deployment.latency import Latency, Step, measure
from pytorchvideo.accelerator.deployment.runtimes import (
    ExportError,
    Inputs,
    Precision,
    needs_calibration,
)
from pytorchvideo.data.preparing.check import videos_of
from pytorchvideo.data.windows import ClipWindows
from pytorchvideo.inference.clips import Clip, read_clips
from pytorchvideo.inference.predictor import VideoPredictor

#: Share of the largest logit by which a float32 artefact may differ from its model.
TOLERANCE = 1e-3
#: Clips that an artefact is compared on, and clips that int8 is calibrated with.
MOST_CHECKED, MOST_CALIBRATED = 40, 100


@dataclass(frozen=True)
class Source:
    """A classifier to export.

    Attributes:
        name: of its network, for people.
        predictor: the network with its recipe and labels.
        videos: that it has not seen in training, where they are known.
    """

    name: str
    predictor: VideoPredictor
    videos: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parity:
    """How near an artefact is to its model.

    Attributes:
        clips: that were compared.
        real: whether they come from videos, not from noise.
        max_difference: of two logits.
        max_logit: the largest of the model's, by its absolute value.
        top1_agreement: share of the clips for which both name the same class first.
    """

    clips: int
    real: bool
    max_difference: float
    max_logit: float
    top1_agreement: float

    @property
    def relative(self) -> float:
        """The difference as a share of the largest logit."""
        return self.max_difference / max(self.max_logit, 1e-12)


@dataclass(frozen=True)
class Exported:
    """What came of an export.

    Attributes:
        folder: with the artefact.
        info: what it is.
        parity: with the model.
        latency: of the model and of the artefact, one clip at a time.
        skipped: ``(path, reason)`` of the videos that could not be read.
    """

    folder: Path
    info: ArtefactInfo
    parity: Parity
    latency: dict[str, Latency]
    skipped: list[tuple[str, str]]


def export(
    source: Source,
    out: str | os.PathLike[str],
    *,
    runtime: str,
    precision: Precision = "fp32",
    calibrate: str | None = None,
    check: str | None = None,
    dynamic_batch: bool = False,
    threads: int | None = None,
    compiled: bool = True,
    seconds: float = 20.0,
    say: Callable[[str], None] = lambda text: None,
) -> Exported:
    """Makes an artefact, compares it with its model and times both.

    Args:
        source: what to export.
        out: folder of the artefact.
        runtime: a name of :data:`RUNTIMES`.
        precision: one of those of the runtime.
        calibrate: videos for int8: a folder, a list file, or one video.
        check: videos to compare on; None takes those that a run has held out, then those to calibrate with, then
            noise.
        dynamic_batch: let it take batches of any size.
        threads: processors of the timing; None is each runtime's own choice.
        compiled: also time the model under ``torch.compile``, which takes its time to compile.
        seconds: for which is timed.
        say: is told what is being done.

    Raises:
        ExportError: the runtime cannot have this model, or its artefact computes something else.
        FileExistsError: there is an artefact in ``out``.
        BlockingIOError: another process makes one there.
        FileNotFoundError: there are no such videos.
        ValueError: the runtime has not what was asked for, or no video can be read.
    """
    predictor = source.predictor
    info = ArtefactInfo(
        runtime=runtime,
        model=source.name,
        recipe=predictor.recipe,
        labels=tuple(predictor.labels),
        precision=precision,
        dynamic_batch=dynamic_batch,
        multi_label=predictor.multi_label,
        threshold=predictor.threshold,
    )
    if Path(out, INFO).exists():
        raise FileExistsError(f"{out} holds an artefact already. Choose another --out.")
    if needs_calibration(precision) and calibrate is None:
        advice = "Give --calibrate DATA, videos like those that it is to be used on."
        raise ValueError(expected("calibrate", "videos, for int8", None, advice))
    if not needs_calibration(precision) and calibrate is not None:
        raise ValueError(
            f"calibrate={calibrate!r} is of no use for {precision}: int8 alone needs it."
        )
    skipped: list[tuple[str, str]] = []
    calibration = [] if calibrate is None else _read(predictor, calibrate, MOST_CALIBRATED, skipped)
    checked = check or source.videos or calibrate
    clips = [] if checked is None else _read(predictor, checked, MOST_CHECKED, skipped)
    with alone_in(out):
        say(f"convert {source.name} for {runtime}, {precision}")
        info = write_artefact(predictor.model, info, out, calibration=calibration)
        try:
            say("compare it with the model")
            parity = _compared(source, Path(out), info, clips)
            say("time it")
            latency = time_variants(
                predictor, Path(out), threads, compiled=compiled, seconds=seconds
            )
            report = {
                "parity": {**vars(parity), "relative": parity.relative},
                "latency": {name: vars(one) for name, one in latency.items()},
                "versions": {name: version(name) for name in ("torch", "pytorchvideo")},
            }
            info = replace(info, report=report)
            write_info(info, out)
        except BaseException:  # also an interrupt: what is in the folder has not been checked
            Path(out, INFO).unlink(missing_ok=True)
            raise
        return Exported(Path(out), info, parity, latency, skipped)


def _compared(
    source: Source, folder: Path, info: ArtefactInfo, clips: Sequence[Inputs] = ()
) -> Parity:
    """How near a new artefact is to its model; raises an ExportError where float32 is not near enough."""
    parity = compare(source.predictor, folder, clips)
    if info.precision == "fp32" and not parity.relative <= TOLERANCE:
        raise ExportError(
            f"The artefact of {source.name} for {info.runtime} computes something else: logits differ by "
            f"{parity.max_difference:.2e}, where the largest is {parity.max_logit:.2e}. Try another runtime."
        )
    return parity


def export_own(source: Source, out: str | os.PathLike[str]) -> ArtefactInfo:
    """Writes a network of one's own, whose code no model file can hold, as a graph of ``torch.export``.

    The graph is compared with the network on a clip of noise. Nothing is timed, and nothing has to be pickled, so that
    the network's class may stand in a script.

    Args:
        source: the network, on the CPU, with its recipe and labels.
        out: folder of the artefact.

    Returns:
        What the artefact is; :func:`~pytorchvideo.inference.loading.load_predictor` loads it with ``trust``.

    Raises:
        ExportError: ``torch.export`` cannot have this network, or the graph computes something else.
        FileExistsError: there is an artefact in ``out``.
        ValueError: ``out`` is the name of a file, or the recipe leaves frames whole.
    """
    predictor = source.predictor
    if Path(out).suffix in (".ckpt", ".pt", ".pth") or Path(out).is_file():
        advice = "No file can hold its code; a folder gets its graph, made by torch.export."
        raise ValueError(expected("path", "a folder for a module of your own", str(out), advice))
    info = ArtefactInfo(
        runtime="torch-export",
        model=source.name,
        recipe=predictor.recipe,
        labels=tuple(predictor.labels),
        multi_label=predictor.multi_label,
        threshold=predictor.threshold,
    )
    if Path(out, INFO).exists():
        raise FileExistsError(f"{os.fspath(out)} holds an artefact already. Choose another folder.")
    with alone_in(out):
        try:
            info = write_artefact(predictor.model, info, out)
            _compared(source, Path(out), info)
        except BaseException:
            Path(out, INFO).unlink(missing_ok=True)
            raise
    return info


def _read(
    predictor: VideoPredictor, data: str | Sequence[str], most: int, skipped: list[tuple[str, str]]
) -> list[Inputs]:
    """The model's inputs for the middle clip of up to ``most`` videos, spread over all of them."""
    videos = list(videos_of(data)) if isinstance(data, str) else list(data)
    step = max(1, len(videos) / most)
    some = [videos[int(index * step)] for index in range(min(most, len(videos)))]
    middle = ClipWindows(predictor.recipe.clip_duration_sec, clips=1)
    found: list[Inputs] = []
    for item in read_clips(some, middle, predictor.recipe):
        if isinstance(item, Clip):
            (inputs,) = item.views
            pathways = inputs if isinstance(inputs, list) else [inputs]
            found.append(tuple(x[None] for x in pathways))
        elif item.error is not None:
            skipped.append((some[item.video], str(item.error)))
    if not found:
        raise ValueError(f"No video of {data if isinstance(data, str) else 'the run'} can be read.")
    return found


@torch.inference_mode()
def compare(predictor: VideoPredictor, folder: Path, clips: Sequence[Inputs]) -> Parity:
    """Compares the logits of a model and of its artefact.

    Args:
        predictor: with the model.
        folder: of the artefact.
        clips: inputs (1, C, T, H, W), one a pathway, of each clip; none of them stands for one clip of noise.
    """
    artefact = load_artefact(folder, trust=True)  # written just now
    inputs = list(clips) or [example_inputs(predictor.recipe)]
    several = predictor.recipe.pathway_ratio is not None
    difference, largest, same = 0.0, 0.0, 0
    for clip in inputs:
        x = list(clip) if several else clip[0]
        wanted, got = predictor.model(x), artefact(x)
        difference = max(difference, float((wanted - got).abs().max()))
        largest = max(largest, float(wanted.abs().max()))
        same += int(wanted.argmax()) == int(got.argmax())
    return Parity(len(inputs), bool(clips), difference, largest, same / len(inputs))


def time_variants(
    predictor: VideoPredictor,
    folder: Path,
    threads: int | None = None,
    *,
    compiled: bool = True,
    seconds: float = 20.0,
) -> dict[str, Latency]:
    """Times a model as it is, under ``torch.compile``, and as an artefact, on one clip of noise.

    Args:
        predictor: with the model.
        folder: of the artefact.
        threads: processors; None is each runtime's own choice.
        compiled: whether to wait for ``torch.compile``.
        seconds: for which is timed.
    """
    x = example_inputs(predictor.recipe)
    clip = list(x) if predictor.recipe.pathway_ratio is not None else x[0]
    with TemporaryDirectory() as temporary:
        file = Path(temporary, "model.pt")
        with whole_file(file) as part:
            torch.save(predictor.model, part)
        loaders: dict[str, Callable[[], Step]] = {"eager": partial(_eager, file, clip, False)}
        if compiled:
            loaders["compiled"] = partial(_eager, file, clip, True)
        loaders["artefact"] = partial(_artefact, folder, clip, threads)
        return measure(loaders, seconds=seconds, threads=threads)


def _eager(file: Path, clip: torch.Tensor | list[torch.Tensor], compiled: bool) -> Step:
    # written by this very process
    model: nn.Module = torch.load(file, weights_only=False, mmap=True).eval()
    model.to(memory_format=torch.channels_last_3d)
    return partial(_infer, torch.compile(model) if compiled else model, clip)


def _artefact(folder: Path, clip: torch.Tensor | list[torch.Tensor], threads: int | None) -> Step:
    return partial(_infer, load_artefact(folder, threads=threads, trust=True), clip)


@torch.inference_mode()
def _infer(model: Callable[..., torch.Tensor], clip: torch.Tensor | list[torch.Tensor]) -> object:
    return model(clip)
