# SPDX-License-Identifier: Apache-2.0
"""Configurations of PySlowFast: the published ones against our recipes, and what is refused."""

import re
from pathlib import Path
from typing import Any

import pytest

from flash.configs.files import compare_recipes, load_recipe
from flash.configs.recipe import Multigrid
from flash.runs._pyslowfast_keys import FIXED, KNOWN, LEFT, NETWORKS
from flash.runs.config import RunConfig
from flash.runs.from_pyslowfast import Lists, prepared_lists, read_pyslowfast_config
from flash.runs.from_recipe import run_options

#: Of all files in configs/Kinetics/pytorchvideo, but those of X3D and MViT.
RESNET = """
TRAIN: {ENABLE: True, DATASET: ptvkinetics, BATCH_SIZE: 64, EVAL_PERIOD: 10, CHECKPOINT_PERIOD: 1, AUTO_RESUME: True}
DATA: {NUM_FRAMES: 8, SAMPLING_RATE: 8, TRAIN_JITTER_SCALES: [256, 320], TRAIN_CROP_SIZE: 224, TEST_CROP_SIZE: 256,
  INPUT_CHANNEL_NUM: [3]}
RESNET: {ZERO_INIT_FINAL_BN: True, WIDTH_PER_GROUP: 64, NUM_GROUPS: 1, DEPTH: 50, TRANS_FUNC: bottleneck_transform,
  STRIDE_1X1: False, NUM_BLOCK_TEMP_KERNEL: [[3], [4], [6], [3]]}
NONLOCAL: {LOCATION: [[[]], [[]], [[]], [[]]], GROUP: [[1], [1], [1], [1]], INSTANTIATION: softmax}
BN: {USE_PRECISE_STATS: True, NUM_BATCHES_PRECISE: 200}
SOLVER: {BASE_LR: 0.1, BASE_LR_SCALE_NUM_SHARDS: True, LR_POLICY: cosine, MAX_EPOCH: 196, MOMENTUM: 0.9,
  WEIGHT_DECAY: 1e-4, WARMUP_EPOCHS: 34.0, WARMUP_START_LR: 0.01, OPTIMIZING_METHOD: sgd}
MODEL: {NUM_CLASSES: 400, ARCH: slow, MODEL_NAME: PTVResNet, LOSS_FUNC: cross_entropy, DROPOUT_RATE: 0.5}
TEST: {ENABLE: True, DATASET: ptvkinetics, BATCH_SIZE: 64}
DATA_LOADER: {NUM_WORKERS: 8, PIN_MEMORY: True}
TENSORBOARD: {ENABLE: True}
NUM_GPUS: 8
NUM_SHARDS: 1
RNG_SEED: 0
OUTPUT_DIR: .
"""
X3D = """
TRAIN: {ENABLE: True, DATASET: ptvkinetics, BATCH_SIZE: 128, EVAL_PERIOD: 10}
X3D: {WIDTH_FACTOR: 2.0, DEPTH_FACTOR: 2.2, BOTTLENECK_FACTOR: 2.25, DIM_C5: 2048, DIM_C1: 12}
DATA: {INPUT_CHANNEL_NUM: [3], TRAIN_CROP_SIZE: 160, TRAIN_JITTER_SCALES: [182, 228], TEST_CROP_SIZE: 182}
BN: {USE_PRECISE_STATS: True, NUM_BATCHES_PRECISE: 200, WEIGHT_DECAY: 0.0}
SOLVER: {BASE_LR: 0.1, BASE_LR_SCALE_NUM_SHARDS: True, MAX_EPOCH: 300, LR_POLICY: cosine, WEIGHT_DECAY: 5e-5,
  WARMUP_EPOCHS: 35.0, WARMUP_START_LR: 0.01, OPTIMIZING_METHOD: sgd}
MODEL: {NUM_CLASSES: 400, ARCH: x3d, MODEL_NAME: PTVX3D, LOSS_FUNC: cross_entropy, DROPOUT_RATE: 0.5}
"""
MVIT = """
TRAIN: {ENABLE: True, DATASET: kinetics, BATCH_SIZE: 16, EVAL_PERIOD: 10}
DATA: {USE_OFFSET_SAMPLING: True, NUM_FRAMES: 16, SAMPLING_RATE: 4, TRAIN_JITTER_SCALES: [256, 320],
  TRAIN_CROP_SIZE: 224, TEST_CROP_SIZE: 224, INPUT_CHANNEL_NUM: [3], TRAIN_JITTER_SCALES_RELATIVE: [0.08, 1.0],
  TRAIN_JITTER_ASPECT_RELATIVE: [0.75, 1.3333]}
MVIT: {ZERO_DECAY_POS_CLS: False, SEP_POS_EMBED: True, DEPTH: 16, NUM_HEADS: 1, EMBED_DIM: 96, MLP_RATIO: 4.0,
  PATCH_KERNEL: "(3, 7, 7)", PATCH_STRIDE: "(2, 4, 4)", PATCH_PADDING: "(1, 3, 3)", QKV_BIAS: True, DROPPATH_RATE: 0.2,
  NORM: layernorm, MODE: conv, CLS_EMBED_ON: True, DIM_MUL: [[1, 2.0], [3, 2.0], [14, 2.0]],
  HEAD_MUL: [[1, 2.0], [3, 2.0], [14, 2.0]], POOL_KVQ_KERNEL: [3, 3, 3], POOL_KV_STRIDE_ADAPTIVE: [1, 8, 8],
  POOL_Q_STRIDE: [[1, 1, 2, 2], [3, 1, 2, 2], [14, 1, 2, 2]]}
AUG: {NUM_SAMPLE: 2, ENABLE: True, COLOR_JITTER: 0.4, AA_TYPE: rand-m7-n4-mstd0.5-inc1, INTERPOLATION: bicubic,
  RE_PROB: 0.25, RE_MODE: pixel, RE_COUNT: 1, RE_SPLIT: False}
MIXUP: {ENABLE: True, ALPHA: 0.8, CUTMIX_ALPHA: 1.0, PROB: 1.0, SWITCH_PROB: 0.5, LABEL_SMOOTH_VALUE: 0.1}
SOLVER: {ZERO_WD_1D_PARAM: True, BASE_LR_SCALE_NUM_SHARDS: True, CLIP_GRAD_L2NORM: 1.0, BASE_LR: 0.0001,
  COSINE_AFTER_WARMUP: True, COSINE_END_LR: 1e-6, WARMUP_START_LR: 1e-6, WARMUP_EPOCHS: 30.0, LR_POLICY: cosine,
  MAX_EPOCH: 200, WEIGHT_DECAY: 0.05, OPTIMIZING_METHOD: adamw}
MODEL: {NUM_CLASSES: 400, ARCH: mvit, MODEL_NAME: PTVMViT, LOSS_FUNC: soft_cross_entropy, DROPOUT_RATE: 0.5}
TEST: {NUM_ENSEMBLE_VIEWS: 5, NUM_SPATIAL_CROPS: 1}
"""
SLOWFAST = (
    "MODEL.MODEL_NAME PTVSlowFast MODEL.ARCH slowfast DATA.NUM_FRAMES 32 DATA.SAMPLING_RATE 2 "
)
SLOWFAST += "DATA.INPUT_CHANNEL_NUM [3,3] SLOWFAST.BETA_INV 8 SLOWFAST.FUSION_CONV_CHANNEL_RATIO 2 "
_5, _7 = (
    "SLOWFAST.ALPHA 4 SLOWFAST.FUSION_KERNEL_SZ 5",
    "SLOWFAST.ALPHA 4 SLOWFAST.FUSION_KERNEL_SZ 7",
)
CHARADES = (
    "TRAIN.DATASET ptvcharades SOLVER.BASE_LR 0.25 SOLVER.COSINE_END_LR 1e-6 SOLVER.MAX_EPOCH 60 "
)
CHARADES += "SOLVER.WARMUP_EPOCHS 5 SOLVER.WARMUP_START_LR 1e-4 BN.USE_PRECISE_STATS False DATA.MULTI_LABEL True "
CHARADES += "DATA.INV_UNIFORM_SAMPLE True MODEL.LOSS_FUNC bce_logit MODEL.NUM_CLASSES 157 DATA.ENSEMBLE_METHOD max "
SSV2 = (
    "TRAIN.DATASET ptvssv2 SOLVER.MAX_EPOCH 30 SOLVER.WARMUP_EPOCHS 3 SOLVER.WARMUP_START_LR 0.08 "
)
SSV2 += "DATA.INV_UNIFORM_SAMPLE True DATA.RANDOM_FLIP False MODEL.NUM_CLASSES 174 TEST.NUM_ENSEMBLE_VIEWS 1 "
AVA = "TRAIN.DATASET ava DETECTION.ENABLE True DETECTION.ALIGNED True SOLVER.LR_POLICY steps_with_relative_lrs "
AVA += "SOLVER.STEPS [0,10,15,20] SOLVER.LRS [1,0.1,0.01,0.001] SOLVER.MAX_EPOCH 20 SOLVER.WARMUP_EPOCHS 5.0 "
AVA += "SOLVER.WARMUP_START_LR 0.000125 SOLVER.WEIGHT_DECAY 1e-7 BN.USE_PRECISE_STATS False MODEL.LOSS_FUNC bce "
_X3D_L = "X3D.DEPTH_FACTOR 5.0 DATA.NUM_FRAMES 16 DATA.SAMPLING_RATE 5 DATA.TRAIN_CROP_SIZE 312 SOLVER.BASE_LR 0.05 "
_X3D_L += "DATA.TRAIN_JITTER_SCALES [356,446] SOLVER.MAX_EPOCH 256 TRAIN.BATCH_SIZE 64"
_SLOW = "MODEL.MODEL_NAME ResNet MODEL.ARCH slow "

