# SPDX-License-Identifier: Apache-2.0
"""``VideoClassificationData``: sources, stages, clips, hooks and what is refused."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import (
    RandomSampler,
    SequentialSampler,
    WeightedRandomSampler,
    get_worker_info,
)
from torchvision.transforms import CenterCrop, Compose

import flash
from flash.core.data.transforms import ApplyToKeys
from flash.core.data.utilities.classification import (
    SingleLabelTargetFormatter,
    SpaceDelimitedTargetFormatter,
)
from flash.video import VideoClassificationData, VideoClassifier
from flash.video.classification.data import DEFAULT_RECIPE, MiddleClipSampler
from pytorchvideo.data.clip_sampling import UniformClipSampler
from pytorchvideo.transforms import ApplyTransformToKey, UniformTemporalSubsample
from pytorchvideo.transforms.clip_recipe import ClipRecipe

SMALL = ClipRecipe(num_frames=4, sampling_rate=4, side_size=40, crop_size=32)


@pytest.fixture(scope="module")
def root(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/{cat,dog} with 3 videos of 2 s each, val with 1 each, mixed endings."""
    folder = tmp_path_factory.mktemp("set")
    for stage, count in (("train", 3), ("val", 1)):
        for name in ("cat", "dog"):
            for i in range(count):
                ending = ".avi" if i == 1 else ".mp4"
                options = {"codec": "mpeg4"} if i == 1 else {}
                make_video(
                    f"{name}{i}{ending}",
                    folder=folder / stage / name,
                    num_frames=20,
                    fps=10,
                    **options,
                )
    return folder


def batches(loader: Any) -> list[Any]:
    return list(loader)


def data(root: Path, **options: Any) -> VideoClassificationData:
    return VideoClassificationData.from_folders(
        train_folder=root / "train", **{"recipe": SMALL, **options}
    )


def videos(root: Path) -> list[Path]:
    return sorted((root / "train").rglob("*.*"))


def test_stages_take_their_splits_of_a_list(root: Path, tmp_path: Path) -> None:
    lines = [
        f"{path};{path.parent.name};{'train' if i % 3 else 'Validation'}"
        for i, path in enumerate(videos(root))
    ]
    file = tmp_path / "all.csv"
    file.write_text("video;class;split\r\n" + "\r\n".join(lines), encoding="utf-8-sig")
    module = VideoClassificationData.from_folders(file, file, recipe=SMALL)
    assert module.labels == ["cat", "dog"]
    names = [
        [name for batch in loader for name in batch["video_name"]]
        for loader in (module.train_dataloader(), module.val_dataloader())
    ]
    assert sorted(names[0]) == ["cat1.avi", "cat2.mp4", "dog1.avi", "dog2.mp4"]
    assert names[1] == ["cat0.mp4", "dog0.mp4"]
    with pytest.raises(
        ValueError, match=r"all.csv: .*`split` to be one of val, train, but got 'test'"
    ):
        VideoClassificationData.from_folders(file, test_folder=file)


def test_lists_with_several_classes_a_video(root: Path, tmp_path: Path) -> None:
    classes = ["0 2", "1", "0", "1 2", "2", "0 1 2"]
    file = tmp_path / "several.txt"
    file.write_text("\n".join(f"{p} {c}" for p, c in zip(videos(root), classes, strict=True)))
    module = VideoClassificationData.from_folders(
        file, recipe=SMALL, video_sampler=SequentialSampler, batch_size=6
    )
    assert (module.multi_label, module.num_classes) == (True, 3)
    (batch,) = batches(module.train_dataloader())
    wanted = [[1, 0, 1], [0, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1], [1, 1, 1]]
    assert batch["label"].tolist() == wanted


