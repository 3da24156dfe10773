# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all tests: small real videos written by PyAV, the shared real data, and a guard on random state."""

import os
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import av
import numpy as np
import pytest
import torch
from hypothesis import settings

from pytorchvideo.data.synthetic import MOTIONS, write_motion_video
from pytorchvideo.models._registry import create_model
from pytorchvideo.models.accelerator.mobile_cpu import efficient_x3d
from pytorchvideo.models.pretrained import PretrainedModel
from pytorchvideo.models.resnet import STAGE_DEPTHS
from pytorchvideo.transforms.clip_recipe import ClipRecipe

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # as on Windows
    fcntl = None

REPO = Path(__file__).resolve().parent.parent
SHARED = REPO.parent / "shared"

# no test asks the network for weights, nor do the commands that it starts
os.environ.setdefault("PYTORCHVIDEO_OFFLINE", "1")
# processes of pytest-xdist share the processors; theirs do, too
WORKER = "PYTEST_XDIST_WORKER" in os.environ
if WORKER:
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
# how long an example takes is a matter of the machine; tests of time say so themselves
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

torch.set_num_threads(1 if WORKER else max(1, min(2, torch.get_num_threads())))


@pytest.fixture(scope="session")
def _turns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IO[str], IO[str]] | None]:
    """Two files that all processes of pytest-xdist lock: who is next, and who runs."""
    if fcntl is None or not WORKER:
        yield None
        return
    folder = tmp_path_factory.getbasetemp().parent
    with open(folder / "next.lock", "w") as line, open(folder / "running.lock", "w") as running:
        yield line, running


