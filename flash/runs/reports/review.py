# SPDX-License-Identifier: Apache-2.0
"""A review of labels: the videos of a run, ranked by how likely their label is wrong.

The trunk of the run embeds training and held-out videos, linear classifiers on these features score each video without
having seen it, and confident learning compares the scores with the labels, see
:mod:`pytorchvideo.evaluation.label_errors`.
"""

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from flash.runs.folder import RunFolder
from flash.runs.grouping import grouping
from flash.runs.moved import check_in_place, moved_to
from flash.runs.progress import progress_bar, showing
from flash.runs.reports.clips import Corrections, clip_cards, players
from flash.runs.reports.commands import command, corrected_command
from flash.runs.reports.page import render_page, section, settings, table, text
from flash.runs.sources import Sources
from pytorchvideo._checks import expected
from pytorchvideo._files import sha256_of, write_json, write_whole
from pytorchvideo._progress import Progress, Step
from pytorchvideo._tables import write_rows
from pytorchvideo.evaluation.label_errors import (
    calibrated_joint,
    confident_joint,
    label_doubts,
)
from pytorchvideo.evaluation.probe import cross_validated_scores
from pytorchvideo.evaluation.videos import Skipped
from pytorchvideo.inference.embeddings import Embeddings, embed
from pytorchvideo.inference.predictor import VideoPredictor

_REPEATS = 3  # cross-validations with other folds, whose scores are averaged
_LEAST_ACCURACY = 1.5  # times chance, below which the scores say nothing of labels


@dataclass(frozen=True)
class Doubt:
    """A video and how doubtful its label is.

    Args:
        video: path of the file.
        part: ``"train"`` or ``"val"``, where the run had it.
        label: as given.
        suggested: the likeliest other class.
        self_confidence: score of the given class, by classifiers that have not seen the video.
        margin: see :class:`~pytorchvideo.evaluation.label_errors.LabelDoubt`; the list is sorted by it.
        is_counted: whether it counts as wrong in the confident joint.
    """

    video: str
    part: str
    label: str
    suggested: str
    self_confidence: float
    margin: float
    is_counted: bool


