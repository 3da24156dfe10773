# SPDX-License-Identifier: Apache-2.0
"""Linear probing in a run: the classifier is trained on cached features of the frozen trunk.

The trunk runs in eval mode, so its BatchNorm statistics are those of its weights. A few views of every
training video are kept (its middle, then random times, crops and flips). This is the fast way on a CPU:
the cost is that of a few passes over the data, however many epochs the classifier takes.
"""

import hashlib
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import default_collate

from flash.runs.config import RunConfig
from flash.runs.expected_time import EXPLAINED, LOOK_SEC, REPORT_SEC, TIMED, say_time
from flash.runs.fit import best_epoch, class_weights
from flash.runs.moved import names_below
from flash.runs.progress import progress_bar
from flash.runs.sources import Sources
from pytorchvideo._files import whole_file
from pytorchvideo._progress import Meter
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.windows import clip_windows
from pytorchvideo.evaluation.charades import charades_map
from pytorchvideo.inference.clips import Clip, End, read_clips, rows_of_videos
from pytorchvideo.transforms.clip_recipe import ClipRecipe

_SHARD = 16  # videos whose features are kept in one file: what a kill can cost


class VideoViews:
    """The views of each video that a probe learns from: its middle, then random times, crops and flips.

    Args:
        paths: the videos.
        recipe: the clips of the model.
        views: how many of each video.
        seed: of the random views, which depend on the seed and the position in ``paths`` alone.
        flip: the share of random views to mirror.
        names: what tells the videos apart wherever they are moved to; by default their paths.
    """

    def __init__(
        self,
        paths: Sequence[str],
        recipe: ClipRecipe,
        *,
        views: int,
        seed: int,
        flip: float = 0.5,
        names: Sequence[str] | None = None,
    ) -> None:
        self.names = list(paths if names is None else names)
        self.paths, self.recipe, self.views, self.seed = list(paths), recipe, views, seed
        self._still = recipe.transforms()
        self._random = recipe.transforms(train=True, horizontal_flip_prob=flip)
        self._drawn: tuple[int, Tensor] | None = None  # the video, and the random state after it

    def __len__(self) -> int:
        return len(self.paths)

    def clips(self, some: range, workers: int = 0) -> Iterator[Clip | End]:
        """Yields the views of some videos as clips; see :func:`read_clips`, whose numbers begin at ``some``."""
        return read_clips(
            self.paths[some.start : some.stop],
            partial(self._windows, some.start),
            self.recipe,
            views=partial(self._view, some.start),
            workers=workers,
            batch_size=1,
            every_window=True,
        )

    def _windows(self, first: int, number: int, video: EncodedVideo) -> list[tuple[float, float]]:
        self._drawn = None  # the video is read from its beginning, perhaps again
        duration, length = float(video.duration), self.recipe.clip_duration_sec
        generator = self._generator(first + number)
        generator.getrandbits(63)  # which seed the crops
        starts = [generator.uniform(0, max(duration - length, 0)) for _ in range(1, self.views)]
        return [clip_windows(duration, length, 1)[0], *((at, at + length) for at in starts)]

    def _view(self, first: int, number: int, view: int, frames: Tensor) -> list[Any]:
        index = first + number
        with torch.random.fork_rng(devices=[]):
            if self._drawn is not None and self._drawn[0] == index:
                torch.set_rng_state(self._drawn[1])
            else:
                torch.manual_seed(self._generator(index).getrandbits(63))
            made = (self._random if view else self._still)(frames)
            self._drawn = index, torch.get_rng_state()
        return [made]

    def _generator(self, index: int) -> random.Random:
        return random.Random(f"{self.seed} {index}")


