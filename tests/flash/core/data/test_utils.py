# SPDX-License-Identifier: Apache-2.0
"""``download_data`` from paths, file URLs and a local server; archives that mean harm are refused."""

import hashlib
import io
import shutil
import socket
import stat
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flash.core.data import utils
from flash.core.data.utils import download_data

CONTENT = {"videos/cat/a.mp4": b"cat", "videos/dog/b.mp4": b"dogs"}


def make_archive(path: Path, members: dict[str, bytes] = CONTENT) -> Path:
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path, "w") as file:
            for name, data in members.items():
                file.writestr(name, data)
        return path
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in CONTENT}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """A web server of one zip, and the paths that were asked for."""
    data = make_archive(tmp_path / "served.zip").read_bytes()
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            broken = "broken" in self.path
            self.send_response(200 if ".zip" in self.path else 404)
            self.send_header("Content-Length", str(len(data) + (1000 if broken else 0)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}", asked
        httpd.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["set.zip", "set.tar", "set.tar.gz", "set.tgz", "SET.ZIP"])
def test_local_archive(tmp_path: Path, name: str) -> None:
    archive = make_archive(tmp_path / name)
    folder = download_data(archive, tmp_path / "data")
    assert folder == tmp_path / "data"
    assert content(folder) == CONTENT


def test_second_call_writes_nothing(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "set.zip")
    target = download_data(archive, tmp_path / "data") / "videos/cat/a.mp4"
    target.write_bytes(b"dog")  # as long as before: taken for complete
    (tmp_path / "data/videos/dog/b.mp4").write_bytes(b"d")  # cut short
    download_data(archive, tmp_path / "data")
    assert target.read_bytes() == b"dog"
    assert (tmp_path / "data/videos/dog/b.mp4").read_bytes() == b"dogs"


def test_file_url(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "a set.zip")
    assert content(download_data(archive.as_uri(), tmp_path / "data")) == CONTENT


def test_local_folder_is_left_as_it_is(tmp_path: Path) -> None:
    assert download_data(tmp_path, tmp_path / "data") == tmp_path
    assert not (tmp_path / "data").exists()


def test_http_once(tmp_path: Path, server: tuple[str, list[str]]) -> None:
    url, asked = server
    for _ in range(2):
        folder = download_data(
            f"{url}/files/set.zip?version=1", str(tmp_path / "data"), verbose=True
        )
        assert content(folder) == CONTENT
    assert asked == ["/files/set.zip?version=1"]
    assert (tmp_path / "data/set.zip").is_file()