def test_folders_give_batches_labels_and_skipped(root: Path) -> None:
    module = data(root, val_folder=root / "val", test_folder=root / "val")
    assert (module.num_classes, module.labels, module.multi_label) == (2, ["cat", "dog"], False)
    found = batches(module.train_dataloader())
    assert [batch["video"].shape for batch in found] == [(4, 3, 4, 32, 32), (2, 3, 4, 32, 32)]
    assert found[0]["label"].dtype == torch.int64
    labels = torch.cat([batch["label"] for batch in found]).tolist()
    names = [name for batch in found for name in batch["video_name"]]
    assert [module.labels[label] for label in labels] == [name[:3] for name in names]
    assert sorted(names) == ["cat0.mp4", "cat1.avi", "cat2.mp4", "dog0.mp4", "dog1.avi", "dog2.mp4"]
    (val,) = batches(module.val_dataloader())
    assert val["video_name"] == ["cat0.mp4", "dog0.mp4"]
    assert module.skipped == []


def test_list_file_in_the_place_of_a_folder(root: Path, tmp_path: Path) -> None:
    listing = tmp_path / "train.txt"
    lines = [f"{root}/train/cat/cat0.mp4 1", f"{root}/train/dog/dog0.mp4 0"] * 4
    listing.write_text("\n".join(lines))
    for module in (
        VideoClassificationData.from_folders(listing, recipe=SMALL),
        VideoClassificationData.from_paths(train_data_path=listing, recipe=SMALL),
        VideoClassificationData.from_paths(train_folder=str(listing), recipe=SMALL),
    ):
        assert (module.num_classes, module.labels) == (2, None)
        assert sum(len(batch["label"]) for batch in module.train_dataloader()) == 8


