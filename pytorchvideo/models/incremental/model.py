# SPDX-License-Identifier: Apache-2.0
"""Incremental X3D and Slow: activations of past frames are cached, not computed again.

A network whose only operators over time are convolutions of stride 1 and a mean at the end can be computed as the
frames come ("Continual 3D convolutional neural networks", arXiv 2106.00050). A convolution with a temporal kernel
of k frames keeps the last k - 1 frames of its input. Its output belongs to the frame in the middle of the kernel, so
it is late by (k - 1) / 2 frames, and the shortcut around it waits as long. The head keeps the pooled features of
its window.

Three things differ from running the network on the window as a clip:

- inside a stream a convolution sees the real frames before and after the window where a clip has zeros;
- squeeze-excitation, a mean over the whole clip, becomes a mean over the last frames, as many as the window has;
- an answer is late by the sum of all delays, :attr:`IncrementalModel.delay`.

Without squeeze-excitation the answer is exactly what the network computes on all frames so far, as one long clip,
for the newest window that the end of that clip does not reach.
"""

import torch
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.models.incremental.operators import Builder, Memory, State
from pytorchvideo.models.net import check_clip_batch


class IncrementalModel(nn.Module):
    """An X3D or Slow network that takes a stream in pieces of any number of frames and computes each frame once.

    Args:
        model: a network of :func:`~pytorchvideo.models.create_x3d` or
            :func:`~pytorchvideo.models.create_resnet` in which nothing but convolutions of stride 1 and the pool
            of the head acts along time. Its parameters are shared, not copied; it still takes clips.
        num_frames: frames of the window that an answer is about, usually those of the clips that the model was
            trained on.

    Raises:
        ValueError: ``num_frames`` is not positive, or the model has a layer that cannot run frame by frame (a
            temporal stride or pool, attention, several pathways): the error names it.

    Frames must come at the rate of the model's clips: one in ``sampling_rate`` frames of the video. No gradients
    are computed. The state is that of one stream, or of a batch of streams that go on together.

    >>> from pytorchvideo.models import create_x3d
    >>> clip_model = create_x3d(input_clip_length=4, input_crop_size=32, depth_factor=1.0).eval()
    >>> model = IncrementalModel(clip_model, num_frames=4)
    >>> model.delay
    13
    >>> answers = [model.step(torch.rand(1, 3, 1, 32, 32)) for _ in range(18)]
    >>> [i for i, answer in enumerate(answers) if answer is not None]
    [16, 17]
    >>> answers[-1].shape
    torch.Size([1, 400])
    """

    def __init__(self, model: nn.Module, num_frames: int) -> None:
        super().__init__()
        if num_frames < 1:
            raise ValueError(expected("num_frames", ">= 1", num_frames))
        self.model = model
        self.num_frames = num_frames
        self._operators = Builder(model, num_frames).network(model)
        self._state: State = {}
        self._stream: tuple[object, ...] | None = None
        # not train(), which would change layers that are in another mode than the model
        self.training = model.training

    @property
    def delay(self) -> int:
        """Frames by which the window of an answer ends before the newest frame."""
        return self._operators.delay

    @property
    def state_bytes(self) -> int:
        """Memory that the state takes now; it stays the same once the window is full."""
        storages = {one.untyped_storage().data_ptr(): one for one in self._state.values()}
        return sum(one.untyped_storage().nbytes() for one in storages.values())

    @torch.no_grad()
    def step(self, frames: torch.Tensor) -> torch.Tensor | None:
        """Takes the next frames of the stream, and answers for the newest window.

        Args:
            frames: (B, C, t, H, W), as the model takes clips, with t >= 1 frames that follow those of the last
                call. B, H, W, dtype and device stay the same until :meth:`reset`.

        Returns:
            Scores (B, num_classes) of the window of ``num_frames`` frames that ends ``delay`` frames before the
            newest one; None until ``num_frames + delay`` frames have come.

        Raises:
            ValueError: the frames are not laid out like that, or differ from those of earlier calls.
            RuntimeError: the model is in training mode.
        """
        stream = self._checked(frames)
        if self._stream is None:
            # weights may have changed since the last stream
            self._operators = Builder(self.model, self.num_frames, folds=True).network(self.model)
        state: State = {}
        answer = self._operators.run(frames, Memory(self._state, state))
        # kept at the end only: a step that fails leaves the stream where it was
        self._state, self._stream = state, stream
        return answer

    def forward(self, frames: torch.Tensor) -> torch.Tensor | None:
        """The same as :meth:`step`."""
        return self.step(frames)

    def reset(self) -> None:
        """Forgets all frames: the next ones begin a new stream."""
        self._state, self._stream = {}, None

    def _checked(self, frames: torch.Tensor) -> tuple[object, ...]:
        """What must not change within a stream."""
        modes: list[nn.Module] = [self, self.model]
        if self._stream is None:
            modes += [
                one for one in self.modules() if isinstance(one, (nn.BatchNorm3d, nn.Dropout))
            ]
        if any(module.training for module in modes):
            raise RuntimeError("Expected a model in evaluation mode. Call eval() before step().")
        check_clip_batch(frames, getattr(self.model, "input_channels", None))
        if frames.shape[2] < 1:
            raise ValueError(expected("frames", "at least one frame", tuple(frames.shape)))
        batch, channels, _, height, width = frames.shape
        stream = (batch, channels, "t", height, width, frames.dtype, frames.device)
        if self._stream not in (None, stream):
            raise ValueError(
                f"Expected `frames` to go on with the stream {_words(self._stream)}, but got "
                f"{_words(stream)}. Call reset() before another stream."
            )
        return stream


def _words(stream: tuple[object, ...] | None) -> str:
    *shape, dtype, device = stream or ()
    return f"({', '.join(map(str, shape))}) {dtype} on {device}"
