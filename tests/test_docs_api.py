# SPDX-License-Identifier: Apache-2.0
"""The API reference: every public name is on a page of it, and the site is built without a warning."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
PACKAGES = {
    "pytorchvideo.data": "data.md",
    "pytorchvideo.data.ego4d": "data.md",
    "pytorchvideo.data.epic_kitchen": "data.md",
    "pytorchvideo.data.visualize": "data.md",
    "pytorchvideo.transforms": "transforms.md",
    "pytorchvideo.transforms.functional": "transforms.md",
    "pytorchvideo.layers": "layers.md",
    "pytorchvideo.losses": "losses.md",
    "pytorchvideo.models": "models.md",
    "pytorchvideo.models.hub": "hub.md",
    "pytorchvideo.inference": "inference.md",
    "pytorchvideo.evaluation": "evaluation.md",
    "flash": "flash.md",
    "flash.video": "flash.md",
}
# subpackages, and a class that is documented where its home is
ELSEWHERE = {
    "flash.core",
    "flash.data",
    "flash.video",
    "flash.video.VideoPredictor",
    "pytorchvideo.transforms.functional",
}


def listed(page: str) -> set[str]:
    """The names of a page's tables, in full."""
    text = (REPO / "docs/api" / page).read_text(encoding="utf-8")
    module, names = "", set()
    for line in text.splitlines():
        if directive := re.match(r"\.\. (?:currentmodule|automodule):: (\S+)", line):
            module = directive[1]
        elif entry := re.match(r"   ([A-Za-z_][\w.]*)$", line):
            names.add(f"{module}.{entry[1]}")
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_in_the_reference(package: str) -> None:
    public = {f"{package}.{name}" for name in importlib.import_module(package).__all__}
    assert public - ELSEWHERE <= listed(PACKAGES[package])


@pytest.mark.slow
def test_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    pytest.importorskip("myst_parser")
    # Pages for single names are written beside the sources, and guides link to files of the repository.
    for path in REPO.iterdir():
        if path.name != "docs":
            (tmp_path / path.name).symlink_to(path)
    shutil.copytree(REPO / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("generated"))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            "-q",
            "-W",
            "--keep-going",
            "docs",
            str(tmp_path / "site"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site/api/generated/pytorchvideo.data.EncodedVideo.html").read_text("utf-8")
    assert "EncodedVideo.get_clip" in page
