# SPDX-License-Identifier: Apache-2.0
"""Positional encodings: learnt on a grid, and sinusoidal (arXiv 1706.03762, section 3.5)."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from pytorchvideo._checks import expected
from pytorchvideo.layers._factories import size3

_LONGEST_WAVE = 10_000.0


class PositionalEncoding(nn.Module):
    """Adds sines (even channels) and cosines (odd ones) of the position to (B, S, embed_dim).

    Args:
        embed_dim: channels.
        seq_len: the longest sequence.
    """

    pe: torch.Tensor

    def __init__(self, embed_dim: int, seq_len: int = 1024) -> None:
        super().__init__()
        position = torch.arange(seq_len, dtype=torch.float)[:, None]
        even = torch.arange(0, embed_dim, 2, dtype=torch.float)
        angle = position * torch.exp(even * (-math.log(_LONGEST_WAVE) / embed_dim))
        # (seq_len, pairs, 2) -> (seq_len, embed_dim): an odd number of channels ends with a sine
        waves = torch.stack((angle.sin(), angle.cos()), dim=2).flatten(1)[:, :embed_dim]
        self.register_buffer("pe", waves[None].contiguous())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        length, longest = x.shape[1], self.pe.shape[1]
        if length > longest:
            # spelt out for TorchScript
            raise ValueError(
                f"Expected `length of x` to be at most {longest}, but got {length}. Use a larger seq_len."
            )
        return x + self.pe[:, :length]


class GridEncoding(nn.Module):
    """A learnt vector for every token of a grid, and a class token before them."""

    __constants__ = ("cls_embed_on", "sep_pos_embed")

    def __init__(
        self,
        embed_dim: int,
        patch_embed_shape: Sequence[int],
        sep_pos_embed: bool = False,
        has_cls: bool = True,
    ) -> None:
        super().__init__()
        self.cls_embed_on = has_cls
        self.sep_pos_embed = sep_pos_embed
        self.grid = size3(tuple(patch_embed_shape))
        frames, pixels = self.grid[0], self.grid[1] * self.grid[2]
        self.num_temporal_patch, self.num_spatial_patch = frames, pixels
        if has_cls:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        if sep_pos_embed:
            self.pos_embed_spatial = nn.Parameter(torch.zeros(1, pixels, embed_dim))
            self.pos_embed_temporal = nn.Parameter(torch.zeros(1, frames, embed_dim))
            if has_cls:
                self.pos_embed_class = nn.Parameter(torch.zeros(1, 1, embed_dim))
        else:
            positions = frames * pixels + int(has_cls)
            self.pos_embed = nn.Parameter(torch.zeros(1, positions, embed_dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens (B, T * H * W, embed_dim) -> (B, T * H * W + 1, embed_dim), without a class token as many."""
        if self.cls_embed_on:
            x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)
        if self.sep_pos_embed:
            return x + self._joint()
        return x + self.pos_embed

    def _joint(self) -> torch.Tensor:
        # (1, T, 1, C) + (1, 1, H * W, C) -> (1, T * H * W, C)
        joint = self.pos_embed_temporal[:, :, None] + self.pos_embed_spatial[:, None]
        joint = joint.flatten(1, 2)
        if self.cls_embed_on:
            joint = torch.cat((self.pos_embed_class, joint), dim=1)
        return joint

    def resize_state(self, state: dict[str, torch.Tensor], prefix: str) -> list[str]:
        """Fits the encodings in a state dict to the grid of this module, in place, and returns the keys of these.

        Those in space are of a square; one encoding for each token does not say of which grid it is, and stays.
        """
        frames, height, width = self.grid
        changed = []
        for name, new in (("spatial", (1, height, width)), ("temporal", (frames, 1, 1))):
            key = f"{prefix}pos_embed_{name}"
            table = state.get(key)
            if not self.sep_pos_embed or table is None or table.ndim != 3:
                continue
            count = table.shape[1]
            side = math.isqrt(count)
            old = (1, side, side) if name == "spatial" else (count, 1, 1)
            if count == math.prod(old) and count not in (0, math.prod(new)):
                state[key] = resize_positions(table, old, new)
                changed.append(key)
        return changed


class SpatioTemporalClsPositionalEncoding(GridEncoding):
    """Adds a learnt encoding to the tokens of a grid, and a class token before them.

    Args:
        embed_dim: channels.
        patch_embed_shape: the grid (T, H, W).
        sep_pos_embed: the sum of an encoding in time and one in space, instead of one for each token.
        has_cls: whether there is a class token; it has an encoding, too.
    """

    def patch_embed_shape(self) -> tuple[int, int, int]:
        """Returns the grid (T, H, W)."""
        return self.grid


