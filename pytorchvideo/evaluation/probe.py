# SPDX-License-Identifier: Apache-2.0
"""Probes on embeddings: linear and attentive classifiers, over several splits."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from pytorchvideo._checks import check_choice, expected
from pytorchvideo._text import counted
from pytorchvideo.data.splits import split_items
from pytorchvideo.inference.embeddings import Embeddings

KINDS = ("linear", "attentive")
_PENALTY = 0.1  # half the square of the weights, beside the mean loss of a video
_ATTENTIVE_EPOCHS, _ATTENTIVE_LR, _ATTENTIVE_DECAY = 60, 1e-3, 0.05


@dataclass(frozen=True)
class ProbeResult:
    """Accuracies of a probe.

    Args:
        kind: ``"linear"`` or ``"attentive"``.
        labels: class names.
        accuracies: of the held-out videos of each split.
        videos: how many there are in all.
    """

    kind: str
    labels: Sequence[str]
    accuracies: Sequence[float]
    videos: int

    @property
    def mean(self) -> float:
        """Mean over the splits."""
        return fmean(self.accuracies)

    @property
    def deviation(self) -> float:
        """Standard deviation over the splits; 0 of one split."""
        return stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Returns plain types, for json."""
        return {
            "kind": self.kind,
            "mean_accuracy": self.mean,
            "standard_deviation": self.deviation,
            "accuracies": list(self.accuracies),
            "labels": list(self.labels),
            "videos": self.videos,
        }