#: By our recipe: the file, and where others differ from it (spec tables of training).
PUBLISHED: dict[str, tuple[str, str]] = {
    "slow_8x8_r50": (RESNET, ""),
    "slow_4x16_r50": (RESNET, "DATA.NUM_FRAMES 4 DATA.SAMPLING_RATE 16"),
    "c2d_8x8_r50": (RESNET, "MODEL.ARCH c2d"),
    "i3d_8x8_r50": (RESNET, "MODEL.ARCH i3d"),
    "csn_32x2_r101": (
        RESNET,
        "MODEL.MODEL_NAME PTVCSN MODEL.ARCH csn MODEL.SINGLE_PATHWAY_ARCH ['csn'] RESNET.DEPTH 101 "
        "DATA.NUM_FRAMES 32 DATA.SAMPLING_RATE 2",
    ),
    "r2plus1d_16x4_r50": (
        RESNET,
        "MODEL.MODEL_NAME PTVR2plus1D MODEL.ARCH r2plus1d DATA.NUM_FRAMES 16 DATA.SAMPLING_RATE 4",
    ),
    "slowfast_8x8_r50": (RESNET, SLOWFAST + _7),
    "slowfast_4x16_r50": (
        RESNET,
        SLOWFAST + "SLOWFAST.ALPHA 8 SLOWFAST.FUSION_KERNEL_SZ 5",
    ),
    "slowfast_8x8_r101": (RESNET, SLOWFAST + _5 + " RESNET.DEPTH 101 TRAIN.EVAL_PERIOD 2"),
    "slowfast_16x8_r101_50_50": (
        RESNET,
        SLOWFAST + _5 + " RESNET.DEPTH 101 DATA.NUM_FRAMES 64 DATA.TRAIN_JITTER_SCALES [256,360]",
    ),
    "x3d_xs": (X3D, "DATA.NUM_FRAMES 4 DATA.SAMPLING_RATE 12"),
    "x3d_s": (X3D, "DATA.NUM_FRAMES 13 DATA.SAMPLING_RATE 6"),
    "x3d_m": (
        X3D,
        "DATA.NUM_FRAMES 16 DATA.SAMPLING_RATE 5 DATA.TRAIN_CROP_SIZE 224 DATA.TRAIN_JITTER_SCALES [256,320]",
    ),
    "x3d_l": (X3D, _X3D_L),
    "mvit_b_16x4": (MVIT, ""),
    "mvit_b_32x3": (
        MVIT,
        "MODEL.MODEL_NAME MViT DATA.NUM_FRAMES 32 DATA.SAMPLING_RATE 3 MVIT.DROPPATH_RATE 0.3",
    ),
    "charades_slow_8x8_r50": (RESNET, CHARADES + "DATA.TRAIN_JITTER_SCALES [256,340]"),
    "charades_slowfast_8x8_r50": (RESNET, CHARADES + SLOWFAST + _7),
    "ssv2_slow_8x8_r50": (RESNET, SSV2),
    "ssv2_slowfast_8x8_r50": (RESNET, SSV2 + SLOWFAST + _7 + " BN.NUM_BATCHES_PRECISE 150"),
    "ava_slow_4x16_r50": (
        RESNET,
        AVA + _SLOW + "DATA.NUM_FRAMES 4 DATA.SAMPLING_RATE 16 AVA.DETECTION_SCORE_THRESH 0.9",
    ),
    "ava_slowfast_8x8_r50": (
        RESNET,
        AVA + SLOWFAST + _7 + " AVA.DETECTION_SCORE_THRESH 0.8 DATA.TEST_CROP_SIZE 224",
    ),
}


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """``write(text)`` makes a configuration of it."""

    def made(text: str, name: str = "theirs.yaml") -> Path:
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return file

    return made


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configurations_are_our_recipes(name: str, write: Any) -> None:
    text, pairs = PUBLISHED[name]
    asked = read_pyslowfast_config(write(text), pairs.split())
    differing = set(compare_recipes(asked.recipe, load_recipe(name)))
    # weights to begin with and scores are not in such files
    assert not {key for key in differing if key != "init" and not key.startswith("published")}
    if not name.startswith("ava"):
        RunConfig(data="clips", **run_options(asked.recipe)).completed()


