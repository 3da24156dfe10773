# SPDX-License-Identifier: Apache-2.0
"""The records of all published weights, a table for each data set.

Scores, multiply-adds and addresses are those of the model zoo that the weights were published in; parameters
are counted on our models, as are the multiply-adds of ``i3d_inception``.
"""

from dataclasses import replace

from pytorchvideo.models._labels import class_names
from pytorchvideo.models._weights import ClipRecipe, Weights

_ZOO = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo"
_ZOO_SOURCE = "PyTorchVideo model zoo"
_30_VIEWS = (
    "Kinetics-400 validation videos, 10 clips x 3 crops a video, scores averaged; as published"
)
_5_VIEWS = "Kinetics-400 validation videos, 5 clips x 1 crop a video, scores averaged; as published"

# name: file, frames, sampling rate, side, top-1, top-5, multiply-adds of a view in 10^9, parameters
_KINETICS400 = {
    "c2d_r50": ("C2D_8x8_R50.pyth", 8, 8, 256, 71.46, 89.68, 25.89, 24_327_632),
    "i3d_r50": ("I3D_8x8_R50.pyth", 8, 8, 256, 73.27, 90.70, 37.53, 28_043_472),
    "slow_r50": ("SLOW_8x8_R50.pyth", 8, 8, 256, 74.58, 91.63, 54.52, 32_454_096),
    "x3d_xs": ("X3D_XS.pyth", 4, 12, 182, 69.12, 88.63, 0.91, 3_794_274),
    "x3d_s": ("X3D_S.pyth", 13, 6, 182, 73.33, 91.27, 2.96, 3_794_274),
    "x3d_m": ("X3D_M.pyth", 16, 5, 256, 75.94, 92.72, 6.72, 3_794_274),
    "x3d_l": ("X3D_L.pyth", 16, 5, 356, 77.44, 93.31, 26.64, 6_153_384),
    "mvit_base_16x4": ("MVIT_B_16x4.pyth", 16, 4, 224, 78.85, 93.85, 70.80, 36_610_672),
    "mvit_base_32x3": ("MVIT_B_32x3_f294077834.pyth", 32, 3, 224, 80.30, 94.69, 170.37, 36_611_440),
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

# A model of pictures; a picture is taken from a video as a clip of one frame. How many classes the file has, and
# which, is not published with it.
_MVIT_IMAGE = Weights(
    name="mvit_base_16",
    url=f"{_ZOO}/imagenet/MVIT_B_16_f292487636.pyth",
    sha256=None,
    recipe=ClipRecipe(
        num_frames=1,
        sampling_rate=1,
        side_size=256,
        crop_size=224,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
    labels=(),
    metrics={"top1": 83.0},
    protocol="ImageNet validation pictures; as published",
    gflops=7.84,
    num_parameters=36_521_296,
    licence="Apache-2.0",
    source=_ZOO_SOURCE,
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
WEIGHTS["mvit_base_16"] = _MVIT_IMAGE
for _name in ("mvit_base_16x4", "mvit_base_32x3"):
    # arXiv 2104.11227, section 4: one crop of 224 pixels from a short side of 256.
    _recipe = replace(WEIGHTS[_name].recipe, side_size=256)
    WEIGHTS[_name] = replace(WEIGHTS[_name], recipe=_recipe, protocol=_5_VIEWS)
