# SPDX-License-Identifier: Apache-2.0
"""The weights that a run starts from: cache, network, neither."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from flash.runs import start
from flash.runs.config import RunConfig
from flash.runs.sources import Sources
from flash.runs.start import choose_start, describe_start

OPEN = RunConfig("clips", pretrained=None)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("torch.hub._hub_dir", None)
    monkeypatch.delenv("PYTORCHVIDEO_OFFLINE")


def answering(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], Any]) -> None:
    monkeypatch.setattr(start, "urlopen", lambda *args, **how: answer())


def test_what_is_said_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, lambda: pytest.fail("the network was asked"))
    for given, wanted in (
        ({"pretrained": False}, False),
        ({"pretrained": True}, True),
        ({"weights": "a.pth"}, False),
        ({"model": "hf:some/model"}, True),
    ):
        asked = RunConfig("clips", **{"pretrained": None, **given})  # type: ignore[arg-type]
        chosen, why = choose_start(asked)
        assert (chosen.pretrained, why) == (wanted, "")


def test_weights_in_the_cache_are_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answering(monkeypatch, lambda: pytest.fail("the network was asked"))
    file = tmp_path / "home/hub/checkpoints/X3D_XS.pyth"
    file.parent.mkdir(parents=True)
    file.touch()
    assert choose_start(OPEN)[0].pretrained is True


def test_weights_of_the_network_are_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    from io import BytesIO

    asked: list[str] = []
    answering(monkeypatch, BytesIO)
    monkeypatch.setattr(start, "fetch", lambda url, file, sha256: asked.append(url))
    assert choose_start(OPEN) == (RunConfig("clips", pretrained=True), "")
    assert asked[0].endswith("X3D_XS.pyth")

    def breaks(url: str, file: Path, sha256: str) -> None:
        raise ConnectionError("Could not download it (reset).")

    monkeypatch.setattr(start, "fetch", breaks)
    assert choose_start(OPEN)[1] == "Could not download it (reset)"


def test_a_network_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> None:
        raise URLError("no route")

    answering(monkeypatch, refused)
    chosen, why = choose_start(OPEN)
    assert chosen.pretrained is False
    assert why.startswith("X3D_XS.pyth is not in the cache, and https://")
    assert why.endswith("X3D_XS.pyth cannot be reached (<urlopen error no route>)")
    monkeypatch.setattr(start, "_SECONDS", 0.1)

    def late() -> None:
        time.sleep(1)
        raise URLError("timed out")

    answering(monkeypatch, late)
    began = time.monotonic()
    assert choose_start(OPEN)[1].endswith("does not answer within 0.1 s")
    assert time.monotonic() - began < 0.9


def test_random_weights_where_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, lambda: pytest.fail("the network was asked"))
    monkeypatch.setenv("PYTORCHVIDEO_OFFLINE", "1")
    assert choose_start(OPEN)[1].endswith("is not in the cache, and PYTORCHVIDEO_OFFLINE is set")
    inception = RunConfig("clips", model="i3d_inception", pretrained=None)
    assert "no public address: name their file with --weights" in choose_start(inception)[1]


def test_random_weights_in_words() -> None:
    def said(each: int) -> str:
        train = [(str(n), label) for label in "abcd" for n in range(each)]
        return describe_start(RunConfig("clips"), "offline", Sources(list("abcd"), train, []))

    assert said(8).startswith("from random weights (offline): 32 videos of 4 classes are few")
    assert "near chance (25 %)" in said(8)
    assert "can teach simple motions" in said(50)
    assert "are enough" in said(500)