def resize_positions(
    table: torch.Tensor,
    old: Sequence[int],
    new: Sequence[int],
    *,
    spatial: str = "bilinear",
    temporal: str = "linear",
) -> torch.Tensor:
    """Interpolates encodings of a grid: (1, T * H * W, C) -> (1, T' * H' * W', C).

    By default the sum of an encoding in time and one in space is that of both interpolated.

    Args:
        table: the encodings, time first.
        old: the grid (T, H, W) that they are of.
        new: the grid that they are wanted for.
        spatial: ``mode`` of :func:`torch.nn.functional.interpolate` in height and width.
        temporal: its mode in time.
    """
    frames, height, width = new
    # (1, T * H * W, C) -> (T, C, H, W)
    x = table.detach().float().reshape(*old, table.shape[-1]).permute(0, 3, 1, 2)
    if tuple(x.shape[2:]) != (height, width):
        x = F.interpolate(x, size=(height, width), mode=spatial)
    if len(x) != frames:
        # (T, C, H, W) -> (1, C * H * W, T) -> (T', C, H, W)
        shape = x.shape[1:]
        x = F.interpolate(x.flatten(1).T[None], size=frames, mode=temporal)[0].T.unflatten(1, shape)
    return x.permute(0, 2, 3, 1).reshape(1, -1, table.shape[-1]).to(table.dtype)


def get_3d_sincos_pos_embed(
    embed_dim: int, grid_size: int, t_size: int, cls_token: bool = False
) -> np.ndarray:
    """Returns encodings of a grid of ``t_size`` x ``grid_size`` x ``grid_size``, float64.

    Args:
        embed_dim: channels, a multiple of 16: the first quarter encodes the time, the others the place.
        grid_size: height and width.
        t_size: length.
        cls_token: zeros come first, for a class token.

    Returns:
        (t_size * grid_size**2, embed_dim), and one row more with ``cls_token``.
    """
    if embed_dim % 16:
        raise ValueError(expected("embed_dim", "a multiple of 16", embed_dim))
    temporal = get_1d_sincos_pos_embed_from_grid(
        embed_dim // 4, np.arange(t_size, dtype=np.float32)
    )
    spatial = get_2d_sincos_pos_embed(embed_dim // 4 * 3, grid_size)
    # (T, 1, C / 4) and (1, H * W, 3 C / 4) -> (T * H * W, C)
    joint = np.concatenate(
        [
            np.repeat(temporal[:, None], grid_size**2, axis=1),
            np.repeat(spatial[None], t_size, axis=0),
        ],
        axis=-1,
    ).reshape(-1, embed_dim)
    return _after_cls(joint, cls_token)


def get_2d_sincos_pos_embed(embed_dim: int, grid_size: int, cls_token: bool = False) -> np.ndarray:
    """Returns encodings of a grid of ``grid_size`` x ``grid_size``, float64 (grid_size**2, embed_dim).

    Args:
        embed_dim: channels, a multiple of 4: the first half encodes the column, the other the row.
        grid_size: height and width.
        cls_token: a row of zeros comes first, for a class token.
    """
    side = np.arange(grid_size, dtype=np.float32)
    # column numbers first, then row numbers, each (1, H, W)
    grid = np.stack(np.meshgrid(side, side))[:, None]
    return _after_cls(get_2d_sincos_pos_embed_from_grid(embed_dim, grid), cls_token)


def get_2d_sincos_pos_embed_from_grid(embed_dim: int, grid: np.ndarray) -> np.ndarray:
    """Returns encodings of places: half of the channels for ``grid[0]``, half for ``grid[1]``."""
    halves = [get_1d_sincos_pos_embed_from_grid(embed_dim // 2, places) for places in grid[:2]]
    return np.concatenate(halves, axis=1)


def get_1d_sincos_pos_embed_from_grid(embed_dim: int, pos: np.ndarray) -> np.ndarray:
    """Returns the sines, then the cosines of positions, float64 (positions, embed_dim).

    >>> get_1d_sincos_pos_embed_from_grid(4, np.array([0.0])).tolist()
    [[0.0, 0.0, 1.0, 1.0]]
    """
    if embed_dim % 2:
        raise ValueError(expected("embed_dim", "even", embed_dim))
    pairs = embed_dim // 2
    waves = _LONGEST_WAVE ** -(np.arange(pairs, dtype=np.float64) / pairs)
    angle = np.outer(np.asarray(pos, dtype=np.float64).reshape(-1), waves)
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


def _after_cls(encoding: np.ndarray, cls_token: bool) -> np.ndarray:
    zeros = np.zeros((int(cls_token), encoding.shape[1]))
    return np.concatenate([zeros, encoding])
