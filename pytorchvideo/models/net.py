# SPDX-License-Identifier: Apache-2.0
"""Networks: a trunk of blocks and a head, with the interface of all models."""

import copy
from collections.abc import Sequence

import torch
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers._cpu_fast_path import is_recorded
from pytorchvideo.models._parts.head_parts import NoClassifierError
from pytorchvideo.models.head import ClassificationHead, ReplaceableClassifier, ResNetRoIHead


class _ModelWithClassifier(nn.Module):
    """What every model here has of its head: its classifier, which can be replaced."""

    # TorchScript would compile properties
    __jit_unused_properties__ = ("classification_head", "classifier", "num_features")

    def _head_or_error(self) -> ReplaceableClassifier:
        raise NotImplementedError

    @property
    def num_features(self) -> int:
        """Length of the vectors that ``forward_features`` returns."""
        return self._head_or_error().num_features

    @property
    def classifier(self) -> nn.Module:
        """The layer that turns features into scores."""
        return self._head_or_error().classifier

    def reset_classifier(self, num_classes: int) -> None:
        """Puts a new classifier for ``num_classes`` classes in the place of the old one.

        Raises:
            ValueError: the network has no head with a classifier, or ``num_classes`` is not positive.
        """
        self._head_or_error().reset_classifier(num_classes)


class ClassificationModel(_ModelWithClassifier):
    """What every model of whole clips has: features, a head that can be replaced, and a check of its input.

    A subclass gives :meth:`forward_trunk` and :attr:`classification_head`.

    Args:
        input_channels: channels of the clips that the model takes; several where it takes a list of
            inputs, one a pathway; None leaves its input unchecked.
    """

    def __init__(self, input_channels: int | Sequence[int] | None = None) -> None:
        super().__init__()
        self.input_channels = (
            tuple(input_channels) if isinstance(input_channels, Sequence) else input_channels
        )

    @property
    def classification_head(self) -> ClassificationHead | None:
        """The head, or None for a network without one."""
        raise NotImplementedError

    def forward_trunk(self, x: torch.Tensor) -> torch.Tensor:
        """Returns what the head takes (without a head: the output)."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns class scores (B, num_classes) of clips (B, C, T, H, W), or of a list with a batch a pathway.

        Raises:
            ValueError: the input is not laid out like that.
        """
        check_input(x, self._channels_for(x))
        x = self.forward_trunk(x)
        head = self.classification_head
        return x if head is None else head(x)

    def _channels_for(self, x: torch.Tensor) -> int | Sequence[int] | None:
        """Channels that the input is to have: those of a stem that was put in the place of the model's own, too."""
        channels = self.input_channels
        if isinstance(channels, int) and isinstance(x, torch.Tensor) and x.ndim > 1:
            got = x.shape[1]
            if got != channels:
                first = next((m for m in self.modules() if isinstance(m, nn.Conv3d)), None)
                return got if first is not None and first.in_channels == got else channels
        return channels

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Returns one vector a clip, (B, num_features): the classifier's input, averaged over positions.

        Without a head it is the trunk's output, averaged over all positions.
        """
        check_input(x, self._channels_for(x))
        x = self.forward_trunk(x)
        head = self.classification_head
        return x.flatten(2).mean(dim=2) if head is None else head.features(x)

    def _head_or_error(self) -> ClassificationHead:
        head = self.classification_head
        if head is None:
            raise NoClassifierError(
                "This network ends without a classification head: it has no classifier."
            )
        return head


class Net(ClassificationModel):
    """Blocks that run one after the other; the last may be a :class:`ClassificationHead`.

    Args:
        blocks: the blocks, an ``nn.ModuleList``; state-dict keys begin ``blocks.0.``.
        input_channels: channels of the clips that the first block takes, several for a list of inputs;
            None leaves the input unchecked, for networks of other inputs.

    The input is never modified.
    """

    def __init__(
        self, *, blocks: nn.ModuleList, input_channels: int | Sequence[int] | None = None
    ) -> None:
        super().__init__(input_channels)
        if not isinstance(blocks, nn.ModuleList):
            raise ValueError(expected("blocks", "an nn.ModuleList", type(blocks).__name__))
        self.blocks = blocks

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.jit.is_scripting():
            return super().forward(x)
        for block in self.blocks:
            x = block(x)
        return x

    @property
    def classification_head(self) -> ClassificationHead | None:
        last = self.blocks[-1] if len(self.blocks) else None
        return last if isinstance(last, ClassificationHead) else None

    def forward_trunk(self, x: torch.Tensor) -> torch.Tensor:
        blocks = list(self.blocks)
        for block in blocks if self.classification_head is None else blocks[:-1]:
            x = block(x)
        return x

    def __prepare_scriptable__(self) -> nn.Module:
        """TorchScript, which asks for this, knows one type of input a class."""
        return _with_class(self, _PathwayNet) if _takes_list(self) else self


class _PathwayNet(Net):
    """A network of several pathways, as TorchScript sees it."""

    def forward(self, x: list[torch.Tensor]) -> torch.Tensor:  # type: ignore[override]
        if not torch.jit.is_scripting():
            return ClassificationModel.forward(self, x)  # type: ignore[arg-type]
        for block in self.blocks:
            x = block(x)
        return x  # type: ignore[return-value]


class DetectionBBoxNetwork(_ModelWithClassifier):
    """A trunk and a head that scores boxes: what the people in them do.

    Args:
        model: clips, or a list with a batch a pathway -> a feature map (B, C, T, H, W); state-dict keys begin
            ``model.``.
        detection_head: called with the map and the boxes, e.g. :class:`ResNetRoIHead`; keys begin
            ``detection_head.``.

    The input is never modified.
    """

    def __init__(self, model: nn.Module, detection_head: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.detection_head = detection_head

    def forward(self, x: torch.Tensor, bboxes: torch.Tensor) -> torch.Tensor:
        """Returns the scores of boxes, (N, num_classes).

        Args:
            x: clips (B, C, T, H, W), or a list with a batch a pathway.
            bboxes: (N, 5), a row a box: the index of its clip in the batch, then x1, y1, x2, y2 in pixels of the
                clip. There may be none, or several of one clip, in any order.

        Raises:
            ValueError: clips or boxes are not laid out like that, or have another length than the head pools.
        """
        # a head without an average returns the map (N, num_classes, 1, 1, 1)
        return self.detection_head(self.model(x), bboxes).flatten(1)

    def forward_features(
        self, x: torch.Tensor | Sequence[torch.Tensor], bboxes: torch.Tensor
    ) -> torch.Tensor:
        """Returns one vector a box, (N, num_features): the classifier's input, averaged over positions."""
        features: torch.Tensor = self._head_or_error().features(self.model(x), bboxes)
        return features

    def _head_or_error(self) -> ResNetRoIHead:
        if not isinstance(self.detection_head, ResNetRoIHead):
            kind = type(self.detection_head).__name__
            raise NoClassifierError(
                expected("detection_head", "a ResNetRoIHead, to have a classifier", kind)
            )
        return self.detection_head

    def __prepare_scriptable__(self) -> nn.Module:
        """As :class:`Net` does."""
        return _with_class(self, _PathwayDetection) if _takes_list(self.model) else self


