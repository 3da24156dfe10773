# SPDX-License-Identifier: Apache-2.0
"""The weights that a run starts from, and what that means for its videos."""

import os
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

from flash.runs.config import RunConfig
from flash.runs.sources import Sources
from flash.video.sources.files import SEPARATORS
from pytorchvideo._text import counted
from pytorchvideo.models._registry import model_entry
from pytorchvideo.models._weights.rebuild import HUGGING_FACE
from pytorchvideo.models._weights.weights import fetch

#: Set, it keeps ``train`` from asking the network for weights that are not in the cache.
OFFLINE = "PYTORCHVIDEO_OFFLINE"

_SECONDS = 4.0  # to reach the address
_STALL = 10.0  # without a byte
_FEW, _SOME = 50, 500  # videos of a class


def choose_start(config: RunConfig) -> tuple[RunConfig, str]:
    """Decides whether a run starts from published weights, if that is left open.

    It does where they are in the cache, or can be downloaded: an address that does not answer within seconds, or stops
    to, is given up. Models of Hugging Face always start from theirs.

    Returns:
        The configuration with ``pretrained`` set, and why the weights are random if they are, else "".

    Raises:
        ValueError: there is no such model, or the file in the cache is not the published one.
    """
    if config.weights is not None or config.pretrained is not None:
        return replace(config, pretrained=bool(config.pretrained)), ""
    if config.model.startswith(HUGGING_FACE):
        return replace(config, pretrained=True), ""
    published = model_entry(config.model, "video classification").weights
    why = ""
    if not published.file.is_file():
        why = why_not_had(published.url, published.file, published.sha256)
    return replace(config, pretrained=not why), why


def why_not_had(url: str | None, file: Path, sha256: str | None) -> str:
    """Downloads a file of weights into the cache, and returns why that cannot be, or ""."""
    if url is None:
        return "the published ones have no public address: name their file with --weights"
    if os.environ.get(OFFLINE):
        return f"{file.name} is not in the cache, and {OFFLINE} is set"
    if reason := _why_unreachable(url):
        return f"{file.name} is not in the cache, and {url} {reason}"
    try:
        with _no_longer_than(_STALL):
            fetch(url, file, sha256)
    except ConnectionError as error:
        return str(error).rstrip(".")
    return ""


def _why_unreachable(url: str) -> str:
    """Why an address does not answer, "" if it does; asks in a thread, since looking up its name knows no limit."""
    answers: list[str] = []

    def ask() -> None:
        try:
            with urlopen(Request(url, method="HEAD"), timeout=_SECONDS):
                answers.append("")
        except (OSError, HTTPException) as error:
            answers.append(f"cannot be reached ({error})")

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    return answers[0] if answers else f"does not answer within {_SECONDS:g} s"


@contextmanager
def _no_longer_than(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def describe_start(config: RunConfig, why: str, sources: Sources) -> str:
    """Returns what a run starts from in words; of random weights also what that means for so many videos.

    >>> videos = Sources(["jump", "run"], [("1.mp4", "run"), ("2.mp4", "jump")], [])
    >>> describe_start(RunConfig("clips", weights="a.pth"), "", videos)
    'from the weights of a.pth'
    >>> describe_start(RunConfig("clips"), "", videos)
    'from random weights: 2 videos of 2 classes are few for that, and accuracy may stay near chance (50 %); ...
    """
    if config.weights is not None:
        return f"from the weights of {config.weights}"
    if config.pretrained:
        return f"from the published weights of {config.model}"
    train = sources.train
    classes = len(sources.counts(train)) or 1
    reason = f" ({why})" if why else ""
    each = len(train) / classes
    known = f"{counted(len(train), 'video')} of {counted(classes, 'class')}"
    if each < _FEW:
        chance = "chance" if config.multi_label else f"chance ({100 / classes:.0f} %)"
        means = (
            f"{known} are few for that, and accuracy may stay near {chance}; published weights "
            "(--pretrained, --weights FILE) need far fewer."
        )
    elif each < _SOME:
        means = f"{known} can teach simple motions in many epochs; published weights need fewer of both."
    else:
        means = f"{known} are enough for that, in many epochs; published weights need fewer."
    return f"from random weights{reason}: {means}"


def doubtful_name(labels: Sequence[str]) -> str | None:
    """Returns a class name that may be meant as several labels: one of its parts is a class of its own.

    >>> doubtful_name(["run", "run|jump"])
    'run|jump'
    """
    signs = f"[{re.escape(''.join(SEPARATORS))}]"
    parts = {name: [part.strip() for part in re.split(signs, name)] for name in labels}
    known = set(labels)
    return next((n for n, some in parts.items() if len(some) > 1 and known & set(some)), None)
