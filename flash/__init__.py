# SPDX-License-Identifier: Apache-2.0
"""Flash: a video classifier without a training script, on top of ``pytorchvideo``.

>>> import flash
>>> from flash.video import VideoClassificationData, VideoClassifier

    datamodule = VideoClassificationData.from_folders(train_folder="videos/train", val_folder="videos/val")
    model = VideoClassifier(num_classes=datamodule.num_classes, labels=datamodule.labels)
    flash.Trainer(max_epochs=5).finetune(model, datamodule=datamodule, strategy="freeze")

The names are imported on use: ``import flash`` itself costs nothing.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "DataKeys": "flash.core.data.io.input",
    "DataModule": "flash.core.data.data_module",
    "InputTransform": "flash.core.data.io.input_transform",
    "Output": "flash.core.data.io.output",
    "RunningStage": "flash.core.utilities.stages",
    "Serializer": "flash.core.data.process",
    "Task": "flash.core.model",
    "Trainer": "flash.core.trainer",
}
# classes of Flash that have no counterpart, and what does their job
_GONE = {
    "DataSource": "the from_... constructors of VideoClassificationData",
    "FlashCallback": "pytorch_lightning.Callback",
    "FlashDataset": "VideoClassificationData.from_datasets",
    "FlashIterableDataset": "VideoClassificationData.from_datasets",
    "Input": "the from_... constructors of VideoClassificationData, or from_datasets",
    "OutputTransform": "flash.Output, for Trainer.predict(output=...)",
    "Postprocess": "flash.Output, for Trainer.predict(output=...)",
    "Preprocess": "flash.InputTransform",
}
_SUBPACKAGES = ("core", "data", "video")

__all__ = [
    "DataKeys",
    "DataModule",
    "InputTransform",
    "Output",
    "RunningStage",
    "Serializer",
    "Task",
    "Trainer",
    "core",
    "data",
    "video",
]


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return import_module(f"flash.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    advice = f". Use {_GONE[name]} instead." if name in _GONE else ""
    raise AttributeError(f"module 'flash' has no attribute {name!r}{advice}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
