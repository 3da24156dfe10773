# SPDX-License-Identifier: Apache-2.0
"""Video models of Hugging Face's ``transformers``, with this library's interface.

    clip (B, C, T, H, W) -> (B, T, C, H, W) -> transformers' model without its last layer -> features -> classifier

======================  ==========================  ======
family                  paper                       frames
======================  ==========================  ======
VideoMAE                arXiv 2203.12602            16
TimeSformer             arXiv 2102.05095            8
ViViT                   arXiv 2103.15691            32
V-JEPA 2                arXiv 2506.09985            16, 64
CLIP                    arXiv 2103.00020            any: its image encoder, then a temporal layer
SigLIP, SigLIP 2        arXiv 2303.15343            the same
======================  ==========================  ======

``transformers`` comes with ``pip install "pytorchvideo[hf]"`` and is imported on use.
"""

import contextlib
import copy
import logging
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.models._parts.frame_encoder import FrameEncoder
from pytorchvideo.models._parts.hugging_face_sizes import (
    check_size,
    frames_of,
    frames_of_a_token,
    image_size_of,
    resized_state,
    set_sizes,
    side_of,
)
from pytorchvideo.models._weights.hugging_face_files import (
    HUB_OPTIONS,
    TRUST,
    loading,
    read_config,
    transformers_module,
)
from pytorchvideo.models.net import check_clip_batch
from pytorchvideo.transforms.clip_recipe import ClipRecipe

if TYPE_CHECKING:
    from transformers import PretrainedConfig

__all__ = ["HuggingFaceModel", "create_hugging_face"]

_log = logging.getLogger(__name__)

_NUM_CHANNELS = 3
_LARGEST = 4096  # pixels of a side that a processor may ask for


class _Family(NamedTuple):
    """What the files of a model do not say of its clips.

    Attributes:
        processor: its class in ``transformers``, whose defaults count where a folder has no processor.
        sampling_rate: number of frames -> their distance, in frames of 30 a second, in training.
        fixed: which of T, H, W cannot be others than those of its configuration.
        encoder: of a family that knows images only, the class of its encoder in ``transformers``.
    """

    processor: str
    sampling_rate: Callable[[int], int]
    fixed: str
    encoder: str | None = None


