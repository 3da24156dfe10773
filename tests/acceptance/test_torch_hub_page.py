# SPDX-License-Identifier: Apache-2.0
"""The PyTorch Hub page "3D ResNet", run as it is written, offline.

The page downloads three files. They are put where the downloads would end: the weights (of a seeded model) and
this repository in ``TORCH_HOME``, the class names and the video in the working folder.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pytorchvideo.models._registry import create_model

REPO = Path(__file__).resolve().parents[2]

Answer = tuple[str, dict[str, Any]]

# The page's blocks in their order; only the two downloads of files are left out.
PAGE = """
import torch
torch.set_num_threads(1)
# the page's own imports warn: torchvision is going to remove this module, which the page cannot know
import warnings
warnings.simplefilter("error")
warnings.filterwarnings("ignore", message="The 'torchvision.transforms._(functional|transforms)_video' module")

model = torch.hub.load('facebookresearch/pytorchvideo', 'slow_r50', pretrained=True)

import json
import urllib
from pytorchvideo.data.encoded_video import EncodedVideo

from torchvision.transforms import Compose, Lambda
from torchvision.transforms._transforms_video import (
    CenterCropVideo,
    NormalizeVideo,
)
from pytorchvideo.transforms import (
    ApplyTransformToKey,
    ShortSideScale,
    UniformTemporalSubsample
)

device = "cpu"
model = model.eval()
model = model.to(device)

json_filename = "kinetics_classnames.json"
with open(json_filename, "r") as f:
    kinetics_classnames = json.load(f)

kinetics_id_to_classname = {}
for k, v in kinetics_classnames.items():
    kinetics_id_to_classname[v] = str(k).replace('"', "")

side_size = 256
mean = [0.45, 0.45, 0.45]
std = [0.225, 0.225, 0.225]
crop_size = 256
num_frames = 8
sampling_rate = 8
frames_per_second = 30

transform =  ApplyTransformToKey(
    key="video",
    transform=Compose(
        [
            UniformTemporalSubsample(num_frames),
            Lambda(lambda x: x/255.0),
            NormalizeVideo(mean, std),
            ShortSideScale(
                size=side_size
            ),
            CenterCropVideo(crop_size=(crop_size, crop_size))
        ]
    ),
)

clip_duration = (num_frames * sampling_rate)/frames_per_second

video_path = 'archery.mp4'

start_sec = 0
end_sec = start_sec + clip_duration
video = EncodedVideo.from_path(video_path)
video_data = video.get_clip(start_sec=start_sec, end_sec=end_sec)
frames_of_clip = video_data["video"].shape
video_data = transform(video_data)
inputs = video_data["video"]
inputs = inputs.to(device)

with torch.inference_mode():
    preds = model(inputs[None, ...])

post_act = torch.nn.Softmax(dim=1)
preds = post_act(preds)
pred_classes = preds.topk(k=5).indices[0]

pred_class_names = [kinetics_id_to_classname[int(i)] for i in pred_classes]
print("Top 5 predicted labels: %s" % ", ".join(pred_class_names))
"""

CHECKS = """
print(json.dumps({
    "type": f"{type(model).__module__}.{type(model).__name__}",
    "parameters": sum(p.numel() for p in model.parameters()),
    "clip": list(frames_of_clip),
    "inputs": list(inputs.shape),
    "preds": list(preds.shape),
    "sum": float(preds.sum()),
    "classes": pred_classes.tolist(),
    "probabilities": preds[0].tolist(),
    "listed": torch.hub.list('facebookresearch/pytorchvideo', trust_repo=True),
}))
torch.save(model.state_dict(), "loaded.pt")
torch.save(inputs, "inputs.pt")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """A working folder with the files of the page, and a ``torch`` folder with weights and repository."""
    root = tmp_path_factory.mktemp("hub_page")
    checkpoints = root / "torch/hub/checkpoints"
    checkpoints.mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(50)
        state = create_model("slow_r50").state_dict()
    torch.save({"model_state": state}, checkpoints / "SLOW_8x8_R50.pyth")
    (root / "torch/hub/facebookresearch_pytorchvideo_main").symlink_to(REPO)
    names = {f'"class {i}"' if i % 2 else f"class{i}": i for i in range(400)}
    (root / "kinetics_classnames.json").write_text(json.dumps(names))
    make_video("archery.mp4", folder=root, num_frames=75, fps=30, height=64, width=96)
    return root


@pytest.fixture(scope="module")
def answer(folder: Path) -> Answer:
    """The page's printed line, and what the checks found."""
    environment = {
        "TORCH_HOME": str(folder / "torch"),
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-c", PAGE + CHECKS],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    page, checks = done.stdout.strip().splitlines()[-2:]
    return page, json.loads(checks)


@pytest.mark.slow
def test_the_page_prints_five_names(answer: Answer) -> None:
    page, checks = answer
    assert page.startswith("Top 5 predicted labels: ")
    wanted = [f"class {i}" if i % 2 else f"class{i}" for i in checks["classes"]]
    assert page.removeprefix("Top 5 predicted labels: ").split(", ") == wanted
    assert '"' not in page


def test_shapes_and_sums(answer: Answer) -> None:
    _, checks = answer
    assert checks["type"] == "pytorchvideo.models.net.Net"
    assert round(checks["parameters"] / 1e6, 2) == 32.45
    assert checks["clip"] == [3, 64, 64, 96]  # 64 / 30 seconds at 30 frames per second
    assert checks["inputs"] == [3, 8, 256, 256]
    assert checks["preds"] == [1, 400]
    assert checks["sum"] == pytest.approx(1, abs=1e-5)


def test_the_model_is_the_file(folder: Path, answer: Answer) -> None:
    file = torch.load(folder / "torch/hub/checkpoints/SLOW_8x8_R50.pyth")["model_state"]
    loaded = torch.load(folder / "loaded.pt")
    assert list(loaded) == list(file)
    assert all(torch.equal(loaded[key], file[key]) for key in file)


def test_the_answer_repeats_in_another_process(folder: Path, answer: Answer) -> None:
    model = create_model(
        "slow_r50", weights=folder / "torch/hub/checkpoints/SLOW_8x8_R50.pyth"
    ).eval()
    with torch.inference_mode():
        again = model(torch.load(folder / "inputs.pt")[None]).softmax(dim=1)[0]
    torch.testing.assert_close(again, torch.tensor(answer[1]["probabilities"]), atol=1e-4, rtol=0)


def test_the_hub_lists_the_models(answer: Answer) -> None:
    listed = set(answer[1]["listed"])
    assert {"slow_r50", "c2d_r50", "i3d_r50", "x3d_xs", "x3d_s", "x3d_m", "x3d_l"} <= listed
