# SPDX-License-Identifier: Apache-2.0
"""Two guides, run as they are written, offline, on a small UCF101: Hugging Face's to video classification, and ours.

Theirs downloads a data set and a model. They are put where its code finds them: the data in ``UCF101_subset``, a
tiny model in a folder of the name that it has on the Hub. No line that concerns pytorchvideo is changed; the others
are changed where today's ``transformers`` or being offline asks for it, each marked with its reason.
"""

import json
import os
import re
import string
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")
pytest.importorskip("imageio")

GUIDE = Path(__file__).resolve().parents[2] / "docs/huggingface.md"
CLASSES = ("Archery", "BabyCrawling", "BenchPress")
VIDEOS = {"train": 4, "val": 2, "test": 3}  # of each class
MODEL = "MCG-NJU/videomae-base"
CLIP_MODEL = "openai/clip-vit-base-patch32"

PAGE = """
import os, pathlib, torch  # the guide does not import them
torch.set_num_threads(1)
dataset_root_path = "UCF101_subset"  # nor define these
batch_size = 4
all_video_file_paths = sorted(pathlib.Path(dataset_root_path).glob("*/*/*.*"))

class_labels = sorted({str(path).split("/")[2] for path in all_video_file_paths})
label2id = {label: i for i, label in enumerate(class_labels)}
id2label = {i: label for label, i in label2id.items()}

print(f"Unique classes: {list(label2id.keys())}.")

from transformers import VideoMAEImageProcessor, VideoMAEForVideoClassification

model_ckpt = "MCG-NJU/videomae-base"
image_processor = VideoMAEImageProcessor.from_pretrained(model_ckpt)
model = VideoMAEForVideoClassification.from_pretrained(
    model_ckpt,
    label2id=label2id,
    id2label=id2label,
    ignore_mismatched_sizes=True,  # provide this in case you're planning to fine-tune an already fine-tuned checkpoint
)

import pytorchvideo.data

from pytorchvideo.transforms import (
    ApplyTransformToKey,
    Normalize,
    RandomShortSideScale,
    RemoveKey,
    ShortSideScale,
    UniformTemporalSubsample,
)

from torchvision.transforms import (
    Compose,
    Lambda,
    RandomCrop,
    RandomHorizontalFlip,
    Resize,
)

mean = image_processor.image_mean
std = image_processor.image_std
if "shortest_edge" in image_processor.size:
    height = width = image_processor.size["shortest_edge"]
else:
    height = image_processor.size["height"]
    width = image_processor.size["width"]
resize_to = (height, width)

num_frames_to_sample = model.config.num_frames
sample_rate = 4
fps = 30
clip_duration = num_frames_to_sample * sample_rate / fps

train_transform = Compose(
    [
        ApplyTransformToKey(
            key="video",
            transform=Compose(
                [
                    UniformTemporalSubsample(num_frames_to_sample),
                    Lambda(lambda x: x / 255.0),
                    Normalize(mean, std),
                    RandomShortSideScale(min_size=256, max_size=320),
                    RandomCrop(resize_to),
                    RandomHorizontalFlip(p=0.5),
                ]
            ),
        ),
    ]
)

train_dataset = pytorchvideo.data.Ucf101(
    data_path=os.path.join(dataset_root_path, "train"),
    clip_sampler=pytorchvideo.data.make_clip_sampler("random", clip_duration),
    decode_audio=False,
    transform=train_transform,
)

val_transform = Compose(
    [
        ApplyTransformToKey(
            key="video",
            transform=Compose(
                [
                    UniformTemporalSubsample(num_frames_to_sample),
                    Lambda(lambda x: x / 255.0),
                    Normalize(mean, std),
                    Resize(resize_to),
                ]
            ),
        ),
    ]
)

val_dataset = pytorchvideo.data.Ucf101(
    data_path=os.path.join(dataset_root_path, "val"),
    clip_sampler=pytorchvideo.data.make_clip_sampler("uniform", clip_duration),
    decode_audio=False,
    transform=val_transform,
)

test_dataset = pytorchvideo.data.Ucf101(
    data_path=os.path.join(dataset_root_path, "test"),
    clip_sampler=pytorchvideo.data.make_clip_sampler("uniform", clip_duration),
    decode_audio=False,
    transform=val_transform,
)

print(train_dataset.num_videos, val_dataset.num_videos, test_dataset.num_videos)

import imageio
import numpy as np

def unnormalize_img(img):
    img = (img * std) + mean
    img = (img * 255).astype("uint8")
    return img.clip(0, 255)

def create_gif(video_tensor, filename="sample.gif"):
    frames = []
    for video_frame in video_tensor:
        frame_unnormalized = unnormalize_img(video_frame.permute(1, 2, 0).numpy())
        frames.append(frame_unnormalized)
    kargs = {"duration": 0.25}
    imageio.mimsave(filename, frames, "GIF", **kargs)
    return filename

sample_video = next(iter(train_dataset))
video_tensor = sample_video["video"]
create_gif(video_tensor.permute(1, 0, 2, 3))  # display_gif without IPython, which shows the file

from transformers import TrainingArguments, Trainer

model_name = model_ckpt.split("/")[-1]
new_model_name = f"{model_name}-finetuned-ucf101-subset"
num_epochs = 2

args = TrainingArguments(
    new_model_name,
    remove_unused_columns=False,
    eval_strategy="epoch",
    save_strategy="epoch",
    learning_rate=5e-5,
    per_device_train_batch_size=batch_size,
    per_device_eval_batch_size=batch_size,
    warmup_steps=0.1,  # warmup_ratio=0.1 is gone: a fraction given as warmup_steps is the ratio
    logging_steps=10,
    load_best_model_at_end=True,
    metric_for_best_model="accuracy",
    push_to_hub=False,  # offline
    use_cpu=True, dataloader_pin_memory=False, disable_tqdm=True,  # for the test's sake
    max_steps=(train_dataset.num_videos // batch_size) * num_epochs,
)

class metric:  # offline: evaluate.load("accuracy") downloads its code
    @staticmethod
    def compute(predictions, references):
        return {"accuracy": float((predictions == references).mean())}

def compute_metrics(eval_pred):
    predictions = np.argmax(eval_pred.predictions, axis=1)
    return metric.compute(predictions=predictions, references=eval_pred.label_ids)

def collate_fn(examples):
    # permute to (num_frames, num_channels, height, width)
    pixel_values = torch.stack(
        [example["video"].permute(1, 0, 2, 3) for example in examples]
    )
    labels = torch.tensor([example["label"] for example in examples])
    return {"pixel_values": pixel_values, "labels": labels}

trainer = Trainer(
    model,
    args,
    train_dataset=train_dataset,
    eval_dataset=val_dataset,
    processing_class=image_processor,
    compute_metrics=compute_metrics,
    data_collator=collate_fn,
)

train_results = trainer.train()
trainer.save_model("my_awesome_video_cls_model")  # in the place of trainer.push_to_hub()
trained_model = trainer.model

sample_test_video = next(iter(test_dataset))

from transformers import pipeline

video_cls = pipeline("video-classification", model="my_awesome_video_cls_model")  # the task is looked up online

def run_inference(model, video):
    # (num_frames, num_channels, height, width)
    perumuted_sample_test_video = video.permute(1, 0, 2, 3)
    inputs = {
        "pixel_values": perumuted_sample_test_video.unsqueeze(0),
        "labels": torch.tensor(
            [sample_test_video["label"]]
        ),  # this can be skipped if you don't have labels available.
    }

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    inputs = {k: v.to(device) for k, v in inputs.items()}
    model = model.to(device)

    # forward pass
    with torch.no_grad():
        outputs = model(**inputs)
        logits = outputs.logits

    return logits

logits = run_inference(trained_model, sample_test_video["video"])

predicted_class_idx = logits.argmax(-1).item()
print("Predicted class:", model.config.id2label[predicted_class_idx])
"""

