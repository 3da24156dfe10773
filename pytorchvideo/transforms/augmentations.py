# SPDX-License-Identifier: Apache-2.0
"""Augmentations of colour and geometry for clips (T, C, H, W), by name and magnitude.

Fourteen operations are those of RandAugment (Cubuk et al., arXiv 1909.13719), SolarizeAdd is timm's. Each is drawn once
and applied to all frames at once, through the kernels of torchvision.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torchvision.transforms.v2 import functional as TVF

from pytorchvideo._checks import check_choice, expected, near_names
from pytorchvideo.transforms._random import RandomTransform, happens, integer, uniform

__all__ = ["SAMPLING_DEFAULT_HPARAS", "TRANSFORM_DEFAULT_HPARAS", "AugmentTransform", "affine"]

# Magnitudes of all operations are on this scale.
_MAX_LEVEL = 10.0

# One value for all channels, one for each, or None for black.
Fill = float | Sequence[float] | None


def _fill_values(clip: torch.Tensor, fill: Fill) -> list[float]:
    """A fill colour, given in shares of white or in 8-bit levels, in the units of the clip."""
    values = [fill or 0.0] if isinstance(fill, int | float | None) else list(fill)
    channels = clip.shape[-3]
    if len(set(values)) == 1:
        values = values[:1] * channels
    if len(values) != channels or not 0 <= min(values) <= max(values) <= 255:
        advice = (
            "Shares of white are in [0, 1]; 8-bit levels, above 1 and up to 255, are taken too."
        )
        raise ValueError(expected("fill", f"one value or {channels} of them", fill, advice))
    shares = [value / 255 for value in values] if max(values) > 1 else values
    return shares if clip.is_floating_point() else [float(round(255 * x)) for x in shares]


def affine(
    img: torch.Tensor,
    matrix: Sequence[float],
    interpolation: str = "nearest",
    fill: Fill = None,
) -> torch.Tensor:
    """Moves the pixels of all frames by one affine map; the size stays.

    Args:
        img: (..., C, H, W), uint8 or float in 0..1.
        matrix: (a, b, c, d, e, f). The pixel at ``(x, y)`` of the result comes from
            ``(a x + b y + c, d x + e y + f)`` of the input, in pixels from the centre of the frame.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        fill: colour where nothing comes from: one value or one per channel, as a share of white in
            [0, 1] whatever the dtype (0.5 is 128 in uint8), or in 8-bit levels up to 255. None is black.

    Raises:
        ValueError: not six numbers, an unknown interpolation, or a fill for other channels.

    >>> affine(torch.arange(5.0).expand(1, 1, 5), [1, 0, 2, 0, 1, 0], fill=1)
    tensor([[[2., 3., 4., 1., 1.]]])
    """
    if len(matrix) != 6:
        raise ValueError(expected("matrix", "the six numbers a, b, c, d, e, f", matrix))
    check_choice("interpolation", interpolation, ("nearest", "bilinear"))
    a, b, c, d, e, f = matrix
    # torchvision counts from the corner, and its perspective map without a vanishing point is affine.
    x, y = img.shape[-1] / 2, img.shape[-2] / 2
    from_corner = [a, b, c + x - a * x - b * y, d, e, f + y - d * x - e * y, 0.0, 0.0]
    return TVF.perspective(
        img,
        startpoints=None,
        endpoints=None,
        interpolation=TVF.InterpolationMode(interpolation),
        fill=_fill_values(img, fill),
        coefficients=from_corner,
    )


def _colour(
    kernel: Callable[..., torch.Tensor], clip: torch.Tensor, *arguments: float, **_: Any
) -> torch.Tensor:
    """A kernel that needs no fill colour."""
    return kernel(clip, *arguments)


def _solarize(clip: torch.Tensor, threshold: float, **_: Any) -> torch.Tensor:
    """Inverts what is as bright as a share of white, and brighter; with a share of 1 nothing."""
    if threshold >= 1:
        return clip
    return TVF.solarize(clip, threshold if clip.is_floating_point() else 255 * threshold)


def _solarize_add(clip: torch.Tensor, addition: float, **_: Any) -> torch.Tensor:
    """Adds a share of white to what is darker than half of it."""
    if clip.is_floating_point():
        return torch.where(clip < 128 / 255, (clip + addition).clamp(max=1.0), clip)
    brighter = (clip.int() + int(255 * addition)).clamp(max=255).to(clip.dtype)
    return torch.where(clip < 128, brighter, clip)


def _rotate(clip: torch.Tensor, degrees: float, fill: Fill = None, **_: Any) -> torch.Tensor:
    return TVF.rotate(clip, degrees, fill=_fill_values(clip, fill))


def _shear_x(clip: torch.Tensor, slope: float, fill: Fill = None, **_: Any) -> torch.Tensor:
    return affine(clip, [1, slope, 0, 0, 1, 0], fill=fill)


def _shear_y(clip: torch.Tensor, slope: float, fill: Fill = None, **_: Any) -> torch.Tensor:
    return affine(clip, [1, 0, 0, slope, 1, 0], fill=fill)


def _translate_x(clip: torch.Tensor, share: float, fill: Fill = None, **_: Any) -> torch.Tensor:
    return affine(clip, [1, 0, share * clip.shape[-1], 0, 1, 0], fill=fill)


def _translate_y(clip: torch.Tensor, share: float, fill: Fill = None, **_: Any) -> torch.Tensor:
    return affine(clip, [1, 0, 0, 0, 1, share * clip.shape[-2]], fill=fill)


def increasing(level: float, parameters: Sequence[float]) -> tuple[float, ...]:
    """``base`` at level 0, ``base + max`` at level 10."""
    base, largest = parameters
    return (base + level / _MAX_LEVEL * largest,)


def _decreasing(level: float, parameters: Sequence[float]) -> tuple[float, ...]:
    base, largest = parameters
    return (base - level / _MAX_LEVEL * largest,)


def _fewer_bits(level: float, parameters: Sequence[float]) -> tuple[float, ...]:
    base, largest = parameters
    return (int(base) - int(level / _MAX_LEVEL * largest),)


def _no_argument(level: float, parameters: Sequence[float]) -> tuple[float, ...]:
    return ()


class _Operation(NamedTuple):
    """What a name stands for.

    Attributes:
        function: called as ``function(clip, *arguments, **transform_hparas)``.
        to_arguments: called as ``to_arguments(level, parameters)`` with a level in [0, 10].
        parameters: base and largest change of the argument.
        either_sign: negate the level of every second clip.
    """

    function: Callable[..., torch.Tensor]
    to_arguments: Callable[[float, Sequence[float]], tuple[float, ...]]
    parameters: Sequence[float] = ()
    either_sign: bool = False


def _enhance(kernel: Callable[..., torch.Tensor]) -> _Operation:
    """A factor of 0.1 to 1.9, 1 being no change."""
    return _Operation(partial(_colour, kernel), increasing, (1.0, 0.9), either_sign=True)


def _move(function: Callable[..., torch.Tensor], largest: float) -> _Operation:
    return _Operation(function, increasing, (0.0, largest), either_sign=True)


_OPERATIONS = {
    "AdjustBrightness": _enhance(TVF.adjust_brightness),
    "AdjustContrast": _enhance(TVF.adjust_contrast),
    "AdjustSaturation": _enhance(TVF.adjust_saturation),
    "AdjustSharpness": _enhance(TVF.adjust_sharpness),
    "AutoContrast": _Operation(partial(_colour, TVF.autocontrast), _no_argument),
    "Equalize": _Operation(partial(_colour, TVF.equalize), _no_argument),
    "Invert": _Operation(partial(_colour, TVF.invert), _no_argument),
    "Rotate": _move(_rotate, 30.0),  # degrees
    "Posterize": _Operation(partial(_colour, TVF.posterize), _fewer_bits, (4, 4)),
    "Solarize": _Operation(_solarize, _decreasing, (1.0, 1.0)),
    "ShearX": _move(_shear_x, 0.3),
    "ShearY": _move(_shear_y, 0.3),
    "TranslateX": _move(_translate_x, 0.45),  # share of the width
    "TranslateY": _move(_translate_y, 0.45),
}
OPERATION_NAMES = tuple(_OPERATIONS)
# timm has this one besides those of the paper; 110 of 255 at level 10
_OPERATIONS["SolarizeAdd"] = _Operation(_solarize_add, increasing, (0.0, 110 / 255))
#: The fifteen of timm's strings, in its order of them.
TIMM_NAMES = (
    *("AutoContrast", "Equalize", "Invert", "Rotate", "Posterize", "Solarize", "SolarizeAdd"),
    *("AdjustSaturation", "AdjustContrast", "AdjustBrightness", "AdjustSharpness"),
    *("ShearX", "ShearY", "TranslateX", "TranslateY"),
)

# What a law does not use is of no effect on it.
SAMPLING_DEFAULT_HPARAS: dict[str, Any] = {
    "sampling_std": 0.5,
    "sampling_data_type": "int",
    "sampling_min": 0,
}
TRANSFORM_DEFAULT_HPARAS: dict[str, Any] = {"fill": (0.5, 0.5, 0.5)}
_USED_HPARAS = {
    "gaussian": ("sampling_std",),
    "uniform": ("sampling_data_type", "sampling_min"),
}


def _operation(
    name: str,
    functions: Mapping[str, Callable[..., torch.Tensor]],
    to_arguments: Mapping[str, Callable[..., tuple[float, ...]]],
    parameters: Mapping[str, Sequence[float]],
) -> _Operation:
    """The operation of a name, with the user's own tables before ours."""
    if name not in _OPERATIONS and not (name in functions and name in to_arguments):
        known = {*_OPERATIONS, *functions.keys() & to_arguments.keys()}
        raise ValueError(expected("transform_name", "known", name, near_names(name, known)))
    operation = _OPERATIONS.get(name, _Operation(torch.clone, _no_argument))
    if name in functions:
        operation = operation._replace(function=functions[name])
    if name in to_arguments:
        # A law of one's own draws the sign itself, if it wants one.
        operation = operation._replace(to_arguments=to_arguments[name], either_sign=False)
    return operation._replace(parameters=parameters.get(name, operation.parameters))


