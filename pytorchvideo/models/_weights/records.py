# SPDX-License-Identifier: Apache-2.0
"""Records of all published weights, a table for each data set.

Scores, multiply-adds and addresses are those of the model zoo that the weights were published in; parameters
are counted on our models, as are the multiply-adds of ``i3d_inception``, EfficientX3D and the models for AVA.
"""

from typing import NamedTuple

from pytorchvideo.models._weights.labels import class_names
from pytorchvideo.models._weights.weights import Weights
from pytorchvideo.transforms.clip_recipe import ClipRecipe

_ZOO = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo"
_ZOO_SOURCE = "PyTorchVideo model zoo"
_PROTOCOLS = {
    "kinetics400, unknown views": "Kinetics-400 validation videos, views not published",
    "kinetics400, 5 views": "Kinetics-400 validation videos, 5 clips x 1 crop a video, scores averaged; as published",
    "kinetics400": "Kinetics-400 validation videos, 10 clips x 3 crops a video, scores averaged; as published",
    "ssv2": "Something-Something V2 validation videos, 1 clip x 3 crops a video, scores averaged; as published",
    "charades": "Charades validation videos, 10 clips x 3 crops a video; as published",
    "ava": "AVA v2.2 validation videos; as published",
}


class _Row(NamedTuple):
    """Weights of the zoo; ``frames`` are those of the pathway with most, ``gflops`` those of a view."""

    file: str
    frames: int
    sampling_rate: int
    side: int
    metrics: dict[str, float]
    gflops: float
    num_parameters: int
    pathway_ratio: tuple[int, ...] | None = None
    crop_size: int | None = None


def _top(top1: float, top5: float) -> dict[str, float]:
    return {"top1": top1, "top5": top5}


_KINETICS400 = {
    "c2d_r50": _Row("C2D_8x8_R50.pyth", 8, 8, 256, _top(71.46, 89.68), 25.89, 24_327_632),
    "i3d_r50": _Row("I3D_8x8_R50.pyth", 8, 8, 256, _top(73.27, 90.70), 37.53, 28_043_472),
    "slow_r50": _Row("SLOW_8x8_R50.pyth", 8, 8, 256, _top(74.58, 91.63), 54.52, 32_454_096),
    "slow_r50_4x16": _Row("SLOW_4x16_R50.pyth", 4, 16, 256, _top(72.40, 90.18), 27.55, 32_454_096),
    "csn_r101": _Row("CSN_32x2_R101.pyth", 32, 2, 256, _top(77.00, 92.90), 75.62, 22_213_776),
    "r2plus1d_r50": _Row(
        "R2PLUS1D_16x4_R50.pyth", 16, 4, 256, _top(76.01, 92.23), 76.45, 28_107_600
    ),
    "slowfast_r50": _Row(
        "SLOWFAST_8x8_R50.pyth", 32, 2, 256, _top(76.94, 92.69), 65.71, 34_566_488, (4, 1)
    ),
    "slowfast_r50_4x16": _Row(
        "SLOWFAST_4x16_R50.pyth", 32, 2, 256, _top(75.34, 91.89), 36.69, 34_480_216, (8, 1)
    ),
    "slowfast_r101": _Row(
        "SLOWFAST_8x8_R101.pyth", 32, 2, 256, _top(77.90, 93.27), 127.20, 62_826_968, (4, 1)
    ),
    "slowfast_16x8_r101_50_50": _Row(
        "SLOWFAST_16x8_R101_50_50.pyth", 64, 2, 256, _top(78.70, 93.61), 215.61, 53_774_808, (4, 1)
    ),
    "x3d_xs": _Row("X3D_XS.pyth", 4, 12, 182, _top(69.12, 88.63), 0.91, 3_794_274),
    "x3d_s": _Row("X3D_S.pyth", 13, 6, 182, _top(73.33, 91.27), 2.96, 3_794_274),
    "x3d_m": _Row("X3D_M.pyth", 16, 5, 256, _top(75.94, 92.72), 6.72, 3_794_274),
    "x3d_l": _Row("X3D_L.pyth", 16, 5, 356, _top(77.44, 93.31), 26.64, 6_153_384),
}
# arXiv 2104.11227, section 4: one crop of 224 pixels from a short side of 256.
_KINETICS400_5_VIEWS = {
    "mvit_base_16x4": _Row(
        "MVIT_B_16x4.pyth", 16, 4, 256, _top(78.85, 93.85), 70.80, 36_610_672, crop_size=224
    ),
    "mvit_base_32x3": _Row(
        "MVIT_B_32x3_f294077834.pyth",
        32,
        3,
        256,
        _top(80.30, 94.69),
        170.37,
        36_611_440,
        crop_size=224,
    ),
}
_KINETICS400_UNKNOWN_VIEWS = {
    "efficient_x3d_xs": _Row(
        "efficient_x3d_xs_original_form.pyth", 4, 12, 160, _top(68.5, 88.0), 0.60, 3_794_322
    ),
    "efficient_x3d_s": _Row(
        "efficient_x3d_s_original_form.pyth", 13, 6, 160, _top(73.0, 90.6), 1.96, 3_794_322
    ),
}
_SSV2 = {
    "slow_r50_ssv2": _Row("SLOW_8x8_R50.pyth", 8, 8, 256, _top(60.04, 85.19), 55.10, 31_991_022),
    "slowfast_r50_ssv2": _Row(
        "SLOWFAST_8x8_R50.pyth", 32, 2, 256, _top(61.68, 86.92), 66.60, 34_045_558, (4, 1)
    ),
}
_CHARADES = {
    "slow_r50_charades": _Row("SLOW_8x8_R50.pyth", 8, 8, 256, {"mAP": 34.72}, 55.10, 31_956_189),
    "slowfast_r50_charades": _Row(
        "SLOWFAST_8x8_R50.pyth", 32, 2, 256, {"mAP": 37.24}, 66.60, 34_006_373, (4, 1)
    ),
}
# Multiply-adds of a clip of 256 x 256 pixels with one box.
_AVA = {
    "slow_r50_detection": _Row(
        "SLOW_4x16_R50_DETECTION.pyth", 4, 16, 256, {"mAP": 19.5}, 41.55, 31_798_416
    ),
    "slowfast_r50_detection": _Row(
        "SLOWFAST_8x8_R50_DETECTION.pyth", 32, 2, 256, {"mAP": 24.67}, 96.89, 33_828_888, (4, 1)
    ),
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

# A model of images; an image is taken from a video as a clip of one frame. How many classes the file has, and
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
    protocol="ImageNet validation images; as published",
    gflops=7.84,
    num_parameters=36_521_296,
    licence="Apache-2.0",
    source=_ZOO_SOURCE,
)


