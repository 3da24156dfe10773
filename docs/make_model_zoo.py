# SPDX-License-Identifier: Apache-2.0
"""Writes docs/model_zoo.md from the records of the weights.

python docs/make_model_zoo.py
"""

import json
from pathlib import Path

from pytorchvideo.models import get_weights, list_models
from pytorchvideo.models._weights.protocols import PROTOCOLS

PAGE = Path(__file__).parent / "model_zoo.md"
COST = PAGE.parent.parent / "benchmarks/results/model_cost.json"
COUNTED = {row["model"]: row for row in json.loads(COST.read_text(encoding="utf-8"))["models"]}

SCORES = ("top1", "top5", "mAP")

INTRODUCTION = """\
# Model zoo

`pytorchvideo models` prints this table in a shell, `pytorchvideo.models.get_weights(name)` is one row of it with the
clip recipe and the label list, and `weights.transforms()` is the transform that belongs to it.

```python
from pytorchvideo.models import create_model, get_weights

# or torch.hub.load, or pytorchvideo.models.hub.x3d_s(pretrained=True)
model = create_model("x3d_s", pretrained=True)
transform = get_weights("x3d_s").transforms(key="video")
```

Clips are frames x distance between them (in frames of a video of 30 a second); of a model with several pathways, those
of the longest. A model without a crop takes whole frames, whose short side is 256 pixels, and boxes in them.
Accuracies are those published with the weights, on the protocol named below. Multiply-adds are those of one view (and
of one box), counted by `benchmarks/model_cost.py` on convolutions, linear layers and attention. The published figures
hold five operations more for each output of a batch or layer norm (7 to 9 % of X3D); with them the count gives every
one, except those of `slow_r50` and `slowfast_r50`, which were published without. Parameters are counted; those
published differ by 0.03 M at most.
A file that is already in `$TORCH_HOME/hub/checkpoints` is not downloaded again.

"""


VIEWS = """
## Official views

`get_weights(name).views("official")` has the frames and crops of each video that the published scores are of, and
`pytorchvideo.evaluation.score_videos(model, paths, views)` the scores of videos by them. The scores of a view are those
of each position of the network's last map, mean over positions; those of a video the mean or the maximum over its
views. Clips begin at i/N of the frames (`share`), at i/(N - 1) of the seconds (`seconds`), at i times a whole number of
frames (`offsets`) or at the nearest frame (`rounded`); they are the middles of equal parts of the video (`whole`), or
lie around a frame (`keyframe`). Weights that were trained on BGR get it, here as by `weights.transforms()`.

| model | clips x crops | clips begin | also tested by | short side, crop | activation | over views | channels |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def view_row(name: str) -> str:
    """One line of the table of official views."""
    protocol, recipe = PROTOCOLS[name], get_weights(name).recipe
    return " | ".join(
        [
            f"| `{name}`",
            f"{protocol.clips} x {protocol.crops}",
            protocol.starts,
            protocol.also or "",
            f"{recipe.side_size}, {recipe.crop_size or 'none'}",
            protocol.activation,
            protocol.combine,
            f"{recipe.channels.upper()} |",
        ]
    )


def row(name: str) -> str:
    """One line of the table."""
    weights = get_weights(name)
    recipe = weights.recipe
    scores = [f"{weights.metrics[k]:.2f}" if k in weights.metrics else "" for k in SCORES]
    file = f"[{weights.file.name}]({weights.url})" if weights.url else weights.file.name
    return " | ".join(
        [
            f"| `{name}`",
            f"{recipe.num_frames}x{recipe.sampling_rate}",
            str(recipe.crop_size or ""),
            *scores,
            f"{COUNTED[name]['gmacs']:.2f}",
            f"{COUNTED[name]['published_gmacs'] or ''}",
            f"{weights.num_parameters / 1e6:.2f}",
            str(len(weights.labels) or "unknown"),
            weights.licence,
            f"{file} |",
        ]
    )


def page() -> str:
    """The whole page."""
    columns = (
        *("model", "clip", "crop", "top-1", "top-5", "mAP"),
        *("multiply-adds (G)", "as published"),
        *("parameters (M)", "classes", "licence", "file"),
    )
    header = f"| {' | '.join(columns)} |"
    lines = [header, "|" + " --- |" * len(columns), *(row(name) for name in list_models())]
    protocols: dict[str, list[str]] = {}
    for name in list_models():
        protocols.setdefault(get_weights(name).protocol, []).append(name)
    notes = [f"- {', '.join(names)}: {protocol}." for protocol, names in protocols.items()]
    views = VIEWS + "\n".join(view_row(name) for name in sorted(PROTOCOLS))
    return (
        INTRODUCTION
        + "\n".join(lines)
        + "\n\nProtocols:\n\n"
        + "\n".join(notes)
        + "\n"
        + views
        + "\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
