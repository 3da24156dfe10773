# SPDX-License-Identifier: Apache-2.0
"""Images on disk: depths, palettes, and the eight orientations of EXIF."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._decode._images import load_frames
from pytorchvideo.data.frame_video import FrameVideo

RAMP = np.linspace(0, 65535, 24).astype(np.uint16).reshape(4, 6)


def grey(image: Image.Image, path: Path) -> list[int]:
    """What is read of a grey picture, row by row."""
    image.save(path)
    data = load_frames([path])
    assert (data[0] == data[1]).all() and (data[1] == data[2]).all()
    return data[0, 0].flatten().tolist()


@pytest.mark.parametrize("ending", ["png", "tif", "ppm"])
def test_grey_pictures_of_16_bits_are_scaled(tmp_path: Path, ending: str) -> None:
    kind = Image.fromarray(RAMP.astype(np.int32)) if ending == "ppm" else Image.fromarray(RAMP)
    assert grey(kind, tmp_path / f"grey.{ending}") == (RAMP // 256).flatten().tolist()


def test_grey_pictures_of_either_order_of_bytes_are_scaled(tmp_path: Path) -> None:
    order = Image.frombytes("I;16B", (6, 4), RAMP.astype(">u2").tobytes())
    assert grey(order, tmp_path / "big_endian.tif") == (RAMP // 256).flatten().tolist()
    with Image.open(tmp_path / "big_endian.tif") as image:
        assert image.mode == "I;16B"


def test_integers_of_more_than_16_bits_are_refused(tmp_path: Path) -> None:
    Image.fromarray(RAMP.astype(np.int32) * 2).save(tmp_path / "deep.tif")
    with pytest.raises(
        VideoError, match=r"deep\.tif has values from 0 to 131070, but .* 0 to 65535"
    ):
        load_frames([tmp_path / "deep.tif"])


def test_coloured_pictures_of_16_bits_are_scaled(tmp_path: Path) -> None:
    rgb = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=-1)
    header = b"P6 6 4 65535\n"
    (tmp_path / "rgb.ppm").write_bytes(header + rgb.astype(">u2").tobytes())
    data = load_frames([tmp_path / "rgb.ppm"])[:, 0].permute(1, 2, 0).numpy()
    assert np.abs(data.astype(int) - rgb / 257).max() <= 1


def test_palettes_and_transparency(tmp_path: Path) -> None:
    colours = np.array([[200, 10, 30], [0, 250, 60]], np.uint8)
    places = (np.arange(24).reshape(4, 6) % 2).astype(np.uint8)
    palette = Image.fromarray(places, "L").convert("P")
    palette.putpalette(colours.tobytes())
    palette.save(tmp_path / "palette.png", transparency=0)
    palette.save(tmp_path / "palette.gif")
    alpha = np.dstack([colours[places], np.full((4, 6), 128, np.uint8)])
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    Image.fromarray((places * 255).astype(bool)).save(tmp_path / "bits.png")
    for name in ("palette.png", "palette.gif", "alpha.png"):
        data = load_frames([tmp_path / name])[:, 0].permute(1, 2, 0)
        assert np.array_equal(data.numpy(), colours[places]), name
    assert load_frames([tmp_path / "bits.png"])[0, 0].flatten().tolist() == [0, 255] * 12


EXIF: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored, 1),
}


@pytest.mark.parametrize("orientation", EXIF)
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_the_orientations_of_exif(tmp_path: Path, orientation: int, ending: str) -> None:
    """The first row of a picture is told to be on the top, right, … of what is seen (EXIF 2.3, tag 274)."""
    stored = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(stored).save(tmp_path / f"a.{ending}", exif=exif)
    clip = FrameVideo.from_directory(tmp_path).get_clip(0, 1)
    assert clip is not None
    wanted = EXIF[orientation](stored)
    assert np.array_equal(clip["video"][:, 0].permute(1, 2, 0).numpy(), wanted)


def test_a_deep_picture_is_turned_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(RAMP).save(tmp_path / "deep.png", exif=exif)
    data = load_frames([tmp_path / "deep.png"])[0, 0].numpy()
    assert np.array_equal(data, np.rot90(RAMP // 256, -1))