CHECKS = """
import glob, json, warnings
warnings.filterwarnings("ignore", message="This DataLoader will create 3 worker")  # on a machine with two cores
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset

def clips(dataset, num_workers):
    batches = DataLoader(dataset, batch_size=None, num_workers=num_workers)
    return sorted((sample["video_name"], sample["clip_index"]) for sample in batches)

def evaluated(workers):
    trainer.args.dataloader_num_workers = workers
    return len(trainer.predict(val_dataset).label_ids)

def length(dataset):
    try:
        return len(dataset)
    except TypeError:
        return None

raw = pytorchvideo.data.Ucf101(
    "UCF101_subset/val",
    pytorchvideo.data.make_clip_sampler("uniform", clip_duration),
    torch.utils.data.SequentialSampler,
    transform=ApplyTransformToKey("video", UniformTemporalSubsample(num_frames_to_sample)),
)
pixels = next(iter(raw))["video"] / 255.0
by_hand = (pixels - torch.tensor(mean)[:, None, None, None]) / torch.tensor(std)[:, None, None, None]
ours = Normalize(mean, std)(pixels)
reloaded = VideoMAEForVideoClassification.from_pretrained("my_awesome_video_cls_model")
best = [row for row in trainer.state.log_history if "eval_accuracy" in row]
print(json.dumps({
    "num_videos": [d.num_videos for d in (train_dataset, val_dataset, test_dataset)],
    "length": length(train_dataset),
    "kind": [type(train_dataset).__name__, isinstance(train_dataset, IterableDataset)],
    "val": [clips(val_dataset, n) for n in (0, 2, 3, 0)],
    "train": [len(clips(train_dataset, n)) for n in (0, 2, 3, 0)],
    "labels": {s["video_name"]: s["label"] for s in val_dataset},
    "label2id": label2id,
    "clip": [list(video_tensor.shape), str(video_tensor.dtype)],
    "normalised": float((by_hand - ours).abs().max()),
    "tuples": [type(mean).__name__, type(std).__name__],
    "gif": [Image.open("sample.gif").n_frames, list(Image.open("sample.gif").size)],
    "steps": trainer.state.global_step,
    "evaluations": [row["eval_accuracy"] for row in best],
    "evaluated": [evaluated(workers) for workers in (0, 2)],
    "checkpoints": sorted(os.path.basename(p) for p in glob.glob(new_model_name + "/checkpoint-*")),
    "best": os.path.basename(trainer.state.best_model_checkpoint),
    "same_logits": torch.equal(logits, run_inference(reloaded.eval(), sample_test_video["video"])),
    "files": sorted(os.listdir("my_awesome_video_cls_model")),
    "pipeline": {p: video_cls(p) for p in sorted(map(str, pathlib.Path("UCF101_subset/test/Archery").iterdir()))},
}))
"""


