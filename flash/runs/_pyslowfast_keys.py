# SPDX-License-Identifier: Apache-2.0
"""Keys of PySlowFast's configurations: which there are, and why those that no run has a use for have none."""

_NAMES = """
: NUM_GPUS NUM_SHARDS SHARD_ID OUTPUT_DIR RNG_SEED LOG_PERIOD LOG_MODEL_INFO DIST_BACKEND TASK
BN: USE_PRECISE_STATS NUM_BATCHES_PRECISE WEIGHT_DECAY NORM_TYPE NUM_SPLITS NUM_SYNC_DEVICES GLOBAL_SYNC
TRAIN: ENABLE DATASET BATCH_SIZE EVAL_PERIOD CHECKPOINT_PERIOD AUTO_RESUME CHECKPOINT_FILE_PATH CHECKPOINT_TYPE
TRAIN: CHECKPOINT_INFLATE CHECKPOINT_EPOCH_RESET CHECKPOINT_CLEAR_NAME_PATTERN CHECKPOINT_IN_INIT MIXED_PRECISION
TRAIN: KILL_LOSS_EXPLOSION_FACTOR
AUG: ENABLE NUM_SAMPLE COLOR_JITTER AA_TYPE INTERPOLATION RE_PROB RE_MODE RE_COUNT RE_SPLIT GEN_MASK_LOADER
MIXUP: ENABLE ALPHA CUTMIX_ALPHA PROB SWITCH_PROB LABEL_SMOOTH_VALUE
TEST: ENABLE DATASET BATCH_SIZE CHECKPOINT_FILE_PATH CHECKPOINT_TYPE NUM_ENSEMBLE_VIEWS NUM_SPATIAL_CROPS
TEST: SAVE_RESULTS_PATH NUM_TEMPORAL_CLIPS
MODEL: ARCH MODEL_NAME NUM_CLASSES LOSS_FUNC SINGLE_PATHWAY_ARCH MULTI_PATHWAY_ARCH DROPOUT_RATE DROPCONNECT_RATE
MODEL: FC_INIT_STD HEAD_ACT ACT_CHECKPOINT DETACH_FINAL_FC FROZEN_BN
RESNET: TRANS_FUNC NUM_GROUPS WIDTH_PER_GROUP INPLACE_RELU STRIDE_1X1 ZERO_INIT_FINAL_BN ZERO_INIT_FINAL_CONV DEPTH
RESNET: NUM_BLOCK_TEMP_KERNEL SPATIAL_STRIDES SPATIAL_DILATIONS
NONLOCAL: LOCATION GROUP INSTANTIATION POOL
SLOWFAST: ALPHA BETA_INV FUSION_CONV_CHANNEL_RATIO FUSION_KERNEL_SZ
X3D: WIDTH_FACTOR DEPTH_FACTOR BOTTLENECK_FACTOR DIM_C5 DIM_C1 SCALE_RES2 BN_LIN5 CHANNELWISE_3x3x3
MVIT: MODE POOL_FIRST CLS_EMBED_ON PATCH_KERNEL PATCH_STRIDE PATCH_PADDING PATCH_2D EMBED_DIM NUM_HEADS MLP_RATIO
MVIT: QKV_BIAS DROPPATH_RATE DROPOUT_RATE DEPTH NORM NORM_STEM DIM_MUL HEAD_MUL POOL_KV_STRIDE POOL_KV_STRIDE_ADAPTIVE
MVIT: POOL_Q_STRIDE POOL_KVQ_KERNEL ZERO_DECAY_POS_CLS SEP_POS_EMBED USE_ABS_POS REL_POS_SPATIAL REL_POS_TEMPORAL
MVIT: REL_POS_ZERO_INIT RESIDUAL_POOLING DIM_MUL_IN_ATT SEPARATE_QKV HEAD_INIT_SCALE USE_MEAN_POOLING
MVIT: USE_FIXED_SINCOS_POS LAYER_SCALE_INIT_VALUE
DATA: PATH_TO_DATA_DIR PATH_LABEL_SEPARATOR PATH_PREFIX NUM_FRAMES SAMPLING_RATE TARGET_FPS MEAN STD
DATA: INPUT_CHANNEL_NUM TRAIN_JITTER_SCALES TRAIN_JITTER_SCALES_RELATIVE TRAIN_JITTER_ASPECT_RELATIVE TRAIN_JITTER_FPS
DATA: TRAIN_CROP_SIZE TEST_CROP_SIZE INV_UNIFORM_SAMPLE RANDOM_FLIP MULTI_LABEL ENSEMBLE_METHOD REVERSE_INPUT_CHANNEL
DATA: DECODING_BACKEND DECODING_SHORT_SIZE USE_OFFSET_SAMPLING TRAIN_CROP_NUM_TEMPORAL TRAIN_CROP_NUM_SPATIAL
DATA: TRAIN_PCA_EIGVAL TRAIN_PCA_EIGVEC PATH_TO_PRELOAD_IMDB
SOLVER: BASE_LR LR_POLICY COSINE_END_LR COSINE_AFTER_WARMUP GAMMA STEP_SIZE STEPS LRS MAX_EPOCH MOMENTUM DAMPENING
SOLVER: NESTEROV WEIGHT_DECAY WARMUP_FACTOR WARMUP_EPOCHS WARMUP_START_LR OPTIMIZING_METHOD
SOLVER: BASE_LR_SCALE_NUM_SHARDS ZERO_WD_1D_PARAM CLIP_GRAD_VAL CLIP_GRAD_L2NORM LARS_ON LAYER_DECAY BETAS
DETECTION: ENABLE ALIGNED SPATIAL_SCALE_FACTOR ROI_XFORM_RESOLUTION
AVA: DETECTION_SCORE_THRESH TRAIN_GT_BOX_LISTS TRAIN_PREDICT_BOX_LISTS TEST_PREDICT_BOX_LISTS FULL_TEST_ON_VAL
DATA_LOADER: NUM_WORKERS PIN_MEMORY ENABLE_MULTI_THREAD_DECODE
MULTIGRID: LONG_CYCLE SHORT_CYCLE EPOCH_FACTOR BN_BASE_SIZE EVAL_FREQ LONG_CYCLE_FACTORS SHORT_CYCLE_FACTORS
MULTIGRID: LONG_CYCLE_SAMPLING_RATE DEFAULT_B DEFAULT_T DEFAULT_S
TENSORBOARD: ENABLE
"""