def cached_features(
    model: nn.Module,
    dataset: VideoViews,
    folder: Path,
    *,
    console: Console,
    title: str,
    workers: int,
    on_kept: Callable[[], None] = lambda: None,
    on_timed: Callable[[float, int], None] = lambda seconds, left: None,
) -> tuple[Tensor, list[tuple[str, str]]]:
    """Computes the features of every video, or reads those of an earlier, interrupted call.

    Args:
        model: has ``forward_features``; is put into eval mode.
        dataset: the videos.
        folder: for the shards; those of other videos, views or weights are not used.
        console: shows the progress.
        title: in front of the bar.
        workers: processes that decode; 0 decodes in this one.
        on_kept: is called when features have been written.
        on_timed: is called once after some videos with the seconds of a view, and the views that are left.

    Returns:
        Features float32 (videos, views, F), NaN for videos that cannot be read, and ``(path, reason)`` of those.
    """
    model.eval()
    mark = _fingerprint(model, dataset)
    folder.mkdir(parents=True, exist_ok=True)
    shards = [range(i, min(i + _SHARD, len(dataset))) for i in range(0, len(dataset), _SHARD)]
    features: list[Tensor] = []
    skipped: list[tuple[str, str]] = []
    meter = Meter()
    with progress_bar(console) as bar:
        task = bar.add_task(title, total=len(dataset), meter=meter, note="")
        stops: list[float] = []
        known_before = 0

        def video_done() -> None:
            bar.advance(task)
            stops.append(time.monotonic())
            if len(stops) == TIMED:
                each = (stops[-1] - stops[0]) / (TIMED - 1) / dataset.views
                on_timed(each, dataset.views * (len(dataset) - known_before - TIMED))

        for number, shard in enumerate(shards):
            file = folder / f"{mark}-{number:05d}.pt"
            if file.is_file():
                known = torch.load(file, weights_only=True)
                bar.advance(task, len(shard))
                known_before += len(shard)
            else:
                known = _compute(model, dataset, shard, workers, meter, video_done)
                with whole_file(file) as part:
                    torch.save(known, part)
                on_kept()
            features.append(known["features"])
            skipped += [(path, reason) for path, reason in known["skipped"]]
    return torch.cat(features), skipped


def _compute(
    model: Any,
    dataset: VideoViews,
    shard: range,
    workers: int,
    meter: Meter,
    on_video: Callable[[], None],
) -> dict[str, Any]:
    like = next(model.parameters())
    vectors: list[Tensor] = []
    skipped: list[list[str]] = []

    @torch.inference_mode()
    def features(clips: Sequence[Sequence[Any]]) -> Tensor:
        meter.start_model()
        batch = default_collate([clip[0] for clip in clips])
        moved = batch.to(like) if isinstance(batch, Tensor) else [p.to(like) for p in batch]
        rows: Tensor = model.forward_features(moved).float().cpu()
        meter.stop_model(len(rows))
        return rows

    # one clip at a time: memory stays that of one
    for video in rows_of_videos(dataset.clips(shard, workers), features, batch_size=1):
        if video.error is None:
            vectors.append(torch.stack(video.rows))
        else:
            skipped.append([dataset.paths[shard[video.video]], str(video.error)])
            vectors.append(torch.full((dataset.views, model.num_features), float("nan")))
        on_video()
    return {"features": torch.stack(vectors).clone(), "skipped": skipped}


def _fingerprint(model: nn.Module, dataset: VideoViews) -> str:
    """A mark of what the features depend on: the videos, the views, the recipe, the weights."""
    digest = hashlib.sha256()
    digest.update(json.dumps([dataset.names, dataset.recipe.to_dict()]).encode())
    digest.update(json.dumps([dataset.views, dataset.seed, repr(dataset._random)]).encode())
    classifier = {id(p) for p in getattr(model, "classifier", nn.Identity()).parameters()}
    for name, parameter in model.named_parameters():
        if id(parameter) not in classifier:
            digest.update(f"{name} {parameter.double().sum().item():.9e}".encode())
    return digest.hexdigest()[:12]