def test_http_errors_leave_no_file(tmp_path: Path, server: tuple[str, list[str]]) -> None:
    url, _ = server
    with pytest.raises(ConnectionError, match=r"Could not download .*none.tar.*404"):
        download_data(f"{url}/none.tar", tmp_path / "data")
    with pytest.raises(ConnectionError, match="broke off after"):
        download_data(f"{url}/broken.zip", tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []
    with pytest.raises(ValueError, match="end in the name of a file"):
        download_data(f"{url}/", tmp_path / "data")


@pytest.mark.parametrize("name", ["evil.zip", "evil.tar"])
@pytest.mark.parametrize("member", ["../outside.mp4", "a/../../outside.mp4", "/tmp/outside.mp4"])
def test_member_that_leaves_the_folder(tmp_path: Path, name: str, member: str) -> None:
    archive = make_archive(tmp_path / name, {"fine.mp4": b"1", member: b"2"})
    with pytest.raises(ValueError, match=rf"stay inside .* but found '{member}'"):
        download_data(archive, tmp_path / "data")
    assert not (tmp_path / "outside.mp4").exists()
    assert not (tmp_path / "data/fine.mp4").exists()


@pytest.mark.parametrize(
    ("kind", "goal"),
    [
        (tarfile.SYMTYPE, "/etc"),
        (tarfile.SYMTYPE, "videos/cat/a.mp4"),  # inside, but a later member may go through it
        (tarfile.LNKTYPE, "videos/cat/a.mp4"),
        (tarfile.FIFOTYPE, ""),
        (tarfile.CHRTYPE, ""),
    ],
)
def test_tar_members_that_are_no_files(tmp_path: Path, kind: bytes, goal: str) -> None:
    archive = make_archive(tmp_path / "link.tar")
    with tarfile.open(archive, "a") as file:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = kind, goal
        file.addfile(link)
    with pytest.raises(
        ValueError, match=r"Refused to unpack .*link.tar: 'link' is a link or a device"
    ):
        download_data(archive, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_tar_with_the_links_of_a_known_attack(tmp_path: Path) -> None:
    """CVE-2025-4517: links of links so long that ``os.path.realpath`` stops looking, and then one that leads out."""
    archive, step = tmp_path / "cve.tar", "d" * 247
    with tarfile.open(archive, "w") as file:
        path = ""
        for letter in "abcdefghijklmnop":
            folder = tarfile.TarInfo(path + step)
            folder.type = tarfile.DIRTYPE
            file.addfile(folder)
            link = tarfile.TarInfo(path + letter)
            link.type, link.linkname = tarfile.SYMTYPE, step
            file.addfile(link)
            path += step + "/"
        out = tarfile.TarInfo("a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/" + "l" * 254)
        out.type, out.linkname = tarfile.SYMTYPE, "../" * 16
        file.addfile(out)
        data = tarfile.TarInfo(out.name + "/../outside.mp4")
        file.addfile(data, io.BytesIO(b""))
    with pytest.raises(ValueError, match="Refused to unpack"):
        download_data(archive, tmp_path / "data")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cve.tar"]


@pytest.mark.parametrize("name", ["bomb.zip", "bomb.tar.gz"])
def test_archives_that_unpack_to_far_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(utils, "_SMALL_BYTES", 1 << 16)
    archive, zeros = tmp_path / name, bytes(3 << 20)
    if name.endswith("zip"):
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("a.mp4", zeros)
    else:
        make_archive(archive, {"a.mp4": zeros})
    with pytest.raises(
        ValueError, match=r"take more than \d+ bytes, .* Raise `max_unpacked_bytes`"
    ):
        download_data(archive, tmp_path / "data")
    assert not (tmp_path / "data").exists()
    folder = download_data(archive, tmp_path / "data", max_unpacked_bytes=3 << 20)
    assert (folder / "a.mp4").read_bytes() == zeros


@pytest.mark.parametrize("name", ["many.zip", "many.tar"])
def test_archives_of_too_many_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(utils, "MOST_MEMBERS", 1)
    with pytest.raises(ValueError, match="more than 1 members"):
        download_data(make_archive(tmp_path / name), tmp_path / "data")


def test_archive_for_which_the_disk_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=3)
    monkeypatch.setattr(utils.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(
        OSError, match=r"unpacks to 7 bytes, but the disk of .*data has only 3 left"
    ):
        download_data(make_archive(tmp_path / "set.zip"), tmp_path / "data")


def test_zip_link(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as file:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc")
    with pytest.raises(
        ValueError, match=r"Refused to unpack .*link.zip: 'link' is a link or a device"
    ):
        download_data(tmp_path / "link.zip", tmp_path / "data")


def test_member_below_a_link_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/videos").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="stay inside"):
        download_data(make_archive(tmp_path / "set.zip"), tmp_path / "data")


@pytest.mark.parametrize("name", ["set.zip", "set.tar", "set.tar.gz"])
@pytest.mark.parametrize("size", [0, 20, 60])
def test_damaged_archives_are_named(tmp_path: Path, name: str, size: int) -> None:
    archive = make_archive(tmp_path / name)
    archive.write_bytes(archive.read_bytes()[:size])
    with pytest.raises(ValueError, match=f"{name} is no archive, or a damaged one: .* Delete"):
        download_data(archive, tmp_path / "data")


@pytest.mark.parametrize(
    "headers",
    [
        {"path": "a\0b"},
        {"GNU.sparse.map": "0,1,x"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"},
    ],
)
def test_tar_with_damaged_headers(tmp_path: Path, headers: dict[str, str]) -> None:
    member = tarfile.TarInfo("a")
    member.size, member.pax_headers = 1, headers
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as file:
        file.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(ValueError, match=r"a\.tar( is no archive, or a damaged one|: .* damaged)"):
        download_data(tmp_path / "a.tar", tmp_path / "out")


def test_tar_whose_sizes_go_back(tmp_path: Path) -> None:
    # CVE-2025-8194: a negative size leads tarfile of Python before 3.13.6 to the same header for ever
    header = bytearray(tarfile.TarInfo("a").tobuf())
    header[124:136] = (-512).to_bytes(12, "big", signed=True)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(bytes(header) + bytes(10240))
    with pytest.raises(ValueError, match=r"a\.tar( is no archive, or a damaged one|: .* damaged)"):
        download_data(tmp_path / "a.tar", tmp_path / "out")


@pytest.mark.parametrize("field", [("method", 8, 10), ("encrypted", 6, 8)])
def test_zip_that_cannot_be_unpacked(tmp_path: Path, field: tuple[str, int, int]) -> None:
    # offsets in the local header and in that of the directory (PKWARE's APPNOTE, 4.3.7 and 4.3.12)
    kind, local, central = field
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a", "b")
    data = bytearray(path.read_bytes())
    for place in (local, data.index(b"PK\1\2") + central):
        data[place] = 99 if kind == "method" else data[place] | 1
    path.write_bytes(data)
    with pytest.raises(
        ValueError, match=r"a\.zip is no archive, or a damaged one: .*(method|encr)"
    ):
        download_data(path, tmp_path / "out")


def test_other_files_stay_where_they_are(tmp_path: Path, server: tuple[str, list[str]]) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"clip")
    assert download_data(tmp_path / "clip.mp4", tmp_path / "data") == tmp_path
    assert not (tmp_path / "data").exists()
    folder = download_data(f"{server[0]}/a.zip.mp4", tmp_path / "data")
    assert [file.name for file in folder.iterdir()] == ["a.zip.mp4"]


def test_silent_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "_TIMEOUT_SEC", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/set.zip"
        with pytest.raises(ConnectionError, match=r"Could not download .*set.zip: .*timed out"):
            download_data(url, tmp_path / "data")


def test_progress_is_shown_when_asked(
    tmp_path: Path, server: tuple[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    download_data(f"{server[0]}/quiet.zip", tmp_path / "data")
    assert capsys.readouterr().out == ""
    download_data(f"{server[0]}/set.zip", tmp_path / "data", verbose=True)
    assert "set.zip" in capsys.readouterr().out


def test_hash(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "set.zip")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    download_data(archive, tmp_path / "data", sha256=digest.upper())
    with pytest.raises(ValueError, match="to have the SHA-256 00, but it has"):
        download_data(archive, tmp_path / "data", sha256="00")


def test_missing_path_and_placeholder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*nothing.zip"):
        download_data(tmp_path / "nothing.zip", tmp_path / "data")
    with pytest.raises(NotImplementedError, match="placeholder"):
        download_data("NEED_TO_BE_CREATED", tmp_path / "data")
    for url in ("", "s3://bucket/set.zip"):
        with pytest.raises(ValueError, match=r"http\(s\)://, file:// or a local path, but got"):
            download_data(url, tmp_path / "data")