def _known() -> frozenset[str]:
    found = set()
    for line in _NAMES.strip().splitlines():
        section, _, names = line.partition(":")
        found |= {f"{section}.{name}" if section else name for name in names.split()}
    return frozenset(found)


#: Keys by the names that ``--opts`` has for them.
KNOWN = _known()

_PROCESSES = "a run has the processes that it is started with"
_LOG = "a run writes each epoch to history.json and report.html"
_CHECKPOINTS = "a run keeps the checkpoint of each epoch until the next; --resume goes on with it"
_AS_BUILT = "the network is that of the zoo, with its initial weights"
_TESTED = "a run tests on the held-out videos once it has trained"

#: Why a run has no use for a key.
LEFT: dict[str, str] = {
    "SHARD_ID": _PROCESSES,
    "DIST_BACKEND": _PROCESSES,
    "LOG_PERIOD": _LOG,
    "LOG_MODEL_INFO": _LOG,
    "TASK": _LOG,
    "TRAIN.EVAL_PERIOD": "a run evaluates after each epoch",
    "TRAIN.CHECKPOINT_PERIOD": _CHECKPOINTS,
    "TRAIN.AUTO_RESUME": _CHECKPOINTS,
    "TRAIN.CHECKPOINT_EPOCH_RESET": "weights to begin with never bring their epoch along",
    "TRAIN.CHECKPOINT_IN_INIT": "weights to begin with are read once the network is built",
    "TRAIN.KILL_LOSS_EXPLOSION_FACTOR": "a run ends only where a loss is no number",
    "TEST.BATCH_SIZE": _TESTED,
    "TEST.DATASET": _TESTED,
    "TEST.CHECKPOINT_FILE_PATH": f"{_TESTED}; `pytorchvideo reproduce` tests another file of weights",
    "TEST.CHECKPOINT_TYPE": _TESTED,
    "TEST.SAVE_RESULTS_PATH": "predictions.json and `pytorchvideo reproduce` have the scores",
    "TEST.NUM_TEMPORAL_CLIPS": "give --clips, once for each number",
    "MODEL.NUM_CLASSES": "the classes are those of the videos",
    "MODEL.FC_INIT_STD": _AS_BUILT,
    "MODEL.ACT_CHECKPOINT": "activations are kept",
    "MODEL.SINGLE_PATHWAY_ARCH": "MODEL.MODEL_NAME says it",
    "MODEL.MULTI_PATHWAY_ARCH": "MODEL.MODEL_NAME says it",
    "MODEL.HEAD_ACT": "the loss says it",
    "DATA.DECODING_BACKEND": "videos are decoded by PyAV",
    "DATA.DECODING_SHORT_SIZE": "frames are scaled once, to the side that is drawn",
    "DATA.ENSEMBLE_METHOD": "the figures of a run are of mean probabilities; `pytorchvideo reproduce` has the rule",
    "DATA.USE_OFFSET_SAMPLING": "`pytorchvideo reproduce` has the rule of the model",
    "DATA.TRAIN_PCA_EIGVAL": "colours are left as they are",
    "DATA.TRAIN_PCA_EIGVEC": "colours are left as they are",
    "DATA.TEST_CROP_SIZE": "a test has the side that the model was published with",
    "DATA.PATH_TO_PRELOAD_IMDB": "lists of videos are read as they are",
    "AUG.INTERPOLATION": "frames are scaled bilinearly",
    "AUG.GEN_MASK_LOADER": "a run classifies",
    "SOLVER.STEP_SIZE": "steps are at SOLVER.STEPS",
    "SOLVER.WARMUP_FACTOR": "a warm-up begins at SOLVER.WARMUP_START_LR",
    "BN.NUM_SYNC_DEVICES": _PROCESSES,
    "BN.GLOBAL_SYNC": _PROCESSES,
    "BN.NUM_SPLITS": "statistics are of whole batches; flash.core.callbacks.SubBatchNorm splits them",
    "DATA_LOADER.PIN_MEMORY": "batches are pinned beside a GPU",
    "DATA_LOADER.ENABLE_MULTI_THREAD_DECODE": "each worker decodes in one thread",
}

