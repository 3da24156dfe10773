# SPDX-License-Identifier: Apache-2.0
"""The records of all published weights, a table for each data set.

Scores, multiply-adds and addresses are those of the model zoo that the weights were published in; parameters
are counted on our models, as are the multiply-adds of ``i3d_inception``.
"""

from pytorchvideo.models._labels import class_names
from pytorchvideo.models._weights import ClipRecipe, Weights

_ZOO = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo"
_ZOO_SOURCE = "PyTorchVideo model zoo"
_30_VIEWS = (
    "Kinetics-400 validation videos, 10 clips x 3 crops a video, scores averaged; as published"
)

# name: file, frames, sampling rate, side, top-1, top-5, multiply-adds of a view in 10^9, parameters
_KINETICS400 = {
    "c2d_r50": ("C2D_8x8_R50.pyth", 8, 8, 256, 71.46, 89.68, 25.89, 24_327_632),
    "i3d_r50": ("I3D_8x8_R50.pyth", 8, 8, 256, 73.27, 90.70, 37.53, 28_043_472),
    "slow_r50": ("SLOW_8x8_R50.pyth", 8, 8, 256, 74.58, 91.63, 54.52, 32_454_096),
    "x3d_xs": ("X3D_XS.pyth", 4, 12, 182, 69.12, 88.63, 0.91, 3_794_274),
    "x3d_s": ("X3D_S.pyth", 13, 6, 182, 73.33, 91.27, 2.96, 3_794_274),
    "x3d_m": ("X3D_M.pyth", 16, 5, 256, 75.94, 92.72, 6.72, 3_794_274),
    "x3d_l": ("X3D_L.pyth", 16, 5, 356, 77.44, 93.31, 26.64, 6_153_384),
}

# The network was trained on 64 frames in a row at 25 a second and tested on whole videos of 10 seconds (arXiv
# 1705.07750, section 4.1). 64 frames over 10 seconds are the cheapest clip that covers such a video.
_I3D_INCEPTION = Weights(
    name="i3d_inception",
    url=None,
    sha256="d453eaed6e8514c91d4c1fea24e4ccfac7557ff4fbd3adeebbccfff4daaab7b5",
    recipe=ClipRecipe(
        num_frames=64,
        sampling_rate=5,
        side_size=256,
        crop_size=224,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    ),
    labels=class_names("kinetics400"),
    metrics={"top1": 71.1},
    protocol="Kinetics-400 test videos, RGB stream, all frames of a video in one clip; as published",
    gflops=111.15,
    num_parameters=12_697_264,
    licence="MIT",
    source="I3D RGB, ImageNet and Kinetics-400, arXiv 1705.07750, converted from TensorFlow",
)


def _kinetics400(name: str) -> Weights:
    file, frames, rate, side, top1, top5, gflops, num_parameters = _KINETICS400[name]
    return Weights(
        name=name,
        url=f"{_ZOO}/kinetics/{file}",
        sha256=None,
        recipe=ClipRecipe(num_frames=frames, sampling_rate=rate, side_size=side, crop_size=side),
        labels=class_names("kinetics400"),
        metrics={"top1": top1, "top5": top5},
        protocol=_30_VIEWS,
        gflops=gflops,
        num_parameters=num_parameters,
        licence="Apache-2.0",
        source=_ZOO_SOURCE,
    )


WEIGHTS: dict[str, Weights] = {name: _kinetics400(name) for name in _KINETICS400}
WEIGHTS["i3d_inception"] = _I3D_INCEPTION
