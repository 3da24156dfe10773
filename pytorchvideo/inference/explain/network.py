# SPDX-License-Identifier: Apache-2.0
"""Networks as explanations need them: in evaluation mode, with logits, and with the outputs of some layers kept.

All of it is undone at the end of its ``with``: modes are as before, and no hook is left.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from pytorchvideo._checks import expected, near_names
from pytorchvideo.models._parts.head_parts import ReplaceableClassifier

#: What a network takes: clips (B, C, T, H, W), or several, one a pathway.
Inputs: TypeAlias = Tensor | Sequence[Tensor]

_ACTIVATIONS = (nn.Softmax, nn.LogSoftmax, nn.Sigmoid)


def pathways_of(inputs: Inputs) -> list[Tensor]:
    """Returns the input of each pathway without its graph; one of inference mode, which can have none, as a copy."""
    given = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    for number, clip in enumerate(given):
        if not isinstance(clip, Tensor) or clip.ndim != 5:
            got = tuple(clip.shape) if isinstance(clip, Tensor) else type(clip).__name__
            wanted = "clips (B, C, T, H, W), or a list of them, one a pathway"
            raise ValueError(
                expected("inputs" if len(given) == 1 else f"inputs[{number}]", wanted, got)
            )
    return [clip.clone() if clip.is_inference() else clip.detach() for clip in given]


def as_inputs(pathways: Sequence[Tensor], like: Inputs) -> Inputs:
    """Returns pathways as the network takes them: one tensor, or a new list, which SlowFast writes into."""
    return pathways[0] if isinstance(like, Tensor) else list(pathways)


@contextmanager
def explained(model: nn.Module) -> Iterator[None]:
    """Has a network in evaluation mode return logits, outside of inference mode, without gradients."""
    modes = [(module, module.training) for module in model.modules()]
    with ExitStack() as undone:
        undone.callback(_set_modes, modes)
        model.eval()
        for module in model.modules():
            activation = getattr(module, "activation", None)
            if isinstance(module, ReplaceableClassifier) and isinstance(activation, _ACTIVATIONS):
                undone.callback(activation.register_forward_hook(_input_instead).remove)
        undone.enter_context(torch.inference_mode(False))
        undone.enter_context(torch.no_grad())
        yield


def _set_modes(modes: list[tuple[nn.Module, bool]]) -> None:
    for module, mode in modes:
        module.training = mode


def _input_instead(_module: nn.Module, arguments: tuple[Any, ...], _output: Any) -> Any:
    return arguments[0]


def checked_logits(logits: Any) -> Tensor:
    """Returns what a network gave as float32 (B, N).

    Raises:
        ValueError: it is of another shape, or holds probabilities, whose gradients vanish where a network is sure.
    """
    scores = _checked_scores(logits)
    if _are_probabilities(scores):
        advice = "Build it without its activation (`head_activation=None`), or give what comes before the softmax."
        got = "probabilities, whose sum is 1"
        raise ValueError(expected("model", "one that returns logits", got, advice))
    return scores


def scores_of(scores: Any) -> Tensor:
    """Returns the logits that any callable gave, float32 (B, N); of probabilities their logarithms.

    Raises:
        ValueError: they are of another shape.
    """
    found = _checked_scores(scores)
    return found.clamp(min=1e-12).log() if _are_probabilities(found) else found


def _checked_scores(scores: Any) -> Tensor:
    if not isinstance(scores, Tensor) or scores.ndim != 2:
        got = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ValueError(expected("model", "one that returns logits (B, num_classes)", got))
    return scores.float()


def _are_probabilities(scores: Tensor) -> bool:
    is_one = torch.allclose(scores.detach().sum(dim=1), scores.new_ones(()), atol=1e-4)
    return scores.shape[1] > 1 and is_one and bool((scores >= 0).all())


def chosen_classes(logits: Tensor, labels: Sequence[int] | int | None) -> Tensor:
    """Returns the class that is explained of each clip (B,): the likeliest by default.

    Raises:
        ValueError: another number of labels than clips, or a label that the network has not.
    """
    count, classes = logits.shape
    if labels is None:
        return logits.argmax(dim=1)
    given = [labels] * count if isinstance(labels, int) else list(labels)
    if len(given) != count or not all(0 <= label < classes for label in given):
        wanted = f"{count} numbers in 0..{classes - 1}, one a clip"
        raise ValueError(expected("labels", wanted, labels))
    return torch.tensor(given, device=logits.device)


def layer_named(model: nn.Module, name: str) -> nn.Module:
    """Returns a layer by its path, such as ``"blocks.4"``; negative numbers count from the end of a list.

    Raises:
        ValueError: there is no such layer.
    """
    layer: nn.Module = model
    for part in name.split("."):
        children = dict(layer.named_children())
        if part not in children and part.lstrip("-").isdecimal() and part.startswith("-"):
            part = str(len(children) + int(part))
        if part not in children:
            advice = near_names(name, [known for known, _ in model.named_modules() if known])
            raise ValueError(f"There is no layer {name!r} in this {type(model).__name__}. {advice}")
        layer = children[part]
    return layer


class Kept:
    """The outputs of layers (B, C, t, h, w) in one forward pass, with a graph from the first of them on.

    What comes before the first layer that runs needs no gradients, which makes a map little dearer than a prediction.
    The rest of the network goes on with copies: what it changes in place is not what was kept.

    Args:
        model: the network.
        layers: paths of layers in it.
    """

    def __init__(self, model: nn.Module, layers: Sequence[str]) -> None:
        self._outputs: dict[str, Tensor] = {}
        self._layers = {name: layer_named(model, name) for name in layers}

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Keeps what comes out, within the ``with``; gradients are on again from the first layer to its end."""
        with ExitStack() as undone, torch.no_grad():
            for name, layer in self._layers.items():
                undone.callback(layer.register_forward_hook(self._hook(name)).remove)
            yield

    def outputs(self) -> list[Tensor]:
        """Returns what was kept, in the order of the layers.

        Raises:
            ValueError: a layer was not called.
        """
        if missing := [name for name in self._layers if name not in self._outputs]:
            raise ValueError(
                f"The network does not call its layer {missing[0]!r}. Choose another one."
            )
        return [self._outputs[name] for name in self._layers]

    def _hook(self, name: str) -> Any:
        def keep(_layer: nn.Module, _arguments: Any, output: Any) -> Tensor:
            if not isinstance(output, Tensor) or output.ndim != 5:
                got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
                wanted = f"layers that return maps (B, C, T, H, W), as {name!r} does not"
                raise ValueError(expected("layers", wanted, got))
            if name in self._outputs:
                raise ValueError(
                    f"The network calls its layer {name!r} several times. Choose another one."
                )
            torch.set_grad_enabled(True)
            # of an earlier one that was kept: its graph goes through this one
            kept = output if output.requires_grad else output.detach().requires_grad_()
            self._outputs[name] = kept
            return kept.clone()

        return keep
