# SPDX-License-Identifier: Apache-2.0
"""Clips in memory and data sets of one's own as video data."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, IterableDataset, SequentialSampler, TensorDataset

import flash
from flash.core.data.io.input import DataKeys
from flash.video import VideoClassificationData, VideoClassifier
from flash.video.classification.data import DEFAULT_RECIPE
from flash.video.sources.datasets import LabeledVideoTensorDataset, clips_of
from pytorchvideo.data import ClipDataset, make_clip_sampler
from pytorchvideo.transforms.clip_recipe import ClipRecipe

SMALL = ClipRecipe(num_frames=2, sampling_rate=1, side_size=8, crop_size=8)
KEEP = {"transform": lambda sample: sample}


def clips(count: int = 4, frames: int = 3) -> torch.Tensor:
    """Clips (N, 3, T, 8, 8) whose every value is the clip's number."""
    return torch.arange(float(count)).view(-1, 1, 1, 1, 1).expand(count, 3, frames, 8, 8).clone()


def values(loader: Any) -> list[tuple[float, Any]]:
    return [
        (video[0, 0, 0, 0].item(), label.tolist())
        for batch in loader
        for video, label in zip(batch["video"], batch["label"], strict=True)
    ]


@pytest.mark.parametrize(
    ("data", "count", "frames"),
    [
        (torch.zeros(2, 3, 10, 8, 8), 2, 10),
        (torch.zeros(3, 10, 8, 8), 1, 10),
        ([torch.zeros(3, 10, 8, 8)], 1, 10),
        ([torch.zeros(3, 10, 8, 8), torch.zeros(3, 10, 8, 8)], 2, 10),
        ((torch.zeros(3, 5, 8, 8),) * 3, 3, 5),
        (torch.zeros(1, 3, 5, 8, 8, dtype=torch.uint8), 1, 5),
    ],
)
def test_shapes_of_tensors(data: Any, count: int, frames: int) -> None:
    module = VideoClassificationData.from_tensors(
        train_data=data, train_targets=["a"] * count, predict_data=data, **KEEP
    )
    for dataset in (module.train_dataset, module.predict_dataset):
        assert len(dataset) == count
        assert {tuple(sample["input"].shape) for sample in dataset} == {(3, frames, 8, 8)}
        assert {sample["video"].dtype for sample in dataset} == {torch.float32}
    assert "label" not in module.predict_dataset[0]
    assert module.train_dataset[0][DataKeys.TARGET] == 0


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (torch.zeros(8, 8), ValueError, r"dimension 4 \(C, T, H, W\) .* but got \(8, 8\)"),
        ([torch.zeros(2, 3, 4, 8, 8)], ValueError, "dimension 4"),
        ("clips.pt", TypeError, "a tensor, or a list/tuple of tensors, but got 'str'"),
        (torch.zeros(2, 3, 0, 8, 8), ValueError, r"clips with frames, but got \(3, 0, 8, 8\)"),
        ([[1, 2]], TypeError, "a list/tuple of tensors, but got 'list'"),
        ([], ValueError, "`train_data` to be at least one video|one target for each"),
    ],
)
def test_what_is_no_clip(data: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        VideoClassificationData.from_tensors(data, ["a"] * len(data))


def test_what_else_is_refused_of_tensors() -> None:
    make = VideoClassificationData.from_tensors
    with pytest.raises(ValueError, match="one target for each of `train_data`, but got 'none'"):
        make(clips())
    with pytest.raises(ValueError, match="one target for each of `val_data`, but got '3 for 4'"):
        make(val_data=clips(), val_targets=[0, 1, 2])
    with pytest.raises(TypeError, match=r"from_tensors\(\) got an unexpected .*'clip_sampler'"):
        make(clips(), [0] * 4, clip_sampler="random")
    with pytest.raises(TypeError, match="one of `sampler` and `video_sampler`"):
        make(clips(), [0] * 4, sampler=SequentialSampler, video_sampler=SequentialSampler)
    with pytest.raises(ValueError, match="at least one clip"):
        make(predict_data=[])
    with pytest.raises(ValueError, match="Expected data for train"):
        make()


def test_tensors_keep_their_targets_and_memory() -> None:
    data = clips()
    module = VideoClassificationData.from_tensors(
        data,
        ["b", "a", "b", "a"],
        video_sampler=SequentialSampler,
        train_transform=lambda sample: {**sample, "video": sample["video"].add_(1)},
        batch_size=3,
    )
    for _ in range(2):  # a transform that works in place does not change the data
        assert values(module.train_dataloader()) == [(1, 1), (2, 0), (3, 1), (4, 0)]
    assert (module.labels, module.recipe) == (["a", "b"], None)
    assert torch.equal(data, clips())


def test_training_tensors_are_shuffled() -> None:
    module = VideoClassificationData.from_tensors(clips(20), list(range(20)), **KEEP)
    seen = [label for _, label in values(module.train_dataloader())]
    assert seen != sorted(seen) == list(range(20))


def test_default_transform_takes_0_to_1_and_0_to_255() -> None:
    video = torch.rand(3, 4, 8, 8)
    pixels = (video * 255).round()
    made = [
        VideoClassificationData.from_tensors(val_data=one, val_targets=[0], recipe=SMALL)
        for one in (pixels / 255, pixels, pixels.to(torch.uint8))
    ]
    unit, float_, uint8 = (module.val_dataset[0]["video"] for module in made)
    assert unit.shape == (3, 2, 8, 8)
    assert torch.allclose(unit, float_, atol=1e-5)
    assert torch.equal(float_, uint8)
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (SMALL.mean, SMALL.std))
    assert torch.allclose(unit * std + mean, (pixels / 255)[:, [0, 3]], atol=1e-5)
    assert made[0].recipe == SMALL
    default = VideoClassificationData.from_tensors(val_data=pixels, val_targets=[0])
    assert default.recipe == DEFAULT_RECIPE


