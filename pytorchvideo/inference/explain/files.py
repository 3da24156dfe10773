# SPDX-License-Identifier: Apache-2.0
"""Files of an explanation: json, animations, a strip of frames, a curve."""

import io
import os
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from pytorchvideo._files import whole_file, write_json
from pytorchvideo.data._decode._pyav.write import Encoding, write_video
from pytorchvideo.data.visualize import gif_bytes
from pytorchvideo.inference.explain.pictures import Shown, curve_png, shown_frames, strip

#: What :func:`write_files` writes.
FILES = ("explanation.mp4", "explanation.gif", "strip.png", "curve.png", "explanation.json")


class Written(Shown, Protocol):
    """What is written of an explanation."""

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""


def write_files(explanation: Written, folder: str | os.PathLike[str]) -> list[str]:
    """Writes the files of an explanation, each in one step, and returns their names."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    frames, rate = shown_frames(explanation)
    pictures = frames.permute(1, 2, 3, 0).contiguous().numpy()  # (3, T, H, W) -> (T, H, W, 3)
    encoding = Encoding(options={"crf": "18"})
    write_video(path / FILES[0], pictures, Fraction(rate).limit_denominator(1000), encoding)
    image = io.BytesIO()
    strip(explanation).save(image, format="PNG")
    contents = (gif_bytes(frames, fps=rate, colors=128), image.getvalue(), curve_png(explanation))
    for name, content in zip(FILES[1:4], contents, strict=True):
        with whole_file(path / name) as part:
            part.write_bytes(content)
    write_json(path / FILES[4], explanation.to_dict())
    return list(FILES)
