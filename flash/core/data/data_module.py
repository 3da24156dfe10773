# SPDX-License-Identifier: Apache-2.0
"""The data module: a loader for each stage, and transform hooks on the device."""

import os
from collections.abc import Iterator, Mapping, Sized
from typing import TYPE_CHECKING, Any, cast

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler

from flash.core.data.batch_preview import show_batch
from flash.core.data.io.hooks import TransformHooks
from flash.core.distributed import share_among_ranks
from pytorchvideo._checks import check_choice, expected
from pytorchvideo._processes import ending_with_parent
from pytorchvideo.data._reading.samplers import sampler_of
from pytorchvideo.data.clip_loader import ShardedSampler

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STAGES = ("train", "val", "test", "predict")


class _Loader(DataLoader[Any]):
    """A loader whose workers end with a training that is killed."""

    def __iter__(self) -> Any:
        with ending_with_parent(self):
            return super().__iter__()


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
        sampler: of the training samples of a map-style dataset: a class, which gets the dataset, an instance, or
            ``partial(WeightedRandomSampler, weights, num_samples)``.
            By default they are shuffled. An iterable dataset has its own order.
        num_classes: number of classes, None where nothing is labelled.
        labels: class names in the order of their numbers.
        multi_label: whether a sample may have several classes.

    ``train_dataset``, ``val_dataset``, ``test_dataset`` and ``predict_dataset`` are the datasets, None without data.
    """

    def __init__(
        self,
        datasets: Mapping[str, Dataset[Any]],
        transforms: Mapping[str, TransformHooks] | None = None,
        *,
        batch_size: int = 4,
        num_workers: int | None = 0,
        pin_memory: bool | None = None,
        persistent_workers: bool = False,
        sampler: Any = None,
        num_classes: int | None = None,
        labels: list[str] | None = None,
        multi_label: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(expected("batch_size", "a whole number >= 1", batch_size))
        if num_workers is not None and (not isinstance(num_workers, int) or num_workers < 0):
            raise ValueError(
                expected("num_workers", "a whole number >= 0, or None for one a core", num_workers)
            )
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
        self.multi_label = multi_label
        self._sampler = sampler
        self._shown: dict[str, Iterator[Any]] = {}

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

    def show_train_batch(self, hooks: Any = None, reset: bool = True) -> "Figure":
        """Returns a figure of a training batch; see ``flash.core.data.batch_preview.show_batch``.

        Args:
            hooks: up to which of the hooks: ``"per_batch_transform"`` is what the loader gives, and
                ``"per_batch_transform_on_device"``, or None, what the model gets.
            reset: whether to begin a new pass through the data instead of showing its next batch.

        Raises:
            ValueError: for another hook, or if there is no such data.
        """
        return self._show("train", hooks, reset)

    def show_val_batch(self, hooks: Any = None, reset: bool = True) -> "Figure":
        """Returns a figure of a validation batch; see :meth:`show_train_batch`."""
        return self._show("val", hooks, reset)

    def show_test_batch(self, hooks: Any = None, reset: bool = True) -> "Figure":
        """Returns a figure of a test batch; see :meth:`show_train_batch`."""
        return self._show("test", hooks, reset)

    def show_predict_batch(self, hooks: Any = None, reset: bool = True) -> "Figure":
        """Returns a figure of a batch to predict; see :meth:`show_train_batch`."""
        return self._show("predict", hooks, reset)

    def _show(self, stage: str, hooks: Any, reset: bool) -> "Figure":
        (hook,) = hooks if isinstance(hooks, (list, tuple)) and len(hooks) == 1 else (hooks,)
        places = ("per_batch_transform", "per_batch_transform_on_device")
        if hook is not None and hook not in places:
            raise ValueError(expected("hooks", f"one of {', '.join(places)}, or None", hooks))
        if reset or stage not in self._shown:
            self._shown[stage] = iter(self._required_loader(stage))
        batch = next(self._shown[stage], None)
        if batch is None:
            del self._shown[stage]
            raise ValueError(f"There is no further batch of {stage} data to show.")
        if hook != "per_batch_transform":
            batch = self.transforms[stage].on_device(batch)
        return show_batch(batch, self.labels)

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
        if isinstance(dataset, Sized) and not len(dataset):
            raise ValueError(f"Expected the {stage} data to have samples, but it has none.")
        return self._loader(stage, dataset)

    def _loader(self, stage: str, dataset: Dataset[Any]) -> Any:
        epoch = 0 if self.trainer is None else self.trainer.current_epoch
        makes_batches = getattr(dataset, "count_batches", None) is not None
        if makes_batches:
            cast(Any, dataset).set_epoch(epoch)
        loader = _Loader(
            dataset,
            batch_size=None if makes_batches else self.batch_size,
            sampler=self._order(dataset) if stage == "train" else None,
            num_workers=self.num_workers,
            collate_fn=self.transforms[stage].collate,
            pin_memory=self.pin_memory,
            # copies in workers that stay would not learn the epoch
            persistent_workers=self.persistent_workers and not makes_batches,
        )
        return share_among_ranks(loader, train=stage == "train", epoch=epoch)

    def _order(self, dataset: Dataset[Any]) -> Any:
        if isinstance(dataset, IterableDataset):
            if self._sampler is not None:
                wanted = "None for an iterable dataset, which has its own order"
                raise TypeError(expected("sampler", wanted, self._sampler))
            return None
        if self._sampler is None and hasattr(dataset, "set_epoch"):
            # Lightning tells it the epoch, and it tells the dataset, whose random clips depend on it
            seed = int(os.environ.get("PL_GLOBAL_SEED", 0))
            return ShardedSampler(cast(Sized, dataset), seed=seed, equal="pad")
        sampler: Any = RandomSampler if self._sampler is None else self._sampler
        return sampler_of(sampler, dataset)
