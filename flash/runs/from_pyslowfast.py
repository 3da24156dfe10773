# SPDX-License-Identifier: Apache-2.0
"""Configurations of PySlowFast as training recipes.

A key is taken, or said to be left (:attr:`PySlowFastTraining.left`), or an error: none is ignored. Values that a file
leaves out are PySlowFast's own defaults. ``docs/pyslowfast.md`` has the table.
"""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flash.configs.files import parse_recipe
from flash.configs.recipe import Recipe
from flash.runs.pyslowfast_values import Values, read_values
from pytorchvideo._checks import expected

_DATASETS = {
    **{prefix + name: name for prefix in ("", "ptv") for name in ("charades", "ssv2")},
    **{"kinetics": "kinetics400", "ptvkinetics": "kinetics400", "ava": "ava"},
}
_RESNETS = {"c2d": "c2d_r50", "i3d": "i3d_r50", "slow": "slow_r50"}
#: By dataset, the models that have weights of it, and what they are called there.
_OF_DATASET = {
    name: {"slow_r50": f"slow_r50_{end}", "slowfast_r50": f"slowfast_r50_{end}"}
    for name, end in (("charades", "charades"), ("ssv2", "ssv2"), ("ava", "detection"))
}
_LOSSES = {
    "cross_entropy": "cross_entropy",
    "soft_cross_entropy": "soft_cross_entropy",
    "bce": "binary_cross_entropy",
    "bce_logit": "binary_cross_entropy",
}
_OPTIMIZERS = ("sgd", "adamw")
_POLICIES = {"cosine": "cosine", "steps_with_relative_lrs": "steps"}
# of PySlowFast, where a file has none
_VIEWS, _CROPS, _BATCH = 10, 3, 64


@dataclass(frozen=True)
class Lists:
    """The lists of a data set.

    Attributes:
        folder: with ``train.csv``, ``val.csv`` and ``test.csv``.
        separator: between a path and its label.
        prefix: folder that paths are relative to.
    """

    folder: str
    separator: str = " "
    prefix: str = ""


@dataclass(frozen=True)
class PySlowFastTraining:
    """What a configuration asks for.

    Attributes:
        recipe: the training.
        options: other fields of a :class:`~flash.runs.config.RunConfig`.
        lists: the videos; None where it names none.
        weights: a checkpoint to begin with; None for random weights.
        out: folder of the output; None where it names none.
        trains: ``TRAIN.ENABLE``.
        views: clips and crops of a video in its test.
        tested: a checkpoint to test, ``TEST.CHECKPOINT_FILE_PATH``.
        left: a sentence for each key that no run has a use for.
    """

    recipe: Recipe
    options: dict[str, Any] = field(default_factory=dict)
    lists: Lists | None = None
    weights: str | None = None
    out: str | None = None
    trains: bool = True
    views: tuple[int, int] = (_VIEWS, _CROPS)
    tested: str | None = None
    left: tuple[str, ...] = ()

    def test_command(self, data: str | None = None, run: str | None = None) -> str:
        """Returns the command that tests as the configuration says.

        Args:
            data: the videos; None takes those of the configuration.
            run: folder of a run; None tests ``TEST.CHECKPOINT_FILE_PATH``.
        """
        data = data or (self.lists.folder if self.lists else "DATA")
        clips, crops = self.views
        asked = ["--protocol", f"{clips}x{crops}"]
        if run is not None:
            return shlex.join(["pytorchvideo", "reproduce", run, data, *asked])
        weights = ["--weights", self.tested] if self.tested else []
        return shlex.join(["pytorchvideo", "reproduce", self.recipe.model, data, *weights, *asked])


