# SPDX-License-Identifier: Apache-2.0
"""PyTorchVideo: components for video understanding on today's PyTorch.

The subpackages are imported on use, so that ``import pytorchvideo`` costs nothing:

* :mod:`pytorchvideo.data` reads videos and cuts them into clips,
* :mod:`pytorchvideo.transforms` turns clips into model inputs,
* :mod:`pytorchvideo.layers`, :mod:`pytorchvideo.models` and :mod:`pytorchvideo.losses` are the networks,
* :mod:`pytorchvideo.models.hub` has the models with published weights.

The task layer on top is the package :mod:`flash`.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

try:
    __version__ = version("pytorchvideo")
except PackageNotFoundError:  # a checkout on the path, as torch.hub uses it
    __version__ = "1.0.0.dev0"

_SUBPACKAGES = ("data", "layers", "losses", "models", "transforms")

__all__ = ["__version__", *_SUBPACKAGES]


def __getattr__(name: str) -> ModuleType:
    if name in _SUBPACKAGES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