_FAMILIES = {
    # 8 frames at a rate of 1/32, 16 at 1/16, 96 at 1/4: section 4
    "timesformer": _Family(
        "TimesformerVideoProcessor", lambda frames: max(4, 256 // frames), "THW"
    ),
    "videomae": _Family("VideoMAEVideoProcessor", lambda frames: 4, "THW"),
    # 32 frames with stride 2: section 4.1
    "vivit": _Family("VivitVideoProcessor", lambda frames: 2, "THW"),
    "vjepa2": _Family("VJEPA2VideoProcessor", lambda frames: 4, "HW"),
    "clip": _Family("CLIPImageProcessor", lambda frames: 8, "THW", "CLIPVisionModel"),
    "siglip": _Family("SiglipImageProcessor", lambda frames: 8, "THW", "SiglipVisionModel"),
}
_FRAMES_OF_PICTURES = 8


def _family(config: Any) -> _Family:
    """The family of a configuration; that of an image encoder alone belongs to the whole model's."""
    name = config.model_type.removesuffix("_vision_model")
    if name not in _FAMILIES:
        wanted = f"a model of {', '.join(sorted(_FAMILIES))}"
        raise ValueError(expected("source", wanted, config.model_type))
    return _FAMILIES[name]


class HuggingFaceModel(nn.Module):
    """A ``transformers`` model for video classification as a model of this library.

    Args:
        model: one whose last layer is a linear ``classifier``, as the classes ``...ForVideoClassification`` have.
        recipe: the clips that it takes.
        labels: class names in the order of the scores; none are known of a new classifier.

    Attributes:
        trunk: ``model`` without its classifier. What it adds to its encoder, such as V-JEPA 2's attentive
            pooler, is part of it: see :meth:`head_modules`.
        classifier: the last layer.
    """

    def __init__(self, model: nn.Module, recipe: ClipRecipe, labels: tuple[str, ...] = ()) -> None:
        super().__init__()
        classifier = getattr(model, "classifier", None)
        if not isinstance(classifier, nn.Linear):
            wanted = "a model that ends with a linear `classifier`"
            raise TypeError(expected("model", wanted, type(model).__name__))
        self.trunk: Any = model
        self.trunk.classifier = nn.Identity()
        self.classifier = classifier
        self.recipe = recipe
        self.labels = labels

    @property
    def num_features(self) -> int:
        """Length of the vectors that ``forward_features`` returns."""
        return self.classifier.in_features

    @property
    def config(self) -> dict[str, Any]:
        """Numbers, texts and lists that :func:`create_hugging_face` builds a model of the same shapes from."""
        config: dict[str, Any] = self._config_for_now().to_dict()
        return config

    def _config_for_now(self) -> Any:
        config = copy.deepcopy(self.trunk.config)
        names = self.labels or _numbered(self.classifier.out_features)
        config.id2label = dict(enumerate(names))
        config.label2id = {name: i for i, name in enumerate(names)}
        return config

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns logits (B, num_classes) of clips (B, C, T, H, W).

        Raises:
            ValueError: the input is not laid out like that, or of another size than the model can take.
        """
        logits: torch.Tensor = self.classifier(self.forward_features(x))
        return logits

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Returns one vector a clip, (B, num_features): the classifier's input."""
        check_clip_batch(x, _NUM_CHANNELS)
        config = self.trunk.config
        check_size(
            x,
            self.recipe,
            _family(config).fixed,
            step=frames_of_a_token(config),
            advice="For others, build it with create_hugging_face(source, num_frames=..., image_size=...).",
        )
        frames = x.transpose(1, 2)  # (B, C, T, H, W) -> (B, T, C, H, W)
        # the classifier is the identity: what comes out under the name of logits is its input
        features: torch.Tensor = self.trunk(**{self.trunk.main_input_name: frames}).logits
        return features

    def reset_classifier(self, num_classes: int) -> None:
        """Puts a new classifier for ``num_classes`` classes, without names, in the place of the old one.

        Raises:
            ValueError: ``num_classes`` is not positive.
        """
        if num_classes < 1:
            raise ValueError(expected("num_classes", ">= 1", num_classes))
        old = self.classifier
        self.classifier = nn.Linear(old.in_features, num_classes).to(old.weight)
        nn.init.normal_(self.classifier.weight, std=self.trunk.config.initializer_range)
        nn.init.zeros_(self.classifier.bias)
        self.labels = ()

    def head_modules(self) -> list[nn.Module]:
        """The parts that are not of the pretrained encoder: what a probe on the frozen encoder trains.

        They are the classifier, and before it VideoMAE's norm, V-JEPA 2's attentive pooler, or the temporal layer.
        """
        encoder = self.trunk.base_model
        added = [part for part in self.trunk.children() if part is not encoder]
        return [*(part for part in added if any(True for _ in part.parameters())), self.classifier]

    def to_transformers(self) -> Any:
        """Returns a copy as the model of ``transformers`` that it was, with the classifier of now.

        Its ``save_pretrained(folder)`` writes what ``from_pretrained`` and ``pipeline("video-classification")`` read.

        Raises:
            TypeError: it is an image encoder with a temporal layer, which ``transformers`` does not know.
        """
        if isinstance(self.trunk, FrameEncoder):
            raise TypeError(
                "transformers has no model for clips with this image encoder. Save `model.state_dict()`, and "
                "build it again from `model.config`."
            )
        model = copy.deepcopy(self.trunk)
        model.classifier = copy.deepcopy(self.classifier)
        model.config = self._config_for_now()
        model.num_labels = model.config.num_labels
        return model


def create_hugging_face(
    source: "str | os.PathLike[str] | PretrainedConfig | Mapping[str, Any]",
    num_classes: int | None = None,
    *,
    num_frames: int | None = None,
    image_size: int | None = None,
    **options: Any,
) -> HuggingFaceModel:
    """Builds a video model of ``transformers``, (B, C, T, H, W) -> (B, num_classes).

    Args:
        source: a name on the Hub such as ``"MCG-NJU/videomae-base"``, a folder that ``save_pretrained`` wrote, or a
            configuration (also as its ``to_dict()``), for weights that are drawn at random.
        num_classes: classes of the classifier; None keeps that of the source. Where it is another number than the
            source's, or the source has no classifier, it starts untrained.
        num_frames: frames of the clips; None for those of the source, 8 for CLIP and SigLIP.
        image_size: side of the images in pixels; None for that of the source. The positions that a source has learnt
            for clips of another size are interpolated, and the log says so.
        options: keywords of ``from_pretrained``, such as ``revision`` or ``attn_implementation``.

    Raises:
        ImportError: ``transformers`` is not there.
        OSError: there is no such folder, and no such model on the Hub or no way to it.
        TypeError: the source is something else.
        ValueError: the source is of none of the families above, a size is no multiple of its patches, or
            ``num_classes`` is not positive.

    Example::

        model = create_hugging_face("facebook/timesformer-base-finetuned-k400", 10, num_frames=16)
        transform = model.recipe.transforms(train=True, key="video")
    """
    transformers = transformers_module()
    name, processor = None, None
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        hub_options = {key: value for key, value in options.items() if key in HUB_OPTIONS}
        config = read_config(name, options)
        processor = _processor(name, hub_options)
    else:
        is_plain = isinstance(source, Mapping)
        config = transformers.AutoConfig.for_model(**source) if is_plain else copy.deepcopy(source)
        if not isinstance(config, transformers.PretrainedConfig):
            wanted = "a name, a folder, or a configuration of transformers"
            raise TypeError(expected("source", wanted, type(source).__name__))
    family = _family(config)
    published = _of_frames(config, family, num_frames)
    labels = _set_classes(published, num_classes)
    config = copy.deepcopy(published)
    has_other_size = set_sizes(config, num_frames, image_size)
    if name is None:
        auto = transformers.AutoModelForVideoClassification
        model = (transformers.AutoModel if family.encoder else auto).from_config(config, **options)
    else:
        kind = getattr(transformers, family.encoder or "AutoModelForVideoClassification")
        with loading(name):
            model = kind.from_pretrained(
                name, config=published, ignore_mismatched_sizes=True, **{**TRUST, **options}
            )
        if has_other_size:
            model = _resized(model, config, options)
    if family.encoder is not None:
        model = FrameEncoder(model, config.num_frames, config.num_labels)
    return HuggingFaceModel(model.train(), _recipe(config, family, processor), labels)


def _resized(model: Any, config: Any, options: Mapping[str, Any]) -> Any:
    """The model for the clips of another configuration, with its weights."""
    state, names = resized_state(model.state_dict(), model.config, config)
    if names:
        _log.info("The positions %s were interpolated.", " and ".join(names))
    options = {key: value for key, value in options.items() if key not in HUB_OPTIONS}
    return type(model).from_pretrained(None, config=config, state_dict=state, **options)


def _of_frames(config: Any, family: _Family, num_frames: int | None) -> Any:
    """The configuration of what sees the frames, with their number where it is of images."""
    if family.encoder is not None:
        config = getattr(config, "vision_config", config)
        config.num_frames = num_frames or getattr(config, "num_frames", _FRAMES_OF_PICTURES)
    return config


def _set_classes(config: Any, num_classes: int | None) -> tuple[str, ...]:
    """Sets the number of classes of a configuration, and returns their names if they are known."""
    if num_classes is not None and num_classes < 1:
        raise ValueError(expected("num_classes", ">= 1", num_classes))
    if num_classes not in (None, config.num_labels):
        config.num_labels = num_classes
    names = tuple(config.id2label[i] for i in range(config.num_labels))
    # what a configuration says where nobody named the classes
    return () if names == _numbered(config.num_labels) else names


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"LABEL_{i}" for i in range(count))