def test_tensors_of_several_classes_are_split() -> None:
    module = VideoClassificationData.from_tensors(
        clips(8), [["a"], ["a", "b"]] * 4, val_split=0.25, seed=3, **KEEP
    )
    assert module.multi_label
    assert (len(module.train_dataset), len(module.val_dataset)) == (6, 2)
    seen = {
        v
        for loader in (module.train_dataloader(), module.val_dataloader())
        for v, _ in values(loader)
    }
    assert seen == set(range(8))


def test_tensors_train_and_are_predicted() -> None:
    module = VideoClassificationData.from_tensors(
        clips(4),
        ["dark", "dark", "light", "light"],
        predict_data=clips(3),
        batch_size=2,
        recipe=SMALL,
    )
    net = torch.nn.Sequential(
        torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten(), torch.nn.Linear(3, 2)
    )
    trainer = flash.Trainer(
        fast_dev_run=True, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu"
    )
    model = VideoClassifier(labels=module.labels, backbone=net)
    trainer.finetune(model, datamodule=module)
    trainer = flash.Trainer(logger=False, enable_progress_bar=False, accelerator="cpu")
    answers = trainer.predict(model, datamodule=module, output="labels")
    assert [len(batch) for batch in answers] == [2, 1]
    assert {label for batch in answers for label in batch} <= {"dark", "light"}


def test_clips_of_a_tensor_are_its_parts() -> None:
    assert [clip[0, 0, 0, 0].item() for clip in clips_of("data", clips(3))] == [0, 1, 2]


class Stream(IterableDataset[Any]):
    labels = ("a", "b")

    def __iter__(self) -> Iterator[Any]:
        for number, clip in enumerate(clips()):
            yield {"input": clip, "target": number % 2}


@pytest.mark.parametrize(
    "dataset",
    [
        TensorDataset(clips(), torch.arange(4) % 2),
        [{"video": clip, "label": i % 2} for i, clip in enumerate(clips())],
        [{"input": clip, "target": i % 2} for i, clip in enumerate(clips())],
        [(clip, i % 2) for i, clip in enumerate(clips())],
        Stream(),
    ],
)
def test_samples_of_any_form(dataset: Any) -> None:
    module = VideoClassificationData.from_datasets(
        train_dataset=dataset,
        test_dataset=dataset,
        num_classes=2,
        train_transform=lambda sample: {**sample, "input": sample["video"] + 1},
    )
    assert sorted(values(module.train_dataloader())) == [(1, 0), (2, 1), (3, 0), (4, 1)]
    assert values(module.test_dataloader()) == [(0, 0), (1, 1), (2, 0), (3, 1)]
    assert module.num_classes == 2


