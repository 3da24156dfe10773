# SPDX-License-Identifier: Apache-2.0
"""Fine-tune a classifier, save it, and name what happens in a video. Too short a training to be good: see the demo.

python examples/03_finetune.py
"""

import tempfile
from pathlib import Path

import flash
from flash.video import VideoClassificationData, VideoClassifier
from pytorchvideo.data.synthetic import write_demo_videos
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.models import ClipRecipe


def main() -> None:
    """Prints the labels of an unseen clip."""
    recipe = ClipRecipe(num_frames=4, sampling_rate=6, side_size=64, crop_size=64)
    with tempfile.TemporaryDirectory() as folder:
        files = write_demo_videos(Path(folder), train_per_class=2, val_per_class=1)
        datamodule = VideoClassificationData.from_folders(
            train_folder=str(files.train),
            val_folder=str(files.val),
            clip_duration=recipe.clip_duration_sec,
            recipe=recipe,
            batch_size=4,
        )
        model = VideoClassifier(labels=datamodule.labels, pretrained=False, recipe=recipe)
        trainer = flash.Trainer(
            max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False
        )
        trainer.finetune(model, datamodule=datamodule, strategy="freeze")
        model.save(Path(folder) / "model.pt")
        predictor = VideoPredictor.from_file(Path(folder) / "model.pt")
        for label, score in predictor.predict(files.unseen, clips=2):
            print(f"{label:10s} {score:.3f}")


if __name__ == "__main__":
    main()
