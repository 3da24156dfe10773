# SPDX-License-Identifier: Apache-2.0
"""``doctor`` finds out by use, and survives whatever it finds."""

import os
import subprocess
import sys
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from flash.cli import bounds as _bounds
from flash.cli import diagnosis as doctor


def test_failure_is_a_finding() -> None:
    def broken() -> str:
        raise OSError("libfoo.so: cannot open shared object file\nand more")

    found = doctor._attempt("foo", broken, required=False)
    assert not found.works
    assert found.detail == "OSError: libfoo.so: cannot open shared object file"


def test_process_that_fails_or_crashes_is_a_finding() -> None:
    missing = doctor._attempt_apart("foo", "import no_such_package_at_all")
    assert (missing.works, missing.detail) == (False, "not installed")
    assert doctor._attempt_apart("kornia", "import no_such_package_at_all").install == (
        _bounds.requirement("kornia"),
    )
    crash = doctor._attempt_apart("foo", "import os; os.abort()")
    assert not crash.works
    assert "status -6" in crash.detail
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor, "_PATIENCE_SEC", 0.2)
        slow = doctor._attempt_apart("foo", "import time; time.sleep(9)")
        assert (slow.works, slow.detail) == (False, "no answer within 0.2 s")
    fine = doctor._attempt_apart("foo", "print('1.0')")
    assert (fine.works, fine.detail) == (True, "1.0")


def test_diagnosis_uses_what_it_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_OPTIONAL", {"absent": "import no_such_package_at_all"})
    found = {finding.name: finding for finding in doctor.diagnose()}
    assert [f.name for f in found.values() if f.required and not f.works] == []
    assert "libavcodec" in found["PyAV"].detail
    assert "(3, 10, 48, 64)" in found["read a video"].detail
    assert found["absent"].to_dict() == {
        "name": "absent",
        "works": False,
        "detail": "not installed",
        "required": False,
        "install": (),
    }
    assert doctor.advice(found.values()) == ""


def stated(package: str) -> Requirement:
    """The requirement of a package, as the installed metadata has it."""
    return next(
        one for one in map(Requirement, requires("pytorchvideo") or []) if one.name == package
    )


@pytest.mark.parametrize("package", ["av", "torch", "torchvision", "pytorch-lightning", "kornia"])
def test_versions_outside_the_bounds_are_named(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lowest,) = [s.version for s in stated(package).specifier if s.operator == ">="]
    for found, fits in ((lowest, True), (f"{lowest}.post1", True), ("0.0.1", False)):
        monkeypatch.setattr(_bounds, "version", lambda name, found=found: found)
        assert (_bounds.complaint(package) == "") == fits
    monkeypatch.setattr(_bounds, "version", lambda name: "0.0.1")
    finding = doctor._attempt("it", lambda: "fine", packages=(package,))
    assert not finding.works
    assert f"{package} is 0.0.1" in finding.detail
    assert f">={lowest}" in finding.detail
    (install,) = map(Requirement, finding.install)
    assert install.specifier == stated(package).specifier
    assert f"pip install --upgrade '{finding.install[0]}'" in doctor.advice([finding])


def test_installed_versions_are_within_the_bounds() -> None:
    core = [one for one in map(Requirement, requires("pytorchvideo") or []) if one.marker is None]
    assert {"torch", "torchvision", "av", "numpy"} <= {one.name for one in core}
    assert [one.name for one in core if Version(version(one.name)) not in one.specifier] == []
    assert [one.name for one in core if _bounds.complaint(one.name)] == []


@pytest.mark.parametrize("module", ["torchvision", "torchmetrics", "PIL", "safetensors", "rich"])
def test_missing_package_is_found_and_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Absent(module), *sys.meta_path])
    package = {"PIL": "pillow"}.get(module, module)
    (name,) = [name for name, (needs, _) in doctor._REQUIRED.items() if package in needs]
    needs, use = doctor._REQUIRED[name]
    finding = doctor._attempt(name, use, packages=needs)
    assert not finding.works
    assert f"No module named '{module}'" in finding.detail
    assert finding.install == (_bounds.requirement(package),)


class _Absent:
    """A finder for which a package is not installed."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named {self.package!r}", name=self.package)


def test_operators_of_another_torch_are_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """What PyPI's torchvision does beside a torch that it was not compiled for."""

    def nms(*_: object) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr("torchvision.ops.nms", nms)
    needs, use = doctor._REQUIRED["torchvision"]
    finding = doctor._attempt("torchvision", use, packages=needs)
    assert finding.detail == "RuntimeError: operator torchvision::nms does not exist"
    assert finding.install == (_bounds.requirement("torchvision"),)


@pytest.mark.slow
def test_old_pyav_ends_the_command_with_what_to_install(tmp_path: Path) -> None:
    """A whole process, in which a PyAV of the past stands before the installed one."""
    (tmp_path / "av").mkdir()
    (tmp_path / "av" / "__init__.py").write_text("__version__ = '9.0.0'\n")
    (tmp_path / "av" / "stream.py").write_text("")
    (tmp_path / "av-9.0.0.dist-info").mkdir()
    (tmp_path / "av-9.0.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: av\nVersion: 9.0.0\n"
    )
    code = (
        "from flash.cli import diagnosis, main; diagnosis._OPTIONAL.clear(); main.app(['doctor'])"
    )
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "300"},
    )
    assert answer.returncode == 1, answer.stderr
    assert "av is 9.0.0" in answer.stdout
    assert f"pip install --upgrade '{_bounds.requirement('av')}'" in answer.stdout
    assert answer.stdout.count("BROKEN") == 3  # PyAV, and the videos that it writes and reads