def test_prefix_of_a_list_file(root: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("cat/cat0.mp4 0\ndog/dog0.mp4 1\n")
    module = VideoClassificationData.from_paths(
        tmp_path / "list.txt", video_path_prefix=str(root / "train"), recipe=SMALL
    )
    assert len(batches(module.train_dataloader())[0]["label"]) == 2


@pytest.mark.parametrize("stage", ["train", "val", "test", "predict"])
def test_both_names_of_a_stage(root: Path, stage: str) -> None:
    paths = {f"{stage}_folder": root, f"{stage}_data_path": root}
    with pytest.raises(TypeError, match=rf"one of `{stage}_folder` and `{stage}_data_path`"):
        VideoClassificationData.from_paths(**paths)


@pytest.mark.parametrize("targets", [["dog", "cat"], [1, 0]])
def test_files_with_names_or_numbers(root: Path, targets: list[Any]) -> None:
    files = [root / "train/dog/dog0.mp4", root / "train/cat/cat0.mp4"]
    module = VideoClassificationData.from_files(
        train_files=files,
        train_targets=targets,
        val_files=files[:1],
        val_targets=targets[:1],
        recipe=SMALL,
        video_sampler=SequentialSampler,
    )
    assert module.num_classes == 2
    assert module.labels == (["cat", "dog"] if isinstance(targets[0], str) else None)
    (train,), (val,) = batches(module.train_dataloader()), batches(module.val_dataloader())
    assert train["label"].tolist() == [1, 0]
    # the only class of the validation set keeps its number
    assert val["label"].tolist() == [1]


def test_unfit_targets(root: Path) -> None:
    file = str(root / "train/dog/dog0.mp4")
    make = VideoClassificationData.from_files
    with pytest.raises(ValueError, match="one target for each of `train_files`, but got 'none'"):
        make(train_files=[file])
    with pytest.raises(ValueError, match="'1 for 2'"):
        make(train_files=[file, file], train_targets=[1])
    with pytest.raises(TypeError, match="`train_targets` to be class names or class numbers, but"):
        make(train_files=[file, file], train_targets=["cat", 1])
    with pytest.raises(ValueError, match="`train_targets` to be class numbers >= 0, but got -1"):
        make(train_files=[file], train_targets=[-1])
    with pytest.raises(TypeError, match="`train_files` to be a list of paths"):
        make(train_files=file, train_targets=[1])
    with pytest.raises(TypeError, match="`train_files` to be paths, but got None"):
        make(train_files=[file, None], train_targets=[0, 1])
    for targets in (3, "a"):
        with pytest.raises(TypeError, match="a list with a target for each of `train_files`"):
            make(train_files=[file], train_targets=targets)
    with pytest.raises(ValueError, match="`train_targets` to be a class in at least one"):
        make(train_files=[file], train_targets=[[]])
    with pytest.raises(ValueError, match="at least one video"):
        make(train_files=[], train_targets=[])
    with pytest.raises(FileNotFoundError, match="No video"):
        make(train_files=["nowhere.mp4"], train_targets=[1])


def test_classes_of_other_stages(root: Path) -> None:
    files = [str(root / "train/cat/cat0.mp4"), str(root / "train/dog/dog0.mp4")]
    make = VideoClassificationData.from_files
    with pytest.raises(
        ValueError, match=r"val data to have the classes of the train data only.* fox"
    ):
        make(
            train_files=files,
            train_targets=["cat", "dog"],
            val_files=files,
            val_targets=["fox", "dog"],
        )
    with pytest.raises(ValueError, match=r"it also has 2. Classes of the train data: 0 to 1"):
        make(train_files=files, train_targets=[0, 1], test_files=files, test_targets=[0, 2])


def test_no_data_at_all() -> None:
    with pytest.raises(ValueError, match="data for train, val, test or predict"):
        VideoClassificationData.from_folders()


def test_unknown_option_and_missing_paths(root: Path, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'train_fold'"):
        VideoClassificationData.from_folders(train_fold=root)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        VideoClassificationData.from_folders(tmp_path / "nowhere")
    for path in (3, [root]):
        with pytest.raises(TypeError, match="`train_folder` to be the path of a folder or list"):
            VideoClassificationData.from_folders(path)
    with pytest.raises(TypeError, match="`predict data` to be a file, a list of files or a folder"):
        VideoClassificationData.from_folders(predict_folder=3)
    with pytest.raises(FileNotFoundError, match=r"no video .*none.mp4 to predict"):
        VideoClassificationData.from_files(predict_files=[tmp_path / "none.mp4"])
    with pytest.raises(ValueError, match=r"has no video\. Expected files"):
        VideoClassificationData.from_folders(predict_folder=tmp_path)
    (tmp_path / "list.txt").write_text("a.mp4 0\nb.mp4 1\n")
    with pytest.raises(FileNotFoundError, match=r"None of the 2 videos of .*list.txt exists"):
        VideoClassificationData.from_paths(tmp_path / "list.txt")
    (tmp_path / "list.txt").write_text(f"{root}/train/cat/cat0.mp4\n{root}/train/dog/dog0.mp4 1\n")
    with pytest.raises(
        ValueError, match=r"list.txt, line 1: .*a label >= 0, but .*cat0.mp4 has none"
    ):
        VideoClassificationData.from_paths(tmp_path / "list.txt")


def test_predict_folder_is_searched_with_its_subfolders(root: Path) -> None:
    module = VideoClassificationData.from_folders(predict_folder=root, recipe=SMALL, batch_size=8)
    (batch,) = batches(module.predict_dataloader())
    assert batch["video_path"] == sorted(batch["video_path"])
    assert len(batch["video_path"]) == 8
    assert "label" not in batch
    assert module.num_classes is None
    one = VideoClassificationData.from_files(predict_files=batch["video_path"][0], recipe=SMALL)
    assert batches(one.predict_dataloader())[0]["video_name"] == ["cat0.mp4"]


@pytest.mark.parametrize(
    ("sampler", "kwargs", "clips"),
    [
        ("random", None, 1),
        ("uniform", None, 4),
        ("uniform", {"stride": 1.0}, 2),
        ("constant_clips_per_video", {"clips_per_video": 3}, 3),
        ("random_multi", {"num_clips": 2}, 2),
        (UniformClipSampler(0.5), None, 4),
    ],
)
@pytest.mark.parametrize("workers", [0, 2])
def test_clip_samplers(root: Path, sampler: Any, kwargs: Any, clips: int, workers: int) -> None:
    module = data(
        root,
        clip_sampler=sampler,
        clip_sampler_kwargs=kwargs,
        clip_duration=0.5,
        num_workers=workers,
    )
    found = batches(module.train_dataloader())
    assert sum(len(batch["label"]) for batch in found) == 6 * clips
    assert all(batch["video"].shape[1:] == (3, 4, 32, 32) for batch in found)
    assert all(len(batch["video_name"]) == len(batch["video"]) for batch in found)


def test_unfit_clip_samplers(root: Path) -> None:
    with pytest.raises(NotImplementedError, match="one of uniform, random"):
        data(root, clip_sampler="unifrom")
    with pytest.raises(TypeError, match="`clip_sampler_kwargs` to be None"):
        data(root, clip_sampler=UniformClipSampler(1), clip_sampler_kwargs={"stride": 1})
    for duration in (0, "2"):
        with pytest.raises(ValueError, match="`clip_duration` to be > 0 seconds"):
            data(root, clip_duration=duration)


def test_evaluation_and_prediction_are_not_random(root: Path) -> None:
    stages = {
        "val_folder": root / "val",
        "test_folder": root / "val",
        "predict_folder": root / "val",
    }
    module = data(root, clip_duration=0.5, **stages)
    for loader in (module.val_dataloader, module.test_dataloader, module.predict_dataloader):
        (first,), (second,) = batches(loader()), batches(loader())
        assert torch.equal(first["video"], second["video"])
    uniform = data(root, clip_sampler="uniform", clip_duration=0.5, **stages)
    assert sum(len(b["video"]) for b in uniform.val_dataloader()) == 2 * 4
    assert sum(len(b["video"]) for b in uniform.predict_dataloader()) == 2
    chosen = data(root, clip_duration=0.5, eval_clip_sampler="uniform", **stages)
    assert sum(len(b["video"]) for b in chosen.test_dataloader()) == 2 * 4


def test_middle_of_a_short_video() -> None:
    assert MiddleClipSampler(2)(None, 1, {})[:2] == (0, 2)


@pytest.mark.parametrize("frames", [4, 5])
def test_half_of_each_video(root: Path, frames: int) -> None:
    # clips of (almost) half a second at 10 frames per second
    module = data(
        root,
        clip_sampler="uniform",
        clip_duration=frames / 10 - 1e-9,
        video_sampler=SequentialSampler,
        train_transform=lambda sample: sample,
    )
    assert module.recipe is None
    assert {sample["video"].shape[1] for sample in module.train_dataset} == {frames}


def test_default_clips(root: Path) -> None:
    module = data(root, recipe=None, batch_size=1, train_transform=None)
    batch = next(iter(module.train_dataloader()))
    assert batch["video"].shape == (1, 3, 8, 244, 244)
    # 0..1, then normalised
    assert (
        (0 - 0.45) / 0.225 - 1e-4
        <= batch["video"].min()
        < batch["video"].max()
        <= 0.55 / 0.225 + 1e-4
    )
    assert module.recipe is not None
    assert module.recipe.clip_duration_sec == pytest.approx(2.0)
    assert module.recipe.num_frames == DEFAULT_RECIPE.num_frames


def test_clip_duration_and_recipe_agree(root: Path) -> None:
    assert data(root).recipe == SMALL
    asked = data(root, clip_duration=1.5).recipe
    assert asked is not None
    assert asked.clip_duration_sec == pytest.approx(1.5)


def test_val_split(root: Path) -> None:
    module = data(root, val_split=0.34, seed=1, batch_size=8)
    (train,), (val,) = batches(module.train_dataloader()), batches(module.val_dataloader())
    assert sorted(val["label"].tolist()) == [0, 1]
    assert sorted(train["label"].tolist()) == [0, 0, 1, 1]
    assert not set(train["video_name"]) & set(val["video_name"])
    grouped = data(
        root, val_split=0.34, val_split_group=lambda path: Path(path).stem[-1], batch_size=8
    )
    (val,) = batches(grouped.val_dataloader())
    assert len({Path(name).stem[-1] for name in val["video_name"]}) == 1
    with pytest.raises(ValueError, match="training data only, but got validation data too"):
        data(root, val_folder=root / "val", val_split=0.5)
    with pytest.raises(ValueError, match="but got no training data"):
        VideoClassificationData.from_folders(val_folder=root / "val", val_split=0.5)


def test_split_that_lacks_a_class_says_so(root: Path) -> None:
    def recording(path: str) -> str:
        return "all dogs" if "dog" in Path(path).name else path

    with pytest.warns(UserWarning, match="The validation part has no video of dog: there is one"):
        module = data(root, val_split=0.34, val_split_group=recording)
    assert {info["label"] for _, info in module.val_dataset.reader.videos} == {0}


def test_a_set_smaller_than_a_batch_gives_a_batch(root: Path) -> None:
    assert [len(b["label"]) for b in data(root, batch_size=64).train_dataloader()] == [6]


@pytest.mark.filterwarnings("ignore:Skipping")  # the dataset's own word on each bad file
@pytest.mark.parametrize("workers", [0, 2])
def test_bad_files_are_listed(root: Path, tmp_path: Path, workers: int) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"")
    good = str(root / "train/dog/dog0.mp4")
    module = VideoClassificationData.from_files(
        train_files=[bad, good, good],
        train_targets=[0, 1, 0],
        val_files=[good, tmp_path / "gone.mp4"],
        val_targets=[0, 1],
        recipe=SMALL,
        num_workers=workers,
        video_sampler=SequentialSampler,
    )
    assert sum(len(b["label"]) for b in module.train_dataloader()) == 2
    assert sum(len(b["label"]) for b in module.val_dataloader()) == 1
    assert [Path(clip.path).name for clip in module.skipped] == ["bad.mp4", "gone.mp4"]
    assert "empty" in module.skipped[0].reason


def test_sound(make_video: Callable[..., Path]) -> None:
    files = [make_video(f"sound{n}.mp4", num_frames=n, fps=10, audio_rate=8000) for n in (10, 14)]
    options: dict[str, Any] = {"recipe": SMALL, "clip_duration": 1.5}
    make = VideoClassificationData.from_files
    module = make(train_files=files, train_targets=[0, 1], decode_audio=True, **options)
    (batch,) = batches(module.train_dataloader())
    assert len(batch["audio"]) == 2
    (batch,) = batches(make(train_files=files, train_targets=[0, 1], **options).train_dataloader())
    assert "audio" not in batch


class Recorder:
    """Notes where it ran and what it saw."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log

    def __call__(self, value: Any) -> Any:
        self.log.append(tuple(value["video"].shape))
        value["in_worker"] = get_worker_info() is not None
        return value


def test_hooks_run_in_their_places(root: Path) -> None:
    samples: list[Any] = []
    on_batch: list[Any] = []
    on_device: list[Any] = []
    seen: list[Any] = []

    class Classifier(VideoClassifier):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            seen.append(batch)
            return super().training_step(batch, batch_idx)

    def run(workers: int) -> None:
        for log in (samples, on_batch, on_device, seen):
            log.clear()
        resize = ApplyTransformToKey(
            "video", Compose([UniformTemporalSubsample(4), CenterCrop(32)])
        )
        module = data(
            root,
            train_transform={
                "post_tensor_transform": Compose([resize, Recorder(samples)]),
                "per_batch_transform": Recorder(on_batch),
                "per_batch_transform_on_device": Recorder(on_device),
            },
            num_workers=workers,
        )
        net = torch.nn.Sequential(
            torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten(), torch.nn.Linear(3, 2)
        )
        model = Classifier(2, backbone=net)
        trainer = flash.Trainer(
            fast_dev_run=True,
            enable_progress_bar=False,
            enable_model_summary=False,
            accelerator="cpu",
        )
        trainer.finetune(model, datamodule=module)

    run(0)
    assert set(samples) == {(3, 4, 32, 32)}
    assert on_batch == on_device == [(4, 3, 4, 32, 32)]
    run(2)
    # in the workers' memory, not in this process's
    assert samples == on_batch == []
    assert on_device == [(3, 3, 4, 32, 32)]  # each worker has three of the videos
    assert seen[0]["in_worker"] is False  # the last to write was the hook on the device


class Numbered(flash.InputTransform):
    """Writes the stage's number into every sample, in the worker, and again on the device."""

    def per_sample_transform(self) -> Any:
        return Compose(
            [
                ApplyTransformToKey(
                    "video", Compose([UniformTemporalSubsample(4), CenterCrop(32)])
                ),
                lambda sample: {**sample, "in_worker": get_worker_info() is not None},
            ]
        )

    def per_sample_transform_on_device(self) -> Any:
        return lambda sample: {**sample, "input": sample["input"] * 0 + 1}

    def val_per_sample_transform_on_device(self) -> Any:
        return lambda sample: {**sample, "input": sample["input"] * 0 + 2}

    def predict_per_sample_transform_on_device(self) -> Any:
        return lambda sample: {**sample, "input": sample["input"] * 0 + 3}


@pytest.mark.parametrize("workers", [0, 2])
def test_each_stage_has_its_own_hooks(root: Path, workers: int) -> None:
    seen: dict[str, set[float]] = {"train": set(), "val": set(), "predict": set()}
    places = set()

    class Classifier(VideoClassifier):
        def step(self, batch: Any, stage: str) -> Any:
            seen[stage] |= set(batch["video"].unique().tolist())
            assert batch["target"].shape == (len(batch["input"]),)
            places.update(batch["in_worker"].tolist())
            return super().step(batch, stage)

        def forward(self, x: Any) -> Any:
            if self.trainer.predicting:
                seen["predict"] |= set(x.unique().tolist())
            return super().forward(x)

    module = data(
        root,
        val_folder=root / "val",
        predict_folder=root / "val",
        transform=Numbered,
        num_workers=workers,
    )
    net = torch.nn.Sequential(
        torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten(), torch.nn.Linear(3, 2)
    )
    trainer = flash.Trainer(
        max_epochs=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=False,
        accelerator="cpu",
        num_sanity_val_steps=1,
    )
    model = Classifier(2, backbone=net)
    trainer.fit(model, datamodule=module)
    answers = trainer.predict(model, datamodule=module, output="labels")
    assert seen == {"train": {1}, "val": {2}, "predict": {3}}
    assert places == {bool(workers)}
    assert {label for batch in answers for label in batch} <= {"cat", "dog"}


def test_the_sparse_decode_is_on(root: Path) -> None:
    from pytorchvideo.transforms._pushdown import temporal_frame_filter

    module = data(root)
    keep = temporal_frame_filter(module.train_dataset.reader.transform)
    assert keep is not None
    assert keep(list(range(10))) == [0, 3, 6, 9]


def test_sampler_class_of_the_training_videos(root: Path) -> None:
    assert isinstance(data(root).train_dataset.video_sampler, RandomSampler)
    module = data(root, video_sampler=SequentialSampler)
    names = [name for batch in module.train_dataloader() for name in batch["video_name"]]
    assert names == sorted(names)


def test_missing_stages_say_so(root: Path) -> None:
    module = data(root)
    for loader in (module.val_dataloader, module.test_dataloader, module.predict_dataloader):
        with pytest.raises(ValueError, match=r"VideoClassificationData has no \w+ data"):
            loader()
    with pytest.raises(ValueError, match="`batch_size` to be a whole number >= 1"):
        data(root, batch_size=0)
    with pytest.raises(ValueError, match="`num_workers` to be a whole number >= 0"):
        data(root, num_workers=-1)
    assert data(root, num_workers=None).num_workers >= 1


def test_options_of_the_loader(root: Path) -> None:
    loader = data(root, num_workers=1, persistent_workers=True, pin_memory=False).train_dataloader()
    assert (loader.persistent_workers, loader.pin_memory, loader.drop_last) == (True, False, False)
    # nothing to keep without workers
    assert not data(root, persistent_workers=True).train_dataloader().persistent_workers
    assert data(root).pin_memory == torch.cuda.is_available()


def test_alias_of_kornia() -> None:
    augmentation = pytest.importorskip("kornia.augmentation")
    assert augmentation.augmentation.ColorJitter is augmentation.ColorJitter


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"clip_sampling": "random"}, "argument 'clip_sampling'. Did you mean .*clip_sampler"),
        ({"preprocess": object()}, "`preprocess` to be None, .* Use the transforms."),
        ({"input_cls": object}, "`input_cls` to be None"),
        ({"multi_label": "yes", "labels": ["a"]}, "argument 'labels'"),
        ({"target_formatter": len}, "`target_formatter` to be a TargetFormatter or None"),
        ({"clip_sampler": 3}, "`clip_sampler` to be a name or a ClipSampler, but got 3"),
        ({"clip_sampler": "random_multi"}, "num_clips"),
        ({"video_sampler": 3}, "a sampler, or a class of samplers, but got 3"),
        ({"recipe": {"num_frames": 3}}, "a ClipRecipe or None, but got"),
        (
            {"sampler": SequentialSampler, "video_sampler": SequentialSampler},
            "one of `video_sampler` and `sampler`",
        ),
    ],
)
def test_unfit_options(root: Path, options: dict[str, Any], match: str) -> None:
    with pytest.raises(TypeError, match=match):
        VideoClassificationData.from_files([root / "train/cat/cat0.mp4"], [0], **options)


