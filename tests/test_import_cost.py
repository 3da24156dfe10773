# SPDX-License-Identifier: Apache-2.0
"""Heavy modules that are loaded where they are used and no earlier: they take seconds to import."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytorchvideo.transforms.clip_recipe import ClipRecipe

REPO = Path(__file__).resolve().parent.parent

# torchvision alone loads torch._dynamo, Lightning also transformers, scipy and matplotlib through torchmetrics
HEAVY = (
    "matplotlib",
    "pytorch_lightning",
    "scipy",
    "sympy",
    "torch._dynamo",
    "torchmetrics",
    "torchvision",
    "transformers",
)

# one process for all: what an earlier step has loaded is told of that step
STEPS = """
import contextlib, io, json, sys
from typer.testing import CliRunner

def cli(*arguments):
    from flash.cli.main import app
    found = CliRunner().invoke(app, list(arguments))
    assert found.exit_code == 0, (arguments, found.output, found.exception)

def build():
    from pytorchvideo.models import create_model
    for name in ("x3d_xs", "slow_r50", "mvit_base_16x4"):
        create_model(name)

video, folder, model, out = sys.argv[1:5]
chosen = ("--model", model, "--clips", "1")
steps = {
    "import flash.cli.main": lambda: __import__("flash.cli.main"),
    "import pytorchvideo.transforms": lambda: __import__("pytorchvideo.transforms"),
    "import pytorchvideo.data": lambda: __import__("pytorchvideo.data"),
    "import pytorchvideo.models.hub": lambda: __import__("pytorchvideo.models.hub"),
    "build": build,
    "models": lambda: cli("models"),
    "predict": lambda: cli("predict", video, *chosen),
    "stream": lambda: cli("stream", video, "--model", model),
    "timeline": lambda: cli("timeline", video, "--model", model, "--out", out + "/timeline"),
    "embed": lambda: cli("embed", video, *chosen, "--out", out + "/e.safetensors"),
    "evaluate": lambda: cli("evaluate", folder, *chosen),
    "check": lambda: cli("check", video),
    "prepare": lambda: cli("prepare", folder, "--shards", out + "/shards"),
    "import flash.serve.app": lambda: __import__("flash.serve.app"),
}
loaded = {}
for name, step in steps.items():
    before = set(sys.modules)
    step()
    loaded[name] = sorted(set(sys.argv[5:]) & (set(sys.modules) - before))
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module")
def loaded(
    make_video: Callable[..., Path],
    make_model_file: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, list[str]]:
    """The heavy modules that each step loads."""
    out = tmp_path_factory.mktemp("out")
    recipe = ClipRecipe(
        num_frames=4, sampling_rate=1, frames_per_second=8, side_size=32, crop_size=32
    )
    model = make_model_file(recipe)
    for label in ("run", "walk"):
        video = make_video("0.mp4", folder=out / "data" / label, num_frames=30)
    done = subprocess.run(
        [sys.executable, "-c", STEPS, video, out / "data", model, out, *HEAVY],
        capture_output=True,
        text=True,
        cwd=REPO,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_imports_and_commands_load_nothing_heavy(loaded: dict[str, list[str]]) -> None:
    # the chart
    assert loaded == {step: [] for step in loaded} | {"timeline": ["matplotlib"]}
