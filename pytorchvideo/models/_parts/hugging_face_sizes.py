# SPDX-License-Identifier: Apache-2.0
"""Models of ``transformers`` for clips of another size: configuration and position embeddings.

================  ==========================================================  ============================
family            positions                                                   those of another size are
================  ==========================================================  ============================
TimeSformer       learnt, in space and in time                                the nearest
ViViT             learnt, one for each token                                  bicubic in space, linear in time
CLIP, SigLIP      learnt, in space                                            bicubic
VideoMAE          sines of the token's number                                 made anew
V-JEPA 2          rotations of queries and keys                               made anew
================  ==========================================================  ============================

As ``transformers`` has it, but for ViViT, whose interpolation there takes no clips of several steps in time.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

from pytorchvideo._checks import expected
from pytorchvideo.layers._factories import whole_numbers
from pytorchvideo.layers.positional_encoding import resize_positions
from pytorchvideo.transforms.clip_recipe import ClipRecipe

Grid = tuple[int, int, int]


class _Table(NamedTuple):
    """Learnt positions: the grid that they are of, made of that of the tokens, and how they are interpolated."""

    grid: Callable[[int, int, int], Grid]
    spatial: str = "bicubic"
    temporal: str = "linear"


def _in_space(frames: int, height: int, width: int) -> Grid:
    return 1, height, width


def _in_time(frames: int, height: int, width: int) -> Grid:
    return frames, 1, 1


def _in_both(frames: int, height: int, width: int) -> Grid:
    return frames, height, width


# By the end of the tensor's name.
_PICTURES = {"embeddings.position_embedding.weight": _Table(_in_space)}
_TABLES: dict[str, dict[str, _Table]] = {
    "timesformer": {
        "embeddings.position_embeddings": _Table(_in_space, spatial="nearest"),
        "embeddings.time_embeddings": _Table(_in_time, temporal="nearest"),
    },
    "vivit": {"embeddings.position_embeddings": _Table(_in_both)},
    "clip_vision_model": _PICTURES,
    "siglip_vision_model": _PICTURES,
}


def check_size(
    x: torch.Tensor, recipe: ClipRecipe, fixed: str, *, step: int = 1, advice: str = ""
) -> None:
    """Raises a ValueError where clips (B, C, T, H, W) have another size than those of a recipe.

    Args:
        x: the clips.
        recipe: what they should be.
        fixed: the letters among T, H, W that count.
        step: frames that become one step in time; more than these must be a multiple, or the last would go unseen.
        advice: what else to do about it.
    """
    sizes = {"T": recipe.num_frames, "H": recipe.crop_size, "W": recipe.crop_size}
    for letter, got in zip("THW", x.shape[2:], strict=True):
        if letter in fixed and got != sizes[letter]:
            wanted = f"clips (B, 3, T, H, W) with {letter} = {sizes[letter]}"
            advice = f"The transforms of the model's `recipe` make them. {advice}".rstrip()
            raise ValueError(expected("x", wanted, tuple(x.shape), advice))
    if x.shape[2] > step and x.shape[2] % step:
        wanted = f"clips (B, 3, T, H, W) with T a multiple of {step}"
        raise ValueError(expected("x", wanted, tuple(x.shape)))


def frames_of(config: Any) -> int:
    """Returns the frames of the clips that a configuration is for."""
    frames: int = getattr(config, "num_frames", None) or config.frames_per_clip
    return frames


def image_size_of(config: Any) -> int:
    """Returns the side of the images that a configuration is for."""
    return side_of(getattr(config, "image_size", None) or config.crop_size)


def side_of(size: Any) -> int:
    """The side of a square that is given as a number, or as a mapping with one of these keys."""
    if isinstance(size, (int, float)):
        return int(size)
    if isinstance(size, (list, tuple)):
        return int(size[0])
    return int(next(size[key] for key in ("shortest_edge", "height") if size.get(key)))


def frames_of_a_token(config: Any) -> int:
    """Returns how many frames become one step in time."""
    return _tubelet(config)[0]


def set_sizes(config: Any, num_frames: int | None, image_size: int | None) -> bool:
    """Sets the size of the clips of a configuration, in place; None leaves it. Returns whether it is another one.

    Raises:
        ValueError: it is no multiple of the patches.
    """
    before = frames_of(config), image_size_of(config)
    frames_per_token, pixels, _ = _tubelet(config)
    for name, asked, step in (
        ("num_frames", num_frames, frames_per_token),
        ("image_size", image_size, pixels),
    ):
        if asked is None:
            continue
        if whole_numbers(name, [asked])[0] % step:
            raise ValueError(expected(name, f"a multiple of {step}, the size of a patch", asked))
    if num_frames is not None:
        name = "frames_per_clip" if hasattr(config, "frames_per_clip") else "num_frames"
        setattr(config, name, num_frames)
    if image_size is not None:
        setattr(config, "image_size" if hasattr(config, "image_size") else "crop_size", image_size)
    return before != (frames_of(config), image_size_of(config))


def resized_state(
    state: Mapping[str, torch.Tensor], old: Any, new: Any
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Interpolates the learnt positions in a state dict.

    Args:
        state: of a model with the configuration ``old``.
        old: its configuration.
        new: a configuration for clips of another size.

    Returns:
        The state dict of a model with the configuration ``new``, and the names of the tensors that were interpolated.
    """
    result, resized = dict(state), []
    for ending, (grid_of, spatial, temporal) in _TABLES.get(old.model_type, {}).items():
        before, after = grid_of(*_token_grid(old)), grid_of(*_token_grid(new))
        if before == after:
            continue
        for name in [name for name in state if name.endswith(ending)]:
            table = state[name]
            positions = table.reshape(-1, table.shape[-1])
            # a class token has the first position
            count = before[0] * before[1] * before[2]
            first, others = positions[:-count], positions[-count:]
            grown = resize_positions(
                others[None], before, after, spatial=spatial, temporal=temporal
            )
            grown = torch.cat((first, grown[0]))
            result[name] = grown.reshape(*table.shape[:-2], *grown.shape)
            resized.append(name)
    return result, resized


def _tubelet(config: Any) -> Grid:
    """The frames, rows and columns of a patch."""
    tubelet = getattr(config, "tubelet_size", 1)
    if isinstance(tubelet, (list, tuple)):
        frames, height, width = tubelet
        return frames, height, width
    return tubelet, side_of(config.patch_size), side_of(config.patch_size)


def _token_grid(config: Any) -> Grid:
    frames, height, width = _tubelet(config)
    size = image_size_of(config)
    return frames_of(config) // frames, size // height, size // width
