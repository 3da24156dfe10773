# SPDX-License-Identifier: Apache-2.0
"""Published weights: address, hash, clip recipe, labels and scores."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload
from urllib.error import URLError

import torch
from torch import nn

from pytorchvideo._files import sha256_of
from pytorchvideo.models._weights.checkpoint import load_checkpoint, read_checkpoint
from pytorchvideo.models._weights.protocols import PROTOCOLS, ProtocolViews
from pytorchvideo.transforms.clip_recipe import ClipRecipe, Views

if TYPE_CHECKING:
    from torchvision import transforms as T

__all__ = ["Weights", "fetch", "load_checkpoint", "read_checkpoint"]


@dataclass(frozen=True)
class Weights:
    """One file of published weights.

    Args:
        name: the model that they belong to.
        url: where the file is, or None where no public address is known.
        sha256: its hash in hexadecimal, or None where it is not known.
        recipe: the clips that the model expects.
        labels: class names in the order of the scores.
        metrics: published scores by name, e.g. ``{"top1": 74.58}``, in percent.
        protocol: how they were measured.
        gflops: multiply-adds of one view, in 10^9.
        num_parameters: of the model, with its classifier.
        licence: of the weights.
        source: who published them, where.
        file_name: name under which the file is kept; None takes it from the address.
    """

    name: str
    url: str | None
    sha256: str | None
    recipe: ClipRecipe
    labels: tuple[str, ...]
    metrics: Mapping[str, float]
    protocol: str
    gflops: float
    num_parameters: int
    licence: str
    source: str
    file_name: str | None = None

    @property
    def file(self) -> Path:
        """The path of the file, in ``$TORCH_HOME/hub/checkpoints`` as for every PyTorch model."""
        name = f"{self.name}.pth" if self.url is None else self.url.rpartition("/")[2]
        name = self.file_name or name
        return Path(torch.hub.get_dir()) / "checkpoints" / name

    def transforms(self, train: bool = False, key: str | None = None) -> "T.Compose":
        """Returns the transform of the recipe; see :meth:`ClipRecipe.transforms`."""
        return self.recipe.transforms(train=train, key=key)

    @overload
    def views(  # type: ignore[overload-overlap]
        self, protocol: Literal["official"], key: str = "video"
    ) -> ProtocolViews: ...
    @overload
    def views(self, protocol: str | None = None, key: str = "video") -> Views: ...
    def views(self, protocol: str | None = None, key: str = "video") -> Views | ProtocolViews:
        """Returns the views of a protocol, by default as many as the published scores are of.

        See :meth:`ClipRecipe.views`. These are for a dataset, whose clips are spread evenly over the seconds of a
        video. ``"official"`` are the very frames, crops and channels of the published scores, for
        :func:`pytorchvideo.evaluation.score_videos`.

        Raises:
            ValueError: the number of views was not published.
        """
        if protocol == "official":
            if self.name not in PROTOCOLS:
                raise ValueError(
                    f"The clips and crops that the scores of {self.name} are of are not known ({self.protocol}). "
                    'Name a number of views, e.g. views("10x3").'
                )
            return ProtocolViews(PROTOCOLS[self.name], self.recipe)
        if protocol is None:
            found = re.search(r"(\d+) clips? x (\d+) crops?", self.protocol)
            if found is None:
                raise ValueError(
                    f"The scores of {self.name} do not say how many views they are of "
                    f'({self.protocol}). Name them, e.g. views("10x3").'
                )
            protocol = f"{found[1]}x{found[2]}"
        return self.recipe.views(protocol, key=key)

    def load_into(self, model: nn.Module, progress: bool = True) -> None:
        """Loads the weights into a model, downloading them at first; see :func:`load_checkpoint`."""
        load_checkpoint(model, fetch(self.url, self.file, self.sha256, progress))

    def __repr__(self) -> str:
        parts = [f"{k}={v}" for k, v in self.metrics.items()]
        return f"Weights({', '.join([self.name, *parts, f'file={self.file.name}'])})"


def fetch(url: str | None, file: Path, sha256: str | None = None, progress: bool = True) -> Path:
    """Returns a file of weights, downloaded unless it is there already, and verified.

    Args:
        url: where it is published; None where it must be put in place by hand.
        file: where it is kept.
        sha256: its hash in hexadecimal; None leaves the file unverified.
        progress: show a progress bar.

    Raises:
        ConnectionError: the download failed.
        FileNotFoundError: the file is not there, and no address is known.
        ValueError: the file is not the published one.
    """
    if not file.is_file():
        if url is None:
            raise FileNotFoundError(
                f"There is no public address for these weights. Put the file at {file}, or give its path "
                "with weights=."
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(file), progress=progress)
        except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
            raise ConnectionError(
                f"Could not download {url} ({error}). Where this machine is offline, download it elsewhere "
                f"and put it at {file}."
            ) from error
    if sha256 is not None and sha256_of(file) != sha256:
        raise ValueError(
            f"{file} is not the published file: its SHA-256 is not {sha256}. Delete it to download it again."
        )
    return file