def test_all_published_recipes_are_there() -> None:
    from flash.configs.files import recipe_names

    assert set(PUBLISHED) == set(recipe_names())


def test_each_key_is_taken_or_said(write: Any) -> None:
    text, pairs = PUBLISHED["mvit_b_16x4"]
    said = " ".join(read_pyslowfast_config(write(text), pairs.split()).left)
    for key in ("TRAIN.EVAL_PERIOD 10", "AUG.COLOR_JITTER 0.4", "AUG.INTERPOLATION bicubic"):
        assert key in said
    assert "MODEL.NUM_CLASSES 400" in said and "DATA.USE_OFFSET_SAMPLING True" in said
    # a run has these values
    assert not [
        key for key in ("AUG.RE_MODE", "INPUT_CHANNEL_NUM", "MVIT.", "SOLVER.") if key in said
    ]


def test_every_known_key_has_a_word(write: Any) -> None:
    """Whatever the value, a key is asked for, said to be left, or refused with its name."""
    for key in sorted(KNOWN):
        pairs = [key, "17"]
        try:
            asked = read_pyslowfast_config(write(PUBLISHED["slow_8x8_r50"][0]), pairs)
        except ValueError:  # it was asked for
            continue
        said = " ".join(asked.left)
        if key in LEFT or key in FIXED:
            assert f"{key} 17" in said or 17 in FIXED.get(key, ((), ""))[0]
        assert "not known here" not in said


