# SPDX-License-Identifier: Apache-2.0
"""Files are complete or not there, whatever happens while they are written."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pytorchvideo import _files
from pytorchvideo._files import check_writable, whole_file, write_whole


def test_text_bytes_and_folders(tmp_path: Path) -> None:
    file = write_whole(tmp_path / "new" / "a.txt", "ä\udcff")
    assert file.read_bytes() == b"\xc3\xa4\xff"
    assert write_whole(file, b"\0").read_bytes() == b"\0"
    assert os.listdir(file.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_error_keeps_the_old_file(tmp_path: Path, error: BaseException) -> None:
    file = write_whole(tmp_path / "a.txt", "old")
    with pytest.raises(type(error)), whole_file(file) as part:  # noqa: PT012
        part.write_text("new")
        raise error
    assert file.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_whole(tmp_path / "a.txt", "old")
    sentence = rf"The disk of {tmp_path} is full; a.txt was not written"
    with pytest.raises(OSError, match=sentence), whole_file(file) as part:  # noqa: PT012
        part.write_text("n")
        raise OSError(errno.ENOSPC, "No space left on device")
    usage = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(_files.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match=sentence), whole_file(file) as part:  # noqa: PT012
        part.write_text("n")
        raise RuntimeError("PytorchStreamWriter failed writing file")
    assert file.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_the_error_of_a_real_full_device(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="is full"), whole_file(tmp_path / "a") as part:  # noqa: PT012
        part.symlink_to("/dev/full")
        part.write_bytes(b"1")
    assert os.listdir(tmp_path) == []


def test_two_writers_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    texts = [str(number) * 100_000 for number in range(8)]
    threads = [threading.Thread(target=write_whole, args=(file, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.read_text() in texts and os.listdir(tmp_path) == ["a.txt"]


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    file = write_whole(tmp_path / "a.txt", "old")
    code = (
        "import sys, time\nfrom pytorchvideo._files import whole_file\n"
        f"with whole_file({str(file)!r}) as part:\n"
        "    part.write_text('half'); print('writing', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGKILL)
    assert file.read_text() == "old"


def test_what_can_be_written(tmp_path: Path) -> None:
    file = write_whole(tmp_path / "a.txt", "old")
    check_writable(file)
    check_writable(tmp_path / "new" / "b.txt")
    assert file.read_text() == "old" and os.listdir(tmp_path / "new") == []
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        check_writable(tmp_path)
    with pytest.raises(FileExistsError, match="File exists"):
        check_writable(file / "below")
