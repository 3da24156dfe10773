# SPDX-License-Identifier: Apache-2.0
"""The server's answers and refusals, on videos that are made here, with a model whose scores are known."""

import contextlib
import importlib.util
import io
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from flash.serve.app import build_app
from flash.serve.service import Answer, Limits, Service
from pytorchvideo.data.utils import export_video_array
from pytorchvideo.inference.predictor import ClipScores, VideoPredictor
from pytorchvideo.models._registry import create_model
from pytorchvideo.models.pretrained import PretrainedModel
from pytorchvideo.transforms.clip_recipe import ClipRecipe

SIDE, FPS, SECONDS = 32, 8, 4
RECIPE = ClipRecipe(
    num_frames=4,
    sampling_rate=2,
    frames_per_second=8.0,  # clips of one second
    side_size=SIDE,
    crop_size=SIDE,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)


class Brightness(nn.Module):
    """Scores of "bright" and "dark": the mean of a normalised clip, and minus it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean(dim=(1, 2, 3, 4))
        return 4 * torch.stack((mean, -mean), dim=1)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of black, one of white."""
    path = tmp_path_factory.mktemp("videos") / "late light.mp4"
    frames = torch.zeros(3, FPS * SECONDS, SIDE, SIDE, dtype=torch.uint8)
    frames[:, 3 * FPS :] = 255
    export_video_array(frames, path, FPS, video_codec="libx264")
    return path


def service(**limits: Any) -> Service:
    predictor = VideoPredictor(Brightness(), RECIPE, ["bright", "dark"])
    return Service(predictor, Limits(**limits))


def test_answer(video: Path) -> None:
    asked = service()
    answer = asked.answer(video)
    assert [label for label, _ in answer.labels] == ["dark", "bright"]
    spans = [(clip.start_sec, clip.end_sec) for clip in answer.clips]
    assert spans == [(0, 1), (1, 2), (2, 3), (3, 4)]
    named = [entry["label"] for entry in asked.to_dict(answer)["timeline"]]
    assert named == ["dark", "dark", "dark", "bright"]
    wanted = (3 / (1 + np.exp(-8.0)) + 1 / (1 + np.exp(8.0))) / 4
    assert answer.labels[0][1] == pytest.approx(wanted, abs=0.01)


def test_the_clip_that_is_shown_is_the_one_that_decided(video: Path) -> None:
    with Image.open(io.BytesIO(service().answer(video).gif)) as picture:
        assert picture.size == (SIDE, SIDE)
        assert np.asarray(picture.convert("RGB")).max() < 16  # dark, as the label says


def test_an_answer_is_explained_where_that_is_asked_for(video: Path) -> None:
    asked = service()
    plain, explained = asked.answer(video), asked.answer(video, explain=True)
    assert plain.method is None
    assert explained.method == "occlusion"  # what suits a network that is not of the zoo
    assert (explained.labels, explained.decisive.start_sec) == (
        plain.labels,
        plain.decisive.start_sec,
    )
    with Image.open(io.BytesIO(explained.gif)) as picture:
        assert picture.size == (224, 224)


def test_long_videos_have_gaps_between_their_clips(video: Path) -> None:
    clips = service(max_clips=2).answer(video).clips
    assert [(clip.start_sec, clip.end_sec) for clip in clips] == [(0, 1), (3, 4)]


def test_limits(video: Path) -> None:
    with pytest.raises(ValueError, match=r"up to 3 s, but got 4 s\. Cut it first"):
        service(max_seconds=3).answer(video)
    with pytest.raises(ValueError, match=r"up to 0\.0001 MB, but got more"):
        service(max_bytes=100).answer(video)
    with pytest.raises(ValueError, match="Expected `max_clips` to be > 0, but got 0"):
        Limits(max_clips=0)


# -- over HTTP -----------------------------------------------------------------------------------


