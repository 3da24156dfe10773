# SPDX-License-Identifier: Apache-2.0
"""Uses the installed package for each of its main jobs; ends with an error where one does not work.

``python -I smoke.py`` tries what is installed, not the tree that the script lies in; ``--demo`` runs the demo, too.
"""

import json
import subprocess
import sys
import sysconfig
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

SECONDS, SIZE, RATE = 1.0, (48, 64), 10


def main() -> None:
    """Runs every job and says how long it took."""
    warnings.simplefilter("ignore")
    jobs = [installed, videos, dataset, transforms, model, graphs, command_line]
    with tempfile.TemporaryDirectory() as folder:
        for job in [*jobs, demo] if "--demo" in sys.argv else jobs:
            began = time.monotonic()
            job(Path(folder))
            print(f"{job.__name__}: {time.monotonic() - began:.1f} s", flush=True)


def expect(what: str, wanted: object, got: object) -> None:
    """Ends the script unless two values are equal."""
    if wanted != got:
        raise SystemExit(f"{what}: expected {wanted!r}, but got {got!r}")


def installed(folder: Path) -> None:
    """Both packages come from this environment, with their data."""
    import pytorchvideo
    from pytorchvideo.models import get_weights

    expect("version", version("pytorchvideo"), pytorchvideo.__version__)
    for name in ("pytorchvideo", "flash"):
        root = Path(str(import_module(name).__file__)).parent
        expect(f"{name} lies in the environment", True, root.is_relative_to(sys.prefix))
        expect(f"{name} is typed", True, (root / "py.typed").is_file())
    expect("labels", 400, len(get_weights("x3d_s").labels))


def videos(folder: Path) -> None:
    """Six videos of two classes are written; one is read, with sound, from a file and from memory."""
    import numpy as np

    from pytorchvideo.data.encoded_video import EncodedVideo
    from pytorchvideo.data.synthetic import MOTIONS, write_motion_video

    for number, label in enumerate(MOTIONS[:2]):
        (folder / "data" / label).mkdir(parents=True)
        for i in range(6):
            path = folder / "data" / label / f"source{i // 2}_{i}.mp4"
            generator = np.random.default_rng([number, i])
            write_motion_video(path, label, generator, size=(RATE, 64, 48), seconds=SECONDS)
    with EncodedVideo.from_path(path) as video:
        clip: dict[str, Any] = dict(video.get_clip(0.2, 0.7))
        expect("frames of half a second", (3, 5, *SIZE), tuple(clip["video"].shape))
        expect("sound", True, len(clip["audio"]) > 0)
    with EncodedVideo.from_path(str(path)) as video:
        whole: dict[str, Any] = dict(video.get_clip(0, SECONDS))
    expect("the same frames", True, bool((whole["video"][:, 2:7] == clip["video"]).all()))


def dataset(folder: Path) -> None:
    """A worker reads every video of a folder once."""
    from torch.utils.data import DataLoader

    from pytorchvideo.data import Kinetics, make_clip_sampler

    data = Kinetics(str(folder / "data"), make_clip_sampler("uniform", SECONDS), decode_audio=False)
    seen = [
        (name, int(label))
        for batch in DataLoader(data, batch_size=2, num_workers=1)
        for name, label in zip(batch["video_name"], batch["label"], strict=True)
    ]
    expect("videos of the dataset", (12, 12), (len(seen), len(set(seen))))


def transforms(folder: Path) -> None:
    """The recipe of published weights makes a clip ready."""
    import torch
    from torchvision.transforms import Compose

    from pytorchvideo.transforms import (
        ApplyTransformToKey,
        Normalize,
        ShortSideScale,
        UniformTemporalSubsample,
    )

    steps = Compose(
        [UniformTemporalSubsample(4), ShortSideScale(32), Normalize((0.45,) * 3, (0.225,) * 3)]
    )
    out = ApplyTransformToKey("video", steps)({"video": torch.rand(3, 8, 48, 64)})
    expect("transformed", (3, 4, 32, 42), tuple(out["video"].shape))


def model(folder: Path) -> None:
    """A model answers, and answers the same after it was saved and loaded, alone and as a classifier."""
    import torch

    from flash.video import VideoClassifier
    from pytorchvideo.inference.predictor import VideoPredictor
    from pytorchvideo.models import create_model

    clips = torch.rand(1, 3, 4, 160, 160)
    net = create_model("x3d_xs").eval()
    with torch.no_grad():
        before = net(clips)
    expect("scores", (1, 400), tuple(before.shape))
    torch.save(net.state_dict(), folder / "net.pt")
    again = create_model("x3d_xs").eval()
    again.load_state_dict(torch.load(folder / "net.pt", weights_only=True))
    with torch.no_grad():
        expect("the same scores", True, bool(torch.equal(again(clips), before)))
    task = VideoClassifier(labels=["a", "b"], backbone="x3d_xs", pretrained=False)
    task.save(folder / "task.pt")
    predictor = VideoPredictor.from_file(folder / "task.pt")
    expect("labels", ["a", "b"], list(predictor.labels))
    video = next((folder / "data").rglob("*.mp4"))
    expect("an answer", 2, len(predictor.predict(video, clips=1, views=1, top_k=2)))


def graphs(folder: Path) -> None:
    """A model is traced and exported, its first block compiled, with the same scores."""
    import torch

    from pytorchvideo.models import create_model

    clips = torch.rand(1, 3, 4, 64, 64)
    net: Any = create_model("x3d_xs", num_frames=4, crop_size=64).eval()
    stem = net.blocks[0]
    ways: dict[str, tuple[Any, Callable[[], Any]]] = {
        "torch.jit.trace": (net, lambda: torch.jit.trace(net, clips)),
        "torch.export": (net, lambda: torch.export.export(net, (clips,)).module()),
        "torch.compile": (stem, lambda: torch.compile(stem, backend="eager")),
    }
    with torch.no_grad():
        for name, (before, make) in ways.items():
            error = float((make()(clips) - before(clips)).abs().max())
            expect(f"{name}: the same scores", True, error < 1e-4)


def command_line(folder: Path) -> None:
    """The commands work: ``doctor``, ``check``, ``train``, ``predict``."""
    data, out = folder / "data", folder / "run"
    findings = json.loads(run("doctor", "--json"))
    expect("doctor", [], [f for f in findings if f["required"] and not f["works"]])
    run("check", data)
    (data / "bad.mp4").write_bytes(b"no video")
    run("check", data, status=1)
    (data / "bad.mp4").unlink()
    tiny = ("--frames", 4, "--crop", 32, "--epochs", 1, "--clips", 1, "--workers", 0)
    run("train", data, "--out", out, "--no-pretrained", *tiny)
    video = next(data.rglob("*.mp4"))
    answer = run("predict", video, "--run", out)
    expect("predict names a class", True, video.parent.name in answer)


def demo(folder: Path) -> None:
    """Everything end to end."""
    run("demo", "--out", folder / "demo")


def run(*arguments: object, status: int = 0) -> str:
    """What the installed command writes; its exit status must be ``status``."""
    command = [str(Path(sysconfig.get_path("scripts")) / "pytorchvideo"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != status:
        raise SystemExit(
            f"{' '.join(command)}: expected status {status}, but got {done.returncode}\n"
            f"{done.stdout}\n{done.stderr}"
        )
    return done.stdout


if __name__ == "__main__":
    main()
