# SPDX-License-Identifier: Apache-2.0
"""The commands about embeddings: ``embed``, ``search``, ``probe``."""

import json
import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flash._errors import BAD_INPUT
from flash.cli import options as opt
from flash.cli.printing import progress_screen, say, visible
from pytorchvideo._text import counted

if TYPE_CHECKING:
    from pytorchvideo.inference.predictor import VideoPredictor


class Kind(str, Enum):
    """The names of :data:`pytorchvideo.evaluation.probe.KINDS`."""

    linear = "linear"
    attentive = "attentive"


_Sources = Annotated[
    list[str],
    typer.Argument(metavar="VIDEO...", help="Videos, folders of videos, or list files."),
]
_OutFile = Annotated[
    Path, typer.Option("--out", "-o", help="File to write: .safetensors or .parquet.")
]
_File = Annotated[Path, typer.Argument(metavar="FILE", help="What `embed` wrote.")]
_Query = Annotated[str, typer.Argument(metavar="VIDEO", help="What to look for.")]
_Data = Annotated[
    str | None,
    typer.Option(
        "--data", help="List file with the classes.", show_default="the folder of each video"
    ),
]
_KindName = Annotated[Kind, typer.Option("--kind", help="What is trained on the embeddings.")]
_Splits = Annotated[int, typer.Option("--splits", min=1, help="How often.")]


@opt.takes_model()
def embed(
    videos: _Sources,
    out: _OutFile,
    chosen: opt.ModelOptions,
    clips: opt.Protocol = "4",
    views: opt.Views = 1,
    frames: opt.Frames = None,
    crop: opt.Crop = None,
    clip_duration: opt.ClipDuration = None,
    workers: opt.Readers = None,
) -> None:
    """Write what a model makes of clips of videos, with their times, to a file."""
    from flash.runs.progress import progress_bar
    from pytorchvideo._locks import alone_at
    from pytorchvideo.data.preparing.check import videos_of
    from pytorchvideo.inference import embeddings as embedding
    from pytorchvideo.inference.loading import absolute_source

    embedding.check_ending(out)
    asked: dict[str, Any] = {
        "frames": frames,
        "crop": crop,
        "clip_duration": clip_duration,
        "clips": clips,
        "views": views,
    }
    for name in _NAMES:  # absolute: `search` may run elsewhere
        given = getattr(chosen, name)
        absolute = absolute_source if name == "model" else os.path.abspath
        asked[name] = None if given is None else absolute(given)
    with alone_at(out):
        predictor = _predictor(chosen, asked)
        files = [file for source in videos for file in videos_of(source)]
        with progress_bar(progress_screen()) as bar:
            task = bar.add_task("embed", total=len(files), note="")
            found, skipped = embedding.embed(
                predictor,
                files,
                clips=opt.clips_of(clips),
                views=views,
                workers=opt.workers_of(
                    workers, len(files), predictor.recipe, views, predictor.model
                ),
                made_by=asked,
                on_video=lambda: bar.advance(task),
            )
        for path, reason in skipped:
            say(f"skipped {path}: {reason}")
        found.save(out)
    rows, size = found.vectors.shape
    typer.echo(
        f"{out}: {counted(rows, 'clip')} of {counted(len(files) - len(skipped), 'video')}, "
        f"{counted(size, 'value')} each"
    )
    if skipped:
        raise typer.Exit(BAD_INPUT)