def test_tables_name_known_keys() -> None:
    assert {*LEFT, *FIXED, *NETWORKS} <= KNOWN
    assert not set(LEFT) & set(FIXED)


def test_options_beside_the_recipe(write: Any) -> None:
    file = write(RESNET)
    pairs = "NUM_GPUS 4 RNG_SEED 3 TRAIN.MIXED_PRECISION True DATA.PATH_TO_DATA_DIR lists DATA.PATH_PREFIX /videos"
    pairs += " TRAIN.CHECKPOINT_FILE_PATH k400.pyth OUTPUT_DIR out TEST.NUM_SPATIAL_CROPS 1"
    asked = read_pyslowfast_config(file, pairs.split())
    wanted = {"batch_size": 16, "clips": 10, "seed": 3, "workers": 8, "precision": "16-mixed"}
    assert asked.options == wanted and (asked.weights, asked.out) == ("k400.pyth", "out")
    assert asked.lists == Lists("lists", " ", "/videos") and asked.views == (10, 1)
    assert asked.test_command("d", "r") == "pytorchvideo reproduce r d --protocol 10x1"
    tested = read_pyslowfast_config(
        file, ["TRAIN.ENABLE", "False", "TEST.CHECKPOINT_FILE_PATH", "x.pyth"]
    )
    wanted_command = "pytorchvideo reproduce slow_r50 DATA --weights x.pyth --protocol 10x3"
    assert not tested.trains and tested.test_command() == wanted_command
    assert read_pyslowfast_config(file).out is None  # "." is what no one chose