#: Why a run has no use for a whole section, where :data:`LEFT` has no other word on a key.
LEFT_SECTIONS: dict[str, str] = {
    "AVA": "a run classifies whole clips",
    "BENCHMARK": "benchmarks/ has programs of its own",
    "CONTRASTIVE": "a run learns from labels",
    "DEMO": "`pytorchvideo stream` and `pytorchvideo timeline` show predictions",
    "DETECTION": "a run classifies whole clips",
    "MASK": "a run learns from labels",
    "MODEL": _AS_BUILT,
    "MULTIGRID": "the cycles are those of the paper",
    "MVIT": _AS_BUILT,
    "NONLOCAL": _AS_BUILT,
    "RESNET": _AS_BUILT,
    "SLOWFAST": _AS_BUILT,
    "TENSORBOARD": "report.html has curves and the confusion of classes",
    "VIS_MASK": "a run learns from labels",
    "X3D": _AS_BUILT,
}

#: Values that a run has whatever is written, and what it does otherwise.
FIXED: dict[str, tuple[tuple[object, ...], str]] = {
    "TEST.ENABLE": ((True,), _TESTED),
    "TRAIN.CHECKPOINT_TYPE": (("pytorch",), "weights are those of PyTorch"),
    "TRAIN.CHECKPOINT_INFLATE": ((False,), "weights of images are not inflated"),
    "TRAIN.CHECKPOINT_CLEAR_NAME_PATTERN": (((), [], None), "names are taken as they are"),
    "DATA.TARGET_FPS": ((30,), "clips are of 30 frames a second"),
    "DATA.MEAN": (([0.45] * 3,), "clips are normalised with 0.45"),
    "DATA.STD": (([0.225] * 3,), "clips are normalised with 0.225"),
    "DATA.INPUT_CHANNEL_NUM": (([3], [3, 3]), "clips have three colours"),
    "DATA.TRAIN_JITTER_FPS": ((0, 0.0), "the rate of frames is not drawn"),
    "DATA.TRAIN_CROP_NUM_TEMPORAL": ((1,), "a clip of a video is drawn"),
    "DATA.TRAIN_CROP_NUM_SPATIAL": ((1,), "a crop of a clip is drawn"),
    "AUG.COLOR_JITTER": ((None, 0, 0.0), "colours are left as they are"),
    "AUG.RE_MODE": (("pixel",), "boxes are erased by noise of pixels"),
    "AUG.RE_COUNT": ((1,), "one box is erased"),
    "AUG.RE_SPLIT": ((False,), "all copies of a clip may be erased"),
    "SOLVER.DAMPENING": ((0, 0.0), "SGD is not dampened"),
    "SOLVER.LARS_ON": (
        (False,),
        "a recipe has sgd or adamw; flash.core.optimizers.LARS is for other programs",
    ),
    "SOLVER.CLIP_GRAD_VAL": ((None,), "gradients are clipped by their norm alone"),
    "BN.NORM_TYPE": (("batchnorm",), "statistics are of the batch of a process"),
    "MODEL.DETACH_FINAL_FC": ((False,), "give --strategy probe for a frozen network"),
    "MODEL.FROZEN_BN": ((False,), "give --strategy freeze for a frozen network"),
    "TENSORBOARD.ENABLE": ((False,), "give --logger tensorboard"),
    "MVIT.ZERO_DECAY_POS_CLS": ((False,), "encodings of positions decay as other weights"),
}

