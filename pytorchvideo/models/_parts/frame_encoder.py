# SPDX-License-Identifier: Apache-2.0
"""Video encoders from image encoders, such as CLIP's, with a temporal layer over the frames.

frames (B, T, C, H, W) -> encoder -> (B, T, D) -> temporal layer -> mean -> features (B, D) -> classifier
"""

import copy
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn


class TemporalLayer(nn.Module):
    """A transformer layer over the frames with learned positions, then their mean (arXiv 2104.08860, section 3.3).

    It starts as the mean alone: what the encoder knows of images is there from the first step on.

    Args:
        dim: length of the vectors.
        num_heads: of the attention.
        num_frames: of the clips.
    """

    def __init__(self, dim: int, num_heads: int, num_frames: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(num_frames, dim))
        self.layer = nn.TransformerEncoderLayer(
            dim,
            num_heads,
            4 * dim,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        for last in (self.layer.self_attn.out_proj, self.layer.linear2):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, D) -> (B, D)."""
        mixed: torch.Tensor = self.layer(x + self.positions)
        return mixed.mean(dim=1)


class FrameEncoder(nn.Module):
    """A video model made of an image encoder, with the attributes of those of ``transformers``.

    Args:
        encoder: images (N, C, H, W) -> an output with ``pooler_output`` (N, D), as ``CLIPVisionModel`` has.
        num_frames: of the clips.
        num_classes: of the classifier.
    """

    main_input_name = "pixel_values"

    def __init__(self, encoder: Any, num_frames: int, num_classes: int) -> None:
        super().__init__()
        dim = encoder.config.hidden_size
        self.encoder = encoder
        self.temporal = TemporalLayer(dim, encoder.config.num_attention_heads, num_frames)
        self.classifier: nn.Module = nn.Linear(dim, num_classes)
        self.config = copy.deepcopy(encoder.config)
        self.config.num_frames, self.config.num_labels = num_frames, num_classes

    @property
    def base_model(self) -> nn.Module:
        """The pretrained part."""
        encoder: nn.Module = self.encoder
        return encoder

    def forward(self, pixel_values: torch.Tensor) -> SimpleNamespace:
        """Frames (B, T, C, H, W) -> ``logits`` (B, num_classes)."""
        pooled = self.encoder(pixel_values=pixel_values.flatten(0, 1)).pooler_output
        frames = pooled.unflatten(0, pixel_values.shape[:2])  # (B * T, D) -> (B, T, D)
        return SimpleNamespace(logits=self.classifier(self.temporal(frames)))