def test_rates_of_several_nodes(write: Any) -> None:
    """Where rates do not grow with the nodes they are of all clips of a step."""
    for by_node, reference in (("True", 64), ("False", 512)):
        pairs = ["NUM_SHARDS", "8", "SOLVER.BASE_LR_SCALE_NUM_SHARDS", by_node]
        recipe = read_pyslowfast_config(write(RESNET), pairs).recipe
        assert recipe.optimizer.reference_batch == reference


def test_multigrid(write: Any) -> None:
    assert read_pyslowfast_config(write(RESNET)).recipe.multigrid is None
    pairs = "MULTIGRID.LONG_CYCLE True MULTIGRID.EPOCH_FACTOR 2 MULTIGRID.DEFAULT_B 64"
    asked = read_pyslowfast_config(write(RESNET), pairs.split())
    wanted = Multigrid(long_cycle=True, short_cycle=False, epoch_factor=2.0)
    assert asked.recipe.multigrid == wanted
    assert "MULTIGRID.DEFAULT_B 64: the cycles are those of the paper." in asked.left


def test_a_file_may_have_a_base(write: Any) -> None:
    write(RESNET, "base.yaml")
    file = write("_BASE_: base.yaml\nSOLVER: {BASE_LR: '1e-2', MAX_EPOCH: 50}\n")
    schedule = read_pyslowfast_config(file).recipe.schedule
    assert (schedule.epochs, schedule.warmup_epochs) == (50, 34)
    assert read_pyslowfast_config(file, ["SOLVER.MAX_EPOCH", "60"]).recipe.optimizer.lr == 0.01
    with pytest.raises(ValueError, match="at most 8 files one _BASE_ of the other"):
        read_pyslowfast_config(write("_BASE_: ring.yaml\n", "ring.yaml"))
    with pytest.raises(FileNotFoundError, match=r"gone\.yaml"):
        read_pyslowfast_config(write("_BASE_: gone.yaml\n"))
    for other in ("/etc/hostname", "/etc/base.yaml", "~/base.yaml/secret", "../id_rsa", "[1]"):
        with pytest.raises(
            ValueError, match="`_BASE_` to be a yaml file by its path from this one"
        ):
            read_pyslowfast_config(write(f"_BASE_: {other}\n"))


