# SPDX-License-Identifier: Apache-2.0
"""Files are complete or not there, whatever happens while they are written."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from pytorchvideo import _files
from pytorchvideo._files import append, check_writable, remove_unfinished, whole_file, write_whole


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
    # on the same disk
    for error in (ValueError("no"), RuntimeError("shapes do not match")):
        with pytest.raises(type(error), match=str(error)), whole_file(file):
            raise error
    assert file.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


@contextlib.contextmanager
def small_files() -> Iterator[None]:
    """Files of at most 100,000 bytes, as ``ulimit -f`` has it; see setrlimit(2)."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def test_a_limit_of_sizes_names_the_file(tmp_path: Path) -> None:
    file = write_whole(tmp_path / "a.txt", "old")
    with small_files(), pytest.raises(OSError, match="File too large"):
        write_whole(file, bytes(400_000))
    with (
        small_files(),
        pytest.raises(OSError, match="File too large") as caught,
        whole_file(file) as part,
    ):
        save_file({"a": torch.zeros(100_000)}, part)
    assert caught.value.filename == str(file)
    assert file.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_what_is_added(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    append(file, "ä\n")
    append(file, "b\n")
    assert file.read_bytes() == "ä\nb\n".encode()
    with small_files(), pytest.raises(OSError, match="File too large") as caught:
        append(file, "c" * 400_000)
    assert caught.value.filename == str(file)
    assert file.read_bytes() == "ä\nb\n".encode()
    if Path("/dev/full").exists():
        (tmp_path / "full").symlink_to("/dev/full")
        with pytest.raises(OSError, match=rf"The disk of {tmp_path} is full; full was not written"):
            append(tmp_path / "full", "a")


def with_torch(path: Path) -> None:
    with path.open("wb") as file:
        torch.save(torch.zeros(100_000), file)


def with_pillow(path: Path) -> None:
    Image.effect_noise((300, 300), 9).save(path, "png")


def with_python(path: Path) -> None:
    path.write_bytes(b"1")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("write", [with_torch, with_pillow, with_python])
def test_the_error_of_a_real_full_device(tmp_path: Path, write: Callable[[Path], None]) -> None:
    with pytest.raises(OSError, match="is full"), whole_file(tmp_path / "a") as part:  # noqa: PT012
        part.symlink_to("/dev/full")
        write(part)
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


def test_what_killed_writers_have_left_is_removed(tmp_path: Path) -> None:
    names = [".a.mp4.12-34.part", "below/.index.json.5-6.part", ".mine.part", "b.12-34.part", "c"]
    for name in names:
        write_whole(tmp_path / name, "1")
    remove_unfinished(tmp_path)
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == set(names[2:])
    # the names are those that a writer takes
    with pytest.raises(KeyError), whole_file(tmp_path / "d.json") as part:  # noqa: PT012
        part.write_text("half")
        remove_unfinished(tmp_path)
        assert not part.exists()
        raise KeyError


def test_what_can_be_written(tmp_path: Path) -> None:
    file = write_whole(tmp_path / "a.txt", "old")
    check_writable(file)
    check_writable(tmp_path / "new" / "b.txt")
    assert file.read_text() == "old" and os.listdir(tmp_path / "new") == []
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        check_writable(tmp_path)
    with pytest.raises(NotADirectoryError, match=f"Expected a folder, but {file} is a file"):
        check_writable(file / "below")


def test_an_error_names_the_file_and_not_its_part(tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    file.touch()
    with pytest.raises(IsADirectoryError) as caught:
        write_whole(folder, "text")
    assert caught.value.filename == str(folder)
    for place in (file / "a.txt", file / "deep" / "a.txt"):
        with pytest.raises(NotADirectoryError, match=f"^Expected a folder, but {file} is a file.$"):
            write_whole(place, "text")