def read_pyslowfast_config(
    file: str | os.PathLike[str], pairs: Sequence[str] = ()
) -> PySlowFastTraining:
    """Reads a configuration of PySlowFast.

    Args:
        file: a yaml file, see :func:`~flash.runs.pyslowfast_values.read_values`.
        pairs: ``KEY VALUE KEY VALUE``, which count before it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no configuration, a key looks like one that is misspelt, a value is of another type, or a
            network or training has no equal here.

    Example::

        asked = read_pyslowfast_config("SLOW_8x8_R50.yaml", ["SOLVER.BASE_LR", "0.05"])
        print(asked.recipe, *asked.left, sep="\\n")
    """
    values = read_values(file, pairs)
    dataset = _DATASETS[
        values.choice("TRAIN.DATASET", "kinetics", [*_DATASETS, *map(_capital, _DATASETS)]).lower()
    ]
    model = _model(values, dataset)
    recipe: dict[str, Any] = {
        "model": model,
        "dataset": dataset,
        "source": [os.fspath(file)],
        "data": _data(values, dataset),
        "augment": _augment(values),
        "optimizer": _optimizer(values),
        "schedule": _schedule(values),
        "regularize": _regularize(values, model),
        "loss": _loss(values),
    }
    if multigrid := _multigrid(values):
        recipe["multigrid"] = multigrid
    if dataset == "ava":
        recipe["detection"] = {
            "score_threshold": values.number("AVA.DETECTION_SCORE_THRESH", 0.9),
            "roi_aligned": values.truth("DETECTION.ALIGNED", True),
            "test_side": values.whole("DATA.TEST_CROP_SIZE", 256),
        }
    parsed = parse_recipe(recipe, values.file)
    trains, out = values.truth("TRAIN.ENABLE", True), values.text("OUTPUT_DIR", "")
    asked: dict[str, Any] = {
        "lists": _lists(values),
        "weights": values.text("TRAIN.CHECKPOINT_FILE_PATH", "") or None,
        "out": out if out not in ("", ".") else None,  # theirs is the present folder by default
        "trains": trains,
        "views": _views(values),
        "tested": None if trains else values.text("TEST.CHECKPOINT_FILE_PATH", "") or None,
    }
    options = _options(values, asked["views"])
    return PySlowFastTraining(parsed, options, left=tuple(values.left()), **asked)


def _capital(name: str) -> str:
    return name.capitalize()


def _model(values: Values, dataset: str) -> str:
    """The network of the zoo."""
    names = ("ResNet", "SlowFast", "X3D", "CSN", "R2plus1D", "MViT")
    known = [prefix + name for name in names for prefix in ("", "PTV")]
    family = values.choice("MODEL.MODEL_NAME", "SlowFast", known).removeprefix("PTV")
    frames, arch = values.whole("DATA.NUM_FRAMES", 8), values.text("MODEL.ARCH", "slowfast")
    depth = values.whole("RESNET.DEPTH", 101 if family == "CSN" else 50)
    if family == "ResNet":
        if arch not in _RESNETS:
            raise values.error("MODEL.ARCH", f"one of {', '.join(_RESNETS)}")
        model = "slow_r50_4x16" if arch == "slow" and frames <= 4 else _RESNETS[arch]
    elif family == "SlowFast":
        model = _slowfast(values, frames, depth)
    elif family == "X3D":
        model = _x3d(values, frames)
    elif family == "MViT":
        model = "mvit_base_32x3" if frames > 16 else "mvit_base_16x4"
    else:
        model = "csn_r101" if family == "CSN" else "r2plus1d_r50"
    depths = {"csn_r101": (101,), "slowfast_r101": (101,), "slowfast_16x8_r101_50_50": (101,)}
    if family in ("ResNet", "SlowFast", "CSN", "R2plus1D") and depth not in depths.get(
        model, (50,)
    ):
        raise values.error("RESNET.DEPTH", f"{depths.get(model, (50,))[0]}, as {model} has it")
    values.check_network(model)
    detects = values.truth("DETECTION.ENABLE", False)
    if detects != (dataset == "ava"):
        raise values.error("DETECTION.ENABLE", "True for the dataset ava, and for it alone")
    plain = "slow_r50" if model == "slow_r50_4x16" and detects else model
    found = _OF_DATASET.get(dataset, {}).get(plain, model)
    if detects and found == model:
        raise values.error("MODEL.MODEL_NAME", "slow or slowfast of depth 50, with boxes")
    return found


def _slowfast(values: Values, frames: int, depth: int) -> str:
    alpha = values.whole("SLOWFAST.ALPHA", 8)
    if alpha not in (4, 8) or (alpha == 8 and depth != 50):
        raise values.error("SLOWFAST.ALPHA", "4, or 8 with a depth of 50")
    model = "slowfast_r50_4x16" if alpha == 8 else "slowfast_r50"
    if depth == 101:
        model = "slowfast_16x8_r101_50_50" if frames > 32 else "slowfast_r101"
    kernel = 7 if model == "slowfast_r50" else 5
    if values.whole("SLOWFAST.FUSION_KERNEL_SZ", kernel) != kernel:
        raise values.error("SLOWFAST.FUSION_KERNEL_SZ", f"{kernel}, as {model} has it")
    return model


def _x3d(values: Values, frames: int) -> str:
    depth = values.number("X3D.DEPTH_FACTOR", 1.0)
    if depth not in (2.2, 5.0):
        raise values.error("X3D.DEPTH_FACTOR", "2.2, or 5.0 of x3d_l")
    if depth == 5.0:
        return "x3d_l"
    return "x3d_xs" if frames <= 4 else "x3d_s" if frames <= 13 else "x3d_m"