def tiny_model(folder: Path) -> None:
    """VideoMAE with two layers for 16 frames of 32 x 32 pixels, as `from_pretrained` reads it."""
    config = transformers.VideoMAEConfig(
        image_size=32,
        patch_size=8,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        transformers.VideoMAEForPreTraining(config).save_pretrained(folder)
    transformers.VideoMAEImageProcessor(**size).save_pretrained(folder)


def tiny_clip(folder: Path) -> None:
    """CLIP with two layers for pictures of 32 x 32 pixels, and a tokenizer of single letters."""
    letters = [*string.ascii_lowercase, *(f"{c}</w>" for c in string.ascii_lowercase)]
    vocabulary = {word: i for i, word in enumerate([*letters, "<|startoftext|>", "<|endoftext|>"])}
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 2}
    text = {"vocab_size": 54, "bos_token_id": 52, "eos_token_id": 53, "pad_token_id": 53}
    config = transformers.CLIPConfig(
        vision_config={**sizes, "image_size": 32, "patch_size": 8}, text_config={**sizes, **text}
    )
    transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """A folder with the data and the model, where the downloads would put them."""
    root = tmp_path_factory.mktemp("guide")
    # every picture brighter than the one before, everywhere: a GIF leaves out pictures that do not change
    frames = np.arange(132)[:, None, None, None] * 11 + np.arange(64)[:, None]
    frames = np.broadcast_to(frames % 256, (132, 48, 64, 3)).astype(np.uint8)
    tiny_model(root / MODEL)
    with torch.random.fork_rng(devices=[]):
        tiny_clip(root / CLIP_MODEL)
    for part, count in VIDEOS.items():
        for name in CLASSES:
            for k in range(count):
                suffix, codec = (".avi", "mpeg4") if k % 2 else (".mp4", "libx264")
                video = f"UCF101_subset/{part}/{name}/v_{name}_g{k:02d}_c01{suffix}"
                fast = {"preset": "ultrafast"} if codec == "libx264" else {}
                # two clips of 64 / 30 s, and a rest
                make_video(video, folder=root, frames=frames, codec=codec, options=fast)
    return root


