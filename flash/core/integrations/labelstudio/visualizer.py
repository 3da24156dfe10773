# SPDX-License-Identifier: Apache-2.0
"""Predictions as tasks of Label Studio."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flash.core.data.io.output import flat_answers
from pytorchvideo._checks import expected
from pytorchvideo._text import counted

__all__ = ["App", "launch_app"]


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
        answers = list(flat_answers(predictions, keep_inner=self.datamodule.multi_label))
        if len(answers) != len(videos):
            advice = "Files that cannot be read have none: see `datamodule.skipped`."
            raise ValueError(
                expected(
                    "predictions",
                    f"one for each of {counted(len(videos), 'video')}",
                    len(answers),
                    advice,
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
