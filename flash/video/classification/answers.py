# SPDX-License-Identifier: Apache-2.0
"""Inputs and outputs of ``VideoClassifier.predict``: files and clips to predictions."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from flash.core.data.io.input import INPUT_KEYS, first_of
from flash.core.data.io.output import Output, answers
from flash.video.sources.files import to_predict
from pytorchvideo._checks import expected
from pytorchvideo.inference.predictor import mean_scores


@torch.inference_mode()
def answer_clips(task: Any, batch: Tensor | Mapping[str, Any], output: str | Output) -> list[Any]:
    """One answer for each clip of a batch."""
    clips = batch if isinstance(batch, Tensor) else first_of(batch, INPUT_KEYS)
    if isinstance(clips, Tensor):
        if clips.ndim != 5:
            raise ValueError(expected("x", "clips (B, C, T, H, W)", tuple(clips.shape)))
        clips = clips.to(task.device)
    with _evaluating(task):
        logits = task(clips)
    task.check_logits(logits)
    rest = {} if isinstance(batch, Tensor) else {k: batch[k] for k in batch if k not in INPUT_KEYS}
    return answers({**rest, "preds": logits.cpu()}, task, output)


def answer_videos(
    task: Any, source: Any, output: str | Output, *, clips: int | str, views: int
) -> list[Any]:
    """One answer for each video, from the mean of the probabilities of its clips and views."""
    is_list = isinstance(source, (list, tuple)) and all(_is_path(path) for path in source)
    if not _is_path(source) and not is_list:
        wanted = "a video, a folder, a list of videos, or clips (B, C, T, H, W)"
        advice = "For other data call flash.Trainer().predict(model, datamodule=...)."
        raise TypeError(expected("x", wanted, type(source).__name__, advice))
    said = []
    with _evaluating(task):
        predictor = task.predictor()
        files = [file for file, _ in to_predict(source).items]
        found = predictor.predict_videos(files, clips=clips, views=views)
        for file, rows in zip(files, found, strict=True):
            if isinstance(rows, Exception):
                raise rows
            scores = mean_scores(rows)
            # an output makes the mean probabilities of these logits again
            logits = scores.logit() if task.multi_label else scores.log()
            said += answers({"video_path": [file], "preds": logits[None]}, task, output)
    return said


@contextmanager
def _evaluating(task: nn.Module) -> Iterator[None]:
    """Puts a task into eval mode, and every part back into its own mode afterwards."""
    modes = [(module, module.training) for module in task.modules()]
    task.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))
