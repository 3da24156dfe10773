# SPDX-License-Identifier: Apache-2.0
"""The Hub, where it takes no connection: a bounded wait, the cache, and one sentence."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytorchvideo.models._weights import hub_files

pytest.importorskip("huggingface_hub")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_files, "getproxies", dict)


@pytest.fixture
def address() -> Iterator[str]:
    """Of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_reachable(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub_files.is_reachable(address)
    assert not hub_files.is_reachable("http://127.0.0.1:1")
    assert not hub_files.is_reachable("no address")
    monkeypatch.setattr(hub_files, "getproxies", lambda: {"https": "http://proxy:3128"})
    assert hub_files.is_reachable("http://127.0.0.1:1")


def test_names_that_are_looked_up_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def look_up(*_: object) -> None:
        ended.wait(30)
        raise OSError("no such name")

    monkeypatch.setattr(socket, "create_connection", look_up)
    monkeypatch.setattr(hub_files, "PATIENCE_SEC", 0.05)
    assert not hub_files.is_reachable("https://huggingface.co")
    ended.set()


def test_without_the_hub_only_the_cache_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    import huggingface_hub.constants
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked: list[dict[str, Any]] = []

    def not_there(*_: object, **options: Any) -> str:
        asked.append(options)
        raise LocalEntryNotFoundError("outgoing traffic has been disabled")

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", not_there)
    with pytest.raises(
        ConnectionError,
        match=r"'me/mine' \(no connection within 3 s, and none of it in the cache\)",
    ):
        hub_files.download("me/mine", "config.json")
    # whoever asks for the cache alone gets its own sentence
    with pytest.raises(ConnectionError, match="outgoing traffic"):
        hub_files.download("me/mine", "config.json", local_files_only=True)
    assert asked == [{"local_files_only": True}] * 2


def test_with_the_hub_nothing_is_held_back(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **options: str(options))
    assert str(hub_files.download("me/mine", "config.json")) == "{}"