#: Values of the networks of the zoo; others have no equal here.
NETWORKS: dict[str, tuple[object, ...]] = {
    "RESNET.NUM_GROUPS": (1,),
    "RESNET.WIDTH_PER_GROUP": (64,),
    "RESNET.STRIDE_1X1": (False,),
    "SLOWFAST.BETA_INV": (8,),
    "SLOWFAST.FUSION_CONV_CHANNEL_RATIO": (2,),
    "X3D.WIDTH_FACTOR": (2.0,),
    "X3D.BOTTLENECK_FACTOR": (2.25,),
    "X3D.DIM_C1": (12,),
    "X3D.DIM_C5": (2048,),
    "X3D.SCALE_RES2": (False,),
    "X3D.BN_LIN5": (False,),
    "X3D.CHANNELWISE_3x3x3": (True,),
    "MVIT.MODE": ("conv",),
    "MVIT.POOL_FIRST": (False,),
    "MVIT.CLS_EMBED_ON": (True,),
    "MVIT.EMBED_DIM": (96,),
    "MVIT.NUM_HEADS": (1,),
    "MVIT.MLP_RATIO": (4.0,),
    "MVIT.QKV_BIAS": (True,),
    "MVIT.DEPTH": (16,),
    "MVIT.NORM": ("layernorm",),
    "MVIT.NORM_STEM": (False,),
    "MVIT.PATCH_2D": (False,),
    "MVIT.PATCH_KERNEL": ([3, 7, 7],),
    "MVIT.PATCH_STRIDE": ([2, 4, 4],),
    "MVIT.PATCH_PADDING": ([1, 3, 3],),
    "MVIT.DIM_MUL": ([[1, 2.0], [3, 2.0], [14, 2.0]],),
    "MVIT.HEAD_MUL": ([[1, 2.0], [3, 2.0], [14, 2.0]],),
    "MVIT.POOL_Q_STRIDE": ([[1, 1, 2, 2], [3, 1, 2, 2], [14, 1, 2, 2]],),
    "MVIT.POOL_KV_STRIDE_ADAPTIVE": ([1, 8, 8],),
    "MVIT.POOL_KVQ_KERNEL": ([3, 3, 3],),
    "MVIT.SEP_POS_EMBED": (True,),
    "MVIT.REL_POS_SPATIAL": (False,),
    "MVIT.REL_POS_TEMPORAL": (False,),
    "MVIT.RESIDUAL_POOLING": (False,),
    "MVIT.DIM_MUL_IN_ATT": (False,),
    "MVIT.SEPARATE_QKV": (False,),
    "MVIT.USE_MEAN_POOLING": (False,),
    "MVIT.USE_FIXED_SINCOS_POS": (False,),
    "MVIT.LAYER_SCALE_INIT_VALUE": (0, 0.0),
    "MVIT.DROPOUT_RATE": (0, 0.0),
}
