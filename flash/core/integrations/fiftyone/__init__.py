# SPDX-License-Identifier: Apache-2.0
"""Predictions in the FiftyOne app."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from flash.core.data.io.output import flat_answers, import_fiftyone
from pytorchvideo._checks import expected
from pytorchvideo._text import counted

__all__ = ["visualize"]


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
    answers = list(flat_answers(predictions))
    if filepaths is not None and len(filepaths) != len(answers):
        wanted = f"one for each of the {counted(len(answers), 'prediction')}"
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