class _PathwayDetection(DetectionBBoxNetwork):
    """Detection with several pathways, as TorchScript sees it."""

    def forward(self, x: list[torch.Tensor], bboxes: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return self.detection_head(self.model(x), bboxes).flatten(1)


def _takes_list(model: nn.Module) -> bool:
    blocks = next(model.children(), None)
    first = blocks[0] if isinstance(blocks, nn.ModuleList) and len(blocks) else None
    return isinstance(first, MultiPathWayWithFuse)


def _with_class(model: nn.Module, cls: type[nn.Module]) -> nn.Module:
    """Another view of a model, with the same layers."""
    view = copy.copy(model)
    view.__class__ = cls
    return view


class MultiPathWayWithFuse(nn.Module):
    """Blocks side by side, one a pathway, then a fusion of their outputs: a list in, a list out.

    Args:
        multipathway_blocks: a block a pathway; None passes its input on.
        multipathway_fusion: maps the list of outputs to another; None leaves it as it is.
        inplace: of no effect: the list that comes in is never modified.
    """

    def __init__(
        self,
        *,
        multipathway_blocks: nn.ModuleList,
        multipathway_fusion: nn.Module | None,
        inplace: bool = True,
    ) -> None:
        super().__init__()
        self.multipathway_blocks = multipathway_blocks
        self.multipathway_fusion = multipathway_fusion

    def forward(self, x: list[torch.Tensor]) -> list[torch.Tensor]:
        outputs: list[torch.Tensor] = []
        if torch.jit.is_scripting():
            if len(self.multipathway_blocks) != len(x):
                raise ValueError("Expected `x` to be a list of tensors, one a pathway.")
            for i, block in enumerate(self.multipathway_blocks):
                outputs.append(block(x[i]))
        else:
            self._check(x)
            for i, block in enumerate(self.multipathway_blocks):
                outputs.append(x[i] if block is None else block(x[i]))
        return outputs if self.multipathway_fusion is None else self.multipathway_fusion(outputs)

    def __prepare_scriptable__(self) -> nn.Module:
        check_scriptable("multipathway_blocks", self.multipathway_blocks)
        return self

    def _check(self, x: object) -> None:
        count = len(self.multipathway_blocks)
        if is_recorded(x):
            return
        if not isinstance(x, (list, tuple)) or len(x) != count:
            raise ValueError(expected("x", f"a list of {count} tensors, one a pathway", _kind(x)))


def check_scriptable(name: str, modules: nn.ModuleList | None) -> None:
    """Raises a ValueError for a list with None, which TorchScript would leave out."""
    if modules is not None and any(module is None for module in modules):
        raise ValueError(expected(name, "modules alone, for TorchScript", [*modules]))


def check_input(
    x: torch.Tensor | Sequence[torch.Tensor], channels: int | Sequence[int] | None
) -> None:
    """Raises a ValueError unless ``x`` is a batch of clips, or a list of them for several ``channels``.

    >>> check_input([torch.zeros(1, 3, 8, 64, 64)], (3, 3))
    Traceback (most recent call last):
    ValueError: Expected `x` to be a list of 2 batches of clips (B, C, T, H, W), one a pathway, but got [(1, ...
    """
    if isinstance(x, torch.fx.Proxy):
        return
    if channels is None or isinstance(channels, int):
        check_clip_batch(x, channels)  # type: ignore[arg-type]
        return
    if not isinstance(x, (list, tuple)) or len(x) != len(channels):
        wanted = f"a list of {len(channels)} batches of clips (B, C, T, H, W), one a pathway"
        advice = "UniformTemporalSubsampleRepeated makes them of one clip."
        raise ValueError(expected("x", wanted, _kind(x), advice))
    for one, wanted_channels in zip(x, channels, strict=True):
        check_clip_batch(one, wanted_channels)


def _kind(x: object) -> object:
    """What an error says of an input: the shapes of a list, the type of anything else."""
    if not isinstance(x, (list, tuple)):
        return type(x).__name__
    return [tuple(one.shape) if isinstance(one, torch.Tensor) else type(one).__name__ for one in x]


def check_clip_batch(x: torch.Tensor, channels: int | None) -> None:
    """Raises a ValueError with the expected layout unless ``x`` is a batch of clips (B, C, T, H, W).

    Args:
        x: a model's input.
        channels: C; None accepts anything.

    >>> check_clip_batch(torch.zeros(3, 8, 64, 64), 3)
    Traceback (most recent call last):
    ValueError: Expected `x` to be clips (B, 3, T, H, W), but got (3, 8, 64, 64). Add the batch dimension: x[None].
    """
    # where a graph is recorded sizes are not to be compared
    if channels is None or torch.jit.is_tracing() or isinstance(x, torch.fx.Proxy):
        return
    wanted = f"clips (B, {channels}, T, H, W)"
    if not isinstance(x, torch.Tensor):
        raise ValueError(expected("x", wanted, type(x).__name__))
    if x.ndim != 5 or x.shape[1] != channels:
        raise ValueError(expected("x", wanted, tuple(x.shape), _layout_advice(x, channels)))
    if not (x.is_floating_point() or x.is_quantized):
        advice = "Scale it to floats with the transforms of the model's weights."
        raise ValueError(expected("x", "floating point", str(x.dtype), advice))


def _layout_advice(x: torch.Tensor, channels: int) -> str:
    if x.ndim == 4 and x.shape[0] == channels:
        return "Add the batch dimension: x[None]."
    if x.ndim == 5 and x.shape[4] == channels:
        return "Channels come second: x.permute(0, 4, 1, 2, 3)."
    if x.ndim == 5 and x.shape[2] == channels:
        return "Channels come before time: x.transpose(1, 2)."
    return ""
