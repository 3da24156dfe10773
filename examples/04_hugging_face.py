# SPDX-License-Identifier: Apache-2.0
"""Fine-tune VideoMAE with Hugging Face's Trainer on our clips, and let their pipeline name a video.

python examples/04_hugging_face.py [FOLDER MODEL]

FOLDER has ``train`` and ``val`` with one subfolder of videos per class, MODEL is a name on the Hub such as
MCG-NJU/videomae-base. Without them it is small videos and a small untrained model: too little to be good.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, Trainer, TrainingArguments, VideoMAEImageProcessor, pipeline

from pytorchvideo.data import LabeledVideoPaths, Ucf101, make_clip_sampler
from pytorchvideo.data.synthetic import write_demo_videos
from pytorchvideo.data.visualize import contact_sheet
from pytorchvideo.models import HuggingFaceModel, create_hugging_face


def collate(samples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """The batch of a ``transformers`` model."""
    clips = torch.stack([sample["video"] for sample in samples])  # (B, C, T, H, W)
    labels = torch.tensor([sample["label"] for sample in samples])
    return {"pixel_values": clips.transpose(1, 2), "labels": labels}  # (B, T, C, H, W)


def accuracy(predicted: Any) -> dict[str, float]:
    """The share of clips whose class was named first."""
    right = predicted.predictions.argmax(axis=1) == predicted.label_ids
    return {"accuracy": float(right.mean())}


def small_model(num_classes: int) -> HuggingFaceModel:
    """VideoMAE for 16 frames of 32 x 32 pixels."""
    sizes = {"image_size": 32, "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 2}
    config = AutoConfig.for_model("videomae", num_attention_heads=2, intermediate_size=64, **sizes)
    return create_hugging_face(config, num_classes)


def main() -> None:
    """Prints what a video shows."""
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 2:
            data, network = Path(sys.argv[1]), create_hugging_face(sys.argv[2])
        else:
            write_demo_videos(Path(folder), train_per_class=2, val_per_class=1)
            data, network = Path(folder), small_model(2)
        labels = LabeledVideoPaths.from_path(data / "train").class_names or []
        network.reset_classifier(len(labels))
        network.labels = tuple(labels)
        recipe = network.recipe

        def clips(part: str, sampler: str) -> Any:
            return Ucf101(
                str(data / part),
                make_clip_sampler(sampler, recipe.clip_duration_sec),
                decode_audio=False,
                transform=recipe.transforms(train=part == "train", key="video"),
            )

        train, val = clips("train", "random"), clips("val", "uniform")
        sheet = contact_sheet(next(iter(train)), mean=recipe.mean, std=recipe.std)
        print(f"{train.num_videos} videos to learn from; a clip as an image: {sheet.size}")
        trainer = Trainer(
            network.to_transformers(),
            TrainingArguments(
                str(Path(folder) / "checkpoints"),
                max_steps=2 * train.num_videos // 4,
                per_device_train_batch_size=4,
                remove_unused_columns=False,
                eval_strategy="epoch",
                save_strategy="epoch",
                warmup_steps=0.1,
                load_best_model_at_end=True,
                metric_for_best_model="accuracy",
                dataloader_pin_memory=torch.cuda.is_available(),
                disable_tqdm=True,
            ),
            train_dataset=train,
            eval_dataset=val,
            data_collator=collate,
            compute_metrics=accuracy,
        )
        trainer.train()
        print(trainer.evaluate())
        trainer.save_model(str(Path(folder) / "model"))
        size = {"shortest_edge": recipe.side_size}
        crop = {"height": recipe.crop_size, "width": recipe.crop_size}
        VideoMAEImageProcessor(size=size, crop_size=crop).save_pretrained(Path(folder) / "model")
        classify = pipeline("video-classification", model=str(Path(folder) / "model"))
        video = next((data / "val").glob("*/*"))
        print(video.name, classify(str(video), top_k=2))


if __name__ == "__main__":
    main()