def test_classes_of_data_sets() -> None:
    make = VideoClassificationData.from_datasets
    assert (make(Stream()).labels, make(Stream()).num_classes) == (["a", "b"], 2)
    named = make([(clips(), 0)], labels=["x", "y", "z"], multi_label=True)
    assert (named.labels, named.num_classes, named.multi_label) == (["x", "y", "z"], 3, True)
    assert make([(clips(), 0)]).num_classes is None


def test_split_of_a_data_set_is_seeded_and_complete() -> None:
    def parts(seed: int) -> tuple[list[Any], list[Any]]:
        module = VideoClassificationData.from_datasets(
            TensorDataset(clips(10), torch.arange(10)), val_split=0.3, seed=seed
        )
        return sorted(values(module.train_dataloader())), values(module.val_dataloader())

    train, val = parts(1)
    assert (len(train), len(val)) == (7, 3)
    assert sorted(train + val) == [(i, i) for i in range(10)]
    assert parts(1) == (train, val) != parts(2)


@pytest.mark.parametrize(
    ("dataset", "options", "error", "match"),
    [
        (3, {}, TypeError, "`train_dataset` to be a data set, but got 'int'"),
        ("folder", {}, TypeError, "`train_dataset` to be a data set, but got 'str'"),
        ([1], {"labels": "ab"}, TypeError, "`labels` to be a list of class names"),
        (None, {}, ValueError, "Expected data for train"),
        (Stream(), {"val_split": 0.5}, ValueError, "None for a data set without a length"),
        ([1, 2], {"val_split": 0.1}, ValueError, "that leaves some on both sides, but got 0.1"),
        ([1, 2], {"val_split": 0.5, "val_split_group": str}, TypeError, "`val_split_group`"),
        ([1, 2], {"val_split": 0.5, "val_dataset": [1]}, ValueError, "validation data too"),
        ([1, 2], {"clip_duration": 2}, TypeError, r"from_datasets\(\) got an unexpected"),
    ],
)
def test_what_is_no_data_set(
    dataset: Any, options: Any, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        VideoClassificationData.from_datasets(dataset, **options)


def test_what_has_no_sample() -> None:
    module = VideoClassificationData.from_datasets([])
    with pytest.raises(
        ValueError, match="Expected the train data to have samples, but it has none"
    ):
        module.train_dataloader()


def test_what_is_no_sample() -> None:
    module = VideoClassificationData.from_datasets([torch.zeros(3)])
    with pytest.raises(
        TypeError, match="a dict, or a pair of a clip and its class, but got 'Tensor'"
    ):
        list(module.train_dataloader())


def test_order_of_your_own() -> None:
    dataset = [(clip, i) for i, clip in enumerate(clips())]
    for sampler in (SequentialSampler, [3, 1], lambda data: range(len(data))):
        module = VideoClassificationData.from_datasets(dataset, sampler=sampler)
        expected = [3, 1] if isinstance(sampler, list) else [0, 1, 2, 3]
        assert [label for _, label in values(module.train_dataloader())] == expected
    stream = VideoClassificationData.from_datasets(Stream(), sampler=SequentialSampler)
    with pytest.raises(TypeError, match="`sampler` to be None for an iterable dataset"):
        stream.train_dataloader()


@pytest.mark.parametrize("options", [{}, {"val_split": 0.5}])
def test_random_clips_are_new_in_every_epoch(options: Any, make_video: Callable[..., Path]) -> None:
    """A ClipDataset, whose samples depend on the epoch, learns it."""
    files = [make_video(f"{i}.mp4", num_frames=40, fps=10) for i in range(4)]
    videos = [(str(file), {"label": i % 2}) for i, file in enumerate(files)]
    dataset = ClipDataset(videos, make_clip_sampler("random", 0.5), decode_audio=False)
    starts: list[set[float]] = []

    class Net(pl.LightningModule):
        automatic_optimization = False

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            pass

        def training_step(self, batch: Any, batch_idx: int) -> None:
            starts[-1].update(batch["clip_start_sec"].tolist())

        def on_train_epoch_start(self) -> None:
            starts.append(set())

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])

    module = VideoClassificationData.from_datasets(dataset, **options)
    trainer = flash.Trainer(
        max_epochs=2,
        limit_val_batches=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=False,
        accelerator="cpu",
    )
    trainer.fit(Net(), datamodule=module)
    assert [len(times) for times in starts] == ([2, 2] if options else [4, 4])
    assert starts[0].isdisjoint(starts[1])


