# SPDX-License-Identifier: Apache-2.0
"""Lightning's loggers in a run: one log, however often the run goes on."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from flash.runs.config import RunConfig
from flash.runs.folder import RunFolder
from flash.runs.parts import read_parts

_PACKAGES = {"tensorboard": ("tensorboard", "tensorboardX"), "wandb": ("wandb",)}
_METRICS = "metrics.csv"


@dataclass(frozen=True)
class Done:
    """What a run has done before it goes on.

    Args:
        epochs: whole ones.
        steps: optimiser steps in them.
    """

    epochs: int = 0
    steps: int = 0

    @classmethod
    def of_checkpoint(cls, state: Mapping[str, Any]) -> "Done":
        """Returns what had been done when a checkpoint of Lightning was written at the end of an epoch."""
        return cls(int(state["epoch"]) + 1, int(state["global_step"]))


def check_logger(config: RunConfig) -> None:
    """Raises a ValueError if the package of a run's logger is not installed."""
    needed = _PACKAGES.get(config.logger or "", ())
    if needed and not any(map(find_spec, needed)):
        raise ValueError(
            f"--logger {config.logger} needs the package {needed[0]}, which is not installed. "
            f"Install it with pip install {needed[0]}, or use --logger csv."
        )


def make_logger(config: RunConfig, folder: RunFolder, done: Done = Done()) -> Logger | None:
    """Returns Lightning's logger of a run, which writes into its folder; None without one.

    Args:
        config: of the run.
        folder: of the run.
        done: what the log keeps of earlier parts; what came after, and is done again, is replaced.
    """
    if config.logger == "tensorboard":
        more: dict[str, Any] = {"purge_step": done.steps} if done.steps else {}
        return TensorBoardLogger(folder.path, name="logs", version=0, **more)
    if config.logger == "wandb":
        return WandbLogger(
            name=folder.path.name, project="pytorchvideo", save_dir=folder.path, id=_mark(folder)
        )
    return ContinuedCSVLogger(folder.path, done.epochs) if config.logger == "csv" else None


def _mark(folder: RunFolder) -> str | None:
    """What tells a run from others on a server, in all of its parts."""
    # of a run of an earlier version the first part is not recorded
    began = [part.began for part in read_parts(folder.parts_file) if part.began is not None]
    return sha256(began[0].encode()).hexdigest()[:16] if began else None


class ContinuedCSVLogger(CSVLogger):
    """Lightning's ``logs/version_0/metrics.csv``, which keeps the rows of earlier parts of a run.

    Args:
        folder: of the run.
        epochs: whose rows are kept.
    """

    def __init__(self, folder: Path, epochs: int) -> None:
        # each row is written at once: a kill takes none
        super().__init__(folder, name="logs", version=0, flush_logs_every_n_steps=1)
        self._epochs = epochs
        self._is_open = False

    @property
    def experiment(self) -> Any:
        """Lightning's writer of the file."""
        if not self._is_open:
            self._is_open = True
            file = Path(self.log_dir) / _METRICS
            rows = _rows_before(file, self._epochs)
            file.unlink(missing_ok=True)
            (file.parent / "hparams.yaml").unlink(missing_ok=True)  # which it writes, too
            writer: Any = super().experiment
            writer.metrics = rows
            writer.save()
        return super().experiment


def _rows_before(file: Path, epochs: int) -> list[dict[str, Any]]:
    """The rows of a log on the first epochs."""
    if not file.is_file() or not epochs:
        return []
    with file.open(newline="") as lines:
        rows = [
            {name: value for name, value in row.items() if name and value}
            for row in csv.DictReader(lines)
        ]
    return [row for row in rows if _epoch_of(row) < epochs]


def _epoch_of(row: Mapping[str, Any]) -> float:
    try:
        return float(row["epoch"])
    except (KeyError, TypeError, ValueError):  # a line that a kill has cut off
        return float("inf")
