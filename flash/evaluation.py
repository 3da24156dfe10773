# SPDX-License-Identifier: Apache-2.0
"""Predictions for labelled videos, and how they are kept."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from flash.progress import Meter, progress_bar
from flash.report import Report, write_report
from flash.scores import ClipResult, accuracy, class_scores
from flash.sources import Labelled, Skipped, read_labelled
from flash.video.predict import VideoPredictor
from pytorchvideo._checks import expected
from pytorchvideo.data._decode import VideoError
from pytorchvideo.models._registry import create_model, model_entry


def evaluate_videos(
    predictor: VideoPredictor,
    videos: Sequence[Labelled],
    *,
    clips: int = 4,
    views: int = 1,
    console: Console,
    title: str = "evaluate",
) -> tuple[list[ClipResult], list[Skipped]]:
    """Predicts labelled videos.

    Args:
        predictor: names the classes.
        videos: ``(path, class name)``; the names are among the predictor's labels.
        clips: clips of each video, spread evenly.
        views: 1 or 3 crops of each clip.
        console: shows the progress.
        title: in front of the bar.

    Returns:
        The results in the order of ``videos``, and ``(path, reason)`` of those that cannot be read.
    """
    results: list[ClipResult] = []
    skipped: list[Skipped] = []
    labels = tuple(predictor.labels)
    meter = Meter()
    with meter.watching(predictor.model), progress_bar(console) as bar:
        task = bar.add_task(title, total=len(videos), meter=meter, note="")
        for path, label in videos:
            try:
                named = predictor.predict(path, clips=clips, views=views, top_k=len(labels))
            except (VideoError, OSError) as error:
                skipped.append((path, str(error)))
            else:
                scores = dict(named)
                results.append(
                    ClipResult(path, label, tuple(scores[name] for name in labels), labels)
                )
            bar.advance(task)
    return results, skipped


def write_json(path: Path, content: Any) -> None:
    """Writes a json file that is complete or not there."""
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)


def write_predictions(path: Path, results: Sequence[ClipResult]) -> None:
    """Writes ``[{"video", "label", "predicted", "scores": {class: score}}]``."""
    write_json(
        path,
        [
            {
                "video": result.video,
                "label": result.label,
                "predicted": result.predicted,
                "scores": dict(zip(result.labels, result.scores, strict=True)),
            }
            for result in results
        ],
    )


@dataclass(frozen=True)
class Evaluation:
    """What a model does on labelled videos.

    Args:
        labels: class names of the model.
        results: a prediction for every video that could be read.
        skipped: ``(path, reason)`` of the others.
    """

    labels: Sequence[str]
    results: Sequence[ClipResult]
    skipped: Sequence[Skipped]

    def accuracy(self, top: int = 1) -> float:
        """Share of the videos whose class is among the ``top`` first."""
        return accuracy(self.results, top)

    def to_dict(self, top: int = 5) -> dict[str, Any]:
        """Returns the figures as plain types."""
        classes = class_scores(self.results, self.labels)
        return {
            "accuracy": self.accuracy(),
            f"top{top}_accuracy": self.accuracy(top),
            "videos": len(self.results),
            "classes": [vars(row) for row in classes if row.count],
            "skipped": [{"video": path, "reason": reason} for path, reason in self.skipped],
        }


def evaluate_data(
    data: str,
    *,
    run: Path | None = None,
    model: str | None = None,
    weights: Path | None = None,
    labels: Path | None = None,
    clips: int = 4,
    views: int = 1,
    out: Path | None = None,
    console: Console,
) -> Evaluation:
    """Predicts the labelled videos of DATA with a trained model; see :func:`load_predictor` for which.

    Args:
        data: a folder per class, its held-out part if it is split, or a list file.
        run, model, weights, labels: the model.
        clips: clips of each video.
        views: crops of each clip.
        out: folder for ``predictions.json`` and ``report.html``; None writes neither.
        console: shows the progress.
    """
    from flash.doctor import environment

    predictor = load_predictor(run=run, model=model, weights=weights, labels=labels)
    files = read_labelled(data, predictor.labels)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    videos = [(path, predictor.labels[info["label"]]) for path, info in files.items]
    results, skipped = evaluate_videos(predictor, videos, clips=clips, views=views, console=console)
    if not results:
        raise VideoError(
            f"None of the {len(videos)} videos of {data} can be read; the first: {skipped[0][1]}"
        )
    found = Evaluation(predictor.labels, results, skipped)
    if out is not None:
        write_predictions(out / "predictions.json", results)
        source = run or weights or "published weights"
        asked = {"data": data, "model": source, "clips": clips, "views": views}
        report = Report(
            title=f"Evaluation on {Path(data).name}",
            subtitle=f"{model or 'The model'} of {source}.",
            labels=[label for label in predictor.labels if any(r.label == label for r in results)]
            if len(predictor.labels) > 100
            else predictor.labels,
            results=results,
            skipped=skipped,
            config=asked,
            environment=environment(),
        )
        write_report(report, out / "report.html")
    return found


def load_predictor(
    *,
    run: Path | None = None,
    model: str | None = None,
    weights: Path | None = None,
    labels: Path | None = None,
) -> VideoPredictor:
    """Returns the predictor of a finished run, of a model file, or of a model of the zoo.

    Args:
        run: folder of a run.
        model: name of the zoo.
        weights: its weights, or a model file that a run wrote, which needs no ``model``; None takes the
            published weights.
        labels: file of class names for weights whose classes are not the published ones.

    Raises:
        ValueError: neither or both of ``run`` and ``model``, an unknown model, or weights or labels that do not
            fit it.
        FileNotFoundError: a file is not there, or the run is not finished.
        ConnectionError: the published weights could not be downloaded.
    """
    import torch

    from flash.runs import RunFolder

    if run is not None and (model is not None or weights is not None or labels is not None):
        raise ValueError("Expected either --run, or --model with its --weights, but got both.")
    if run is not None:
        predictor = VideoPredictor.from_file(RunFolder(run).model_file())
    elif weights is not None and model is None:
        predictor = VideoPredictor.from_file(weights)
    elif model is None:
        raise ValueError(
            "Expected the folder of a run (--run DIR) or a model of the zoo (--model NAME)."
        )
    else:
        entry = model_entry(model, "video classification")
        published = entry.weights
        names = list(published.labels) if labels is None else read_names(labels)
        if weights is not None and not weights.is_file():
            raise FileNotFoundError(f"There is no file of weights {weights}.")
        network = create_model(
            model,
            pretrained=weights is None,
            weights=weights,
            num_classes=len(names),
            **entry.logits_arguments,
        )
        predictor = VideoPredictor(network, published.recipe, names)
    predictor.model.to(memory_format=torch.channels_last_3d)
    return predictor


def read_names(file: Path) -> list[str]:
    """Reads class names in the order of their numbers.

    Args:
        file: a name a line; or json: a list, ``{name: number}`` or ``{number: name}``. Quotes around names, which
            the published Kinetics json has, are taken off.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no names.
    """
    if not file.is_file():
        raise FileNotFoundError(f"There is no file of class names {file}.")
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".json":
        names = [line.strip() for line in text.splitlines() if line.strip()]
    else:
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"{file} is no json: {error}.") from error
        if isinstance(content, dict):
            by_number = {
                int(key if isinstance(value, str) else value): value
                if isinstance(value, str)
                else key
                for key, value in content.items()
            }
            content = [by_number[number] for number in sorted(by_number)]
        names = [str(name).strip('"') for name in content]
    if not names:
        raise ValueError(expected("labels", "a file with a class name a line", str(file)))
    return names