def fit_linear(
    train: tuple[Tensor, Tensor],
    val: tuple[Tensor, Tensor],
    *,
    num_classes: int,
    epochs: int,
    lr: float,
    weight_decay: float,
    seed: int,
    class_weights: Tensor | None = None,
    keeps_best: bool = False,
) -> tuple[nn.Linear, list[dict[str, float]]]:
    """Trains a linear classifier on features by AdamW on full batches, with a cosine schedule.

    The features are standardised while it is trained; the returned layer takes them as they are.

    Args:
        train: features (N, F) and classes (N,) to learn from; with several labels a video float (N, num_classes) of
            0 and 1.
        val: likewise held out, for the history alone; may be empty.
        num_classes: number of classes.
        epochs: passes, one step each.
        lr: highest learning rate.
        weight_decay: of AdamW.
        seed: of the initial weights.
        class_weights: of the loss, float32 (num_classes,).
        keeps_best: return the layer of :func:`flash.runs.fit.best_epoch` instead of the last one.

    Returns:
        The layer and a row an epoch: ``epoch, train_loss, train_accuracy, val_loss, val_accuracy``; with several labels
        ``train_map`` and ``val_map`` in the place of the accuracy.
    """
    x, y = train
    mean, std = x.mean(dim=0), x.std(dim=0).clamp_min(1e-6)
    layer = nn.Linear(x.shape[1], num_classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        nn.init.normal_(layer.weight, std=1e-3)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=lr, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    standard = {"train": ((x - mean) / std, y), "val": ((val[0] - mean) / std, val[1])}
    history: list[dict[str, float]] = []
    best: dict[str, Tensor] = {}
    for epoch in range(1, epochs + 1):
        row: dict[str, float] = {"epoch": epoch}
        for stage, (inputs, classes) in standard.items():
            if not len(inputs):
                continue
            with torch.set_grad_enabled(stage == "train"):
                logits = layer(inputs)
                loss = _loss(logits, classes, class_weights)
            row[f"{stage}_loss"] = loss.item()
            if classes.ndim == 2:
                row[f"{stage}_map"] = charades_map(logits, classes).mean
            else:
                row[f"{stage}_accuracy"] = (logits.argmax(1) == classes).float().mean().item()
            if stage == "train":
                pending = loss
        history.append(row)
        if keeps_best and best_epoch(history) == epoch:
            best = {name: value.clone() for name, value in layer.state_dict().items()}
        optimizer.zero_grad()
        pending.backward()
        optimizer.step()
        schedule.step()
    layer.load_state_dict(best or layer.state_dict())
    with torch.no_grad():  # w·(x - mean)/std + b  =  (w/std)·x + (b - (w/std)·mean)
        layer.weight.div_(std)
        layer.bias.sub_(layer.weight @ mean)
    return layer, history


def _loss(logits: Tensor, classes: Tensor, weights: Tensor | None) -> Tensor:
    if classes.ndim == 1:
        return nn.functional.cross_entropy(logits, classes, weights)
    return nn.functional.binary_cross_entropy_with_logits(logits, classes, pos_weight=weights)


def train_probe(
    model: Any,
    sources: Sources,
    config: RunConfig,
    folder: Path,
    console: Console,
    *,
    on_kept: Callable[[], None] = lambda: None,
) -> tuple[list[dict[str, float]], list[tuple[str, str]]]:
    """Trains the classifier of a frozen model on cached features, and puts it into the model.

    Args:
        model: a model of the zoo: it has ``forward_features`` and ``classifier``.
        sources: the videos to learn from, of which some views are kept, and those held out, with their middle alone.
        config: of the run, completed.
        folder: where features are kept, so that a killed run goes on.
        console: shows the progress.
        on_kept: is called when features have been written.

    Returns:
        The history of :func:`fit_linear`, and ``(path, reason)`` of the videos that could not be read.
    """
    parts: list[tuple[Tensor, Tensor]] = []
    skipped: list[tuple[str, str]] = []
    # one view of each held-out video, and those by which it is judged
    held_out = (1 + config.clips) * len(sources.val)

    def say(each: float, left: int) -> None:
        if not parts:
            # a backward pass takes as long as two views
            explained = 3 * min(len(sources.val), EXPLAINED)
            looks = LOOK_SEC * (len(sources.train) + len(sources.val))
            say_time(console, each * (left + held_out + explained) + looks + REPORT_SEC)

    names = names_below([path for path, _ in (*sources.train, *sources.val)])
    stages = ((sources.train, config.views, "features"), (sources.val, 1, "features, held out"))
    for videos, count, title in stages:
        dataset = VideoViews(
            [path for path, _ in videos],
            config.recipe(),
            views=count,
            seed=config.seed,
            flip=0.5 if config.flip else 0.0,
            names=[names[path] for path, _ in videos],
        )
        features, unread = cached_features(
            model,
            dataset,
            folder,
            console=console,
            title=title,
            workers=config.workers or 0,
            on_kept=on_kept,
            on_timed=say,
        )
        skipped += unread
        classes = torch.tensor(sources.targets(videos))
        if sources.multi_label:
            classes = classes.float()
        known = ~features.isnan().any(dim=2).any(dim=1)
        # (N, views, F) -> (N * views, F)
        alike = classes[known].repeat_interleave(count, dim=0)
        parts.append((features[known].flatten(0, 1), alike))
    layer, history = fit_linear(
        parts[0],
        parts[1],
        num_classes=len(sources.labels),
        epochs=config.epochs or 1,
        lr=config.lr or 0.0,
        weight_decay=config.weight_decay or 0.0,
        seed=config.seed,
        class_weights=class_weights(sources) if config.class_weights else None,
        keeps_best=config.keep == "best",
    )
    classifier = model.classifier
    with torch.no_grad():
        # a 1x1x1 convolution is the same layer with three axes more
        classifier.weight.copy_(layer.weight.view_as(classifier.weight))
        classifier.bias.copy_(layer.bias)
    return history, skipped