def check_values(clip: torch.Tensor, max_value: float) -> None:
    """Refuses what is not frames (..., C, H, W) of grey or RGB, in uint8 or with white at ``max_value``.

    Raises:
        ValueError: another shape or dtype, or values that are far brighter than white.
    """
    if clip.ndim < 3 or clip.shape[-3] not in (1, 3):
        raise ValueError(
            f"Expected frames (T, C, H, W) with 1 or 3 channels, but got shape {tuple(clip.shape)}. "
            "Wrap the transform in OnFrames for a clip (C, T, H, W)."
        )
    if clip.dtype == torch.uint8:
        return
    if not clip.is_floating_point():
        raise ValueError(expected("clip", "uint8 or float", clip.dtype))
    # Twice, as interpolation may overshoot. What is darker than white cannot be told from a dark clip.
    if clip.numel() and (brightest := float(clip.max())) > 2 * max_value:
        raise ValueError(
            f"Expected a float clip in 0..{max_value:g}, but its brightest value is {brightest:g}. "
            "Use max_value=255 for clips as datasets deliver them, and augment before Normalize."
        )


def to_unit(clip: torch.Tensor, max_value: float) -> torch.Tensor:
    """A float clip with white at 1, where torchvision's kernels expect it; uint8 as it is."""
    check_values(clip, max_value)
    return clip / max_value if clip.is_floating_point() and max_value != 1 else clip


