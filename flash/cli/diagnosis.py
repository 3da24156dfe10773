# SPDX-License-Identifier: Apache-2.0
"""Checks of the installation: each dependency is tried by use, with the reason when it fails.

``pytorchvideo doctor`` shows it. ``python -m flash.cli.diagnosis`` says the same where the command does not start.
"""

import io
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from flash.cli import bounds as _bounds
from flash.runs.environment import processors


@dataclass(frozen=True)
class Finding:
    """One thing that was tried.

    Args:
        name: what was tried.
        works: whether it did what it is for.
        detail: versions and facts, or the reason why it does not work.
        required: whether the library needs it; the others come with an extra.
        install: what to give to ``pip install`` where it does not work.
    """

    name: str
    works: bool
    detail: str
    required: bool = True
    install: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Returns the fields as plain types."""
        return asdict(self)


def diagnose() -> list[Finding]:
    """Tries everything the library can use and returns what came of it.

    A version that the bounds of ``pyproject.toml`` leave out is a finding, too. The optional packages are tried in
    processes of their own: one that crashes on import is then a line of the table.
    """
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "tiny.mp4"
        findings = [
            _attempt("Python", lambda: f"{platform.python_version()} on {platform.platform()}"),
            _attempt("CUDA", _cuda, required=False),
            *(_attempt(name, use, packages=needs) for name, (needs, use) in _REQUIRED.items()),
            _attempt("write a video", lambda: _write_video(video), packages=("av",)),
            _attempt("read a video", lambda: _read_video(video, "pyav"), packages=("av",)),
        ]
        tries = [(name, code.format(video=str(video))) for name, code in _OPTIONAL.items()]
        with ThreadPoolExecutor(processors()) as pool:
            findings += pool.map(lambda one: _attempt_apart(*one), tries)
    return findings


def advice(findings: Iterable[Finding]) -> str:
    """Returns the sentence that says what to install so that every required part works; "" if all do."""
    broken = [finding for finding in findings if finding.required and not finding.works]
    packages = sorted({shlex.quote(one) for finding in broken for one in finding.install})
    if packages:
        return f"To mend what is broken: pip install --upgrade {' '.join(packages)}"
    return "What is broken is no package: see its reason." if broken else ""


_PATIENCE_SEC = 120
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


def _attempt(
    name: str, use: Callable[[], str], required: bool = True, packages: tuple[str, ...] = ()
) -> Finding:
    """Runs ``use``; whatever it raises is the finding, since a broken install can raise anything."""
    complaints, missing = [], packages
    try:
        detail = use()
    except Exception as error:  # noqa: BLE001
        complaints.append(_one_line(error))
        module = error.name if isinstance(error, ModuleNotFoundError) else None
        package = _DISTRIBUTIONS.get(module or "", module or "")
        if package and _bounds.is_stated(package):
            missing = (package,)  # what this part builds on
    for package in packages:
        with suppress(
            PackageNotFoundError
        ):  # of a package that is not there, what was tried says so
            complaints += filter(None, [_bounds.complaint(package)])
    if complaints:
        install = tuple(map(_bounds.requirement, missing))
        return Finding(name, False, "; ".join(complaints), required, install)
    return Finding(name, True, detail, required)


def _attempt_apart(name: str, code: str) -> Finding:
    """Runs ``code`` in a new interpreter and reports its last line, or the last line of its failure."""
    packages = [package for package in name.split(", ") if _bounds.is_stated(package)]
    install = tuple(map(_bounds.requirement, packages))
    try:
        answer = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SEC,
            check=False,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
    except subprocess.TimeoutExpired:
        reason = f"no answer within {_PATIENCE_SEC} s"
        return Finding(name, False, reason, required=False, install=install)
    if answer.returncode == 0:
        detail = answer.stdout.strip().splitlines()[-1]
        if complaints := [said for said in map(_bounds.complaint, packages) if said]:
            detail = "; ".join(complaints)
            return Finding(name, False, detail, required=False, install=install)
        return Finding(name, True, detail, required=False)
    return Finding(name, False, _reason(answer), required=False, install=install)


def _reason(answer: "subprocess.CompletedProcess[str]") -> str:
    said = [line for line in answer.stderr.splitlines() if line.strip()]
    reason = said[-1].strip() if said else f"the process ended with status {answer.returncode}"
    for line in said:
        # torchcodec's message is long: the line that names the missing library is what matters
        if "libavutil" in line or "cannot open shared object" in line:
            reason = line.strip()
            break
    return "not installed" if "No module named" in reason else reason[:300]


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:300]


# the names of modules that are not the ones of their packages
_DISTRIBUTIONS = {"PIL": "pillow", "pytorch_lightning": "pytorch-lightning"}


def _torch() -> str:
    import torch

    # a convolution, not an import alone: a broken build shows here
    torch.nn.functional.conv3d(torch.zeros(1, 1, 2, 4, 4), torch.zeros(1, 1, 2, 2, 2))
    return f"{torch.__version__}, {torch.get_num_threads()} of {processors()} processors"


def _cuda() -> str:
    import torch

    if not torch.backends.cuda.is_built():
        raise RuntimeError("this build of torch has no CUDA; the CPU is used")
    if not torch.cuda.is_available():
        raise RuntimeError("no usable NVIDIA driver or device; the CPU is used")
    torch.zeros(1, device="cuda").add_(1).item()
    return f"CUDA {torch.version.cuda}, {torch.cuda.get_device_name()}"


def _torchvision() -> str:
    import torch
    from torchvision.ops import nms
    from torchvision.transforms.v2 import functional

    # a compiled operator, which the one of another torch does not have, and a resampling
    nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1), 0.5)
    functional.resize(torch.zeros(1, 3, 4, 4), [2, 2], antialias=True)
    return version("torchvision")


def _lightning() -> str:
    import torch
    from pytorch_lightning import LightningModule
    from torchmetrics.classification import MulticlassAccuracy

    LightningModule()
    MulticlassAccuracy(num_classes=2)(torch.tensor([0, 1]), torch.tensor([0, 1]))
    return _versions("pytorch-lightning", "torchmetrics")


def _pictures() -> str:
    from matplotlib.figure import Figure
    from PIL import Image

    page = io.BytesIO()
    Figure(figsize=(1, 1)).savefig(page, format="png", dpi=10)
    Image.open(page).convert("RGB")
    return _versions("matplotlib", "pillow")


def _command_line() -> str:
    import typer
    from rich.console import Console
    from rich.table import Table

    app = typer.Typer()
    app.command()(lambda: None)
    typer.main.get_command(app)
    Console(file=io.StringIO()).print(Table("", "what"))
    return _versions("typer", "rich")


def _files() -> str:
    import fsspec
    import numpy as np
    import torch
    from safetensors.torch import load, save

    with fsspec.open("memory://doctor/tensor", "wb") as file:
        file.write(save({"x": torch.from_numpy(np.arange(3))}))
    with fsspec.open("memory://doctor/tensor", "rb") as file:
        load(file.read())
    return _versions("numpy", "fsspec", "safetensors")


def _pyav() -> str:
    from pytorchvideo.data._decode._pyav import versions

    return versions()


_REQUIRED: dict[str, tuple[tuple[str, ...], Callable[[], str]]] = {
    "torch": (("torch",), _torch),
    "torchvision": (("torchvision",), _torchvision),
    "Lightning": (("pytorch-lightning", "torchmetrics"), _lightning),
    "matplotlib, Pillow": (("matplotlib", "pillow"), _pictures),
    "command line": (("typer", "rich"), _command_line),
    "files": (("numpy", "fsspec", "safetensors"), _files),
    "PyAV": (("av",), _pyav),
}


def _versions(*packages: str) -> str:
    return ", ".join(f"{package} {version(package)}" for package in packages)


def _write_video(path: Path) -> str:
    import numpy as np

    from pytorchvideo.data.synthetic import available_encoders, write_motion_video

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


def main() -> None:
    """Writes the findings without the packages that the command line needs; the status is 1 if a part is broken."""
    findings = diagnose()
    lines = [
        f"{'ok' if f.works else 'BROKEN' if f.required else '-'}\t{f.name}\t{f.detail}"
        for f in findings
    ]
    sys.stdout.write("\n".join([*lines, advice(findings)]).rstrip() + "\n")
    sys.exit(any(finding.required and not finding.works for finding in findings))


if __name__ == "__main__":
    main()