def _processor(name: str, hub_options: dict[str, Any]) -> Any:
    """The processor beside the weights; None if there is none."""
    transformers = transformers_module()
    for kind in (transformers.AutoVideoProcessor, transformers.AutoImageProcessor):
        with contextlib.suppress(OSError, ValueError):
            return kind.from_pretrained(name, **TRUST, **hub_options)
    _log.warning("There is no processor in %s: the recipe has the colours of its family.", name)
    return None


def recipe_of(name: str, config: Any, num_frames: int | None = None, **options: Any) -> ClipRecipe:
    """Returns the recipe of a model, which is not built; of one of images, such as CLIP, for so many frames."""
    hub_options = {key: value for key, value in options.items() if key in HUB_OPTIONS}
    family = _family(config)
    frames_config = _of_frames(copy.deepcopy(config), family, num_frames)
    return _recipe(frames_config, family, _processor(name, hub_options))


def _recipe(config: Any, family: _Family, processor: Any) -> ClipRecipe:
    """The clips that a model takes, in the sizes of its configuration and the colours of its processor."""
    processor = processor or getattr(transformers_module(), family.processor)()
    num_frames = frames_of(config)
    crop_size = image_size_of(config)
    processed = side_of(getattr(processor, "crop_size", None) or processor.size)
    mean, std = _colours(processor)
    return ClipRecipe(
        num_frames=num_frames,
        sampling_rate=family.sampling_rate(num_frames),
        side_size=round(crop_size * max(1.0, side_of(processor.size) / processed)),
        crop_size=crop_size,
        mean=mean,
        std=std,
    )


def _colours(processor: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of values in [0, 1] that amount to what a processor does.

    Processors differ in more than their numbers: ViViT's maps 0..255 to [-1, 1] before it normalises. What a black and
    a white clip become says it all.
    """
    pixels = side_of(processor.size)
    if not 0 < pixels <= _LARGEST:
        raise ValueError(expected("size", f"1 to {_LARGEST} pixels of a processor", pixels))
    images = np.stack([np.full((pixels, pixels, 3), value, np.uint8) for value in (0, 255)])
    clip = next(iter(processor(list(images), return_tensors="pt").values()))
    # a clip (1, T, C, H, W), or images (T, C, H, W)
    black, white = clip.reshape(2, _NUM_CHANNELS, -1)[..., 0].double()
    std = 1 / (white - black)
    mean = -black * std
    return tuple(round(v, 5) for v in mean.tolist()), tuple(round(v, 5) for v in std.tolist())