def from_unit(clip: torch.Tensor, max_value: float) -> torch.Tensor:
    """The inverse of :func:`to_unit`."""
    return clip * max_value if clip.is_floating_point() and max_value != 1 else clip


class AugmentTransform(RandomTransform):
    """One augmentation, with a random magnitude.

    ==================================  ==============================  ===================
    name                                level 0 to level 10             sign
    ==================================  ==============================  ===================
    AdjustBrightness, AdjustContrast,   factor 1 to 1.9                 drawn: down to 0.1
    AdjustSaturation, AdjustSharpness
    Rotate                              0 to 30 degrees                 drawn
    ShearX, ShearY                      slope 0 to 0.3                  drawn
    TranslateX, TranslateY              0 to 0.45 of the size           drawn
    Posterize                           4 to 0 bits a channel
    Solarize                            inverts from 1 to 0 (of white)
    SolarizeAdd                         0 to 110 of 255 more for dark
    AutoContrast, Equalize, Invert      without a level
    ==================================  ==============================  ===================

    Args:
        transform_name: one of the table, or a name of your own that is in both of the next two.
        magnitude: the level, in [0, 10]: the mean of a Gaussian, or the upper end of a uniform law.
        prob: share of the clips to augment.
        name_to_transform_func: name -> ``f(clip, *arguments, **transform_hparas)``, before ours.
        level_to_arg: name -> ``f(level, parameters)``, which returns ``arguments``, before ours.
        transform_max_paras: name -> ``parameters``, (level 0, largest change), before ours.
        transform_hparas: keywords for the function: ``{"fill": colour}`` for what comes from outside of
            the frame, see :func:`affine`; (0.5, 0.5, 0.5) by default.
        sampling_type: ``"gaussian"``, cut to [0, 10], or ``"uniform"``.
        sampling_hparas: ``{"sampling_std": 0.5}`` of the Gaussian; of the uniform law
            ``{"sampling_data_type": "int", "sampling_min": 0}``, or ``"float"``.
        max_value: white in float clips: 1, or 255 as datasets deliver them. In uint8 it is 255.
        generator: see :class:`~pytorchvideo.transforms._random.RandomTransform`.

    Raises:
        ValueError: an unknown name, or a number outside of its range.

    >>> clip = torch.zeros(8, 3, 4, 5, dtype=torch.uint8)
    >>> AugmentTransform("Invert", prob=1.0)(clip).unique()
    tensor([255], dtype=torch.uint8)
    """

    def __init__(
        self,
        transform_name: str,
        magnitude: float = 10,
        prob: float = 0.5,
        name_to_transform_func: Mapping[str, Callable[..., torch.Tensor]] | None = None,
        level_to_arg: Mapping[str, Callable[..., tuple[float, ...]]] | None = None,
        transform_max_paras: Mapping[str, Sequence[float]] | None = None,
        transform_hparas: Mapping[str, Any] | None = None,
        sampling_type: str = "gaussian",
        sampling_hparas: Mapping[str, Any] | None = None,
        *,
        max_value: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(generator)
        if not 0 <= magnitude <= _MAX_LEVEL:
            raise ValueError(expected("magnitude", f"in [0, {_MAX_LEVEL:g}]", magnitude))
        if not 0 <= prob <= 1:
            raise ValueError(expected("prob", "in [0, 1]", prob))
        if max_value <= 0:
            raise ValueError(expected("max_value", "> 0, the value of white", max_value))
        self.transform_name = transform_name
        self.magnitude = magnitude
        self.prob = prob
        self.max_value = max_value
        self.operation = _operation(
            transform_name,
            name_to_transform_func or {},
            level_to_arg or {},
            transform_max_paras or {},
        )
        self.transform_hparas = {**TRANSFORM_DEFAULT_HPARAS, **(transform_hparas or {})}
        check_choice("sampling_type", sampling_type, _USED_HPARAS)
        self.sampling_type = sampling_type
        hparas = {**SAMPLING_DEFAULT_HPARAS, **(sampling_hparas or {})}
        for name in hparas:
            check_choice("sampling_hparas", name, SAMPLING_DEFAULT_HPARAS)
        self.sampling_hparas = {name: hparas[name] for name in _USED_HPARAS[sampling_type]}

    def _level(self) -> float:
        hparas, generator = self.sampling_hparas, self.generator
        if self.sampling_type == "gaussian":
            drawn = torch.randn((), generator=generator).item() * hparas["sampling_std"]
            return min(max(self.magnitude + drawn, 0.0), _MAX_LEVEL)
        low = hparas["sampling_min"]
        if hparas["sampling_data_type"] == "int":
            return float(integer(low, int(self.magnitude), generator))
        return uniform(low, self.magnitude, generator)

    def augment(self, clip: torch.Tensor) -> torch.Tensor:
        """:meth:`forward` for clips with white at 1, or uint8, without looking at the values."""
        if not happens(self.prob, self.generator):
            return clip
        function, to_arguments, parameters, either_sign = self.operation
        level = self._level()
        if either_sign and happens(0.5, self.generator):
            level = -level
        return function(clip, *to_arguments(level, parameters), **self.transform_hparas)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(T, C, H, W), or with more axes in front, which share the parameters; same dtype."""
        return from_unit(self.augment(to_unit(x, self.max_value)), self.max_value)

    def extra_repr(self) -> str:
        return (
            f"{self.transform_name!r}, magnitude={self.magnitude}, prob={self.prob}, "
            f"transform_hparas={self.transform_hparas}, sampling_type={self.sampling_type!r}, "
            f"sampling_hparas={self.sampling_hparas}, max_value={self.max_value}"
        )