def test_folders_have_one_class_a_video(root: Path) -> None:
    assert data(root, multi_label=False).multi_label is False
    with pytest.raises(ValueError, match="`multi_label` to be None or False for targets of this"):
        data(root, multi_label=True)


def test_arguments_of_a_transform_of_one_stage(root: Path) -> None:
    module = data(
        root,
        train_transform=flash.video.VideoClassificationInputTransform,
        transform_kwargs={"image_size": 24, "temporal_sub_sample": 2},
    )
    assert batches(module.train_dataloader())[0]["video"].shape == (4, 3, 2, 24, 24)


def test_options_of_flash_without_effect(root: Path) -> None:
    nothing = dict.fromkeys(("preprocess", "postprocess", "input_cls", "data_fetcher"))
    assert data(root, **nothing).num_classes == 2
    with pytest.warns(UserWarning, match="`data_fetcher` has no effect"):
        data(root, data_fetcher=object())


def test_sampler_is_another_name_for_the_order_of_videos(root: Path) -> None:
    for sampler in (SequentialSampler, SequentialSampler(range(6))):
        module = data(root, sampler=sampler)
        names = [name for batch in module.train_dataloader() for name in batch["video_name"]]
        assert names == sorted(names)
    weighted = WeightedRandomSampler([1, 0, 0, 0, 0, 0], num_samples=3)
    module = data(root, video_sampler=weighted)
    assert [n for b in module.train_dataloader() for n in b["video_name"]] == ["cat0.mp4"] * 3
    # the class, with all that it asks for, is not given the videos as well
    for made in (
        partial(WeightedRandomSampler, [1, 0, 0, 0, 0, 0], 3),
        partial(WeightedRandomSampler, weights=[1, 0, 0, 0, 0, 0], num_samples=3),
    ):
        module = data(root, sampler=made)
        assert [n for b in module.train_dataloader() for n in b["video_name"]] == ["cat0.mp4"] * 3
    module = data(root, sampler=partial(RandomSampler, replacement=True, num_samples=5))
    assert len([n for b in module.train_dataloader() for n in b["video_name"]]) == 5
    clips = VideoClassificationData.from_tensors(
        torch.arange(3.0).view(3, 1, 1, 1, 1).expand(3, 3, 1, 8, 8),
        [0, 1, 1],
        train_transform=lambda sample: sample,
        sampler=partial(WeightedRandomSampler, [0, 1, 1], 4),
    )
    (batch,) = batches(clips.train_dataloader())
    assert batch["label"].tolist() == [1] * 4


