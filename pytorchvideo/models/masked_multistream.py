# SPDX-License-Identifier: Apache-2.0
"""Models of several feature streams with masks.

A stream is a sequence (B, S, D) with a mask (B, S) of bool, False where an entry is missing; no mask means that none
is. What stands at missing entries has no influence on any result, and neither sequences nor masks are ever written to.
A sequence without a single entry becomes 0, or a learned default with :class:`LearnMaskedDefault`.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from pytorchvideo._checks import check_choice, expected


def _checked_mask(x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """The mask of a sequence, made where there is none.

    Raises:
        ValueError: ``x`` is not (B, S, D), or ``mask`` not (B, S) of bool.
    """
    if x.ndim != 3:
        raise ValueError(expected("x", "a sequence (B, S, D)", tuple(x.shape)))
    if mask is None:
        return torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    if mask.shape != x.shape[:2] or mask.dtype != torch.bool:
        wanted = f"bool of shape {tuple(x.shape[:2])}"
        raise ValueError(expected("mask", wanted, (mask.dtype, tuple(mask.shape))))
    return mask


def _for_attention(x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A sequence with 0 for missing entries, and where attention must not look.

    It looks everywhere in a sequence without entries, where a softmax over nothing would be NaN.
    """
    return x.masked_fill(~mask[..., None], 0.0), ~mask & mask.any(dim=1, keepdim=True)


class MaskedTemporalPooling(nn.Module):
    """Pools a sequence over its entries: (B, S, D) -> (B, D); 0 where there are none.

    Args:
        method: "max", "avg" or "sum".

    Raises:
        ValueError: another method.

    >>> x, mask = torch.tensor([[[1.0], [5.0], [9.0]]]), torch.tensor([[True, True, False]])
    >>> MaskedTemporalPooling("avg")(x, mask)
    tensor([[3.]])
    """

    def __init__(self, method: Literal["max", "avg", "sum"]) -> None:
        super().__init__()
        check_choice("method", method, ("max", "avg", "sum"))
        self.method = method

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        mask = _checked_mask(x, mask)
        missing = ~mask[..., None]
        if self.method == "max":
            highest = x.masked_fill(missing, float("-inf")).max(dim=1).values
            return highest.masked_fill(missing.all(dim=1), 0.0)
        total = x.masked_fill(missing, 0.0).sum(dim=1)
        if self.method == "sum":
            return total
        return total / mask.sum(dim=1, keepdim=True).clamp(min=1)

    def extra_repr(self) -> str:
        return f"method={self.method!r}"


class TransposeMultiheadAttention(nn.Module):
    """Self-attention of a sequence to its entries: (B, S, D) -> (B, S, D).

    Args:
        feature_dim: D.
        num_heads: number of heads, a divisor of D.

    There are results at missing entries too, which mean nothing: the mask goes on to the next layer.
    """

    def __init__(self, feature_dim: int, num_heads: int = 1) -> None:
        super().__init__()
        self._attention = nn.MultiheadAttention(feature_dim, num_heads, batch_first=True)
        self._attention_weights: torch.Tensor | None = None

    @property
    def attention_weights(self) -> torch.Tensor | None:
        """Weights (B, S, S) of the last forward pass, averaged over the heads; None before the first.

        A row of it sums to 1 over the entries that are attended to. Compiled and exported code does not keep them.
        """
        return self._attention_weights

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        x, ignored = _for_attention(x, _checked_mask(x, mask))
        # A compiled graph leaves no attributes behind; without weights, PyTorch takes its fused attention.
        keep = not torch.compiler.is_compiling()
        out, weights = self._attention(x, x, x, key_padding_mask=ignored, need_weights=keep)
        if keep:
            self._attention_weights = weights
        return out

    def __getstate__(self) -> dict[str, Any]:
        # The weights belong to a graph of autograd, which can be neither copied nor pickled.
        return self.__dict__ | {"_attention_weights": None}


class LearnMaskedDefault(nn.Module):
    """Puts a learned default in the place of samples without a single entry: (B, ..., D) -> (B, ..., D).

    Args:
        feature_dim: D.
        init_method: the default is drawn from a normal distribution ("gaussian"), or begins at 0 ("zeros").
        freeze: the default is not trained.

    The mask is that of the sequence (B, S) from which the features were made; samples with any entry stay as they are.

    Raises:
        ValueError: another ``init_method``.
    """

    def __init__(
        self,
        feature_dim: int,
        init_method: Literal["gaussian", "zeros"] = "gaussian",
        freeze: bool = False,
    ) -> None:
        super().__init__()
        check_choice("init_method", init_method, ("gaussian", "zeros"))
        default = torch.zeros(feature_dim)
        if init_method == "gaussian":
            nn.init.normal_(default)
        self._learned_defaults = nn.Parameter(default, requires_grad=not freeze)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        if mask is None:
            return x
        if mask.ndim != 2 or len(mask) != len(x) or mask.dtype != torch.bool:
            wanted = f"bool of shape ({len(x)}, S)"
            raise ValueError(expected("mask", wanted, (mask.dtype, tuple(mask.shape))))
        known = mask.any(dim=1).view(-1, *(1,) * (x.ndim - 1))
        return torch.where(known, x, self._learned_defaults.to(x.dtype))