@pytest.mark.parametrize(
    ("pairs", "match"),
    [
        ("SOLVER.BASE_LRR 1", r"no key SOLVER\.BASE_LRR\. Did you mean SOLVER\.BASE_LR"),
        ("SOLVER.BASE_LR", "SOLVER.BASE_LR has no value"),
        ("SOLVER.BASE_LR high", r"`SOLVER\.BASE_LR` to be a number, but got 'high'"),
        ("SOLVER.MAX_EPOCH 1.5", r"`SOLVER\.MAX_EPOCH` to be a whole number"),
        (f"SOLVER.MAX_EPOCH {'9' * 900}", r"`SOLVER\.MAX_EPOCH` to be a number below 1e\+15"),
        ("SOLVER.BASE_LR 1e999", r"`SOLVER\.BASE_LR` to be a number below"),
        ("SOLVER.LR_POLICY steps_", "cosine, steps_with_relative_lrs"),
        ("TRAIN.DATASET imagenet", r"`TRAIN\.DATASET` to be one of"),
        ("TRAIN.ENABLE 1", r"`TRAIN\.ENABLE` to be True or False"),
        ("MODEL.MODEL_NAME Uniformer", r"`MODEL\.MODEL_NAME` to be one of .*PTVSlowFast"),
        ("MODEL.ARCH r3d", r"`MODEL\.ARCH` to be one of c2d, i3d, slow"),
        ("RESNET.DEPTH 152", r"`RESNET\.DEPTH` to be 50, as slow_r50 has it"),
        ("RESNET.WIDTH_PER_GROUP 32", "RESNET.WIDTH_PER_GROUP is 32, and no network of the zoo"),
        ("NONLOCAL.LOCATION [[[]],[[1,3]],[[]],[[]]]", "NONLOCAL.LOCATION names blocks"),
        ("MODEL.MODEL_NAME X3D", r"`X3D\.DEPTH_FACTOR` to be 2\.2"),
        ("DETECTION.ENABLE True", r"`DETECTION\.ENABLE` to be True for the dataset ava"),
        ("DATA.MULTI_LABEL True", r"`DATA\.MULTI_LABEL` to be False for MODEL\.LOSS_FUNC"),
        ("TEST.NUM_ENSEMBLE_VIEWS -1", "run a test for each number"),
        ("DATA.TRAIN_JITTER_SCALES [256]", r"`DATA\.TRAIN_JITTER_SCALES` to be 2 numbers"),
    ],
)
def test_what_is_refused(pairs: str, match: str, write: Any) -> None:
    with pytest.raises(ValueError, match=match):
        read_pyslowfast_config(write(RESNET), pairs.split())


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("SOLVER: {BASE_LRR: 1}", r"unknown key `SOLVER\.BASE_LRR`\. Did you mean SOLVER\.BASE_LR"),
        ("SOLVR: {BASE_LR: 1}", r"unknown key `SOLVR\.BASE_LR`\. Did you mean SOLVER\.BASE_LR"),
        ("- 1", "sections as TRAIN and SOLVER"),
        ("a: !!python/object/apply:os.system ['x']", "not plain yaml"),
        ("a: &a [1]\nb: *a", "alias"),
    ],
)
def test_files_that_are_none(text: str, match: str, write: Any) -> None:
    with pytest.raises(ValueError, match=match):
        read_pyslowfast_config(write(text))


def test_keys_of_other_versions_are_said(write: Any) -> None:
    left = read_pyslowfast_config(write(RESNET + "ZEBRA: {STRIPES: 3}\n")).left
    assert "ZEBRA.STRIPES 3: not known here." in left


def test_lists_of_another_form(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "train.csv").write_text("a b.mp4::3\nc.mp4::1,2\n")
    (folder / "val.csv").write_text("https://there/x.mp4::0\n")
    assert prepared_lists(Lists(str(folder)), tmp_path / "x") == str(folder)
    made = Path(prepared_lists(Lists(str(folder), "::", "/videos"), tmp_path / "lists"))
    assert (
        made / "train.csv"
    ).read_text() == 'path,label\n/videos/a b.mp4,3\n/videos/c.mp4,"1,2"\n'
    assert (made / "val.csv").read_text() == "path,label\nhttps://there/x.mp4,0\n"
    frames = tmp_path / "charades"
    frames.mkdir()
    (frames / "train.csv").write_text(
        'original_vido_id video_id frame_id path labels\nA 0 0 A/1.jpg "9"\nA 0 1 A/2.jpg "9,12"\n'
    )
    made = Path(prepared_lists(Lists(str(frames), " ", "/rgb"), tmp_path / "frames"))
    assert (made / "train.csv").read_text() == 'path,label\n/rgb/A,"9,12"\n'
    with pytest.raises(ValueError, match=r"train\.csv, line 1: .*';' and a label"):
        prepared_lists(Lists(str(folder), ";"), tmp_path / "lists")
    with pytest.raises(FileNotFoundError, match=r"`DATA\.PATH_TO_DATA_DIR` to be a folder with"):
        prepared_lists(Lists(str(tmp_path / "gone")), tmp_path / "lists")


def test_the_page_names_keys_and_fields_that_there_are() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/pyslowfast.md").read_text(encoding="utf-8")
    table = page[page.index("| theirs | ours |") : page.index("## Lists")]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:] if line.strip()]
    theirs = re.findall(r"`([A-Z][A-Z0-9_.]+)", " ".join(row[0] for row in rows))
    assert len(theirs) > 60 and set(theirs) <= KNOWN
    fields = re.findall(
        r"`((?:data|augment|optimizer|schedule|regularize)\.\w+)", " ".join(row[1] for row in rows)
    )
    recipe = load_recipe("slow_8x8_r50")
    for name in fields:
        section, _, field = name.partition(".")
        assert hasattr(getattr(recipe, section), field), name
