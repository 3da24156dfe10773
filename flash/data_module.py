# SPDX-License-Identifier: Apache-2.0
"""Loaders of the stages, and the transform hooks that run on the device."""

import os
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from flash.data.hooks import TransformHooks
from pytorchvideo._checks import check_choice, expected

STAGES = ("train", "val", "test", "predict")


class DataModule(pl.LightningDataModule):
    """The data of a task, stage by stage.

    Args:
        datasets: a dataset for each stage that has data, by its name.
        transforms: the hooks of each stage; a dataset applies the hooks for samples itself.
        batch_size: samples in a batch. The last batch of a pass may be smaller, so that a small set gives
            a batch too.
        num_workers: processes that read and decode; None is one for each core.
        pin_memory: None where there is a GPU.
        persistent_workers: keep the workers from one pass to the next.
        num_classes: number of classes, None where nothing is labelled.
        labels: class names in the order of their numbers.

    Attributes:
        train_dataset, val_dataset, test_dataset, predict_dataset: the datasets, None without data.
    """

    multi_label = False

    def __init__(
        self,
        datasets: Mapping[str, Dataset[Any]],
        transforms: Mapping[str, TransformHooks] | None = None,
        *,
        batch_size: int = 4,
        num_workers: int | None = 0,
        pin_memory: bool | None = None,
        persistent_workers: bool = False,
        num_classes: int | None = None,
        labels: list[str] | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(expected("batch_size", ">= 1", batch_size))
        if num_workers is not None and num_workers < 0:
            raise ValueError(expected("num_workers", ">= 0, or None for one a core", num_workers))
        for stage in datasets:
            check_choice("stage", stage, STAGES)
        self.train_dataset = datasets.get("train")
        self.val_dataset = datasets.get("val")
        self.test_dataset = datasets.get("test")
        self.predict_dataset = datasets.get("predict")
        self.transforms = {stage: TransformHooks() for stage in STAGES} | dict(transforms or {})
        self.batch_size = batch_size
        self.num_workers = (os.cpu_count() or 1) if num_workers is None else num_workers
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        self.persistent_workers = persistent_workers and self.num_workers > 0
        self.num_classes = num_classes
        self.labels = labels

    def train_dataloader(self) -> DataLoader[Any]:
        """The training batches.

        Raises:
            ValueError: if there is no training data; likewise the other loaders for theirs.
        """
        return self._required_loader("train")

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """The validation batches; training without validation data gets an empty list."""
        if self.val_dataset is None and self.trainer is not None and self.trainer.state.fn == "fit":
            return []
        return self._required_loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """The test batches."""
        return self._required_loader("test")

    def predict_dataloader(self) -> DataLoader[Any]:
        """The batches to predict, in the order in which their files were given."""
        return self._required_loader("predict")

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Runs the hooks of the current stage that belong on the device."""
        return self.transforms[self._stage()].on_device(batch)

    def _stage(self) -> str:
        trainer = self.trainer
        if trainer is None or trainer.training:
            return "train"
        if trainer.sanity_checking or trainer.validating:
            return "val"
        return "test" if trainer.testing else "predict"

    def _required_loader(self, stage: str) -> DataLoader[Any]:
        dataset = getattr(self, f"{stage}_dataset")
        if dataset is None:
            raise ValueError(
                f"{type(self).__name__} has no {stage} data. Make it with {stage}_folder=..., or {stage}_files=..."
            )
        return self._loader(stage, dataset)

    def _loader(self, stage: str, dataset: Dataset[Any]) -> DataLoader[Any]:
        return DataLoader(
            dataset,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            collate_fn=self.transforms[stage].collate,
            pin_memory=self.pin_memory,
            persistent_workers=self.persistent_workers,
        )
