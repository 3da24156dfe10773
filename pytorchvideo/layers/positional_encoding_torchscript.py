# SPDX-License-Identifier: Apache-2.0
"""The former name of a positional encoding."""

from pytorchvideo.layers.positional_encoding import GridEncoding


class ScriptableSpatioTemporalClsPositionalEncoding(GridEncoding):
    """:class:`pytorchvideo.layers.positional_encoding.SpatioTemporalClsPositionalEncoding` with other grid access."""

    @property
    def patch_embed_shape(self) -> tuple[int, int, int]:
        """The grid (T, H, W)."""
        return self.grid
