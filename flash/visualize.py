# SPDX-License-Identifier: Apache-2.0
"""Predictions in the tools that people look at videos with: FiftyOne and Label Studio."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flash.outputs import import_fiftyone
from pytorchvideo._checks import expected


def visualize(
    predictions: Sequence[Any],
    filepaths: Sequence[str | os.PathLike[str]] | None = None,
    label_field: str = "predictions",
    wait: bool = False,
    **options: Any,
) -> Any:
    """Opens the FiftyOne app on predictions, and returns its session.

    Args:
        predictions: what ``Trainer.predict(output="fiftyone")`` returns, or one list of such answers.
        filepaths: the file of each, where the answers do not say it.
        label_field: of the samples, for the labels.
        wait: return when the app is closed.
        options: of ``fiftyone.launch_app``.

    Raises:
        ImportError: fiftyone is not installed.
        ValueError: an answer without a file, or not one file for each.
    """
    fiftyone = import_fiftyone()
    answers = list(_flat(predictions))
    if filepaths is not None and len(filepaths) != len(answers):
        wanted = f"one for each of the {len(answers)} predictions"
        raise ValueError(expected("filepaths", wanted, len(filepaths)))
    samples = []
    for index, answer in enumerate(answers):
        known = answer if isinstance(answer, Mapping) else {"predictions": answer}
        path = known.get("filepath") if filepaths is None else filepaths[index]
        if path is None:
            raise ValueError(
                "Expected predictions with their files: give `filepaths`, or predict with output='fiftyone'."
            )
        sample = fiftyone.Sample(filepath=os.fspath(path))
        sample[label_field] = known["predictions"]
        samples.append(sample)
    dataset = fiftyone.Dataset()
    dataset.add_samples(samples)
    session = fiftyone.launch_app(dataset, **options)
    if wait:
        session.wait()
    return session


def launch_app(datamodule: Any) -> "App":
    """Returns what shows predictions of a datamodule's videos in Label Studio."""
    return App(datamodule)


class App:
    """Turns predictions into tasks that Label Studio imports.

    Args:
        datamodule: with the videos that were predicted.
    """

    def __init__(self, datamodule: Any) -> None:
        self.datamodule = datamodule

    def show_predictions(
        self,
        predictions: Sequence[Any],
        file: str | os.PathLike[str] | None = None,
        *,
        from_name: str = "choice",
        to_name: str = "video",
    ) -> list[dict[str, Any]]:
        """Returns a task with the predicted classes for each video.

        Args:
            predictions: what ``Trainer.predict(output="labels")`` or ``"classes"`` returns.
            file: json that the tasks are written to, for *Import* in Label Studio.
            from_name: name of the ``Choices`` of the labelling interface.
            to_name: name of its ``Video``, and of the task's data.

        Raises:
            ValueError: there is no data to predict, or not one prediction for each of its videos.
        """
        dataset = self.datamodule.predict_dataset
        if dataset is None:
            raise ValueError(f"{type(self.datamodule).__name__} has no data to predict.")
        videos = [path for path, _ in dataset.reader.videos]
        answers = list(_flat(predictions, keep_inner=self.datamodule.multi_label))
        if len(answers) != len(videos):
            advice = "Files that cannot be read have none: see `datamodule.skipped`."
            raise ValueError(
                expected(
                    "predictions", f"one for each of {len(videos)} videos", len(answers), advice
                )
            )
        tasks = [
            {
                "data": {to_name: path},
                "predictions": [
                    {
                        "result": [
                            {
                                "from_name": from_name,
                                "to_name": to_name,
                                "type": "choices",
                                "value": {"choices": self._names(answer)},
                            }
                        ]
                    }
                ],
            }
            for path, answer in zip(videos, answers, strict=True)
        ]
        if file is not None:
            Path(file).write_text(json.dumps(tasks, indent=1), encoding="utf-8")
        return tasks

    def _names(self, answer: Any) -> list[str]:
        labels = self.datamodule.labels
        given = answer if isinstance(answer, list) else [answer]
        return [labels[one] if isinstance(one, int) and labels else str(one) for one in given]


def _flat(predictions: Sequence[Any], keep_inner: bool = False) -> Iterator[Any]:
    """The answers of batches, or of one list; with ``keep_inner`` an answer is a list itself."""
    for batch in predictions:
        several = isinstance(batch, list)
        if several and keep_inner:
            several = bool(batch) and all(isinstance(answer, list) for answer in batch)
        yield from batch if several else (batch,)
