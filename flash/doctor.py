# SPDX-License-Identifier: Apache-2.0
"""What works here and what does not, found out by using each thing, with the reason when it fails."""

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@dataclass(frozen=True)
class Finding:
    """One thing that was tried.

    Args:
        name: what was tried.
        works: whether it did what it is for.
        detail: versions and facts, or the reason why it does not work.
        required: whether the library needs it; the others come with an extra.
    """

    name: str
    works: bool
    detail: str
    required: bool = True

    def to_dict(self) -> dict[str, object]:
        """Returns the fields as plain types."""
        return asdict(self)


def diagnose() -> list[Finding]:
    """Tries everything the library can use and returns what came of it.

    The optional packages are tried in a process of their own: one that crashes on import is then a line of the table.
    """
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "tiny.mp4"
        written = _attempt("write a video", lambda: _write_video(video))
        findings = [
            _attempt("Python", lambda: f"{platform.python_version()} on {platform.platform()}"),
            _attempt("torch", _torch),
            _attempt("CUDA", _cuda, required=False),
            *(_attempt(name, _versions(*modules)) for name, modules in _REQUIRED.items()),
            _attempt("PyAV", _pyav),
            written,
            _attempt("read a video", lambda: _read_video(video, "pyav")),
        ]
        findings += [
            _attempt_apart(name, code.format(video=str(video))) for name, code in _OPTIONAL.items()
        ]
    return findings


def environment() -> dict[str, str]:
    """Returns the versions and the machine that a report names; quick, tries nothing."""
    found = {"Python": platform.python_version(), "system": platform.platform()}
    packages = ("pytorchvideo", "torch", "torchvision", "pytorch-lightning", "torchmetrics", "av")
    for package in (*packages, "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    import torch

    found["device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    found["processors"] = f"{_processors()} ({torch.get_num_threads()} used by torch)"
    return found


_REQUIRED = {
    "torchvision": ("torchvision",),
    "Lightning": ("pytorch_lightning", "torchmetrics"),
    "matplotlib, Pillow": ("matplotlib", "PIL"),
    "command line": ("typer", "rich"),
}
_FROM_VIDEO = (
    "import torchcodec; from torchcodec.decoders import VideoDecoder; "
    "n = VideoDecoder({video!r}).metadata.num_frames; "
    "print(torchcodec.__version__ + f': opened a video of {{n}} frames')"
)
_OPTIONAL = {
    "torchcodec": _FROM_VIDEO,
    "kornia": "import kornia; print(kornia.__version__)",
    "transformers": "import transformers; print(transformers.__version__)",
    "huggingface_hub": "import huggingface_hub; print(huggingface_hub.__version__)",
    "gradio": "import gradio; print(gradio.__version__)",
    "onnx, onnxruntime": "import onnx, onnxruntime; "
    "print(onnx.__version__, onnxruntime.__version__)",
    "openvino, nncf": "import openvino, nncf; print(openvino.__version__, nncf.__version__)",
    "executorch, torchao": "from importlib.metadata import version; "
    "from executorch.runtime import Runtime; import torchao; "
    "Runtime.get(); print(version('executorch'), version('torchao'))",
    "ray": "import ray; print(ray.__version__)",
}


def _attempt(name: str, use: Callable[[], str], required: bool = True) -> Finding:
    """Runs ``use``; whatever it raises is the finding, since a broken install can raise anything."""
    try:
        return Finding(name, True, use(), required)
    except Exception as error:  # noqa: BLE001
        return Finding(name, False, _one_line(error), required)


def _attempt_apart(name: str, code: str) -> Finding:
    """Runs ``code`` in a new interpreter and reports its last line, or the last line of its failure."""
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    if answer.returncode == 0:
        return Finding(name, True, answer.stdout.strip().splitlines()[-1], required=False)
    said = [line for line in answer.stderr.splitlines() if line.strip()]
    reason = said[-1].strip() if said else f"the process ended with status {answer.returncode}"
    for line in said:
        # torchcodec's message is long: the line that names the missing library is what matters
        if "libavutil" in line or "cannot open shared object" in line:
            reason = line.strip()
            break
    if "No module named" in reason:
        reason = "not installed"
    return Finding(name, False, reason[:300], required=False)


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:300]


def _versions(*modules: str) -> Callable[[], str]:
    def report() -> str:
        loaded = [import_module(name) for name in modules]
        return ", ".join(
            f"{module.__name__} {version(_DISTRIBUTIONS.get(module.__name__, module.__name__))}"
            for module in loaded
        )

    return report


_DISTRIBUTIONS = {"PIL": "pillow", "pytorch_lightning": "pytorch-lightning"}


def _processors() -> int:
    """The processors this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _torch() -> str:
    import torch

    # a convolution, not an import alone: a broken build shows here
    torch.nn.functional.conv3d(torch.zeros(1, 1, 2, 4, 4), torch.zeros(1, 1, 2, 2, 2))
    return f"{torch.__version__}, {torch.get_num_threads()} of {_processors()} processors"


def _cuda() -> str:
    import torch

    if not torch.backends.cuda.is_built():
        raise RuntimeError("this build of torch has no CUDA; the CPU is used")
    if not torch.cuda.is_available():
        raise RuntimeError("no usable NVIDIA driver or device; the CPU is used")
    torch.zeros(1, device="cuda").add_(1).item()
    return f"CUDA {torch.version.cuda}, {torch.cuda.get_device_name()}"


def _pyav() -> str:
    from pytorchvideo.data._decode._pyav import versions

    return versions()


def _write_video(path: Path) -> str:
    import numpy as np

    from flash.demo import available_encoders, write_motion_video

    names = [name for name, _ in available_encoders()]
    write_motion_video(path, "rising", np.random.default_rng(0), size=(10, 64, 48), seconds=1.0)
    return f"{path.stat().st_size} bytes; encoders {', '.join(names)}"


def _read_video(path: Path, decoder: str) -> str:
    from pytorchvideo.data.encoded_video import EncodedVideo

    with EncodedVideo.from_path(str(path), decoder=decoder) as video:
        clip = video.get_clip(0, video.duration)
    if clip["video"] is None or clip["audio"] is None:
        raise RuntimeError("no pictures or no sound came out of a video that was just written")
    return f"pictures {tuple(clip['video'].shape)}, sound {tuple(clip['audio'].shape)}"