def test_forms_of_targets(root: Path) -> None:
    files = sorted((root / "train").rglob("*.*"))[:2]
    make = VideoClassificationData.from_files
    several = make(
        files, ["cat,pet", "pet"], val_files=files[:1], val_targets=["cat"], recipe=SMALL
    )
    assert (several.labels, several.multi_label) == (["cat", "pet"], True)
    (batch,) = batches(several.train_dataloader())
    assert batch["label"].dtype == torch.float32
    assert sorted(batch["target"].tolist()) == [[0, 1], [1, 1]]
    assert batches(several.val_dataloader())[0]["label"].tolist() == [[1, 0]]
    spaced = make(files, ["old cat", "cat"], target_formatter=SpaceDelimitedTargetFormatter)
    assert spaced.labels == ["cat", "old"]
    known = SingleLabelTargetFormatter(["dog", "cat"])
    assert make(files, ["cat", "cat"], target_formatter=known).num_classes == 2
    with pytest.raises(ValueError, match=r"also has fox. Classes of the train data: dog, cat"):
        make(files, ["cat", "fox"], target_formatter=known)
    assert known.labels == ["dog", "cat"]


def test_targets_of_several_classes_train(root: Path) -> None:
    module = VideoClassificationData.from_files(
        sorted((root / "train").rglob("*.*")), [["a"], ["a", "b"], []] * 2, recipe=SMALL
    )
    net = torch.nn.Sequential(
        torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten(), torch.nn.Linear(3, 2)
    )
    model = VideoClassifier(labels=module.labels, backbone=net, multi_label=module.multi_label)
    trainer = flash.Trainer(
        fast_dev_run=True, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu"
    )
    trainer.fit(model, datamodule=module)
    assert trainer.state.finished


