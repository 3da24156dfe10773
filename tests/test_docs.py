# SPDX-License-Identifier: Apache-2.0
"""Documents say what is true: their code runs, their tables are those of the records, their links lead somewhere."""

import importlib.util
import re
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from pytorchvideo.accelerator.deployment.common.model_transmuter import (
    EFFICIENT_BLOCK_TRANSMUTER_REGISTRY,
)
from pytorchvideo.data.synthetic import write_demo_videos
from pytorchvideo.models import create_model

REPO = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [*REPO.glob("*.md"), *(REPO / "docs").glob("*.md"), *(REPO / "docs/api").glob("*.md")]
)
SNIPPETS = re.findall(r"```python\n(.*?)```", (REPO / "README.md").read_text(), flags=re.DOTALL)


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_model_zoo_page_is_that_of_the_records() -> None:
    script = load(REPO / "docs/make_model_zoo.py")
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), (
        "run docs/make_model_zoo.py again"
    )


def test_augmentations_page_is_that_of_its_script() -> None:
    script = load(REPO / "docs/make_augmentations.py")
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), (
        "run docs/make_augmentations.py again"
    )
    entries = [entry for entries in script.SECTIONS.values() for entry in entries]
    pictures = {script.picture_name(entry) for entry in entries}
    assert {path.name for path in script.PICTURES.iterdir()} == pictures
    for entry in entries:
        after = script.after(entry)
        assert after.dtype == torch.uint8
        assert not torch.equal(after, script.before(entry)[0]), entry.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_snippets_of_the_readme_are_short() -> None:
    assert len(SNIPPETS) == 3
    for snippet in SNIPPETS:
        assert len(snippet.strip().splitlines()) <= 8, snippet


@pytest.mark.slow
def test_snippets_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write_demo_videos(tmp_path / "clips", train_per_class=2, val_per_class=1)
    files.unseen.rename(tmp_path / "archery.mp4")
    checkpoints = tmp_path / "hub/checkpoints"
    checkpoints.mkdir(parents=True)
    state = create_model("x3d_s").state_dict()
    torch.save({"model_state": state}, checkpoints / "X3D_S.pyth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for snippet in SNIPPETS:
        exec(snippet.replace("max_epochs=5", "max_epochs=1"), names)
    assert (tmp_path / "model.pt").is_file()
    sample = names["sample"]
    assert isinstance(sample, dict)
    assert sample["video"].shape[:2] == (3, 8)


@pytest.mark.slow
@pytest.mark.parametrize("example", sorted((REPO / "examples").glob("*.py")), ids=lambda e: e.stem)
def test_examples_run(
    example: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "hugging_face" in example.stem:
        pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(sys, "argv", [str(example)])
    rules = {device: list(some) for device, some in EFFICIENT_BLOCK_TRANSMUTER_REGISTRY.items()}
    for device, some in rules.items():  # of which an example adds one
        monkeypatch.setitem(EFFICIENT_BLOCK_TRANSMUTER_REGISTRY, device, some)
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out.strip()
