# SPDX-License-Identifier: Apache-2.0
"""One process at a time writes to a folder or a file; a killed one leaves it open."""

import errno
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pytorchvideo import _locks
from pytorchvideo._files import write_whole
from pytorchvideo._locks import alone_at, alone_in

REPO = Path(__file__).resolve().parent.parent
_HOLDER = """
import os, sys, time
from pytorchvideo._locks import alone_in
with alone_in(sys.argv[1]):
    if "fork" in sys.argv and os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(60)
    if "fork" not in sys.argv:
        print(os.getpid(), flush=True)
    time.sleep(60)
"""


def holder(folder: Path, *how: str) -> tuple[subprocess.Popen[str], int]:
    """A process that is in a folder, and the one that has said so, its child perhaps."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _HOLDER, str(folder), *how],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPO)},
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def test_the_second_is_told_who_is_there_and_a_killed_one_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process, number = holder(folder)
    with process:
        sentence = f"{folder} is being written by process {number} on {socket.gethostname()}. Wait"
        with pytest.raises(BlockingIOError, match=re.escape(sentence)), alone_in(folder):
            pass
        process.send_signal(signal.SIGKILL)
    assert os.listdir(folder) == [".lock"]
    with alone_in(folder):
        assert os.listdir(folder) == [".lock"]
    assert os.listdir(folder) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_does_not_keep_what_its_killed_parent_had(tmp_path: Path) -> None:
    process, child = holder(tmp_path, "fork")
    with process:
        with (
            pytest.raises(BlockingIOError, match=f"by process {process.pid} on"),
            alone_in(tmp_path),
        ):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        try:
            with alone_in(tmp_path):  # as if the child, which is alive, were not there
                os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_file(tmp_path: Path) -> None:
    file = write_whole(tmp_path / "a.json", "old")
    with alone_at(file), alone_at(tmp_path / "new" / "b.json"):
        with (
            pytest.raises(BlockingIOError, match=r"a\.json is being written by process"),
            alone_at(file),
        ):
            pass
        assert file.read_text() == "old"
    assert os.listdir(tmp_path / "new") == []
    with pytest.raises(IsADirectoryError, match="Is a directory"), alone_at(tmp_path):
        pass


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_text("kept")
    with (
        pytest.raises(NotADirectoryError, match=r"Expected a folder, but .*model\.pt is a file"),
        alone_in(tmp_path / "model.pt"),
    ):
        pass
    assert (tmp_path / "model.pt").read_text() == "kept"


def test_folders_that_were_made_for_nothing_are_removed(tmp_path: Path) -> None:
    for content, left in (([], []), (["a.txt"], ["a.txt"])):
        with pytest.raises(ValueError, match="no"), alone_in(tmp_path / "x" / "y"):  # noqa: PT012
            for name in content:
                (tmp_path / "x" / "y" / name).touch()
            raise ValueError("no")
        assert [path.name for path in tmp_path.rglob("*.*")] == left
        assert (tmp_path / "x").exists() == bool(left)
    with alone_in(tmp_path / "z"):
        pass
    assert (tmp_path / "z").is_dir()


def test_a_lock_that_is_removed_while_another_opens_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both must not be in: the file that the second has opened is no longer the one in the folder."""
    lock, calls = _locks._lock, []

    def late(handle: int) -> None:
        if not calls:
            (tmp_path / ".lock").unlink()  # by the first, which is done
        calls.append(handle)
        lock(handle)

    monkeypatch.setattr(_locks, "_lock", late)
    with alone_in(tmp_path):
        assert len(calls) == 2
        with pytest.raises(BlockingIOError, match="is being written"), alone_in(tmp_path):
            pass


def test_a_disk_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(handle: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(_locks, "_lock", none)
    with alone_in(tmp_path), alone_in(tmp_path):
        pass
    assert f"The disk of {tmp_path} knows no locks. See that no other process" in caplog.text
    assert os.listdir(tmp_path) == []