def _data(values: Values, dataset: str) -> dict[str, Any]:
    area = values.numbers("DATA.TRAIN_JITTER_SCALES_RELATIVE", 2)
    aspect = values.numbers("DATA.TRAIN_JITTER_ASPECT_RELATIVE", 2)
    data: dict[str, Any] = {
        "num_frames": values.whole("DATA.NUM_FRAMES", 8),
        "sampling_rate": values.whole("DATA.SAMPLING_RATE", 8),
        "short_side": [int(side) for side in values.numbers("DATA.TRAIN_JITTER_SCALES", 2)]
        or [256, 320],
        "crop": values.whole("DATA.TRAIN_CROP_SIZE", 224),
        "inverse_uniform": values.truth("DATA.INV_UNIFORM_SAMPLE", False),
        "area": area or None,
        "horizontal_flip": 0.5 if values.truth("DATA.RANDOM_FLIP", True) else 0.0,
        "whole_video": dataset == "ssv2",
    }
    # the datasets of PyTorchVideo read these as BGR, whatever the key says
    is_reversed = values.truth("DATA.REVERSE_INPUT_CHANNEL", False)
    is_ptv = values.text("TRAIN.DATASET", "kinetics").lower() in ("ptvcharades", "ptvssv2")
    data["channels"] = "bgr" if is_reversed or is_ptv else "rgb"
    return data | ({"aspect": aspect} if aspect else {})


def _augment(values: Values) -> dict[str, Any]:
    """Values without effect, as those of MIXUP without its ENABLE, are left out."""
    augment: dict[str, Any] = {}
    keys = ("AUG.NUM_SAMPLE", "AUG.AA_TYPE", "AUG.RE_PROB")
    repeats, policy, erasing = (
        values.whole(keys[0], 1),
        values.text(keys[1], "rand-m9-mstd0.5-inc1"),
        values.number(keys[2], 0.25),
    )
    if values.truth("AUG.ENABLE", False):
        augment |= {"repeats": repeats, "rand_augment": policy or None, "erasing": erasing}
    mix = {
        "mixup": values.number("MIXUP.ALPHA", 0.8),
        "cutmix": values.number("MIXUP.CUTMIX_ALPHA", 1.0),
        "mix_probability": values.number("MIXUP.PROB", 1.0),
        "cutmix_share": values.number("MIXUP.SWITCH_PROB", 0.5),
        "label_smoothing": values.number("MIXUP.LABEL_SMOOTH_VALUE", 0.1),
    }
    return augment | (mix if values.truth("MIXUP.ENABLE", False) else {})


def _optimizer(values: Values) -> dict[str, Any]:
    """Rates are of a node where they grow with the nodes, and of all clips of a step otherwise."""
    name = values.choice("SOLVER.OPTIMIZING_METHOD", "sgd", _OPTIMIZERS)
    nodes = values.whole("NUM_SHARDS", 1)
    by_node = values.truth("SOLVER.BASE_LR_SCALE_NUM_SHARDS", False)
    batch = values.whole("TRAIN.BATCH_SIZE", _BATCH)
    optimizer: dict[str, Any] = {
        "name": name,
        "lr": values.number("SOLVER.BASE_LR", 0.1),
        "reference_batch": batch if by_node else batch * nodes,
        "weight_decay": values.number("SOLVER.WEIGHT_DECAY", 1e-4),
        "batch_norm_decay": values.number("BN.WEIGHT_DECAY", 0.0),
        "zero_1d": values.truth("SOLVER.ZERO_WD_1D_PARAM", False),
    }
    momentum, nesterov = (
        values.number("SOLVER.MOMENTUM", 0.9),
        values.truth("SOLVER.NESTEROV", True),
    )
    betas = values.numbers("SOLVER.BETAS", 2)
    if name == "sgd":
        optimizer |= {"momentum": momentum, "nesterov": nesterov}
    elif betas:
        optimizer["betas"] = betas
    return optimizer


def _schedule(values: Values) -> dict[str, Any]:
    policy = _POLICIES[values.choice("SOLVER.LR_POLICY", "cosine", list(_POLICIES))]
    warmup = values.number("SOLVER.WARMUP_EPOCHS", 0.0)
    schedule: dict[str, Any] = {
        "policy": policy,
        "epochs": values.whole("SOLVER.MAX_EPOCH", 300),
        "warmup_epochs": warmup,
    }
    start = values.number("SOLVER.WARMUP_START_LR", 0.01)
    if warmup > 0:
        schedule["warmup_start_lr"] = start
    end, after = (
        values.number("SOLVER.COSINE_END_LR", 0.0),
        values.truth("SOLVER.COSINE_AFTER_WARMUP", False),
    )
    steps, factors = values.numbers("SOLVER.STEPS"), values.numbers("SOLVER.LRS")
    if policy == "cosine":
        return schedule | {"end_lr": end, "cosine_after_warmup": after}
    return schedule | {"steps": steps, "factors": factors}


