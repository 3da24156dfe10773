# SPDX-License-Identifier: Apache-2.0
"""Encodings of where a token is: learnt ones on a grid, and sines and cosines (arXiv 1706.03762, section 3.5)."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers._build import size3

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
        if x.shape[1] > self.pe.shape[1]:
            wanted = f"at most {self.pe.shape[1]}"
            raise ValueError(expected("length of x", wanted, x.shape[1], "Use a larger seq_len."))
        return x + self.pe[:, : x.shape[1]]


class _GridEncoding(nn.Module):
    """A learnt vector for every token of a grid, and a class token before them."""

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
        return x + (self._joint() if self.sep_pos_embed else self.pos_embed)

    def _joint(self) -> torch.Tensor:
        # (1, T, 1, C) + (1, 1, H * W, C) -> (1, T * H * W, C)
        joint = (self.pos_embed_temporal[:, :, None] + self.pos_embed_spatial[:, None]).flatten(
            1, 2
        )
        return torch.cat((self.pos_embed_class, joint), dim=1) if self.cls_embed_on else joint


class SpatioTemporalClsPositionalEncoding(_GridEncoding):
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