def search(
    file: _File,
    video: _Query,
    top: opt.Top = 5,
    device: opt.Device = "auto",
    as_json: opt.AsJson = False,
) -> None:
    """Name the clips of FILE that are most like a video: by the angle between their vectors."""
    from pytorchvideo.inference.embeddings import Embeddings
    from pytorchvideo.inference.embeddings import embed as embed_videos

    known = Embeddings.load(file)
    if video in known.videos:
        of_query = known
    else:
        asked = _asked(file, known.made_by)
        paths: Any = {
            name: None if asked[name] is None else Path(asked[name])
            for name in ("run", "weights", "labels")
        }
        chosen = opt.ModelOptions(model=asked["model"], device=device, **paths)
        of_query, _ = embed_videos(
            _predictor(chosen, asked),
            [video],
            clips=opt.clips_of(asked["clips"]),
            views=asked["views"],
        )
    rows = of_query.rows_of_videos()[video]
    query = of_query.vectors[rows].mean(dim=0)
    # its own clips are no news
    others = [i for i, name in enumerate(known.videos) if name != video]
    if not others:
        raise ValueError(f"{file} has no other video than {video}.")
    rest = Embeddings(
        known.vectors[others],
        [known.videos[i] for i in others],
        [known.times[i] for i in others],
        known.made_by,
    )
    answers = [
        {
            "video": rest.videos[i],
            "start_sec": rest.times[i][0],
            "end_sec": rest.times[i][1],
            "score": score,
        }
        for i, score in rest.nearest(query, top)
    ]
    if as_json:
        typer.echo(json.dumps(answers, indent=1))
        return
    for row in answers:
        span = f"{row['start_sec']:.2f}-{row['end_sec']:.2f} s"
        typer.echo(visible(f"{row['score']:.3f}  {span}  {row['video']}"))


def probe(
    file: _File,
    data: _Data = None,
    kind: _KindName = Kind.linear,
    splits: _Splits = 10,
    val_split: opt.ValSplit = 0.25,
    seed: opt.Seed = 0,
    as_json: opt.AsJson = False,
) -> None:
    """Say how well classes can be told apart by embeddings: the accuracy of a small classifier trained on them."""
    from flash.runs.progress import showing
    from flash.video.sources.files import from_path
    from pytorchvideo._progress import Step
    from pytorchvideo.evaluation.probe import labels_by_folder
    from pytorchvideo.evaluation.probe import probe as run_probe
    from pytorchvideo.inference.embeddings import Embeddings

    known = Embeddings.load(file)
    if data is None:
        classes = labels_by_folder(known.videos)
    else:
        classes = {path: str(info["label"]) for path, info in from_path(data, split="all").items}
    with showing(progress_screen(), "probe") as bar:
        bar(Step(0, None))
        result = run_probe(
            known, classes, kind=kind.value, splits=splits, val_split=val_split, seed=seed
        )
    if as_json:
        typer.echo(json.dumps(result.to_dict(), indent=1))
        return
    typer.echo(
        f"{result.kind} probe: {result.mean:.1%} of the held-out videos "
        f"(standard deviation {result.deviation:.1%} over {counted(splits, 'split')}; "
        f"{counted(result.videos, 'video')}, "
        f"{counted(len(result.labels), 'class')})"
    )


# what names the model: not an artefact, which has no features
_NAMES = ("run", "model", "weights", "labels")
# what `embed` was asked for
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(_NAMES, (str, type(None))),
    **dict.fromkeys(("frames", "crop"), (int, type(None))),
    "clip_duration": (int, float, type(None)),
    "clips": (str,),
    "views": (int,),
}


def _asked(file: Path, made_by: dict[str, Any]) -> dict[str, Any]:
    """What a file of embeddings says of the model that made it."""
    for name, kinds in _KINDS.items():
        if name not in made_by or not isinstance(made_by[name], kinds):
            raise ValueError(
                f"{file} does not say which model made it (`{name}`). Write it anew with `pytorchvideo embed`."
            )
    return made_by


def _predictor(chosen: opt.ModelOptions, asked: dict[str, Any]) -> "VideoPredictor":
    """The model that was asked for, with the clips that were."""
    from pytorchvideo.transforms.clip_recipe import sized

    predictor = chosen.load(num_frames=asked["frames"], crop_size=asked["crop"])
    if not hasattr(predictor.model, "forward_features"):
        raise ValueError(
            f"{chosen.title} has scores and no features, as artefacts have: give the model that it was made from."
        )
    predictor.recipe = sized(predictor.recipe, clip_duration=asked["clip_duration"])
    return predictor