class LSTM(nn.Module):
    """The last hidden state of an LSTM over the entries of a sequence: (B, S, D) -> (B, output_dim).

    Args:
        dim_in: D.
        hidden_dim: size of a hidden state.
        dropout: of the result, in training.
        bidirectional: a second LSTM reads backwards; its last state follows that of the first.

    Missing entries are left out wherever they are; a sequence without any gives 0.
    """

    def __init__(
        self, dim_in: int, hidden_dim: int, dropout: float = 0.0, bidirectional: bool = False
    ) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim_in, hidden_dim, batch_first=True, bidirectional=bidirectional)
        self.dropout = nn.Dropout(dropout)
        self.output_dim = 2 * hidden_dim if bidirectional else hidden_dim

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        mask = _checked_mask(x, mask)
        # Packing takes the first entries of a sequence: bring those that are there to the front, in their order.
        order = (~mask).byte().argsort(dim=1, stable=True)
        x = x.gather(1, order[..., None].expand_as(x))
        lengths = mask.sum(dim=1)
        # Lengths live on the CPU wherever the sequence is; an empty sequence cannot be packed.
        packed = pack_padded_sequence(
            x, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        _, (hidden, _) = self.lstm(packed)
        # (directions, B, hidden_dim) -> (B, directions * hidden_dim)
        last = hidden.transpose(0, 1).flatten(1).masked_fill(lengths[:, None] == 0, 0.0)
        return self.dropout(last)


class TransposeTransformerEncoder(nn.Module):
    """The first token of a transformer encoder (arXiv 1706.03762) over a sequence: (B, S, D) -> (B, D).

    Args:
        dim_in: D.
        num_heads: number of heads, a divisor of D.
        num_layers: number of layers.

    All tokens attend to the entries only; a sequence without any gives 0.
    """

    def __init__(self, dim_in: int, num_heads: int = 1, num_layers: int = 1) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(dim_in, num_heads, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers, enable_nested_tensor=False)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        mask = _checked_mask(x, mask)
        x, ignored = _for_attention(x, mask)
        first = self.encoder(x, src_key_padding_mask=ignored)[:, 0]
        return first.masked_fill(~mask.any(dim=1, keepdim=True), 0.0)


class MaskedSequential(nn.Sequential):
    """``nn.Sequential`` that hands the mask to the layers that take one, and to them alone.

    Those are the five of this module and ``MaskedSequential`` itself.

    >>> layers = MaskedSequential(nn.Linear(4, 8), MaskedTemporalPooling("avg"), nn.Linear(8, 2))
    >>> layers(torch.zeros(3, 5, 4), torch.ones(3, 5, dtype=torch.bool)).shape
    torch.Size([3, 2])
    """

    def forward(self, input: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        for layer in self:
            input = layer(input, mask) if isinstance(layer, _MASKED) else layer(input)
        return input


_MASKED = (
    MaskedTemporalPooling,
    TransposeMultiheadAttention,
    LearnMaskedDefault,
    LSTM,
    TransposeTransformerEncoder,
    MaskedSequential,
)


class MaskedMultiPathWay(nn.Module):
    """Blocks side by side, one a stream, then a fusion of their results.

    Args:
        multipathway_blocks: for every stream a block that takes a sequence and its mask, a :class:`MaskedSequential`
            for instance; None passes the sequence on.
        multipathway_fusion: maps the list of results to one, as :func:`~pytorchvideo.layers.make_fusion_layer` does;
            None returns the list.
    """

    def __init__(
        self, *, multipathway_blocks: nn.ModuleList, multipathway_fusion: nn.Module | None
    ) -> None:
        super().__init__()
        self.multipathway_blocks = multipathway_blocks
        self.multipathway_fusion = multipathway_fusion

    def forward(
        self, x_and_mask: Sequence[tuple[torch.Tensor, torch.Tensor | None]]
    ) -> torch.Tensor | list[torch.Tensor]:
        """Returns what the fusion makes of the blocks' results, or the list of these.

        Args:
            x_and_mask: for every stream its sequence (B, S, D) and its mask (B, S) or None.

        Raises:
            ValueError: there is not a pair for every block.
        """
        pairs = isinstance(x_and_mask, (list, tuple)) and all(
            isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in x_and_mask
        )
        if not pairs or len(x_and_mask) != len(self.multipathway_blocks):
            wanted = f"a list of {len(self.multipathway_blocks)} pairs (sequence, mask)"
            got = type(x_and_mask).__name__ if not pairs else f"{len(x_and_mask)} pairs"
            raise ValueError(expected("x_and_mask", wanted, got))
        outputs = [
            x if block is None else block(x, mask)
            for block, (x, mask) in zip(self.multipathway_blocks, x_and_mask, strict=True)
        ]
        return outputs if self.multipathway_fusion is None else self.multipathway_fusion(outputs)