class AttentiveProbe(nn.Module):
    """A classifier that chooses what to look at: one query attends to the vectors of a video's clips.

    Clips come with their place in the video, as an embedding that is learnt.

    Args:
        num_features: of a vector.
        num_classes: of the answer.
        max_clips: of a video.
        dim: width of the attention.
        num_heads: of the attention.
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        max_clips: int,
        dim: int = 128,
        num_heads: int = 4,
    ) -> None:
        super().__init__()
        self.project = nn.Linear(num_features, dim)
        self.places = nn.Parameter(torch.zeros(max_clips, dim))
        self.query = nn.Parameter(torch.zeros(dim))
        self.norm = nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, num_heads, batch_first=True)
        self.classifier = nn.Linear(dim, num_classes)
        nn.init.trunc_normal_(self.query, std=0.02)
        nn.init.trunc_normal_(self.places, std=0.02)

    def forward(self, x: Tensor, is_padding: Tensor) -> Tensor:
        """Vectors (B, K, F) of K clips, and which of them are none (B, K), to logits (B, num_classes)."""
        tokens = self.norm(self.project(x) + self.places[: x.shape[1]])
        query = self.query.expand(len(x), 1, -1)
        seen, _ = self.attention(
            query, tokens, tokens, key_padding_mask=is_padding, need_weights=False
        )
        logits: Tensor = self.classifier(seen[:, 0])
        return logits


def labels_by_folder(videos: Sequence[str]) -> dict[str, str]:
    """Takes the folder of each video for its class.

    >>> labels_by_folder(["data/run/a.mp4", "data/walk/b.mp4"])
    {'data/run/a.mp4': 'run', 'data/walk/b.mp4': 'walk'}
    """
    return {video: Path(video).parent.name for video in videos}


def probe(
    embeddings: Embeddings,
    labels: Mapping[str, str],
    *,
    kind: str = "linear",
    splits: int = 10,
    val_split: float = 0.25,
    seed: int = 0,
) -> ProbeResult:
    """Trains a classifier on one part of the videos and counts what it says of the other, several times.

    Args:
        embeddings: a row a clip; a linear probe takes the mean of each video's.
        labels: class of each video; videos without one are left out.
        kind: ``"linear"`` (penalised logistic regression on standardised vectors) or ``"attentive"``.
        splits: how often.
        val_split: share of each class's videos that is held out.
        seed: of the splits and the first weights; split ``i`` has ``seed + i``.

    Raises:
        ValueError: an unknown kind, fewer than two classes, or too few videos to split.
    """
    check_choice("kind", kind, KINDS)
    if splits < 1:
        raise ValueError(expected("splits", ">= 1", splits))
    rows = {v: index for v, index in embeddings.rows_of_videos().items() if v in labels}
    names = sorted({labels[video] for video in rows})
    if len(names) < 2:
        raise ValueError(
            expected("labels", "at least two classes among the embedded videos", names)
        )
    items: list[Any] = [(video, {"label": names.index(labels[video])}) for video in rows]
    clips = {video: embeddings.vectors[index] for video, index in rows.items()}
    train = _linear if kind == "linear" else _attentive
    accuracies = []
    for number in range(splits):
        parts = split_items(items, val_split, seed=seed + number)
        sets = [
            ([clips[video] for video, _ in part], torch.tensor([info["label"] for _, info in part]))
            for part in parts
        ]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + number)
            said = train(*sets[0], sets[1][0], len(names))
        accuracies.append(float((said == sets[1][1]).float().mean()))
    return ProbeResult(kind, names, accuracies, len(items))


def cross_validated_scores(
    vectors: Tensor,
    classes: Tensor,
    *,
    num_classes: int,
    groups: Sequence[Hashable] | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Tensor:
    """Scores every video by a classifier that was trained on the others: those of the other folds.

    Args:
        vectors: one a video, (N, F).
        classes: of the videos, integers (N,).
        num_classes: number of classes.
        groups: the source of each video; those of one are never in two folds. None makes every video its own.
        folds: parts of which each is left out once; no more than there are sources.
        seed: which sources are in which fold; those of a class are spread over all folds.

    Returns:
        Probabilities float64 (N, num_classes), by penalised logistic regression on standardised vectors.

    Raises:
        ValueError: fewer than two folds, more than there are sources, or lengths that differ.
    """
    names = list(range(len(vectors))) if groups is None else list(groups)
    if not len(vectors) == len(classes) == len(names):
        got = (len(vectors), len(classes), len(names))
        raise ValueError(expected("vectors, classes, groups", "of one length", got))
    known = len(set(names))
    if not 2 <= folds <= known:
        raise ValueError(
            expected("folds", f"in 2..{known}, as there are {counted(known, 'source')}", folds)
        )
    fold = _folds(names, classes.tolist(), folds, seed)
    scores = torch.zeros(len(vectors), num_classes, dtype=torch.float64)
    for number in range(folds):
        out = fold == number
        logits = _linear_logits(vectors[~out], classes[~out], vectors[out], num_classes)
        scores[out] = logits.softmax(dim=1)
    return scores


def _folds(names: Sequence[Hashable], classes: Sequence[int], folds: int, seed: int) -> Tensor:
    """The fold of each video: sources in random order, class by class, dealt out to the folds in turn."""
    members: dict[Hashable, list[int]] = {}
    for index, name in enumerate(names):
        members.setdefault(name, []).append(index)
    sources = list(members.values())
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(sources), generator=generator).tolist()
    order.sort(key=lambda number: Counter(classes[i] for i in sources[number]).most_common(1)[0][0])
    fold = torch.zeros(len(names), dtype=torch.int64)
    for place, number in enumerate(order):
        fold[sources[number]] = place % folds
    return fold


def _linear(clips: list[Tensor], classes: Tensor, held_out: list[Tensor], count: int) -> Tensor:
    x, y = (torch.stack([one.mean(dim=0) for one in part]) for part in (clips, held_out))
    return _linear_logits(x, classes, y, count).argmax(dim=1)


def _linear_logits(x: Tensor, classes: Tensor, y: Tensor, count: int) -> Tensor:
    """Logits of the vectors ``y``, of a classifier that is trained on ``x``."""
    x, y = x.double(), y.double()
    mean, std = x.mean(dim=0), x.std(dim=0).clamp_min(1e-6)
    x, y = (x - mean) / std, (y - mean) / std
    layer = nn.Linear(x.shape[1], count, dtype=torch.float64)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def objective() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(layer(x), classes)
        loss = loss + _PENALTY / 2 * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(objective)
    with torch.no_grad():
        logits: Tensor = layer(y)
    return logits


def _attentive(clips: list[Tensor], classes: Tensor, held_out: list[Tensor], count: int) -> Tensor:
    values = torch.cat(clips)
    mean, std = values.mean(dim=0), values.std(dim=0).clamp_min(1e-6)
    longest = max(len(one) for one in [*clips, *held_out])
    model = AttentiveProbe(values.shape[1], count, longest)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=_ATTENTIVE_LR, weight_decay=_ATTENTIVE_DECAY
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _ATTENTIVE_EPOCHS)
    x, padding = _padded([(one - mean) / std for one in clips])
    for _ in range(_ATTENTIVE_EPOCHS):
        for part in torch.randperm(len(x)).split(32):
            loss = nn.functional.cross_entropy(model(x[part], padding[part]), classes[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    with torch.no_grad():
        return model.eval()(*_padded([(one - mean) / std for one in held_out])).argmax(dim=1)


def _padded(clips: list[Tensor]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(one) for one in clips])
    x = pad_sequence(clips, batch_first=True)
    return x, torch.arange(x.shape[1]) >= lengths[:, None]
