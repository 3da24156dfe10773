# SPDX-License-Identifier: Apache-2.0
"""Hub entry points from a builder and the address of a checkpoint."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytorchvideo.models._registry import get_weights
from pytorchvideo.models._weights.weights import fetch, load_checkpoint

# Where the published weights are; the data sets are folders in it.
MODEL_ZOO_ROOT_DIR = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo"


def checkpoint_addresses(*names: str) -> dict[str, str]:
    """Returns the addresses of published weights by the names of their models."""
    return {name: str(get_weights(name).url) for name in names}


def hub_model_builder(
    model_builder_func: Callable[..., nn.Module],
    pretrained: bool = False,
    progress: bool = True,
    checkpoint_path: str = "",
    default_config: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> nn.Module:
    """Builds a model from defaults and overrides, and loads a checkpoint on request.

    Args:
        model_builder_func: builds the model.
        pretrained: load the checkpoint, downloaded at first into ``$TORCH_HOME/hub/checkpoints``.
        progress: show a progress bar while downloading.
        checkpoint_path: its address.
        default_config: arguments of the builder.
        **kwargs: arguments that go before ``default_config``.
    """
    model = model_builder_func(**{**(default_config or {}), **kwargs})
    if pretrained:
        name = checkpoint_path.rpartition("/")[2]
        file = Path(torch.hub.get_dir()) / "checkpoints" / name
        load_checkpoint(model, fetch(checkpoint_path, file, progress=progress))
    return model