@pytest.fixture(scope="module")
def answer(root: Path) -> dict[str, Any]:
    """What the guide prints, and what the checks found."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PAGE + CHECKS],
        capture_output=True,
        text=True,
        cwd=root,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(root / "cache")},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    return {"printed": lines[:-1], **json.loads(lines[-1])}


@pytest.mark.slow
def test_datasets(answer: dict[str, Any]) -> None:
    assert answer["printed"][0] == f"Unique classes: {list(CLASSES)}."
    assert answer["num_videos"] == [12, 6, 9]
    assert answer["printed"][1] == "12 6 9"
    assert answer["length"] is None  # the guide goes by max_steps
    assert answer["kind"] == ["LabeledVideoDataset", True]
    assert answer["clip"] == [[3, 16, 32, 32], "torch.float32"]
    assert answer["tuples"] == ["tuple", "tuple"]
    assert answer["normalised"] < 1e-6


@pytest.mark.slow
def test_every_worker_count_and_every_pass_gives_the_same_clips(answer: dict[str, Any]) -> None:
    assert [len(clips) for clips in answer["val"]] == [12] * 4
    assert all(clips == answer["val"][0] for clips in answer["val"])
    assert answer["train"] == [12] * 4
    assert answer["evaluated"] == [12, 12]


def test_labels_are_those_of_the_guide(answer: dict[str, Any]) -> None:
    assert answer["label2id"] == {name: i for i, name in enumerate(CLASSES)}
    for video, label in answer["labels"].items():
        assert CLASSES[label] == video.split("_")[1]


def test_the_gif_has_every_frame(answer: dict[str, Any]) -> None:
    assert answer["gif"] == [16, [32, 32]]


def test_training(answer: dict[str, Any]) -> None:
    assert answer["steps"] == 6
    assert answer["checkpoints"] == ["checkpoint-3", "checkpoint-6"]
    # one evaluation at the end of each of two epochs, then that of the checks
    accuracies = answer["evaluations"][:2]
    assert len(accuracies) == 2
    best = 3 if accuracies[0] >= accuracies[1] else 6
    assert answer["best"] == f"checkpoint-{best}"
    assert answer["same_logits"]
    assert {"config.json", "model.safetensors"} <= set(answer["files"])


def test_the_pipeline_names_avi_and_mp4(answer: dict[str, Any]) -> None:
    assert {Path(video).suffix for video in answer["pipeline"]} == {".avi", ".mp4"}
    for scores in answer["pipeline"].values():
        values = [entry["score"] for entry in scores]
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(1, abs=1e-5)
        assert {entry["label"] for entry in scores} == set(CLASSES)
    assert answer["printed"][-1].removeprefix("Predicted class: ") in CLASSES


def test_our_own_guide_runs(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("UCF101_subset", MODEL.split("/")[0], CLIP_MODEL.split("/")[0]):
        (tmp_path / name).symlink_to(root / name)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    snippets = re.findall(
        r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    assert len(snippets) == 12
    for snippet in snippets:
        # for the test's sake: no bars, and no pinned memory, of which it would warn without a GPU
        quiet = '"use_cpu": True, "dataloader_pin_memory": False, "disable_tqdm": True'
        exec(snippet.replace("options = {", f"options = {{{quiet}, "), names)
    assert "12 6 9\n" in capsys.readouterr().out
    assert names["trainer"].state.global_step == names["sized_trainer"].state.global_step == 6
    assert (len(names["sized"]), names["sized"].epoch) == (12, 1)
    state = torch.load(tmp_path / "videomae-ucf101/checkpoint-3/optimizer.pt", weights_only=True)
    assert state["state"]
    assert names["features"].shape == (2, 32)
    assert (tmp_path / "sample.gif").is_file()
    assert (tmp_path / "sheet.png").is_file()
    assert names["again"].labels == CLASSES
    assert len(names["from_rows"]) == 24