def test_pictures_of_batches(capsys: pytest.CaptureFixture[str]) -> None:
    module = VideoClassificationData.from_tensors(
        clips(3),
        ["a", "b", "a"],
        sampler=SequentialSampler,
        transform={
            "per_batch_transform_on_device": lambda batch: {**batch, "video": batch["video"][:1]}
        },
        batch_size=2,
        predict_data=clips(1),
    )
    assert len(module.show_train_batch().axes) == 3  # one clip of three frames
    figure = module.show_train_batch("per_batch_transform")
    assert [axes.get_title(loc="left") for axes in figure.axes[::3]] == ["0 a", "1 b"]
    assert len(module.show_train_batch(["per_batch_transform"], reset=False).axes) == 3
    with pytest.raises(ValueError, match="no further batch of train data"):
        module.show_train_batch(reset=False)
    assert len(module.show_predict_batch().axes) == 3
    with pytest.raises(ValueError, match="`hooks` to be one of per_batch_transform, "):
        module.show_train_batch("load_sample")
    for show in (module.show_val_batch, module.show_test_batch):
        with pytest.raises(ValueError, match=r"has no \w+ data"):
            show()
    assert capsys.readouterr().out == ""


def test_bad_clips_of_a_data_set_are_left_out(
    make_video: Callable[..., Path], tmp_path: Path
) -> None:
    good = make_video("good.mp4", num_frames=10, fps=10)
    videos = [(str(good), {"label": 0}), (str(tmp_path / "none.mp4"), {"label": 1})]
    dataset = ClipDataset(videos * 2, make_clip_sampler("uniform", 1), decode_audio=False)
    module = VideoClassificationData.from_datasets(dataset, dataset)
    with pytest.warns(UserWarning, match="Skipping"):
        seen = values(module.val_dataloader())
    assert [label for _, label in seen] == [0, 0]


def numbers(samples: Any) -> list[float]:
    return [float(sample["video"].flatten()[0]) for sample in samples]


def test_labelled_clips_as_an_iterable() -> None:
    videos = [(clip.byte(), {"label": 10 + i}) for i, clip in enumerate(clips(7))]
    data = LabeledVideoTensorDataset(videos, SequentialSampler)
    assert data.num_videos == 7 and isinstance(data, IterableDataset)
    samples = list(data)
    assert numbers(samples) == [0, 1, 2, 3, 4, 5, 6]
    assert [sample["label"] for sample in samples] == [10, 11, 12, 13, 14, 15, 16]
    assert set(samples[0]) == {
        "video", "label", "video_name", "video_index", "clip_index", "aug_index"
    }  # fmt: skip
    assert samples[0]["video"].dtype == torch.float32
    odd = LabeledVideoTensorDataset(
        [(clip, None) for clip in clips(4)],
        SequentialSampler,
        lambda sample: sample if sample["video_index"] % 2 else None,
    )
    assert numbers(odd) == [1, 3]


@pytest.mark.slow
def test_workers_share_labelled_clips() -> None:
    data = LabeledVideoTensorDataset([(clip, None) for clip in clips(7)])
    orders = []
    for seed in (1, 1, 2):
        generator = torch.Generator().manual_seed(seed)
        loader: Any = DataLoader(data, batch_size=None, num_workers=2, generator=generator)
        orders.append(numbers(loader))
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert orders[0] == orders[1] != orders[2]
