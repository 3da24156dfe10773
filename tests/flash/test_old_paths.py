# SPDX-License-Identifier: Apache-2.0
"""Names and import paths of the Flash releases."""

import importlib
import subprocess
import sys

import pytest

import flash
from flash.core.utilities import imports


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("flash", ("Trainer", "Task", "DataModule", "DataKeys", "InputTransform")),
        ("flash.video", ("VideoClassificationData", "VideoClassifier", "VideoPredictor")),
        ("flash.video", ("VideoClassificationInputTransform",)),
        ("flash.video.classification", ("VideoClassificationData", "VideoClassifier")),
        ("flash.video.classification.data", ("VideoClassificationData",)),
        ("flash.video.classification.model", ("VideoClassifier",)),
        (
            "flash.video.classification.input_transform",
            ("VideoClassificationInputTransform",),
        ),
        ("flash.data.utils", ("download_data",)),
        ("flash.core.data.utils", ("download_data",)),
        ("flash.core.data.data_source", ("DefaultDataKeys",)),
        ("flash.core.data.io.input", ("DataKeys",)),
        ("flash.core.data.io.input_transform", ("InputTransform",)),
        ("flash.core.data.transforms", ("ApplyToKeys",)),
        (
            "flash.core.data.utilities.classification",
            (
                "CommaDelimitedMultiLabelTargetFormatter",
                "MultiBinaryTargetFormatter",
                "MultiLabelTargetFormatter",
                "MultiNumericTargetFormatter",
                "MultiSoftTargetFormatter",
                "SingleBinaryTargetFormatter",
                "SingleLabelTargetFormatter",
                "SingleNumericTargetFormatter",
                "SpaceDelimitedTargetFormatter",
                "TargetFormatter",
            ),
        ),
        ("flash.core.data.data_module", ("DataModule",)),
        (
            "flash.core.classification",
            ("Labels", "Classes", "Probabilities", "Logits", "LabelsOutput"),
        ),
        (
            "flash.core.classification",
            ("Classes", "FiftyOneLabels", "FiftyOneLabelsOutput", "ProbabilitiesOutput"),
        ),
        ("flash.core.data.io.output", ("Output",)),
        ("flash.core.data.process", ("Serializer",)),
        (
            "flash.core.finetuning",
            (
                *("FlashBaseFinetuning", "Freeze", "FreezeUnfreeze"),
                *("NoFreeze", "UnfreezeMilestones"),
            ),
        ),
        ("flash", ("Output",)),
        ("flash.core.model", ("Task",)),
        ("flash.core.integrations.fiftyone", ("visualize",)),
        ("flash.core.integrations.labelstudio.visualizer", ("launch_app", "App")),
        ("flash.core.optimizers", ("LAMB", "LARS", "LinearWarmupCosineAnnealingLR")),
        ("flash.core.utilities.imports", ("requires", "module_available")),
        ("flash.video.classification.utils", ("LabeledVideoTensorDataset",)),
        ("flash.core.trainer", ("Trainer",)),
    ],
)
def test_names_resolve(module: str, names: tuple[str, ...]) -> None:
    found = importlib.import_module(module)
    for name in names:
        assert getattr(found, name).__module__.startswith(("flash.", "pytorchvideo.inference.")), (
            name
        )
        assert name in getattr(found, "__all__", names)


def test_what_has_no_counterpart_is_named() -> None:
    for name in ("Preprocess", "Postprocess", "DataSource", "FlashDataset", "Input"):
        with pytest.raises(AttributeError, match=rf"has no attribute '{name}'\. Use .* instead"):
            getattr(flash, name)
    assert flash.RunningStage("train") == flash.RunningStage.TRAINING
    assert flash.Serializer is flash.Output


def test_what_is_installed() -> None:
    assert imports._PYTORCHVIDEO_AVAILABLE and imports._TORCH_AVAILABLE and imports._PIL_AVAILABLE
    flags = {name: value for name, value in vars(imports).items() if name.endswith("_AVAILABLE")}
    assert len(flags) >= 15 and all(isinstance(value, bool) for value in flags.values())
    # the flag is what an import says
    for name in ("kornia", "fiftyone", "pandas", "transformers"):
        try:
            importlib.import_module(name)
            found = True
        except ImportError:
            found = False
        assert flags[f"_{name.upper()}_AVAILABLE"] is found, name

    @imports.requires("torch")
    def twice(number: int) -> int:
        return 2 * number

    @imports.requires("image", "no_such_package")
    def never() -> None:
        raise AssertionError

    assert twice(2) == 4 and twice.__name__ == "twice"
    with pytest.raises(ModuleNotFoundError, match=r"never needs .*no_such_package.* pip install"):
        never()


def test_everything_listed_is_there() -> None:
    for module in ("flash", "flash.video", "flash.video.classification"):
        found = importlib.import_module(module)
        assert list(found.__all__) == sorted(found.__all__)
        assert all(hasattr(found, name) for name in found.__all__)
        assert set(found.__all__) <= set(dir(found))
        with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'Trainr'"):
            found.Trainr  # noqa: B018


def test_keys_are_strings() -> None:
    from flash import DataKeys

    batch = {"input": 1, "target": 2}
    assert (batch[DataKeys.INPUT], batch[DataKeys.TARGET]) == (1, 2)
    assert {DataKeys.INPUT: 3}["input"] == 3


def test_importing_flash_video_loads_no_lightning() -> None:
    code = (
        "import sys, flash, flash.video, flash.data, flash.core, flash.cli; "
        "print({'torch', 'pytorch_lightning', 'kornia'} & set(sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert answer.stdout.strip() == "set()"