def test_videos_without_an_ending(root: Path, tmp_path: Path) -> None:
    (tmp_path / "clip").write_bytes((root / "train/cat/cat0.mp4").read_bytes())
    module = VideoClassificationData.from_files(
        [tmp_path / "clip"], [0], predict_files=tmp_path / "clip", recipe=SMALL
    )
    assert batches(module.train_dataloader())[0]["video_name"] == ["clip"]
    assert batches(module.predict_dataloader())[0]["video_path"] == [str(tmp_path / "clip")]


def test_samples_have_both_names(root: Path) -> None:
    module = data(root, num_workers=1)
    assert module.train_dataset.data is module.train_dataset.dataset is module.train_dataset
    sample, batch = next(iter(module.train_dataset)), next(iter(module.train_dataloader()))
    assert sample[flash.DataKeys.INPUT] is sample["video"]
    assert batch["target"] is batch["label"]


def test_sparse_decode_under_flash_s_names(root: Path) -> None:
    from pytorchvideo.transforms._pushdown import temporal_frame_filter

    resize = ApplyToKeys(flash.DataKeys.INPUT, UniformTemporalSubsample(4), CenterCrop(32))
    module = data(root, train_transform=resize)
    keep = temporal_frame_filter(module.train_dataset.reader.transform)
    assert keep is not None and keep(list(range(10))) == [0, 3, 6, 9]
    (first, _) = batches(module.train_dataloader())
    assert first["video"].shape == (4, 3, 4, 32, 32)
