# SPDX-License-Identifier: Apache-2.0
"""Model cards: the README.md of a saved model."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pytorchvideo._text import counted, markdown
from pytorchvideo.models._weights.weights import Weights
from pytorchvideo.transforms.clip_recipe import ClipRecipe

_LABELS_SHOWN = 60

_TEMPLATE = """\
---
library_name: pytorchvideo
pipeline_tag: {pipeline}
license: {licence}
tags:
- pytorchvideo
- {name}
---

# {title}

{summary}

{example}## Clips

{clips}

## Scores

{scores}

## Labels

{labels}
"""

_EXAMPLE = """\
```python
import torch
from pytorchvideo.data import EncodedVideo
from pytorchvideo.models import PretrainedModel

trained = PretrainedModel.from_pretrained({source})
with EncodedVideo.from_path("video.mp4") as video:
    clip = video.get_clip(0, trained.recipe.clip_duration_sec)["video"]
batch = torch.utils.data.default_collate([trained.recipe.transforms()(clip)])
with torch.inference_mode():
    scores = trained.model.eval()(batch).{activation}[0]
best = int(scores.argmax())
print(trained.labels[best] if trained.labels else best, float(scores[best]))
```

"""


def model_card(
    config: Mapping[str, Any], weights: Weights, num_parameters: int, task: str, source: str
) -> str:
    """Returns the card.

    Args:
        config: of the saved model.
        weights: the record of the published weights of its architecture.
        num_parameters: of the model.
        task: of the registry.
        source: what the example loads.
    """
    activation = "sigmoid()" if config["multi_label"] else "softmax(dim=1)"
    example = _EXAMPLE.format(source=json.dumps(source), activation=activation)
    return _TEMPLATE.format(
        pipeline={"image classification": "image-classification"}.get(task, "video-classification"),
        licence=_yaml(config["licence"].lower()),
        name=config["model_name"],
        title=f"{config['model_name']} for {counted(config['num_classes'], 'class')}",
        summary=_summary(config, weights, num_parameters),
        example=example if task == "video classification" else "",
        clips=_clips(ClipRecipe.from_dict(config["recipe"])),
        scores=_scores(config, weights),
        labels=_labels(config["labels"]),
    )


def _yaml(text: str) -> str:
    """A text in the metadata: as it is, or in quotes, which YAML 1.2 shares with json."""
    return text if re.fullmatch(r"[\w.+-]+", text) else json.dumps(text)


def _summary(config: Mapping[str, Any], weights: Weights, num_parameters: int) -> str:
    given = [f"{key}={value!r}" for key, value in config["model_kwargs"].items()]
    kwargs = ", ".join(f"`{text.replace('`', chr(39))}`" for text in given)
    return (
        f"The model `{config['model_name']}` of pytorchvideo, {num_parameters:,} parameters"
        + (f", built with {kwargs}" if kwargs else "")
        + f". One view takes about {weights.gflops:g} x 10^9 multiply-adds in the size in which it was published."
    )


def _clips(recipe: ClipRecipe) -> str:
    size = (
        "left whole"
        if recipe.crop_size is None
        else f"a crop of {recipe.crop_size} x {recipe.crop_size}"
    )
    rows = {
        "frames": f"{recipe.num_frames} at equal distances",
        "duration": f"{recipe.clip_duration_sec:.3g} s",
        "pictures": f"short side {recipe.side_size} pixels, {size}",
        "mean": ", ".join(f"{value:g}" for value in recipe.mean),
        "standard deviation": ", ".join(f"{value:g}" for value in recipe.std),
    }
    if recipe.channels != "rgb":
        rows["colours"] = "blue, green, red"
    if recipe.pathway_ratio is not None:
        shares = " and ".join(
            f"1/{ratio}" if ratio > 1 else "all" for ratio in recipe.pathway_ratio
        )
        rows["pathways"] = f"{shares} of the frames"
    return _table(("clip", ""), rows)


def _scores(config: Mapping[str, Any], weights: Weights) -> str:
    own = {markdown(name): f"{value:g} %" for name, value in config["metrics"].items()}
    parts = []
    if own:
        parts.append(_table(("score", "value"), own))
        parts.append(f"{markdown(config['protocol'])}." if config["protocol"] else "")
    else:
        parts.append("None were given.")
    if config["metrics"] != dict(weights.metrics):
        published = ", ".join(f"{name} {value:g} %" for name, value in weights.metrics.items())
        parts.append(
            f"For comparison, the published weights of `{weights.name}` ({weights.source}): {published} on "
            f"{weights.protocol}."
        )
    return "\n\n".join(part for part in parts if part)


def _labels(labels: list[str]) -> str:
    if not labels:
        return "Classes have numbers only."
    names = ", ".join(map(markdown, labels[:_LABELS_SHOWN]))
    more = len(labels) - _LABELS_SHOWN
    return f"{names}, and {more} more in `config.json`." if more > 0 else f"{names}."


def _table(head: tuple[str, str], rows: Mapping[str, str]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows.items())])
