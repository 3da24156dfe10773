# SPDX-License-Identifier: Apache-2.0
"""``doctor`` finds out by use, and survives whatever it finds."""

import json

import pytest

from flash import doctor


def test_environment_names_what_matters() -> None:
    found = doctor.environment()
    assert {"Python", "torch", "av", "device", "processors", "system"} <= set(found)
    json.dumps(found)


def test_failure_is_a_finding() -> None:
    def broken() -> str:
        raise OSError("libfoo.so: cannot open shared object file\nand more")

    found = doctor._attempt("foo", broken, required=False)
    assert not found.works
    assert found.detail == "OSError: libfoo.so: cannot open shared object file"


def test_process_that_fails_or_crashes_is_a_finding() -> None:
    missing = doctor._attempt_apart("foo", "import no_such_package_at_all")
    assert (missing.works, missing.detail) == (False, "not installed")
    crash = doctor._attempt_apart("foo", "import os; os.abort()")
    assert not crash.works
    assert "status -6" in crash.detail
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
    }