@dataclass(frozen=True)
class Review:
    """The videos of a run by how doubtful their labels are.

    Args:
        labels: class names.
        doubts: all videos that could be read, the most doubtful first.
        joint: videos by given label (rows) and the class that they are confidently of (columns).
        accuracy: of the cross-validated scores on the labels as given.
        noise: estimated share of wrong labels.
        folds: of the cross-validation.
        skipped: ``(path, reason)`` of the videos that could not be read.
        seconds: that it took.
        sources: all videos.
        again: the command that trains on the list with the labels put right.
    """

    labels: Sequence[str]
    doubts: Sequence[Doubt]
    joint: np.ndarray
    accuracy: float
    noise: float
    folds: int
    skipped: Sequence[Skipped]
    seconds: float
    sources: Sources
    again: str

    @property
    def is_telling(self) -> bool:
        """Whether the features tell the classes apart well enough to doubt labels by them."""
        return self.accuracy >= min(_LEAST_ACCURACY / len(self.labels), 0.9)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain types, for json."""
        return {
            "labels": list(self.labels),
            "videos": [vars(doubt) for doubt in self.doubts],
            "confident_joint": self.joint.tolist(),
            "cross_validated_accuracy": self.accuracy,
            "estimated_share_of_wrong_labels": self.noise,
            "counted_as_wrong": sum(doubt.is_counted for doubt in self.doubts),
            "folds": self.folds,
            "skipped": [{"video": path, "reason": reason} for path, reason in self.skipped],
            "seconds": round(self.seconds, 1),
        }


def review_run(
    run: str | Path,
    *,
    folds: int = 5,
    clips: int = 2,
    seed: int = 0,
    data: str | None = None,
    workers: int = 0,
    console: Console,
) -> Review:
    """Reviews the labels of the videos of a finished run.

    Args:
        run: its folder, which keeps the features.
        folds: of the cross-validation; videos of one source are in one fold, as in the split of the run.
        clips: of each video, whose features are averaged.
        seed: of the folds.
        data: where DATA is now, if its videos have moved.
        workers: processes that decode.
        console: shows the progress.

    Raises:
        FileNotFoundError: there is no run, it is not finished, or its videos have moved.
        ValueError: its model has no features, or there are too few sources for the folds.
    """
    began = time.monotonic()
    folder = RunFolder(run)
    config = folder.read_config()
    if config.multi_label:
        raise ValueError(
            f"{run} was trained with --multi-label. Expected a run with one label a video: a review doubts one label "
            "in favour of another."
        )
    sources = Sources.from_file(folder.split_file)
    if data is not None:
        sources = moved_to(sources, config.data, data)
    else:
        check_in_place(sources, config.data, folder.path)
    known, skipped = _features(folder, sources, clips, workers, console)
    rows = known.rows_of_videos()
    videos = [
        (path, label, part)
        for part, pairs in (("train", sources.train), ("val", sources.val))
        for path, label in pairs
        if path in rows
    ]
    vectors = torch.stack([known.vectors[rows[path]].mean(dim=0) for path, _, _ in videos])
    classes = torch.tensor([sources.labels.index(label) for _, label, _ in videos])
    source_of = grouping(Path(data or config.data), config.group_by, config.groups)
    groups = [path if source_of is None else source_of(path) for path, _, _ in videos]
    with showing(console, "cross-validation") as bar:
        scores = _scores(vectors, classes, groups, len(sources.labels), folds, seed, bar).numpy()
    found = label_doubts(classes.numpy(), scores)
    joint = confident_joint(classes.numpy(), scores)
    counts = np.bincount(classes.numpy(), minlength=len(sources.labels))
    names = sources.labels
    return Review(
        labels=names,
        doubts=[
            Doubt(
                videos[one.index][0],
                videos[one.index][2],
                names[one.given],
                names[one.suggested],
                round(one.self_confidence, 6),
                round(one.margin, 6),
                one.is_counted,
            )
            for one in found
        ],
        joint=joint,
        accuracy=float((scores.argmax(axis=1) == classes.numpy()).mean()),
        noise=float(1 - np.trace(calibrated_joint(joint, counts))),
        folds=folds,
        skipped=skipped,
        seconds=time.monotonic() - began,
        sources=sources,
        again=corrected_command(config, folder.path),
    )


def _scores(
    vectors: Tensor,
    classes: Tensor,
    groups: Sequence[str],
    count: int,
    folds: int,
    seed: int,
    progress: Progress,
) -> Tensor:
    repeats: list[Tensor] = []
    for number in range(_REPEATS):
        progress(Step(number, _REPEATS))
        repeats.append(
            cross_validated_scores(
                vectors, classes, num_classes=count, groups=groups, folds=folds, seed=seed + number
            )
        )
    progress(Step(_REPEATS, _REPEATS))
    return torch.stack(repeats).mean(dim=0)


def _features(
    folder: RunFolder, sources: Sources, clips: int, workers: int, console: Console
) -> tuple[Embeddings, list[Skipped]]:
    """The features of all videos of a run, those of an earlier review if they are of the same model and clips."""
    if clips < 1:
        raise ValueError(expected("clips", ">= 1", clips))
    file = folder.model_file()
    paths = [path for path, _ in [*sources.train, *sources.val]]
    made_by = {"model": sha256_of(file), "clips": clips}
    kept = folder.features / "review.safetensors"
    if kept.is_file():
        known = Embeddings.load(kept)
        is_same = all(known.made_by.get(name) == value for name, value in made_by.items())
        if is_same and set(known.videos) <= set(paths):
            unread = [path for path in paths if path not in set(known.videos)]
            return known, [(path, "it could not be read before") for path in unread]
    predictor = VideoPredictor.from_file(file)
    if not hasattr(predictor.model, "forward_features"):
        raise ValueError(
            f"The model of {folder.path} has no features to review labels by. Expected one of the zoo; train one on "
            "the same videos, and review that run."
        )
    folder.features.mkdir(exist_ok=True)
    with progress_bar(console) as bar:
        task = bar.add_task("features", total=len(paths), note="")
        found, skipped = embed(
            predictor,
            paths,
            clips=clips,
            workers=workers,
            made_by=made_by,
            on_video=lambda: bar.advance(task),
        )
    found.save(kept)
    return found, skipped


def write_review(review: Review, run: Path, out: Path, top: int) -> Path:
    """Writes ``review.html``, ``review.csv`` and ``review.json`` into a folder; returns the page.

    Args:
        review: what was found.
        run: folder of the run.
        out: the folder.
        top: videos on the page.
    """
    write_json(out / "review.json", review.to_dict())
    lines = io.StringIO()
    write_rows(
        lines, [list(Doubt.__annotations__), *(list(vars(one).values()) for one in review.doubts)]
    )
    write_whole(out / "review.csv", lines.getvalue())
    page = out / "review.html"
    return write_whole(page, render_review(review, run, page, top))


def render_review(review: Review, run: Path, page: Path, top: int) -> str:
    """Returns the page of a review as a string of HTML; its clips play from the place of ``page``."""
    counted = sum(doubt.is_counted for doubt in review.doubts)
    figures = {
        "videos": str(len(review.doubts)),
        "labels that count as wrong": str(counted),
        "estimated share of wrong labels": f"{review.noise:.1%}",
        "accuracy, cross-validated": f"{review.accuracy:.1%}",
    }
    fixes = Corrections(review.sources, review.again)
    cards = [
        (doubt.video, _caption(number, doubt))
        for number, doubt in enumerate(review.doubts[:top], 1)
    ]
    pairs = sorted(
        (
            (int(review.joint[i, j]), review.labels[i], review.labels[j])
            for i, j in zip(*np.nonzero(review.joint), strict=True)
            if i != j
        ),
        reverse=True,
    )
    rows = [(given, likely, count) for count, given, likely in pairs[:20]]
    facts = {"run": run, "folds": review.folds, "command": command("review", run)}
    weak = (
        ""
        if review.is_telling
        else '<ol class="findings"><li class="problem"><i>problem</i><b>The features of this run hardly tell '
        "the classes "
        "apart: a doubt below says little of a label. Review a run that is better than chance.</b></li></ol>"
    )
    body = "\n".join(
        (
            weak,
            section(
                "Most doubtful labels",
                "<p>Play a clip, and say what it is; a list with the labels put right can then be downloaded. A "
                "video is "
                "the higher up, the less its class was believed by classifiers that had not seen it.</p>"
                + clip_cards(cards, page, fixes.numbers()),
            ),
            section(
                "Labels against confident predictions",
                table(("labelled", "likely", "videos"), rows) if rows else "<p>None differ.</p>",
            ),
            section("Review", settings(facts)),
        )
    )
    title = f"Review of the labels of {run.name}"
    return render_page(
        title,
        f"By {review.folds}-fold cross-validation on features of the run.",
        figures,
        body,
        players() + fixes.html(),
    )


def _caption(number: int, doubt: Doubt) -> str:
    sure = "wrong" if doubt.is_counted else "soft"
    return (
        f'{number}. labelled <b class="{sure}">{text(doubt.label)}</b> {doubt.self_confidence:.1%}<br>'
        f"perhaps <b>{text(doubt.suggested)}</b><br>{text(Path(doubt.video).name)} ({text(doubt.part)})"
    )