class Client:
    """Asks a server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, body: bytes | None = None, kind: str = "video/mp4") -> tuple[int, str]:
        """Returns the status and the text of the answer."""
        request = urllib.request.Request(self.url + path, body, {"content-type": kind})
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.pt"
    sizes = {"num_frames": 4, "crop_size": SIDE}
    with torch.random.fork_rng(devices=[]):
        model = create_model("x3d_xs", num_classes=2, **sizes)
    PretrainedModel(model, "x3d_xs", RECIPE, sizes, ("bright", "dark")).save(path)
    return path


@pytest.fixture(scope="module")
def client(weights: Path) -> Iterator[Client]:
    """The command in a process of its own: Gradio leaves sockets and event loops to the end of the process."""
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("needs gradio")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "flash.cli.main", "serve", "--weights", str(weights)]
    command += ["--port", str(port), "--max-size", "0.1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            assert any(f"http://127.0.0.1:{port}" in line for line in lines)
            client = Client(f"http://127.0.0.1:{port}")
            for _ in range(100):
                with contextlib.suppress(urllib.error.URLError):
                    client.ask("/api/model")
                    break
                time.sleep(0.1)
            yield client
        finally:
            process.terminate()


@pytest.mark.slow
def test_json(client: Client, video: Path, weights: Path) -> None:
    status, text = client.ask("/api/predict", video.read_bytes())
    assert status == 200
    here = Service(VideoPredictor.from_file(weights))
    wanted = here.to_dict(here.answer(video))
    got = json.loads(text)
    assert [row["label"] for row in got["labels"]] == [row["label"] for row in wanted["labels"]]
    for ours, theirs in zip(wanted["timeline"], got["timeline"], strict=True):
        assert theirs == pytest.approx(ours, abs=1e-5)
    status, text = client.ask("/api/model")
    model = json.loads(text)
    assert model["labels"] == ["bright", "dark"]
    assert model["limits"]["max_bytes"] == 100_000
    assert model["recipe"]["num_frames"] == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "status", "sentence"),
    [
        (b"", 422, "The file is empty"),
        (b"no video at all" * 100, 422, "The file is not a readable video"),
        (b"0" * 100_001, 413, "up to 0.1 MB, but got more"),
    ],
)
def test_bad_files_get_a_sentence(
    client: Client, content: bytes, status: int, sentence: str
) -> None:
    got, text = client.ask("/api/predict", content)
    assert got == status
    assert sentence in json.loads(text)["error"]
    assert tempfile.gettempdir() not in text


@pytest.mark.slow
def test_forms_are_refused(client: Client, video: Path) -> None:
    status, text = client.ask("/api/predict", video.read_bytes(), "multipart/form-data; boundary=x")
    assert status == 415
    assert "as the body of the request" in json.loads(text)["error"]


@pytest.mark.slow
def test_page(client: Client) -> None:
    status, page = client.ask("/")
    assert status == 200
    assert "What happens here?" in page
    assert "2 classes: bright, dark." in page
    assert "A video of up to 600 s and 0.1 MB." in page
    # Gradio's own sentence counts in units of 1024 bytes
    assert "Expected a video of up to 0.1 MB, but got more. Cut it first." in page
    assert '"audio":false' in page.replace(" ", "")  # no microphone is needed
    assert "fonts.googleapis.com" not in page


PAGE = """
import gradio, torch, sys
from flash.serve.app import build_page
from flash.serve.service import Service
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.models import ClipRecipe

predictor = VideoPredictor(torch.nn.Identity(), ClipRecipe(4, 2), ["<b>", "b"])
page = build_page(Service(predictor), "<img src=x> [a](b)", sys.argv[2:])
print(*(block.value for block in page.blocks.values() if isinstance(block, gradio.Markdown)))
(function,) = (one.fn for one in page.fns.values() if one.fn is not None and one.fn.__name__ == "show")
print(function(sys.argv[1]))
print(function(None))
(examples,) = (block for block in page.blocks.values() if isinstance(block, gradio.Dataset))
print(len(examples.samples), page.title)
"""


@pytest.mark.slow
def test_names_are_no_markup_on_the_page(tmp_path: Path, video: Path) -> None:
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("needs gradio")
    bad = tmp_path / "<img src=x onerror=alert(1)>.mp4"
    bad.write_text("no video")
    run = subprocess.run(
        [sys.executable, "-c", PAGE, str(bad), str(video)],
        capture_output=True,
        check=True,
        text=True,
    )
    title, about, _, limits, error, first, examples = run.stdout.splitlines()
    assert title == "# \\<img src=x\\> \\[a\\](b)"
    assert about == "2 classes: \\<b\\>, b."
    assert limits.startswith("A video of up to 600 s and 100 MB.")
    # one message in the place of the answer
    assert ">&lt;img src=x onerror=alert(1)&gt;.mp4 is not a readable video" in error
    assert "Upload or record a video first." in first
    assert examples == "1 <img src=x> [a](b)"


def test_without_gradio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(ImportError, match=r"pip install 'pytorchvideo\[serve\]'"):
        build_app(service(), "a model")


def test_answers_are_plain() -> None:
    clip = ClipScores(0.0, 1.0, torch.tensor([0.5, 0.25]))
    answer = Answer([("a", 0.5)], [clip], clip, b"")
    assert service().to_dict(answer) == {
        "labels": [{"label": "a", "score": 0.5}],
        "timeline": [{"start_sec": 0.0, "end_sec": 1.0, "label": "bright", "score": 0.5}],
    }