@pytest.fixture(autouse=True)
def _serial(
    request: pytest.FixtureRequest, _turns: tuple[IO[str], IO[str]] | None
) -> Iterator[None]:
    """While a test marked ``serial`` runs, no other one does."""
    if fcntl is None or _turns is None:
        yield
        return
    line, running = _turns
    alone = request.node.get_closest_marker("serial") is not None
    fcntl.flock(line, fcntl.LOCK_EX)  # without it, those that run together could go on for ever
    fcntl.flock(running, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
    fcntl.flock(line, fcntl.LOCK_UN)
    try:
        yield
    finally:
        # said, not left to the end of the file: processes that a test has forked hold it, too
        fcntl.flock(running, fcntl.LOCK_UN)


@pytest.fixture(autouse=True)
def _no_leaked_rng() -> Iterator[None]:
    """Every test starts from the same random state and leaves it as it was."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        yield
    random.setstate(python_state)
    np.random.set_state(numpy_state)  # noqa: NPY002


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real clips beside the repository; tests that need it are skipped where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the shared data folder is not there")
    return SHARED / "data"


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """The folder of real weights beside the repository."""
    if not (SHARED / "weights").is_dir():
        pytest.skip("the shared weights folder is not there")
    return SHARED / "weights"


@pytest.fixture(scope="module")
def run_ranks(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, int], list[Any]]:
    """``run_ranks("function", 2)``: what a function of the test module returns in each process of a gloo group."""

    def run(function: str, world_size: int) -> list[Any]:
        folder = tmp_path_factory.mktemp(function)
        command = [sys.executable, str(REPO / "tests" / "ranks.py"), str(request.path), function]
        # The folder of ranks.py, which comes first in the path, has some of the names of the packages.
        environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(REPO)}
        done = subprocess.run(
            [*command, str(world_size), str(folder)],
            capture_output=True,
            text=True,
            timeout=300,
            # what another test in this process has seeded is no seed of theirs
            env={k: v for k, v in os.environ.items() if k != "PL_GLOBAL_SEED"} | environment,
        )
        assert done.returncode == 0, done.stderr
        return [torch.load(folder / f"{rank}.pt") for rank in range(world_size)]

    return run


def moving_square(num_frames: int, height: int, width: int) -> np.ndarray:
    """Frames uint8 (T, H, W, 3): a bright square that moves right over a gradient, every frame different."""
    rows, cols = np.mgrid[0:height, 0:width]
    frames = np.empty((num_frames, height, width, 3), np.uint8)
    for t in range(num_frames):
        frames[t, ..., 0] = (rows * 255 // max(height - 1, 1)).astype(np.uint8)
        frames[t, ..., 1] = (cols * 255 // max(width - 1, 1)).astype(np.uint8)
        frames[t, ..., 2] = (t * 7) % 256
        x = (t * 3) % max(width - 8, 1)
        frames[t, height // 3 : height // 3 + 8, x : x + 8] = 255
    return frames


def write_video(
    path: Path,
    *,
    num_frames: int = 30,
    fps: int = 30,
    height: int = 48,
    width: int = 64,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    audio_rate: int | None = None,
    frames: np.ndarray | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Writes a video with PyAV; ``frames`` (T, H, W, 3) uint8 or a moving square; a 440 Hz tone on request."""
    frames = moving_square(num_frames, height, width) if frames is None else frames
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.width, stream.height = frames.shape[2], frames.shape[1]
        stream.pix_fmt = "yuv420p"
        sound = None
        if audio_rate is not None:
            sound = container.add_stream("aac", rate=audio_rate, layout="mono")
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
        if sound is not None:
            seconds = Fraction(len(frames), fps)
            t = np.arange(int(seconds * audio_rate)) / audio_rate
            tone = (0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
            for start in range(0, len(tone), 1024):
                chunk = av.AudioFrame.from_ndarray(
                    tone[None, start : start + 1024], format="fltp", layout="mono"
                )
                chunk.sample_rate, chunk.pts = audio_rate, start
                chunk.time_base = Fraction(1, audio_rate)
                container.mux(sound.encode(chunk))
            container.mux(sound.encode(None))
    return path


def _huge_png(width: int, height: int) -> bytes:
    """A black picture of one bit a pixel; each side is a multiple of 100."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    pack = zlib.compressobj(9)
    rows = bytes(100 * (1 + (width + 7) // 8))
    data = b"".join([*(pack.compress(rows) for _ in range(height // 100)), pack.flush()])
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", data), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.fixture(scope="session")
def make_bomb(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``make_bomb("a.mov")`` -> three seconds of 16000x15000 in a third of a megabyte; ``.png`` is one picture."""
    folder = tmp_path_factory.mktemp("bombs")

    def make(name: str, width: int = 16000, height: int = 15000) -> Path:
        path = folder / name
        picture = _huge_png(width, height)
        if path.suffix == ".png":
            path.write_bytes(picture)
            return path
        with av.open(str(path), "w") as container:
            stream = container.add_stream("png", rate=4)
            stream.width, stream.height, stream.pix_fmt = width, height, "monob"
            for number in range(12):
                packet = av.Packet(picture)
                packet.stream, packet.time_base = stream, Fraction(1, 4)
                packet.pts = packet.dts = number
                packet.is_keyframe = True
                container.mux(packet)
        return path

    return make


@pytest.fixture(scope="session")
def make_video(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``make_video("a.mp4", num_frames=30)`` -> a path; same file for same arguments. See :func:`write_video`."""
    folder = tmp_path_factory.mktemp("videos")
    written: dict[Path, str] = {}

    def make(name: str = "video.mp4", *, folder: Path = folder, **kwargs: object) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or written.get(path) != repr(kwargs):
            write_video(path, **kwargs)  # type: ignore[arg-type]
            written[path] = repr(kwargs)
        return path

    return make


@pytest.fixture(scope="session")
def shallow() -> Callable[[], AbstractContextManager[None]]:
    """``with shallow(): create_model("c2d_r50")``: networks of five or six blocks from the code of the deep ones."""

    @contextmanager
    def few_blocks() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            # the second block of a stage is another one than the first
            patch.setitem(STAGE_DEPTHS, 50, (2, 1, 1, 1))
            patch.setitem(efficient_x3d._DEPTH_FACTORS, "XS", 0.4)
            yield

    return few_blocks


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six videos of each of two motions, three sources of each."""
    root = tmp_path_factory.mktemp("data")
    for number, label in enumerate(MOTIONS[:2]):
        (root / label).mkdir()
        for i in range(6):
            path = root / label / f"source{i // 2}_{i}.mp4"
            generator = np.random.default_rng([number, i])
            write_motion_video(path, label, generator, size=(8, 64, 48), seconds=1.0)
    return root


@pytest.fixture(scope="session")
def make_model_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``make_model_file(recipe, labels, **kwargs)``: a small X3D with random weights, as a run writes it."""

    def make(recipe: ClipRecipe, labels: Sequence[str] = ("run", "walk"), **kwargs: Any) -> Path:
        path = tmp_path_factory.mktemp("model") / "model.pt"
        arguments = {"num_frames": recipe.num_frames, "crop_size": recipe.crop_size, **kwargs}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = create_model("x3d_xs", num_classes=len(labels), **arguments)
        PretrainedModel(model, "x3d_xs", recipe, arguments, tuple(labels)).save(path)
        return path

    return make