def _regularize(values: Values, model: str) -> dict[str, Any]:
    batches = values.whole("BN.NUM_BATCHES_PRECISE", 200)
    is_precise = values.truth("BN.USE_PRECISE_STATS", False)
    paths = values.number("MODEL.DROPCONNECT_RATE", 0.0)
    if model.startswith("mvit"):
        paths = values.number("MVIT.DROPPATH_RATE", 0.1)
    clip = "SOLVER.CLIP_GRAD_L2NORM"
    has_bound = values.given.get(clip) is not None
    bound = values.number(clip, 0.0) if has_bound else None
    return {
        "dropout": values.number("MODEL.DROPOUT_RATE", 0.5),
        "drop_path": paths,
        "layer_decay": values.number("SOLVER.LAYER_DECAY", 1.0),
        "clip_norm": bound,
        "precise_bn_batches": batches if is_precise else 0,
    }


def _multigrid(values: Values) -> dict[str, Any] | None:
    """The cycles; values without effect are left out where there is none."""
    cycles = {
        "long_cycle": values.truth("MULTIGRID.LONG_CYCLE", False),
        "short_cycle": values.truth("MULTIGRID.SHORT_CYCLE", False),
    }
    others = {
        "epoch_factor": values.number("MULTIGRID.EPOCH_FACTOR", 1.5),
        "base_clips": values.whole("MULTIGRID.BN_BASE_SIZE", 8),
        "gamma": values.number("SOLVER.GAMMA", 0.1),
    }
    return cycles | others if any(cycles.values()) else None


def _loss(values: Values) -> str:
    loss = _LOSSES[values.choice("MODEL.LOSS_FUNC", "cross_entropy", list(_LOSSES))]
    several = values.truth("DATA.MULTI_LABEL", loss == "binary_cross_entropy")
    # boxes of AVA have several labels whatever the key says
    if several and loss != "binary_cross_entropy":
        raise values.error("DATA.MULTI_LABEL", f"False for MODEL.LOSS_FUNC {loss}")
    return loss


def _lists(values: Values) -> Lists | None:
    folder = values.text("DATA.PATH_TO_DATA_DIR", "")
    separator = values.text("DATA.PATH_LABEL_SEPARATOR", " ")
    prefix = values.text("DATA.PATH_PREFIX", "")
    if not separator:
        raise values.error("DATA.PATH_LABEL_SEPARATOR", "a sign or more")
    return Lists(folder, separator, prefix) if folder else None


def _views(values: Values) -> tuple[int, int]:
    clips = values.whole("TEST.NUM_ENSEMBLE_VIEWS", _VIEWS)
    crops = values.whole("TEST.NUM_SPATIAL_CROPS", _CROPS)
    if clips < 1:
        raise values.error("TEST.NUM_ENSEMBLE_VIEWS", "1 or more; run a test for each number")
    if crops not in (1, 3):
        raise values.error("TEST.NUM_SPATIAL_CROPS", "1 or 3")
    return clips, crops


def _options(values: Values, views: tuple[int, int]) -> dict[str, Any]:
    """Fields of a run that no recipe has; the batch is that of one process."""
    processes = max(1, values.whole("NUM_GPUS", 1))
    batch = values.whole("TRAIN.BATCH_SIZE", _BATCH)
    options: dict[str, Any] = {"batch_size": max(1, batch // processes), "clips": views[0]}
    if "RNG_SEED" in values:
        options["seed"] = values.whole("RNG_SEED", 0)
    if "DATA_LOADER.NUM_WORKERS" in values:
        options["workers"] = values.whole("DATA_LOADER.NUM_WORKERS", 8)
    if values.truth("TRAIN.MIXED_PRECISION", False):
        options["precision"] = "16-mixed"
    return options


def prepared_lists(lists: Lists, folder: Path) -> str:
    """Returns DATA for lists: their folder, or that of lists in our form, where theirs is another.

    Args:
        lists: of a configuration.
        folder: to write ``train.csv``, ``val.csv`` and ``test.csv`` into: a path, a comma and a label each line.

    Raises:
        FileNotFoundError: there is no such folder, or no list in it.
        ValueError: a line without the separator.
    """
    from pytorchvideo.data._annotations.list_folders import lists_in, rewritten

    found = lists_in(lists.folder)
    if not found:
        raise FileNotFoundError(
            expected(
                "DATA.PATH_TO_DATA_DIR",
                "a folder with train.csv, val.csv or test.csv",
                lists.folder,
            )
        )
    if lists.separator == " " and not lists.prefix:
        return lists.folder
    folder.mkdir(parents=True, exist_ok=True)
    for file in found.values():
        rewritten(file, folder / file.name, lists.separator, lists.prefix)
    return str(folder)
