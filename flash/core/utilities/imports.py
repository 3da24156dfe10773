# SPDX-License-Identifier: Apache-2.0
"""Flags of the optional packages, in Flash's names (``_KORNIA_AVAILABLE``), and ``requires``."""

import functools
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

# what the parts of Flash asked for
_EXTRAS = {
    "audio": ("torchaudio",),
    "image": ("torchvision", "PIL", "kornia"),
    "serve": ("gradio",),
    "video": ("torchvision", "PIL", "pytorchvideo", "kornia"),
}
_PACKAGES = {
    "cv2": "opencv-python",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
}


def module_available(path: str) -> bool:
    """Whether a module can be imported, which is not done.

    >>> module_available("pytorchvideo"), module_available("pytorchvideo.nothing"), module_available("no.such")
    (True, False, False)
    """
    try:
        return find_spec(path) is not None
    except ModuleNotFoundError:  # of a parent
        return False


def requires(*names: str) -> Callable[[F], F]:
    """Decorates what needs packages: a call raises a ModuleNotFoundError that says how to install those that lack.

    Args:
        names: of packages, or ``"video"``, ``"image"``, ``"audio"``, ``"serve"`` for all that such a task needs.
    """
    needed = [name for given in names for name in _EXTRAS.get(given, (given,))]

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            if lacking := [name for name in needed if not module_available(name)]:
                packages = " ".join(_PACKAGES.get(name, name) for name in lacking)
                raise ModuleNotFoundError(
                    f"{function.__name__} needs {', '.join(lacking)}. Install with pip install {packages}."
                )
            return function(*args, **kwargs)

        return checked  # type: ignore[return-value]

    return decorate


def _all_available(extra: str) -> bool:
    return all(module_available(name) for name in _EXTRAS[extra])


_AUDIO_AVAILABLE = _all_available("audio")
_CV2_AVAILABLE = module_available("cv2")
_FIFTYONE_AVAILABLE = module_available("fiftyone")
_IMAGE_AVAILABLE = _all_available("image")
_KORNIA_AVAILABLE = module_available("kornia")
_MATPLOTLIB_AVAILABLE = module_available("matplotlib")
_PANDAS_AVAILABLE = module_available("pandas")
_PIL_AVAILABLE = module_available("PIL")
_PYTORCHVIDEO_AVAILABLE = module_available("pytorchvideo")
_SERVE_AVAILABLE = _all_available("serve")
_SKLEARN_AVAILABLE = module_available("sklearn")
_TIMM_AVAILABLE = module_available("timm")
_TORCHAUDIO_AVAILABLE = module_available("torchaudio")
_TORCHVISION_AVAILABLE = module_available("torchvision")
_TORCH_AVAILABLE = module_available("torch")
_TRANSFORMERS_AVAILABLE = module_available("transformers")
_VIDEO_AVAILABLE = _all_available("video")
