# SPDX-License-Identifier: Apache-2.0
"""The folder of a run, and the configuration with which it resumes."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flash.runs.config import PATHS, RunConfig, absolute
from pytorchvideo.inference.loading import is_saved_model, model_of_run


class RunFolder:
    """The files of a run.

    Args:
        path: its folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.json"
        self.split_file = self.path / "split.json"
        self.history_file = self.path / "history.json"
        self.parts_file = self.path / "parts.json"
        self.checkpoint = self.path / "checkpoints" / "last.ckpt"
        self.best_checkpoint = self.path / "checkpoints" / "best.ckpt"
        self.rates = self.path / "lr_find.png"
        self.features = self.path / "features"
        self.model = self.path / "model.pt"
        self.predictions = self.path / "predictions.json"
        self.skipped = self.path / "skipped.json"
        self.report = self.path / "report.html"

    def check_free(self) -> None:
        """Raises a FileExistsError if there is a run in the folder already."""
        if self.config_file.exists():
            raise FileExistsError(
                f"{self.path} holds a run already. Give --resume to go on with it, or another --out."
            )

    def read_config(self) -> RunConfig:
        """Returns the configuration of the run that is in the folder.

        Raises:
            FileNotFoundError: there is none.
            ValueError: the file is not that of a run.
        """
        if not self.config_file.is_file():
            raise FileNotFoundError(
                f"{self.path} holds no run: there is no {self.config_file.name} in it."
            )
        if not self.split_file.exists() and is_saved_model(self.path):
            raise ValueError(
                f"{self.path} holds a saved model and no run: expected the folder that `train` wrote."
            )
        return RunConfig.from_file(self.config_file)

    def model_file(self) -> Path:
        """Returns the file of the trained model; see ``pytorchvideo.inference.loading.model_of_run``."""
        return model_of_run(self.path)


#: What a run that goes on may have otherwise than when it began.
MAY_CHANGE = ("data", "val", "weights", "epochs", "workers", "device")


def resumed(folder: RunFolder, asked: Mapping[str, Any]) -> RunConfig:
    """Returns the configuration with which a run goes on.

    Args:
        folder: of the run.
        asked: fields of its configuration: ``data``, ``val``, and ``weights`` that are gone, where these are now;
            more ``epochs``; any number of ``workers``, any ``device``; all others only as they are.

    Raises:
        ValueError: something else was asked for than when the run began.
    """
    before = folder.read_config()
    changes: dict[str, Any] = {}
    for name, value in asked.items():
        known, got = getattr(before, name), absolute(value) if name in PATHS and value else value
        if known == got:
            continue
        if not _may_change(name, known, got):
            advice = "Leave the option out to go on with it, or choose another --out."
            if name == "epochs":
                advice = "More of them extend it; for fewer, choose another --out."
            raise ValueError(
                f"The run in {folder.path} was started with {name.replace('_', '-')}={known}, but got {got}. {advice}"
            )
        changes[name] = got
    return replace(before, **changes)


def _may_change(name: str, known: Any, got: Any) -> bool:
    if name == "epochs":
        return known is None or got > known
    if name == "val":
        return known is not None
    if name == "weights":  # of another machine
        return known is not None and not os.path.exists(known) and os.path.isfile(got)
    return name in MAY_CHANGE
