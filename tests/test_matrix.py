# SPDX-License-Identifier: Apache-2.0
"""The matrix of Pythons and versions; the environments themselves are for ``make matrix``."""

import importlib.util
import sys
import zipfile
from importlib.metadata import metadata, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

REPO = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def matrix() -> Any:
    spec = importlib.util.spec_from_file_location("matrix", REPO / "tests" / "matrix.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["matrix"] = module  # where its dataclass looks
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules["matrix"]


def test_oldest_gets_the_lowest_and_newest_the_newest(matrix: Any) -> None:
    pythons = {"3.10": "a", "3.12": "b", "3.13": "c"}
    names = [pair.name for pair in matrix.choose_pairs(pythons, full=False)]
    assert names == ["3.10-lowest", "3.13-newest"]
    names = [pair.name for pair in matrix.choose_pairs(pythons, full=True)]
    assert names == ["3.10-lowest", "3.10-newest", "3.12-newest", "3.13-newest"]


def test_python_is_taken_for_what_it_answers(
    matrix: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name on the PATH that does not work, as pyenv's may, is passed over."""
    ours = ".".join(map(str, sys.version_info[:2]))
    for folder, version, line in (
        ("path", ours, "exit 127"),
        ("path", "3.14" if ours != "3.14" else "3.13", f'exec "{sys.executable}" "$@"'),
        (f"pyenv/versions/{ours}.1/bin", "", f'exec "{sys.executable}" "$@"'),
    ):
        script = tmp_path / folder / f"python{version}"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(f"#!/bin/sh\n{line}\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/bin:/usr/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setattr(matrix, "PYTHONS", (ours, "3.14" if ours != "3.14" else "3.13"))
    found = matrix.find_pythons()
    assert found[ours] == str(tmp_path / "pyenv" / "versions" / f"{ours}.1" / "bin" / "python")
    assert set(found) == {ours}


def test_every_bound_is_pinned(matrix: Any) -> None:
    """Of the core and of each extra; none is stated without a lower bound."""
    lines = requires("pytorchvideo") or []
    core = matrix.lowest_pins(lines, "3.10")
    assert len(core) == len([line for line in lines if ";" not in line])
    stated = [Requirement(line) for line in lines if "extra ==" in line]
    for extra in {*matrix.EXTRAS, "dev"}:
        pins = [Requirement(pin).name for pin in matrix.lowest_pins(lines, "3.10", extra)]
        wanted = [
            r.name
            for r in stated
            if r.marker is not None
            and r.marker.evaluate({"extra": extra, "python_version": "3.10"})
        ]
        assert pins == wanted
        assert pins != []
    with pytest.raises(ValueError, match=r"one lower bound in 'numpy<3'"):
        matrix.lowest_pins(["numpy<3"], "3.10")


def test_pins_follow_the_python(matrix: Any) -> None:
    lines = ["a>=1; python_version < '3.11'", "a>=2; python_version >= '3.11'", "b!=1.5,>=1.2"]
    assert matrix.lowest_pins(lines, "3.10") == ["a==1", "b==1.2"]
    assert matrix.lowest_pins(lines, "3.13") == ["a==2", "b==1.2"]


def test_every_extra_is_tried(matrix: Any) -> None:
    stated = set(metadata("pytorchvideo").get_all("Provides-Extra") or [])
    assert {*matrix.EXTRAS, "all", "dev"} == stated
    assert {extra for extra, tests in matrix.EXTRAS.items() if not tests} == set(matrix.IMPORTS)
    paths = [path for paths in matrix.EXTRAS.values() for path in paths]
    assert [path for path in paths if not (REPO / "tests" / path).exists()] == []


def test_wheel_without_a_data_file_is_seen(matrix: Any, tmp_path: Path) -> None:
    for name in ("pytorchvideo/a.py", "pytorchvideo/labels.txt", "flash/py.typed"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    wheel = tmp_path / "x.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("pytorchvideo/a.py", "")
        archive.writestr("x.dist-info/METADATA", "Name: x\nRequires-Dist: av>=17.1\n\nText\n")
    assert matrix.left_out_of(wheel, tmp_path) == ["flash/py.typed", "pytorchvideo/labels.txt"]
    assert matrix.requirements_of(wheel) == ["av>=17.1"]


def test_step_fails_aloud_and_ends_in_time(
    matrix: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = matrix.Matrix(tmp_path, minutes=1)
    log = tmp_path / "log"
    steps.step("3.10", "fine", [sys.executable, "-c", "print(1)"], log)
    with pytest.raises(matrix.Failed, match=r"3\.10: install: status 3"):
        steps.step("3.10", "install", [sys.executable, "-c", "print('why'); exit(3)"], log)
    said = capsys.readouterr().out
    assert "[3.10] fine: ok" in said
    assert "why\n[3.10] install: FAILED, status 3" in said
    steps.ends = 0.0
    with pytest.raises(matrix.Failed, match=r"3\.10: smoke: the time is over"):
        steps.step("3.10", "smoke", [sys.executable, "-c", "import time; time.sleep(60)"], log)