def _weights(name: str, row: _Row, dataset: str, folder: str) -> Weights:
    return Weights(
        name=name,
        url=f"{_ZOO}/{folder}/{row.file}",
        sha256=None,
        recipe=ClipRecipe(
            num_frames=row.frames,
            sampling_rate=row.sampling_rate,
            side_size=row.side,
            # people at the border are not cut off
            crop_size=None if dataset == "ava" else row.crop_size or row.side,
            pathway_ratio=row.pathway_ratio,
            # their configurations have DATA.REVERSE_INPUT_CHANNEL
            channels="bgr" if dataset in ("ssv2", "charades") else "rgb",
        ),
        labels=class_names(dataset.partition(",")[0]),
        metrics=row.metrics,
        protocol=_PROTOCOLS[dataset],
        gflops=row.gflops,
        num_parameters=row.num_parameters,
        licence="Apache-2.0",
        source=_ZOO_SOURCE,
        # the files of these data sets are called like those of Kinetics
        file_name=f"{folder}_{row.file}" if folder in ("ssv2", "charades") else None,
    )


_TABLES = (
    ("kinetics400", "kinetics", _KINETICS400),
    ("kinetics400, 5 views", "kinetics", _KINETICS400_5_VIEWS),
    ("kinetics400, unknown views", "kinetics", _KINETICS400_UNKNOWN_VIEWS),
    ("ssv2", "ssv2", _SSV2),
    ("charades", "charades", _CHARADES),
    ("ava", "ava", _AVA),
)
WEIGHTS: dict[str, Weights] = {
    name: _weights(name, row, dataset, folder)
    for dataset, folder, rows in _TABLES
    for name, row in rows.items()
}
WEIGHTS["i3d_inception"] = _I3D_INCEPTION
WEIGHTS["mvit_base_16"] = _MVIT_IMAGE
