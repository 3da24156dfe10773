# SPDX-License-Identifier: Apache-2.0
"""Zero-shot classification with CLIP and SigLIP.

    frames -> image encoder -> unit vectors -> mean --------\\
                                                             cosine * scale -> logits (B, num_labels)
    labels -> sentences -> text encoder -> unit vectors -----/

CLIP: arXiv 2103.00020, section 3.1.4 for several sentences a class. SigLIP: arXiv 2303.15343.
"""

import os
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.models._parts.hugging_face_sizes import check_size
from pytorchvideo.models._weights.hugging_face_files import (
    TRUST,
    loading,
    read_config,
    transformers_module,
)
from pytorchvideo.models.huggingface import recipe_of
from pytorchvideo.models.net import check_clip_batch
from pytorchvideo.transforms.clip_recipe import ClipRecipe

__all__ = ["TEMPLATES", "ZeroShotModel", "create_zero_shot"]

#: Sentences about a class; the mean of their vectors stands for it.
TEMPLATES = ("a video of {}.", "a photo of {}.", "a photo of a person: {}.")

_FAMILIES = ("clip", "siglip")


class ZeroShotModel(nn.Module):
    """Clips (B, C, T, H, W) -> logits (B, num_labels); T is any.

    Args:
        encoder: images (N, C, H, W) -> an output with ``pooler_output`` (N, D).
        projection: (N, D) -> (N, E), the space of the texts.
        texts: unit vectors (num_labels, E).
        scale: of the cosines.
        recipe: the clips that it takes.
        labels: class names in the order of the logits.
    """

    texts: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self,
        encoder: nn.Module,
        projection: nn.Module,
        texts: torch.Tensor,
        scale: torch.Tensor,
        recipe: ClipRecipe,
        labels: Sequence[str],
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.projection = projection
        self.register_buffer("texts", texts)
        self.register_buffer("scale", scale)
        self.recipe = recipe
        self.labels = tuple(labels)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Returns one unit vector a clip, (B, E): the direction of the mean of its frames' unit vectors.

        Raises:
            ValueError: the input is not laid out like (B, 3, T, H, W), or of another size than the recipe's.
        """
        check_clip_batch(x, 3)
        check_size(x, self.recipe, "HW")
        frames = x.transpose(1, 2).flatten(0, 1)  # (B, C, T, H, W) -> (B * T, C, H, W)
        vectors = F.normalize(
            self.projection(self.encoder(pixel_values=frames).pooler_output), dim=-1
        )
        return F.normalize(vectors.unflatten(0, (x.shape[0], -1)).mean(dim=1), dim=-1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns logits (B, num_labels), whose softmax is over the labels."""
        return self.scale * self.forward_features(x) @ self.texts.T


def create_zero_shot(
    source: str | os.PathLike[str],
    labels: Sequence[str],
    *,
    templates: Sequence[str] = TEMPLATES,
    num_frames: int = 8,
    **options: Any,
) -> ZeroShotModel:
    """Builds a classifier of clips from the names of the classes, without training.

    Args:
        source: a CLIP or SigLIP model with its tokenizer: a name on the Hub such as
            ``"openai/clip-vit-base-patch32"``, or a folder.
        labels: names of the classes, as one would write them in a sentence.
        templates: sentences with ``{}`` in the place of the name.
        num_frames: frames of a clip in the recipe.
        options: keywords of ``from_pretrained``, such as ``revision``.

    Raises:
        ImportError: ``transformers`` is not there.
        OSError: there is no such folder, and no such model on the Hub or no way to it.
        ValueError: fewer than two labels, some twice, a template without ``{}``, or a model of another family.

    Example::

        model = create_zero_shot("openai/clip-vit-base-patch32", ["playing chess", "archery"])
        VideoPredictor(model, model.recipe, model.labels).predict("video.mp4")
    """
    if len(labels) < 2 or len(set(labels)) < len(labels) or isinstance(labels, str):
        raise ValueError(expected("labels", "two or more names, each once", labels))
    if not templates or not all("{}" in template for template in templates):
        raise ValueError(expected("templates", "sentences with {} for the label", templates))
    transformers = transformers_module()
    name = os.fspath(source)
    options = {**TRUST, **options}
    config = read_config(name, options)
    if config.model_type not in _FAMILIES:
        wanted = f"a model of {' or '.join(_FAMILIES)}"
        raise ValueError(expected("source", wanted, config.model_type))
    with loading(name):
        model = transformers.AutoModel.from_pretrained(name, **options).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **options)
    sentences = [template.format(label) for label in labels for template in templates]
    vectors = _text_vectors(model, tokenizer, sentences).unflatten(0, (len(labels), -1))
    return ZeroShotModel(
        encoder=model.vision_model,
        projection=getattr(model, "visual_projection", nn.Identity()),
        texts=F.normalize(vectors.mean(dim=1), dim=-1),
        scale=model.logit_scale.detach().exp().reshape(()),
        recipe=recipe_of(name, config, num_frames, **options),
        labels=labels,
    )


@torch.no_grad()
def _text_vectors(model: Any, tokenizer: Any, sentences: list[str]) -> torch.Tensor:
    """Unit vectors (len(sentences), E)."""
    # SigLIP was trained with texts of one length, without a mask, and looks at the last place
    padding: Any = "max_length" if model.config.model_type == "siglip" else True
    length = model.config.text_config.max_position_embeddings
    tokens = tokenizer(
        sentences, padding=padding, truncation=True, max_length=length, return_tensors="pt"
    )
    inputs = {"input_ids": tokens["input_ids"]}
    if model.config.model_type != "siglip":
        inputs["attention_mask"] = tokens["attention_mask"]
    found = model.get_text_features(**inputs)
    return F.normalize(getattr(found, "pooler_output", found), dim=-1)
